/*
 * client_internal.h - one connection to the engine, for client.c and request.c.
 */
#pragma once

#include "app.h"
#include "client.h"

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
    struct engine *engine;
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

/* --- client.c: what is said to him ------------------------------------------------------------- */

/* Returns whether the packet is on its way; if not, the client is blocked or dead. */
bool client_send(struct client *client, enum proto_opcode opcode, union proto_message *message);
/* Sends what the client has yet to be told, as far as his socket takes it. */
void client_flush(struct client *client);
/* The request is answered: END goes out with the next flush. text is borrowed. */
void client_end(struct client *client, uint32_t result, const char *text);
/* The last word on app: it, as it is now, and END. */
void client_end_with(struct client *client, struct app *app, uint32_t result, const char *text);
/* The app is told, the front is not. */
void lease_free(struct lease *lease);

/* --- request.c: what he asks ------------------------------------------------------------------- */

/* Returns 0, or why the client has to go. */
int client_handle(struct client *client, const union proto_message *message);
/* Docker has answered everything, or the time for it is over: LIST or STATUS is answered. */
void client_answer(struct client *client);
