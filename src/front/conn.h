/* conn.h - a client's connection, from accept to close: as the rest of a worker sees it. */
#pragma once

#include <stdint.h>
#include <sys/queue.h>

#include "proto.h"
#include "timeout.h"

struct conn;
struct lease_handlers;
struct worker;

/* A worker's connections. */
struct conns {
    TAILQ_HEAD(, conn) all;
    size_t n;
    size_t n_events;     /* of them streams of events (own.h) */
    uint64_t serial;     /* of the last one */
    uint16_t turns[256]; /* whose turn it is in groups, by a hash of their names */
    struct timeout_queue heads, keepalives, connects, retries, lingers, ticks;
    struct timeout_heap checks;
};

/* Adds the queues to the worker's loop. */
void conns_init(struct worker *worker);
/* Answers those that wait for something and closes all. */
void conns_abort(struct worker *worker);
/* Closes those that wait for a next request: the worker is stopping. */
void conns_drain(struct worker *worker);

/*
 * Takes over an accepted socket, which is non-blocking and has the options of listener.h. port: the
 * local one, 0 for a Unix socket. client: the peer; AF_UNSPEC for a Unix socket. passed: it was
 * passed to us as it is, and may be open in other processes too.
 */
void conn_accepted(struct worker *worker, int fd, uint16_t port, const struct proto_address *client,
                   bool passed);

extern const struct lease_handlers conn_lease_handlers;
