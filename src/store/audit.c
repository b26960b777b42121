/* audit.c - the audit trail: a table that grows at one end and shrinks at the other.
 *
 * Invariants: a line that is there is never changed; numbers grow, so that the oldest line is the
 * one with the lowest; each commit removes more lines than it can have added, until what is left is
 * young and few enough. */
#include "store/audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/addr.h"
#include "base/bytes.h"

#define AUDIT_MAGIC 0x53415544u
#define VERSION 1
#define COPY_PAGES 64 /* in one step */
#define TRIM 1000u    /* lines that one commit removes at most; more than a commit's records */

struct sto_audit {
    unsigned magic;
    sqlite3 *db;
    sqlite3_stmt *insert, *oldest, *newest, *trim, *begin, *commit, *rollback;
    uint64_t keep_ms;
    uint32_t most;
    sqlite3_int64 first, last, first_ms; /* numbers of the ends, 0: no line; when the oldest was */
    bool open;                           /* a transaction */
    sqlite3 *copy;                       /* under way */
    sqlite3_backup *backup;
};

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS audit(n INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL,"
    " what INTEGER NOT NULL, state INTEGER NOT NULL, transform INTEGER NOT NULL,"
    " proof INTEGER NOT NULL, reason INTEGER NOT NULL, rule INTEGER NOT NULL,"
    " subscription INTEGER NOT NULL, resource TEXT NOT NULL, package TEXT NOT NULL,"
    " watcher TEXT NOT NULL, address TEXT NOT NULL);"
    "CREATE INDEX IF NOT EXISTS audit_resource ON audit(resource, n);"
    "PRAGMA user_version = 1;";

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

/* --- the trail ------------------------------------------------------------------------------- */

static enum hd_err
prepare(struct sto_audit *audit)
{
    const struct {
        sqlite3_stmt **statement;
        const char *text;
    } all[] = {
        { &audit->insert, "INSERT INTO audit(at_ms, what, state, transform, proof, reason, rule,"
                          " subscription, resource, package, watcher, address)"
                          " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)" },
        { &audit->oldest, "SELECT n, at_ms FROM audit ORDER BY n LIMIT 1" },
        { &audit->newest, "SELECT n FROM audit ORDER BY n DESC LIMIT 1" },
        { &audit->trim, "DELETE FROM audit WHERE n < ?1 AND (at_ms < ?2 OR n <= ?3)" },
        { &audit->begin, "BEGIN" },
        { &audit->commit, "COMMIT" },
        { &audit->rollback, "ROLLBACK" },
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (sqlite3_prepare_v2(audit->db, all[i].text, -1, all[i].statement, NULL) != SQLITE_OK)
            return HD_EIO;
    return HD_OK;
}

/* Looked for once, and when lines went: a search in each commit would grow with the trail. */
static void
find_ends(struct sto_audit *audit)
{
    audit->first = audit->last = audit->first_ms = 0;
    if (sqlite3_step(audit->oldest) == SQLITE_ROW) {
        audit->first = sqlite3_column_int64(audit->oldest, 0);
        audit->first_ms = sqlite3_column_int64(audit->oldest, 1);
    }
    (void)sqlite3_reset(audit->oldest);
    if (sqlite3_step(audit->newest) == SQLITE_ROW)
        audit->last = sqlite3_column_int64(audit->newest, 0);
    (void)sqlite3_reset(audit->newest);
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
    audit->most = params->most;
    if (sqlite3_open_v2(params->path, &audit->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK ||
        sqlite3_exec(audit->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_exec(audit->db,
                     params->durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL",
                     NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_exec(audit->db, "PRAGMA user_version", read_version, &version, NULL) != SQLITE_OK ||
        version > VERSION || sqlite3_exec(audit->db, schema, NULL, NULL, NULL) != SQLITE_OK ||
        prepare(audit)) {
        (void)snprintf(ret_problem, 256, "%.160s: %.80s", params->path,
                       version > VERSION ? "written by a newer herald" : sqlite3_errmsg(audit->db));
        sto_audit_close(audit);
        return version > VERSION ? HD_EVERSION : HD_EIO;
    }
    find_ends(audit);
    *ret_audit = audit;
    return HD_OK;
}

static void
end_copy(struct sto_audit *audit)
{
    (void)sqlite3_backup_finish(audit->backup);
    (void)sqlite3_close(audit->copy);
    audit->backup = NULL;
    audit->copy = NULL;
}

void
sto_audit_close(struct sto_audit *audit)
{
    if (!audit)
        return;
    HD_ASSERT_OBJ(audit, AUDIT_MAGIC);
    sqlite3_stmt *const all[] = { audit->insert, audit->oldest, audit->newest,  audit->trim,
                                  audit->begin,  audit->commit, audit->rollback };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        (void)sqlite3_finalize(all[i]);
    end_copy(audit);
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

static void
bind_text(sqlite3_stmt *statement, int at, struct hd_slice text)
{
    (void)sqlite3_bind_text(statement, at, text.n ? text.p : "", (int)text.n, SQLITE_STATIC);
}

enum hd_err
sto_audit_add(struct sto_audit *audit, uint64_t wall_ms, struct hd_slice packed)
{
    struct hd_bytes_in in;
    sqlite3_stmt *const insert = audit->insert;

    HD_ASSERT_OBJ(audit, AUDIT_MAGIC);
    if (!audit->open) {
        if (step(audit->begin))
            return HD_EIO;
        audit->open = true;
    }
    hd_bytes_in_init(&in, packed);
    (void)sqlite3_bind_int64(insert, 1, (sqlite3_int64)wall_ms);
    for (int i = 2; i <= 6; i++)
        (void)sqlite3_bind_int(insert, i, hd_bytes_get_u8(&in));
    (void)sqlite3_bind_int64(insert, 7, hd_bytes_get_u32(&in));
    (void)sqlite3_bind_int64(insert, 8, (sqlite3_int64)hd_bytes_get_u64(&in));
    for (int i = 9; i <= 12; i++)
        bind_text(insert, i, hd_bytes_get_slice(&in));
    if (hd_bytes_in_end(&in))
        return HD_ESYNTAX;
    enum hd_err err = step(insert);
    if (!err)
        audit->last = sqlite3_last_insert_rowid(audit->db);
    if (!err && !audit->first) {
        audit->first = audit->last;
        audit->first_ms = (sqlite3_int64)wall_ms;
    }
    return err;
}

/* The oldest lines, as far as they are old or too many. */
static enum hd_err
trim(struct sto_audit *audit, uint64_t wall_ms)
{
    const sqlite3_int64 old_ms =
        (sqlite3_int64)(wall_ms > audit->keep_ms ? wall_ms - audit->keep_ms : 0);
    const sqlite3_int64 too_many = audit->last - (sqlite3_int64)audit->most;

    if (!audit->first || (audit->first_ms >= old_ms && audit->first > too_many))
        return HD_OK;
    (void)sqlite3_bind_int64(audit->trim, 1, audit->first + (sqlite3_int64)TRIM);
    (void)sqlite3_bind_int64(audit->trim, 2, old_ms);
    (void)sqlite3_bind_int64(audit->trim, 3, too_many);
    enum hd_err err = step(audit->trim);
    find_ends(audit);
    return err;
}

enum hd_err
sto_audit_commit(struct sto_audit *audit, uint64_t wall_ms)
{
    HD_ASSERT_OBJ(audit, AUDIT_MAGIC);
    if (!audit->open)
        return HD_OK;
    audit->open = false;
    if (trim(audit, wall_ms) == HD_OK && step(audit->commit) == HD_OK)
        return HD_OK;
    (void)!step(audit->rollback);
    find_ends(audit);
    return HD_EIO;
}

enum hd_err
sto_audit_copy(struct sto_audit *audit, const char *path, bool *ret_done)
{
    HD_ASSERT_OBJ(audit, AUDIT_MAGIC);
    HD_ASSERT(!audit->open);
    if (!audit->backup && access(path, F_OK) != 0 && sqlite3_open(path, &audit->copy) == SQLITE_OK)
        audit->backup = sqlite3_backup_init(audit->copy, "main", audit->db, "main");
    if (!audit->backup) {
        end_copy(audit);
        return HD_EIO;
    }
    int code = sqlite3_backup_step(audit->backup, COPY_PAGES);
    *ret_done = code == SQLITE_DONE;
    if (code == SQLITE_OK || code == SQLITE_BUSY)
        return HD_OK;
    end_copy(audit);
    if (code == SQLITE_DONE)
        return HD_OK;
    (void)unlink(path);
    return HD_EIO;
}

/* --- reading --------------------------------------------------------------------------------- */

static struct hd_slice
column(sqlite3_stmt *statement, int at)
{
    const unsigned char *text = sqlite3_column_text(statement, at);

    return hd_slice((const char *)text, text ? (size_t)sqlite3_column_bytes(statement, at) : 0);
}

static void
visit_row(sqlite3_stmt *s, sto_audit_visit_f visit, void *context)
{
    const struct sto_audit_line line = {
        .at_ms = (uint64_t)sqlite3_column_int64(s, 0),
        .what = (enum evt_audited)sqlite3_column_int(s, 1),
        .state = (unsigned)sqlite3_column_int(s, 2),
        .transform = (unsigned)sqlite3_column_int(s, 3),
        .proof = (unsigned)sqlite3_column_int(s, 4),
        .reason = (unsigned)sqlite3_column_int(s, 5),
        .rule = (uint32_t)sqlite3_column_int64(s, 6),
        .id = (uint64_t)sqlite3_column_int64(s, 7),
        .resource = column(s, 8),
        .package = column(s, 9),
        .watcher = column(s, 10),
        .address = column(s, 11),
    };
    visit(context, &line);
}

enum hd_err
sto_audit_read(const char *path, struct hd_slice resource, uint64_t since_ms, uint32_t limit,
               sto_audit_visit_f visit, void *context)
{
#define COLUMNS                                                                                    \
    "at_ms, what, state, transform, proof, reason, rule, subscription, resource, package, "        \
    "watcher, address"
    const char *const text =
        resource.n ? "SELECT " COLUMNS " FROM audit WHERE resource = ?3 AND at_ms >= ?1"
                     " ORDER BY n DESC LIMIT ?2"
                   : "SELECT " COLUMNS " FROM audit WHERE at_ms >= ?1 ORDER BY n DESC LIMIT ?2";
    sqlite3_stmt *statement = NULL;
    sqlite3 *db = NULL;
    int rc = SQLITE_OK;

    if (access(path, F_OK) != 0)
        return HD_ENOMATCH;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(db, text, -1, &statement, NULL) != SQLITE_OK) {
        rc = SQLITE_ERROR;
        goto out;
    }
    (void)sqlite3_bind_int64(statement, 1, (sqlite3_int64)since_ms);
    (void)sqlite3_bind_int64(statement, 2, limit);
    if (resource.n)
        bind_text(statement, 3, resource);
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW)
        visit_row(statement, visit, context);
out:
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(db);
    return rc == SQLITE_DONE ? HD_OK : HD_EIO;
}
