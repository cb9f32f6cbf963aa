/*
 * config_claim.c - enters what apps claim: hosts, paths, cookies, TLS names, ports, the default.
 *
 * The first app that claims something has it, be it broken; whoever comes second is in error. Keys
 * of the maps are pieces of the apps' own texts.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_routes.h"

int config_routes_new(struct config_routes **ret_routes) {
    struct config_routes *routes = calloc(1, sizeof(*routes));

    if (routes != NULL) {
        *ret_routes = routes;
    }
    return routes != NULL ? 0 : -ENOMEM;
}

static void cookies_free(struct route_node *node) {
    for (size_t i = 0; i < node->n_cookies; i++) {
        strmap_done(&node->cookies[i].values);
        free(node->cookies[i].patterns.items);
    }
    free(node->cookies);
}

static void suffixes_done(struct route_suffixes *suffixes) {
    struct route_suffix *next;

    for (struct route_suffix *suffix = suffixes->all; suffix != NULL; suffix = next) {
        next = suffix->next;
        free(suffix->patterns.items);
        free(suffix);
    }
    strmap_done(&suffixes->map);
}

void config_routes_free(struct config_routes *routes) {
    struct route_node *next;

    if (routes == NULL) {
        return;
    }
    for (struct route_node *node = routes->nodes; node != NULL; node = next) {
        next = node->next;
        cookies_free(node);
        strmap_done(&node->children);
        free(node->patterns.items);
        free(node);
    }
    suffixes_done(&routes->suffixes);
    suffixes_done(&routes->sni_suffixes);
    strmap_done(&routes->hosts);
    strmap_done(&routes->snis);
    strmap_done(&routes->ports);
    free(routes);
}

/* --- building -------------------------------------------------------------------------------- */

/* What stops a claim. -ENOMEM beside them. */
enum { TAKEN = -EEXIST, TOO_MANY_PATTERNS = -E2BIG, TOO_MANY_COOKIES = -ENOSPC };

static int node_new(struct config_routes *routes, struct route_node **ret_node) {
    struct route_node *node = calloc(1, sizeof(*node));

    if (node == NULL) {
        return -ENOMEM;
    }
    node->next = routes->nodes;
    routes->nodes = node;
    *ret_node = node;
    return 0;
}

/* The node that a map has for the key, made where there is none. */
static int map_node(struct config_routes *routes, struct strmap *map, const char *key, size_t len,
                    struct route_node **ret_node) {
    struct route_node *node = strmap_get(map, key, len);
    int r = 0;

    if (node == NULL) {
        r = node_new(routes, &node);
        if (r == 0) {
            r = strmap_put(map, key, len, node);
        }
    }
    if (r == 0) {
        *ret_node = node;
    }
    return r;
}

static size_t literal_len(const struct config_pattern *pattern) {
    return pattern->before_len + pattern->after_len;
}

static bool same_pattern(const struct config_pattern *a, const struct config_pattern *b) {
    return a->before_len == b->before_len && a->after_len == b->after_len &&
           memcmp(a->before, b->before, a->before_len) == 0 &&
           memcmp(a->after, b->after, a->after_len) == 0;
}

static struct route_pattern *patterns_find(const struct route_patterns *patterns,
                                           const struct config_pattern *pattern) {
    for (size_t i = 0; i < patterns->n; i++) {
        if (same_pattern(&patterns->items[i].pattern, pattern)) {
            return &patterns->items[i];
        }
    }
    return NULL;
}

/* Adds a new one, in its place. */
static int patterns_add(struct route_patterns *patterns, const struct config_pattern *pattern,
                        void *value) {
    size_t i = patterns->n;

    if (patterns->n == CONFIG_PATTERNS_MAX) {
        return TOO_MANY_PATTERNS;
    }
    if (patterns->items == NULL) {
        patterns->items = calloc(CONFIG_PATTERNS_MAX, sizeof(*patterns->items));
        if (patterns->items == NULL) {
            return -ENOMEM;
        }
    }
    for (; i > 0 && literal_len(&patterns->items[i - 1].pattern) < literal_len(pattern); i--) {
        patterns->items[i] = patterns->items[i - 1];
    }
    patterns->items[i] = (struct route_pattern){*pattern, value};
    patterns->n++;
    return 0;
}

/* The node of a pattern, made where there is none. */
static int pattern_node(struct config_routes *routes, struct route_patterns *patterns,
                        const struct config_pattern *pattern, struct route_node **ret_node) {
    const struct route_pattern *known = patterns_find(patterns, pattern);
    int r;

    if (known != NULL) {
        *ret_node = known->value;
        return 0;
    }
    r = node_new(routes, ret_node);
    return r == 0 ? patterns_add(patterns, pattern, *ret_node) : r;
}

/* What is known of names that end with text, which begins with a dot or is empty. */
static int suffix_get(struct route_suffixes *suffixes, const char *text,
                      struct route_suffix **ret_suffix) {
    size_t len = strlen(text);
    struct route_suffix *suffix = strmap_get(&suffixes->map, text, len);
    size_t labels = 0;
    int r;

    if (suffix == NULL) {
        suffix = calloc(1, sizeof(*suffix));
        if (suffix == NULL) {
            return -ENOMEM;
        }
        r = strmap_put(&suffixes->map, text, len, suffix);
        if (r < 0) {
            free(suffix);
            return r;
        }
        suffix->next = suffixes->all;
        suffixes->all = suffix;
        for (size_t i = 0; i < len; i++) {
            labels += text[i] == '.';
        }
        suffixes->labels[labels / 64] |= (uint64_t)1 << (labels % 64);
    }
    *ret_suffix = suffix;
    return 0;
}

/* The root of the paths of a host; NULL is no host. */
static int host_root(struct config_routes *routes, const char *host, struct route_node **ret_node) {
    struct config_pattern pattern;
    struct route_suffix *suffix;
    struct route_node *node = NULL;
    int r;

    if (host == NULL) {
        r = routes->no_host == NULL ? node_new(routes, &routes->no_host) : 0;
        *ret_node = routes->no_host;
        return r;
    }
    if (config_pattern_find(host, strlen(host), &pattern)) {
        const char *dot = strchrnul(pattern.after, '.');

        r = suffix_get(&routes->suffixes, dot, &suffix);
        return r == 0 ? pattern_node(routes, &suffix->patterns, &pattern, ret_node) : r;
    }
    if (host[0] != '*') {
        return map_node(routes, &routes->hosts, host, strlen(host), ret_node);
    }
    r = suffix_get(&routes->suffixes, host + 1, &suffix);
    if (r == 0 && suffix->wildcard == NULL) {
        r = node_new(routes, &node);
        suffix->wildcard = node;
    }
    if (r == 0) {
        *ret_node = suffix->wildcard;
    }
    return r;
}

/* Down from a host's root by the segments of a path; NULL is none. */
static int path_place(struct config_routes *routes, const char *path, struct route_node **node) {
    int r = 0;

    while (r == 0 && path != NULL && *path == '/') {
        const char *segment = path + 1;
        size_t len = strcspn(segment, "/");
        struct config_pattern pattern;

        if (config_pattern_find(segment, len, &pattern)) {
            r = pattern_node(routes, &(*node)->patterns, &pattern, node);
        } else {
            r = map_node(routes, &(*node)->children, segment, len, node);
        }
        path = segment + len;
    }
    return r;
}

static int cookie_get(struct route_node *node, const char *name, struct route_cookie **ret_cookie) {
    for (size_t i = 0; i < node->n_cookies; i++) {
        if (strcmp(node->cookies[i].name, name) == 0) {
            *ret_cookie = &node->cookies[i];
            return 0;
        }
    }
    if (node->n_cookies == CONFIG_COOKIES_MAX) {
        return TOO_MANY_COOKIES;
    }
    if (node->cookies == NULL) {
        node->cookies = calloc(CONFIG_COOKIES_MAX, sizeof(*node->cookies));
        if (node->cookies == NULL) {
            return -ENOMEM;
        }
    }
    node->cookies[node->n_cookies].name = name;
    *ret_cookie = &node->cookies[node->n_cookies++];
    return 0;
}

static int claim_cookie(struct route_node *node, struct config_entry *entry,
                        const struct config_entry **ret_other) {
    const char *value = entry->app.cookie_value;
    const struct route_pattern *known;
    struct config_pattern pattern;
    struct route_cookie *cookie;
    int r = cookie_get(node, entry->app.cookie_name, &cookie);

    if (r < 0) {
        return r;
    }
    if (config_pattern_find(value, strlen(value), &pattern)) {
        known = patterns_find(&cookie->patterns, &pattern);
        if (known != NULL) {
            *ret_other = known->value;
            return TAKEN;
        }
        r = patterns_add(&cookie->patterns, &pattern, entry);
    } else {
        r = strmap_put(&cookie->values, value, strlen(value), entry);
        if (r == -EEXIST) {
            *ret_other = strmap_get(&cookie->values, value, strlen(value));
            return TAKEN;
        }
    }
    if (r == 0 && node->fallback == NULL && entry->app.fallback != NULL) {
        node->fallback = entry;
    }
    return r;
}

/* One host with path and cookie. */
static int claim_place(struct config_routes *routes, struct config_entry *entry, const char *host,
                       const struct config_entry **ret_other) {
    struct route_node *node = NULL;
    int r = host_root(routes, host, &node);

    if (r == 0) {
        r = path_place(routes, entry->app.path, &node);
    }
    if (r != 0) {
        return r;
    }
    assert(node != NULL);
    if (entry->app.cookie_name != NULL) {
        return claim_cookie(node, entry, ret_other);
    }
    if (node->entry != NULL) {
        *ret_other = node->entry;
        return TAKEN;
    }
    node->entry = entry;
    return 0;
}

/* --- claims ---------------------------------------------------------------------------------- */

enum { WHAT_MAX = 400 };

/* A route in words. */
static void describe(const struct config_app *app, const char *host,
                     char ret_text[static WHAT_MAX]) {
    const char *const kinds[] = {"host", "path", "cookie"};
    const char *const values[] = {host, app->path, app->cookie_name};
    const char *joint = "";
    size_t len = 0;

    ret_text[0] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (values[i] != NULL && len < WHAT_MAX) {
            len += (size_t)snprintf(ret_text + len, WHAT_MAX - len, "%s%s '%.80s%s%.80s'", joint,
                                    kinds[i], values[i], i == 2 ? "=" : "",
                                    i == 2 ? app->cookie_value : "");
            joint = joint[0] == '\0' ? " with " : " and ";
        }
    }
}

/* r: why the claim failed. Returns 0, or r when it is no complaint's business. */
static int complain(struct config_place *place, int r, const char *what,
                    const struct config_entry *entry, const struct config_entry *other,
                    unsigned other_line) {
    if (r == TOO_MANY_PATTERNS) {
        return config_complain(place, "%s: more than %d templates have their %%i here", what,
                               CONFIG_PATTERNS_MAX);
    }
    if (r == TOO_MANY_COOKIES) {
        return config_complain(place, "%s: more than %d names of cookies are wanted here", what,
                               CONFIG_COOKIES_MAX);
    }
    if (r != TAKEN || other == NULL) {
        return r;
    }
    if (other == entry) {
        return config_complain(place, "%s is given twice", what);
    }
    return config_complain(place, "%s is already claimed by %s:%u", what, other->app.file,
                           other_line);
}

static int claim_http(struct config_routes *routes, struct config_entry *entry,
                      const struct config_seen *seen, struct config_place *place) {
    const struct config_app *app = &entry->app;
    unsigned host_line = APP_LINE(seen, hosts);
    unsigned path_line = APP_LINE(seen, path);
    unsigned cookie_line = APP_LINE(seen, cookie_name);
    size_t n = host_line != 0 ? app->n_hosts : 1;

    if ((path_line != 0 && app->path == NULL) || (cookie_line != 0 && app->cookie_value == NULL) ||
        (host_line == 0 && path_line == 0 && cookie_line == 0)) {
        return 0;
    }
    entry->route_line = host_line != 0 ? host_line : path_line != 0 ? path_line : cookie_line;
    place->line = entry->route_line;
    for (size_t i = 0; i < n; i++) {
        const char *host = host_line != 0 ? app->hosts[i] : NULL;
        const struct config_entry *other = NULL;
        char what[WHAT_MAX];
        int r = claim_place(routes, entry, host, &other);

        if (r < 0) {
            describe(app, host, what);
            r = complain(place, r, what, entry, other, other != NULL ? other->route_line : 0);
        }
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int claim_sni(struct config_routes *routes, struct config_entry *entry, const char *name,
                     const struct config_entry **ret_other) {
    struct route_suffix *suffix;
    int r;

    if (name[0] != '*') {
        r = strmap_put(&routes->snis, name, strlen(name), entry);
        *ret_other = r == TAKEN ? strmap_get(&routes->snis, name, strlen(name)) : NULL;
        return r;
    }
    r = suffix_get(&routes->sni_suffixes, name + 1, &suffix);
    if (r < 0) {
        return r;
    }
    *ret_other = suffix->wildcard;
    if (suffix->wildcard != NULL) {
        return TAKEN;
    }
    suffix->wildcard = entry;
    return 0;
}

static int claim_snis(struct config_routes *routes, struct config_entry *entry,
                      struct config_place *place) {
    place->line = entry->sni_line;
    for (size_t i = 0; i < entry->app.snis.n; i++) {
        const char *name = entry->app.snis.items[i];
        const struct config_entry *other = NULL;
        char what[WHAT_MAX];
        int r = claim_sni(routes, entry, name, &other);

        if (r < 0) {
            snprintf(what, sizeof(what), "sni '%s'", name);
            r = complain(place, r, what, entry, other, other != NULL ? other->sni_line : 0);
        }
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int claim_port(struct config_routes *routes, struct config_entry *entry,
                      struct config_place *place) {
    const uint16_t *port = &entry->app.listen_port;
    const struct config_entry *other;
    char what[WHAT_MAX];
    int r = strmap_put(&routes->ports, port, sizeof(*port), entry);

    if (r < 0) {
        other = strmap_get(&routes->ports, port, sizeof(*port));
        place->line = entry->port_line;
        snprintf(what, sizeof(what), "port %u", *port);
        return complain(place, r, what, entry, other, other != NULL ? other->port_line : 0);
    }
    return 0;
}

int config_routes_claim(struct config_routes *routes, struct config_entry *entry,
                        const struct config_seen *seen, struct config_place *place) {
    int r = claim_http(routes, entry, seen, place);

    if (r == 0 && entry->app.snis.n > 0) {
        entry->sni_line = APP_LINE(seen, snis);
        r = claim_snis(routes, entry, place);
    }
    if (r == 0 && entry->app.listen_port != 0) {
        entry->port_line = APP_LINE(seen, listen_port);
        r = claim_port(routes, entry, place);
    }
    if (r == 0 && entry->app.is_default) {
        entry->default_line = APP_LINE(seen, is_default);
        place->line = entry->default_line;
        if (routes->fallthrough != NULL) {
            return complain(place, TAKEN, "default", entry, routes->fallthrough,
                            routes->fallthrough->default_line);
        }
        routes->fallthrough = entry;
    }
    return r;
}
