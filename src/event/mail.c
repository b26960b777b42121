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

/* Frees a mail that will not be handled: the receiver is going away. */
void
evt_mail_free(struct hd_mail *mail)
{
    switch ((enum evt_mail_kind)mail->kind) {
    case EVT_MAIL_SNAPSHOT:
        evt_snapshot_unref(((struct evt_mail_snapshot *)(void *)mail)->snapshot);
        break;
    case EVT_MAIL_TOLD:
        evt_told_free(((struct evt_mail_told *)(void *)mail)->list);
        break;
    case EVT_MAIL_CALL: {
        struct evt_call *call = (struct evt_call *)(void *)mail;
        if (call->done)
            call->done(call);
        return; /* belongs to who posted it */
    }
    case EVT_MAIL_ASK:
        evt_ask_refuse(HD_CONTAINER(mail, struct evt_ask, mail), 503, HD_LIT("Server Is Stopping"),
                       1);
        return;
    case EVT_MAIL_PACKET:
    case EVT_MAIL_COUNT:
    case EVT_MAIL_COUNTED:
    case EVT_MAIL_INTEREST:
    case EVT_MAIL_WATCH:
    case EVT_MAIL_STORED:
    case EVT_MAIL_OCTETS:
    case EVT_MAIL_FAILED:
    case EVT_MAIL_MERGED:
    case EVT_MAIL_JUDGED:
    case EVT_MAIL_DEVICE:
    case EVT_MAIL_ALIAS:
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
