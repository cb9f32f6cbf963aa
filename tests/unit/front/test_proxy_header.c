/*
 * The PROXY protocol: what is accepted, how it is read, what is refused, and what is written.
 *
 * With arguments it is the other end for proxy_peers.py:
 *     test_proxy_header read                          a header from standard input, in words
 *     test_proxy_header write VERSION CLIENT SERVER   one to standard output; "-": AF_UNSPEC
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "guard.h"
#include "parse.h"
#include "proxy_header.h"
#include "util.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define IPV4      "\x0a\0\0\1\x0a\0\0\2\x30\x39\0\x50" /* 10.0.0.1:12345 to 10.0.0.2:80 */
#define IPV6                                                                                       \
    "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"                                                       \
    "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2\x30\x39\0\x50"
#define ZEROS20 "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define UNIX108                                                                                    \
    "/run/ab"                                                                                      \
    "\0" ZEROS20 ZEROS20 ZEROS20 ZEROS20 ZEROS20
#define FROM4 "10.0.0.1:12345"
#define TO4   "10.0.0.2:80"
#define FROM6 "[2001:db8::1]:12345"
#define TO6   "[2001:db8::2]:80"
#define NONE  "-"

static const char *address_text(const struct proto_address *address, char text[static 64]) {
    char ip[INET6_ADDRSTRLEN];

    if (address->family == AF_UNSPEC) {
        return strcpy(text, NONE);
    }
    snprintf(text, 64, address->family == AF_INET ? "%s:%u" : "[%s]:%u",
             inet_ntop(address->family, address->ip, ip, sizeof(ip)), ntohs(address->port));
    return text;
}

static void expect_address(const struct proto_address *address, const char *expected) {
    char text[64];

    assert_string_equal(address_text(address, text), expected);
}

static enum http_result parse(const char *data, size_t size, struct proxy_header *ret_header) {
    memset(ret_header, 0xaa, sizeof(*ret_header));
    return proxy_header_parse(guarded(data, size), size, ret_header);
}

#define BYTES(literal) literal, sizeof(literal) - 1

static const struct {
    const char *data;
    size_t size;
    const char *client, *server;
} accepted[] = {
    {BYTES("PROXY TCP4 10.0.0.1 10.0.0.2 12345 80\r\n"), FROM4, TO4},
    {BYTES("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n"), "0.0.0.0:0", "255.255.255.255:65535"},
    {BYTES("PROXY TCP6 2001:db8::1 2001:DB8:0:0::2 12345 80\r\n"), FROM6, TO6},
    {BYTES("PROXY TCP6 ::ffff:10.0.0.1 :: 1 2\r\n"), "[::ffff:10.0.0.1]:1", "[::]:2"},
    {BYTES("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
           "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
    {BYTES("PROXY UNKNOWN\r\n"), NONE, NONE},
    {BYTES("PROXY UNKNOWN \r\n"), NONE, NONE},
    {BYTES("PROXY UNKNOWN what\0ever  \r\n"), NONE, NONE},
    {BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
           "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"), /* 107 bytes */
     NONE, NONE},

    {BYTES(SIGNATURE "\x21\x11\0\x0c" IPV4), FROM4, TO4},
    {BYTES(SIGNATURE "\x21\x21\0\x24" IPV6), FROM6, TO6},
    {BYTES(SIGNATURE "\x21\x31\0\xd8" UNIX108 UNIX108), NONE, NONE},
    {BYTES(SIGNATURE "\x21\x11\0\x16" IPV4 "\2\0\1a\4\0\0\xe0\0\0"), FROM4, TO4},
    /* LOCAL: neither family nor addresses count, nor do TLVs behind them. */
    {BYTES(SIGNATURE "\x20\0\0\0"), NONE, NONE},
    {BYTES(SIGNATURE "\x20\x11\0\x0c" IPV4), NONE, NONE},
    {BYTES(SIGNATURE "\x20\xff\0\3\1\xff\xff"), NONE, NONE},
    /* UNSPEC: the same, as nobody knows what the addresses are. */
    {BYTES(SIGNATURE "\x21\0\0\0"), NONE, NONE},
    {BYTES(SIGNATURE "\x21\0\0\2xx"), NONE, NONE},
    {BYTES(SIGNATURE "\x21\x10\0\x0c" IPV4), NONE, NONE},
    {BYTES(SIGNATURE "\x21\x01\0\0"), NONE, NONE},
};

static void accepts(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(accepted); i++) {
        char more[512];
        struct proxy_header header;

        if (parse(accepted[i].data, accepted[i].size, &header) != HTTP_COMPLETE) {
            fail_msg("%zu: %s", i, accepted[i].data);
        }
        assert_int_equal(header.size, accepted[i].size);
        expect_address(&header.client, accepted[i].client);
        expect_address(&header.server, accepted[i].server);

        memcpy(more, accepted[i].data, accepted[i].size);
        memset(more + accepted[i].size, '\r', 100);
        assert_int_equal(parse(more, accepted[i].size + 100, &header), HTTP_COMPLETE);
        assert_int_equal(header.size, accepted[i].size);
    }
}

/* Nothing is complete too early, and what is partial leaves the output alone. */
static void prefixes(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(accepted); i++) {
        for (size_t size = 0; size < accepted[i].size; size++) {
            struct proxy_header header, untouched;

            if (parse(accepted[i].data, size, &header) != HTTP_PARTIAL) {
                fail_msg("%zu bytes of %zu: %s", size, i, accepted[i].data);
            }
            memset(&untouched, 0xaa, sizeof(untouched));
            assert_memory_equal(&header, &untouched, sizeof(header));
        }
    }
}

static const struct {
    const char *data;
    size_t size;
    size_t bad_at; /* it is bad as soon as so many bytes have come, and no earlier */
} refused[] = {
    {BYTES("GET / HTTP/1.1\r\n"), 1},
    {BYTES("\n"), 1},
    {BYTES("\0"), 1},
    {BYTES("\x16\3\1"), 1},
    {BYTES("\r\nGET"), 3},
    {BYTES("POST / HTTP/1.1\r\n"), 2},
    {BYTES("proxy TCP4 10.0.0.1 10.0.0.2 12345 80\r\n"), 1},
    {BYTES("PROXY\tTCP4 10.0.0.1 10.0.0.2 12345 80\r\n"), 6},
    {BYTES("PROXY\r\n"), 6},

    /* version 1: the line's end */
    {BYTES("PROXY TCP4 10.0.0.1 10.0.0.2 12345 80\n"), 38},
    {BYTES("PROXY TCP4 10.0.0.1 10.0.0.2 12345 80\rX"), 39},
    {BYTES("PROXY UNKNOWN a\rb\r\n"), 17},
    {BYTES("PROXY UNKNOWN a\nb\r\n"), 16},
    {BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
           "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 655350\r\n"),
     106},
    {BYTES("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
           "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 6553500000"),
     106},

    /* its words and spaces */
    {BYTES("PROXY \r\n"), 8},
    {BYTES("PROXY TCP5 10.0.0.1 10.0.0.2 12345 80\r\n"), 39},
    {BYTES("PROXY UDP4 10.0.0.1 10.0.0.2 12345 80\r\n"), 39},
    {BYTES("PROXY tcp4 10.0.0.1 10.0.0.2 12345 80\r\n"), 39},
    {BYTES("PROXY TCP\r\n"), 11},
    {BYTES("PROXY TCP4\r\n"), 12},
    {BYTES("PROXY UNKNOWNS\r\n"), 16},
    {BYTES("PROXY  UNKNOWN\r\n"), 16},
    {BYTES("PROXY  TCP4 10.0.0.1 10.0.0.2 12345 80\r\n"), 40},
    {BYTES("PROXY TCP4  10.0.0.1 10.0.0.2 12345 80\r\n"), 40},
    {BYTES("PROXY TCP4 10.0.0.1  10.0.0.2 12345 80\r\n"), 40},
    {BYTES("PROXY TCP4 10.0.0.1\t10.0.0.2 12345 80\r\n"), 39},
    {BYTES("PROXY TCP4 10.0.0.1 10.0.0.2 12345 80 \r\n"), 40},
    {BYTES("PROXY TCP4 10.0.0.1 10.0.0.2 12345 80 x\r\n"), 41},
    {BYTES("PROXY TCP4 10.0.0.1 10.0.0.2 12345\r\n"), 36},
    {BYTES("PROXY TCP4 10.0.0.1 10.0.0.2 12345 \r\n"), 37},

    /* its addresses and ports */
    {BYTES("PROXY TCP4 10.0.0.256 10.0.0.2 12345 80\r\n"), 41},
    {BYTES("PROXY TCP4 10.0.0.01 10.0.0.2 12345 80\r\n"), 40},
    {BYTES("PROXY TCP4 10.0.1 10.0.0.2 12345 80\r\n"), 37},
    {BYTES("PROXY TCP4 10.0.0.1.1 10.0.0.2 12345 80\r\n"), 41},
    {BYTES("PROXY TCP4 0x0a.0.0.1 10.0.0.2 12345 80\r\n"), 41},
    {BYTES("PROXY TCP4 10.0.0.1\0 10.0.0.2 12345 80\r\n"), 40},
    {BYTES("PROXY TCP4 ::1 ::1 12345 80\r\n"), 29},
    {BYTES("PROXY TCP4 localhost 10.0.0.2 12345 80\r\n"), 40},
    {BYTES("PROXY TCP6 10.0.0.1 10.0.0.2 12345 80\r\n"), 39},
    {BYTES("PROXY TCP6 ::1 10.0.0.2 12345 80\r\n"), 34},
    {BYTES("PROXY TCP6 [::1] ::1 12345 80\r\n"), 31},
    {BYTES("PROXY TCP6 fe80::1%lo ::1 12345 80\r\n"), 36},
    {BYTES("PROXY TCP6 1::2::3 ::1 12345 80\r\n"), 33},
    {BYTES("PROXY TCP6 :::1 ::1 12345 80\r\n"), 30},
    {BYTES("PROXY TCP6 00001::1 ::1 12345 80\r\n"), 34},
    {BYTES("PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 12345 80\r\n"), 43},
    {BYTES("PROXY TCP6 1:2:3:4:5:6:7 ::1 12345 80\r\n"), 39},
    {BYTES("PROXY TCP4 10.0.0.1 10.0.0.2 65536 80\r\n"), 39},
    {BYTES("PROXY TCP4 10.0.0.1 10.0.0.2 4294967297 80\r\n"), 44},
    {BYTES("PROXY TCP4 10.0.0.1 10.0.0.2 -1 80\r\n"), 36},
    {BYTES("PROXY TCP4 10.0.0.1 10.0.0.2 +1 80\r\n"), 36},
    {BYTES("PROXY TCP4 10.0.0.1 10.0.0.2 080 80\r\n"), 37},
    {BYTES("PROXY TCP4 10.0.0.1 10.0.0.2 80 00\r\n"), 36},
    {BYTES("PROXY TCP4 10.0.0.1 10.0.0.2 0x50 80\r\n"), 38},
    {BYTES("PROXY TCP4 10.0.0.1 10.0.0.2 80\0 80\r\n"), 37},

    /* version 2: the fixed part */
    {BYTES("\r\n\r\n\r\n"), 5},
    {BYTES("\r\n\r\n\0\r\nQUIT\r"), 12},
    {BYTES(SIGNATURE "\x11\x11\0\x0c" IPV4), 13},
    {BYTES(SIGNATURE "\x31\x11\0\x0c" IPV4), 13},
    {BYTES(SIGNATURE "\x01\x11\0\x0c" IPV4), 13},
    {BYTES(SIGNATURE "\x22\x11\0\x0c" IPV4), 13},
    {BYTES(SIGNATURE "\x2f\x11\0\x0c" IPV4), 13},
    {BYTES(SIGNATURE "\x21\x12\0\x0c" IPV4), 14}, /* datagrams */
    {BYTES(SIGNATURE "\x21\x22\0\x24" IPV6), 14},
    {BYTES(SIGNATURE "\x21\x32\0\xd8" UNIX108 UNIX108), 14},
    {BYTES(SIGNATURE "\x21\x02\0\0"), 14},
    {BYTES(SIGNATURE "\x21\x13\0\x0c" IPV4), 14},
    {BYTES(SIGNATURE "\x21\x41\0\x0c" IPV4), 14},
    {BYTES(SIGNATURE "\x21\xf0\0\x0c" IPV4), 14},
    {BYTES(SIGNATURE "\x21\x11\0\x0b" IPV4), 16},
    {BYTES(SIGNATURE "\x21\x21\0\x0c" IPV4), 16},
    {BYTES(SIGNATURE "\x21\x21\0\x23" IPV6), 16},
    {BYTES(SIGNATURE "\x21\x31\0\xd7" UNIX108 UNIX108), 16},
    {BYTES(SIGNATURE "\x21\x11\x0f\xf1" IPV4), 16}, /* one byte more than PROXY_HEADER_MAX */
    {BYTES(SIGNATURE "\x20\x00\xff\xff"), 16},

    /* its TLVs */
    {BYTES(SIGNATURE "\x21\x11\0\x0d" IPV4 "\4"), 29},
    {BYTES(SIGNATURE "\x21\x11\0\x0e" IPV4 "\4\0"), 30},
    {BYTES(SIGNATURE "\x21\x11\0\x0f" IPV4 "\4\0\1"), 31},
    {BYTES(SIGNATURE "\x21\x11\0\x13" IPV4 "\4\0\0\4\0\2x"), 35},
    {BYTES(SIGNATURE "\x21\x11\0\x0f" IPV4 "\4\xff\xff"), 31},
    {BYTES(SIGNATURE "\x21\x31\0\xd9" UNIX108 UNIX108 "\4"), 233},
    {BYTES(SIGNATURE "\x21\x11\0\x12" IPV4 "\3\0\3xxx"), 34},
    {BYTES(SIGNATURE "\x21\x11\0\x13" IPV4 "\3\0\4\0\0\0\0"), 35},
};

static void refuses(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
        for (size_t size = 0; size <= refused[i].size; size++) {
            struct proxy_header header;
            enum http_result result = parse(refused[i].data, size, &header);

            if (result != (size < refused[i].bad_at ? HTTP_PARTIAL : HTTP_BAD)) {
                fail_msg("%zu bytes of %zu: %s: %d", size, i, refused[i].data, (int)result);
            }
        }
    }
}

/* A header as long as one may be, full of TLVs. */
static void longest(void **state) {
    char data[PROXY_HEADER_MAX];
    struct proxy_header header;
    size_t length = sizeof(data) - 28 - 3;

    (void)state;
    memset(data, 'x', sizeof(data));
    memcpy(data, SIGNATURE "\x21\x11\x0f\xf0" IPV4 "\xe0", 29);
    data[29] = (char)(length >> 8);
    data[30] = (char)length;
    assert_int_equal(parse(data, sizeof(data), &header), HTTP_COMPLETE);
    assert_int_equal(header.size, PROXY_HEADER_MAX);
    assert_int_equal(parse(data, sizeof(data) - 1, &header), HTTP_PARTIAL);
    data[30]++;
    assert_int_equal(parse(data, sizeof(data), &header), HTTP_BAD);
}

/* As HAProxy 2.6 wrote it with proxy-v2-options crc32c. */
static const char with_crc[] = SIGNATURE "\x21\x11\0\x13"
                                         "\x7f\0\0\1\x7f\0\0\1\x30\x39\x1f\x90"
                                         "\3\0\4\xf2X\x87\xab";

/* Whichever bit of it is another, nobody is taken for the client. */
static void checksum(void **state) {
    char data[sizeof(with_crc) - 1];
    struct proxy_header header;

    (void)state;
    memcpy(data, with_crc, sizeof(data));
    assert_int_equal(parse(data, sizeof(data), &header), HTTP_COMPLETE);
    for (size_t bit = 0; bit < 8 * sizeof(data); bit++) {
        if (bit / 8 == 28) {
            continue; /* the TLV's type: then there is none */
        }
        data[bit / 8] = (char)(data[bit / 8] ^ 1 << bit % 8);
        if (parse(data, sizeof(data), &header) == HTTP_COMPLETE) {
            assert_int_equal(bit / 8, 13); /* the family: it is UNSPEC now */
            expect_address(&header.client, NONE);
        }
        data[bit / 8] = (char)(data[bit / 8] ^ 1 << bit % 8);
    }
    data[12] = '\x20';
    assert_int_equal(parse(data, sizeof(data), &header), HTTP_BAD);
    data[13] = '\xff'; /* where the TLVs are is not known any more */
    assert_int_equal(parse(data, sizeof(data), &header), HTTP_COMPLETE);
}

/* One of them is right; which would another reader look at? */
static void two_checksums(void **state) {
    static const char first[] =
        SIGNATURE "\x21\x11\0\x1a" IPV4 "\3\0\4\143\117\037\274\3\0\4\0\0\0\0";
    static const char second[] =
        SIGNATURE "\x21\x11\0\x1a" IPV4 "\3\0\4\0\0\0\0\3\0\4\143\117\037\274";
    struct proxy_header header;

    (void)state;
    assert_int_equal(parse(first, sizeof(first) - 1, &header), HTTP_BAD);
    assert_int_equal(parse(second, sizeof(second) - 1, &header), HTTP_BAD);
}

static struct proto_address address_of(const char *text) {
    struct proto_address address = {.family = AF_UNSPEC};

    if (strcmp(text, NONE) != 0 && parse_address(text, &address) < 0) {
        fail_msg("no address: %s", text);
    }
    return address;
}

static void writes(void **state) {
    static const struct {
        unsigned version;
        const char *client, *server;
        const char *data;
        size_t size;
    } cases[] = {
        {1, FROM4, TO4, BYTES("PROXY TCP4 10.0.0.1 10.0.0.2 12345 80\r\n")},
        {1, FROM6, TO6, BYTES("PROXY TCP6 2001:db8::1 2001:db8::2 12345 80\r\n")},
        {1, FROM6, TO4, BYTES("PROXY TCP6 2001:db8::1 ::ffff:10.0.0.2 12345 80\r\n")},
        {1, FROM4, TO6, BYTES("PROXY TCP6 ::ffff:10.0.0.1 2001:db8::2 12345 80\r\n")},
        {1, FROM4, NONE, BYTES("PROXY TCP4 10.0.0.1 0.0.0.0 12345 0\r\n")},
        {1, NONE, NONE, BYTES("PROXY UNKNOWN\r\n")},
        {1, NONE, TO4, BYTES("PROXY UNKNOWN\r\n")},
        {1, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
         BYTES("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
               "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n")},
        {2, FROM4, TO4, BYTES(SIGNATURE "\x21\x11\0\x0c" IPV4)},
        {2, FROM6, TO6, BYTES(SIGNATURE "\x21\x21\0\x24" IPV6)},
        {2, FROM6, NONE,
         BYTES(SIGNATURE "\x21\x21\0\x24"
                         "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
                         "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x30\x39\0\0")},
        {2, FROM4, TO6,
         BYTES(SIGNATURE "\x21\x21\0\x24"
                         "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\1"
                         "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2\x30\x39\0\x50")},
        {2, NONE, NONE, BYTES(SIGNATURE "\x20\0\0\0")},
        {2, NONE, TO6, BYTES(SIGNATURE "\x20\0\0\0")},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct proto_address client = address_of(cases[i].client);
        struct proto_address server = address_of(cases[i].server);
        char out[PROXY_HEADER_WRITE_MAX];
        struct proxy_header header;
        size_t size = proxy_header_write(out, cases[i].version, &client, &server);

        assert_int_equal(size, cases[i].size);
        assert_memory_equal(out, cases[i].data, size);
        /* And back. */
        assert_int_equal(parse(out, size, &header), HTTP_COMPLETE);
        assert_int_equal(header.size, size);
        if (client.family != AF_UNSPEC && client.family == server.family) {
            expect_address(&header.client, cases[i].client);
            expect_address(&header.server, cases[i].server);
        }
    }
}

/* --- for proxy_peers.py ------------------------------------------------------------------------ */

/* Takes no byte more than the header has. */
static int read_header(void) {
    char data[PROXY_HEADER_MAX], client[64], server[64];
    enum http_result result = HTTP_PARTIAL;
    struct proxy_header header;
    size_t size = 0;

    while (result == HTTP_PARTIAL && read(STDIN_FILENO, data + size, 1) == 1) {
        result = proxy_header_parse(data, ++size, &header);
    }
    if (result == HTTP_COMPLETE) {
        printf("%s %s\n", address_text(&header.client, client),
               address_text(&header.server, server));
    } else {
        printf("%s\n", result == HTTP_BAD ? "bad" : "cut");
    }
    return 0;
}

static int write_header(char *const argv[]) {
    struct proto_address client = address_of(argv[1]), server = address_of(argv[2]);
    char out[PROXY_HEADER_WRITE_MAX];
    size_t size = proxy_header_write(out, argv[0][0] == '1' ? 1 : 2, &client, &server);

    return fwrite(out, 1, size, stdout) == size ? 0 : 1;
}

int main(int argc, char *argv[]) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts), cmocka_unit_test(prefixes), cmocka_unit_test(refuses),
        cmocka_unit_test(longest), cmocka_unit_test(checksum), cmocka_unit_test(two_checksums),
        cmocka_unit_test(writes),
    };

    if (argc == 2 && strcmp(argv[1], "read") == 0) {
        return read_header();
    }
    if (argc == 5 && strcmp(argv[1], "write") == 0) {
        return write_header(argv + 2);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
