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
};

static struct bench *bench;

static size_t index_of(struct lease_user *user) {
    return (size_t)(user - bench->users);
}

static void on_ready(struct lease_user *user, const struct proto_address *address) {
    struct proto_address newer;

    bench->ready[index_of(user)]++;
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

static const struct lease_handlers handlers = {.ready = on_ready, .failed = on_failed};

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

/* "LEASE one 1", "RELEASE one 1", "DOUBT one 1", or "" when nothing came. */
static const char *engine_got(void) {
    static char text[PROTO_NAME_MAX + 64];
    union proto_message message;
    int r = proto_receive(bench->engine, PROTO_FRONT_TO_ENGINE, &message);

    text[0] = '\0';
    if (r > 0) {
        snprintf(text, sizeof(text), "%s %s %u",
                 message.header.opcode == PROTO_RELEASE           ? "RELEASE"
                 : (message.lease.flags & PROTO_LEASE_DOUBT) != 0 ? "DOUBT"
                                                                  : "LEASE",
                 message.lease.app, message.lease.serial);
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

/* --- the front ----------------------------------------------------------------------------------- */

static int take(size_t i, const struct config_app *app) {
    struct proto_address address = {0};
    int r = lease_take(bench->client, &bench->users[i], app, &address);

    if (r > 0) {
        bench->port[i] = ntohs(address.port);
    }
    return r;
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
        assert_int_equal(lease_take(bench->client, &users[i], &apps[i], &address), 0);
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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
