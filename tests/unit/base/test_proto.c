/* proto.h's checks, and the packets over a real socket pair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "proto.h"
#include "util.h"

/* Written down a second time on purpose: this is the contract, not a copy of the code. */
static const struct {
    enum proto_opcode opcode;
    size_t size;
    unsigned channels;
    struct {
        size_t offset, size;
    } strings[4]; /* size 0 at the end */
} table[] = {
#define STRING(type, member) offsetof(struct type, member), sizeof(((struct type *)NULL)->member)
    {PROTO_LEASE, 144, PROTO_FRONT_TO_ENGINE, {{STRING(proto_lease, app)}}},
    {PROTO_RELEASE, 144, PROTO_FRONT_TO_ENGINE, {{STRING(proto_lease, app)}}},
    {PROTO_STARTING, 144, PROTO_ENGINE_TO_FRONT, {{STRING(proto_lease, app)}}},
    {PROTO_READY, 160, PROTO_ENGINE_TO_FRONT, {{STRING(proto_ready, app)}}},
    {PROTO_FAILED,
     400,
     PROTO_ENGINE_TO_FRONT,
     {{STRING(proto_failed, app)}, {STRING(proto_failed, text)}}},
    {PROTO_GONE, 144, PROTO_ENGINE_TO_FRONT, {{STRING(proto_lease, app)}}},
    {PROTO_LIST, 8, PROTO_ADMIN_TO_ENGINE, {{0, 0}}},
    {PROTO_STATUS, 140, PROTO_ADMIN_TO_ENGINE, {{STRING(proto_request, app)}}},
    {PROTO_WAKE, 140, PROTO_ADMIN_TO_ENGINE, {{STRING(proto_request, app)}}},
    {PROTO_SLEEP, 140, PROTO_ADMIN_TO_ENGINE, {{STRING(proto_request, app)}}},
    {PROTO_APP,
     704,
     PROTO_ENGINE_TO_ADMIN,
     {{STRING(proto_app, app)}, {STRING(proto_app, container)}, {STRING(proto_app, text)}}},
    {PROTO_END, 268, PROTO_ENGINE_TO_ADMIN, {{STRING(proto_end, text)}}},
    {PROTO_PROGRESS, 144, PROTO_ENGINE_TO_FRONT, {{STRING(proto_progress, app)}}},
    {PROTO_LOGS, 144, PROTO_FRONT_TO_ENGINE, {{STRING(proto_logs, app)}}},
    {PROTO_LOG, 656, PROTO_ENGINE_TO_FRONT, {{STRING(proto_log, app)}, {STRING(proto_log, text)}}},
    {PROTO_LOGS_END, 144, PROTO_ENGINE_TO_FRONT, {{STRING(proto_logs_end, app)}}},
};

enum { N_CHANNELS = 4 };

static union proto_message sound(size_t i) {
    union proto_message m;

    memset(&m, 0, sizeof(m));
    m.header.version = PROTO_VERSION;
    m.header.opcode = (uint16_t)table[i].opcode;
    m.header.size = (uint32_t)table[i].size;
    return m;
}

/* A sound one on its first channel. */
static enum proto_channel channel_of(size_t i) {
    return (enum proto_channel)(table[i].channels & -table[i].channels);
}

static void every_opcode_is_here(void **state) {
    (void)state;
    assert_int_equal(ARRAY_SIZE(table), PROTO_OPCODE_MAX - 1);
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        assert_int_equal(table[i].opcode, i + 1);
    }
}

static void channels(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        union proto_message m = sound(i);

        for (unsigned c = 0; c < N_CHANNELS; c++) {
            assert_int_equal(proto_check(&m, table[i].size, (enum proto_channel)(1U << c)),
                             (table[i].channels & 1U << c) != 0 ? 0 : -EPERM);
        }
    }
}

static void sizes(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        union proto_message m = sound(i);

        for (size_t size = 0; size <= sizeof(m); size++) {
            assert_int_equal(proto_check(&m, size, channel_of(i)),
                             size == table[i].size ? 0 : -EBADMSG);
        }
        for (uint32_t said = 0; said <= sizeof(m); said++) {
            m.header.size = said;
            assert_int_equal(proto_check(&m, table[i].size, channel_of(i)),
                             said == table[i].size ? 0 : -EBADMSG);
        }
        m.header.size = UINT32_MAX;
        assert_int_equal(proto_check(&m, table[i].size, channel_of(i)), -EBADMSG);
    }
}

/* No byte behind the size is looked at: the copy has the exact size, and the sanitizer watches. */
static void short_packets(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        union proto_message m = sound(i);

        for (size_t size = 0; size <= table[i].size; size++) {
            auto_free void *copy = malloc(size > 0 ? size : 1);

            memcpy(copy, &m, size);
            assert_int_equal(proto_check(copy, size, channel_of(i)),
                             size == table[i].size ? 0 : -EBADMSG);
        }
    }
}

static void versions_and_opcodes(void **state) {
    (void)state;
    for (unsigned value = 0; value <= UINT16_MAX; value++) {
        union proto_message m = sound(0);

        m.header.version = (uint16_t)value;
        assert_int_equal(proto_check(&m, table[0].size, PROTO_FRONT_TO_ENGINE),
                         value == PROTO_VERSION ? 0 : -EBADMSG);
        m = sound(0);
        m.header.opcode = (uint16_t)value;
        if (value == 0 || value >= PROTO_OPCODE_MAX) {
            assert_int_equal(proto_check(&m, table[0].size, PROTO_FRONT_TO_ENGINE), -EBADMSG);
        }
    }
}

static void strings_without_end(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        for (size_t s = 0; table[i].strings[s].size != 0; s++) {
            union proto_message m = sound(i);
            char *string = (char *)&m + table[i].strings[s].offset;
            size_t size = table[i].strings[s].size;

            memset(string, 'x', size);
            assert_int_equal(proto_check(&m, table[i].size, channel_of(i)), -EBADMSG);
            string[size - 1] = '\0';
            assert_int_equal(proto_check(&m, table[i].size, channel_of(i)), 0);
        }
    }
}

/* --- over a socket --------------------------------------------------------------------------- */

static int pair_setup(void **state) {
    static int pair[2];

    *state = pair;
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int pair_teardown(void **state) {
    int *pair = *state;

    safe_close(pair[0]);
    safe_close(pair[1]);
    return 0;
}

static unsigned open_descriptors(void) {
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL) {
        n++;
    }
    closedir(dir);
    return n;
}

static void round_trip(void **state) {
    const int *pair = *state;

    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        union proto_message out;
        union proto_message in;

        memset(&out, 0x5a, sizeof(out));
        for (size_t s = 0; table[i].strings[s].size != 0; s++) {
            ((char *)&out)[table[i].strings[s].offset + table[i].strings[s].size - 1] = '\0';
        }
        assert_int_equal(proto_send(pair[0], table[i].opcode, &out), 0);
        assert_int_equal(proto_receive(pair[1], channel_of(i), &in), table[i].size);
        assert_memory_equal(&in, &out, table[i].size);
        assert_int_equal(in.header.version, PROTO_VERSION);
        assert_int_equal(in.header.opcode, table[i].opcode);
        assert_int_equal(in.header.size, table[i].size);
    }
}

static void nothing_stale_leaves(void **state) {
    const int *pair = *state;
    union proto_message out;
    union proto_message in;

    memset(&out, 'x', sizeof(out));
    strcpy(out.request.app, "a");
    assert_int_equal(proto_send(pair[0], PROTO_STATUS, &out), 0);
    assert_int_equal(proto_receive(pair[1], PROTO_ADMIN_TO_ENGINE, &in), table[7].size);
    for (size_t i = 1; i < sizeof(in.request.app); i++) {
        assert_int_equal(in.request.app[i], 0);
    }
}

static void sending_refused(void **state) {
    const int *pair = *state;
    union proto_message m;

    memset(&m, 'x', sizeof(m));
    assert_int_equal(proto_send(pair[0], PROTO_LEASE, &m), -EINVAL);
    assert_int_equal(proto_send(pair[0], (enum proto_opcode)0, &m), -EINVAL);
    assert_int_equal(proto_send(pair[0], PROTO_OPCODE_MAX, &m), -EINVAL);
    assert_int_equal(proto_receive(pair[1], PROTO_FRONT_TO_ENGINE, &m), -EAGAIN);
}

static void end_and_silence(void **state) {
    int *pair = *state;
    union proto_message m = sound(0);

    assert_int_equal(proto_receive(pair[1], PROTO_FRONT_TO_ENGINE, &m), -EAGAIN);
    pair[0] = safe_close(pair[0]);
    assert_int_equal(proto_receive(pair[1], PROTO_FRONT_TO_ENGINE, &m), 0);
    /* No SIGPIPE either. */
    assert_int_equal(proto_send(pair[1], PROTO_LEASE, &m), -EPIPE);
}

static void full_queue(void **state) {
    const int *pair = *state;
    union proto_message m = sound(0);
    int r = 0;
    int n = 0;

    while ((r = proto_send(pair[0], PROTO_LEASE, &m)) == 0) {
        n++;
    }
    assert_int_equal(r, -EAGAIN);
    while ((r = proto_receive(pair[1], PROTO_FRONT_TO_ENGINE, &m)) > 0) {
        n--;
    }
    assert_int_equal(r, -EAGAIN);
    assert_int_equal(n, 0);
}

static void received_refused(void **state) {
    const int *pair = *state;
    union proto_message m = sound(0);
    union proto_message in;
    char big[4096] = {0};

    memset(&in, 0x5a, sizeof(in));
    /* Oversized: the head is a sound LEASE. */
    memcpy(big, &m, table[0].size);
    for (size_t size = table[0].size + 1; size <= sizeof(big); size += 97) {
        assert_int_equal(send(pair[0], big, size, 0), size);
        assert_int_equal(proto_receive(pair[1], PROTO_FRONT_TO_ENGINE, &in), -EBADMSG);
    }
    /* The longest there is, sound but for the one byte that does not fit. */
    m = sound(PROTO_APP - 1);
    memcpy(big, &m, sizeof(m));
    assert_int_equal(send(pair[0], big, sizeof(m) + 1, 0), sizeof(m) + 1);
    assert_int_equal(proto_receive(pair[1], PROTO_ENGINE_TO_ADMIN, &in), -EBADMSG);
    m = sound(0);
    memcpy(big, &m, sizeof(m));
    assert_int_equal(send(pair[0], big, table[0].size - 1, 0), table[0].size - 1);
    assert_int_equal(proto_receive(pair[1], PROTO_FRONT_TO_ENGINE, &in), -EBADMSG);
    assert_int_equal(send(pair[0], "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
    assert_int_equal(proto_receive(pair[1], PROTO_FRONT_TO_ENGINE, &in), -EBADMSG);
    /* What belongs on the other socket. */
    assert_int_equal(proto_send(pair[0], PROTO_SLEEP, &m), 0);
    assert_int_equal(proto_receive(pair[1], PROTO_FRONT_TO_ENGINE, &in), -EPERM);
    for (size_t i = 0; i < sizeof(in); i++) {
        assert_int_equal(((unsigned char *)&in)[i], 0x5a);
    }
}

static void descriptors_are_kept_out(void **state) {
    const int *pair = *state;
    union proto_message m = sound(0);
    union proto_message in;
    unsigned before;

    for (unsigned n = 1; n <= 253; n += 63) {
        _Alignas(struct cmsghdr) char control[CMSG_SPACE(253 * sizeof(int))] = {0};
        struct iovec iov = {.iov_base = &m, .iov_len = table[0].size};
        struct msghdr msg = {
            .msg_iov = &iov,
            .msg_iovlen = 1,
            .msg_control = control,
            .msg_controllen = CMSG_SPACE(n * sizeof(int)),
        };
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(n * sizeof(int));
        for (unsigned i = 0; i < n; i++) {
            memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &pair[0], sizeof(int));
        }
        before = open_descriptors();
        assert_int_equal(sendmsg(pair[0], &msg, 0), table[0].size);
        assert_int_equal(proto_receive(pair[1], PROTO_FRONT_TO_ENGINE, &in), -EBADMSG);
        assert_int_equal(open_descriptors(), before);
    }
    /* The next one is fine. */
    assert_int_equal(proto_send(pair[0], PROTO_LEASE, &m), 0);
    assert_int_equal(proto_receive(pair[1], PROTO_FRONT_TO_ENGINE, &in), table[0].size);
}

static void connecting(void **state) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    char dir[] = "/tmp/dockwake-unit-XXXXXX";
    char longest[200];
    auto_close int listener = -1;
    auto_close int client = -1;
    auto_close int second = -1;
    int third;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/s", dir);
    assert_int_equal(proto_connect(sa.sun_path, true), -ENOENT);
    listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(proto_connect(sa.sun_path, true), -ECONNREFUSED);
    assert_int_equal(listen(listener, 1), 0);
    client = proto_connect(sa.sun_path, false);
    assert_true(client >= 0);
    assert_int_equal(fcntl(client, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(client, F_GETFL) & O_NONBLOCK, 0);
    second = proto_connect(sa.sun_path, true);
    assert_true(second >= 0);
    assert_int_equal(fcntl(second, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    third = proto_connect(sa.sun_path, true);
    assert_int_equal(third, -EAGAIN);
    unlink(sa.sun_path);
    rmdir(dir);
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(proto_connect(longest, true), -ENAMETOOLONG);
    assert_int_equal(proto_connect("", true), -EINVAL);
}

static void names(void **state) {
    (void)state;
    for (int i = -1; i <= PROTO_STATE_MAX; i++) {
        assert_non_null(proto_state_name((enum proto_state)i));
    }
    for (int i = -1; i <= PROTO_FAILURE_MAX; i++) {
        assert_non_null(proto_failure_name((enum proto_failure)i));
    }
    assert_string_equal(proto_state_name(PROTO_STATE_ASLEEP), "asleep");
    assert_string_equal(proto_state_name(PROTO_STATE_FAILED), "failed");
    assert_string_equal(proto_failure_name(PROTO_FAILURE_STOPPED), "stopped");
    assert_string_equal(proto_failure_name(PROTO_FAILURE_ASLEEP), "asleep");
    assert_string_equal(proto_failure_name(PROTO_FAILURE_FOREIGN), "foreign");
}

static void addresses(void **state) {
    struct proto_address v4 = {.family = AF_INET, .port = htons(80), .ip = {10, 0, 0, 1}};
    struct proto_address v6 = {.family = AF_INET6, .port = htons(65535), .ip = {[15] = 1}};
    struct proto_address none = {.family = AF_UNSPEC};
    struct proto_address odd = {.family = AF_UNIX};
    struct sockaddr_storage sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    socklen_t len;
    char text[PROTO_ADDRESS_TEXT_MAX];

    (void)state;
    proto_address_format(&v4, text);
    assert_string_equal(text, "10.0.0.1:80");
    proto_address_format(&v6, text);
    assert_string_equal(text, "[::1]:65535");
    memset(v6.ip, 0xfe, sizeof(v6.ip));
    proto_address_format(&v6, text);
    assert_string_equal(text, "[fefe:fefe:fefe:fefe:fefe:fefe:fefe:fefe]:65535");
    proto_address_format(&none, text);
    assert_string_equal(text, "-");
    proto_address_format(&odd, text);
    assert_string_equal(text, "-");

    proto_address_to_sockaddr(&v4, &sa, &len);
    assert_int_equal(len, sizeof(in));
    memcpy(&in, &sa, sizeof(in));
    assert_int_equal(in.sin_family, AF_INET);
    assert_int_equal(ntohs(in.sin_port), 80);
    assert_int_equal(ntohl(in.sin_addr.s_addr), 0x0a000001);
    proto_address_to_sockaddr(&v6, &sa, &len);
    assert_int_equal(len, sizeof(in6));
    memcpy(&in6, &sa, sizeof(in6));
    assert_int_equal(in6.sin6_family, AF_INET6);
    assert_memory_equal(&in6.sin6_addr, v6.ip, 16);
    proto_address_to_sockaddr(&none, &sa, &len);
    assert_int_equal(len, 0);
    proto_address_to_sockaddr(&odd, &sa, &len);
    assert_int_equal(len, 0);
}

#define pair_test(f) cmocka_unit_test_setup_teardown(f, pair_setup, pair_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_opcode_is_here),
        cmocka_unit_test(channels),
        cmocka_unit_test(sizes),
        cmocka_unit_test(short_packets),
        cmocka_unit_test(versions_and_opcodes),
        cmocka_unit_test(strings_without_end),
        pair_test(round_trip),
        pair_test(nothing_stale_leaves),
        pair_test(sending_refused),
        pair_test(end_and_silence),
        pair_test(full_queue),
        pair_test(received_refused),
        pair_test(descriptors_are_kept_out),
        cmocka_unit_test(connecting),
        cmocka_unit_test(names),
        cmocka_unit_test(addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
