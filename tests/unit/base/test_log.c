/* What a terminal, a pipe and the journal are told; the last by a socket that stands in for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "log.h"
#include "util.h"

enum { THREADS = 4, LINES = 500, LONG = 4000 };

static struct {
    char path[64]; /* the stand-in's */
    int socket, pipe[2], stderr_kept;
    char datagram[65536], line[65536];
} bench;

/* Standard error is a pipe, the journal's or not, and the journal a socket of ours. */
static int setup(void **state) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    struct stat stat;
    char stream[64];

    (void)state;
    snprintf(bench.path, sizeof(bench.path), "/tmp/dockwake-log-%d", (int)getpid());
    unlink(bench.path);
    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", bench.path);
    bench.socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bind(bench.socket, (const struct sockaddr *)&sa, sizeof(sa)) < 0 ||
        pipe2(bench.pipe, O_CLOEXEC | O_NONBLOCK) < 0 || fstat(bench.pipe[1], &stat) < 0) {
        return -1;
    }
    snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)stat.st_dev, (uintmax_t)stat.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    bench.stderr_kept = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    return dup2(bench.pipe[1], STDERR_FILENO) < 0 ? -1 : 0;
}

static int teardown(void **state) {
    (void)state;
    dup2(bench.stderr_kept, STDERR_FILENO);
    unsetenv("JOURNAL_STREAM");
    log_init("", false);
    close(bench.stderr_kept);
    close(bench.pipe[0]);
    close(bench.pipe[1]);
    close(bench.socket);
    unlink(bench.path);
    return 0;
}

/* What came out of standard error since the last look. */
static const char *written(void) {
    ssize_t n = read(bench.pipe[0], bench.line, sizeof(bench.line) - 1);

    bench.line[n > 0 ? n : 0] = '\0';
    return bench.line;
}

/* The next datagram's size, 0: none. */
static size_t sent(void) {
    ssize_t n = recv(bench.socket, bench.datagram, sizeof(bench.datagram), 0);

    return n > 0 ? (size_t)n : 0;
}

#define assert_sent(expected)                                                                      \
    do {                                                                                           \
        assert_int_equal(sent(), sizeof(expected) - 1);                                            \
        assert_memory_equal(bench.datagram, expected, sizeof(expected) - 1);                       \
    } while (0)

/* --- lines --------------------------------------------------------------------------------------- */

static void line_in_the_journal(void **state) {
    (void)state;
    log_init_at("test", false, bench.path);
    errno = ENOENT;
    log_error("no %s: %m", "file");
    assert_int_equal(errno, ENOENT);
    assert_string_equal(written(), "<3>no file: No such file or directory\n");
    log_debug("not wanted");
    assert_string_equal(written(), "");
    log_init_at("test", true, bench.path);
    log_debug("wanted");
    assert_string_equal(written(), "<7>wanted\n");
    assert_int_equal(sent(), 0);
}

/* JOURNAL_STREAM may be inherited by who writes to somewhere else. */
static void line_elsewhere(void **state) {
    static const char *const streams[] = {"", "1:2", "x", NULL};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(streams); i++) {
        if (streams[i] == NULL) {
            unsetenv("JOURNAL_STREAM");
        } else {
            setenv("JOURNAL_STREAM", streams[i], 1);
        }
        log_init_at("test", false, bench.path);
        log_error("text");
        assert_string_equal(written(), "test: text\n");
        log_event(LOG_INFO, &(struct log_field){"DOCKWAKE_APP", "web"}, 1, "%d", 7);
        assert_string_equal(written(), "test: 7\n");
        assert_int_equal(sent(), 0);
    }
}

static void line_is_cut(void **state) {
    char text[LONG];

    (void)state;
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    log_init_at("test", false, bench.path);
    log_info("%s", text);
    assert_int_equal(strlen(written()), LOG_LINE_MAX - 1);
    assert_string_equal(bench.line + LOG_LINE_MAX - 3, "x\n");
}

static void *write_lines(void *arg) {
    const char *letter = arg;
    char text[201];

    memset(text, *letter, sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    for (unsigned i = 0; i < LINES; i++) {
        log_info("%s", text);
    }
    return NULL;
}

/* No line has a part of another in it. */
static void lines_of_threads(void **state) {
    static char letters[THREADS] = {'a', 'b', 'c', 'd'};
    pthread_t threads[THREADS];
    unsigned lines = 0;
    FILE *file;

    (void)state;
    log_init_at("test", false, bench.path);
    assert_int_equal(fcntl(bench.pipe[0], F_SETFL, 0), 0);
    assert_int_equal(fcntl(bench.pipe[1], F_SETFL, 0), 0);
    file = fdopen(dup(bench.pipe[0]), "r");
    assert_non_null(file);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, &letters[i]), 0);
    }
    while (lines < THREADS * LINES && fgets(bench.line, sizeof(bench.line), file) != NULL) {
        assert_int_equal(strlen(bench.line), 3 + 200 + 1);
        assert_int_equal(strspn(bench.line + 3, (char[]){bench.line[3], '\0'}), 200);
        lines++;
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(lines, THREADS * LINES);
    fclose(file);
}

/* --- events -------------------------------------------------------------------------------------- */

static void event(void **state) {
    const struct log_field fields[] = {
        {"DOCKWAKE_APP", "web"},
        {"DOCKWAKE_RULE", NULL},
        {"DOCKWAKE_CLIENT", ""},
        {"DOCKWAKE_REASON", "two\nlines"},
    };

    (void)state;
    log_init_at("test", false, bench.path);
    errno = EPERM;
    log_event(LOG_NOTICE, fields, ARRAY_SIZE(fields), "woke %s: %m", "web");
    assert_int_equal(errno, EPERM);
    assert_sent("PRIORITY=5\nSYSLOG_IDENTIFIER=test\nMESSAGE=woke web: Operation not permitted\n"
                "DOCKWAKE_APP=web\nDOCKWAKE_CLIENT=\n"
                "DOCKWAKE_REASON\n\t\0\0\0\0\0\0\0two\nlines\n");
    log_event(LOG_ERR, NULL, 0, "a\nb");
    assert_sent("PRIORITY=3\nSYSLOG_IDENTIFIER=test\nMESSAGE\n\3\0\0\0\0\0\0\0a\nb\n");
    log_event(LOG_DEBUG, NULL, 0, "not wanted");
    assert_int_equal(sent(), 0);
    assert_string_equal(written(), "");
}

/* As many and as long as may be, and longer. */
static void event_is_cut(void **state) {
    struct log_field fields[LOG_FIELDS_MAX + 1];
    char text[LONG], name[LOG_NAME_MAX + 1], too_long[LOG_NAME_MAX + 2];
    size_t frame = LOG_NAME_MAX + 1 + 8 + 1;

    (void)state;
    memset(text, '\n', sizeof(text));
    memset(name, 'N', sizeof(name));
    memset(too_long, 'L', sizeof(too_long));
    text[sizeof(text) - 1] = name[sizeof(name) - 1] = too_long[sizeof(too_long) - 1] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        fields[i] = (struct log_field){name, text};
    }
    log_init_at(text, false, bench.path);
    log_event(LOG_INFO, fields, ARRAY_SIZE(fields), "%s", text);
    assert_int_equal(sent(), strlen("PRIORITY=6\n") + strlen("SYSLOG_IDENTIFIER\n") + 8 +
                                 LOG_VALUE_MAX + 1 + strlen("MESSAGE\n") + 8 + LOG_LINE_MAX - 1 +
                                 1 + LOG_FIELDS_MAX * (frame + LOG_VALUE_MAX));
    log_init_at("test", false, bench.path);
    log_event(LOG_INFO, (struct log_field[]){{too_long, "x"}, {"A", "y"}}, 2, "z");
    assert_sent("PRIORITY=6\nSYSLOG_IDENTIFIER=test\nMESSAGE=z\nA=y\n");
}

/* A journal that takes nothing loses nothing, and keeps nobody waiting. */
static void full_journal(void **state) {
    unsigned n = 0;

    (void)state;
    log_init_at("test", false, bench.path);
    while (written()[0] == '\0' && n < 1000000) {
        log_event(LOG_INFO, &(struct log_field){"DOCKWAKE_APP", "web"}, 1, "event %u", n++);
    }
    assert_true(n > 1);
    snprintf(bench.datagram, sizeof(bench.datagram), "<6>event %u\n", n - 1);
    assert_string_equal(bench.line, bench.datagram);
    for (unsigned i = 0; i < n - 1; i++) {
        assert_true(sent() > 0);
    }
    log_event(LOG_INFO, NULL, 0, "again");
    assert_sent("PRIORITY=6\nSYSLOG_IDENTIFIER=test\nMESSAGE=again\n");
    assert_string_equal(written(), "");
}

static void no_journal(void **state) {
    char path[200];

    (void)state;
    memset(path, 'x', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    for (size_t i = 0; i < 2; i++) {
        log_init_at("test", false, (const char *[]){"/nonexistent/socket", path}[i]);
        log_event(LOG_INFO, NULL, 0, "text");
        assert_string_equal(written(), "<6>text\n");
    }
    log_init_at("test", false, bench.path);
    bench.socket = safe_close(bench.socket); /* it goes away */
    log_event(LOG_INFO, NULL, 0, "text");
    assert_string_equal(written(), "<6>text\n");
}

#define bench_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        bench_test(line_in_the_journal), bench_test(line_elsewhere), bench_test(line_is_cut),
        bench_test(lines_of_threads),    bench_test(event),          bench_test(event_is_cut),
        bench_test(full_journal),        bench_test(no_journal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
