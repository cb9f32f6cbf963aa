/*
 * loop.h - one epoll loop: descriptors, timeouts, and work put off to the end of a turn.
 *
 * Everything of one loop runs in one thread; several loops share nothing but what they watch.
 *
 * Descriptors are registered once, edge-triggered and for everything, and stay so: no epoll_ctl(2)
 * on the path of data, and what nobody wants to read cannot spin. Whoever owns a source remembers
 * that it is readable or writable until the kernel has said EAGAIN (struct side in relay.h).
 * Listeners are the exception: level-triggered, so that a bounded batch may leave connections in
 * the backlog.
 *
 * A turn: wait, dispatch the batch, run the timeouts that are due, then the tasks. A source may be
 * closed and its owner done with while a batch is being dispatched; its later events are dropped
 * because its fd is -1, and its memory must be released by a task, not before. A descriptor that
 * was replaced in the same source may see one event of its predecessor: handlers take events as
 * hints.
 */
#pragma once

#include <sys/epoll.h>

#include "timeout.h"

enum { LOOP_BATCH = 128 }; /* events taken in one turn */

struct source {
    int fd; /* -1: none */
    void (*ready)(struct source *source, uint32_t events);
};

/* Work put off until the batch has been dispatched. All zero: not scheduled. */
struct task {
    TAILQ_ENTRY(task) link;
    bool scheduled;
    void (*run)(struct task *task);
};

struct loop {
    int epoll_fd;
    bool quit;  /* loop_run() returns after this turn */
    usec_t now; /* the monotonic clock, read once a turn */
    TAILQ_HEAD(, timeout_queue) queues;
    TAILQ_HEAD(, timeout_heap) heaps;
    TAILQ_HEAD(task_list, task) tasks;
};

/* Returns 0 or epoll_create1(2)'s errno. */
int loop_init(struct loop *loop);
/* Runs the tasks that are left, which release memory, and closes. */
void loop_done(struct loop *loop);

/* Adds an initialised queue or heap; it must outlive the loop. */
void loop_add_queue(struct loop *loop, struct timeout_queue *queue);
void loop_add_heap(struct loop *loop, struct timeout_heap *heap);

/* Registers source->fd for good, edge-triggered. Returns 0 or epoll_ctl(2)'s errno. */
int loop_add(struct loop *loop, struct source *source);

/*
 * Level-triggered, for input only, until loop_remove(). shared: the loops of several threads watch
 * the descriptor, and one of those that wait is woken instead of all (EPOLLEXCLUSIVE). Returns 0 or
 * epoll_ctl(2)'s errno.
 */
int loop_add_listener(struct loop *loop, struct source *source, bool shared);

/* Closes source->fd if there is one; that removes it from epoll, but see loop_remove(). */
void source_close(struct source *source);

/*
 * Removes source->fd from epoll. For sockets that another process may have open as well, as systemd
 * has its listeners: closing our descriptor does not end what epoll watches (epoll(7)), and events
 * would come for a source that is gone.
 */
void loop_remove(struct loop *loop, struct source *source);

/* Schedules a task for the end of this turn, or of the next one when tasks are running already. */
void loop_schedule(struct loop *loop, struct task *task);
void loop_unschedule(struct loop *loop, struct task *task);

/* One turn that waits no longer than longest. Returns 0 or epoll_wait(2)'s errno. */
int loop_turn(struct loop *loop, usec_t longest);

/* Turns until quit is set. */
int loop_run(struct loop *loop);

/* The struct that has member as its part, from the address of that part. */
#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))
