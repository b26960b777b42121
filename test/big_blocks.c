/* big_blocks.c - for a test that begins thousands of brokers: blocks as large as a broker's tables
 * are handed out again instead of going back to the system, which under AddressSanitizer costs
 * milliseconds for each broker.  (Linked with --wrap.)
 *
 * What lies here is poisoned: who uses a block that he has freed is found all the same. */
#include <malloc.h>
#include <sanitizer/asan_interface.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"

#define BIG ((size_t)96 * 1024)
#define BLOCKS 32

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_aligned_alloc(size_t alignment, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_aligned_alloc(size_t alignment, size_t n);
void __wrap_free(void *p);

static struct {
    void *p; /* NULL: no block lies here */
    size_t n;
} blocks[BLOCKS];

static void *
take(size_t alignment, size_t n)
{
    for (unsigned i = 0; n >= BIG && i < BLOCKS; i++) {
        void *p = blocks[i].p;
        if (!p || blocks[i].n != n || (uintptr_t)p % alignment)
            continue;
        blocks[i].p = NULL;
        ASAN_UNPOISON_MEMORY_REGION(p, n);
        return p;
    }
    return NULL;
}

void *
__wrap_malloc(size_t n)
{
    void *p = take(1, n);

    return p ? p : __real_malloc(n);
}

void *
__wrap_calloc(size_t count, size_t n)
{
    HD_ASSERT(n == 0 || count <= SIZE_MAX / n);
    void *p = take(1, count * n);

    return p ? memset(p, 0, count * n) : __real_calloc(count, n);
}

void *
__wrap_aligned_alloc(size_t alignment, size_t n)
{
    void *p = take(alignment, n);

    return p ? p : __real_aligned_alloc(alignment, n);
}

void
__wrap_free(void *p)
{
    const size_t n = p ? malloc_usable_size(p) : 0;

    for (unsigned i = 0; n >= BIG && i < BLOCKS; i++) {
        if (blocks[i].p)
            continue;
        blocks[i].p = p;
        blocks[i].n = n;
        ASAN_POISON_MEMORY_REGION(p, n);
        return;
    }
    __real_free(p);
}
