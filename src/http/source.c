/* source.c - budgets of a source: how many requests it may make, and how many that fail.
 *
 * One fixed table keyed by address without port, as the core has for SIP; the colder of two places
 * is given up when both are taken, so that a flood from many addresses cannot make it grow. */
#include "http/core.h"

#define THOUSANDTHS 1000u

static uint32_t
refill(uint32_t spent, uint64_t gone_ms, uint32_t per_s)
{
    uint64_t back = gone_ms * per_s;

    return back >= spent ? 0 : spent - (uint32_t)back;
}

static struct api_source *
source_find(struct api *api, const struct hd_addr *addr)
{
    const struct evt_limits *limits = &api->config->limits;
    uint64_t hash = hd_addr_hash(&api->keys.table, addr, false) | 1;
    struct api_source *pair = &api->sources[(hash >> 20) % (API_SOURCES / 2) * 2];
    struct api_source *colder;

    for (int i = 0; i < 2; i++) {
        struct api_source *source = &pair[i];
        source->requests =
            refill(source->requests, api->now_ms - source->at_ms, api->settings->requests_per_s);
        source->failures =
            refill(source->failures, api->now_ms - source->at_ms, limits->failures_per_s);
        source->at_ms = api->now_ms;
    }
    for (int i = 0; i < 2; i++)
        if (pair[i].hash == hash)
            return &pair[i];
    colder = pair[0].failures + pair[0].requests <= pair[1].failures + pair[1].requests ? &pair[0]
                                                                                        : &pair[1];
    *colder = (struct api_source){ .hash = hash, .at_ms = api->now_ms };
    return colder;
}

bool
api_source_take(struct api *api, const struct hd_addr *addr)
{
    struct api_source *source = source_find(api, addr);

    if (source->requests + THOUSANDTHS > api->settings->requests_burst * THOUSANDTHS)
        return false;
    source->requests += THOUSANDTHS;
    return true;
}

bool
api_source_allowed(struct api *api, const struct hd_addr *addr)
{
    uint32_t burst = api->config->limits.failures_burst;

    return burst == 0 || source_find(api, addr)->failures + THOUSANDTHS <= burst * THOUSANDTHS;
}

void
api_source_failed(struct api *api, const struct hd_addr *addr)
{
    uint32_t most = api->config->limits.failures_burst * THOUSANDTHS;
    struct api_source *source = source_find(api, addr);

    source->failures =
        source->failures + THOUSANDTHS > most ? most : source->failures + THOUSANDTHS;
}
