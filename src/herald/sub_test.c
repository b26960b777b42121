/* sub_test.c - the subscriber against a notifier that the test plays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "herald/fake.h"
#include "herald/sub.h"

struct bench {
    struct fake fake;
    struct ua_sub *sub;
    unsigned notified, ended, reports;
    char body[128], state[64];
    enum ua_sub_end why;
    unsigned status;
    char reason[64];
    struct ua_sub_report report; /* the last one, without what is borrowed */
};

static void
take_notification(void *context, const struct ua_notification *notification)
{
    struct bench *b = context;
    b->notified++;
    snprintf(b->body, sizeof b->body, "%.*s", HD_FMT(notification->body));
    snprintf(b->state, sizeof b->state, "%.*s", HD_FMT(notification->state.state));
}

static void
take_report(void *context, const struct ua_sub_report *report)
{
    struct bench *b = context;
    b->reports++;
    b->report = *report;
}

static void
take_end(void *context, const struct ua_sub_ending *ending)
{
    struct bench *b = context;
    b->ended++;
    b->why = ending->why;
    b->status = ending->answer ? ending->answer->status : 0;
    snprintf(b->reason, sizeof b->reason, "%.*s", HD_FMT(ending->reason));
}

static void
bench_init(struct bench *b, uint32_t expires_s)
{
    memset(b, 0, sizeof *b);
    fake_init(&b->fake, HD_UDP, "bob", "secret");
    assert_int_equal(ua_sub_new(&(struct ua_sub_params){ .client = b->fake.client,
                                                         .uri = HD_LIT("sip:alice@example.test"),
                                                         .from = HD_LIT("sip:bob@example.test"),
                                                         .event = HD_LIT("presence"),
                                                         .accept = HD_LIT("application/pidf+xml"),
                                                         .expires_s = expires_s,
                                                         .context = b,
                                                         .notified = take_notification,
                                                         .reported = take_report,
                                                         .ended = take_end },
                                &b->sub),
                     HD_OK);
    ua_sub_start(b->sub);
}

static void
bench_done(struct bench *b)
{
    ua_sub_free(b->sub);
    fake_done(&b->fake);
}

/* A NOTIFY in the dialog of the last SUBSCRIBE; returns the status that it was answered with. */
static unsigned
notify(struct bench *b, uint32_t cseq, const char *state, const char *body)
{
    size_t i = b->fake.n_sent;
    do
        i--;
    while (!fake_sent(&b->fake, i)->request);
    b->fake.seen = b->fake.n_sent;
    fake_notify(&b->fake, &(struct fake_notify){ .subscribe = fake_sent(&b->fake, i),
                                                 .cseq = cseq,
                                                 .state = state,
                                                 .body = body });
    /* The answer, before or behind a SUBSCRIBE that the NOTIFY caused. */
    for (i = b->fake.seen; i < b->fake.n_sent; i++)
        if (!fake_sent(&b->fake, i)->request)
            return b->fake.msg.status;
    return 0;
}

/* The last message that the client sent, which must be a SUBSCRIBE. */
static const struct sip_msg *
last_subscribe(struct bench *b)
{
    size_t i = b->fake.n_sent;
    while (i > 0 && !fake_sent(&b->fake, i - 1)->request)
        i--;
    assert_true(i > 0);
    assert_int_equal(b->fake.msg.method, SIP_SUBSCRIBE);
    b->fake.seen = i;
    return &b->fake.msg;
}

static unsigned
subscribes(struct bench *b)
{
    unsigned n = 0;
    for (size_t i = 0; i < b->fake.n_sent; i++)
        n += fake_sent(&b->fake, i)->request && b->fake.sent[i].again == 0;
    return n;
}

/* Subscribed for 3600 s, the first notification has come. */
static void
bench_active(struct bench *b)
{
    bench_init(b, 3600);
    last_subscribe(b);
    fake_reply(&b->fake, 200, "Expires: 3600\r\nContact: <sip:herald@192.0.2.1>\r\n");
    assert_int_equal(notify(b, 1, "active;expires=3600", "first"), 200);
}

static void
a_subscription_is_asked_for_accepted_and_notified(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 3600);
    const struct sip_msg *msg = last_subscribe(&b);
    assert_true(hd_slice_eq(msg->uri, HD_LIT("sip:alice@example.test")));
    assert_string_equal(fake_value(msg, "Event"), "presence");
    assert_string_equal(fake_value(msg, "Expires"), "3600");
    assert_string_equal(fake_value(msg, "Accept"), "application/pidf+xml");
    assert_string_equal(fake_value(msg, "Contact"), "<sip:bob@192.0.2.9:5062>");
    assert_int_equal(msg->to_tag.n, 0);
    fake_reply(&b.fake, 200, "Expires: 1800\r\n");
    assert_int_equal(b.report.news, UA_SUB_ACCEPTED);
    assert_int_equal(b.report.expires_s, 1800);
    assert_int_equal(ua_sub_state(b.sub), UA_SUB_NOTIFY_WAIT);
    assert_int_equal(notify(&b, 1, "active;expires=1800", "hello"), 200);
    assert_int_equal(ua_sub_state(b.sub), UA_SUB_ACTIVE);
    assert_int_equal(b.notified, 1);
    assert_string_equal(b.body, "hello");
    bench_done(&b);
}

/* RFC 6665 4.4.1, RFC 3261 12.1.1 and 12.2.2: the first NOTIFY makes the dialog; its Record-Route
 * is the route for good, its Contact the target until another comes. */
static void
the_first_notify_makes_the_dialog_with_its_route(void **state)
{
    (void)state;
    static const char first[] = "Record-Route: <sip:192.0.2.60;lr;r2=on>, "
                                "<sip:192.0.2.61;lr>\r\n";
    static const char later[] = "Record-Route: <sip:192.0.2.66;lr>\r\n";
    struct bench b;
    bench_init(&b, 3600);
    const struct sip_msg *msg = last_subscribe(&b);
    fake_reply(&b.fake, 200,
               "Expires: 3600\r\nContact: <sip:other@192.0.2.99>\r\n"
               "Record-Route: <sip:192.0.2.67;lr>\r\n");
    fake_notify(&b.fake, &(struct fake_notify){ .subscribe = fake_sent(&b.fake, 0),
                                                .cseq = 1,
                                                .state = "active;expires=600",
                                                .headers = first });
    assert_int_equal(fake_next(&b.fake)->status, 200);
    fake_pass(&b.fake, 600000 - 40000);
    msg = last_subscribe(&b);
    assert_string_equal(fake_value(msg, "Route"), "<sip:192.0.2.60;lr;r2=on>,<sip:192.0.2.61;lr>");
    assert_true(hd_slice_eq(msg->uri, HD_LIT("sip:herald@192.0.2.1:5060")));
    assert_true(hd_slice_eq(msg->to_tag, HD_LIT("srv")));
    fake_reply(&b.fake, 200, "Expires: 600\r\nContact: <sip:moved@192.0.2.1>\r\n");
    fake_notify(&b.fake, &(struct fake_notify){ .subscribe = fake_sent(&b.fake, 0),
                                                .cseq = 2,
                                                .state = "active;expires=600",
                                                .headers = later });
    fake_pass(&b.fake, 600000 - 40000);
    msg = last_subscribe(&b); /* that NOTIFY came from where the first one did */
    assert_true(hd_slice_eq(msg->uri, HD_LIT("sip:herald@192.0.2.1:5060")));
    fake_reply(&b.fake, 200, "Expires: 600\r\nContact: <sip:moved@192.0.2.1>\r\n");
    ua_sub_leave(b.sub);
    msg = last_subscribe(&b);
    assert_string_equal(fake_value(msg, "Expires"), "0");
    assert_true(hd_slice_eq(msg->uri, HD_LIT("sip:moved@192.0.2.1")));
    assert_string_equal(fake_value(msg, "Route"), "<sip:192.0.2.60;lr;r2=on>,<sip:192.0.2.61;lr>");
    bench_done(&b);
}

static void
a_notify_before_the_2xx_is_taken(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 3600);
    assert_int_equal(notify(&b, 1, "active;expires=100", "early"), 200);
    assert_string_equal(b.body, "early");
    last_subscribe(&b);
    fake_reply(&b.fake, 200, "Expires: 3600\r\n");
    assert_int_equal(b.report.news, UA_SUB_ACCEPTED);
    /* What the NOTIFY said counts: the refresh comes before 100 s. */
    fake_pass(&b.fake, 100000 - 40000);
    assert_int_equal(subscribes(&b), 2);
    bench_done(&b);
}

static void
pending_becomes_active(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 3600);
    last_subscribe(&b);
    fake_reply(&b.fake, 200, "Expires: 3600\r\n");
    assert_int_equal(notify(&b, 1, "pending;expires=3600", ""), 200);
    assert_int_equal(ua_sub_state(b.sub), UA_SUB_PENDING);
    assert_int_equal(notify(&b, 2, "active;expires=3590", "now"), 200);
    assert_int_equal(ua_sub_state(b.sub), UA_SUB_ACTIVE);
    assert_int_equal(b.notified, 2);
    bench_done(&b);
}

static void
no_notify_within_timer_n_ends_it(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 3600);
    last_subscribe(&b);
    fake_reply(&b.fake, 200, "Expires: 3600\r\n");
    fake_pass(&b.fake, 31999);
    assert_int_equal(b.ended, 0);
    fake_pass(&b.fake, 1);
    assert_int_equal(b.ended, 1);
    assert_int_equal(b.why, UA_SUB_NO_NOTIFY);
    /* After Timer N a NOTIFY finds nothing (RFC 6665 4.1.2.4). */
    assert_int_equal(notify(&b, 1, "active;expires=3600", "late"), 481);
    bench_done(&b);
}

static void
no_answer_within_timer_f_ends_it(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 3600);
    fake_pass(&b.fake, 32000);
    assert_int_equal(b.ended, 1);
    assert_int_equal(b.why, UA_SUB_NO_ANSWER);
    bench_done(&b);
}

static void
a_refusal_ends_it_with_the_answer(void **state)
{
    (void)state;
    static const unsigned status[] = { 403, 404, 406, 415, 420, 480, 489, 500, 503, 603 };
    for (size_t i = 0; i < HD_ARRAY_LEN(status); i++) {
        struct bench b;
        bench_init(&b, 3600);
        last_subscribe(&b);
        fake_reply(&b.fake, status[i], NULL);
        assert_int_equal(b.ended, 1);
        assert_int_equal(b.why, UA_SUB_REFUSED);
        assert_int_equal(b.status, status[i]);
        bench_done(&b);
    }
}

static void
a_duration_that_is_too_brief_is_raised(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 10);
    last_subscribe(&b);
    fake_reply(&b.fake, 423, "Min-Expires: 60\r\n");
    assert_int_equal(b.report.news, UA_SUB_TOO_BRIEF);
    assert_string_equal(fake_value(last_subscribe(&b), "Expires"), "60");
    fake_reply(&b.fake, 423, "Min-Expires: 60\r\n"); /* does not help */
    assert_int_equal(b.why, UA_SUB_REFUSED);
    assert_int_equal(b.status, 423);
    bench_done(&b);
}

static void
it_is_refreshed_in_the_dialog_before_it_expires(void **state)
{
    (void)state;
    struct bench b;
    bench_active(&b);
    uint32_t cseq = last_subscribe(&b)->cseq.number;
    fake_pass(&b.fake, 3600000 - 40001);
    assert_int_equal(subscribes(&b), 1);
    fake_pass(&b.fake, 1);
    const struct sip_msg *msg = last_subscribe(&b);
    assert_int_equal(subscribes(&b), 2);
    assert_int_equal(msg->cseq.number, cseq + 1);
    assert_true(hd_slice_eq(msg->to_tag, HD_LIT("srv")));
    assert_true(hd_slice_eq(msg->uri, HD_LIT("sip:herald@192.0.2.1:5060")));
    fake_reply(&b.fake, 200, "Expires: 3600\r\n");
    assert_int_equal(b.report.news, UA_SUB_REFRESHED);
    assert_int_equal(notify(&b, 2, "active;expires=3600", "again"), 200);
    fake_pass(&b.fake, 3600000 - 40000);
    assert_int_equal(subscribes(&b), 3);
    bench_done(&b);
}

static void
a_shorter_expires_in_a_notify_is_followed(void **state)
{
    (void)state;
    struct bench b;
    bench_active(&b);
    assert_int_equal(notify(&b, 2, "active;expires=20", "short"), 200);
    fake_pass(&b.fake, 9999);
    assert_int_equal(subscribes(&b), 1);
    fake_pass(&b.fake, 1);
    assert_int_equal(subscribes(&b), 2);
    bench_done(&b);
}

static void
a_refresh_without_notify_means_a_new_subscription(void **state)
{
    (void)state;
    struct bench b;
    char call_id[64];
    bench_active(&b);
    snprintf(call_id, sizeof call_id, "%.*s", HD_FMT(last_subscribe(&b)->call_id));
    fake_pass(&b.fake, 3600000 - 40000);
    last_subscribe(&b);
    fake_reply(&b.fake, 200, "Expires: 3600\r\n");
    fake_pass(&b.fake, 32001);
    const struct sip_msg *msg = last_subscribe(&b);
    assert_int_equal(subscribes(&b), 3);
    assert_false(hd_slice_eq(msg->call_id, hd_slice_str(call_id)));
    assert_int_equal(msg->to_tag.n, 0);
    bench_done(&b);
}

static void
a_204_to_a_refresh_stops_timer_n(void **state)
{
    (void)state;
    struct bench b;
    bench_active(&b);
    fake_pass(&b.fake, 3600000 - 40000);
    last_subscribe(&b);
    fake_reply(&b.fake, 204, "Expires: 3600\r\n");
    fake_pass(&b.fake, 60000);
    assert_int_equal(subscribes(&b), 2);
    assert_int_equal(ua_sub_state(b.sub), UA_SUB_ACTIVE);
    bench_done(&b);
}

/* A NOTIFY with an entity-tag. */
static void
notify_tagged(struct bench *b, uint32_t cseq, const char *headers, const char *body)
{
    size_t i = b->fake.n_sent;
    do
        i--;
    while (!fake_sent(&b->fake, i)->request);
    fake_notify(&b->fake, &(struct fake_notify){ .subscribe = fake_sent(&b->fake, i),
                                                 .cseq = cseq,
                                                 .state = "active;expires=3600",
                                                 .headers = headers,
                                                 .body = body });
}

static void
what_it_has_is_not_asked_for_again(void **state)
{
    (void)state;
    struct bench b;
    bench_active(&b);
    notify_tagged(&b, 2, "SIP-ETag: aba91\r\n", "second");
    fake_pass(&b.fake, 3600000 - 40000);
    assert_string_equal(fake_value(last_subscribe(&b), "Suppress-If-Match"), "aba91");
    fake_reply(&b.fake, 204, "Expires: 3600\r\n");
    notify_tagged(&b, 3, NULL, "from a server that has none");
    fake_pass(&b.fake, 3600000 - 40000);
    assert_int_equal(subscribes(&b), 3);
    assert_null(fake_value(last_subscribe(&b), "Suppress-If-Match"));
    bench_done(&b);
}

static void
a_204_to_the_end_ends_it(void **state)
{
    (void)state;
    struct bench b;
    bench_active(&b);
    notify_tagged(&b, 2, "SIP-ETag: ega23\r\n", "second");
    ua_sub_leave(b.sub);
    const struct sip_msg *msg = last_subscribe(&b);
    assert_string_equal(fake_value(msg, "Expires"), "0");
    assert_null(fake_value(msg, "Suppress-If-Match"));
    assert_int_equal(b.ended, 0);
    fake_reply(&b.fake, 204, NULL);
    assert_int_equal(b.ended, 1);
    assert_int_equal(b.why, UA_SUB_DONE);
    bench_done(&b);
}

static void
a_481_to_a_refresh_means_a_new_subscription_at_once(void **state)
{
    (void)state;
    struct bench b;
    bench_active(&b);
    fake_pass(&b.fake, 3600000 - 40000);
    last_subscribe(&b);
    fake_reply(&b.fake, 481, NULL);
    fake_pass(&b.fake, 1);
    assert_int_equal(subscribes(&b), 3);
    assert_int_equal(last_subscribe(&b)->to_tag.n, 0);
    bench_done(&b);
}

static void
codes_that_end_a_subscription_end_it_at_a_refresh(void **state)
{
    (void)state;
    static const unsigned status[] = { 404, 405, 410, 416, 480, 482, 483, 484, 485, 489, 501, 604 };
    for (size_t i = 0; i < HD_ARRAY_LEN(status); i++) {
        struct bench b;
        bench_active(&b);
        fake_pass(&b.fake, 3600000 - 40000);
        last_subscribe(&b);
        fake_reply(&b.fake, status[i], NULL);
        assert_int_equal(b.ended, 1);
        assert_int_equal(b.status, status[i]);
        bench_done(&b);
    }
}

static void
other_codes_leave_it_and_it_is_refreshed_again(void **state)
{
    (void)state;
    struct bench b;
    bench_active(&b);
    fake_pass(&b.fake, 3600000 - 40000);
    last_subscribe(&b);
    fake_reply(&b.fake, 500, "Retry-After: 7\r\n");
    assert_int_equal(b.report.news, UA_SUB_REFRESH_FAILED);
    assert_int_equal(b.report.wait_s, 7);
    assert_int_equal(ua_sub_state(b.sub), UA_SUB_ACTIVE);
    assert_int_equal(notify(&b, 2, "active;expires=3600", "still"), 200);
    /* That NOTIFY said 3600 s again, so the next refresh is its. */
    fake_pass(&b.fake, 3600000 - 40000);
    last_subscribe(&b);
    fake_reply(&b.fake, 503, NULL);
    fake_pass(&b.fake, 20000); /* half of what is left */
    assert_int_equal(subscribes(&b), 4);
    bench_done(&b);
}

static void
a_subscription_that_nobody_refreshes_expires_and_is_made_anew(void **state)
{
    (void)state;
    struct bench b;
    bench_active(&b);
    fake_pass(&b.fake, 3600000 - 40000);
    last_subscribe(&b);
    fake_reply(&b.fake, 500, "Retry-After: 100\r\n");
    fake_pass(&b.fake, 40001);
    assert_int_equal(subscribes(&b), 3);
    assert_int_equal(last_subscribe(&b)->to_tag.n, 0);
    bench_done(&b);
}

/* --- terminated ------------------------------------------------------------------------------- */

static void
each_reason_of_terminated_is_followed(void **state)
{
    (void)state;
    static const struct {
        const char *state;
        bool ends;
        uint64_t wait_ms; /* until the new SUBSCRIBE */
    } row[] = {
        { "terminated;reason=deactivated", false, 0 },
        { "terminated;reason=deactivated;retry-after=600", false, 0 },
        { "terminated;reason=timeout", false, 0 },
        { "terminated;reason=probation;retry-after=60", false, 60000 },
        { "terminated;reason=probation", false, 30000 },
        { "terminated;reason=giveup;retry-after=90", false, 90000 },
        { "terminated;reason=giveup", false, 30000 },
        { "terminated;reason=x-new;retry-after=5", false, 5000 },
        { "terminated", false, 30000 },
        { "terminated;reason=rejected", true, 0 },
        { "terminated;reason=rejected;retry-after=5", true, 0 },
        { "terminated;reason=noresource;retry-after=5", true, 0 },
        { "terminated;reason=invariant;retry-after=31536000", true, 0 },
        { "Terminated;Reason=Rejected", true, 0 },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct bench b;
        char call_id[64], tag[64];
        bench_active(&b);
        fake_pass(&b.fake, 20000);
        const struct sip_msg *msg = last_subscribe(&b);
        snprintf(call_id, sizeof call_id, "%.*s", HD_FMT(msg->call_id));
        snprintf(tag, sizeof tag, "%.*s", HD_FMT(msg->from_tag));
        assert_int_equal(notify(&b, 2, row[i].state, "last"), 200);
        assert_string_equal(b.body, "last");
        if (row[i].ends) {
            assert_int_equal(b.ended, 1);
            assert_int_equal(b.why, UA_SUB_TERMINATED);
            fake_pass(&b.fake, 40000000);
            assert_int_equal(subscribes(&b), 1);
        } else {
            assert_int_equal(b.ended, 0);
            if (row[i].wait_ms) {
                assert_int_equal(ua_sub_state(b.sub), UA_SUB_RETRY_WAIT);
                fake_pass(&b.fake, row[i].wait_ms - 1);
                assert_int_equal(subscribes(&b), 1);
            }
            fake_pass(&b.fake, 1);
            assert_int_equal(subscribes(&b), 2);
            msg = last_subscribe(&b);
            assert_false(hd_slice_eq(msg->call_id, hd_slice_str(call_id)));
            assert_false(hd_slice_eq(msg->from_tag, hd_slice_str(tag)));
            assert_int_equal(msg->to_tag.n, 0);
        }
        bench_done(&b);
    }
}

static void
subscriptions_that_end_as_they_begin_are_asked_for_more_slowly(void **state)
{
    (void)state;
    struct bench b;
    bench_active(&b);
    for (unsigned i = 0; i < 5; i++) {
        notify(&b, 2, "terminated;reason=deactivated", "");
        uint32_t wait = b.report.wait_s;
        assert_int_equal(wait, i == 0 ? 0 : 1u << (i - 1));
        fake_pass(&b.fake, (uint64_t)wait * 1000 + 1);
        last_subscribe(&b);
        fake_reply(&b.fake, 200, "Expires: 3600\r\n");
        assert_int_equal(notify(&b, 1, "active;expires=3600", ""), 200);
    }
    bench_done(&b);
}

static void
a_server_that_is_away_for_a_while_is_asked_again_and_again(void **state)
{
    (void)state;
    struct bench b;
    bench_active(&b);
    fake_pass(&b.fake, 20000);
    notify(&b, 2, "terminated;reason=deactivated", "");
    static const uint32_t wait_s[] = { 0, 1, 2, 4, 8, 16, 32, 60, 60 };
    for (size_t i = 0; i < HD_ARRAY_LEN(wait_s); i++) {
        last_subscribe(&b);
        ua_client_failed(b.fake.client, b.fake.now_ms, b.fake.sent[b.fake.n_sent - 1].owner);
        assert_int_equal(b.report.news, UA_SUB_RETRY);
        assert_int_equal(b.report.wait_s, wait_s[i]);
        fake_pass(&b.fake, (uint64_t)wait_s[i] * 1000 + 1);
    }
    fake_pass(&b.fake, 32001); /* no answer at all counts like that */
    assert_int_equal(b.report.news, UA_SUB_RETRY);
    fake_pass(&b.fake, 60001);
    last_subscribe(&b);
    fake_reply(&b.fake, 503, "Retry-After: 100\r\n");
    assert_int_equal(b.report.wait_s, 100);
    fake_pass(&b.fake, 100001);
    last_subscribe(&b);
    fake_reply(&b.fake, 403, NULL); /* but a refusal is one */
    assert_int_equal(b.why, UA_SUB_REFUSED);
    bench_done(&b);
}

/* --- NOTIFYs that do not fit ------------------------------------------------------------------ */

static void
a_notify_with_a_lower_cseq_gets_500_and_is_not_shown(void **state)
{
    (void)state;
    struct bench b;
    bench_active(&b);
    assert_int_equal(notify(&b, 7, "active;expires=3500", "seven"), 200);
    assert_int_equal(notify(&b, 6, "active;expires=3500", "six"), 500);
    assert_int_equal(notify(&b, 7, "active;expires=3500", "seven"), 200); /* another branch */
    assert_int_equal(b.notified, 2);
    assert_string_equal(b.body, "seven");
    bench_done(&b);
}

static void
a_repeated_notify_is_answered_again_and_shown_once(void **state)
{
    (void)state;
    struct bench b;
    bench_active(&b);
    struct fake_notify again = {
        .cseq = 2, .state = "active;expires=9", .body = "x", .branch = 77
    };
    size_t first = b.fake.n_sent;
    for (unsigned i = 0; i < 3; i++) {
        again.subscribe = fake_sent(&b.fake, 0);
        fake_notify(&b.fake, &again);
    }
    assert_int_equal(b.notified, 2);
    assert_int_equal(b.fake.n_sent, first + 3);
    assert_memory_equal(b.fake.sent[first].octets, b.fake.sent[first + 2].octets,
                        b.fake.sent[first].n);
    bench_done(&b);
}

static void
notifies_that_are_not_ours_get_481(void **state)
{
    (void)state;
    static const struct fake_notify row[] = {
        { .cseq = 9, .state = "active", .call_id = "another" },
        { .cseq = 9, .state = "active", .from_tag = "fork" },
        { .cseq = 9, .state = "active", .event = "dialog" },
        { .cseq = 9, .state = "active", .event = "presence;id=1" },
        { .cseq = 9, .state = "active", .event = "presence.winfo" },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct bench b;
        bench_active(&b);
        struct fake_notify other = row[i];
        other.subscribe = fake_sent(&b.fake, 0);
        b.fake.seen = b.fake.n_sent;
        fake_notify(&b.fake, &other);
        assert_int_equal(fake_next(&b.fake)->status, 481);
        assert_int_equal(b.notified, 1);
        bench_done(&b);
    }
}

/* RFC 6665 4.1.2.4 and 4.4.1: nobody is left whom a late one could reach. */
static void
late_notifies_of_what_is_over_get_481(void **state)
{
    (void)state;
    struct bench b;
    bench_active(&b);
    assert_int_equal(notify(&b, 2, "terminated;reason=deactivated", "moved"), 200);
    assert_int_equal(subscribes(&b), 2); /* at once another, of another Call-ID */
    /* One more of the dialog that ended, while the new one waits for its first. */
    b.fake.seen = b.fake.n_sent;
    fake_notify(&b.fake, &(struct fake_notify){ .subscribe = fake_sent(&b.fake, 0),
                                                .cseq = 3,
                                                .state = "active;expires=60",
                                                .body = "late" });
    assert_int_equal(fake_next(&b.fake)->status, 481);
    assert_int_equal(b.notified, 2);
    last_subscribe(&b);
    fake_reply(&b.fake, 200, "Expires: 3600\r\n");
    assert_int_equal(notify(&b, 1, "active;expires=3600", "again"), 200);
    ua_sub_leave(b.sub);
    last_subscribe(&b);
    fake_reply(&b.fake, 200, "Expires: 0\r\n");
    assert_int_equal(notify(&b, 2, "terminated;reason=timeout", "bye"), 200);
    assert_int_equal(b.ended, 1);
    assert_int_equal(notify(&b, 3, "active;expires=60", "later"), 481);
    assert_string_equal(b.body, "bye");
    bench_done(&b);
}

static void
notifies_that_break_the_rules_are_refused(void **state)
{
    (void)state;
    static const struct {
        struct fake_notify notify;
        unsigned status;
    } row[] = {
        { { .cseq = 9 }, 400 },
        { { .cseq = 9, .state = "" }, 400 },
        { { .cseq = 9, .state = "active", .headers = "Require: x-foo\r\n" }, 420 },
        { { .cseq = 9, .state = "active", .headers = "Content-Encoding: deflate\r\n" }, 415 },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct bench b;
        bench_active(&b);
        struct fake_notify odd = row[i].notify;
        odd.subscribe = fake_sent(&b.fake, 0);
        b.fake.seen = b.fake.n_sent;
        fake_notify(&b.fake, &odd);
        assert_int_equal(fake_next(&b.fake)->status, row[i].status);
        assert_int_equal(b.notified, 1);
        bench_done(&b);
    }
}

/* --- leaving and fetching --------------------------------------------------------------------- */

static void
leaving_asks_for_the_end_and_waits_for_the_last_notify(void **state)
{
    (void)state;
    struct bench b;
    bench_active(&b);
    ua_sub_leave(b.sub);
    ua_sub_leave(b.sub);
    const struct sip_msg *msg = last_subscribe(&b);
    assert_int_equal(subscribes(&b), 2);
    assert_string_equal(fake_value(msg, "Expires"), "0");
    fake_reply(&b.fake, 200, "Expires: 0\r\n");
    assert_int_equal(b.ended, 0);
    assert_int_equal(notify(&b, 2, "terminated;reason=timeout", "bye"), 200);
    assert_int_equal(b.ended, 1);
    assert_int_equal(b.why, UA_SUB_DONE);
    bench_done(&b);
}

static void
a_last_notify_before_the_2xx_waits_for_it(void **state)
{
    (void)state;
    struct bench b;
    bench_active(&b);
    ua_sub_leave(b.sub);
    assert_int_equal(notify(&b, 2, "terminated;reason=timeout", "bye"), 200);
    assert_int_equal(b.ended, 0);
    last_subscribe(&b);
    fake_reply(&b.fake, 200, "Expires: 0\r\n");
    assert_int_equal(b.ended, 1);
    assert_int_equal(b.why, UA_SUB_DONE);
    bench_done(&b);
}

static void
without_a_last_notify_leaving_ends_with_timer_n(void **state)
{
    (void)state;
    struct bench b;
    bench_active(&b);
    ua_sub_leave(b.sub);
    last_subscribe(&b);
    fake_reply(&b.fake, 200, "Expires: 0\r\n");
    fake_pass(&b.fake, 32000);
    assert_int_equal(b.why, UA_SUB_NO_NOTIFY);
    bench_done(&b);
}

static void
leaving_before_the_first_notify_waits_for_the_dialog(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 3600);
    ua_sub_leave(b.sub);
    assert_int_equal(subscribes(&b), 1);
    last_subscribe(&b);
    fake_reply(&b.fake, 200, "Expires: 3600\r\n");
    assert_int_equal(notify(&b, 1, "active;expires=3600", "first"), 200);
    assert_int_equal(subscribes(&b), 2);
    const struct sip_msg *msg = last_subscribe(&b);
    assert_string_equal(fake_value(msg, "Expires"), "0");
    assert_true(hd_slice_eq(msg->to_tag, HD_LIT("srv")));
    bench_done(&b);
}

static void
leaving_a_subscription_that_is_gone_is_done(void **state)
{
    (void)state;
    struct bench b;
    bench_active(&b);
    ua_sub_leave(b.sub);
    last_subscribe(&b);
    fake_reply(&b.fake, 481, NULL);
    assert_int_equal(b.why, UA_SUB_DONE);
    bench_done(&b);
}

static void
leaving_while_it_waits_to_try_again_ends_at_once(void **state)
{
    (void)state;
    struct bench b;
    bench_active(&b);
    notify(&b, 2, "terminated;reason=probation;retry-after=60", "");
    ua_sub_leave(b.sub);
    assert_int_equal(b.ended, 1);
    fake_pass(&b.fake, 100000);
    assert_int_equal(subscribes(&b), 1);
    bench_done(&b);
}

static void
a_fetch_ends_with_its_notify_and_is_not_repeated(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 0);
    assert_string_equal(fake_value(last_subscribe(&b), "Expires"), "0");
    fake_reply(&b.fake, 200, "Expires: 0\r\n");
    assert_int_equal(b.ended, 0);
    assert_int_equal(notify(&b, 1, "terminated;reason=timeout", "state"), 200);
    assert_int_equal(b.ended, 1);
    assert_int_equal(b.why, UA_SUB_DONE);
    assert_string_equal(b.body, "state");
    fake_pass(&b.fake, 100000);
    assert_int_equal(subscribes(&b), 1);
    bench_done(&b);
}

static void
a_lost_subscribe_and_a_challenge_on_the_way_are_survived(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 3600);
    fake_pass(&b.fake, 1500); /* two were lost */
    assert_int_equal(b.fake.n_sent, 3);
    last_subscribe(&b);
    fake_reply(&b.fake, 401,
               "WWW-Authenticate: Digest realm=\"example.test\", nonce=\"n\", qop=\"auth\"\r\n");
    assert_non_null(fake_value(last_subscribe(&b), "Authorization"));
    fake_reply(&b.fake, 200, "Expires: 3600\r\n");
    assert_int_equal(notify(&b, 1, "active;expires=3600", "in"), 200);
    fake_pass(&b.fake, 60000);
    assert_int_equal(b.ended, 0);
    assert_int_equal(b.notified, 1);
    bench_done(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_subscription_is_asked_for_accepted_and_notified),
        cmocka_unit_test(the_first_notify_makes_the_dialog_with_its_route),
        cmocka_unit_test(a_notify_before_the_2xx_is_taken),
        cmocka_unit_test(pending_becomes_active),
        cmocka_unit_test(no_notify_within_timer_n_ends_it),
        cmocka_unit_test(no_answer_within_timer_f_ends_it),
        cmocka_unit_test(a_refusal_ends_it_with_the_answer),
        cmocka_unit_test(a_duration_that_is_too_brief_is_raised),
        cmocka_unit_test(it_is_refreshed_in_the_dialog_before_it_expires),
        cmocka_unit_test(a_shorter_expires_in_a_notify_is_followed),
        cmocka_unit_test(a_refresh_without_notify_means_a_new_subscription),
        cmocka_unit_test(a_204_to_a_refresh_stops_timer_n),
        cmocka_unit_test(what_it_has_is_not_asked_for_again),
        cmocka_unit_test(a_204_to_the_end_ends_it),
        cmocka_unit_test(a_481_to_a_refresh_means_a_new_subscription_at_once),
        cmocka_unit_test(codes_that_end_a_subscription_end_it_at_a_refresh),
        cmocka_unit_test(other_codes_leave_it_and_it_is_refreshed_again),
        cmocka_unit_test(a_subscription_that_nobody_refreshes_expires_and_is_made_anew),
        cmocka_unit_test(each_reason_of_terminated_is_followed),
        cmocka_unit_test(subscriptions_that_end_as_they_begin_are_asked_for_more_slowly),
        cmocka_unit_test(a_server_that_is_away_for_a_while_is_asked_again_and_again),
        cmocka_unit_test(a_notify_with_a_lower_cseq_gets_500_and_is_not_shown),
        cmocka_unit_test(a_repeated_notify_is_answered_again_and_shown_once),
        cmocka_unit_test(notifies_that_are_not_ours_get_481),
        cmocka_unit_test(late_notifies_of_what_is_over_get_481),
        cmocka_unit_test(notifies_that_break_the_rules_are_refused),
        cmocka_unit_test(leaving_asks_for_the_end_and_waits_for_the_last_notify),
        cmocka_unit_test(a_last_notify_before_the_2xx_waits_for_it),
        cmocka_unit_test(without_a_last_notify_leaving_ends_with_timer_n),
        cmocka_unit_test(leaving_before_the_first_notify_waits_for_the_dialog),
        cmocka_unit_test(leaving_a_subscription_that_is_gone_is_done),
        cmocka_unit_test(leaving_while_it_waits_to_try_again_ends_at_once),
        cmocka_unit_test(a_fetch_ends_with_its_notify_and_is_not_repeated),
        cmocka_unit_test(a_lost_subscribe_and_a_challenge_on_the_way_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
