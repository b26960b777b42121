/* notify_test.c - NOTIFY: one in flight, retransmissions, and what each answer means (RFC 6665
 * section 4.2.2, RFC 5057 section 5.1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "event/test_setup.h"

static char tag[HD_ID_TEXT + 1], etag[HD_ID_TEXT + 1];

static int
setup(void **state)
{
    (void)host_setup(state);
    etag[0] = '\0';
    return 0;
}

static void
publish(const char *event, const char *body)
{
    host_publish(&host, NULL, event, etag[0] ? etag : NULL, body, etag);
}

static void
subscribe(const char *event)
{
    etag[0] = '\0';
    host_subscribe(&host, &(struct host_request){ .event = event, .expires = 3600 }, tag);
}

static struct hd_flow
tcp_flow(uint64_t conn)
{
    struct hd_flow flow = host_flow(5062);

    flow.transport = HD_TCP;
    flow.listener = 1;
    flow.conn = conn;
    return flow;
}

static void
subscribe_tcp(uint64_t conn, const char *contact)
{
    etag[0] = '\0';
    host_subscribe(&host,
                   &(struct host_request){
                       .expires = 3600, .transport = HD_TCP, .conn = conn, .contact = contact },
                   tag);
}

static void
assert_body(const struct host_sent *sent, const char *body)
{
    assert_true(hd_slice_eq(sent->msg.body, hd_slice_str(body)));
}

/* --- answers --------------------------------------------------------------------------------- */

enum what { GOOD, ENDS, RETRIES, TIMES_OUT };

static const struct {
    unsigned status;
    enum what what;
} answers[] = {
    { 200, GOOD },    { 202, GOOD },    { 204, GOOD },    { 299, GOOD },    { 300, RETRIES },
    { 302, RETRIES }, { 400, RETRIES }, { 401, RETRIES }, { 402, RETRIES }, { 403, RETRIES },
    { 404, ENDS },    { 405, ENDS },    { 406, RETRIES }, { 407, RETRIES }, { 408, TIMES_OUT },
    { 410, ENDS },    { 413, RETRIES }, { 415, RETRIES }, { 416, ENDS },    { 420, RETRIES },
    { 423, RETRIES }, { 479, RETRIES }, { 480, ENDS },    { 481, ENDS },    { 482, ENDS },
    { 483, ENDS },    { 484, ENDS },    { 485, ENDS },    { 486, RETRIES }, { 487, RETRIES },
    { 488, RETRIES }, { 489, ENDS },    { 491, RETRIES }, { 500, RETRIES }, { 501, ENDS },
    { 502, ENDS },    { 503, RETRIES }, { 504, RETRIES }, { 505, RETRIES }, { 580, RETRIES },
    { 600, RETRIES }, { 603, RETRIES }, { 604, ENDS },    { 606, RETRIES }, { 699, RETRIES },
};

static void
each_answer_means_what_the_rfcs_say(void **state)
{
    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(answers); i++) {
        host_done(&host);
        host_init(&host, 1);
        subscribe("x-state");
        publish("x-state", "one");
        host_answer(&host, host_take_notify(&host), answers[i].status, NULL);
        const struct evt_sub *sub = host_sub(&host, 0);
        const bool over = answers[i].what == ENDS || answers[i].what == TIMES_OUT;
        if (over != (sub->state == EVT_SUB_TERMINATED) ||
            (answers[i].what == RETRIES) != (sub->again && sub->hold_until_ms > host.now_ms))
            print_error("status %u\n", answers[i].status);
        assert_int_equal(over, sub->state == EVT_SUB_TERMINATED);
        assert_int_equal(answers[i].what == RETRIES, sub->again);
        host_take_nothing(&host);
        if (answers[i].what != RETRIES)
            continue;
        host_wait(&host, 3999);
        host_take_nothing(&host);
        host_wait(&host, 1);
        assert_body(host_take_notify(&host), "one");
    }
}

static void
each_answer_to_the_last_notify_ends_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(answers); i++) {
        host_done(&host);
        host_init(&host, 1);
        subscribe("x-state");
        host_request(&host, &(struct host_request){ .to_tag = tag, .cseq = 2, .expires = 0 });
        host_take_status(&host, 200);
        host_answer(&host, host_take_notify(&host), answers[i].status, NULL);
        assert_true(host_sub(&host, 0)->lingering);
        host_wait(&host, 32000);
        host_take_nothing(&host);
        assert_int_equal(host_subs(&host), 0);
    }
}

static void
retry_after_and_a_time_that_doubles_hold_the_next_try(void **state)
{
    static const struct {
        const char *extra;
        uint64_t ms;
    } tries[] = {
        { NULL, 4000 },
        { NULL, 8000 },
        { "Retry-After: 30 (busy);duration=60\r\n", 30000 },
        { NULL, 32000 },
        { "Retry-After: 1\r\n", 64000 },
        { "Retry-After: nonsense\r\n", 128000 },
        { "Retry-After: 4294967295\r\n", 1200000 },
    };

    (void)state;
    subscribe("x-state");
    publish("x-state", "one");
    for (size_t i = 0; i < HD_ARRAY_LEN(tries) - 1; i++) {
        host_answer(&host, host_take_notify(&host), 503, tries[i].extra);
        host_wait(&host, tries[i].ms - 1);
        host_take_nothing(&host);
        host_wait(&host, 1);
        assert_int_equal(host_count(&host), 1);
    }
    /* A SUBSCRIBE forgets it. */
    host_answer(&host, host_take_notify(&host), 500, NULL);
    host_request(&host, &(struct host_request){ .to_tag = tag, .cseq = 2, .expires = 3600 });
    host_take_status(&host, 200);
    host_answer(&host, host_take_notify(&host), 500, NULL);
    host_wait(&host, 4000);
    assert_body(host_take_notify(&host), "one");
}

static void
an_answer_that_was_not_asked_for_changes_nothing(void **state)
{
    struct host_sent *sent;
    char copy[3000];
    size_t n;
    const struct hd_flow flow = host_flow(5062);

    (void)state;
    subscribe("x-state");
    publish("x-state", "one");
    sent = host_take_notify(&host);
    n = (size_t)snprintf(
        copy, sizeof(copy),
        "SIP/2.0 481 No\r\nVia: %.*s\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\n"
        "From: %.*s\r\nTo: %.*s\r\nCall-ID: c1\r\nCSeq: 1 NOTIFY\r\n"
        "Content-Length: 0\r\n\r\n",
        HD_FMT(host_value(sent, SIP_HDR_VIA)), HD_FMT(host_value(sent, SIP_HDR_FROM)),
        HD_FMT(host_value(sent, SIP_HDR_TO)));
    host_receive(&host, &flow, hd_slice(copy, n));
    host_settle(&host);
    assert_non_null(host_sub(&host, 0)->flight);
    assert_int_equal(HOST_COUNT(&host, 0, strays), 1);
    host_answer(&host, sent, 200, NULL);
    host_answer(&host, sent, 481, NULL); /* the same transaction again, which is over */
    assert_int_equal(host_sub(&host, 0)->state, EVT_SUB_ACTIVE);
}

static void
a_2xx_with_another_contact_moves_the_target(void **state)
{
    struct host_sent *sent;

    (void)state;
    subscribe("x-state");
    publish("x-state", "one");
    host_answer(&host, host_take_notify(&host), 200, "Contact: <sip:a@198.51.100.77:5099>\r\n");
    publish("x-state", "two");
    sent = host_take_notify(&host);
    assert_int_equal(sent->flow.remote.ip[3], 77);
    assert_int_equal(sent->flow.remote.port, 5099);
    assert_true(host_has(sent, "NOTIFY sip:a@198.51.100.77:5099 SIP/2.0\r\n"));
    assert_int_equal(HOST_COUNT(&host, 0, hops), 1);
    /* One that cannot be reached, or read, is not taken. */
    host_answer(&host, sent, 200, "Contact: <nonsense>\r\n");
    publish("x-state", "three");
    assert_int_equal(host_take_notify(&host)->flow.remote.port, 5099);
}

/* --- one in flight --------------------------------------------------------------------------- */

static void
what_changes_meanwhile_goes_with_the_answer_and_only_the_newest(void **state)
{
    struct host_sent *sent;

    (void)state;
    subscribe("x-state");
    publish("x-state", "one");
    publish("x-state", "two");
    publish("x-state", "three");
    assert_int_equal(host_count(&host), 1);
    sent = host_take_notify(&host);
    assert_body(sent, "one");
    host_answer(&host, sent, 200, NULL);
    sent = host_take_notify(&host);
    assert_body(sent, "three");
    host_answer(&host, sent, 200, NULL);
    host_take_nothing(&host);
}

static void
a_retransmission_is_the_same_to_the_octet(void **state)
{
    static const uint64_t at_ms[] = { 500,   1500,  3500,  7500,  11500,
                                      15500, 19500, 23500, 27500, 31500 };
    struct host_sent *sent;
    char first[3000];
    size_t n;

    (void)state;
    subscribe("x-state");
    publish("x-state", "one");
    sent = host_take_notify(&host);
    n = sent->text.n;
    memcpy(first, sent->text.p, n);
    const uint64_t began = host.now_ms;
    publish("x-state", "two");
    for (size_t i = 0; i < HD_ARRAY_LEN(at_ms); i++) {
        host_wait(&host, began + at_ms[i] - host.now_ms - 1);
        host_take_nothing(&host);
        host_wait(&host, 1);
        assert_true(hd_slice_eq(host_take_notify(&host)->text, hd_slice(first, n)));
    }
    host_wait(&host, 500);
    host_take_nothing(&host);
    assert_int_equal(HOST_COUNT(&host, 0, subscriptions_timed_out), 1);
    host_wait(&host, 32000);
    assert_int_equal(host_subs(&host), 0);
}

/* RFC 3261 8.1.1.5: a sequence that begins far below 2**31 has room for all that may come. */
static void
numbers_begin_low_and_grow_by_one(void **state)
{
    uint32_t first = 0;

    (void)state;
    subscribe("x-state");
    for (uint32_t i = 0; i < 3; i++) {
        publish("x-state", i & 1 ? "one" : "two");
        struct host_sent *sent = host_take_notify(&host);
        struct hd_slice value = host_value(sent, SIP_HDR_CSEQ);
        uint32_t number;
        assert_int_equal(hd_slice_to_u32(hd_slice_cut(&value, ' '), &number), HD_OK);
        if (i == 0)
            first = number;
        assert_in_range(first, 1, 10001);
        assert_int_equal(number, first + i);
        host_answer(&host, sent, 200, NULL);
    }
}

static void
a_provisional_answer_slows_the_retransmissions(void **state)
{
    struct host_sent *sent;

    (void)state;
    subscribe("x-state");
    publish("x-state", "one");
    sent = host_take_notify(&host);
    host_answer(&host, sent, 100, NULL);
    host_wait(&host, 500);
    assert_int_equal(host_count(&host), 1);
    host_drop(&host);
    host_wait(&host, 3999);
    host_take_nothing(&host);
    host_wait(&host, 1);
    assert_int_equal(host_count(&host), 1);
}

static void
a_refresh_does_not_wait_for_the_one_in_flight(void **state)
{
    char first[3000];
    struct host_sent *sent, old;

    (void)state;
    (void)first;
    subscribe("x-state");
    publish("x-state", "one");
    sent = host_take_notify(&host);
    old = *sent;
    (void)old;
    host_request(&host, &(struct host_request){ .to_tag = tag, .cseq = 2, .expires = 3600 });
    host_take_status(&host, 200);
    sent = host_take_notify(&host);
    assert_body(sent, "one");
    host_wait(&host, 499);
    host_take_nothing(&host); /* nothing more of the abandoned one */
    host_answer(&host, sent, 200, NULL);
    host_wait(&host, 60000);
    host_take_nothing(&host);
}

static void
parked_means_the_newest_state_from_time_to_time(void **state)
{
    struct evt_config *config = host_config_copy(&host);

    (void)state;
    config->on_timeout = EVT_TIMEOUT_PARK;
    host_configure(&host, config, hd_slice(NULL, 0));
    host_subscribe(&host, &(struct host_request){ .expires = 86400 }, tag);
    publish("x-state", "one");
    host_wait(&host, 32000);
    host_drop(&host);
    assert_int_equal(HOST_COUNT(&host, 0, parked), 1);
    publish("x-state", "two");
    host_wait(&host, 29999);
    host_take_nothing(&host);
    host_wait(&host, 1);
    assert_body(host_take_notify(&host), "two");
    host_wait(&host, 32000);
    host_drop(&host);
    host_wait(&host, 59999);
    host_take_nothing(&host);
    host_wait(&host, 1);
    host_answer(&host, host_take_notify(&host), 200, NULL);
    assert_int_equal(HOST_COUNT(&host, 0, parked), 0);
}

/* --- pace, and events that each matter ------------------------------------------------------- */

static void
a_pace_holds_changes_but_no_owed_notify(void **state)
{
    struct host_sent *sent;

    (void)state;
    subscribe("x-paced");
    publish("x-paced", "one");
    host_take_nothing(&host);
    publish("x-paced", "two");
    host_wait(&host, 4999);
    host_take_nothing(&host);
    host_wait(&host, 1);
    sent = host_take_notify(&host);
    assert_body(sent, "two");
    host_answer(&host, sent, 200, NULL);
    publish("x-paced", "three");
    host_request(&host, &(struct host_request){
                            .to_tag = tag, .cseq = 2, .expires = 600, .event = "x-paced" });
    host_take_status(&host, 200);
    sent = host_take_notify(&host);
    assert_body(sent, "three");
    host_answer(&host, sent, 200, NULL);
    host_wait(&host, 6000);
    host_take_nothing(&host);
}

static void
every_event_is_sent_in_order_and_what_does_not_fit_is_counted(void **state)
{
    static const char *const bodies[] = { "1", "2", "3", "4", "5" };
    struct host_sent *sent;

    (void)state;
    subscribe("x-every");
    for (size_t i = 0; i < 5; i++)
        publish("x-every", bodies[i]);
    for (size_t i = 0; i < 4; i++) { /* one in flight, three behind it */
        sent = host_take_notify(&host);
        assert_body(sent, bodies[i]);
        host_answer(&host, sent, 200, NULL);
    }
    host_take_nothing(&host);
    assert_int_equal(HOST_COUNT(&host, 0, events_dropped), 1);
}

static void
an_event_that_failed_comes_again_before_the_next(void **state)
{
    struct host_sent *sent;

    (void)state;
    subscribe("x-every");
    publish("x-every", "1");
    publish("x-every", "2");
    host_answer(&host, host_take_notify(&host), 500, NULL);
    host_wait(&host, 4000);
    sent = host_take_notify(&host);
    assert_body(sent, "1");
    /* Pre-empted by a refresh: it goes again at once. */
    host_request(&host, &(struct host_request){
                            .to_tag = tag, .cseq = 2, .expires = 600, .event = "x-every" });
    host_take_status(&host, 200);
    sent = host_take_notify(&host);
    assert_body(sent, "1");
    host_answer(&host, sent, 200, NULL);
    sent = host_take_notify(&host);
    assert_body(sent, "2");
    host_answer(&host, sent, 200, NULL);
    host_take_nothing(&host);
}

static void
an_event_is_no_news_again_when_the_configuration_changes(void **state)
{
    (void)state;
    subscribe("x-every");
    publish("x-every", "1");
    host_answer(&host, host_take_notify(&host), 200, NULL);
    host_configure(&host, host_config_copy(&host), hd_slice(NULL, 0));
    host_settle(&host);
    host_take_nothing(&host);
}

/* --- ways ------------------------------------------------------------------------------------ */

static void
a_large_one_tries_tcp_and_falls_back(void **state)
{
    struct host_sent *sent;
    char body[1400];

    (void)state;
    memset(body, 'x', sizeof(body) - 1);
    body[sizeof(body) - 1] = '\0';
    subscribe("x-state");
    publish("x-state", body);
    sent = host_take_notify(&host);
    assert_int_equal(sent->flow.transport, HD_TCP);
    assert_true(host_has(sent, "Via: SIP/2.0/TCP "));
    const struct hd_flow tried = sent->flow;
    host_wait(&host, 2999);
    host_take_nothing(&host);
    host_wait(&host, 1);
    sent = host_take_notify(&host);
    assert_int_equal(sent->flow.transport, HD_UDP);
    /* What the connection has to say comes late, and means nothing any more. */
    evt_shard_send_failed(host_shard(&host, 0), host_sub(&host, 0)->id, &tried, host.now_ms * 1000);
    host_settle(&host);
    assert_int_equal(HOST_COUNT(&host, 0, parked), 0);
    assert_non_null(host_sub(&host, 0)->flight);
    host_answer(&host, sent, 200, NULL);
    body[0] = 'y'; /* it is remembered */
    publish("x-state", body);
    assert_int_equal(host_take_notify(&host)->flow.transport, HD_UDP);
}

/* What is repeated is the same to the octet (RFC 3261 17.1.2.2), also when TCP may be tried again
 * by then. */
static void
what_left_as_a_datagram_is_repeated_as_one(void **state)
{
    const struct host_sent *sent;
    char body[1400], branch[64];

    (void)state;
    memset(body, 'x', sizeof(body) - 1);
    body[sizeof(body) - 1] = '\0';
    host_subscribe(&host, &(struct host_request){ .expires = 7200 }, tag);
    publish("x-state", body);
    host_wait(&host, 3000);
    (void)host_take_notify(&host); /* by TCP */
    host_answer(&host, host_take_notify(&host), 200, NULL);
    for (unsigned i = 0; i < 8; i++) { /* so long TCP is not tried */
        host_wait(&host, i < 7 ? 500000 : 97000);
        publish("x-state", NULL);
    }
    body[0] = 'y';
    publish("x-state", body);
    sent = host_take_notify(&host);
    assert_int_equal(sent->flow.transport, HD_UDP);
    (void)snprintf(branch, sizeof(branch), "%.*s", HD_FMT(sent->msg.via.branch));
    host_wait(&host, 8000);
    for (unsigned n = host_count(&host); n > 0; n--) {
        sent = host_take_notify(&host);
        assert_int_equal(sent->flow.transport, HD_UDP);
        assert_true(hd_slice_eq(sent->msg.via.branch, hd_slice_str(branch)));
    }
}

static void
a_refused_connection_falls_back_at_once(void **state)
{
    struct host_sent *sent;
    char body[1400];

    (void)state;
    memset(body, 'x', sizeof(body) - 1);
    body[sizeof(body) - 1] = '\0';
    subscribe("x-state");
    publish("x-state", body);
    sent = host_take_notify(&host);
    evt_shard_send_failed(host_shard(&host, 0), sent->owner, &sent->flow, host.now_ms * 1000);
    host_settle(&host);
    assert_int_equal(host_take_notify(&host)->flow.transport, HD_UDP);
}

static void
a_connection_that_is_gone_is_replaced_by_one_to_the_target(void **state)
{
    const uint64_t conn = hd_conn_make(0, 1, 1);
    struct host_sent *sent;

    (void)state;
    subscribe_tcp(conn, NULL);
    publish("x-state", "one");
    sent = host_take_notify(&host);
    assert_int_equal(sent->flow.conn, conn);
    evt_shard_send_failed(host_shard(&host, 0), sent->owner, &sent->flow, host.now_ms * 1000);
    const struct hd_flow old = sent->flow;
    host_settle(&host);
    sent = host_take_notify(&host);
    assert_int_equal(sent->flow.conn, 0);
    assert_int_equal(sent->flow.remote.port, 5062);
    /* The old connection fails once more: not the way that is used now. */
    evt_shard_send_failed(host_shard(&host, 0), sent->owner, &old, host.now_ms * 1000);
    assert_int_equal(HOST_COUNT(&host, 0, parked), 0);
    host_settle(&host);
    host_answer(&host, sent, 200, NULL);
    host_take_nothing(&host);
}

static void
without_another_way_it_is_parked_until_the_refresh(void **state)
{
    const uint64_t conn = hd_conn_make(0, 1, 1);
    struct host_sent *sent;

    (void)state;
    subscribe_tcp(conn, "<sip:alice@abc.invalid;transport=tcp>");
    publish("x-state", "one");
    sent = host_take_notify(&host);
    evt_shard_send_failed(host_shard(&host, 0), sent->owner, &sent->flow, host.now_ms * 1000);
    host_settle(&host);
    assert_int_equal(HOST_COUNT(&host, 0, parked), 1);
    host_take_nothing(&host);
    host_request(&host, &(struct host_request){ .to_tag = tag,
                                                .cseq = 2,
                                                .expires = 3600,
                                                .transport = HD_TCP,
                                                .conn = hd_conn_make(0, 1, 2) });
    host_take_status(&host, 200);
    sent = host_take_notify(&host);
    assert_int_equal(sent->flow.conn, hd_conn_make(0, 1, 2));
    assert_int_equal(HOST_COUNT(&host, 0, parked), 0);
}

static void
memory_that_is_short_for_a_moment_delays_a_notify_also_on_a_connection(void **state)
{
    const uint64_t conn = hd_conn_make(0, 1, 1);

    (void)state;
    subscribe_tcp(conn, NULL);
    struct evt_shard *shard = host_shard(&host, 0);
    struct evt_mirror *mirror = evt_mirror_at(shard, host_sub(&host, 0)->mirror);
    struct evt_snapshot *snapshot = evt_snapshot_new(mirror->snapshot->number + 1, NULL);
    host.made_up = true;
    host.reserve_fails = true;
    evt_mirror_snapshot(shard, mirror, snapshot);
    evt_snapshot_unref(snapshot);
    host_settle(&host);
    host.reserve_fails = false;
    host_take_nothing(&host);
    host_wait(&host, 1000);
    host_answer(&host, host_take_notify(&host), 200, NULL);
    host_wait(&host, 32000);
    host_take_nothing(&host);
    (void)tcp_flow;
}

static void
a_long_contact_of_our_own_has_room(void **state)
{
    static char contact[3000] = "sip:herald@";
    struct evt_listener listener[2];
    struct evt_config *config = host_config_copy(&host);

    (void)state;
    memset(contact + 11, 'h', sizeof(contact) - 12);
    memcpy(listener, config->listeners, sizeof(listener));
    listener[0].contact = hd_slice_str(contact);
    config->listeners = listener;
    host_configure(&host, config, hd_slice(NULL, 0));
    subscribe("x-state");
    /* Back to what lives as long as the host. */
    struct evt_config *plain = host_config_copy(&host);
    static struct evt_listener kept[2];
    memcpy(kept, listener, sizeof(kept));
    plain->listeners = kept;
    host_configure(&host, plain, hd_slice(NULL, 0));
}

/* --- several shards -------------------------------------------------------------------------- */

static void
an_answer_finds_its_shard_from_any_other(void **state)
{
    struct host_sent *sent;

    (void)state;
    host_done(&host);
    host_init(&host, 3);
    const uint16_t port = host_port_of(&host, 2);
    host_request(&host, &(struct host_request){ .expires = 3600, .port = port });
    host_take_status(&host, 200);
    sent = host_take_notify(&host);
    assert_int_equal(sent->shard, 2);
    sent->flow.remote.port = host_port_of(&host, 0); /* it comes from another port */
    host_answer(&host, sent, 200, NULL);
    assert_null(host_sub(&host, 2)->flight);
    assert_true(HOST_COUNT(&host, 0, forwarded) > 0);
}

static void
a_new_state_reaches_the_subscribers_of_all_shards(void **state)
{
    char call_id[8];
    unsigned shards = 0;

    (void)state;
    host_done(&host);
    host_init(&host, 3);
    for (unsigned i = 0; i < 3; i++) {
        (void)snprintf(call_id, sizeof(call_id), "x%u", i);
        host_subscribe(&host,
                       &(struct host_request){
                           .expires = 3600, .port = host_port_of(&host, i), .call_id = call_id },
                       tag);
    }
    etag[0] = '\0';
    publish("x-state", "one");
    while (host.sent) {
        struct host_sent *sent = host_take_notify(&host);
        shards |= 1u << sent->shard;
        host_answer(&host, sent, 200, NULL);
    }
    assert_int_equal(shards, 7);
}

int
main(void)
{
#define TEST(name) HOST_TEST_WITH(name, 1, setup)
    const struct CMUnitTest tests[] = {
        TEST(each_answer_means_what_the_rfcs_say),
        TEST(each_answer_to_the_last_notify_ends_it),
        TEST(retry_after_and_a_time_that_doubles_hold_the_next_try),
        TEST(an_answer_that_was_not_asked_for_changes_nothing),
        TEST(a_2xx_with_another_contact_moves_the_target),
        TEST(what_changes_meanwhile_goes_with_the_answer_and_only_the_newest),
        TEST(a_retransmission_is_the_same_to_the_octet),
        TEST(numbers_begin_low_and_grow_by_one),
        TEST(a_provisional_answer_slows_the_retransmissions),
        TEST(a_refresh_does_not_wait_for_the_one_in_flight),
        TEST(parked_means_the_newest_state_from_time_to_time),
        TEST(a_pace_holds_changes_but_no_owed_notify),
        TEST(every_event_is_sent_in_order_and_what_does_not_fit_is_counted),
        TEST(an_event_that_failed_comes_again_before_the_next),
        TEST(an_event_is_no_news_again_when_the_configuration_changes),
        TEST(a_large_one_tries_tcp_and_falls_back),
        TEST(what_left_as_a_datagram_is_repeated_as_one),
        TEST(a_refused_connection_falls_back_at_once),
        TEST(a_connection_that_is_gone_is_replaced_by_one_to_the_target),
        TEST(without_another_way_it_is_parked_until_the_refresh),
        TEST(memory_that_is_short_for_a_moment_delays_a_notify_also_on_a_connection),
        TEST(a_long_contact_of_our_own_has_room),
        TEST(an_answer_finds_its_shard_from_any_other),
        TEST(a_new_state_reaches_the_subscribers_of_all_shards),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
