/* config_listen.c - what a configuration file says of listeners and of TLS. */
#include "heraldd/config_read.h"

#include "heraldd/config_file.h"
#include "sip/uri.h"

const char *const hd_listen_keys[] = { "authentication", "contact", "verify_clients", "ca", "nat",
                                       "next_hop" };
const char *const hd_listen_lists[] = { "trusted",     "trusted_names", "certified",
                                        "certificate", "key",           "origins" };
const char *const hd_tls_keys[] = { "ca", "certificate", "key", "verify_servers" };
const size_t hd_n_listen_keys = HD_ARRAY_LEN(hd_listen_keys),
             hd_n_listen_lists = HD_ARRAY_LEN(hd_listen_lists),
             hd_n_tls_keys = HD_ARRAY_LEN(hd_tls_keys);

/* --- addresses ------------------------------------------------------------------------- */

static int
transport_of(struct hd_slice name)
{
    for (int t = HD_UDP; t <= HD_WSS; t++)
        if (hd_slice_ieq(hd_transport_name((enum hd_transport)t), name))
            return t;
    return 0;
}

/* RFC 3261 section 19.1.2, RFC 7118 section 5.5. */
static uint16_t
usual_port(enum hd_transport transport)
{
    switch (transport) {
    case HD_UDP:
    case HD_TCP:
        return 5060;
    case HD_TLS:
        return 5061;
    case HD_WS:
        return 80;
    case HD_WSS:
    case HD_HTTP:
        return 443;
    }
    return 5060;
}

enum hd_err
hd_conf_address(struct hd_slice text, enum hd_transport *ret_transport, struct hd_addr *ret_addr,
                const char **ret_why)
{
    struct hd_slice host, port = { 0 };
    uint32_t number;
    int transport;
    size_t end;

    host = hd_slice_from(text, hd_slice_find(text, ':'));
    host = hd_slice_starts(host, HD_LIT("://")) ? hd_slice_from(host, 3) : (struct hd_slice){ 0 };
    transport = host.p ? transport_of(hd_slice(text.p, (size_t)(host.p - text.p) - 3)) : 0;
    if (!transport) {
        *ret_why = "the transport is none of udp, tcp, tls, ws and wss";
        return HD_ESYNTAX;
    }
    number = usual_port((enum hd_transport)transport);
    end = host.n > 0 && host.p[0] == '[' ? hd_slice_find(host, ']') + 1 : hd_slice_find(host, ':');
    if (end < host.n) {
        port = hd_slice_from(host, end);
        host.n = end;
        if (port.p[0] != ':' || hd_slice_to_u32(hd_slice_from(port, 1), &number) ||
            number > UINT16_MAX) {
            *ret_why = "what follows the address is not a port (an IPv6 address is written in [])";
            return HD_ESYNTAX;
        }
    }
    if (host.n == 0) {
        *ret_addr = (struct hd_addr){ .family = 4, .port = (uint16_t)number };
    } else if (hd_addr_parse(host, (uint16_t)number, ret_addr)) {
        *ret_why =
            "the host is not an IPv4 address nor an IPv6 address in [] (names are not looked up)";
        return HD_ESYNTAX;
    }
    *ret_transport = (enum hd_transport)transport;
    return HD_OK;
}

/* A host name (letters, digits and '-' in labels, RFC 3261 section 25.1 "hostname") or an address,
 * in lower case. */
static bool
is_domain(struct hd_slice text)
{
    bool good = text.n > 0 && text.n <= 190 && text.p[0] != '.' && text.p[0] != '-';
    struct hd_addr addr;

    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.') ||
            (c == '.' && i > 0 && text.p[i - 1] == '.'))
            good = false;
    }
    return good || (text.n > 0 && text.p[0] == '[' && !hd_addr_parse(text, 0, &addr));
}

bool
hd_check_domain(struct hd_reader *r, const char *key, const struct hd_value *value)
{
    if (is_domain(hd_value_slice(value)))
        return true;
    hd_problem(r->problems, value->line,
               "%s holds \"%s\"; expected a host name in lower case or an address", key,
               value->text);
    return false;
}

/* --- certificates ---------------------------------------------------------------------- */

/* Pairs of the lists certificate and key, by their order. */
static void
read_pairs(struct hd_reader *r, cfg_t *sec, unsigned line, struct hd_conf_secure *secure)
{
    unsigned n = cfg_size(sec, "certificate");
    struct net_tls_pair *pairs = hd_read_room(r, n, sizeof(*pairs));

    if (n != cfg_size(sec, "key")) {
        hd_problem(r->problems, line,
                   "listen \"%s\" has %u files of certificates and %u of keys; expected a key for "
                   "each certificate, in the same order",
                   cfg_title(sec), n, cfg_size(sec, "key"));
        return;
    }
    for (unsigned i = 0; i < n && pairs; i++) {
        const struct hd_value *certificate = cfg_getnptr(sec, "certificate", i);
        const struct hd_value *key = cfg_getnptr(sec, "key", i);

        if (certificate->n == 0 || key->n == 0)
            hd_problem(r->problems, certificate->line,
                       "certificate or key is empty; expected the path of a file");
        pairs[i].certificate = hd_read_keep_text(r, hd_value_slice(certificate));
        pairs[i].key = hd_read_keep_text(r, hd_value_slice(key));
    }
    secure->pairs = pairs;
    secure->n_pairs = n;
}

static void
read_secure(struct hd_reader *r, cfg_t *sec, unsigned line, struct hd_conf_secure *secure)
{
    static const char *const verify[] = { "no", "optional", "require" };
    const struct hd_value *first =
        cfg_size(sec, "certificate") > 0 ? cfg_getnptr(sec, "certificate", 0) : NULL;

    if (!first)
        hd_problem(r->problems, line,
                   "listen \"%s\" has no certificate; expected certificate = \"FILE\" and key = "
                   "\"FILE\", or certificate = self for one that herald makes itself",
                   cfg_title(sec));
    else if (hd_slice_eq(hd_value_slice(first), HD_LIT("self")) && cfg_size(sec, "key") == 0)
        secure->self_signed = true;
    else
        read_pairs(r, sec, line, secure);
    secure->verify = (enum net_tls_verify)hd_read_word(r, sec, "verify_clients", verify, 3, 0);
    hd_read_path(r, sec, "ca", &secure->ca);
    if (secure->ca && secure->verify == NET_TLS_VERIFY_NO)
        hd_problem(r->problems, line,
                   "listen \"%s\" has a ca and looks at no certificates; expected "
                   "verify_clients = optional or require",
                   cfg_title(sec));
}

/* "https://phone.example.test" or with a port, as a browser sends it (RFC 6454 section 6.2). */
bool
hd_check_origin(struct hd_reader *r, const char *key, const struct hd_value *value)
{
    struct hd_slice text = hd_value_slice(value), host = text;
    bool good;

    host = hd_slice_from(host, hd_slice_find(host, ':'));
    good = text.n <= 200 && host.n < text.n && hd_slice_starts(host, HD_LIT("://")) && host.n > 3;
    host = hd_slice_from(host, 3);
    for (size_t i = 0; i < text.n; i++)
        good = good && (unsigned char)text.p[i] > ' ' && (unsigned char)text.p[i] < 0x7f;
    if (good && hd_slice_find(host, '/') == host.n)
        return true;
    hd_problem(r->problems, value->line,
               "%s holds \"%s\"; expected what browsers call the page's origin, such as "
               "https://phone.example.test",
               key, value->text);
    return false;
}

static void
read_origins(struct hd_reader *r, cfg_t *sec, struct hd_conf_secure *secure,
             enum hd_transport transport)
{
    const struct hd_value *value = cfg_size(sec, "origins") ? cfg_getnptr(sec, "origins", 0) : NULL;

    if (value && transport != HD_WS && transport != HD_WSS)
        hd_problem(r->problems, value->line,
                   "origins in listen \"%s\", which has no WebSocket; expected a ws:// or wss:// "
                   "section",
                   cfg_title(sec));
    else
        hd_read_list(r, sec, "origins", hd_check_origin, &secure->origins, &secure->n_origins);
}

/* What only listeners with TLS have. */
static void
refuse_secure(struct hd_reader *r, cfg_t *sec)
{
    static const char *const only[] = { "certificate", "key", "verify_clients", "ca" };

    for (size_t i = 0; i < HD_ARRAY_LEN(only); i++) {
        const struct hd_value *value = cfg_size(sec, only[i]) ? cfg_getnptr(sec, only[i], 0) : NULL;

        if (value)
            hd_problem(r->problems, value->line,
                       "%s in listen \"%s\", which has no TLS; expected a tls:// or wss:// section",
                       only[i], cfg_title(sec));
    }
}

void
hd_read_tls(struct hd_reader *r)
{
    cfg_t *sec = cfg_size(r->root, "tls") ? cfg_getsec(r->root, "tls") : NULL;
    struct hd_conf_client *client = &r->conf->client;

    client->said = sec != NULL;
    hd_read_path(r, sec, "ca", &client->ca);
    hd_read_path(r, sec, "certificate", &client->pair.certificate);
    hd_read_path(r, sec, "key", &client->pair.key);
    client->trusts_all = !hd_read_bool(r, sec, "verify_servers", true);
    if (!client->pair.certificate != !client->pair.key)
        hd_problem(r->problems, hd_scan_line(&r->scan, "tls", 0),
                   "tls has one of certificate and key; expected both or none");
}

/* --- listeners ------------------------------------------------------------------------- */

static void
read_trusted(struct hd_reader *r, cfg_t *sec, struct evt_listener *listener)
{
    unsigned n = cfg_size(sec, "trusted");
    struct hd_prefix *trusted;

    if (n == 0)
        return;
    trusted = hd_read_room(r, n, sizeof(*trusted));
    for (unsigned i = 0; i < n && trusted; i++) {
        const struct hd_value *value = cfg_getnptr(sec, "trusted", i);
        enum hd_err err = hd_prefix_parse(hd_value_slice(value), &trusted[listener->n_trusted]);

        if (err)
            hd_problem(r->problems, value->line,
                       "trusted holds \"%s\"; expected an address or a prefix such as 127.0.0.0/8 "
                       "or ::1",
                       value->text);
        else
            listener->n_trusted++;
    }
    listener->trusted = trusted;
}

static void
read_contact(struct hd_reader *r, cfg_t *sec, struct evt_listener *listener)
{
    const struct hd_value *value = hd_read_value(sec, "contact");
    struct sip_uri uri;

    if (!value)
        return;
    if (sip_uri_parse(hd_value_slice(value), &uri) || uri.scheme != SIP_SCHEME_SIP ||
        uri.headers.n > 0)
        hd_problem(r->problems, value->line,
                   "contact = \"%s\"; expected a SIP URI without headers such as "
                   "sip:192.0.2.1:5060;transport=tcp",
                   value->text);
    else
        listener->contact = hd_read_keep(r, hd_value_slice(value));
}

/* The URI of a proxy; empty: not said. */
static struct hd_slice
read_proxy(struct hd_reader *r, cfg_t *sec, const char *key)
{
    const struct hd_value *value = hd_read_value(sec, key);
    struct sip_uri uri;

    if (!value)
        return hd_slice(NULL, 0);
    if (sip_uri_parse(hd_value_slice(value), &uri) ||
        (uri.scheme != SIP_SCHEME_SIP && uri.scheme != SIP_SCHEME_SIPS) || uri.headers.n > 0 ||
        uri.user.n > 0) {
        hd_problem(r->problems, value->line,
                   "%s = \"%s\"; expected the SIP or SIPS URI of a proxy, without user and "
                   "headers, such as sip:edge.example.test;transport=tcp",
                   key, value->text);
        return hd_slice(NULL, 0);
    }
    return hd_read_keep(r, hd_value_slice(value));
}

/* next_hop "partner.example" { proxy = "sip:border.example.test" } */
static void
read_next_hop(struct hd_reader *r, cfg_t *sec, unsigned line, struct evt_next_hop *next_hop)
{
    const struct hd_slice domain = hd_slice_str(cfg_title(sec));

    if (!is_domain(domain))
        hd_problem(r->problems, line,
                   "next_hop \"%s\"; expected a host name in lower case or an address",
                   cfg_title(sec));
    if (!hd_read_value(sec, "proxy"))
        hd_problem(r->problems, line,
                   "next_hop \"%s\" has no proxy; expected its SIP or SIPS URI, such as proxy = "
                   "\"sip:edge.example.test\"",
                   cfg_title(sec));
    next_hop->domain = hd_read_keep(r, domain);
    next_hop->proxy = read_proxy(r, sec, "proxy");
}

void
hd_read_next_hops(struct hd_reader *r)
{
    const unsigned n = cfg_size(r->root, "next_hop");

    if (n > HD_CONF_NEXT_HOPS) {
        hd_problem(r->problems, hd_scan_line(&r->scan, "next_hop", HD_CONF_NEXT_HOPS),
                   "%u next_hop sections; expected at most %d", n, HD_CONF_NEXT_HOPS);
        return;
    }
    struct evt_next_hop *next_hops = n ? hd_read_room(r, n, sizeof(*next_hops)) : NULL;
    for (unsigned i = 0; next_hops && i < n; i++)
        read_next_hop(r, cfg_getnsec(r->root, "next_hop", i), hd_scan_line(&r->scan, "next_hop", i),
                      &next_hops[i]);
    r->conf->next_hops = next_hops;
    r->conf->n_next_hops = next_hops ? n : 0;
}

static void
read_nat(struct hd_reader *r, cfg_t *sec, struct evt_listener *listener)
{
    static const char *const words[] = { "asked", "private", "always", "never" };
    const struct hd_value *value = hd_read_value(sec, "nat");

    listener->nat = (enum evt_nat)hd_read_word(r, sec, "nat", words, 4, EVT_NAT_ASKED);
    if (value && listener->transport != HD_UDP)
        hd_problem(r->problems, value->line,
                   "nat in listen \"%s\", where answers go down the connection; expected a udp:// "
                   "section",
                   cfg_title(sec));
}

static void
read_listener(struct hd_reader *r, cfg_t *sec, unsigned line)
{
    static const char *const words[] = { "digest", "none" };
    struct hd_conf *conf = r->conf;
    struct evt_listener *listener = &conf->listeners[conf->n_listeners];
    struct hd_conf_secure *secure = &conf->secure[conf->n_listeners];
    const char *why = "";

    if (hd_conf_address(hd_slice_str(cfg_title(sec)), &listener->transport, &listener->addr,
                        &why)) {
        hd_problem(r->problems, line,
                   "listen \"%s\": %s; expected such as udp://ADDRESS:PORT or tls://ADDRESS:PORT",
                   cfg_title(sec), why);
        return;
    }
    for (size_t i = 0; i < conf->n_listeners; i++)
        if ((conf->listeners[i].transport == HD_UDP) == (listener->transport == HD_UDP) &&
            listener->addr.port != 0 && hd_addr_eq(&conf->written[i], &listener->addr))
            hd_problem(r->problems, line,
                       "listen \"%s\" has the address of another section; expected once",
                       cfg_title(sec));
    listener->authenticate = hd_read_word(r, sec, "authentication", words, 2, 0) == 0;
    read_trusted(r, sec, listener);
    read_contact(r, sec, listener);
    read_nat(r, sec, listener);
    listener->next_hop = read_proxy(r, sec, "next_hop");
    hd_read_list(r, sec, "trusted_names", hd_check_domain, &listener->trusted_names,
                 &listener->n_trusted_names);
    hd_read_list(r, sec, "certified", hd_check_domain, &listener->certified,
                 &listener->n_certified);
    if (listener->transport == HD_TLS || listener->transport == HD_WSS)
        read_secure(r, sec, line, secure);
    else
        refuse_secure(r, sec);
    read_origins(r, sec, secure, listener->transport);
    if (listener->n_trusted_names + listener->n_certified > 0 &&
        secure->verify == NET_TLS_VERIFY_NO)
        hd_problem(r->problems, line,
                   "listen \"%s\" has %s and looks at no certificates; expected "
                   "verify_clients = optional or require",
                   cfg_title(sec), listener->n_trusted_names ? "trusted_names" : "certified");
    conf->written[conf->n_listeners++] = listener->addr;
}

void
hd_read_listeners(struct hd_reader *r)
{
    unsigned n = cfg_size(r->root, "listen");
    struct hd_conf *conf = r->conf;

    if (n > HD_CONF_LISTENERS) {
        hd_problem(r->problems, hd_scan_line(&r->scan, "listen", HD_CONF_LISTENERS),
                   "%u listen sections; expected at most %d", n, HD_CONF_LISTENERS);
        return;
    }
    conf->listeners = hd_read_room(r, n + 2, sizeof(*conf->listeners));
    conf->written = hd_read_room(r, n + 2, sizeof(*conf->written));
    conf->secure = hd_read_room(r, n + 2, sizeof(*conf->secure));
    if (r->no_space)
        return;
    for (unsigned i = 0; i < n; i++)
        read_listener(r, cfg_getnsec(r->root, "listen", i), hd_scan_line(&r->scan, "listen", i));
    if (n > 0)
        return;
    for (unsigned i = 0; i < 2; i++) {
        conf->listeners[i] = (struct evt_listener){
            .transport = i == 0 ? HD_UDP : HD_TCP,
            .addr = { .ip = { 127, 0, 0, 1 }, .port = 5060, .family = 4 },
            .authenticate = true,
        };
        conf->written[i] = conf->listeners[i].addr;
    }
    conf->n_listeners = 2;
}
