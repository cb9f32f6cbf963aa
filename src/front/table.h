/*
 * table.h - the generations of the configuration's table.
 *
 * A table never changes. A reload makes a new one, which each worker takes over between two of its
 * turns, and the last to let go of a generation frees it.
 */
#pragma once

#include <stdatomic.h>

#include "config.h"

struct table {
    struct config *config;
    atomic_uint users;
};

/* Reads the table for the first time: the sound part is taken, and what is not sound is logged. The
 * caller is its user. Returns 0 or -ENOMEM. */
int table_load_first(const struct config_paths *paths, struct table **ret_table);

/* Reads it anew. Logs the errors; with any the old one has to stay. The caller is its user. Returns
 * whether there is a new one. */
bool table_load_anew(const struct config_paths *paths, struct table **ret_table);

/* One user more, who got it from another. */
struct table *table_ref(struct table *table);
/* One less; NULL: does nothing. */
void table_unref(struct table *table);
