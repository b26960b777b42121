/* row.h - one row of the live file: what it says, and whether it is whole.
 *
 * Shared by what writes rows (journal.c) and what saves them from a damaged file (rescue.c).
 * Thread: any; nothing is kept. */
#ifndef HD_STORE_ROW_H
#define HD_STORE_ROW_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "store/journal.h"

#define STO_TABLES 6u
/** The tables, one per lifetime. */
extern const char *const sto_table_names[STO_TABLES];

/** In the order in which sto_row_read wants them. */
#define STO_ROW_COLUMNS "row,id,bucket,boot,boot_ms,wall_ms,sum,body"

struct sto_row {
    uint64_t row, id;
    unsigned bucket;
    int64_t boot; /* number of the boot in the file that it was written in */
    struct sto_stamp stamp;
    struct hd_slice record; /* empty: a removal */
    bool whole;             /* the check sum is right */
};

/** A row of a statement that selects STO_ROW_COLUMNS; its record is borrowed until the next step.
 * Unchecked leaves whole false and computes no sum. */
struct sto_row sto_row_read(sqlite3_stmt *statement, unsigned table);
struct sto_row sto_row_read_unchecked(sqlite3_stmt *statement);
/** The check sum over everything that a row says; against decay, not against people. */
int64_t sto_row_sum(unsigned table, const struct sto_row *row);

/* --- of a journal, for rescue.c -------------------------------------------------------------- */

/** Adds a row as it was, with the time and boot of its writing, to the batch under way; only its
 * number is new. HD_ESTORE, HD_ENOMEM: roll back. */
HD_NODISCARD enum hd_err sto_journal_take(struct sto_journal *journal, unsigned table,
                                          const struct sto_row *row);
/** The number that a boot has in this file, given when it has none.  Between batches.  HD_ESTORE.
 */
HD_NODISCARD enum hd_err sto_journal_boot(struct sto_journal *journal,
                                          const uint8_t id[STO_BOOT_ID], int64_t *ret_number);
/** Says which start the last one was, in a file that is not the first of its records.  HD_ESTORE.
 */
HD_NODISCARD enum hd_err sto_journal_set_start(struct sto_journal *journal, uint32_t start);

#endif
