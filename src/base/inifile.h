/*
 * inifile.h - one INI file as events with line numbers, read with libinih.
 *
 * The dialect is the part on which every build of libinih agrees: `[section]`, `key = value`
 * (`:` works as `=`), and comments, which have a line of their own that begins with `;` or `#`.
 * CRLF and a byte order mark are let pass. What some build would cut, join or skip silently is
 * reported as a fault instead: see inifile.c.
 */
#pragma once

#include <stddef.h>

enum {
    INIFILE_NAME_MAX = 49,  /* bytes in the name of a section or key */
    INIFILE_BLANKS_MAX = 64 /* blanks in a row inside a value */
};

/*
 * Called in the order of the file; lines count from 1. Each returns 0, or a negative errno that
 * ends the reading. Keys that follow a faulty section line, up to the next section, are left out:
 * nobody knows where they belong.
 */
struct inifile_handler {
    int (*section)(void *user, unsigned line, const char *section);
    /* section is "" for a key before the first section. */
    int (*key)(void *user, unsigned line, const char *section, const char *name, const char *value);
    int (*fault)(void *user, unsigned line, const char *text);
};

/* Returns 0 (faults or not), -ENOMEM, or what a handler returned. */
int inifile_parse(const char *data, size_t size, const struct inifile_handler *handler, void *user);
