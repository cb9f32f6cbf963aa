/*
 * shared.h - what the workers of one front have in common: counts with limits, rates, failures.
 *
 * Nothing of it is touched for a request that is relayed to an app that is awake. Each part has a
 * lock of its own, held for a look-up in memory and nothing more. Everything is bounded.
 */
#pragma once

#include "proto.h"
#include "util.h"

enum {
    SHARED_SHARDS = 16, /* tables, each with its lock, that counts and rates are spread over */
    /* Bytes of a key: an app's name, a client's address, or both. */
    SHARED_KEY_MAX = PROTO_NAME_MAX + 17,
    SHARED_COUNTS_MAX = 131072, /* keys of one count, in equal parts for each shard */
    /* Clients whose rate is remembered, in equal parts too; beyond, the oldest is forgotten. */
    SHARED_RATES_MAX = 16384,
    SHARED_FAILURES_MAX = 1024, /* apps; beyond, the oldest failure is forgotten */
};

struct shared;

/* Returns 0, -ENOMEM, or -EIO when the kernel has no random numbers. */
int shared_new(struct shared **ret_shared);
void shared_free(struct shared *shared);

/* --- counts: connections of an address, waiting clients of an app -------------------------------- */

enum shared_count { SHARED_CONNECTIONS, SHARED_WAITING, SHARED_COUNT_MAX };

/*
 * Counts one more for the key, unless it has max already. Returns 0, -EUSERS when it has, -ENOMEM
 * (beyond SHARED_COUNTS_MAX and SHARED_KEY_MAX too). An empty key is not counted, and enters always.
 * A key that counts nothing any more takes no memory.
 */
int shared_enter(struct shared *shared, enum shared_count count, const void *key, size_t len,
                 unsigned max);
void shared_leave(struct shared *shared, enum shared_count count, const void *key, size_t len);

/* The key of a client's address: all of IPv4, the first 64 bits of IPv6. Returns its length, 0: a
 * Unix socket, which is not counted. */
enum { SHARED_ADDRESS_KEY = 17 };
size_t shared_address_key(const struct proto_address *address,
                          unsigned char ret_key[static SHARED_ADDRESS_KEY]);

/* --- rates: token buckets ------------------------------------------------------------------------ */

/*
 * Takes one of the count tokens that the key gets anew in per, evenly. Returns whether there was one;
 * if not, *ret_wait is the time until there is. count 0: no limit. now: the monotonic clock. Of
 * a key longer than SHARED_KEY_MAX its beginning counts. Without memory nobody is limited.
 */
bool shared_rate_take(struct shared *shared, const void *key, size_t len, unsigned count,
                      usec_t per, usec_t now, usec_t *ret_wait);

/* --- failures: why an app did not wake, for those who come right after --------------------------- */

void shared_failure_note(struct shared *shared, const char *app, enum proto_failure failure,
                         const char *reason, usec_t now);
/* Whether the app failed at most age ago, and why. */
bool shared_failure_get(struct shared *shared, const char *app, usec_t age, usec_t now,
                        enum proto_failure *ret_failure, char ret_reason[static PROTO_TEXT_MAX]);
void shared_failure_forget(struct shared *shared, const char *app);
