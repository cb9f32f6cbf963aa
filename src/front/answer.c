/* answer.c - see answer.h. */
#include "answer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "http_chars.h"
#include "text.h"
#include "util.h"

enum { REASON_MAX = 512 }; /* bytes of a body's sentence */

static const struct {
    unsigned status;
    const char *phrase;
} phrases[] = {
    {200, "OK"},
    {204, "No Content"},
    {302, "Found"},
    {400, "Bad Request"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {417, "Expectation Failed"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

/* A reason phrase may be empty (RFC 9112 4). */
static const char *phrase_of(unsigned status) {
    for (size_t i = 0; i < ARRAY_SIZE(phrases); i++) {
        if (phrases[i].status == status) {
            return phrases[i].phrase;
        }
    }
    return "";
}

struct writer {
    char *out;
    size_t room, size;
};

/* What does not fit is cut off; answer_head_write() has room for all that it is given. */
static void put(struct writer *writer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void put(struct writer *writer, const char *format, ...) {
    size_t left = writer->room - writer->size;
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(writer->out + writer->size, left, format, args);
    va_end(args);
    if (n > 0) {
        writer->size += (size_t)n < left ? (size_t)n : left - 1;
    }
}

/* IMF-fixdate (RFC 9110 5.6.7); the program never sets a locale. */
static void put_date(struct writer *writer) {
    time_t now = time(NULL);
    char text[40];
    struct tm tm;

    strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
    put(writer, "Date: %s\r\n", text);
}

static unsigned retry_after_of(const struct answer *answer) {
    if (answer->retry_after != 0 || (answer->status != 503 && answer->status != 504)) {
        return answer->retry_after;
    }
    return ANSWER_RETRY_AFTER;
}

/* No 204 and no 304 has a body, and none of them a length (RFC 9110 8.6). */
static bool has_body(unsigned status) {
    return status != 204 && status != 304;
}

size_t answer_head_write(char out[static ANSWER_HEAD_MAX], const struct answer *answer,
                         const char *type, uint64_t size, const char *extra) {
    struct writer writer = {.out = out, .room = ANSWER_HEAD_MAX};
    unsigned retry_after = retry_after_of(answer);

    put(&writer, "HTTP/1.1 %u %s\r\n", answer->status, phrase_of(answer->status));
    put_date(&writer);
    if (has_body(answer->status)) {
        put(&writer, "Content-Type: %s\r\nX-Content-Type-Options: nosniff\r\n", type);
        if (size != UINT64_MAX) {
            put(&writer, "Content-Length: %" PRIu64 "\r\n", size);
        }
    }
    put(&writer, "Cache-Control: no-store\r\n");
    if (retry_after != 0) {
        put(&writer, "Retry-After: %u\r\n", retry_after);
    }
    if (answer->state != NULL) {
        put(&writer, "Dockwake-State: %s\r\n", answer->state);
    }
    if (answer->status == 405) {
        put(&writer, "Allow: GET, HEAD\r\n");
    }
    if (!answer->persistent) {
        put(&writer, "Connection: close\r\n");
    } else if (answer->old) {
        put(&writer, "Connection: keep-alive\r\n");
    }
    put(&writer, "%s\r\n", extra);
    return writer.size;
}

/* Up to what no address may have, so that it ends nothing but itself. */
static int location_size(const char *location) {
    int n = 0;

    while (n < ANSWER_LOCATION_MAX && (location[n] == '#' || http_is(location[n], HTTP_TARGET))) {
        n++;
    }
    return n;
}

size_t answer_write(char out[static ANSWER_MAX], const struct answer *answer) {
    struct writer writer = {.out = out, .room = ANSWER_MAX};
    const char *phrase = phrase_of(answer->status);
    char subject[PROTO_NAME_MAX], reason[REASON_MAX], body[sizeof(subject) + sizeof(reason) + 64];
    char head[ANSWER_HEAD_MAX];
    size_t size, head_size;

    text_copy(subject, sizeof(subject), answer->subject != NULL ? answer->subject : "");
    text_copy(reason, sizeof(reason), answer->reason != NULL ? answer->reason : "see the Location");
    size = (size_t)snprintf(body, sizeof(body), "%u%s%s\n%s%s%s.\n", answer->status,
                            phrase[0] != '\0' ? " " : "", phrase, subject,
                            subject[0] != '\0' ? ": " : "", reason);
    head_size = answer_head_write(head, answer, "text/plain; charset=utf-8", size, "");
    /* Location goes in front of the empty line; it is longer than a head may be. */
    put(&writer, "%.*s", (int)(head_size - 2), head);
    if (answer->location != NULL) {
        put(&writer, "Location: %.*s\r\n", location_size(answer->location), answer->location);
    }
    put(&writer, "\r\n%s", !answer->bodyless && has_body(answer->status) ? body : "");
    return writer.size;
}

unsigned answer_status_of(enum proto_failure failure) {
    return failure == PROTO_FAILURE_TIMEOUT ? 504 : 503;
}
