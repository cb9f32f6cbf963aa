/* own.c - see own.h. */
#include "own.h"

#include <string.h>

#include "http_chars.h"

static const char prefix[] = "/_dockwake/";

static bool text_is(const char *text, size_t len, const char *want) {
    return len == strlen(want) && memcmp(text, want, len) == 0;
}

/* %XX once; `+` is a plus, as the page encodes with encodeURIComponent(). Returns the length or -1. */
static int decode(const char *text, size_t len, char out[static CONFIG_PATH_MAX]) {
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (c == '%') {
            int high = i + 2 < len ? http_hex_digit(text[i + 1]) : -1;
            int low = i + 2 < len ? http_hex_digit(text[i + 2]) : -1;

            if (high < 0 || low < 0) {
                return -1;
            }
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (n == CONFIG_PATH_MAX || !http_is(c, HTTP_TARGET)) {
            return -1;
        }
        out[n++] = c;
    }
    return (int)n;
}

/* The value of the one `for` in a query. */
static bool find_path(const char *query, size_t len, struct own *own) {
    static const char key[] = "for=";
    const char *end = query + len, *found = NULL;
    size_t found_len = 0;
    char decoded[CONFIG_PATH_MAX];
    const char *stop;
    int n;

    for (; query < end; query = stop + 1) {
        stop = memchr(query, '&', (size_t)(end - query));
        stop = stop != NULL ? stop : end;
        if ((size_t)(stop - query) >= sizeof(key) - 1 && memcmp(query, key, sizeof(key) - 1) == 0) {
            if (found != NULL) {
                return false;
            }
            found = query + sizeof(key) - 1;
            found_len = (size_t)(stop - found);
        }
    }
    if (found == NULL) {
        return false;
    }
    n = decode(found, found_len, decoded);
    if (n <= 0 || decoded[0] != '/') {
        return false;
    }
    stop = memchr(decoded, '?', (size_t)n);
    n = config_path_canonical(decoded, stop != NULL ? (size_t)(stop - decoded) : (size_t)n,
                              own->path);
    own->path_len = n > 0 ? (size_t)n : 0;
    return n > 0;
}

void own_parse(const char *data, const struct http_head *head, const char *path, size_t path_len,
               struct own *ret_own) {
    const char *name = path + sizeof(prefix) - 1;
    size_t name_len = path_len - (sizeof(prefix) - 1);
    struct http_slice query;

    ret_own->kind = OWN_NOT;
    if (path_len < sizeof(prefix) - 1 || memcmp(path, prefix, sizeof(prefix) - 1) != 0) {
        return;
    }
    ret_own->kind = text_is(name, name_len, "health")   ? OWN_HEALTH
                    : text_is(name, name_len, "events") ? OWN_EVENTS
                    : text_is(name, name_len, "logs")   ? OWN_LOGS
                                                        : OWN_UNKNOWN;
    if (ret_own->kind == OWN_UNKNOWN) {
        return;
    }
    if (!text_is(data + head->method.at, head->method.len, "GET") &&
        !text_is(data + head->method.at, head->method.len, "HEAD")) {
        ret_own->kind = OWN_METHOD;
        return;
    }
    if (ret_own->kind == OWN_HEALTH) {
        return;
    }
    query = (struct http_slice){.at = head->path.at + head->path.len,
                                .len = head->target.at + head->target.len -
                                       (head->path.at + head->path.len)};
    if (query.len == 0 || !find_path(data + query.at + 1, query.len - 1, ret_own)) {
        ret_own->kind = OWN_BAD;
    }
}
