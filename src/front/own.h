/*
 * own.h - the front's own endpoints, below /_dockwake/.
 *
 *     /_dockwake/health           200 as long as the front serves; wakes nobody
 *     /_dockwake/events?for=PATH  server-sent events about the app that PATH on this host leads to
 *     /_dockwake/logs?for=PATH    the last lines its container wrote, with show_logs
 *
 * Pure.
 */
#pragma once

#include "config.h"
#include "http_head.h"

/* What one client address may ask of these endpoints: OWN_RATE at once, then OWN_RATE in OWN_RATE_TIME. */
#define OWN_RATE_TIME (10 * USEC_PER_SEC)
enum {
    OWN_RATE = 60,
    OWN_LINES = 20,       /* lines of a log */
    OWN_EVENTS_MAX = 256, /* streams of events that one worker keeps open; 503 beyond */
};

enum own_kind {
    OWN_NOT, /* not below /_dockwake/ */
    OWN_HEALTH,
    OWN_EVENTS,
    OWN_LOGS,
    OWN_UNKNOWN, /* 404 */
    OWN_METHOD,  /* 405: only GET and HEAD */
    OWN_BAD,     /* 400: PATH is missing or faulty */
};

struct own {
    enum own_kind kind;
    size_t path_len;
    char path[CONFIG_PATH_MAX]; /* OWN_EVENTS, OWN_LOGS: PATH, canonical */
};

/* path is the request's, canonical. The endpoints are the same below every host. */
void own_parse(const char *data, const struct http_head *head, const char *path, size_t path_len,
               struct own *ret_own);
