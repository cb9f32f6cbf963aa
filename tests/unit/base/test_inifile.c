/* Every pitfall of libinih, and that what is let through arrives unchanged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "config.h"
#include "inifile.h"

/* Debian's libinih can be told at run time to behave as other builds do; others have no such names.
 */
extern bool ini_allow_multiline __attribute__((weak));
extern bool ini_allow_inline_comments __attribute__((weak));
extern bool ini_allow_bom __attribute__((weak));
extern bool ini_use_stack __attribute__((weak));
extern bool ini_allow_no_value __attribute__((weak));
extern int ini_max_line __attribute__((weak));

/* What came, as text: `1[section]`, `2 section.key=value`, `3!fault`, a line each. */
struct record {
    char text[16384];
    size_t len;
    int stop_at; /* the handler fails at this event; 0: never */
    int n;
};

__attribute__((format(printf, 2, 3))) static int record(struct record *r, const char *format, ...) {
    va_list ap;

    va_start(ap, format);
    r->len += (size_t)vsnprintf(r->text + r->len, sizeof(r->text) - r->len, format, ap);
    va_end(ap);
    assert_true(r->len < sizeof(r->text));
    return ++r->n == r->stop_at ? -ECANCELED : 0;
}

static int on_section(void *user, unsigned line, const char *section) {
    return record(user, "%u[%s]\n", line, section);
}

static int on_key(void *user, unsigned line, const char *section, const char *name,
                  const char *value) {
    return record(user, "%u %s.%s=%s\n", line, section, name, value);
}

static int on_fault(void *user, unsigned line, const char *text) {
    return record(user, "%u!%s\n", line, text);
}

static const struct inifile_handler handler = {on_section, on_key, on_fault};

/* The text lies before an unmapped page. */
static int parse(const void *data, size_t size, struct record *ret_record) {
    static char *pages;
    enum { SIZE = 131072 };

    if (pages == NULL) {
        pages = mmap(NULL, SIZE + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        assert_ptr_not_equal(pages, MAP_FAILED);
        assert_int_equal(mprotect(pages + SIZE, 4096, PROT_NONE), 0);
    }
    memcpy(pages + SIZE - size, data, size);
    ret_record->text[0] = '\0';
    ret_record->len = 0;
    ret_record->n = 0;
    return inifile_parse(pages + SIZE - size, size, &handler, ret_record);
}

static void expect_bytes(const void *data, size_t size, const char *events) {
    static struct record r;

    assert_int_equal(parse(data, size, &r), 0);
    assert_string_equal(r.text, events);
}

static void expect(const char *text, const char *events) {
    expect_bytes(text, strlen(text), events);
}

static void plain(void **state) {
    (void)state;
    expect("", "");
    expect("\n\n", "");
    expect("[a]\nk = v\n\n[b]\nk=w\n", "1[a]\n2 a.k=v\n4[b]\n5 b.k=w\n");
    expect("[a]\nk = v", "1[a]\n2 a.k=v\n");
    expect("[a]\nk:v\n", "1[a]\n2 a.k=v\n");
    expect("[a]\nk = x = y : z\n", "1[a]\n2 a.k=x = y : z\n");
    expect("[a]\nk =\nl = \t \n", "1[a]\n2 a.k=\n3 a.l=\n");
    expect("[a]\nk   =   v v  \t \n", "1[a]\n2 a.k=v v\n");
    expect("[a]\n[b]\n[a]\nk=v\n", "1[a]\n2[b]\n3[a]\n4 a.k=v\n");
    expect("k=v\n", "1 .k=v\n");
    expect("[a]\nk=\xc3\xa4\n", "1[a]\n2 a.k=\xc3\xa4\n");
}

static void comments(void **state) {
    (void)state;
    expect("; c\n# c = d\n  ; c\n\t# c\n[a]\n#\nk=a#b;c\n", "5[a]\n7 a.k=a#b;c\n");
    expect("[a]\nk = v # c\n", "1[a]\n2 a.k=v # c\n");
}

#define INLINE "a comment needs a line of its own: what follows ' ;' would be cut off\n"

static void comment_inside_a_line(void **state) {
    (void)state;
    expect("[a]\nk = v ; c\nl = w\n", "1[a]\n2!" INLINE "3 a.l=w\n");
    expect("[a]\nk =\t;c\n", "1[a]\n2!" INLINE);
    expect("[a]\nk ; = c\n", "1[a]\n2!" INLINE);
    expect("[a] ; c\nk = v\n", "1!" INLINE);
}

static void windows(void **state) {
    (void)state;
    expect("\xef\xbb\xbf[a]\r\nk = v\r\n\r\n; c\r\nl = w\r\n", "1[a]\n2 a.k=v\n5 a.l=w\n");
    expect("\xef\xbb\xbf", "");
    expect("\xef\xbb\xbfk=v", "1 .k=v\n");
    /* Only the very first bytes are a mark. */
    expect("[a]\n\xef\xbb\xbfk=v", "1[a]\n2 a.\xef\xbb\xbfk=v\n");
}

static void control_characters(void **state) {
    static const char nul[] = "[a]\nk = v\0w\n; \0\nl = x\n\0";

    (void)state;
    expect_bytes(nul, sizeof(nul) - 1, "1[a]\n2!NUL byte\n3!NUL byte\n4 a.l=x\n5!NUL byte\n");
    expect("[a]\nk = v\rw\nl = \x7f\n\x1b[31m\n",
           "1[a]\n2!control character 0x0d\n3!control character 0x7f\n"
           "4!control character 0x1b\n");
}

static void sections(void **state) {
    char text[256];
    char events[256];
    char name[INIFILE_NAME_MAX + 2];

    (void)state;
    /* The keys of a faulty section belong nowhere, not to the one before. */
    expect("[a]\nk=v\n[b\nk=w\n[c]\nk=x\n", "1[a]\n2 a.k=v\n3!'[' without ']'\n5[c]\n6 c.k=x\n");
    expect("[a] b\nk=w\n", "1!text after ']'\n");
    expect("[]\nk=w\n", "1!the section has no name\n");
    expect("[ a ]\nk=w\n", "1[ a ]\n2  a .k=w\n");
    memset(name, 'n', sizeof(name));
    name[INIFILE_NAME_MAX] = '\0';
    snprintf(text, sizeof(text), "[%s]\nk=v\n", name);
    snprintf(events, sizeof(events), "1[%s]\n2 %s.k=v\n", name, name);
    expect(text, events);
    snprintf(text, sizeof(text), "[a]\n[%sn]\nk=v\n", name);
    expect(text, "1[a]\n2!the section's name is longer than 49 bytes\n");
}

#define INDENTED                                                                                   \
    "the line begins with a blank and would be taken for more of the value before; begin it in "   \
    "the first column\n"

static void continuation(void **state) {
    (void)state;
    expect("[a]\nk = v\n  w\nl = x\n", "1[a]\n2 a.k=v\n3!" INDENTED "4 a.l=x\n");
    expect("[a]\nk = v\n\tl = w\n", "1[a]\n2 a.k=v\n3!" INDENTED);
    expect("[a]\nk = v\n [b]\nl = w\n", "1[a]\n2 a.k=v\n3!" INDENTED "4 a.l=w\n");
}

static void no_key(void **state) {
    (void)state;
    expect("[a]\nrubbish\n= v\n: v\n",
           "1[a]\n2!neither '[section]' nor 'key = value'\n3!no key before '='\n"
           "4!no key before ':'\n");
}

static void long_names(void **state) {
    char name[INIFILE_NAME_MAX + 2];
    char text[256];
    char events[256];

    (void)state;
    memset(name, 'n', sizeof(name));
    name[INIFILE_NAME_MAX] = '\0';
    snprintf(text, sizeof(text), "[a]\n%s = v\n", name);
    snprintf(events, sizeof(events), "1[a]\n2 a.%s=v\n", name);
    expect(text, events);
    snprintf(text, sizeof(text), "[a]\n%sn = v\n", name);
    expect(text, "1[a]\n2!the key is longer than 49 bytes\n");
}

/* Values of every length arrive whole, with blanks and `;` at every place where a cut may fall. */
static void long_values(void **state) {
    static const char *const patterns[] = {"x", "abc def ", ";", "a;b c", "0123456789 "};
    char value[CONFIG_VALUE_MAX + 2];
    char text[2048];
    char events[2048];

    (void)state;
    for (size_t p = 0; p < sizeof(patterns) / sizeof(patterns[0]); p++) {
        size_t period = strlen(patterns[p]);

        for (size_t len = 1; len <= CONFIG_VALUE_MAX; len++) {
            for (size_t i = 0; i < len; i++) {
                value[i] = patterns[p][i % period];
            }
            value[len] = '\0';
            if (value[len - 1] == ' ' || strstr(value, " ;") != NULL) {
                continue;
            }
            snprintf(text, sizeof(text), "[a]\nthe_key=%s\nl = w\n", value);
            snprintf(events, sizeof(events), "1[a]\n2 a.the_key=%s\n3 a.l=w\n", value);
            expect(text, events);
        }
    }
    memset(value, 'x', sizeof(value));
    value[CONFIG_VALUE_MAX + 1] = '\0';
    snprintf(text, sizeof(text), "[a]\nk = %s\nl = w\n", value);
    expect(text, "1[a]\n2!the value is longer than 1023 bytes\n3 a.l=w\n");
}

static void many_blanks(void **state) {
    char text[512];
    char events[512];

    (void)state;
    snprintf(text, sizeof(text), "[a]\nk = %0150d%*s%0150d\n", 1, INIFILE_BLANKS_MAX, "", 2);
    snprintf(events, sizeof(events), "1[a]\n2 a.k=%0150d%*s%0150d\n", 1, INIFILE_BLANKS_MAX, "", 2);
    expect(text, events);
    snprintf(text, sizeof(text), "[a]\nk = v%*sv\n", INIFILE_BLANKS_MAX + 1, "");
    expect(text, "1[a]\n2!more than 64 blanks in a row\n");
}

static void long_comment(void **state) {
    char text[1024];

    (void)state;
    snprintf(text, sizeof(text), "# %0500d = 1\n[a]\n; %0190d\nk = v\n", 0, 0);
    expect(text, "2[a]\n4 a.k=v\n");
}

static void handler_stops(void **state) {
    static struct record r;
    static const char text[] = "[a]\nk=v\nl=w\nrubbish\n";

    (void)state;
    r.stop_at = 2;
    assert_int_equal(parse(text, sizeof(text) - 1, &r), -ECANCELED);
    assert_string_equal(r.text, "1[a]\n2 a.k=v\n");
    r.stop_at = 1;
    assert_int_equal(parse(text, sizeof(text) - 1, &r), -ECANCELED);
    assert_string_equal(r.text, "1[a]\n");
    r.stop_at = 4;
    assert_int_equal(parse(text, sizeof(text) - 1, &r), -ECANCELED);
    assert_int_equal(r.n, 4);
}

/* The same with libinih as others build it. */
static void other_builds(void **state) {
    static void (*const again[])(void **) = {
        plain,
        comments,
        comment_inside_a_line,
        windows,
        control_characters,
        sections,
        continuation,
        no_key,
        long_names,
        long_values,
        many_blanks,
        long_comment,
        handler_stops,
    };

    if (&ini_allow_multiline == NULL || &ini_max_line == NULL) {
        skip();
    }
    for (unsigned build = 1; build < 32; build++) {
        ini_allow_multiline = (build & 1) == 0;
        ini_allow_inline_comments = (build & 2) == 0;
        ini_allow_bom = (build & 4) == 0;
        ini_use_stack = (build & 8) == 0;
        ini_allow_no_value = (build & 16) != 0;
        for (size_t i = 0; i < sizeof(again) / sizeof(again[0]); i++) {
            again[i](state);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain),
        cmocka_unit_test(comments),
        cmocka_unit_test(comment_inside_a_line),
        cmocka_unit_test(windows),
        cmocka_unit_test(control_characters),
        cmocka_unit_test(sections),
        cmocka_unit_test(continuation),
        cmocka_unit_test(no_key),
        cmocka_unit_test(long_names),
        cmocka_unit_test(long_values),
        cmocka_unit_test(many_blanks),
        cmocka_unit_test(long_comment),
        cmocka_unit_test(handler_stops),
        cmocka_unit_test(other_builds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
