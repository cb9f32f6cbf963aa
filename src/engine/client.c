/*
 * client.c - the engine's two sockets, and what may be said on them.
 *
 * Every packet passes proto_check() (version, opcode, exact size, channel) and then the permit
 * table below, which says what each kind of client may ask in which state. Whatever is not in it
 * ends the connection, and with it the client's leases; the engine goes on.
 *
 * Nothing is queued. What a client has yet to be told is state: a lease's news, an administrator's
 * place in the listing or the app he waits for. When his socket is full, the rest is sent once it
 * has room again, and then says what holds then.
 *
 * A client that has to go is only marked (dead), because the one who notices may be in the middle
 * of a list of leases; a deferred source frees it.
 */
#include "client.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "app.h"
#include "log.h"

enum {
    ACCEPT_BATCH = 64,  /* connections taken in one round of the loop */
    RECEIVE_BATCH = 64, /* packets taken from one client in one round */
};
/* A listener is left alone for so long when the process has no descriptor left. */
#define ACCEPT_PAUSE (100 * USEC_PER_MSEC)
/* An administrator's question waits at most so long for Docker's first answer. */
#define SETTLE_TIMEOUT (5 * USEC_PER_SEC)

enum client_state {
    CLIENT_IDLE,     /* no request under way; fronts are always idle */
    CLIENT_SETTLING, /* LIST or STATUS waits until Docker has answered */
    CLIENT_LISTING,  /* LIST: next is the app to be sent */
    CLIENT_WATCHING, /* WAKE with PROTO_WAKE_WAIT: app is watched */
    CLIENT_ENDING,   /* END, result and text, has yet to be sent */
    CLIENT_STATE_MAX,
};

struct client {
    struct server *server;
    enum client_kind kind;
    enum client_state state;
    int fd;
    sd_event_source *io;
    bool dead;
    bool blocked;               /* the socket is full; EPOLLOUT is waited for */
    TAILQ_HEAD(, lease) leases; /* the ended ones with unsent news too */

    char name[PROTO_NAME_MAX]; /* CLIENT_SETTLING: the app that STATUS asks for; "": LIST */
    struct app *app;           /* the request's; NULL: LIST, or it has gone */
    size_t next;               /* CLIENT_LISTING */
    bool news;                 /* the watched app changed since it was last sent */
    uint32_t result;           /* CLIENT_ENDING */
    const char *text;
    sd_event_source *settle;    /* CLIENT_SETTLING: its end */
    TAILQ_ENTRY(client) in_app; /* app->watchers, while CLIENT_WATCHING */
    TAILQ_ENTRY(client) in_server;
};

struct listener {
    struct server *server;
    enum client_kind kind;
    int fd;
    size_t n, max;
    sd_event_source *io;
    sd_event_source *resume; /* ends ACCEPT_PAUSE */
};

struct server {
    struct engine *engine;
    struct listener listeners[CLIENT_KIND_MAX];
    TAILQ_HEAD(, client) clients;
    sd_event_source *reaper;
};

static const char no_such_app[] = "there is no such app";

static void client_flush(struct client *client);

/* --- dying ---------------------------------------------------------------------------------- */

static void client_kill(struct client *client) {
    if (client->dead)
        return;
    client->dead = true;
    sd_event_source_set_enabled(client->io, SD_EVENT_OFF);
    sd_event_source_set_enabled(client->server->reaper, SD_EVENT_ONESHOT);
}

static void lease_free(struct lease *lease) {
    struct app *app = lease->app;

    TAILQ_REMOVE(&lease->client->leases, lease, in_client);
    if (app) {
        TAILQ_REMOVE(&app->leases, lease, in_app);
        app->n_leases--;
    }
    free(lease);
    if (app)
        app_leases_changed(app);
}

static void client_unwatch(struct client *client) {
    if (client->state == CLIENT_WATCHING && client->app)
        TAILQ_REMOVE(&client->app->watchers, client, in_app);
    client->app = NULL;
}

static void client_free(struct client *client) {
    struct lease *lease;

    while ((lease = TAILQ_FIRST(&client->leases)))
        lease_free(lease);
    client_unwatch(client);
    TAILQ_REMOVE(&client->server->clients, client, in_server);
    client->server->listeners[client->kind].n--;
    sd_event_source_disable_unref(client->settle);
    sd_event_source_disable_unref(client->io);
    safe_close(client->fd);
    free(client);
}

static int on_reap(sd_event_source *source, void *userdata) {
    struct server *server = userdata;
    struct client *client = TAILQ_FIRST(&server->clients), *next;

    (void)source;
    for (; client; client = next) {
        next = TAILQ_NEXT(client, in_server);
        if (client->dead)
            client_free(client);
    }
    return 0;
}

/* --- sending -------------------------------------------------------------------------------- */

/* Returns whether the packet is on its way; if not, the client is blocked or dead. */
static bool client_send(struct client *client, enum proto_opcode opcode,
                        union proto_message *message) {
    int r;

    if (client->dead || client->blocked)
        return false;
    r = proto_send(client->fd, opcode, message);
    if (r == 0)
        return true;
    if (r == -EAGAIN) {
        client->blocked = true;
        sd_event_source_set_io_events(client->io, EPOLLIN | EPOLLOUT);
    } else {
        client_kill(client);
    }
    return false;
}

static void lease_send(struct lease *lease) {
    union proto_message message = {0};
    enum proto_opcode opcode = PROTO_GONE;

    switch (lease->news) {
    case NEWS_NONE:
        return;
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
        return;
    lease->news = NEWS_NONE;
    if (!lease->app)
        lease_free(lease);
}

/* The app has done with it; it lives on only until its front knows. */
static void lease_end(struct lease *lease) {
    TAILQ_REMOVE(&lease->app->leases, lease, in_app);
    lease->app->n_leases--;
    lease->app = NULL;
}

void lease_tell_starting(struct lease *lease) {
    if (lease->news == NEWS_STARTING)
        return;
    lease->told.family = AF_UNSPEC;
    lease->news = NEWS_STARTING;
    lease_send(lease);
}

void lease_tell_ready(struct lease *lease, const struct proto_address *address) {
    if (memcmp(&lease->told, address, sizeof(*address)) == 0)
        return;
    lease->told = *address;
    lease->news = NEWS_READY;
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

static bool client_send_app(struct client *client, const struct app *app) {
    union proto_message message;

    app_describe(app, &message.app);
    return client_send(client, PROTO_APP, &message);
}

static void client_end(struct client *client, uint32_t result, const char *text) {
    client_unwatch(client);
    client->state = CLIENT_ENDING;
    client->result = result;
    client->text = text;
}

/* Sends what the client has yet to be told, as far as his socket takes it. */
static void client_flush(struct client *client) {
    union proto_message message = {0};
    struct engine *engine = client->server->engine;
    struct lease *lease, *next;

    for (lease = TAILQ_FIRST(&client->leases); lease && !client->blocked; lease = next) {
        next = TAILQ_NEXT(lease, in_client);
        lease_send(lease);
    }
    if (client->state == CLIENT_LISTING) {
        while (client->next < engine->n_apps && client_send_app(client, engine->apps[client->next]))
            client->next++;
        if (client->next >= engine->n_apps)
            client_end(client, 0, "");
    }
    if (client->state == CLIENT_WATCHING && client->news && client_send_app(client, client->app))
        client->news = false;
    if (client->state == CLIENT_ENDING && client->app && client_send_app(client, client->app))
        client->app = NULL;
    if (client->state == CLIENT_ENDING && !client->app) {
        message.end.result = client->result;
        snprintf(message.end.text, sizeof(message.end.text), "%s", client->text);
        if (client_send(client, PROTO_END, &message))
            client->state = CLIENT_IDLE;
    }
}

/* The last word on app: it, as it is now, and END. */
static void client_end_with(struct client *client, struct app *app, uint32_t result,
                            const char *text) {
    client_end(client, result, text);
    client->app = app;
    client_flush(client);
    if (client->state == CLIENT_ENDING) /* blocked: the app may be gone when there is room again */
        client->app = NULL;
}

void watchers_tell(struct app *app, bool ended) {
    struct client *client = TAILQ_FIRST(&app->watchers), *next;

    for (; client; client = next) {
        next = TAILQ_NEXT(client, in_app);
        if (!ended) {
            client->news = true;
            client_flush(client);
        } else if (app->state == APP_READY) {
            client_end_with(client, app, 0, "");
        } else {
            client_end_with(client, app, EIO, "it did not become ready");
        }
    }
}

/* --- requests of a front -------------------------------------------------------------------- */

static struct lease *find_lease(struct client *client, const struct app *app) {
    struct lease *lease;

    TAILQ_FOREACH(lease, &client->leases, in_client)
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
    struct engine *engine = client->server->engine;
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
    struct app *app = engine_find_app(client->server->engine, message->lease.app);
    struct lease *lease = app ? find_lease(client, app) : NULL;

    if (message->lease.flags)
        return -EBADMSG;
    if (lease && lease->serial == message->lease.serial) /* else it crossed with GONE or FAILED */
        lease_free(lease);
    return 0;
}

/* --- requests of an administrator ----------------------------------------------------------- */

static void client_answer(struct client *client) {
    struct app *app = engine_find_app(client->server->engine, client->name);

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
    struct client *client = userdata;

    (void)source;
    (void)usec;
    client->settle = sd_event_source_disable_unref(client->settle);
    if (client->state == CLIENT_SETTLING)
        client_answer(client); /* with "unknown", which is the truth */
    return 0;
}

void server_settled(struct server *server) {
    struct client *client;

    TAILQ_FOREACH(client, &server->clients, in_server)
    if (client->state == CLIENT_SETTLING && !client->dead) {
        client->settle = sd_event_source_disable_unref(client->settle);
        client_answer(client);
    }
}

static int client_settle(struct client *client, const char *name) {
    struct engine *engine = client->server->engine;

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
    struct app *app = engine_find_app(client->server->engine, message->request.app);

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
    engine_look(client->server->engine);
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
    engine_look(client->server->engine);
    app_sleep(app);
    client_end_with(client, app, 0, "");
    return 0;
}

/* --- receiving ------------------------------------------------------------------------------ */

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

static const enum proto_channel channels[] = {
    [CLIENT_FRONT] = PROTO_FRONT_TO_ENGINE,
    [CLIENT_ADMIN] = PROTO_ADMIN_TO_ENGINE,
};

static int client_handle(struct client *client, const union proto_message *message) {
    for (size_t i = 0; i < ARRAY_SIZE(permits); i++)
        if (permits[i].kind == client->kind && permits[i].opcode == message->header.opcode)
            return (permits[i].states & (1u << client->state)) ? permits[i].handle(client, message)
                                                               : -EPERM;
    return -EPERM;
}

static int on_client(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
    struct client *client = userdata;
    union proto_message message;

    (void)source;
    if (revents & EPOLLOUT) {
        client->blocked = false;
        sd_event_source_set_io_events(client->io, EPOLLIN);
        client_flush(client);
    }
    if (!(revents & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return 0;
    for (int i = 0; i < RECEIVE_BATCH && !client->dead; i++) {
        int r = proto_receive(fd, channels[client->kind], &message);

        if (r == -EAGAIN)
            break;
        if (r > 0)
            r = client_handle(client, &message);
        else if (r == 0)
            r = -ECONNRESET;
        if (r >= 0)
            continue;
        if (r != -ECONNRESET)
            log_warning("%s cut off: %s",
                        client->kind == CLIENT_FRONT ? "a front" : "an administrator",
                        strerror(-r));
        client_kill(client);
    }
    return 0;
}

/* --- listening ------------------------------------------------------------------------------ */

static int client_new(struct listener *listener, int fd) {
    struct client *client = calloc(1, sizeof(*client));
    int r;

    if (!client)
        return -ENOMEM;
    client->server = listener->server;
    client->kind = listener->kind;
    client->fd = fd;
    TAILQ_INIT(&client->leases);
    r = sd_event_add_io(listener->server->engine->event, &client->io, fd, EPOLLIN, on_client,
                        client);
    if (r < 0) {
        free(client);
        return r;
    }
    TAILQ_INSERT_TAIL(&listener->server->clients, client, in_server);
    listener->n++;
    return 0;
}

static void listener_pause(struct listener *listener) {
    sd_event_source_set_enabled(listener->io, SD_EVENT_OFF);
    sd_event_source_set_time_relative(listener->resume, ACCEPT_PAUSE);
    sd_event_source_set_enabled(listener->resume, SD_EVENT_ONESHOT);
}

static int on_resume(sd_event_source *source, uint64_t usec, void *userdata) {
    struct listener *listener = userdata;

    (void)source;
    (void)usec;
    return sd_event_source_set_enabled(listener->io, SD_EVENT_ON);
}

static int on_listener(sd_event_source *source, int listener_fd, uint32_t revents, void *userdata) {
    struct listener *listener = userdata;

    (void)source;
    (void)revents;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        auto_close int fd = accept4(listener_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        int r;

        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
                log_error("no connection can be accepted: %m");
                listener_pause(listener);
            }
            break; /* EAGAIN; whatever else ended a connection that is gone already */
        }
        if (listener->n >= listener->max) {
            log_warning("more than %zu connections: one refused", listener->max);
            continue;
        }
        r = client_new(listener, fd);
        if (r < 0)
            log_error("a connection cannot be served: %s", strerror(-r));
        else
            take_fd(&fd);
    }
    return 0;
}

static int listener_init(struct listener *listener, struct server *server, enum client_kind kind,
                         int fd, size_t max) {
    sd_event *event = server->engine->event;
    int r;

    listener->server = server;
    listener->kind = kind;
    listener->fd = fd;
    listener->max = max;
    if (fd < 0)
        return 0;
    /* systemd passes listeners as they are: blocking. */
    r = set_nonblock(fd);
    if (r < 0)
        return r;
    r = sd_event_add_io(event, &listener->io, fd, EPOLLIN, on_listener, listener);
    if (r >= 0)
        r = sd_event_add_time_relative(event, &listener->resume, CLOCK_MONOTONIC, 0,
                                       ENGINE_TIMER_COARSE, on_resume, listener);
    if (r >= 0)
        r = sd_event_source_set_enabled(listener->resume, SD_EVENT_OFF);
    if (r >= 0)
        on_listener(listener->io, fd, EPOLLIN, listener); /* who waits already is not idle */
    return r;
}

bool server_is_idle(const struct server *server) {
    return TAILQ_EMPTY(&server->clients);
}

int server_new(struct engine *engine, int front_fd, int admin_fd, struct server **ret_server) {
    struct server *server = calloc(1, sizeof(*server));
    int r;

    if (!server)
        return -ENOMEM;
    server->engine = engine;
    server->listeners[CLIENT_FRONT].fd = front_fd;
    server->listeners[CLIENT_ADMIN].fd = admin_fd;
    TAILQ_INIT(&server->clients);
    r = sd_event_add_defer(engine->event, &server->reaper, on_reap, server);
    if (r >= 0)
        r = sd_event_source_set_enabled(server->reaper, SD_EVENT_OFF);
    if (r >= 0)
        r = listener_init(&server->listeners[CLIENT_FRONT], server, CLIENT_FRONT, front_fd,
                          SERVER_FRONTS_MAX);
    if (r >= 0)
        r = listener_init(&server->listeners[CLIENT_ADMIN], server, CLIENT_ADMIN, admin_fd,
                          SERVER_ADMINS_MAX);
    if (r < 0) {
        server_free(server);
        return r;
    }
    *ret_server = server;
    return 0;
}

void server_free(struct server *server) {
    struct client *client;

    if (!server)
        return;
    while ((client = TAILQ_FIRST(&server->clients)))
        client_free(client);
    for (size_t i = 0; i < ARRAY_SIZE(server->listeners); i++) {
        sd_event_source_disable_unref(server->listeners[i].io);
        sd_event_source_disable_unref(server->listeners[i].resume);
        safe_close(server->listeners[i].fd);
    }
    sd_event_source_disable_unref(server->reaper);
    free(server);
}
