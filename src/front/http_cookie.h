/*
 * http_cookie.h - one cookie among those of a request (RFC 6265 4.2, 5.4).
 *
 * Pure. Names are compared exactly. A value in double quotes is taken without them. Of several
 * cookies of one name the first counts, over all Cookie fields.
 */
#pragma once

#include "http_head.h"

/* The value of the cookie of this name, or NULL and *ret_len 0 when the request has none. */
const char *http_cookie_find(const char *data, const struct http_head *head, const char *name,
                             size_t *ret_len);
