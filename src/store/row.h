/* row.h - rows of the live file: what one says, and whether it is whole.
 *
 * The file is a stream of rows, each at a multiple of 8 octets; its place there, divided by 8, is
 * its number.  A row of an id holds its newest record or removes it; a mark ends a commit; a void
 * is to be skipped.  Thread: any; nothing is kept. */
#ifndef HD_STORE_ROW_H
#define HD_STORE_ROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "store/journal.h"

/* The kinds of records, by these names in the log of the daemon; and what else a row may be. */
#define STO_TABLES 6u
#define STO_VOID 14u
#define STO_MARK 15u
#define STO_SYNCED 1u /* bucket of a mark: all before its commit was on the disk */
extern const char *const sto_table_names[STO_TABLES];

/** Octets of a row beside its record. */
#define STO_ROW_HEAD 56u
/** Octets that the number of a row counts. */
#define STO_UNIT 8u
/** Bits that the boot has in a row. */
#define STO_BOOT_BITS 48

struct sto_row {
    uint64_t number;
    uint64_t id; /* STO_MARK: the number of the start */
    unsigned table;
    unsigned bucket;
    uint64_t boot;          /* that it was written in, as sto_row_boot says */
    struct sto_stamp stamp; /* STO_MARK: the number of the first row of the commit, and a sum over
                               the checks of its rows */
    uint64_t n;             /* octets of the record; 0: a removal */
};

/** The boot as rows name it. */
uint64_t sto_row_boot(const uint8_t id[STO_BOOT_ID]);
/** Octets of a row with a record of n, a multiple of STO_UNIT. */
uint64_t sto_row_size(uint64_t n);
/** Writes a row with its record of row->n octets; to has room for sto_row_size.  salt is that of
 * the file.  @return its check, for the sum of a mark */
uint64_t sto_row_write(char *to, uint64_t salt, const struct sto_row *row, const char *record);
/** Writes the head alone, of a void or of a mark.  @return its check */
uint64_t sto_row_write_head(char *to, uint64_t salt, const struct sto_row *row);
/**
 * Reads the head of STO_ROW_HEAD octets at a place.
 * @param number  of that place
 * @return false: no row begins there, or not one of this number
 */
bool sto_row_read(const char *head, uint64_t salt, uint64_t number, struct sto_row *ret_row);
/** The number of the row whose head this is, when it is one; else anything. */
uint64_t sto_row_number(const char *head, uint64_t salt);
/** The check of a head. */
uint64_t sto_row_check(const char *head);
/** Whether the record behind a head that was read is as it was written. */
bool sto_row_whole(const char *head, const struct sto_row *row);
/** Gives a row that is copied another number.  @return its check */
uint64_t sto_row_move(char *head, uint64_t from, uint64_t to);

#endif
