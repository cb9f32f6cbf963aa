/* upstream.c - see upstream.h. */
#include "upstream.h"

#include <sys/socket.h>

#include "conn_internal.h"

static void on_release(struct task *task) {
    free(container_of(task, struct upstream, release));
}

static void pool_remove(struct upstream *upstream) {
    struct upstream_pool *pool = upstream->pool;

    if (pool == NULL) {
        return;
    }
    *(upstream->newer != NULL ? &upstream->newer->older : &pool->newest) = upstream->older;
    *(upstream->older != NULL ? &upstream->older->newer : &pool->oldest) = upstream->newer;
    pool->n--;
    upstream->pool = NULL;
    upstream->newer = upstream->older = NULL;
    timeout_cancel(&upstream->idle);
}

static void on_event(struct source *source, uint32_t events) {
    struct upstream *upstream = container_of(source, struct upstream, side.source);

    side_note(&upstream->side, events);
    if (upstream->conn != NULL) {
        conn_run(upstream->conn);
    } else if (upstream->side.readable) {
        upstream_close(upstream);
    }
}

static void on_idle_over(struct timeout *timeout) {
    upstream_close(container_of(timeout, struct upstream, idle));
}

void upstreams_init(struct worker *worker) {
    timeout_queue_init(&worker->upstreams.idles, on_idle_over);
    loop_add_queue(&worker->loop, &worker->upstreams.idles);
}

struct upstream *upstream_new(struct conn *conn, struct worker *worker, int fd) {
    struct upstream *upstream = calloc(1, sizeof(*upstream));

    if (upstream == NULL) {
        safe_close(fd);
        return NULL;
    }
    side_init(&upstream->side, fd, on_event);
    upstream->conn = conn;
    upstream->worker = worker;
    upstream->release.run = on_release;
    return upstream;
}

/* Whether nothing has come and the other end is open: asked of the kernel, not of past events. */
static bool is_quiet(struct upstream *upstream) {
    char byte;

    return recv(upstream->side.source.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

struct upstream *upstream_take(struct upstream_pool *pool, struct conn *conn, uint64_t owner,
                               bool fresh) {
    struct upstream *upstream = pool->newest, *older;

    for (; upstream != NULL; upstream = older) {
        usec_t idle = usec_sub(upstream->worker->loop.now, upstream->parked);

        older = upstream->older;
        if (upstream->owner != owner ||
            (fresh && upstream->served < 2 && idle < UPSTREAM_SETTLED)) {
            continue;
        }
        if (fresh && idle > UPSTREAM_FRESH) {
            return NULL; /* the others are older still */
        }
        if (fresh && !is_quiet(upstream)) {
            upstream_close(upstream);
            continue;
        }
        pool_remove(upstream);
        upstream->conn = conn;
        return upstream;
    }
    return NULL;
}

void upstream_park(struct upstream *upstream, struct upstream_pool *pool) {
    struct worker *worker = upstream->worker;
    struct side *side = &upstream->side;

    if (side->no_more || side->gone || worker->stopping ||
        (side->readable && !is_quiet(upstream))) {
        upstream_close(upstream);
        return;
    }
    if (pool->n == UPSTREAM_IDLE_MAX) {
        upstream_close(pool->oldest);
    }
    side->readable = false;
    upstream->conn = NULL;
    upstream->served++;
    upstream->parked = worker->loop.now;
    upstream->pool = pool;
    upstream->older = pool->newest;
    *(pool->newest != NULL ? &pool->newest->newer : &pool->oldest) = upstream;
    pool->newest = upstream;
    pool->n++;
    timeout_arm(&worker->upstreams.idles, &upstream->idle,
                usec_add(worker->loop.now, UPSTREAM_IDLE));
}

void upstream_close(struct upstream *upstream) {
    if (upstream == NULL) {
        return;
    }
    pool_remove(upstream);
    upstream->conn = NULL;
    side_close(&upstream->side);
    loop_schedule(&upstream->worker->loop, &upstream->release);
}

void upstream_pool_drop(struct upstream_pool *pool) {
    while (pool->newest != NULL) {
        upstream_close(pool->newest);
    }
}
