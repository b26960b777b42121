/* live.c - batches from the shards, commits on a thread of their own, outcomes back.
 *
 * A shard's puts of one turn travel as one batch.  While a commit runs the next batches gather; a
 * commit takes what is there, up to a number of records, so a lone request is kept at once and a
 * flood shares its fsyncs.  When a commit fails, what it tried is refused (STO_COMMIT), or stays
 * and is tried again (STO_ASYNC, where it was promised already).  What waits is bounded: above that
 * puts are refused. Invariants: a ticket that was taken gets exactly one outcome; a batch's records
 * are in the order of the puts, and batches of one shard in the order of its turns, so the records
 * of one bucket are too. */
#include "store/live.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "event/shard.h"
#include "store/inbox.h"
#include "store/trail.h"

#define STORE_MAGIC 0x5353514cu
#define RECORDS_PER_COMMIT 1024u
#define RECORDS_AT_THE_END 8192u /* when nobody waits for an answer any more */
#define BATCH_FIRST 4096u
#define SPARE_MOST ((size_t)256 << 10)
#define WAITING_MOST ((uint64_t)64 << 20) /* octets flushed and not yet kept */
#define ENDING_MOST ((uint64_t)16 << 20)  /* of the end */
#define RETRY_US 100000u                  /* STO_ASYNC: after a commit that failed */
#define EARLY_OUTCOMES 64u                /* STO_ASYNC: told in one piece */
#define PROBE_US 1000000u                 /* how often a disk that failed is asked */
#define PROBE_MOST ((uint64_t)1 << 20)    /* octets that it is asked to take at most */

enum store_mail { STORE_BATCH = 1, STORE_BACKUP, STORE_END, STORE_STOP };

/* One record of a batch; its octets follow, the next item is aligned. */
struct item {
    uint64_t id, ticket;
    uint32_t n;
    uint16_t bucket;
    uint8_t kind;
};

struct batch {
    struct hd_mail mail;
    struct batch *next;
    unsigned shard;
    uint32_t records;       /* that have no outcome yet */
    struct sto_stamp stamp; /* of the first: what they grant runs from here */
    size_t used, cap;
    size_t at; /* where the store's thread goes on reading */
    char octets[];
};

struct backup {
    struct hd_mail mail;
    struct sto_live *store;
    void (*done)(void *context, enum hd_err err);
    void *context;
    char *trail_path; /* behind the other one */
    char path[];
};

struct part {
    struct evt_shard *shard;
    struct batch *open;
    size_t last_used;            /* octets of the last batch */
    struct batch *_Atomic spare; /* one that is used up, for the next */
    char apart[64];              /* two shards never write one cache line */
};

struct sto_live {
    unsigned magic;
    unsigned shards;
    enum sto_durability durability;
    uint32_t spacing_us;
    struct sto_stamp (*clock)(void);
    struct sto_journal_params file;
    struct sto_journal *journal;
    struct sto_trail *trail; /* NULL: none is kept */
    struct sto_inbox inbox;
    pthread_t thread;
    bool runs;
    bool ending; /* what is still flushed is of the end: nobody waits for its outcome */
    bool stopping;
    bool lost;                   /* since the start, of what was flushed */
    struct batch *first, **last; /* taken from the box, not yet committed */
    struct backup *backup;
    uint64_t last_start_us;
    /* Of the store's thread.  What must go through before a store that failed is well again: as
     * much as the largest commit of those that did not; 0: it is well. */
    uint64_t owed_octets;
    uint64_t probe_us;            /* when it is asked next */
    struct evt_outcome *outcomes; /* of one shard */
    pthread_mutex_t lock;         /* of status alone, never held for long */
    struct sto_status status;
    _Atomic bool backing_up;
    _Atomic uint64_t waiting; /* octets of batches that were flushed and are not over */
    uint64_t given_up;        /* records that could not be kept before the end */
    struct part parts[];
};

/* --- the shards' side -------------------------------------------------------------------- */

static size_t
item_size(size_t n)
{
    return (sizeof(struct item) + n + 7) & ~(size_t)7;
}

static struct batch *
batch_grow(struct batch *batch, size_t cap)
{
    struct batch *bigger = realloc(batch, sizeof(*bigger) + cap);

    if (bigger)
        bigger->cap = cap;
    return bigger;
}

/* A new one has room for what the last one held, so that a flood is not copied from one to the
 * next larger. */
static struct batch *
batch_begin(struct sto_live *store, unsigned shard, size_t need)
{
    struct part *part = &store->parts[shard];
    struct batch *batch = atomic_exchange_explicit(&part->spare, NULL, memory_order_acquire);

    if (batch && batch->cap < need) {
        free(batch);
        batch = NULL;
    }
    if (!batch)
        batch = batch_grow(NULL, BATCH_FIRST + need + part->last_used + part->last_used / 4);
    if (!batch)
        return NULL;
    *batch = (struct batch){ .shard = shard, .stamp = store->clock(), .cap = batch->cap };
    return batch;
}

/* Used up: the memory of one stays with its shard. */
static void
batch_over(struct sto_live *store, struct batch *batch)
{
    if (batch->cap <= SPARE_MOST)
        batch = atomic_exchange_explicit(&store->parts[batch->shard].spare, batch,
                                         memory_order_acq_rel);
    free(batch);
}

static struct batch *
batch_room(struct sto_live *store, unsigned shard, size_t need)
{
    struct batch *batch = store->parts[shard].open;

    if (!batch)
        return store->parts[shard].open = batch_begin(store, shard, need);
    if (batch->cap - batch->used >= need)
        return batch;
    size_t cap = batch->cap * 2;
    while (cap - batch->used < need)
        cap *= 2;
    batch = batch_grow(batch, cap);
    if (batch)
        store->parts[shard].open = batch;
    return batch;
}

static enum hd_err
store_put(void *context, unsigned shard, unsigned bucket, enum evt_record_kind kind, uint64_t id,
          struct hd_slice record, uint64_t ticket)
{
    struct sto_live *store = context;

    HD_ASSERT_OBJ(store, STORE_MAGIC);
    HD_ASSERT(shard < store->shards);
    /* relaxed: it is a bound, one batch more or less does not matter */
    if (atomic_load_explicit(&store->waiting, memory_order_relaxed) > WAITING_MOST)
        return HD_ESTORE;
    struct batch *batch = batch_room(store, shard, item_size(record.n));
    if (!batch)
        return HD_ESTORE;
    struct item item = { .id = id,
                         .ticket = ticket,
                         .n = (uint32_t)record.n,
                         .bucket = (uint16_t)bucket,
                         .kind = (uint8_t)kind };
    memcpy(batch->octets + batch->used, &item, sizeof(item));
    if (record.n)
        memcpy(batch->octets + batch->used + sizeof(item), record.p, record.n);
    batch->used += item_size(record.n);
    batch->records++;
    return HD_OK;
}

const struct evt_store_ops sto_live_ops = { .put = store_put };

static void
audit_note(void *context, unsigned shard, const struct evt_audit *row)
{
    const struct sto_live *store = context;

    HD_ASSERT_OBJ(store, STORE_MAGIC);
    sto_trail_note(store->trail, shard, row);
}

const struct evt_audit_ops sto_live_audit_ops = { .note = audit_note };

/* Memory for so little comes back; the requests wait meanwhile. */
static void
post(struct evt_shard *shard, const struct evt_outcome *outcomes, size_t n)
{
    while (n > 0 && evt_stored_post(shard, outcomes, n))
        (void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

static void
post_outcomes(struct sto_live *store, const struct batch *batch, size_t from, uint32_t records,
              enum hd_err err)
{
    size_t n = 0, at = from;

    for (uint32_t i = 0; i < records; i++) {
        struct item item;
        memcpy(&item, batch->octets + at, sizeof(item));
        at += item_size(item.n);
        if (item.ticket)
            store->outcomes[n++] = (struct evt_outcome){ .ticket = item.ticket, .err = err };
    }
    post(store->parts[batch->shard].shard, store->outcomes, n);
}

/* STO_ASYNC: told before it is kept, on the shard's own thread. */
static size_t
post_early(struct sto_live *store, const struct batch *batch)
{
    struct evt_outcome outcomes[EARLY_OUTCOMES];
    struct evt_shard *shard = store->parts[batch->shard].shard;
    size_t at = 0, n = 0, told = 0;

    for (uint32_t i = 0; i < batch->records; i++) {
        struct item item;
        memcpy(&item, batch->octets + at, sizeof(item));
        at += item_size(item.n);
        if (item.ticket)
            outcomes[n++] = (struct evt_outcome){ .ticket = item.ticket, .err = HD_OK };
        if (n == EARLY_OUTCOMES) {
            post(shard, outcomes, n);
            told += n;
            n = 0;
        }
    }
    post(shard, outcomes, n);
    return told + n;
}

size_t
sto_live_flush(struct sto_live *store, unsigned shard)
{
    struct part *part = &store->parts[shard];
    struct batch *batch = part->open;
    size_t posted = 0;

    if (store->trail)
        sto_trail_flush(store->trail, shard);
    if (!batch)
        return 0;
    part->open = NULL;
    part->last_used = batch->used;
    if (store->durability == STO_ASYNC)
        posted = post_early(store, batch);
    (void)atomic_fetch_add_explicit(&store->waiting, batch->used, memory_order_relaxed);
    batch->mail.kind = STORE_BATCH;
    hd_mailbox_post(&store->inbox.box, &batch->mail);
    return posted;
}

/* --- the store's thread ------------------------------------------------------------------ */

static uint64_t
now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void
pause_us(uint64_t us)
{
    (void)nanosleep(&(struct timespec){ .tv_sec = (time_t)(us / 1000000),
                                        .tv_nsec = (long)(us % 1000000) * 1000 },
                    NULL);
}

static void
take_mails(struct sto_live *store)
{
    struct hd_mail *mail;

    while ((mail = hd_mailbox_take(&store->inbox.box))) {
        switch ((enum store_mail)mail->kind) {
        case STORE_BATCH: {
            struct batch *batch = (struct batch *)(void *)mail;
            batch->next = NULL;
            *store->last = batch;
            store->last = &batch->next;
            break;
        }
        case STORE_BACKUP:
            store->backup = (struct backup *)(void *)mail;
            break;
        case STORE_END:
            store->ending = true;
            free(mail);
            break;
        case STORE_STOP:
            store->ending = true;
            store->stopping = true;
            free(mail);
            break;
        }
    }
}

/* What one commit tried. */
struct taken {
    uint32_t items;
    uint64_t octets;
};

static enum hd_err
append_items(struct sto_live *store, const struct batch *batch, uint32_t most, struct taken *taken)
{
    size_t at = batch->at;
    enum hd_err err = HD_OK;

    while (at < batch->used && taken->items < most && !err) {
        struct item item;
        memcpy(&item, batch->octets + at, sizeof(item));
        err = sto_journal_append(store->journal, (enum evt_record_kind)item.kind, item.bucket,
                                 item.id, hd_slice(batch->octets + at + sizeof(item), item.n),
                                 batch->stamp);
        at += item_size(item.n);
        taken->octets += item_size(item.n);
        taken->items++;
    }
    return err;
}

/* Tells the outcome of all that one commit tried, and frees the batches that it used up. */
static void
settle(struct sto_live *store, uint32_t taken, enum hd_err err)
{
    while (taken > 0) {
        struct batch *batch = store->first;
        size_t from = batch->at;
        uint32_t n = 0;
        while (batch->at < batch->used && n < taken) {
            struct item item;
            memcpy(&item, batch->octets + batch->at, sizeof(item));
            batch->at += item_size(item.n);
            n++;
        }
        batch->records -= n;
        if (store->durability == STO_COMMIT)
            post_outcomes(store, batch, from, n, err);
        else if (err)
            store->given_up += n;
        store->lost = store->lost || err;
        taken -= n;
        if (batch->at < batch->used)
            break;
        store->first = batch->next;
        if (!store->first)
            store->last = &store->first;
        (void)atomic_fetch_sub_explicit(&store->waiting, batch->used, memory_order_relaxed);
        batch_over(store, batch);
    }
}

/* Whether the store is well: not when a commit failed; again when one of its size went through, or
 * the disk took as much when it was asked.  What is smaller may go on to find room. */
static void
note_health(struct sto_live *store, uint64_t octets, enum hd_err err)
{
    bool was_healthy = store->owed_octets == 0;

    if (err && octets >= store->owed_octets)
        store->owed_octets = octets ? octets : 1;
    else if (!err && octets >= store->owed_octets)
        store->owed_octets = 0;
    if (err)
        store->probe_us = now_us() + PROBE_US;
    bool healthy = store->owed_octets == 0;

    (void)pthread_mutex_lock(&store->lock);
    struct sto_status *status = &store->status;
    uint64_t failures = status->failures;
    status->healthy = healthy;
    if (healthy)
        status->problem[0] = '\0';
    else if (err)
        (void)snprintf(status->problem, sizeof(status->problem), "%s",
                       sto_journal_problem(store->journal));
    (void)pthread_mutex_unlock(&store->lock);
    if (was_healthy && !healthy)
        HD_LOG(HD_ERROR, "the store cannot keep what it is given",
               hd_f_str("reason", sto_journal_problem(store->journal)));
    else if (!was_healthy && healthy)
        HD_LOG(HD_INFO, "the store keeps again what it is given", hd_f_u64("failures", failures));
}

static void
note_commit(struct sto_live *store, uint32_t records, uint64_t took_us, enum hd_err err)
{
    (void)pthread_mutex_lock(&store->lock);
    struct sto_status *status = &store->status;
    if (err) {
        status->failures++;
    } else {
        status->commits++;
        status->records += records;
        status->commit_us_sum += took_us;
        if (took_us > status->commit_us_most)
            status->commit_us_most = took_us;
    }
    status->live = sto_journal_live(store->journal);
    status->rows = sto_journal_rows(store->journal);
    status->lost = sto_journal_lost(store->journal);
    (void)pthread_mutex_unlock(&store->lock);
}

/* Once in a while a disk that failed is asked whether it would take as much now, so that the status
 * is true also when nobody writes. */
static void
probe(struct sto_live *store)
{
    uint64_t owed = store->owed_octets;

    if (!owed || store->stopping || now_us() < store->probe_us)
        return;
    note_health(store, owed,
                sto_journal_probe(store->journal, owed < PROBE_MOST ? owed : PROBE_MOST));
}

/* A clean end writes each subscription that was notified since it was kept, a million perhaps, and
 * a commit waits for the disk as long however much is in it. */
static uint32_t
commit_most(const struct sto_live *store)
{
    return store->ending ? RECORDS_AT_THE_END : RECORDS_PER_COMMIT;
}

/* STO_ASYNC: what was told before it was kept is on the disk as soon as nothing waits. */
static void
sync_some(struct sto_live *store)
{
    if (store->first || !sto_journal_unsynced(store->journal))
        return;
    enum hd_err err = sto_journal_sync(store->journal);
    note_health(store, 0, err);
    if (err)
        pause_us(RETRY_US);
}

static void
commit_some(struct sto_live *store)
{
    const uint32_t most = commit_most(store);
    struct taken taken = { .items = 0 };
    uint64_t start = now_us();
    enum hd_err err = HD_OK;

    sto_journal_begin(store->journal);
    for (const struct batch *b = store->first; b && taken.items < most && !err; b = b->next)
        err = append_items(store, b, most, &taken);
    if (!err)
        err = sto_journal_commit(store->journal);
    else
        sto_journal_rollback(store->journal);
    note_commit(store, taken.items, now_us() - start, err);
    note_health(store, taken.octets, err);
    if (err && store->durability == STO_ASYNC && !store->ending)
        pause_us(RETRY_US);
    else
        settle(store, taken.items, err ? HD_ESTORE : HD_OK);
    if (!err)
        sync_some(store);
}

/* The next commit starts no sooner than the spacing after the last one; the first of a pause starts
 * at once. */
static void
space(struct sto_live *store)
{
    uint64_t now = now_us(), due = store->last_start_us + store->spacing_us;

    if (now < due)
        pause_us(due - now);
    store->last_start_us = now_us();
}

static void
backup_over(struct backup *backup, enum hd_err err)
{
    atomic_store(&backup->store->backing_up, false);
    backup->done(backup->context, err ? HD_ESTORE : HD_OK);
    free(backup);
}

static void
trail_copied(void *context, enum hd_err err)
{
    backup_over(context, err);
}

/* Some of the live file; the trail, which comes next, is copied on its own thread. */
static void
backup_step(struct sto_live *store)
{
    struct backup *backup = store->backup;
    bool done = false;
    enum hd_err err = sto_journal_backup(store->journal, backup->path, &done);

    if (!err && !done)
        return;
    store->backup = NULL;
    if (!err && store->trail)
        sto_trail_copy(store->trail, backup->trail_path, trail_copied, backup);
    else
        backup_over(backup, err);
}

/* Until something comes, or a disk that failed is to be asked again. */
static void
sleep_until_woken(struct sto_live *store)
{
    sto_inbox_sleep(&store->inbox, store->owed_octets ? (int)(PROBE_US / 1000) : -1);
}

static void *
store_run(void *context)
{
    struct sto_live *store = context;

    (void)pthread_setname_np(pthread_self(), "store");
    for (;;) {
        take_mails(store);
        if (store->first) {
            space(store);
            take_mails(store);
            commit_some(store);
        } else if (store->stopping) {
            break;
        } else if (!store->backup) {
            sleep_until_woken(store);
        }
        if (store->backup)
            backup_step(store);
        probe(store);
    }
    if (store->given_up)
        HD_LOG(HD_ERROR, "records that were acknowledged could not be kept",
               hd_f_u64("records", store->given_up),
               hd_f_str("reason", sto_journal_problem(store->journal)));
    if (store->backup) /* it is not finished before the end */
        backup_over(store->backup, HD_ESTORE);
    store->backup = NULL;
    return NULL;
}

/* --- life -------------------------------------------------------------------------------- */

enum hd_err
sto_live_new(const struct sto_live_params *params, char ret_problem[256],
             struct sto_live **ret_store)
{
    size_t size = sizeof(struct sto_live) + params->shards * sizeof(struct part);
    struct sto_live *store = aligned_alloc(64, (size + 63) / 64 * 64);
    enum hd_err err;

    ret_problem[0] = '\0';
    if (!store)
        return HD_ENOMEM;
    memset(store, 0, size);
    store->magic = STORE_MAGIC;
    store->shards = params->shards;
    store->durability = params->durability;
    store->spacing_us = params->spacing_us;
    store->clock = params->clock;
    store->file = params->file;
    store->last = &store->first;
    store->status.healthy = true;
    (void)pthread_mutex_init(&store->lock, NULL);
    store->outcomes = calloc(RECORDS_AT_THE_END, sizeof(*store->outcomes));
    err = sto_inbox_init(&store->inbox);
    if (!err && !store->outcomes)
        err = HD_ENOMEM;
    if (!err)
        err = sto_journal_open(&store->file, ret_problem, &store->journal);
    if (!err && params->audit.path)
        err = sto_trail_new(&(struct sto_trail_params){ .shards = params->shards,
                                                        .file = params->audit,
                                                        .clock = params->clock },
                            ret_problem, &store->trail);
    if (err) {
        sto_live_free(store);
        return err;
    }
    *ret_store = store;
    return HD_OK;
}

enum hd_err
sto_live_load(struct sto_live *store, const struct sto_journal_visitor *visitor,
              char ret_problem[256])
{
    HD_ASSERT(!store->runs);
    return sto_journal_load(store->journal, visitor, ret_problem);
}

void
sto_live_attach(struct sto_live *store, unsigned shard, struct evt_shard *event_shard)
{
    HD_ASSERT(shard < store->shards);
    store->parts[shard].shard = event_shard;
}

enum hd_err
sto_live_start(struct sto_live *store)
{
    HD_ASSERT_OBJ(store, STORE_MAGIC);
    store->status.live = sto_journal_live(store->journal);
    store->status.rows = sto_journal_rows(store->journal);
    store->status.lost = sto_journal_lost(store->journal);
    if (store->trail && sto_trail_start(store->trail))
        return HD_EIO;
    store->runs = pthread_create(&store->thread, NULL, store_run, store) == 0;
    return store->runs ? HD_OK : HD_EIO;
}

uint32_t
sto_live_start_number(const struct sto_live *store)
{
    return sto_journal_start(store->journal);
}

static void
end_start(struct sto_live *store, bool exact)
{
    if (exact && !store->lost && sto_journal_end_start(store->journal))
        HD_LOG(HD_WARN, "the end cannot be written down: the next start is like one after a crash",
               hd_f_str("reason", sto_journal_problem(store->journal)));
}

static void
post_word(struct sto_live *store, enum store_mail kind)
{
    struct hd_mail *mail;

    while (!(mail = calloc(1, sizeof(*mail))))
        (void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    mail->kind = (uint32_t)kind;
    hd_mailbox_post(&store->inbox.box, mail);
}

void
sto_live_end(struct sto_live *store)
{
    post_word(store, STORE_END);
}

void
sto_live_await(const struct sto_live *store)
{
    while (store->runs && atomic_load_explicit(&store->waiting, memory_order_relaxed) > ENDING_MOST)
        (void)nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

void
sto_live_stop(struct sto_live *store, bool exact)
{
    if (!store->runs)
        return;
    post_word(store, STORE_STOP);
    (void)pthread_join(store->thread, NULL);
    store->runs = false;
    sto_trail_stop(store->trail);
    end_start(store, exact);
}

void
sto_live_free(struct sto_live *store)
{
    if (!store)
        return;
    HD_ASSERT_OBJ(store, STORE_MAGIC);
    sto_live_stop(store, false);
    take_mails(store);
    while (store->first) {
        struct batch *next = store->first->next;
        free(store->first);
        store->first = next;
    }
    for (unsigned i = 0; i < store->shards; i++) {
        free(store->parts[i].open);
        free(atomic_load_explicit(&store->parts[i].spare, memory_order_relaxed));
    }
    sto_journal_close(store->journal);
    sto_trail_free(store->trail);
    sto_inbox_done(&store->inbox);
    (void)pthread_mutex_destroy(&store->lock);
    free(store->backup);
    free(store->outcomes);
    store->magic = 0;
    free(store);
}

void
sto_live_status(struct sto_live *store, struct sto_status *ret_status)
{
    (void)pthread_mutex_lock(&store->lock);
    *ret_status = store->status;
    store->status.commit_us_most = 0;
    (void)pthread_mutex_unlock(&store->lock);
    ret_status->depth = hd_mailbox_depth(&store->inbox.box);
    ret_status->audit_lost = store->trail ? sto_trail_lost(store->trail) : 0;
}

enum hd_err
sto_live_backup(struct sto_live *store, const char *path,
                void (*done)(void *context, enum hd_err err), void *context)
{
    size_t n = strlen(path) + 1;
    const char *slash = strrchr(path, '/');
    int folder = slash ? (int)(slash + 1 - path) : 0;
    size_t trail_n = (size_t)folder + sizeof(STO_AUDIT_FILE);

    if (atomic_exchange(&store->backing_up, true))
        return HD_EBUSY;
    struct backup *backup = calloc(1, sizeof(*backup) + n + trail_n);
    if (!backup) {
        atomic_store(&store->backing_up, false);
        return HD_ENOMEM;
    }
    backup->mail.kind = STORE_BACKUP;
    backup->store = store;
    backup->done = done;
    backup->context = context;
    memcpy(backup->path, path, n);
    backup->trail_path = backup->path + n;
    (void)snprintf(backup->trail_path, trail_n, "%.*s" STO_AUDIT_FILE, folder, path);
    hd_mailbox_post(&store->inbox.box, &backup->mail);
    return HD_OK;
}
