/*
 * upstream.h - connections to backends, and those among them that wait for their next request.
 *
 * A connection is idle only when the answer before it was read to its end, the backend said that it
 * stays, and not a byte is left over. An idle one that becomes readable is closed: what a backend
 * says unasked belongs to nobody. It holds no lease: the app may go to sleep, and closes it by that.
 */
#pragma once

#include "proto.h"
#include "relay.h"

/* Idle connections are closed after so long; many servers close theirs after 5 s. */
#define UPSTREAM_IDLE (4 * USEC_PER_SEC)
/*
 * A request that cannot be sent twice takes only one that was busy within UPSTREAM_FRESH, and that has
 * shown that it stays open behind an answer: it has served two, or was idle for UPSTREAM_SETTLED.
 */
#define UPSTREAM_FRESH   (1 * USEC_PER_SEC)
#define UPSTREAM_SETTLED (10 * USEC_PER_MSEC)

enum { UPSTREAM_IDLE_MAX = 256 }; /* idle connections of one app in one worker */

struct conn;
struct upstream_pool;
struct worker;

struct upstream {
    struct side side;
    struct conn *conn;              /* who uses it; NULL: idle or dead */
    struct upstream_pool *pool;     /* idle: whose */
    struct upstream *newer, *older; /* idle: its neighbours in the pool */
    struct worker *worker;
    struct timeout idle;
    struct task release; /* its memory, once the turn is over */
    usec_t parked;       /* when it became idle */
    uint64_t owner;      /* serial of the only client it may serve (PROXY header); 0: any */
    unsigned served;     /* requests so far */
};

/* The idle ones of one app: embedded in its lease. All zero: none. The newest is taken first. */
struct upstream_pool {
    struct upstream *newest, *oldest;
    size_t n;
};

/* A worker's. */
struct upstreams {
    struct timeout_queue idles;
};

void upstreams_init(struct worker *worker);

/*
 * A connection for conn's use, not connected yet. fd is taken over in any case. NULL: no memory. It
 * calls conn_run() for each event.
 */
struct upstream *upstream_new(struct conn *conn, struct worker *worker, int fd);

/*
 * An idle connection for conn's use, or NULL. owner: as in struct upstream. fresh: see
 * UPSTREAM_FRESH; it is known to be open at this moment.
 */
struct upstream *upstream_take(struct upstream_pool *pool, struct conn *conn, uint64_t owner,
                               bool fresh);

/* Makes it idle, or closes it where it cannot be used again. */
void upstream_park(struct upstream *upstream, struct upstream_pool *pool);

/* Closes it, idle or not. NULL is nothing. */
void upstream_close(struct upstream *upstream);

/* Closes all idle ones of a pool: their address is not the app's any more. */
void upstream_pool_drop(struct upstream_pool *pool);
