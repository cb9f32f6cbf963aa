/*
 * proxy_header.h - the PROXY protocol, versions 1 and 2: who is behind the proxy that connected.
 *
 * Pure. Source: HAProxy's doc/proxy-protocol.txt, revision of 2020/03/05.
 */
#pragma once

#include <sys/types.h>

#include "http_head.h"
#include "proto.h"

enum {
    PROXY_HEADER_MAX = 4096,     /* bytes of one that we read: 232 of addresses and the rest TLVs */
    PROXY_HEADER_WRITE_MAX = 108 /* bytes of one that we write */
};

struct proxy_header {
    uint32_t size; /* of the header */
    struct proto_address client,
        server; /* AF_UNSPEC: LOCAL or UNKNOWN: the connection's own count */
};

/*
 * At the start of size bytes. Only streams: what speaks of datagrams is bad. TLVs are passed over;
 * a PP2_TYPE_CRC32C among them has to fit.
 */
enum http_result proxy_header_parse(const char *data, size_t size, struct proxy_header *ret_header);

/*
 * Writes one of the version 1 or 2; LOCAL (v2) or UNKNOWN (v1) when client is AF_UNSPEC. Addresses
 * of two families are both written as IPv6, IPv4 mapped; a server of AF_UNSPEC as zeros. Returns its
 * size.
 */
size_t proxy_header_write(char out[static PROXY_HEADER_WRITE_MAX], unsigned version,
                          const struct proto_address *client, const struct proto_address *server);
