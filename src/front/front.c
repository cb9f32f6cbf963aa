/*
 * front.c - see front.h; how it leaves is told in front_internal.h.
 *
 * It leaves when idle: exit_idle after its last connection, or at once when it was given
 * connections only. The listening sockets are systemd's; who connects after the last look at them
 * waits in the backlog, and systemd starts the next front as soon as this one is gone.
 */
#include "front_internal.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "activation.h"
#include "log.h"

/* --- the table ----------------------------------------------------------------------------------- */

/* Each worker takes the table over when it next looks at its desk. */
static void publish(struct front *front, struct table *table) {
    unsigned n = atomic_load(&front->n_workers);

    table_unref(front->table);
    front->table = table;
    for (unsigned i = 0; i < n; i++) {
        table_unref(atomic_exchange(&front->workers[i]->desk.table, table_ref(table)));
        worker_ring(front->workers[0], front->workers[i]);
    }
}

void front_reload(struct front *front) {
    struct table *table;
    char state[64];

    snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
             now_usec(CLOCK_MONOTONIC));
    activation_notify(state);
    if (table_load_anew(front->paths, &table)) {
        publish(front, table);
    }
    activation_notify("READY=1");
}

/* --- when to leave ------------------------------------------------------------------------------- */

bool front_is_busy(const struct front *front) {
    return atomic_load(&front->n_moving) > 0 || atomic_load(&front->n_conns) > 0;
}

static void give_order(struct front *front, enum front_order order) {
    unsigned n = atomic_load(&front->n_workers);
    unsigned last = atomic_load(&front->order);

    atomic_store(&front->order, last - last % ORDER_STEP + ORDER_STEP + order);
    for (unsigned i = 0; i < n; i++) {
        worker_ring(front->workers[0], front->workers[i]);
    }
}

static bool all_have_obeyed(const struct front *front) {
    unsigned n = atomic_load(&front->n_workers), order = atomic_load(&front->order);

    for (unsigned i = 0; i < n; i++) {
        if (atomic_load(&front->workers[i]->desk.obeyed) != order) {
            return false;
        }
    }
    return true;
}

static void sockets_free(struct front *front) {
    struct listener_socket *socket;

    while ((socket = TAILQ_FIRST(&front->sockets)) != NULL) {
        TAILQ_REMOVE(&front->sockets, socket, link);
        listener_socket_free(socket);
    }
}

/* ORDER_ACCEPT: looks at the clock. Whoever ends the last connection tells only if nobody does. */
static void consider_idle(struct front *front) {
    struct worker *first = front->workers[0];
    usec_t due;

    if (timeout_armed(&front->leave) || front_is_busy(front)) {
        return;
    }
    if (TAILQ_EMPTY(&front->sockets)) {
        first->loop.quit = true;
        return;
    }
    due = usec_add(atomic_load(&front->idle_since), first->config->front.exit_idle);
    if (due <= first->loop.now) {
        give_order(front, ORDER_HOLD);
    } else {
        atomic_store(&front->leave_armed, true);
        timeout_arm(&front->leaves, &front->leave, due);
    }
}

void front_consider(struct front *front) {
    struct loop *loop = &front->workers[0]->loop;

    if (atomic_load(&front->failed) < 0) {
        loop->quit = true;
    } else if (!front->started || !all_have_obeyed(front)) {
        return; /* front_start() looks again, or the worker that obeys has it looked */
    }
    switch ((enum front_order)(atomic_load(&front->order) % ORDER_STEP)) {
    case ORDER_ACCEPT:
        consider_idle(front);
        break;
    case ORDER_HOLD:
        if (front_is_busy(front)) {
            give_order(front, ORDER_ACCEPT);
        } else {
            loop->quit = true;
        }
        break;
    case ORDER_STOP:
        sockets_free(front);
        if (!front_is_busy(front)) {
            loop->quit = true;
        }
        break;
    case ORDER_QUIT:
        break;
    }
}

static void on_leave(struct timeout *timeout) {
    struct front *front = container_of(timeout, struct front, leave);

    if (front->stopping) {
        log_notice("Stopping with %zu connections open", atomic_load(&front->n_conns));
        front->workers[0]->loop.quit = true;
        return;
    }
    atomic_store(&front->leave_armed, false);
    consider_idle(front);
}

void front_stop(struct front *front) {
    struct worker *first = front->workers[0];

    if (front->stopping) {
        first->loop.quit = true;
        return;
    }
    front->stopping = true;
    activation_notify("STOPPING=1");
    atomic_store(&front->leave_armed, false);
    timeout_arm(&front->leaves, &front->leave, usec_add(first->loop.now, FRONT_STOP_TIMEOUT));
    give_order(front, ORDER_STOP);
}

/* --- sockets ------------------------------------------------------------------------------------- */

static int add_listener(struct front *front, int fd) {
    struct listener_socket *socket;
    int r = listener_socket_new(fd, &socket);

    if (r < 0) {
        return r;
    }
    r = listener_new(front->workers[0], socket, front->n_wanted > 1);
    if (r < 0) {
        listener_socket_free(socket);
        return r;
    }
    TAILQ_INSERT_TAIL(&front->sockets, socket, link);
    return 0;
}

static int add_connection(struct front *front, int fd) {
    struct proto_address client;
    auto_close int owned = fd;
    uint16_t port;
    int r = listener_port(fd, &port);

    if (r == 0) {
        r = listener_peer(fd, &client);
    }
    if (r == 0) {
        r = set_nonblock(fd);
    }
    if (r == 0) {
        listener_set_options(fd, port);
        conn_accepted(front->workers[0], take_fd(&owned), port, &client, true);
    }
    return r;
}

int front_add_socket(struct front *front, int fd) {
    auto_close int owned = fd;
    int type, listening;
    socklen_t len = sizeof(type);

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0) {
        return -errno;
    }
    if (type != SOCK_STREAM) {
        return -EPROTOTYPE;
    }
    len = sizeof(listening);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0) {
        return -errno;
    }
    return listening ? add_listener(front, take_fd(&owned))
                     : add_connection(front, take_fd(&owned));
}

/* --- workers ------------------------------------------------------------------------------------- */

/* As many as the configuration wants, or as there are CPUs for this process. */
static unsigned count_workers(const struct config *config) {
    cpu_set_t cpus[8]; /* a kernel for more than CPU_SETSIZE CPUs wants a larger set */
    unsigned n = config->front.workers;

    if (n == 0 && sched_getaffinity(0, sizeof(cpus), cpus) == 0) {
        n = (unsigned)CPU_COUNT_S(sizeof(cpus), cpus);
    }
    return n == 0 ? 1 : n > CONFIG_WORKERS_MAX ? CONFIG_WORKERS_MAX : n;
}

/* One worker more, with its thread. */
static int add_worker(struct front *front) {
    unsigned n = atomic_load(&front->n_workers);
    const struct listener_socket *socket;
    struct worker *worker;
    int r = worker_new(front, &worker);

    if (r < 0) {
        return r;
    }
    TAILQ_FOREACH (socket, &front->sockets, link) {
        r = listener_new(worker, socket, true);
        if (r < 0) {
            break;
        }
    }
    if (r == 0) {
        r = worker_start(worker);
    }
    if (r < 0) {
        worker_free(worker);
        return r;
    }
    front->workers[n] = worker;
    /* From now on the others may give it connections. */
    atomic_store(&front->n_workers, n + 1);
    return 0;
}

/* Ends all threads but this one. */
static void end_threads(struct front *front) {
    unsigned n = atomic_load(&front->n_workers);

    give_order(front, ORDER_QUIT);
    for (unsigned i = 0; i < n; i++) {
        worker_join(front->workers[i]);
    }
}

int front_start(struct front *front) {
    int r = 0;

    atomic_store(&front->idle_since, front->workers[0]->loop.now);
    if (!TAILQ_EMPTY(&front->sockets) && !front->stopping) {
        while (r == 0 && atomic_load(&front->n_workers) < front->n_wanted) {
            r = add_worker(front);
        }
    }
    front->started = true;
    front_consider(front);
    return r;
}

int front_run(struct front *front) {
    int r = loop_run(front_loop(front));

    end_threads(front);
    return r < 0 ? r : atomic_load(&front->failed);
}

struct loop *front_loop(struct front *front) {
    return &front->workers[0]->loop;
}

/* --- life ---------------------------------------------------------------------------------------- */

/* A connection takes two descriptors; the unit allows for them, a shell may not. */
static void raise_descriptors(void) {
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)!setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int set_up(struct front *front) {
    struct worker *first;
    int r = shared_new(&front->shared);

    if (r < 0) {
        return r;
    }
    r = worker_new(front, &first);
    if (r < 0) {
        return r;
    }
    front->workers[0] = first;
    atomic_store(&front->n_workers, 1);
    loop_add_queue(&first->loop, &front->leaves);
    raise_descriptors();
    /* First of all: a sleeping engine starts while the table is being read. */
    lease_client_connect(first->leases);
    r = table_load_first(front->paths, &front->table);
    if (r < 0) {
        return r;
    }
    first->table = table_ref(front->table);
    first->config = first->table->config;
    front->n_wanted = count_workers(first->config);
    return 0;
}

int front_new(const struct config_paths *paths, const char *engine_path, struct front **ret_front) {
    struct front *front = calloc(1, sizeof(*front));
    int r;

    if (front == NULL) {
        return -ENOMEM;
    }
    front->paths = paths;
    front->engine_path = engine_path;
    TAILQ_INIT(&front->sockets);
    timeout_queue_init(&front->leaves, on_leave);
    r = set_up(front);
    if (r < 0) {
        front_free(front);
        return r;
    }
    *ret_front = front;
    return 0;
}

void front_free(struct front *front) {
    unsigned n;

    if (front == NULL) {
        return;
    }
    n = atomic_load(&front->n_workers);
    end_threads(front);
    atomic_store(&front->leave_armed, true); /* nobody is to be told any more */
    for (unsigned i = n; i-- > 0;) {
        worker_free(front->workers[i]);
    }
    sockets_free(front);
    table_unref(front->table);
    shared_free(front->shared);
    free(front);
}
