/*
 * answer.h - the answers that the front gives itself: short, complete, and with a reason.
 *
 * Pure but for the Date. Nothing of what the client sent is repeated in them.
 */
#pragma once

#include <stddef.h>

#include "proto.h"

enum {
    ANSWER_MAX = 1024,     /* bytes of an answer; its reason is cut to fit */
    ANSWER_RETRY_AFTER = 5 /* seconds that a client is asked to wait after 503 and 504 */
};

/*
 * An HTTP/1.1 answer that ends the connection. status is one of 400, 404, 408, 414, 431, 501, 502,
 * 503, 504, 505. subject (an app's name) may be NULL. bodyless: the request was HEAD. Returns its
 * size.
 */
size_t answer_write(char out[static ANSWER_MAX], unsigned status, const char *subject,
                    const char *reason, bool bodyless);

/* The status that tells a client about a failed wake. */
unsigned answer_status_of(enum proto_failure failure);
