/*
 * proxy.c - the PROXY protocol (HAProxy's doc/proxy-protocol.txt), as told by what a connection
 * begins with: no request begins with the same bytes.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "sample.h"

enum { V1_START = 6, V2_START = 16, V2_BYTES_MAX = 536 };

static bool read_v1(struct stream *stream) {
    char line[108];

    if (!stream_read_line(stream, line, sizeof(line)))
        return false;
    snprintf(stream->peer, sizeof(stream->peer), "v1 %s", line + V1_START);
    return true;
}

static bool read_v2(struct stream *stream) {
    uint8_t data[V2_START + V2_BYTES_MAX];
    size_t length;
    int family;
    char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];
    const uint8_t *addresses = data + V2_START, *ports;
    size_t size;

    if (!stream_read_all(stream, data, V2_START))
        return false;
    length = (size_t)data[14] << 8 | data[15];
    if (length > V2_BYTES_MAX || !stream_read_all(stream, data + V2_START, length))
        return false;
    if (data[12] == 0x20) {
        snprintf(stream->peer, sizeof(stream->peer), "v2 LOCAL");
        return true;
    }
    family = data[13] == 0x11 ? AF_INET : AF_INET6;
    size = family == AF_INET ? 4 : 16;
    if (data[12] != 0x21 || (data[13] != 0x11 && data[13] != 0x21) || length < 2 * size + 4)
        return false;
    ports = addresses + 2 * size;
    snprintf(stream->peer, sizeof(stream->peer), "v2 %s %s %s %d %d",
             family == AF_INET ? "TCP4" : "TCP6", inet_ntop(family, addresses, from, sizeof(from)),
             inet_ntop(family, addresses + size, to, sizeof(to)), ports[0] << 8 | ports[1],
             ports[2] << 8 | ports[3]);
    return true;
}

bool proxy_read(struct stream *stream) {
    static const char v2[] = "\r\n\r\n\0\r\nQUIT\n";

    snprintf(stream->peer, sizeof(stream->peer), "none");
    if (stream_peek(stream, 1) < 1)
        return true;
    if (stream->buffer[0] == '\r')
        return stream_peek(stream, V2_START) >= V2_START &&
               memcmp(stream->buffer, v2, sizeof(v2) - 1) == 0 && read_v2(stream);
    if (stream_peek(stream, V1_START) >= V1_START &&
        memcmp(stream->buffer, "PROXY ", V1_START) == 0)
        return read_v1(stream);
    return true;
}
