/* fuzz_sto_log.c - a live file that somebody has edited: whatever it holds, a start ends, finds
 * nothing that was never written, and tells what it told no second time.
 *
 * The input is edits of eight octets each (what, how many, where, two of what) of a small file of
 * three segments.  Some are sealed: the check sums are made right again, as no damage does it, so
 * that what is behind them is reached; what is found then is only read. */
#define SLACK 4096u
#define SEGMENT UINT64_C(8192)

#include "store/journal.c"
#include "store/segments.c"

#include "fuzz.h"
#include "store/fault_vfs.h"

#define IDS 64u
#define EDITS_MOST 24u
#define PATH "live-0.log"

enum edit_kind { EDIT_WRITE = 0, EDIT_ZERO, EDIT_COPY, EDIT_CUT, EDIT_ROW, EDIT_HEADER, EDITS };

struct found {
    uint32_t sum[IDS]; /* 0: not there */
    unsigned damaged;
    bool sealed; /* anything may be found */
};

static struct sto_journal *
open_journal(const char *vfs)
{
    struct sto_journal_params params = {
        .path = PATH, .boot_id = "boot", .now = { 1000, 1000 }, .durable = true, .vfs = vfs
    };
    struct sto_journal *journal = NULL;
    char problem[256];
    enum hd_err err = sto_journal_open(&params, problem, &journal);

    FUZZ_CHECK(!err == (journal != NULL) && (!err || problem[0]));
    return journal;
}

static size_t
octets_of(uint64_t id, uint32_t version, char octets[512])
{
    size_t n = (size_t)snprintf(octets, 512, "%llu/%u ", (unsigned long long)id, version);
    size_t more = version * 37 % 400;

    memset(octets + n, version % 5 ? 'a' : 0, more);
    return n + more;
}

static void
keep_batch(struct sto_journal *journal, uint32_t version)
{
    char octets[512];

    sto_journal_begin(journal);
    for (uint32_t i = 0; i < 3; i++) {
        uint64_t id = (version * 7 + i * 5) % IDS;
        size_t n = (version + i) % 6 ? octets_of(id, version, octets) : 0;
        FUZZ_CHECK(sto_journal_append(journal, EVT_RECORD_PUBLICATION, 7, id, hd_slice(octets, n),
                                      (struct sto_stamp){ 1000, 1000 }) == HD_OK);
    }
    (void)!sto_journal_commit(journal);
}

static enum hd_err
note(void *context, enum evt_record_kind kind, unsigned bucket, uint64_t id, struct hd_slice record,
     uint64_t age_ms)
{
    struct found *found = context;
    char octets[512], text[32] = { 0 };
    unsigned long long its_id = 0;
    uint32_t version = 0;

    (void)bucket;
    (void)age_ms;
    found->sum[id % IDS] = (uint32_t)hd_sum(record) | 1;
    if (found->sealed)
        return HD_OK;
    FUZZ_CHECK(kind == EVT_RECORD_PUBLICATION && id < IDS);
    memcpy(text, record.p, record.n < sizeof(text) - 1 ? record.n : sizeof(text) - 1);
    FUZZ_CHECK(sscanf(text, "%llu/%u ", &its_id, &version) == 2 && its_id == id);
    FUZZ_CHECK(octets_of(id, version, octets) == record.n && !memcmp(octets, record.p, record.n));
    return HD_OK;
}

static void
note_damaged(void *context, const char *table, uint64_t row)
{
    struct found *found = context;

    (void)row;
    FUZZ_CHECK(table != NULL);
    found->damaged++;
}

/* The file as it was, and where its rows are. */
static struct fault_disk *
whole_disk(void)
{
    static struct fault_disk *disk;

    if (disk)
        return disk;
    FUZZ_CHECK(sqlite3_initialize() == SQLITE_OK);
    (void)sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, 1, NULL); /* the same salt in every run */
    disk = fault_disk_new("whole");
    struct sto_journal *journal = open_journal("whole");
    for (uint32_t version = 1; journal->end < (FIRST + 4) * OCTETS + 900; version++)
        keep_batch(journal, version);
    sto_journal_close(journal);
    return disk;
}

static uint32_t
number_at(const uint8_t *p, unsigned n)
{
    uint32_t value = 0;

    while (n-- > 0)
        value = value << 8 | *p++;
    return value;
}

/* A word of a row is another one, and its check is right. */
static void
edit_row(struct sto_file *file, uint64_t at, uint32_t n, uint32_t value, uint64_t salt)
{
    char head[STO_ROW_HEAD];
    uint64_t check, word = n % 3 ? value : UINT64_C(0) - value;

    for (at &= ~(uint64_t)7; at % SEGMENT < SEGMENT - STO_ROW_HEAD; at += 8) {
        FUZZ_CHECK(sto_file_read(file, at, head, sizeof(head)) == HD_OK);
        uint64_t number = sto_row_number(head, salt);
        if (number * STO_UNIT / OCTETS > 100 || number * STO_UNIT / OCTETS < FIRST)
            continue;
        memcpy(head + 8 + n % 6 * 8, &word, n % 2 ? 8 : 2);
        memcpy(&check, head, 8);
        check = check - sto_row_number(head, salt) + number;
        memcpy(head, &check, 8);
        FUZZ_CHECK(sto_file_write(file, at, head, sizeof(head)) == HD_OK);
        return;
    }
}

static void
edit_header(struct sto_file *file, uint64_t at, uint32_t n, uint32_t value)
{
    char octets[HEADER];
    struct header header;

    at -= at % SEGMENT;
    FUZZ_CHECK(sto_file_read(file, at, octets, sizeof(octets)) == HD_OK);
    if (!header_read(octets, &header))
        return;
    uint64_t *const words[] = { &header.segment, &header.tail, &header.turn, &header.end };
    *words[n % 4] = n & 64 ? UINT64_C(0) - value : value;
    header_write(octets, &header);
    FUZZ_CHECK(sto_file_write(file, at, octets, sizeof(octets)) == HD_OK);
}

static void
edit_copy(struct sto_file *file, uint64_t at, uint64_t from, uint32_t n)
{
    char octets[8 * 256];

    FUZZ_CHECK(sto_file_read(file, from, octets, (size_t)n * 8) == HD_OK);
    FUZZ_CHECK(sto_file_write(file, at, octets, (size_t)n * 8) == HD_OK);
}

/* @return whether it was sealed */
static bool
edit(struct fault_disk *disk, struct sto_file *file, const uint8_t *p, uint64_t salt)
{
    static const char zeros[8 * 256];
    const uint64_t size = fault_disk_size(disk, PATH), at = number_at(p + 2, 3) % (size + 1);
    const uint32_t value = number_at(p + 5, 3), n = p[1];

    switch ((enum edit_kind)(p[0] % EDITS)) {
    case EDIT_WRITE:
        FUZZ_CHECK(sto_file_write(file, at, p + 5, 1 + n % 3) == HD_OK);
        break;
    case EDIT_ZERO:
        FUZZ_CHECK(sto_file_write(file, at, zeros, n * (size_t)8) == HD_OK);
        break;
    case EDIT_COPY:
        edit_copy(file, at, value % (size + 1), n);
        break;
    case EDIT_CUT:
        fault_disk_cut(disk, PATH, at);
        break;
    case EDIT_ROW:
        edit_row(file, at, n, value, salt);
        return true;
    case EDIT_HEADER:
        edit_header(file, at, n, value);
        return true;
    case EDITS:
        break;
    }
    return false;
}

static bool
edit_all(struct fault_disk *disk, const char *vfs, const uint8_t *data, size_t size)
{
    struct sto_file *file;
    const char *words;
    struct header header;
    char octets[HEADER];
    bool sealed = false;

    FUZZ_CHECK(sto_file_open(vfs, PATH, &words, &file) == HD_OK);
    FUZZ_CHECK(sto_file_read(file, 0, octets, sizeof(octets)) == HD_OK);
    FUZZ_CHECK(header_read(octets, &header));
    for (size_t i = 0; i + 8 <= size && i < EDITS_MOST * 8 && fault_disk_size(disk, PATH); i += 8)
        sealed = edit(disk, file, data + i, header.salt) || sealed;
    sto_file_close(file);
    return sealed;
}

/* false: it was refused. */
static bool
start(const char *vfs, struct found *found, uint32_t version)
{
    struct sto_journal *journal = open_journal(vfs);
    struct sto_journal_visitor visitor = { note, note_damaged, found };
    char problem[256];

    if (!journal)
        return false;
    FUZZ_CHECK(sto_journal_load(journal, &visitor, problem) == HD_OK);
    if (version)
        keep_batch(journal, version);
    sto_journal_close(journal);
    return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct fault_disk *whole = whole_disk();
    struct fault_disk *disk = fault_disk_new("edited");
    struct found first = { .damaged = 0 }, second, third;

    fault_disk_copy(whole, disk);
    first.sealed = edit_all(disk, "edited", data, size);
    second = third = first;
    if (start("edited", &first, 0)) {
        FUZZ_CHECK(start("edited", &second, 1000));
        FUZZ_CHECK(start("edited", &third, 0));
        FUZZ_CHECK(first.sealed || second.damaged + third.damaged == 0);
        FUZZ_CHECK(first.sealed || !memcmp(first.sum, second.sum, sizeof(first.sum)));
    }
    fault_disk_free(disk);
    return 0;
}
