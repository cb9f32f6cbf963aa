/*
 * conn_end.c - how a request ends, and a connection: with an answer of our own, with the next request,
 * with a lingering farewell, or at once (conn.c).
 */
#include <string.h>
#include <sys/socket.h>

#include "conn_internal.h"

/* --- ending ------------------------------------------------------------------------------------ */

static void conn_free(struct task *task) {
    free(container_of(task, struct conn, task));
}

void conn_let_backend_go(struct conn *conn) {
    upstream_close(take_ptr(conn->upstream));
    conn_wait_end(conn);
    lease_leave(&conn->lease);
    flow_done(&conn->up);
    flow_done(&conn->down);
    free(take_ptr(conn->held));
    free(take_ptr(conn->name));
}

void conn_close(struct conn *conn) {
    struct worker *worker = conn->worker;
    unsigned char key[SHARED_ADDRESS_KEY];

    if (conn->state == CONN_DEAD) {
        return;
    }
    if (conn->state == CONN_EVENTS) {
        worker->conns.n_events--;
    }
    conn->state = CONN_DEAD;
    if (conn->passed) {
        loop_remove(&worker->loop, &conn->client.source);
    }
    side_close(&conn->client);
    timeout_cancel(&conn->timeout);
    timeout_heap_cancel(&conn->check);
    conn_let_backend_go(conn);
    conn_logs_end(conn);
    if (conn->counted) {
        shared_leave(worker->shared, SHARED_CONNECTIONS, key,
                     shared_address_key(&conn->client_address, key));
    }
    if (worker->parsed == conn) {
        worker->parsed = NULL;
    }
    TAILQ_REMOVE(&worker->conns.all, conn, link);
    worker->conns.n--;
    conn->task.run = conn_free;
    loop_schedule(&worker->loop, &conn->task);
    worker_conn_ended(worker);
}

static void side_reset(struct side *side) {
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    if (side->source.fd >= 0) {
        (void)!setsockopt(side->source.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    }
}

void conn_abort(struct conn *conn) {
    side_reset(&conn->client);
    if (conn->upstream != NULL) {
        side_reset(&conn->upstream->side);
    }
    conn_close(conn);
}

void conn_out_of_resources(struct conn *conn, int error) {
    worker_exhausted(conn->worker, error);
    conn_answer(conn, 503, "this machine is out of resources");
}

static void enter_linger(struct conn *conn) {
    if (shutdown(conn->client.source.fd, SHUT_WR) < 0) {
        conn_close(conn);
        return;
    }
    conn->state = CONN_LINGER;
    timeout_arm(&conn->worker->conns.lingers, &conn->timeout,
                usec_add(conn->worker->loop.now, LINGER_TIMEOUT));
    conn_run(conn);
}

void conn_run_linger(struct conn *conn) {
    struct worker *worker = conn->worker;

    worker->parsed = NULL;
    for (unsigned i = 0; i < LINGER_READS; i++) {
        ssize_t n;

        if (!conn->client.readable) {
            return;
        }
        n = side_recv(&conn->client, worker->buffer, sizeof(worker->buffer));
        if (n == -EAGAIN) {
            conn->client.readable = false;
        } else if (n <= 0) {
            conn_close(conn);
            return;
        } else {
            conn->lingered += (uint32_t)n;
            if (conn->lingered > LINGER_BYTES) {
                conn_close(conn);
                return;
            }
        }
    }
    loop_schedule(&worker->loop, &conn->task);
}

/* Whether the client has sent something that nobody will read. */
static bool has_unread(struct conn *conn) {
    char byte;

    return conn->client.readable && side_peek(&conn->client, &byte, 1) > 0;
}

void conn_request_done(struct conn *conn) {
    bool whole = conn->up.left == 0 && conn->up.rest == NULL;

    timeout_cancel(&conn->timeout);
    if (conn->head_size > 0 && !conn_take_head(conn)) {
        conn_close(conn);
        return;
    }
    conn_let_backend_go(conn);
    if (conn->keep && whole && !conn->worker->stopping) {
        conn_look_begin(conn, false);
    } else if (whole && conn->asked && !has_unread(conn)) {
        conn_close(conn);
    } else {
        enter_linger(conn);
    }
}

/* --- answers of our own ------------------------------------------------------------------------ */

bool conn_may_keep(struct conn *conn) {
    conn->keep = conn->asked && conn->bodyless && conn->persistent && !conn->worker->stopping;
    return conn->keep;
}

void conn_send_answer(struct conn *conn, const char *head, size_t head_size, const char *body,
                      size_t body_size) {
    bool torn = conn->down.rest != NULL; /* within an interim answer */

    conn_let_backend_go(conn);
    timeout_cancel(&conn->timeout);
    timeout_heap_cancel(&conn->check);
    flow_init(&conn->up, conn->bodyless ? 0 : 1, NULL);
    flow_init(&conn->down, 0, NULL);
    if (conn->kind == CONN_TCP || torn ||
        flow_write_pair(&conn->down, &conn->client, head, head_size, body, body_size) < 0) {
        conn_close(conn);
        return;
    }
    conn->state = CONN_ANSWER;
    timeout_arm(&conn->worker->conns.lingers, &conn->timeout,
                usec_add(conn->worker->loop.now, LINGER_TIMEOUT));
    conn_run(conn);
}

void conn_answer_with(struct conn *conn, const struct answer *what) {
    char text[ANSWER_MAX];
    struct answer answer = *what;

    if (conn->lease.lease != NULL) {
        answer.subject = lease_app(&conn->lease);
    }
    answer.bodyless = conn->to_head;
    answer.persistent = conn_may_keep(conn);
    answer.old = conn->asked && conn->minor == 0;
    conn_send_answer(conn, text, answer_write(text, &answer), NULL, 0);
}

void conn_answer(struct conn *conn, unsigned status, const char *reason) {
    const struct answer answer = {.status = status, .reason = reason};

    conn_answer_with(conn, &answer);
}

enum flow_result conn_run_own(struct conn *conn) {
    /* Where there is no backend: nothing is ever read from it. */
    struct side nowhere = {.source.fd = -1};

    return flow_run(&conn->down, &nowhere, &conn->client, conn->worker->buffer);
}

void conn_run_answer(struct conn *conn) {
    switch (conn_run_own(conn)) {
    case FLOW_DONE:
        conn_request_done(conn);
        break;
    case FLOW_WAITS:
        break;
    default:
        conn_close(conn);
        break;
    }
}
