/* error.c - see cli_error() in cli.h. */
#include <stdarg.h>
#include <stdio.h>

#include "cli.h"
#include "output.h"

void cli_error(const char *format, ...) {
    char text[1024];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    fprintf(stderr, "dockwake: %s\n", output_clean(text));
}
