/*
 * http_rewrite_forward.c - whence a request came, for the backend (RFC 7239, and the X-Forwarded-
 * fields that were there before it).
 *
 * From strangers nothing is taken over. What a trusted peer says stands before what we add: the
 * first is the client, the last is who connected to us. Forwarded is added to element by element,
 * X-Forwarded-For address by address, X-Forwarded-Proto and -Host tell of the client alone, and
 * X-Forwarded-Prefix grows by what is left out here.
 */
#include <arpa/inet.h>
#include <strings.h>

#include "http_fields.h"
#include "http_rewrite_out.h"

/* Whether each quoted string ends (RFC 9110 5.6.4). */
static bool quotes_end(const char *data, struct http_slice value) {
    bool quoted = false;

    for (uint32_t i = 0; i < value.len; i++) {
        char c = data[value.at + i];

        if (c == '"') {
            quoted = !quoted;
        } else if (c == '\\' && quoted) {
            i++;
        }
    }
    return !quoted;
}

/*
 * Whether a trusted peer says something of the kind with this field. Not if it came from behind the
 * peer, which has not noticed it: proxies write no `_`, and no Forwarded that would swallow what is
 * put behind it.
 */
static bool says(const char *data, const struct http_field *field, enum http_field_kind kind) {
    return field->kind == kind && field->value.len > 0 &&
           memchr(data + field->name.at, '_', field->name.len) == NULL &&
           (kind != HTTP_FIELD_FORWARDED || quotes_end(data, field->value));
}

/* The first field of the kind that a trusted peer says something with, or NULL. */
static const struct http_field *said(const char *data, const struct http_head *head,
                                     const struct http_forward *forward,
                                     enum http_field_kind kind) {
    for (size_t i = 0; forward->trusted && i < head->n_fields; i++) {
        if (says(data, &head->fields[i], kind)) {
            return &head->fields[i];
        }
    }
    return NULL;
}

static bool is_prefix(const char *data, const struct http_field *field) {
    static const char prefix[] = "x-forwarded-prefix";

    return says(data, field, HTTP_FIELD_X_FORWARDED) &&
           http_name_is(data + field->name.at, field->name.len, prefix, sizeof(prefix) - 1);
}

bool http_forwarded_passes(const char *data, const struct http_field *field) {
    return says(data, field, HTTP_FIELD_X_FORWARDED) && !is_prefix(data, field);
}

/* --- addresses --------------------------------------------------------------------------------- */

/* The address in four bytes, or NULL: it is not one of IPv4. */
static const uint8_t *as_ipv4(const struct proto_address *address) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}; /* RFC 4291 2.5.5.2 */

    if (address->family == AF_INET) {
        return address->ip;
    }
    return memcmp(address->ip, mapped, sizeof(mapped)) == 0 ? address->ip + sizeof(mapped) : NULL;
}

static void put_ipv4(struct http_out *out, const uint8_t *ip) {
    for (int i = 0; i < 4; i++) {
        http_put(out, i > 0 ? "." : "");
        http_put_number(out, ip[i], 1);
    }
}

/* In the form of RFC 5952, as inet_ntop(3), which takes longer than all the rest of a head. */
static void put_ipv6(struct http_out *out, const uint8_t *ip) {
    static const char hex[] = "0123456789abcdef";
    int zeros = -1, zeros_n = 1; /* the first of the longest runs of more than one zero group */
    uint16_t groups[8];

    memcpy(groups, ip, sizeof(groups));
    for (int i = 0, n = 0; i < 8; i++) {
        n = groups[i] == 0 ? n + 1 : 0;
        if (n > zeros_n) {
            zeros_n = n;
            zeros = i + 1 - n;
        }
    }
    for (int i = 0; i < 8; i++) {
        unsigned group = ntohs(groups[i]);

        if (i == zeros) {
            http_put(out, "::");
            i += zeros_n - 1;
            continue;
        }
        if (i > 0 && i != zeros + zeros_n) {
            http_put(out, ":");
        }
        for (int shift = group > 0xfff  ? 12
                         : group > 0xff ? 8
                         : group > 0xf  ? 4
                                        : 0;
             shift >= 0; shift -= 4) {
            http_put_bytes(out, &hex[group >> shift & 0xf], 1);
        }
    }
}

static void put_address(struct http_out *out, const struct proto_address *address) {
    const uint8_t *ipv4 = as_ipv4(address);

    if (ipv4 != NULL) {
        put_ipv4(out, ipv4);
    } else {
        put_ipv6(out, address->ip);
    }
}

/* RFC 7239 6: the brackets of IPv6 do not fit into a token. */
static void put_node(struct http_out *out, const struct proto_address *address) {
    if (address->family == AF_UNSPEC) {
        http_put(out, "unknown");
    } else if (as_ipv4(address) != NULL) {
        put_address(out, address);
    } else {
        http_put(out, "\"[");
        put_address(out, address);
        http_put(out, "]\"");
    }
}

/* A token, or else a quoted string. There is nothing in a host that would have to be escaped. */
static void put_host(struct http_out *out, const char *data, struct http_slice host) {
    const char *quote = "";

    for (uint32_t i = 0; i < host.len && quote[0] == '\0'; i++) {
        quote = http_is(data[host.at + i], HTTP_TOKEN) ? "" : "\"";
    }
    http_put(out, quote);
    http_put_slice(out, data, host);
    http_put(out, quote);
}

/* --- what a peer said -------------------------------------------------------------------------- */

/* The value of `proto` in the first element of a Forwarded field, or an empty slice. */
static struct http_slice forwarded_proto(const char *data, struct http_slice value) {
    static const char name[] = "proto=";
    const uint32_t len = sizeof(name) - 1, end = value.at + value.len;
    bool another = false;

    /* name=value, with semicolons in between, up to the comma before the next element. */
    for (uint32_t at = value.at; at < end && !another; at++) {
        struct http_slice pair = {.at = at};
        bool quoted = false;

        for (; at < end && (quoted || (data[at] != ',' && data[at] != ';')); at++) {
            quoted = quoted != (data[at] == '"');
        }
        another = at < end && data[at] == ',';
        pair.len = at - pair.at;
        pair = http_trim(data, pair);
        if (pair.len > len && strncasecmp(data + pair.at, name, len) == 0) {
            return (struct http_slice){pair.at + len, pair.len - len};
        }
    }
    return (struct http_slice){0};
}

/* The protocol that the client used, as far as it is one that HTTP travels by. */
static const char *client_proto(const char *data, const struct http_head *head,
                                const struct http_forward *forward) {
    static const char *const known[] = {"http", "https", "ws", "wss"};
    const struct http_field *field = said(data, head, forward, HTTP_FIELD_X_FORWARDED_PROTO);
    struct http_slice proto = {0}, rest;

    if (field != NULL) {
        rest = field->value;
        http_list_next(data, &rest, &proto);
    } else {
        field = said(data, head, forward, HTTP_FIELD_FORWARDED);
        if (field != NULL) {
            proto = forwarded_proto(data, field->value);
        }
    }
    if (proto.len > 2 && data[proto.at] == '"') {
        proto = (struct http_slice){proto.at + 1, proto.len - 2};
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (http_slice_is(data, proto, known[i])) {
            return known[i];
        }
    }
    return known[0];
}

/* --- writing ----------------------------------------------------------------------------------- */

/* The values of all fields of the kind, each with ", " behind it. */
static void put_said(struct http_out *out, const char *data, const struct http_head *head,
                     enum http_field_kind kind) {
    for (size_t i = 0; i < head->n_fields; i++) {
        if (says(data, &head->fields[i], kind)) {
            http_put_slice(out, data, head->fields[i].value);
            http_put(out, ", ");
        }
    }
}

/* proto: of our own element. */
static void put_rfc7239(struct http_out *out, const char *data, const struct http_head *head,
                        const struct http_forward *forward, const char *proto) {
    http_put(out, "Forwarded: ");
    if (forward->trusted) {
        put_said(out, data, head, HTTP_FIELD_FORWARDED);
    }
    http_put(out, "for=");
    put_node(out, &forward->client);
    if (head->authority.len > 0) {
        http_put(out, ";host=");
        put_host(out, data, head->authority);
    }
    http_put(out, ";proto=");
    http_put(out, proto);
    http_put(out, "\r\n");
}

static void put_for(struct http_out *out, const char *data, const struct http_head *head,
                    const struct http_forward *forward) {
    static const char separator[] = ", ";

    http_put(out, "X-Forwarded-For: ");
    if (forward->trusted) {
        put_said(out, data, head, HTTP_FIELD_X_FORWARDED_FOR);
    }
    if (forward->client.family != AF_UNSPEC) {
        put_address(out, &forward->client);
    } else {
        out->size -= sizeof(separator) - 1;
    }
    http_put(out, "\r\n");
}

static void put_prefix(struct http_out *out, const char *data, const struct http_head *head,
                       const struct http_forward *forward, struct http_slice prefix) {
    struct http_slice before = {0};

    for (size_t i = 0; forward->trusted && i < head->n_fields && before.len == 0; i++) {
        if (is_prefix(data, &head->fields[i])) {
            before = head->fields[i].value;
        }
    }
    if (before.len == 0 && prefix.len == 0) {
        return;
    }
    if (before.len > 0 && prefix.len > 0 && data[before.at + before.len - 1] == '/') {
        before.len--;
    }
    http_put(out, "X-Forwarded-Prefix: ");
    http_put_slice(out, data, before);
    http_put_slice(out, data, prefix);
    http_put(out, "\r\n");
}

void http_put_forwarded(struct http_out *out, const char *data, const struct http_head *head,
                        const struct http_forward *forward, struct http_slice prefix) {
    bool rfc7239 = said(data, head, forward, HTTP_FIELD_FORWARDED) != NULL;
    bool x_for = said(data, head, forward, HTTP_FIELD_X_FORWARDED_FOR) != NULL;
    const struct http_field *host = said(data, head, forward, HTTP_FIELD_X_FORWARDED_HOST);
    const char *proto = client_proto(data, head, forward);

    if (rfc7239 || !x_for) {
        /* Each element tells how its request came to its proxy (RFC 7239 5.4): to us as http. */
        put_rfc7239(out, data, head, forward, rfc7239 ? "http" : proto);
    }
    if (x_for || (!rfc7239 && forward->client.family != AF_UNSPEC)) {
        put_for(out, data, head, forward);
    }
    http_put(out, "X-Forwarded-Proto: ");
    http_put(out, proto);
    http_put(out, "\r\n");
    if (host != NULL || head->authority.len > 0) {
        http_put(out, "X-Forwarded-Host: ");
        http_put_slice(out, data, host != NULL ? host->value : head->authority);
        http_put(out, "\r\n");
    }
    put_prefix(out, data, head, forward, prefix);
}
