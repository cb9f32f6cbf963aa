/*
 * folder.h - a configuration in a folder of its own under /tmp, for the tests that load one.
 *
 * A test is one .c file, so the functions are here. Errors are compared as `file:line: text`, with
 * the folder's path left out.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "config.h"

struct folder {
    char path[64]; /* has dockwake.conf, apps.d/ and vendor/ */
    char file[128], apps[128], vendor[128];
    struct config_paths paths;
    struct config_errors errors;
    struct config *config;
};

/* cmocka's setup: *state is a struct folder. */
static int folder_setup(void **state) {
    struct folder *folder = calloc(1, sizeof(*folder));

    strcpy(folder->path, "/tmp/dockwake-unit-XXXXXX");
    if (mkdtemp(folder->path) == NULL) {
        return -1;
    }
    snprintf(folder->file, sizeof(folder->file), "%s/dockwake.conf", folder->path);
    snprintf(folder->apps, sizeof(folder->apps), "%s/apps.d", folder->path);
    snprintf(folder->vendor, sizeof(folder->vendor), "%s/vendor", folder->path);
    folder->paths = (struct config_paths){folder->file, folder->apps, folder->vendor};
    *state = folder;
    return mkdir(folder->apps, 0755) < 0 || mkdir(folder->vendor, 0755) < 0 ? -1 : 0;
}

static int folder_remove(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int folder_teardown(void **state) {
    struct folder *folder = *state;

    config_free(folder->config);
    config_errors_done(&folder->errors);
    nftw(folder->path, folder_remove, 16, FTW_DEPTH | FTW_PHYS);
    free(folder);
    return 0;
}

static inline void folder_write_bytes(const struct folder *folder, const char *name,
                                      const void *data, size_t size) {
    char path[512];
    int fd;

    snprintf(path, sizeof(path), "%s/%s", folder->path, name);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    close(fd);
}

/* Writes a file; name is relative to the folder. */
static inline void folder_write(const struct folder *folder, const char *name, const char *text) {
    folder_write_bytes(folder, name, text, strlen(text));
}

/* `file:line: text` of one error. */
static inline const char *folder_error(const struct folder *folder, size_t i) {
    static char text[1024];
    const struct config_error *error = &folder->errors.items[i];
    size_t len = strlen(folder->path);

    assert_memory_equal(error->file, folder->path, len);
    snprintf(text, sizeof(text), "%s:%u: %s", error->file + len + 1, error->line, error->text);
    return text;
}

/* Loads (again) and compares all errors with the strings given, NULL at the end. */
static inline void folder_load(struct folder *folder, const char *const expected[]) {
    size_t n = 0;

    config_free(folder->config);
    config_errors_done(&folder->errors);
    folder->config = NULL;
    assert_int_equal(config_load(&folder->paths, &folder->errors, &folder->config), 0);
    assert_non_null(folder->config);
    for (; n < folder->errors.n && expected[n] != NULL; n++) {
        assert_string_equal(folder_error(folder, n), expected[n]);
    }
    if (n < folder->errors.n) {
        fail_msg("not expected: %s", folder_error(folder, n));
    }
    if (expected[n] != NULL) {
        fail_msg("did not come: %s", expected[n]);
    }
}
#define folder_expect(folder, ...) folder_load(folder, (const char *const[]){__VA_ARGS__, NULL})
#define folder_fine(folder)        folder_load(folder, (const char *const[]){NULL})

#define folder_test(f) cmocka_unit_test_setup_teardown(f, folder_setup, folder_teardown)
