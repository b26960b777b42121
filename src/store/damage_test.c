/* A file that was damaged while nobody looked: one bit is turned over, a sector or its end is
 * missing.
 *
 * Whatever is hit, the start ends; what is found is what was once written, nothing invented; what
 * is not found as it was acknowledged last was told; and the next start has nothing more to tell.
 */
#include "store/live.c"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hash.h"
#include "store/row.h"

#define IDS 48
#define KINDS 4
#define VERSIONS 3
#define TOGETHER 6 /* ids in a commit */
#define DAMAGES 240
#define CUTS 60

static const enum evt_record_kind kinds[KINDS] = { EVT_RECORD_SUBSCRIPTION, EVT_RECORD_PUBLICATION,
                                                   EVT_RECORD_BINDINGS, EVT_RECORD_SEEN };

enum hd_err
evt_stored_post(struct evt_shard *shard, const struct evt_outcome *outcomes, size_t n)
{
    (void)shard;
    (void)outcomes;
    (void)n;
    return HD_OK;
}

struct fixture {
    char folder[64], path[96];
    uint8_t *whole; /* the file as it was */
    size_t n;
};

struct found {
    unsigned version[KINDS][IDS]; /* 0: not there */
    unsigned damaged;
    uint32_t start; /* number of the start */
};

/* Some of them are longer than a sector or a page of memory. */
static size_t
octets_of(unsigned kind, uint64_t id, unsigned version, char octets[9000])
{
    size_t n = (size_t)snprintf(octets, 9000, "%u %llu %u ", kind, (unsigned long long)id, version);
    size_t more = id % 17 == 3 ? 7000 : id * 13 % 311;

    memset(octets + n, 'a' + (int)(id % 26), more);
    return n + more;
}

/* Of some ids the newest version is a removal. */
static unsigned
newest(uint64_t id)
{
    return id % 5 == 4 ? 0 : VERSIONS;
}

static enum hd_err
note(void *context, enum evt_record_kind kind, unsigned bucket, uint64_t id, struct hd_slice record,
     uint64_t age_ms)
{
    struct found *found = context;
    unsigned k = 0, version = 0;
    char octets[9000];

    (void)bucket;
    (void)age_ms;
    while (kinds[k] != kind)
        k++;
    assert_true(id < IDS);
    for (unsigned v = 1; v <= VERSIONS && !version; v++) {
        size_t n = octets_of(k, id, v, octets);
        if (n == record.n && memcmp(octets, record.p, n) == 0)
            version = v;
    }
    assert_true(version > 0);
    found->version[k][id] = version;
    return HD_OK;
}

static void
note_damaged(void *context, const char *table, uint64_t row)
{
    struct found *found = context;

    (void)table;
    (void)row;
    found->damaged++;
}

static uint64_t wall_ms = 1000;

static struct sto_stamp
clock_now(void)
{
    return (struct sto_stamp){ .boot_ms = 1000, .wall_ms = wall_ms };
}

static enum hd_err
start(const char *path, struct found *ret, char problem[256])
{
    struct sto_live_params params = {
        .shards = 1,
        .file = { .path = path, .boot_id = "boot", .now = clock_now(), .durable = true },
        .durability = STO_COMMIT,
        .clock = clock_now
    };
    struct sto_journal_visitor visitor = { note, note_damaged, ret };
    struct sto_live *store = NULL;
    enum hd_err err = sto_live_new(&params, problem, &store);

    memset(ret, 0, sizeof(*ret));
    if (!err)
        err = sto_live_load(store, &visitor, problem);
    if (!err)
        ret->start = sto_live_start_number(store);
    sto_live_free(store);
    return err;
}

static void
write_all(const char *path)
{
    struct sto_journal_params params = {
        .path = path, .boot_id = "boot", .now = clock_now(), .durable = true
    };
    struct sto_journal *journal;
    char problem[256], octets[9000];

    assert_int_equal(sto_journal_open(&params, problem, &journal), HD_OK);
    for (unsigned version = 1; version <= VERSIONS; version++)
        for (uint64_t id = 0; id < IDS; id++) {
            if (id % TOGETHER == 0)
                sto_journal_begin(journal);
            for (unsigned k = 0; k < KINDS; k++) {
                size_t n = octets_of(k, id, version, octets);
                if (version == VERSIONS && newest(id) == 0)
                    n = 0;
                assert_int_equal(sto_journal_append(journal, kinds[k], (unsigned)id, id,
                                                    hd_slice(octets, n), clock_now()),
                                 HD_OK);
            }
            if (id % TOGETHER == TOGETHER - 1)
                assert_int_equal(sto_journal_commit(journal), HD_OK);
        }
    assert_int_equal(sto_journal_end_start(journal), HD_OK);
    sto_journal_close(journal);
}

static void
read_file(struct fixture *f)
{
    FILE *file = fopen(f->path, "rb");

    assert_non_null(file);
    f->whole = malloc((size_t)8 << 20);
    assert_non_null(f->whole);
    f->n = fread(f->whole, 1, (size_t)8 << 20, file);
    (void)fclose(file);
    while (f->n > 0 && !f->whole[f->n - 1]) /* what it was made longer by */
        f->n--;
    assert_true(f->n > 100000 && f->n < (size_t)8 << 20);
}

static void
write_file(const struct fixture *f, size_t n)
{
    FILE *file = fopen(f->path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(f->whole, 1, n, file), n);
    (void)fclose(file);
}

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    /* In memory where that can be had: thousands of starts are a load for a disk. */
    (void)snprintf(f->folder, sizeof(f->folder), "%s/damage_test.XXXXXX",
                   access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(f->path, sizeof(f->path), "%s/live-0.log", f->folder);
    write_all(f->path);
    read_file(f);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];

    (void)snprintf(command, sizeof(command), "rm -rf '%s'", f->folder);
    assert_int_equal(system(command), 0);
    free(f->whole);
    free(f);
    return 0;
}

static unsigned
unlike(const struct found *found)
{
    unsigned n = 0;

    for (unsigned k = 0; k < KINDS; k++)
        for (uint64_t id = 0; id < IDS; id++)
            n += found->version[k][id] != newest(id);
    return n;
}

struct seen {
    unsigned refused, as_it_was, told, most_unlike, untold;
};

static void
start_damaged(struct fixture *f, struct seen *seen, size_t size)
{
    struct found found, again;
    char problem[256];

    write_file(f, size);
    enum hd_err err = start(f->path, &found, problem);
    if (err) {
        assert_true(problem[0]);
        seen->refused++;
        return;
    }
    unsigned n = unlike(&found);
    seen->as_it_was += n == 0;
    seen->told += n > 0 && found.damaged;
    seen->untold += n > 0 && !found.damaged;
    if (n > seen->most_unlike)
        seen->most_unlike = n;
    assert_int_equal(start(f->path, &again, problem), HD_OK);
    assert_int_equal(again.damaged, 0);
    assert_memory_equal(again.version, found.version, sizeof(found.version));
}

static void
turn_over(struct fixture *f, struct seen *seen, uint64_t bit)
{
    f->whole[bit / 8] ^= (uint8_t)(1u << bit % 8);
    start_damaged(f, seen, f->n);
    f->whole[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

/* Wherever: also in the header, which stands there twice. */
static void
a_bit_that_was_turned_over_costs_the_record_that_it_hit_and_is_told(void **state)
{
    struct fixture *f = *state;
    struct seen seen = { 0 };

    for (uint64_t i = 0; i < DAMAGES; i++)
        turn_over(f, &seen, hd_hash_mix(i, 7) % (f->n * 8));
    for (uint64_t bit = 0; bit < 512; bit += 3)
        turn_over(f, &seen, bit);
    assert_int_equal(seen.refused, 0);
    assert_int_equal(seen.untold, 0);
    assert_true(seen.as_it_was > 0 && seen.told > 0);
    assert_true(seen.most_unlike <= 1);
}

/* What a disk gives back that has lost a sector. */
static void
a_sector_that_is_gone_costs_the_records_in_it_and_is_told(void **state)
{
    struct fixture *f = *state;
    struct seen seen = { 0 };
    uint8_t sector[512];

    for (uint64_t i = 0; i < DAMAGES; i++) {
        uint8_t *at = f->whole + hd_hash_mix(i, 9) % (f->n / sizeof(sector)) * sizeof(sector);
        memcpy(sector, at, sizeof(sector));
        memset(at, i % 2 ? 0 : 0xa5, sizeof(sector));
        start_damaged(f, &seen, f->n);
        memcpy(at, sector, sizeof(sector));
    }
    assert_int_equal(seen.refused, 0);
    assert_int_equal(seen.untold, 0);
    assert_true(seen.told > DAMAGES / 4);
    assert_true(seen.most_unlike <= 512 / STO_ROW_HEAD + 2);
}

static void
a_file_whose_end_is_missing_serves_what_is_left_of_it(void **state)
{
    struct fixture *f = *state;
    struct seen seen = { 0 };

    for (uint64_t i = 0; i < CUTS; i++)
        start_damaged(f, &seen, 4096 + hd_hash_mix(i, 5) % (f->n - 4096 - 2 * STO_ROW_HEAD));
    assert_int_equal(seen.refused, 0);
    assert_int_equal(seen.told, CUTS);
}

/* What was sent since each record was written is counted in starts: a file of which nothing can be
 * read must not begin anew.  The number is then one that is greater than any that was. */
static void
a_number_of_starts_that_is_gone_is_made_of_the_clock(void **state)
{
    struct fixture *f = *state;
    struct found found;
    char problem[256];

    memset(f->whole + 1024, 0, f->n - 1024);
    write_file(f, f->n);
    wall_ms = 1700000000000;
    assert_int_equal(start(f->path, &found, problem), HD_OK);
    assert_true(found.damaged > 0);
    assert_int_equal(found.start, 1700000001);
    wall_ms = 1000;
}

/* Without a header nothing can be read. */
static void
a_file_whose_only_header_is_gone_is_refused_and_left_as_it_is(void **state)
{
    struct fixture *f = *state;
    struct found found;
    char problem[256];

    memset(f->whole, 0, 1024);
    write_file(f, f->n);
    assert_int_equal(start(f->path, &found, problem), HD_EVERSION);
    assert_non_null(strstr(problem, "live-0.log: no live file of herald"));
    uint8_t *before = f->whole;
    read_file(f);
    assert_memory_equal(before, f->whole, f->n);
    free(before);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_bit_that_was_turned_over_costs_the_record_that_it_hit_and_is_told),
        TEST(a_sector_that_is_gone_costs_the_records_in_it_and_is_told),
        TEST(a_file_whose_end_is_missing_serves_what_is_left_of_it),
        TEST(a_number_of_starts_that_is_gone_is_made_of_the_clock),
        TEST(a_file_whose_only_header_is_gone_is_refused_and_left_as_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
