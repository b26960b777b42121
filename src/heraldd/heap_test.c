/* heap_test.c - the heap grows in large steps and pages while a start brings back what was kept,
 * and as usual behind it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "heraldd/heap.h"

#define PIECES 20000 /* of 400 octets: 8 MB */

static char *pieces[PIECES];

/* How often the heap grew for them; grown: it is looked at as a start does. */
static unsigned
fill(struct hd_heap *heap)
{
    unsigned steps = 0;

    for (unsigned i = 0; i < PIECES; i++) {
        char *before = sbrk(0);
        if (heap && i % 1024 == 0)
            hd_heap_grown(heap);
        pieces[i] = malloc(400);
        assert_non_null(pieces[i]);
        memset(pieces[i], 'x', 400);
        steps += (char *)sbrk(0) != before;
    }
    return steps;
}

static void
clear(void)
{
    for (unsigned i = 0; i < PIECES; i++)
        free(pieces[i]);
}

/* Whether the kernel was told that large pages are wanted for it; true where nobody can tell, and
 * where malloc has no heap (a sanitizer has one of its own). */
static bool
is_large(const char *p)
{
    FILE *maps = fopen("/proc/self/smaps", "r");
    char line[512];
    bool here = false, flagged = false, seen = false;

    if (!maps || access("/sys/kernel/mm/transparent_hugepage/enabled", R_OK) != 0) {
        if (maps)
            (void)fclose(maps);
        return true;
    }
    while (fgets(line, sizeof(line), maps)) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            here = from <= (uintptr_t)p && (uintptr_t)p < to && strstr(line, "[heap]");
        if (here && strncmp(line, "VmFlags:", 8) == 0) {
            seen = true;
            flagged = strstr(line, " hg") != NULL;
        }
    }
    (void)fclose(maps);
    return flagged || !seen;
}

static void
what_a_start_brings_back_lies_in_large_steps_and_pages(void **state)
{
    struct hd_heap heap = { .large = false };

    (void)state;
    assert_in_range(fill(&heap), 0, 2);
    assert_true(is_large(pieces[PIECES - 2048]));
    hd_heap_done(&heap);
    clear();
}

static void
behind_it_the_heap_shrinks_as_usual(void **state)
{
    struct hd_heap heap = { .large = false };
    const char *before = sbrk(0);

    (void)state;
    (void)fill(&heap);
    hd_heap_done(&heap);
    clear();
    free(malloc(100000)); /* what glibc has put aside becomes one, and goes back */
    assert_in_range((uintptr_t)((char *)sbrk(0) - before), 0, 1 << 20);
}

static void
start_without_much_changes_nothing(void **state)
{
    struct hd_heap heap = { .large = false };

    (void)state;
    hd_heap_done(&heap);
    assert_false(heap.large);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behind_it_the_heap_shrinks_as_usual),
        cmocka_unit_test(what_a_start_brings_back_lies_in_large_steps_and_pages),
        cmocka_unit_test(start_without_much_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
