/* heap.c - memory in large pages for what a start brings back.
 *
 * A million subscriptions are half a gigabyte, which the kernel gives out in pages of 4 KiB, one
 * fault for each: a third of a start, and as much again on a virtual machine.  malloc takes no
 * large pages by itself (its tunable is read before main), so the heap grows in large steps here,
 * and the kernel is told of each.  Where it has no large pages nothing is lost but the hint. */
#include "heraldd/heap.h"

#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define LARGE_PAGE ((uintptr_t)2 << 20)
#define GROWS_BY (32 << 20)
#define MAPPED_FROM (32 << 20) /* the most that mallopt takes */
#define USUAL (128 << 10)      /* of all three, as glibc begins */

void
hd_heap_grown(struct hd_heap *heap)
{
    char *end = sbrk(0);

    if (!heap->large) {
        heap->large = true;
        heap->end = end;
        (void)mallopt(M_TOP_PAD, GROWS_BY);
        (void)mallopt(M_TRIM_THRESHOLD, GROWS_BY);
        (void)mallopt(M_MMAP_THRESHOLD, MAPPED_FROM);
    } else if (end > heap->end) {
        uintptr_t from = ((uintptr_t)heap->end + LARGE_PAGE - 1) & ~(LARGE_PAGE - 1);
        uintptr_t to = (uintptr_t)end & ~(LARGE_PAGE - 1);
        if (from < to)
            (void)madvise((void *)from, to - from, MADV_HUGEPAGE);
        heap->end = (char *)to;
    }
}

void
hd_heap_done(struct hd_heap *heap)
{
    if (!heap->large)
        return;
    (void)mallopt(M_TOP_PAD, USUAL);
    (void)mallopt(M_TRIM_THRESHOLD, USUAL);
    (void)mallopt(M_MMAP_THRESHOLD, USUAL);
}
