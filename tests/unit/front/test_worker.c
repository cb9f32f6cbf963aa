/* Sockets in, workers and their balance, and leaving: alone, and with threads that run by themselves. */
#include "front_bench.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>

#define HEAD_BEGUN "GET / HTTP/1.1\r\n"

/* --- sockets ------------------------------------------------------------------------------------- */

/* Our end of a client's connection. */
static int served_end(int client_fd) {
    struct sockaddr_in client, peer = {0};
    socklen_t len = sizeof(client);

    assert_int_equal(getsockname(client_fd, (struct sockaddr *)&client, &len), 0);
    for (int fd = 3; fd < 1024; fd++) {
        len = sizeof(peer);
        if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0 && peer.sin_family == AF_INET &&
            peer.sin_port == client.sin_port && peer.sin_addr.s_addr == client.sin_addr.s_addr) {
            return fd;
        }
    }
    return -1;
}

/* Who waited in the backlog gets the same options as who comes later. */
static void options(void **state) {
    int fds[2];

    (void)state;
    bench->listener = listen_at(512, &bench->address);
    fds[0] = connected();
    start("");
    fds[1] = client("");
    assert_int_equal(open_conns(), 2);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        int nodelay = 0, keepalive = 0, fd = served_end(fds[i]);
        socklen_t len = sizeof(int);

        assert_true(fd >= 0);
        assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
        assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
        getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &len);
        getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &keepalive, &len);
        assert_true(nodelay != 0 && keepalive != 0);
        close(fds[i]);
    }
}

/* An IPv4 client is one whatever it came through; a Unix socket has no address. */
static void addresses(void **state) {
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int both = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), off = 0, pair[2], fd, ours;
    struct proto_address address;
    socklen_t len = sizeof(any);

    (void)state;
    assert_int_equal(setsockopt(both, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)), 0);
    assert_int_equal(bind(both, (struct sockaddr *)&any, len), 0);
    assert_int_equal(listen(both, 8), 0);
    assert_int_equal(getsockname(both, (struct sockaddr *)&any, &len), 0);
    v4.sin_port = any.sin6_port;
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&v4, sizeof(v4)), 0);
    ours = accept4(both, NULL, NULL, SOCK_CLOEXEC);
    assert_int_equal(listener_peer(ours, &address), 0);
    assert_int_equal(address.family, AF_INET);
    assert_memory_equal(address.ip, &v4.sin_addr, 4);
    len = sizeof(v4);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&v4, &len), 0);
    assert_int_equal(address.port, v4.sin_port);
    close(fd);
    close(ours);

    any.sin6_addr = in6addr_loopback;
    fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&any, sizeof(any)), 0);
    ours = accept4(both, NULL, NULL, SOCK_CLOEXEC);
    assert_int_equal(listener_peer(ours, &address), 0);
    assert_int_equal(address.family, AF_INET6);
    assert_memory_equal(address.ip, &in6addr_loopback, 16);
    close(fd);
    close(ours);
    close(both);

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(listener_peer(pair[0], &address), 0);
    assert_int_equal(address.family, AF_UNSPEC);
    close(pair[0]);
    close(pair[1]);
}

static void sockets_that_are_none(void **state) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), pipes[2];

    (void)state;
    make_front("", 1);
    assert_int_equal(front_add_socket(bench->front, fd), -EPROTOTYPE);
    assert_int_equal(fcntl(fd, F_GETFD), -1); /* it was taken over all the same */
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    assert_int_equal(front_add_socket(bench->front, pipes[0]), -ENOTSOCK);
    close(pipes[1]);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(front_add_socket(bench->front, fd), -ENOTCONN);
    assert_int_equal(open_conns(), 0);
}

/* --- connections that were passed ---------------------------------------------------------------- */

/* One that systemd or inetd has accepted; returns the client's end. */
static int pass_connection(void) {
    int listener = listen_at(1, &bench->address), fd = connected();

    assert_int_equal(front_add_socket(bench->front, accept4(listener, NULL, NULL, SOCK_CLOEXEC)),
                     0);
    close(listener);
    return fd;
}

/* A front for connections alone has one worker, and leaves with the last of them. */
static void passed_connections(void **state) {
    int fds[2];

    (void)state;
    make_front("", 8);
    fds[0] = pass_connection();
    close(fds[0]);
    turn(); /* the first one has ended before the other is in */
    assert_false(has_quit());
    fds[1] = pass_connection();
    turn();
    assert_int_equal(front_start(bench->front), 0);
    assert_int_equal(atomic_load(&bench->front->n_workers), 1);
    turn();
    assert_int_equal(open_conns(), 1);
    assert_false(has_quit());
    close(fds[1]);
    turn();
    assert_true(has_quit());
    assert_int_equal(front_run(bench->front), 0);
}

static void passed_and_gone(void **state) {
    (void)state;
    make_front("", 1);
    close(pass_connection());
    turn();
    assert_false(has_quit());
    assert_int_equal(front_start(bench->front), 0);
    assert_true(has_quit());
}

/* --- leaving ------------------------------------------------------------------------------------- */

/* One that was accepted just now, for worker_accepted(). */
static struct accepted accept_here(void) {
    struct accepted accepted = {.port = 80, .client.family = AF_UNSPEC};

    accepted.fd = accept4(bench->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_true(accepted.fd >= 0);
    return accepted;
}

static void exit_idle(void **state) {
    int fd;

    (void)state;
    start("exit_idle = 9s\n");
    pass(8 * USEC_PER_SEC);
    fd = client("");
    pass(9 * USEC_PER_SEC);
    turn();
    assert_false(has_quit());
    close(fd);
    turn();
    pass(9 * USEC_PER_SEC - 100 * USEC_PER_MSEC);
    turn();
    assert_false(has_quit());
    pass(10 * USEC_PER_SEC);
    turn();
    assert_true(has_quit());
}

/* One that comes and goes while the clock runs starts it anew. */
static void exit_idle_anew(void **state) {
    (void)state;
    start("exit_idle = 9s\n");
    pass(8 * USEC_PER_SEC);
    close(client(""));
    turn();
    assert_int_equal(open_conns(), 0);
    atomic_store(&bench->front->idle_since, front_loop(bench->front)->now + 8 * USEC_PER_SEC);
    pass(10 * USEC_PER_SEC);
    turn();
    assert_false(has_quit());
    pass(18 * USEC_PER_SEC);
    turn();
    assert_true(has_quit());
}

/* A connection that was accepted in the last moment is served, and so are those behind it. */
static void leaving_is_called_off(void **state) {
    struct proto_address nobody = {.family = AF_UNSPEC};
    int last, later, fd;

    (void)state;
    start("exit_idle = 9s\n");
    pass(9 * USEC_PER_SEC);
    assert_int_equal(atomic_load(&bench->front->order) % ORDER_STEP, ORDER_HOLD);
    last = connected();
    fd = accept_here().fd;
    conn_accepted(first_worker(), fd, 80, &nobody, false);
    turn();
    assert_false(has_quit());
    later = client(GET("unknown.example"));
    assert_answer(later, "404");
    close(last);
    close(later);
    turn();
    assert_int_equal(open_conns(), 0);
    pass(9 * USEC_PER_SEC);
    turn();
    assert_true(has_quit());
}

static void stop_timeout(void **state) {
    int fd;

    (void)state;
    start("head_timeout = 1h\n");
    fd = client(HEAD_BEGUN);
    front_stop(bench->front);
    turn();
    assert_true(TAILQ_EMPTY(&first_worker()->listeners));
    pass(FRONT_STOP_TIMEOUT - USEC_PER_SEC);
    turn();
    assert_false(has_quit());
    assert_int_equal(open_conns(), 1);
    pass(FRONT_STOP_TIMEOUT);
    assert_true(has_quit());
    end_front();
    (void)received(fd); /* it may be told something */
    assert_true(is_closed(fd));
    close(fd);
}

/* The socket is systemd's: who connects meanwhile is for the next front. */
static void stop_leaves_the_backlog(void **state) {
    int fd, next;

    (void)state;
    start("");
    fd = client(HEAD_BEGUN);
    front_stop(bench->front);
    turn();
    next = client(GET("unknown.example"));
    assert_int_equal(open_conns(), 1);
    close(fd);
    turn();
    assert_true(has_quit());
    end_front();
    start("");
    turn();
    assert_answer(next, "404");
    close(next);
}

static void second_stop(void **state) {
    int fd;

    (void)state;
    start("");
    fd = client(HEAD_BEGUN);
    front_stop(bench->front);
    turn();
    assert_false(has_quit());
    front_stop(bench->front);
    assert_true(has_quit());
    close(fd);
}

static void stop_before_the_start(void **state) {
    (void)state;
    make_front("", 2);
    bench->listener = listen_at(512, &bench->address);
    assert_int_equal(front_add_socket(bench->front, dup(bench->listener)), 0);
    front_stop(bench->front);
    turn();
    assert_int_equal(front_start(bench->front), 0);
    assert_true(has_quit());
    assert_int_equal(front_run(bench->front), 0);
}

/* --- limits of accepting ------------------------------------------------------------------------- */

/* One listener does not keep the others, or those already accepted, waiting. */
static void accept_batch(void **state) {
    int fds[WORKER_ACCEPT_BATCH + 10];

    (void)state;
    start("");
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = connected();
    }
    assert_int_equal(loop_turn(front_loop(bench->front), 0), 0);
    assert_int_equal(open_conns(), WORKER_ACCEPT_BATCH);
    turn();
    assert_int_equal(open_conns(), ARRAY_SIZE(fds));
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        close(fds[i]);
    }
}

/* Without descriptors the listener rests instead of spinning, and goes on by itself. */
static void exhausted(void **state) {
    struct rlimit limit, low;
    int fd, lowest;

    (void)state;
    start("");
    fd = connected();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    lowest = dup(fd);
    close(lowest);
    low = (struct rlimit){.rlim_cur = (rlim_t)lowest, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_int_equal(loop_turn(front_loop(bench->front), 0), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(first_worker()->accept_paused);
    turn();
    assert_int_equal(open_conns(), 0);
    pass(WORKER_ACCEPT_PAUSE);
    turn();
    assert_false(first_worker()->accept_paused);
    assert_int_equal(open_conns(), 1);
    close(fd);
}

static void inbox_bound(void **state) {
    struct accepted accepted = {.fd = -1};
    struct inbox inbox;

    (void)state;
    inbox_init(&inbox);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < INBOX_MAX; i++) {
            accepted.port = (uint16_t)i;
            assert_int_equal(inbox_put(&inbox, &accepted), i);
        }
        assert_int_equal(inbox_put(&inbox, &accepted), -ENOBUFS);
        for (unsigned i = 0; i < INBOX_MAX - round; i++) { /* the ring turns */
            assert_true(inbox_take(&inbox, &accepted));
            assert_int_equal(accepted.port, i);
        }
        while (inbox_take(&inbox, &accepted)) {
            assert_int_equal(accepted.fd, -1);
        }
        assert_int_equal(inbox_put(&inbox, &accepted), 0);
        assert_true(inbox_take(&inbox, &accepted));
    }
    accepted.fd = dup(STDIN_FILENO);
    assert_int_equal(inbox_put(&inbox, &accepted), 0);
    inbox_done(&inbox);
    assert_int_equal(fcntl(accepted.fd, F_GETFD), -1);
}

/* --- threads ------------------------------------------------------------------------------------- */

enum { MANY = 64, WORKERS = 2 };

static unsigned load_of(unsigned worker) {
    return atomic_load(&bench->front->workers[worker]->desk.load);
}

static void close_all(int *fds, size_t n) {
    for (size_t i = 0; i < n; i++) {
        close(fds[i]);
    }
    until(open_conns() == 0);
}

/* Connections that last are shared out, whether they come at once or one by one. */
static void balance(void **state) {
    int fds[MANY];

    (void)state;
    start_with("", WORKERS);
    assert_int_equal(atomic_load(&bench->front->n_workers), WORKERS);
    for (size_t i = 0; i < MANY; i++) {
        fds[i] = connected();
    }
    until(open_conns() == MANY);
    until(load_of(0) + load_of(1) == MANY);
    assert_in_range(load_of(0), MANY * 35 / 100, MANY * 65 / 100);
    close_all(fds, MANY);

    for (size_t i = 0; i < MANY; i++) {
        fds[i] = connected();
        until(open_conns() == i + 1);
    }
    until(load_of(0) + load_of(1) == MANY);
    assert_in_range(load_of(0), MANY * 35 / 100, MANY * 65 / 100);
    close_all(fds, MANY);
    until(load_of(0) + load_of(1) == 0);
}

/* What is given away is counted all the time; what the other has no place for is kept. */
static void given_away(void **state) {
    int fds[INBOX_MAX + 1];
    struct worker *other;

    (void)state;
    start("exit_idle = 0\n");
    assert_int_equal(worker_new(bench->front, &other), 0);
    bench->front->workers[1] = other; /* without a thread: it does nothing by itself */
    atomic_store(&bench->front->n_workers, 2);
    atomic_fetch_add(&first_worker()->desk.load, MANY * INBOX_MAX);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        struct accepted accepted;

        fds[i] = connected();
        accepted = accept_here();
        worker_accepted(first_worker(), &accepted);
    }
    assert_int_equal(atomic_load(&bench->front->n_moving), INBOX_MAX);
    assert_int_equal(open_conns(), 1); /* the one too many */
    assert_int_equal(atomic_load(&other->desk.load), INBOX_MAX);
    close(fds[INBOX_MAX]);
    turn();
    assert_int_equal(open_conns(), 0);
    assert_true(front_is_busy(bench->front));
    turn();
    assert_int_equal(atomic_load(&bench->front->order) % ORDER_STEP, ORDER_ACCEPT);

    assert_int_equal(loop_turn(&other->loop, 0), 0);
    assert_int_equal(atomic_load(&bench->front->n_moving), 0);
    assert_int_equal(open_conns(), INBOX_MAX);
    assert_int_equal(atomic_load(&other->desk.load), INBOX_MAX);
    for (size_t i = 0; i < INBOX_MAX; i++) {
        close(fds[i]);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(loop_turn(&other->loop, 0), 0);
    }
    assert_int_equal(open_conns(), 0);
    assert_int_equal(atomic_load(&other->desk.load), 0);

    /* All are told to hold, and nobody leaves before all do. */
    turn();
    turn();
    assert_int_equal(atomic_load(&bench->front->order) % ORDER_STEP, ORDER_HOLD);
    assert_false(has_quit());
    assert_int_equal(loop_turn(&other->loop, 0), 0);
    turn();
    assert_true(has_quit());
}

/* The limit holds for all workers together. */
static void limit_for_all(void **state) {
    int fds[10], fd;
    char text[16];

    (void)state;
    start_with("max_connections = 10\n", WORKERS);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = client(HEAD_BEGUN);
    }
    until(open_conns() == ARRAY_SIZE(fds));
    until(load_of(0) > 0 && load_of(1) > 0);
    fd = client(GET("unknown.example"));
    until(recv(fd, text, sizeof(text), MSG_DONTWAIT | MSG_PEEK) > 0);
    assert_answer(fd, "503");
    close(fd);
    close_all(fds, ARRAY_SIZE(fds));
}

/* A reload reaches every worker, and the last of them frees what was. */
static void reload(void **state) {
    struct table *old;

    (void)state;
    start_with("", WORKERS);
    old = table_ref(bench->front->table);
    assert_int_equal(atomic_load(&old->users), WORKERS + 2); /* the front, and we */
    for (unsigned i = 0; i < 3; i++) {
        front_reload(bench->front);
    }
    assert_ptr_not_equal(bench->front->table, old);
    until(atomic_load(&bench->front->table->users) == WORKERS + 1 && atomic_load(&old->users) == 1);
    assert_ptr_equal(first_worker()->config, bench->front->table->config);
    table_unref(old);

    old = bench->front->table;
    write_file(bench->conf, "[front]\nno such key\n");
    front_reload(bench->front);
    assert_ptr_equal(bench->front->table, old);
}

/* All workers let go of the listener, and the front leaves with the last connection of any of them. */
static void stop_of_all(void **state) {
    int fds[8], late;

    (void)state;
    start_with("", WORKERS);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = client(HEAD_BEGUN);
    }
    until(load_of(0) == 4 && load_of(1) == 4);
    front_stop(bench->front);
    until(TAILQ_EMPTY(&bench->front->sockets));
    late = connected();
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        assert_false(has_quit());
        assert_int_equal(open_conns(), ARRAY_SIZE(fds) - i);
        close(fds[i]);
        until(open_conns() == ARRAY_SIZE(fds) - i - 1);
    }
    until(has_quit());
    assert_int_equal(front_run(bench->front), 0);
    close(late);
}

static void forced_stop_of_all(void **state) {
    int fds[8];

    (void)state;
    start_with("", WORKERS);
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = client(HEAD_BEGUN);
    }
    until(open_conns() == ARRAY_SIZE(fds));
    front_stop(bench->front);
    front_stop(bench->front);
    assert_int_equal(front_run(bench->front), 0);
    end_front();
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        (void)received(fds[i]);
        assert_true(is_closed(fds[i]));
        close(fds[i]);
    }
}

/* --- nothing is lost while fronts come and go ---------------------------------------------------- */

enum { CALLERS = 3, CALLS = 400, PAUSE_EVERY = 4 };

static atomic_uint lost, calls_left;

static bool call_once(void) {
    char text[13];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool served =
        connect(fd, (struct sockaddr *)&bench->address, sizeof(bench->address)) == 0 &&
        send(fd, GET("unknown.example"), strlen(GET("unknown.example")), MSG_NOSIGNAL) > 0 &&
        recv(fd, text, sizeof(text), MSG_WAITALL) == sizeof(text) &&
        memcmp(text, "HTTP/1.1 404 ", sizeof(text)) == 0;

    close(fd);
    return served;
}

static void *call(void *arg) {
    unsigned seed = *(const unsigned *)arg;

    for (unsigned i = 0; i < CALLS; i++) {
        if (!call_once()) {
            atomic_fetch_add(&lost, 1);
        }
        atomic_fetch_sub(&calls_left, 1);
        /* Long enough at times for a front to think that it may leave. */
        seed = seed * 1103515245 + 12345;
        if (seed >> 16 & 1) {
            (void)poll(NULL, 0, (int)(seed >> 20 & 3));
        }
    }
    return NULL;
}

/* What systemd does: it waits for a connection and starts a front, which leaves as soon as it is idle. */
static void nothing_is_lost(void **state) {
    pthread_t threads[CALLERS];
    unsigned seeds[CALLERS], fronts = 0;

    (void)state;
    lost = 0;
    calls_left = CALLERS * CALLS;
    bench->listener = listen_at(512, &bench->address);
    for (unsigned i = 0; i < CALLERS; i++) {
        seeds[i] = i + 1;
        assert_int_equal(pthread_create(&threads[i], NULL, call, &seeds[i]), 0);
    }
    while (atomic_load(&calls_left) > 0) {
        struct pollfd pollfd = {.fd = bench->listener, .events = POLLIN};

        if (poll(&pollfd, 1, 10) > 0) {
            start_with("exit_idle = 1ms\n", WORKERS);
            assert_int_equal(front_run(bench->front), 0);
            end_front();
            fronts++;
        }
    }
    for (unsigned i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(lost, 0);
    assert_true(fronts > 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        bench_test(options),
        cmocka_unit_test(addresses),
        bench_test(sockets_that_are_none),
        bench_test(passed_connections),
        bench_test(passed_and_gone),
        bench_test(exit_idle),
        bench_test(exit_idle_anew),
        bench_test(leaving_is_called_off),
        bench_test(stop_timeout),
        bench_test(stop_leaves_the_backlog),
        bench_test(second_stop),
        bench_test(stop_before_the_start),
        bench_test(accept_batch),
        bench_test(exhausted),
        cmocka_unit_test(inbox_bound),
        bench_test(given_away),
        bench_test(balance),
        bench_test(limit_for_all),
        bench_test(reload),
        bench_test(stop_of_all),
        bench_test(forced_stop_of_all),
        bench_test(nothing_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
