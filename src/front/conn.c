/*
 * conn.c - a client's way from accept to close. The way to the backend is in conn_backend.c, HTTP's
 * own part in conn_http.c.
 *
 *   HEAD ----> WAIT ----> CONNECT ----> RELAY ----> (closed)
 *     |         |  ^        |    ^       |  |          ^
 *     |         |  |        v    |       |  |          |
 *     |         |  +----- PAUSE -+       |  +-------> LINGER
 *     |         |                        |              ^
 *     +---------+------> ANSWER <--------+              |
 *                           +---------------------------+
 *
 * HEAD     HTTP only. The head is looked at and not read (MSG_PEEK); the socket is edge-triggered, so
 *          an incomplete head costs nothing until more of it comes. Bounded by head_limit and
 *          head_timeout.
 * WAIT     The lease is asked for. Everything the client sends stays in the kernel, which stops the
 *          client when its window is full. The lease bounds the wait.
 * CONNECT  Bounded by BACKEND_CONNECT_TIMEOUT. On failure the lease is doubted and the way goes back
 *          to WAIT, from the second time on after a PAUSE, BACKEND_TRIES times in all.
 * RELAY    Two flows (relay.h). Bounded only by their ends.
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
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "answer.h"
#include "conn_internal.h"

static const char too_many[] = "too many connections are open";

/* --- ending ------------------------------------------------------------------------------------ */

static void conn_free(struct task *task) {
    free(container_of(task, struct conn, task));
}

void conn_close(struct conn *conn) {
    struct front *front = conn->front;

    if (conn->state == CONN_DEAD) {
        return;
    }
    conn->state = CONN_DEAD;
    if (conn->passed) {
        loop_remove(&front->loop, &conn->client.source);
    }
    side_close(&conn->client);
    side_close(&conn->backend);
    timeout_cancel(&conn->timeout);
    lease_leave(&conn->lease);
    flow_done(&conn->up);
    flow_done(&conn->down);
    if (front->parsed == conn) {
        front->parsed = NULL;
    }
    TAILQ_REMOVE(&front->conns, conn, link);
    front->n_conns--;
    conn->task.run = conn_free;
    loop_schedule(&front->loop, &conn->task);
    front_conn_ended(front);
}

static void side_reset(struct side *side) {
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    if (side->source.fd >= 0) {
        (void)!setsockopt(side->source.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    }
}

void conn_abort(struct conn *conn) {
    side_reset(&conn->client);
    side_reset(&conn->backend);
    conn_close(conn);
}

static void let_backend_go(struct conn *conn) {
    side_close(&conn->backend);
    lease_leave(&conn->lease);
    flow_done(&conn->up);
    flow_done(&conn->down);
}

static void enter_linger(struct conn *conn) {
    if (shutdown(conn->client.source.fd, SHUT_WR) < 0) {
        conn_close(conn);
        return;
    }
    conn->state = CONN_LINGER;
    timeout_arm(&conn->front->lingers, &conn->timeout,
                usec_add(conn->front->loop.now, LINGER_TIMEOUT));
    conn_run(conn);
}

static void run_linger(struct conn *conn) {
    struct front *front = conn->front;

    front->parsed = NULL;
    for (unsigned i = 0; i < LINGER_READS; i++) {
        ssize_t n;

        if (!conn->client.readable) {
            return;
        }
        n = recv(conn->client.source.fd, front->buffer, sizeof(front->buffer), 0);
        if (n < 0 && errno == EAGAIN) {
            conn->client.readable = false;
        } else if (n == 0 || (n < 0 && errno != EINTR)) {
            conn_close(conn);
            return;
        } else if (n > 0) {
            conn->lingered += (uint32_t)n;
            if (conn->lingered > LINGER_BYTES) {
                conn_close(conn);
                return;
            }
        }
    }
    loop_schedule(&front->loop, &conn->task);
}

/* Whether the client has sent something that nobody will read. */
static bool has_unread(struct conn *conn) {
    struct front *front = conn->front;
    ssize_t n;

    if (!conn->client.readable) {
        return false;
    }
    front->parsed = NULL;
    n = recv(conn->client.source.fd, front->buffer, sizeof(front->buffer), 0);
    return n > 0;
}

void conn_finish(struct conn *conn) {
    let_backend_go(conn);
    if (conn->up.left == 0 && !conn->overrun && !has_unread(conn)) {
        conn_close(conn);
    } else {
        enter_linger(conn);
    }
}

void conn_answer(struct conn *conn, unsigned status, const char *reason) {
    char text[ANSWER_MAX];
    const char *subject = conn->lease.lease != NULL ? lease_app(&conn->lease) : NULL;
    size_t size;

    let_backend_go(conn);
    timeout_cancel(&conn->timeout);
    if (conn->kind == CONN_TCP) {
        conn_close(conn);
        return;
    }
    size = answer_write(text, status, subject, reason, conn->bodyless_answer);
    flow_init(&conn->down, 0, NULL);
    if (flow_write(&conn->down, &conn->client, text, size) < 0) {
        conn_close(conn);
        return;
    }
    conn->state = CONN_ANSWER;
    timeout_arm(&conn->front->lingers, &conn->timeout,
                usec_add(conn->front->loop.now, LINGER_TIMEOUT));
    conn_run(conn);
}

static void run_answer(struct conn *conn) {
    switch (flow_run(&conn->down, &conn->backend, &conn->client, conn->front->buffer)) {
    case FLOW_DONE:
        enter_linger(conn);
        break;
    case FLOW_WAITS:
        break;
    default:
        conn_close(conn);
        break;
    }
}

/* --- relaying ---------------------------------------------------------------------------------- */

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
        (void)!shutdown(conn->backend.source.fd, SHUT_WR);
    }
    if (down == FLOW_DONE && !conn->down_shut) {
        conn->down_shut = true;
        (void)!shutdown(conn->client.source.fd, SHUT_WR);
    }
}

static void run_relay(struct conn *conn) {
    struct front *front = conn->front;
    enum flow_result up, down;

    front->parsed = NULL;
    /* Downward first: a 101 in it lets the upward flow go on. */
    down = flow_run(&conn->down, &conn->backend, &conn->client, front->buffer);
    if (conn->head_kept && conn->down.passed && !http_take_head(conn)) {
        conn_close(conn);
        return;
    }
    up = flow_run(&conn->up, &conn->client, &conn->backend, front->buffer);
    if (conn->tunnel) {
        judge_tunnel(conn, up, down);
    } else {
        http_judge(conn, up, down);
    }
    if (conn->state == CONN_RELAY && (up == FLOW_MORE || down == FLOW_MORE)) {
        loop_schedule(&front->loop, &conn->task);
    }
}

/* --- events ------------------------------------------------------------------------------------ */

void conn_run(struct conn *conn) {
    switch ((enum conn_state)conn->state) {
    case CONN_HEAD:
        http_look(conn);
        break;
    case CONN_CONNECT:
        conn_run_connect(conn);
        break;
    case CONN_RELAY:
        run_relay(conn);
        break;
    case CONN_ANSWER:
        run_answer(conn);
        break;
    case CONN_LINGER:
        run_linger(conn);
        break;
    case CONN_WAIT:
    case CONN_PAUSE:
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
    if (conn->client.gone && conn->state < CONN_ANSWER && !conn->tunnel) {
        conn_close(conn);
        return;
    }
    /* What a client sends does not speed a connect up. */
    if (conn->state != CONN_CONNECT) {
        conn_run(conn);
    }
    if (is_departing(conn) && !conn->departing) {
        watch_departure(conn);
    }
}

static void on_head_late(struct timeout *timeout) {
    http_head_late(container_of(timeout, struct conn, timeout));
}

static void on_connect_late(struct timeout *timeout) {
    conn_connect_failed(container_of(timeout, struct conn, timeout), ETIMEDOUT);
}

static void on_pause_over(struct timeout *timeout) {
    conn_doubt(container_of(timeout, struct conn, timeout));
}

static void on_linger_over(struct timeout *timeout) {
    conn_close(container_of(timeout, struct conn, timeout));
}

void conn_queues_init(struct front *front) {
    timeout_queue_init(&front->heads, on_head_late);
    timeout_queue_init(&front->connects, on_connect_late);
    timeout_queue_init(&front->retries, on_pause_over);
    timeout_queue_init(&front->lingers, on_linger_over);
    loop_add_queue(&front->loop, &front->heads);
    loop_add_queue(&front->loop, &front->connects);
    loop_add_queue(&front->loop, &front->retries);
    loop_add_queue(&front->loop, &front->lingers);
}

/* --- beginning --------------------------------------------------------------------------------- */

/* Beyond all bounds: nobody waits for the client to read it. */
static void refuse(int fd, enum conn_kind kind) {
    char text[ANSWER_MAX];

    if (kind == CONN_HTTP) {
        size_t size = answer_write(text, 503, NULL, too_many, false);

        if (send(fd, text, size, MSG_NOSIGNAL | MSG_DONTWAIT) > 0) {
            /* Unread bytes would make the kernel reset the connection. */
            (void)!recv(fd, text, sizeof(text), MSG_DONTWAIT);
        }
    }
    safe_close(fd);
}

static struct conn *conn_new(struct front *front, int fd, enum conn_kind kind, bool tcp) {
    struct conn *conn = calloc(1, sizeof(*conn));

    if (conn == NULL) {
        return NULL;
    }
    conn->front = front;
    conn->kind = kind;
    conn->task.run = on_task;
    side_init(&conn->client, fd, on_client);
    side_init(&conn->backend, -1, NULL);
    conn->client.readable = conn->client.writable = true; /* until found otherwise */
    conn->client.short_is_all = kind == CONN_HTTP && tcp;
    TAILQ_INSERT_TAIL(&front->conns, conn, link);
    front->n_conns++;
    front_conn_began(front);
    return conn;
}

void conn_accepted(struct front *front, int fd, uint16_t port, bool passed) {
    const struct config_app *app = port != 0 ? config_app_by_port(front->config, port) : NULL;
    enum conn_kind kind = app != NULL ? CONN_TCP : CONN_HTTP;
    size_t max = front->config->front.max_connections;
    struct conn *conn = NULL;
    int r;

    if (front->n_conns < max + FRONT_REFUSED_MAX) {
        conn = conn_new(front, fd, kind, port != 0);
    }
    if (conn == NULL) {
        refuse(fd, kind);
        return;
    }
    conn->passed = passed;
    r = loop_add(&front->loop, &conn->client.source);
    if (r < 0) {
        front_exhausted(front, -r);
        conn_close(conn);
    } else if (front->n_conns > max) {
        conn_answer(conn, 503, too_many);
    } else if (kind == CONN_HTTP) {
        timeout_arm(&front->heads, &conn->timeout,
                    usec_add(front->loop.now, front->config->front.head_timeout));
        conn_run(conn);
    } else if (app->broken) {
        conn_close(conn);
    } else {
        conn_lease(conn, app);
    }
}

void conns_abort(struct front *front) {
    struct conn *conn, *next;

    for (conn = TAILQ_FIRST(&front->conns); conn != NULL; conn = next) {
        next = TAILQ_NEXT(conn, link);
        if (conn->state < CONN_RELAY) {
            conn_answer(conn, 503, "dockwake is being stopped");
        }
        conn_close(conn);
    }
}
