/* listener.h - listening sockets: accepts in bounded batches, never closes the door by itself. */
#pragma once

#include "front.h"

/* Takes the socket over. Returns 0 or negative errno. */
int listener_new(struct front *front, int fd);

/*
 * Closes our descriptor. The socket itself is systemd's and stays: whoever connects waits there for
 * the next front. It is never shut down.
 */
void listener_free(struct listener *listener);

/* All listeners of a front. */
void listeners_free(struct front *front);
void listeners_enable(struct front *front, bool enable);

/* The local port in host byte order; 0 for a Unix socket. Returns 0 or getsockname(2)'s errno. */
int listener_port(int fd, uint16_t *ret_port);

/* The options that every connection has; nothing for a Unix socket (port 0). */
void listener_set_options(int fd, uint16_t port);
