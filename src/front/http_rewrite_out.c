/* http_rewrite_out.c - see http_rewrite_out.h. */
#include "http_rewrite_out.h"

#include <strings.h>

void http_put_number(struct http_out *out, uint64_t number, unsigned digits) {
    char text[sizeof("18446744073709551615")];
    size_t at = sizeof(text);

    do {
        text[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0 || sizeof(text) - at < digits);
    http_put_bytes(out, text + at, sizeof(text) - at);
}

void http_put_field(struct http_out *out, const char *data, const struct http_field *field) {
    uint32_t name_end = field->name.at + field->name.len;

    /* As most write it: then it is copied in one go. */
    if (field->value.at == name_end + 2 && data[name_end + 1] == ' ') {
        http_put_bytes(out, data + field->name.at, field->name.len + 2 + field->value.len);
    } else {
        http_put_slice(out, data, field->name);
        http_put(out, ": ");
        http_put_slice(out, data, field->value);
    }
    http_put(out, "\r\n");
}

bool http_is_option(const char *data, const struct http_slice *options, size_t n_options,
                    struct http_slice name) {
    for (size_t i = 0; i < n_options; i++) {
        if (options[i].len == name.len &&
            strncasecmp(data + options[i].at, data + name.at, name.len) == 0) {
            return true;
        }
    }
    return false;
}
