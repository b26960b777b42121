/* fuzz_sip_msg.c - the message parser: what is accepted is written again, parsed again and
 * compared; what can be answered is answered, and the answer must itself be a message. */
#include "fuzz.h"

#include "sip/dialog.h"
#include "sip/header.h"
#include "sip/msg.h"
#include "sip/priority.h"
#include "sip/reply.h"
#include "sip/txn.h"

#define ARENA (SIP_MAX_HEADERS * sizeof(struct sip_header) + 16)
#define OUT_MAX (1 << 18)

static void
check_shape(const struct sip_msg *msg, struct hd_slice octets)
{
    unsigned chained = 0;
    FUZZ_CHECK(msg->n_headers <= SIP_MAX_HEADERS);
    for (unsigned i = 0; i < msg->n_headers; i++) {
        FUZZ_CHECK(fuzz_inside(msg->headers[i].name, octets));
        FUZZ_CHECK(fuzz_inside(msg->headers[i].value, octets));
        FUZZ_CHECK(msg->headers[i].id < SIP_HDR_COUNT);
        FUZZ_CHECK((enum sip_hdr)msg->headers[i].id == sip_hdr_find(msg->headers[i].name));
    }
    for (unsigned id = 0; id < SIP_HDR_COUNT; id++)
        chained += sip_msg_count(msg, (enum sip_hdr)id);
    FUZZ_CHECK(chained == msg->n_headers);
    const struct hd_slice parts[] = { msg->method_name,     msg->uri,      msg->reason,
                                      msg->via.value,       msg->via.host, msg->via.branch,
                                      msg->via.params,      msg->from.uri, msg->from.display,
                                      msg->from.params,     msg->to.uri,   msg->from_tag,
                                      msg->to_tag,          msg->call_id,  msg->body,
                                      msg->cseq.method_name };
    for (size_t i = 0; i < HD_ARRAY_LEN(parts); i++)
        FUZZ_CHECK(fuzz_inside(parts[i], octets));
}

/* Every reader of header.h over every field; only what they promise is checked. */
static void
read_all(const struct sip_msg *msg)
{
    for (unsigned i = 0; i < msg->n_headers; i++) {
        struct hd_slice rest = msg->headers[i].value, item;
        while (sip_list_next(&rest, &item)) {
            struct sip_addr addr;
            struct sip_via via;
            struct sip_media media;
            FUZZ_CHECK(item.n > 0 && fuzz_inside(item, msg->headers[i].value));
            if (sip_addr_parse(item, &addr) == HD_OK)
                FUZZ_CHECK(fuzz_inside(addr.uri, item));
            if (sip_via_parse(item, &via) == HD_OK)
                FUZZ_CHECK(fuzz_inside(via.host, item));
            if (sip_media_parse(item, &media) == HD_OK)
                FUZZ_CHECK(sip_media_same(item, item));
        }
    }
    uint32_t values;
    if (sip_priorities_read(msg, SIP_HDR_RESOURCE_PRIORITY, &values) == HD_OK)
        FUZZ_CHECK(!(values & 1) && (values == 0) == (sip_priority_highest(values) == 0));
    FUZZ_CHECK(sip_accept_quality(msg, HD_LIT("application/pidf+xml"), HD_LIT("a/b")) <= 1000);
    struct sip_addr contact;
    if (sip_contact_one(msg, &contact) == HD_OK)
        FUZZ_CHECK(contact.uri.n > 0);
}

static void
check_routes(const struct sip_msg *msg, bool secure, char *buffer)
{
    struct sip_out out;
    sip_out_init(&out, buffer, OUT_MAX);
    size_t n;
    if (sip_route_set(msg, secure, &out) || sip_out_finish(&out, &n))
        return;
    struct sip_hop hop;
    if (sip_dialog_hop(hd_slice(buffer, n), HD_LIT("sip:a@192.0.2.1"), &hop) == HD_OK) {
        enum hd_transport transport;
        struct hd_addr addr;
        FUZZ_CHECK(hop.request_uri.n > 0);
        FUZZ_CHECK(!secure || n == 0 || hop.next.scheme == SIP_SCHEME_SIPS);
        if (sip_uri_addr(&hop.next, &transport, &addr) == HD_OK)
            FUZZ_CHECK(addr.port != 0 && transport != 0);
    } else {
        FUZZ_CHECK(n > 0);
    }
}

/* The message in our own spelling: long names, one blank, no folds. */
static struct hd_slice
write_back(const struct sip_msg *msg, char *buffer)
{
    struct sip_out out;
    sip_out_init(&out, buffer, OUT_MAX);
    if (msg->request) {
        sip_out_slice(&out, msg->method_name);
        sip_out_char(&out, ' ');
        sip_out_slice(&out, msg->uri);
        sip_out_lit(&out, " SIP/2.0\r\n");
    } else {
        sip_out_lit(&out, "SIP/2.0 ");
        sip_out_u32(&out, msg->status);
        sip_out_char(&out, ' ');
        sip_out_slice(&out, msg->reason);
        sip_out_crlf(&out);
    }
    for (unsigned i = 0; i < msg->n_headers; i++) {
        const enum sip_hdr id = (enum sip_hdr)msg->headers[i].id;
        sip_out_slice(&out, id ? sip_hdr_name(id) : msg->headers[i].name);
        sip_out_lit(&out, ": ");
        sip_out_unfolded(&out, msg->headers[i].value);
        sip_out_crlf(&out);
    }
    sip_out_crlf(&out);
    sip_out_slice(&out, msg->body);
    size_t n;
    FUZZ_CHECK(sip_out_finish(&out, &n) == HD_OK);
    return hd_slice(buffer, n);
}

static void
check_same(const struct sip_msg *a, const struct sip_msg *b)
{
    FUZZ_CHECK(a->request == b->request && a->method == b->method && a->status == b->status);
    FUZZ_CHECK(hd_slice_eq(a->uri, b->uri) && hd_slice_eq(a->method_name, b->method_name));
    FUZZ_CHECK(hd_slice_eq(a->reason, b->reason));
    FUZZ_CHECK(a->n_headers == b->n_headers && a->n_vias == b->n_vias);
    FUZZ_CHECK(hd_slice_eq(a->call_id, b->call_id));
    FUZZ_CHECK(hd_slice_eq(a->from_tag, b->from_tag) && hd_slice_eq(a->to_tag, b->to_tag));
    FUZZ_CHECK(hd_slice_eq(a->from.uri, b->from.uri) && hd_slice_eq(a->to.uri, b->to.uri));
    FUZZ_CHECK(a->cseq.number == b->cseq.number);
    FUZZ_CHECK(hd_slice_eq(a->cseq.method_name, b->cseq.method_name));
    FUZZ_CHECK(hd_slice_eq(a->via.branch, b->via.branch) && hd_slice_eq(a->via.host, b->via.host));
    FUZZ_CHECK(a->via.port == b->via.port && a->via.rport == b->via.rport);
    FUZZ_CHECK(a->max_forwards == b->max_forwards);
    FUZZ_CHECK(hd_slice_eq(a->body, b->body));
}

static void
check_reply(const struct sip_msg *msg, bool good, char *buffer)
{
    struct hd_addr source;
    FUZZ_CHECK(hd_addr_parse(HD_LIT("2001:db8::7"), 5062, &source) == HD_OK);
    struct sip_out out;
    sip_out_init(&out, buffer, OUT_MAX);
    sip_reply_begin(&out, msg, good ? 200 : 400, HD_LIT(""), HD_LIT("our-tag"), &source);
    sip_reply_end(&out);
    size_t n;
    FUZZ_CHECK(sip_out_finish(&out, &n) == HD_OK);
    /* Whatever came, it cannot end the head of our response early. */
    FUZZ_CHECK((size_t)((char *)memmem(buffer, n, "\r\n\r\n", 4) - buffer) == n - 4);
    FUZZ_CHECK(sip_reply_target(msg, &source).port != 0);
    if (!good)
        return;
    char memory[ARENA];
    struct hd_arena arena;
    struct sip_msg reply;
    struct sip_fault fault;
    hd_arena_init(&arena, memory, sizeof(memory));
    FUZZ_CHECK(sip_msg_parse(hd_slice(buffer, n), true, &arena, &reply, &fault) == HD_OK);
    FUZZ_CHECK(reply.status == 200 && reply.n_vias == msg->n_vias);
    FUZZ_CHECK(hd_slice_eq(reply.via.branch, msg->via.branch));
    FUZZ_CHECK(hd_slice_eq(reply.from_tag, msg->from_tag));
    FUZZ_CHECK(hd_slice_eq(reply.to_tag, msg->to_tag.n ? msg->to_tag : HD_LIT("our-tag")));
    FUZZ_CHECK(hd_slice_eq(reply.call_id, msg->call_id));
    FUZZ_CHECK(reply.cseq.number == msg->cseq.number);
    FUZZ_CHECK(hd_slice_eq(reply.via.received, HD_LIT("2001:db8::7")) ||
               hd_slice_eq(msg->via.host, HD_LIT("[2001:db8::7]")) || reply.via.host.p[0] == '[');
}

/* Parsed again with exactly the memory it needs, and with one header less. */
static void
check_arena(struct hd_slice octets, bool stream, const struct sip_msg *msg)
{
    char memory[ARENA];
    struct hd_arena arena;
    struct sip_msg again;
    struct sip_fault fault;
    if (msg->n_headers == 0)
        return;
    hd_arena_init(&arena, memory, msg->n_headers * sizeof(struct sip_header) + 16);
    FUZZ_CHECK(sip_msg_parse(octets, stream, &arena, &again, &fault) != HD_ENOSPC);
    hd_arena_init(&arena, memory, (msg->n_headers - 1) * sizeof(struct sip_header) + 16);
    FUZZ_CHECK(sip_msg_parse(octets, stream, &arena, &again, &fault) == HD_ENOSPC);
}

/* Reading a response by its branch alone refuses no more and sees the same; a request is read in
 * full. */
static void
check_by_branch(struct hd_slice octets, bool stream, const struct sip_msg *msg, enum hd_err err)
{
    char memory[ARENA];
    struct hd_arena arena;
    struct sip_msg again;
    struct sip_fault fault;
    hd_arena_init(&arena, memory, sizeof(memory));
    const enum hd_err found = sip_msg_parse_by_branch(octets, stream, &arena, &again, &fault);
    FUZZ_CHECK(msg->request ? found == err : err || found == HD_OK);
    FUZZ_CHECK(again.request == msg->request && again.status == msg->status);
    FUZZ_CHECK(again.n_headers == msg->n_headers && again.n_vias == msg->n_vias);
    FUZZ_CHECK(hd_slice_eq(again.via.branch, msg->via.branch));
    FUZZ_CHECK(hd_slice_eq(again.via.host, msg->via.host) && again.via.port == msg->via.port);
    FUZZ_CHECK(again.cseq.number == msg->cseq.number);
    FUZZ_CHECK(hd_slice_eq(again.cseq.method_name, msg->cseq.method_name));
    FUZZ_CHECK(hd_slice_eq(again.body, msg->body));
}

static void
run(struct hd_slice octets, bool stream, char *buffer)
{
    static const struct hd_hash_key key = { 1, 2 };
    char memory[ARENA], memory_again[ARENA];
    struct hd_arena arena;
    struct sip_msg msg, again;
    struct sip_fault fault;
    hd_arena_init(&arena, memory, sizeof(memory));
    const enum hd_err err = sip_msg_parse(octets, stream, &arena, &msg, &fault);
    FUZZ_CHECK(err == HD_OK || err == HD_ESYNTAX);
    FUZZ_CHECK((err == HD_OK) == (fault.reason == NULL));
    check_shape(&msg, octets);
    check_arena(octets, stream, &msg);
    check_by_branch(octets, stream, &msg, err);
    read_all(&msg);
    (void)sip_txn_hash(&key, &msg);
    if (err) {
        FUZZ_CHECK(fault.answerable == (fault.status != 0));
        if (fault.answerable)
            check_reply(&msg, false, buffer);
        return;
    }
    check_routes(&msg, false, buffer);
    check_routes(&msg, true, buffer);
    if (msg.request)
        check_reply(&msg, true, buffer);
    const struct hd_slice written = write_back(&msg, buffer);
    hd_arena_init(&arena, memory_again, sizeof(memory_again));
    FUZZ_CHECK(sip_msg_parse(written, stream, &arena, &again, &fault) == HD_OK);
    check_same(&msg, &again);
    FUZZ_CHECK(msg.via.branch.n < 8 || !msg.request ||
               !hd_slice_istarts(msg.via.branch, HD_LIT("z9hG4bK")) ||
               sip_txn_hash(&key, &msg) == sip_txn_hash(&key, &again));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char buffer[OUT_MAX];
    char *copy;
    if (size > 65535)
        return 0;
    const struct hd_slice octets = fuzz_copy(data, size, &copy);
    run(octets, false, buffer);
    run(octets, true, buffer);
    free(copy);
    return 0;
}
