/* condition.h - conditions of filters: what they saw, what fired, who was told.  Private to event/;
 * see core.h. */
#ifndef HD_EVENT_CONDITION_H
#define HD_EVENT_CONDITION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/wheel.h"
#include "event/shard.h"

struct evt_doc;
struct evt_filter;
struct evt_mirror;
struct evt_sub;
struct sip_out;

#define EVT_COND_MAGIC 0x45434f4eu

/* The conditions of one filter on what one kind of subscriber sees of a mirror. */
struct evt_cond {
    unsigned magic;
    uint32_t index;
    uint32_t mirror, next, prev; /* of its mirror's */
    uint8_t transform;
    uint64_t apart; /* the subscription that has them for itself, see evt_cond_turn(); 0: none */
    bool started;   /* they have seen a document */
    bool stored;
    struct evt_filter *filter; /* a reference */
    void *state;
    uint32_t seq;            /* number of the last firing */
    uint32_t fired, cleared; /* which triggers it was, a bit each */
    uint32_t on;             /* which are true */
    uint32_t n_subs, cap_subs;
    uint32_t *subs; /* those who are to be told */
    struct hd_timer timer;
};

enum evt_keep {
    EVT_KEEP_NOT = 0,
    EVT_KEEP_UNDER_WAY, /* the store has it in hand */
    EVT_KEEP_DONE       /* the next NOTIFY tells it */
};

/* A subscription with a filter. */
struct evt_filtered {
    struct evt_filter *filter; /* a reference */
    uint32_t cond, place;      /* its conditions, and its place with them; EVT_NONE: none */
    bool apart;                /* they are its own, or are to be */
    uint32_t seq;              /* number of the conditions' firing up to which it was told */
    uint32_t count;            /* firings told in its life */
    uint32_t fired, cleared;   /* to be told */
    bool fresh;                /* some of them were not told yet, in no NOTIFY */
    uint8_t keep;              /* enum evt_keep: of what follows */
    bool in_flight;            /* a NOTIFY tells it */
    uint32_t told_fired, told_cleared;
    uint32_t cseq, branch; /* of the NOTIFY that tells it; 0: new ones */
    uint32_t told_branch;  /* the same branch, after it was used as well */
    bool has_last;
    struct evt_doc *last; /* what was sent last, when differences matter */
    /* Of the dialogs that it chooses (chosen.c): */
    uint64_t tag; /* entity-tag of what was sent last */
    bool met;     /* there was one, as a NOTIFY said that was answered */
    bool living;  /* the last NOTIFY said that there is one */
    bool over;    /* it said that there is none any more */
};

struct evt_cond *evt_cond_at(struct evt_shard *shard, uint32_t index);
uint64_t evt_cond_id(const struct evt_shard *shard, const struct evt_cond *cond);
/** Takes over the reference; NULL: memory is short. */
struct evt_filtered *evt_filtered_new(struct evt_filter *filter);
/** In the place of the one that there was; there is room for it in rare. */
void evt_filtered_set(struct evt_shard *shard, struct evt_sub *sub, struct evt_filtered *filtered);
void evt_filtered_free(struct evt_shard *shard, struct evt_filtered *filtered);
/** Whoever is told by conditions sees through another transformation from now on, as if the state
 * had changed: he changes over, and what that fires is noted.  Where others wait for the same by
 * what they have seen, which is another past, he has conditions of his own.
 *  @param sign  something is there by it, which a publisher would have said: a sign of life.  That
 *               there is nothing any more is none. */
void evt_cond_turn(struct evt_shard *shard, struct evt_sub *sub, uint8_t transform, bool sign);
/** Looks whether the newest state, which there is, differs from what was sent him in a way that he
 * waits for. */
void evt_cond_compare(struct evt_shard *shard, struct evt_sub *sub);
/** A subscription with its place in the mirror joins the conditions of its filter / leaves them /
 * changes over when it sees something else. */
void evt_cond_join(struct evt_shard *shard, struct evt_sub *sub);
void evt_cond_leave(struct evt_shard *shard, struct evt_sub *sub);
void evt_cond_rejoin(struct evt_shard *shard, struct evt_sub *sub);
/** A new snapshot is there / the resource is alive / time has passed. */
void evt_cond_snapshot(struct evt_shard *shard, struct evt_mirror *mirror);
void evt_cond_sign(struct evt_shard *shard, struct evt_mirror *mirror);
void evt_cond_fired(struct evt_shard *shard, struct evt_cond *cond);
/** Whether something is to be told / a condition is true now. */
bool evt_cond_has_news(const struct evt_filtered *filtered);
bool evt_cond_is_on(struct evt_shard *shard, const struct evt_filtered *filtered);
/** Before a NOTIFY that tells a firing: false until the store has it. */
bool evt_cond_keep(struct evt_shard *shard, struct evt_sub *sub);
void evt_cond_kept(struct evt_shard *shard, struct evt_sub *sub);
/** A document was sent. */
void evt_cond_sent(struct evt_filtered *filtered, struct evt_doc *doc);
void evt_cond_landed(struct evt_shard *shard, struct evt_sub *sub, bool failed);
/** Writes Herald-Fired when the NOTIFY tells a firing. */
void evt_cond_out(const struct evt_shard *shard, const struct evt_filtered *filtered,
                  struct sip_out *out);
HD_NODISCARD enum hd_err evt_cond_restore(struct evt_shard *shard, uint64_t id,
                                          struct hd_slice record);

#endif
