/*
 * http_head.c - see http_head.h.
 *
 * Two steps. The scan (http_fields.h) goes over the bytes once, knows lines, names and values, and
 * refuses as early as it can, so that a stranger who does not speak HTTP is told so at once. The
 * judgement looks at a complete head as a whole: where it goes, how long its body is, what is for
 * this hop only.
 */
#include "http_head.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "http_fields.h"

const struct http_field *http_field_find(const struct http_head *head, enum http_field_kind kind) {
    for (size_t i = 0; i < head->n_fields; i++) {
        if (head->fields[i].kind == kind) {
            return &head->fields[i];
        }
    }
    return NULL;
}

/* --- the scan ---------------------------------------------------------------------------------- */

static enum http_result take_version(struct http_scan *scan, struct http_head *head) {
    static const char pattern[] = "HTTP/d.d";
    const char *version = scan->data + scan->at;

    for (uint32_t i = 0; i < sizeof(pattern) - 1; i++) {
        if (http_scan_ended(scan)) {
            return HTTP_PARTIAL;
        }
        if (pattern[i] == 'd' ? !http_is_digit(version[i]) : version[i] != pattern[i]) {
            return http_scan_bad(scan, 400, "the request line has no HTTP version");
        }
        scan->at++;
    }
    if (version[5] != '1' || version[7] > '1') {
        return http_scan_bad(scan, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    }
    head->minor = (uint8_t)(version[7] - '0');
    return HTTP_COMPLETE;
}

static enum http_result take_request_line(struct http_scan *scan, struct http_head *head) {
    enum http_result result;

    for (unsigned n = 0; !http_scan_ended(scan) && scan->data[scan->at] == '\r'; n++) {
        if (n == HTTP_EMPTY_LINES_MAX) {
            return http_scan_bad(scan, 400, "there are empty lines instead of a request");
        }
        result = http_scan_line_end(scan);
        if (result != HTTP_COMPLETE) {
            return result;
        }
    }

    head->method = http_scan_take(scan, HTTP_TOKEN);
    if (head->method.len > HTTP_METHOD_MAX) {
        return http_scan_bad(scan, 501, "the method is too long");
    }
    if (http_scan_ended(scan)) {
        return HTTP_PARTIAL;
    }
    if (head->method.len == 0 || scan->data[scan->at] != ' ') {
        return http_scan_bad(scan, 400, "this is not an HTTP request");
    }
    scan->at++;

    head->target = http_scan_take(scan, HTTP_TARGET);
    if (http_scan_ended(scan)) {
        return HTTP_PARTIAL;
    }
    if (head->target.len == 0 || scan->data[scan->at] != ' ') {
        return http_scan_bad(
            scan, 400, "the request target is missing or has a character that is not allowed");
    }
    scan->at++;

    result = take_version(scan, head);
    return result == HTTP_COMPLETE ? http_scan_line_end(scan) : result;
}

/* --- the judgement ----------------------------------------------------------------------------- */

/* Methods, unlike fields, are spelt exactly (RFC 9110 9.1). */
static bool method_is(const char *data, const struct http_head *head, const char *method) {
    return head->method.len == strlen(method) &&
           memcmp(data + head->method.at, method, head->method.len) == 0;
}

static bool reg_name_valid(const char *text, uint32_t len) {
    for (uint32_t i = 0; i < len; i++) {
        if (!http_is(text[i], HTTP_HOST)) {
            return false;
        }
        if (text[i] == '%' &&
            (len - i < 3 || !http_is(text[i + 1], HTTP_HEX) || !http_is(text[i + 2], HTTP_HEX))) {
            return false;
        }
    }
    return true;
}

/* "[" IPv6address "]": of the literals of RFC 3986 the only one there is; without a zone. */
static bool ip_literal_valid(const char *text, uint32_t len) {
    char address[INET6_ADDRSTRLEN];
    struct in6_addr ignored;

    if (len < 2 || len - 2 >= sizeof(address) || text[len - 1] != ']') {
        return false;
    }
    memcpy(address, text + 1, len - 2);
    address[len - 2] = '\0';
    return inet_pton(AF_INET6, address, &ignored) == 1;
}

/* uri-host [ ":" port ] (RFC 9110 7.2); sets *ret_host, without the port. */
static bool authority_valid(const char *data, struct http_slice authority,
                            struct http_slice *ret_host) {
    const char *text = data + authority.at;
    uint32_t host_len = authority.len, port = 0;
    const char *end;

    if (authority.len > 0 && text[0] == '[') {
        end = memchr(text, ']', authority.len);
        if (end == NULL) {
            return false;
        }
        host_len = (uint32_t)(end - text) + 1;
        if (!ip_literal_valid(text, host_len)) {
            return false;
        }
    } else {
        end = memchr(text, ':', authority.len);
        if (end != NULL) {
            host_len = (uint32_t)(end - text);
        }
        if (host_len > HTTP_HOST_MAX || !reg_name_valid(text, host_len)) {
            return false;
        }
    }
    if (host_len < authority.len) {
        if (text[host_len] != ':' || host_len == 0 ||
            authority.len - host_len - 1 > HTTP_PORT_MAX) {
            return false;
        }
        for (uint32_t i = host_len + 1; i < authority.len; i++) {
            if (!http_is_digit(text[i])) {
                return false;
            }
            port = port * 10 + (uint32_t)(text[i] - '0');
        }
        if (port > UINT16_MAX) {
            return false;
        }
    }
    *ret_host = (struct http_slice){.at = authority.at, .len = host_len};
    return true;
}

/* Takes scheme and authority off a target in absolute form; false: it is in no form that we know.
 */
static bool split_absolute(const char *data, struct http_head *head,
                           struct http_slice *ret_authority) {
    static const char *const schemes[] = {"http://", "https://"};

    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        uint32_t len = (uint32_t)strlen(schemes[i]), end = head->target.at + head->target.len;

        if (head->target.len > len && strncasecmp(data + head->target.at, schemes[i], len) == 0) {
            ret_authority->at = head->target.at += len;
            while (head->target.at < end && data[head->target.at] != '/' &&
                   data[head->target.at] != '?') {
                head->target.at++;
            }
            head->target.len = end - head->target.at;
            ret_authority->len = head->target.at - ret_authority->at;
            return true;
        }
    }
    return false;
}

static void find_path(const char *data, struct http_head *head) {
    const char *query;

    head->path = head->target;
    if (head->target.len == 0 || data[head->target.at] != '/') {
        head->path.len = 0;
        return;
    }
    query = memchr(data + head->target.at, '?', head->target.len);
    if (query != NULL) {
        head->path.len = (uint32_t)(query - (data + head->target.at));
    }
}

/* The target's form (RFC 9112 3.2), and where the request goes. */
static enum http_result judge_target(struct http_scan *scan, struct http_head *head) {
    const char *data = scan->data, *target = data + head->target.at;
    const struct http_field *host = http_scan_field(scan, HTTP_FIELD_HOST);
    struct http_slice authority = {0};
    bool absolute = false;

    if (method_is(data, head, "CONNECT")) {
        return http_scan_bad(scan, 501, "tunnels to other places are not made here");
    }
    if (target[0] != '/' &&
        !(head->target.len == 1 && target[0] == '*' && method_is(data, head, "OPTIONS"))) {
        absolute = split_absolute(data, head, &authority);
        if (!absolute) {
            return http_scan_bad(scan, 400,
                                 "the request target is neither a path nor an http address");
        }
    }
    find_path(data, head);

    if (scan->count[HTTP_FIELD_HOST] > 1) {
        return http_scan_bad(scan, 400, "there is more than one Host field");
    }
    if (host == NULL && head->minor > 0) {
        return http_scan_bad(scan, 400, "the Host field is missing");
    }
    if (host != NULL) {
        head->authority = host->value;
        if (!authority_valid(data, host->value, &head->host)) {
            return http_scan_bad(scan, 400, "the Host field is not a host name or address");
        }
    }
    if (absolute) {
        head->authority = authority;
        if (!authority_valid(data, authority, &head->host) || head->host.len == 0) {
            return http_scan_bad(scan, 400, "the request target has no valid host");
        }
    }
    return HTTP_COMPLETE;
}

/* Whether a list of protocols (RFC 9110 7.8) has HTTP itself in it; -1: it is no such list. */
static int upgrade_to_http(const char *data, struct http_slice list) {
    struct http_slice protocol;
    int found = 0;

    while (http_list_next(data, &list, &protocol)) {
        /* protocol-name [ "/" protocol-version ] */
        const char *text = data + protocol.at;
        const char *slash = memchr(text, '/', protocol.len);
        struct http_slice name = protocol;

        for (uint32_t i = 0; i < protocol.len; i++) {
            if (!http_is(text[i], HTTP_TOKEN) && text + i != slash) {
                return -1;
            }
        }
        if (slash != NULL) {
            name.len = (uint32_t)(slash - text);
        }
        if (http_slice_is(data, name, "h2c") || http_slice_is(data, name, "h2") ||
            http_slice_is(data, name, "HTTP")) {
            found = 1;
        }
    }
    return found;
}

/* Whether another protocol is wanted (RFC 9110 7.8), and whether more requests will come. */
static enum http_result judge_connection(struct http_scan *scan, struct http_head *head) {
    enum http_result result = http_scan_connection(scan);
    const struct http_field *field = http_scan_field(scan, HTTP_FIELD_UPGRADE);
    bool http = false;

    if (result != HTTP_COMPLETE) {
        return result;
    }
    head->persistent = !scan->close && (head->minor > 0 || scan->keep_alive);
    head->n_options = scan->n_options;

    for (; field != NULL && field < scan->fields + scan->n_fields; field++) {
        int found =
            field->kind == HTTP_FIELD_UPGRADE ? upgrade_to_http(scan->data, field->value) : 0;

        if (found < 0) {
            return http_scan_bad(scan, 400, "the Upgrade field is not a list of protocols");
        }
        http = http || found > 0;
    }
    /*
     * HTTP/2 without TLS would carry requests past the router. Behind a chunked body the first
     * bytes of the new protocol could not be told apart from it without reading them.
     */
    head->upgrade = head->minor > 0 && scan->upgrade && scan->count[HTTP_FIELD_UPGRADE] > 0 &&
                    !http && head->body != HTTP_BODY_CHUNKED;
    return HTTP_COMPLETE;
}

/* A tab behind a value is white space to us (RFC 9110 5.6.3) and part of it to others, llhttp among
 * them. */
static bool tab_behind(const char *data, struct http_slice value) {
    const char *c = data + value.at + value.len;

    while (*c == ' ') {
        c++;
    }
    return *c == '\t';
}

/* The one Transfer-Encoding that is known (RFC 9112 6.1). */
static enum http_result judge_coding(struct http_scan *scan, const struct http_head *head,
                                     struct http_slice codings) {
    struct http_slice coding, last = {0};
    size_t n = 0;

    if (scan->count[HTTP_FIELD_CONTENT_LENGTH] > 0) {
        return http_scan_bad(scan, 400, "there is a Content-Length beside a Transfer-Encoding");
    }
    if (head->minor == 0) {
        return http_scan_bad(scan, 400, "HTTP/1.0 has no Transfer-Encoding");
    }
    if (scan->count[HTTP_FIELD_TRANSFER_ENCODING] > 1) {
        return http_scan_bad(scan, 400, "there is more than one Transfer-Encoding field");
    }
    if (tab_behind(scan->data, codings)) {
        return http_scan_bad(scan, 400, "there is a tab behind the Transfer-Encoding");
    }
    if (http_slice_is(scan->data, codings, "chunked")) {
        return HTTP_COMPLETE;
    }
    while (http_list_next(scan->data, &codings, &coding)) {
        if (coding.len == 0 || http_slice_is(scan->data, last, "chunked")) {
            return http_scan_bad(scan, 400, "chunked is not the last transfer coding");
        }
        n++;
        last = coding;
    }
    if (n < 2 || !http_slice_is(scan->data, last, "chunked")) {
        return http_scan_bad(scan, 400, "the last transfer coding is not chunked");
    }
    return http_scan_bad(scan, 501, "the only transfer coding that is known here is chunked");
}

/* Where the body ends (RFC 9112 6). */
static enum http_result judge_body(struct http_scan *scan, struct http_head *head) {
    const struct http_field *length = http_scan_field(scan, HTTP_FIELD_CONTENT_LENGTH);
    const struct http_field *coding = http_scan_field(scan, HTTP_FIELD_TRANSFER_ENCODING);

    if (coding != NULL) {
        head->body = HTTP_BODY_CHUNKED;
        return judge_coding(scan, head, coding->value);
    }
    if (length != NULL) {
        if (scan->count[HTTP_FIELD_CONTENT_LENGTH] > 1) {
            return http_scan_bad(scan, 400, "there is more than one Content-Length field");
        }
        if (!http_length_parse(scan->data, length->value, &head->content_length) ||
            tab_behind(scan->data, length->value)) {
            return http_scan_bad(scan, 400, "the Content-Length is not a number");
        }
        head->body = HTTP_BODY_LENGTH;
    }
    return HTTP_COMPLETE;
}

static enum http_result judge(struct http_scan *scan, struct http_head *head) {
    const char *data = scan->data;
    enum http_result result;

    head->bodyless_answer = method_is(data, head, "HEAD");
    head->safe = head->bodyless_answer || method_is(data, head, "GET") ||
                 method_is(data, head, "OPTIONS") || method_is(data, head, "TRACE");
    result = judge_target(scan, head);
    if (result == HTTP_COMPLETE) {
        result = judge_body(scan, head);
    }
    return result == HTTP_COMPLETE ? judge_connection(scan, head) : result;
}

static enum http_result parse(struct http_scan *scan, struct http_head *head) {
    enum http_result result = take_request_line(scan, head);

    if (result != HTTP_COMPLETE) {
        return result;
    }
    head->line_complete = true;
    result = http_scan_fields(scan);
    if (result != HTTP_COMPLETE) {
        return result;
    }
    head->size = scan->at;
    head->n_fields = scan->n_fields;
    return judge(scan, head);
}

enum http_result http_head_parse(const char *data, size_t size, struct http_head *ret_head) {
    struct http_scan scan = {
        .data = data,
        .size = size > UINT32_MAX ? UINT32_MAX : (uint32_t)size,
        .fields = ret_head->fields,
        .options = ret_head->options,
    };
    enum http_result result;

    /* The arrays are the largest part by far, and are read only as far as they were filled. */
    memset(ret_head, 0, offsetof(struct http_head, fields));
    ret_head->n_options = 0;

    result = parse(&scan, ret_head);
    ret_head->status = scan.status;
    ret_head->reason = scan.reason;
    return result;
}
