/* rescue.c - from a damaged file into a new one.
 *
 * The copy is made under a name of its own, and gets a second name when it is whole; from then on
 * nothing is needed of the damaged file. That one and its write-ahead log are moved away, and the
 * copy takes their place: in this order, so that the log of the one never meets the other. A crash
 * in between is made good by sto_rescue_finish. Invariant: a row is copied when its check sum is
 * right, and it is not; so nothing comes in that was never written. */
#include "store/rescue.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/row.h"

#define PATH_MOST 4200
#define ROWS_PER_COMMIT 4096u
#define SINGLE_STEPS 128u /* rows that are tried one by one behind a place that cannot be read */
#define BOOTS_MOST 4096u

struct boot {
    int64_t there, here; /* its number in the damaged file and in the copy */
};

struct rescue {
    sqlite3 *from;
    struct sto_journal *to;
    struct sto_rescued rescued;
    struct boot *boots;
    size_t n_boots;
    uint64_t expected; /* number of the next row of this table; 0: none was met yet */
    unsigned in_batch;
    char *problem; /* of 256 octets */
};

/* --- names ------------------------------------------------------------------------------- */

struct names {
    char copy[PATH_MOST], whole[PATH_MOST], left[PATH_MOST], log[PATH_MOST], left_log[PATH_MOST];
};

static void
names_make(const char *path, struct names *names)
{
    (void)snprintf(names->copy, PATH_MOST, "%.4100s.copy", path);
    (void)snprintf(names->whole, PATH_MOST, "%.4100s.rescued", path);
    (void)snprintf(names->left, PATH_MOST, "%.4100s" STO_RESCUE_LEFT, path);
    (void)snprintf(names->log, PATH_MOST, "%.4100s-wal", path);
    (void)snprintf(names->left_log, PATH_MOST, "%.4100s" STO_RESCUE_LEFT "-wal", path);
}

static void
remove_copy(const struct names *names)
{
    char log[PATH_MOST + 8];

    (void)snprintf(log, sizeof(log), "%s-wal", names->copy);
    (void)unlink(names->copy);
    (void)unlink(log);
}

/* Names are on the disk when their folder is. */
static enum hd_err
sync_folder(const char *path)
{
    char folder[PATH_MOST];
    enum hd_err err = HD_OK;

    (void)snprintf(folder, sizeof(folder), "%.4100s", path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[1] = '\0';
    int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd))
        err = HD_EIO;
    if (fd >= 0)
        (void)close(fd);
    return err;
}

static enum hd_err
move(const char *from, const char *to)
{
    return rename(from, to) == 0 || errno == ENOENT ? HD_OK : HD_EIO;
}

enum hd_err
sto_rescue_finish(const char *path)
{
    struct names names;
    enum hd_err err;

    names_make(path, &names);
    if (access(names.whole, F_OK))
        return HD_OK;
    err = move(path, names.left);
    if (!err)
        err = move(names.log, names.left_log);
    if (!err)
        err = sync_folder(path);
    if (!err)
        err = move(names.whole, path);
    return err ? err : sync_folder(path);
}

/* --- boots ------------------------------------------------------------------------------- */

/* Their numbers change; one that cannot be read is none that is known, and the wall clock counts.
 */
static enum hd_err
copy_boots(struct rescue *rescue)
{
    sqlite3_stmt *s = NULL;
    enum hd_err err = HD_OK;

    rescue->boots = calloc(BOOTS_MOST, sizeof(*rescue->boots));
    if (!rescue->boots)
        return HD_ENOMEM;
    if (sqlite3_prepare_v2(rescue->from, "SELECT n,id FROM boot", -1, &s, NULL))
        return HD_OK;
    while (!err && rescue->n_boots < BOOTS_MOST && sqlite3_step(s) == SQLITE_ROW) {
        struct boot *boot = &rescue->boots[rescue->n_boots];
        boot->there = sqlite3_column_int64(s, 0);
        if (sqlite3_column_bytes(s, 1) != STO_BOOT_ID)
            continue;
        err = sto_journal_boot(rescue->to, sqlite3_column_blob(s, 1), &boot->here);
        rescue->n_boots++;
    }
    (void)sqlite3_finalize(s);
    return err;
}

static int64_t
boot_here(const struct rescue *rescue, int64_t there)
{
    for (size_t i = 0; i < rescue->n_boots; i++)
        if (rescue->boots[i].there == there)
            return rescue->boots[i].here;
    return 0;
}

/* --- starts ------------------------------------------------------------------------------ */

/* A number that cannot be read is one that is greater than any that was: seconds on the wall's
 * clock. */
static enum hd_err
copy_start(struct rescue *rescue, const struct sto_journal_params *params)
{
    uint32_t start = (uint32_t)(params->now.wall_ms / 1000);
    sqlite3_stmt *s = NULL;

    if (sqlite3_prepare_v2(rescue->from, "SELECT n FROM start", -1, &s, NULL) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW)
        start = (uint32_t)sqlite3_column_int64(s, 0);
    (void)sqlite3_finalize(s);
    return sto_journal_set_start(rescue->to, start);
}

/* --- rows -------------------------------------------------------------------------------- */

static enum hd_err
end_batch(struct rescue *rescue)
{
    if (!rescue->in_batch)
        return HD_OK;
    rescue->in_batch = 0;
    enum hd_err err = sto_journal_commit(rescue->to);
    if (!err)
        (void)sto_journal_checkpoint(rescue->to);
    return err;
}

/* What is not whole leaves a removal, as the journal does: what was before it is not what was
 * acknowledged last. */
static enum hd_err
take_row(struct rescue *rescue, unsigned table, struct sto_row row)
{
    enum hd_err err = rescue->in_batch ? HD_OK : sto_journal_begin(rescue->to);

    if (err)
        return err;
    row.boot = boot_here(rescue, row.boot);
    if (row.whole)
        rescue->rescued.rows++;
    else
        rescue->rescued.damaged++;
    if (!row.whole)
        row.record = hd_slice(NULL, 0);
    err = sto_journal_take(rescue->to, table, &row);
    if (err)
        sto_journal_rollback(rescue->to);
    else if (++rescue->in_batch == ROWS_PER_COMMIT)
        err = end_batch(rescue);
    return err;
}

/* A row that is not whole has the number that it should have, or one that is not to be trusted. */
static enum hd_err
take_pack(struct rescue *rescue, struct sto_pack *pack)
{
    enum hd_err err = HD_OK;
    struct sto_row row;

    while (!err && sto_pack_next(pack, &row)) {
        bool comes_next = rescue->expected == 0 || row.row == rescue->expected;
        if (!row.whole && !comes_next)
            continue;
        if (!comes_next)
            rescue->rescued.missing += row.row - rescue->expected;
        rescue->expected = sto_row_after(row.row);
        err = take_row(rescue, pack->table, row);
    }
    return err;
}

/* Takes packs upwards from *at until one cannot be read, or does not come behind the one before it;
 * *at is then where to go on.  ret_end: there are no more. */
static enum hd_err
take_run(struct rescue *rescue, sqlite3_stmt *s, unsigned table, uint64_t *at, bool *ret_end)
{
    enum hd_err err = HD_OK;
    int code = SQLITE_DONE;

    (void)sqlite3_bind_int64(s, 1, (int64_t)*at);
    while (!err && (code = sqlite3_step(s)) == SQLITE_ROW) {
        struct sto_pack pack = sto_pack_read(s, table);
        if (pack.row < *at)
            break;
        err = take_pack(rescue, &pack);
        if (rescue->expected <= *at)
            break; /* nothing in it has a number that is to be trusted */
        *at = rescue->expected;
    }
    *ret_end = code == SQLITE_DONE;
    (void)sqlite3_reset(s);
    return err;
}

/* Behind a place that cannot be read it goes on one by one, then in steps that grow. */
static enum hd_err
take_table(struct rescue *rescue, unsigned table)
{
    char sql[160];
    sqlite3_stmt *s = NULL;
    enum hd_err err = HD_OK;
    uint64_t at = 1, step = 1;
    unsigned in_vain = 0;
    bool end = false;

    (void)snprintf(sql, sizeof(sql),
                   "SELECT " STO_PACK_COLUMNS " FROM %s WHERE row>=?1 ORDER BY row",
                   sto_table_names[table]);
    if (sqlite3_prepare_v2(rescue->from, sql, -1, &s, NULL))
        return HD_ESYNTAX;
    rescue->expected = 0;
    while (!err && !end && at < (uint64_t)1 << 62) {
        const uint64_t begun = at;
        err = take_run(rescue, s, table, &at, &end);
        if (at > begun) {
            in_vain = 0;
            step = 1;
        } else if (!end) {
            step *= ++in_vain > SINGLE_STEPS ? 2 : 1;
            at += step;
        }
    }
    (void)sqlite3_finalize(s);
    return err;
}

/* --- the whole --------------------------------------------------------------------------- */

static enum hd_err
copy_all(struct rescue *rescue, const struct sto_journal_params *params, const char *path)
{
    struct sto_journal_params copy = *params;
    enum hd_err err;

    copy.path = path;
    copy.durable = false; /* it is on the disk when it is closed */
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600); /* not for others */
    if (fd >= 0)
        (void)close(fd);
    err = sto_journal_open(&copy, rescue->problem, &rescue->to);
    if (!err)
        err = copy_boots(rescue);
    if (!err)
        err = copy_start(rescue, params);
    for (unsigned i = 0; i < STO_TABLES && !err; i++)
        err = take_table(rescue, i);
    if (!err)
        err = end_batch(rescue);
    sto_journal_close(rescue->to);
    return err;
}

static enum hd_err
open_damaged(struct rescue *rescue, const struct sto_journal_params *params)
{
    if (sqlite3_open_v2(params->path, &rescue->from, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                        params->vfs) ||
        sqlite3_exec(rescue->from, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA writable_schema=ON", NULL,
                     NULL, NULL)) /* with that also a file is read that is shorter than it says */
        return HD_EIO;
    /* It stays as it was found, and so does its log. */
    (void)sqlite3_db_config(rescue->from, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return HD_OK;
}

enum hd_err
sto_rescue(const struct sto_journal_params *params, struct sto_rescued *ret_rescued,
           char ret_problem[256])
{
    struct rescue rescue = { .problem = ret_problem };
    struct names names;
    enum hd_err err;

    ret_problem[0] = '\0';
    names_make(params->path, &names);
    remove_copy(&names);
    err = open_damaged(&rescue, params);
    if (!err)
        err = copy_all(&rescue, params, names.copy);
    (void)sqlite3_close(rescue.from);
    free(rescue.boots);
    if (!err)
        err = sync_folder(params->path);
    if (!err)
        err = move(names.copy, names.whole);
    if (!err)
        err = sto_rescue_finish(params->path);
    if (err)
        remove_copy(&names);
    if (err && !ret_problem[0])
        (void)snprintf(ret_problem, 256,
                       "%.140s: its structure is damaged, and what is left of it cannot be copied",
                       params->path);
    if (!err)
        *ret_rescued = rescue.rescued;
    return err == HD_ESTORE ? HD_EIO : err;
}
