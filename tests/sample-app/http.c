/*
 * http.c - as much of HTTP/1.1 as the tests need (RFC 9112), and the paths:
 *
 *     /headers                      the request line and the header fields as they came
 *     /echo                         the body, in the framing in which it came
 *     /sum                          the body's Adler-32 and length: "adler32=%08x length=%u"
 *     /download?bytes=N&rate=N      N bytes, the one at offset i being i % 251; rate in bytes/s
 *     /slow?ms=N                    an answer after N milliseconds
 *     /health                       503 for HEALTH_DELAY, then 200
 *     /crash                        ends the program with status 1
 *     /ws                           WebSocket echo
 *     anything else                 "hello from NAME"
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "sample.h"

enum { PACES_PER_SECOND = 50, DOWNLOAD_PERIOD = 251 };

#define CHUNKED UINT64_MAX

/* One request. Its body is read on while the answer is written. */
struct request {
    struct stream *stream;
    char method[16];
    char path[LINE_MAX_BYTES]; /* without the query */
    char query[256];
    char key[64]; /* Sec-WebSocket-Key */
    char *head;   /* the request line and the header fields, a line each */
    size_t head_length;
    bool keep;     /* the connection can take another request */
    bool expect;   /* the client waits for 100 Continue */
    uint64_t body; /* bytes of the body still to come, or of its present chunk */
    bool chunked;
    bool body_done;
};

static uint64_t query_number(const struct request *request, const char *name, uint64_t otherwise) {
    size_t length = strlen(name);

    for (const char *at = request->query; *at != '\0'; at += strcspn(at, "&"), at += *at == '&')
        if (strncmp(at, name, length) == 0 && at[length] == '=')
            return strtoull(at + length + 1, NULL, 10);
    return otherwise;
}

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
    do /* trailers */
        if (!stream_read_line(request->stream, line, sizeof(line)))
            return false;
    while (line[0] != '\0');
    return true;
}

/* Asks for the body, where the client waits to be asked. */
static bool body_begin(struct request *request) {
    bool expect = request->expect;

    request->expect = false;
    return !expect || stream_write(request->stream, "HTTP/1.1 100 Continue\r\n\r\n", 25);
}

/* As stream_read(): 0 at the end of the body. */
static ptrdiff_t body_read(struct request *request, void *ret_data, size_t size) {
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

/* length: of the body that follows, or CHUNKED. */
static bool answer_head(struct request *request, const char *status, uint64_t length) {
    char head[512], framing[64];
    int n;

    if (request->expect) /* the body will not be asked for */
        request->keep = false;
    if (length == CHUNKED)
        snprintf(framing, sizeof(framing), "Transfer-Encoding: chunked");
    else
        snprintf(framing, sizeof(framing), "Content-Length: %llu", (unsigned long long)length);
    n = snprintf(head, sizeof(head),
                 "HTTP/1.1 %s\r\nServer: sample-app\r\nContent-Type: text/plain\r\n%s\r\n%s\r\n",
                 status, framing, request->keep ? "" : "Connection: close\r\n");
    return stream_write(request->stream, head, (size_t)n);
}

static bool answer_body(struct request *request, const void *data, size_t size) {
    return strcmp(request->method, "HEAD") == 0 || stream_write(request->stream, data, size);
}

__attribute__((format(printf, 3, 4))) static bool
answer(struct request *request, const char *status, const char *format, ...) {
    char text[512];
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return length >= 0 && (size_t)length < sizeof(text) &&
           answer_head(request, status, (uint64_t)length) &&
           answer_body(request, text, (size_t)length);
}

/* --- the paths --------------------------------------------------------------------------------- */

static bool serve_echo(struct request *request) {
    struct stream *stream = request->stream;
    char data[8192], line[32];
    ptrdiff_t n;

    if (!body_begin(request) ||
        !answer_head(request, "200 OK", request->chunked ? CHUNKED : request->body))
        return false;
    while ((n = body_read(request, data, sizeof(data))) > 0) {
        int length = snprintf(line, sizeof(line), "%zx\r\n", (size_t)n);

        if (request->chunked && !stream_write(stream, line, (size_t)length))
            return false;
        if (!stream_write(stream, data, (size_t)n))
            return false;
        if (request->chunked && !stream_write(stream, "\r\n", 2))
            return false;
    }
    return n == 0 && (!request->chunked || stream_write(stream, "0\r\n\r\n", 5));
}

/* RFC 1950, 8.2; 5552 is the most bytes that cannot overflow 32 bits before the next modulo. */
static bool serve_sum(struct request *request) {
    uint32_t a = 1, b = 0;
    unsigned long long length = 0;
    unsigned char data[5552];
    ptrdiff_t n;

    if (!body_begin(request))
        return false;
    while ((n = body_read(request, data, sizeof(data))) > 0) {
        for (ptrdiff_t i = 0; i < n; i++) {
            a += data[i];
            b += a;
        }
        a %= 65521;
        b %= 65521;
        length += (unsigned long long)n;
    }
    return n == 0 && answer(request, "200 OK", "adler32=%08x length=%llu\n", b << 16 | a, length);
}

static bool serve_download(struct request *request) {
    static const size_t whole = (size_t)64 * DOWNLOAD_PERIOD;
    char data[(size_t)64 * DOWNLOAD_PERIOD];
    uint64_t left = query_number(request, "bytes", 0);
    uint64_t rate = query_number(request, "rate", 0);
    uint64_t begin = uptime_ms(), done = 0;

    for (size_t i = 0; i < whole; i++)
        data[i] = (char)(i % DOWNLOAD_PERIOD);
    if (!answer_head(request, "200 OK", left))
        return false;
    while (left > 0) {
        size_t at = (size_t)(done % DOWNLOAD_PERIOD), n = whole - at;

        if (rate > 0 && n > rate / PACES_PER_SECOND + 1)
            n = (size_t)(rate / PACES_PER_SECOND + 1);
        if (n > left)
            n = (size_t)left;
        if (!answer_body(request, data + at, n))
            return false;
        done += n;
        left -= n;
        if (rate > 0 && begin + done * 1000 / rate > uptime_ms())
            sleep_ms(begin + done * 1000 / rate - uptime_ms());
    }
    return true;
}

static bool serve_path(struct request *request) {
    const char *path = request->path;

    if (strcmp(path, "/echo") == 0)
        return serve_echo(request);
    if (strcmp(path, "/sum") == 0)
        return serve_sum(request);
    if (strcmp(path, "/download") == 0)
        return serve_download(request);
    if (strcmp(path, "/headers") == 0)
        return answer_head(request, "200 OK", request->head_length) &&
               answer_body(request, request->head, request->head_length);
    if (strcmp(path, "/slow") == 0) {
        sleep_ms(query_number(request, "ms", 1000));
        return answer(request, "200 OK", "slow hello from %s\n", settings.name);
    }
    if (strcmp(path, "/health") == 0 && uptime_ms() < settings.health_delay)
        return answer(request, "503 Service Unavailable", "not yet\n");
    if (strcmp(path, "/health") == 0)
        return answer(request, "200 OK", "healthy\n");
    if (strcmp(path, "/crash") == 0)
        _exit(1);
    if (strcmp(path, "/ws") == 0 && request->key[0] != '\0') {
        request->keep = false;
        ws_serve(request->stream, request->key);
        return false;
    }
    return answer(request, "200 OK", "hello from %s\n", settings.name);
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
    while (serve_request(stream, head))
        ;
    free(head);
}
