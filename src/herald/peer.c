/* peer.c - from options to addresses, identity, password and trace. */
#include "herald/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"
#include "herald/text.h"
#include "herald/tool.h"
#include "sip/uri.h"

#define DEFAULT_HOST "127.0.0.1"
#define DEFAULT_PORT 5060
#define DEFAULT_TLS_PORT 5061

enum {
    KEY_TCP = 0x100,
    KEY_TLS,
    KEY_CA,
    KEY_INSECURE,
    KEY_PASSWORD,
    KEY_PASSWORD_FILE,
    KEY_FROM,
    KEY_LOCAL,
    KEY_JSON,
    KEY_TRACE,
    KEY_FULL,
    KEY_TRACE_TO
};

static const struct argp_option options[] = {
    { "server", 's', "[udp:|tcp:|tls:]HOST[:PORT]", 0,
      "SIP server (default: $HERALD_SERVER, the URI's host when it is an address, 127.0.0.1:5060)",
      10 },
    { "tcp", KEY_TCP, NULL, 0, "TCP instead of UDP", 10 },
    { "tls", KEY_TLS, NULL, 0, "TLS; so does a URI with sips", 10 },
    { "ca", KEY_CA, "FILE", 0,
      "authorities of the server's certificate, in PEM (default: the system's)", 10 },
    { "insecure", KEY_INSECURE, NULL, 0, "whoever has any certificate is the server", 10 },
    { "local", KEY_LOCAL, "HOST[:PORT]", 0, "send from and listen on this address", 10 },
    { "user", 'u', "NAME", 0, "who we are: NAME of the URI's domain, or a whole URI", 11 },
    { "password", KEY_PASSWORD, "TEXT", 0,
      "password for digest authentication (others on this machine can see it; default: "
      "$HERALD_PASSWORD)",
      11 },
    { "password-file", KEY_PASSWORD_FILE, "FILE", 0, "the password is the first line of FILE", 11 },
    { "from", KEY_FROM, "URI", 0, "URI of From, when it is not that of --user", 11 },
    { "json", KEY_JSON, NULL, 0, "one JSON object per line on standard output", 12 },
    { "verbose", 'v', NULL, 0, "say more on standard error", 12 },
    { "trace", KEY_TRACE, NULL, 0, "a line per SIP message on standard error", 12 },
    { "full", KEY_FULL, NULL, 0, "every SIP message whole on standard error", 12 },
    { "trace-to", KEY_TRACE_TO, "FILE", 0,
      "write the trace to FILE, for `herald ladder`; implies --trace", 12 },
    { 0 }
};

static error_t
parse(int key, char *arg, struct argp_state *state)
{
    struct peer_options *o = state->input;
    switch (key) {
    case 's':
        o->server = arg;
        return 0;
    case 'u':
        o->user = arg;
        return 0;
    case 'v':
        o->verbose = true;
        return 0;
    case KEY_TCP:
        o->tcp = true;
        return 0;
    case KEY_TLS:
        o->tls = true;
        return 0;
    case KEY_CA:
        o->ca = arg;
        return 0;
    case KEY_INSECURE:
        o->insecure = true;
        return 0;
    case KEY_LOCAL:
        o->local = arg;
        return 0;
    case KEY_PASSWORD:
        o->password = arg;
        return 0;
    case KEY_PASSWORD_FILE:
        o->password_file = arg;
        return 0;
    case KEY_FROM:
        o->from = arg;
        return 0;
    case KEY_JSON:
        o->json = true;
        return 0;
    case KEY_TRACE:
        if (o->trace == TRACE_OFF)
            o->trace = TRACE_LADDER;
        return 0;
    case KEY_FULL:
        o->trace = TRACE_FULL;
        return 0;
    case KEY_TRACE_TO:
        o->trace_to = arg;
        if (o->trace == TRACE_OFF)
            o->trace = TRACE_LADDER;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp peer_argp = { .options = options, .parser = parse };

/* --- addresses -------------------------------------------------------------------------------- */

/* "192.0.2.1", "192.0.2.1:5070", "[2001:db8::1]:5070", "2001:db8::1", "localhost:5070" */
static bool
host_split(struct hd_slice text, struct hd_slice *ret_host, uint16_t *ret_port)
{
    struct hd_slice port = HD_LIT("");
    uint32_t value = *ret_port;

    if (text.n && text.p[0] == '[') {
        size_t end = hd_slice_find(text, ']');
        if (end == text.n)
            return false;
        *ret_host = hd_slice(text.p, end + 1);
        port = hd_slice_from(text, end + 1);
        if (port.n && port.p[0] != ':')
            return false;
        port = hd_slice_from(port, 1);
        if (end + 2 == text.n)
            return false; /* a colon and no port */
    } else {
        size_t colon = hd_slice_find(text, ':');
        struct hd_slice rest = hd_slice_from(text, colon + 1);
        bool six = hd_slice_find(rest, ':') < rest.n;
        *ret_host = six ? text : hd_slice(text.p, colon);
        if (!six && colon < text.n) {
            port = rest;
            if (port.n == 0)
                return false;
        }
    }
    if (port.n && (hd_slice_to_u32(port, &value) != HD_OK || value == 0 || value > UINT16_MAX))
        return false;
    *ret_port = (uint16_t)value;
    return ret_host->n > 0;
}

static bool
name_resolve(struct hd_slice host, uint16_t port, struct hd_addr *ret_addr)
{
    struct addrinfo hints = { .ai_socktype = SOCK_DGRAM }, *list = NULL;
    char *name = hd_slice_strdup(host), text[INET6_ADDRSTRLEN];
    bool found = false;

    if (!name || getaddrinfo(name, NULL, &hints, &list) != 0)
        list = NULL;
    for (struct addrinfo *at = list; at && !found; at = at->ai_next) {
        const void *ip = NULL;
        if (at->ai_family == AF_INET)
            ip = &((const struct sockaddr_in *)(const void *)at->ai_addr)->sin_addr;
        else if (at->ai_family == AF_INET6)
            ip = &((const struct sockaddr_in6 *)(const void *)at->ai_addr)->sin6_addr;
        found = ip && inet_ntop(at->ai_family, ip, text, sizeof text) &&
                hd_addr_parse(hd_slice_str(text), port, ret_addr) == HD_OK;
    }
    if (list)
        freeaddrinfo(list);
    free(name);
    return found;
}

static bool
addr_resolve(const char *option, const char *text, uint16_t port, struct hd_addr *ret_addr)
{
    struct hd_slice host;
    if (!host_split(hd_slice_str(text), &host, &port)) {
        tool_problem("%s: \"%s\" is not HOST or HOST:PORT", option, text);
        return false;
    }
    if (hd_addr_parse(host, port, ret_addr) == HD_OK || name_resolve(host, port, ret_addr))
        return true;
    tool_problem("%s: no address for \"%s\"", option, text);
    return false;
}

/* --- identity --------------------------------------------------------------------------------- */

static char *
joined(const char *a, struct hd_slice b, const char *c, struct hd_slice d)
{
    struct hd_str str;
    hd_str_init(&str);
    hd_str_add_str(&str, a);
    hd_str_add(&str, b);
    hd_str_add_str(&str, c);
    hd_str_add(&str, d);
    char *text = hd_str_take(&str);
    if (!text) {
        tool_problem("out of memory");
        exit(TOOL_FAILED);
    }
    return text;
}

static bool
has_scheme(struct hd_slice uri)
{
    return hd_slice_istarts(uri, HD_LIT("sip:")) || hd_slice_istarts(uri, HD_LIT("sips:")) ||
           hd_slice_istarts(uri, HD_LIT("tel:")) || hd_slice_istarts(uri, HD_LIT("pres:"));
}

/* A URI as people type it: "sip:2001@example.test", "2001@example.test", or "2001" of a host. */
static char *
uri_complete(struct hd_slice text, struct hd_slice host)
{
    if (has_scheme(text))
        return joined("", text, "", HD_LIT(""));
    if (hd_slice_find(text, '@') < text.n)
        return joined("sip:", text, "", HD_LIT(""));
    return joined("sip:", text, "@", host);
}

static bool
uri_check(const char *what, const char *text, struct sip_uri *ret_uri)
{
    struct hd_slice uri = hd_slice_str(text);
    bool clean = true;
    for (size_t i = 0; i < uri.n; i++)
        if (uri.p[i] <= ' ' || uri.p[i] == '<' || uri.p[i] == '>' || uri.p[i] == '"' ||
            uri.p[i] == 0x7f)
            clean = false;
    if (clean && sip_uri_parse(uri, ret_uri) == HD_OK && ret_uri->scheme != SIP_SCHEME_OTHER)
        return true;
    char *shown = text_escaped(uri, false);
    tool_problem("%s: \"%s\" is not a SIP URI (sip:user@domain)", what, shown ? shown : "");
    free(shown);
    return false;
}

static bool
password_find(const struct peer_options *o, char **ret_password)
{
    size_t n;
    if (o->password_file) {
        *ret_password = tool_file(o->password_file, 4096, &n);
        if (!*ret_password)
            return false;
        (*ret_password)[strcspn(*ret_password, "\r\n")] = '\0';
        return true;
    }
    const char *password = o->password ? o->password : getenv("HERALD_PASSWORD");
    *ret_password = joined(password ? password : "", HD_LIT(""), "", HD_LIT(""));
    return true;
}

static bool
trace_open(const struct peer_options *o, struct trace *ret_trace)
{
    *ret_trace = (struct trace){ .mode = o->trace, .to = stderr };
    if (!o->trace_to)
        return true;
    ret_trace->to = fopen(o->trace_to, "we");
    ret_trace->file = true;
    if (!ret_trace->to) {
        tool_problem("--trace-to %s: %s", o->trace_to, strerror(errno));
        return false;
    }
    return true;
}

/* "tls:192.0.2.1:5061": cuts the transport off, when there is one. */
static const char *
transport_cut(const char *server, enum hd_transport *ret_transport)
{
    static const struct {
        const char *prefix;
        enum hd_transport transport;
    } rows[] = { { "udp:", HD_UDP }, { "tcp:", HD_TCP }, { "tls:", HD_TLS } };

    for (size_t i = 0; i < HD_ARRAY_LEN(rows); i++)
        if (hd_slice_istarts(hd_slice_str(server), hd_slice_str(rows[i].prefix))) {
            *ret_transport = rows[i].transport;
            return server + strlen(rows[i].prefix);
        }
    return server;
}

/* What the options say of the transport; the prefix of --server says it last. */
static enum hd_transport
transport_of(const struct peer_options *o, const struct sip_uri *uri)
{
    if (o->tls || uri->scheme == SIP_SCHEME_SIPS)
        return HD_TLS;
    return o->tcp ? HD_TCP : HD_UDP;
}

static int
server_find(const struct peer_options *o, const char *uri, struct peer *peer)
{
    const char *server = o->server ? o->server : getenv("HERALD_SERVER");
    struct hd_slice host = HD_LIT(DEFAULT_HOST);
    struct sip_uri parsed;
    uint16_t port;

    if (!uri_check("URI", uri, &parsed))
        return TOOL_USAGE;
    peer->transport = transport_of(o, &parsed);
    if (server)
        server = transport_cut(server, &peer->transport);
    port = peer->transport == HD_TLS ? DEFAULT_TLS_PORT : DEFAULT_PORT;
    if (server) {
        if (!addr_resolve("--server", server, port, &peer->server))
            return TOOL_USAGE;
        (void)host_split(hd_slice_str(server), &host, &port);
    } else if (parsed.host.n > 0 && hd_addr_parse(parsed.host, parsed.port ? parsed.port : port,
                                                  &peer->server) == HD_OK) {
        host = parsed.host;
    } else if (!addr_resolve("--server", DEFAULT_HOST, port, &peer->server)) {
        return TOOL_USAGE;
    }
    peer->server_name = joined("", host, "", HD_LIT(""));
    return TOOL_OK;
}

static char *
from_make(const struct peer_options *o, const char *uri, const struct sip_uri *parsed)
{
    char *authority;
    if (o->from)
        return uri_complete(hd_slice_str(o->from), parsed->host);
    if (!o->user) /* about oneself, as a phone with its lamp */
        return joined("", hd_slice_str(uri), "", HD_LIT(""));
    struct hd_slice host = parsed->host;
    /* An address stands with its port, which is part of what the server goes by. */
    if (parsed->port) {
        const char *end = parsed->params.n    ? parsed->params.p
                          : parsed->headers.n ? parsed->headers.p - 1
                                              : uri + strlen(uri);
        host = hd_slice(host.p, (size_t)(end - host.p));
    }
    authority = uri_complete(hd_slice_str(o->user), host);
    return authority;
}

int
peer_resolve(const struct peer_options *o, const char *uri, struct peer *ret_peer)
{
    struct peer peer = { 0 };
    struct sip_uri parsed, from;
    char host[HD_ADDR_TEXT];
    struct hd_addr server;
    int code = TOOL_USAGE;

    peer.uri = uri_complete(hd_slice_str(uri), HD_LIT(DEFAULT_HOST));
    code = server_find(o, peer.uri, &peer);
    if (code)
        goto out;
    code = TOOL_USAGE;
    free(peer.uri);
    server = peer.server;
    size_t n = server.port == (peer.transport == HD_TLS ? DEFAULT_TLS_PORT : DEFAULT_PORT)
                   ? hd_addr_host_text(&server, host)
                   : hd_addr_text(&server, host);
    peer.uri = uri_complete(hd_slice_str(uri), hd_slice(host, n));
    if (!uri_check("URI", peer.uri, &parsed))
        goto out;
    peer.from = from_make(o, peer.uri, &parsed);
    if (!uri_check("--user or --from", peer.from, &from))
        goto out;
    if (o->local && !addr_resolve("--local", o->local, 0, &peer.local))
        goto out;
    code = TOOL_FAILED;
    if (!password_find(o, &peer.password) || !trace_open(o, &peer.trace))
        goto out;
    code = TOOL_OK;
    *ret_peer = peer;
    peer = (struct peer){ 0 };
out:
    peer_done(&peer);
    return code;
}

void
peer_done(struct peer *peer)
{
    if (peer->trace.to && peer->trace.to != stderr)
        fclose(peer->trace.to);
    free(peer->uri);
    free(peer->from);
    free(peer->server_name);
    if (peer->password)
        explicit_bzero(peer->password, strlen(peer->password));
    free(peer->password);
    *peer = (struct peer){ 0 };
}

/* --- answers ---------------------------------------------------------------------------------- */

static void
explain_header(const struct sip_msg *msg, enum sip_hdr id, const char *meaning)
{
    for (const struct sip_header *at = sip_msg_header(msg, id); at; at = sip_msg_next(msg, at)) {
        char *value = text_escaped(at->value, false);
        fprintf(stderr, "herald:   %s: %s\n", meaning, value ? value : "");
        free(value);
    }
}

int
peer_explain(const char *what, const struct ua_answer *answer)
{
    switch (answer->outcome) {
    case UA_TIMEOUT:
        tool_problem("%s: no answer within 32 s", what);
        return TOOL_TIMEOUT;
    case UA_UNREACHABLE:
        tool_problem("%s: the server cannot be reached", what);
        return TOOL_UNREACHABLE;
    case UA_NO_PASSWORD:
        tool_problem("%s: the server asks who we are: give --user and --password-file (or "
                     "$HERALD_PASSWORD)",
                     what);
        return TOOL_FAILED;
    case UA_BAD_PASSWORD:
        tool_problem("%s: the server does not accept this user and password", what);
        return TOOL_FAILED;
    case UA_ODD_CHALLENGE:
        tool_problem("%s: the server asks for an authentication other than digest with MD5 or "
                     "SHA-256",
                     what);
        return TOOL_FAILED;
    case UA_BROKEN:
        tool_problem("%s: the request cannot be built: out of memory, or too long", what);
        return TOOL_FAILED;
    case UA_ANSWERED:
        break;
    }
    char *reason = text_escaped(answer->msg->reason, false);
    tool_problem("%s: refused with %u %s", what, answer->status, reason ? reason : "");
    free(reason);
    explain_header(answer->msg, SIP_HDR_ALLOW_EVENTS, "event packages of the server");
    if (answer->status == 406 || answer->status == 415)
        explain_header(answer->msg, SIP_HDR_ACCEPT, "media types of the server");
    explain_header(answer->msg, SIP_HDR_UNSUPPORTED, "not supported");
    explain_header(answer->msg, SIP_HDR_MIN_EXPIRES, "shortest duration in seconds");
    explain_header(answer->msg, SIP_HDR_RETRY_AFTER, "try again after seconds");
    explain_header(answer->msg, SIP_HDR_WARNING, "warning");
    return TOOL_FAILED;
}
