/* digest.c - who sent this?  Digest authentication for both sides (RFC 7616, RFC 8760, RFC 3261
 * section 22).
 *
 * The problem: phones write the same credentials in many ways (two blanks, none, quoted or unquoted
 * algorithm), and what is hashed is the text after the quoting is undone.  Invariants: a value is
 * kept as the inside of its quotes and unescaped only on its way into the hash, so nothing is
 * copied; a parameter that stands there twice is refused, since two readers could take either; the
 * server's side never needs a password; comparing takes the same time wherever it differs. */
#include "sip/digest.h"

#include <assert.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/hash.h"
#include "base/id.h"

#define HASH_OCTETS_MAX 32

/* One digest computation after the other in the same context. */
struct hasher {
    EVP_MD *md;
    EVP_MD_CTX *ctx;
};

static const struct alg_row {
    struct hd_slice name;
    const char *fetch;
    size_t octets;
} alg_rows[SIP_DIGEST_COUNT] = {
    [SIP_DIGEST_NONE] = { { "", 0 }, "", 0 },
    [SIP_DIGEST_MD5] = { { "MD5", 3 }, "MD5", 16 },
    [SIP_DIGEST_SHA256] = { { "SHA-256", 7 }, "SHA2-256", 32 },
};

struct hd_slice
sip_digest_name(enum sip_digest_alg alg)
{
    HD_ASSERT(alg < SIP_DIGEST_COUNT);
    return alg_rows[alg].name;
}

enum sip_digest_alg
sip_digest_find(struct hd_slice name)
{
    if (name.n == 0 || hd_slice_ieq(name, alg_rows[SIP_DIGEST_MD5].name))
        return SIP_DIGEST_MD5;
    if (hd_slice_ieq(name, alg_rows[SIP_DIGEST_SHA256].name))
        return SIP_DIGEST_SHA256;
    return SIP_DIGEST_NONE;
}

/* ---- reading ---- */

static bool
is_lws(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void
skip_lws(struct hd_slice *s)
{
    while (s->n && is_lws(*s->p))
        *s = hd_slice(s->p + 1, s->n - 1);
}

static bool
is_token(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr("-.!%*_+`'~", c) != NULL);
}

/* The longest run of token characters, cut from *s. */
static struct hd_slice
take_token(struct hd_slice *s)
{
    size_t n = 0;
    while (n < s->n && is_token(s->p[n]))
        n++;
    const struct hd_slice token = hd_slice(s->p, n);
    *s = hd_slice(s->p + n, s->n - n);
    return token;
}

/* quoted-string = DQUOTE *(qdtext / quoted-pair) DQUOTE; ret_value gets the inside.  A fold inside
 * is refused: one reader would hash it as it stands, another as a blank. */
static enum hd_err
take_quoted(struct hd_slice *s, struct hd_slice *ret_value)
{
    for (size_t i = 1; i < s->n; i++) {
        const char c = s->p[i];
        if (c == '"') {
            *ret_value = hd_slice(s->p + 1, i - 1);
            *s = hd_slice(s->p + i + 1, s->n - i - 1);
            return HD_OK;
        }
        if (c == '\\' && ++i == s->n)
            break;
        if (s->p[i] == '\0' || s->p[i] == '\r' || s->p[i] == '\n')
            break;
    }
    return HD_ESYNTAX;
}

/* A value without quotes: token, or what some clients write where a quoted string belongs (a URI, a
 * nonce in base64).  No backslash: between quotes it would take the octet behind it along. */
static enum hd_err
take_bare(struct hd_slice *s, struct hd_slice *ret_value)
{
    size_t n = 0;
    while (n < s->n && s->p[n] > ' ' && s->p[n] < 0x7f && s->p[n] != ',' && s->p[n] != '"' &&
           s->p[n] != '\\')
        n++;
    if (n == 0)
        return HD_ESYNTAX;
    *ret_value = hd_slice(s->p, n);
    *s = hd_slice(s->p + n, s->n - n);
    return HD_OK;
}

/* auth-param = token EQUAL ( token / quoted-string ), and the blanks after it. */
static enum hd_err
take_param(struct hd_slice *s, struct hd_slice *ret_name, struct hd_slice *ret_value)
{
    *ret_name = take_token(s);
    skip_lws(s);
    if (ret_name->n == 0 || s->n == 0 || *s->p != '=')
        return HD_ESYNTAX;
    *s = hd_slice(s->p + 1, s->n - 1);
    skip_lws(s);
    const enum hd_err err =
        s->n && *s->p == '"' ? take_quoted(s, ret_value) : take_bare(s, ret_value);
    if (err)
        return err;
    skip_lws(s);
    return s->n == 0 || *s->p == ',' ? HD_OK : HD_ESYNTAX;
}

/* nc-value = 8LHEX; upper case is read as well. */
static enum hd_err
read_nc(struct hd_slice value, uint32_t *ret_nc)
{
    uint32_t nc = 0;
    if (value.n != 8)
        return HD_ESYNTAX;
    for (size_t i = 0; i < 8; i++) {
        const int digit = hd_hex_digit(value.p[i]);
        if (digit < 0)
            return HD_ESYNTAX;
        nc = nc << 4 | (uint32_t)digit;
    }
    *ret_nc = nc;
    return HD_OK;
}

/* Where the text of a parameter is kept; NULL: not one that we read. */
static struct hd_slice *
param_place(struct sip_digest *digest, struct hd_slice *algorithm, struct hd_slice *stale,
            struct hd_slice name)
{
    const struct {
        struct hd_slice name;
        struct hd_slice *place;
    } known[] = {
        { HD_LIT("username"), &digest->username }, { HD_LIT("realm"), &digest->realm },
        { HD_LIT("nonce"), &digest->nonce },       { HD_LIT("uri"), &digest->uri },
        { HD_LIT("response"), &digest->response }, { HD_LIT("algorithm"), algorithm },
        { HD_LIT("cnonce"), &digest->cnonce },     { HD_LIT("opaque"), &digest->opaque },
        { HD_LIT("qop"), &digest->qop },           { HD_LIT("nc"), &digest->nc_text },
        { HD_LIT("domain"), &digest->domain },     { HD_LIT("stale"), stale },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(known); i++)
        if (hd_slice_ieq(name, known[i].name))
            return known[i].place;
    return NULL;
}

static enum hd_err
read_params(struct hd_slice rest, struct sip_digest *digest, struct hd_slice *algorithm,
            struct hd_slice *stale)
{
    for (;;) {
        while (rest.n && (is_lws(*rest.p) || *rest.p == ','))
            rest = hd_slice(rest.p + 1, rest.n - 1);
        if (rest.n == 0)
            return HD_OK;
        struct hd_slice name = { 0 }, value = { 0 };
        const enum hd_err err = take_param(&rest, &name, &value);
        if (err)
            return err;
        struct hd_slice *place = param_place(digest, algorithm, stale, name);
        if (!place)
            continue;
        if (place->p)
            return HD_ESYNTAX;
        *place = value;
    }
}

/* credentials = "Digest" LWS digest-response;  challenge = "Digest" LWS digest-cln *(COMMA
 * digest-cln) (RFC 3261 section 25.1). */
enum hd_err
sip_digest_parse(struct hd_slice value, struct sip_digest *ret_digest)
{
    struct hd_slice algorithm = { 0 }, stale = { 0 };
    struct sip_digest digest = { 0 };
    enum hd_err err;

    skip_lws(&value);
    if (!hd_slice_ieq(take_token(&value), HD_LIT("Digest")))
        return HD_ENOTSUP;
    if (value.n == 0 || !is_lws(*value.p))
        return HD_ESYNTAX;
    err = read_params(value, &digest, &algorithm, &stale);
    if (err)
        return err;
    digest.alg = sip_digest_find(algorithm);
    digest.stale = hd_slice_ieq(stale, HD_LIT("true"));
    digest.has_nc = digest.nc_text.p != NULL;
    if (digest.has_nc) {
        err = read_nc(digest.nc_text, &digest.nc);
        if (err)
            return err;
    }
    *ret_digest = digest;
    return HD_OK;
}

/* Next octet of the inside of a quoted string with its escape undone; the caller sees to it that
 * there is one. */
static char
unescaped_next(struct hd_slice *inside)
{
    const size_t skip = *inside->p == '\\' && inside->n > 1 ? 1 : 0;
    const char c = inside->p[skip];
    *inside = hd_slice(inside->p + skip + 1, inside->n - skip - 1);
    return c;
}

bool
sip_digest_is(struct hd_slice inside, struct hd_slice plain)
{
    while (inside.n && plain.n) {
        if (unescaped_next(&inside) != *plain.p)
            return false;
        plain = hd_slice(plain.p + 1, plain.n - 1);
    }
    return inside.n == 0 && plain.n == 0;
}

/* ---- computing ---- */

/* The hashes themselves cannot fail on input; that libcrypto has no MD5 or no memory is ours to die
 * of. */
static void
hasher_init(struct hasher *h, enum sip_digest_alg alg)
{
    HD_ASSERT(alg > SIP_DIGEST_NONE && alg < SIP_DIGEST_COUNT);
    h->md = EVP_MD_fetch(NULL, alg_rows[alg].fetch, NULL);
    h->ctx = EVP_MD_CTX_new();
    HD_ASSERT(h->md && h->ctx);
}

static void
hasher_done(struct hasher *h)
{
    EVP_MD_CTX_free(h->ctx);
    EVP_MD_free(h->md);
}

static void
hash_begin(struct hasher *h)
{
    HD_ASSERT(EVP_DigestInit_ex(h->ctx, h->md, NULL) == 1);
}

static void
hash_add(struct hasher *h, struct hd_slice s)
{
    if (s.n)
        HD_ASSERT(EVP_DigestUpdate(h->ctx, s.p, s.n) == 1);
}

/* unq(X) of RFC 7616 section 3.3: the text without quotes and escapes. */
static void
hash_add_unq(struct hasher *h, struct hd_slice inside)
{
    for (;;) {
        const size_t n = hd_slice_find(inside, '\\');
        hash_add(h, hd_slice(inside.p, n));
        if (inside.n - n < 2) {
            hash_add(h, hd_slice_from(inside, n)); /* nothing, or a lone backslash at the end */
            return;
        }
        hash_add(h, hd_slice(inside.p + n + 1, 1));
        inside = hd_slice(inside.p + n + 2, inside.n - n - 2);
    }
}

static const char hex_digits[] = "0123456789abcdef";

static struct hd_slice
hash_end(struct hasher *h, char ret[SIP_DIGEST_HEX])
{
    uint8_t octets[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    HD_ASSERT(EVP_DigestFinal_ex(h->ctx, octets, &n) == 1 && n <= HASH_OCTETS_MAX);
    for (size_t i = 0; i < n; i++) {
        ret[2 * i] = hex_digits[octets[i] >> 4];
        ret[2 * i + 1] = hex_digits[octets[i] & 15];
    }
    return hd_slice(ret, 2 * (size_t)n);
}

static void
nc_text(uint32_t nc, char ret[8])
{
    for (unsigned i = 0; i < 8; i++)
        ret[i] = hex_digits[nc >> (28 - 4 * i) & 15];
}

void
sip_digest_ha1(enum sip_digest_alg alg, struct hd_slice username, struct hd_slice realm,
               struct hd_slice password, char ret[SIP_DIGEST_HEX], size_t *ret_len)
{
    struct hasher h;
    hasher_init(&h, alg);
    hash_begin(&h);
    hash_add(&h, username);
    hash_add(&h, HD_LIT(":"));
    hash_add(&h, realm);
    hash_add(&h, HD_LIT(":"));
    hash_add(&h, password);
    *ret_len = hash_end(&h, ret).n;
    hasher_done(&h);
}

/* RFC 7616 section 3.4.1; without qop the form of RFC 2617 section 3.2.2.1, which RFC 3261
 * section 22.4 keeps alive. */
void
sip_digest_response(const struct sip_digest *digest, struct hd_slice ha1, struct hd_slice method,
                    char ret[SIP_DIGEST_HEX], size_t *ret_len)
{
    char ha2_text[SIP_DIGEST_HEX], nc[8];
    struct hasher h;

    hasher_init(&h, digest->alg);
    hash_begin(&h);
    hash_add(&h, method);
    hash_add(&h, HD_LIT(":"));
    hash_add(&h, digest->uri);
    const struct hd_slice ha2 = hash_end(&h, ha2_text);

    hash_begin(&h);
    hash_add(&h, ha1);
    hash_add(&h, HD_LIT(":"));
    hash_add_unq(&h, digest->nonce);
    hash_add(&h, HD_LIT(":"));
    if (digest->qop.p) {
        nc_text(digest->nc, nc);
        hash_add(&h, digest->nc_text.p ? digest->nc_text : hd_slice(nc, sizeof(nc)));
        hash_add(&h, HD_LIT(":"));
        hash_add_unq(&h, digest->cnonce);
        hash_add(&h, HD_LIT(":"));
        hash_add(&h, digest->qop);
        hash_add(&h, HD_LIT(":"));
    }
    hash_add(&h, ha2);
    *ret_len = hash_end(&h, ret).n;
    hasher_done(&h);
}

/* What credentials must have before it is worth computing anything: RFC 3261 section 22.4 items 6
 * and 8. */
static bool
is_complete(const struct sip_digest *d)
{
    if (d->alg == SIP_DIGEST_NONE || d->alg >= SIP_DIGEST_COUNT)
        return false;
    if (!d->username.p || !d->realm.p || !d->nonce.p || !d->uri.p || !d->response.p)
        return false;
    if (!d->qop.p)
        return true;
    return hd_slice_ieq(d->qop, HD_LIT("auth")) && d->has_nc && d->cnonce.p;
}

bool
sip_digest_verify(const struct sip_digest *digest, struct hd_slice ha1, struct hd_slice method)
{
    char right[SIP_DIGEST_HEX], given[SIP_DIGEST_HEX];
    size_t n;

    if (!is_complete(digest) || ha1.n != 2 * alg_rows[digest->alg].octets ||
        digest->response.n != ha1.n)
        return false;
    sip_digest_response(digest, ha1, method, right, &n);
    for (size_t i = 0; i < n; i++) {
        const char c = digest->response.p[i];
        given[i] = c >= 'A' && c <= 'F' ? (char)(c + ('a' - 'A')) : c;
    }
    return CRYPTO_memcmp(right, given, n) == 0;
}

/* ---- writing ---- */

/* Plain text as the inside of a quoted string. */
static void
out_escaped(struct sip_out *out, struct hd_slice plain)
{
    for (size_t i = 0; i < plain.n; i++) {
        if (plain.p[i] == '"' || plain.p[i] == '\\')
            sip_out_char(out, '\\');
        sip_out_char(out, plain.p[i]);
    }
}

void
sip_digest_challenge(struct sip_out *out, struct hd_slice realm, struct hd_slice nonce,
                     enum sip_digest_alg alg, bool stale)
{
    sip_out_lit(out, "WWW-Authenticate: Digest realm=\"");
    out_escaped(out, realm);
    sip_out_lit(out, "\", nonce=\"");
    out_escaped(out, nonce);
    sip_out_lit(out, "\", algorithm=");
    sip_out_slice(out, sip_digest_name(alg));
    sip_out_lit(out, ", qop=\"auth\"");
    /* RFC 7616 section 4.  Phones that know MD5 alone are of RFC 2617's time, which has no such
     * parameter. */
    if (alg != SIP_DIGEST_MD5)
        sip_out_lit(out, ", charset=UTF-8");
    if (stale)
        sip_out_lit(out, ", stale=true");
    sip_out_crlf(out);
}

/* qop-options = DQUOTE qop-value *("," qop-value) DQUOTE */
static bool
offers_auth(struct hd_slice qop)
{
    while (qop.n)
        if (hd_slice_ieq(hd_slice_trim(hd_slice_cut(&qop, ',')), HD_LIT("auth")))
            return true;
    return false;
}

/* HA1 of plain user name and password with the realm as it stands inside a challenge's quotes. */
static struct hd_slice
client_ha1(const struct sip_digest *challenge, struct hd_slice username, struct hd_slice password,
           char ret[SIP_DIGEST_HEX])
{
    struct hasher h;
    hasher_init(&h, challenge->alg);
    hash_begin(&h);
    hash_add(&h, username);
    hash_add(&h, HD_LIT(":"));
    hash_add_unq(&h, challenge->realm);
    hash_add(&h, HD_LIT(":"));
    hash_add(&h, password);
    const struct hd_slice ha1 = hash_end(&h, ret);
    hasher_done(&h);
    return ha1;
}

void
sip_digest_authorization(struct sip_out *out, const struct sip_digest *challenge,
                         struct hd_slice username, struct hd_slice password, struct hd_slice method,
                         struct hd_slice uri, struct hd_slice cnonce, uint32_t nc, bool proxy)
{
    char ha1_text[SIP_DIGEST_HEX], response[SIP_DIGEST_HEX], count[8];
    const bool qop = offers_auth(challenge->qop);
    size_t response_len;

    if (challenge->alg == SIP_DIGEST_NONE || challenge->alg >= SIP_DIGEST_COUNT) {
        out->full = true; /* no answer can be computed */
        return;
    }
    const struct sip_digest answer = {
        .nonce = challenge->nonce,
        .uri = uri,
        .cnonce = cnonce,
        .qop = qop ? HD_LIT("auth") : (struct hd_slice){ 0 },
        .alg = challenge->alg,
        .nc = nc,
        .has_nc = qop,
    };
    sip_digest_response(&answer, client_ha1(challenge, username, password, ha1_text), method,
                        response, &response_len);

    if (proxy)
        sip_out_lit(out, "Proxy-");
    sip_out_lit(out, "Authorization: Digest username=\"");
    out_escaped(out, username);
    sip_out_lit(out, "\", realm=\"");
    sip_out_slice(out, challenge->realm);
    sip_out_lit(out, "\", nonce=\"");
    sip_out_slice(out, challenge->nonce);
    sip_out_lit(out, "\", uri=\"");
    sip_out_slice(out, uri);
    sip_out_lit(out, "\", response=\"");
    sip_out_slice(out, hd_slice(response, response_len));
    sip_out_lit(out, "\", algorithm=");
    sip_out_slice(out, sip_digest_name(challenge->alg));
    if (qop) {
        nc_text(nc, count);
        sip_out_lit(out, ", cnonce=\"");
        sip_out_slice(out, cnonce);
        sip_out_lit(out, "\", qop=auth, nc=");
        sip_out_slice(out, hd_slice(count, sizeof(count)));
    }
    if (challenge->opaque.p) {
        sip_out_lit(out, ", opaque=\"");
        sip_out_slice(out, challenge->opaque);
        sip_out_lit(out, "\"");
    }
    sip_out_crlf(out);
}

/* ---- the nonce ---- */

#define NONCE_DATA 20
#define NONCE_OCTETS 36 /* data and the check of 16 octets */
static_assert(NONCE_OCTETS / 3 * 4 == SIP_NONCE_TEXT, "base64url without padding");

static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void
put_u32(uint8_t *p, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t
get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The check covers the purpose too, so that a tag or a branch never passes for a nonce. */
static void
nonce_check(const struct hd_hash_key *key, const uint8_t data[NONCE_DATA], uint8_t ret[16])
{
    char covered[NONCE_DATA + 1];
    memcpy(covered, data, NONCE_DATA);
    covered[NONCE_DATA] = HD_ID_NONCE;
    hd_hash128(key, hd_slice(covered, sizeof(covered)), ret);
}

void
sip_nonce_write(const struct hd_hash_key *key, const struct sip_nonce *nonce,
                char ret[SIP_NONCE_TEXT])
{
    uint8_t octets[NONCE_OCTETS];
    put_u32(octets, (uint32_t)(nonce->id >> 32));
    put_u32(octets + 4, (uint32_t)nonce->id);
    put_u32(octets + 8, nonce->issued_s);
    put_u32(octets + 12, nonce->source);
    put_u32(octets + 16, nonce->epoch);
    nonce_check(key, octets, octets + NONCE_DATA);
    for (size_t i = 0; i < NONCE_OCTETS / 3; i++) {
        const uint32_t v =
            (uint32_t)octets[3 * i] << 16 | (uint32_t)octets[3 * i + 1] << 8 | octets[3 * i + 2];
        for (unsigned k = 0; k < 4; k++)
            ret[4 * i + k] = base64url[v >> (18 - 6 * k) & 63];
    }
}

/* The value of a base64url character, 64 for any other. */
static uint32_t
base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (uint32_t)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (uint32_t)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0') + 52;
    if (c == '-')
        return 62;
    return c == '_' ? 63 : 64;
}

enum hd_err
sip_nonce_read(const struct hd_hash_key *key, struct hd_slice text, struct sip_nonce *ret_nonce)
{
    uint8_t octets[NONCE_OCTETS], check[16];

    if (text.n != SIP_NONCE_TEXT)
        return HD_ENOMATCH;
    for (size_t i = 0; i < NONCE_OCTETS / 3; i++) {
        uint32_t v = 0;
        for (size_t k = 0; k < 4; k++) {
            const uint32_t six = base64_value(text.p[4 * i + k]);
            if (six > 63)
                return HD_ENOMATCH;
            v = v << 6 | six;
        }
        octets[3 * i] = (uint8_t)(v >> 16);
        octets[3 * i + 1] = (uint8_t)(v >> 8);
        octets[3 * i + 2] = (uint8_t)v;
    }
    nonce_check(key, octets, check);
    if (CRYPTO_memcmp(check, octets + NONCE_DATA, sizeof(check)) != 0)
        return HD_ENOMATCH;
    *ret_nonce = (struct sip_nonce){
        .id = (uint64_t)get_u32(octets) << 32 | get_u32(octets + 4),
        .issued_s = get_u32(octets + 8),
        .source = get_u32(octets + 12),
        .epoch = get_u32(octets + 16),
    };
    return HD_OK;
}

bool
sip_nc_take(struct sip_nc_window *window, uint32_t nc)
{
    if (nc == 0)
        return false;
    if (nc > window->top) {
        const uint32_t up = nc - window->top;
        window->seen = up > 63 ? 1 : window->seen << up | 1;
        window->top = nc;
        return true;
    }
    const uint32_t down = window->top - nc;
    if (down > 63 || window->seen >> down & 1)
        return false;
    window->seen |= UINT64_C(1) << down;
    return true;
}
