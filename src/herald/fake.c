/* fake.c - the other side of a client in tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "herald/fake.h"

/* Memory of the test itself, which memory_test.c does not refuse. */
static void *
exact(size_t n)
{
    void *p = NULL;
    assert_int_equal(posix_memalign(&p, sizeof p, n), 0);
    return p;
}

static void
keep_sent(void *context, const struct hd_flow *flow, struct hd_slice octets, unsigned again,
          uint64_t owner)
{
    struct fake *fake = context;
    assert_true(fake->n_sent < FAKE_SENT);
    struct fake_sent *sent = &fake->sent[fake->n_sent++];
    assert_true(octets.n < sizeof sent->octets);
    sent->flow = *flow;
    sent->again = again;
    sent->owner = owner;
    sent->n = octets.n;
    memcpy(sent->octets, octets.p, octets.n);
}

void
fake_init(struct fake *fake, enum hd_transport transport, const char *username,
          const char *password)
{
    memset(fake, 0, sizeof *fake);
    fake->sent = exact(FAKE_SENT * sizeof *fake->sent);
    memset(fake->sent, 0, FAKE_SENT * sizeof *fake->sent);
    fake->seed = 7;
    fake->now_ms = 1000000;
    fake->transport = transport;
    hd_rng_init(&fake->rng, hd_entropy_seeded, &fake->seed);
    assert_int_equal(hd_addr_parse(HD_LIT("192.0.2.9"), 5062, &fake->local), HD_OK);
    assert_int_equal(hd_addr_parse(HD_LIT("192.0.2.1"), 5060, &fake->server), HD_OK);
    assert_int_equal(ua_client_new(&(struct ua_params){ .context = fake,
                                                        .send = keep_sent,
                                                        .rng = &fake->rng,
                                                        .now_ms = fake->now_ms,
                                                        .transport = transport,
                                                        .local = fake->local,
                                                        .server = fake->server,
                                                        .contact_user = HD_LIT("bob"),
                                                        .username = hd_slice_str(username),
                                                        .password = hd_slice_str(password) },
                                   &fake->client),
                     HD_OK);
}

void
fake_done(struct fake *fake)
{
    ua_client_free(fake->client);
    free(fake->sent);
}

void
fake_pass(struct fake *fake, uint64_t ms)
{
    uint64_t end = fake->now_ms + ms;
    for (;;) {
        uint64_t wait = ua_client_advance(fake->client, fake->now_ms);
        if (wait == 0)
            wait = 1;
        if (wait > end - fake->now_ms)
            break;
        fake->now_ms += wait;
    }
    fake->now_ms = end;
    ua_client_advance(fake->client, end);
}

const struct sip_msg *
fake_sent(struct fake *fake, size_t i)
{
    struct hd_arena arena;
    struct sip_fault fault;
    assert_true(i < fake->n_sent);
    hd_arena_init(&arena, fake->scratch, sizeof fake->scratch);
    assert_int_equal(sip_msg_parse(hd_slice(fake->sent[i].octets, fake->sent[i].n), true, &arena,
                                   &fake->msg, &fault),
                     HD_OK);
    return &fake->msg;
}

const struct sip_msg *
fake_next(struct fake *fake)
{
    assert_true(fake->seen < fake->n_sent);
    return fake_sent(fake, fake->seen++);
}

void
fake_quiet(struct fake *fake)
{
    assert_int_equal(fake->n_sent, fake->seen);
}

static struct hd_flow
flow_in(const struct fake *fake)
{
    return (struct hd_flow){ .transport = (uint8_t)fake->transport,
                             .conn = fake->transport == HD_UDP ? 0 : hd_conn_make(0, 1, 1),
                             .local = fake->local,
                             .remote = fake->server };
}

void
fake_deliver(struct fake *fake, const char *octets)
{
    struct hd_flow flow = flow_in(fake);
    /* An exact copy on the heap, so that a read beyond its end is seen. */
    size_t n = strlen(octets);
    void *copy = exact(n);
    memcpy(copy, octets, n);
    ua_client_packet(fake->client, fake->now_ms, &flow, hd_slice(copy, n));
    free(copy);
    ua_client_advance(fake->client, fake->now_ms); /* as a turn of the loop does */
}

void
fake_answer(struct fake *fake, size_t i, unsigned status, const char *headers)
{
    char text[8192];
    const struct sip_msg *msg = fake_sent(fake, i);
    snprintf(text, sizeof text,
             "SIP/2.0 %u Test\r\nVia: %.*s\r\nFrom: %.*s\r\nTo: %.*s%s\r\nCall-ID: %.*s\r\n"
             "CSeq: %u %.*s\r\n%sContent-Length: 0\r\n\r\n",
             status, HD_FMT(msg->via.value), HD_FMT(msg->from.value), HD_FMT(msg->to.value),
             msg->to_tag.n ? "" : ";tag=srv", HD_FMT(msg->call_id), (unsigned)msg->cseq.number,
             HD_FMT(msg->cseq.method_name), headers ? headers : "");
    fake_deliver(fake, text);
}

void
fake_reply(struct fake *fake, unsigned status, const char *headers)
{
    assert_true(fake->seen > 0);
    fake_answer(fake, fake->seen - 1, status, headers);
}

uint32_t
fake_notify(struct fake *fake, const struct fake_notify *notify)
{
    char text[8192], call_id[300], state[200] = "";
    const struct sip_msg *sub = notify->subscribe;
    uint32_t branch = notify->branch ? notify->branch : ++fake->branches;
    const char *body = notify->body ? notify->body : "";

    snprintf(call_id, sizeof call_id, "%.*s", HD_FMT(sub->call_id));
    if (notify->state)
        snprintf(state, sizeof state, "Subscription-State: %s\r\n", notify->state);
    snprintf(
        text, sizeof text,
        "NOTIFY sip:bob@192.0.2.9:5062 SIP/2.0\r\n"
        "Via: SIP/2.0/%s 192.0.2.1:5060;branch=z9hG4bKn%u;rport\r\nMax-Forwards: 70\r\n"
        "From: <%.*s>;tag=%s\r\nTo: <%.*s>;tag=%.*s\r\nCall-ID: %s\r\nCSeq: %u NOTIFY\r\n"
        "Contact: <sip:herald@192.0.2.1:5060>\r\nEvent: %s\r\n%s%s%sContent-Length: %zu\r\n\r\n%s",
        fake->transport == HD_UDP ? "UDP" : "TCP", (unsigned)branch, HD_FMT(sub->to.uri),
        notify->from_tag ? notify->from_tag : "srv", HD_FMT(sub->from.uri), HD_FMT(sub->from_tag),
        notify->call_id ? notify->call_id : call_id, (unsigned)notify->cseq,
        notify->event ? notify->event : "presence", state, notify->headers ? notify->headers : "",
        *body ? "Content-Type: text/plain\r\n" : "", strlen(body), body);
    fake_deliver(fake, text);
    return branch;
}

const char *
fake_value(const struct sip_msg *msg, const char *name)
{
    static char ring[4][600];
    static unsigned at;
    char *text = ring[at++ % 4];
    for (unsigned i = 0; i < msg->n_headers; i++) {
        if (!hd_slice_ieq(msg->headers[i].name, hd_slice_str(name)))
            continue;
        snprintf(text, sizeof ring[0], "%.*s", HD_FMT(msg->headers[i].value));
        return text;
    }
    return NULL;
}
