/*
 * lease_internal.h - what lease.c (leases and their users), lease_answer.c (what is said about them),
 * lease_client.c (the connection to the engine) and lease_logs.c (logs that were asked for) share.
 */
#pragma once

#include "lease.h"
#include "strmap.h"

struct lease {
    struct lease_client *client;
    char app[PROTO_NAME_MAX];
    bool asked, sent, ready; /* see lease.c */
    bool doubt;              /* the engine is to look again; only while sent */
    bool dirty;              /* on the client's list of those that have something to send */
    bool extended;           /* the deadline was already put off once */
    bool waking;      /* the engine said that it is waking the app, and not yet how it ended */
    bool known;       /* address is what the last READY said, and nothing has denied it */
    uint32_t serial;  /* of the last LEASE */
    uint32_t version; /* of the address: counts READYs */
    struct proto_address address;
    struct upstream_pool pool; /* upstream.c's */
    unsigned renewals;         /* leases that ended since the last READY */
    size_t n_users, n_wakers;  /* connections, waiting and busy; those of them that may wake */
    size_t n_waiters, n_waiting_wakers;
    TAILQ_HEAD(, lease_user) waiters;
    enum proto_state state;             /* of the wake that goes on */
    usec_t began;                       /* when the first came who waits for it */
    usec_t start_timeout, stop_timeout; /* of the app */
    struct timeout deadline;            /* for all waiters; runs from the first one on */
    struct timeout release;             /* the last user has left */
    struct timeout forget;              /* nothing is left to be done for it */
    usec_t complained;                  /* when an error was last logged; 0: never */
    TAILQ_ENTRY(lease) in_dirty;
    TAILQ_ENTRY(lease) in_all;
};

TAILQ_HEAD(lease_list, lease);

struct lease_client {
    struct source source; /* the connection to the engine */
    struct loop *loop;
    const char *path;
    const struct lease_handlers *handlers;
    struct strmap by_app;
    struct lease_list all, dirty;
    size_t n_idle;   /* leases that are only remembered: in the queue of forgets */
    uint32_t serial; /* the last one used */
    bool full;       /* the engine's queue takes no more for now */
    bool complained; /* that the engine cannot be reached */
    usec_t pause;    /* before the next attempt to connect; 0: at once */
    struct timeout retry;
    struct timeout_queue retries, deadlines, releases, forgets;
    struct task trim; /* forgets those beyond LEASES_IDLE_MAX */

    TAILQ_HEAD(, lease_log_reader) readers;
    struct task readers_lost; /* tells those whose connection has ended */
};

/* --- lease.c ----------------------------------------------------------------------------------- */

/* Its queues and tasks. */
void leases_init(struct lease_client *client);
/* Frees all. */
void leases_done(struct lease_client *client);
/* There is nothing left to be sent about it. */
void lease_clean(struct lease *lease);
/* The engine has ended it, or it was given back. */
void lease_end(struct lease *lease);
/* The engine has told how the wake ended, or nobody listens for it any more. */
void lease_wake_ended(struct lease *lease);
/* The address is not the app's any more. */
void lease_deny(struct lease *lease);
/* Takes it once more for those who still wait, unless one of them has seen to it already. */
void lease_renew(struct lease *lease);

/* Tell those who wait now. When ready, one may begin to wait anew, behind them, and end that. */
void waiters_ready(struct lease *lease);
void waiters_progress(struct lease *lease, enum proto_state state);
/* wakers: those who may wake it too; otherwise they go on waiting. */
void waiters_failed(struct lease *lease, bool wakers, enum proto_failure failure,
                    const char *reason);

/* --- lease_answer.c ---------------------------------------------------------------------------- */

/* Tells the engine what it has to know about one lease. Returns 0 or negative errno. */
int lease_send(struct lease *lease);
/* STARTING, PROGRESS, READY, FAILED or GONE came. */
void lease_answer(struct lease_client *client, const union proto_message *message);
/* The engine has forgotten all of them. */
void leases_lost(struct lease_client *client);

/* --- lease_client.c ---------------------------------------------------------------------------- */

/* Sends what is to be sent, as far as the engine takes it; connects if need be. */
void lease_client_flush(struct lease_client *client);

/* --- lease_logs.c ------------------------------------------------------------------------------ */

void lease_logs_init(struct lease_client *client);
/* The connection has ended: readers are told so, from the loop. */
void lease_logs_lost(struct lease_client *client);
/* Sends what could not be sent yet. Returns 0 or negative errno. */
int lease_logs_send(struct lease_client *client);
/* LOG or LOGS_END came. */
void lease_logs_answer(struct lease_client *client, const union proto_message *message);
