/*
 * http_head.c - see http_head.h.
 *
 * Two steps. The scan goes over the bytes once, knows lines, names and values, and refuses as early
 * as it can, so that a stranger who does not speak HTTP is told so at once. The judgement looks at
 * a complete head as a whole: where it goes, how long its body is, what is for this hop only.
 */
#include "http_head.h"

#include <string.h>
#include <strings.h>

#include "http_chars.h"

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_space(char c) {
    return c == ' ' || c == '\t';
}

bool http_slice_is(const char *data, struct http_slice slice, const char *text) {
    return slice.len == strlen(text) && strncasecmp(data + slice.at, text, slice.len) == 0;
}

/* --- the scan ---------------------------------------------------------------------------------- */

struct scan {
    const char *data;
    uint32_t size, at;
    struct http_head *head;
};

static enum http_result bad(struct http_head *head, unsigned status, const char *reason) {
    head->status = status;
    head->reason = reason;
    return HTTP_BAD;
}

static bool at_end(const struct scan *scan) {
    return scan->at == scan->size;
}

/* All characters of the class from here on. */
static struct http_slice take(struct scan *scan, unsigned wanted) {
    struct http_slice slice = {.at = scan->at};

    while (!at_end(scan) && http_is(scan->data[scan->at], wanted)) {
        scan->at++;
    }
    slice.len = scan->at - slice.at;
    return slice;
}

/* CR LF and nothing else: a bare CR or LF ends lines for some and not for others. */
static enum http_result take_line_end(struct scan *scan) {
    if (at_end(scan)) {
        return HTTP_PARTIAL;
    }
    if (scan->data[scan->at] != '\r') {
        return bad(scan->head, 400,
                   scan->data[scan->at] == '\n' ? "a line does not end with CR LF"
                                                : "a line has a character that is not allowed");
    }
    if (scan->at + 1 == scan->size) {
        return HTTP_PARTIAL;
    }
    if (scan->data[scan->at + 1] != '\n') {
        return bad(scan->head, 400, "a line has a CR that does not end it");
    }
    scan->at += 2;
    return HTTP_COMPLETE;
}

static enum http_result take_version(struct scan *scan) {
    static const char pattern[] = "HTTP/d.d";
    const char *version = scan->data + scan->at;

    for (uint32_t i = 0; i < sizeof(pattern) - 1; i++) {
        if (at_end(scan)) {
            return HTTP_PARTIAL;
        }
        if (pattern[i] == 'd' ? !is_digit(version[i]) : version[i] != pattern[i]) {
            return bad(scan->head, 400, "the request line has no HTTP version");
        }
        scan->at++;
    }
    if (version[5] != '1' || version[7] > '1') {
        return bad(scan->head, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    }
    scan->head->minor = (uint8_t)(version[7] - '0');
    return HTTP_COMPLETE;
}

static enum http_result take_request_line(struct scan *scan) {
    struct http_head *head = scan->head;
    enum http_result result;

    for (unsigned n = 0; !at_end(scan) && scan->data[scan->at] == '\r'; n++) {
        if (n == HTTP_EMPTY_LINES_MAX) {
            return bad(head, 400, "there are empty lines instead of a request");
        }
        result = take_line_end(scan);
        if (result != HTTP_COMPLETE) {
            return result;
        }
    }

    head->method = take(scan, HTTP_TOKEN);
    if (head->method.len > HTTP_METHOD_MAX) {
        return bad(head, 501, "the method is too long");
    }
    if (at_end(scan)) {
        return HTTP_PARTIAL;
    }
    if (head->method.len == 0 || scan->data[scan->at] != ' ') {
        return bad(head, 400, "this is not an HTTP request");
    }
    scan->at++;

    head->target = take(scan, HTTP_TARGET);
    if (at_end(scan)) {
        return HTTP_PARTIAL;
    }
    if (head->target.len == 0 || scan->data[scan->at] != ' ') {
        return bad(head, 400,
                   "the request target is missing or has a character that is not allowed");
    }
    scan->at++;

    result = take_version(scan);
    return result == HTTP_COMPLETE ? take_line_end(scan) : result;
}

static enum http_field_kind field_kind(const char *data, struct http_slice name) {
    static const struct {
        const char *name;
        enum http_field_kind kind;
    } known[] = {
        {"host", HTTP_FIELD_HOST},
        {"connection", HTTP_FIELD_CONNECTION},
        {"content-length", HTTP_FIELD_CONTENT_LENGTH},
        {"transfer-encoding", HTTP_FIELD_TRANSFER_ENCODING},
        {"upgrade", HTTP_FIELD_UPGRADE},
        {"expect", HTTP_FIELD_EXPECT},
        {"te", HTTP_FIELD_HOP},
        {"keep-alive", HTTP_FIELD_HOP},
        {"proxy-connection", HTTP_FIELD_HOP},
        {"http2-settings", HTTP_FIELD_HOP},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (http_slice_is(data, name, known[i].name)) {
            return known[i].kind;
        }
    }
    return HTTP_FIELD_OTHER;
}

static enum http_result take_field(struct scan *scan) {
    struct http_head *head = scan->head;
    struct http_field field = {0};
    enum http_result result;

    if (is_space(scan->data[scan->at])) {
        return bad(head, 400, "a line begins with white space");
    }
    field.name = take(scan, HTTP_TOKEN);
    if (at_end(scan)) {
        return HTTP_PARTIAL;
    }
    if (field.name.len == 0 || scan->data[scan->at] != ':') {
        return bad(head, 400, "a field's name is empty or has a character that is not allowed");
    }
    scan->at++;
    while (!at_end(scan) && is_space(scan->data[scan->at])) {
        scan->at++;
    }
    field.value = take(scan, HTTP_VALUE);
    while (field.value.len > 0 && is_space(scan->data[field.value.at + field.value.len - 1])) {
        field.value.len--;
    }
    result = take_line_end(scan);
    if (result != HTTP_COMPLETE) {
        return result;
    }
    if (head->n_fields == HTTP_FIELDS_MAX) {
        return bad(head, 431, "there are too many fields");
    }
    field.kind = field_kind(scan->data, field.name);
    head->fields[head->n_fields++] = field;
    return HTTP_COMPLETE;
}

/* --- the judgement ----------------------------------------------------------------------------- */

/* Methods, unlike fields, are spelt exactly (RFC 9110 9.1). */
static bool method_is(const char *data, const struct http_head *head, const char *method) {
    return head->method.len == strlen(method) &&
           memcmp(data + head->method.at, method, head->method.len) == 0;
}

/* The next element of a comma-separated list (RFC 9110 5.6.1), which may be empty; false: no more.
 */
static bool next_element(const char *data, struct http_slice *rest,
                         struct http_slice *ret_element) {
    struct http_slice element = {.at = rest->at};

    if (rest->len == 0) {
        return false;
    }
    while (element.len < rest->len && data[element.at + element.len] != ',') {
        element.len++;
    }
    *rest = (struct http_slice){.at = rest->at + element.len, .len = rest->len - element.len};
    if (rest->len > 0) {
        rest->at++;
        rest->len--;
    }
    while (element.len > 0 && is_space(data[element.at])) {
        element.at++;
        element.len--;
    }
    while (element.len > 0 && is_space(data[element.at + element.len - 1])) {
        element.len--;
    }
    *ret_element = element;
    return true;
}

/* The only field of its kind; *ret_n says how many there are. */
static const struct http_field *find_field(const struct http_head *head, enum http_field_kind kind,
                                           size_t *ret_n) {
    const struct http_field *found = NULL;

    *ret_n = 0;
    for (size_t i = 0; i < head->n_fields; i++) {
        if (head->fields[i].kind == kind) {
            found = found != NULL ? found : &head->fields[i];
            (*ret_n)++;
        }
    }
    return found;
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

/* "[" 1*( HEXDIG / ":" / "." ) "]": the only literals there are, IPv6 addresses without a zone. */
static bool ip_literal_valid(const char *text, uint32_t len) {
    if (len < 4 || len > sizeof("[0000:0000:0000:0000:0000:ffff:255.255.255.255]") - 1 ||
        text[len - 1] != ']') {
        return false;
    }
    for (uint32_t i = 1; i < len - 1; i++) {
        if (!http_is(text[i], HTTP_HEX) && text[i] != ':' && text[i] != '.') {
            return false;
        }
    }
    return true;
}

/* uri-host [ ":" port ] (RFC 9110 7.2); sets *ret_host, without the port. */
static bool authority_valid(const char *data, struct http_slice authority,
                            struct http_slice *ret_host) {
    const char *text = data + authority.at;
    uint32_t host_len = authority.len, port = 0;
    const char *colon;

    if (authority.len > 0 && text[0] == '[') {
        const char *end = memchr(text, ']', authority.len);

        if (end == NULL) {
            return false;
        }
        host_len = (uint32_t)(end - text) + 1;
        if (!ip_literal_valid(text, host_len)) {
            return false;
        }
    } else {
        colon = memchr(text, ':', authority.len);
        if (colon != NULL) {
            host_len = (uint32_t)(colon - text);
        }
        if (!reg_name_valid(text, host_len)) {
            return false;
        }
    }
    if (host_len < authority.len) {
        if (text[host_len] != ':' || host_len == 0) {
            return false;
        }
        for (uint32_t i = host_len + 1; i < authority.len; i++) {
            port = port * 10 + (uint32_t)(text[i] - '0');
            if (!is_digit(text[i]) || port > UINT16_MAX) {
                return false;
            }
        }
    }
    *ret_host = (struct http_slice){.at = authority.at, .len = host_len};
    return true;
}

/* The target's form (RFC 9112 3.2), and where the request goes. */
static enum http_result judge_target(const char *data, struct http_head *head) {
    static const char *const schemes[] = {"http://", "https://"};
    const char *target = data + head->target.at;
    struct http_slice authority = {0};
    bool absolute = false;
    const struct http_field *host;
    size_t n;

    if (method_is(data, head, "CONNECT")) {
        return bad(head, 501, "tunnels to other places are not made here");
    }
    if (target[0] != '/' &&
        !(head->target.len == 1 && target[0] == '*' && method_is(data, head, "OPTIONS"))) {
        for (size_t i = 0; i < 2 && !absolute; i++) {
            uint32_t len = (uint32_t)strlen(schemes[i]);

            if (head->target.len > len && strncasecmp(target, schemes[i], len) == 0) {
                authority.at = head->target.at + len;
                absolute = true;
            }
        }
        if (!absolute) {
            return bad(head, 400, "the request target is neither a path nor an http address");
        }
        head->target.len -= authority.at - head->target.at;
        head->target.at = authority.at;
        while (head->target.len > 0 && data[head->target.at] != '/' &&
               data[head->target.at] != '?') {
            head->target.at++;
            head->target.len--;
        }
        authority.len = head->target.at - authority.at;
    }

    host = find_field(head, HTTP_FIELD_HOST, &n);
    if (n > 1) {
        return bad(head, 400, "there is more than one Host field");
    }
    if (n == 0 && head->minor > 0) {
        return bad(head, 400, "the Host field is missing");
    }
    if (host != NULL) {
        head->authority = host->value;
        if (!authority_valid(data, host->value, &head->host)) {
            return bad(head, 400, "the Host field is not a host name or address");
        }
    }
    if (absolute) {
        head->authority = authority;
        if (!authority_valid(data, authority, &head->host) || head->host.len == 0) {
            return bad(head, 400, "the request target has no valid host");
        }
    }
    return HTTP_COMPLETE;
}

/* What Connection lists (RFC 9110 7.6.1), and whether another protocol is wanted. */
static enum http_result judge_connection(const char *data, struct http_head *head) {
    bool option_upgrade = false, field_upgrade = false, h2c = false;

    for (size_t i = 0; i < head->n_fields; i++) {
        struct http_slice rest = head->fields[i].value, element;
        enum http_field_kind kind = head->fields[i].kind;

        if (kind != HTTP_FIELD_CONNECTION && kind != HTTP_FIELD_UPGRADE) {
            continue;
        }
        while (next_element(data, &rest, &element)) {
            if (element.len == 0) {
                continue;
            }
            for (uint32_t k = 0; k < element.len; k++) {
                /* Upgrade = name [ "/" version ] */
                if (!http_is(data[element.at + k], HTTP_TOKEN) &&
                    (kind == HTTP_FIELD_CONNECTION || data[element.at + k] != '/')) {
                    return bad(head, 400, "the Connection or Upgrade field is not a list of names");
                }
            }
            if (kind == HTTP_FIELD_UPGRADE) {
                field_upgrade = true;
                h2c = h2c || http_slice_is(data, element, "h2c");
                continue;
            }
            option_upgrade = option_upgrade || http_slice_is(data, element, "upgrade");
            /* The other known ones are kept or removed whether they are listed or not. */
            if (field_kind(data, element) == HTTP_FIELD_OTHER &&
                !http_slice_is(data, element, "close")) {
                if (head->n_options == HTTP_OPTIONS_MAX) {
                    return bad(head, 400, "the Connection field lists too many names");
                }
                head->options[head->n_options++] = element;
            }
        }
    }
    /*
     * HTTP/2 without TLS would carry requests past the router. Behind a chunked body the first
     * bytes of the new protocol could not be told apart from it without reading them.
     */
    head->upgrade = head->minor > 0 && option_upgrade && field_upgrade && !h2c &&
                    head->body != HTTP_BODY_CHUNKED;
    return HTTP_COMPLETE;
}

static bool parse_length(const char *data, struct http_slice value, uint64_t *ret_length) {
    uint64_t length = 0;

    if (value.len == 0) {
        return false;
    }
    for (uint32_t i = 0; i < value.len; i++) {
        char c = data[value.at + i];

        /* Bounded by INT64_MAX, which is what most programs count with. */
        if (!is_digit(c) || length > (INT64_MAX - (uint64_t)(c - '0')) / 10) {
            return false;
        }
        length = length * 10 + (uint64_t)(c - '0');
    }
    *ret_length = length;
    return true;
}

/* Where the body ends (RFC 9112 6). */
static enum http_result judge_body(const char *data, struct http_head *head) {
    const struct http_field *length, *coding;
    struct http_slice rest, element, last = {0};
    size_t n_length, n_coding, n = 0;

    length = find_field(head, HTTP_FIELD_CONTENT_LENGTH, &n_length);
    coding = find_field(head, HTTP_FIELD_TRANSFER_ENCODING, &n_coding);

    if (coding != NULL) {
        if (length != NULL) {
            return bad(head, 400, "there is a Content-Length beside a Transfer-Encoding");
        }
        if (head->minor == 0) {
            return bad(head, 400, "HTTP/1.0 has no Transfer-Encoding");
        }
        if (n_coding > 1) {
            return bad(head, 400, "there is more than one Transfer-Encoding field");
        }
        rest = coding->value;
        while (next_element(data, &rest, &element)) {
            if (element.len == 0 || http_slice_is(data, last, "chunked")) {
                return bad(head, 400, "chunked is not the last transfer coding");
            }
            n++;
            last = element;
        }
        if (!http_slice_is(data, last, "chunked")) {
            return bad(head, 400, "the last transfer coding is not chunked");
        }
        if (n > 1) {
            return bad(head, 501, "the only transfer coding that is known here is chunked");
        }
        head->body = HTTP_BODY_CHUNKED;
        return HTTP_COMPLETE;
    }
    if (length != NULL) {
        if (n_length > 1) {
            return bad(head, 400, "there is more than one Content-Length field");
        }
        if (!parse_length(data, length->value, &head->content_length)) {
            return bad(head, 400, "the Content-Length is not a number");
        }
        head->body = HTTP_BODY_LENGTH;
    }
    return HTTP_COMPLETE;
}

static enum http_result judge(const char *data, struct http_head *head) {
    static const char *const safe[] = {"GET", "HEAD", "OPTIONS", "TRACE"};
    enum http_result result;

    for (size_t i = 0; i < sizeof(safe) / sizeof(safe[0]); i++) {
        head->safe = head->safe || method_is(data, head, safe[i]);
    }
    head->bodyless_answer = method_is(data, head, "HEAD");
    result = judge_target(data, head);
    if (result == HTTP_COMPLETE) {
        result = judge_body(data, head);
    }
    return result == HTTP_COMPLETE ? judge_connection(data, head) : result;
}

enum http_result http_head_parse(const char *data, size_t size, struct http_head *ret_head) {
    struct scan scan = {
        .data = data,
        .size = size > UINT32_MAX ? UINT32_MAX : (uint32_t)size,
        .head = ret_head,
    };
    enum http_result result;

    *ret_head = (struct http_head){0};

    result = take_request_line(&scan);
    if (result != HTTP_COMPLETE) {
        return result;
    }
    ret_head->line_complete = true;

    for (;;) {
        if (at_end(&scan)) {
            return HTTP_PARTIAL;
        }
        if (data[scan.at] == '\r') {
            result = take_line_end(&scan);
            break;
        }
        result = take_field(&scan);
        if (result != HTTP_COMPLETE) {
            return result;
        }
    }
    if (result != HTTP_COMPLETE) {
        return result;
    }
    ret_head->size = scan.at;
    return judge(data, ret_head);
}
