/*
 * Cookies (http_cookie.h): the input is the value of a Cookie field, and may have more fields behind
 * it. What is found lies inside a Cookie field, behind the name that was asked for.
 */
#include <stdbool.h>
#include <string.h>

#include "fuzz.h"
#include "http_cookie.h"

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

/* The cookie's field, or NULL when the value is in none. */
static const struct http_field *field_of(const char *data, const struct http_head *head,
                                         const char *value, size_t len) {
    for (size_t i = 0; i < head->n_fields; i++) {
        const struct http_field *field = &head->fields[i];
        const char *begin = data + field->value.at, *end = begin + field->value.len;

        if (field->kind == HTTP_FIELD_COOKIE && value >= begin && value + len <= end) {
            return field;
        }
    }
    return NULL;
}

static void check(const char *data, const struct http_head *head, const char *name) {
    size_t len = SIZE_MAX;
    const char *value = http_cookie_find(data, head, name, &len), *before, *begin;
    const struct http_field *field;
    size_t name_len = strlen(name);

    if (value == NULL) {
        CHECK(len == 0);
        return;
    }
    field = field_of(data, head, value, len);
    CHECK(field != NULL);
    CHECK(memchr(value, ';', len) == NULL);

    /* NAME, =, and perhaps a quote; before it the field's beginning or a semicolon. */
    begin = data + field->value.at;
    before = value;
    if (before > begin && before[-1] == '"') {
        before--;
    }
    while (before > begin && is_blank(before[-1])) {
        before--;
    }
    CHECK(before > begin && before[-1] == '=');
    before--;
    while (before > begin && is_blank(before[-1])) {
        before--;
    }
    CHECK((size_t)(before - begin) >= name_len);
    before -= name_len;
    CHECK(memcmp(before, name, name_len) == 0);
    while (before > begin && is_blank(before[-1])) {
        before--;
    }
    CHECK(before == begin || before[-1] == ';');
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static const char start[] = "GET / HTTP/1.1\r\nHost: a\r\nCookie: ", end[] = "\r\n\r\n";
    static const char *const names[] = {"a", "id", "session", "__Host-x", "A"};
    size_t n = sizeof(start) - 1 + size + sizeof(end) - 1;
    char *data = malloc(n);
    struct http_head head;

    CHECK(data != NULL);
    memcpy(data, start, sizeof(start) - 1);
    memcpy(data + sizeof(start) - 1, bytes, size);
    memcpy(data + sizeof(start) - 1 + size, end, sizeof(end) - 1);
    if (http_head_parse(data, n, &head) == HTTP_COMPLETE) {
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            check(data, &head, names[i]);
        }
    }
    free(data);
    return 0;
}
