/* gruu.c - globally routable URIs of a phone (RFC 5627).
 *
 * A public one is the address of record with the instance behind "gr".  A temporary one holds the
 * user's name and the generation of its instance under a keyed cipher and a keyed check, so that no
 * table of them is needed: any shard reads it, and two of the same address look like two of any.
 * The cipher is SipHash-128 in counter mode, each with a nonce of its own; the check is the first
 * 12 octets of another SipHash-128 over all of it and the domain. */
#include "event/binding.h"
#include "event/core.h"

#define PREFIX "sip:tgruu." /* in a resource key */
#define NONCE 8u
#define CHECK 12u
#define BLOCK 16u
#define PLAIN_MAX 112u /* generation, length, user, padded */

static struct hd_hash_key
derive(const struct evt_shard *shard, struct hd_slice label)
{
    uint8_t octets[16];
    struct hd_hash_key key;

    hd_hash128(&shard->keys.id, label, octets);
    memcpy(&key.k0, octets, 8);
    memcpy(&key.k1, octets + 8, 8);
    return key;
}

/* Enciphers and deciphers. */
static void
cipher(const struct evt_shard *shard, const uint8_t nonce[NONCE], uint8_t *octets, size_t n)
{
    struct hd_hash_key key = derive(shard, HD_LIT("temporary gruu: cipher"));
    uint8_t counter[NONCE + 1], stream[BLOCK];

    memcpy(counter, nonce, NONCE);
    for (size_t i = 0; i < n; i++) {
        if (i % BLOCK == 0) {
            counter[NONCE] = (uint8_t)(i / BLOCK);
            hd_hash128(&key, hd_slice((const char *)counter, sizeof(counter)), stream);
        }
        octets[i] ^= stream[i % BLOCK];
    }
}

static void
check_of(const struct evt_shard *shard, const uint8_t *octets, size_t n, struct hd_slice domain,
         uint8_t ret[CHECK])
{
    struct hd_hash_key key = derive(shard, HD_LIT("temporary gruu: check"));
    char text[NONCE + PLAIN_MAX + SIP_KEY_MAX];
    uint8_t hash[16];

    memcpy(text, octets, n);
    memcpy(text + n, domain.p, domain.n);
    hd_hash128(&key, hd_slice(text, n + domain.n), hash);
    memcpy(ret, hash, CHECK);
}

/* "sip:user@domain" */
static bool
key_parts(struct hd_slice key, struct hd_slice *ret_user, struct hd_slice *ret_domain)
{
    size_t at = hd_slice_find(key, '@');

    if (at == key.n || key.n < 4)
        return false;
    *ret_user = hd_slice(key.p + 4, at - 4);
    *ret_domain = hd_slice_from(key, at + 1);
    return true;
}

static size_t
padded(size_t user_n)
{
    return (user_n + 5 + BLOCK - 1) / BLOCK * BLOCK;
}

bool
evt_gruu_fits(struct hd_slice key)
{
    struct hd_slice user, domain;

    return key_parts(key, &user, &domain) && padded(user.n) <= PLAIN_MAX &&
           sizeof(PREFIX) + 2 * (NONCE + padded(user.n) + CHECK) + 1 + domain.n <= SIP_KEY_MAX;
}

/* Writes the scheme for what begins "sip:" otherwise. */
static void
out_scheme(struct sip_out *out, const struct evt_binding *binding)
{
    sip_out_slice(out, evt_uri_is_sips(binding->contact) ? HD_LIT("sips:") : HD_LIT("sip:"));
}

void
evt_gruu_public(struct sip_out *out, struct hd_slice key, const struct evt_binding *binding)
{
    static const char plain[] = "-_.!~*'()[]/:&+$", digits[] = "0123456789ABCDEF";
    const struct hd_slice instance = binding->instance;

    out_scheme(out, binding);
    sip_out_slice(out, hd_slice_from(key, 4));
    sip_out_lit(out, ";gr=");
    for (size_t i = 0; i < instance.n; i++) {
        char c = instance.p[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            memchr(plain, c, sizeof(plain) - 1)) {
            sip_out_char(out, c);
            continue;
        }
        sip_out_char(out, '%');
        sip_out_char(out, digits[(unsigned char)c >> 4]);
        sip_out_char(out, digits[(unsigned char)c & 15]);
    }
}

void
evt_gruu_temporary(const struct evt_shard *shard, struct sip_out *out, struct hd_slice key,
                   const struct evt_binding *binding)
{
    uint8_t octets[NONCE + PLAIN_MAX + CHECK] = { 0 };
    struct hd_slice user, domain;
    size_t n;

    HD_ASSERT(evt_gruu_fits(key) && key_parts(key, &user, &domain));
    n = padded(user.n);
    for (unsigned i = 0; i < NONCE; i++)
        octets[i] = (uint8_t)(binding->gruu_nonce >> (56 - 8 * i));
    for (unsigned i = 0; i < 4; i++)
        octets[NONCE + i] = (uint8_t)(binding->gruu_generation >> (24 - 8 * i));
    octets[NONCE + 4] = (uint8_t)user.n;
    memcpy(octets + NONCE + 5, user.p, user.n);
    cipher(shard, octets, octets + NONCE, n);
    check_of(shard, octets, NONCE + n, domain, octets + NONCE + n);
    out_scheme(out, binding);
    sip_out_slice(out, hd_slice_from(HD_LIT(PREFIX), 4));
    sip_out_hex(out, octets, NONCE + n + CHECK);
    sip_out_char(out, '@');
    sip_out_slice(out, domain);
    sip_out_lit(out, ";gr");
}

static int
digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
read_hex(struct hd_slice text, uint8_t *octets, size_t *ret_n)
{
    if (text.n % 2 || text.n / 2 > NONCE + PLAIN_MAX + CHECK || text.n / 2 < NONCE + BLOCK + CHECK)
        return false;
    for (size_t i = 0; i < text.n; i += 2) {
        int high = digit(text.p[i]), low = digit(text.p[i + 1]);
        if (high < 0 || low < 0)
            return false;
        octets[i / 2] = (uint8_t)(high << 4 | low);
    }
    *ret_n = text.n / 2 - CHECK;
    return true;
}

enum hd_err
evt_gruu_read(const struct evt_shard *shard, char key[SIP_KEY_MAX], size_t *n,
              uint32_t *ret_generation)
{
    uint8_t octets[NONCE + PLAIN_MAX + CHECK], check[CHECK];
    struct hd_slice user, domain, text = hd_slice(key, *n);
    size_t plain_n;
    char domain_text[SIP_KEY_MAX];

    if (!hd_slice_starts(text, HD_LIT(PREFIX)) || !key_parts(text, &user, &domain))
        return HD_ENOMATCH;
    if (!read_hex(hd_slice_from(user, sizeof(PREFIX) - 5), octets, &plain_n))
        return HD_ESYNTAX;
    check_of(shard, octets, plain_n, domain, check);
    if (memcmp(check, octets + plain_n, CHECK) != 0)
        return HD_ESYNTAX;
    plain_n -= NONCE;
    cipher(shard, octets, octets + NONCE, plain_n);
    size_t user_n = octets[NONCE + 4];
    if (5 + user_n > plain_n || 4 + user_n + 1 + domain.n > SIP_KEY_MAX)
        return HD_ESYNTAX;
    memcpy(domain_text, domain.p, domain.n);
    memcpy(key + 4, octets + NONCE + 5, user_n);
    key[4 + user_n] = '@';
    memcpy(key + 5 + user_n, domain_text, domain.n);
    *n = 5 + user_n + domain.n;
    *ret_generation = 0;
    for (unsigned i = 0; i < 4; i++)
        *ret_generation = *ret_generation << 8 | octets[NONCE + i];
    return HD_OK;
}

bool
evt_gruu_is_current(struct evt_shard *shard, struct hd_slice key, uint32_t generation)
{
    const struct evt_account *account = evt_account_find(shard, key);

    for (uint32_t i = 0; account && i < account->n; i++)
        if (account->bindings[i].gruu_nonce && account->bindings[i].gruu_generation == generation &&
            account->bindings[i].expires_at_ms > shard->now_ms)
            return true;
    return false;
}
