/*
 * config.c - loads the files into one table with its index, and looks up in it.
 *
 * dockwake.conf first, as its [defaults] are what each app starts from; then the apps in order of
 * their names, each a copy of the defaults that its file changes. A host or port belongs to the
 * first app that names it, be that one broken: whoever comes second is in error. When dockwake.conf
 * is broken, the apps are read all the same, for their errors, and then dropped.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "config_internal.h"
#include "inifile.h"
#include "parse.h"
#include "strmap.h"

/* What a table holds for an app: the app, and where it said what it claims. */
struct entry {
    struct config_app app; /* first: the public pointer is the entry's */
    unsigned host_line, port_line;
};

struct config_index {
    struct strmap names, hosts, ports; /* to struct entry */
};

/* One file while it is read. */
struct reading {
    enum config_scope scope;
    struct config_target target;
    struct config_seen seen;
    struct config_place place;
};

static int on_section(void *user, unsigned line, const char *section) {
    struct reading *reading = user;

    reading->place.line = line;
    if (!config_section_known(reading->scope, section)) {
        return config_complain(&reading->place, "unknown section [%s]", section);
    }
    return 0;
}

static int on_key(void *user, unsigned line, const char *section, const char *name,
                  const char *value) {
    struct reading *reading = user;

    reading->place.line = line;
    if (section[0] == '\0') {
        return config_complain(&reading->place, "key '%s' before the first [section]", name);
    }
    if (!config_section_known(reading->scope, section)) {
        return 0; /* complained about once, where it began */
    }
    return config_key_apply(reading->scope, &reading->target, &reading->seen, &reading->place,
                            section, name, value);
}

static int on_fault(void *user, unsigned line, const char *text) {
    struct reading *reading = user;

    reading->place.line = line;
    return config_complain(&reading->place, "%s", text);
}

/* Reads what config_file_read() has returned and filled. */
static int read_text(struct reading *reading, int result, const struct config_text *text) {
    static const struct inifile_handler handler = {
        .section = on_section, .key = on_key, .fault = on_fault};

    reading->place.line = 0;
    if (result == -EFBIG) {
        return config_complain(&reading->place, "larger than %d bytes", CONFIG_FILE_MAX);
    }
    if (result < 0) {
        return config_complain(&reading->place, "cannot be read: %s", strerror(-result));
    }
    return inifile_parse(text->data, text->size, &handler, reading);
}

static int load_main(struct config *config, struct config_app *defaults, const char *file,
                     struct config_errors *errors, struct config_text *text) {
    struct reading reading = {
        .scope = CONFIG_SCOPE_MAIN,
        .target = {.front = &config->front, .engine = &config->engine, .app = defaults},
        .place = {.errors = errors, .file = file},
    };
    size_t first = errors->n;
    int r = config_target_init(&reading.target);
    int result;

    if (r < 0 || file == NULL) {
        return r;
    }
    result = config_file_read(AT_FDCWD, file, text);
    if (result == CONFIG_READ_OTHER) {
        r = config_complain(&reading.place, "not a regular file");
    } else if (result == CONFIG_READ_WHOLE || result < 0) {
        r = read_text(&reading, result, text);
    }
    config_errors_sort(errors, first);
    config->broken = reading.place.n_complaints > 0;
    return r;
}

static void app_free(struct config_app *app) {
    if (app == NULL) {
        return;
    }
    free(app->file);
    free(app->container);
    free(app->network);
    for (size_t i = 0; i < app->n_hosts; i++) {
        free(app->hosts[i]);
    }
    free(app->hosts);
    free(app->health_path);
    free((struct entry *)app);
}

static int copy_string(char **string) {
    if (*string != NULL) {
        *string = strdup(*string);
        return *string != NULL ? 0 : -ENOMEM;
    }
    return 0;
}

/* A new app with the defaults; name and file are taken over as they are. */
static int app_new(const struct config_app *defaults, const char *name, const char *file,
                   struct entry **ret_entry) {
    struct entry *entry = calloc(1, sizeof(*entry));
    int r;

    if (entry == NULL) {
        return -ENOMEM;
    }
    entry->app = *defaults;
    memcpy(entry->app.name, name, strlen(name) + 1);
    r = copy_string(&entry->app.network);
    if (r < 0) {
        entry->app.health_path = NULL;
    } else {
        r = copy_string(&entry->app.health_path);
    }
    entry->app.file = strdup(file);
    if (r < 0 || entry->app.file == NULL) {
        app_free(&entry->app);
        return -ENOMEM;
    }
    *ret_entry = entry;
    return 0;
}

/* What only the whole file tells: keys that contradict each other, and defaults that depend. */
static int app_complete(struct config_app *app, const struct config_seen *seen,
                        struct config_place *place) {
    int r = 0;

    place->line = config_key_line(seen, "app", "port");
    if (app->address == ADDRESS_FIXED && place->line != 0) {
        r = config_complain(place, "port: has no effect beside address = HOST:PORT");
    }
    if (r == 0 && app->check == CHECK_HTTP && app->health_path == NULL) {
        app->health_path = strdup("/");
        r = app->health_path != NULL ? 0 : -ENOMEM;
    }
    if (r == 0 && app->container == NULL) {
        app->container = strdup(app->name);
        r = app->container != NULL ? 0 : -ENOMEM;
    }
    return r;
}

/* Enters hosts and port; complains where they belong to another app already. */
static int app_claim(struct config_index *index, struct entry *entry, struct config_place *place) {
    const struct config_app *app = &entry->app;
    const struct entry *other;
    int r;

    place->line = entry->host_line;
    for (size_t i = 0; i < app->n_hosts; i++) {
        r = strmap_put(&index->hosts, app->hosts[i], strlen(app->hosts[i]), entry);
        if (r == -EEXIST) {
            other = strmap_get(&index->hosts, app->hosts[i], strlen(app->hosts[i]));
            r = other == entry ? config_complain(place, "host '%s' is given twice", app->hosts[i])
                               : config_complain(place, "host '%s' is already claimed by %s:%u",
                                                 app->hosts[i], other->app.file, other->host_line);
        }
        if (r < 0) {
            return r;
        }
    }
    if (app->listen_port == 0) {
        return 0;
    }
    place->line = entry->port_line;
    r = strmap_put(&index->ports, &app->listen_port, sizeof(app->listen_port), entry);
    if (r == -EEXIST) {
        other = strmap_get(&index->ports, &app->listen_port, sizeof(app->listen_port));
        r = config_complain(place, "port %u is already claimed by %s:%u", app->listen_port,
                            other->app.file, other->port_line);
    }
    return r;
}

/* Adds the app to the table, which has room. The table owns the entry from here on. */
static int load_app(struct config *config, struct entry *entry, int result,
                    const struct config_text *text, struct config_errors *errors) {
    struct reading reading = {
        .scope = CONFIG_SCOPE_APP,
        .target = {.app = &entry->app},
        .place = {.errors = errors, .file = entry->app.file},
    };
    size_t first = errors->n;
    int r;

    config->apps[config->n_apps++] = &entry->app;
    r = strmap_put(&config->index->names, entry->app.name, strlen(entry->app.name), entry);
    if (r == 0) {
        r = read_text(&reading, result, text);
    }
    if (r == 0) {
        entry->host_line = config_key_line(&reading.seen, "route", "host");
        entry->port_line = config_key_line(&reading.seen, "route", "port");
        r = app_complete(&entry->app, &reading.seen, &reading.place);
    }
    if (r == 0) {
        r = app_claim(config->index, entry, &reading.place);
    }
    config_errors_sort(errors, first);
    entry->app.broken = reading.place.n_complaints > 0;
    return r;
}

/*
 * Reads one name of the list, unless there is nothing to read. Sets ret_settled when what the
 * vendor has under this name does not matter any more.
 */
static int load_file(struct config *config, const struct config_app *defaults, int folder,
                     const char *path, const char *name, struct config_errors *errors,
                     struct config_text *text, bool *ret_settled) {
    struct config_place place = {.errors = errors, .file = path};
    char app_name[PROTO_NAME_MAX];
    size_t len = strlen(name) - strlen(".ini");
    int result = config_file_read(folder, name, text);
    struct entry *entry;
    int r;

    *ret_settled = result != CONFIG_READ_ABSENT && result != CONFIG_READ_OTHER;
    if (!*ret_settled || result == CONFIG_READ_NULL) {
        return 0;
    }
    snprintf(app_name, sizeof(app_name), "%.*s", (int)len, name);
    if (len >= sizeof(app_name) || !parse_name_ok(app_name, sizeof(app_name) - 1)) {
        return config_complain(&place,
                               "the file's name is no app's name (at most %zu of letters, digits "
                               "and _.-, a letter or digit first)",
                               sizeof(app_name) - 1);
    }
    if (config->n_apps == CONFIG_APPS_MAX) {
        return config_complain(&place, "more than %d apps", CONFIG_APPS_MAX);
    }
    r = app_new(defaults, app_name, path, &entry);
    return r < 0 ? r : load_app(config, entry, result, text, errors);
}

static int load_apps(struct config *config, const struct config_app *defaults,
                     const struct config_paths *paths, struct config_errors *errors,
                     struct config_text *text) {
    struct config_list list;
    const char *settled = ""; /* the name that is done with */
    int r = config_list_init(paths, &list);

    if (r < 0) {
        return r;
    }
    config->apps = calloc(list.n > 0 ? list.n : 1, sizeof(struct config_app *));
    if (config->apps == NULL) {
        r = -ENOMEM;
    }
    for (size_t i = 0; r == 0 && i < list.n; i++) {
        const struct config_file *file = &list.items[i];
        auto_free char *path = NULL;
        bool done;

        if (strcmp(file->name, settled) == 0) {
            continue;
        }
        if (asprintf(&path, "%s/%s", file->vendor ? paths->vendor_apps : paths->apps, file->name) <
            0) {
            path = NULL;
            r = -ENOMEM;
            break;
        }
        r = load_file(config, defaults, file->vendor ? list.vendor_fd : list.apps_fd, path,
                      file->name, errors, text, &done);
        if (done) {
            settled = file->name;
        }
    }
    config_list_done(&list);
    return r;
}

static void drop_apps(struct config *config) {
    for (size_t i = 0; i < config->n_apps; i++) {
        app_free(config->apps[i]);
    }
    config->n_apps = 0;
    strmap_done(&config->index->names);
    strmap_done(&config->index->hosts);
    strmap_done(&config->index->ports);
}

int config_load(const struct config_paths *paths, struct config_errors *errors,
                struct config **ret_config) {
    struct config_app defaults = {0};
    struct config_text *text = malloc(sizeof(*text));
    struct config *config = calloc(1, sizeof(*config));
    int r = -ENOMEM;

    if (config != NULL) {
        config->index = calloc(1, sizeof(*config->index));
    }
    if (text != NULL && config != NULL && config->index != NULL) {
        r = load_main(config, &defaults, paths->file, errors, text);
    }
    if (r == 0) {
        r = load_apps(config, &defaults, paths, errors, text);
    }
    free(text);
    free(defaults.network);
    free(defaults.health_path);
    if (r < 0) {
        config_free(config);
        return r;
    }
    if (config->broken) {
        drop_apps(config);
    }
    *ret_config = config;
    return 0;
}

void config_free(struct config *config) {
    if (config == NULL) {
        return;
    }
    if (config->index != NULL) {
        drop_apps(config);
        free(config->index);
    }
    free(config->apps);
    free(config->engine.docker);
    free(config);
}

int config_paths_init(const char *dir, char file[static 4096], char apps[static 4096],
                      struct config_paths *ret_paths) {
    if (dir == NULL) {
        *ret_paths = (struct config_paths){CONFIG_FILE, CONFIG_APPS, CONFIG_VENDOR_APPS};
        return 0;
    }
    if (dir[0] == '\0') {
        return -EINVAL;
    }
    if (snprintf(file, 4096, "%s/dockwake.conf", dir) >= 4096 ||
        snprintf(apps, 4096, "%s/apps.d", dir) >= 4096) {
        return -ENAMETOOLONG;
    }
    *ret_paths = (struct config_paths){file, apps, NULL};
    return 0;
}

const struct config_app *config_app_by_name(const struct config *config, const char *name) {
    return strmap_get(&config->index->names, name, strlen(name));
}

const struct config_app *config_app_by_host(const struct config *config, const char *host,
                                            size_t len) {
    char canonical[PARSE_HOST_MAX];

    if (parse_host(host, len, canonical) < 0) {
        return NULL;
    }
    return strmap_get(&config->index->hosts, canonical, strlen(canonical));
}

const struct config_app *config_app_by_port(const struct config *config, uint16_t port) {
    return strmap_get(&config->index->ports, &port, sizeof(port));
}
