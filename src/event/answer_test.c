/* answer_test.c - the ring of answers that left no record, and where answers go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "event/test_setup.h"

static void
at(uint64_t ms)
{
    evt_shard_tick(host_shard(&host, 0), ms * 1000);
}

static bool
finds(uint64_t txn, unsigned status)
{
    unsigned found = 0;

    return evt_ring_find(host_shard(&host, 0), txn, &found) && found == status;
}

static void
an_answer_is_known_for_64_t1(void **state)
{
    struct evt_shard *shard = host_shard(&host, 0);
    const uint64_t now = shard->now_ms;

    (void)state;
    evt_ring_put(shard, 77, 404);
    assert_true(finds(77, 404));
    at(now + 31999);
    assert_true(finds(77, 404));
    at(now + 32000);
    assert_false(finds(77, 404));
}

static void
the_newest_status_of_a_transaction_counts_and_dropping_forgets_it(void **state)
{
    struct evt_shard *shard = host_shard(&host, 0);

    (void)state;
    evt_ring_put(shard, 77, EVT_RING_WORKING);
    evt_ring_put(shard, 77, 503);
    assert_true(finds(77, 503));
    evt_ring_drop(shard, 77);
    assert_false(finds(77, 503));
    assert_false(finds(77, EVT_RING_WORKING));
}

static void
the_oldest_of_a_set_gives_its_place(void **state)
{
    struct evt_shard *shard = host_shard(&host, 0);
    const uint64_t now = shard->now_ms;

    (void)state;
    for (unsigned i = 0; i <= EVT_RING_WAYS; i++) {
        at(now + i);
        evt_ring_put(shard, 5 + (uint64_t)i * EVT_RING_SETS, 400 + i);
    }
    assert_false(finds(5, 400));
    for (unsigned i = 1; i <= EVT_RING_WAYS; i++)
        assert_true(finds(5 + (uint64_t)i * EVT_RING_SETS, 400 + i));
}

static void
what_is_over_does_not_come_to_life_when_the_clock_comes_round(void **state)
{
    struct evt_shard *shard = host_shard(&host, 0);
    const uint64_t now = shard->now_ms;

    (void)state;
    evt_ring_put(shard, 77, 404);
    at(now + (UINT64_C(1) << 31) + 40000);
    assert_false(finds(77, 404));
    for (unsigned i = 1; i <= EVT_RING_WAYS; i++) /* nor does it hold a place */
        evt_ring_put(shard, 77 + (uint64_t)i * EVT_RING_SETS, 400);
    for (unsigned i = 1; i <= EVT_RING_WAYS; i++)
        assert_true(finds(77 + (uint64_t)i * EVT_RING_SETS, 400));
}

static void
a_count_is_known_with_the_octets_that_took_it(void **state)
{
    struct evt_shard *shard = host_shard(&host, 0);

    (void)state;
    evt_ring_counted(shard, 9, HD_LIT("octets"));
    assert_true(evt_ring_is_counted(shard, 9, HD_LIT("octets")));
    assert_false(evt_ring_is_counted(shard, 9, HD_LIT("Octets")));
    assert_false(evt_ring_is_counted(shard, 10, HD_LIT("octets")));
    evt_ring_put(shard, 9, 503);
    assert_false(evt_ring_is_counted(shard, 9, HD_LIT("octets")));
}

/* RFC 3581: to the port that it came from when rport asks for it, else to that of sent-by. */
static void
an_answer_goes_back_the_way_of_its_request(void **state)
{
    static const char with[] = "OPTIONS sip:bob@example.test SIP/2.0\r\n"
                               "Via: SIP/2.0/UDP 10.0.0.1:7777;rport;branch=z9hG4bK1\r\n"
                               "From: <sip:a@b>;tag=1\r\nTo: <sip:bob@example.test>\r\n"
                               "Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
    static const char without[] = "OPTIONS sip:bob@example.test SIP/2.0\r\n"
                                  "v: SIP/2.0/UDP 10.0.0.1:7777;branch=z9hG4bK2\r\n"
                                  "f: <sip:a@b>;tag=1\r\nt: <sip:bob@example.test>\r\n"
                                  "i: 1\r\nCSeq: 1 OPTIONS\r\nl: 0\r\n\r\n";
    const struct hd_flow flow = host_flow(6001);

    (void)state;
    host_receive(&host, &flow, hd_slice_str(with));
    struct host_sent *sent = host_take_status(&host, 200);
    assert_int_equal(sent->flow.remote.port, 6001);
    assert_true(host_has(sent, "received=198.51.100.9;rport=6001"));
    host_receive(&host, &flow, hd_slice_str(without));
    sent = host_take_status(&host, 200);
    assert_int_equal(sent->flow.remote.port, 7777);
    assert_true(hd_addr_same_ip(&sent->flow.remote, &flow.remote));
    assert_int_equal(sent->msg.to_tag.n, 16);
}

/* A connection belongs to the shard that accepted it. */
static void
an_answer_over_a_connection_leaves_through_its_shard(void **state)
{
    const unsigned home = host_home(&host, "sip:bob@example.test");
    const uint64_t conn = hd_conn_make(1 - home, 1, 1);

    (void)state;
    host_request(
        &host,
        &(struct host_request){
            .method = "PUBLISH", .body = "x", .expires = 600, .transport = HD_TCP, .conn = conn });
    assert_int_equal(host_take_status(&host, 200)->shard, 1 - home);
}

int
main(void)
{
#define TEST(name) HOST_TEST(name, 2)
    const struct CMUnitTest tests[] = {
        TEST(an_answer_is_known_for_64_t1),
        TEST(the_newest_status_of_a_transaction_counts_and_dropping_forgets_it),
        TEST(the_oldest_of_a_set_gives_its_place),
        TEST(what_is_over_does_not_come_to_life_when_the_clock_comes_round),
        TEST(a_count_is_known_with_the_octets_that_took_it),
        TEST(an_answer_goes_back_the_way_of_its_request),
        TEST(an_answer_over_a_connection_leaves_through_its_shard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
