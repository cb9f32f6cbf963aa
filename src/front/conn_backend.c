/*
 * conn_backend.c - a connection's way to its backend: an idle connection to it or a new one, and what
 * if that fails (conn.c).
 *
 * An address comes from the lease. When it does not take the connection, the lease is doubted: the
 * engine looks again, once for all connections that found it so, and names an address anew. The first
 * time that is done at once, later after a pause, and after BACKEND_TRIES the client is told.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "conn_internal.h"
#include "listener.h"
#include "log.h"
#include "proxy_header.h"

/* A TCP client's: all bytes pass, as they come. */
static bool open_tunnel(struct conn *conn) {
    char header[PROXY_HEADER_WRITE_MAX];

    flow_init(&conn->up, FLOW_ENDLESS, NULL);
    flow_init(&conn->down, FLOW_ENDLESS, NULL);
    conn->tunnel = true;
    if (conn->proxy_out != PROXY_PROTOCOL_NONE &&
        flow_write(&conn->up, &conn->upstream->side, header, conn_proxy_header(conn, header)) < 0) {
        conn->up.broken = true;
    }
    return true;
}

static void enter_relay(struct conn *conn) {
    timeout_cancel(&conn->timeout);
    conn->state = CONN_RELAY;
    conn->upstream->side.writable = true;
    if (conn->kind == CONN_TCP ? open_tunnel(conn) : http_hand_over(conn)) {
        conn_check_begin(conn);
        conn_run(conn);
    }
}

size_t conn_proxy_header(struct conn *conn, char out[static PROXY_HEADER_WRITE_MAX]) {
    struct proto_address local = conn->local;

    if (local.family == AF_UNSPEC) {
        (void)!listener_local(conn->client.source.fd, &local);
    }
    return proxy_header_write(out, conn->proxy_out == PROXY_PROTOCOL_V1 ? 1 : 2,
                              &conn->client_address, &local);
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
    if (connect(conn->upstream->side.source.fd, (const struct sockaddr *)&sa, len) == 0 ||
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

static void connect_anew(struct conn *conn) {
    struct worker *worker = conn->worker;
    int fd, r, added;

    conn->tries++;
    fd = socket(conn->address.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        conn_out_of_resources(conn, errno);
        return;
    }
    listener_set_options(fd, conn->address.port);
    conn->upstream = upstream_new(conn, worker, fd);
    if (conn->upstream == NULL) {
        conn_out_of_resources(conn, ENOMEM);
        return;
    }
    conn->upstream->owner = conn->proxy_out != PROXY_PROTOCOL_NONE ? conn->serial : 0;
    conn->upstream->side.short_is_all = conn->kind == CONN_HTTP;
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
    added = loop_add(&worker->loop, &conn->upstream->side.source);
    if (added < 0) {
        conn_out_of_resources(conn, -added);
    } else if (r == 0) {
        enter_relay(conn);
    } else {
        timeout_arm(&worker->conns.connects, &conn->timeout,
                    usec_add(worker->loop.now, BACKEND_CONNECT_TIMEOUT));
    }
}

void conn_connect(struct conn *conn, const struct proto_address *address) {
    if (address->family != AF_INET && address->family != AF_INET6) {
        conn_answer(conn, 502, "has no address that can be connected to");
        return;
    }
    conn->address = *address;
    if (conn->kind == CONN_HTTP && !conn->replayed) {
        conn->upstream = upstream_take(lease_pool(&conn->lease), conn,
                                       conn->proxy_out != PROXY_PROTOCOL_NONE ? conn->serial : 0,
                                       !conn->safe || !conn->bodyless);
    }
    if (conn->upstream != NULL) {
        enter_relay(conn);
    } else {
        connect_anew(conn);
    }
}

void conn_doubt(struct conn *conn) {
    struct proto_address address;

    timeout_heap_cancel(&conn->check); /* in this state it would mean a page */
    conn->state = CONN_WAIT;
    if (lease_doubt(&conn->lease, &address) > 0) {
        conn_connect(conn, &address);
    }
}

void conn_retry(struct conn *conn, const char *reason) {
    struct worker *worker = conn->worker;
    char address[PROTO_ADDRESS_TEXT_MAX];

    timeout_cancel(&conn->timeout);
    upstream_close(take_ptr(conn->upstream));
    if (conn->tries >= BACKEND_TRIES || conn->lease.lease == NULL) {
        if (conn->lease.lease != NULL && lease_may_complain(&conn->lease)) {
            proto_address_format(&conn->address, address);
            log_error("%s: %s %s", lease_app(&conn->lease), address, reason);
        }
        conn_answer(conn, 502, reason);
    } else if (conn->tries > 1) {
        conn->state = CONN_PAUSE;
        timeout_arm(&worker->conns.retries, &conn->timeout,
                    usec_add(worker->loop.now, BACKEND_RETRY_PAUSE));
    } else {
        conn_doubt(conn);
    }
}
