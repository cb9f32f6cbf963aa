/* http_cookie.c - see http_cookie.h. */
#include "http_cookie.h"

#include <string.h>

#include "http_fields.h"

/* Looks for the cookie in one field's value: name=value, with semicolons in between. */
static const char *find(const char *data, struct http_slice rest, const char *name, size_t name_len,
                        size_t *ret_len) {
    while (rest.len > 0) {
        const char *text = data + rest.at;
        const char *end = memchr(text, ';', rest.len), *equals;
        uint32_t len = end != NULL ? (uint32_t)(end - text) : rest.len;
        uint32_t skip = end != NULL ? len + 1 : len;
        struct http_slice key, value;

        equals = memchr(text, '=', len);
        if (equals != NULL) {
            key = http_trim(data, (struct http_slice){rest.at, (uint32_t)(equals - text)});
            if (key.len == name_len && memcmp(data + key.at, name, name_len) == 0) {
                uint32_t at = (uint32_t)(equals + 1 - data);

                value = http_trim(data, (struct http_slice){at, rest.at + len - at});
                if (value.len >= 2 && data[value.at] == '"' &&
                    data[value.at + value.len - 1] == '"') {
                    value.at++;
                    value.len -= 2;
                }
                *ret_len = value.len;
                return data + value.at;
            }
        }
        rest.at += skip;
        rest.len -= skip;
    }
    return NULL;
}

const char *http_cookie_find(const char *data, const struct http_head *head, const char *name,
                             size_t *ret_len) {
    size_t name_len = strlen(name);

    *ret_len = 0;
    for (size_t i = 0; i < head->n_fields; i++) {
        if (head->fields[i].kind == HTTP_FIELD_COOKIE) {
            const char *value = find(data, head->fields[i].value, name, name_len, ret_len);

            if (value != NULL) {
                return value;
            }
        }
    }
    return NULL;
}
