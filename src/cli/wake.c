/*
 * wake.c - `dockwake wake APP [--wait]`: asks for an app, and waits until it is ready if told to.
 *
 * With a wait every change of state is a line; in JSON only the last one is printed, failed or not.
 */
#include <stdio.h>

#include "client.h"
#include "output.h"

struct waking {
    const struct cli_options *options;
    struct proto_app app; /* the last one */
    bool seen;
};

static int on_app(void *userdata, const struct proto_app *app) {
    struct waking *waking = userdata;
    bool changed = !waking->seen || waking->app.state != app->state;

    waking->app = *app;
    waking->seen = true;
    if (changed && !waking->options->json) {
        printf("%s: %s\n", output_clean(waking->app.app),
               proto_state_name((enum proto_state)app->state));
        fflush(stdout);
    }
    return 0;
}

int cli_wake(const struct cli_options *options) {
    struct waking waking = {.options = options};
    int r = client_request(options, PROTO_WAKE, on_app, &waking);

    if (r != CLI_OK && r != CLI_FAILED) {
        return r;
    }
    if (r == CLI_OK && !waking.seen) {
        cli_error("%s: the engine said nothing about it", options->app);
        return CLI_FAILED;
    }
    if (r == CLI_OK && options->wait && waking.app.state != PROTO_STATE_READY) {
        cli_error("%s: %s", options->app,
                  waking.app.text[0] != '\0' ? output_clean(waking.app.text) : "is not ready");
        r = CLI_FAILED;
    }
    if (waking.seen && options->json && output_json(output_app_json(&waking.app)) != CLI_OK) {
        r = CLI_FAILED;
    }
    return r;
}
