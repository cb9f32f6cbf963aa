/*
 * inifile.c - feeds libinih line by line and lets nothing through that it would garble.
 *
 * libinih pulls lines from line_reader(), which looks at each physical line first and hands on a
 * safe form of it. libinih by itself, depending on how it was built,
 *  - cuts a line at 199 bytes: a longer value is handed on as several short lines of the same key,
 *    and joined again in key_handler(); its own bound is CONFIG_VALUE_MAX;
 *  - cuts the name of a section at 49 bytes: a fault;
 *  - gives the keys below an unclosed `[section` to the section before: a fault, and the keys go to
 *    the section NOWHERE, which is left out;
 *  - takes an indented line for more of the value before: a fault;
 *  - takes ` ;` inside a line for the begin of a comment: a fault, as no value may lose text;
 *  - ends a line at a NUL: a fault, as is any other control character in a line that matters.
 * Lines with a fault, comments and empty lines reach it as empty lines. Line numbers are our own,
 * for libinih passes them to the handler only when it was built so.
 */
#include "inifile.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "util.h"

#define NOWHERE "?"

enum {
    /* The smallest line buffer of libinih that a name, a run of blanks and some text fit into. */
    BUFFER_MIN = INIFILE_NAME_MAX + INIFILE_BLANKS_MAX + 8,
    FAULT_MAX = 160,
};

struct reader {
    const char *next, *end; /* what has not been read yet */
    unsigned line;          /* the physical line that was read last */
    const struct inifile_handler *handler;
    void *user;
    bool faulty; /* a fault was reported */
    int error;   /* negative errno: stop */

    /* The key that is being handed on. */
    char name[INIFILE_NAME_MAX + 1];
    const char *rest; /* of its value, not handed on yet */
    size_t rest_len;
    char value[CONFIG_VALUE_MAX + 1]; /* what has come back */
    size_t value_len;
};

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

__attribute__((format(printf, 2, 3))) static void fault(struct reader *r, const char *format, ...) {
    char text[FAULT_MAX];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    r->faulty = true;
    if (r->error == 0) {
        r->error = r->handler->fault(r->user, r->line, text);
    }
}

/* Takes the next line, without its end. */
static bool line_next(struct reader *r, const char **ret_line, size_t *ret_len) {
    static const char bom[] = {'\xef', '\xbb', '\xbf'};
    const char *line = r->next;
    const char *newline;

    if (line == r->end) {
        return false;
    }
    newline = memchr(line, '\n', (size_t)(r->end - line));
    r->next = newline != NULL ? newline + 1 : r->end;
    *ret_len = (size_t)((newline != NULL ? newline : r->end) - line);
    if (++r->line == 1 && *ret_len >= sizeof(bom) && memcmp(line, bom, sizeof(bom)) == 0) {
        line += sizeof(bom);
        *ret_len -= sizeof(bom);
    }
    while (*ret_len > 0 && (line[*ret_len - 1] == '\r' || is_blank(line[*ret_len - 1]))) {
        (*ret_len)--;
    }
    *ret_line = line;
    return true;
}

/* Whether a line that is neither empty nor a comment has nothing in it that would be garbled. */
static bool text_check(struct reader *r, const char *line, size_t len) {
    if (is_blank(line[0])) {
        fault(r, "the line begins with a blank and would be taken for more of the value before; "
                 "begin it in the first column");
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)line[i];

        if ((c < ' ' && c != '\t') || c == 0x7f) {
            fault(r, "control character 0x%02x", c);
            return false;
        }
        if (c == ';' && i > 0 && is_blank(line[i - 1])) {
            fault(r, "a comment needs a line of its own: what follows ' ;' would be cut off");
            return false;
        }
    }
    return true;
}

static bool section_check(struct reader *r, const char *line, size_t len) {
    const char *close = memchr(line, ']', len);

    if (close == NULL) {
        fault(r, "'[' without ']'");
    } else if (close != line + len - 1) {
        fault(r, "text after ']'");
    } else if (len == 2) {
        fault(r, "the section has no name");
    } else if (len - 2 > INIFILE_NAME_MAX) {
        fault(r, "the section's name is longer than %d bytes", INIFILE_NAME_MAX);
    } else {
        return true;
    }
    return false;
}

/* Makes the line the key that is handed on. */
static bool key_begin(struct reader *r, const char *line, size_t len) {
    const char *end = line + len;
    const char *value = line;
    size_t name_len;
    size_t blanks = 0;

    while (value < end && *value != '=' && *value != ':') {
        value++;
    }
    if (value == end) {
        fault(r, "neither '[section]' nor 'key = value'");
        return false;
    }
    name_len = (size_t)(value++ - line);
    while (name_len > 0 && is_blank(line[name_len - 1])) {
        name_len--;
    }
    while (value < end && is_blank(*value)) {
        value++;
    }
    if (name_len == 0) {
        fault(r, "no key before '%c'", line[0]);
        return false;
    }
    if (name_len > INIFILE_NAME_MAX) {
        fault(r, "the key is longer than %d bytes", INIFILE_NAME_MAX);
        return false;
    }
    if (end - value > CONFIG_VALUE_MAX) {
        fault(r, "the value is longer than %d bytes", CONFIG_VALUE_MAX);
        return false;
    }
    for (const char *p = value; p < end; p++) {
        blanks = is_blank(*p) ? blanks + 1 : 0;
        if (blanks > INIFILE_BLANKS_MAX) {
            fault(r, "more than %d blanks in a row", INIFILE_BLANKS_MAX);
            return false;
        }
    }
    memcpy(r->name, line, name_len);
    r->name[name_len] = '\0';
    r->rest = value;
    r->rest_len = (size_t)(end - value);
    r->value_len = 0;
    return true;
}

/* Hands on as much of the key as fits, cut where no blank is lost. */
static void key_piece(struct reader *r, char *buffer, size_t size) {
    size_t len = size - strlen(r->name) - sizeof("=\n");

    if (len >= r->rest_len) {
        len = r->rest_len;
    } else {
        while (is_blank(r->rest[len - 1]) || is_blank(r->rest[len])) {
            len--;
        }
    }
    snprintf(buffer, size, "%s=%.*s\n", r->name, (int)len, r->rest);
    r->rest += len;
    r->rest_len -= len;
}

/* fgets(3) for libinih. */
static char *line_reader(char *buffer, int num, void *stream) {
    struct reader *r = stream;
    size_t size = num > 0 ? (size_t)num : 0;
    const char *line;
    size_t len;

    if (size < BUFFER_MIN) {
        r->error = -ENOBUFS;
    }
    if (r->error == 0 && r->rest_len > 0) {
        key_piece(r, buffer, size);
        return buffer;
    }
    if (r->error != 0 || !line_next(r, &line, &len)) {
        return NULL;
    }

    memcpy(buffer, "\n", 2);
    if (memchr(line, '\0', len) != NULL) {
        fault(r, "NUL byte");
    } else if (len == 0 || line[strspn(line, " \t")] == ';' || line[strspn(line, " \t")] == '#') {
        return buffer;
    } else if (line[0] == '[') {
        if (!text_check(r, line, len) || !section_check(r, line, len)) {
            memcpy(buffer, "[" NOWHERE "]\n", sizeof("[" NOWHERE "]\n"));
        } else {
            char section[INIFILE_NAME_MAX + 1] = "";

            memcpy(section, line + 1, len - 2);
            r->error = r->handler->section(r->user, r->line, section);
            snprintf(buffer, size, "[%s]\n", section);
        }
    } else if (text_check(r, line, len) && key_begin(r, line, len)) {
        key_piece(r, buffer, size);
    }
    return r->error == 0 ? buffer : NULL;
}

/* libinih's handler; called once for each piece. Returns 1, or libinih takes it for an error. */
static int key_piece_back(struct reader *r, const char *section, const char *name,
                          const char *value) {
    size_t len;

    /* A build with INI_CALL_HANDLER_ON_NEW_SECTION announces sections this way. */
    if (name == NULL || value == NULL || r->error != 0 || strcmp(section, NOWHERE) == 0) {
        return 1;
    }
    len = strlen(value);
    if (len > sizeof(r->value) - 1 - r->value_len) {
        r->error = -EMSGSIZE;
        return 1;
    }
    memcpy(r->value + r->value_len, value, len + 1);
    r->value_len += len;
    if (r->rest_len == 0) {
        r->error = r->handler->key(r->user, r->line, section, name, r->value);
    }
    return 1;
}

#if INI_HANDLER_LINENO
static int key_handler(void *user, const char *section, const char *name, const char *value,
                       int lineno) {
    (void)lineno; /* of the lines handed on, not of the file's */
    return key_piece_back(user, section, name, value);
}
#else
static int key_handler(void *user, const char *section, const char *name, const char *value) {
    return key_piece_back(user, section, name, value);
}
#endif

int inifile_parse(const char *data, size_t size, const struct inifile_handler *handler,
                  void *user) {
    struct reader r = {
        .next = data,
        .end = data + size,
        .handler = handler,
        .user = user,
    };
    int result = ini_parse_stream(line_reader, &r, key_handler, &r);

    if (r.error == 0 && result == -2) {
        return -ENOMEM;
    }
    if (r.error == 0 && result != 0 && !r.faulty) {
        /* libinih found a fault in a line that was thought safe. */
        r.line = 0;
        fault(&r, "libinih cannot read the file (its line %d)", result);
    }
    return r.error;
}
