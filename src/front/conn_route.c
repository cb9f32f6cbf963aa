/*
 * conn_route.c - whose a request is, whether its client may wake the app, and the lease (conn.c).
 *
 * The table says the app (config_find). Of a group a member is chosen here. The wake policy is asked
 * before any wake: a client that may not wake the app takes the lease without wake, which the engine
 * gives only if the app is awake and otherwise turns down without asking Docker. The same is done
 * where the client's rate counts, so that only real wakes are counted, and for a page right after a
 * failed wake, so that its refreshing does not wake the app again and again.
 */
#include <stdio.h>
#include <string.h>

#include "conn_internal.h"
#include "http_cookie.h"
#include "http_speaker.h"
#include "log.h"

static const char misconfigured[] = "this app is misconfigured: see 'dockwake check'";

/* --- groups ------------------------------------------------------------------------------------ */

enum choice {
    CHOOSE_TURN, /* as the group's balance says */
    CHOOSE_USED, /* the one that most wait for: what is asked is about the others' wait */
};

static uint16_t *turn_of(struct conn *conn, const char *name) {
    unsigned hash = 5381;

    for (; *name != '\0'; name++) {
        hash = hash * 33 + (unsigned char)*name;
    }
    return &conn->worker->conns.turns[hash % ARRAY_SIZE(conn->worker->conns.turns)];
}

static void member_name(char name[static PROTO_NAME_MAX], const struct config_app *app, size_t i) {
    snprintf(name, PROTO_NAME_MAX, "%.*s@%zu", CONFIG_NAME_MAX, app->name, i % app->members.n + 1);
}

/* Whether it has just failed to wake. A member of a group is left out then while there are others. */
static bool has_failed(struct conn *conn, const char *name) {
    enum proto_failure failure;
    char reason[PROTO_TEXT_MAX];

    return !lease_is_ready(conn->worker->leases, name) &&
           shared_failure_get(conn->worker->shared, name, FAILURE_MEMORY, conn->worker->loop.now,
                              &failure, reason);
}

/* Of all members that have not failed (of all, if they all have), the best; of equals the next. */
static void choose_member(struct conn *conn, const struct config_app *app, enum choice choice,
                          char ret_name[static PROTO_NAME_MAX]) {
    const struct lease_client *leases = conn->worker->leases;
    uint16_t *turn = turn_of(conn, app->name);
    size_t n = app->members.n, first = (size_t)(*turn)++ % n, best = first, best_load = 0;
    bool found = false;

    for (size_t i = first; i < first + n; i++) {
        size_t load;

        member_name(ret_name, app, i);
        if (has_failed(conn, ret_name)) {
            continue;
        }
        load = lease_load(leases, ret_name);
        if (!found || (choice == CHOOSE_USED ? load > best_load : load < best_load)) {
            best = i;
            best_load = load;
            found = true;
        }
        if (choice == CHOOSE_TURN && app->balance == BALANCE_ROUND_ROBIN) {
            break;
        }
    }
    *turn = (uint16_t)(best % n + 1); /* round robin goes on behind the one that was taken */
    member_name(ret_name, app, best);
}

static void lease_name(struct conn *conn, const struct config_app *app, const char *instance,
                       enum choice choice, char ret_name[static PROTO_NAME_MAX]) {
    if (app->members.n > 0) {
        choose_member(conn, app, choice, ret_name);
    } else if (app->is_template) {
        snprintf(ret_name, PROTO_NAME_MAX, "%.*s@%.*s", CONFIG_NAME_MAX, app->name, CONFIG_NAME_MAX,
                 instance);
    } else {
        snprintf(ret_name, PROTO_NAME_MAX, "%s", app->name);
    }
}

const struct config_app *conn_app(const struct conn *conn) {
    const char *name = conn->lease.lease != NULL ? lease_app(&conn->lease) : conn->name;
    char base[PROTO_NAME_MAX];

    if (name == NULL) {
        return NULL;
    }
    snprintf(base, sizeof(base), "%.*s", (int)strcspn(name, "@"), name);
    return config_app_by_name(conn->worker->config, base);
}

bool conn_route_again(struct conn *conn) {
    const struct config_app *app = conn_app(conn);
    char name[PROTO_NAME_MAX];

    if (app == NULL || ++conn->members_tried >= app->members.n) {
        return false;
    }
    conn_wait_end(conn);
    lease_leave(&conn->lease);
    choose_member(conn, app, CHOOSE_TURN, name);
    conn_lease(conn, app, name, true);
    return true;
}

/* --- the lease --------------------------------------------------------------------------------- */

void conn_lease(struct conn *conn, const struct config_app *app, const char *name, bool wake) {
    struct worker *worker = conn->worker;
    struct proto_address address;
    int r;

    timeout_cancel(&conn->timeout);
    conn->woke = wake && lease_load(worker->leases, name) == 0;
    conn->state = CONN_WAIT;
    r = lease_take(worker->leases, &conn->lease, app, name, wake, &address);
    if (r == -EUSERS) {
        conn_answer(conn, 503, "too many apps are in use");
    } else if (r < 0) {
        conn_out_of_resources(conn, -r);
    } else if (r > 0) {
        conn_wait_ready(conn, &address);
    } else if (wake && shared_enter(worker->shared, SHARED_WAITING, name, strlen(name),
                                    app->max_waiting) < 0) {
        conn_answer(conn, 503, "too many clients are waiting for it already");
    } else {
        conn->waiting = wake;
        conn_wait_begin(conn);
    }
}

/* What there is to know about a request when its app is not at hand. */
struct quest {
    const struct config_app *app;
    const char *instance;
    enum choice choice;
    const struct http_head *head; /* NULL: no HTTP */
    const char *path;             /* canonical */
    size_t path_len;
};

static enum conn_patience patience_of(const struct conn *conn, const struct config_app *app) {
    const struct worker *worker = conn->worker;

    switch (app->wait) {
    case WAIT_REDIRECT:
        return PATIENCE_REDIRECT;
    case WAIT_PAGE:
        return policy_is_navigation(worker->buffer, &worker->head) ? PATIENCE_PAGE : PATIENCE_HOLD;
    case WAIT_AUTO:
        return policy_is_navigation(worker->buffer, &worker->head) ? PATIENCE_AUTO : PATIENCE_HOLD;
    case WAIT_HOLD:
        break;
    }
    return PATIENCE_HOLD;
}

/* Whether it may wake the app. Nothing of this is asked for an app that is awake. */
static bool may_wake(struct conn *conn, const struct quest *quest, const char *name) {
    conn->rule = (uint8_t)policy_judge(quest->app, &conn->speaker, conn->worker->buffer,
                                       quest->head, quest->path, quest->path_len);
    if (quest->head != NULL && conn->patience != PATIENCE_EVENTS) {
        conn->patience = (uint8_t)patience_of(conn, quest->app);
    }
    conn->rated = quest->app->rate.count == 0;
    conn->remembered = (conn->patience == PATIENCE_PAGE || conn->patience == PATIENCE_AUTO ||
                        conn->patience == PATIENCE_EVENTS) &&
                       has_failed(conn, name);
    return conn->rule == POLICY_NONE && conn->rated && !conn->remembered;
}

static void enter(struct conn *conn, const struct quest *quest) {
    const struct config_app *app = quest->app;
    char name[PROTO_NAME_MAX];

    conn->silence = app->silence;
    conn->proxy_out = (uint8_t)app->proxy_protocol;
    lease_name(conn, app, quest->instance, quest->choice, name);
    conn_lease(conn, app, name,
               lease_is_ready(conn->worker->leases, name) || may_wake(conn, quest, name));
}

static void enter_raw(struct conn *conn, const struct config_app *app) {
    conn->speaker = conn->client_address;
    if (app->broken) {
        log_warning("%s: %s", app->name, misconfigured);
        conn_close(conn);
    } else {
        enter(conn, &(struct quest){.app = app, .instance = ""});
    }
}

void conn_route_tcp(struct conn *conn, const struct config_app *app) {
    enter_raw(conn, app);
}

void conn_route_tls(struct conn *conn, const char *name) {
    struct config_route route;

    config_find_sni(conn->worker->config, name, strlen(name), &route);
    if (route.found != CONFIG_FOUND_APP) {
        return;
    }
    conn->kind = CONN_TCP;
    conn->client.short_is_all = false;
    enter_raw(conn, route.app);
}

/* --- a request --------------------------------------------------------------------------------- */

static const char *cookie_of(void *user, const char *name, size_t *ret_len) {
    struct worker *worker = user;

    return http_cookie_find(worker->buffer, &worker->head, name, ret_len);
}

/* path: canonical; NULL for "*". */
static void find(struct conn *conn, const char *path, size_t path_len,
                 struct config_route *ret_route) {
    struct worker *worker = conn->worker;
    const struct http_head *head = &worker->head;

    config_find(worker->config,
                &(struct config_request){
                    .host = worker->buffer + head->host.at,
                    .host_len = head->host.len,
                    .path = path,
                    .path_len = path_len,
                    .cookie = cookie_of,
                    .user = worker,
                },
                ret_route);
}

static bool over_rate(struct conn *conn) {
    unsigned char key[SHARED_ADDRESS_KEY + 1];
    size_t len = shared_address_key(&conn->speaker, key);
    usec_t wait;

    if (len == 0) {
        return false;
    }
    key[len] = 'o'; /* these endpoints' own rate, beside those of wakes */
    if (shared_rate_take(conn->worker->shared, key, len + 1, OWN_RATE, OWN_RATE_TIME,
                         conn->worker->loop.now, &wait)) {
        return false;
    }
    conn_answer_with(conn, &(struct answer){
                               .status = 429,
                               .reason = "you ask this too often",
                               .retry_after = (unsigned)(wait / USEC_PER_SEC) + 1,
                           });
    return true;
}

static void enter_own(struct conn *conn, const struct own *own) {
    struct worker *worker = conn->worker;
    struct config_route route;
    char name[PROTO_NAME_MAX];

    if (over_rate(conn)) {
        return;
    }
    switch (own->kind) {
    case OWN_HEALTH:
        conn_answer(conn, 200, "dockwake's front serves");
        return;
    case OWN_METHOD:
        conn_answer(conn, 405, "only GET and HEAD are understood here");
        return;
    case OWN_BAD:
        conn_answer(conn, 400, "'for' must be given once, and be a path");
        return;
    case OWN_EVENTS:
    case OWN_LOGS:
        break;
    case OWN_NOT:
    case OWN_UNKNOWN:
        conn_answer(conn, 404, "dockwake has nothing of this name");
        return;
    }
    find(conn, own->path, own->path_len, &route);
    if (route.found != CONFIG_FOUND_APP || route.app->broken ||
        (own->kind == OWN_LOGS && !route.app->show_logs)) {
        conn_answer(conn, 404, "there is nothing to be told");
    } else if (own->kind == OWN_LOGS) {
        lease_name(conn, route.app, route.instance, CHOOSE_USED, name);
        conn_logs_begin(conn, name);
    } else if (worker->conns.n_events >= OWN_EVENTS_MAX || conn->to_head) {
        conn_answer(conn, 503, "too many pages are open that wait for an app");
    } else {
        conn->patience = PATIENCE_EVENTS;
        enter(conn, &(struct quest){.app = route.app,
                                    .instance = route.instance,
                                    .choice = CHOOSE_USED,
                                    .head = &worker->head,
                                    .path = own->path,
                                    .path_len = own->path_len});
    }
}

void conn_route(struct conn *conn) {
    struct worker *worker = conn->worker;
    const struct http_head *head = &worker->head;
    struct config_route route;
    char canonical[CONFIG_PATH_MAX];
    const char *path = canonical;
    struct own own;
    int len = 1;

    own.kind = OWN_NOT;
    canonical[0] = '/';
    if (head->target.len == 1 && worker->buffer[head->target.at] == '*') {
        path = NULL;
    } else if (head->path.len > 0) {
        len = config_path_canonical(worker->buffer + head->path.at, head->path.len, canonical);
    }
    if (len < 0) {
        conn_answer(conn, len == -ENAMETOOLONG ? 414 : 400,
                    len == -ENAMETOOLONG ? "the path is too long"
                                         : "the path has a segment . or .., or a faulty %XX");
        return;
    }
    conn->speaker = conn->client_address;
    if (conn->trusted) {
        http_speaker_find(worker->buffer, head, &worker->config->front.trusted_proxies,
                          &conn->speaker);
    }
    if (path != NULL) {
        own_parse(worker->buffer, head, path, (size_t)len, &own);
    }
    if (own.kind != OWN_NOT) {
        enter_own(conn, &own);
        return;
    }
    if (worker->config->broken) {
        conn_answer(conn, 503, "dockwake is misconfigured: see 'dockwake check'");
        return;
    }
    find(conn, path, (size_t)len, &route);
    if (route.found == CONFIG_FOUND_NONE) {
        conn_answer(conn, 404, "no app has this address");
    } else if (route.app->broken) {
        conn_answer(conn, 503, misconfigured);
    } else if (route.found == CONFIG_FOUND_FALLBACK) {
        conn_answer_with(conn, &(struct answer){.status = 302, .location = route.app->fallback});
    } else {
        conn->segments = (uint8_t)(route.app->strip_path ? route.segments : 0);
        conn->by_cookie = route.by_cookie;
        conn->by_instance = route.app->is_template;
        enter(conn, &(struct quest){.app = route.app,
                                    .instance = route.instance,
                                    .head = head,
                                    .path = path != NULL ? path : "",
                                    .path_len = path != NULL ? (size_t)len : 0});
    }
}
