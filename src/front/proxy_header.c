/*
 * proxy_header.c - see proxy_header.h.
 *
 * Version 1 is a line, read when its end has come. Version 2 is a fixed part, addresses and TLVs,
 * whose sizes are judged as soon as they are known. What a stranger to the protocol sends is bad
 * with the first byte that differs.
 *
 * Where the addresses do not count (LOCAL, UNSPEC), nobody may rely on what the block holds: it is
 * passed over as it is. Only a checksum, when all of it reads as TLVs, still has to fit.
 */
#include "proxy_header.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "util.h"

enum {
    V1_LINE_MAX = 107, /* with its CR LF */

    V2_FIXED = 16,
    V2_AT_VERSION = 12,
    V2_AT_FAMILY = 13,
    V2_AT_LENGTH = 14,
    V2_LOCAL = 0x20,
    V2_PROXY = 0x21,
    V2_PROTOCOL_MASK = 0x0f,
    V2_UNSPEC = 0,
    V2_STREAM = 1,
    V2_INET = 0x10,
    V2_INET6 = 0x20,
    V2_UNIX = 0x30,
    V2_INET_SIZE = 12,
    V2_INET6_SIZE = 36,
    V2_UNIX_SIZE = 216,

    TLV_FIXED = 3,
    TLV_CRC32C = 0x03,
    CRC_SIZE = 4,
};

static const char v1_start[] = "PROXY ";
static const char v2_start[] = "\r\n\r\n\0\r\nQUIT\n"; /* with its final NUL not part of it */

/* Whether data begins with text, or may yet. */
static enum http_result begins(const char *data, size_t size, const char *text, size_t len) {
    if (memcmp(data, text, size < len ? size : len) != 0) {
        return HTTP_BAD;
    }
    return size < len ? HTTP_PARTIAL : HTTP_COMPLETE;
}

/* --- version 1 --------------------------------------------------------------------------------- */

/* The next word of the line: up to the next space or to the line's end. False: there is none. */
static bool take_word(const char **cursor, const char *end, char word[static INET6_ADDRSTRLEN]) {
    const char *space;
    size_t len;

    if (*cursor == end || **cursor != ' ') {
        return false;
    }
    (*cursor)++;
    space = memchr(*cursor, ' ', (size_t)(end - *cursor));
    len = (size_t)((space != NULL ? space : end) - *cursor);
    if (len == 0 || len >= INET6_ADDRSTRLEN || memchr(*cursor, '\0', len) != NULL) {
        return false;
    }
    memcpy(word, *cursor, len);
    word[len] = '\0';
    *cursor += len;
    return true;
}

static bool take_ip(const char **cursor, const char *end, int family, struct proto_address *ret) {
    char word[INET6_ADDRSTRLEN];

    ret->family = (uint16_t)family;
    return take_word(cursor, end, word) && inet_pton(family, word, ret->ip) == 1;
}

static bool take_port(const char **cursor, const char *end, struct proto_address *ret) {
    char word[INET6_ADDRSTRLEN];
    uint32_t port = 0;

    if (!take_word(cursor, end, word) || (word[0] == '0' && word[1] != '\0')) {
        return false;
    }
    for (const char *digit = word; *digit != '\0'; digit++) {
        if (*digit < '0' || *digit > '9') {
            return false;
        }
        port = port * 10 + (uint32_t)(*digit - '0');
        if (port > UINT16_MAX) {
            return false;
        }
    }
    ret->port = htons((uint16_t)port);
    return true;
}

/* The line without its CR LF. */
static bool v1_line_valid(const char *line, size_t len, struct proxy_header *header) {
    static const char unknown[] = "UNKNOWN", tcp4[] = "TCP4", tcp6[] = "TCP6";
    const char *cursor = line + strlen(v1_start), *end = line + len;
    size_t left = (size_t)(end - cursor);
    int family;

    if (begins(cursor, left, unknown, strlen(unknown)) == HTTP_COMPLETE) {
        /* Whatever follows does not count. */
        return left == strlen(unknown) || cursor[strlen(unknown)] == ' ';
    }
    if (begins(cursor, left, tcp4, strlen(tcp4)) == HTTP_COMPLETE) {
        family = AF_INET;
    } else if (begins(cursor, left, tcp6, strlen(tcp6)) == HTTP_COMPLETE) {
        family = AF_INET6;
    } else {
        return false;
    }
    cursor += strlen(tcp4);
    return take_ip(&cursor, end, family, &header->client) &&
           take_ip(&cursor, end, family, &header->server) &&
           take_port(&cursor, end, &header->client) && take_port(&cursor, end, &header->server) &&
           cursor == end;
}

static enum http_result v1_parse(const char *data, size_t size, struct proxy_header *header) {
    enum http_result result = begins(data, size, v1_start, strlen(v1_start));
    size_t len = strlen(v1_start);

    if (result != HTTP_COMPLETE) {
        return result;
    }
    while (len < size && len < V1_LINE_MAX - 2 && data[len] != '\r' && data[len] != '\n') {
        len++;
    }
    if (len < size && data[len] != '\r') {
        return HTTP_BAD;
    }
    if (len + 1 >= size) {
        return HTTP_PARTIAL;
    }
    if (data[len + 1] != '\n' || !v1_line_valid(data, len, header)) {
        return HTTP_BAD;
    }
    header->size = (uint32_t)len + 2;
    return HTTP_COMPLETE;
}

/* --- version 2 --------------------------------------------------------------------------------- */

static uint16_t get16(const char *data) {
    return (uint16_t)((uint8_t)data[0] << 8 | (uint8_t)data[1]);
}

static uint32_t get32(const char *data) {
    return (uint32_t)get16(data) << 16 | get16(data + 2);
}

/* CRC32c (RFC 4960 appendix B) of the header, its own value counted as zeros. */
static uint32_t crc32c(const char *data, size_t size, size_t at_value) {
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < size; i++) {
        crc ^= i >= at_value && i - at_value < CRC_SIZE ? 0 : (uint8_t)data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78 : 0);
        }
    }
    return ~crc;
}

enum tlvs { TLVS_FINE, TLVS_CUT, TLVS_FALSE };

/* The TLVs from at up to the header's end: whether their lengths add up and the checksum fits. */
static enum tlvs judge_tlvs(const char *data, size_t size, size_t at) {
    size_t at_crc = 0;

    while (at < size) {
        size_t length;

        if (size - at < TLV_FIXED) {
            return TLVS_CUT;
        }
        length = get16(data + at + 1);
        if (length > size - at - TLV_FIXED) {
            return TLVS_CUT;
        }
        if (data[at] == TLV_CRC32C) {
            if (length != CRC_SIZE || at_crc != 0) {
                return TLVS_CUT;
            }
            at_crc = at + TLV_FIXED;
        }
        at += TLV_FIXED + length;
    }
    return at_crc == 0 || crc32c(data, size, at_crc) == get32(data + at_crc) ? TLVS_FINE
                                                                             : TLVS_FALSE;
}

/* The bytes of both addresses with their ports; -1: no such family. */
static int addresses_size(uint8_t family) {
    switch (family & ~V2_PROTOCOL_MASK) {
    case V2_UNSPEC:
        return 0;
    case V2_INET:
        return V2_INET_SIZE;
    case V2_INET6:
        return V2_INET6_SIZE;
    case V2_UNIX:
        return V2_UNIX_SIZE;
    default:
        return -1;
    }
}

/* Client and server, each of so many bytes, and then their ports. */
static void take_addresses(const char *data, int family, size_t bytes,
                           struct proxy_header *header) {
    header->client.family = header->server.family = (uint16_t)family;
    memcpy(header->client.ip, data, bytes);
    memcpy(header->server.ip, data + bytes, bytes);
    memcpy(&header->client.port, data + 2 * bytes, sizeof(in_port_t));
    memcpy(&header->server.port, data + 2 * bytes + sizeof(in_port_t), sizeof(in_port_t));
}

/* Looks at as much of the fixed part as has come. *ret_addresses: bytes of those that count. */
static enum http_result v2_fixed(const char *data, size_t size, int *ret_addresses) {
    enum http_result result = begins(data, size, v2_start, sizeof(v2_start) - 1);
    uint8_t family, protocol;
    bool local;

    *ret_addresses = 0;
    if (result != HTTP_COMPLETE || size == V2_AT_VERSION) {
        return result == HTTP_COMPLETE ? HTTP_PARTIAL : result;
    }
    local = data[V2_AT_VERSION] == V2_LOCAL;
    if (!local && data[V2_AT_VERSION] != V2_PROXY) {
        return HTTP_BAD;
    }
    if (size > V2_AT_FAMILY && !local) {
        family = (uint8_t)data[V2_AT_FAMILY];
        protocol = family & V2_PROTOCOL_MASK;
        *ret_addresses = protocol == V2_UNSPEC ? 0 : addresses_size(family);
        if (protocol > V2_STREAM || addresses_size(family) < 0) {
            return HTTP_BAD;
        }
    }
    if (size < V2_FIXED) {
        return HTTP_PARTIAL;
    }
    if (get16(data + V2_AT_LENGTH) > PROXY_HEADER_MAX - V2_FIXED ||
        get16(data + V2_AT_LENGTH) < *ret_addresses) {
        return HTTP_BAD;
    }
    return HTTP_COMPLETE;
}

static enum http_result v2_parse(const char *data, size_t size, struct proxy_header *header) {
    int addresses;
    enum http_result result = v2_fixed(data, size, &addresses);
    size_t block, whole;
    int known;
    enum tlvs tlvs;

    if (result != HTTP_COMPLETE) {
        return result;
    }
    block = get16(data + V2_AT_LENGTH);
    whole = V2_FIXED + block;
    if (size < whole) {
        return HTTP_PARTIAL;
    }
    /* Addresses that do not count are in the way all the same. */
    known = addresses_size((uint8_t)data[V2_AT_FAMILY]);
    tlvs = judge_tlvs(data, whole,
                      V2_FIXED + (known > 0 && (size_t)known <= block ? (size_t)known : 0));
    if (tlvs == TLVS_FALSE || (tlvs == TLVS_CUT && addresses > 0)) {
        return HTTP_BAD;
    }
    if (addresses == V2_INET_SIZE) {
        take_addresses(data + V2_FIXED, AF_INET, sizeof(struct in_addr), header);
    } else if (addresses == V2_INET6_SIZE) {
        take_addresses(data + V2_FIXED, AF_INET6, sizeof(struct in6_addr), header);
    }
    header->size = (uint32_t)whole;
    return HTTP_COMPLETE;
}

enum http_result proxy_header_parse(const char *data, size_t size,
                                    struct proxy_header *ret_header) {
    struct proxy_header header = {0};
    enum http_result result;

    if (size == 0) {
        return HTTP_PARTIAL;
    }
    result = data[0] == v1_start[0] ? v1_parse(data, size, &header) : v2_parse(data, size, &header);
    if (result == HTTP_COMPLETE) {
        *ret_header = header;
    }
    return result;
}

/* --- writing ----------------------------------------------------------------------------------- */

/* An IPv4 address in its mapped form (RFC 4291 2.5.5.2). */
static struct proto_address map(const struct proto_address *address) {
    struct proto_address mapped = *address;

    if (address->family == AF_INET) {
        mapped.family = AF_INET6;
        memset(mapped.ip, 0, sizeof(mapped.ip));
        memset(mapped.ip + 10, 0xff, 2);
        memcpy(mapped.ip + 12, address->ip, sizeof(struct in_addr));
    }
    return mapped;
}

static size_t v1_write(char out[static PROXY_HEADER_WRITE_MAX], const struct proto_address *client,
                       const struct proto_address *server) {
    char from[INET6_ADDRSTRLEN] = "", to[INET6_ADDRSTRLEN] = "";

    if (client->family == AF_UNSPEC) {
        return (size_t)snprintf(out, PROXY_HEADER_WRITE_MAX, "PROXY UNKNOWN\r\n");
    }
    inet_ntop(client->family, client->ip, from, sizeof(from));
    inet_ntop(server->family, server->ip, to, sizeof(to));
    return (size_t)snprintf(out, PROXY_HEADER_WRITE_MAX, "PROXY TCP%c %s %s %u %u\r\n",
                            client->family == AF_INET ? '4' : '6', from, to, ntohs(client->port),
                            ntohs(server->port));
}

static size_t v2_write(char out[static PROXY_HEADER_WRITE_MAX], const struct proto_address *client,
                       const struct proto_address *server) {
    bool ipv4 = client->family == AF_INET;
    size_t bytes = ipv4 ? sizeof(struct in_addr) : sizeof(struct in6_addr);
    char *at = out + V2_FIXED;

    memset(out, 0, V2_FIXED);
    memcpy(out, v2_start, sizeof(v2_start) - 1);
    out[V2_AT_VERSION] = client->family == AF_UNSPEC ? V2_LOCAL : V2_PROXY;
    if (client->family == AF_UNSPEC) {
        return V2_FIXED;
    }
    out[V2_AT_FAMILY] = (char)((ipv4 ? V2_INET : V2_INET6) | V2_STREAM);
    out[V2_AT_LENGTH + 1] = ipv4 ? V2_INET_SIZE : V2_INET6_SIZE;
    memcpy(at, client->ip, bytes);
    memcpy(at + bytes, server->ip, bytes);
    memcpy(at + 2 * bytes, &client->port, sizeof(in_port_t));
    memcpy(at + 2 * bytes + sizeof(in_port_t), &server->port, sizeof(in_port_t));
    return V2_FIXED + 2 * (bytes + sizeof(in_port_t));
}

size_t proxy_header_write(char out[static PROXY_HEADER_WRITE_MAX], unsigned version,
                          const struct proto_address *client, const struct proto_address *server) {
    struct proto_address from = *client, to = *server;

    if (to.family == AF_UNSPEC) {
        to = (struct proto_address){.family = from.family};
    }
    if (from.family != to.family) {
        from = map(&from);
        to = map(&to);
    }
    return version == 1 ? v1_write(out, &from, &to) : v2_write(out, &from, &to);
}
