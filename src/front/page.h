/*
 * page.h - the page that a person sees while an app wakes, and the events that keep it up to date.
 *
 * Self-contained: no font, script or style from elsewhere. It shows the state and the time so far,
 * follows /_dockwake/events (polling where server-sent events do not work, a refresh by <meta> where
 * scripts do not), and loads the SAME address again when the app is ready. A failure shows its reason
 * and a button that tries again. Pure but for memory.
 *
 * The built-in page (page.html, which page_embed makes a C string of) and an own one are templates:
 *
 *     {{title}} {{app}} {{state}} {{message}} {{elapsed}} {{refresh}} {{reason}} {{retry_after}}
 *     {{#waiting}} ... {{/waiting}}    kept while the app wakes, left out of a failure
 *     {{#failed}} ... {{/failed}}      the other way round
 *     {{#logs}} ... {{/logs}}          kept when /_dockwake/logs may be asked
 *
 * Values are escaped for HTML, text and quoted attributes; any other {{...}} stays as it is.
 */
#pragma once

#include <stddef.h>

#include "proto.h"
#include "util.h"

enum {
    PAGE_REFRESH = 2,      /* seconds until a page without scripts loads itself again */
    PAGE_EVENT_MAX = 2048, /* bytes of one event */
    PAGE_EXTRA_MAX = 512,  /* bytes of page_fields() */
    PAGE_VALUE_MAX = 4096, /* bytes of one value when it is escaped; the rest is cut off */
    PAGE_GROWTH_MAX =
        128 << 10, /* bytes of all values of a page; those that do not fit are empty */
};

/* What is known when it is sent. */
struct page {
    const char *app;
    const char *title; /* NULL: app */
    const char *html;  /* own page's text (config_app.page); NULL: the built-in one */
    bool failed;
    enum proto_state state; /* while not failed */
    usec_t elapsed;         /* since the wake began */
    const char *reason;     /* failed: why, untrusted text; NULL: unknown */
    unsigned retry_after;   /* failed: seconds before another try has a chance; 0: now */
    bool logs;              /* /_dockwake/logs may be asked */
};

/*
 * The whole page. An own one that waits and has no way to go on by itself (no {{refresh}}, no meta
 * refresh, no word of /_dockwake/events) is given one at its end. *ret_text is for the caller to free.
 * Returns 0 or -ENOMEM.
 */
int page_write(const struct page *page, char **ret_text, size_t *ret_size);

/* The fields for its head: Content-Security-Policy and what else keeps it to itself. */
const char *page_fields(const struct page *page);

/*
 * One server-sent event (WHATWG HTML 9.2) about the same, `progress` or `failed`. Its data is a JSON
 * object with state, message, elapsed (seconds) and, of a failure, reason and retry_after. Returns its
 * size.
 */
size_t page_event(char out[static PAGE_EVENT_MAX], const struct page *page);
/* The last event, `ready`: load the address again. */
size_t page_event_ready(char out[static PAGE_EVENT_MAX]);
