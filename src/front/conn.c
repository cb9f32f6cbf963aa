/*
 * conn.c - a client's way from accept to close.
 *
 *            +----------------------------------------+   (the next request)
 *            v                                        |
 *          HEAD ----> WAIT ----> CONNECT ----> RELAY -+--> (closed)
 *            |         |  ^        |    ^       |     |       ^
 *            |         |  |        v    |       |     |       |
 *            |         |  +----- PAUSE -+       |     +--> LINGER
 *            |         |                        |     |
 *            +-> LOGS  +-> EVENTS               |     |
 *            |    |    |     |                  v     |
 *            +----+----+-----+------------> ANSWER ---+
 *
 * HEAD     What arrives is looked at and not read (MSG_PEEK): a PROXY header, a ClientHello or a
 *          request's head (conn_look.c). The socket is edge-triggered, so an incomplete head costs
 *          nothing until more of it comes. Bounded by head_limit and head_timeout, between two
 *          requests by keepalive_timeout.
 * WAIT     The lease was asked for (conn_route.c). Everything the client sends stays in the kernel,
 *          which stops the client when its window is full. The lease bounds the wait; what the client
 *          is shown meanwhile is in conn_wait.c.
 * CONNECT  Bounded by BACKEND_CONNECT_TIMEOUT. On failure the lease is doubted and the way goes back
 *          to WAIT, from the second time on after a PAUSE, BACKEND_TRIES times in all
 *          (conn_backend.c).
 * RELAY    Two flows (relay.h). For HTTP one request and its answers (conn_http.c), otherwise a tunnel
 *          with half-close. Bounded only by their ends; who owes bytes or takes none for too long is
 *          cut off (conn_check.c).
 * EVENTS   A stream about a wake; LOGS: the lines of a log are being gathered (conn_wait.c).
 * ANSWER   An answer of our own goes out.
 * LINGER   Our end of the connection is shut and the client is read from, within bounds, as closing
 *          with unread bytes would make the kernel reset the connection and destroy the answer on its
 *          way.
 *
 * A client that sends its end (FIN) before RELAY has only finished speaking, and is served. One
 * that resets the connection has left: it is dropped from the waiters, and the wake goes on without
 * it.
 *
 * conn_run() derives from the state what is done next, and is called for every event. Nothing but
 * conn_close() ends a connection, and its memory lives until the turn is over.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "conn_internal.h"
#include "log.h"

static const char too_many[] = "too many connections are open";
static const char too_many_yours[] = "too many connections are open from this address";

const char *conn_client_text(const struct proto_address *address,
                             char out[static PROTO_ADDRESS_TEXT_MAX]) {
    if (address->family == AF_UNSPEC ||
        inet_ntop(address->family, address->ip, out, PROTO_ADDRESS_TEXT_MAX) == NULL) {
        return "unix";
    }
    return out;
}

/* --- tunnels ----------------------------------------------------------------------------------- */

static bool is_over(enum flow_result result) {
    return result == FLOW_DONE || result == FLOW_SINK_FAILED;
}

/* Both directions are independent; an end is passed on when all before it was delivered. */
static void judge_tunnel(struct conn *conn, enum flow_result up, enum flow_result down) {
    if (up == FLOW_SOURCE_FAILED || down == FLOW_SOURCE_FAILED) {
        conn_abort(conn);
        return;
    }
    if (is_over(up) && is_over(down)) {
        conn_close(conn);
        return;
    }
    if (up == FLOW_DONE && !conn->up_shut) {
        conn->up_shut = true;
        (void)!shutdown(conn->upstream->side.source.fd, SHUT_WR);
    }
    if (down == FLOW_DONE && !conn->down_shut) {
        conn->down_shut = true;
        (void)!shutdown(conn->client.source.fd, SHUT_WR);
    }
    if (up == FLOW_MORE || down == FLOW_MORE) {
        loop_schedule(&conn->worker->loop, &conn->task);
    }
}

static void run_relay(struct conn *conn) {
    struct worker *worker = conn->worker;
    struct side *backend = &conn->upstream->side;
    enum flow_result up, down;

    conn_check_moved(conn, false);
    worker->parsed = NULL;
    if (!conn->tunnel) {
        http_run(conn);
        return;
    }
    down = flow_run(&conn->down, backend, &conn->client, worker->buffer);
    up = flow_run(&conn->up, &conn->client, backend, worker->buffer);
    judge_tunnel(conn, up, down);
}

/* --- events ------------------------------------------------------------------------------------ */

void conn_run(struct conn *conn) {
    switch ((enum conn_state)conn->state) {
    case CONN_HEAD:
        conn_look(conn);
        break;
    case CONN_CONNECT:
        conn_run_connect(conn);
        break;
    case CONN_RELAY:
        run_relay(conn);
        break;
    case CONN_ANSWER:
        conn_run_answer(conn);
        break;
    case CONN_LINGER:
        conn_run_linger(conn);
        break;
    case CONN_EVENTS:
        if (conn_run_own(conn) == FLOW_SINK_FAILED) {
            conn_close(conn);
        }
        break;
    case CONN_WAIT:
    case CONN_PAUSE:
    case CONN_LOGS:
    case CONN_DEAD:
        break;
    }
}

static void on_task(struct task *task) {
    conn_run(container_of(task, struct conn, task));
}

/* After its end a client may only be listening, or have closed: the kernel finds out which. */
static void watch_departure(struct conn *conn) {
    int fd = conn->client.source.fd;
    int idle = DEPARTURE_IDLE, interval = DEPARTURE_INTERVAL, probes = DEPARTURE_PROBES;

    conn->departing = true;
    (void)!setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    (void)!setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
    (void)!setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

static bool is_departing(const struct conn *conn) {
    return conn->client.no_more && conn->state > CONN_HEAD && conn->state < CONN_ANSWER &&
           !conn->tunnel;
}

static void on_client(struct source *source, uint32_t events) {
    struct conn *conn = container_of(source, struct conn, client.source);

    side_note(&conn->client, events);
    /* Where something is still read from or sent to the client, that finds out by itself. */
    if ((conn->client.gone && conn->state < CONN_ANSWER && !conn->tunnel) ||
        (conn->client.no_more && conn->state == CONN_EVENTS)) {
        conn_close(conn);
        return;
    }
    if (conn->state == CONN_RELAY) {
        conn_check_moved(conn, true);
    }
    /* What a client sends does not speed a connect up. */
    if (conn->state != CONN_CONNECT) {
        conn_run(conn);
    }
    if (is_departing(conn) && !conn->departing) {
        watch_departure(conn);
    }
}

static struct conn *of_timeout(struct timeout *timeout) {
    return container_of(timeout, struct conn, timeout);
}

static void on_head_late(struct timeout *timeout) {
    conn_look_late(of_timeout(timeout));
}

static void on_connect_late(struct timeout *timeout) {
    conn_connect_failed(of_timeout(timeout), ETIMEDOUT);
}

static void on_pause_over(struct timeout *timeout) {
    conn_doubt(of_timeout(timeout));
}

static void on_over(struct timeout *timeout) {
    conn_close(of_timeout(timeout));
}

static void on_tick(struct timeout *timeout) {
    conn_events_tick(of_timeout(timeout));
}

static void on_check(struct timeout_node *node) {
    struct conn *conn = container_of(node, struct conn, check);

    if (conn->state == CONN_WAIT) {
        conn_wait_long(conn);
    } else {
        conn_check_due(conn);
    }
}

void conns_init(struct worker *worker) {
    struct conns *conns = &worker->conns;

    *conns = (struct conns){0};
    TAILQ_INIT(&conns->all);
    timeout_queue_init(&conns->heads, on_head_late);
    timeout_queue_init(&conns->keepalives, on_over);
    timeout_queue_init(&conns->connects, on_connect_late);
    timeout_queue_init(&conns->retries, on_pause_over);
    timeout_queue_init(&conns->lingers, on_over);
    timeout_queue_init(&conns->ticks, on_tick);
    timeout_heap_init(&conns->checks, on_check);
    loop_add_queue(&worker->loop, &conns->heads);
    loop_add_queue(&worker->loop, &conns->keepalives);
    loop_add_queue(&worker->loop, &conns->connects);
    loop_add_queue(&worker->loop, &conns->retries);
    loop_add_queue(&worker->loop, &conns->lingers);
    loop_add_queue(&worker->loop, &conns->ticks);
    loop_add_heap(&worker->loop, &conns->checks);
}

/* --- beginning --------------------------------------------------------------------------------- */

/* Beyond all bounds: nobody waits for the client to read it. */
static void refuse(int fd, enum conn_kind kind) {
    char text[ANSWER_MAX];

    if (kind == CONN_HTTP) {
        size_t size = answer_write(text, &(struct answer){.status = 503, .reason = too_many});

        if (send(fd, text, size, MSG_NOSIGNAL | MSG_DONTWAIT) > 0) {
            /* Unread bytes would make the kernel reset the connection. */
            (void)!recv(fd, text, sizeof(text), MSG_DONTWAIT);
        }
    }
    safe_close(fd);
}

static struct conn *conn_new(struct worker *worker, int fd, enum conn_kind kind, uint16_t port) {
    struct conn *conn = calloc(1, sizeof(*conn));

    if (conn == NULL) {
        return NULL;
    }
    conn->worker = worker;
    conn->kind = kind;
    conn->port = port;
    conn->serial = ++worker->conns.serial;
    conn->task.run = on_task;
    side_init(&conn->client, fd, on_client);
    conn->client.readable = conn->client.writable = true; /* until found otherwise */
    conn->client.short_is_all = kind == CONN_HTTP && port != 0;
    TAILQ_INSERT_TAIL(&worker->conns.all, conn, link);
    worker->conns.n++;
    worker_conn_began(worker);
    return conn;
}

bool conn_count(struct conn *conn) {
    const struct config_front *config = &conn->worker->config->front;
    unsigned char key[SHARED_ADDRESS_KEY];
    size_t len = shared_address_key(&conn->client_address, key);

    if (len == 0 || config->max_per_address == 0 ||
        config_nets_have(&config->trusted_proxies, &conn->client_address)) {
        return true;
    }
    conn->counted = shared_enter(conn->worker->shared, SHARED_CONNECTIONS, key, len,
                                 config->max_per_address) == 0;
    return conn->counted;
}

void conn_accepted(struct worker *worker, int fd, uint16_t port, const struct proto_address *client,
                   bool passed) {
    const struct config *config = worker->config;
    const struct config_app *app = port != 0 ? config_app_by_port(config, port) : NULL;
    enum conn_kind kind = app != NULL ? CONN_TCP : CONN_HTTP;
    size_t max = config->front.max_connections;
    struct conn *conn = NULL;
    int r;

    if (worker_conns_in_all(worker) < max + WORKER_REFUSED_MAX) {
        conn = conn_new(worker, fd, kind, port);
    }
    if (conn == NULL) {
        refuse(fd, kind);
        return;
    }
    conn->passed = passed;
    conn->client_address = *client;
    conn->trusted = config_nets_have(&config->front.trusted_proxies, client);
    conn->needs_proxy = conn->trusted && config->front.proxy_protocol;
    r = loop_add(&worker->loop, &conn->client.source);
    if (r < 0) {
        worker_exhausted(worker, -r);
        conn_close(conn);
    } else if (worker_conns_in_all(worker) > max) {
        conn_answer(conn, 503, too_many);
    } else if (!conn->needs_proxy && !conn_count(conn)) {
        conn_answer(conn, 503, too_many_yours);
    } else if (kind == CONN_HTTP || conn->needs_proxy) {
        conn_look_begin(conn, true);
    } else {
        conn_route_tcp(conn, app);
    }
}

void conns_abort(struct worker *worker) {
    struct conn *conn, *next;

    for (conn = TAILQ_FIRST(&worker->conns.all); conn != NULL; conn = next) {
        next = TAILQ_NEXT(conn, link);
        if (conn->state < CONN_RELAY && !conn->between) {
            conn_answer(conn, 503, "dockwake is being stopped");
        }
        conn_close(conn);
    }
}

void conns_drain(struct worker *worker) {
    struct conn *conn, *next;

    for (conn = TAILQ_FIRST(&worker->conns.all); conn != NULL; conn = next) {
        next = TAILQ_NEXT(conn, link);
        if (conn->state == CONN_HEAD && conn->between && conn->served) {
            conn_close(conn);
        }
    }
}
