/* lately_test.c - how long things took, as the flow recorder's newest entries tell it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "event/test_setup.h"

#define TOLD_MOST 4096

static char etag[HD_ID_TEXT + 1];

/* What was told, the newest first. */
static struct {
    enum evt_took what;
    uint64_t ms;
} took[TOLD_MOST];
static struct evt_moment moments[TOLD_MOST];
static unsigned n_took, n_moments;

static void
note_took(void *context, enum evt_took what, uint64_t us)
{
    (void)context;
    assert_true(n_took < TOLD_MOST);
    took[n_took].what = what;
    took[n_took++].ms = us / 1000;
}

static void
note_moment(void *context, const struct evt_moment *moment)
{
    (void)context;
    assert_true(n_moments < TOLD_MOST);
    moments[n_moments++] = *moment;
}

static void
look(uint64_t span_ms, uint32_t most)
{
    const struct evt_lately lately = {
        .span_us = span_ms * 1000, .most = most, .took = note_took, .moment = note_moment
    };

    n_took = n_moments = 0;
    evt_shard_lately(host_shard(&host, 0), &lately, host.now_ms * 1000);
}

/* How many of a kind, and the newest of them. */
static unsigned
of_kind(enum evt_moment_kind kind, struct evt_moment *ret_newest)
{
    unsigned n = 0;

    for (unsigned i = 0; i < n_moments; i++)
        if (moments[i].kind == kind && n++ == 0 && ret_newest)
            *ret_newest = moments[i];
    return n;
}

static unsigned
of_took(enum evt_took what, uint64_t *ret_newest_ms)
{
    unsigned n = 0;

    for (unsigned i = 0; i < n_took; i++)
        if (took[i].what == what && n++ == 0 && ret_newest_ms)
            *ret_newest_ms = took[i].ms;
    return n;
}

static void
subscribe(const char *call_id)
{
    char tag[HD_ID_TEXT + 1];

    host_subscribe(&host, &(struct host_request){ .call_id = call_id, .expires = 600 }, tag);
}

/* Publishes; the store takes so long, and the answer to the NOTIFY as well. */
static void
publish_slowly(const char *body, uint64_t store_ms, uint64_t answer_ms)
{
    const struct host_request request = {
        .method = "PUBLISH", .from = "bob", .call_id = body, .body = body, .expires = 600
    };

    host.store = HOST_STORE_LATER;
    host_request(&host, &request);
    host_wait(&host, store_ms);
    host_store_release(&host, 1, HD_OK);
    host.store = HOST_STORE_NOW;
    host_settle(&host);
    (void)host_take_status(&host, 200);
    struct host_sent *notify = host_take_notify(&host);
    host_wait(&host, answer_ms);
    host_answer(&host, notify, 200, NULL);
}

static void
a_request_and_a_notify_take_as_long_as_their_answer(void **state)
{
    struct evt_moment published = { 0 }, notified = { 0 };
    uint64_t ms = 0;

    (void)state;
    subscribe("c1");
    host_wait(&host, 5000);
    publish_slowly("one", 70, 30);
    look(1000, 100);
    assert_int_equal(of_took(EVT_TOOK_REQUEST, &ms), 1);
    assert_int_equal(ms, 70);
    assert_int_equal(of_took(EVT_TOOK_ANSWER, &ms), 1);
    assert_int_equal(ms, 30);
    /* The publication counts from when its request came, not from when it was kept. */
    assert_int_equal(of_kind(EVT_MOMENT_PUBLISHED, &published), 1);
    assert_int_equal(of_kind(EVT_MOMENT_NOTIFIED, &notified), 1);
    assert_int_equal(published.at_us - published.began_us, 70000);
    assert_int_equal(notified.at_us, published.at_us);
    assert_true(notified.resource == published.resource);
    assert_true(notified.sub == host_sub(&host, 0)->id && published.sub == 0);
}

static void
what_is_older_than_the_span_is_not_told(void **state)
{
    (void)state;
    subscribe("c1");
    look(1000, 100);
    assert_int_equal(of_took(EVT_TOOK_REQUEST, NULL), 1);
    assert_int_equal(of_kind(EVT_MOMENT_BEGAN, NULL), 1);
    host_wait(&host, 1001);
    look(1000, 100);
    assert_int_equal(n_took + n_moments, 0);
    look(UINT64_MAX / 1000, 100); /* more than there was time */
    assert_int_equal(of_took(EVT_TOOK_REQUEST, NULL), 1);
}

static void
so_many_entries_are_read_and_no_more(void **state)
{
    (void)state;
    subscribe("c1");
    look(1000, 0);
    assert_int_equal(n_took + n_moments, 0);
    look(1000, 1); /* the 2xx to the NOTIFY: of what is not known yet */
    assert_int_equal(n_took, 0);
    look(1000, 100);
    assert_int_equal(of_took(EVT_TOOK_ANSWER, NULL), 1);
}

static void
a_request_that_is_refused_and_a_notify_that_is_not_answered_took_nothing(void **state)
{
    (void)state;
    subscribe("c1");
    host_publish(&host, "sip:bob@example.test", "x-state", NULL, "one", etag);
    host_wait(&host, 600); /* it is sent again, and not answered */
    host_drop(&host);
    host_wait(&host, 3000);
    host_drop(&host);
    host_request(&host, &(struct host_request){ .event = "none", .call_id = "c2" });
    (void)host_take_status(&host, 489);
    look(3500, 100);
    assert_int_equal(n_took, 0);
    /* Each time that it left is told, and that its octets are the same. */
    assert_true(of_kind(EVT_MOMENT_NOTIFIED, NULL) >= 2);
    for (unsigned i = 1; i < n_moments; i++)
        assert_true(moments[i].kind != EVT_MOMENT_NOTIFIED ||
                    moments[i].octets == moments[0].octets);
}

static void
what_is_held_back_is_told(void **state)
{
    struct evt_moment held = { 0 };
    char tag[HD_ID_TEXT + 1];

    (void)state;
    host_subscribe(&host, &(struct host_request){ .event = "x-paced", .expires = 600 }, tag);
    host_publish(&host, "sip:bob@example.test", "x-paced", NULL, "one", etag);
    host_take_nothing(&host);
    look(1000, 100);
    assert_int_equal(of_kind(EVT_MOMENT_HELD, &held), 1);
    assert_true(held.sub == host_sub(&host, 0)->id);
}

static void
what_is_over_is_not_told(void **state)
{
    char tag[HD_ID_TEXT + 1], headers[64];

    (void)state;
    host_subscribe(&host, &(struct host_request){ .expires = 600 }, tag);
    host_publish(&host, "sip:bob@example.test", "x-state", NULL, "one", etag);
    host_answer(&host, host_take_notify(&host), 200, NULL);
    host_request(&host, &(struct host_request){ .to_tag = tag, .cseq = 2, .expires = 0 });
    (void)host_take_status(&host, 200);
    host_answer(&host, host_take_notify(&host), 200, NULL);
    (void)snprintf(headers, sizeof(headers), "SIP-If-Match: %s\r\n", etag);
    host_request(&host, &(struct host_request){ .method = "PUBLISH",
                                                .from = "bob",
                                                .call_id = "end",
                                                .headers = headers,
                                                .expires = 0 });
    (void)host_take_status(&host, 200);
    look(1000, 100);
    assert_int_equal(of_kind(EVT_MOMENT_NOTIFIED, NULL), 0);
    assert_int_equal(of_kind(EVT_MOMENT_BEGAN, NULL), 0);
    assert_int_equal(of_kind(EVT_MOMENT_PUBLISHED, NULL), 0);
    assert_true(n_took > 0); /* how long it took is known all the same */
}

/* More publications than are remembered until their request is met: the first are told as they are
 * pushed out, none is lost and none told twice. */
static void
a_hundred_publications_of_one_turn_are_told_once_each(void **state)
{
    char call_id[16];

    (void)state;
    subscribe("c1");
    host_wait(&host, 1000);
    host.store = HOST_STORE_LATER;
    for (unsigned i = 0; i < 100; i++) {
        (void)snprintf(call_id, sizeof(call_id), "p%u", i);
        host_request(&host, &(struct host_request){ .method = "PUBLISH",
                                                    .uri = i % 2 ? NULL : "sip:carol@example.test",
                                                    .from = "bob",
                                                    .call_id = call_id,
                                                    .body = "x",
                                                    .expires = 600 });
    }
    host_wait(&host, 20);
    host_store_release(&host, 200, HD_OK); /* with what is written late */
    host_settle(&host);
    host_drop(&host);
    look(900, 100000);
    assert_int_equal(of_kind(EVT_MOMENT_PUBLISHED, NULL), 100);
    /* A newer answer may take the place of an older one that waits for its request. */
    assert_true(of_took(EVT_TOOK_REQUEST, NULL) >= 90);
    for (unsigned i = 0; i < n_took; i++)
        assert_true(took[i].what != EVT_TOOK_REQUEST || took[i].ms == 20);
}

static void
without_a_recorder_nothing_is_told(void **state)
{
    struct evt_config *config = host_config_copy(&host);

    (void)state;
    config->limits.recorder = 0;
    host_configure(&host, config, hd_slice(NULL, 0));
    subscribe("c1");
    look(1000, 100);
    assert_int_equal(n_took + n_moments, 0);
}

int
main(void)
{
#define TEST(name) HOST_TEST(name, 1)
    const struct CMUnitTest tests[] = {
        TEST(a_request_and_a_notify_take_as_long_as_their_answer),
        TEST(what_is_older_than_the_span_is_not_told),
        TEST(so_many_entries_are_read_and_no_more),
        TEST(a_request_that_is_refused_and_a_notify_that_is_not_answered_took_nothing),
        TEST(what_is_held_back_is_told),
        TEST(what_is_over_is_not_told),
        TEST(a_hundred_publications_of_one_turn_are_told_once_each),
        TEST(without_a_recorder_nothing_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
