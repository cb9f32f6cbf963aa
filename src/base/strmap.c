/* strmap.c - open addressing with linear probing, at most half full. */
#include "strmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

enum { SLOTS_FIRST = 16 };

/* FNV-1a, 64 bits, with its high half folded in, as the low bits choose the slot. */
static uint64_t hash_bytes(const void *key, size_t len) {
    const unsigned char *p = key;
    uint64_t hash = 0xcbf29ce484222325U;

    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ p[i]) * 0x100000001b3U;
    }
    return hash ^ (hash >> 32);
}

/* The slot that holds the key, or the free one where it belongs. There is always a free one. */
static struct strmap_slot *slot_find(struct strmap_slot *slots, size_t n_slots, const void *key,
                                     size_t len, uint64_t hash) {
    size_t i = (size_t)hash & (n_slots - 1);

    while (slots[i].key != NULL &&
           (slots[i].hash != hash || slots[i].len != len || memcmp(slots[i].key, key, len) != 0)) {
        i = (i + 1) & (n_slots - 1);
    }
    return &slots[i];
}

static int grow(struct strmap *map) {
    size_t n_slots = map->n_slots == 0 ? SLOTS_FIRST : map->n_slots * 2;
    struct strmap_slot *slots = calloc(n_slots, sizeof(*slots));

    if (slots == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < map->n_slots; i++) {
        const struct strmap_slot *old = &map->slots[i];

        if (old->key != NULL) {
            *slot_find(slots, n_slots, old->key, old->len, old->hash) = *old;
        }
    }
    free(map->slots);
    map->slots = slots;
    map->n_slots = n_slots;
    return 0;
}

int strmap_put(struct strmap *map, const void *key, size_t len, void *value) {
    struct strmap_slot new = {.key = key, .len = len, .value = value};
    struct strmap_slot *slot;

    if (map->n >= map->n_slots / 2) {
        int r = grow(map);

        if (r < 0) {
            return r;
        }
    }
    new.hash = hash_bytes(key, len);
    slot = slot_find(map->slots, map->n_slots, key, len, new.hash);
    if (slot->key != NULL) {
        return -EEXIST;
    }
    *slot = new;
    map->n++;
    return 0;
}

void *strmap_get(const struct strmap *map, const void *key, size_t len) {
    if (map->n_slots == 0) {
        return NULL;
    }
    return slot_find(map->slots, map->n_slots, key, len, hash_bytes(key, len))->value;
}

void strmap_done(struct strmap *map) {
    free(map->slots);
    *map = (struct strmap){0};
}
