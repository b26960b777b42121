/* host.c - one thread per shard, and the lines between net/, the core, the store and policy.
 *
 * A shard's thread runs the loop of net/; its callbacks hand packets to the core.  The order in a
 * turn gives "read your writes" and answers in the turn of their request: mails first, then
 * packets, then what was put is handed to the store (one in memory tells the outcomes at once),
 * then timers and fan-out, then the loop flushes what was committed for sending. Invariants: a
 * shard says that it sleeps only as the last thing of a turn, and that it is awake as the first;
 * the core is called on its shard's thread alone; sweeps in flight are counted and finished on the
 * main thread, also when the shards stop. */
#include "heraldd/host.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "base/arena.h"
#include "filter/filters.h"
#include "heraldd/live.h"
#include "http/api.h"
#include "names/names.h"
#include "policy/policy.h"
#include "sip/msg.h"
#include "sip/reply.h"

#define HOST_MAGIC 0x484f5354u

struct seat {
    struct hd_host *host;
    unsigned index;
    struct net_shard *net;
    struct evt_shard *evt;
    struct pol_shard *policy;
    struct nam_resolver *names;
    struct flt_filters *filters;
    pthread_t thread;
    bool runs;
};

struct hd_host {
    unsigned magic;
    unsigned shards;
    struct evt_keys keys;
    uint32_t epoch;
    struct hd_conf *conf; /* of the start: net/ uses its strings */
    struct hd_live *live;
    struct hd_conf_names names;
    struct api *face;
    struct hd_mailbox answers; /* sweeps that are done */
    size_t n_sweeps;           /* and copies that are not finished */
    bool stopped;
    struct seat seats[];
};

/* What comes to the main thread. */
enum answer { ANSWER_SWEEP = 0, ANSWER_COPY };

struct copy {
    struct hd_mail mail;
    struct hd_host *host;
    void (*done)(void *context, enum hd_err err);
    void *context;
    enum hd_err err;
};

struct sweep {
    struct hd_mail mail; /* to the main thread */
    const struct hd_sweep_ops *ops;
    void *context;
    struct hd_host *host;
    _Atomic unsigned missing; /* shards that have not run it */
    struct evt_call calls[];
};

unsigned
hd_host_auto_shards(unsigned cores)
{
    unsigned shards = cores <= 2 ? 1 : cores <= 8 ? cores - 1 : cores - 2;

    return shards < EVT_MAX_SHARDS ? shards : EVT_MAX_SHARDS;
}

/* There is no going on without entropy. */
static void
fill_entropy(void *context, void *octets, size_t n)
{
    char *p = octets;

    (void)context;
    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);

        if (got < 0 && errno == EINTR)
            continue;
        HD_ASSERT(got > 0);
        p += got;
        n -= (size_t)got;
    }
}

/* A machine that started without a clock counts from 1970 on: nobody is told that. */
static uint64_t
wall_s(void *context)
{
    const time_t year_2020 = 1577836800, year_10000 = 253402300800;
    const time_t now = time(NULL);

    (void)context;
    return now > year_2020 && now < year_10000 ? (uint64_t)now : 0;
}

/* --- from net/ to the core ------------------------------------------------------------- */

static void
on_batch(void *context)
{
    struct seat *seat = context;

    hd_mailbox_awake(evt_shard_mailbox(seat->evt));
    evt_shard_drain(seat->evt, net_now_us());
}

static void
on_packet(void *context, const struct hd_flow *flow, struct hd_slice octets)
{
    struct seat *seat = context;

    evt_shard_receive(seat->evt, flow, octets, net_now_us());
}

static uint64_t
on_turn(void *context, uint64_t now_us)
{
    struct seat *seat = context;
    struct hd_mailbox *box = evt_shard_mailbox(seat->evt);
    uint64_t wait_ms;

    hd_mailbox_awake(box);
    evt_shard_drain(seat->evt, now_us);
    if (hd_live_flush(seat->host->live, seat->index))
        evt_shard_drain(seat->evt, now_us);
    wait_ms = evt_shard_turn(seat->evt, now_us);
    if (hd_live_is_kept(seat->host->live)) /* what the turn itself has put */
        (void)hd_live_flush(seat->host->live, seat->index);
    if (hd_live_pending(seat->host->live, seat->index) || wait_ms == 0)
        return 0;
    return hd_mailbox_sleep(box) ? wait_ms : 0;
}

static void
on_send_failed(void *context, uint64_t owner, const struct hd_flow *flow, enum hd_err err)
{
    struct seat *seat = context;

    (void)err;
    if (seat->evt) /* not while the sockets close at the end */
        evt_shard_send_failed(seat->evt, owner, flow, net_now_us());
}

static void
on_closed(void *context, uint64_t conn)
{
    struct seat *seat = context;

    if (seat->evt)
        evt_shard_closed(seat->evt, conn, net_now_us());
}

/* --- names --------------------------------------------------------------------------- */

static enum hd_err
dns_query(void *context, const char *name, enum nam_type type, uint64_t ticket)
{
    return net_dns_query(context, name, (unsigned)type, ticket);
}

static const struct nam_dns_ops dns_port = { .query = dns_query };

static void
on_dns(void *context, uint64_t ticket, struct hd_slice octets)
{
    struct seat *seat = context;

    if (seat->names)
        nam_answered(seat->names, ticket, octets, net_now_us() / 1000);
}

static void
on_named(void *context, uint64_t ticket, const struct evt_targets *targets)
{
    struct seat *seat = context;

    if (seat->evt)
        evt_shard_named(seat->evt, ticket, targets, net_now_us());
}

static bool
on_in_use(void *context, uint64_t conn)
{
    const struct seat *seat = context;

    return seat->evt && evt_shard_conn_in_use(seat->evt, conn);
}

static enum net_frame
on_frame(struct hd_slice stream, size_t max_body, size_t *ret_len)
{
    switch (sip_frame_find(stream, max_body, ret_len)) {
    case SIP_FRAME_MORE:
        return NET_FRAME_MORE;
    case SIP_FRAME_MESSAGE:
        return NET_FRAME_MESSAGE;
    case SIP_FRAME_PING:
        return NET_FRAME_PING;
    case SIP_FRAME_SKIP:
        return NET_FRAME_SKIP;
    case SIP_FRAME_TOO_LARGE:
        return NET_FRAME_TOO_LARGE;
    case SIP_FRAME_BAD:
        return NET_FRAME_BAD;
    }
    return NET_FRAME_BAD;
}

/* A message on a stream that will not be read, since its body is above the limit: 413, from its
 * head alone, so without any state (RFC 3261 section 21.4.11); net/ closes the connection behind
 * it. */
static void
on_too_large(void *context, const struct hd_flow *flow, struct hd_slice head)
{
    struct seat *seat = context;
    uint8_t memory[8192], tag[16];
    char text[2 * sizeof(tag)], *buffer;
    struct hd_arena arena;
    struct sip_msg msg;
    struct sip_fault fault;
    struct sip_out out, tag_out;
    enum hd_err err;
    size_t n;

    hd_arena_init(&arena, memory, sizeof(memory));
    err = sip_msg_parse(head, false, &arena, &msg, &fault);
    if (err == HD_ENOSPC || (err && !fault.answerable) || !msg.request || msg.method == SIP_ACK)
        return;
    hd_hash128(&seat->host->keys.id, head, tag);
    sip_out_init(&tag_out, text, sizeof(text));
    sip_out_hex(&tag_out, tag, sizeof(tag));
    buffer = net_reserve(seat->net, head.n + 512);
    if (!buffer)
        return;
    sip_out_init(&out, buffer, head.n + 512);
    sip_reply_begin(&out, &msg, 413, HD_LIT("Request Entity Too Large"),
                    hd_slice(text, sizeof(text)), &flow->remote);
    sip_reply_end(&out);
    if (sip_out_finish(&out, &n) == HD_OK)
        net_commit(seat->net, flow, n, 0);
}

/* --- from the core to net -------------------------------------------------------------- */

static char *
net_port_reserve(void *context, size_t size)
{
    return net_reserve(context, size);
}

static void
net_port_commit(void *context, const struct hd_flow *flow, size_t n, uint64_t owner)
{
    net_commit(context, flow, n, owner);
}

static struct hd_slice
net_port_peer(void *context, uint64_t conn)
{
    return net_peer(context, conn);
}

static uint32_t
net_port_host(void *context, struct hd_slice name)
{
    return net_host(context, name);
}

static void
net_port_host_done(void *context, uint32_t host)
{
    net_host_done(context, host);
}

static const struct evt_net_ops net_port = { .reserve = net_port_reserve,
                                             .commit = net_port_commit,
                                             .peer = net_port_peer,
                                             .host = net_port_host,
                                             .host_done = net_port_host_done };

/* --- opening --------------------------------------------------------------------------- */

static enum hd_err
open_seat(struct hd_host *host, unsigned index, const struct hd_host_params *from,
          char problem[256])
{
    const struct hd_conf *conf = from->conf;
    struct net_listener listeners[HD_CONF_LISTENERS];
    struct seat *seat = &host->seats[index];
    struct net_params params = {
        .shard = index,
        .shards = host->shards,
        .listeners = listeners,
        .n_listeners = conf->n_listeners,
        .max_body = conf->limits.max_body,
        .max_connections = conf->net.connections,
        .idle_ms = conf->net.idle_ms,
        .message_ms = conf->net.message_ms,
        .connect_ms = conf->net.connect_ms,
        .handshake_ms = conf->net.handshake_ms,
        .tls = from->tls,
        .max_queued = conf->net.queue,
        .receive_buffer = (int)conf->net.receive_buffer,
        .on = { .context = seat,
                .batch = on_batch,
                .packet = on_packet,
                .turn = on_turn,
                .send_failed = on_send_failed,
                .closed = on_closed,
                .frame = on_frame,
                .in_use = on_in_use,
                .too_large = on_too_large,
                .dns = on_dns },
        .dns = { .servers = conf->names.servers,
                 .n_servers = conf->names.n_servers,
                 .timeout_ms = conf->names.timeout_ms,
                 .attempts = conf->names.attempts },
    };

    HD_ASSERT(conf->n_listeners <= HD_CONF_LISTENERS);
    seat->host = host;
    seat->index = index;
    for (size_t i = 0; i < conf->n_listeners; i++)
        listeners[i] = (struct net_listener){
            .transport = conf->listeners[i].transport,
            .addr = index == 0 ? conf->listeners[i].addr : net_shard_bound(host->seats[0].net, i),
            .origins = conf->secure[i].origins,
            .n_origins = conf->secure[i].n_origins,
        };
    return net_shard_new(&params, problem, &seat->net);
}

enum hd_err
hd_host_new(const struct hd_host_params *params, char ret_problem[256], struct hd_host **ret_host)
{
    struct hd_host *host = calloc(1, sizeof(*host) + params->shards * sizeof(host->seats[0]));
    enum hd_err err;

    HD_ASSERT(params->shards > 0 && params->shards <= EVT_MAX_SHARDS);
    ret_problem[0] = '\0';
    if (!host)
        return HD_ENOMEM;
    host->magic = HOST_MAGIC;
    host->shards = params->shards;
    host->conf = hd_conf_ref(params->conf);
    host->keys = params->keys;
    host->epoch = params->epoch;
    host->names = params->conf->names;
    host->face = params->face;
    hd_mailbox_init(&host->answers, params->wake, params->wake_context);
    (void)hd_mailbox_sleep(&host->answers);
    err = hd_live_open(&(struct hd_live_params){ .folder = params->folder,
                                                 .durability = params->conf->durability,
                                                 .spacing_us = params->conf->commit_spacing_us,
                                                 .shards = params->shards,
                                                 .audit = params->conf->audit,
                                                 .audit_keep_s = params->conf->audit_keep_s,
                                                 .audit_most = params->conf->audit_most },
                       ret_problem, &host->live);
    for (unsigned i = 0; i < host->shards && !err; i++)
        err = open_seat(host, i, params, ret_problem);
    if (err) {
        hd_host_free(host);
        return err;
    }
    *ret_host = host;
    return HD_OK;
}

struct hd_addr
hd_host_bound(const struct hd_host *host, size_t i)
{
    return net_shard_bound(host->seats[0].net, i);
}

/* --- threads --------------------------------------------------------------------------- */

static enum hd_err
make_shard(struct seat *seat, struct evt_config *config)
{
    struct hd_host *host = seat->host;
    enum hd_err err;

    seat->policy = pol_shard_new(&(struct pol_shard_params){ .index = seat->index,
                                                             .shards = host->shards,
                                                             .id_key = host->keys.id,
                                                             .table_key = host->keys.table,
                                                             .epoch = host->epoch,
                                                             .entropy = fill_entropy });
    seat->names = nam_new(&(struct nam_params){ .dns = &dns_port,
                                                .dns_context = seat->net,
                                                .key = host->keys.table,
                                                .entropy = fill_entropy,
                                                .cache_max = host->names.cache,
                                                .questions_max = host->names.questions,
                                                .answer = on_named,
                                                .context = seat });
    seat->filters = flt_filters_new();
    if (!seat->policy || !seat->names || !seat->filters)
        return HD_ENOMEM;
    err = evt_shard_new(
        &(struct evt_shard_params){ .index = seat->index,
                                    .count = host->shards,
                                    .start = hd_live_start_number(host->live),
                                    .keys = host->keys,
                                    .config = config,
                                    .ports = { .net = &net_port,
                                               .net_context = seat->net,
                                               .store = hd_live_ops(host->live),
                                               .store_context = hd_live_context(host->live),
                                               .audit = hd_live_audit_ops(host->live),
                                               .audit_context = hd_live_context(host->live),
                                               .policy = &pol_ops,
                                               .policy_context = seat->policy,
                                               .names = &nam_ops,
                                               .names_context = seat->names,
                                               .filter = flt_filter_ops(),
                                               .filter_context = seat->filters,
                                               .face = host->face ? &api_face_ops : NULL,
                                               .face_context = host->face,
                                               .wall_s = wall_s },
                                    .entropy = fill_entropy,
                                    .now_us = net_now_us(),
                                    .wake = net_shard_wake,
                                    .wake_context = seat->net },
        &seat->evt);
    if (!err)
        hd_live_attach(host->live, seat->index, seat->evt);
    return err;
}

static void *
run_seat(void *context)
{
    struct seat *seat = context;
    char name[16];

    (void)snprintf(name, sizeof(name), "shard-%u", seat->index);
    (void)pthread_setname_np(pthread_self(), name);
    net_shard_run(seat->net);
    return NULL;
}

/* Signals are the main thread's. */
static enum hd_err
start_threads(struct hd_host *host)
{
    sigset_t all, before;
    enum hd_err err = HD_OK;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    for (unsigned i = 0; i < host->shards && !err; i++) {
        struct seat *seat = &host->seats[i];

        if (pthread_create(&seat->thread, NULL, run_seat, seat) == 0)
            seat->runs = true;
        else
            err = HD_EIO;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err;
}

enum hd_err
hd_host_start(struct hd_host *host, struct evt_config *config, char ret_problem[256])
{
    struct evt_shard *peers[EVT_MAX_SHARDS];
    enum hd_err err = HD_OK;

    HD_ASSERT_OBJ(host, HOST_MAGIC);
    ret_problem[0] = '\0';
    for (unsigned i = 0; i < host->shards && !err; i++) {
        err = make_shard(&host->seats[i], config);
        peers[i] = host->seats[i].evt;
    }
    if (err)
        return err;
    for (unsigned i = 0; i < host->shards; i++)
        evt_shard_connect(peers[i], peers);
    err = hd_live_restore(host->live, net_now_us(), ret_problem);
    if (!err)
        err = hd_live_start(host->live);
    return err ? err : start_threads(host);
}

/* The core's shards go here too: freeing them gives back the sweeps that they have not run. */
void
hd_host_stop(struct hd_host *host)
{
    HD_ASSERT_OBJ(host, HOST_MAGIC);
    if (host->stopped)
        return;
    host->stopped = true;
    for (unsigned i = 0; i < host->shards; i++)
        if (host->seats[i].runs)
            net_shard_stop(host->seats[i].net);
    for (unsigned i = 0; i < host->shards; i++)
        if (host->seats[i].runs)
            (void)pthread_join(host->seats[i].thread, NULL);
    if (host->live)
        hd_live_settle(host->live, net_now_us());
    for (unsigned i = 0; i < host->shards; i++) {
        if (host->seats[i].evt)
            evt_shard_free(host->seats[i].evt);
        host->seats[i].evt = NULL;
    }
    hd_host_collect(host);
    HD_ASSERT(host->n_sweeps == 0);
}

void
hd_host_free(struct hd_host *host)
{
    if (!host)
        return;
    hd_host_stop(host);
    for (unsigned i = 0; i < host->shards; i++) {
        pol_shard_free(host->seats[i].policy);
        nam_free(host->seats[i].names);
        host->seats[i].names = NULL;
        flt_filters_free(host->seats[i].filters);
        net_shard_free(host->seats[i].net);
    }
    hd_live_free(host->live);
    (void)hd_conf_unref(host->conf);
    host->magic = 0;
    free(host);
}

struct evt_shard *
hd_host_any(const struct hd_host *host)
{
    return host->seats[0].evt;
}

unsigned
hd_host_shards(const struct hd_host *host)
{
    return host->shards;
}

const struct evt_counters *
hd_host_counters(const struct hd_host *host, unsigned shard)
{
    return evt_shard_counters(host->seats[shard].evt);
}

const struct net_counters *
hd_host_net(const struct hd_host *host, unsigned shard)
{
    return net_shard_counters(host->seats[shard].net);
}

const struct nam_counters *
hd_host_names(const struct hd_host *host, unsigned shard)
{
    return nam_counters(host->seats[shard].names);
}

bool
hd_host_is_kept(const struct hd_host *host)
{
    return hd_live_is_kept(host->live);
}

bool
hd_host_store(struct hd_host *host, struct sto_status *ret_status)
{
    return hd_live_status(host->live, ret_status);
}

uint32_t
hd_host_mailbox(const struct hd_host *host, unsigned shard)
{
    return hd_mailbox_depth(evt_shard_mailbox(host->seats[shard].evt));
}

/* --- sweeps ---------------------------------------------------------------------------- */

static void
sweep_run(struct evt_shard *evt, struct evt_call *call, uint64_t now_us)
{
    struct sweep *sweep = call->context;
    unsigned index = evt_shard_index(evt);

    sweep->ops->run(sweep->context, index, evt, sweep->host->seats[index].net, now_us);
}

/* The last shard posts the sweep back; after that the main thread may free it. */
static void
sweep_done(struct evt_call *call)
{
    struct sweep *sweep = call->context;

    /* acq_rel: what every shard wrote is seen by who finishes. */
    if (atomic_fetch_sub_explicit(&sweep->missing, 1, memory_order_acq_rel) == 1)
        hd_mailbox_post(&sweep->host->answers, &sweep->mail);
}

enum hd_err
hd_host_sweep(struct hd_host *host, const struct hd_sweep_ops *ops, void *context)
{
    struct sweep *sweep = calloc(1, sizeof(*sweep) + host->shards * sizeof(sweep->calls[0]));

    HD_ASSERT_OBJ(host, HOST_MAGIC);
    HD_ASSERT(!host->stopped);
    if (!sweep)
        return HD_ENOMEM;
    sweep->ops = ops;
    sweep->context = context;
    sweep->host = host;
    atomic_init(&sweep->missing, host->shards);
    host->n_sweeps++;
    for (unsigned i = 0; i < host->shards; i++) {
        sweep->calls[i] =
            (struct evt_call){ .run = sweep_run, .done = sweep_done, .context = sweep };
        evt_call_post(host->seats[i].evt, &sweep->calls[i]);
    }
    return HD_OK;
}

static void
finish_sweep(struct sweep *sweep)
{
    sweep->ops->finish(sweep->context);
    free(sweep);
}

static void
finish_copy(struct copy *copy)
{
    copy->done(copy->context, copy->err);
    free(copy);
}

void
hd_host_collect(struct hd_host *host)
{
    HD_ASSERT_OBJ(host, HOST_MAGIC);
    hd_mailbox_awake(&host->answers);
    do {
        struct hd_mail *mail;

        while ((mail = hd_mailbox_take(&host->answers))) {
            host->n_sweeps--;
            if (mail->kind == ANSWER_SWEEP)
                finish_sweep(HD_CONTAINER(mail, struct sweep, mail));
            else
                finish_copy(HD_CONTAINER(mail, struct copy, mail));
        }
    } while (!hd_mailbox_sleep(&host->answers));
}

/* --- copies ---------------------------------------------------------------------------- */

/* On a thread of the store's. */
static void
copy_done(void *context, enum hd_err err)
{
    struct copy *copy = context;

    copy->err = err;
    hd_mailbox_post(&copy->host->answers, &copy->mail);
}

enum hd_err
hd_host_copy(struct hd_host *host, const char *path, void (*done)(void *context, enum hd_err err),
             void *context)
{
    struct copy *copy = calloc(1, sizeof(*copy));
    enum hd_err err;

    HD_ASSERT_OBJ(host, HOST_MAGIC);
    HD_ASSERT(!host->stopped);
    if (!copy)
        return HD_ENOMEM;
    copy->mail.kind = ANSWER_COPY;
    copy->host = host;
    copy->done = done;
    copy->context = context;
    err = hd_live_backup(host->live, path, copy_done, copy);
    if (err)
        free(copy);
    else
        host->n_sweeps++;
    return err;
}

const char *
hd_host_audit_path(const struct hd_host *host)
{
    return hd_live_audit_path(host->live);
}
