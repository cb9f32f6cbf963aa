/* The head of a request: what is accepted, how it is read, and what is refused with which status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "guard.h"
#include "http_head.h"
#include "util.h"

#define GET   "GET / HTTP/1.1\r\n"
#define HOST  "Host: a\r\n"
#define POST  "POST / HTTP/1.1\r\nHost: a\r\n"
#define POST0 "POST / HTTP/1.0\r\nHost: a\r\n"

static const struct {
    const char *text;
    unsigned status; /* 0: partial */
} refused[] = {
    /* Not HTTP at all: told at once. */
    {"\x16\x03\x01", 400},
    {"{", 400},
    {" GET / HTTP/1.1\r\n", 400},
    {"\n" GET HOST "\r\n", 400},
    {"\r\r\n", 400},
    {"\r\n\r\n\r\n", 400},
    {"SSH-2.0-x\r\n", 400},

    /* RFC 9112 3: the request line */
    {"GET\r\n", 400},
    {"GET  / HTTP/1.1\r\n", 400},
    {"GET / \r\n", 400},
    {"GET /\r\n", 400},
    {"GET / HTTP/1.1 \r\n", 400},
    {"GET /  HTTP/1.1\r\n", 400},
    {"GET\t/ HTTP/1.1\r\n", 400},
    {"GET / HTTP/1.1\n", 400},
    {"GET / HTTP/1.1\rX", 400},
    {"GET / http/1.1\r\n", 400},
    {"GET / HTTP/11\r\n", 400},
    {"GET / HTTP/1.10\r\n", 400},
    {"GET / HTTP/+1.1\r\n", 400},
    {"GET / FTP/1.1\r\n", 400},
    {"GET /\x7f HTTP/1.1\r\n", 400},
    {"GET /\x80 HTTP/1.1\r\n", 400},
    {"GET /\x01 HTTP/1.1\r\n", 400},
    {"GET /#a HTTP/1.1\r\n", 400},
    {"G@T / HTTP/1.1\r\n", 400},
    {"GET / HTTP/0.9\r\n", 505},
    {"GET / HTTP/2.0\r\n", 505},
    {"GET / HTTP/1.2\r\n", 505},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
    {"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG", 501},

    /* RFC 9112 3.2: the target's form */
    {"GET a HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET * HTTP/1.1\r\n" HOST "\r\n", 400},
    {"OPTIONS ** HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET ftp://a/ HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET http:// HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET http:/// HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET http://u@a/ HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET http://a:b/ HTTP/1.1\r\n" HOST "\r\n", 400},
    {"GET http://a/ HTTP/1.1\r\n\r\n", 400},
    {"CONNECT a:443 HTTP/1.1\r\n" HOST "\r\n", 501},

    /* RFC 9112 5: fields */
    {GET " Host: a\r\n", 400},
    {GET HOST " folded\r\n", 400},
    {GET HOST "\tfolded\r\n", 400},
    {GET "Host : a\r\n", 400},
    {GET "Host\t: a\r\n", 400},
    {GET ": a\r\n", 400},
    {GET "Host\r\n", 400},
    {GET "Ho st: a\r\n", 400},
    {GET "Host: a\n", 400},
    {GET "Host: a\rb\r\n", 400},
    {GET "Host: a\r\r\n", 400},
    {GET HOST "\n", 400},
    {GET HOST "\rX", 400},
    {GET "A: \x01\r\n", 400},
    {GET "A: \x7f\r\n", 400},
    {GET "A\x80: b\r\n", 400},
    {GET "A(b): c\r\n", 400},

    /* RFC 9110 7.2: Host */
    {GET "\r\n", 400},
    {GET HOST HOST "\r\n", 400},
    {GET "Host: a\r\nhost: b\r\n\r\n", 400},
    {"GET / HTTP/1.0\r\n" HOST HOST "\r\n", 400},
    {GET "Host: a b\r\n\r\n", 400},
    {GET "Host: a/b\r\n\r\n", 400},
    {GET "Host: u@a\r\n\r\n", 400},
    {GET "Host: a:b\r\n\r\n", 400},
    {GET "Host: a:-1\r\n\r\n", 400},
    {GET "Host: a:65536\r\n\r\n", 400},
    {GET "Host: a:4294967376\r\n\r\n", 400},
    {GET "Host: :80\r\n\r\n", 400},
    {GET "Host: a:80:80\r\n\r\n", 400},
    {GET "Host: ::1\r\n\r\n", 400},
    {GET "Host: [::1\r\n\r\n", 400},
    {GET "Host: [::1]80\r\n\r\n", 400},
    {GET "Host: [::1%eth0]\r\n\r\n", 400},
    {GET "Host: []\r\n\r\n", 400},
    {GET "Host: [v1.x]\r\n\r\n", 400},
    {GET "Host: a%4\r\n\r\n", 400},
    {GET "Host: a%zz\r\n\r\n", 400},
    {GET "Host: a\x80\r\n\r\n", 400},

    /* RFC 9112 6.3: Content-Length */
    {POST "Content-Length:\r\n\r\n", 400},
    {POST "Content-Length: -1\r\n\r\n", 400},
    {POST "Content-Length: +1\r\n\r\n", 400},
    {POST "Content-Length: 0x1\r\n\r\n", 400},
    {POST "Content-Length: 1 1\r\n\r\n", 400},
    {POST "Content-Length: 1,1\r\n\r\n", 400},
    {POST "Content-Length: 1.0\r\n\r\n", 400},
    {POST "Content-Length: 9223372036854775808\r\n\r\n", 400},
    {POST "Content-Length: 18446744073709551617\r\n\r\n", 400},
    {POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
    {POST "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},

    /* RFC 9112 6.1: Transfer-Encoding */
    {POST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400},
    {POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {POST0 "Transfer-Encoding: chunked\r\n\r\n", 400},
    {POST "Transfer-Encoding:\r\n\r\n", 400},
    {POST "Transfer-Encoding: gzip\r\n\r\n", 400},
    {POST "Transfer-Encoding: identity\r\n\r\n", 400},
    {POST "Transfer-Encoding: chunked, identity\r\n\r\n", 400},
    {POST "Transfer-Encoding: chunked, chunked\r\n\r\n", 400},
    {POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n", 400},
    {POST "Transfer-Encoding: ,chunked\r\n\r\n", 400},
    {POST "Transfer-Encoding: \"chunked\"\r\n\r\n", 400},
    {POST "Transfer-Encoding: xchunked\r\n\r\n", 400},
    {POST "Transfer-Encoding: chunked;a=b\r\n\r\n", 400},
    {POST "Transfer-Encoding: chunked\x0b\r\n\r\n", 400},
    {POST "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},

    /* RFC 9110 7.6.1, 7.8 */
    {GET HOST "Connection: a b\r\n\r\n", 400},
    {GET HOST "Connection: a/b\r\n\r\n", 400},
    {GET HOST "Upgrade: a b\r\n\r\n", 400},
    {GET HOST "Connection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q\r\n\r\n", 400},

    /* More has to come. */
    {"", 0},
    {"\r", 0},
    {"\r\n", 0},
    {"GET", 0},
    {"GET / HTTP/1.1", 0},
    {"GET / HTTP/1.1\r", 0},
    {GET, 0},
    {GET HOST, 0},
    {GET HOST "\r", 0},
    {GET "Host", 0},
    {GET "Host: a\r", 0},
};

static void refuses(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        size_t size = strlen(refused[i].text);
        struct http_head head;
        enum http_result result = http_head_parse(guarded(refused[i].text, size), size, &head);

        if (refused[i].status == 0 ? result != HTTP_PARTIAL
                                   : result != HTTP_BAD || head.status != refused[i].status) {
            fail_msg("%s: result %d, status %u", refused[i].text, (int)result, head.status);
        }
        if (result == HTTP_BAD) {
            assert_non_null(head.reason);
        }
    }
}

static void refuses_nul(void **state) {
    static const char *const texts[] = {"GET /~ HTTP/1.1\r\n", GET "A: ~\r\n", GET "A~: b\r\n",
                                        "GE~ /"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        char text[64];
        struct http_head head;

        strcpy(text, texts[i]);
        *strchr(text, '~') = '\0';
        assert_int_equal(http_head_parse(text, strlen(texts[i]), &head), HTTP_BAD);
        assert_int_equal(head.status, 400);
    }
}

struct accepted {
    const char *text;
    const char *target, *host, *authority;
    enum http_body body;
    uint64_t length;
    bool upgrade;
};

static const struct accepted accepted[] = {
    {GET HOST "\r\n", "/", "a", "a", HTTP_BODY_NONE, 0, false},
    {"\r\n\r\n" GET HOST "\r\n", "/", "a", "a", HTTP_BODY_NONE, 0, false},
    {"GET /a?b=c%20{}|\"<> HTTP/1.1\r\nHOST:\t a.B-c_d:80 \t\r\n\r\n", "/a?b=c%20{}|\"<>",
     "a.B-c_d", "a.B-c_d:80", HTTP_BODY_NONE, 0, false},
    {"GET //x HTTP/1.1\r\n" HOST "\r\n", "//x", "a", "a", HTTP_BODY_NONE, 0, false},
    {GET "Host: [::1]:80\r\n\r\n", "/", "[::1]", "[::1]:80", HTTP_BODY_NONE, 0, false},
    {GET "Host: [::ffff:1.2.3.4]\r\n\r\n", "/", "[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]",
     HTTP_BODY_NONE, 0, false},
    {GET "Host: a:\r\n\r\n", "/", "a", "a:", HTTP_BODY_NONE, 0, false},
    {GET "Host: a.\r\n\r\n", "/", "a.", "a.", HTTP_BODY_NONE, 0, false},
    {GET "Host: a%41!$&'()*+,;=~\r\n\r\n", "/", "a%41!$&'()*+,;=~", "a%41!$&'()*+,;=~",
     HTTP_BODY_NONE, 0, false},
    {GET "Host:\r\n\r\n", "/", "", "", HTTP_BODY_NONE, 0, false},
    {"GET / HTTP/1.0\r\n\r\n", "/", "", "", HTTP_BODY_NONE, 0, false},
    {"GET / HTTP/1.0\r\n" HOST "\r\n", "/", "a", "a", HTTP_BODY_NONE, 0, false},
    {"GET http://b:8/x?y HTTP/1.1\r\n" HOST "\r\n", "/x?y", "b", "b:8", HTTP_BODY_NONE, 0, false},
    {"GET HTTPS://b HTTP/1.1\r\n" HOST "\r\n", "", "b", "b", HTTP_BODY_NONE, 0, false},
    {"GET http://b?y HTTP/1.1\r\n" HOST "\r\n", "?y", "b", "b", HTTP_BODY_NONE, 0, false},
    {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "*", "a", "a", HTTP_BODY_NONE, 0, false},
    {"!#$%&'*+-.^_`|~ / HTTP/1.1\r\n" HOST "\r\n", "/", "a", "a", HTTP_BODY_NONE, 0, false},
    {GET HOST "A:\r\nB:  \r\nC: \xff\tx y\r\n\r\n", "/", "a", "a", HTTP_BODY_NONE, 0, false},
    {POST "Content-Length: 0\r\n\r\n", "/", "a", "a", HTTP_BODY_LENGTH, 0, false},
    {POST "content-length: 0042 \r\n\r\n", "/", "a", "a", HTTP_BODY_LENGTH, 42, false},
    {POST "Content-Length: 9223372036854775807\r\n\r\n", "/", "a", "a", HTTP_BODY_LENGTH, INT64_MAX,
     false},
    {POST "Transfer-Encoding: Chunked\r\n\r\n", "/", "a", "a", HTTP_BODY_CHUNKED, 0, false},
    {POST "Transfer-Encoding: chunked \r\n\r\n", "/", "a", "a", HTTP_BODY_CHUNKED, 0, false},
    {GET HOST "Connection: keep-alive, UPGRADE\r\nUpgrade: websocket\r\n\r\n", "/", "a", "a",
     HTTP_BODY_NONE, 0, true},
    {GET HOST "Connection: upgrade\r\nUpgrade: a/1, b\r\n\r\n", "/", "a", "a", HTTP_BODY_NONE, 0,
     true},
    {GET HOST "Upgrade: websocket\r\n\r\n", "/", "a", "a", HTTP_BODY_NONE, 0, false},
    {GET HOST "Connection: upgrade\r\n\r\n", "/", "a", "a", HTTP_BODY_NONE, 0, false},
    {GET HOST "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n", "/", "a", "a", HTTP_BODY_NONE, 0,
     false},
    {GET HOST "Connection: upgrade\r\nUpgrade: websocket, H2C\r\n\r\n", "/", "a", "a",
     HTTP_BODY_NONE, 0, false},
    {"GET / HTTP/1.0\r\n" HOST "Connection: upgrade\r\nUpgrade: x\r\n\r\n", "/", "a", "a",
     HTTP_BODY_NONE, 0, false},
    {POST "Connection: upgrade\r\nUpgrade: x\r\nTransfer-Encoding: chunked\r\n\r\n", "/", "a", "a",
     HTTP_BODY_CHUNKED, 0, false},
    {POST "Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 3\r\n\r\n", "/", "a", "a",
     HTTP_BODY_LENGTH, 3, true},
};

static void assert_slice(const char *data, struct http_slice slice, const char *text) {
    char got[128];

    snprintf(got, sizeof(got), "%.*s", (int)slice.len, data + slice.at);
    assert_string_equal(got, text);
}

static void accepts(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(accepted); i++) {
        const struct accepted *c = &accepted[i];
        size_t size = strlen(c->text);
        const char *data = guarded(c->text, size);
        struct http_head head;

        if (http_head_parse(data, size, &head) != HTTP_COMPLETE) {
            fail_msg("%s: %s", c->text, head.reason);
        }
        assert_int_equal(head.size, size);
        assert_slice(data, head.target, c->target);
        assert_slice(data, head.host, c->host);
        assert_slice(data, head.authority, c->authority);
        assert_int_equal(head.body, c->body);
        assert_int_equal(head.content_length, c->length);
        assert_int_equal(head.upgrade, c->upgrade);
    }
}

/* Each prefix is partial, whatever follows the head does not matter, and no byte beyond is read. */
static void prefixes(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(accepted); i++) {
        size_t size = strlen(accepted[i].text);
        size_t line = (size_t)(strstr(accepted[i].text, "HTTP/1.") - accepted[i].text) + 10;
        char more[512];
        struct http_head head;

        for (size_t n = 0; n < size; n++) {
            assert_int_equal(http_head_parse(guarded(accepted[i].text, n), n, &head), HTTP_PARTIAL);
            assert_int_equal(head.line_complete, n >= line);
        }
        snprintf(more, sizeof(more), "%s%s", accepted[i].text, "GET /next HTTP/1.1\n\n");
        assert_int_equal(http_head_parse(more, strlen(more), &head), HTTP_COMPLETE);
        assert_int_equal(head.size, size);
    }
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        struct http_head head;

        for (size_t n = 0; n < strlen(refused[i].text); n++) {
            assert_int_not_equal(http_head_parse(guarded(refused[i].text, n), n, &head),
                                 HTTP_COMPLETE);
        }
    }
}

static void methods(void **state) {
    static const struct {
        const char *text;
        bool safe, bodyless;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true, false},
        {"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", true, true},
        {"OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n", true, false},
        {"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", true, false},
        {"get / HTTP/1.1\r\nHost: a\r\n\r\n", false, false},
        {"head / HTTP/1.1\r\nHost: a\r\n\r\n", false, false},
        {"PUT / HTTP/1.1\r\nHost: a\r\n\r\n", false, false},
        {"GETT / HTTP/1.1\r\nHost: a\r\n\r\n", false, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct http_head head;

        assert_int_equal(http_head_parse(cases[i].text, strlen(cases[i].text), &head),
                         HTTP_COMPLETE);
        assert_int_equal(head.safe, cases[i].safe);
        assert_int_equal(head.bodyless_answer, cases[i].bodyless);
    }
}

/* Exactly as many as are allowed, and one more. */
static void bounds(void **state) {
    char text[4096];
    struct http_head head;

    (void)state;
    for (int more = 0; more < 2; more++) {
        int n = snprintf(text, sizeof(text), GET HOST);

        for (int i = 1; i < HTTP_FIELDS_MAX + more; i++) {
            n += snprintf(text + n, sizeof(text) - (size_t)n, "F%d: x\r\n", i);
        }
        n += snprintf(text + n, sizeof(text) - (size_t)n, "\r\n");
        assert_int_equal(http_head_parse(text, (size_t)n, &head), more ? HTTP_BAD : HTTP_COMPLETE);
        assert_int_equal(head.status, more ? 431 : 0);

        n = snprintf(text, sizeof(text), GET HOST "Connection: close, te");
        for (int i = 0; i < HTTP_OPTIONS_MAX + more; i++) {
            n += snprintf(text + n, sizeof(text) - (size_t)n, ", o%d", i);
        }
        n += snprintf(text + n, sizeof(text) - (size_t)n, "\r\n\r\n");
        assert_int_equal(http_head_parse(text, (size_t)n, &head), more ? HTTP_BAD : HTTP_COMPLETE);
        assert_int_equal(head.status, more ? 400 : 0);

        n = snprintf(text, sizeof(text), "%.*s / HTTP/1.1\r\n" HOST "\r\n", HTTP_METHOD_MAX + more,
                     "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMN");
        assert_int_equal(http_head_parse(text, (size_t)n, &head), more ? HTTP_BAD : HTTP_COMPLETE);
        assert_int_equal(head.status, more ? 501 : 0);
    }
}

/* A head of the longest size that is looked at, with one field. */
static void large(void **state) {
    enum { SIZE = 65536 };
    char *text = malloc(SIZE);
    int n = snprintf(text, SIZE, GET HOST "A: ");
    struct http_head head;

    (void)state;
    memset(text + n, 'a', (size_t)(SIZE - n));
    memcpy(text + SIZE - 4, "\r\n\r\n", 4);
    assert_int_equal(http_head_parse(guarded(text, SIZE), SIZE, &head), HTTP_COMPLETE);
    assert_int_equal(head.size, SIZE);
    assert_int_equal(head.fields[1].value.len, SIZE - n - 4);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses),  cmocka_unit_test(refuses_nul), cmocka_unit_test(accepts),
        cmocka_unit_test(prefixes), cmocka_unit_test(methods),     cmocka_unit_test(bounds),
        cmocka_unit_test(large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
