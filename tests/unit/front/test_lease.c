/* The lease client against an engine in the same process, turn by turn, with a clock that jumps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "lease.h"

enum { USERS = 4 };

struct bench {
    struct loop loop;
    struct lease_client *client;
    char path[64];
    int listener, engine; /* the engine's ends */
    struct config_app one, two;
    struct lease_user users[USERS];
    unsigned ready[USERS], failed[USERS]; /* how often each was told */
    uint16_t port[USERS];                 /* of the last address */
    enum proto_failure failure;
    char reason[PROTO_TEXT_MAX];
    struct lease_user *doubter; /* doubts as soon as it is ready */
    unsigned progress[USERS];
    struct lease_view view;      /* at the last progress */
    unsigned stale;              /* how often a pool was to be dropped */
    struct upstream_pool *pool;  /* the last of them */
    unsigned stale_before_ready; /* what stale was when a user was last told */
    struct lease_log_reader *cancelled;
    char lines[256]; /* of logs: "line\n" each, and "end N\n" */
};

static struct bench *bench;

static size_t index_of(struct lease_user *user) {
    return (size_t)(user - bench->users);
}

static void on_ready(struct lease_user *user, const struct proto_address *address) {
    struct proto_address newer;

    bench->ready[index_of(user)]++;
    bench->stale_before_ready = bench->stale;
    bench->port[index_of(user)] = ntohs(address->port);
    if (bench->doubter == user) {
        bench->doubter = NULL;
        assert_int_equal(lease_doubt(user, &newer), 0);
    }
}

static void on_failed(struct lease_user *user, enum proto_failure failure, const char *reason) {
    bench->failed[index_of(user)]++;
    bench->failure = failure;
    snprintf(bench->reason, sizeof(bench->reason), "%s", reason);
    lease_leave(user);
}

static void on_progress(struct lease_user *user) {
    bench->progress[index_of(user)]++;
    lease_view(user, &bench->view);
}

static void on_stale(struct upstream_pool *pool) {
    bench->stale++;
    bench->pool = pool;
}

static enum proto_failure last_end;
static unsigned n_ends;

static void on_ended(struct loop *loop, const char *app, enum proto_failure failure,
                     const char *reason) {
    (void)loop;
    (void)app;
    (void)reason;
    last_end = failure;
    n_ends++;
}

static const struct lease_handlers handlers = {.ready = on_ready,
                                               .failed = on_failed,
                                               .progress = on_progress,
                                               .ended = on_ended,
                                               .stale = on_stale};

/* --- the engine ---------------------------------------------------------------------------------- */

static void engine_listen(void) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX};

    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", bench->path);
    bench->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(bench->listener, (const struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(bench->listener, 8), 0);
}

static void engine_accept(void) {
    bench->engine = accept4(bench->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_true(bench->engine >= 0);
}

static void engine_unlisten(void) {
    bench->listener = safe_close(bench->listener);
    unlink(bench->path);
}

/* "LEASE one 1", "RELEASE one 1", "DOUBT one 1", "LOGS one 20", or "" when nothing came; behind it
 * " awake" for what may not wake it. */
static const char *engine_got(void) {
    static char text[PROTO_NAME_MAX + 64];
    union proto_message message;
    int r = proto_receive(bench->engine, PROTO_FRONT_TO_ENGINE, &message);

    text[0] = '\0';
    if (r > 0) {
        snprintf(text, sizeof(text), "%s %s %u%s",
                 message.header.opcode == PROTO_LOGS              ? "LOGS"
                 : message.header.opcode == PROTO_RELEASE         ? "RELEASE"
                 : (message.lease.flags & PROTO_LEASE_DOUBT) != 0 ? "DOUBT"
                                                                  : "LEASE",
                 message.lease.app,
                 message.header.opcode == PROTO_LOGS ? message.logs.lines : message.lease.serial,
                 message.header.opcode == PROTO_LEASE &&
                         (message.lease.flags & PROTO_LEASE_AWAKE) != 0
                     ? " awake"
                     : "");
    }
    return text;
}

static void turn(void) {
    assert_int_equal(loop_turn(&bench->loop, 0), 0);
}

static void engine_ready(const char *app, uint32_t serial, uint16_t port) {
    union proto_message message = {0};

    message.ready.serial = serial;
    message.ready.address = (struct proto_address){.family = AF_INET, .port = htons(port)};
    strcpy(message.ready.app, app);
    assert_int_equal(proto_send(bench->engine, PROTO_READY, &message), 0);
    turn();
}

static void engine_failed(const char *app, uint32_t serial, enum proto_failure failure,
                          const char *text) {
    union proto_message message = {0};

    message.failed.serial = serial;
    message.failed.failure = failure;
    strcpy(message.failed.app, app);
    strcpy(message.failed.text, text);
    assert_int_equal(proto_send(bench->engine, PROTO_FAILED, &message), 0);
    turn();
}

static void engine_says(enum proto_opcode opcode, const char *app, uint32_t serial) {
    union proto_message message = {0};

    message.lease.serial = serial;
    strcpy(message.lease.app, app);
    assert_int_equal(proto_send(bench->engine, opcode, &message), 0);
    turn();
}

static void engine_progress(const char *app, uint32_t serial, uint32_t state) {
    union proto_message message = {0};

    message.progress.serial = serial;
    message.progress.state = state;
    strcpy(message.progress.app, app);
    assert_int_equal(proto_send(bench->engine, PROTO_PROGRESS, &message), 0);
    turn();
}

static void engine_line(uint32_t serial, const char *text) {
    union proto_message message = {0};

    message.log.serial = serial;
    strcpy(message.log.text, text);
    assert_int_equal(proto_send(bench->engine, PROTO_LOG, &message), 0);
    turn();
}

static void engine_logs_end(uint32_t serial, uint32_t result) {
    union proto_message message = {0};

    message.logs_end.serial = serial;
    message.logs_end.result = result;
    assert_int_equal(proto_send(bench->engine, PROTO_LOGS_END, &message), 0);
    turn();
}

/* --- the front ----------------------------------------------------------------------------------- */

static int take_as(size_t i, const struct config_app *app, const char *name, bool wake) {
    struct proto_address address = {0};
    int r = lease_take(bench->client, &bench->users[i], app, name, wake, &address);

    if (r > 0) {
        bench->port[i] = ntohs(address.port);
    }
    return r;
}

static int take(size_t i, const struct config_app *app) {
    return take_as(i, app, app->name, true);
}

/* One who may not wake it. */
static int peek(size_t i, const struct config_app *app) {
    return take_as(i, app, app->name, false);
}

static int doubt(size_t i) {
    struct proto_address address = {0};
    int r = lease_doubt(&bench->users[i], &address);

    if (r > 0) {
        bench->port[i] = ntohs(address.port);
    }
    return r;
}

/* Lets what is due by then run, as though the time had passed. */
static void pass(usec_t span) {
    struct timeout_queue *queue;
    usec_t then = bench->loop.now + span;

    bench->loop.now = then;
    TAILQ_FOREACH (queue, &bench->loop.queues, link) {
        timeout_queue_run(queue, then);
    }
}

static int setup(void **state) {
    (void)state;
    bench = calloc(1, sizeof(*bench));
    snprintf(bench->path, sizeof(bench->path), "/tmp/dockwake-lease-%d", (int)getpid());
    unlink(bench->path);
    bench->engine = bench->listener = -1;
    bench->one = (struct config_app){
        .name = "one", .start_timeout = 60 * USEC_PER_SEC, .stop_timeout = 10 * USEC_PER_SEC};
    bench->two = bench->one;
    strcpy(bench->two.name, "two");
    return loop_init(&bench->loop) ||
           lease_client_new(&bench->loop, bench->path, &handlers, &bench->client);
}

static int teardown(void **state) {
    (void)state;
    for (size_t i = 0; i < USERS; i++) {
        lease_leave(&bench->users[i]);
    }
    lease_client_free(bench->client);
    loop_done(&bench->loop);
    safe_close(bench->engine);
    engine_unlisten();
    free(bench);
    return 0;
}

/* User 0 has app one, which is ready at port 80 under serial 1. */
static void warm_up(void) {
    engine_listen();
    assert_int_equal(take(0, &bench->one), 0);
    engine_accept();
    assert_string_equal(engine_got(), "LEASE one 1");
    engine_ready("one", 1, 80);
    assert_int_equal(bench->ready[0], 1);
}

/* --- the cases ----------------------------------------------------------------------------------- */

static void one_lease_for_all(void **state) {
    (void)state;
    engine_listen();
    assert_int_equal(take(0, &bench->one), 0);
    assert_int_equal(take(1, &bench->one), 0);
    assert_int_equal(take(2, &bench->two), 0);
    engine_accept();
    assert_string_equal(engine_got(), "LEASE one 1");
    assert_string_equal(engine_got(), "LEASE two 2");
    assert_string_equal(engine_got(), "");
    engine_says(PROTO_STARTING, "one", 1);
    assert_int_equal(bench->ready[0], 0);
    engine_ready("one", 1, 80);
    assert_int_equal(bench->ready[0], 1);
    assert_int_equal(bench->ready[1], 1);
    assert_int_equal(bench->ready[2], 0);

    /* Warm: the address is there, and nothing is asked. */
    assert_int_equal(take(3, &bench->one), 1);
    assert_int_equal(bench->port[3], 80);
    assert_string_equal(engine_got(), "");
}

static void released_behind_the_last(void **state) {
    (void)state;
    warm_up();
    assert_int_equal(take(1, &bench->one), 1);
    lease_leave(&bench->users[0]);
    lease_leave(&bench->users[0]);
    pass(LEASE_RELEASE_DELAY);
    assert_string_equal(engine_got(), "");
    lease_leave(&bench->users[1]);
    pass(LEASE_RELEASE_DELAY - 1);
    assert_string_equal(engine_got(), "");

    /* One more in time, and the lease goes on. */
    assert_int_equal(take(2, &bench->one), 1);
    pass(LEASE_RELEASE_DELAY);
    assert_string_equal(engine_got(), "");
    lease_leave(&bench->users[2]);
    pass(LEASE_RELEASE_DELAY);
    assert_string_equal(engine_got(), "RELEASE one 1");

    assert_int_equal(take(2, &bench->one), 0);
    assert_string_equal(engine_got(), "LEASE one 2");
    engine_ready("one", 1, 81); /* to the one that was given back */
    assert_int_equal(bench->ready[2], 0);
    engine_ready("one", 2, 82);
    assert_int_equal(bench->port[2], 82);
}

static void failure_ends_the_lease(void **state) {
    (void)state;
    engine_listen();
    assert_int_equal(take(0, &bench->one), 0);
    assert_int_equal(take(1, &bench->one), 0);
    engine_accept();
    assert_string_equal(engine_got(), "LEASE one 1");
    engine_failed("one", 1, PROTO_FAILURE_EXITED, "it ended with status 3");
    assert_int_equal(bench->failed[0] + bench->failed[1], 2);
    assert_int_equal(bench->failure, PROTO_FAILURE_EXITED);
    assert_string_equal(bench->reason, "it ended with status 3");
    pass(LEASE_RELEASE_DELAY);
    assert_string_equal(engine_got(), ""); /* there is nothing to give back */

    assert_int_equal(take(0, &bench->one), 0);
    assert_string_equal(engine_got(), "LEASE one 2");
    engine_failed("one", 2, (enum proto_failure)99, "");
    assert_int_equal(bench->failure, PROTO_FAILURE_DOCKER);
}

static void gone_ends_the_lease(void **state) {
    (void)state;
    warm_up();
    engine_says(PROTO_GONE, "one", 1);
    assert_string_equal(engine_got(), ""); /* user 0 goes on as long as it can */
    assert_int_equal(take(1, &bench->one), 0);
    assert_string_equal(engine_got(), "LEASE one 2");
    engine_ready("one", 2, 81);
    assert_int_equal(bench->port[1], 81);

    /* User 0 has an old address: it is given the new one, and nobody is asked. */
    assert_int_equal(doubt(0), 1);
    assert_int_equal(bench->port[0], 81);
    assert_string_equal(engine_got(), "");
}

static void doubt_is_told_once(void **state) {
    (void)state;
    warm_up();
    assert_int_equal(take(1, &bench->one), 1);
    assert_int_equal(take(2, &bench->one), 1);
    assert_int_equal(doubt(0), 0);
    assert_int_equal(doubt(1), 0);
    assert_string_equal(engine_got(), "DOUBT one 1");
    assert_string_equal(engine_got(), "");
    assert_int_equal(take(3, &bench->one), 0); /* nobody gets a doubted address */
    engine_ready("one", 1, 81);
    assert_int_equal(bench->ready[0], 2);
    assert_int_equal(bench->ready[1], 1);
    assert_int_equal(bench->port[3], 81);

    /* User 2 comes late with its complaint about the old one. */
    assert_int_equal(doubt(2), 1);
    assert_int_equal(bench->port[2], 81);
    assert_string_equal(engine_got(), "");
}

/* The first waiter finds the address bad: the others do not have to. */
static void doubt_while_waiters_are_told(void **state) {
    (void)state;
    engine_listen();
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(take(i, &bench->one), 0);
    }
    engine_accept();
    assert_string_equal(engine_got(), "LEASE one 1");
    bench->doubter = &bench->users[0];
    engine_ready("one", 1, 80);
    assert_int_equal(bench->ready[0], 1);
    assert_int_equal(bench->ready[1] + bench->ready[2], 0);
    assert_string_equal(engine_got(), "DOUBT one 1");
    engine_ready("one", 1, 81);
    assert_int_equal(bench->ready[0], 2);
    assert_int_equal(bench->ready[1] + bench->ready[2], 2);
}

static void gone_crosses_a_doubt(void **state) {
    (void)state;
    warm_up();
    assert_int_equal(doubt(0), 0);
    assert_string_equal(engine_got(), "DOUBT one 1");
    for (uint32_t i = 1; i <= LEASE_RENEWALS_MAX; i++) {
        char expected[32];

        engine_says(PROTO_GONE, "one", i);
        snprintf(expected, sizeof(expected), "LEASE one %u", i + 1);
        assert_string_equal(engine_got(), expected);
        assert_int_equal(bench->failed[0], 0);
    }
    engine_says(PROTO_GONE, "one", LEASE_RENEWALS_MAX + 1);
    assert_int_equal(bench->failed[0], 1);
    assert_int_equal(bench->failure, PROTO_FAILURE_STOPPED);
}

static void the_engine_restarts(void **state) {
    (void)state;
    warm_up();
    assert_int_equal(take(1, &bench->two), 0);
    assert_string_equal(engine_got(), "LEASE two 2");
    bench->engine = safe_close(bench->engine);
    turn();
    assert_int_equal(take(2, &bench->one), 1); /* the address still serves */
    turn();                                    /* the first attempt comes at once */
    engine_accept();
    assert_string_equal(engine_got(), "LEASE one 3");
    assert_string_equal(engine_got(), "LEASE two 4");
    engine_says(PROTO_GONE, "one", 1);
    assert_int_equal(take(3, &bench->one), 1); /* that was about another life */
    engine_ready("two", 4, 82);
    assert_int_equal(bench->port[1], 82);

    /* A doubt while it is away is the next LEASE itself. */
    engine_unlisten();
    bench->engine = safe_close(bench->engine);
    turn();
    assert_int_equal(doubt(0), 0);
    engine_listen();
    pass(LEASE_RETRY_MAX);
    engine_accept();
    assert_string_equal(engine_got(), "LEASE one 5");
    assert_string_equal(engine_got(), "LEASE two 6");
    assert_string_equal(engine_got(), "");
}

static void pauses_grow(void **state) {
    usec_t at[8];

    (void)state;
    assert_int_equal(take(0, &bench->one), 0);
    for (size_t i = 0; i < ARRAY_SIZE(at); i++) {
        struct timeout_queue *queue;
        usec_t next = USEC_INFINITY;

        TAILQ_FOREACH (queue, &bench->loop.queues, link) {
            if (timeout_queue_next(queue) < next) {
                next = timeout_queue_next(queue);
            }
        }
        at[i] = next - bench->loop.now;
        pass(at[i]);
    }
    assert_int_equal(at[0], LEASE_RETRY_FIRST);
    assert_int_equal(at[1], 2 * LEASE_RETRY_FIRST);
    assert_int_equal(at[7], LEASE_RETRY_MAX);
    engine_listen();
    pass(LEASE_RETRY_MAX);
    engine_accept();
    assert_string_equal(engine_got(), "LEASE one 1");
}

static void an_unreachable_engine_is_told(void **state) {
    (void)state;
    assert_int_equal(take(0, &bench->one), 0);
    pass(30 * USEC_PER_SEC);
    assert_int_equal(take(1, &bench->one), 0); /* does not wait longer than the first */
    pass(30 * USEC_PER_SEC + LEASE_PATIENCE - 1);
    assert_int_equal(bench->failed[0], 0);
    pass(1);
    assert_int_equal(bench->failed[0] + bench->failed[1], 2);
    assert_int_equal(bench->failure, PROTO_FAILURE_DOCKER);
    assert_string_equal(bench->reason, "the engine cannot be reached");
}

static void a_silent_engine_is_told(void **state) {
    (void)state;
    engine_listen();
    assert_int_equal(take(0, &bench->one), 0);
    pass(60 * USEC_PER_SEC + LEASE_PATIENCE);
    assert_int_equal(bench->failed[0], 0); /* it may be waiting for a stop */
    pass(10 * USEC_PER_SEC);
    assert_int_equal(bench->failed[0], 1);
    assert_int_equal(bench->failure, PROTO_FAILURE_TIMEOUT);
}

/* An engine that does not read: nothing grows, and only what is true in the end is sent. */
static void a_full_queue(void **state) {
    struct config_app apps[600];
    struct lease_user users[600] = {0};
    struct proto_address address;
    unsigned sent = 0, released = 0;

    (void)state;
    engine_listen();
    for (size_t i = 0; i < ARRAY_SIZE(apps); i++) {
        apps[i] = bench->one;
        snprintf(apps[i].name, sizeof(apps[i].name), "app%zu", i);
        assert_int_equal(
            lease_take(bench->client, &users[i], &apps[i], apps[i].name, true, &address), 0);
    }
    for (size_t i = 300; i < ARRAY_SIZE(apps); i++) {
        lease_leave(&users[i]);
    }
    pass(LEASE_RELEASE_DELAY);
    engine_accept();
    for (unsigned empty = 0; empty < 3;) {
        const char *got = engine_got();

        if (got[0] == '\0') {
            empty++;
            turn();
            continue;
        }
        empty = 0;
        sent += strncmp(got, "LEASE", 5) == 0;
        released += strncmp(got, "RELEASE", 7) == 0;
    }
    /* Each of the first half once; of the others what had been sent before was taken back. */
    assert_int_equal(sent - released, 300);
    assert_true(sent < ARRAY_SIZE(apps));
    for (size_t i = 0; i < 300; i++) {
        lease_leave(&users[i]);
    }
}

static void an_idle_engine_is_left_alone(void **state) {
    (void)state;
    warm_up();
    lease_leave(&bench->users[0]);
    pass(LEASE_RELEASE_DELAY);
    assert_string_equal(engine_got(), "RELEASE one 1");
    bench->engine = safe_close(bench->engine);
    turn();
    pass(10 * USEC_PER_SEC);
    turn();
    assert_int_equal(accept(bench->listener, NULL, NULL), -1);
    assert_int_equal(take(0, &bench->one), 0); /* until it is needed */
    pass(LEASE_RETRY_MAX);
    engine_accept();
    assert_string_equal(engine_got(), "LEASE one 2");
}

static void complaints(void **state) {
    (void)state;
    warm_up();
    assert_true(lease_may_complain(&bench->users[0]));
    assert_false(lease_may_complain(&bench->users[0]));
    pass(LEASE_COMPLAINT_PAUSE);
    assert_true(lease_may_complain(&bench->users[0]));
    assert_string_equal(lease_app(&bench->users[0]), "one");
}

static void progress_is_told(void **state) {
    struct lease_view view;

    (void)state;
    engine_listen();
    bench->loop.now = 5 * USEC_PER_SEC;
    assert_int_equal(take(0, &bench->one), 0);
    lease_view(&bench->users[0], &view);
    assert_int_equal(view.state, PROTO_STATE_UNKNOWN);
    assert_int_equal(view.began, 5 * USEC_PER_SEC);
    engine_accept();
    pass(USEC_PER_SEC);
    assert_int_equal(take(1, &bench->one), 0);
    engine_says(PROTO_STARTING, "one", 1);
    assert_int_equal(bench->progress[0] + bench->progress[1], 2);
    assert_int_equal(bench->view.state, PROTO_STATE_STARTING);
    assert_int_equal(bench->view.began, 5 * USEC_PER_SEC);
    engine_progress("one", 1, PROTO_STATE_STARTING); /* nothing new */
    engine_progress("one", 9, PROTO_STATE_PROBING);  /* about another lease */
    engine_progress("one", 1, PROTO_STATE_MAX);
    assert_int_equal(bench->progress[0], 1);
    engine_progress("one", 1, PROTO_STATE_PROBING);
    assert_int_equal(bench->progress[0] + bench->progress[1], 4);
    assert_int_equal(bench->view.state, PROTO_STATE_PROBING);
    engine_ready("one", 1, 80);
    lease_view(&bench->users[0], &view);
    assert_int_equal(view.began, 0); /* nobody waits */
    engine_progress("one", 1, PROTO_STATE_STOPPING);
    assert_int_equal(bench->progress[0], 2);
}

static void who_may_not_wake_is_told(void **state) {
    (void)state;
    engine_listen();
    assert_int_equal(peek(0, &bench->one), 0);
    engine_accept();
    assert_string_equal(engine_got(), "LEASE one 1 awake");
    engine_failed("one", 1, PROTO_FAILURE_ASLEEP, "it is asleep");
    assert_int_equal(bench->failed[0], 1);
    assert_int_equal(bench->failure, PROTO_FAILURE_ASLEEP);
    assert_string_equal(engine_got(), "");

    /* When it is awake there is no difference. */
    assert_int_equal(peek(0, &bench->one), 0);
    assert_string_equal(engine_got(), "LEASE one 2 awake");
    engine_ready("one", 2, 80);
    assert_int_equal(bench->ready[0], 1);
    assert_int_equal(peek(1, &bench->one), 1);
    assert_int_equal(take(2, &bench->one), 1);
    assert_string_equal(engine_got(), "");
}

static void a_waker_raises_the_lease(void **state) {
    (void)state;
    engine_listen();
    assert_int_equal(peek(0, &bench->one), 0);
    engine_accept();
    assert_string_equal(engine_got(), "LEASE one 1 awake");
    assert_int_equal(take(1, &bench->one), 0);
    assert_int_equal(peek(2, &bench->one), 0);
    assert_string_equal(engine_got(), "");
    engine_failed("one", 1, PROTO_FAILURE_ASLEEP, "");
    assert_int_equal(bench->failed[0], 1);
    assert_int_equal(bench->failed[1], 0);
    assert_int_equal(bench->failed[2], 1);
    assert_string_equal(engine_got(), "LEASE one 2");
    assert_int_equal(peek(0, &bench->one), 0); /* it is being woken by somebody else */
    engine_ready("one", 2, 80);
    assert_int_equal(bench->ready[0] + bench->ready[1], 2);

    /* An engine that cannot be told so often. */
    engine_says(PROTO_GONE, "one", 2);
    assert_int_equal(take(3, &bench->one), 0);
    for (uint32_t i = 3; i < 3 + LEASE_RENEWALS_MAX; i++) {
        engine_failed("one", i, PROTO_FAILURE_ASLEEP, "");
        assert_int_equal(bench->failed[3], 0);
    }
    engine_failed("one", 3 + LEASE_RENEWALS_MAX, PROTO_FAILURE_ASLEEP, "");
    assert_int_equal(bench->failed[3], 1);
}

/* A LEASE is as humble as those who wait for it, at the moment at which it is sent. */
static void who_waits_decides(void **state) {
    (void)state;
    assert_int_equal(peek(0, &bench->one), 0); /* nobody listens yet */
    assert_int_equal(take(1, &bench->one), 0);
    engine_listen();
    pass(LEASE_RETRY_MAX);
    engine_accept();
    assert_string_equal(engine_got(), "LEASE one 1");
    engine_ready("one", 1, 80);

    /* User 1 is busy with what it has; only user 0 asks. */
    assert_int_equal(doubt(0), 0);
    assert_string_equal(engine_got(), "DOUBT one 1 awake");
    engine_ready("one", 1, 80);
    engine_says(PROTO_GONE, "one", 1);
    assert_int_equal(peek(2, &bench->one), 0);
    assert_string_equal(engine_got(), "LEASE one 2 awake");
    engine_ready("one", 2, 81);

    /* An engine that comes back has to know who is busy. */
    bench->engine = safe_close(bench->engine);
    turn();
    turn();
    engine_accept();
    assert_string_equal(engine_got(), "LEASE one 3");
    bench->engine = safe_close(bench->engine);
    lease_leave(&bench->users[1]);
    turn();
    pass(LEASE_RETRY_MAX);
    engine_accept();
    assert_string_equal(engine_got(), "LEASE one 4 awake");
}

static void instances_by_name(void **state) {
    (void)state;
    engine_listen();
    assert_int_equal(take_as(0, &bench->one, "one@a", true), 0);
    assert_int_equal(take_as(1, &bench->one, "one@b", true), 0);
    assert_int_equal(take_as(2, &bench->one, "one@b", true), 0);
    engine_accept();
    assert_string_equal(engine_got(), "LEASE one@a 1");
    assert_string_equal(engine_got(), "LEASE one@b 2");
    assert_string_equal(lease_app(&bench->users[1]), "one@b");
    engine_ready("one@b", 2, 80);
    assert_int_equal(bench->ready[0], 0);
    assert_int_equal(bench->ready[1] + bench->ready[2], 2);
    assert_int_equal(lease_load(bench->client, "one@a"), 1);
    assert_int_equal(lease_load(bench->client, "one@b"), 2);
    assert_int_equal(lease_load(bench->client, "one"), 0);
    lease_leave(&bench->users[1]);
    assert_int_equal(lease_load(bench->client, "one@b"), 1);
}

static void a_pool_is_dropped_when_its_address_is_not_the_apps(void **state) {
    struct upstream_pool *pool;

    (void)state;
    warm_up();
    assert_int_equal(bench->stale, 0);
    pool = lease_pool(&bench->users[0]);

    /* Given back and taken again: it is the same. */
    lease_leave(&bench->users[0]);
    pass(LEASE_RELEASE_DELAY);
    assert_string_equal(engine_got(), "RELEASE one 1");
    assert_int_equal(take(0, &bench->one), 0);
    assert_ptr_equal(lease_pool(&bench->users[0]), pool);
    engine_ready("one", 2, 80);
    assert_int_equal(bench->stale, 0);

    /* Another one: before anybody is told of it. */
    lease_leave(&bench->users[0]);
    pass(LEASE_RELEASE_DELAY);
    assert_int_equal(take(0, &bench->one), 0);
    engine_ready("one", 3, 81);
    assert_int_equal(bench->stale, 1);
    assert_int_equal(bench->stale_before_ready, 1);
    assert_ptr_equal(bench->pool, pool);

    engine_says(PROTO_GONE, "one", 3);
    assert_int_equal(bench->stale, 2);
    assert_int_equal(take(1, &bench->one), 0);
    engine_failed("one", 4, PROTO_FAILURE_EXITED, "");
    assert_int_equal(bench->stale, 3);
}

static void a_pool_outlives_the_engine(void **state) {
    (void)state;
    warm_up();
    bench->engine = safe_close(bench->engine);
    turn();
    turn();
    engine_accept();
    assert_string_equal(engine_got(), "LEASE one 2");
    engine_ready("one", 2, 80);
    assert_int_equal(bench->stale, 0);
    bench->engine = safe_close(bench->engine);
    turn();
    turn();
    engine_accept();
    assert_string_equal(engine_got(), "LEASE one 3");
    engine_ready("one", 3, 81);
    assert_int_equal(bench->stale, 1);
}

static void an_app_is_forgotten(void **state) {
    struct upstream_pool *pool;

    (void)state;
    warm_up();
    pool = lease_pool(&bench->users[0]);
    lease_leave(&bench->users[0]);
    pass(LEASE_RELEASE_DELAY);
    assert_string_equal(engine_got(), "RELEASE one 1");
    pass(LEASE_FORGET - 1);
    assert_int_equal(bench->stale, 0);
    assert_int_equal(take(0, &bench->one), 0); /* in time */
    assert_string_equal(engine_got(), "LEASE one 2");
    pass(LEASE_FORGET);
    assert_int_equal(bench->stale, 0);
    engine_failed("one", 2, PROTO_FAILURE_EXITED, "");
    assert_int_equal(bench->failed[0], 1);
    bench->stale = 0;
    bench->pool = NULL;
    pass(LEASE_FORGET);
    assert_int_equal(bench->stale, 1);
    assert_ptr_equal(bench->pool, pool);
}

/* Names without end, each used once: what is remembered has a bound, and those in use as well. */
static void many_names(void **state) {
    struct lease_user *users = calloc(LEASES_MAX + 1, sizeof(*users));
    struct proto_address address;
    char name[PROTO_NAME_MAX];

    (void)state;
    for (size_t i = 0; i < LEASES_IDLE_MAX + 10; i++) {
        struct lease_user user;

        snprintf(name, sizeof(name), "one@%zu", i);
        assert_int_equal(lease_take(bench->client, &user, &bench->one, name, true, &address), 0);
        lease_leave(&user);
        if (i == LEASES_IDLE_MAX) {
            pass(LEASE_RELEASE_DELAY);
            turn();
            assert_int_equal(bench->stale, 1);
        }
    }
    pass(LEASE_RELEASE_DELAY);
    turn();
    assert_int_equal(bench->stale, 10);
    for (size_t i = 0; i < LEASES_MAX; i++) {
        snprintf(name, sizeof(name), "one@u%zu", i);
        assert_int_equal(lease_take(bench->client, &users[i], &bench->one, name, true, &address),
                         0);
    }
    assert_int_equal(
        lease_take(bench->client, &users[LEASES_MAX], &bench->one, "one@z", true, &address),
        -EUSERS);
    assert_null(users[LEASES_MAX].lease);
    assert_int_equal(
        lease_take(bench->client, &users[LEASES_MAX], &bench->one, "one@u7", true, &address), 0);
    for (size_t i = 0; i <= LEASES_MAX; i++) {
        lease_leave(&users[i]);
    }
    free(users);
}

static void on_line(struct lease_log_reader *reader, const char *text) {
    strcat(strcat(bench->lines, text), "\n");
    if (bench->cancelled == reader) {
        lease_logs_cancel(reader);
    }
}

static void on_end(struct lease_log_reader *reader, int error) {
    assert_null(reader->client);
    sprintf(bench->lines + strlen(bench->lines), "end %d\n", error);
}

static void logs_are_read(void **state) {
    struct lease_log_reader one = {.line = on_line, .end = on_end};
    struct lease_log_reader two = one;

    (void)state;
    assert_int_equal(lease_logs(bench->client, "one", 20, &one), -EBUSY); /* nobody listens */
    assert_null(one.client);
    engine_listen();
    assert_int_equal(lease_logs(bench->client, "one@a", 20, &one), 0);
    assert_int_equal(lease_logs(bench->client, "two", 2000, &two), 0);
    engine_accept();
    assert_string_equal(engine_got(), "LOGS one@a 20");
    assert_string_equal(engine_got(), "LOGS two 100");
    engine_line(one.serial, "first");
    engine_line(two.serial, "other");
    engine_line(77, "nobody's");
    engine_line(one.serial, "");
    engine_logs_end(one.serial, 0);
    engine_logs_end(two.serial, EPERM);
    assert_string_equal(bench->lines, "first\nother\n\nend 0\nend 1\n");

    /* A reader may be used again, and cancelled from its own handler. */
    bench->lines[0] = '\0';
    assert_int_equal(lease_logs(bench->client, "one", 1, &one), 0);
    assert_string_equal(engine_got(), "LOGS one 1");
    bench->cancelled = &one;
    engine_line(one.serial, "a");
    engine_line(one.serial, "b");
    engine_logs_end(one.serial, 0);
    lease_logs_cancel(&one);
    assert_string_equal(bench->lines, "a\n");
}

static void logs_of_an_engine_that_goes(void **state) {
    struct lease_log_reader one = {.line = on_line, .end = on_end};
    struct lease_log_reader two = one;

    (void)state;
    engine_listen();
    assert_int_equal(lease_logs(bench->client, "one", 20, &one), 0);
    assert_int_equal(lease_logs(bench->client, "two", 20, &two), 0);
    engine_accept();
    bench->engine = safe_close(bench->engine);
    lease_logs_cancel(&two);
    turn();
    assert_string_equal(bench->lines, "end 5\n");

    /* One that is noticed by a function that sends: nobody is called from within it. */
    bench->lines[0] = '\0';
    assert_int_equal(lease_logs(bench->client, "one", 20, &one), 0);
    engine_accept();
    bench->engine = safe_close(bench->engine);
    assert_int_equal(lease_logs(bench->client, "two", 20, &two), 0);
    assert_string_equal(bench->lines, "");
    turn();
    assert_string_equal(bench->lines, "end 5\nend 5\n");
}

/* What the engine's queue had no room for goes out when it has. */
static void logs_behind_a_full_queue(void **state) {
    enum { READERS = 600 };
    struct lease_log_reader *readers = calloc(READERS, sizeof(*readers));
    unsigned n = 0;

    (void)state;
    engine_listen();
    for (size_t i = 0; i < READERS; i++) {
        readers[i].line = on_line;
        readers[i].end = on_end;
        assert_int_equal(lease_logs(bench->client, "one", 1, &readers[i]), 0);
    }
    assert_false(readers[READERS - 1].sent);
    engine_accept();
    for (unsigned empty = 0; empty < 3;) {
        bool got = engine_got()[0] != '\0';

        empty = got ? 0 : empty + 1;
        n += got;
        if (!got) {
            turn();
        }
    }
    assert_int_equal(n, READERS);
    for (size_t i = 0; i < READERS; i++) {
        lease_logs_cancel(&readers[i]);
    }
    free(readers);
}

#define bench_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        bench_test(one_lease_for_all),
        bench_test(released_behind_the_last),
        bench_test(failure_ends_the_lease),
        bench_test(gone_ends_the_lease),
        bench_test(doubt_is_told_once),
        bench_test(doubt_while_waiters_are_told),
        bench_test(gone_crosses_a_doubt),
        bench_test(the_engine_restarts),
        bench_test(pauses_grow),
        bench_test(an_unreachable_engine_is_told),
        bench_test(a_silent_engine_is_told),
        bench_test(a_full_queue),
        bench_test(an_idle_engine_is_left_alone),
        bench_test(complaints),
        bench_test(progress_is_told),
        bench_test(who_may_not_wake_is_told),
        bench_test(a_waker_raises_the_lease),
        bench_test(who_waits_decides),
        bench_test(instances_by_name),
        bench_test(a_pool_is_dropped_when_its_address_is_not_the_apps),
        bench_test(a_pool_outlives_the_engine),
        bench_test(an_app_is_forgotten),
        bench_test(many_names),
        bench_test(logs_are_read),
        bench_test(logs_of_an_engine_that_goes),
        bench_test(logs_behind_a_full_queue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
