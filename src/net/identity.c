/* identity.c - which SIP domains, and which users, a certificate speaks for (RFC 5922 section 7).
 *
 * Names come from a certificate that somebody else made: only host characters are taken, so that
 * what is shown, logged and compared later holds nothing else. */
#include <openssl/x509v3.h>
#include <string.h>

#include "net/secure.h"

struct names {
    char *text;
    size_t n, count;
};

/* Letters, digits, '-', '.', and '*' as the first label (compared literally, RFC 5922
 * section 7.2). */
static bool
is_host(struct hd_slice name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '.' || c == '_' || (c == '*' && i == 0)))
            return false;
    }
    return name.n > 0 && name.n <= 253;
}

/* "alice@example.test": a user part of what stands in one without an escape, and a host. */
static bool
is_user(struct hd_slice name)
{
    const size_t at = hd_slice_find(name, '@');

    for (size_t i = 0; i < at; i++) {
        const char c = name.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              memchr("-_.!~*'()&=+$,", c, 14)))
            return false;
    }
    return at > 0 && at < name.n && is_host(hd_slice_from(name, at + 1));
}

static void
add(struct names *names, struct hd_slice name, bool user)
{
    if (!(user ? is_user(name) : is_host(name)) || names->count == NET_IDENTITIES_MAX ||
        names->n + 1 + name.n > NET_IDENTITY_TEXT)
        return;
    if (names->count++ > 0)
        names->text[names->n++] = ' ';
    const size_t at = hd_slice_find(name, '@');
    for (size_t i = 0; i < name.n; i++) {
        const bool upper = name.p[i] >= 'A' && name.p[i] <= 'Z' && (at == name.n || i > at);
        names->text[names->n++] = (char)(upper ? name.p[i] + 32 : name.p[i]);
    }
}

static struct hd_slice
text_of(const ASN1_STRING *string)
{
    return hd_slice((const char *)ASN1_STRING_get0_data(string),
                    (size_t)ASN1_STRING_length(string));
}

/* Of "sip:example.test", with a port or parameters perhaps, what stands before them.  One with a
 * user names no domain (RFC 5922 section 7.1) but that user. */
static struct hd_slice
uri_name(struct hd_slice uri, bool users)
{
    struct hd_slice host = { 0 };

    if (!hd_slice_istarts(uri, HD_LIT("sip:")) || (hd_slice_find(uri, '@') < uri.n) != users)
        return host;
    host = hd_slice_from(uri, 4);
    host.n = hd_slice_find(host, ';');
    host.n = hd_slice_find(host, '?');
    host.n = hd_slice_find(host, ':');
    return host;
}

static void
add_of_type(struct names *names, const GENERAL_NAMES *alts, int type, bool users)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(alts); i++) {
        const GENERAL_NAME *alt = sk_GENERAL_NAME_value(alts, i);

        if (alt->type != type)
            continue;
        if (type == GEN_URI)
            add(names, uri_name(text_of(alt->d.uniformResourceIdentifier), users), users);
        else
            add(names, text_of(alt->d.dNSName), false);
    }
}

static void
add_common_name(struct names *names, const X509 *cert)
{
    const X509_NAME *subject = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

    if (at >= 0)
        add(names, text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at))), false);
}

/* RFC 5924 section 4: without the extension any use is meant; with it, SIP, any, or TLS on that
 * side. */
static bool
usage_fits(const X509 *cert, bool server)
{
    EXTENDED_KEY_USAGE *usages = X509_get_ext_d2i(cert, NID_ext_key_usage, NULL, NULL);
    ASN1_OBJECT *sip = OBJ_txt2obj("1.3.6.1.5.5.7.3.20", 1); /* id-kp-sipDomain */
    bool fits = usages == NULL;

    for (int i = 0; !fits && i < sk_ASN1_OBJECT_num(usages); i++) {
        const ASN1_OBJECT *usage = sk_ASN1_OBJECT_value(usages, i);
        int nid = OBJ_obj2nid(usage);

        fits = nid == NID_anyExtendedKeyUsage ||
               nid == (server ? NID_server_auth : NID_client_auth) ||
               (sip && OBJ_cmp(usage, sip) == 0);
    }
    ASN1_OBJECT_free(sip);
    EXTENDED_KEY_USAGE_free(usages);
    return fits;
}

size_t
net_identity_read(const X509 *cert, bool server, char ret[NET_IDENTITY_TEXT])
{
    struct names names = { .text = ret };
    int critical = -1;
    GENERAL_NAMES *alts;

    if (!usage_fits(cert, server))
        return 0;
    alts = X509_get_ext_d2i(cert, NID_subject_alt_name, &critical, NULL);
    if (alts) {
        add_of_type(&names, alts, GEN_URI, false);
        if (names.count == 0)
            add_of_type(&names, alts, GEN_DNS, false);
        add_of_type(&names, alts, GEN_URI, true);
    } else if (critical == -1) { /* none; -2 or more: one that cannot be read */
        add_common_name(&names, cert);
    }
    GENERAL_NAMES_free(alts);
    return names.n;
}

bool
net_identity_is(struct hd_slice identities, struct hd_slice name)
{
    while (identities.n > 0)
        if (hd_slice_ieq(hd_slice_cut(&identities, ' '), name))
            return true;
    return false;
}
