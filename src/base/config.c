/*
 * config.c - loads the files into one table with its index.
 *
 * dockwake.conf first, as its [defaults] are what each app starts from; then the apps in order of
 * their names, each a copy of the defaults that its file changes. When dockwake.conf is broken, the
 * apps are read all the same, for their errors, and then dropped.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "config_internal.h"
#include "inifile.h"
#include "parse.h"

/* A whole file, with a bound. */
struct config_text {
    size_t size;
    char data[CONFIG_FILE_MAX + 1];
};

/* What the apps are made from. */
struct loading {
    struct config *config;
    struct config_app defaults;
    struct config_pages pages;
    struct config_errors *errors;
    struct config_text *text;
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

static int load_main(struct loading *l, const char *file) {
    struct config *config = l->config;
    struct reading reading = {
        .scope = CONFIG_SCOPE_MAIN,
        .target = {.front = &config->front,
                   .engine = &config->engine,
                   .app = &l->defaults,
                   .pages = &l->pages},
        .place = {.errors = l->errors, .file = file},
    };
    size_t first = l->errors->n;
    int r = config_target_init(&reading.target);
    int result;

    if (r < 0 || file == NULL) {
        return r;
    }
    result = config_file_read(AT_FDCWD, file, l->text->data, CONFIG_FILE_MAX, &l->text->size);
    if (result == CONFIG_READ_OTHER) {
        r = config_complain(&reading.place, "not a regular file");
    } else if (result == CONFIG_READ_WHOLE || result < 0) {
        r = read_text(&reading, result, l->text);
    }
    if (r == 0 && config->front.proxy_protocol && FRONT_LINE(&reading.seen, trusted_proxies) == 0) {
        reading.place.line = FRONT_LINE(&reading.seen, proxy_protocol);
        r = config_complain(&reading.place, "proxy_protocol: needs trusted_proxies, as nobody else "
                                            "is believed");
    }
    config_errors_sort(l->errors, first);
    config->broken = reading.place.n_complaints > 0;
    return r;
}

static void entry_free(struct config_entry *entry) {
    config_app_done(&entry->app);
    free(entry);
}

/* A new app with the defaults. */
static int entry_new(const struct config_app *defaults, const char *name, bool is_template,
                     const char *file, struct config_entry **ret_entry) {
    struct config_entry *entry = calloc(1, sizeof(*entry));

    if (entry == NULL || config_app_copy(defaults, &entry->app) < 0) {
        free(entry);
        return -ENOMEM;
    }
    memcpy(entry->app.name, name, strlen(name) + 1);
    entry->app.is_template = is_template;
    entry->app.file = strdup(file);
    if (entry->app.file == NULL) {
        entry_free(entry);
        return -ENOMEM;
    }
    *ret_entry = entry;
    return 0;
}

/* Reads the app's file. The table, which has room, owns the entry from here on. */
static int load_app(struct loading *l, struct config_entry *entry, int result) {
    struct config *config = l->config;
    struct reading reading = {
        .scope = CONFIG_SCOPE_APP,
        .target = {.app = &entry->app, .pages = &l->pages},
        .place = {.errors = l->errors, .file = entry->app.file},
    };
    size_t first = l->errors->n;
    int r;

    config->apps[config->n_apps++] = &entry->app;
    r = strmap_put(&config->index->names, entry->app.name, strlen(entry->app.name), entry);
    if (r == 0) {
        r = read_text(&reading, result, l->text);
    }
    if (r == 0) {
        r = config_app_complete(&entry->app, &reading.seen, &reading.place);
    }
    if (r == 0) {
        r = config_routes_claim(config->index->routes, entry, &reading.seen, &reading.place);
    }
    if (r == 0 && entry->app.fallback != NULL) {
        entry->fallback_line = APP_LINE(&reading.seen, fallback);
    }
    config_errors_sort(l->errors, first);
    entry->app.broken = reading.place.n_complaints > 0;
    return r;
}

/*
 * Reads one name of the list, unless there is nothing to read. Sets ret_settled when what the
 * vendor has under this name does not matter any more.
 */
static int load_file(struct loading *l, int folder, const char *path, const char *name,
                     bool *ret_settled) {
    struct config_place place = {.errors = l->errors, .file = path};
    char app_name[CONFIG_NAME_MAX + 1];
    size_t len = strlen(name) - strlen(".ini");
    bool is_template = name[len - 1] == '@';
    int result = config_file_read(folder, name, l->text->data, CONFIG_FILE_MAX, &l->text->size);
    const struct config_app *other;
    struct config_entry *entry;
    int r;

    *ret_settled = result != CONFIG_READ_ABSENT && result != CONFIG_READ_OTHER;
    if (!*ret_settled || result == CONFIG_READ_NULL) {
        return 0;
    }
    len -= is_template;
    snprintf(app_name, sizeof(app_name), "%.*s", (int)len, name);
    if (len >= sizeof(app_name) || !parse_name_ok(app_name, CONFIG_NAME_MAX)) {
        return config_complain(&place,
                               "the file's name is no app's name (at most %d of letters, digits "
                               "and _.-, a letter or digit first; a template has @ behind it)",
                               CONFIG_NAME_MAX);
    }
    other = config_app_by_name(l->config, app_name);
    if (other != NULL) {
        return config_complain(&place, "there is an app of this name already, %s", other->file);
    }
    if (l->config->n_apps == CONFIG_APPS_MAX) {
        return config_complain(&place, "more than %d apps", CONFIG_APPS_MAX);
    }
    r = entry_new(&l->defaults, app_name, is_template, path, &entry);
    return r < 0 ? r : load_app(l, entry, result);
}

/* Whether the app's fallback is sound is something that only the whole table tells. */
static int check_fallback(struct loading *l, struct config_entry *entry) {
    struct config_app *app = &entry->app;
    struct config_place place = {
        .errors = l->errors, .file = app->file, .line = entry->fallback_line};

    if (app->broken || app->fallback == NULL || !config_fallback_loops(l->config, app)) {
        return 0;
    }
    app->broken = true;
    return config_complain(&place,
                           "fallback: '%.80s' wants the cookie too: who has none would be sent "
                           "there again and again",
                           app->fallback);
}

static int load_apps(struct loading *l, const struct config_paths *paths) {
    struct config_list list;
    const char *settled = ""; /* the name that is done with */
    int r = config_list_init(paths, &list);

    if (r < 0) {
        return r;
    }
    l->config->apps = calloc(list.n > 0 ? list.n : 1, sizeof(struct config_app *));
    if (l->config->apps == NULL) {
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
        r = load_file(l, file->vendor ? list.vendor_fd : list.apps_fd, path, file->name, &done);
        if (done) {
            settled = file->name;
        }
    }
    config_list_done(&list);
    for (size_t i = 0; r == 0 && i < l->config->n_apps; i++) {
        assert(l->config->apps[i] != NULL);
        r = check_fallback(l, (struct config_entry *)l->config->apps[i]);
    }
    return r;
}

static void drop_apps(struct config *config) {
    for (size_t i = 0; i < config->n_apps; i++) {
        entry_free((struct config_entry *)config->apps[i]);
    }
    config->n_apps = 0;
    strmap_done(&config->index->names);
    config_routes_free(config->index->routes);
    config->index->routes = NULL;
}

static int config_new(struct config **ret_config) {
    struct config *config = calloc(1, sizeof(*config));
    int r = -ENOMEM;

    if (config != NULL) {
        config->index = calloc(1, sizeof(*config->index));
    }
    if (config != NULL && config->index != NULL) {
        r = config_routes_new(&config->index->routes);
    }
    if (r < 0) {
        config_free(config);
        return r;
    }
    *ret_config = config;
    return 0;
}

int config_load(const struct config_paths *paths, struct config_errors *errors,
                struct config **ret_config) {
    struct loading l = {.errors = errors, .pages = {.file = paths->file}};
    int r = config_new(&l.config);

    l.text = malloc(sizeof(*l.text));
    if (r == 0 && l.text == NULL) {
        r = -ENOMEM;
    }
    if (r == 0) {
        r = load_main(&l, paths->file);
    }
    if (r == 0) {
        r = load_apps(&l, paths);
    }
    if (r == 0 && l.config->broken) {
        drop_apps(l.config);
        r = config_routes_new(&l.config->index->routes);
    }
    free(l.text);
    config_app_done(&l.defaults);
    config_pages_done(&l.pages);
    if (r < 0) {
        config_free(l.config);
        return r;
    }
    *ret_config = l.config;
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
    free(config->front.trusted_proxies.items);
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
