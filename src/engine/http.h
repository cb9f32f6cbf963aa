/*
 * http.h - HTTP requests on the event loop, by libcurl's multi interface (libcurl-multi(3)).
 *
 * A call is one transfer. It ends exactly once: by its done callback, from the event loop and never
 * from within http_call_start(), or by http_call_free() before that. After the callback the call is
 * freed by this module; the callback may start and free other calls.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#include "util.h"

enum {
    HTTP_BODY_MAX = 64 << 20, /* the largest answer kept; a listing of 10,000 containers is 20 MB */
    HTTP_URL_MAX = 2048,
};

struct http;
struct http_call;

struct http_answer {
    /*
     * 0, or why there is no whole answer: -ETIMEDOUT, -ECONNREFUSED (nobody listens: ENOENT too),
     * -EPIPE (the connection ended early), -EMSGSIZE (more than the limit), -EIO (the rest).
     */
    int result;
    long status;      /* the HTTP status, with -EMSGSIZE too; 0 for other failures */
    const char *body; /* NUL-terminated; the callback's only while it runs */
    size_t size;
    const char *text;     /* libcurl's own words when result is negative */
    char api_version[16]; /* the Api-Version field, "" when there was none */
};

struct http_request {
    const char *method;      /* "GET", "POST" */
    const char *unix_socket; /* NULL: TCP, as the URL says */
    const char *url;
    const char *host; /* the Host field; NULL: the URL's */
    usec_t timeout;   /* for the whole call; 0: none (a stream) */
    size_t limit;     /* bytes of answer; 0: HTTP_BODY_MAX */
    bool fresh;       /* a connection of its own, closed afterwards */
    /*
     * For a stream: called with each piece as it comes, in place of keeping the body, and once with
     * size 0 when the head of a 2xx answer has come. A negative return ends the call with -EPIPE;
     * after http_call_free() the callback must return 0. Like done(), it comes from the event loop
     * and may start and free any call.
     */
    int (*piece)(void *userdata, const char *data, size_t size);
    void (*done)(void *userdata, const struct http_answer *answer);
    void *userdata;
};

int http_new(sd_event *event, struct http **ret_http);
/* All calls must have ended. NULL is fine. */
void http_free(struct http *http);

/* The request's strings are copied. */
int http_call_start(struct http *http, const struct http_request *request,
                    struct http_call **ret_call);
/* Ends the call without its callback. NULL is fine; so is the call whose callback is running. */
void http_call_free(struct http_call *call);
