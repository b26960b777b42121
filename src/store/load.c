/* load.c - what the log holds, at a start.
 *
 * It is read once at the opening, from the tail that is known on: which row of each id counts,
 * where it ends, what is damaged.  What was found is kept as one bit for each number, so that the
 * load visits the rows that count, kind by kind, and looks up nothing.
 *
 * A commit counts when all of it is there: the sum of its mark says so.  Of the last one nobody
 * knows whether it was cut short by a crash or hit later, so that it does not count when a part is
 * missing, and neither does what is behind it.  When a mark behind it says that all before was on
 * the disk, as with durable commits each does, it is known: then damage costs the rows that it hit.
 * They are put aside, and count as removed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/id.h"
#include "store/disk.h"
#include "store/journal_impl.h"

#define WINDOW ((uint64_t)256 << 10)
#define FETCHED_AHEAD 8u

/* --- reading ----------------------------------------------------------------------------- */

static enum hd_err
window_room(struct window *window, uint64_t n)
{
    if (n <= window->cap)
        return HD_OK;
    char *p = realloc(window->p, n);
    if (!p)
        return HD_ENOMEM;
    window->p = p;
    window->cap = n;
    return HD_OK;
}

enum hd_err
sto_journal_view(struct sto_journal *journal, uint64_t at, uint64_t n, uint64_t limit,
                 const char **ret)
{
    struct window *window = &journal->window;

    HD_ASSERT(at <= limit && n <= limit - at);
    if (at < window->at || at - window->at > window->n || window->n - (at - window->at) < n) {
        uint64_t most = limit - at < WINDOW ? limit - at : WINDOW, size = n > most ? n : most;
        window->n = 0;
        enum hd_err err = window_room(window, size);
        if (!err)
            err = sto_segments_read(journal->log, at, window->p, size);
        if (err)
            return sto_journal_failed(journal, err);
        window->at = at;
        window->n = size;
    }
    *ret = window->p + (at - window->at);
    return HD_OK;
}

/* The row at a place.  *ret_there: false: there is none. */
static enum hd_err
row_at(struct sto_journal *journal, uint64_t at, uint64_t limit, struct sto_row *ret,
       bool *ret_there)
{
    const char *head;

    *ret_there = false;
    if (limit - at < STO_ROW_HEAD)
        return HD_OK;
    enum hd_err err = sto_journal_view(journal, at, STO_ROW_HEAD, limit, &head);
    if (!err)
        *ret_there = sto_row_read(head, journal->salt, at / STO_UNIT, ret) &&
                     ret->n <= limit - at - STO_ROW_HEAD;
    return err;
}

enum hd_err
sto_journal_search(struct sto_journal *journal, uint64_t from, uint64_t limit, uint64_t *ret_at)
{
    enum hd_err err = HD_OK;
    bool there = false;
    struct sto_row row;
    uint64_t at = from;

    while (!err && at < limit && !there) {
        err = row_at(journal, at, limit, &row, &there);
        if (!there)
            at = sto_segments_next(journal->log, at + STO_UNIT);
    }
    *ret_at = there ? at : limit;
    return err;
}

/* --- what counts ------------------------------------------------------------------------- */

static enum hd_err
damages_add(struct damages *damages, struct damage damage)
{
    if (damages->n == damages->cap) {
        size_t cap = damages->cap ? damages->cap * 2 : 64;
        struct damage *p = realloc(damages->p, cap * sizeof(*p));
        if (!p)
            return HD_ENOMEM;
        damages->p = p;
        damages->cap = cap;
    }
    damages->p[damages->n++] = damage;
    return HD_OK;
}

/* number: its lower half does, since a log never spans 2^32 of them. */
static void
count(struct sto_journal *journal, unsigned table, uint32_t number, bool counts)
{
    uint64_t at = (uint32_t)(number - (uint32_t)journal->scanned), bit = UINT64_C(1) << at % 64;

    if (counts)
        journal->counted[table].bits[at / 64] |= bit;
    else
        journal->counted[table].bits[at / 64] &= ~bit;
}

static enum hd_err
counted_room(struct sto_journal *journal, unsigned table)
{
    struct counted *counted = &journal->counted[table];

    if (!counted->bits)
        counted->bits = calloc((journal->limit - journal->scanned) / 64 + 1, 8);
    return counted->bits ? HD_OK : HD_ENOMEM;
}

/* A row that was read, before the mark of its commit. */
struct pending {
    struct sto_row row;
    uint64_t check;
    bool whole;
};

struct scan {
    struct sto_journal *journal;
    uint64_t at;          /* where it reads */
    uint64_t from;        /* where the commit begins: behind the last mark that counts */
    bool within;          /* it began before that: the tail is in its middle */
    struct pending *rows; /* of the commit */
    size_t n, cap;
    struct damages damages; /* met since from */
};

static enum hd_err
pending_add(struct scan *scan, const struct pending *pending)
{
    if (scan->n == scan->cap) {
        size_t cap = scan->cap ? scan->cap * 2 : 1024;
        struct pending *rows = realloc(scan->rows, cap * sizeof(*rows));
        if (!rows)
            return HD_ENOMEM;
        scan->rows = rows;
        scan->cap = cap;
    }
    scan->rows[scan->n++] = *pending;
    return HD_OK;
}

/* Takes a row's place among those that count, or, when it is a removal or damaged, that of the one
 * before it. */
static enum hd_err
take_row(struct sto_journal *journal, const struct pending *pending)
{
    const struct sto_row *row = &pending->row;
    const bool lives = pending->whole && row->n > 0;

    if (row->table >= STO_TABLES)
        return HD_OK;
    struct sto_index *index = &journal->index[row->table];
    enum hd_err err = lives ? sto_index_reserve(index, 1) : HD_OK;
    if (!err)
        err = counted_room(journal, row->table);
    if (err)
        return err;
    struct sto_held now = sto_journal_held(row->number, row->n);
    struct sto_held before =
        lives ? sto_index_put(index, row->id, now) : sto_index_remove(index, row->id);
    if (before.row)
        count(journal, row->table, before.row, false);
    if (lives)
        count(journal, row->table, now.row, true);
    journal->live_octets -= sto_journal_octets(before);
    journal->live_octets += lives ? sto_journal_octets(now) : 0;
    journal->rows++;
    if (pending->whole && row->stamp.wall_ms > journal->marker_ms)
        journal->marker_ms = row->stamp.wall_ms;
    return HD_OK;
}

/* The index is larger than any cache, and the places of ids may be anywhere in it: some are fetched
 * ahead. */
static enum hd_err
take_rows(struct scan *scan, size_t n)
{
    struct sto_journal *journal = scan->journal;
    enum hd_err err = HD_OK;

    for (size_t i = 0; i < n && !err; i++) {
        if (i + FETCHED_AHEAD < n) {
            const struct sto_row *ahead = &scan->rows[i + FETCHED_AHEAD].row;
            if (ahead->table < STO_TABLES)
                sto_index_prefetch(&journal->index[ahead->table], ahead->id);
        }
        err = take_row(journal, &scan->rows[i]);
    }
    scan->n -= n;
    if (scan->n) /* those of the next one */
        memmove(scan->rows, scan->rows + n, scan->n * sizeof(*scan->rows));
    return err;
}

/* What was met before end is of commits that count; damage may go on behind it. */
static enum hd_err
take_damages(struct scan *scan, uint64_t end)
{
    struct damages *met = &scan->damages;
    enum hd_err err = HD_OK;
    size_t left = 0;

    for (size_t i = 0; i < met->n && !err; i++) {
        struct damage damage = met->p[i], rest = damage;
        uint64_t before = damage.at < end ? end - damage.at : 0;
        if (damage.n > before) {
            rest.at += before;
            rest.n -= before;
            rest.has_id = rest.has_id && before == 0;
            met->p[left++] = rest;
            damage.n = before;
        }
        if (damage.n > 0)
            err = damages_add(&scan->journal->damages, damage);
    }
    met->n = left;
    return err;
}

static enum hd_err
take_until(struct scan *scan, uint64_t end)
{
    enum hd_err err = take_damages(scan, end);
    size_t rows = 0;

    while (rows < scan->n && scan->rows[rows].row.number * STO_UNIT < end)
        rows++;
    if (!err)
        err = take_rows(scan, rows);
    scan->from = end;
    scan->journal->end = end;
    return err;
}

/* --- the scan ---------------------------------------------------------------------------- */

static bool
is_complete(const struct scan *scan, const struct sto_row *mark, uint64_t begin)
{
    uint64_t fold = 0;

    for (size_t i = 0; i < scan->damages.n; i++)
        if (scan->damages.p[i].at >= begin)
            return false;
    for (size_t i = 0; i < scan->n; i++)
        if (scan->rows[i].row.number * STO_UNIT >= begin)
            fold = hd_hash_mix(fold, scan->rows[i].check);
    return fold == mark->stamp.wall_ms;
}

/* Whether a mark ends a commit that begins at a place or behind it. */
static bool
is_mark_behind(const struct sto_row *mark, uint64_t place)
{
    return mark->stamp.boot_ms >= place / STO_UNIT && mark->stamp.boot_ms <= mark->number;
}

/* Whether another commit was begun behind this place when all before it was on the disk. */
static enum hd_err
goes_on(struct scan *scan, uint64_t place, bool *ret)
{
    struct sto_journal *journal = scan->journal;
    const uint64_t limit = journal->limit * STO_UNIT;
    uint64_t at = place;
    enum hd_err err = HD_OK;
    struct sto_row row;
    bool there;

    *ret = place <= sto_segments_noted_end(journal->log); /* which is written behind a sync */
    while (!err && at < limit && !*ret) {
        err = sto_journal_search(journal, at, limit, &at);
        if (err || at == limit)
            break;
        err = row_at(journal, at, limit, &row, &there);
        if (err)
            break;
        if (row.table == STO_MARK && !is_mark_behind(&row, place))
            break; /* left by a commit that failed */
        *ret = row.table == STO_MARK && row.bucket == STO_SYNCED;
        at += sto_row_size(row.n);
    }
    return err;
}

/* The mark of the commit before this one was hit: what is before this one counts all the same when
 * it had been on the disk.  *ret_over: it was not. */
static enum hd_err
take_unmarked(struct scan *scan, const struct sto_row *mark, bool *ret_over)
{
    bool was_there = mark->bucket == STO_SYNCED;
    enum hd_err err = HD_OK;

    if (!was_there)
        err = goes_on(scan, scan->at + STO_ROW_HEAD, &was_there);
    *ret_over = !was_there;
    return err || !was_there ? err : take_until(scan, mark->stamp.boot_ms * STO_UNIT);
}

/* A mark: the commit before it counts, or else it is the end.  *ret_over: it is. */
static enum hd_err
take_mark(struct scan *scan, const struct sto_row *mark, bool *ret_over)
{
    const uint64_t begin = mark->stamp.boot_ms * STO_UNIT, end = scan->at + STO_ROW_HEAD;
    bool complete = scan->within && begin < scan->from;
    enum hd_err err = HD_OK;

    if (!complete && !is_mark_behind(mark, scan->from)) { /* left by a commit that failed */
        *ret_over = true;
        return HD_OK;
    }
    if (begin > scan->from)
        err = take_unmarked(scan, mark, ret_over);
    if (err || *ret_over)
        return err;
    complete = complete || is_complete(scan, mark, begin);
    if (!complete)
        err = goes_on(scan, end, &complete);
    *ret_over = !complete;
    if (err || !complete)
        return err;
    scan->within = false;
    scan->journal->start = (uint32_t)mark->id;
    return take_until(scan, end);
}

/* A row before its mark; of what means nothing the head alone is looked at. */
static enum hd_err
read_record(struct scan *scan, const struct sto_row *row)
{
    const bool is_record = row->table < STO_TABLES;
    const char *head;
    enum hd_err err =
        sto_journal_view(scan->journal, scan->at, STO_ROW_HEAD + (is_record ? row->n : 0),
                         scan->journal->limit * STO_UNIT, &head);

    if (err)
        return err;
    struct pending pending = { *row, sto_row_check(head), !is_record || sto_row_whole(head, row) };
    if (!pending.whole)
        err = damages_add(&scan->damages, (struct damage){ .at = scan->at,
                                                           .n = sto_row_size(row->n),
                                                           .has_id = true,
                                                           .table = row->table,
                                                           .id = row->id });
    return err ? err : pending_add(scan, &pending);
}

/* Octets in which no row begins: the end, or damage. */
static enum hd_err
read_damage(struct scan *scan, bool *ret_over)
{
    const uint64_t limit = scan->journal->limit * STO_UNIT;
    uint64_t next;
    enum hd_err err = sto_journal_search(scan->journal, scan->at + STO_UNIT, limit, &next);

    *ret_over = next == limit;
    if (err || *ret_over)
        return err;
    err = damages_add(&scan->damages, (struct damage){ .at = scan->at, .n = next - scan->at });
    scan->at = next;
    return err;
}

static enum hd_err
scan_rows(struct scan *scan)
{
    struct sto_journal *journal = scan->journal;
    const uint64_t limit = journal->limit * STO_UNIT;
    enum hd_err err = HD_OK;
    bool over = false, there;
    struct sto_row row;

    while (!err && !over && scan->at < limit) {
        err = row_at(journal, scan->at, limit, &row, &there);
        if (!err && !there) {
            err = read_damage(scan, &over);
            continue;
        }
        if (!err)
            err = row.table == STO_MARK ? take_mark(scan, &row, &over) : read_record(scan, &row);
        scan->at += sto_row_size(row.n);
    }
    return err;
}

/* Nothing was kept yet, or nothing can be found: it goes on behind.  What was sent before is
 * counted in starts, so that the number must be greater than any that was. */
static void
begin_anew(struct sto_journal *journal)
{
    journal->tail = journal->end = journal->limit * STO_UNIT;
    if (!journal->loaded)
        journal->start = (uint32_t)(journal->opened.wall_ms / 1000);
}

enum hd_err
sto_journal_scan(struct sto_journal *journal)
{
    struct scan scan = { .journal = journal, .within = true };
    enum hd_err err;

    journal->tail = journal->end = sto_segments_first(journal->log);
    scan.at = scan.from = journal->tail;
    journal->scanned = journal->tail / STO_UNIT;
    journal->limit = sto_segments_limit(journal->log) / STO_UNIT;
    journal->loaded = scan.at == sto_segments_limit(journal->log); /* there is nothing to load */
    err = scan_rows(&scan);
    if (!err && sto_segments_noted_end(journal->log) > journal->end) {
        journal->start += STARTS_UNKNOWN;
        err = damages_add(&journal->damages, (struct damage){ .at = journal->end });
    }
    if (!err && scan.within)
        begin_anew(journal);
    free(scan.rows);
    free(scan.damages.p);
    journal->window.n = 0; /* it may hold what is behind the end */
    journal->lost = journal->damages.n;
    sto_segments_cut(journal->log, journal->end);
    journal->tail_synced = journal->tail;
    journal->end_synced = journal->end;
    return sto_journal_failed(journal, err == HD_ESTORE ? HD_EIO : err);
}

void
sto_journal_scan_done(struct sto_journal *journal)
{
    for (unsigned i = 0; i < STO_TABLES; i++) {
        free(journal->counted[i].bits);
        journal->counted[i].bits = NULL;
    }
    free(journal->damages.p);
    journal->damages = (struct damages){ .p = NULL };
    journal->window.n = 0;
}

/* --- the load ---------------------------------------------------------------------------- */

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

static enum hd_err
visit_row(struct sto_journal *journal, uint64_t number, const struct sto_journal_visitor *visitor)
{
    const uint64_t at = number * STO_UNIT;
    struct sto_row row;
    const char *head;
    bool there;
    enum hd_err err = row_at(journal, at, journal->end, &row, &there);

    if (!err && !there)
        return HD_OK; /* it was there a moment ago: the disk fails */
    if (!err)
        err = sto_journal_view(journal, at, STO_ROW_HEAD + row.n, journal->end, &head);
    if (err)
        return err;
    err = visitor->visit(visitor->context, sto_journal_kind(row.table), row.bucket, row.id,
                         hd_slice(head + STO_ROW_HEAD, row.n), row_age(journal, &row));
    if (err != HD_ESYNTAX)
        return err;
    journal->live_octets -=
        sto_journal_octets(sto_index_remove(&journal->index[row.table], row.id));
    return damages_add(
        &journal->damages,
        (struct damage){
            .at = at, .n = sto_row_size(row.n), .has_id = true, .table = row.table, .id = row.id });
}

static enum hd_err
visit_table(struct sto_journal *journal, unsigned table, const struct sto_journal_visitor *visitor)
{
    const uint64_t *bits = journal->counted[table].bits;
    const uint64_t words = bits ? (journal->limit - journal->scanned) / 64 + 1 : 0;
    enum hd_err err = HD_OK;

    for (uint64_t i = 0; i < words && !err; i++)
        for (uint64_t word = bits[i]; word && !err; word &= word - 1)
            err = visit_row(journal, journal->scanned + i * 64 + (uint64_t)__builtin_ctzll(word),
                            visitor);
    return err;
}

/* --- putting aside ----------------------------------------------------------------------- */

/* Behind what is in the file already: a line that says what it is, and the octets. */
static enum hd_err
keep_aside(struct sto_journal *journal, struct sto_file *file, const struct damage *damage,
           uint64_t *at)
{
    char line[160];
    int n = snprintf(line, sizeof(line), "%s %016llx at %llu, %llu octets:\n",
                     damage->has_id ? sto_table_names[damage->table] : "unknown",
                     (unsigned long long)damage->id, (unsigned long long)damage->at,
                     (unsigned long long)damage->n);
    const char *octets;
    enum hd_err err = sto_file_write(file, *at, line, (size_t)n);

    *at += (size_t)n;
    for (uint64_t i = 0; i < damage->n && !err;) {
        uint64_t m = damage->n - i < WINDOW ? damage->n - i : WINDOW;
        err = sto_journal_view(journal, damage->at + i, m, journal->end, &octets);
        if (!err)
            err = sto_file_write(file, *at, octets, m);
        *at += m;
        i += m;
    }
    if (!err)
        err = sto_file_write(file, (*at)++, "\n", 1);
    return err;
}

static enum hd_err
keep_all_aside(struct sto_journal *journal)
{
    const char *words;
    struct sto_file *file = NULL;
    uint64_t at = 0;
    size_t n = strlen(journal->path) + sizeof(STO_DAMAGED);
    char *path = malloc(n);

    if (!path)
        return HD_ENOMEM;
    (void)snprintf(path, n, "%s" STO_DAMAGED, journal->path);
    enum hd_err err = sto_file_open(journal->vfs, path, &words, &file);
    free(path);
    if (!err)
        err = sto_file_size(file, &at);
    for (size_t i = 0; i < journal->damages.n && !err; i++)
        err = keep_aside(journal, file, &journal->damages.p[i], &at);
    if (!err)
        err = sto_file_sync(file);
    sto_file_close(file);
    return err;
}

static enum hd_err
remove_damaged(struct sto_journal *journal)
{
    enum hd_err err = HD_OK;

    sto_journal_begin(journal);
    for (size_t i = 0; i < journal->damages.n && !err; i++) {
        const struct damage *damage = &journal->damages.p[i];
        if (damage->has_id && !sto_index_find(&journal->index[damage->table], damage->id))
            err = sto_journal_remove(journal, damage->table, damage->id);
    }
    if (!err)
        err = sto_journal_commit(journal);
    else
        sto_journal_rollback(journal);
    return !err && sto_journal_unsynced(journal) ? sto_journal_sync(journal) : err;
}

/* What was there is not met again. */
static enum hd_err
make_void(struct sto_journal *journal)
{
    enum hd_err err = HD_OK;
    char head[STO_ROW_HEAD];

    for (size_t i = 0; i < journal->damages.n; i++) {
        const struct damage *damage = &journal->damages.p[i];
        const struct sto_row row = { .number = damage->at / STO_UNIT,
                                     .table = STO_VOID,
                                     .n = damage->n - STO_ROW_HEAD };
        if (damage->n < STO_ROW_HEAD)
            continue;
        journal->rows -= damage->has_id;
        (void)sto_row_write_head(head, journal->salt, &row);
        if (sto_segments_write(journal->log, damage->at, head, sizeof(head), 0))
            err = HD_EIO;
    }
    return sto_segments_sync(journal->log) ? HD_EIO : err;
}

/* When the disk does not take even that, what is damaged stays, and the next start meets it again.
 */
static void
put_aside(struct sto_journal *journal, const struct sto_journal_visitor *visitor)
{
    const struct damages *damages = &journal->damages;

    /* One without octets is what is missing at the end. */
    for (size_t i = 0; i < damages->n && visitor->damaged; i++)
        visitor->damaged(visitor->context,
                         damages->p[i].has_id ? sto_table_names[damages->p[i].table] : "unknown",
                         damages->p[i].at / STO_UNIT);
    if (damages->n && !keep_all_aside(journal) && !remove_damaged(journal))
        (void)!make_void(journal);
}

enum hd_err
sto_journal_load(struct sto_journal *journal, const struct sto_journal_visitor *visitor,
                 char ret_problem[256])
{
    /* Publications first: what the subscriptions are shown is there when they come. */
    static const unsigned order[STO_TABLES] = { 1, 2, 0, 3, 4, 5 };
    enum hd_err err = HD_OK;

    HD_ASSERT_OBJ(journal, JOURNAL_MAGIC);
    ret_problem[0] = '\0';
    for (unsigned i = 0; i < STO_TABLES && !err; i++)
        err = visit_table(journal, order[i], visitor);
    if (err == HD_ESTORE)
        (void)snprintf(ret_problem, 256, "%.120s: %.120s", journal->path, journal->problem);
    journal->loaded = !err;
    if (!err)
        put_aside(journal, visitor);
    sto_journal_scan_done(journal);
    return err == HD_ESTORE ? HD_EIO : err;
}
