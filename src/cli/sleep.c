/* sleep.c - `dockwake sleep APP`: puts an app to sleep now, whoever is connected. */
#include "apps.h"

int cli_sleep(const struct cli_options *options) {
    struct apps apps;
    int r = apps_get(options, PROTO_SLEEP, &apps);

    if (r != CLI_OK) {
        return r;
    }
    if (options->json) {
        r = apps_print_json(&apps, options);
    } else {
        apps_print_states(&apps, options);
    }
    apps_done(&apps);
    return r;
}
