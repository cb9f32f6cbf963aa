/* Who may wake an app, and who looks at a page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "guard.h"
#include "policy.h"
#include "util.h"

static const char *request(const char *method, const char *fields, struct http_head *ret_head) {
    char data[1024];
    const char *text;
    int n = snprintf(data, sizeof(data), "%s / HTTP/1.1\r\nHost: a\r\n%s\r\n", method, fields);

    assert_true(n > 0 && (size_t)n < sizeof(data));
    text = guarded(data, (size_t)n);
    assert_int_equal(http_head_parse(text, (size_t)n, ret_head), HTTP_COMPLETE);
    return text;
}

static struct proto_address address_of(const char *text) {
    struct proto_address address = {.family = AF_UNSPEC};

    if (inet_pton(AF_INET, text, address.ip) == 1) {
        address.family = AF_INET;
    } else if (inet_pton(AF_INET6, text, address.ip) == 1) {
        address.family = AF_INET6;
    }
    return address;
}

/* 192.0.2.0/24, 192.0.2.128/25, 2001:db8::/32 */
static struct config_net friends[] = {
    {.ip = {[10] = 0xff, [11] = 0xff, 192, 0, 2}, .prefix = 120},
    {.ip = {0x20, 0x01, 0x0d, 0xb8}, .prefix = 32},
};
static struct config_net rest[] = {
    {.ip = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 128}, .prefix = 121},
};
static char *methods[] = {(char[]){"GET"}, (char[]){"POST"}};
static char *agents[] = {(char[]){"bot"}, (char[]){"Curl/"}};
static char *paths[] = {(char[]){"/admin"}, (char[]){"/a%2Fb/c"}, (char[]){"/metrics/"}};
static char *all[] = {(char[]){"/"}};

static const struct config_app open_app = {.name = "open"};
static const struct config_app by_address = {
    .allow_from = {.n = ARRAY_SIZE(friends), .items = friends},
    .deny_from = {.n = ARRAY_SIZE(rest), .items = rest},
};
static const struct config_app by_deny = {.deny_from = {.n = 1, .items = rest}};
static const struct config_app by_method = {.methods = {.n = 2, .items = methods}};
static const struct config_app by_agent = {.deny_user_agent = {.n = 2, .items = agents}};
static const struct config_app by_path = {.deny_path = {.n = 3, .items = paths}};
static const struct config_app nowhere = {.deny_path = {.n = 1, .items = all}};
static const struct config_app by_all = {
    .allow_from = {.n = 1, .items = friends},
    .methods = {.n = 2, .items = methods},
    .deny_user_agent = {.n = 2, .items = agents},
    .deny_path = {.n = 3, .items = paths},
};

static const struct {
    const struct config_app *app;
    const char *client, *method, *path, *fields;
    enum policy_rule rule;
} cases[] = {
    {&open_app, "203.0.113.1", "DELETE", "/admin", "User-Agent: bot\r\n", POLICY_NONE},
    {&open_app, "", "GET", "/", "", POLICY_NONE},

    {&by_address, "192.0.2.1", "GET", "/", "", POLICY_NONE},
    {&by_address, "::ffff:192.0.2.1", "GET", "/", "", POLICY_NONE},
    {&by_address, "2001:db8::1", "GET", "/", "", POLICY_NONE},
    {&by_address, "192.0.2.200", "GET", "/", "", POLICY_DENY_FROM},
    {&by_address, "::ffff:192.0.2.200", "GET", "/", "", POLICY_DENY_FROM},
    {&by_address, "192.0.3.1", "GET", "/", "", POLICY_ALLOW_FROM},
    {&by_address, "2001:db9::1", "GET", "/", "", POLICY_ALLOW_FROM},
    {&by_address, "", "GET", "/", "", POLICY_ALLOW_FROM},
    {&by_deny, "192.0.2.128", "GET", "/", "", POLICY_DENY_FROM},
    {&by_deny, "192.0.2.127", "GET", "/", "", POLICY_NONE},
    {&by_deny, "", "GET", "/", "", POLICY_NONE},

    {&by_method, "", "GET", "/", "", POLICY_NONE},
    {&by_method, "", "POST", "/", "", POLICY_NONE},
    {&by_method, "", "get", "/", "", POLICY_METHODS},
    {&by_method, "", "GE", "/", "", POLICY_METHODS},
    {&by_method, "", "GETS", "/", "", POLICY_METHODS},
    {&by_method, "", "HEAD", "/", "", POLICY_METHODS},

    {&by_agent, "", "GET", "/", "", POLICY_NONE},
    {&by_agent, "", "GET", "/", "User-Agent:\r\n", POLICY_NONE},
    {&by_agent, "", "GET", "/", "User-Agent: bo\r\n", POLICY_NONE},
    {&by_agent, "", "GET", "/", "User-Agent: Mozilla/5.0 (b o t)\r\n", POLICY_NONE},
    {&by_agent, "", "GET", "/", "User-Agent: Googlebot/2.1\r\n", POLICY_USER_AGENT},
    {&by_agent, "", "GET", "/", "user-agent: A BOT\r\n", POLICY_USER_AGENT},
    {&by_agent, "", "GET", "/", "User-Agent: curl/8\r\n", POLICY_USER_AGENT},
    {&by_agent, "", "GET", "/", "User-Agent: a\r\nUser-Agent: bot\r\n", POLICY_USER_AGENT},
    {&by_agent, "", "GET", "/bot", "X-User-Agent: bot\r\nAccept: bot\r\n", POLICY_NONE},

    {&by_path, "", "GET", "/", "", POLICY_NONE},
    {&by_path, "", "GET", "/admin", "", POLICY_PATH},
    {&by_path, "", "GET", "/admin/", "", POLICY_PATH},
    {&by_path, "", "GET", "/admin/x", "", POLICY_PATH},
    {&by_path, "", "GET", "/administrator", "", POLICY_NONE},
    {&by_path, "", "GET", "/Admin", "", POLICY_NONE},
    {&by_path, "", "GET", "/adm", "", POLICY_NONE},
    {&by_path, "", "GET", "/x/admin", "", POLICY_NONE},
    {&by_path, "", "GET", "/a%2Fb/c/d", "", POLICY_PATH},
    {&by_path, "", "GET", "/a/b/c", "", POLICY_NONE},
    {&by_path, "", "GET", "/metrics", "", POLICY_PATH},
    {&by_path, "", "GET", "/metrics/x", "", POLICY_PATH},
    {&by_path, "", "OPTIONS", "", "", POLICY_NONE}, /* "*" */
    {&nowhere, "", "GET", "/", "", POLICY_PATH},
    {&nowhere, "", "GET", "/x", "", POLICY_PATH},

    /* The first of them counts. */
    {&by_all, "203.0.113.1", "PUT", "/admin", "User-Agent: bot\r\n", POLICY_ALLOW_FROM},
    {&by_all, "192.0.2.1", "PUT", "/admin", "User-Agent: bot\r\n", POLICY_METHODS},
    {&by_all, "192.0.2.1", "GET", "/admin", "User-Agent: bot\r\n", POLICY_PATH},
    {&by_all, "192.0.2.1", "GET", "/", "User-Agent: bot\r\n", POLICY_USER_AGENT},
    {&by_all, "192.0.2.1", "GET", "/", "", POLICY_NONE},
};

static void judges(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct proto_address client = address_of(cases[i].client);
        static struct http_head head;
        const char *data = request(cases[i].method, cases[i].fields, &head);
        auto_free char *path = malloc(strlen(cases[i].path) + 1);
        size_t len = strlen(cases[i].path);
        enum policy_rule rule;

        memcpy(path, cases[i].path, len);
        rule = policy_judge(cases[i].app, &client, data, &head, path, len);
        if (rule != cases[i].rule) {
            fail_msg("case %zu, %s %s: %s", i, cases[i].client, cases[i].path,
                     policy_rule_name(rule));
        }
    }
}

static void only_addresses_count_without_a_head(void **state) {
    const struct proto_address friend = address_of("192.0.2.1"), stranger = address_of("::1");

    (void)state;
    assert_int_equal(policy_judge(&by_all, &friend, NULL, NULL, NULL, 0), POLICY_NONE);
    assert_int_equal(policy_judge(&by_all, &stranger, NULL, NULL, NULL, 0), POLICY_ALLOW_FROM);
}

static void rules_are_named_as_their_keys(void **state) {
    static const char *const names[] = {
        "none", "allow_from", "deny_from", "methods", "deny_user_agent", "deny_path", "rate"};

    (void)state;
    for (int rule = POLICY_NONE; rule <= POLICY_RATE; rule++) {
        assert_string_equal(policy_rule_name((enum policy_rule)rule), names[rule]);
    }
}

static const struct {
    const char *method, *fields;
    bool is;
} looks[] = {
    {"GET", "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n", true},
    {"GET", "Sec-Fetch-Mode: Navigate\r\nSec-Fetch-Dest: Document\r\nAccept: a/b\r\n", true},
    {"GET", "Sec-Fetch-Mode: navigate\r\n", true},
    {"GET", "Sec-Fetch-Dest: document\r\n", true},
    {"GET", "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\nAccept: text/html\r\n", false},
    {"GET", "Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nAccept: text/html\r\n", false},
    {"GET", "Sec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: document\r\n", false},
    {"GET", "Sec-Fetch-Dest: image\r\nAccept: text/html\r\n", false},
    {"GET", "Sec-Fetch-Mode:\r\nAccept: text/html\r\n", false},
    {"POST", "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n", false},
    {"HEAD", "Accept: text/html\r\n", false},
    {"get", "Accept: text/html\r\n", false},

    {"GET", "", false},
    {"GET", "Accept:\r\n", false},
    {"GET", "Accept: */*\r\n", false},
    {"GET", "Accept: text/*\r\n", false},
    {"GET", "Accept: text/html\r\n", true},
    {"GET", "accept: TEXT/HTML\r\n", true},
    {"GET", "Accept: application/xml;q=0.9,text/html;q=0.1,*/*\r\n", true},
    {"GET", "Accept: a/b, \ttext/html ;level=1; q=0.5\r\n", true},
    {"GET", "Accept: a/b\r\nAccept: text/html\r\n", true},
    {"GET", "Accept: text/htmlx\r\n", false},
    {"GET", "Accept: text/html+xml\r\n", false},
    {"GET", "Accept: xtext/html\r\n", false},
    {"GET", "Accept: text /html\r\n", false},
    {"GET", "Accept: a/b;x=text/html\r\n", false},
    {"GET", "Accept: ,;,text/html;\r\n", true},
    {"GET", "Accept: ,;,;\r\n", false},
    {"GET", "Accept: text/html;q=0\r\n", false},
    {"GET", "Accept: text/html ; Q=0.000 , a/b\r\n", false},
    {"GET", "Accept: text/html;q=0.\r\n", false},
    {"GET", "Accept: text/html;q=0.001\r\n", true},
    {"GET", "Accept: text/html;q=1\r\n", true},
    {"GET", "Accept: text/html;q=0;q=1\r\n", false},
    {"GET", "Accept: text/html;level=1;q=0.0\r\n", false},
    {"GET", "Accept: text/html;q=0,text/html;level=2\r\n", true},
    {"GET", "X-Accept: text/html\r\n", false},
};

static void knows_who_looks_at_a_page(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(looks); i++) {
        static struct http_head head;
        const char *data = request(looks[i].method, looks[i].fields, &head);

        if (policy_is_navigation(data, &head) != looks[i].is) {
            fail_msg("%s, %s", looks[i].method, looks[i].fields);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judges),
        cmocka_unit_test(only_addresses_count_without_a_head),
        cmocka_unit_test(rules_are_named_as_their_keys),
        cmocka_unit_test(knows_who_looks_at_a_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
