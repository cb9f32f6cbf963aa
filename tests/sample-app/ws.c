/*
 * ws.c - a WebSocket that echoes (RFC 6455): data frames come back as they are, piece by piece, so
 * that a frame may have any size; a ping is answered, a close is answered and ends the connection.
 */
#include <stdio.h>
#include <string.h>

#include "sample.h"

enum {
    WS_FIN = 0x80,
    WS_MASKED = 0x80,
    WS_CLOSE = 0x8,
    WS_PING = 0x9,
    WS_PONG = 0xa,
    SHA1_SIZE = 20,
    ACCEPT_SIZE = 29, /* 28 characters of base64 and NUL */
};

static uint32_t rotate(uint32_t value, unsigned bits) {
    return value << bits | value >> (32 - bits);
}

static void sha1_block(uint32_t state[static 5], const uint8_t block[static 64]) {
    uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];

    for (size_t i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (size_t i = 16; i < 80; i++)
        w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (size_t i = 0; i < 80; i++) {
        uint32_t f = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999
                     : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
                     : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
                              : (b ^ c ^ d) + 0xca62c1d6;
        uint32_t next = rotate(a, 5) + f + e + w[i];

        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

/* RFC 3174, for a text short enough to fit into two blocks with its padding. */
static void sha1_short(const char *text, size_t length, uint8_t ret_digest[static SHA1_SIZE]) {
    uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint8_t blocks[128] = {0};
    size_t size = length + 9 <= 64 ? 64 : 128;

    memcpy(blocks, text, length);
    blocks[length] = 0x80;
    blocks[size - 2] = (uint8_t)(length * 8 >> 8);
    blocks[size - 1] = (uint8_t)(length * 8);
    for (size_t at = 0; at < size; at += 64)
        sha1_block(state, blocks + at);
    for (size_t i = 0; i < SHA1_SIZE; i++)
        ret_digest[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}

/* RFC 6455, 4.2.2: the value of Sec-WebSocket-Accept. */
static bool accept_value(const char *key, char ret_value[static ACCEPT_SIZE]) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint8_t digest[SHA1_SIZE + 1] = {0};
    char text[112];
    int length = snprintf(text, sizeof(text), "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);

    if (length < 0 || (size_t)length >= sizeof(text))
        return false;
    sha1_short(text, (size_t)length, digest);
    for (size_t i = 0, at = 0; i < SHA1_SIZE + 1; i += 3) {
        uint32_t three = (uint32_t)digest[i] << 16 | (uint32_t)digest[i + 1] << 8 | digest[i + 2];

        for (unsigned shift = 24; shift > 0; shift -= 6)
            ret_value[at++] = digits[three >> (shift - 6) & 63];
    }
    ret_value[ACCEPT_SIZE - 2] = '='; /* 20 bytes are one short of 7 times 3 */
    ret_value[ACCEPT_SIZE - 1] = '\0';
    return true;
}

struct frame {
    uint8_t first; /* FIN and opcode */
    bool masked;
    uint8_t mask[4];
    uint64_t length;
};

static bool read_frame(struct stream *stream, struct frame *ret_frame) {
    uint8_t head[2], extended[8];
    size_t more;

    if (!stream_read_all(stream, head, sizeof(head)))
        return false;
    ret_frame->first = head[0];
    ret_frame->masked = head[1] & WS_MASKED;
    ret_frame->length = head[1] & 0x7f;
    more = ret_frame->length == 126 ? 2 : ret_frame->length == 127 ? 8 : 0;
    if (more > 0) {
        if (!stream_read_all(stream, extended, more))
            return false;
        ret_frame->length = 0;
        for (size_t i = 0; i < more; i++)
            ret_frame->length = ret_frame->length << 8 | extended[i];
    }
    memset(ret_frame->mask, 0, sizeof(ret_frame->mask));
    return !ret_frame->masked || stream_read_all(stream, ret_frame->mask, sizeof(ret_frame->mask));
}

static bool write_frame_head(struct stream *stream, uint8_t first, uint64_t length) {
    uint8_t head[10] = {first};
    size_t more = length < 126 ? 0 : length < 65536 ? 2 : 8;

    head[1] = more == 0 ? (uint8_t)length : more == 2 ? 126 : 127;
    for (size_t i = 0; i < more; i++)
        head[2 + i] = (uint8_t)(length >> (8 * (more - 1 - i)));
    return stream_write(stream, head, 2 + more);
}

static bool echo_payload(struct stream *stream, const struct frame *frame) {
    uint8_t data[4096];

    for (uint64_t done = 0; done < frame->length;) {
        uint64_t left = frame->length - done;
        ptrdiff_t n = stream_read(stream, data, left < sizeof(data) ? (size_t)left : sizeof(data));

        if (n <= 0)
            return false;
        for (size_t i = 0; i < (size_t)n; i++)
            data[i] ^= frame->mask[(done + i) % 4];
        if (!stream_write(stream, data, (size_t)n))
            return false;
        done += (uint64_t)n;
    }
    return true;
}

void ws_serve(struct stream *stream, const char *key) {
    char accept[ACCEPT_SIZE], head[256];
    struct frame frame;
    int length;

    if (!accept_value(key, accept))
        return;
    length = snprintf(head, sizeof(head),
                      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                      "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                      accept);
    if (!stream_write(stream, head, (size_t)length))
        return;
    while (read_frame(stream, &frame)) {
        uint8_t opcode = frame.first & 0xf;
        uint8_t first = opcode == WS_PING ? WS_FIN | WS_PONG : frame.first;

        if (!write_frame_head(stream, first, frame.length) || !echo_payload(stream, &frame) ||
            opcode == WS_CLOSE)
            return;
    }
}
