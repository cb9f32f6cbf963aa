/*
 * page.c - see page.h.
 *
 * A page is written twice by the same function: first nowhere, to know its size, then into memory of
 * that size.
 */
#include "page.h"

#include <stdio.h>
#include <string.h>

#include "page_html.h"
#include "text.h"

/* What a page may do: nothing that leaves this address. The built-in one runs its own script only. */
#define FIELDS(scripts, styles, more)                                                              \
    "Content-Security-Policy: default-src 'none'; script-src " scripts "; style-src " styles       \
    "; connect-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'self'" more "\r\n"     \
    "Referrer-Policy: no-referrer\r\n"
static const char builtin_fields[] =
    FIELDS("'" PAGE_SCRIPT_HASH "'", "'" PAGE_STYLE_HASH "'", "; form-action 'none'");
static const char own_fields[] =
    FIELDS("'unsafe-inline'", "'unsafe-inline'", "; font-src data:; form-action 'self'");

_Static_assert(sizeof(builtin_fields) <= PAGE_EXTRA_MAX && sizeof(own_fields) <= PAGE_EXTRA_MAX,
               "as large as promised");

/* For own pages that have no way to go on, at their end; see open() in page.html. */
static const char way_on[] =
    "\n<noscript><meta http-equiv=\"refresh\" content=\"2\"></noscript>\n"
    "<script>setTimeout(() => {\n"
    "    const there = location.href, [base, fragment] = there.split('#', 2);\n"
    "    if (fragment === undefined) { location.reload(); return; }\n"
    "    history.replaceState(null, '', base + (base.includes('?') ? '&' : '?'));\n"
    "    location.replace(there);\n"
    "}, 2000);</script>\n";
_Static_assert(PAGE_REFRESH == 2, "as it says");

/* Bytes of a reason in an event: escaped, each has at most two, or three when it is no UTF-8. */
enum { EVENT_REASON_MAX = 1024 };
_Static_assert(EVENT_REASON_MAX >= 3 * PROTO_TEXT_MAX, "whole reasons");

/* out NULL: bytes are only counted. */
struct sink {
    char *out;
    size_t size;
    size_t values; /* bytes of it that are values */
};

static void put(struct sink *sink, const char *data, size_t size) {
    if (sink->out != NULL) {
        memcpy(sink->out + sink->size, data, size);
    }
    sink->size += size;
}

static void put_text(struct sink *sink, const char *text) {
    put(sink, text, strlen(text));
}

static void put_number(struct sink *sink, uint64_t number) {
    char text[24];

    put(sink, text, (size_t)snprintf(text, sizeof(text), "%llu", (unsigned long long)number));
}

typedef const char *(*escape_func)(char c);

static const char *escape_html(char c) {
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

/* text_next() gives no control characters (RFC 8259 7). */
static const char *escape_json(char c) {
    return c == '"' ? "\\\"" : c == '\\' ? "\\\\" : NULL;
}

/* What is beyond max bytes is cut off, in front of a character. */
static void put_escaped(struct sink *sink, const char *text, escape_func escape, size_t max) {
    char c[TEXT_CHAR_MAX];
    size_t size;

    while ((size = text_next(&text, c)) > 0) {
        const char *escaped = size == 1 ? escape(c[0]) : NULL;

        if (escaped != NULL) {
            size = strlen(escaped);
        }
        if (size > max) {
            return;
        }
        put(sink, escaped != NULL ? escaped : c, size);
        max -= size;
    }
}

/* --- what is said ------------------------------------------------------------------------------ */

/* A state FAILED is that of an app that sleeps since its last start went wrong. */
static enum proto_state state_of(const struct page *page) {
    return page->state == PROTO_STATE_FAILED ? PROTO_STATE_ASLEEP : page->state;
}

static const char *state_name(const struct page *page) {
    return proto_state_name(page->failed ? PROTO_STATE_FAILED : state_of(page));
}

static const char *message_of(const struct page *page) {
    if (page->failed) {
        return "It did not wake up";
    }
    switch (state_of(page)) {
    case PROTO_STATE_STARTING:
        return "Starting";
    case PROTO_STATE_PROBING:
        return "Checking whether it is ready";
    case PROTO_STATE_READY:
        return "Ready";
    case PROTO_STATE_STOPPING:
        return "Waking up again";
    default:
        return "Waking up";
    }
}

static const char *reason_of(const struct page *page) {
    return !page->failed ? "" : page->reason != NULL ? page->reason : "no reason is known";
}

/* --- pages ------------------------------------------------------------------------------------- */

enum value { TITLE, APP, STATE, MESSAGE, ELAPSED, REFRESH, REASON, RETRY_AFTER };

static const char *const value_names[] = {
    [TITLE] = "title",     [APP] = "app",
    [STATE] = "state",     [MESSAGE] = "message",
    [ELAPSED] = "elapsed", [REFRESH] = "refresh",
    [REASON] = "reason",   [RETRY_AFTER] = "retry_after",
};

enum section { WAITING, FAILED, LOGS };

static const char *const section_names[] = {
    [WAITING] = "waiting",
    [FAILED] = "failed",
    [LOGS] = "logs",
};

static bool section_holds(const struct page *page, enum section section) {
    switch (section) {
    case WAITING:
        return !page->failed;
    case FAILED:
        return page->failed;
    case LOGS:
        return page->logs;
    }
    return false;
}

static void write_value(struct sink *sink, const struct page *page, enum value value) {
    const char *text = NULL;

    switch (value) {
    case TITLE:
        text = page->title != NULL ? page->title : page->app;
        break;
    case APP:
        text = page->app;
        break;
    case STATE:
        text = state_name(page);
        break;
    case MESSAGE:
        text = message_of(page);
        break;
    case REASON:
        text = reason_of(page);
        break;
    case ELAPSED:
        put_number(sink, page->elapsed / USEC_PER_SEC);
        return;
    case REFRESH:
        put_number(sink, PAGE_REFRESH);
        return;
    case RETRY_AFTER:
        put_number(sink, page->failed ? page->retry_after : 0);
        return;
    }
    put_escaped(sink, text, escape_html, PAGE_VALUE_MAX);
}

static void put_value(struct sink *sink, const struct page *page, enum value value) {
    size_t before = sink->size;

    if (sink->values > PAGE_GROWTH_MAX - PAGE_VALUE_MAX) {
        return;
    }
    write_value(sink, page, value);
    sink->values += sink->size - before;
}

/* The index of the name that text begins with and that }} ends, or -1. *ret_end is behind it. */
static int find_name(const char *text, const char *const names[], size_t n, const char **ret_end) {
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(names[i]);

        if (strncmp(text, names[i], len) == 0 && strncmp(text + len, "}}", 2) == 0) {
            *ret_end = text + len + 2;
            return (int)i;
        }
    }
    return -1;
}

static void write_template(struct sink *sink, const struct page *page, const char *text) {
    int left_out = -1; /* the section that is */
    const char *mark;

    while ((mark = strstr(text, "{{")) != NULL) {
        bool is_section = mark[2] == '#' || mark[2] == '/';
        const char *end = mark + 1; /* of no placeholder: the first brace stays */
        int found = is_section ? find_name(mark + 3, section_names, ARRAY_SIZE(section_names), &end)
                               : find_name(mark + 2, value_names, ARRAY_SIZE(value_names), &end);

        if (left_out < 0) {
            put(sink, text, (size_t)((found < 0 ? end : mark) - text));
        }
        text = end;
        if (found < 0) {
            continue;
        }
        if (!is_section && left_out < 0) {
            put_value(sink, page, (enum value)found);
        } else if (mark[2] == '#' && left_out < 0 && !section_holds(page, (enum section)found)) {
            left_out = found;
        } else if (mark[2] == '/' && left_out == found) {
            left_out = -1;
        }
    }
    if (left_out < 0) {
        put_text(sink, text);
    }
}

static bool goes_on(const char *html) {
    static const char *const ways[] = {"{{refresh}}", "http-equiv=\"refresh\"",
                                       "/_dockwake/events"};

    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        if (strcasestr(html, ways[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static void write_page(struct sink *sink, const struct page *page) {
    write_template(sink, page, page->html != NULL ? page->html : page_html);
    if (page->html != NULL && !page->failed && !goes_on(page->html)) {
        put_text(sink, way_on);
    }
}

int page_write(const struct page *page, char **ret_text, size_t *ret_size) {
    struct sink sink = {0};
    char *text;

    write_page(&sink, page);
    text = malloc(sink.size + 1); /* an own page may be nothing but sections */
    if (text == NULL) {
        return -ENOMEM;
    }
    sink = (struct sink){.out = text};
    write_page(&sink, page);
    *ret_text = text;
    *ret_size = sink.size;
    return 0;
}

const char *page_fields(const struct page *page) {
    return page->html != NULL ? own_fields : builtin_fields;
}

/* --- events ------------------------------------------------------------------------------------ */

static void begin_event(struct sink *sink, const char *name, const char *state,
                        const char *message) {
    const char *const texts[] = {
        "event: ", name, "\nretry: 2000\ndata: {\"state\":\"", state, "\",\"message\":\"",
        message,   "\"",
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        put_text(sink, texts[i]);
    }
}

size_t page_event(char out[static PAGE_EVENT_MAX], const struct page *page) {
    struct sink sink = {.out = out};

    begin_event(&sink, page->failed ? "failed" : "progress", state_name(page), message_of(page));
    put_text(&sink, ",\"elapsed\":");
    put_number(&sink, page->elapsed / USEC_PER_SEC);
    put_text(&sink, ".");
    put_number(&sink, page->elapsed % USEC_PER_SEC / (USEC_PER_SEC / 10));
    if (page->failed) {
        put_text(&sink, ",\"reason\":\"");
        put_escaped(&sink, reason_of(page), escape_json, EVENT_REASON_MAX);
        put_text(&sink, "\",\"retry_after\":");
        put_number(&sink, page->retry_after);
    }
    put_text(&sink, "}\n\n");
    return sink.size;
}

size_t page_event_ready(char out[static PAGE_EVENT_MAX]) {
    const struct page page = {.state = PROTO_STATE_READY};
    struct sink sink = {.out = out};

    begin_event(&sink, "ready", state_name(&page), message_of(&page));
    put_text(&sink, "}\n\n");
    return sink.size;
}
