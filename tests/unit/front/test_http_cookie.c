/* One cookie among the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "guard.h"
#include "http_cookie.h"
#include "util.h"

static const struct {
    const char *fields, *value; /* of the cookie "a"; NULL: there is none */
} cases[] = {
    {"", NULL},
    {"Cookie: a=b\r\n", "b"},
    {"cookie:a=b\r\n", "b"},
    {"Cookie: a=b; c=d\r\n", "b"},
    {"Cookie: c=d; a=b\r\n", "b"},
    {"Cookie: c=d;a=b\r\n", "b"},
    {"Cookie: c=d ;\ta = b \r\n", "b"},
    {"Cookie: c=d; a=b;\r\n", "b"},
    {"Cookie: ;;a=b\r\n", "b"},
    {"Cookie: a=\r\n", ""},
    {"Cookie: a=; b=c\r\n", ""},
    {"Cookie: a=\"b c\"\r\n", "b c"},
    {"Cookie: a=\"\"\r\n", ""},
    {"Cookie: a=\"\r\n", "\""},
    {"Cookie: a=\"b\r\n", "\"b"},
    {"Cookie: a=b\"\r\n", "b\""},
    {"Cookie: a=b=c\r\n", "b=c"},
    {"Cookie: a=b,c\r\n", "b,c"},
    {"Cookie: a=b; a=c\r\n", "b"},
    {"Cookie: a=b\r\nCookie: a=c\r\n", "b"},
    {"Cookie: c=d\r\nX: a=x\r\nCookie: a=b\r\n", "b"},
    /* RFC 6265 5.2: a semicolon ends it, in quotes too. */
    {"Cookie: c=\"d; a=b\"\r\n", "b\""},
    {"Cookie: A=b\r\n", NULL},
    {"Cookie: aa=b; b=a; xa=b\r\n", NULL},
    {"Cookie: a\r\n", NULL},
    {"Cookie: a; a=b\r\n", "b"},
    {"Cookie: =a; =\r\n", NULL},
    {"Cookie:\r\n", NULL},
    {"Set-Cookie: a=b\r\n", NULL},
};

static void finds(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[256];
        int n = snprintf(text, sizeof(text), "GET / HTTP/1.0\r\n%s\r\n", cases[i].fields);
        const char *data = guarded(text, (size_t)n), *value;
        struct http_head head;
        size_t len = SIZE_MAX;

        assert_int_equal(http_head_parse(data, (size_t)n, &head), HTTP_COMPLETE);
        value = http_cookie_find(data, &head, "a", &len);
        if ((value == NULL) != (cases[i].value == NULL)) {
            fail_msg("%s: %.*s", cases[i].fields, (int)len, value != NULL ? value : "none");
        }
        assert_int_equal(len, value == NULL ? 0 : strlen(cases[i].value));
        if (value != NULL) {
            assert_memory_equal(value, cases[i].value, len);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
