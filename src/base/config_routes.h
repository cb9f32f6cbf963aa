/*
 * config_routes.h - what claims are entered into (config_claim.c) and found in (config_route.c).
 *
 * A host name leads to the root of a tree of path segments, one hash look-up for each step:
 *
 *     hosts      "web.example.com"             exact
 *     suffixes   ".example.com"                `*.example.com`, and templates like %i.example.com
 *     no_host                                  apps without a host
 *
 * A node of the tree is a place: a host and a path. What is claimed there are the values of a few
 * cookies, each in a map of its own, and the place itself, without a cookie. The number of apps
 * thus matters to no look-up. Texts with `%i` cannot be hashed; of those there are at most
 * CONFIG_PATTERNS_MAX at one place, tried one after the other.
 */
#pragma once

#include "config_internal.h"

struct route_pattern {
    struct config_pattern pattern;
    void *value;
};

/* The one with the longest text beside its `%i` first. All zero: none. */
struct route_patterns {
    size_t n;
    struct route_pattern *items; /* CONFIG_PATTERNS_MAX, once there is one */
};

/* One cookie's values at a place. */
struct route_cookie {
    const char *name;
    struct strmap values; /* to struct config_entry */
    struct route_patterns patterns;
};

struct route_node {
    struct route_node *next;        /* of all, for freeing */
    struct strmap children;         /* by segment, to struct route_node */
    struct route_patterns patterns; /* the same for segments with `%i` */
    struct config_entry *entry;     /* without a cookie; NULL: unclaimed */
    struct config_entry *fallback;  /* the first of those with a cookie that has a fallback */
    size_t n_cookies;
    struct route_cookie *cookies; /* CONFIG_COOKIES_MAX, once there is one */
};

/* What host names may end with. */
struct route_suffix {
    struct route_suffix *next; /* of all, for freeing */
    void *wildcard; /* a struct route_node; of TLS names a struct config_entry; NULL: unclaimed */
    struct route_patterns patterns; /* of whole host names, to struct route_node */
};

/* By what follows the first label, with its dot; "" for names of one label. */
struct route_suffixes {
    struct strmap map;
    struct route_suffix *all;
    uint64_t labels[2]; /* which numbers of labels there are: no other need be looked up */
};

struct config_routes {
    struct strmap hosts; /* to struct route_node */
    struct route_suffixes suffixes;
    struct route_node *no_host;
    struct route_node *nodes;

    struct strmap snis; /* exact ones, to struct config_entry */
    struct route_suffixes sni_suffixes;
    struct strmap ports;
    struct config_entry *fallthrough; /* the default app */
};

/* Walks over the suffixes of a host name, the longest first. All members but first are its own. */
struct route_walk {
    const struct route_suffixes *suffixes;
    const char *at, *end;
    size_t labels;
};

void route_walk_init(struct route_walk *walk, const struct route_suffixes *suffixes,
                     const char *host, size_t len);
/* NULL at the end. */
const struct route_suffix *route_walk_next(struct route_walk *walk);
