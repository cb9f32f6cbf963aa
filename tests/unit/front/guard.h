/* guard.h - inputs right against a page that must not be touched. */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

enum { GUARD_SIZE = 1 << 17, GUARD_PAGE = 4096 };

/* A copy of text that ends where reading on is a crash; valid until the next call. */
static inline const char *guarded(const char *text, size_t size) {
    static char *pages;

    if (pages == NULL) {
        pages = mmap(NULL, GUARD_SIZE + GUARD_PAGE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert(pages != MAP_FAILED);
        assert(mprotect(pages + GUARD_SIZE, GUARD_PAGE, PROT_NONE) == 0);
    }
    assert(size <= GUARD_SIZE);
    memcpy(pages + GUARD_SIZE - size, text, size);
    return pages + GUARD_SIZE - size;
}
