/*
 * shared_table.h - keys that several threads look up, in a table with a lock.
 *
 * Strangers choose the keys, so the hash has a secret of this process in it (SipHash-2-4, Aumasson
 * and Bernstein 2012): nobody can choose keys that meet in one chain. A table grows with what is in
 * it, and its user bounds that. All functions but shared_hash() want the lock held.
 */
#pragma once

#include <pthread.h>
#include <sys/queue.h>

#include "util.h"

struct shared_secret {
    uint64_t words[2];
};

uint64_t shared_hash(const struct shared_secret *secret, const void *data, size_t size);

LIST_HEAD(shared_chain, shared_item);

/* The first member of what a key leads to. */
struct shared_item {
    LIST_ENTRY(shared_item) chain;
    TAILQ_ENTRY(shared_item) order;
    uint64_t hash;
    size_t len;
    const unsigned char *key; /* behind the struct that it is part of */
};

struct shared_table {
    pthread_mutex_t lock;
    size_t n, n_chains;
    struct shared_chain *chains;
    TAILQ_HEAD(shared_order, shared_item) order; /* as they were added or touched */
};

void shared_table_init(struct shared_table *table);
/* Frees what is in it too. */
void shared_table_done(struct shared_table *table);

struct shared_item *shared_table_find(const struct shared_table *table, uint64_t hash,
                                      const void *key, size_t len);
/* A new item of size bytes, zero but for what is the table's. NULL: no memory. */
struct shared_item *shared_table_add(struct shared_table *table, uint64_t hash, const void *key,
                                     size_t len, size_t size);
/* Takes it out and frees it. */
void shared_table_remove(struct shared_table *table, struct shared_item *item);
/* It is the last in order from now on. */
void shared_table_touch(struct shared_table *table, struct shared_item *item);
