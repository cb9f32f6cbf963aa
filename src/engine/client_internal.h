/*
 * client_internal.h - one connection to the engine, for client.c, client_leases.c, client_logs.c and
 * request.c.
 */
#pragma once

#include "app.h"
#include "client.h"
#include "table.h"

enum client_state {
    CLIENT_IDLE,     /* no request under way; fronts are always idle */
    CLIENT_SETTLING, /* LIST, STATUS or SLEEP waits until Docker has answered */
    CLIENT_LISTING,  /* the apps of the scope are sent, those behind last */
    CLIENT_WATCHING, /* WAKE with PROTO_WAKE_WAIT: the same, each until it is ready or has failed */
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
    bool blocked; /* the socket is full; EPOLLOUT is waited for */
    size_t n_leases;
    TAILQ_HEAD(, lease) leases; /* the ended ones with unsent news too */
    size_t n_readings;
    TAILQ_HEAD(, reading) readings; /* logs: client_logs.c */

    char scope[TABLE_SCOPE_MAX]; /* what the request is about */
    char last[PROTO_NAME_MAX];   /* CLIENT_LISTING, CLIENT_WATCHING: the last app of it so far */
    struct app *app;             /* he is among its watchers; NULL: none, or it has gone */
    bool sleep;                  /* CLIENT_SETTLING: the scope is to be put to sleep then */
    bool news;                   /* the watched app changed since it was last sent */
    bool over;                   /* the watched app is ready or has failed */
    uint32_t result;             /* CLIENT_ENDING, and CLIENT_WATCHING so far */
    const char *text;
    sd_event_source *settle;    /* CLIENT_SETTLING: its end */
    TAILQ_ENTRY(client) in_app; /* app->watchers */
    TAILQ_ENTRY(client) in_server;
};

/* --- client.c: what is said to him ------------------------------------------------------------- */

/* Returns whether the packet is on its way; if not, the client is blocked or dead. */
bool client_send(struct client *client, enum proto_opcode opcode, union proto_message *message);
/* Sends what the client has yet to be told, as far as his socket takes it. */
void client_flush(struct client *client);
/* The request is answered: END goes out with the next flush. text is borrowed. */
void client_end(struct client *client, uint32_t result, const char *text);
/* He is told of this app's changes while he is watching; while he is settling it is only kept. */
void client_watch(struct client *client, struct app *app);
void client_unwatch(struct client *client);

/* --- client_leases.c --------------------------------------------------------------------------- */

/* A lease of his that no app knows of yet. NULL: out of memory. */
struct lease *lease_new(struct client *client, const struct proto_lease *request);
/* The app is told, the front is not. */
void lease_free(struct lease *lease);
/* Sends its news, as far as the socket takes them; the lease may be gone then. */
void lease_send(struct lease *lease);

/* --- client_logs.c: the logs that he asked for ------------------------------------------------- */

/* LOGS. Returns 0, or why the client has to go. */
int client_logs_ask(struct client *client, const struct proto_logs *request);
void client_logs_flush(struct client *client);
void client_logs_done(struct client *client);

/* --- request.c: what he asks ------------------------------------------------------------------- */

/* Returns 0, or why the client has to go. */
int client_handle(struct client *client, const union proto_message *message);
/* Docker has answered everything, or the time for it is over: the request is answered. */
void client_answer(struct client *client);
