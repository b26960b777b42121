/* journal_damage_test.c - rows and packs of which octets were turned, cut or moved: what is hit is
 * put aside or told, and the rest serves. */
#include "store/test_journal.h"

/* Three in one pack. */
static void
keep_three(struct fixture *f)
{
    static const struct {
        uint64_t id;
        const char *octets;
    } row[] = { { 5, "first" }, { 6, "one with more octets" }, { 7, "last" } };

    assert_int_equal(sto_journal_begin(f->journal), HD_OK);
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        assert_int_equal(sto_journal_append(f->journal, EVT_RECORD_SUBSCRIPTION, 7, row[i].id,
                                            hd_slice_str(row[i].octets), f->now),
                         HD_OK);
    assert_int_equal(sto_journal_commit(f->journal), HD_OK);
}

/* Turns over a bit of an octet of a pack. */
static void
damage(struct fixture *f, uint64_t pack, size_t at)
{
    sqlite3_blob *blob = NULL;
    sqlite3 *db = NULL;
    char octet;

    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_blob_open(db, "main", "subscription", "body", (int64_t)pack, 1, &blob),
                     SQLITE_OK);
    assert_int_equal(sqlite3_blob_read(blob, &octet, 1, (int)at), SQLITE_OK);
    octet ^= 16;
    assert_int_equal(sqlite3_blob_write(blob, &octet, 1, (int)at), SQLITE_OK);
    assert_int_equal(sqlite3_blob_close(blob), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Whatever of the second row is hit, also its length. */
static void
a_damaged_row_is_put_aside_and_the_rest_serves(void **state)
{
    const size_t first = sto_row_size(strlen("first"));
    const size_t second = sto_row_size(strlen("one with more octets"));
    struct fixture *f = *state;

    for (size_t at = first; at < first + second - 4; at++) { /* what fills up says nothing */
        close_file(f);
        (void)snprintf(f->path, sizeof(f->path), "%s/damaged-%zu.db", f->folder, at);
        open_again(f);
        keep(f, EVT_RECORD_SUBSCRIPTION, 6, "older state");
        keep_three(f);
        close_file(f);
        damage(f, 2, at);
        open_again(f);
        struct found found = load_with(f, HD_OK, HD_OK);
        assert_int_equal(found.damaged, 1);
        assert_int_equal(ask(f, "SELECT count(*) FROM damaged WHERE tab='subscription' AND row=3"),
                         1);
        if (at >= first + 16 && at < first + 24) { /* its id: what it replaced is not known */
            assert_string_equal(found.text, "1:6=older state@0 1:5=first@0 1:7=last@0 ");
            continue;
        }
        assert_string_equal(found.text, "1:5=first@0 1:7=last@0 ");
        /* Told once; what it replaced does not come back. */
        assert_found(f, "1:5=first@0 1:7=last@0 ");
        keep(f, EVT_RECORD_SUBSCRIPTION, 8, "goes on");
        assert_found(f, "1:5=first@0 1:7=last@0 1:8=goes on@0 ");
    }
}

static void
two_damaged_rows_cost_no_third(void **state)
{
    const size_t first = sto_row_size(strlen("first"));
    struct fixture *f = *state;

    keep_three(f);
    keep(f, EVT_RECORD_SUBSCRIPTION, 8, "goes on");
    close_file(f);
    damage(f, 1, 3);
    damage(f, 1, first + 50);
    open_again(f);
    struct found found = load_with(f, HD_OK, HD_OK);
    assert_int_equal(found.damaged, 2);
    assert_string_equal(found.text, "1:7=last@0 1:8=goes on@0 ");
    assert_found(f, "1:7=last@0 1:8=goes on@0 ");
}

/* How many there were cannot be told: the number of the next pack says that some are gone. */
static void
damage_at_the_end_of_a_pack_is_told_with_what_it_hides(void **state)
{
    const size_t first = sto_row_size(strlen("first"));
    struct fixture *f = *state;

    keep_three(f);
    keep(f, EVT_RECORD_SUBSCRIPTION, 8, "goes on");
    close_file(f);
    damage(f, 1, first + 50);
    damage(f, 1, first + sto_row_size(strlen("one with more octets")));
    open_again(f);
    (void)load_with(f, HD_OK, HD_ESYNTAX);
    assert_non_null(strstr(f->problem, "rows are missing"));
}

static void
a_pack_that_was_cut_costs_what_it_lost(void **state)
{
    struct fixture *f = *state;

    keep_three(f);
    close_file(f);
    run_sql(f->path, "UPDATE subscription SET body=substr(body,1,length(body)-1)");
    open_again(f);
    struct found found = load_with(f, HD_OK, HD_OK);
    assert_int_equal(found.damaged, 0); /* only what fills up is gone */
    close_file(f);
    run_sql(f->path, "UPDATE subscription SET body=substr(body,1,length(body)-8)");
    open_again(f);
    found = load_with(f, HD_OK, HD_OK);
    assert_int_equal(found.damaged, 1);
    assert_found(f, "1:5=first@0 1:6=one with more octets@0 ");
}

/* One page each: a pack is no larger, unless a single record is. */
static void
many_records_of_a_batch_are_few_rows_of_the_file(void **state)
{
    struct fixture *f = *state;
    static char large[40000];

    memset(large, 'x', sizeof(large));
    assert_int_equal(sto_journal_begin(f->journal), HD_OK);
    for (uint64_t id = 1; id <= 256; id++)
        assert_int_equal(sto_journal_append(f->journal, EVT_RECORD_SUBSCRIPTION, 7, id,
                                            hd_slice(large, id == 100 ? sizeof(large) : 400),
                                            f->now),
                         HD_OK);
    assert_int_equal(sto_journal_commit(f->journal), HD_OK);
    assert_int_equal(ask(f, "SELECT count(*) FROM subscription"), 17);
    assert_int_equal(ask(f, "SELECT max(length(body))>40000 FROM subscription"), 1);
    assert_int_equal(ask(f, "SELECT count(*) FROM subscription WHERE length(body)>8128"), 1);
    assert_int_equal(sto_journal_rows(f->journal), 256);
}

static void
a_row_with_the_number_of_another_is_damaged(void **state)
{
    struct fixture *f = *state;

    keep(f, EVT_RECORD_SUBSCRIPTION, 5, "older");
    keep(f, EVT_RECORD_SUBSCRIPTION, 5, "newer");
    close_file(f);
    run_sql(f->path, "UPDATE subscription SET row=9 WHERE row=1;"
                     "UPDATE subscription SET row=1 WHERE row=2;"
                     "UPDATE subscription SET row=2 WHERE row=9");
    open_again(f);
    struct found found = load_with(f, HD_OK, HD_OK);
    assert_int_equal(found.damaged, 2);
    assert_string_equal(found.text, "");
}

/* Rows are numbered without gaps: one that is missing is behind a page that lost its way. */
static void
a_number_that_is_missing_is_told_before_anything_is_visited(void **state)
{
    struct fixture *f = *state;

    for (uint64_t id = 1; id <= 3; id++)
        keep(f, EVT_RECORD_SUBSCRIPTION, id, "one");
    close_file(f);
    run_sql(f->path, "DELETE FROM subscription WHERE row=2");
    open_again(f);
    struct found found = load_with(f, HD_OK, HD_ESYNTAX);
    assert_int_equal(found.damaged, 0);
    assert_string_equal(found.text, "");
    assert_non_null(strstr(f->problem, "rows are missing"));
}

static void
a_record_that_the_visitor_cannot_read_is_put_aside(void **state)
{
    struct fixture *f = *state;

    keep(f, EVT_RECORD_SUBSCRIPTION, 5, "strange");
    open_again(f);
    struct found found = load_with(f, HD_ESYNTAX, HD_OK);
    assert_int_equal(found.damaged, 1);
    assert_int_equal(sto_journal_live(f->journal), 0);
    assert_int_equal(ask(f, "SELECT count(*) FROM damaged WHERE body=CAST('strange' AS BLOB)"), 1);
    assert_found(f, "");
}

static void
what_else_the_visitor_says_ends_the_visit(void **state)
{
    struct fixture *f = *state;

    keep(f, EVT_RECORD_SUBSCRIPTION, 5, "one");
    open_again(f);
    (void)load_with(f, HD_EVERSION, HD_EVERSION);
    assert_found(f, "1:5=one@0 ");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_damaged_row_is_put_aside_and_the_rest_serves, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(two_damaged_rows_cost_no_third, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_at_the_end_of_a_pack_is_told_with_what_it_hides,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_pack_that_was_cut_costs_what_it_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(many_records_of_a_batch_are_few_rows_of_the_file, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_row_with_the_number_of_another_is_damaged, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_number_that_is_missing_is_told_before_anything_is_visited,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_record_that_the_visitor_cannot_read_is_put_aside, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_else_the_visitor_says_ends_the_visit, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
