/* copy.c - see copy.h.
 *
 * What is changed meanwhile over the same connection goes into the copy as well (SQLite sees to
 * it), so that a copy ends however much is written. */
#include "store/copy.h"

#include <fcntl.h>
#include <unistd.h>

#define STEP_PAGES 32

void
sto_copy_end(struct sto_copy *copy)
{
    (void)sqlite3_backup_finish(copy->backup);
    (void)sqlite3_close(copy->to);
    *copy = (struct sto_copy){ .to = NULL };
}

/* For its owner alone from its first octet on. */
static bool
make_file(const char *path)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return false;
    (void)close(fd);
    return true;
}

static bool
begin(struct sto_copy *copy, sqlite3 *db, const char *path)
{
    if (!make_file(path))
        return false;
    if (sqlite3_open_v2(path, &copy->to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) ==
        SQLITE_OK)
        copy->backup = sqlite3_backup_init(copy->to, "main", db, "main");
    if (copy->backup)
        return true;
    sto_copy_end(copy);
    (void)unlink(path);
    return false;
}

/* code: of its last step. */
static enum hd_err
finish(struct sto_copy *copy, const char *path, int code)
{
    sto_copy_end(copy);
    if (code == SQLITE_DONE)
        return HD_OK;
    (void)unlink(path);
    return HD_EIO;
}

enum hd_err
sto_copy_step(struct sto_copy *copy, sqlite3 *db, const char *path, bool *ret_done)
{
    int code;

    if (!copy->backup && !begin(copy, db, path))
        return HD_EIO;
    code = sqlite3_backup_step(copy->backup, STEP_PAGES);
    *ret_done = code == SQLITE_DONE;
    if (code == SQLITE_OK || code == SQLITE_BUSY)
        return HD_OK;
    return finish(copy, path, code);
}

enum hd_err
sto_copy_whole(sqlite3 *db, const char *path)
{
    struct sto_copy copy = { .to = NULL };

    if (!begin(&copy, db, path))
        return HD_EIO;
    return finish(&copy, path, sqlite3_backup_step(copy.backup, -1));
}
