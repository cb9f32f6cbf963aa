/*
 * config_page.c - own waiting pages: files beside dockwake.conf, read with the configuration.
 *
 * A page may be as long as thousands of app files, and [defaults] give one to every app. So each
 * file is read once for a table, and the apps share its text: `page` points behind a count of
 * those who have it. Copies of apps may be made and freed in any thread, so the count is atomic.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_internal.h"
#include "util.h"

struct page {
    unsigned refs;
    char *name; /* while it is in config_pages */
    char text[];
};

static struct page *page_of(char *text) {
    return (struct page *)(text - offsetof(struct page, text));
}

char *config_page_ref(char *page) {
    if (page != NULL) {
        __atomic_add_fetch(&page_of(page)->refs, 1, __ATOMIC_RELAXED);
    }
    return page;
}

/* Returns NULL, to be assigned back. */
char *config_page_unref(char *page) {
    if (page != NULL && __atomic_sub_fetch(&page_of(page)->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        free(page_of(page));
    }
    return NULL;
}

/* Relative, and below the folder: not out of it by `..`. */
static bool name_ok(const char *name) {
    const char *segment = name;

    if (name[0] == '/') {
        return false;
    }
    while (*segment != '\0') {
        size_t len = strcspn(segment, "/");

        if (len == 2 && memcmp(segment, "..", 2) == 0) {
            return false;
        }
        segment += len;
        segment += strspn(segment, "/");
    }
    return true;
}

static const char *read_fault(int result, const char *data, size_t size) {
    if (result == -EFBIG) {
        return "is larger than 262144 bytes";
    }
    if (result == CONFIG_READ_ABSENT) {
        return "does not exist";
    }
    if (result < 0) {
        return strerror(-result);
    }
    if (result != CONFIG_READ_WHOLE) {
        return "is not a regular file";
    }
    if (size == 0) {
        return "is empty";
    }
    return memchr(data, '\0', size) != NULL ? "has a NUL byte" : NULL;
}
_Static_assert(CONFIG_PAGE_MAX == 262144, "as the text says");

static int page_add(struct config_pages *pages, const char *name, const char *data, size_t size,
                    char **ret_page) {
    struct page *page = malloc(sizeof(*page) + size + 1);
    int r;

    if (page == NULL) {
        return -ENOMEM;
    }
    page->refs = 1;
    page->name = strdup(name);
    r = page->name != NULL ? strmap_put(&pages->by_name, page->name, strlen(page->name), page)
                           : -ENOMEM;
    if (r < 0) {
        free(page->name);
        free(page);
        return r;
    }
    memcpy(page->text, data, size);
    page->text[size] = '\0';
    *ret_page = config_page_ref(page->text);
    return 0;
}

int config_page_load(struct config_pages *pages, struct config_place *place, const char *key,
                     const char *name, char **ret_page) {
    struct page *known = strmap_get(&pages->by_name, name, strlen(name));
    auto_free char *path = NULL;
    auto_free char *data = NULL;
    const char *slash = pages->file != NULL ? strrchr(pages->file, '/') : NULL;
    const char *fault;
    size_t size = 0;
    int r;

    *ret_page = NULL;
    if (known != NULL) {
        *ret_page = config_page_ref(known->text);
        return 0;
    }
    if (!name_ok(name)) {
        return config_complain(place,
                               "%s: '%.80s' is not a file below the folder of dockwake.conf (no / "
                               "at the begin, no ..)",
                               key, name);
    }
    if (asprintf(&path, "%.*s%s", slash != NULL ? (int)(slash - pages->file + 1) : 0,
                 slash != NULL ? pages->file : "", name) < 0) {
        path = NULL;
        return -ENOMEM;
    }
    data = malloc(CONFIG_PAGE_MAX + 1);
    if (data == NULL) {
        return -ENOMEM;
    }
    r = pages->file != NULL ? config_file_read(AT_FDCWD, path, data, CONFIG_PAGE_MAX, &size)
                            : CONFIG_READ_ABSENT;
    fault = read_fault(r, data, size);
    if (fault != NULL) {
        return config_complain(place, "%s: '%.80s': %s", key, name, fault);
    }
    return page_add(pages, name, data, size, ret_page);
}

void config_pages_done(struct config_pages *pages) {
    for (size_t i = 0; i < pages->by_name.n_slots; i++) {
        struct page *page = pages->by_name.slots[i].value;

        if (page != NULL) {
            free(page->name);
            page->name = NULL;
            config_page_unref(page->text);
        }
    }
    strmap_done(&pages->by_name);
}
