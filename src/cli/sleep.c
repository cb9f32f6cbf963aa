/* sleep.c - `dockwake sleep APP`: puts an app to sleep now, whoever is connected. */
#include <stdio.h>

#include "client.h"
#include "output.h"

int cli_sleep(const struct cli_options *options) {
    struct proto_app app;
    int r = client_request_one(options, PROTO_SLEEP, &app);

    if (r != CLI_OK) {
        return r;
    }
    if (options->json) {
        return output_json(output_app_json(&app));
    }
    printf("%s: %s\n", output_clean(app.app), proto_state_name((enum proto_state)app.state));
    return CLI_OK;
}
