/*
 * http_rewrite.h - heads as the next hop is to get them: requests for the backend, answers for the
 * client.
 *
 * Pure. What concerned the hop before is left out (RFC 9110 7.6.1); the target is brought to origin
 * form with the one Host that it was routed by (RFC 9112 3.2.2); the framing is written anew in one
 * form; each message carries our own version, HTTP/1.1 (RFC 9112 2.3).
 */
#pragma once

#include <sys/types.h>

#include "http_answer.h"
#include "http_head.h"
#include "proto.h"

enum { HTTP_REWRITE_GROWTH = 1024 }; /* bytes by which a head may become longer */

/* What a request is told of its way so far. */
struct http_forward {
    struct proto_address client; /* AF_UNSPEC: a Unix socket */
    bool
        trusted; /* the peer is a trusted proxy: what it says of its clients is kept and added to */
    bool persistent; /* whether the backend is to keep the connection open */
    unsigned
        segments; /* of the path that are left out (strip_path), and said in X-Forwarded-Prefix */
};

/*
 * Writes the request's head that was parsed from data. Forwarded, X-Forwarded-For, -Proto, -Host
 * (RFC 7239) say what we know; a stranger's are dropped. Of an untrusted peer and of a trusted one
 * that says nothing else the protocol is http. A trusted peer that sends only one of Forwarded and
 * X-Forwarded-For gets only that one added to: the other would name the peer as the client. Returns
 * the size, or -ENOBUFS when room is less than head->size + HTTP_REWRITE_GROWTH.
 */
ssize_t http_rewrite_request(const char *data, const struct http_head *head,
                             const struct http_forward *forward, char *out, size_t room);

/* How the client gets an answer. */
struct http_return {
    uint8_t minor;   /* the client's version: one of HTTP/1.0 gets no Transfer-Encoding */
    bool persistent; /* we keep its connection open */
    int64_t now; /* seconds since 1970, for an answer without a Date (RFC 9110 6.6.1: a recipient
                        with a clock MUST add one when it forwards); 0: none is added */
};

/*
 * Writes the answer's head that was parsed from data: interim, final or 101. A chunked body to an
 * HTTP/1.0 client is announced as one that ends with the connection; such an answer, and one that
 * came so, says `Connection: close` whatever to->persistent is. Returns as above.
 */
ssize_t http_rewrite_answer(const char *data, const struct http_answer *answer,
                            const struct http_return *to, char *out, size_t room);
