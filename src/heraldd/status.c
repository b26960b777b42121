/* status.c - what the daemon is and has done, as one JSON object.
 *
 * Numbers are read while the shards count; each is right, and a sum of several may be some
 * microseconds behind.  When memory is short a part is missing, or the whole (NULL). */
#include "heraldd/status.h"

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "policy/policy.h"
#include "sip/msg.h"

struct number {
    const char *name;
    size_t offset;
    const char *words;
};

#define COUNTER(name, words) { #name, offsetof(struct evt_counters, name), words },
static const struct number counters[] = { EVT_COUNTERS(COUNTER) };
static const struct number gauges[] = { EVT_GAUGES(COUNTER) };
#undef COUNTER

#define NET(name, words)                                                                           \
    {                                                                                              \
#name, offsetof(struct net_counters, name), words                                          \
    }
static const struct number net_numbers[] = {
    NET(datagrams_in, "datagrams received"),
    NET(datagrams_out, "datagrams sent"),
    NET(datagram_errors, "datagrams that the kernel refused to send"),
    NET(receive_drops, "datagrams that the kernel dropped because the receive buffer was full"),
    NET(streams_accepted, "connections accepted"),
    NET(streams_refused, "connections refused because there are too many"),
    NET(streams_opened, "connections opened"),
    NET(streams_closed, "connections closed"),
    NET(streams_open, "connections open now"),
    NET(octets_in, "octets received"),
    NET(octets_out, "octets sent"),
    NET(frames_bad, "streams closed because they could not be framed"),
    NET(pings, "keep-alives answered"),
    NET(secured, "TLS handshakes done"),
    NET(resumed, "TLS handshakes that resumed a session"),
    NET(unsecured, "TLS handshakes that failed"),
    NET(upgraded, "connections that became WebSockets"),
    NET(not_upgraded, "requests and waits for a WebSocket that were refused"),
    NET(stun, "datagrams of STUN"),
};
static_assert(HD_ARRAY_LEN(net_numbers) == sizeof(struct net_counters) / sizeof(uint64_t),
              "every counter of net/ is shown");
#undef NET

static uint64_t
number_read(const void *base, const struct number *number)
{
    const _Atomic uint64_t *p =
        (const _Atomic uint64_t *)(const void *)((const char *)base + number->offset);

    return atomic_load_explicit(p, memory_order_relaxed);
}

/* An object of name and number, in sum over n bases. */
static json_t *
numbers_json(const struct number *numbers, size_t n_numbers, const void *const *bases, unsigned n)
{
    json_t *object = json_object();

    for (size_t i = 0; i < n_numbers && object; i++) {
        uint64_t sum = 0;

        for (unsigned k = 0; k < n; k++)
            sum += number_read(bases[k], &numbers[i]);
        (void)json_object_set_new(object, numbers[i].name, json_integer((json_int_t)sum));
    }
    return object;
}

/* Fields for n shards in an object. */
static void
add_numbers(json_t *object, const void *const *evt, const void *const *net, unsigned n)
{
    (void)json_object_set_new(object, "counters",
                              numbers_json(counters, HD_ARRAY_LEN(counters), evt, n));
    (void)json_object_set_new(object, "gauges", numbers_json(gauges, HD_ARRAY_LEN(gauges), evt, n));
    (void)json_object_set_new(object, "net",
                              numbers_json(net_numbers, HD_ARRAY_LEN(net_numbers), net, n));
}

static json_t *
words_json(void)
{
    static const struct {
        const struct number *numbers;
        size_t n;
    } all[] = { { counters, HD_ARRAY_LEN(counters) },
                { gauges, HD_ARRAY_LEN(gauges) },
                { net_numbers, HD_ARRAY_LEN(net_numbers) } };
    json_t *object = json_object();

    for (size_t i = 0; i < HD_ARRAY_LEN(all); i++)
        for (size_t k = 0; k < all[i].n && object; k++)
            (void)json_object_set_new(object, all[i].numbers[k].name,
                                      json_string(all[i].numbers[k].words));
    return object;
}

static json_t *
methods_json(const void *const *evt, unsigned n)
{
    json_t *object = json_object();

    for (int m = 0; m < SIP_METHOD_COUNT && object; m++) {
        struct hd_slice name =
            m == SIP_METHOD_UNKNOWN ? HD_LIT("other") : sip_method_name((enum sip_method)m);
        char text[32];
        uint64_t sum = 0;

        for (unsigned i = 0; i < n; i++)
            sum += atomic_load_explicit(&((const struct evt_counters *)evt[i])->by_method[m],
                                        memory_order_relaxed);
        (void)snprintf(text, sizeof(text), "%.*s", HD_FMT(name));
        if (sum > 0)
            (void)json_object_set_new(object, text, json_integer((json_int_t)sum));
    }
    return object;
}

static json_t *
statuses_json(const void *const *evt, unsigned n)
{
    json_t *object = json_object();

    for (int code = 0; code < 700 && object; code++) {
        char text[16];
        uint64_t sum = 0;

        for (unsigned i = 0; i < n; i++)
            sum += atomic_load_explicit(&((const struct evt_counters *)evt[i])->by_status[code],
                                        memory_order_relaxed);
        (void)snprintf(text, sizeof(text), "%d", code);
        if (sum > 0)
            (void)json_object_set_new(object, text, json_integer((json_int_t)sum));
    }
    return object;
}

static json_t *
listeners_json(const struct evt_config *config)
{
    json_t *array = json_array();

    for (size_t i = 0; i < config->n_listeners && array; i++) {
        const struct evt_listener *l = &config->listeners[i];

        (void)json_array_append_new(array,
                                    json_pack("{s:o, s:o, s:s}", "transport",
                                              hd_json_slice(hd_transport_name(l->transport)),
                                              "address", hd_json_addr(&l->addr), "authentication",
                                              l->authenticate ? "digest" : "none"));
    }
    return array;
}

/* How the live state is kept, and whether it can be. */
static json_t *
store_json(const struct hd_daemon *daemon)
{
    static const char *const words[] = { "commit", "async", "memory" };
    const char *durability = words[daemon->conf->durability];
    struct sto_status s;

    if (!hd_host_store(daemon->host, &s))
        return json_pack("{s:s}", "durability", durability);
    return json_pack("{s:s, s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
                     "durability", durability, "healthy", (int)s.healthy, "problem", s.problem,
                     "commits", (json_int_t)s.commits, "failures", (json_int_t)s.failures,
                     "records", (json_int_t)s.records, "commit_us_mean",
                     (json_int_t)(s.commits ? s.commit_us_sum / s.commits : 0), "commit_us_most",
                     (json_int_t)s.commit_us_most, "live", (json_int_t)s.live, "rows",
                     (json_int_t)s.rows, "batches_waiting", (json_int_t)s.depth, "lost",
                     (json_int_t)s.lost, "audit_lost", (json_int_t)s.audit_lost);
}

static json_t *
shard_json(const struct hd_host *host, unsigned shard)
{
    const void *evt = hd_host_counters(host, shard), *net = hd_host_net(host, shard);
    json_t *row = json_pack("{s:i, s:I}", "shard", (int)shard, "mailbox",
                            (json_int_t)hd_host_mailbox(host, shard));

    add_numbers(row, &evt, &net, 1);
    return row;
}

json_t *
hd_status_json(const struct hd_daemon *daemon, bool brief)
{
    const struct hd_host *host = daemon->host;
    unsigned n = hd_host_shards(host);
    const void *evt[EVT_MAX_SHARDS], *net[EVT_MAX_SHARDS];
    const uint64_t up_us = net_now_us() - daemon->started_us;
    json_t *per_shard = brief ? NULL : json_array(), *result;
    uint64_t mailbox = 0;

    for (unsigned i = 0; i < n; i++) {
        evt[i] = hd_host_counters(host, i);
        net[i] = hd_host_net(host, i);
        mailbox += hd_host_mailbox(host, i);
        if (!brief)
            (void)json_array_append_new(per_shard, shard_json(host, i));
    }
    result =
        json_pack("{s:s, s:I, s:I, s:I, s:i, s:I, s:I, s:I, s:o, s:o, s:I, s:o, s:o, s:o*, s:o*}",
                  "version", HERALD_VERSION, "pid", (json_int_t)getpid(), "uptime_s",
                  (json_int_t)(up_us / 1000000), "uptime_us", (json_int_t)up_us, "shards", (int)n,
                  "config_version", (json_int_t)daemon->config->version, "users",
                  (json_int_t)pol_book_user_count(hd_state_book(daemon->state)), "rules",
                  (json_int_t)pol_book_rule_count(hd_state_book(daemon->state)), "domains",
                  hd_json_slices(daemon->config->served.domains, daemon->config->served.n_domains),
                  "listeners", listeners_json(daemon->config), "mailbox", (json_int_t)mailbox,
                  "methods", methods_json(evt, n), "statuses", statuses_json(evt, n), "per_shard",
                  per_shard, "words", brief ? NULL : words_json());
    if (result) {
        add_numbers(result, evt, net, n);
        (void)json_object_set_new(result, "store", store_json(daemon));
    }
    return result;
}
