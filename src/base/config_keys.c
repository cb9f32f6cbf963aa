/*
 * config_keys.c - every key that exists: where it belongs, of what kind it is, what it may be.
 *
 * A key whose behaviour does not exist is not in the table, and so refused. Adding one is a line
 * here and a member in config.h.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config_internal.h"
#include "parse.h"
#include "util.h"

/* How much of a value an error repeats. */
#define CLIP "%.80s"

#define SECOND USEC_PER_SEC
#define HOUR   (3600 * USEC_PER_SEC)
#define DAY    (24 * HOUR)

struct key;
struct setting {
    const struct key *key;
    void *member;
    const char *value;
    enum config_scope scope;
    struct config_place *place;
};

/* Kinds. Each sets the member, or complains at place. Returns 0 or -ENOMEM. */
static int set_span(const struct setting *s);
static int set_size(const struct setting *s);
static int set_count(const struct setting *s);
static int set_port(const struct setting *s);
static int set_name(const struct setting *s);
static int set_word(const struct setting *s);
static int set_docker(const struct setting *s);
static int set_address(const struct setting *s);
static int set_hosts(const struct setting *s);
static int set_path(const struct setting *s);
static int set_expect(const struct setting *s);

enum object { FRONT, ENGINE, APP };

struct key {
    const char *section, *name;
    enum object object;
    bool own; /* says which app it is: not allowed in [defaults] */
    size_t offset;
    int (*set)(const struct setting *s);
    uint64_t min, max;        /* numbers, inclusive */
    const char *range;        /* the same in words */
    const char *const *words; /* set_word: in the order of the enum, NULL at the end */
};

static const char *const on_failure_words[] = {"stop", "leave", NULL};
static const char *const check_words[] = {"auto", "docker", "http", "tcp", "none", NULL};

#define IN_FRONT(m)  FRONT, false, offsetof(struct config_front, m)
#define IN_ENGINE(m) ENGINE, false, offsetof(struct config_engine, m)
#define IN_APP(m)    APP, false, offsetof(struct config_app, m)
#define OWN(m)       APP, true, offsetof(struct config_app, m)

/* clang-format off */
static const struct key keys[] = {
    {"front", "exit_idle", IN_FRONT(exit_idle), set_span, 0, DAY, "0 to 1d", NULL},
    {"front", "head_timeout", IN_FRONT(head_timeout), set_span,
     100 * USEC_PER_MSEC, HOUR, "100ms to 1h", NULL},
    {"front", "head_limit", IN_FRONT(head_limit), set_size, 1024, 65536, "1K to 64K", NULL},
    {"front", "max_connections", IN_FRONT(max_connections), set_count,
     1, 1000000, "1 to 1000000", NULL},

    {"engine", "docker", IN_ENGINE(docker), set_docker, 0, 0, NULL, NULL},

    {"app", "container", OWN(container), set_name, 0, CONFIG_CONTAINER_MAX, NULL, NULL},
    {"app", "port", OWN(port), set_port, 0, 0, NULL, NULL},
    {"app", "network", IN_APP(network), set_name, 0, CONFIG_CONTAINER_MAX, NULL, NULL},
    {"app", "address", IN_APP(address), set_address, 0, 0, NULL, NULL},
    {"app", "start_timeout", IN_APP(start_timeout), set_span, SECOND, HOUR, "1s to 1h", NULL},
    {"app", "idle_timeout", IN_APP(idle_timeout), set_span, 0, 365 * DAY,
     "0 (never) to 365d", NULL},
    {"app", "stop_timeout", IN_APP(stop_timeout), set_span, 0, HOUR, "0 to 1h", NULL},
    {"app", "on_failure", IN_APP(on_failure), set_word, 0, 0, NULL, on_failure_words},

    {"route", "host", OWN(hosts), set_hosts, 0, 0, NULL, NULL},
    {"route", "port", OWN(listen_port), set_port, 0, 0, NULL, NULL},

    {"health", "check", IN_APP(check), set_word, 0, 0, NULL, check_words},
    {"health", "path", IN_APP(health_path), set_path, 0, 0, NULL, NULL},
    {"health", "port", OWN(health_port), set_port, 0, 0, NULL, NULL},
    {"health", "expect", IN_APP(expect), set_expect, 0, 0, NULL, NULL},
    {"health", "interval", IN_APP(interval), set_span,
     USEC_PER_MSEC, 60 * SECOND, "1ms to 1min", NULL},
    {"health", "grace", IN_APP(grace), set_span, 0, HOUR, "0 to 1h", NULL},
};
/* clang-format on */

_Static_assert(ARRAY_SIZE(keys) <= CONFIG_KEYS_MAX, "every key has a place in config_seen");
_Static_assert(ARRAY_SIZE(on_failure_words) == ON_FAILURE_LEAVE + 2, "a word for each");
_Static_assert(ARRAY_SIZE(check_words) == CHECK_NONE + 2, "a word for each");
/* set_word() writes any of the enums. */
_Static_assert(sizeof(enum config_check) == sizeof(unsigned) &&
                   sizeof(enum config_on_failure) == sizeof(unsigned),
               "enums have one size");

int config_target_init(const struct config_target *target) {
    *target->front = (struct config_front){
        .exit_idle = 30 * SECOND,
        .head_timeout = 15 * SECOND,
        .head_limit = 16384,
        .max_connections = 10000,
    };
    *target->app = (struct config_app){
        .start_timeout = 60 * SECOND,
        .idle_timeout = 900 * SECOND,
        .stop_timeout = 10 * SECOND,
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
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if ((keys[i].object == APP) == (scope == CONFIG_SCOPE_APP) &&
            strcmp(keys[i].section, section) == 0) {
            return true;
        }
    }
    return false;
}

unsigned config_key_line(const struct config_seen *seen, const char *section, const char *name) {
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if (strcmp(keys[i].section, section) == 0 && strcmp(keys[i].name, name) == 0) {
            return seen->lines[i];
        }
    }
    return 0;
}

/* In [defaults] keys go by their name alone. The index in keys, or -1. */
static int key_find(const char *section, const char *name, bool defaults) {
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if (strcmp(keys[i].name, name) == 0 &&
            (defaults ? keys[i].object == APP : strcmp(keys[i].section, section) == 0)) {
            return (int)i;
        }
    }
    return -1;
}

int config_key_apply(enum config_scope scope, const struct config_target *target,
                     struct config_seen *seen, struct config_place *place, const char *section,
                     const char *name, const char *value) {
    bool defaults = scope == CONFIG_SCOPE_MAIN && strcmp(section, "defaults") == 0;
    int i = key_find(section, name, defaults);
    const struct key *key;
    void *object;

    if (i < 0) {
        return config_complain(place, "unknown key '" CLIP "' in [" CLIP "]", name, section);
    }
    key = &keys[i];
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
    object = key->object == FRONT    ? (void *)target->front
             : key->object == ENGINE ? (void *)target->engine
                                     : (void *)target->app;
    return key->set(&(struct setting){
        .key = key,
        .member = (char *)object + key->offset,
        .value = value,
        .scope = scope,
        .place = place,
    });
}

static int set_string(const struct setting *s, const char *value) {
    char *copy = strdup(value);

    if (copy == NULL) {
        return -ENOMEM;
    }
    free(*(char **)s->member);
    *(char **)s->member = copy;
    return 0;
}

static int set_span(const struct setting *s) {
    usec_t span;
    int r = parse_span(s->value, &span);

    if (r == -EINVAL) {
        return config_complain(s->place,
                               "%s: '" CLIP "' is not a time; write it like 90s, 15min or 1h 30min",
                               s->key->name, s->value);
    }
    if (r < 0 || span < s->key->min || span > s->key->max) {
        return config_complain(s->place, "%s: " CLIP " is out of range (%s)", s->key->name,
                               s->value, s->key->range);
    }
    if (s->key->offset == offsetof(struct config_app, stop_timeout) && s->key->object == APP &&
        span % SECOND != 0) {
        return config_complain(s->place, "%s: Docker counts whole seconds here, not " CLIP,
                               s->key->name, s->value);
    }
    *(usec_t *)s->member = span;
    return 0;
}

static int set_size(const struct setting *s) {
    uint64_t bytes;
    int r = parse_size(s->value, &bytes);

    if (r == -EINVAL) {
        return config_complain(s->place, "%s: '" CLIP "' is not a size; write it like 16384 or 16K",
                               s->key->name, s->value);
    }
    if (r < 0 || bytes < s->key->min || bytes > s->key->max) {
        return config_complain(s->place, "%s: " CLIP " is out of range (%s)", s->key->name,
                               s->value, s->key->range);
    }
    *(size_t *)s->member = (size_t)bytes;
    return 0;
}

static int set_count(const struct setting *s) {
    uint64_t count;
    int r = parse_unsigned(s->value, &count);

    if (r == -EINVAL) {
        return config_complain(s->place, "%s: '" CLIP "' is not a number", s->key->name, s->value);
    }
    if (r < 0 || count < s->key->min || count > s->key->max) {
        return config_complain(s->place, "%s: " CLIP " is out of range (%s)", s->key->name,
                               s->value, s->key->range);
    }
    *(unsigned *)s->member = (unsigned)count;
    return 0;
}

static int set_port(const struct setting *s) {
    if (parse_port(s->value, s->member) < 0) {
        return config_complain(s->place, "%s: '" CLIP "' is not a port (1 to 65535)", s->key->name,
                               s->value);
    }
    return 0;
}

static int set_name(const struct setting *s) {
    if (!parse_name_ok(s->value, s->key->max)) {
        return config_complain(s->place,
                               "%s: '" CLIP "' is not a name that Docker has (at most %u of "
                               "letters, digits and _.-, a letter or digit first)",
                               s->key->name, s->value, (unsigned)s->key->max);
    }
    return set_string(s, s->value);
}

static int set_word(const struct setting *s) {
    char choice[128] = "";

    for (unsigned i = 0; s->key->words[i] != NULL; i++) {
        if (strcmp(s->value, s->key->words[i]) == 0) {
            *(unsigned *)s->member = i;
            return 0;
        }
        if (i > 0) {
            strncat(choice, ", ", sizeof(choice) - strlen(choice) - 1);
        }
        strncat(choice, s->key->words[i], sizeof(choice) - strlen(choice) - 1);
    }
    return config_complain(s->place, "%s: '" CLIP "' is none of %s", s->key->name, s->value,
                           choice);
}

static int set_docker(const struct setting *s) {
    const char *path;
    int r = parse_unix_path(s->value, &path);

    if (r < 0) {
        return config_complain(s->place, "%s: '" CLIP "' is %s", s->key->name, s->value,
                               r == -ERANGE ? "too long for a Unix socket"
                                            : "neither unix:///PATH nor an absolute path");
    }
    return set_string(s, path);
}

static int set_address(const struct setting *s) {
    struct config_app *app =
        (struct config_app *)((char *)s->member - offsetof(struct config_app, address));
    struct proto_address fixed;

    if (strcmp(s->value, "auto") == 0) {
        app->address = ADDRESS_AUTO;
    } else if (strcmp(s->value, "published") == 0) {
        app->address = ADDRESS_PUBLISHED;
    } else if (parse_address(s->value, &fixed) < 0) {
        return config_complain(s->place,
                               "%s: '" CLIP "' is none of auto, published or HOST:PORT (HOST: an "
                               "IPv4 address, an IPv6 address in brackets, or localhost)",
                               s->key->name, s->value);
    } else if (s->scope == CONFIG_SCOPE_MAIN) {
        return config_complain(s->place,
                               "%s: HOST:PORT belongs to one app and has no default; put it into "
                               "the app's own file",
                               s->key->name);
    } else {
        app->address = ADDRESS_FIXED;
        app->fixed = fixed;
    }
    return 0;
}

/* What is sound in the list is kept, so that the front knows whose the name is. */
static int set_hosts(const struct setting *s) {
    struct config_app *app =
        (struct config_app *)((char *)s->member - offsetof(struct config_app, hosts));
    const char *cursor = s->value;
    const char *word;
    size_t len;
    size_t n = 0;

    while (parse_word(&cursor, &len) != NULL) {
        n++;
    }
    if (n == 0 || n > CONFIG_HOSTS_MAX) {
        return config_complain(s->place, "%s: %zu names where 1 to %d are possible", s->key->name,
                               n, CONFIG_HOSTS_MAX);
    }
    app->hosts = calloc(n, sizeof(*app->hosts));
    if (app->hosts == NULL) {
        return -ENOMEM;
    }
    cursor = s->value;
    while ((word = parse_word(&cursor, &len)) != NULL) {
        char host[PARSE_HOST_MAX];
        int clip = len < 80 ? (int)len : 80;
        int r = 0;

        if (memchr(word, '*', len) != NULL) {
            r = config_complain(s->place, "%s: '%.*s': wildcards are not supported yet",
                                s->key->name, clip, word);
        } else if (parse_host(word, len, host) < 0) {
            r = config_complain(s->place,
                                "%s: '%.*s' is not a host name or IP address (and has no port)",
                                s->key->name, clip, word);
        } else {
            app->hosts[app->n_hosts] = strdup(host);
            if (app->hosts[app->n_hosts] == NULL) {
                return -ENOMEM;
            }
            app->n_hosts++;
        }
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int set_path(const struct setting *s) {
    bool ok = s->value[0] == '/';

    for (const char *p = s->value; *p != '\0'; p++) {
        ok = ok && *p > ' ' && *p < 0x7f && *p != '#';
    }
    if (!ok) {
        return config_complain(s->place,
                               "%s: '" CLIP "' is not a path (a slash first, no blanks, no #)",
                               s->key->name, s->value);
    }
    return set_string(s, s->value);
}

static int set_expect(const struct setting *s) {
    struct config_app *app =
        (struct config_app *)((char *)s->member - offsetof(struct config_app, expect));
    struct config_status_range ranges[CONFIG_EXPECT_MAX];
    const char *cursor = s->value;
    const char *word;
    size_t len;
    size_t n = 0;

    while ((word = parse_word(&cursor, &len)) != NULL) {
        if (n == CONFIG_EXPECT_MAX) {
            return config_complain(s->place, "%s: more than %d ranges", s->key->name,
                                   CONFIG_EXPECT_MAX);
        }
        if (parse_status_range(word, len, &ranges[n].low, &ranges[n].high) < 0) {
            return config_complain(s->place,
                                   "%s: '%.*s' is not a status or range of them (100 to 599, "
                                   "like 200-399)",
                                   s->key->name, len < 80 ? (int)len : 80, word);
        }
        n++;
    }
    if (n == 0) {
        return config_complain(s->place, "%s: has no value", s->key->name);
    }
    memcpy(app->expect, ranges, n * sizeof(ranges[0]));
    app->n_expect = n;
    return 0;
}
