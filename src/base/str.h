/* str.h - text on the heap that grows as it is written, for tools, administration and format code.
 * Thread: its owner's.  Memory: the struct owns the text until hd_str_take().  The first error is
 * remembered, later writes do nothing, and the caller asks once at the end. */
#ifndef HD_BASE_STR_H
#define HD_BASE_STR_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct hd_str {
    char *p;         /* NUL after the text; NULL before the first write */
    size_t n, cap;   /* octets of the text; octets allocated, NUL included */
    enum hd_err err; /* HD_ENOMEM: the allocator refused, or more than SIZE_MAX; HD_ESYNTAX: a bad
                        printf format */
};

/* A string without text; the same as all zero. */
void hd_str_init(struct hd_str *str);
/** Frees the text; the string may be used again. */
void hd_str_done(struct hd_str *str);
/** Forgets text and error, and keeps the memory for the next text. */
void hd_str_clear(struct hd_str *str);
/** Appends octets; s must not be a part of str itself. */
void hd_str_add(struct hd_str *str, struct hd_slice s);
/** Appends a NUL-terminated string of our own / one octet / a number in decimal. */
void hd_str_add_str(struct hd_str *str, const char *text);
void hd_str_add_char(struct hd_str *str, char c);
void hd_str_add_u64(struct hd_str *str, uint64_t value);
/** Appends as printf would; for wire data use hd_str_add(), which keeps octets behind a NUL. */
void hd_str_addf(struct hd_str *str, const char *format, ...) HD_PRINTF(2, 3);
void hd_str_addv(struct hd_str *str, const char *format, va_list args) HD_PRINTF(2, 0);
/** The text so far, borrowed until the next write. */
struct hd_slice hd_str_slice(const struct hd_str *str);
/** The same with a NUL behind it; never NULL. */
const char *hd_str_text(const struct hd_str *str);
/** Hands the text over, NUL-terminated, to be freed by the caller; NULL when an error is remembered
 * or memory is short.  The string is empty afterwards in any case, without error. */
char *hd_str_take(struct hd_str *str);

#endif
