/*
 * The configuration: the bytes as an INI file by itself (inifile.h), and as dockwake.conf, as an app
 * and as a template of a whole table (config.h). No crash; whatever is wrong has its file, a line
 * that exists and a text; and a table with faults says so.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"
#include "fuzz.h"
#include "inifile.h"
#include "util.h"

struct record {
    unsigned lines, last;
    size_t n_faults;
};

static int on_line(struct record *record, unsigned line) {
    CHECK(line >= record->last && line >= 1 && line <= record->lines);
    record->last = line;
    return 0;
}

static bool is_plain(const char *text) {
    for (; *text != '\0'; text++) {
        if ((uint8_t)*text < ' ' && *text != '\t') {
            return false;
        }
    }
    return true;
}

static int on_section(void *user, unsigned line, const char *section) {
    CHECK(section[0] != '\0' && strlen(section) <= INIFILE_NAME_MAX && is_plain(section));
    return on_line(user, line);
}

static int on_key(void *user, unsigned line, const char *section, const char *name,
                  const char *value) {
    CHECK(strlen(section) <= INIFILE_NAME_MAX);
    CHECK(name[0] != '\0' && strlen(name) <= INIFILE_NAME_MAX && is_plain(name));
    CHECK(strlen(value) <= CONFIG_VALUE_MAX && is_plain(value));
    return on_line(user, line);
}

static int on_fault(void *user, unsigned line, const char *text) {
    struct record *record = user;

    CHECK(text[0] != '\0');
    record->n_faults++;
    return on_line(record, line);
}

/* --- the whole table --------------------------------------------------------------------------- */

/* In memory: a disk would be waited for each time. */
static char folder[] = "/dev/shm/dockwake-fuzz-XXXXXX";
static char conf[64], apps[48], app[64], template[64];

static void remove_folder(void) {
    unlink(conf);
    unlink(app);
    unlink(template);
    rmdir(apps);
    rmdir(folder);
}

static void make_folder(void) {
    CHECK(mkdtemp(folder) != NULL);
    snprintf(conf, sizeof(conf), "%s/dockwake.conf", folder);
    snprintf(apps, sizeof(apps), "%s/apps.d", folder);
    snprintf(app, sizeof(app), "%s/a.ini", apps);
    snprintf(template, sizeof(template), "%s/t@.ini", apps);
    CHECK(mkdir(apps, 0700) == 0);
    atexit(remove_folder);
}

static void write_file(const char *path, const uint8_t *bytes, size_t size) {
    auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    CHECK(fd >= 0);
    CHECK(write(fd, bytes, size) == (ssize_t)size);
}

static const char *cookie(void *user, const char *name, size_t *ret_len) {
    (void)user;
    *ret_len = strlen(name);
    return name;
}

/* Whatever the table is, it can be asked. */
static void ask(const struct config *config) {
    static const char *const paths[] = {"/", "/app/x", "/session/1/2"};
    static const char *const hosts[] = {"", "a.test", "b.a.test", "[::1]"};
    struct config_route route;
    struct config_app *instance = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
        for (size_t k = 0; k < ARRAY_SIZE(paths); k++) {
            struct config_request request = {hosts[i],         strlen(hosts[i]), paths[k],
                                             strlen(paths[k]), cookie,           NULL};

            config_find(config, &request, &route);
            CHECK(route.found == CONFIG_FOUND_NONE || route.app != NULL);
            CHECK(route.found != CONFIG_FOUND_APP || route.app->broken || !route.app->is_template ||
                  config_instance_ok(route.instance, strlen(route.instance)));
        }
        config_find_sni(config, hosts[i], strlen(hosts[i]), &route);
    }
    if (config_instance_new(config, "t@1", &instance) == 0) {
        CHECK(strcmp(instance->name, "t@1") == 0);
        config_instance_free(instance);
    }
}

/* lines: of the file, its last one included. What is below path is to be found at fault. */
static void load(const struct config_paths *paths, unsigned lines) {
    struct config_errors errors = {0};
    struct config *config = NULL;
    bool broken;

    CHECK(config_load(paths, &errors, &config) == 0);
    CHECK(config != NULL);
    broken = config->broken;
    for (size_t i = 0; i < config->n_apps; i++) {
        broken = broken || config->apps[i]->broken;
    }
    CHECK(broken == (errors.n > 0));
    for (size_t i = 0; i < errors.n; i++) {
        CHECK(errors.items[i].file != NULL &&
              strncmp(errors.items[i].file, folder, strlen(folder)) == 0);
        CHECK(errors.items[i].line <= lines);
        CHECK(errors.items[i].text != NULL && errors.items[i].text[0] != '\0');
    }
    ask(config);
    config_free(config);
    config_errors_done(&errors);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static const struct inifile_handler handler = {on_section, on_key, on_fault};
    struct record record = {.lines = 1};

    for (size_t i = 0; i < size; i++) {
        record.lines += bytes[i] == '\n';
    }
    CHECK(inifile_parse((const char *)bytes, size, &handler, &record) == 0);

    if (apps[0] == '\0') {
        make_folder();
    }
    write_file(conf, bytes, size);
    load(&(struct config_paths){.file = conf}, record.lines);
    write_file(app, bytes, size);
    load(&(struct config_paths){.apps = apps}, record.lines);
    CHECK(rename(app, template) == 0);
    load(&(struct config_paths){.apps = apps}, record.lines);
    CHECK(unlink(template) == 0);
    return 0;
}
