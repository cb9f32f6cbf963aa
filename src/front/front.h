/*
 * front.h - what the parts of one front share: its loop, its table, its listeners and connections.
 *
 * One front is one thread. Several would share nothing.
 */
#pragma once

#include "config.h"
#include "http_head.h"
#include "lease.h"
#include "loop.h"
#include "relay.h"

/* A stop of the service waits so long for open connections; the unit's TimeoutStopSec is longer. */
#define FRONT_STOP_TIMEOUT (30 * USEC_PER_SEC)
/* After the system had no descriptor or memory for a connection, none is accepted for so long. */
#define FRONT_ACCEPT_PAUSE (100 * USEC_PER_MSEC)

enum {
    FRONT_ACCEPT_BATCH = 64, /* connections accepted from one listener in one turn */
    FRONT_REFUSED_MAX = 256, /* those beyond max_connections that may be told so at a time */
};

struct conn;
struct listener;

struct front {
    struct loop loop;
    struct lease_client *leases;
    const struct config_paths *paths;
    struct config *config; /* connections keep no pointer into it: a reload replaces it */

    TAILQ_HEAD(, listener) listeners;
    bool accept_paused;
    struct timeout accept_pause;
    struct timeout_queue accept_pauses;

    TAILQ_HEAD(, conn) conns;
    size_t n_conns;
    struct timeout_queue heads, connects, retries, lingers; /* what connections wait for */

    bool stopping;        /* no more listeners; leaves after the last connection */
    struct task stop;     /* front_stop(), once no listener's event is being dispatched */
    struct timeout leave; /* exit_idle is running, or FRONT_STOP_TIMEOUT is */
    struct timeout_queue leaves;

    /*
     * Scratch memory of whoever runs. parsed: whose head is in buffer and in head, from its first
     * byte on; NULL once anybody else has used the buffer.
     */
    struct conn *parsed;
    struct http_head head;
    char buffer[RELAY_BUFFER_SIZE];
};

/* paths and engine_path are borrowed. Connects to the engine and reads the table. */
int front_new(const struct config_paths *paths, const char *engine_path, struct front **ret_front);
/* Drops whatever is still open. */
void front_free(struct front *front);

/*
 * Takes over a socket from systemd or inetd, listener or connection. Returns 0 or negative errno;
 * -EPROTOTYPE for one that is no stream socket.
 */
int front_add_socket(struct front *front, int fd);

/* To be called once all sockets are in. */
void front_started(struct front *front);

/* Reads the table anew; an error leaves the old one in place. */
void front_reload(struct front *front);

/* Accepts no more and leaves after the last connection; the second time at once. */
void front_stop(struct front *front);

/* A connection has begun, or ended. */
void front_conn_began(struct front *front);
void front_conn_ended(struct front *front);

/* The system is out of descriptors or memory. Says so once, and pauses all listeners. */
void front_exhausted(struct front *front, int error);
