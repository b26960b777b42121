#include "store/test_journal.h"

#include <sys/wait.h>

#include "base/rng.h"

static int
setup(void **state)
{
    return setup_in(state, "/tmp", false);
}

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

    assert_true(f->journal->end < NUMBERS_END);
    for (int i = 0; i < 42; i++)
        keep(f, EVT_RECORD_SUBSCRIPTION, (uint64_t)(i % 4), (char[2]){ (char)('A' + i), 0 });
    assert_true(f->journal->end > NUMBERS_END);
    assert_found(f, "1:2=g@0 1:3=h@0 1:0=i@0 1:1=j@0 ");
    keep(f, EVT_RECORD_SUBSCRIPTION, 2, "");
    assert_found(f, "1:3=h@0 1:0=i@0 1:1=j@0 ");
}

/* A void takes the place of a number that is not given. */
static void
no_row_has_a_number_whose_lower_half_is_0(void **state)
{
    struct fixture *f = *state;
    static char octets[4096];

    memset(octets, 'x', sizeof(octets) - 1);
    octets[NUMBERS_END - f->journal->end - STO_ROW_HEAD] = '\0'; /* the next one would have it */
    sto_journal_begin(f->journal);
    assert_int_equal(
        sto_journal_append(f->journal, EVT_RECORD_SUBSCRIPTION, 7, 1, hd_slice_str(octets), f->now),
        HD_OK);
    assert_int_equal(
        sto_journal_append(f->journal, EVT_RECORD_SUBSCRIPTION, 7, 2, hd_slice_str("two"), f->now),
        HD_OK);
    assert_int_equal(
        sto_journal_append(f->journal, EVT_RECORD_SUBSCRIPTION, 7, 1, hd_slice_str("one"), f->now),
        HD_OK);
    assert_int_equal(sto_journal_commit(f->journal), HD_OK);
    const struct sto_place *place = sto_index_find(&f->journal->index[0], 2);
    assert_non_null(place);
    assert_int_equal(place->row, STO_ROW_HEAD / STO_UNIT);
    assert_found(f, "1:2=two@0 1:1=one@0 ");
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

struct every {
    uint64_t id;
    unsigned seen;
};

static enum hd_err
see_every(void *context, enum evt_record_kind kind, unsigned bucket, uint64_t id,
          struct hd_slice record, uint64_t age_ms)
{
    struct every *every = context;

    (void)age_ms;
    assert_int_equal(kind, EVT_RECORD_SUBSCRIPTION);
    assert_int_equal(bucket, 4095);
    assert_true(id == every->id);
    assert_int_equal(record.n, 256);
    for (size_t i = 0; i < record.n; i++)
        assert_int_equal((unsigned char)record.p[i], i);
    every->seen++;
    return HD_OK;
}

static void
ids_of_64_bits_and_octets_of_every_value_come_back(void **state)
{
    struct fixture *f = *state;
    char octets[256];
    uint64_t id = UINT64_MAX;

    for (int i = 0; i < 256; i++)
        octets[i] = (char)i;
    sto_journal_begin(f->journal);
    assert_int_equal(sto_journal_append(f->journal, EVT_RECORD_SUBSCRIPTION, 4095, id,
                                        hd_slice(octets, sizeof(octets)), f->now),
                     HD_OK);
    assert_int_equal(sto_journal_commit(f->journal), HD_OK);
    struct every every = { .id = id };
    struct sto_journal_visitor visitor = { see_every, NULL, &every };
    open_again(f);
    assert_int_equal(sto_journal_load(f->journal, &visitor, f->problem), HD_OK);
    assert_int_equal(every.seen, 1);
}

static void
what_was_rolled_back_leaves_no_trace(void **state)
{
    struct fixture *f = *state;

    keep(f, EVT_RECORD_SUBSCRIPTION, 5, "kept");
    sto_journal_begin(f->journal);
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

    sto_journal_begin(f->journal);
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
}

static void
a_row_that_was_moved_keeps_its_age(void **state)
{
    struct fixture *f = *state;
    const uint64_t before = f->journal->end;

    keep(f, EVT_RECORD_SUBSCRIPTION, 1, "one");
    f->now.boot_ms += 500;
    for (int i = 0; i < 2000; i++)
        keep(f, EVT_RECORD_SUBSCRIPTION, 2, "two");
    assert_true(f->journal->tail > before);
    assert_found(f, "1:1=one@500 1:2=two@0 ");
}

/* --- what is refused --------------------------------------------------------------------- */

/* Another file at the path: octets, and so many zeros behind them. */
static void
put_file(const struct fixture *f, const void *octets, size_t n, size_t zeros)
{
    FILE *file = fopen(f->path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(octets, 1, n, file), n);
    while (zeros-- > 0)
        assert_int_equal(fputc(0, file), 0);
    assert_int_equal(fclose(file), 0);
}

/* The second word of the header is the format, and the last one its sum. */
static void
set_format(const struct fixture *f, uint64_t format)
{
    uint64_t words[8];
    FILE *file = fopen(f->path, "r+b");

    assert_non_null(file);
    assert_int_equal(fread(words, 1, sizeof(words), file), sizeof(words));
    words[1] = format;
    words[7] = hd_sum(hd_slice((const char *)words, 7 * sizeof(words[0])));
    assert_int_equal(fseek(file, 0, SEEK_SET), 0);
    assert_int_equal(fwrite(words, 1, sizeof(words), file), sizeof(words));
    assert_int_equal(fclose(file), 0);
}

static void
another_format_is_refused_with_a_line(void **state)
{
    struct fixture *f = *state;

    keep(f, EVT_RECORD_SUBSCRIPTION, 1, "one");
    close_file(f);
    set_format(f, 5);
    assert_int_equal(try_open(f), HD_EVERSION);
    assert_non_null(strstr(f->problem, "live-0.log: written by a newer herald (format 5"));
    set_format(f, 3);
    assert_int_equal(try_open(f), HD_EVERSION);
    assert_non_null(strstr(f->problem, "live-0.log: written by an older herald (format 3"));
    set_format(f, 4);
    assert_found(f, "1:1=one@0 ");
}

static void
the_file_of_somebody_else_is_refused_and_left_as_it_is(void **state)
{
    static const struct {
        const char *octets;
        size_t zeros;
    } row[] = { { "SQLite format 3", 8000 },
                { "this is a letter to somebody and no live file at all, honestly", 0 },
                { "ab", 0 },
                { "", 5000 },
                { "HERHDLV", 0 },
                { "EVLDHREH and then something else that is long enough to be looked at", 2000 } };
    struct fixture *f = *state;

    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct stat before, after;
        close_file(f);
        (void)snprintf(f->path, sizeof(f->path), "%s/foreign-%zu.log", f->folder, i);
        put_file(f, row[i].octets, strlen(row[i].octets), row[i].zeros);
        assert_int_equal(stat(f->path, &before), 0);
        enum hd_err err = try_open(f);
        if (err != HD_EVERSION)
            print_error("row: %zu\n", i);
        assert_int_equal(err, HD_EVERSION);
        assert_non_null(strstr(f->problem, ".log: no live file of herald"));
        assert_int_equal(stat(f->path, &after), 0);
        assert_true(before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
        assert_int_equal(before.st_size, after.st_size);
    }
}

/* A crash while it was made: nothing was kept in it yet. */
static void
a_file_that_was_hardly_begun_is_begun_again(void **state)
{
    struct fixture *f = *state;

    for (size_t zeros = 0; zeros < 1000; zeros += 333) {
        close_file(f);
        put_file(f, "", 0, zeros);
        open_again(f);
        keep(f, EVT_RECORD_SUBSCRIPTION, 1, "one");
        assert_found(f, "1:1=one@0 ");
    }
}

static void
a_folder_that_is_not_there_is_told_with_its_name(void **state)
{
    struct fixture *f = *state;

    close_file(f);
    (void)snprintf(f->path, sizeof(f->path), "%s/no/live-0.log", f->folder);
    assert_int_equal(try_open(f), HD_EIO);
    assert_non_null(strstr(f->problem, "/no/live-0.log: unable to open"));
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
                     strstr(other.problem, "live-0.log: another process uses it") != NULL;
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
    sto_journal_begin(f->journal);
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
    const uint64_t before = f->journal->end;
    uint64_t most = 0;
    struct dice dice;

    take_dice(&dice, 20);
    for (unsigned round = 0; round < 4000; round++) {
        /* Sometimes few ids and much change, sometimes many that rest. */
        uint32_t ids = round % 1000 < 500 ? 200 : MODEL_IDS;
        model_batch(f, model, &dice, ids);
        most = f->journal->live_octets > most ? f->journal->live_octets : most;
        assert_true(f->journal->end - f->journal->tail <= 3 * f->journal->live_octets + 2 * SLACK);
        if (roll(&dice, 200) == 0)
            model_check(f, model);
    }
    model_check(f, model);
    assert_true(f->journal->tail > before); /* it was trimmed at all */
    uint64_t size = 0;
    assert_int_equal(sto_file_size(f->journal->log->file, &size), HD_OK);
    assert_true(size < most * 3 + 2 * SLACK + 4 * SEGMENT); /* and slots were used again */
    free(model);
}

static void
resting_records_are_moved_and_what_changes_is_forgotten(void **state)
{
    struct fixture *f = *state;

    sto_journal_begin(f->journal);
    for (uint64_t id = 100; id < 5100; id++)
        assert_int_equal(sto_journal_append(f->journal, EVT_RECORD_SUBSCRIPTION, 7, id,
                                            hd_slice_str("rests"), f->now),
                         HD_OK);
    assert_int_equal(sto_journal_commit(f->journal), HD_OK);
    for (int batch = 0; batch < 400; batch++) {
        sto_journal_begin(f->journal);
        for (int i = 0; i < 100; i++)
            assert_int_equal(sto_journal_append(f->journal, EVT_RECORD_SUBSCRIPTION, 7, (uint64_t)i,
                                                hd_slice_str("changes"), f->now),
                             HD_OK);
        assert_int_equal(sto_journal_commit(f->journal), HD_OK);
        assert_true(sto_journal_rows(f->journal) < 3 * 5100 + 2 * SLACK / STO_ROW_HEAD);
    }
    assert_int_equal(sto_journal_live(f->journal), 5100);
    assert_int_equal(f->journal->live_octets, 5100 * 64);
    uint64_t rows = sto_journal_rows(f->journal);
    open_again(f); /* from the tail that the newest segment knows, or a little before */
    assert_true(sto_journal_rows(f->journal) >= rows);
    assert_true(sto_journal_rows(f->journal) < rows + 2 * SEGMENT / STO_ROW_HEAD);
    assert_int_equal(f->journal->live_octets, 5100 * 64);
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
            struct sto_held held = { (uint32_t)round, (uint16_t)(round % 1000) };
            struct sto_held before = sto_index_put(&index, id, held);
            assert_int_equal(before.row, rows[id]);
            assert_int_equal(before.size, rows[id] % 1000);
            rows[id] = round;
        } else {
            assert_int_equal(sto_index_remove(&index, id).row, rows[id]);
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
    assert_int_equal(sto_journal_start(f->journal), 1 + STARTS_UNKNOWN + 1);
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
    struct fixture other = { .path = "" };
    (void)snprintf(other.path, sizeof(other.path), "%s", copy);
    put_file(&other, "precious", 8, 0);
    assert_int_equal(sto_journal_backup(f->journal, copy, &done), HD_ESTORE);
    struct stat st;
    assert_int_equal(stat(copy, &st), 0);
    assert_int_equal(st.st_size, 8); /* it is as it was */
    (void)snprintf(copy, sizeof(copy), "%s/none/copy.db", f->folder);
    assert_int_equal(sto_journal_backup(f->journal, copy, &done), HD_ESTORE);
    keep(f, EVT_RECORD_SUBSCRIPTION, 1, "goes on");
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_newest_row_of_an_id_counts),
        TEST(a_removed_record_stays_away_and_may_come_again),
        TEST(numbers_of_rows_go_on_beyond_32_bits),
        TEST(no_row_has_a_number_whose_lower_half_is_0),
        TEST(removing_what_is_not_there_is_no_error),
        TEST(kinds_do_not_mix_and_publications_come_first),
        TEST(ids_of_64_bits_and_octets_of_every_value_come_back),
        TEST(what_was_rolled_back_leaves_no_trace),
        TEST(what_was_not_committed_is_gone),
        cmocka_unit_test(ages_are_told_by_the_clock_that_can_be_trusted),
        TEST(a_boot_that_comes_back_is_known_again),
        TEST(a_row_that_was_moved_keeps_its_age),
        TEST(another_format_is_refused_with_a_line),
        TEST(the_file_of_somebody_else_is_refused_and_left_as_it_is),
        TEST(a_file_that_was_hardly_begun_is_begun_again),
        TEST(a_folder_that_is_not_there_is_told_with_its_name),
        TEST(a_second_process_is_refused_with_a_clear_line),
        TEST(no_live_row_is_ever_lost_and_the_file_stays_near_twice_of_them),
        TEST(resting_records_are_moved_and_what_changes_is_forgotten),
        cmocka_unit_test(the_place_of_a_removed_id_is_found_by_those_behind_it),
        TEST(each_start_has_the_next_number_and_a_clean_end_takes_it_back),
        TEST(a_copy_counts_the_starts_that_it_does_not_know_of),
        TEST(a_copy_made_while_records_are_written_can_be_opened),
        TEST(a_copy_does_not_overwrite),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
