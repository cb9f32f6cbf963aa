/*
 * config_keys.c - every key that exists: where it belongs, of what kind it is, what it may be.
 *
 * A key whose behaviour does not exist is not in the table, and so refused. Adding one is a line
 * here and a member in config.h. In [defaults] keys go by their name alone; where two sections have
 * one of a name (path in [route] and [health]), at most one of them may have a default.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config_kinds.h"
#include "util.h"

#define SECOND USEC_PER_SEC
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

static const char *const on_failure_words[] = {"stop", "leave", NULL};
static const char *const check_words[] = {"auto", "docker", "http", "tcp", "none", NULL};
static const char *const balance_words[] = {"round_robin", "least_connections", NULL};
static const char *const wait_words[] = {"auto", "hold", "page", "redirect", NULL};
static const char *const proxy_words[] = {"no", "v1", "v2", NULL};

#define IN_FRONT(m)  CONFIG_FRONT, false, offsetof(struct config_front, m)
#define IN_ENGINE(m) CONFIG_ENGINE, false, offsetof(struct config_engine, m)
#define IN_APP(m)    CONFIG_APP, false, offsetof(struct config_app, m)
#define OWN(m)       CONFIG_APP, true, offsetof(struct config_app, m)

#define SPAN(low, high, text)  .set = config_set_span, .min = (low), .max = (high), .range = (text)
#define COUNT(low, high, text) .set = config_set_count, .min = (low), .max = (high), .range = (text)
#define BOOL                   .set = config_set_bool
#define PORT                   .set = config_set_port
#define NETS                   .set = config_set_nets
#define WORD(choice)           .set = config_set_word, .words = (choice)
#define TEXT(kind)             .set = config_set_text, .take = (kind)
#define LIST(kind)             .set = config_set_list, .take = (kind), .max = CONFIG_LIST_MAX
#define ITEMS(kind)            .set = config_set_items, .take = (kind), .max = CONFIG_LIST_MAX

/* clang-format off */
const struct config_key config_keys[] = {
    {"front", "exit_idle", IN_FRONT(exit_idle), SPAN(0, DAY, "0 to 1d")},
    {"front", "head_timeout", IN_FRONT(head_timeout),
     SPAN(100 * USEC_PER_MSEC, HOUR, "100ms to 1h")},
    {"front", "head_limit", IN_FRONT(head_limit),
     .set = config_set_size, .min = 1024, .max = 65536, .range = "1K to 64K"},
    {"front", "keepalive_timeout", IN_FRONT(keepalive_timeout), SPAN(SECOND, DAY, "1s to 1d")},
    {"front", "stall_timeout", IN_FRONT(stall_timeout), SPAN(SECOND, DAY, "1s to 1d")},
    {"front", "max_connections", IN_FRONT(max_connections), COUNT(1, 1000000, "1 to 1000000")},
    {"front", "max_per_address", IN_FRONT(max_per_address),
     COUNT(0, 1000000, "0 (no limit) to 1000000")},
    {"front", "workers", IN_FRONT(workers), .set = config_set_workers,
     .min = 1, .max = CONFIG_WORKERS_MAX, .range = "auto, or 1 to 64"},
    {"front", "trusted_proxies", IN_FRONT(trusted_proxies), NETS},
    {"front", "proxy_protocol", IN_FRONT(proxy_protocol), BOOL},

    {"engine", "docker", IN_ENGINE(docker), TEXT(config_take_docker)},

    {"app", "container", OWN(container), TEXT(config_take_container)},
    {"app", "containers", OWN(members), LIST(config_take_name)},
    {"app", "balance", IN_APP(balance), WORD(balance_words)},
    {"app", "port", OWN(port), PORT},
    {"app", "network", IN_APP(network), TEXT(config_take_name)},
    {"app", "address", IN_APP(address), .set = config_set_address},
    {"app", "start_timeout", IN_APP(start_timeout), SPAN(SECOND, HOUR, "1s to 1h")},
    {"app", "idle_timeout", IN_APP(idle_timeout), SPAN(0, 365 * DAY, "0 (never) to 365d")},
    {"app", "stop_timeout", IN_APP(stop_timeout), SPAN(0, HOUR, "0 to 1h")},
    {"app", "on_failure", IN_APP(on_failure), WORD(on_failure_words)},

    {"route", "host", OWN(hosts),
     .set = config_set_hosts, .take = config_take_host, .max = CONFIG_HOSTS_MAX},
    {"route", "path", OWN(path), TEXT(config_take_route_path)},
    {"route", "strip_path", OWN(strip_path), BOOL},
    {"route", "cookie", OWN(cookie_name), .set = config_set_cookie},
    {"route", "fallback", OWN(fallback), TEXT(config_take_place_or_url)},
    {"route", "default", OWN(is_default), BOOL},
    {"route", "sni", OWN(snis), LIST(config_take_sni)},
    {"route", "port", OWN(listen_port), PORT},

    {"health", "check", IN_APP(check), WORD(check_words)},
    {"health", "path", IN_APP(health_path), TEXT(config_take_url_path)},
    {"health", "port", OWN(health_port), PORT},
    {"health", "expect", IN_APP(expect), .set = config_set_expect},
    {"health", "interval", IN_APP(interval), SPAN(USEC_PER_MSEC, MINUTE, "1ms to 1min")},
    {"health", "grace", IN_APP(grace), SPAN(0, HOUR, "0 to 1h")},

    {"wait", "mode", IN_APP(wait), WORD(wait_words)},
    {"wait", "page_after", IN_APP(page_after), SPAN(0, HOUR, "0 to 1h")},
    {"wait", "redirect_path", IN_APP(redirect_path), TEXT(config_take_place)},
    {"wait", "title", IN_APP(title), TEXT(config_take_title)},
    {"wait", "page", IN_APP(page), .set = config_set_page},
    {"wait", "show_logs", IN_APP(show_logs), BOOL},
    {"wait", "max_waiting", IN_APP(max_waiting), COUNT(1, 1000000, "1 to 1000000")},

    {"idle", "silence", IN_APP(silence), SPAN(0, 365 * DAY, "0 (never) to 365d")},

    {"handoff", "proxy_protocol", IN_APP(proxy_protocol), WORD(proxy_words)},

    {"wake", "allow_from", IN_APP(allow_from), NETS},
    {"wake", "deny_from", IN_APP(deny_from), NETS},
    {"wake", "methods", IN_APP(methods), LIST(config_take_method)},
    {"wake", "deny_user_agent", IN_APP(deny_user_agent), ITEMS(config_take_text)},
    {"wake", "deny_path", IN_APP(deny_path), LIST(config_take_path)},
    {"wake", "rate", IN_APP(rate), .set = config_set_rate,
     .min = 1, .max = 1000000, .range = "1 to 1000000, in 1s to 1d"},
    {"wake", "asleep_status", IN_APP(asleep_status), COUNT(200, 599, "200 to 599")},
};
/* clang-format on */

const size_t config_keys_n = ARRAY_SIZE(config_keys);

_Static_assert(ARRAY_SIZE(config_keys) <= CONFIG_KEYS_MAX, "every key has a place in config_seen");
_Static_assert(ARRAY_SIZE(on_failure_words) == ON_FAILURE_LEAVE + 2, "a word for each");
_Static_assert(ARRAY_SIZE(check_words) == CHECK_NONE + 2, "a word for each");
_Static_assert(ARRAY_SIZE(balance_words) == BALANCE_LEAST_CONNECTIONS + 2, "a word for each");
_Static_assert(ARRAY_SIZE(wait_words) == WAIT_REDIRECT + 2, "a word for each");
_Static_assert(ARRAY_SIZE(proxy_words) == PROXY_PROTOCOL_V2 + 2, "a word for each");
_Static_assert(CONFIG_WORKERS_MAX == 64, "as the text says");
/* config_set_word() writes any of the enums. */
_Static_assert(sizeof(enum config_check) == sizeof(unsigned) &&
                   sizeof(enum config_on_failure) == sizeof(unsigned) &&
                   sizeof(enum config_balance) == sizeof(unsigned) &&
                   sizeof(enum config_wait) == sizeof(unsigned) &&
                   sizeof(enum config_proxy) == sizeof(unsigned),
               "enums have one size");

int config_target_init(const struct config_target *target) {
    *target->front = (struct config_front){
        .exit_idle = 30 * SECOND,
        .head_timeout = 15 * SECOND,
        .head_limit = 16384,
        .max_connections = 10000,
        .max_per_address = 2000,
        .keepalive_timeout = MINUTE,
        .stall_timeout = 2 * MINUTE,
    };
    *target->app = (struct config_app){
        .start_timeout = 60 * SECOND,
        .idle_timeout = 900 * SECOND,
        .stop_timeout = 10 * SECOND,
        .page_after = 2 * SECOND,
        .max_waiting = 4096,
        .silence = USEC_INFINITY, /* idle_timeout: config_app_complete() */
        .asleep_status = 503,
        .n_expect = 1,
        .expect = {{200, 399}},
        .interval = 50 * USEC_PER_MSEC,
        .grace = SECOND,
    };
    target->engine->docker = strdup("/run/docker.sock");
    return target->engine->docker != NULL ? 0 : -ENOMEM;
}

bool config_section_known(enum config_scope scope, const char *section) {
    if (scope == CONFIG_SCOPE_MAIN && strcmp(section, "defaults") == 0) {
        return true;
    }
    for (size_t i = 0; i < ARRAY_SIZE(config_keys); i++) {
        if ((config_keys[i].object == CONFIG_APP) == (scope == CONFIG_SCOPE_APP) &&
            strcmp(config_keys[i].section, section) == 0) {
            return true;
        }
    }
    return false;
}

unsigned config_key_line(const struct config_seen *seen, enum config_object object, size_t offset) {
    for (size_t i = 0; i < ARRAY_SIZE(config_keys); i++) {
        if (config_keys[i].offset == offset && config_keys[i].object == object) {
            return seen->lines[i];
        }
    }
    return 0;
}

/* The index in config_keys, or -1. */
static int key_find(const char *section, const char *name) {
    for (size_t i = 0; i < ARRAY_SIZE(config_keys); i++) {
        if (strcmp(config_keys[i].name, name) == 0 &&
            strcmp(config_keys[i].section, section) == 0) {
            return (int)i;
        }
    }
    return -1;
}

/* The same for [defaults]: rather one that may be there than one that may not. */
static int key_find_default(const char *name) {
    int found = -1;

    for (size_t i = 0; i < ARRAY_SIZE(config_keys); i++) {
        if (config_keys[i].object == CONFIG_APP && strcmp(config_keys[i].name, name) == 0 &&
            (found < 0 || !config_keys[i].own)) {
            found = (int)i;
        }
    }
    return found;
}

int config_key_apply(enum config_scope scope, const struct config_target *target,
                     struct config_seen *seen, struct config_place *place, const char *section,
                     const char *name, const char *value) {
    bool defaults = scope == CONFIG_SCOPE_MAIN && strcmp(section, "defaults") == 0;
    int i = defaults ? key_find_default(name) : key_find(section, name);
    const struct config_key *key;
    void *object;

    if (i < 0) {
        return config_complain(place, "unknown key '" CONFIG_CLIP "' in [" CONFIG_CLIP "]", name,
                               section);
    }
    key = &config_keys[i];
    if (seen->lines[i] != 0) {
        return config_complain(place, "%s: already given in line %u", name, seen->lines[i]);
    }
    seen->lines[i] = place->line;
    if (defaults && key->own) {
        return config_complain(
            place, "%s: belongs to one app and has no default; put it into the app's own file",
            name);
    }
    if (value[0] == '\0') {
        return config_complain(place, "%s: has no value", name);
    }
    object = key->object == CONFIG_FRONT    ? (void *)target->front
             : key->object == CONFIG_ENGINE ? (void *)target->engine
                                            : (void *)target->app;
    return key->set(&(struct config_setting){
        .key = key,
        .member = (char *)object + key->offset,
        .app = key->object == CONFIG_APP ? target->app : NULL,
        .pages = target->pages,
        .value = value,
        .scope = scope,
        .place = place,
    });
}
