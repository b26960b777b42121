/* patch_test.c - a publisher says what changes in what he published: the outcome is what is kept,
 * acknowledged and shown, once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "event/test_setup.h"

static unsigned serial;

/* --- a package whose patches are words that go behind what is there -------------------------- */

static bool
has(struct hd_slice text, struct hd_slice word)
{
    for (; text.n; text = hd_slice_from(text, 1))
        if (hd_slice_starts(text, word))
            return true;
    return false;
}

static enum hd_err
words_validate(const struct evt_package *package, struct hd_slice type, struct hd_slice body,
               const char **ret_reason)
{
    (void)package;
    (void)type;
    if (has(body, HD_LIT("odd")))
        *ret_reason = "odd";
    if (!has(body, HD_LIT("bad")))
        return HD_OK;
    *ret_reason = "Bad Outcome";
    return HD_ESYNTAX;
}

static enum hd_err
words_patch(const struct evt_package *package, const struct evt_doc *doc, struct hd_slice patch,
            struct evt_doc **ret_doc, const char **ret_reason)
{
    char body[200];

    (void)package;
    if (hd_slice_eq(doc->body, HD_LIT("fixed")))
        return HD_ENOTSUP;
    if (hd_slice_eq(patch, HD_LIT("?"))) {
        *ret_reason = "No Patch";
        return HD_ESYNTAX;
    }
    const int n = snprintf(body, sizeof(body), "%.*s %.*s", HD_FMT(doc->body), HD_FMT(patch));
    *ret_doc = evt_doc_new(doc->type, hd_slice(body, (size_t)n));
    return *ret_doc ? HD_OK : HD_ENOMEM;
}

static const struct evt_package_ops ops = { .validate = words_validate,
                                            .patch = words_patch,
                                            .compose = host_text_compose,
                                            .neutral = host_text_neutral };
static const struct hd_slice types[] = { { "text/plain", 10 } };
static const struct evt_package package = { .magic = EVT_PACKAGE_MAGIC,
                                            .name = { "x-words", 7 },
                                            .ops = &ops,
                                            .types = types,
                                            .n_types = 1,
                                            .min_expires_s = 60,
                                            .default_expires_s = 3600,
                                            .max_expires_s = 7200,
                                            .max_body = 20,
                                            .patch_type = { "text/more", 9 } };
static const struct evt_package *const packages[] = { &package };

static int
setup(void **state)
{
    (void)host_setup(state);
    struct evt_config *config = host_config_copy(&host);
    config->packages = packages;
    config->n_packages = 1;
    host_configure(&host, config, hd_slice(NULL, 0));
    return 0;
}

static void
send(const char *etag, const char *type, const char *body)
{
    char headers[80] = "", call_id[16];

    if (etag)
        (void)snprintf(headers, sizeof(headers), "SIP-If-Match: %s\r\n", etag);
    (void)snprintf(call_id, sizeof(call_id), "q%u", ++serial);
    host_request(&host, &(struct host_request){ .method = "PUBLISH",
                                                .event = "x-words",
                                                .headers = headers,
                                                .type = type,
                                                .body = body,
                                                .expires = 600,
                                                .call_id = call_id });
}

static const struct host_sent *
take(unsigned status, char ret_etag[HD_ID_TEXT + 1])
{
    const struct host_sent *sent = host_take_status(&host, status);
    const struct hd_slice value = host_value(sent, SIP_HDR_SIP_ETAG);

    if (ret_etag && value.n == HD_ID_TEXT) {
        memcpy(ret_etag, value.p, HD_ID_TEXT);
        ret_etag[HD_ID_TEXT] = '\0';
    }
    return sent;
}

static void
assert_shown(const char *body)
{
    char call_id[16];

    (void)snprintf(call_id, sizeof(call_id), "see%u", ++serial);
    host_request(&host,
                 &(struct host_request){ .event = "x-words", .expires = 0, .call_id = call_id });
    host_take_status(&host, 200);
    struct host_sent *sent = host_take_notify(&host);
    assert_true(hd_slice_eq(sent->msg.body, hd_slice_str(body)));
    host_answer(&host, sent, 200, NULL);
}

static bool
is_kept(const char *text)
{
    const struct host_put *put = host_record(&host, EVT_RECORD_PUBLICATION);
    return put && has(put->record, hd_slice_str(text));
}

static void
the_outcome_of_a_patch_is_kept_and_shown(void **state)
{
    char etag[HD_ID_TEXT + 1];

    (void)state;
    send(NULL, "text/plain", "one");
    take(200, etag);
    send(etag, "text/more", "two");
    take(200, etag);
    assert_shown("one two");
    assert_true(is_kept("one two"));
    assert_int_equal(HOST_COUNT(&host, 0, publications_patched), 1);
    send(etag, "text/plain", "three"); /* a whole one replaces it */
    take(200, etag);
    assert_shown("three");
    assert_int_equal(HOST_COUNT(&host, 0, publications_patched), 1);
}

static void
what_cannot_be_patched_is_refused_and_stays(void **state)
{
    char etag[HD_ID_TEXT + 1];

    (void)state;
    send(NULL, "text/more", "one");
    take(400, NULL);
    send(NULL, "text/plain", "one");
    take(200, etag);
    send(etag, "text/more", "?");
    take(400, NULL);
    send(etag, "text/more", "bad");
    take(400, NULL);
    send(etag, "text/more", "seventeen octets.");
    take(413, NULL);
    send(etag, "text/other", "two");
    assert_true(host_has(take(415, NULL), "Accept: text/plain, text/more\r\n"));
    assert_shown("one");
    assert_int_equal(HOST_COUNT(&host, 0, publications_patched), 0);
    send(etag, "text/plain", "fixed");
    take(200, etag);
    send(etag, "text/more", "two");
    take(415, NULL);
}

static void
a_patch_waits_for_what_is_under_way_and_changes_nothing_when_the_store_refuses(void **state)
{
    char etag[HD_ID_TEXT + 1], old[HD_ID_TEXT + 1];

    (void)state;
    send(NULL, "text/plain", "one");
    take(200, etag);
    memcpy(old, etag, sizeof(old));
    host.store = HOST_STORE_LATER;
    send(etag, "text/more", "two");
    send(etag, "text/more", "three"); /* by then its tag is an old one */
    host_take_nothing(&host);
    host_store_release(&host, 1, HD_OK);
    host_settle(&host);
    take(200, etag);
    take(412, NULL);
    assert_shown("one two");
    send(etag, "text/more", "four");
    host_store_release(&host, 1, HD_ESTORE);
    host_settle(&host);
    take(503, NULL);
    assert_shown("one two");
}

static void
a_value_that_cannot_be_composed_is_counted(void **state)
{
    char etag[HD_ID_TEXT + 1];

    (void)state;
    send(NULL, "text/plain", "odd");
    take(200, etag);
    assert_int_equal(HOST_COUNT(&host, 0, publications_unfit), 1);
    send(etag, "text/plain", "even");
    take(200, etag);
    send(etag, "text/more", "odd");
    take(200, etag);
    assert_int_equal(HOST_COUNT(&host, 0, publications_unfit), 2);
}

int
main(void)
{
#define TEST(name) HOST_TEST_WITH(name, 1, setup)
    const struct CMUnitTest tests[] = {
        TEST(the_outcome_of_a_patch_is_kept_and_shown),
        TEST(what_cannot_be_patched_is_refused_and_stays),
        TEST(a_patch_waits_for_what_is_under_way_and_changes_nothing_when_the_store_refuses),
        TEST(a_value_that_cannot_be_composed_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
