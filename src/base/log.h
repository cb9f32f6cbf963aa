/*
 * log.h - one line to the journal or the terminal.
 *
 * Library code does not log: it returns a negative errno, and whoever gives up logs once, naming
 * the object. Under systemd a line starts with "<N>", the syslog priority that the journal reads
 * (sd-daemon(3)); on a terminal the line starts with the program's name instead.
 *
 * Events go to the journal's own socket, whose protocol is stable and documented for others to speak
 * (systemd's JOURNAL_NATIVE_PROTOCOL.md): what happened, and the fields by which it is found again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <syslog.h>

/*
 * To be called once at the start, before there are threads and before the file system is given up:
 * the program's name, and whether debug lines are wanted. program is borrowed.
 */
void log_init(const char *program, bool debug);

/* The same with the journal's socket at another path. */
#define LOG_JOURNAL_SOCKET "/run/systemd/journal/socket"
void log_init_at(const char *program, bool debug, const char *journal_socket);

/*
 * priority is a syslog level. Lines longer than LOG_LINE_MAX are cut. errno is preserved. Any thread
 * may call this and what follows.
 */
#define LOG_LINE_MAX 1024
void log_line(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * The same with fields of its own for the journal, so that `journalctl DOCKWAKE_APP=web` finds it:
 * NAME and value pairs, names as systemd.journal-fields(7) has them, at most LOG_FIELDS_MAX; values
 * longer than LOG_VALUE_MAX are cut. Where standard error is no journal, or the journal takes nothing
 * just now, they are left out, as the text says it all. Never waits.
 */
enum { LOG_FIELDS_MAX = 12, LOG_NAME_MAX = 64, LOG_VALUE_MAX = 512 };
struct log_field {
    const char *name, *value; /* value NULL: left out */
};
void log_event(int priority, const struct log_field *fields, size_t n, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#define log_error(...)   log_line(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)  log_line(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)    log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_DEBUG, __VA_ARGS__)
