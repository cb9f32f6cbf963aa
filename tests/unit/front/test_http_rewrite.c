/* What a backend gets instead of what the client sent, and the front's own answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "http_rewrite.h"
#include "util.h"

static const struct {
    const char *in, *out;
} cases[] = {
    {"GET /a?b HTTP/1.1\r\nhost:a.test\r\nAccept: */*\r\n\r\n",
     "GET /a?b HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nAccept: */*\r\n\r\n"},
    /* The version stays: an HTTP/1.0 client could not read a chunked answer. */
    {"GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\nConnection: close\r\n\r\n"},
    {"GET / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nConnection: keep-alive\r\n\r\n",
     "GET / HTTP/1.0\r\nHost: a\r\nConnection: close\r\n\r\n"},
    /* Absolute form: the target's host, not the field's. */
    {"GET http://b:81/x HTTP/1.1\r\nHost: a\r\n\r\n",
     "GET /x HTTP/1.1\r\nHost: b:81\r\nConnection: close\r\n\r\n"},
    {"GET http://b HTTP/1.1\r\nHost: a\r\n\r\n",
     "GET / HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n"},
    {"GET http://b?c HTTP/1.1\r\nHost: a\r\n\r\n",
     "GET /?c HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n"},
    {"OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n",
     "OPTIONS * HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n"},
    {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
     "OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"},
    /* One framing, in one form. */
    {"POST / HTTP/1.1\r\nHost: a\r\nX: y\r\nCONTENT-LENGTH:  007\r\n\r\n",
     "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 7\r\nX: y\r\n\r\n"},
    {"POST / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: CHUNKED\r\nTrailer: T\r\n\r\n",
     "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
     "Trailer: T\r\n\r\n"},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n",
     "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n"
     "Expect: 100-continue\r\n\r\n"},
    /* What was for this hop; Connection cannot take away what the front itself writes. */
    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: x-a, Host\r\nConnection: close,,X-B\r\n"
     "X-A: 1\r\nx-b: 2\r\nX-C: 3\r\nKeep-Alive: 1\r\nTE: trailers\r\nProxy-Connection: x\r\n"
     "HTTP2-Settings: x\r\nUpgrade: h2c\r\n\r\n",
     "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-C: 3\r\n\r\n"},
    {"POST / HTTP/1.1\r\nHost: a\r\nConnection: content-length\r\nContent-Length: 5\r\n\r\n",
     "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\n"},
    /* An upgrade, and one that is none. */
    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
     "Sec-WebSocket-Key: k\r\n\r\n",
     "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
     "Sec-WebSocket-Key: k\r\n\r\n"},
    {"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
     "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"},
};

static void rewrites(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct http_head head;
        size_t size = strlen(cases[i].in);
        char *out = malloc(size + HTTP_REWRITE_GROWTH + 1);
        ssize_t n;

        assert_int_equal(http_head_parse(cases[i].in, size, &head), HTTP_COMPLETE);
        n = http_rewrite(cases[i].in, &head, out, size + HTTP_REWRITE_GROWTH);
        assert_true(n > 0);
        out[n] = '\0';
        assert_string_equal(out, cases[i].out);

        /* What was written is read again as the same, and written as the same. */
        assert_int_equal(http_head_parse(out, (size_t)n, &head), HTTP_COMPLETE);
        assert_int_equal(head.size, n);
        assert_int_equal(http_rewrite(cases[i].in, &head, out, size), -ENOBUFS);
        free(out);
    }
}

/* As many fields as there may be, each of which grows by a space. */
static void growth(void **state) {
    char in[8192], out[sizeof(in) + HTTP_REWRITE_GROWTH];
    int n = snprintf(in, sizeof(in), "OPTIONS http://a HTTP/1.0\r\nContent-Length:1\r\n");
    struct http_head head;
    ssize_t written;

    (void)state;
    for (int i = 1; i < HTTP_FIELDS_MAX; i++) {
        n += snprintf(in + n, sizeof(in) - (size_t)n, "F:x\r\n");
    }
    n += snprintf(in + n, sizeof(in) - (size_t)n, "\r\n");
    assert_int_equal(http_head_parse(in, (size_t)n, &head), HTTP_COMPLETE);
    written = http_rewrite(in, &head, out, (size_t)n + HTTP_REWRITE_GROWTH);
    assert_true(written > n && written <= n + HTTP_REWRITE_GROWTH);
}

static void answers(void **state) {
    static const unsigned statuses[] = {400, 404, 408, 414, 431, 501, 502, 503, 504, 505};
    char long_reason[PROTO_TEXT_MAX], long_name[PROTO_NAME_MAX];

    (void)state;
    memset(long_reason, '\n', sizeof(long_reason));
    memset(long_name, 'n', sizeof(long_name));
    long_reason[sizeof(long_reason) - 1] = long_name[sizeof(long_name) - 1] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
        char text[ANSWER_MAX + 1], expected[32];
        const char *body, *length;
        size_t size = answer_write(text, statuses[i], long_name, long_reason, false);

        assert_true(size < ANSWER_MAX);
        text[size] = '\0';
        snprintf(expected, sizeof(expected), "HTTP/1.1 %u ", statuses[i]);
        assert_memory_equal(text, expected, strlen(expected));
        assert_null(strstr(text, " Error\r\n"));
        body = strstr(text, "\r\n\r\n") + 4;
        length = strstr(text, "Content-Length: ");
        assert_int_equal(strtoul(length + 16, NULL, 10), strlen(body));
        assert_non_null(strstr(text, "Connection: close\r\n"));
        assert_non_null(strstr(text, "Cache-Control: no-store\r\n"));
        assert_int_equal(strstr(text, "Retry-After: 5\r\n") != NULL,
                         statuses[i] == 503 || statuses[i] == 504);

        /* HEAD: the same but for the body. */
        size = answer_write(text, statuses[i], long_name, long_reason, true);
        text[size] = '\0';
        assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
    }
    assert_int_equal(answer_status_of(PROTO_FAILURE_TIMEOUT), 504);
    assert_int_equal(answer_status_of(PROTO_FAILURE_DOCKER), 503);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rewrites),
        cmocka_unit_test(growth),
        cmocka_unit_test(answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
