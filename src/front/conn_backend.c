/*
 * conn_backend.c - a connection's way to its backend: lease, connect, and what if it fails (conn.c).
 *
 * An address comes from the lease. When it does not take the connection, the lease is doubted: the
 * engine looks again, once for all connections that found it so, and names an address anew. The first
 * time that is done at once, later after a pause, and after BACKEND_TRIES the client is told.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "answer.h"
#include "conn_internal.h"
#include "listener.h"
#include "log.h"

static void on_backend(struct source *source, uint32_t events) {
    struct conn *conn = container_of(source, struct conn, backend.source);

    side_note(&conn->backend, events);
    conn_run(conn);
}

static void enter_relay(struct conn *conn) {
    timeout_cancel(&conn->timeout);
    conn->state = CONN_RELAY;
    conn->backend.writable = true;
    if (conn->kind == CONN_TCP) {
        flow_init(&conn->up, FLOW_ENDLESS, NULL);
        flow_init(&conn->down, FLOW_ENDLESS, NULL);
        conn->tunnel = true;
    } else if (!http_hand_over(conn)) {
        return;
    }
    conn_run(conn);
}

void conn_connect_failed(struct conn *conn, int error) {
    char reason[PROTO_TEXT_MAX];

    snprintf(reason, sizeof(reason), "cannot be connected to: %s", strerror(error));
    conn_retry(conn, reason);
}

/*
 * Asks the kernel how the connect is doing: doing it again is the one question whose answer does
 * not depend on which event came (connect(2)). Returns 0, -EINPROGRESS or what it failed with.
 */
static int try_connect(struct conn *conn) {
    struct sockaddr_storage sa;
    socklen_t len;

    proto_address_to_sockaddr(&conn->address, &sa, &len);
    if (connect(conn->backend.source.fd, (const struct sockaddr *)&sa, len) == 0 ||
        errno == EISCONN) {
        return 0;
    }
    return errno == EALREADY || errno == EINTR ? -EINPROGRESS : -errno;
}

void conn_run_connect(struct conn *conn) {
    int r = try_connect(conn);

    if (r == 0) {
        enter_relay(conn);
    } else if (r != -EINPROGRESS) {
        conn_connect_failed(conn, -r);
    }
}

static void out_of_resources(struct conn *conn, int error) {
    front_exhausted(conn->front, error);
    conn_answer(conn, 503, "this machine is out of resources");
}

static void enter_connect(struct conn *conn, const struct proto_address *address) {
    struct front *front = conn->front;
    int fd, r, added;

    if (address->family != AF_INET && address->family != AF_INET6) {
        conn_answer(conn, 502, "has no address that can be connected to");
        return;
    }
    conn->address = *address;
    conn->tries++;
    fd = socket(address->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        out_of_resources(conn, errno);
        return;
    }
    listener_set_options(fd, address->port);
    side_init(&conn->backend, fd, on_backend);
    conn->backend.short_is_all = conn->kind == CONN_HTTP;
    conn->state = CONN_CONNECT;

    /* A backend on this machine has answered by the time the call is back: then no turn is lost. */
    r = try_connect(conn);
    if (r == -EINPROGRESS) {
        r = try_connect(conn);
    }
    if (r < 0 && r != -EINPROGRESS) {
        conn_connect_failed(conn, -r);
        return;
    }
    added = loop_add(&front->loop, &conn->backend.source);
    if (added < 0) {
        out_of_resources(conn, -added);
    } else if (r == 0) {
        enter_relay(conn);
    } else {
        timeout_arm(&front->connects, &conn->timeout,
                    usec_add(front->loop.now, BACKEND_CONNECT_TIMEOUT));
    }
}

void conn_lease(struct conn *conn, const struct config_app *app) {
    struct proto_address address;
    int r;

    timeout_cancel(&conn->timeout);
    conn->state = CONN_WAIT;
    r = lease_take(conn->front->leases, &conn->lease, app, &address);
    if (r < 0) {
        out_of_resources(conn, -r);
    } else if (r > 0) {
        enter_connect(conn, &address);
    }
}

void conn_doubt(struct conn *conn) {
    struct proto_address address;

    conn->state = CONN_WAIT;
    if (lease_doubt(&conn->lease, &address) > 0) {
        enter_connect(conn, &address);
    }
}

void conn_retry(struct conn *conn, const char *reason) {
    struct front *front = conn->front;
    char address[PROTO_ADDRESS_TEXT_MAX];

    timeout_cancel(&conn->timeout);
    side_close(&conn->backend);
    if (conn->tries >= BACKEND_TRIES) {
        if (lease_may_complain(&conn->lease)) {
            proto_address_format(&conn->address, address);
            log_error("%s: %s %s", lease_app(&conn->lease), address, reason);
        }
        conn_answer(conn, 502, reason);
    } else if (conn->tries > 1) {
        conn->state = CONN_PAUSE;
        timeout_arm(&front->retries, &conn->timeout,
                    usec_add(front->loop.now, BACKEND_RETRY_PAUSE));
    } else {
        conn_doubt(conn);
    }
}

static void on_lease_ready(struct lease_user *user, const struct proto_address *address) {
    enter_connect(container_of(user, struct conn, lease), address);
}

static void on_lease_failed(struct lease_user *user, enum proto_failure failure,
                            const char *reason) {
    conn_answer(container_of(user, struct conn, lease), answer_status_of(failure), reason);
}

const struct lease_handlers conn_lease_handlers = {
    .ready = on_lease_ready,
    .failed = on_lease_failed,
};
