/* Writes that follow one another reach the disk as one, in their order, and a failure is told. */
#include "store/gather.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "store/fault_vfs.h"

struct fixture {
    struct fault_disk *disk;
    struct sto_gather *gather;
    sqlite3_vfs *vfs;
    sqlite3_file *file;
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_WAL;

    assert_non_null(f);
    f->disk = fault_disk_new("behind");
    assert_int_equal(sto_gather_new("behind", &f->gather), HD_OK);
    f->vfs = sqlite3_vfs_find(sto_gather_name(f->gather));
    assert_non_null(f->vfs);
    f->file = calloc(1, (size_t)f->vfs->szOsFile);
    assert_non_null(f->file);
    assert_int_equal(f->vfs->xOpen(f->vfs, "log", f->file, flags, NULL), SQLITE_OK);
    fault_disk_record(f->disk);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(f->file->pMethods->xClose(f->file), SQLITE_OK);
    sto_gather_free(f->gather);
    fault_disk_free(f->disk);
    free(f->file);
    free(f);
    return 0;
}

static int
put(struct fixture *f, const char *octets, sqlite3_int64 at)
{
    return f->file->pMethods->xWrite(f->file, octets, (int)strlen(octets), at);
}

static void
assert_reads(struct fixture *f, const char *octets)
{
    char found[64] = "";
    size_t n = strlen(octets);

    assert_true(n < sizeof(found));
    assert_int_equal(f->file->pMethods->xRead(f->file, found, (int)n, 0), SQLITE_OK);
    assert_string_equal(found, octets);
}

static void
what_follows_is_written_as_one_when_it_is_synced(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(put(f, "one ", 0), SQLITE_OK);
    assert_int_equal(put(f, "two ", 4), SQLITE_OK);
    assert_int_equal(put(f, "three", 8), SQLITE_OK);
    assert_int_equal(fault_disk_count(f->disk), 0);
    assert_int_equal(f->file->pMethods->xSync(f->file, SQLITE_SYNC_NORMAL), SQLITE_OK);
    assert_int_equal(fault_disk_count(f->disk), 2); /* a write and a sync */
    assert_int_equal(fault_disk_size(f->disk, "log"), 13);
    assert_reads(f, "one two three");
    assert_int_equal(fault_disk_count(f->disk), 2);
}

static void
what_goes_elsewhere_is_written_behind_what_was_before(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(put(f, "aaaaaa", 0), SQLITE_OK);
    assert_int_equal(put(f, "bb", 2), SQLITE_OK); /* over it */
    assert_int_equal(fault_disk_count(f->disk), 1);
    assert_int_equal(put(f, "cc", 8), SQLITE_OK); /* not where the last one ended */
    assert_int_equal(fault_disk_count(f->disk), 2);
    assert_int_equal(put(f, "dd", 6), SQLITE_OK);
    assert_reads(f, "aabbaaddcc");
}

/* Whoever asks for the size, reads or cuts finds all that was written. */
static void
nothing_is_asked_of_the_file_past_what_is_gathered(void **state)
{
    struct fixture *f = *state;
    sqlite3_int64 size = 0;

    assert_int_equal(put(f, "four", 0), SQLITE_OK);
    assert_int_equal(f->file->pMethods->xFileSize(f->file, &size), SQLITE_OK);
    assert_int_equal(size, 4);
    assert_int_equal(put(f, "more", 4), SQLITE_OK);
    assert_int_equal(f->file->pMethods->xTruncate(f->file, 6), SQLITE_OK);
    assert_int_equal(f->file->pMethods->xFileSize(f->file, &size), SQLITE_OK);
    assert_int_equal(size, 6);
    assert_reads(f, "fourmo");
    assert_int_equal(put(f, "re", 6), SQLITE_OK);
    assert_reads(f, "fourmore");
}

static void
more_than_fits_is_written_in_pieces(void **state)
{
    struct fixture *f = *state;
    size_t n = GATHERED_MOST / 3;
    char *octets = malloc(2 * GATHERED_MOST + 1), *found = malloc(2 * GATHERED_MOST + 1);
    sqlite3_int64 at = 0;

    assert_true(octets && found);
    for (size_t i = 0; i < 2 * GATHERED_MOST; i++)
        octets[i] = (char)('a' + i % 23);
    for (int i = 0; i < 4; i++, at += (sqlite3_int64)n)
        assert_int_equal(f->file->pMethods->xWrite(f->file, octets + at, (int)n, at), SQLITE_OK);
    assert_int_equal(fault_disk_count(f->disk), 1); /* three were all that fits */
    /* One that is too large by itself goes behind the others. */
    assert_int_equal(
        f->file->pMethods->xWrite(f->file, octets + at, (int)GATHERED_MOST + 1 - (int)n, at),
        SQLITE_OK);
    n = (size_t)at + GATHERED_MOST + 1 - n;
    assert_int_equal(f->file->pMethods->xRead(f->file, found, (int)n, 0), SQLITE_OK);
    assert_memory_equal(found, octets, n);
    free(octets);
    free(found);
}

static void
a_write_that_fails_is_told_to_the_sync_and_forgotten(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(put(f, "lost", 0), SQLITE_OK);
    fault_disk_fail(f->disk, FAULT_FULL, 0);
    assert_int_equal(f->file->pMethods->xSync(f->file, SQLITE_SYNC_NORMAL), SQLITE_FULL);
    fault_disk_fail(f->disk, FAULT_NONE, 0);
    assert_int_equal(f->file->pMethods->xSync(f->file, SQLITE_SYNC_NORMAL), SQLITE_OK);
    assert_int_equal(fault_disk_size(f->disk, "log"), 0);
    assert_int_equal(put(f, "kept", 0), SQLITE_OK);
    assert_reads(f, "kept");
}

static void
a_log_is_read_without_the_disk(void **state)
{
    struct fixture *f = *state;
    char found[8] = "";

    assert_int_equal(put(f, "in memory", 0), SQLITE_OK);
    fault_disk_fail(f->disk, FAULT_READ, 0);
    assert_reads(f, "in memory");
    assert_int_equal(f->file->pMethods->xSync(f->file, SQLITE_SYNC_NORMAL), SQLITE_OK);
    assert_reads(f, "in memory");
    assert_int_equal(f->file->pMethods->xTruncate(f->file, 3), SQLITE_OK);
    assert_reads(f, "in ");
    assert_true(f->file->pMethods->xRead(f->file, found, 4, 0) != SQLITE_OK);
}

/* Places where writes begin, and how long they are: near the start, and at the end of the image. */
static void
by_chance(uint64_t *chance, sqlite3_int64 *ret_at, int *ret_n)
{
    *chance = hd_hash_mix(*chance, 1);
    *ret_at =
        (sqlite3_int64)(*chance >> 8 & 0x7f) + (*chance & 7 ? 0 : (sqlite3_int64)(IMAGE - 0x60));
    *ret_n = 1 + (int)(*chance >> 16 & 0x3f);
}

static void
assert_image_is_the_file(struct fixture *f, char *one, char *other)
{
    struct handle *handle = handle_of(f->file);
    const int n = (int)handle->image_n;

    assert_int_equal(f->file->pMethods->xSync(f->file, SQLITE_SYNC_NORMAL), SQLITE_OK);
    if (n == 0)
        return;
    assert_int_equal(f->file->pMethods->xRead(f->file, one, n, 0), SQLITE_OK);
    assert_int_equal(handle->behind->pMethods->xRead(handle->behind, other, n, 0), SQLITE_OK);
    assert_memory_equal(one, other, (size_t)n);
}

/* As a log that begins anew and goes on behind the end of the image, in pieces of which many are
 * gathered. */
static void
fill(struct fixture *f, char *octets)
{
    enum { PIECE = 1 << 14 };
    struct handle *handle = handle_of(f->file);
    char tail[2 * PIECE];

    for (size_t at = 0; at < IMAGE + PIECE; at += PIECE) {
        memset(octets + at, 'A' + (int)(at / PIECE % 26), PIECE);
        assert_int_equal(f->file->pMethods->xWrite(f->file, octets + at, PIECE, (sqlite3_int64)at),
                         SQLITE_OK);
    }
    assert_int_equal(handle->image_n, IMAGE);
    assert_int_equal(f->file->pMethods->xSync(f->file, SQLITE_SYNC_NORMAL), SQLITE_OK);
    assert_int_equal(handle->behind->pMethods->xRead(handle->behind, tail, sizeof(tail),
                                                     (sqlite3_int64)IMAGE - PIECE),
                     SQLITE_OK);
    assert_memory_equal(tail, octets + IMAGE - PIECE, sizeof(tail));
}

/* Writes over one another, up to the end of the image and beyond; some fail, half done. */
static void
what_is_in_memory_is_what_the_file_has(void **state)
{
    struct fixture *f = *state;
    char *one = malloc(IMAGE + (1 << 14)), *other = malloc(IMAGE);
    uint64_t chance = 7;
    sqlite3_int64 at;
    int n;

    assert_true(one && other);
    for (int i = 0; i < 1000; i++) {
        if (i % 50 == 0)
            fill(f, one);
        by_chance(&chance, &at, &n);
        memset(one, 'a' + i % 26, (size_t)n);
        fault_disk_fail(f->disk, i % 17 == 5 ? FAULT_TORN : FAULT_NONE, 0);
        (void)f->file->pMethods->xWrite(f->file, one, n, at);
        if (i % 101 == 100)
            (void)f->file->pMethods->xTruncate(f->file, at);
        fault_disk_fail(f->disk, FAULT_NONE, 0);
        if (i % 5 == 0)
            assert_image_is_the_file(f, one, other);
    }
    free(one);
    free(other);
}

static void
a_vfs_that_is_not_there_is_told(void **state)
{
    struct sto_gather *gather = NULL;

    (void)state;
    assert_int_equal(sto_gather_new("nobody", &gather), HD_ENOMATCH);
    assert_null(gather);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_follows_is_written_as_one_when_it_is_synced),
        TEST(what_goes_elsewhere_is_written_behind_what_was_before),
        TEST(nothing_is_asked_of_the_file_past_what_is_gathered),
        TEST(more_than_fits_is_written_in_pieces),
        TEST(a_write_that_fails_is_told_to_the_sync_and_forgotten),
        TEST(a_log_is_read_without_the_disk),
        TEST(what_is_in_memory_is_what_the_file_has),
        cmocka_unit_test(a_vfs_that_is_not_there_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
