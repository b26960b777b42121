/* Logs of a real journal, as a crash leaves them, whole, cut, and with a bit turned over. */
#include "store/wal.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/hash.h"
#include "store/journal.h"

#define BATCHES 20u

struct fixture {
    char folder[64], path[96], copy[96], log[112];
    uint8_t *octets; /* of the log */
    size_t n;
};

static struct sto_journal *
open_journal(const char *path)
{
    struct sto_journal_params params = { .path = path, .boot_id = "boot", .durable = true };
    struct sto_journal *journal;
    char problem[256];

    assert_int_equal(sto_journal_open(&params, problem, &journal), HD_OK);
    return journal;
}

static enum hd_err
note(void *context, enum evt_record_kind kind, unsigned bucket, uint64_t id, struct hd_slice record,
     uint64_t age_ms)
{
    unsigned *found = context;

    (void)kind;
    (void)bucket;
    (void)id;
    (void)record;
    (void)age_ms;
    (*found)++;
    return HD_OK;
}

static unsigned
load(struct sto_journal *journal)
{
    unsigned found = 0;
    struct sto_journal_visitor visitor = { .visit = note, .context = &found };
    char problem[256];

    assert_int_equal(sto_journal_load(journal, &visitor, problem), HD_OK);
    return found;
}

/* One record in each batch, of some pages. */
static void
write_batches(struct sto_journal *journal, unsigned from, unsigned to, size_t size)
{
    char *octets = malloc(size);

    assert_non_null(octets);
    for (unsigned i = from; i < to; i++) {
        memset(octets, 'a' + (int)(i % 26), size);
        assert_int_equal(sto_journal_begin(journal), HD_OK);
        assert_int_equal(sto_journal_append(journal, EVT_RECORD_SUBSCRIPTION, 7, i,
                                            hd_slice(octets, size), (struct sto_stamp){ 1, 1 }),
                         HD_OK);
        assert_int_equal(sto_journal_commit(journal), HD_OK);
        (void)sto_journal_checkpoint(journal);
    }
    free(octets);
}

static void
copy(const char *from, const char *to, const char *more)
{
    char command[320];

    (void)snprintf(command, sizeof(command), "cp '%s%s' '%s%s'", from, more, to, more);
    assert_int_equal(system(command), 0);
}

/* A log with so many batches behind it is left, and the journal open. */
static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    (void)snprintf(f->folder, sizeof(f->folder), "/tmp/wal_test.XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(f->path, sizeof(f->path), "%s/live-0.db", f->folder);
    (void)snprintf(f->copy, sizeof(f->copy), "%s/copy.db", f->folder);
    (void)snprintf(f->log, sizeof(f->log), "%s/copy.db-wal", f->folder);
    struct sto_journal *journal = open_journal(f->path);
    sto_journal_close(journal); /* the tables are in the file */
    journal = open_journal(f->path);
    (void)load(journal);
    write_batches(journal, 0, BATCHES, 40000);
    copy(f->path, f->copy, "");
    copy(f->path, f->copy, "-wal");
    sto_journal_close(journal);
    FILE *file = fopen(f->log, "rb");
    assert_non_null(file);
    f->octets = malloc((size_t)8 << 20);
    assert_non_null(f->octets);
    f->n = fread(f->octets, 1, (size_t)8 << 20, file);
    (void)fclose(file);
    assert_true(f->n > BATCHES * 40000);
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
    free(f->octets);
    free(f);
    return 0;
}

static void
write_log(const struct fixture *f, size_t n)
{
    FILE *file = fopen(f->log, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(f->octets, 1, n, file), n);
    (void)fclose(file);
}

static void
a_log_that_is_whole_or_cut_short_has_lost_nothing(void **state)
{
    const struct fixture *f = *state;

    assert_int_equal(sto_wal_lost(f->copy), 0);
    for (uint64_t i = 0; i < 60; i++) {
        write_log(f, hd_hash_mix(i, 3) % f->n);
        assert_int_equal(sto_wal_lost(f->copy), 0);
    }
    assert_int_equal(unlink(f->log), 0);
    assert_int_equal(sto_wal_lost(f->copy), 0);
}

/* The database itself is not there: what SQLite finds is counted on a copy of both. */
static unsigned
found_by_sqlite(const struct fixture *f, uint32_t *ret_told)
{
    char other[96];

    (void)snprintf(other, sizeof(other), "%s/other.db", f->folder);
    copy(f->copy, other, "");
    copy(f->copy, other, "-wal");
    struct sto_journal *journal = open_journal(other);
    *ret_told = sto_journal_lost(journal);
    unsigned found = load(journal);
    sto_journal_close(journal);
    assert_int_equal(sto_wal_lost(other), 0);
    return found;
}

static void
a_bit_that_was_turned_over_is_told_when_commits_go_with_it(void **state)
{
    struct fixture *f = *state;
    unsigned told = 0;

    for (uint64_t i = 0; i < 60; i++) {
        uint64_t bit = HEADER * 8 + hd_hash_mix(i, 5) % ((f->n - HEADER) * 8);
        uint32_t by_journal;
        f->octets[bit / 8] ^= (uint8_t)(1u << bit % 8);
        write_log(f, f->n);
        f->octets[bit / 8] ^= (uint8_t)(1u << bit % 8);
        uint32_t lost = sto_wal_lost(f->copy);
        unsigned gone = BATCHES - found_by_sqlite(f, &by_journal);
        assert_int_equal(by_journal, lost);
        assert_true(lost <= gone);
        assert_true(gone < 3 || lost + 1 >= gone);
        told += lost > 0;
    }
    assert_true(told > 40);
}

/* SQLite begins anew at the start of the log when all of it is in the file. */
static void
what_is_left_of_an_earlier_round_is_not_taken_for_lost(void **state)
{
    struct fixture *f = *state;
    struct sto_journal *journal = open_journal(f->path);

    (void)load(journal);
    for (unsigned i = 0; i < 100; i++) {
        write_batches(journal, i * 7, i * 7 + 7, 20000);
        assert_int_equal(sto_wal_lost(f->path), 0);
    }
    sto_journal_close(journal);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_log_that_is_whole_or_cut_short_has_lost_nothing),
        TEST(a_bit_that_was_turned_over_is_told_when_commits_go_with_it),
        TEST(what_is_left_of_an_earlier_round_is_not_taken_for_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
