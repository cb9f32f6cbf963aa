/* http_chars.h - which characters may stand where in HTTP/1. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum http_class {
    HTTP_TOKEN = 1 << 0,  /* RFC 9110 5.6.2 */
    HTTP_TARGET = 1 << 1, /* in a request target: visible ASCII, no fragment */
    HTTP_VALUE = 1 << 2, /* in a field's value: no controls but HTAB, and obs-text (RFC 9110 5.5) */
    HTTP_HOST = 1 << 3,  /* RFC 3986 3.2.2, reg-name: unreserved, sub-delims, % of pct-encoded */
    HTTP_HEX = 1 << 4,
};

extern const uint8_t http_classes[256];

/* Whether c is of one of the classes wanted. */
static inline bool http_is(char c, unsigned wanted) {
    return (http_classes[(unsigned char)c] & wanted) != 0;
}

/* Whether c is a digit, or white space within a line (RFC 9110 5.6.3, OWS). */
static inline bool http_is_digit(char c) {
    return c >= '0' && c <= '9';
}

static inline bool http_is_space(char c) {
    return c == ' ' || c == '\t';
}

/* Characters of a token in the form in which names are compared: without case, and `_` as `-`. */
static inline int http_fold(char c) {
    return c == '_' ? '-' : c | 0x20;
}

/* The value of a hexadecimal digit, or -1. */
static inline int http_hex_digit(char c) {
    if (!http_is(c, HTTP_HEX)) {
        return -1;
    }
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}
