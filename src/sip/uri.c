/* uri.c - SIP, SIPS, tel and pres URIs, and the one name under which a resource is known.
 *
 * Parsing is strict (RFC 3261 section 25.1): a URI is an identity, and one that two readers could
 * split in two ways would be two identities.  The resource key is what tables, policies and logs
 * are keyed with, so it is canonical: two URIs that name the same resource give the same octets,
 * and no key is longer than SIP_KEY_MAX. */
#include "sip/uri.h"

#include "sip/chars.h"
#include "sip/msg.h"
#include "sip/number.h"

/* ---- parsing ---- */

/* All of text is of the class or an escape "%" HEXDIG HEXDIG. */
static bool
escaped_text(struct hd_slice text, unsigned class)
{
    const char *p = text.p;
    const char *end = sip_end(text);
    for (;;) {
        p += sip_span(p, end, class);
        if (p == end)
            return true;
        if (*p != '%' || end - p < 3 || !sip_is(p[1], SIP_C_HEX) || !sip_is(p[2], SIP_C_HEX))
            return false;
        p += 3;
    }
}

/* userinfo  =  ( user / telephone-subscriber ) [ ":" password ] "@" */
static bool
userinfo_read(struct hd_slice text, struct sip_uri *uri)
{
    const char *colon = text.n ? memchr(text.p, ':', text.n) : NULL;
    uri->user = text;
    if (colon) {
        uri->user.n = (size_t)(colon - text.p);
        uri->password = hd_slice(colon + 1, text.n - uri->user.n - 1);
        if (!escaped_text(uri->password, SIP_C_PASSWORD))
            return false;
    }
    return uri->user.n > 0 && escaped_text(uri->user, SIP_C_USER);
}

/* IPv6reference  =  "[" IPv6address "]"
 * The grammar of RFC 3261 lets a third colon stand before an embedded IPv4 address; both forms are
 * the same address. */
enum hd_err
sip_host_addr(struct hd_slice host, uint16_t port, struct hd_addr *ret_addr)
{
    char text[HD_ADDR_TEXT];
    if (hd_addr_parse(host, port, ret_addr) == HD_OK)
        return HD_OK;
    if (!host.p || host.n > sizeof(text) || host.n < 2 || host.p[0] != '[')
        return HD_ESYNTAX;
    const char *extra = memmem(host.p, host.n, ":::", 3);
    if (!extra || !memchr(host.p, '.', host.n))
        return HD_ESYNTAX;
    const size_t before = (size_t)(extra - host.p);
    memcpy(text, host.p, before);
    memcpy(text + before, extra + 1, host.n - before - 1);
    return hd_addr_parse(hd_slice(text, host.n - 1), port, ret_addr);
}

static bool
ipv6_reference(struct hd_slice host)
{
    struct hd_addr addr;
    return host.n > 2 && !memchr(host.p, '%', host.n) && sip_host_addr(host, 0, &addr) == HD_OK &&
           addr.family == 6;
}

/* hostport  =  host [ ":" port ]; *at is moved behind it. */
static enum hd_err
hostport_read(const char **at, const char *end, struct sip_uri *uri)
{
    const char *p = *at;
    size_t n;
    if (p < end && *p == '[') {
        const char *close = memchr(p, ']', (size_t)(end - p));
        if (!close || !ipv6_reference(hd_slice(p, (size_t)(close + 1 - p))))
            return HD_ESYNTAX;
        n = (size_t)(close + 1 - p);
    } else {
        n = sip_host_span(p, end);
    }
    if (n == 0)
        return HD_ESYNTAX;
    uri->host = hd_slice(p, n);
    p += n;
    if (p < end && *p == ':') {
        const size_t digits = sip_span(p + 1, end, SIP_C_DIGIT);
        uint32_t port;
        const enum hd_err err = hd_slice_to_u32(hd_slice(p + 1, digits), &port);
        if (err)
            return err;
        if (port == 0 || port > UINT16_MAX)
            return HD_ERANGE;
        uri->port = (uint16_t)port;
        p += 1 + digits;
    }
    *at = p;
    return HD_OK;
}

/* Parameters that decide where a request goes, or whom it means; each may be there once (19.1.1).
 */
static const struct hd_slice once[] = {
    { "transport", 9 },
    { "maddr", 5 },
    { "user", 4 },
    { "method", 6 },
    { "ttl", 3 },
    { "lr", 2 },
    /* who a number is (RFC 3966 section 3) */
    { "isub", 4 },
    { "ext", 3 },
    { "phone-context", 13 },
};

static bool
param_repeated(struct hd_slice name, unsigned *seen)
{
    for (unsigned i = 0; i < HD_ARRAY_LEN(once); i++) {
        if (hd_slice_ieq(name, once[i])) {
            const bool again = (*seen & 1u << i) != 0;
            *seen |= 1u << i;
            return again;
        }
    }
    return false;
}

/* uri-parameters  =  *( ";" pname [ "=" pvalue ] ) */
static bool
params_valid(struct hd_slice params)
{
    unsigned seen = 0;
    struct hd_slice rest = params;
    while (rest.n) {
        rest = hd_slice(rest.p + 1, rest.n - 1); /* the ';' */
        const size_t n = hd_slice_find(rest, ';');
        struct hd_slice value = hd_slice(rest.p, n);
        const struct hd_slice name = hd_slice_cut(&value, '=');
        if (name.n == 0 || param_repeated(name, &seen) || !escaped_text(name, SIP_C_PARAM) ||
            (value.n && !escaped_text(value, SIP_C_PARAM)))
            return false;
        rest = hd_slice_from(rest, n);
    }
    return true;
}

/* SIP-URI  =  "sip:" [ userinfo ] hostport uri-parameters [ headers ]
 * '@' is in no other part of it without an escape, so the only one ends the userinfo, whatever
 * stands before. */
static enum hd_err
sip_read(struct hd_slice text, struct sip_uri *uri)
{
    const char *p = text.p;
    const char *end = sip_end(text);
    const char *at = text.n ? memchr(p, '@', text.n) : NULL;
    if (at) {
        if (!userinfo_read(hd_slice(p, (size_t)(at - p)), uri))
            return HD_ESYNTAX;
        p = at + 1;
    }
    const enum hd_err err = hostport_read(&p, end, uri);
    if (err)
        return err;
    const char *question = p < end ? memchr(p, '?', (size_t)(end - p)) : NULL;
    const char *params_end = question ? question : end;
    if (p < params_end && *p != ';')
        return HD_ESYNTAX;
    uri->params = hd_slice(p, (size_t)(params_end - p));
    if (!params_valid(uri->params))
        return HD_ESYNTAX;
    if (question) {
        uri->headers = hd_slice(question + 1, (size_t)(end - question - 1));
        if (uri->headers.n == 0 || !escaped_text(uri->headers, SIP_C_HEADERS))
            return HD_ESYNTAX;
    }
    return HD_OK;
}

/* telephone-uri  =  "tel:" ( global-number / local-number ) (RFC 3966 section 3); at least one
 * digit. */
static enum hd_err
tel_read(struct hd_slice text, struct sip_uri *uri)
{
    const size_t n = hd_slice_find(text, ';');
    uri->user = hd_slice(text.p, n);
    uri->params = hd_slice_from(text, n);
    bool digits = false;
    for (size_t i = 0; i < n; i++) {
        if (!sip_is(text.p[i], SIP_C_TEL) || (text.p[i] == '+' && i > 0))
            return HD_ESYNTAX;
        digits = digits || sip_is(text.p[i], SIP_C_HEX) || text.p[i] == '*' || text.p[i] == '#';
    }
    return digits && params_valid(uri->params) ? HD_OK : HD_ESYNTAX;
}

static enum sip_scheme
scheme_find(struct hd_slice name)
{
    if (sip_word(name, "sip"))
        return SIP_SCHEME_SIP;
    if (sip_word(name, "sips"))
        return SIP_SCHEME_SIPS;
    if (sip_word(name, "tel"))
        return SIP_SCHEME_TEL;
    if (sip_word(name, "pres"))
        return SIP_SCHEME_PRES;
    return SIP_SCHEME_OTHER;
}

enum hd_err
sip_uri_parse(struct hd_slice text, struct sip_uri *ret_uri)
{
    if (text.n > SIP_MAX_URI)
        return HD_ERANGE;
    const size_t n = text.n ? sip_span(text.p, sip_end(text), SIP_C_SCHEME) : 0;
    if (n == 0 || n == text.n || text.p[n] != ':')
        return HD_ESYNTAX;
    struct sip_uri uri = { .scheme = scheme_find(hd_slice(text.p, n)) };
    const struct hd_slice rest = hd_slice(text.p + n + 1, text.n - n - 1);
    enum hd_err err = HD_OK;
    switch (uri.scheme) {
    case SIP_SCHEME_SIP:
    case SIP_SCHEME_SIPS:
        err = sip_read(rest, &uri);
        break;
    case SIP_SCHEME_PRES: /* RFC 3859: "pres:" [ to ] [ headers ] */
        err = sip_read(rest, &uri);
        if (!err && (uri.user.n == 0 || uri.port || uri.params.n))
            err = HD_ESYNTAX;
        break;
    case SIP_SCHEME_TEL:
        err = tel_read(rest, &uri);
        break;
    case SIP_SCHEME_OTHER:
        break;
    }
    if (err)
        return err;
    *ret_uri = uri;
    return HD_OK;
}

/* ---- parts ---- */

/* Cuts one parameter from a valid list; false at the end. */
static bool
param_next(struct hd_slice *rest, struct hd_slice *ret_name, struct hd_slice *ret_value)
{
    if (rest->n == 0)
        return false;
    struct hd_slice list = hd_slice(rest->p + 1, rest->n - 1);
    const size_t n = hd_slice_find(list, ';');
    *ret_value = hd_slice(list.p, n);
    *ret_name = hd_slice_cut(ret_value, '=');
    *rest = hd_slice_from(list, n);
    return true;
}

bool
sip_uri_param(const struct sip_uri *uri, struct hd_slice name, struct hd_slice *ret_value)
{
    struct hd_slice rest = uri->params, found, value;
    while (param_next(&rest, &found, &value)) {
        if (hd_slice_ieq(found, name)) {
            if (ret_value)
                *ret_value = value;
            return true;
        }
    }
    return false;
}

enum hd_transport
sip_uri_transport(const struct sip_uri *uri)
{
    const bool secure = uri->scheme == SIP_SCHEME_SIPS;
    struct hd_slice value;
    if (!sip_uri_param(uri, HD_LIT("transport"), &value))
        return secure ? HD_TLS : HD_UDP;
    if (sip_word(value, "tcp"))
        return secure ? HD_TLS : HD_TCP;
    if (sip_word(value, "tls"))
        return HD_TLS;
    if (sip_word(value, "ws"))
        return secure ? HD_WSS : HD_WS;
    if (sip_word(value, "wss"))
        return HD_WSS;
    if (sip_word(value, "udp") && !secure)
        return HD_UDP;
    return (enum hd_transport)0;
}

uint16_t
sip_uri_port(const struct sip_uri *uri)
{
    if (uri->port)
        return uri->port;
    switch (sip_uri_transport(uri)) {
    case HD_TLS:
        return 5061;
    case HD_WS: /* RFC 7118 leaves the port to HTTP */
        return 80;
    case HD_WSS:
        return 443;
    case HD_UDP:
    case HD_TCP:
    case HD_HTTP:
        break;
    }
    return 5060;
}

/* ---- comparison (RFC 3261 19.1.4) ---- */

static const struct hd_slice reserved = { ";/?:@&=+$,", 10 };

/* The next character of *s.  An escape counts as what it stands for, unless that is reserved: then
 * it differs from the bare octet, and 256 is added. */
static int
character_next(struct hd_slice *s)
{
    const char c = s->p[0];
    if (c == '%' && s->n >= 3 && sip_is(s->p[1], SIP_C_HEX) && sip_is(s->p[2], SIP_C_HEX)) {
        const int octet = hd_hex_digit(s->p[1]) * 16 + hd_hex_digit(s->p[2]);
        *s = hd_slice(s->p + 3, s->n - 3);
        return octet == '%' || hd_slice_find(reserved, (char)octet) < reserved.n ? octet + 256
                                                                                 : octet;
    }
    *s = hd_slice(s->p + 1, s->n - 1);
    return (uint8_t)c;
}

static bool
text_equal(struct hd_slice a, struct hd_slice b, bool any_case)
{
    while (a.n && b.n) {
        int x = character_next(&a), y = character_next(&b);
        if (any_case && x < 128 && y < 128) {
            x = sip_lower((char)x);
            y = sip_lower((char)y);
        }
        if (x != y)
            return false;
    }
    return a.n == 0 && b.n == 0;
}

/* RFC 5954 section 4: IPv6 addresses are compared by their value, not by their text. */
static bool
host_equal(struct hd_slice a, struct hd_slice b)
{
    struct hd_addr x, y;
    if (a.n && b.n && a.p[0] == '[' && b.p[0] == '[')
        return sip_host_addr(a, 0, &x) == HD_OK && sip_host_addr(b, 0, &y) == HD_OK &&
               hd_addr_same_ip(&x, &y);
    return hd_slice_ieq(a, b);
}

/* Every parameter of a is equal in b, or may be missing there. */
static bool
params_fit(const struct sip_uri *a, const struct sip_uri *b)
{
    static const struct hd_slice never_alone[] = {
        { "user", 4 }, { "ttl", 3 }, { "method", 6 }, { "maddr", 5 }, { "transport", 9 }
    };
    struct hd_slice rest = a->params, name, value, other;
    while (param_next(&rest, &name, &value)) {
        if (sip_uri_param(b, name, &other)) {
            if (!text_equal(value, other, true))
                return false;
            continue;
        }
        for (size_t i = 0; i < HD_ARRAY_LEN(never_alone); i++)
            if (hd_slice_ieq(name, never_alone[i]))
                return false;
    }
    return true;
}

/* Every header of a is in b; they are never ignored. */
static bool
headers_fit(struct hd_slice a, struct hd_slice b)
{
    while (a.n) {
        struct hd_slice value = hd_slice_cut(&a, '&');
        const struct hd_slice name = hd_slice_cut(&value, '=');
        struct hd_slice list = b;
        bool found = false;
        while (list.n && !found) {
            struct hd_slice other = hd_slice_cut(&list, '&');
            const struct hd_slice other_name = hd_slice_cut(&other, '=');
            found = text_equal(name, other_name, true) && text_equal(value, other, false);
        }
        if (!found)
            return false;
    }
    return true;
}

bool
sip_uri_equal(const struct sip_uri *a, const struct sip_uri *b)
{
    return a->scheme == b->scheme && a->port == b->port && text_equal(a->user, b->user, false) &&
           (a->password.p != NULL) == (b->password.p != NULL) &&
           text_equal(a->password, b->password, false) && host_equal(a->host, b->host) &&
           params_fit(a, b) && params_fit(b, a) && headers_fit(a->headers, b->headers) &&
           headers_fit(b->headers, a->headers);
}

/* ---- what is ours, and the key ---- */

/* A name with its root dot is the same name. */
static struct hd_slice
without_root(struct hd_slice host)
{
    if (host.n > 1 && host.p[host.n - 1] == '.')
        host.n--;
    return host;
}

static bool
address_ours(const struct sip_served *served, const struct hd_addr *addr)
{
    for (size_t i = 0; i < served->n_own; i++)
        if (hd_addr_same_ip(&served->own[i], addr) &&
            (addr->port == 0 || addr->port == served->own[i].port))
            return true;
    return false;
}

enum sip_ours
sip_served_host(const struct sip_served *served, struct hd_slice host, uint16_t port)
{
    host = without_root(host);
    for (size_t i = 0; i < served->n_domains; i++)
        if (hd_slice_ieq(host, served->domains[i]))
            return SIP_OURS_DOMAIN;
    struct hd_addr addr;
    if (sip_word(host, "localhost")) {
        if (hd_addr_parse(HD_LIT("127.0.0.1"), port, &addr) == HD_OK && address_ours(served, &addr))
            return SIP_OURS_ADDRESS;
        host = HD_LIT("::1");
    }
    if (sip_host_addr(host, port, &addr) == HD_OK && address_ours(served, &addr))
        return SIP_OURS_ADDRESS;
    return SIP_OURS_NO;
}

/* The user part in its one spelling: escapes of what needs none are undone, others get upper-case
 * digits. */
static void
user_write(struct sip_out *out, struct hd_slice user)
{
    static const char digits[] = "0123456789ABCDEF";
    while (user.n) {
        if (user.p[0] != '%' || user.n < 3) {
            sip_out_char(out, user.p[0]);
            user = hd_slice_from(user, 1);
            continue;
        }
        const int octet = hd_hex_digit(user.p[1]) * 16 + hd_hex_digit(user.p[2]);
        if (sip_is_plain((char)octet)) {
            sip_out_char(out, (char)octet);
        } else {
            sip_out_char(out, '%');
            sip_out_char(out, digits[(octet >> 4) & 15]);
            sip_out_char(out, digits[octet & 15]);
        }
        user = hd_slice_from(user, 3);
    }
}

static void
host_write(struct sip_out *out, struct hd_slice host)
{
    struct hd_addr addr;
    if (host.n && host.p[0] == '[' && sip_host_addr(host, 0, &addr) == HD_OK) {
        sip_out_host(out, &addr);
        return;
    }
    host = without_root(host);
    for (size_t i = 0; i < host.n; i++)
        sip_out_char(out, sip_lower(host.p[i]));
}

static enum hd_err
key_finish(const struct sip_out *out, char ret_key[SIP_KEY_MAX], size_t *ret_len)
{
    size_t n;
    if (sip_out_finish(out, &n))
        return HD_ERANGE;
    memcpy(ret_key, out->p, n);
    *ret_len = n;
    return HD_OK;
}

/* The number that a URI names: a tel URI, or the user part of a SIP URI that says so (RFC 3261
 * section 19.1.1, "user=phone"). */
static bool
number_of(const struct sip_uri *uri, struct sip_number *ret_number)
{
    struct hd_slice value;

    if (uri->scheme == SIP_SCHEME_TEL) /* one text, as it was read */
        return sip_number_read(hd_slice(uri->user.p, uri->user.n + uri->params.n), ret_number);
    return uri->params.n && uri->user.n && sip_uri_param(uri, HD_LIT("user"), &value) &&
           sip_word(value, "phone") && sip_number_read(uri->user, ret_number);
}

/* Where it is: a number at the domain that its context names, else at the default domain. */
static enum hd_err
key_host(const struct sip_uri *uri, const struct sip_number *number, struct hd_slice home,
         struct hd_slice *ret_host)
{
    switch (uri->scheme) {
    case SIP_SCHEME_OTHER:
        return HD_ENOTSUP;
    case SIP_SCHEME_TEL:
        *ret_host = sip_number_domain(number);
        if (ret_host->n == 0)
            *ret_host = home;
        return ret_host->n ? HD_OK : HD_ENOMATCH;
    case SIP_SCHEME_SIP:
    case SIP_SCHEME_SIPS:
    case SIP_SCHEME_PRES:
        *ret_host = uri->host;
        break;
    }
    return ret_host->n ? HD_OK : HD_ESYNTAX;
}

static enum hd_err
key_write(const struct sip_uri *uri, const struct sip_served *served, bool foreign,
          char ret_key[SIP_KEY_MAX], size_t *ret_len)
{
    char text[SIP_KEY_MAX];
    struct sip_out out;
    struct sip_number number = { .digits = { NULL, 0 } };
    struct hd_slice host;
    const struct hd_slice home = served->n_domains ? served->domains[0] : HD_LIT("");
    const bool is_number = number_of(uri, &number);
    enum hd_err err = key_host(uri, &number, home, &host);
    if (err)
        return err;
    const enum sip_ours ours = sip_served_host(served, host, uri->port);
    if (ours == SIP_OURS_NO && !foreign)
        return HD_ENOMATCH;
    if (ours == SIP_OURS_ADDRESS && home.n)
        host = home;
    sip_out_init(&out, text, sizeof(text));
    sip_out_lit(&out, "sip:");
    if (is_number)
        sip_number_write(&out, &number, host);
    else if (uri->user.n)
        user_write(&out, uri->user);
    if (uri->user.n)
        sip_out_char(&out, '@');
    host_write(&out, host);
    /* Another port of a foreign host may be another server. */
    if (ours == SIP_OURS_NO && uri->port && uri->port != 5060) {
        sip_out_char(&out, ':');
        sip_out_u32(&out, uri->port);
    }
    return key_finish(&out, ret_key, ret_len);
}

enum hd_err
sip_resource_key(const struct sip_uri *uri, const struct sip_served *served,
                 char ret_key[SIP_KEY_MAX], size_t *ret_len)
{
    return key_write(uri, served, false, ret_key, ret_len);
}

enum hd_err
sip_identity_key(const struct sip_uri *uri, const struct sip_served *served,
                 char ret_key[SIP_KEY_MAX], size_t *ret_len)
{
    return key_write(uri, served, true, ret_key, ret_len);
}
