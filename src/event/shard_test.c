/* shard_test.c - the life of a shard: several of them at once, the order of their mails, a stop, a
 * restart from what was kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "event/test_setup.h"

#define BOB "sip:bob@example.test"

static char tag[HD_ID_TEXT + 1], etag[HD_ID_TEXT + 1];

static int
setup(void **state)
{
    (void)host_setup(state);
    etag[0] = '\0';
    return 0;
}

static uint16_t
far_port(void)
{
    return host_port_of(&host, (host_home(&host, BOB) + 1) % 3);
}

static void
publish(const char *body)
{
    host_publish(&host, NULL, NULL, etag[0] ? etag : NULL, body, etag);
}

/* --- mails ----------------------------------------------------------------------------------- */

/* A 200 to PUBLISH promises that a fetch sees the new state, wherever it is asked. */
static void
a_fetch_after_the_200_sees_the_new_state_on_every_shard(void **state)
{
    (void)state;
    publish("one");
    for (unsigned i = 0; i < 3; i++) {
        char call_id[8];
        (void)snprintf(call_id, sizeof(call_id), "f%u", i);
        host_request(&host, &(struct host_request){
                                .expires = 0, .call_id = call_id, .port = host_port_of(&host, i) });
        host_take_status(&host, 200);
        assert_true(hd_slice_eq(host_take_notify(&host)->msg.body, HD_LIT("one")));
    }
}

/* The mirror goes while the mail with its snapshot is under way, and comes again. */
static void
a_mirror_that_leaves_and_joins_while_mails_are_under_way_ends_with_the_newest(void **state)
{
    const unsigned home = host_home(&host, BOB), far = (home + 1) % 3;
    struct evt_shard *shard = host_shard(&host, far), *owner = host_shard(&host, home);
    const struct evt_package *package = evt_config_package(host.config, HD_LIT("x-state"));

    (void)state;
    publish("one");
    struct evt_mirror *mirror = evt_mirror_join(shard, HD_LIT(BOB), package, HD_LIT(""));
    evt_shard_drain(owner, host.now_ms * 1000); /* the snapshot is under way */
    evt_mirror_leave(shard, mirror->index);
    mirror = evt_mirror_join(shard, HD_LIT(BOB), package, HD_LIT(""));
    evt_shard_drain(shard, host.now_ms * 1000); /* the old mail arrives at the new mirror */
    assert_true(hd_slice_eq(mirror->snapshot->doc->body, HD_LIT("one")));
    char text[2000], headers[80];
    const struct hd_flow flow = host_flow(host_port_of(&host, home));
    (void)snprintf(headers, sizeof(headers), "SIP-If-Match: %s\r\n", etag);
    const struct host_request request = {
        .method = "PUBLISH", .body = "two", .expires = 600, .call_id = "second", .headers = headers
    };
    host_receive(&host, &flow, hd_slice(text, host_write(&request, text, sizeof(text))));
    host_store_release(&host, 10, HD_OK);
    evt_shard_drain(owner, host.now_ms * 1000);
    evt_shard_drain(shard, host.now_ms * 1000);
    assert_true(hd_slice_eq(mirror->snapshot->doc->body, HD_LIT("two")));
    evt_mirror_leave(shard, mirror->index);
    evt_shard_drain(owner, host.now_ms * 1000);
    assert_int_equal(evt_resource_find(owner, HD_LIT(BOB), HD_LIT("x-state"))->interested, 0);
}

static void
a_home_that_forgot_numbers_on(void **state)
{
    const unsigned home = host_home(&host, BOB);

    (void)state;
    host_request(&host, &(struct host_request){ .expires = 0, .port = far_port() });
    host_take_status(&host, 200);
    host_answer(&host, host_take_notify(&host), 200, NULL);
    assert_int_equal(host_shard(&host, home)->resources.count, 0);
    const uint64_t number = host_shard(&host, home)->last_number;
    host_subscribe(&host,
                   &(struct host_request){ .expires = 600, .port = far_port(), .call_id = "again" },
                   tag);
    assert_true(host_shard(&host, home)->last_number > number);
}

/* Shards take a new configuration one after another. */
static void
a_home_that_learns_of_a_package_later_than_the_mirror_catches_up(void **state)
{
    const unsigned home = host_home(&host, BOB), far = (home + 1) % 3;
    struct evt_config *without = host_config_copy(&host), *with;
    const uint64_t now_us = host.now_ms * 1000;

    (void)state;
    with = host_config_copy(&host);
    without->packages = with->packages + 1;
    without->n_packages = with->n_packages - 1;
    host_configure(&host, without, hd_slice(NULL, 0));
    evt_shard_configure(host_shard(&host, far), with, hd_slice(NULL, 0), now_us);
    host_request(&host, &(struct host_request){ .expires = 600, .port = far_port() });
    host_take_status(&host, 200);
    host_answer(&host, host_take_notify(&host), 200, NULL);
    host_configure(&host, with, hd_slice(NULL, 0));
    host_settle(&host);
    host_answer(&host, host_take_notify(&host), 200, NULL);
    publish("one");
    assert_true(hd_slice_eq(host_take_notify(&host)->msg.body, HD_LIT("one")));
}

/* --- a stop and a start ---------------------------------------------------------------------- */

static void
stop_and_start(bool clean, uint64_t down_ms, unsigned shards)
{
    host_restart(&host, shards,
                 &(struct host_ending){ .clean = clean, .kept = UINT32_MAX, .down_ms = down_ms });
    host_settle(&host);
}

static void
after_a_clean_stop_nothing_is_repeated_and_the_dialog_goes_on(void **state)
{
    uint32_t cseq;

    (void)state;
    publish("one");
    host_subscribe(&host, &(struct host_request){ .expires = 600, .port = far_port() }, tag);
    publish("two");
    struct host_sent *sent = host_take_notify(&host);
    cseq = sent->msg.cseq.number;
    host_answer(&host, sent, 200, NULL);
    stop_and_start(true, 5000, 2);
    host_wait(&host, 20000);
    host_take_nothing(&host);
    publish("three");
    sent = host_take_notify(&host);
    assert_true(hd_slice_eq(sent->msg.body, HD_LIT("three")));
    assert_int_equal(sent->msg.cseq.number, cseq + 1);
    host_answer(&host, sent, 200, NULL);
    host_request(&host, &(struct host_request){ .to_tag = tag, .cseq = 2, .expires = 600 });
    host_take_status(&host, 200);
    host_answer(&host, host_take_notify(&host), 200, NULL);
    host_wait(&host, 600000);
    assert_true(host_has(host_take_notify(&host), "terminated;reason=timeout"));
}

static void
what_changed_and_was_not_acknowledged_is_sent_after_a_crash(void **state)
{
    uint32_t cseq;

    (void)state;
    publish("one");
    host_subscribe(&host, &(struct host_request){ .expires = 600, .port = far_port() }, tag);
    host_wait(&host, 2000);
    publish("two");
    cseq = host_take_notify(&host)->msg.cseq.number;
    host_wait(&host, 400);
    stop_and_start(false, 1000, 3);
    host_wait(&host, 1);
    struct host_sent *sent = host_take_notify(&host);
    assert_true(hd_slice_eq(sent->msg.body, HD_LIT("two")));
    assert_true(sent->msg.cseq.number > cseq);
}

static void
a_stop_takes_nothing_from_the_store(void **state)
{
    (void)state;
    publish("one");
    host_subscribe(&host, &(struct host_request){ .expires = 600, .port = far_port() }, tag);
    host_wait(&host, 5000);
    for (unsigned i = 0; i < host.n; i++)
        assert_int_equal(evt_shard_settle(host_shard(&host, i), host.now_ms * 1000), HD_OK);
    const unsigned puts = host.n_puts;
    for (unsigned i = 0; i < host.n; i++) {
        evt_shard_free(host.seats[i].shard);
        host.seats[i].shard = NULL;
    }
    assert_int_equal(host.n_puts, puts);
}

static void
who_expired_meanwhile_hears_it(void **state)
{
    (void)state;
    host_subscribe(&host, &(struct host_request){ .expires = 60, .port = far_port() }, tag);
    stop_and_start(true, 120000, 3);
    host_wait(&host, 10000);
    assert_true(host_has(host_take_notify(&host), "terminated;reason=timeout"));
}

/* By a record that was put later. */
static bool
is_removed(const struct host_put *put)
{
    const struct host_put *newest = host.kept;

    while (newest->kind != put->kind || newest->id != put->id)
        newest = newest->next;
    return newest->record.n == 0;
}

static void
an_end_is_repeated_after_a_restart_and_then_forgotten(void **state)
{
    char headers[80];

    (void)state;
    publish("one");
    (void)snprintf(headers, sizeof(headers), "SIP-If-Match: %s\r\n", etag);
    const struct host_request removal = { .method = "PUBLISH", .expires = 0, .headers = headers };
    host_request(&host, &removal);
    host_take_status(&host, 200);
    host_subscribe(&host, &(struct host_request){ .expires = 600 }, tag);
    const struct host_request end = { .to_tag = tag, .cseq = 2, .expires = 0 };
    host_request(&host, &end);
    host_take_status(&host, 200);
    host_answer(&host, host_take_notify(&host), 200, NULL);
    stop_and_start(false, 1000, 3);
    host_request(&host, &removal);
    host_take_status(&host, 200);
    host_request(&host, &end);
    host_take_status(&host, 200);
    host_wait(&host, 40000);
    host_take_nothing(&host);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(host_shard(&host, i)->pubs.count, 0);
        assert_int_equal(host_shard(&host, i)->subs.count, 0);
    }
    for (const struct host_put *put = host.kept; put; put = put->next)
        assert_true(put->kind == EVT_RECORD_SEEN || is_removed(put));
}

static void
records_that_cannot_be_read_are_refused_and_leave_nothing(void **state)
{
    struct host_put *kept;

    (void)state;
    publish("one");
    host_subscribe(&host, &(struct host_request){ .expires = 600, .port = far_port() }, tag);
    host_request(&host, &(struct host_request){ .method = "REGISTER",
                                                .uri = "sip:example.test",
                                                .to_uri = BOB,
                                                .expires = 600 });
    host_wait(&host, 2000);
    kept = host.kept;
    host.kept = NULL;
    host_done(&host);
    host_init(&host, 3);
    for (const struct host_put *put = kept; put; put = put->next) {
        struct evt_shard *shard = host_shard(&host, hd_bucket_shard(put->bucket, host.n));
        for (size_t cut = 0; cut < put->record.n; cut++) {
            char *exact = malloc(cut + 1);
            memcpy(exact, put->record.p, cut);
            assert_int_not_equal(evt_shard_restore(shard, put->kind, put->id, hd_slice(exact, cut),
                                                   0, host.now_ms * 1000),
                                 HD_OK);
            free(exact);
        }
    }
    host_free_puts(&kept);
    host_settle(&host);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(host_shard(&host, i)->subs.count, 0);
        assert_int_equal(host_shard(&host, i)->pubs.count, 0);
    }
}

/* A connection is kept open for whom it carries, and for nobody else. */
static void
a_connection_is_in_use_while_it_carries_a_subscription(void **state)
{
    const uint64_t conn = hd_conn_make(1, 3, 7), other = hd_conn_make(1, 4, 7);
    struct evt_shard *shard = host_shard(&host, 1);
    struct host_request request = { .expires = 600, .transport = HD_TCP, .conn = conn };

    (void)state;
    assert_false(evt_shard_conn_in_use(shard, conn));
    host_subscribe(&host, &request, tag);
    assert_true(evt_shard_conn_in_use(shard, conn));
    assert_false(evt_shard_conn_in_use(shard, other));
    request.to_tag = tag;
    request.cseq = 2;
    request.expires = 0;
    host_request(&host, &request);
    host_take_status(&host, 200);
    host_answer(&host, host_take_notify(&host), 200, NULL);
    assert_false(evt_shard_conn_in_use(shard, conn));
}

int
main(void)
{
#define TEST(name) HOST_TEST_WITH(name, 3, setup)
    const struct CMUnitTest tests[] = {
        TEST(a_fetch_after_the_200_sees_the_new_state_on_every_shard),
        TEST(a_mirror_that_leaves_and_joins_while_mails_are_under_way_ends_with_the_newest),
        TEST(a_home_that_forgot_numbers_on),
        TEST(a_home_that_learns_of_a_package_later_than_the_mirror_catches_up),
        TEST(after_a_clean_stop_nothing_is_repeated_and_the_dialog_goes_on),
        TEST(what_changed_and_was_not_acknowledged_is_sent_after_a_crash),
        TEST(a_stop_takes_nothing_from_the_store),
        TEST(who_expired_meanwhile_hears_it),
        TEST(an_end_is_repeated_after_a_restart_and_then_forgotten),
        TEST(records_that_cannot_be_read_are_refused_and_leave_nothing),
        TEST(a_connection_is_in_use_while_it_carries_a_subscription),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
