/* row.c - rows with check sums, one behind another.
 *
 * A row is a head of seven words, little-endian, and its record, filled up to a multiple of 8:
 *
 *     check   over the other six and the salt of the file, plus the number of the row
 *     sum     of the record's octets
 *     id, boot_ms, wall_ms
 *     place   from its top: 4 bits for the table, 12 for the bucket, 48 for the boot
 *     n       octets of the record
 *
 * So a head says itself that it is one, and which row's: it is found again behind a damaged one,
 * and what an older pass over the same place has left is not taken for it.  The salt is by chance:
 * who sends a document that looks like rows does not know it. */
#include "store/row.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#include "base/hash.h"
#include "base/sum.h"

#define WORD 8u
#define BUCKET_BITS 12

const char *const sto_table_names[STO_TABLES] = { "subscription", "publication", "registration",
                                                  "seen",         "waiting",     "condition" };

enum word { CHECK = 0, SUM, ID, BOOT_MS, WALL_MS, PLACE, LENGTH, WORDS };
static_assert(WORDS * WORD == STO_ROW_HEAD, "a head is its words");

static uint64_t
word_at(const char *head, enum word word)
{
    uint64_t value;

    memcpy(&value, head + word * WORD, WORD);
    return le64toh(value);
}

static void
put_word(char *head, enum word word, uint64_t value)
{
    value = htole64(value);
    memcpy(head + word * WORD, &value, WORD);
}

static uint64_t
head_sum(const char *head, uint64_t salt)
{
    return hd_hash_mix(hd_sum(hd_slice(head + WORD, STO_ROW_HEAD - WORD)), salt);
}

uint64_t
sto_row_boot(const uint8_t id[STO_BOOT_ID])
{
    return hd_sum(hd_slice((const char *)id, STO_BOOT_ID)) >> (64 - STO_BOOT_BITS);
}

uint64_t
sto_row_size(uint64_t n)
{
    return (STO_ROW_HEAD + n + STO_UNIT - 1) & ~(uint64_t)(STO_UNIT - 1);
}

/* sum: of the record. */
static uint64_t
write_head(char *to, uint64_t salt, const struct sto_row *row, uint64_t sum)
{
    put_word(to, SUM, sum);
    put_word(to, ID, row->id);
    put_word(to, BOOT_MS, row->stamp.boot_ms);
    put_word(to, WALL_MS, row->stamp.wall_ms);
    put_word(to, PLACE,
             (uint64_t)row->table << (STO_BOOT_BITS + BUCKET_BITS) |
                 (uint64_t)row->bucket << STO_BOOT_BITS | row->boot);
    put_word(to, LENGTH, row->n);
    put_word(to, CHECK, head_sum(to, salt) + row->number);
    return word_at(to, CHECK);
}

uint64_t
sto_row_write_head(char *to, uint64_t salt, const struct sto_row *row)
{
    return write_head(to, salt, row, 0);
}

uint64_t
sto_row_write(char *to, uint64_t salt, const struct sto_row *row, const char *record)
{
    uint64_t size = sto_row_size(row->n);

    if (row->n)
        memcpy(to + STO_ROW_HEAD, record, row->n);
    memset(to + STO_ROW_HEAD + row->n, 0, size - STO_ROW_HEAD - row->n);
    return write_head(to, salt, row, hd_sum(hd_slice(record, row->n)));
}

uint64_t
sto_row_number(const char *head, uint64_t salt)
{
    return word_at(head, CHECK) - head_sum(head, salt);
}

uint64_t
sto_row_check(const char *head)
{
    return word_at(head, CHECK);
}

bool
sto_row_read(const char *head, uint64_t salt, uint64_t number, struct sto_row *ret_row)
{
    uint64_t place = word_at(head, PLACE);

    if (sto_row_number(head, salt) != number)
        return false;
    *ret_row = (struct sto_row){
        .number = number,
        .id = word_at(head, ID),
        .table = (unsigned)(place >> (STO_BOOT_BITS + BUCKET_BITS)),
        .bucket = (unsigned)(place >> STO_BOOT_BITS) & ((1u << BUCKET_BITS) - 1),
        .boot = place & ((UINT64_C(1) << STO_BOOT_BITS) - 1),
        .stamp = { word_at(head, BOOT_MS), word_at(head, WALL_MS) },
        .n = word_at(head, LENGTH),
    };
    return true;
}

bool
sto_row_whole(const char *head, const struct sto_row *row)
{
    return word_at(head, SUM) == hd_sum(hd_slice(head + STO_ROW_HEAD, row->n));
}

uint64_t
sto_row_move(char *head, uint64_t from, uint64_t to)
{
    put_word(head, CHECK, word_at(head, CHECK) - from + to);
    return word_at(head, CHECK);
}
