/* What a backend gets instead of what the client sent, and the client instead of the answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_rewrite.h"
#include "util.h"

/* Requests from strangers are in http/malformed.tsv too, with what the backend gets. */
static const struct {
    const char *in;
    const char *client; /* an address, or "": a Unix socket */
    bool trusted;
    const char *out;
} requests[] = {
    /* RFC 9112 3.2: a Host in each request, empty where none is known. */
    {"GET / HTTP/1.0\r\n\r\n", "192.0.2.1", false,
     "GET / HTTP/1.1\r\nHost: \r\nForwarded: for=192.0.2.1;proto=http\r\n"
     "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n\r\n"},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "", false,
     "GET / HTTP/1.1\r\nHost: \r\nForwarded: for=unknown;proto=http\r\n"
     "X-Forwarded-Proto: http\r\n\r\n"},
    /* RFC 7239 6: IPv6 in brackets and quotes; a port is no token. */
    {"GET / HTTP/1.1\r\nHost: a:80\r\n\r\n", "2001:db8::a:0:0:1", false,
     "GET / HTTP/1.1\r\nHost: a:80\r\n"
     "Forwarded: for=\"[2001:db8::a:0:0:1]\";host=\"a:80\";proto=http\r\n"
     "X-Forwarded-For: 2001:db8::a:0:0:1\r\nX-Forwarded-Proto: http\r\n"
     "X-Forwarded-Host: a:80\r\n\r\n"},
    {"GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n", "::ffff:192.0.2.1", false,
     "GET / HTTP/1.1\r\nHost: [::1]\r\nForwarded: for=192.0.2.1;host=\"[::1]\";proto=http\r\n"
     "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: [::1]\r\n\r\n"},

    /* A trusted peer that says nothing. */
    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "10.0.0.1", true,
     "GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=10.0.0.1;host=a;proto=http\r\n"
     "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n\r\n"},
    /* One that says it with the old fields, in several of them. */
    {"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2\r\nX-Real-IP: 1.1.1.1\r\n"
     "x-forwarded-for: 3.3.3.3\r\nX-Forwarded-Proto: HTTPS\r\nX-Forwarded-Host: b\r\n"
     "X-Forwarded-For:\r\nX-Forwarded-Port: 443\r\nAccept: a\r\n\r\n",
     "10.0.0.1", true,
     "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 10.0.0.1\r\n"
     "X-Forwarded-Proto: https\r\nX-Forwarded-Host: b\r\nX-Real-IP: 1.1.1.1\r\n"
     "X-Forwarded-Port: 443\r\nAccept: a\r\n\r\n"},
    {"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n", "", true,
     "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: http\r\n"
     "X-Forwarded-Host: a\r\n\r\n"},
    /* One that says it with the new one. */
    {"GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=1.1.1.1;by=\"x;y,z\" ; Proto=\"https\", for=b\r\n"
     "forwarded: for=2.2.2.2\r\n\r\n",
     "10.0.0.1", true,
     "GET / HTTP/1.1\r\nHost: a\r\n"
     "Forwarded: for=1.1.1.1;by=\"x;y,z\" ; Proto=\"https\", for=b, for=2.2.2.2, "
     "for=10.0.0.1;host=a;proto=http\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a\r\n\r\n"},
    /* Of a list the first one, which is the client's; what is not known is http. */
    {"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: wss, http\r\n\r\n", "", true,
     "GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=unknown;host=a;proto=wss\r\n"
     "X-Forwarded-Proto: wss\r\nX-Forwarded-Host: a\r\n\r\n"},
    {"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: javascript\r\n\r\n", "", true,
     "GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=unknown;host=a;proto=http\r\n"
     "X-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n\r\n"},
    {"GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=a, for=b;proto=https\r\n\r\n", "", true,
     "GET / HTTP/1.1\r\nHost: a\r\n"
     "Forwarded: for=a, for=b;proto=https, for=unknown;host=a;proto=http\r\n"
     "X-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n\r\n"},
    {"GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=\"_a;proto=https;x\"\r\n\r\n", "", true,
     "GET / HTTP/1.1\r\nHost: a\r\n"
     "Forwarded: for=\"_a;proto=https;x\", for=unknown;host=a;proto=http\r\n"
     "X-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n\r\n"},
    /* What a trusted peer has let through unseen. */
    {"GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 6.6.6.6\r\nX-Forwarded_Proto: https\r\n"
     "X_Real_IP: 6.6.6.6\r\nX_Forwarded_Prefix: /x\r\nForwarded: for=\"6.6.6.6\r\n\r\n",
     "10.0.0.1", true,
     "GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=10.0.0.1;host=a;proto=http\r\n"
     "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n\r\n"},
    {"GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=\"6\\\"\r\nForwarded: for=5\r\n\r\n", "", true,
     "GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=5, for=unknown;host=a;proto=http\r\n"
     "X-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n\r\n"},
    /* A client behind it that wants to have its address forgotten. */
    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Forwarded-For, X-Real-IP, Forwarded\r\n"
     "X-Forwarded-For: 1.1.1.1\r\nX-Real-IP: 1.1.1.1\r\n\r\n",
     "10.0.0.1", true,
     "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1, 10.0.0.1\r\n"
     "X-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\nX-Real-IP: 1.1.1.1\r\n\r\n"},
};

#define REST                                                                                       \
    "Host: a\r\nForwarded: for=unknown;host=a;proto=http\r\nX-Forwarded-Proto: http\r\n"           \
    "X-Forwarded-Host: a\r\n"

/* strip_path */
static const struct {
    const char *target;
    unsigned segments;
    const char *expected, *prefix;
    const char *before; /* what a trusted peer has left out already, or NULL */
} targets[] = {
    {"/a/b?c", 0, "/a/b?c", NULL, NULL},
    {"/a/b?c", 1, "/b?c", "/a", NULL},
    {"/a/b?c/d", 2, "/?c/d", "/a/b", NULL},
    {"/a/b?c", 3, "/?c", "/a/b", NULL},
    {"/a", 1, "/", "/a", NULL},
    {"/a/", 1, "/", "/a", NULL},
    {"/a/", 2, "/", "/a/", NULL},
    {"/a?b", 1, "/?b", "/a", NULL},
    {"/%61%2fb/c", 1, "/c", "/%61%2fb", NULL},
    {"//b", 1, "/b", "/", NULL},
    {"/a//b", 1, "//b", "/a", NULL},
    {"/", 1, "/", "/", NULL},
    {"/?a/b", 1, "/?a/b", "/", NULL},
    {"http://a/b/c", 1, "/c", "/b", NULL},
    {"http://a", 1, "/", NULL, NULL},
    {"http://a?b", 1, "/?b", NULL, NULL},
    {"/a/b", 1, "/b", "/x/a", "/x"},
    {"/a/b", 1, "/b", "/x/a", "/x/"},
    {"/a/b", 0, "/a/b", "/x/", "/x/"},
};

static void parse_address(const char *text, struct proto_address *ret_address) {
    *ret_address = (struct proto_address){.family = AF_UNSPEC};
    if (inet_pton(AF_INET6, text, ret_address->ip) == 1) {
        ret_address->family = AF_INET6;
    } else if (inet_pton(AF_INET, text, ret_address->ip) == 1) {
        ret_address->family = AF_INET;
    }
}

/* Rewrites in; the result ends with a NUL and is the caller's. */
static char *rewritten(const char *in, const struct http_forward *forward) {
    size_t size = strlen(in);
    char *out = malloc(size + HTTP_REWRITE_GROWTH + 1);
    struct http_head head;
    ssize_t n;

    assert_int_equal(http_head_parse(in, size, &head), HTTP_COMPLETE);
    n = http_rewrite_request(in, &head, forward, out, size + HTTP_REWRITE_GROWTH);
    assert_true(n > 0);
    out[n] = '\0';
    return out;
}

static void rewrites(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
        struct http_forward forward = {
            .trusted = requests[i].trusted,
            .persistent = true,
        };
        char *out;

        parse_address(requests[i].client, &forward.client);
        out = rewritten(requests[i].in, &forward);
        assert_string_equal(out, requests[i].out);
        free(out);
    }
}

static void strips(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
        struct http_forward forward = {
            .trusted = targets[i].before != NULL,
            .persistent = true,
            .segments = targets[i].segments,
        };
        char in[256], expected[512];
        char *out;
        int n = snprintf(in, sizeof(in), "GET %s HTTP/1.1\r\nHost: a\r\n", targets[i].target);

        if (targets[i].before != NULL) {
            n += snprintf(in + n, sizeof(in) - (size_t)n, "X-Forwarded-Prefix: %s\r\n",
                          targets[i].before);
        }
        snprintf(in + n, sizeof(in) - (size_t)n, "\r\n");
        n = snprintf(expected, sizeof(expected), "GET %s HTTP/1.1\r\n" REST, targets[i].expected);
        if (targets[i].prefix != NULL) {
            n += snprintf(expected + n, sizeof(expected) - (size_t)n, "X-Forwarded-Prefix: %s\r\n",
                          targets[i].prefix);
        }
        snprintf(expected + n, sizeof(expected) - (size_t)n, "\r\n");

        out = rewritten(in, &forward);
        assert_string_equal(out, expected);
        free(out);
    }
}

static void connections(void **state) {
    static const char upgrade[] = "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\n"
                                  "Upgrade: b\r\n\r\n";
    struct http_forward forward = {.persistent = false};
    char *out = rewritten("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &forward);

    (void)state;
    assert_non_null(strstr(out, "\r\nConnection: close\r\n"));
    free(out);
    out = rewritten(upgrade, &forward);
    assert_non_null(strstr(out, "\r\nConnection: upgrade\r\n"));
    assert_non_null(strstr(out, "\r\nUpgrade: b\r\n"));
    free(out);
    forward.persistent = true;
    out = rewritten("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &forward);
    assert_null(strstr(out, "Connection"));
    free(out);
}

/* Our form of an IPv6 address is that of inet_ntop(3). */
static void addresses(void **state) {
    static const char *const more[] = {"::",
                                       "::1",
                                       "1::",
                                       "1:0:0:2::3",
                                       "1:0:2:0:3:0:4:0",
                                       "fe80::abcd:ef01:2345:6789",
                                       "1:2:3:4:5:6:7:8",
                                       "0:0:1::",
                                       "::1:0:0:0:1"};

    (void)state;
    for (unsigned i = 0; i < 4096 + ARRAY_SIZE(more); i++) {
        struct http_forward forward = {.client = {.family = AF_INET6}, .persistent = true};
        char text[INET6_ADDRSTRLEN], expected[128];
        char *out;

        if (i < 4096) { /* each pattern of groups that are 0, four lengths of the others */
            for (unsigned k = 0; k < 8; k++) {
                unsigned group = (i >> k & 1) != 0 ? 0x1234u >> (4 * (i >> 8 & 3)) : 0;

                forward.client.ip[2 * k] = (uint8_t)(group >> 8);
                forward.client.ip[2 * k + 1] = (uint8_t)group;
            }
            forward.client.ip[0] |= 0x20; /* no IPv4 in IPv6 */
        } else {
            parse_address(more[i - 4096], &forward.client);
        }
        inet_ntop(AF_INET6, forward.client.ip, text, sizeof(text));
        snprintf(expected, sizeof(expected), "\r\nX-Forwarded-For: %s\r\n", text);
        out = rewritten("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &forward);
        if (strstr(out, expected) == NULL) {
            fail_msg("%s: %s", text, out);
        }
        free(out);
    }
}

/* Adds a field so many times. */
static void repeat(char *text, const char *field, int times) {
    char *end = text + strlen(text);

    for (int i = 0; i < times; i++) {
        end = stpcpy(end, field);
    }
}

/* Copies text with host in place of each @. */
static void insert(char *out, const char *text, const char *host) {
    for (; *text != '\0'; text++) {
        if (*text == '@') {
            out = stpcpy(out, host);
        } else {
            *out++ = *text;
        }
    }
    *out = '\0';
}

/*
 * What makes a head grow most: the longest host (which is told twice more) in absolute form, the
 * longest addresses, each field without the space that we write.
 */
static void growth(void **state) {
    static const char *const starts[] = {
        /* @: the host */
        "OPTIONS http://@ HTTP/1.0\r\nContent-Length:9223372036854775807\r\n",
        "GET http://@/a/b/c/d?e HTTP/1.1\r\nHost:a\r\nConnection:upgrade\r\nUpgrade:b\r\n"
        "Content-Length:1\r\n",
        "POST /@/x HTTP/1.1\r\nHost:@\r\nTransfer-Encoding:chunked\r\n",
        "GET / HTTP/1.1\r\nHost:@\r\nX-Forwarded-Prefix:/@\r\nX-Forwarded-Host:@\r\n"
        "X-Forwarded-Proto:https\r\nForwarded:a=b\r\n",
    };
    static const char *const fields[] = {"F:x\r\n", "Forwarded:a\r\n", "X-Forwarded-For:a\r\n",
                                         "X-Forwarded-Prefix:a\r\n", "F: x\r\n"};
    char host[HTTP_HOST_MAX + HTTP_PORT_MAX + 2];
    size_t most = 0;

    (void)state;
    memset(host, 'a', HTTP_HOST_MAX);
    strcpy(host + HTTP_HOST_MAX, ":65535");
    for (size_t i = 0; i < ARRAY_SIZE(starts) * ARRAY_SIZE(fields) * 8; i++) {
        struct http_forward forward = {
            .client = {.family = AF_INET6},
            .persistent = (i & 1) != 0,
            .trusted = (i & 2) != 0,
            .segments = (i & 4) != 0 ? 9 : 0,
        };
        const char *field = fields[i / 8 % ARRAY_SIZE(fields)];
        char in[8192];
        struct http_head head;
        char *out;

        memset(forward.client.ip, 0xfd, sizeof(forward.client.ip));
        insert(in, starts[i / 8 / ARRAY_SIZE(fields)], host);
        /* As many as there may be: one more is refused. */
        for (int n = HTTP_FIELDS_MAX; n > HTTP_FIELDS_MAX - 8; n--) {
            size_t size = strlen(in);

            repeat(in, field, n);
            strcat(in, "\r\n");
            if (http_head_parse(in, strlen(in), &head) == HTTP_COMPLETE) {
                break;
            }
            in[size] = '\0';
        }
        assert_int_equal(head.n_fields, HTTP_FIELDS_MAX);
        out = rewritten(in, &forward);
        assert_true(strlen(out) <= strlen(in) + HTTP_REWRITE_GROWTH);
        if (strlen(out) > strlen(in) + most) {
            most = strlen(out) - strlen(in);
        }
        /* Not a byte less of room is enough. */
        assert_int_equal(
            http_rewrite_request(in, &head, &forward, out, strlen(in) + HTTP_REWRITE_GROWTH - 1),
            -ENOBUFS);
        free(out);
    }
    /* The cases above are near the bound, so it is about right. */
    assert_true(most > HTTP_REWRITE_GROWTH - 256);
}

/* --- answers ----------------------------------------------------------------------------------- */

#define DATE "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"

static const struct {
    const char *in;
    int to; /* h: a HEAD, u: a request for an upgrade */
    struct http_return back;
    const char *out;
} answers[] = {
    {"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 5\r\nA: b\r\n\r\n",
     0,
     {1, true, 784111777},
     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: x\r\nA: b\r\n\r\n"},
    /* One form for all, our version, a phrase or none. */
    {"HTTP/1.0 200\nA:b\nServer : c\ncontent-length: 5, 05\nConnection: keep-alive\n\n",
     0,
     {1, true, 0},
     "HTTP/1.1 200 \r\nContent-Length: 5\r\nA: b\r\nServer: c\r\n\r\n"},
    /* What was for the hop before. */
    {"HTTP/1.1 200 OK\r\nConnection: close, x-a, date, Content-Length\r\nX-A: 1\r\nX-B: 2\r\n"
     "Keep-Alive: a\r\nProxy-Connection: a\r\nUpgrade: h2c\r\nTrailer: T\r\nDate: x\r\n"
     "Transfer-Encoding: chunked\r\n\r\n",
     0,
     {1, true, 1},
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-B: 2\r\nTrailer: T\r\nDate: x\r\n\r\n"},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
     0,
     {1, false, 0},
     "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n"},
    {"HTTP/1.1 200 OK\r\n\r\n", 0, {1, true, 0}, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"},
    /* A client that speaks HTTP/1.0. */
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
     0,
     {0, true, 0},
     "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
     0,
     {0, true, 0},
     "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
     0,
     {0, false, 0},
     "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\n"},
    /* RFC 9110 8.6: what the answer to a GET would have. */
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
     'h',
     {1, true, 0},
     "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
     'h',
     {1, true, 0},
     "HTTP/1.1 200 OK\r\n\r\n"},
    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
     0,
     {1, true, 0},
     "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"},
    {"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
     0,
     {1, true, 0},
     "HTTP/1.1 204 No Content\r\n\r\n"},
    {"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
     0,
     {1, true, 0},
     "HTTP/1.1 204 No Content\r\n\r\n"},
    /* Interim ones say nothing of the connection, nor when they were made. */
    {"HTTP/1.1 103 Early Hints\r\nLink: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
     0,
     {1, false, 784111777},
     "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"},
    {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: a\r\nConnection: Upgrade, x\r\nX: y\r\n"
     "Sec-WebSocket-Accept: b\r\n\r\n",
     'u',
     {1, true, 784111777},
     "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: a\r\n"
     "Sec-WebSocket-Accept: b\r\n\r\n"},
    /* RFC 9110 15.5.22 */
    {"HTTP/1.1 426 Upgrade Required\r\nUpgrade: a\r\nConnection: upgrade\r\nContent-Length: 0\r\n"
     "\r\n",
     0,
     {1, true, 0},
     "HTTP/1.1 426 Upgrade Required\r\nConnection: upgrade\r\nContent-Length: 0\r\nUpgrade: a\r\n"
     "\r\n"},
    {"HTTP/1.1 426 x\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n",
     0,
     {1, true, 0},
     "HTTP/1.1 426 x\r\nConnection: upgrade, close\r\nUpgrade: a\r\n\r\n"},
    /* RFC 9110 6.6.1 */
    {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: b\r\n\r\n",
     0,
     {1, true, 784111777},
     "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: b\r\n" DATE "\r\n"},
};

static void answers_rewritten(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        size_t size = strlen(answers[i].in), room = size + HTTP_REWRITE_GROWTH;
        char *out = malloc(room + 1);
        struct http_answer answer;
        ssize_t n;

        assert_int_equal(http_answer_parse(answers[i].in, size, answers[i].to == 'h',
                                           answers[i].to == 'u', &answer),
                         HTTP_COMPLETE);
        n = http_rewrite_answer(answers[i].in, &answer, &answers[i].back, out, room);
        assert_true(n > 0);
        out[n] = '\0';
        assert_string_equal(out, answers[i].out);
        assert_int_equal(
            http_rewrite_answer(answers[i].in, &answer, &answers[i].back, out, room - 1), -ENOBUFS);
        free(out);
    }
}

/* Each day of 400 years and more, as gmtime(3) and strftime(3) say it. */
static void dates(void **state) {
    static const char in[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    struct http_answer answer;

    (void)state;
    assert_int_equal(http_answer_parse(in, sizeof(in) - 1, false, false, &answer), HTTP_COMPLETE);
    for (int64_t day = 0; day < 500 * 366; day++) {
        struct http_return back = {1, true, day * 86400 + day * 7919 % 86400 + 1};
        char out[sizeof(in) + HTTP_REWRITE_GROWTH + 1], expected[64];
        time_t time = back.now;
        struct tm tm;
        ssize_t n = http_rewrite_answer(in, &answer, &back, out, sizeof(out) - 1);

        out[n] = '\0';
        gmtime_r(&time, &tm);
        strftime(expected, sizeof(expected), "\r\nDate: %a, %d %b %Y %H:%M:%S GMT\r\n\r\n", &tm);
        if (strstr(out, expected) == NULL) {
            fail_msg("%s: %s", expected, out);
        }
    }
}

/* Lines that end with LF alone and fields without a space grow most. */
static void answers_growth(void **state) {
    static const char *const starts[] = {"HTTP/1.1 200\nContent-Length:9223372036854775807\n",
                                         "HTTP/1.1 200\nTransfer-Encoding:chunked\n",
                                         "HTTP/1.1 426\nUpgrade:a\n"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(starts) * 4; i++) {
        struct http_return back = {(i & 1) != 0, (i & 2) != 0, 784111777};
        char in[4096] = "";
        struct http_answer answer;
        size_t size, room;
        char *out;
        ssize_t n;

        strcpy(in, starts[i / 4]);
        repeat(in, "F:x\n", HTTP_FIELDS_MAX - 1);
        strcat(in, "\n");
        size = strlen(in);
        room = size + HTTP_REWRITE_GROWTH;
        assert_int_equal(http_answer_parse(in, size, false, false, &answer), HTTP_COMPLETE);
        out = malloc(room);
        n = http_rewrite_answer(in, &answer, &back, out, room);
        assert_true(n > (ssize_t)size && n <= (ssize_t)room);
        free(out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rewrites),    cmocka_unit_test(strips),
        cmocka_unit_test(connections), cmocka_unit_test(addresses),
        cmocka_unit_test(growth),      cmocka_unit_test(answers_rewritten),
        cmocka_unit_test(dates),       cmocka_unit_test(answers_growth),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
