/* text.c - see text.h. */
#include "text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static bool is_within(unsigned char c, unsigned char low, unsigned char high) {
    return c >= low && c <= high;
}

/* The size of the character that begins at p (RFC 3629 4); 0: none does. */
static size_t char_size(const unsigned char *p) {
    unsigned char low = 0x80,
                  high = 0xbf; /* of the second byte: no overlong forms, no surrogates */
    size_t size;

    if (p[0] < 0x80) {
        return 1;
    }
    if (is_within(p[0], 0xc2, 0xdf)) {
        size = 2;
    } else if (is_within(p[0], 0xe0, 0xef)) {
        size = 3;
        low = p[0] == 0xe0 ? 0xa0 : low;
        high = p[0] == 0xed ? 0x9f : high;
    } else if (is_within(p[0], 0xf0, 0xf4)) {
        size = 4;
        low = p[0] == 0xf0 ? 0x90 : low;
        high = p[0] == 0xf4 ? 0x8f : high;
    } else {
        return 0;
    }
    for (size_t i = 1; i < size; i++) { /* a NUL is no second byte, so none is read beyond */
        if (!is_within(p[i], low, high)) {
            return 0;
        }
        low = 0x80;
        high = 0xbf;
    }
    return size;
}

/* C0, DEL, C1; U+2028 .. U+202E, U+2066 .. U+2069. */
static bool is_unfit(const unsigned char *p, size_t size) {
    switch (size) {
    case 1:
        return p[0] < 0x20 || p[0] == 0x7f;
    case 2:
        return p[0] == 0xc2 && p[1] < 0xa0;
    case 3:
        return p[0] == 0xe2 && ((p[1] == 0x80 && is_within(p[2], 0xa8, 0xae)) ||
                                (p[1] == 0x81 && is_within(p[2], 0xa6, 0xa9)));
    default:
        return false;
    }
}

size_t text_next(const char **text, char ret_char[static TEXT_CHAR_MAX]) {
    static const char replacement[] = "\xef\xbf\xbd";
    const unsigned char *p = (const unsigned char *)*text;
    size_t size;

    if (p[0] == '\0') {
        return 0;
    }
    size = char_size(p);
    if (size == 0) {
        memcpy(ret_char, replacement, sizeof(replacement) - 1);
        *text += 1;
        return sizeof(replacement) - 1;
    }
    *text += size;
    if (is_unfit(p, size)) {
        ret_char[0] = ' ';
        return 1;
    }
    memcpy(ret_char, p, size);
    return size;
}

size_t text_copy(char *out, size_t room, const char *text) {
    char c[TEXT_CHAR_MAX];
    size_t size = 0, n;

    while ((n = text_next(&text, c)) > 0 && n < room - size) {
        memcpy(out + size, c, n);
        size += n;
    }
    out[size] = '\0';
    return size;
}
