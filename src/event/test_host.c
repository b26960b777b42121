/* test_host.c - a host's configuration, its beginning and end, and its time; see test_host.h. */
#include "event/test_host.h"

#include "event/test_check.h"

#define ROUNDS_MAX 20000

/* --- configuration --------------------------------------------------------------------------- */

static const struct hd_slice domains[] = { { "example.test", 12 } };
static const struct evt_listener listeners[] = {
    { .transport = HD_UDP,
      .addr = { .ip = { 192, 0, 2, 1 }, .port = 5060, .family = 4 },
      .authenticate = true },
    { .transport = HD_TCP,
      .addr = { .ip = { 192, 0, 2, 1 }, .port = 5060, .family = 4 },
      .authenticate = true },
};

static void
config_free(struct evt_config *config)
{
    free(config);
}

static struct evt_config *
config_new(void)
{
    struct evt_config *config = calloc(1, sizeof(*config));

    CHECK(config);
    config->magic = EVT_CONFIG_MAGIC;
    atomic_init(&config->refs, 1);
    config->served = (struct sip_served){ .domains = domains, .n_domains = 1 };
    config->listeners = listeners;
    config->n_listeners = HD_ARRAY_LEN(listeners);
    config->packages = host_packages;
    config->n_packages = HOST_PACKAGES;
    config->limits = evt_limits_default();
    config->registrar = (struct evt_registrar){
        .enabled = true, .min_expires_s = 60, .default_expires_s = 3600, .max_expires_s = 86400
    };
    config->instance = HD_LIT("urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
    config->free = config_free;
    return config;
}

struct evt_config *
host_config_copy(struct host *host)
{
    pause_refusals(1);
    struct evt_config *config = malloc(sizeof(*config));
    pause_refusals(-1);

    CHECK(config);
    memcpy(config, host->config, sizeof(*config));
    atomic_init(&config->refs, 1);
    config->version++;
    return config;
}

void
host_configure(struct host *host, struct evt_config *config, struct hd_slice changed)
{
    if (config != host->config) {
        evt_config_unref(host->config);
        host->config = config;
    }
    for (unsigned i = 0; i < host->n; i++)
        evt_shard_configure(host->seats[i].shard, config, changed, host->now_ms * 1000);
}

/* --- beginning and end ----------------------------------------------------------------------- */

static const struct evt_keys keys = { .id = { 11, 12 }, .table = { 21, 22 } };

void
host_shards_begin(struct host *host, unsigned n)
{
    struct evt_shard *peers[HOST_SHARDS];

    HD_ASSERT(n > 0 && n <= HOST_SHARDS);
    host->n = n;
    for (unsigned i = 0; i < n; i++) {
        struct host_seat *seat = &host->seats[i];
        seat->host = host;
        seat->index = i;
        const struct evt_shard_params params = {
            .index = i,
            .count = n,
            .start = host->start,
            .keys = keys,
            .config = host->config,
            .ports = { .net = &host_net_ops,
                       .net_context = seat,
                       .store = &host_store_ops,
                       .store_context = host,
                       .policy = &host_policy_ops,
                       .policy_context = seat },
            .entropy = hd_entropy_seeded,
            .entropy_context = &host->seed,
            .now_us = host->now_ms * 1000,
        };
        CHECK(evt_shard_new(&params, &seat->shard) == HD_OK);
        peers[i] = seat->shard;
    }
    for (unsigned i = 0; i < n; i++)
        evt_shard_connect(peers[i], peers);
    if (host->begun)
        host->begun(host);
}

void
host_init(struct host *host, unsigned n)
{
    host_init_start(host, n, 1);
}

void
host_init_start(struct host *host, unsigned n, uint32_t start)
{
    memset(host, 0, sizeof(*host));
    host->now_ms = 1000000;
    host->start = start;
    host->seed = 7;
    host->sent_end = &host->sent;
    host->puts_end = &host->puts;
    host->config = config_new();
    host->nonce_id = 1;
    host_shards_begin(host, n);
}

void
host_free_puts(struct host_put **list)
{
    while (*list) {
        struct host_put *next = (*list)->next;
        free(*list);
        *list = next;
    }
}

void
host_shards_end(struct host *host)
{
    for (unsigned i = 0; i < host->n; i++)
        evt_shard_free(host->seats[i].shard);
    host_free_puts(&host->puts);
    host->puts_end = &host->puts;
}

void
host_done(struct host *host)
{
    host_shards_end(host);
    host_drop(host);
    host_free_puts(&host->kept);
    evt_config_unref(host->config);
}

struct evt_shard *
host_shard(struct host *host, unsigned index)
{
    return host->seats[index].shard;
}

/* --- time ------------------------------------------------------------------------------------ */

static void
check_shards(struct host *host)
{
    struct evt_shard *shards[HOST_SHARDS];

    for (unsigned i = 0; i < host->n; i++) {
        const char *fault = evt_shard_check(host->seats[i].shard);
        if (fault)
            fprintf(stderr, "shard %u: %s\n", i, fault);
        CHECK(!fault);
        shards[i] = host->seats[i].shard;
    }
    const char *fault = host->made_up ? NULL : evt_shards_check(shards, host->n);
    if (fault)
        fprintf(stderr, "between shards: %s\n", fault);
    CHECK(!fault);
}

/* One round; false: nobody had anything to do. */
static bool
host_round(struct host *host)
{
    const uint64_t now_us = host->now_ms * 1000;
    bool busy = false;

    host->wait_ms = UINT64_MAX;
    for (unsigned i = 0; i < host->n; i++) {
        struct evt_shard *shard = host->seats[i].shard;
        busy = busy || hd_mailbox_depth(&shard->box) > 0;
        evt_shard_drain(shard, now_us);
        if (host->puts && host->store != HOST_STORE_LATER) {
            host_store_release(host, 1000, host->store == HOST_STORE_FAILS ? HD_ESTORE : HD_OK);
            busy = true;
        }
        if (host->flush && host->flush(host->flush_context, i) > 0)
            busy = true;
        uint64_t wait_ms = evt_shard_turn(shard, now_us);
        busy = busy || wait_ms == 0;
        if (wait_ms < host->wait_ms)
            host->wait_ms = wait_ms;
    }
    for (unsigned i = 0; i < host->n; i++)
        busy = busy || hd_mailbox_depth(&host->seats[i].shard->box) > 0;
    return busy;
}

void
host_settle(struct host *host)
{
    unsigned rounds = 0;

    while (host_round(host))
        CHECK(++rounds < ROUNDS_MAX); /* a core that never rests */
    /* A check looks at all that there is: of large tables one time in so many. */
    if (!host->unchecked && host->settled++ % (1 + host_subs(host) / 200) == 0)
        check_shards(host);
}

void
host_wait(struct host *host, uint64_t ms)
{
    const uint64_t until = host->now_ms + ms;
    unsigned steps = 0;

    host_settle(host);
    while (host->now_ms < until) {
        uint64_t step = until - host->now_ms;
        if (host->wait_ms < step)
            step = host->wait_ms;
        CHECK(step > 0 && ++steps < ROUNDS_MAX);
        host->now_ms += step;
        host_settle(host);
    }
}

/* --- looking in ------------------------------------------------------------------------------ */

struct evt_sub *
host_sub(struct host *host, unsigned shard)
{
    struct evt_shard *s = host->seats[shard].shard;
    uint32_t i = hd_table_next(&s->subs, 0);

    return i == HD_TABLE_NONE ? NULL : evt_sub_at(s, i);
}

uint32_t
host_subs(struct host *host)
{
    uint32_t n = 0;

    for (unsigned i = 0; i < host->n; i++)
        n += host->seats[i].shard->subs.count;
    return n;
}
