/* Paths as strangers send them, instances' names, and networks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "config_internal.h"
#include "front/guard.h"
#include "parse.h"

static const struct {
    const char *path;
    const char *canonical; /* NULL: refused */
} paths[] = {
    {"", "/"},
    {"/", "/"},
    {"/a", "/a"},
    {"/a/", "/a/"},
    {"//", "//"},
    {"/a//b", "/a//b"},
    {"/%61", "/a"},
    {"/%41%5a%7A%30%39", "/AZz09"},
    {"/%2d%2E%5f%7e", "/-._~"},
    {"/-._~", "/-._~"},
    {"/%2f", "/%2F"},
    {"/%2F", "/%2F"},
    {"/%c3%a4", "/%C3%A4"},
    {"/%00", "/%00"},
    {"/%25", "/%25"},
    {"/%2561", "/%2561"},
    {"/%3b;=@:!$&'()*+,", "/%3B;=@:!$&'()*+,"},
    {"/\xc3\xa4", "/\xc3\xa4"},
    {"/...", "/..."},
    {"/.a", "/.a"},
    {"/..a/a..", "/..a/a.."},
    {"/%2e%2e%2e", "/..."},
    {"/..%2f", "/..%2F"},
    {"/..;/", "/..;/"},
    {"/.", NULL},
    {"/..", NULL},
    {"/./", NULL},
    {"/../", NULL},
    {"/a/./b", NULL},
    {"/a/../b", NULL},
    {"/a/.", NULL},
    {"/a/..", NULL},
    {"/%2e", NULL},
    {"/%2E%2e", NULL},
    {"/.%2e/", NULL},
    {"/a/%2e./b", NULL},
    {"/%", NULL},
    {"/%6", NULL},
    {"/%6g", NULL},
    {"/%g6", NULL},
    {"/%%61", NULL},
    {"/a%", NULL},
    {"/%i", NULL},
    {"a", NULL},
    {"*", NULL},
    {"%2fa", NULL},
    {".", NULL},
    {"http://a/", NULL},
};

static void canonical_paths(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        size_t len = strlen(paths[i].path);
        char out[CONFIG_PATH_MAX];
        int n = config_path_canonical(guarded(paths[i].path, len), len, out);

        if (paths[i].canonical == NULL) {
            assert_int_equal(n, -EINVAL);
        } else {
            assert_int_equal(n, strlen(paths[i].canonical));
            assert_memory_equal(out, paths[i].canonical, (size_t)n);
        }
    }
}

/* No prefix reads further, and what is canonical stays as it is. */
static void every_prefix(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        for (size_t len = 0; len <= strlen(paths[i].path); len++) {
            char out[CONFIG_PATH_MAX];
            char again[CONFIG_PATH_MAX];
            int n = config_path_canonical(guarded(paths[i].path, len), len, out);

            assert_true(n == -EINVAL || (n > 0 && (size_t)n <= (len > 0 ? len : 1)));
            if (n > 0) {
                assert_int_equal(config_path_canonical(guarded(out, (size_t)n), (size_t)n, again),
                                 n);
                assert_memory_equal(out, again, (size_t)n);
            }
        }
    }
}

/* The bound is one of what comes out. */
static void long_paths(void **state) {
    static char path[3 * CONFIG_PATH_MAX];
    char out[CONFIG_PATH_MAX];

    (void)state;
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    assert_int_equal(config_path_canonical(guarded(path, CONFIG_PATH_MAX), CONFIG_PATH_MAX, out),
                     CONFIG_PATH_MAX);
    assert_memory_equal(out, path, CONFIG_PATH_MAX);
    assert_int_equal(
        config_path_canonical(guarded(path, CONFIG_PATH_MAX + 1), CONFIG_PATH_MAX + 1, out),
        -ENAMETOOLONG);
    for (size_t i = 1; i < sizeof(path); i += 3) {
        memcpy(path + i, "%61", i + 3 <= sizeof(path) ? 3 : sizeof(path) - i);
    }
    assert_int_equal(config_path_canonical(path, 1 + 3 * (CONFIG_PATH_MAX - 1), out),
                     CONFIG_PATH_MAX);
    for (size_t i = 1; i < sizeof(path); i += 3) {
        memcpy(path + i, "%2f", i + 3 <= sizeof(path) ? 3 : sizeof(path) - i);
    }
    assert_int_equal(config_path_canonical(path, 1 + 3 * (CONFIG_PATH_MAX / 3), out),
                     1 + 3 * (CONFIG_PATH_MAX / 3));
    assert_int_equal(config_path_canonical(path, 4 + 3 * (CONFIG_PATH_MAX / 3), out),
                     -ENAMETOOLONG);
}

#define L63 "a23456789-123456789-123456789-123456789-123456789-123456789-123"

static void instances(void **state) {
    static const struct {
        const char *text;
        bool ok;
    } cases[] = {
        {"a", true},    {"Z", true},    {"0", true},    {"a-_9", true},   {L63, true},
        {"a--", true},  {"", false},    {"-a", false},  {"_a", false},    {".", false},
        {"a.b", false}, {"a/b", false}, {"a b", false}, {"a%20b", false}, {"\xc3\xa4", false},
        {"a@", false},  {"%i", false},  {"a\n", false}, {L63 "4", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        size_t len = strlen(cases[i].text);

        assert_int_equal(config_instance_ok(guarded(cases[i].text, len), len), cases[i].ok);
    }
    assert_false(config_instance_ok(guarded("a\0b", 3), 3));
}

static void patterns(void **state) {
    static const struct {
        const char *pattern, *text;
        const char *instance; /* NULL: does not fit */
    } cases[] = {
        {"%i", "a", "a"},         {"%i", "", NULL},        {"%i", "-a", NULL},
        {"x%i", "xa", "a"},       {"x%i", "x", NULL},      {"x%i", "ya", NULL},
        {"%iy", "ay", "a"},       {"%iy", "y", NULL},      {"%iy", "az", NULL},
        {"x%iy", "xay", "a"},     {"x%iy", "xy", NULL},    {"x%ix", "x", NULL},
        {"x%ix", "xxx", "x"},     {"ab%iba", "aba", NULL}, {"ab%iba", "abba", NULL},
        {"ab%iba", "abxba", "x"}, {"%i.a", "x.a", "x"},    {"%i.a", "x.b.a", NULL},
        {"%i", L63, L63},         {"%i", L63 "4", NULL},   {"%i", "a.b", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        size_t len = strlen(cases[i].text);
        struct config_pattern pattern;
        const char *instance = NULL;
        size_t instance_len = 0;

        assert_true(config_pattern_find(cases[i].pattern, strlen(cases[i].pattern), &pattern));
        assert_int_equal(config_pattern_fits(&pattern, guarded(cases[i].text, len), len, &instance,
                                             &instance_len),
                         cases[i].instance != NULL);
        if (cases[i].instance != NULL) {
            assert_int_equal(instance_len, strlen(cases[i].instance));
            assert_memory_equal(instance, cases[i].instance, instance_len);
        }
    }
}

static void nets(void **state) {
    static const struct {
        const char *net, *address;
        bool in;
    } cases[] = {
        {"10.0.0.0/8", "10.0.0.0", true},
        {"10.0.0.0/8", "10.255.255.255", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.0.0.0/8", "9.255.255.255", false},
        {"192.0.2.0/25", "192.0.2.127", true},
        {"192.0.2.0/25", "192.0.2.128", false},
        {"192.0.2.128/25", "192.0.2.128", true},
        {"192.0.2.7", "192.0.2.7", true},
        {"192.0.2.7/32", "192.0.2.7", true},
        {"192.0.2.7/32", "192.0.2.6", false},
        {"0.0.0.0/0", "255.255.255.255", true},
        {"0.0.0.0/0", "0.0.0.0", true},
        {"0.0.0.0/0", "::ffff:1.2.3.4", true},
        {"0.0.0.0/0", "::1", false},
        {"0.0.0.0/1", "128.0.0.0", false},
        {"10.0.0.0/8", "::ffff:10.1.2.3", true},
        {"10.0.0.0/8", "::ffff:11.1.2.3", false},
        {"10.0.0.0/8", "::10.1.2.3", false},
        {"::ffff:10.0.0.0/104", "10.1.2.3", true},
        {"::ffff:0:0/96", "1.2.3.4", true},
        {"::/0", "::1", true},
        {"::/0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true},
        {"::/0", "1.2.3.4", false},
        {"::/0", "::ffff:1.2.3.4", false},
        {"::/80", "1.2.3.4", false},
        {"::1", "::1", true},
        {"::1/128", "::1", true},
        {"::1/128", "::2", false},
        {"::1/128", "::", false},
        {"2001:db8::/32", "2001:db8:ffff::1", true},
        {"2001:db8::/32", "2001:db9::1", false},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"2001:db8::/127", "2001:db8::1", true},
        {"2001:db8::/127", "2001:db8::2", false},
    };
    struct proto_address none = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct config_net net[2] = {{.ip = {1}, .prefix = 128}};
        const struct config_nets list = {2, net};
        struct proto_address address = {.family = AF_INET, .port = 80};

        assert_int_equal(parse_net(cases[i].net, strlen(cases[i].net), net[1].ip, &net[1].prefix),
                         0);
        if (strchr(cases[i].address, ':') != NULL) {
            address.family = AF_INET6;
        }
        assert_int_equal(inet_pton(address.family, cases[i].address, address.ip), 1);
        if (config_nets_have(&list, &address) != cases[i].in) {
            fail_msg("%s in %s", cases[i].address, cases[i].net);
        }
        assert_false(config_nets_have(&list, &none));
        assert_false(config_nets_have(&(struct config_nets){0}, &address));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical_paths), cmocka_unit_test(every_prefix),
        cmocka_unit_test(long_paths),      cmocka_unit_test(instances),
        cmocka_unit_test(patterns),        cmocka_unit_test(nets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
