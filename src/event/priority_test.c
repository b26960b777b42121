/* priority_test.c - Resource-Priority (RFC 4412, RFC 7135): who may claim it, and that what has it
 * goes before all that waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "event/record.h"
#include "event/test_setup.h"

#define BUSY "sip:busy@example.test"
#define CALM "sip:calm@example.test"
#define MANY 3000u

static const struct hd_slice users[] = { { "sip:psap@example.test", 21 } };
static struct evt_priority priorities[] = { { .users = users, .n_users = 1 } };

/* One namespace, of which one user may use the values. */
static void
configure(void (*change)(struct evt_config *config))
{
    struct evt_config *config = host_config_copy(&host);

    priorities[0].values = sip_priority_namespace(HD_LIT("esnet"));
    config->priorities = priorities;
    config->n_priorities = 1;
    config->limits.subscriptions_per_watcher = 2 * MANY;
    if (change)
        change(config);
    host_configure(&host, config, hd_slice(NULL, 0));
    host_settle(&host);
}

static int
setup(void **state)
{
    (void)host_setup(state);
    configure(NULL);
    return 0;
}

static void
subscribe(unsigned i, const char *uri, const char *event, const char *from, const char *headers,
          uint16_t port)
{
    char call_id[32], tag[HD_ID_TEXT + 1];

    (void)snprintf(call_id, sizeof(call_id), "call-%u", i);
    host_subscribe(&host,
                   &(struct host_request){ .call_id = call_id,
                                           .uri = uri,
                                           .event = event,
                                           .from = from,
                                           .headers = headers,
                                           .expires = 3600,
                                           .port = port },
                   tag);
}

/* Each from an address of his own, so that no window holds them. */
static void
subscribe_many(unsigned n, const char *uri, const char *event)
{
    for (unsigned i = 0; i < n; i++)
        subscribe(i, uri, event, NULL, NULL, (uint16_t)(10000 + i));
}

/* Hands it in, and nothing else happens. */
static void
hand_in(const struct host_request *request)
{
    static char text[HOST_TEXT];
    const size_t n = host_write(request, text, sizeof(text));
    const struct hd_flow flow = host_flow(request->port ? request->port : 5062);

    host_receive(&host, &flow, hd_slice(text, n));
}

static void
publish(const char *uri, const char *event, const char *body, const char *from, const char *headers)
{
    static unsigned calls;
    char call_id[32];

    (void)snprintf(call_id, sizeof(call_id), "publish-%u", calls++);
    hand_in(&(struct host_request){ .method = "PUBLISH",
                                    .call_id = call_id,
                                    .uri = uri,
                                    .event = event,
                                    .from = from,
                                    .headers = headers,
                                    .expires = 3600,
                                    .body = body });
}

/* How many NOTIFYs were sent before the first one about a resource. */
static unsigned
place_of(const char *body)
{
    unsigned before = 0;

    for (struct host_sent *sent = host_take(&host); sent; sent = host_take(&host)) {
        if (!sent->msg.request)
            continue;
        if (hd_slice_eq(sent->msg.body, hd_slice_str(body)))
            return before;
        before++;
    }
    fail_msg("no NOTIFY with %s", body);
    return 0;
}

static struct hd_slice
priority_of(const struct host_sent *sent)
{
    return host_value(sent, SIP_HDR_RESOURCE_PRIORITY);
}

#define assert_priority(sent, text) assert_true(hd_slice_eq(priority_of(sent), hd_slice_str(text)))

/* --- who may -------------------------------------------------------------------------------- */

static const struct host_sent *
answer_to(const char *from, const char *headers)
{
    static unsigned calls;
    char call_id[32];

    (void)snprintf(call_id, sizeof(call_id), "ask-%u", calls++);
    host_drop(&host);
    host_request(&host, &(struct host_request){ .method = "PUBLISH",
                                                .call_id = call_id,
                                                .from = from,
                                                .headers = headers,
                                                .expires = 3600,
                                                .body = "state" });
    return host_take(&host);
}

static void
who_is_named_may_use_it_and_nobody_else(void **state)
{
    const struct host_sent *sent;

    (void)state;
    sent = answer_to("psap", "Resource-Priority: esnet.1\r\n");
    assert_int_equal(sent->msg.status, 200);
    sent = answer_to("alice", "Resource-Priority: esnet.1\r\n");
    assert_int_equal(sent->msg.status, 403);
    assert_int_equal(HOST_COUNT(&host, 0, priorities_refused), 1);
    host.anonymous = true; /* he says so, and that is all */
    sent = answer_to("psap", "Resource-Priority: esnet.1\r\n");
    assert_int_equal(sent->msg.status, 403);
}

static void
trust_in_hops(struct evt_config *config)
{
    static const struct hd_prefix all[] = { { .addr = { .family = 4 }, .bits = 0 } };
    static struct evt_listener listener;

    listener = config->listeners[0];
    listener.trusted = all;
    listener.n_trusted = 1;
    config->listeners = &listener;
    config->n_listeners = 1;
}

static void
a_trusted_hop_may_say_so_where_the_namespace_has_it(void **state)
{
    (void)state;
    configure(trust_in_hops);
    assert_int_equal(answer_to("alice", "Resource-Priority: esnet.1\r\n")->msg.status, 403);
    priorities[0].trusted = true;
    assert_int_equal(answer_to("alice", "Resource-Priority: esnet.1\r\n")->msg.status, 200);
    priorities[0].trusted = false;
}

static void
what_is_not_understood_is_as_if_it_were_not_there_unless_it_is_required(void **state)
{
    const struct host_sent *sent;

    (void)state;
    assert_int_equal(answer_to("alice", "Resource-Priority: foo.1, dsn.flash\r\n")->msg.status,
                     200);
    assert_int_equal(answer_to("alice", "Resource-Priority: esnet.9\r\n")->msg.status, 200);
    sent =
        answer_to("alice", "Resource-Priority: foo.1, dsn.flash\r\nRequire: resource-priority\r\n");
    assert_int_equal(sent->msg.status, 417);
    assert_true(host_has(sent, "Accept-Resource-Priority: esnet.0, esnet.1, esnet.2, esnet.3, "
                               "esnet.4\r\n"));
    sent = answer_to("psap", "Resource-Priority: foo.1, ESNET.2\r\nRequire: resource-priority\r\n");
    assert_int_equal(sent->msg.status, 200);
    assert_int_equal(answer_to("psap", "Require: resource-priority\r\n")->msg.status, 200);
}

static void
what_is_malformed_is_refused(void **state)
{
    (void)state;
    assert_int_equal(answer_to("psap", "Resource-Priority: esnet\r\n")->msg.status, 400);
    assert_int_equal(answer_to("psap", "Resource-Priority: esnet.1, esnet.2\r\n")->msg.status, 400);
    assert_int_equal(answer_to("psap", "Resource-Priority:\r\n")->msg.status, 400);
}

static void
forget_priorities(struct evt_config *config)
{
    config->n_priorities = 0;
}

static void
without_a_namespace_the_extension_is_not_supported(void **state)
{
    const struct host_sent *sent;

    (void)state;
    host_request(&host, &(struct host_request){ .method = "OPTIONS", .expires = -1 });
    sent = host_take_status(&host, 200);
    assert_true(host_has(sent, "Supported: path, outbound, gruu, resource-priority\r\n"
                               "Accept-Resource-Priority: esnet.0, esnet.1, esnet.2, esnet.3, "
                               "esnet.4\r\n"));
    configure(forget_priorities);
    sent = answer_to("alice", "Resource-Priority: esnet.1\r\nRequire: resource-priority\r\n");
    assert_int_equal(sent->msg.status, 420);
    assert_true(host_has(sent, "Unsupported: resource-priority\r\n"));
    assert_int_equal(answer_to("alice", "Resource-Priority: esnet.1\r\n")->msg.status, 200);
    host_drop(&host);
    host_request(&host,
                 &(struct host_request){ .method = "OPTIONS", .call_id = "o2", .expires = -1 });
    assert_true(host_has(host_take_status(&host, 200), "Supported: path, outbound, gruu\r\n"));
}

/* --- under load ----------------------------------------------------------------------------- */

static void
few_may_wait(struct evt_config *config)
{
    config->limits.waiting = 4;
    config->limits.priority_reserve = 2;
}

static void
a_shard_that_refuses_others_takes_it_up_to_the_reserve(void **state)
{
    (void)state;
    configure(few_may_wait);
    host.store = HOST_STORE_LATER;
    for (unsigned i = 0; i < 4; i++)
        publish(CALM, "x-state", "ordinary", "alice", NULL);
    publish(CALM, "x-state", "refused", "alice", NULL);
    assert_int_equal(host_take_status(&host, 503)->msg.status, 503);
    publish(CALM, "x-state", "one", "psap", "Resource-Priority: esnet.1\r\n");
    publish(CALM, "x-state", "two", "psap", "Resource-Priority: esnet.1\r\n");
    host_take_nothing(&host);
    assert_int_equal(HOST_COUNT(&host, 0, requests_from_reserve), 2);
    publish(CALM, "x-state", "three", "psap", "Resource-Priority: esnet.1\r\n");
    assert_int_equal(host_take_status(&host, 503)->msg.status, 503);
    host_store_release(&host, 6, HD_OK);
    host_settle(&host);
    for (unsigned i = 0; i < 6; i++)
        (void)host_take_status(&host, 200);
}

static void
what_is_published_without_it_goes_behind_thousands_that_wait(void **state)
{
    (void)state;
    subscribe_many(MANY, BUSY, "x-state");
    subscribe(MANY, CALM, "x-state", NULL, NULL, 9999);
    publish(BUSY, "x-state", "busy", "alice", NULL);
    publish(CALM, "x-state", "calm", "alice", NULL);
    host_settle(&host);
    assert_int_equal(place_of("calm"), MANY);
    assert_int_equal(HOST_COUNT(&host, 0, notifies_first), 0);
}

static void
what_is_published_with_it_goes_before_thousands_that_wait(void **state)
{
    const struct host_sent *sent;

    (void)state;
    subscribe_many(MANY, BUSY, "x-state");
    subscribe(MANY, CALM, "x-state", NULL, NULL, 9999);
    publish(BUSY, "x-state", "busy", "alice", NULL);
    publish(CALM, "x-state", "urgent", "psap", "Resource-Priority: esnet.1\r\n");
    host_settle(&host);
    sent = host_take_status(&host, 200);
    sent = host_take_status(&host, 200);
    sent = host_take_notify(&host);
    assert_true(hd_slice_eq(sent->msg.body, HD_LIT("urgent")));
    assert_priority(sent, "esnet.1");
    sent = host_take_notify(&host);
    assert_true(hd_slice_eq(sent->msg.body, HD_LIT("busy")));
    assert_int_equal(priority_of(sent).n, 0);
    assert_int_equal(HOST_COUNT(&host, 0, notifies_first), 1);
}

/* One turn of the shard: what its mailbox has, and as many sends as a turn may. */
static void
turn(void)
{
    struct evt_shard *shard = host_shard(&host, 0);

    evt_shard_drain(shard, host.now_ms * 1000);
    evt_shard_turn(shard, host.now_ms * 1000);
}

static void
it_overtakes_a_fan_out_that_is_under_way(void **state)
{
    struct evt_shard *shard = host_shard(&host, 0);
    unsigned before;

    (void)state;
    subscribe_many(1000, BUSY, "x-state");
    subscribe(1000, CALM, "x-state", NULL, NULL, 9999);
    publish(BUSY, "x-state", "busy", "alice", NULL);
    host.store = HOST_STORE_LATER;
    host_store_release(&host, 1, HD_OK);
    turn();
    turn();
    turn();
    assert_true(shard->walks.head != EVT_NONE);
    publish(CALM, "x-state", "urgent", "psap", "Resource-Priority: esnet.4\r\n");
    host_store_release(&host, 1, HD_OK);
    before = host_count(&host);
    host_settle(&host);
    assert_in_range(place_of("urgent"), 1, before);
}

static void
who_subscribed_with_it_is_told_first_of_many_and_of_what_others_are_not(void **state)
{
    const struct host_sent *sent;

    (void)state;
    subscribe_many(1000, BUSY, "x-state");
    subscribe(1000, BUSY, "x-state", "psap", "Resource-Priority: esnet.2\r\n", 9999);
    publish(BUSY, "x-state", "busy", "alice", NULL);
    host_settle(&host);
    (void)host_take_status(&host, 200);
    sent = host_take_notify(&host);
    assert_priority(sent, "esnet.2");
    assert_true(sent->flow.remote.port == 9999);
    assert_int_equal(priority_of(host_take_notify(&host)).n, 0);
}

static void
the_higher_of_two_is_said_and_the_last_subscribe_counts(void **state)
{
    char tag[HD_ID_TEXT + 1];
    const struct host_sent *sent;
    const struct host_request request = {
        .from = "psap", .uri = CALM, .expires = 3600, .headers = "Resource-Priority: esnet.2\r\n"
    };

    (void)state;
    host_subscribe(&host, &request, tag);
    publish(CALM, "x-state", "one", "psap", "Resource-Priority: esnet.1\r\n");
    host_settle(&host);
    (void)host_take_status(&host, 200);
    sent = host_take_notify(&host);
    assert_priority(sent, "esnet.2");
    host_answer(&host, sent, 200, NULL);
    publish(CALM, "x-state", "two", "psap", "Resource-Priority: esnet.3\r\n");
    host_settle(&host);
    (void)host_take_status(&host, 200);
    sent = host_take_notify(&host);
    assert_priority(sent, "esnet.3");
    host_answer(&host, sent, 200, NULL);
    assert_non_null(host_sub(&host, 0)->rare);
    /* Without it, and nothing is left of it but what was published. */
    host_request(&host,
                 &(struct host_request){
                     .from = "psap", .uri = CALM, .to_tag = tag, .cseq = 2, .expires = 3600 });
    (void)host_take_status(&host, 200);
    sent = host_take_notify(&host);
    assert_priority(sent, "esnet.3");
    host_answer(&host, sent, 200, NULL);
    assert_null(host_sub(&host, 0)->rare);
    assert_null(evt_mirror_at(host_shard(&host, 0), host_sub(&host, 0)->mirror)->firsts);
}

static void
an_ordinary_state_in_its_place_is_ordinary_again(void **state)
{
    char etag[HD_ID_TEXT + 1], match[64];
    const struct host_sent *sent;

    (void)state;
    subscribe(0, CALM, "x-state", NULL, NULL, 9999);
    publish(CALM, "x-state", "urgent", "psap", "Resource-Priority: esnet.1\r\n");
    host_settle(&host);
    sent = host_take_status(&host, 200);
    const struct hd_slice tag = host_value(sent, SIP_HDR_SIP_ETAG);
    memcpy(etag, tag.p, tag.n);
    etag[tag.n] = '\0';
    sent = host_take_notify(&host);
    assert_priority(sent, "esnet.1");
    host_answer(&host, sent, 200, NULL);
    (void)snprintf(match, sizeof(match), "SIP-If-Match: %s\r\n", etag);
    publish(CALM, "x-state", "calm", "psap", match);
    host_settle(&host);
    (void)host_take_status(&host, 200);
    sent = host_take_notify(&host);
    assert_true(hd_slice_eq(sent->msg.body, HD_LIT("calm")));
    assert_int_equal(priority_of(sent).n, 0);
}

static void
that_it_is_over_is_as_urgent(void **state)
{
    const struct host_sent *sent;

    (void)state;
    subscribe(0, CALM, "x-state", NULL, NULL, 9999);
    publish(CALM, "x-state", "urgent", "psap", "Resource-Priority: esnet.1\r\n");
    host_settle(&host);
    (void)host_take_status(&host, 200);
    host_answer(&host, host_take_notify(&host), 200, NULL);
    publish(CALM, "x-state", "all clear", "alice", NULL); /* the newest is shown, and is calm */
    host_settle(&host);
    (void)host_take_status(&host, 200);
    sent = host_take_notify(&host);
    assert_priority(sent, "esnet.1"); /* what is published with it is still a part of the state */
    host_answer(&host, sent, 200, NULL);
    host_wait(&host, 3600 * 1000);
    host_drop(&host);
}

static void
who_may_not_see_it_is_not_told_that_it_is_urgent(void **state)
{
    (void)state;
    host.rules[0] = (struct host_rule){ .user = "sip:eve@example.test", .decision = EVT_POLITE };
    host.n_rules = 1;
    publish(CALM, "x-state", "urgent", "psap", "Resource-Priority: esnet.1\r\n");
    host_settle(&host);
    (void)host_take_status(&host, 200);
    host_request(&host, &(struct host_request){ .from = "eve", .uri = CALM, .expires = 3600 });
    (void)host_take_status(&host, 200);
    assert_int_equal(priority_of(host_take_notify(&host)).n, 0);
}

/* --- what holds it -------------------------------------------------------------------------- */

static void
window_of_two(struct evt_config *config)
{
    config->limits.window_start = 2;
    config->limits.window_from = 4;
}

static void
in_a_full_window_it_is_the_next_to_go(void **state)
{
    unsigned i;
    const struct host_sent *sent;

    (void)state;
    configure(window_of_two);
    for (i = 0; i < 100; i++)
        subscribe(i, BUSY, "x-state", NULL, NULL, 7100);
    for (; i < 103; i++)
        subscribe(i, CALM, "x-state", NULL, NULL, 7100);
    evt_hop_at(host_shard(&host, 0), host_sub(&host, 0)->hop)->window = 2;
    publish(BUSY, "x-state", "busy", "alice", NULL);
    host_settle(&host);
    (void)host_take_status(&host, 200);
    assert_int_equal(host_count(&host), 2);
    publish(CALM, "x-state", "urgent", "psap", "Resource-Priority: esnet.1\r\n");
    host_settle(&host);
    for (i = 0; i < 2; i++) /* each answer lets two go: the window grows */
        host_answer_only(&host, host_take_notify(&host), 200, NULL);
    host_settle(&host);
    (void)host_take_status(&host, 200);
    for (i = 0; i < 3; i++) {
        sent = host_take_notify(&host);
        assert_true(hd_slice_eq(sent->msg.body, HD_LIT("urgent")));
    }
    assert_true(hd_slice_eq(host_take_notify(&host)->msg.body, HD_LIT("busy")));
}

/* A subscription that waits in the window for an ordinary state, which an urgent one replaces. */
static void
who_waits_in_a_window_moves_to_its_front(void **state)
{
    unsigned i;

    (void)state;
    configure(window_of_two);
    for (i = 0; i < 100; i++)
        subscribe(i, BUSY, "x-state", NULL, NULL, 7100);
    subscribe(i, CALM, "x-state", NULL, NULL, 7100);
    evt_hop_at(host_shard(&host, 0), host_sub(&host, 0)->hop)->window = 2;
    publish(BUSY, "x-state", "busy", "alice", NULL);
    publish(CALM, "x-state", "calm", "alice", NULL);
    host_settle(&host);
    publish(CALM, "x-state", "urgent", "psap", "Resource-Priority: esnet.1\r\n");
    host_settle(&host);
    (void)host_take_status(&host, 200);
    (void)host_take_status(&host, 200);
    const struct host_sent *one = host_take_notify(&host);
    host_answer(&host, one, 200, NULL);
    assert_in_range(place_of("urgent"), 0, 1);
}

static void
the_pace_of_the_package_does_not_hold_it(void **state)
{
    const struct host_sent *sent;

    (void)state;
    subscribe(0, CALM, "x-paced", NULL, NULL, 9999);
    publish(CALM, "x-paced", "one", "alice", NULL);
    host_settle(&host);
    (void)host_take_status(&host, 200);
    host_take_nothing(&host); /* the one that answered the SUBSCRIBE was just now */
    publish(CALM, "x-paced", "urgent", "psap", "Resource-Priority: esnet.1\r\n");
    host_settle(&host);
    (void)host_take_status(&host, 200);
    sent = host_take_notify(&host);
    assert_true(hd_slice_eq(sent->msg.body, HD_LIT("urgent")));
    host_answer(&host, sent, 200, NULL);
    host_wait(&host, 60000);
    host_take_nothing(&host);
}

static void
a_rate_that_the_subscriber_wished_for_does_and_so_does_a_back_off(void **state)
{
    (void)state;
    subscribe(0, CALM, "x-state;max-rate=0.1", NULL, NULL, 9999);
    publish(CALM, "x-state", "urgent", "psap", "Resource-Priority: esnet.1\r\n");
    host_settle(&host);
    (void)host_take_status(&host, 200);
    host_take_nothing(&host);
    host_wait(&host, 10000);
    host_answer(&host, host_take_notify(&host), 500, "Retry-After: 20\r\n");
    publish(CALM, "x-state", "more urgent", "psap", "Resource-Priority: esnet.1\r\n");
    host_settle(&host);
    (void)host_take_status(&host, 200);
    host_take_nothing(&host);
    host_wait(&host, 20000);
    assert_true(hd_slice_eq(host_take_notify(&host)->msg.body, HD_LIT("more urgent")));
}

/* --- events that each matter ---------------------------------------------------------------- */

static void
events_keep_their_order_and_each_says_its_own(void **state)
{
    const struct host_sent *sent;

    (void)state;
    subscribe(0, CALM, "x-every", NULL, NULL, 9999);
    publish(CALM, "x-every", "first", "alice", NULL);
    publish(CALM, "x-every", "second", "psap", "Resource-Priority: esnet.1\r\n");
    host_settle(&host);
    (void)host_take_status(&host, 200);
    (void)host_take_status(&host, 200);
    sent = host_take_notify(&host);
    assert_true(hd_slice_eq(sent->msg.body, HD_LIT("first")));
    assert_int_equal(priority_of(sent).n, 0);
    assert_int_equal(host_sub(&host, 0)->rare->queue->urgent, 1);
    host_answer(&host, sent, 200, NULL);
    sent = host_take_notify(&host);
    assert_true(hd_slice_eq(sent->msg.body, HD_LIT("second")));
    assert_priority(sent, "esnet.1");
    assert_int_equal(host_sub(&host, 0)->rare->queue->urgent, 0);
    host_answer(&host, sent, 500, NULL); /* it goes back to the queue */
    assert_int_equal(host_sub(&host, 0)->rare->queue->urgent, 1);
    host_drop(&host);
}

/* The queue of x-every has three places. */
static void
a_full_queue_drops_an_ordinary_event_for_an_urgent_one(void **state)
{
    static const char *const bodies[] = { "first", "second", "third" }, *const told[] = {
        "first", "urgent", "more urgent"
    };
    const struct host_sent *sent;

    (void)state;
    subscribe(0, CALM, "x-every", NULL, NULL, 9999);
    publish(CALM, "x-every", "in flight", "alice", NULL);
    host_settle(&host);
    for (size_t i = 0; i < HD_ARRAY_LEN(bodies); i++)
        publish(CALM, "x-every", bodies[i], "alice", NULL);
    publish(CALM, "x-every", "urgent", "psap", "Resource-Priority: esnet.1\r\n");
    publish(CALM, "x-every", "more urgent", "psap", "Resource-Priority: esnet.1\r\n");
    host_settle(&host);
    (void)host_take_status(&host, 200);
    sent = host_take_notify(&host);
    assert_true(hd_slice_eq(sent->msg.body, HD_LIT("in flight")));
    assert_int_equal(HOST_COUNT(&host, 0, events_dropped), 2);
    host_answer_only(&host, sent, 200, NULL);
    host_settle(&host);
    for (unsigned i = 0; i < 5; i++)
        (void)host_take_status(&host, 200);
    for (size_t i = 0; i < HD_ARRAY_LEN(told); i++) {
        sent = host_take_notify(&host);
        assert_true(hd_slice_eq(sent->msg.body, hd_slice_str(told[i])));
        host_answer(&host, sent, 200, NULL);
    }
    host_take_nothing(&host);
}

/* --- over a restart ------------------------------------------------------------------------- */

static void
both_outlive_a_crash(void **state)
{
    const struct host_sent *sent;

    (void)state;
    subscribe(0, CALM, "x-state", "psap", "Resource-Priority: esnet.2\r\n", 9000);
    publish(BUSY, "x-state", "urgent", "psap", "Resource-Priority: esnet.1\r\n");
    host_settle(&host);
    host_drop(&host);
    host_restart(&host, 1, &(struct host_ending){ .clean = false, .down_ms = 1000 });
    host_settle(&host);
    sent = host_take_notify(&host); /* after a crash: he may not have seen it */
    assert_priority(sent, "esnet.2");
    host_answer(&host, sent, 200, NULL);
    publish(CALM, "x-state", "news", "alice", NULL);
    host_settle(&host);
    (void)host_take_status(&host, 200);
    sent = host_take_notify(&host);
    assert_priority(sent, "esnet.2");
    host_answer(&host, sent, 200, NULL);
    host_request(&host, &(struct host_request){ .call_id = "new", .uri = BUSY, .expires = 3600 });
    (void)host_take_status(&host, 200);
    assert_priority(host_take_notify(&host), "esnet.1");
}

/* The last octet of a record that has one. */
static void
check_last_octet(enum evt_record_kind kind, uint8_t octet, enum hd_err wanted)
{
    const struct hd_slice record = host_record(&host, kind)->record;
    struct evt_stored_sub sub;
    struct evt_stored_pub pub;
    char copy[4096];

    assert_in_range(record.n, 1, sizeof(copy));
    memcpy(copy, record.p, record.n);
    copy[record.n - 1] = (char)octet;
    const struct hd_slice damaged = hd_slice(copy, record.n);
    if (kind == EVT_RECORD_SUBSCRIPTION)
        assert_int_equal(evt_stored_sub_read(damaged, &sub), wanted);
    else
        assert_int_equal(evt_stored_pub_read(damaged, &pub), wanted);
}

static void
a_record_with_a_value_that_there_is_not_is_refused(void **state)
{
    (void)state;
    subscribe(0, CALM, "x-state", "psap", "Resource-Priority: esnet.2\r\n", 9000);
    publish(BUSY, "x-state", "urgent", "psap", "Resource-Priority: esnet.1\r\n");
    host_settle(&host);
    host_drop(&host);
    for (unsigned kind = EVT_RECORD_SUBSCRIPTION; kind <= EVT_RECORD_PUBLICATION; kind++) {
        check_last_octet((enum evt_record_kind)kind, 0, HD_ESYNTAX);
        check_last_octet((enum evt_record_kind)kind, 1, HD_OK);
        check_last_octet((enum evt_record_kind)kind, SIP_PRIORITY_COUNT - 1, HD_OK);
        check_last_octet((enum evt_record_kind)kind, SIP_PRIORITY_COUNT, HD_ESYNTAX);
        check_last_octet((enum evt_record_kind)kind, 255, HD_ESYNTAX);
    }
}

/* --- the end -------------------------------------------------------------------------------- */

static void
those_that_end_leave_no_trace_among_the_first(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 9; i++)
        subscribe(i, CALM, "x-state", "psap", "Resource-Priority: esnet.0\r\n",
                  (uint16_t)(9000 + i));
    struct evt_mirror *mirror = evt_mirror_at(host_shard(&host, 0), host_sub(&host, 0)->mirror);
    assert_int_equal(mirror->firsts->n, 9);
    evt_sub_terminate(host_shard(&host, 0), host_sub(&host, 0), EVT_REASON_SILENT, 0);
    assert_int_equal(mirror->firsts->n, 8);
    publish(CALM, "x-state", "news", "alice", NULL);
    host_settle(&host);
    (void)host_take_status(&host, 200);
    for (unsigned i = 0; i < 8; i++)
        assert_priority(host_take_notify(&host), "esnet.0");
    host_take_nothing(&host);
}

int
main(void)
{
#define TEST(name) HOST_TEST_WITH(name, 1, setup)
    const struct CMUnitTest tests[] = {
        TEST(who_is_named_may_use_it_and_nobody_else),
        TEST(a_trusted_hop_may_say_so_where_the_namespace_has_it),
        TEST(what_is_not_understood_is_as_if_it_were_not_there_unless_it_is_required),
        TEST(what_is_malformed_is_refused),
        TEST(without_a_namespace_the_extension_is_not_supported),
        TEST(a_shard_that_refuses_others_takes_it_up_to_the_reserve),
        TEST(what_is_published_without_it_goes_behind_thousands_that_wait),
        TEST(what_is_published_with_it_goes_before_thousands_that_wait),
        TEST(it_overtakes_a_fan_out_that_is_under_way),
        TEST(who_subscribed_with_it_is_told_first_of_many_and_of_what_others_are_not),
        TEST(the_higher_of_two_is_said_and_the_last_subscribe_counts),
        TEST(an_ordinary_state_in_its_place_is_ordinary_again),
        TEST(that_it_is_over_is_as_urgent),
        TEST(who_may_not_see_it_is_not_told_that_it_is_urgent),
        TEST(in_a_full_window_it_is_the_next_to_go),
        TEST(who_waits_in_a_window_moves_to_its_front),
        TEST(the_pace_of_the_package_does_not_hold_it),
        TEST(a_rate_that_the_subscriber_wished_for_does_and_so_does_a_back_off),
        TEST(events_keep_their_order_and_each_says_its_own),
        TEST(a_full_queue_drops_an_ordinary_event_for_an_urgent_one),
        TEST(both_outlive_a_crash),
        TEST(a_record_with_a_value_that_there_is_not_is_refused),
        TEST(those_that_end_leave_no_trace_among_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
