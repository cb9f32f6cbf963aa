/*
 * client_leases.c - the leases of a front, and what it is told about them.
 *
 * A lease is in two lists, its front's and its app's. When the app has done with it, it stays in the
 * front's until that has been told.
 */
#include <stdio.h>
#include <string.h>

#include "client_internal.h"

struct lease *lease_new(struct client *client, const struct proto_lease *request) {
    struct lease *lease = calloc(1, sizeof(*lease));

    if (!lease)
        return NULL;
    lease->client = client;
    lease->serial = request->serial;
    memcpy(lease->name, request->app, sizeof(lease->name));
    TAILQ_INSERT_TAIL(&client->leases, lease, in_client);
    client->n_leases++;
    return lease;
}

void lease_free(struct lease *lease) {
    struct app *app = lease->app;

    TAILQ_REMOVE(&lease->client->leases, lease, in_client);
    lease->client->n_leases--;
    if (app) {
        TAILQ_REMOVE(&app->leases, lease, in_app);
        app->n_leases--;
    }
    free(lease);
    if (app)
        app_leases_changed(app);
}

/* Returns whether it was sent and the lease goes on. */
static bool lease_send_news(struct lease *lease) {
    union proto_message message = {0};
    enum proto_opcode opcode = PROTO_GONE;

    switch (lease->news) {
    case NEWS_NONE:
        return true;
    case NEWS_READY:
        opcode = PROTO_READY;
        message.ready.serial = lease->serial;
        message.ready.address = lease->told;
        memcpy(message.ready.app, lease->name, sizeof(lease->name));
        break;
    case NEWS_FAILED:
        opcode = PROTO_FAILED;
        message.failed.serial = lease->serial;
        message.failed.failure = lease->failure;
        memcpy(message.failed.app, lease->name, sizeof(lease->name));
        memcpy(message.failed.text, lease->text, sizeof(lease->text));
        break;
    case NEWS_STARTING:
    case NEWS_GONE:
        opcode = lease->news == NEWS_GONE ? PROTO_GONE : PROTO_STARTING;
        message.lease.serial = lease->serial;
        memcpy(message.lease.app, lease->name, sizeof(lease->name));
        break;
    }
    if (!client_send(lease->client, opcode, &message))
        return false;
    lease->news = NEWS_NONE;
    if (lease->app)
        return true;
    lease_free(lease);
    return false;
}

void lease_send(struct lease *lease) {
    union proto_message message = {0};

    if (!lease_send_news(lease) || !lease->progress)
        return;
    message.progress.serial = lease->serial;
    message.progress.state = lease->state;
    memcpy(message.progress.app, lease->name, sizeof(lease->name));
    if (client_send(lease->client, PROTO_PROGRESS, &message))
        lease->progress = false;
}

/* The app, if any, has done with it; it lives on only until its front knows. */
static void lease_end(struct lease *lease) {
    lease->progress = false;
    if (!lease->app)
        return;
    TAILQ_REMOVE(&lease->app->leases, lease, in_app);
    lease->app->n_leases--;
    lease->app = NULL;
}

void lease_tell_starting(struct lease *lease) {
    if (lease->news == NEWS_STARTING)
        return;
    lease->told.family = AF_UNSPEC;
    lease->news = NEWS_STARTING;
    lease->waits = true;
    lease->progress = false;
    lease->state = PROTO_STATE_STARTING;
    lease_send(lease);
}

void lease_tell_progress(struct lease *lease, enum proto_state state) {
    if (!lease->waits || lease->state == state)
        return;
    lease->state = state;
    lease->progress = true;
    lease_send(lease);
}

void lease_tell_ready(struct lease *lease, const struct proto_address *address) {
    if (memcmp(&lease->told, address, sizeof(*address)) == 0)
        return;
    lease->told = *address;
    lease->news = NEWS_READY;
    lease->waits = lease->progress = false;
    lease_send(lease);
}

void lease_tell_failed(struct lease *lease, enum proto_failure failure, const char *text) {
    lease->failure = failure;
    snprintf(lease->text, sizeof(lease->text), "%s", text);
    lease->news = NEWS_FAILED;
    lease_end(lease);
    lease_send(lease);
}

void lease_tell_gone(struct lease *lease) {
    lease->news = NEWS_GONE;
    lease_end(lease);
    lease_send(lease);
}
