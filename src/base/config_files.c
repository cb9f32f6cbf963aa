/* config_files.c - finds and reads the files of the configuration. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "config_internal.h"
#include "util.h"

static int list_add(struct config_list *list, size_t *allocated, const char *name, bool vendor) {
    if (list->n == *allocated) {
        size_t n = *allocated == 0 ? 64 : *allocated * 2;
        struct config_file *items = reallocarray(list->items, n, sizeof(*items));

        if (items == NULL) {
            return -ENOMEM;
        }
        list->items = items;
        *allocated = n;
    }
    list->items[list->n].name = strdup(name);
    if (list->items[list->n].name == NULL) {
        return -ENOMEM;
    }
    list->items[list->n++].vendor = vendor;
    return 0;
}

/* Hidden files and what editors and package managers leave behind do not end in .ini, or are
 * hidden. */
static bool looks_like_app(const char *name) {
    size_t len = strlen(name);

    return name[0] != '.' && len > 4 && strcmp(name + len - 4, ".ini") == 0;
}

static int list_folder(struct config_list *list, size_t *allocated, const char *path, bool vendor,
                       int *ret_fd) {
    const struct dirent *entry;
    DIR *dir;
    int fd;
    int r = 0;

    if (path == NULL) {
        return 0;
    }
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    *ret_fd = fd;
    fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (fd < 0) {
        return -errno;
    }
    dir = fdopendir(fd);
    if (dir == NULL) {
        r = -errno;
        close(fd);
        return r;
    }
    while (r == 0 && (errno = 0, entry = readdir(dir)) != NULL) {
        if (looks_like_app(entry->d_name)) {
            r = list_add(list, allocated, entry->d_name, vendor);
        }
    }
    if (r == 0 && errno != 0) {
        r = -errno;
    }
    closedir(dir);
    return r;
}

/* Of the app's name: without .ini, and without the @ of a template. */
static size_t name_len(const char *name, bool *ret_template) {
    size_t len = strlen(name) - strlen(".ini");

    *ret_template = len > 0 && name[len - 1] == '@';
    return *ret_template ? len - 1 : len;
}

/* By the app's name, so that `a.ini` comes before `a-b.ini` as the names do. */
static int file_compare(const void *va, const void *vb) {
    const struct config_file *a = va;
    const struct config_file *b = vb;
    bool a_template;
    bool b_template;
    size_t a_len = name_len(a->name, &a_template);
    size_t b_len = name_len(b->name, &b_template);
    int r = memcmp(a->name, b->name, a_len < b_len ? a_len : b_len);

    if (r != 0) {
        return r;
    }
    if (a_len != b_len) {
        return a_len < b_len ? -1 : 1;
    }
    return a_template != b_template ? (int)a_template - (int)b_template
                                    : (int)a->vendor - (int)b->vendor;
}

int config_list_init(const struct config_paths *paths, struct config_list *ret_list) {
    struct config_list list = {.apps_fd = -1, .vendor_fd = -1};
    size_t allocated = 0;
    int r = list_folder(&list, &allocated, paths->apps, false, &list.apps_fd);

    if (r == 0) {
        r = list_folder(&list, &allocated, paths->vendor_apps, true, &list.vendor_fd);
    }
    if (r < 0) {
        config_list_done(&list);
        return r;
    }
    if (list.n > 1) {
        qsort(list.items, list.n, sizeof(*list.items), file_compare);
    }
    *ret_list = list;
    return 0;
}

void config_list_done(struct config_list *list) {
    for (size_t i = 0; i < list->n; i++) {
        free(list->items[i].name);
    }
    free(list->items);
    safe_close(list->apps_fd);
    safe_close(list->vendor_fd);
    *list = (struct config_list){.apps_fd = -1, .vendor_fd = -1};
}

int config_file_read(int folder, const char *name, char *data, size_t max, size_t *ret_size) {
    auto_close int fd = -1;
    size_t size = 0;
    struct stat st;

    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        return errno == ENOENT ? CONFIG_READ_ABSENT : -errno;
    }
    if (S_ISLNK(st.st_mode) && fstatat(folder, name, &st, 0) < 0) {
        return -errno;
    }
    if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3)) {
        return CONFIG_READ_NULL;
    }
    if (!S_ISREG(st.st_mode)) {
        return CONFIG_READ_OTHER;
    }
    /* Non-blocking in case it has just been replaced by a FIFO. */
    fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return errno == ENOENT ? CONFIG_READ_ABSENT : -errno;
    }
    for (;;) {
        ssize_t n = read(fd, data + size, max + 1 - size);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -errno;
        }
        if (n == 0) {
            *ret_size = size;
            return CONFIG_READ_WHOLE;
        }
        size += (size_t)n;
        if (size > max) {
            return -EFBIG;
        }
    }
}
