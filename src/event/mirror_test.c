/* mirror_test.c - a fan-out reaches every subscription once, whatever happens to the places while
 * it walks; views are shared and end with the last who needs them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "event/test_setup.h"

#define BOB "sip:bob@example.test"

static int
setup(void **state)
{
    (void)host_setup(state);
    host.made_up = true;
    return 0;
}

static void
subscribe_many(unsigned from, unsigned n)
{
    char call_id[32], user[32], tag[HD_ID_TEXT + 1];

    for (unsigned i = from; i < from + n; i++) {
        (void)snprintf(call_id, sizeof(call_id), "many-%u", i);
        (void)snprintf(user, sizeof(user), "u%u", i);
        host_subscribe(
            &host,
            &(struct host_request){
                .call_id = call_id, .from = user, .expires = 3600, .port = (uint16_t)(7000 + i) },
            tag);
    }
}

static void
limit_sends(uint32_t sends)
{
    struct evt_config *config = host_config_copy(&host);

    config->limits.sends_per_turn = sends;
    config->limits.window_from = 10000;
    host_configure(&host, config, hd_slice(NULL, 0));
    host_settle(&host);
    host_drop(&host);
}

static struct evt_mirror *
the_mirror(void)
{
    struct evt_mirror *mirror =
        evt_mirror_find(host_shard(&host, 0), HD_LIT(BOB), HD_LIT("x-state"));

    assert_non_null(mirror);
    return mirror;
}

/* Gives the mirror a new state, as its home's mail does. */
static void
new_state(const char *body)
{
    struct evt_mirror *mirror = the_mirror();
    struct evt_doc *doc = evt_doc_new(HD_LIT("text/plain"), hd_slice_str(body));
    struct evt_snapshot *snapshot = evt_snapshot_new(mirror->snapshot->number + 1, doc);

    evt_mirror_snapshot(host_shard(&host, 0), mirror, snapshot);
    evt_snapshot_unref(snapshot);
    evt_doc_unref(doc);
}

static void
turn(void)
{
    (void)evt_shard_turn(host_shard(&host, 0), host.now_ms * 1000);
}

/* All NOTIFYs that were sent are answered, until all is quiet; every one that has a body shows
 * this. */
static unsigned
answer_all(const char *body)
{
    unsigned n = 0;

    host_settle(&host);
    while (host.sent) {
        struct host_sent *sent = host_take_notify(&host);
        if (body)
            assert_true(hd_slice_eq(sent->msg.body, hd_slice_str(body)));
        host_answer(&host, sent, 200, NULL);
        n++;
    }
    return n;
}

static bool
all_have_seen(uint64_t number)
{
    struct evt_shard *shard = host_shard(&host, 0);

    for (uint32_t i = 0; (i = hd_table_next(&shard->subs, i)) != HD_TABLE_NONE; i++)
        if (evt_sub_at(shard, i)->seen != number)
            return false;
    return true;
}

static void
a_fan_out_takes_as_many_turns_as_it_has_sends(void **state)
{
    (void)state;
    subscribe_many(0, 10);
    limit_sends(4);
    new_state("one");
    turn();
    assert_int_equal(host_count(&host), 4);
    turn();
    assert_int_equal(host_count(&host), 8);
    turn();
    assert_int_equal(host_count(&host), 10);
    turn();
    assert_int_equal(host_count(&host), 10);
    assert_int_equal(answer_all("one"), 10);
}

static void
a_new_state_in_the_middle_of_a_walk_reaches_all(void **state)
{
    (void)state;
    subscribe_many(0, 10);
    limit_sends(4);
    new_state("one");
    turn(); /* four have "one" in flight */
    new_state("two");
    host_settle(&host);
    answer_all(NULL);
    assert_true(all_have_seen(the_mirror()->snapshot->number));
}

static void
subscriptions_that_come_during_a_walk_push_nobody_out_of_it(void **state)
{
    char text[2048], call_id[32];

    (void)state;
    subscribe_many(0, 10);
    limit_sends(4);
    host.store = HOST_STORE_LATER;
    for (unsigned i = 0; i < 3; i++) {
        const struct hd_flow flow = host_flow((uint16_t)(8000 + i));
        (void)snprintf(call_id, sizeof(call_id), "late-%u", i);
        const struct host_request request = { .call_id = call_id,
                                              .expires = 3600,
                                              .port = (uint16_t)(8000 + i) };
        host_receive(&host, &flow, hd_slice(text, host_write(&request, text, sizeof(text))));
    }
    new_state("one");
    turn();
    while (host.sent)
        host_answer_only(&host, host_take_notify(&host), 200, NULL);
    new_state("two"); /* the walk goes on where it stands, and around */
    host_store_release(&host, 3, HD_OK);
    evt_shard_drain(host_shard(&host, 0), host.now_ms * 1000);
    assert_int_equal(the_mirror()->n_subs, 13);
    host_settle(&host);
    for (struct host_sent *sent; (sent = host_take(&host)) != NULL;)
        if (sent->msg.request)
            host_answer(&host, sent, 200, NULL);
    assert_true(all_have_seen(the_mirror()->snapshot->number));
}

static void
places_that_are_emptied_during_a_walk_are_passed_over(void **state)
{
    struct evt_shard *shard = host_shard(&host, 0);

    (void)state;
    subscribe_many(0, 80);
    limit_sends(10);
    new_state("one");
    turn();
    host_drop(&host);
    for (uint32_t i = 0; i < 60; i++)
        evt_sub_terminate(shard, evt_sub_at(shard, i), EVT_REASON_SILENT, 0);
    assert_null(evt_shard_check(shard));
    assert_int_equal(answer_all("one"), 20);
    assert_true(the_mirror()->n_subs <= 20 + the_mirror()->free_places);
    assert_true(the_mirror()->free_places <= 32);
}

static void
places_are_made_compact_when_most_are_empty(void **state)
{
    struct evt_shard *shard = host_shard(&host, 0);

    (void)state;
    subscribe_many(0, 100);
    for (uint32_t i = 0; i < 90; i++)
        evt_sub_terminate(shard, evt_sub_at(shard, i), EVT_REASON_SILENT, 0);
    assert_null(evt_shard_check(shard));
    assert_true(the_mirror()->n_subs < 60);
    subscribe_many(200, 5);
    new_state("one");
    assert_int_equal(answer_all("one"), 15);
}

static void
a_mirror_goes_with_its_last_subscription_also_during_a_walk(void **state)
{
    struct evt_shard *shard = host_shard(&host, 0);

    (void)state;
    subscribe_many(0, 5);
    limit_sends(1);
    new_state("one");
    turn();
    assert_int_not_equal(shard->walks.head, EVT_NONE);
    for (uint32_t i = 0; i < 5; i++)
        evt_sub_terminate(shard, evt_sub_at(shard, i), EVT_REASON_SILENT, 0);
    assert_int_equal(shard->walks.head, EVT_NONE);
    assert_int_equal(shard->mirrors.count, 0);
    host_settle(&host);
    assert_int_equal(shard->resources.count, 0);
}

static void
one_rendering_serves_all(void **state)
{
    (void)state;
    subscribe_many(0, 20);
    const uint64_t before = HOST_COUNT(&host, 0, views);
    new_state("one");
    answer_all("one");
    assert_int_equal(HOST_COUNT(&host, 0, views), before + 1);
}

static void
views_that_are_kept_have_a_bound_and_pinned_ones_outlive_it(void **state)
{
    struct evt_shard *shard = host_shard(&host, 0);
    struct evt_view *views[40];
    char body[8];

    (void)state;
    subscribe_many(0, 1);
    struct evt_mirror *mirror = the_mirror();
    for (unsigned i = 0; i < HD_ARRAY_LEN(views); i++) {
        (void)snprintf(body, sizeof(body), "%u", i);
        struct evt_doc *doc = evt_doc_new(HD_LIT("text/plain"), hd_slice_str(body));
        struct evt_snapshot *snapshot = evt_snapshot_new(1000 + i, doc);
        views[i] = evt_mirror_view(shard, mirror, snapshot, 0, EVT_SEE_ALL, 1, NULL);
        evt_snapshot_unref(snapshot);
        evt_doc_unref(doc);
    }
    unsigned kept = 0;
    for (const struct evt_view *view = mirror->views; view; view = view->next)
        kept++;
    assert_int_equal(kept, 16);
    assert_true(hd_slice_eq(views[0]->before, HD_LIT("0")));
    for (unsigned i = 0; i < HD_ARRAY_LEN(views); i++)
        evt_view_unref(views[i]);
}

static void
a_body_of_a_type_that_is_not_accepted_is_left_out(void **state)
{
    struct evt_shard *shard = host_shard(&host, 0);
    struct evt_doc *html = evt_doc_new(HD_LIT("text/HTML;level=1"), HD_LIT("<p>"));
    struct evt_snapshot *snapshot = evt_snapshot_new(5, html);

    (void)state;
    subscribe_many(0, 1);
    struct evt_view *plain =
        evt_mirror_view(shard, the_mirror(), snapshot, 0, EVT_SEE_ALL, 1, NULL);
    struct evt_view *both = evt_mirror_view(shard, the_mirror(), snapshot, 0, EVT_SEE_ALL, 3, NULL);
    assert_int_equal(evt_view_size(plain, 0), 0);
    assert_int_equal(evt_view_size(both, 0), 3);
    evt_view_unref(plain);
    evt_view_unref(both);
    evt_snapshot_unref(snapshot);
    evt_doc_unref(html);
}

/* The next NOTIFY shows this; it is answered with that status, 0: not at all. */
static void
shows(const char *body, unsigned status)
{
    const struct host_sent *sent = host_take_notify(&host);

    assert_true(hd_slice_eq(sent->msg.body, hd_slice_str(body)));
    if (status)
        host_answer(&host, sent, status, NULL);
}

/* RFC 4235 section 4.1: versions are scoped within a subscription and begin at 0. */
static void
each_subscription_counts_its_own_documents(void **state)
{
    struct host_request alice = { .event = "x-count", .call_id = "a", .expires = 3600 };
    struct host_request carol = {
        .event = "x-count", .call_id = "c", .from = "carol", .expires = 3600, .port = 7002
    };
    char etag[HD_ID_TEXT + 1];

    (void)state;
    host_request(&host, &alice);
    host_take_status(&host, 200);
    shows("v0: none", 200);
    host_publish(&host, NULL, "x-count", NULL, "v9: one", etag);
    shows("v1: one", 200);
    host_request(&host, &carol);
    host_take_status(&host, 200);
    shows("v0: one", 200);
    host_publish(&host, NULL, "x-count", etag, "v9: two", etag);
    for (unsigned i = 0; i < 2; i++) { /* who comes first is not said */
        const struct host_sent *sent = host_take_notify(&host);
        const bool hers = host_has(sent, "Call-ID: c\r\n");
        assert_true(hd_slice_eq(sent->msg.body, hers ? HD_LIT("v1: two") : HD_LIT("v2: two")));
        if (hers)
            host_answer(&host, sent, 200, NULL);
    }
    host_wait(&host, 500);
    shows("v2: two", 200); /* what is sent again is the same */
}

/* The number takes as many digits as it needs. */
static void
a_version_takes_the_place_of_the_documents_own(void **state)
{
    struct evt_shard *shard = host_shard(&host, 0);
    char text[64], tag[HD_ID_TEXT + 1];
    struct sip_out out;

    (void)state;
    host_subscribe(&host, &(struct host_request){ .event = "x-count", .expires = 3600 }, tag);
    struct evt_mirror *mirror = evt_mirror_find(shard, HD_LIT(BOB), HD_LIT("x-count"));
    struct evt_doc *doc = evt_doc_new(HD_LIT("text/plain"), HD_LIT("v5"));
    struct evt_snapshot *snapshot = evt_snapshot_new(9, doc);
    struct evt_view *view = evt_mirror_view(shard, mirror, snapshot, 0, EVT_SEE_ALL, 1, NULL);
    assert_int_equal(evt_view_size(view, 0), 2);
    assert_int_equal(evt_view_size(view, UINT32_MAX), 11);
    sip_out_init(&out, text, sizeof(text));
    evt_view_write(view, UINT32_MAX, &out);
    assert_true(hd_slice_eq(hd_slice(text, out.n), HD_LIT("v4294967295")));
    evt_view_unref(view);
    evt_snapshot_unref(snapshot);
    evt_doc_unref(doc);
}

static void
a_notify_without_a_version_takes_no_number(void **state)
{
    char etag[HD_ID_TEXT + 1];

    (void)state;
    host_request(&host, &(struct host_request){ .event = "x-count", .expires = 3600 });
    host_take_status(&host, 200);
    shows("v0: none", 200);
    host_publish(&host, NULL, "x-count", NULL, "none", etag);
    shows("none", 200);
    host_publish(&host, NULL, "x-count", etag, "v0: one", etag);
    shows("v1: one", 200);
}

static void
the_same_state_twice_is_no_news(void **state)
{
    struct evt_mirror *mirror;

    (void)state;
    subscribe_many(0, 3);
    mirror = the_mirror();
    evt_mirror_snapshot(host_shard(&host, 0), mirror, mirror->snapshot);
    assert_int_equal(answer_all(NULL), 0);
}

static void
packages_beyond_the_rows_are_counted_together(void **state)
{
    struct evt_shard *shard = host_shard(&host, 0);
    const struct evt_counters *counters = evt_shard_counters(shard);
    char name[EVT_PACKAGE_NAME_MAX + 1];
    uint64_t sum = 0;

    (void)state;
    memset(name, 'x', sizeof(name)); /* no NUL behind the longest */
    for (int by = 1; by >= -1; by -= 2) {
        for (unsigned i = 0; i < 2 * EVT_PACKAGES_COUNTED; i++) {
            name[0] = (char)('!' + i);
            evt_gauge(
                shard,
                &evt_package_counters(shard, hd_slice(name, EVT_PACKAGE_NAME_MAX))->publications,
                by);
        }
        sum = 0;
        for (unsigned i = 0; i < EVT_PACKAGES_COUNTED; i++)
            sum += counters->by_package[i].publications;
        assert_int_equal(sum, by > 0 ? 2 * EVT_PACKAGES_COUNTED : 0);
        assert_int_equal(counters->by_package[0].publications, by > 0);
    }
    assert_int_equal(counters->n_packages, EVT_PACKAGES_COUNTED);
    assert_string_equal(counters->by_package[EVT_PACKAGES_COUNTED - 1].name, "other");
}

int
main(void)
{
#define TEST(name) HOST_TEST_WITH(name, 1, setup)
    const struct CMUnitTest tests[] = {
        TEST(a_fan_out_takes_as_many_turns_as_it_has_sends),
        TEST(a_new_state_in_the_middle_of_a_walk_reaches_all),
        TEST(subscriptions_that_come_during_a_walk_push_nobody_out_of_it),
        TEST(places_that_are_emptied_during_a_walk_are_passed_over),
        TEST(places_are_made_compact_when_most_are_empty),
        TEST(a_mirror_goes_with_its_last_subscription_also_during_a_walk),
        TEST(one_rendering_serves_all),
        TEST(views_that_are_kept_have_a_bound_and_pinned_ones_outlive_it),
        TEST(a_body_of_a_type_that_is_not_accepted_is_left_out),
        TEST(each_subscription_counts_its_own_documents),
        TEST(a_version_takes_the_place_of_the_documents_own),
        TEST(a_notify_without_a_version_takes_no_number),
        TEST(the_same_state_twice_is_no_news),
        TEST(packages_beyond_the_rows_are_counted_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
