/* conn.h - one client from accept to close. See conn.c for how it goes. */
#pragma once

#include "front.h"

/* What connections do when their lease has news. */
extern const struct lease_handlers conn_lease_handlers;

/* Ends of a connection's waits, set up in the front's queues. */
void conn_queues_init(struct front *front);

/*
 * Takes over a connected, non-blocking socket. port: the local one, 0 for a Unix socket; it decides
 * whether this is HTTP or an app's own TCP port. passed: another process may have it open too. Beyond
 * max_connections the client is told so.
 */
void conn_accepted(struct front *front, int fd, uint16_t port, bool passed);

/* Ends all connections; those that still wait for an app are told so. */
void conns_abort(struct front *front);
