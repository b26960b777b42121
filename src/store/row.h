/* row.h - rows of the live file: what one says, whether it is whole, and how they are packed.
 *
 * What a commit adds to a table is written as few packs: a row of SQLite each, filling a page. A
 * pack is called by the number of its first row; the others follow without gaps. Shared by what
 * writes rows (journal.c) and what saves them from a damaged file (rescue.c).
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

/** Octets of a row beside its record. */
#define STO_ROW_HEAD 56u
/** Octets of a pack, which so fills a page of 8 KiB; one row alone may be longer. */
#define STO_PACK_MOST 8128u

struct sto_row {
    uint64_t row, id;
    unsigned bucket;
    int64_t boot; /* number of the boot in the file that it was written in */
    struct sto_stamp stamp;
    struct hd_slice record; /* empty: a removal */
    bool whole;             /* the check sums are right */
};

/** The number behind another; those whose lower half is 0 are not given. */
static inline uint64_t
sto_row_after(uint64_t row)
{
    return row + 1 + ((uint32_t)(row + 1) == 0);
}

/** Octets of a row with a record of n, a multiple of 8. */
size_t sto_row_size(size_t n);
/** Writes a row; to has room for sto_row_size. */
void sto_row_write(char *to, unsigned table, const struct sto_row *row);

/* Reads the rows of a pack. */
struct sto_pack {
    unsigned table;
    uint64_t row; /* number of the next one */
    struct hd_slice rest;
    uint64_t unread; /* rows without a place, before rest goes on */
    bool checked;    /* it is known that what the records say is as it was written */
};
/** Begins with what a statement that selects STO_PACK_COLUMNS has found; it is borrowed until the
 * next step. */
#define STO_PACK_COLUMNS "row,body"
struct sto_pack sto_pack_read(sqlite3_stmt *statement, unsigned table);
/** octets are borrowed for as long as the pack is read. */
void sto_pack_begin(struct sto_pack *pack, unsigned table, uint64_t row, struct hd_slice octets);
/**
 * The next row; false: there is none.  One that is not whole costs no other: where its length is
 * not to be trusted the next is found by its check sum.  Its id is then what it says, 0 when not
 * even that can be told, and its record the octets that were there.
 */
bool sto_pack_next(struct sto_pack *pack, struct sto_row *ret_row);

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
