/* journal_damage_test.c - a log of which octets were turned over or are gone: what is hit is put
 * aside and told, and the rest serves. */
#include "store/test_journal.h"

#include <unistd.h>

/* In memory where that can be had: each commit is synced. */
static int
setup(void **state)
{
    return setup_in(state, access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", true);
}

/* Three in one commit. */
static void
keep_three(struct fixture *f)
{
    static const struct {
        uint64_t id;
        const char *octets;
    } row[] = { { 5, "first" }, { 6, "one with more octets" }, { 7, "last" } };

    sto_journal_begin(f->journal);
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        assert_int_equal(sto_journal_append(f->journal, EVT_RECORD_SUBSCRIPTION, 7, row[i].id,
                                            hd_slice_str(row[i].octets), f->now),
                         HD_OK);
    assert_int_equal(sto_journal_commit(f->journal), HD_OK);
}

/* Where in the file a place of the log is, as long as no slot has been used twice. */
static long
offset(uint64_t place)
{
    return (long)((place / OCTETS - FIRST) * SEGMENT + HEADER + place % OCTETS);
}

/* Turns over a bit of some octets of the file. */
static void
damage(const struct fixture *f, long at, size_t n)
{
    FILE *file = fopen(f->path, "r+b");

    assert_non_null(file);
    while (n-- > 0) {
        assert_int_equal(fseek(file, at, SEEK_SET), 0);
        int octet = fgetc(file);
        assert_true(octet >= 0);
        assert_int_equal(fseek(file, at++, SEEK_SET), 0);
        assert_int_equal(fputc(octet ^ 16, file), octet ^ 16);
    }
    assert_int_equal(fclose(file), 0);
}

/* Whether what was put aside has these octets. */
static bool
is_aside(const struct fixture *f, const char *octets)
{
    char path[256], all[65536];

    (void)snprintf(path, sizeof(path), "%s" STO_DAMAGED, f->path);
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    size_t n = fread(all, 1, sizeof(all), file);
    (void)fclose(file);
    return memmem(all, n, octets, strlen(octets)) != NULL;
}

static struct found
start_damaged(struct fixture *f, unsigned damaged)
{
    open_again(f);
    struct found found = load_with(f, HD_OK, HD_OK);
    assert_int_equal(found.damaged, damaged);
    return found;
}

/* A new file of its own for each case. */
static void
begin_file(struct fixture *f, size_t number)
{
    close_file(f);
    (void)snprintf(f->path, sizeof(f->path), "%s/damaged-%zu.log", f->folder, number);
    open_again(f);
}

/* Whatever of the second row is hit. */
static void
a_damaged_row_is_put_aside_and_the_rest_serves(void **state)
{
    const size_t first = sto_row_size(strlen("first"));
    const size_t second = STO_ROW_HEAD + strlen("one with more octets"); /* what fills up says
                                                                            nothing */
    struct fixture *f = *state;

    for (size_t at = first; at < first + second; at++) {
        begin_file(f, at);
        keep(f, EVT_RECORD_SUBSCRIPTION, 6, "older state");
        const uint64_t from = f->journal->end;
        keep_three(f);
        keep(f, EVT_RECORD_SUBSCRIPTION, 8, "goes on");
        close_file(f);
        damage(f, offset(from + at), 1);
        struct found found = start_damaged(f, 1);
        assert_true(is_aside(f, "more oc") || is_aside(f, "one w"));
        /* When its head was hit, nobody knows what it replaced. */
        const char *expected = at < first + STO_ROW_HEAD
                                   ? "1:6=older state@0 1:5=first@0 1:7=last@0 1:8=goes on@0 "
                                   : "1:5=first@0 1:7=last@0 1:8=goes on@0 ";
        assert_string_equal(found.text, expected);
        /* Told once; what it replaced does not come back. */
        assert_found(f, expected);
        assert_int_equal(sto_journal_lost(f->journal), 0);
    }
}

static void
two_damaged_rows_cost_no_third(void **state)
{
    const size_t first = sto_row_size(strlen("first"));
    struct fixture *f = *state;
    const uint64_t from = f->journal->end;

    keep_three(f);
    keep(f, EVT_RECORD_SUBSCRIPTION, 8, "goes on");
    close_file(f);
    damage(f, offset(from) + 3, 1);
    damage(f, offset(from + first + STO_ROW_HEAD), 1);
    struct found found = start_damaged(f, 2);
    assert_string_equal(found.text, "1:7=last@0 1:8=goes on@0 ");
    assert_found(f, "1:7=last@0 1:8=goes on@0 ");
}

/* One behind it shows that the commit was on the disk. */
static void
a_mark_that_was_hit_costs_nothing_but_itself(void **state)
{
    struct fixture *f = *state;

    keep_three(f);
    const uint64_t mark = f->journal->end - STO_ROW_HEAD;
    keep(f, EVT_RECORD_SUBSCRIPTION, 8, "goes on");
    close_file(f);
    damage(f, offset(mark) + 9, 1);
    struct found found = start_damaged(f, 1);
    assert_string_equal(found.text,
                        "1:5=first@0 1:6=one with more octets@0 1:7=last@0 1:8=goes on@0 ");
    assert_found(f, "1:5=first@0 1:6=one with more octets@0 1:7=last@0 1:8=goes on@0 ");
}

/* Nobody knows whether it was cut short by a crash: the state before it is shown. */
static void
the_last_commit_does_not_count_when_a_part_is_missing(void **state)
{
    struct fixture *f = *state;
    static const size_t hit[] = { 3, STO_ROW_HEAD + 1, 100, 180 };

    for (size_t i = 0; i < HD_ARRAY_LEN(hit); i++) {
        begin_file(f, i);
        keep(f, EVT_RECORD_SUBSCRIPTION, 6, "older state");
        const uint64_t from = f->journal->end;
        keep_three(f);
        close_file(f);
        damage(f, offset(from + hit[i]), 1);
        struct found found = start_damaged(f, 0);
        assert_string_equal(found.text, "1:6=older state@0 ");
        keep(f, EVT_RECORD_SUBSCRIPTION, 9, "n"); /* where it was */
        assert_found(f, "1:6=older state@0 1:9=n@0 ");
    }
}

/* After a clean end it is known. */
static void
a_last_commit_that_is_missing_after_a_clean_end_is_told(void **state)
{
    struct fixture *f = *state;

    keep_three(f);
    const uint64_t end = f->journal->end;
    assert_int_equal(sto_journal_end_start(f->journal), HD_OK);
    close_file(f);
    damage(f, offset(end) + 3, 1);
    struct found found = start_damaged(f, 1);
    assert_string_equal(found.text, "1:5=first@0 1:6=one with more octets@0 1:7=last@0 ");
    assert_found(f, found.text);
}

/* The rows of a commit that the disk refused lie behind a later one that is shorter, at the very
 * place where the next row would be. */
static void
what_a_refused_commit_left_behind_is_no_commit(void **state)
{
    struct fixture *f = *state;

    keep(f, EVT_RECORD_SUBSCRIPTION, 1, "one");
    const uint64_t end = f->journal->end;
    const size_t row = sto_row_size(1);
    char left[4 * 64 + STO_ROW_HEAD];
    sto_journal_begin(f->journal);
    for (uint64_t id = 2; id < 6; id++)
        assert_int_equal(sto_journal_append(f->journal, EVT_RECORD_SUBSCRIPTION, 7, id,
                                            hd_slice_str("r"), f->now),
                         HD_OK);
    assert_int_equal(add_mark(f->journal), HD_OK);
    assert_int_equal(f->journal->batch_n, sizeof(left));
    memcpy(left, f->journal->batch, sizeof(left));
    sto_journal_rollback(f->journal);
    /* "new" and its mark end where the third of the refused ones begins. */
    char octets[64] = "new";
    memset(octets + 3, ' ', 2 * row - 2 * STO_ROW_HEAD - 3);
    keep(f, EVT_RECORD_SUBSCRIPTION, 1, octets);
    assert_int_equal(f->journal->end, end + 2 * row);
    assert_int_equal(sto_segments_write(f->journal->log, end + 2 * row, left + 2 * row,
                                        sizeof(left) - 2 * row, 0),
                     HD_OK);
    open_again(f);
    struct found found = load_with(f, HD_OK, HD_OK);
    assert_int_equal(found.damaged, 0);
    assert_int_equal(sto_journal_live(f->journal), 1);
    assert_non_null(strstr(found.text, "1:1=new"));
}

/* Each case a header of the second of three segments, once, or both times. */
static void
a_header_that_was_hit_is_found_by_what_is_behind_it(void **state)
{
    static const char *const text =
        "a record that is long enough for some of them to make more than one segment of the log, "
        "which is what this is about, and which ends here";
    struct fixture *f = *state;

    for (size_t i = 0; i < 3; i++) {
        begin_file(f, i);
        for (uint64_t id = 1; f->journal->end < (FIRST + 2) * OCTETS + 900; id++)
            keep(f, EVT_RECORD_SUBSCRIPTION, id, text);
        uint64_t live = sto_journal_live(f->journal);
        close_file(f);
        damage(f, (long)SEGMENT + 20, 1);
        if (i > 0)
            damage(f, (long)SEGMENT + (long)COPY + 20, 1);
        if (i > 1) { /* that of the newest, too */
            damage(f, 2 * (long)SEGMENT + 20, 1);
            damage(f, 2 * (long)SEGMENT + (long)COPY + 20, 1);
        }
        open_again(f);
        assert_int_equal(sto_journal_lost(f->journal), 0);
        assert_int_equal(sto_journal_live(f->journal), live);
    }
}

static void
a_segment_that_is_gone_costs_what_was_in_it(void **state)
{
    struct fixture *f = *state;

    for (uint64_t id = 1; f->journal->end < (FIRST + 2) * OCTETS + 900; id++)
        keep(f, EVT_RECORD_SUBSCRIPTION, id, "a record");
    uint64_t live = sto_journal_live(f->journal);
    close_file(f);
    damage(f, (long)SEGMENT, SEGMENT);
    open_again(f);
    assert_in_range(sto_journal_lost(f->journal), 1, 2); /* of one commit, or of two */
    uint64_t left = sto_journal_live(f->journal);
    assert_true(left < live - 100 && left > live / 3);
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
    assert_true(is_aside(f, "strange"));
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
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_damaged_row_is_put_aside_and_the_rest_serves),
        TEST(two_damaged_rows_cost_no_third),
        TEST(a_mark_that_was_hit_costs_nothing_but_itself),
        TEST(the_last_commit_does_not_count_when_a_part_is_missing),
        TEST(a_last_commit_that_is_missing_after_a_clean_end_is_told),
        TEST(what_a_refused_commit_left_behind_is_no_commit),
        TEST(a_header_that_was_hit_is_found_by_what_is_behind_it),
        TEST(a_segment_that_is_gone_costs_what_was_in_it),
        TEST(a_record_that_the_visitor_cannot_read_is_put_aside),
        TEST(what_else_the_visitor_says_ends_the_visit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
