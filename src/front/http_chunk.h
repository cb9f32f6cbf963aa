/*
 * http_chunk.h - finds the end of a chunked body (RFC 9112 7.1).
 *
 * Pure. It is shown the bytes as they pass, in pieces of any size, and says where the body ends. As
 * strict as the head's parser: chunk sizes of hexadecimal digits only, CR LF only, extensions by
 * their grammar, extensions and trailers bounded and without controls. A trailer that would say
 * where the body ends, where the request goes or whence it came (RFC 9110 6.5.1) is refused; all
 * others pass.
 */
#pragma once

#include "http_head.h"

enum {
    HTTP_CHUNK_LINE_MAX = 1024, /* bytes of a chunk's first line, its extensions included */
    HTTP_TRAILERS_MAX = 8192,   /* bytes of all trailer fields */
};

/* All zero: at the start of a body. */
struct http_chunk {
    uint64_t left;  /* data bytes of the chunk that are yet to come, or the size read so far; in a
                       trailer the hash of its name so far */
    uint16_t count; /* bytes of this line, or of the trailers, so far */
    uint8_t state;
};

/*
 * Looks at the next size bytes. HTTP_PARTIAL: the body goes on behind them. HTTP_COMPLETE: it ends
 * after the first *ret_used of them. HTTP_BAD: it is malformed; the first *ret_used bytes are not.
 */
enum http_result http_chunk_scan(struct http_chunk *chunk, const char *data, size_t size,
                                 size_t *ret_used);

/*
 * The same, and moves the data of the chunks together at the start of data, without sizes and
 * trailers: for a client that knows no chunks. *ret_data is how many bytes of it there are.
 */
enum http_result http_chunk_decode(struct http_chunk *chunk, char *data, size_t size,
                                   size_t *ret_used, size_t *ret_data);
