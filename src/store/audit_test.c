/* audit_test.c - what was noted is there, newest first, until it is old or too many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/audit.c"

static char path[] = "/tmp/herald-audit-XXXXXX";
static struct sto_audit *audit;

static void
open_it(uint32_t keep_s, uint32_t most)
{
    char problem[256];
    const struct sto_audit_params params = { .path = path, .keep_s = keep_s, .most = most };

    assert_int_equal(sto_audit_open(&params, problem, &audit), HD_OK);
}

static int
setup(void **state)
{
    (void)state;
    (void)memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
    int fd = mkstemp(path);
    if (fd < 0)
        return -1;
    (void)close(fd);
    open_it(100, 1000000);
    return 0;
}

static int
teardown(void **state)
{
    static const char *const ends[] = { "", "-wal", "-shm", "-copy", "-copy-wal", "-copy-shm" };
    char file[64];

    (void)state;
    sto_audit_close(audit);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        (void)snprintf(file, sizeof(file), "%s%s", path, ends[i]);
        (void)unlink(file);
    }
    return 0;
}

static void
note(const char *resource, const char *watcher, uint32_t rule, uint64_t wall_ms)
{
    char buffer[STO_AUDIT_PACKED_MAX];
    const struct evt_audit row = {
        .what = EVT_AUDIT_BEGAN,
        .state = 2,
        .proof = 2,
        .rule = rule,
        .id = UINT64_MAX - rule,
        .resource = hd_slice_str(resource),
        .package = HD_LIT("presence"),
        .watcher = hd_slice_str(watcher),
        .address = { .ip = { 192, 0, 2, 7 }, .port = 5060, .family = 4 },
    };

    assert_int_equal(sto_audit_add(audit, wall_ms, sto_audit_pack(&row, buffer)), HD_OK);
}

struct seen {
    unsigned n;
    uint32_t rules[8];
    struct sto_audit_line last;
    char text[128];
};

static void
see(void *context, const struct sto_audit_line *line)
{
    struct seen *seen = context;

    if (seen->n < 8)
        seen->rules[seen->n] = line->rule;
    seen->n++;
    seen->last = *line;
    (void)snprintf(seen->text, sizeof(seen->text), "%.*s %.*s %.*s %.*s", HD_FMT(line->resource),
                   HD_FMT(line->package), HD_FMT(line->watcher), HD_FMT(line->address));
}

static struct seen
read_it(const char *resource, uint64_t since_ms, uint32_t limit)
{
    struct seen seen = { 0 };

    const struct sto_audit_query query = {
        .path = path, .resource = hd_slice_str(resource), .since_ms = since_ms, .limit = limit
    };

    assert_int_equal(sto_audit_read(&query, see, &seen), HD_OK);
    return seen;
}

static void
lines_are_read_newest_first_by_resource_and_time(void **state)
{
    (void)state;
    note("sip:ann@example.test", "sip:bob@example.test", 1, 1000);
    note("sip:zoe@example.test", "sip:bob@example.test", 2, 2000);
    note("sip:ann@example.test", "sip:cyd@example.test", 3, 3000);
    assert_int_equal(read_it("", 0, 10).n, 0); /* not committed yet */
    assert_int_equal(sto_audit_commit(audit, 3000), HD_OK);
    struct seen all = read_it("", 0, 10);
    assert_int_equal(all.n, 3);
    assert_int_equal(all.rules[0], 3);
    assert_int_equal(all.rules[2], 1);
    assert_string_equal(all.text,
                        "sip:ann@example.test presence sip:bob@example.test 192.0.2.7:5060");
    assert_int_equal(all.last.at_ms, 1000);
    assert_true(all.last.id == UINT64_MAX - 1);
    assert_int_equal(all.last.what, EVT_AUDIT_BEGAN);
    assert_int_equal(read_it("sip:ann@example.test", 0, 10).n, 2);
    assert_int_equal(read_it("sip:ann@example.test", 2000, 10).n, 1);
    assert_int_equal(read_it("", 0, 2).n, 2);
    assert_int_equal(read_it("sip:nobody@example.test", 0, 10).n, 0);
}

static void
it_outlives_its_process(void **state)
{
    (void)state;
    note("sip:ann@example.test", "sip:bob@example.test", 1, 1000);
    assert_int_equal(sto_audit_commit(audit, 1000), HD_OK);
    note("sip:ann@example.test", "sip:bob@example.test", 2, 1000); /* lost: not committed */
    sto_audit_close(audit);
    open_it(100, 1000000);
    assert_int_equal(read_it("", 0, 10).n, 1);
}

static void
old_lines_go(void **state)
{
    (void)state;
    note("sip:ann@example.test", "sip:bob@example.test", 1, 1000);
    note("sip:ann@example.test", "sip:bob@example.test", 2, 50000);
    assert_int_equal(sto_audit_commit(audit, 50000), HD_OK);
    assert_int_equal(read_it("", 0, 10).n, 2);
    note("sip:ann@example.test", "sip:bob@example.test", 3, 120000);
    assert_int_equal(sto_audit_commit(audit, 120000), HD_OK);
    struct seen seen = read_it("", 0, 10);
    assert_int_equal(seen.n, 2);
    assert_int_equal(seen.rules[1], 2);
}

/* Lines of a pack go together. */
static void
no_more_than_so_many_stay_and_those_of_a_pack(void **state)
{
    const uint32_t most = 500, n = 5000;

    (void)state;
    sto_audit_close(audit);
    open_it(100, most);
    for (uint32_t i = 1; i <= n; i++) {
        note("sip:ann@example.test", "sip:bob@example.test", i, 1000);
        if (i % 10 == 0)
            assert_int_equal(sto_audit_commit(audit, 1000), HD_OK);
    }
    struct seen seen = read_it("", 0, n);
    assert_true(seen.n >= most && seen.n <= most + PACK_MOST / 80);
    assert_int_equal(seen.rules[0], n);
    assert_int_equal(seen.last.rule, n - seen.n + 1); /* no gap */
}

/* A line a day is not kept until a page is full of them. */
static void
a_pack_that_grows_slowly_ends_with_its_time(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= 40; i++) {
        note("sip:ann@example.test", "sip:bob@example.test", i, i * 10000);
        assert_int_equal(sto_audit_commit(audit, i * 10000), HD_OK);
    }
    assert_int_equal(read_it("", 0, 100).n, 11); /* of 100 seconds */
}

/* The last pack goes on where it was, also after a start; what fails takes nothing along. */
static void
packs_fill_a_page_whatever_comes_at_once(void **state)
{
    sqlite3_stmt *s = NULL;

    (void)state;
    for (uint32_t i = 1; i <= 300; i++) {
        note("sip:ann@example.test", "sip:bob@example.test", i, 1000);
        assert_int_equal(sto_audit_commit(audit, 1000), HD_OK);
        if (i % 100 == 50) {
            sto_audit_close(audit);
            open_it(100, 1000000);
        }
    }
    assert_int_equal(read_it("", 0, 1000).n, 300);
    assert_int_equal(read_it("", 0, 1000).last.rule, 1);
    assert_int_equal(sqlite3_prepare_v2(audit->db, "SELECT count(*), max(length(lines)) FROM audit",
                                        -1, &s, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(s, 0), 5);
    assert_true(sqlite3_column_int(s, 1) <= (int)PACK_MOST);
    (void)sqlite3_finalize(s);
}

static void
lines_that_cannot_be_committed_are_gone_and_no_others(void **state)
{
    (void)state;
    note("sip:ann@example.test", "sip:bob@example.test", 1, 1000);
    assert_int_equal(sto_audit_commit(audit, 1000), HD_OK);
    assert_int_equal(sqlite3_exec(audit->db, "PRAGMA query_only = ON", NULL, NULL, NULL),
                     SQLITE_OK);
    for (uint32_t i = 0; i < 300; i++) { /* more than a pack */
        char buffer[STO_AUDIT_PACKED_MAX];
        const struct evt_audit row = { .what = EVT_AUDIT_ENDED, .resource = HD_LIT("sip:x@y.z") };
        (void)!sto_audit_add(audit, 1000, sto_audit_pack(&row, buffer));
    }
    assert_int_equal(sto_audit_commit(audit, 1000), HD_EIO);
    assert_int_equal(sqlite3_exec(audit->db, "PRAGMA query_only = OFF", NULL, NULL, NULL),
                     SQLITE_OK);
    note("sip:ann@example.test", "sip:bob@example.test", 2, 1000);
    assert_int_equal(sto_audit_commit(audit, 1000), HD_OK);
    struct seen seen = read_it("", 0, 100);
    assert_int_equal(seen.n, 2);
    assert_int_equal(seen.rules[0], 2);
    assert_int_equal(seen.rules[1], 1);
}

static void
what_cannot_be_opened_or_read_is_told(void **state)
{
    char problem[256] = "";
    struct sto_audit *other = NULL;
    const struct sto_audit_params nowhere = { .path = "/nonexistent/audit.db" };
    const struct sto_audit_params newer = { .path = path };

    (void)state;
    assert_int_equal(sto_audit_open(&nowhere, problem, &other), HD_EIO);
    assert_non_null(strstr(problem, "/nonexistent"));
    const struct sto_audit_query no_file = { .path = "/nonexistent/audit.db", .limit = 1 };
    assert_int_equal(sto_audit_read(&no_file, see, NULL), HD_ENOMATCH);
    assert_int_equal(sto_audit_add(audit, 1, HD_LIT("cut")), HD_ESYNTAX);
    assert_int_equal(sto_audit_commit(audit, 1), HD_OK);
    assert_int_equal(sqlite3_exec(audit->db, "PRAGMA user_version = 3", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sto_audit_open(&newer, problem, &other), HD_EVERSION);
    assert_non_null(strstr(problem, "newer"));
    assert_int_equal(sqlite3_exec(audit->db, "PRAGMA user_version = 1", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sto_audit_open(&newer, problem, &other), HD_EVERSION);
    assert_non_null(strstr(problem, "older"));
}

/* A trail of a million lines costs a commit no more than one of ten. */
static void
a_commit_does_not_search_what_is_kept(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 500; i++) {
        note("sip:a@example.test", "sip:b@example.test", i, 1000);
        assert_int_equal(sto_audit_commit(audit, 1000), HD_OK);
    }
    assert_int_equal(sqlite3_stmt_status(audit->remove, SQLITE_STMTSTATUS_RUN, 0), 0);
    assert_true(sqlite3_stmt_status(audit->oldest, SQLITE_STMTSTATUS_VM_STEP, 0) < 50);
    assert_true(sqlite3_stmt_status(audit->newest, SQLITE_STMTSTATUS_VM_STEP, 0) < 50);
    sto_audit_close(audit);
    open_it(100, 1000000);
    assert_true(sqlite3_stmt_status(audit->oldest, SQLITE_STMTSTATUS_VM_STEP, 0) < 50);
    assert_true(sqlite3_stmt_status(audit->newest, SQLITE_STMTSTATUS_VM_STEP, 0) < 50);
}

static void
a_copy_holds_what_was_committed_and_overwrites_nothing(void **state)
{
    struct seen seen = { 0 };
    char copy[64];
    bool done = false;
    unsigned steps = 0;

    (void)state;
    (void)snprintf(copy, sizeof(copy), "%s-copy", path);
    for (uint32_t i = 0; i < 3000; i++)
        note("sip:a@example.test", "sip:b@example.test", i, 1000);
    assert_int_equal(sto_audit_commit(audit, 1000), HD_OK);
    for (; !done; steps++) {
        assert_int_equal(sto_audit_copy(audit, copy, &done), HD_OK);
        note("sip:late@example.test", "sip:b@example.test", steps, 1000);
        assert_int_equal(sto_audit_commit(audit, 1000), HD_OK);
    }
    assert_true(steps > 1);
    assert_int_equal(sto_audit_copy(audit, copy, &done), HD_EIO); /* it is there */
    const struct sto_audit_query of_copy = { .path = copy,
                                             .resource = HD_LIT("sip:a@example.test"),
                                             .limit = 5000 };
    assert_int_equal(sto_audit_read(&of_copy, see, &seen), HD_OK);
    assert_int_equal(seen.n, 3000);
}

struct stopper {
    atomic_bool stop;
    unsigned n;
};

static void
see_and_stop(void *context, const struct sto_audit_line *line)
{
    struct stopper *stopper = context;

    (void)line;
    stopper->n++;
    stopper->stop = true;
}

static void
a_reading_is_broken_off_between_packs(void **state)
{
    struct stopper stopper = { .n = 0 };
    const struct sto_audit_query query = { .path = path, .limit = 5000, .stop = &stopper.stop };

    (void)state;
    for (unsigned i = 0; i < 3000; i++)
        note("sip:a@example.test", "sip:b@example.test", i, 1000);
    assert_int_equal(sto_audit_commit(audit, 1000), HD_OK);
    assert_int_equal(sto_audit_read(&query, see_and_stop, &stopper), HD_EBUSY);
    assert_in_range(stopper.n, 1, PACK_MOST / LINE_LEAST);
    stopper.n = 0;
    assert_int_equal(sto_audit_read(&query, see_and_stop, &stopper), HD_EBUSY); /* not begun */
    assert_int_equal(stopper.n, 0);
}

static void
an_old_pack_hides_no_newer_one(void **state)
{
    const uint64_t day_ms = 86400000;

    (void)state;
    note("sip:a@example.test", "sip:b@example.test", 1, 100 * day_ms);
    assert_int_equal(sto_audit_commit(audit, 100 * day_ms), HD_OK);
    note("sip:a@example.test", "sip:b@example.test", 2, 1000); /* a clock that was not set */
    assert_int_equal(sto_audit_commit(audit, 1000), HD_OK);
    note("sip:a@example.test", "sip:b@example.test", 3, 100 * day_ms + 2000);
    assert_int_equal(sto_audit_commit(audit, 1000), HD_OK); /* or what is old would go */
    const struct seen seen = read_it("", 99 * day_ms, 10);
    assert_int_equal(seen.n, 2);
    assert_int_equal(seen.rules[0], 3);
    assert_int_equal(seen.rules[1], 1);
}

static int
always(void *unused)
{
    (void)unused;
    return 1;
}

/* A number that is taken is not given a second time. */
static void
what_cannot_be_read_after_a_failure_is_not_written_over(void **state)
{
    char buffer[STO_AUDIT_PACKED_MAX];
    const struct evt_audit row = { .what = EVT_AUDIT_BEGAN,
                                   .resource = HD_LIT("sip:alice@example.com"),
                                   .package = HD_LIT("presence"),
                                   .watcher = HD_LIT("sip:bob@example.com"),
                                   .address = { .family = 4 } };

    (void)state;
    note("sip:alice@example.com", "sip:bob@example.com", 1, 1000);
    assert_int_equal(sto_audit_commit(audit, 1000), HD_OK);
    note("sip:alice@example.com", "sip:bob@example.com", 2, 1001);
    sqlite3_progress_handler(audit->db, 1, always, NULL); /* nothing succeeds any more */
    assert_int_equal(sto_audit_commit(audit, 1001), HD_EIO);
    assert_int_equal(sto_audit_add(audit, 1002, sto_audit_pack(&row, buffer)), HD_EIO);
    sqlite3_progress_handler(audit->db, 0, NULL, NULL);
    note("sip:alice@example.com", "sip:bob@example.com", 3, 1003);
    assert_int_equal(sto_audit_commit(audit, 1003), HD_OK);
    const struct seen seen = read_it("", 0, 10);
    assert_int_equal(seen.n, 2);
    assert_int_equal(seen.rules[0], 3);
    assert_int_equal(seen.rules[1], 1);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(lines_are_read_newest_first_by_resource_and_time),
        TEST(it_outlives_its_process),
        TEST(old_lines_go),
        TEST(no_more_than_so_many_stay_and_those_of_a_pack),
        TEST(a_pack_that_grows_slowly_ends_with_its_time),
        TEST(packs_fill_a_page_whatever_comes_at_once),
        TEST(lines_that_cannot_be_committed_are_gone_and_no_others),
        TEST(what_cannot_be_opened_or_read_is_told),
        TEST(a_commit_does_not_search_what_is_kept),
        TEST(a_copy_holds_what_was_committed_and_overwrites_nothing),
        TEST(a_reading_is_broken_off_between_packs),
        TEST(an_old_pack_hides_no_newer_one),
        TEST(what_cannot_be_read_after_a_failure_is_not_written_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
