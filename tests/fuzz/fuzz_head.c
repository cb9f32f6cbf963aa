/*
 * Heads of requests (http_head.h, http_rewrite.h): what was accepted and is passed on reads the same
 * way once more, has nothing that was for the hop before, and is already in the form in which it
 * would be passed on again.
 */
#include <sys/socket.h>

#include "heads.h"
#include "http_rewrite.h"

enum {
    FIELDS_ADDED = 8
}; /* at most, beside those that came: more than HTTP_FIELDS_MAX is refused */

static const struct http_forward forwards[] = {
    {.client = {.family = AF_INET, .port = 1, .ip = {192, 0, 2, 1}}, .persistent = true},
    {.client = {.family = AF_INET6, .ip = {0x20, 1, 0x0d, 0xb8}}, .segments = 1},
    {.client = {.family = AF_UNSPEC}, .segments = 2, .persistent = true},
    {.client = {.family = AF_INET, .ip = {192, 0, 2, 1}}, .trusted = true},
    {.client = {.family = AF_INET6, .ip = {1}}, .trusted = true, .segments = 1, .persistent = true},
};

static unsigned count_segments(const char *data, struct http_slice path) {
    unsigned n = 0;

    for (uint32_t i = 0; i < path.len; i++) {
        n += data[path.at + i] == '/' && i + 1 < path.len && data[path.at + i + 1] != '/';
    }
    return n;
}

/* Rewrites into memory of the promised size. The caller frees it. */
static char *rewrite(const char *data, const struct http_head *head,
                     const struct http_forward *forward, size_t *ret_size) {
    size_t room = (size_t)head->size + HTTP_REWRITE_GROWTH;
    char *out = malloc(room);
    ssize_t n;

    CHECK(out != NULL);
    n = http_rewrite_request(data, head, forward, out, room);
    CHECK(n > 0 && (size_t)n <= room);
    *ret_size = (size_t)n;
    return out;
}

/* The target in origin form, whole or without its first segments. */
static void check_target(const char *data, const struct http_head *head, unsigned segments,
                         const char *out, const struct http_head *passed) {
    struct http_slice before = head->target, after = passed->target;

    if (before.len == 1 && data[before.at] == '*') {
        CHECK(same_slice(data, before, out, after));
        return;
    }
    if (before.len == 0) {
        CHECK(after.len == 1 && (out[after.at] == '/' || out[after.at] == '*'));
        return;
    }
    CHECK(out[after.at] == '/');
    if (segments > 0 || data[before.at] == '?') {
        /* Of what is left, only the slash may be new. */
        after.at++;
        after.len--;
        CHECK(after.len <= before.len);
        before.at += before.len - after.len;
        before.len = after.len;
    }
    CHECK(same_slice(data, before, out, after));
}

static void check(const char *data, const struct http_head *head,
                  const struct http_forward *forward) {
    struct http_head passed;
    size_t n, n_again;
    char *out = rewrite(data, head, forward, &n), *again;

    CHECK(http_head_parse(out, n, &passed) == HTTP_COMPLETE);
    CHECK(passed.size == n);
    CHECK(passed.minor == 1);
    CHECK(same_slice(data, head->method, out, passed.method));
    CHECK(same_slice(data, head->authority, out, passed.authority));
    CHECK(same_slice(data, head->host, out, passed.host));
    CHECK(passed.body == head->body && passed.content_length == head->content_length);
    CHECK(passed.upgrade == head->upgrade);
    CHECK(passed.safe == head->safe && passed.bodyless_answer == head->bodyless_answer);
    check_target(data, head, forward->segments, out, &passed);

    CHECK(count_fields(passed.fields, passed.n_fields, HTTP_FIELD_HOST) == 1);
    CHECK(count_fields(passed.fields, passed.n_fields, HTTP_FIELD_HOP) == 0);
    CHECK(passed.n_options == 0);
    check_options(data, head->options, head->n_options, out, passed.fields, passed.n_fields);
    CHECK(passed.upgrade || passed.persistent == forward->persistent);
    CHECK(count_fields(passed.fields, passed.n_fields, HTTP_FIELD_X_FORWARDED_FOR) <= 1);
    if (!forward->trusted) {
        CHECK(forward->segments > 0 ||
              count_fields(passed.fields, passed.n_fields, HTTP_FIELD_X_FORWARDED) == 0);
        again = rewrite(out, &passed, forward, &n_again);
        CHECK(forward->segments > 0 || (n == n_again && memcmp(out, again, n) == 0));
        free(again);
    }
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    const char *data = (const char *)bytes;
    struct http_head head, early;
    enum http_result result = http_head_parse(data, size, &head);

    for (size_t part = size; part > 0; part /= 2) {
        char *copy = fuzz_copy(data, part - 1);
        enum http_result before = http_head_parse(copy, part - 1, &early);

        CHECK(before == HTTP_PARTIAL || before == result);
        free(copy);
    }
    if (result == HTTP_BAD) {
        CHECK(head.reason != NULL);
        CHECK(head.status == 400 || head.status == 431 || head.status == 501 || head.status == 505);
    }
    if (result != HTTP_COMPLETE || head.n_fields > HTTP_FIELDS_MAX - FIELDS_ADDED) {
        return 0;
    }
    CHECK(head.size <= size);
    for (size_t i = 0; i < sizeof(forwards) / sizeof(forwards[0]); i++) {
        if (forwards[i].segments <= count_segments(data, head.path)) {
            check(data, &head, &forwards[i]);
        }
    }
    return 0;
}
