/* row.c - rows with a check sum. */
#include "store/row.h"

#include "base/hash.h"

const char *const sto_table_names[STO_TABLES] = { "subscription", "publication", "registration",
                                                  "seen",         "waiting",     "condition" };

int64_t
sto_row_sum(unsigned table, const struct sto_row *row)
{
    static const struct hd_hash_key key = { 0x6865726c64206a6fu, 0x75726e616c207631u };
    uint64_t sum = hd_hash(&key, row->record);

    sum = hd_hash_mix(sum, row->row);
    sum = hd_hash_mix(sum, row->id);
    sum = hd_hash_mix(sum, (uint64_t)row->bucket << 8 | table);
    sum = hd_hash_mix(sum, (uint64_t)row->boot ^ row->stamp.boot_ms << 16);
    return (int64_t)hd_hash_mix(sum, row->stamp.wall_ms);
}

struct sto_row
sto_row_read_unchecked(sqlite3_stmt *s)
{
    struct sto_row row = { .row = (uint64_t)sqlite3_column_int64(s, 0),
                           .id = (uint64_t)sqlite3_column_int64(s, 1),
                           .bucket = (unsigned)sqlite3_column_int(s, 2),
                           .boot = sqlite3_column_int64(s, 3),
                           .stamp = { (uint64_t)sqlite3_column_int64(s, 4),
                                      (uint64_t)sqlite3_column_int64(s, 5) } };

    row.record = hd_slice(sqlite3_column_blob(s, 7), (size_t)sqlite3_column_bytes(s, 7));
    return row;
}

struct sto_row
sto_row_read(sqlite3_stmt *s, unsigned table)
{
    struct sto_row row = sto_row_read_unchecked(s);

    row.whole = (uint32_t)row.row != 0 && sqlite3_column_int64(s, 6) == sto_row_sum(table, &row);
    return row;
}
