/* What a crash at any moment leaves: every write and every sync of some thousand batches is
 * remembered, and the file is opened as it would be found after each of many cuts, with writes that
 * no sync followed lost, kept, torn or out of order.  What is found must be the state after the
 * last batch that was acknowledged, or after the one that was under way; nothing in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "store/fault_vfs.h"
#include "store/journal.h"

#define IDS 48
#define KINDS 4
#define BATCHES 5000
#define CUTS 10000

/* The version of each record after a batch; 0: it is not there. */
struct state {
    uint32_t version[KINDS][IDS];
};

static const enum evt_record_kind kinds[KINDS] = { EVT_RECORD_SUBSCRIPTION, EVT_RECORD_PUBLICATION,
                                                   EVT_RECORD_BINDINGS, EVT_RECORD_SEEN };

struct fixture {
    struct fault_disk *disk, *image;
    struct state *states;             /* [i]: after batch i */
    size_t acknowledged[BATCHES + 1]; /* [i]: operations when batch i was acknowledged */
    uint64_t dice;
};

static uint32_t
roll(uint64_t *dice, uint32_t sides)
{
    *dice = hd_hash_mix(*dice, 0x9e3779b97f4a7c15u);
    return (uint32_t)(*dice >> 33) % sides;
}

static enum hd_err
open_on(const char *vfs, struct sto_journal **ret_journal)
{
    struct sto_journal_params params = {
        .path = "live-0.log", .boot_id = "boot", .now = { 1000, 1000 }, .durable = true, .vfs = vfs
    };
    char problem[256];
    enum hd_err err = sto_journal_open(&params, problem, ret_journal);

    if (err)
        print_error("%s\n", problem);
    return err;
}

static size_t
octets_of(unsigned kind, uint64_t id, uint32_t version, char octets[700])
{
    size_t n = (size_t)snprintf(octets, 700, "%u/%llu/%u ", kind, (unsigned long long)id, version);
    size_t more = version % 211;

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
    unsigned k = 0;
    char octets[700];

    (void)age_ms;
    while (kinds[k] != kind)
        k++;
    assert_true(id < IDS && bucket == id);
    const char *version = memchr(record.p, '/', record.n);
    assert_non_null(version);
    version = memchr(version + 1, '/', 8);
    assert_non_null(version);
    found->state.version[k][id] = (uint32_t)strtoul(version + 1, NULL, 10);
    size_t n = octets_of(k, id, found->state.version[k][id], octets);
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

static void
write_batch(struct fixture *f, struct sto_journal *journal, struct state *state, uint32_t batch)
{
    unsigned n = 1 + roll(&f->dice, 12);

    sto_journal_begin(journal);
    for (unsigned i = 0; i < n; i++) {
        unsigned kind = roll(&f->dice, KINDS);
        uint64_t id = roll(&f->dice, IDS);
        uint32_t version = roll(&f->dice, 4) ? batch * 16 + i + 1 : 0;
        char octets[700];
        size_t size = version ? octets_of(kind, id, version, octets) : 0;
        state->version[kind][id] = version;
        assert_int_equal(sto_journal_append(journal, kinds[kind], (unsigned)id, id,
                                            hd_slice(octets, size),
                                            (struct sto_stamp){ 1000, 1000 }),
                         HD_OK);
    }
    assert_int_equal(sto_journal_commit(journal), HD_OK);
}

/* Some thousand batches, with a clean end and a new start now and then. */
static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct sto_journal *journal;

    assert_non_null(f);
    f->states = calloc(BATCHES + 1, sizeof(*f->states));
    f->dice = 1;
    f->disk = fault_disk_new("recorded");
    f->image = fault_disk_new("image");
    fault_disk_record(f->disk);
    assert_int_equal(open_on("recorded", &journal), HD_OK);
    f->acknowledged[0] = fault_disk_count(f->disk);
    for (uint32_t batch = 1; batch <= BATCHES; batch++) {
        f->states[batch] = f->states[batch - 1];
        write_batch(f, journal, &f->states[batch], batch);
        f->acknowledged[batch] = fault_disk_count(f->disk);
        if (batch % 700 == 0) {
            sto_journal_close(journal);
            assert_int_equal(open_on("recorded", &journal), HD_OK);
            (void)load(journal);
        }
    }
    sto_journal_close(journal);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    fault_disk_free(f->disk);
    fault_disk_free(f->image);
    free(f->states);
    free(f);
    return 0;
}

static struct found
find_on_image(void)
{
    struct sto_journal *journal;

    assert_int_equal(open_on("image", &journal), HD_OK);
    struct found found = load(journal);
    sto_journal_close(journal);
    return found;
}

static void
nothing_acknowledged_is_lost_and_nothing_removed_comes_back(void **state)
{
    struct fixture *f = *state;
    struct fault_crash *crash = fault_crash_new(f->disk, f->image);
    size_t ops = fault_disk_count(f->disk), from = f->acknowledged[0];
    unsigned under_way = 0;
    uint32_t batch = 0;

    assert_true(ops - from > CUTS);
    for (size_t cut = 0; cut < CUTS; cut++) {
        size_t at = from + (ops - from) * cut / CUTS;
        enum fault_loss loss = (enum fault_loss)(cut % FAULT_LOSSES);
        while (batch < BATCHES && f->acknowledged[batch + 1] <= at)
            batch++;
        fault_crash_at(crash, at, loss, cut);
        struct found found = find_on_image();
        bool as_told = memcmp(&found.state, &f->states[batch], sizeof(found.state)) == 0;
        bool one_more = batch < BATCHES &&
                        memcmp(&found.state, &f->states[batch + 1], sizeof(found.state)) == 0;
        if (!as_told && !one_more)
            print_error("cut after operation %zu of %zu, loss %d, batch %u\n", at, ops, loss,
                        batch);
        assert_true(as_told || one_more);
        assert_int_equal(found.damaged, 0);
        under_way += !as_told;
    }
    /* The cuts met commits half-way. */
    assert_true(under_way > 100);
    fault_crash_free(crash);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_acknowledged_is_lost_and_nothing_removed_comes_back,
                                        setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
