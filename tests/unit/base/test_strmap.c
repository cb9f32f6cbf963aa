/* The map against a model of it: an array of what should be in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "strmap.h"
#include "util.h"

static void empty(void **state) {
    struct strmap map = {0};

    (void)state;
    assert_null(strmap_get(&map, "a", 1));
    assert_null(strmap_remove(&map, "a", 1));
    strmap_done(&map);
}

static void keys_are_bytes(void **state) {
    struct strmap map = {0};
    int values[4];

    (void)state;
    assert_int_equal(strmap_put(&map, "", 0, &values[0]), 0);
    assert_int_equal(strmap_put(&map, "a\0b", 3, &values[1]), 0);
    assert_int_equal(strmap_put(&map, "a\0c", 3, &values[2]), 0);
    assert_int_equal(strmap_put(&map, "a", 1, &values[3]), 0);
    assert_int_equal(strmap_put(&map, "axx", 1, &values[0]), -EEXIST);
    assert_ptr_equal(strmap_get(&map, "", 0), &values[0]);
    assert_ptr_equal(strmap_get(&map, "a\0b", 3), &values[1]);
    assert_ptr_equal(strmap_remove(&map, "a\0c", 3), &values[2]);
    assert_null(strmap_get(&map, "a\0c", 3));
    assert_null(strmap_remove(&map, "a\0c", 3));
    assert_ptr_equal(strmap_get(&map, "a", 1), &values[3]);
    assert_int_equal(map.n, 3);
    strmap_done(&map);
    assert_null(strmap_get(&map, "a", 1));
}

/* xorshift64: the same numbers in every run. */
static uint64_t next(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Few keys in a small map make long runs that go around its end; many make it grow. */
static void random_operations(void **state) {
    static const unsigned sizes[] = {3, 8, 60, 1000};
    static uint16_t keys[1000];
    static int values[1000];
    static bool in[1000];

    (void)state;
    for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
        keys[i] = (uint16_t)(i * 257);
    }
    for (uint64_t round = 1; round <= 200; round++) {
        unsigned n_keys = sizes[round % ARRAY_SIZE(sizes)];
        uint64_t seed = round * 0x9e3779b97f4a7c15U;
        struct strmap map = {0};
        size_t n = 0;

        memset(in, 0, sizeof(in));
        for (unsigned step = 0; step < 2000; step++) {
            unsigned k = (unsigned)(next(&seed) % n_keys);
            const void *was = in[k] ? &values[k] : NULL;

            /* Mostly put at first, mostly removed at last. */
            if (next(&seed) % 2000 >= step) {
                assert_int_equal(strmap_put(&map, &keys[k], sizeof(keys[k]), &values[k]),
                                 in[k] ? -EEXIST : 0);
                in[k] = true;
            } else {
                assert_ptr_equal(strmap_remove(&map, &keys[k], sizeof(keys[k])), was);
                in[k] = false;
            }
            n += (size_t)in[k] - (was != NULL);
            assert_int_equal(map.n, n);
            if (n_keys < 100 || step % 100 == 0) {
                for (unsigned i = 0; i < n_keys; i++) {
                    assert_ptr_equal(strmap_get(&map, &keys[i], sizeof(keys[i])),
                                     in[i] ? &values[i] : NULL);
                }
            }
        }
        strmap_done(&map);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty),
        cmocka_unit_test(keys_are_bytes),
        cmocka_unit_test(random_operations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
