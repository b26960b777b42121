/* conditions.c - what an update of one resource costs while many wait for thresholds on it:
 * conditions SUBSCRIBERS THRESHOLDS UPDATES.  Each distinct condition is looked at once per update,
 * however many wait for it; nobody is told, since no threshold is crossed. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "event/test_host.h"
#include "filter/filters.h"
#include "package/pkg.h"

static const struct hd_slice types[] = { { "application/json", 16 } };
static struct evt_package package;
static const struct evt_package *const packages[] = { &package };

static double
now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void
begin(struct host *host)
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
    host_init(host, 1);
    host_shard(host, 0)->ports.filter = flt_filter_ops();
    host_shard(host, 0)->ports.filter_context = flt_filters_new();
    host->made_up = true; /* the mirror is handed states that no home has */
    struct evt_config *config = host_config_copy(host);
    config->packages = packages;
    config->n_packages = 1;
    config->limits.subscriptions_per_watcher = UINT32_MAX;
    host_configure(host, config, hd_slice(NULL, 0));
}

static void
subscribe(struct host *host, unsigned i, unsigned thresholds)
{
    char filter[64], call_id[16];

    (void)snprintf(filter, sizeof(filter), "{\"above\":{\"path\":\"hr\",\"value\":%u}}",
                   100 + i % thresholds);
    (void)snprintf(call_id, sizeof(call_id), "n%u", i);
    host_request(host, &(struct host_request){ .event = "x-ekg",
                                               .call_id = call_id,
                                               .expires = 100000,
                                               .type = "application/vnd.herald.filter+json",
                                               .body = filter });
    struct host_sent *sent;
    while ((sent = host_take(host)))
        if (sent->msg.request)
            host_answer(host, sent, 200, NULL);
}

/* CPU of so many updates, in microseconds each. */
static double
updates(struct host *host, unsigned n)
{
    static uint64_t number = 1000;
    struct evt_shard *shard = host_shard(host, 0);
    struct evt_mirror *mirror =
        evt_mirror_find(shard, HD_LIT("sip:bob@example.test"), HD_LIT("x-ekg"));
    double used = 0;

    for (unsigned i = 0; mirror && i < n; i++) {
        char body[32];
        int len = snprintf(body, sizeof(body), "{\"hr\":%u}", 60 + i % 30);
        struct evt_doc *doc = evt_doc_new(types[0], hd_slice(body, (size_t)len));
        struct evt_snapshot *snapshot = evt_snapshot_new(++number, doc);
        double start = now_us();
        evt_mirror_snapshot(shard, mirror, snapshot);
        used += now_us() - start;
        evt_snapshot_unref(snapshot);
        evt_doc_unref(doc);
        host->now_ms += 100;
        host_settle(host);
    }
    return used / n;
}

int
main(int argc, char **argv)
{
    static struct host host;
    unsigned subs = argc > 1 ? (unsigned)atoi(argv[1]) : 10000;
    unsigned thresholds = argc > 2 ? (unsigned)atoi(argv[2]) : 100;
    unsigned n = argc > 3 ? (unsigned)atoi(argv[3]) : 2000;

    if (!subs || !thresholds || !n)
        return 2;
    begin(&host);
    for (unsigned i = 0; i < subs; i++)
        subscribe(&host, i, thresholds);
    (void)updates(&host, 100);
    const uint64_t before = HOST_COUNT(&host, 0, conditions_looked_at);
    const double each_us = updates(&host, n);
    const uint64_t looked = HOST_COUNT(&host, 0, conditions_looked_at) - before;
    printf("%u subscribers, %" PRIu64 " distinct conditions: %.1f us an update, %.1f conditions "
           "looked at, %.0f ns each\n",
           subs, (uint64_t)HOST_COUNT(&host, 0, conditions), each_us, (double)looked / n,
           each_us * 1000 * n / (double)(looked ? looked : 1));
    host_done(&host);
    return looked == (uint64_t)n * thresholds ? 0 : 1;
}
