/*
 * What the parsers of the front make of the messages on standard input, as JSON: for the comparison
 * with another parser (compare.py). Each line is a kind and a message in hexadecimal digits:
 *
 *     R HEX    a request
 *     A HEX    an answer to GET
 *     H HEX    an answer to HEAD
 *     U HEX    an answer to a GET that asked for another protocol
 *
 * With --bench it prints how long it takes for a browser's request and its answer instead.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/socket.h>

#include "http_chars.h"
#include "http_chunk.h"
#include "http_rewrite.h"
#include "util.h"

enum { MESSAGE_MAX = 65536 };

static const struct http_forward stranger = {
    .client = {.family = AF_INET, .ip = {192, 0, 2, 1}},
    .persistent = true,
};
static const struct http_return returned = {.minor = 1, .persistent = true, .now = 784111777};

/* --- JSON -------------------------------------------------------------------------------------- */

/* One byte, one character. */
static void print_bytes(const char *data, size_t size) {
    putchar('"');
    for (size_t i = 0; i < size; i++) {
        if (data[i] < 0x20 || data[i] > 0x7e || data[i] == '"' || data[i] == '\\') {
            printf("\\u%04x", (unsigned char)data[i]);
        } else {
            putchar(data[i]);
        }
    }
    putchar('"');
}

static void print_slice(const char *key, const char *data, struct http_slice slice) {
    printf(", \"%s\": ", key);
    print_bytes(data + slice.at, slice.len);
}

static void print_fields(const char *data, const struct http_field *fields, size_t n) {
    printf(", \"fields\": [");
    for (size_t i = 0; i < n; i++) {
        printf("%s[", i > 0 ? ", " : "");
        print_bytes(data + fields[i].name.at, fields[i].name.len);
        printf(", ");
        print_bytes(data + fields[i].value.at, fields[i].value.len);
        putchar(']');
    }
    putchar(']');
}

/* --- messages ---------------------------------------------------------------------------------- */

/* The body at the start of data: its bytes as they pass and what they mean. */
static void print_body(char *data, size_t size, bool chunked, uint64_t length) {
    struct http_chunk scan = {0}, decode = {0};
    enum http_result result;
    size_t used, content;

    if (chunked) {
        result = http_chunk_scan(&scan, data, size, &used);
    } else {
        result = length <= size ? HTTP_COMPLETE : HTTP_PARTIAL;
        used = length <= size ? (size_t)length : size;
    }
    printf(", \"body\": %d, \"raw\": ", (int)result);
    print_bytes(data, used);
    content = used;
    if (chunked && http_chunk_decode(&decode, data, size, &used, &content) != result) {
        abort();
    }
    printf(", \"content\": ");
    print_bytes(data, content);
}

static void request(char *data, size_t size) {
    static char out[MESSAGE_MAX + HTTP_REWRITE_GROWTH];
    struct http_head head;
    enum http_result result = http_head_parse(data, size, &head);
    struct http_slice target;
    ssize_t n;

    printf("{\"result\": %d, \"status\": %u", (int)result, head.status);
    if (result == HTTP_COMPLETE) {
        /* As it was sent, which is not what head.target is in absolute form. */
        target.at = head.method.at + head.method.len + 1;
        target.len = head.target.at + head.target.len - target.at;
        printf(", \"size\": %u, \"minor\": %u, \"upgrade\": %d, \"persistent\": %d", head.size,
               head.minor, head.upgrade, head.persistent);
        print_slice("method", data, head.method);
        print_slice("sent_target", data, target);
        print_slice("target", data, head.target);
        print_slice("authority", data, head.authority);
        print_fields(data, head.fields, head.n_fields);
        n = http_rewrite_request(data, &head, &stranger, out, sizeof(out));
        printf(", \"rewritten\": ");
        print_bytes(out, (size_t)n);
        print_body(data + head.size, size - head.size, head.body == HTTP_BODY_CHUNKED,
                   head.content_length);
    }
    printf("}\n");
}

static void answer(char *data, size_t size, bool to_head, bool upgrade) {
    static char out[MESSAGE_MAX + HTTP_REWRITE_GROWTH];
    struct http_answer head;
    enum http_result result = http_answer_parse(data, size, to_head, upgrade, &head);
    uint64_t length;
    ssize_t n;

    printf("{\"result\": %d", (int)result);
    if (result == HTTP_COMPLETE) {
        printf(", \"size\": %u, \"minor\": %u, \"code\": %u, \"persistent\": %d, \"end\": %d",
               head.size, head.minor, head.code, head.persistent, (int)head.end);
        print_slice("phrase", data, head.phrase);
        print_fields(data, head.fields, head.n_fields);
        n = http_rewrite_answer(data, &head, &returned, out, sizeof(out));
        printf(", \"rewritten\": ");
        print_bytes(out, (size_t)n);
        length = head.end == HTTP_END_LENGTH  ? head.content_length
                 : head.end == HTTP_END_CLOSE ? size - head.size
                                              : 0;
        print_body(data + head.size, size - head.size, head.end == HTTP_END_CHUNKED, length);
    }
    printf("}\n");
}

/* The bytes of a line in place of their digits; SIZE_MAX: they are faulty. */
static size_t unhex(char *line) {
    size_t n = 0;

    for (char *c = line; *c != '\0' && *c != '\n'; c += 2) {
        int high = http_hex_digit(c[0]), low = high < 0 ? -1 : http_hex_digit(c[1]);

        if (low < 0) {
            return SIZE_MAX;
        }
        line[n++] = (char)(high << 4 | low);
    }
    return n;
}

/* --- the bench --------------------------------------------------------------------------------- */

static void print_time(const char *what, usec_t began, unsigned times) {
    usec_t took = now_usec(CLOCK_MONOTONIC) - began;

    printf("%s: %.0f ns\n", what, (double)took * 1000 / times);
}

static void bench(void) {
    static const char asks[] =
        "GET /session/minion-1/assets/app.js?v=1234567890 HTTP/1.1\r\n"
        "Host: grafana.example.com\r\n"
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
        "Accept-Language: en-US,en;q=0.5\r\n"
        "Accept-Encoding: gzip, deflate, br, zstd\r\n"
        "Connection: keep-alive\r\n"
        "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; instance=minion-1\r\n"
        "Sec-Fetch-Mode: navigate\r\n"
        "\r\n";
    static const char answers[] = "HTTP/1.1 200 OK\r\n"
                                  "Server: nginx/1.22.1\r\n"
                                  "Date: Mon, 23 Nov 2026 03:40:50 GMT\r\n"
                                  "Content-Type: text/html; charset=utf-8\r\n"
                                  "Content-Length: 12345\r\n"
                                  "Last-Modified: Sun, 22 Nov 2026 00:00:00 GMT\r\n"
                                  "Connection: keep-alive\r\n"
                                  "ETag: \"6560a1b2-3039\"\r\n"
                                  "Accept-Ranges: bytes\r\n"
                                  "\r\n";
    enum { TIMES = 1000000 };
    static char out[4096];
    struct http_head head;
    struct http_answer parsed;
    struct http_forward ipv6 = stranger;
    usec_t began = now_usec(CLOCK_MONOTONIC);
    unsigned sum = 0;

    for (unsigned i = 0; i < TIMES; i++) {
        sum += (unsigned)http_head_parse(asks, sizeof(asks) - 1, &head);
    }
    print_time("parse a request of 8 fields", began, TIMES);
    began = now_usec(CLOCK_MONOTONIC);
    for (unsigned i = 0; i < TIMES; i++) {
        sum += (unsigned)http_rewrite_request(asks, &head, &stranger, out, sizeof(out));
    }
    print_time("rewrite it", began, TIMES);
    ipv6.client = (struct proto_address){.family = AF_INET6, .ip = {0x20, 1, 0x0d, 0xb8, [15] = 1}};
    began = now_usec(CLOCK_MONOTONIC);
    for (unsigned i = 0; i < TIMES; i++) {
        sum += (unsigned)http_rewrite_request(asks, &head, &ipv6, out, sizeof(out));
    }
    print_time("rewrite it, from an IPv6 client", began, TIMES);
    began = now_usec(CLOCK_MONOTONIC);
    for (unsigned i = 0; i < TIMES; i++) {
        sum += (unsigned)http_answer_parse(answers, sizeof(answers) - 1, false, false, &parsed);
    }
    print_time("parse an answer of 8 fields", began, TIMES);
    began = now_usec(CLOCK_MONOTONIC);
    for (unsigned i = 0; i < TIMES; i++) {
        sum += (unsigned)http_rewrite_answer(answers, &parsed, &returned, out, sizeof(out));
    }
    print_time("rewrite it", began, TIMES);
    if (sum == 0) {
        abort(); /* so that nothing of it is left out */
    }
}

int main(int argc, char **argv) {
    static char line[2 * MESSAGE_MAX + 8];

    if (argc == 2 && strcmp(argv[1], "--bench") == 0) {
        bench();
        return 0;
    }
    while (fgets(line, sizeof(line), stdin) != NULL) {
        char *message;
        size_t size = line[0] != '\0' && line[1] == ' ' ? unhex(line + 2) : SIZE_MAX;

        if (size == SIZE_MAX) {
            return 2;
        }
        /* Of its very size, so that the sanitizer sees each byte that is read beyond it. */
        message = memcpy(malloc(size > 0 ? size : 1), line + 2, size);
        if (line[0] == 'R') {
            request(message, size);
        } else {
            answer(message, size, line[0] == 'H', line[0] == 'U');
        }
        free(message);
        fflush(stdout);
    }
    return 0;
}
