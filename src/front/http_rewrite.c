/* http_rewrite.c - see http_rewrite.h: requests. */
#include "http_rewrite.h"

#include <errno.h>

#include "http_rewrite_out.h"

/* The given number of segments at the path's start, or as many as there are. */
static struct http_slice leading(const char *data, struct http_slice path, unsigned segments) {
    struct http_slice prefix = {.at = path.at};

    for (; segments > 0 && prefix.len < path.len; segments--) {
        do {
            prefix.len++;
        } while (prefix.len < path.len && data[prefix.at + prefix.len] != '/');
    }
    return prefix;
}

static void put_request_line(struct http_out *out, const char *data, const struct http_head *head,
                             struct http_slice prefix) {
    static const char options[] = "OPTIONS";
    struct http_slice target = {head->target.at + prefix.len, head->target.len - prefix.len};

    http_put_slice(out, data, head->method);
    http_put(out, " ");
    if (head->target.len == 0 && head->method.len == sizeof(options) - 1 &&
        memcmp(data + head->method.at, options, head->method.len) == 0) {
        http_put(out, "*"); /* RFC 9112 3.2.4 */
    } else if (target.len == 0 || data[target.at] == '?') {
        http_put(out, "/");
    }
    http_put_slice(out, data, target);
    http_put(out, " HTTP/1.1\r\n");
}

static bool passes(const char *data, const struct http_head *head,
                   const struct http_forward *forward, const struct http_field *field) {
    switch (field->kind) {
    case HTTP_FIELD_OTHER:
        return !http_is_option(data, head->options, head->n_options, field->name);
    case HTTP_FIELD_COOKIE:
    case HTTP_FIELD_ACCEPT:
    case HTTP_FIELD_USER_AGENT:
    case HTTP_FIELD_FETCH_MODE:
    case HTTP_FIELD_FETCH_DEST:
    case HTTP_FIELD_DATE:
        return true;
    case HTTP_FIELD_UPGRADE:
        return head->upgrade;
    case HTTP_FIELD_EXPECT:
        return head->minor > 0; /* RFC 9110 10.1.1: ignored in HTTP/1.0 */
    case HTTP_FIELD_X_FORWARDED:
        return forward->trusted && http_forwarded_passes(data, field);
    case HTTP_FIELD_HOST:
    case HTTP_FIELD_CONNECTION:
    case HTTP_FIELD_CONTENT_LENGTH:
    case HTTP_FIELD_TRANSFER_ENCODING:
    case HTTP_FIELD_HOP:
    case HTTP_FIELD_FORWARDED:
    case HTTP_FIELD_X_FORWARDED_FOR:
    case HTTP_FIELD_X_FORWARDED_PROTO:
    case HTTP_FIELD_X_FORWARDED_HOST:
    case HTTP_FIELD_KINDS:
        break;
    }
    return false;
}

ssize_t http_rewrite_request(const char *data, const struct http_head *head,
                             const struct http_forward *forward, char *out, size_t room) {
    struct http_slice prefix = leading(data, head->path, forward->segments);
    struct http_out to = {.out = out};

    if (room < (size_t)head->size + HTTP_REWRITE_GROWTH) {
        return -ENOBUFS;
    }
    put_request_line(&to, data, head, prefix);
    /* RFC 9112 3.2: present in every request, and empty where no host is known. */
    http_put(&to, "Host: ");
    http_put_slice(&to, data, head->authority);
    http_put(&to, "\r\n");
    if (head->upgrade) {
        http_put(&to, "Connection: upgrade\r\n");
    } else if (!forward->persistent) {
        http_put(&to, "Connection: close\r\n");
    }
    switch (head->body) {
    case HTTP_BODY_NONE:
        break;
    case HTTP_BODY_LENGTH:
        http_put(&to, "Content-Length: ");
        http_put_number(&to, head->content_length, 1);
        http_put(&to, "\r\n");
        break;
    case HTTP_BODY_CHUNKED:
        http_put(&to, "Transfer-Encoding: chunked\r\n");
        break;
    }
    http_put_forwarded(&to, data, head, forward, prefix);
    for (size_t i = 0; i < head->n_fields; i++) {
        if (passes(data, head, forward, &head->fields[i])) {
            http_put_field(&to, data, &head->fields[i]);
        }
    }
    http_put(&to, "\r\n");
    return (ssize_t)to.size;
}
