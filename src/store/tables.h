/* tables.h - herald.db: what is administered (users, lists, rules), one row for each entry, in
 * ordinary tables of a SQLite database.
 *
 * A row is a key and a text, with a check sum over both.  Changes gather in a transaction: after
 * the commit all of them are on the disk, after a crash at any moment all of them or none.  The
 * file is held by the one who opened it alone.  Thread: one at a time. */
#ifndef HD_STORE_TABLES_H
#define HD_STORE_TABLES_H

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

#define STO_TABLES_MAX 16u
#define STO_PROBLEM 160 /* octets of a problem line without the name of the file */

struct sto_tables;

/* One table; both are words of SQL. */
struct sto_table {
    const char *name;
    const char *key; /* its key and type: "name TEXT", "id INTEGER" */
};

struct sto_tables_params {
    const char *path; /* of a file that is there, of no octets for sto_tables_make */
    const char *vfs;  /* of SQLite; NULL: the system's */
    const struct sto_table *tables;
    unsigned n; /* at most STO_TABLES_MAX */
    uint32_t application;
    uint32_t version; /* of what is in it */
};

struct sto_row_place {
    unsigned table; /* of the params */
    int64_t number; /* rowid */
};

/**
 * Makes the tables in an empty file, and is for filling it: nothing is forced to the disk.  The
 * caller commits, closes, forces the file and gives it its name.
 * @param ret_problem  on any error what is wrong, without the file's name and without a word of
 * its content
 * @return HD_OK; HD_ESTORE; HD_ENOMEM
 */
HD_NODISCARD enum hd_err sto_tables_make(const struct sto_tables_params *params,
                                         char ret_problem[STO_PROBLEM],
                                         struct sto_tables **ret_tables);
/** Opens a file that was made before and looks whether it is whole.  HD_ESYNTAX it is damaged;
 * HD_EVERSION a newer herald wrote it; HD_ESTORE; HD_ENOMEM. */
HD_NODISCARD enum hd_err sto_tables_open(const struct sto_tables_params *params,
                                         char ret_problem[STO_PROBLEM],
                                         struct sto_tables **ret_tables);
/** Accepts NULL.  What was not committed is gone. */
void sto_tables_close(struct sto_tables *tables);

/** Key and text are borrowed for the visit, in which nothing of the tables may be called. */
typedef enum hd_err (*sto_tables_visit_f)(void *context, const struct sto_row_place *place,
                                          struct hd_slice key, struct hd_slice text);
/**
 * Visits every row, table by table, by number, until visit returns an error.
 * @param ret_problem  when it was not visit's error
 * @return HD_OK; what visit returned; HD_ESYNTAX a row is damaged; HD_ESTORE
 */
HD_NODISCARD enum hd_err sto_tables_read(struct sto_tables *tables, sto_tables_visit_f visit,
                                         void *context, char ret_problem[STO_PROBLEM]);

/** Adds a row, or puts it in the place of the one with its key.  HD_ESTORE. */
HD_NODISCARD enum hd_err sto_tables_put(struct sto_tables *tables, unsigned table,
                                        struct hd_slice key, struct hd_slice text);
/** Removes the row with a key, if there is one.  HD_ESTORE. */
HD_NODISCARD enum hd_err sto_tables_remove(struct sto_tables *tables, unsigned table,
                                           struct hd_slice key);
/** Removes all rows of all tables.  HD_ESTORE. */
HD_NODISCARD enum hd_err sto_tables_clear(struct sto_tables *tables);
/**
 * Makes what was put and removed last.
 * @return HD_OK: it is on the disk.  HD_ESTORE: whether it is shows at the next start, unless all
 * is written anew before
 */
HD_NODISCARD enum hd_err sto_tables_commit(struct sto_tables *tables);
/** Forgets what was put and removed since the last commit. */
void sto_tables_rollback(struct sto_tables *tables);
/** Why the last call failed, in SQLite's words; borrowed until the next one. */
const char *sto_tables_why(const struct sto_tables *tables);

/** Copies the whole file to a path, where none is.  HD_EIO. */
HD_NODISCARD enum hd_err sto_tables_copy(struct sto_tables *tables, const char *path);

#endif
