/* test_host.c - see test_host.h. */
#include "event/test_host.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Of cmocka, when it is there: the test fails and the next one runs. */
extern void _fail(const char *file, const int line) __attribute__((weak));

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            if (_fail)                                                                             \
                _fail(__FILE__, __LINE__);                                                         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#define ROUNDS_MAX 20000

/* Of a test whose allocator refuses: what the host itself takes is not meant. */
extern void test_alloc_pause(int by) __attribute__((weak));

static void
pause_refusals(int by)
{
    if (test_alloc_pause)
        test_alloc_pause(by);
}

/* --- packages -------------------------------------------------------------------------------- */

enum hd_err
host_text_validate(const struct evt_package *package, struct hd_slice type, struct hd_slice body,
                   const char **ret_reason)
{
    (void)package;
    (void)type;
    if (hd_slice_eq(body, HD_LIT("other")))
        return HD_ENOTSUP;
    if (!hd_slice_eq(body, HD_LIT("bad")))
        return HD_OK;
    *ret_reason = "Bad Body";
    return HD_ESYNTAX;
}

enum hd_err
host_text_compose(const struct evt_package *package, struct hd_slice entity,
                  const struct evt_published *published, size_t n, struct evt_doc **ret_doc)
{
    (void)package;
    (void)entity;
    HD_ASSERT(n > 0);
    if (hd_slice_eq(published[0].doc->body, HD_LIT("alone")))
        return HD_ESYNTAX;
    *ret_doc = evt_doc_ref(published[0].doc);
    return HD_OK;
}

enum hd_err
host_text_neutral(const struct evt_package *package, struct hd_slice entity,
                  struct evt_doc **ret_doc)
{
    (void)entity;
    *ret_doc = NULL;
    if (!package->neutral_body.n)
        return HD_OK;
    *ret_doc = evt_doc_new(HD_LIT("text/plain"), package->neutral_body);
    return *ret_doc ? HD_OK : HD_ENOMEM;
}

static const struct evt_package_ops text_ops = { .validate = host_text_validate,
                                                 .compose = host_text_compose,
                                                 .neutral = host_text_neutral };

/* The digit of a body such as "v0: text" is the subscription's to count. */
static bool
count_hole(const struct evt_package *package, const struct evt_doc *doc, struct hd_slice *ret_hole)
{
    (void)package;
    if (doc->body.n < 2 || doc->body.p[0] != 'v')
        return false;
    *ret_hole = hd_slice(doc->body.p + 1, 1);
    return true;
}

static const struct evt_package_ops count_ops = {
    .validate = host_text_validate,
    .compose = host_text_compose,
    .neutral = host_text_neutral,
    .hole = count_hole,
};

/* Who watches, a line "WHO status event" for each, and how many: in the order of their ids. */
uint64_t host_watcher_ids[4];

static enum hd_err
who_watches(const struct evt_package *package, struct hd_slice entity,
            const struct evt_watcher *watchers, size_t n, struct evt_doc **ret_doc)
{
    static const char *const status[] = { "", "pending", "active", "waiting", "terminated" };
    static const char *const event[] = { "",          "subscribe", "approved", "deactivated",
                                         "probation", "rejected",  "timeout",  "giveup",
                                         "noresource" };
    char text[4096];
    size_t at = 0;

    (void)entity;
    CHECK(package->watched);
    for (size_t i = 0; i < n; i++) {
        if (i < HD_ARRAY_LEN(host_watcher_ids))
            host_watcher_ids[i] = watchers[i].id;
        struct hd_slice who = hd_slice_from(watchers[i].uri, 4);
        who.n = hd_slice_find(who, '@');
        if (i < 20)
            at += (size_t)snprintf(text + at, sizeof(text) - at, "%.*s %s %s\n", HD_FMT(who),
                                   status[watchers[i].status], event[watchers[i].event]);
    }
    at += (size_t)snprintf(text + at, sizeof(text) - at, "%zu", n);
    *ret_doc = evt_doc_new(HD_LIT("text/plain"), hd_slice(text, at));
    return *ret_doc ? HD_OK : HD_ENOMEM;
}

static const struct evt_package_ops winfo_ops = {
    .validate = host_text_validate,
    .compose = host_text_compose,
    .neutral = host_text_neutral,
    .watchers = who_watches,
};

static const struct hd_slice text_types[] = { { "text/plain", 10 }, { "text/html", 9 } };

#define PACKAGE_OPS(text, own, ...)                                                                \
    {                                                                                              \
        .magic = EVT_PACKAGE_MAGIC, .name = { text, sizeof(text) - 1 }, .ops = &own,               \
        .types = text_types, .n_types = 2, .min_expires_s = 60, .default_expires_s = 3600,         \
        .max_expires_s = 86400, .authorisation = EVT_AUTHORISE_ALLOW, __VA_ARGS__                  \
    }
#define PACKAGE(text, ...) PACKAGE_OPS(text, text_ops, __VA_ARGS__)
static const struct evt_package packages[4];
static const struct evt_package winfo =
    PACKAGE_OPS("x-state.winfo", winfo_ops, .watched = &packages[0], .keeper = &evt_watch_keeper,
                .closed = true);
static const struct evt_package packages[4] = {
    PACKAGE("x-state", .neutral_body = { "(none)", 6 }, .winfo = &winfo),
    PACKAGE("x-every", .delivery = EVT_DELIVER_EVERY, .queue_max = 3),
    PACKAGE("x-paced", .pace_ms = 5000),
    PACKAGE_OPS("x-count", count_ops, .neutral_body = { "v0: none", 8 }),
};
static const struct evt_package *const package_list[] = { &packages[0], &packages[1], &packages[2],
                                                          &packages[3] };
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
    config->packages = package_list;
    config->n_packages = HD_ARRAY_LEN(package_list);
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

/* --- ports ----------------------------------------------------------------------------------- */

static char *
net_reserve(void *net, size_t size)
{
    struct host_seat *seat = net;

    if (seat->host->reserve_fails || size > sizeof(seat->buffer))
        return NULL;
    return seat->buffer;
}

static void
net_commit(void *net, const struct hd_flow *flow, size_t n, uint64_t owner)
{
    struct host_seat *seat = net;
    struct host *host = seat->host;
    struct host_sent *sent;
    struct sip_fault fault;

    pause_refusals(1);
    sent = calloc(1, sizeof(*sent) + n);
    pause_refusals(-1);
    CHECK(sent && n <= sizeof(seat->buffer));
    memcpy(sent->octets, seat->buffer, n);
    sent->shard = seat->index;
    sent->at_ms = host->now_ms;
    sent->owner = owner;
    sent->flow = *flow;
    sent->text = hd_slice(sent->octets, n);
    hd_arena_init(&sent->arena, sent->memory, sizeof(sent->memory));
    /* What we send can be read by anybody, also as a stream; but who sent us a Via that nobody can
     * read, or wrote another version of it, gets it back as it was. */
    enum hd_err err = sip_msg_parse(sent->text, true, &sent->arena, &sent->msg, &fault);
    if (err && sent->msg.status != 400 && sent->msg.status != 505)
        fprintf(stderr, "%.*s\n%s\n", HD_FMT(sent->text), fault.reason);
    CHECK(!err || sent->msg.status == 400 || sent->msg.status == 505);
    memset(seat->buffer, '#', n); /* nobody may rely on it */
    host->commits++;
    *host->sent_end = sent;
    host->sent_end = &sent->next;
}

static const struct evt_net_ops net_ops = { .reserve = net_reserve, .commit = net_commit };

static enum hd_err
store_put(void *store, unsigned shard, unsigned bucket, enum evt_record_kind kind, uint64_t id,
          struct hd_slice record, uint64_t ticket)
{
    struct host *host = store;

    if (host->store == HOST_STORE_REFUSES)
        return HD_ESTORE;
    pause_refusals(1);
    struct host_put *put = calloc(1, sizeof(*put) + record.n);
    struct host_put *copy = malloc(sizeof(*copy) + record.n);
    pause_refusals(-1);
    CHECK(put && (kind == EVT_RECORD_SEEN || kind == EVT_RECORD_CONDITION ||
                  hd_bucket_shard(bucket, host->n) == shard));
    *put = (struct host_put){ .shard = shard,
                              .bucket = bucket,
                              .kind = kind,
                              .id = id,
                              .ticket = ticket,
                              .at_ms = host->now_ms };
    if (record.n)
        memcpy(put->octets, record.p, record.n);
    put->record = hd_slice(put->octets, record.n);
    CHECK(copy);
    memcpy(copy, put, sizeof(*copy) + record.n);
    copy->record.p = copy->octets;
    put->copy = copy;
    copy->next = host->kept;
    host->kept = copy;
    host->n_puts++;
    *host->puts_end = put;
    host->puts_end = &put->next;
    return HD_OK;
}

static const struct evt_store_ops store_ops = { store_put };

void
host_put_kept(struct host *host, const struct host_put *put)
{
    const uint64_t late_ms = host->now_ms - put->at_ms;

    put->copy->stored = true;
    if (late_ms > host->late_ms)
        host->late_ms = late_ms;
}

void
host_store_release(struct host *host, unsigned n, enum hd_err err)
{
    for (; n > 0 && host->puts; n--) {
        struct host_put *put = host->puts;
        const struct evt_outcome outcome = { .ticket = put->ticket, .err = err };
        host->puts = put->next;
        if (!host->puts)
            host->puts_end = &host->puts;
        if (err)
            host->lost = true;
        else
            host_put_kept(host, put);
        while (evt_stored_post(host->seats[put->shard].shard, &outcome, 1))
            ; /* memory is short for a moment */
        free(put);
    }
}

const struct host_put *
host_record(const struct host *host, enum evt_record_kind kind)
{
    const struct host_put *put = host->kept;

    while (put && put->kind != kind)
        put = put->next;
    return put;
}

static enum evt_auth
policy_authenticate(void *policy, const struct evt_config *config, const struct sip_msg *request,
                    const struct hd_flow *flow, struct hd_slice peer, uint64_t now_us,
                    struct evt_auth_result *ret)
{
    struct host *host = ((struct host_seat *)policy)->host;
    struct hd_slice value = sip_msg_value(request, SIP_HDR_AUTHORIZATION), uri = request->from.uri;

    (void)config;
    (void)flow;
    (void)peer;
    (void)now_us;
    if (host->needs_digest && !value.p)
        return EVT_AUTH_CHALLENGE;
    if (uri.n > 255) {
        ret->reason = "From Too Long";
        return EVT_AUTH_BAD;
    }
    if (uri.n)
        memcpy(ret->identity.key, uri.p, uri.n);
    ret->identity.key_len = (uint8_t)uri.n;
    ret->identity.authenticated = !host->anonymous;
    ret->identity.proven = !host->unproven;
    if (host->counts && value.p) {
        ret->has_count = true;
        ret->nonce_id = host->nonce_id;
        if (hd_slice_to_u32(value, &ret->nc))
            return EVT_AUTH_WRONG;
    }
    return EVT_AUTH_OK;
}

static bool
policy_count(void *policy, uint64_t nonce_id, uint32_t nc, uint64_t now_us)
{
    struct host_seat *seat = policy;
    struct host *host = seat->host;

    (void)now_us;
    CHECK(hd_bucket_shard(hd_id_bucket(nonce_id), host->n) == seat->index);
    for (unsigned i = 0; i < host->n_counts; i++)
        if (host->seen_counts[i] == nc)
            return false;
    if (host->n_counts < HD_ARRAY_LEN(host->seen_counts))
        host->seen_counts[host->n_counts++] = nc;
    return true;
}

static void
policy_challenge(void *policy, const struct evt_config *config, const struct sip_msg *request,
                 const struct hd_flow *flow, uint64_t now_us, bool stale, struct sip_out *out)
{
    (void)policy;
    (void)config;
    (void)request;
    (void)flow;
    (void)now_us;
    sip_out_lit(out, "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"");
    if (stale)
        sip_out_lit(out, ", stale=true");
    sip_out_crlf(out);
}

static struct evt_verdict
judge(const struct host *host, const struct evt_identity *who, struct hd_slice resource)
{
    struct hd_slice user = hd_slice(who->key, who->key_len);

    for (unsigned i = 0; i < host->n_rules; i++) {
        const struct host_rule *rule = &host->rules[i];
        if ((!rule->user || hd_slice_eq(user, hd_slice_str(rule->user))) &&
            (!rule->resource || hd_slice_eq(resource, hd_slice_str(rule->resource))))
            return (struct evt_verdict){ .decision = rule->decision, .rule = i + 1 };
    }
    return (struct evt_verdict){ .decision = EVT_ALLOW };
}

static struct evt_verdict
policy_subscribe(void *policy, const struct evt_config *config, const struct evt_identity *watcher,
                 struct hd_slice resource, const struct evt_package *package)
{
    struct host *host = ((struct host_seat *)policy)->host;

    (void)config;
    (void)package;
    host->asked++;
    return judge(host, watcher, resource);
}

static struct evt_verdict
policy_publish(void *policy, const struct evt_config *config, const struct evt_identity *publisher,
               struct hd_slice resource, const struct evt_package *package)
{
    (void)config;
    (void)package;
    return judge(((struct host_seat *)policy)->host, publisher, resource);
}

static bool
policy_priority(void *policy, const struct evt_config *config, const struct evt_identity *user,
                const struct hd_flow *flow, struct hd_slice peer, const struct evt_priority *of)
{
    (void)policy;
    (void)peer;
    if (of->trusted && evt_listener_trusts(config, flow))
        return true;
    for (size_t i = 0; i < of->n_users; i++)
        if (user->authenticated && hd_slice_eq(of->users[i], hd_slice(user->key, user->key_len)))
            return true;
    return false;
}

static struct evt_verdict
policy_registration(void *policy, const struct evt_config *config, const struct evt_identity *user,
                    struct hd_slice resource)
{
    (void)config;
    return judge(((struct host_seat *)policy)->host, user, resource);
}

/* What stands behind the first blank of a document goes. */
static enum hd_err
policy_transform(void *policy, const struct evt_config *config, const struct evt_package *package,
                 uint8_t transform, struct evt_doc *doc, struct evt_doc **ret_doc)
{
    struct host *host = ((struct host_seat *)policy)->host;
    (void)config;
    (void)package;
    (void)transform;
    host->transforms++;
    *ret_doc = evt_doc_new(doc->type, hd_slice(doc->body.p, hd_slice_find(doc->body, ' ')));
    return *ret_doc ? HD_OK : HD_ENOMEM;
}

static const struct evt_policy_ops policy_ops = {
    .authenticate = policy_authenticate,
    .count = policy_count,
    .challenge = policy_challenge,
    .subscribe = policy_subscribe,
    .publish = policy_publish,
    .priority = policy_priority,
    .registration = policy_registration,
    .transform = policy_transform,
};

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
            .ports = { .net = &net_ops,
                       .net_context = seat,
                       .store = &store_ops,
                       .store_context = host,
                       .policy = &policy_ops,
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
    if (host->settled++ % (1 + host_subs(host) / 200) == 0)
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

/* --- sources --------------------------------------------------------------------------------- */

struct hd_flow
host_flow(uint16_t port)
{
    return (struct hd_flow){ .transport = HD_UDP,
                             .local = { .ip = { 192, 0, 2, 1 }, .port = 5060, .family = 4 },
                             .remote = { .ip = { 198, 51, 100, 9 }, .port = port, .family = 4 } };
}

static unsigned
steered(const struct host *host, const struct hd_flow *flow)
{
    if (flow->conn)
        return hd_conn_shard(flow->conn);
    return hd_bucket_shard(hd_addr_bucket(&flow->remote), host->n);
}

uint16_t
host_port_of(const struct host *host, unsigned shard)
{
    for (uint16_t port = 6000;; port++) {
        const struct hd_flow flow = host_flow(port);
        if (steered(host, &flow) == shard)
            return port;
    }
}

unsigned
host_home(struct host *host, const char *key)
{
    return evt_home(host->seats[0].shard, hd_slice_str(key));
}

void
host_receive_on(struct host *host, unsigned shard, const struct hd_flow *flow, struct hd_slice text)
{
    /* An exact copy on the heap: a read behind its end, or after the call, is seen. */
    char *copy;

    pause_refusals(1);
    copy = malloc(text.n ? text.n : 1);
    pause_refusals(-1);
    CHECK(copy);
    if (text.n)
        memcpy(copy, text.p, text.n);
    evt_shard_receive(host->seats[shard].shard, flow, hd_slice(copy, text.n), host->now_ms * 1000);
    free(copy);
}

void
host_receive(struct host *host, const struct hd_flow *flow, struct hd_slice text)
{
    host_receive_on(host, steered(host, flow), flow, text);
}

/* --- requests -------------------------------------------------------------------------------- */

struct text {
    char *p;
    size_t n, cap;
};

static void HD_PRINTF(2, 3) add(struct text *text, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    const int n = vsnprintf(text->p + text->n, text->cap - text->n, format, args);
    va_end(args);
    CHECK(n >= 0 && (size_t)n < text->cap - text->n);
    text->n += (size_t)n;
}

static const char *
or_else(const char *value, const char *otherwise)
{
    return value ? value : otherwise;
}

size_t
host_write(const struct host_request *r, char *p, size_t cap)
{
    struct text text = { p, 0, cap };
    const char *method = or_else(r->method, "SUBSCRIBE");
    const char *uri = or_else(r->uri, "sip:bob@example.test"), *call_id = or_else(r->call_id, "c1");
    const char *transport = r->transport == HD_TCP ? "TCP" : "UDP";
    const uint16_t port = r->port ? r->port : 5062;
    const uint32_t cseq = r->cseq ? r->cseq : 1;
    const bool has_event = strcmp(method, "SUBSCRIBE") == 0 || strcmp(method, "PUBLISH") == 0;

    add(&text, "%s %s SIP/2.0\r\n", method, uri);
    add(&text, "Via: SIP/2.0/%s 198.51.100.9:%u;rport;branch=z9hG4bK", transport, port);
    if (r->branch)
        add(&text, "%s\r\n", r->branch);
    else
        add(&text, "%s-%s-%u\r\n", method, call_id, cseq);
    add(&text, "Max-Forwards: 70\r\nFrom: <sip:%s@example.test>;tag=f1\r\n",
        or_else(r->from, "alice"));
    add(&text, "To: <%s>", or_else(r->to_uri, uri));
    if (r->to_tag)
        add(&text, ";tag=%s", r->to_tag);
    add(&text, "\r\nCall-ID: %s\r\nCSeq: %u %s\r\n", call_id, cseq, method);
    if (has_event && (!r->event || *r->event))
        add(&text, "Event: %s\r\n", or_else(r->event, "x-state"));
    if (r->expires >= 0)
        add(&text, "Expires: %llu\r\n", (unsigned long long)r->expires);
    if (r->contact ? *r->contact : strcmp(method, "PUBLISH") != 0)
        add(&text, "Contact: %s\r\n", r->contact ? r->contact : "");
    if (!r->contact && strcmp(method, "PUBLISH") != 0) {
        text.n -= 2;
        add(&text, "<sip:%s@198.51.100.9:%u%s>\r\n", or_else(r->from, "alice"), port,
            r->transport == HD_TCP ? ";transport=tcp" : "");
    }
    add(&text, "%s", or_else(r->headers, ""));
    if (r->body)
        add(&text, "Content-Type: %s\r\n", or_else(r->type, "text/plain"));
    add(&text, "Content-Length: %zu\r\n\r\n%s", r->body ? strlen(r->body) : 0,
        or_else(r->body, ""));
    return text.n;
}

void
host_request(struct host *host, const struct host_request *request)
{
    pause_refusals(1);
    char *text = malloc(HOST_TEXT);
    pause_refusals(-1);
    struct hd_flow flow = host_flow(request->port ? request->port : 5062);

    CHECK(text);
    if (request->transport == HD_TCP) {
        flow.transport = HD_TCP;
        flow.listener = 1;
        flow.conn = request->conn;
    }
    host_receive(host, &flow, hd_slice(text, host_write(request, text, HOST_TEXT)));
    free(text);
    host_settle(host);
}

void
host_answer_only(struct host *host, const struct host_sent *notify, unsigned status,
                 const char *extra)
{
    char text[HOST_TEXT / 4];
    struct sip_out out;
    size_t n;

    CHECK(notify && notify->msg.request);
    sip_out_init(&out, text, sizeof(text));
    sip_reply_begin(&out, &notify->msg, status, HD_LIT("Whatever"), HD_LIT("f1"),
                    &notify->flow.local);
    sip_out_slice(&out, hd_slice_str(or_else(extra, "")));
    sip_reply_end(&out);
    CHECK(sip_out_finish(&out, &n) == HD_OK);
    host_receive(host, &notify->flow, hd_slice(text, n));
}

void
host_answer(struct host *host, const struct host_sent *notify, unsigned status, const char *extra)
{
    host_answer_only(host, notify, status, extra);
    host_settle(host);
}

/* --- what was sent --------------------------------------------------------------------------- */

struct host_sent *
host_take(struct host *host)
{
    static struct host_sent *last; /* kept until the next take */
    struct host_sent *sent = host->sent;

    free(last);
    last = sent;
    if (!sent)
        return NULL;
    host->sent = sent->next;
    if (!host->sent)
        host->sent_end = &host->sent;
    return sent;
}

static void
show(const char *wanted, const struct host_sent *sent)
{
    fprintf(stderr, "wanted %s, sent was: %.*s\n", wanted, sent ? (int)sent->text.n : 7,
            sent ? sent->text.p : "nothing");
}

struct host_sent *
host_take_status(struct host *host, unsigned status)
{
    struct host_sent *sent = host_take(host);

    if (!sent || sent->msg.request || sent->msg.status != status)
        show("a response", sent);
    CHECK(sent && !sent->msg.request && sent->msg.status == status);
    return sent;
}

struct host_sent *
host_take_notify(struct host *host)
{
    struct host_sent *sent = host_take(host);

    if (!sent || !sent->msg.request)
        show("a NOTIFY", sent);
    CHECK(sent && sent->msg.request && sent->msg.method == SIP_NOTIFY);
    return sent;
}

void
host_take_nothing(struct host *host)
{
    if (host->sent)
        show("nothing", host->sent);
    CHECK(!host->sent);
}

unsigned
host_count(const struct host *host)
{
    unsigned n = 0;

    for (const struct host_sent *sent = host->sent; sent; sent = sent->next)
        n++;
    return n;
}

void
host_drop(struct host *host)
{
    while (host_take(host))
        ;
}

struct hd_slice
host_value(const struct host_sent *sent, enum sip_hdr id)
{
    return sip_msg_value(&sent->msg, id);
}

bool
host_has(const struct host_sent *sent, const char *text)
{
    const size_t n = strlen(text);

    for (size_t i = 0; i + n <= sent->text.n; i++)
        if (memcmp(sent->text.p + i, text, n) == 0)
            return true;
    return false;
}

/* --- whole exchanges ------------------------------------------------------------------------- */

void
host_subscribe(struct host *host, const struct host_request *request, char ret_tag[HD_ID_TEXT + 1])
{
    struct host_sent *sent;

    host_request(host, request);
    sent = host_take_status(host, 200);
    CHECK(sent->msg.to_tag.n == HD_ID_TEXT);
    memcpy(ret_tag, sent->msg.to_tag.p, HD_ID_TEXT);
    ret_tag[HD_ID_TEXT] = '\0';
    host_answer(host, host_take_notify(host), 200, NULL);
}

void
host_publish(struct host *host, const char *uri, const char *event, const char *etag,
             const char *body, char ret_etag[HD_ID_TEXT + 1])
{
    static unsigned serial;
    char headers[128], call_id[32];
    struct host_sent *sent;

    (void)snprintf(call_id, sizeof(call_id), "p%u", ++serial);
    (void)snprintf(headers, sizeof(headers), etag ? "SIP-If-Match: %s\r\n" : "%s",
                   etag ? etag : "");
    host_request(host, &(struct host_request){ .method = "PUBLISH",
                                               .uri = uri,
                                               .event = event,
                                               .expires = 600,
                                               .headers = headers,
                                               .body = body,
                                               .call_id = call_id });
    /* NOTIFYs of the new state may be before it or behind it; the answer is searched. */
    struct host_sent **link = &host->sent;
    while (*link && ((*link)->msg.request || (*link)->msg.cseq.method != SIP_PUBLISH))
        link = &(*link)->next;
    sent = *link;
    if (!sent || sent->msg.status != 200)
        show("200 to PUBLISH", sent);
    CHECK(sent && sent->msg.status == 200);
    *link = sent->next;
    if (!*link)
        host->sent_end = link;
    if (ret_etag) {
        struct hd_slice tag = host_value(sent, SIP_HDR_SIP_ETAG);
        CHECK(tag.n == HD_ID_TEXT);
        memcpy(ret_etag, tag.p, HD_ID_TEXT);
        ret_etag[HD_ID_TEXT] = '\0';
    }
    free(sent);
}

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
