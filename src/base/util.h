/*
 * util.h - ownership and time helpers that every room uses.
 *
 * Ownership: a descriptor or pointer has one owner. A local that owns something is declared with
 * auto_close or auto_free and is released when it goes out of scope, unless take_fd() or take_ptr()
 * has moved it on. Functions return 0 (or a count) or a negative errno.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* A moment or a span in microseconds. Moments are CLOCK_MONOTONIC unless a name says realtime. */
typedef uint64_t usec_t;
#define USEC_INFINITY UINT64_MAX
#define USEC_PER_MSEC ((usec_t)1000)
#define USEC_PER_SEC  ((usec_t)1000000)

static inline usec_t now_usec(clockid_t clock) {
    struct timespec ts;

    clock_gettime(clock, &ts);
    return (usec_t)ts.tv_sec * USEC_PER_SEC + (usec_t)ts.tv_nsec / 1000;
}

/* a + b, saturating at USEC_INFINITY (clock_gettime(2) values never come near it). */
static inline usec_t usec_add(usec_t a, usec_t b) {
    return b > USEC_INFINITY - a ? USEC_INFINITY : a + b;
}

/* a - b, or 0 when b is later. */
static inline usec_t usec_sub(usec_t a, usec_t b) {
    return a > b ? a - b : 0;
}

/* Closes fd (-1: nothing) without touching errno; always returns -1, to be assigned back. */
static inline int safe_close(int fd) {
    if (fd >= 0) {
        int saved = errno;

        close(fd);
        errno = saved;
    }
    return -1;
}

/* fcntl(2) O_NONBLOCK. Returns 0 or negative errno. */
static inline int set_nonblock(int fd) {
    int flags = fcntl(fd, F_GETFL);

    return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

static inline void close_cleanup(int *fd) {
    safe_close(*fd);
}

static inline void free_cleanup(void *p) {
    free(*(void **)p);
}

#define auto_close __attribute__((cleanup(close_cleanup)))
#define auto_free  __attribute__((cleanup(free_cleanup)))

/* Moves the descriptor out of its variable, so that the cleanup finds nothing to close. */
static inline int take_fd(int *fd) {
    int taken = *fd;

    *fd = -1;
    return taken;
}

/* The same for a pointer. */
#define take_ptr(p)                                                                                \
    ({                                                                                             \
        __typeof__(p) *_pp = &(p);                                                                 \
        __typeof__(p) _v = *_pp;                                                                   \
        *_pp = NULL;                                                                               \
        _v;                                                                                        \
    })
