/*
 * http_status.h - the status of an answer that passes by (RFC 9112 4, RFC 9110 15.2).
 *
 * Pure. It is shown the backend's bytes in pieces of any size until the status is known; interim
 * answers (1xx) are passed over, but for 101, which ends HTTP on this connection. It watches and
 * does not judge: the answer is the client's to read.
 */
#pragma once

#include "http_head.h"

enum { HTTP_INTERIM_MAX = 65536 }; /* bytes of interim answers before it gives up */

/* All zero: nothing seen yet. */
struct http_status {
    uint16_t code; /* when complete */
    uint8_t state;
    uint32_t count; /* bytes seen */
};

/* HTTP_PARTIAL: show it the next bytes. HTTP_COMPLETE: code is known. HTTP_BAD: this is not HTTP/1.
 */
enum http_result http_status_scan(struct http_status *status, const char *data, size_t size);
