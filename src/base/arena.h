/* arena.h - memory of one message: taken in pieces, given back in one step.
 * Thread: its owner's.  Running out is one error (NULL); the arena never grows. */
#ifndef HD_BASE_ARENA_H
#define HD_BASE_ARENA_H

#include <stddef.h>

#include "base/slice.h"

struct hd_arena {
    char *base;
    size_t cap;
    size_t used;
};

/** Uses memory of the caller, which must outlive the arena; nothing is freed by it. */
void hd_arena_init(struct hd_arena *arena, void *memory, size_t cap);
/** size octets aligned for any object, not zeroed; NULL when it does not fit.  size 0 gives a valid
 * pointer. */
void *hd_arena_take(struct hd_arena *arena, size_t size);
/** A copy of s; HD_ENOSPC when it does not fit. */
HD_NODISCARD enum hd_err hd_arena_dup(struct hd_arena *arena, struct hd_slice s,
                                      struct hd_slice *ret_copy);

#endif
