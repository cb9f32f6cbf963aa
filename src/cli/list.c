/* list.c - `dockwake list`: a table of all apps. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps.h"
#include "client.h"
#include "output.h"

static int collect(void *userdata, const struct proto_app *app) {
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

int apps_get(const struct cli_options *options, struct apps *ret_apps) {
    struct apps apps = {0};
    int r = client_request(options, PROTO_LIST, collect, &apps);

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

static int list_json(const struct apps *apps) {
    json_t *list = json_array();

    for (size_t i = 0; list != NULL && i < apps->n; i++) {
        if (json_array_append_new(list, output_app_json(&apps->items[i])) < 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return output_json(list);
}

int cli_list(const struct cli_options *options) {
    struct apps apps;
    int r = apps_get(options, &apps);

    if (r != CLI_OK) {
        return r;
    }
    if (options->json) {
        r = list_json(&apps);
    } else {
        output_table(apps.items, apps.n);
    }
    apps_done(&apps);
    return r;
}
