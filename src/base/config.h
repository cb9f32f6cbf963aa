/*
 * config.h - the INI files as validated tables.
 *
 * One file for the whole (dockwake.conf) and one for each app (apps.d/NAME.ini; the vendor's files
 * are overridden by the same name). A table is immutable once loaded. Every process loads its own.
 *
 * Nothing is half-valid: an app whose file has an error is kept only as a signpost (broken = true),
 * so that the front can say "misconfigured" instead of "unknown", and is never woken. An error in
 * dockwake.conf itself makes the whole table broken, with no apps in it. A process that starts
 * works with the sound part; one that is told to reload keeps its old table when there is any
 * error.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto.h"
#include "util.h"

#define CONFIG_ETC_DIR     "/etc/dockwake"
#define CONFIG_VENDOR_DIR  "/usr/lib/dockwake"
#define CONFIG_FILE        CONFIG_ETC_DIR "/dockwake.conf"
#define CONFIG_APPS        CONFIG_ETC_DIR "/apps.d"
#define CONFIG_VENDOR_APPS CONFIG_VENDOR_DIR "/apps.d"

enum {
    CONFIG_APPS_MAX = 65536,     /* apps in a table */
    CONFIG_FILE_MAX = 65536,     /* bytes in one file */
    CONFIG_ERRORS_MAX = 1000,    /* errors kept from one load; the rest are counted */
    CONFIG_HOSTS_MAX = 64,       /* host names of one app */
    CONFIG_EXPECT_MAX = 16,      /* ranges in [health] expect */
    CONFIG_CONTAINER_MAX = 255,  /* bytes in a container's name */
    CONFIG_VALUE_MAX = 1023,     /* bytes in one value */
    CONFIG_NAME_MAX = 63,        /* bytes in an app's name, and in an instance's */
    CONFIG_NETS_MAX = 256,       /* networks in one list */
    CONFIG_LIST_MAX = 64,        /* words in any other list */
    CONFIG_SEGMENTS_MAX = 16,    /* segments of [route] path */
    CONFIG_PATTERNS_MAX = 16,    /* templates whose %i is at the same place of their routes */
    CONFIG_COOKIES_MAX = 16,     /* names of cookies that apps want at the same host and path */
    CONFIG_PATH_MAX = 8192,      /* bytes of a path that is looked at to find its route */
    CONFIG_PAGE_MAX = 256 << 10, /* bytes in an own waiting page */
    CONFIG_WORKERS_MAX = 64,
};

enum config_address { ADDRESS_AUTO, ADDRESS_PUBLISHED, ADDRESS_FIXED };
enum config_on_failure { ON_FAILURE_STOP, ON_FAILURE_LEAVE };
enum config_check { CHECK_AUTO, CHECK_DOCKER, CHECK_HTTP, CHECK_TCP, CHECK_NONE };
enum config_balance { BALANCE_ROUND_ROBIN, BALANCE_LEAST_CONNECTIONS };
enum config_wait { WAIT_AUTO, WAIT_HOLD, WAIT_PAGE, WAIT_REDIRECT };
enum config_proxy { PROXY_PROTOCOL_NONE, PROXY_PROTOCOL_V1, PROXY_PROTOCOL_V2 };

/* A network; an IPv4 one in its mapped form (::ffff:a.b.c.d), so that one comparison does. */
struct config_net {
    uint8_t ip[16]; /* bits behind the prefix are zero */
    uint8_t prefix; /* 0 .. 128 */
};

struct config_nets {
    size_t n;
    struct config_net *items;
};

/* Strings in the order in which they were given. */
struct config_list_of {
    size_t n;
    char **items;
};

/* So many in so long a time; count 0: no limit. */
struct config_rate {
    unsigned count;
    usec_t per;
};

struct config_status_range {
    uint16_t low, high; /* inclusive */
};

/*
 * One app, from apps.d/NAME.ini over [defaults] over the built-in defaults.
 *
 * A template (apps.d/NAME@.ini) is an app for each instance: `%i` in container, host, path and
 * cookie stands for the instance's name, of at most CONFIG_NAME_MAX letters, digits, `-` and `_`, a
 * letter or digit first. A group (containers = a, b, c) is an app of several containers; its
 * instances are its members, numbered from 1. Both are named NAME@INSTANCE towards the engine.
 */
struct config_app {
    char name[PROTO_NAME_MAX]; /* the file's name without .ini, and without the @ of a template */
    bool is_template;
    struct config_list_of members; /* of a group: its containers; n is 0 otherwise */
    enum config_balance balance;
    char *file; /* where it came from */
    /* The file has errors. Only what [route] says is meaningful, as far as it could be read: the app
     * has its routes all the same. */
    bool broken;

    /* [app] */
    char *container; /* default: name; of a template: name-%i; NULL for a group */
    uint16_t port;   /* 0: the one port the container exposes */
    char *network;   /* NULL: the first */
    enum config_address address;
    struct proto_address fixed; /* ADDRESS_FIXED: an IP literal (or localhost) and a port */
    usec_t start_timeout;       /* default 60 s, 1 s .. 1 h */
    usec_t idle_timeout;        /* default 15 min; 0: never sleeps */
    usec_t stop_timeout;        /* default 10 s, whole seconds up to 1 h */
    enum config_on_failure on_failure;

    /* [route] */
    size_t n_hosts;
    char **hosts; /* lower case, without a trailing dot, with `*.` or %i; the key takes a list */
    uint16_t listen_port; /* a TCP listener of its own; 0: none */
    char *path;        /* prefix in whole segments, canonical, without a slash at its end; NULL */
    bool strip_path;   /* the backend does not see the prefix */
    char *cookie_name; /* NULL: no cookie wanted */
    char *cookie_value;
    struct config_list_of snis; /* TLS server names, exact or `*.`, in canonical form */
    bool is_default;            /* gets what no other app's route fits */
    char *fallback; /* where a request is sent whose cookie is missing or wrong; a path or http(s)
                       address */

    /* [wait] */
    enum config_wait wait;
    usec_t page_after;    /* default 2 s: so long WAIT_AUTO holds a navigation */
    char *redirect_path;  /* WAIT_REDIRECT: where to, when ready; a path */
    char *title;          /* of the waiting page; NULL: the app's name */
    char *page;           /* own waiting page, its whole text; NULL: the built-in one */
    bool show_logs;       /* whether who waits may see the container's last lines */
    unsigned max_waiting; /* default 4096; clients that wait at a time, 503 beyond */

    /* [idle] */
    usec_t silence; /* after so long without a byte an open connection counts no more; 0: never.
                       Default: idle_timeout */

    /* [handoff] */
    enum config_proxy proxy_protocol; /* sent ahead of each backend connection */

    /* [wake]: who may wake it; whoever may not is told asleep_status while it sleeps */
    struct config_nets allow_from; /* n 0: everybody */
    struct config_nets deny_from;
    struct config_list_of methods;         /* n 0: all */
    struct config_list_of deny_user_agent; /* parts of the User-Agent, whatever the case */
    struct config_list_of deny_path;       /* prefixes in whole segments, canonical */
    struct config_rate rate;               /* wakes asked for by one client address */
    unsigned asleep_status;                /* default 503; 200 .. 599 */

    /* [health] */
    enum config_check check;
    char *health_path;    /* NULL: none; begins with a slash */
    uint16_t health_port; /* 0: the app's port */
    size_t n_expect;      /* default one range: 200-399 */
    struct config_status_range expect[CONFIG_EXPECT_MAX];
    usec_t interval; /* the longest pause between two probes; default 50 ms, 1 ms .. 1 min */
    usec_t grace;    /* check = none: taken as ready so long after the start; default 1 s */
};

struct config_front {
    usec_t exit_idle;         /* default 30 s; the front leaves so long after its last connection */
    usec_t head_timeout;      /* default 15 s; a request's head must be complete by then */
    size_t head_limit;        /* default 16 KiB, 1 KiB .. 64 KiB; a request's head in bytes */
    unsigned max_connections; /* default 10000; clients served at a time */
    unsigned max_per_address; /* default 2000; of them from one IPv4 address or IPv6 /64, trusted
                                 proxies not counted; 0: no limit */
    usec_t keepalive_timeout; /* default 60 s; between two requests of a connection */
    usec_t stall_timeout; /* default 2 min; a client that neither sends more of a body it owes nor
                                 takes more of an answer is cut off */
    unsigned workers;     /* threads; default 0: one for each CPU that may be used */
    struct config_nets trusted_proxies; /* whose forwarded fields and PROXY headers are believed */
    bool proxy_protocol; /* connections from trusted_proxies begin with a PROXY header */
};

struct config_engine {
    char *docker; /* a Unix socket's path; "unix:///run/docker.sock" is kept as the path */
};

struct config {
    bool broken; /* dockwake.conf has errors; there are no apps then */
    struct config_front front;
    struct config_engine engine;
    size_t n_apps;
    struct config_app **apps;   /* sorted by name */
    struct config_index *index; /* config.c's own: name, host and port to app */
};

/* What was wrong, in the order in which it was found. */
struct config_error {
    char *file;
    unsigned line; /* from 1; 0: the file as a whole */
    char *text;
};

struct config_errors {
    size_t n;
    size_t dropped; /* beyond CONFIG_ERRORS_MAX */
    struct config_error *items;
};

/* Where to read. A NULL member is not read; a file or folder that does not exist is empty. */
struct config_paths {
    const char *file;
    const char *apps;
    const char *vendor_apps;
};

/*
 * Fills ret_paths: the system's own when dir is NULL, else DIR/dockwake.conf and DIR/apps.d and no
 * vendor folder. The strings belong to the two buffers given.
 */
int config_paths_init(const char *dir, char file[static 4096], char apps[static 4096],
                      struct config_paths *ret_paths);

/*
 * Reads everything below paths. Returns 0 and a new table (config_free) whenever one could be
 * built, be it broken: look at errors->n. errors is appended to and owned by the caller
 * (config_errors_done). Negative errno only when there is no table: -ENOMEM, or that of a folder
 * that exists and cannot be read.
 */
int config_load(const struct config_paths *paths, struct config_errors *errors,
                struct config **ret_config);
void config_free(struct config *config);
void config_errors_done(struct config_errors *errors);
/* A line for each (log.h): for a process that goes on, with what is sound or with its old table. */
void config_errors_log(const struct config_errors *errors);

/* Look-ups; NULL when there is none. Constant time whatever the number of apps. */
/* name: without an instance. */
const struct config_app *config_app_by_name(const struct config *config, const char *name);
const struct config_app *config_app_by_port(const struct config *config, uint16_t port);
const struct config_app *config_app_by_host(const struct config *config, const char *host,
                                            size_t len);

/* What a route is found by. */
struct config_request {
    const char
        *host; /* as in a Host field without its port; case and one trailing dot do not matter */
    size_t host_len;
    const char *path; /* canonical (config_path_canonical), begins with a slash; NULL: "*" */
    size_t path_len;
    /* The value of the cookie of this name, or NULL when the request has none. */
    const char *(*cookie)(void *user, const char *name, size_t *ret_len);
    void *user;
};

enum config_found {
    CONFIG_FOUND_NONE,     /* no app has this route, and there is no default */
    CONFIG_FOUND_APP,      /* app, and the instance when it is a template */
    CONFIG_FOUND_FALLBACK, /* the cookie is missing or wrong: to app->fallback */
};

struct config_route {
    enum config_found found;
    const struct config_app *app;
    char instance[CONFIG_NAME_MAX + 1]; /* "" when the app is no template */
    bool by_cookie;                     /* the cookie decided */
    unsigned segments; /* of the path that the route took, to be left out with strip_path */
};

/*
 * Exact host, then the longest wildcard (a template's host beside a wildcard of its length comes
 * first), then no host; within it the longest path, of equal ones the one without %i; within it a
 * cookie before none, then the fallback of an app that wants a cookie; then the default app. Texts
 * with %i are tried in the order of the length of what is beside it, the longest first, and in that
 * of their apps' names.
 */
void config_find(const struct config *config, const struct config_request *request,
                 struct config_route *ret_route);

/*
 * By the server name of a TLS ClientHello; "" for a client that gave none. Exact, then the longest
 * wildcard, then the default app if it has a [route] sni itself: otherwise it may not speak TLS.
 */
void config_find_sni(const struct config *config, const char *name, size_t len,
                     struct config_route *ret_route);
/* Whether any app has a [route] sni. */
bool config_has_sni(const struct config *config);

/*
 * The path of a request target in the form in which routes are compared: %XX of unreserved
 * characters decoded, the others' digits in upper case (RFC 3986 6.2.2). Pure. Returns its length,
 * -ENAMETOOLONG beyond CONFIG_PATH_MAX, -EINVAL for a faulty %XX or for a segment `.` or `..`,
 * encoded or not, which some would resolve and others not; also for one that does not begin with a
 * slash. An empty path is "/" (RFC 3986 6.2.3). No final NUL is written.
 */
int config_path_canonical(const char *path, size_t len, char ret_path[static CONFIG_PATH_MAX]);

/* Whether text is a name that an instance may have. */
bool config_instance_ok(const char *text, size_t len);

/*
 * A new app for an instance: what NAME@INSTANCE means, with every %i filled in and container set to
 * the instance's own. Its name is the whole NAME@INSTANCE. It shares nothing with the table and may
 * outlive it; it is broken when the app is. -ENOENT when there is no such template, group or member,
 * -EINVAL for a name that no instance may have (or none: no @), -ENOMEM.
 */
int config_instance_new(const struct config *config, const char *name, struct config_app **ret_app);
void config_instance_free(struct config_app *app);

/*
 * Whether one of the networks has the address; none has AF_UNSPEC. An IPv4 address, be it mapped into
 * IPv6, is in networks of IPv4 only: `::/0` is all of IPv6 and nothing else.
 */
bool config_nets_have(const struct config_nets *nets, const struct proto_address *address);
