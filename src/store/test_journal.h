/* test_journal.h - a journal in a folder of its own, for the tests of what it keeps and of what is
 * left of it when it is damaged.  Included by one file of a program. */
#ifndef HD_STORE_TEST_JOURNAL_H
#define HD_STORE_TEST_JOURNAL_H

/* Small ones, so that much happens in little; and numbers of which the lower half is soon used up.
 */
#define SLACK 16384u
#define SEGMENT UINT64_C(16384)
#define FIRST UINT64_C(2236962)
#define NUMBERS_END (UINT64_C(1) << 35) /* place where it is, in octets */

#include "store/journal.c"
#include "store/segments.c"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <cmocka.h>

/* A file in a folder of its own, and what a load has told. */
struct fixture {
    char folder[64], path[192];
    struct sto_journal *journal;
    struct sto_stamp now;
    uint8_t boot;
    bool durable;
    char problem[256];
};

static void
remove_folder(const char *folder)
{
    char command[128];

    (void)snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
}

static enum hd_err
try_open(struct fixture *f)
{
    struct sto_journal_params params = { .path = f->path, .now = f->now, .durable = f->durable };

    memset(params.boot_id, f->boot, sizeof(params.boot_id));
    return sto_journal_open(&params, f->problem, &f->journal);
}

static void
open_again(struct fixture *f)
{
    sto_journal_close(f->journal);
    f->journal = NULL;
    enum hd_err err = try_open(f);
    if (err)
        print_error("%s\n", f->problem);
    assert_int_equal(err, HD_OK);
}

static int
setup_in(void **state, const char *folder, bool durable)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    (void)snprintf(f->folder, sizeof(f->folder), "%s/journal_test.XXXXXX", folder);
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(f->path, sizeof(f->path), "%s/live-0.log", f->folder);
    f->now = (struct sto_stamp){ .boot_ms = 1000000, .wall_ms = 1700000000000 };
    f->boot = 1;
    f->durable = durable;
    open_again(f);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    sto_journal_close(f->journal);
    remove_folder(f->folder);
    free(f);
    return 0;
}

/* --- one record at a time ---------------------------------------------------------------- */

static void
keep(struct fixture *f, enum evt_record_kind kind, uint64_t id, const char *octets)
{
    sto_journal_begin(f->journal);
    assert_int_equal(sto_journal_append(f->journal, kind, 7, id, hd_slice_str(octets), f->now),
                     HD_OK);
    assert_int_equal(sto_journal_commit(f->journal), HD_OK);
}

/* What a load finds, as text: "kind:id=octets@age " each. */
struct found {
    char text[4096];
    size_t n;
    unsigned damaged;
    enum hd_err answer; /* to every record */
};

static enum hd_err
note(void *context, enum evt_record_kind kind, unsigned bucket, uint64_t id, struct hd_slice record,
     uint64_t age_ms)
{
    struct found *found = context;

    assert_int_equal(bucket, 7);
    if (found->answer)
        return found->answer;
    found->n += (size_t)snprintf(found->text + found->n, sizeof(found->text) - found->n,
                                 "%d:%llu=%.*s@%llu ", kind, (unsigned long long)id, (int)record.n,
                                 record.p, (unsigned long long)age_ms);
    assert_true(found->n < sizeof(found->text));
    return HD_OK;
}

static void
note_damaged(void *context, const char *table, uint64_t row)
{
    struct found *found = context;

    assert_non_null(table);
    assert_true(row > 0);
    found->damaged++;
}

static struct found
load_with(struct fixture *f, enum hd_err answer, enum hd_err expected)
{
    struct found found = { .answer = answer };
    struct sto_journal_visitor visitor = { note, note_damaged, &found };

    assert_int_equal(sto_journal_load(f->journal, &visitor, f->problem), expected);
    return found;
}

static void
assert_found(struct fixture *f, const char *expected)
{
    struct found found;

    open_again(f);
    found = load_with(f, HD_OK, HD_OK);
    assert_string_equal(found.text, expected);
    assert_int_equal(found.damaged, 0);
}

static void
close_file(struct fixture *f)
{
    sto_journal_close(f->journal);
    f->journal = NULL;
}

#endif
