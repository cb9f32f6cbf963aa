/* shared_table.c - see shared_table.h. Chains, on average no longer than one item. */
#include "shared_table.h"

#include <endian.h>
#include <string.h>

enum { CHAINS_FIRST = 8 };

/* --- SipHash-2-4 --------------------------------------------------------------------------------- */

static uint64_t rotate(uint64_t x, unsigned bits) {
    return x << bits | x >> (64 - bits);
}

static void sip_rounds(uint64_t v[static 4], unsigned n) {
    while (n-- > 0) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] = rotate(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] = rotate(v[2], 32);
    }
}

static void sip_word(uint64_t v[static 4], uint64_t word) {
    v[3] ^= word;
    sip_rounds(v, 2);
    v[0] ^= word;
}

uint64_t shared_hash(const struct shared_secret *secret, const void *data, size_t size) {
    const uint64_t *k = secret->words;
    uint64_t v[4] = {k[0] ^ 0x736f6d6570736575U, k[1] ^ 0x646f72616e646f6dU,
                     k[0] ^ 0x6c7967656e657261U, k[1] ^ 0x7465646279746573U};
    const unsigned char *p = data;
    uint64_t word;

    for (; size >= (size_t)(p - (const unsigned char *)data) + sizeof(word); p += sizeof(word)) {
        memcpy(&word, p, sizeof(word));
        sip_word(v, le64toh(word));
    }
    word = 0;
    memcpy(&word, p, size % sizeof(word));
    sip_word(v, le64toh(word) | (uint64_t)size << 56);
    v[2] ^= 0xff;
    sip_rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* --- the table ----------------------------------------------------------------------------------- */

void shared_table_init(struct shared_table *table) {
    *table = (struct shared_table){.lock = PTHREAD_MUTEX_INITIALIZER};
    TAILQ_INIT(&table->order);
}

void shared_table_done(struct shared_table *table) {
    struct shared_item *item;

    while ((item = TAILQ_FIRST(&table->order)) != NULL) {
        shared_table_remove(table, item);
    }
    free(table->chains);
    pthread_mutex_destroy(&table->lock);
}

static struct shared_chain *chain_of(const struct shared_table *table, uint64_t hash) {
    return &table->chains[hash & (table->n_chains - 1)];
}

/* Twice as many chains. Without memory for them it goes on with those that there are. */
static void grow(struct shared_table *table) {
    size_t n = table->n_chains == 0 ? CHAINS_FIRST : 2 * table->n_chains;
    struct shared_chain *chains = calloc(n, sizeof(*chains));
    struct shared_item *item;

    if (chains == NULL) {
        return;
    }
    free(table->chains);
    table->chains = chains;
    table->n_chains = n;
    TAILQ_FOREACH (item, &table->order, order) {
        LIST_INSERT_HEAD(chain_of(table, item->hash), item, chain);
    }
}

struct shared_item *shared_table_find(const struct shared_table *table, uint64_t hash,
                                      const void *key, size_t len) {
    struct shared_item *item = NULL;

    if (table->n > 0) {
        LIST_FOREACH(item, chain_of(table, hash), chain) {
            if (item->hash == hash && item->len == len && memcmp(item->key, key, len) == 0) {
                break;
            }
        }
    }
    return item;
}

struct shared_item *shared_table_add(struct shared_table *table, uint64_t hash, const void *key,
                                     size_t len, size_t size) {
    struct shared_item *item = calloc(1, size + len);

    if (table->n >= table->n_chains) {
        grow(table);
    }
    if (item == NULL || table->n_chains == 0) {
        free(item);
        return NULL;
    }
    memcpy((unsigned char *)item + size, key, len);
    *item = (struct shared_item){.hash = hash, .len = len, .key = (unsigned char *)item + size};
    LIST_INSERT_HEAD(chain_of(table, hash), item, chain);
    TAILQ_INSERT_TAIL(&table->order, item, order);
    table->n++;
    return item;
}

void shared_table_remove(struct shared_table *table, struct shared_item *item) {
    LIST_REMOVE(item, chain);
    TAILQ_REMOVE(&table->order, item, order);
    table->n--;
    free(item);
}

void shared_table_touch(struct shared_table *table, struct shared_item *item) {
    TAILQ_REMOVE(&table->order, item, order);
    TAILQ_INSERT_TAIL(&table->order, item, order);
}
