/*
 * http_chunk.h - finds the end of a chunked body (RFC 9112 7.1).
 *
 * Pure. It is shown the bytes as they pass, in pieces of any size, and says where the body ends; it
 * does not decode. As strict as the head's parser: chunk sizes of hexadecimal digits only, CR LF
 * only, extensions and trailers bounded and without controls.
 */
#pragma once

#include "http_head.h"

enum {
    HTTP_CHUNK_LINE_MAX = 1024, /* bytes of a chunk's first line, its extensions included */
    HTTP_TRAILERS_MAX = 8192,   /* bytes of all trailer fields */
};

/* All zero: at the start of a body. */
struct http_chunk {
    uint64_t left;  /* data bytes of the chunk that are yet to come, or the size read so far */
    uint16_t count; /* bytes of this line, or of the trailers, so far */
    uint8_t state;
};

/*
 * Looks at the next size bytes. HTTP_PARTIAL: the body goes on behind them. HTTP_COMPLETE: it ends
 * after the first *ret_used of them. HTTP_BAD: it is malformed; the first *ret_used bytes are not.
 */
enum http_result http_chunk_scan(struct http_chunk *chunk, const char *data, size_t size,
                                 size_t *ret_used);
