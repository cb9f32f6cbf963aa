/*
 * render.c - prints what page.c makes, for page.py.
 *
 *     render page|fields|event|ready [app=...] [title=...] [html=...] [state=...] [elapsed=SECONDS]
 *            [reason=...] [retry_after=SECONDS] [logs=1]
 *
 * A reason makes it a failure. Values are taken as they are; exit status 2 for anything else.
 */
#include "page.h"

#include <stdio.h>
#include <string.h>

static const char *value_of(const char *argument, const char *name) {
    size_t len = strlen(name);

    return strncmp(argument, name, len) == 0 && argument[len] == '=' ? argument + len + 1 : NULL;
}

static bool take(struct page *page, const char *argument) {
    const char *value;

    if ((value = value_of(argument, "app")) != NULL) {
        page->app = value;
    } else if ((value = value_of(argument, "title")) != NULL) {
        page->title = value;
    } else if ((value = value_of(argument, "html")) != NULL) {
        page->html = value;
    } else if ((value = value_of(argument, "reason")) != NULL) {
        page->failed = true;
        page->reason = value;
    } else if ((value = value_of(argument, "elapsed")) != NULL) {
        page->elapsed = (usec_t)(strtod(value, NULL) * (double)USEC_PER_SEC);
    } else if ((value = value_of(argument, "retry_after")) != NULL) {
        page->retry_after = (unsigned)strtoul(value, NULL, 10);
    } else if (value_of(argument, "logs") != NULL) {
        page->logs = true;
    } else if ((value = value_of(argument, "state")) != NULL) {
        for (page->state = 0; page->state < PROTO_STATE_MAX; page->state++) {
            if (strcmp(proto_state_name(page->state), value) == 0) {
                return true;
            }
        }
        return false;
    } else {
        return false;
    }
    return true;
}

int main(int argc, char **argv) {
    struct page page = {.app = "blog"};
    char event[PAGE_EVENT_MAX];
    char *text = NULL;
    size_t size = 0;
    const char *what = argc > 1 ? argv[1] : "";

    for (int i = 2; i < argc; i++) {
        if (!take(&page, argv[i])) {
            return 2;
        }
    }
    if (strcmp(what, "page") == 0) {
        if (page_write(&page, &text, &size) < 0) {
            return 1;
        }
        fwrite(text, 1, size, stdout);
        free(text);
    } else if (strcmp(what, "fields") == 0) {
        fputs(page_fields(&page), stdout);
    } else if (strcmp(what, "event") == 0) {
        size = page_event(event, &page);
        fwrite(event, 1, size, stdout);
    } else if (strcmp(what, "ready") == 0) {
        size = page_event_ready(event);
        fwrite(event, 1, size, stdout);
    } else {
        return 2;
    }
    return 0;
}
