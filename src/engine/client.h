/*
 * client.h - the engine's two sockets and who is connected to them.
 */
#pragma once

#include <sys/queue.h>

#include "engine.h"
#include "proto.h"

enum {
    SERVER_FRONTS_MAX = 8192, /* one for each front: with Accept=yes that is one a connection */
    SERVER_ADMINS_MAX = 64,
    CLIENT_LEASES_MAX =
        2 * CONFIG_APPS_MAX, /* of one front, the ended ones that it has not read of too */
    CLIENT_LOGS_MAX = 256,   /* that one front has asked for and not read to the end */
};

enum client_kind { CLIENT_FRONT, CLIENT_ADMIN, CLIENT_KIND_MAX };

/*
 * What a lease's front has yet to be told. The newest replaces an older one that was not sent; behind
 * STARTING comes the progress that there was meanwhile.
 */
enum lease_news { NEWS_NONE, NEWS_STARTING, NEWS_READY, NEWS_FAILED, NEWS_GONE };

/* One app that one front has busy. */
struct lease {
    struct client *client;
    struct app *app; /* NULL: ended, and only waits for its last news to be sent */
    uint32_t serial;
    enum lease_news news;
    struct proto_address told; /* the address of the last READY; AF_UNSPEC: none */
    bool waits;                /* STARTING was told, or is to be, and nothing since */
    bool progress;             /* state has yet to be told */
    enum proto_state state;    /* of its wake, as last told or to be told */
    uint32_t failure;          /* NEWS_FAILED */
    char text[PROTO_TEXT_MAX];
    char name[PROTO_NAME_MAX]; /* of the app, which may be gone */
    TAILQ_ENTRY(lease) in_app;
    TAILQ_ENTRY(lease) in_client;
};

struct server;

/* The descriptors are taken over; -1: that socket is not served. */
int server_new(struct engine *engine, int front_fd, int admin_fd, struct server **ret_server);
void server_free(struct server *server);

/* Nobody is connected. */
bool server_is_idle(const struct server *server);

/* Docker has answered everything: requests that waited for that are answered. */
void server_settled(struct server *server);

/* Sends news to a lease's front, now or as soon as its queue has room. FAILED and GONE end it. */
void lease_tell_starting(struct lease *lease);
/* While it waits; does nothing for one that has heard of this state already. */
void lease_tell_progress(struct lease *lease, enum proto_state state);
void lease_tell_ready(struct lease *lease, const struct proto_address *address);
void lease_tell_failed(struct lease *lease, enum proto_failure failure, const char *text);
void lease_tell_gone(struct lease *lease);

/* The app changed: an administrator who waits for it is told. ended: it is the last he hears of it.
 */
void watchers_tell(struct app *app, bool ended);
/* The app is about to be freed. */
void watchers_part(struct app *app);
