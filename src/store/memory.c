/* memory.c - the store in memory.  The core answers a request only when the store says that the
 * change is kept, so even a store that cannot fail answers later and in batches; a test makes it
 * late, out of step or failing.
 *
 * Invariants: one block per record, which moves from the waiting list to the table when it commits;
 * `outcomes` has room for every waiting record and everything not yet posted, so that a commit
 * needs no memory to be told; the waiting list is in the order of the puts; octets counts exactly
 * the blocks in the list and the table. */
#include "store/memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/id.h"
#include "base/map.h"
#include "base/table.h"
#include "event/shard.h"

#define MEMORY_MAGIC 0x534d454du

struct record {
    struct record *next; /* while it waits */
    uint64_t id, ticket;
    unsigned bucket;
    enum evt_record_kind kind;
    uint64_t written, written_ms; /* of a kept one: its number in the order of commits, and when */
    size_t n;                     /* 0: a removal */
    char octets[];
};

struct kept {
    struct record *record;
};

struct part {
    struct evt_shard *shard;
    struct record *first, **last; /* waiting */
    size_t waiting;
    struct hd_map index; /* (kind, id) -> place in kept */
    struct hd_table kept;
    uint64_t octets;
    uint64_t written;             /* records that were committed */
    struct evt_outcome *outcomes; /* committed, not yet posted */
    size_t n_outcomes, cap_outcomes;
    bool held;
    bool lost;           /* something that was taken */
    size_t fail, refuse; /* how many of the next */
    char apart[64];      /* two shards never write one cache line */
};

struct sto_memory {
    unsigned magic;
    unsigned shards;
    bool keep;
    uint64_t max_octets;
    uint64_t now_ms; /* as the host said last */
    struct part parts[];
};

static struct part *
part_of(struct sto_memory *store, unsigned shard)
{
    HD_ASSERT_OBJ(store, MEMORY_MAGIC);
    HD_ASSERT(shard < store->shards);
    return &store->parts[shard];
}

static const struct part *
part_of_const(const struct sto_memory *store, unsigned shard)
{
    HD_ASSERT_OBJ(store, MEMORY_MAGIC);
    HD_ASSERT(shard < store->shards);
    return &store->parts[shard];
}

static uint64_t
record_hash(enum evt_record_kind kind, uint64_t id)
{
    return hd_hash_mix(id, kind);
}

static uint64_t
record_size(const struct record *record)
{
    return sizeof(*record) + record->n;
}

enum hd_err
sto_memory_new(const struct sto_memory_params *params, struct sto_memory **ret_store)
{
    struct sto_memory *store;

    HD_ASSERT(params->shards > 0 && params->shards <= EVT_MAX_SHARDS);
    store = calloc(1, sizeof(*store) + params->shards * sizeof(store->parts[0]));
    if (!store)
        return HD_ENOMEM;
    store->magic = MEMORY_MAGIC;
    store->shards = params->shards;
    store->keep = params->keep;
    store->max_octets = params->max_octets;
    for (unsigned i = 0; i < store->shards; i++) {
        struct part *part = &store->parts[i];

        part->last = &part->first;
        hd_map_init(&part->index);
        hd_table_init(&part->kept, sizeof(struct kept), HD_TABLE_NONE - 1);
    }
    *ret_store = store;
    return HD_OK;
}

static void
part_done(struct part *part)
{
    uint32_t at;

    while (part->first) {
        struct record *record = part->first;

        part->first = record->next;
        free(record);
    }
    for (at = hd_table_next(&part->kept, 0); at != HD_TABLE_NONE;
         at = hd_table_next(&part->kept, at + 1)) {
        struct kept *kept = hd_table_at(&part->kept, at);

        free(kept->record);
    }
    hd_table_done(&part->kept);
    hd_map_done(&part->index);
    free(part->outcomes);
}

void
sto_memory_free(struct sto_memory *store)
{
    if (!store)
        return;
    HD_ASSERT_OBJ(store, MEMORY_MAGIC);
    for (unsigned i = 0; i < store->shards; i++)
        part_done(&store->parts[i]);
    store->magic = 0;
    free(store);
}

void
sto_memory_attach(struct sto_memory *store, unsigned shard, struct evt_shard *event_shard)
{
    part_of(store, shard)->shard = event_shard;
}

/* Room to tell the outcome of one more record. */
static enum hd_err
outcomes_reserve(struct part *part)
{
    size_t want = part->waiting + part->n_outcomes + 1;
    struct evt_outcome *grown;

    if (want <= part->cap_outcomes)
        return HD_OK;
    want += want / 2 + 16;
    grown = realloc(part->outcomes, want * sizeof(*grown));
    if (!grown)
        return HD_ENOMEM;
    part->outcomes = grown;
    part->cap_outcomes = want;
    return HD_OK;
}

static enum hd_err
memory_put(void *context, unsigned shard, unsigned bucket, enum evt_record_kind kind, uint64_t id,
           struct hd_slice octets, uint64_t ticket)
{
    struct sto_memory *store = context;
    struct part *part = part_of(store, shard);
    struct record *record;
    size_t n = store->keep ? octets.n : 0;
    enum hd_err err;

    HD_ASSERT(part->shard != NULL && bucket < HD_BUCKETS);
    if (part->refuse) {
        part->refuse--;
        return HD_ESTORE;
    }
    if (store->max_octets && part->octets + sizeof(*record) + n > store->max_octets &&
        octets.n) /* a removal makes room: always taken */
        return HD_EFULL;
    err = outcomes_reserve(part);
    if (err)
        return err;
    record = malloc(sizeof(*record) + n);
    if (!record)
        return HD_ENOMEM;
    *record = (struct record){ .id = id, .ticket = ticket, .bucket = bucket, .kind = kind, .n = n };
    if (n)
        memcpy(record->octets, octets.p, n);
    *part->last = record;
    part->last = &record->next;
    part->waiting++;
    part->octets += record_size(record);
    return HD_OK;
}

const struct evt_store_ops sto_memory_ops = { .put = memory_put };

static struct kept *
kept_find(const struct part *part, enum evt_record_kind kind, uint64_t id, uint32_t *ret_at)
{
    struct hd_map_walk walk;
    uint32_t at;

    for (at = hd_map_first(&walk, &part->index, record_hash(kind, id)); at != HD_MAP_NONE;
         at = hd_map_more(&walk)) {
        struct kept *kept = hd_table_at(&part->kept, at);

        if (kept->record->kind == kind && kept->record->id == id) {
            *ret_at = at;
            return kept;
        }
    }
    return NULL;
}

static void
record_free(struct part *part, struct record *record)
{
    part->octets -= record_size(record);
    free(record);
}

static void
kept_remove(struct part *part, enum evt_record_kind kind, uint64_t id)
{
    uint32_t at;
    struct kept *kept = kept_find(part, kind, id, &at);

    if (!kept)
        return;
    record_free(part, kept->record);
    HD_ASSERT(hd_map_remove(&part->index, record_hash(kind, id), at));
    hd_table_remove(&part->kept, at);
}

/* Takes the record over when HD_OK. */
static enum hd_err
kept_put(struct part *part, struct record *record)
{
    uint32_t at;
    struct kept *kept = kept_find(part, record->kind, record->id, &at);
    void *place;
    enum hd_err err;

    if (kept) {
        record_free(part, kept->record);
        kept->record = record;
        return HD_OK;
    }
    err = hd_table_add_keyed(&part->kept, &part->index, record_hash(record->kind, record->id), &at,
                             &place);
    if (err)
        return err;
    kept = place;
    kept->record = record;
    return HD_OK;
}

/* One record leaves the waiting list, and its outcome is noted. */
static void
commit(const struct sto_memory *store, struct part *part, struct record **link)
{
    struct record *record = *link;
    struct evt_outcome outcome = { .ticket = record->ticket, .err = HD_OK };

    record->written = ++part->written;
    record->written_ms = store->now_ms;
    *link = record->next;
    if (!*link)
        part->last = link;
    part->waiting--;
    if (part->fail) {
        part->fail--;
        outcome.err = HD_ESTORE;
        record_free(part, record);
    } else if (record->n == 0) {
        kept_remove(part, record->kind, record->id);
        record_free(part, record);
    } else if (kept_put(part, record) != HD_OK) {
        outcome.err = HD_ESTORE;
        record_free(part, record);
    }
    part->lost = part->lost || outcome.err;
    HD_ASSERT(part->n_outcomes < part->cap_outcomes);
    part->outcomes[part->n_outcomes++] = outcome;
}

static size_t
post(struct part *part)
{
    size_t n = part->n_outcomes;

    if (n == 0 || evt_stored_post(part->shard, part->outcomes, n) != HD_OK)
        return 0;
    part->n_outcomes = 0;
    return n;
}

size_t
sto_memory_flush(struct sto_memory *store, unsigned shard)
{
    struct part *part = part_of(store, shard);

    while (!part->held && part->first)
        commit(store, part, &part->first);
    return post(part);
}

bool
sto_memory_pending(const struct sto_memory *store, unsigned shard)
{
    const struct part *part = part_of_const(store, shard);

    return part->n_outcomes > 0 || (part->first && !part->held);
}

size_t
sto_memory_count(const struct sto_memory *store, unsigned shard)
{
    return part_of_const(store, shard)->kept.count;
}

size_t
sto_memory_waiting(const struct sto_memory *store, unsigned shard)
{
    return part_of_const(store, shard)->waiting;
}

uint64_t
sto_memory_octets(const struct sto_memory *store, unsigned shard)
{
    return part_of_const(store, shard)->octets;
}

enum hd_err
sto_memory_find(const struct sto_memory *store, unsigned shard, enum evt_record_kind kind,
                uint64_t id, struct hd_slice *ret_record)
{
    uint32_t at;
    const struct kept *kept = kept_find(part_of_const(store, shard), kind, id, &at);

    if (!kept)
        return HD_ENOMATCH;
    *ret_record = hd_slice(kept->record->octets, kept->record->n);
    return HD_OK;
}

/* --- the end and the next start -------------------------------------------------------------- */

void
sto_memory_clock(struct sto_memory *store, uint64_t now_ms)
{
    HD_ASSERT_OBJ(store, MEMORY_MAGIC);
    store->now_ms = now_ms;
}

bool
sto_memory_end(struct sto_memory *store, bool clean)
{
    bool exact = true;

    for (unsigned i = 0; i < store->shards; i++) {
        struct part *part = part_of(store, i);

        part->fail = part->refuse = 0;
        part->held = false;
        while (clean && part->first)
            commit(store, part, &part->first);
        while (part->first) {
            struct record *record = part->first;

            part->first = record->next;
            record_free(part, record);
            part->lost = true;
        }
        part->last = &part->first;
        part->waiting = part->n_outcomes = 0;
        part->shard = NULL;
        exact = exact && !part->lost;
        part->lost = false;
    }
    return exact;
}

/* The order of the journal: what others refer to comes first. */
static const uint8_t kind_place[] = {
    [EVT_RECORD_PUBLICATION] = 0, [EVT_RECORD_BINDINGS] = 1, [EVT_RECORD_SUBSCRIPTION] = 2,
    [EVT_RECORD_SEEN] = 3,        [EVT_RECORD_WAITING] = 4,  [EVT_RECORD_CONDITION] = 5,
};

static int
by_start(const void *a, const void *b)
{
    const struct record *one = *(const struct record *const *)a;
    const struct record *other = *(const struct record *const *)b;
    const int place = kind_place[one->kind] - kind_place[other->kind];

    if (place)
        return place;
    return one->written < other->written ? -1 : one->written > other->written;
}

/* The records of one kind are compared within their part: those of two parts have no order. */
enum hd_err
sto_memory_load(const struct sto_memory *store, sto_memory_visit_f visit, void *context)
{
    const struct record **records;
    size_t total = 0, n = 0;
    enum hd_err err = HD_OK;

    for (unsigned i = 0; i < store->shards; i++)
        total += sto_memory_count(store, i);
    records = calloc(total + 1, sizeof(*records));
    if (!records)
        return HD_ENOMEM;
    for (unsigned i = 0; i < store->shards; i++) {
        const struct hd_table *kept = &part_of_const(store, i)->kept;

        for (uint32_t at = hd_table_next(kept, 0); at != HD_TABLE_NONE;
             at = hd_table_next(kept, at + 1))
            records[n++] = ((const struct kept *)hd_table_at(kept, at))->record;
    }
    qsort(records, n, sizeof(*records), by_start);
    for (size_t i = 0; i < n && !err; i++)
        err = visit(context, records[i]->kind, records[i]->bucket, records[i]->id,
                    hd_slice(records[i]->octets, records[i]->n),
                    store->now_ms - records[i]->written_ms);
    free(records);
    return err;
}

void
sto_memory_hold(struct sto_memory *store, unsigned shard, bool held)
{
    part_of(store, shard)->held = held;
}

size_t
sto_memory_release(struct sto_memory *store, unsigned shard, size_t n)
{
    struct part *part = part_of(store, shard);
    size_t done;

    for (done = 0; done < n && part->first; done++)
        commit(store, part, &part->first);
    post(part);
    return done;
}

/* The oldest of the bucket that was written last. */
static struct record **
newest_bucket(struct part *part)
{
    struct record **link = &part->first;
    const struct record *newest = part->first;

    while (newest->next)
        newest = newest->next;
    while ((*link)->bucket != newest->bucket)
        link = &(*link)->next;
    return link;
}

size_t
sto_memory_release_newest(struct sto_memory *store, unsigned shard, size_t n)
{
    struct part *part = part_of(store, shard);
    size_t done;

    for (done = 0; done < n && part->first; done++)
        commit(store, part, newest_bucket(part));
    post(part);
    return done;
}

void
sto_memory_fail(struct sto_memory *store, unsigned shard, size_t n)
{
    part_of(store, shard)->fail = n;
}

void
sto_memory_refuse(struct sto_memory *store, unsigned shard, size_t n)
{
    part_of(store, shard)->refuse = n;
}
