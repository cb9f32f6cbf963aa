/*
 * worker.c - see worker.h and front_internal.h.
 *
 * Balance. The kernel wakes the first of the workers that wait, so one that is idle would get every
 * connection of a quiet hour, and keep those that last. Hence whoever accepts looks who has fewest,
 * and gives the connection away when that one is more than an eighth below. Short connections that
 * come and go stay below that most of the time.
 */
#include "worker.h"

#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>

#include "front_internal.h"
#include "log.h"

/* --- counting ------------------------------------------------------------------------------------ */

/* The front is told of its last connection's end, unless it looks by itself. */
static void tell_idle(struct worker *worker) {
    struct front *front = worker->front;

    if (!front_is_busy(front) && !atomic_load(&front->leave_armed)) {
        worker_ring(worker, front->workers[0]);
    }
}

void worker_conn_began(struct worker *worker) {
    atomic_fetch_add_explicit(&worker->desk.load, 1, memory_order_relaxed);
    atomic_fetch_add(&worker->front->n_conns, 1);
}

void worker_conn_ended(struct worker *worker) {
    struct front *front = worker->front;

    atomic_fetch_sub_explicit(&worker->desk.load, 1, memory_order_relaxed);
    atomic_store(&front->idle_since, worker->loop.now);
    if (atomic_fetch_sub(&front->n_conns, 1) == 1) {
        tell_idle(worker);
    }
}

size_t worker_conns_in_all(const struct worker *worker) {
    return atomic_load(&worker->front->n_conns);
}

/* --- connections from and for others ------------------------------------------------------------- */

static struct worker *least_loaded(struct worker *worker) {
    struct front *front = worker->front;
    unsigned n = atomic_load_explicit(&front->n_workers, memory_order_acquire);
    unsigned own = atomic_load_explicit(&worker->desk.load, memory_order_relaxed), least = own;
    struct worker *found = worker;

    for (unsigned i = 0; i < n && least > 0; i++) {
        unsigned load = atomic_load_explicit(&front->workers[i]->desk.load, memory_order_relaxed);

        if (load < least) {
            least = load;
            found = front->workers[i];
        }
    }
    return own > least + least / 8 ? found : worker;
}

/* Returns whether the other took it. */
static bool give(struct worker *worker, struct worker *other, const struct accepted *accepted) {
    struct front *front = worker->front;
    int before;

    atomic_fetch_add(&front->n_moving, 1);
    atomic_fetch_add_explicit(&other->desk.load, 1, memory_order_relaxed);
    before = inbox_put(&other->desk.inbox, accepted);
    if (before < 0) {
        atomic_fetch_sub_explicit(&other->desk.load, 1, memory_order_relaxed);
        atomic_fetch_sub(&front->n_moving, 1);
        return false;
    }
    if (before == 0) {
        worker_ring(worker, other);
    }
    return true;
}

static void serve(struct worker *worker, const struct accepted *accepted) {
    conn_accepted(worker, accepted->fd, accepted->port, &accepted->client, false);
}

void worker_accepted(struct worker *worker, const struct accepted *accepted) {
    struct worker *other = least_loaded(worker);

    if (other == worker) {
        serve(worker, accepted);
    } else if (!give(worker, other, accepted)) {
        serve(worker, accepted);
        tell_idle(worker); /* it was counted as moving for a moment */
    }
}

static void take_inbox(struct worker *worker) {
    struct front *front = worker->front;
    struct accepted accepted;

    while (inbox_take(&worker->desk.inbox, &accepted)) {
        serve(worker, &accepted);
        atomic_fetch_sub_explicit(&worker->desk.load, 1, memory_order_relaxed);
        atomic_fetch_sub(&front->n_moving, 1);
        tell_idle(worker);
    }
}

/* --- resources ----------------------------------------------------------------------------------- */

static void update_listeners(struct worker *worker) {
    listeners_enable(worker, !worker->accept_paused && !worker->accept_held);
}

/* Of several workers that are out of resources at once, one says so. */
static bool may_complain(struct front *front, usec_t now) {
    uint_fast64_t last = atomic_load(&front->exhausted);

    return (last == 0 || usec_sub(now, last) >= WORKER_EXHAUSTED_PAUSE) &&
           atomic_compare_exchange_strong(&front->exhausted, &last, now);
}

void worker_exhausted(struct worker *worker, int error) {
    if (worker->accept_paused) {
        return;
    }
    worker->accept_paused = true;
    if (may_complain(worker->front, worker->loop.now)) {
        log_error("Out of resources: %s; accepting pauses", strerror(error));
    }
    update_listeners(worker);
    timeout_arm(&worker->accept_pauses, &worker->accept_pause,
                usec_add(worker->loop.now, WORKER_ACCEPT_PAUSE));
}

static void on_accept_pause_over(struct timeout *timeout) {
    struct worker *worker = container_of(timeout, struct worker, accept_pause);

    worker->accept_paused = false;
    update_listeners(worker);
}

/* --- the desk ------------------------------------------------------------------------------------ */

static void take_table(struct worker *worker) {
    struct table *table = atomic_exchange(&worker->desk.table, NULL);

    if (table != NULL) {
        table_unref(worker->table);
        worker->table = table;
        worker->config = table->config;
    }
}

static void obey(struct worker *worker) {
    struct front *front = worker->front;
    unsigned order = atomic_load(&front->order);

    if (order == atomic_load(&worker->desk.obeyed)) {
        return;
    }
    switch ((enum front_order)(order % ORDER_STEP)) {
    case ORDER_ACCEPT:
    case ORDER_HOLD:
        worker->accept_held = order % ORDER_STEP == ORDER_HOLD;
        update_listeners(worker);
        break;
    case ORDER_STOP:
        listeners_free(worker);
        worker->stopping = true;
        conns_drain(worker);
        break;
    case ORDER_QUIT:
        worker->loop.quit = true;
        break;
    }
    atomic_store(&worker->desk.obeyed, order);
    if (worker != front->workers[0]) {
        worker_ring(worker, front->workers[0]);
    }
}

static void on_errands(struct task *task) {
    struct worker *worker = container_of(task, struct worker, errands);

    take_table(worker);
    take_inbox(worker);
    obey(worker);
    if (worker == worker->front->workers[0]) {
        front_consider(worker->front);
    }
}

/* The eventfd is never read: edge-triggered, each write to it is an event. */
static void on_bell(struct source *source, uint32_t events) {
    struct worker *worker = container_of(source, struct worker, desk.bell);

    (void)events;
    loop_schedule(&worker->loop, &worker->errands);
}

void worker_ring(struct worker *worker, struct worker *other) {
    if (other == worker) {
        loop_schedule(&worker->loop, &worker->errands);
    } else {
        (void)eventfd_write(other->desk.bell.fd, 1);
    }
}

/* --- life ---------------------------------------------------------------------------------------- */

static void *thread_main(void *arg) {
    struct worker *worker = arg;
    int r = loop_run(&worker->loop);

    if (r < 0) {
        atomic_store(&worker->front->failed, r);
        worker_ring(worker, worker->front->workers[0]);
    }
    return NULL;
}

int worker_start(struct worker *worker) {
    pthread_attr_t attributes;
    sigset_t all, before;
    int r = pthread_attr_init(&attributes);

    if (r != 0) {
        return -r;
    }
    r = pthread_attr_setstacksize(&attributes, WORKER_STACK_SIZE);
    if (r == 0) {
        /* Signals are for the first thread, whatever main() has left unblocked. */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        r = pthread_create(&worker->thread, &attributes, thread_main, worker);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_attr_destroy(&attributes);
    worker->has_thread = r == 0;
    return -r;
}

void worker_join(struct worker *worker) {
    if (worker->has_thread) {
        pthread_join(worker->thread, NULL);
        worker->has_thread = false;
    }
}

int worker_new(struct front *front, struct worker **ret_worker) {
    struct worker *worker = calloc(1, sizeof(*worker));
    int r;

    if (worker == NULL) {
        return -ENOMEM;
    }
    r = loop_init(&worker->loop);
    if (r < 0) {
        free(worker);
        return r;
    }
    worker->front = front;
    worker->shared = front->shared;
    worker->errands.run = on_errands;
    worker->desk.bell = (struct source){.fd = -1, .ready = on_bell};
    inbox_init(&worker->desk.inbox);
    TAILQ_INIT(&worker->listeners);
    timeout_queue_init(&worker->accept_pauses, on_accept_pause_over);
    loop_add_queue(&worker->loop, &worker->accept_pauses);
    conns_init(worker);
    upstreams_init(worker);
    if (front->table != NULL) {
        worker->table = table_ref(front->table);
        worker->config = worker->table->config;
    }
    atomic_store(&worker->desk.obeyed, atomic_load(&front->order));
    worker->desk.bell.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r = worker->desk.bell.fd < 0 ? -errno : loop_add(&worker->loop, &worker->desk.bell);
    if (r == 0) {
        r = lease_client_new(&worker->loop, front->engine_path, &conn_lease_handlers,
                             &worker->leases);
    }
    if (r < 0) {
        worker_free(worker);
        return r;
    }
    *ret_worker = worker;
    return 0;
}

void worker_free(struct worker *worker) {
    if (worker == NULL) {
        return;
    }
    conns_abort(worker);
    listeners_free(worker);
    inbox_done(&worker->desk.inbox);
    loop_unschedule(&worker->loop, &worker->errands);
    lease_client_free(worker->leases); /* with it the idle upstreams, whose memory tasks release */
    loop_done(&worker->loop);
    source_close(&worker->desk.bell);
    table_unref(worker->table);
    table_unref(atomic_load(&worker->desk.table));
    free(worker);
}
