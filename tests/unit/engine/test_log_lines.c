/* Logs with and without frames, in pieces of every size, and what are no frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "front/guard.h"
#include "log_lines.h"
#include "util.h"

#define OUT(n) "\1\0\0\0\0\0\0" n
#define ERR(n) "\2\0\0\0\0\0\0" n

static const struct {
    const char *name;
    bool framed;
    const char *data;
    size_t size;
    const char *expected; /* each line behind its stream, "o" or "e"; "!" at the end when bad */
} cases[] = {
#define CASE(name, framed, data, expected)                                                         \
    { name, framed, data, sizeof(data) - 1, expected }
    CASE("nothing", true, "", ""),
    CASE("one line", true, OUT("\3") "hi\n", "o[hi]"),
    CASE("two streams", true, OUT("\2") "a\n" ERR("\2") "b\n" OUT("\2") "c\n", "o[a]e[b]o[c]"),
    CASE("several lines in a frame", true, OUT("\5") "a\n\nb\n", "o[a]o[]o[b]"),
    CASE("a line over frames", true, OUT("\2") "ab" OUT("\2") "cd" OUT("\2") "e\n", "o[abcde]"),
    CASE("lines over frames of two streams", true,
         OUT("\2") "ab" ERR("\2") "xy" OUT("\2") "c\n" ERR("\2") "z\n", "o[abc]e[xyz]"),
    CASE("empty frames", true, OUT("\0") ERR("\0") OUT("\2") "a\n" OUT("\0"), "o[a]"),
    CASE("standard input is shown as output", true,
         "\0\0\0\0\0\0\0\2"
         "a\n",
         "o[a]"),
    CASE("no end of line", true, OUT("\2") "ab" ERR("\1") "c", "o[ab]e[c]"),
    CASE("CRLF, CR, NUL", true, OUT("\x0a") "a\r\nb\rc\0d\r\n", "o[a]o[b\rcd]"),
    CASE("a frame that is not whole", true, OUT("\x09") "ab\ncd", "o[ab]o[cd]!"),
    CASE("a header that is not whole", true,
         OUT("\2") "a\n"
                   "\1\0\0",
         "o[a]!"),
    CASE("a stream of tomorrow", true,
         OUT("\2") "a\n"
                   "\3\0\0\0\0\0\0\2"
                   "b\n",
         "o[a]!"),
    CASE("not zero", true,
         "\1\0\1\0\0\0\0\2"
         "b\n",
         "!"),
    CASE("text in place of frames", true, "GET / HTTP/1.1\r\n", "!"),
    CASE("a size without end", true,
         "\1\0\0\0\xff\xff\xff\xff"
         "a\nb",
         "o[a]o[b]!"),
    CASE("a terminal", false, "a\r\n\x1b[31mb\r\n\1\0\0\0\0\0\0\2", "o[a]o[\x1b[31mb]o[\1\2]"),
    CASE("a terminal without an end", false, "a\nb", "o[a]o[b]"),
    CASE("a terminal's empty lines", false, "\n\r\n", "o[]o[]"),
#undef CASE
};

struct told {
    char text[2048];
    size_t n;
};

static void tell(struct told *told, const struct log_line *line) {
    told->n += (size_t)snprintf(told->text + told->n, sizeof(told->text) - told->n, "%c[%s]",
                                line->is_error ? 'e' : 'o', line->text);
    assert_true(told->n < sizeof(told->text));
}

/* Returns whether it goes on. */
static bool feed(struct log_parser *parser, const char *data, size_t size, struct told *told) {
    struct log_line line;
    enum log_result r;

    while ((r = log_parser_next(parser, &data, &size, &line)) == LOG_LINE)
        tell(told, &line);
    assert_true(r == LOG_BAD || size == 0);
    return r == LOG_PARTIAL;
}

static void finish(struct log_parser *parser, bool good, struct told *told) {
    struct log_line line;
    enum log_result r;

    while ((r = log_parser_end(parser, &line)) == LOG_LINE)
        tell(told, &line);
    if (!good || r == LOG_BAD)
        strcat(told->text, "!");
}

static void whole(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct log_parser parser;
        struct told told = {{0}, 0};
        bool good;

        log_parser_init(&parser, cases[i].framed);
        good = feed(&parser, guarded(cases[i].data, cases[i].size), cases[i].size, &told);
        finish(&parser, good, &told);
        if (strcmp(told.text, cases[i].expected) != 0)
            fail_msg("%s: '%s', not '%s'", cases[i].name, told.text, cases[i].expected);
    }
}

/* Each pair of places at which three pieces may meet, each piece right against a guard page. */
static void every_split(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        for (size_t a = 0; a <= cases[i].size; a++)
            for (size_t b = a; b <= cases[i].size; b++) {
                const size_t ends[] = {0, a, b, cases[i].size};
                struct log_parser parser;
                struct told told = {{0}, 0};
                bool good = true;

                log_parser_init(&parser, cases[i].framed);
                for (size_t p = 0; p < 3 && good; p++)
                    good = feed(&parser, guarded(cases[i].data + ends[p], ends[p + 1] - ends[p]),
                                ends[p + 1] - ends[p], &told);
                finish(&parser, good, &told);
                assert_string_equal(told.text, cases[i].expected);
            }
}

/* The first PROTO_LINE_MAX - 1 bytes of a line stay, of one in a hundred frames as well. */
static void long_lines(void **state) {
    enum { LONG = 1 << 20 };
    char *data = malloc(LONG + LOG_HEADER_SIZE);

    (void)state;
    memset(data, 'x', LONG);
    for (size_t length = PROTO_LINE_MAX - 3; length < LONG;
         length += length < PROTO_LINE_MAX + 3 ? 1 : LONG / 3) {
        struct log_parser parser;
        struct log_line line;
        const char *rest = data;
        size_t size = length + 1;

        log_parser_init(&parser, false);
        data[length] = '\n';
        assert_int_equal(log_parser_next(&parser, &rest, &size, &line), LOG_LINE);
        assert_int_equal(size, 0);
        assert_int_equal(strlen(line.text), length < PROTO_LINE_MAX ? length : PROTO_LINE_MAX - 1);
        data[length] = 'x';
        assert_int_equal(log_parser_end(&parser, &line), LOG_PARTIAL);
    }
    free(data);
}

static void noise(void **state) {
    unsigned seed = 1;

    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        struct log_parser parser;
        struct log_line line;
        char data[64];
        const char *rest;
        size_t size = round % sizeof(data);

        for (size_t i = 0; i < size; i++) {
            seed = seed * 1103515245 + 12345;
            /* Mostly what leads on: stream numbers, zeros, ends of lines. */
            data[i] = "\0\0\1\2\n\3"[(seed >> 20) % 6];
            if ((seed >> 16) % 4 == 0)
                memcpy(&data[i], &seed, 1);
        }
        log_parser_init(&parser, round % 2 != 0);
        rest = guarded(data, size);
        while (log_parser_next(&parser, &rest, &size, &line) == LOG_LINE)
            assert_true(strlen(line.text) < PROTO_LINE_MAX);
        while (log_parser_end(&parser, &line) == LOG_LINE)
            assert_true(strlen(line.text) < PROTO_LINE_MAX);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole),
        cmocka_unit_test(every_split),
        cmocka_unit_test(long_lines),
        cmocka_unit_test(noise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
