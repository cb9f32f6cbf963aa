/* Values of the configuration, one table for each kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "parse.h"

enum { BAD = -EINVAL, RANGE = -ERANGE };

/* A copy that ends at an unmapped page, so that one byte too many is a crash. */
static const char *guarded(const void *text, size_t len) {
    static char *pages;

    if (pages == NULL) {
        pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_ptr_not_equal(pages, MAP_FAILED);
        assert_int_equal(mprotect(pages + 4096, 4096, PROT_NONE), 0);
    }
    assert_true(len <= 4096);
    memcpy(pages + 4096 - len, text, len);
    return pages + 4096 - len;
}

static const char *guarded_string(const char *text) {
    return guarded(text, strlen(text) + 1);
}

static void bools(void **state) {
    static const struct {
        const char *text;
        int result;
        bool value;
    } cases[] = {
        {"yes", 0, true},     {"Yes", 0, true}, {"true", 0, true}, {"on", 0, true},
        {"1", 0, true},       {"no", 0, false}, {"OFF", 0, false}, {"false", 0, false},
        {"0", 0, false},      {"", BAD, false}, {"2", BAD, false}, {"y", BAD, false},
        {"yes ", BAD, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        bool value = false;

        assert_int_equal(parse_bool(guarded_string(cases[i].text), &value), cases[i].result);
        assert_int_equal(value, cases[i].value);
    }
}

static void ports(void **state) {
    static const struct {
        const char *text;
        int result;
        uint16_t value;
    } cases[] = {
        {"1", 0, 1},
        {"80", 0, 80},
        {"65535", 0, 65535},
        {"0080", 0, 80},
        {"0", RANGE, 7},
        {"65536", RANGE, 7},
        {"", BAD, 7},
        {"-1", BAD, 7},
        {"+1", BAD, 7},
        {" 80", BAD, 7},
        {"80 ", BAD, 7},
        {"0x50", BAD, 7},
        {"80a", BAD, 7},
        {"18446744073709551616", RANGE, 7},
        {"18446744073709551696", RANGE, 7},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint16_t value = 7;

        assert_int_equal(parse_port(guarded_string(cases[i].text), &value), cases[i].result);
        assert_int_equal(value, cases[i].value);
    }
}

static void sizes(void **state) {
    static const struct {
        const char *text;
        int result;
        uint64_t value;
    } cases[] = {
        {"0", 0, 0},
        {"1", 0, 1},
        {"16K", 0, 16384},
        {"2M", 0, 2097152},
        {"3G", 0, 3221225472},
        {"18446744073709551615", 0, UINT64_MAX},
        {"18446744073709551615K", RANGE, 7},
        {"17179869184G", RANGE, 7},
        {"", BAD, 7},
        {"K", BAD, 7},
        {"1k", BAD, 7},
        {"1T", BAD, 7},
        {"1KB", BAD, 7},
        {"1 K", BAD, 7},
        {"-1", BAD, 7},
        {"1.5K", BAD, 7},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t value = 7;

        assert_int_equal(parse_size(guarded_string(cases[i].text), &value), cases[i].result);
        assert_int_equal(value, cases[i].value);
    }
}

static void spans(void **state) {
    static const struct {
        const char *text;
        int result;
        usec_t value;
    } cases[] = {
        {"0", 0, 0},
        {"90", 0, 90000000},
        {"90s", 0, 90000000},
        {"90 s", 0, 90000000},
        {"500ms", 0, 500000},
        {"7us", 0, 7},
        {"7\xc2\xb5s", 0, 7},
        {"15min", 0, 900000000},
        {"2m", 0, 120000000},
        {"1h 30min", 0, 5400000000},
        {"1h30min", 0, 5400000000},
        {"  1h  30min  ", 0, 5400000000},
        {"1.5s", 0, 1500000},
        {"0.0000019s", 0, 1},
        {"1d", 0, 86400000000},
        {"1w", 0, 604800000000},
        {"1M", 0, 2630016000000},
        {"1y", 0, 31557600000000},
        {"", BAD, 7},
        {"  ", BAD, 7},
        {"s", BAD, 7},
        {"-1s", BAD, 7},
        {"1x", BAD, 7},
        {"1S", BAD, 7},
        {"1.s", BAD, 7},
        {".5s", BAD, 7},
        {"1.5.5s", BAD, 7},
        {"infinity", BAD, 7},
        {"1h,30min", BAD, 7},
        {"18446744073709551615us", RANGE, 7},
        {"18446744073709551614us", 0, 18446744073709551614U},
        {"18446744073709551614us 1us", RANGE, 7},
        {"999999999999999999999s", RANGE, 7},
        {"600000y", RANGE, 7},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        usec_t value = 7;

        assert_int_equal(parse_span(guarded_string(cases[i].text), &value), cases[i].result);
        assert_true(value == cases[i].value);
    }
}

static void names(void **state) {
    static const struct {
        const char *text;
        size_t max;
        bool ok;
    } cases[] = {
        {"a", 63, true},         {"A0_.-", 63, true}, {"0", 63, true},    {"abc", 3, true},
        {"abcd", 3, false},      {"", 63, false},     {".a", 63, false},  {"-a", 63, false},
        {"_a", 63, false},       {"a b", 63, false},  {"a/b", 63, false}, {"a@b", 63, false},
        {"\xc3\xa4", 63, false}, {"a\n", 63, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(parse_name_ok(guarded_string(cases[i].text), cases[i].max), cases[i].ok);
    }
}

#define LABEL63 "a23456789-123456789-123456789-123456789-123456789-123456789-123"
#define LABEL61 "a23456789-123456789-123456789-123456789-123456789-123456789-1"

static void hosts(void **state) {
    static const struct {
        const char *text;
        const char *host; /* NULL: refused */
    } cases[] = {
        {"a", "a"},
        {"Example.COM", "example.com"},
        {"example.com.", "example.com"},
        {"_x.a-b.example", "_x.a-b.example"},
        {"xn--bcher-kva.example", "xn--bcher-kva.example"},
        {"10.0.0.1", "10.0.0.1"},
        {"3com.example", "3com.example"},
        {"::1", "[::1]"},
        {"[::1]", "[::1]"},
        {"[2001:DB8:0:0::1]", "[2001:db8::1]"},
        {LABEL63, LABEL63},
        {LABEL63 "." LABEL63 "." LABEL63 "." LABEL61, LABEL63 "." LABEL63 "." LABEL63 "." LABEL61},
        {LABEL63 "." LABEL63 "." LABEL63 "." LABEL61 ".",
         LABEL63 "." LABEL63 "." LABEL63 "." LABEL61},
        {LABEL63 "." LABEL63 "." LABEL63 "." LABEL61 "1", NULL},
        {LABEL63 "4", NULL},
        {"", NULL},
        {".", NULL},
        {".a", NULL},
        {"a..b", NULL},
        {"a...", NULL},
        {"-a", NULL},
        {"a-", NULL},
        {"a-.b", NULL},
        {"*.example.com", NULL},
        {"example.com:80", NULL},
        {"[::1]:80", NULL},
        {"[::1", NULL},
        {"[]", NULL},
        {"[10.0.0.1]", NULL},
        {"10.0.0", NULL},
        {"10.0.0.256", NULL},
        {"1234", NULL},
        {"a b", NULL},
        {"a/b", NULL},
        {"b\xc3\xbc"
         "cher.example",
         NULL},
        {"http", "http"},
        {"[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc]", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char host[PARSE_HOST_MAX] = "untouched";
        size_t len = strlen(cases[i].text);
        int r = parse_host(guarded(cases[i].text, len), len, host);

        assert_int_equal(r, cases[i].host != NULL ? 0 : BAD);
        assert_string_equal(host, cases[i].host != NULL ? cases[i].host : "untouched");
    }
}

static void hosts_with_nul(void **state) {
    static const char *const cases[] = {"a\0b", "[::1\0 ]", "::1\0"};
    static const size_t lens[] = {3, 7, 4};
    char host[PARSE_HOST_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        assert_int_equal(parse_host(guarded(cases[i], lens[i]), lens[i], host), BAD);
    }
}

static void addresses(void **state) {
    static const struct {
        const char *text;
        const char *formatted; /* NULL: refused */
    } cases[] = {
        {"127.0.0.1:80", "127.0.0.1:80"},
        {"[::1]:65535", "[::1]:65535"},
        {"localhost:8080", "127.0.0.1:8080"},
        {"LocalHost:8080", "127.0.0.1:8080"},
        {"127.0.0.1", NULL},
        {"127.0.0.1:", NULL},
        {"127.0.0.1:0", NULL},
        {"127.0.0.1:65536", NULL},
        {":80", NULL},
        {"::1:80", NULL},
        {"[::1]", NULL},
        {"[]:80", NULL},
        {"[127.0.0.1]:80", NULL},
        {"grafana:80", NULL},
        {"grafana.a-name-that-is-longer-than-any-literal-could-be.example.com:80", NULL},
        {"", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct proto_address address = {0};
        char text[PROTO_ADDRESS_TEXT_MAX];
        int r = parse_address(guarded_string(cases[i].text), &address);

        proto_address_format(&address, text);
        assert_int_equal(r == 0, cases[i].formatted != NULL);
        assert_string_equal(text, cases[i].formatted != NULL ? cases[i].formatted : "-");
    }
}

static void status_ranges(void **state) {
    static const struct {
        const char *text;
        int result;
        uint16_t low, high;
    } cases[] = {
        {"200", 0, 200, 200},     {"200-399", 0, 200, 399}, {"100-599", 0, 100, 599},
        {"599", 0, 599, 599},     {"099", RANGE, 7, 7},     {"600", RANGE, 7, 7},
        {"399-200", RANGE, 7, 7}, {"200-600", RANGE, 7, 7}, {"", BAD, 7, 7},
        {"20", BAD, 7, 7},        {"2000", BAD, 7, 7},      {"200-", BAD, 7, 7},
        {"200-39", BAD, 7, 7},    {"200:399", BAD, 7, 7},   {"2xx", BAD, 7, 7},
        {"200--99", BAD, 7, 7},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint16_t low = 7;
        uint16_t high = 7;
        size_t len = strlen(cases[i].text);
        int r = parse_status_range(guarded(cases[i].text, len), len, &low, &high);

        assert_int_equal(r, cases[i].result);
        assert_int_equal(low, cases[i].low);
        assert_int_equal(high, cases[i].high);
    }
}

static void unix_paths(void **state) {
    char longest[109];
    const char *path = NULL;

    (void)state;
    assert_int_equal(parse_unix_path("unix:///run/docker.sock", &path), 0);
    assert_string_equal(path, "/run/docker.sock");
    assert_int_equal(parse_unix_path("/run/podman/podman.sock", &path), 0);
    assert_string_equal(path, "/run/podman/podman.sock");
    assert_int_equal(parse_unix_path("tcp://127.0.0.1:2375", &path), BAD);
    assert_int_equal(parse_unix_path("unix://run/docker.sock", &path), BAD);
    assert_int_equal(parse_unix_path("docker.sock", &path), BAD);
    assert_int_equal(parse_unix_path("/", &path), BAD);
    assert_int_equal(parse_unix_path("/run/", &path), BAD);
    assert_int_equal(parse_unix_path("/run/docker.sock # here", &path), BAD);
    assert_int_equal(parse_unix_path("", &path), BAD);
    memset(longest, 'a', sizeof(longest));
    longest[0] = '/';
    longest[107] = '\0';
    assert_int_equal(parse_unix_path(longest, &path), 0);
    longest[107] = 'a';
    longest[108] = '\0';
    assert_int_equal(parse_unix_path(longest, &path), RANGE);
}

static void words(void **state) {
    const char *cursor = guarded_string(" ,a, bc,,\td ,");
    size_t len;

    (void)state;
    assert_memory_equal(parse_word(&cursor, &len), "a", 1);
    assert_int_equal(len, 1);
    assert_memory_equal(parse_word(&cursor, &len), "bc", 2);
    assert_int_equal(len, 2);
    assert_memory_equal(parse_word(&cursor, &len), "d", 1);
    assert_int_equal(len, 1);
    assert_null(parse_word(&cursor, &len));
    assert_null(parse_word(&cursor, &len));
}

static void items(void **state) {
    const char *cursor = guarded_string(" ,a b\t, , c ,,d  e ");
    static const char *const expected[] = {"a b", "c", "d  e"};
    size_t len;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        const char *item = parse_item(&cursor, &len);

        assert_int_equal(len, strlen(expected[i]));
        assert_memory_equal(item, expected[i], len);
    }
    assert_null(parse_item(&cursor, &len));
    assert_null(parse_item(&cursor, &len));
}

static void networks(void **state) {
    static const struct {
        const char *text;
        int result;
        const char *ip;
        int prefix;
    } cases[] = {
        {"10.0.0.0/8", 0, "::ffff:10.0.0.0", 104},
        {"10.0.0.1", 0, "::ffff:10.0.0.1", 128},
        {"10.0.0.1/32", 0, "::ffff:10.0.0.1", 128},
        {"0.0.0.0/0", 0, "::ffff:0.0.0.0", 96},
        {"::/0", 0, "::", 0},
        {"::1/128", 0, "::1", 128},
        {"2001:DB8::/32", 0, "2001:db8::", 32},
        {"2001:db8::/033", 0, "2001:db8::", 33},
        {"10.0.0.1/8", RANGE, NULL, 0},
        {"10.0.0.1/31", RANGE, NULL, 0},
        {"0.0.0.1/0", RANGE, NULL, 0},
        {"::1/127", RANGE, NULL, 0},
        {"8000::/0", RANGE, NULL, 0},
        {"10.0.0.0/33", BAD, NULL, 0},
        {"::/129", BAD, NULL, 0},
        {"::/0128", BAD, NULL, 0},
        {"::/", BAD, NULL, 0},
        {"10.0.0.0/", BAD, NULL, 0},
        {"10.0.0.0/-1", BAD, NULL, 0},
        {"10.0.0.0/8/8", BAD, NULL, 0},
        {"10.0.0.0/255.0.0.0", BAD, NULL, 0},
        {"10.0.0/8", BAD, NULL, 0},
        {"[::1]", BAD, NULL, 0},
        {"localhost", BAD, NULL, 0},
        {"", BAD, NULL, 0},
        {"/8", BAD, NULL, 0},
        {"10.0.0.1:80", BAD, NULL, 0},
        {"fe80::1%eth0", BAD, NULL, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        size_t len = strlen(cases[i].text);
        uint8_t ip[16] = {7};
        uint8_t expected[16] = {7};
        uint8_t prefix = 0;

        assert_int_equal(parse_net(guarded(cases[i].text, len), len, ip, &prefix), cases[i].result);
        assert_int_equal(prefix, cases[i].prefix);
        if (cases[i].ip != NULL) {
            assert_int_equal(inet_pton(AF_INET6, cases[i].ip, expected), 1);
        }
        assert_memory_equal(ip, expected, sizeof(ip));
    }
    assert_int_equal(parse_net("::1\0", 4, (uint8_t[16]){0}, &(uint8_t){0}), BAD);
}

static void rates(void **state) {
    static const struct {
        const char *text;
        int result;
        uint64_t count;
        usec_t per;
    } cases[] = {
        {"10/min", 0, 10, 60000000},
        {"3/10s", 0, 3, 10000000},
        {"100/h", 0, 100, 3600000000},
        {"1/1h 30min", 0, 1, 5400000000},
        {"1/30", 0, 1, 30000000},
        {"0/s", 0, 0, 1000000},
        {"", BAD, 7, 7},
        {"10", BAD, 7, 7},
        {"10/", BAD, 7, 7},
        {"/s", BAD, 7, 7},
        {"-1/s", BAD, 7, 7},
        {"1 /s", BAD, 7, 7},
        {"1/ s", BAD, 7, 7},
        {"1/s s", BAD, 7, 7},
        {"1/s2", BAD, 7, 7},
        {"1/x", BAD, 7, 7},
        {"1/.5s", BAD, 7, 7},
        {"99999999999999999999/s", RANGE, 7, 7},
        {"1/99999999999999999999s", RANGE, 7, 7},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t count = 7;
        usec_t per = 7;

        assert_int_equal(parse_rate(guarded_string(cases[i].text), &count, &per), cases[i].result);
        assert_true(count == cases[i].count);
        assert_true(per == cases[i].per);
    }
}

static void tokens(void **state) {
    (void)state;
    assert_true(parse_token_ok(guarded("!#$%&'*+-.^_`|~09azAZ", 21), 21));
    assert_false(parse_token_ok("", 0));
    for (int c = 0; c < 256; c++) {
        char text[2] = {'a', (char)c};
        bool ok = c > ' ' && c < 0x7f && strchr("\"(),/:;<=>?@[\\]{}", c) == NULL;

        assert_int_equal(parse_token_ok(guarded(text, 2), 2), ok);
    }
}

static void percents(void **state) {
    static const struct {
        const char *text;
        bool ok;
    } cases[] = {
        {"", true},     {"a", true},     {"%41", true},   {"%aF%09", true},
        {"%", false},   {"%4", false},   {"a%4", false},  {"%4g", false},
        {"%g4", false}, {"%%41", false}, {"%41%", false}, {"%-1", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        size_t len = strlen(cases[i].text);

        assert_int_equal(parse_percent_ok(guarded(cases[i].text, len), len), cases[i].ok);
    }
}

static void hosts_that_are_addresses(void **state) {
    (void)state;
    assert_true(parse_host_is_ip("10.0.0.1"));
    assert_true(parse_host_is_ip("[::1]"));
    assert_false(parse_host_is_ip("a10.0.0.1"));
    assert_false(parse_host_is_ip("example.com"));
    assert_false(parse_host_is_ip("beef"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bools),
        cmocka_unit_test(ports),
        cmocka_unit_test(sizes),
        cmocka_unit_test(spans),
        cmocka_unit_test(names),
        cmocka_unit_test(hosts),
        cmocka_unit_test(hosts_with_nul),
        cmocka_unit_test(addresses),
        cmocka_unit_test(status_ranges),
        cmocka_unit_test(unix_paths),
        cmocka_unit_test(words),
        cmocka_unit_test(items),
        cmocka_unit_test(networks),
        cmocka_unit_test(rates),
        cmocka_unit_test(tokens),
        cmocka_unit_test(percents),
        cmocka_unit_test(hosts_that_are_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
