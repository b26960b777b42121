/* fuzz_evt_recorder.c - the ring of the flow recorder against a list: whatever is written in which
 * order, each entry that a list says to be there is found by its key and holds what was written. */
#include "fuzz.h"

#include "event/recorder.h"

#define MOST 4096u

static struct {
    uint64_t place, keys[4];
    size_t n;
    uint8_t fill;
} list[MOST];

static void
check_key(const struct evt_recorder *rec, size_t n, uint64_t key)
{
    uint64_t p = evt_recorder_chain(rec, key);

    for (size_t i = n; i-- > 0;) {
        bool has = false;

        for (int k = 0; k < 4; k++)
            has = has || list[i].keys[k] == key;
        if (!has || !evt_recorder_has(rec, list[i].place))
            continue;
        while (p && !evt_entry_is(evt_recorder_at(rec, p), key))
            p = evt_recorder_older(rec, p, key);
        FUZZ_CHECK(p == list[i].place);
        p = evt_recorder_older(rec, p, key);
    }
    while (p) {
        FUZZ_CHECK(!evt_entry_is(evt_recorder_at(rec, p), key));
        p = evt_recorder_older(rec, p, key);
    }
}

static void
check_octets(const struct evt_recorder *rec, size_t i)
{
    const struct evt_entry *entry = evt_recorder_at(rec, list[i].place);
    const uint8_t *octets = evt_entry_payload(entry);
    const size_t skip = entry->kind == EVT_ENTRY_SUBJECT ? sizeof(struct evt_entry_subject) : 0;

    for (size_t k = skip; k < list[i].n; k++)
        FUZZ_CHECK(octets[k] == list[i].fill);
}

/* Four octets an entry: kind and key, other keys, and its length. */
static void
put(struct evt_recorder *rec, const uint8_t *op, size_t i)
{
    const size_t n = (size_t)(op[2] << 8 | op[3]) % (evt_recorder_most(rec) + 1);
    const bool subject = op[0] & 128 && n >= sizeof(struct evt_entry_subject);

    list[i].n = n;
    list[i].fill = op[2];
    list[i].keys[0] = op[0] & 127;
    uint8_t *octets =
        evt_recorder_put(rec, subject ? EVT_ENTRY_SUBJECT : EVT_ENTRY_NOTE, list[i].keys[0], i, n);
    memset(octets, list[i].fill, n);
    list[i].place = rec->last;
    for (int k = 1; k < 4; k++)
        list[i].keys[k] = subject ? (uint64_t)(op[1] >> k) & 127 : list[i].keys[0];
    if (!subject)
        return;
    struct evt_entry_subject *s = (struct evt_entry_subject *)(void *)octets;
    for (int k = 0; k < EVT_SUBJECT_LINKS; k++)
        s->links[k].key = list[i].keys[k + 1];
    evt_recorder_link(rec, s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct evt_recorder *rec = evt_recorder_new(EVT_RECORDER_LEAST, 0);
    size_t n = 0;

    FUZZ_CHECK(rec != NULL);
    for (; n < size / 4 && n < MOST; n++)
        put(rec, data + 4 * n, n);
    const char *problem = evt_recorder_check(rec);
    if (problem)
        fprintf(stderr, "%s\n", problem);
    FUZZ_CHECK(!problem);
    for (size_t i = 0; i < n; i++)
        if (evt_recorder_has(rec, list[i].place))
            check_octets(rec, i);
    for (uint64_t key = 0; key < 128; key++)
        check_key(rec, n, key);
    evt_recorder_free(rec);
    return 0;
}
