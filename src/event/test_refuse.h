/* test_refuse.h - an allocator that refuses once, for programs whose linker sends all allocations
 * here (-Wl,--wrap=malloc and so on): those of the libraries under test, not those of the system's.
 * Included by one file of a program. */
#ifndef HD_EVENT_TEST_REFUSE_H
#define HD_EVENT_TEST_REFUSE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* Threads under test allocate too. */
static atomic_int refuse_left;
static atomic_int refuse_paused = 1;
static atomic_bool refused;

/* Of the test's host: what it takes itself is not meant. */
void test_alloc_pause(int by);
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);

/* From now on the n-th allocation, counted from 0, is refused. */
static void
refuse_begin(unsigned n)
{
    refuse_left = (int)n;
    refused = false;
    refuse_paused = 0;
}

/* No more; true: one was refused. */
static bool
refuse_end(void)
{
    const bool was = refused;

    refused = true;
    refuse_paused = 1;
    return was;
}

void
test_alloc_pause(int by)
{
    refuse_paused += by;
}

static bool
refuse_passes(void)
{
    if (refuse_paused > 0 || refused || atomic_fetch_sub(&refuse_left, 1) != 0)
        return true;
    refused = true;
    return false;
}

void *
__wrap_malloc(size_t size)
{
    return refuse_passes() ? __real_malloc(size) : NULL;
}

void *
__wrap_calloc(size_t n, size_t size)
{
    return refuse_passes() ? __real_calloc(n, size) : NULL;
}

void *
__wrap_realloc(void *p, size_t size)
{
    return refuse_passes() ? __real_realloc(p, size) : NULL;
}

void *
__wrap_aligned_alloc(size_t align, size_t size)
{
    return refuse_passes() ? __real_aligned_alloc(align, size) : NULL;
}

#endif
