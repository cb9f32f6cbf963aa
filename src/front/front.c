/*
 * front.c - see front.h.
 *
 * It leaves when idle: exit_idle after its last connection, or at once when it was given
 * connections only. The listening sockets are systemd's; who connects after the last look at them
 * waits in the backlog, and systemd starts the next front as soon as this one is gone.
 */
#include "front.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "activation.h"
#include "conn.h"
#include "listener.h"
#include "log.h"

/* --- the table --------------------------------------------------------------------------------- */

/* What there is when nothing could be read: every request is told that this is misconfigured. */
static int load_empty(struct config **ret_config) {
    static const struct config_paths nowhere;
    struct config_errors errors = {0};
    int r = config_load(&nowhere, &errors, ret_config);

    config_errors_done(&errors);
    if (r == 0) {
        (*ret_config)->broken = true;
    }
    return r;
}

/* At the start the sound part is taken; there is nothing to go back to. */
static int load_first(struct front *front) {
    struct config_errors errors = {0};
    int r = config_load(front->paths, &errors, &front->config);

    config_errors_log(&errors);
    config_errors_done(&errors);
    if (r < 0) {
        log_error("The configuration cannot be read: %s", strerror(-r));
        r = load_empty(&front->config);
    }
    return r;
}

void front_reload(struct front *front) {
    struct config_errors errors = {0};
    struct config *config = NULL;
    char state[64];
    int r;

    snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
             now_usec(CLOCK_MONOTONIC));
    activation_notify(state);

    r = config_load(front->paths, &errors, &config);
    config_errors_log(&errors);
    if (r < 0) {
        log_error("The configuration cannot be read: %s; the old one stays", strerror(-r));
    } else if (errors.n > 0) {
        log_error("The configuration has errors; the old one stays");
        config_free(config);
    } else {
        config_free(front->config);
        front->config = config;
        log_notice("The configuration was read anew: %zu apps", config->n_apps);
    }
    config_errors_done(&errors);
    activation_notify("READY=1");
}

/* --- when to leave ----------------------------------------------------------------------------- */

static void leave_when_idle(struct front *front) {
    if (front->n_conns > 0) {
        return;
    }
    if (front->stopping || TAILQ_EMPTY(&front->listeners)) {
        front->loop.quit = true;
    } else {
        timeout_arm(&front->leaves, &front->leave,
                    usec_add(front->loop.now, front->config->front.exit_idle));
    }
}

void front_conn_began(struct front *front) {
    if (!front->stopping) {
        timeout_cancel(&front->leave);
    }
}

void front_conn_ended(struct front *front) {
    leave_when_idle(front);
}

static void on_leave(struct timeout *timeout) {
    struct front *front = container_of(timeout, struct front, leave);

    if (front->n_conns > 0) {
        log_notice("Stopping with %zu connections open", front->n_conns);
    }
    front->loop.quit = true;
}

static void on_stop(struct task *task) {
    struct front *front = container_of(task, struct front, stop);

    listeners_free(front);
    timeout_arm(&front->leaves, &front->leave, usec_add(front->loop.now, FRONT_STOP_TIMEOUT));
    leave_when_idle(front);
}

void front_stop(struct front *front) {
    if (front->stopping) {
        front->loop.quit = true;
        return;
    }
    front->stopping = true;
    activation_notify("STOPPING=1");
    loop_schedule(&front->loop, &front->stop);
}

void front_started(struct front *front) {
    leave_when_idle(front);
}

/* --- resources --------------------------------------------------------------------------------- */

void front_exhausted(struct front *front, int error) {
    if (front->accept_paused) {
        return;
    }
    front->accept_paused = true;
    log_error("Out of resources: %s; accepting pauses", strerror(error));
    listeners_enable(front, false);
    timeout_arm(&front->accept_pauses, &front->accept_pause,
                usec_add(front->loop.now, FRONT_ACCEPT_PAUSE));
}

static void on_accept_pause_over(struct timeout *timeout) {
    struct front *front = container_of(timeout, struct front, accept_pause);

    front->accept_paused = false;
    listeners_enable(front, true);
}

/* A connection takes two descriptors; the unit allows for them, a shell may not. */
static void raise_descriptors(void) {
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)!setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* --- life -------------------------------------------------------------------------------------- */

int front_add_socket(struct front *front, int fd) {
    auto_close int owned = fd;
    int type, listening, r;
    socklen_t len = sizeof(type);
    uint16_t port;

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
    if (listening) {
        return listener_new(front, take_fd(&owned));
    }
    r = listener_port(fd, &port);
    if (r < 0) {
        return r;
    }
    r = set_nonblock(fd);
    if (r < 0) {
        return r;
    }
    listener_set_options(fd, port);
    conn_accepted(front, take_fd(&owned), port, true);
    return 0;
}

int front_new(const struct config_paths *paths, const char *engine_path, struct front **ret_front) {
    struct front *front = calloc(1, sizeof(*front));
    int r;

    if (front == NULL) {
        return -ENOMEM;
    }
    r = loop_init(&front->loop);
    if (r < 0) {
        free(front);
        return r;
    }
    front->paths = paths;
    front->stop.run = on_stop;
    TAILQ_INIT(&front->listeners);
    TAILQ_INIT(&front->conns);
    timeout_queue_init(&front->accept_pauses, on_accept_pause_over);
    timeout_queue_init(&front->leaves, on_leave);
    loop_add_queue(&front->loop, &front->accept_pauses);
    loop_add_queue(&front->loop, &front->leaves);
    conn_queues_init(front);

    r = lease_client_new(&front->loop, engine_path, &conn_lease_handlers, &front->leases);
    raise_descriptors();
    if (r == 0) {
        /* First of all: a sleeping engine starts while the table is being read. */
        lease_client_connect(front->leases);
        r = load_first(front);
    }
    if (r < 0) {
        front_free(front);
        return r;
    }
    *ret_front = front;
    return 0;
}

void front_free(struct front *front) {
    if (front == NULL) {
        return;
    }
    conns_abort(front);
    listeners_free(front);
    loop_unschedule(&front->loop, &front->stop);
    loop_done(&front->loop);
    lease_client_free(front->leases);
    config_free(front->config);
    free(front);
}
