/*
 * text.h - other programs' words, made fit for a line that a person reads.
 *
 * Pure. A reason or a title may quote what a container or Docker said. Whatever that was, what comes
 * out is UTF-8 (RFC 3629) without anything that moves the cursor, ends the line, or turns the
 * direction of what follows. Escaping for HTML or JSON is the caller's.
 */
#pragma once

#include <stddef.h>

enum { TEXT_CHAR_MAX = 4 }; /* bytes of a character */

/*
 * Takes the next character of a text that ends with NUL, and moves *text behind it. Returns its size,
 * 0 at the end. A byte that is no UTF-8 becomes U+FFFD; control characters, line separators and the
 * marks that override the direction of writing (UAX 9) become a blank.
 */
size_t text_next(const char **text, char ret_char[static TEXT_CHAR_MAX]);

/*
 * Copies as many whole characters of text as fit into room bytes, of which the last becomes a NUL.
 * Returns their size.
 */
size_t text_copy(char *out, size_t room, const char *text);
