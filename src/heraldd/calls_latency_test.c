/* calls_latency_test.c - which NOTIFY is whose publication's, and what is said of a hundred times.
 */
#include "calls_latency.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ROWS_MOST 32
#define RESOURCE 7

static struct moment rows[ROWS_MOST];
static size_t n_rows;
static struct figures notify, held;

static int
setup(void **state)
{
    (void)state;
    n_rows = 0;
    notify = held = (struct figures){ 0 };
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    free(notify.us);
    free(held.us);
    return 0;
}

static void
published(uint64_t at_us, uint64_t took_us)
{
    rows[n_rows++].m = (struct evt_moment){ .kind = EVT_MOMENT_PUBLISHED,
                                            .at_us = at_us,
                                            .began_us = at_us - took_us,
                                            .resource = RESOURCE };
}

static void
happened(enum evt_moment_kind kind, uint64_t sub, uint64_t at_us, uint64_t octets)
{
    rows[n_rows++].m = (struct evt_moment){
        .kind = kind, .at_us = at_us, .resource = RESOURCE, .sub = sub, .octets = octets
    };
}

static void
assert_times(const struct figures *f, size_t n, uint64_t first)
{
    assert_int_equal(f->n, n);
    if (n)
        assert_int_equal(f->us[0], first);
}

static void
a_notify_counts_from_when_the_publish_came(void **state)
{
    (void)state;
    happened(EVT_MOMENT_NOTIFIED, 1, 1090, 5); /* in whatever order shards tell them */
    published(1050, 50);
    measure(rows, n_rows, &notify, &held);
    assert_times(&notify, 1, 90);
    assert_times(&held, 0, 0);
}

static void
what_leaves_in_the_turn_in_which_it_was_published_is_its(void **state)
{
    (void)state;
    happened(EVT_MOMENT_NOTIFIED, 1, 1050, 5);
    published(1050, 50);
    measure(rows, n_rows, &notify, &held);
    assert_times(&notify, 1, 50);
}

static void
a_notify_that_a_subscribe_is_owed_is_none_of_a_publication(void **state)
{
    (void)state;
    published(1000, 10);
    happened(EVT_MOMENT_BEGAN, 1, 1100, 0);
    happened(EVT_MOMENT_NOTIFIED, 1, 1101, 5);
    measure(rows, n_rows, &notify, &held);
    assert_times(&notify, 0, 0);
    assert_times(&held, 0, 0);
}

static void
the_second_notify_after_a_publication_is_not_its(void **state)
{
    (void)state;
    published(1000, 10);
    happened(EVT_MOMENT_NOTIFIED, 1, 1001, 5);
    happened(EVT_MOMENT_NOTIFIED, 1, 1500, 6); /* of something else: a refresh that is not known */
    measure(rows, n_rows, &notify, &held);
    assert_times(&notify, 1, 11);
    assert_times(&held, 0, 0);
}

static void
what_was_held_back_is_counted_apart(void **state)
{
    (void)state;
    published(1000, 10);
    happened(EVT_MOMENT_HELD, 1, 1001, 0);
    happened(EVT_MOMENT_NOTIFIED, 1, 6000, 5);
    measure(rows, n_rows, &notify, &held);
    assert_times(&notify, 0, 0);
    assert_times(&held, 1, 5010);
}

/* While one is repeated, what is published meanwhile waits for its answer. */
static void
a_repetition_holds_back_what_comes_after_it(void **state)
{
    (void)state;
    happened(EVT_MOMENT_NOTIFIED, 1, 500, 5);
    published(1000, 10);
    happened(EVT_MOMENT_NOTIFIED, 1, 1500, 5);
    happened(EVT_MOMENT_NOTIFIED, 1, 1700, 6);
    measure(rows, n_rows, &notify, &held);
    assert_times(&notify, 0, 0);
    assert_times(&held, 1, 710);
}

/* Two subscriptions may be told the same octets by chance: a repetition is of one of them. */
static void
the_same_octets_of_another_subscription_are_no_repetition(void **state)
{
    (void)state;
    published(1000, 10);
    happened(EVT_MOMENT_NOTIFIED, 1, 1001, 5);
    happened(EVT_MOMENT_NOTIFIED, 2, 1003, 5);
    measure(rows, n_rows, &notify, &held);
    assert_times(&notify, 2, 11);
    assert_int_equal(notify.us[1], 13);
}

static void
other_resources_have_their_own_publications(void **state)
{
    (void)state;
    published(1000, 10);
    happened(EVT_MOMENT_NOTIFIED, 1, 1001, 5);
    rows[n_rows - 1].m.resource = RESOURCE + 1;
    measure(rows, n_rows, &notify, &held);
    assert_times(&notify, 0, 0);
}

static void
a_percentile_is_the_smallest_that_is_enough(void **state)
{
    struct figures f = { 0 };

    (void)state;
    for (uint64_t us = 100; us >= 1; us--)
        figures_add(&f, us);
    json_t *said = figures_json(&f);
    assert_int_equal(json_integer_value(json_object_get(said, "n")), 100);
    assert_int_equal(json_integer_value(json_object_get(said, "p50_us")), 50);
    assert_int_equal(json_integer_value(json_object_get(said, "p90_us")), 90);
    assert_int_equal(json_integer_value(json_object_get(said, "p99_us")), 99);
    assert_int_equal(json_integer_value(json_object_get(said, "most_us")), 100);
    json_decref(said);
    f.n = 1; /* of one, all of them are it */
    said = figures_json(&f);
    assert_int_equal(json_integer_value(json_object_get(said, "p50_us")), 1);
    assert_int_equal(json_integer_value(json_object_get(said, "p99_us")), 1);
    json_decref(said);
    free(f.us);
}

static void
shards_are_put_together_and_a_short_memory_is_no_answer(void **state)
{
    struct latency *l = calloc(1, sizeof(*l) + 2 * sizeof(l->parts[0]));
    const struct evt_moment one = { .at_us = 1 }, two = { .at_us = 2 };
    struct figures failed = { .failed = true };
    size_t n = 0;

    (void)state;
    assert_non_null(l);
    l->shards = 2;
    see_moment(&l->parts[0], &one);
    see_moment(&l->parts[1], &two);
    struct moment *all = all_moments(l, &n);
    assert_non_null(all);
    assert_int_equal(n, 2);
    assert_int_equal(all[0].m.at_us + all[1].m.at_us, 3);
    free(all);
    l->parts[1].failed = true;
    assert_null(all_moments(l, &n));
    figures_take(&notify, &failed);
    assert_null(figures_json(&notify));
    free(l->parts[0].moments);
    free(l->parts[1].moments);
    free(l);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_notify_counts_from_when_the_publish_came),
        TEST(what_leaves_in_the_turn_in_which_it_was_published_is_its),
        TEST(a_notify_that_a_subscribe_is_owed_is_none_of_a_publication),
        TEST(the_second_notify_after_a_publication_is_not_its),
        TEST(what_was_held_back_is_counted_apart),
        TEST(a_repetition_holds_back_what_comes_after_it),
        TEST(the_same_octets_of_another_subscription_are_no_repetition),
        TEST(other_resources_have_their_own_publications),
        TEST(a_percentile_is_the_smallest_that_is_enough),
        TEST(shards_are_put_together_and_a_short_memory_is_no_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
