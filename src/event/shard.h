/* shard.h - one shard of the broker core, as its host sees it: messages and time go in, messages
 * leave through the ports.
 *
 * The host (heraldd, or the scenario player on a fake clock) creates all shards of a core, then for
 * each shard in its own thread or turn: evt_shard_drain, evt_shard_receive for each packet,
 * evt_shard_turn.  No function here makes a system call or reads a clock. Thread: the shard's own,
 * but for the functions that say any. */
#ifndef HD_EVENT_SHARD_H
#define HD_EVENT_SHARD_H

#include <stdint.h>

#include "base/addr.h"
#include "base/hash.h"
#include "base/mailbox.h"
#include "base/rng.h"
#include "base/slice.h"
#include "event/config.h"
#include "event/counters.h"
#include "event/ports.h"

#define EVT_MAX_SHARDS 64

struct evt_shard;

/* Keys that make our names unguessable; they live in the state folder and its backup. */
struct evt_keys {
    struct hd_hash_key id;    /* tags, branches, entity-tags */
    struct hd_hash_key table; /* hash tables and transaction hashes */
};

struct evt_shard_params {
    unsigned index, count;
    uint32_t
        start; /* one more than that of the last start, unless that one ended cleanly: the same */
    struct evt_keys keys;
    struct evt_config *config; /* a reference is taken */
    struct evt_ports ports;
    hd_entropy_f entropy;
    void *entropy_context;
    uint64_t now_us;
    hd_wake_f wake; /* wakes this shard's thread; may be NULL when the host polls */
    void *wake_context;
};

/** HD_OK, HD_ENOMEM.  The shards of one core are then told of each other. */
HD_NODISCARD enum hd_err evt_shard_new(const struct evt_shard_params *params,
                                       struct evt_shard **ret_shard);
/** peers[0..count-1], in order, this shard among them; the array is copied. */
void evt_shard_connect(struct evt_shard *shard, struct evt_shard *const *peers);
/** Frees everything; no NOTIFY is sent.  After all threads have stopped; mails left in the box are
 * freed. */
void evt_shard_free(struct evt_shard *shard);

/** Handles the mails that are in the box.  Before the packets of a batch, so that a fetch after a
 * 200 sees the new state. */
void evt_shard_drain(struct evt_shard *shard, uint64_t now_us);
/** One datagram or framed message, borrowed for the call. */
void evt_shard_receive(struct evt_shard *shard, const struct hd_flow *flow, struct hd_slice octets,
                       uint64_t now_us);
/** Timers and fan-out.  Returns milliseconds until the next turn is wanted, 0: more is waiting,
 * UINT64_MAX: nothing. */
uint64_t evt_shard_turn(struct evt_shard *shard, uint64_t now_us);
/** What was committed with this owner could not be sent. */
void evt_shard_send_failed(struct evt_shard *shard, uint64_t owner, const struct hd_flow *flow,
                           uint64_t now_us);
/** A connection of this shard is gone. */
void evt_shard_closed(struct evt_shard *shard, uint64_t conn, uint64_t now_us);
/** Whether a connection of this shard carries a subscription. */
bool evt_shard_conn_in_use(const struct evt_shard *shard, uint64_t conn);
/** The answer to a question of ports.names: targets, or NULL: there are none. */
void evt_shard_named(struct evt_shard *shard, uint64_t ticket, const struct evt_targets *targets,
                     uint64_t now_us);
/** Where mails for this shard are posted: the host sleeps by it. */
struct hd_mailbox *evt_shard_mailbox(struct evt_shard *shard);
unsigned evt_shard_index(const struct evt_shard *shard);

/* --- from any thread ------------------------------------------------------------------------- */

struct evt_outcome {
    uint64_t ticket;
    enum hd_err err; /* HD_OK: it is kept */
};
/** The store tells what became of n records; copied.  HD_ENOMEM: try again. */
HD_NODISCARD enum hd_err evt_stored_post(struct evt_shard *shard,
                                         const struct evt_outcome *outcomes, size_t n);

/** A function to run on the shard; the call object belongs to the caller, who waits until done was
 * called on the shard's thread. */
struct evt_call {
    struct hd_mail mail;
    void (*run)(struct evt_shard *shard, struct evt_call *call, uint64_t now_us);
    void (*done)(struct evt_call *call); /* last use of the object on the shard; may be NULL */
    void *context;
};
/** Queues the call behind what the shard has in its mailbox. */
void evt_call_post(struct evt_shard *shard, struct evt_call *call);

/* --- on the shard's thread, as a rule inside an evt_call ------------------------------------- */

/** Takes a new configuration.  changed: the resource whose rules changed; empty: any may have.
 * Subscriptions are judged again. */
void evt_shard_configure(struct evt_shard *shard, struct evt_config *config,
                         struct hd_slice changed, uint64_t now_us);
/** Stops taking initial SUBSCRIBE, PUBLISH and REGISTER (503); what is held goes on. */
void evt_shard_drain_begin(struct evt_shard *shard);
/**
 * Gives back a record that the store kept, before the threads start: publications first, then
 * registrations, subscriptions, and what was seen last.  Subscriptions and publications to the
 * shard of their id's bucket, registrations to that of their key's, what was seen to all shards.
 * @param age_ms  since it was written
 * @return HD_OK; HD_ESYNTAX, HD_EVERSION: it cannot be read and is left out; HD_ENOMEM
 */
HD_NODISCARD enum hd_err evt_shard_restore(struct evt_shard *shard, enum evt_record_kind kind,
                                           uint64_t id, struct hd_slice record, uint64_t age_ms,
                                           uint64_t now_us);
/** Does the next n subscriptions of the function below, which does the rest, so that the host can
 * hand on in between what was put.  @param at  0 at first  @return whether there are more */
bool evt_shard_settle_some(struct evt_shard *shard, uint32_t *at, uint32_t n, uint64_t now_us);
/** Before a clean stop: gives the store what makes the next start exact.  The host commits it; the
 * stop is a clean one when the store has kept all that it took since the start.
 * @return HD_OK; HD_ESTORE: it did not take all of it, or something before; then the next start is
 * like one after a crash: what was to be removed may be there again */
HD_NODISCARD enum hd_err evt_shard_settle(struct evt_shard *shard, uint64_t now_us);
/** Ends all subscriptions of a store in memory, paced by the turns: reason "deactivated" or
 * "probation" with retry_after_s (> 0). */
void evt_shard_terminate_all(struct evt_shard *shard, uint32_t retry_after_s, uint64_t now_us);
/** Whether nothing is in flight and nothing waits for the store. */
bool evt_shard_quiet(const struct evt_shard *shard);

/* What became of an operator's change. */
struct evt_operated {
    enum hd_err err; /* HD_ESTORE: the store did not keep it */
    uint32_t n;      /* contacts that are over */
};
/**
 * Ends contacts of an address of record as the operator wishes, on its home shard and inside an
 * evt_call, whose done is put off until the store has answered; who watches them hears of it (RFC
 * 3680).
 * @param contact        its URI as registered, empty: all
 * @param event          "deactivated", "probation" or "rejected"
 * @param retry_after_s  with probation
 * @param result         filled in by the time the call is done
 * @return HD_OK: it is under way; HD_ENOMATCH: there is none; HD_EBUSY: a REGISTER is under way;
 * HD_ESYNTAX: no such event; HD_ENOMEM
 */
HD_NODISCARD enum hd_err evt_shard_unregister(struct evt_shard *shard, struct hd_slice key,
                                              struct hd_slice contact, struct hd_slice event,
                                              uint32_t retry_after_s, uint64_t now_us,
                                              struct evt_operated *result);

/** Its counters, for its life; they may be read from any thread. */
const struct evt_counters *evt_shard_counters(const struct evt_shard *shard);

/* One row of a listing; slices are borrowed for the visit. */
struct evt_sub_row {
    struct hd_slice resource, package, watcher, call_id, target, event_id;
    const char *state;     /* "active", "pending", "terminated" */
    struct hd_slice proof; /* how he has shown who he is: evt_proof_word() */
    const char *health;    /* "in-sync", "in-flight", "behind", "parked" */
    uint32_t expires_s, cseq, shard;
    uint32_t unanswered_ms;       /* since the NOTIFY in flight was made; 0: none is */
    uint32_t backoff_s, retry_ms; /* the pause after a failure, and what is left of it */
    uint64_t id;
    struct hd_flow flow;
};
struct evt_pub_row {
    struct hd_slice resource, package, type, etag, publisher;
    uint32_t expires_s, size, shard;
};
struct evt_binding_row {
    struct hd_slice resource, contact;
    struct hd_slice path; /* by which it is reached (RFC 3327); empty: straight */
    uint32_t expires_s, shard;
};
struct evt_watcher_row {
    struct hd_slice resource, package, watcher;
    const char *status; /* "active", "pending", "waiting" */
    uint32_t expires_s; /* left; waiting: until it is given up */
    uint64_t id;
    struct hd_addr address; /* from where the last SUBSCRIBE came; family 0: nowhere */
};
typedef void (*evt_watcher_visit_f)(void *context, const struct evt_watcher_row *row);
typedef void (*evt_sub_visit_f)(void *context, const struct evt_sub_row *row);
typedef void (*evt_pub_visit_f)(void *context, const struct evt_pub_row *row);
typedef void (*evt_binding_visit_f)(void *context, const struct evt_binding_row *row);
/* What somebody looks for in a listing that he reads piece by piece, so that no shard walks through
 * a large table in one turn. */
struct evt_look {
    struct hd_slice resource; /* its key; empty: all */
    struct hd_slice package;  /* empty: all */
    struct hd_slice text;     /* is somewhere in a row's names, letters in any case; empty: all */
    bool sick;                /* subscriptions: whose subscriber does not answer */
    uint64_t id;              /* subscriptions: this one; 0: all */
    uint32_t from;            /* the first place to look at: 0, or what the last piece returned */
    uint32_t limit, scan;     /* rows to be visited, places to be looked at: at most */
};
#define EVT_LOOK_END UINT32_MAX
#define EVT_SICK_MS 2000u /* a NOTIFY without an answer: Timer E has fired twice */
/** These return the place where the next piece begins, EVT_LOOK_END when all was seen.  What is
 * made meanwhile may be missed; what stays is visited once. */
uint32_t evt_shard_look_subs(struct evt_shard *shard, const struct evt_look *look, uint64_t now_us,
                             evt_sub_visit_f visit, void *context);
uint32_t evt_shard_look_pubs(struct evt_shard *shard, const struct evt_look *look, uint64_t now_us,
                             evt_pub_visit_f visit, void *context);
/* A resource at its home. */
struct evt_resource_row {
    struct hd_slice key, package;
    struct hd_slice type; /* of its state; empty: there is none */
    uint32_t publications, size, shard;
    uint64_t version; /* of its state, in the order of this shard's */
};
typedef void (*evt_resource_visit_f)(void *context, const struct evt_resource_row *row);
uint32_t evt_shard_look_resources(struct evt_shard *shard, const struct evt_look *look,
                                  evt_resource_visit_f visit, void *context);
/** How many subscriptions of a resource are here. */
uint32_t evt_shard_count_subs(struct evt_shard *shard, struct hd_slice key,
                              struct hd_slice package);

/** Visits at most limit rows; resource empty: all. */
void evt_shard_list_subs(struct evt_shard *shard, struct hd_slice resource, uint32_t limit,
                         uint64_t now_us, evt_sub_visit_f visit, void *context);
/** Who watches, those too about whom nobody decided before they ended. */
void evt_shard_list_watchers(struct evt_shard *shard, struct hd_slice resource, uint32_t limit,
                             uint64_t now_us, evt_watcher_visit_f visit, void *context);
void evt_shard_list_bindings(struct evt_shard *shard, struct hd_slice resource, uint32_t limit,
                             uint64_t now_us, evt_binding_visit_f visit, void *context);

/* How long it took lately, as the flow recorder knows. */
enum evt_took {
    EVT_TOOK_ANSWER = 0, /* a NOTIFY until its 2xx came */
    EVT_TOOK_REQUEST     /* a request until its 2xx left */
};
enum evt_moment_kind {
    EVT_MOMENT_PUBLISHED = 0, /* a publication was applied: other shards have its subscribers */
    EVT_MOMENT_BEGAN,         /* a SUBSCRIBE was accepted: a NOTIFY is owed to it */
    EVT_MOMENT_HELD,          /* a NOTIFY was held back */
    EVT_MOMENT_NOTIFIED       /* a NOTIFY left */
};
struct evt_moment {
    enum evt_moment_kind kind;
    uint64_t at_us;
    uint64_t began_us; /* PUBLISHED: when its request came */
    uint64_t resource; /* of its key and package; the same on all shards */
    uint64_t sub;      /* id; PUBLISHED: 0 */
    uint64_t octets;   /* NOTIFIED: a hash of its head: a repetition has the same */
};
struct evt_lately {
    uint64_t span_us; /* nothing older */
    uint32_t most;    /* entries that are read */
    void (*took)(void *context, enum evt_took what, uint64_t us);
    void (*moment)(void *context, const struct evt_moment *moment); /* the newest first, about */
    void *context;
};
void evt_shard_lately(struct evt_shard *shard, const struct evt_lately *lately, uint64_t now_us);

/* What the flow recorder is asked for: all that belongs to a name, a Call-ID, or an id. */
struct evt_recall {
    struct hd_slice name;    /* key of a resource, or of who subscribes or publishes; empty: none */
    struct hd_slice call_id; /* empty: none */
    uint64_t id;             /* of a subscription or publication, 0: none */
    uint64_t since;          /* places from here on, 0: from the oldest */
    uint32_t limit;          /* entries: the newest */
};
enum evt_recalled_kind { EVT_RECALLED_MESSAGE = 1, EVT_RECALLED_DID, EVT_RECALLED_SUBJECT };
/* One entry; slices are borrowed for the visit. */
struct evt_recalled {
    enum evt_recalled_kind kind;
    uint64_t place; /* in its shard's recorder: grows; 0: not recorded, it is what there is now */
    uint64_t at_us;
    uint64_t key;  /* the id, or of requests and refusals what they share with their Call-ID */
    uint64_t call; /* subjects: the key of the requests; 0: not known */
    /* messages */
    bool out;
    bool cut; /* the end is missing */
    uint8_t transport;
    struct hd_addr local, remote;
    /* messages: what was sent, without credentials; decisions: words, which are wire data */
    struct hd_slice octets;
    /* decisions */
    unsigned what; /* enum evt_did */
    uint64_t detail;
    /* subjects */
    const char *subject; /* "subscription", "publication", "refused" */
    const char *state;   /* of a subscription */
    struct hd_slice call_id, resource, who, package, proof;
    uint32_t rule;
    unsigned status;
    uint8_t transform; /* enum evt_transform */
};
typedef void (*evt_recalled_visit_f)(void *context, const struct evt_recalled *row);
/**
 * Visits what is recorded, the oldest first; before it, what there is now of what is asked for.
 * @param ret_next  since for the next recall
 * @return whether some was left out, for the limit or because nothing is recorded
 */
bool evt_shard_recall(struct evt_shard *shard, const struct evt_recall *recall, uint64_t now_us,
                      evt_recalled_visit_f visit, void *context, uint64_t *ret_next);

/** The word of RFC 6665 section 4.2.2 for an enum evt_reason, empty: none. */
struct hd_slice evt_reason_word(unsigned reason);

/** Checks the invariants of all tables; NULL when they hold, else one line (static storage or the
 * shard's).  For tests and the debug build. */
const char *evt_shard_check(struct evt_shard *shard);
/** The same of what shards hold for each other, on one thread: mirrors show what their homes have,
 * homes know who mirrors them.  Says nothing while mails are on their way. */
const char *evt_shards_check(struct evt_shard *const *shards, unsigned n);

#endif
