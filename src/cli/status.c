/*
 * status.c - `dockwake status [APP]`: the details of one app, a table of the instances of a group or
 * template, or how many apps are in which state.
 */
#include <stdio.h>

#include "apps.h"
#include "output.h"

static int summary_json(const struct apps *apps, const size_t counts[static PROTO_STATE_MAX]) {
    json_t *states = json_object();

    for (int i = 0; states != NULL && i < PROTO_STATE_MAX; i++) {
        if (json_object_set_new(states, proto_state_name((enum proto_state)i),
                                json_integer((json_int_t)counts[i])) < 0) {
            json_decref(states);
            states = NULL;
        }
    }
    return output_json(json_pack("{s:I, s:o}", "apps", (json_int_t)apps->n, "states", states));
}

static int summary(const struct cli_options *options) {
    size_t counts[PROTO_STATE_MAX] = {0};
    struct apps apps;
    int r = apps_get(options, PROTO_LIST, &apps);

    if (r != CLI_OK) {
        return r;
    }
    for (size_t i = 0; i < apps.n; i++) {
        uint32_t state = apps.items[i].state;

        counts[state < PROTO_STATE_MAX ? state : PROTO_STATE_UNKNOWN]++;
    }
    if (options->json) {
        r = summary_json(&apps, counts);
    } else {
        const char *separator = ": ";

        printf("%zu app%s", apps.n, apps.n == 1 ? "" : "s");
        for (int i = 0; i < PROTO_STATE_MAX; i++) {
            if (counts[i] > 0) {
                printf("%s%zu %s", separator, counts[i], proto_state_name((enum proto_state)i));
                separator = ", ";
            }
        }
        putchar('\n');
        for (size_t i = 0; i < apps.n; i++) {
            if (apps.items[i].failure != PROTO_FAILURE_NONE) {
                printf("%s: %s: %s\n", output_clean(apps.items[i].app),
                       proto_failure_name((enum proto_failure)apps.items[i].failure),
                       output_clean(apps.items[i].text));
            }
        }
    }
    apps_done(&apps);
    return r;
}

int cli_status(const struct cli_options *options) {
    struct apps apps;
    int r;

    if (options->app == NULL) {
        return summary(options);
    }
    r = apps_get(options, PROTO_STATUS, &apps);
    if (r != CLI_OK) {
        return r;
    }
    if (options->json) {
        r = apps_print_json(&apps, options);
    } else if (apps_are_one(&apps, options)) {
        output_details(&apps.items[0]);
    } else if (apps.n > 0) {
        output_table(apps.items, apps.n);
    } else {
        apps_print_none(options);
    }
    apps_done(&apps);
    return r;
}
