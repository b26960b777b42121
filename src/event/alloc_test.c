/* alloc_test.c - every allocation of whole exchanges is refused once, in turn: nothing leaks,
 * nothing is lost, and once memory is there again all comes to the state that it would have had.
 *
 * The linker sends all allocations of the core and of what it stands on through here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "event/test_host.h"
#include "event/test_refuse.h"

/* --- a client that repeats until it is answered ---------------------------------------------- */

static struct host host;
static char tag[HD_ID_TEXT + 1], etag[HD_ID_TEXT + 1];
static char shown[64];    /* body of the newest NOTIFY */
static char watchers[64]; /* of the newest one of x-state.winfo */
static unsigned answered; /* status of the final response that came last */
static uint32_t answered_cseq;
static bool over; /* a terminated NOTIFY came */

static void
note(const struct host_sent *sent)
{
    if (sent->msg.status < 200)
        return;
    answered = sent->msg.status;
    answered_cseq = sent->msg.cseq.number;
    if (answered == 200 && sent->msg.cseq.method == SIP_SUBSCRIBE)
        memcpy(tag, sent->msg.to_tag.p, HD_ID_TEXT);
    struct hd_slice value = sip_msg_value(&sent->msg, SIP_HDR_SIP_ETAG);
    if (answered == 200 && value.n == HD_ID_TEXT)
        memcpy(etag, value.p, HD_ID_TEXT);
}

static void
pump(void)
{
    struct host_sent *sent;

    while ((sent = host_take(&host))) {
        if (!sent->msg.request) {
            note(sent);
            continue;
        }
        const bool winfo = host_has(sent, "\r\nEvent: x-state.winfo\r\n");
        (void)snprintf(winfo ? watchers : shown, sizeof(shown), "%.*s", HD_FMT(sent->msg.body));
        over = over || host_has(sent, "Subscription-State: terminated");
        host_answer(&host, sent, 200, NULL);
    }
}

/* Until there is a final answer; what failed is tried again as a new request. */
static void
ask(struct host_request *request)
{
    static uint32_t cseq;

    for (unsigned tries = 0; tries < 6; tries++) {
        request->cseq = ++cseq;
        answered = 0;
        for (unsigned repeats = 0; repeats < 10 && !answered; repeats++) {
            host_request(&host, request);
            pump();
            if (!answered)
                host_wait(&host, 500);
            pump();
        }
        assert_int_not_equal(answered, 0);
        assert_int_equal(answered_cseq, cseq);
        if (answered == 200)
            return;
        if (answered != 500 && answered != 503)
            print_error("status %u, method %s\n", answered,
                        request->method ? request->method : "SUBSCRIBE");
        assert_true(answered == 500 || answered == 503);
        host_wait(&host, 5000);
        pump();
    }
    fail();
}

static void
wait_long(uint64_t seconds)
{
    for (uint64_t i = 0; i < seconds; i++) {
        host_wait(&host, 1000);
        pump();
    }
}

static void
assert_nothing_is_left(void)
{
    wait_long(40);
    host_wait(&host, 700000);
    pump();
    host_wait(&host, 40000);
    for (unsigned i = 0; i < host.n; i++) {
        const struct evt_shard *shard = host_shard(&host, i);
        assert_int_equal(shard->subs.count, 0);
        assert_int_equal(shard->pubs.count, 0);
        assert_int_equal(shard->accounts.count, 0);
        assert_int_equal(shard->mirrors.count, 0);
        assert_int_equal(shard->resources.count, 0);
        assert_int_equal(shard->hops.count, 0);
        assert_int_equal(shard->watchers.used, 0);
        assert_int_equal(shard->asked.count, 0);
        assert_int_equal(shard->n_watches, 0);
        assert_int_equal(shard->wheel.count, 0);
        assert_int_equal(shard->waiting, 0);
    }
}

/* --- exchanges ------------------------------------------------------------------------------- */

static void
publish(const char *body, int64_t expires)
{
    char headers[64] = "";

    if (etag[0])
        (void)snprintf(headers, sizeof(headers), "SIP-If-Match: %s\r\n", etag);
    ask(&(struct host_request){ .method = "PUBLISH",
                                .headers = headers,
                                .call_id = "p",
                                .body = body,
                                .expires = expires });
}

/* Subscribes, publishes twice, refreshes, ends, removes; on two shards. */
static void
whole(const char *event, uint16_t port)
{
    publish("one", 600);
    ask(&(struct host_request){ .expires = 600, .event = event, .port = port });
    wait_long(9);
    assert_string_equal(shown, "one");
    publish("two", 600);
    wait_long(9);
    assert_string_equal(shown, "two");
    ask(&(struct host_request){ .expires = 600, .to_tag = tag, .event = event, .port = port });
    ask(&(struct host_request){ .expires = 0, .to_tag = tag, .event = event, .port = port });
    wait_long(9);
    assert_true(over);
    publish(NULL, 0);
}

/* The same with Resource-Priority, until a refresh without it. */
static void
urgent(const char *event, uint16_t port)
{
    static const struct hd_slice users[] = { { "sip:alice@example.test", 22 } };
    static struct evt_priority priority = { .users = users, .n_users = 1 };
    static const char say[] = "Resource-Priority: esnet.1\r\n";

    test_alloc_pause(1);
    struct evt_config *config = host_config_copy(&host);
    priority.values = sip_priority_namespace(HD_LIT("esnet"));
    config->priorities = &priority;
    config->n_priorities = 1;
    host_configure(&host, config, hd_slice(NULL, 0));
    host_settle(&host);
    test_alloc_pause(-1);
    ask(&(struct host_request){
        .method = "PUBLISH", .headers = say, .call_id = "p", .body = "one", .expires = 600 });
    ask(&(struct host_request){ .expires = 600, .event = event, .headers = say, .port = port });
    wait_long(9);
    assert_string_equal(shown, "one");
    publish("two", 600);
    wait_long(9);
    assert_string_equal(shown, "two");
    ask(&(struct host_request){ .expires = 600, .to_tag = tag, .event = event, .port = port });
    publish("three", 600);
    wait_long(9);
    assert_string_equal(shown, "three");
    ask(&(struct host_request){ .expires = 0, .to_tag = tag, .event = event, .port = port });
    publish(NULL, 0);
    wait_long(9);
    assert_true(over);
}

static void
fetch(const char *event, uint16_t port)
{
    (void)event;
    publish("one", 600);
    ask(&(struct host_request){ .expires = 0, .port = port });
    wait_long(9);
    assert_string_equal(shown, "one");
    assert_true(over);
}

/* The owner is shown who watches, from the other shard. */
static void
watched(const char *event, uint16_t port)
{
    char owner[HD_ID_TEXT + 1] = "", watcher[HD_ID_TEXT + 1];

    watchers[0] = '\0';
    ask(&(struct host_request){ .expires = 3600, .event = event, .from = "bob", .call_id = "o" });
    memcpy(owner, tag, sizeof(owner));
    ask(&(struct host_request){ .expires = 600, .port = port });
    memcpy(watcher, tag, sizeof(watcher));
    wait_long(20);
    assert_string_equal(watchers, "alice active subscribe\n1");
    ask(&(struct host_request){ .expires = 0, .to_tag = watcher, .port = port });
    wait_long(20);
    assert_null(strstr(watchers, "active"));
    ask(&(struct host_request){
        .expires = 0, .to_tag = owner, .event = event, .from = "bob", .call_id = "o" });
    wait_long(5);
}

/* What the rules say of alice at watcher information. */
static void
decide(enum evt_decision decision)
{
    host.n_rules = 1;
    host.rules[0] = (struct host_rule){ .user = "sip:alice@example.test",
                                        .package = "x-state.winfo",
                                        .decision = decision };
    test_alloc_pause(1);
    struct evt_config *config = host_config_copy(&host);
    test_alloc_pause(-1);
    host_configure(&host, config, hd_slice(NULL, 0));
    pump();
}

/* She sees her own entry, then all, and her own alone again; where there is no memory for it her
 * subscription may end, and she asks anew.  Never is she shown what she may not see. */
static void
own(const char *event, uint16_t port)
{
    static const enum evt_decision ways[] = { EVT_OWN, EVT_ALLOW, EVT_POLITE, EVT_ALLOW, EVT_OWN };
    char carol[HD_ID_TEXT + 1], alice[HD_ID_TEXT + 1], winfo[HD_ID_TEXT + 1];
    struct host_request mine = { .expires = 3600, .event = event, .call_id = "o", .port = port };

    watchers[0] = '\0';
    decide(ways[0]);
    ask(&(struct host_request){ .expires = 3600, .from = "carol", .call_id = "c" });
    memcpy(carol, tag, sizeof(carol));
    ask(&(struct host_request){ .expires = 3600 });
    memcpy(alice, tag, sizeof(alice));
    over = true;
    for (size_t i = 0; i < HD_ARRAY_LEN(ways); i++) {
        decide(ways[i]);
        wait_long(20);
        if (over) {
            over = false;
            mine.to_tag = NULL;
            ask(&mine);
            memcpy(winfo, tag, sizeof(winfo));
            mine.to_tag = winfo;
            wait_long(20);
        }
        assert_non_null(strstr(watchers, "alice active subscribe\n"));
        assert_int_equal(strstr(watchers, "carol") != NULL, ways[i] == EVT_ALLOW);
    }
    mine.expires = 0;
    ask(&mine);
    ask(&(struct host_request){ .expires = 0, .to_tag = alice });
    ask(&(struct host_request){ .expires = 0, .to_tag = carol, .from = "carol", .call_id = "c" });
    wait_long(5);
}

static void
registers(const char *event, uint16_t port)
{
    (void)event;
    ask(&(struct host_request){ .method = "REGISTER",
                                .uri = "sip:example.test",
                                .to_uri = "sip:alice@example.test",
                                .expires = 600,
                                .port = port });
    ask(&(struct host_request){ .method = "REGISTER",
                                .uri = "sip:example.test",
                                .to_uri = "sip:alice@example.test",
                                .contact = "*",
                                .expires = 0,
                                .port = port });
}

static unsigned
each_refused(void (*exchange)(const char *event, uint16_t port), const char *event, bool digest,
             bool far)
{
    unsigned n = 0;

    for (bool more = true; more; n++) {
        host_init(&host, 2);
        memset(tag, 0, sizeof(tag));
        memset(etag, 0, sizeof(etag));
        shown[0] = '\0';
        over = false;
        if (digest)
            host.nonce_id = UINT64_MAX;
        unsigned home = host_home(&host, "sip:bob@example.test");
        uint16_t port = host_port_of(&host, far ? 1 - home : home);
        print_message("refused: %u\n", n);
        refuse_begin(n);
        exchange(event, port);
        more = refuse_end();
        assert_nothing_is_left();
        host_done(&host);
    }
    return n;
}

static void
subscriptions_and_publications_on_two_shards_survive_each_refused_allocation(void **state)
{
    (void)state;
    assert_true(each_refused(whole, "x-state", false, true) > 30);
}

static void
the_same_on_one_shard(void **state)
{
    (void)state;
    assert_true(each_refused(whole, "x-state", false, false) > 30);
}

static void
rates_survive_each_refused_allocation(void **state)
{
    (void)state;
    assert_true(each_refused(whole, "x-state;max-rate=0.25;min-rate=0.2", false, false) > 30);
}

static void
priorities_survive_each_refused_allocation(void **state)
{
    (void)state;
    assert_true(each_refused(urgent, "x-state", false, true) > 30);
}

static void
a_fetch_survives_each_refused_allocation(void **state)
{
    (void)state;
    assert_true(each_refused(fetch, "x-state", false, true) > 15);
}

static void
a_registration_survives_each_refused_allocation(void **state)
{
    (void)state;
    assert_true(each_refused(registers, "", false, true) > 5);
}

static void
watcher_information_survives_each_refused_allocation(void **state)
{
    (void)state;
    assert_true(each_refused(watched, "x-state.winfo", false, true) > 40);
}

static void
an_own_entry_survives_each_refused_allocation(void **state)
{
    (void)state;
    assert_true(each_refused(own, "x-state.winfo", false, true) > 60);
}

static uint64_t
alias_of(unsigned shard, const struct hd_addr *at)
{
    return evt_alias_find(host_shard(&host, shard), at, HD_LIT("edge.example.net"), 0);
}

static void
an_alias_that_cannot_be_told_is_none_and_its_end_is_always_told(void **state)
{
    const struct hd_addr at = { .ip = { 192, 0, 2, 50 }, .port = 5061, .family = 4 };
    const uint64_t conn = hd_conn_make(0, 1, 7);
    unsigned n = 0;

    (void)state;
    for (bool more = true; more; n++) {
        host_init(&host, 3);
        refuse_begin(n);
        evt_alias_note(host_shard(&host, 0), conn, &at, HD_LIT("edge.example.net"));
        host_settle(&host); /* a shard that has no room for its copy goes without */
        more = refuse_end();
        assert_true(alias_of(0, &at) == conn || (alias_of(1, &at) == 0 && alias_of(2, &at) == 0));
        assert_true(more || (alias_of(1, &at) == conn && alias_of(2, &at) == conn));
        refuse_begin(0); /* nothing is taken from now on */
        evt_shard_closed(host_shard(&host, 0), conn, host.now_ms * 1000);
        assert_false(refuse_end());
        host_settle(&host);
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(alias_of(i, &at), 0);
        host_done(&host);
    }
    assert_true(n > 8);
}

static void
a_shard_that_cannot_be_made_leaves_nothing(void **state)
{
    const struct evt_shard_params params = { .count = 1 };
    struct evt_shard *shard = NULL;

    (void)state;
    for (unsigned n = 0; n < 3; n++) {
        refuse_begin(n);
        assert_int_equal(evt_shard_new(&params, &shard), HD_ENOMEM);
        (void)refuse_end();
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            subscriptions_and_publications_on_two_shards_survive_each_refused_allocation),
        cmocka_unit_test(the_same_on_one_shard),
        cmocka_unit_test(rates_survive_each_refused_allocation),
        cmocka_unit_test(priorities_survive_each_refused_allocation),
        cmocka_unit_test(a_fetch_survives_each_refused_allocation),
        cmocka_unit_test(a_registration_survives_each_refused_allocation),
        cmocka_unit_test(watcher_information_survives_each_refused_allocation),
        cmocka_unit_test(an_own_entry_survives_each_refused_allocation),
        cmocka_unit_test(an_alias_that_cannot_be_told_is_none_and_its_end_is_always_told),
        cmocka_unit_test(a_shard_that_cannot_be_made_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
