/* copy.h - a copy of a SQLite database in use, made over the connection that changes it, in steps
 * between its transactions, or at once where nobody waits for the thread.  It is for its owner
 * alone to read.
 * Thread: the one that the connection belongs to. */
#ifndef HD_STORE_COPY_H
#define HD_STORE_COPY_H

#include <stdbool.h>

#include <sqlite3.h>

#include "base/err.h"

/* One that is under way; zeroed: none. */
struct sto_copy {
    sqlite3 *to;
    sqlite3_backup *backup;
};

/**
 * Begins a copy, or goes on with it; no transaction is open on db.  One that fails is removed.
 * @param path      the same in each step; it must not exist before the first
 * @param ret_done  false: call again
 * @return HD_OK, HD_EIO
 */
HD_NODISCARD enum hd_err sto_copy_step(struct sto_copy *copy, sqlite3 *db, const char *path,
                                       bool *ret_done);
/** The same in one step. */
HD_NODISCARD enum hd_err sto_copy_whole(sqlite3 *db, const char *path);
/** Breaks it off, which leaves a file that is no use; none may be under way. */
void sto_copy_end(struct sto_copy *copy);

#endif
