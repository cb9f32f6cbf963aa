/*
 * request.c - what may be asked of the engine, by whom, in which state.
 *
 * The permit table is at the end. A handler returns 0, or a negative errno for what ends the
 * connection: a flag that does not exist, a second lease on one app, or a lease on an app that is not
 * in the table. A front names apps of its own table and their instances only; a name that is unknown
 * here says that the two tables differ, and the front has to begin anew.
 */
#include <stdio.h>
#include <string.h>

#include "client_internal.h"
#include "container.h"

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

/* Another FAILED for a lease that no app has seen. */
static int refuse(struct client *client, const struct proto_lease *request,
                  enum proto_failure failure, const char *text) {
    struct lease *lease = lease_new(client, request);

    if (!lease)
        return -ENOMEM;
    lease_tell_failed(lease, failure, text);
    return 0;
}

static int refuse_instance(struct client *client, const struct proto_lease *request, int error) {
    switch (error) {
    case -ENOENT:
    case -EINVAL:
        return refuse_unknown(client, request);
    case -ENOEXEC:
        return refuse(client, request, PROTO_FAILURE_BROKEN_APP, "its configuration has errors");
    case -EUSERS:
        return refuse(client, request, PROTO_FAILURE_DOCKER,
                      "too many instances of templates are awake or asked for");
    default:
        return error;
    }
}

/* DOUBT: one that is still held. One that has ended meanwhile does not count: the front will hear. */
static void renew(struct client *client, struct app *app, const struct proto_lease *request) {
    struct lease *lease = app ? find_lease(client, app) : NULL;

    if (!lease || lease->serial != request->serial)
        return;
    lease->news = NEWS_NONE;
    lease->told.family = AF_UNSPEC;
    app_doubt(app, lease, !(request->flags & PROTO_LEASE_AWAKE));
}

static int on_lease(struct client *client, const union proto_message *message) {
    struct engine *engine = client->engine;
    const struct proto_lease *request = &message->lease;
    struct app *app = engine_find_app(engine, request->app);
    bool wake = !(request->flags & PROTO_LEASE_AWAKE);
    struct lease *lease;
    int r = 0;

    if (request->flags & ~(uint32_t)(PROTO_LEASE_DOUBT | PROTO_LEASE_AWAKE))
        return -EBADMSG;
    if (request->flags & PROTO_LEASE_DOUBT) {
        renew(client, app, request);
        return 0;
    }
    if (client->n_leases >= CLIENT_LEASES_MAX)
        return -ENOBUFS;
    if (app && find_lease(client, app))
        return -EPERM; /* one for each app */
    if (!app)
        r = wake ? table_get(engine, request->app, &app)
                 : table_check_instance(engine, request->app);
    if (r < 0)
        return refuse_instance(client, request, r);
    if (!wake && (!app || !app_is_awake(app)))
        return refuse(client, request, PROTO_FAILURE_ASLEEP, "it is asleep");
    lease = lease_new(client, request);
    if (!lease)
        return -ENOMEM;
    lease->app = app;
    TAILQ_INSERT_TAIL(&app->leases, lease, in_app);
    app->n_leases++;
    app_leases_changed(app);
    if (wake) {
        engine_look(engine);
        app_wake(app, lease);
    } else {
        app_join(app, lease);
    }
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

static int on_logs(struct client *client, const union proto_message *message) {
    return client_logs_ask(client, &message->logs);
}

/* --- requests of an administrator ----------------------------------------------------------- */

static int answer(struct client *client, uint32_t result, const char *text) {
    client_end(client, result, text);
    client_flush(client);
    return 0;
}

void client_answer(struct client *client) {
    struct engine *engine = client->engine;
    struct app *app = NULL;

    client->settle = sd_event_source_disable_unref(client->settle);
    client_unwatch(client);
    if (client->scope[0] && !table_next(engine, client->scope, "") &&
        !table_is_template(engine, client->scope)) { /* a reload has taken it away meanwhile */
        answer(client, ENOENT, no_such_app);
        return;
    }
    while (client->sleep && (app = table_next(engine, client->scope, app ? app->config->name : "")))
        app_sleep(app);
    client->state = CLIENT_LISTING;
    client_flush(client);
}

static int on_settle_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
    (void)source;
    (void)usec;
    client_answer(userdata); /* with what is known, which is the truth */
    return 0;
}

/* A new request. */
static void client_begin(struct client *client) {
    client->scope[0] = client->last[0] = '\0';
    client->sleep = false;
    client->result = 0;
    client->text = "";
}

/* The request is about the scope, and answered when Docker has said what it does. */
static int client_settle(struct client *client) {
    struct engine *engine = client->engine;
    struct app *app = client->scope[0] ? engine_find_app(engine, client->scope) : NULL;

    engine_look(engine);
    if (app && app->labelled && !app->looked)
        container_look(app->container);
    if (engine_is_settled(engine)) {
        client_answer(client);
        return 0;
    }
    client->state = CLIENT_SETTLING;
    if (app)
        client_watch(client, app);
    return sd_event_add_time_relative(engine->event, &client->settle, CLOCK_MONOTONIC,
                                      SETTLE_TIMEOUT, ENGINE_TIMER_COARSE, on_settle_timeout,
                                      client);
}

static int on_list_request(struct client *client, const union proto_message *message) {
    (void)message;
    client_begin(client);
    return client_settle(client);
}

/* Begins with the scope that a request names. false: there is none, and the request is answered. */
static bool client_begin_with(struct client *client, const struct proto_request *request) {
    int r;

    client_begin(client);
    r = table_scope(client->engine, request->app, client->scope);
    if (r < 0)
        answer(client, r == -EINVAL || r == -ENOEXEC ? ENOENT : (uint32_t)-r,
               r == -EUSERS   ? "too many instances of templates are awake or asked for"
               : r == -ENOMEM ? "out of memory"
                              : no_such_app);
    return r == 0;
}

static int on_status(struct client *client, const union proto_message *message) {
    if (message->request.flags)
        return -EBADMSG;
    return client_begin_with(client, &message->request) ? client_settle(client) : 0;
}

static int on_wake(struct client *client, const union proto_message *message) {
    struct app *app = NULL;

    if (message->request.flags & ~(uint32_t)PROTO_WAKE_WAIT)
        return -EBADMSG;
    if (!client_begin_with(client, &message->request))
        return 0;
    if (table_is_template(client->engine, client->scope))
        return answer(client, EINVAL, "it is a template: wake one of its instances, NAME@INSTANCE");
    engine_look(client->engine);
    while ((app = table_next(client->engine, client->scope, app ? app->config->name : "")))
        app_wake(app, NULL);
    client->text = "it did not become ready"; /* said when result is not 0 */
    client->state = message->request.flags ? CLIENT_WATCHING : CLIENT_LISTING;
    client_flush(client);
    return 0;
}

static int on_sleep(struct client *client, const union proto_message *message) {
    if (message->request.flags)
        return -EBADMSG;
    if (!client_begin_with(client, &message->request))
        return 0;
    client->sleep = true;
    return client_settle(client);
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
    {CLIENT_FRONT, PROTO_LOGS, 1 << CLIENT_IDLE, on_logs},
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
