/*
 * client.c - the engine's two sockets, who is connected to them, and what they are told.
 *
 * Every packet passes proto_check() (version, opcode, exact size, channel) and then the permit table
 * of request.c. Whatever is in neither ends the connection, and with it the client's leases; the
 * engine goes on.
 *
 * Nothing is queued. What a client has yet to be told is state: a lease's news, an administrator's
 * place in the listing or the app he waits for. When his socket is full, the rest is sent once it
 * has room again, and then says what holds then.
 *
 * A client that has to go is only marked (dead), because the one who notices may be in the middle
 * of a list of leases; a deferred source frees it.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "client_internal.h"
#include "log.h"

enum {
    ACCEPT_BATCH = 64,  /* connections taken in one round of the loop */
    RECEIVE_BATCH = 64, /* packets taken from one client in one round */
};
/* A listener is left alone for so long when the process has no descriptor left. */
#define ACCEPT_PAUSE (100 * USEC_PER_MSEC)

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

/* --- dying ---------------------------------------------------------------------------------- */

static void client_kill(struct client *client) {
    if (client->dead)
        return;
    client->dead = true;
    sd_event_source_set_enabled(client->io, SD_EVENT_OFF);
    sd_event_source_set_enabled(client->server->reaper, SD_EVENT_ONESHOT);
}

void client_watch(struct client *client, struct app *app) {
    client->app = app;
    TAILQ_INSERT_TAIL(&app->watchers, client, in_app);
}

void client_unwatch(struct client *client) {
    if (!client->app)
        return;
    TAILQ_REMOVE(&client->app->watchers, client, in_app);
    table_suspect(client->app);
    client->app = NULL;
}

static void client_free(struct client *client) {
    struct lease *lease;

    while ((lease = TAILQ_FIRST(&client->leases)))
        lease_free(lease);
    client_logs_done(client);
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

bool client_send(struct client *client, enum proto_opcode opcode, union proto_message *message) {
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

static bool client_send_app(struct client *client, const struct app *app) {
    union proto_message message;

    app_describe(app, &message.app);
    return client_send(client, PROTO_APP, &message);
}

void client_end(struct client *client, uint32_t result, const char *text) {
    client_unwatch(client);
    client->state = CLIENT_ENDING;
    client->result = result;
    client->text = text;
}

static struct app *client_next_app(struct client *client) {
    struct app *app = table_next(client->engine, client->scope, client->last);

    if (!app)
        client_end(client, client->result, client->result ? client->text : "");
    return app;
}

static void client_flush_listing(struct client *client) {
    struct app *app;

    while ((app = client_next_app(client)) && client_send_app(client, app))
        snprintf(client->last, sizeof(client->last), "%s", app->config->name);
}

static void client_flush_watching(struct client *client) {
    struct app *app;

    for (;;) {
        if (client->app && client->news) {
            if (!client_send_app(client, client->app))
                return;
            client->news = false;
        }
        if (client->app && !client->over)
            return;
        client_unwatch(client);
        app = client_next_app(client);
        if (!app)
            return;
        snprintf(client->last, sizeof(client->last), "%s", app->config->name);
        client_watch(client, app);
        client->news = true;
        client->over = !app->demanded;
        if (client->over && app->state != APP_READY)
            client->result = EIO;
    }
}

void client_flush(struct client *client) {
    union proto_message message = {0};
    struct lease *lease, *next;

    for (lease = TAILQ_FIRST(&client->leases); lease && !client->blocked; lease = next) {
        next = TAILQ_NEXT(lease, in_client);
        lease_send(lease);
    }
    client_logs_flush(client);
    if (client->state == CLIENT_LISTING)
        client_flush_listing(client);
    if (client->state == CLIENT_WATCHING)
        client_flush_watching(client);
    if (client->state == CLIENT_ENDING) {
        message.end.result = client->result;
        snprintf(message.end.text, sizeof(message.end.text), "%s", client->text);
        if (client_send(client, PROTO_END, &message))
            client->state = CLIENT_IDLE;
    }
}

void watchers_tell(struct app *app, bool ended) {
    struct client *client = TAILQ_FIRST(&app->watchers), *next;

    for (; client; client = next) {
        next = TAILQ_NEXT(client, in_app);
        if (client->state != CLIENT_WATCHING)
            continue;
        client->news = true;
        client->over = client->over || ended;
        if (ended && app->state != APP_READY)
            client->result = EIO;
        client_flush(client);
    }
}

void watchers_part(struct app *app) {
    struct client *client;

    while ((client = TAILQ_FIRST(&app->watchers))) {
        client_unwatch(client);
        if (client->state != CLIENT_WATCHING)
            continue;
        client->result = EIO;
        client_flush(client);
    }
}

/* --- receiving --------------------------------------------------------------------------------- */

static const enum proto_channel channels[] = {
    [CLIENT_FRONT] = PROTO_FRONT_TO_ENGINE,
    [CLIENT_ADMIN] = PROTO_ADMIN_TO_ENGINE,
};

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
    client->engine = listener->server->engine;
    client->kind = listener->kind;
    client->fd = fd;
    TAILQ_INIT(&client->leases);
    TAILQ_INIT(&client->readings);
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

void server_settled(struct server *server) {
    struct client *client;

    TAILQ_FOREACH (client, &server->clients, in_server)
        if (client->state == CLIENT_SETTLING && !client->dead) {
            client->settle = sd_event_source_disable_unref(client->settle);
            client_answer(client);
        }
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
