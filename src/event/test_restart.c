/* test_restart.c - the end of a test's host and its next start, as in the daemon (store/journal.c,
 * heraldd/live.c): records of one kind come in the order in which they were written, the kinds in
 * that of the journal. */
#include <stdio.h>
#include <stdlib.h>

#include "event/test_host.h"

static bool
has_newer(const struct host_put *list, const struct host_put *put)
{
    for (const struct host_put *p = list; p != put; p = p->next)
        if (p->stored && p->kind == put->kind && p->id == put->id)
            return true;
    return false;
}

/* The file after the end: one record for each kind and id, the newest that was kept.  Turns the
 * list: the oldest comes first. */
static struct host_put *
take_newest(struct host *host)
{
    struct host_put *oldest = NULL, *gone = NULL, *next;

    for (struct host_put *put = host->kept; put; put = put->next)
        put->superseded = !put->stored || put->record.n == 0 || has_newer(host->kept, put);
    for (struct host_put *put = host->kept; put; put = next) {
        struct host_put **to = put->superseded ? &gone : &oldest;
        next = put->next;
        put->next = *to;
        *to = put;
    }
    host_free_puts(&gone);
    host->kept = NULL;
    return oldest;
}

/* What was seen and what has fired is every shard's business. */
static void
give_back(struct host *host, const struct host_put *put)
{
    const bool all = put->kind == EVT_RECORD_SEEN || put->kind == EVT_RECORD_CONDITION;

    for (unsigned i = 0; i < host->n; i++) {
        if (!all && hd_bucket_shard(put->bucket, host->n) != i)
            continue;
        enum hd_err err = evt_shard_restore(host->seats[i].shard, put->kind, put->id, put->record,
                                            host->now_ms - put->at_ms, host->now_ms * 1000);
        if (err) {
            fprintf(stderr, "a record of kind %d does not come back: %s\n", (int)put->kind,
                    hd_err_text(err));
            abort();
        }
    }
}

void
host_restart(struct host *host, unsigned n, const struct host_ending *ending)
{
    static const enum evt_record_kind order[] = { EVT_RECORD_PUBLICATION,  EVT_RECORD_BINDINGS,
                                                  EVT_RECORD_SUBSCRIPTION, EVT_RECORD_SEEN,
                                                  EVT_RECORD_WAITING,      EVT_RECORD_CONDITION };
    unsigned kept = ending->clean ? UINT32_MAX : ending->kept;
    bool exact = ending->clean && !host->lost;
    struct host_put *records, *next;

    for (unsigned i = 0; ending->clean && i < host->n; i++) {
        uint32_t at = 0;
        while (evt_shard_settle_some(host->seats[i].shard, &at, 2, host->now_ms * 1000))
            ;
        exact = !evt_shard_settle(host->seats[i].shard, host->now_ms * 1000) && exact;
    }
    for (const struct host_put *put = host->puts; put && kept > 0; put = put->next, kept--)
        host_put_kept(host, put);
    host_shards_end(host);
    host->n_counts = 0;
    host->start += !exact;
    host->lost = false;
    host->now_ms += ending->down_ms;
    records = take_newest(host);
    host_shards_begin(host, n);
    for (size_t k = 0; k < HD_ARRAY_LEN(order); k++)
        for (const struct host_put *put = records; put; put = put->next)
            if (put->kind == order[k])
                give_back(host, put);
    /* What the start put is newer. */
    struct host_put *turned = NULL;
    for (struct host_put *put = records; put; put = next) {
        next = put->next;
        put->next = turned;
        turned = put;
    }
    struct host_put **last = &host->kept;
    while (*last)
        last = &(*last)->next;
    *last = turned;
}
