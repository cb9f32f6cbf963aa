/*
 * cli.h - what the subcommands share: their exit statuses, options and entry points.
 *
 * A subcommand is one file with one function. It prints its result to standard output, says on
 * standard error why it failed, once, and returns its exit status.
 */
#pragma once

#include <stdbool.h>

enum {
    CLI_OK = 0,
    CLI_FAILED = 1,      /* bad configuration, a wake that failed, output that cannot be written */
    CLI_USAGE = 2,       /* the command line is wrong */
    CLI_NO_ENGINE = 3,   /* the engine cannot be reached, or left before it had answered */
    CLI_NO_SUCH_APP = 4, /* the engine's table has no such app */
};

struct cli_options {
    bool json;
    bool wait;
    const char *socket;     /* the engine's */
    const char *config_dir; /* NULL: the system's */
    const char *app;        /* NULL: none given */
};

int cli_list(const struct cli_options *options);
int cli_status(const struct cli_options *options);
int cli_wake(const struct cli_options *options);
int cli_sleep(const struct cli_options *options);
int cli_check(const struct cli_options *options);

/* `dockwake: ...` on standard error. */
void cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
