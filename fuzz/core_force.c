/* core_force.c - see core_force.h. */
#include "core_force.h"

/* Whether a start would know it: a package may have been taken away. */
static bool
is_configured(const struct evt_shard *shard, const struct evt_package *package)
{
    return evt_config_package(shard->config, package->name) != NULL;
}

static unsigned
subs_in_force(struct evt_shard *shard, uint64_t until_ms)
{
    unsigned n = 0;

    for (uint32_t k = 0; (k = hd_table_next(&shard->subs, k)) != HD_TABLE_NONE; k++) {
        const struct evt_sub *sub = evt_sub_at(shard, k);
        n += sub->stored && (sub->state == EVT_SUB_ACTIVE || sub->state == EVT_SUB_PENDING) &&
             sub->expires_at_ms > until_ms &&
             is_configured(shard, evt_mirror_at(shard, sub->mirror)->package);
    }
    return n;
}

static unsigned
pubs_in_force(struct evt_shard *shard, uint64_t until_ms)
{
    unsigned n = 0;

    for (uint32_t k = 0; (k = hd_table_next(&shard->pubs, k)) != HD_TABLE_NONE; k++) {
        const struct evt_pub *pub = evt_pub_at(shard, k);
        n += pub->live && pub->expires_at_ms > until_ms &&
             is_configured(shard, evt_resource_at(shard, pub->resource)->package);
    }
    return n;
}

static unsigned
bindings_in_force(struct evt_shard *shard, uint64_t until_ms)
{
    unsigned n = 0;

    for (uint32_t k = 0; (k = hd_table_next(&shard->accounts, k)) != HD_TABLE_NONE; k++) {
        const struct evt_account *account = evt_account_at(shard, k);
        for (uint32_t i = 0; i < account->n; i++)
            n += account->bindings[i].expires_at_ms > until_ms;
    }
    return n;
}

unsigned
core_in_force(struct host *host, uint64_t for_ms)
{
    const uint64_t until_ms = for_ms ? host->now_ms + for_ms : 0;
    unsigned n = 0;

    for (unsigned i = 0; i < host->n; i++)
        n += subs_in_force(host_shard(host, i), until_ms) +
             pubs_in_force(host_shard(host, i), until_ms) +
             bindings_in_force(host_shard(host, i), until_ms);
    return n;
}

bool
core_has_ended_some(struct host *host)
{
    for (unsigned i = 0; i < host->n; i++) {
        struct evt_shard *shard = host_shard(host, i);
        for (uint32_t k = 0; (k = hd_table_next(&shard->subs, k)) != HD_TABLE_NONE; k++) {
            const struct evt_sub *sub = evt_sub_at(shard, k);
            if (sub->state == EVT_SUB_TERMINATED && !sub->tombstone)
                return true;
        }
    }
    return false;
}
