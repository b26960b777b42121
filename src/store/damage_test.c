/* A file that was damaged while nobody looked: one bit is turned over, or its end is missing.
 *
 * Whatever is hit, the start ends; what is found is what was once written, nothing invented; what
 * is not found as it was acknowledged last was told; and the next start has nothing more to tell.
 */
#include "store/sqlite.c"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/hash.h"

#define IDS 48
#define KINDS 4
#define VERSIONS 3
#define TOGETHER 6 /* ids in a commit */
#define PAGE 8192u
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

/* In packs of several; some of them are longer than a page. */
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
    struct sto_sqlite_params params = {
        .shards = 1,
        .file = { .path = path, .boot_id = "boot", .now = clock_now() },
        .durability = STO_ASYNC,
        .clock = clock_now
    };
    struct sto_journal_visitor visitor = { note, note_damaged, ret };
    struct sto_sqlite *store = NULL;
    enum hd_err err = sto_sqlite_new(&params, problem, &store);

    memset(ret, 0, sizeof(*ret));
    if (!err)
        err = sto_sqlite_load(store, &visitor, problem);
    if (!err)
        ret->start = sto_sqlite_start_number(store);
    sto_sqlite_free(store);
    return err;
}

static void
write_all(const char *path)
{
    struct sto_journal_params params = { .path = path, .boot_id = "boot", .now = clock_now() };
    struct sto_journal *journal;
    char problem[256], octets[9000];

    assert_int_equal(sto_journal_open(&params, problem, &journal), HD_OK);
    for (unsigned version = 1; version <= VERSIONS; version++)
        for (uint64_t id = 0; id < IDS; id++) {
            if (id % TOGETHER == 0)
                assert_int_equal(sto_journal_begin(journal), HD_OK);
            for (unsigned k = 0; k < KINDS; k++) {
                size_t n = octets_of(k, id, version, octets);
                if (version == VERSIONS && newest(id) == 0)
                    n = 0;
                assert_int_equal(sto_journal_append(journal, kinds[k], (unsigned)id, id,
                                                    hd_slice(octets, n), clock_now()),
                                 HD_OK);
            }
            if (id % TOGETHER == TOGETHER - 1) {
                assert_int_equal(sto_journal_commit(journal), HD_OK);
                (void)sto_journal_checkpoint(journal);
            }
        }
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
    assert_true(f->n > 15 * PAGE && f->n < (size_t)8 << 20);
}

static void
write_file(const struct fixture *f, size_t n)
{
    char command[256];

    (void)snprintf(command, sizeof(command), "%s-wal", f->path);
    (void)unlink(command);
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
    (void)snprintf(f->path, sizeof(f->path), "%s/live-0.db", f->folder);
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

static bool
was_rescued(const struct fixture *f)
{
    char left[128];

    (void)snprintf(left, sizeof(left), "%s" STO_RESCUE_LEFT, f->path);
    return unlink(left) == 0;
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
    unsigned refused, as_it_was, told, rescued, most_unlike, untold;
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
    bool rescued = was_rescued(f);
    unsigned n = unlike(&found);
    seen->rescued += rescued;
    seen->as_it_was += n == 0;
    seen->told += n > 0 && (rescued || found.damaged);
    seen->untold += n > 0 && !rescued && !found.damaged;
    if (n > seen->most_unlike)
        seen->most_unlike = n;
    assert_int_equal(start(f->path, &again, problem), HD_OK);
    assert_false(was_rescued(f));
    assert_int_equal(again.damaged, 0);
    assert_memory_equal(again.version, found.version, sizeof(found.version));
}

/* One bit costs one record as a rule, and one table at most. */
static void
assert_one_bit(const struct seen *seen)
{
    assert_int_equal(seen->refused, 0);
    assert_int_equal(seen->untold, 0);
    assert_true(seen->as_it_was > 0 && seen->told > 0);
    assert_true(seen->most_unlike <= IDS);
}

static void
turn_over(struct fixture *f, struct seen *seen, uint64_t bit)
{
    f->whole[bit / 8] ^= (uint8_t)(1u << bit % 8);
    start_damaged(f, seen, f->n);
    f->whole[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

static void
a_bit_that_was_turned_over_costs_what_it_hit_and_is_told(void **state)
{
    struct fixture *f = *state;
    struct seen seen = { 0 };

    for (uint64_t i = 0; i < DAMAGES; i++)
        turn_over(f, &seen, PAGE * 8 + hd_hash_mix(i, 7) % ((f->n - PAGE) * 8));
    assert_one_bit(&seen);
}

/* Where a page says what is in it. */
static void
a_page_that_leads_astray_costs_no_more_than_its_table(void **state)
{
    struct fixture *f = *state;
    struct seen seen = { 0 };

    for (uint64_t i = 0; i < DAMAGES; i++) {
        uint64_t page = 1 + hd_hash_mix(i, 9) % (f->n / PAGE - 1);
        turn_over(f, &seen, page * PAGE * 8 + hd_hash_mix(i, 11) % 512);
    }
    assert_one_bit(&seen);
    assert_true(seen.rescued > 0);
}

/* The first page says what the file is: without it nothing can be read, and the start is refused
 * with a line. */
static void
a_first_page_that_was_hit_is_read_or_refused(void **state)
{
    struct fixture *f = *state;
    struct seen seen = { 0 };

    for (uint64_t i = 0; i < DAMAGES / 4; i++)
        turn_over(f, &seen, hd_hash_mix(i, 13) % (PAGE * 8));
    assert_int_equal(seen.untold, 0);
}

static void
a_file_whose_end_is_missing_serves_what_is_left_of_it(void **state)
{
    struct fixture *f = *state;
    struct seen seen = { 0 };

    for (uint64_t i = 0; i < CUTS; i++)
        start_damaged(f, &seen, PAGE + hd_hash_mix(i, 5) % (f->n - PAGE));
    assert_int_equal(seen.refused, 0);
    assert_int_equal(seen.told, CUTS);
}

/* A copy that is whole takes the file's place also when a crash came between. */
static void
a_rescue_that_was_cut_short_is_ended_by_the_next_start(void **state)
{
    struct fixture *f = *state;
    struct found found;
    char problem[256], whole[128];

    (void)snprintf(whole, sizeof(whole), "%s.rescued", f->path);
    assert_int_equal(rename(f->path, whole), 0);
    FILE *file = fopen(f->path, "wb");
    assert_non_null(file);
    assert_true(fputs("what is left of the damaged file", file) > 0);
    (void)fclose(file);
    assert_int_equal(start(f->path, &found, problem), HD_OK);
    assert_int_equal(unlike(&found), 0);
    assert_true(was_rescued(f));
    assert_int_equal(access(whole, F_OK), -1);
    /* And when the damaged file had been moved away already. */
    assert_int_equal(rename(f->path, whole), 0);
    assert_int_equal(start(f->path, &found, problem), HD_OK);
    assert_int_equal(unlike(&found), 0);
}

static void
run_sql(const struct fixture *f, const char *sql)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* What was sent since each record was written is counted in starts: a rescue must not begin anew.
 */
static void
a_rescued_file_counts_its_starts_on(void **state)
{
    static const char missing[] = "DELETE FROM seen WHERE row=(SELECT row FROM seen LIMIT 1,1)";
    struct fixture *f = *state;
    struct found found;
    char problem[256];

    run_sql(f, "UPDATE start SET n=41");
    run_sql(f, missing);
    assert_int_equal(start(f->path, &found, problem), HD_OK);
    assert_true(was_rescued(f));
    assert_int_equal(found.start, 42 + 1); /* the one that met the damage was one too */
    assert_int_equal(start(f->path, &found, problem), HD_OK);
    assert_int_equal(found.start, 44);
}

/* Then it is one that is greater than any that was. */
static void
a_number_of_starts_that_is_gone_is_made_of_the_clock(void **state)
{
    struct fixture *f = *state;
    struct found found;
    char problem[256];

    run_sql(f, "DELETE FROM start");
    run_sql(f, "DELETE FROM seen WHERE row=(SELECT row FROM seen LIMIT 1,1)");
    wall_ms = 1700000000000;
    assert_int_equal(start(f->path, &found, problem), HD_OK);
    assert_true(was_rescued(f));
    assert_int_equal(found.start, 1700000001);
    wall_ms = 1000;
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_bit_that_was_turned_over_costs_what_it_hit_and_is_told),
        TEST(a_page_that_leads_astray_costs_no_more_than_its_table),
        TEST(a_first_page_that_was_hit_is_read_or_refused),
        TEST(a_file_whose_end_is_missing_serves_what_is_left_of_it),
        TEST(a_rescue_that_was_cut_short_is_ended_by_the_next_start),
        TEST(a_rescued_file_counts_its_starts_on),
        TEST(a_number_of_starts_that_is_gone_is_made_of_the_clock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
