/* mail.h - what shards tell each other.  Private to event/; see core.h. */
#ifndef HD_EVENT_MAIL_H
#define HD_EVENT_MAIL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mailbox.h"
#include "event/shard.h"
#include "event/topic.h"

struct evt_packet;
struct evt_snapshot;

enum evt_mail_kind {
    EVT_MAIL_PACKET = 1, /* a message that this shard owns */
    EVT_MAIL_COUNT,      /* take the count of a nonce whose window is here, send back */
    EVT_MAIL_COUNTED,    /* and here it is back */
    EVT_MAIL_INTEREST,   /* a shard begins or ceases to mirror a resource */
    EVT_MAIL_SNAPSHOT,   /* a resource's new state */
    EVT_MAIL_STORED,     /* outcomes of the store */
    EVT_MAIL_OCTETS,     /* octets for a connection of this shard */
    EVT_MAIL_FAILED,     /* octets that could not be sent */
    EVT_MAIL_WATCH,      /* a home asks for the watchers of a resource, see watch.h */
    EVT_MAIL_TOLD,       /* and is told */
    EVT_MAIL_MERGED,     /* has the same SUBSCRIBE come by another way? */
    EVT_MAIL_JUDGED,     /* and the answer */
    EVT_MAIL_CALL,
    EVT_MAIL_DEVICE, /* a subscription that may end others of its device, see device.h */
    EVT_MAIL_ASK,    /* a request that came by no message, see ask.h */
    EVT_MAIL_ALIAS   /* a connection that its peer can be reached by, see alias.h */
};

/* Asked of the shard of the Call-ID's bucket, and sent back. */
struct evt_mail_merged {
    struct hd_mail mail;
    unsigned from;
    uint64_t identity, txn;
    uint32_t sub, generation;
    bool first; /* the answer: no other transaction has it */
};

struct evt_mail_interest {
    struct hd_mail mail;
    struct evt_mail_interest *next; /* kept by the home until it can be taken */
    unsigned from;
    bool on;
    bool signs; /* signs of life are wanted too */
    bool told;  /* that there is nothing, meanwhile */
    struct evt_topic_ends topic;
    char text[]; /* its strings */
};
struct evt_mail_snapshot {
    struct hd_mail mail;
    struct evt_snapshot *snapshot; /* a reference */
    bool alive;                    /* it is as it was, and a publisher gave a sign of life */
    struct evt_topic_ends topic;
    char text[]; /* its strings */
};
struct evt_mail_stored {
    struct hd_mail mail;
    size_t n;
    struct evt_outcome outcomes[];
};
struct evt_mail_octets {
    struct hd_mail mail;
    struct hd_flow flow;
    uint64_t owner;
    size_t n;
    char octets[];
};
struct evt_mail_failed {
    struct hd_mail mail;
    struct hd_flow flow;
    uint64_t owner;
};

struct evt_packet *evt_packet_new(const struct hd_flow *flow, struct hd_slice octets,
                                  struct hd_slice peer, uint64_t arrived_us);
void evt_post(struct evt_shard *shard, unsigned to, uint32_t kind, struct hd_mail *mail);
void evt_mail_free(struct hd_mail *mail);

#endif
