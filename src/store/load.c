/* load.c - what the file holds, at a start.
 *
 * Each table is read twice: first to find which row of each id counts, and what is damaged, then to
 * visit those.  What the first pass found is kept as one bit for each row, so that the second looks
 * up nothing.  Invariant: nothing is visited or written before all tables have been read once. */
#include <stdio.h>
#include <stdlib.h>

#include "base/id.h"
#include "store/journal_impl.h"

#define INDEXED_AT_ONCE 16u

/* One of the statements that put a row aside.  HD_ESYNTAX: the structure of the file is damaged
 * where it would be written. */
static enum hd_err
step_aside(struct sto_journal *journal, sqlite3_stmt *s)
{
    int code = sqlite3_step(s);

    (void)sqlite3_finalize(s);
    if ((code & 0xff) != SQLITE_CORRUPT)
        return HD_OK;
    (void)sto_journal_failed(journal);
    return HD_ESYNTAX;
}

static enum hd_err
keep_damaged(struct sto_journal *journal, unsigned table, const struct sto_row *row)
{
    sqlite3_stmt *s = NULL;

    if (sqlite3_prepare_v2(journal->db, "INSERT OR REPLACE INTO damaged VALUES(?1,?2,?3,?4)", -1,
                           &s, NULL))
        return HD_OK;
    (void)sqlite3_bind_text(s, 1, sto_table_names[table], -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(s, 2, (int64_t)row->row);
    (void)sqlite3_bind_int64(s, 3, (int64_t)row->id);
    (void)sqlite3_bind_blob64(s, 4, row->record.p, row->record.n, SQLITE_STATIC);
    return step_aside(journal, s);
}

/* Rows that are to be put aside when a table has been read: writing into it while it is read can
 * lead in a circle when the order of its rows is damaged too. */
struct aside {
    uint64_t *rows;
    size_t n, cap;
};

static enum hd_err
aside_add(struct aside *aside, uint64_t row)
{
    if (aside->n == aside->cap) {
        size_t cap = aside->cap ? aside->cap * 2 : 64;
        uint64_t *rows = realloc(aside->rows, cap * sizeof(*rows));
        if (!rows)
            return HD_ENOMEM;
        aside->rows = rows;
        aside->cap = cap;
    }
    aside->rows[aside->n++] = row;
    return HD_OK;
}

/* A pack as it was, but with removals in place of what is put aside, since the state before is not
 * what was acknowledged last. */
static enum hd_err
rebuild(struct sto_journal *journal, struct sto_pack *pack, const struct aside *aside, size_t *at,
        char *to, size_t *ret_n)
{
    enum hd_err err = HD_OK;
    struct sto_row row;

    *ret_n = 0;
    while (!err && sto_pack_next(pack, &row)) {
        bool refused = *at < aside->n && aside->rows[*at] == row.row;
        *at += refused;
        if (refused || !row.whole) {
            err = keep_damaged(journal, pack->table, &row);
            row = (struct sto_row){ .row = row.row,
                                    .id = row.id,
                                    .bucket = row.bucket % HD_BUCKETS,
                                    .boot = journal->boot,
                                    .stamp = journal->opened };
        }
        sto_row_write(to + *ret_n, pack->table, &row);
        *ret_n += sto_row_size(row.record.n);
    }
    return err;
}

static enum hd_err
replace(struct sto_journal *journal, const struct sto_pack *pack, struct hd_slice octets)
{
    sqlite3_stmt *s = NULL;
    char sql[128];

    (void)snprintf(sql, sizeof(sql), "UPDATE %s SET body=?2 WHERE row=?1",
                   sto_table_names[pack->table]);
    if (sqlite3_prepare_v2(journal->db, sql, -1, &s, NULL))
        return HD_OK;
    (void)sqlite3_bind_int64(s, 1, (int64_t)pack->row);
    (void)sqlite3_bind_blob64(s, 2, octets.p, octets.n, SQLITE_STATIC);
    return step_aside(journal, s);
}

/* Puts rows of one pack aside, from aside->rows[*at] on: their octets go into the table "damaged".
 * When the disk does not take even that they stay, to be met again.  HD_ESYNTAX as above. */
static enum hd_err
aside_pack(struct sto_journal *journal, unsigned table, const struct aside *aside, size_t *at)
{
    sqlite3_stmt *s = NULL;
    enum hd_err err = HD_OK;
    size_t before = *at, n = 0;
    char sql[128];

    (void)snprintf(sql, sizeof(sql),
                   "SELECT " STO_PACK_COLUMNS " FROM %s WHERE row<=?1 ORDER BY row DESC LIMIT 1",
                   sto_table_names[table]);
    if (sqlite3_prepare_v2(journal->db, sql, -1, &s, NULL))
        return sto_journal_failed(journal);
    (void)sqlite3_bind_int64(s, 1, (int64_t)aside->rows[*at]);
    if (sqlite3_step(s) == SQLITE_ROW) {
        const struct sto_pack as_it_was = sto_pack_read(s, table);
        struct sto_pack pack = as_it_was;
        char *octets = malloc(pack.rest.n + STO_ROW_HEAD); /* its end may be shorter than a head */
        err = octets ? rebuild(journal, &pack, aside, at, octets, &n) : HD_ENOMEM;
        if (!err)
            err = replace(journal, &as_it_was, hd_slice(octets, n));
        free(octets);
    }
    (void)sqlite3_finalize(s);
    if (*at == before)
        (*at)++; /* it cannot be found again */
    return err;
}

static enum hd_err
aside_all(struct sto_journal *journal, unsigned table, const struct sto_journal_visitor *visitor,
          struct aside *aside)
{
    enum hd_err err = HD_OK;

    for (size_t i = 0; i < aside->n && visitor->damaged; i++)
        visitor->damaged(visitor->context, sto_table_names[table], aside->rows[i]);
    for (size_t i = 0; i < aside->n && !err;)
        err = aside_pack(journal, table, aside, &i);
    free(aside->rows);
    *aside = (struct aside){ .rows = NULL };
    return err;
}

static enum hd_err
scan_failed(struct sto_journal *journal, int code)
{
    enum hd_err err = sto_journal_failed(journal);

    return (code & 0xff) == SQLITE_CORRUPT ? HD_ESYNTAX : err;
}

/* Rows are numbered without gaps, so one that does not follow says that others cannot be reached.
 */
static enum hd_err
out_of_order(struct sto_journal *journal)
{
    (void)snprintf(journal->problem, sizeof(journal->problem), "rows are missing");
    return HD_ESYNTAX;
}

/* Which rows of a table count: a bit for each number from first on. */
struct counted {
    uint64_t *bits;
    uint64_t first, n;
};

static enum hd_err
counted_new(const struct lane *lane, struct counted *ret)
{
    uint64_t n = lane->next - lane->first;

    *ret = (struct counted){ .bits = calloc(n / 64 + 1, 8), .first = lane->first, .n = n };
    return ret->bits ? HD_OK : HD_ENOMEM;
}

/* row: its lower half does, since a table never holds 2^32 rows. */
static void
count(struct counted *counted, uint32_t row, bool counts)
{
    uint32_t at = row - (uint32_t)counted->first;

    HD_ASSERT(at < counted->n);
    if (counts)
        counted->bits[at / 64] |= UINT64_C(1) << at % 64;
    else
        counted->bits[at / 64] &= ~(UINT64_C(1) << at % 64);
}

static bool
counts(const struct counted *counted, uint64_t row)
{
    uint64_t at = row - counted->first;

    return at < counted->n && (counted->bits[at / 64] >> at % 64 & 1);
}

/* Takes a row's place among those that count, or, when it is a removal or damaged, that of the one
 * before it. */
static enum hd_err
index_row(struct lane *lane, const struct sto_row *row, struct counted *counted)
{
    bool lives = row->whole && row->record.n;
    enum hd_err err = lives ? sto_index_reserve(&lane->index, 1) : HD_OK;

    if (err)
        return err;
    uint32_t before = lives ? sto_index_put(&lane->index, row->id, row->row)
                            : sto_index_remove(&lane->index, row->id);
    if (before)
        count(counted, before, false);
    if (lives)
        count(counted, (uint32_t)row->row, true);
    return HD_OK;
}

static enum hd_err
index_record(struct sto_journal *journal, unsigned table, const struct sto_row *row,
             struct aside *aside, struct counted *counted)
{
    struct lane *lane = &journal->lanes[table];

    if (row->row - lane->first >= counted->n)
        return out_of_order(journal);
    if (row->whole && row->stamp.wall_ms > journal->marker_ms)
        journal->marker_ms = row->stamp.wall_ms;
    enum hd_err err = index_row(lane, row, counted);
    return err || row->whole ? err : aside_add(aside, row->row);
}

/* The index is larger than any cache, and the places of an id may be anywhere in it: those of
 * several are fetched at a time. */
static enum hd_err
index_pack(struct sto_journal *journal, struct sto_pack *pack, struct aside *aside,
           struct counted *counted)
{
    struct sto_index *index = &journal->lanes[pack->table].index;
    struct sto_row rows[INDEXED_AT_ONCE];
    enum hd_err err = HD_OK;
    unsigned n;

    do {
        for (n = 0; n < INDEXED_AT_ONCE && sto_pack_next(pack, &rows[n]); n++)
            sto_index_prefetch(index, rows[n].id);
        for (unsigned i = 0; i < n && !err; i++)
            err = index_record(journal, pack->table, &rows[i], aside, counted);
    } while (!err && n == INDEXED_AT_ONCE);
    return err;
}

/* First pass: which row of each id counts, and the newest wall clock. */
static enum hd_err
load_index(struct sto_journal *journal, unsigned table, struct aside *aside,
           struct counted *counted)
{
    struct lane *lane = &journal->lanes[table];
    enum hd_err err = counted_new(lane, counted);
    int code = SQLITE_DONE;
    uint64_t next = 0;

    if (!err) /* a table has about twice as many rows as live */
        err = sto_index_reserve(&lane->index, counted->n / 2);
    (void)sqlite3_bind_int64(lane->tail, 1, 0);
    while (!err && (code = sqlite3_step(lane->tail)) == SQLITE_ROW) {
        struct sto_pack pack = sto_pack_read(lane->tail, table);
        if (next && pack.row != next)
            err = out_of_order(journal);
        else
            err = index_pack(journal, &pack, aside, counted);
        next = pack.row;
    }
    if (!err && code != SQLITE_DONE)
        err = scan_failed(journal, code);
    (void)sqlite3_reset(lane->tail);
    return err;
}

static uint64_t
row_age(const struct sto_journal *journal, const struct sto_row *row)
{
    uint64_t now = journal->opened.boot_ms, then = row->stamp.boot_ms;

    if (row->boot != journal->boot) {
        now = journal->opened.wall_ms > journal->marker_ms ? journal->opened.wall_ms
                                                           : journal->marker_ms;
        then = row->stamp.wall_ms;
    }
    return now > then ? now - then : 0;
}

/* The first pass has seen that those that count are whole. */
static enum hd_err
visit_pack(struct sto_journal *journal, struct sto_pack *pack, const struct counted *counted,
           const struct sto_journal_visitor *visitor, struct aside *aside)
{
    enum hd_err err = HD_OK;
    struct sto_row row;

    pack->checked = true;
    while (!err && sto_pack_next(pack, &row)) {
        if (!counts(counted, row.row))
            continue;
        err = visitor->visit(visitor->context, sto_journal_kind(pack->table), row.bucket, row.id,
                             row.record, row_age(journal, &row));
        if (err == HD_ESYNTAX) {
            (void)sto_index_remove(&journal->lanes[pack->table].index, row.id);
            err = aside_add(aside, row.row);
        }
    }
    return err;
}

static enum hd_err
load_rows(struct sto_journal *journal, unsigned table, const struct counted *counted,
          const struct sto_journal_visitor *visitor)
{
    sqlite3_stmt *s = journal->lanes[table].tail;
    struct aside aside = { .rows = NULL };
    enum hd_err err = HD_OK;
    int code = SQLITE_DONE;

    (void)sqlite3_bind_int64(s, 1, 0);
    while (!err && (code = sqlite3_step(s)) == SQLITE_ROW) {
        struct sto_pack pack = sto_pack_read(s, table);
        err = visit_pack(journal, &pack, counted, visitor, &aside);
    }
    if (!err && code != SQLITE_DONE)
        err = sto_journal_failed(journal);
    (void)sqlite3_reset(s);
    /* Too late for a rescue: what cannot be written is met again by the next start. */
    enum hd_err put = aside_all(journal, table, visitor, &aside);
    return err ? err : put == HD_ESYNTAX ? HD_OK : put;
}

enum hd_err
sto_journal_load(struct sto_journal *journal, const struct sto_journal_visitor *visitor,
                 char ret_problem[256])
{
    struct aside aside[STO_TABLES] = { { .rows = NULL } };
    struct counted counted[STO_TABLES] = { { .bits = NULL } };
    enum hd_err err;

    HD_ASSERT_OBJ(journal, JOURNAL_MAGIC);
    ret_problem[0] = '\0';
    err = sto_journal_run(journal, "BEGIN");
    for (unsigned i = 0; i < STO_TABLES && !err; i++)
        err = load_index(journal, i, &aside[i], &counted[i]);
    for (unsigned i = 0; i < STO_TABLES; i++) {
        if (!err)
            err = aside_all(journal, i, visitor, &aside[i]);
        free(aside[i].rows);
    }
    /* Publications first: what the subscriptions are shown is there when they come. */
    static const unsigned order[STO_TABLES] = { 1, 2, 0, 3, 4, 5 };
    for (unsigned i = 0; i < STO_TABLES && !err; i++)
        err = load_rows(journal, order[i], &counted[order[i]], visitor);
    if (err == HD_ESTORE || err == HD_EIO || err == HD_ESYNTAX)
        (void)snprintf(ret_problem, 256, "%.120s: %.120s", sqlite3_db_filename(journal->db, "main"),
                       journal->problem);
    /* What was put aside and cannot be kept so is met again at the next start. */
    if (!sqlite3_get_autocommit(journal->db) && (err || sto_journal_run(journal, "COMMIT")))
        (void)!sto_journal_run(journal, "ROLLBACK");
    for (unsigned i = 0; i < STO_TABLES; i++)
        free(counted[i].bits);
    journal->loaded = !err;
    return err == HD_ESTORE ? HD_EIO : err;
}
