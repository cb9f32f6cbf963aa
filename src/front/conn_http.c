/*
 * conn_http.c - what is HTTP's own in a connection's way (conn.c).
 *
 * One connection carries one request. Its head is looked at, routed, and written anew for the
 * backend (http_rewrite.h), which is asked to close after its answer. Of the body exactly what the
 * framing says is passed on, so a second request never reaches the backend of the first. The answer
 * is relayed as it is, up to the backend's end.
 *
 * Upgrade: behind the request the upward flow stands still until the backend has said 101. Then
 * both flows run raw (conn->tunnel). With any other status it stays still for good.
 *
 * A request that is safe and has no body is left unread in the client's socket until the answer
 * begins. Should the backend go away before that, which a container that ends by itself may do at
 * any moment, the request is sent again, once (RFC 9110 9.2.2).
 */
#include <string.h>
#include <sys/socket.h>

#include "conn_internal.h"
#include "http_rewrite.h"
#include "log.h"

/* --- the head ---------------------------------------------------------------------------------- */

/* Looks at up to size bytes that the client has sent. Returns how many there are, or negative
 * errno. */
static ssize_t peek(struct conn *conn, size_t size) {
    ssize_t n;

    do {
        n = recv(conn->client.source.fd, conn->front->buffer, size, MSG_PEEK);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static void route(struct conn *conn) {
    const struct front *front = conn->front;
    const struct http_head *head = &front->head;
    const struct config_app *app;

    conn->head_size = head->size;
    conn->bodyless_answer = head->bodyless_answer;
    if (front->config->broken) {
        conn_answer(conn, 503, "dockwake is misconfigured: see 'dockwake check'");
        return;
    }
    app = config_app_by_host(front->config, front->buffer + head->host.at, head->host.len);
    if (app == NULL) {
        conn_answer(conn, 404, "no app has this host name");
    } else if (app->broken) {
        conn_answer(conn, 503, "this app is misconfigured: see 'dockwake check'");
    } else {
        conn_lease(conn, app);
    }
}

void http_look(struct conn *conn) {
    struct front *front = conn->front;
    size_t limit = front->config->front.head_limit;
    ssize_t n;

    if (limit > sizeof(front->buffer)) {
        limit = sizeof(front->buffer);
    }
    if (!conn->client.readable) {
        return;
    }
    front->parsed = NULL;
    n = peek(conn, limit);
    if (n == -EAGAIN) {
        conn->client.readable = false;
        return;
    }
    if (n <= 0) {
        conn_close(conn); /* nothing was asked, so nothing is answered */
        return;
    }
    switch (http_head_parse(front->buffer, (size_t)n, &front->head)) {
    case HTTP_COMPLETE:
        front->parsed = conn;
        route(conn);
        break;
    case HTTP_BAD:
        conn_answer(conn, front->head.status, front->head.reason);
        break;
    case HTTP_PARTIAL:
        if ((size_t)n >= limit && !front->head.line_complete) {
            conn_answer(conn, 414, "the request line is too long");
        } else if ((size_t)n >= limit) {
            conn_answer(conn, 431, "the fields are too long");
        } else if (conn->client.no_more) {
            conn_answer(conn, 400, "the request ends within its head");
        } else {
            conn->client.readable = false; /* until more has come */
        }
        break;
    }
}

void http_head_late(struct conn *conn) {
    conn->front->parsed = NULL;
    /* A client that connected ahead and never asked anything is not told that it was too slow. */
    if (peek(conn, 1) > 0) {
        conn_answer(conn, 408, "the request's head did not arrive in time");
    } else {
        conn_close(conn);
    }
}

/* --- handing over ------------------------------------------------------------------------------ */

/* It is all there, as it was looked at before. */
bool http_take_head(struct conn *conn) {
    struct front *front = conn->front;
    ssize_t n;

    front->parsed = NULL;
    do {
        n = recv(conn->client.source.fd, front->buffer, conn->head_size, 0);
    } while (n < 0 && errno == EINTR);
    conn->head_kept = false;
    return n == (ssize_t)conn->head_size;
}

static enum http_result pass_chunks(struct flow *up, const char *data, size_t size,
                                    size_t *ret_pass) {
    struct conn *conn = conn_of_up(up);
    enum http_result result = http_chunk_scan(&conn->chunk, data, size, ret_pass);

    conn->overrun = result == HTTP_COMPLETE && *ret_pass < size;
    return result;
}

/* The first bytes of an answer, and with an upgrade all until its status is known. */
static enum http_result pass_answer(struct flow *down, const char *data, size_t size,
                                    size_t *ret_pass) {
    struct conn *conn = conn_of_down(down);
    enum http_result result = HTTP_COMPLETE;

    (void)ret_pass;
    if (conn->upgrade) {
        result = http_status_scan(&conn->status, data, size);
    }
    if (result != HTTP_PARTIAL) {
        down->filter = NULL;
        if (conn->upgrade && result == HTTP_COMPLETE && conn->status.code == 101) {
            conn->tunnel = true;
            conn->up.left = FLOW_ENDLESS;
            conn->up.filter = NULL;
        }
        conn->upgrade = false;
    }
    return HTTP_PARTIAL; /* all passes in any case */
}

bool http_hand_over(struct conn *conn) {
    struct front *front = conn->front;
    const struct http_head *head = &front->head;
    char out[RELAY_BUFFER_SIZE + HTTP_REWRITE_GROWTH];
    ssize_t size;

    if (front->parsed != conn) {
        front->parsed = NULL;
        if (peek(conn, conn->head_size) != (ssize_t)conn->head_size ||
            http_head_parse(front->buffer, conn->head_size, &front->head) != HTTP_COMPLETE) {
            conn_close(conn);
            return false;
        }
    }
    size = http_rewrite(front->buffer, head, out, sizeof(out));
    if (size < 0) {
        conn_answer(conn, 503, "this machine is out of resources");
        return false;
    }

    conn->upgrade = head->upgrade;
    conn->status = (struct http_status){0};
    conn->chunk = (struct http_chunk){0};
    flow_init(&conn->down, FLOW_ENDLESS, pass_answer);
    switch (head->body) {
    case HTTP_BODY_NONE:
        flow_init(&conn->up, 0, NULL);
        break;
    case HTTP_BODY_LENGTH:
        flow_init(&conn->up, head->content_length, NULL);
        break;
    case HTTP_BODY_CHUNKED:
        flow_init(&conn->up, FLOW_ENDLESS, pass_chunks);
        break;
    }

    conn->head_kept = head->safe && head->body == HTTP_BODY_NONE;
    if (!conn->head_kept && !http_take_head(conn)) {
        conn_close(conn);
        return false;
    }
    /* Should it fail, the downward flow finds the connection ended, and that is judged there. */
    if (flow_write(&conn->up, &conn->backend, out, (size_t)size) < 0) {
        conn->up.broken = true;
    }
    return true;
}

/* --- the flows' ends --------------------------------------------------------------------------- */

static void no_answer(struct conn *conn) {
    static const char reason[] = "closed the connection without an answer";

    if (conn->head_kept && !conn->replayed) {
        conn->replayed = true;
        flow_done(&conn->up);
        flow_done(&conn->down);
        conn_retry(conn, reason);
        return;
    }
    if (lease_may_complain(&conn->lease)) {
        log_warning("%s: %s", lease_app(&conn->lease), reason);
    }
    conn_answer(conn, 502, reason);
}

void http_judge(struct conn *conn, enum flow_result up, enum flow_result down) {
    if (up == FLOW_SOURCE_FAILED || down == FLOW_SINK_FAILED) {
        conn_close(conn); /* the client has left */
        return;
    }
    if (up == FLOW_REFUSED) {
        if (conn->down.passed) {
            conn_abort(conn);
        } else {
            conn_answer(conn, 400, "the body's chunks are malformed");
        }
        return;
    }
    if (up == FLOW_DONE && conn->up.left > 0 && !conn->up_shut) {
        /* The client ended within its body, and the backend must not take it for whole. */
        conn->up_shut = true;
        (void)!shutdown(conn->backend.source.fd, SHUT_WR);
    }
    if (down != FLOW_DONE && down != FLOW_SOURCE_FAILED) {
        return;
    }
    /*
     * A backend that closes with unread bytes resets the connection behind a whole answer. The
     * client must have that answer; what is less than whole it knows by the framing.
     */
    if (conn->down.passed) {
        conn_finish(conn);
    } else {
        no_answer(conn);
    }
}
