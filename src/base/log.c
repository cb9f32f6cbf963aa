/* log.c - see log.h. One write(2) for each line, so that lines of several processes never mix. */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *log_program = "dockwake";
static bool log_debug_wanted;
static bool log_to_journal;

void log_init(const char *program, bool debug) {
    log_program = program;
    log_debug_wanted = debug;
    log_to_journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_line(int priority, const char *format, ...) {
    char line[LOG_LINE_MAX];
    int saved = errno, used, n;
    va_list ap;

    if (priority == LOG_DEBUG && !log_debug_wanted)
        return;

    if (log_to_journal)
        used = snprintf(line, sizeof(line), "<%d>", priority);
    else
        used = snprintf(line, sizeof(line), "%s: ", log_program);

    va_start(ap, format);
    errno = saved; /* %m */
    n = vsnprintf(line + used, sizeof(line) - (size_t)used - 1, format, ap);
    va_end(ap);
    if (n < 0)
        n = 0;
    used += n;
    if (used > (int)sizeof(line) - 2)
        used = (int)sizeof(line) - 2;
    line[used++] = '\n';

    if (write(STDERR_FILENO, line, (size_t)used) < 0) { /* nowhere left to say so */
    }
    errno = saved;
}
