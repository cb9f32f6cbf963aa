/* apps.c - see apps.h. */
#include "apps.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "output.h"

static int append(void *userdata, const struct proto_app *app) {
    struct apps *apps = userdata;

    if (apps->n == apps->allocated) {
        size_t n = apps->allocated == 0 ? 64 : apps->allocated * 2;
        struct proto_app *items = reallocarray(apps->items, n, sizeof(*items));

        if (items == NULL) {
            return -ENOMEM;
        }
        apps->items = items;
        apps->allocated = n;
    }
    apps->items[apps->n++] = *app;
    return 0;
}

int apps_put(struct apps *apps, const struct proto_app *app) {
    for (size_t i = 0; i < apps->n; i++) {
        if (strcmp(apps->items[i].app, app->app) == 0) {
            apps->items[i] = *app;
            return 0;
        }
    }
    return append(apps, app);
}

int apps_get(const struct cli_options *options, enum proto_opcode opcode, struct apps *ret_apps) {
    struct apps apps = {0};
    int r = client_request(options, opcode, append, &apps);

    if (r != CLI_OK) {
        apps_done(&apps);
        return r;
    }
    *ret_apps = apps;
    return CLI_OK;
}

void apps_done(struct apps *apps) {
    free(apps->items);
    *apps = (struct apps){0};
}

bool apps_are_one(const struct apps *apps, const struct cli_options *options) {
    return apps->n == 1 && options->app != NULL && strcmp(apps->items[0].app, options->app) == 0;
}

int apps_print_json(const struct apps *apps, const struct cli_options *options) {
    json_t *list;

    if (apps_are_one(apps, options)) {
        return output_json(output_app_json(&apps->items[0]));
    }
    list = json_array();
    for (size_t i = 0; list != NULL && i < apps->n; i++) {
        if (json_array_append_new(list, output_app_json(&apps->items[i])) < 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return output_json(list);
}

void apps_print_states(struct apps *apps, const struct cli_options *options) {
    for (size_t i = 0; i < apps->n; i++) {
        printf("%s: %s\n", output_clean(apps->items[i].app),
               proto_state_name((enum proto_state)apps->items[i].state));
    }
    if (apps->n == 0) {
        apps_print_none(options);
    }
}

void apps_print_none(const struct cli_options *options) {
    printf("%s: no instance is awake or asked for\n", options->app);
}
