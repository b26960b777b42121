/* table_test.c - handles find their object as long as it lives, and nothing afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/test_alloc.h"

#include "table.c"

struct thing {
    uint64_t a;
    uint32_t b;
};

static struct hd_handle
add(struct hd_table *table, uint32_t b)
{
    struct hd_handle handle = { 0 };
    void *object = NULL;

    assert_int_equal(hd_table_add(table, &handle, &object), HD_OK);
    ((struct thing *)object)->b = b;
    return handle;
}

static void
a_new_object_is_zero_even_in_a_used_place(void **state)
{
    struct hd_table table;
    struct hd_handle handle = { 0 };
    void *object = NULL;
    static const struct thing zero;

    (void)state;
    hd_table_init(&table, sizeof(struct thing), 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(hd_table_add(&table, &handle, &object), HD_OK);
        assert_memory_equal(object, &zero, sizeof(zero));
        memset(object, 0xa5, sizeof(zero));
        hd_table_remove(&table, handle.index);
    }
    hd_table_done(&table);
}

static void
a_handle_finds_nothing_after_removal_nor_when_the_place_is_used_again(void **state)
{
    struct hd_table table;
    struct hd_handle first, second;

    (void)state;
    hd_table_init(&table, sizeof(struct thing), 10);
    first = add(&table, 1);
    assert_int_equal(first.generation & 1, 1);
    hd_table_remove(&table, first.index);
    assert_null(hd_table_find(&table, first));
    assert_null(hd_table_at(&table, first.index));
    second = add(&table, 2);
    assert_int_equal(second.index, first.index);
    assert_null(hd_table_find(&table, first));
    assert_non_null(hd_table_find(&table, second));
    hd_table_done(&table);
}

static void
invented_handles_find_nothing(void **state)
{
    struct hd_table table;
    struct hd_handle real;

    (void)state;
    hd_table_init(&table, sizeof(struct thing), 10);
    assert_null(hd_table_find(&table, (struct hd_handle){ 0, 0 }));
    assert_null(hd_table_find(&table, (struct hd_handle){ 0, 1 }));
    real = add(&table, 1);
    hd_table_remove(&table, real.index);
    /* The even generation of the free place. */
    assert_null(hd_table_find(&table, (struct hd_handle){ real.index, real.generation + 1 }));
    assert_null(hd_table_find(&table, (struct hd_handle){ HD_TABLE_NONE, 1 }));
    assert_null(hd_table_find(&table, (struct hd_handle){ 5000, 1 }));
    assert_null(hd_table_at(&table, HD_TABLE_NONE));
    hd_table_done(&table);
}

static void
the_cap_on_objects_holds_and_a_removal_makes_room(void **state)
{
    struct hd_table table;
    struct hd_handle handle = { 0 };
    void *object = NULL;

    (void)state;
    hd_table_init(&table, sizeof(struct thing), 3);
    for (uint32_t i = 0; i < 3; i++)
        add(&table, i);
    assert_int_equal(hd_table_add(&table, &handle, &object), HD_EFULL);
    assert_int_equal(table.count, 3);
    hd_table_remove(&table, 1);
    assert_int_equal(table.count, 2);
    assert_int_equal(add(&table, 9).index, 1);
    hd_table_done(&table);
}

static void
objects_do_not_move_when_the_table_grows(void **state)
{
    struct hd_table table;
    struct hd_handle first;
    struct thing *object;

    (void)state;
    hd_table_init(&table, sizeof(struct thing), 10000);
    first = add(&table, 77);
    object = hd_table_find(&table, first);
    for (uint32_t i = 1; i < 10000; i++)
        add(&table, i);
    assert_ptr_equal(hd_table_find(&table, first), object);
    assert_int_equal(object->b, 77);
    hd_table_done(&table);
}

static void
a_walk_sees_each_object_in_use_once_even_if_some_go_on_the_way(void **state)
{
    struct hd_table table;
    uint32_t seen = 0;

    (void)state;
    hd_table_init(&table, sizeof(struct thing), 3000);
    for (uint32_t i = 0; i < 3000; i++)
        add(&table, i);
    for (uint32_t i = 0; i < 3000; i += 3)
        hd_table_remove(&table, i);
    for (uint32_t i = hd_table_next(&table, 0); i != HD_TABLE_NONE;
         i = hd_table_next(&table, i + 1)) {
        struct thing *thing = hd_table_at(&table, i);
        assert_int_equal(thing->b, i);
        assert_int_not_equal(i % 3, 0);
        assert_ptr_equal(hd_table_find(&table, hd_table_handle(&table, i)), thing);
        hd_table_remove(&table, i);
        seen++;
    }
    assert_int_equal(seen, 2000);
    assert_int_equal(table.count, 0);
    assert_int_equal(hd_table_next(&table, HD_TABLE_NONE), HD_TABLE_NONE);
    hd_table_done(&table);
}

static void
objects_of_whole_cache_lines_sit_on_cache_lines(void **state)
{
    struct hd_table table;
    struct hd_handle handle = { 0 };
    void *object = NULL;

    (void)state;
    hd_table_init(&table, 128, 10);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(hd_table_add(&table, &handle, &object), HD_OK);
        assert_int_equal((uintptr_t)object % 64, 0);
    }
    hd_table_done(&table);
}

static void
the_smallest_object_has_room_for_the_free_list(void **state)
{
    struct hd_table table;
    struct hd_handle handle[3] = { 0 };
    void *object = NULL;

    (void)state;
    hd_table_init(&table, 1, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(hd_table_add(&table, &handle[i], &object), HD_OK);
        *(uint8_t *)object = (uint8_t)(i + 1);
    }
    hd_table_remove(&table, 0);
    hd_table_remove(&table, 2);
    assert_int_equal(*(uint8_t *)hd_table_find(&table, handle[1]), 2);
    assert_int_equal(hd_table_add(&table, &handle[0], &object), HD_OK);
    assert_int_equal(handle[0].index, 2);
    hd_table_done(&table);
}

static void
a_refused_allocation_leaves_the_table_as_it_was(void **state)
{
    unsigned refusals = 0;

    (void)state;
    for (unsigned n = 0;; n++) {
        struct hd_table table;
        struct hd_handle handle = { 0 };
        void *object = NULL;
        bool refused;

        hd_table_init(&table, sizeof(struct thing), 5000);
        alloc_refuse(n);
        for (uint32_t i = 0; i < 5000; i++) {
            enum hd_err err = hd_table_add(&table, &handle, &object);
            if (err) {
                assert_int_equal(err, HD_ENOMEM);
                assert_int_equal(table.count, i);
                assert_int_equal(hd_table_add(&table, &handle, &object), HD_OK);
            }
            assert_int_equal(handle.index, i);
        }
        assert_int_equal(table.count, 5000);
        refused = alloc_allow();
        hd_table_done(&table);
        if (!refused)
            break;
        refusals++;
    }
    /* Five chunks of two blocks, and the two arrays at 1, 2, 4 and 8. */
    assert_int_equal(refusals, 18);
}

static void
what_is_found_by_a_hash_is_in_table_and_map_or_in_neither(void **state)
{
    struct hd_table table;
    struct hd_map map;
    struct hd_map_walk walk;
    uint32_t index = 0;
    void *object = NULL;
    bool refused = true;

    (void)state;
    for (unsigned n = 0; refused; n++) {
        hd_table_init(&table, sizeof(struct thing), 1);
        hd_map_init(&map);
        alloc_refuse(n);
        const enum hd_err err = hd_table_add_keyed(&table, &map, 77, &index, &object);
        refused = alloc_allow();
        assert_true(n > 0 || refused);
        assert_int_equal(err, refused ? HD_ENOMEM : HD_OK);
        assert_int_equal(table.count, refused ? 0 : 1);
        assert_int_equal(map.used, refused ? 0 : 1);
        if (!refused) {
            assert_int_equal(hd_map_first(&walk, &map, 77), index);
            assert_ptr_equal(hd_table_at(&table, index), object);
            assert_int_equal(hd_table_add_keyed(&table, &map, 78, &index, &object), HD_EFULL);
            assert_int_equal(map.used, 1);
        }
        hd_table_done(&table);
        hd_map_done(&map);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_object_is_zero_even_in_a_used_place),
        cmocka_unit_test(a_handle_finds_nothing_after_removal_nor_when_the_place_is_used_again),
        cmocka_unit_test(invented_handles_find_nothing),
        cmocka_unit_test(the_cap_on_objects_holds_and_a_removal_makes_room),
        cmocka_unit_test(objects_do_not_move_when_the_table_grows),
        cmocka_unit_test(a_walk_sees_each_object_in_use_once_even_if_some_go_on_the_way),
        cmocka_unit_test(objects_of_whole_cache_lines_sit_on_cache_lines),
        cmocka_unit_test(the_smallest_object_has_room_for_the_free_list),
        cmocka_unit_test(a_refused_allocation_leaves_the_table_as_it_was),
        cmocka_unit_test(what_is_found_by_a_hash_is_in_table_and_map_or_in_neither),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
