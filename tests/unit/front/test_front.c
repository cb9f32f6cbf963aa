/* The bounds of a connection's way: a whole front, turn by turn, with a clock that jumps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "conn_internal.h"

struct bench {
    char folder[64], conf[96], apps[96], app[128], engine_path[96];
    struct config_paths paths;
    struct front *front;
    struct sockaddr_in address; /* of the HTTP listener */
    int engine_listener, engine;
    bool wants_early;
    int early; /* connected before the front is there */
};

static struct bench *bench;

static void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* A listener on loopback. */
static int listen_at(int backlog, struct sockaddr_in *ret_address) {
    socklen_t len = sizeof(*ret_address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *ret_address = (struct sockaddr_in){.sin_family = AF_INET};
    ret_address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)ret_address, len), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)ret_address, &len), 0);
    return fd;
}

/* A front with one app, app.test, and the settings given. */
static void start(const char *settings) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int fd;

    write_file(bench->conf, settings);
    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", bench->engine_path);
    bench->engine_listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(bench->engine_listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(bench->engine_listener, 8), 0);

    assert_int_equal(front_new(&bench->paths, bench->engine_path, &bench->front), 0);
    bench->engine = accept4(bench->engine_listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_true(bench->engine >= 0); /* called before there is a client */
    fd = listen_at(512, &bench->address);
    if (bench->wants_early) {
        bench->early = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(
            connect(bench->early, (struct sockaddr *)&bench->address, sizeof(bench->address)), 0);
    }
    assert_int_equal(front_add_socket(bench->front, fd), 0);
    front_started(bench->front);
}

static int setup(void **state) {
    (void)state;
    bench = calloc(1, sizeof(*bench));
    strcpy(bench->folder, "/tmp/dockwake-front-XXXXXX");
    bench->engine = bench->engine_listener = -1;
    if (mkdtemp(bench->folder) == NULL) {
        return -1;
    }
    snprintf(bench->conf, sizeof(bench->conf), "%s/dockwake.conf", bench->folder);
    snprintf(bench->apps, sizeof(bench->apps), "%s/apps.d", bench->folder);
    snprintf(bench->app, sizeof(bench->app), "%s/app.ini", bench->apps);
    snprintf(bench->engine_path, sizeof(bench->engine_path), "%s/engine", bench->folder);
    bench->paths = (struct config_paths){.file = bench->conf, .apps = bench->apps};
    if (mkdir(bench->apps, 0755) < 0) {
        return -1;
    }
    write_file(bench->app, "[route]\nhost = app.test\n");
    return 0;
}

static int teardown(void **state) {
    (void)state;
    front_free(bench->front);
    safe_close(bench->engine);
    safe_close(bench->engine_listener);
    unlink(bench->app);
    unlink(bench->conf);
    unlink(bench->engine_path);
    rmdir(bench->apps);
    rmdir(bench->folder);
    free(bench);
    return 0;
}

static void turn(void) {
    for (int i = 0; i < 4; i++) {
        assert_int_equal(loop_turn(&bench->front->loop, 0), 0);
    }
}

/* Lets what is due by then run, as though the time had passed. */
static void pass(usec_t span) {
    struct loop *loop = &bench->front->loop;
    struct timeout_queue *queue;
    usec_t then = loop->now + span;

    loop->now = then;
    TAILQ_FOREACH (queue, &loop->queues, link) {
        timeout_queue_run(queue, then);
    }
}

static int client(const char *text) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&bench->address, sizeof(bench->address)), 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    turn();
    return fd;
}

/* What has come, without waiting. */
static const char *received(int fd) {
    static char text[4096];
    ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

#define assert_answer(fd, status) assert_memory_equal(received(fd), "HTTP/1.1 " status " ", 13)

static bool is_closed(int fd) {
    char c;

    return recv(fd, &c, 1, MSG_DONTWAIT) == 0;
}

/* The flags of the next LEASE, which is answered with the address. */
static uint32_t engine_answers(const struct sockaddr_in *address) {
    union proto_message message, answer = {0};

    assert_true(proto_receive(bench->engine, PROTO_FRONT_TO_ENGINE, &message) > 0);
    assert_int_equal(message.header.opcode, PROTO_LEASE);
    answer.ready.serial = message.lease.serial;
    answer.ready.address = (struct proto_address){.family = AF_INET, .port = address->sin_port};
    memcpy(answer.ready.address.ip, &address->sin_addr, 4);
    memcpy(answer.ready.app, message.lease.app, sizeof(answer.ready.app));
    assert_int_equal(proto_send(bench->engine, PROTO_READY, &answer), 0);
    turn();
    return message.lease.flags;
}

#define GET(host) "GET / HTTP/1.1\r\nHost: " host "\r\n\r\n"

/* --- the cases ----------------------------------------------------------------------------------- */

/* Who waited in the backlog gets the same options as who comes later. */
static void options(void **state) {
    const struct conn *conn;
    int later;

    (void)state;
    bench->wants_early = true;
    start("");
    later = client("");
    assert_int_equal(bench->front->n_conns, 2);
    TAILQ_FOREACH (conn, &bench->front->conns, link) {
        int nodelay = 0, keepalive = 0;
        socklen_t len = sizeof(int);

        getsockopt(conn->client.source.fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &len);
        getsockopt(conn->client.source.fd, SOL_SOCKET, SO_KEEPALIVE, &keepalive, &len);
        assert_true(nodelay != 0 && keepalive != 0);
    }
    close(bench->early);
    close(later);
}

static void head_timeout(void **state) {
    int slow, silent;

    (void)state;
    start("[front]\nhead_timeout = 7s\n");
    slow = client("GET / HTTP/1.1\r\n");
    silent = client("");
    pass(7 * USEC_PER_SEC - 100 * USEC_PER_MSEC);
    assert_string_equal(received(slow), "");
    pass(USEC_PER_SEC);
    assert_answer(slow, "408");
    assert_true(is_closed(silent));
    close(slow);
    close(silent);
    turn();
    assert_int_equal(bench->front->n_conns, 0);
}

/* A backend that drops the packets: each attempt has its time, and there are not too many. */
static void connect_timeout(void **state) {
    struct sockaddr_in address;
    int full, fillers[8], fd;

    (void)state;
    start("");
    full = listen_at(0, &address);
    for (size_t i = 0; i < ARRAY_SIZE(fillers); i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)!connect(fillers[i], (struct sockaddr *)&address, sizeof(address));
    }
    fd = client(GET("app.test"));
    for (unsigned i = 0; i < BACKEND_TRIES; i++) {
        assert_int_equal(engine_answers(&address), i == 0 ? 0 : PROTO_LEASE_DOUBT);
        pass(BACKEND_CONNECT_TIMEOUT - USEC_PER_SEC);
        assert_string_equal(received(fd), "");
        pass(USEC_PER_SEC);
        if (i > 0) {
            pass(BACKEND_RETRY_PAUSE);
        }
    }
    assert_answer(fd, "502");
    close(fd);
    for (size_t i = 0; i < ARRAY_SIZE(fillers); i++) {
        close(fillers[i]);
    }
    close(full);
}

static void linger(void **state) {
    static const char block[65536];
    int fd;

    (void)state;
    start("");
    fd = client(GET("nobody.test"));
    assert_answer(fd, "404");
    pass(LINGER_TIMEOUT - 100 * USEC_PER_MSEC);
    assert_int_equal(bench->front->n_conns, 1);
    pass(USEC_PER_SEC);
    assert_int_equal(bench->front->n_conns, 0);
    close(fd);

    /* One who goes on talking is not listened to for ever. */
    fd = client(GET("nobody.test"));
    assert_answer(fd, "404");
    for (size_t sent = 0; sent < 2 * (size_t)LINGER_BYTES && bench->front->n_conns > 0;) {
        ssize_t n = send(fd, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL);

        sent += n > 0 ? (size_t)n : 0;
        assert_true(sent <= (size_t)LINGER_BYTES + (16U << 20));
        turn();
    }
    assert_int_equal(bench->front->n_conns, 0);
    close(fd);
}

static void stop_timeout(void **state) {
    int fd;

    (void)state;
    start("");
    fd = client(GET("app.test"));
    front_stop(bench->front);
    turn();
    assert_true(TAILQ_EMPTY(&bench->front->listeners));
    pass(FRONT_STOP_TIMEOUT - USEC_PER_SEC);
    assert_false(bench->front->loop.quit);
    pass(USEC_PER_SEC);
    assert_true(bench->front->loop.quit);
    front_free(bench->front);
    bench->front = NULL;
    assert_answer(fd, "503");
    close(fd);
}

static void second_stop(void **state) {
    int fd;

    (void)state;
    start("");
    fd = client("");
    front_stop(bench->front);
    turn();
    assert_false(bench->front->loop.quit);
    front_stop(bench->front);
    assert_true(bench->front->loop.quit);
    close(fd);
}

static void exit_idle(void **state) {
    int fd;

    (void)state;
    start("[front]\nexit_idle = 9s\n");
    pass(8 * USEC_PER_SEC);
    fd = client("");
    pass(9 * USEC_PER_SEC);
    assert_false(bench->front->loop.quit);
    close(fd);
    turn();
    pass(9 * USEC_PER_SEC - 100 * USEC_PER_MSEC);
    assert_false(bench->front->loop.quit);
    pass(USEC_PER_SEC);
    assert_true(bench->front->loop.quit);
}

/* One listener does not keep the others, or those already accepted, waiting. */
static void accept_batch(void **state) {
    int fds[FRONT_ACCEPT_BATCH + 10];

    (void)state;
    start("");
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(
            connect(fds[i], (struct sockaddr *)&bench->address, sizeof(bench->address)), 0);
    }
    assert_int_equal(loop_turn(&bench->front->loop, 0), 0);
    assert_int_equal(bench->front->n_conns, FRONT_ACCEPT_BATCH);
    turn();
    assert_int_equal(bench->front->n_conns, ARRAY_SIZE(fds));
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        close(fds[i]);
    }
}

/* Those beyond the bound are answered, those beyond all bounds at once and for good. */
static void refused(void **state) {
    int first, fds[FRONT_REFUSED_MAX], last;

    (void)state;
    start("[front]\nmax_connections = 1\n");
    first = client("");
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = client(GET("app.test"));
        assert_answer(fds[i], "503");
    }
    assert_int_equal(bench->front->n_conns, 1 + FRONT_REFUSED_MAX);
    last = client(GET("app.test"));
    assert_int_equal(bench->front->n_conns, 1 + FRONT_REFUSED_MAX);
    assert_answer(last, "503");
    assert_true(is_closed(last));
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        close(fds[i]);
    }
    close(first);
    close(last);
    turn();
    turn();
    assert_int_equal(bench->front->n_conns, 0);
}

#define bench_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        bench_test(options),   bench_test(head_timeout), bench_test(connect_timeout),
        bench_test(linger),    bench_test(stop_timeout), bench_test(second_stop),
        bench_test(exit_idle), bench_test(accept_batch), bench_test(refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
