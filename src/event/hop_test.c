/* hop_test.c - windows of next hops: how many may be in flight, and that whoever waits is let go.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "event/test_setup.h"

#define PROXY 7100 /* the one source of all, as behind an edge proxy */

static void
window(uint32_t start, uint32_t from)
{
    struct evt_config *config = host_config_copy(&host);

    config->limits.window_start = start;
    config->limits.window_from = from;
    host_configure(&host, config, hd_slice(NULL, 0));
    host_settle(&host);
}

static void
subscribe(unsigned i, const char *event, char ret_tag[HD_ID_TEXT + 1])
{
    char call_id[32];

    (void)snprintf(call_id, sizeof(call_id), "hop-%u", i);
    host_subscribe(&host,
                   &(struct host_request){
                       .call_id = call_id, .event = event, .expires = 3600, .port = PROXY },
                   ret_tag);
}

static void
subscribe_many(unsigned n)
{
    char tag[HD_ID_TEXT + 1];

    for (unsigned i = 0; i < n; i++)
        subscribe(i, "x-state", tag);
}

static struct evt_hop *
the_hop(void)
{
    struct evt_shard *shard = host_shard(&host, 0);
    uint32_t i = hd_table_next(&shard->hops, 0);

    assert_int_not_equal(i, HD_TABLE_NONE);
    return evt_hop_at(shard, i);
}

static void
publish(const char *body)
{
    host_publish(&host, NULL, "x-state", NULL, body, NULL);
}

static unsigned
answer_all(void)
{
    unsigned n = 0;

    for (; host.sent; n++)
        host_answer(&host, host_take_notify(&host), 200, NULL);
    return n;
}

static void
few_subscriptions_have_no_window(void **state)
{
    (void)state;
    subscribe_many(4);
    window(2, 4);
    publish("one");
    assert_int_equal(host_count(&host), 4);
}

static void
many_share_a_window_that_answers_move_on(void **state)
{
    (void)state;
    subscribe_many(10);
    window(2, 4);
    the_hop()->window = 2;
    publish("one");
    assert_int_equal(host_count(&host), 2);
    assert_int_equal(HOST_COUNT(&host, 0, held_by_window), 8);
    host_answer(&host, host_take_notify(&host), 200, NULL);
    assert_int_equal(the_hop()->window, 3);
    assert_int_equal(the_hop()->in_flight, 3);
    assert_int_equal(answer_all(), 9);
}

static void
a_window_is_halved_by_a_retransmission_which_frees_its_place(void **state)
{
    (void)state;
    subscribe_many(10);
    window(4, 4);
    the_hop()->window = 4;
    publish("one");
    assert_int_equal(host_count(&host), 4);
    host_drop(&host);
    host_wait(&host, 500);
    /* All four were sent again and hold no place; the window went 2, 1, 1, 1. */
    assert_int_equal(the_hop()->window, 1);
    assert_int_equal(host_count(&host), 5);
    assert_int_equal(the_hop()->in_flight, 1);
}

static void
an_owed_notify_passes_the_window(void **state)
{
    char tag[HD_ID_TEXT + 1];

    (void)state;
    subscribe_many(10);
    window(1, 4);
    the_hop()->window = 1;
    publish("one");
    host_drop(&host);
    subscribe(20, "x-state", tag); /* with a NOTIFY */
    assert_int_equal(HOST_COUNT(&host, 0, subscriptions), 11);
}

/* Whoever gets a place and does not use it passes it on. */
static void
a_place_of_one_that_moves_away_goes_to_the_next(void **state)
{
    char tag[HD_ID_TEXT + 1], text[2048];
    struct evt_shard *shard = host_shard(&host, 0);
    struct host_sent *sent;

    (void)state;
    subscribe(0, "x-state", tag);
    for (unsigned i = 1; i < 6; i++)
        subscribe(i, "x-state", text);
    window(1, 4);
    the_hop()->window = 1;
    publish("one");
    assert_int_equal(host_count(&host), 1);
    sent = host_take_notify(&host);
    /* The first that waits is let go, and ends before its turn comes. */
    host_answer_only(&host, sent, 500, NULL);
    assert_int_not_equal(shard->ready.head, EVT_NONE);
    evt_sub_terminate(shard, evt_sub_at(shard, shard->ready.head), EVT_REASON_SILENT, 0);
    host_settle(&host);
    assert_int_equal(host_count(&host), 1);
    assert_int_equal(answer_all(), 4);
}

static void
a_place_of_one_that_has_nothing_to_say_any_more_goes_to_the_next(void **state)
{
    struct evt_shard *shard = host_shard(&host, 0);

    (void)state;
    subscribe_many(6);
    window(1, 4);
    the_hop()->window = 1;
    publish("one");
    host_answer_only(&host, host_take_notify(&host), 500, NULL);
    struct evt_sub *sub = evt_sub_at(shard, shard->ready.head);
    sub->seen = evt_mirror_at(shard, sub->mirror)->snapshot->number;
    host_settle(&host);
    assert_int_equal(host_count(&host), 1);
    assert_int_equal(answer_all(), 4);
}

static void
those_who_wait_go_when_the_hop_has_few_subscriptions_again(void **state)
{
    struct evt_shard *shard = host_shard(&host, 0);

    (void)state;
    subscribe_many(6);
    window(1, 4);
    the_hop()->window = 1;
    publish("one");
    host_drop(&host);
    for (uint32_t i = 0, left = 2; left > 0; i++) {
        struct evt_sub *sub = evt_sub_at(shard, i);
        if (sub->flight)
            continue;
        evt_sub_terminate(shard, sub, EVT_REASON_SILENT, 0);
        left--;
    }
    host_settle(&host);
    assert_int_equal(host_count(&host), 3);
}

static void
those_who_wait_go_when_the_configuration_widens_the_window(void **state)
{
    (void)state;
    subscribe_many(6);
    window(1, 4);
    the_hop()->window = 1;
    publish("one");
    host_drop(&host);
    window(1, 100);
    assert_int_equal(host_count(&host), 5);
}

static void
an_address_that_is_not_proven_gets_one_transaction_at_a_time(void **state)
{
    char call_id[32];

    (void)state;
    host.unproven = true;
    for (unsigned i = 0; i < 3; i++) {
        (void)snprintf(call_id, sizeof(call_id), "u-%u", i);
        host_request(&host, &(struct host_request){ .call_id = call_id, .expires = 3600 });
    }
    unsigned notifies = 0;
    struct host_sent *sent, *first = NULL;
    for (sent = host.sent; sent; sent = sent->next) {
        notifies += sent->msg.request;
        first = !first && sent->msg.request ? sent : first;
    }
    assert_int_equal(notifies, 1);
    assert_int_equal(HOST_COUNT(&host, 0, held_unproven), 2);
    host_answer(&host, first, 200, NULL);
    assert_true(the_hop()->proven);
    notifies = 0;
    for (sent = host.sent; sent; sent = sent->next)
        notifies += sent->msg.request;
    assert_int_equal(notifies, 3);
}

static void
those_who_wait_for_an_address_that_never_answers_get_their_turn_when_the_first_gives_up(
    void **state)
{
    (void)state;
    host.unproven = true;
    host_request(&host, &(struct host_request){ .call_id = "a", .expires = 3600 });
    host_request(&host, &(struct host_request){ .call_id = "b", .expires = 3600 });
    host_wait(&host, 31000);
    assert_int_equal(HOST_COUNT(&host, 0, notifies), 1);
    host_wait(&host, 2000);
    assert_int_equal(HOST_COUNT(&host, 0, notifies), 2);
    host_wait(&host, 70000);
    assert_int_equal(host_shard(&host, 0)->hops.count, 0);
}

static void
an_unproven_address_without_digest_gets_at_most_three_times_what_it_sent(void **state)
{
    char body[4001];

    (void)state;
    memset(body, 'x', sizeof(body) - 1);
    body[sizeof(body) - 1] = '\0';
    publish(body);
    host.unproven = host.anonymous = true;
    host_request(&host, &(struct host_request){ .call_id = "a", .expires = 3600 });
    host_take_status(&host, 200);
    host_take_nothing(&host);
    assert_int_equal(HOST_COUNT(&host, 0, held_unproven), 1);
    host_wait(&host, 40000);
    host_take_nothing(&host);
    assert_int_equal(HOST_COUNT(&host, 0, subscriptions), 0);
}

/* The Contact says another place than the one that the SUBSCRIBE came from; the latter is the way
 * when a new Contact cannot be reached. */
static void
the_way_that_it_came_is_kept_beside_the_way_that_it_goes(void **state)
{
    char tag[HD_ID_TEXT + 1];
    const struct evt_shard *shard = host_shard(&host, 0);

    (void)state;
    host_request(
        &host, &(struct host_request){ .expires = 3600, .contact = "<sip:alice@192.0.2.77:5070>" });
    struct hd_slice to = host_value(host_take_status(&host, 200), SIP_HDR_TO);
    memcpy(tag, to.p + to.n - HD_ID_TEXT, HD_ID_TEXT);
    tag[HD_ID_TEXT] = '\0';
    const struct host_sent *notify = host_take_notify(&host);
    assert_int_equal(notify->flow.remote.port, 5070);
    assert_int_equal(shard->hops.count, 2);
    assert_int_equal(HOST_COUNT(&host, 0, hops), 1);
    host_answer(&host, notify, 200, "Contact: <sip:alice@somewhere.test>\r\n");
    publish("one");
    notify = host_take_notify(&host);
    assert_int_equal(notify->flow.remote.port, 5062);
    assert_int_equal(shard->hops.count, 1);
    assert_int_equal(HOST_COUNT(&host, 0, hops), 1);
    host_answer(&host, notify, 200, NULL);
    host_request(&host, &(struct host_request){ .to_tag = tag, .cseq = 2, .expires = 0 });
    host_take_status(&host, 200);
    host_answer(&host, host_take_notify(&host), 200, NULL);
    assert_int_equal(HOST_COUNT(&host, 0, hops), 0);
    assert_int_equal(shard->hops.count, 1);
    host_wait(&host, EVT_LINGER_MS + 1);
    assert_int_equal(shard->hops.count, 0);
}

int
main(void)
{
#define TEST(name) HOST_TEST(name, 1)
    const struct CMUnitTest tests[] = {
        TEST(few_subscriptions_have_no_window),
        TEST(many_share_a_window_that_answers_move_on),
        TEST(a_window_is_halved_by_a_retransmission_which_frees_its_place),
        TEST(an_owed_notify_passes_the_window),
        TEST(a_place_of_one_that_moves_away_goes_to_the_next),
        TEST(a_place_of_one_that_has_nothing_to_say_any_more_goes_to_the_next),
        TEST(those_who_wait_go_when_the_hop_has_few_subscriptions_again),
        TEST(those_who_wait_go_when_the_configuration_widens_the_window),
        TEST(an_address_that_is_not_proven_gets_one_transaction_at_a_time),
        TEST(
            those_who_wait_for_an_address_that_never_answers_get_their_turn_when_the_first_gives_up),
        TEST(the_way_that_it_came_is_kept_beside_the_way_that_it_goes),
        TEST(an_unproven_address_without_digest_gets_at_most_three_times_what_it_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
