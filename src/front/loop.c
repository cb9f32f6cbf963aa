/* loop.c - see loop.h. */
#include "loop.h"

#include <limits.h>

int loop_init(struct loop *loop) {
    int fd = epoll_create1(EPOLL_CLOEXEC);

    if (fd < 0) {
        return -errno;
    }
    *loop = (struct loop){.epoll_fd = fd, .now = now_usec(CLOCK_MONOTONIC)};
    TAILQ_INIT(&loop->queues);
    TAILQ_INIT(&loop->heaps);
    TAILQ_INIT(&loop->tasks);
    return 0;
}

/* As many as are scheduled at the call: one that schedules itself waits for the next turn. */
static void run_tasks(struct loop *loop) {
    struct task *task;
    size_t n = 0;

    TAILQ_FOREACH (task, &loop->tasks, link) {
        n++;
    }
    while (n-- > 0 && (task = TAILQ_FIRST(&loop->tasks)) != NULL) {
        loop_unschedule(loop, task);
        task->run(task);
    }
}

void loop_done(struct loop *loop) {
    while (!TAILQ_EMPTY(&loop->tasks)) {
        run_tasks(loop);
    }
    loop->epoll_fd = safe_close(loop->epoll_fd);
}

void loop_add_queue(struct loop *loop, struct timeout_queue *queue) {
    TAILQ_INSERT_TAIL(&loop->queues, queue, link);
}

void loop_add_heap(struct loop *loop, struct timeout_heap *heap) {
    TAILQ_INSERT_TAIL(&loop->heaps, heap, link);
}

static int control(struct loop *loop, int op, struct source *source, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = source};

    return epoll_ctl(loop->epoll_fd, op, source->fd, &event) < 0 ? -errno : 0;
}

int loop_add(struct loop *loop, struct source *source) {
    return control(loop, EPOLL_CTL_ADD, source, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

int loop_add_listener(struct loop *loop, struct source *source, bool shared) {
    return control(loop, EPOLL_CTL_ADD, source,
                   shared ? EPOLLIN | (uint32_t)EPOLLEXCLUSIVE : EPOLLIN);
}

void loop_remove(struct loop *loop, struct source *source) {
    if (source->fd >= 0) {
        (void)control(loop, EPOLL_CTL_DEL, source, 0);
    }
}

void source_close(struct source *source) {
    source->fd = safe_close(source->fd);
}

void loop_schedule(struct loop *loop, struct task *task) {
    if (!task->scheduled) {
        task->scheduled = true;
        TAILQ_INSERT_TAIL(&loop->tasks, task, link);
    }
}

void loop_unschedule(struct loop *loop, struct task *task) {
    if (task->scheduled) {
        task->scheduled = false;
        TAILQ_REMOVE(&loop->tasks, task, link);
    }
}

/* When the first of all timeouts ends. */
static usec_t next_timeout(const struct loop *loop) {
    const struct timeout_queue *queue;
    const struct timeout_heap *heap;
    usec_t first = USEC_INFINITY, next;

    TAILQ_FOREACH (queue, &loop->queues, link) {
        next = timeout_queue_next(queue);
        first = next < first ? next : first;
    }
    TAILQ_FOREACH (heap, &loop->heaps, link) {
        next = timeout_heap_next(heap);
        first = next < first ? next : first;
    }
    return first;
}

/* What epoll_wait(2) is given: milliseconds, rounded up so that no timeout is looked at too early.
 */
static int wait_ms(const struct loop *loop, usec_t longest) {
    usec_t next, wait = longest;

    if (!TAILQ_EMPTY(&loop->tasks)) {
        return 0;
    }
    next = next_timeout(loop);
    if (next != USEC_INFINITY && usec_sub(next, loop->now) < wait) {
        wait = usec_sub(next, loop->now);
    }
    if (wait == USEC_INFINITY) {
        return -1;
    }
    wait = wait / USEC_PER_MSEC + (wait % USEC_PER_MSEC != 0);
    return wait > INT_MAX ? INT_MAX : (int)wait;
}

int loop_turn(struct loop *loop, usec_t longest) {
    struct epoll_event events[LOOP_BATCH];
    struct timeout_queue *queue;
    struct timeout_heap *heap;
    int n;

    n = epoll_wait(loop->epoll_fd, events, LOOP_BATCH, wait_ms(loop, longest));
    if (n < 0) {
        if (errno != EINTR) {
            return -errno;
        }
        n = 0;
    }
    loop->now = now_usec(CLOCK_MONOTONIC);

    for (int i = 0; i < n; i++) {
        struct source *source = events[i].data.ptr;

        if (source->fd >= 0) {
            source->ready(source, events[i].events);
        }
    }
    TAILQ_FOREACH (queue, &loop->queues, link) {
        timeout_queue_run(queue, loop->now);
    }
    TAILQ_FOREACH (heap, &loop->heaps, link) {
        timeout_heap_run(heap, loop->now);
    }
    run_tasks(loop);
    return 0;
}

int loop_run(struct loop *loop) {
    int r = 0;

    while (r == 0 && !loop->quit) {
        r = loop_turn(loop, USEC_INFINITY);
    }
    return r;
}
