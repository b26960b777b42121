/* mail.c - what shards say to each other: values, references to immutable objects, packets that
 * change owner. */
#include <stdlib.h>

#include "event/core.h"

struct evt_packet *
evt_packet_new(const struct hd_flow *flow, struct hd_slice octets, struct hd_slice peer,
               uint64_t arrived_us)
{
    struct evt_packet *packet = malloc(sizeof(*packet) + octets.n + peer.n);
    if (!packet)
        return NULL;
    memset(packet, 0, sizeof(*packet));
    packet->flow = *flow;
    packet->arrived_us = arrived_us;
    packet->n = octets.n;
    memcpy(packet->octets, octets.p, octets.n);
    HD_ASSERT(peer.n <= UINT16_MAX);
    packet->n_peer = (uint16_t)peer.n;
    if (peer.n)
        memcpy(packet->octets + octets.n, peer.p, peer.n);
    return packet;
}

void
evt_post(struct evt_shard *shard, unsigned to, uint32_t kind, struct hd_mail *mail)
{
    HD_ASSERT(to < shard->count);
    mail->kind = kind;
    hd_mailbox_post(&shard->peers[to]->box, mail);
}

void
evt_watchers_free(struct evt_watcher *watchers)
{
    while (watchers) {
        struct evt_watcher *next = watchers->next;
        free(watchers);
        watchers = next;
    }
}

struct evt_gather {
    evt_gathered_f visit;
    void *context;
    struct evt_watcher *watchers;
    unsigned missing; /* answers that have not come */
};

/* One answer less to wait for: threads have stopped, so that the home's object may be touched. */
static void
gather_drop(struct evt_mail_gather *mail)
{
    struct evt_gather *gather = mail->gather;

    evt_watchers_free(mail->watchers);
    if (--gather->missing > 0)
        return;
    evt_watchers_free(gather->watchers);
    free(gather);
}

/* Frees a mail that will not be handled: the receiver is going away. */
void
evt_mail_free(struct hd_mail *mail)
{
    switch ((enum evt_mail_kind)mail->kind) {
    case EVT_MAIL_SNAPSHOT:
        evt_snapshot_unref(((struct evt_mail_snapshot *)(void *)mail)->snapshot);
        break;
    case EVT_MAIL_GATHER:
    case EVT_MAIL_GATHERED:
        gather_drop((struct evt_mail_gather *)(void *)mail);
        break;
    case EVT_MAIL_CALL: {
        struct evt_call *call = (struct evt_call *)(void *)mail;
        if (call->done)
            call->done(call);
        return; /* belongs to who posted it */
    }
    case EVT_MAIL_PACKET:
    case EVT_MAIL_COUNT:
    case EVT_MAIL_COUNTED:
    case EVT_MAIL_INTEREST:
    case EVT_MAIL_STORED:
    case EVT_MAIL_OCTETS:
    case EVT_MAIL_FAILED:
    case EVT_MAIL_MERGED:
    case EVT_MAIL_JUDGED:
        break;
    }
    free(mail);
}

enum hd_err
evt_stored_post(struct evt_shard *shard, const struct evt_outcome *outcomes, size_t n)
{
    struct evt_mail_stored *mail = malloc(sizeof(*mail) + n * sizeof(*outcomes));
    if (!mail)
        return HD_ENOMEM;
    mail->mail.kind = EVT_MAIL_STORED;
    mail->n = n;
    memcpy(mail->outcomes, outcomes, n * sizeof(*outcomes));
    hd_mailbox_post(&shard->box, &mail->mail);
    return HD_OK;
}

void
evt_call_post(struct evt_shard *shard, struct evt_call *call)
{
    call->mail.kind = EVT_MAIL_CALL;
    hd_mailbox_post(&shard->box, &call->mail);
}

/* --- gathering the watchers of a resource ---------------------------------------------------- */

enum hd_err
evt_gather_start(struct evt_shard *shard, struct hd_slice key, struct hd_slice package,
                 evt_gathered_f visit, void *context)
{
    struct evt_mail_gather *mails[EVT_MAX_SHARDS] = { NULL };
    struct evt_gather *gather = calloc(1, sizeof(*gather));
    enum hd_err err = HD_ENOMEM;

    if (!gather)
        goto out;
    for (unsigned i = 0; i < shard->count; i++) {
        mails[i] = calloc(1, sizeof(*mails[i]) + key.n + package.n);
        if (!mails[i])
            goto out;
    }
    gather->visit = visit;
    gather->context = context;
    gather->missing = shard->count;
    for (unsigned i = 0; i < shard->count; i++) {
        mails[i]->gather = gather;
        mails[i]->home = shard->index;
        mails[i]->key_n = key.n;
        mails[i]->package_n = package.n;
        memcpy(mails[i]->text, key.p, key.n);
        memcpy(mails[i]->text + key.n, package.p, package.n);
        evt_post(shard, i, EVT_MAIL_GATHER, &mails[i]->mail);
        mails[i] = NULL;
    }
    gather = NULL;
    err = HD_OK;
out:
    for (unsigned i = 0; i < shard->count; i++)
        free(mails[i]);
    free(gather);
    return err;
}

/* A shard's answer: its subscriptions of the resource.  What memory does not hold is left out, the
 * answer always goes back. */
void
evt_gather_answer(struct evt_shard *shard, struct evt_mail_gather *mail)
{
    struct hd_slice key = hd_slice(mail->text, mail->key_n);
    struct hd_slice package = hd_slice(mail->text + mail->key_n, mail->package_n);
    struct evt_mirror *mirror = evt_mirror_find(shard, key, package);

    for (uint32_t i = 0; mirror && i < mirror->n_subs; i++) {
        if (mirror->subs[i] == EVT_NONE)
            continue;
        const struct evt_sub *sub = evt_sub_at(shard, mirror->subs[i]);
        struct hd_slice name = evt_texts_get(sub->texts, EVT_TEXT_WATCHER);
        struct evt_watcher *watcher = malloc(sizeof(*watcher) + name.n);
        if (!watcher)
            break;
        watcher->id = sub->id;
        watcher->state = (enum evt_sub_state)sub->state;
        watcher->n = name.n;
        memcpy(watcher->watcher, name.p, name.n);
        watcher->next = mail->watchers;
        mail->watchers = watcher;
    }
    evt_post(shard, mail->home, EVT_MAIL_GATHERED, &mail->mail);
}

void
evt_gather_collect(struct evt_shard *shard, struct evt_mail_gather *mail)
{
    struct evt_gather *gather = mail->gather;
    struct evt_watcher **end = &mail->watchers;

    (void)shard;
    while (*end)
        end = &(*end)->next;
    *end = gather->watchers;
    gather->watchers = mail->watchers;
    free(mail);
    if (--gather->missing > 0)
        return;
    gather->visit(gather->context, gather->watchers);
    evt_watchers_free(gather->watchers);
    free(gather);
}
