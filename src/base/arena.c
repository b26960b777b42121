/* arena.c - pieces of one block, given back together.
 * Invariant: used <= cap, and every piece handed out starts at a multiple of the largest alignment
 * as an address, so the block itself may start anywhere. */
#include "base/arena.h"

#include <stdalign.h>

#define ARENA_ALIGN ((uintptr_t)alignof(max_align_t))

void
hd_arena_init(struct hd_arena *arena, void *memory, size_t cap)
{
    HD_ASSERT(memory != NULL || cap == 0);
    *arena = (struct hd_arena){ .base = memory, .cap = cap };
}

void *
hd_arena_take(struct hd_arena *arena, size_t size)
{
    uintptr_t at = (uintptr_t)arena->base + arena->used;
    size_t pad = (size_t)(-at & (ARENA_ALIGN - 1));
    size_t left = arena->cap - arena->used;
    char *piece;

    if (!arena->base || pad > left || size > left - pad)
        return NULL;
    piece = arena->base + arena->used + pad;
    arena->used += pad + size;
    return piece;
}

enum hd_err
hd_arena_dup(struct hd_arena *arena, struct hd_slice s, struct hd_slice *ret_copy)
{
    char *copy = hd_arena_take(arena, s.n);

    if (!copy)
        return HD_ENOSPC;
    if (s.n)
        memcpy(copy, s.p, s.n);
    *ret_copy = hd_slice(copy, s.n);
    return HD_OK;
}
