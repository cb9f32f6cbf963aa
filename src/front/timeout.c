/* timeout.c - see timeout.h. */
#include "timeout.h"

void timeout_queue_init(struct timeout_queue *queue, void (*expired)(struct timeout *timeout)) {
    *queue = (struct timeout_queue){.expired = expired};
    TAILQ_INIT(&queue->waiting);
}

void timeout_arm(struct timeout_queue *queue, struct timeout *timeout, usec_t at) {
    struct timeout *before;

    timeout_cancel(timeout);
    timeout->queue = queue;
    timeout->at = at;
    TAILQ_FOREACH_REVERSE(before, &queue->waiting, timeout_list, link) {
        if (before->at <= at) {
            TAILQ_INSERT_AFTER(&queue->waiting, before, timeout, link);
            return;
        }
    }
    TAILQ_INSERT_HEAD(&queue->waiting, timeout, link);
}

void timeout_cancel(struct timeout *timeout) {
    if (timeout->queue == NULL) {
        return;
    }
    TAILQ_REMOVE(&timeout->queue->waiting, timeout, link);
    timeout->queue = NULL;
}

usec_t timeout_queue_next(const struct timeout_queue *queue) {
    const struct timeout *first = TAILQ_FIRST(&queue->waiting);

    return first == NULL ? USEC_INFINITY : first->at;
}

void timeout_queue_run(struct timeout_queue *queue, usec_t now) {
    struct timeout *timeout;
    size_t due = 0;

    TAILQ_FOREACH (timeout, &queue->waiting, link) {
        if (timeout->at > now) {
            break;
        }
        due++;
    }
    while (due-- > 0 && (timeout = TAILQ_FIRST(&queue->waiting)) != NULL && timeout->at <= now) {
        timeout_cancel(timeout);
        queue->expired(timeout);
    }
}
