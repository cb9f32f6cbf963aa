/* The head of a request: what is accepted and how it is read. */
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

/* What is refused is in http/malformed.tsv, which test_http_malformed.c goes through. */
static const char *const partial[] = {
    "",  "\r",     "\r\n",        "GET",      "GET / HTTP/1.1", "GET / HTTP/1.1\r",
    GET, GET HOST, GET HOST "\r", GET "Host", GET "Host: a\r",
};

static void waits(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(partial); i++) {
        size_t size = strlen(partial[i]);
        struct http_head head;

        assert_int_equal(http_head_parse(guarded(partial[i], size), size, &head), HTTP_PARTIAL);
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
    {GET HOST "Connection: upgrade\r\nUpgrade: HTTP/2.0\r\n\r\n", "/", "a", "a", HTTP_BODY_NONE, 0,
     false},
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

        n = snprintf(text, sizeof(text), GET "Host: ");
        memset(text + n, 'a', HTTP_HOST_MAX + more);
        n += HTTP_HOST_MAX + more;
        n += snprintf(text + n, sizeof(text) - (size_t)n, ":%0*d\r\n\r\n", HTTP_PORT_MAX, 80);
        assert_int_equal(http_head_parse(text, (size_t)n, &head), more ? HTTP_BAD : HTTP_COMPLETE);
        assert_int_equal(head.status, more ? 400 : 0);

        n = snprintf(text, sizeof(text), GET "Host: a:%0*d\r\n\r\n", HTTP_PORT_MAX + more, 80);
        assert_int_equal(http_head_parse(text, (size_t)n, &head), more ? HTTP_BAD : HTTP_COMPLETE);

        n = 0;
        for (int i = 0; i < HTTP_EMPTY_LINES_MAX + more; i++) {
            n += snprintf(text + n, sizeof(text) - (size_t)n, "\r\n");
        }
        n += snprintf(text + n, sizeof(text) - (size_t)n, GET HOST "\r\n");
        assert_int_equal(http_head_parse(text, (size_t)n, &head), more ? HTTP_BAD : HTTP_COMPLETE);

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

static void kinds(void **state) {
    static const struct {
        const char *name;
        enum http_field_kind kind;
    } cases[] = {
        {"HOST", HTTP_FIELD_HOST},
        {"Connection", HTTP_FIELD_CONNECTION},
        {"Content-Length", HTTP_FIELD_CONTENT_LENGTH},
        {"Transfer-Encoding", HTTP_FIELD_TRANSFER_ENCODING},
        {"Upgrade", HTTP_FIELD_UPGRADE},
        {"Expect", HTTP_FIELD_EXPECT},
        {"TE", HTTP_FIELD_HOP},
        {"keep-alive", HTTP_FIELD_HOP},
        {"Proxy-Connection", HTTP_FIELD_HOP},
        {"HTTP2-Settings", HTTP_FIELD_HOP},
        {"Proxy", HTTP_FIELD_HOP},
        {"Date", HTTP_FIELD_DATE},
        {"Cookie", HTTP_FIELD_COOKIE},
        {"Accept", HTTP_FIELD_ACCEPT},
        {"uSER-aGENT", HTTP_FIELD_USER_AGENT},
        {"Sec-Fetch-Mode", HTTP_FIELD_FETCH_MODE},
        {"Sec-Fetch-Dest", HTTP_FIELD_FETCH_DEST},
        {"Forwarded", HTTP_FIELD_FORWARDED},
        {"X-Forwarded-For", HTTP_FIELD_X_FORWARDED_FOR},
        {"X_Forwarded-FOR", HTTP_FIELD_X_FORWARDED_FOR},
        {"X-Forwarded-Proto", HTTP_FIELD_X_FORWARDED_PROTO},
        {"x_forwarded_proto", HTTP_FIELD_X_FORWARDED_PROTO},
        {"X-Forwarded-Host", HTTP_FIELD_X_FORWARDED_HOST},
        {"X_FORWARDED_HOST", HTTP_FIELD_X_FORWARDED_HOST},
        {"X-Forwarded-Port", HTTP_FIELD_X_FORWARDED},
        {"X_Forwarded_Client-Cert", HTTP_FIELD_X_FORWARDED},
        {"X-Forwarded", HTTP_FIELD_X_FORWARDED},
        {"X-Forwarded-", HTTP_FIELD_X_FORWARDED},
        {"X-Real-IP", HTTP_FIELD_X_FORWARDED},
        {"X_Real_IP", HTTP_FIELD_X_FORWARDED},
        {"X-Forwardedx", HTTP_FIELD_OTHER},
        {"X-Forwarde", HTTP_FIELD_OTHER},
        {"Keep_Alive", HTTP_FIELD_OTHER},
        {"User_Agent", HTTP_FIELD_OTHER},
        {"Sec-Fetch-Site", HTTP_FIELD_OTHER},
        {"Hosts", HTTP_FIELD_OTHER},
        {"Hos", HTTP_FIELD_OTHER},
        {"Content-Type", HTTP_FIELD_OTHER},
        {"Transfer-Encodings", HTTP_FIELD_OTHER},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const char *value = cases[i].kind == HTTP_FIELD_TRANSFER_ENCODING ? "chunked" : "1";
        char text[256];
        struct http_head head;
        int n = snprintf(text, sizeof(text), "GET http://a HTTP/1.0\r\n%s: %s\r\n\r\n",
                         cases[i].name, value);

        if (cases[i].kind == HTTP_FIELD_TRANSFER_ENCODING) {
            n = snprintf(text, sizeof(text), POST "%s: %s\r\n\r\n", cases[i].name, value);
        }
        assert_int_equal(http_head_parse(text, (size_t)n, &head), HTTP_COMPLETE);
        if (head.fields[head.n_fields - 1].kind != cases[i].kind) {
            fail_msg("%s: kind %d", cases[i].name, (int)head.fields[head.n_fields - 1].kind);
        }
        assert_ptr_equal(http_field_find(&head, cases[i].kind), &head.fields[head.n_fields - 1]);
        assert_null(http_field_find(&head, HTTP_FIELD_KINDS));
    }
}

/* RFC 9112 9.3 */
static void persistence(void **state) {
    static const struct {
        const char *text;
        bool persistent;
    } cases[] = {
        {GET HOST "\r\n", true},
        {GET HOST "Connection: keep-alive\r\n\r\n", true},
        {GET HOST "Connection: close\r\n\r\n", false},
        {GET HOST "Connection: a, CLOSE ,b\r\n\r\n", false},
        {GET HOST "Connection: keep-alive\r\nConnection: close\r\n\r\n", false},
        {GET HOST "Connection: closed\r\n\r\n", true},
        {GET HOST "Proxy-Connection: close\r\n\r\n", true},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nKeep-Alive: timeout=5\r\n\r\n", false},
        {POST0 "Connection: keep-alive\r\nContent-Length: 1\r\n\r\n", true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct http_head head;

        assert_int_equal(http_head_parse(cases[i].text, strlen(cases[i].text), &head),
                         HTTP_COMPLETE);
        assert_int_equal(head.persistent, cases[i].persistent);
    }
}

/* Of what Connection lists only fields that we know nothing about are taken away. */
static void options(void **state) {
    static const char text[] =
        GET HOST "Connection: close, x-a, Host ,, content-length,X_Forwarded_For\r\n"
                 "Connection: transfer-encoding, cookie, forwarded, x-real-ip, te, X-B\r\n"
                 "Connection: accept, user-agent, date, keep-alive, upgrade, expect,\r\n\r\n";
    struct http_head head;

    (void)state;
    assert_int_equal(http_head_parse(text, sizeof(text) - 1, &head), HTTP_COMPLETE);
    assert_int_equal(head.n_options, 2);
    assert_slice(text, head.options[0], "x-a");
    assert_slice(text, head.options[1], "X-B");
}

static void paths(void **state) {
    static const struct {
        const char *text, *path;
    } cases[] = {
        {"GET /a/b HTTP/1.1\r\nHost: a\r\n\r\n", "/a/b"},
        {"GET /a?b?c/d HTTP/1.1\r\nHost: a\r\n\r\n", "/a"},
        {"GET /? HTTP/1.1\r\nHost: a\r\n\r\n", "/"},
        {"GET http://b/c/../%2e%2E/d?e HTTP/1.1\r\nHost: a\r\n\r\n", "/c/../%2e%2E/d"},
        {"GET http://b?c HTTP/1.1\r\nHost: a\r\n\r\n", ""},
        {"GET http://b HTTP/1.1\r\nHost: a\r\n\r\n", ""},
        {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct http_head head;

        assert_int_equal(http_head_parse(cases[i].text, strlen(cases[i].text), &head),
                         HTTP_COMPLETE);
        assert_slice(cases[i].text, head.path, cases[i].path);
    }
}

/* A byte that must not be there is found wherever it stands among the words of eight. */
static void words(void **state) {
    static const char bad[] = {0, 1, '\n', '\r', 0x1f, 0x7f};

    (void)state;
    for (size_t at = 0; at < 40; at++) {
        for (size_t i = 0; i < sizeof(bad); i++) {
            char text[128];
            struct http_head head;
            int n = snprintf(text, sizeof(text), GET HOST "A: ");

            memset(text + n, (int)(0x80 + at), 40);
            text[(size_t)n + at] = bad[i];
            memcpy(text + n + 40, "\r\n\r\n", 4);
            assert_int_equal(http_head_parse(guarded(text, (size_t)n + 44), (size_t)n + 44, &head),
                             HTTP_BAD);
            text[(size_t)n + at] = '\t';
            assert_int_equal(http_head_parse(guarded(text, (size_t)n + 44), (size_t)n + 44, &head),
                             HTTP_COMPLETE);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits),   cmocka_unit_test(accepts),     cmocka_unit_test(prefixes),
        cmocka_unit_test(methods), cmocka_unit_test(bounds),      cmocka_unit_test(large),
        cmocka_unit_test(kinds),   cmocka_unit_test(persistence), cmocka_unit_test(options),
        cmocka_unit_test(paths),   cmocka_unit_test(words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
