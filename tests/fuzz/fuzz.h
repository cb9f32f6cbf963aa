/*
 * fuzz.h - what the fuzz targets share.
 *
 * A target is one small file, fuzz_NAME.c, with one function that is given bytes and says by
 * crashing that they broke something. libFuzzer calls it with what it makes up (`make fuzz`),
 * replay.c with the files of seeds/NAME (`make fuzz-replay`, without clang). The bytes lie in memory
 * of their very size, so that AddressSanitizer sees whoever reads on.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* What must be true of the input. Not assert(): it is never compiled out. */
#define CHECK(true_thing)                                                                          \
    do {                                                                                           \
        if (!(true_thing)) {                                                                       \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #true_thing);               \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The first size bytes, in memory of that size. To be freed. */
static inline char *fuzz_copy(const void *bytes, size_t size) {
    char *copy = malloc(size > 0 ? size : 1);

    CHECK(copy != NULL);
    if (size > 0) {
        memcpy(copy, bytes, size);
    }
    return copy;
}
