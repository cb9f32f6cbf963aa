/*
 * inbox.h - connections that other workers have accepted for this one.
 *
 * The kernel wakes whichever worker waits first, so one would have nearly all connections that last.
 * Who accepts one that another should have puts it into that one's inbox, and serves it after all
 * when there is no place.
 */
#pragma once

#include <pthread.h>

#include "proto.h"

enum { INBOX_MAX = 64 };

/* What conn_accepted() is told about a connection. */
struct accepted {
    int fd;
    uint16_t port;
    struct proto_address client;
};

struct inbox {
    pthread_mutex_t lock;
    unsigned first, n;
    struct accepted ring[INBOX_MAX];
};

void inbox_init(struct inbox *inbox);
/* Closes what is still in it. */
void inbox_done(struct inbox *inbox);

/* Puts one in. Returns how many there were before, or -ENOBUFS: the caller keeps it. */
int inbox_put(struct inbox *inbox, const struct accepted *accepted);
/* Takes the oldest out. Returns whether there was one. */
bool inbox_take(struct inbox *inbox, struct accepted *ret_accepted);
