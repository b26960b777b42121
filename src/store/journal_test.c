#include "store/test_journal.h"

#include <fcntl.h>
#include <sys/wait.h>

#include "base/rng.h"

/* --- one record at a time ---------------------------------------------------------------- */

static void
the_newest_row_of_an_id_counts(void **state)
{
    struct fixture *f = *state;

    keep(f, EVT_RECORD_SUBSCRIPTION, 5, "old");
    keep(f, EVT_RECORD_SUBSCRIPTION, 6, "other");
    keep(f, EVT_RECORD_SUBSCRIPTION, 5, "new");
    assert_int_equal(sto_journal_live(f->journal), 2);
    assert_int_equal(sto_journal_rows(f->journal), 3);
    assert_found(f, "1:6=other@0 1:5=new@0 ");
}

static void
a_removed_record_stays_away_and_may_come_again(void **state)
{
    struct fixture *f = *state;

    keep(f, EVT_RECORD_PUBLICATION, 5, "one");
    keep(f, EVT_RECORD_PUBLICATION, 5, "");
    assert_int_equal(sto_journal_live(f->journal), 0);
    assert_found(f, "");
    keep(f, EVT_RECORD_PUBLICATION, 5, "again");
    assert_found(f, "2:5=again@0 ");
}

/* Rows are told apart by half of their number. */
static void
numbers_of_rows_go_on_beyond_32_bits(void **state)
{
    struct fixture *f = *state;
    char text[2] = "a";

    f->journal->lanes[0].first = f->journal->lanes[0].next = (UINT64_C(1) << 32) - 3;
    for (uint64_t i = 0; i < 6; i++, text[0]++)
        keep(f, EVT_RECORD_SUBSCRIPTION, i % 4, text);
    assert_int_equal(f->journal->lanes[0].next, (UINT64_C(1) << 32) + 4);
    assert_int_equal(ask(f, "SELECT count(*) FROM subscription WHERE row=4294967296"), 0);
    assert_found(f, "1:2=c@0 1:3=d@0 1:0=e@0 1:1=f@0 ");
    keep(f, EVT_RECORD_SUBSCRIPTION, 2, "");
    assert_found(f, "1:3=d@0 1:0=e@0 1:1=f@0 ");
}

static void
removing_what_is_not_there_is_no_error(void **state)
{
    struct fixture *f = *state;

    keep(f, EVT_RECORD_BINDINGS, 9, "");
    assert_found(f, "");
}

static void
kinds_do_not_mix_and_publications_come_first(void **state)
{
    struct fixture *f = *state;

    keep(f, EVT_RECORD_SEEN, 5, "seen");
    keep(f, EVT_RECORD_SUBSCRIPTION, 5, "sub");
    keep(f, EVT_RECORD_BINDINGS, 5, "binding");
    keep(f, EVT_RECORD_PUBLICATION, 5, "pub");
    assert_found(f, "2:5=pub@0 3:5=binding@0 1:5=sub@0 4:5=seen@0 ");
}

static void
ids_of_64_bits_and_octets_of_every_value_come_back(void **state)
{
    struct fixture *f = *state;
    char octets[256];
    uint64_t id = UINT64_MAX;

    for (int i = 0; i < 256; i++)
        octets[i] = (char)i;
    assert_int_equal(sto_journal_begin(f->journal), HD_OK);
    assert_int_equal(sto_journal_append(f->journal, EVT_RECORD_SUBSCRIPTION, 4095, id,
                                        hd_slice(octets, sizeof(octets)), f->now),
                     HD_OK);
    assert_int_equal(sto_journal_commit(f->journal), HD_OK);
    open_again(f);
    sqlite3_stmt *s = f->journal->lanes[0].tail;
    (void)sqlite3_bind_int64(s, 1, 0);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    struct sto_pack pack = sto_pack_read(s, 0);
    struct sto_row row;
    assert_true(sto_pack_next(&pack, &row));
    assert_true(row.whole);
    assert_int_equal(row.bucket, 4095);
    assert_true(row.id == id);
    assert_int_equal(row.record.n, sizeof(octets));
    assert_memory_equal(row.record.p, octets, sizeof(octets));
    (void)sqlite3_reset(s);
}

static void
what_was_rolled_back_leaves_no_trace(void **state)
{
    struct fixture *f = *state;

    keep(f, EVT_RECORD_SUBSCRIPTION, 5, "kept");
    assert_int_equal(sto_journal_begin(f->journal), HD_OK);
    const struct {
        uint64_t id;
        const char *octets;
    } row[] = { { 5, "changed" }, { 5, "" }, { 6, "new" }, { 6, "newer" }, { 7, "" } };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        assert_int_equal(sto_journal_append(f->journal, EVT_RECORD_SUBSCRIPTION, 7, row[i].id,
                                            hd_slice_str(row[i].octets), f->now),
                         HD_OK);
    sto_journal_rollback(f->journal);
    assert_int_equal(sto_journal_live(f->journal), 1);
    assert_int_equal(sto_journal_rows(f->journal), 1);
    keep(f, EVT_RECORD_SUBSCRIPTION, 8, "after");
    assert_found(f, "1:5=kept@0 1:8=after@0 ");
}

static void
what_was_not_committed_is_gone(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(sto_journal_begin(f->journal), HD_OK);
    assert_int_equal(
        sto_journal_append(f->journal, EVT_RECORD_SUBSCRIPTION, 7, 1, hd_slice_str("lost"), f->now),
        HD_OK);
    assert_found(f, "");
}

/* --- ages -------------------------------------------------------------------------------- */

static void
ages_are_told_by_the_clock_that_can_be_trusted(void **state)
{
    static const struct {
        const char *what;
        uint8_t boot;
        int64_t boot_ms, wall_ms; /* at the second start, after the write */
        const char *found;
    } row[] = {
        { "same boot", 1, 5000, 5000, "1:1=first@6000 1:2=last@5000 " },
        { "same boot, the wall clock was set back", 1, 5000, -900000,
          "1:1=first@6000 1:2=last@5000 " },
        { "same boot, the wall clock was set ahead", 1, 5000, 900000,
          "1:1=first@6000 1:2=last@5000 " },
        { "other boot", 2, -999000, 60000, "1:1=first@61000 1:2=last@60000 " },
        { "other boot that is up for longer", 2, 99999000, 60000,
          "1:1=first@61000 1:2=last@60000 " },
        { "other boot, the wall clock was set back", 2, 0, -900000, "1:1=first@1000 1:2=last@0 " },
        { "other boot, the wall clock does not know the year", 2, 0, -1700000000000,
          "1:1=first@1000 1:2=last@0 " },
    };

    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct fixture *f;
        void *own;
        (void)setup(&own);
        f = own;
        keep(f, EVT_RECORD_SUBSCRIPTION, 1, "first");
        f->now.boot_ms += 1000;
        f->now.wall_ms += 1000;
        keep(f, EVT_RECORD_SUBSCRIPTION, 2, "last");
        f->now.boot_ms += (uint64_t)row[i].boot_ms;
        f->now.wall_ms += (uint64_t)row[i].wall_ms;
        f->boot = row[i].boot;
        open_again(f);
        struct found found = load_with(f, HD_OK, HD_OK);
        if (strcmp(found.text, row[i].found) != 0)
            print_error("row: %s\n", row[i].what);
        assert_string_equal(found.text, row[i].found);
        (void)teardown(&own);
    }
    (void)state;
}

static void
a_boot_that_comes_back_is_known_again(void **state)
{
    struct fixture *f = *state;

    keep(f, EVT_RECORD_SUBSCRIPTION, 1, "one");
    f->boot = 2;
    open_again(f);
    f->boot = 1;
    f->now.boot_ms += 10;
    assert_found(f, "1:1=one@10 ");
    assert_int_equal(ask(f, "SELECT count(*) FROM boot"), 2);
}

static void
a_row_that_was_moved_keeps_its_age(void **state)
{
    struct fixture *f = *state;

    keep(f, EVT_RECORD_SUBSCRIPTION, 1, "one");
    f->now.boot_ms += 500;
    for (int i = 0; i < 2000; i++)
        keep(f, EVT_RECORD_SUBSCRIPTION, 2, "two");
    assert_true(f->journal->lanes[0].first > 1);
    assert_found(f, "1:1=one@500 1:2=two@0 ");
}

/* --- what is refused --------------------------------------------------------------------- */

static void
another_format_is_refused_with_a_line(void **state)
{
    struct fixture *f = *state;

    close_file(f);
    run_sql(f->path, "PRAGMA user_version=4");
    assert_int_equal(try_open(f), HD_EVERSION);
    assert_non_null(strstr(f->problem, "live-0.db: written by a newer herald (format 4"));
    run_sql(f->path, "PRAGMA user_version=2");
    assert_int_equal(try_open(f), HD_EVERSION);
    assert_non_null(strstr(f->problem, "live-0.db: written by an older herald (format 2"));
    run_sql(f->path, "PRAGMA user_version=3");
    open_again(f);
}

static void
the_database_of_somebody_else_is_refused_and_left_as_it_is(void **state)
{
    static const char *const row[] = { "CREATE TABLE t (a); PRAGMA user_version=0",
                                       "CREATE TABLE t (a); PRAGMA user_version=1",
                                       "PRAGMA user_version=1", "PRAGMA application_id=77" };
    struct fixture *f = *state;

    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct stat before, after;
        close_file(f);
        (void)snprintf(f->path, sizeof(f->path), "%s/foreign-%zu.db", f->folder, i);
        run_sql(f->path, row[i]);
        assert_int_equal(stat(f->path, &before), 0);
        assert_int_equal(try_open(f), HD_EVERSION);
        assert_non_null(strstr(f->problem, "not one of herald's"));
        assert_int_equal(stat(f->path, &after), 0);
        assert_true(before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
        assert_int_equal(before.st_size, after.st_size);
    }
}

static void
a_file_that_is_no_database_is_refused_with_a_line(void **state)
{
    struct fixture *f = *state;
    static const char text[] = "this is a letter to somebody and no database at all, honestly; "
                               "it only has to be long enough that one would look for a header";

    close_file(f);
    int fd = open(f->path, O_WRONLY | O_TRUNC);
    assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
    (void)close(fd);
    assert_int_equal(try_open(f), HD_EIO);
    assert_non_null(strstr(f->problem, "live-0.db: file is not a database"));
}

static void
a_folder_that_is_not_there_is_told_with_its_name(void **state)
{
    struct fixture *f = *state;

    close_file(f);
    (void)snprintf(f->path, sizeof(f->path), "%s/no/live-0.db", f->folder);
    assert_int_equal(try_open(f), HD_EIO);
    assert_non_null(strstr(f->problem, "/no/live-0.db: unable to open"));
}

static void
a_second_process_is_refused_with_a_clear_line(void **state)
{
    struct fixture *f = *state;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        /* Nothing of the parent's connection is touched. */
        struct fixture other = *f;
        other.journal = NULL;
        bool right = try_open(&other) == HD_EIO &&
                     strstr(other.problem, "live-0.db: another process uses it") != NULL;
        _exit(right ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    keep(f, EVT_RECORD_SUBSCRIPTION, 1, "undisturbed");
    assert_found(f, "1:1=undisturbed@0 ");
}

/* The same numbers in every run. */
struct dice {
    struct hd_rng rng;
    uint64_t at;
};

static void
throw_dice(void *context, void *octets, size_t n)
{
    uint64_t *at = context;
    uint8_t *p = octets;

    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(hd_hash_mix(++*at, 0x9e3779b97f4a7c15u) >> 24);
}

static void
take_dice(struct dice *dice, uint64_t seed)
{
    dice->at = seed << 32;
    hd_rng_init(&dice->rng, throw_dice, &dice->at);
}

static uint32_t
roll(struct dice *dice, uint32_t sides)
{
    return hd_rng_below(&dice->rng, sides);
}

/* --- trimming ---------------------------------------------------------------------------- */

#define MODEL_IDS 6000

/* What must be there. */
struct model {
    uint32_t version[STO_TABLES][MODEL_IDS]; /* 0: nothing */
    uint64_t written_ms[STO_TABLES][MODEL_IDS];
    uint64_t now_ms;
    uint64_t live, seen;
};

static size_t
model_octets(unsigned table, uint64_t id, uint32_t version, char octets[64])
{
    return (size_t)snprintf(octets, 64, "%u/%llu/%u %.*s", table, (unsigned long long)id, version,
                            (int)(version % 37), "abcdefghijklmnopqrstuvwxyzabcdefghijklmn");
}

static enum hd_err
model_visit(void *context, enum evt_record_kind kind, unsigned bucket, uint64_t id,
            struct hd_slice record, uint64_t age_ms)
{
    struct model *model = context;
    unsigned table = table_of(kind);
    char octets[64];

    assert_int_equal(bucket, id % 4096);
    assert_true(id < MODEL_IDS);
    assert_int_not_equal(model->version[table][id], 0);
    size_t n = model_octets(table, id, model->version[table][id], octets);
    assert_int_equal(record.n, n);
    assert_memory_equal(record.p, octets, n);
    assert_int_equal(age_ms, model->now_ms - model->written_ms[table][id]);
    model->seen++;
    return HD_OK;
}

static void
model_damaged(void *context, const char *table, uint64_t row)
{
    (void)context;
    fail_msg("row %llu of %s is damaged", (unsigned long long)row, table);
}

static void
model_check(struct fixture *f, struct model *model)
{
    struct sto_journal_visitor visitor = { model_visit, model_damaged, model };

    model->now_ms = f->now.boot_ms;
    open_again(f);
    model->seen = 0;
    assert_int_equal(sto_journal_load(f->journal, &visitor, f->problem), HD_OK);
    assert_int_equal(model->seen, model->live);
    assert_int_equal(sto_journal_live(f->journal), model->live);
}

/* Some records; half of the batches of some kinds are rolled back. */
static void
model_batch(struct fixture *f, struct model *model, struct dice *dice, uint32_t ids)
{
    static struct model before;
    bool give_up = roll(dice, 16) == 0;
    unsigned n = 1 + (unsigned)roll(dice, 40);

    if (give_up)
        before = *model;
    assert_int_equal(sto_journal_begin(f->journal), HD_OK);
    for (unsigned i = 0; i < n; i++) {
        unsigned table = (unsigned)roll(dice, STO_TABLES);
        uint64_t id = roll(dice, ids);
        uint32_t *version = &model->version[table][id];
        bool remove = roll(dice, 4) == 0;
        char octets[64];
        size_t size = 0;

        model->live += (uint64_t)!remove - (uint64_t)(*version != 0);
        if (!remove)
            size = model_octets(table, id, (uint32_t)roll(dice, 1000000) + 1, octets);
        *version = remove ? 0 : (uint32_t)strtoul(strrchr(octets, '/') + 1, NULL, 10);
        model->written_ms[table][id] = f->now.boot_ms;
        assert_int_equal(sto_journal_append(f->journal, sto_journal_kind(table),
                                            (unsigned)(id % 4096), id, hd_slice(octets, size),
                                            f->now),
                         HD_OK);
    }
    f->now.boot_ms += 3;
    if (give_up) {
        sto_journal_rollback(f->journal);
        *model = before;
    } else {
        assert_int_equal(sto_journal_commit(f->journal), HD_OK);
    }
}

static void
no_live_row_is_ever_lost_and_the_file_stays_near_twice_of_them(void **state)
{
    struct fixture *f = *state;
    struct model *model = calloc(1, sizeof(*model));
    struct dice dice;

    take_dice(&dice, 20);
    for (unsigned round = 0; round < 4000; round++) {
        /* Sometimes few ids and much change, sometimes many that rest. */
        uint32_t ids = round % 1000 < 500 ? 200 : MODEL_IDS;
        model_batch(f, model, &dice, ids);
        for (unsigned t = 0; t < STO_TABLES; t++) {
            const struct lane *lane = &f->journal->lanes[t];
            assert_true(lane->next - lane->first <= 3 * lane->index.used + 2 * SLACK);
        }
        if (roll(&dice, 200) == 0)
            model_check(f, model);
    }
    model_check(f, model);
    assert_true(f->journal->lanes[0].first > 1); /* it was trimmed at all */
    free(model);
}

static void
resting_records_are_moved_and_what_changes_is_forgotten(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(sto_journal_begin(f->journal), HD_OK);
    for (uint64_t id = 100; id < 5100; id++)
        assert_int_equal(sto_journal_append(f->journal, EVT_RECORD_SUBSCRIPTION, 7, id,
                                            hd_slice_str("rests"), f->now),
                         HD_OK);
    assert_int_equal(sto_journal_commit(f->journal), HD_OK);
    for (int batch = 0; batch < 400; batch++) {
        assert_int_equal(sto_journal_begin(f->journal), HD_OK);
        for (int i = 0; i < 100; i++)
            assert_int_equal(sto_journal_append(f->journal, EVT_RECORD_SUBSCRIPTION, 7, (uint64_t)i,
                                                hd_slice_str("changes"), f->now),
                             HD_OK);
        assert_int_equal(sto_journal_commit(f->journal), HD_OK);
        assert_true(sto_journal_rows(f->journal) < 3 * 5100 + 2 * SLACK);
    }
    assert_int_equal(sto_journal_live(f->journal), 5100);
    assert_int_equal(ask(f, "SELECT min(row) FROM subscription"),
                     (int64_t)f->journal->lanes[0].first);
    uint64_t rows = sto_journal_rows(f->journal);
    open_again(f);
    assert_int_equal(sto_journal_rows(f->journal), rows);
}

static void
the_place_of_a_removed_id_is_found_by_those_behind_it(void **state)
{
    struct sto_index index = { 0 };
    struct dice dice;
    uint64_t rows[512] = { 0 };

    (void)state;
    take_dice(&dice, 1);
    for (uint64_t round = 1; round < 50000; round++) {
        uint64_t id = roll(&dice, HD_ARRAY_LEN(rows));
        if (roll(&dice, 2)) {
            assert_int_equal(sto_index_reserve(&index, 1), HD_OK);
            assert_int_equal(sto_index_put(&index, id, round), rows[id]);
            rows[id] = round;
        } else {
            assert_int_equal(sto_index_remove(&index, id), rows[id]);
            rows[id] = 0;
        }
        id = roll(&dice, HD_ARRAY_LEN(rows));
        const struct sto_place *place = sto_index_find(&index, id);
        assert_int_equal(place ? place->row : 0, rows[id]);
    }
    sto_index_done(&index);
}

/* --- the number of a start --------------------------------------------------------------- */

static void
each_start_has_the_next_number_and_a_clean_end_takes_it_back(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(sto_journal_start(f->journal), 1);
    open_again(f);
    assert_int_equal(sto_journal_start(f->journal), 2);
    assert_int_equal(sto_journal_end_start(f->journal), HD_OK);
    open_again(f);
    assert_int_equal(sto_journal_start(f->journal), 2);
    open_again(f);
    assert_int_equal(sto_journal_start(f->journal), 3);
}

/* As on a disk that is full at the start and has room again later. */
static void
a_number_that_could_not_be_written_goes_with_the_first_batch(void **state)
{
    struct fixture *f = *state;

    (void)load_with(f, HD_OK, HD_OK);
    assert_int_equal(sto_journal_set_start(f->journal, 0), HD_OK);
    f->journal->start_kept = false;
    assert_int_equal(sto_journal_begin(f->journal), HD_OK);
    sto_journal_rollback(f->journal);
    keep(f, EVT_RECORD_SUBSCRIPTION, 1, "one");
    open_again(f);
    assert_int_equal(sto_journal_start(f->journal), 2);
}

static void
a_copy_counts_the_starts_that_it_does_not_know_of(void **state)
{
    struct fixture *f = *state;
    char copy[128];
    bool done = false;

    (void)snprintf(copy, sizeof(copy), "%s/copy.db", f->folder);
    while (!done)
        assert_int_equal(sto_journal_backup(f->journal, copy, &done), HD_OK);
    (void)snprintf(f->path, sizeof(f->path), "%s", copy);
    open_again(f);
    assert_int_equal(sto_journal_start(f->journal), 1 + BACKUP_STARTS + 1);
}

/* --- backup ------------------------------------------------------------------------------ */

static void
a_copy_made_while_records_are_written_can_be_opened(void **state)
{
    struct fixture *f = *state;
    struct model *model = calloc(1, sizeof(*model));
    char copy[128];
    struct dice dice;
    bool done = false;
    unsigned steps = 0;

    take_dice(&dice, 3);
    for (int i = 0; i < 2000; i++)
        model_batch(f, model, &dice, MODEL_IDS);
    (void)snprintf(copy, sizeof(copy), "%s/copy.db", f->folder);
    while (!done) {
        assert_int_equal(sto_journal_backup(f->journal, copy, &done), HD_OK);
        steps++;
        if (!done)
            model_batch(f, model, &dice, MODEL_IDS);
    }
    assert_true(steps > 3);
    close_file(f);
    (void)snprintf(f->path, sizeof(f->path), "%s", copy);
    model_check(f, model);
    free(model);
}

static void
a_copy_does_not_overwrite(void **state)
{
    struct fixture *f = *state;
    char copy[128];
    bool done;

    (void)snprintf(copy, sizeof(copy), "%s/copy.db", f->folder);
    run_sql(copy, "CREATE TABLE precious (a)");
    assert_int_equal(sto_journal_backup(f->journal, copy, &done), HD_ESTORE);
    run_sql(copy, "INSERT INTO precious VALUES(1)"); /* it is as it was */
    (void)snprintf(copy, sizeof(copy), "%s/none/copy.db", f->folder);
    assert_int_equal(sto_journal_backup(f->journal, copy, &done), HD_ESTORE);
    keep(f, EVT_RECORD_SUBSCRIPTION, 1, "goes on");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_newest_row_of_an_id_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(a_removed_record_stays_away_and_may_come_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(numbers_of_rows_go_on_beyond_32_bits, setup, teardown),
        cmocka_unit_test_setup_teardown(removing_what_is_not_there_is_no_error, setup, teardown),
        cmocka_unit_test_setup_teardown(kinds_do_not_mix_and_publications_come_first, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(ids_of_64_bits_and_octets_of_every_value_come_back, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_was_rolled_back_leaves_no_trace, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_not_committed_is_gone, setup, teardown),
        cmocka_unit_test(ages_are_told_by_the_clock_that_can_be_trusted),
        cmocka_unit_test_setup_teardown(a_boot_that_comes_back_is_known_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_row_that_was_moved_keeps_its_age, setup, teardown),
        cmocka_unit_test_setup_teardown(another_format_is_refused_with_a_line, setup, teardown),
        cmocka_unit_test_setup_teardown(
            each_start_has_the_next_number_and_a_clean_end_takes_it_back, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_number_that_could_not_be_written_goes_with_the_first_batch, setup, teardown),
        cmocka_unit_test_setup_teardown(a_copy_counts_the_starts_that_it_does_not_know_of, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_database_of_somebody_else_is_refused_and_left_as_it_is,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_is_no_database_is_refused_with_a_line, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_folder_that_is_not_there_is_told_with_its_name, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_second_process_is_refused_with_a_clear_line, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            no_live_row_is_ever_lost_and_the_file_stays_near_twice_of_them, setup, teardown),
        cmocka_unit_test_setup_teardown(resting_records_are_moved_and_what_changes_is_forgotten,
                                        setup, teardown),
        cmocka_unit_test(the_place_of_a_removed_id_is_found_by_those_behind_it),
        cmocka_unit_test_setup_teardown(a_copy_made_while_records_are_written_can_be_opened, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_copy_does_not_overwrite, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
