/* publish_test.c - publications (RFC 3903 sections 4 and 6): entity-tags, durations, what is shown
 * of several, and what the store's word means at every moment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "event/test_setup.h"

#define BOB "sip:bob@example.test"

static unsigned serial;

static void
send_publish(const char *etag, const char *body, int64_t expires)
{
    char headers[80] = "", call_id[16];

    if (etag)
        (void)snprintf(headers, sizeof(headers), "SIP-If-Match: %s\r\n", etag);
    (void)snprintf(call_id, sizeof(call_id), "q%u", ++serial);
    host_request(&host, &(struct host_request){ .method = "PUBLISH",
                                                .headers = headers,
                                                .body = body,
                                                .expires = expires,
                                                .call_id = call_id });
}

static void
publish(const char *etag, const char *body, int64_t expires, unsigned status,
        char ret_etag[HD_ID_TEXT + 1])
{
    send_publish(etag, body, expires);
    const struct host_sent *sent = host_take_status(&host, status);
    struct hd_slice value = host_value(sent, SIP_HDR_SIP_ETAG);
    if (ret_etag && value.n == HD_ID_TEXT) {
        memcpy(ret_etag, value.p, HD_ID_TEXT);
        ret_etag[HD_ID_TEXT] = '\0';
    }
}

/* What a fetch shows now. */
static void
assert_shown(const char *body)
{
    char call_id[16];

    (void)snprintf(call_id, sizeof(call_id), "see%u", ++serial);
    host_request(&host, &(struct host_request){ .expires = 0, .call_id = call_id });
    host_take_status(&host, 200);
    struct host_sent *sent = host_take_notify(&host);
    if (!hd_slice_eq(sent->msg.body, hd_slice_str(body)))
        print_error("shown: %.*s\n", HD_FMT(sent->msg.body));
    assert_true(hd_slice_eq(sent->msg.body, hd_slice_str(body)));
    host_answer(&host, sent, 200, NULL);
}

static void
each_change_has_another_tag_and_the_old_one_is_412(void **state)
{
    char first[HD_ID_TEXT + 1], second[HD_ID_TEXT + 1], third[HD_ID_TEXT + 1];

    (void)state;
    publish(NULL, "one", 600, 200, first);
    publish(first, "two", 600, 200, second);
    publish(second, NULL, 600, 200, third);
    assert_string_not_equal(first, second);
    assert_string_not_equal(second, third);
    publish(first, "no", 600, 412, NULL);
    publish(second, "no", 600, 412, NULL);
    assert_shown("two");
    publish(third, NULL, 0, 200, NULL);
    publish(third, NULL, 0, 412, NULL);
    assert_shown("(none)");
}

static void
a_tag_is_good_for_its_resource_and_package_alone(void **state)
{
    char etag[HD_ID_TEXT + 1], headers[80];

    (void)state;
    publish(NULL, "one", 600, 200, etag);
    (void)snprintf(headers, sizeof(headers), "SIP-If-Match: %s\r\n", etag);
    host_request(&host, &(struct host_request){ .method = "PUBLISH",
                                                .headers = headers,
                                                .uri = "sip:ann@example.test",
                                                .expires = 0 });
    host_take_status(&host, 412);
    host_request(
        &host,
        &(struct host_request){
            .method = "PUBLISH", .headers = headers, .event = "x-every", .expires = 0, .cseq = 2 });
    host_take_status(&host, 412);
    assert_shown("one");
}

static void
it_expires_at_its_time_and_a_refresh_moves_that(void **state)
{
    char etag[HD_ID_TEXT + 1];

    (void)state;
    publish(NULL, "one", 100, 200, etag);
    host_wait(&host, 99000);
    publish(etag, NULL, 100, 200, etag);
    host_wait(&host, 99000);
    assert_shown("one");
    host_wait(&host, 1000);
    assert_shown("(none)");
    publish(etag, NULL, 100, 412, NULL);
    host_wait(&host, 70000);
    assert_int_equal(host_shard(&host, 0)->pubs.count, 0);
    assert_int_equal(host_shard(&host, 0)->resources.count, 0);
}

static void
a_refresh_in_time_is_waited_for(void **state)
{
    char etag[HD_ID_TEXT + 1];

    (void)state;
    publish(NULL, "one", 60, 200, etag);
    host_wait(&host, 59000);
    host.store = HOST_STORE_LATER;
    send_publish(etag, NULL, 600);
    host_wait(&host, 3000);
    host_take_nothing(&host);
    host.store = HOST_STORE_NOW;
    host_settle(&host);
    host_take_status(&host, 200);
    assert_shown("one");
}

static void
a_refresh_in_time_that_is_not_kept_lets_it_expire(void **state)
{
    char etag[HD_ID_TEXT + 1];

    (void)state;
    publish(NULL, "one", 60, 200, etag);
    host_wait(&host, 59000);
    host.store = HOST_STORE_LATER;
    send_publish(etag, NULL, 600);
    host_wait(&host, 3000);
    host_store_release(&host, 1, HD_ESTORE);
    host_settle(&host);
    host_take_status(&host, 503);
    host.store = HOST_STORE_NOW;
    assert_shown("(none)");
}

static void
what_the_store_did_not_keep_is_shown_to_nobody(void **state)
{
    char etag[HD_ID_TEXT + 1];

    (void)state;
    publish(NULL, "one", 600, 200, etag);
    host.store = HOST_STORE_FAILS;
    publish(etag, "two", 600, 503, NULL);
    publish(etag, NULL, 0, 503, NULL);
    publish(NULL, "more", 600, 503, NULL);
    host.store = HOST_STORE_REFUSES;
    publish(etag, "two", 600, 503, NULL);
    publish(NULL, "more", 600, 503, NULL);
    host.store = HOST_STORE_NOW;
    assert_shown("one");
    publish(etag, "two", 600, 200, NULL);
    assert_int_equal(HOST_COUNT(&host, 0, publications), 1);
}

static void
while_the_store_works_the_old_state_is_shown_and_changes_wait(void **state)
{
    char etag[HD_ID_TEXT + 1];

    (void)state;
    publish(NULL, "one", 600, 200, etag);
    host.store = HOST_STORE_LATER;
    send_publish(etag, "two", 600);
    send_publish(etag, "three", 600); /* waits, and finds another tag in force */
    host_take_nothing(&host);
    assert_shown("one");
    host_store_release(&host, 1, HD_OK);
    host.store = HOST_STORE_NOW;
    host_settle(&host);
    host_take_status(&host, 200);
    host_take_status(&host, 412);
    assert_shown("two");
}

static void
the_newest_of_several_is_shown_and_the_next_when_it_goes(void **state)
{
    char first[HD_ID_TEXT + 1], second[HD_ID_TEXT + 1];

    (void)state;
    publish(NULL, "one", 600, 200, first);
    publish(NULL, "two", 100, 200, second);
    assert_shown("two");
    publish(first, "newer", 600, 200, first);
    assert_shown("newer");
    publish(second, NULL, 100, 200, second); /* a refresh is no new state */
    assert_shown("newer");
    publish(first, NULL, 0, 200, NULL);
    assert_shown("two");
    host_wait(&host, 100000);
    assert_shown("(none)");
}

static void
what_cannot_be_composed_is_shown_as_it_is(void **state)
{
    (void)state;
    publish(NULL, "one", 600, 200, NULL);
    publish(NULL, "alone", 600, 200, NULL);
    assert_shown("alone");
}

static void
requests_that_are_wrong_are_refused(void **state)
{
    struct evt_config *config = host_config_copy(&host);
    char etag[HD_ID_TEXT + 1], body[200];

    (void)state;
    config->limits.max_body = 100;
    host_configure(&host, config, hd_slice(NULL, 0));
    publish(NULL, NULL, 600, 400, NULL); /* nothing to begin with */
    publish(NULL, "bad", 600, 400, NULL);
    publish(NULL, "other", 600, 415, NULL);
    publish(NULL, "one", 59, 423, NULL);
    publish("nonsense", "one", 600, 412, NULL);
    publish("a, b", "one", 600, 400, NULL);
    publish("a\r\nSIP-If-Match: b", "one", 600, 400, NULL);
    memset(body, 'x', sizeof(body) - 1);
    body[sizeof(body) - 1] = '\0';
    publish(NULL, body, 600, 413, NULL);
    assert_int_equal(host_shard(&host, 0)->resources.count, 0);
    publish(NULL, "one", 0, 200, etag); /* gone at once */
    publish(etag, NULL, 600, 412, NULL);
    assert_int_equal(host_shard(&host, 0)->resources.count, 0);
    assert_int_equal(host.n_puts, 0);
}

static void
a_resource_has_a_bound_of_publications_also_of_those_under_way(void **state)
{
    struct evt_config *config = host_config_copy(&host);
    unsigned ok = 0;

    (void)state;
    config->limits.publications_per_resource = 2;
    host_configure(&host, config, hd_slice(NULL, 0));
    host.store = HOST_STORE_LATER;
    for (unsigned i = 0; i < 5; i++)
        send_publish(NULL, "one", 600);
    host.store = HOST_STORE_NOW;
    host_settle(&host);
    for (struct host_sent *sent; (sent = host_take(&host)) != NULL;)
        ok += sent->msg.status == 200;
    assert_int_equal(ok, 2);
    assert_int_equal(HOST_COUNT(&host, 0, publications), 2);
}

static void
the_same_state_again_is_no_news(void **state)
{
    char tag[HD_ID_TEXT + 1], etag[HD_ID_TEXT + 1];

    (void)state;
    publish(NULL, "one", 600, 200, etag);
    host_subscribe(&host, &(struct host_request){ .expires = 600 }, tag);
    publish(etag, "one", 600, 200, etag);
    host_take_nothing(&host);
    publish(etag, "two", 600, 200, etag);
    assert_true(hd_slice_eq(host_take_notify(&host)->msg.body, HD_LIT("two")));
}

static void
a_long_content_type_is_kept(void **state)
{
    char text[10000], type[8000];
    const struct hd_flow flow = host_flow(5062);
    size_t n;

    (void)state;
    memset(type, 'p', sizeof(type));
    n = (size_t)snprintf(text, sizeof(text),
                         "PUBLISH sip:bob@example.test SIP/2.0\r\n"
                         "Via: SIP/2.0/UDP 198.51.100.9:5062;rport;branch=z9hG4bKlong\r\n"
                         "From: <sip:bob@example.test>;tag=f1\r\nTo: <sip:bob@example.test>\r\n"
                         "Call-ID: long\r\nCSeq: 1 PUBLISH\r\nEvent: x-state\r\nExpires: 600\r\n"
                         "Content-Type: text/plain;p=%.7900s\r\nContent-Length: 1\r\n\r\nx",
                         type);
    host_receive(&host, &flow, hd_slice(text, n));
    host_settle(&host);
    host_take_status(&host, 200);
}

int
main(void)
{
#define TEST(name) HOST_TEST(name, 1)
    const struct CMUnitTest tests[] = {
        TEST(each_change_has_another_tag_and_the_old_one_is_412),
        TEST(a_tag_is_good_for_its_resource_and_package_alone),
        TEST(it_expires_at_its_time_and_a_refresh_moves_that),
        TEST(a_refresh_in_time_is_waited_for),
        TEST(a_refresh_in_time_that_is_not_kept_lets_it_expire),
        TEST(what_the_store_did_not_keep_is_shown_to_nobody),
        TEST(while_the_store_works_the_old_state_is_shown_and_changes_wait),
        TEST(the_newest_of_several_is_shown_and_the_next_when_it_goes),
        TEST(what_cannot_be_composed_is_shown_as_it_is),
        TEST(requests_that_are_wrong_are_refused),
        TEST(a_resource_has_a_bound_of_publications_also_of_those_under_way),
        TEST(the_same_state_again_is_no_news),
        TEST(a_long_content_type_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
