/* record.h - what the store keeps of a subscription, a publication, a registration, and of what was
 * seen.
 *
 * Every record begins with its version and is read as strictly as a message from outside: a length
 * that does not fit, a value out of range or octets left over refuse the whole record.  Durations
 * are what was left when the record was written. Slices of a record that was read point into its
 * octets. */
#ifndef HD_EVENT_RECORD_H
#define HD_EVENT_RECORD_H

#include "base/addr.h"
#include "base/bytes.h"
#include "base/slice.h"
#include "event/topic.h"
#include "sip/rate.h"

#define EVT_RECORD_VERSION 1u
#define EVT_RECORD_SEEN_MOST 4096u       /* exceptions in one record */
#define EVT_RECORD_LAST_MOST 8192u       /* octets of a document that was sent last */
#define EVT_RECORD_CSEQ_MOST 0x7ff00000u /* with a leap below 2^31 (RFC 3261 8.1.1.5) */

struct evt_stored_done {
    uint64_t txn;
    uint32_t expires_s, etag; /* etag: of a subscription 1: answered 204 */
};

struct evt_stored_sub {
    uint64_t left_ms; /* of the granted duration, or of its lingering when it is over */
    uint64_t born;    /* the how manieth of its shard */
    uint8_t state, transform, types;
    uint8_t proof; /* enum evt_proof */
    bool direct, proven, authenticated, has_event_id, approved;
    bool named;                                        /* way is where its next hop's name led */
    uint32_t cseq_local, cseq_remote, branch, version; /* as they were when it was written */
    uint32_t start;                                    /* in which start of the broker that was */
    struct evt_stored_done done[2];
    struct hd_flow came, way;
    struct hd_slice key, package;
    struct hd_slice texts[8]; /* enum evt_text */
    struct hd_slice filter;   /* its source; empty: none */
    uint32_t filter_seq, filter_count;
    uint32_t fired, cleared, fired_cseq, fired_branch; /* a firing that is being told */
    bool met;                                          /* the dialogs that it chooses were there */
    bool apart;                                        /* it has conditions of its own */
    bool has_last;
    struct hd_slice last_type, last_body; /* what was sent last; both empty: nothing */
    uint64_t device;                      /* evt_device_hash(); 0: none */
    bool rated;
    struct sip_rates rates; /* as they were asked for */
    uint64_t quiet_ms;      /* between the last NOTIFY and the writing */
    uint64_t match;         /* Suppress-If-Match in force */
    uint8_t priority;       /* Resource-Priority, see sip/priority.h */
};

/* Conditions of one filter in one shard, and their last firing. */
struct evt_stored_cond {
    unsigned shard, shards;
    uint8_t transform;
    uint32_t seq, fired, cleared, on;
    struct evt_topic topic; /* what their mirror shows */
    struct hd_slice filter, state;
    uint64_t apart; /* the subscription that has them for itself; 0: they are shared */
};

struct evt_stored_pub {
    uint64_t left_ms;
    uint64_t order; /* the greater, the newer among the publications of a resource */
    bool gone;
    uint8_t priority; /* of what made its document */
    struct evt_stored_done done[2];
    struct hd_slice key, package, publisher, type, body;
};

struct evt_stored_binding {
    uint64_t left_ms;
    uint32_t cseq;
    uint16_t q;
    uint64_t txn;
    struct hd_slice contact, call_id;
    struct hd_slice params, path;
    uint64_t id, held_ms; /* held: since it was made */
    uint64_t gruu_nonce;
    uint32_t gruu_order, gruu_generation, reg_id;
    uint8_t event; /* enum evt_reg_event */
};
struct evt_stored_account {
    struct hd_slice key;
    uint64_t txn[2]; /* of the last requests, the newest first */
    uint32_t n;
    struct hd_bytes_in rest; /* bindings, by evt_stored_binding_next */
};

/* The newest state that a shard's subscriptions of a resource have acknowledged, but for
 * exceptions. */
struct evt_stored_seen {
    unsigned shard, shards; /* whose: subscriptions with these buckets are meant */
    uint64_t born;          /* those made later have not seen it */
    uint64_t content;       /* evt_content() of the state */
    struct evt_topic topic; /* what their mirror shows */
    uint32_t n;
    struct hd_bytes_in rest; /* ids of the exceptions, eight octets each */
};

/* A subscription that ended before anybody decided about it. */
struct evt_stored_waiting {
    uint64_t left_ms;
    uint64_t watched; /* id of the subscription that it was */
    uint8_t proof;    /* enum evt_proof */
    struct hd_slice key, package, watcher, name;
};

/** HD_OK; HD_EVERSION written by a newer herald; HD_ESYNTAX. */
HD_NODISCARD enum hd_err evt_stored_sub_read(struct hd_slice record,
                                             struct evt_stored_sub *ret_sub);
HD_NODISCARD enum hd_err evt_stored_pub_read(struct hd_slice record,
                                             struct evt_stored_pub *ret_pub);
HD_NODISCARD enum hd_err evt_stored_account_read(struct hd_slice record,
                                                 struct evt_stored_account *ret_account);
/** The next of account->n bindings; HD_ESYNTAX. */
HD_NODISCARD enum hd_err evt_stored_binding_next(struct evt_stored_account *account,
                                                 struct evt_stored_binding *ret_binding);
HD_NODISCARD enum hd_err evt_stored_waiting_read(struct hd_slice record,
                                                 struct evt_stored_waiting *ret_waiting);
HD_NODISCARD enum hd_err evt_stored_cond_read(struct hd_slice record,
                                              struct evt_stored_cond *ret_cond);
HD_NODISCARD enum hd_err evt_stored_seen_read(struct hd_slice record,
                                              struct evt_stored_seen *ret_seen);

#endif
