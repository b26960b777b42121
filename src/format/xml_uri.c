/* xml_uri.c - the names of namespaces: plain URIs that every reader takes for the same. */
#include "format/xml_char.h"

/* dec-octet "." three times and one more, or what begins like it: not every reader takes those
 * alike. */
static bool
is_numeric_host(struct hd_slice host)
{
    unsigned labels = 0;
    for (size_t i = 0; i < host.n; i++)
        if (i == 0 || host.p[i - 1] == '.') {
            if (host.p[i] < '0' || host.p[i] > '9')
                return false;
            if (++labels == 4)
                return true;
        }
    return false;
}

/* authority ::= [ userinfo "@" ] host [ ":" port ];  without brackets */
static bool
is_authority(struct hd_slice s)
{
    const size_t at = hd_slice_find(s, '@');
    if (at < s.n)
        s = hd_slice_from(s, at + 1);
    const size_t colon = hd_slice_find(s, ':');
    const struct hd_slice host = hd_slice(s.p, colon);
    uint32_t port;
    if (colon < s.n && (s.n - colon > 6 || hd_slice_to_u32(hd_slice_from(s, colon + 1), &port)))
        return false;
    return hd_slice_find(host, '@') == host.n && !is_numeric_host(host);
}

/* Whether p begins with "%" and two digits. */
static bool
is_escape(const char *p, const char *end)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    return end - p >= 3 && *p == '%' && memchr(digits, p[1], sizeof(digits) - 1) &&
           memchr(digits, p[2], sizeof(digits) - 1);
}

static bool
has_uri_octets(struct hd_slice s)
{
    const char *p = s.p;
    const char *const end = p + s.n;
    bool fragment = false;

    for (;;) {
        p = fmt_octet_skip(p, end, FMT_OCTET_URI);
        if (p == end)
            return true;
        if (is_escape(p, end)) {
            p += 3;
        } else if (*p == '#' && !fragment) {
            fragment = true;
            p++;
        } else {
            return false;
        }
    }
}

static bool
is_network_path(struct hd_slice s)
{
    return s.n >= 2 && s.p[0] == '/' && s.p[1] == '/';
}

bool
fmt_xml_is_uri(struct hd_slice s)
{
    size_t n = 0;
    if (!has_uri_octets(s))
        return false;
    while (n < s.n && s.p[n] != ':' && s.p[n] != '/' && s.p[n] != '?' && s.p[n] != '#')
        n++;
    if (n == s.n || s.p[n] != ':')
        return !is_network_path(s);
    /* scheme ::= ALPHA *( ALPHA / DIGIT / "+" / "-" / "." ) */
    if (n == 0 || !fmt_octet_is(s.p[0], FMT_OCTET_NAME_START) || s.p[0] == '_')
        return false;
    for (size_t i = 1; i < n; i++)
        if (s.p[i] == '_' || (!fmt_octet_is(s.p[i], FMT_OCTET_NAME) && s.p[i] != '+'))
            return false;
    s = hd_slice_from(s, n + 1);
    if (!is_network_path(s))
        return true;
    s = hd_slice_from(s, 2);
    n = 0;
    while (n < s.n && s.p[n] != '/' && s.p[n] != '?' && s.p[n] != '#')
        n++;
    return is_authority(hd_slice(s.p, n));
}
