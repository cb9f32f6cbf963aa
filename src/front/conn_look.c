/*
 * conn_look.c - what a connection begins with, and each of its requests (CONN_HEAD of conn.c).
 *
 * It is looked at without being taken (MSG_PEEK), until it is complete: a PROXY header where the
 * peer is a trusted proxy and such headers are asked for; then, of a connection's first bytes, a
 * ClientHello or a request's head. Only a PROXY header is taken at once. A head stays where it is
 * until it is known that it needs not be sent again; a ClientHello is the backend's.
 *
 * A head that arrives in many pieces is parsed anew only when a line has ended; the number of lines
 * is bounded, and so is the work that a slow client can cause.
 */
#include <string.h>
#include <sys/socket.h>

#include "conn_internal.h"
#include "listener.h"
#include "log.h"
#include "proxy_header.h"
#include "tls_hello.h"

bool conn_parsed(struct conn *conn) {
    struct worker *worker = conn->worker;

    if (worker->parsed == conn) {
        return true;
    }
    worker->parsed = NULL;
    if (side_peek(&conn->client, worker->buffer, conn->head_size) != (ssize_t)conn->head_size ||
        http_head_parse(worker->buffer, conn->head_size, &worker->head) != HTTP_COMPLETE) {
        return false;
    }
    worker->parsed = conn;
    return true;
}

bool conn_take_head(struct conn *conn) {
    size_t size = conn->head_size;

    conn->head_size = 0;
    conn->head_kept = false;
    if (side_discard(&conn->client, size) < 0) {
        return false;
    }
    /* All that was there has been taken, and nothing was reported since: no need to ask again. */
    if (conn->seen == size && conn->seen_all && conn->client.short_is_all && !conn->client.news &&
        !conn->client.no_more) {
        conn->client.readable = false;
    }
    return true;
}

/* --- PROXY ------------------------------------------------------------------------------------- */

/* Returns whether the connection goes on behind it. */
static bool look_at_proxy(struct conn *conn, size_t n) {
    struct worker *worker = conn->worker;
    struct proxy_header header;

    switch (proxy_header_parse(worker->buffer, n, &header)) {
    case HTTP_PARTIAL:
        if (n >= PROXY_HEADER_MAX || conn->client.no_more) {
            conn_close(conn);
        } else {
            conn->seen = (uint32_t)n;
            conn->client.readable = false;
        }
        return false;
    case HTTP_BAD:
        conn_close(conn);
        return false;
    case HTTP_COMPLETE:
        break;
    }
    if (side_discard(&conn->client, header.size) < 0) {
        conn_close(conn);
        return false;
    }
    conn->needs_proxy = false;
    conn->seen = 0;
    if (header.client.family != AF_UNSPEC) {
        conn->client_address = header.client;
        conn->local = header.server;
        /* The proxy that connected has told of its client; that one is trusted only by itself. */
        conn->trusted = config_nets_have(&worker->config->front.trusted_proxies, &header.client);
    }
    if (!conn_count(conn)) {
        conn_answer(conn, 503, "too many connections are open from this address");
        return false;
    }
    if (conn->kind == CONN_TCP) {
        const struct config_app *app = config_app_by_port(worker->config, conn->port);

        if (app == NULL) {
            conn_close(conn);
        } else {
            conn_route_tcp(conn, app);
        }
        return false;
    }
    return true;
}

/* --- TLS --------------------------------------------------------------------------------------- */

static void refuse_tls(struct conn *conn) {
    char alert[TLS_ALERT_SIZE];

    tls_alert_write(alert);
    conn->kind = CONN_HTTP; /* an answer that is sent, if no HTTP */
    conn_send_answer(conn, alert, sizeof(alert), NULL, 0);
}

static void look_at_tls(struct conn *conn, size_t n, size_t limit) {
    char name[TLS_NAME_MAX];

    switch (tls_hello_parse(conn->worker->buffer, n, name)) {
    case HTTP_COMPLETE:
        conn_route_tls(conn, name);
        if (conn->state == CONN_HEAD) {
            refuse_tls(conn);
        }
        break;
    case HTTP_BAD:
        conn_close(conn);
        break;
    case HTTP_PARTIAL:
        if (n >= limit || conn->client.no_more) {
            conn_close(conn);
        } else {
            conn->seen = (uint32_t)n;
            conn->client.readable = false;
        }
        break;
    }
}

/* --- HTTP -------------------------------------------------------------------------------------- */

/* A complete head: what will be needed of it when the buffer is another's. */
static void take_note(struct conn *conn) {
    const struct http_head *head = &conn->worker->head;

    conn->asked = true;
    conn->between = false;
    conn->head_size = head->size;
    conn->minor = head->minor;
    conn->to_head = head->bodyless_answer;
    conn->persistent = head->persistent;
    conn->bodyless = head->body == HTTP_BODY_NONE ||
                     (head->body == HTTP_BODY_LENGTH && head->content_length == 0);
    conn->safe = head->safe;
    conn->upgrade = head->upgrade;
    timeout_cancel(&conn->timeout);
}

static void look_at_head(struct conn *conn, size_t n, size_t limit) {
    struct worker *worker = conn->worker;
    bool late = n >= limit || conn->client.no_more;

    /* What is no whole line more has nothing new to say. */
    if (conn->seen > 0 && !late &&
        memchr(worker->buffer + conn->seen, '\n', n - conn->seen) == NULL) {
        conn->seen = (uint32_t)n;
        conn->client.readable = false;
        return;
    }
    conn->seen = (uint32_t)n;
    switch (http_head_parse(worker->buffer, n, &worker->head)) {
    case HTTP_COMPLETE:
        worker->parsed = conn;
        take_note(conn);
        conn_route(conn);
        break;
    case HTTP_BAD:
        conn_answer(conn, worker->head.status, worker->head.reason);
        break;
    case HTTP_PARTIAL:
        if (n >= limit && !worker->head.line_complete) {
            conn_answer(conn, 414, "the request line is too long");
        } else if (n >= limit) {
            conn_answer(conn, 431, "the fields are too long");
        } else if (conn->client.no_more) {
            conn_answer(conn, 400, "the request ends within its head");
        } else {
            conn->client.readable = false; /* until more has come */
        }
        break;
    }
}

void conn_look(struct conn *conn) {
    struct worker *worker = conn->worker;
    size_t limit = worker->config->front.head_limit;
    ssize_t n;

    if (!conn->client.readable) {
        return;
    }
    if (conn->needs_proxy && limit < PROXY_HEADER_MAX) {
        limit = PROXY_HEADER_MAX;
    }
    if (!conn->served && limit < TLS_HELLO_MAX && config_has_sni(worker->config)) {
        limit = TLS_HELLO_MAX;
    }
    if (limit > sizeof(worker->buffer)) {
        limit = sizeof(worker->buffer);
    }
    worker->parsed = NULL;
    conn->client.news = false;
    /* A connection that has been served is nobody else's any more, so its bytes may be taken. */
    n = conn->served ? side_take_ahead(&conn->client, worker->buffer, limit)
                     : side_peek(&conn->client, worker->buffer, limit);
    conn->seen_all = n > 0 && (size_t)n < limit;
    if (n == -EAGAIN) {
        conn->client.readable = false;
        return;
    }
    if (n <= 0) {
        conn_close(conn); /* nothing was asked, so nothing is answered */
        return;
    }
    if ((size_t)n == conn->seen && !conn->client.no_more) {
        conn->client.readable = false;
        return;
    }
    if (conn->between) {
        conn->between = false;
        if (conn->served) { /* the keepalive timeout is over, the head's begins */
            timeout_arm(&worker->conns.heads, &conn->timeout,
                        usec_add(worker->loop.now, worker->config->front.head_timeout));
        }
    }
    if (conn->needs_proxy) {
        if (look_at_proxy(conn, (size_t)n)) {
            conn_look(conn); /* once: it needs none any more */
        }
    } else if (!conn->served && worker->buffer[0] == TLS_HANDSHAKE_RECORD) {
        look_at_tls(conn, (size_t)n, limit);
    } else {
        limit = worker->config->front.head_limit;
        if (limit > sizeof(worker->buffer)) {
            limit = sizeof(worker->buffer);
        }
        look_at_head(conn, (size_t)n < limit ? (size_t)n : limit, limit);
    }
}

void conn_look_late(struct conn *conn) {
    conn->worker->parsed = NULL;
    /* A client that connected ahead and never asked anything is not told that it was too slow. */
    if (conn->kind == CONN_HTTP && !conn->needs_proxy &&
        side_peek(&conn->client, conn->worker->buffer, 1) > 0 &&
        (conn->served || conn->worker->buffer[0] != TLS_HANDSHAKE_RECORD)) {
        conn_answer(conn, 408, "the request's head did not arrive in time");
    } else {
        conn_close(conn);
    }
}

void conn_look_begin(struct conn *conn, bool first) {
    struct worker *worker = conn->worker;
    const struct config_front *config = &worker->config->front;

    conn->state = CONN_HEAD;
    conn->between = true;
    if (first) {
        timeout_arm(&worker->conns.heads, &conn->timeout,
                    usec_add(worker->loop.now, config->head_timeout));
        conn_run(conn);
        return;
    }
    conn->served = true;
    conn->seen = conn->head_size = 0;
    conn->tries = conn->interims = conn->members_tried = 0;
    conn->asked = conn->replayed = conn->answered = conn->up_shut = conn->down_shut = false;
    conn->rated = conn->woke = conn->waited = conn->silent = conn->keep = false;
    conn->by_cookie = conn->by_instance = conn->remembered = false;
    conn->segments = conn->rule = 0;
    conn->patience = PATIENCE_HOLD;
    conn->until_close = conn->reusable = false;
    timeout_arm(&worker->conns.keepalives, &conn->timeout,
                usec_add(worker->loop.now, config->keepalive_timeout));
    if (conn->client.readable) {
        loop_schedule(&worker->loop, &conn->task); /* in turn with the others */
    }
}
