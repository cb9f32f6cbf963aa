/*
 * front_internal.h - what the front and its workers know of each other.
 *
 * The first worker's thread is the front's own: it gives orders, and every worker says at its desk
 * that it has carried out the last one. Nothing else decides when the front leaves:
 *
 *     ACCEPT  as at the start. After exit_idle without a connection: HOLD.
 *     HOLD    nobody accepts. When all have obeyed, nothing more can come in. Did a connection come
 *             meanwhile, ACCEPT again, since those that follow it would wait for its end; otherwise
 *             it is time to QUIT. Who connects in between waits in the backlog.
 *     STOP    nobody accepts any more, and connections without a request are closed. QUIT after the
 *             last one, or FRONT_STOP_TIMEOUT.
 *     QUIT    the loops end.
 *
 * A connection is counted from its accept to its end, in n_moving while it is in an inbox and in
 * n_conns afterwards. It is counted there before it is no more counted here, and n_moving is read
 * first: both 0 means that there is none.
 */
#pragma once

#include "front.h"
#include "listener.h"

enum front_order { ORDER_ACCEPT, ORDER_HOLD, ORDER_STOP, ORDER_QUIT };
enum {
    ORDER_STEP = 4
}; /* an order is a multiple of this, which tells it from others, and its kind */

struct front {
    const struct config_paths *paths;
    const char *engine_path;
    struct shared *shared;
    struct table *table;
    TAILQ_HEAD(, listener_socket) sockets;

    struct worker *workers[CONFIG_WORKERS_MAX]; /* the first n_workers run */
    atomic_uint n_workers;
    unsigned n_wanted; /* how many are to run */

    atomic_uint order;
    atomic_size_t n_conns, n_moving;
    atomic_uint_fast64_t idle_since; /* the end of the last connection so far, whose it was */
    atomic_uint_fast64_t exhausted;  /* when it was said that resources are out */
    atomic_bool leave_armed; /* the front looks at n_conns by itself, and is not to be told */
    atomic_int failed;       /* a loop's negative errno */

    bool started, stopping;
    struct timeout leave; /* end of exit_idle or FRONT_STOP_TIMEOUT */
    struct timeout_queue leaves;
};

/* --- worker.c ------------------------------------------------------------------------------------ */

/* A worker of the front, without a thread. Returns 0 or negative errno. */
int worker_new(struct front *front, struct worker **ret_worker);
/* Drops whatever is open. Its thread has ended. */
void worker_free(struct worker *worker);

/* Runs its loop in a thread of its own, until ORDER_QUIT. Returns 0 or negative errno. */
int worker_start(struct worker *worker);
void worker_join(struct worker *worker);

/* Has other look at its desk. This is worker's thread, and other may be the same. */
void worker_ring(struct worker *worker, struct worker *other);

/* Serves a connection, or gives it to a worker that has markedly fewer. */
void worker_accepted(struct worker *worker, const struct accepted *accepted);

/* --- front.c ------------------------------------------------------------------------------------- */

/* Something has changed that may be a reason to leave. In the first worker's thread. */
void front_consider(struct front *front);
/* Whether any connection is there, in any worker. */
bool front_is_busy(const struct front *front);
