/*
 * answer.h - the answers that the front gives itself: short, complete, and with a reason.
 *
 * Pure but for the Date. Nothing of what the client sent is repeated in them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto.h"

enum {
    ANSWER_MAX = 3072,          /* bytes of an answer; its reason is cut to fit */
    ANSWER_HEAD_MAX = 1024,     /* of the head alone, without a Location */
    ANSWER_LOCATION_MAX = 1024, /* of a Location; config.h's values are shorter */
    ANSWER_RETRY_AFTER = 5      /* seconds that a client is asked to wait after 503 and 504 */
};

struct answer {
    unsigned
        status; /* 200, 204, 302, 400, 403, 404, 405, 408, 413, 414, 417, 429, 431, 500 ... 505,
                            or any other, then without a phrase of its own */
    const char *subject;  /* an app's name; NULL */
    const char *reason;   /* a sentence without its full stop; NULL with location */
    bool bodyless;        /* the request was HEAD */
    bool persistent;      /* the connection stays open */
    bool old;             /* the client speaks HTTP/1.0: persistence has to be said */
    unsigned retry_after; /* seconds; 0: ANSWER_RETRY_AFTER for 503 and 504, otherwise none */
    const char *state;    /* Dockwake-State; NULL */
    const char *location; /* Location; NULL */
};

/* A whole answer with a short text. Returns its size. */
size_t answer_write(char out[static ANSWER_MAX], const struct answer *answer);

/*
 * The head of an answer whose body of size bytes (or, UINT64_MAX, up to the connection's end) the
 * caller sends. type is its Content-Type; extra are further fields, each with CR LF, or "".
 */
size_t answer_head_write(char out[static ANSWER_HEAD_MAX], const struct answer *answer,
                         const char *type, uint64_t size, const char *extra);

/* The status that tells a client about a failed wake. */
unsigned answer_status_of(enum proto_failure failure);
