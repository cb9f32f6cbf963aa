/* strmap.c - open addressing with linear probing, at most half full. */
#include "strmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

enum { SLOTS_FIRST = 4 }; /* small: each node of the routes (config_route.c) has a map */

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

/*
 * What stands behind the gap moves up into it, unless its own run of slots begins behind the gap: so
 * no marks of what was there are left, and a look-up is as short as if it had never been.
 */
void *strmap_remove(struct strmap *map, const void *key, size_t len) {
    size_t mask = map->n_slots - 1;
    struct strmap_slot *slot;
    void *value;
    size_t gap;

    if (map->n_slots == 0) {
        return NULL;
    }
    slot = slot_find(map->slots, map->n_slots, key, len, hash_bytes(key, len));
    if (slot->key == NULL) {
        return NULL;
    }
    value = slot->value;
    gap = (size_t)(slot - map->slots);
    for (size_t i = (gap + 1) & mask; map->slots[i].key != NULL; i = (i + 1) & mask) {
        size_t first = (size_t)map->slots[i].hash & mask;

        if (((i - first) & mask) >= ((i - gap) & mask)) {
            map->slots[gap] = map->slots[i];
            gap = i;
        }
    }
    map->slots[gap] = (struct strmap_slot){0};
    map->n--;
    return value;
}

void strmap_done(struct strmap *map) {
    free(map->slots);
    *map = (struct strmap){0};
}
