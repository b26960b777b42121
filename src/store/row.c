/* row.c - rows with check sums, one behind another.
 *
 * A row is a head of seven words, little-endian, and its record, filled up to a multiple of 8:
 *
 *     check   over the other six and the table, plus the number of the row
 *     sum     of the record's octets
 *     id, boot_ms, wall_ms
 *     place   the boot, and above its 48 bits the bucket
 *     n       octets of the record
 *
 * So a head says itself that it is one, and which row's: it is found again behind a damaged one,
 * and a row that stands where another should be is not whole. */
#include "store/row.h"

#include <assert.h>
#include <endian.h>

#include "base/hash.h"
#include "base/sum.h"

#define WORD 8u
#define BOOT_BITS 48

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
head_sum(const char *head, unsigned table)
{
    return hd_hash_mix(hd_sum(hd_slice(head + WORD, STO_ROW_HEAD - WORD)), table);
}

size_t
sto_row_size(size_t n)
{
    return (STO_ROW_HEAD + n + WORD - 1) & ~(size_t)(WORD - 1);
}

void
sto_row_write(char *to, unsigned table, const struct sto_row *row)
{
    size_t n = row->record.n, size = sto_row_size(n);

    put_word(to, SUM, hd_sum(row->record));
    put_word(to, ID, row->id);
    put_word(to, BOOT_MS, row->stamp.boot_ms);
    put_word(to, WALL_MS, row->stamp.wall_ms);
    put_word(to, PLACE, (uint64_t)row->bucket << BOOT_BITS | (uint64_t)row->boot);
    put_word(to, LENGTH, n);
    put_word(to, CHECK, head_sum(to, table) + row->row);
    if (n)
        memcpy(to + STO_ROW_HEAD, row->record.p, n);
    memset(to + STO_ROW_HEAD + n, 0, size - STO_ROW_HEAD - n);
}

void
sto_pack_begin(struct sto_pack *pack, unsigned table, uint64_t row, struct hd_slice octets)
{
    *pack = (struct sto_pack){ .table = table, .row = row, .rest = octets };
}

struct sto_pack
sto_pack_read(sqlite3_stmt *s, unsigned table)
{
    struct sto_pack pack;

    sto_pack_begin(&pack, table, (uint64_t)sqlite3_column_int64(s, 0),
                   hd_slice(sqlite3_column_blob(s, 1), (size_t)sqlite3_column_bytes(s, 1)));
    return pack;
}

/* Which row a head is of, if it is one. */
static uint64_t
head_row(const char *head, unsigned table)
{
    return word_at(head, CHECK) - head_sum(head, table);
}

static void
read_head(const char *head, struct sto_row *row)
{
    uint64_t place = word_at(head, PLACE);

    row->id = word_at(head, ID);
    row->stamp = (struct sto_stamp){ word_at(head, BOOT_MS), word_at(head, WALL_MS) };
    row->bucket = (unsigned)(place >> BOOT_BITS);
    row->boot = (int64_t)(place & ((UINT64_C(1) << BOOT_BITS) - 1));
}

/* How many octets there are to the next head, behind one that is damaged. *ret_row: that of the
 * head; without one the damaged row is the last. */
static size_t
next_head(const struct sto_pack *pack, uint64_t *ret_row)
{
    *ret_row = sto_row_after(pack->row);
    for (size_t at = WORD; at + STO_ROW_HEAD <= pack->rest.n; at += WORD) {
        uint64_t row = head_row(pack->rest.p + at, pack->table);
        /* Each of those before it had a head of its own; one number may not be given. */
        if (row > pack->row && row - pack->row <= at / STO_ROW_HEAD + 1) {
            *ret_row = row;
            return at;
        }
    }
    return pack->rest.n;
}

static void
take(struct sto_pack *pack, size_t n)
{
    pack->rest = hd_slice(pack->rest.p + n, pack->rest.n - n);
}

static void
read_damaged(struct sto_pack *pack, struct sto_row *row)
{
    uint64_t next;
    size_t n = next_head(pack, &next);

    row->record = hd_slice(pack->rest.p, n);
    take(pack, n);
    for (uint64_t i = sto_row_after(pack->row); i < next; i = sto_row_after(i))
        pack->unread++;
}

static void
read_row(struct sto_pack *pack, struct sto_row *row)
{
    const char *head = pack->rest.p;
    size_t n = pack->rest.n;

    if (n >= STO_ROW_HEAD)
        read_head(head, row);
    if (n < STO_ROW_HEAD || head_row(head, pack->table) != pack->row ||
        word_at(head, LENGTH) > n - STO_ROW_HEAD) {
        read_damaged(pack, row);
        return;
    }
    size_t length = word_at(head, LENGTH), size = sto_row_size(length);
    row->record = hd_slice(head + STO_ROW_HEAD, length);
    row->whole =
        (uint32_t)row->row != 0 && (pack->checked || word_at(head, SUM) == hd_sum(row->record));
    take(pack, size < n ? size : n);
}

bool
sto_pack_next(struct sto_pack *pack, struct sto_row *ret_row)
{
    if (pack->rest.n == 0 && pack->unread == 0)
        return false;
    *ret_row = (struct sto_row){ .row = pack->row };
    if (pack->unread > 0)
        pack->unread--;
    else
        read_row(pack, ret_row);
    pack->row = sto_row_after(pack->row);
    return true;
}
