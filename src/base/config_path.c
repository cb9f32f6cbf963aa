/* config_path.c - paths, networks and instances' names as strangers give them. All pure. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "config_internal.h"

static bool is_alnum(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* RFC 3986, 2.3. */
static bool is_unreserved(char c) {
    return is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The bytes in place of those at path, 1 or 3; 0: a faulty %XX. */
static size_t take_char(const char *path, size_t len, char ret_bytes[static 3]) {
    static const char digits[] = "0123456789ABCDEF";
    int high;
    int low;

    ret_bytes[0] = path[0];
    if (path[0] != '%') {
        return 1;
    }
    high = len >= 3 ? hex_value(path[1]) : -1;
    low = high >= 0 ? hex_value(path[2]) : -1;
    if (low < 0) {
        return 0;
    }
    ret_bytes[0] = (char)(high << 4 | low);
    if (is_unreserved(ret_bytes[0])) {
        return 1;
    }
    ret_bytes[0] = '%';
    ret_bytes[1] = digits[high];
    ret_bytes[2] = digits[low];
    return 3;
}

static bool is_dots(const char *segment, size_t len) {
    return (len == 1 || len == 2) && segment[0] == '.' && segment[len - 1] == '.';
}

int config_path_canonical(const char *path, size_t len, char ret_path[static CONFIG_PATH_MAX]) {
    size_t n = 0;
    size_t segment = 0; /* where the one that is being written begins */

    if (len == 0) {
        ret_path[0] = '/';
        return 1;
    }
    if (path[0] != '/') {
        return -EINVAL;
    }
    for (size_t i = 0; i < len;) {
        char bytes[3];
        size_t n_bytes = take_char(path + i, len - i, bytes);

        if (n_bytes == 0) {
            return -EINVAL;
        }
        if (n + n_bytes > CONFIG_PATH_MAX) {
            return -ENAMETOOLONG;
        }
        if (path[i] == '/') {
            if (is_dots(ret_path + segment, n - segment)) {
                return -EINVAL;
            }
            segment = n + 1;
        }
        memcpy(ret_path + n, bytes, n_bytes);
        n += n_bytes;
        i += path[i] == '%' ? 3 : 1;
    }
    return is_dots(ret_path + segment, n - segment) ? -EINVAL : (int)n;
}

bool config_instance_ok(const char *text, size_t len) {
    if (len == 0 || len > CONFIG_NAME_MAX || !is_alnum(text[0])) {
        return false;
    }
    for (size_t i = 1; i < len; i++) {
        if (!is_alnum(text[i]) && text[i] != '-' && text[i] != '_') {
            return false;
        }
    }
    return true;
}

bool config_pattern_find(const char *text, size_t len, struct config_pattern *ret_pattern) {
    const char *mark = len > 0 ? memmem(text, len, "%i", 2) : NULL;

    if (mark == NULL) {
        return false;
    }
    *ret_pattern = (struct config_pattern){
        .before = text,
        .before_len = (size_t)(mark - text),
        .after = mark + 2,
        .after_len = len - (size_t)(mark - text) - 2,
    };
    return true;
}

bool config_pattern_fits(const struct config_pattern *pattern, const char *text, size_t len,
                         const char **ret_instance, size_t *ret_len) {
    size_t literal = pattern->before_len + pattern->after_len;

    if (len <= literal || memcmp(text, pattern->before, pattern->before_len) != 0 ||
        memcmp(text + len - pattern->after_len, pattern->after, pattern->after_len) != 0 ||
        !config_instance_ok(text + pattern->before_len, len - literal)) {
        return false;
    }
    *ret_instance = text + pattern->before_len;
    *ret_len = len - literal;
    return true;
}

/* IPv4 addresses are in networks of IPv4 only: ::/0 is all of IPv6, though it has the mapped form. */
bool config_nets_have(const struct config_nets *nets, const struct proto_address *address) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    uint8_t ip[16];
    uint8_t least;

    if (address->family == AF_INET) {
        memcpy(ip, mapped, sizeof(mapped));
        memcpy(ip + sizeof(mapped), address->ip, 4);
    } else if (address->family == AF_INET6) {
        memcpy(ip, address->ip, sizeof(ip));
    } else {
        return false;
    }
    least = memcmp(ip, mapped, sizeof(mapped)) == 0 ? 96 : 0;
    for (size_t i = 0; i < nets->n; i++) {
        const struct config_net *net = &nets->items[i];
        size_t whole = net->prefix / 8;
        unsigned mask = 0xff00U >> (net->prefix % 8) & 0xff;

        if (net->prefix >= least && memcmp(ip, net->ip, whole) == 0 &&
            (mask == 0 || (ip[whole] & mask) == net->ip[whole])) {
            return true;
        }
    }
    return false;
}
