/*
 * listener.h - listening sockets: accepts in bounded batches, never closes the door by itself.
 *
 * The front has each socket once, and each worker watches them all. Of the workers that wait the
 * kernel wakes one; who of them serves a connection is worker_accepted()'s to say.
 */
#pragma once

#include <netinet/in.h>
#include <sys/queue.h>

#include "proto.h"

struct worker;

/* The front's. */
struct listener_socket {
    int fd;
    uint16_t port; /* 0: a Unix socket */
    bool inherits; /* what it accepts has the options that connections are to have */
    TAILQ_ENTRY(listener_socket) link;
};

/* Takes the socket over. Returns 0 or negative errno. */
int listener_socket_new(int fd, struct listener_socket **ret_socket);

/*
 * Closes our descriptor. The socket itself is systemd's and stays: whoever connects waits there for
 * the next front. It is never shut down. No worker may watch it any more.
 */
void listener_socket_free(struct listener_socket *socket);

/* Has the worker watch a socket. shared: so do others. Returns 0 or negative errno. */
int listener_new(struct worker *worker, const struct listener_socket *socket, bool shared);

/* The worker watches none any more. */
void listeners_free(struct worker *worker);

/* Whether it accepts just now. Those who connect wait, or come to another worker. */
void listeners_enable(struct worker *worker, bool wanted);

/* Our own end's address; AF_UNSPEC for a Unix socket. Returns 0 or getsockname(2)'s errno. */
int listener_local(int fd, struct proto_address *ret_address);

/* The local port in host byte order; 0 for a Unix socket. Returns 0 or getsockname(2)'s errno. */
int listener_port(int fd, uint16_t *ret_port);

/* The peer's address; AF_UNSPEC for a Unix socket. Returns 0 or getpeername(2)'s errno. */
int listener_peer(int fd, struct proto_address *ret_address);

/* The options that every connection has; nothing for a Unix socket (port 0). */
void listener_set_options(int fd, uint16_t port);
