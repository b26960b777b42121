/* partial_test.c - who acknowledged a state is told what changed since; everybody else gets the
 * whole (RFC 4235 section 4.1, RFC 3858 section 4). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "event/test_setup.h"

#define BOB "sip:bob@example.test"

static unsigned rendered;

/* --- a package of documents "v0:words", of which a partial one says "v0+more words" ----------- */

static bool
hole(const struct evt_package *package, const struct evt_doc *doc, struct hd_slice *ret_hole)
{
    (void)package;
    *ret_hole = hd_slice(doc->body.p + 1, 1);
    return true;
}

static enum hd_err
render(const struct evt_package *package, struct hd_slice entity, uint8_t types,
       const struct evt_doc *base, struct evt_doc *doc, struct evt_doc **ret_doc)
{
    char text[256];

    (void)package;
    (void)entity;
    (void)types;
    if (!base || !hd_slice_starts(doc->body, base->body))
        return HD_ENOTSUP;
    rendered++;
    int n = snprintf(text, sizeof(text), "v0+%.*s", HD_FMT(hd_slice_from(doc->body, base->body.n)));
    *ret_doc = evt_doc_new(HD_LIT("text/plain"), hd_slice(text, (size_t)n));
    return HD_OK;
}

static const struct evt_package_ops ops = {
    .validate = host_text_validate,
    .compose = host_text_compose,
    .neutral = host_text_neutral,
    .hole = hole,
    .render = render,
};
static const struct hd_slice types[] = { { "text/plain", 10 } };
static const struct evt_package package = {
    .magic = EVT_PACKAGE_MAGIC,
    .name = { "x-words", 7 },
    .ops = &ops,
    .types = types,
    .n_types = 1,
    .min_expires_s = 60,
    .default_expires_s = 3600,
    .max_expires_s = 86400,
    .authorisation = EVT_AUTHORISE_ALLOW,
    .neutral_body = { "v0:none", 7 },
    .partial = true,
};
static const struct evt_package *const list[] = { &package };

static char etag[HD_ID_TEXT + 1];

static int
setup(void **state)
{
    (void)host_setup(state);
    rendered = 0;
    struct evt_config *config = host_config_copy(&host);
    config->packages = list;
    config->n_packages = 1;
    host_configure(&host, config, hd_slice(NULL, 0));
    host_settle(&host);
    return 0;
}

static void
publish(const char *body)
{
    host_publish(&host, NULL, "x-words", etag[0] ? etag : NULL, body, etag);
}

static void
begin(void)
{
    etag[0] = '\0';
    publish("v0:ann is in the garden");
}

static void
subscribe(const char *call_id, const char *to_tag, uint32_t cseq, char ret_tag[HD_ID_TEXT + 1])
{
    host_request(&host, &(struct host_request){ .call_id = call_id,
                                                .event = "x-words",
                                                .to_tag = to_tag,
                                                .cseq = cseq,
                                                .expires = 3600 });
    const struct host_sent *sent = host_take_status(&host, 200);
    if (ret_tag)
        (void)snprintf(ret_tag, HD_ID_TEXT + 1, "%.*s", HD_FMT(sent->msg.to_tag));
}

static const struct host_sent *
expect(const char *body)
{
    const struct host_sent *sent = host_take_notify(&host);

    assert_int_equal(sent->msg.body.n, strlen(body));
    assert_memory_equal(sent->msg.body.p, body, strlen(body));
    return sent;
}

/* --- tests ----------------------------------------------------------------------------------- */

static void
who_acknowledged_is_told_what_changed(void **state)
{
    (void)state;
    begin();
    subscribe("c1", NULL, 1, NULL);
    host_answer(&host, expect("v0:ann is in the garden"), 200, NULL);
    publish("v0:ann is in the garden today");
    host_answer(&host, expect("v1+ today"), 200, NULL);
    publish("v0:ann is in the garden today again");
    host_answer(&host, expect("v2+ again"), 200, NULL);
    publish("v0:else"); /* nothing partial can be said */
    host_answer(&host, expect("v3:else"), 200, NULL);
}

static void
one_rendering_serves_all_who_have_the_same(void **state)
{
    (void)state;
    begin();
    for (unsigned i = 0; i < 5; i++) {
        char call_id[8];
        (void)snprintf(call_id, sizeof(call_id), "c%u", i);
        subscribe(call_id, NULL, 1, NULL);
        host_answer(&host, expect("v0:ann is in the garden"), 200, NULL);
    }
    publish("v0:ann is in the garden today");
    for (unsigned i = 0; i < 5; i++)
        host_answer(&host, expect("v1+ today"), 200, NULL);
    assert_int_equal(rendered, 1);
}

static void
what_was_missed_meanwhile_is_in_it(void **state)
{
    (void)state;
    begin();
    subscribe("c1", NULL, 1, NULL);
    const struct host_sent *sent = expect("v0:ann is in the garden");
    publish("v0:ann is in the garden today");
    publish("v0:ann is in the garden today again");
    host_answer(&host, sent, 200, NULL);
    host_answer(&host, expect("v1+ today again"), 200, NULL);
}

static void
a_refresh_gets_the_whole(void **state)
{
    char tag[HD_ID_TEXT + 1];

    (void)state;
    begin();
    subscribe("c1", NULL, 1, tag);
    host_answer(&host, expect("v0:ann is in the garden"), 200, NULL);
    subscribe("c1", tag, 2, NULL);
    host_answer(&host, expect("v1:ann is in the garden"), 200, NULL);
    publish("v0:ann is in the garden today");
    host_answer(&host, expect("v2+ today"), 200, NULL);
}

static void
after_a_failure_the_whole_is_sent(void **state)
{
    (void)state;
    begin();
    subscribe("c1", NULL, 1, NULL);
    host_answer(&host, expect("v0:ann is in the garden"), 200, NULL);
    publish("v0:ann is in the garden today");
    host_answer(&host, expect("v1+ today"), 500, NULL);
    publish("v0:ann is in the garden today again");
    host_wait(&host, 4000);
    host_answer(&host, expect("v2:ann is in the garden today again"), 200, NULL);
    publish("v0:ann is in the garden today again and again");
    host_answer(&host, expect("v3+ and again"), 200, NULL);
}

static void
an_old_base_is_not_known_any_more(void **state)
{
    char body[64];

    (void)state;
    begin();
    subscribe("c1", NULL, 1, NULL);
    const struct host_sent *sent = expect("v0:ann is in the garden");
    for (unsigned i = 0; i < EVT_PAST_KEPT + 1; i++) {
        (void)snprintf(body, sizeof(body), "v0:ann is in the garden%u", i);
        publish(body);
    }
    host_answer(&host, sent, 200, NULL);
    host_answer(&host, expect("v1:ann is in the garden8"), 200, NULL);
}

static void
a_partial_document_that_is_longer_is_not_used(void **state)
{
    (void)state;
    etag[0] = '\0';
    publish("v0"); /* "v0+:none" would be longer than "v0:none" */
    subscribe("c1", NULL, 1, NULL);
    host_answer(&host, expect("v0"), 200, NULL);
    publish("v0:none");
    host_answer(&host, expect("v1:none"), 200, NULL);
    assert_int_equal(rendered, 1);
}

static void
a_package_that_does_without_keeps_no_past(void **state)
{
    static struct evt_package plain;
    static const struct evt_package *const plain_list[] = { &plain };
    struct evt_config *config = host_config_copy(&host);

    (void)state;
    begin();
    subscribe("c1", NULL, 1, NULL);
    host_answer(&host, expect("v0:ann is in the garden"), 200, NULL);
    publish("v0:ann is in the garden today");
    host_answer(&host, expect("v1+ today"), 200, NULL);
    plain = package;
    plain.partial = false;
    config->packages = plain_list;
    host_configure(&host, config, hd_slice(NULL, 0));
    host_settle(&host);
    publish("v0:ann is in the garden today again");
    host_answer(&host, expect("v2:ann is in the garden today again"), 200, NULL);
    assert_null(evt_mirror_find(host_shard(&host, 0), HD_LIT(BOB), HD_LIT("x-words"))->past);
}

/* RFC 5839 section 4: with partial notification the tag is that of the full state. */
static void
a_partial_document_has_the_tag_of_the_whole(void **state)
{
    char part[EVT_TAG_TEXT];

    (void)state;
    begin();
    subscribe("c1", NULL, 1, NULL);
    host_answer(&host, expect("v0:ann is in the garden"), 200, NULL);
    publish("v0:ann is in the garden today");
    const struct host_sent *sent = expect("v1+ today");
    assert_int_equal(host_value(sent, SIP_HDR_SIP_ETAG).n, EVT_TAG_TEXT);
    memcpy(part, host_value(sent, SIP_HDR_SIP_ETAG).p, EVT_TAG_TEXT);
    host_answer(&host, sent, 200, NULL);
    subscribe("c2", NULL, 1, NULL); /* another version number inside */
    sent = expect("v0:ann is in the garden today");
    assert_memory_equal(part, host_value(sent, SIP_HDR_SIP_ETAG).p, EVT_TAG_TEXT);
    host_answer(&host, sent, 200, NULL);
}

int
main(void)
{
#define TEST(name) HOST_TEST_WITH(name, 1, setup)
    const struct CMUnitTest tests[] = {
        TEST(who_acknowledged_is_told_what_changed),
        TEST(one_rendering_serves_all_who_have_the_same),
        TEST(what_was_missed_meanwhile_is_in_it),
        TEST(a_refresh_gets_the_whole),
        TEST(after_a_failure_the_whole_is_sent),
        TEST(an_old_base_is_not_known_any_more),
        TEST(a_partial_document_that_is_longer_is_not_used),
        TEST(a_package_that_does_without_keeps_no_past),
        TEST(a_partial_document_has_the_tag_of_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
