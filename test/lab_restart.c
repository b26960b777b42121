/* lab_restart.c - the end of the laboratory's broker and its next start, as the daemon does it
 * (heraldd/live.c): what the store has comes back before anything is received.
 *
 * The clock goes on meanwhile, connections are gone, packets and questions under way are lost.
 * Users, rules and configuration stay: the daemon keeps them in a file of its own. */
#include "lab_core.h"
#include "lab_dns.h"

#include <stdio.h>

#include "base/id.h"

/* What was seen and what has fired is every shard's business; the rest belongs to the shard of its
 * bucket. */
static enum hd_err
give_back(void *context, enum evt_record_kind kind, unsigned bucket, uint64_t id,
          struct hd_slice record, uint64_t age_ms)
{
    struct lab *lab = context;
    const unsigned shards = lab->params.shards;
    unsigned first = 0, end = shards;
    enum hd_err err = HD_OK;

    if (kind != EVT_RECORD_SEEN && kind != EVT_RECORD_CONDITION) {
        first = hd_bucket_shard(bucket, shards);
        end = first + 1;
    }
    for (unsigned i = first; i < end && !err; i++)
        err = evt_shard_restore(lab->seats[i].evt, kind, id, record, age_ms, lab->now_us);
    return err;
}

static void
close_all(struct lab *lab, struct play *play)
{
    for (size_t i = 0; i < lab->n_wires; i++)
        lab->wires[i].open = false;
    for (struct play_actor *actor = play_actors(play); actor; actor = actor->next)
        ((struct lab_peer *)actor->host)->conn = 0;
}

/* What the shards still put when they settle is kept in a clean end; in a crash, nothing that
 * waits. */
static void
end(struct lab *lab, bool clean)
{
    bool exact = clean;

    for (unsigned i = 0; i < lab->params.shards; i++) {
        if (clean)
            exact = !evt_shard_settle(lab->seats[i].evt, lab->now_us) && exact;
        lab->seats[i].stopped = lab->seats[i].mail_held = false;
    }
    lab_seats_end(lab);
    lab->started = false;
    exact = sto_memory_end(lab->store, clean) && exact;
    lab->start += !exact;
    lab_dns_forget(lab);
    close_all(lab, lab->play);
}

enum hd_err
lab_restart(struct lab *lab, const struct hd_slice *words, unsigned n, char *problem)
{
    const bool clean = n > 1 && hd_slice_eq(words[1], HD_LIT("clean"));
    uint64_t down_ms = 0;
    enum hd_err err;

    if (n < 2 || n > 3 || (!clean && !hd_slice_eq(words[1], HD_LIT("crash"))) ||
        (n == 3 && play_duration(words[2], &down_ms))) {
        (void)snprintf(problem, LAB_PROBLEM, "expected: restart clean|crash [DURATION]");
        return HD_ESYNTAX;
    }
    end(lab, clean);
    lab->now_us += down_ms * 1000;
    sto_memory_clock(lab->store, lab->now_us / 1000);
    if (!lab_publish(lab, hd_slice(NULL, 0), problem) || !lab_seats_begin(lab, problem))
        return HD_ESYNTAX;
    lab->started = true;
    err = sto_memory_load(lab->store, give_back, lab);
    if (err)
        (void)snprintf(problem, LAB_PROBLEM, "a record does not come back: %s", hd_err_text(err));
    return err;
}
