/*
 * http_fields.h - what heads of requests and of answers have in common: lines, fields, lists.
 *
 * For http_head.c and http_answer.c. Pure. A scan goes over the bytes once and refuses as early as
 * it can; its functions give HTTP_COMPLETE, and then stand behind what they took, or HTTP_PARTIAL
 * or HTTP_BAD, which end it.
 */
#pragma once

#include "http_chars.h"
#include "http_head.h"

struct http_scan {
    const char *data;
    uint32_t size, at;
    bool lenient; /* an answer: LF alone ends a line, white space may stand before a colon */

    unsigned status; /* HTTP_BAD, as in struct http_head */
    const char *reason;

    struct http_field *fields; /* HTTP_FIELDS_MAX of them */
    size_t n_fields;
    uint8_t count[HTTP_FIELD_KINDS]; /* fields of each kind, and the index of the first one */
    uint8_t first[HTTP_FIELD_KINDS];

    struct http_slice *options; /* HTTP_OPTIONS_MAX of them */
    size_t n_options;
    bool close, keep_alive, upgrade; /* Connection has this option */
};

enum http_result http_scan_bad(struct http_scan *scan, unsigned status, const char *reason);

static inline bool http_scan_ended(const struct http_scan *scan) {
    return scan->at == scan->size;
}

/* All characters of the class from here on. */
static inline struct http_slice http_scan_take(struct http_scan *scan, unsigned wanted) {
    uint32_t at = scan->at, end = at;

    while (end < scan->size && http_is(scan->data[end], wanted)) {
        end++;
    }
    scan->at = end;
    return (struct http_slice){.at = at, .len = end - at};
}

/* The end of a line, and nothing else. */
enum http_result http_scan_line_end(struct http_scan *scan);

/* All characters of HTTP_VALUE from here on, without the white space around them. */
struct http_slice http_scan_value(struct http_scan *scan);

/* All fields and the empty line behind them. */
enum http_result http_scan_fields(struct http_scan *scan);

/* What the Connection fields list (RFC 9110 7.6.1). A lenient scan takes what is no list of names
 * for the option "close". */
enum http_result http_scan_connection(struct http_scan *scan);

/* The first field of a kind, or NULL. */
static inline const struct http_field *http_scan_field(const struct http_scan *scan,
                                                       enum http_field_kind kind) {
    return scan->count[kind] > 0 ? &scan->fields[scan->first[kind]] : NULL;
}

/* The slice without the white space around it. */
struct http_slice http_trim(const char *data, struct http_slice slice);

/* The next element of a comma-separated list (RFC 9110 5.6.1), which may be empty, without the
 * white space around it; false: there is none. An empty one at the end is not given. */
bool http_list_next(const char *data, struct http_slice *rest, struct http_slice *ret_element);

/* A Content-Length: digits, at most INT64_MAX, which is what most programs count with. */
bool http_length_parse(const char *data, struct http_slice value, uint64_t *ret_length);

/* Whether the name is the folded one (http_fold). */
bool http_name_is(const char *name, size_t len, const char *folded, size_t folded_len);
