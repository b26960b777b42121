/* test_ports.c - the net and the store of the tests' host: what is sent is read back and queued for
 * the test, what is put waits for the outcome that the test wants. */
#include "event/test_check.h"

static char *
net_reserve(void *net, size_t size)
{
    struct host_seat *seat = net;

    if (seat->host->reserve_fails || size > sizeof(seat->buffer))
        return NULL;
    return seat->buffer;
}

static void
net_commit(void *net, const struct hd_flow *flow, size_t n, uint64_t owner)
{
    struct host_seat *seat = net;
    struct host *host = seat->host;
    struct host_sent *sent;
    struct sip_fault fault;

    pause_refusals(1);
    sent = calloc(1, sizeof(*sent) + n);
    pause_refusals(-1);
    CHECK(sent && n <= sizeof(seat->buffer));
    memcpy(sent->octets, seat->buffer, n);
    sent->shard = seat->index;
    sent->at_ms = host->now_ms;
    sent->owner = owner;
    sent->flow = *flow;
    sent->text = hd_slice(sent->octets, n);
    hd_arena_init(&sent->arena, sent->memory, sizeof(sent->memory));
    /* What we send can be read by anybody, also as a stream; but who sent us a Via that nobody can
     * read, or wrote another version of it, gets it back as it was. */
    enum hd_err err = sip_msg_parse(sent->text, true, &sent->arena, &sent->msg, &fault);
    if (err && sent->msg.status != 400 && sent->msg.status != 505)
        fprintf(stderr, "%.*s\n%s\n", HD_FMT(sent->text), fault.reason);
    CHECK(!err || sent->msg.status == 400 || sent->msg.status == 505);
    memset(seat->buffer, '#', n); /* nobody may rely on it */
    host->commits++;
    *host->sent_end = sent;
    host->sent_end = &sent->next;
}

const struct evt_net_ops host_net_ops = { .reserve = net_reserve, .commit = net_commit };

static enum hd_err
store_put(void *store, unsigned shard, unsigned bucket, enum evt_record_kind kind, uint64_t id,
          struct hd_slice record, uint64_t ticket)
{
    struct host *host = store;

    if (host->store == HOST_STORE_REFUSES)
        return HD_ESTORE;
    pause_refusals(1);
    struct host_put *put = calloc(1, sizeof(*put) + record.n);
    struct host_put *copy = malloc(sizeof(*copy) + record.n);
    pause_refusals(-1);
    CHECK(put && (kind == EVT_RECORD_SEEN || kind == EVT_RECORD_CONDITION ||
                  hd_bucket_shard(bucket, host->n) == shard));
    *put = (struct host_put){ .shard = shard,
                              .bucket = bucket,
                              .kind = kind,
                              .id = id,
                              .ticket = ticket,
                              .at_ms = host->now_ms };
    if (record.n)
        memcpy(put->octets, record.p, record.n);
    put->record = hd_slice(put->octets, record.n);
    CHECK(copy);
    memcpy(copy, put, sizeof(*copy) + record.n);
    copy->record.p = copy->octets;
    put->copy = copy;
    copy->next = host->kept;
    host->kept = copy;
    host->n_puts++;
    *host->puts_end = put;
    host->puts_end = &put->next;
    return HD_OK;
}

const struct evt_store_ops host_store_ops = { store_put };

void
host_put_kept(struct host *host, const struct host_put *put)
{
    const uint64_t late_ms = host->now_ms - put->at_ms;

    put->copy->stored = true;
    if (late_ms > host->late_ms)
        host->late_ms = late_ms;
}

void
host_store_release(struct host *host, unsigned n, enum hd_err err)
{
    for (; n > 0 && host->puts; n--) {
        struct host_put *put = host->puts;
        const struct evt_outcome outcome = { .ticket = put->ticket, .err = err };
        host->puts = put->next;
        if (!host->puts)
            host->puts_end = &host->puts;
        if (err)
            host->lost = true;
        else
            host_put_kept(host, put);
        while (evt_stored_post(host->seats[put->shard].shard, &outcome, 1))
            ; /* memory is short for a moment */
        free(put);
    }
}

const struct host_put *
host_record(const struct host *host, enum evt_record_kind kind)
{
    const struct host_put *put = host->kept;

    while (put && put->kind != kind)
        put = put->next;
    return put;
}
