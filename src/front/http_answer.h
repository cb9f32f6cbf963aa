/*
 * http_answer.h - the head of an answer that a backend gives, read as far as relaying needs it.
 *
 * Pure, and as careful as the request's parser (http_head.h) about where the body ends: an answer
 * that two readers could end at different places would give the rest of it to the next client of
 * the same backend connection. In what does not touch the framing it is lenient, as backends are
 * many: a line may end with LF alone, a reason phrase may be missing, white space may stand before a
 * colon (RFC 9112 5.1: a proxy removes it).
 *
 * Sources: RFC 9112 4 (status line), 6.3 (length of the body), 9.3 (persistence); RFC 9110 7.6.1
 * (Connection), 15.2 (interim answers).
 */
#pragma once

#include "http_head.h"

enum http_end {
    HTTP_END_NONE,    /* no body: HEAD, 1xx, 204, 304 */
    HTTP_END_LENGTH,  /* after content_length bytes */
    HTTP_END_CHUNKED, /* after the last chunk and its trailers */
    HTTP_END_CLOSE,   /* with the connection */
};

struct http_answer {
    const char *reason; /* HTTP_BAD: what is wrong with it, for the journal and the client */

    uint32_t size;   /* of the head, with the empty line at its end */
    uint16_t code;   /* 100 .. 599 */
    uint8_t minor;   /* HTTP/1.minor */
    bool interim;    /* 1xx but 101: another head follows */
    bool upgrade;    /* 101: another protocol follows */
    bool persistent; /* the backend keeps the connection open for another request */
    enum http_end end;
    uint64_t content_length; /* HTTP_END_LENGTH; with HTTP_END_NONE what the field said */
    bool has_length;         /* there is a Content-Length */
    struct http_slice phrase;
    size_t n_fields;
    struct http_field fields[HTTP_FIELDS_MAX];
    size_t n_options;
    struct http_slice options[HTTP_OPTIONS_MAX]; /* as those of a request */
};

/*
 * Parses the head at the start of size bytes. to_head: it answers a HEAD request. upgrade: the
 * request asked for another protocol; a 101 otherwise is HTTP_BAD.
 */
enum http_result http_answer_parse(const char *data, size_t size, bool to_head, bool upgrade,
                                   struct http_answer *ret_answer);
