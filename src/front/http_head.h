/*
 * http_head.h - the head of an HTTP/1 request: read strictly, judged, not copied.
 *
 * Pure: no allocation, no logging, nothing remembered between calls. Partial input is parsed again
 * from its start when more has come. What two parsers could read differently is refused: the
 * backend behind us must not see another request than the one that was routed.
 *
 * Sources: RFC 9112 (syntax, framing), RFC 9110 (fields, Host, Connection, Upgrade), RFC 3986
 * (host).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    HTTP_FIELDS_MAX = 100,    /* fields in a head; 431 beyond */
    HTTP_OPTIONS_MAX = 16,    /* fields that Connection may name; 400 beyond */
    HTTP_METHOD_MAX = 32,     /* bytes in a method; 501 beyond */
    HTTP_HOST_MAX = 255,      /* bytes in a host (RFC 1035 2.3.4); 400 beyond */
    HTTP_PORT_MAX = 5,        /* digits in its port; 400 beyond */
    HTTP_EMPTY_LINES_MAX = 2, /* empty lines before the request line that are passed over */
};

enum http_result { HTTP_COMPLETE, HTTP_PARTIAL, HTTP_BAD };

/* Part of the bytes that were parsed. */
struct http_slice {
    uint32_t at, len;
};

/* Those fields that the front itself has to know; all others pass through. */
enum http_field_kind {
    HTTP_FIELD_OTHER,
    HTTP_FIELD_HOST,
    HTTP_FIELD_CONNECTION,
    HTTP_FIELD_CONTENT_LENGTH,
    HTTP_FIELD_TRANSFER_ENCODING,
    HTTP_FIELD_UPGRADE,
    HTTP_FIELD_EXPECT,
    HTTP_FIELD_HOP, /* Keep-Alive, Proxy-Connection, TE, HTTP2-Settings: for the next hop only; and
                       Proxy, which a CGI environment makes a setting of (CVE-2016-5385) */
    HTTP_FIELD_DATE,
    HTTP_FIELD_COOKIE,
    HTTP_FIELD_ACCEPT,
    HTTP_FIELD_USER_AGENT,
    HTTP_FIELD_FETCH_MODE,        /* Sec-Fetch-Mode (W3C Fetch Metadata) */
    HTTP_FIELD_FETCH_DEST,        /* Sec-Fetch-Dest */
    HTTP_FIELD_FORWARDED,         /* RFC 7239 */
    HTTP_FIELD_X_FORWARDED_FOR,   /* these are known with `_` in place of `-` too: what a CGI */
    HTTP_FIELD_X_FORWARDED_PROTO, /* environment cannot tell apart must not slip through */
    HTTP_FIELD_X_FORWARDED_HOST,
    HTTP_FIELD_X_FORWARDED, /* any other X-Forwarded..., and X-Real-IP */
    HTTP_FIELD_KINDS,
};

struct http_field {
    enum http_field_kind kind;
    struct http_slice name, value; /* value without the white space around it; may be empty */
};

enum http_body { HTTP_BODY_NONE, HTTP_BODY_LENGTH, HTTP_BODY_CHUNKED };

struct http_head {
    /* HTTP_BAD: what to answer, 400, 431, 501 or 505, and why (a sentence without its full stop) */
    unsigned status;
    const char *reason;

    bool line_complete; /* also for HTTP_PARTIAL: the request line is; what is too long is the rest
                         */

    /* HTTP_COMPLETE */
    uint32_t size;        /* of the head, with the empty line at its end */
    uint8_t minor;        /* HTTP/1.minor: 0 or 1 */
    bool persistent;      /* the client will send more requests (RFC 9112 9.3) */
    bool upgrade;         /* wants another protocol, by Upgrade and Connection; never h2c */
    bool safe;            /* GET, HEAD, OPTIONS or TRACE: may be sent twice (RFC 9110 9.2.1) */
    bool bodyless_answer; /* HEAD */
    enum http_body body;
    uint64_t content_length; /* HTTP_BODY_LENGTH */
    struct http_slice method;
    struct http_slice target; /* in origin or asterisk form; len 0: absolute form without a path */
    struct http_slice path; /* of the target, without its query; len 0: "*", or no path was given */
    struct http_slice authority; /* the host with its port, from the target or else from Host */
    struct http_slice host;      /* the same without port; len 0: none was given */
    size_t n_fields;
    struct http_field fields[HTTP_FIELDS_MAX];
    size_t n_options;
    /* The fields that Connection names, of HTTP_FIELD_OTHER: no others are removed by that. */
    struct http_slice options[HTTP_OPTIONS_MAX];
};

/*
 * Parses the head at the start of size bytes. *ret_head is filled as far as its comments say;
 * slices are valid only when it is complete.
 */
enum http_result http_head_parse(const char *data, size_t size, struct http_head *ret_head);

/* The first field of a kind, or NULL. */
const struct http_field *http_field_find(const struct http_head *head, enum http_field_kind kind);

/* Whether the slice of data is the given text, whatever the case of its letters. */
bool http_slice_is(const char *data, struct http_slice slice, const char *text);
