/* outbox.c - a table of records by group and number, and the thread that writes it.
 *
 * Jobs that gather while a commit runs share the next one.  A commit that fails takes back all of
 * its jobs: each is told, and goes on as if there were no file; the next ones try again. */
#include "store/outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#include "store/copy.h"
#include "store/inbox.h"

#define OUTBOX_MAGIC 0x534f5554u
#define VERSION 1
#define BATCH_MOST 256u /* jobs of one commit */

enum mail_kind { MAIL_JOB = 1, MAIL_COPY, MAIL_STOP };

struct sto_outbox {
    unsigned magic;
    sqlite3 *db;
    sqlite3_stmt *put, *remove, *forget, *all, *begin, *commit, *rollback;
    struct sto_inbox inbox;
    struct hd_mail stop;
    pthread_t thread;
    bool runs, stops;
    struct sto_outbox_copy *copying; /* NULL: none */
    struct sto_copy copy;
};

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS outbox(name TEXT NOT NULL, n INTEGER NOT NULL,"
    " record BLOB NOT NULL, PRIMARY KEY(name, n)) WITHOUT ROWID;"
    "PRAGMA user_version = 1;";

/* --- opening ---------------------------------------------------------------------------------- */

static enum hd_err
prepare(struct sto_outbox *outbox)
{
    const struct {
        sqlite3_stmt **statement;
        const char *text;
    } all[] = {
        { &outbox->put, "INSERT OR REPLACE INTO outbox(name, n, record) VALUES(?1, ?2, ?3)" },
        { &outbox->remove, "DELETE FROM outbox WHERE name = ?1 AND n = ?2" },
        { &outbox->forget, "DELETE FROM outbox WHERE name = ?1" },
        { &outbox->all, "SELECT name, n, record FROM outbox ORDER BY name, n" },
        { &outbox->begin, "BEGIN" },
        { &outbox->commit, "COMMIT" },
        { &outbox->rollback, "ROLLBACK" },
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (sqlite3_prepare_v2(outbox->db, all[i].text, -1, all[i].statement, NULL) != SQLITE_OK)
            return HD_EIO;
    return HD_OK;
}

static int
read_version(void *context, int n, char **values, char **names)
{
    (void)names;
    if (n == 1 && values[0])
        *(int *)context = (int)strtol(values[0], NULL, 10);
    return 0;
}

/* SQLite would make the file readable for others. */
static bool
make_file(const struct sto_outbox_params *params)
{
    int fd = params->vfs ? -1 : open(params->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd >= 0)
        (void)close(fd);
    return params->vfs || fd >= 0;
}

static bool
run(sqlite3 *db, const char *text)
{
    return sqlite3_exec(db, text, NULL, NULL, NULL) == SQLITE_OK;
}

/* HD_EIO: SQLite knows why. */
static enum hd_err
open_file(struct sto_outbox *outbox, const struct sto_outbox_params *params)
{
    int version = 0;

    if (sqlite3_open_v2(params->path, &outbox->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                        params->vfs) != SQLITE_OK ||
        !run(outbox->db, "PRAGMA locking_mode = EXCLUSIVE") ||
        !run(outbox->db, "PRAGMA journal_mode = WAL") ||
        !run(outbox->db,
             params->durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL") ||
        sqlite3_exec(outbox->db, "PRAGMA user_version", read_version, &version, NULL) != SQLITE_OK)
        return HD_EIO;
    if (version > VERSION)
        return HD_EVERSION;
    return run(outbox->db, schema) ? prepare(outbox) : HD_EIO;
}

enum hd_err
sto_outbox_open(const struct sto_outbox_params *params, char ret_problem[256],
                struct sto_outbox **ret_outbox)
{
    struct sto_outbox *outbox = aligned_alloc(64, sizeof(*outbox));
    enum hd_err err = HD_EIO;

    if (!outbox)
        return HD_ENOMEM;
    memset(outbox, 0, sizeof(*outbox));
    outbox->magic = OUTBOX_MAGIC;
    if (sto_inbox_init(&outbox->inbox) || !make_file(params))
        (void)snprintf(ret_problem, 256, "%.160s: %.80s", params->path, strerror(errno));
    else if ((err = open_file(outbox, params)))
        (void)snprintf(ret_problem, 256, "%.160s: %.80s", params->path,
                       err == HD_EVERSION ? "written by a newer herald"
                                          : sqlite3_errmsg(outbox->db));
    if (err) {
        sto_outbox_close(outbox);
        return err;
    }
    *ret_outbox = outbox;
    return HD_OK;
}

void
sto_outbox_close(struct sto_outbox *outbox)
{
    if (!outbox)
        return;
    HD_ASSERT_OBJ(outbox, OUTBOX_MAGIC);
    sto_outbox_stop(outbox);
    sqlite3_stmt *all[] = { outbox->put,   outbox->remove, outbox->forget,  outbox->all,
                            outbox->begin, outbox->commit, outbox->rollback };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        (void)sqlite3_finalize(all[i]);
    (void)sqlite3_close(outbox->db);
    sto_inbox_done(&outbox->inbox);
    outbox->magic = 0;
    free(outbox);
}

enum hd_err
sto_outbox_load(struct sto_outbox *outbox,
                void (*visit)(void *context, const char *group, uint64_t number,
                              struct hd_slice record),
                void *context, char ret_problem[256])
{
    int step;

    HD_ASSERT_OBJ(outbox, OUTBOX_MAGIC);
    while ((step = sqlite3_step(outbox->all)) == SQLITE_ROW) {
        const void *group = sqlite3_column_text(outbox->all, 0);
        const void *record = sqlite3_column_blob(outbox->all, 2);
        const int n = sqlite3_column_bytes(outbox->all, 2);
        if (group)
            visit(context, group, (uint64_t)sqlite3_column_int64(outbox->all, 1),
                  hd_slice(record, record ? (size_t)n : 0));
    }
    if (step != SQLITE_DONE)
        (void)snprintf(ret_problem, 256, "%.160s: %.80s", sqlite3_db_filename(outbox->db, "main"),
                       sqlite3_errmsg(outbox->db));
    (void)sqlite3_reset(outbox->all);
    return step == SQLITE_DONE ? HD_OK : HD_EIO;
}

/* --- writing ---------------------------------------------------------------------------------- */

static bool
step(sqlite3_stmt *statement)
{
    int result = sqlite3_step(statement);

    (void)sqlite3_reset(statement);
    return result == SQLITE_DONE;
}

static bool
write_row(struct sto_outbox *outbox, const struct sto_outbox_row *row)
{
    sqlite3_stmt *statement = row->record.p ? outbox->put : outbox->remove;

    return sqlite3_bind_text(statement, 1, row->group, -1, SQLITE_STATIC) == SQLITE_OK &&
           sqlite3_bind_int64(statement, 2, (sqlite3_int64)row->number) == SQLITE_OK &&
           (!row->record.p || sqlite3_bind_blob64(statement, 3, row->record.p, row->record.n,
                                                  SQLITE_STATIC) == SQLITE_OK) &&
           step(statement);
}

static bool
write_job(struct sto_outbox *outbox, const struct sto_outbox_job *job)
{
    if (job->forgets)
        return sqlite3_bind_text(outbox->forget, 1, job->rows[0].group, -1, SQLITE_STATIC) ==
                   SQLITE_OK &&
               step(outbox->forget);
    for (unsigned i = 0; i < job->n; i++)
        if (!write_row(outbox, &job->rows[i]))
            return false;
    return true;
}

/* All of them, or none. */
static enum hd_err
write_jobs(struct sto_outbox *outbox, struct sto_outbox_job *const *jobs, unsigned n)
{
    bool good = step(outbox->begin);

    for (unsigned i = 0; i < n && good; i++)
        good = write_job(outbox, jobs[i]);
    if (good && step(outbox->commit))
        return HD_OK;
    (void)step(outbox->rollback);
    return HD_ESTORE;
}

/* --- the copy --------------------------------------------------------------------------------- */

static void
copy_answer(struct sto_outbox_copy *copying, enum hd_err err)
{
    copying->err = err;
    copying->done(copying);
}

static void
copy_take(struct sto_outbox *outbox, struct sto_outbox_copy *copying)
{
    if (outbox->copying || outbox->stops)
        copy_answer(copying, HD_EBUSY);
    else
        outbox->copying = copying;
}

/* Some pages; false: there is nothing to copy any more. */
static bool
copy_some(struct sto_outbox *outbox)
{
    struct sto_outbox_copy *copying = outbox->copying;
    bool done = false;
    enum hd_err err;

    if (!copying)
        return false;
    err = sto_copy_step(&outbox->copy, outbox->db, copying->path, &done);
    if (!err && !done)
        return true;
    outbox->copying = NULL;
    copy_answer(copying, err);
    return false;
}

static void
copy_break_off(struct sto_outbox *outbox)
{
    struct sto_outbox_copy *copying = outbox->copying;

    if (!copying)
        return;
    outbox->copying = NULL;
    if (outbox->copy.to) {
        sto_copy_end(&outbox->copy);
        (void)unlink(copying->path);
    }
    copy_answer(copying, HD_EBUSY);
}

/* --- the thread ------------------------------------------------------------------------------- */

/* What is there, a commit's worth; how many. */
static unsigned
take_jobs(struct sto_outbox *outbox, struct sto_outbox_job *jobs[BATCH_MOST])
{
    struct hd_mail *mail;
    unsigned n = 0;

    while (n < BATCH_MOST && (mail = hd_mailbox_take(&outbox->inbox.box))) {
        if (mail->kind == MAIL_STOP)
            outbox->stops = true;
        else if (mail->kind == MAIL_COPY)
            copy_take(outbox, HD_CONTAINER(mail, struct sto_outbox_copy, mail));
        else
            jobs[n++] = HD_CONTAINER(mail, struct sto_outbox_job, mail);
    }
    return n;
}

/* False: there was nothing to do. */
static bool
work(struct sto_outbox *outbox)
{
    struct sto_outbox_job *jobs[BATCH_MOST];
    const unsigned n = take_jobs(outbox, jobs);
    const enum hd_err err = n ? write_jobs(outbox, jobs, n) : HD_OK;

    for (unsigned i = 0; i < n; i++) {
        jobs[i]->err = err;
        jobs[i]->done(jobs[i]);
    }
    return n > 0;
}

static void *
outbox_run(void *context)
{
    struct sto_outbox *outbox = context;

    (void)pthread_setname_np(pthread_self(), "outbox");
    for (;;) {
        const bool worked = work(outbox);
        if (outbox->stops && !worked)
            return NULL;
        /* After each commit, too: however much is posted, a copy comes to its end. */
        if (!outbox->stops && !copy_some(outbox) && !worked)
            sto_inbox_sleep(&outbox->inbox, -1);
    }
}

enum hd_err
sto_outbox_start(struct sto_outbox *outbox)
{
    HD_ASSERT_OBJ(outbox, OUTBOX_MAGIC);
    outbox->runs = pthread_create(&outbox->thread, NULL, outbox_run, outbox) == 0;
    return outbox->runs ? HD_OK : HD_EIO;
}

void
sto_outbox_post(struct sto_outbox *outbox, struct sto_outbox_job *job)
{
    HD_ASSERT_OBJ(outbox, OUTBOX_MAGIC);
    job->mail.kind = MAIL_JOB;
    hd_mailbox_post(&outbox->inbox.box, &job->mail);
}

void
sto_outbox_copy(struct sto_outbox *outbox, struct sto_outbox_copy *copy)
{
    HD_ASSERT_OBJ(outbox, OUTBOX_MAGIC);
    copy->mail.kind = MAIL_COPY;
    hd_mailbox_post(&outbox->inbox.box, &copy->mail);
}

void
sto_outbox_stop(struct sto_outbox *outbox)
{
    if (!outbox)
        return;
    HD_ASSERT_OBJ(outbox, OUTBOX_MAGIC);
    if (outbox->runs) {
        outbox->stop.kind = MAIL_STOP;
        hd_mailbox_post(&outbox->inbox.box, &outbox->stop);
        (void)pthread_join(outbox->thread, NULL);
        outbox->runs = false;
    }
    while (outbox->db && work(outbox)) /* what was posted and never started */
        ;
    copy_break_off(outbox);
}
