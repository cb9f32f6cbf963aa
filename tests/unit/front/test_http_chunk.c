/* Where a chunked body ends and what it says, in pieces of every size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "guard.h"
#include "http_chunk.h"
#include "util.h"

/* Scans text in pieces of size bytes. *ret_used: the bytes up to the end, or up to what is bad. */
static enum http_result scan(const char *text, size_t len, size_t size, size_t *ret_used) {
    struct http_chunk chunk = {0};
    enum http_result result = HTTP_PARTIAL;

    *ret_used = 0;
    for (size_t at = 0; at < len && result == HTTP_PARTIAL; at += size) {
        size_t n = size < len - at ? size : len - at, used = SIZE_MAX;

        result = http_chunk_scan(&chunk, guarded(text + at, n), n, &used);
        assert_true(result == HTTP_PARTIAL ? used == n : used <= n);
        *ret_used += used;
    }
    return result;
}

static const struct {
    const char *text;
    enum http_result result;
    size_t used;
} bodies[] = {
    {"0\r\n\r\n", HTTP_COMPLETE, 5},
    {"0\r\n\r\nGET / HTTP/1.1\r\n", HTTP_COMPLETE, 5},
    {"000\r\n\r\n", HTTP_COMPLETE, 7},
    {"5\r\nhello\r\n0\r\n\r\nx", HTTP_COMPLETE, 15},
    {"a\r\n0123456789\r\nA\r\n0\r\n\r\n56789\r\n0\r\n\r\n", HTTP_COMPLETE, 35},
    {"1;a=b;c=\"d e\"\r\nx\r\n0;f\r\n\r\n", HTTP_COMPLETE, 25},
    {"1;a;b=\"\\\"\\\\;\"\r\nx\r\n0\r\n\r\n", HTTP_COMPLETE, 23},
    {"0;a=\"b\";c\r\n\r\n", HTTP_COMPLETE, 13},
    {"0\r\nA: b\r\nC:\r\n\r\nx", HTTP_COMPLETE, 15},
    {"5\r\nhel", HTTP_PARTIAL, 6},
    {"0\r\n", HTTP_PARTIAL, 3},
    {"0\r\nA: b\r\n", HTTP_PARTIAL, 9},
    {"\r\n", HTTP_BAD, 0},
    {"g\r\n", HTTP_BAD, 0},
    {"0x1\r\n", HTTP_BAD, 1},
    {"-1\r\n", HTTP_BAD, 0},
    {"+1\r\n", HTTP_BAD, 0},
    {" 1\r\n", HTTP_BAD, 0},
    {"1 \r\nx\r\n", HTTP_BAD, 1},
    {"1\nx\n", HTTP_BAD, 1},
    {"1\rx", HTTP_BAD, 2},
    {"1;a\nx", HTTP_BAD, 3},
    {"1;\r\nx", HTTP_BAD, 2},
    {"1; a\r\n", HTTP_BAD, 2},
    {"1;a =b\r\n", HTTP_BAD, 3},
    {"1;a=\r\n", HTTP_BAD, 4},
    {"1;a=b\"c\"\r\n", HTTP_BAD, 5},
    {"1;a=\"b\"c\r\n", HTTP_BAD, 7},
    {"1;a=\"\r\n", HTTP_BAD, 5},
    {"1;a=\"\\\r\n", HTTP_BAD, 6},
    {"1;=b\r\n", HTTP_BAD, 2},
    {"1;a\x01\r\n", HTTP_BAD, 3},
    {"1;a\r\r\n", HTTP_BAD, 4},
    {"1\r\nxy\r\n", HTTP_BAD, 4},
    {"1\r\nx\n", HTTP_BAD, 4},
    {"1\r\nx\r0", HTTP_BAD, 5},
    {"0\r\n\n", HTTP_BAD, 3},
    {"0\r\n\rx", HTTP_BAD, 4},
    {"0\r\n A: b\r\n", HTTP_BAD, 3},
    {"0\r\nA : b\r\n", HTTP_BAD, 4},
    {"0\r\n: b\r\n", HTTP_BAD, 3},
    {"0\r\nA: b\n", HTTP_BAD, 7},
    {"0\r\nA: b\x01\r\n", HTTP_BAD, 7},
    {"7fffffffffffffff\r\nx", HTTP_PARTIAL, 19},
    {"8000000000000000\r\n", HTTP_BAD, 15},
    {"10000000000000000\r\n", HTTP_BAD, 16},
    {"ffffffffffffffffffff\r\n", HTTP_BAD, 15},
};

static void chunks(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
        size_t len = strlen(bodies[i].text);

        for (size_t size = 1; size <= len; size++) {
            size_t used;
            enum http_result result = scan(bodies[i].text, len, size, &used);

            if (result != bodies[i].result || used != bodies[i].used) {
                fail_msg("%s in pieces of %zu: result %d after %zu", bodies[i].text, size,
                         (int)result, used);
            }
        }
    }
}

static void chunk_bounds(void **state) {
    char text[HTTP_TRAILERS_MAX + 64];
    size_t used;

    (void)state;
    /* The line's CR LF counts, its last byte is the first of the next state. */
    for (int more = 0; more < 2; more++) {
        int n = HTTP_CHUNK_LINE_MAX - 1 + more;

        memset(text, 'x', sizeof(text));
        memcpy(text, "1;", 2);
        memcpy(text + n, "\r\nx\r\n0\r\n\r\n", 10);
        assert_int_equal(scan(text, (size_t)n + 10, 7, &used), more ? HTTP_BAD : HTTP_COMPLETE);
    }
    for (int more = 0; more < 2; more++) {
        int n = HTTP_CHUNK_LINE_MAX - 1 + more;

        memset(text, 'x', sizeof(text));
        memcpy(text, "0;", 2);
        memcpy(text + n, "\r\n\r\n", 4);
        assert_int_equal(scan(text, (size_t)n + 4, 7, &used), more ? HTTP_BAD : HTTP_COMPLETE);
    }
    for (int more = 0; more < 2; more++) {
        int n = 3 + HTTP_TRAILERS_MAX - 4 + more;

        memset(text, 'x', sizeof(text));
        memcpy(text, "0\r\n", 3);
        text[3 + 1] = text[3 + 5001] = ':';
        memcpy(text + 3 + 4998, "\r\n", 2);
        memcpy(text + n, "\r\n\r\n", 4);
        assert_int_equal(scan(text, (size_t)n + 4, 7, &used), more ? HTTP_BAD : HTTP_COMPLETE);
    }
}

/* Once complete it takes nothing more. */
static void chunk_end(void **state) {
    struct http_chunk chunk = {0};
    size_t used;

    (void)state;
    assert_int_equal(http_chunk_scan(&chunk, "0\r\n\r\n", 5, &used), HTTP_COMPLETE);
    assert_int_equal(http_chunk_scan(&chunk, "0\r\n\r\n", 5, &used), HTTP_COMPLETE);
    assert_int_equal(used, 0);
}

/* Decodes text in pieces of size bytes. Returns how many bytes of data it says. */
static size_t decode(const char *text, size_t len, size_t size, char *out,
                     enum http_result *ret_result, size_t *ret_used) {
    struct http_chunk chunk = {0};
    size_t n_out = 0;

    *ret_result = HTTP_PARTIAL;
    *ret_used = 0;
    for (size_t at = 0; at < len && *ret_result == HTTP_PARTIAL; at += size) {
        size_t n = size < len - at ? size : len - at, used, n_data;
        char *piece = malloc(n);

        memcpy(piece, text + at, n);
        *ret_result = http_chunk_decode(&chunk, piece, n, &used, &n_data);
        assert_true(n_data <= used && used <= n);
        memcpy(out + n_out, piece, n_data);
        n_out += n_data;
        *ret_used += used;
        free(piece);
    }
    return n_out;
}

static void decodes(void **state) {
    static const struct {
        const char *text, *data;
    } cases[] = {
        {"0\r\n\r\n", ""},
        {"5\r\nhello\r\n0\r\n\r\n", "hello"},
        {"1;a=\"\\\"\"\r\nh\r\n2\r\nel\r\n2\r\nlo\r\n0\r\nT: hello\r\n\r\nmore", "hello"},
        {"b\r\n5\r\nhello\r\n0\r\n0\r\n\r\n", "5\r\nhello\r\n0"},
        {"5\r\nhel", "hel"},
        {"2\r\nhexx", "he"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        size_t len = strlen(cases[i].text);

        for (size_t size = 1; size <= len; size++) {
            char out[64];
            enum http_result decoded, scanned;
            size_t used, scan_used, n = decode(cases[i].text, len, size, out, &decoded, &used);

            scanned = scan(cases[i].text, len, size, &scan_used);
            assert_int_equal(decoded, scanned);
            assert_int_equal(used, scan_used);
            assert_int_equal(n, strlen(cases[i].data));
            assert_memory_equal(out, cases[i].data, n);
        }
    }
    /* What is bad is bad for both, at the same byte. */
    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
        size_t len = strlen(bodies[i].text), used;
        enum http_result result;
        char out[64];

        decode(bodies[i].text, len, 3, out, &result, &used);
        assert_int_equal(result, bodies[i].result);
        assert_int_equal(used, bodies[i].used);
    }
}

/* Fields that must not come as trailers, however they are cut and spelt. */
static void trailers(void **state) {
    static const char *const names[] = {
        "Content-Length",    "TRANSFER-ENCODING", "host",      "Connection",
        "Upgrade",           "Forwarded",         "X-Real-IP", "X-Forwarded-For",
        "X-Forwarded-Proto", "X-Forwarded-Host",  "x_real_ip", "Content_Length",
    };
    static const char *const harmless[] = {"Content-Lengths", "Hos", "T", "X-Forwarded-Fo"};

    (void)state;
    for (size_t size = 1; size < 20; size++) {
        size_t used;
        char text[64];

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
            int n = snprintf(text, sizeof(text), "0\r\nA: b\r\n%s: 1\r\n\r\n", names[i]);

            assert_int_equal(scan(text, (size_t)n, size, &used), HTTP_BAD);
            assert_int_equal(used, 9 + strlen(names[i]));
        }
        for (size_t i = 0; i < ARRAY_SIZE(harmless); i++) {
            int n = snprintf(text, sizeof(text), "0\r\nA: b\r\n%s: 1\r\n\r\n", harmless[i]);

            assert_int_equal(scan(text, (size_t)n, size, &used), HTTP_COMPLETE);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks),  cmocka_unit_test(chunk_bounds), cmocka_unit_test(chunk_end),
        cmocka_unit_test(decodes), cmocka_unit_test(trailers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
