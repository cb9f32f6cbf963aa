/* table.c - see table.h. */
#include "table.h"

#include <string.h>

#include "log.h"

/* Takes the configuration over, whatever comes of it. */
static int table_new(struct config *config, struct table **ret_table) {
    struct table *table = malloc(sizeof(*table));

    if (table == NULL) {
        config_free(config);
        return -ENOMEM;
    }
    table->config = config;
    atomic_init(&table->users, 1);
    *ret_table = table;
    return 0;
}

/* What there is when nothing could be read: every request is told that this is misconfigured. */
static int load_empty(struct config **ret_config) {
    static const struct config_paths nowhere;
    struct config_errors errors = {0};
    int r = config_load(&nowhere, &errors, ret_config);

    config_errors_done(&errors);
    if (r == 0) {
        (*ret_config)->broken = true;
    }
    return r;
}

/* Logs what was wrong. Returns 0, -EINVAL when anything was, or config_load()'s errno. */
static int load(const struct config_paths *paths, struct config **ret_config) {
    struct config_errors errors = {0};
    int r = config_load(paths, &errors, ret_config);

    config_errors_log(&errors);
    if (r == 0 && errors.n > 0) {
        r = -EINVAL;
    }
    config_errors_done(&errors);
    return r;
}

int table_load_first(const struct config_paths *paths, struct table **ret_table) {
    struct config *config = NULL;
    int r = load(paths, &config);

    /* There is nothing to go back to. */
    if (config == NULL) {
        log_error("The configuration cannot be read: %s", strerror(-r));
        r = load_empty(&config);
        if (r < 0) {
            return r;
        }
    }
    return table_new(config, ret_table);
}

bool table_load_anew(const struct config_paths *paths, struct table **ret_table) {
    struct config *config = NULL;
    int r = load(paths, &config);

    if (r == -EINVAL && config != NULL) {
        log_error("The configuration has errors; the old one stays");
        config_free(config);
        return false;
    }
    if (r == 0) {
        r = table_new(config, ret_table);
    }
    if (r < 0) {
        log_error("The configuration cannot be read: %s; the old one stays", strerror(-r));
        return false;
    }
    log_notice("The configuration was read anew: %zu apps", (*ret_table)->config->n_apps);
    return true;
}

struct table *table_ref(struct table *table) {
    atomic_fetch_add(&table->users, 1);
    return table;
}

void table_unref(struct table *table) {
    if (table != NULL && atomic_fetch_sub(&table->users, 1) == 1) {
        config_free(table->config);
        free(table);
    }
}
