/*
 * The PROXY protocol (proxy_header.h): a verdict stands, and what is written of what was read says
 * the same.
 */
#include <sys/socket.h>

#include "fuzz.h"
#include "proxy_header.h"

static int same(const struct proto_address *a, const struct proto_address *b) {
    return a->family == b->family && a->port == b->port && memcmp(a->ip, b->ip, 16) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    const char *data = (const char *)bytes;
    struct proxy_header header, again;
    enum http_result result = proxy_header_parse(data, size, &header);

    for (size_t part = size; part > 0; part /= 2) {
        char *copy = fuzz_copy(data, part - 1);
        enum http_result early = proxy_header_parse(copy, part - 1, &again);

        CHECK(early == HTTP_PARTIAL || early == result);
        free(copy);
    }
    if (result != HTTP_COMPLETE) {
        return 0;
    }
    CHECK(header.size > 0 && header.size <= size && header.size <= PROXY_HEADER_MAX);
    CHECK(header.client.family == header.server.family);
    CHECK(proxy_header_parse(data, header.size - 1, &again) == HTTP_PARTIAL);
    CHECK(proxy_header_parse(data, header.size, &again) == HTTP_COMPLETE);

    for (unsigned version = 1; version <= 2; version++) {
        char out[PROXY_HEADER_WRITE_MAX];
        size_t n = proxy_header_write(out, version, &header.client, &header.server);

        CHECK(n <= sizeof(out));
        CHECK(proxy_header_parse(out, n, &again) == HTTP_COMPLETE);
        CHECK(again.size == n);
        CHECK(same(&header.client, &again.client) && same(&header.server, &again.server));
    }
    return 0;
}
