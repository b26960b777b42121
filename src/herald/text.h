/* text.h - octets of peers as a terminal may have them, and small texts of the tool.
 * Pure; any thread. */
#ifndef HERALD_TEXT_H
#define HERALD_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

/* How many octets an escaped text takes at most: "\xNN" for each, and the NUL. */
#define TEXT_ESCAPED(n) (4 * (n) + 1)
/**
 * Writes text with every control character, DEL, turn of direction and octet that is not valid
 * UTF-8 as \xNN and C1 controls (U+0080 to U+009F) likewise; a backslash stays.
 * @param lines  true: newlines and tabs stay, CR before a newline is dropped (a body)
 * @param ret    TEXT_ESCAPED(text.n) octets; gets a NUL
 * @return the length without the NUL
 */
size_t text_escape(struct hd_slice text, bool lines, char *ret);
/** The same on the heap; NULL when memory is short.  Caller frees. */
char *text_escaped(struct hd_slice text, bool lines);
/** Whether it is valid UTF-8 (RFC 3629: shortest form, no surrogates, up to U+10FFFF). */
bool text_is_utf8(struct hd_slice text);
/** Whether a text of the command line can stand in a header: no control character, no line end. */
bool text_is_line(const char *text);
#endif
