/*
 * parse.h - the values of the configuration, and host names as clients send them.
 *
 * All are pure: no allocation, no logging, outputs untouched on failure. They return 0, -EINVAL for
 * text that is not of the kind, or -ERANGE for a number that no variable of ours could hold. Bounds
 * of single keys are the key table's business (config_keys.c).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto.h"
#include "util.h"

enum {
    PARSE_HOST_MAX = 256, /* a host name in canonical form with its final NUL */
};

/* yes, true, on, 1; no, false, off, 0; in any case. */
int parse_bool(const char *text, bool *ret_value);

/* Decimal digits only: no sign, no blank. */
int parse_unsigned(const char *text, uint64_t *ret_value);

/* 1 to 65535. */
int parse_port(const char *text, uint16_t *ret_port);

/* Bytes, with an optional K, M or G (times 1024), as systemd's IEC suffixes. */
int parse_size(const char *text, uint64_t *ret_bytes);

/*
 * A span as in systemd.time(7): `90s`, `15min`, `1h 30min`, `500ms`, `1.5s`; a number without a
 * unit is in seconds. "infinity" is refused.
 */
int parse_span(const char *text, usec_t *ret_span);

/*
 * Names of apps, containers and networks, as Docker has them: [A-Za-z0-9][A-Za-z0-9_.-]*, at most
 * max bytes. True when it is one.
 */
bool parse_name_ok(const char *text, size_t max);

/* A token (RFC 9110, 5.6.2), len bytes: a method, or a cookie's name. */
bool parse_token_ok(const char *text, size_t len);

/* Whether text, len bytes, has `%` only before two hex digits (RFC 3986, 2.1). */
bool parse_percent_ok(const char *text, size_t len);

/*
 * A host name or IP literal (RFC 1123 with underscores; IPv6 in brackets, or without when it is a
 * value), len bytes, into its canonical form: lower case, no trailing dot, IPv6 as `[...]` in the
 * form of RFC 5952. Also -EINVAL for a host with a port and for `*.` wildcards.
 */
int parse_host(const char *text, size_t len, char ret_host[static PARSE_HOST_MAX]);

/* HOST:PORT; HOST is an IPv4 literal, an IPv6 literal in brackets, or localhost (127.0.0.1). */
int parse_address(const char *text, struct proto_address *ret_address);

/*
 * An address or a network, `10.0.0.0/8` or `2001:db8::1`, len bytes; IPv4 in its mapped form, 96 bits
 * further. -ERANGE: bits are set behind the prefix, so that one of both is wrong.
 */
int parse_net(const char *text, size_t len, uint8_t ret_ip[static 16], uint8_t *ret_prefix);

/* COUNT/SPAN, where SPAN may be a unit alone: `10/min`, `3/10s`. */
int parse_rate(const char *text, uint64_t *ret_count, usec_t *ret_per);

/* Whether a canonical host (parse_host) is an IP literal and not a name. */
bool parse_host_is_ip(const char *host);

/* A status code or an inclusive range of them, `200` or `200-399`, len bytes; 100 to 599. */
int parse_status_range(const char *text, size_t len, uint16_t *ret_low, uint16_t *ret_high);

/* Docker's address, unix:///path or an absolute path, as a pointer to the path inside text. */
int parse_unix_path(const char *text, const char **ret_path);

/*
 * The next word of a list separated by commas and blanks; *cursor moves on. NULL at the end. Empty
 * words do not exist: `a,,b` has two.
 */
const char *parse_word(const char **cursor, size_t *ret_len);

/* The same for texts that may have blanks inside, separated by commas alone. */
const char *parse_item(const char **cursor, size_t *ret_len);
