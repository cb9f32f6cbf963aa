/*
 * strmap.h - bytes to pointer, in constant time.
 *
 * Keys are borrowed: they must live as long as the map. Nothing is ever removed. The hash is not
 * keyed: only what an administrator wrote is put in, strangers can do no more than look up.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct strmap_slot {
    const void *key; /* NULL: free */
    size_t len;
    uint64_t hash;
    void *value;
};

/* All zero is an empty map. */
struct strmap {
    struct strmap_slot *slots;
    size_t n_slots; /* 0 or a power of two */
    size_t n;
};

/* Returns 0, -EEXIST when the key is there (and stays as it was), -ENOMEM. */
int strmap_put(struct strmap *map, const void *key, size_t len, void *value);

/* NULL when there is none. */
void *strmap_get(const struct strmap *map, const void *key, size_t len);

void strmap_done(struct strmap *map);
