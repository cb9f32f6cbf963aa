/*
 * log.h - one line to the journal or the terminal.
 *
 * Library code does not log: it returns a negative errno, and whoever gives up logs once, naming
 * the object. Under systemd a line starts with "<N>", the syslog priority that the journal reads
 * (sd-daemon(3)); on a terminal the line starts with the program's name instead.
 */
#pragma once

#include <stdbool.h>
#include <syslog.h>

/* To be called once at the start: the program's name, and whether debug lines are wanted. */
void log_init(const char *program, bool debug);

/* priority is a syslog level. Lines longer than LOG_LINE_MAX are cut. errno is preserved. */
#define LOG_LINE_MAX 1024
void log_line(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_line(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)  log_line(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)    log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_DEBUG, __VA_ARGS__)
