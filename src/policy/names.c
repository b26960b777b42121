/* names.c - what people call a user, and the identity key that this means.
 *
 * The problem: an operator says "alice", a phone "alice@example.test", a rule
 * "sip:alice@example.test", and all of them must mean the same one under the configuration in
 * force. Invariant: one key comes out, in the canonical form of sip_resource_key(). */
#include "policy/policy.h"

/* A user name as the user part of a URI: what the grammar does not allow there is escaped (RFC 3261
 * section 25.1). */
static void
out_user_part(struct sip_out *out, struct hd_slice name)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < name.n; i++) {
        const unsigned char c = (unsigned char)name.p[i];
        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
            (c != '\0' && strchr("-_.!~*'()&=+$,;?/", c))) {
            sip_out_char(out, (char)c);
        } else {
            sip_out_char(out, '%');
            sip_out_char(out, hex[c >> 4]);
            sip_out_char(out, hex[c & 15]);
        }
    }
}

/* Cuts "user@domain" at its last '@'; false: there is none. */
static bool
name_split(struct hd_slice name, struct hd_slice *ret_user, struct hd_slice *ret_domain)
{
    for (size_t i = name.n; i-- > 0;)
        if (name.p[i] == '@') {
            *ret_user = hd_slice(name.p, i);
            *ret_domain = hd_slice_from(name, i + 1);
            return true;
        }
    return false;
}

enum hd_err
pol_user_key(const struct pol_book *book, struct hd_slice name, const struct sip_served *served,
             char ret_key[SIP_KEY_MAX], size_t *ret_len)
{
    const struct pol_user *user = pol_book_user(book, name);

    if (!user || user->n_addresses == 0)
        return pol_name_key(name, served, ret_key, ret_len);
    HD_ASSERT(user->addresses[0].n <= SIP_KEY_MAX);
    memcpy(ret_key, user->addresses[0].p, user->addresses[0].n);
    *ret_len = user->addresses[0].n;
    return HD_OK;
}

enum hd_err
pol_name_key(struct hd_slice name, const struct sip_served *served, char ret_key[SIP_KEY_MAX],
             size_t *ret_len)
{
    char text[4 + 3 * POL_NAME_MAX + 1 + SIP_KEY_MAX];
    struct hd_slice user = name, domain;
    struct sip_out out;
    struct sip_uri uri;
    size_t n;

    if (!name_split(name, &user, &domain)) {
        if (served->n_domains == 0)
            return HD_ENOMATCH;
        domain = served->domains[0];
    }
    if (user.n == 0 || domain.n == 0)
        return HD_ESYNTAX;
    sip_out_init(&out, text, sizeof(text));
    sip_out_lit(&out, "sip:");
    out_user_part(&out, user);
    sip_out_char(&out, '@');
    sip_out_slice(&out, domain);
    if (sip_out_finish(&out, &n))
        return HD_ERANGE;
    const enum hd_err err = sip_uri_parse(hd_slice(text, n), &uri);
    return err ? err : sip_resource_key(&uri, served, ret_key, ret_len);
}

/* A user part with its escapes undone. */
static void
out_unescaped(struct sip_out *out, struct hd_slice user)
{
    static const char hex[] = "0123456789ABCDEF";

    for (size_t i = 0; i < user.n; i++) {
        char c = user.p[i];
        if (c == '%' && i + 2 < user.n) { /* in upper case in a key */
            const char *high = memchr(hex, user.p[i + 1], 16),
                       *low = memchr(hex, user.p[i + 2], 16);
            if (high && low) {
                c = (char)((high - hex) << 4 | (low - hex));
                i += 2;
            }
        }
        sip_out_char(out, c);
    }
}

/* Another user without addresses of his own whose name makes this key, or NULL. */
static const struct pol_user *
named_like(const struct pol_book *book, struct hd_slice key, const struct sip_served *served)
{
    char memory[SIP_KEY_MAX], key2[SIP_KEY_MAX];
    struct hd_slice user, domain;
    struct sip_out out;
    size_t n;

    if (!name_split(hd_slice_from(key, 4), &user, &domain))
        return NULL;
    sip_out_init(&out, memory, sizeof(memory));
    out_unescaped(&out, user);
    for (int whole = 0; whole < 2; whole++) { /* "bob", and "bob@example.test" */
        if (whole) {
            sip_out_char(&out, '@');
            sip_out_slice(&out, domain);
        }
        const struct pol_user *other =
            out.full ? NULL : pol_book_user(book, hd_slice(memory, out.n));
        if (other && other->n_addresses == 0 &&
            pol_name_key(other->name, served, key2, &n) == HD_OK &&
            hd_slice_eq(hd_slice(key2, n), key))
            return other;
    }
    return NULL;
}

struct hd_slice
pol_user_clash(const struct pol_book *book, const struct pol_user *user,
               const struct sip_served *served)
{
    const struct pol_user *other = NULL;
    char key[SIP_KEY_MAX];
    size_t n;

    if (user->n_addresses == 0 && pol_name_key(user->name, served, key, &n) == HD_OK)
        other = pol_book_holder(book, hd_slice(key, n));
    for (size_t i = 0; !other && i < user->n_addresses; i++) {
        other = named_like(book, user->addresses[i], served);
        if (other && hd_slice_eq(other->name, user->name))
            other = NULL;
    }
    return other ? other->name : hd_slice(NULL, 0);
}

void
pol_login_make(struct hd_slice username, struct hd_slice realm, struct hd_slice password,
               struct pol_made *ret_made)
{
    ret_made->login = (struct pol_login){ .realm = realm, .username = username };
    for (unsigned a = SIP_DIGEST_MD5; a < SIP_DIGEST_COUNT; a++) {
        size_t n;
        sip_digest_ha1((enum sip_digest_alg)a, username, realm, password, ret_made->hex[a], &n);
        ret_made->login.ha1[a] = hd_slice(ret_made->hex[a], n);
    }
}

struct pol_user
pol_user_of(struct hd_slice name, const struct pol_made *made, uint64_t created_s)
{
    return (struct pol_user){
        .name = name, .logins = &made->login, .n_logins = 1, .created_s = created_s
    };
}
