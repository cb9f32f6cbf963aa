/*
 * front_bench.h - a whole front in a test: turn by turn, with a clock that jumps and an engine that
 * the test plays.
 *
 * A test is one .c file, so the functions are here; not each uses all of them. One worker, unless the
 * settings say more: then their threads run by themselves, and the test waits for what they do.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "front_internal.h"

/* So long the threads may take for anything that a test waits for. */
#define BENCH_PATIENCE (20 * USEC_PER_SEC)

struct bench {
    char folder[64], conf[96], apps[96], app[128], engine_path[96];
    struct config_paths paths;
    struct front *front;
    struct sockaddr_in address; /* of the HTTP listener */
    int listener;               /* systemd's, which outlives the front */
    int engine_listener, engine;
};

static struct bench *bench;

static inline void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* A listener on loopback. */
static inline int listen_at(int backlog, struct sockaddr_in *ret_address) {
    socklen_t len = sizeof(*ret_address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *ret_address = (struct sockaddr_in){.sin_family = AF_INET};
    ret_address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)ret_address, len), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)ret_address, &len), 0);
    return fd;
}

/* The front alone, with one app, app.test, the settings of [front], and this many workers. */
static inline void make_front(const char *settings, unsigned workers) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    char text[512];

    snprintf(text, sizeof(text), "[front]\nworkers = %u\n%s", workers, settings);
    write_file(bench->conf, text);
    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", bench->engine_path);
    bench->engine_listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(bench->engine_listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(bench->engine_listener, 8), 0);
    assert_int_equal(front_new(&bench->paths, bench->engine_path, &bench->front), 0);
    bench->engine = accept4(bench->engine_listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

/* The same with a listener, and serving. */
static inline void start_with(const char *settings, unsigned workers) {
    make_front(settings, workers);
    if (bench->listener < 0) {
        bench->listener = listen_at(512, &bench->address);
    }
    assert_int_equal(front_add_socket(bench->front, fcntl(bench->listener, F_DUPFD_CLOEXEC, 0)), 0);
    assert_int_equal(front_start(bench->front), 0);
}

static inline void start(const char *settings) {
    start_with(settings, 1);
    assert_true(bench->engine >= 0); /* called before there is a client */
}

static inline int bench_setup(void **state) {
    (void)state;
    bench = calloc(1, sizeof(*bench));
    strcpy(bench->folder, "/tmp/dockwake-front-XXXXXX");
    bench->listener = bench->engine = bench->engine_listener = -1;
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

/* The front ends; the listener stays. */
static inline void end_front(void) {
    front_free(bench->front);
    bench->front = NULL;
    bench->engine = safe_close(bench->engine);
    bench->engine_listener = safe_close(bench->engine_listener);
    unlink(bench->engine_path);
}

static inline int bench_teardown(void **state) {
    (void)state;
    end_front();
    safe_close(bench->listener);
    unlink(bench->app);
    unlink(bench->conf);
    rmdir(bench->apps);
    rmdir(bench->folder);
    free(bench);
    return 0;
}

#define bench_test(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

static inline struct worker *first_worker(void) {
    return bench->front->workers[0];
}

/* Connections of all workers. */
static inline size_t open_conns(void) {
    return worker_conns_in_all(first_worker());
}

static inline bool has_quit(void) {
    return front_loop(bench->front)->quit;
}

static inline void turn(void) {
    for (int i = 0; i < 4; i++) {
        assert_int_equal(loop_turn(front_loop(bench->front), 0), 0);
    }
}

/* Turns until something is so that another thread has a part in. */
#define until(condition)                                                                           \
    do {                                                                                           \
        usec_t _end = now_usec(CLOCK_MONOTONIC) + BENCH_PATIENCE;                                  \
                                                                                                   \
        while (!(condition)) {                                                                     \
            assert_true(now_usec(CLOCK_MONOTONIC) < _end);                                         \
            assert_int_equal(loop_turn(front_loop(bench->front), USEC_PER_MSEC), 0);               \
        }                                                                                          \
    } while (0)

/* Lets what is due by then run, as though the time had passed. */
static inline void pass(usec_t span) {
    struct loop *loop = front_loop(bench->front);
    struct timeout_queue *queue;
    struct timeout_heap *heap;
    usec_t then = loop->now + span;

    loop->now = then;
    TAILQ_FOREACH (queue, &loop->queues, link) {
        timeout_queue_run(queue, then);
    }
    TAILQ_FOREACH (heap, &loop->heaps, link) {
        timeout_heap_run(heap, then);
    }
}

/* A client that has connected, and that nobody has looked at yet. */
static inline int connected(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&bench->address, sizeof(bench->address)), 0);
    return fd;
}

static inline int client(const char *text) {
    int fd = connected();

    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    turn();
    return fd;
}

/* What has come, without waiting. */
static inline const char *received(int fd) {
    static char text[4096];
    ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

#define assert_answer(fd, status) assert_memory_equal(received(fd), "HTTP/1.1 " status " ", 13)

static inline bool is_closed(int fd) {
    char c;

    return recv(fd, &c, 1, MSG_DONTWAIT) == 0;
}

#define GET(host) "GET / HTTP/1.1\r\nHost: " host "\r\n\r\n"
