/*
 * http_status.c - see http_status.h.
 *
 * States 0 to 12 are positions in the pattern "HTTP/1.x nnn ", whose last character may also be the
 * line's end; then come those that look for the empty line at the end of an interim answer.
 */
#include "http_status.h"

#include <stdbool.h>

static const char pattern[] = "HTTP/1.d ddd";

enum {
    AFTER_CODE = sizeof(pattern) - 1, /* what follows the three digits */
    LINE,                             /* in a line of an interim answer */
    LINE_FIRST,                       /* at the start of one */
    LINE_FIRST_LF,                    /* after a CR at the start of one */
};

enum http_result http_status_scan(struct http_status *status, const char *data, size_t size) {
    for (size_t i = 0; i < size; i++) {
        char c = data[i];

        if (status->count++ >= HTTP_INTERIM_MAX) {
            return HTTP_BAD;
        }
        if (status->state < AFTER_CODE) {
            bool digit = c >= '0' && c <= '9';

            if (pattern[status->state] == 'd' ? !digit : c != pattern[status->state]) {
                return HTTP_BAD;
            }
            if (status->state > sizeof("HTTP/1.d") - 1) {
                status->code = (uint16_t)(status->code * 10 + (c - '0'));
            }
            status->state++;
            continue;
        }
        switch (status->state) {
        case AFTER_CODE:
            if (c != ' ' && c != '\r' && c != '\n') {
                return HTTP_BAD;
            }
            if (status->code < 100 || status->code > 199 || status->code == 101) {
                return HTTP_COMPLETE;
            }
            status->state = c == '\n' ? LINE_FIRST : LINE;
            break;
        case LINE:
            status->state = c == '\n' ? LINE_FIRST : LINE;
            break;
        case LINE_FIRST:
        case LINE_FIRST_LF:
            if (c == '\n') {
                *status = (struct http_status){.count = status->count};
            } else {
                status->state = c == '\r' && status->state == LINE_FIRST ? LINE_FIRST_LF : LINE;
            }
            break;
        }
    }
    return HTTP_PARTIAL;
}
