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
    CONFIG_APPS_MAX = 65536,    /* apps in a table */
    CONFIG_FILE_MAX = 65536,    /* bytes in one file */
    CONFIG_ERRORS_MAX = 1000,   /* errors kept from one load; the rest are counted */
    CONFIG_HOSTS_MAX = 64,      /* host names of one app */
    CONFIG_EXPECT_MAX = 16,     /* ranges in [health] expect */
    CONFIG_CONTAINER_MAX = 255, /* bytes in a container's name */
    CONFIG_VALUE_MAX = 1023,    /* bytes in one value */
};

enum config_address { ADDRESS_AUTO, ADDRESS_PUBLISHED, ADDRESS_FIXED };
enum config_on_failure { ON_FAILURE_STOP, ON_FAILURE_LEAVE };
enum config_check { CHECK_AUTO, CHECK_DOCKER, CHECK_HTTP, CHECK_TCP, CHECK_NONE };

struct config_status_range {
    uint16_t low, high; /* inclusive */
};

/* One app, from apps.d/NAME.ini over [defaults] over the built-in defaults. */
struct config_app {
    char name[PROTO_NAME_MAX]; /* the file's name without .ini */
    char *file;                /* where it came from */
    bool broken;               /* the file has errors: only hosts and listen_port are meaningful */

    /* [app] */
    char *container; /* default: name */
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
    char **hosts;         /* lower case, without a trailing dot; the key takes a list */
    uint16_t listen_port; /* a TCP listener of its own; 0: none */

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
const struct config_app *config_app_by_name(const struct config *config, const char *name);
/* host: len bytes as in a Host field without its port; case and one trailing dot do not matter. */
const struct config_app *config_app_by_host(const struct config *config, const char *host,
                                            size_t len);
const struct config_app *config_app_by_port(const struct config *config, uint16_t port);
