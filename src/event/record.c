/* record.c - writing and reading what the store keeps. */
#include "event/record.h"

#include <assert.h>
#include <stdlib.h>

#include "event/core.h"
#include "sip/dialog.h"

static_assert(sizeof(((struct evt_stored_sub *)0)->texts) ==
                  EVT_TEXT_COUNT * sizeof(struct hd_slice),
              "all texts are stored");

/* --- writing --------------------------------------------------------------------------------- */

static enum hd_err
give(struct evt_shard *shard, unsigned bucket, enum evt_record_kind kind, uint64_t id,
     struct hd_slice record, uint64_t ticket)
{
    enum hd_err err = shard->ports.store->put(shard->ports.store_context, shard->index, bucket,
                                              kind, id, record, ticket);

    shard->unkept = shard->unkept || err;
    return err;
}

static enum hd_err
put(struct evt_shard *shard, unsigned bucket, enum evt_record_kind kind, uint64_t id,
    const struct hd_bytes_out *out, uint64_t ticket)
{
    struct hd_slice record;
    enum hd_err err = hd_bytes_out_finish(out, &record);

    return err ? err : give(shard, bucket, kind, id, record, ticket);
}

static void
begin(struct hd_bytes_out *out, void *memory, size_t cap)
{
    hd_bytes_out_init(out, memory, cap);
    hd_bytes_put_u8(out, EVT_RECORD_VERSION);
}

static void
put_done(struct hd_bytes_out *out, const struct evt_done *done)
{
    hd_bytes_put_u64(out, done->txn);
    hd_bytes_put_u32(out, done->expires_s);
    hd_bytes_put_u32(out, done->etag);
}

static void
put_flow(struct hd_bytes_out *out, const struct hd_flow *flow)
{
    hd_bytes_put_u8(out, flow->transport);
    hd_bytes_put_u8(out, flow->listener);
    hd_bytes_put_addr(out, &flow->local);
    hd_bytes_put_addr(out, &flow->remote);
}

static uint64_t
time_left(const struct evt_shard *shard, uint64_t at_ms)
{
    return at_ms > shard->now_ms ? at_ms - shard->now_ms : 0;
}

/* What a subscription will be like when its change is applied; without a change, as it is. */
struct sub_after {
    uint64_t left_ms;
    uint8_t state, transform, types, priority;
    bool direct, approved;
    uint32_t cseq_remote;
    struct evt_done done[2];
    const struct evt_hop *came, *hop;
    const struct evt_texts *texts;
};

static struct evt_done
sub_done(const struct evt_sub *sub, int i)
{
    return (struct evt_done){ .txn = sub->done_txn[i],
                              .expires_s = sub->done_expires_s[i],
                              .quiet = sub->quiet >> i & 1 };
}

static struct sub_after
sub_after(struct evt_shard *shard, const struct evt_sub *sub, const struct evt_sub_change *change)
{
    if (!change)
        return (struct sub_after){ .left_ms = time_left(shard, sub->expires_at_ms),
                                   .state = sub->state,
                                   .transform = sub->transform,
                                   .types = sub->types,
                                   .priority = sub->rare ? sub->rare->priority : SIP_PRIORITY_NONE,
                                   .direct = sub->direct,
                                   .approved = sub->approved,
                                   .cseq_remote = sub->cseq_remote,
                                   .done = { sub_done(sub, 0), sub_done(sub, 1) },
                                   .came = evt_hop_at(shard, sub->came),
                                   .hop = evt_hop_at(shard, sub->hop),
                                   .texts = sub->texts };
    bool end = change->kind == EVT_CHANGE_END;
    return (struct sub_after){
        .left_ms = end ? EVT_LINGER_MS : (uint64_t)change->done.expires_s * 1000,
        .state = end ? EVT_SUB_TERMINATED : change->state,
        .transform = change->transform,
        .types = change->types,
        .priority = change->priority,
        .direct = change->direct,
        .approved = change->state == sub->state ? sub->approved : sub->state == EVT_SUB_PENDING,
        .cseq_remote = change->cseq,
        .done = { change->done, sub_done(sub, 0) },
        .came = evt_hop_at(shard, change->came),
        .hop = evt_hop_at(shard, change->hop),
        .texts = change->texts ? change->texts : sub->texts
    };
}

/* The filter after the change, and what it has to tell. */
static void
put_filtered(struct hd_bytes_out *out, const struct evt_filtered *f)
{
    bool firing = f && f->keep != EVT_KEEP_NOT;
    bool last = f && f->has_last && (!f->last || f->last->body.n <= EVT_RECORD_LAST_MOST);

    hd_bytes_put_u8(out,
                    (uint8_t)(f ? 1 | firing << 1 | last << 2 | f->met << 3 | f->apart << 4 : 0));
    if (!f)
        return;
    hd_bytes_put_slice(out, f->filter->source);
    hd_bytes_put_u32(out, f->seq);
    hd_bytes_put_u32(out, f->count);
    if (firing) {
        hd_bytes_put_u32(out, f->told_fired);
        hd_bytes_put_u32(out, f->told_cleared);
        hd_bytes_put_u32(out, f->cseq);
        hd_bytes_put_u32(out, f->told_branch);
    }
    if (last) {
        hd_bytes_put_slice(out, f->last ? f->last->type : hd_slice(NULL, 0));
        hd_bytes_put_slice(out, f->last ? f->last->body : hd_slice(NULL, 0));
    }
}

/* The rates after the change, how long ago the last NOTIFY was, and what need not be sent. */
static void
put_rated(struct hd_bytes_out *out, const struct evt_rated *rated, uint64_t quiet_ms,
          uint64_t match)
{
    hd_bytes_put_u8(out, (uint8_t)((rated != NULL) | (match != EVT_SUPPRESS_NONE) << 1));
    if (match)
        hd_bytes_put_u64(out, match);
    if (!rated)
        return;
    hd_bytes_put_u64(out, rated->asked.max);
    hd_bytes_put_u64(out, rated->asked.min);
    hd_bytes_put_u64(out, rated->asked.adaptive);
    hd_bytes_put_u64(out, quiet_ms);
}

/* Who has rates now was sent his last NOTIFY then; 0: never. */
static uint64_t
sub_quiet_ms(const struct evt_shard *shard, const struct evt_sub *sub)
{
    uint64_t sent_ms = sub->rare && sub->rare->rated ? sub->rare->rated->sent_ms : 0;

    return sent_ms && sent_ms < shard->now_ms ? shard->now_ms - sent_ms : 0;
}

/* Few have one: a flag before it says so. */
static void
put_priority(struct hd_bytes_out *out, uint8_t priority)
{
    if (priority)
        hd_bytes_put_u8(out, priority);
}

static size_t
filtered_size(const struct evt_filtered *f)
{
    return f ? f->filter->source.n + (f->last ? f->last->type.n : 0) + EVT_RECORD_LAST_MOST + 64
             : 0;
}

enum hd_err
evt_record_sub(struct evt_shard *shard, struct evt_sub *sub, const struct evt_sub_change *change,
               uint64_t ticket)
{
    const struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);
    struct sub_after after = sub_after(shard, sub, change);
    struct hd_slice texts[EVT_TEXT_COUNT];
    const struct evt_filtered *f =
        change && change->refilters ? change->filtered : evt_sub_filtered(sub);
    size_t cap = sizeof(shard->record_memory) + filtered_size(f);
    char *memory = f ? malloc(cap) : shard->record_memory;
    struct hd_bytes_out out;
    enum hd_err err;

    if (!memory)
        return HD_ENOMEM;
    begin(&out, memory, cap);
    hd_bytes_put_u64(&out, after.left_ms);
    hd_bytes_put_u64(&out, sub->born);
    hd_bytes_put_u8(&out, after.state);
    hd_bytes_put_u8(&out, after.transform);
    hd_bytes_put_u8(&out, after.types);
    hd_bytes_put_u8(&out, (uint8_t)(after.direct | after.hop->proven << 1 |
                                    after.hop->authenticated << 2 | after.texts->has_event_id << 3 |
                                    (after.hop->named != EVT_NONE) << 4 | after.approved << 5 |
                                    (after.priority != SIP_PRIORITY_NONE) << 6));
    hd_bytes_put_u32(&out, sub->cseq_local);
    hd_bytes_put_u32(&out, after.cseq_remote);
    hd_bytes_put_u32(&out, sub->branch);
    hd_bytes_put_u32(&out, sub->version);
    hd_bytes_put_u32(&out, shard->start);
    put_done(&out, &after.done[0]);
    put_done(&out, &after.done[1]);
    put_flow(&out, &after.came->flow);
    put_flow(&out, &after.hop->flow);
    hd_bytes_put_slice(&out, mirror->key);
    hd_bytes_put_slice(&out, mirror->package->name);
    evt_texts_all(after.texts, mirror, texts);
    for (int i = 0; i < EVT_TEXT_COUNT; i++)
        hd_bytes_put_slice(&out, texts[i]);
    hd_bytes_put_u8(&out, after.texts->proof);
    put_filtered(&out, f);
    hd_bytes_put_u64(&out, sub->rare ? sub->rare->device : 0);
    put_rated(&out,
              change      ? change->rated
              : sub->rare ? sub->rare->rated
                          : NULL,
              sub_quiet_ms(shard, sub),
              change      ? change->match
              : sub->rare ? sub->rare->match
                          : EVT_SUPPRESS_NONE);
    put_priority(&out, after.priority);
    err = put(shard, hd_id_bucket(sub->id), EVT_RECORD_SUBSCRIPTION, sub->id, &out, ticket);
    if (!err)
        sub->leased = EVT_LEASE;
    if (f)
        free(memory);
    return err;
}

/* What a mirror shows. */
static void
put_topic(struct hd_bytes_out *out, const struct evt_mirror *mirror)
{
    const struct evt_topic topic = evt_mirror_topic(mirror);

    hd_bytes_put_slice(out, topic.key);
    hd_bytes_put_slice(out, topic.package);
    hd_bytes_put_slice(out, topic.watcher);
}

enum hd_err
evt_record_cond(struct evt_shard *shard, const struct evt_mirror *mirror,
                const struct evt_cond *cond)
{
    const struct evt_filter_ops *filters = shard->ports.filter;
    size_t cap = cond->filter->source.n + cond->filter->state_size * 2 + 2048;
    char *memory = malloc(cap), *state = malloc(cond->filter->state_size * 2 + 64);
    struct hd_bytes_out out;
    struct hd_slice saved;
    enum hd_err err = memory && state ? HD_OK : HD_ENOMEM;

    if (!err) {
        hd_bytes_out_init(&out, state, cond->filter->state_size * 2 + 64);
        filters->save(cond->filter, cond->state, shard->now_ms, &out);
        err = hd_bytes_out_finish(&out, &saved);
    }
    if (!err) {
        begin(&out, memory, cap);
        hd_bytes_put_u8(&out, (uint8_t)shard->index);
        hd_bytes_put_u8(&out, (uint8_t)shard->count);
        hd_bytes_put_u8(&out, cond->transform);
        hd_bytes_put_u32(&out, cond->seq);
        hd_bytes_put_u32(&out, cond->fired);
        hd_bytes_put_u32(&out, cond->cleared);
        hd_bytes_put_u32(&out, cond->on);
        put_topic(&out, mirror);
        hd_bytes_put_slice(&out, cond->filter->source);
        hd_bytes_put_slice(&out, saved);
        hd_bytes_put_u64(&out, cond->apart);
        err = put(shard, hd_hash_bucket(mirror->hash), EVT_RECORD_CONDITION,
                  evt_cond_id(shard, cond), &out, 0);
    }
    free(memory);
    free(state);
    return err;
}

enum hd_err
evt_record_pub(struct evt_shard *shard, const struct evt_pub *pub,
               const struct evt_pub_change *change, uint64_t ticket)
{
    const struct evt_resource *resource = evt_resource_at(shard, pub->resource);
    const struct evt_doc *doc = change->doc ? change->doc : pub->doc;
    bool gone = change->kind == EVT_CHANGE_END;
    uint8_t priority = evt_pub_priority_after(pub, change);
    struct hd_slice body = gone ? hd_slice(NULL, 0) : doc->body;
    char *memory = shard->record_memory;
    size_t cap = sizeof(shard->record_memory);
    struct hd_bytes_out out;
    enum hd_err err;

    if (body.n + doc->type.n + 2048 > cap) {
        cap = body.n + doc->type.n + 2048;
        memory = malloc(cap);
        if (!memory)
            return HD_ENOMEM;
    }
    begin(&out, memory, cap);
    hd_bytes_put_u64(&out, gone ? EVT_LINGER_MS : (uint64_t)change->done.expires_s * 1000);
    hd_bytes_put_u64(&out, change->order);
    hd_bytes_put_u8(&out, (uint8_t)(gone | (priority != SIP_PRIORITY_NONE) << 1));
    put_done(&out, &change->done);
    put_done(&out, &pub->done[0]);
    hd_bytes_put_slice(&out, resource->key);
    hd_bytes_put_slice(&out, resource->package->name);
    hd_bytes_put_slice(&out, pub->publisher);
    hd_bytes_put_slice(&out, doc->type);
    hd_bytes_put_slice(&out, body);
    put_priority(&out, priority);
    err = put(shard, hd_id_bucket(pub->id), EVT_RECORD_PUBLICATION, pub->id, &out, ticket);
    if (memory != shard->record_memory)
        free(memory);
    return err;
}

enum hd_err
evt_record_account(struct evt_shard *shard, const struct evt_account *account, uint64_t txn,
                   const struct evt_binding *bindings, uint32_t n, uint64_t ticket)
{
    unsigned bucket = hd_hash_bucket(account->hash);
    struct hd_bytes_out out;
    size_t need = 1024 + account->key.n;
    char *memory = shard->record_memory;
    enum hd_err err;

    if (n == 0)
        return evt_record_remove(shard, EVT_RECORD_BINDINGS, bucket, account->hash, ticket);
    for (uint32_t i = 0; i < n; i++)
        need += bindings[i].contact.n + bindings[i].call_id.n + bindings[i].params.n +
                bindings[i].path.n + 96;
    if (need > sizeof(shard->record_memory)) {
        memory = malloc(need);
        if (!memory)
            return HD_ENOMEM;
    }
    begin(&out, memory, need);
    hd_bytes_put_slice(&out, account->key);
    hd_bytes_put_u64(&out, txn);
    hd_bytes_put_u64(&out, account->done[0].txn);
    hd_bytes_put_u32(&out, n);
    for (uint32_t i = 0; i < n; i++) {
        hd_bytes_put_u64(&out, time_left(shard, bindings[i].expires_at_ms));
        hd_bytes_put_u32(&out, bindings[i].cseq);
        hd_bytes_put_u16(&out, bindings[i].q);
        hd_bytes_put_u64(&out, bindings[i].txn);
        hd_bytes_put_slice(&out, bindings[i].contact);
        hd_bytes_put_slice(&out, bindings[i].call_id);
        hd_bytes_put_slice(&out, bindings[i].params);
        hd_bytes_put_slice(&out, bindings[i].path);
        hd_bytes_put_u64(&out, bindings[i].id);
        hd_bytes_put_u64(&out, (uint64_t)((int64_t)shard->now_ms - bindings[i].since_ms));
        hd_bytes_put_u64(&out, bindings[i].gruu_nonce);
        hd_bytes_put_u32(&out, bindings[i].gruu_order);
        hd_bytes_put_u32(&out, bindings[i].gruu_generation);
        hd_bytes_put_u32(&out, bindings[i].reg_id);
        hd_bytes_put_u8(&out, bindings[i].event);
    }
    err = put(shard, bucket, EVT_RECORD_BINDINGS, account->hash, &out, ticket);
    if (memory != shard->record_memory)
        free(memory);
    return err;
}

/* One record per resource and shard; its id is unlike that of another shard's. */
enum hd_err
evt_record_seen(struct evt_shard *shard, const struct evt_mirror *mirror, uint64_t content,
                const uint64_t *exceptions, uint32_t n)
{
    char *memory = malloc((size_t)n * 8 + 2048);
    struct hd_bytes_out out;
    enum hd_err err;

    if (!memory)
        return HD_ENOMEM;
    begin(&out, memory, (size_t)n * 8 + 2048);
    hd_bytes_put_u8(&out, (uint8_t)shard->index);
    hd_bytes_put_u8(&out, (uint8_t)shard->count);
    hd_bytes_put_u64(&out, shard->last_born);
    hd_bytes_put_u64(&out, content);
    put_topic(&out, mirror);
    hd_bytes_put_u32(&out, n);
    for (uint32_t i = 0; i < n; i++)
        hd_bytes_put_u64(&out, exceptions[i]);
    err = put(shard, hd_hash_bucket(mirror->hash), EVT_RECORD_SEEN, evt_seen_id(shard, mirror),
              &out, 0);
    free(memory);
    return err;
}

enum hd_err
evt_record_waiting(struct evt_shard *shard, const struct evt_waiting *waiting)
{
    struct hd_bytes_out out;

    begin(&out, shard->record_memory, sizeof(shard->record_memory));
    hd_bytes_put_u64(&out, time_left(shard, waiting->expires_at_ms));
    hd_bytes_put_u64(&out, waiting->watched);
    hd_bytes_put_slice(&out, evt_waiting_key(waiting));
    hd_bytes_put_slice(&out, evt_waiting_package(waiting));
    hd_bytes_put_slice(&out, evt_waiting_watcher(waiting));
    hd_bytes_put_slice(&out, evt_waiting_name(waiting));
    hd_bytes_put_u8(&out, waiting->proof);
    return put(shard, hd_id_bucket(waiting->id), EVT_RECORD_WAITING, waiting->id, &out, 0);
}

enum hd_err
evt_record_remove(struct evt_shard *shard, enum evt_record_kind kind, unsigned bucket, uint64_t id,
                  uint64_t ticket)
{
    return give(shard, bucket, kind, id, hd_slice(NULL, 0), ticket);
}

/* --- reading --------------------------------------------------------------------------------- */

static enum hd_err
open_record(struct hd_slice record, struct hd_bytes_in *in)
{
    hd_bytes_in_init(in, record);
    uint8_t version = hd_bytes_get_u8(in);
    if (hd_bytes_in_err(in))
        return HD_ESYNTAX;
    return version > EVT_RECORD_VERSION    ? HD_EVERSION
           : version == EVT_RECORD_VERSION ? HD_OK
                                           : HD_ESYNTAX;
}

static struct evt_stored_done
get_done(struct hd_bytes_in *in)
{
    struct evt_stored_done done;

    done.txn = hd_bytes_get_u64(in);
    done.expires_s = hd_bytes_get_u32(in);
    done.etag = hd_bytes_get_u32(in);
    return done;
}

static struct hd_flow
get_flow(struct hd_bytes_in *in)
{
    struct hd_flow flow = { .transport = hd_bytes_get_u8(in) };

    flow.listener = hd_bytes_get_u8(in);
    flow.local = hd_bytes_get_addr(in);
    flow.remote = hd_bytes_get_addr(in);
    if (flow.transport < HD_UDP || flow.transport > HD_WSS)
        hd_bytes_in_fail(in, HD_ESYNTAX);
    return flow;
}

static struct hd_slice
get_key(struct hd_bytes_in *in)
{
    struct hd_slice key = hd_bytes_get_slice(in);

    if (key.n == 0 || key.n > SIP_KEY_MAX)
        hd_bytes_in_fail(in, HD_ESYNTAX);
    return key;
}

static struct evt_topic
get_topic(struct hd_bytes_in *in)
{
    const struct hd_slice key = get_key(in), package = get_key(in);
    const struct hd_slice watcher = hd_bytes_get_slice(in);

    if (watcher.n > SIP_KEY_MAX)
        hd_bytes_in_fail(in, HD_ESYNTAX);
    return (struct evt_topic){ .key = key, .package = package, .watcher = watcher };
}

/* What an octet of a stored string may be part of: any header field's value, a Call-ID, a URI in
 * angle brackets, a word. */
enum { FIT_TEXT = 1, FIT_CALL_ID = 2, FIT_URI = 4, FIT_WORD = 8 };

/* clang-format off */
#define TEXT(c) (((c) >= ' ' || (c) == '\t') && (c) != 0x7f)
#define CALL_ID(c) (TEXT(c) && (c) < 0x80 && (c) != ' ' && (c) != '\t')
#define BRACKETED(c) (CALL_ID(c) && (c) != '<' && (c) != '>')
#define WORD(c) (BRACKETED(c) && (c) != ';' && (c) != ',' && (c) != '"' && (c) != '(' && (c) != ')')
#define FIT(c) ((TEXT(c) ? FIT_TEXT : 0) | (CALL_ID(c) ? FIT_CALL_ID : 0) | \
                (BRACKETED(c) ? FIT_URI : 0) | (WORD(c) ? FIT_WORD : 0))
#define FOUR(c) FIT(c), FIT((c) + 1), FIT((c) + 2), FIT((c) + 3)
#define SIXTEEN(c) FOUR(c), FOUR((c) + 4), FOUR((c) + 8), FOUR((c) + 12)
#define SIXTY_FOUR(c) SIXTEEN(c), SIXTEEN((c) + 16), SIXTEEN((c) + 32), SIXTEEN((c) + 48)
static const uint8_t fits[256] = { SIXTY_FOUR(0), SIXTY_FOUR(64), SIXTY_FOUR(128), SIXTY_FOUR(192) };
/* clang-format on */

/* Without a branch for each octet: a restart reads a few hundred of a million records. */
static bool
text_fits(struct hd_slice text, unsigned where)
{
    unsigned all = where;

    for (size_t i = 0; i < text.n; i++)
        all &= fits[(unsigned char)text.p[i]];
    return all == where;
}

/* The strings make a NOTIFY that can be read: what was damaged must not go out. */
static bool
sub_texts_fit(const struct evt_stored_sub *sub)
{
    const struct hd_slice *texts = sub->texts;
    struct sip_addr remote, local;
    struct hd_slice tag;
    struct sip_hop hop;

    for (int i = 0; i < EVT_TEXT_COUNT; i++)
        if (!text_fits(texts[i], FIT_TEXT))
            return false;
    return text_fits(sub->package, FIT_WORD) && text_fits(texts[EVT_TEXT_EVENT_ID], FIT_WORD) &&
           texts[EVT_TEXT_CALL_ID].n > 0 && text_fits(texts[EVT_TEXT_CALL_ID], FIT_CALL_ID) &&
           sip_addr_tag_parse(texts[EVT_TEXT_REMOTE], &remote, &tag) == HD_OK &&
           hd_slice_eq(tag, texts[EVT_TEXT_REMOTE_TAG]) &&
           sip_addr_parse(texts[EVT_TEXT_LOCAL], &local) == HD_OK &&
           !sip_param_find(local.params, HD_LIT("tag"), NULL) &&
           evt_notify_reaches(texts[EVT_TEXT_TARGET]) &&
           sip_dialog_hop(texts[EVT_TEXT_ROUTE], texts[EVT_TEXT_TARGET], &hop) == HD_OK;
}

static void
get_filtered(struct hd_bytes_in *in, struct evt_stored_sub *sub)
{
    uint8_t flags = hd_bytes_get_u8(in);

    if (flags > 31 || (flags && !(flags & 1)))
        hd_bytes_in_fail(in, HD_ESYNTAX);
    if (!flags)
        return;
    sub->filter = hd_bytes_get_slice(in);
    sub->filter_seq = hd_bytes_get_u32(in);
    sub->filter_count = hd_bytes_get_u32(in);
    if (flags & 2) {
        sub->fired = hd_bytes_get_u32(in);
        sub->cleared = hd_bytes_get_u32(in);
        sub->fired_cseq = hd_bytes_get_u32(in);
        sub->fired_branch = hd_bytes_get_u32(in);
        if (!(sub->fired | sub->cleared))
            hd_bytes_in_fail(in, HD_ESYNTAX);
    }
    sub->met = flags >> 3 & 1;
    sub->apart = flags >> 4 & 1;
    sub->has_last = flags >> 2 & 1;
    if (sub->has_last) {
        sub->last_type = hd_bytes_get_slice(in);
        sub->last_body = hd_bytes_get_slice(in);
    }
    if (sub->filter.n == 0 || sub->filter.n > EVT_FILTER_SOURCE_MOST ||
        sub->last_body.n > EVT_RECORD_LAST_MOST || !text_fits(sub->last_type, FIT_TEXT) ||
        sub->fired_cseq > EVT_RECORD_CSEQ_MOST || sub->fired_branch > EVT_RECORD_CSEQ_MOST)
        hd_bytes_in_fail(in, HD_ESYNTAX);
}

static uint64_t
get_rate(struct hd_bytes_in *in)
{
    uint64_t rate = hd_bytes_get_u64(in);

    if (rate > SIP_RATE_MOST)
        hd_bytes_in_fail(in, HD_ESYNTAX);
    return rate;
}

static void
get_rated(struct hd_bytes_in *in, struct evt_stored_sub *sub)
{
    uint8_t flags = hd_bytes_get_u8(in);

    if (flags > 3)
        hd_bytes_in_fail(in, HD_ESYNTAX);
    sub->rated = flags & 1;
    if (flags & 2) {
        sub->match = hd_bytes_get_u64(in);
        if (sub->match == EVT_SUPPRESS_NONE)
            hd_bytes_in_fail(in, HD_ESYNTAX);
    }
    if (!sub->rated)
        return;
    sub->rates.max = get_rate(in);
    sub->rates.min = get_rate(in);
    sub->rates.adaptive = get_rate(in);
    sub->quiet_ms = hd_bytes_get_u64(in);
    if (sub->quiet_ms > (uint64_t)UINT32_MAX * 1000)
        hd_bytes_in_fail(in, HD_ESYNTAX);
}

static uint8_t
get_priority(struct hd_bytes_in *in, bool has)
{
    const uint8_t priority = has ? hd_bytes_get_u8(in) : SIP_PRIORITY_NONE;

    if (has && (priority == SIP_PRIORITY_NONE || priority >= SIP_PRIORITY_COUNT))
        hd_bytes_in_fail(in, HD_ESYNTAX);
    return priority;
}

enum hd_err
evt_stored_cond_read(struct hd_slice record, struct evt_stored_cond *ret_cond)
{
    struct evt_stored_cond cond;
    struct hd_bytes_in in;
    enum hd_err err = open_record(record, &in);

    if (err)
        return err;
    memset(&cond, 0, sizeof(cond));
    cond.shard = hd_bytes_get_u8(&in);
    cond.shards = hd_bytes_get_u8(&in);
    cond.transform = hd_bytes_get_u8(&in);
    cond.seq = hd_bytes_get_u32(&in);
    cond.fired = hd_bytes_get_u32(&in);
    cond.cleared = hd_bytes_get_u32(&in);
    cond.on = hd_bytes_get_u32(&in);
    cond.topic = get_topic(&in);
    cond.filter = hd_bytes_get_slice(&in);
    cond.state = hd_bytes_get_slice(&in);
    cond.apart = hd_bytes_get_u64(&in);
    if (cond.shards == 0 || cond.shard >= cond.shards || cond.shards > EVT_MAX_SHARDS ||
        cond.filter.n == 0 || cond.filter.n > EVT_FILTER_SOURCE_MOST)
        hd_bytes_in_fail(&in, HD_ESYNTAX);
    err = hd_bytes_in_end(&in);
    if (!err)
        *ret_cond = cond;
    return err;
}

enum hd_err
evt_stored_sub_read(struct hd_slice record, struct evt_stored_sub *ret_sub)
{
    struct evt_stored_sub sub;
    struct hd_bytes_in in;
    enum hd_err err = open_record(record, &in);

    if (err)
        return err;
    memset(&sub, 0, sizeof(sub));
    sub.left_ms = hd_bytes_get_u64(&in);
    sub.born = hd_bytes_get_u64(&in);
    sub.state = hd_bytes_get_u8(&in);
    sub.transform = hd_bytes_get_u8(&in);
    sub.types = hd_bytes_get_u8(&in);
    uint8_t flags = hd_bytes_get_u8(&in);
    sub.direct = flags & 1;
    sub.proven = flags >> 1 & 1;
    sub.authenticated = flags >> 2 & 1;
    sub.has_event_id = flags >> 3 & 1;
    sub.named = flags >> 4 & 1;
    sub.approved = flags >> 5 & 1;
    sub.cseq_local = hd_bytes_get_u32(&in);
    sub.cseq_remote = hd_bytes_get_u32(&in);
    sub.branch = hd_bytes_get_u32(&in);
    sub.version = hd_bytes_get_u32(&in);
    sub.start = hd_bytes_get_u32(&in);
    sub.done[0] = get_done(&in);
    sub.done[1] = get_done(&in);
    sub.came = get_flow(&in);
    sub.way = get_flow(&in);
    sub.key = get_key(&in);
    sub.package = get_key(&in);
    for (int i = 0; i < EVT_TEXT_COUNT; i++)
        sub.texts[i] = hd_bytes_get_slice(&in);
    sub.proof = hd_bytes_get_u8(&in);
    get_filtered(&in, &sub);
    sub.device = hd_bytes_get_u64(&in);
    get_rated(&in, &sub);
    sub.priority = get_priority(&in, flags >> 6 & 1);
    if (sub.done[0].etag > 1 || sub.done[1].etag > 1 || sub.state < EVT_SUB_PENDING ||
        sub.state > EVT_SUB_TERMINATED || sub.proof > EVT_PROOF_TOKEN || flags > 127 ||
        sub.cseq_local > EVT_RECORD_CSEQ_MOST || sub.branch > EVT_RECORD_CSEQ_MOST ||
        sub.version > EVT_RECORD_CSEQ_MOST || sub.texts[EVT_TEXT_WATCHER].n > SIP_KEY_MAX ||
        sub.left_ms > (uint64_t)UINT32_MAX * 1000 || !sub_texts_fit(&sub))
        hd_bytes_in_fail(&in, HD_ESYNTAX);
    err = hd_bytes_in_end(&in);
    if (!err)
        *ret_sub = sub;
    return err;
}

enum hd_err
evt_stored_pub_read(struct hd_slice record, struct evt_stored_pub *ret_pub)
{
    struct evt_stored_pub pub;
    struct hd_bytes_in in;
    enum hd_err err = open_record(record, &in);

    if (err)
        return err;
    memset(&pub, 0, sizeof(pub));
    pub.left_ms = hd_bytes_get_u64(&in);
    pub.order = hd_bytes_get_u64(&in);
    uint8_t flags = hd_bytes_get_u8(&in);
    pub.gone = flags & 1;
    pub.done[0] = get_done(&in);
    pub.done[1] = get_done(&in);
    pub.key = get_key(&in);
    pub.package = get_key(&in);
    pub.publisher = hd_bytes_get_slice(&in);
    pub.type = hd_bytes_get_slice(&in);
    pub.body = hd_bytes_get_slice(&in);
    pub.priority = get_priority(&in, flags >> 1 & 1);
    if (flags > 3 || pub.left_ms > (uint64_t)UINT32_MAX * 1000)
        hd_bytes_in_fail(&in, HD_ESYNTAX);
    err = hd_bytes_in_end(&in);
    if (!err)
        *ret_pub = pub;
    return err;
}

/* What goes into an answer as it is. */
static bool
binding_texts_fit(const struct evt_stored_binding *binding)
{
    return text_fits(binding->contact, FIT_URI) && text_fits(binding->params, FIT_TEXT) &&
           text_fits(binding->call_id, FIT_TEXT) && text_fits(binding->path, FIT_TEXT) &&
           binding->params.n <= EVT_PARAMS_MAX && binding->path.n <= EVT_PATH_MAX &&
           (binding->params.n == 0 || binding->params.p[0] == ';') && evt_path_fits(binding->path);
}

enum hd_err
evt_stored_binding_next(struct evt_stored_account *account, struct evt_stored_binding *ret_binding)
{
    struct hd_bytes_in *in = &account->rest;
    struct evt_stored_binding binding;

    binding.left_ms = hd_bytes_get_u64(in);
    binding.cseq = hd_bytes_get_u32(in);
    binding.q = hd_bytes_get_u16(in);
    binding.txn = hd_bytes_get_u64(in);
    binding.contact = hd_bytes_get_slice(in);
    binding.call_id = hd_bytes_get_slice(in);
    binding.params = hd_bytes_get_slice(in);
    binding.path = hd_bytes_get_slice(in);
    binding.id = hd_bytes_get_u64(in);
    binding.held_ms = hd_bytes_get_u64(in);
    binding.gruu_nonce = hd_bytes_get_u64(in);
    binding.gruu_order = hd_bytes_get_u32(in);
    binding.gruu_generation = hd_bytes_get_u32(in);
    binding.reg_id = hd_bytes_get_u32(in);
    binding.event = hd_bytes_get_u8(in);
    if (binding.q > 1000 || binding.left_ms > (uint64_t)UINT32_MAX * 1000 ||
        binding.held_ms > (uint64_t)UINT32_MAX * 1000 || binding.reg_id > EVT_REG_ID_MOST ||
        binding.event >= EVT_REG_EXPIRED || !binding_texts_fit(&binding))
        hd_bytes_in_fail(in, HD_ESYNTAX);
    enum hd_err err = hd_bytes_in_err(in);
    if (!err)
        *ret_binding = binding;
    return err;
}

enum hd_err
evt_stored_account_read(struct hd_slice record, struct evt_stored_account *ret_account)
{
    struct evt_stored_account account, all;
    struct evt_stored_binding binding;
    struct hd_bytes_in in;
    enum hd_err err = open_record(record, &in);

    if (err)
        return err;
    account.key = get_key(&in);
    account.txn[0] = hd_bytes_get_u64(&in);
    account.txn[1] = hd_bytes_get_u64(&in);
    account.n = hd_bytes_get_u32(&in);
    err = hd_bytes_in_err(&in);
    account.rest = in;
    all = account;
    /* Every binding is read once here, so that a reader of the account meets no error half-way. */
    for (uint32_t i = 0; i < account.n && !err; i++)
        err = evt_stored_binding_next(&all, &binding);
    if (!err)
        err = hd_bytes_in_end(&all.rest);
    if (!err)
        *ret_account = account;
    return err;
}

enum hd_err
evt_stored_waiting_read(struct hd_slice record, struct evt_stored_waiting *ret_waiting)
{
    struct evt_stored_waiting waiting;
    struct hd_bytes_in in;
    enum hd_err err = open_record(record, &in);

    if (err)
        return err;
    waiting.left_ms = hd_bytes_get_u64(&in);
    waiting.watched = hd_bytes_get_u64(&in);
    waiting.key = get_key(&in);
    waiting.package = get_key(&in);
    waiting.watcher = get_key(&in);
    waiting.name = hd_bytes_get_slice(&in);
    waiting.proof = hd_bytes_get_u8(&in);
    if (waiting.proof > EVT_PROOF_TOKEN || waiting.name.n > EVT_WATCHER_NAME_MAX ||
        waiting.left_ms > (uint64_t)UINT32_MAX * 1000)
        hd_bytes_in_fail(&in, HD_ESYNTAX);
    err = hd_bytes_in_end(&in);
    if (!err)
        *ret_waiting = waiting;
    return err;
}

enum hd_err
evt_stored_seen_read(struct hd_slice record, struct evt_stored_seen *ret_seen)
{
    struct evt_stored_seen seen;
    struct hd_bytes_in in;
    enum hd_err err = open_record(record, &in);

    if (err)
        return err;
    seen.shard = hd_bytes_get_u8(&in);
    seen.shards = hd_bytes_get_u8(&in);
    seen.born = hd_bytes_get_u64(&in);
    seen.content = hd_bytes_get_u64(&in);
    seen.topic = get_topic(&in);
    seen.n = hd_bytes_get_u32(&in);
    if (seen.shards == 0 || seen.shard >= seen.shards || seen.n > EVT_RECORD_SEEN_MOST ||
        in.left != (size_t)seen.n * 8)
        hd_bytes_in_fail(&in, HD_ESYNTAX);
    seen.rest = in;
    err = hd_bytes_in_err(&in);
    if (!err)
        *ret_seen = seen;
    return err;
}
