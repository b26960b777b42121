/* restore_test.h - what the tests of a restart share: a host before the end, and one after the
 * start that gets what the first one put. */
#ifndef HD_EVENT_RESTORE_TEST_H
#define HD_EVENT_RESTORE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "event/record.h"
#include "event/test_host.h"

#define BOB "sip:bob@example.test"

enum ending { CLEAN, CRASH };

static struct host hosts[2], *was, *is; /* before the end, and after the start */
static char tag[HD_ID_TEXT + 1], etag[HD_ID_TEXT + 1];

static inline int
setup(void **state)
{
    (void)state;
    memset(hosts, 0, sizeof(hosts));
    was = &hosts[0];
    is = &hosts[1];
    host_init(was, 1);
    return 0;
}

static inline int
teardown(void **state)
{
    (void)state;
    host_done(was);
    if (is->n)
        host_done(is);
    return 0;
}

/* The record that counts: the newest of its kind and id. */
static inline bool
is_newest(const struct host *host, const struct host_put *put)
{
    const struct host_put *p = host->kept;

    while (p->kind != put->kind || p->id != put->id)
        p = p->next;
    return p == put && put->record.n > 0;
}

static inline enum hd_err
give_back(const struct host_put *put, uint64_t age_ms)
{
    unsigned first = 0, end = is->n;
    enum hd_err err = HD_OK;

    if (put->kind != EVT_RECORD_SEEN && put->kind != EVT_RECORD_CONDITION) {
        first = hd_bucket_shard(put->bucket, is->n);
        end = first + 1;
    }
    for (unsigned i = first; i < end && !err; i++)
        err = evt_shard_restore(host_shard(is, i), put->kind, put->id, put->record, age_ms,
                                is->now_ms * 1000);
    return err;
}

/* The end of one and the start of the other; rules of the other can be set between. */
static inline void
end(enum ending ending, unsigned shards)
{
    for (unsigned i = 0; ending == CLEAN && i < was->n; i++)
        assert_int_equal(evt_shard_settle(host_shard(was, i), was->now_ms * 1000), HD_OK);
    host_init_start(is, shards, was->start + (ending == CRASH));
}

/* What the store has comes back; nothing else happens yet. */
static inline void
give_all_back(uint64_t age_ms)
{
    static const enum evt_record_kind order[] = { EVT_RECORD_PUBLICATION, EVT_RECORD_BINDINGS,
                                                  EVT_RECORD_SUBSCRIPTION, EVT_RECORD_SEEN };

    for (size_t k = 0; k < HD_ARRAY_LEN(order); k++)
        for (const struct host_put *put = was->kept; put; put = put->next)
            if (put->kind == order[k] && is_newest(was, put))
                assert_int_equal(give_back(put, age_ms), HD_OK);
    struct host_put **last = &is->kept;
    while (*last)
        last = &(*last)->next;
    *last = was->kept; /* one store, now of the other */
    was->kept = NULL;
}

static inline void
start(uint64_t age_ms)
{
    give_all_back(age_ms);
    host_settle(is);
}

static inline void
restart(enum ending ending, unsigned shards, uint64_t age_ms)
{
    end(ending, shards);
    start(age_ms);
}

static inline void
subscribe(int64_t expires)
{
    host_subscribe(was, &(struct host_request){ .expires = expires }, tag);
}

static inline void
refresh(uint32_t cseq, int64_t expires)
{
    host_request(is, &(struct host_request){ .to_tag = tag, .cseq = cseq, .expires = expires });
}

static inline void
publish(struct host *host, const char *with, const char *body)
{
    char given[HD_ID_TEXT + 1];

    host_publish(host, NULL, NULL, with, body, given);
    memcpy(etag, given, sizeof(etag));
}

static inline void
answer_all(struct host *host)
{
    while (host_count(host)) {
        const struct host_sent *sent = host_take(host);
        if (sent->msg.request)
            host_answer(host, sent, 200, NULL);
    }
}

static inline void
assert_says(const struct host_sent *sent, const char *text)
{
    if (!host_has(sent, text))
        print_error("no \"%s\" in\n%.*s\n", text, HD_FMT(sent->text));
    assert_true(host_has(sent, text));
}

static inline uint32_t
cseq_of(const struct host_sent *sent)
{
    return sent->msg.cseq.number;
}

/* All that was sent is this one, and the same again. */
static inline void
assert_no_other(const struct host_sent *sent)
{
    uint32_t cseq = cseq_of(sent);

    while (host_count(is))
        assert_int_equal(cseq_of(host_take(is)), cseq);
}

static inline void
subscribe_rated(const char *event)
{
    host_subscribe(was, &(struct host_request){ .expires = 3600, .event = event }, tag);
}

#endif
