/* watch.h - who watches a resource: the facts behind watcher information (RFC 3857), gathered by
 * the home of the resource from all shards.  Private to event/.
 *
 * The home asks every shard when somebody is interested.  A shard notes that it was asked, answers
 * with the subscriptions it has, and tells what changes later; question and answers travel in
 * mailboxes, so that nothing is told before the list that it changes.  A shard that could not tell
 * something sends its whole list again. */
#ifndef HD_EVENT_WATCH_H
#define HD_EVENT_WATCH_H

#include "base/mailbox.h"
#include "base/slice.h"
#include "base/table.h"
#include "base/wheel.h"
#include "event/package.h"
#include "event/topic.h"

struct evt_shard;
struct evt_sub;

#define EVT_WATCHER_NAME_MAX 128u /* octets of a display name that are kept */

/* One subscription as it is told; a list of them belongs to the mail. */
struct evt_told {
    struct evt_told *next;
    uint64_t id; /* of the subscription */
    uint8_t status, event;
    uint8_t proof; /* enum evt_proof: how the identity was proved */
    uint8_t watcher_n, name_n;
    char text[]; /* identity, display name */
};

/* The home asks, or needs no more. */
struct evt_mail_watch {
    struct hd_mail mail;
    struct evt_mail_watch *next; /* kept until it can be taken */
    bool on;
    struct evt_topic_ends topic; /* who watches, in the watched package; a watcher: his own alone */
    char text[];
};
/* A shard answers: all that it has, or one that changed. */
struct evt_mail_told {
    struct hd_mail mail;
    unsigned from;
    bool all;
    struct evt_told *list;       /* in any order */
    struct evt_topic_ends topic; /* as it was asked for */
    char text[];
};

/* A question that a shard was asked. */
struct evt_asked {
    uint64_t hash;
    uint32_t index;
    bool missed; /* memory was short: the whole list is to be told again */
    struct evt_topic_ends topic;
    char *text; /* heap */
};

/* A subscription that nobody decided about before it ended (RFC 3857 section 4.7.1), at the home of
 * its resource; kept in the store. */
struct evt_waiting {
    unsigned magic;
    uint32_t index;
    uint64_t hash;    /* of resource and package */
    uint64_t id;      /* of its record */
    uint64_t watched; /* id of the subscription that it was */
    uint64_t watcher; /* hash of the identity */
    struct hd_timer timer;
    uint64_t since_ms, expires_at_ms;
    uint8_t key_n, package_n, watcher_n, name_n, proof;
    char *text; /* heap: resource, package, identity, display name */
};
struct hd_slice evt_waiting_key(const struct evt_waiting *waiting);
struct hd_slice evt_waiting_package(const struct evt_waiting *waiting);
struct hd_slice evt_waiting_watcher(const struct evt_waiting *waiting);
struct hd_slice evt_waiting_name(const struct evt_waiting *waiting);

/** What is told of a subscription; NULL when memory is short. */
struct evt_told *evt_told_new(uint64_t id, struct hd_slice watcher, struct hd_slice name);
void evt_told_free(struct evt_told *list);
/** A subscription begins or goes on in another state: tells the home of its resource, if that asked
 * or has to know. */
void evt_watch_changed(struct evt_shard *shard, const struct evt_sub *sub,
                       enum evt_watcher_event event);
/** It ended; was_pending: nobody had decided about it. */
void evt_watch_ended(struct evt_shard *shard, const struct evt_sub *sub, bool was_pending);
/** Whether this shard was asked for the watchers of a resource in a package. */
bool evt_watch_asked(const struct evt_shard *shard, struct hd_slice key, struct hd_slice package);
/** A mail; it is taken. */
void evt_watch_question(struct evt_shard *shard, struct evt_mail_watch *mail);
void evt_watch_answer(struct evt_shard *shard, struct evt_mail_told *mail);
/** At the home: memory was too short to note something; all shards are asked again. */
void evt_watch_lost(struct evt_shard *shard, struct hd_slice key, struct hd_slice package);
/** At the home: what is known of one who waits, or waited. */
void evt_watch_fact(struct evt_shard *shard, struct hd_slice key, struct hd_slice package,
                    const struct evt_told *told);
void evt_watch_catch_up(struct evt_shard *shard);
void evt_watch_fired(struct evt_shard *shard, struct hd_timer *timer);
/** How many timers run for watchers; for the check of the invariants. */
uint32_t evt_watch_timers(struct evt_shard *shard);
/** Frees what is left at the end of the shard. */
void evt_watch_done(struct evt_shard *shard);

/* Those that wait (waiting.c). */
/** A subscription that ended undecided waits from now on; told gets the id under which it does.
 * False: there is no room. */
bool evt_waiting_add(struct evt_shard *shard, struct hd_slice key, struct hd_slice package,
                     struct evt_told *told);
/** Ends the one of a watcher: he asks again. */
void evt_waiting_again(struct evt_shard *shard, struct hd_slice key, struct hd_slice package,
                       const struct evt_told *told);
/** Ends those that the rules in force decide; changed: the resource whose rules changed, empty: any
 * may have. */
void evt_waiting_judge(struct evt_shard *shard, struct hd_slice changed);
void evt_waiting_fired(struct evt_shard *shard, struct hd_timer *timer);
/** Makes facts of those that wait for a resource and package. */
void evt_waiting_list(struct evt_shard *shard, struct hd_slice key, struct hd_slice package);
HD_NODISCARD enum hd_err evt_waiting_restore(struct evt_shard *shard, uint64_t id,
                                             struct hd_slice record, uint64_t age_ms);
void evt_waiting_done(struct evt_shard *shard);

#endif
