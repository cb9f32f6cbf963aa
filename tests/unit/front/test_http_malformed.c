/*
 * The requests of http/malformed.tsv: each gets the status that is beside it, from the first byte
 * that makes it bad on and whatever follows, and what is passed on is what is beside it too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "guard.h"
#include "http_chunk.h"
#include "http_rewrite.h"
#include "util.h"

enum { COLUMNS = 5, BYTES_MAX = 16384, REFUSED_MIN = 120 };

static const char forwarded[] = "Forwarded: for=127.0.0.1;host=a.test;proto=http\r\n"
                                "X-Forwarded-For: 127.0.0.1\r\n"
                                "X-Forwarded-Proto: http\r\n"
                                "X-Forwarded-Host: a.test\r\n";

/* The bytes that text up to end stands for. Returns how many. */
static size_t unescape(const char *text, const char *end, char *out) {
    size_t n = 0;

    while (text < end) {
        char c = *text++;
        char *last;

        if (c != '\\') {
            out[n++] = c;
            continue;
        }
        switch (*text++) {
        case 'r':
            out[n++] = '\r';
            break;
        case 'n':
            out[n++] = '\n';
            break;
        case 't':
            out[n++] = '\t';
            break;
        case '\\':
            out[n++] = '\\';
            break;
        case 'x': {
            char digits[3] = {text[0], text[1]};

            out[n++] = (char)strtoul(digits, &last, 16);
            assert_ptr_equal(last, digits + 2);
            text += 2;
            break;
        }
        case 'F':
            memcpy(out + n, forwarded, sizeof(forwarded) - 1);
            n += sizeof(forwarded) - 1;
            break;
        case 'R': {
            unsigned long times = strtoul(text, &last, 10);
            const char *close = strchr(last, '}');
            size_t piece;

            assert_true(times > 0 && *last == '{' && close != NULL && close < end);
            piece = unescape(last + 1, close, out + n);
            assert_true(n + piece * times <= BYTES_MAX);
            for (unsigned long i = 1; i < times; i++) {
                memcpy(out + n + i * piece, out + n, piece);
            }
            n += piece * times;
            text = close + 1;
            break;
        }
        default:
            fail_msg("unknown escape: %s", text - 2);
        }
        assert_true(n <= BYTES_MAX);
    }
    return n;
}

/* Calls for each row of the table. Returns how many rows there are. */
static size_t each_row(void (*row)(unsigned status, const char *what, const char *bytes,
                                   size_t size, const char *expected, size_t expected_size)) {
    static char line[BYTES_MAX], bytes[BYTES_MAX], expected[BYTES_MAX];
    char path[] = __FILE__;
    FILE *file;
    size_t rows = 0;

    strcpy(strrchr(path, '/') + 1, "http/malformed.tsv");
    file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        char *columns[COLUMNS] = {0}, *rest = line;
        size_t n = 0, expected_size = 0;

        if (line[0] == '#' || line[0] == '\n') {
            continue;
        }
        assert_non_null(strchr(line, '\n'));
        *strchr(line, '\n') = '\0';
        while (rest != NULL && n < COLUMNS) {
            columns[n++] = strsep(&rest, "\t");
        }
        assert_true(rest == NULL && n >= 4);
        if (columns[4] != NULL) {
            expected_size = unescape(columns[4], columns[4] + strlen(columns[4]), expected);
        }
        row((unsigned)strtoul(columns[0], NULL, 10), columns[2], bytes,
            unescape(columns[3], columns[3] + strlen(columns[3]), bytes), expected, expected_size);
        rows++;
    }
    fclose(file);
    return rows;
}

/*
 * The status that size bytes get: 0: more has to come, 200: it is a request, of *ret_size bytes
 * with its body.
 */
static unsigned judge(const char *bytes, size_t size, struct http_head *ret_head,
                      size_t *ret_size) {
    const char *data = guarded(bytes, size);
    enum http_result result = http_head_parse(data, size, ret_head);
    struct http_chunk chunk = {0};
    size_t used = (size_t)ret_head->content_length;

    if (result != HTTP_COMPLETE) {
        return result == HTTP_PARTIAL ? 0 : ret_head->status;
    }
    if (ret_head->body == HTTP_BODY_CHUNKED) {
        result = http_chunk_scan(&chunk, data + ret_head->size, size - ret_head->size, &used);
    } else if (ret_head->content_length > size - ret_head->size) {
        result = HTTP_PARTIAL;
    }
    *ret_size = ret_head->size + used;
    return result == HTTP_COMPLETE ? 200 : result == HTTP_PARTIAL ? 0 : 400;
}

static size_t n_refused;

static void check(unsigned status, const char *what, const char *bytes, size_t size,
                  const char *expected, size_t expected_size) {
    static const struct http_forward forward = {
        .client = {.family = AF_INET, .ip = {127, 0, 0, 1}},
        .persistent = true,
    };
    static char out[BYTES_MAX + HTTP_REWRITE_GROWTH];
    struct http_head head;
    size_t used = 0, n;
    unsigned got = judge(bytes, size, &head, &used);

    if (got != status) {
        fail_msg("%s: %u, not %u (%s)", what, got, status, head.reason);
    }
    if (status != 200) {
        n_refused++;
        return;
    }
    assert_int_equal(used, size);
    n = (size_t)http_rewrite_request(bytes, &head, &forward, out, sizeof(out));
    memcpy(out + n, bytes + head.size, size - head.size);
    n += size - head.size;
    if (n != expected_size || memcmp(out, expected, n) != 0) {
        fail_msg("%s: the backend gets\n%.*s\nand not\n%.*s", what, (int)n, out, (int)expected_size,
                 expected);
    }
}

/* A shorter piece is as bad already or not yet complete, but never good. */
static void check_prefixes(unsigned status, const char *what, const char *bytes, size_t size,
                           const char *expected, size_t expected_size) {
    (void)expected;
    (void)expected_size;
    for (size_t n = 0; n < size; n++) {
        struct http_head head;
        size_t used;
        unsigned got = judge(bytes, n, &head, &used);

        if (got != 0 && (got != status || status == 200)) {
            fail_msg("%s: %u after %zu bytes, not %u", what, got, n, status);
        }
    }
}

static void table(void **state) {
    (void)state;
    each_row(check);
    assert_true(n_refused >= REFUSED_MIN);
}

static void prefixes(void **state) {
    (void)state;
    assert_true(each_row(check_prefixes) > REFUSED_MIN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table),
        cmocka_unit_test(prefixes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
