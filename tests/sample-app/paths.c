/*
 * paths.c - what the sample app answers, as the last segment of the path asks for. The field Server
 * has its name.
 *
 *     /headers                      the request line and the header fields as they came
 *     /echo                         the body and its trailers, in the framing in which they came
 *     /sum                          the body's Adler-32 and length: "adler32=%08x length=%u"
 *     /download?bytes=N&rate=N      N bytes, the one at offset i being i % 251; rate in bytes/s;
 *                                   with chunked=1 in chunks
 *     /slow?ms=N                    an answer after N milliseconds
 *     /status?code=N                an answer with that status
 *     /early                        413 before the body has come, and the end of the connection
 *     /hints                        103, then 200
 *     /gzip                         "hello\n", compressed
 *     /events?n=N&ms=N              N server-sent events, N milliseconds apart, then silence
 *     /upgrade                      101 to any protocol; what comes goes back, then a last line
 *     /ws                           WebSocket echo
 *     /connection                   which connection it is, and which request on it
 *     /peer                         what the PROXY header said; "none"
 *     /health                       503 for HEALTH_DELAY, then 200
 *     /crash                        ends the program with status 1
 *     anything else                 "hello from NAME"
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "http.h"

enum { PACES_PER_SECOND = 50, DOWNLOAD_PERIOD = 251 };

static uint64_t query_number(const struct request *request, const char *name, uint64_t otherwise) {
    size_t length = strlen(name);

    for (const char *at = request->query; *at != '\0'; at += strcspn(at, "&"), at += *at == '&')
        if (strncmp(at, name, length) == 0 && at[length] == '=')
            return strtoull(at + length + 1, NULL, 10);
    return otherwise;
}

static bool serve_echo(struct request *request) {
    char data[8192];
    ptrdiff_t n;

    if (!body_begin(request) ||
        !answer_head(request, "200 OK", request->chunked ? CHUNKED : request->body, ""))
        return false;
    while ((n = body_read(request, data, sizeof(data))) > 0)
        if (request->chunked ? !answer_chunk(request, data, (size_t)n)
                             : !answer_body(request, data, (size_t)n))
            return false;
    return n == 0 && (!request->chunked ||
                      (answer_body(request, "0\r\n", 3) &&
                       answer_body(request, request->trailers, strlen(request->trailers)) &&
                       answer_body(request, "\r\n", 2)));
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
    bool chunked = query_number(request, "chunked", 0) != 0;

    for (size_t i = 0; i < whole; i++)
        data[i] = (char)(i % DOWNLOAD_PERIOD);
    if (!answer_head(request, "200 OK", chunked ? CHUNKED : left, ""))
        return false;
    while (left > 0) {
        size_t at = (size_t)(done % DOWNLOAD_PERIOD), n = whole - at;

        if (rate > 0 && n > rate / PACES_PER_SECOND + 1)
            n = (size_t)(rate / PACES_PER_SECOND + 1);
        if (n > left)
            n = (size_t)left;
        if (chunked ? !answer_chunk(request, data + at, n) : !answer_body(request, data + at, n))
            return false;
        done += n;
        left -= n;
        if (rate > 0 && begin + done * 1000 / rate > uptime_ms())
            sleep_ms(begin + done * 1000 / rate - uptime_ms());
    }
    return !chunked || answer_body(request, "0\r\n\r\n", 5);
}

/* 204 and 304 have no body, and say nothing of its length (RFC 9110 8.6). */
static bool serve_status(struct request *request) {
    unsigned code = (unsigned)query_number(request, "code", 200);
    char head[128];
    int length;

    if (code != 204 && code != 304) {
        snprintf(head, sizeof(head), "%u As Asked", code);
        return answer(request, head, "status %u from %s\n", code, settings.name);
    }
    length = snprintf(head, sizeof(head), "HTTP/1.1 %u As Asked\r\nETag: \"%s\"\r\n\r\n", code,
                      settings.name);
    return stream_write(request->stream, head, (size_t)length);
}

/* An answer before the body has come, and the end: what still comes is answered with a reset. */
static bool serve_early(struct request *request) {
    request->keep = false;
    (void)answer(request, "413 Content Too Large", "too much for %s\n", settings.name);
    return false;
}

static bool serve_hints(struct request *request) {
    static const char hints[] =
        "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n";

    return stream_write(request->stream, hints, sizeof(hints) - 1) &&
           answer(request, "200 OK", "hello from %s\n", settings.name);
}

/* "hello\n" as gzip(1) packs it. */
static bool serve_gzip(struct request *request) {
    static const uint8_t packed[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                     0x03, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0xe7, 0x02, 0x00,
                                     0x20, 0x30, 0x3a, 0x36, 0x06, 0x00, 0x00, 0x00};

    return answer_head(request, "200 OK", sizeof(packed), "Content-Encoding: gzip\r\n") &&
           answer_body(request, packed, sizeof(packed));
}

/* Then nothing more, until the client leaves. */
static bool serve_events(struct request *request) {
    uint64_t number = query_number(request, "n", 0), pause = query_number(request, "ms", 100);
    char event[64];

    if (!answer_head(request, "200 OK", CHUNKED, "Content-Type: text/event-stream\r\n"))
        return false;
    for (uint64_t i = 0; i < number; i++) {
        int length = snprintf(event, sizeof(event), "data: %llu\n\n", (unsigned long long)i);

        if (!answer_chunk(request, event, (size_t)length))
            return false;
        sleep_ms(pause);
    }
    while (stream_read(request->stream, event, sizeof(event)) > 0)
        ;
    return false;
}

/* Any protocol: what comes goes back, and after its end a last line. */
static bool serve_upgrade(struct request *request) {
    char data[4096];
    int length = snprintf(data, sizeof(data),
                          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: %s\r\n"
                          "Connection: Upgrade\r\n\r\n",
                          request->protocol);
    ptrdiff_t n;

    if (request->protocol[0] == '\0')
        return answer(request, "426 Upgrade Required", "no Upgrade\n");
    request->keep = false;
    if (!stream_write(request->stream, data, (size_t)length))
        return false;
    while ((n = stream_read(request->stream, data, sizeof(data))) > 0)
        if (!stream_write(request->stream, data, (size_t)n))
            return false;
    length = snprintf(data, sizeof(data), "the end from %s\n", settings.name);
    stream_write(request->stream, data, (size_t)length);
    return false;
}

static bool serve_headers(struct request *request) {
    return answer_head(request, "200 OK", request->head_length, "Content-Type: text/plain\r\n") &&
           answer_body(request, request->head, request->head_length);
}

static bool serve_slow(struct request *request) {
    sleep_ms(query_number(request, "ms", 1000));
    return answer(request, "200 OK", "slow hello from %s\n", settings.name);
}

static bool serve_health(struct request *request) {
    if (uptime_ms() < settings.health_delay)
        return answer(request, "503 Service Unavailable", "not yet\n");
    return answer(request, "200 OK", "healthy\n");
}

static bool serve_connection(struct request *request) {
    return answer(request, "200 OK", "connection %u request %u\n", request->stream->number,
                  request->stream->requests);
}

static bool serve_peer(struct request *request) {
    return answer(request, "200 OK", "%s\n", request->stream->peer);
}

static bool serve_crash(struct request *request) {
    (void)request;
    _exit(1);
}

static bool serve_ws(struct request *request) {
    if (request->key[0] == '\0')
        return answer(request, "426 Upgrade Required", "no Sec-WebSocket-Key\n");
    request->keep = false;
    ws_serve(request->stream, request->key);
    return false;
}

static const struct {
    const char *path;
    bool (*serve)(struct request *request);
} paths[] = {
    {"/headers", serve_headers},       {"/echo", serve_echo},       {"/sum", serve_sum},
    {"/download", serve_download},     {"/slow", serve_slow},       {"/status", serve_status},
    {"/early", serve_early},           {"/hints", serve_hints},     {"/gzip", serve_gzip},
    {"/events", serve_events},         {"/upgrade", serve_upgrade}, {"/ws", serve_ws},
    {"/connection", serve_connection}, {"/peer", serve_peer},       {"/health", serve_health},
    {"/crash", serve_crash},
};

bool serve_path(struct request *request) {
    const char *last = strrchr(request->path, '/');

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        if (last != NULL && strcmp(last, paths[i].path) == 0)
            return paths[i].serve(request);
    return answer(request, "200 OK", "hello from %s\n", settings.name);
}
