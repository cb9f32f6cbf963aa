/*
 * timeout.h - many deadlines, cheaply.
 *
 * One queue for each kind of wait. All waits of a kind last equally long, as a rule, so a new one
 * belongs at the end: arming, cancelling and finding the next are constant time, and nothing is
 * allocated. A queue stays in order whatever is put in: an entry that ends earlier than the last
 * one (the length was made shorter by a reload) walks to its place.
 */
#pragma once

#include <sys/queue.h>

#include "util.h"

struct timeout_queue;

/* Embedded in whatever waits. All zero is a timeout that is not armed. */
struct timeout {
    TAILQ_ENTRY(timeout) link;
    struct timeout_queue *queue; /* NULL: not armed */
    usec_t at;                   /* the moment at which it ends */
};

struct timeout_queue {
    TAILQ_HEAD(timeout_list, timeout) waiting; /* in order of their ends */
    void (*expired)(struct timeout *timeout);
    TAILQ_ENTRY(timeout_queue) link; /* the loop's own */
};

/* expired is called with a timeout that is no longer armed and may be armed again. */
void timeout_queue_init(struct timeout_queue *queue, void (*expired)(struct timeout *timeout));

/* Arms, or arms anew: in whatever queue it was, it is in this one now. */
void timeout_arm(struct timeout_queue *queue, struct timeout *timeout, usec_t at);
void timeout_cancel(struct timeout *timeout);

static inline bool timeout_armed(const struct timeout *timeout) {
    return timeout->queue != NULL;
}

/* When the first one ends; USEC_INFINITY: none is waiting. */
usec_t timeout_queue_next(const struct timeout_queue *queue);

/*
 * Calls expired for those that ended at now or before, and no others: what is
 * armed meanwhile comes next time.
 */
void timeout_queue_run(struct timeout_queue *queue, usec_t now);

/* --- waits that differ in length ----------------------------------------------------------------- */

/*
 * The same for waits that differ in length: a pairing heap. Arming is constant time, cancelling and
 * expiring logarithmic (amortised); nothing is allocated.
 */
struct timeout_heap;

/* Embedded in whatever waits. All zero is one that is not armed. */
struct timeout_node {
    struct timeout_node *child, *next, *back; /* back: the one before, or the parent */
    struct timeout_heap *heap;                /* NULL: not armed */
    usec_t at;
};

struct timeout_heap {
    struct timeout_node *root;
    void (*expired)(struct timeout_node *node);
    TAILQ_ENTRY(timeout_heap) link; /* the loop's own */
};

/* What the functions of a queue promise, these do for a heap. Of equal ends any may be the first. */
void timeout_heap_init(struct timeout_heap *heap, void (*expired)(struct timeout_node *node));
void timeout_heap_arm(struct timeout_heap *heap, struct timeout_node *node, usec_t at);
void timeout_heap_cancel(struct timeout_node *node);
usec_t timeout_heap_next(const struct timeout_heap *heap);
void timeout_heap_run(struct timeout_heap *heap, usec_t now);
