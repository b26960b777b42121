/* dialog.c - route sets and the next hop of a request inside a dialog (RFC 3261 section 12). */
#include "sip/dialog.h"

#include "sip/header.h"

/* Writes a value of a Record-Route whose URI is a SIP one as if that were a SIPS one. */
static void
out_secured(struct sip_out *out, struct hd_slice item, struct hd_slice uri)
{
    const size_t before = (size_t)(uri.p - item.p);
    sip_out_unfolded(out, hd_slice(item.p, before));
    sip_out_lit(out, "sips");
    sip_out_unfolded(out, hd_slice_from(item, before + 3)); /* behind "sip" */
}

/* 12.1.1: the UAS takes the Record-Route values in their order, with all parameters. */
enum hd_err
sip_route_set(const struct sip_msg *request, bool secure, struct sip_out *out)
{
    struct sip_walk walk = { 0 };
    struct hd_slice item;
    bool first = true;
    while (sip_msg_walk(request, SIP_HDR_RECORD_ROUTE, &walk, &item)) {
        struct sip_addr addr;
        struct sip_uri uri;
        if (sip_addr_parse(item, &addr) || !addr.brackets || sip_uri_parse(addr.uri, &uri) ||
            (uri.scheme != SIP_SCHEME_SIP && uri.scheme != SIP_SCHEME_SIPS))
            return HD_ESYNTAX;
        if (!first)
            sip_out_char(out, ',');
        if (secure && uri.scheme == SIP_SCHEME_SIP)
            out_secured(out, item, addr.uri);
        else
            sip_out_unfolded(out, item);
        first = false;
    }
    return HD_OK;
}

void
sip_route_echo(const struct sip_msg *request, struct sip_out *out)
{
    for (const struct sip_header *h = sip_msg_header(request, SIP_HDR_RECORD_ROUTE); h;
         h = sip_msg_next(request, h)) {
        sip_out_lit(out, "Record-Route: ");
        sip_out_unfolded(out, h->value);
        sip_out_crlf(out);
    }
}

/* 12.2.1.1.  A first route with lr stays a Route; one without is a strict router, which finds
 * itself in the Request-URI and the target at the end of the Route. */
enum hd_err
sip_dialog_hop(struct hd_slice route_set, struct hd_slice target, struct sip_hop *ret_hop)
{
    struct sip_hop hop = { .request_uri = target, .route = route_set };
    struct hd_slice rest = route_set, item;
    if (!sip_list_next(&rest, &item)) {
        hop.route = hd_slice(NULL, 0);
        if (sip_uri_parse(target, &hop.next))
            return HD_ESYNTAX;
        *ret_hop = hop;
        return HD_OK;
    }
    struct sip_addr addr;
    struct sip_uri ignored;
    if (sip_addr_parse(item, &addr) || sip_uri_parse(addr.uri, &hop.next) ||
        sip_uri_parse(target, &ignored))
        return HD_ESYNTAX;
    if (!sip_uri_param(&hop.next, HD_LIT("lr"), NULL)) {
        hop.request_uri = addr.uri;
        /* Headers are not allowed in a Request-URI (19.1.1). */
        if (hop.next.headers.n)
            hop.request_uri.n -= hop.next.headers.n + 1;
        hop.route = rest;
        hop.route_last = target;
    }
    *ret_hop = hop;
    return HD_OK;
}

enum hd_err
sip_uri_addr(const struct sip_uri *uri, enum hd_transport *ret_transport, struct hd_addr *ret_addr)
{
    const enum hd_transport transport = sip_uri_transport(uri);
    if (!transport)
        return HD_ENOTSUP;
    if (sip_host_addr(uri->host, sip_uri_port(uri), ret_addr))
        return HD_ENOMATCH;
    *ret_transport = transport;
    return HD_OK;
}

/* What may not stand in a Request-URI: headers (19.1.1, table 1). */
static void
target_trim(struct hd_slice *target)
{
    struct sip_uri uri;
    if (memchr(target->p, '?', target->n) && sip_uri_parse(*target, &uri) == HD_OK && uri.headers.n)
        target->n = (size_t)(uri.headers.p - target->p) - 1;
}

enum hd_err
sip_contact_one(const struct sip_msg *msg, struct sip_addr *ret_contact)
{
    struct sip_walk walk = { 0 };
    struct hd_slice item, second;
    if (!sip_msg_walk(msg, SIP_HDR_CONTACT, &walk, &item))
        return HD_ENOMATCH;
    if (sip_msg_walk(msg, SIP_HDR_CONTACT, &walk, &second))
        return HD_EEXIST;
    const enum hd_err err = sip_addr_parse(item, ret_contact);
    if (!err)
        target_trim(&ret_contact->uri);
    return err;
}
