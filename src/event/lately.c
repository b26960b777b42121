/* lately.c - how long things took, read from the flow recorder's newest entries.
 *
 * Nothing is measured on the path of a message: what is recorded has its time, and who asks how
 * long it took pays for the reading.  From the newest entry backwards an answer is met before what
 * it answers; it is remembered by its key until then, in a table where a newer one takes an older
 * one's place.  Times are those of the shard's turns. */
#include "event/core.h"

#define SLOTS 1024u /* answers that wait for their request */

struct slot {
    uint64_t key, at_us;
};

struct walk {
    struct evt_shard *shard;
    const struct evt_lately *lately;
    struct slot slots[SLOTS];
    struct evt_moment open[64]; /* publications that were applied, the newest: told when their
                                   request is met, or pushed out */
    uint32_t n_open;
};

static struct slot *
slot_of(struct walk *w, uint64_t key)
{
    return &w->slots[(key ^ key >> 32) & (SLOTS - 1)];
}

static bool
is_2xx(struct hd_slice octets)
{
    return hd_slice_starts(octets, HD_LIT("SIP/2.0 2"));
}

static uint64_t
resource_hash(const struct evt_shard *shard, struct hd_slice key, struct hd_slice package)
{
    return hd_hash_mix(evt_rec_name(shard, key), hd_hash(&shard->keys.table, package));
}

static void
tell(struct walk *w, const struct evt_moment *moment)
{
    w->lately->moment(w->lately->context, moment);
}

/* --- moments ---------------------------------------------------------------------------- */

static void
tell_sub(struct walk *w, uint64_t id, uint64_t at_us, enum evt_moment_kind kind, uint64_t octets)
{
    const struct evt_sub *sub = evt_sub_find(w->shard, id);

    if (!sub || sub->state == EVT_SUB_INIT || sub->lingering)
        return; /* what is over has no mirror any more */
    const struct evt_mirror *mirror = evt_mirror_at(w->shard, sub->mirror);
    tell(w, &(struct evt_moment){
                .kind = kind,
                .at_us = at_us,
                .sub = id,
                .octets = octets,
                .resource = resource_hash(w->shard, mirror->key, mirror->package->name) });
}

static void
open_pub(struct walk *w, uint64_t id, uint64_t at_us)
{
    const struct evt_pub *pub = evt_pub_find(w->shard, id);
    struct evt_moment *place = &w->open[w->n_open % HD_ARRAY_LEN(w->open)];

    if (!pub || !pub->live)
        return;
    const struct evt_resource *resource = evt_resource_at(w->shard, pub->resource);
    if (w->n_open++ >= HD_ARRAY_LEN(w->open))
        tell(w, place);
    *place = (struct evt_moment){ .kind = EVT_MOMENT_PUBLISHED,
                                  .at_us = at_us,
                                  .began_us = at_us,
                                  .resource = resource_hash(w->shard, resource->key,
                                                            resource->package->name) };
}

/* The request that was answered then came at began_us: what was applied in that turn is its. */
static void
began(struct walk *w, uint64_t answered_us, uint64_t began_us)
{
    for (size_t i = 0; i < HD_ARRAY_LEN(w->open); i++)
        if (w->open[i].at_us == answered_us && w->open[i].began_us == answered_us) {
            w->open[i].began_us = began_us;
            return;
        }
}

static void
see_did(struct walk *w, const struct evt_entry *entry)
{
    const struct evt_entry_did *did = evt_entry_payload(entry);

    if (did->what == EVT_DID_PUBLISH)
        open_pub(w, entry->key, entry->at_us);
    else if (did->what == EVT_DID_ACCEPT)
        tell_sub(w, entry->key, entry->at_us, EVT_MOMENT_BEGAN, 0);
    else if (did->what == EVT_DID_HOLD)
        tell_sub(w, entry->key, entry->at_us, EVT_MOMENT_HELD, 0);
}

/* --- messages --------------------------------------------------------------------------- */

static void
took(struct walk *w, enum evt_took what, struct slot *slot, uint64_t since_us)
{
    w->lately->took(w->lately->context, what, slot->at_us - since_us);
    slot->key = 0;
}

static void
see_message(struct walk *w, const struct evt_entry *entry)
{
    const struct evt_entry_message *m = evt_entry_payload(entry);
    const struct hd_slice octets = hd_slice((const char *)(m + 1), m->n);
    const bool request = !hd_slice_starts(octets, HD_LIT("SIP/2.0 "));
    struct slot *slot = slot_of(w, entry->key);

    if (m->of_sub && request && m->out)
        tell_sub(w, entry->key, entry->at_us, EVT_MOMENT_NOTIFIED,
                 hd_hash(&w->shard->keys.table, octets));
    if (!request && is_2xx(octets) && m->out != m->of_sub) {
        *slot = (struct slot){ entry->key, entry->at_us };
    } else if (request && slot->key == entry->key && m->out == m->of_sub) {
        if (!m->of_sub && hd_slice_starts(octets, HD_LIT("PUBLISH ")))
            began(w, slot->at_us, entry->at_us);
        took(w, m->of_sub ? EVT_TOOK_ANSWER : EVT_TOOK_REQUEST, slot, entry->at_us);
    }
}

/* --- the walk --------------------------------------------------------------------------- */

void
evt_shard_lately(struct evt_shard *shard, const struct evt_lately *lately, uint64_t now_us)
{
    const struct evt_recorder *rec = shard->recorder;
    const uint64_t from_us = now_us > lately->span_us ? now_us - lately->span_us : 0;
    struct walk w = { .shard = shard, .lately = lately };
    uint32_t n = 0;

    if (!rec)
        return;
    for (uint64_t p = rec->last; evt_recorder_has(rec, p) && n < lately->most;
         p = evt_recorder_before(rec, p), n++) {
        const struct evt_entry *entry = evt_recorder_at(rec, p);

        if (entry->at_us < from_us)
            break;
        if (entry->kind == EVT_ENTRY_MESSAGE)
            see_message(&w, entry);
        else if (entry->kind == EVT_ENTRY_DID || entry->kind == EVT_ENTRY_NOTE)
            see_did(&w, entry);
    }
    for (uint32_t i = 0; i < w.n_open && i < HD_ARRAY_LEN(w.open); i++)
        tell(&w, &w.open[i]);
}
