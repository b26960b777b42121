/* fuzz_sip_uri.c - URIs: the parts put together again give the same URI, and the key of a key is
 * the key. */
#include "fuzz.h"

#include "sip/msg.h"
#include "sip/uri.h"

static struct hd_slice
write_back(const struct sip_uri *uri, char *buffer, size_t cap)
{
    static const struct hd_slice schemes[] = {
        [SIP_SCHEME_SIP] = { "sip:", 4 },
        [SIP_SCHEME_SIPS] = { "sips:", 5 },
        [SIP_SCHEME_TEL] = { "tel:", 4 },
        [SIP_SCHEME_PRES] = { "pres:", 5 },
    };
    struct sip_out out;
    sip_out_init(&out, buffer, cap);
    sip_out_slice(&out, schemes[uri->scheme]);
    sip_out_slice(&out, uri->user);
    if (uri->password.p) {
        sip_out_char(&out, ':');
        sip_out_slice(&out, uri->password);
    }
    if (uri->user.n && uri->scheme != SIP_SCHEME_TEL)
        sip_out_char(&out, '@');
    sip_out_slice(&out, uri->host);
    if (uri->port) {
        sip_out_char(&out, ':');
        sip_out_u32(&out, uri->port);
    }
    sip_out_slice(&out, uri->params);
    if (uri->headers.n) {
        sip_out_char(&out, '?');
        sip_out_slice(&out, uri->headers);
    }
    size_t n;
    FUZZ_CHECK(sip_out_finish(&out, &n) == HD_OK);
    return hd_slice(buffer, n);
}

/* A URI may name a parameter twice as long as it is none of ours; then even it does not equal
 * itself. */
static bool
repeats(const struct sip_uri *uri)
{
    struct hd_slice rest = hd_slice_from(uri->params, 1), first;
    while (rest.n) {
        struct hd_slice value = hd_slice_cut(&rest, ';');
        const struct hd_slice name = hd_slice_cut(&value, '=');
        if (sip_uri_param(uri, name, &first) && first.n && first.p != value.p)
            return true;
        if (!hd_slice_eq(first, value))
            return true;
    }
    return false;
}

static void
check_key(const struct sip_uri *uri, struct hd_slice text)
{
    struct hd_addr own;
    FUZZ_CHECK(hd_addr_parse(HD_LIT("192.0.2.1"), 5060, &own) == HD_OK);
    static const struct hd_slice domains[] = { { "example.test", 12 }, { "other.test", 10 } };
    const struct sip_served served = { domains, 2, &own, 1 };
    char key[SIP_KEY_MAX], again[SIP_KEY_MAX], identity[SIP_KEY_MAX];
    size_t n, m, k;
    const enum hd_err err = sip_resource_key(uri, &served, key, &n);
    const enum hd_err err_identity = sip_identity_key(uri, &served, identity, &k);
    if (err_identity == HD_OK) {
        struct sip_uri as_uri;
        FUZZ_CHECK(k <= SIP_KEY_MAX);
        FUZZ_CHECK(sip_uri_parse(hd_slice(identity, k), &as_uri) == HD_OK);
        FUZZ_CHECK(sip_identity_key(&as_uri, &served, again, &m) == HD_OK);
        FUZZ_CHECK(hd_slice_eq(hd_slice(identity, k), hd_slice(again, m)));
    }
    if (err == HD_OK) {
        FUZZ_CHECK(err_identity == HD_OK);
        FUZZ_CHECK(hd_slice_eq(hd_slice(identity, k), hd_slice(key, n)));
    }
    (void)text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy;
    const struct hd_slice text = fuzz_copy(data, size, &copy);
    struct sip_uri uri, again;
    if (sip_uri_parse(text, &uri) == HD_OK) {
        FUZZ_CHECK(size <= SIP_MAX_URI);
        FUZZ_CHECK(fuzz_inside(uri.user, text) && fuzz_inside(uri.host, text));
        FUZZ_CHECK(fuzz_inside(uri.params, text) && fuzz_inside(uri.headers, text));
        if (uri.scheme != SIP_SCHEME_OTHER) {
            char buffer[SIP_MAX_URI + 16];
            FUZZ_CHECK(sip_uri_parse(write_back(&uri, buffer, sizeof(buffer)), &again) == HD_OK);
            FUZZ_CHECK(hd_slice_eq(uri.user, again.user) && hd_slice_eq(uri.host, again.host));
            FUZZ_CHECK(hd_slice_eq(uri.params, again.params) && uri.port == again.port);
            FUZZ_CHECK(hd_slice_eq(uri.headers, again.headers));
            FUZZ_CHECK(repeats(&uri) ||
                       (sip_uri_equal(&uri, &again) && sip_uri_equal(&again, &uri)));
            FUZZ_CHECK(sip_uri_port(&uri) != 0);
            check_key(&uri, text);
        }
    }
    free(copy);
    return 0;
}
