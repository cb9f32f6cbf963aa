/*
 * http_chunk.c - see http_chunk.h.
 *
 * One state for each place between two bytes at which a piece may end:
 *
 *   SIZE_FIRST -> SIZE -> (EXTENSION...) -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE_FIRST ...
 *   size 0:                              -> TRAILER_FIRST -> TRAILER_NAME -> TRAILER_VALUE
 *                                                         -> TRAILER_LF -> TRAILER_FIRST ...
 *                                        -> END_LF -> END
 *
 * Extensions follow the grammar of RFC 9112 7.1.1 but for its "bad" white space, which parsers
 * disagree about.
 *
 * A trailer must not say what a head does (RFC 9110 6.5.1): programs that put trailers and fields
 * into one list would take it for the truth. Names are compared by a hash that is built up byte by
 * byte, in the member that counts data before. Two names of one hash, 64 bits wide, would refuse a
 * harmless trailer and never let a harmful one pass.
 */
#include "http_chunk.h"

#include <string.h>

#include "http_chars.h"

enum state {
    SIZE_FIRST, /* the first digit of a size: there must be one */
    SIZE,
    EXTENSION_FIRST, /* after ";" */
    EXTENSION_NAME,
    EXTENSION_VALUE_FIRST, /* after "=" */
    EXTENSION_TOKEN,
    EXTENSION_QUOTED,
    EXTENSION_ESCAPED,  /* after "\" */
    EXTENSION_UNQUOTED, /* after the second quote */
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER_FIRST, /* a trailer field or the last empty line */
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    END_LF,
    END,
};

/* FNV-1a, of folded names. */
static const uint64_t hash_start = 0xcbf29ce484222325, hash_prime = 0x100000001b3;

static uint64_t hash_add(uint64_t hash, char c) {
    return (hash ^ (unsigned char)http_fold(c)) * hash_prime;
}

static bool trailer_forbidden(uint64_t hash) {
    static const char *const names[] = {
        "content-length",    "transfer-encoding", "host",      "connection",
        "upgrade",           "forwarded",         "x-real-ip", "x-forwarded-for",
        "x-forwarded-proto", "x-forwarded-host",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        uint64_t other = hash_start;

        for (const char *c = names[i]; *c != '\0'; c++) {
            other = hash_add(other, *c);
        }
        if (other == hash) {
            return true;
        }
    }
    return false;
}

/* What may follow a size, a name, a token or a quoted string. */
static int after_extension(char c) {
    return c == '\r' ? SIZE_LF : c == ';' ? EXTENSION_FIRST : -1;
}

static int step_extension(enum state state, char c) {
    bool token = http_is(c, HTTP_TOKEN);

    switch (state) {
    case EXTENSION_FIRST:
        return token ? EXTENSION_NAME : -1;
    case EXTENSION_NAME:
        return token ? EXTENSION_NAME : c == '=' ? EXTENSION_VALUE_FIRST : after_extension(c);
    case EXTENSION_VALUE_FIRST:
        return token ? EXTENSION_TOKEN : c == '"' ? EXTENSION_QUOTED : -1;
    case EXTENSION_TOKEN:
        return token ? EXTENSION_TOKEN : after_extension(c);
    case EXTENSION_QUOTED:
        return c == '"'                 ? EXTENSION_UNQUOTED
               : c == '\\'              ? EXTENSION_ESCAPED
               : http_is(c, HTTP_VALUE) ? EXTENSION_QUOTED
                                        : -1;
    case EXTENSION_ESCAPED:
        return http_is(c, HTTP_VALUE) ? EXTENSION_QUOTED : -1;
    default:
        return after_extension(c);
    }
}

static int step_trailer(struct http_chunk *chunk, char c) {
    switch ((enum state)chunk->state) {
    case TRAILER_FIRST:
        chunk->left = hash_start;
        if (c == '\r') {
            return END_LF;
        }
        break;
    case TRAILER_NAME:
        if (c == ':') {
            return trailer_forbidden(chunk->left) ? -1 : TRAILER_VALUE;
        }
        break;
    case TRAILER_VALUE:
        return c == '\r' ? TRAILER_LF : http_is(c, HTTP_VALUE) ? TRAILER_VALUE : -1;
    case TRAILER_LF:
        return c == '\n' ? TRAILER_FIRST : -1;
    default:
        return c == '\n' ? END : -1;
    }
    if (!http_is(c, HTTP_TOKEN)) {
        return -1;
    }
    chunk->left = hash_add(chunk->left, c);
    return TRAILER_NAME;
}

/* The state after c, which is not chunk data; -1: c must not stand there. */
static int step(struct http_chunk *chunk, char c) {
    int digit;

    switch ((enum state)chunk->state) {
    case SIZE_FIRST:
    case SIZE:
        digit = http_hex_digit(c);
        if (digit >= 0) {
            /* Four bits are free at the top, and one more: many count with signed numbers. */
            if (chunk->left > INT64_MAX >> 4) {
                return -1;
            }
            chunk->left = chunk->left << 4 | (uint64_t)digit;
            return SIZE;
        }
        return chunk->state == SIZE_FIRST ? -1 : after_extension(c);
    case SIZE_LF:
        return c != '\n' ? -1 : chunk->left > 0 ? DATA : TRAILER_FIRST;
    case DATA_CR:
        return c == '\r' ? DATA_LF : -1;
    case DATA_LF:
        return c == '\n' ? SIZE_FIRST : -1;
    case TRAILER_FIRST:
    case TRAILER_NAME:
    case TRAILER_VALUE:
    case TRAILER_LF:
    case END_LF:
        return step_trailer(chunk, c);
    case DATA:
    case END:
        return -1;
    default:
        return step_extension((enum state)chunk->state, c);
    }
}

/* Takes one byte that is not chunk data; false: it is bad. */
static bool take(struct http_chunk *chunk, char c) {
    int next = step(chunk, c);

    if (next == DATA || next == TRAILER_FIRST || next == SIZE_FIRST) {
        /* A line's count begins anew; that of the trailers goes over all their lines. */
        chunk->count = chunk->state == TRAILER_LF ? (uint16_t)(chunk->count + 1) : 0;
    } else {
        chunk->count++;
    }
    if (next < 0 ||
        chunk->count > (chunk->state >= TRAILER_FIRST ? HTTP_TRAILERS_MAX : HTTP_CHUNK_LINE_MAX)) {
        return false;
    }
    chunk->state = (uint8_t)next;
    return true;
}

/* Takes as much chunk data as there is. Returns its size. */
static size_t take_data(struct http_chunk *chunk, size_t size) {
    size_t n = chunk->left < size ? (size_t)chunk->left : size;

    chunk->left -= n;
    if (chunk->left == 0) {
        chunk->state = DATA_CR;
    }
    return n;
}

enum http_result http_chunk_scan(struct http_chunk *chunk, const char *data, size_t size,
                                 size_t *ret_used) {
    size_t at = 0;

    while (at < size && chunk->state != END) {
        if (chunk->state == DATA) {
            at += take_data(chunk, size - at);
        } else if (take(chunk, data[at])) {
            at++;
        } else {
            *ret_used = at;
            return HTTP_BAD;
        }
    }
    *ret_used = at;
    return chunk->state == END ? HTTP_COMPLETE : HTTP_PARTIAL;
}

enum http_result http_chunk_decode(struct http_chunk *chunk, char *data, size_t size,
                                   size_t *ret_used, size_t *ret_data) {
    enum http_result result = HTTP_PARTIAL;
    size_t at = 0;

    *ret_data = 0;
    while (at < size && result == HTTP_PARTIAL) {
        size_t used;

        if (chunk->state == DATA) {
            used = take_data(chunk, size - at);
            memmove(data + *ret_data, data + at, used);
            *ret_data += used;
        } else {
            result = http_chunk_scan(chunk, data + at, 1, &used);
        }
        at += used;
    }
    *ret_used = at;
    return chunk->state == END ? HTTP_COMPLETE : result;
}
