/* recall.c - reads the flow recorder: what belongs to a name, a Call-ID or an id.
 *
 * First the keys are gathered: ids of subscriptions and publications, and what their requests
 * share.  They come from the subjects in the ring and from what lives, since a subscription may be
 * older than all that is recorded.  Then each key's chain is walked, and what was found is visited
 * in its order.  On the shard's thread: what it costs is bounded by the ring and the limits. */
#include <stdlib.h>

#include "event/core.h"

#define KEYS_MOST 512u /* flows that one recall shows */

struct gathered {
    struct evt_shard *shard;
    const struct evt_recall *recall;
    evt_recalled_visit_f visit;
    void *context;
    uint64_t keys[KEYS_MOST];
    uint32_t n_keys;
    bool more; /* some was left out */
    uint64_t *places;
    size_t n, cap;
    char *scratch;
    size_t scratch_n;
};

/* True: it is new. */
static bool
add_key(struct gathered *g, uint64_t key)
{
    if (!key)
        return false;
    for (uint32_t i = 0; i < g->n_keys; i++)
        if (g->keys[i] == key)
            return false;
    if (g->n_keys == KEYS_MOST) {
        g->more = true;
        return false;
    }
    g->keys[g->n_keys++] = key;
    return true;
}

/* --- which flows ------------------------------------------------------------------------------ */

/* Keys of all subjects that a key leads to. */
static void
add_subjects(struct gathered *g, uint64_t key)
{
    const struct evt_recorder *rec = g->shard->recorder;

    for (uint64_t p = evt_recorder_chain(rec, key); p; p = evt_recorder_older(rec, p, key)) {
        const struct evt_entry *entry = evt_recorder_at(rec, p);

        if (entry->kind != EVT_ENTRY_SUBJECT || !evt_entry_is(entry, key))
            continue;
        const struct evt_entry_subject *subject = evt_entry_payload(entry);
        add_key(g, entry->key);
        add_key(g, subject->links[0].key);
        add_key(g, subject->cond);
    }
}

static void
add_sub(struct gathered *g, const struct evt_sub *sub)
{
    if (!sub || sub->state == EVT_SUB_INIT || sub->lingering)
        return;
    add_key(g, sub->id);
    add_key(g, evt_rec_call(g->shard, evt_texts_get(sub->texts, EVT_TEXT_CALL_ID)));
    add_key(g, evt_rec_cond_of(g->shard, sub));
}

static bool
is_asked_for(const struct gathered *g, const struct evt_sub *sub)
{
    const struct evt_recall *r = g->recall;

    if (r->name.n && (hd_slice_eq(evt_mirror_at(g->shard, sub->mirror)->key, r->name) ||
                      hd_slice_eq(evt_texts_get(sub->texts, EVT_TEXT_WATCHER), r->name)))
        return true;
    return r->call_id.n && hd_slice_eq(evt_texts_get(sub->texts, EVT_TEXT_CALL_ID), r->call_id);
}

/* Subscriptions whose messages are there, the newest first; they may be older than the ring, so
 * that no subject names them. */
static void
add_recorded(struct gathered *g)
{
    const struct evt_recorder *rec = g->shard->recorder;

    for (uint64_t p = rec->last; evt_recorder_has(rec, p) && p >= g->recall->since;
         p = evt_recorder_before(rec, p)) {
        const struct evt_entry *entry = evt_recorder_at(rec, p);
        const struct evt_entry_message *m = evt_entry_payload(entry);

        if (entry->kind != EVT_ENTRY_MESSAGE || !m->of_sub)
            continue;
        const struct evt_sub *sub = evt_sub_find(g->shard, entry->key);
        if (sub && sub->state != EVT_SUB_INIT && !sub->lingering && is_asked_for(g, sub))
            add_sub(g, sub);
    }
}

/* All that watches or makes the state of a resource, as far as there is room. */
static void
add_resource(struct gathered *g, struct hd_slice key)
{
    const struct evt_config *config = g->shard->config;

    for (size_t i = 0; i < config->n_packages; i++) {
        const struct hd_slice package = config->packages[i]->name;
        const struct evt_mirror *mirror = evt_mirror_find(g->shard, key, package);
        const struct evt_resource *resource = evt_resource_find(g->shard, key, package);

        for (uint32_t k = resource ? resource->newest : EVT_NONE; k != EVT_NONE && !g->more;) {
            const struct evt_pub *pub = evt_pub_at(g->shard, k);
            if (pub->live)
                add_key(g, pub->id);
            k = pub->older;
        }
        for (uint32_t k = 0; mirror && k < mirror->n_subs && !g->more; k++)
            if (mirror->subs[k] != EVT_NONE)
                add_sub(g, evt_sub_at(g->shard, mirror->subs[k]));
    }
}

static void
gather_keys(struct gathered *g)
{
    const struct evt_recall *r = g->recall;

    if (r->id) {
        add_key(g, r->id);
        add_sub(g, evt_sub_find(g->shard, r->id));
        add_subjects(g, r->id);
    }
    if (r->call_id.n) {
        const uint64_t call = evt_rec_call(g->shard, r->call_id);
        add_key(g, call);
        add_subjects(g, call);
    }
    if (r->name.n)
        add_subjects(g, evt_rec_name(g->shard, r->name));
    if (r->name.n || r->call_id.n)
        add_recorded(g);
    if (r->name.n)
        add_resource(g, r->name);
}

/* --- what there is now ------------------------------------------------------------------------ */

static void
tell_sub(const struct gathered *g, const struct evt_sub *sub)
{
    static const char *const states[] = { "init", "pending", "active", "terminated" };
    const struct evt_mirror *mirror = evt_mirror_at(g->shard, sub->mirror);
    const struct hd_slice call_id = evt_texts_get(sub->texts, EVT_TEXT_CALL_ID);

    g->visit(g->context, &(struct evt_recalled){
                             .kind = EVT_RECALLED_SUBJECT,
                             .at_us = g->shard->now_us,
                             .key = sub->id,
                             .call = evt_rec_call(g->shard, call_id),
                             .subject = "subscription",
                             .state = states[sub->state],
                             .call_id = call_id,
                             .resource = mirror->key,
                             .who = evt_texts_get(sub->texts, EVT_TEXT_WATCHER),
                             .package = mirror->package->name,
                             .proof = evt_proof_word((enum evt_proof)sub->texts->proof),
                             .transform = sub->transform,
                         });
}

static void
tell_pub(const struct gathered *g, const struct evt_pub *pub)
{
    const struct evt_resource *resource = evt_resource_at(g->shard, pub->resource);

    g->visit(g->context, &(struct evt_recalled){ .kind = EVT_RECALLED_SUBJECT,
                                                 .at_us = g->shard->now_us,
                                                 .key = pub->id,
                                                 .subject = "publication",
                                                 .state = "",
                                                 .resource = resource->key,
                                                 .who = pub->publisher,
                                                 .package = resource->package->name });
}

static void
tell_now(const struct gathered *g)
{
    for (uint32_t i = 0; i < g->n_keys; i++) {
        const struct evt_sub *sub = evt_sub_find(g->shard, g->keys[i]);
        const struct evt_pub *pub = evt_pub_find(g->shard, g->keys[i]);

        if (sub && sub->state != EVT_SUB_INIT && !sub->lingering)
            tell_sub(g, sub);
        if (pub && pub->live)
            tell_pub(g, pub);
    }
}

/* --- their entries ---------------------------------------------------------------------------- */

static bool
add_place(struct gathered *g, uint64_t place)
{
    if (g->n == g->cap) {
        const size_t cap = g->cap ? 2 * g->cap : 256;
        uint64_t *more = realloc(g->places, cap * sizeof(*more));
        if (!more) {
            g->more = true;
            return false;
        }
        g->places = more;
        g->cap = cap;
    }
    g->places[g->n++] = place;
    return true;
}

static void
gather_places(struct gathered *g, uint64_t key)
{
    const struct evt_recorder *rec = g->shard->recorder;
    uint32_t n = 0;

    for (uint64_t p = evt_recorder_chain(rec, key); p && p >= g->recall->since;
         p = evt_recorder_older(rec, p, key)) {
        if (!evt_entry_is(evt_recorder_at(rec, p), key))
            continue;
        if (n == g->recall->limit) {
            g->more = true;
            return;
        }
        n++;
        if (!add_place(g, p))
            return;
    }
}

static int
by_place(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

    return a < b ? -1 : a > b;
}

/* Sorts; each once, and of too many the newest. */
static void
settle_places(struct gathered *g)
{
    size_t n = 0;

    if (!g->n)
        return;
    qsort(g->places, g->n, sizeof(g->places[0]), by_place);
    for (size_t i = 0; i < g->n; i++)
        if (!n || g->places[n - 1] != g->places[i])
            g->places[n++] = g->places[i];
    if (n > g->recall->limit) {
        const size_t left_out = n - g->recall->limit;
        memmove(g->places, g->places + left_out, g->recall->limit * sizeof(g->places[0]));
        n -= left_out;
        g->more = true;
    }
    g->n = n;
}

/* --- telling them ----------------------------------------------------------------------------- */

static bool
scratch_has(struct gathered *g, size_t n)
{
    if (n > g->scratch_n) {
        char *more = realloc(g->scratch, n);
        if (!more)
            return false;
        g->scratch = more;
        g->scratch_n = n;
    }
    return true;
}

/* Puts a message together with the body that it shares, when that is still there. */
static void
tell_octets(struct gathered *g, const struct evt_entry_message *m, struct evt_recalled *row)
{
    const struct evt_recorder *rec = g->shard->recorder;
    const char *octets = (const char *)(m + 1);
    uint64_t shared;

    row->octets = hd_slice(octets, m->n);
    row->cut = m->cut;
    if (!m->body)
        return;
    row->octets.n -= m->fill;
    row->cut = true;
    if (m->cut || !evt_recorder_has(rec, m->body))
        return;
    const char *body = evt_entry_payload(evt_recorder_at(rec, m->body));
    memcpy(&shared, body, sizeof(shared));
    body += sizeof(shared);
    if (!scratch_has(g, m->n + shared))
        return;
    const size_t head = m->n - m->fill;
    memcpy(g->scratch, octets, head);
    memcpy(g->scratch + head, body, m->hole);
    memcpy(g->scratch + head + m->hole, octets + head, m->fill);
    memcpy(g->scratch + head + m->hole + m->fill, body + m->hole, shared - m->hole);
    row->octets = hd_slice(g->scratch, m->n + shared);
    row->cut = false;
}

static void
tell_message(struct gathered *g, const struct evt_entry_message *m, struct evt_recalled *row)
{
    row->kind = EVT_RECALLED_MESSAGE;
    row->out = m->out;
    row->transport = m->transport;
    row->local = m->local;
    row->remote = m->remote;
    tell_octets(g, m, row);
    g->visit(g->context, row);
}

static void
tell_subject(struct gathered *g, const struct evt_entry_subject *s, struct evt_recalled *row)
{
    static const char *const kinds[] = { "", "subscription", "publication", "refused" };
    static const char *const states[] = { "", "pending", "active", "terminated" };
    const char *octets = (const char *)(s + 1);
    struct hd_slice *const parts[] = { &row->call_id, &row->resource, &row->who, &row->package };

    for (size_t i = 0; i < HD_ARRAY_LEN(parts); i++) {
        *parts[i] = hd_slice(octets, s->n[i]);
        octets += s->n[i];
    }
    row->kind = EVT_RECALLED_SUBJECT;
    row->call = s->links[0].key;
    row->subject = kinds[s->kind];
    row->state = states[s->state];
    row->proof = evt_proof_word((enum evt_proof)s->proof);
    row->rule = s->rule;
    row->status = s->status;
    row->transform = s->transform;
    g->visit(g->context, row);
}

static void
tell(struct gathered *g, uint64_t place)
{
    const struct evt_entry *entry = evt_recorder_at(g->shard->recorder, place);
    struct evt_recalled row = { .place = place, .at_us = entry->at_us, .key = entry->key };
    const struct evt_entry_did *did = evt_entry_payload(entry);

    switch ((enum evt_entry_kind)entry->kind) {
    case EVT_ENTRY_MESSAGE:
        tell_message(g, evt_entry_payload(entry), &row);
        return;
    case EVT_ENTRY_SUBJECT:
        tell_subject(g, evt_entry_payload(entry), &row);
        return;
    case EVT_ENTRY_DID:
    case EVT_ENTRY_NOTE:
        row.kind = EVT_RECALLED_DID;
        row.what = did->what;
        row.detail = did->detail;
        row.octets = hd_slice((const char *)(did + 1), did->n);
        g->visit(g->context, &row);
        return;
    case EVT_ENTRY_BODY:
        return;
    }
}

bool
evt_shard_recall(struct evt_shard *shard, const struct evt_recall *recall, uint64_t now_us,
                 evt_recalled_visit_f visit, void *context, uint64_t *ret_next)
{
    struct gathered g = { .shard = shard, .recall = recall, .visit = visit, .context = context };

    evt_shard_tick(shard, now_us);
    *ret_next = recall->since;
    if (!shard->recorder)
        return true;
    gather_keys(&g);
    if (!recall->since)
        tell_now(&g);
    for (uint32_t i = 0; i < g.n_keys; i++)
        gather_places(&g, g.keys[i]);
    settle_places(&g);
    for (size_t i = 0; i < g.n; i++)
        tell(&g, g.places[i]);
    *ret_next = shard->recorder->head;
    free(g.places);
    free(g.scratch);
    return g.more;
}
