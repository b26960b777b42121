/* fuzz_evt_record.c - a record of the store is read as strictly as a message from outside.  What is
 * accepted is given back to a shard, which lives on with it; what that shard writes down of it is
 * the same record again. */
#include "fuzz.h"

#include "event/record.h"
#include "event/test_host.h"

static void
check_sub(const struct host *host, struct hd_slice whole, const struct evt_stored_sub *sub)
{
    struct evt_stored_sub again;
    const struct host_put *put = host_record(host, EVT_RECORD_SUBSCRIPTION);

    FUZZ_CHECK(fuzz_inside(sub->key, whole) && fuzz_inside(sub->package, whole));
    for (int i = 0; i < EVT_TEXT_COUNT; i++)
        FUZZ_CHECK(fuzz_inside(sub->texts[i], whole));
    if (!put || put->record.n == 0)
        return; /* nothing to be kept of it */
    FUZZ_CHECK(evt_stored_sub_read(put->record, &again) == HD_OK);
    FUZZ_CHECK(hd_slice_eq(again.key, sub->key) && hd_slice_eq(again.package, sub->package));
    FUZZ_CHECK(again.cseq_remote == sub->cseq_remote && again.types == sub->types);
    if (again.left_ms) /* what is over has none */
        FUZZ_CHECK(again.state == EVT_SUB_TERMINATED || again.rated == sub->rated);
    if (again.left_ms)
        FUZZ_CHECK(again.state == EVT_SUB_TERMINATED || again.priority == sub->priority);
    if (again.rated && sub->rated)
        FUZZ_CHECK(again.rates.max == sub->rates.max && again.rates.min == sub->rates.min &&
                   again.rates.adaptive == sub->rates.adaptive);
    FUZZ_CHECK(again.done[0].txn == sub->done[0].txn && again.done[1].txn == sub->done[1].txn);
    FUZZ_CHECK(again.left_ms <= sub->left_ms || sub->left_ms < 10000);
}

static void
check_pub(struct hd_slice whole, const struct evt_stored_pub *pub)
{
    FUZZ_CHECK(fuzz_inside(pub->key, whole) && fuzz_inside(pub->package, whole));
    FUZZ_CHECK(fuzz_inside(pub->publisher, whole) && fuzz_inside(pub->type, whole));
    FUZZ_CHECK(fuzz_inside(pub->body, whole));
    FUZZ_CHECK(pub->priority < SIP_PRIORITY_COUNT);
}

static void
check_account(struct hd_slice whole, struct evt_stored_account *account)
{
    struct evt_stored_binding binding;

    FUZZ_CHECK(fuzz_inside(account->key, whole));
    for (uint32_t i = 0; i < account->n; i++) {
        FUZZ_CHECK(evt_stored_binding_next(account, &binding) == HD_OK);
        FUZZ_CHECK(fuzz_inside(binding.contact, whole) && fuzz_inside(binding.call_id, whole));
    }
    FUZZ_CHECK(hd_bytes_in_end(&account->rest) == HD_OK);
}

static void
check_all(struct host *host)
{
    for (unsigned i = 0; i < host->n; i++) {
        const char *fault = evt_shard_check(host_shard(host, i));
        if (fault)
            fprintf(stderr, "shard %u: %s\n", i, fault);
        FUZZ_CHECK(!fault);
    }
}

static bool
topic_inside(const struct evt_topic *topic, struct hd_slice whole)
{
    return fuzz_inside(topic->key, whole) && fuzz_inside(topic->package, whole) &&
           (topic->watcher.n == 0 || fuzz_inside(topic->watcher, whole));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct host host;
    struct evt_stored_sub sub;
    struct evt_stored_pub pub;
    struct evt_stored_account account;
    struct evt_stored_seen seen;
    struct evt_stored_waiting waiting;
    struct evt_stored_cond cond;
    char *copy;

    if (size < 2)
        return 0;
    const enum evt_record_kind kind = (enum evt_record_kind)(1 + data[0] % EVT_RECORD_CONDITION);
    const uint64_t age_ms = (uint64_t)data[1] * 20000;
    const struct hd_slice whole = fuzz_copy(data + 2, size - 2, &copy);
    const bool is_sub = evt_stored_sub_read(whole, &sub) == HD_OK;
    const bool is_pub = evt_stored_pub_read(whole, &pub) == HD_OK;

    if (is_pub)
        check_pub(whole, &pub);
    if (evt_stored_account_read(whole, &account) == HD_OK)
        check_account(whole, &account);
    if (evt_stored_cond_read(whole, &cond) == HD_OK)
        FUZZ_CHECK(fuzz_inside(cond.filter, whole) && fuzz_inside(cond.state, whole) &&
                   topic_inside(&cond.topic, whole));
    if (evt_stored_seen_read(whole, &seen) == HD_OK)
        FUZZ_CHECK(topic_inside(&seen.topic, whole));
    if (evt_stored_waiting_read(whole, &waiting) == HD_OK)
        FUZZ_CHECK(fuzz_inside(waiting.key, whole) && fuzz_inside(waiting.package, whole) &&
                   fuzz_inside(waiting.watcher, whole) && fuzz_inside(waiting.name, whole));

    host_init(&host, 1);
    const enum hd_err err =
        evt_shard_restore(host_shard(&host, 0), kind, 77, whole, age_ms, host.now_ms * 1000);
    if (kind == EVT_RECORD_SUBSCRIPTION)
        FUZZ_CHECK(is_sub || err);
    if (kind == EVT_RECORD_PUBLICATION)
        FUZZ_CHECK(is_pub || err);
    check_all(&host);
    FUZZ_CHECK(evt_shard_settle(host_shard(&host, 0), host.now_ms * 1000) == HD_OK);
    if (kind == EVT_RECORD_SUBSCRIPTION && !err)
        check_sub(&host, whole, &sub);
    host_wait(&host, 20000);
    check_all(&host);
    host_done(&host);
    free(copy);
    return 0;
}
