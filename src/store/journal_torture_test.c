/* journal_torture_test.c - the log under everything at once, by chance, against a model.
 *
 * Batches of all sizes, some larger than a segment, are committed, rolled back, and refused by a
 * disk that is full, fails, tears or cannot sync; the file is closed and opened, cleanly or not; a
 * backup is made meanwhile; and of each run many crashes are looked at.  What is found must be the
 * state after a commit that was acknowledged last, or of one that followed it and whose outcome
 * nobody knows; nothing else, and no damage is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hash.h"
#include "store/fault_vfs.h"
#include "store/journal.h"

#define IDS 24
#define KINDS 3
#define STEPS 160
#define RUNS 30
#define CUTS 80
#define OCTETS_MOST 6000

/* The version of each record; 0: it is not there. */
struct state {
    uint32_t version[KINDS][IDS];
};

/* What was tried, in order. */
struct moment {
    struct state state;
    size_t from;  /* operations before it was tried */
    size_t sure;  /* operations after which it cannot be lost; SIZE_MAX: never */
    bool refused; /* by a sync that failed: it may be found until something else is sure */
};

static const enum evt_record_kind kinds[KINDS] = { EVT_RECORD_SUBSCRIPTION, EVT_RECORD_PUBLICATION,
                                                   EVT_RECORD_BINDINGS };

static uint64_t first_seed;

struct run {
    struct fault_disk *disk, *image;
    struct sto_journal *journal;
    bool durable;
    struct state now;
    struct moment *moments;
    size_t n;
    uint32_t versions;
    uint64_t dice, seed;
    bool backing_up;
    char copy[64];
};

static uint32_t
roll(uint64_t *dice, uint32_t sides)
{
    *dice = hd_hash_mix(*dice, 0x9e3779b97f4a7c15u);
    return (uint32_t)(*dice >> 33) % sides;
}

static enum hd_err
open_on(const char *vfs, const char *path, bool durable, struct sto_journal **ret_journal)
{
    struct sto_journal_params params = {
        .path = path, .boot_id = "boot", .now = { 1000, 1000 }, .durable = durable, .vfs = vfs
    };
    char problem[256];
    enum hd_err err = sto_journal_open(&params, problem, ret_journal);

    if (err)
        print_error("%s\n", problem);
    return err;
}

static size_t
octets_of(unsigned kind, uint64_t id, uint32_t version, char octets[OCTETS_MOST])
{
    size_t n =
        (size_t)snprintf(octets, OCTETS_MOST, "%u/%llu/%u ", kind, (unsigned long long)id, version);
    size_t more = version % 61 == 0 ? 5000 : version % 7 == 0 ? version % 1400 : version % 90;

    memset(octets + n, 'a' + (int)(version % 26), more);
    return n + more;
}

struct found {
    struct state state;
    unsigned damaged;
};

static enum hd_err
note(void *context, enum evt_record_kind kind, unsigned bucket, uint64_t id, struct hd_slice record,
     uint64_t age_ms)
{
    struct found *found = context;
    unsigned k = 0, its_kind;
    unsigned long long its_id;
    char octets[OCTETS_MOST], text[64] = { 0 };

    (void)age_ms;
    while (kinds[k] != kind)
        k++;
    assert_true(id < IDS && bucket == id);
    memcpy(text, record.p, record.n < sizeof(text) - 1 ? record.n : sizeof(text) - 1);
    uint32_t *version = &found->state.version[k][id];
    assert_int_equal(sscanf(text, "%u/%llu/%u ", &its_kind, &its_id, version), 3);
    size_t n = octets_of(k, id, *version, octets);
    assert_int_equal(record.n, n);
    assert_memory_equal(record.p, octets, n);
    return HD_OK;
}

static void
note_damaged(void *context, const char *table, uint64_t row)
{
    struct found *found = context;

    (void)table;
    (void)row;
    found->damaged++;
}

static struct found
load(struct sto_journal *journal)
{
    struct found found = { .damaged = 0 };
    struct sto_journal_visitor visitor = { note, note_damaged, &found };
    char problem[256];

    assert_int_equal(sto_journal_load(journal, &visitor, problem), HD_OK);
    return found;
}

static bool
same(const struct state *a, const struct state *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

/* --- what is done ------------------------------------------------------------------------ */

/* All that was acknowledged is on the disk now. */
static void
all_sure(struct run *run)
{
    for (size_t i = run->n; i-- > 0 && run->moments[i].sure == SIZE_MAX;)
        if (!run->moments[i].refused) {
            run->moments[i].sure = fault_disk_count(run->disk);
            break;
        }
}

static void
moment_add(struct run *run, const struct state *state, size_t from, bool refused)
{
    run->moments[run->n++] = (struct moment){ *state, from, SIZE_MAX, refused };
}

static bool
fill_batch(struct run *run, struct state *state)
{
    unsigned n = roll(&run->dice, 20) ? 1 + roll(&run->dice, 10) : 60;

    for (unsigned i = 0; i < n; i++) {
        unsigned kind = roll(&run->dice, KINDS);
        uint64_t id = roll(&run->dice, IDS);
        uint32_t version = roll(&run->dice, 4) ? ++run->versions : 0;
        char octets[OCTETS_MOST];
        size_t size = version ? octets_of(kind, id, version, octets) : 0;
        state->version[kind][id] = version;
        if (sto_journal_append(run->journal, kinds[kind], (unsigned)id, id, hd_slice(octets, size),
                               (struct sto_stamp){ 1000, 1000 }))
            return false;
    }
    return true;
}

static void
do_batch(struct run *run)
{
    struct state state = run->now;
    size_t from = fault_disk_count(run->disk);

    sto_journal_begin(run->journal);
    assert_true(fill_batch(run, &state));
    if (roll(&run->dice, 16) == 0) {
        sto_journal_rollback(run->journal);
        return;
    }
    if (sto_journal_commit(run->journal)) {
        moment_add(run, &state, from, true);
        return;
    }
    moment_add(run, &state, from, false);
    run->now = state;
    if (!sto_journal_unsynced(run->journal))
        all_sure(run);
}

static void
do_reopen(struct run *run, bool clean)
{
    if (clean && !sto_journal_end_start(run->journal))
        all_sure(run);
    sto_journal_close(run->journal);
    run->backing_up = false;
    (void)unlink(run->copy);
    assert_int_equal(open_on("torture", "live-0.log", run->durable, &run->journal), HD_OK);
    struct found found = load(run->journal);
    if (!same(&found.state, &run->now))
        print_error("seed %llu: reopened\n", (unsigned long long)run->seed);
    assert_true(same(&found.state, &run->now));
    assert_int_equal(found.damaged, 0);
    if (!sto_journal_unsynced(run->journal))
        all_sure(run);
}

static void
check_copy(struct run *run)
{
    struct sto_journal *journal;

    assert_int_equal(open_on(NULL, run->copy, true, &journal), HD_OK);
    struct found found = load(journal);
    sto_journal_close(journal);
    (void)unlink(run->copy);
    assert_true(same(&found.state, &run->now));
    assert_int_equal(found.damaged, 0);
}

static void
do_backup(struct run *run)
{
    bool done;

    run->backing_up = !sto_journal_backup(run->journal, run->copy, &done);
    if (run->backing_up && done) {
        run->backing_up = false;
        check_copy(run);
    }
}

static void
do_fault(struct run *run)
{
    static const enum fault faults[] = { FAULT_FULL, FAULT_WRITE, FAULT_TORN, FAULT_SYNC,
                                         FAULT_READ };

    fault_disk_fail(run->disk, faults[roll(&run->dice, 5)], roll(&run->dice, 4));
    for (unsigned n = 1 + roll(&run->dice, 3); n > 0; n--)
        do_batch(run);
    fault_disk_fail(run->disk, FAULT_NONE, 0);
}

static void
do_step(struct run *run)
{
    switch (roll(&run->dice, 16)) {
    case 0:
        do_fault(run);
        break;
    case 1:
        if (roll(&run->dice, 3) == 0)
            do_reopen(run, roll(&run->dice, 2));
        break;
    case 2:
    case 3:
    case 4:
        do_backup(run);
        break;
    case 5:
        if (!sto_journal_probe(run->journal, roll(&run->dice, 9000)))
            all_sure(run);
        break;
    case 6:
        if (!sto_journal_sync(run->journal))
            all_sure(run);
        break;
    default:
        do_batch(run);
        break;
    }
}

/* --- what a crash leaves ----------------------------------------------------------------- */

/* The last that was sure, or anything behind it that was tried before the crash. */
static bool
may_be(const struct run *run, const struct state *state, size_t at)
{
    bool before = true; /* the empty state */

    for (size_t i = run->n; i-- > 0;) {
        const struct moment *moment = &run->moments[i];
        if (moment->from >= at)
            continue;
        if (same(state, &moment->state))
            return true;
        if (moment->sure <= at)
            return false;
    }
    return before && same(state, &(struct state){ 0 });
}

static void
look_at(struct run *run, struct fault_crash *crash, size_t at, enum fault_loss loss)
{
    struct sto_journal *journal;
    struct found found[2];

    fault_crash_at(crash, at, loss, at + run->seed);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(open_on("torture image", "live-0.log", run->durable, &journal), HD_OK);
        found[i] = load(journal);
        sto_journal_close(journal);
    }
    bool right = may_be(run, &found[0].state, at) && same(&found[0].state, &found[1].state) &&
                 found[0].damaged + found[1].damaged == 0;
    if (!right)
        print_error("seed %llu, durable %d: after operation %zu of %zu, loss %d, may %d, damaged "
                    "%u %u\n",
                    (unsigned long long)run->seed, run->durable, at, fault_disk_count(run->disk),
                    loss, may_be(run, &found[0].state, at), found[0].damaged, found[1].damaged);
    assert_true(right);
}

static void
look_at_crashes(struct run *run, size_t from)
{
    struct fault_crash *crash = fault_crash_new(run->disk, run->image);
    size_t ops = fault_disk_count(run->disk);

    for (size_t cut = 0; cut < CUTS; cut++)
        look_at(run, crash, from + (ops - from) * cut / CUTS,
                (enum fault_loss)(cut % FAULT_LOSSES));
    fault_crash_free(crash);
}

static void
torture(uint64_t seed, bool durable)
{
    struct run run = { .seed = seed, .durable = durable, .dice = seed * 2 + durable + 1 };

    (void)snprintf(run.copy, sizeof(run.copy), "/dev/shm/torture.%d", (int)getpid());
    run.moments = calloc(STEPS * 4, sizeof(*run.moments));
    run.disk = fault_disk_new("torture");
    run.image = fault_disk_new("torture image");
    assert_non_null(run.moments);
    fault_disk_record(run.disk);
    assert_int_equal(open_on("torture", "live-0.log", durable, &run.journal), HD_OK);
    size_t from = fault_disk_count(run.disk);
    for (unsigned i = 0; i < STEPS; i++)
        do_step(&run);
    do_reopen(&run, false);
    sto_journal_close(run.journal);
    look_at_crashes(&run, from);
    (void)unlink(run.copy);
    fault_disk_free(run.disk);
    fault_disk_free(run.image);
    free(run.moments);
}

static void
whatever_happens_what_was_acknowledged_is_found(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + RUNS; seed++)
        torture(seed, true);
}

static void
without_durable_commits_what_was_synced_is_found(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + RUNS; seed++)
        torture(seed, false);
}

/* Another first seed may be given: journal_torture_test SEED. */
int
main(int argc, char **argv)
{
    first_seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_happens_what_was_acknowledged_is_found),
        cmocka_unit_test(without_durable_commits_what_was_synced_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
