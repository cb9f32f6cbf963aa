/* The head of a backend's answer: where its body ends, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "guard.h"
#include "http_answer.h"
#include "util.h"

#define OK   "HTTP/1.1 200 OK\r\n"
#define OK0  "HTTP/1.0 200 OK\r\n"
#define TE   "Transfer-Encoding: chunked\r\n"
#define LEN5 "Content-Length: 5\r\n"

enum { TO_GET, TO_HEAD, TO_UPGRADE };

static enum http_result parse(const char *text, size_t size, int to,
                              struct http_answer *ret_answer) {
    return http_answer_parse(guarded(text, size), size, to == TO_HEAD, to == TO_UPGRADE,
                             ret_answer);
}

static const struct accepted {
    const char *text;
    int to;
    unsigned code;
    enum http_end end;
    uint64_t length; /* UINT64_MAX: there is no Content-Length */
    bool persistent;
    const char *phrase;
} accepted[] = {
    {OK LEN5 "\r\n", TO_GET, 200, HTTP_END_LENGTH, 5, true, "OK"},
    {OK "Content-Length: 0\r\n\r\n", TO_GET, 200, HTTP_END_LENGTH, 0, true, "OK"},
    {OK TE "\r\n", TO_GET, 200, HTTP_END_CHUNKED, UINT64_MAX, true, "OK"},
    {OK "transfer-encoding:CHUNKED\r\n\r\n", TO_GET, 200, HTTP_END_CHUNKED, UINT64_MAX, true, "OK"},
    {OK "\r\n", TO_GET, 200, HTTP_END_CLOSE, UINT64_MAX, false, "OK"},
    {OK "Connection: keep-alive\r\n\r\n", TO_GET, 200, HTTP_END_CLOSE, UINT64_MAX, false, "OK"},
    {OK LEN5 "Connection: close\r\n\r\n", TO_GET, 200, HTTP_END_LENGTH, 5, false, "OK"},
    {OK TE "Connection: x, Close\r\n\r\n", TO_GET, 200, HTTP_END_CHUNKED, UINT64_MAX, false, "OK"},
    {OK0 LEN5 "\r\n", TO_GET, 200, HTTP_END_LENGTH, 5, false, "OK"},
    {OK0 LEN5 "Connection: Keep-Alive\r\n\r\n", TO_GET, 200, HTTP_END_LENGTH, 5, true, "OK"},
    {OK0 LEN5 "Connection: Keep-Alive, close\r\n\r\n", TO_GET, 200, HTTP_END_LENGTH, 5, false,
     "OK"},
    {OK LEN5 "Connection: a b\r\n\r\n", TO_GET, 200, HTTP_END_LENGTH, 5, false, "OK"},

    /* RFC 9112 4: a phrase may be missing, and says nothing. RFC 9110 2.5: HTTP/1.2 is 1.1 to us. */
    {"HTTP/1.1 200 \r\n" LEN5 "\r\n", TO_GET, 200, HTTP_END_LENGTH, 5, true, ""},
    {"HTTP/1.1 200\r\n" LEN5 "\r\n", TO_GET, 200, HTTP_END_LENGTH, 5, true, ""},
    {"HTTP/1.1 599 A \xff b\tc \r\n" LEN5 "\r\n", TO_GET, 599, HTTP_END_LENGTH, 5, true,
     "A \xff b\tc"},
    {"HTTP/1.2 200 OK\r\n" LEN5 "\r\n", TO_GET, 200, HTTP_END_LENGTH, 5, true, "OK"},

    /* Lenient: LF alone (RFC 9112 2.2), white space before a colon (5.1), repeated lengths (6.3). */
    {"HTTP/1.1 200 OK\nContent-Length: 5\n\n", TO_GET, 200, HTTP_END_LENGTH, 5, true, "OK"},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\n\r\n", TO_GET, 200, HTTP_END_LENGTH, 5, true, "OK"},
    {OK "Content-Length : 5\r\n\r\n", TO_GET, 200, HTTP_END_LENGTH, 5, true, "OK"},
    {OK "Transfer-Encoding\t: chunked\r\n\r\n", TO_GET, 200, HTTP_END_CHUNKED, UINT64_MAX, true,
     "OK"},
    {OK LEN5 LEN5 "\r\n", TO_GET, 200, HTTP_END_LENGTH, 5, true, "OK"},
    {OK "Content-Length: 5, 05 ,5\r\n" LEN5 "\r\n", TO_GET, 200, HTTP_END_LENGTH, 5, true, "OK"},
    {OK "Content_Length: 7\r\n" LEN5 "\r\n", TO_GET, 200, HTTP_END_LENGTH, 5, true, "OK"},

    /* RFC 9112 6.3 (1): no body whatever the fields say. */
    {OK LEN5 "\r\n", TO_HEAD, 200, HTTP_END_NONE, 5, true, "OK"},
    {OK TE "\r\n", TO_HEAD, 200, HTTP_END_NONE, UINT64_MAX, true, "OK"},
    {OK "\r\n", TO_HEAD, 200, HTTP_END_NONE, UINT64_MAX, true, "OK"},
    {"HTTP/1.1 304 x\r\n" LEN5 "\r\n", TO_GET, 304, HTTP_END_NONE, 5, true, "x"},
    {"HTTP/1.1 304 x\r\n" TE "\r\n", TO_GET, 304, HTTP_END_NONE, UINT64_MAX, true, "x"},
    {"HTTP/1.1 204 x\r\n\r\n", TO_GET, 204, HTTP_END_NONE, UINT64_MAX, true, "x"},
    {"HTTP/1.1 204 x\r\nContent-Length: 0\r\n\r\n", TO_GET, 204, HTTP_END_NONE, 0, true, "x"},
    {"HTTP/1.1 204 x\r\n" LEN5 "\r\n", TO_GET, 204, HTTP_END_NONE, 5, false, "x"},
    {"HTTP/1.1 204 x\r\n" TE "\r\n", TO_GET, 204, HTTP_END_NONE, UINT64_MAX, false, "x"},
    {"HTTP/1.1 205 x\r\n\r\n", TO_GET, 205, HTTP_END_CLOSE, UINT64_MAX, false, "x"},
    {"HTTP/1.1 100 Continue\r\n\r\n", TO_GET, 100, HTTP_END_NONE, UINT64_MAX, true, "Continue"},
    {"HTTP/1.1 199 x\r\nContent-Length: 0\r\n\r\n", TO_HEAD, 199, HTTP_END_NONE, 0, true, "x"},
    {"HTTP/1.1 101 x\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n", TO_UPGRADE, 101, HTTP_END_NONE,
     UINT64_MAX, false, "x"},
    {OK LEN5 "\r\n", TO_UPGRADE, 200, HTTP_END_LENGTH, 5, true, "OK"},
};

static const struct {
    const char *text;
    int to;
} refused[] = {
    /* RFC 9112 4: the status line */
    {"SSH-2.0-x\r\n", TO_GET},
    {"\r\n" OK LEN5 "\r\n", TO_GET},
    {" " OK, TO_GET},
    {"HTTP/2.0 200 OK\r\n\r\n", TO_GET},
    {"HTTP/0.9 200 OK\r\n\r\n", TO_GET},
    {"http/1.1 200 OK\r\n\r\n", TO_GET},
    {"HTTP/1.1  200 OK\r\n\r\n", TO_GET},
    {"HTTP/1.1 20 OK\r\n\r\n", TO_GET},
    {"HTTP/1.1 2000 OK\r\n\r\n", TO_GET},
    {"HTTP/1.1 200OK\r\n\r\n", TO_GET},
    {"HTTP/1.1 +20 OK\r\n\r\n", TO_GET},
    {"HTTP/1.1 099 x\r\n\r\n", TO_GET},
    {"HTTP/1.1 600 x\r\n\r\n", TO_GET},
    {"HTTP/1.1 000 x\r\n\r\n", TO_GET},
    {"HTTP/1.1\r\n\r\n", TO_GET},
    {"HTTP/1.1 200 a\rb\r\n\r\n", TO_GET},
    {"HTTP/1.1 200 a\x01\r\n\r\n", TO_GET},
    {"HTTP/1.1 200 OK\r\r\n\r\n", TO_GET},

    /* RFC 9112 5: fields */
    {OK "A: b\r\n c\r\n\r\n", TO_GET},
    {OK "A: b\r\n\tc\r\n\r\n", TO_GET},
    {OK " A: b\r\n\r\n", TO_GET},
    {OK "A: b\rc\r\n\r\n", TO_GET},
    {OK "A: \x01\r\n\r\n", TO_GET},
    {OK "A\r\n\r\n", TO_GET},
    {OK "A b: c\r\n\r\n", TO_GET},
    {OK ": c\r\n\r\n", TO_GET},
    {OK " : c\r\n\r\n", TO_GET},
    {OK "A: b\r\n\rX", TO_GET},

    /* RFC 9112 6.3 (5): Content-Length */
    {OK "Content-Length:\r\n\r\n", TO_GET},
    {OK "Content-Length: -1\r\n\r\n", TO_GET},
    {OK "Content-Length: 5x\r\n\r\n", TO_GET},
    {OK "Content-Length: 5 5\r\n\r\n", TO_GET},
    {OK "Content-Length: 0x5\r\n\r\n", TO_GET},
    {OK "Content-Length: 9223372036854775808\r\n\r\n", TO_GET},
    {OK "Content-Length: 5, 6\r\n\r\n", TO_GET},
    {OK "Content-Length: 5,\r\n\r\n", TO_GET},
    {OK "Content-Length: ,5\r\n\r\n", TO_GET},
    {OK LEN5 "Content-Length: 6\r\n\r\n", TO_GET},
    {OK LEN5 "Content-Length:\r\n\r\n", TO_GET},
    {OK LEN5 "Content-Length: 6\r\n\r\n", TO_HEAD},
    {"HTTP/1.1 304 x\r\nContent-Length: x\r\n\r\n", TO_GET},
    {"HTTP/1.1 204 x\r\nContent-Length: x\r\n\r\n", TO_GET},

    /* RFC 9112 6.3 (3, 4), 6.1: Transfer-Encoding */
    {OK TE LEN5 "\r\n", TO_GET},
    {OK LEN5 TE "\r\n", TO_GET},
    {OK TE LEN5 "\r\n", TO_HEAD},
    {OK0 TE "\r\n", TO_GET},
    {OK "Transfer-Encoding:\r\n\r\n", TO_GET},
    {OK "Transfer-Encoding: gzip\r\n\r\n", TO_GET},
    {OK "Transfer-Encoding: identity\r\n\r\n", TO_GET},
    {OK "Transfer-Encoding: gzip, chunked\r\n\r\n", TO_GET},
    {OK "Transfer-Encoding: chunked, gzip\r\n\r\n", TO_GET},
    {OK "Transfer-Encoding: chunked,\r\n\r\n", TO_GET},
    {OK "Transfer-Encoding: chunked;a=b\r\n\r\n", TO_GET},
    {OK TE TE "\r\n", TO_GET},

    /* RFC 9110 15.2 */
    {"HTTP/1.1 100 x\r\n" LEN5 "\r\n", TO_GET},
    {"HTTP/1.1 103 x\r\n" TE "\r\n", TO_GET},
    {"HTTP/1.1 101 x\r\n" LEN5 "\r\n", TO_UPGRADE},
    {"HTTP/1.1 101 x\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n", TO_GET},
    {"HTTP/1.1 101 x\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n", TO_HEAD},

    {OK LEN5 "Connection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q\r\n\r\n", TO_GET},
};

static void accepts(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(accepted); i++) {
        const struct accepted *c = &accepted[i];
        struct http_answer answer;

        if (parse(c->text, strlen(c->text), c->to, &answer) != HTTP_COMPLETE) {
            fail_msg("%s: %s", c->text, answer.reason);
        }
        assert_int_equal(answer.size, strlen(c->text));
        assert_int_equal(answer.code, c->code);
        assert_int_equal(answer.end, c->end);
        assert_int_equal(answer.has_length, c->length != UINT64_MAX);
        assert_int_equal(answer.content_length, answer.has_length ? c->length : 0);
        assert_int_equal(answer.interim, c->code < 200 && c->code != 101);
        assert_int_equal(answer.upgrade, c->code == 101);
        if (answer.persistent != c->persistent) {
            fail_msg("%s: persistent: %d", c->text, answer.persistent);
        }
        assert_int_equal(answer.phrase.len, strlen(c->phrase));
        assert_memory_equal(c->text + answer.phrase.at, c->phrase, answer.phrase.len);
    }
}

static void refuses(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        struct http_answer answer;

        if (parse(refused[i].text, strlen(refused[i].text), refused[i].to, &answer) != HTTP_BAD) {
            fail_msg("accepted: %s", refused[i].text);
        }
        assert_non_null(answer.reason);
    }
}

static void refuses_nul(void **state) {
    static const char *const texts[] = {"HTTP/1.1 200 ~\r\n", OK "A: ~\r\n", OK "A~: b\r\n",
                                        "HTTP/1.1 200~\r\n", OK "~\r\n"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        char text[64];
        struct http_answer answer;

        strcpy(text, texts[i]);
        *strchr(text, '~') = '\0';
        assert_int_equal(parse(text, strlen(texts[i]), TO_GET, &answer), HTTP_BAD);
    }
}

/* Each prefix is partial, what follows does not matter, and no byte beyond is read. */
static void prefixes(void **state) {
    struct http_answer answer;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(accepted); i++) {
        size_t size = strlen(accepted[i].text);
        char more[512];

        for (size_t n = 0; n < size; n++) {
            assert_int_equal(parse(accepted[i].text, n, accepted[i].to, &answer), HTTP_PARTIAL);
        }
        snprintf(more, sizeof(more), "%s%s", accepted[i].text, " HTTP/1.1 200 OK\n\n");
        assert_int_equal(parse(more, strlen(more), accepted[i].to, &answer), HTTP_COMPLETE);
        assert_int_equal(answer.size, size);
    }
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        for (size_t n = 0; n < strlen(refused[i].text); n++) {
            assert_int_not_equal(parse(refused[i].text, n, refused[i].to, &answer), HTTP_COMPLETE);
        }
    }
}

static void bounds(void **state) {
    char text[4096];
    struct http_answer answer;

    (void)state;
    for (int more = 0; more < 2; more++) {
        int n = snprintf(text, sizeof(text), OK);

        for (int i = 0; i < HTTP_FIELDS_MAX + more; i++) {
            n += snprintf(text + n, sizeof(text) - (size_t)n, "F%d: x\r\n", i);
        }
        n += snprintf(text + n, sizeof(text) - (size_t)n, "\r\n");
        assert_int_equal(parse(text, (size_t)n, TO_GET, &answer), more ? HTTP_BAD : HTTP_COMPLETE);

        n = snprintf(text, sizeof(text), OK "Connection: close");
        for (int i = 0; i < HTTP_OPTIONS_MAX + more; i++) {
            n += snprintf(text + n, sizeof(text) - (size_t)n, ", o%d", i);
        }
        n += snprintf(text + n, sizeof(text) - (size_t)n, "\r\n\r\n");
        assert_int_equal(parse(text, (size_t)n, TO_GET, &answer), more ? HTTP_BAD : HTTP_COMPLETE);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts),  cmocka_unit_test(refuses), cmocka_unit_test(refuses_nul),
        cmocka_unit_test(prefixes), cmocka_unit_test(bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
