/*
 * The server name of a ClientHello (tls_hello.h): a verdict stands, however much more comes, and the
 * records that the message is split into make no difference.
 */
#include <stdbool.h>

#include "fuzz.h"
#include "tls_hello.h"

enum { RECORD_HEADER = 5 };

/* The same message in records of one byte each; 0: it has no whole record at its start. */
static size_t split(const char *data, size_t size, char *out) {
    size_t n = 0;

    while (size >= RECORD_HEADER && data[0] == TLS_HANDSHAKE_RECORD) {
        size_t length = (size_t)(uint8_t)data[3] << 8 | (uint8_t)data[4];

        if (length > size - RECORD_HEADER) {
            break;
        }
        for (size_t i = 0; i < length; i++) {
            memcpy(out + n, data, 3);
            out[n + 3] = 0;
            out[n + 4] = 1;
            out[n + 5] = data[RECORD_HEADER + i];
            n += RECORD_HEADER + 1;
        }
        data += RECORD_HEADER + length;
        size -= RECORD_HEADER + length;
    }
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    const char *data = (const char *)bytes;
    char name[TLS_NAME_MAX], again[TLS_NAME_MAX];
    enum http_result result = tls_hello_parse(data, size, name);
    char *pieces = malloc(size * (RECORD_HEADER + 1) + 1);
    size_t n;

    CHECK(pieces != NULL);
    if (result == HTTP_COMPLETE) {
        CHECK(memchr(name, '\0', sizeof(name)) != NULL);
        CHECK(strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
              strlen(name));
    }
    for (size_t part = size; part > 0; part /= 2) {
        char *copy = fuzz_copy(data, part - 1);
        enum http_result early = tls_hello_parse(copy, part - 1, again);

        CHECK(early == HTTP_PARTIAL || early == result);
        free(copy);
    }

    n = split(data, size, pieces);
    if (result == HTTP_COMPLETE && n <= TLS_HELLO_MAX) {
        CHECK(tls_hello_parse(pieces, n, again) == HTTP_COMPLETE);
        CHECK(strcmp(name, again) == 0);
    }
    free(pieces);
    return 0;
}
