/*
 * shared.c - see shared.h.
 *
 * Counts and rates are split over SHARDS tables by their keys' hash, so that workers seldom meet at a
 * lock. Failures are few and looked up only by who waits for an app that is not awake.
 */
#include "shared.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "shared_table.h"

enum {
    SHARDS = SHARED_SHARDS,
    RATES_SWEEP = 4, /* old buckets that are looked at for each new one */
};

struct shared {
    struct shared_secret secret;
    struct shared_table counts[SHARED_COUNT_MAX][SHARDS];
    struct shared_table rates[SHARDS]; /* in order of their use */
    struct shared_table failures;      /* in order of their age */
};

struct counted {
    struct shared_item item;
    unsigned count;
};

struct bucket {
    struct shared_item item;
    usec_t full; /* when it has all its tokens again */
};

struct failure {
    struct shared_item item;
    usec_t at;
    enum proto_failure failure;
    char reason[PROTO_TEXT_MAX];
};

/* --- life ---------------------------------------------------------------------------------------- */

int shared_new(struct shared **ret_shared) {
    struct shared *shared = calloc(1, sizeof(*shared));

    if (shared == NULL) {
        return -ENOMEM;
    }
    if (getrandom(&shared->secret, sizeof(shared->secret), 0) != sizeof(shared->secret)) {
        free(shared);
        return -EIO;
    }
    for (size_t shard = 0; shard < SHARDS; shard++) {
        for (size_t count = 0; count < SHARED_COUNT_MAX; count++) {
            shared_table_init(&shared->counts[count][shard]);
        }
        shared_table_init(&shared->rates[shard]);
    }
    shared_table_init(&shared->failures);
    *ret_shared = shared;
    return 0;
}

void shared_free(struct shared *shared) {
    if (shared == NULL) {
        return;
    }
    for (size_t shard = 0; shard < SHARDS; shard++) {
        for (size_t count = 0; count < SHARED_COUNT_MAX; count++) {
            shared_table_done(&shared->counts[count][shard]);
        }
        shared_table_done(&shared->rates[shard]);
    }
    shared_table_done(&shared->failures);
    free(shared);
}

/* The key's table, locked. The chains are chosen by the hash's low bits, the table by its high ones. */
static struct shared_table *lock_shard(struct shared_table tables[static SHARDS], uint64_t hash) {
    struct shared_table *table = &tables[hash >> 32 & (SHARDS - 1)];

    pthread_mutex_lock(&table->lock);
    return table;
}

static void unlock(struct shared_table *table) {
    pthread_mutex_unlock(&table->lock);
}

/* --- counts -------------------------------------------------------------------------------------- */

static int count_up(struct shared_table *table, uint64_t hash, const void *key, size_t len,
                    unsigned max) {
    struct counted *counted = (struct counted *)shared_table_find(table, hash, key, len);

    if ((counted == NULL ? 0 : counted->count) >= max) {
        return -EUSERS;
    }
    if (counted == NULL) {
        if (table->n >= SHARED_COUNTS_MAX / SHARDS) {
            return -ENOMEM;
        }
        counted = (struct counted *)shared_table_add(table, hash, key, len, sizeof(*counted));
        if (counted == NULL) {
            return -ENOMEM;
        }
    }
    counted->count++;
    return 0;
}

int shared_enter(struct shared *shared, enum shared_count count, const void *key, size_t len,
                 unsigned max) {
    struct shared_table *table;
    uint64_t hash;
    int r;

    if (len == 0) {
        return 0;
    }
    if (len > SHARED_KEY_MAX) {
        return -ENOMEM;
    }
    hash = shared_hash(&shared->secret, key, len);
    table = lock_shard(shared->counts[count], hash);
    r = count_up(table, hash, key, len, max);
    unlock(table);
    return r;
}

void shared_leave(struct shared *shared, enum shared_count count, const void *key, size_t len) {
    struct shared_table *table;
    struct counted *counted;
    uint64_t hash;

    if (len == 0) {
        return;
    }
    hash = shared_hash(&shared->secret, key, len);
    table = lock_shard(shared->counts[count], hash);
    counted = (struct counted *)shared_table_find(table, hash, key, len);
    if (counted != NULL && --counted->count == 0) {
        shared_table_remove(table, &counted->item);
    }
    unlock(table);
}

size_t shared_address_key(const struct proto_address *address,
                          unsigned char ret_key[static SHARED_ADDRESS_KEY]) {
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    const uint8_t *ip = address->ip;
    size_t len = 4; /* IPv4 */

    if (address->family != AF_INET && address->family != AF_INET6) {
        return 0;
    }
    if (address->family == AF_INET6) {
        if (memcmp(ip, mapped, sizeof(mapped)) == 0) {
            ip += sizeof(mapped);
        } else {
            len = 8;
        }
    }
    ret_key[0] = (unsigned char)len; /* no IPv4 address is the beginning of an IPv6 one */
    memcpy(ret_key + 1, ip, len);
    return 1 + len;
}

/* --- rates --------------------------------------------------------------------------------------- */

/* Makes room: a bucket that is full again is as good as none, and the oldest goes when all places
 * are taken. */
static void sweep(struct shared_table *table, usec_t now) {
    for (unsigned i = 0; i < RATES_SWEEP; i++) {
        struct bucket *oldest = (struct bucket *)TAILQ_FIRST(&table->order);

        if (oldest == NULL || (oldest->full > now && table->n < SHARED_RATES_MAX / SHARDS)) {
            return;
        }
        shared_table_remove(table, &oldest->item);
    }
}

/*
 * A bucket that fills at one token in each interval is told by the moment at which it is full: each
 * token taken puts that off by an interval, to count intervals from now at most.
 */
static bool take_token(struct bucket *bucket, unsigned count, usec_t interval, usec_t now,
                       usec_t *ret_wait) {
    usec_t ahead = usec_sub(bucket->full, now), most = (count - 1) * interval;

    if (ahead > most) {
        *ret_wait = ahead - most;
        return false;
    }
    bucket->full = usec_add(now, ahead + interval);
    return true;
}

bool shared_rate_take(struct shared *shared, const void *key, size_t len, unsigned count,
                      usec_t per, usec_t now, usec_t *ret_wait) {
    struct shared_table *table;
    struct bucket *bucket;
    usec_t interval;
    uint64_t hash;
    bool taken = true;

    if (count == 0) {
        return true;
    }
    len = len > SHARED_KEY_MAX ? SHARED_KEY_MAX : len;
    hash = shared_hash(&shared->secret, key, len);
    interval = per > count ? per / count : 1;
    table = lock_shard(shared->rates, hash);
    bucket = (struct bucket *)shared_table_find(table, hash, key, len);
    if (bucket == NULL) {
        sweep(table, now);
        bucket = (struct bucket *)shared_table_add(table, hash, key, len, sizeof(*bucket));
    } else {
        shared_table_touch(table, &bucket->item);
    }
    if (bucket != NULL) {
        taken = take_token(bucket, count, interval, now, ret_wait);
    }
    unlock(table);
    return taken;
}

/* --- failures ------------------------------------------------------------------------------------ */

static struct failure *failure_find(struct shared *shared, const char *app) {
    size_t len = strnlen(app, PROTO_NAME_MAX);

    return (struct failure *)shared_table_find(&shared->failures,
                                               shared_hash(&shared->secret, app, len), app, len);
}

static struct failure *failure_add(struct shared *shared, const char *app) {
    struct shared_table *table = &shared->failures;
    size_t len = strnlen(app, PROTO_NAME_MAX);

    if (table->n >= SHARED_FAILURES_MAX) {
        shared_table_remove(table, TAILQ_FIRST(&table->order));
    }
    return (struct failure *)shared_table_add(table, shared_hash(&shared->secret, app, len), app,
                                              len, sizeof(struct failure));
}

void shared_failure_note(struct shared *shared, const char *app, enum proto_failure failure,
                         const char *reason, usec_t now) {
    struct failure *noted;

    pthread_mutex_lock(&shared->failures.lock);
    noted = failure_find(shared, app);
    if (noted == NULL) {
        noted = failure_add(shared, app);
    } else {
        shared_table_touch(&shared->failures, &noted->item);
    }
    if (noted != NULL) { /* without memory the next one finds out by itself */
        noted->at = now;
        noted->failure = failure;
        snprintf(noted->reason, sizeof(noted->reason), "%s", reason);
    }
    unlock(&shared->failures);
}

bool shared_failure_get(struct shared *shared, const char *app, usec_t age, usec_t now,
                        enum proto_failure *ret_failure, char ret_reason[static PROTO_TEXT_MAX]) {
    const struct failure *noted;
    bool found = false;

    pthread_mutex_lock(&shared->failures.lock);
    noted = failure_find(shared, app);
    if (noted != NULL && usec_sub(now, noted->at) <= age) {
        found = true;
        *ret_failure = noted->failure;
        memcpy(ret_reason, noted->reason, sizeof(noted->reason));
    }
    unlock(&shared->failures);
    return found;
}

void shared_failure_forget(struct shared *shared, const char *app) {
    struct failure *noted;

    pthread_mutex_lock(&shared->failures.lock);
    noted = failure_find(shared, app);
    if (noted != NULL) {
        shared_table_remove(&shared->failures, &noted->item);
    }
    unlock(&shared->failures);
}
