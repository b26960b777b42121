/* fuzz.h - what the fuzz targets share: the input as an exact-size heap block, and a check that is
 * always on. */
#ifndef HD_FUZZ_H
#define HD_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/slice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/** A copy without an octet to spare, so that the address sanitizer sees every read behind its end.
 * Free what p names. */
static inline struct hd_slice
fuzz_copy(const uint8_t *data, size_t size, char **ret_p)
{
    char *p = malloc(size ? size : 1);
    if (!p)
        abort();
    if (size)
        memcpy(p, data, size);
    *ret_p = p;
    return hd_slice(p, size);
}

/** Whether part lies inside of whole; an empty part may be anywhere. */
static inline bool
fuzz_inside(struct hd_slice part, struct hd_slice whole)
{
    return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

/** The pieces of text between lines of '%', at most max (> 0); the last holds what is left. Returns
 * how many. */
static inline size_t
fuzz_split(struct hd_slice text, struct hd_slice *ret_pieces, size_t max)
{
    size_t n = 0;
    while (n < max - 1) {
        const char *at = text.n ? memmem(text.p, text.n, "\n%\n", 3) : NULL;
        if (!at)
            break;
        ret_pieces[n++] = hd_slice(text.p, (size_t)(at - text.p));
        text = hd_slice_from(text, (size_t)(at - text.p) + 3);
    }
    ret_pieces[n++] = text;
    return n;
}

#endif
