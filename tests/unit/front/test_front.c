/* The bounds of a connection's way: a whole front, turn by turn, with a clock that jumps. */
#include "front_bench.h"

#include "conn_internal.h"

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

/* --- the cases ----------------------------------------------------------------------------------- */

static void head_timeout(void **state) {
    int slow, silent;

    (void)state;
    start("head_timeout = 7s\n");
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
    assert_int_equal(open_conns(), 0);
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
    static const char owing[] = "POST / HTTP/1.1\r\nHost: nobody.test\r\nContent-Length: 5\r\n\r\n";
    int fd;

    (void)state;
    start("");
    fd = client(owing);
    assert_answer(fd, "404");
    pass(LINGER_TIMEOUT - 100 * USEC_PER_MSEC);
    assert_int_equal(open_conns(), 1);
    pass(USEC_PER_SEC);
    assert_int_equal(open_conns(), 0);
    close(fd);

    /* One who goes on talking is not listened to for ever. */
    fd = client(owing);
    assert_answer(fd, "404");
    for (size_t sent = 0; sent < 2 * (size_t)LINGER_BYTES && open_conns() > 0;) {
        ssize_t n = send(fd, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL);

        sent += n > 0 ? (size_t)n : 0;
        assert_true(sent <= (size_t)LINGER_BYTES + (16U << 20));
        turn();
    }
    assert_int_equal(open_conns(), 0);
    close(fd);
}

/* Those beyond the bound are answered, those beyond all bounds at once and for good. */
static void refused(void **state) {
    int first, fds[WORKER_REFUSED_MAX], last;

    (void)state;
    start("max_connections = 1\n");
    first = client("");
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = client(GET("app.test"));
        assert_answer(fds[i], "503");
    }
    assert_int_equal(open_conns(), 1 + WORKER_REFUSED_MAX);
    last = client(GET("app.test"));
    assert_int_equal(open_conns(), 1 + WORKER_REFUSED_MAX);
    assert_answer(last, "503");
    assert_true(is_closed(last));
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
        close(fds[i]);
    }
    close(first);
    close(last);
    turn();
    turn();
    assert_int_equal(open_conns(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        bench_test(head_timeout),
        bench_test(connect_timeout),
        bench_test(linger),
        bench_test(refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
