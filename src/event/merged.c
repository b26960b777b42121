/* merged.c - the same request by two ways, after a fork upstream: the first is served, the others
 * are 482 (RFC 3261 section 8.2.2.2).
 *
 * What they have in common is From tag, Call-ID, CSeq, and who sent them: phones that were switched
 * on in the same second may draw the same random numbers (Twinkle 1.10 does).  It is noted when a
 * request is about to be accepted, in the ring of answers, for 64*T1.  PUBLISH and REGISTER meet at
 * their resource's home.  A SUBSCRIBE lives where its peer's packets arrive, so the shard of its
 * Call-ID's bucket is asked by mail while the store works: it is applied when both have said yes,
 * and nobody waits longer than for the slower of the two. */
#include <stdlib.h>

#include "event/core.h"

static uint64_t
identity_of(const struct evt_shard *shard, const struct sip_msg *msg, struct hd_slice sender)
{
    const struct hd_hash_key *key = &shard->keys.table;
    uint64_t hash = hd_hash_mix(hd_hash(key, msg->call_id), hd_hash(key, msg->from_tag));

    hash = hd_hash_mix(hash, (uint64_t)msg->cseq.number << 8 | (uint64_t)msg->method);
    return hd_hash_mix(hash, hd_hash(key, sender));
}

static unsigned
owner_of(const struct evt_shard *shard, const struct sip_msg *msg)
{
    return hd_bucket_shard(hd_hash_bucket(hd_hash(&shard->keys.table, msg->call_id)), shard->count);
}

bool
evt_merged_here(const struct evt_shard *shard, const struct sip_msg *msg)
{
    return owner_of(shard, msg) == shard->index;
}

bool
evt_merged(struct evt_shard *shard, struct evt_request *request)
{
    struct hd_slice sender = hd_slice(request->identity.key, request->identity.key_len);

    if (evt_ring_first(shard, identity_of(shard, request->msg, sender), request->txn))
        return false;
    evt_refuse(shard, request, 482, HD_LIT("Merged Request"));
    return true;
}

/* When memory is short nobody is asked: a fork that is not found out is no harm but a second
 * subscription. */
void
evt_merged_ask(struct evt_shard *shard, struct evt_sub *sub, const struct sip_msg *msg)
{
    struct hd_handle handle = hd_table_handle(&shard->subs, sub->index);
    struct evt_mail_merged *mail = calloc(1, sizeof(*mail));

    if (!mail)
        return;
    mail->from = shard->index;
    mail->identity = identity_of(shard, msg, evt_texts_get(sub->texts, EVT_TEXT_WATCHER));
    mail->txn = sub->change->done.txn;
    mail->sub = sub->index;
    mail->generation = handle.generation;
    sub->change->asked = true;
    evt_post(shard, owner_of(shard, msg), EVT_MAIL_MERGED, &mail->mail);
}

void
evt_merged_judge(struct evt_shard *shard, struct evt_mail_merged *mail)
{
    mail->first = evt_ring_first(shard, mail->identity, mail->txn);
    evt_post(shard, mail->from, EVT_MAIL_JUDGED, &mail->mail);
}

void
evt_merged_judged(struct evt_shard *shard, struct evt_mail_merged *mail)
{
    struct hd_handle handle = { .index = mail->sub, .generation = mail->generation };
    struct evt_sub *sub = hd_table_find(&shard->subs, handle);

    if (sub && sub->change && sub->change->asked && sub->change->done.txn == mail->txn) {
        sub->change->asked = false;
        sub->change->merged = !mail->first;
        if (sub->change->stored)
            evt_sub_stored(shard, sub, sub->change->err);
    }
    free(mail);
}
