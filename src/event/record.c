/* record.c - what the store keeps of a subscription, a publication and a registration.
 *
 * Every record begins with its version and is read as strictly as a message from outside.  Times in
 * it are milliseconds of the shard's clock when the record was written, beside the deadline: what
 * is left of a granted duration can be computed after a restart. */
#include <stdlib.h>

#include "base/bytes.h"
#include "event/core.h"

#define RECORD_VERSION 1u

static enum hd_err
put(struct evt_shard *shard, unsigned bucket, enum evt_record_kind kind, uint64_t id,
    const struct hd_bytes_out *out, uint64_t ticket)
{
    struct hd_slice record;
    enum hd_err err = hd_bytes_out_finish(out, &record);

    if (err)
        return err;
    return shard->ports.store->put(shard->ports.store_context, shard->index, bucket, kind, id,
                                   record, ticket);
}

static void
begin(struct evt_shard *shard, struct hd_bytes_out *out, void *memory, size_t cap)
{
    hd_bytes_out_init(out, memory, cap);
    hd_bytes_put_u8(out, RECORD_VERSION);
    hd_bytes_put_u64(out, shard->now_ms);
}

static void
put_done(struct hd_bytes_out *out, const struct evt_done *done)
{
    hd_bytes_put_u64(out, done->txn);
    hd_bytes_put_u32(out, done->expires_s);
    hd_bytes_put_u32(out, done->etag);
    hd_bytes_put_u16(out, done->status);
}

static void
put_flow(struct hd_bytes_out *out, const struct hd_flow *flow)
{
    hd_bytes_put_u8(out, flow->transport);
    hd_bytes_put_u8(out, flow->listener);
    hd_bytes_put_addr(out, &flow->local);
    hd_bytes_put_addr(out, &flow->remote);
}

enum hd_err
evt_record_sub(struct evt_shard *shard, const struct evt_sub *sub,
               const struct evt_sub_change *change, uint64_t ticket)
{
    const struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);
    const struct evt_texts *texts = change->texts ? change->texts : sub->texts;
    struct hd_bytes_out out;

    begin(shard, &out, shard->record_memory, sizeof(shard->record_memory));
    hd_bytes_put_u64(&out, sub->id);
    hd_bytes_put_u8(&out, change->state);
    hd_bytes_put_u8(&out, change->transform);
    hd_bytes_put_u8(&out, change->types);
    hd_bytes_put_u8(&out, change->direct);
    hd_bytes_put_u32(&out, sub->cseq_local);
    hd_bytes_put_u32(&out, change->cseq);
    hd_bytes_put_u32(&out, sub->branch);
    hd_bytes_put_u32(&out, sub->version);
    put_done(&out, &change->done);
    put_done(&out, &sub->done[0]);
    put_flow(&out, &change->came);
    put_flow(&out, &evt_hop_at(shard, change->hop)->flow);
    hd_bytes_put_slice(&out, mirror->key);
    hd_bytes_put_slice(&out, mirror->package->name);
    hd_bytes_put_u8(&out, texts->has_event_id);
    for (int i = 0; i < EVT_TEXT_COUNT; i++)
        hd_bytes_put_slice(&out, evt_texts_get(texts, (enum evt_text)i));
    return put(shard, hd_id_bucket(sub->id), EVT_RECORD_SUBSCRIPTION, sub->id, &out, ticket);
}

enum hd_err
evt_record_pub(struct evt_shard *shard, const struct evt_pub *pub,
               const struct evt_pub_change *change, uint64_t ticket)
{
    const struct evt_resource *resource = evt_resource_at(shard, pub->resource);
    const struct evt_doc *doc = change->doc ? change->doc : pub->doc;
    struct hd_bytes_out out;
    char *memory = shard->record_memory;
    size_t cap = sizeof(shard->record_memory);
    enum hd_err err;

    if (doc->body.n + 2048 > cap) {
        cap = doc->body.n + 2048;
        memory = malloc(cap);
        if (!memory)
            return HD_ENOMEM;
    }
    begin(shard, &out, memory, cap);
    hd_bytes_put_u64(&out, pub->id);
    put_done(&out, &change->done);
    put_done(&out, &pub->done[0]);
    hd_bytes_put_slice(&out, resource->key);
    hd_bytes_put_slice(&out, resource->package->name);
    hd_bytes_put_slice(&out, pub->publisher);
    hd_bytes_put_slice(&out, doc->type);
    hd_bytes_put_slice(&out, doc->body);
    err = put(shard, hd_id_bucket(pub->id), EVT_RECORD_PUBLICATION, pub->id, &out, ticket);
    if (memory != shard->record_memory)
        free(memory);
    return err;
}

enum hd_err
evt_record_account(struct evt_shard *shard, const struct evt_account *account,
                   const struct evt_binding *bindings, uint32_t n, uint64_t ticket)
{
    struct hd_bytes_out out;
    unsigned bucket = hd_hash_bucket(account->hash);

    if (n == 0)
        return evt_record_remove(shard, EVT_RECORD_BINDINGS, bucket, account->hash, ticket);
    begin(shard, &out, shard->record_memory, sizeof(shard->record_memory));
    hd_bytes_put_slice(&out, account->key);
    hd_bytes_put_u32(&out, n);
    for (uint32_t i = 0; i < n; i++) {
        hd_bytes_put_slice(&out, bindings[i].contact);
        hd_bytes_put_slice(&out, bindings[i].call_id);
        hd_bytes_put_u32(&out, bindings[i].cseq);
        hd_bytes_put_u16(&out, bindings[i].q);
        hd_bytes_put_u64(&out, bindings[i].expires_at_ms);
    }
    return put(shard, bucket, EVT_RECORD_BINDINGS, account->hash, &out, ticket);
}

enum hd_err
evt_record_remove(struct evt_shard *shard, enum evt_record_kind kind, unsigned bucket, uint64_t id,
                  uint64_t ticket)
{
    return shard->ports.store->put(shard->ports.store_context, shard->index, bucket, kind, id,
                                   hd_slice(NULL, 0), ticket);
}
