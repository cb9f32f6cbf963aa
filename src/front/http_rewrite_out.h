/*
 * http_rewrite_out.h - how the parts of http_rewrite.h write.
 *
 * For http_rewrite*.c. The room was checked once for all: HTTP_REWRITE_GROWTH is what the longest
 * of all that they write takes more than was read.
 */
#pragma once

#include <string.h>

#include "http_rewrite.h"

struct http_out {
    char *out;
    size_t size;
};

static inline void http_put_bytes(struct http_out *out, const char *bytes, size_t size) {
    memcpy(out->out + out->size, bytes, size);
    out->size += size;
}

static inline void http_put(struct http_out *out, const char *text) {
    http_put_bytes(out, text, strlen(text));
}

static inline void http_put_slice(struct http_out *out, const char *data, struct http_slice slice) {
    http_put_bytes(out, data + slice.at, slice.len);
}

/* In decimal, with at least the given number of digits. */
void http_put_number(struct http_out *out, uint64_t number, unsigned digits);

/* "Name: value" and the line's end. */
void http_put_field(struct http_out *out, const char *data, const struct http_field *field);

/* Whether Connection lists the field, of HTTP_FIELD_OTHER: it is for one hop only. */
bool http_is_option(const char *data, const struct http_slice *options, size_t n_options,
                    struct http_slice name);

/* Whether a field of HTTP_FIELD_X_FORWARDED passes as it came from a trusted peer. */
bool http_forwarded_passes(const char *data, const struct http_field *field);

/* The fields that say whence the request came. prefix: what was left out of the target's path. */
void http_put_forwarded(struct http_out *out, const char *data, const struct http_head *head,
                        const struct http_forward *forward, struct http_slice prefix);
