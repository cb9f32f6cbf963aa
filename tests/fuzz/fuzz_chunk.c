/*
 * Chunked bodies (http_chunk.h): where one ends does not depend on the pieces in which it comes, nor
 * on whether it is decoded; and what is decoded is what a decoder of another kind makes of it.
 */
#include "fuzz.h"
#include "http_chunk.h"

enum { SPLITS = 48 }; /* places at which a body is cut in two */

struct seen {
    enum http_result result;
    size_t used, n_data;
};

/* Shows the body in two pieces, of which the second is shown only when the first was not the end. */
static struct seen scan(const char *data, size_t size, size_t first) {
    struct http_chunk chunk = {0};
    struct seen seen = {0};
    size_t used;

    seen.result = http_chunk_scan(&chunk, data, first, &seen.used);
    CHECK(seen.used <= first);
    if (seen.result == HTTP_PARTIAL) {
        CHECK(seen.used == first);
        seen.result = http_chunk_scan(&chunk, data + first, size - first, &used);
        CHECK(used <= size - first);
        seen.used += used;
    }
    return seen;
}

/* One piece, in memory of its size. What is decoded of it goes to out. */
static enum http_result decode_piece(struct http_chunk *chunk, const char *data, size_t size,
                                     size_t *ret_used, char *out, size_t *ret_data) {
    char *piece = fuzz_copy(data, size);
    enum http_result result = http_chunk_decode(chunk, piece, size, ret_used, ret_data);

    CHECK(*ret_used <= size && *ret_data <= *ret_used);
    if (*ret_data > 0) {
        memcpy(out, piece, *ret_data);
    }
    free(piece);
    return result;
}

/* The same as scan(), decoded into out. */
static struct seen decode(const char *data, size_t size, size_t first, char *out) {
    struct http_chunk chunk = {0};
    struct seen seen;
    size_t used, n;

    seen.result = decode_piece(&chunk, data, first, &seen.used, out, &seen.n_data);
    if (seen.result == HTTP_PARTIAL) {
        seen.result =
            decode_piece(&chunk, data + first, size - first, &used, out + seen.n_data, &n);
        seen.used += used;
        seen.n_data += n;
    }
    return seen;
}

/* A whole body, known to be right, the plain way. */
static size_t reference(const char *data, size_t size, char *out) {
    size_t n = 0, length = 1;

    while (length > 0) {
        const char *line_end = memchr(data, '\n', size);

        CHECK(line_end != NULL);
        length = strtoull(data, NULL, 16); /* ends at the ; or CR at the latest */
        size -= (size_t)(line_end + 1 - data);
        data = line_end + 1;
        if (length > 0) {
            CHECK(length <= size && size - length > 2);
            CHECK(data[length] == '\r' && data[length + 1] == '\n');
            memcpy(out + n, data, length);
            n += length;
            data += length + 2;
            size -= length + 2;
        }
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    const char *data = (const char *)bytes;
    char *out = malloc(size + 1), *again = malloc(size + 1);
    struct seen whole = scan(data, size, size), decoded, part;
    size_t step = size / SPLITS + 1;

    CHECK(out != NULL && again != NULL);
    if (size > 0) {
        decoded = decode(data, size, size, out);
        CHECK(decoded.result == whole.result && decoded.used == whole.used);
        for (size_t first = 0; first <= size; first += step) {
            part = scan(data, size, first);
            CHECK(part.result == whole.result && part.used == whole.used);
            part = decode(data, size, first, again);
            CHECK(part.result == whole.result && part.used == whole.used);
            CHECK(part.n_data == decoded.n_data && memcmp(out, again, part.n_data) == 0);
        }
        if (whole.result == HTTP_COMPLETE) {
            CHECK(reference(data, whole.used, again) == decoded.n_data);
            CHECK(memcmp(out, again, decoded.n_data) == 0);
        }
    }
    free(out);
    free(again);
    return 0;
}
