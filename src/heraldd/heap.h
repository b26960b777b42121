/* heap.h - memory in large pages for what a start brings back. */
#ifndef HD_HERALDD_HEAP_H
#define HD_HERALDD_HEAP_H

#include <stdbool.h>

/* Zeroed before its first use. */
struct hd_heap {
    bool large;
    char *end; /* of what the kernel was told of */
};

/** Often while much is allocated: from the first call on the heap grows in large steps, and what it
 * grew by since the last call is to be had in large pages. */
void hd_heap_grown(struct hd_heap *heap);
/** From here on the heap grows as usual. */
void hd_heap_done(struct hd_heap *heap);

#endif
