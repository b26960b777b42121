/* test_alloc.h - an allocator that refuses once, for tests that include the .c under test.
 * Include it after the system headers and before the .c; then  for (n = 0; ...; n++) {
 * alloc_refuse(n); ... }  fails every allocation of a path in turn. */
#ifndef HD_BASE_TEST_ALLOC_H
#define HD_BASE_TEST_ALLOC_H

#include <stdbool.h>
#include <stdlib.h>

static unsigned alloc_left;
static bool alloc_armed, alloc_refused;

/* The n-th allocation from now (counted from 0) is refused, the others are not. */
static inline void
alloc_refuse(unsigned n)
{
    alloc_left = n;
    alloc_armed = true;
    alloc_refused = false;
}

/* Back to normal; true when one was refused since alloc_refuse(). */
static inline bool
alloc_allow(void)
{
    alloc_armed = false;
    return alloc_refused;
}

static inline bool
alloc_passes(void)
{
    if (!alloc_armed || alloc_left-- > 0)
        return true;
    alloc_armed = false;
    alloc_refused = true;
    return false;
}

static inline void *
alloc_try_malloc(size_t size)
{
    return alloc_passes() ? malloc(size) : NULL;
}

static inline void *
alloc_try_calloc(size_t n, size_t size)
{
    return alloc_passes() ? calloc(n, size) : NULL;
}

static inline void *
alloc_try_realloc(void *p, size_t size)
{
    return alloc_passes() ? realloc(p, size) : NULL;
}

static inline void *
alloc_try_aligned_alloc(size_t align, size_t size)
{
    return alloc_passes() ? aligned_alloc(align, size) : NULL;
}

#define malloc alloc_try_malloc
#define calloc alloc_try_calloc
#define realloc alloc_try_realloc
#define aligned_alloc alloc_try_aligned_alloc

#endif
