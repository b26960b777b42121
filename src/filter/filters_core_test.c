/* filters_core_test.c - subscriptions with filters in a core on a fake clock: who is told what,
 * once, also over a crash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "event/test_host.h"
#include "filter/filters.h"
#include "package/pkg.h"

#define BOB "sip:bob@example.test"
#define JSON "application/vnd.herald.filter+json"
#define XML "application/simple-filter+xml"
#define EKG "{\"above\":{\"path\":\"hr\",\"value\":140,\"clear\":120},\"name\":\"high\"}"

static struct host hosts[2], *was, *is;
static struct flt_filters *filters[2][HOST_SHARDS];
static char tag[HD_ID_TEXT + 1], etag[HD_ID_TEXT + 1];
static unsigned serial;

static const struct hd_slice json_types[] = { { "application/json", 16 } };
static const struct hd_slice xml_types[] = { { "application/pidf+xml", 20 } };
static const struct hd_slice dialog_types[] = { { "application/dialog-info+xml", 27 } };
static struct evt_package x_ekg, x_pidf, dialogs;
static const struct evt_package *const packages[] = { &x_ekg, &x_pidf, &dialogs };
static const struct evt_profile profiles[] = {
    { { "oncall", 6 }, { "x-ekg", 5 }, { "hr above 140 clear 120", 22 } },
};

static struct evt_package
package_of(const char *name, const struct hd_slice *types)
{
    return (struct evt_package){ .magic = EVT_PACKAGE_MAGIC,
                                 .name = hd_slice_str(name),
                                 .ops = pkg_generic_ops(),
                                 .types = types,
                                 .n_types = 1,
                                 .min_expires_s = 60,
                                 .default_expires_s = 3600,
                                 .max_expires_s = 1000000,
                                 .max_body = 65536,
                                 .pace_ms = 5000,
                                 .authorisation = EVT_AUTHORISE_ALLOW };
}

/* Filters and packages for a host that begins. */
static void
host_begin(unsigned which, unsigned shards)
{
    struct host *host = &hosts[which];

    host_init(host, shards);
    for (unsigned i = 0; i < shards; i++) {
        filters[which][i] = flt_filters_new();
        host_shard(host, i)->ports.filter = flt_filter_ops();
        host_shard(host, i)->ports.filter_context = filters[which][i];
    }
    struct evt_config *config = host_config_copy(host);
    config->packages = packages;
    config->n_packages = HD_ARRAY_LEN(packages);
    config->profiles = profiles;
    config->n_profiles = HD_ARRAY_LEN(profiles);
    host_configure(host, config, hd_slice(NULL, 0));
}

static int
setup(void **state)
{
    (void)state;
    memset(hosts, 0, sizeof(hosts));
    etag[0] = '\0';
    x_ekg = package_of("x-ekg", json_types);
    x_pidf = package_of("x-pidf", xml_types);
    dialogs = package_of("dialog", dialog_types);
    dialogs.ops = pkg_dialog_ops();
    dialogs.dialogs = true;
    was = &hosts[0];
    is = was;
    host_begin(0, 1);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    for (unsigned w = 0; w < 2; w++) {
        unsigned n = hosts[w].n;
        if (n)
            host_done(&hosts[w]);
        for (unsigned i = 0; i < n; i++)
            flt_filters_free(filters[w][i]);
    }
    return 0;
}

/* --- a crash --------------------------------------------------------------------------------- */

static bool
is_newest(const struct host *host, const struct host_put *put)
{
    const struct host_put *p = host->kept;

    while (p->kind != put->kind || p->id != put->id)
        p = p->next;
    return p == put && put->record.n > 0;
}

static void
give_back(const struct host_put *put)
{
    bool all = put->kind == EVT_RECORD_SEEN || put->kind == EVT_RECORD_CONDITION;

    for (unsigned i = 0; i < is->n; i++)
        if (all || hd_bucket_shard(put->bucket, is->n) == i)
            assert_int_equal(evt_shard_restore(host_shard(is, i), put->kind, put->id, put->record,
                                               0, is->now_ms * 1000),
                             HD_OK);
}

/* Another host gets what this one had put. */
static void
crash(unsigned shards)
{
    static const enum evt_record_kind order[] = { EVT_RECORD_PUBLICATION, EVT_RECORD_SUBSCRIPTION,
                                                  EVT_RECORD_SEEN, EVT_RECORD_CONDITION };

    is = &hosts[1];
    host_begin(1, shards);
    for (size_t k = 0; k < HD_ARRAY_LEN(order); k++)
        for (const struct host_put *put = was->kept; put; put = put->next)
            if (put->kind == order[k] && is_newest(was, put))
                give_back(put);
    host_settle(is);
}

/* --- what happens ---------------------------------------------------------------------------- */

static void
publish_as(const char *event, const char *type, const char *body)
{
    char headers[128] = "", call_id[32];

    if (*etag)
        (void)snprintf(headers, sizeof(headers), "SIP-If-Match: %s\r\n", etag);
    (void)snprintf(call_id, sizeof(call_id), "pub%u", ++serial);
    host_request(is, &(struct host_request){ .method = "PUBLISH",
                                             .event = event,
                                             .expires = 600000,
                                             .headers = headers,
                                             .type = type,
                                             .body = body,
                                             .call_id = call_id });
    struct host_sent **link = &is->sent;
    while (*link && (*link)->msg.cseq.method != SIP_PUBLISH)
        link = &(*link)->next;
    assert_non_null(*link);
    struct host_sent *sent = *link;
    assert_int_equal(sent->msg.status, 200);
    struct hd_slice given = host_value(sent, SIP_HDR_SIP_ETAG);
    memcpy(etag, given.p, given.n);
    etag[given.n] = '\0';
    *link = sent->next;
    if (!*link)
        is->sent_end = link;
    free(sent);
}

static void
beats(unsigned hr)
{
    char body[32];

    (void)snprintf(body, sizeof(body), "{\"hr\":%u}", hr);
    publish_as("x-ekg", "application/json", body);
}

/* SUBSCRIBE with a filter, its 200; the NOTIFY that it owes is left. */
static void
subscribe(const char *call_id, const char *event, const char *type, const char *filter)
{
    host_request(
        is,
        &(struct host_request){
            .event = event, .call_id = call_id, .expires = 100000, .type = type, .body = filter });
    const struct host_sent *ok = host_take_status(is, 200);
    struct hd_slice given = ok->msg.to_tag;
    memcpy(tag, given.p, given.n);
    tag[given.n] = '\0';
}

static const struct host_sent *
told(const char *fired)
{
    host_settle(is); /* what time has fired is in the store's hands */
    const struct host_sent *notify = host_take_notify(is);

    assert_true(host_has(notify, fired));
    host_answer(is, notify, 200, NULL);
    return notify;
}

static void
synchronised(bool body)
{
    const struct host_sent *notify = host_take_notify(is);

    assert_false(host_has(notify, "Herald-Fired"));
    assert_int_equal(notify->msg.body.n > 0, body);
    host_answer(is, notify, 200, NULL);
}

static void
watch(const char *filter)
{
    beats(100);
    subscribe("c1", "x-ekg", JSON, filter);
    synchronised(false);
}

/* --- thresholds ------------------------------------------------------------------------------ */

static void
a_crossing_is_told_once(void **state)
{
    (void)state;
    watch(EKG);
    beats(139);
    host_take_nothing(is);
    beats(150);
    (void)told("Herald-Fired: high;seq=1\r\n");
    beats(160);
    beats(130);
    beats(150);
    host_take_nothing(is);
    beats(100);
    host_take_nothing(is);
    beats(141); /* no pace of the package holds back an alarm */
    (void)told("Herald-Fired: high;seq=2\r\n");
    host_wait(is, 60000);
    host_take_nothing(is);
}

static void
a_refresh_keeps_the_filter_and_tells_what_is_true_without_a_firing(void **state)
{
    (void)state;
    watch(EKG);
    beats(150);
    (void)told("Herald-Fired");
    host_request(is, &(struct host_request){
                         .event = "x-ekg", .to_tag = tag, .cseq = 2, .expires = 100000 });
    (void)host_take_status(is, 200);
    synchronised(true);
    beats(100);
    host_request(is, &(struct host_request){
                         .event = "x-ekg", .to_tag = tag, .cseq = 3, .expires = 100000 });
    (void)host_take_status(is, 200);
    synchronised(false);
    beats(150);
    (void)told("Herald-Fired: high;seq=2");
}

static void
who_joins_during_an_alarm_sees_it_and_is_told_the_next(void **state)
{
    (void)state;
    watch(EKG);
    beats(150);
    (void)told("Herald-Fired");
    subscribe("c2", "x-ekg", JSON, EKG);
    synchronised(true);
    beats(155);
    host_take_nothing(is);
    beats(100);
    beats(150);
    (void)told("Herald-Fired: high;seq=2");
    (void)told("Herald-Fired: high;seq=1");
}

static void
a_dwell_fires_by_time_alone(void **state)
{
    (void)state;
    watch("{\"when\":\"hr above 140 for 5s\"}");
    beats(150);
    host_wait(is, 4999);
    host_take_nothing(is);
    host_wait(is, 1);
    (void)told("Herald-Fired: 1;seq=1");
}

/* Somebody who comes asks the home for signs of life, which sends what it has: that is none. */
static void
who_asks_for_signs_of_life_is_none(void **state)
{
    (void)state;
    beats(100);
    subscribe("c1", "x-ekg", NULL, NULL);
    host_answer(is, host_take_notify(is), 200, NULL);
    subscribe("c2", "x-ekg", JSON, "{\"when\":\"stale-for 10s clear-notify\"}");
    synchronised(false);
    host_wait(is, 10000);
    (void)told("Herald-Fired: 1;seq=1");
    was = is;
    crash(1);
    host_wait(is, 60000);
    host_take_nothing(is);
    publish_as("x-ekg", "application/json", NULL);
    (void)told("Herald-Fired: 1;seq=2;cleared");
}

static void
silence_is_told_and_a_refreshing_publish_is_a_sign_of_life(void **state)
{
    (void)state;
    watch("{\"when\":\"stale-for 10s\"}");
    for (unsigned i = 0; i < 3; i++) {
        host_wait(is, 9000);
        publish_as("x-ekg", "application/json", i ? NULL : "{\"hr\":100}");
    }
    host_take_nothing(is);
    host_wait(is, 10000);
    (void)told("Herald-Fired: 1;seq=1");
    host_wait(is, 50000);
    host_take_nothing(is);
    publish_as("x-ekg", "application/json", NULL);
    host_wait(is, 10000);
    (void)told("Herald-Fired: 1;seq=2");
}

static void
the_re_arm_is_told_when_it_was_asked_for(void **state)
{
    (void)state;
    watch("{\"when\":\"hr above 140 clear 120 as high clear-notify\"}");
    beats(150);
    (void)told("Herald-Fired: high;seq=1\r\n");
    beats(100);
    (void)told("Herald-Fired: high;seq=2;cleared\r\n");
}

static void
each_distinct_condition_is_looked_at_once(void **state)
{
    char call_id[16], filter[80];

    (void)state;
    beats(100);
    for (unsigned i = 0; i < 100; i++) {
        (void)snprintf(call_id, sizeof(call_id), "c%u", i);
        (void)snprintf(filter, sizeof(filter), "{\"when\":\"hr above %u\"}", 140 + i % 10);
        subscribe(call_id, "x-ekg", JSON, filter);
        synchronised(false);
    }
    uint64_t before = HOST_COUNT(is, 0, conditions_looked_at);
    beats(110);
    assert_int_equal(HOST_COUNT(is, 0, conditions_looked_at) - before, 10);
    assert_int_equal(HOST_COUNT(is, 0, conditions), 10);
    beats(144); /* above 140 to 143: forty are told, nobody else is */
    for (unsigned i = 0; i < 40; i++)
        (void)told("Herald-Fired");
    host_take_nothing(is);
    assert_int_equal(HOST_COUNT(is, 0, firings), 4);
}

static void
a_refused_notify_is_told_again_as_the_same_firing(void **state)
{
    (void)state;
    watch(EKG);
    beats(150);
    const struct host_sent *notify = host_take_notify(is);
    assert_true(host_has(notify, "Herald-Fired: high;seq=1"));
    host_answer(is, notify, 500, NULL);
    host_wait(is, 4000);
    (void)told("Herald-Fired: high;seq=1");
    host_wait(is, 60000);
    host_take_nothing(is);
}

static void
a_polite_block_has_conditions_that_never_fire(void **state)
{
    (void)state;
    beats(100);
    is->rules[0] = (struct host_rule){ .user = "sip:eve@example.test", .decision = EVT_POLITE };
    is->n_rules = 1;
    host_request(is,
                 &(struct host_request){
                     .event = "x-ekg", .from = "eve", .expires = 600, .type = JSON, .body = EKG });
    (void)host_take_status(is, 200);
    synchronised(false);
    beats(150);
    host_take_nothing(is);
    beats(100);
    beats(160);
    host_wait(is, 60000);
    host_take_nothing(is);
}

static void
rule_becomes(enum evt_decision decision)
{
    is->rules[0] = (struct host_rule){ .user = "sip:eve@example.test", .decision = decision };
    is->n_rules = 1;
    host_configure(is, host_config_copy(is), hd_slice(NULL, 0));
    host_settle(is);
}

/* What he is shown changes with the rule, and his conditions are about what he is shown. */
static void
conditions_go_on_with_what_a_changed_rule_shows(void **state)
{
    (void)state;
    beats(100);
    host_request(is,
                 &(struct host_request){
                     .event = "x-ekg", .from = "eve", .expires = 600, .type = JSON, .body = EKG });
    (void)host_take_status(is, 200);
    synchronised(false);
    rule_becomes(EVT_POLITE);
    beats(150);
    host_wait(is, 10000);
    host_take_nothing(is);
    rule_becomes(EVT_ALLOW);
    (void)told("Herald-Fired: high;seq=1");
    beats(100);
    beats(160);
    (void)told("Herald-Fired: high;seq=2");
    host_take_nothing(is);
}

/* Nor does he hear that it lives: silence is told him as of a resource that nobody publishes. */
static void
a_polite_block_tells_no_signs_of_life(void **state)
{
    static const enum evt_decision ways[] = { EVT_POLITE, EVT_CONFIRM };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(ways); i++) {
        etag[0] = '\0';
        beats(100);
        is->rules[0] = (struct host_rule){ .user = "sip:eve@example.test", .decision = ways[i] };
        is->n_rules = 1;
        host_request(is, &(struct host_request){ .event = "x-ekg",
                                                 .from = "eve",
                                                 .call_id = i ? "e1" : "e0",
                                                 .expires = 600,
                                                 .type = JSON,
                                                 .body = "{\"when\":\"stale-for 10s\"}" });
        (void)host_take_status(is, 200);
        synchronised(false);
        host_wait(is, 9000);
        beats(101);
        host_wait(is, 1000);
        (void)told("Herald-Fired: 1;seq=1");
        beats(102);
        publish_as("x-ekg", "application/json", NULL);
        host_wait(is, 60000);
        host_take_nothing(is);
    }
}

/* --- over a crash ----------------------------------------------------------------------------- */

static void
a_firing_leaves_when_it_is_kept(void **state)
{
    (void)state;
    watch(EKG);
    is->store = HOST_STORE_LATER;
    host_request(is, &(struct host_request){ .method = "PUBLISH",
                                             .event = "x-ekg",
                                             .call_id = "late",
                                             .expires = 600,
                                             .type = "application/json",
                                             .body = "{\"hr\":150}" });
    host_store_release(is, 1, HD_OK);
    host_settle(is);
    (void)host_take_status(is, 200);
    host_take_nothing(is); /* conditions and subscription wait for the store */
    host_store_release(is, 2, HD_OK);
    host_settle(is);
    (void)told("Herald-Fired: high;seq=1");
}

static void
a_firing_that_was_not_answered_goes_out_as_the_same_request(void **state)
{
    char branch[128], cseq[32];

    (void)state;
    watch(EKG);
    beats(150);
    const struct host_sent *notify = host_take_notify(is);
    (void)snprintf(branch, sizeof(branch), "%.*s", HD_FMT(host_value(notify, SIP_HDR_VIA)));
    (void)snprintf(cseq, sizeof(cseq), "CSeq: %u NOTIFY\r\n", notify->msg.cseq.number);
    crash(1);
    notify = host_take_notify(is);
    assert_true(host_has(notify, branch));
    assert_true(host_has(notify, cseq));
    assert_true(host_has(notify, "Herald-Fired: high;seq=1\r\n"));
    host_answer(is, notify, 200, NULL);
    beats(160);
    host_wait(is, 60000);
    host_take_nothing(is);
}

static void
a_firing_that_was_answered_is_not_made_again(void **state)
{
    (void)state;
    watch(EKG);
    host_wait(is, 3000);
    beats(150);
    (void)told("Herald-Fired: high;seq=1");
    host_wait(is, 3000);
    crash(2);
    host_take_nothing(is);
    beats(160);
    host_take_nothing(is);
    beats(100);
    beats(150);
    (void)told("Herald-Fired: high;seq=2");
}

/* Fired, armed again, and now between: the next crossing counts. */
static void
that_it_is_armed_again_is_kept_too(void **state)
{
    (void)state;
    watch(EKG);
    beats(150);
    (void)told("Herald-Fired: high;seq=1");
    beats(100);
    beats(130);
    host_wait(is, 3000);
    crash(1);
    host_take_nothing(is);
    beats(150);
    (void)told("Herald-Fired: high;seq=2");
}

/* The conditions were written, the subscription's record was not. */
static void
a_firing_that_only_the_conditions_know_is_told_after_the_crash(void **state)
{
    (void)state;
    watch(EKG);
    host_wait(is, 3000);
    is->store = HOST_STORE_LATER;
    host_request(is, &(struct host_request){ .method = "PUBLISH",
                                             .event = "x-ekg",
                                             .call_id = "late",
                                             .expires = 600,
                                             .type = "application/json",
                                             .body = "{\"hr\":150}" });
    host_store_release(is, 1, HD_OK);
    host_settle(is);
    host_drop(is);
    /* the subscription's record is the newest that was put: it is lost */
    struct host_put *lost = was->kept;
    assert_int_equal(lost->kind, EVT_RECORD_SUBSCRIPTION);
    was->kept = lost->next;
    crash(1);
    was->kept = lost;
    (void)told("Herald-Fired: high;seq=1");
    host_wait(is, 60000);
    host_take_nothing(is);
}

static void
the_record_of_the_conditions_goes_with_the_last_of_them(void **state)
{
    (void)state;
    watch(EKG);
    assert_int_equal(host_record(is, EVT_RECORD_CONDITION)->record.n > 0, true);
    host_request(
        is, &(struct host_request){ .event = "x-ekg", .to_tag = tag, .cseq = 2, .expires = 0 });
    (void)host_take_status(is, 200);
    synchronised(false);
    assert_int_equal(host_record(is, EVT_RECORD_CONDITION)->record.n, 0);
    assert_int_equal(HOST_COUNT(is, 0, conditions), 0);
}

/* --- the door --------------------------------------------------------------------------------- */

static void
a_profile_stands_for_a_filter(void **state)
{
    (void)state;
    beats(100);
    host_request(is,
                 &(struct host_request){ .event = "x-ekg;herald-profile=oncall", .expires = 600 });
    (void)host_take_status(is, 200);
    synchronised(false);
    beats(150);
    (void)told("Herald-Fired: 1;seq=1");
    host_request(is, &(struct host_request){
                         .event = "x-ekg;herald-profile=nobody", .call_id = "c2", .expires = 600 });
    (void)host_take_status(is, 488);
}

static void
a_filter_that_cannot_be_kept_is_refused(void **state)
{
    static const struct {
        const char *type, *body;
        unsigned status;
    } row[] = { { JSON, "{\"above\":", 400 },
                { JSON, "{\"over\":{}}", 488 },
                { XML, "<a>", 400 },
                { "text/plain", "hr above 140", 415 } };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        char call_id[8];
        (void)snprintf(call_id, sizeof(call_id), "r%zu", i);
        host_request(is, &(struct host_request){ .event = "x-ekg",
                                                 .call_id = call_id,
                                                 .expires = 600,
                                                 .type = row[i].type,
                                                 .body = row[i].body });
        (void)host_take_status(is, row[i].status);
        host_take_nothing(is);
    }
    assert_int_equal(host_subs(is), 0);
}

/* --- RFC 4661 --------------------------------------------------------------------------------- */

#define PIDF_HEAD                                                                                  \
    "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"pres:bob@example.test\">"
#define TUPLE(id, basic, note)                                                                     \
    "<tuple id=\"" id "\"><status><basic>" basic "</basic></status><note>" note "</note></tuple>"
#define FILTER_SET(inside)                                                                         \
    "<filter-set xmlns=\"urn:ietf:params:xml:ns:simple-filter\"><ns-bindings>"                     \
    "<ns-binding prefix=\"pidf\" urn=\"urn:ietf:params:xml:ns:pidf\"/></ns-bindings>" inside       \
    "</filter-set>"
#define OPENS                                                                                      \
    "<trigger><changed from=\"CLOSED\" to=\"OPEN\">/pidf:presence/pidf:tuple/pidf:status/"         \
    "pidf:basic</changed></trigger>"

static void
presence(const char *body)
{
    publish_as("x-pidf", "application/pidf+xml", body);
}

static void
a_trigger_holds_back_all_but_the_first_notify(void **state)
{
    (void)state;
    presence(PIDF_HEAD TUPLE("a", "closed", "one") "</presence>");
    subscribe("c1", "x-pidf", XML,
              FILTER_SET("<filter id=\"123\" uri=\"sip:bob@example.test\">" OPENS "</filter>"));
    const struct host_sent *first = host_take_notify(is);
    assert_true(host_has(first, "one")); /* RFC 4660 section 5.3.1 */
    host_answer(is, first, 200, NULL);
    host_wait(is, 6000);
    presence(PIDF_HEAD TUPLE("a", "closed", "two") "</presence>");
    host_wait(is, 6000);
    host_take_nothing(is);
    presence(PIDF_HEAD TUPLE("a", "open", "three") "</presence>");
    (void)told("three");
    host_wait(is, 6000);
    presence(PIDF_HEAD TUPLE("a", "closed", "four") "</presence>");
    host_wait(is, 6000);
    host_take_nothing(is);
    presence(PIDF_HEAD TUPLE("a", "open", "five") "</presence>");
    /* The document that was sent last said open: that is what it is compared with. */
    host_wait(is, 6000);
    host_take_nothing(is);
}

static void
what_is_wanted_is_a_view_of_its_own(void **state)
{
    (void)state;
    presence(PIDF_HEAD TUPLE("a", "closed", "secret") "</presence>");
    subscribe("c1", "x-pidf", XML,
              FILTER_SET("<filter id=\"1\"><what><include>/pidf:presence/pidf:tuple/pidf:status"
                         "</include></what></filter>"));
    const struct host_sent *notify = host_take_notify(is);
    assert_true(host_has(notify, "<basic>closed</basic>"));
    assert_false(host_has(notify, "secret"));
    host_answer(is, notify, 200, NULL);
    subscribe("c2", "x-pidf", NULL, NULL);
    (void)told("secret");
    host_wait(is, 6000);
    presence(PIDF_HEAD TUPLE("a", "open", "more") "</presence>");
    notify = host_take_notify(is);
    assert_false(host_has(notify, "more"));
    assert_true(host_has(notify, "open"));
}

static void
filters_are_switched_replaced_and_removed_by_their_id(void **state)
{
    static const struct {
        const char *filter;
        unsigned status;
        bool secret;
    } row[] = {
        { FILTER_SET("<filter id=\"1\" enabled=\"false\"/>"), 200, true },
        { FILTER_SET("<filter id=\"1\"/>"), 200, false },
        { FILTER_SET("<filter id=\"2\"><what><include>//pidf:note</include></what></filter>"), 488,
          false },
        { FILTER_SET("<filter id=\"1\"><what><include>//pidf:note</include></what></filter>"), 200,
          true },
        { FILTER_SET("<filter id=\"2\" remove=\"true\"/>"), 488, false },
        { FILTER_SET("<filter id=\"1\" remove=\"true\"/>"), 200, true },
        { FILTER_SET("<filter id=\"2\" uri=\"sip:eve@example.test\"><what><include>//a</include>"
                     "</what></filter>"),
          488, false },
    };

    (void)state;
    presence(PIDF_HEAD TUPLE("a", "closed", "secret") "</presence>");
    subscribe(
        "c1", "x-pidf", XML,
        FILTER_SET("<filter id=\"1\"><what><include>//pidf:status</include></what></filter>"));
    const struct host_sent *notify = host_take_notify(is);
    assert_false(host_has(notify, "secret"));
    host_answer(is, notify, 200, NULL);
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        host_request(is, &(struct host_request){ .event = "x-pidf",
                                                 .to_tag = tag,
                                                 .cseq = (uint32_t)i + 2,
                                                 .expires = 100000,
                                                 .type = XML,
                                                 .body = row[i].filter });
        (void)host_take_status(is, row[i].status);
        if (row[i].status != 200)
            continue;
        notify = host_take_notify(is);
        assert_int_equal(host_has(notify, "secret"), row[i].secret);
        host_answer(is, notify, 200, NULL);
    }
    assert_null(evt_sub_filtered(host_sub(is, 0)));
}

/* The filter of a request that is merged goes with it, or the port would not be free of filters at
 * the end.  (The first one was not kept, so that only its place among the answers is left of it.)
 */
static void
a_merged_request_leaves_no_filter(void **state)
{
    struct host_request request = { .event = "x-ekg",
                                    .call_id = "forked",
                                    .branch = "one",
                                    .expires = 600,
                                    .type = JSON,
                                    .body = EKG };

    (void)state;
    is->store = HOST_STORE_FAILS;
    host_request(is, &request);
    (void)host_take_status(is, 503);
    request.branch = "two";
    host_request(is, &request);
    (void)host_take_status(is, 482);
    is->store = HOST_STORE_NOW;
}

static void
a_filter_is_kept_over_a_restart_with_what_was_sent(void **state)
{
    (void)state;
    presence(PIDF_HEAD TUPLE("a", "closed", "one") "</presence>");
    subscribe("c1", "x-pidf", XML,
              FILTER_SET("<filter id=\"123\"><what><include>//pidf:status</include></what>" OPENS
                         "</filter>"));
    const struct host_sent *notify = host_take_notify(is);
    host_answer(is, notify, 200, NULL);
    host_wait(is, 6000);
    presence(PIDF_HEAD TUPLE("a", "open", "two") "</presence>");
    (void)told("open");
    host_wait(is, 6000);
    crash(1);
    host_take_nothing(is);
    presence(PIDF_HEAD TUPLE("a", "open", "three") "</presence>");
    host_wait(is, 6000);
    host_take_nothing(is);
}

#define CORE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* Each distinct condition once per update, however many wait for it. */
static void
a_hundred_thresholds_of_ten_thousand_are_looked_at_once_each(void **state)
{
    char filter[64], call_id[16], from[16];

    (void)state;
    beats(80);
    for (unsigned i = 0; i < 10000; i++) {
        (void)snprintf(filter, sizeof(filter), "{\"above\":{\"path\":\"hr\",\"value\":%u}}",
                       100 + i % 100);
        (void)snprintf(call_id, sizeof(call_id), "n%u", i);
        (void)snprintf(from, sizeof(from), "w%u", i / 500);
        host_request(is, &(struct host_request){ .event = "x-ekg",
                                                 .from = from,
                                                 .call_id = call_id,
                                                 .expires = 100000,
                                                 .type = JSON,
                                                 .body = filter });
        (void)host_take_status(is, 200);
        host_answer(is, host_take_notify(is), 200, NULL);
    }
    assert_int_equal(HOST_COUNT(is, 0, conditions), 100);
    const uint64_t before = HOST_COUNT(is, 0, conditions_looked_at);
    beats(90);
    assert_int_equal(HOST_COUNT(is, 0, conditions_looked_at) - before, 100);
    host_take_nothing(is);
    beats(150); /* above 100 to 149 */
    assert_int_equal(HOST_COUNT(is, 0, conditions_looked_at) - before, 200);
    assert_int_equal(HOST_COUNT(is, 0, firings), 50);
    unsigned told_n = 0;
    for (; host_count(is) || told_n < 5000; told_n++) {
        if (!host_count(is))
            host_settle(is);
        host_answer_only(is, host_take_notify(is), 200, NULL);
    }
    assert_int_equal(told_n, 5000);
}

/* --- dialogs that the Event header names (RFC 4235 section 3.2) ------------------------------- */

#define CALL(name, state)                                                                          \
    "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"0\" state=\"full\" "      \
    "entity=\"" BOB "\"><dialog id=\"" name "\" call-id=\"" name                                   \
    "\" local-tag=\"t\" remote-tag=\"f\"><state>" state "</state></dialog></dialog-info>"

/* The call that nobody follows changes; its snapshot is there, and no turn was taken. */
static void
other_call_becomes(const char *body)
{
    struct evt_shard *shard = host_shard(is, 0);
    char headers[64], call_id[32];

    is->store = HOST_STORE_LATER;
    (void)snprintf(call_id, sizeof(call_id), "pub%u", ++serial);
    (void)snprintf(headers, sizeof(headers), "SIP-If-Match: %s\r\n", etag);
    host_request(is, &(struct host_request){ .method = "PUBLISH",
                                             .event = "dialog",
                                             .expires = 600000,
                                             .call_id = call_id,
                                             .headers = headers,
                                             .type = dialog_types[0].p,
                                             .body = body });
    is->store = HOST_STORE_NOW;
    host_store_release(is, is->n_puts, HD_OK);
    while (hd_mailbox_depth(&shard->box) > 0)
        evt_shard_drain(shard, is->now_ms * 1000);
    const struct hd_slice given = host_value(host_take_status(is, 200), SIP_HDR_SIP_ETAG);
    (void)snprintf(etag, sizeof(etag), "%.*s", HD_FMT(given));
}

/* Thousands who follow other calls than the one that changed are looked at in as many turns as if
 * they were told; whom an answer has looked at takes of the share what there is. */
static void
looking_for_news_of_a_call_takes_of_the_share_of_a_turn(void **state)
{
    struct evt_config *config = host_config_copy(is);
    struct evt_shard *shard = host_shard(is, 0);
    char call_id[16];

    (void)state;
    config->limits.sends_per_turn = 8;
    host_configure(is, config, hd_slice(NULL, 0));
    publish_as("dialog", dialog_types[0].p, CALL("one", "confirmed"));
    etag[0] = '\0';
    publish_as("dialog", dialog_types[0].p, CALL("two", "early"));
    for (unsigned i = 0; i < 20; i++) {
        (void)snprintf(call_id, sizeof(call_id), "d%u", i);
        subscribe(call_id, "dialog;call-id=one;to-tag=t;from-tag=f", NULL, NULL);
        host_answer(is, host_take_notify(is), 200, NULL);
    }
    host_wait(is, 10000);
    other_call_becomes(CALL("two", "confirmed"));
    for (unsigned turn = 1; turn <= 3; turn++) {
        const bool more = evt_shard_turn(shard, is->now_ms * 1000) == 0;
        assert_int_equal(shard->sends_left, turn == 3 ? 4 : 0);
        assert_int_equal(more, turn < 3);
    }
    other_call_becomes(CALL("two", "terminated"));
    (void)evt_shard_turn(shard, is->now_ms * 1000);
    assert_int_equal(shard->sends_left, 0);
    for (uint32_t i = 0; (i = hd_table_next(&shard->subs, i)) != HD_TABLE_NONE; i++)
        evt_sub_kick(shard, evt_sub_at(shard, i));
    assert_int_equal(shard->sends_left, 0);
    host_settle(is);
    host_take_nothing(is);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CORE_TEST(a_crossing_is_told_once),
        CORE_TEST(a_refresh_keeps_the_filter_and_tells_what_is_true_without_a_firing),
        CORE_TEST(who_joins_during_an_alarm_sees_it_and_is_told_the_next),
        CORE_TEST(a_dwell_fires_by_time_alone),
        CORE_TEST(who_asks_for_signs_of_life_is_none),
        CORE_TEST(silence_is_told_and_a_refreshing_publish_is_a_sign_of_life),
        CORE_TEST(the_re_arm_is_told_when_it_was_asked_for),
        CORE_TEST(each_distinct_condition_is_looked_at_once),
        CORE_TEST(a_refused_notify_is_told_again_as_the_same_firing),
        CORE_TEST(a_polite_block_has_conditions_that_never_fire),
        CORE_TEST(conditions_go_on_with_what_a_changed_rule_shows),
        CORE_TEST(a_polite_block_tells_no_signs_of_life),
        CORE_TEST(a_firing_leaves_when_it_is_kept),
        CORE_TEST(a_firing_that_was_not_answered_goes_out_as_the_same_request),
        CORE_TEST(a_firing_that_was_answered_is_not_made_again),
        CORE_TEST(that_it_is_armed_again_is_kept_too),
        CORE_TEST(a_firing_that_only_the_conditions_know_is_told_after_the_crash),
        CORE_TEST(the_record_of_the_conditions_goes_with_the_last_of_them),
        CORE_TEST(a_profile_stands_for_a_filter),
        CORE_TEST(a_filter_that_cannot_be_kept_is_refused),
        CORE_TEST(a_trigger_holds_back_all_but_the_first_notify),
        CORE_TEST(what_is_wanted_is_a_view_of_its_own),
        CORE_TEST(filters_are_switched_replaced_and_removed_by_their_id),
        CORE_TEST(a_merged_request_leaves_no_filter),
        CORE_TEST(a_filter_is_kept_over_a_restart_with_what_was_sent),
        CORE_TEST(a_hundred_thresholds_of_ten_thousand_are_looked_at_once_each),
        CORE_TEST(looking_for_news_of_a_call_takes_of_the_share_of_a_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
