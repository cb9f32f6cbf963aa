/*
 * The server name of a ClientHello: hand-made ones at every length and bound, those of real clients
 * (tests/fuzz/seeds/sni), all of them cut at every byte and split into records of every size.
 *
 * With an argument it is our end for tls_peers.py:
 *     test_tls_hello read    a ClientHello from standard input, its name to standard output
 *     test_tls_hello alert   the alert to standard output
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "guard.h"
#include "tls_hello.h"
#include "util.h"

#define BYTES(literal) literal, sizeof(literal) - 1

/* The body of a ClientHello up to its extensions, and parts of it. */
#define RANDOM     "0123456789abcdef0123456789ABCDEF"
#define SESSION    "\x20" RANDOM
#define SUITES     "\0\4\x13\1\x13\2"
#define PLAIN      "\1\0"
#define START      "\3\3" RANDOM SESSION SUITES PLAIN
#define NAME       "\0\0\0\x0b\0\x09\0\0\6a.test" /* 15 bytes */
#define GREASE     "\x0a\x0a\0\0"                 /* 4 */
#define GREASE_END "\xfa\xfa\0\1\0"               /* 5 */
#define VERSIONS   "\0\x2b\0\5\4\x7a\x7a\3\4"     /* 9 */
/* server_name with a content of 11 bytes in place of the one in NAME; hello of 15 bytes */
#define LIST(content) START "\0\x0f\0\0\0\x0b" content

static const struct {
    const char *body;
    size_t size;
    const char *name; /* NULL: it is bad */
} bodies[] = {
    {BYTES(START "\0\x0f" NAME), "a.test"},
    {BYTES(START "\0\x21" GREASE NAME VERSIONS GREASE_END), "a.test"},
    {BYTES(START "\0\x21" VERSIONS GREASE_END GREASE NAME), "a.test"},
    {BYTES("\3\1" RANDOM "\0" SUITES "\2\1\0\0\x0f" NAME), "a.test"},
    {BYTES("\3\3" RANDOM "\0"
           "\0\2\x13\1" PLAIN "\0\x0f" NAME),
     "a.test"},
    /* Clients that name nobody. */
    {BYTES(START), ""},
    {BYTES(START "\0\0"), ""},
    {BYTES(START "\0\x09" VERSIONS), ""},
    /* What may stand in a name; what is no name of ours is not our business here. */
    {BYTES(LIST("\0\x09\0\0\6A_-9.z")), "A_-9.z"},
    {BYTES(LIST("\0\x09\0\0\6......")), "......"},

    /* RFC 8446 4.1.2: versions and lengths */
    {BYTES(""), NULL},
    {BYTES("\3"), NULL},
    {BYTES("\2\0" RANDOM SESSION SUITES PLAIN), NULL},
    {BYTES("\3\3"), NULL},
    {BYTES("\3\3" RANDOM), NULL},
    {BYTES("\3\3" RANDOM SESSION), NULL},
    {BYTES("\3\3" RANDOM "\x21" RANDOM "x" SUITES PLAIN), NULL},
    {BYTES("\3\3" RANDOM "\xff" RANDOM), NULL},
    {BYTES("\3\3" RANDOM SESSION "\0\0" PLAIN), NULL},
    {BYTES("\3\3" RANDOM SESSION "\0\3\x13\1\x13" PLAIN), NULL},
    {BYTES("\3\3" RANDOM SESSION "\0\x10\x13\1" PLAIN), NULL},
    {BYTES("\3\3" RANDOM SESSION "\0"), NULL},
    {BYTES("\3\3" RANDOM SESSION SUITES), NULL},
    {BYTES("\3\3" RANDOM SESSION SUITES "\0"), NULL},
    {BYTES("\3\3" RANDOM SESSION SUITES "\0\0\x0f" NAME), NULL},
    {BYTES("\3\3" RANDOM SESSION SUITES "\2\0"), NULL},
    {BYTES(START "\0"), NULL},
    {BYTES(START "\0\x0e" NAME), NULL},
    {BYTES(START "\0\x10" NAME), NULL},
    {BYTES(START "\0\x0f" NAME "x"), NULL},
    {BYTES(START "\0\0x"), NULL},
    {BYTES(START "\0\x10" NAME "\0"), NULL},
    {BYTES(START "\0\x12" NAME "\0\x2b\0"), NULL},
    {BYTES(START "\0\x13" NAME "\0\x2b\0\1"), NULL},
    {BYTES(START "\0\4\0\x2b\xff\xff"), NULL},

    /* RFC 6066 3: server_name */
    {BYTES(START "\0\x1e" NAME NAME), NULL},
    {BYTES(START "\0\x27" NAME VERSIONS NAME), NULL},
    {BYTES(START "\0\4\0\0\0\0"), NULL},
    {BYTES(START "\0\5\0\0\0\1\0"), NULL},
    {BYTES(START "\0\6\0\0\0\2\0\0"), NULL},
    {BYTES(START "\0\x09\0\0\0\5\0\3\0\0\0"), NULL},
    {BYTES(LIST("\0\x09\1\0\6a.test")), NULL},
    {BYTES(LIST("\0\x09\0\0\5a.test")), NULL},
    {BYTES(LIST("\0\x09\0\0\7a.test")), NULL},
    {BYTES(LIST("\0\x08\0\0\6a.test")), NULL},
    {BYTES(LIST("\0\x0a\0\0\6a.test")), NULL},
    {BYTES(LIST("\0\x08\0\0\5a.tesx")), NULL},
    {BYTES(LIST("\0\x09\0\0\1a\0\0\2b")), NULL}, /* two names */
    {BYTES(LIST("\0\x09\0\0\1a\1\0\2b")), NULL},
    {BYTES(LIST("\0\x09\0\0\6a.te\0t")), NULL},
    {BYTES(LIST("\0\x09\0\0\6a.te\0\0")), NULL},
    {BYTES(LIST("\0\x09\0\0\6a te.t")), NULL},
    {BYTES(LIST("\0\x09\0\0\6a/te.t")), NULL},
    {BYTES(LIST("\0\x09\0\0\6*.test")), NULL},
    {BYTES(LIST("\0\x09\0\0\6[::1]x")), NULL},
    {BYTES(LIST("\0\x09\0\0\6a:4433")), NULL},
    {BYTES(LIST("\0\x09\0\0\6\xc3\xa4.tes")), NULL},
    {BYTES(LIST("\0\x09\0\0\6a.tes\x7f")), NULL},
};

/* The message with this body in records of at most size bytes. Returns how many bytes it is. */
static size_t wrap(const char *body, size_t n, size_t size, char *out) {
    static char message[TLS_HELLO_MAX + 64];
    size_t len = 0;

    message[0] = 1;
    message[1] = (char)(n >> 16);
    message[2] = (char)(n >> 8);
    message[3] = (char)n;
    memcpy(message + 4, body, n);
    n += 4;
    for (size_t at = 0; at < n; at += size) {
        size_t piece = size < n - at ? size : n - at;

        memcpy(out + len, "\x16\3\1", 3);
        out[len + 3] = (char)(piece >> 8);
        out[len + 4] = (char)piece;
        memcpy(out + len + 5, message + at, piece);
        len += 5 + piece;
    }
    return len;
}

static char name[TLS_NAME_MAX];

static enum http_result parse(const char *data, size_t size) {
    memset(name, '#', sizeof(name));
    return tls_hello_parse(guarded(data, size), size, name);
}

/* Whole: complete with this name; of all prefixes none is. */
static void expect_name(const char *data, size_t size, const char *expected) {
    for (size_t n = 0; n < size; n++) {
        if (parse(data, n) != HTTP_PARTIAL || name[0] != '#') {
            fail_msg("%s: not partial after %zu of %zu bytes", expected, n, size);
        }
    }
    if (parse(data, size) != HTTP_COMPLETE) {
        fail_msg("%s: not complete after %zu bytes", expected, size);
    }
    assert_string_equal(name, expected);
}

/* Whole: bad. Of its prefixes those up to some length are partial, and the longer ones bad too. */
static void expect_bad(size_t which, const char *data, size_t size) {
    enum http_result before = HTTP_PARTIAL;

    for (size_t n = 0; n <= size; n++) {
        enum http_result result = parse(data, n);

        if (result == HTTP_COMPLETE || (before == HTTP_BAD && result != HTTP_BAD)) {
            fail_msg("%zu: result %d after %zu of %zu bytes", which, (int)result, n, size);
        }
        before = result;
    }
    if (before != HTTP_BAD) {
        fail_msg("%zu: not bad after all %zu bytes", which, size);
    }
}

static void hand_made(void **state) {
    char data[4096];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
        for (size_t size = bodies[i].size + 4; size > 0; size--) {
            size_t n = wrap(bodies[i].body, bodies[i].size, size, data);

            if (bodies[i].name != NULL) {
                expect_name(data, n, bodies[i].name);
            } else {
                expect_bad(i, data, n);
            }
        }
    }
}

#define RECORD   "\x16\3\1"
#define MESSAGE1 "\1\0\0\x5c"
#define BODY1    START "\0\x0f" NAME /* 92 bytes */

/* What surrounds the message, byte by byte. */
static void records(void **state) {
    static const struct {
        const char *data;
        size_t size;
        size_t bad_at; /* bad with so many bytes, and not earlier; 0: complete at the end */
    } cases[] = {
        {BYTES(RECORD "\0\x60" MESSAGE1 BODY1), 0},
        {BYTES("\x16\3\0\0\x60" MESSAGE1 BODY1), 0},
        {BYTES("\x16\3\4\0\x60" MESSAGE1 BODY1), 0},
        {BYTES(RECORD "\0\1\1" RECORD "\0\x5f"
                      "\0\0\x5c" BODY1),
         0},
        {BYTES(RECORD "\0\1\1\x16\3\3\0\x5f"
                      "\0\0\x5c" BODY1),
         0},
        {BYTES("\x80\x2e\1\3\1"), 1}, /* SSLv2-compatible (RFC 5246 E.2) */
        {BYTES("GET / HTTP/1.1\r\n"), 1},
        {BYTES("\x15\3\1\0\2\2\x28"), 1}, /* an alert */
        {BYTES("\x17\3\1\0\1x"), 1},
        {BYTES("\x14\3\1\0\1\1"), 1},
        {BYTES("\x16\2\0\0\x60" MESSAGE1 BODY1), 2},
        {BYTES("\x16\4\0\0\x60" MESSAGE1 BODY1), 2},
        {BYTES("\x16\xfe\xff\0\0\0\0\0\0\0\0\0\x60" MESSAGE1 BODY1), 2}, /* DTLS */
        {BYTES(RECORD "\0\0" RECORD "\0\x60" MESSAGE1 BODY1), 5},
        {BYTES(RECORD "\x40\1" MESSAGE1 BODY1), 5},
        {BYTES(RECORD "\xff\xff" MESSAGE1 BODY1), 5},
        {BYTES(RECORD "\0\x60"
                      "\2\0\0\x5c" BODY1),
         6}, /* a ServerHello */
        {BYTES(RECORD "\0\4\0\0\0\0"), 6},
        {BYTES(RECORD "\0\x60"
                      "\1\1\0\0" BODY1),
         9}, /* longer than we look */
        {BYTES(RECORD "\0\x60"
                      "\1\xff\xff\xff" BODY1),
         9},
        {BYTES(RECORD "\0\4"
                      "\1\0\0\0"),
         9},
        {BYTES(RECORD "\0\1\1\x15\3\1\0\2\2\x28"), 7}, /* another record in between */
        {BYTES(RECORD "\0\1\1" RECORD "\0\0"), 11},
        {BYTES(RECORD "\0\x61" MESSAGE1 BODY1 "\1"), 101}, /* more in the last record */
        {BYTES(RECORD "\0\xc0" MESSAGE1 BODY1 MESSAGE1 BODY1), 101},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        for (size_t n = 0; n <= cases[i].size; n++) {
            enum http_result result = parse(cases[i].data, n), expected = HTTP_PARTIAL;

            if (cases[i].bad_at > 0 && n >= cases[i].bad_at) {
                expected = HTTP_BAD;
            } else if (cases[i].bad_at == 0 && n == cases[i].size) {
                expected = HTTP_COMPLETE;
            }
            if (result != expected) {
                fail_msg("%zu: result %d after %zu bytes", i, (int)result, n);
            }
        }
    }
}

/* Early data and the like may be there already. */
static void more_behind(void **state) {
    static const char data[] = RECORD "\0\x60" MESSAGE1 BODY1 "\x17\3\3\0\0whatever";

    (void)state;
    assert_int_equal(parse(data, sizeof(data) - 1), HTTP_COMPLETE);
    assert_string_equal(name, "a.test");
}

/* Takes the messages out of their records. Returns their size. */
static size_t unwrap(char *data, size_t size) {
    size_t n = 0;

    for (size_t at = 0; at < size;) {
        size_t piece = (size_t)(uint8_t)data[at + 3] << 8 | (uint8_t)data[at + 4];

        memmove(data + n, data + at + 5, piece);
        n += piece;
        at += 5 + piece;
    }
    return n;
}

/* Those of real clients, as they came and anew in records of several sizes. */
static void real(void **state) {
    static const struct {
        const char *file, *name;
    } cases[] = {
        {"tls13", "tls13.example.com"},       {"tls12", "tls12.example.com"},
        {"alpn", "alpn.example.com"},         {"ciphers", "ciphers.example.com"},
        {"s_client", "s-client.example.com"}, {"tls11", "tls11.example.com"},
        {"browser", "browser.example.com"},   {"nobody", ""},
    };
    static const size_t sizes[] = {1, 2, 3, 5, 8, 100, 1000};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char path[128], data[4096], anew[6 * sizeof(data)];
        FILE *file;
        size_t n;

        snprintf(path, sizeof(path), "tests/fuzz/seeds/sni/%s", cases[i].file);
        file = fopen(path, "re");
        if (file == NULL) {
            fail_msg("%s: run this test from the top of the tree", path);
        }
        n = fread(data, 1, sizeof(data), file);
        fclose(file);
        expect_name(data, n, cases[i].name);
        n = unwrap(data, n);
        for (size_t k = 0; k < ARRAY_SIZE(sizes); k++) {
            expect_name(anew, wrap(data + 4, n - 4, sizes[k], anew), cases[i].name);
        }
    }
}

/* A hello that is as long as one may be, made so by an extension that nobody knows. */
static void longest(void **state) {
    static char body[TLS_HELLO_MAX], data[TLS_HELLO_MAX + 64];
    size_t start = sizeof(START) - 1;

    (void)state;
    for (int more = 0; more < 2; more++) {
        /* Two records with their headers, and the message's. */
        size_t size = TLS_HELLO_MAX - 10 - 4 + (size_t)more;
        size_t extensions = size - start - 2, padding = extensions - 15 - 4;

        memset(body, 0, sizeof(body));
        memcpy(body, START "\0\0" NAME "\0\x15\0\0", start + 2 + 15 + 4);
        body[start] = (char)(extensions >> 8);
        body[start + 1] = (char)extensions;
        body[start + 2 + 15 + 2] = (char)(padding >> 8);
        body[start + 2 + 15 + 3] = (char)padding;
        size = wrap(body, size, 1 << 14, data);
        assert_int_equal(size, TLS_HELLO_MAX + more);
        assert_int_equal(parse(data, TLS_HELLO_MAX - 1), HTTP_PARTIAL);
        assert_int_equal(parse(data, TLS_HELLO_MAX), more ? HTTP_BAD : HTTP_COMPLETE);
        assert_int_equal(parse(data, size), more ? HTTP_BAD : HTTP_COMPLETE);
    }
}

static void longest_name(void **state) {
    char body[512], data[512], expected[TLS_NAME_MAX + 1];
    size_t start = sizeof(START) - 1;

    (void)state;
    for (size_t len = TLS_NAME_MAX - 1; len <= TLS_NAME_MAX; len++) {
        const size_t lengths[] = {len + 9, SIZE_MAX, len + 5, len + 3, SIZE_MAX, len};
        size_t at = start;

        memcpy(body, START, start);
        for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
            if (i == 1) {
                memset(body + at, 0, 2); /* the extension */
                at += 2;
            } else if (i == 4) {
                body[at++] = 0; /* the name's type */
            } else {
                body[at++] = (char)(lengths[i] >> 8);
                body[at++] = (char)lengths[i];
            }
        }
        memset(body + at, 'n', len);
        memset(expected, 'n', len);
        expected[len] = '\0';
        at = wrap(body, at + len, sizeof(body), data);
        assert_int_equal(parse(data, at), len < TLS_NAME_MAX ? HTTP_COMPLETE : HTTP_BAD);
        if (len < TLS_NAME_MAX) {
            assert_string_equal(name, expected);
        }
    }
}

static void alert(void **state) {
    char out[TLS_ALERT_SIZE];

    (void)state;
    tls_alert_write(out);
    assert_memory_equal(out, "\x15\3\3\0\2\2\x70", TLS_ALERT_SIZE);
}

/* --- for tls_peers.py -------------------------------------------------------------------------- */

static int read_hello(void) {
    static char data[TLS_HELLO_MAX + 1];
    enum http_result result = HTTP_PARTIAL;

    for (size_t size = 0; result == HTTP_PARTIAL && read(STDIN_FILENO, data + size, 1) == 1;) {
        result = tls_hello_parse(data, ++size, name);
    }
    printf("%s\n", result == HTTP_COMPLETE ? name : result == HTTP_BAD ? "(bad)" : "(cut)");
    return 0;
}

static int write_alert(void) {
    char out[TLS_ALERT_SIZE];

    tls_alert_write(out);
    return fwrite(out, 1, sizeof(out), stdout) == sizeof(out) ? 0 : 1;
}

int main(int argc, char *argv[]) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hand_made), cmocka_unit_test(records), cmocka_unit_test(more_behind),
        cmocka_unit_test(real),      cmocka_unit_test(longest), cmocka_unit_test(longest_name),
        cmocka_unit_test(alert),
    };

    if (argc == 2 && strcmp(argv[1], "read") == 0) {
        return read_hello();
    }
    if (argc == 2 && strcmp(argv[1], "alert") == 0) {
        return write_alert();
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
