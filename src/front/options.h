/* options.h - the command line of dockwake-front. */
#pragma once

#include <stdbool.h>

struct options {
    const char *config_dir; /* NULL: the system's own */
    const char *engine_socket;
    bool debug;
};

/* Returns 0, 1 when there is nothing more to do (--help, --version), or -EINVAL; both were said. */
int options_parse(int argc, char **argv, struct options *ret_options);
