/* restore_test.c - what a start makes of the records of subscriptions, as after a clean stop or a
 * crash. */
#include "event/restore_test.h"

/* --- rates (RFC 6446) ------------------------------------------------------------------------ */

static void
a_rate_counts_from_the_last_notify_over_a_clean_stop(void **state)
{
    (void)state;
    subscribe_rated("x-state;max-rate=0.1;min-rate=0.05");
    publish(was, NULL, "one");
    host_take_nothing(was);
    host_wait(was, 2000);
    restart(CLEAN, 1, 3000);
    host_wait(is, 4999);
    host_take_nothing(is);
    host_wait(is, 1);
    struct host_sent *notify = host_take_notify(is);
    assert_says(notify, ";max-rate=0.1;min-rate=0.05\r\n");
    assert_says(notify, "\r\n\r\none");
    host_answer(is, notify, 200, NULL);
    host_wait(is, 19999);
    host_take_nothing(is);
    host_wait(is, 1);
    assert_says(host_take_notify(is), "\r\n\r\none");
}

static void
after_a_crash_a_max_rate_counts_from_the_start(void **state)
{
    (void)state;
    subscribe_rated("x-state;max-rate=0.1");
    publish(was, NULL, "one");
    host_wait(was, 9000);
    restart(CRASH, 1, 3000);
    host_wait(is, 9999);
    host_take_nothing(is);
    host_wait(is, 1);
    assert_says(host_take_notify(is), "\r\n\r\none");
}

static void
repetitions_that_became_due_meanwhile_come_one_after_the_other(void **state)
{
    static const char *const calls[] = { "a", "b", "c", "d", "e", "f", "g", "h" };
    uint64_t first = UINT64_MAX, last = 0;
    unsigned n = 0;

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(calls); i++)
        host_subscribe(was,
                       &(struct host_request){
                           .expires = 3600, .call_id = calls[i], .event = "x-state;min-rate=0.02" },
                       tag);
    restart(CLEAN, 1, 600000);
    host_take_nothing(is);
    for (unsigned i = 0; i < 101; i++) {
        host_wait(is, 100);
        while (host_count(is)) {
            struct host_sent *sent = host_take_notify(is);
            first = sent->at_ms < first ? sent->at_ms : first;
            last = sent->at_ms > last ? sent->at_ms : last;
            n++;
            host_answer(is, sent, 200, NULL);
        }
    }
    assert_int_equal(n, HD_ARRAY_LEN(calls));
    assert_true(last - first > 1000);
}

static void
what_an_answer_said_of_rates_is_kept(void **state)
{
    (void)state;
    subscribe_rated("x-state;min-rate=0.1");
    host_wait(was, 10000);
    host_answer(was, host_take_notify(was), 200, "Event: x-state;max-rate=0.01\r\n");
    restart(CRASH, 2, 0);
    host_wait(is, 1000);
    answer_all(is);
    refresh(2, 600); /* takes all of it back */
    host_take_status(is, 200);
    struct host_sent *notify = host_take_notify(is);
    assert_false(host_has(notify, "-rate="));
}

/* --- subscriptions --------------------------------------------------------------------------- */

static void
a_clean_stop_says_nothing_and_cseq_goes_on(void **state)
{
    uint32_t last;

    (void)state;
    subscribe(3600);
    publish(was, NULL, "one");
    struct host_sent *notify = host_take_notify(was);
    last = cseq_of(notify);
    host_answer(was, notify, 200, NULL);
    restart(CLEAN, 1, 0);
    host_take_nothing(is);
    host_wait(is, 3000);
    host_take_nothing(is);
    refresh(2, 3600);
    assert_says(host_take_status(is, 200), "Expires: 3600\r\n");
    notify = host_take_notify(is);
    assert_says(notify, "\r\n\r\none");
    assert_int_equal(cseq_of(notify), last + 1);
}

static void
after_a_crash_cseq_leaps_ahead(void **state)
{
    uint32_t last;

    (void)state;
    subscribe(3600);
    publish(was, NULL, "one");
    for (int i = 0; i < 40; i++) {
        host_answer(was, host_take_notify(was), 200, NULL);
        publish(was, etag, i % 2 ? "one" : "two");
    }
    last = cseq_of(host_take_notify(was));
    restart(CRASH, 1, 0);
    refresh(2, 3600);
    while (host_count(is)) {
        const struct host_sent *sent = host_take(is);
        if (sent->msg.request)
            assert_true(cseq_of(sent) > last);
    }
}

/* The only subscription has used as many numbers of each kind, and its record says so. */
static void
use_up(uint32_t cseq, uint32_t branch, uint32_t version)
{
    struct evt_sub *sub = host_sub(was, 0);

    sub->cseq_local = cseq;
    sub->branch = branch;
    sub->version = version;
    sub->leased = 0;
    assert_int_equal(evt_shard_settle(host_shard(was, 0), was->now_ms * 1000), HD_OK);
}

/* A CSeq stays below 2^31 (RFC 3261 section 8.1.1.5): whose leap would go beyond it is gone. */
static void
whose_numbers_are_used_up_is_told_that_he_has_no_subscription(void **state)
{
    static const uint32_t most = EVT_RECORD_CSEQ_MOST - EVT_LEASE;
    static const uint32_t used[][3] = { { most + 1, 1, 1 },
                                        { 1, most + 1, 1 },
                                        { 1, 1, most + 1 } };

    for (size_t i = 0; i < HD_ARRAY_LEN(used); i++) {
        subscribe(3600);
        use_up(used[i][0], used[i][1], used[i][2]);
        restart(CRASH, 1, 0);
        host_take_nothing(is);
        assert_int_equal(host_subs(is), 0);
        assert_int_equal(host_record(is, EVT_RECORD_SUBSCRIPTION)->record.n, 0);
        refresh(2, 3600);
        (void)host_take_status(is, 481);
        (void)teardown(state);
        (void)setup(state);
    }
}

static void
the_last_numbers_before_they_are_used_up_are_used(void **state)
{
    static const uint32_t most = EVT_RECORD_CSEQ_MOST - EVT_LEASE;

    (void)state;
    subscribe(3600);
    use_up(most, most, most);
    restart(CRASH, 1, 0);
    refresh(2, 3600);
    (void)host_take_status(is, 200);
    assert_int_equal(cseq_of(host_take_notify(is)), EVT_RECORD_CSEQ_MOST + 1);
}

static void
after_a_clean_stop_there_is_no_leap_that_could_use_them_up(void **state)
{
    (void)state;
    subscribe(3600);
    use_up(EVT_RECORD_CSEQ_MOST, 1, 1);
    restart(CLEAN, 1, 0);
    refresh(2, 3600);
    (void)host_take_status(is, 200);
    assert_int_equal(cseq_of(host_take_notify(is)), EVT_RECORD_CSEQ_MOST + 1);
}

static void
the_same_request_again_is_answered_as_before(void **state)
{
    (void)state;
    subscribe(3600);
    restart(CLEAN, 1, 0);
    host_request(is, &(struct host_request){ .expires = 3600 });
    struct host_sent *sent = host_take_status(is, 200);
    assert_says(sent, "Expires: 3600\r\n");
    assert_true(hd_slice_eq(sent->msg.to_tag, hd_slice_str(tag)));
    host_take_nothing(is);
    assert_int_equal(host_subs(is), 1);
}

static void
what_ended_stays_so_and_its_request_is_known(void **state)
{
    (void)state;
    subscribe(3600);
    host_request(was, &(struct host_request){ .to_tag = tag, .cseq = 2, .expires = 0 });
    answer_all(was);
    restart(CRASH, 1, 1000);
    assert_int_equal(HOST_COUNT(is, 0, subscriptions), 0);
    refresh(2, 0);
    assert_says(host_take_status(is, 200), "Expires: 0\r\n");
    host_take_nothing(is);
    refresh(3, 600);
    host_take_status(is, 481);
    host_wait(is, 40000);
    assert_int_equal(host_subs(is), 0);
}

static void
what_is_left_of_a_duration_counts_down_while_it_is_down(void **state)
{
    (void)state;
    subscribe(3600);
    restart(CLEAN, 1, 3000000);
    host_wait(is, 599000);
    host_take_nothing(is);
    host_wait(is, 1000);
    assert_says(host_take_notify(is), "Subscription-State: terminated;reason=timeout\r\n");
}

/* Not for a moment longer than granted (RFC 6665 section 4.2.2): a change meanwhile is not shown by
 * an active NOTIFY. */
static void
who_expired_meanwhile_hears_the_end_alone(void **state)
{
    (void)state;
    publish(was, NULL, "one");
    subscribe(60);
    host_store_release(was, 100, HD_OK);
    publish(was, etag, "two");
    host_drop(was);
    restart(CRASH, 1, 61000);
    host_take_nothing(is);
    host_wait(is, 10000);
    const struct host_sent *sent = host_take_notify(is);
    assert_says(sent, "Subscription-State: terminated;reason=timeout\r\n");
    assert_says(sent, "\r\n\r\ntwo");
    assert_no_other(sent);
}

static void
who_expired_meanwhile_may_still_refresh_until_he_hears_it(void **state)
{
    (void)state;
    subscribe(60);
    restart(CRASH, 1, 61000);
    refresh(2, 60);
    assert_says(host_take_status(is, 200), "Expires: 60\r\n");
    assert_says(host_take_notify(is), "Subscription-State: active;expires=60\r\n");
}

static void
those_that_expired_meanwhile_are_told_one_after_the_other(void **state)
{
    unsigned first;

    (void)state;
    for (int i = 0; i < 50; i++) {
        char call[24];
        (void)snprintf(call, sizeof(call), "many-%d", i);
        host_subscribe(was, &(struct host_request){ .call_id = call, .expires = 60 }, tag);
    }
    restart(CLEAN, 1, 100000);
    host_wait(is, 3000);
    first = host_count(is);
    assert_true(first > 2 && first < 40);
    host_drop(is);
}

static void
publish_new(const char *body)
{
    host_request(was, &(struct host_request){
                          .method = "PUBLISH", .call_id = body, .body = body, .expires = 600 });
    host_settle(was);
}

/* No record is written for a NOTIFY: neither after a clean stop nor after a crash.  What was sent
 * in a start that left no trace is leapt over all the same, or the peer would take the next for a
 * repetition (RFC 3261 section 17.2.3), or for one out of order. */
static void
no_cseq_comes_twice_though_nothing_was_kept_of_it(void **state)
{
    char branch[64] = "";
    uint32_t last = 0;

    (void)state;
    subscribe(3600);
    host_restart(was, 1, &(struct host_ending){ .clean = true });
    was->store = HOST_STORE_LATER;
    publish_new("one");
    host_store_release(was, 1, HD_OK);
    host_settle(was);
    host_take_status(was, 200);
    for (int crash = 0; crash < 4; crash++) {
        const struct host_sent *notify = host_take_notify(was);
        assert_says(notify, "\r\n\r\none");
        assert_true(cseq_of(notify) > last);
        assert_false(hd_slice_eq(notify->msg.via.branch, hd_slice_str(branch)));
        last = cseq_of(notify);
        (void)snprintf(branch, sizeof(branch), "%.*s", HD_FMT(notify->msg.via.branch));
        host_restart(was, 1, &(struct host_ending){ .kept = 0 });
        host_settle(was);
    }
}

/* What a store refused or lost may be there again, or be older than it was: the stop is no clean
 * one, and nothing comes twice. */
static void
a_stop_after_the_store_failed_is_like_a_crash(void **state)
{
    uint32_t last;

    (void)state;
    subscribe(3600);
    publish_new("one");
    answer_all(was);
    host_restart(was, 1, &(struct host_ending){ .clean = true });
    was->store = HOST_STORE_REFUSES;
    host_wait(was, 601000); /* what was published expires */
    last = cseq_of(host_take_notify(was));
    host_drop(was);
    was->store = HOST_STORE_NOW;
    host_restart(was, 1, &(struct host_ending){ .clean = true });
    host_settle(was);
    assert_true(cseq_of(host_take_notify(was)) > last + 1);
    host_restart(was, 1, &(struct host_ending){ .clean = true });
    host_settle(was);
    last = cseq_of(host_take_notify(was));
    was->store = HOST_STORE_LATER;
    publish_new("three");
    host_store_release(was, 1, HD_ESTORE);
    was->store = HOST_STORE_NOW;
    publish_new("four");
    host_drop(was);
    host_restart(was, 1, &(struct host_ending){ .clean = true });
    host_settle(was);
    assert_true(cseq_of(host_take_notify(was)) > last + 4096);
}

/* Browsers and what is behind a NAT cannot be connected to: their subscription waits for them, as
 * it does when a connection closes. */
static void
who_can_only_connect_himself_is_waited_for(void **state)
{
    struct host_request request = { .expires = 3600,
                                    .transport = HD_TCP,
                                    .conn = hd_conn_make(0, 1, 7),
                                    .contact = "<sip:a@x7.invalid;transport=tcp>" };

    (void)state;
    host_subscribe(was, &request, tag);
    restart(CRASH, 1, 0);
    assert_int_equal(HOST_COUNT(is, 0, subscriptions), 1);
    publish(is, NULL, "one");
    const struct host_sent *notify = host_take_notify(is);
    assert_int_not_equal(notify->flow.conn, 0); /* no connection is made to where he was */
    evt_shard_send_failed(host_shard(is, 0), notify->owner, &notify->flow, is->now_ms * 1000);
    host_settle(is);
    assert_int_equal(HOST_COUNT(is, 0, parked), 1);
    request.conn = hd_conn_make(0, 1, 8);
    request.to_tag = tag;
    request.cseq = 2;
    host_request(is, &request);
    host_take_status(is, 200);
    notify = host_take_notify(is);
    assert_says(notify, "\r\n\r\none");
    assert_true(notify->flow.conn == request.conn);
    assert_int_equal(HOST_COUNT(is, 0, parked), 0);
}

/* --- rules that changed meanwhile ------------------------------------------------------------ */

static void
who_may_see_less_now_is_not_shown_the_state(void **state)
{
    static const enum evt_decision decisions[] = { EVT_POLITE, EVT_CONFIRM };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(decisions); i++) {
        host_done(was);
        host_init(was, 1);
        publish(was, NULL, "secret one");
        subscribe(3600);
        publish(was, etag, "secret two");
        end(CRASH, 1);
        is->n_rules = 1;
        is->rules[0] = (struct host_rule){ .decision = decisions[i] };
        start(0);
        const struct host_sent *sent = host_take_notify(is);
        assert_says(sent, decisions[i] == EVT_POLITE ? "Subscription-State: active"
                                                     : "Subscription-State: pending");
        assert_false(host_has(sent, "secret"));
        host_take_nothing(is);
        refresh(2, 3600);
        host_take_status(is, 200);
        assert_false(host_has(host_take_notify(is), "secret"));
        host_done(is);
        memset(is, 0, sizeof(*is));
    }
}

/* He expires before the first state comes, by which it would be known what a polite block is to
 * him. */
static void
who_is_blocked_politely_now_and_expires_at_once_is_not_shown_the_state(void **state)
{
    (void)state;
    publish(was, NULL, "secret one");
    subscribe(60);
    host_store_release(was, 100, HD_OK);
    publish(was, etag, "secret two");
    end(CRASH, 1);
    is->n_rules = 1;
    is->rules[0] = (struct host_rule){ .decision = EVT_POLITE };
    give_all_back(59000);
    is->now_ms += 2000;
    (void)evt_shard_turn(host_shard(is, 0), is->now_ms * 1000);
    host_settle(is);
    const struct host_sent *sent = host_take_notify(is);
    assert_says(sent, "Subscription-State: terminated;reason=timeout\r\n");
    assert_false(host_has(sent, "secret"));
}

static void
who_is_blocked_now_is_rejected_and_shown_nothing(void **state)
{
    (void)state;
    publish(was, NULL, "secret one");
    subscribe(3600);
    publish(was, etag, "secret two");
    end(CRASH, 1);
    is->n_rules = 1;
    is->rules[0] = (struct host_rule){ .decision = EVT_DENY };
    start(0);
    host_wait(is, 10000);
    const struct host_sent *sent = host_take_notify(is);
    assert_says(sent, "Subscription-State: terminated;reason=rejected\r\n");
    assert_false(host_has(sent, "secret"));
    assert_no_other(sent);
    host_wait(is, 40000);
    host_drop(is);
    refresh(2, 3600);
    host_take_status(is, 481);
}

static void
who_may_see_more_now_is_shown_it(void **state)
{
    (void)state;
    was->n_rules = 1;
    was->rules[0] = (struct host_rule){ .user = "sip:alice@example.test", .decision = EVT_CONFIRM };
    subscribe(3600);
    was->n_rules = 0;
    publish(was, NULL, "one");
    restart(CLEAN, 1, 0);
    const struct host_sent *sent = host_take_notify(is);
    assert_says(sent, "Subscription-State: active");
    assert_says(sent, "\r\n\r\none");
    host_take_nothing(is);
}

/* --- what was seen --------------------------------------------------------------------------- */

static void
what_was_not_acknowledged_is_said_again(void **state)
{
    (void)state;
    subscribe(3600);
    publish(was, NULL, "one");
    (void)host_take_notify(was); /* no answer */
    restart(CLEAN, 1, 0);
    assert_says(host_take_notify(is), "\r\n\r\none");
    host_take_nothing(is);
}

static void
what_was_acknowledged_more_than_a_second_ago_is_not_said_again_after_a_crash(void **state)
{
    (void)state;
    subscribe(3600);
    publish(was, NULL, "one");
    host_answer(was, host_take_notify(was), 200, NULL);
    host_wait(was, 1100);
    restart(CRASH, 1, 0);
    host_wait(is, 3000);
    host_take_nothing(is);
}

static void
a_change_that_is_kept_and_was_not_shown_is_shown_after_a_crash(void **state)
{
    (void)state;
    subscribe(3600);
    publish(was, NULL, "one");
    host_answer(was, host_take_notify(was), 200, NULL);
    host_wait(was, 1100);
    was->store = HOST_STORE_LATER; /* on the disk, but its outcome never came */
    host_request(
        was,
        &(struct host_request){
            .method = "PUBLISH", .expires = 600, .call_id = "p", .headers = "", .body = "two" });
    restart(CRASH, 1, 0);
    assert_says(host_take_notify(is), "\r\n\r\ntwo");
}

static void
a_younger_subscription_is_not_taken_for_one_that_has_seen_it(void **state)
{
    (void)state;
    host_subscribe(was, &(struct host_request){ .call_id = "old", .expires = 3600 }, tag);
    host_wait(was, 1100); /* written down: all have seen the neutral state */
    host_request(was, &(struct host_request){ .call_id = "young", .expires = 3600 });
    host_take_status(was, 200);
    (void)host_take_notify(was); /* no answer */
    restart(CRASH, 1, 0);
    const struct host_sent *sent = host_take_notify(is);
    assert_true(hd_slice_eq(sent->msg.call_id, HD_LIT("young")));
    host_take_nothing(is);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        TEST(a_rate_counts_from_the_last_notify_over_a_clean_stop),
        TEST(after_a_crash_a_max_rate_counts_from_the_start),
        TEST(repetitions_that_became_due_meanwhile_come_one_after_the_other),
        TEST(what_an_answer_said_of_rates_is_kept),
        TEST(a_clean_stop_says_nothing_and_cseq_goes_on),
        TEST(after_a_crash_cseq_leaps_ahead),
        TEST(whose_numbers_are_used_up_is_told_that_he_has_no_subscription),
        TEST(the_last_numbers_before_they_are_used_up_are_used),
        TEST(after_a_clean_stop_there_is_no_leap_that_could_use_them_up),
        TEST(who_can_only_connect_himself_is_waited_for),
        TEST(no_cseq_comes_twice_though_nothing_was_kept_of_it),
        TEST(a_stop_after_the_store_failed_is_like_a_crash),
        TEST(the_same_request_again_is_answered_as_before),
        TEST(what_ended_stays_so_and_its_request_is_known),
        TEST(what_is_left_of_a_duration_counts_down_while_it_is_down),
        TEST(who_expired_meanwhile_hears_the_end_alone),
        TEST(who_expired_meanwhile_may_still_refresh_until_he_hears_it),
        TEST(those_that_expired_meanwhile_are_told_one_after_the_other),
        TEST(who_may_see_less_now_is_not_shown_the_state),
        TEST(who_is_blocked_politely_now_and_expires_at_once_is_not_shown_the_state),
        TEST(who_is_blocked_now_is_rejected_and_shown_nothing),
        TEST(who_may_see_more_now_is_shown_it),
        TEST(what_was_not_acknowledged_is_said_again),
        TEST(what_was_acknowledged_more_than_a_second_ago_is_not_said_again_after_a_crash),
        TEST(a_change_that_is_kept_and_was_not_shown_is_shown_after_a_crash),
        TEST(a_younger_subscription_is_not_taken_for_one_that_has_seen_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
