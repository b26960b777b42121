/* record_test.c - what is written for the store is read back as it was, and nothing else is read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "event/record.h"
#include "event/test_setup.h"

#define BOB "sip:bob@example.test"

static char tag[HD_ID_TEXT + 1], etag[HD_ID_TEXT + 1];

static struct hd_slice
record(enum evt_record_kind kind)
{
    const struct host_put *put = host_record(&host, kind);

    assert_non_null(put);
    assert_true(put->record.n > 0);
    return put->record;
}

static void
assert_text(struct hd_slice s, const char *text)
{
    if (!hd_slice_eq(s, hd_slice_str(text)))
        print_error("read: %.*s\n", HD_FMT(s));
    assert_true(hd_slice_eq(s, hd_slice_str(text)));
}

static void
a_subscription_is_read_as_it_was_written(void **state)
{
    struct evt_stored_sub sub;

    (void)state;
    host_request(&host, &(struct host_request){
                            .expires = 600,
                            .event = "x-state;id=77",
                            .headers = "Record-Route: <sip:198.51.100.200;lr>\r\n"
                                       "Via: SIP/2.0/UDP 198.51.100.9:5062;branch=z9hG4bKup\r\n" });
    memcpy(tag, host_take_status(&host, 200)->msg.to_tag.p, HD_ID_TEXT);
    host_wait(&host, 15); /* through a Route the first NOTIFY waits a little */
    host_answer(&host, host_take_notify(&host), 200, NULL);
    host_wait(&host, 9985);
    host_request(&host, &(struct host_request){
                            .to_tag = tag, .cseq = 5, .expires = 900, .event = "x-state;id=77" });
    assert_int_equal(evt_stored_sub_read(record(EVT_RECORD_SUBSCRIPTION), &sub), HD_OK);
    assert_int_equal(sub.left_ms, 900000);
    assert_int_equal(sub.state, EVT_SUB_ACTIVE);
    assert_int_equal(sub.transform, EVT_SEE_ALL);
    assert_int_equal(sub.types, 1);
    assert_true(sub.direct); /* the last one came straight */
    assert_true(sub.has_event_id);
    assert_int_equal(sub.cseq_remote, 5);
    assert_int_equal(sub.done[0].expires_s, 900);
    assert_int_equal(sub.done[1].expires_s, 600);
    assert_int_not_equal(sub.done[0].txn, sub.done[1].txn);
    assert_int_equal(sub.came.remote.port, 5062);
    assert_int_equal(sub.way.remote.ip[3], 200);
    assert_text(sub.key, BOB);
    assert_text(sub.package, "x-state");
    assert_text(sub.texts[EVT_TEXT_CALL_ID], "c1");
    assert_text(sub.texts[EVT_TEXT_REMOTE], "<sip:alice@example.test>;tag=f1");
    assert_text(sub.texts[EVT_TEXT_REMOTE_TAG], "f1");
    assert_text(sub.texts[EVT_TEXT_LOCAL], "<sip:bob@example.test>");
    assert_text(sub.texts[EVT_TEXT_TARGET], "sip:alice@198.51.100.9:5062");
    assert_text(sub.texts[EVT_TEXT_ROUTE], "<sip:198.51.100.200;lr>");
    assert_text(sub.texts[EVT_TEXT_EVENT_ID], "77");
    assert_text(sub.texts[EVT_TEXT_WATCHER], "sip:alice@example.test");
}

static void
a_publication_is_read_as_it_was_written(void **state)
{
    struct evt_stored_pub pub;

    (void)state;
    host_publish(&host, NULL, NULL, NULL, "one", etag);
    assert_int_equal(evt_stored_pub_read(record(EVT_RECORD_PUBLICATION), &pub), HD_OK);
    assert_int_equal(pub.left_ms, 600000);
    assert_false(pub.gone);
    assert_int_equal(pub.done[0].etag, 1);
    assert_text(pub.key, BOB);
    assert_text(pub.package, "x-state");
    assert_text(pub.publisher, "sip:alice@example.test");
    assert_text(pub.type, "text/plain");
    assert_text(pub.body, "one");
    const uint64_t order = pub.order;
    host_publish(&host, NULL, NULL, etag, NULL, etag); /* a refresh keeps body and order */
    assert_int_equal(evt_stored_pub_read(record(EVT_RECORD_PUBLICATION), &pub), HD_OK);
    assert_text(pub.body, "one");
    assert_int_equal(pub.order, order);
    host_publish(&host, NULL, NULL, NULL, "two", NULL);
    assert_int_equal(evt_stored_pub_read(record(EVT_RECORD_PUBLICATION), &pub), HD_OK);
    assert_true(pub.order > order);
}

static void
bindings_are_read_as_they_were_written(void **state)
{
    struct evt_stored_account account;
    struct evt_stored_binding binding;

    (void)state;
    host_request(&host,
                 &(struct host_request){ .method = "REGISTER",
                                         .uri = "sip:example.test",
                                         .to_uri = BOB,
                                         .expires = 600,
                                         .cseq = 9,
                                         .headers = "Path: <sip:edge.test;lr>\r\n",
                                         .contact = "<sip:a@1.1.1.1>;q=0.5;x=y, <sip:b@1.1.1.1>"
                                                    ";+sip.instance=\"<urn:uuid:1>\"" });
    assert_int_equal(evt_stored_account_read(record(EVT_RECORD_BINDINGS), &account), HD_OK);
    assert_text(account.key, BOB);
    assert_int_equal(account.n, 2);
    assert_int_equal(evt_stored_binding_next(&account, &binding), HD_OK);
    assert_text(binding.contact, "sip:a@1.1.1.1");
    assert_text(binding.call_id, "c1");
    assert_int_equal(binding.cseq, 9);
    assert_int_equal(binding.q, 500);
    assert_int_equal(binding.left_ms, 600000);
    assert_text(binding.params, ";x=y");
    assert_text(binding.path, "<sip:edge.test;lr>");
    assert_int_equal(binding.gruu_nonce, 0);
    assert_int_equal(evt_stored_binding_next(&account, &binding), HD_OK);
    assert_text(binding.contact, "sip:b@1.1.1.1");
    assert_int_equal(binding.q, 1000);
    assert_text(binding.params, ";+sip.instance=\"<urn:uuid:1>\"");
    assert_true(binding.gruu_nonce != 0 && binding.id != 0);
    assert_int_equal(binding.event, EVT_REG_REGISTERED);
}

static void
what_was_seen_is_written_a_second_later_with_its_exceptions(void **state)
{
    struct evt_stored_seen seen;

    (void)state;
    host_subscribe(&host, &(struct host_request){ .expires = 600 }, tag);
    host_wait(&host, 1000);
    assert_int_equal(evt_stored_seen_read(record(EVT_RECORD_SEEN), &seen), HD_OK);
    assert_int_equal(seen.n, 0);
    assert_int_equal(seen.shards, 1);
    assert_text(seen.topic.key, BOB);
    assert_text(seen.topic.package, "x-state");
    const uint64_t content = seen.content;
    host_publish(&host, NULL, NULL, NULL, "one", NULL);
    host_wait(&host, 1000); /* the NOTIFY is not answered */
    assert_int_equal(evt_stored_seen_read(record(EVT_RECORD_SEEN), &seen), HD_OK);
    assert_int_equal(seen.n, 1);
    assert_int_not_equal(seen.content, content);
    assert_int_equal(hd_bytes_get_u64(&seen.rest), host_sub(&host, 0)->id);
}

static enum hd_err
read_any(enum evt_record_kind kind, struct hd_slice octets)
{
    struct evt_stored_sub sub;
    struct evt_stored_pub pub;
    struct evt_stored_account account;
    struct evt_stored_seen seen;
    struct evt_stored_waiting waiting;
    struct evt_stored_cond cond;

    switch (kind) {
    case EVT_RECORD_SUBSCRIPTION:
        return evt_stored_sub_read(octets, &sub);
    case EVT_RECORD_PUBLICATION:
        return evt_stored_pub_read(octets, &pub);
    case EVT_RECORD_BINDINGS:
        return evt_stored_account_read(octets, &account);
    case EVT_RECORD_SEEN:
        return evt_stored_seen_read(octets, &seen);
    case EVT_RECORD_WAITING:
        return evt_stored_waiting_read(octets, &waiting);
    case EVT_RECORD_CONDITION:
        return evt_stored_cond_read(octets, &cond);
    }
    return HD_OK;
}

/* An exact copy, with one more octet or a changed one. */
static enum hd_err
read_changed(enum evt_record_kind kind, struct hd_slice octets, size_t n, size_t at, char value)
{
    char *copy = malloc(n + 1);

    assert_non_null(copy);
    memcpy(copy, octets.p, n < octets.n ? n : octets.n);
    if (at < n)
        copy[at] = value;
    enum hd_err err = read_any(kind, hd_slice(copy, n));
    free(copy);
    return err;
}

static void
a_record_that_is_cut_longer_or_of_another_version_is_not_read(void **state)
{
    static const enum evt_record_kind kinds[] = { EVT_RECORD_SUBSCRIPTION, EVT_RECORD_PUBLICATION,
                                                  EVT_RECORD_BINDINGS, EVT_RECORD_SEEN,
                                                  EVT_RECORD_WAITING };

    (void)state;
    host_subscribe(&host, &(struct host_request){ .expires = 600 }, tag);
    host_publish(&host, NULL, NULL, NULL, "one", NULL);
    host_request(&host, &(struct host_request){ .method = "REGISTER",
                                                .uri = "sip:example.test",
                                                .to_uri = BOB,
                                                .expires = 600 });
    host.n_rules = 1; /* nobody has decided about carol */
    host.rules[0] = (struct host_rule){ .user = "sip:carol@example.test", .decision = EVT_CONFIRM };
    host_request(&host, &(struct host_request){ .from = "carol", .call_id = "w", .expires = 0 });
    host_wait(&host, 2000);
    for (size_t k = 0; k < HD_ARRAY_LEN(kinds); k++) {
        const struct hd_slice whole = record(kinds[k]);
        assert_int_equal(read_any(kinds[k], whole), HD_OK);
        for (size_t n = 0; n < whole.n; n++)
            assert_int_equal(read_changed(kinds[k], whole, n, SIZE_MAX, 0), HD_ESYNTAX);
        assert_int_equal(read_changed(kinds[k], whole, whole.n + 1, whole.n, 'x'), HD_ESYNTAX);
        assert_int_equal(read_changed(kinds[k], whole, whole.n, 0, EVT_RECORD_VERSION + 1),
                         HD_EVERSION);
        assert_int_equal(read_changed(kinds[k], whole, whole.n, 0, 0), HD_ESYNTAX);
        /* Whatever is changed, nothing behind the end is read (the address sanitizer looks). */
        for (size_t at = 1; at < whole.n; at++)
            (void)read_changed(kinds[k], whole, whole.n, at, (char)0xff);
    }
}

/* What stands in a NOTIFY as its To has to be what the dialog is found by, and a token. */
static void
a_subscription_whose_tag_was_damaged_is_not_read(void **state)
{
    (void)state;
    host_subscribe(&host, &(struct host_request){ .expires = 600 }, tag);
    const struct hd_slice whole = record(EVT_RECORD_SUBSCRIPTION);
    const char *at = memmem(whole.p, whole.n, ";tag=", 5);
    assert_non_null(at);
    const size_t first = (size_t)(at - whole.p) + 5;
    assert_int_equal(read_changed(EVT_RECORD_SUBSCRIPTION, whole, whole.n, first, whole.p[first]),
                     HD_OK);
    assert_int_equal(read_changed(EVT_RECORD_SUBSCRIPTION, whole, whole.n, first, (char)0xb5),
                     HD_ESYNTAX);
    assert_int_equal(read_changed(EVT_RECORD_SUBSCRIPTION, whole, whole.n, first, 'Q'), HD_ESYNTAX);
}

static void
what_was_seen_of_an_own_entry_names_its_watcher(void **state)
{
    struct evt_stored_seen seen;

    (void)state;
    host.n_rules = 1;
    host.rules[0] = (struct host_rule){ .package = "x-state.winfo", .decision = EVT_OWN };
    host_subscribe(&host, &(struct host_request){ .event = "x-state.winfo", .expires = 600 }, tag);
    host_wait(&host, 2000);
    const struct hd_slice whole = record(EVT_RECORD_SEEN);
    assert_int_equal(evt_stored_seen_read(whole, &seen), HD_OK);
    assert_text(seen.topic.key, BOB);
    assert_text(seen.topic.package, "x-state.winfo");
    assert_text(seen.topic.watcher, "sip:alice@example.test");
    for (size_t n = 0; n < whole.n; n++)
        assert_int_equal(read_changed(EVT_RECORD_SEEN, whole, n, SIZE_MAX, 0), HD_ESYNTAX);
}

int
main(void)
{
#define TEST(name) HOST_TEST(name, 1)
    const struct CMUnitTest tests[] = {
        TEST(a_subscription_is_read_as_it_was_written),
        TEST(a_publication_is_read_as_it_was_written),
        TEST(bindings_are_read_as_they_were_written),
        TEST(what_was_seen_is_written_a_second_later_with_its_exceptions),
        TEST(a_record_that_is_cut_longer_or_of_another_version_is_not_read),
        TEST(a_subscription_whose_tag_was_damaged_is_not_read),
        TEST(what_was_seen_of_an_own_entry_names_its_watcher),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
