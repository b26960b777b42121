/* reply.c - what a response copies from its request (RFC 3261 section 8.2.6), and where it goes.
 *
 * Values are copied as they came, folds apart, so that a client finds its own octets again.  Only
 * the topmost Via is changed: it gets received and rport, and a received that the client wrote
 * itself is dropped, since it would send the response wherever the client likes. */
#include "sip/reply.h"

#include "sip/chars.h"
#include "sip/header.h"
#include "sip/uri.h"

/* RFC 3261 18.2.1 and RFC 3581 section 4: received when sent-by is not the source address, or when
 * rport was asked for. */
static bool
received_needed(const struct sip_via *via, const struct hd_addr *source)
{
    struct hd_addr addr;
    return via->rport || sip_host_addr(via->host, 0, &addr) || !hd_addr_same_ip(&addr, source);
}

/* A value of the request; nearly none is folded. */
static inline void
value_write(struct sip_out *out, const struct sip_msg *request, struct hd_slice value)
{
    if (request->folded)
        sip_out_unfolded(out, value);
    else
        sip_out_slice(out, value);
}

/* RFC 6223 section 4.3: keep without a value asks whether keep-alives are welcome, and the first
 * hop that they reach says how often; as RFC 5626 section 4.4 has it.  0: it says nothing. */
static uint32_t
keep_interval_s(const struct sip_msg *request, unsigned status)
{
    if (status >= 300 || request->n_vias != 1 ||
        (request->method != SIP_REGISTER && request->method != SIP_SUBSCRIBE))
        return 0;
    return sip_word(request->via.transport, "UDP") ? 29 : 120;
}

static void
top_via_write(struct sip_out *out, const struct sip_msg *request, unsigned status,
              const struct hd_addr *source)
{
    const struct sip_via *via = &request->via;
    struct hd_slice head = via->value;
    head.n -= via->params.n;
    value_write(out, request, hd_slice_trim(head));
    struct hd_slice rest = via->params, name, value;
    while (sip_param_next(&rest, &name, &value) == HD_OK) {
        if (sip_word(name, "received") || (value.n == 0 && sip_word(name, "rport")))
            continue;
        sip_out_char(out, ';');
        sip_out_slice(out, name);
        if (!value.p && name.n == 4 && sip_word(name, "keep") && keep_interval_s(request, status)) {
            sip_out_char(out, '=');
            sip_out_u32(out, keep_interval_s(request, status));
        } else if (value.p) {
            sip_out_char(out, '=');
            value_write(out, request, value);
        }
    }
    /* What could not be read as a parameter is part of a refusal: it goes back as it came. */
    value_write(out, request, rest);
    if (received_needed(via, source)) {
        char host[HD_ADDR_TEXT];
        struct hd_slice text = hd_slice(host, hd_addr_host_text(source, host));
        /* via-received  =  "received" EQUAL (IPv4address / IPv6address): without brackets. */
        if (text.n > 2 && text.p[0] == '[')
            text = hd_slice(text.p + 1, text.n - 2);
        sip_out_lit(out, ";received=");
        sip_out_slice(out, text);
    }
    if (via->rport) {
        sip_out_lit(out, ";rport=");
        sip_out_u32(out, source->port);
    }
}

/* All Via values in their order (8.2.6.2), one line for each field. */
static void
vias_write(struct sip_out *out, const struct sip_msg *request, unsigned status,
           const struct hd_addr *source)
{
    const struct sip_header *h = sip_msg_header(request, SIP_HDR_VIA);
    if (h && request->via.value.n) {
        const struct sip_via *via = &request->via;
        const char *behind = sip_end(via->value);
        sip_out_lit(out, "Via: ");
        top_via_write(out, request, status, source);
        value_write(out, request, hd_slice(behind, (size_t)(sip_end(h->value) - behind)));
        sip_out_crlf(out);
        h = sip_msg_next(request, h);
    }
    for (; h; h = sip_msg_next(request, h)) {
        sip_out_lit(out, "Via: ");
        value_write(out, request, h->value);
        sip_out_crlf(out);
    }
}

static void
copy_header(struct sip_out *out, const struct sip_msg *request, enum sip_hdr id)
{
    const struct sip_header *h = sip_msg_header(request, id);
    if (!h)
        return;
    sip_out_slice(out, sip_hdr_name(id));
    sip_out_lit(out, ": ");
    value_write(out, request, h->value);
    sip_out_crlf(out);
}

void
sip_reply_begin(struct sip_out *out, const struct sip_msg *request, unsigned status,
                struct hd_slice reason, struct hd_slice to_tag, const struct hd_addr *source)
{
    HD_ASSERT(status >= 100 && status <= 699);
    sip_out_lit(out, "SIP/2.0 ");
    sip_out_u32(out, status);
    sip_out_char(out, ' ');
    sip_out_slice(out, reason.n ? reason : sip_status_phrase(status));
    sip_out_crlf(out);
    vias_write(out, request, status, source);
    copy_header(out, request, SIP_HDR_FROM);
    const struct sip_header *to = sip_msg_header(request, SIP_HDR_TO);
    if (to) {
        sip_out_lit(out, "To: ");
        value_write(out, request, to->value);
        /* A To that could not be read is repeated untouched: nothing can be appended to it safely.
         */
        if (request->to_tag.n == 0 && request->to.uri.n && status > 100 && to_tag.n) {
            sip_out_lit(out, ";tag=");
            sip_out_slice(out, to_tag);
        }
        sip_out_crlf(out);
    }
    copy_header(out, request, SIP_HDR_CALL_ID);
    copy_header(out, request, SIP_HDR_CSEQ);
    if (status == 100)
        copy_header(out, request, SIP_HDR_TIMESTAMP);
}

void
sip_reply_end(struct sip_out *out)
{
    sip_out_lit(out, "Content-Length: 0\r\n\r\n");
}

struct hd_addr
sip_reply_target(const struct sip_msg *request, const struct hd_addr *source)
{
    struct hd_addr target = *source;
    if (!request->via.rport)
        target.port = request->via.port ? request->via.port : 5060;
    return target;
}
