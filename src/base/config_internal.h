/* config_internal.h - what the files of the configuration share among themselves. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "config.h"

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

/* Where values go; what the scope has no keys for may be NULL. app: the defaults, in dockwake.conf.
 */
struct config_target {
    struct config_front *front;
    struct config_engine *engine;
    struct config_app *app;
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

/* The line in which the key was given, or 0. */
unsigned config_key_line(const struct config_seen *seen, const char *section, const char *name);

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

/* A whole file, with a bound. */
struct config_text {
    size_t size;
    char data[CONFIG_FILE_MAX + 1];
};

enum config_read {
    CONFIG_READ_ABSENT, /* does not exist */
    CONFIG_READ_OTHER,  /* not a regular file */
    CONFIG_READ_NULL,   /* /dev/null */
    CONFIG_READ_WHOLE,
};

/*
 * Reads a file. Returns an enum config_read, of which only CONFIG_READ_WHOLE fills ret_text; -EFBIG
 * when it is larger than CONFIG_FILE_MAX; or negative errno (-ENOENT: a symlink to nowhere).
 */
int config_file_read(int folder, const char *name, struct config_text *ret_text);
