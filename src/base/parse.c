/* parse.c - see parse.h. Locale never matters: letters and digits are those of ASCII. */
#include "parse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

enum {
    LABEL_MAX = 63,     /* RFC 1035, 2.3.4 */
    HOST_TEXT_MAX = 253 /* the same, as text without the final dot */
};

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

/* Takes the digits at *p; -EINVAL when there is none. */
static int take_digits(const char **p, uint64_t *ret_value) {
    uint64_t value = 0;

    if (!is_digit(**p)) {
        return -EINVAL;
    }
    for (; is_digit(**p); (*p)++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(**p - '0'), &value)) {
            return -ERANGE;
        }
    }
    *ret_value = value;
    return 0;
}

int parse_bool(const char *text, bool *ret_value) {
    static const char *const words[][2] = {
        {"no", "yes"}, {"false", "true"}, {"off", "on"}, {"0", "1"}};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        for (int value = 0; value < 2; value++) {
            if (strcasecmp(text, words[i][value]) == 0) {
                *ret_value = value != 0;
                return 0;
            }
        }
    }
    return -EINVAL;
}

int parse_unsigned(const char *text, uint64_t *ret_value) {
    uint64_t value;
    int r = take_digits(&text, &value);

    if (r < 0) {
        return r;
    }
    if (*text != '\0') {
        return -EINVAL;
    }
    *ret_value = value;
    return 0;
}

int parse_port(const char *text, uint16_t *ret_port) {
    uint64_t value;
    int r = parse_unsigned(text, &value);

    if (r < 0) {
        return r;
    }
    if (value == 0 || value > UINT16_MAX) {
        return -ERANGE;
    }
    *ret_port = (uint16_t)value;
    return 0;
}

int parse_size(const char *text, uint64_t *ret_bytes) {
    static const char suffixes[] = "KMG";
    uint64_t value;
    int r = take_digits(&text, &value);

    if (r < 0) {
        return r;
    }
    if (*text != '\0') {
        const char *suffix = strchr(suffixes, *text);

        if (suffix == NULL || text[1] != '\0') {
            return -EINVAL;
        }
        for (; suffix >= suffixes; suffix--) {
            if (__builtin_mul_overflow(value, 1024, &value)) {
                return -ERANGE;
            }
        }
    }
    *ret_bytes = value;
    return 0;
}

#define MINUTE (60 * USEC_PER_SEC)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* systemd.time(7); a month is 30.44 days and a year 365.25 there. */
static const struct {
    const char *name;
    usec_t usec;
} units[] = {
    {"", USEC_PER_SEC},
    {"us", 1},
    {"usec", 1},
    {"\xc2\xb5s", 1}, /* MICRO SIGN */
    {"\xce\xbcs", 1}, /* GREEK SMALL LETTER MU */
    {"ms", USEC_PER_MSEC},
    {"msec", USEC_PER_MSEC},
    {"s", USEC_PER_SEC},
    {"sec", USEC_PER_SEC},
    {"second", USEC_PER_SEC},
    {"seconds", USEC_PER_SEC},
    {"m", MINUTE},
    {"min", MINUTE},
    {"minute", MINUTE},
    {"minutes", MINUTE},
    {"h", HOUR},
    {"hr", HOUR},
    {"hour", HOUR},
    {"hours", HOUR},
    {"d", DAY},
    {"day", DAY},
    {"days", DAY},
    {"w", 7 * DAY},
    {"week", 7 * DAY},
    {"weeks", 7 * DAY},
    {"M", 30 * DAY + 440 * (DAY / 1000)},
    {"month", 30 * DAY + 440 * (DAY / 1000)},
    {"months", 30 * DAY + 440 * (DAY / 1000)},
    {"y", 365 * DAY + DAY / 4},
    {"year", 365 * DAY + DAY / 4},
    {"years", 365 * DAY + DAY / 4},
};

static int take_unit(const char **p, usec_t *ret_usec) {
    const char *start = *p;
    size_t len;

    while (**p != '\0' && !is_digit(**p) && !is_blank(**p) && **p != '.') {
        (*p)++;
    }
    len = (size_t)(*p - start);
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        if (strlen(units[i].name) == len && memcmp(units[i].name, start, len) == 0) {
            *ret_usec = units[i].usec;
            return 0;
        }
    }
    return -EINVAL;
}

/* A dot and digits, as a part of one unit; digits below the microsecond count for nothing. */
static int take_fraction(const char **p, usec_t *ret_millionths) {
    usec_t value = 0;
    usec_t digit = 100000;

    if (!is_digit((*p)[1])) {
        return -EINVAL;
    }
    for ((*p)++; is_digit(**p); (*p)++) {
        value += (usec_t)(**p - '0') * digit;
        digit /= 10;
    }
    *ret_millionths = value;
    return 0;
}

int parse_span(const char *text, usec_t *ret_span) {
    const char *p = text + strspn(text, " \t");
    usec_t sum = 0;

    if (*p == '\0') {
        return -EINVAL;
    }
    while (*p != '\0') {
        uint64_t value;
        usec_t millionths = 0;
        usec_t unit;
        int r = take_digits(&p, &value);

        if (r >= 0 && *p == '.') {
            r = take_fraction(&p, &millionths);
        }
        if (r < 0) {
            return r;
        }
        p += strspn(p, " \t");
        r = take_unit(&p, &unit);
        if (r < 0) {
            return r;
        }
        if (__builtin_mul_overflow(value, unit, &value) ||
            __builtin_add_overflow(sum, value, &sum)) {
            return -ERANGE;
        }
        /* Fits: the longest unit is 2^45 us, and there are less than 2^20 millionths in one. */
        if (__builtin_add_overflow(sum, unit * millionths / 1000000, &sum) ||
            sum == USEC_INFINITY) {
            return -ERANGE;
        }
        p += strspn(p, " \t");
    }
    *ret_span = sum;
    return 0;
}

bool parse_name_ok(const char *text, size_t max) {
    size_t len = 0;

    for (; text[len] != '\0'; len++) {
        char c = text[len];

        if (len >= max || (!is_alnum(c) && (len == 0 || strchr("_.-", c) == NULL))) {
            return false;
        }
    }
    return len > 0;
}

bool parse_token_ok(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (!is_alnum(text[i]) && (text[i] == '\0' || strchr("!#$%&'*+-.^_`|~", text[i]) == NULL)) {
            return false;
        }
    }
    return len > 0;
}

bool parse_percent_ok(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '%' && (len - i < 3 || !is_hex(text[i + 1]) || !is_hex(text[i + 2]))) {
            return false;
        }
    }
    return true;
}

/* An IPv6 literal without brackets, as `[...]` in one form only. */
static int canonical_ipv6(const char *text, size_t len, char ret_host[static PARSE_HOST_MAX]) {
    char literal[INET6_ADDRSTRLEN];
    struct in6_addr ip;

    if (len >= sizeof(literal) || memchr(text, '\0', len) != NULL) {
        return -EINVAL;
    }
    memcpy(literal, text, len);
    literal[len] = '\0';
    if (inet_pton(AF_INET6, literal, &ip) != 1 ||
        inet_ntop(AF_INET6, &ip, ret_host + 1, INET6_ADDRSTRLEN) == NULL) {
        return -EINVAL;
    }
    ret_host[0] = '[';
    len = strlen(ret_host);
    memcpy(ret_host + len, "]", 2);
    return 0;
}

/* Whether the labels are well-formed; a name of digits and dots only must be an IPv4 literal. */
static bool labels_ok(const char *host) {
    const char *p = host;
    bool digits_only = true;
    struct in_addr ip;

    for (;;) {
        const char *label = p;

        while (is_alnum(*p) || *p == '-' || *p == '_') {
            digits_only = digits_only && is_digit(*p);
            p++;
        }
        if (p == label || p - label > LABEL_MAX || label[0] == '-' || p[-1] == '-') {
            return false;
        }
        if (*p == '\0') {
            break;
        }
        if (*p++ != '.') {
            return false;
        }
    }
    return !digits_only || inet_pton(AF_INET, host, &ip) == 1;
}

int parse_host(const char *text, size_t len, char ret_host[static PARSE_HOST_MAX]) {
    char host[HOST_TEXT_MAX + 1];

    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        return canonical_ipv6(text + 1, len - 2, ret_host);
    }
    if (memchr(text, ':', len) != NULL) {
        return canonical_ipv6(text, len, ret_host);
    }
    if (len > 0 && text[len - 1] == '.') {
        len--;
    }
    if (len == 0 || len > HOST_TEXT_MAX || memchr(text, '\0', len) != NULL) {
        return -EINVAL;
    }
    for (size_t i = 0; i < len; i++) {
        host[i] = text[i];
        if (text[i] >= 'A' && text[i] <= 'Z') {
            host[i] = (char)(text[i] - 'A' + 'a');
        }
    }
    host[len] = '\0';
    if (!labels_ok(host)) {
        return -EINVAL;
    }
    memcpy(ret_host, host, len + 1);
    return 0;
}

int parse_address(const char *text, struct proto_address *ret_address) {
    struct proto_address address = {.family = AF_INET};
    const char *colon = strrchr(text, ':');
    char host[INET6_ADDRSTRLEN + 2];
    size_t len;
    uint16_t port;
    int r;

    if (colon == NULL || (size_t)(colon - text) >= sizeof(host)) {
        return -EINVAL;
    }
    r = parse_port(colon + 1, &port);
    if (r < 0) {
        return r;
    }
    address.port = htons(port);
    len = (size_t)(colon - text);
    memcpy(host, text, len);
    host[len] = '\0';
    if (strcasecmp(host, "localhost") == 0) {
        memcpy(host, "127.0.0.1", sizeof("127.0.0.1"));
    }
    if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
        address.family = AF_INET6;
        host[len - 1] = '\0';
    }
    if (inet_pton(address.family, address.family == AF_INET6 ? host + 1 : host, address.ip) != 1) {
        return -EINVAL;
    }
    *ret_address = address;
    return 0;
}

bool parse_host_is_ip(const char *host) {
    struct in_addr ip;

    return host[0] == '[' || inet_pton(AF_INET, host, &ip) == 1;
}

int parse_net(const char *text, size_t len, uint8_t ret_ip[static 16], uint8_t *ret_prefix) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    const char *slash = memchr(text, '/', len);
    size_t host_len = slash != NULL ? (size_t)(slash - text) : len;
    char host[INET6_ADDRSTRLEN];
    uint8_t ip[16];
    uint64_t prefix;
    uint64_t skip = 0;

    if (host_len >= sizeof(host) || memchr(text, '\0', len) != NULL) {
        return -EINVAL;
    }
    memcpy(host, text, host_len);
    host[host_len] = '\0';
    if (inet_pton(AF_INET, host, ip + sizeof(mapped)) == 1) {
        memcpy(ip, mapped, sizeof(mapped));
        skip = 96;
    } else if (inet_pton(AF_INET6, host, ip) != 1) {
        return -EINVAL;
    }
    prefix = 128 - skip;
    if (slash != NULL) {
        char digits[4]; /* three and the NUL: no prefix has more */
        size_t n = len - host_len - 1;

        if (n >= sizeof(digits)) {
            return -EINVAL;
        }
        memcpy(digits, slash + 1, n);
        digits[n] = '\0';
        if (parse_unsigned(digits, &prefix) < 0 || prefix > 128 - skip) {
            return -EINVAL;
        }
    }
    prefix += skip;
    for (uint64_t bit = prefix; bit < 128; bit++) {
        if ((ip[bit / 8] & (0x80 >> (bit % 8))) != 0) {
            return -ERANGE;
        }
    }
    memcpy(ret_ip, ip, sizeof(ip));
    *ret_prefix = (uint8_t)prefix;
    return 0;
}

int parse_rate(const char *text, uint64_t *ret_count, usec_t *ret_per) {
    uint64_t count;
    usec_t per;
    const char *unit;
    int r = take_digits(&text, &count);

    if (r < 0) {
        return r;
    }
    if (*text++ != '/') {
        return -EINVAL;
    }
    unit = text;
    if (is_digit(*text)) {
        r = parse_span(text, &per);
    } else {
        r = take_unit(&unit, &per);
        if (r == 0 && (unit == text || *unit != '\0')) {
            r = -EINVAL;
        }
    }
    if (r < 0) {
        return r;
    }
    *ret_count = count;
    *ret_per = per;
    return 0;
}

int parse_status_range(const char *text, size_t len, uint16_t *ret_low, uint16_t *ret_high) {
    uint16_t codes[2];

    if (len != 3 && (len != 7 || text[3] != '-')) {
        return -EINVAL;
    }
    for (int i = 0; i < 2; i++) {
        const char *p = i == 1 && len == 7 ? text + 4 : text;

        if (!is_digit(p[0]) || !is_digit(p[1]) || !is_digit(p[2])) {
            return -EINVAL;
        }
        codes[i] = (uint16_t)((p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0'));
    }
    if (codes[0] < 100 || codes[1] > 599 || codes[0] > codes[1]) {
        return -ERANGE;
    }
    *ret_low = codes[0];
    *ret_high = codes[1];
    return 0;
}

int parse_unix_path(const char *text, const char **ret_path) {
    static const char scheme[] = "unix://";
    const char *path = text;
    size_t len;

    if (strncmp(path, scheme, sizeof(scheme) - 1) == 0) {
        path += sizeof(scheme) - 1;
    }
    len = strlen(path);
    if (path[0] != '/' || len < 2 || path[len - 1] == '/' || strpbrk(path, " \t") != NULL) {
        return -EINVAL;
    }
    if (len >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
        return -ERANGE;
    }
    *ret_path = path;
    return 0;
}

const char *parse_word(const char **cursor, size_t *ret_len) {
    static const char separators[] = ", \t";
    const char *word = *cursor + strspn(*cursor, separators);

    *ret_len = strcspn(word, separators);
    *cursor = word + *ret_len;
    return *ret_len > 0 ? word : NULL;
}

const char *parse_item(const char **cursor, size_t *ret_len) {
    const char *item = *cursor + strspn(*cursor, ", \t");
    size_t len = strcspn(item, ",");

    *cursor = item + len;
    while (len > 0 && is_blank(item[len - 1])) {
        len--;
    }
    *ret_len = len;
    return len > 0 ? item : NULL;
}
