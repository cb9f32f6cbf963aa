/* Whom a request behind trusted proxies comes from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "http_speaker.h"

/* 127.0.0.0/8 and 2001:db8::/32. */
static struct config_net items[] = {
    {.ip = {[10] = 0xff, [11] = 0xff, [12] = 127}, .prefix = 104},
    {.ip = {0x20, 0x01, 0x0d, 0xb8}, .prefix = 32},
};
static const struct config_nets trusted = {.n = 2, .items = items};

/* fields: of the head. want: the speaker, as inet_ntop() writes it. */
static void check(const char *fields, const char *want) {
    struct proto_address speaker = {.family = AF_INET, .ip = {127, 0, 0, 1}};
    static struct http_head head;
    char data[1024], text[INET6_ADDRSTRLEN];

    snprintf(data, sizeof(data), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", fields);
    assert_int_equal(http_head_parse(data, strlen(data), &head), HTTP_COMPLETE);
    http_speaker_find(data, &head, &trusted, &speaker);
    assert_non_null(inet_ntop(speaker.family, speaker.ip, text, sizeof(text)));
    assert_string_equal(text, want);
}

static void test_the_nearest_stranger_counts(void **state) {
    (void)state;
    check("", "127.0.0.1");
    check("X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1");
    check("X-Forwarded-For: 198.51.100.1, 192.0.2.1\r\n", "192.0.2.1");
    check("X-Forwarded-For: 198.51.100.1, 192.0.2.1 , 127.0.0.9\r\n", "192.0.2.1");
    check("X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 127.0.0.2\r\n", "192.0.2.1");
    check("X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\n", "192.0.2.2");
    check("X-Forwarded-For: 127.0.0.3, 127.0.0.2\r\n", "127.0.0.3");
    check("X-Forwarded-For: 3fff::1, 2001:db8::5\r\n", "3fff::1");
}

static void test_ports_and_brackets(void **state) {
    (void)state;
    check("X-Forwarded-For: 192.0.2.1:8080\r\n", "192.0.2.1");
    check("X-Forwarded-For: [3fff::1]\r\n", "3fff::1");
    check("X-Forwarded-For: [3fff::1]:80\r\n", "3fff::1");
    check("X-Forwarded-For: 3fff::1\r\n", "3fff::1");
}

static void test_what_is_no_address_ends_it(void **state) {
    static const char *const odd[] = {
        "unknown",  "_hidden",
        "",         ",",
        "192.0.2",  "192.0.2.1.1",
        "[3fff::1", "3fff::1]",
        "a:b:c",    "1111111111111111111111111111111111111111111111111111111111111111111",
    };
    char fields[200];

    (void)state;
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        snprintf(fields, sizeof(fields), "X-Forwarded-For: 192.0.2.1, %s\r\n", odd[i]);
        check(fields, "127.0.0.1");
        snprintf(fields, sizeof(fields), "X-Forwarded-For: %s, 127.0.0.8\r\n", odd[i]);
        check(fields, "127.0.0.8");
    }
    check("X-Forwarded-For: ,\r\n", "127.0.0.1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_nearest_stranger_counts),
        cmocka_unit_test(test_ports_and_brackets),
        cmocka_unit_test(test_what_is_no_address_ends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
