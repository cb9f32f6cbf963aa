/* heads.h - what the targets for heads of requests and of answers look for in what was rewritten. */
#pragma once

#include <stdbool.h>
#include <strings.h>

#include "fuzz.h"
#include "http_head.h"

static inline bool same_slice(const char *a, struct http_slice slice_a, const char *b,
                              struct http_slice slice_b) {
    return slice_a.len == slice_b.len && memcmp(a + slice_a.at, b + slice_b.at, slice_a.len) == 0;
}

static inline size_t count_fields(const struct http_field *fields, size_t n,
                                  enum http_field_kind kind) {
    size_t count = 0;

    for (size_t i = 0; i < n; i++) {
        count += fields[i].kind == kind;
    }
    return count;
}

/* No field of a name that Connection had named, whatever the case. */
static inline void check_options(const char *data, const struct http_slice *options,
                                 size_t n_options, const char *out, const struct http_field *fields,
                                 size_t n_fields) {
    for (size_t i = 0; i < n_options; i++) {
        for (size_t k = 0; k < n_fields; k++) {
            CHECK(options[i].len != fields[k].name.len ||
                  strncasecmp(data + options[i].at, out + fields[k].name.at, options[i].len) != 0);
        }
    }
}
