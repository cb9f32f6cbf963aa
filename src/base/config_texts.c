/*
 * config_texts.c - values that are texts, and lists of them.
 *
 * Each text is brought to the form in which it is compared. A `%i` is let through where an instance
 * may be named, in the file of a template.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_kinds.h"
#include "parse.h"
#include "util.h"

static int complain(const struct config_setting *s, const char *text, size_t len,
                    const char *fault) {
    return config_complain(s->place, "%s: '%.*s' %s", s->key->name,
                           len < CONFIG_CLIP_MAX ? (int)len : CONFIG_CLIP_MAX, text, fault);
}

int config_set_text(const struct config_setting *s) {
    char text[CONFIG_TAKEN_MAX];
    size_t len = strlen(s->value);
    const char *fault = s->key->take(s, s->value, len, text);
    char *copy;

    if (fault != NULL) {
        return complain(s, s->value, len, fault);
    }
    copy = strdup(text);
    if (copy == NULL) {
        return -ENOMEM;
    }
    free(*(char **)s->member);
    *(char **)s->member = copy;
    return 0;
}

void config_list_free(struct config_list_of *list) {
    for (size_t i = 0; i < list->n; i++) {
        free(list->items[i]);
    }
    free(list->items);
    *list = (struct config_list_of){0};
}

typedef const char *next_text(const char **cursor, size_t *ret_len);

/* What is sound in the list is kept, so that the front knows whose a name is. */
static int take_list(const struct config_setting *s, next_text *next,
                     struct config_list_of *ret_list) {
    const char *cursor = s->value;
    const char *text;
    size_t len;
    size_t n = 0;
    int r = 0;

    while (next(&cursor, &len) != NULL) {
        n++;
    }
    if (n == 0 || n > s->key->max) {
        return config_complain(s->place, "%s: %zu entries where 1 to %zu are possible",
                               s->key->name, n, (size_t)s->key->max);
    }
    config_list_free(ret_list);
    ret_list->items = calloc(n, sizeof(*ret_list->items));
    if (ret_list->items == NULL) {
        return -ENOMEM;
    }
    cursor = s->value;
    while (r == 0 && (text = next(&cursor, &len)) != NULL) {
        char taken[CONFIG_TAKEN_MAX];
        const char *fault = s->key->take(s, text, len, taken);

        if (fault != NULL) {
            r = complain(s, text, len, fault);
            continue;
        }
        ret_list->items[ret_list->n] = strdup(taken);
        if (ret_list->items[ret_list->n] == NULL) {
            return -ENOMEM;
        }
        ret_list->n++;
    }
    return r;
}

int config_set_list(const struct config_setting *s) {
    return take_list(s, parse_word, s->member);
}

int config_set_items(const struct config_setting *s) {
    return take_list(s, parse_item, s->member);
}

int config_set_hosts(const struct config_setting *s) {
    struct config_list_of list = {0};
    int r = take_list(s, parse_word, &list);

    s->app->n_hosts = list.n;
    s->app->hosts = list.items;
    return r;
}

/* --- with %i --------------------------------------------------------------------------------- */

enum { NO_MARK = -1 };

/*
 * The text with one character, mark, in place of its `%i`, so that what checks and what changes texts
 * need not know of it. Returns NULL or what is wrong.
 */
static const char *mark_put(const struct config_setting *s, const char *text, size_t len, char mark,
                            char ret_text[static CONFIG_TAKEN_MAX], int *ret_at) {
    struct config_pattern pattern;
    struct config_pattern again;

    if (!config_pattern_find(text, len, &pattern)) {
        *ret_at = NO_MARK;
        return config_take_text(s, text, len, ret_text);
    }
    if (!s->app->is_template) {
        return "has %i, which stands for an instance: only a template (NAME@.ini) has those";
    }
    if (config_pattern_find(pattern.after, pattern.after_len, &again)) {
        return "has more than one %i";
    }
    *ret_at = (int)pattern.before_len;
    snprintf(ret_text, CONFIG_TAKEN_MAX, "%.*s%c%.*s", (int)pattern.before_len, pattern.before,
             mark, (int)pattern.after_len, pattern.after);
    return NULL;
}

/* The other way round. */
static void mark_replace(char text[static CONFIG_TAKEN_MAX], int at) {
    if (at != NO_MARK) {
        memmove(text + at + 2, text + at + 1, strlen(text + at + 1) + 1);
        text[at] = '%';
        text[at + 1] = 'i';
    }
}

#define NO_NAME                                                                                    \
    "is not a name that Docker has (at most 255 of letters, digits and _.-, a letter or digit "    \
    "first)"
_Static_assert(CONFIG_CONTAINER_MAX == 255, "as the text says");

const char *config_take_name(const struct config_setting *s, const char *text, size_t len,
                             char ret_text[static CONFIG_TAKEN_MAX]) {
    (void)s;
    memcpy(ret_text, text, len);
    ret_text[len] = '\0';
    return parse_name_ok(ret_text, CONFIG_CONTAINER_MAX) ? NULL : NO_NAME;
}

const char *config_take_container(const struct config_setting *s, const char *text, size_t len,
                                  char ret_text[static CONFIG_TAKEN_MAX]) {
    int at;
    const char *fault = mark_put(s, text, len, 'i', ret_text, &at);

    if (fault != NULL) {
        return fault;
    }
    if (!parse_name_ok(ret_text, at == NO_MARK ? CONFIG_CONTAINER_MAX
                                               : CONFIG_CONTAINER_MAX - CONFIG_NAME_MAX + 1)) {
        return at == NO_MARK ? NO_NAME
                             : "is not a name that Docker has (at most 255 of letters, digits and "
                               "_.-, a letter or digit first; %i may be 63 long)";
    }
    mark_replace(ret_text, at);
    return NULL;
}
_Static_assert(CONFIG_NAME_MAX == 63, "as the text says");

/* `*.` and a host name. NULL or what is wrong. */
static const char *take_wildcard(const char *text, size_t len,
                                 char ret_text[static CONFIG_TAKEN_MAX]) {
    if (parse_host(text + 2, len - 2, ret_text + 2) < 0) {
        return "is not `*.` and a host name";
    }
    if (parse_host_is_ip(ret_text + 2)) {
        return "is a wildcard below an IP address";
    }
    memcpy(ret_text, "*.", 2);
    return NULL;
}

static bool is_wildcard(const char *text, size_t len) {
    return len >= 2 && memcmp(text, "*.", 2) == 0;
}

const char *config_take_host(const struct config_setting *s, const char *text, size_t len,
                             char ret_text[static CONFIG_TAKEN_MAX]) {
    char marked[CONFIG_TAKEN_MAX];
    char host[PARSE_HOST_MAX];
    const char *fault;
    const char *dot;
    int at;

    if (is_wildcard(text, len)) {
        return take_wildcard(text, len, ret_text);
    }
    fault = mark_put(s, text, len, 'i', marked, &at);
    if (fault != NULL) {
        return fault;
    }
    if (parse_host(marked, strlen(marked), host) < 0) {
        return "is not a host name or IP address (and has no port)";
    }
    dot = strchr(host, '.');
    if (at != NO_MARK && dot != NULL && at > dot - host) {
        return "has %i behind the first dot";
    }
    memcpy(ret_text, host, strlen(host) + 1);
    mark_replace(ret_text, at);
    return NULL;
}

const char *config_take_sni(const struct config_setting *s, const char *text, size_t len,
                            char ret_text[static CONFIG_TAKEN_MAX]) {
    (void)s;
    if (is_wildcard(text, len)) {
        return take_wildcard(text, len, ret_text);
    }
    /* RFC 6066, 3: literal addresses are not permitted. */
    return parse_host(text, len, ret_text) < 0 || parse_host_is_ip(ret_text)
               ? "is not a host name, with or without `*.` before it"
               : NULL;
}

int config_set_cookie(const struct config_setting *s) {
    char value[CONFIG_TAKEN_MAX];
    const char *equals = strchr(s->value, '=');
    size_t name_len = equals != NULL ? (size_t)(equals - s->value) : 0;
    const char *fault;
    int at;

    if (equals == NULL || !parse_token_ok(s->value, name_len)) {
        return complain(s, s->value, strlen(s->value), "is not a cookie as NAME=VALUE");
    }
    fault = mark_put(s, equals + 1, strlen(equals + 1), 'i', value, &at);
    if (fault != NULL) {
        return complain(s, s->value, strlen(s->value), fault);
    }
    /* RFC 6265, 4.1.1: cookie-octet. */
    if (value[0] == '\0' || strpbrk(value, " \t\",;\\") != NULL) {
        return complain(s, s->value, strlen(s->value),
                        "has a value that no cookie has (something, without blanks and \",;\\)");
    }
    for (const char *p = value; *p != '\0'; p++) {
        if ((unsigned char)*p >= 0x7f) {
            return complain(s, s->value, strlen(s->value), "has a value that is not ASCII");
        }
    }
    mark_replace(value, at);
    s->app->cookie_name = strndup(s->value, name_len);
    s->app->cookie_value = strdup(value);
    return s->app->cookie_name != NULL && s->app->cookie_value != NULL ? 0 : -ENOMEM;
}

/* --- paths and addresses --------------------------------------------------------------------- */

/* Visible ASCII without what a URI cannot have (RFC 3986, 2). */
static bool is_uri(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] >= 0x7f || strchr("\"<>\\^`{|}", text[i]) != NULL) {
            return false;
        }
    }
    return true;
}

/* What a prefix in whole segments must be, in marked, which may have '\x01' in place of `%i`. */
static const char *take_prefix(char *marked, char ret_text[static CONFIG_TAKEN_MAX]) {
    size_t len = strlen(marked);
    char canonical[CONFIG_PATH_MAX];
    unsigned segments = 0;
    int n;

    for (const char *p = marked; *p != '\0'; p++) {
        if (*p != '\x01' && (!is_uri(p, 1) || *p == '?' || *p == '#')) {
            return "is not a path (a slash first, in ASCII, with %XX for all other characters, "
                   "no ? and no #)";
        }
    }
    if (marked[0] != '/' || !parse_percent_ok(marked, len)) {
        return "is not a path (a slash first, and two hex digits after each %)";
    }
    if (len == 1) {
        return "is every path; leave it out";
    }
    n = config_path_canonical(marked, len, canonical);
    if (n <= 0) {
        return "has a segment . or ..";
    }
    if (canonical[n - 1] == '/') {
        n--;
    }
    memcpy(ret_text, canonical, (size_t)n); /* it has become no longer */
    ret_text[n] = '\0';
    if (strstr(ret_text, "//") != NULL || ret_text[n - 1] == '/') {
        return "has an empty segment";
    }
    for (const char *p = ret_text; *p != '\0'; p++) {
        segments += *p == '/';
    }
    return segments > CONFIG_SEGMENTS_MAX ? "has more than 16 segments" : NULL;
}
_Static_assert(CONFIG_SEGMENTS_MAX == 16, "as the text says");

const char *config_take_path(const struct config_setting *s, const char *text, size_t len,
                             char ret_text[static CONFIG_TAKEN_MAX]) {
    char copy[CONFIG_TAKEN_MAX];

    (void)s;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return take_prefix(copy, ret_text);
}

const char *config_take_route_path(const struct config_setting *s, const char *text, size_t len,
                                   char ret_text[static CONFIG_TAKEN_MAX]) {
    static const char own[] = "/_dockwake";
    char marked[CONFIG_TAKEN_MAX];
    const char *mark;
    int at;
    const char *fault = mark_put(s, text, len, '\x01', marked, &at);

    if (fault == NULL) {
        fault = take_prefix(marked, ret_text);
    }
    if (fault != NULL) {
        return fault;
    }
    if (strncmp(ret_text, own, sizeof(own) - 1) == 0 &&
        (ret_text[sizeof(own) - 1] == '\0' || ret_text[sizeof(own) - 1] == '/')) {
        return "is below /_dockwake, where dockwake's own pages are";
    }
    mark = strchr(ret_text, '\x01');
    mark_replace(ret_text, mark != NULL ? (int)(mark - ret_text) : NO_MARK);
    return NULL;
}

/* [health] path: with a query, and less strict than routes are, as no stranger has to match it. */
const char *config_take_url_path(const struct config_setting *s, const char *text, size_t len,
                                 char ret_text[static CONFIG_TAKEN_MAX]) {
    bool ok = text[0] == '/';

    (void)s;
    for (size_t i = 0; i < len; i++) {
        ok = ok && text[i] > ' ' && text[i] < 0x7f && text[i] != '#';
    }
    memcpy(ret_text, text, len);
    ret_text[len] = '\0';
    return ok ? NULL : "is not a path (a slash first, no blanks, no #)";
}

/* `//x` would be another host. */
static bool is_place(const char *text, size_t len) {
    return text[0] == '/' && text[1] != '/' && is_uri(text, len) && parse_percent_ok(text, len);
}

const char *config_take_place(const struct config_setting *s, const char *text, size_t len,
                              char ret_text[static CONFIG_TAKEN_MAX]) {
    (void)s;
    memcpy(ret_text, text, len);
    ret_text[len] = '\0';
    return is_place(ret_text, len)
               ? NULL
               : "is not a path (one slash first, no blanks, two hex digits after each %)";
}

/* Whether the text after http:// or https:// begins with HOST or HOST:PORT. */
static bool is_authority(const char *text) {
    size_t len = strcspn(text, "/?#");
    size_t host_len = len;
    char host[PARSE_HOST_MAX];
    char port[6];
    uint16_t number;

    while (host_len > 0 && text[host_len - 1] >= '0' && text[host_len - 1] <= '9') {
        host_len--;
    }
    if (host_len > 0 && text[host_len - 1] == ':' && len - host_len < sizeof(port)) {
        memcpy(port, text + host_len, len - host_len);
        port[len - host_len] = '\0';
        if (parse_port(port, &number) < 0) {
            return false;
        }
        host_len--;
    } else {
        host_len = len;
    }
    /* Without brackets an IPv6 address would swallow the port. */
    return host_len > 0 && (text[0] == '[' || memchr(text, ':', host_len) == NULL) &&
           parse_host(text, host_len, host) == 0;
}

const char *config_take_place_or_url(const struct config_setting *s, const char *text, size_t len,
                                     char ret_text[static CONFIG_TAKEN_MAX]) {
    static const char *const schemes[] = {"http://", "https://"};

    (void)s;
    memcpy(ret_text, text, len);
    ret_text[len] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
        size_t n = strlen(schemes[i]);

        if (strncmp(ret_text, schemes[i], n) == 0 && is_uri(ret_text, len) &&
            parse_percent_ok(ret_text, len) && is_authority(ret_text + n)) {
            return NULL;
        }
    }
    return is_place(ret_text, len)
               ? NULL
               : "is neither a path (one slash first) nor an http:// or https:// address";
}

/* --- others ---------------------------------------------------------------------------------- */

const char *config_take_docker(const struct config_setting *s, const char *text, size_t len,
                               char ret_text[static CONFIG_TAKEN_MAX]) {
    char copy[CONFIG_TAKEN_MAX];
    const char *path;
    int r;

    (void)s;
    memcpy(copy, text, len);
    copy[len] = '\0';
    r = parse_unix_path(copy, &path);
    if (r < 0) {
        return r == -ERANGE ? "is too long for a Unix socket"
                            : "is neither unix:///PATH nor an absolute path";
    }
    memcpy(ret_text, path, strlen(path) + 1);
    return NULL;
}

const char *config_take_text(const struct config_setting *s, const char *text, size_t len,
                             char ret_text[static CONFIG_TAKEN_MAX]) {
    (void)s;
    memcpy(ret_text, text, len);
    ret_text[len] = '\0';
    return NULL;
}

const char *config_take_title(const struct config_setting *s, const char *text, size_t len,
                              char ret_text[static CONFIG_TAKEN_MAX]) {
    return len > CONFIG_TITLE_MAX ? "is longer than 200 bytes"
                                  : config_take_text(s, text, len, ret_text);
}
_Static_assert(CONFIG_TITLE_MAX == 200, "as the text says");

/* Methods are case-sensitive (RFC 9110, 9.1), and none that is registered has a small letter. */
const char *config_take_method(const struct config_setting *s, const char *text, size_t len,
                               char ret_text[static CONFIG_TAKEN_MAX]) {
    bool ok = parse_token_ok(text, len);

    for (size_t i = 0; i < len; i++) {
        ok = ok && (text[i] < 'a' || text[i] > 'z');
    }
    return ok ? config_take_text(s, text, len, ret_text) : "is not a method, like GET";
}
