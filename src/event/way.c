/* way.c - where the NOTIFYs of a subscription go: to what Route and Contact say, over a stream that
 * the subscriber opened, or back through whatever translates his address (RFC 3261
 * section 12.2.1.1, RFC 3263, RFC 5626). */
#include "event/core.h"
#include "sip/dialog.h"

/* A listener of another transport on the address that a request came to, on the same port if there
 * is one, since what is trusted is said there alike; its index or -1. */
static int
listener_beside(const struct evt_config *config, const struct hd_flow *came,
                enum hd_transport transport)
{
    int found = -1;

    for (size_t i = 0; i < config->n_listeners; i++) {
        const struct evt_listener *listener = &config->listeners[i];
        if (listener->transport != transport || listener->addr.family != came->local.family ||
            !(hd_addr_is_any(&listener->addr) || hd_addr_same_ip(&listener->addr, &came->local)))
            continue;
        if (listener->addr.port == came->local.port)
            return (int)i;
        if (found < 0)
            found = (int)i;
    }
    return found;
}

/* Leaves the way that a request came for another transport: from the port where that is listened
 * to, so that who is told it in Via and Contact finds somebody there.  False: not from here. */
static bool
way_change(const struct evt_config *config, const struct hd_flow *came, enum hd_transport transport,
           struct hd_flow *way)
{
    int listener = listener_beside(config, came, transport);

    switch (transport) {
    case HD_UDP:
        if (listener < 0)
            return false;
        break;
    case HD_TCP:
        break;
    case HD_TLS:
        if (!config->has_tls)
            return false;
        break;
    case HD_WS: /* RFC 7118: who speaks WebSocket is never connected to */
    case HD_WSS:
    case HD_HTTP:
        return false;
    }
    way->transport = (uint8_t)transport;
    if (listener >= 0) {
        way->listener = (uint8_t)listener;
        way->local.port = config->listeners[listener].addr.port;
    }
    return true;
}

bool
evt_flow_is_secure(const struct hd_flow *flow)
{
    return flow->transport == HD_TLS || flow->transport == HD_WSS;
}

static bool
same_family(const struct hd_flow *came, const struct hd_addr *addr)
{
    return came->local.family == addr->family;
}

/* A remote target is a SIP or SIPS URI (RFC 3261 12.1.1). */
bool
evt_notify_reaches(struct hd_slice target)
{
    struct sip_uri uri;

    return sip_uri_parse(target, &uri) == HD_OK &&
           (uri.scheme == SIP_SCHEME_SIP || uri.scheme == SIP_SCHEME_SIPS);
}

bool
evt_notify_flow_to(struct evt_shard *shard, const struct hd_flow *came, enum hd_transport transport,
                   const struct hd_addr *addr, struct hd_flow *ret_flow)
{
    struct hd_flow flow = *came;

    if (!same_family(came, addr) || (transport != (enum hd_transport)came->transport &&
                                     !way_change(shard->config, came, transport, &flow)))
        return false;
    flow.conn = 0;
    flow.remote = *addr;
    *ret_flow = flow;
    return true;
}

void
evt_notify_transports(struct evt_shard *shard, const struct hd_flow *came, struct evt_name *name)
{
    static const struct hd_addr four = { .family = 4 }, six = { .family = 6 };
    struct hd_flow flow;

    name->transports4 = name->transports6 = 0;
    for (int t = HD_UDP; t <= HD_TLS; t++) {
        if (evt_notify_flow_to(shard, came, (enum hd_transport)t, &four, &flow))
            name->transports4 |= (uint8_t)(1u << t);
        if (evt_notify_flow_to(shard, came, (enum hd_transport)t, &six, &flow))
            name->transports6 |= (uint8_t)(1u << t);
    }
}

/* Whether the host of a next hop is to be looked up: a name, and not one that says itself that it
 * cannot be (RFC 6761 section 6.4). */
static bool
is_name(const struct evt_shard *shard, const struct sip_uri *uri)
{
    static const struct hd_slice never = { "invalid", 7 };
    struct hd_slice host = uri->host;
    struct hd_addr addr;

    if (host.n > 1 && host.p[host.n - 1] == '.')
        host.n--;
    if (!shard->ports.names || sip_host_addr(uri->host, 0, &addr) == HD_OK)
        return false;
    return !(host.n >= never.n && hd_slice_ieq(hd_slice_from(host, host.n - never.n), never) &&
             (host.n == never.n || host.p[host.n - never.n - 1] == '.'));
}

/* RFC 3263 section 4: what of a URI says where it leads. */
static struct evt_name
name_of(const struct sip_uri *uri)
{
    struct hd_slice value;
    bool said = sip_uri_param(uri, HD_LIT("transport"), &value);

    return (struct evt_name){ .host = uri->host,
                              .port = uri->port,
                              .transport = said ? (uint8_t)sip_uri_transport(uri) : 0,
                              .secure = uri->scheme == SIP_SCHEME_SIPS };
}

/* Addresses that mean something else beyond a translator: RFC 1918, 3927, 4193, 4291 section 2.5.6,
 * 6598. */
static bool
is_private(const struct hd_addr *addr)
{
    static const struct hd_prefix four[] = {
        { { .ip = { 10 }, .family = 4 }, 8 },          { { .ip = { 172, 16 }, .family = 4 }, 12 },
        { { .ip = { 192, 168 }, .family = 4 }, 16 },   { { .ip = { 100, 64 }, .family = 4 }, 10 },
        { { .ip = { 169, 254 }, .family = 4 }, 16 },   { { .ip = { 0xfc }, .family = 6 }, 7 },
        { { .ip = { 0xfe, 0x80 }, .family = 6 }, 10 },
    };

    for (size_t i = 0; i < HD_ARRAY_LEN(four); i++)
        if (hd_prefix_holds(&four[i], addr))
            return true;
    return false;
}

/* A phone that registered here may say as its Contact the GRUU that it was given (RFC 5627 section
 * 4.4): that leads to us, and from here to him who said it. */
static bool
is_own_gruu(const struct evt_shard *shard, const struct hd_flow *came, const struct sip_uri *uri)
{
    char key[SIP_KEY_MAX];
    size_t n;

    return sip_uri_param(uri, HD_LIT("gr"), NULL) &&
           evt_resource_key(shard, came, uri, key, &n) == HD_OK;
}

/* Whether a subscriber is reached where his datagram came from, through whatever translates his
 * address, rather than where his Contact says (RFC 5626 section 4.3 and what operators allow). */
static bool
source_is_way(const struct evt_shard *shard, const struct hd_flow *came, const struct sip_uri *uri)
{
    struct hd_addr addr;

    if (came->transport != HD_UDP || came->listener >= shard->config->n_listeners)
        return false;
    if (is_own_gruu(shard, came, uri))
        return true;
    switch (shard->config->listeners[came->listener].nat) {
    case EVT_NAT_ALWAYS:
        return true;
    case EVT_NAT_NEVER:
        return false;
    case EVT_NAT_PRIVATE:
        if (sip_host_addr(uri->host, 0, &addr) == HD_OK && is_private(&addr) &&
            !hd_addr_same_ip(&addr, &came->remote))
            return true;
        break;
    case EVT_NAT_ASKED:
        break;
    }
    return sip_uri_param(uri, HD_LIT("ob"), NULL);
}

/* The proxy of the subscriber's domain, or of the listener that his SUBSCRIBE came to; empty:
 * neither has one. */
static struct hd_slice
configured_hop(const struct evt_config *config, const struct evt_notified *to)
{
    const size_t at = hd_slice_find(to->watcher, '@');
    const struct hd_slice domain = hd_slice_from(to->watcher, at < to->watcher.n ? at + 1 : at);

    for (size_t i = 0; i < config->n_next_hops; i++)
        if (hd_slice_eq(config->next_hops[i].domain, domain))
            return config->next_hops[i].proxy;
    if (to->came->listener >= config->n_listeners)
        return hd_slice(NULL, 0);
    return config->listeners[to->came->listener].next_hop;
}

/* A configured proxy stands in for what Contact says (RFC 3261 section 8.1.2); what is for a sips
 * target goes to it by TLS.  False: there is none. */
static bool
take_next_hop(const struct evt_shard *shard, const struct evt_notified *to, struct sip_hop *hop)
{
    const struct hd_slice proxy = configured_hop(shard->config, to);
    struct sip_uri uri;

    if (!proxy.n || sip_uri_parse(proxy, &uri))
        return false;
    if (hop->next.scheme == SIP_SCHEME_SIPS)
        uri.scheme = SIP_SCHEME_SIPS;
    hop->next = uri;
    return true;
}

/* A stream that the subscriber opened is the way back to him; so is his source when his Contact is
 * a name that cannot be looked up. */
enum hd_err
evt_notify_flow(struct evt_shard *shard, const struct evt_notified *to, struct evt_way *ret_way)
{
    const struct hd_flow *came = to->came;
    const bool direct = to->direct, back = direct || came->conn;
    struct sip_hop hop;
    enum hd_transport transport;
    struct hd_addr addr;

    if (sip_dialog_hop(to->route, to->target, &hop))
        return HD_ESYNTAX;
    *ret_way = (struct evt_way){ .flow = *came };
    if (evt_notify_is_secure(&hop, to->target)) {
        /* RFC 5630 section 5.1.1: what is for a sips target never travels in the clear, but to a
         * proxy that the operator trusts to go on as it has to. */
        if (!evt_flow_is_secure(came) && (direct || !evt_listener_trusts(shard->config, came)))
            return HD_ENOTSUP;
        if (!evt_flow_is_secure(came) && hop.next.scheme == SIP_SCHEME_SIPS)
            return HD_OK;
        if (evt_flow_is_secure(came))
            hop.next.scheme = SIP_SCHEME_SIPS;
    }
    if (direct && (came->conn || source_is_way(shard, came, &hop.next)))
        return HD_OK;
    bool through = !to->route.n && take_next_hop(shard, to, &hop);
    if (sip_uri_addr(&hop.next, &transport, &addr)) { /* no literal address */
        if (!sip_uri_transport(&hop.next) || !is_name(shard, &hop.next))
            return back ? HD_OK : HD_ENOMATCH;
        ret_way->name = name_of(&hop.next);
        ret_way->back = back && !through; /* one next hop for all who go through it */
        return HD_OK;
    }
    if (!same_family(came, &addr))
        return back ? HD_OK : HD_ENOMATCH;
    /* Over a transport that this server does not speak: the way it came. */
    (void)evt_notify_flow_to(shard, came, transport, &addr, &ret_way->flow);
    return HD_OK;
}

bool
evt_uri_is_sips(struct hd_slice uri)
{
    return uri.n > 4 && uri.p[4] == ':' && hd_slice_istarts(uri, HD_LIT("sips"));
}

bool
evt_notify_is_secure(const struct sip_hop *hop, struct hd_slice target)
{
    return hop->next.scheme == SIP_SCHEME_SIPS || evt_uri_is_sips(target);
}
