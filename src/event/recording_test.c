/* recording_test.c - what the core records of whole exchanges, and what is found in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "event/test_setup.h"

#define SEEN_MOST 4096

/* What a recall told. */
static struct seen {
    enum evt_recalled_kind kind;
    bool out, cut;
    unsigned what, status;
    uint64_t key;
    char first[64];
    size_t n;
} seen[SEEN_MOST];
static unsigned n_seen;
static char *last_octets;
static size_t last_n;
static uint64_t next_place;

static int
teardown(void **state)
{
    free(last_octets);
    last_octets = NULL;
    return host_teardown(state);
}

static void
see(void *context, const struct evt_recalled *row)
{
    struct seen *s = &seen[n_seen++];

    (void)context;
    assert_true(n_seen < SEEN_MOST);
    *s = (struct seen){ .kind = row->kind,
                        .out = row->out,
                        .cut = row->cut,
                        .what = row->what,
                        .status = row->status,
                        .key = row->key,
                        .n = row->octets.n };
    const struct hd_slice first = hd_slice(row->octets.p, hd_slice_find(row->octets, '\r'));
    const struct hd_slice text = row->kind == EVT_RECALLED_SUBJECT ? row->who : first;
    (void)snprintf(s->first, sizeof(s->first), "%.*s", HD_FMT(text));
    if (row->kind == EVT_RECALLED_MESSAGE) {
        free(last_octets);
        last_octets = malloc(row->octets.n + 1);
        assert_non_null(last_octets);
        memcpy(last_octets, row->octets.p, row->octets.n);
        last_n = row->octets.n;
    }
}

static bool
recall(struct evt_recall what)
{
    n_seen = 0;
    if (!what.limit)
        what.limit = SEEN_MOST - 1;
    assert_null(evt_recorder_check(host_shard(&host, 0)->recorder));
    return evt_shard_recall(host_shard(&host, 0), &what, host.now_ms * 1000, see, NULL,
                            &next_place);
}

static bool
recall_name(const char *name)
{
    return recall((struct evt_recall){ .name = hd_slice_str(name) });
}

static unsigned
messages(const char *first, bool out)
{
    unsigned n = 0;

    for (unsigned i = 0; i < n_seen; i++)
        n += seen[i].kind == EVT_RECALLED_MESSAGE && seen[i].out == out &&
             strncmp(seen[i].first, first, strlen(first)) == 0;
    return n;
}

static unsigned
decisions(unsigned what)
{
    unsigned n = 0;

    for (unsigned i = 0; i < n_seen; i++)
        n += seen[i].kind == EVT_RECALLED_DID && seen[i].what == what;
    return n;
}

static void
story(const char *body)
{
    char tag[HD_ID_TEXT + 1], etag[HD_ID_TEXT + 1];

    host_subscribe(&host, &(struct host_request){ .expires = 600 }, tag);
    host_publish(&host, "sip:bob@example.test", "x-state", NULL, body, etag);
    host_answer(&host, host_take_notify(&host), 200, NULL);
}

static void
a_resource_shows_who_watches_and_who_publishes(void **state)
{
    (void)state;
    story("on");
    assert_false(recall_name("sip:bob@example.test"));
    assert_int_equal(messages("SUBSCRIBE", false), 1);
    assert_int_equal(messages("PUBLISH", false), 1);
    assert_int_equal(messages("NOTIFY", true), 2);
    assert_int_equal(messages("SIP/2.0 200", true), 2);
    assert_int_equal(messages("SIP/2.0 200", false), 2);
    assert_int_equal(decisions(EVT_DID_ACCEPT), 1);
    assert_int_equal(decisions(EVT_DID_PUBLISH), 1);
    assert_true(recall_name("sip:nobody@example.test") == false);
    assert_int_equal(n_seen, 0);
}

static void
a_watcher_a_call_id_and_an_id_show_their_own(void **state)
{
    (void)state;
    story("on");
    const struct evt_sub *sub = host_sub(&host, 0);
    const struct evt_recall ways[] = { { .name = HD_LIT("sip:alice@example.test") },
                                       { .call_id = HD_LIT("c1") },
                                       { .id = sub->id } };
    for (size_t i = 0; i < HD_ARRAY_LEN(ways); i++) {
        recall(ways[i]);
        assert_int_equal(messages("SUBSCRIBE", false), 1);
        assert_int_equal(messages("NOTIFY", true), 2);
    }
    assert_int_equal(messages("PUBLISH", false), 0);
}

static void
only_what_is_new_is_told_again(void **state)
{
    (void)state;
    story("on");
    recall_name("sip:bob@example.test");
    host_request(&host, &(struct host_request){ .call_id = "c2", .from = "carol", .expires = 0 });
    const uint64_t since = next_place;
    recall((struct evt_recall){ .name = HD_LIT("sip:bob@example.test"), .since = since });
    assert_int_equal(messages("SUBSCRIBE", false), 1);
    assert_int_equal(messages("PUBLISH", false), 0);
    recall((struct evt_recall){ .name = HD_LIT("sip:bob@example.test"), .since = next_place });
    assert_int_equal(n_seen, 0);
}

static void
of_too_many_the_newest_are_told(void **state)
{
    (void)state;
    story("on");
    assert_true(recall((struct evt_recall){ .name = HD_LIT("sip:bob@example.test"), .limit = 2 }));
    assert_int_equal(n_seen, 1 + 1 + 2); /* what there is now, and two */
    assert_int_equal(messages("SIP/2.0 200", false), 1);
}

static void
a_refusal_is_found_with_its_reason(void **state)
{
    (void)state;
    host.rules[0] = (struct host_rule){ .user = "sip:alice@example.test", .decision = EVT_DENY };
    host.n_rules = 1;
    host_request(&host, &(struct host_request){ .expires = 600 });
    recall_name("sip:alice@example.test");
    assert_int_equal(messages("SUBSCRIBE", false), 1);
    assert_int_equal(messages("SIP/2.0 403", true), 1);
    assert_int_equal(decisions(EVT_DID_DENY), 1);
    assert_int_equal(seen[2].kind, EVT_RECALLED_SUBJECT);
    assert_int_equal(seen[2].status, 403);
}

/* --- bodies that are shared ------------------------------------------------------------------- */

static char large[9000];

static void
fill_large(char c)
{
    memset(large, c, sizeof(large) - 1);
}

static void
a_notify_is_told_as_it_was_sent(void **state)
{
    static const char *const ids[] = { "c1", "c2", "c3" };
    char tag[HD_ID_TEXT + 1], etag[HD_ID_TEXT + 1];

    (void)state;
    fill_large('y');
    for (size_t i = 0; i < HD_ARRAY_LEN(ids); i++)
        host_subscribe(&host, &(struct host_request){ .call_id = ids[i], .expires = 600 }, tag);
    const uint64_t before = host_shard(&host, 0)->recorder->head;
    host_publish(&host, "sip:bob@example.test", "x-state", NULL, large, etag);
    for (size_t i = 0; i < HD_ARRAY_LEN(ids); i++) {
        const struct host_sent *notify = host_take_notify(&host);
        recall((struct evt_recall){ .call_id = notify->msg.call_id });
        assert_int_equal(last_n, notify->text.n);
        assert_memory_equal(last_octets, notify->text.p, last_n);
    }
    /* The PUBLISH and one body: not four. */
    assert_true(host_shard(&host, 0)->recorder->head - before < 2 * sizeof(large) + 8000);
}

/* RFC 5839: the view has a large body, and its NOTIFY has none. */
static void
a_notify_without_its_body_is_told_as_it_was_sent(void **state)
{
    (void)state;
    fill_large('x');
    host_publish(&host, "sip:bob@example.test", "x-state", NULL, large, NULL);
    host_request(&host, &(struct host_request){ .call_id = "c9",
                                                .expires = 600,
                                                .headers = "Suppress-If-Match: *\r\n" });
    (void)host_take_status(&host, 200);
    const struct host_sent *notify = host_take_notify(&host);
    assert_int_equal(notify->msg.body.n, 0);
    recall((struct evt_recall){ .call_id = notify->msg.call_id });
    assert_int_equal(last_n, notify->text.n);
    assert_memory_equal(last_octets, notify->text.p, last_n);
}

/* A body is written again before it would be the oldest; however long it goes on, of the newest
 * half every NOTIFY is whole. */
static void
a_shared_body_is_there_as_long_as_half_of_the_ring(void **state)
{
    char tag[HD_ID_TEXT + 1], etag[HD_ID_TEXT + 1], call_id[16];

    (void)state;
    fill_large('z');
    host_publish(&host, "sip:bob@example.test", "x-state", NULL, large, etag);
    for (unsigned i = 0; i < 400; i++) {
        (void)snprintf(call_id, sizeof(call_id), "call%u", i);
        host_subscribe(&host, &(struct host_request){ .call_id = call_id, .expires = 600 }, tag);
    }
    recall_name("sip:bob@example.test");
    unsigned notifies = 0, whole = 0, cut_after_whole = 0;
    for (unsigned i = 0; i < n_seen; i++) {
        if (seen[i].kind != EVT_RECALLED_MESSAGE || strncmp(seen[i].first, "NOTIFY", 6) != 0)
            continue;
        notifies++;
        whole += !seen[i].cut;
        cut_after_whole += whole && seen[i].cut;
        assert_true(seen[i].cut || seen[i].n > sizeof(large));
    }
    assert_true(notifies > 50);
    assert_true(whole >= notifies / 2 - 2);
    assert_int_equal(cut_after_whole, 0);
}

static void
what_is_too_large_for_the_ring_is_cut(void **state)
{
    struct evt_config *config = host_config_copy(&host);

    (void)state;
    config->limits.recorder = EVT_RECORDER_LEAST;
    host_configure(&host, config, hd_slice(NULL, 0));
    fill_large('w');
    static char body[20000];
    memset(body, 'w', sizeof(body) - 1);
    host_request(&host, &(struct host_request){
                            .method = "PUBLISH", .body = body, .contact = "", .expires = 600 });
    recall_name("sip:bob@example.test");
    assert_int_equal(messages("PUBLISH", false), 1);
    assert_true(seen[0].kind != EVT_RECALLED_MESSAGE || seen[0].cut);
    assert_int_equal(HOST_COUNT(&host, 0, recorded_cut), 1);
}

/* --- what is not recorded --------------------------------------------------------------------- */

static bool
ring_holds(const char *text)
{
    const struct evt_recorder *rec = host_shard(&host, 0)->recorder;

    return memmem(rec->octets, rec->at, text, strlen(text)) != NULL;
}

static void
credentials_are_cut_out(void **state)
{
    (void)state;
    host_request(&host,
                 &(struct host_request){
                     .expires = 600,
                     .contact = "<sip:alice:hush-contact@127.0.0.1:5062>",
                     .headers =
                         "Authorization: Digest username=\"alice\", response=\"hush-digest\"\r\n"
                         "proxy-authorization: Basic aHVzaC1iYXNpYw==\r\n"
                         "Authentication-Info: nextnonce=\"hush-next\"\r\n"
                         "Proxy-Authentication-Info: rspauth=\"hush-rsp\"\r\n"
                         "Cookie: session=hush-cookie;\r\n more=hush-fold\r\n"
                         "Set-Cookie: a=hush-set\r\n"
                         "Authorization: Bearer hush-bearer\r\n"
                         "Call-Info: <http://alice:hush-info@example.test/>\r\n"
                         "X-Kept: this stays\r\n",
                 });
    (void)host_take_status(&host, 200);
    const struct host_sent *notify = host_take_notify(&host);
    assert_true(host_has(notify, "hush-contact")); /* it goes where the subscriber is */
    host_answer(&host, notify, 200,
                "Contact: <sip:alice:hush-moved@127.0.0.1:5062>\r\n"
                "Authentication-Info: nextnonce=\"hush-answer\"\r\n");
    assert_true(ring_holds("X-Kept: this stays"));
    assert_true(ring_holds("Contact: <sip:alice@127.0.0.1:5062>"));
    assert_true(ring_holds("Authorization: Digest response=\"cut out\""));
    assert_false(ring_holds("hush"));
    assert_false(ring_holds("aHVz"));
}

static void
of_a_message_that_cannot_be_read_only_the_first_line_is_kept(void **state)
{
    const char text[] = "SUBSCRIBE sip:bob:hush@example.test SIP/2.0\r\n"
                        "Via: SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bK1\r\n"
                        "From: <sip:alice@example.test>;tag=1\r\nTo: <sip:bob@example.test>\r\n"
                        "Call-ID: bad1\r\nCSeq: 1 SUBSCRIBE\r\nAuthorization : Digest hush\r\n"
                        "Content-Length: nonsense\r\n\r\n";
    const struct hd_flow flow = host_flow(5062);

    (void)state;
    host_receive(&host, &flow, hd_slice(text, sizeof(text) - 1));
    host_settle(&host);
    assert_false(ring_holds("hush"));
    recall((struct evt_recall){ .call_id = HD_LIT("bad1") });
    assert_int_equal(messages("SIP/2.0 400", true), 1);
    assert_int_equal(messages("SUBSCRIBE sip:bob@example.test", false), 1);
}

static void
it_can_be_turned_off_and_on(void **state)
{
    struct evt_config *config = host_config_copy(&host);
    const uint64_t head = host_shard(&host, 0)->recorder->head;

    (void)state;
    config->limits.recorder = 0;
    host_configure(&host, config, hd_slice(NULL, 0));
    assert_null(host_shard(&host, 0)->recorder);
    story("off");
    n_seen = 0;
    assert_true(evt_shard_recall(host_shard(&host, 0),
                                 &(struct evt_recall){ .name = HD_LIT("sip:bob@example.test") },
                                 host.now_ms * 1000, see, NULL, &next_place));
    assert_int_equal(n_seen, 0);
    config = host_config_copy(&host);
    config->limits.recorder = 128 << 10;
    host_configure(&host, config, hd_slice(NULL, 0));
    assert_true(host_shard(&host, 0)->recorder->first > head);
    host_request(&host, &(struct host_request){ .call_id = "c9", .from = "carol", .expires = 0 });
    recall_name("sip:carol@example.test");
    assert_int_equal(messages("NOTIFY", true), 1);
}

/* --- decisions -------------------------------------------------------------------------------- */

static void
a_silent_subscriber_is_told_of(void **state)
{
    (void)state;
    host_request(&host, &(struct host_request){ .expires = 600 });
    host_drop(&host);
    host_wait(&host, 33000);
    recall_name("sip:alice@example.test");
    assert_int_equal(messages("NOTIFY", true), 11); /* the first and Timer E's ten */
    assert_int_equal(decisions(EVT_DID_TIMEOUT), 1);
}

static void
a_store_that_refuses_is_told_of(void **state)
{
    (void)state;
    host.store = HOST_STORE_FAILS;
    host_request(&host, &(struct host_request){ .expires = 600 });
    recall((struct evt_recall){ .call_id = HD_LIT("c1") });
    assert_int_equal(decisions(EVT_DID_UNKEPT), 1);
    assert_int_equal(messages("SIP/2.0 503", true), 1);
}

static void
a_publication_that_expires_is_told_of(void **state)
{
    char etag[HD_ID_TEXT + 1];

    (void)state;
    host_publish(&host, "sip:bob@example.test", "x-state", NULL, "on", etag);
    host_wait(&host, 3700 * 1000);
    recall_name("sip:bob@example.test");
    assert_int_equal(decisions(EVT_DID_EXPIRE), 1);
}

int
main(void)
{
#define T(f) cmocka_unit_test_prestate_setup_teardown(f, host_setup, teardown, (void *)1)
    const struct CMUnitTest tests[] = {
        T(a_resource_shows_who_watches_and_who_publishes),
        T(a_watcher_a_call_id_and_an_id_show_their_own),
        T(only_what_is_new_is_told_again),
        T(of_too_many_the_newest_are_told),
        T(a_refusal_is_found_with_its_reason),
        T(a_notify_is_told_as_it_was_sent),
        T(a_notify_without_its_body_is_told_as_it_was_sent),
        T(a_shared_body_is_there_as_long_as_half_of_the_ring),
        T(what_is_too_large_for_the_ring_is_cut),
        T(credentials_are_cut_out),
        T(of_a_message_that_cannot_be_read_only_the_first_line_is_kept),
        T(it_can_be_turned_off_and_on),
        T(a_silent_subscriber_is_told_of),
        T(a_store_that_refuses_is_told_of),
        T(a_publication_that_expires_is_told_of),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
