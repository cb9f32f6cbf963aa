/*
 * config_route.c - which app a request, a TLS server name or a port belongs to.
 *
 * Hosts are tried from the exact one to none, and below each one the tree of paths is walked as deep
 * as the request's path goes. The walk is a recursion that goes down first and then looks at where
 * it is, so that the longest path is seen first; and into plain segments before those with `%i`, so
 * that of places equally deep the first one that is seen counts. It ends where no claim goes further:
 * at most CONFIG_SEGMENTS_MAX deep, as there are no deeper ones, and a path has at most one `%i`.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "config_routes.h"
#include "parse.h"

void route_walk_init(struct route_walk *walk, const struct route_suffixes *suffixes,
                     const char *host, size_t len) {
    *walk = (struct route_walk){.suffixes = suffixes, .at = host, .end = host + len};
    for (size_t i = 0; i < len; i++) {
        walk->labels += host[i] == '.';
    }
}

const struct route_suffix *route_walk_next(struct route_walk *walk) {
    const struct route_suffix *suffix = NULL;

    while (suffix == NULL && walk->at != NULL) {
        const char *dot = memchr(walk->at, '.', (size_t)(walk->end - walk->at));

        if (dot == NULL) {
            dot = walk->end;
        }
        if ((walk->suffixes->labels[walk->labels / 64] >> (walk->labels % 64) & 1) != 0) {
            suffix = strmap_get(&walk->suffixes->map, dot, (size_t)(walk->end - dot));
        }
        walk->at = dot < walk->end ? dot + 1 : NULL;
        walk->labels--;
    }
    return suffix;
}

struct slice {
    const char *text;
    size_t len;
};

/* A request while its route is looked for, and the best that was found so far. */
struct search {
    const struct config_request *request;
    size_t n_segments; /* of the path, as far as claims could go */
    struct slice segments[CONFIG_SEGMENTS_MAX];

    unsigned depth; /* of the place that was found */
    enum config_found found;
    const struct config_entry *entry;
    struct slice instance;
    bool by_cookie;
};

static void split(struct search *search, const char *path, size_t len) {
    const char *end = path + len;

    while (path != NULL && path < end && *path == '/' && search->n_segments < CONFIG_SEGMENTS_MAX) {
        const char *segment = path + 1;

        path = memchr(segment, '/', (size_t)(end - segment));
        search->segments[search->n_segments++] =
            (struct slice){segment, (size_t)((path != NULL ? path : end) - segment)};
    }
}

/* Whether the text fits, and names the same instance as the parts of the route before. */
static bool pattern_fits(const struct route_pattern *p, struct slice text, struct slice before,
                         struct slice *ret_instance) {
    struct slice instance;

    if (!config_pattern_fits(&p->pattern, text.text, text.len, &instance.text, &instance.len) ||
        (before.len > 0 &&
         (before.len != instance.len || memcmp(before.text, instance.text, instance.len) != 0))) {
        return false;
    }
    *ret_instance = instance;
    return true;
}

static void search_found(struct search *search, enum config_found found,
                         const struct config_entry *entry, unsigned depth, struct slice instance,
                         bool by_cookie) {
    search->found = found;
    search->entry = entry;
    search->depth = depth;
    search->instance = instance;
    search->by_cookie = by_cookie;
}

/* Whether a cookie of the request decides. Plain values come before those with `%i`. */
static bool search_cookies(struct search *search, const struct route_node *node, unsigned depth,
                           struct slice instance) {
    const struct config_request *request = search->request;
    struct slice values[CONFIG_COOKIES_MAX];
    struct slice own;

    for (size_t i = 0; i < node->n_cookies; i++) {
        const struct route_cookie *cookie = &node->cookies[i];
        const struct config_entry *entry = NULL;

        values[i] = (struct slice){0};
        if (request->cookie != NULL) {
            values[i].text = request->cookie(request->user, cookie->name, &values[i].len);
        }
        if (values[i].text != NULL) {
            entry = strmap_get(&cookie->values, values[i].text, values[i].len);
        }
        if (entry != NULL) {
            search_found(search, CONFIG_FOUND_APP, entry, depth, instance, true);
            return true;
        }
    }
    for (size_t i = 0; i < node->n_cookies; i++) {
        const struct route_patterns *patterns = &node->cookies[i].patterns;

        for (size_t j = 0; values[i].text != NULL && j < patterns->n; j++) {
            if (pattern_fits(&patterns->items[j], values[i], instance, &own)) {
                search_found(search, CONFIG_FOUND_APP, patterns->items[j].value, depth, own, true);
                return true;
            }
        }
    }
    return false;
}

/* What is claimed at one place. */
static void search_place(struct search *search, const struct route_node *node, unsigned depth,
                         struct slice instance) {
    if (search_cookies(search, node, depth, instance)) {
        return;
    }
    if (node->entry != NULL) {
        search_found(search, CONFIG_FOUND_APP, node->entry, depth, instance, false);
    } else if (node->fallback != NULL) {
        search_found(search, CONFIG_FOUND_FALLBACK, node->fallback, depth, instance, false);
    }
}

static void search_node(struct search *search, const struct route_node *node, unsigned depth,
                        struct slice instance) {
    if (depth < search->n_segments) {
        struct slice segment = search->segments[depth];
        const struct route_node *child = strmap_get(&node->children, segment.text, segment.len);
        struct slice own;

        if (child != NULL) {
            search_node(search, child, depth + 1, instance);
        }
        for (size_t i = 0; i < node->patterns.n; i++) {
            if (pattern_fits(&node->patterns.items[i], segment, instance, &own)) {
                search_node(search, node->patterns.items[i].value, depth + 1, own);
            }
        }
    }
    if (search->found == CONFIG_FOUND_NONE || depth > search->depth) {
        search_place(search, node, depth, instance);
    }
}

/* Whether anything was found below the host. */
static bool search_host(struct search *search, const struct route_node *root,
                        struct slice instance) {
    if (root != NULL) {
        search_node(search, root, 0, instance);
    }
    return search->found != CONFIG_FOUND_NONE;
}

/* The hosts that are not exact. */
static bool search_suffixes(struct search *search, const struct config_routes *routes,
                            const char *host, size_t len) {
    const struct slice whole = {host, len};
    const struct slice no_instance = {0};
    const struct route_suffix *suffix;
    struct route_walk walk;

    route_walk_init(&walk, &routes->suffixes, host, len);
    while ((suffix = route_walk_next(&walk)) != NULL) {
        struct slice own;

        /* They have a dot after the `%i`, or none: only the longest suffix's can fit. */
        for (size_t i = 0; i < suffix->patterns.n; i++) {
            const struct route_pattern *p = &suffix->patterns.items[i];

            if (pattern_fits(p, whole, no_instance, &own) && search_host(search, p->value, own)) {
                return true;
            }
        }
        if (search_host(search, suffix->wildcard, no_instance)) {
            return true;
        }
    }
    return false;
}

void config_find(const struct config *config, const struct config_request *request,
                 struct config_route *ret_route) {
    const struct config_routes *routes = config->index->routes;
    const struct slice no_instance = {0};
    struct search search = {.request = request};
    char host[PARSE_HOST_MAX];
    bool found = false;

    split(&search, request->path, request->path != NULL ? request->path_len : 0);
    if (request->host_len > 0 && parse_host(request->host, request->host_len, host) == 0) {
        size_t len = strlen(host);

        found = search_host(&search, strmap_get(&routes->hosts, host, len), no_instance) ||
                search_suffixes(&search, routes, host, len);
    }
    if (!found && !search_host(&search, routes->no_host, no_instance) &&
        routes->fallthrough != NULL) {
        search_found(&search, CONFIG_FOUND_APP, routes->fallthrough, 0, no_instance, false);
    }
    *ret_route = (struct config_route){
        .found = search.found,
        .app = search.entry != NULL ? &search.entry->app : NULL,
        .by_cookie = search.by_cookie,
        .segments = search.depth,
    };
    if (search.entry != NULL && search.entry->app.is_template && search.instance.len > 0) {
        memcpy(ret_route->instance, search.instance.text, search.instance.len);
    }
}

void config_find_sni(const struct config *config, const char *name, size_t len,
                     struct config_route *ret_route) {
    const struct config_routes *routes = config->index->routes;
    const struct config_entry *entry = NULL;
    const struct route_suffix *suffix;
    struct route_walk walk;
    char host[PARSE_HOST_MAX];

    if (len > 0 && parse_host(name, len, host) == 0) {
        len = strlen(host);
        entry = strmap_get(&routes->snis, host, len);
        route_walk_init(&walk, &routes->sni_suffixes, host, len);
        if (entry == NULL && (suffix = route_walk_next(&walk)) != NULL) {
            entry = suffix->wildcard;
        }
    }
    if (entry == NULL && routes->fallthrough != NULL && routes->fallthrough->app.snis.n > 0) {
        entry = routes->fallthrough;
    }
    *ret_route = (struct config_route){
        .found = entry != NULL ? CONFIG_FOUND_APP : CONFIG_FOUND_NONE,
        .app = entry != NULL ? &entry->app : NULL,
    };
}

bool config_has_sni(const struct config *config) {
    const struct config_routes *routes = config->index->routes;

    return routes->snis.n > 0 || routes->sni_suffixes.map.n > 0;
}

const struct config_app *config_app_by_port(const struct config *config, uint16_t port) {
    return strmap_get(&config->index->routes->ports, &port, sizeof(port));
}

const struct config_app *config_app_by_host(const struct config *config, const char *host,
                                            size_t len) {
    const struct config_request request = {
        .host = host, .host_len = len, .path = "/", .path_len = 1};
    struct config_route route;

    config_find(config, &request, &route);
    return route.found == CONFIG_FOUND_APP ? route.app : NULL;
}

bool config_fallback_loops(const struct config *config, const struct config_app *app) {
    size_t len = strcspn(app->fallback, "?#");
    char path[CONFIG_PATH_MAX];
    int n = config_path_canonical(app->fallback, len, path);

    /* Below `*.` and %i there are too many hosts to look at. */
    for (size_t i = 0; n > 0 && (i < app->n_hosts || i == 0); i++) {
        const char *host = app->n_hosts > 0 ? app->hosts[i] : "";
        const struct config_request request = {
            .host = host, .host_len = strlen(host), .path = path, .path_len = (size_t)n};
        struct config_route route;

        if (strpbrk(host, "*%") != NULL) {
            continue;
        }
        config_find(config, &request, &route);
        assert(route.found == CONFIG_FOUND_NONE || route.app != NULL);
        if (route.found == CONFIG_FOUND_FALLBACK &&
            strcmp(route.app->fallback, app->fallback) == 0) {
            return true;
        }
    }
    return false;
}
