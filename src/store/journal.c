/* journal.c - append and trim.
 *
 * Six tables, one per lifetime (subscriptions, publications, registrations, what was seen,
 * conditions), each with rows numbered upwards.  A row of SQLite costs several microseconds
 * whatever is in it, so what a batch adds to a table goes into few of them (packs, row.h).  In
 * memory there is one map per table from id to the number of the row that counts; a batch changes
 * it as it goes and remembers what was there before, so that one that fails leaves no trace.
 * Invariants: first <= every row's number < next; a
 * row below first does not exist; a removal at the tail hides nothing, since all older rows are
 * gone, and is dropped.  A table grows beyond twice its live rows only while its tail is made of
 * live rows: then to three times at most. */
#include "store/journal.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/gather.h"
#include "store/journal_impl.h"
#include "store/wal.h"

#define FORMAT 3
#define APPLICATION 0x48455241 /* "HERA" */
#ifndef SLACK          /* a test of crashes has smaller ones, so that more happens in less */
#define SLACK 1024     /* rows that a table may hold beyond twice its live ones */
#define CHECKPOINT 256 /* pages in the log before they are moved; more stalls longer */
#endif
#define TRIM_PER_ROW 2    /* rows taken off the tail for each one added */
#define BACKUP_STARTS 256 /* that a copy counts for the time after it was made */

static unsigned
table_of(enum evt_record_kind kind)
{
    switch (kind) {
    case EVT_RECORD_SUBSCRIPTION:
        return 0;
    case EVT_RECORD_PUBLICATION:
        return 1;
    case EVT_RECORD_BINDINGS:
        return 2;
    case EVT_RECORD_SEEN:
        return 3;
    case EVT_RECORD_WAITING:
        return 4;
    case EVT_RECORD_CONDITION:
        return 5;
    }
    return 0;
}

enum evt_record_kind
sto_journal_kind(unsigned table)
{
    static const enum evt_record_kind kinds[STO_TABLES] = {
        EVT_RECORD_SUBSCRIPTION, EVT_RECORD_PUBLICATION, EVT_RECORD_BINDINGS,
        EVT_RECORD_SEEN,         EVT_RECORD_WAITING,     EVT_RECORD_CONDITION
    };
    return kinds[table];
}

/* --- SQLite ------------------------------------------------------------------------------ */

enum hd_err
sto_journal_failed(struct sto_journal *journal)
{
    (void)snprintf(journal->problem, sizeof(journal->problem), "%s", sqlite3_errmsg(journal->db));
    return HD_ESTORE;
}

static enum hd_err
out_of_memory(struct sto_journal *journal)
{
    (void)snprintf(journal->problem, sizeof(journal->problem), "out of memory");
    return HD_ENOMEM;
}

enum hd_err
sto_journal_run(struct sto_journal *journal, const char *sql)
{
    return sqlite3_exec(journal->db, sql, NULL, NULL, NULL) == SQLITE_OK
               ? HD_OK
               : sto_journal_failed(journal);
}

static enum hd_err
step(struct sto_journal *journal, sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    enum hd_err err =
        code == SQLITE_DONE || code == SQLITE_ROW ? HD_OK : sto_journal_failed(journal);

    (void)sqlite3_reset(statement);
    return err;
}

static enum hd_err
prepare(struct sto_journal *journal, sqlite3_stmt **ret, const char *before, const char *table,
        const char *after)
{
    char sql[512];

    (void)snprintf(sql, sizeof(sql), "%s%s%s", before, table, after);
    return sqlite3_prepare_v3(journal->db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL) ==
                   SQLITE_OK
               ? HD_OK
               : sto_journal_failed(journal);
}

static enum hd_err
number(struct sto_journal *journal, const char *sql, int64_t *ret)
{
    sqlite3_stmt *statement = NULL;
    enum hd_err err = HD_OK;

    if (sqlite3_prepare_v2(journal->db, sql, -1, &statement, NULL) != SQLITE_OK)
        return sto_journal_failed(journal);
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *ret = sqlite3_column_int64(statement, 0);
    else if (code != SQLITE_DONE)
        err = sto_journal_failed(journal);
    (void)sqlite3_finalize(statement);
    return err;
}

/* --- opening ----------------------------------------------------------------------------- */

static enum hd_err
make_tables(struct sto_journal *journal)
{
    char sql[512];
    enum hd_err err = sto_journal_run(
        journal, "CREATE TABLE boot (n INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE);"
                 "CREATE TABLE damaged (tab TEXT, row INTEGER, id INTEGER, body "
                 "BLOB, UNIQUE (tab, row));"
                 "CREATE TABLE start (n INTEGER NOT NULL); INSERT INTO start VALUES(0)");

    for (unsigned i = 0; i < STO_TABLES && !err; i++) {
        (void)snprintf(sql, sizeof(sql),
                       "CREATE TABLE %s (row INTEGER PRIMARY KEY, body BLOB NOT NULL)",
                       sto_table_names[i]);
        err = sto_journal_run(journal, sql);
    }
    (void)snprintf(sql, sizeof(sql), "PRAGMA user_version=%d; PRAGMA application_id=%d", FORMAT,
                   APPLICATION);
    return err ? err : sto_journal_run(journal, sql);
}

/* Looks before it writes: with a full disk a file of this boot opens all the same. */
enum hd_err
sto_journal_boot(struct sto_journal *journal, const uint8_t id[STO_BOOT_ID], int64_t *ret_number)
{
    static const char *const sql[] = { "SELECT n FROM boot WHERE id=?1",
                                       "INSERT INTO boot(id) VALUES(?1) RETURNING n" };
    enum hd_err err = HD_OK;
    int64_t boot = 0;

    for (size_t i = 0; i < HD_ARRAY_LEN(sql) && !err && !boot; i++) {
        sqlite3_stmt *statement = NULL;
        if (sqlite3_prepare_v2(journal->db, sql[i], -1, &statement, NULL))
            return sto_journal_failed(journal);
        (void)sqlite3_bind_blob(statement, 1, id, STO_BOOT_ID, SQLITE_STATIC);
        int code = sqlite3_step(statement);
        if (code == SQLITE_ROW)
            boot = sqlite3_column_int64(statement, 0);
        else if (code != SQLITE_DONE)
            err = sto_journal_failed(journal);
        if (sqlite3_finalize(statement) != SQLITE_OK && !err)
            err = sto_journal_failed(journal);
    }
    if (!err)
        *ret_number = boot;
    return err;
}

enum hd_err
sto_journal_set_start(struct sto_journal *journal, uint32_t start)
{
    char sql[64];

    (void)snprintf(sql, sizeof(sql), "UPDATE start SET n=%" PRIu32, start);
    return sto_journal_run(journal, sql);
}

static enum hd_err
begin_start(struct sto_journal *journal)
{
    int64_t last = 0;
    enum hd_err err = number(journal, "SELECT n FROM start", &last);

    journal->start = (uint32_t)last + 1;
    if (!err)
        journal->start_kept = !sto_journal_set_start(journal, journal->start);
    return err;
}

uint32_t
sto_journal_start(const struct sto_journal *journal)
{
    return journal->start;
}

enum hd_err
sto_journal_end_start(struct sto_journal *journal)
{
    HD_ASSERT(!journal->in_batch);
    return sto_journal_set_start(journal, journal->start - 1);
}

static enum hd_err
prepare_all(struct sto_journal *journal)
{
    enum hd_err err = prepare(journal, &journal->begin, "BEGIN IMMEDIATE", "", "");

    if (!err)
        err = prepare(journal, &journal->commit, "COMMIT", "", "");
    if (!err)
        err = prepare(journal, &journal->rollback, "ROLLBACK", "", "");
    for (unsigned i = 0; i < STO_TABLES && !err; i++) {
        struct lane *lane = &journal->lanes[i];
        err = prepare(journal, &lane->insert, "INSERT INTO ", sto_table_names[i], " VALUES(?1,?2)");
        if (!err)
            err = prepare(journal, &lane->tail, "SELECT " STO_PACK_COLUMNS " FROM ",
                          sto_table_names[i], " WHERE row>=?1 ORDER BY row");
        if (!err)
            err =
                prepare(journal, &lane->trim, "DELETE FROM ", sto_table_names[i], " WHERE row<?1");
    }
    return err;
}

/* The number behind the last row of a table, 1 when it has none. */
static enum hd_err
find_next(struct sto_journal *journal, unsigned table, uint64_t *ret_next)
{
    sqlite3_stmt *s = NULL;
    enum hd_err err = prepare(journal, &s, "SELECT " STO_PACK_COLUMNS " FROM ",
                              sto_table_names[table], " ORDER BY row DESC LIMIT 1");
    int code = err ? SQLITE_DONE : sqlite3_step(s);
    struct sto_row row;

    *ret_next = 1;
    if (code == SQLITE_ROW) {
        struct sto_pack pack = sto_pack_read(s, table);
        pack.checked = true;
        while (sto_pack_next(&pack, &row))
            *ret_next = pack.row;
    } else if (code != SQLITE_DONE) {
        err = sto_journal_failed(journal);
    }
    (void)sqlite3_finalize(s);
    return err;
}

static enum hd_err
find_ends(struct sto_journal *journal)
{
    enum hd_err err = HD_OK;
    char sql[96];

    for (unsigned i = 0; i < STO_TABLES && !err; i++) {
        struct lane *lane = &journal->lanes[i];
        int64_t first = 1;
        (void)snprintf(sql, sizeof(sql), "SELECT min(row) FROM %s", sto_table_names[i]);
        err = number(journal, sql, &first);
        if (!err)
            err = find_next(journal, i, &lane->next);
        lane->first = lane->next == 1 ? 1 : (uint64_t)first;
    }
    return err;
}

static int
note_log(void *context, sqlite3 *db, const char *name, int pages)
{
    struct sto_journal *journal = context;

    (void)db;
    (void)name;
    journal->log_pages = pages;
    return SQLITE_OK;
}

/* Alone before WAL: with two connections this SQLite can lose what is in the log.  Some builds of
 * it overwrite what is deleted, which here would write every row twice. */
static enum hd_err
settings(struct sto_journal *journal, bool durable)
{
    sqlite3_stmt *statement = NULL;
    char sql[256];
    enum hd_err err = HD_OK;

    if (sqlite3_prepare_v2(journal->db, "PRAGMA journal_mode=WAL", -1, &statement, NULL))
        return sto_journal_failed(journal);
    if (sqlite3_step(statement) != SQLITE_ROW)
        err = sto_journal_failed(journal);
    else if (strcmp((const char *)sqlite3_column_text(statement, 0), "wal") != 0) {
        (void)snprintf(journal->problem, sizeof(journal->problem),
                       "no write-ahead log can be made here");
        err = HD_ESTORE;
    }
    (void)sqlite3_finalize(statement);
    (void)snprintf(sql, sizeof(sql),
                   "PRAGMA synchronous=%s; PRAGMA cache_size=-8192; PRAGMA temp_store=MEMORY; "
                   "PRAGMA secure_delete=OFF",
                   durable ? "FULL" : "NORMAL");
    /* In place of what SQLite does by itself, in the commit: a checkpoint. */
    (void)sqlite3_wal_hook(journal->db, note_log, journal);
    return err ? err : sto_journal_run(journal, sql);
}

/* What the file is, before anything is written into it. */
static enum hd_err
check_format(struct sto_journal *journal, const char *path, bool *ret_new, char problem[256])
{
    int64_t version = 0, application = 0, things = 0;
    enum hd_err err = number(journal, "PRAGMA user_version", &version);

    if (!err)
        err = number(journal, "PRAGMA application_id", &application);
    if (!err)
        err = number(journal, "SELECT count(*) FROM sqlite_master", &things);
    if (err)
        return err;
    *ret_new = version == 0 && application == 0 && things == 0;
    if (!*ret_new && application != APPLICATION) {
        (void)snprintf(problem, 256, "%.200s: a database, but not one of herald's", path);
        return HD_EVERSION;
    }
    if (!*ret_new && version != FORMAT) {
        (void)snprintf(problem, 256,
                       "%.120s: written by %s herald (format %lld, this one knows %d)", path,
                       version > FORMAT ? "a newer" : "an older", (long long)version, FORMAT);
        return HD_EVERSION;
    }
    return HD_OK;
}

static enum hd_err
open_file(struct sto_journal *journal, const struct sto_journal_params *params, char problem[256])
{
    bool is_new = false;
    enum hd_err err = sto_journal_run(journal, "PRAGMA locking_mode=EXCLUSIVE");

    if (!err)
        err = check_format(journal, params->path, &is_new, problem);
    if (!err && is_new)
        err =
            sto_journal_run(journal, "PRAGMA page_size=8192"); /* a commit writes some whole ones */
    if (!err)
        err = settings(journal, params->durable);
    if (!err && journal->lost) /* what is left behind the damage is not to be met again */
        err = sto_journal_run(journal, "PRAGMA wal_checkpoint(TRUNCATE)");
    if (!err)
        err = sto_journal_run(journal, "BEGIN IMMEDIATE");
    if (!err && is_new)
        err = make_tables(journal);
    journal->loaded = is_new;
    if (!err)
        err = sto_journal_boot(journal, params->boot_id, &journal->boot);
    if (!err)
        err = sto_journal_run(journal, "COMMIT");
    if (!err)
        err = begin_start(journal);
    if (!err)
        err = prepare_all(journal);
    if (!err)
        err = find_ends(journal);
    return err;
}

/* What is gathered must be synced: without that it would be lost with the process. */
static enum hd_err
open_db(struct sto_journal *journal, const struct sto_journal_params *params)
{
    const char *vfs = params->vfs;

    if (params->durable) {
        if (sto_gather_new(vfs, &journal->gather))
            return out_of_memory(journal);
        vfs = sto_gather_name(journal->gather);
    }
    return sqlite3_open_v2(params->path, &journal->db,
                           SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, vfs)
               ? sto_journal_failed(journal)
               : HD_OK;
}

enum hd_err
sto_journal_open(const struct sto_journal_params *params, char ret_problem[256],
                 struct sto_journal **ret_journal)
{
    struct sto_journal *journal = calloc(1, sizeof(*journal));
    enum hd_err err;

    ret_problem[0] = '\0';
    if (!journal)
        return HD_ENOMEM;
    journal->magic = JOURNAL_MAGIC;
    journal->opened = params->now;
    journal->lost = sto_wal_lost(params->path);
    err = open_db(journal, params);
    if (!err) {
        (void)sqlite3_extended_result_codes(journal->db, 1);
        err = open_file(journal, params, ret_problem);
    }
    if (!err) {
        *ret_journal = journal;
        return HD_OK;
    }
    if ((sqlite3_errcode(journal->db) & 0xff) == SQLITE_BUSY)
        (void)snprintf(ret_problem, 256, "%.120s: another process uses it", params->path);
    if (!ret_problem[0])
        (void)snprintf(ret_problem, 256, "%.120s: %.120s", params->path, journal->problem);
    if (err == HD_ESTORE)
        err = (sqlite3_errcode(journal->db) & 0xff) == SQLITE_CORRUPT ? HD_ESYNTAX : HD_EIO;
    sto_journal_close(journal);
    return err;
}

void
sto_journal_close(struct sto_journal *journal)
{
    if (!journal)
        return;
    HD_ASSERT_OBJ(journal, JOURNAL_MAGIC);
    sto_copy_end(&journal->copy);
    for (unsigned i = 0; i < STO_TABLES; i++) {
        (void)sqlite3_finalize(journal->lanes[i].insert);
        (void)sqlite3_finalize(journal->lanes[i].tail);
        (void)sqlite3_finalize(journal->lanes[i].trim);
        sto_index_done(&journal->lanes[i].index);
        free(journal->lanes[i].pack);
    }
    (void)sqlite3_finalize(journal->begin);
    (void)sqlite3_finalize(journal->commit);
    (void)sqlite3_finalize(journal->rollback);
    (void)sqlite3_close(journal->db);
    sto_gather_free(journal->gather);
    free(journal->changes);
    journal->magic = 0;
    free(journal);
}

/* --- writing ----------------------------------------------------------------------------- */

enum hd_err
sto_journal_begin(struct sto_journal *journal)
{
    HD_ASSERT_OBJ(journal, JOURNAL_MAGIC);
    HD_ASSERT(!journal->in_batch && journal->loaded); /* or else it would trim what lives */
    enum hd_err err = step(journal, journal->begin);
    if (err)
        return err;
    journal->in_batch = true;
    journal->n_changes = 0;
    journal->added = 0;
    for (unsigned i = 0; i < STO_TABLES; i++) {
        struct lane *lane = &journal->lanes[i];
        lane->first_before = lane->first;
        lane->first_new = lane->next;
        lane->limit = 2 * lane->index.used + SLACK;
    }
    return HD_OK;
}

static enum hd_err
changes_room(struct sto_journal *journal)
{
    if (journal->n_changes < journal->cap_changes)
        return HD_OK;
    size_t cap = journal->cap_changes ? journal->cap_changes * 2 : 512;
    struct change *changes = realloc(journal->changes, cap * sizeof(*changes));
    if (!changes)
        return out_of_memory(journal);
    journal->changes = changes;
    journal->cap_changes = cap;
    return HD_OK;
}

static enum hd_err
write_pack(struct sto_journal *journal, struct lane *lane)
{
    if (lane->pack_n == 0)
        return HD_OK;
    (void)sqlite3_bind_int64(lane->insert, 1, (int64_t)lane->pack_row);
    (void)sqlite3_bind_blob64(lane->insert, 2, lane->pack, lane->pack_n, SQLITE_STATIC);
    lane->pack_n = 0;
    return step(journal, lane->insert);
}

/* Room for a row in the pack. */
static enum hd_err
pack_room(struct sto_journal *journal, struct lane *lane, size_t size)
{
    enum hd_err err = lane->pack_n + size > STO_PACK_MOST ? write_pack(journal, lane) : HD_OK;

    if (err || lane->pack_cap >= lane->pack_n + size)
        return err;
    size_t cap = size > STO_PACK_MOST ? size : STO_PACK_MOST;
    char *pack = realloc(lane->pack, cap);
    if (!pack)
        return out_of_memory(journal);
    lane->pack = pack;
    lane->pack_cap = cap;
    return HD_OK;
}

static void
pack_add(struct lane *lane, unsigned table, const struct sto_row *row)
{
    if (lane->pack_n == 0)
        lane->pack_row = row->row;
    sto_row_write(lane->pack + lane->pack_n, table, row);
    lane->pack_n += sto_row_size(row->record.n);
}

enum hd_err
sto_journal_take(struct sto_journal *journal, unsigned table, const struct sto_row *as_it_was)
{
    struct lane *lane = &journal->lanes[table];
    struct sto_row row = *as_it_was;
    enum hd_err err = changes_room(journal);

    if (!err)
        err = pack_room(journal, lane, sto_row_size(row.record.n));
    if (err)
        return err;
    if (sto_index_reserve(&lane->index, 1))
        return out_of_memory(journal);
    row.row = lane->next;
    pack_add(lane, table, &row);
    uint32_t before = row.record.n ? sto_index_put(&lane->index, row.id, row.row)
                                   : sto_index_remove(&lane->index, row.id);
    journal->changes[journal->n_changes++] =
        (struct change){ .table = table, .id = row.id, .row = before };
    lane->next = sto_row_after(lane->next);
    journal->added++;
    return HD_OK;
}

enum hd_err
sto_journal_append(struct sto_journal *journal, enum evt_record_kind kind, unsigned bucket,
                   uint64_t id, struct hd_slice record, struct sto_stamp now)
{
    struct sto_row row = {
        .id = id, .bucket = bucket, .boot = journal->boot, .stamp = now, .record = record
    };

    HD_ASSERT(journal->in_batch);
    return sto_journal_take(journal, table_of(kind), &row);
}

static bool
counts(const struct lane *lane, const struct sto_row *row)
{
    const struct sto_place *place = sto_index_find(&lane->index, row->id);

    return place && place->row == (uint32_t)row->row;
}

/* Appends what counts in a pack again, with the time of its own writing. */
static enum hd_err
keep_living(struct sto_journal *journal, unsigned table, struct sto_pack *pack)
{
    struct lane *lane = &journal->lanes[table];
    enum hd_err err = HD_OK;
    struct sto_row row;

    while (!err && sto_pack_next(pack, &row)) {
        lane->credit--;
        if (row.whole && row.record.n && counts(lane, &row))
            err = sto_journal_take(journal, table, &row);
    }
    return err;
}

/* Takes packs off the tail for as long as there is credit. */
static enum hd_err
trim(struct sto_journal *journal, unsigned table)
{
    struct lane *lane = &journal->lanes[table];
    uint64_t end = lane->first;
    enum hd_err err = HD_OK;
    int code = SQLITE_DONE;

    (void)sqlite3_bind_int64(lane->tail, 1, (int64_t)lane->first);
    while (!err && lane->credit > 0 && (code = sqlite3_step(lane->tail)) == SQLITE_ROW) {
        struct sto_pack pack = sto_pack_read(lane->tail, table);
        if (pack.row >= lane->first_new)
            break; /* of this very batch */
        err = keep_living(journal, table, &pack);
        end = pack.row;
    }
    if (!err && code != SQLITE_DONE && code != SQLITE_ROW)
        err = sto_journal_failed(journal);
    (void)sqlite3_reset(lane->tail);
    if (err || end == lane->first)
        return err;
    (void)sqlite3_bind_int64(lane->trim, 1, (int64_t)end);
    err = step(journal, lane->trim);
    if (!err)
        lane->first = end;
    return err;
}

/* What a batch that fails has spent of the credit is not given back: the next ones take less. */
static enum hd_err
trim_all(struct sto_journal *journal, uint64_t added)
{
    enum hd_err err = HD_OK;

    for (unsigned i = 0; i < STO_TABLES && !err; i++) {
        struct lane *lane = &journal->lanes[i];
        if (lane->next - lane->first <= lane->limit)
            continue;
        lane->credit = (lane->credit < 0 ? lane->credit : 0) + (int64_t)added * TRIM_PER_ROW;
        err = trim(journal, i);
    }
    for (unsigned i = 0; i < STO_TABLES && !err; i++)
        err = write_pack(journal, &journal->lanes[i]);
    return err;
}

enum hd_err
sto_journal_commit(struct sto_journal *journal)
{
    enum hd_err err;

    HD_ASSERT(journal->in_batch);
    err = trim_all(journal, journal->added);
    if (!err && !journal->start_kept)
        err = sto_journal_set_start(journal, journal->start);
    if (!err)
        err = step(journal, journal->commit);
    if (err) {
        sto_journal_rollback(journal);
        return HD_ESTORE;
    }
    journal->in_batch = false;
    journal->start_kept = true;
    journal->n_changes = 0;
    return HD_OK;
}

bool
sto_journal_checkpoint(struct sto_journal *journal)
{
    HD_ASSERT(!journal->in_batch);
    if (journal->log_pages < CHECKPOINT)
        return false;
    (void)sqlite3_wal_checkpoint_v2(journal->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    return true;
}

void
sto_journal_rollback(struct sto_journal *journal)
{
    if (!journal->in_batch)
        return;
    /* Some errors have ended the transaction already. */
    if (!sqlite3_get_autocommit(journal->db))
        (void)sqlite3_step(journal->rollback);
    (void)sqlite3_reset(journal->rollback);
    while (journal->n_changes > 0) {
        const struct change *change = &journal->changes[--journal->n_changes];
        struct sto_index *index = &journal->lanes[change->table].index;
        if (change->row) /* there is room: it was in it before */
            (void)sto_index_put(index, change->id, change->row);
        else
            (void)sto_index_remove(index, change->id);
    }
    for (unsigned i = 0; i < STO_TABLES; i++) {
        journal->lanes[i].first = journal->lanes[i].first_before;
        journal->lanes[i].next = journal->lanes[i].first_new;
        journal->lanes[i].pack_n = 0;
    }
    journal->in_batch = false;
}

/* A row as large as what failed is written through the log into the file, and goes again. */
enum hd_err
sto_journal_probe(struct sto_journal *journal, uint64_t octets)
{
    char sql[160];

    HD_ASSERT(!journal->in_batch);
    (void)snprintf(sql, sizeof(sql),
                   "BEGIN IMMEDIATE; CREATE TABLE IF NOT EXISTS probe(body BLOB);"
                   "INSERT INTO probe VALUES(zeroblob(%llu)); COMMIT",
                   (unsigned long long)octets);
    enum hd_err err = sto_journal_run(journal, sql);
    if (!err && sqlite3_wal_checkpoint_v2(journal->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL))
        err = sto_journal_failed(journal);
    if (err && !sqlite3_get_autocommit(journal->db))
        (void)sqlite3_step(journal->rollback);
    (void)sqlite3_reset(journal->rollback);
    /* What stays of it when even this fails goes with the next probe. */
    if (sqlite3_exec(journal->db, "DROP TABLE IF EXISTS probe", NULL, NULL, NULL) && !err)
        err = sto_journal_failed(journal);
    return err ? HD_ESTORE : HD_OK;
}

/* Who starts from the copy does not know what was sent since it was made. */
static enum hd_err
age_copy(const char *path)
{
    sqlite3 *copy = NULL;
    char sql[64];
    int code = sqlite3_open_v2(path, &copy, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

    (void)snprintf(sql, sizeof(sql), "UPDATE start SET n=n+%d", BACKUP_STARTS);
    if (code == SQLITE_OK)
        code = sqlite3_exec(copy, sql, NULL, NULL, NULL);
    (void)sqlite3_close(copy);
    if (code == SQLITE_OK)
        return HD_OK;
    (void)unlink(path);
    return HD_EIO;
}

enum hd_err
sto_journal_backup(struct sto_journal *journal, const char *path, bool *ret_done)
{
    HD_ASSERT(!journal->in_batch);
    enum hd_err err = sto_copy_step(&journal->copy, journal->db, path, ret_done);

    if (!err && *ret_done)
        err = age_copy(path);
    if (!err)
        return HD_OK;
    *ret_done = false;
    return HD_ESTORE;
}

const char *
sto_journal_problem(const struct sto_journal *journal)
{
    return journal->problem;
}

uint32_t
sto_journal_lost(const struct sto_journal *journal)
{
    return journal->lost;
}

uint64_t
sto_journal_live(const struct sto_journal *journal)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < STO_TABLES; i++)
        n += journal->lanes[i].index.used;
    return n;
}

uint64_t
sto_journal_rows(const struct sto_journal *journal)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < STO_TABLES; i++)
        n += journal->lanes[i].next - journal->lanes[i].first;
    return n;
}
