/* http_fields.c - see http_fields.h. */
#include "http_fields.h"

#include <string.h>
#include <strings.h>

bool http_slice_is(const char *data, struct http_slice slice, const char *text) {
    return slice.len == strlen(text) && strncasecmp(data + slice.at, text, slice.len) == 0;
}

bool http_name_is(const char *name, size_t len, const char *folded, size_t folded_len) {
    if (len != folded_len) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (http_fold(name[i]) != folded[i]) {
            return false;
        }
    }
    return true;
}

/* --- the scan ---------------------------------------------------------------------------------- */

enum http_result http_scan_bad(struct http_scan *scan, unsigned status, const char *reason) {
    scan->status = status;
    scan->reason = reason;
    return HTTP_BAD;
}

/* A bare CR ends lines for some and not for others, and so does a bare LF in a request. */
enum http_result http_scan_line_end(struct http_scan *scan) {
    if (http_scan_ended(scan)) {
        return HTTP_PARTIAL;
    }
    if (scan->data[scan->at] == '\n' && scan->lenient) {
        scan->at++;
        return HTTP_COMPLETE;
    }
    if (scan->data[scan->at] != '\r') {
        return http_scan_bad(scan, 400,
                             scan->data[scan->at] == '\n'
                                 ? "a line does not end with CR LF"
                                 : "a line has a character that is not allowed");
    }
    if (scan->at + 1 == scan->size) {
        return HTTP_PARTIAL;
    }
    if (scan->data[scan->at + 1] != '\n') {
        return http_scan_bad(scan, 400, "a line has a CR that does not end it");
    }
    scan->at += 2;
    return HTTP_COMPLETE;
}

/*
 * How many of the bytes, in eights, are in a value for certain: none of eight is below 0x20 or
 * 0x7f. The tricks are those of "Bit Twiddling Hacks", hasless() and haszero().
 */
static uint32_t plain_size(const char *data, uint32_t size) {
    const uint64_t ones = UINT64_MAX / 0xff, highs = ones * 0x80;
    uint32_t n = 0;

    while (size - n >= sizeof(uint64_t)) {
        uint64_t word, control, del;

        memcpy(&word, data + n, sizeof(word));
        control = (word - ones * 0x20) & ~word;
        del = word ^ ones * 0x7f;
        del = (del - ones) & ~del;
        if (((control | del) & highs) != 0) {
            break;
        }
        n += sizeof(word);
    }
    return n;
}

struct http_slice http_scan_value(struct http_scan *scan) {
    struct http_slice value = {.at = scan->at};

    while (!http_scan_ended(scan) && http_is_space(scan->data[scan->at])) {
        scan->at++; /* so that the words begin behind it */
    }
    scan->at += plain_size(scan->data + scan->at, scan->size - scan->at);
    http_scan_take(scan, HTTP_VALUE);
    value.len = scan->at - value.at;
    return http_trim(scan->data, value);
}

/* --- fields ------------------------------------------------------------------------------------ */

/* A field's kind by its folded name, whatever stands for its hyphens. */
static enum http_field_kind folded_kind(const char *name, uint32_t len) {
    enum { LEN_MAX = sizeof("transfer-encoding") - 1, OF_ONE_LEN_MAX = 5 };
    static const struct {
        const char *name;
        enum http_field_kind kind;
    } known[LEN_MAX + 1][OF_ONE_LEN_MAX] = {
        [2] = {{"te", HTTP_FIELD_HOP}},
        [4] = {{"host", HTTP_FIELD_HOST}, {"date", HTTP_FIELD_DATE}},
        [5] = {{"proxy", HTTP_FIELD_HOP}},
        [6] = {{"accept", HTTP_FIELD_ACCEPT},
               {"cookie", HTTP_FIELD_COOKIE},
               {"expect", HTTP_FIELD_EXPECT}},
        [7] = {{"upgrade", HTTP_FIELD_UPGRADE}},
        [9] = {{"forwarded", HTTP_FIELD_FORWARDED}, {"x-real-ip", HTTP_FIELD_X_FORWARDED}},
        [10] = {{"connection", HTTP_FIELD_CONNECTION},
                {"user-agent", HTTP_FIELD_USER_AGENT},
                {"keep-alive", HTTP_FIELD_HOP}},
        [14] = {{"content-length", HTTP_FIELD_CONTENT_LENGTH},
                {"sec-fetch-mode", HTTP_FIELD_FETCH_MODE},
                {"sec-fetch-dest", HTTP_FIELD_FETCH_DEST},
                {"http2-settings", HTTP_FIELD_HOP}},
        [15] = {{"x-forwarded-for", HTTP_FIELD_X_FORWARDED_FOR}},
        [16] = {{"x-forwarded-host", HTTP_FIELD_X_FORWARDED_HOST},
                {"proxy-connection", HTTP_FIELD_HOP}},
        [17] = {{"transfer-encoding", HTTP_FIELD_TRANSFER_ENCODING},
                {"x-forwarded-proto", HTTP_FIELD_X_FORWARDED_PROTO}},
    };
    static const char prefix[] = "x-forwarded";
    const uint32_t prefix_len = sizeof(prefix) - 1;

    for (size_t i = 0; len <= LEN_MAX && i < OF_ONE_LEN_MAX && known[len][i].name != NULL; i++) {
        if (http_name_is(name, len, known[len][i].name, len)) {
            return known[len][i].kind;
        }
    }
    if (len >= prefix_len && http_name_is(name, prefix_len, prefix, prefix_len) &&
        (len == prefix_len || http_fold(name[prefix_len]) == '-')) {
        return HTTP_FIELD_X_FORWARDED;
    }
    return HTTP_FIELD_OTHER;
}

/*
 * The kind of a field. Of the names with `_` for `-` those that say where a request comes from are
 * known. *ret_imitates: it is such a name of a field that says where the body ends.
 */
static enum http_field_kind field_kind(const char *name, uint32_t len, bool *ret_imitates) {
    enum http_field_kind kind = folded_kind(name, len);

    *ret_imitates = false;
    if (kind == HTTP_FIELD_OTHER || kind >= HTTP_FIELD_FORWARDED ||
        memchr(name, '_', len) == NULL) {
        return kind;
    }
    *ret_imitates = kind == HTTP_FIELD_CONTENT_LENGTH || kind == HTTP_FIELD_TRANSFER_ENCODING;
    return HTTP_FIELD_OTHER;
}

static enum http_result take_field(struct http_scan *scan) {
    struct http_field *field = &scan->fields[scan->n_fields];
    enum http_result result;
    bool imitates;

    if (http_is_space(scan->data[scan->at])) {
        return http_scan_bad(scan, 400, "a line begins with white space");
    }
    if (scan->n_fields == HTTP_FIELDS_MAX) {
        return http_scan_bad(scan, 431, "there are too many fields");
    }
    field->name = http_scan_take(scan, HTTP_TOKEN);
    while (scan->lenient && !http_scan_ended(scan) && http_is_space(scan->data[scan->at])) {
        scan->at++;
    }
    if (http_scan_ended(scan)) {
        return HTTP_PARTIAL;
    }
    if (field->name.len == 0 || scan->data[scan->at] != ':') {
        return http_scan_bad(scan, 400,
                             "a field's name is empty or has a character that is not allowed");
    }
    scan->at++;
    field->value = http_scan_value(scan);
    result = http_scan_line_end(scan);
    if (result != HTTP_COMPLETE) {
        return result;
    }
    field->kind = field_kind(scan->data + field->name.at, field->name.len, &imitates);
    if (imitates && !scan->lenient) {
        return http_scan_bad(scan, 400,
                             "a field's name imitates one that says how long the body is");
    }
    if (scan->count[field->kind]++ == 0) {
        scan->first[field->kind] = (uint8_t)scan->n_fields;
    }
    scan->n_fields++;
    return HTTP_COMPLETE;
}

enum http_result http_scan_fields(struct http_scan *scan) {
    for (;;) {
        enum http_result result;

        if (http_scan_ended(scan)) {
            return HTTP_PARTIAL;
        }
        if (scan->data[scan->at] == '\r' || scan->data[scan->at] == '\n') {
            return http_scan_line_end(scan);
        }
        result = take_field(scan);
        if (result != HTTP_COMPLETE) {
            return result;
        }
    }
}

/* --- values ------------------------------------------------------------------------------------ */

struct http_slice http_trim(const char *data, struct http_slice slice) {
    while (slice.len > 0 && http_is_space(data[slice.at])) {
        slice.at++;
        slice.len--;
    }
    while (slice.len > 0 && http_is_space(data[slice.at + slice.len - 1])) {
        slice.len--;
    }
    return slice;
}

bool http_list_next(const char *data, struct http_slice *rest, struct http_slice *ret_element) {
    struct http_slice element = {.at = rest->at, .len = rest->len};
    const char *comma;

    if (rest->len == 0) {
        return false;
    }
    comma = memchr(data + rest->at, ',', rest->len);
    if (comma != NULL) {
        element.len = (uint32_t)(comma - (data + rest->at));
        rest->at += element.len + 1;
        rest->len -= element.len + 1;
    } else {
        rest->len = 0;
    }
    *ret_element = http_trim(data, element);
    return true;
}

static bool is_token(const char *data, struct http_slice slice) {
    for (uint32_t i = 0; i < slice.len; i++) {
        if (!http_is(data[slice.at + i], HTTP_TOKEN)) {
            return false;
        }
    }
    return true;
}

/* One option of Connection. The fields of known kinds are kept or removed whether they are listed
 * or not: those that the request was routed and judged by, and those that we write. */
static enum http_result take_option(struct http_scan *scan, struct http_slice option) {
    bool imitates;

    if (!is_token(scan->data, option)) {
        if (!scan->lenient) {
            return http_scan_bad(scan, 400, "the Connection field is not a list of names");
        }
        scan->close = true;
    } else if (http_slice_is(scan->data, option, "close")) {
        scan->close = true;
    } else if (http_slice_is(scan->data, option, "keep-alive")) {
        scan->keep_alive = true;
    } else if (http_slice_is(scan->data, option, "upgrade")) {
        scan->upgrade = true;
    } else if (option.len > 0 &&
               field_kind(scan->data + option.at, option.len, &imitates) == HTTP_FIELD_OTHER) {
        if (scan->n_options == HTTP_OPTIONS_MAX) {
            return http_scan_bad(scan, 400, "the Connection field lists too many names");
        }
        scan->options[scan->n_options++] = option;
    }
    return HTTP_COMPLETE;
}

enum http_result http_scan_connection(struct http_scan *scan) {
    const struct http_field *field = http_scan_field(scan, HTTP_FIELD_CONNECTION);

    for (; field != NULL && field < scan->fields + scan->n_fields; field++) {
        struct http_slice rest = field->value, option;

        while (field->kind == HTTP_FIELD_CONNECTION && http_list_next(scan->data, &rest, &option)) {
            enum http_result result = take_option(scan, option);

            if (result != HTTP_COMPLETE) {
                return result;
            }
        }
    }
    return HTTP_COMPLETE;
}

bool http_length_parse(const char *data, struct http_slice value, uint64_t *ret_length) {
    uint64_t length = 0;

    if (value.len == 0) {
        return false;
    }
    for (uint32_t i = 0; i < value.len; i++) {
        char c = data[value.at + i];

        if (!http_is_digit(c) || length > (INT64_MAX - (uint64_t)(c - '0')) / 10) {
            return false;
        }
        length = length * 10 + (uint64_t)(c - '0');
    }
    *ret_length = length;
    return true;
}
