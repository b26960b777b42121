/* recorder_test.c - the ring alone: chains, what is written over, and what does not fit at the end.
 */
#include "event/recorder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MEMORY (64u * 1024u)

static void
put(struct evt_recorder *rec, uint64_t key, size_t n, char c)
{
    memset(evt_recorder_put(rec, EVT_ENTRY_NOTE, key, 1, n), c, n);
}

/* How many entries of a key are there; all of them filled with what they were filled with. */
static unsigned
count(const struct evt_recorder *rec, uint64_t key, char c)
{
    unsigned n = 0;

    for (uint64_t p = evt_recorder_chain(rec, key); p; p = evt_recorder_older(rec, p, key)) {
        const struct evt_entry *entry = evt_recorder_at(rec, p);
        if (!evt_entry_is(entry, key))
            continue;
        const char *octets = evt_entry_payload(entry);
        assert_true(octets[0] == c && octets[entry->size - sizeof(*entry) - 8] == c);
        n++;
    }
    return n;
}

static void
an_entry_is_found_by_its_key(void **state)
{
    struct evt_recorder *rec = evt_recorder_new(MEMORY, 0);

    (void)state;
    assert_non_null(rec);
    assert_int_equal(evt_recorder_chain(rec, 7), 0);
    put(rec, 7, 100, 'a');
    put(rec, 8, 200, 'b');
    put(rec, 7, 300, 'a');
    assert_int_equal(count(rec, 7, 'a'), 2);
    assert_int_equal(count(rec, 8, 'b'), 1);
    assert_int_equal(count(rec, 9, 'c'), 0);
    assert_null(evt_recorder_check(rec));
    evt_recorder_free(rec);
}

static void
the_oldest_goes_for_the_newest(void **state)
{
    struct evt_recorder *rec = evt_recorder_new(MEMORY, 0);

    (void)state;
    put(rec, 1, 100, 'a');
    for (unsigned i = 0; i < 10 * MEMORY / 1000; i++) {
        put(rec, 2 + i % 3, 968, (char)('b' + i % 3));
        assert_null(evt_recorder_check(rec));
    }
    assert_int_equal(count(rec, 1, 'a'), 0);
    unsigned n = 0;
    for (unsigned i = 0; i < 3; i++)
        n += count(rec, 2 + i, (char)('b' + i));
    assert_in_range(n, MEMORY / 1000 - 1, MEMORY / 1000);
    evt_recorder_free(rec);
}

/* Sizes that do not divide the ring, up to the largest: each begins anew at the start when it does
 * not fit, and nothing of an entry that is found was written over. */
static void
entries_of_any_size_lie_in_one_piece(void **state)
{
    struct evt_recorder *rec = evt_recorder_new(MEMORY, 0);
    unsigned random = 1;
    uint64_t last = 0;

    (void)state;
    for (unsigned i = 0; i < 5000; i++) {
        random = random * 1103515245u + 12345u;
        const size_t n = i % 50 == 0 ? evt_recorder_most(rec) : 8 + (random >> 16) % 3000;
        put(rec, random >> 28, n, (char)('a' + (random >> 28)));
        assert_true(rec->last > last);
        last = rec->last;
        if (i % 97 == 0) {
            assert_null(evt_recorder_check(rec));
            for (unsigned key = 0; key < 16; key++)
                (void)count(rec, key, (char)('a' + key));
        }
    }
    evt_recorder_free(rec);
}

static unsigned
backwards(const struct evt_recorder *rec)
{
    unsigned n = 0;

    for (uint64_t p = rec->last; p; p = evt_recorder_before(rec, p))
        n++;
    return n;
}

static void
all_that_is_there_is_walked_backwards(void **state)
{
    struct evt_recorder *rec = evt_recorder_new(MEMORY, 0);

    (void)state;
    for (unsigned i = 1; i <= 20; i++) {
        put(rec, i, 50, 'x');
        assert_int_equal(backwards(rec), i);
    }
    for (unsigned i = 0; i < 5000; i++)
        put(rec, i, 50, 'x');
    assert_in_range(backwards(rec), MEMORY / 88 - 1, MEMORY / 88);
    evt_recorder_free(rec);
}

static struct evt_entry_subject *
subject(struct evt_recorder *rec, uint64_t key, uint64_t call, uint64_t resource, uint64_t who)
{
    struct evt_entry_subject *s =
        evt_recorder_put(rec, EVT_ENTRY_SUBJECT, key, 1, sizeof(struct evt_entry_subject));

    memset(s, 0, sizeof(*s));
    s->links[0].key = call;
    s->links[1].key = resource;
    s->links[2].key = who;
    evt_recorder_link(rec, s);
    return s;
}

static unsigned
subjects(const struct evt_recorder *rec, uint64_t key)
{
    unsigned n = 0;

    for (uint64_t p = evt_recorder_chain(rec, key); p; p = evt_recorder_older(rec, p, key))
        n += evt_entry_is(evt_recorder_at(rec, p), key);
    return n;
}

/* With 128 chains and 460 keys every chain has several: an entry that is in one of them by two of
 * its keys is seen once, and hides nothing behind it. */
static void
a_subject_is_found_by_each_of_its_names(void **state)
{
    struct evt_recorder *rec = evt_recorder_new(MEMORY, 0);

    (void)state;
    for (unsigned i = 0; i < 150; i++)
        (void)subject(rec, 1000 + i, 2000 + i, 3000 + i % 10, 4000 + i);
    for (unsigned i = 0; i < 150; i++) {
        assert_int_equal(subjects(rec, 1000 + i), 1);
        assert_int_equal(subjects(rec, 2000 + i), 1);
        assert_int_equal(subjects(rec, 4000 + i), 1);
    }
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(subjects(rec, 3000 + i), 15);
    assert_null(evt_recorder_check(rec));
    evt_recorder_free(rec);
}

static void
one_key_for_all_of_a_subjects_names_is_one_chain(void **state)
{
    struct evt_recorder *rec = evt_recorder_new(MEMORY, 0);

    (void)state;
    for (unsigned i = 0; i < 5; i++)
        (void)subject(rec, 5, 5, 5, 5);
    assert_int_equal(subjects(rec, 5), 5);
    evt_recorder_free(rec);
}

static void
places_of_a_ring_before_are_not_taken_for_its_own(void **state)
{
    struct evt_recorder *old = evt_recorder_new(MEMORY, 0), *rec;
    uint64_t place;

    (void)state;
    put(old, 1, 100, 'a');
    place = old->last;
    rec = evt_recorder_new(2 * MEMORY, old->head);
    put(rec, 2, 100, 'b');
    assert_true(evt_recorder_has(old, place));
    assert_false(evt_recorder_has(rec, place));
    evt_recorder_free(old);
    evt_recorder_free(rec);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_is_found_by_its_key),
        cmocka_unit_test(the_oldest_goes_for_the_newest),
        cmocka_unit_test(entries_of_any_size_lie_in_one_piece),
        cmocka_unit_test(all_that_is_there_is_walked_backwards),
        cmocka_unit_test(a_subject_is_found_by_each_of_its_names),
        cmocka_unit_test(one_key_for_all_of_a_subjects_names_is_one_chain),
        cmocka_unit_test(places_of_a_ring_before_are_not_taken_for_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
