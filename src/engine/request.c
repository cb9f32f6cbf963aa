/*
 * request.c - what may be asked of the engine, by whom, in which state.
 *
 * The permit table is at the end. A handler returns 0, or a negative errno for what ends the
 * connection: a flag that does not exist, a second lease on one app, or a lease on an app that is not
 * in the table. A front names apps of its own table only; a name that is unknown here says that the
 * two tables differ, and the front has to begin anew.
 */
#include <stdio.h>
#include <string.h>

#include "client_internal.h"

/* An administrator's question waits at most so long for Docker's first answer. */
#define SETTLE_TIMEOUT (5 * USEC_PER_SEC)

static const char no_such_app[] = "there is no such app";

/* --- requests of a front -------------------------------------------------------------------- */

static struct lease *find_lease(struct client *client, const struct app *app) {
    struct lease *lease;

    TAILQ_FOREACH (lease, &client->leases, in_client)
        if (lease->app == app)
            return lease;
    return NULL;
}

/* A front with a newer table, or one that makes names up: it is told, and has to begin anew. */
static int refuse_unknown(struct client *client, const struct proto_lease *request) {
    union proto_message message = {0};

    message.failed.serial = request->serial;
    message.failed.failure = PROTO_FAILURE_UNKNOWN_APP;
    memcpy(message.failed.app, request->app, sizeof(request->app));
    snprintf(message.failed.text, sizeof(message.failed.text), "the engine knows no such app");
    client_send(client, PROTO_FAILED, &message);
    return -ENOENT;
}

static int on_lease(struct client *client, const union proto_message *message) {
    struct engine *engine = client->engine;
    const struct proto_lease *request = &message->lease;
    struct app *app = engine_find_app(engine, request->app);
    struct lease *lease;

    if (request->flags & ~(uint32_t)PROTO_LEASE_DOUBT)
        return -EBADMSG;
    if (!app)
        return refuse_unknown(client, request);
    engine_look(engine);

    lease = find_lease(client, app);
    if (request->flags & PROTO_LEASE_DOUBT) {
        if (!lease || lease->serial != request->serial)
            return 0; /* it has ended meanwhile, and the front will hear so */
        lease->news = NEWS_NONE;
        lease->told.family = AF_UNSPEC;
        app_doubt(app, lease);
        return 0;
    }
    if (lease)
        return -EPERM; /* one for each app */
    lease = calloc(1, sizeof(*lease));
    if (!lease)
        return -ENOMEM;
    lease->client = client;
    lease->app = app;
    lease->serial = request->serial;
    memcpy(lease->name, request->app, sizeof(lease->name));
    TAILQ_INSERT_TAIL(&client->leases, lease, in_client);
    TAILQ_INSERT_TAIL(&app->leases, lease, in_app);
    app->n_leases++;
    app_leases_changed(app);
    app_wake(app, lease);
    return 0;
}

static int on_release(struct client *client, const union proto_message *message) {
    struct app *app = engine_find_app(client->engine, message->lease.app);
    struct lease *lease = app ? find_lease(client, app) : NULL;

    if (message->lease.flags)
        return -EBADMSG;
    if (lease && lease->serial == message->lease.serial) /* else it crossed with GONE or FAILED */
        lease_free(lease);
    return 0;
}

/* --- requests of an administrator ----------------------------------------------------------- */

void client_answer(struct client *client) {
    struct app *app = engine_find_app(client->engine, client->name);

    client->settle = sd_event_source_disable_unref(client->settle);
    if (app) {
        client_end_with(client, app, 0, "");
    } else if (client->name[0]) { /* a reload has taken it away meanwhile */
        client_end(client, ENOENT, no_such_app);
        client_flush(client);
    } else {
        client->state = CLIENT_LISTING;
        client->next = 0;
        client_flush(client);
    }
}

static int on_settle_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
    (void)source;
    (void)usec;
    client_answer(userdata); /* with "unknown", which is the truth */
    return 0;
}

static int client_settle(struct client *client, const char *name) {
    struct engine *engine = client->engine;

    engine_look(engine);
    snprintf(client->name, sizeof(client->name), "%s", name);
    if (engine_is_settled(engine)) {
        client_answer(client);
        return 0;
    }
    client->state = CLIENT_SETTLING;
    return sd_event_add_time_relative(engine->event, &client->settle, CLOCK_MONOTONIC,
                                      SETTLE_TIMEOUT, ENGINE_TIMER_COARSE, on_settle_timeout,
                                      client);
}

static int on_list_request(struct client *client, const union proto_message *message) {
    (void)message;
    return client_settle(client, "");
}

/* The app that a request names; where there is none, the request is answered. */
static struct app *requested_app(struct client *client, const union proto_message *message) {
    struct app *app = engine_find_app(client->engine, message->request.app);

    if (!app) {
        client_end(client, ENOENT, no_such_app);
        client_flush(client);
    }
    return app;
}

static int on_status(struct client *client, const union proto_message *message) {
    struct app *app = requested_app(client, message);

    if (message->request.flags)
        return -EBADMSG;
    return app ? client_settle(client, app->config->name) : 0;
}

static int on_wake(struct client *client, const union proto_message *message) {
    struct app *app = requested_app(client, message);

    if (message->request.flags & ~(uint32_t)PROTO_WAKE_WAIT)
        return -EBADMSG;
    if (!app)
        return 0;
    engine_look(client->engine);
    if (message->request.flags & PROTO_WAKE_WAIT) {
        client->state = CLIENT_WATCHING;
        client->app = app;
        client->news = false;
        TAILQ_INSERT_TAIL(&app->watchers, client, in_app);
        app_wake(app, NULL);
    } else {
        app_wake(app, NULL);
        client_end_with(client, app, 0, "");
    }
    return 0;
}

static int on_sleep(struct client *client, const union proto_message *message) {
    struct app *app = requested_app(client, message);

    if (message->request.flags)
        return -EBADMSG;
    if (!app)
        return 0;
    engine_look(client->engine);
    app_sleep(app);
    client_end_with(client, app, 0, "");
    return 0;
}

/* --- permits ----------------------------------------------------------------------------------- */

/* Who may ask what, and when: a set of client states. Nothing else is answered. */
static const struct permit {
    enum client_kind kind;
    enum proto_opcode opcode;
    unsigned states;
    int (*handle)(struct client *client, const union proto_message *message);
} permits[] = {
    {CLIENT_FRONT, PROTO_LEASE, 1 << CLIENT_IDLE, on_lease},
    {CLIENT_FRONT, PROTO_RELEASE, 1 << CLIENT_IDLE, on_release},
    {CLIENT_ADMIN, PROTO_LIST, 1 << CLIENT_IDLE, on_list_request},
    {CLIENT_ADMIN, PROTO_STATUS, 1 << CLIENT_IDLE, on_status},
    {CLIENT_ADMIN, PROTO_WAKE, 1 << CLIENT_IDLE, on_wake},
    {CLIENT_ADMIN, PROTO_SLEEP, 1 << CLIENT_IDLE, on_sleep},
};

int client_handle(struct client *client, const union proto_message *message) {
    for (size_t i = 0; i < ARRAY_SIZE(permits); i++)
        if (permits[i].kind == client->kind && permits[i].opcode == message->header.opcode)
            return (permits[i].states & (1u << client->state)) ? permits[i].handle(client, message)
                                                               : -EPERM;
    return -EPERM;
}
