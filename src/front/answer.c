/* answer.c - see answer.h. */
#include "answer.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "util.h"

static const struct {
    unsigned status;
    const char *phrase;
} phrases[] = {
    {400, "Bad Request"},
    {404, "Not Found"},
    {408, "Request Timeout"},
    {414, "URI Too Long"},
    {431, "Request Header Fields Too Large"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

static const char *phrase_of(unsigned status) {
    for (size_t i = 0; i < ARRAY_SIZE(phrases); i++) {
        if (phrases[i].status == status) {
            return phrases[i].phrase;
        }
    }
    return "Error";
}

/* IMF-fixdate (RFC 9110 5.6.7); the program never sets a locale. */
static void date_write(char out[static 40]) {
    time_t now = time(NULL);
    struct tm tm;

    strftime(out, 40, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
}

/* A reason may quote another program's words: what is not text does not pass. */
static void tidy(char *text) {
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            *text = ' ';
        }
    }
}

size_t answer_write(char out[static ANSWER_MAX], unsigned status, const char *subject,
                    const char *reason, bool bodyless) {
    const char *phrase = phrase_of(status);
    char what[PROTO_NAME_MAX + PROTO_TEXT_MAX], body[sizeof(what) + 64], date[40];
    char retry[sizeof("Retry-After: 4294967295\r\n")] = "";
    int n;

    snprintf(what, sizeof(what), "%s%s%s", subject != NULL ? subject : "",
             subject != NULL ? ": " : "", reason);
    tidy(what);
    snprintf(body, sizeof(body), "%u %s\n%s.\n", status, phrase, what);
    if (status == 503 || status == 504) {
        snprintf(retry, sizeof(retry), "Retry-After: %u\r\n", (unsigned)ANSWER_RETRY_AFTER);
    }
    date_write(date);
    n = snprintf(out, ANSWER_MAX,
                 "HTTP/1.1 %u %s\r\n"
                 "Date: %s\r\n"
                 "Content-Type: text/plain; charset=utf-8\r\n"
                 "X-Content-Type-Options: nosniff\r\n"
                 "Content-Length: %zu\r\n"
                 "Cache-Control: no-store\r\n"
                 "%s"
                 "Connection: close\r\n"
                 "\r\n"
                 "%s",
                 status, phrase, date, strlen(body), retry, bodyless ? "" : body);
    return (size_t)n;
}

unsigned answer_status_of(enum proto_failure failure) {
    return failure == PROTO_FAILURE_TIMEOUT ? 504 : 503;
}
