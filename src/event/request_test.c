/* request_test.c - the order in which a request is handled: who it is comes before anything is kept
 * of it, and a repetition hears what the first one heard. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "event/test_setup.h"

static char tag[HD_ID_TEXT + 1], etag[HD_ID_TEXT + 1];

/* --- who asks -------------------------------------------------------------------------------- */

static void
without_digest_nothing_is_kept(void **state)
{
    (void)state;
    host.needs_digest = true;
    host_request(&host, &(struct host_request){ .expires = 3600 });
    host_request(&host, &(struct host_request){ .method = "PUBLISH", .body = "x", .expires = 60 });
    host_request(&host, &(struct host_request){ .method = "REGISTER",
                                                .expires = 60,
                                                .uri = "sip:example.test",
                                                .to_uri = "sip:alice@example.test" });
    for (int i = 0; i < 3; i++)
        assert_true(host_has(host_take_status(&host, 401), "WWW-Authenticate: Digest"));
    assert_int_equal(host_shard(&host, 0)->subs.count, 0);
    assert_int_equal(host_shard(&host, 0)->pubs.count, 0);
    assert_int_equal(host_shard(&host, 0)->accounts.count, 0);
    assert_int_equal(host_shard(&host, 0)->resources.count, 0);
    assert_int_equal(host.n_puts, 0);
}

/* Anybody can send a request for a name that is being changed. */
static void
who_has_not_shown_who_he_is_does_not_wait_behind_a_change(void **state)
{
    const struct host_request change = { .method = "REGISTER",
                                         .uri = "sip:example.test",
                                         .to_uri = "sip:alice@example.test",
                                         .expires = 600,
                                         .headers = "Authorization: 1\r\n" };
    char call_id[16];

    (void)state;
    host.needs_digest = true;
    host.store = HOST_STORE_LATER;
    host_request(&host, &change);
    assert_int_equal(HOST_COUNT(&host, 0, waiting), 1);
    for (unsigned i = 0; i < 20; i++) {
        (void)snprintf(call_id, sizeof(call_id), "flood-%u", i);
        host_request(&host, &(struct host_request){ .method = "REGISTER",
                                                    .uri = "sip:example.test",
                                                    .to_uri = "sip:alice@example.test",
                                                    .call_id = call_id,
                                                    .expires = 600 });
        host_take_status(&host, 401);
    }
    assert_int_equal(HOST_COUNT(&host, 0, waiting), 1);
    host.store = HOST_STORE_NOW;
    host_settle(&host);
    host_take_status(&host, 200);
}

static void
the_count_of_a_nonce_is_taken_once_for_a_request_that_waits(void **state)
{
    const struct host_request first = { .method = "REGISTER",
                                        .uri = "sip:example.test",
                                        .to_uri = "sip:alice@example.test",
                                        .expires = 600,
                                        .headers = "Authorization: 1\r\n" };
    struct host_request second = first;

    (void)state;
    host.needs_digest = host.counts = true;
    host.store = HOST_STORE_LATER;
    host_request(&host, &first);
    second.cseq = 2;
    second.headers = "Authorization: 2\r\n";
    host_request(&host, &second);
    host_request(&host, &second); /* again while it waits */
    host_take_nothing(&host);
    assert_int_equal(HOST_COUNT(&host, 0, waiting), 2);
    host.store = HOST_STORE_NOW;
    host_settle(&host);
    host_take_status(&host, 200);
    host_take_status(&host, 200);
    host_take_nothing(&host);
}

/* Its nonce's count was taken: the retransmission is no second use of it. */
static void
a_repetition_of_a_refused_request_hears_the_same_and_not_a_stale_nonce(void **state)
{
    static const struct {
        unsigned status;
        struct host_request request;
    } row[] = {
        { 423, { .expires = 5 } },
        { 489, { .expires = 600, .event = "x-unknown" } },
        { 406, { .expires = 600, .headers = "Accept: a/b\r\nAuthorization: 1\r\n" } },
        { 420, { .expires = 600, .headers = "Require: x\r\nAuthorization: 1\r\n" } },
        { 400, { .expires = 600, .contact = "" } },
        { 404, { .expires = 600, .uri = "sip:bob@elsewhere.test" } },
        { 415, { .expires = 600, .body = "a filter" } },
        { 200,
          { .method = "REGISTER",
            .uri = "sip:example.test",
            .contact = "",
            .expires = -1,
            .to_uri = "sip:alice@example.test" } },
        { 200, { .method = "PUBLISH", .body = "x", .expires = 0 } },
        { 412,
          { .method = "PUBLISH",
            .body = "x",
            .expires = 60,
            .headers = "SIP-If-Match: none\r\nAuthorization: 1\r\n" } },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        for (unsigned shards = 1; shards <= 3; shards += 2) {
            struct host_request request = row[i].request;
            char first[3000];
            host_done(&host);
            host_init(&host, shards);
            host.needs_digest = host.counts = true;
            host.nonce_id = shards == 1 ? 1 : UINT64_MAX; /* another shard's */
            request.port = host_port_of(&host, 0);
            if (!request.headers)
                request.headers = "Authorization: 1\r\n";
            host_request(&host, &request);
            const struct host_sent *sent = host_take_status(&host, row[i].status);
            const size_t n = sent->text.n;
            memcpy(first, sent->text.p, n);
            host_request(&host, &request);
            sent = host_take_status(&host, row[i].status);
            /* A code that leaves its trace is said with the registered phrase. */
            if (row[i].status != 404 && row[i].status != 412)
                assert_true(hd_slice_eq(sent->text, hd_slice(first, n)));
            /* The same digest in another request is a replay. */
            request.branch = "replay";
            host_request(&host, &request);
            assert_true(host_has(host_take_status(&host, 401), "stale=true"));
        }
    }
}

static void
another_text_under_the_same_branch_is_no_repetition(void **state)
{
    struct host_request request = {
        .method = "PUBLISH", .body = "x", .expires = 5, .headers = "Authorization: 1\r\n"
    };

    (void)state;
    host.needs_digest = host.counts = true;
    host_request(&host, &request);
    host_take_status(&host, 423);
    request.body = "forged";
    request.expires = 600;
    host_request(&host, &request);
    assert_true(host_has(host_take_status(&host, 401), "stale=true"));
    assert_int_equal(HOST_COUNT(&host, 0, publications), 0);
}

static void
a_repetition_while_the_count_is_taken_elsewhere_is_absorbed(void **state)
{
    const uint16_t port = host_port_of(&host, 0);
    const struct host_request request = { .expires = 3600,
                                          .port = port,
                                          .headers = "Authorization: 1\r\n" };
    const struct hd_flow flow = host_flow(port);
    char text[2000];
    const size_t n = host_write(&request, text, sizeof(text));

    (void)state;
    host.needs_digest = host.counts = true;
    host.nonce_id = UINT64_MAX; /* of the last shard */
    host_receive_on(&host, 0, &flow, hd_slice(text, n));
    host_receive_on(&host, 0, &flow, hd_slice(text, n));
    assert_int_equal(HOST_COUNT(&host, 0, absorbed), 1);
    host_settle(&host);
    host_take_status(&host, 200);
    host_take_notify(&host);
    host_take_nothing(&host);
    host_receive_on(&host, 0, &flow, hd_slice(text, n));
    host_settle(&host);
    host_take_status(&host, 200); /* from the record */
    host_take_nothing(&host);
}

static void
a_count_that_was_used_is_stale_from_any_shard(void **state)
{
    (void)state;
    host.needs_digest = host.counts = true;
    for (unsigned i = 0; i < 3; i++) {
        char call_id[8];
        (void)snprintf(call_id, sizeof(call_id), "d%u", i);
        host_request(&host, &(struct host_request){ .expires = 3600,
                                                    .call_id = call_id,
                                                    .port = host_port_of(&host, i),
                                                    .headers = "Authorization: 7\r\n" });
        if (i == 0) {
            host_take_status(&host, 200);
            host_take_notify(&host);
        } else {
            assert_true(host_has(host_take_status(&host, 401), "stale=true"));
        }
    }
}

static void
only_the_subscriber_may_refresh(void **state)
{
    (void)state;
    host_subscribe(&host, &(struct host_request){ .expires = 3600 }, tag);
    host_request(
        &host, &(struct host_request){ .to_tag = tag, .cseq = 2, .expires = 0, .from = "mallory" });
    host_take_status(&host, 403);
    assert_int_equal(HOST_COUNT(&host, 0, subscriptions), 1);
}

/* --- repetitions ----------------------------------------------------------------------------- */

static void
a_removal_is_answered_again_after_its_publication_is_gone(void **state)
{
    char headers[80];

    (void)state;
    host_publish(&host, NULL, NULL, NULL, "one", etag);
    (void)snprintf(headers, sizeof(headers), "SIP-If-Match: %s\r\n", etag);
    const struct host_request removal = { .method = "PUBLISH", .expires = 0, .headers = headers };
    host_request(&host, &removal);
    host_take_status(&host, 200);
    host_request(&host, &removal);
    host_take_status(&host, 200);
    host_wait(&host, 33000);
    assert_int_equal(host_shard(&host, 0)->pubs.count, 0);
    assert_int_equal(host_shard(&host, 0)->resources.count, 0);
    host_request(&host, &removal);
    host_take_status(&host, 412);
}

static void
an_old_publish_that_arrives_late_publishes_nothing(void **state)
{
    const struct host_request first = { .method = "PUBLISH", .expires = 600, .body = "one" };

    (void)state;
    host_request(&host, &first);
    struct hd_slice value = host_value(host_take_status(&host, 200), SIP_HDR_SIP_ETAG);
    memcpy(etag, value.p, HD_ID_TEXT);
    etag[HD_ID_TEXT] = '\0';
    for (int i = 0; i < 3; i++)
        host_publish(&host, NULL, NULL, etag, "two", etag);
    host_request(&host, &first);
    host_take_nothing(&host);
    assert_int_equal(HOST_COUNT(&host, 0, publications), 1);
}

static void
a_repeated_register_hears_the_bindings_however_many_came_after_it(void **state)
{
    struct host_request request = { .method = "REGISTER",
                                    .uri = "sip:example.test",
                                    .to_uri = "sip:alice@example.test",
                                    .expires = 600 };
    static const char *const call_ids[] = { "r0", "r1", "r2", "r3" };
    static const char *const contacts[] = { "<sip:a@1.1.1.1>", "<sip:a@1.1.1.2>", "<sip:a@1.1.1.3>",
                                            "<sip:a@1.1.1.4>" };

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        request.call_id = call_ids[i];
        request.contact = contacts[i];
        host_request(&host, &request);
        host_take_status(&host, 200);
    }
    request.call_id = call_ids[0];
    request.contact = contacts[0];
    host_request(&host, &request);
    assert_true(host_has(host_take_status(&host, 200), "sip:a@1.1.1.4"));
}

static void
cancel_matches_what_is_or_was_worked_on(void **state)
{
    (void)state;
    host_request(&host, &(struct host_request){ .method = "CANCEL", .branch = "b0" });
    host_take_status(&host, 481);
    host.store = HOST_STORE_LATER;
    host_request(&host, &(struct host_request){ .branch = "b1", .expires = 600 });
    host_request(&host, &(struct host_request){ .method = "CANCEL", .branch = "b1" });
    assert_int_equal(host_take_status(&host, 200)->msg.cseq.method, SIP_CANCEL);
    host_take_nothing(&host);
    host.store = HOST_STORE_NOW;
    host_settle(&host);
    host_take_status(&host, 200);
    host_take_notify(&host);
}

static void
cancel_of_a_publish_is_asked_for_at_its_home(void **state)
{
    (void)state;
    host.store = HOST_STORE_LATER;
    for (unsigned i = 0; i < 3; i++) {
        char branch[8];
        const uint16_t port = host_port_of(&host, i);
        (void)snprintf(branch, sizeof(branch), "k%u", i);
        host_request(&host, &(struct host_request){ .method = "PUBLISH",
                                                    .branch = branch,
                                                    .port = port,
                                                    .cseq = i + 1,
                                                    .expires = 600,
                                                    .body = "x" });
        host_request(&host,
                     &(struct host_request){ .method = "CANCEL", .branch = branch, .port = port });
        host_take_status(&host, 200);
        host_request(&host,
                     &(struct host_request){ .method = "CANCEL", .branch = "no", .port = port });
        host_take_status(&host, 481);
    }
}

static void
ack_is_never_answered_and_others_are_refused(void **state)
{
    static const struct {
        const char *method;
        unsigned status;
    } row[] = { { "INVITE", 405 }, { "BYE", 405 },     { "MESSAGE", 405 }, { "NOTIFY", 405 },
                { "REFER", 405 },  { "OPTIONS", 200 }, { "BREW", 501 } };

    (void)state;
    host_request(&host, &(struct host_request){ .method = "ACK" });
    host_take_nothing(&host);
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        host_request(&host, &(struct host_request){ .method = row[i].method });
        assert_true(host_has(host_take_status(&host, row[i].status), "Allow: SUBSCRIBE"));
    }
}

static void
a_shard_in_which_too_many_wait_says_503(void **state)
{
    struct evt_config *config = host_config_copy(&host);
    char call_id[8];

    (void)state;
    config->limits.waiting = 3;
    host_configure(&host, config, hd_slice(NULL, 0));
    host.store = HOST_STORE_LATER;
    for (unsigned i = 0; i < 6; i++) {
        (void)snprintf(call_id, sizeof(call_id), "w%u", i);
        switch (i % 3) {
        case 0:
            host_request(&host, &(struct host_request){ .call_id = call_id, .expires = 60 });
            break;
        case 1:
            host_request(&host,
                         &(struct host_request){
                             .method = "PUBLISH", .body = "x", .call_id = call_id, .expires = 60 });
            break;
        default:
            host_request(&host, &(struct host_request){ .method = "REGISTER",
                                                        .call_id = call_id,
                                                        .uri = "sip:example.test",
                                                        .to_uri = i == 2 ? "sip:alice@example.test"
                                                                         : "sip:bob@example.test",
                                                        .expires = 60 });
        }
        if (i < 3)
            host_take_nothing(&host);
        else
            assert_true(host_has(host_take_status(&host, 503), "Retry-After"));
    }
}

/* --- budgets of sources ---------------------------------------------------------------------- */

static void
budget(uint32_t burst, uint32_t per_s)
{
    struct evt_config *config = host_config_copy(&host);

    config->limits.failures_burst = burst;
    config->limits.failures_per_s = per_s;
    host_configure(&host, config, hd_slice(NULL, 0));
}

static unsigned
fail_often(unsigned n, uint16_t port, const char *method)
{
    char call_id[16];
    unsigned answered = 0;

    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(call_id, sizeof(call_id), "f%u", i);
        host_request(
            &host,
            &(struct host_request){
                .method = method, .call_id = call_id, .expires = 600, .body = NULL, .port = port });
        answered += host_count(&host);
        host_drop(&host);
    }
    return answered;
}

static void
a_source_that_only_fails_is_not_answered_any_more_but_for_its_rate(void **state)
{
    (void)state;
    budget(10, 2);
    host.needs_digest = true;
    assert_int_equal(fail_often(20, 5062, "SUBSCRIBE"), 10);
    host_wait(&host, 1);
    assert_int_equal(fail_often(20, 5062, "SUBSCRIBE"), 0);
    host_wait(&host, 1000);
    assert_int_equal(fail_often(20, 5062, "SUBSCRIBE"), 2);
    host_wait(&host, 3600000);
    assert_int_equal(fail_often(20, 5062, "SUBSCRIBE"), 10);
    assert_int_equal(HOST_COUNT(&host, 0, unanswered), 58);
}

static void
a_challenge_that_is_answered_well_costs_nothing(void **state)
{
    (void)state;
    budget(3, 1);
    host.needs_digest = true;
    for (unsigned i = 0; i < 20; i++) {
        char call_id[16];
        (void)snprintf(call_id, sizeof(call_id), "g%u", i);
        host_request(&host, &(struct host_request){ .call_id = call_id, .expires = 600 });
        host_take_status(&host, 401);
        host_request(&host, &(struct host_request){ .call_id = call_id,
                                                    .expires = 600,
                                                    .cseq = 2,
                                                    .headers = "Authorization: 1\r\n" });
        host_take_status(&host, 200);
        host_answer(&host, host_take_notify(&host), 200, NULL);
    }
}

/* What a source sends to resources of all shards comes to them through the one it is steered to. */
static void
a_source_has_its_budget_also_at_the_shards_to_which_it_is_passed_on(void **state)
{
    unsigned home = host_home(&host, "sip:bob@example.test");
    const uint16_t port = host_port_of(&host, (home + 1) % 3);

    (void)state;
    budget(10, 1);
    host.needs_digest = true;
    assert_int_equal(fail_often(30, port, "PUBLISH"), 10);
}

/* --- octets that are no request -------------------------------------------------------------- */

static void
what_cannot_be_parsed_is_400_or_dropped(void **state)
{
    static const struct {
        const char *text;
        unsigned answers;
    } row[] = {
        { "", 0 },
        { "\r\n\r\n", 0 },
        { "hello", 0 },
        { "SIP/2.0 200 OK\r\n\r\n", 0 },
        { "SUBSCRIBE sip:bob@example.test SIP/2.0\r\n\r\n", 0 },
        { "SUBSCRIBE sip:bob@example.test SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKx\r\n"
          "From: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nCSeq: 1 SUBSCRIBE\r\n\r\n",
          1 },
        { "ACK sip:bob@example.test SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKx\r\n"
          "From: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nCSeq: 1 ACK\r\n\r\n",
          0 },
        { "SUBSCRIBE sip:bob@example.test SIP/7.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKx\r\n"
          "From: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nCall-ID: x\r\nCSeq: 1 SUBSCRIBE\r\n\r\n",
          1 },
    };
    const struct hd_flow flow = host_flow(5062);

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        host_receive(&host, &flow, hd_slice_str(row[i].text));
        host_settle(&host);
        assert_int_equal(host_count(&host), row[i].answers);
        host_drop(&host);
    }
}

int
main(void)
{
#define TEST(name) HOST_TEST(name, 1)
#define TEST_SHARDS(name) HOST_TEST(name, 3)
    const struct CMUnitTest tests[] = {
        TEST(without_digest_nothing_is_kept),
        TEST(who_has_not_shown_who_he_is_does_not_wait_behind_a_change),
        TEST(the_count_of_a_nonce_is_taken_once_for_a_request_that_waits),
        TEST(a_repetition_of_a_refused_request_hears_the_same_and_not_a_stale_nonce),
        TEST(another_text_under_the_same_branch_is_no_repetition),
        TEST_SHARDS(a_repetition_while_the_count_is_taken_elsewhere_is_absorbed),
        TEST_SHARDS(a_count_that_was_used_is_stale_from_any_shard),
        TEST(only_the_subscriber_may_refresh),
        TEST(a_removal_is_answered_again_after_its_publication_is_gone),
        TEST(an_old_publish_that_arrives_late_publishes_nothing),
        TEST(a_repeated_register_hears_the_bindings_however_many_came_after_it),
        TEST(cancel_matches_what_is_or_was_worked_on),
        TEST_SHARDS(cancel_of_a_publish_is_asked_for_at_its_home),
        TEST(ack_is_never_answered_and_others_are_refused),
        TEST(a_shard_in_which_too_many_wait_says_503),
        TEST(a_source_that_only_fails_is_not_answered_any_more_but_for_its_rate),
        TEST(a_challenge_that_is_answered_well_costs_nothing),
        TEST_SHARDS(a_source_has_its_budget_also_at_the_shards_to_which_it_is_passed_on),
        TEST(what_cannot_be_parsed_is_400_or_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
