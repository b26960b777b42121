/* core.h - the records of one shard and the functions that its modules call among each other.
 * Private to event/.
 *
 * Who owns what: a shard owns everything in its tables.  Mails carry values, references to
 * immutable objects, or ownership of a packet; no pointer into a table ever leaves its shard.
 *
 *     resource (home shard)   publications, the newest snapshot, which shards are interested
 *     mirror                  the newest snapshot as this shard knows it, its subscriptions, the
 *                             rendered views
 *     subscription            dialog, state, the NOTIFY in flight, the last two answers
 *     hop                     where NOTIFYs of one or many subscriptions go: flow, window, proof
 */
#ifndef HD_EVENT_CORE_H
#define HD_EVENT_CORE_H

#include <assert.h>

#include "base/arena.h"
#include "base/id.h"
#include "base/map.h"
#include "base/table.h"
#include "base/tally.h"
#include "base/wheel.h"
#include "event/alias.h"
#include "event/ask.h"
#include "event/binding.h"
#include "event/by_watcher.h"
#include "event/chosen.h"
#include "event/condition.h"
#include "event/device.h"
#include "event/hop.h"
#include "event/kept.h"
#include "event/mail.h"
#include "event/priority.h"
#include "event/rate.h"
#include "event/recorder.h"
#include "event/recording.h"
#include "event/request.h"
#include "event/shard.h"
#include "event/snapshot.h"
#include "event/suppress.h"
#include "event/topic.h"
#include "event/watch.h"
#include "sip/header.h"
#include "sip/reply.h"
#include "sip/txn.h"

#define EVT_SHARD_MAGIC 0x45534852u
#define EVT_SUB_MAGIC 0x45535542u
#define EVT_PUB_MAGIC 0x45505542u
#define EVT_MIRROR_MAGIC 0x454d4952u
#define EVT_RESOURCE_MAGIC 0x45524553u
#define EVT_ACCOUNT_MAGIC 0x45414343u
#define EVT_WAITING_MAGIC 0x45574149u

#define EVT_PUBLISHED_MAX 256u /* publications of one resource that are composed */
#define EVT_REPLY_MAX 16384    /* octets of the largest answer */
#define EVT_SEEN_NOTHING 0     /* in the place of a snapshot's number: none that he sees */
#define EVT_LINGER_MS SIP_TIMER_F_MS

/* Which object embeds a timer. */
enum evt_timer_kind {
    EVT_TIMER_SUB = 1,
    EVT_TIMER_PUB,
    EVT_TIMER_ACCOUNT,
    EVT_TIMER_WATCH,
    EVT_TIMER_WAITING,
    EVT_TIMER_COND
};

enum evt_queued {
    EVT_QUEUED_NOT = 0,
    EVT_QUEUED_READY,
    EVT_QUEUED_HOP,
    EVT_QUEUED_HOP_FIRST /* among those of the hop that go first */
};

/* --- subscriptions (sub.c, kick.c, judge.c, subscribe.c, notify.c) --------------------------- */

/* Notifier's view of a subscription (RFC 6665 section 4.2.2).
 *   INIT    -> PENDING      evt_sub_apply       policy: confirm
 *   INIT    -> ACTIVE       evt_sub_apply       policy: allow, polite
 *   PENDING -> ACTIVE       evt_sub_judge       the rule changed
 *   any     -> TERMINATED   evt_sub_terminate   final NOTIFY owed or silent, reason kept */
enum evt_sub_state { EVT_SUB_INIT = 0, EVT_SUB_PENDING, EVT_SUB_ACTIVE, EVT_SUB_TERMINATED };

/* Reasons of RFC 6665 section 4.2.2, and the silent ends. */
enum evt_reason {
    EVT_REASON_NONE = 0,
    EVT_REASON_DEACTIVATED,
    EVT_REASON_PROBATION,
    EVT_REASON_REJECTED,
    EVT_REASON_TIMEOUT,
    EVT_REASON_GIVEUP,
    EVT_REASON_NORESOURCE,
    EVT_REASON_INVARIANT,
    EVT_REASON_SILENT,    /* the subscriber is gone: nobody to tell */
    EVT_REASON_SUPERSEDED /* his device has a newer one: nobody is told */
};
struct hd_slice evt_reason_name(enum evt_reason reason);

/* Strings of a subscription. */
enum evt_text {
    EVT_TEXT_CALL_ID = 0,
    EVT_TEXT_REMOTE, /* From of the SUBSCRIBE, tag included: To of our NOTIFY */
    EVT_TEXT_REMOTE_TAG,
    EVT_TEXT_LOCAL,  /* To of the SUBSCRIBE without tag: From of our NOTIFY */
    EVT_TEXT_TARGET, /* remote target URI */
    EVT_TEXT_ROUTE,  /* route set */
    EVT_TEXT_EVENT_ID,
    EVT_TEXT_WATCHER, /* canonical identity */
    EVT_TEXT_COUNT
};
/* All of them in one block: where each ends (of as many as there are, the usual ones first), then
 * their octets.  What stands in another one or in the mirror's key is not kept twice.  Folds are
 * written as one blank. */
struct evt_texts {
    uint16_t tag_at, watcher_at; /* in REMOTE, when the length is not 0 */
    uint8_t tag_n, watcher_n;
    uint8_t n; /* ends */
    bool has_event_id : 1;
    bool local_is_key : 1; /* LOCAL is the mirror's key in angle brackets */
    bool has_password : 1; /* a URI in them has one */
    unsigned proof : 3;    /* enum evt_proof: of the watcher */
    uint16_t ends[];
};
struct evt_mirror;
struct sip_hop;
/** A string, borrowed; not LOCAL. */
struct hd_slice evt_texts_get(const struct evt_texts *texts, enum evt_text which);
/** LOCAL, borrowed from texts or mirror. */
struct hd_slice evt_texts_local(const struct evt_texts *texts, const struct evt_mirror *mirror);
/** All of them, borrowed from texts and mirror. */
void evt_texts_all(const struct evt_texts *texts, const struct evt_mirror *mirror,
                   struct hd_slice ret_pieces[EVT_TEXT_COUNT]);
/** Octets of all strings that are kept. */
size_t evt_texts_size(const struct evt_texts *texts);
/** key: of the mirror that they will belong to.  NULL when memory is short or they are too long. */
struct evt_texts *evt_texts_new(const struct hd_slice pieces[EVT_TEXT_COUNT], bool has_event_id,
                                uint8_t proof, struct hd_slice key);

/* A NOTIFY transaction (RFC 3261 17.1.2): all that a retransmission needs to be identical. */
struct evt_flight {
    uint64_t snapshot; /* number shown */
    struct evt_snapshot
        *event; /* delivery every: goes back to the queue when it fails; else NULL */
    struct evt_view *view;
    uint64_t next_ms;      /* Timer E, UINT64_MAX on reliable transports */
    uint64_t deadline_ms;  /* Timer F */
    uint64_t tcp_until_ms; /* a large one tried over TCP: when to fall back, 0: not so */
    uint32_t interval_ms;
    uint32_t branch, cseq, version, expires_s, retry_after_s;
    uint8_t state, reason;
    uint8_t way;      /* of its hop when it left */
    uint8_t priority; /* said in Resource-Priority, SIP_PRIORITY_NONE: not */
    bool bare;        /* its body is suppressed (RFC 5839) */
    bool counted;     /* against the hop's window */
    bool left;        /* it has been sent */
    bool on_udp;      /* it left as a datagram: so do its repetitions */
    bool on_conn;     /* in the list of its connection's hop: next and previous subscription */
    uint32_t next_on_conn, prev_on_conn;
    struct evt_flight *next_free;
};

enum evt_change_kind { EVT_CHANGE_CREATE = 1, EVT_CHANGE_REFRESH, EVT_CHANGE_END };

/* A change of a subscription that waits for the store. */
struct evt_sub_change {
    enum evt_change_kind kind;
    struct evt_done done; /* how the request will be answered */
    struct evt_head *head;
    struct evt_texts *texts; /* new ones, or NULL: as they are */
    uint64_t started_ms;
    uint32_t judged;    /* the shard's configurations when the rules were asked */
    uint32_t rule;      /* that decided then */
    uint32_t ends;      /* the shard's when it began */
    uint32_t came, hop; /* how it came, and the next hop: references */
    uint32_t cseq;
    uint8_t state, transform, types;
    uint8_t priority;
    bool direct;
    bool trying_sent;
    bool asked;  /* whether it is merged: the answer is not here yet */
    bool merged; /* it is: another one was first */
    bool stored; /* the store's word came before that answer: err */
    enum hd_err err;
    bool refilters;                /* the filter is another */
    struct evt_filtered *filtered; /* then: it, or NULL: none */
    struct evt_rated *rated;       /* the rates that it asks for; NULL: none */
    uint64_t match;                /* its Suppress-If-Match, see suppress.h */
};

/* Events that wait for a subscription of a package with delivery every. */
struct evt_queue {
    uint32_t n, first, cap;
    uint32_t dropped;
    uint32_t urgent; /* of them: with Resource-Priority */
    struct evt_snapshot *ring[];
};

/* What few subscriptions have, and those not for long. */
struct evt_sub_rare {
    struct evt_packet *waiting, **waiting_end; /* behind a change under way */
    uint32_t n_waiting;
    struct evt_queue *queue;
    struct evt_filtered *filtered; /* NULL: everything is told (condition.c) */
    uint64_t device;               /* of packages whose devices have one subscription; 0: none */
    bool device_noted, device_ordered; /* see device.c */
    struct evt_rated *rated;           /* NULL: no rates were asked for (rate.c) */
    uint64_t match;                    /* Suppress-If-Match in force (suppress.c) */
    uint8_t priority;                  /* Resource-Priority of the last SUBSCRIBE (priority.c) */
    uint8_t parting; /* of the state whose end a polite block looks like, as that would say it */
    uint32_t first_place; /* among the mirror's firsts, EVT_NONE: not there */
};

struct evt_sub {
    unsigned magic;
    uint32_t index;
    /* what fan-out reads */
    uint8_t state, reason, transform;
    uint8_t types; /* of the package's types: those that the subscriber takes, a bit each */
    uint32_t backoff_s : 17;
    uint32_t queued : 2; /* enum evt_queued: in the ready list or in its hop's */
    bool
        owed : 1; /* a NOTIFY that does not wait: to a SUBSCRIBE, a change of state, the last one */
    bool again : 1;    /* the last NOTIFY failed: the whole state is to be sent again */
    bool restored : 1; /* since the restart, or in this mirror, no snapshot came: seen names what he
                          has by its content, again says that he is to be judged when one comes */
    bool stored : 1;   /* the store holds a record of it */
    bool in_mirror : 1; /* has a place in the mirror's list */
    bool lingering : 1; /* over: kept for retransmissions only */
    bool parked : 1;
    bool fetch : 1;
    bool tombstone : 1;     /* over, and the store holds a record for repetitions of its end */
    bool direct : 1;        /* no proxy between us */
    bool whole : 1;         /* its versions made a leap: the next document is no partial one */
    bool approved : 1;      /* it was pending once */
    uint16_t leased : 14;   /* NOTIFYs until it is kept anew; EVT_LEASE: none went */
    uint16_t quiet : 2;     /* which of the requests in done_txn were answered 204, a bit each */
    uint16_t retry_after_s; /* with EVT_REASON_PROBATION and GIVEUP */
    uint32_t mirror, place, hop;
    uint32_t came; /* a hop: how the last SUBSCRIBE came; its local address is in our Contact */
    uint32_t last_sent_ms; /* lower bits of the clock, 0: never */
    uint64_t seen;         /* snapshot number of the last NOTIFY that was sent, EVT_SEEN_NOTHING */
    struct evt_flight *flight;
    uint64_t hold_until_ms; /* back-off, parked or route delay */
    uint32_t next_queued, prev_queued;
    uint32_t cseq_local, cseq_remote;
    uint32_t branch;        /* of the last NOTIFY */
    uint32_t target_branch; /* the first NOTIFY to the current target behind what was answered */
    uint32_t version;
    /* cold */
    uint32_t call_hash;
    uint64_t id;
    uint64_t born; /* which of its shard's subscriptions, in the order of their making */
    uint64_t expires_at_ms;
    struct hd_timer timer;
    struct evt_texts *texts;
    struct evt_sub_change *change;
    struct evt_sub_rare *rare; /* NULL, as a rule */
    uint64_t done_txn[2];      /* requests that were answered 200, the newest first; 0: none */
    uint32_t done_expires_s[2];
};
/* A million of them: see bench/RESULTS.md before it grows, and hang what few have off rare. */
static_assert(sizeof(struct evt_sub) <= 192, "what every subscription costs");

/** The branch of its next NOTIFY, which uses up a little of what may go before it is kept anew. */
static inline uint32_t
evt_sub_branch(struct evt_sub *sub)
{
    if (sub->leased)
        sub->leased--;
    return ++sub->branch;
}

/** Makes sure that there is one; NULL when memory is short. */
struct evt_sub_rare *evt_sub_rare(struct evt_sub *sub);
/** It goes as soon as there is nothing in it. */
void evt_sub_rare_settle(struct evt_sub *sub);
static inline struct evt_packet *
evt_sub_first_waiting(const struct evt_sub *sub)
{
    return sub->rare ? sub->rare->waiting : NULL;
}
static inline struct evt_filtered *
evt_sub_filtered(const struct evt_sub *sub)
{
    return sub->rare ? sub->rare->filtered : NULL;
}
static inline bool
evt_sub_has_events(const struct evt_sub *sub)
{
    return sub->rare && sub->rare->queue && sub->rare->queue->n > 0;
}

struct evt_sub *evt_sub_at(struct evt_shard *shard, uint32_t index);
struct evt_sub *evt_sub_find(struct evt_shard *shard, uint64_t id);
/** A record in state INIT with its maps; NULL with *ret_err HD_EFULL or HD_ENOMEM.  texts are taken
 * on success. */
struct evt_sub *evt_sub_new(struct evt_shard *shard, uint64_t id, struct evt_texts *texts,
                            uint32_t call_hash, enum hd_err *ret_err);
/** Under what a dialog's subscriptions are found by Call-ID and the tag of From. */
uint32_t evt_sub_call_hash(const struct evt_shard *shard, struct hd_slice call_id,
                           struct hd_slice from_tag);
void evt_sub_free(struct evt_shard *shard, struct evt_sub *sub);
/** Ends a subscription: reason SILENT sends nothing, others owe a last NOTIFY. */
void evt_sub_terminate(struct evt_shard *shard, struct evt_sub *sub, enum evt_reason reason,
                       uint32_t retry_after_s);
/** Ends it as the subscriber asked, who needs no NOTIFY to know it (RFC 5839 section 6.3). */
void evt_sub_end_quietly(struct evt_shard *shard, struct evt_sub *sub);
/** Starts, keeps or moves the one timer to the nearest deadline. */
void evt_sub_rearm(struct evt_shard *shard, struct evt_sub *sub);
void evt_sub_fired(struct evt_shard *shard, struct evt_sub *sub);
/** Judges it by the rules in force; a stored change of state follows. */
void evt_sub_judge(struct evt_shard *shard, struct evt_sub *sub);
/** Whether the decision that was asked for last begins or ends a polite block of somebody who
 * watches: he is to see a change of the state, and no decision. */
bool evt_sub_is_turn(const struct evt_shard *shard, const struct evt_sub *sub, uint8_t state,
                     uint8_t transform);
/** A line for the audit trail. */
void evt_audit_note(struct evt_shard *shard, const struct evt_sub *sub, enum evt_audited what,
                    uint32_t rule);
/** It begins, pending or active, or goes from one to the other; its watched resource's home is
 * told. */
void evt_sub_enter(struct evt_shard *shard, struct evt_sub *sub, uint8_t state);
bool evt_sub_verdict(const struct evt_verdict *verdict, const struct evt_package *package,
                     uint8_t *ret_state, uint8_t *ret_transform);
/** Takes it to the mirror that has what a transform shows, before it gets that.  HD_ENOMEM: it is
 * where it was. */
HD_NODISCARD enum hd_err evt_sub_move(struct evt_shard *shard, struct evt_sub *sub,
                                      uint8_t transform);
/** Whose own entry he is to see who gets this transform; empty: not his own alone. */
static inline struct hd_slice
evt_own_of(struct hd_slice watcher, uint8_t transform)
{
    return transform == EVT_SEE_OWN ? watcher : hd_slice(NULL, 0);
}
/** What the rules in force say of a subscription; false: it is refused. */
bool evt_sub_ask(struct evt_shard *shard, const struct evt_sub *sub, uint8_t *ret_state,
                 uint8_t *ret_transform);
/** Sends what may be sent now, or arranges for later. */
void evt_sub_kick(struct evt_shard *shard, struct evt_sub *sub);
/** After anything happened to it: sends what may be sent, settles what is over, sets the timer. */
void evt_sub_finish(struct evt_shard *shard, struct evt_sub *sub);
void evt_sub_owe(struct evt_shard *shard, struct evt_sub *sub);
/* Events that each matter (queue.c). */
void evt_sub_queue_event(struct evt_shard *shard, struct evt_sub *sub,
                         struct evt_snapshot *snapshot);
/** An event whose NOTIFY was not acknowledged comes first again; takes it. */
void evt_queue_give_back(struct evt_shard *shard, struct evt_sub *sub, struct evt_snapshot *event);
/** The oldest, with its reference; NULL: none waits. */
struct evt_snapshot *evt_queue_take(const struct evt_sub *sub);
void evt_queue_free(struct evt_sub *sub);
/** None waits any more: he may not see them. */
void evt_queue_clear(struct evt_sub *sub);
/** Forgets the NOTIFY in flight: failed: it was not answered 2xx, so that an event goes back to its
 * queue. */
void evt_sub_drop_flight(struct evt_shard *shard, struct evt_sub *sub, bool failed);
void evt_notify_send(struct evt_shard *shard, struct evt_sub *sub);
/** Takes back the NOTIFY in flight if nothing of it has left yet: another one is owed in its place.
 */
void evt_notify_recall(struct evt_shard *shard, struct evt_sub *sub);
/** What a NOTIFY shows that is sent now: a transformation. */
uint8_t evt_notify_sees(struct evt_shard *shard, const struct evt_sub *sub);
/** Handles what waited behind a change that is over. */
void evt_sub_waiting(struct evt_shard *shard, struct evt_sub *sub);
void evt_sub_apply(struct evt_shard *shard, struct evt_sub *sub);
void evt_sub_stored(struct evt_shard *shard, struct evt_sub *sub, enum hd_err err);
/** Sends again the NOTIFY in flight, over the way that is due. */
void evt_notify_timer(struct evt_shard *shard, struct evt_sub *sub);
void evt_notify_response(struct evt_shard *shard, const struct sip_msg *msg,
                         const struct hd_flow *flow, struct evt_sub *sub, uint32_t branch);
void evt_notify_send_failed(struct evt_shard *shard, struct evt_sub *sub,
                            const struct hd_flow *flow);
/** What a subscription without a dialog was told has arrived. */
void evt_notify_taken(struct evt_shard *shard, struct evt_sub *sub, uint32_t branch);
bool evt_uri_is_sips(struct hd_slice uri);
bool evt_flow_is_secure(const struct hd_flow *flow);
/** Whether the NOTIFYs of a dialog are secure, and so our Contact in it is a sips URI: where the
 * remote target or the first of the route set is one (RFC 3261 sections 8.1.1.8 and 12.1.1).
 * @param hop  as sip_dialog_hop made it; without a route set the target alone decides */
bool evt_notify_is_secure(const struct sip_hop *hop, struct hd_slice target);
/** Whether a URI can be a remote target. */
bool evt_notify_reaches(struct hd_slice target);
/* What says where the NOTIFYs of a subscription go. */
struct evt_notified {
    const struct hd_flow *came; /* how the SUBSCRIBE came */
    bool direct;                /* and from the subscriber himself, see evt_direct */
    struct hd_slice route, target, watcher;
};
/** Where they go; ret_way borrows from route and target.  HD_ENOMATCH: nowhere that can be reached;
 * HD_ENOTSUP: sips, and it came in the clear; HD_ESYNTAX. */
HD_NODISCARD enum hd_err evt_notify_flow(struct evt_shard *shard, const struct evt_notified *to,
                                         struct evt_way *ret_way);
/** The flow to an address from where a SUBSCRIBE came; false: no listener of ours fits. */
bool evt_notify_flow_to(struct evt_shard *shard, const struct hd_flow *came,
                        enum hd_transport transport, const struct hd_addr *addr,
                        struct hd_flow *ret_flow);
/** Which transports of a name can be used from there. */
void evt_notify_transports(struct evt_shard *shard, const struct hd_flow *came,
                           struct evt_name *name);
/** Its next hop cannot be found: as when its connection is refused. */
void evt_notify_unreachable(struct evt_shard *shard, struct evt_sub *sub);
/** Puts a subscription into the ready list or its hop's, behind all or behind those that go first;
 * takes it out of the one it is in. */
void evt_enqueue(struct evt_shard *shard, struct evt_sub *sub, enum evt_queued where, bool first);
void evt_dequeue(struct evt_shard *shard, struct evt_sub *sub);

/** Whether a subscription is told of nothing but what its conditions say. */
static inline bool
evt_sub_is_told(const struct evt_sub *sub)
{
    const struct evt_filtered *filtered = evt_sub_filtered(sub);

    return filtered && filtered->cond != EVT_NONE;
}

/** Whether a polite block began of which its NOTIFY has not been sent: for who sees states, not for
 * who waits for conditions. */
static inline bool
evt_sub_block_is_untold(const struct evt_sub *sub)
{
    return sub->transform == EVT_SEE_NEUTRAL && sub->seen == EVT_SEEN_NOTHING;
}

/** Whether it is for dialogs that its Event header names. */
static inline bool
evt_sub_chooses(const struct evt_sub *sub)
{
    const struct evt_filtered *filtered = evt_sub_filtered(sub);

    return filtered && filtered->filter->chooses;
}

/** Whether it waits for conditions of ours, which no pace and no rate holds back. */
static inline bool
evt_sub_alarms(const struct evt_sub *sub)
{
    return evt_sub_is_told(sub) && evt_sub_filtered(sub)->filter->own;
}

/* --- mirrors (mirror.c) ---------------------------------------------------------------------- */

/* The last few snapshots, from which partial documents can start. */
#define EVT_PAST_KEPT 8u
struct evt_past {
    uint32_t n, newest;
    struct evt_snapshot *ring[EVT_PAST_KEPT];
};

struct evt_shown;
struct evt_mirror {
    unsigned magic;
    uint32_t index;
    uint64_t hash;
    struct evt_config *config; /* keeps package alive */
    const struct evt_package *package;
    struct hd_slice key;           /* heap, between angle brackets */
    struct evt_snapshot *snapshot; /* NULL: asked, not here yet */
    struct evt_view *views;        /* of the current snapshot */
    struct evt_doc *neutral;       /* for EVT_SEE_NEUTRAL, made when first needed */
    struct evt_shown *shown;       /* what transformations leave of snapshots, the newest first */
    struct evt_past *past; /* of packages with partial documents: the snapshots before this one */
    bool formed;           /* somebody is shown a form of what is published */
    uint32_t members;      /* subscriptions that refer to it */
    uint32_t *subs;        /* places; EVT_NONE: free */
    uint32_t n_subs, cap_subs, free_places;
    uint32_t walk_at, walk_left; /* fan-out under way */
    bool walking;
    bool walking_first;
    bool leaving; /* nobody needs it, and memory was short for telling the home */
    bool seen_stored;
    bool watched;      /* the home wants to know who watches */
    bool by_watcher;   /* its subscriptions stand in the shard's sub_by_watcher */
    uint8_t watcher_n; /* octets behind the key: whose own entry it is; 0: all of the state */
    uint32_t next_walk, prev_walk;
    uint32_t seen_next, seen_prev; /* those with a record due, see seen.c */
    uint64_t seen_due_ms;          /* 0: none is due */
    uint64_t seen_sum;             /* of what was written last */
    uint32_t conds;                /* conditions of its subscriptions; EVT_NONE: none */
    uint32_t n_told;               /* subscriptions that these tell, and nothing else does */
    bool wants_signs;              /* the home tells signs of life */
    struct evt_firsts *firsts;     /* subscriptions with Resource-Priority; NULL: none */
};
/** Finds or makes the mirror and counts one member; asks the home when it is new.  NULL: HD_EFULL
 * or HD_ENOMEM.
 *  @param package  of the configuration in force
 *  @param watcher  who is shown his own entry alone; empty, as a rule: all of the state */
struct evt_mirror *evt_mirror_join(struct evt_shard *shard, struct hd_slice key,
                                   const struct evt_package *package, struct hd_slice watcher);
void evt_mirror_leave(struct evt_shard *shard, uint32_t mirror);
struct evt_mirror *evt_mirror_at(struct evt_shard *shard, uint32_t index);
/** What it shows; borrowed. */
struct evt_topic evt_mirror_topic(const struct evt_mirror *mirror);
struct evt_mirror *evt_mirror_of(struct evt_shard *shard, const struct evt_topic *topic);
/** The one for all of the state. */
struct evt_mirror *evt_mirror_find(struct evt_shard *shard, struct hd_slice key,
                                   struct hd_slice package);
/** The next of those that show watchers of a resource their own entries, from *at on, which goes
 * on; NULL: no more.  Looks at all mirrors, when there are any such. */
struct evt_mirror *evt_mirror_next_own(struct evt_shard *shard, uint32_t *at, struct hd_slice key,
                                       struct hd_slice package);
HD_NODISCARD enum hd_err evt_mirror_place(struct evt_shard *shard, struct evt_mirror *mirror,
                                          struct evt_sub *sub);
void evt_mirror_unplace(struct evt_shard *shard, struct evt_sub *sub);
/** Takes it to the mirror of the same resource and package for a watcher, or for all (watcher
 * empty), where it has seen nothing yet.  HD_ENOMEM: it is where it was. */
HD_NODISCARD enum hd_err evt_mirror_move(struct evt_shard *shard, struct evt_sub *sub,
                                         struct hd_slice watcher);
void evt_mirror_snapshot(struct evt_shard *shard, struct evt_mirror *mirror,
                         struct evt_snapshot *snapshot);
/** The view for a key, with a reference for the caller; NULL when memory is short.
 *  @param base  number of the snapshot that a partial document starts from, 0: whole */
struct evt_view *evt_mirror_view(struct evt_shard *shard, struct evt_mirror *mirror,
                                 struct evt_snapshot *snapshot, uint64_t base, uint8_t transform,
                                 uint8_t types, const struct evt_filter *filter);
/** Whether the newest snapshot shows something else through a transformation than the one of a
 * number; true when memory is short. */
bool evt_mirror_is_news(struct evt_shard *shard, struct evt_mirror *mirror, uint8_t transform,
                        uint64_t seen);
/** Whether the newest snapshot, which there is, shows the same through two transformations; false
 * when memory is short. */
bool evt_mirror_shows_same(struct evt_shard *shard, struct evt_mirror *mirror, uint8_t one,
                           uint8_t other);
/** A snapshot of a number that the mirror had before, borrowed; NULL: it is not known any more. */
struct evt_snapshot *evt_mirror_past(const struct evt_mirror *mirror, uint64_t number);
/** The document that a subscriber of a kind sees of a snapshot, borrowed; none is NULL.  HD_OK,
 * HD_ENOMEM. */
HD_NODISCARD enum hd_err evt_mirror_shown(struct evt_shard *shard, struct evt_mirror *mirror,
                                          const struct evt_snapshot *snapshot, uint8_t transform,
                                          struct evt_doc **ret_doc);
/** Asks the home for signs of life too. */
void evt_mirror_want_signs(struct evt_shard *shard, struct evt_mirror *mirror);
/** Goes on with fan-outs until the turn's sends are used up. */
void evt_mirror_walk(struct evt_shard *shard);
/** The same with those alone that go first. */
void evt_mirror_walk_first(struct evt_shard *shard);
/** Tells the homes of what could not be told before. */
void evt_mirror_catch_up(struct evt_shard *shard);
void evt_mirror_drop_all(struct evt_shard *shard);
void evt_mirror_configure(struct evt_shard *shard, struct evt_config *config);

/* --- resources and publications (resource.c, publish.c) -------------------------------------- */

struct evt_resource {
    unsigned magic;
    uint32_t index;
    uint64_t hash;
    struct evt_config *config;
    const struct evt_package *package;
    struct hd_slice key;           /* heap */
    struct evt_snapshot *snapshot; /* NULL: not composed since it was made */
    uint64_t interested;           /* a bit per shard */
    uint64_t missed;               /* of these: memory was short for the mail with the snapshot */
    uint64_t lively;               /* of these: they are told signs of life */
    bool sign;                     /* what is composed next comes from a publisher */
    uint8_t priority;              /* and has this Resource-Priority, whatever is still published */
    bool behind : 1, behind_event : 1; /* memory was short for composing it; an event is due */
    uint8_t watcher_n; /* octets behind the key: whose own entry it is; 0: all of the state */
    uint32_t newest;   /* publications, newest applied first; those not yet applied are in it too */
    uint32_t n_pubs, n_live;
    struct evt_kept *kept; /* what the broker itself says, while somebody is interested */
};

/** Counts a publication that lives / no longer does (by -1). */
void evt_resource_count(struct evt_shard *shard, struct evt_resource *resource, int by);

struct evt_pub_change {
    enum evt_change_kind kind;
    struct evt_done done;
    struct evt_head *head;
    struct evt_doc *doc; /* NULL: body as it is */
    uint64_t order;      /* of the document after the change */
    uint8_t priority;    /* of the request */
    uint64_t started_ms;
    bool trying_sent;
};

struct evt_pub {
    unsigned magic;
    uint32_t index;
    uint32_t resource, newer, older;
    uint32_t etag;    /* sequence of the entity-tag in force */
    bool live;        /* applied and not over */
    bool gone;        /* over; kept for retransmissions */
    bool tombstone;   /* the store holds a record of its end */
    uint8_t priority; /* Resource-Priority of the request that made its document */
    uint64_t id;
    uint64_t order; /* of its document, see evt_order */
    uint64_t expires_at_ms;
    struct hd_timer timer;
    struct evt_doc *doc;
    struct evt_pub_change *change;
    struct evt_packet *waiting, **waiting_end;
    struct evt_done done[2];
    struct hd_slice publisher; /* heap */
    uint32_t n_waiting;
};
struct evt_resource *
evt_resource_get(struct evt_shard *shard, struct hd_slice key,
                 const struct evt_package *package); /* finds or makes; NULL: full */
struct evt_resource *evt_resource_find(struct evt_shard *shard, struct hd_slice key,
                                       struct hd_slice package);
/** What it keeps; borrowed. */
struct evt_topic evt_resource_topic(const struct evt_resource *resource);
struct evt_resource *evt_resource_of(struct evt_shard *shard, const struct evt_topic *topic);
struct evt_resource *evt_resource_at(struct evt_shard *shard, uint32_t index);
/** Frees it when nobody publishes and nobody is interested. */
void evt_resource_release(struct evt_shard *shard, struct evt_resource *resource);
/** Makes the next snapshot from the live publications and posts it to the interested shards. */
void evt_resource_compose(struct evt_shard *shard, struct evt_resource *resource);
/** The same after its kept document changed; first: it is to be posted even when it is as before.
 */
void evt_resource_show(struct evt_shard *shard, struct evt_resource *resource, bool first);
/** The state in other words: the snapshot keeps its number. */
void evt_resource_tidy(struct evt_shard *shard, struct evt_resource *resource);
/** Kept documents (kept.c).  Begins with the first interest: false: memory is short, later. */
bool evt_kept_begin(struct evt_shard *shard, struct evt_resource *resource);
void evt_kept_end(struct evt_shard *shard, struct evt_resource *resource);
/** Before a resource gets another definition of its package: ends what that one has no keeper for.
 */
void evt_kept_configure(struct evt_shard *shard, struct evt_resource *resource,
                        const struct evt_package *package);
/** What is published in this resource changed: tells the keeper that it feeds. */
void evt_kept_feed(struct evt_shard *shard, const struct evt_resource *from);
/** The same as evt_kept_set(), or evt_kept_tidy(), for a resource at hand. */
void evt_kept_show(struct evt_shard *shard, struct evt_resource *resource, struct evt_doc *doc,
                   bool tidy);
/** The kept document, as it is beside what is published or alone; borrowed, NULL: none. */
struct evt_doc *evt_kept_doc(const struct evt_resource *resource, bool published);
/** A publisher said something, if only that he is there: composes what changed, and tells those who
 * wait for a sign of life. */
void evt_resource_alive(struct evt_shard *shard, struct evt_resource *resource, bool changed);
struct evt_mail_interest;
/** A shard begins or ceases to mirror a resource; takes the mail. */
void evt_resource_interest(struct evt_shard *shard, struct evt_mail_interest *mail);
/** Does what could not be done before: memory was short, or a package not known yet. */
void evt_resource_catch_up(struct evt_shard *shard);
void evt_resource_configure(struct evt_shard *shard, struct evt_config *config);
struct evt_pub *evt_pub_at(struct evt_shard *shard, uint32_t index);
/** Its Resource-Priority when a change of it is applied. */
uint8_t evt_pub_priority_after(const struct evt_pub *pub, const struct evt_pub_change *change);
struct evt_pub *evt_pub_find(struct evt_shard *shard, uint64_t id);
struct evt_pub *evt_pub_new(struct evt_shard *shard, struct evt_resource *resource,
                            struct hd_slice publisher);
/** The same with an id that it had before a restart. */
struct evt_pub *evt_pub_new_as(struct evt_shard *shard, struct evt_resource *resource,
                               struct hd_slice publisher, uint64_t id);
/** Moves it behind another of its resource; EVT_NONE: to the front. */
void evt_pub_move(struct evt_shard *shard, struct evt_pub *pub, uint32_t behind);
void evt_pub_free(struct evt_shard *shard, struct evt_pub *pub);
void evt_pub_fired(struct evt_shard *shard, struct evt_pub *pub);
void evt_pub_stored(struct evt_shard *shard, struct evt_pub *pub, enum hd_err err);

/* --- registrations (registrar.c) ------------------------------------------------------------- */

struct evt_account {
    unsigned magic;
    uint32_t index;
    uint64_t hash;
    struct hd_slice key; /* heap */
    struct evt_binding *bindings;
    uint32_t n;
    uint32_t n_gone;
    struct evt_binding *gone; /* contacts that are over and still shown */
    uint64_t gone_until_ms;
    struct hd_timer timer;
    struct evt_account_change *change;
    struct evt_packet *waiting, **waiting_end;
    uint32_t n_waiting;
    struct evt_done done[2];
};
struct evt_account *evt_account_at(struct evt_shard *shard, uint32_t index);
struct evt_stored_account;
struct evt_stored_binding;
/** Adds a binding that was there before a restart. */
HD_NODISCARD enum hd_err evt_account_restore(struct evt_shard *shard,
                                             const struct evt_stored_account *stored,
                                             const struct evt_stored_binding *binding,
                                             uint64_t expires_at_ms, uint64_t since_ms);
/** NULL: nothing is or was lately registered there.  On the home shard. */
const struct evt_account *evt_account_find(struct evt_shard *shard, struct hd_slice key);
/** The contacts of an address changed: who watches them is told; news false: only what was over is
 * left out by now (reg.c). */
void evt_reg_changed(struct evt_shard *shard, struct hd_slice key, bool news);
void evt_account_free(struct evt_shard *shard, struct evt_account *account);
void evt_account_fired(struct evt_shard *shard, struct evt_account *account);
void evt_account_stored(struct evt_shard *shard, struct evt_account *account, enum hd_err err);

/* --- sources (source.c) ---------------------------------------------------------------------- */

struct evt_source {
    uint64_t hash;
    uint64_t at_ms;
    uint32_t spent; /* failures, in thousandths */
};
#define EVT_SOURCES 4096u
/** False: the source has spent its budget of failures, the message is not answered. */
bool evt_source_allowed(struct evt_shard *shard, const struct hd_flow *flow);
void evt_source_failed(struct evt_shard *shard, const struct hd_flow *flow);
void evt_source_good(struct evt_shard *shard,
                     const struct hd_flow *flow); /* gives one failure back */
bool evt_listener_trusts(const struct evt_config *config, const struct hd_flow *flow);

/* --- stored records (record.c) --------------------------------------------------------------- */

/* NOTIFYs that a record, or the lack of a newer one after a restart, lets a subscription send
 * before it is written anew, for which it asks when a quarter of them is used up.  Each start after
 * a crash skips so many, whatever was kept in between: no CSeq comes twice. */
#define EVT_LEASE 4096u

/**
 * Write a record and queue it; HD_ESTORE and others: nothing is queued.
 * @param change  the change under way, or NULL: as it is
 */
HD_NODISCARD enum hd_err evt_record_sub(struct evt_shard *shard, struct evt_sub *sub,
                                        const struct evt_sub_change *change, uint64_t ticket);
HD_NODISCARD enum hd_err evt_record_pub(struct evt_shard *shard, const struct evt_pub *pub,
                                        const struct evt_pub_change *change, uint64_t ticket);
HD_NODISCARD enum hd_err evt_record_account(struct evt_shard *shard,
                                            const struct evt_account *account, uint64_t txn,
                                            const struct evt_binding *bindings, uint32_t n,
                                            uint64_t ticket);
HD_NODISCARD enum hd_err evt_record_waiting(struct evt_shard *shard,
                                            const struct evt_waiting *waiting);
HD_NODISCARD enum hd_err evt_record_seen(struct evt_shard *shard, const struct evt_mirror *mirror,
                                         uint64_t content, const uint64_t *exceptions, uint32_t n);
HD_NODISCARD enum hd_err evt_record_cond(struct evt_shard *shard, const struct evt_mirror *mirror,
                                         const struct evt_cond *cond);
HD_NODISCARD enum hd_err evt_record_remove(struct evt_shard *shard, enum evt_record_kind kind,
                                           unsigned bucket, uint64_t id, uint64_t ticket);
/** Orders what publications were given: grows with each. */
uint64_t evt_order(struct evt_shard *shard);

/* Who has seen what (seen.c). */
uint64_t evt_content(const struct evt_shard *shard, const struct evt_doc *doc);
uint64_t evt_seen_id(const struct evt_shard *shard, const struct evt_mirror *mirror);
void evt_seen_due(struct evt_shard *shard, struct evt_mirror *mirror);
void evt_seen_write_due(struct evt_shard *shard);
/** Notes a record that another number of shards wrote.  HD_ENOMEM. */
HD_NODISCARD enum hd_err evt_seen_old(struct evt_shard *shard, uint64_t id);
void evt_seen_drop_old(struct evt_shard *shard);
void evt_seen_write_all(struct evt_shard *shard);
void evt_seen_forget(struct evt_shard *shard, struct evt_mirror *mirror);
uint64_t evt_seen_wait_ms(struct evt_shard *shard);

/* After a restart (restore.c). */
void evt_restore_compare(struct evt_shard *shard, struct evt_mirror *mirror);
/** The same for one that has come to a mirror with a snapshot. */
void evt_sub_compare(struct evt_shard *shard, struct evt_mirror *mirror, struct evt_sub *sub);

static inline uint64_t
evt_ticket(enum evt_record_kind kind, uint32_t index, uint32_t generation)
{
    return (uint64_t)kind << 56 | (uint64_t)(generation & 0xffffff) << 32 | index;
}

/* --- the shard ------------------------------------------------------------------------------- */

struct evt_shard {
    unsigned magic;
    unsigned index, count;
    uint32_t start; /* which start of the broker this is */
    bool unkept;    /* since the start the store did not take something */
    uint64_t now_us, now_ms;
    struct evt_call *calling; /* the call that runs; NULL: none, or its end was put off */
    struct evt_config *config;
    struct evt_ports ports;
    struct evt_keys keys;
    struct hd_rng rng;
    struct hd_wheel wheel;

    struct hd_table subs, mirrors, hops, resources, pubs, accounts;
    struct hd_map sub_by_id, sub_by_call, sub_by_device, sub_by_watcher, mirror_by_key, hop_by_flow,
        resource_by_key, pub_by_id, account_by_key, hop_by_conn, cond_by_key;
    struct hd_tally watchers;     /* subscriptions of each, by the keyed hash of his name */
    struct hd_table asked, waits; /* who watches, see watch.h */
    struct hd_map asked_by_key, waiting_by_key, waiting_by_watcher;
    struct hd_table conds;
    struct evt_mail_watch *questions; /* those that could not be taken */
    uint32_t last_rule;               /* of the verdict that evt_sub_ask was given last */
    bool last_polite;                 /* it is a polite block */
    uint32_t n_watches;               /* resources whose watchers are put together here */
    uint32_t n_own, n_asked_own;      /* mirrors, and questions, for the own entry of a watcher */

    struct hd_table nameds; /* see named.c */
    struct evt_aliases aliases;
    uint32_t nowhere;      /* those of them that lead nowhere: their subscriptions are to hear it */
    struct evt_list ready; /* subscriptions whose turn it is */
    struct evt_list walks; /* mirrors with a fan-out under way */
    uint32_t seen_head, seen_tail; /* mirrors with a record due */
    uint32_t sends_left;           /* in this turn */
    uint32_t waiting;              /* requests behind changes, and changes under way */
    uint32_t n_flights;
    uint64_t last_order;
    uint64_t last_born; /* subscriptions made, also before this start */
    uint64_t *old_seen; /* records of another number of shards, to be removed */
    uint32_t n_old_seen, cap_old_seen;
    uint64_t old_seen_until_ms;
    uint64_t last_number; /* of snapshots made here */
    struct evt_flight *free_flights;
    struct evt_mail_interest *interests; /* those that could not be taken */
    uint64_t catch_up_ms;                /* when to try again, 0: nothing to do */
    uint32_t leaving;                    /* mirrors whose homes are to be told */
    bool draining;
    bool going;              /* it is being freed: what is kept stays kept */
    uint32_t configurations; /* how many were taken */
    uint32_t end_at;         /* evt_shard_terminate_all: next index, EVT_NONE: not so */
    uint32_t end_retry_after_s;
    uint32_t ends; /* how often it was called: what was being kept then ends as well */

    struct evt_ring_entry *ring;   /* EVT_RING_SETS * EVT_RING_WAYS */
    struct evt_source *sources;    /* EVT_SOURCES */
    struct evt_recorder *recorder; /* NULL: nothing is recorded */
    uint64_t recorder_from;        /* where the next one begins */
    struct hd_mailbox box;
    struct evt_shard *peers[EVT_MAX_SHARDS];
    struct hd_addr local; /* the address of ours that was last written, and its text */
    char local_text[HD_ADDR_TEXT];
    size_t local_n;
    char parse_memory[8192];
    char record_memory[SIP_MAX_HEAD + 4096]; /* all of a head's names, and what we add */
    struct evt_counters counters;
};

static inline const struct evt_limits *
evt_limits(const struct evt_shard *shard)
{
    return &shard->config->limits;
}
static inline void
evt_did(struct evt_shard *shard, uint64_t id, enum evt_did what, uint64_t detail)
{
    /* The message itself says that it was sent, again or not, and that an answer came. */
    if (shard->recorder && what != EVT_DID_SEND && what != EVT_DID_RESEND &&
        what != EVT_DID_ANSWERED)
        evt_rec_note(shard, id, what, detail, hd_slice(NULL, 0));
}
static inline void
evt_gauge(struct evt_shard *shard, _Atomic uint64_t *gauge, int64_t by)
{
    (void)shard;
    atomic_store_explicit(gauge, atomic_load_explicit(gauge, memory_order_relaxed) + (uint64_t)by,
                          memory_order_relaxed);
}
/** The row of counters of a package. */
struct evt_package_counters *evt_package_counters(struct evt_shard *shard, struct hd_slice name);
void evt_shard_tick(struct evt_shard *shard, uint64_t now_us);
/** Something could not be done, for want of memory or because shards take a configuration one
 * after another: it is tried again in a moment. */
void evt_catch_up_later(struct evt_shard *shard);
/** Ends a subscription of a store in memory, see evt_shard_terminate_all(). */
void evt_shard_end(struct evt_shard *shard, struct evt_sub *sub);
/** Quota of subscriptions per watcher: counts one more.  HD_EDENIED: it is reached; HD_ENOMEM. */
HD_NODISCARD enum hd_err evt_watcher_take(struct evt_shard *shard, struct hd_slice watcher);
/** One of this watcher is to come: what counts them is fetched meanwhile. */
void evt_watcher_prefetch(const struct evt_shard *shard, struct hd_slice watcher);
void evt_watcher_give(struct evt_shard *shard, struct hd_slice watcher);
uint64_t evt_key_hash(const struct evt_shard *shard, struct hd_slice key, struct hd_slice package);
/** The home shard of a resource key. */
unsigned evt_home(const struct evt_shard *shard, struct hd_slice key);

#endif
