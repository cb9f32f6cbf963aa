/*
 * http_answer.c - see http_answer.h.
 *
 * What RFC 9112 6.3 says about the length of an answer's body, and what is made of its choices:
 *
 *  - Fields of 1xx and 204 cannot give them a body (rule 1). A backend that sends one all the same
 *    would have it taken for the next answer. So 1xx with a length above 0 or a coding is refused,
 *    as the next head is behind it; after such a 204 the connection is not used again.
 *  - Content-Length beside Transfer-Encoding, differing or faulty Content-Lengths: refused (rules 3
 *    and 5). The same one several times is one (RFC 9110 8.6).
 *  - A coding other than chunked was not asked for, as we send no TE, and is refused, also where
 *    the body could be read up to the end of the connection (rule 4; RFC 9110 10.1.4).
 */
#include "http_answer.h"

#include <stddef.h>
#include <string.h>

#include "http_fields.h"

static enum http_result take_status_line(struct http_scan *scan, struct http_answer *answer) {
    static const char pattern[] = "HTTP/1.d ddd";
    const char *line = scan->data;

    for (size_t i = 0; i < sizeof(pattern) - 1; i++) {
        if (http_scan_ended(scan)) {
            return HTTP_PARTIAL;
        }
        if (pattern[i] == 'd' ? !http_is_digit(line[i]) : line[i] != pattern[i]) {
            return http_scan_bad(scan, 502, "the answer is not HTTP/1");
        }
        scan->at++;
    }
    answer->minor = line[7] > '0'; /* RFC 9110 2.5: a later one is read as the latest we know */
    answer->code = (uint16_t)((line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0'));
    if (answer->code < 100 || answer->code > 599) {
        return http_scan_bad(scan, 502, "the answer has no valid status");
    }
    /* RFC 9112 4: the space belongs there, also before an empty phrase. */
    if (!http_scan_ended(scan) && line[scan->at] == ' ') {
        scan->at++;
        answer->phrase = http_scan_value(scan);
    }
    return http_scan_line_end(scan);
}

/* All Content-Length fields, each of which may list one several times. */
static bool judge_length(const struct http_scan *scan, struct http_answer *answer) {
    for (size_t i = 0; i < scan->n_fields; i++) {
        struct http_slice rest = scan->fields[i].value, element;

        if (scan->fields[i].kind != HTTP_FIELD_CONTENT_LENGTH) {
            continue;
        }
        if (rest.len == 0 || scan->data[rest.at + rest.len - 1] == ',') {
            return false;
        }
        while (http_list_next(scan->data, &rest, &element)) {
            uint64_t length;

            if (!http_length_parse(scan->data, element, &length) ||
                (answer->has_length && length != answer->content_length)) {
                return false;
            }
            answer->content_length = length;
            answer->has_length = true;
        }
    }
    return true;
}

/* Where the body ends. */
static enum http_result judge_body(struct http_scan *scan, struct http_answer *answer,
                                   bool to_head) {
    const struct http_field *coding = http_scan_field(scan, HTTP_FIELD_TRANSFER_ENCODING);

    if (!judge_length(scan, answer)) {
        return http_scan_bad(scan, 502, "the answer's Content-Length is not one number");
    }
    if (coding != NULL) {
        if (answer->has_length) {
            return http_scan_bad(scan, 502,
                                 "the answer has a Content-Length beside a Transfer-Encoding");
        }
        if (answer->minor == 0) {
            return http_scan_bad(scan, 502, "the answer has a Transfer-Encoding in HTTP/1.0");
        }
        if (scan->count[HTTP_FIELD_TRANSFER_ENCODING] > 1 ||
            !http_slice_is(scan->data, coding->value, "chunked")) {
            return http_scan_bad(scan, 502, "the answer has a transfer coding other than chunked");
        }
    }
    if (answer->code < 200) {
        if (coding != NULL || answer->content_length > 0) {
            return http_scan_bad(scan, 502, "an interim answer has a body");
        }
        answer->end = HTTP_END_NONE;
    } else if (to_head || answer->code == 204 || answer->code == 304) {
        answer->end = HTTP_END_NONE;
    } else if (coding != NULL) {
        answer->end = HTTP_END_CHUNKED;
    } else {
        answer->end = answer->has_length ? HTTP_END_LENGTH : HTTP_END_CLOSE;
    }
    return HTTP_COMPLETE;
}

static enum http_result judge(struct http_scan *scan, struct http_answer *answer, bool to_head,
                              bool upgrade) {
    enum http_result result = judge_body(scan, answer, to_head);
    bool extra;

    if (result == HTTP_COMPLETE) {
        result = http_scan_connection(scan);
    }
    if (result != HTTP_COMPLETE) {
        return result;
    }
    answer->n_options = scan->n_options;
    answer->upgrade = answer->code == 101;
    answer->interim = answer->code < 200 && !answer->upgrade;
    if (answer->upgrade && !upgrade) {
        return http_scan_bad(scan, 502, "the answer changes the protocol unasked for");
    }
    extra = answer->code == 204 &&
            (answer->content_length > 0 || scan->count[HTTP_FIELD_TRANSFER_ENCODING] > 0);
    answer->persistent = !scan->close && (answer->minor > 0 || scan->keep_alive) &&
                         answer->end != HTTP_END_CLOSE && !answer->upgrade && !extra;
    return HTTP_COMPLETE;
}

static enum http_result parse(struct http_scan *scan, struct http_answer *answer, bool to_head,
                              bool upgrade) {
    enum http_result result = take_status_line(scan, answer);

    if (result == HTTP_COMPLETE) {
        result = http_scan_fields(scan);
    }
    if (result != HTTP_COMPLETE) {
        return result;
    }
    answer->size = scan->at;
    answer->n_fields = scan->n_fields;
    return judge(scan, answer, to_head, upgrade);
}

enum http_result http_answer_parse(const char *data, size_t size, bool to_head, bool upgrade,
                                   struct http_answer *ret_answer) {
    struct http_scan scan = {
        .data = data,
        .size = size > UINT32_MAX ? UINT32_MAX : (uint32_t)size,
        .lenient = true,
        .fields = ret_answer->fields,
        .options = ret_answer->options,
    };
    enum http_result result;

    memset(ret_answer, 0, offsetof(struct http_answer, fields));
    ret_answer->n_options = 0;

    result = parse(&scan, ret_answer, to_head, upgrade);
    ret_answer->reason = scan.reason;
    return result;
}
