/*
 * conn_wait.c - what a client is given while its app wakes, when it is ready, and when it fails.
 *
 * A request is held, and that is all there is to it, unless it is a person's who looks at a page
 * (policy_is_navigation): who has waited for page_after, or with mode = page as soon as it is known
 * that there is something to wait for, is sent a page. The connection has done with that; the wake
 * goes on without it. The page asks for a stream of events, which is a waiter again and is told each
 * change of the app's state, and at last to load the address anew.
 *
 * A failure is told to all who wait. It is remembered for FAILURE_MEMORY, for pages alone: a page
 * that refreshes itself is told the reason and wakes nobody.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conn_internal.h"
#include "log.h"
#include "page.h"

enum { PAGE_RETRY_AFTER = 2 }; /* seconds that a page asks a client to wait that is no browser */

/* --- who woke it ------------------------------------------------------------------------------- */

/* rule: what forbade it; NULL: nothing did. */
static void log_wake(struct conn *conn, int priority, const char *rule, const char *what) {
    char client[PROTO_ADDRESS_TEXT_MAX];
    const char *app = lease_app(&conn->lease);
    const char *who = conn_client_text(&conn->speaker, client);
    const struct log_field fields[] = {
        {"DOCKWAKE_APP", app},
        {"DOCKWAKE_CLIENT", who},
        {"DOCKWAKE_RULE", rule != NULL ? rule : "none"},
    };

    log_event(priority, fields, ARRAY_SIZE(fields), "%s: %s by %s%s%s", app, what, who,
              rule != NULL ? ": " : "", rule != NULL ? rule : "");
}

/* --- pages and events -------------------------------------------------------------------------- */

/* What a page says now. failure NONE: it is being woken. */
static void describe(struct conn *conn, enum proto_failure failure, const char *reason,
                     struct page *ret_page) {
    const struct config_app *app = conn_app(conn);
    usec_t now = conn->worker->loop.now;
    struct lease_view view;

    lease_view(&conn->lease, &view);
    *ret_page = (struct page){
        .app = app != NULL ? app->name : lease_app(&conn->lease),
        .title = app != NULL ? app->title : NULL,
        .html = app != NULL ? app->page : NULL,
        .logs = app != NULL && app->show_logs,
        .failed = failure != PROTO_FAILURE_NONE,
        .state = view.state,
        .elapsed = view.began != 0 ? usec_sub(now, view.began) : 0,
        .reason = reason,
        .retry_after = failure != PROTO_FAILURE_NONE ? ANSWER_RETRY_AFTER : 0,
    };
}

static void send_page(struct conn *conn, enum proto_failure failure, const char *reason) {
    char head[ANSWER_HEAD_MAX];
    auto_free char *text = NULL;
    struct answer answer = {
        .status = failure != PROTO_FAILURE_NONE ? answer_status_of(failure) : 503,
        .retry_after = failure != PROTO_FAILURE_NONE ? ANSWER_RETRY_AFTER : PAGE_RETRY_AFTER,
        .bodyless = conn->to_head,
        .persistent = conn_may_keep(conn),
        .old = conn->minor == 0,
    };
    struct page page;
    size_t size, head_size;

    describe(conn, failure, reason, &page);
    answer.state = page.failed ? "failed" : proto_state_name(page.state);
    if (page_write(&page, &text, &size) < 0) {
        conn_answer(conn, 503, "this machine is out of resources");
        return;
    }
    head_size =
        answer_head_write(head, &answer, "text/html; charset=utf-8", size, page_fields(&page));
    conn_send_answer(conn, head, head_size, text, conn->to_head ? 0 : size);
}

/* One that does not take what it was sent before misses what is between; the last is not missed. */
static void send_event(struct conn *conn, const char *text, size_t size) {
    if (conn->down.rest == NULL && flow_write(&conn->down, &conn->client, text, size) < 0) {
        conn_close(conn);
    }
}

static void tick_later(struct conn *conn) {
    timeout_arm(&conn->worker->conns.ticks, &conn->timeout,
                usec_add(conn->worker->loop.now, EVENTS_TICK));
}

static void send_state(struct conn *conn) {
    char text[PAGE_EVENT_MAX];
    struct page page;

    describe(conn, PROTO_FAILURE_NONE, NULL, &page);
    send_event(conn, text, page_event(text, &page));
}

void conn_events_tick(struct conn *conn) {
    tick_later(conn);
    send_state(conn);
}

static void begin_events(struct conn *conn) {
    char head[ANSWER_HEAD_MAX];
    const struct answer answer = {.status = 200};
    /* nginx keeps an answer back until a buffer is full, unless it is told not to. */
    size_t size = answer_head_write(head, &answer, "text/event-stream", UINT64_MAX,
                                    "X-Accel-Buffering: no\r\n");

    conn->keep = false;
    conn->state = CONN_EVENTS;
    conn->worker->conns.n_events++;
    flow_init(&conn->up, 0, NULL);
    flow_init(&conn->down, 0, NULL);
    tick_later(conn);
    send_event(conn, head, size);
}

/* The last event; the connection ends behind it. */
static void end_events(struct conn *conn, const char *text, size_t size) {
    if (conn->state != CONN_EVENTS) {
        begin_events(conn);
    }
    if (conn->state != CONN_EVENTS) {
        return;
    }
    if (conn->down.rest != NULL) {
        conn_close(conn); /* it asks anew, and is told then */
        return;
    }
    send_event(conn, text, size);
    if (conn->state != CONN_EVENTS) {
        return;
    }
    conn->worker->conns.n_events--;
    conn_wait_end(conn);
    lease_leave(&conn->lease);
    conn->state = CONN_ANSWER;
    timeout_arm(&conn->worker->conns.lingers, &conn->timeout,
                usec_add(conn->worker->loop.now, LINGER_TIMEOUT));
    conn_run(conn);
}

/* --- waiting ----------------------------------------------------------------------------------- */

void conn_wait_begin(struct conn *conn) {
    const struct config_app *app;
    struct lease_view view;

    timeout_heap_cancel(&conn->check); /* what the relay before had armed */
    if (conn->patience == PATIENCE_EVENTS) {
        if (conn->waiting) { /* or else it is found out first whether there is anything to tell */
            begin_events(conn);
            if (conn->state == CONN_EVENTS) {
                send_state(conn);
            }
        }
        return;
    }
    lease_view(&conn->lease, &view);
    if (view.state != PROTO_STATE_UNKNOWN) { /* it is being woken already */
        conn->waited = true;
        if (conn->patience == PATIENCE_PAGE) {
            send_page(conn, PROTO_FAILURE_NONE, NULL);
            return;
        }
    }
    app = conn->patience == PATIENCE_AUTO ? conn_app(conn) : NULL;
    if (app != NULL) {
        timeout_heap_arm(&conn->worker->conns.checks, &conn->check,
                         usec_add(conn->worker->loop.now, app->page_after));
    }
}

void conn_wait_end(struct conn *conn) {
    if (conn->waiting) {
        const char *name = lease_app(&conn->lease);

        conn->waiting = false;
        shared_leave(conn->worker->shared, SHARED_WAITING, name, strlen(name));
    }
    if (conn->state == CONN_WAIT) {
        timeout_heap_cancel(&conn->check);
    }
}

void conn_wait_long(struct conn *conn) {
    send_page(conn, PROTO_FAILURE_NONE, NULL);
}

void conn_wait_ready(struct conn *conn, const struct proto_address *address) {
    const struct config_app *app;

    if (conn->patience == PATIENCE_EVENTS) {
        char text[PAGE_EVENT_MAX];

        end_events(conn, text, page_event_ready(text));
        return;
    }
    if (conn->waited) {
        app = conn->patience == PATIENCE_REDIRECT ? conn_app(conn) : NULL;
        if (app != NULL && app->redirect_path != NULL) {
            conn_answer_with(conn, &(struct answer){.status = 302, .location = app->redirect_path});
            return;
        }
    }
    conn_wait_end(conn);
    conn_connect(conn, address);
}

static void on_ready(struct lease_user *user, const struct proto_address *address) {
    struct conn *conn = container_of(user, struct conn, lease);

    if (conn->state == CONN_WAIT || conn->state == CONN_EVENTS) {
        conn_wait_ready(conn, address);
    }
}

static void on_progress(struct lease_user *user) {
    struct conn *conn = container_of(user, struct conn, lease);

    conn->waited = true;
    upstream_pool_drop(lease_pool(user)); /* of the life before */
    if (conn->woke) {
        conn->woke = false;
        log_wake(conn, LOG_NOTICE, NULL, "woken");
    }
    if (conn->state == CONN_EVENTS) {
        send_state(conn);
    } else if (conn->state == CONN_WAIT && conn->patience == PATIENCE_PAGE) {
        send_page(conn, PROTO_FAILURE_NONE, NULL);
    }
}

/* --- failing ----------------------------------------------------------------------------------- */

static void tell_failure(struct conn *conn, enum proto_failure failure, const char *reason) {
    if (conn->patience == PATIENCE_EVENTS) {
        char text[PAGE_EVENT_MAX];
        struct page page;

        describe(conn, failure, reason, &page);
        end_events(conn, text, page_event(text, &page));
    } else if (conn->patience == PATIENCE_PAGE || conn->patience == PATIENCE_AUTO) {
        send_page(conn, failure, reason);
    } else {
        conn_answer_with(conn, &(struct answer){
                                   .status = answer_status_of(failure),
                                   .reason = reason,
                                   .state = "failed",
                               });
    }
}

static void refuse_wake(struct conn *conn) {
    const struct config_app *app = conn_app(conn);
    const char *rule = policy_rule_name((enum policy_rule)conn->rule);

    log_wake(conn, LOG_INFO, rule, "not woken");
    conn_answer_with(conn, &(struct answer){
                               .status = app != NULL ? app->asleep_status : 503,
                               .reason = "it is asleep, and this request is none that wakes it",
                               .state = "asleep",
                           });
}

/* It is asleep, and was asked for without wake: for one of three reasons. */
static void on_asleep(struct conn *conn) {
    const struct config_app *app = conn_app(conn);
    struct worker *worker = conn->worker;
    unsigned char key[SHARED_ADDRESS_KEY + PROTO_NAME_MAX];
    char reason[PROTO_TEXT_MAX], name[PROTO_NAME_MAX];
    enum proto_failure failure;
    size_t len;
    usec_t wait;

    if (conn->rule != POLICY_NONE || app == NULL) {
        refuse_wake(conn);
        return;
    }
    snprintf(name, sizeof(name), "%s", lease_app(&conn->lease));
    if (conn->remembered && shared_failure_get(worker->shared, name, FAILURE_MEMORY,
                                               worker->loop.now, &failure, reason)) {
        tell_failure(conn, failure, reason);
        return;
    }
    conn->remembered = false;
    if (!conn->rated) {
        len = shared_address_key(&conn->speaker, key);
        memcpy(key + len, app->name, strlen(app->name));
        if (!shared_rate_take(worker->shared, key, len + strlen(app->name), app->rate.count,
                              app->rate.per, worker->loop.now, &wait)) {
            conn->rule = POLICY_RATE;
            refuse_wake(conn);
            return;
        }
        conn->rated = true;
    }
    conn_wait_end(conn);
    lease_leave(&conn->lease);
    conn_lease(conn, app, name, true);
}

static bool is_missing(enum proto_failure failure) {
    return failure == PROTO_FAILURE_MISSING || failure == PROTO_FAILURE_FOREIGN ||
           failure == PROTO_FAILURE_UNKNOWN_APP;
}

static void on_failed(struct lease_user *user, enum proto_failure failure, const char *reason) {
    struct conn *conn = container_of(user, struct conn, lease);
    const struct config_app *app = conn_app(conn);
    bool is_group = app != NULL && app->members.n > 0;

    if (conn->state != CONN_WAIT && conn->state != CONN_EVENTS) {
        return; /* it wanted the app to stay awake, and has what it has */
    }
    if (failure == PROTO_FAILURE_ASLEEP) {
        on_asleep(conn);
        return;
    }
    if (conn->by_instance && conn->state == CONN_WAIT &&
        is_missing(failure)) { /* anybody can ask for what does not exist */
        if (conn->by_cookie && app != NULL && app->fallback != NULL) {
            conn_answer_with(conn, &(struct answer){.status = 302, .location = app->fallback});
        } else {
            conn_answer(conn, 404, "there is no instance of this name");
        }
        return;
    }
    if (!is_group || conn->state != CONN_WAIT || !conn_route_again(conn)) {
        tell_failure(conn, failure, reason);
    }
}

static void on_ended(struct loop *loop, const char *app, enum proto_failure failure,
                     const char *reason) {
    struct worker *worker = container_of(loop, struct worker, loop);

    if (failure == PROTO_FAILURE_NONE) {
        shared_failure_forget(worker->shared, app);
    } else {
        shared_failure_note(worker->shared, app, failure, reason, loop->now);
    }
}

static void on_stale(struct upstream_pool *pool) {
    upstream_pool_drop(pool);
}

const struct lease_handlers conn_lease_handlers = {
    .ready = on_ready,
    .failed = on_failed,
    .progress = on_progress,
    .ended = on_ended,
    .stale = on_stale,
};

/* --- logs -------------------------------------------------------------------------------------- */

static void on_log_line(struct lease_log_reader *reader, const char *text) {
    struct conn_log *log = container_of(reader, struct conn_log, reader);
    size_t len = strnlen(text, PROTO_LINE_MAX - 1);

    if (sizeof(log->text) - log->size < len + 1) {
        return;
    }
    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (((unsigned char)c < 0x20 && c != '\t') || c == 0x7f) {
            c = ' '; /* escape sequences are for terminals */
        }
        log->text[log->size++] = c;
    }
    log->text[log->size++] = '\n';
}

static void on_log_end(struct lease_log_reader *reader, int error) {
    struct conn_log *log = container_of(reader, struct conn_log, reader);
    struct conn *conn = log->conn;
    char head[ANSWER_HEAD_MAX];
    const struct answer answer = {
        .status = 200,
        .bodyless = conn->to_head,
        .persistent = conn_may_keep(conn),
        .old = conn->minor == 0,
    };
    size_t size;

    if (error != 0) {
        conn_logs_end(conn);
        conn_answer(conn,
                    error == EIO     ? 502
                    : error == EBUSY ? 429
                                     : 404,
                    "the lines cannot be had");
        return;
    }
    size = answer_head_write(head, &answer, "text/plain; charset=utf-8", log->size, "");
    conn_send_answer(conn, head, size, log->text, conn->to_head ? 0 : log->size);
    conn_logs_end(conn);
}

void conn_logs_begin(struct conn *conn, const char *name) {
    struct conn_log *log = calloc(1, sizeof(*log));

    if (log == NULL) {
        conn_out_of_resources(conn, ENOMEM);
        return;
    }
    log->conn = conn;
    log->reader.line = on_log_line;
    log->reader.end = on_log_end;
    conn->log = log;
    conn->state = CONN_LOGS;
    timeout_arm(&conn->worker->conns.lingers, &conn->timeout,
                usec_add(conn->worker->loop.now, LINGER_TIMEOUT));
    if (lease_logs(conn->worker->leases, name, OWN_LINES, &log->reader) < 0) {
        conn_logs_end(conn);
        conn_answer(conn, 503, "the engine cannot be reached");
    }
}

void conn_logs_end(struct conn *conn) {
    if (conn->log != NULL) {
        lease_logs_cancel(&conn->log->reader);
        free(take_ptr(conn->log));
    }
}
