/* arena_test.c - pieces are aligned, apart, inside the block, and all given back at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"

static void
pieces_are_aligned_even_when_the_block_is_not(void **state)
{
    static char memory[256];
    struct hd_arena arena;

    (void)state;
    for (size_t shift = 0; shift < 16; shift++) {
        hd_arena_init(&arena, memory + shift, sizeof(memory) - shift);
        for (size_t size = 1; size < 20; size += 6) {
            char *piece = hd_arena_take(&arena, size);
            assert_non_null(piece);
            assert_int_equal((uintptr_t)piece % _Alignof(max_align_t), 0);
            assert_true(piece >= memory + shift && piece + size <= memory + sizeof(memory));
        }
    }
}

static void
pieces_do_not_overlap(void **state)
{
    static char memory[256];
    struct hd_arena arena;
    char *a, *b;

    (void)state;
    hd_arena_init(&arena, memory, sizeof(memory));
    a = hd_arena_take(&arena, 17);
    b = hd_arena_take(&arena, 17);
    assert_true(b >= a + 17);
}

static void
a_full_arena_gives_null_and_stays_usable(void **state)
{
    char *memory = malloc(64);
    struct hd_arena arena;

    (void)state;
    hd_arena_init(&arena, memory, 64);
    assert_non_null(hd_arena_take(&arena, 48));
    assert_null(hd_arena_take(&arena, 17));
    assert_null(hd_arena_take(&arena, SIZE_MAX));
    assert_non_null(hd_arena_take(&arena, 16));
    assert_null(hd_arena_take(&arena, 1));
    assert_non_null(hd_arena_take(&arena, 0));
    free(memory);
}

static void
an_arena_without_memory_is_always_full(void **state)
{
    struct hd_arena arena;

    (void)state;
    hd_arena_init(&arena, NULL, 0);
    assert_null(hd_arena_take(&arena, 0));
    assert_null(hd_arena_take(&arena, 1));
}

static void
a_copy_is_apart_from_what_it_copies(void **state)
{
    static char memory[64];
    char text[] = "tag";
    struct hd_arena arena;
    struct hd_slice copy = HD_LIT("untouched"), empty;

    (void)state;
    hd_arena_init(&arena, memory, sizeof(memory));
    assert_int_equal(hd_arena_dup(&arena, hd_slice_str(text), &copy), HD_OK);
    text[0] = 'x';
    assert_true(hd_slice_eq(copy, HD_LIT("tag")));
    assert_int_equal(hd_arena_dup(&arena, hd_slice(NULL, 0), &empty), HD_OK);
    assert_int_equal(empty.n, 0);
    assert_int_equal(hd_arena_dup(&arena, hd_slice(memory, 60), &copy), HD_ENOSPC);
    assert_true(hd_slice_eq(copy, HD_LIT("tag")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_even_when_the_block_is_not),
        cmocka_unit_test(pieces_do_not_overlap),
        cmocka_unit_test(a_full_arena_gives_null_and_stays_usable),
        cmocka_unit_test(an_arena_without_memory_is_always_full),
        cmocka_unit_test(a_copy_is_apart_from_what_it_copies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
