/* watch_test.c - watcher information tells the owner of every state that a subscription can be in
 * (RFC 3857 section 4.7.1); what nobody decided about waits, over a restart too, within bounds. */
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

static void
configure(uint32_t per_watcher, uint32_t keep_s)
{
    struct evt_config *config = host_config_copy(&host);

    config->limits.waiting_per_watcher = per_watcher;
    config->limits.waiting_keep_s = keep_s;
    host_configure(&host, config, hd_slice(NULL, 0));
    host_settle(&host);
}

static int
setup(void **state)
{
    (void)host_setup(state);
    configure(32, 30 * 86400);
    return 0;
}

/* What the rules say of alice from now on. */
static void
decide(enum evt_decision decision)
{
    host.n_rules = 1;
    host.rules[0] = (struct host_rule){ .user = "sip:alice@example.test", .decision = decision };
    host_configure(&host, host.config, HD_LIT(BOB));
    host_settle(&host);
}

static void
request(const char *who, const char *event, const char *call_id, unsigned shard, int64_t expires,
        const char *to_tag, uint32_t cseq, char ret_tag[HD_ID_TEXT + 1])
{
    host_request(&host, &(struct host_request){ .from = who,
                                                .event = event,
                                                .call_id = call_id,
                                                .expires = expires,
                                                .to_tag = to_tag,
                                                .cseq = cseq,
                                                .port = host_port_of(&host, shard) });
    const struct host_sent *sent = host_take_status(&host, 200);
    if (ret_tag)
        (void)snprintf(ret_tag, HD_ID_TEXT + 1, "%.*s", HD_FMT(sent->msg.to_tag));
}

static void
answer(const char *state)
{
    const struct host_sent *sent = host_take_notify(&host);

    assert_true(hd_slice_starts(host_value(sent, SIP_HDR_SUBSCRIPTION_STATE), hd_slice_str(state)));
    host_answer(&host, sent, 200, NULL);
}

/* Alice asks, from a shard that is not the home, and is answered. */
static void
ask(const char *call_id, int64_t expires, const char *state, char ret_tag[HD_ID_TEXT + 1])
{
    request("alice", "x-state", call_id, (host_home(&host, BOB) + 1) % host.n, expires, NULL, 1,
            ret_tag);
    answer(state);
}

static void
owner_watches(const char *shown)
{
    request("bob", "x-state.winfo", "owner", 0, 86400, NULL, 1, NULL);
    const struct host_sent *sent = host_take_notify(&host);
    assert_int_equal(sent->msg.body.n, strlen(shown));
    assert_memory_equal(sent->msg.body.p, shown, strlen(shown));
    host_answer(&host, sent, 200, NULL);
}

/* The owner is told, and others get what they get. */
static void
owner_is_told(const char *shown)
{
    const struct host_sent *sent = host_take_notify(&host);
    if (!hd_slice_eq(sent->msg.body, hd_slice_str(shown)))
        print_error("%.*s\n", HD_FMT(sent->text));
    assert_true(hd_slice_eq(sent->msg.body, hd_slice_str(shown)));
    host_answer(&host, sent, 200, NULL);
}

/* --- states ---------------------------------------------------------------------------------- */

static void
who_is_pending_is_told_and_becomes_active_at_once_when_allowed(void **state)
{
    (void)state;
    owner_watches("0");
    decide(EVT_CONFIRM);
    host_wait(&host, 1000);
    ask("c1", 600, "pending", NULL);
    owner_is_told("alice pending subscribe\n1");
    const uint64_t id = host_watcher_ids[0];
    host_wait(&host, 1000);
    decide(EVT_ALLOW); /* both hear it without that time goes on */
    const struct host_sent *sent = host_take_notify(&host);
    const bool owner_first = hd_slice_eq(host_value(sent, SIP_HDR_EVENT), HD_LIT("x-state.winfo"));
    if (owner_first) {
        assert_true(hd_slice_eq(sent->msg.body, HD_LIT("alice active approved\n1")));
        host_answer(&host, sent, 200, NULL);
        answer("active");
    } else {
        assert_true(
            hd_slice_starts(host_value(sent, SIP_HDR_SUBSCRIPTION_STATE), HD_LIT("active")));
        host_answer(&host, sent, 200, NULL);
        owner_is_told("alice active approved\n1");
    }
    assert_int_equal(host_watcher_ids[0], id);
    host_take_nothing(&host);
}

static void
who_is_polite_blocked_is_shown_as_what_he_is(void **state)
{
    (void)state;
    decide(EVT_POLITE);
    ask("c1", 600, "active", NULL);
    owner_watches("alice active subscribe\n1");
}

static void
who_does_not_answer_any_more_has_timed_out(void **state)
{
    (void)state;
    owner_watches("0");
    host_wait(&host, 1000);
    request("alice", "x-state", "c1", 1, 600, NULL, 1, NULL);
    const struct host_sent *sent = host_take_notify(&host);
    if (hd_slice_eq(host_value(sent, SIP_HDR_EVENT), HD_LIT("x-state.winfo"))) {
        host_answer(&host, sent, 200, NULL);
        sent = host_take_notify(&host);
        host_answer(&host, sent, 481, NULL);
    } else {
        host_answer(&host, sent, 481, NULL);
        owner_is_told("alice active subscribe\n1");
    }
    host_wait(&host, 1000);
    owner_is_told("alice terminated timeout\n1");
    /* In a while she is left out, and nobody is told of that. */
    host_wait(&host, 20000);
    host_take_nothing(&host);
    request("bob", "x-state.winfo", "again", 1, 600, NULL, 1, NULL);
    owner_is_told("0");
}

static void
what_nobody_decided_about_waits_until_a_rule_does(void **state)
{
    static const struct {
        enum evt_decision decision;
        const char *told;
    } row[] = { { EVT_ALLOW, "alice terminated approved\n1" },
                { EVT_POLITE, "alice terminated approved\n1" },
                { EVT_DENY, "alice terminated rejected\n1" } };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        decide(EVT_CONFIRM);
        ask("c1", 60, "pending", NULL);
        host_wait(&host, 60000);
        answer("terminated;reason=timeout");
        assert_int_equal(host_record(&host, EVT_RECORD_WAITING)->record.n > 0, true);
        owner_watches("alice waiting timeout\n1");
        host_wait(&host, 1000);
        decide(row[i].decision);
        owner_is_told(row[i].told);
        assert_int_equal(host_record(&host, EVT_RECORD_WAITING)->record.n, 0);
        host_done(&host);
        (void)setup(state);
    }
}

struct listed {
    unsigned n;
    char text[200];
};

static void
note_row(void *context, const struct evt_watcher_row *row)
{
    struct listed *listed = context;

    listed->n++;
    (void)snprintf(listed->text, sizeof(listed->text), "%.*s %.*s %s %.*s", HD_FMT(row->resource),
                   HD_FMT(row->package), row->status, HD_FMT(row->watcher));
    assert_true(row->expires_s > 0 && row->id != 0);
}

static struct listed
list_watchers(struct hd_slice resource)
{
    struct listed listed = { 0 };

    for (unsigned i = 0; i < host.n; i++)
        evt_shard_list_watchers(host_shard(&host, i), resource, 10, host.now_ms * 1000, note_row,
                                &listed);
    return listed;
}

static void
who_waits_is_listed_with_those_who_watch(void **state)
{
    (void)state;
    decide(EVT_CONFIRM);
    ask("c1", 60, "pending", NULL);
    struct listed listed = list_watchers(HD_LIT(BOB));
    assert_int_equal(listed.n, 1);
    assert_string_equal(listed.text, BOB " x-state pending sip:alice@example.test");
    host_wait(&host, 60000);
    answer("terminated;reason=timeout");
    listed = list_watchers(hd_slice(NULL, 0));
    assert_int_equal(listed.n, 1);
    assert_string_equal(listed.text, BOB " x-state waiting sip:alice@example.test");
    assert_int_equal(list_watchers(HD_LIT("sip:carol@example.test")).n, 0);
}

static void
to_end_what_is_pending_waits_too_and_keeps_its_id(void **state)
{
    char tag[HD_ID_TEXT + 1];

    (void)state;
    owner_watches("0");
    decide(EVT_CONFIRM);
    host_wait(&host, 1000);
    ask("c1", 600, "pending", tag);
    owner_is_told("alice pending subscribe\n1");
    const uint64_t id = host_watcher_ids[0];
    host_wait(&host, 1000);
    request("alice", "x-state", "c1", (host_home(&host, BOB) + 1) % 3, 0, tag, 2, NULL);
    const struct host_sent *sent = host_take_notify(&host);
    if (hd_slice_eq(host_value(sent, SIP_HDR_EVENT), HD_LIT("x-state"))) {
        host_answer(&host, sent, 200, NULL);
        owner_is_told("alice waiting timeout\n1");
    } else {
        assert_true(hd_slice_eq(sent->msg.body, HD_LIT("alice waiting timeout\n1")));
        host_answer(&host, sent, 200, NULL);
        answer("terminated");
    }
    assert_int_equal(host_watcher_ids[0], id);
}

static void
who_asks_again_no_longer_waits(void **state)
{
    (void)state;
    decide(EVT_CONFIRM);
    ask("c1", 60, "pending", NULL);
    host_wait(&host, 60000);
    answer("terminated;reason=timeout");
    ask("c2", 600, "pending", NULL);
    assert_int_equal(host_record(&host, EVT_RECORD_WAITING)->record.n, 0);
    owner_watches("alice pending subscribe\n1");
}

static void
a_fetch_that_nobody_decided_about_waits_once(void **state)
{
    (void)state;
    decide(EVT_CONFIRM);
    owner_watches("0");
    host_wait(&host, 1000);
    ask("c1", 0, "terminated", NULL);
    owner_is_told("alice waiting timeout\n1");
    host_wait(&host, 60000);
    ask("c2", 0, "terminated", NULL);
    host_wait(&host, 60000);
    host_take_nothing(&host);
    decide(EVT_ALLOW);
    owner_is_told("alice terminated approved\n1");
    host_wait(&host, 60000);
    ask("c3", 0, "terminated", NULL); /* no news: a fetch is no watcher */
    host_take_nothing(&host);
}

static void
few_wait_for_one_watcher_and_not_for_ever(void **state)
{
    (void)state;
    configure(1, 3600);
    decide(EVT_CONFIRM);
    owner_watches("0");
    host_wait(&host, 1000);
    ask("c1", 0, "terminated", NULL);
    owner_is_told("alice waiting timeout\n1");
    host_request(&host, &(struct host_request){ .uri = "sip:bob2@example.test",
                                                .event = "x-state",
                                                .call_id = "c2",
                                                .expires = 0 });
    (void)host_take_status(&host, 200);
    answer("terminated");
    uint64_t given_up = 0, waiting = 0;
    for (unsigned i = 0; i < host.n; i++) {
        given_up += HOST_COUNT(&host, i, watchers_given_up);
        waiting += HOST_COUNT(&host, i, watchers_waiting);
    }
    /* The bound holds in each shard; two resources may have two homes. */
    assert_int_equal(given_up + waiting, 2);
    assert_int_equal(given_up, host_home(&host, BOB) == host_home(&host, "sip:bob2@example.test"));
    host_wait(&host, 3600000);
    owner_is_told("alice terminated giveup\n1");
}

/* --- many ------------------------------------------------------------------------------------ */

static void
a_list_has_a_bound(void **state)
{
    struct evt_shard *home = host_shard(&host, host_home(&host, BOB));

    (void)state;
    owner_watches("0");
    host_wait(&host, 1000);
    for (unsigned i = 0; i < 4100; i++) {
        char name[32];
        int n = snprintf(name, sizeof(name), "sip:u%u@example.test", i);
        struct evt_told *told = evt_told_new(1000 + i, hd_slice(name, (size_t)n), HD_LIT(""));
        struct evt_mail_told *mail = malloc(sizeof(*mail) + sizeof(BOB) + 7);

        assert_true(told && mail);
        told->status = EVT_WATCHER_ACTIVE;
        told->event = EVT_WATCHER_SUBSCRIBE;
        const uint16_t key = sizeof(BOB) - 1, package = key + 7;
        *mail = (struct evt_mail_told){ .list = told, .topic = { key, package, package } };
        memcpy(mail->text, BOB "x-state", sizeof(BOB) + 6);
        evt_watch_answer(home, mail);
    }
    host_wait(&host, 2000);
    bool whole = false;
    while (host_count(&host)) {
        const struct host_sent *sent = host_take_notify(&host);
        whole = hd_slice_eq(hd_slice_from(sent->msg.body, sent->msg.body.n - 5), HD_LIT("\n4096"));
        host_answer(&host, sent, 200, NULL);
    }
    assert_true(whole);
    assert_int_equal(HOST_COUNT(&host, host_home(&host, BOB), watchers_unlisted), 4);
}

/* --- a restart ------------------------------------------------------------------------------- */

static void
restart(void)
{
    host_restart(&host, 2, &(struct host_ending){ .clean = true, .down_ms = 1000 });
    host_settle(&host);
}

static void
who_waits_does_so_over_a_restart(void **state)
{
    (void)state;
    decide(EVT_CONFIRM);
    ask("c1", 0, "terminated", NULL);
    restart();
    owner_watches("alice waiting timeout\n1");
    decide(EVT_DENY);
    host_wait(&host, 1000);
    owner_is_told("alice terminated rejected\n1");
}

static void
the_owner_is_told_nothing_twice_over_a_restart(void **state)
{
    (void)state;
    owner_watches("0");
    decide(EVT_CONFIRM);
    host_wait(&host, 1000);
    ask("c1", 86400, "pending", NULL);
    owner_is_told("alice pending subscribe\n1");
    host_wait(&host, 1000);
    decide(EVT_ALLOW);
    host_wait(&host, 1); /* both are told */
    while (host_count(&host))
        host_answer(&host, host_take_notify(&host), 200, NULL);
    const uint64_t id = host_watcher_ids[0];
    host_wait(&host, 2000);
    restart();
    host_take_nothing(&host);
    request("bob", "x-state.winfo", "again", 1, 600, NULL, 1, NULL);
    owner_is_told("alice active approved\n1");
    assert_int_equal(host_watcher_ids[0], id);
}

/* --- records --------------------------------------------------------------------------------- */

static void
a_damaged_record_is_refused(void **state)
{
    struct evt_stored_waiting stored;

    (void)state;
    decide(EVT_CONFIRM);
    ask("c1", 0, "terminated", NULL);
    const struct hd_slice record = host_record(&host, EVT_RECORD_WAITING)->record;
    char copy[512];
    assert_true(record.n < sizeof(copy));
    assert_int_equal(evt_stored_waiting_read(record, &stored), HD_OK);
    assert_true(hd_slice_eq(stored.watcher, HD_LIT("sip:alice@example.test")));
    for (size_t n = 0; n < record.n; n++)
        assert_int_equal(evt_stored_waiting_read(hd_slice(record.p, n), &stored), HD_ESYNTAX);
    memcpy(copy, record.p, record.n);
    copy[record.n] = 'x';
    assert_int_equal(evt_stored_waiting_read(hd_slice(copy, record.n + 1), &stored), HD_ESYNTAX);
    copy[0] = 2;
    assert_int_equal(evt_stored_waiting_read(hd_slice(copy, record.n), &stored), HD_EVERSION);
}

/* --- the audit trail ------------------------------------------------------------------------- */

static char noted[512];

static void
note(void *audit, unsigned shard, const struct evt_audit *row)
{
    static const char *const what[] = { "", "began", "fetched", "changed", "ended" };
    const size_t n = strlen(noted);

    (void)shard;
    assert_ptr_equal(audit, &noted);
    assert_true(hd_slice_eq(row->resource, HD_LIT(BOB)));
    assert_true(row->address.port >= 5060 && row->id != 0);
    (void)snprintf(noted + n, sizeof(noted) - n, "%.*s %.*s %s sees %u;",
                   HD_FMT(hd_slice(row->watcher.p + 4, hd_slice_find(row->watcher, '@') - 4)),
                   HD_FMT(row->package), what[row->what], row->transform);
}

static void
each_subscription_fetch_change_and_end_is_noted(void **state)
{
    static const struct evt_audit_ops audit = { .note = note };
    char tag[HD_ID_TEXT + 1];

    (void)state;
    noted[0] = '\0';
    for (unsigned i = 0; i < host.n; i++) {
        host_shard(&host, i)->ports.audit = &audit;
        host_shard(&host, i)->ports.audit_context = &noted;
    }
    ask("c1", 600, "active", tag);
    request("alice", "x-state", "c1", (host_home(&host, BOB) + 1) % 3, 600, tag, 2, NULL);
    answer("active");   /* a refresh is no line */
    decide(EVT_POLITE); /* nothing is published: he is not told */
    decide(EVT_DENY);
    answer("terminated;reason=rejected");
    decide(EVT_ALLOW);
    ask("c2", 0, "terminated", NULL);
    assert_string_equal(noted, "alice x-state began sees 0;alice x-state changed sees 1;"
                               "alice x-state ended sees 1;alice x-state fetched sees 0;");
    decide(EVT_DENY);
    host_request(&host, &(struct host_request){ .call_id = "c3", .expires = 600 });
    (void)host_take_status(&host, 403); /* who was refused saw nothing */
    assert_null(strstr(strstr(noted, "fetched"), "began"));
}

int
main(void)
{
#define TEST(name) HOST_TEST_WITH(name, 3, setup)
    const struct CMUnitTest tests[] = {
        TEST(who_is_pending_is_told_and_becomes_active_at_once_when_allowed),
        TEST(who_is_polite_blocked_is_shown_as_what_he_is),
        TEST(who_does_not_answer_any_more_has_timed_out),
        TEST(what_nobody_decided_about_waits_until_a_rule_does),
        TEST(who_waits_is_listed_with_those_who_watch),
        TEST(to_end_what_is_pending_waits_too_and_keeps_its_id),
        TEST(who_asks_again_no_longer_waits),
        TEST(a_fetch_that_nobody_decided_about_waits_once),
        TEST(few_wait_for_one_watcher_and_not_for_ever),
        TEST(a_list_has_a_bound),
        TEST(who_waits_does_so_over_a_restart),
        TEST(the_owner_is_told_nothing_twice_over_a_restart),
        TEST(a_damaged_record_is_refused),
        TEST(each_subscription_fetch_change_and_end_is_noted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
