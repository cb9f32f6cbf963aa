/*
 * http.c - as much of HTTP/1.1 as the tests need (RFC 9112): heads, bodies, answers.
 */
#include "http.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- the body ---------------------------------------------------------------------------------- */

static bool next_chunk(struct request *request, bool first) {
    char line[256], *end;

    if (!first && !stream_read_line(request->stream, line, sizeof(line)))
        return false;
    if (!stream_read_line(request->stream, line, sizeof(line)))
        return false;
    request->body = strtoull(line, &end, 16);
    if (end == line)
        return false;
    if (request->body > 0)
        return true;
    request->body_done = true;
    for (size_t length = 0;;) {
        int n;

        if (!stream_read_line(request->stream, line, sizeof(line)))
            return false;
        if (line[0] == '\0')
            return true;
        n = snprintf(request->trailers + length, TRAILERS_MAX - length, "%s\r\n", line);
        if (n < 0 || (size_t)n >= TRAILERS_MAX - length)
            return false;
        length += (size_t)n;
    }
}

bool body_begin(struct request *request) {
    bool expect = request->expect;

    request->expect = false;
    return !expect || stream_write(request->stream, "HTTP/1.1 100 Continue\r\n\r\n", 25);
}

ptrdiff_t body_read(struct request *request, void *ret_data, size_t size) {
    ptrdiff_t n;

    if (request->chunked && !request->body_done &&
        (request->body == 0 || request->body == CHUNKED) &&
        !next_chunk(request, request->body == CHUNKED))
        return -1;
    if (request->body_done || request->body == 0)
        return 0;
    n = stream_read(request->stream, ret_data, request->body < size ? (size_t)request->body : size);
    if (n <= 0)
        return -1;
    request->body -= (uint64_t)n;
    return n;
}

/* --- the answer -------------------------------------------------------------------------------- */

bool answer_head(struct request *request, const char *status, uint64_t length, const char *fields) {
    char head[1024], framing[64];
    int n;

    if (request->expect) /* the body will not be asked for */
        request->keep = false;
    if (length == CHUNKED)
        snprintf(framing, sizeof(framing), "Transfer-Encoding: chunked");
    else
        snprintf(framing, sizeof(framing), "Content-Length: %llu", (unsigned long long)length);
    n = snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nServer: %s\r\n%s%s\r\n%s\r\n", status,
                 settings.name, fields, framing, request->keep ? "" : "Connection: close\r\n");
    return n > 0 && (size_t)n < sizeof(head) && stream_write(request->stream, head, (size_t)n);
}

bool answer_body(struct request *request, const void *data, size_t size) {
    return strcmp(request->method, "HEAD") == 0 || stream_write(request->stream, data, size);
}

bool answer_chunk(struct request *request, const void *data, size_t size) {
    char line[32];
    int length = snprintf(line, sizeof(line), "%zx\r\n", size);

    return answer_body(request, line, (size_t)length) && answer_body(request, data, size) &&
           answer_body(request, "\r\n", 2);
}

bool answer(struct request *request, const char *status, const char *format, ...) {
    char text[512];
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return length >= 0 && (size_t)length < sizeof(text) &&
           answer_head(request, status, (uint64_t)length, "Content-Type: text/plain\r\n") &&
           answer_body(request, text, (size_t)length);
}

/* --- the head ---------------------------------------------------------------------------------- */

static void take_field(struct request *request, const char *name, const char *value) {
    if (strcasecmp(name, "Content-Length") == 0)
        request->body = strtoull(value, NULL, 10);
    else if (strcasecmp(name, "Transfer-Encoding") == 0)
        request->chunked = strcasestr(value, "chunked") != NULL;
    else if (strcasecmp(name, "Expect") == 0)
        request->expect = strcasecmp(value, "100-continue") == 0;
    else if (strcasecmp(name, "Connection") == 0 && strcasestr(value, "close") != NULL)
        request->keep = false;
    else if (strcasecmp(name, "Sec-WebSocket-Key") == 0)
        snprintf(request->key, sizeof(request->key), "%s", value);
    else if (strcasecmp(name, "Upgrade") == 0)
        snprintf(request->protocol, sizeof(request->protocol), "%s", value);
}

static bool keep_line(struct request *request, const char *line) {
    size_t length = strlen(line);

    if (request->head_length + length + 1 > STREAM_BUFFER)
        return false;
    memcpy(request->head + request->head_length, line, length);
    request->head[request->head_length + length] = '\n';
    request->head_length += length + 1;
    return true;
}

static bool read_head(struct request *request) {
    char line[LINE_MAX_BYTES], version[16], *query;

    if (!stream_read_line(request->stream, line, sizeof(line)) || !keep_line(request, line) ||
        sscanf(line, "%15s %8191s %15s", request->method, request->path, version) != 3)
        return false;
    request->stream->requests++;
    request->keep = strcmp(version, "HTTP/1.1") == 0;
    query = strchr(request->path, '?');
    if (query != NULL) {
        *query = '\0';
        snprintf(request->query, sizeof(request->query), "%s", query + 1);
    }
    while (stream_read_line(request->stream, line, sizeof(line))) {
        char *colon = strchr(line, ':');

        if (line[0] == '\0') {
            if (request->chunked)
                request->body = CHUNKED;
            return true;
        }
        if (!keep_line(request, line) || colon == NULL)
            return false;
        *colon = '\0';
        take_field(request, line, colon + 1 + strspn(colon + 1, " \t"));
    }
    return false;
}

/* Returns whether another request may follow. */
static bool serve_request(struct stream *stream, char *head) {
    struct request request = {.stream = stream, .head = head};
    char rest[4096];
    ptrdiff_t n;

    if (!read_head(&request) || !serve_path(&request) || request.expect)
        return false;
    do
        n = body_read(&request, rest, sizeof(rest));
    while (n > 0);
    return n == 0 && request.keep;
}

void http_serve(struct stream *stream) {
    char *head = malloc(STREAM_BUFFER);

    if (head == NULL)
        return;
    if (proxy_read(stream))
        while (serve_request(stream, head))
            ;
    free(head);
}
