/* metrics.c - OpenMetrics text (the format that Prometheus and its kin collect).
 *
 * A family is its HELP, TYPE and perhaps UNIT line, then all of its samples: a family may come once
 * only, so the loops go over families outside and shards inside. Invariants: what is counted in
 * event/ and net/ shows here without a change of this file, or does not compile; a counter's sample
 * ends in _total; a unit is the last word of its family's name. */
#include "heraldd/metrics.h"

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>

#include "heraldd/face.h"
#include "names/names.h"
#include "policy/policy.h"
#include "sip/msg.h"

enum kind { KIND_COUNTER = 0, KIND_GAUGE, KIND_SUMMARY };

static void
family(struct hd_str *out, const char *name, enum kind kind, const char *unit, const char *words)
{
    static const char *const kinds[] = { "counter", "gauge", "summary" };

    hd_str_addf(out, "# TYPE herald_%s %s\n", name, kinds[kind]);
    if (unit)
        hd_str_addf(out, "# UNIT herald_%s %s\n", name, unit);
    hd_str_addf(out, "# HELP herald_%s %s\n", name, words);
}

static uint64_t
number(const void *base, size_t offset)
{
    const _Atomic uint64_t *p =
        (const _Atomic uint64_t *)(const void *)((const char *)base + offset);

    return atomic_load_explicit(p, memory_order_relaxed);
}

static void
shard_sample(struct hd_str *out, const char *name, enum kind kind, unsigned shard, uint64_t value)
{
    hd_str_addf(out, "herald_%s%s{shard=\"%u\"} ", name, kind == KIND_COUNTER ? "_total" : "",
                shard);
    hd_str_add_u64(out, value);
    hd_str_add_char(out, '\n');
}

static void
single(struct hd_str *out, const char *name, enum kind kind, const char *unit, const char *words,
       uint64_t value)
{
    family(out, name, kind, unit, words);
    hd_str_addf(out, "herald_%s%s ", name, kind == KIND_COUNTER ? "_total" : "");
    hd_str_add_u64(out, value);
    hd_str_add_char(out, '\n');
}

/* --- what the shards count ------------------------------------------------------------- */

struct row {
    const char *name, *words, *unit;
    size_t offset;
    enum kind kind;
};

#define COUNTER(name, words)                                                                       \
    { #name, words, NULL, offsetof(struct evt_counters, name), KIND_COUNTER },
#define GAUGE(name, words) { #name, words, NULL, offsetof(struct evt_counters, name), KIND_GAUGE },
static const struct row core_rows[] = { EVT_COUNTERS(COUNTER) EVT_GAUGES(GAUGE) };
#undef COUNTER
#undef GAUGE

#define NET(field) offsetof(struct net_counters, field)
static const struct row net_rows[] = {
    { "datagrams_received", "datagrams received", NULL, NET(datagrams_in), KIND_COUNTER },
    { "datagrams_sent", "datagrams sent", NULL, NET(datagrams_out), KIND_COUNTER },
    { "datagrams_refused", "datagrams that the kernel refused to send", NULL, NET(datagram_errors),
      KIND_COUNTER },
    { "datagrams_dropped", "datagrams that the kernel dropped because the receive buffer was full",
      NULL, NET(receive_drops), KIND_COUNTER },
    { "connections_accepted", "connections accepted", NULL, NET(streams_accepted), KIND_COUNTER },
    { "connections_refused", "connections refused because there are too many", NULL,
      NET(streams_refused), KIND_COUNTER },
    { "connections_opened", "connections opened", NULL, NET(streams_opened), KIND_COUNTER },
    { "connections_closed", "connections closed", NULL, NET(streams_closed), KIND_COUNTER },
    { "connections_unframed", "connections closed because they could not be framed", NULL,
      NET(frames_bad), KIND_COUNTER },
    { "connections", "connections open now", NULL, NET(streams_open), KIND_GAUGE },
    { "received_bytes", "octets received", "bytes", NET(octets_in), KIND_COUNTER },
    { "sent_bytes", "octets sent", "bytes", NET(octets_out), KIND_COUNTER },
    { "keepalives", "keep-alives answered", NULL, NET(pings), KIND_COUNTER },
    { "tls_handshakes", "TLS handshakes done", NULL, NET(secured), KIND_COUNTER },
    { "tls_resumed", "TLS handshakes that resumed a session", NULL, NET(resumed), KIND_COUNTER },
    { "tls_failed", "TLS handshakes that failed", NULL, NET(unsecured), KIND_COUNTER },
    { "websockets", "connections that became WebSockets", NULL, NET(upgraded), KIND_COUNTER },
    { "websockets_refused", "requests and waits for a WebSocket that were refused", NULL,
      NET(not_upgraded), KIND_COUNTER },
    { "stun", "datagrams of STUN", NULL, NET(stun), KIND_COUNTER },
};
#undef NET
static_assert(HD_ARRAY_LEN(net_rows) == sizeof(struct net_counters) / sizeof(uint64_t),
              "every counter of net/ is shown");

#define NAM(field) offsetof(struct nam_counters, field)
static const struct row names_rows[] = {
    { "names_asked", "names of next hops looked up", NULL, NAM(asked), KIND_COUNTER },
    { "names_queries", "questions sent to name servers", NULL, NAM(queries), KIND_COUNTER },
    { "names_failed", "questions that name servers did not answer, or with a failure", NULL,
      NAM(failed), KIND_COUNTER },
    { "names_bad", "answers of name servers that could not be read or answered something else",
      NULL, NAM(bad), KIND_COUNTER },
    { "names_cut", "answers of name servers with more records than are kept", NULL, NAM(cut),
      KIND_COUNTER },
    { "names_refused", "names not looked up because too many questions were open", NULL,
      NAM(refused), KIND_COUNTER },
    { "names_unknown", "names that led to no address", NULL, NAM(nowhere), KIND_COUNTER },
    { "names_avoided", "targets of names that failed and go behind the others", NULL, NAM(avoided),
      KIND_COUNTER },
    { "names_kept", "answers of name servers kept", NULL, NAM(kept), KIND_GAUGE },
    { "names_open", "names being looked up now", NULL, NAM(open), KIND_GAUGE },
};
#undef NAM
static_assert(HD_ARRAY_LEN(names_rows) == sizeof(struct nam_counters) / sizeof(uint64_t),
              "every counter of names/ is shown");

static const void *
names_base(const struct hd_host *host, unsigned shard)
{
    return hd_host_names(host, shard);
}

static const void *
core_base(const struct hd_host *host, unsigned shard)
{
    return hd_host_counters(host, shard);
}

static const void *
net_base(const struct hd_host *host, unsigned shard)
{
    return hd_host_net(host, shard);
}

static void
write_rows(struct hd_str *out, const struct hd_host *host, const struct row *rows, size_t n,
           const void *(*base)(const struct hd_host *host, unsigned shard))
{
    for (size_t i = 0; i < n; i++) {
        family(out, rows[i].name, rows[i].kind, rows[i].unit, rows[i].words);
        for (unsigned k = 0; k < hd_host_shards(host); k++)
            shard_sample(out, rows[i].name, rows[i].kind, k, number(base(host, k), rows[i].offset));
    }
}

/* All methods, also those that have not come: a series that is there from the start has a rate. */
static void
write_methods(struct hd_str *out, const struct hd_host *host)
{
    family(out, "requests_by_method", KIND_COUNTER, NULL, "requests received, by method");
    for (unsigned k = 0; k < hd_host_shards(host); k++)
        for (int m = 0; m < SIP_METHOD_COUNT; m++) {
            struct hd_slice name =
                m == SIP_METHOD_UNKNOWN ? HD_LIT("other") : sip_method_name((enum sip_method)m);
            const struct evt_counters *counters = hd_host_counters(host, k);

            hd_str_addf(out, "herald_requests_by_method_total{shard=\"%u\",method=\"%.*s\"} %llu\n",
                        k, HD_FMT(name),
                        (unsigned long long)atomic_load_explicit(&counters->by_method[m],
                                                                 memory_order_relaxed));
        }
}

/* Those that were given. */
static void
write_answers(struct hd_str *out, const struct hd_host *host)
{
    family(out, "answers", KIND_COUNTER, NULL, "final answers given, by status code");
    for (unsigned k = 0; k < hd_host_shards(host); k++)
        for (int code = 0; code < 700; code++) {
            uint64_t n = atomic_load_explicit(&hd_host_counters(host, k)->by_status[code],
                                              memory_order_relaxed);

            if (n > 0)
                hd_str_addf(out, "herald_answers_total{shard=\"%u\",code=\"%d\"} %llu\n", k, code,
                            (unsigned long long)n);
        }
}

/* Names of packages are tokens: nothing in them needs an escape. */
static void
write_packages(struct hd_str *out, const struct hd_host *host)
{
    static const struct row rows[] = {
        { "package_subscriptions", "subscriptions by event package, those that end among them",
          NULL, offsetof(struct evt_package_counters, subscriptions), KIND_GAUGE },
        { "package_publications", "publications by event package", NULL,
          offsetof(struct evt_package_counters, publications), KIND_GAUGE },
    };

    for (size_t i = 0; i < HD_ARRAY_LEN(rows); i++) {
        family(out, rows[i].name, rows[i].kind, rows[i].unit, rows[i].words);
        for (unsigned k = 0; k < hd_host_shards(host); k++) {
            const struct evt_counters *counters = hd_host_counters(host, k);
            /* acquire: a row that is counted has its name. */
            uint32_t n = atomic_load_explicit(&counters->n_packages, memory_order_acquire);

            for (uint32_t r = 0; r < n; r++)
                hd_str_addf(out, "herald_%s{shard=\"%u\",package=\"%s\"} %llu\n", rows[i].name, k,
                            counters->by_package[r].name,
                            (unsigned long long)number(&counters->by_package[r], rows[i].offset));
        }
    }
}

static void
write_mailboxes(struct hd_str *out, const struct hd_host *host)
{
    family(out, "mailbox_depth", KIND_GAUGE, NULL, "mails that wait for the shard");
    for (unsigned k = 0; k < hd_host_shards(host); k++)
        shard_sample(out, "mailbox_depth", KIND_GAUGE, k, hd_host_mailbox(host, k));
}

/* --- HTTP ------------------------------------------------------------------------------ */

/* Of one thread, so without a label. */
static void
write_http(struct hd_str *out, struct hd_face *face)
{
#define API_ROW(field, words)                                                                      \
    { "http_" #field, words, NULL, offsetof(struct api_counters, field), KIND },
#define KIND KIND_COUNTER
    static const struct row rows[] = { API_COUNTERS(API_ROW) };
#undef KIND
#define KIND KIND_GAUGE
    static const struct row gauges[] = { API_GAUGES(API_ROW) };
#undef KIND
#undef API_ROW
    const struct api_counters *counters;

    if (!face)
        return;
    counters = api_counters(hd_face_api(face));
    for (size_t i = 0; i < HD_ARRAY_LEN(rows); i++)
        single(out, rows[i].name, rows[i].kind, NULL, rows[i].words,
               number(counters, rows[i].offset));
    for (size_t i = 0; i < HD_ARRAY_LEN(gauges); i++)
        single(out, gauges[i].name, gauges[i].kind, NULL, gauges[i].words,
               number(counters, gauges[i].offset));
}

/* --- the daemon ------------------------------------------------------------------------ */

/* How many rows a table of one shard may have; beside the gauge of that name it says how full. */
static void
write_caps(struct hd_str *out, const struct hd_daemon *daemon)
{
    const struct evt_limits *limits = &daemon->config->limits;
    const struct {
        const char *table;
        uint64_t most;
    } caps[] = { { "subscriptions", limits->subscriptions },
                 { "publications", limits->publications },
                 { "resources", limits->resources },
                 { "bindings", limits->bindings },
                 { "waiting", limits->waiting },
                 { "connections", daemon->conf->net.connections } };

    family(out, "table_limit", KIND_GAUGE, NULL, "rows that a table of one shard may have");
    for (size_t i = 0; i < HD_ARRAY_LEN(caps); i++)
        hd_str_addf(out, "herald_table_limit{table=\"%s\"} %llu\n", caps[i].table,
                    (unsigned long long)caps[i].most);
}

static void
write_daemon(struct hd_str *out, const struct hd_daemon *daemon)
{
    const struct pol_book *book = hd_state_book(daemon->state);
    uint64_t up_us = net_now_us() - daemon->started_us;

    /* A gauge: collectors of the older text format know no info. */
    family(out, "build_info", KIND_GAUGE, NULL, "1; the version that runs is its label");
    hd_str_addf(out, "herald_build_info{version=\"%s\"} 1\n", HERALD_VERSION);
    family(out, "uptime_seconds", KIND_GAUGE, "seconds", "time since the start");
    hd_str_addf(out, "herald_uptime_seconds %llu.%03u\n", (unsigned long long)(up_us / 1000000),
                (unsigned)(up_us / 1000 % 1000));
    single(out, "shards", KIND_GAUGE, NULL, "shards that run", hd_host_shards(daemon->host));
    single(out, "config_version", KIND_GAUGE, NULL,
           "changes of configuration, users and rules since the start", daemon->config->version);
    single(out, "users", KIND_GAUGE, NULL, "users who may log in", pol_book_user_count(book));
    single(out, "rules", KIND_GAUGE, NULL, "rules that say who may watch whom",
           pol_book_rule_count(book));
    write_caps(out, daemon);
}

/* --- the store ------------------------------------------------------------------------- */

static void
took(struct hd_str *out, const char *name, const char *help, uint64_t count, uint64_t us)
{
    family(out, name, KIND_SUMMARY, "seconds", help);
    hd_str_addf(out, "herald_%s_count %llu\n", name, (unsigned long long)count);
    hd_str_addf(out, "herald_%s_sum %llu.%06u\n", name, (unsigned long long)(us / 1000000),
                (unsigned)(us % 1000000));
}

/* A store in memory has no figures, but is as healthy as can be. */
static void
write_store(struct hd_str *out, struct hd_host *host)
{
    struct sto_status s;

    if (!hd_host_store(host, &s))
        return;
    single(out, "store_healthy", KIND_GAUGE, NULL, "1: what it is given is kept", s.healthy);
    took(out, "store_commit_seconds", "commits and the time they took", s.commits, s.commit_us_sum);
    single(out, "store_commits_failed", KIND_COUNTER, NULL, "commits that failed", s.failures);
    single(out, "store_records", KIND_COUNTER, NULL, "records that were written", s.records);
    single(out, "store_live_records", KIND_GAUGE, NULL, "records that live", s.live);
    single(out, "store_rows", KIND_GAUGE, NULL, "rows of the file, old ones among them", s.rows);
    single(out, "store_batches_waiting", KIND_GAUGE, NULL, "batches that wait for a commit",
           s.depth);
    single(out, "store_places_lost", KIND_COUNTER, NULL,
           "places of the live file that could not be read, at the start or since", s.lost);
    single(out, "audit_lost", KIND_COUNTER, NULL, "lines of the audit trail that could not be kept",
           s.audit_lost);
}

void
hd_metrics_write(const struct hd_daemon *daemon, struct hd_str *out)
{
    struct hd_host *host = daemon->host;

    HD_ASSERT_OBJ(daemon, HD_DAEMON_MAGIC);
    write_daemon(out, daemon);
    write_rows(out, host, core_rows, HD_ARRAY_LEN(core_rows), core_base);
    write_methods(out, host);
    write_answers(out, host);
    write_packages(out, host);
    write_mailboxes(out, host);
    write_store(out, host);
    write_rows(out, host, net_rows, HD_ARRAY_LEN(net_rows), net_base);
    write_rows(out, host, names_rows, HD_ARRAY_LEN(names_rows), names_base);
    write_http(out, daemon->face);
    hd_str_add_str(out, "# EOF\n");
}
