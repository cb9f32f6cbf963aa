/* The waiting page and its events: what is filled in, what is escaped, and how large it gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "page.h"

#define BAD "\xef\xbf\xbd" /* U+FFFD */

/* For the caller to free. */
static char *text_of(const struct page *page) {
    char *text, *copy;
    size_t size;

    assert_int_equal(page_write(page, &text, &size), 0);
    copy = strndup(text, size);
    assert_int_equal(strlen(copy), size);
    free(text);
    return copy;
}

static const struct page waiting = {
    .app = "blog@1", .state = PROTO_STATE_PROBING, .elapsed = 61999999};
static const struct page failed = {
    .app = "blog@1", .failed = true, .reason = "it ended", .retry_after = 7, .elapsed = 1000000};

/* --- own pages --------------------------------------------------------------------------------- */

#define REFRESHED "{{refresh}}" /* so that nothing is added */

static const struct {
    const struct page *page;
    const char *html, *want;
} templates[] = {
    {&waiting, REFRESHED, "2"},
    {&waiting,
     REFRESHED "{{app}}|{{title}}|{{state}}|{{message}}|{{elapsed}}|{{reason}}|{{retry_after}}",
     "2blog@1|blog@1|probing|Checking whether it is ready|61||0"},
    {&failed, "{{app}}|{{state}}|{{message}}|{{elapsed}}|{{reason}}|{{retry_after}}",
     "blog@1|failed|It did not wake up|1|it ended|7"},
    {&failed, REFRESHED "a{{#waiting}}b{{app}}{{/waiting}}c{{#failed}}d{{app}}{{/failed}}e",
     "2acdblog@1e"},
    {&waiting, REFRESHED "a{{#waiting}}b{{app}}{{/waiting}}c{{#failed}}d{{app}}{{/failed}}e",
     "2abblog@1ce"},
    {&waiting, REFRESHED "{{#logs}}never{{/logs}}|", "2|"},
    /* Nested; not closed; never opened */
    {&failed, "{{#failed}}a{{#logs}}b{{#waiting}}c{{/waiting}}d{{/logs}}e{{/failed}}", "ae"},
    {&failed, "{{#waiting}}a{{#failed}}b{{/failed}}c{{/waiting}}d", "d"},
    {&failed, "{{#waiting}}a{{/failed}}b", ""},
    {&failed, "a{{/waiting}}b{{/failed}}c", "abc"},
    /* No placeholders */
    {&failed, "{{unknown}} {{ app }} {{App}} {{app} {{apps}} {{}} {app} }} {{",
     "{{unknown}} {{ app }} "
     "{{App}} {{app} {{apps}} {{}} {app} }} {{"},
    {&failed, "{{#app}} {{/app}} {{#unknown}} {{logs}} {{#}}",
     "{{#app}} {{/app}} {{#unknown}} {{logs}} {{#}}"},
    {&failed, "{{{app}}} {{{{app}}}}", "{blog@1} {{blog@1}}"},
    {&failed, "{{a{{app}}", "{{ablog@1"},
    {&failed, "", ""},
};

static void own_pages_are_templates(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(templates); i++) {
        struct page page = *templates[i].page;
        auto_free char *text = NULL;

        page.html = templates[i].html;
        text = text_of(&page);
        assert_string_equal(text, templates[i].want);
    }
}

static void a_still_page_is_given_a_way_on(void **state) {
    static const struct {
        const char *html;
        bool still;
    } pages[] = {
        {"<p>mine", true},
        {"<meta http-equiv='X'>", true},
        {"<META HTTP-EQUIV=\"Refresh\" content=\"9\">", false},
        {"<p>{{refresh}}", false},
        {"<script>new EventSource('/_dockwake/events?for=/')</script>", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
        struct page page = waiting;
        auto_free char *awake = NULL;
        auto_free char *broken = NULL;

        page.html = pages[i].html;
        awake = text_of(&page);
        assert_int_equal(strstr(awake, "http-equiv=\"refresh\"") != NULL, pages[i].still);
        page.failed = true;
        broken = text_of(&page);
        assert_null(strstr(broken, "http-equiv=\"refresh\"")); /* or it would wake it for ever */
    }
}

/* --- escaping ---------------------------------------------------------------------------------- */

static const struct {
    const char *text, *html, *json;
} hostile[] = {
    {"<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;",
     "<script>alert(1)</script>"},
    {"\" onload='x' &amp;", "&quot; onload=&#39;x&#39; &amp;amp;", "\\\" onload='x' &amp;"},
    {"a\r\nb\tc\x1b\x7f", "a  b c  ", "a  b c  "},
    {"\\u0022\\", "\\u0022\\", "\\\\u0022\\\\"},
    {"\xff\xc3(\xed\xa0\x80", BAD BAD "(" BAD BAD BAD, BAD BAD "(" BAD BAD BAD},
    /* NOLINTNEXTLINE(misc-misleading-bidirectional): that is what must not pass */
    {"\xe2\x80\xa8\xe2\x80\xaegr\xc3\xbcn", "  gr\xc3\xbcn", "  gr\xc3\xbcn"},
    {"{{app}} {{#failed}}", "{{app}} {{#failed}}", "{{app}} {{#failed}}"},
};

static void every_value_is_escaped(void **state) {
    static const char html[] = "{{title}}|{{app}}|{{reason}}|";

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
        const char *text = hostile[i].text;
        const struct page page = {
            .app = text, .title = text, .reason = text, .failed = true, .html = html};
        char want[512], event[PAGE_EVENT_MAX + 1];
        auto_free char *got = text_of(&page);

        snprintf(want, sizeof(want), "%s|%s|%s|", hostile[i].html, hostile[i].html,
                 hostile[i].html);
        assert_string_equal(got, want);

        event[page_event(event, &page)] = '\0';
        snprintf(want, sizeof(want), "\"reason\":\"%s\",\"retry_after\":0}\n\n", hostile[i].json);
        assert_non_null(strstr(event, want));
    }
}

/* --- the built-in page ------------------------------------------------------------------------- */

static size_t count(const char *text, const char *part) {
    size_t n = 0;

    for (; (text = strstr(text, part)) != NULL; text += strlen(part)) {
        n++;
    }
    return n;
}

static void the_built_in_page_is_filled_in(void **state) {
    struct page page = waiting;
    auto_free char *wait = NULL;
    auto_free char *logs = NULL;
    auto_free char *fail = NULL;

    (void)state;
    page.title = "Tom & \"Jerry\" <b>";
    wait = text_of(&page);
    assert_memory_equal(wait, "<!DOCTYPE html>\n", 16);
    assert_null(strstr(wait, "{{"));
    assert_non_null(strstr(wait,
                           "<title>Checking whether it is ready · Tom &amp; &quot;Jerry&quot; "
                           "&lt;b&gt;</title>"));
    assert_non_null(strstr(wait, "<main data-state=\"probing\" data-elapsed=\"61\""));
    assert_int_equal(count(wait, "http-equiv=\"refresh\" content=\"2\""), 1);
    assert_null(strstr(wait, "/_dockwake/logs"));
    assert_null(strstr(wait, "<b>"));

    page.logs = true;
    logs = text_of(&page);
    assert_int_equal(count(logs, "/_dockwake/logs"), 1);

    page = failed;
    page.reason = "</bdi><script>";
    fail = text_of(&page);
    assert_non_null(
        strstr(fail, "data-state=\"failed\" data-elapsed=\"1\" data-retry-after=\"7\""));
    assert_non_null(strstr(fail, "<bdi id=\"reason\">&lt;/bdi&gt;&lt;script&gt;</bdi>"));
    assert_null(strstr(fail, "http-equiv"));
    assert_non_null(strstr(fail, "<a class=\"button\" href=\"\">Try again</a>"));
    assert_int_equal(count(fail, "<script>"), 1);
}

/* So that nothing that is filled in has to be among what the policy's hashes cover. */
static void script_and_style_are_fixed(void **state) {
    static const char *const tags[][2] = {{"<script>", "</script>"}, {"<style>", "</style>"}};
    auto_free char *wait = text_of(&waiting);
    auto_free char *fail = text_of(&failed);

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(tags); i++) {
        const char *a = strstr(wait, tags[i][0]), *b = strstr(fail, tags[i][0]);
        const char *end = strstr(a, tags[i][1]);

        assert_int_equal(count(wait, tags[i][0]), 1);
        assert_memory_equal(a, b, (size_t)(end - a) + strlen(tags[i][1]));
    }
    assert_null(strstr(wait, " style=\""));
    assert_null(strstr(wait, " onclick"));
}

static void fields_keep_a_page_to_itself(void **state) {
    const struct page own = {.app = "a", .html = "x"};
    const char *const fields[] = {page_fields(&waiting), page_fields(&own)};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        assert_true(strlen(fields[i]) < PAGE_EXTRA_MAX);
        assert_memory_equal(fields[i], "Content-Security-Policy: default-src 'none'; ", 45);
        assert_string_equal(fields[i] + strlen(fields[i]) - 2, "\r\n");
        assert_null(strstr(fields[i], "http"));
        assert_null(strchr(fields[i], '*'));
    }
    assert_null(strstr(fields[0], "unsafe"));
    assert_non_null(strstr(fields[0], "script-src 'sha256-"));
    assert_non_null(strstr(fields[1], "script-src 'unsafe-inline'"));
}

/* --- bounds ------------------------------------------------------------------------------------ */

static void a_page_is_bounded(void **state) {
    static const char unit[] = "{{title}}";
    auto_free char *html = malloc(CONFIG_PAGE_MAX + 1);
    auto_free char *title = malloc(CONFIG_PAGE_MAX);
    struct page page = {.app = "a", .title = title, .html = html};
    auto_free char *text = NULL;
    size_t size = 0;

    (void)state;
    memset(title, '"', CONFIG_PAGE_MAX - 1);
    title[CONFIG_PAGE_MAX - 1] = '\0';
    while (size + sizeof(unit) <= CONFIG_PAGE_MAX + 1) {
        memcpy(html + size, unit, sizeof(unit));
        size += sizeof(unit) - 1;
    }
    page.failed = true;
    text = text_of(&page);
    assert_true(strlen(text) <= PAGE_GROWTH_MAX);
    assert_true(strlen(text) > PAGE_GROWTH_MAX - PAGE_VALUE_MAX - 6);
    /* Whole characters of whole values only. */
    assert_int_equal(strlen(text) % strlen("&quot;"), 0);

    strcpy(html, unit);
    free(text);
    text = text_of(&page);
    assert_int_equal(strlen(text), PAGE_VALUE_MAX / 6 * 6);
}

static void an_event_is_bounded(void **state) {
    auto_free char *reason = malloc(1 << 20);
    char event[PAGE_EVENT_MAX + 1];
    const struct page page = {.app = "a",
                              .failed = true,
                              .reason = reason,
                              .retry_after = 4294967295U,
                              .elapsed = UINT64_MAX};
    size_t size;

    (void)state;
    memset(reason, '\xff', (1 << 20) - 1);
    reason[(1 << 20) - 1] = '\0';
    size = page_event(event, &page);
    assert_true(size < PAGE_EVENT_MAX);
    assert_memory_equal(event + size - 2 - strlen("\"retry_after\":4294967295}"),
                        "\"retry_after\":4294967295}\n\n", 27);

    memset(reason, '\\', PROTO_TEXT_MAX - 1); /* the longest from the engine is whole */
    reason[PROTO_TEXT_MAX - 1] = '\0';
    size = page_event(event, &page);
    event[size] = '\0';
    assert_int_equal(count(event, "\\"), 2 * (PROTO_TEXT_MAX - 1));
}

/* --- events ------------------------------------------------------------------------------------ */

static void events_say_what_is_known(void **state) {
    static const struct {
        struct page page;
        const char *want;
    } events[] = {
        {{.state = PROTO_STATE_STARTING, .elapsed = 1299999},
         "event: progress\nretry: 2000\ndata: {\"state\":\"starting\",\"message\":\"Starting\","
         "\"elapsed\":1.2}\n\n"},
        {{.state = PROTO_STATE_STOPPING},
         "event: progress\nretry: 2000\ndata: {\"state\":\"stopping\",\"message\":\"Waking up "
         "again\",\"elapsed\":0.0}\n\n"},
        /* The last start failed, this one has not yet. */
        {{.state = PROTO_STATE_FAILED},
         "event: progress\nretry: 2000\ndata: {\"state\":\"asleep\",\"message\":\"Waking up\","
         "\"elapsed\":0.0}\n\n"},
        {{.failed = true, .state = PROTO_STATE_READY, .reason = "it ended", .retry_after = 5},
         "event: failed\nretry: 2000\ndata: {\"state\":\"failed\",\"message\":\"It did not wake "
         "up\",\"elapsed\":0.0,\"reason\":\"it ended\",\"retry_after\":5}\n\n"},
        {{.failed = true},
         "event: failed\nretry: 2000\ndata: {\"state\":\"failed\",\"message\":\"It did not wake "
         "up\",\"elapsed\":0.0,\"reason\":\"no reason is known\",\"retry_after\":0}\n\n"},
    };
    char event[PAGE_EVENT_MAX + 1];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
        event[page_event(event, &events[i].page)] = '\0';
        assert_string_equal(event, events[i].want);
    }
    event[page_event_ready(event)] = '\0';
    assert_string_equal(
        event, "event: ready\nretry: 2000\ndata: {\"state\":\"ready\",\"message\":\"Ready\"}\n\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_pages_are_templates),
        cmocka_unit_test(a_still_page_is_given_a_way_on),
        cmocka_unit_test(every_value_is_escaped),
        cmocka_unit_test(the_built_in_page_is_filled_in),
        cmocka_unit_test(script_and_style_are_fixed),
        cmocka_unit_test(fields_keep_a_page_to_itself),
        cmocka_unit_test(a_page_is_bounded),
        cmocka_unit_test(an_event_is_bounded),
        cmocka_unit_test(events_say_what_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
