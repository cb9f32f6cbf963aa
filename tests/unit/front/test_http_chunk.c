/* Where a chunked body ends, and the status of an answer that passes by: in pieces of every size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "guard.h"
#include "http_chunk.h"
#include "http_status.h"
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
    {"1;a=b;c=\"d e\"\r\nx\r\n0;\r\n\r\n", HTTP_COMPLETE, 24},
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

static void statuses(void **state) {
    static const struct {
        const char *text;
        enum http_result result;
        unsigned code;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\n", HTTP_COMPLETE, 200},
        {"HTTP/1.0 204\r\n", HTTP_COMPLETE, 204},
        {"HTTP/1.1 101 Switching Protocols\r\n", HTTP_COMPLETE, 101},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 x\r\n", HTTP_COMPLETE, 101},
        {"HTTP/1.1 103 x\r\nLink: a\r\n\r\nHTTP/1.1 100\r\n\r\nHTTP/1.1 404 x", HTTP_COMPLETE, 404},
        {"HTTP/1.1 100\n\nHTTP/1.1 200 ", HTTP_COMPLETE, 200},
        {"HTTP/1.1 100 x\r\nA: b\r\n", HTTP_PARTIAL, 100},
        {"HTTP/1.1 20", HTTP_PARTIAL, 20},
        {"HTTP/2 200 ", HTTP_BAD, 0},
        {"HTTP/1.1 2000", HTTP_BAD, 0},
        {"SSH-2.0", HTTP_BAD, 0},
        {"HTTP/1.1 100 x\r\n\r\nx", HTTP_BAD, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        size_t len = strlen(cases[i].text);

        for (size_t size = 1; size <= len; size++) {
            struct http_status status = {0};
            enum http_result result = HTTP_PARTIAL;

            for (size_t at = 0; at < len && result == HTTP_PARTIAL; at += size) {
                size_t n = size < len - at ? size : len - at;

                result = http_status_scan(&status, guarded(cases[i].text + at, n), n);
            }
            assert_int_equal(result, cases[i].result);
            if (result == HTTP_COMPLETE) {
                assert_int_equal(status.code, cases[i].code);
            }
        }
    }
}

static void status_bound(void **state) {
    struct http_status status = {0};
    static const char first[] = "HTTP/1.1 100 ";
    size_t n = sizeof(first) - 1;

    (void)state;
    assert_int_equal(http_status_scan(&status, first, n), HTTP_PARTIAL);
    for (; n < HTTP_INTERIM_MAX; n++) {
        assert_int_equal(http_status_scan(&status, "x", 1), HTTP_PARTIAL);
    }
    assert_int_equal(http_status_scan(&status, "x", 1), HTTP_BAD);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks),   cmocka_unit_test(chunk_bounds), cmocka_unit_test(chunk_end),
        cmocka_unit_test(statuses), cmocka_unit_test(status_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
