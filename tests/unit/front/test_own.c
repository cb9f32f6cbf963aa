/* The front's own endpoints: which requests are for them, and for which app. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "guard.h"
#include "own.h"
#include "util.h"

#define EVENTS "/_dockwake/events"
#define LOGS   "/_dockwake/logs"

/* Any text may stand behind the bytes that a request has. */
static enum own_kind parse(const char *method, const char *target, struct own *ret_own) {
    static struct http_head head;
    static char data[3 * CONFIG_PATH_MAX + 256];
    char path[CONFIG_PATH_MAX];
    const char *text;
    int n, len;

    n = snprintf(data, sizeof(data), "%s %s HTTP/1.1\r\nHost: a\r\n\r\n", method, target);
    assert_true(n > 0 && (size_t)n < sizeof(data));
    text = guarded(data, (size_t)n);
    assert_int_equal(http_head_parse(text, (size_t)n, &head), HTTP_COMPLETE);
    len = config_path_canonical(text + head.path.at, head.path.len, path);
    assert_true(len > 0);
    memset(ret_own, 0x55, sizeof(*ret_own));
    own_parse(text, &head, path, (size_t)len, ret_own);
    return ret_own->kind;
}

static const struct {
    const char *method, *target;
    enum own_kind kind;
    const char *path;
} cases[] = {
    {"GET", "/", OWN_NOT, NULL},
    {"GET", "/_dockwake", OWN_NOT, NULL},
    {"GET", "/_dockwakes/health", OWN_NOT, NULL},
    {"GET", "/x/_dockwake/health", OWN_NOT, NULL},
    {"GET", "//_dockwake/health", OWN_NOT, NULL},
    {"GET", "/_Dockwake/health", OWN_NOT, NULL},
    {"POST", "/_dockwak", OWN_NOT, NULL},

    {"GET", "/_dockwake/health", OWN_HEALTH, NULL},
    {"HEAD", "/_dockwake/health?x", OWN_HEALTH, NULL},
    {"GET", "http://b/_dockwake/health", OWN_HEALTH, NULL},
    {"GET", "/%5fdockwake/%68ealth", OWN_HEALTH, NULL},

    {"GET", "/_dockwake/", OWN_UNKNOWN, NULL},
    {"GET", "/_dockwake/health/", OWN_UNKNOWN, NULL},
    {"GET", "/_dockwake/healthy", OWN_UNKNOWN, NULL},
    {"GET", "/_dockwake/Health", OWN_UNKNOWN, NULL},
    {"GET", "/_dockwake/event?for=/", OWN_UNKNOWN, NULL},
    {"POST", "/_dockwake/other", OWN_UNKNOWN, NULL},

    {"POST", "/_dockwake/health", OWN_METHOD, NULL},
    {"get", "/_dockwake/health", OWN_METHOD, NULL},
    {"GETS", "/_dockwake/health", OWN_METHOD, NULL},
    {"DELETE", LOGS "?for=/", OWN_METHOD, NULL},
    {"OPTIONS", EVENTS, OWN_METHOD, NULL},

    {"GET", EVENTS "?for=/", OWN_EVENTS, "/"},
    {"HEAD", LOGS "?for=/", OWN_LOGS, "/"},
    {"GET", EVENTS "?for=%2F", OWN_EVENTS, "/"},
    {"GET", EVENTS "?for=%2Fa%2fb", OWN_EVENTS, "/a/b"},
    {"GET", EVENTS "?for=/a+b", OWN_EVENTS, "/a+b"},
    {"GET", EVENTS "?x=1&for=/a&y", OWN_EVENTS, "/a"},
    {"GET", EVENTS "?&&for=/a&", OWN_EVENTS, "/a"},
    {"GET", EVENTS "?fort=/b&for=/a", OWN_EVENTS, "/a"},
    {"GET", EVENTS "?for=/a?for=/b", OWN_EVENTS, "/a"},
    {"GET", EVENTS "?for=/a%3Fx=y%26for=/b", OWN_EVENTS, "/a"},
    /* What location.pathname says is in the request's encoding; it is decoded once only. */
    {"GET", EVENTS "?for=%2Fa%2520b", OWN_EVENTS, "/a%20b"},
    {"GET", EVENTS "?for=%2Fa%252fb", OWN_EVENTS, "/a%2Fb"},
    {"GET", EVENTS "?for=%2F%2561", OWN_EVENTS, "/a"},

    {"GET", EVENTS, OWN_BAD, NULL},
    {"GET", EVENTS "?", OWN_BAD, NULL},
    {"GET", EVENTS "?for", OWN_BAD, NULL},
    {"GET", EVENTS "?for=", OWN_BAD, NULL},
    {"GET", EVENTS "?For=/", OWN_BAD, NULL},
    {"GET", EVENTS "?%66or=/", OWN_BAD, NULL},
    {"GET", EVENTS "?xfor=/", OWN_BAD, NULL},
    {"GET", EVENTS "?for=a", OWN_BAD, NULL},
    {"GET", EVENTS "?for=?", OWN_BAD, NULL},
    {"GET", EVENTS "?for=http://a/", OWN_BAD, NULL},
    {"GET", EVENTS "?for=/a&for=/a", OWN_BAD, NULL},
    {"GET", EVENTS "?for=/a&for=", OWN_BAD, NULL},
    {"GET", EVENTS "?for=/%", OWN_BAD, NULL},
    {"GET", EVENTS "?for=/%2", OWN_BAD, NULL},
    {"GET", EVENTS "?for=/%2&x", OWN_BAD, NULL},
    {"GET", EVENTS "?for=/%zz", OWN_BAD, NULL},
    {"GET", EVENTS "?for=/%2520%25", OWN_BAD, NULL},
    {"GET", EVENTS "?for=/%00", OWN_BAD, NULL},
    {"GET", EVENTS "?for=/%20", OWN_BAD, NULL},
    {"GET", EVENTS "?for=/%0d%0a", OWN_BAD, NULL},
    {"GET", EVENTS "?for=/%23", OWN_BAD, NULL},
    {"GET", EVENTS "?for=/%c3%bc", OWN_BAD, NULL},
    {"GET", EVENTS "?for=/a/../b", OWN_BAD, NULL},
    {"GET", EVENTS "?for=/%2e%2E", OWN_BAD, NULL},
    {"GET", LOGS "?for=/%252e", OWN_BAD, NULL},
};

static void knows_its_own(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct own own;
        enum own_kind kind = parse(cases[i].method, cases[i].target, &own);

        if (kind != cases[i].kind) {
            fail_msg("%s %s: kind %d", cases[i].method, cases[i].target, (int)kind);
        }
        if (cases[i].path != NULL) {
            assert_int_equal(own.path_len, strlen(cases[i].path));
            assert_memory_equal(own.path, cases[i].path, own.path_len);
        }
    }
}

/* Filled up with copies of a unit: how long a path may be, before and after it is decoded. */
static enum own_kind parse_long(const char *unit, size_t n, struct own *ret_own) {
    static char target[sizeof(EVENTS "?for=/") + 3 * (CONFIG_PATH_MAX + 1)];

    strcpy(target, EVENTS "?for=/");
    for (size_t i = 0; i < n; i++) {
        strcat(target, unit);
    }
    return parse("GET", target, ret_own);
}

static void a_path_is_bounded(void **state) {
    struct own own;

    (void)state;
    assert_int_equal(parse_long("a", CONFIG_PATH_MAX - 1, &own), OWN_EVENTS);
    assert_int_equal(own.path_len, CONFIG_PATH_MAX);
    assert_int_equal(parse_long("a", CONFIG_PATH_MAX, &own), OWN_BAD);
    assert_int_equal(parse_long("%61", CONFIG_PATH_MAX - 1, &own), OWN_EVENTS);
    assert_int_equal(parse_long("%61", CONFIG_PATH_MAX, &own), OWN_BAD);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_its_own),
        cmocka_unit_test(a_path_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
