/* config_internal.h - what the files of the configuration share among themselves. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "config.h"
#include "strmap.h"

enum { CONFIG_KEYS_MAX = 64 };

/* Where the reading is, and where what is wrong goes. */
struct config_place {
    struct config_errors *errors;
    const char *file;
    unsigned line;
    size_t n_complaints;
};

/* Adds an error at place. Returns 0 or -ENOMEM. */
int config_complain(struct config_place *place, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Orders the errors from the first-th on by line; those of one line stay as they are. */
void config_errors_sort(struct config_errors *errors, size_t first);

/* --- keys ------------------------------------------------------------------------------------ */

enum config_scope { CONFIG_SCOPE_MAIN, CONFIG_SCOPE_APP }; /* dockwake.conf, apps.d/NAME.ini */

/* What a key is a member of. */
enum config_object { CONFIG_FRONT, CONFIG_ENGINE, CONFIG_APP };

/* Where values go; what the scope has no keys for may be NULL. app: the defaults, in dockwake.conf.
 */
struct config_target {
    struct config_front *front;
    struct config_engine *engine;
    struct config_app *app;
    struct config_pages *pages;
};

/* In which line of the file a key was given; 0: it was not. */
struct config_seen {
    unsigned lines[CONFIG_KEYS_MAX];
};

/* The built-in defaults. engine->docker is allocated. Returns 0 or -ENOMEM. */
int config_target_init(const struct config_target *target);

bool config_section_known(enum config_scope scope, const char *section);

/*
 * Puts the value of one key where it belongs, or complains about key or value at place. Returns 0
 * (complaints or not) or -ENOMEM.
 */
int config_key_apply(enum config_scope scope, const struct config_target *target,
                     struct config_seen *seen, struct config_place *place, const char *section,
                     const char *name, const char *value);

/* The line in which the key that sets a member was given, or 0. */
unsigned config_key_line(const struct config_seen *seen, enum config_object object, size_t offset);
#define APP_LINE(seen, member)                                                                     \
    config_key_line(seen, CONFIG_APP, offsetof(struct config_app, member))
#define FRONT_LINE(seen, member)                                                                   \
    config_key_line(seen, CONFIG_FRONT, offsetof(struct config_front, member))

/* --- apps ------------------------------------------------------------------------------------ */

/* An app of a table, and in which lines it says what it claims. */
struct config_entry {
    struct config_app app; /* first: the public pointer is the entry's */
    unsigned route_line;   /* of host, else of path, else of cookie */
    unsigned port_line, sni_line, default_line, fallback_line;
};

/* A deep copy. Returns 0 (config_app_done) or -ENOMEM. */
int config_app_copy(const struct config_app *app, struct config_app *ret_copy);
void config_app_done(struct config_app *app);

/*
 * To be called when the file was read to its end: defaults that depend on other keys, and complaints
 * about keys that contradict each other. Returns 0 or -ENOMEM.
 */
int config_app_complete(struct config_app *app, const struct config_seen *seen,
                        struct config_place *place);

/* --- routes ---------------------------------------------------------------------------------- */

struct config_routes;

struct config_index {
    struct strmap names; /* to struct config_entry */
    struct config_routes *routes;
};

int config_routes_new(struct config_routes **ret_routes);
void config_routes_free(struct config_routes *routes);

/*
 * Enters all that the app claims; complains where another app has it already. A route of which a
 * part could not be read is left out, as what is left of it would be another one. The entry is
 * borrowed. Returns 0 or -ENOMEM.
 */
int config_routes_claim(struct config_routes *routes, struct config_entry *entry,
                        const struct config_seen *seen, struct config_place *place);

/* Whether the fallback leads to a place that sends every browser without the cookie to it again. */
bool config_fallback_loops(const struct config *config, const struct config_app *app);

/* --- instances ------------------------------------------------------------------------------- */

/* A text with one `%i`, as its pieces before and behind it. */
struct config_pattern {
    const char *before, *after;
    size_t before_len, after_len;
};

/* Whether there is a `%i` in text. */
bool config_pattern_find(const char *text, size_t len, struct config_pattern *ret_pattern);

/* Whether text fits, and what stands in place of the `%i`: a name that an instance may have. */
bool config_pattern_fits(const struct config_pattern *pattern, const char *text, size_t len,
                         const char **ret_instance, size_t *ret_len);

/* --- pages ----------------------------------------------------------------------------------- */

/* Own waiting pages while the configuration is read; apps that name the same file share its text. */
struct config_pages {
    const char *file; /* dockwake.conf, beside which they are; NULL: nowhere */
    struct strmap by_name;
};

/* Returns 0 and ret_page NULL after a complaint. */
int config_page_load(struct config_pages *pages, struct config_place *place, const char *key,
                     const char *name, char **ret_page);
void config_pages_done(struct config_pages *pages);
char *config_page_ref(char *page);
char *config_page_unref(char *page);

/* --- files ----------------------------------------------------------------------------------- */

struct config_file {
    char *name; /* without its folder */
    bool vendor;
};

/* The names in both folders that look like apps, in order, the administrator's before the vendor's.
 */
struct config_list {
    size_t n;
    struct config_file *items;
    int apps_fd, vendor_fd; /* the folders; -1: does not exist */
};

/* Returns 0 (config_list_done) or negative errno, that of a folder that cannot be read. */
int config_list_init(const struct config_paths *paths, struct config_list *ret_list);
void config_list_done(struct config_list *list);

enum config_read {
    CONFIG_READ_ABSENT, /* does not exist */
    CONFIG_READ_OTHER,  /* not a regular file */
    CONFIG_READ_NULL,   /* /dev/null */
    CONFIG_READ_WHOLE,
};

/*
 * Reads a file into data, which has a byte more than max. Returns an enum config_read, of which only
 * CONFIG_READ_WHOLE fills data and ret_size; -EFBIG when it is larger than max; or negative errno
 * (-ENOENT: a symlink to nowhere).
 */
int config_file_read(int folder, const char *name, char *data, size_t max, size_t *ret_size);
