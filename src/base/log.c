/*
 * log.c - see log.h. One write(2) for each line, so that lines of several processes or threads never
 * mix. What is static is written by log_init() alone.
 */
#include "log.h"

#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "util.h"

static const char *log_program = "dockwake";
static bool log_debug_wanted;
static bool log_to_journal;
static int log_journal_fd = -1; /* the journal's socket; -1: events are lines */

/* --- start --------------------------------------------------------------------------------------- */

/*
 * Whether standard error is the journal's stream: JOURNAL_STREAM names its device and inode, and may
 * have been inherited by a process whose standard error is something else (systemd.exec(5)).
 */
static bool is_journal(void) {
    const char *wanted = getenv("JOURNAL_STREAM");
    struct stat stat;
    char own[64];

    if (wanted == NULL || fstat(STDERR_FILENO, &stat) < 0) {
        return false;
    }
    snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)stat.st_dev, (uintmax_t)stat.st_ino);
    return strcmp(own, wanted) == 0;
}

/* Returns a connected socket or -1. */
static int journal_connect(const char *path) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    auto_close int fd = -1;

    if (strlen(path) >= sizeof(sa.sun_path)) {
        return -1;
    }
    memcpy(sa.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0) {
        return -1;
    }
    return take_fd(&fd);
}

void log_init_at(const char *program, bool debug, const char *journal_socket) {
    log_program = program;
    log_debug_wanted = debug;
    log_to_journal = is_journal();
    safe_close(log_journal_fd);
    log_journal_fd = log_to_journal ? journal_connect(journal_socket) : -1;
}

void log_init(const char *program, bool debug) {
    log_init_at(program, debug, LOG_JOURNAL_SOCKET);
}

/* --- lines --------------------------------------------------------------------------------------- */

static bool is_wanted(int priority) {
    return priority != LOG_DEBUG || log_debug_wanted;
}

void log_line(int priority, const char *format, ...) {
    char line[LOG_LINE_MAX];
    int saved = errno, used, n;
    va_list ap;

    if (!is_wanted(priority)) {
        return;
    }
    if (log_to_journal) {
        used = snprintf(line, sizeof(line), "<%d>", priority);
    } else {
        used = snprintf(line, sizeof(line), "%s: ", log_program);
    }

    va_start(ap, format);
    errno = saved; /* %m */
    n = vsnprintf(line + used, sizeof(line) - (size_t)used - 1, format, ap);
    va_end(ap);
    if (n < 0) {
        n = 0;
    }
    used += n;
    if (used > (int)sizeof(line) - 2) {
        used = (int)sizeof(line) - 2;
    }
    line[used++] = '\n';

    if (write(STDERR_FILENO, line, (size_t)used) < 0) { /* nowhere left to say so */
    }
    errno = saved;
}

/* --- events -------------------------------------------------------------------------------------- */

enum {
    FRAME_MAX = LOG_NAME_MAX + 1 + (int)sizeof(uint64_t) + 1, /* of a field, but for its value */
    /* PRIORITY and SYSLOG_IDENTIFIER, MESSAGE, and the caller's. */
    RECORD_MAX = (2 + LOG_FIELDS_MAX) * (FRAME_MAX + LOG_VALUE_MAX) + FRAME_MAX + LOG_LINE_MAX,
};

/* A datagram for the journal: all that can be in it fits. */
struct record {
    size_t used;
    char data[RECORD_MAX];
};

static void record_bytes(struct record *record, const void *data, size_t size) {
    memcpy(record->data + record->used, data, size);
    record->used += size;
}

/* NAME=VALUE and a line's end; a value with line ends in it goes with its size instead. */
static void record_add(struct record *record, const char *name, const char *value, size_t max) {
    size_t name_len = strnlen(name, LOG_NAME_MAX + 1), len = strnlen(value, max);
    uint64_t size = htole64(len);

    if (name_len > LOG_NAME_MAX) {
        return;
    }
    record_bytes(record, name, name_len);
    if (memchr(value, '\n', len) == NULL) {
        record_bytes(record, "=", 1);
    } else {
        record_bytes(record, "\n", 1);
        record_bytes(record, &size, sizeof(size));
    }
    record_bytes(record, value, len);
    record_bytes(record, "\n", 1);
}

/* Returns whether the journal has it. */
static bool journal_send(int priority, const struct log_field *fields, size_t n, const char *text) {
    struct record record;
    char level[16];

    if (log_journal_fd < 0) {
        return false;
    }
    record.used = 0;
    snprintf(level, sizeof(level), "%d", priority);
    record_add(&record, "PRIORITY", level, sizeof(level));
    record_add(&record, "SYSLOG_IDENTIFIER", log_program, LOG_VALUE_MAX);
    record_add(&record, "MESSAGE", text, LOG_LINE_MAX);
    for (size_t i = 0; i < n && i < LOG_FIELDS_MAX; i++) {
        if (fields[i].value != NULL) {
            record_add(&record, fields[i].name, fields[i].value, LOG_VALUE_MAX);
        }
    }
    return send(log_journal_fd, record.data, record.used, MSG_NOSIGNAL) >= 0;
}

void log_event(int priority, const struct log_field *fields, size_t n, const char *format, ...) {
    char text[LOG_LINE_MAX];
    int saved = errno;
    va_list ap;

    if (!is_wanted(priority)) {
        return;
    }
    va_start(ap, format);
    if (vsnprintf(text, sizeof(text), format, ap) < 0) {
        text[0] = '\0';
    }
    va_end(ap);
    if (!journal_send(priority, fields, n, text)) {
        log_line(priority, "%s", text);
    }
    errno = saved;
}
