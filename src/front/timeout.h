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
