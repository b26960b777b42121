/* ask_test.c - requests that come by no SIP message: the same publications, subscriptions and
 * rules.
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

#define BOB "sip:bob@example.test"
#define ALICE "sip:alice@example.test"

static unsigned answers;

/* What was told last, and how often. */
static struct {
    unsigned n;
    unsigned answers; /* that there were before it */
    bool refuse;
    struct evt_tidings last;
    char body[256], reason[32];
} told;

static bool
tell(void *face, unsigned shard, const struct evt_tidings *tidings)
{
    (void)face;
    (void)shard;
    if (told.refuse)
        return false;
    told.n++;
    told.answers = answers;
    told.last = *tidings;
    (void)snprintf(told.body, sizeof(told.body), "%.*s", HD_FMT(tidings->body));
    (void)snprintf(told.reason, sizeof(told.reason), "%.*s", HD_FMT(tidings->reason));
    return true;
}

static const struct evt_face_ops face_ops = { .tell = tell };

static void
answered(struct evt_ask *ask)
{
    unsigned *n = ask->context;

    (*n)++;
}

static int
setup(void **state)
{
    (void)host_setup(state);
    memset(&told, 0, sizeof(told));
    for (unsigned i = 0; i < 2; i++)
        host_shard(&host, i)->ports.face = &face_ops;
    return 0;
}

static struct evt_ask
ask_of(enum evt_ask_kind kind, const char *who, const char *body)
{
    struct evt_ask ask = {
        .kind = kind,
        .flow = { .transport = HD_HTTP,
                  .listener = EVT_ASK_NO_LISTENER,
                  .conn = 7,
                  .remote = { .ip = { 192, 0, 2, 9 }, .port = 99, .family = 4 } },
        .key = HD_LIT(BOB),
        .package = HD_LIT("x-state"),
        .type = HD_LIT("text/plain"),
        .call_id = HD_LIT("http-1"),
        .tag = HD_LIT("t1"),
        .target = HD_LIT("http://192.0.2.9:99"),
        .expires_s = UINT32_MAX,
        .types = 0xff,
        .answered = answered,
        .context = &answers
    };

    ask.identity.key_len = (uint8_t)strlen(who);
    memcpy(ask.identity.key, who, ask.identity.key_len);
    ask.identity.proof = EVT_PROOF_TOKEN;
    ask.identity.authenticated = true;
    if (body)
        ask.body = hd_slice_str(body);
    return ask;
}

static unsigned
run(struct evt_ask *ask)
{
    answers = 0;
    evt_ask_post(host_shard(&host, 0), ask);
    host_settle(&host);
    assert_int_equal(answers, 1);
    return ask->status;
}

static unsigned
publish(const char *body)
{
    struct evt_ask ask = ask_of(EVT_ASK_PUBLISH, BOB, body);

    return run(&ask);
}

static void
taken(void)
{
    struct evt_ask ask = ask_of(EVT_ASK_TAKEN, BOB, NULL);

    ask.sub = told.last.sub;
    ask.branch = told.last.branch;
    assert_int_equal(run(&ask), 200);
}

static uint64_t
subscribe(uint32_t expires_s)
{
    struct evt_ask ask = ask_of(EVT_ASK_SUBSCRIBE, ALICE, NULL);

    ask.expires_s = expires_s;
    assert_int_equal(run(&ask), 200);
    return ask.sub;
}

static void
who_subscribed_by_sip_sees_what_was_published_without(void **state)
{
    char tag[HD_ID_TEXT + 1];

    (void)state;
    host_subscribe(&host, &(struct host_request){ .expires = 600 }, tag);
    host_drop(&host);
    assert_int_equal(publish("one"), 200);
    struct host_sent *notify = host_take_notify(&host);
    assert_true(hd_slice_eq(notify->msg.body, HD_LIT("one")));
    host_answer(&host, notify, 200, NULL);
}

static void
the_same_publisher_has_one_publication_that_he_need_not_name(void **state)
{
    struct evt_ask first = ask_of(EVT_ASK_PUBLISH, BOB, "one");
    struct evt_ask second = ask_of(EVT_ASK_PUBLISH, BOB, "two");
    struct evt_ask again = ask_of(EVT_ASK_PUBLISH, BOB, "three");
    char etag[HD_ID_TEXT];

    (void)state;
    assert_int_equal(run(&first), 200);
    assert_true(first.created);
    assert_int_equal(run(&second), 200);
    assert_false(second.created);
    assert_memory_not_equal(first.etag_text, second.etag_text, HD_ID_TEXT);
    assert_int_equal(host_shard(&host, host_home(&host, BOB))->pubs.count, 1);
    memcpy(etag, first.etag_text, HD_ID_TEXT);
    again.match = EVT_MATCH_ETAG;
    again.etag = hd_slice(etag, HD_ID_TEXT);
    assert_int_equal(run(&again), 412);
    memcpy(etag, second.etag_text, HD_ID_TEXT);
    assert_int_equal(run(&again), 200);
    again.match = EVT_MATCH_NONE;
    assert_int_equal(run(&again), 412);
}

static void
a_removed_one_begins_anew_with_tags_that_were_never_given(void **state)
{
    struct evt_ask first = ask_of(EVT_ASK_PUBLISH, BOB, "one");
    struct evt_ask again = ask_of(EVT_ASK_PUBLISH, BOB, "two");
    struct evt_ask remove = ask_of(EVT_ASK_REMOVE, BOB, NULL);

    (void)state;
    assert_int_equal(run(&remove), 404);
    assert_int_equal(run(&first), 200);
    assert_int_equal(run(&remove), 200);
    assert_int_equal(run(&remove), 404);
    assert_int_equal(run(&again), 200);
    assert_true(again.created);
    remove.match = EVT_MATCH_ETAG;
    remove.etag = hd_slice(first.etag_text, HD_ID_TEXT);
    assert_int_equal(run(&remove), 412);
    remove.match = EVT_MATCH_ANY;
    assert_int_equal(run(&remove), 200);
    assert_int_equal(run(&remove), 412);
}

static void
a_publication_by_sip_is_modified_by_its_tag(void **state)
{
    char etag[HD_ID_TEXT + 1];
    struct evt_ask ask = ask_of(EVT_ASK_PUBLISH, BOB, "two");

    (void)state;
    host_publish(&host, BOB, "x-state", NULL, "one", etag);
    ask.match = EVT_MATCH_ETAG;
    ask.etag = hd_slice(etag, HD_ID_TEXT);
    assert_int_equal(run(&ask), 200);
    memcpy(etag, ask.etag_text, HD_ID_TEXT);
    host_publish(&host, BOB, "x-state", etag, "three", etag);
}

static void
the_answer_waits_for_the_store(void **state)
{
    struct evt_ask ask = ask_of(EVT_ASK_PUBLISH, BOB, "one");
    struct evt_ask second = ask_of(EVT_ASK_PUBLISH, BOB, "two");

    (void)state;
    host.store = HOST_STORE_LATER;
    answers = 0;
    evt_ask_post(host_shard(&host, 0), &ask);
    evt_ask_post(host_shard(&host, 0), &second);
    host_settle(&host);
    assert_int_equal(answers, 0);
    host_store_release(&host, 1, HD_OK);
    host_settle(&host);
    assert_int_equal(answers, 1);
    host_store_release(&host, 1, HD_ESTORE);
    host_settle(&host);
    assert_int_equal(answers, 2);
    assert_int_equal(ask.status, 200);
    assert_int_equal(second.status, 503);
    assert_true(second.retry_after_s > 0);
}

static void
what_waits_is_answered_when_the_shard_goes(void **state)
{
    struct evt_ask ask = ask_of(EVT_ASK_PUBLISH, BOB, "one");
    struct evt_ask second = ask_of(EVT_ASK_PUBLISH, BOB, "two");
    struct evt_ask unseen = ask_of(EVT_ASK_PUBLISH, BOB, "three");

    (void)state;
    host.store = HOST_STORE_LATER;
    answers = 0;
    evt_ask_post(host_shard(&host, 0), &ask);
    evt_ask_post(host_shard(&host, 0), &second);
    host_settle(&host);
    evt_ask_post(host_shard(&host, 0), &unseen);
    host_done(&host);
    assert_int_equal(answers, 3);
    assert_int_equal(unseen.status, 503);
    host_init(&host, 1);
}

static void
refusals_have_their_status(void **state)
{
    struct evt_ask ask = ask_of(EVT_ASK_PUBLISH, BOB, "one");

    (void)state;
    ask.package = HD_LIT("x-none");
    assert_int_equal(run(&ask), 404);
    ask = ask_of(EVT_ASK_PUBLISH, BOB, "one");
    ask.type = HD_LIT("image/png");
    assert_int_equal(run(&ask), 415);
    ask = ask_of(EVT_ASK_PUBLISH, BOB, "");
    assert_int_equal(run(&ask), 400);
    ask = ask_of(EVT_ASK_PUBLISH, BOB, "one");
    ask.expires_s = 1;
    assert_int_equal(run(&ask), 423);
    assert_true(ask.min_expires_s > 1);
    host.rules[host.n_rules++] = (struct host_rule){ .decision = EVT_DENY };
    ask = ask_of(EVT_ASK_SUBSCRIBE, ALICE, NULL);
    assert_int_equal(run(&ask), 403);
}

static void
a_subscription_that_cannot_be_made_has_its_status(void **state)
{
    struct evt_ask ask = ask_of(EVT_ASK_SUBSCRIBE, ALICE, NULL);
    struct evt_config *config = host_config_copy(&host);

    (void)state;
    ask.package = HD_LIT("x-none");
    assert_int_equal(run(&ask), 404);
    ask = ask_of(EVT_ASK_SUBSCRIBE, ALICE, NULL);
    ask.profile = HD_LIT("nothing-that-is-configured");
    assert_int_equal(run(&ask), 488);
    ask = ask_of(EVT_ASK_SUBSCRIBE, ALICE, NULL);
    ask.expires_s = 1;
    assert_int_equal(run(&ask), 423);
    config->limits.subscriptions_per_watcher = 1;
    host_configure(&host, config, hd_slice(NULL, 0));
    host_settle(&host);
    (void)subscribe(600);
    taken();
    ask = ask_of(EVT_ASK_SUBSCRIBE, ALICE, NULL);
    assert_int_equal(run(&ask), 403);
    for (unsigned i = 0; i < 2; i++)
        evt_shard_drain_begin(host_shard(&host, i));
    ask = ask_of(EVT_ASK_SUBSCRIBE, BOB, NULL);
    assert_int_equal(run(&ask), 503);
    assert_int_equal(host_subs(&host), 1);
}

static void
the_state_is_told_once(void **state)
{
    (void)state;
    assert_int_equal(publish("one"), 200);
    (void)subscribe(0);
    assert_int_equal(told.n, 1);
    assert_true(told.last.terminated);
    assert_string_equal(told.body, "one");
    taken();
    host_wait(&host, 1000);
    assert_int_equal(host_subs(&host), 0);
}

static void
a_slow_reader_is_told_the_newest_state_when_he_has_taken_the_last(void **state)
{
    uint8_t before[16];

    (void)state;
    assert_int_equal(publish("one"), 200);
    (void)subscribe(600);
    assert_int_equal(told.n, 1);
    memcpy(before, told.last.version, 16);
    assert_int_equal(publish("two"), 200);
    assert_int_equal(publish("three"), 200);
    assert_int_equal(told.n, 1);
    taken();
    assert_int_equal(told.n, 2);
    assert_string_equal(told.body, "three");
    assert_memory_not_equal(before, told.last.version, 16);
    taken();
    assert_int_equal(publish("one"), 200);
    assert_memory_equal(before, told.last.version, 16);
    taken();
}

/* Whoever is told has to know by then that the one before is over. */
static void
taken_is_answered_before_what_follows_is_told(void **state)
{
    (void)state;
    assert_int_equal(publish("one"), 200);
    (void)subscribe(600);
    assert_int_equal(publish("two"), 200);
    assert_int_equal(told.n, 1);
    taken();
    assert_int_equal(told.n, 2);
    assert_int_equal(told.answers, 1);
}

/* RFC 6446: the newest state goes when max-rate lets it, and again when min-rate asks for it. */
static void
rates_hold_back_and_repeat_what_is_told(void **state)
{
    struct evt_ask ask = ask_of(EVT_ASK_SUBSCRIBE, ALICE, NULL);

    (void)state;
    assert_int_equal(publish("one"), 200);
    ask.expires_s = 600;
    ask.rates.max = SIP_RATE_ONE / 10;
    ask.rates.min = SIP_RATE_ONE / 20;
    assert_int_equal(run(&ask), 200);
    assert_int_equal(told.n, 1);
    assert_true(told.last.rates.max == SIP_RATE_ONE / 10);
    assert_true(told.last.rates.min == SIP_RATE_ONE / 20);
    taken();
    assert_int_equal(publish("two"), 200);
    assert_int_equal(publish("three"), 200);
    assert_int_equal(told.n, 1);
    host_wait(&host, 11000);
    assert_int_equal(told.n, 2);
    assert_string_equal(told.body, "three");
    taken();
    host_wait(&host, 21000);
    assert_int_equal(told.n, 3);
    assert_string_equal(told.body, "three");
    taken();
}

static void
where_each_event_is_told_no_rate_holds_any_back(void **state)
{
    struct evt_ask ask = ask_of(EVT_ASK_SUBSCRIBE, ALICE, NULL);

    (void)state;
    ask.package = HD_LIT("x-every");
    ask.rates.max = SIP_RATE_ONE;
    assert_int_equal(run(&ask), 400);
    assert_non_null(strstr(ask.phrase, "max-rate"));
    ask = ask_of(EVT_ASK_SUBSCRIBE, ALICE, NULL);
    ask.package = HD_LIT("x-every");
    ask.rates.min = SIP_RATE_ONE;
    assert_int_equal(run(&ask), 200);
    taken();
}

static void
nothing_of_a_subscription_is_kept_and_it_ends_when_it_is_left(void **state)
{
    struct evt_ask ask = ask_of(EVT_ASK_LEAVE, ALICE, NULL);

    (void)state;
    ask.sub = subscribe(600);
    assert_null(host_record(&host, EVT_RECORD_SUBSCRIPTION));
    assert_int_equal(run(&ask), 200);
    host_wait(&host, 1000);
    assert_int_equal(host_subs(&host), 0);
    assert_int_equal(run(&ask), 481);
    assert_null(host_record(&host, EVT_RECORD_SUBSCRIPTION));
}

static void
it_ends_when_the_rules_say_so_and_that_is_told(void **state)
{
    (void)state;
    (void)subscribe(600);
    taken();
    host.rules[host.n_rules++] = (struct host_rule){ .user = ALICE, .decision = EVT_DENY };
    struct evt_config *config = host_config_copy(&host);
    host_configure(&host, config, hd_slice(NULL, 0));
    host_settle(&host);
    assert_true(told.last.terminated);
    assert_string_equal(told.reason, "rejected");
    assert_int_equal(told.last.body.n, 0);
    taken();
    host_wait(&host, 1000);
    assert_int_equal(host_subs(&host), 0);
}

static void
who_takes_nothing_is_given_up(void **state)
{
    (void)state;
    (void)subscribe(600);
    host_wait(&host, 40000);
    assert_int_equal(host_subs(&host), 0);
}

static void
it_is_told_later_when_memory_is_short(void **state)
{
    (void)state;
    told.refuse = true;
    (void)subscribe(600);
    assert_int_equal(told.n, 0);
    told.refuse = false;
    host_wait(&host, 2000);
    assert_int_equal(told.n, 1);
    taken();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) HOST_TEST_WITH(name, 2, setup)
        TEST(who_subscribed_by_sip_sees_what_was_published_without),
        TEST(the_same_publisher_has_one_publication_that_he_need_not_name),
        TEST(a_removed_one_begins_anew_with_tags_that_were_never_given),
        TEST(a_publication_by_sip_is_modified_by_its_tag),
        TEST(the_answer_waits_for_the_store),
        TEST(what_waits_is_answered_when_the_shard_goes),
        TEST(refusals_have_their_status),
        TEST(a_subscription_that_cannot_be_made_has_its_status),
        TEST(the_state_is_told_once),
        TEST(a_slow_reader_is_told_the_newest_state_when_he_has_taken_the_last),
        TEST(taken_is_answered_before_what_follows_is_told),
        TEST(rates_hold_back_and_repeat_what_is_told),
        TEST(where_each_event_is_told_no_rate_holds_any_back),
        TEST(nothing_of_a_subscription_is_kept_and_it_ends_when_it_is_left),
        TEST(it_ends_when_the_rules_say_so_and_that_is_told),
        TEST(who_takes_nothing_is_given_up),
        TEST(it_is_told_later_when_memory_is_short),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
