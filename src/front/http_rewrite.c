/* http_rewrite.c - see http_rewrite.h. */
#include "http_rewrite.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Where the next byte goes; the room was checked once for all. */
struct writer {
    char *out;
    size_t size;
};

static void put_bytes(struct writer *writer, const char *bytes, size_t size) {
    memcpy(writer->out + writer->size, bytes, size);
    writer->size += size;
}

static void put(struct writer *writer, const char *text) {
    put_bytes(writer, text, strlen(text));
}

static void put_slice(struct writer *writer, const char *data, struct http_slice slice) {
    put_bytes(writer, data + slice.at, slice.len);
}

static void put_field(struct writer *writer, const char *data, const struct http_field *field) {
    put_slice(writer, data, field->name);
    put(writer, ": ");
    put_slice(writer, data, field->value);
    put(writer, "\r\n");
}

static void put_request_line(struct writer *writer, const char *data,
                             const struct http_head *head) {
    static const char options[] = "OPTIONS";

    put_slice(writer, data, head->method);
    put(writer, " ");
    if (head->target.len == 0 && head->method.len == sizeof(options) - 1 &&
        memcmp(data + head->method.at, options, head->method.len) == 0) {
        put(writer, "*"); /* RFC 9112 3.2.4 */
    } else if (head->target.len == 0 || data[head->target.at] == '?') {
        put(writer, "/");
    }
    put_slice(writer, data, head->target);
    put(writer, head->minor == 0 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n");
}

/* Connection names it, so it is for this hop only. */
static bool is_option(const char *data, const struct http_head *head, struct http_slice name) {
    for (size_t i = 0; i < head->n_options; i++) {
        if (head->options[i].len == name.len &&
            strncasecmp(data + head->options[i].at, data + name.at, name.len) == 0) {
            return true;
        }
    }
    return false;
}

static bool passes(const char *data, const struct http_head *head, const struct http_field *field) {
    switch (field->kind) {
    case HTTP_FIELD_OTHER:
        return !is_option(data, head, field->name);
    case HTTP_FIELD_UPGRADE:
        return head->upgrade;
    case HTTP_FIELD_EXPECT:
        return head->minor > 0; /* RFC 9110 10.1.1: ignored in HTTP/1.0 */
    case HTTP_FIELD_HOST:
    case HTTP_FIELD_CONNECTION:
    case HTTP_FIELD_CONTENT_LENGTH:
    case HTTP_FIELD_TRANSFER_ENCODING:
    case HTTP_FIELD_HOP:
        break;
    }
    return false;
}

ssize_t http_rewrite(const char *data, const struct http_head *head, char *out, size_t room) {
    struct writer writer = {.out = out};
    char length[sizeof("Content-Length: 18446744073709551615\r\n")];

    if (room < (size_t)head->size + HTTP_REWRITE_GROWTH) {
        return -ENOBUFS;
    }
    put_request_line(&writer, data, head);
    if (head->authority.len > 0 || head->minor > 0) {
        put(&writer, "Host: ");
        put_slice(&writer, data, head->authority);
        put(&writer, "\r\n");
    }
    put(&writer, head->upgrade ? "Connection: upgrade\r\n" : "Connection: close\r\n");
    switch (head->body) {
    case HTTP_BODY_NONE:
        break;
    case HTTP_BODY_LENGTH:
        snprintf(length, sizeof(length), "Content-Length: %" PRIu64 "\r\n", head->content_length);
        put(&writer, length);
        break;
    case HTTP_BODY_CHUNKED:
        put(&writer, "Transfer-Encoding: chunked\r\n");
        break;
    }
    for (size_t i = 0; i < head->n_fields; i++) {
        if (passes(data, head, &head->fields[i])) {
            put_field(&writer, data, &head->fields[i]);
        }
    }
    put(&writer, "\r\n");
    return (ssize_t)writer.size;
}
