/* copy.c - see copy.h.
 *
 * What is changed meanwhile over the same connection goes into the copy as well (SQLite sees to
 * it), so that a copy ends however much is written. */
#include "store/copy.h"

#include <unistd.h>

#define STEP_PAGES 32

void
sto_copy_end(struct sto_copy *copy)
{
    (void)sqlite3_backup_finish(copy->backup);
    (void)sqlite3_close(copy->to);
    *copy = (struct sto_copy){ .to = NULL };
}

static bool
begin(struct sto_copy *copy, sqlite3 *db, const char *path)
{
    if (access(path, F_OK) == 0)
        return false;
    if (sqlite3_open(path, &copy->to) == SQLITE_OK)
        copy->backup = sqlite3_backup_init(copy->to, "main", db, "main");
    if (copy->backup)
        return true;
    sto_copy_end(copy);
    (void)unlink(path); /* SQLite may have made it */
    return false;
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
    sto_copy_end(copy);
    if (code == SQLITE_DONE)
        return HD_OK;
    (void)unlink(path);
    return HD_EIO;
}
