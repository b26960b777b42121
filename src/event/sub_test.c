/* sub_test.c - the life of a subscription: its states, its timer, what the store's word means at
 * every moment, and rules that change meanwhile. */
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

static char tag[HD_ID_TEXT + 1];

static void
subscribe(void)
{
    host_subscribe(&host, &(struct host_request){ .expires = 3600 }, tag);
}

static void
refresh(uint32_t cseq, int64_t expires)
{
    host_request(&host, &(struct host_request){ .to_tag = tag, .cseq = cseq, .expires = expires });
}

static void
rules_changed(enum evt_decision decision)
{
    host.n_rules = 1;
    host.rules[0] = (struct host_rule){ .decision = decision };
    host_configure(&host, host.config, HD_LIT(BOB));
}

static void
assert_state(const struct host_sent *sent, const char *text)
{
    if (!host_has(sent, text))
        print_error("%.*s\n", HD_FMT(sent->text));
    assert_true(host_has(sent, text));
}

/* --- its strings ----------------------------------------------------------------------------- */

static void
strings_come_back_as_they_went_in_and_none_is_kept_twice(void **state)
{
    static char longer[300];
    struct evt_mirror mirror = { .key = hd_slice(&("<" BOB ">")[1], sizeof(BOB) - 1) };
    memset(longer, 'x', sizeof(longer) - 1);
    const struct {
        const char *remote, *tag, *local, *watcher, *route, *id;
        unsigned kept; /* of tag, local and watcher: those with octets of their own */
    } row[] = {
        { "<" ALICE ">;tag=a", "a", "<" BOB ">", ALICE, "", "", 0 },
        { "\"A\" <" ALICE ">;tag=a;x=y", "a", "\"B\" <" BOB ">", ALICE, "<sip:edge;lr>", "7",
          1u << EVT_TEXT_LOCAL },
        { "<sip:a%6Cice@example.test>;tag=a", "a", "<sip:BOB@example.test>", ALICE, "", "",
          1u << EVT_TEXT_LOCAL | 1u << EVT_TEXT_WATCHER },
        { "sip:x@y;tag=b", "c", "<sip:bob@example.test", "", "", "",
          1u << EVT_TEXT_LOCAL | 1u << EVT_TEXT_REMOTE_TAG },
        { "a", "", "", "", "", "", 0 },
        { longer, longer, "<>", longer, longer, longer,
          1u << EVT_TEXT_LOCAL | 1u << EVT_TEXT_REMOTE_TAG | 1u << EVT_TEXT_WATCHER },
    };
    const unsigned may_be_derived =
        1u << EVT_TEXT_LOCAL | 1u << EVT_TEXT_REMOTE_TAG | 1u << EVT_TEXT_WATCHER;

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct hd_slice pieces[EVT_TEXT_COUNT] = {
            [EVT_TEXT_CALL_ID] = HD_LIT("c1"),
            [EVT_TEXT_REMOTE] = hd_slice(row[i].remote, strlen(row[i].remote)),
            [EVT_TEXT_REMOTE_TAG] = hd_slice(row[i].tag, strlen(row[i].tag)),
            [EVT_TEXT_LOCAL] = hd_slice(row[i].local, strlen(row[i].local)),
            [EVT_TEXT_TARGET] = HD_LIT("sip:t"),
            [EVT_TEXT_ROUTE] = hd_slice(row[i].route, strlen(row[i].route)),
            [EVT_TEXT_EVENT_ID] = hd_slice(row[i].id, strlen(row[i].id)),
            [EVT_TEXT_WATCHER] = hd_slice(row[i].watcher, strlen(row[i].watcher)),
        };
        struct hd_slice back[EVT_TEXT_COUNT];
        struct evt_texts *texts =
            evt_texts_new(pieces, row[i].id[0] != '\0', EVT_PROOF_TLS, mirror.key);
        assert_non_null(texts);
        evt_texts_all(texts, &mirror, back);
        size_t kept = 0;
        for (int k = 0; k < EVT_TEXT_COUNT; k++) {
            assert_true(hd_slice_eq(back[k], pieces[k]));
            if ((row[i].kept | ~may_be_derived) >> k & 1)
                kept += pieces[k].n;
        }
        assert_int_equal(texts->has_event_id, row[i].id[0] != '\0');
        assert_int_equal(texts->proof, EVT_PROOF_TLS);
        assert_int_equal(evt_texts_size(texts), kept);
        free(texts);
    }
}

static void
a_fold_in_from_is_a_blank_and_what_stands_behind_it_is_found(void **state)
{
    struct hd_slice pieces[EVT_TEXT_COUNT] = { [EVT_TEXT_REMOTE] =
                                                   HD_LIT("A\r\n  <" ALICE ">;tag=a"),
                                               [EVT_TEXT_REMOTE_TAG] = HD_LIT("a"),
                                               [EVT_TEXT_WATCHER] = HD_LIT(ALICE) };
    struct evt_texts *texts = evt_texts_new(pieces, false, 0, HD_LIT(BOB));

    (void)state;
    assert_non_null(texts);
    assert_true(hd_slice_eq(evt_texts_get(texts, EVT_TEXT_REMOTE), HD_LIT("A <" ALICE ">;tag=a")));
    assert_true(hd_slice_eq(evt_texts_get(texts, EVT_TEXT_REMOTE_TAG), HD_LIT("a")));
    assert_true(hd_slice_eq(evt_texts_get(texts, EVT_TEXT_WATCHER), HD_LIT(ALICE)));
    free(texts);
}

static void
strings_that_are_too_long_together_are_refused(void **state)
{
    static char much[40000];
    struct hd_slice pieces[EVT_TEXT_COUNT] = { [EVT_TEXT_REMOTE] = hd_slice(much, sizeof(much)),
                                               [EVT_TEXT_ROUTE] = hd_slice(much, sizeof(much)) };

    (void)state;
    memset(much, 'x', sizeof(much));
    assert_null(evt_texts_new(pieces, false, 0, HD_LIT(BOB)));
}

/* --- making it ------------------------------------------------------------------------------- */

static void
nothing_is_answered_before_the_store_has_it(void **state)
{
    (void)state;
    host.store = HOST_STORE_LATER;
    host_request(&host, &(struct host_request){ .expires = 3600 });
    host_take_nothing(&host);
    assert_int_equal(HOST_COUNT(&host, 0, subscriptions), 0);
    host_store_release(&host, 1, HD_OK);
    host_settle(&host);
    assert_true(host_has(host_take_status(&host, 200), "Expires: 3600\r\n"));
    assert_state(host_take_notify(&host), "Subscription-State: active;expires=3600\r\n");
    assert_int_equal(HOST_COUNT(&host, 0, subscriptions), 1);
}

static void
a_repetition_while_the_store_works_is_absorbed(void **state)
{
    (void)state;
    host.store = HOST_STORE_LATER;
    host_request(&host, &(struct host_request){ .expires = 3600 });
    host_request(&host, &(struct host_request){ .expires = 3600 });
    host_store_release(&host, 2, HD_OK);
    host_settle(&host);
    host_take_status(&host, 200);
    host_take_notify(&host);
    host_take_nothing(&host);
    assert_int_equal(host_subs(&host), 1);
}

static void
a_repetition_afterwards_hears_the_same(void **state)
{
    char first[1500];
    size_t n;

    (void)state;
    host_request(&host, &(struct host_request){ .expires = 3600 });
    const struct host_sent *sent = host_take_status(&host, 200);
    n = sent->text.n;
    memcpy(first, sent->text.p, n);
    host_take_notify(&host);
    host_request(&host, &(struct host_request){ .expires = 3600 });
    sent = host_take_status(&host, 200);
    assert_true(hd_slice_eq(sent->text, hd_slice(first, n)));
    host_take_nothing(&host);
}

static void
a_store_that_takes_long_is_told_with_100(void **state)
{
    (void)state;
    host.store = HOST_STORE_LATER;
    host_request(&host, &(struct host_request){ .expires = 3600 });
    host_wait(&host, 3499);
    host_take_nothing(&host);
    host_wait(&host, 1);
    host_take_status(&host, 100);
    host_wait(&host, 60000);
    host_take_nothing(&host);
    host_store_release(&host, 1, HD_OK);
    host_settle(&host);
    host_take_status(&host, 200);
}

static void
what_the_store_could_not_keep_is_503_and_leaves_nothing(void **state)
{
    static const enum host_store stores[] = { HOST_STORE_FAILS, HOST_STORE_REFUSES };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(stores); i++) {
        const struct host_request request = { .expires = 3600, .cseq = (uint32_t)(i + 1) };
        host.store = stores[i];
        host_request(&host, &request);
        assert_true(host_has(host_take_status(&host, 503), "Retry-After: "));
        assert_int_equal(host_subs(&host), 0);
        assert_int_equal(host_shard(&host, 0)->hops.count, 0);
        assert_int_equal(host_shard(&host, 0)->mirrors.count, 0);
        host_request(&host, &request);
        host_take_status(&host, 503); /* the same again, from the ring */
        host_take_nothing(&host);
    }
}

static void
a_fetch_is_not_kept_and_ends_with_its_notify(void **state)
{
    (void)state;
    host_publish(&host, NULL, "x-state", NULL, "news", NULL);
    const unsigned puts = host.n_puts;
    host_request(&host, &(struct host_request){ .expires = 0 });
    host_take_status(&host, 200);
    struct host_sent *sent = host_take_notify(&host);
    assert_state(sent, "Subscription-State: terminated;reason=timeout\r\n");
    assert_true(hd_slice_eq(sent->msg.body, HD_LIT("news")));
    host_answer(&host, sent, 200, NULL);
    assert_int_equal(host.n_puts, puts);
    assert_int_equal(HOST_COUNT(&host, 0, mirrors), 0);
    host_wait(&host, 33000);
    assert_int_equal(host_subs(&host), 0);
}

static void
an_initial_one_with_the_cseq_of_another_is_merged(void **state)
{
    (void)state;
    subscribe();
    host_request(&host, &(struct host_request){ .expires = 3600, .branch = "other" });
    host_take_status(&host, 482);
    host_take_nothing(&host);
}

/* It was delayed on its way until its record had answered two others. */
static void
an_old_initial_one_that_arrives_late_makes_no_second_subscription(void **state)
{
    (void)state;
    subscribe();
    for (uint32_t cseq = 2; cseq <= 4; cseq++) {
        refresh(cseq, 3600);
        host_take_status(&host, 200);
        host_answer(&host, host_take_notify(&host), 200, NULL);
    }
    host_request(&host, &(struct host_request){ .expires = 3600 });
    host_take_nothing(&host);
    assert_int_equal(host_subs(&host), 1);
}

/* --- refreshing and ending ------------------------------------------------------------------- */

static void
a_refresh_moves_the_end_and_owes_a_notify(void **state)
{
    (void)state;
    subscribe();
    host_wait(&host, 3000000);
    host_drop(&host);
    refresh(2, 3600);
    host_take_status(&host, 200);
    host_answer(&host, host_take_notify(&host), 200, NULL);
    host_wait(&host, 3599000);
    host_take_nothing(&host);
    host_wait(&host, 1000);
    assert_state(host_take_notify(&host), "terminated;reason=timeout");
}

static void
a_refresh_that_the_store_could_not_keep_leaves_it_as_it_was(void **state)
{
    (void)state;
    subscribe();
    host_wait(&host, 1000000);
    host.store = HOST_STORE_FAILS;
    refresh(2, 3600);
    host_take_status(&host, 503);
    host_wait(&host, 2599000);
    host_take_nothing(&host);
    host_wait(&host, 1000);
    assert_state(host_take_notify(&host), "terminated;reason=timeout");
}

static void
an_end_that_the_store_could_not_keep_leaves_it_alive(void **state)
{
    (void)state;
    subscribe();
    host.store = HOST_STORE_FAILS;
    refresh(2, 0);
    host_take_status(&host, 503);
    host_take_nothing(&host);
    assert_int_equal(HOST_COUNT(&host, 0, subscriptions), 1);
    host.store = HOST_STORE_NOW;
    refresh(3, 0);
    host_take_status(&host, 200);
    assert_state(host_take_notify(&host), "terminated;reason=timeout");
}

/* It came in time: how long the store takes is not the subscriber's fault. */
static void
a_refresh_in_time_holds_the_end_while_the_store_works(void **state)
{
    static const int64_t expires[] = { 3600, 0 };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(expires); i++) {
        char call_id[8];
        (void)snprintf(call_id, sizeof(call_id), "s%zu", i);
        host.store = HOST_STORE_NOW;
        host_subscribe(&host, &(struct host_request){ .expires = 60, .call_id = call_id }, tag);
        host_wait(&host, 59000);
        host.store = HOST_STORE_LATER;
        host_request(&host,
                     &(struct host_request){
                         .to_tag = tag, .cseq = 2, .expires = expires[i], .call_id = call_id });
        host_wait(&host, 3000);
        host_take_nothing(&host);
        host_store_release(&host, 100, HD_OK);
        host_settle(&host);
        host_take_status(&host, 200);
        struct host_sent *sent = host_take_notify(&host);
        assert_state(sent, expires[i] ? "active;expires=3600" : "terminated");
        host_answer(&host, sent, 200, NULL);
    }
}

static void
a_refresh_in_time_that_could_not_be_kept_ends_late(void **state)
{
    (void)state;
    host_subscribe(&host, &(struct host_request){ .expires = 60 }, tag);
    host_wait(&host, 59000);
    host.store = HOST_STORE_LATER;
    refresh(2, 3600);
    host_wait(&host, 3000);
    host_store_release(&host, 1, HD_ESTORE);
    host_settle(&host);
    host_take_status(&host, 503);
    assert_state(host_take_notify(&host), "terminated;reason=timeout");
}

static void
an_old_cseq_is_500_and_another_dialog_481(void **state)
{
    (void)state;
    subscribe();
    refresh(5, 3600);
    host_drop(&host);
    refresh(4, 3600);
    host_take_status(&host, 500);
    host_request(&host, &(struct host_request){ .to_tag = tag, .call_id = "else", .cseq = 9 });
    host_take_status(&host, 481);
    tag[3] = tag[3] == 'A' ? 'B' : 'A';
    refresh(10, 3600);
    host_take_status(&host, 481);
}

static void
requests_wait_behind_a_change_and_are_handled_in_their_order(void **state)
{
    (void)state;
    subscribe();
    host.store = HOST_STORE_LATER;
    refresh(2, 600);
    refresh(3, 700);
    refresh(4, 0);
    refresh(3, 700); /* a repetition of one that waits */
    assert_int_equal(HOST_COUNT(&host, 0, waiting), 3);
    for (uint32_t cseq = 2; cseq <= 4; cseq++) {
        host_store_release(&host, 1, HD_OK);
        host_settle(&host);
        const struct host_sent *sent = host_take_status(&host, 200);
        assert_int_equal(sent->msg.cseq.number, cseq);
        host_take_notify(&host);
        host_take_nothing(&host);
        while (host.puts && host.puts->ticket == 0)
            host_store_release(&host, 1, HD_OK);
    }
    assert_int_equal(HOST_COUNT(&host, 0, waiting), 0);
}

static void
behind_an_end_the_others_find_nothing(void **state)
{
    (void)state;
    subscribe();
    host.store = HOST_STORE_LATER;
    refresh(2, 0);
    refresh(3, 600);
    host.store = HOST_STORE_NOW;
    host_settle(&host);
    host_take_status(&host, 200);
    host_take_notify(&host);
    host_take_status(&host, 481);
    host_take_nothing(&host);
}

static void
more_than_the_limit_do_not_wait(void **state)
{
    struct evt_config *config = host_config_copy(&host);
    const uint32_t limit = 300; /* more than an octet counts */
    unsigned refused = 0;

    (void)state;
    config->limits.waiting_per_record = limit;
    host_configure(&host, config, hd_slice(NULL, 0));
    subscribe();
    host.store = HOST_STORE_LATER;
    for (uint32_t i = 0; i < limit + 5; i++)
        refresh(2 + i, 600);
    while (host.sent)
        refused += host_take_status(&host, 500) != NULL;
    assert_int_equal(refused, 4); /* one is the change itself */
    host.store = HOST_STORE_NOW;
    host_settle(&host);
    assert_int_equal(HOST_COUNT(&host, 0, waiting), 0);
}

static void
a_store_that_refuses_all_that_wait_answers_each(void **state)
{
    unsigned refused = 0;

    (void)state;
    subscribe();
    host.store = HOST_STORE_LATER;
    for (uint32_t cseq = 2; cseq < 12; cseq++)
        refresh(cseq, 600);
    host.store = HOST_STORE_REFUSES;
    host_store_release(&host, 1, HD_ESTORE);
    host_settle(&host);
    while (host.sent)
        refused += host_take_status(&host, 503) != NULL;
    assert_int_equal(refused, 10);
    assert_int_equal(HOST_COUNT(&host, 0, subscriptions), 1);
}

static void
an_end_lingers_for_its_repetitions(void **state)
{
    (void)state;
    subscribe();
    refresh(2, 0);
    host_take_status(&host, 200);
    host_answer(&host, host_take_notify(&host), 200, NULL);
    assert_int_equal(HOST_COUNT(&host, 0, mirrors), 0);
    refresh(2, 0);
    assert_true(host_has(host_take_status(&host, 200), "Expires: 0\r\n"));
    host_wait(&host, 31999);
    assert_int_equal(host_subs(&host), 1);
    host_wait(&host, 2);
    assert_int_equal(host_subs(&host), 0);
}

static void
on_a_reliable_transport_nothing_lingers(void **state)
{
    const uint64_t conn = hd_conn_make(0, 1, 1);

    (void)state;
    host_request(&host, &(struct host_request){ .expires = 0, .transport = HD_TCP, .conn = conn });
    host_take_status(&host, 200);
    host_answer(&host, host_take_notify(&host), 200, NULL);
    host_wait(&host, 1);
    assert_int_equal(host_subs(&host), 0);
}

/* --- ends while something is under way ------------------------------------------------------- */

static void
a_fatal_answer_while_a_refresh_is_kept_makes_it_481(void **state)
{
    (void)state;
    subscribe();
    host_publish(&host, NULL, "x-state", NULL, "news", NULL);
    struct host_sent *sent = host_take_notify(&host);
    host.store = HOST_STORE_LATER;
    refresh(2, 3600);
    host_answer(&host, sent, 481, NULL);
    host_store_release(&host, 100, HD_OK);
    host_settle(&host);
    host_take_status(&host, 481);
    host_take_nothing(&host);
    /* What the store holds goes as well. */
    const struct host_put *put = host_record(&host, EVT_RECORD_SUBSCRIPTION);
    assert_int_equal(put->record.n, 0);
}

static void
the_outcome_for_a_subscription_that_is_gone_finds_nobody(void **state)
{
    const struct evt_outcome outcome = { .ticket = evt_ticket(EVT_RECORD_SUBSCRIPTION, 0, 1) };

    (void)state;
    subscribe();
    assert_int_equal(evt_stored_post(host_shard(&host, 0), &outcome, 1), HD_OK);
    host_settle(&host); /* right generation, but no change under way */
    refresh(2, 0);
    host_take_status(&host, 200);
    host_answer(&host, host_take_notify(&host), 200, NULL);
    host_wait(&host, 40000);
    assert_int_equal(evt_stored_post(host_shard(&host, 0), &outcome, 1), HD_OK);
    host_settle(&host);
    host_take_nothing(&host);
}

/* --- rules ----------------------------------------------------------------------------------- */

static void
a_rule_that_blocks_ends_it_and_shows_nothing(void **state)
{
    (void)state;
    subscribe();
    rules_changed(EVT_DENY);
    struct host_sent *sent = host_take_notify(&host);
    assert_state(sent, "terminated;reason=rejected");
    assert_int_equal(sent->msg.body.n, 0);
}

static void
a_refused_refresh_ends_it_too(void **state)
{
    (void)state;
    subscribe();
    host.n_rules = 1;
    host.rules[0] = (struct host_rule){ .decision = EVT_DENY };
    refresh(2, 3600);
    host_take_status(&host, 403);
    assert_state(host_take_notify(&host), "terminated;reason=rejected");
    refresh(3, 3600);
    host_take_status(&host, 481);
}

static void
pending_becomes_active_with_the_state(void **state)
{
    (void)state;
    host_publish(&host, NULL, "x-state", NULL, "news", NULL);
    host.n_rules = 1;
    host.rules[0] = (struct host_rule){ .decision = EVT_CONFIRM };
    host_request(&host, &(struct host_request){ .expires = 3600 });
    host_take_status(&host, 200);
    struct host_sent *sent = host_take_notify(&host);
    assert_state(sent, "Subscription-State: pending;expires=3600");
    assert_int_equal(sent->msg.body.n, 0);
    host_answer(&host, sent, 200, NULL);
    rules_changed(EVT_ALLOW);
    sent = host_take_notify(&host);
    assert_state(sent, "active;expires=3600");
    assert_true(hd_slice_eq(sent->msg.body, HD_LIT("news")));
}

static void
who_is_blocked_politely_learns_of_no_change(void **state)
{
    char etag[HD_ID_TEXT + 1];

    (void)state;
    host_publish(&host, NULL, "x-state", NULL, "news", etag);
    host.n_rules = 1;
    host.rules[0] = (struct host_rule){ .user = ALICE, .resource = BOB, .decision = EVT_POLITE };
    host_request(&host, &(struct host_request){ .expires = 3600 });
    host.n_rules = 0;
    host_take_status(&host, 200);
    struct host_sent *sent = host_take_notify(&host);
    assert_state(sent, "active;");
    assert_true(hd_slice_eq(sent->msg.body, HD_LIT("(none)")));
    host_answer(&host, sent, 200, NULL);
    host_publish(&host, NULL, "x-state", etag, "more", NULL);
    host_take_nothing(&host);
}

/* When the command that changed the rules has returned, nobody who is blocked gets anything. */
static void
a_rule_that_blocks_while_the_store_works_lets_nothing_out(void **state)
{
    (void)state;
    host_publish(&host, NULL, "x-state", NULL, "secret", NULL);
    host.store = HOST_STORE_LATER;
    host_request(&host, &(struct host_request){ .expires = 3600 });
    rules_changed(EVT_DENY);
    host_store_release(&host, 100, HD_OK);
    host_settle(&host);
    for (struct host_sent *sent; (sent = host_take(&host)) != NULL;)
        assert_false(host_has(sent, "secret"));
    assert_int_equal(HOST_COUNT(&host, 0, subscriptions), 0);
    host_store_release(&host, 100, HD_OK);
    assert_int_equal(host_record(&host, EVT_RECORD_SUBSCRIPTION)->record.n, 0);
}

static void
the_last_notify_shows_what_the_rules_allow_by_then(void **state)
{
    static const struct {
        enum evt_decision decision;
        const char *body;
    } row[] = { { EVT_CONFIRM, "" }, { EVT_POLITE, "(none)" }, { EVT_ALLOW, "secret" } };

    (void)state;
    host_publish(&host, BOB, "x-state", NULL, "secret", NULL);
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        char call_id[8];
        (void)snprintf(call_id, sizeof(call_id), "e%zu", i);
        rules_changed(EVT_ALLOW);
        host_subscribe(&host, &(struct host_request){ .expires = 3600, .call_id = call_id }, tag);
        host.store = HOST_STORE_LATER;
        host_request(&host, &(struct host_request){
                                .to_tag = tag, .call_id = call_id, .cseq = 2, .expires = 0 });
        rules_changed(row[i].decision);
        host_settle(&host);
        host_drop(&host); /* of the rule's change */
        host.store = HOST_STORE_NOW;
        host_settle(&host);
        host_take_status(&host, 200);
        const struct host_sent *last = host_take_notify(&host);
        assert_state(last, "Subscription-State: terminated;reason=timeout\r\n");
        assert_true(hd_slice_eq(last->msg.body, hd_slice_str(row[i].body)));
    }
}

static void
a_rule_that_blocks_politely_while_the_store_works_shows_the_neutral_state(void **state)
{
    (void)state;
    host_publish(&host, NULL, "x-state", NULL, "secret", NULL);
    host.store = HOST_STORE_LATER;
    host_request(&host, &(struct host_request){ .expires = 3600 });
    rules_changed(EVT_POLITE);
    host_store_release(&host, 100, HD_OK);
    host_settle(&host);
    host_take_status(&host, 200);
    assert_true(hd_slice_eq(host_take_notify(&host)->msg.body, HD_LIT("(none)")));
    host_take_nothing(&host);
}

static void
a_rule_that_blocks_while_a_refresh_is_kept_ends_it(void **state)
{
    (void)state;
    subscribe();
    host.store = HOST_STORE_LATER;
    refresh(2, 3600);
    rules_changed(EVT_DENY);
    host_settle(&host);
    assert_state(host_take_notify(&host), "terminated;reason=rejected");
    host_store_release(&host, 100, HD_OK);
    host_settle(&host);
    host_take_status(&host, 481);
    host_take_nothing(&host);
}

static void
a_last_notify_that_a_rule_withdraws_is_not_sent_again(void **state)
{
    (void)state;
    host_publish(&host, NULL, "x-state", NULL, "secret", NULL);
    host_request(&host, &(struct host_request){ .expires = 0 });
    host_take_status(&host, 200);
    assert_true(host_has(host_take_notify(&host), "secret"));
    rules_changed(EVT_DENY);
    host_settle(&host);
    struct host_sent *sent = host_take_notify(&host);
    assert_state(sent, "terminated;reason=timeout");
    assert_int_equal(sent->msg.body.n, 0);
    host_wait(&host, 40000);
    while (host.sent)
        assert_false(host_has(host_take_notify(&host), "secret"));
}

static void
a_watcher_has_a_quota(void **state)
{
    struct evt_config *config = host_config_copy(&host);

    (void)state;
    config->limits.subscriptions_per_watcher = 2;
    host_configure(&host, config, hd_slice(NULL, 0));
    subscribe();
    host_subscribe(&host, &(struct host_request){ .expires = 60, .call_id = "c2" }, tag);
    host_request(&host, &(struct host_request){ .expires = 60, .call_id = "c3" });
    host_take_status(&host, 403);
    host_wait(&host, 60000);
    host_answer(&host, host_take_notify(&host), 200, NULL);
    host_subscribe(&host, &(struct host_request){ .expires = 60, .call_id = "c4" }, tag);
}

/* --- all of them ----------------------------------------------------------------------------- */

static void
a_store_in_memory_ends_all_a_few_in_a_turn(void **state)
{
    struct evt_config *config = host_config_copy(&host);
    char call_id[16];

    (void)state;
    config->limits.sends_per_turn = 2;
    host_configure(&host, config, hd_slice(NULL, 0));
    for (unsigned i = 0; i < 5; i++) {
        (void)snprintf(call_id, sizeof(call_id), "m%u", i);
        host_subscribe(&host, &(struct host_request){ .expires = 600, .call_id = call_id }, tag);
    }
    evt_shard_terminate_all(host_shard(&host, 0), 30, host.now_ms * 1000);
    (void)evt_shard_turn(host_shard(&host, 0), host.now_ms * 1000);
    assert_int_equal(host_count(&host), 2);
    assert_false(evt_shard_quiet(host_shard(&host, 0)));
    host_settle(&host);
    assert_int_equal(host_count(&host), 5);
    while (host.sent) {
        struct host_sent *sent = host_take_notify(&host);
        assert_state(sent, "terminated;reason=probation;retry-after=30");
        host_answer(&host, sent, 200, NULL);
    }
    assert_true(evt_shard_quiet(host_shard(&host, 0)));
}

static void
one_that_is_being_kept_when_all_end_ends_too(void **state)
{
    (void)state;
    host.store = HOST_STORE_LATER;
    host_request(&host, &(struct host_request){ .expires = 3600 });
    evt_shard_drain_begin(host_shard(&host, 0));
    evt_shard_terminate_all(host_shard(&host, 0), 0, host.now_ms * 1000);
    host_settle(&host);
    assert_false(evt_shard_quiet(host_shard(&host, 0)));
    host_store_release(&host, 1, HD_OK);
    host_settle(&host);
    host_take_status(&host, 200);
    assert_state(host_take_notify(&host), "active;");
    assert_state(host_take_notify(&host), "terminated;reason=deactivated");
}

/* --- edges of what is asked for -------------------------------------------------------------- */

static void
the_longest_duration_is_cut_to_what_is_granted(void **state)
{
    (void)state;
    host_request(&host, &(struct host_request){ .expires = 4294967295 });
    assert_true(host_has(host_take_status(&host, 200), "Expires: 86400\r\n"));
    host_drop(&host);
    host_request(&host, &(struct host_request){ .expires = 999999999999, .call_id = "c2" });
    assert_true(host_has(host_take_status(&host, 200), "Expires: 86400\r\n"));
}

static void
no_accept_means_the_first_type_alone(void **state)
{
    (void)state;
    subscribe();
    assert_int_equal(host_sub(&host, 0)->types, 1);
    host_request(&host, &(struct host_request){ .to_tag = tag,
                                                .cseq = 2,
                                                .expires = 600,
                                                .headers = "Accept: text/html, text/*\r\n" });
    assert_int_equal(host_sub(&host, 0)->types, 3);
    host_drop(&host);
    host_request(&host, &(struct host_request){ .to_tag = tag, .cseq = 3, .expires = 600 });
    assert_int_equal(host_sub(&host, 0)->types, 3);
}

static void
a_contact_that_is_no_sip_uri_is_400(void **state)
{
    static const char *const contacts[] = { "<tel:+123>", "<http://a/>", "<si:a@1.1.1.1>", "*" };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(contacts); i++) {
        host_request(&host, &(struct host_request){ .expires = 600,
                                                    .cseq = (uint32_t)(i + 1),
                                                    .contact = contacts[i] });
        host_take_status(&host, 400);
    }
    subscribe();
    host_publish(&host, NULL, "x-state", NULL, "one", NULL);
    host_answer(&host, host_take_notify(&host), 200, "Contact: <tel:+1>\r\n");
    host_publish(&host, NULL, "x-state", NULL, "two", NULL);
    assert_true(host_has(host_take_notify(&host), "NOTIFY sip:alice@198.51.100.9:5062 SIP/2.0"));
}

static void
very_long_names_are_kept_and_sent_whole(void **state)
{
    char headers[6200], contact[1100];
    struct hd_slice name;
    const struct hd_flow flow = host_flow(5062);
    char text[16000], from[6000];
    size_t n;

    (void)state;
    (void)headers;
    memset(from, 'n', sizeof(from));
    memset(contact, 'c', sizeof(contact));
    n = (size_t)snprintf(text, sizeof(text),
                         "SUBSCRIBE sip:bob@example.test SIP/2.0\r\n"
                         "Via: SIP/2.0/UDP 198.51.100.9:5062;rport;branch=z9hG4bKlong\r\n"
                         "From: \"%.5900s\" <sip:alice@example.test>;tag=f1\r\n"
                         "To: \"%.5900s\" <sip:bob@example.test>\r\n"
                         "Call-ID: long\r\nCSeq: 1 SUBSCRIBE\r\nEvent: x-state\r\nExpires: 600\r\n"
                         "Contact: <sip:%.900s@198.51.100.9:5062>\r\nContent-Length: 0\r\n\r\n",
                         from, from, contact);
    host_receive(&host, &flow, hd_slice(text, n));
    host_settle(&host);
    host_take_status(&host, 200);
    name = host_take_notify(&host)->msg.to.display;
    assert_int_equal(name.n, 5902);
}

int
main(void)
{
#define TEST(name) HOST_TEST(name, 1)
    const struct CMUnitTest tests[] = {
        TEST(strings_come_back_as_they_went_in_and_none_is_kept_twice),
        TEST(a_fold_in_from_is_a_blank_and_what_stands_behind_it_is_found),
        TEST(strings_that_are_too_long_together_are_refused),
        TEST(nothing_is_answered_before_the_store_has_it),
        TEST(a_repetition_while_the_store_works_is_absorbed),
        TEST(a_repetition_afterwards_hears_the_same),
        TEST(a_store_that_takes_long_is_told_with_100),
        TEST(what_the_store_could_not_keep_is_503_and_leaves_nothing),
        TEST(a_fetch_is_not_kept_and_ends_with_its_notify),
        TEST(an_initial_one_with_the_cseq_of_another_is_merged),
        TEST(an_old_initial_one_that_arrives_late_makes_no_second_subscription),
        TEST(a_refresh_moves_the_end_and_owes_a_notify),
        TEST(a_refresh_that_the_store_could_not_keep_leaves_it_as_it_was),
        TEST(an_end_that_the_store_could_not_keep_leaves_it_alive),
        TEST(a_refresh_in_time_holds_the_end_while_the_store_works),
        TEST(a_refresh_in_time_that_could_not_be_kept_ends_late),
        TEST(an_old_cseq_is_500_and_another_dialog_481),
        TEST(requests_wait_behind_a_change_and_are_handled_in_their_order),
        TEST(behind_an_end_the_others_find_nothing),
        TEST(more_than_the_limit_do_not_wait),
        TEST(a_store_that_refuses_all_that_wait_answers_each),
        TEST(an_end_lingers_for_its_repetitions),
        TEST(on_a_reliable_transport_nothing_lingers),
        TEST(a_fatal_answer_while_a_refresh_is_kept_makes_it_481),
        TEST(the_outcome_for_a_subscription_that_is_gone_finds_nobody),
        TEST(a_rule_that_blocks_ends_it_and_shows_nothing),
        TEST(a_refused_refresh_ends_it_too),
        TEST(pending_becomes_active_with_the_state),
        TEST(who_is_blocked_politely_learns_of_no_change),
        TEST(a_rule_that_blocks_while_the_store_works_lets_nothing_out),
        TEST(a_rule_that_blocks_politely_while_the_store_works_shows_the_neutral_state),
        TEST(a_rule_that_blocks_while_a_refresh_is_kept_ends_it),
        TEST(a_last_notify_that_a_rule_withdraws_is_not_sent_again),
        TEST(a_watcher_has_a_quota),
        TEST(a_store_in_memory_ends_all_a_few_in_a_turn),
        TEST(one_that_is_being_kept_when_all_end_ends_too),
        TEST(the_longest_duration_is_cut_to_what_is_granted),
        TEST(no_accept_means_the_first_type_alone),
        TEST(a_contact_that_is_no_sip_uri_is_400),
        TEST(very_long_names_are_kept_and_sent_whole),
        TEST(the_last_notify_shows_what_the_rules_allow_by_then),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
