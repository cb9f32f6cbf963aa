/*
 * conn_http.c - one request and its answers between a client and a backend (CONN_RELAY of conn.c).
 *
 * The request's head is written anew for the backend, and of the body exactly what the framing says
 * is passed on, so a next request never reaches the backend of this one. A chunked body is peeked at,
 * so that what lies behind its end stays in the client's socket.
 *
 * The answer's head is read, judged and written anew for the client; interim answers before it pass
 * by. Its body is passed on as it comes, and followed so far as to know its end. Behind that end the
 * backend's connection is idle, if both said so, and the client's is ready for its next request.
 *
 * A request that is safe and has no body is left unread in the client's socket until an answer
 * begins. Should the backend go away before that, as one does that has just closed an idle
 * connection, or a container that ends by itself, the request is sent again, once, over a new
 * connection (RFC 9110 9.2.2).
 *
 * Upgrade: behind the request the upward flow stands still until the backend has said 101. Then both
 * flows run raw (conn->tunnel). With any other status it stays still for good.
 *
 * An answer may come while the body is still on its way: both go on side by side. The request is over
 * when both have ended; a backend that does not want the rest of the body ends it with its connection.
 */
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "conn_internal.h"
#include "log.h"

enum { ONE_PIECE_MAX = 4096 }; /* a body that is copied behind its head: cheaper than two pieces */

/* --- the request ------------------------------------------------------------------------------- */

static enum http_result pass_chunks_up(struct flow *up, char *data, size_t size, size_t *ret_pass) {
    return http_chunk_scan(&conn_of_up(up)->up_chunk, data, size, ret_pass);
}

static void begin_up(struct conn *conn, const struct http_head *head) {
    conn->up_chunk = (struct http_chunk){0};
    switch (head->body) {
    case HTTP_BODY_NONE:
        flow_init(&conn->up, 0, NULL);
        break;
    case HTTP_BODY_LENGTH:
        flow_init(&conn->up, head->content_length, NULL);
        break;
    case HTTP_BODY_CHUNKED:
        flow_init(&conn->up, FLOW_ENDLESS, pass_chunks_up);
        conn->up.peeks = true;
        break;
    }
}

bool http_hand_over(struct conn *conn) {
    struct worker *worker = conn->worker;
    const struct http_head *head = &worker->head;
    const struct http_forward forward = {
        .client = conn->client_address,
        .trusted = conn->trusted,
        .persistent = true,
        .segments = conn->segments,
    };
    char proxy[PROXY_HEADER_WRITE_MAX];
    size_t proxy_size = 0;
    ssize_t size;

    if (!conn_parsed(conn)) {
        conn_close(conn);
        return false;
    }
    size = http_rewrite_request(worker->buffer, head, &forward, worker->out, sizeof(worker->out));
    if (size < 0) {
        conn_answer(conn, 431, "the fields are too long");
        return false;
    }
    if (conn->proxy_out != PROXY_PROTOCOL_NONE && conn->upstream->served == 0) {
        proxy_size = conn_proxy_header(conn, proxy);
    }
    begin_up(conn, head);
    conn->expects = !conn->bodyless && http_field_find(head, HTTP_FIELD_EXPECT) != NULL;
    flow_init(&conn->down, 0, NULL);
    conn->answered = false;
    conn->head_kept = conn->safe && conn->bodyless;
    if (!conn->head_kept && !conn_take_head(conn)) {
        conn_close(conn);
        return false;
    }
    /* Should it fail, the downward flow finds the connection ended, and that is judged there. */
    if (proxy_size > 0
            ? flow_write_pair(&conn->up, &conn->upstream->side, proxy, proxy_size, worker->out,
                              (size_t)size) < 0
            : flow_write(&conn->up, &conn->upstream->side, worker->out, (size_t)size) < 0) {
        conn->up.broken = true;
    }
    return true;
}

/* --- the answer's head ------------------------------------------------------------------------- */

/* What became of an attempt to go on. */
enum progress {
    GOES_ON, /* with the flows */
    ENDED,   /* the connection has left this request, or is closed */
};

static enum progress give_up(struct conn *conn, const char *reason) {
    if (conn->lease.lease != NULL && lease_may_complain(&conn->lease)) {
        log_warning("%s: %s", lease_app(&conn->lease), reason);
    }
    conn_answer(conn, 502, reason);
    return ENDED;
}

/* The backend has gone without (the whole head of) an answer. */
static enum progress no_answer(struct conn *conn) {
    static const char reason[] = "closed the connection without an answer";
    bool used = conn->upstream->served > 0;

    if (!conn->head_kept || conn->replayed || conn->held != NULL || conn->interims > 0 ||
        conn->lease.lease == NULL) {
        return give_up(conn, reason);
    }
    conn->replayed = true;
    flow_done(&conn->up);
    flow_done(&conn->down);
    if (used) { /* it was idle for too long: that says nothing against the app */
        upstream_close(take_ptr(conn->upstream));
        conn_connect(conn, &conn->address);
    } else {
        conn_retry(conn, reason);
    }
    return ENDED;
}

/* The rest of the bytes is the beginning of a head. */
static enum progress hold(struct conn *conn, const char *data, size_t size) {
    if (size >= BACKEND_HEAD_MAX) {
        return give_up(conn, "sent an answer whose head is too long");
    }
    conn->held = malloc(sizeof(*conn->held) + size);
    if (conn->held == NULL) {
        return give_up(conn, "this machine is out of resources");
    }
    conn->held->size = (uint32_t)size;
    memcpy(conn->held->data, data, size);
    return GOES_ON;
}

static enum http_result pass_chunks_down(struct flow *down, char *data, size_t size,
                                         size_t *ret_pass) {
    struct conn *conn = conn_of_down(down);
    enum http_result result;
    size_t used;

    if (conn->minor > 0) {
        result = http_chunk_scan(&conn->down_chunk, data, size, ret_pass);
        used = *ret_pass;
    } else {
        result = http_chunk_decode(&conn->down_chunk, data, size, &used, ret_pass);
    }
    if (result == HTTP_COMPLETE && used < size) {
        conn->reusable = false; /* what is behind the end is nobody's */
    }
    return result;
}

static void begin_tunnel(struct conn *conn) {
    conn->tunnel = true;
    conn->keep = conn->reusable = false;
    conn->up.left = FLOW_ENDLESS;
    conn->up.filter = NULL;
    flow_init(&conn->down, FLOW_ENDLESS, NULL);
}

/*
 * Sets the downward flow up for the body behind the final head. *size: bytes of it that are here; how
 * many of them are to be sent when it returns.
 */
static enum http_result begin_down(struct conn *conn, const struct http_answer *answer, char *body,
                                   size_t *size) {
    enum http_result result = HTTP_PARTIAL;
    uint64_t length;

    switch (answer->end) {
    case HTTP_END_NONE:
    case HTTP_END_LENGTH:
        length = answer->end == HTTP_END_LENGTH ? answer->content_length : 0;
        if (*size > length) {
            *size = (size_t)length;
            conn->reusable = false;
        }
        flow_init(&conn->down, length - *size, NULL);
        break;
    case HTTP_END_CHUNKED:
        conn->down_chunk = (struct http_chunk){0};
        flow_init(&conn->down, FLOW_ENDLESS, pass_chunks_down);
        if (*size > 0) {
            result = pass_chunks_down(&conn->down, body, *size, size);
        }
        if (result == HTTP_COMPLETE) {
            conn->down.left = 0;
        }
        break;
    case HTTP_END_CLOSE:
        conn->until_close = true;
        flow_init(&conn->down, FLOW_ENDLESS, NULL);
        break;
    }
    return result;
}

/* The final head is in worker->answer, at data; out: bytes of interim heads before it. */
static enum progress pass_final(struct conn *conn, char *data, size_t size, size_t out) {
    struct worker *worker = conn->worker;
    const struct http_answer *answer = &worker->answer;
    bool asked_whole = conn->up.left == 0 && conn->up.rest == NULL && !conn->up.broken;
    char *body = data + answer->size;
    size_t body_size = size - answer->size;
    ssize_t n;

    conn->reusable = answer->persistent && answer->end != HTTP_END_CLOSE;
    /* A client that was not told to continue may leave its body out: nobody knows what comes next. */
    conn->keep = conn->persistent && !worker->stopping &&
                 (asked_whole || (conn->reusable && (!conn->expects || conn->interims > 0))) &&
                 answer->end != HTTP_END_CLOSE &&
                 (conn->minor > 0 || answer->end != HTTP_END_CHUNKED);
    if (answer->upgrade) {
        begin_tunnel(conn);
    } else if (begin_down(conn, answer, body, &body_size) == HTTP_BAD) {
        return give_up(conn, "sent an answer whose chunks are malformed");
    }
    n = http_rewrite_answer(
        data, answer,
        &(struct http_return){.minor = conn->minor, .persistent = conn->keep, .now = time(NULL)},
        worker->out + out, sizeof(worker->out) - out);
    if (n < 0) {
        return give_up(conn, "sent an answer whose head is too long");
    }
    conn->answered = true;
    if (flow_write_pair(&conn->down, &conn->client, worker->out, out + (size_t)n, body, body_size) <
        0) {
        conn_close(conn);
        return ENDED;
    }
    return GOES_ON;
}

/* The buffer holds size bytes of answers: all heads in it are passed on, up to a final one. */
static enum progress pass_heads(struct conn *conn, size_t size) {
    struct worker *worker = conn->worker;
    const struct http_answer *answer = &worker->answer;
    size_t at = 0, out = 0;

    while (at < size) {
        char *data = worker->buffer + at;
        enum http_result result =
            http_answer_parse(data, size - at, conn->to_head, conn->upgrade, &worker->answer);
        ssize_t n;

        if (result == HTTP_BAD) {
            return give_up(conn, answer->reason);
        }
        if (result == HTTP_PARTIAL) {
            if (hold(conn, data, size - at) == ENDED) {
                return ENDED;
            }
            break;
        }
        if (answer->size > BACKEND_HEAD_MAX) {
            return give_up(conn, "sent an answer whose head is too long");
        }
        if (conn->head_kept && !conn_take_head(conn)) {
            conn_close(conn);
            return ENDED;
        }
        if (!answer->interim) {
            return pass_final(conn, data, size - at, out);
        }
        if (++conn->interims > BACKEND_INTERIM_MAX) {
            return give_up(conn, "sent too many interim answers");
        }
        if (conn->minor > 0) { /* RFC 9110 15.2: none to HTTP/1.0 */
            n = http_rewrite_answer(data, answer,
                                    &(struct http_return){.minor = conn->minor, .persistent = true},
                                    worker->out + out, sizeof(worker->out) - out);
            if (n < 0) {
                return give_up(conn, "sent interim answers that are too long");
            }
            out += (size_t)n;
        }
        at += answer->size;
    }
    if (out > 0 && flow_write(&conn->down, &conn->client, worker->out, out) < 0) {
        conn_close(conn);
        return ENDED;
    }
    return GOES_ON;
}

/* Reads what the backend has to say until there is a final head. */
static enum progress read_heads(struct conn *conn) {
    struct worker *worker = conn->worker;
    struct side *backend = &conn->upstream->side;

    while (!conn->answered) {
        size_t held = conn->held != NULL ? conn->held->size : 0;
        size_t room = sizeof(worker->buffer) - held;
        ssize_t n;

        if (conn->down.rest != NULL) { /* an interim answer that the client did not take whole */
            if (flow_run(&conn->down, backend, &conn->client, worker->buffer) == FLOW_SINK_FAILED) {
                conn_close(conn);
                return ENDED;
            }
            if (conn->down.rest != NULL) {
                return GOES_ON;
            }
        }
        if (!backend->readable) {
            return GOES_ON;
        }
        do {
            n = recv(backend->source.fd, worker->buffer + held, room, 0);
        } while (n < 0 && errno == EINTR);
        if (n < 0 && errno == EAGAIN) {
            backend->readable = false;
            return GOES_ON;
        }
        if (n <= 0) {
            return no_answer(conn);
        }
        if ((size_t)n < room && backend->short_is_all && !backend->no_more) {
            backend->readable = false;
        }
        if (held > 0) {
            memcpy(worker->buffer, conn->held->data, held);
            free(take_ptr(conn->held));
        }
        if (pass_heads(conn, held + (size_t)n) == ENDED) {
            return ENDED;
        }
    }
    return GOES_ON;
}

/* --- the flows --------------------------------------------------------------------------------- */

/* The answer has been passed on to its end. */
static void finish(struct conn *conn) {
    bool asked_whole = conn->up.left == 0 && conn->up.rest == NULL && !conn->up.broken;

    if (conn->reusable && asked_whole && conn->lease.lease != NULL) {
        upstream_park(take_ptr(conn->upstream), lease_pool(&conn->lease));
    }
    conn_request_done(conn);
}

/*
 * Whether the answer has come to its end. One that ends with the connection has no other sign; a reset
 * is its end all the same where there was a body, as a backend that closes without having read it
 * resets the connection behind a whole answer.
 */
static bool is_whole(const struct conn *conn, enum flow_result down) {
    if (down == FLOW_SOURCE_FAILED) {
        return conn->until_close && !conn->bodyless;
    }
    return down == FLOW_DONE && (conn->down.left == 0 || conn->until_close);
}

static void judge(struct conn *conn, enum flow_result up, enum flow_result down) {
    if (up == FLOW_SOURCE_FAILED || down == FLOW_SINK_FAILED) {
        conn_close(conn); /* the client has left */
        return;
    }
    if (up == FLOW_REFUSED) {
        if (conn->answered) {
            conn_abort(conn);
        } else {
            conn_answer(conn, 400, "the body's chunks are malformed");
        }
        return;
    }
    if (up == FLOW_DONE && conn->up.left > 0 && !conn->up_shut) {
        /* The client ended within its body, and the backend must not take it for whole. */
        conn->up_shut = true;
        conn->reusable = false;
        (void)!shutdown(conn->upstream->side.source.fd, SHUT_WR);
    }
    if (conn->answered && is_whole(conn, down)) {
        /* The rest of the body, if the backend goes on reading it. */
        if (conn->keep && (up == FLOW_WAITS || up == FLOW_MORE) && !conn->upstream->side.no_more &&
            !conn->upstream->side.gone) {
            if (up == FLOW_MORE) {
                loop_schedule(&conn->worker->loop, &conn->task);
            }
            return;
        }
        finish(conn);
    } else if (conn->answered &&
               (down == FLOW_REFUSED || (down == FLOW_SOURCE_FAILED && conn->until_close))) {
        conn_abort(conn); /* nothing else tells the client that this is not the whole answer */
    } else if (conn->answered && (down == FLOW_DONE || down == FLOW_SOURCE_FAILED)) {
        conn_close(conn); /* less than was announced, as the client will find */
    } else if (up == FLOW_MORE || down == FLOW_MORE) {
        loop_schedule(&conn->worker->loop, &conn->task);
    }
}

void http_run(struct conn *conn) {
    struct worker *worker = conn->worker;
    struct side *backend = &conn->upstream->side;
    enum flow_result up, down = FLOW_WAITS;

    if (!conn->answered && read_heads(conn) == ENDED) {
        return;
    }
    if (conn->tunnel) {
        conn_run(conn);
        return;
    }
    if (conn->answered) {
        down = flow_run(&conn->down, backend, &conn->client, worker->buffer);
    }
    up = flow_run(&conn->up, &conn->client, backend, worker->buffer);
    judge(conn, up, down);
}
