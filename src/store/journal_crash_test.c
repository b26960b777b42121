/* journal_crash_test.c - what a crash leaves where several things come together: a start behind a
 * kill, commits that were not synced, damage where one commit ends and the next begins. */
#include "store/test_journal.h"

#include <unistd.h>

#include "store/fault_vfs.h"

static int
setup(void **state)
{
    return setup_in(state, access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm", true);
}

static void
damage_with(const struct fixture *f, long at, size_t n, int octet)
{
    FILE *file = fopen(f->path, "r+b");

    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    while (n-- > 0)
        assert_true(fputc(octet, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static long
offset(uint64_t place)
{
    return (long)((place / OCTETS - FIRST) * SEGMENT + HEADER + place % OCTETS);
}

static void
keep_some(struct fixture *f, uint64_t from, unsigned n, const char *octets)
{
    sto_journal_begin(f->journal);
    for (uint64_t id = from; id < from + n; id++)
        assert_int_equal(sto_journal_append(f->journal, EVT_RECORD_SUBSCRIPTION, 7, id,
                                            hd_slice_str(octets), f->now),
                         HD_OK);
    assert_int_equal(sto_journal_commit(f->journal), HD_OK);
}

/* a lost sector over the mark of the last commit but one and the first rows of the last. */
static void
damage_over_the_begin_of_the_last_commit_ends_with_it(void **state)
{
    struct fixture *f = *state;

    keep_some(f, 1, 8, "first");
    const uint64_t end = f->journal->end;
    keep_some(f, 20, 20, "second");
    close_file(f);
    damage_with(f, offset(end) - 100, 512, 0);
    open_again(f);
    struct found found = load_with(f, HD_OK, HD_OK);
    keep(f, EVT_RECORD_SUBSCRIPTION, 50, "after");
    keep(f, EVT_RECORD_SUBSCRIPTION, 51, "after");
    char expected[sizeof(found.text) + 64];
    (void)snprintf(expected, sizeof(expected), "%s1:50=after@0 1:51=after@0 ", found.text);
    assert_found(f, expected);
}

static enum hd_err
take_all(void *context, enum evt_record_kind kind, unsigned bucket, uint64_t id,
         struct hd_slice record, uint64_t age_ms)
{
    (void)context, (void)kind, (void)bucket, (void)id, (void)record, (void)age_ms;
    return HD_OK;
}

static void
a_segment_that_is_gone_is_told_once(void **state)
{
    struct fixture *f = *state;

    for (uint64_t id = 1; f->journal->end < (FIRST + 2) * OCTETS + 900; id++)
        keep(f, EVT_RECORD_SUBSCRIPTION, id, "a");
    close_file(f);
    damage_with(f, (long)SEGMENT, SEGMENT, 0);
    open_again(f);
    assert_true(sto_journal_lost(f->journal) > 0);
    struct sto_journal_visitor all = { take_all, NULL, NULL };
    assert_int_equal(sto_journal_load(f->journal, &all, f->problem), HD_OK);
    open_again(f);
    assert_int_equal(sto_journal_lost(f->journal), 0);
}

static struct sto_journal *
open_disk(const char *vfs, bool durable)
{
    const struct sto_journal_params params = { .path = "live-0.log",
                                               .boot_id = "boot",
                                               .now = { 1000, 1000 },
                                               .durable = durable,
                                               .vfs = vfs };
    struct sto_journal *journal;
    char problem[256];
    enum hd_err err = sto_journal_open(&params, problem, &journal);

    if (err)
        print_error("%s\n", problem);
    assert_int_equal(err, HD_OK);
    return journal;
}

static void
put(struct sto_journal *journal, uint64_t id, const char *octets)
{
    assert_int_equal(sto_journal_append(journal, EVT_RECORD_SUBSCRIPTION, 7, id,
                                        hd_slice_str(octets), (struct sto_stamp){ 1000, 1000 }),
                     HD_OK);
}

static struct found
found_on(const char *vfs, bool durable)
{
    struct found found = { .answer = HD_OK };
    struct sto_journal_visitor visitor = { note, note_damaged, &found };
    char problem[256];
    struct sto_journal *journal = open_disk(vfs, durable);
    assert_int_equal(sto_journal_load(journal, &visitor, problem), HD_OK);
    sto_journal_close(journal);
    return found;
}

/* not durable: what was on the disk is lost by a commit that was torn, when the next is there. */
static void
what_was_on_the_disk_outlives_a_torn_commit(void **state)
{
    (void)state;
    struct fault_disk *disk = fault_disk_new("a"), *image = fault_disk_new("b");
    static char big[1400];
    unsigned lost = 0, told = 0, half = 0;
    memset(big, 'x', sizeof(big) - 1);
    fault_disk_record(disk);
    struct sto_journal *journal = open_disk("a", false);
    sto_journal_begin(journal);
    put(journal, 1, "kept");
    put(journal, 2, "kept");
    assert_int_equal(sto_journal_commit(journal), HD_OK);
    assert_int_equal(sto_journal_sync(journal), HD_OK);
    sto_journal_begin(journal);
    put(journal, 1, big);
    put(journal, 2, "B");
    assert_int_equal(sto_journal_commit(journal), HD_OK);
    sto_journal_begin(journal);
    put(journal, 3, "C");
    assert_int_equal(sto_journal_commit(journal), HD_OK);
    sto_journal_close(journal);
    for (uint64_t chance = 0; chance < 200; chance++) {
        struct fault_crash *crash = fault_crash_new(disk, image);
        fault_crash_at(crash, fault_disk_count(disk), FAULT_LOSE_SOME, chance);
        struct found found = found_on("b", false);
        lost += !strstr(found.text, "1:1=") || !strstr(found.text, "1:2=");
        half += !!strstr(found.text, "1:1=kept") != !!strstr(found.text, "1:2=kept");
        told += found.damaged > 0;
        fault_crash_free(crash);
    }
    fault_disk_free(disk);
    fault_disk_free(image);
    assert_int_equal(lost + told + half, 0);
}

/* not durable: the noted end is on the disk, what it is the end of is not. */
static void
a_crash_at_a_clean_end_tells_no_damage(void **state)
{
    (void)state;
    struct fault_disk *disk = fault_disk_new("a"), *image = fault_disk_new("b");
    unsigned told = 0;
    struct sto_journal *journal = open_disk("a", false);
    fault_disk_record(disk);
    sto_journal_close(journal);
    fault_disk_free(disk);
    disk = fault_disk_new("a");
    fault_disk_record(disk);
    journal = open_disk("a", false);
    sto_journal_begin(journal);
    put(journal, 1, "kept");
    assert_int_equal(sto_journal_commit(journal), HD_OK);
    assert_int_equal(sto_journal_sync(journal), HD_OK);
    assert_int_equal(sto_journal_end_start(journal), HD_OK);
    sto_journal_close(journal);
    for (uint64_t chance = 0; chance < 100; chance++) {
        struct fault_crash *crash = fault_crash_new(disk, image);
        fault_crash_at(crash, fault_disk_count(disk) - 1, FAULT_LOSE_SOME, chance);
        told += found_on("b", false).damaged > 0;
        fault_crash_free(crash);
    }
    fault_disk_free(disk);
    fault_disk_free(image);
    assert_int_equal(told, 0);
}

/* durable: killed before a sync, power lost in the start. */
static void
a_power_loss_in_the_start_behind_a_kill_loses_nothing(void **state)
{
    (void)state;
    struct fault_disk *disk = fault_disk_new("a"), *image = fault_disk_new("b");
    static char big[1400];
    unsigned lost = 0, told = 0;
    memset(big, 'x', sizeof(big) - 1);
    fault_disk_record(disk);
    struct sto_journal *journal = open_disk("a", true);
    sto_journal_begin(journal);
    put(journal, 1, "kept");
    assert_int_equal(sto_journal_commit(journal), HD_OK);
    sto_journal_begin(journal);
    put(journal, 1, big);
    assert_int_equal(trim(journal), HD_OK);
    assert_int_equal(add_mark(journal), HD_OK);
    assert_int_equal(sto_segments_write(journal->log, journal->end, journal->batch,
                                        journal->batch_n, tail_known(journal)),
                     HD_OK);
    sto_journal_close(journal); /* killed */
    size_t from = fault_disk_count(disk);
    journal = open_disk("a", true);
    sto_journal_close(journal);
    for (uint64_t chance = 0; chance < 200; chance++) {
        struct fault_crash *crash = fault_crash_new(disk, image);
        fault_crash_at(crash, from + 1, FAULT_LOSE_SOME, chance);
        struct found found = found_on("b", true);
        lost += !strstr(found.text, "1:1=");
        told += found.damaged > 0;
        fault_crash_free(crash);
    }
    fault_disk_free(disk);
    fault_disk_free(image);
    assert_int_equal(lost + told, 0);
}

/* refused at the very begin of a segment. */
static void
what_was_refused_at_the_begin_of_a_segment_stays_away(void **state)
{
    (void)state;
    struct fault_disk *disk = fault_disk_new("a");
    struct sto_journal *journal = open_disk("a", true);
    static char octets[20000];
    memset(octets, 'x', sizeof(octets));
    uint64_t rest = OCTETS - journal->end % OCTETS;
    octets[rest - 2 * STO_ROW_HEAD] = '\0';
    sto_journal_begin(journal);
    put(journal, 9, octets);
    assert_int_equal(sto_journal_commit(journal), HD_OK);
    sto_journal_begin(journal);
    put(journal, 9, "s");
    assert_int_equal(sto_journal_commit(journal), HD_OK);
    rest = OCTETS - journal->end % OCTETS;
    octets[0] = 0;
    memset(octets, 'x', sizeof(octets));
    octets[rest - 2 * STO_ROW_HEAD] = '\0';
    sto_journal_begin(journal);
    put(journal, 9, octets);
    assert_int_equal(sto_journal_commit(journal), HD_OK);
    assert_int_equal(journal->end % OCTETS, 0);
    fault_disk_fail(disk, FAULT_SYNC, 0);
    sto_journal_begin(journal);
    put(journal, 9, "refused");
    assert_int_equal(sto_journal_commit(journal), HD_ESTORE);
    fault_disk_fail(disk, FAULT_NONE, 0);
    sto_journal_close(journal);
    struct sto_journal *k = open_disk("a", true);
    uint64_t live = k->live_octets;
    sto_journal_close(k);
    fault_disk_free(disk);
    assert_true(live > 1000);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_segment_that_is_gone_is_told_once),
        TEST(what_was_on_the_disk_outlives_a_torn_commit),
        TEST(a_crash_at_a_clean_end_tells_no_damage),
        TEST(a_power_loss_in_the_start_behind_a_kill_loses_nothing),
        TEST(what_was_refused_at_the_begin_of_a_segment_stays_away),
        TEST(damage_over_the_begin_of_the_last_commit_ends_with_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
