/* journal.c - append and trim.
 *
 * The log is one stream of rows (segments.h, row.h).  A batch is gathered in memory, ended with a
 * mark, and written in one piece.  In memory there is one map per kind of record from id to the
 * number of the row that counts; a batch changes it as it goes and remembers what was there before,
 * so that one that fails leaves no trace.
 *
 * Invariants: every id's newest row lies in [tail, end).  A removal at the tail hides nothing,
 * since all older rows are gone, and is dropped.  A mark names the first row of its batch, which is
 * the one behind the mark before it: so what a batch that failed has left behind a later one is not
 * taken for a batch.  The log grows beyond twice what counts only while its tail is made of rows
 * that count: then to three times at most. */
#include "store/journal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "store/journal_impl.h"

#ifndef SLACK                     /* a test of crashes has less, so that more happens in less */
#define SLACK ((uint64_t)2 << 20) /* octets beyond twice what counts */
#endif
#ifndef AT_ONCE
#define AT_ONCE ((uint64_t)1 << 20) /* octets that are copied in one step */
#endif
#define TRIM_PER_OCTET 2u /* taken off the tail for each one added */
#define BATCH_SPARE ((size_t)4 << 20)
#define SIZE_UNIT 64u /* of the sizes in the index */

static const enum evt_record_kind kinds[STO_TABLES] = {
    EVT_RECORD_SUBSCRIPTION, EVT_RECORD_PUBLICATION, EVT_RECORD_BINDINGS,
    EVT_RECORD_SEEN,         EVT_RECORD_WAITING,     EVT_RECORD_CONDITION
};

enum evt_record_kind
sto_journal_kind(unsigned table)
{
    return kinds[table];
}

static unsigned
table_of(enum evt_record_kind kind)
{
    unsigned table = 0;

    while (kinds[table] != kind)
        table++;
    return table;
}

enum hd_err
sto_journal_failed(struct sto_journal *journal, enum hd_err err)
{
    if (err)
        (void)snprintf(journal->problem, sizeof(journal->problem), "%s",
                       err == HD_ENOMEM ? "out of memory" : sto_segments_problem(journal->log));
    return err && err != HD_ENOMEM ? HD_ESTORE : err;
}

struct sto_held
sto_journal_held(uint64_t number, uint64_t n)
{
    uint64_t units = (sto_row_size(n) + SIZE_UNIT - 1) / SIZE_UNIT;

    return (struct sto_held){ (uint32_t)number,
                              (uint16_t)(units < UINT16_MAX ? units : UINT16_MAX) };
}

uint64_t
sto_journal_octets(struct sto_held held)
{
    return held.row ? (uint64_t)held.size * SIZE_UNIT : 0;
}

/* --- opening ----------------------------------------------------------------------------- */

static bool
remember_place(struct sto_journal *journal, const struct sto_journal_params *params)
{
    journal->path = strdup(params->path);
    journal->vfs = params->vfs ? strdup(params->vfs) : NULL;
    return journal->path && (journal->vfs || !params->vfs);
}

/* After what ends there is on the disk, or a crash between the two would look like a loss. */
static enum hd_err
note_end(struct sto_journal *journal)
{
    enum hd_err err = sto_journal_unsynced(journal) ? sto_journal_sync(journal) : HD_OK;

    if (!err)
        err = sto_journal_failed(journal, sto_segments_note_end(journal->log, journal->end));
    return err ? err : sto_journal_sync(journal);
}

/* The number of this start goes into the file at once; where it cannot, with the first batch. */
static void
begin_start(struct sto_journal *journal)
{
    journal->start++;
    sto_journal_begin(journal);
    if (!sto_journal_commit(journal))
        (void)!note_end(journal);
}

enum hd_err
sto_journal_open(const struct sto_journal_params *params, char ret_problem[256],
                 struct sto_journal **ret_journal)
{
    struct sto_journal *journal = calloc(1, sizeof(*journal));
    enum hd_err err = HD_ENOMEM;

    ret_problem[0] = '\0';
    if (!journal)
        return err;
    journal->magic = JOURNAL_MAGIC;
    journal->durable = params->durable;
    journal->opened = params->now;
    journal->boot = sto_row_boot(params->boot_id);
    if (!remember_place(journal, params))
        (void)snprintf(ret_problem, 256, "%.120s: out of memory", params->path);
    else
        err = sto_segments_open(params->vfs, params->path, ret_problem, &journal->log);
    if (!err) {
        journal->salt = sto_segments_salt(journal->log);
        err = sto_journal_scan(journal);
        if (!err) /* what a process that was killed has left is as good as lost until then */
            err = sto_journal_sync(journal);
        if (err)
            (void)snprintf(ret_problem, 256, "%.120s: %.120s", params->path, journal->problem);
    }
    if (err) {
        sto_journal_close(journal);
        return err == HD_ESTORE ? HD_EIO : err;
    }
    begin_start(journal);
    *ret_journal = journal;
    return HD_OK;
}

void
sto_journal_close(struct sto_journal *journal)
{
    if (!journal)
        return;
    HD_ASSERT_OBJ(journal, JOURNAL_MAGIC);
    sto_journal_scan_done(journal);
    for (unsigned i = 0; i < STO_TABLES; i++)
        sto_index_done(&journal->index[i]);
    sto_segments_close(journal->copy);
    sto_segments_close(journal->log);
    free(journal->window.p);
    free(journal->batch);
    free(journal->changes);
    free(journal->path);
    free(journal->vfs);
    journal->magic = 0;
    free(journal);
}

uint32_t
sto_journal_start(const struct sto_journal *journal)
{
    return journal->start;
}

/* --- writing ----------------------------------------------------------------------------- */

void
sto_journal_begin(struct sto_journal *journal)
{
    HD_ASSERT_OBJ(journal, JOURNAL_MAGIC);
    HD_ASSERT(!journal->in_batch);
    journal->in_batch = true;
    journal->batch_n = 0;
    journal->fold = 0;
    journal->n_changes = 0;
    journal->tail_before = journal->tail;
    journal->rows_before = journal->rows;
    journal->live_before = journal->live_octets;
}

/* Room for more octets of the batch, and for a change. */
static enum hd_err
batch_room(struct sto_journal *journal, uint64_t n)
{
    if (journal->batch_cap - journal->batch_n < n) {
        size_t cap = (journal->batch_n + n) * 2;
        char *batch = realloc(journal->batch, cap);
        if (!batch)
            return sto_journal_failed(journal, HD_ENOMEM);
        journal->batch = batch;
        journal->batch_cap = cap;
    }
    if (journal->n_changes == journal->cap_changes) {
        size_t cap = journal->cap_changes ? journal->cap_changes * 2 : 512;
        struct change *changes = realloc(journal->changes, cap * sizeof(*changes));
        if (!changes)
            return sto_journal_failed(journal, HD_ENOMEM);
        journal->changes = changes;
        journal->cap_changes = cap;
    }
    return HD_OK;
}

/* The number of what the batch gets next. */
static uint64_t
next_number(const struct sto_journal *journal)
{
    return (journal->end + journal->batch_n) / STO_UNIT;
}

static void
fold(struct sto_journal *journal, uint64_t check)
{
    journal->fold = hd_hash_mix(journal->fold, check);
}

/* A number whose lower half is 0 is not given to a record: a void has it. */
static enum hd_err
row_room(struct sto_journal *journal, uint64_t size)
{
    enum hd_err err = batch_room(journal, size + STO_ROW_HEAD);

    if (err || (uint32_t)next_number(journal) != 0)
        return err;
    const struct sto_row row = { .number = next_number(journal), .table = STO_VOID };
    fold(journal, sto_row_write_head(journal->batch + journal->batch_n, journal->salt, &row));
    journal->batch_n += STO_ROW_HEAD;
    return HD_OK;
}

/* The row at the end of the batch counts now. */
static void
point_to(struct sto_journal *journal, const struct sto_row *row)
{
    struct sto_index *index = &journal->index[row->table];
    struct sto_held now = sto_journal_held(row->number, row->n);
    struct sto_held before =
        row->n ? sto_index_put(index, row->id, now) : sto_index_remove(index, row->id);

    journal->changes[journal->n_changes++] =
        (struct change){ .table = row->table, .id = row->id, .held = before };
    journal->live_octets -= sto_journal_octets(before);
    if (row->n)
        journal->live_octets += sto_journal_octets(now);
    journal->rows++;
    journal->batch_n += sto_row_size(row->n);
}

static enum hd_err
append(struct sto_journal *journal, unsigned table, unsigned bucket, uint64_t id,
       struct hd_slice record, struct sto_stamp now)
{
    enum hd_err err = row_room(journal, sto_row_size(record.n));

    HD_ASSERT(journal->in_batch && journal->loaded); /* or else it would trim what lives */
    if (!err && sto_index_reserve(&journal->index[table], 1))
        err = sto_journal_failed(journal, HD_ENOMEM);
    if (err)
        return err;
    const struct sto_row row = { .number = next_number(journal),
                                 .id = id,
                                 .table = table,
                                 .bucket = bucket,
                                 .boot = journal->boot,
                                 .stamp = now,
                                 .n = record.n };
    fold(journal, sto_row_write(journal->batch + journal->batch_n, journal->salt, &row, record.p));
    point_to(journal, &row);
    return HD_OK;
}

enum hd_err
sto_journal_append(struct sto_journal *journal, enum evt_record_kind kind, unsigned bucket,
                   uint64_t id, struct hd_slice record, struct sto_stamp now)
{
    return append(journal, table_of(kind), bucket, id, record, now);
}

enum hd_err
sto_journal_remove(struct sto_journal *journal, unsigned table, uint64_t id)
{
    return append(journal, table, 0, id, hd_slice(NULL, 0), journal->opened);
}

/* --- trimming ---------------------------------------------------------------------------- */

/* Copies a row that counts to the end of the batch, as it is. */
static enum hd_err
move_row(struct sto_journal *journal, struct sto_row *row)
{
    const uint64_t size = sto_row_size(row->n), from = row->number;
    const char *octets;
    enum hd_err err = sto_journal_view(journal, from * STO_UNIT, size, journal->end, &octets);

    if (!err)
        err = row_room(journal, size);
    if (err)
        return err;
    char *to = journal->batch + journal->batch_n;
    memcpy(to, octets, size);
    row->number = next_number(journal);
    fold(journal, sto_row_move(to, from, row->number));
    point_to(journal, row);
    return HD_OK;
}

static bool
counts(const struct sto_journal *journal, const struct sto_row *row)
{
    if (row->table >= STO_TABLES)
        return false;
    const struct sto_place *place = sto_index_find(&journal->index[row->table], row->id);

    return place && place->row == (uint32_t)row->number;
}

/* Takes one row off the tail. */
static enum hd_err
trim_row(struct sto_journal *journal)
{
    const char *head;
    struct sto_row row;
    enum hd_err err = sto_journal_view(journal, journal->tail, STO_ROW_HEAD, journal->end, &head);

    if (err)
        return err;
    if (!sto_row_read(head, journal->salt, journal->tail / STO_UNIT, &row) ||
        row.n > journal->end - journal->tail - STO_ROW_HEAD) {
        journal->lost++; /* the disk gave back something else than it took */
        return sto_journal_search(journal, journal->tail + STO_UNIT, journal->end, &journal->tail);
    }
    journal->tail += sto_row_size(row.n);
    if (row.table >= STO_TABLES)
        return HD_OK;
    journal->rows--;
    return counts(journal, &row) ? move_row(journal, &row) : HD_OK;
}

static enum hd_err
trim(struct sto_journal *journal)
{
    const uint64_t most = journal->tail + journal->batch_n * TRIM_PER_OCTET;
    enum hd_err err = HD_OK;

    while (!err && journal->tail < most && journal->tail < journal->end &&
           journal->end + journal->batch_n - journal->tail > 2 * journal->live_octets + SLACK)
        err = trim_row(journal);
    return err;
}

/* --- the end of a batch ------------------------------------------------------------------ */

static enum hd_err
add_mark(struct sto_journal *journal)
{
    enum hd_err err = batch_room(journal, STO_ROW_HEAD);
    const struct sto_row mark = { .number = next_number(journal),
                                  .table = STO_MARK,
                                  .bucket = sto_journal_unsynced(journal) ? 0 : STO_SYNCED,
                                  .id = journal->start,
                                  .boot = journal->boot,
                                  .stamp = { journal->end / STO_UNIT, journal->fold } };

    if (err)
        return err;
    (void)sto_row_write_head(journal->batch + journal->batch_n, journal->salt, &mark);
    journal->batch_n += STO_ROW_HEAD;
    return HD_OK;
}

/* What the log may forget: not what a backup is still to read. */
static uint64_t
tail_known(const struct sto_journal *journal)
{
    return journal->copy && journal->copy_from < journal->tail_synced ? journal->copy_from
                                                                      : journal->tail_synced;
}

/* What a sync that failed has left in doubt. */
static enum hd_err
write_again(struct sto_journal *journal)
{
    enum hd_err err = HD_OK;

    for (uint64_t at = journal->end_synced; at < journal->end && !err;) {
        uint64_t n = journal->end - at < AT_ONCE ? journal->end - at : AT_ONCE;
        const char *octets;
        err = sto_journal_view(journal, at, n, journal->end, &octets);
        if (!err)
            err = sto_segments_write(journal->log, at, octets, n, 0);
        at += n;
    }
    return err;
}

static enum hd_err
sync_log(struct sto_journal *journal, uint64_t end)
{
    enum hd_err err = journal->sync_failed ? write_again(journal) : HD_OK;

    if (!err)
        err = sto_segments_sync(journal->log);
    journal->sync_failed = err;
    if (err)
        return sto_journal_failed(journal, err);
    journal->tail_synced = journal->tail;
    journal->end_synced = end;
    return HD_OK;
}

/* Without durable commits each segment is on the disk before the next one is begun. */
static enum hd_err
write_batch(struct sto_journal *journal)
{
    enum hd_err err = sto_segments_write(journal->log, journal->end, journal->batch,
                                         journal->batch_n, tail_known(journal));

    if (err)
        return sto_journal_failed(journal, err);
    return journal->durable || sto_segments_begun(journal->log)
               ? sync_log(journal, journal->end + journal->batch_n)
               : HD_OK;
}

enum hd_err
sto_journal_commit(struct sto_journal *journal)
{
    HD_ASSERT(journal->in_batch);
    enum hd_err err = trim(journal);

    if (!err)
        err = add_mark(journal);
    if (!err)
        err = write_batch(journal);
    if (err) {
        sto_journal_rollback(journal);
        return HD_ESTORE;
    }
    journal->end += journal->batch_n;
    journal->in_batch = false;
    if (journal->batch_cap > BATCH_SPARE) {
        free(journal->batch);
        journal->batch = NULL;
        journal->batch_cap = 0;
    }
    return HD_OK;
}

/* What the disk may have taken of it is not to be found by a start: its first head is no head. */
static void
take_back(struct sto_journal *journal)
{
    static const char nothing[STO_UNIT];

    if (journal->end < sto_segments_limit(journal->log))
        (void)!sto_segments_write(journal->log, journal->end, nothing, sizeof(nothing), 0);
    sto_segments_cut(journal->log, journal->end);
}

void
sto_journal_rollback(struct sto_journal *journal)
{
    if (!journal->in_batch)
        return;
    while (journal->n_changes > 0) {
        const struct change *change = &journal->changes[--journal->n_changes];
        struct sto_index *index = &journal->index[change->table];
        if (change->held.row) /* there is room: it was in it before */
            (void)sto_index_put(index, change->id, change->held);
        else
            (void)sto_index_remove(index, change->id);
    }
    journal->tail = journal->tail_before;
    journal->rows = journal->rows_before;
    journal->live_octets = journal->live_before;
    journal->in_batch = false;
    take_back(journal);
}

bool
sto_journal_unsynced(const struct sto_journal *journal)
{
    return journal->end_synced < journal->end;
}

enum hd_err
sto_journal_sync(struct sto_journal *journal)
{
    HD_ASSERT(!journal->in_batch);
    return sync_log(journal, journal->end);
}

enum hd_err
sto_journal_end_start(struct sto_journal *journal)
{
    sto_journal_begin(journal);
    journal->start--;
    enum hd_err err = sto_journal_commit(journal);
    if (!err)
        err = note_end(journal);
    journal->start++;
    return err;
}

/* As much as what failed is written behind the end, and means nothing. */
enum hd_err
sto_journal_probe(struct sto_journal *journal, uint64_t octets)
{
    sto_journal_begin(journal);
    enum hd_err err = batch_room(journal, sto_row_size(octets));
    if (err) {
        sto_journal_rollback(journal);
        return HD_ESTORE;
    }
    char *to = journal->batch;
    const struct sto_row row = { .number = next_number(journal), .table = STO_VOID, .n = octets };
    memset(to, 0, sto_row_size(octets));
    fold(journal, sto_row_write_head(to, journal->salt, &row));
    journal->batch_n = sto_row_size(octets);
    err = sto_journal_commit(journal);
    return !err && sto_journal_unsynced(journal) ? sto_journal_sync(journal) : err;
}

/* --- backup ------------------------------------------------------------------------------ */

static enum hd_err
copy_begin(struct sto_journal *journal, const char *path)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return HD_EIO;
    (void)close(fd);
    journal->copied = journal->copy_from = journal->tail;
    enum hd_err err = sto_segments_copy(journal->log, journal->tail, path, &journal->copy);
    if (err)
        (void)unlink(path);
    return err;
}

static enum hd_err
copy_some(struct sto_journal *journal)
{
    uint64_t rest = journal->end - journal->copied, n = rest < AT_ONCE ? rest : AT_ONCE;
    const char *octets;
    enum hd_err err = sto_journal_view(journal, journal->copied, n, journal->end, &octets);

    if (!err)
        err = sto_segments_write(journal->copy, journal->copied, octets, n, journal->copy_from);
    if (!err)
        err = sto_segments_sync(journal->copy);
    if (!err)
        journal->copied += n;
    return err;
}

/* Who starts from the copy does not know what was sent since it was made. */
static enum hd_err
copy_end(struct sto_journal *journal)
{
    char octets[STO_ROW_HEAD];
    const struct sto_row mark = { .number = journal->end / STO_UNIT,
                                  .table = STO_MARK,
                                  .bucket = STO_SYNCED,
                                  .id = journal->start + STARTS_UNKNOWN,
                                  .boot = journal->boot,
                                  .stamp = { journal->end / STO_UNIT, 0 } };

    (void)sto_row_write_head(octets, journal->salt, &mark);
    enum hd_err err =
        sto_segments_write(journal->copy, journal->end, octets, sizeof(octets), journal->copy_from);
    if (!err)
        err = sto_segments_note_end(journal->copy, journal->end + sizeof(octets));
    return err ? err : sto_segments_sync(journal->copy);
}

enum hd_err
sto_journal_backup(struct sto_journal *journal, const char *path, bool *ret_done)
{
    enum hd_err err = HD_OK;

    HD_ASSERT(!journal->in_batch);
    *ret_done = false;
    if (!journal->copy) {
        err = copy_begin(journal, path);
        return err ? HD_ESTORE : HD_OK;
    }
    err = copy_some(journal);
    if (!err && journal->copied == journal->end) { /* at once: the next batch would add to it */
        err = copy_end(journal);
        *ret_done = !err;
    }
    if (err)
        (void)unlink(path);
    if (err || *ret_done) {
        sto_segments_close(journal->copy);
        journal->copy = NULL;
    }
    return err ? HD_ESTORE : HD_OK;
}

/* --- for operators ----------------------------------------------------------------------- */

const char *
sto_journal_problem(const struct sto_journal *journal)
{
    return journal->problem;
}

uint64_t
sto_journal_lost(const struct sto_journal *journal)
{
    return journal->lost;
}

uint64_t
sto_journal_live(const struct sto_journal *journal)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < STO_TABLES; i++)
        n += journal->index[i].used;
    return n;
}

uint64_t
sto_journal_rows(const struct sto_journal *journal)
{
    return journal->rows;
}
