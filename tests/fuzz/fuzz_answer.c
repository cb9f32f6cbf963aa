/*
 * Heads of answers (http_answer.h, http_rewrite.h): what was accepted and is passed on ends at the
 * same place for the client, and is already in the form in which it would be passed on again.
 */
#include "heads.h"
#include "http_rewrite.h"

enum { FIELDS_ADDED = 4 }; /* at most, beside those that came */

/* Rewrites into memory of the promised size. The caller frees it. */
static char *rewrite(const char *data, const struct http_answer *answer,
                     const struct http_return *to, size_t *ret_size) {
    size_t room = (size_t)answer->size + HTTP_REWRITE_GROWTH;
    char *out = malloc(room);
    ssize_t n;

    CHECK(out != NULL);
    n = http_rewrite_answer(data, answer, to, out, room);
    CHECK(n > 0 && (size_t)n <= room);
    *ret_size = (size_t)n;
    return out;
}

static void check(const char *data, const struct http_answer *answer, bool to_head, bool upgrade,
                  struct http_return to) {
    bool closes =
        answer->end == HTTP_END_CLOSE || (answer->end == HTTP_END_CHUNKED && to.minor == 0);
    struct http_answer passed;
    size_t n, n_again;
    char *out, *again;

    out = rewrite(data, answer, &to, &n);
    CHECK(http_answer_parse(out, n, to_head, upgrade, &passed) == HTTP_COMPLETE);
    CHECK(passed.size == n);
    CHECK(passed.minor == 1);
    CHECK(passed.code == answer->code);
    CHECK(passed.interim == answer->interim && passed.upgrade == answer->upgrade);
    CHECK(same_slice(data, answer->phrase, out, passed.phrase));
    if (!passed.interim && !passed.upgrade) {
        CHECK(passed.end == (closes ? HTTP_END_CLOSE : answer->end));
        /* RFC 9110 8.6: a 204 has none. */
        CHECK(closes || passed.has_length == (answer->has_length && answer->code != 204));
        CHECK(!passed.has_length || passed.content_length == answer->content_length);
        CHECK(passed.persistent == (to.persistent && !closes));
    }
    CHECK(count_fields(passed.fields, passed.n_fields, HTTP_FIELD_HOP) == 0);
    CHECK(passed.n_options == 0);
    check_options(data, answer->options, answer->n_options, out, passed.fields, passed.n_fields);
    again = rewrite(out, &passed, &to, &n_again);
    CHECK(n == n_again && memcmp(out, again, n) == 0);
    free(again);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    const char *data = (const char *)bytes;

    for (unsigned i = 0; i < 4; i++) {
        bool to_head = (i & 1) != 0, upgrade = (i & 2) != 0;
        struct http_answer answer, early;
        enum http_result result = http_answer_parse(data, size, to_head, upgrade, &answer);

        for (size_t part = size; part > 0; part /= 2) {
            char *copy = fuzz_copy(data, part - 1);
            enum http_result before = http_answer_parse(copy, part - 1, to_head, upgrade, &early);

            CHECK(before == HTTP_PARTIAL || before == result);
            free(copy);
        }
        if (result == HTTP_BAD) {
            CHECK(answer.reason != NULL);
        }
        if (result != HTTP_COMPLETE || answer.n_fields > HTTP_FIELDS_MAX - FIELDS_ADDED) {
            continue;
        }
        CHECK(answer.size <= size);
        CHECK(answer.code >= 100 && answer.code <= 599);
        CHECK(!answer.upgrade || upgrade);
        CHECK(!to_head || answer.end == HTTP_END_NONE);
        for (unsigned k = 0; k < 4; k++) {
            check(data, &answer, to_head, upgrade,
                  (struct http_return){
                      .minor = k & 1, .persistent = (k & 2) != 0, .now = k == 1 ? 1700000000 : 0});
        }
    }
    return 0;
}
