/*
 * wake.c - `dockwake wake APP [--wait]`: asks for an app, and waits until it is ready if told to.
 *
 * With a wait every change of state is a line; in JSON only the last one is printed, failed or not.
 * A group wakes with all its members.
 */
#include <stdio.h>
#include <string.h>

#include "apps.h"
#include "client.h"
#include "output.h"

struct waking {
    const struct cli_options *options;
    struct apps apps; /* as they were last */
    struct proto_app last;
    bool seen;
};

static int on_app(void *userdata, const struct proto_app *app) {
    struct waking *waking = userdata;
    bool changed = !waking->seen || waking->last.state != app->state ||
                   strcmp(waking->last.app, app->app) != 0;

    waking->last = *app;
    waking->seen = true;
    if (changed && !waking->options->json) {
        printf("%s: %s\n", output_clean(waking->last.app),
               proto_state_name((enum proto_state)app->state));
        fflush(stdout);
    }
    return apps_put(&waking->apps, app);
}

/* One that is not ready is no success, whatever the engine said at the end. */
static int judge(struct apps *apps) {
    int r = CLI_OK;

    for (size_t i = 0; i < apps->n; i++) {
        struct proto_app *app = &apps->items[i];

        if (app->state != PROTO_STATE_READY) {
            cli_error("%s: %s", app->app, app->text[0] != '\0' ? app->text : "is not ready");
            r = CLI_FAILED;
        }
    }
    return r;
}

int cli_wake(const struct cli_options *options) {
    struct waking waking = {.options = options};
    int r = client_request(options, PROTO_WAKE, on_app, &waking);

    if (r == CLI_OK && !waking.seen) {
        cli_error("%s: the engine said nothing about it", options->app);
        r = CLI_FAILED;
    }
    if (r == CLI_OK && options->wait) {
        r = judge(&waking.apps);
    }
    if ((r == CLI_OK || r == CLI_FAILED) && waking.seen && options->json &&
        apps_print_json(&waking.apps, options) != CLI_OK) {
        r = CLI_FAILED;
    }
    apps_done(&waking.apps);
    return r;
}
