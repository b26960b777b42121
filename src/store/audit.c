/* audit.c - the audit trail: a table that grows at one end and shrinks at the other.
 *
 * A row of SQLite holds as many lines as a page does (a pack); the last one is written again with
 * more lines until it is full. There is no index: a line costs no more than its octets, and who
 * asks for a resource, which is rare, reads the packs from the newest on.
 * Invariants: a line that is there is never changed; numbers grow, so that the oldest pack is the
 * one with the lowest; each commit removes more lines than it can have added, until what is left is
 * young and few enough; a pack is not so long in the making that its first line stays much longer
 * than it may. */
#include "store/audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/addr.h"
#include "base/bytes.h"
#include "store/copy.h"

#define AUDIT_MAGIC 0x53415544u
#define VERSION 2
#define PACK_MOST 8000u  /* octets of lines: a page has 8 KiB */
#define LINE_LEAST 41u   /* octets of the shortest line */
#define TRIM_PACKS 1024u /* that one commit removes at most; a commit adds fewer */
#define SPAN_MOST_MS 3600000u

/* Some lines in a row of the table. */
struct pack {
    sqlite3_int64 n; /* number of its first line, 0: there is none */
    sqlite3_int64 lines;
    uint64_t at_ms; /* when the newest line was noted */
};

struct sto_audit {
    unsigned magic;
    sqlite3 *db;
    sqlite3_stmt *put, *oldest, *newest, *remove, *begin, *commit, *rollback;
    uint64_t keep_ms, span_ms;
    uint32_t most;
    struct pack first, last; /* the oldest, and the one that grows */
    uint64_t last_begun_ms;  /* when its first line was noted */
    bool known;              /* first and last are what the file and this transaction hold */
    bool open;               /* a transaction */
    struct sto_copy copy;
    size_t octets; /* of last */
    char pack[PACK_MOST];
};

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS audit(n INTEGER PRIMARY KEY, count INTEGER NOT NULL,"
    " at_ms INTEGER NOT NULL, lines BLOB NOT NULL);"
    "PRAGMA user_version = 2;";

/* --- packing --------------------------------------------------------------------------------- */

struct hd_slice
sto_audit_pack(const struct evt_audit *row, char buffer[STO_AUDIT_PACKED_MAX])
{
    char text[HD_ADDR_TEXT];
    struct hd_bytes_out out;
    struct hd_slice packed;

    hd_bytes_out_init(&out, buffer, STO_AUDIT_PACKED_MAX);
    hd_bytes_put_u8(&out, (uint8_t)row->what);
    hd_bytes_put_u8(&out, row->state);
    hd_bytes_put_u8(&out, row->transform);
    hd_bytes_put_u8(&out, row->proof);
    hd_bytes_put_u8(&out, row->reason);
    hd_bytes_put_u32(&out, row->rule);
    hd_bytes_put_u64(&out, row->id);
    hd_bytes_put_slice(&out, row->resource);
    hd_bytes_put_slice(&out, row->package);
    hd_bytes_put_slice(&out, row->watcher);
    hd_bytes_put_slice(&out, hd_slice(text, hd_addr_text(&row->address, text)));
    /* Names are bounded far below this. */
    return hd_bytes_out_finish(&out, &packed) ? hd_slice(NULL, 0) : packed;
}

/* Octets of a line, as they are in a pack: when it was noted, and the packed row. */
static struct hd_slice
line_write(uint64_t wall_ms, struct hd_slice packed, char buffer[STO_AUDIT_PACKED_MAX + 16])
{
    struct hd_bytes_out out;
    struct hd_slice line;

    hd_bytes_out_init(&out, buffer, STO_AUDIT_PACKED_MAX + 16);
    hd_bytes_put_u64(&out, wall_ms);
    hd_bytes_put_slice(&out, packed);
    return hd_bytes_out_finish(&out, &line) ? hd_slice(NULL, 0) : line;
}

static enum hd_err
line_read(struct hd_slice packed, struct sto_audit_line *ret_line)
{
    struct hd_bytes_in in;

    hd_bytes_in_init(&in, packed);
    ret_line->what = (enum evt_audited)hd_bytes_get_u8(&in);
    ret_line->state = hd_bytes_get_u8(&in);
    ret_line->transform = hd_bytes_get_u8(&in);
    ret_line->proof = hd_bytes_get_u8(&in);
    ret_line->reason = hd_bytes_get_u8(&in);
    ret_line->rule = hd_bytes_get_u32(&in);
    ret_line->id = hd_bytes_get_u64(&in);
    ret_line->resource = hd_bytes_get_slice(&in);
    ret_line->package = hd_bytes_get_slice(&in);
    ret_line->watcher = hd_bytes_get_slice(&in);
    ret_line->address = hd_bytes_get_slice(&in);
    return hd_bytes_in_end(&in);
}

/* --- the trail ------------------------------------------------------------------------------- */

static enum hd_err
prepare(struct sto_audit *audit)
{
    const struct {
        sqlite3_stmt **statement;
        const char *text;
    } all[] = {
        { &audit->put, "INSERT OR REPLACE INTO audit VALUES(?1, ?2, ?3, ?4)" },
        { &audit->oldest, "SELECT n, count, at_ms FROM audit ORDER BY n LIMIT 1" },
        { &audit->newest, "SELECT n, count, at_ms, lines FROM audit ORDER BY n DESC LIMIT 1" },
        { &audit->remove, "DELETE FROM audit WHERE n = ?1" },
        { &audit->begin, "BEGIN" },
        { &audit->commit, "COMMIT" },
        { &audit->rollback, "ROLLBACK" },
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (sqlite3_prepare_v2(audit->db, all[i].text, -1, all[i].statement, NULL) != SQLITE_OK)
            return HD_EIO;
    return HD_OK;
}

static enum hd_err
find_end(sqlite3_stmt *statement, struct pack *ret_pack)
{
    const int code = sqlite3_step(statement);

    *ret_pack = (struct pack){ .n = 0 };
    if (code == SQLITE_ROW)
        *ret_pack = (struct pack){ .n = sqlite3_column_int64(statement, 0),
                                   .lines = sqlite3_column_int64(statement, 1),
                                   .at_ms = (uint64_t)sqlite3_column_int64(statement, 2) };
    return code == SQLITE_ROW || code == SQLITE_DONE ? HD_OK : HD_EIO;
}

/* What the newest row of the table holds, to go on with it. */
static void
take_pack(struct sto_audit *audit)
{
    const size_t n = (size_t)sqlite3_column_bytes(audit->newest, 3);
    struct hd_bytes_in in;

    audit->octets = n < PACK_MOST ? n : PACK_MOST;
    memcpy(audit->pack, sqlite3_column_blob(audit->newest, 3), audit->octets);
    hd_bytes_in_init(&in, hd_slice(audit->pack, audit->octets));
    audit->last_begun_ms = hd_bytes_get_u64(&in);
}

/* Looked for once, and when something failed: a search in each commit would grow with the trail.
 * HD_EIO: nothing is added before they are known, or a pack might take the number of another. */
static enum hd_err
find_ends(struct sto_audit *audit)
{
    enum hd_err err = find_end(audit->oldest, &audit->first);

    (void)sqlite3_reset(audit->oldest);
    if (!err)
        err = find_end(audit->newest, &audit->last);
    audit->octets = 0;
    audit->last_begun_ms = 0; /* a new pack is begun */
    if (!err && audit->last.n)
        take_pack(audit);
    (void)sqlite3_reset(audit->newest);
    audit->known = !err;
    return err;
}

static int
read_version(void *context, int n, char **values, char **names)
{
    (void)names;
    if (n == 1 && values[0])
        *(int *)context = (int)(values[0][0] - '0') + (values[0][1] ? 10 : 0);
    return 0;
}

enum hd_err
sto_audit_open(const struct sto_audit_params *params, char ret_problem[256],
               struct sto_audit **ret_audit)
{
    struct sto_audit *audit = calloc(1, sizeof(*audit));
    int version = 0;

    if (!audit)
        return HD_ENOMEM;
    audit->magic = AUDIT_MAGIC;
    audit->keep_ms = (uint64_t)params->keep_s * 1000;
    audit->span_ms = audit->keep_ms / 64 < SPAN_MOST_MS ? audit->keep_ms / 64 : SPAN_MOST_MS;
    audit->most = params->most;
    if (sqlite3_open_v2(params->path, &audit->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK ||
        sqlite3_exec(audit->db, "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL", NULL, NULL,
                     NULL) != SQLITE_OK ||
        sqlite3_exec(audit->db,
                     params->durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL",
                     NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_exec(audit->db, "PRAGMA user_version", read_version, &version, NULL) != SQLITE_OK ||
        (version && version != VERSION) ||
        sqlite3_exec(audit->db, schema, NULL, NULL, NULL) != SQLITE_OK || prepare(audit)) {
        (void)snprintf(ret_problem, 256, "%.160s: %.80s", params->path,
                       version > VERSION              ? "written by a newer herald"
                       : version && version < VERSION ? "written by an older herald"
                                                      : sqlite3_errmsg(audit->db));
        sto_audit_close(audit);
        return version && version != VERSION ? HD_EVERSION : HD_EIO;
    }
    if (find_ends(audit)) {
        (void)snprintf(ret_problem, 256, "%.160s: %.80s", params->path, sqlite3_errmsg(audit->db));
        sto_audit_close(audit);
        return HD_EIO;
    }
    *ret_audit = audit;
    return HD_OK;
}

void
sto_audit_close(struct sto_audit *audit)
{
    if (!audit)
        return;
    HD_ASSERT_OBJ(audit, AUDIT_MAGIC);
    sqlite3_stmt *const all[] = { audit->put,   audit->oldest, audit->newest,  audit->remove,
                                  audit->begin, audit->commit, audit->rollback };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        (void)sqlite3_finalize(all[i]);
    sto_copy_end(&audit->copy);
    (void)sqlite3_close(audit->db);
    audit->magic = 0;
    free(audit);
}

static enum hd_err
step(sqlite3_stmt *statement)
{
    int rc = sqlite3_step(statement);

    (void)sqlite3_reset(statement);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? HD_OK : HD_EIO;
}

/* Writes the pack that grows, in place of what was written of it before. */
static enum hd_err
put_pack(struct sto_audit *audit)
{
    if (!audit->last.n)
        return HD_OK;
    (void)sqlite3_bind_int64(audit->put, 1, audit->last.n);
    (void)sqlite3_bind_int64(audit->put, 2, audit->last.lines);
    (void)sqlite3_bind_int64(audit->put, 3, (sqlite3_int64)audit->last.at_ms);
    (void)sqlite3_bind_blob(audit->put, 4, audit->pack, (int)audit->octets, SQLITE_STATIC);
    enum hd_err err = step(audit->put);
    if (!err && (!audit->first.n || audit->first.n == audit->last.n))
        audit->first = audit->last;
    return err;
}

/* Begins a new pack when a line does not fit into the last one, or that has been growing for long.
 */
static enum hd_err
pack_room(struct sto_audit *audit, uint64_t wall_ms, size_t n)
{
    const struct pack last = audit->last;
    bool young =
        wall_ms >= audit->last_begun_ms && wall_ms - audit->last_begun_ms <= audit->span_ms;

    if (last.n && young && audit->octets + n <= PACK_MOST)
        return HD_OK;
    enum hd_err err = put_pack(audit);
    if (err)
        return err;
    audit->last = (struct pack){ .n = last.n ? last.n + last.lines : 1, .at_ms = wall_ms };
    audit->last_begun_ms = wall_ms;
    audit->octets = 0;
    return HD_OK;
}

enum hd_err
sto_audit_add(struct sto_audit *audit, uint64_t wall_ms, struct hd_slice packed)
{
    char buffer[STO_AUDIT_PACKED_MAX + 16];
    const struct hd_slice line = line_write(wall_ms, packed, buffer);
    struct sto_audit_line read;

    HD_ASSERT_OBJ(audit, AUDIT_MAGIC);
    if (!line.n || line_read(packed, &read))
        return HD_ESYNTAX;
    if (!audit->known && find_ends(audit))
        return HD_EIO;
    if (!audit->open) {
        if (step(audit->begin))
            return HD_EIO;
        audit->open = true;
    }
    enum hd_err err = pack_room(audit, wall_ms, line.n);
    if (err)
        return err;
    memcpy(audit->pack + audit->octets, line.p, line.n);
    audit->octets += line.n;
    audit->last.lines++;
    if (wall_ms > audit->last.at_ms)
        audit->last.at_ms = wall_ms;
    return HD_OK;
}

/* The oldest packs, as far as they are old or too many; never the one that grows. */
static enum hd_err
trim(struct sto_audit *audit, uint64_t wall_ms)
{
    const uint64_t old_ms = wall_ms > audit->keep_ms ? wall_ms - audit->keep_ms : 0;
    const sqlite3_int64 too_many = audit->last.n + audit->last.lines - (sqlite3_int64)audit->most;
    enum hd_err err = HD_OK;

    for (unsigned i = 0; i < TRIM_PACKS && !err && audit->first.n < audit->last.n; i++) {
        const struct pack *first = &audit->first;
        if (first->at_ms >= old_ms && first->n + first->lines > too_many)
            break;
        (void)sqlite3_bind_int64(audit->remove, 1, first->n);
        err = step(audit->remove);
        if (!err)
            err = find_end(audit->oldest, &audit->first);
        (void)sqlite3_reset(audit->oldest);
    }
    return err;
}

enum hd_err
sto_audit_commit(struct sto_audit *audit, uint64_t wall_ms)
{
    HD_ASSERT_OBJ(audit, AUDIT_MAGIC);
    if (!audit->open)
        return HD_OK;
    audit->open = false;
    if (put_pack(audit) == HD_OK && trim(audit, wall_ms) == HD_OK && step(audit->commit) == HD_OK)
        return HD_OK;
    (void)!step(audit->rollback);
    (void)!find_ends(audit);
    return HD_EIO;
}

enum hd_err
sto_audit_copy(struct sto_audit *audit, const char *path, bool *ret_done)
{
    HD_ASSERT_OBJ(audit, AUDIT_MAGIC);
    HD_ASSERT(!audit->open);
    return sto_copy_step(&audit->copy, audit->db, path, ret_done);
}

/* --- reading --------------------------------------------------------------------------------- */

struct reader {
    const struct sto_audit_query *query;
    uint32_t left; /* lines that may still be visited */
    sto_audit_visit_f visit;
    void *context;
};

static void
visit_line(struct reader *reader, uint64_t at_ms, struct hd_slice packed)
{
    struct sto_audit_line line = { .at_ms = at_ms };

    const struct sto_audit_query *query = reader->query;

    if (at_ms < query->since_ms || line_read(packed, &line) ||
        (query->resource.n && !hd_slice_eq(line.resource, query->resource)))
        return;
    reader->visit(reader->context, &line);
    reader->left--;
}

/* The lines of a pack are found from its start, and visited from its end. */
static void
visit_pack(struct reader *reader, struct hd_slice pack)
{
    struct {
        uint64_t at_ms;
        struct hd_slice packed;
    } lines[PACK_MOST / LINE_LEAST + 1];
    struct hd_bytes_in in;
    size_t n = 0;

    hd_bytes_in_init(&in, pack);
    while (n < sizeof(lines) / sizeof(lines[0]) && hd_bytes_in_end(&in)) {
        lines[n].at_ms = hd_bytes_get_u64(&in);
        lines[n].packed = hd_bytes_get_slice(&in);
        if (!lines[n].packed.n)
            break;
        n++;
    }
    while (n-- > 0 && reader->left > 0)
        visit_line(reader, lines[n].at_ms, lines[n].packed);
}

static bool
is_stopped(const struct sto_audit_query *query)
{
    return query->stop && atomic_load_explicit(query->stop, memory_order_relaxed);
}

enum hd_err
sto_audit_read(const struct sto_audit_query *query, sto_audit_visit_f visit, void *context)
{
    struct reader reader = { query, query->limit, visit, context };
    sqlite3_stmt *statement = NULL;
    sqlite3 *db = NULL;
    int rc = SQLITE_ERROR;

    if (is_stopped(query))
        return HD_EBUSY;
    if (access(query->path, F_OK) != 0)
        return HD_ENOMATCH;
    if (sqlite3_open_v2(query->path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) ==
            SQLITE_OK &&
        sqlite3_prepare_v2(db, "SELECT at_ms, lines FROM audit ORDER BY n DESC", -1, &statement,
                           NULL) == SQLITE_OK) {
        /* Old packs are passed over here and not by SQLite, or it could not be broken off. The
         * clock may have been set: behind an old one there may be newer ones. */
        while (reader.left > 0 && !is_stopped(query) &&
               (rc = sqlite3_step(statement)) == SQLITE_ROW)
            if ((uint64_t)sqlite3_column_int64(statement, 0) >= query->since_ms)
                visit_pack(&reader, hd_slice(sqlite3_column_blob(statement, 1),
                                             (size_t)sqlite3_column_bytes(statement, 1)));
    }
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(db);
    if (rc == SQLITE_DONE || reader.left == 0)
        return HD_OK;
    return is_stopped(query) ? HD_EBUSY : HD_EIO;
}
