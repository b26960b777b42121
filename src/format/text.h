/* text.h - text that grows while it is written; the first failure is remembered and checked once at
 * the end. Thread: the caller's.  Memory: one heap block that belongs to the struct until it is
 * taken. */
#ifndef HD_FORMAT_TEXT_H
#define HD_FORMAT_TEXT_H

#include "base/slice.h"

struct fmt_text {
    char *p;
    size_t n, cap;
    size_t max;      /* octets it may grow to */
    enum hd_err err; /* HD_ENOMEM or HD_EFULL (above max); nothing is written since */
};

/** An empty text that may grow to max octets. */
static inline void
fmt_text_init(struct fmt_text *text, size_t max)
{
    *text = (struct fmt_text){ .max = max };
}
/** Frees what was written; the text may be initialised again. */
void fmt_text_done(struct fmt_text *text);
void fmt_text_add(struct fmt_text *text, struct hd_slice s);
#define fmt_text_lit(text, literal) fmt_text_add(text, HD_LIT(literal))
void fmt_text_u32(struct fmt_text *text, uint32_t value); /* decimal */
/** Character data or an attribute's value: & < > " and control characters are escaped. */
void fmt_text_xml(struct fmt_text *text, struct hd_slice s);
/** What was written, borrowed. */
static inline struct hd_slice
fmt_text_slice(const struct fmt_text *text)
{
    return hd_slice(text->p, text->n);
}

#endif
