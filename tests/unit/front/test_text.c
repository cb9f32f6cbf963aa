/* What of untrusted words passes into a line that a person reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guard.h"
#include "text.h"
#include "util.h"

#define BAD "\xef\xbf\xbd" /* U+FFFD */

static const struct {
    const char *text, *want;
} cases[] = {
    {"", ""},
    {"plain <b> & \"quotes\" '", "plain <b> & \"quotes\" '"},
    {"\x7f\x1b[31m\r\n\t\x01", " "
                               " [31m    "},
    {"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x8c\x85",
     "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x8c\x85"},
    {"\xc2\x80|\xc2\x9b|\xc2\x9f|\xc2\xa0", " | | |\xc2\xa0"},
    /* NOLINTNEXTLINE(misc-misleading-bidirectional): that is what must not pass */
    {"\xe2\x80\xa7|\xe2\x80\xa8|\xe2\x80\xa9|\xe2\x80\xae|\xe2\x80\xaf",
     "\xe2\x80\xa7| | | |\xe2\x80\xaf"},
    {"\xe2\x81\xa5|\xe2\x81\xa6|\xe2\x81\xa9|\xe2\x81\xaa", "\xe2\x81\xa5| | |\xe2\x81\xaa"},

    /* RFC 3629 4: no bare continuation, nothing that ends early, no overlong form, no surrogate,
     * nothing above U+10FFFF. */
    {"\x80", BAD},
    {"\xbf\xbf", BAD BAD},
    {"\xc3", BAD},
    {"\xc3(", BAD "("},
    {"\xe2\x82", BAD BAD},
    {"\xe2(\xac", BAD "(" BAD},
    {"\xf0\x9f\x8c", BAD BAD BAD},
    {"\xc0\xaf", BAD BAD},
    {"\xc1\xbf", BAD BAD},
    {"\xe0\x9f\xbf", BAD BAD BAD},
    {"\xe0\xa0\x80", "\xe0\xa0\x80"},
    {"\xed\x9f\xbf", "\xed\x9f\xbf"},
    {"\xed\xa0\x80", BAD BAD BAD},
    {"\xee\x80\x80", "\xee\x80\x80"},
    {"\xf0\x8f\xbf\xbf", BAD BAD BAD BAD},
    {"\xf0\x90\x80\x80", "\xf0\x90\x80\x80"},
    {"\xf4\x8f\xbf\xbf", "\xf4\x8f\xbf\xbf"},
    {"\xf4\x90\x80\x80", BAD BAD BAD BAD},
    {"\xf5\x80\x80\x80", BAD BAD BAD BAD},
    {"\xfe\xff", BAD BAD},
};

static void only_text_passes(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char out[64];
        size_t size =
            text_copy(out, sizeof(out), guarded(cases[i].text, strlen(cases[i].text) + 1));

        if (size != strlen(cases[i].want) || strcmp(out, cases[i].want) != 0) {
            fail_msg("case %zu: %s", i, out);
        }
    }
}

static void every_prefix_is_read_to_its_end_only(void **state) {
    static const char text[] = "a\xc3\xbc\xe2\x82\xac\xf0\x9f\x8c\x85\xed\xa0\x80\xc2\x9bz";

    (void)state;
    for (size_t size = 0; size < sizeof(text); size++) {
        char copy[sizeof(text)], out[3 * sizeof(text)];

        memcpy(copy, text, size);
        copy[size] = '\0';
        assert_true(text_copy(out, sizeof(out), guarded(copy, size + 1)) <= 3 * size);
    }
}

static void what_does_not_fit_is_cut_off_in_front_of_a_character(void **state) {
    static const char text[] = "a\xe2\x82\xac"
                               "b";
    static const struct {
        size_t room;
        const char *want;
    } rooms[] = {{1, ""},
                 {2, "a"},
                 {4, "a"},
                 {5, "a\xe2\x82\xac"},
                 {6, "a\xe2\x82\xac"
                     "b"}};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rooms); i++) {
        char out[8];

        memset(out, 'x', sizeof(out));
        assert_int_equal(text_copy(out, rooms[i].room, text), strlen(rooms[i].want));
        assert_string_equal(out, rooms[i].want);
        assert_int_equal(out[rooms[i].room], 'x');
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_text_passes),
        cmocka_unit_test(every_prefix_is_read_to_its_end_only),
        cmocka_unit_test(what_does_not_fit_is_cut_off_in_front_of_a_character),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
