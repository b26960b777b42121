/* pub_test.c - the event publication agent against a compositor that the test plays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "herald/fake.h"
#include "herald/pub.h"

struct bench {
    struct fake fake;
    struct ua_pub *pub;
    unsigned done, news;
    struct ua_pub_result result; /* the last, without what is borrowed */
    enum ua_pub_news last_news;
    unsigned status;
};

static void
take_result(void *context, const struct ua_pub_result *result)
{
    struct bench *b = context;
    b->done++;
    b->result = *result;
    b->status = result->answer ? result->answer->status : 0;
}

static void
take_news(void *context, enum ua_pub_news news, uint32_t expires_s)
{
    struct bench *b = context;
    (void)expires_s;
    b->news++;
    b->last_news = news;
}

static void
bench_init(struct bench *b, uint32_t expires_s)
{
    memset(b, 0, sizeof *b);
    fake_init(&b->fake, HD_UDP, "bob", "secret");
    assert_int_equal(ua_pub_new(&(struct ua_pub_params){ .client = b->fake.client,
                                                         .uri = HD_LIT("sip:alice@example.test"),
                                                         .from = HD_LIT("sip:bob@example.test"),
                                                         .event = HD_LIT("presence"),
                                                         .expires_s = expires_s,
                                                         .context = b,
                                                         .done = take_result,
                                                         .reported = take_news },
                                &b->pub),
                     HD_OK);
}

static void
bench_done(struct bench *b)
{
    ua_pub_free(b->pub);
    fake_done(&b->fake);
}

static void
set(struct bench *b, const char *body)
{
    assert_int_equal(ua_pub_set(b->pub, HD_LIT("text/plain"), hd_slice_str(body)), HD_OK);
}

/* Published under the entity-tag "e1" for 3600 s. */
static void
bench_published(struct bench *b)
{
    bench_init(b, 3600);
    set(b, "one");
    fake_next(&b->fake);
    fake_reply(&b->fake, 200, "SIP-ETag: e1\r\nExpires: 3600\r\n");
    assert_int_equal(b->done, 1);
    assert_true(b->result.ok);
}

static void
check_operation(const struct sip_msg *msg, const char *etag, const char *expires, const char *body)
{
    assert_int_equal(msg->method, SIP_PUBLISH);
    assert_string_equal(fake_value(msg, "Event"), "presence");
    assert_string_equal(fake_value(msg, "Expires"), expires);
    assert_true(hd_slice_eq(msg->body, hd_slice_str(body)));
    if (etag)
        assert_string_equal(fake_value(msg, "SIP-If-Match"), etag);
    else
        assert_null(fake_value(msg, "SIP-If-Match"));
    assert_int_equal(sip_msg_has(msg, SIP_HDR_CONTENT_TYPE), *body != '\0');
}

static void
the_four_operations_are_those_of_table_1(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 3600);
    set(&b, "one");
    check_operation(fake_next(&b.fake), NULL, "3600", "one");
    fake_reply(&b.fake, 200, "SIP-ETag: e1\r\nExpires: 1800\r\n");
    assert_int_equal(b.result.op, UA_PUB_INITIAL);
    assert_int_equal(b.result.expires_s, 1800);
    set(&b, "two");
    check_operation(fake_next(&b.fake), "e1", "3600", "two");
    fake_reply(&b.fake, 200, "SIP-ETag: e2\r\nExpires: 1800\r\n");
    assert_int_equal(b.result.op, UA_PUB_MODIFY);
    fake_pass(&b.fake, 1800000 - 40001);
    fake_quiet(&b.fake);
    fake_pass(&b.fake, 1);
    check_operation(fake_next(&b.fake), "e2", "3600", "");
    fake_reply(&b.fake, 200, "SIP-ETag: e3\r\nExpires: 1800\r\n");
    assert_int_equal(b.result.op, UA_PUB_REFRESH);
    assert_int_equal(ua_pub_remove(b.pub), HD_OK);
    check_operation(fake_next(&b.fake), "e3", "0", "");
    fake_reply(&b.fake, 200, "Expires: 0\r\n");
    assert_int_equal(b.result.op, UA_PUB_REMOVE);
    assert_false(ua_pub_live(b.pub));
    assert_int_equal(ua_pub_remove(b.pub), HD_ENOMATCH);
    fake_pass(&b.fake, 10000000);
    fake_quiet(&b.fake);
    bench_done(&b);
}

static void
one_publish_at_a_time(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 3600);
    set(&b, "one");
    assert_int_equal(ua_pub_set(b.pub, HD_LIT("text/plain"), HD_LIT("two")), HD_EBUSY);
    assert_int_equal(ua_pub_remove(b.pub), HD_EBUSY);
    assert_true(ua_pub_busy(b.pub));
    bench_done(&b);
}

static void
a_412_is_followed_by_one_initial_publication(void **state)
{
    (void)state;
    struct bench b;
    bench_published(&b);
    set(&b, "two");
    fake_next(&b.fake);
    fake_reply(&b.fake, 412, NULL);
    assert_int_equal(b.last_news, UA_PUB_ANEW);
    check_operation(fake_next(&b.fake), NULL, "3600", "two");
    fake_reply(&b.fake, 412, NULL); /* an odd server: no second time */
    fake_quiet(&b.fake);
    assert_int_equal(b.done, 2);
    assert_false(b.result.ok);
    assert_true(b.result.final);
    assert_int_equal(b.status, 412);
    bench_done(&b);
}

static void
a_412_to_a_refresh_publishes_the_last_state_again(void **state)
{
    (void)state;
    struct bench b;
    bench_published(&b);
    fake_pass(&b.fake, 3600000 - 40000);
    check_operation(fake_next(&b.fake), "e1", "3600", "");
    fake_reply(&b.fake, 412, NULL);
    check_operation(fake_next(&b.fake), NULL, "3600", "one");
    fake_reply(&b.fake, 200, "SIP-ETag: e9\r\nExpires: 3600\r\n");
    assert_true(ua_pub_live(b.pub));
    bench_done(&b);
}

static void
a_412_to_a_removal_means_that_it_is_gone(void **state)
{
    (void)state;
    struct bench b;
    bench_published(&b);
    assert_int_equal(ua_pub_remove(b.pub), HD_OK);
    fake_next(&b.fake);
    fake_reply(&b.fake, 412, NULL);
    fake_quiet(&b.fake);
    assert_true(b.result.ok);
    assert_int_equal(b.result.op, UA_PUB_REMOVE);
    bench_done(&b);
}

static void
a_duration_that_is_too_brief_is_raised(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 10);
    set(&b, "one");
    fake_next(&b.fake);
    fake_reply(&b.fake, 423, "Min-Expires: 60\r\n");
    assert_int_equal(b.last_news, UA_PUB_TOO_BRIEF);
    check_operation(fake_next(&b.fake), NULL, "60", "one");
    fake_reply(&b.fake, 423, "Min-Expires: 60\r\n");
    fake_quiet(&b.fake);
    assert_true(b.result.final);
    bench_done(&b);
}

static void
a_refusal_is_final(void **state)
{
    (void)state;
    static const unsigned status[] = { 400, 403, 404, 413, 415, 489, 500, 503 };
    for (size_t i = 0; i < HD_ARRAY_LEN(status); i++) {
        struct bench b;
        bench_init(&b, 3600);
        set(&b, "one");
        fake_next(&b.fake);
        fake_reply(&b.fake, status[i], NULL);
        assert_int_equal(b.done, 1);
        assert_true(b.result.final);
        assert_int_equal(b.status, status[i]);
        assert_false(ua_pub_live(b.pub));
        bench_done(&b);
    }
}

static void
a_refused_modification_leaves_the_publication(void **state)
{
    (void)state;
    struct bench b;
    bench_published(&b);
    set(&b, "bad");
    fake_next(&b.fake);
    fake_reply(&b.fake, 415, NULL);
    assert_false(b.result.ok);
    assert_true(ua_pub_live(b.pub));
    fake_pass(&b.fake, 3600000 - 40000);
    check_operation(fake_next(&b.fake), "e1", "3600", "");
    bench_done(&b);
}

static void
a_refresh_that_fails_for_now_is_tried_again(void **state)
{
    (void)state;
    struct bench b;
    bench_published(&b);
    fake_pass(&b.fake, 3600000 - 40000);
    fake_next(&b.fake);
    fake_reply(&b.fake, 503, "Retry-After: 5\r\n");
    assert_false(b.result.final);
    assert_int_equal(b.result.wait_s, 5);
    fake_pass(&b.fake, 4999);
    fake_quiet(&b.fake);
    fake_pass(&b.fake, 1);
    check_operation(fake_next(&b.fake), "e1", "3600", "");
    fake_reply(&b.fake, 200, "SIP-ETag: e2\r\nExpires: 3600\r\n");
    assert_true(b.result.ok);
    bench_done(&b);
}

static void
a_publication_that_expired_meanwhile_is_published_anew(void **state)
{
    (void)state;
    struct bench b;
    bench_published(&b);
    fake_pass(&b.fake, 3600000 - 40000);
    fake_next(&b.fake);
    fake_reply(&b.fake, 503, "Retry-After: 50\r\n");
    fake_pass(&b.fake, 50000);
    assert_int_equal(b.last_news, UA_PUB_ANEW);
    check_operation(fake_next(&b.fake), NULL, "3600", "one");
    bench_done(&b);
}

static void
an_answer_without_entity_tag_is_told(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 3600);
    set(&b, "one");
    fake_next(&b.fake);
    fake_reply(&b.fake, 200, "Expires: 3600\r\n");
    assert_false(b.result.ok);
    assert_non_null(b.result.problem);
    bench_done(&b);
}

static void
without_a_duration_the_server_chooses(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 0);
    set(&b, "one");
    assert_null(fake_value(fake_next(&b.fake), "Expires"));
    fake_reply(&b.fake, 200, "SIP-ETag: e1\r\nExpires: 7200\r\n");
    assert_int_equal(b.result.expires_s, 7200);
    bench_done(&b);
}

static void
no_answer_is_a_timeout(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, 3600);
    set(&b, "one");
    fake_pass(&b.fake, 32000);
    assert_int_equal(b.done, 1);
    assert_true(b.result.final);
    assert_int_equal(b.status, 0);
    bench_done(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_four_operations_are_those_of_table_1),
        cmocka_unit_test(one_publish_at_a_time),
        cmocka_unit_test(a_412_is_followed_by_one_initial_publication),
        cmocka_unit_test(a_412_to_a_refresh_publishes_the_last_state_again),
        cmocka_unit_test(a_412_to_a_removal_means_that_it_is_gone),
        cmocka_unit_test(a_duration_that_is_too_brief_is_raised),
        cmocka_unit_test(a_refusal_is_final),
        cmocka_unit_test(a_refused_modification_leaves_the_publication),
        cmocka_unit_test(a_refresh_that_fails_for_now_is_tried_again),
        cmocka_unit_test(a_publication_that_expired_meanwhile_is_published_anew),
        cmocka_unit_test(an_answer_without_entity_tag_is_told),
        cmocka_unit_test(without_a_duration_the_server_chooses),
        cmocka_unit_test(no_answer_is_a_timeout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
