/* app_describe.c - what an administrator is told about an app, and a front that waits for it. */
#include <stdio.h>
#include <string.h>

#include "app.h"

const char app_foreign_text[] =
    "there is a container of this name, but it does not carry the template's label dockwake.app";

enum proto_state app_proto_state(const struct app *app) {
    if (app->foreign)
        return PROTO_STATE_FAILED;
    if (app->demanded && app->container->state < CONTAINER_STARTING)
        return PROTO_STATE_STARTING;
    switch (app->container->state) {
    case CONTAINER_UNKNOWN:
        return PROTO_STATE_UNKNOWN;
    case CONTAINER_MISSING:
        return PROTO_STATE_MISSING;
    case CONTAINER_ASLEEP:
        return app->state == APP_FAILED ? PROTO_STATE_FAILED : PROTO_STATE_ASLEEP;
    case CONTAINER_PAUSED:
        return PROTO_STATE_PAUSED;
    case CONTAINER_STARTING:
        return PROTO_STATE_STARTING;
    case CONTAINER_STOPPING:
        return PROTO_STATE_STOPPING;
    case CONTAINER_RUNNING:
        break;
    }
    if (app->config->broken || app->state == APP_FAILED)
        return PROTO_STATE_FAILED;
    return app->state == APP_READY ? PROTO_STATE_READY : PROTO_STATE_PROBING;
}

void app_describe(const struct app *app, struct proto_app *ret_message) {
    struct proto_app message = {
        .state = app_proto_state(app),
        .failure = app->failure,
        .leases = (uint32_t)app->n_leases,
        .since_usec = app->since > app->container->since ? app->since : app->container->since,
        .sleep_usec = UINT64_MAX,
        .wake_usec = app->wake_took,
    };

    if (app->state == APP_READY)
        message.address = app->address;
    if (app->idle_since > 0 && app->config->idle_timeout > 0)
        message.sleep_usec = usec_sub(usec_add(app->idle_since, app->config->idle_timeout),
                                      now_usec(CLOCK_MONOTONIC));
    snprintf(message.app, sizeof(message.app), "%s", app->config->name);
    snprintf(message.container, sizeof(message.container), "%s", app->container->name);
    if (app->config->broken) {
        message.failure = PROTO_FAILURE_BROKEN_APP;
        snprintf(message.text, sizeof(message.text), "its configuration has errors");
    } else if (app->foreign) {
        message.failure = PROTO_FAILURE_FOREIGN;
        snprintf(message.text, sizeof(message.text), "%s", app_foreign_text);
    } else if (app->text[0]) {
        snprintf(message.text, sizeof(message.text), "%s", app->text);
    } else {
        snprintf(message.text, sizeof(message.text), "%s", app->container->text);
    }
    *ret_message = message;
}
