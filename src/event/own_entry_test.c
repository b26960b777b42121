/* own_entry_test.c - whoever may see his own entry in watcher information sees all of his own and
 * nothing of anybody else (RFC 3857 sections 4.6 and 4.7.2): not in a list, not by a NOTIFY, not by
 * its moment; over rules that change, a store that is slow, and a restart. */
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
#define ALICE "sip:alice@example.test"
#define WINFO "x-state.winfo"

/* What the rules say: of alice at the resource and at its watcher information; all others may see
 * the resource. */
static void
rules(enum evt_decision at_state, enum evt_decision at_winfo)
{
    host.rules[0] = (struct host_rule){ .user = ALICE, .package = WINFO, .decision = at_winfo };
    host.rules[1] = (struct host_rule){ .user = ALICE, .decision = at_state };
    host.n_rules = 2;
    host_configure(&host, host_config_copy(&host), HD_LIT(BOB));
    host_settle(&host);
}

/* The next request of a watcher, on the shard that has his way. */
static struct host_request
asks(const char *who, const char *event, const char *call_id, unsigned shard, int64_t expires,
     const char *to_tag)
{
    static uint32_t cseq;

    return (struct host_request){ .from = who,
                                  .event = event,
                                  .call_id = call_id,
                                  .expires = expires,
                                  .to_tag = to_tag,
                                  .cseq = ++cseq,
                                  .port = host_port_of(&host, shard) };
}

static void
request(const char *who, const char *event, const char *call_id, unsigned shard, int64_t expires,
        const char *to_tag)
{
    const struct host_request request = asks(who, event, call_id, shard, expires, to_tag);

    host_request(&host, &request);
}

/* What was asked for is granted, and its NOTIFY answered. */
static void
accepted(void)
{
    (void)host_take_status(&host, 200);
    host_answer(&host, host_take_notify(&host), 200, NULL);
}

/* A subscription and its first NOTIFY; its tag. */
static void
watch(const char *who, const char *call_id, unsigned shard, char ret_tag[HD_ID_TEXT + 1])
{
    const struct host_request request = asks(who, "x-state", call_id, shard, 86400, NULL);

    host_subscribe(&host, &request, ret_tag);
}

static void
is_shown(const struct host_sent *sent, const char *event, const char *body)
{
    if (!hd_slice_eq(sent->msg.body, hd_slice_str(body)))
        print_error("%.*s\n", HD_FMT(sent->text));
    assert_true(hd_slice_eq(host_value(sent, SIP_HDR_EVENT), hd_slice_str(event)));
    assert_true(hd_slice_eq(sent->msg.body, hd_slice_str(body)));
}

/* Alice is told in her dialog of watcher information. */
static void
told(const char *body)
{
    const struct host_sent *sent = host_take_notify(&host);

    is_shown(sent, WINFO, body);
    host_answer(&host, sent, 200, NULL);
}

static void
watch_own(unsigned shard, const char *body)
{
    request("alice", WINFO, "own", shard, 86400, NULL);
    (void)host_take_status(&host, 200);
    told(body);
}

/* --- nothing of others ----------------------------------------------------------------------- */

static void
a_watcher_sees_all_of_his_own_and_nobody_else(void **state)
{
    char one[HD_ID_TEXT + 1], two[HD_ID_TEXT + 1], other[HD_ID_TEXT + 1];

    (void)state;
    rules(EVT_ALLOW, EVT_OWN);
    watch("carol", "c", 0, other);
    watch("alice", "a", 1, one);
    watch_own(2, "alice active subscribe\n1");
    host_wait(&host, 2000);
    watch("alice", "b", 0, two);
    told("alice active subscribe\nalice active subscribe\n2");
    host_wait(&host, 2000);
    request("carol", "x-state", "c", 0, 0, other);
    accepted();
    watch("dave", "d", 1, other);
    host_wait(&host, 20000);
    host_take_nothing(&host);
    request("alice", "x-state", "a", 1, 0, one);
    accepted();
    const struct host_sent *sent = host_take_notify(&host);
    assert_true(host_has(sent, "alice active subscribe\n"));
    assert_true(host_has(sent, "alice terminated timeout\n"));
    assert_int_equal(sent->msg.body.n,
                     strlen("alice active subscribe\nalice terminated timeout\n2"));
    host_answer(&host, sent, 200, NULL);
}

/* At most one document a second is made of a list; that others make theirs is nothing to him. */
static void
the_moment_says_nothing_of_others(void **state)
{
    char tag[HD_ID_TEXT + 1];

    (void)state;
    rules(EVT_ALLOW, EVT_OWN);
    watch_own(2, "0");
    request("bob", WINFO, "owner", 0, 86400, NULL);
    accepted();
    host_wait(&host, 5000);
    watch("carol", "c", 0, tag); /* the owner's document is made now, and not again for a second */
    is_shown(host_take_notify(&host), WINFO, "carol active subscribe\n1");
    host_wait(&host, 100);
    request("alice", "x-state", "a", 1, 86400, NULL);
    accepted();
    told("alice active subscribe\n1");
    host_wait(&host, 899);
    for (const struct host_sent *sent = host.sent; sent; sent = sent->next)
        assert_false(host_has(sent, "To: <sip:alice@"));
}

/* As many watchers as a list takes, and more: his own entry is in his. */
static void
a_list_that_is_full_leaves_nobody_out_of_his_own(void **state)
{
    struct evt_shard *home = host_shard(&host, host_home(&host, BOB));
    char tag[HD_ID_TEXT + 1];

    (void)state;
    rules(EVT_ALLOW, EVT_OWN);
    request("bob", WINFO, "owner", 0, 86400, NULL);
    accepted();
    for (unsigned i = 0; i < 4100; i++) {
        const struct evt_topic topic = { .key = HD_LIT(BOB), .package = HD_LIT("x-state") };
        char name[32];
        const int n = snprintf(name, sizeof(name), "sip:u%u@example.test", i);
        struct evt_told *one = evt_told_new(1000 + i, hd_slice(name, (size_t)n), HD_LIT(""));
        struct evt_mail_told *mail = malloc(sizeof(*mail) + evt_topic_size(&topic));
        assert_true(one && mail);
        one->status = EVT_WATCHER_ACTIVE;
        one->event = EVT_WATCHER_SUBSCRIBE;
        *mail = (struct evt_mail_told){ .list = one };
        mail->topic = evt_topic_write(&topic, mail->text);
        evt_watch_answer(home, mail);
    }
    watch("alice", "a", 1, tag);
    assert_int_equal(HOST_COUNT(&host, home->index, watchers_unlisted), 5);
    host_drop(&host);
    watch_own(2, "alice active subscribe\n1");
}

/* --- what is his own ------------------------------------------------------------------------- */

/* RFC 3857 section 4.7.2: no more than Subscription-State tells. */
static void
what_ended_undecided_is_over_for_the_watcher(void **state)
{
    (void)state;
    rules(EVT_CONFIRM, EVT_OWN);
    watch_own(2, "0");
    host_wait(&host, 2000);
    request("alice", "x-state", "a", 1, 60, NULL);
    accepted();
    told("alice pending subscribe\n1");
    host_wait(&host, 60000);
    const struct host_sent *sent = host_take_notify(&host);
    assert_true(host_has(sent, "Subscription-State: terminated;reason=timeout"));
    host_answer(&host, sent, 200, NULL);
    told("alice terminated timeout\n1");
    host_wait(&host, 20000);
    request("bob", WINFO, "owner", 0, 0, NULL); /* it waits, for the owner */
    (void)host_take_status(&host, 200);
    is_shown(host_take_notify(&host), WINFO, "alice waiting timeout\n1");
    host_drop(&host);
    rules(EVT_ALLOW, EVT_OWN); /* what is decided of it is nothing to her */
    host_wait(&host, 20000);
    for (const struct host_sent *left = host.sent; left; left = left->next)
        assert_false(host_has(left, "To: <sip:alice@"));
    host_drop(&host);
    watch_own(0, "0");
}

static void
a_fetch_undecided_is_no_entry_of_his_own(void **state)
{
    (void)state;
    rules(EVT_CONFIRM, EVT_OWN);
    watch_own(2, "0");
    request("alice", "x-state", "a", 1, 0, NULL);
    accepted();
    host_wait(&host, 20000);
    host_take_nothing(&host);
}

/* The order of what the rules may say, at run time and in force over a restart: what Alice is shown
 * in her dialog of watcher information. */
static void
the_polite_and_the_allowed_are_told_the_same(void **state)
{
    static const enum evt_decision ways[] = { EVT_ALLOW, EVT_POLITE };
    char tag[2][HD_ID_TEXT + 1];
    char told_then[2][4096];

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(ways); i++) {
        size_t n = 0;
        if (i > 0) {
            host_done(&host);
            host_init(&host, 3);
        }
        rules(EVT_CONFIRM, EVT_OWN);
        watch_own(2, "0");
        host_wait(&host, 5000);
        watch("alice", "a", 1, tag[i]);
        told("alice pending subscribe\n1");
        host_wait(&host, 5000);
        rules(ways[i], EVT_OWN);
        host_wait(&host, 5000);
        request("alice", "x-state", "a", 1, 0, tag[i]);
        host_wait(&host, 5000);
        while (host_count(&host)) {
            const struct host_sent *sent = host_take(&host);
            n += (size_t)snprintf(told_then[i] + n, sizeof(told_then[i]) - n, "%.*s|%.*s|%.*s\n",
                                  HD_FMT(host_value(sent, SIP_HDR_EVENT)),
                                  HD_FMT(host_value(sent, SIP_HDR_SUBSCRIPTION_STATE)),
                                  HD_FMT(sent->msg.body));
            if (sent->msg.request)
                host_answer(&host, sent, 200, NULL);
        }
    }
    assert_string_equal(told_then[0], told_then[1]);
    assert_non_null(strstr(told_then[0], "approved"));
}

/* --- rules ----------------------------------------------------------------------------------- */

static void
a_rule_shows_more_or_less_in_the_same_dialog(void **state)
{
    char tag[HD_ID_TEXT + 1];

    (void)state;
    rules(EVT_ALLOW, EVT_OWN);
    watch("carol", "c", 0, tag);
    watch("alice", "a", 1, tag);
    watch_own(2, "alice active subscribe\n1");
    rules(EVT_ALLOW, EVT_ALLOW);
    const struct host_sent *sent = host_take_notify(&host);
    assert_true(host_has(sent, "carol active subscribe\n"));
    assert_true(host_has(sent, "alice active subscribe\n"));
    host_answer(&host, sent, 200, NULL);
    rules(EVT_ALLOW, EVT_POLITE); /* a list without himself would tell */
    told("alice active subscribe\n1");
    rules(EVT_ALLOW, EVT_CONFIRM);
    sent = host_take_notify(&host);
    assert_true(host_has(sent, "Subscription-State: pending"));
    assert_int_equal(sent->msg.body.n, 0);
    host_answer(&host, sent, 200, NULL);
    rules(EVT_ALLOW, EVT_OWN);
    told("alice active subscribe\n1");
    rules(EVT_ALLOW, EVT_DENY);
    sent = host_take_notify(&host);
    assert_true(host_has(sent, "Subscription-State: terminated;reason=rejected"));
    assert_int_equal(sent->msg.body.n, 0);
    host_answer(&host, sent, 200, NULL);
}

/* The rules in force when it is applied count, of a new one and of one that is refreshed. */
static void
a_rule_that_changes_while_the_store_works_counts(void **state)
{
    static const struct {
        enum evt_decision before, after;
        bool all;
    } row[] = { { EVT_ALLOW, EVT_OWN, false },
                { EVT_OWN, EVT_ALLOW, true },
                { EVT_ALLOW, EVT_POLITE, false } };
    char tag[HD_ID_TEXT + 1], own[HD_ID_TEXT + 1];

    (void)state;
    rules(EVT_ALLOW, EVT_ALLOW);
    watch("carol", "c", 0, tag);
    watch("alice", "a", 1, tag);
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        const char *const all = "carol active subscribe\n";
        char call_id[8];
        (void)snprintf(call_id, sizeof(call_id), "o%zu", i);
        rules(EVT_ALLOW, row[i].before);
        host.store = HOST_STORE_LATER;
        request("alice", WINFO, call_id, 2, 86400, NULL);
        host_take_nothing(&host);
        rules(EVT_ALLOW, row[i].after);
        host_store_release(&host, host.n_puts, HD_OK);
        host.store = HOST_STORE_NOW;
        host_settle(&host);
        const struct host_sent *sent = host_take_status(&host, 200);
        (void)snprintf(own, sizeof(own), "%.*s", HD_FMT(sent->msg.to_tag));
        sent = host_take_notify(&host);
        assert_true(host_has(sent, "alice active subscribe\n"));
        assert_int_equal(host_has(sent, all), row[i].all);
        host_answer(&host, sent, 200, NULL);

        rules(EVT_ALLOW, row[i].before);
        while (host_count(&host))
            host_answer(&host, host_take_notify(&host), 200, NULL);
        host.store = HOST_STORE_LATER;
        request("alice", WINFO, call_id, 2, 86400, own);
        rules(EVT_ALLOW, row[i].after);
        while (host_count(&host)) /* of the rule, in the dialog that there is */
            host_answer(&host, host_take_notify(&host), 200, NULL);
        host_store_release(&host, host.n_puts, HD_OK);
        host.store = HOST_STORE_NOW;
        host_settle(&host);
        (void)host_take_status(&host, 200);
        sent = host_take_notify(&host);
        assert_true(host_has(sent, "alice active subscribe\n"));
        assert_int_equal(host_has(sent, all), row[i].all);
        host_answer(&host, sent, 200, NULL);
        request("alice", WINFO, call_id, 2, 0, own);
        (void)host_take_status(&host, 200);
        sent = host_take_notify(&host);
        assert_int_equal(host_has(sent, all), row[i].all);
        host_answer(&host, sent, 200, NULL);
    }
}

/* It is not sent again while the home has not said yet what takes its place. */
static void
a_list_on_its_way_is_withdrawn_at_once(void **state)
{
    char tag[HD_ID_TEXT + 1];

    (void)state;
    rules(EVT_ALLOW, EVT_ALLOW);
    watch("carol", "c", 0, tag);
    request("alice", WINFO, "own", 2, 86400, NULL);
    (void)host_take_status(&host, 200);
    assert_true(host_has(host_take_notify(&host), "carol active subscribe\n"));
    assert_int_equal(HOST_COUNT(&host, 2, in_flight), 1);
    host.rules[0].decision = EVT_OWN;
    host_configure(&host, host_config_copy(&host), HD_LIT(BOB));
    assert_int_equal(HOST_COUNT(&host, 2, in_flight), 0);
    host_settle(&host);
    told("0");
}

/* A polite block of the list comes as a change of it would: what is on its way is repeated until it
 * is answered. */
static void
a_polite_block_of_the_list_looks_like_a_change_of_it(void **state)
{
    char tag[HD_ID_TEXT + 1];

    (void)state;
    rules(EVT_ALLOW, EVT_ALLOW);
    watch("carol", "c", 0, tag);
    request("alice", WINFO, "own", 2, 86400, NULL);
    (void)host_take_status(&host, 200);
    struct host_sent *sent = host_take_notify(&host);
    assert_true(host_has(sent, "carol active subscribe\n"));
    rules(EVT_ALLOW, EVT_POLITE);
    host_take_nothing(&host);
    host_wait(&host, 500);
    sent = host_take_notify(&host);
    assert_true(host_has(sent, "carol active subscribe\n"));
    host_answer(&host, sent, 200, NULL);
    told("0");
    rules(EVT_ALLOW, EVT_ALLOW);
    told("carol active subscribe\n1");
}

/* Where he is the only watcher his own entry is all that there is. */
static void
a_polite_block_of_a_list_with_nobody_else_is_not_told(void **state)
{
    char tag[HD_ID_TEXT + 1];

    (void)state;
    rules(EVT_ALLOW, EVT_ALLOW);
    watch("alice", "a", 0, tag);
    watch_own(2, "alice active subscribe\n1");
    for (int i = 0; i < 3; i++) {
        rules(EVT_ALLOW, EVT_POLITE);
        host_wait(&host, 20000);
        rules(EVT_ALLOW, EVT_ALLOW);
        host_wait(&host, 20000);
    }
    host_take_nothing(&host);
    watch("carol", "c", 0, tag);
    told("alice active subscribe\ncarol active subscribe\n2");
}

/* What is over may have its last NOTIFY on its way when its package goes from the configuration,
 * and a rule may change after that. */
static void
a_rule_shows_less_of_a_package_that_is_there_no_more(void **state)
{
    char tag[HD_ID_TEXT + 1];

    (void)state;
    rules(EVT_ALLOW, EVT_ALLOW);
    watch("carol", "c", 0, tag);
    request("alice", WINFO, "own", 2, 0, NULL);
    (void)host_take_status(&host, 200);
    assert_true(host_has(host_take_notify(&host), "carol active subscribe\n"));
    struct evt_config *without = host_config_copy(&host);
    without->packages++;
    without->n_packages--;
    host_configure(&host, without, hd_slice(NULL, 0));
    host_settle(&host);
    host_drop(&host); /* what ended with it */
    rules(EVT_ALLOW, EVT_OWN);
    const struct host_sent *sent = host_take_notify(&host);
    assert_true(host_has(sent, "Subscription-State: terminated;reason=timeout"));
    assert_int_equal(sent->msg.body.n, 0);
    host_answer(&host, sent, 200, NULL);
}

/* --- many ------------------------------------------------------------------------------------ */

static uint64_t
looked_at(void)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < host.n; i++)
        n += HOST_COUNT(&host, i, watchers_looked_at);
    return n;
}

static void
watch_many(unsigned n, const char *event)
{
    char who[16], call_id[24];

    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(who, sizeof(who), "w%u", i);
        (void)snprintf(call_id, sizeof(call_id), "%s-%u", event, i);
        request(who, event, call_id, i % host.n, 86400, NULL);
        (void)host_take_status(&host, 200);
        const struct host_sent *sent = host_take_notify(&host);
        if (event[7] == '.')
            assert_int_equal(sent->msg.body.n, strlen("w subscribe active\n1") + strlen(who) - 1);
        host_answer(&host, sent, 200, NULL);
    }
}

/* Each asks for his own entry alone, and nobody looks at all of the others for it. */
static void
ten_thousand_own_entries_are_linear_work(void **state)
{
    enum { N = 10000 };

    (void)state;
    struct evt_config *config = host_config_copy(&host);
    config->limits.subscriptions = 4 * N;
    host_configure(&host, config, hd_slice(NULL, 0));
    host.rules[0] = (struct host_rule){ .package = WINFO, .decision = EVT_OWN };
    host.n_rules = 1;
    watch_many(N, "x-state");
    assert_int_equal(looked_at(), 0); /* who does not use it pays nothing */
    for (unsigned i = 0; i < host.n; i++)
        assert_int_equal(host.seats[i].shard->sub_by_watcher.used, 0);
    watch_many(N, WINFO);
    /* One walk on each shard, and for each question those that are found. */
    assert_true(looked_at() <= 3 * N);
    for (unsigned i = 0; i < host.n; i++)
        assert_null(evt_shard_check(host.seats[i].shard));
}

/* --- a restart ------------------------------------------------------------------------------- */

static void
nothing_is_told_twice_over_a_restart_with_other_shards(void **state)
{
    static const unsigned shards[] = { 3, 2, 1, 3 };
    char tag[HD_ID_TEXT + 1];

    (void)state;
    rules(EVT_ALLOW, EVT_OWN);
    watch("carol", "c", 0, tag);
    watch("alice", "a", 1, tag);
    watch_own(2, "alice active subscribe\n1");
    for (size_t i = 0; i < HD_ARRAY_LEN(shards); i++) {
        host_wait(&host, 5000);
        host_restart(&host, shards[i], &(struct host_ending){ .clean = true, .down_ms = 1000 });
        host_settle(&host);
        host_wait(&host, 40000);
        host_take_nothing(&host);
    }
    request("alice", "x-state", "a", 1, 0, tag); /* and it goes on */
    accepted();
    told("alice terminated timeout\n1");
}

static void
rules_that_changed_before_a_start_count(void **state)
{
    char tag[HD_ID_TEXT + 1];

    (void)state;
    rules(EVT_ALLOW, EVT_ALLOW);
    watch("carol", "c", 0, tag);
    watch("alice", "a", 1, tag);
    request("alice", WINFO, "own", 2, 86400, NULL);
    accepted();
    host_wait(&host, 5000);
    host.rules[0].decision = EVT_OWN; /* nobody is told while it is down */
    host_restart(&host, 2, &(struct host_ending){ .clean = true, .down_ms = 1000 });
    host_settle(&host);
    told("alice active subscribe\n1");
    host_wait(&host, 5000);
    host.rules[0].decision = EVT_ALLOW;
    host_restart(&host, 2, &(struct host_ending){ .clean = true, .down_ms = 1000 });
    host_settle(&host);
    const struct host_sent *sent = host_take_notify(&host);
    assert_true(host_has(sent, "carol active subscribe\n"));
    host_answer(&host, sent, 200, NULL);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        HOST_TEST(a_watcher_sees_all_of_his_own_and_nobody_else, 3),
        HOST_TEST(the_moment_says_nothing_of_others, 3),
        HOST_TEST(a_list_that_is_full_leaves_nobody_out_of_his_own, 3),
        HOST_TEST(what_ended_undecided_is_over_for_the_watcher, 3),
        HOST_TEST(a_fetch_undecided_is_no_entry_of_his_own, 3),
        HOST_TEST(the_polite_and_the_allowed_are_told_the_same, 3),
        HOST_TEST(a_rule_shows_more_or_less_in_the_same_dialog, 3),
        HOST_TEST(a_rule_that_changes_while_the_store_works_counts, 3),
        HOST_TEST(a_list_on_its_way_is_withdrawn_at_once, 3),
        HOST_TEST(a_polite_block_of_the_list_looks_like_a_change_of_it, 3),
        HOST_TEST(a_polite_block_of_a_list_with_nobody_else_is_not_told, 3),
        HOST_TEST(a_rule_shows_less_of_a_package_that_is_there_no_more, 3),
        HOST_TEST(ten_thousand_own_entries_are_linear_work, 3),
        HOST_TEST(nothing_is_told_twice_over_a_restart_with_other_shards, 3),
        HOST_TEST(rules_that_changed_before_a_start_count, 3),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
