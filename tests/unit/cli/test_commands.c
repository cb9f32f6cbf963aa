/* Each subcommand against an engine that says what the test tells it to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "cli.h"
#include "client.h"
#include "output.h"

enum { SCRIPT_MAX = 8 };

struct engine {
    char dir[32];
    struct sockaddr_un sa;
    int listener;
    pthread_t thread;
    bool running;

    /* What it answers, in this order; opcode 0 ends the connection. */
    struct {
        enum proto_opcode opcode;
        union proto_message message;
    } script[SCRIPT_MAX];
    size_t n;
    union proto_message request; /* what came */

    struct cli_options options;
    char output[8192], errors[2048];
};

static void *engine_main(void *userdata) {
    struct engine *e = userdata;
    auto_close int fd = accept4(e->listener, NULL, NULL, SOCK_CLOEXEC);
    struct pollfd p = {.fd = fd, .events = POLLIN};

    if (poll(&p, 1, 10000) != 1 || proto_receive(fd, PROTO_ADMIN_TO_ENGINE, &e->request) <= 0) {
        return NULL;
    }
    for (size_t i = 0; i < e->n && e->script[i].opcode != 0; i++) {
        proto_send(fd, e->script[i].opcode, &e->script[i].message);
    }
    return NULL;
}

static int setup(void **state) {
    struct engine *e = calloc(1, sizeof(*e));

    *state = e;
    strcpy(e->dir, "/tmp/dockwake-unit-XXXXXX");
    if (mkdtemp(e->dir) == NULL) {
        return -1;
    }
    e->sa.sun_family = AF_UNIX;
    snprintf(e->sa.sun_path, sizeof(e->sa.sun_path), "%s/admin.sock", e->dir);
    e->options.socket = e->sa.sun_path;
    e->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (bind(e->listener, (const struct sockaddr *)&e->sa, sizeof(e->sa)) < 0) {
        return -1;
    }
    return listen(e->listener, 4);
}

static int teardown(void **state) {
    struct engine *e = *state;

    close(e->listener);
    unlink(e->sa.sun_path);
    rmdir(e->dir);
    free(e);
    return 0;
}

static struct proto_app app_in(const char *name, enum proto_state state) {
    struct proto_app app;

    memset(&app, 0, sizeof(app));
    strcpy(app.app, name);
    snprintf(app.container, sizeof(app.container), "c-%s", name);
    app.state = state;
    app.sleep_usec = UINT64_MAX;
    return app;
}

static void say_app(struct engine *e, struct proto_app app) {
    e->script[e->n].opcode = PROTO_APP;
    e->script[e->n++].message.app = app;
}

static void say_end(struct engine *e, int result, const char *text) {
    struct proto_end end = {.result = (uint32_t)result};

    strcpy(end.text, text);
    e->script[e->n].opcode = PROTO_END;
    e->script[e->n++].message.end = end;
}

/* Points fd at a new file and returns what it was. */
static int capture(int fd, FILE *file) {
    int saved = dup(fd);

    assert_true(saved >= 0);
    dup2(fileno(file), fd);
    return saved;
}

static void release(int fd, int saved, FILE *file, char *ret_text, size_t size) {
    size_t n;

    dup2(saved, fd);
    close(saved);
    rewind(file);
    n = fread(ret_text, 1, size - 1, file);
    ret_text[n] = '\0';
    fclose(file);
}

/* Runs a subcommand; its output and errors are in the engine then. */
static int run(struct engine *e, int (*command)(const struct cli_options *)) {
    FILE *out = tmpfile();
    FILE *err = tmpfile();
    int saved_out;
    int saved_err;
    int r;

    assert_int_equal(pthread_create(&e->thread, NULL, engine_main, e), 0);
    fflush(stdout);
    saved_out = capture(STDOUT_FILENO, out);
    saved_err = capture(STDERR_FILENO, err);
    r = command(&e->options);
    fflush(stdout);
    release(STDOUT_FILENO, saved_out, out, e->output, sizeof(e->output));
    release(STDERR_FILENO, saved_err, err, e->errors, sizeof(e->errors));
    shutdown(e->listener, SHUT_RDWR);
    pthread_join(e->thread, NULL);
    return r;
}

static void list_table(void **state) {
    struct engine *e = *state;
    struct proto_app ready = app_in("grafana", PROTO_STATE_READY);

    ready.leases = 2;
    ready.address =
        (struct proto_address){.family = AF_INET, .port = htons(3000), .ip = {172, 17, 0, 2}};
    ready.sleep_usec = 125 * USEC_PER_SEC;
    say_app(e, app_in("a", PROTO_STATE_ASLEEP));
    say_app(e, ready);
    say_end(e, 0, "");
    assert_int_equal(run(e, cli_list), CLI_OK);
    assert_string_equal(e->output,
                        "APP      CONTAINER  STATE   FOR  SLEEPS IN  LEASES  ADDRESS\n"
                        "a        c-a        asleep  -    -          0       -\n"
                        "grafana  c-grafana  ready   -    2min 5s    2       172.17.0.2:3000\n");
    assert_string_equal(e->errors, "");
    assert_int_equal(e->request.header.opcode, PROTO_LIST);
}

static void list_json(void **state) {
    struct engine *e = *state;
    struct proto_app failed = app_in("b", PROTO_STATE_FAILED);
    json_t *list;

    failed.failure = PROTO_FAILURE_TIMEOUT;
    strcpy(failed.text, "not ready within 60 s \xff");
    failed.since_usec = 1500000000500000;
    failed.wake_usec = 1234567;
    failed.sleep_usec = 2500000;
    failed.address = (struct proto_address){.family = AF_INET6, .port = htons(1), .ip = {[15] = 1}};
    say_app(e, app_in("a", PROTO_STATE_ASLEEP));
    say_app(e, failed);
    say_end(e, 0, "");
    e->options.json = true;
    assert_int_equal(run(e, cli_list), CLI_OK);
    list = json_loads(e->output, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(list);
    json_t *expected = json_pack(
        "[{s:s,s:s,s:s,s:n,s:i,s:n,s:n,s:n,s:n,s:n},{s:s,s:s,s:s,s:s,s:i,s:s,s:f,s:f,s:s,s:s}]",
        "app", "a", "container", "c-a", "state", "asleep", "since", "leases", 0, "address",
        "sleeps_in_seconds", "last_wake_seconds", "failure", "reason", "app", "b", "container",
        "c-b", "state", "failed", "since", "2017-07-14T02:40:00Z", "leases", 0, "address",
        "[::1]:1", "sleeps_in_seconds", 2.5, "last_wake_seconds", 1.234, "failure", "timeout",
        "reason", "not ready within 60 s ?");
    assert_true(json_equal(list, expected));
    json_decref(list);
    json_decref(expected);
}

static void status_of_one(void **state) {
    struct engine *e = *state;
    struct proto_app app = app_in("a", PROTO_STATE_FAILED);

    app.failure = PROTO_FAILURE_EXITED;
    strcpy(app.text, "exit status 1\nand \x1b[31mmore");
    say_app(e, app);
    say_end(e, 0, "");
    e->options.app = "a";
    assert_int_equal(run(e, cli_status), CLI_OK);
    assert_string_equal(e->output, "app:        a\ncontainer:  c-a\nstate:      failed\n"
                                   "address:    -\nleases:     0\nsleeps in:  -\n"
                                   "failure:    exited: exit status 1?and ?[31mmore\n");
    assert_int_equal(e->request.header.opcode, PROTO_STATUS);
    assert_string_equal(e->request.request.app, "a");
    assert_int_equal(e->request.request.flags, 0);
}

static void status_of_all(void **state) {
    struct engine *e = *state;

    say_app(e, app_in("a", PROTO_STATE_ASLEEP));
    say_app(e, app_in("b", PROTO_STATE_ASLEEP));
    say_app(e, app_in("c", PROTO_STATE_READY));
    say_end(e, 0, "");
    assert_int_equal(run(e, cli_status), CLI_OK);
    assert_string_equal(e->output, "3 apps: 2 asleep, 1 ready\n");
}

static void wake_at_once(void **state) {
    struct engine *e = *state;

    say_app(e, app_in("a", PROTO_STATE_STARTING));
    say_end(e, 0, "");
    e->options.app = "a";
    assert_int_equal(run(e, cli_wake), CLI_OK);
    assert_string_equal(e->output, "a: starting\n");
    assert_int_equal(e->request.header.opcode, PROTO_WAKE);
    assert_int_equal(e->request.request.flags, 0);
}

static void wake_and_wait(void **state) {
    struct engine *e = *state;

    say_app(e, app_in("a", PROTO_STATE_STARTING));
    say_app(e, app_in("a", PROTO_STATE_STARTING));
    say_app(e, app_in("a", PROTO_STATE_PROBING));
    say_app(e, app_in("a", PROTO_STATE_READY));
    say_end(e, 0, "");
    e->options.app = "a";
    e->options.wait = true;
    assert_int_equal(run(e, cli_wake), CLI_OK);
    assert_string_equal(e->output, "a: starting\na: probing\na: ready\n");
    assert_int_equal(e->request.request.flags, PROTO_WAKE_WAIT);
}

static void wake_that_fails(void **state) {
    struct engine *e = *state;

    say_app(e, app_in("a", PROTO_STATE_STARTING));
    say_app(e, app_in("a", PROTO_STATE_FAILED));
    say_end(e, EIO, "the container ended");
    e->options.app = "a";
    e->options.wait = true;
    assert_int_equal(run(e, cli_wake), CLI_FAILED);
    assert_string_equal(e->output, "a: starting\na: failed\n");
    assert_string_equal(e->errors, "dockwake: a: the container ended\n");
}

/* An END without a result is no success when the app is not ready. */
static void wake_that_ends_elsewhere(void **state) {
    struct engine *e = *state;
    struct proto_app app = app_in("a", PROTO_STATE_FAILED);

    strcpy(app.text, "no address");
    say_app(e, app);
    say_end(e, 0, "");
    e->options.app = "a";
    e->options.wait = true;
    e->options.json = true;
    assert_int_equal(run(e, cli_wake), CLI_FAILED);
    assert_non_null(strstr(e->output, "\"state\": \"failed\""));
    assert_string_equal(e->errors, "dockwake: a: no address\n");
}

static void no_such_app(void **state) {
    struct engine *e = *state;

    say_end(e, ENOENT, "no such app");
    e->options.app = "a";
    assert_int_equal(run(e, cli_sleep), CLI_NO_SUCH_APP);
    assert_string_equal(e->output, "");
    assert_string_equal(e->errors, "dockwake: a: no such app\n");
    assert_int_equal(e->request.header.opcode, PROTO_SLEEP);
}

static void engine_that_leaves(void **state) {
    struct engine *e = *state;

    say_app(e, app_in("a", PROTO_STATE_STARTING));
    e->options.app = "a";
    e->options.wait = true;
    assert_int_equal(run(e, cli_wake), CLI_NO_ENGINE);
    assert_string_equal(e->errors, "dockwake: the engine left before it had answered\n");
}

static void engine_that_talks_nonsense(void **state) {
    struct engine *e = *state;
    union proto_message message;

    memset(&message, 0, sizeof(message));
    e->script[0].opcode = PROTO_READY;
    e->script[0].message = message;
    e->n = 1;
    assert_int_equal(run(e, cli_list), CLI_NO_ENGINE);
    assert_string_equal(
        e->errors, "dockwake: the engine's answer is not understood: is it another version?\n");
}

static void engine_without_answer(void **state) {
    struct engine *e = *state;

    say_end(e, 0, "");
    e->options.app = "a";
    assert_int_equal(run(e, cli_wake), CLI_FAILED);
    assert_string_equal(e->errors, "dockwake: a: the engine said nothing about it\n");
}

static void status_of_a_group(void **state) {
    struct engine *e = *state;

    say_app(e, app_in("web@1", PROTO_STATE_ASLEEP));
    say_app(e, app_in("web@2", PROTO_STATE_PROBING));
    say_end(e, 0, "");
    e->options.app = "web";
    assert_int_equal(run(e, cli_status), CLI_OK);
    assert_string_equal(e->output, "APP    CONTAINER  STATE    FOR  SLEEPS IN  LEASES  ADDRESS\n"
                                   "web@1  c-web@1    asleep   -    -          0       -\n"
                                   "web@2  c-web@2    probing  -    -          0       -\n");
    assert_string_equal(e->request.request.app, "web");
}

static void status_of_an_instance(void **state) {
    struct engine *e = *state;

    say_app(e, app_in("web@x_Y-1", PROTO_STATE_ASLEEP));
    say_end(e, 0, "");
    e->options.app = "web@x_Y-1";
    assert_int_equal(run(e, cli_status), CLI_OK);
    assert_non_null(strstr(e->output, "app:        web@x_Y-1\n"));
    assert_string_equal(e->request.request.app, "web@x_Y-1");
}

static void group_json(void **state) {
    struct engine *e = *state;
    json_t *list;

    say_app(e, app_in("web@1", PROTO_STATE_STOPPING));
    say_end(e, 0, "");
    e->options.app = "web";
    e->options.json = true;
    assert_int_equal(run(e, cli_sleep), CLI_OK);
    list = json_loads(e->output, JSON_REJECT_DUPLICATES, NULL);
    assert_int_equal(json_array_size(list), 1); /* as it is with two */
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "app")),
                        "web@1");
    json_decref(list);
}

/* A template of which nothing is awake. */
static void no_instances(void **state) {
    struct engine *e = *state;

    say_end(e, 0, "");
    e->options.app = "session";
    assert_int_equal(run(e, cli_sleep), CLI_OK);
    assert_string_equal(e->output, "session: no instance is awake or asked for\n");
}

static void no_instances_status(void **state) {
    struct engine *e = *state;

    say_end(e, 0, "");
    e->options.app = "session";
    assert_int_equal(run(e, cli_status), CLI_OK);
    assert_string_equal(e->output, "session: no instance is awake or asked for\n");
}

static void no_instances_json(void **state) {
    struct engine *e = *state;

    say_end(e, 0, "");
    e->options.app = "session";
    e->options.json = true;
    assert_int_equal(run(e, cli_status), CLI_OK);
    assert_string_equal(e->output, "[]\n");
}

static void sleep_of_a_group(void **state) {
    struct engine *e = *state;

    say_app(e, app_in("web@1", PROTO_STATE_ASLEEP));
    say_app(e, app_in("web@2", PROTO_STATE_STOPPING));
    say_end(e, 0, "");
    e->options.app = "web";
    assert_int_equal(run(e, cli_sleep), CLI_OK);
    assert_string_equal(e->output, "web@1: asleep\nweb@2: stopping\n");
}

static void wake_of_a_group(void **state) {
    struct engine *e = *state;
    struct proto_app failed = app_in("web@2", PROTO_STATE_FAILED);

    strcpy(failed.text, "exit status 1");
    say_app(e, app_in("web@1", PROTO_STATE_STARTING));
    say_app(e, app_in("web@1", PROTO_STATE_READY));
    say_app(e, app_in("web@2", PROTO_STATE_READY));
    say_app(e, failed);
    say_app(e, app_in("web@3", PROTO_STATE_READY));
    say_end(e, 0, "");
    e->options.app = "web";
    e->options.wait = true;
    assert_int_equal(run(e, cli_wake), CLI_FAILED);
    assert_string_equal(
        e->output, "web@1: starting\nweb@1: ready\nweb@2: ready\nweb@2: failed\nweb@3: ready\n");
    assert_string_equal(e->errors, "dockwake: web@2: exit status 1\n");
}

static void wake_of_a_template(void **state) {
    struct engine *e = *state;

    say_end(e, EINVAL, "it is a template");
    e->options.app = "session";
    assert_int_equal(run(e, cli_wake), CLI_FAILED);
    assert_string_equal(e->errors, "dockwake: session: it is a template\n");
}

/* What does not fit into a request is asked of nobody. */
static void names_that_do_not_fit(void **state) {
    struct cli_options options = {.socket = "/nowhere"};
    char longest[PROTO_NAME_MAX + 1];

    (void)state;
    memset(longest, 'a', sizeof(longest));
    longest[PROTO_NAME_MAX] = '\0';
    options.app = longest;
    assert_int_equal(cli_status(&options), CLI_NO_SUCH_APP);
    longest[PROTO_NAME_MAX - 1] = '\0';
    assert_int_equal(cli_status(&options), CLI_NO_ENGINE);
    options.app = "";
    assert_int_equal(cli_status(&options), CLI_NO_SUCH_APP);
}

/* The bound is reached: the engine takes the connection and stays silent. */
static void engine_that_hangs(void **state) {
    struct engine *e = *state;
    usec_t begin = now_usec(CLOCK_MONOTONIC);
    FILE *err = tmpfile();
    int saved = capture(STDERR_FILENO, err);
    int r = cli_list(&e->options);

    release(STDERR_FILENO, saved, err, e->errors, sizeof(e->errors));
    assert_int_equal(r, CLI_NO_ENGINE);
    assert_string_equal(e->errors, "dockwake: the engine did not answer within 10 s\n");
    assert_true(now_usec(CLOCK_MONOTONIC) - begin >= CLIENT_TIMEOUT);
}

static void spans(void **state) {
    static const struct {
        usec_t span;
        const char *text;
    } cases[] = {
        {0, "0ms"},
        {999999, "999ms"},
        {1000000, "1s"},
        {59 * USEC_PER_SEC, "59s"},
        {60 * USEC_PER_SEC, "1min"},
        {185 * USEC_PER_SEC, "3min 5s"},
        {3600 * USEC_PER_SEC, "1h"},
        {3605 * USEC_PER_SEC, "1h"},
        {90000 * USEC_PER_SEC, "1d 1h"},
        {USEC_INFINITY, "213503982d 8h"},
    };
    char text[OUTPUT_SPAN_MAX];
    char time[OUTPUT_TIME_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        output_span(cases[i].span, text);
        assert_string_equal(text, cases[i].text);
    }
    output_time(0, time);
    assert_string_equal(time, "-");
    output_time(UINT64_MAX, time);
    assert_string_equal(time, "-");
    output_time(USEC_PER_SEC, time);
    assert_string_equal(time, "1970-01-01T00:00:01Z");
}

static void check_prints_all(void **state) {
    struct engine *e = *state;
    char path[128];
    char expected[512];
    FILE *file;

    snprintf(path, sizeof(path), "%s/dockwake.conf", e->dir);
    file = fopen(path, "w");
    assert_non_null(file);
    fputs("[front]\nexit_idle = x\nthreads = 2\n", file);
    fclose(file);
    e->options.config_dir = e->dir;
    assert_int_equal(run(e, cli_check), CLI_FAILED);
    snprintf(expected, sizeof(expected),
             "%s:2: exit_idle: 'x' is not a time; write it like 90s, 15min or 1h 30min\n"
             "%s:3: unknown key 'threads' in [front]\n",
             path, path);
    assert_string_equal(e->output, expected);
    unlink(path);
}

static void check_is_fine(void **state) {
    struct engine *e = *state;

    e->options.config_dir = e->dir;
    assert_int_equal(run(e, cli_check), CLI_OK);
    assert_string_equal(e->output, "0 apps, no errors\n");
}

#define engine_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        engine_test(list_table),
        engine_test(list_json),
        engine_test(status_of_one),
        engine_test(status_of_all),
        engine_test(wake_at_once),
        engine_test(wake_and_wait),
        engine_test(wake_that_fails),
        engine_test(wake_that_ends_elsewhere),
        engine_test(no_such_app),
        engine_test(engine_that_leaves),
        engine_test(engine_that_talks_nonsense),
        engine_test(engine_without_answer),
        engine_test(status_of_a_group),
        engine_test(status_of_an_instance),
        engine_test(group_json),
        engine_test(no_instances),
        engine_test(no_instances_status),
        engine_test(no_instances_json),
        engine_test(sleep_of_a_group),
        engine_test(wake_of_a_group),
        engine_test(wake_of_a_template),
        cmocka_unit_test(names_that_do_not_fit),
        engine_test(engine_that_hangs),
        cmocka_unit_test(spans),
        engine_test(check_prints_all),
        engine_test(check_is_fine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
