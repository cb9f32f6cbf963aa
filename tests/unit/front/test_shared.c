/* What workers share: its limits, each bound of its memory, and many threads at it at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "shared.h"
#include "shared_table.h"

#define SECOND USEC_PER_SEC

static struct shared *shared;

static int setup(void **state) {
    (void)state;
    return shared_new(&shared);
}

static int teardown(void **state) {
    (void)state;
    shared_free(shared);
    return 0;
}

static int enter(const char *key, unsigned max) {
    return shared_enter(shared, SHARED_WAITING, key, strlen(key), max);
}

static void leave(const char *key) {
    shared_leave(shared, SHARED_WAITING, key, strlen(key));
}

/* --- the table ----------------------------------------------------------------------------------- */

/* The vectors of its authors: the key is 00 01 ... 0f, the text 00 01 ... */
static void hash(void **state) {
    static const struct {
        size_t size;
        uint64_t hash;
    } vectors[] = {
        {0, 0x726fdb47dd0e0e31U}, {1, 0x74f839c593dc67fdU},  {7, 0xab0200f58b01d137U},
        {8, 0x93f5f5799a932462U}, {15, 0xa129ca6149be45e5U}, {63, 0x958a324ceb064572U},
    };
    struct shared_secret secret;
    unsigned char text[64];

    (void)state;
    for (unsigned i = 0; i < sizeof(text); i++) {
        text[i] = (unsigned char)i;
    }
    secret.words[0] = 0x0706050403020100U;
    secret.words[1] = 0x0f0e0d0c0b0a0908U;
    for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
        assert_true(shared_hash(&secret, text, vectors[i].size) == vectors[i].hash);
    }
}

/* Keys whose hashes are the same are told apart all the same. */
static void collisions(void **state) {
    struct shared_table table;
    struct shared_item *a, *b;

    (void)state;
    shared_table_init(&table);
    assert_null(shared_table_find(&table, 7, "a", 1));
    a = shared_table_add(&table, 7, "a", 1, sizeof(*a));
    b = shared_table_add(&table, 7, "b", 1, sizeof(*b));
    assert_ptr_equal(shared_table_find(&table, 7, "a", 1), a);
    assert_ptr_equal(shared_table_find(&table, 7, "b", 1), b);
    assert_null(shared_table_find(&table, 7, "ab", 2));
    assert_null(shared_table_find(&table, 15, "a", 1));
    shared_table_remove(&table, a);
    assert_null(shared_table_find(&table, 7, "a", 1));
    assert_ptr_equal(shared_table_find(&table, 7, "b", 1), b);
    shared_table_done(&table);
}

/* --- counts -------------------------------------------------------------------------------------- */

static void counts(void **state) {
    (void)state;
    assert_int_equal(enter("a", 2), 0);
    assert_int_equal(enter("a", 2), 0);
    assert_int_equal(enter("a", 2), -EUSERS);
    assert_int_equal(enter("b", 1), 0);
    assert_int_equal(enter("b", 1), -EUSERS);
    assert_int_equal(shared_enter(shared, SHARED_CONNECTIONS, "a", 1, 1), 0); /* another count */
    leave("a");
    leave("nobody");
    assert_int_equal(enter("a", 2), 0);
    assert_int_equal(enter("a", 2), -EUSERS);
    leave("a");
    leave("a");
    leave("a"); /* once too often */
    assert_int_equal(enter("a", 1), 0);
    assert_int_equal(enter("c", 0), -EUSERS);
}

static void keys(void **state) {
    char key[SHARED_KEY_MAX + 1];

    (void)state;
    memset(key, 'k', sizeof(key));
    assert_int_equal(shared_enter(shared, SHARED_WAITING, key, SHARED_KEY_MAX, 1), 0);
    assert_int_equal(shared_enter(shared, SHARED_WAITING, key, SHARED_KEY_MAX, 1), -EUSERS);
    assert_int_equal(shared_enter(shared, SHARED_WAITING, key, SHARED_KEY_MAX + 1, 1), -ENOMEM);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(shared_enter(shared, SHARED_WAITING, NULL, 0, 1), 0);
    }
    shared_leave(shared, SHARED_WAITING, NULL, 0);
}

/* A table that is full takes no new key, and goes on with those that it has. */
static void counts_bound(void **state) {
    uint32_t key, entered = 0;

    (void)state;
    for (key = 0; key < 2 * SHARED_COUNTS_MAX; key++) {
        int r = shared_enter(shared, SHARED_CONNECTIONS, &key, sizeof(key), 2);

        assert_true(r == 0 || r == -ENOMEM);
        entered += r == 0;
    }
    assert_int_equal(entered, SHARED_COUNTS_MAX);
    key = 0;
    assert_int_equal(shared_enter(shared, SHARED_CONNECTIONS, &key, sizeof(key), 2), 0);
    for (key = 0; key < 2 * SHARED_COUNTS_MAX; key++) {
        shared_leave(shared, SHARED_CONNECTIONS, &key, sizeof(key));
    }
    for (key = 1U << 30, entered = 0; entered < SHARED_COUNTS_MAX / 2; key++, entered++) {
        assert_int_equal(shared_enter(shared, SHARED_CONNECTIONS, &key, sizeof(key), 1), 0);
    }
}

static size_t address_key(int family, const char *text, unsigned char *ret_key) {
    struct proto_address address = {.family = (uint16_t)family, .port = 1};

    if (family != AF_UNSPEC) {
        assert_int_equal(inet_pton(family, text, address.ip), 1);
    }
    return shared_address_key(&address, ret_key);
}

static void addresses(void **state) {
    static const struct {
        int family;
        const char *a;
        int other;
        const char *b;
        bool same;
    } pairs[] = {
        {AF_INET, "192.0.2.1", AF_INET, "192.0.2.1", true},
        {AF_INET, "192.0.2.1", AF_INET, "192.0.2.2", false},
        {AF_INET6, "::ffff:192.0.2.1", AF_INET, "192.0.2.1", true},
        {AF_INET6, "2001:db8:1:2::1", AF_INET6, "2001:db8:1:2:ffff::", true},
        {AF_INET6, "2001:db8:1:2::1", AF_INET6, "2001:db8:1:3::1", false},
        {AF_INET6, "c000:201::", AF_INET, "192.0.2.1", false},
    };
    unsigned char a[SHARED_ADDRESS_KEY], b[SHARED_ADDRESS_KEY];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
        size_t n = address_key(pairs[i].family, pairs[i].a, a);
        size_t m = address_key(pairs[i].other, pairs[i].b, b);

        assert_true(n > 0 && m > 0);
        assert_int_equal(n == m && memcmp(a, b, n) == 0, pairs[i].same);
    }
    assert_int_equal(address_key(AF_UNSPEC, "", a), 0);
}

/* --- rates --------------------------------------------------------------------------------------- */

static bool take(const char *key, unsigned count, usec_t per, usec_t now, usec_t *ret_wait) {
    return shared_rate_take(shared, key, strlen(key), count, per, now, ret_wait);
}

static void rates(void **state) {
    usec_t wait = 0, now = 1000 * SECOND;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_true(take("a", 3, 30 * SECOND, now, &wait));
    }
    assert_false(take("a", 3, 30 * SECOND, now, &wait));
    assert_int_equal(wait, 10 * SECOND);
    assert_true(take("b", 3, 30 * SECOND, now, &wait));
    assert_false(take("a", 3, 30 * SECOND, now + 4 * SECOND, &wait));
    assert_int_equal(wait, 6 * SECOND);
    assert_false(take("a", 3, 30 * SECOND, now + 10 * SECOND - 1, &wait));
    assert_int_equal(wait, 1);
    assert_true(take("a", 3, 30 * SECOND, now + 10 * SECOND, &wait));
    assert_false(take("a", 3, 30 * SECOND, now + 10 * SECOND, &wait));
    /* After a long rest as many as at first, and not more. */
    now += 3600 * SECOND;
    for (unsigned i = 0; i < 3; i++) {
        assert_true(take("a", 3, 30 * SECOND, now, &wait));
    }
    assert_false(take("a", 3, 30 * SECOND, now, &wait));
    /* A clock of another worker that is a little behind. */
    assert_false(take("a", 3, 30 * SECOND, now - 10, &wait));
    assert_int_equal(wait, 10 * SECOND + 10);
}

static void rates_at_the_edge(void **state) {
    char key[SHARED_KEY_MAX + 1];
    usec_t wait = 0;

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        assert_true(take("no limit", 0, SECOND, 1, &wait));
    }
    for (unsigned i = 0; i < 3; i++) { /* more than one in each microsecond */
        assert_true(take("fast", 3, 1, 1, &wait));
    }
    assert_false(take("fast", 3, 1, 1, &wait));
    assert_true(take("slow", 1, USEC_INFINITY, 1, &wait));
    assert_false(take("slow", 1, USEC_INFINITY, SECOND, &wait));
    memset(key, 'k', sizeof(key));
    assert_true(shared_rate_take(shared, key, SHARED_KEY_MAX, 1, SECOND, 1, &wait));
    assert_false(shared_rate_take(shared, key, SHARED_KEY_MAX + 1, 1, SECOND, 1, &wait));
}

/* Beyond the bound the oldest are forgotten, and none of those who came last. */
static void rates_bound(void **state) {
    usec_t wait;
    uint32_t key;

    (void)state;
    for (key = 0; key < 4 * SHARED_RATES_MAX; key++) {
        assert_true(shared_rate_take(shared, &key, sizeof(key), 1, SECOND, 1, &wait));
    }
    for (key = 4 * SHARED_RATES_MAX - SHARED_RATES_MAX / 2; key < 4 * SHARED_RATES_MAX; key++) {
        assert_false(shared_rate_take(shared, &key, sizeof(key), 1, SECOND, 1, &wait));
    }
    key = 0;
    assert_true(shared_rate_take(shared, &key, sizeof(key), 1, SECOND, 1, &wait));
}

/* --- failures ------------------------------------------------------------------------------------ */

static void failures(void **state) {
    char reason[PROTO_TEXT_MAX] = "", long_reason[2 * PROTO_TEXT_MAX];
    enum proto_failure failure = PROTO_FAILURE_NONE;

    (void)state;
    assert_false(shared_failure_get(shared, "web", SECOND, SECOND, &failure, reason));
    shared_failure_note(shared, "web", PROTO_FAILURE_TIMEOUT, "too late", 10 * SECOND);
    assert_true(shared_failure_get(shared, "web", SECOND, 11 * SECOND, &failure, reason));
    assert_int_equal(failure, PROTO_FAILURE_TIMEOUT);
    assert_string_equal(reason, "too late");
    assert_false(shared_failure_get(shared, "web@1", SECOND, 11 * SECOND, &failure, reason));
    assert_false(shared_failure_get(shared, "web", SECOND, 11 * SECOND + 1, &failure, reason));

    memset(long_reason, 'x', sizeof(long_reason));
    long_reason[sizeof(long_reason) - 1] = '\0';
    shared_failure_note(shared, "web", PROTO_FAILURE_EXITED, long_reason, 20 * SECOND);
    assert_true(shared_failure_get(shared, "web", SECOND, 19 * SECOND, &failure, reason));
    assert_int_equal(failure, PROTO_FAILURE_EXITED);
    assert_int_equal(strlen(reason), PROTO_TEXT_MAX - 1);
    shared_failure_forget(shared, "web");
    shared_failure_forget(shared, "web");
    assert_false(shared_failure_get(shared, "web", SECOND, 20 * SECOND, &failure, reason));
}

static void failures_bound(void **state) {
    char reason[PROTO_TEXT_MAX], name[32];
    enum proto_failure failure;

    (void)state;
    for (unsigned i = 0; i < SHARED_FAILURES_MAX; i++) {
        snprintf(name, sizeof(name), "app%u", i);
        shared_failure_note(shared, name, PROTO_FAILURE_TIMEOUT, name, i);
    }
    shared_failure_note(shared, "app0", PROTO_FAILURE_TIMEOUT, "again", SHARED_FAILURES_MAX);
    shared_failure_note(shared, "one more", PROTO_FAILURE_TIMEOUT, "", SHARED_FAILURES_MAX);
    assert_true(shared_failure_get(shared, "app0", SECOND, SECOND, &failure, reason));
    assert_false(shared_failure_get(shared, "app1", SECOND, SECOND, &failure, reason));
    for (unsigned i = 2; i < SHARED_FAILURES_MAX; i++) {
        snprintf(name, sizeof(name), "app%u", i);
        assert_true(shared_failure_get(shared, name, SECOND, SECOND, &failure, reason));
        assert_string_equal(reason, name);
    }
}

/* --- threads ------------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 20000, KEYS = 64, LIMIT = 3, TOKENS = 100 };

static unsigned inside[KEYS], taken[THREADS];

static void *hammer(void *arg) {
    unsigned self = *(const unsigned *)arg, seed = self;
    char reason[PROTO_TEXT_MAX], name[16];
    enum proto_failure failure;
    usec_t wait;

    for (unsigned i = 0; i < ROUNDS; i++) {
        uint32_t key = ((seed = seed * 1103515245 + 12345) >> 16) % KEYS;

        if (shared_enter(shared, SHARED_WAITING, &key, sizeof(key), LIMIT) == 0) {
            unsigned n = __atomic_add_fetch(&inside[key], 1, __ATOMIC_SEQ_CST);

            assert_in_range(n, 1, LIMIT);
            __atomic_sub_fetch(&inside[key], 1, __ATOMIC_SEQ_CST);
            shared_leave(shared, SHARED_WAITING, &key, sizeof(key));
        }
        taken[self] += take("all", TOKENS, SECOND, 1, &wait);
        snprintf(name, sizeof(name), "app%u", (unsigned)key);
        switch (i % 3) {
        case 0:
            shared_failure_note(shared, name, PROTO_FAILURE_EXITED, name, 1);
            break;
        case 1:
            if (shared_failure_get(shared, name, SECOND, 1, &failure, reason)) {
                assert_string_equal(reason, name);
            }
            break;
        default:
            shared_failure_forget(shared, name);
            break;
        }
    }
    return NULL;
}

static void threads(void **state) {
    unsigned numbers[THREADS], sum = 0;
    pthread_t ids[THREADS];

    (void)state;
    for (unsigned i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&ids[i], NULL, hammer, &numbers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(ids[i], NULL);
        sum += taken[i];
    }
    assert_int_equal(sum, TOKENS);
    for (uint32_t key = 0; key < KEYS; key++) { /* all have left */
        assert_int_equal(shared_enter(shared, SHARED_WAITING, &key, sizeof(key), 1), 0);
    }
}

#define shared_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash), cmocka_unit_test(collisions),   shared_test(counts),
        shared_test(keys),      shared_test(counts_bound),      shared_test(addresses),
        shared_test(rates),     shared_test(rates_at_the_edge), shared_test(rates_bound),
        shared_test(failures),  shared_test(failures_bound),    shared_test(threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
