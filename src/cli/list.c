/* list.c - `dockwake list`: a table of all apps. */
#include "apps.h"
#include "output.h"

int cli_list(const struct cli_options *options) {
    struct apps apps;
    int r = apps_get(options, PROTO_LIST, &apps);

    if (r != CLI_OK) {
        return r;
    }
    if (options->json) {
        r = apps_print_json(&apps, options);
    } else {
        output_table(apps.items, apps.n);
    }
    apps_done(&apps);
    return r;
}
