/* Tests of tables.h: what was committed is there, whatever happens to the machine; what is damaged
 * is told and never taken for something else. */
#include "tables.c"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fault_vfs.h"

#define PATH "tables_test.db"
#define COPY "tables_test_copy.db"

static const struct sto_table tables_of_test[] = { { "users", "name TEXT" },
                                                   { "rules", "id INTEGER" } };
enum { USERS, RULES };

/* SQLite keeps the journal, empty, beside the file. */
static void
remove_files(void)
{
    static const char *const names[] = { PATH, PATH "-journal", COPY, COPY "-journal" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        (void)unlink(names[i]);
}

static struct sto_tables_params
params_on(const char *vfs)
{
    return (struct sto_tables_params){ PATH, vfs, tables_of_test, 2, 77, 3 };
}

/* An empty file, as the caller of sto_tables_make() has to make it. */
static void
make_file(const char *vfs)
{
    sqlite3 *db;

    if (!vfs)
        remove_files();
    assert_int_equal(sqlite3_open_v2(PATH, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs),
                     SQLITE_OK);
    if (!vfs)
        close(open(PATH, O_RDWR | O_CREAT, 0600));
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static struct sto_tables *
open_it(const char *vfs)
{
    const struct sto_tables_params params = params_on(vfs);
    struct sto_tables *tables = NULL;
    char problem[STO_PROBLEM] = "";

    if (sto_tables_open(&params, problem, &tables))
        fail_msg("%s", problem);
    return tables;
}

static struct sto_tables *
make_it(const char *vfs)
{
    const struct sto_tables_params params = params_on(vfs);
    struct sto_tables *tables = NULL;
    char problem[STO_PROBLEM] = "";

    make_file(vfs);
    if (sto_tables_make(&params, problem, &tables))
        fail_msg("%s", problem);
    assert_int_equal(sto_tables_commit(tables), HD_OK);
    sto_tables_close(tables);
    return open_it(vfs);
}

/* --- what is in it ---------------------------------------------------------------------------- */

struct seen {
    char text[8192];
    size_t n;
};

static enum hd_err
note(void *context, const struct sto_row_place *place, struct hd_slice key, struct hd_slice text)
{
    struct seen *seen = context;

    seen->n += (size_t)snprintf(seen->text + seen->n, sizeof(seen->text) - seen->n, "%u/%.*s=%.*s ",
                                place->table, HD_FMT(key), HD_FMT(text));
    assert_true(seen->n < sizeof(seen->text));
    return HD_OK;
}

static void
expect(struct sto_tables *tables, const char *text)
{
    struct seen seen = { .n = 0 };
    char problem[STO_PROBLEM] = "";

    assert_int_equal(sto_tables_read(tables, note, &seen, problem), HD_OK);
    assert_string_equal(seen.text, text);
}

static void
put(struct sto_tables *tables, unsigned table, const char *key, const char *text)
{
    assert_int_equal(sto_tables_put(tables, table, hd_slice_str(key), hd_slice_str(text)), HD_OK);
}

static void
what_was_committed_is_there_and_nothing_else(void **state)
{
    struct sto_tables *tables = make_it(NULL);

    (void)state;
    put(tables, USERS, "bob", "1");
    put(tables, USERS, "al\"ice'", "{\"a\":\"\\u0000\"}");
    put(tables, RULES, "17", "17");
    put(tables, RULES, "4294967294", "big");
    put(tables, RULES, "5", "5");
    assert_int_equal(sto_tables_commit(tables), HD_OK);
    put(tables, USERS, "bob", "2");
    assert_int_equal(sto_tables_remove(tables, RULES, HD_LIT("5")), HD_OK);
    assert_int_equal(sto_tables_remove(tables, RULES, HD_LIT("6")), HD_OK);
    assert_int_equal(sto_tables_commit(tables), HD_OK);
    put(tables, USERS, "eve", "not committed");
    assert_int_equal(sto_tables_remove(tables, USERS, HD_LIT("bob")), HD_OK);
    sto_tables_rollback(tables);
    put(tables, USERS, "eve", "nor this");
    sto_tables_close(tables);

    tables = open_it(NULL);
    /* A row that is put anew is a new row. */
    expect(tables, "0/al\"ice'={\"a\":\"\\u0000\"} 0/bob=2 1/17=17 1/4294967294=big ");
    assert_int_equal(sto_tables_clear(tables), HD_OK);
    put(tables, USERS, "new", "1");
    assert_int_equal(sto_tables_commit(tables), HD_OK);
    sto_tables_close(tables);
    tables = open_it(NULL);
    expect(tables, "0/new=1 ");
    sto_tables_close(tables);
    remove_files();
}

static enum hd_err
stop(void *context, const struct sto_row_place *place, struct hd_slice key, struct hd_slice text)
{
    (void)context, (void)place, (void)key, (void)text;
    return HD_EFULL;
}

static void
a_visit_ends_the_walk_with_its_error(void **state)
{
    struct sto_tables *tables = make_it(NULL);
    char problem[STO_PROBLEM] = "";

    (void)state;
    put(tables, USERS, "a", "1");
    assert_int_equal(sto_tables_commit(tables), HD_OK);
    assert_int_equal(sto_tables_read(tables, stop, NULL, problem), HD_EFULL);
    assert_string_equal(problem, "");
    sto_tables_close(tables);
    remove_files();
}

/* --- crashes ---------------------------------------------------------------------------------- */

#define CHANGES 24

/* One change of several rows in both tables. */
static void
change(struct sto_tables *tables, unsigned i)
{
    char key[16], text[300];

    for (unsigned k = 0; k < 3; k++) {
        (void)snprintf(key, sizeof(key), "%u", 1 + (i * 3 + k) % 11);
        (void)snprintf(text, sizeof(text), "%u.%u.%0*u", i, k, (int)(i * 37 % 200), i);
        put(tables, RULES, key, text);
    }
    (void)snprintf(key, sizeof(key), "user%u", i % 5);
    put(tables, USERS, key, text);
    (void)snprintf(key, sizeof(key), "user%u", (i + 2) % 5);
    assert_int_equal(sto_tables_remove(tables, USERS, hd_slice_str(key)), HD_OK);
}

static void
a_crash_leaves_what_was_before_or_what_is_after(void **state)
{
    struct fault_disk *disk = fault_disk_new("tables"), *image = fault_disk_new("tables_image");
    static struct seen after[CHANGES + 1];
    size_t acknowledged[CHANGES + 1];
    struct sto_tables *tables;
    char problem[STO_PROBLEM];

    (void)state;
    memset(after, 0, sizeof(after));
    fault_disk_record(disk);
    tables = make_it("tables");
    for (unsigned i = 0; i <= CHANGES; i++) {
        change(tables, i); /* the first one forces what was made */
        assert_int_equal(sto_tables_commit(tables), HD_OK);
        acknowledged[i] = fault_disk_count(disk);
        assert_int_equal(sto_tables_read(tables, note, &after[i], problem), HD_OK);
    }
    sto_tables_close(tables);

    const size_t count = fault_disk_count(disk);
    assert_true(acknowledged[0] < acknowledged[CHANGES]);
    for (unsigned loss = 0; loss < FAULT_LOSSES; loss++) {
        struct fault_crash *crash = fault_crash_new(disk, image);
        unsigned last = 0; /* the last change that was acknowledged */
        for (size_t n = acknowledged[0]; n <= count; n++) {
            struct seen seen = { .n = 0 };
            while (last < CHANGES && acknowledged[last + 1] <= n)
                last++;
            fault_crash_at(crash, n, (enum fault_loss)loss, n * 7919 + loss);
            tables = open_it("tables_image");
            assert_int_equal(sto_tables_read(tables, note, &seen, problem), HD_OK);
            sto_tables_close(tables);
            if (strcmp(seen.text, after[last].text) != 0 &&
                (last == CHANGES || strcmp(seen.text, after[last + 1].text) != 0))
                fail_msg("loss %u after %zu of %zu: change %u was acknowledged; found %s", loss, n,
                         count, last, seen.text);
        }
        fault_crash_free(crash);
    }
    fault_disk_free(image);
    fault_disk_free(disk);
}

static void
what_fails_is_told_and_can_be_done_again(void **state)
{
    static const enum fault faults[] = { FAULT_FULL, FAULT_WRITE, FAULT_TORN, FAULT_SYNC };
    struct fault_disk *disk = fault_disk_new("tables_faults");
    struct sto_tables *tables = make_it("tables_faults");
    unsigned struck = 0;

    (void)state;
    put(tables, USERS, "a", "1");
    assert_int_equal(sto_tables_commit(tables), HD_OK);
    for (unsigned f = 0; f < sizeof(faults) / sizeof(faults[0]); f++)
        for (unsigned nth = 0; nth < 4; nth++) {
            struct seen seen = { .n = 0 };
            char problem[STO_PROBLEM], text[9000];
            memset(text, 'x', sizeof(text) - 1); /* the file grows */
            text[sizeof(text) - 1] = '\0';
            fault_disk_fail(disk, faults[f], nth);
            enum hd_err err = sto_tables_put(tables, USERS, HD_LIT("b"), hd_slice_str(text));
            if (!err)
                err = sto_tables_commit(tables);
            fault_disk_fail(disk, FAULT_NONE, 0);
            sto_tables_rollback(tables);
            struck += err != HD_OK;
            if (err)
                assert_true(sto_tables_why(tables)[0]);
            /* Whatever is there now, it is replaced. */
            assert_int_equal(sto_tables_clear(tables), HD_OK);
            put(tables, USERS, "a", "1");
            assert_int_equal(sto_tables_commit(tables), HD_OK);
            assert_int_equal(sto_tables_read(tables, note, &seen, problem), HD_OK);
            assert_string_equal(seen.text, "0/a=1 ");
        }
    assert_true(struck > 8);
    sto_tables_close(tables);
    tables = open_it("tables_faults");
    expect(tables, "0/a=1 ");
    sto_tables_close(tables);
    fault_disk_free(disk);
}

/* --- damage ----------------------------------------------------------------------------------- */

/* Opens and reads: HD_OK and what is there, or why not. */
static enum hd_err
look(const char *vfs, struct seen *seen, char problem[STO_PROBLEM])
{
    const struct sto_tables_params params = params_on(vfs);
    struct sto_tables *tables = NULL;
    enum hd_err err = sto_tables_open(&params, problem, &tables);

    *seen = (struct seen){ .n = 0 };
    if (!err)
        err = sto_tables_read(tables, note, seen, problem);
    sto_tables_close(tables);
    return err;
}

static void
a_bit_that_turned_over_is_refused_or_says_nothing_else(void **state)
{
    struct fault_disk *disk = fault_disk_new("tables_whole"), *other = fault_disk_new("tables_bad");
    struct sto_tables *tables = make_it("tables_whole");
    static struct seen whole, seen;
    unsigned refused = 0;

    (void)state;
    for (unsigned i = 0; i < 8; i++)
        change(tables, i);
    assert_int_equal(sto_tables_commit(tables), HD_OK);
    sto_tables_close(tables);
    char problem[STO_PROBLEM] = "";
    assert_int_equal(look("tables_whole", &whole, problem), HD_OK);
    const uint64_t bits = 8 * fault_disk_size(disk, PATH);
    for (uint64_t bit = 3; bit < bits; bit += 127) {
        problem[0] = '\0';
        fault_disk_copy(disk, other);
        assert_true(fault_disk_flip(other, PATH, bit));
        const enum hd_err err = look("tables_bad", &seen, problem);
        if (err ? !problem[0] : strcmp(seen.text, whole.text) != 0)
            fail_msg("bit %llu: %d, %s", (unsigned long long)bit, (int)err, seen.text);
        refused += err == HD_ESYNTAX;
    }
    assert_true(refused > 10);
    fault_disk_free(other);
    fault_disk_free(disk);
}

static void
a_row_that_says_something_else_is_named(void **state)
{
    struct sto_tables *tables = make_it(NULL);
    static struct seen seen;
    char problem[STO_PROBLEM] = "";

    (void)state;
    put(tables, USERS, "a", "secret");
    put(tables, RULES, "12", "block");
    assert_int_equal(sto_tables_commit(tables), HD_OK);
    assert_int_equal(run(tables, "UPDATE rules SET entry='allow'"), HD_OK);
    sto_tables_close(tables);
    assert_int_equal(look(NULL, &seen, problem), HD_ESYNTAX);
    assert_string_equal(problem, "damaged at rules[12]: its check sum is wrong");
    remove_files();
}

static void
a_file_that_is_cut_is_refused(void **state)
{
    struct fault_disk *disk = fault_disk_new("tables_long"), *other = fault_disk_new("tables_cut");
    struct sto_tables *tables = make_it("tables_long");
    static struct seen seen;
    char problem[STO_PROBLEM];

    (void)state;
    change(tables, 1);
    assert_int_equal(sto_tables_commit(tables), HD_OK);
    sto_tables_close(tables);
    for (uint64_t size = 0; size < fault_disk_size(disk, PATH); size += 509) {
        fault_disk_copy(disk, other);
        fault_disk_cut(other, PATH, size);
        if (look("tables_cut", &seen, problem) != HD_ESYNTAX)
            fail_msg("%llu octets: %s", (unsigned long long)size, problem);
    }
    fault_disk_free(other);
    fault_disk_free(disk);
}

static void
what_another_program_or_a_newer_herald_wrote_is_refused(void **state)
{
    struct sto_tables *tables = make_it(NULL);
    static struct seen seen;
    char problem[STO_PROBLEM] = "";

    (void)state;
    assert_int_equal(run(tables, "PRAGMA user_version=4"), HD_OK);
    sto_tables_close(tables);
    assert_int_equal(look(NULL, &seen, problem), HD_EVERSION);
    assert_string_equal(problem, "written by a newer herald: version 4, this one reads up to 3");
    tables = make_it(NULL);
    assert_int_equal(run(tables, "PRAGMA application_id=78"), HD_OK);
    sto_tables_close(tables);
    assert_int_equal(look(NULL, &seen, problem), HD_ESYNTAX);
    tables = make_it(NULL);
    assert_int_equal(run(tables, "DROP TABLE rules"), HD_OK);
    sto_tables_close(tables);
    assert_int_equal(look(NULL, &seen, problem), HD_ESYNTAX);
    remove_files();
    assert_int_equal(look(NULL, &seen, problem), HD_ESTORE); /* and none is made */
    assert_int_not_equal(access(PATH, F_OK), 0);
}

static void
a_copy_has_it_all(void **state)
{
    struct sto_tables *tables = make_it(NULL);
    struct stat st;

    (void)state;
    put(tables, USERS, "a", "1");
    assert_int_equal(sto_tables_commit(tables), HD_OK);
    assert_int_equal(sto_tables_copy(tables, "missing/" COPY), HD_EIO);
    assert_int_equal(sto_tables_copy(tables, COPY), HD_OK);
    assert_int_equal(stat(COPY, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(sto_tables_copy(tables, COPY), HD_EIO); /* it is there */
    put(tables, USERS, "b", "2");
    assert_int_equal(sto_tables_commit(tables), HD_OK);
    expect(tables, "0/a=1 0/b=2 ");
    sto_tables_close(tables);
    assert_int_equal(rename(COPY, PATH), 0);
    tables = open_it(NULL);
    expect(tables, "0/a=1 ");
    sto_tables_close(tables);
    remove_files();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_committed_is_there_and_nothing_else),
        cmocka_unit_test(a_visit_ends_the_walk_with_its_error),
        cmocka_unit_test(a_crash_leaves_what_was_before_or_what_is_after),
        cmocka_unit_test(what_fails_is_told_and_can_be_done_again),
        cmocka_unit_test(a_bit_that_turned_over_is_refused_or_says_nothing_else),
        cmocka_unit_test(a_row_that_says_something_else_is_named),
        cmocka_unit_test(a_file_that_is_cut_is_refused),
        cmocka_unit_test(what_another_program_or_a_newer_herald_wrote_is_refused),
        cmocka_unit_test(a_copy_has_it_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
