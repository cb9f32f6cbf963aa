/*
 * http_rewrite.h - the head of a request as the next hop is to get it.
 *
 * Pure. What concerned this hop is left out (RFC 9110 7.6.1), the target is brought to origin form
 * with the Host that it was routed by (RFC 9112 3.2.2), the framing is written anew in one form,
 * and the backend is asked to close after its answer, or to change the protocol.
 */
#pragma once

#include <sys/types.h>

#include "http_head.h"

enum { HTTP_REWRITE_GROWTH = 256 }; /* bytes by which the head may become longer */

/*
 * Writes the head that was parsed from data. Returns its size, or -ENOBUFS when room is less than
 * head->size + HTTP_REWRITE_GROWTH.
 */
ssize_t http_rewrite(const char *data, const struct http_head *head, char *out, size_t room);
