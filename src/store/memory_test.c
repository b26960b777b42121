#include "store/memory.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* The core's end of the port: it notes what it is told. */
struct evt_shard {
    struct evt_outcome told[64];
    size_t n, posts;
    bool out_of_memory;
};

enum hd_err
evt_stored_post(struct evt_shard *shard, const struct evt_outcome *outcomes, size_t n)
{
    if (shard->out_of_memory)
        return HD_ENOMEM;
    for (size_t i = 0; i < n && shard->n < HD_ARRAY_LEN(shard->told); i++)
        shard->told[shard->n++] = outcomes[i];
    shard->posts++;
    return HD_OK;
}

struct fixture {
    struct sto_memory *store;
    struct evt_shard shard[2];
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct sto_memory_params params = { .shards = 2, .keep = true, .max_octets = 1000 };

    assert_non_null(f);
    assert_int_equal(sto_memory_new(&params, &f->store), HD_OK);
    sto_memory_attach(f->store, 0, &f->shard[0]);
    sto_memory_attach(f->store, 1, &f->shard[1]);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    sto_memory_free(f->store);
    free(f);
    return 0;
}

static enum hd_err
put(struct fixture *f, unsigned bucket, uint64_t id, const char *octets, uint64_t ticket)
{
    return sto_memory_ops.put(f->store, 0, bucket, EVT_RECORD_SUBSCRIPTION, id,
                              hd_slice_str(octets), ticket);
}

static void
assert_told(const struct fixture *f, size_t i, uint64_t ticket, enum hd_err err)
{
    assert_true(i < f->shard[0].n);
    assert_int_equal(f->shard[0].told[i].ticket, ticket);
    assert_int_equal(f->shard[0].told[i].err, err);
}

static void
assert_kept(const struct fixture *f, uint64_t id, const char *octets)
{
    struct hd_slice record;

    assert_int_equal(sto_memory_find(f->store, 0, EVT_RECORD_SUBSCRIPTION, id, &record), HD_OK);
    assert_int_equal(record.n, strlen(octets));
    assert_memory_equal(record.p, octets, record.n);
}

static void
put_never_answers_from_inside(void **state)
{
    struct fixture *f = *state;
    struct hd_slice record;

    assert_int_equal(put(f, 1, 7, "one", 100), HD_OK);
    assert_int_equal(f->shard[0].posts, 0);
    assert_int_equal(sto_memory_find(f->store, 0, EVT_RECORD_SUBSCRIPTION, 7, &record),
                     HD_ENOMATCH);
    assert_true(sto_memory_pending(f->store, 0));
}

static void
a_flush_posts_all_outcomes_of_the_turn_at_once_and_in_order(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(put(f, 1, 7, "one", 100), HD_OK);
    assert_int_equal(put(f, 2, 8, "two", 101), HD_OK);
    assert_int_equal(put(f, 1, 9, "three", 102), HD_OK);
    assert_int_equal(sto_memory_flush(f->store, 0), 3);
    assert_int_equal(f->shard[0].posts, 1);
    assert_told(f, 0, 100, HD_OK);
    assert_told(f, 1, 101, HD_OK);
    assert_told(f, 2, 102, HD_OK);
    assert_kept(f, 8, "two");
    assert_int_equal(sto_memory_count(f->store, 0), 3);
    assert_false(sto_memory_pending(f->store, 0));
    assert_int_equal(sto_memory_flush(f->store, 0), 0);
    assert_int_equal(f->shard[0].posts, 1);
}

static void
each_shard_is_told_of_its_own_records_only(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(put(f, 1, 7, "one", 100), HD_OK);
    assert_int_equal(sto_memory_flush(f->store, 1), 0);
    assert_int_equal(f->shard[1].posts, 0);
    assert_int_equal(sto_memory_flush(f->store, 0), 1);
    assert_int_equal(sto_memory_count(f->store, 1), 0);
}

static void
a_second_record_of_the_same_kind_and_id_replaces_the_first(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(put(f, 1, 7, "one", 100), HD_OK);
    assert_int_equal(put(f, 1, 7, "longer than before", 101), HD_OK);
    assert_int_equal(sto_memory_flush(f->store, 0), 2);
    assert_int_equal(sto_memory_count(f->store, 0), 1);
    assert_kept(f, 7, "longer than before");
}

static void
the_same_id_of_another_kind_is_another_record(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(put(f, 1, 7, "one", 100), HD_OK);
    assert_int_equal(
        sto_memory_ops.put(f->store, 0, 1, EVT_RECORD_PUBLICATION, 7, HD_LIT("two"), 101), HD_OK);
    assert_int_equal(sto_memory_flush(f->store, 0), 2);
    assert_int_equal(sto_memory_count(f->store, 0), 2);
    assert_kept(f, 7, "one");
}

static void
an_empty_record_removes(void **state)
{
    struct fixture *f = *state;
    struct hd_slice record;

    assert_int_equal(put(f, 1, 7, "one", 100), HD_OK);
    assert_int_equal(put(f, 1, 7, "", 101), HD_OK);
    assert_int_equal(put(f, 1, 8, "", 102), HD_OK); /* was never there */
    assert_int_equal(sto_memory_flush(f->store, 0), 3);
    assert_told(f, 2, 102, HD_OK);
    assert_int_equal(sto_memory_find(f->store, 0, EVT_RECORD_SUBSCRIPTION, 7, &record),
                     HD_ENOMATCH);
    assert_int_equal(sto_memory_octets(f->store, 0), 0);
}

static void
a_held_part_commits_nothing_until_released(void **state)
{
    struct fixture *f = *state;

    sto_memory_hold(f->store, 0, true);
    assert_int_equal(put(f, 1, 7, "one", 100), HD_OK);
    assert_int_equal(put(f, 2, 8, "two", 101), HD_OK);
    assert_int_equal(sto_memory_flush(f->store, 0), 0);
    assert_false(sto_memory_pending(f->store, 0));
    assert_int_equal(sto_memory_release(f->store, 0, 1), 1);
    assert_int_equal(f->shard[0].n, 1);
    assert_told(f, 0, 100, HD_OK);
    assert_int_equal(sto_memory_waiting(f->store, 0), 1);
    sto_memory_hold(f->store, 0, false);
    assert_int_equal(sto_memory_flush(f->store, 0), 1);
    assert_told(f, 1, 101, HD_OK);
}

static void
release_newest_is_out_of_step_between_buckets_and_in_order_within_one(void **state)
{
    struct fixture *f = *state;

    sto_memory_hold(f->store, 0, true);
    assert_int_equal(put(f, 1, 7, "a", 100), HD_OK);
    assert_int_equal(put(f, 2, 8, "b", 101), HD_OK);
    assert_int_equal(put(f, 2, 9, "c", 102), HD_OK);
    assert_int_equal(sto_memory_release_newest(f->store, 0, SIZE_MAX), 3);
    assert_told(f, 0, 101, HD_OK);
    assert_told(f, 1, 102, HD_OK);
    assert_told(f, 2, 100, HD_OK);
    assert_int_equal(put(f, 1, 10, "d", 103), HD_OK); /* the list can still be appended to */
    assert_int_equal(sto_memory_release(f->store, 0, 1), 1);
    assert_told(f, 3, 103, HD_OK);
}

static void
a_failed_commit_keeps_the_record_that_was_there(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(put(f, 1, 7, "old", 100), HD_OK);
    assert_int_equal(sto_memory_flush(f->store, 0), 1);
    sto_memory_fail(f->store, 0, 1);
    assert_int_equal(put(f, 1, 7, "new", 101), HD_OK);
    assert_int_equal(put(f, 1, 8, "other", 102), HD_OK);
    assert_int_equal(sto_memory_flush(f->store, 0), 2);
    assert_told(f, 1, 101, HD_ESTORE);
    assert_told(f, 2, 102, HD_OK);
    assert_kept(f, 7, "old");
}

static void
a_refused_put_has_no_outcome(void **state)
{
    struct fixture *f = *state;

    sto_memory_refuse(f->store, 0, 1);
    assert_int_equal(put(f, 1, 7, "one", 100), HD_ESTORE);
    assert_int_equal(put(f, 1, 7, "one", 101), HD_OK);
    assert_int_equal(sto_memory_flush(f->store, 0), 1);
    assert_told(f, 0, 101, HD_OK);
}

static void
a_full_part_refuses_records_but_takes_removals(void **state)
{
    struct fixture *f = *state;
    char big[931];

    memset(big, 'x', sizeof(big) - 1);
    big[930] = '\0';
    assert_int_equal(put(f, 1, 7, big, 100), HD_OK);
    assert_int_equal(put(f, 1, 8, "one more", 101), HD_EFULL);
    assert_int_equal(put(f, 1, 7, "", 102), HD_OK);
    assert_int_equal(sto_memory_flush(f->store, 0), 2);
    assert_int_equal(put(f, 1, 8, "one more", 103), HD_OK);
}

static void
outcomes_that_could_not_be_posted_are_posted_by_the_next_flush(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(put(f, 1, 7, "one", 100), HD_OK);
    f->shard[0].out_of_memory = true;
    assert_int_equal(sto_memory_flush(f->store, 0), 0);
    assert_true(sto_memory_pending(f->store, 0));
    f->shard[0].out_of_memory = false;
    assert_int_equal(put(f, 1, 8, "two", 101), HD_OK);
    assert_int_equal(sto_memory_flush(f->store, 0), 2);
    assert_told(f, 0, 100, HD_OK);
    assert_told(f, 1, 101, HD_OK);
}

static void
a_store_that_does_not_keep_still_answers(void **state)
{
    struct evt_shard shard = { 0 };
    struct sto_memory_params params = { .shards = 1 };
    struct sto_memory *store = NULL;

    (void)state;
    assert_int_equal(sto_memory_new(&params, &store), HD_OK);
    sto_memory_attach(store, 0, &shard);
    assert_int_equal(sto_memory_ops.put(store, 0, 5, EVT_RECORD_PUBLICATION, 1, HD_LIT("x"), 9),
                     HD_OK);
    assert_int_equal(sto_memory_flush(store, 0), 1);
    assert_int_equal(shard.told[0].err, HD_OK);
    assert_int_equal(sto_memory_count(store, 0), 0);
    assert_int_equal(sto_memory_octets(store, 0), 0);
    sto_memory_free(store);
}

static void
many_records_are_found_again(void **state)
{
    struct evt_shard shard = { 0 };
    struct sto_memory_params params = { .shards = 1, .keep = true };
    struct sto_memory *store = NULL;
    struct hd_slice record;

    (void)state;
    assert_int_equal(sto_memory_new(&params, &store), HD_OK);
    sto_memory_attach(store, 0, &shard);
    for (uint64_t id = 1; id <= 5000; id++)
        assert_int_equal(sto_memory_ops.put(store, 0, (unsigned)(id % HD_BUCKETS),
                                            EVT_RECORD_SUBSCRIPTION, id,
                                            hd_slice((const char *)&id, sizeof(id)), id),
                         HD_OK);
    assert_int_equal(sto_memory_flush(store, 0), 5000);
    for (uint64_t id = 1; id <= 5000; id++) {
        assert_int_equal(sto_memory_find(store, 0, EVT_RECORD_SUBSCRIPTION, id, &record), HD_OK);
        assert_memory_equal(record.p, &id, sizeof(id));
    }
    sto_memory_free(store);
}

struct come_back {
    char text[256];
    size_t n;
};

static enum hd_err
come_back(void *context, enum evt_record_kind kind, unsigned bucket, uint64_t id,
          struct hd_slice record, uint64_t age_ms)
{
    struct come_back *all = context;

    all->n += (size_t)snprintf(all->text + all->n, sizeof(all->text) - all->n,
                               "%d:%u:%llu:%.*s:%llu ", (int)kind, bucket, (unsigned long long)id,
                               HD_FMT(record), (unsigned long long)age_ms);
    return HD_OK;
}

static void
what_is_kept_comes_back_kind_by_kind_and_the_oldest_first(void **state)
{
    struct fixture *f = *state;
    struct come_back all = { .n = 0 };

    sto_memory_clock(f->store, 1000);
    assert_int_equal(put(f, 1, 7, "first", 100), HD_OK);
    assert_int_equal(put(f, 2, 8, "second", 101), HD_OK);
    assert_int_equal(sto_memory_flush(f->store, 0), 2);
    sto_memory_clock(f->store, 1500);
    assert_int_equal(put(f, 1, 7, "anew", 102), HD_OK);
    assert_int_equal(
        sto_memory_ops.put(f->store, 0, 3, EVT_RECORD_PUBLICATION, 7, HD_LIT("state"), 103), HD_OK);
    assert_int_equal(put(f, 4, 9, "gone", 104), HD_OK);
    assert_int_equal(put(f, 4, 9, "", 105), HD_OK);
    assert_int_equal(sto_memory_flush(f->store, 0), 4);
    assert_true(sto_memory_end(f->store, false));
    sto_memory_clock(f->store, 3000);
    assert_int_equal(sto_memory_load(f->store, come_back, &all), HD_OK);
    assert_string_equal(all.text, "2:3:7:state:1500 1:2:8:second:2000 1:1:7:anew:1500 ");
}

static void
a_crash_loses_what_waits_and_a_clean_end_keeps_it(void **state)
{
    struct fixture *f = *state;
    struct come_back all = { .n = 0 };

    for (unsigned clean = 0; clean < 2; clean++) {
        sto_memory_attach(f->store, 0, &f->shard[0]);
        sto_memory_hold(f->store, 0, true);
        sto_memory_fail(f->store, 0, 1);
        assert_int_equal(put(f, 1, 7, "waits", 100), HD_OK);
        assert_int_equal(sto_memory_flush(f->store, 0), 0);
        assert_int_equal(sto_memory_end(f->store, clean), clean);
        assert_int_equal(sto_memory_waiting(f->store, 0), 0);
        assert_int_equal(sto_memory_count(f->store, 0), clean);
    }
    assert_int_equal(f->shard[0].posts, 0);
    assert_int_equal(sto_memory_load(f->store, come_back, &all), HD_OK);
    assert_string_equal(all.text, "1:1:7:waits:0 ");
    /* Neither is held any more. */
    sto_memory_attach(f->store, 0, &f->shard[0]);
    assert_int_equal(put(f, 1, 8, "later", 101), HD_OK);
    assert_int_equal(sto_memory_flush(f->store, 0), 1);
    /* What it said that it could not keep is lost as well. */
    sto_memory_fail(f->store, 0, 1);
    assert_int_equal(put(f, 1, 9, "fails", 102), HD_OK);
    assert_int_equal(sto_memory_flush(f->store, 0), 1);
    assert_false(sto_memory_end(f->store, true));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        CASE(put_never_answers_from_inside),
        CASE(a_flush_posts_all_outcomes_of_the_turn_at_once_and_in_order),
        CASE(each_shard_is_told_of_its_own_records_only),
        CASE(a_second_record_of_the_same_kind_and_id_replaces_the_first),
        CASE(the_same_id_of_another_kind_is_another_record),
        CASE(an_empty_record_removes),
        CASE(a_held_part_commits_nothing_until_released),
        CASE(release_newest_is_out_of_step_between_buckets_and_in_order_within_one),
        CASE(a_failed_commit_keeps_the_record_that_was_there),
        CASE(a_refused_put_has_no_outcome),
        CASE(a_full_part_refuses_records_but_takes_removals),
        CASE(outcomes_that_could_not_be_posted_are_posted_by_the_next_flush),
        CASE(what_is_kept_comes_back_kind_by_kind_and_the_oldest_first),
        CASE(a_crash_loses_what_waits_and_a_clean_end_keeps_it),
        cmocka_unit_test(a_store_that_does_not_keep_still_answers),
        cmocka_unit_test(many_records_are_found_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
