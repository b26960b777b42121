/* config.c - references of the configuration, and of documents.
 *
 * Both are immutable after they are made: any shard reads them without a lock, the last reference
 * frees. */
#include "event/config.h"

#include <stdlib.h>

struct evt_config *
evt_config_ref(struct evt_config *config)
{
    HD_ASSERT_OBJ(config, EVT_CONFIG_MAGIC);
    atomic_fetch_add_explicit(&config->refs, 1, memory_order_relaxed);
    return config;
}

struct evt_config *
evt_config_unref(struct evt_config *config)
{
    if (!config)
        return NULL;
    HD_ASSERT_OBJ(config, EVT_CONFIG_MAGIC);
    /* acq_rel: reads made by other shards happen before the free. */
    if (atomic_fetch_sub_explicit(&config->refs, 1, memory_order_acq_rel) == 1) {
        config->magic = 0;
        if (config->free)
            config->free(config);
    }
    return NULL;
}

const struct evt_package *
evt_config_package(const struct evt_config *config, struct hd_slice name)
{
    const struct hd_slice template = HD_LIT(".winfo");
    const struct evt_package *package = NULL;
    unsigned depth = 0;

    for (; name.n > template.n && hd_slice_eq(hd_slice_from(name, name.n - template.n), template);
         depth++)
        name.n -= template.n;
    for (size_t i = 0; i < config->n_packages && !package; i++)
        if (hd_slice_eq(config->packages[i]->name, name))
            package = config->packages[i];
    while (package && depth-- > 0)
        package = package->winfo;
    return package;
}

struct evt_limits
evt_limits_default(void)
{
    return (struct evt_limits){
        .max_body = 64 * 1024,
        .subscriptions = 2000000,
        .subscriptions_per_watcher = 1000,
        .resources = 2000000,
        .publications = 1000000,
        .bindings = 1000000,
        .publications_per_resource = 64,
        .bindings_per_user = 16,
        .waiting_per_record = 16,
        .waiting = 8192,
        .priority_reserve = 1024,
        .retry_after_s = 5,
        .failures_burst = 1000,
        .failures_per_s = 20,
        .sends_per_turn = 128,
        .window_start = 32,
        .window_from = 16,
        .udp_size = 1300,
        .tcp_try_ms = 3000,
        .expires_jitter = 0,
        .park_first_s = 30,
        .park_most_s = 600,
        .route_delay_ms = 15,
        .waiting_watchers = 100000,
        .waiting_per_watcher = 32,
        .waiting_keep_s = 30 * 86400,
        .recorder = 256 << 10,
    };
}

struct evt_doc *
evt_doc_new(struct hd_slice type, struct hd_slice body)
{
    struct evt_doc *doc = malloc(sizeof(*doc) + type.n + body.n);
    if (!doc)
        return NULL;
    char *octets = (char *)(doc + 1);
    if (body.n)
        memcpy(octets, body.p, body.n);
    if (type.n)
        memcpy(octets + body.n, type.p, type.n);
    doc->magic = EVT_DOC_MAGIC;
    atomic_init(&doc->refs, 1);
    doc->body = hd_slice(octets, body.n);
    doc->type = hd_slice(octets + body.n, type.n);
    return doc;
}

struct evt_doc *
evt_doc_ref(struct evt_doc *doc)
{
    HD_ASSERT_OBJ(doc, EVT_DOC_MAGIC);
    atomic_fetch_add_explicit(&doc->refs, 1, memory_order_relaxed);
    return doc;
}

struct evt_doc *
evt_doc_unref(struct evt_doc *doc)
{
    if (!doc)
        return NULL;
    HD_ASSERT_OBJ(doc, EVT_DOC_MAGIC);
    /* acq_rel: reads made by other shards happen before the free. */
    if (atomic_fetch_sub_explicit(&doc->refs, 1, memory_order_acq_rel) == 1) {
        doc->magic = 0;
        free(doc);
    }
    return NULL;
}

bool
evt_config_profile(const struct evt_config *config, struct hd_slice package, struct hd_slice name,
                   struct hd_slice *ret_when)
{
    for (size_t i = 0; i < config->n_profiles; i++) {
        const struct evt_profile *profile = &config->profiles[i];
        if (!hd_slice_eq(profile->name, name) ||
            (profile->package.n && !hd_slice_eq(profile->package, package)))
            continue;
        *ret_when = profile->when;
        return true;
    }
    return false;
}
