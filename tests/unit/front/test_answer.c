/* The answers that the front gives itself, to the letter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "http_answer.h"
#include "util.h"

#define PLAIN "Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"
#define STORE "Cache-Control: no-store\r\n"

/* The answer, with its Date taken out, which has to be there and in its place. */
static const char *text_of(const struct answer *answer) {
    static char text[ANSWER_MAX + 1];
    char out[ANSWER_MAX];
    size_t size = answer_write(out, answer);
    char *date, *end;

    assert_true(size < ANSWER_MAX);
    memcpy(text, out, size);
    text[size] = '\0';
    assert_int_equal(strlen(text), size);
    date = strstr(text, "Date: ");
    assert_non_null(date);
    assert_ptr_equal(date, strstr(text, "\r\n") + 2);
    end = strstr(date, " GMT\r\n");
    assert_int_equal(end - date, sizeof("Date: Mon, 23 Nov 2026 05:13:26") - 1);
    memmove(date, end + 6, strlen(end + 6) + 1);
    return text;
}

static const struct {
    struct answer answer;
    const char *want;
} cases[] = {
    {{.status = 404, .reason = "no app has this host name"},
     "HTTP/1.1 404 Not Found\r\n" PLAIN "Content-Length: 41\r\n" STORE
     "Connection: close\r\n\r\n404 Not Found\nno app has this host name.\n"},
    {{.status = 404, .reason = "x", .persistent = true},
     "HTTP/1.1 404 Not Found\r\n" PLAIN "Content-Length: 17\r\n" STORE "\r\n404 Not Found\nx.\n"},
    {{.status = 404, .reason = "x", .persistent = true, .old = true},
     "HTTP/1.1 404 Not Found\r\n" PLAIN "Content-Length: 17\r\n" STORE
     "Connection: keep-alive\r\n\r\n404 Not Found\nx.\n"},
    {{.status = 404, .reason = "x", .old = true},
     "HTTP/1.1 404 Not Found\r\n" PLAIN "Content-Length: 17\r\n" STORE
     "Connection: close\r\n\r\n404 Not Found\nx.\n"},
    /* HEAD: the length of what GET would get */
    {{.status = 404, .reason = "x", .bodyless = true},
     "HTTP/1.1 404 Not Found\r\n" PLAIN "Content-Length: 17\r\n" STORE "Connection: close\r\n\r\n"},
    /* Retry-After where a later try may go better, or where it is asked for */
    {{.status = 503, .subject = "blog", .reason = "it is full"},
     "HTTP/1.1 503 Service Unavailable\r\n" PLAIN "Content-Length: 42\r\n" STORE
     "Retry-After: 5\r\nConnection: close\r\n\r\n503 Service Unavailable\nblog: it is full.\n"},
    {{.status = 504, .reason = "x", .state = "failed"},
     "HTTP/1.1 504 Gateway Timeout\r\n" PLAIN "Content-Length: 23\r\n" STORE
     "Retry-After: 5\r\nDockwake-State: failed\r\nConnection: close\r\n\r\n504 Gateway "
     "Timeout\nx.\n"},
    {{.status = 503, .reason = "x", .retry_after = 1},
     "HTTP/1.1 503 Service Unavailable\r\n" PLAIN "Content-Length: 27\r\n" STORE
     "Retry-After: 1\r\nConnection: close\r\n\r\n503 Service Unavailable\nx.\n"},
    {{.status = 429, .reason = "x", .retry_after = 4294967295U},
     "HTTP/1.1 429 Too Many Requests\r\n" PLAIN "Content-Length: 25\r\n" STORE
     "Retry-After: 4294967295\r\nConnection: close\r\n\r\n429 Too Many Requests\nx.\n"},
    /* Statuses with a form of their own */
    {{.status = 405, .reason = "x"},
     "HTTP/1.1 405 Method Not Allowed\r\n" PLAIN "Content-Length: 26\r\n" STORE
     "Allow: GET, HEAD\r\nConnection: close\r\n\r\n405 Method Not Allowed\nx.\n"},
    {{.status = 204, .reason = "x", .persistent = true},
     "HTTP/1.1 204 No Content\r\n" STORE "\r\n"},
    {{.status = 302, .location = "/start?a=%20#b", .persistent = true},
     "HTTP/1.1 302 Found\r\n" PLAIN "Content-Length: 28\r\n" STORE
     "Location: /start?a=%20#b\r\n\r\n302 Found\nsee the Location.\n"},
    {{.status = 302, .location = "http://a/\r\nX: y", .bodyless = true},
     "HTTP/1.1 302 Found\r\n" PLAIN "Content-Length: 28\r\n" STORE
     "Connection: close\r\nLocation: http://a/\r\n\r\n"},
    {{.status = 418, .reason = "x"},
     "HTTP/1.1 418 \r\n" PLAIN "Content-Length: 7\r\n" STORE "Connection: close\r\n\r\n418\nx.\n"},
    /* Words of others */
    {{.status = 502, .subject = "a\nb", .reason = "\x1b[1mno\r\nX: y\xff \xc3\xbc"},
     "HTTP/1.1 502 Bad Gateway\r\n" PLAIN "Content-Length: 41\r\n" STORE
     "Connection: close\r\n\r\n502 Bad Gateway\na b:  [1mno  X: y\xef\xbf\xbd \xc3\xbc.\n"},
};

static void answers_to_the_letter(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_string_equal(text_of(&cases[i].answer), cases[i].want);
    }
}

static void all_are_bounded(void **state) {
    static char subject[4096], reason[4096], location[4096];
    struct answer answer = {.subject = subject,
                            .reason = reason,
                            .location = location,
                            .retry_after = 4294967295U,
                            .old = true,
                            .persistent = true};

    (void)state;
    memset(subject, '\xff', sizeof(subject) - 1);
    memset(reason, 'r', sizeof(reason) - 1);
    memset(location, '/', sizeof(location) - 1);
    for (answer.status = 100; answer.status < 600; answer.status++) {
        char out[ANSWER_MAX];
        static struct http_answer parsed;
        size_t size = answer_write(out, &answer);

        assert_true(size < ANSWER_MAX);
        if (answer.status >= 200) {
            assert_int_equal(http_answer_parse(out, size, false, false, &parsed), HTTP_COMPLETE);
            assert_int_equal(parsed.end == HTTP_END_LENGTH ? parsed.content_length : 0,
                             size - parsed.size);
            assert_true(parsed.persistent);
        }
    }
}

static void a_head_for_a_body_of_others(void **state) {
    static const char extra[] = "X-Extra: 1\r\n";
    char out[ANSWER_HEAD_MAX], large[600];
    static struct http_answer parsed;
    struct answer answer = {.status = 200, .persistent = true};
    size_t size;

    (void)state;
    size = answer_head_write(out, &answer, "text/html", 1234567890123, extra);
    assert_int_equal(http_answer_parse(out, size, false, false, &parsed), HTTP_COMPLETE);
    assert_int_equal(parsed.size, size);
    assert_int_equal(parsed.end, HTTP_END_LENGTH);
    assert_int_equal(parsed.content_length, 1234567890123);
    assert_non_null(memmem(out, size, "\r\nX-Extra: 1\r\n\r\n", 16));
    assert_non_null(memmem(out, size, "\r\nContent-Type: text/html\r\n", 27));

    answer.persistent = false;
    size = answer_head_write(out, &answer, "text/event-stream", UINT64_MAX, "");
    assert_int_equal(http_answer_parse(out, size, false, false, &parsed), HTTP_COMPLETE);
    assert_int_equal(parsed.end, HTTP_END_CLOSE);
    assert_false(parsed.persistent);

    /* The largest that there is, with a field of 512 bytes beside it. */
    answer =
        (struct answer){.status = 405, .retry_after = 4294967295U, .state = "probing", .old = true};
    snprintf(large, sizeof(large), "X: %0507d\r\n", 0);
    size = answer_head_write(out, &answer, "text/plain; charset=utf-8", UINT64_MAX - 1, large);
    assert_true(size > 512 && size < ANSWER_HEAD_MAX);
    assert_memory_equal(out + size - 4, "\r\n\r\n", 4);
}

static void a_failure_has_its_status(void **state) {
    (void)state;
    for (int failure = PROTO_FAILURE_NONE; failure < PROTO_FAILURE_MAX; failure++) {
        assert_int_equal(answer_status_of((enum proto_failure)failure),
                         failure == PROTO_FAILURE_TIMEOUT ? 504 : 503);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_to_the_letter),
        cmocka_unit_test(all_are_bounded),
        cmocka_unit_test(a_head_for_a_body_of_others),
        cmocka_unit_test(a_failure_has_its_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
