/*
 * strmap.h - bytes to pointer, in constant time.
 *
 * Keys are borrowed: each must live as long as it is in the map. The hash is not keyed: only what an
 * administrator wrote, or what fits a pattern of his, is put in; strangers can do no more than look
 * up.
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

/* Takes the key out. Returns what it led to, NULL when it was not there. The map never shrinks. */
void *strmap_remove(struct strmap *map, const void *key, size_t len);

void strmap_done(struct strmap *map);
