/* Flows over socket pairs: order, backpressure, half-close, limits, filters, failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "relay.h"

static char buffer[RELAY_BUFFER_SIZE];

/* A flow from one pair to another: the test holds the outer ends. */
struct bench {
    struct side from, to;
    int source, sink; /* write here, read there */
    struct flow flow;
    struct flow_rest *rest_seen;
};

static void side_open(struct side *side, int *ret_peer) {
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    side_init(side, fds[0], NULL);
    side->readable = side->writable = true;
    *ret_peer = fds[1];
}

static int setup(void **state) {
    struct bench *bench = calloc(1, sizeof(*bench));

    side_open(&bench->from, &bench->source);
    side_open(&bench->to, &bench->sink);
    flow_init(&bench->flow, FLOW_ENDLESS, NULL);
    *state = bench;
    return 0;
}

static int teardown(void **state) {
    struct bench *bench = *state;

    flow_done(&bench->flow);
    side_close(&bench->from);
    side_close(&bench->to);
    close(bench->source);
    close(bench->sink);
    free(bench);
    return 0;
}

static enum flow_result run(struct bench *bench) {
    return flow_run(&bench->flow, &bench->from, &bench->to, buffer);
}

static void feed(struct bench *bench, const char *text) {
    assert_int_equal(write(bench->source, text, strlen(text)), strlen(text));
    side_note(&bench->from, EPOLLIN);
}

static void expect(struct bench *bench, const char *text) {
    char got[256] = "";
    ssize_t n = recv(bench->sink, got, sizeof(got) - 1, MSG_DONTWAIT);

    assert_string_equal(n > 0 ? got : "", text);
}

static void passes(void **state) {
    struct bench *bench = *state;

    assert_int_equal(run(bench), FLOW_WAITS);
    assert_false(bench->from.readable);
    assert_false(bench->flow.passed);
    feed(bench, "hello");
    assert_int_equal(run(bench), FLOW_WAITS);
    assert_true(bench->flow.passed);
    expect(bench, "hello");
    assert_null(bench->flow.rest);

    feed(bench, "last");
    shutdown(bench->source, SHUT_WR);
    assert_int_equal(run(bench), FLOW_DONE);
    assert_int_equal(run(bench), FLOW_DONE);
    expect(bench, "last");
}

/* What is neither readable nor writable is not touched. */
static void waits_for_events(void **state) {
    struct bench *bench = *state;

    assert_int_equal(write(bench->source, "x", 1), 1);
    bench->from.readable = false;
    assert_int_equal(run(bench), FLOW_WAITS);
    expect(bench, "");
    side_note(&bench->from, EPOLLIN);
    bench->to.writable = false;
    assert_int_equal(run(bench), FLOW_WAITS);
    expect(bench, "");
    side_note(&bench->to, EPOLLOUT);
    assert_int_equal(run(bench), FLOW_WAITS);
    expect(bench, "x");
}

/* A sink that is full stops the source; nothing is lost, no more than one buffer is kept. */
static void backpressure(void **state) {
    enum { TOTAL = 8 << 20 };
    struct bench *bench = *state;
    unsigned sent = 0, got = 0, stalls = 0;
    uint32_t seed_in = 1, seed_out = 1;

    while (got < TOTAL) {
        unsigned char block[50000];
        ssize_t n;

        while (sent < TOTAL) {
            uint32_t seed = seed_in;
            size_t size = sizeof(block) < TOTAL - sent ? sizeof(block) : TOTAL - sent;

            for (size_t i = 0; i < size; i++) {
                block[i] = (unsigned char)((seed = seed * 1664525 + 1013904223) >> 24);
            }
            n = write(bench->source, block, size);
            if (n <= 0) {
                break;
            }
            for (ssize_t i = 0; i < n; i++) {
                seed_in = seed_in * 1664525 + 1013904223;
            }
            sent += (unsigned)n;
        }
        if (sent == TOTAL) {
            shutdown(bench->source, SHUT_WR);
        }
        side_note(&bench->from, EPOLLIN);
        while (run(bench) == FLOW_MORE) {
        }
        if (bench->flow.rest != NULL) {
            stalls++;
            assert_false(bench->to.writable);
        }
        n = recv(bench->sink, block, sizeof(block), MSG_DONTWAIT);
        assert_true(n > 0);
        for (ssize_t i = 0; i < n; i++) {
            seed_out = seed_out * 1664525 + 1013904223;
            assert_int_equal(block[i], seed_out >> 24);
        }
        got += (unsigned)n;
        side_note(&bench->to, EPOLLOUT);
    }
    assert_int_equal(run(bench), FLOW_DONE);
    assert_true(stalls > 0);
}

/* The end is not reported before everything is delivered. */
static void end_behind_a_rest(void **state) {
    struct bench *bench = *state;
    char block[4096] = {0};
    size_t filled = 0;
    ssize_t n;

    while ((n = write(bench->to.source.fd, block, sizeof(block))) > 0) {
        filled += (size_t)n;
    }
    feed(bench, "tail");
    shutdown(bench->source, SHUT_WR);
    side_note(&bench->from, EPOLLRDHUP);
    assert_int_equal(run(bench), FLOW_WAITS);
    assert_non_null(bench->flow.rest);
    while (filled > 0) {
        n = read(bench->sink, block, sizeof(block) < filled ? sizeof(block) : filled);
        assert_true(n > 0);
        filled -= (size_t)n;
    }
    assert_int_equal(run(bench), FLOW_WAITS); /* nobody has said that it is writable */
    side_note(&bench->to, EPOLLOUT);
    assert_int_equal(run(bench), FLOW_DONE);
    expect(bench, "tail");
}

/* Exactly as much as may be read, and what follows stays in the socket. */
static void limit(void **state) {
    struct bench *bench = *state;
    char left[16];

    flow_init(&bench->flow, 7, NULL);
    feed(bench, "hello");
    assert_int_equal(run(bench), FLOW_WAITS);
    feed(bench, "world");
    assert_int_equal(run(bench), FLOW_DONE);
    assert_false(bench->flow.ended);
    expect(bench, "hellowo");
    assert_int_equal(recv(bench->from.source.fd, left, sizeof(left), 0), 3);

    flow_init(&bench->flow, 7, NULL);
    feed(bench, "short");
    shutdown(bench->source, SHUT_WR);
    assert_int_equal(run(bench), FLOW_DONE);
    assert_true(bench->flow.ended);
    assert_int_equal(bench->flow.left, 2);

    flow_init(&bench->flow, 0, NULL);
    assert_int_equal(run(bench), FLOW_DONE);
}

static enum http_result up_to_dot(struct flow *flow, char *data, size_t size, size_t *ret_pass) {
    const char *dot = memchr(data, '.', size);

    (void)flow;
    if (memchr(data, '!', size) != NULL) {
        return HTTP_BAD;
    }
    if (dot == NULL) {
        return HTTP_PARTIAL;
    }
    *ret_pass = (size_t)(dot - data) + 1;
    return HTTP_COMPLETE;
}

static void filter(void **state) {
    struct bench *bench = *state;

    flow_init(&bench->flow, FLOW_ENDLESS, up_to_dot);
    feed(bench, "one ");
    assert_int_equal(run(bench), FLOW_WAITS);
    feed(bench, "two. three");
    assert_int_equal(run(bench), FLOW_DONE);
    expect(bench, "one two.");

    flow_init(&bench->flow, FLOW_ENDLESS, up_to_dot);
    feed(bench, "bad!");
    assert_int_equal(run(bench), FLOW_REFUSED);
    assert_int_equal(run(bench), FLOW_REFUSED);
    assert_false(bench->flow.passed);
    expect(bench, "");
}

/* What is behind the end stays in the source, be it read from the socket or kept ahead of it. */
static void peeks(void **state) {
    struct bench *bench = *state;
    char got[16];

    for (unsigned ahead = 0; ahead < 2; ahead++) {
        flow_init(&bench->flow, FLOW_ENDLESS, up_to_dot);
        bench->flow.peeks = true;
        feed(bench, "one.two");
        if (ahead) {
            assert_int_equal(side_take_ahead(&bench->from, got, 5), 5);
        }
        assert_int_equal(run(bench), FLOW_DONE);
        expect(bench, "one.");
        assert_true(bench->from.readable);
        assert_int_equal(side_recv(&bench->from, got, sizeof(got)), ahead ? 1 : 3);
        assert_memory_equal(got, "two", ahead ? 1 : 3);
        if (ahead) {
            assert_int_equal(side_recv(&bench->from, got, sizeof(got)), 2);
            assert_memory_equal(got, "wo", 2);
        }
    }
}

static enum http_result drop_vowels(struct flow *flow, char *data, size_t size, size_t *ret_pass) {
    size_t n = 0;

    (void)flow;
    for (size_t i = 0; i < size; i++) {
        if (strchr("aeiou", data[i]) == NULL) {
            data[n++] = data[i];
        }
    }
    *ret_pass = n;
    return HTTP_PARTIAL;
}

static void filter_changes(void **state) {
    struct bench *bench = *state;

    flow_init(&bench->flow, FLOW_ENDLESS, drop_vowels);
    feed(bench, "aeiou");
    assert_int_equal(run(bench), FLOW_WAITS);
    assert_false(bench->flow.passed);
    feed(bench, "consonants");
    assert_int_equal(run(bench), FLOW_WAITS);
    expect(bench, "cnsnnts");
}

/* What was taken ahead is read first, by whatever way, and is thrown away like the rest. */
static void ahead(void **state) {
    struct bench *bench = *state;
    struct side *side = &bench->from;
    char got[32];

    feed(bench, "abcdef");
    assert_int_equal(side_take_ahead(side, got, 4), 4);
    assert_memory_equal(got, "abcd", 4);
    assert_int_equal(side_peek(side, got, 2), 2);
    assert_memory_equal(got, "ab", 2);
    assert_int_equal(side_peek(side, got, sizeof(got)), 6);
    assert_memory_equal(got, "abcdef", 6);
    assert_int_equal(side_take_ahead(side, got, sizeof(got)), 6); /* only looks: there is some */
    assert_int_equal(side_discard(side, 1), 0);
    assert_int_equal(side_recv(side, got, 2), 2);
    assert_memory_equal(got, "bc", 2);
    assert_int_equal(side_discard(side, 2), 0); /* one ahead, one in the socket */
    assert_null(side->ahead);
    assert_int_equal(side_recv(side, got, sizeof(got)), 1);
    assert_int_equal(got[0], 'f');
    assert_int_equal(side_recv(side, got, sizeof(got)), -EAGAIN);
    assert_int_equal(side_peek(side, got, sizeof(got)), -EAGAIN);
    assert_int_equal(side_take_ahead(side, got, sizeof(got)), -EAGAIN);
    feed(bench, "last");
    assert_int_equal(side_take_ahead(side, got, sizeof(got)), 4);
    shutdown(bench->source, SHUT_WR);
    assert_int_equal(run(bench), FLOW_DONE);
    expect(bench, "last");
}

/* TCP throws away without copying. */
static void discard_of_tcp(void **state) {
    struct sockaddr_in sa = {.sin_family = AF_INET};
    socklen_t len = sizeof(sa);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct side side;
    char got[8];

    (void)state;
    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &len), 0);
    assert_int_equal(connect(client, (struct sockaddr *)&sa, sizeof(sa)), 0);
    side_init(&side, accept(listener, NULL, NULL), NULL);
    side.short_is_all = true;
    assert_int_equal(send(client, "headbody", 8, 0), 8);
    assert_int_equal(recv(side.source.fd, got, 8, MSG_PEEK | MSG_WAITALL), 8);
    assert_int_equal(side_discard(&side, 4), 0);
    assert_int_equal(side_recv(&side, got, sizeof(got)), 4);
    assert_memory_equal(got, "body", 4);
    close(client);
    assert_int_equal(side_discard(&side, 1), -EPIPE);
    side_close(&side);
    close(listener);
}

/* One flow does not keep the others waiting. Packets make each read a short one. */
static void fairness(void **state) {
    struct bench *bench = *state;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    side_close(&bench->from);
    close(bench->source);
    side_init(&bench->from, fds[0], NULL);
    bench->source = fds[1];
    for (unsigned i = 0; i < RELAY_READS + 2; i++) {
        feed(bench, "x");
    }
    assert_int_equal(run(bench), FLOW_MORE);
    expect(bench, "xxxxxxxx");
    assert_int_equal(run(bench), FLOW_WAITS);
    expect(bench, "xx");
}
_Static_assert(RELAY_READS == 8, "fairness() spells them out");

static void sink_failure(void **state) {
    struct bench *bench = *state;

    shutdown(bench->sink, SHUT_RD);
    feed(bench, "lost");
    assert_int_equal(run(bench), FLOW_SINK_FAILED);
    assert_int_equal(run(bench), FLOW_SINK_FAILED);
}

/* A failure of the source is reported behind what it sent before. */
static void source_failure(void **state) {
    struct bench *bench = *state;

    /* Closing a Unix socket with unread bytes resets the connection. */
    assert_int_equal(write(bench->from.source.fd, "unread", 6), 6);
    feed(bench, "before");
    assert_int_equal(run(bench), FLOW_WAITS);
    close(bench->source);
    bench->source = -1;
    side_note(&bench->from, EPOLLIN | EPOLLHUP | EPOLLERR);
    assert_int_equal(run(bench), FLOW_SOURCE_FAILED);
    assert_int_equal(bench->flow.error, ECONNRESET);
    assert_int_equal(run(bench), FLOW_SOURCE_FAILED);
    expect(bench, "before");
}

static void writes_first(void **state) {
    struct bench *bench = *state;
    char block[4096] = {0};

    assert_int_equal(flow_write(&bench->flow, &bench->to, "head ", 5), 0);
    feed(bench, "body");
    assert_int_equal(run(bench), FLOW_WAITS);
    expect(bench, "head body");

    while (write(bench->to.source.fd, block, sizeof(block)) > 0) {
    }
    assert_int_equal(flow_write(&bench->flow, &bench->to, "later", 5), 0);
    assert_non_null(bench->flow.rest);
    assert_int_equal(flow_write(&bench->flow, &bench->to, "again", 5), -EBUSY);
}

/* Two pieces arrive as one, however little of them the sink takes at first. */
static void writes_pairs(void **state) {
    struct bench *bench = *state;
    static char block[1 << 20], got[2 << 20];
    size_t n_filled = 0, n = 0;
    ssize_t r;

    assert_int_equal(flow_write_pair(&bench->flow, &bench->to, "head ", 5, "body", 4), 0);
    expect(bench, "head body");
    memset(block, 'b', sizeof(block));
    assert_int_equal(flow_write_pair(&bench->flow, &bench->to, "head ", 5, block, sizeof(block)),
                     0);
    assert_non_null(bench->flow.rest);
    for (unsigned i = 0; i < 1000 && n < sizeof(block) + 5; i++) {
        while ((r = recv(bench->sink, got + n, sizeof(got) - n, MSG_DONTWAIT)) > 0) {
            n += (size_t)r;
        }
        side_note(&bench->to, EPOLLOUT);
        assert_int_equal(run(bench), FLOW_WAITS);
    }
    assert_int_equal(n, sizeof(block) + 5);
    assert_memory_equal(got, "head bbb", 8);
    assert_memory_equal(got + n - 3, "bbb", 3);

    while ((r = write(bench->to.source.fd, block, sizeof(block))) > 0) {
        n_filled += (size_t)r;
    }
    assert_int_equal(flow_write_pair(&bench->flow, &bench->to, "head ", 5, "body", 4), 0);
    for (n = 0; n < n_filled + 9;) {
        r = recv(bench->sink, got, sizeof(got), MSG_DONTWAIT);
        n += r > 0 ? (size_t)r : 0;
        side_note(&bench->to, EPOLLOUT);
        assert_int_equal(run(bench), FLOW_WAITS);
    }
    assert_int_equal(n, n_filled + 9);
}

/* With TCP a short read means that there is no more, unless the end is known to be there. */
static void short_reads(void **state) {
    struct bench *bench = *state;

    bench->from.short_is_all = true;
    feed(bench, "x");
    assert_int_equal(run(bench), FLOW_WAITS);
    assert_false(bench->from.readable);
    feed(bench, "y");
    shutdown(bench->source, SHUT_WR);
    side_note(&bench->from, EPOLLIN | EPOLLRDHUP);
    assert_int_equal(run(bench), FLOW_DONE);
}

#define bench_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        bench_test(passes),         bench_test(waits_for_events),  bench_test(backpressure),
        bench_test(limit),          bench_test(end_behind_a_rest), bench_test(filter),
        bench_test(fairness),       bench_test(sink_failure),      bench_test(source_failure),
        bench_test(writes_first),   bench_test(writes_pairs),      bench_test(short_reads),
        bench_test(peeks),          bench_test(filter_changes),    bench_test(ahead),
        bench_test(discard_of_tcp),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
