/* recorder.h - the flow recorder: messages and decisions of one shard, in a bounded ring of octets.
 * Private to event/.
 *
 * Thread: its shard's, also for reading: who wants to know asks the shard by mail.  No lock, no
 * system call.  Memory: what was given at the start; the oldest goes for the newest.  An entry is
 * found by its key through chains of distances, as long as it is there. */
#ifndef HD_EVENT_RECORDER_H
#define HD_EVENT_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/slice.h"

#define EVT_RECORDER_MAGIC 0x45524543u
#define EVT_RECORDER_LEAST (64u * 1024u) /* octets; less is as good as none */
#define EVT_RECORDER_MOST (1024u * 1024u * 1024u)

enum evt_entry_kind {
    EVT_ENTRY_MESSAGE = 1, /* struct evt_entry_message, and octets */
    EVT_ENTRY_BODY,        /* octets that several messages end with */
    EVT_ENTRY_DID,         /* struct evt_entry_did */
    EVT_ENTRY_NOTE,        /* the same, and words */
    EVT_ENTRY_SUBJECT      /* struct evt_entry_subject, and its strings */
};

/* What an entry begins with.  Distances are octets back from its own place, 0: there is none. */
struct evt_entry {
    uint32_t size; /* all of it, a multiple of 8 */
    uint32_t back; /* to the entry before it */
    uint32_t prev; /* to the one before it in the chain of its key */
    uint16_t kind; /* enum evt_entry_kind */
    uint16_t pad;
    uint64_t key; /* the id of a subscription or publication, or evt_rec_call() of a request */
    uint64_t at_us;
};

struct evt_entry_message {
    struct hd_addr local, remote;
    uint64_t body; /* place of the body's entry, 0: all octets are here */
    uint32_t n;    /* octets here; with a body those up to it, and what fills its hole */
    uint32_t fill; /* of them: octets of the hole, at the end */
    uint32_t hole; /* where the hole is in the body */
    uint8_t transport;
    bool out;
    bool of_sub; /* key is a subscription's id */
    bool cut;    /* it was too large: the end is missing */
};

struct evt_entry_did {
    uint64_t detail;
    uint32_t n;   /* octets of words */
    uint8_t what; /* enum evt_did */
};

enum evt_subject_kind { EVT_SUBJECT_SUB = 1, EVT_SUBJECT_PUB, EVT_SUBJECT_REFUSED };

/* Another way to find an entry. */
struct evt_entry_link {
    uint64_t key;
    uint32_t prev;
    uint32_t pad;
};
#define EVT_SUBJECT_LINKS 3 /* Call-ID, resource, who */

/* Who asked for what: what an id stands for. */
struct evt_entry_subject {
    struct evt_entry_link links[EVT_SUBJECT_LINKS];
    uint64_t cond;   /* key of its filter's conditions, 0: none */
    uint32_t rule;   /* that decided, 0: the package's default */
    uint16_t n[4];   /* octets of Call-ID, resource, who, package; their order behind this */
    uint16_t status; /* of a refusal */
    uint8_t kind;    /* enum evt_subject_kind */
    uint8_t state;   /* enum evt_sub_state */
    uint8_t transform;
    uint8_t proof; /* enum evt_proof */
};

struct evt_recorder {
    unsigned magic;
    char *octets;
    size_t cap;
    size_t at;       /* where in octets the next entry goes, if it fits in there */
    uint64_t head;   /* the same, counted from the beginning of time */
    uint64_t first;  /* where that began */
    uint64_t last;   /* place of the newest entry */
    uint64_t *slots; /* places: the newest of each chain */
    unsigned shift;
    uint64_t entries; /* written */
};

/** memory: octets, between LEAST and MOST.  begin: no place of it is below.  NULL: memory is
 * short. */
struct evt_recorder *evt_recorder_new(size_t memory, uint64_t begin);
void evt_recorder_free(struct evt_recorder *rec); /* accepts NULL */

/** Largest payload: what is longer has to be cut by the caller. */
static inline size_t
evt_recorder_most(const struct evt_recorder *rec)
{
    return rec->cap / 4;
}

/** Where the newest place of the chain that a key is in stands. */
static inline uint64_t *
evt_recorder_slot(const struct evt_recorder *rec, uint64_t key)
{
    return &rec->slots[(key * 0x9e3779b97f4a7c15u) >> rec->shift];
}
/** Makes place the newest of a chain; returns the distance to the one that was, which was written
 * before: it is there unless it was written over. */
static inline uint32_t
evt_recorder_chain_put(struct evt_recorder *rec, uint64_t *slot, uint64_t place)
{
    const uint64_t before = *slot;

    *slot = place;
    return before && before + rec->cap >= rec->head ? (uint32_t)(place - before) : 0;
}
/** Begins an entry and puts it into the chain of its key; returns the place for n octets of
 * payload, which the caller fills before anything else is written.  Here, since each NOTIFY and
 * each answer is one. */
static inline void *
evt_recorder_put(struct evt_recorder *rec, enum evt_entry_kind kind, uint64_t key, uint64_t at_us,
                 size_t n)
{
    const size_t size = (sizeof(struct evt_entry) + n + 7) & ~(size_t)7;

    HD_ASSERT(n <= evt_recorder_most(rec));
    if (size > rec->cap - rec->at) {
        rec->head += rec->cap - rec->at;
        rec->at = 0;
    }
    struct evt_entry *entry = (struct evt_entry *)(void *)(rec->octets + rec->at);
    const uint64_t place = rec->head;
    rec->at += size;
    rec->head += size;
    entry->size = (uint32_t)size;
    entry->back = rec->entries ? (uint32_t)(place - rec->last) : 0; /* the newest is there */
    entry->prev = evt_recorder_chain_put(rec, evt_recorder_slot(rec, key), place);
    entry->kind = (uint16_t)kind;
    entry->pad = 0;
    entry->key = key;
    entry->at_us = at_us;
    rec->last = place;
    rec->entries++;
    return entry + 1;
}
/** Puts the newest entry, a subject whose keys are set, into the chains of its links. */
void evt_recorder_link(struct evt_recorder *rec, struct evt_entry_subject *subject);

/** Whether the entry of a place is still there. */
static inline bool
evt_recorder_has(const struct evt_recorder *rec, uint64_t place)
{
    return place >= rec->first && place < rec->head && place + rec->cap >= rec->head;
}
/** An entry that is there / its payload. */
const struct evt_entry *evt_recorder_at(const struct evt_recorder *rec, uint64_t place);
static inline const void *
evt_entry_payload(const struct evt_entry *entry)
{
    return entry + 1;
}
/** The newest entry in the chain that key is in, the next older one; 0: none is left.  Other keys
 * may be in it. */
uint64_t evt_recorder_chain(const struct evt_recorder *rec, uint64_t key);
uint64_t evt_recorder_older(const struct evt_recorder *rec, uint64_t place, uint64_t key);
/** The entry before, of any key; 0: none is left. */
uint64_t evt_recorder_before(const struct evt_recorder *rec, uint64_t place);
/** Whether an entry is of a key, by itself or by a link. */
bool evt_entry_is(const struct evt_entry *entry, uint64_t key);

/** NULL: all that can be checked holds; else a line. */
const char *evt_recorder_check(const struct evt_recorder *rec);

#endif
