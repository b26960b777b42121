/* week_test.c - a week at a bedside: ten readings a second, noise, artefacts, two problems, and a
 * server that is killed several times.  The doctor is called exactly twice.
 *
 * Six million readings go to the mirror as the home of the patient would send them; what follows
 * from them goes the whole way.  A NOTIFY that is sent again after a crash is the same request, by
 * which the phone knows it (RFC 3261 section 8.2.2.2); distinct ones are counted. */
#include <inttypes.h>
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
#define WEEK 6048000u /* readings, one in 100 ms */
#define FILTER                                                                                     \
    "{\"above\":{\"path\":\"hr\",\"value\":140,\"clear\":120,\"for\":\"5s\"},\"name\":"            \
    "\"serious\"}"
#define CALLS_MOST 16

static struct host host;
static struct flt_filters *filters;
static const struct hd_slice types[] = { { "application/json", 16 } };
static struct evt_package package;
static const struct evt_package *const packages[] = { &package };
static uint64_t number;

/* The calls that the phone got: distinct requests with Herald-Fired. */
static struct {
    char branch[64];
    uint32_t cseq, at; /* at: reading */
} calls[CALLS_MOST];
static unsigned n_calls;
static bool phone_is_off;

/* The shards of a start, with filters. */
static void
give_filters(struct host *at)
{
    flt_filters_free(filters);
    filters = flt_filters_new();
    assert_non_null(filters);
    host_shard(at, 0)->ports.filter = flt_filter_ops();
    host_shard(at, 0)->ports.filter_context = filters;
}

static void
begin(void)
{
    package = (struct evt_package){ .magic = EVT_PACKAGE_MAGIC,
                                    .name = HD_LIT("x-ekg"),
                                    .ops = pkg_generic_ops(),
                                    .types = types,
                                    .n_types = 1,
                                    .min_expires_s = 60,
                                    .default_expires_s = 3600,
                                    .max_expires_s = 1000000,
                                    .max_body = 65536,
                                    .authorisation = EVT_AUTHORISE_ALLOW };
    host_init(&host, 1);
    host.begun = give_filters;
    give_filters(&host);
    host.made_up = true;
    struct evt_config *config = host_config_copy(&host);
    config->packages = packages;
    config->n_packages = 1;
    host_configure(&host, config, hd_slice(NULL, 0));
}

/* What the phone does with all that came: answers, and notes a call that it has not had. */
static void
phone(uint32_t reading)
{
    struct host_sent *sent;

    while ((sent = host_take(&host))) {
        if (!sent->msg.request)
            continue;
        struct hd_slice branch = sent->msg.via.branch;
        if (host_has(sent, "Herald-Fired: serious;seq=")) {
            bool known = false;
            for (unsigned i = 0; i < n_calls; i++)
                known = known || (calls[i].cseq == sent->msg.cseq.number &&
                                  hd_slice_eq(hd_slice_str(calls[i].branch), branch));
            assert_true(known || n_calls < CALLS_MOST);
            if (!known && !phone_is_off) {
                memcpy(calls[n_calls].branch, branch.p, branch.n);
                calls[n_calls].branch[branch.n] = '\0';
                calls[n_calls].cseq = sent->msg.cseq.number;
                calls[n_calls++].at = reading;
            }
        }
        if (!phone_is_off)
            host_answer(&host, sent, 200, NULL);
    }
}

/* Noise around 80; an artefact of two seconds, up to 180, once an hour; from 2,000,000 on a problem
 * of ten minutes that trembles around its limit, from 4,500,000 on one of an hour. */
static unsigned
rate_at(uint32_t i)
{
    const unsigned noise = (i * 2654435761u >> 28) & 7;

    if (i >= 2000000 && i < 2006000)
        return 128 + noise * 5; /* 128 to 163: crosses 140 again and again, never below 120 */
    if (i >= 2000000 - 100 && i < 2000000)
        return 150;
    if (i >= 4500000 && i < 4536000)
        return 165 + noise;
    if (i % 36000 >= 18000 && i % 36000 < 18020)
        return 180;
    return 76 + noise;
}

static struct evt_mirror *
mirror(void)
{
    return evt_mirror_find(host_shard(&host, 0), HD_LIT(BOB), HD_LIT("x-ekg"));
}

static void
reading(uint32_t i)
{
    struct evt_shard *shard = host_shard(&host, 0);
    char body[32];

    host.now_ms += 100;
    evt_shard_tick(shard, host.now_ms * 1000);
    int n = snprintf(body, sizeof(body), "{\"hr\":%u}", rate_at(i));
    struct evt_doc *doc = evt_doc_new(types[0], hd_slice(body, (size_t)n));
    struct evt_snapshot *snapshot = evt_snapshot_new(++number, doc);
    assert_non_null(snapshot);
    snapshot->sign = true;
    evt_mirror_snapshot(shard, mirror(), snapshot);
    evt_snapshot_unref(snapshot);
    evt_doc_unref(doc);
    if (i % 10 == 0 || host_count(&host)) {
        host_settle(&host);
        phone(i);
    }
}

static void
kill_9(unsigned kept)
{
    host_restart(&host, 1, &(struct host_ending){ .kept = kept, .down_ms = 3000 });
    number += 1000000; /* the home counts on, too */
    host_settle(&host);
    assert_non_null(mirror());
}

static void
run(uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++)
        reading(i);
}

static void
a_week_with_two_problems_calls_twice(void **state)
{
    char tag[HD_ID_TEXT + 1];

    (void)state;
    begin();
    host_request(&host, &(struct host_request){ .event = "x-ekg",
                                                .expires = 900000,
                                                .type = "application/vnd.herald.filter+json",
                                                .body = FILTER });
    struct hd_slice given = host_take_status(&host, 200)->msg.to_tag;
    memcpy(tag, given.p, given.n);
    host_settle(&host);
    phone(0);
    run(0, 1000000);
    kill_9(UINT32_MAX); /* in the middle of nothing */
    run(1000000, 1999930);
    kill_9(UINT32_MAX); /* in the middle of the five seconds */
    run(1999930, 2003000);
    assert_int_equal(n_calls, 1);
    kill_9(UINT32_MAX); /* in the middle of the problem */
    run(2003000, 4500000);
    assert_int_equal(n_calls, 1);
    /* The second call is on its way, and nobody has answered, when the server dies. */
    phone_is_off = true;
    run(4500000, 4500055);
    assert_int_equal(n_calls, 1);
    phone_is_off = false;
    kill_9(UINT32_MAX);
    phone(4500055);
    run(4500055, 4500200);
    assert_int_equal(n_calls, 2);
    kill_9(0); /* and again, when it is answered and that is not on the disk yet */
    run(4500200, WEEK);
    assert_int_equal(n_calls, 2);
    /* Five seconds, which begin anew when the server does: what it did not see may have been calm.
     */
    assert_in_range(calls[0].at, 1999950, 1999991);
    assert_in_range(calls[1].at, 4500050, 4500200);
    print_message("%u readings, %u calls, %" PRIu64 " looked at\n", WEEK, n_calls,
                  HOST_COUNT(&host, 0, conditions_looked_at));
    host_done(&host);
    flt_filters_free(filters);
}

int
main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_week_with_two_problems_calls_twice) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
