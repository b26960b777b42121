/* tables.c - herald.db: ordinary tables, one row for each entry.
 *
 * The problem: one entry of a hundred thousand changes, and it must be there after a crash the
 * moment that somebody is told so.  Invariants: the tables change in transactions alone; the
 * journal is a rollback journal, so that what is committed stands in the file itself and a damaged
 * or missing journal cannot take it back (a write-ahead log that is cut loses commits without a
 * word); with journal_mode TRUNCATE and synchronous FULL the end of the journal is forced as well,
 * or it could come back after a power cut and undo what was acknowledged. */
#include "store/tables.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "base/hash.h"
#include "store/copy.h"

#define TABLES_MAGIC 0x5354424cu
#define SQL_MAX 256

struct sto_tables {
    unsigned magic;
    sqlite3 *db;
    unsigned n;
    struct sto_table table[STO_TABLES_MAX];
    sqlite3_stmt *put[STO_TABLES_MAX], *remove[STO_TABLES_MAX];
    bool changing; /* in a transaction */
};

/* Against decay, not against people. */
static sqlite3_int64
row_sum(unsigned table, struct hd_slice key, struct hd_slice text)
{
    static const struct hd_hash_key sum_key = { 0x6865726c642e6462u, 0x7461626c65732031u };
    uint64_t sum = hd_hash_mix(hd_hash(&sum_key, key), table);

    return (sqlite3_int64)hd_hash_mix(sum, hd_hash(&sum_key, text));
}

static enum hd_err
run(struct sto_tables *tables, const char *sql)
{
    return sqlite3_exec(tables->db, sql, NULL, NULL, NULL) == SQLITE_OK ? HD_OK : HD_ESTORE;
}

/* Of a pragma without a result, 0. */
static enum hd_err
number(struct sto_tables *tables, const char *sql, int64_t *ret_number)
{
    sqlite3_stmt *statement = NULL;
    enum hd_err err = HD_ESTORE;

    if (sqlite3_prepare_v2(tables->db, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        *ret_number = sqlite3_column_int64(statement, 0);
        err = HD_OK;
    }
    (void)sqlite3_finalize(statement);
    return err;
}

const char *
sto_tables_why(const struct sto_tables *tables)
{
    HD_ASSERT_OBJ(tables, TABLES_MAGIC);
    return sqlite3_errmsg(tables->db);
}

/* ---- opening ---- */

/* What SQLite's last error means for a file that is read. */
static enum hd_err
failed(const struct sto_tables *tables, char ret_problem[STO_PROBLEM])
{
    const int code = sqlite3_errcode(tables->db) & 0xff;

    if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_ERROR) {
        (void)snprintf(ret_problem, STO_PROBLEM, "damaged: %.120s", sqlite3_errmsg(tables->db));
        return HD_ESYNTAX;
    }
    (void)snprintf(ret_problem, STO_PROBLEM, "%.140s", sqlite3_errmsg(tables->db));
    return code == SQLITE_NOMEM ? HD_ENOMEM : HD_ESTORE;
}

static enum hd_err
open_file(const struct sto_tables_params *params, const char *pragmas,
          char ret_problem[STO_PROBLEM], struct sto_tables **ret_tables)
{
    struct sto_tables *tables = calloc(1, sizeof(*tables));

    if (!tables) {
        (void)snprintf(ret_problem, STO_PROBLEM, "memory is short");
        return HD_ENOMEM;
    }
    HD_ASSERT(params->n <= STO_TABLES_MAX);
    tables->magic = TABLES_MAGIC;
    tables->n = params->n;
    for (unsigned i = 0; i < params->n; i++)
        tables->table[i] = params->tables[i];
    if (sqlite3_open_v2(params->path, &tables->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                        params->vfs) == SQLITE_OK &&
        run(tables, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA temp_store=MEMORY") == HD_OK &&
        run(tables, pragmas) == HD_OK) {
        *ret_tables = tables;
        return HD_OK;
    }
    const enum hd_err err = failed(tables, ret_problem);
    sto_tables_close(tables);
    return err;
}

static enum hd_err
prepare(struct sto_tables *tables)
{
    char sql[SQL_MAX];

    for (unsigned i = 0; i < tables->n; i++) {
        const char *name = tables->table[i].name, *key = tables->table[i].key;
        const int key_n = (int)hd_slice_find(hd_slice_str(key), ' ');
        (void)snprintf(sql, sizeof(sql),
                       "INSERT OR REPLACE INTO %s(%.*s,entry,sum)VALUES(?1,?2,?3)", name, key_n,
                       key);
        if (sqlite3_prepare_v2(tables->db, sql, -1, &tables->put[i], NULL) != SQLITE_OK)
            return HD_ESTORE;
        (void)snprintf(sql, sizeof(sql), "DELETE FROM %s WHERE %.*s=?1", name, key_n, key);
        if (sqlite3_prepare_v2(tables->db, sql, -1, &tables->remove[i], NULL) != SQLITE_OK)
            return HD_ESTORE;
    }
    return HD_OK;
}

static enum hd_err
begin(struct sto_tables *tables)
{
    if (!tables->changing)
        tables->changing = run(tables, "BEGIN IMMEDIATE") == HD_OK;
    return tables->changing ? HD_OK : HD_ESTORE;
}

static enum hd_err
make_tables(struct sto_tables *tables, const struct sto_tables_params *params)
{
    char sql[SQL_MAX];
    enum hd_err err = begin(tables);

    (void)snprintf(sql, sizeof(sql),
                   "PRAGMA application_id=%" PRIu32 "; PRAGMA user_version=%" PRIu32,
                   params->application, params->version);
    if (!err)
        err = run(tables, sql);
    for (unsigned i = 0; i < tables->n && !err; i++) {
        (void)snprintf(sql, sizeof(sql),
                       "CREATE TABLE %s(%s PRIMARY KEY NOT NULL, entry TEXT NOT NULL,"
                       " sum INTEGER NOT NULL)",
                       tables->table[i].name, tables->table[i].key);
        err = run(tables, sql);
    }
    return err ? err : prepare(tables);
}

enum hd_err
sto_tables_make(const struct sto_tables_params *params, char ret_problem[STO_PROBLEM],
                struct sto_tables **ret_tables)
{
    struct sto_tables *tables;
    enum hd_err err = open_file(params, "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF",
                                ret_problem, &tables);

    if (err)
        return err;
    if (make_tables(tables, params)) {
        err = failed(tables, ret_problem);
        sto_tables_close(tables);
        return err == HD_ENOMEM ? err : HD_ESTORE;
    }
    *ret_tables = tables;
    return HD_OK;
}

/* Whether the pages of the file hang together; a row's text is looked at when it is read. */
static enum hd_err
check_pages(struct sto_tables *tables, char ret_problem[STO_PROBLEM])
{
    sqlite3_stmt *statement = NULL;
    enum hd_err err = HD_OK;

    if (sqlite3_prepare_v2(tables->db, "PRAGMA quick_check(1)", -1, &statement, NULL) !=
            SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW) {
        err = failed(tables, ret_problem);
    } else {
        const char *says = (const char *)sqlite3_column_text(statement, 0);
        if (!says || strcmp(says, "ok") != 0) {
            (void)snprintf(ret_problem, STO_PROBLEM, "damaged: its pages do not hang together");
            err = HD_ESYNTAX;
        }
    }
    (void)sqlite3_finalize(statement);
    return err;
}

/* Whether it is a file of ours, of a version that can be read. */
static enum hd_err
check_head(struct sto_tables *tables, const struct sto_tables_params *params,
           char ret_problem[STO_PROBLEM])
{
    int64_t application, version;

    if (number(tables, "PRAGMA application_id", &application) ||
        number(tables, "PRAGMA user_version", &version))
        return failed(tables, ret_problem);
    if (application != (int64_t)params->application || version <= 0) {
        (void)snprintf(ret_problem, STO_PROBLEM, "damaged: it is not a database of herald's");
        return HD_ESYNTAX;
    }
    if (version > (int64_t)params->version) {
        (void)snprintf(ret_problem, STO_PROBLEM,
                       "written by a newer herald: version %" PRId64
                       ", this one reads up to %" PRIu32,
                       version, params->version);
        return HD_EVERSION;
    }
    return HD_OK;
}

enum hd_err
sto_tables_open(const struct sto_tables_params *params, char ret_problem[STO_PROBLEM],
                struct sto_tables **ret_tables)
{
    struct sto_tables *tables;
    enum hd_err err = open_file(params,
                                "PRAGMA journal_mode=TRUNCATE; PRAGMA synchronous=FULL;"
                                "PRAGMA secure_delete=ON",
                                ret_problem, &tables);

    if (err)
        return err;
    err = check_head(tables, params, ret_problem);
    if (!err)
        err = check_pages(tables, ret_problem);
    if (!err && prepare(tables))
        err = failed(tables, ret_problem);
    if (err) {
        sto_tables_close(tables);
        return err;
    }
    *ret_tables = tables;
    return HD_OK;
}

void
sto_tables_close(struct sto_tables *tables)
{
    if (!tables)
        return;
    HD_ASSERT_OBJ(tables, TABLES_MAGIC);
    for (unsigned i = 0; i < tables->n; i++) {
        (void)sqlite3_finalize(tables->put[i]);
        (void)sqlite3_finalize(tables->remove[i]);
    }
    (void)sqlite3_close(tables->db); /* rolls back */
    tables->magic = 0;
    free(tables);
}

/* ---- reading ---- */

static struct hd_slice
column(sqlite3_stmt *statement, int at)
{
    const unsigned char *text = sqlite3_column_text(statement, at);
    return hd_slice((const char *)text, text ? (size_t)sqlite3_column_bytes(statement, at) : 0);
}

static enum hd_err
read_table(struct sto_tables *tables, unsigned table, sto_tables_visit_f visit, void *context,
           char ret_problem[STO_PROBLEM])
{
    char sql[SQL_MAX];
    const char *name = tables->table[table].name, *key = tables->table[table].key;
    sqlite3_stmt *s = NULL;
    enum hd_err err = HD_OK;
    int rc = SQLITE_DONE;

    (void)snprintf(sql, sizeof(sql), "SELECT rowid,%.*s,entry,sum FROM %s ORDER BY rowid",
                   (int)hd_slice_find(hd_slice_str(key), ' '), key, name);
    if (sqlite3_prepare_v2(tables->db, sql, -1, &s, NULL) != SQLITE_OK)
        return failed(tables, ret_problem);
    while (!err && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        const struct sto_row_place place = { table, sqlite3_column_int64(s, 0) };
        const struct hd_slice row_key = column(s, 1), text = column(s, 2);
        if (sqlite3_column_int64(s, 3) != row_sum(table, row_key, text)) {
            (void)snprintf(ret_problem, STO_PROBLEM,
                           "damaged at %s[%" PRId64 "]: its check sum is wrong", name,
                           place.number);
            err = HD_ESYNTAX;
        } else {
            err = visit(context, &place, row_key, text);
        }
    }
    if (!err && rc != SQLITE_DONE)
        err = failed(tables, ret_problem);
    (void)sqlite3_finalize(s);
    return err;
}

enum hd_err
sto_tables_read(struct sto_tables *tables, sto_tables_visit_f visit, void *context,
                char ret_problem[STO_PROBLEM])
{
    enum hd_err err = HD_OK;

    HD_ASSERT_OBJ(tables, TABLES_MAGIC);
    for (unsigned i = 0; i < tables->n && !err; i++)
        err = read_table(tables, i, visit, context, ret_problem);
    return err;
}

/* ---- changing ---- */

static enum hd_err
step(sqlite3_stmt *statement)
{
    const int rc = sqlite3_step(statement);

    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
    return rc == SQLITE_DONE ? HD_OK : HD_ESTORE;
}

static bool
bind(sqlite3_stmt *statement, int at, struct hd_slice text)
{
    return sqlite3_bind_text64(statement, at, text.n ? text.p : "", text.n, SQLITE_STATIC,
                               SQLITE_UTF8) == SQLITE_OK;
}

enum hd_err
sto_tables_put(struct sto_tables *tables, unsigned table, struct hd_slice key, struct hd_slice text)
{
    HD_ASSERT_OBJ(tables, TABLES_MAGIC);
    HD_ASSERT(table < tables->n);
    sqlite3_stmt *put = tables->put[table];
    const enum hd_err err = begin(tables);

    if (err || !bind(put, 1, key) || !bind(put, 2, text) ||
        sqlite3_bind_int64(put, 3, row_sum(table, key, text)) != SQLITE_OK)
        return HD_ESTORE;
    return step(put);
}

enum hd_err
sto_tables_remove(struct sto_tables *tables, unsigned table, struct hd_slice key)
{
    HD_ASSERT_OBJ(tables, TABLES_MAGIC);
    HD_ASSERT(table < tables->n);
    const enum hd_err err = begin(tables);

    return err || !bind(tables->remove[table], 1, key) ? HD_ESTORE : step(tables->remove[table]);
}

enum hd_err
sto_tables_clear(struct sto_tables *tables)
{
    char sql[SQL_MAX];

    HD_ASSERT_OBJ(tables, TABLES_MAGIC);
    enum hd_err err = begin(tables);
    for (unsigned i = 0; i < tables->n && !err; i++) {
        (void)snprintf(sql, sizeof(sql), "DELETE FROM %s", tables->table[i].name);
        err = run(tables, sql);
    }
    return err;
}

enum hd_err
sto_tables_commit(struct sto_tables *tables)
{
    HD_ASSERT_OBJ(tables, TABLES_MAGIC);
    if (!tables->changing)
        return HD_OK;
    const enum hd_err err = run(tables, "COMMIT");
    if (!err)
        tables->changing = false;
    return err;
}

void
sto_tables_rollback(struct sto_tables *tables)
{
    HD_ASSERT_OBJ(tables, TABLES_MAGIC);
    tables->changing = false;
    if (!sqlite3_get_autocommit(tables->db))
        (void)!run(tables, "ROLLBACK");
}

/* ---- copying ---- */

enum hd_err
sto_tables_copy(struct sto_tables *tables, const char *path)
{
    HD_ASSERT_OBJ(tables, TABLES_MAGIC);
    HD_ASSERT(!tables->changing);
    return sto_copy_whole(tables->db, path);
}
