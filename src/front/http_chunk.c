/*
 * http_chunk.c - see http_chunk.h.
 *
 * One state for each place between two bytes at which a piece may end:
 *
 *   SIZE_FIRST -> SIZE -> (EXTENSION) -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE_FIRST ...
 *   size 0:                           -> TRAILER_FIRST -> TRAILER_NAME -> TRAILER_VALUE
 *                                                      -> TRAILER_LF -> TRAILER_FIRST ...
 *                                     -> END_LF -> END
 */
#include "http_chunk.h"

#include "http_chars.h"

enum state {
    SIZE_FIRST, /* the first digit of a size: there must be one */
    SIZE,
    EXTENSION,
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
        if (chunk->state == SIZE_FIRST) {
            return -1;
        }
        return c == '\r' ? SIZE_LF : c == ';' ? EXTENSION : -1;
    case EXTENSION:
        return c == '\r' ? SIZE_LF : http_is(c, HTTP_VALUE) ? EXTENSION : -1;
    case SIZE_LF:
        return c != '\n' ? -1 : chunk->left > 0 ? DATA : TRAILER_FIRST;
    case DATA_CR:
        return c == '\r' ? DATA_LF : -1;
    case DATA_LF:
        return c == '\n' ? SIZE_FIRST : -1;
    case TRAILER_FIRST:
        return c == '\r' ? END_LF : http_is(c, HTTP_TOKEN) ? TRAILER_NAME : -1;
    case TRAILER_NAME:
        return c == ':' ? TRAILER_VALUE : http_is(c, HTTP_TOKEN) ? TRAILER_NAME : -1;
    case TRAILER_VALUE:
        return c == '\r' ? TRAILER_LF : http_is(c, HTTP_VALUE) ? TRAILER_VALUE : -1;
    case TRAILER_LF:
        return c == '\n' ? TRAILER_FIRST : -1;
    case END_LF:
        return c == '\n' ? END : -1;
    case DATA:
    case END:
        break;
    }
    return -1;
}

enum http_result http_chunk_scan(struct http_chunk *chunk, const char *data, size_t size,
                                 size_t *ret_used) {
    size_t at = 0;

    while (at < size && chunk->state != END) {
        int next;

        if (chunk->state == DATA) {
            size_t n = chunk->left < size - at ? (size_t)chunk->left : size - at;

            at += n;
            chunk->left -= n;
            if (chunk->left == 0) {
                chunk->state = DATA_CR;
            }
            continue;
        }
        next = step(chunk, data[at]);
        if (next == DATA || next == TRAILER_FIRST || next == SIZE_FIRST) {
            /* A line's count begins anew; that of the trailers goes over all their lines. */
            chunk->count = chunk->state == TRAILER_LF ? (uint16_t)(chunk->count + 1) : 0;
        } else {
            chunk->count++;
        }
        if (next < 0 || chunk->count > (chunk->state >= TRAILER_FIRST ? HTTP_TRAILERS_MAX
                                                                      : HTTP_CHUNK_LINE_MAX)) {
            *ret_used = at;
            return HTTP_BAD;
        }
        chunk->state = (uint8_t)next;
        at++;
    }
    *ret_used = at;
    return chunk->state == END ? HTTP_COMPLETE : HTTP_PARTIAL;
}
