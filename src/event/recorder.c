/* recorder.c - a ring of entries of any length, each in chains by what it is about.
 *
 * Places are counted from the beginning of time, so that one look at the newest tells whether an
 * entry is still there: nothing has to be taken out when it is written over.  An entry lies in one
 * piece; where it would not, the rest of the octets is left out.  A chain is as in a compressor: a
 * table holds the newest place of each hash, each entry the distance to the one before, and who
 * walks compares the key.  Invariants: at == head modulo the ring as far as octets were left out;
 * every distance of an entry that is there leads to an older one, or nowhere. */
#include "event/recorder.h"

#include <stdlib.h>
#include <string.h>

#define USUAL_ENTRY 512u /* octets, for the number of chains */

struct evt_recorder *
evt_recorder_new(size_t memory, uint64_t begin)
{
    struct evt_recorder *rec = calloc(1, sizeof(*rec));
    unsigned bits = 6;

    HD_ASSERT(memory >= EVT_RECORDER_LEAST && memory <= EVT_RECORDER_MOST);
    if (!rec)
        return NULL;
    memory &= ~(size_t)63;
    while ((size_t)USUAL_ENTRY << bits < memory)
        bits++;
    rec->magic = EVT_RECORDER_MAGIC;
    rec->cap = memory;
    rec->octets = malloc(memory); /* not touched before it is needed */
    rec->slots = calloc((size_t)1 << bits, sizeof(rec->slots[0]));
    rec->shift = 64 - bits;
    rec->first = rec->head = (begin / memory + 1) * memory;
    if (rec->octets && rec->slots)
        return rec;
    evt_recorder_free(rec);
    return NULL;
}

void
evt_recorder_free(struct evt_recorder *rec)
{
    if (!rec)
        return;
    free(rec->octets);
    free(rec->slots);
    rec->magic = 0;
    free(rec);
}

void
evt_recorder_link(struct evt_recorder *rec, struct evt_entry_subject *subject)
{
    for (unsigned i = 0; i < EVT_SUBJECT_LINKS; i++) {
        uint64_t *slot = evt_recorder_slot(rec, subject->links[i].key);

        subject->links[i].pad = 0;
        /* In one chain once: who walks takes the first way that leads on. */
        subject->links[i].prev =
            *slot == rec->last ? 0 : evt_recorder_chain_put(rec, slot, rec->last);
    }
}

const struct evt_entry *
evt_recorder_at(const struct evt_recorder *rec, uint64_t place)
{
    HD_ASSERT(evt_recorder_has(rec, place));
    return (const struct evt_entry *)(const void *)(rec->octets + place % rec->cap);
}

uint64_t
evt_recorder_chain(const struct evt_recorder *rec, uint64_t key)
{
    const uint64_t place = *evt_recorder_slot(rec, key);

    return evt_recorder_has(rec, place) ? place : 0;
}

static uint64_t
step_back(const struct evt_recorder *rec, uint64_t place, uint32_t distance)
{
    return distance && evt_recorder_has(rec, place - distance) ? place - distance : 0;
}

uint64_t
evt_recorder_older(const struct evt_recorder *rec, uint64_t place, uint64_t key)
{
    const struct evt_entry *entry = evt_recorder_at(rec, place);
    const uint64_t *slot = evt_recorder_slot(rec, key);

    if (evt_recorder_slot(rec, entry->key) == slot)
        return step_back(rec, place, entry->prev);
    if (entry->kind != EVT_ENTRY_SUBJECT)
        return 0;
    const struct evt_entry_subject *subject = evt_entry_payload(entry);
    for (unsigned i = 0; i < EVT_SUBJECT_LINKS; i++)
        if (evt_recorder_slot(rec, subject->links[i].key) == slot)
            return step_back(rec, place, subject->links[i].prev);
    return 0;
}

uint64_t
evt_recorder_before(const struct evt_recorder *rec, uint64_t place)
{
    return step_back(rec, place, evt_recorder_at(rec, place)->back);
}

bool
evt_entry_is(const struct evt_entry *entry, uint64_t key)
{
    if (entry->key == key)
        return true;
    if (entry->kind != EVT_ENTRY_SUBJECT)
        return false;
    const struct evt_entry_subject *subject = evt_entry_payload(entry);
    for (unsigned i = 0; i < EVT_SUBJECT_LINKS; i++)
        if (subject->links[i].key == key)
            return true;
    return false;
}

static bool
leads_back(const struct evt_recorder *rec, uint64_t place, uint32_t distance)
{
    return distance % 8 == 0 && distance <= place - rec->first;
}

const char *
evt_recorder_check(const struct evt_recorder *rec)
{
    uint64_t place = rec->last;

    if (rec->at > rec->cap || rec->head < rec->first || (rec->head - rec->first) % 8)
        return "recorder: the head is nowhere";
    while (place && evt_recorder_has(rec, place)) {
        const struct evt_entry *entry = evt_recorder_at(rec, place);

        if (entry->size < sizeof(*entry) || entry->size % 8 ||
            entry->size > rec->cap - place % rec->cap)
            return "recorder: an entry does not lie in one piece";
        if (entry->kind < EVT_ENTRY_MESSAGE || entry->kind > EVT_ENTRY_SUBJECT)
            return "recorder: an entry of no kind";
        if (!leads_back(rec, place, entry->back) || !leads_back(rec, place, entry->prev))
            return "recorder: an entry leads to where nothing was";
        if (entry->back == 0)
            break;
        place -= entry->back;
    }
    return NULL;
}
