/*
 * worker.h - one thread of the front: its loop, its listeners, its connections, its leases.
 *
 * Workers share the listening sockets, the table, which is immutable, and the few counts in
 * shared.h; everything else belongs to one worker and is touched by its thread alone. A connection
 * stays with the worker that it was given to when it was accepted: the one that accepted it, or one
 * that had markedly fewer (inbox.h).
 *
 * What others want of a worker they leave in struct desk and ring its bell, an eventfd; it looks
 * there between two of its turns.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "config.h"
#include "conn.h"
#include "http_answer.h"
#include "http_head.h"
#include "http_rewrite.h"
#include "inbox.h"
#include "lease.h"
#include "loop.h"
#include "relay.h"
#include "shared.h"
#include "table.h"
#include "upstream.h"

/* After the system had no descriptor or memory for a connection, none is accepted for so long. */
#define WORKER_ACCEPT_PAUSE (100 * USEC_PER_MSEC)
/* All workers together say so at most once in so long. */
#define WORKER_EXHAUSTED_PAUSE (10 * USEC_PER_SEC)

enum {
    WORKER_ACCEPT_BATCH = 64,      /* connections that the only worker accepts in one turn */
    WORKER_ACCEPT_SHARE = 4,       /* that one of several does, so that the others get theirs */
    WORKER_REFUSED_MAX = 256,      /* those beyond max_connections that may be told so at a time */
    WORKER_STACK_SIZE = 256 << 10, /* of a thread; what is big is in struct worker */
};

struct front;
struct listener;

/* The part of a worker that other threads touch. */
struct desk {
    struct source bell;
    struct inbox inbox;
    _Atomic(struct table *) table; /* the generation to be taken over; NULL: none */
    atomic_uint load;              /* its connections, those in the inbox included */
    atomic_uint obeyed;            /* the last of the front's orders that it has carried out */
};

struct worker {
    struct loop loop;
    struct lease_client *leases;
    struct front *front;
    struct shared *shared;
    const struct config *config; /* connections keep no pointer into it: a reload replaces it */
    struct table *table;         /* whose it is */
    struct task errands;         /* looks at the desk */
    struct desk desk;
    pthread_t thread;
    bool has_thread;

    TAILQ_HEAD(, listener) listeners;
    bool accept_paused; /* exhausted */
    bool accept_held;   /* ORDER_HOLD */
    struct timeout accept_pause;
    struct timeout_queue accept_pauses;
    bool stopping; /* no more listeners; ends after its last connection */

    struct conns conns;
    struct upstreams upstreams;

    /*
     * Scratch memory of whoever runs. parsed: whose head is in buffer and in head, from its first
     * byte on; NULL once anybody else has used the buffer.
     */
    struct conn *parsed;
    struct http_head head;
    struct http_answer answer;
    char buffer[RELAY_BUFFER_SIZE];
    char out[RELAY_BUFFER_SIZE + HTTP_REWRITE_GROWTH];
};

/* A connection has begun, or ended; the front counts those of all workers. */
void worker_conn_began(struct worker *worker);
void worker_conn_ended(struct worker *worker);
/* Connections of all workers. */
size_t worker_conns_in_all(const struct worker *worker);

/* The system is out of descriptors or memory. Says so once, and pauses this worker's listeners. */
void worker_exhausted(struct worker *worker, int error);
