/* digest.c - see digest.h.
 *
 * What depends on the user alone (HA1) is computed once; a request costs two more digests, in one
 * context that is kept. */
#include "digest.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEX 32
#define LITERAL(s) ((struct text){ "" s, sizeof(s) - 1 })

struct digest {
    EVP_MD *md5;
    EVP_MD_CTX *context;
    char ha1[DIGEST_USERS][HEX];
};

/* The hexadecimal digest of n texts with colons between them. */
static void
hash(struct digest *digest, const struct text *texts, unsigned n, char ret[HEX])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char octets[EVP_MAX_MD_SIZE];
    unsigned length = 0;

    (void)EVP_DigestInit_ex(digest->context, digest->md5, NULL);
    for (unsigned i = 0; i < n; i++) {
        if (i > 0)
            (void)EVP_DigestUpdate(digest->context, ":", 1);
        (void)EVP_DigestUpdate(digest->context, texts[i].p, texts[i].n);
    }
    (void)EVP_DigestFinal_ex(digest->context, octets, &length);
    for (unsigned i = 0; i < HEX / 2; i++) {
        ret[2 * i] = digits[octets[i] >> 4];
        ret[2 * i + 1] = digits[octets[i] & 15];
    }
}

struct digest *
digest_new(void)
{
    struct digest *digest = calloc(1, sizeof(*digest));

    if (!digest)
        return NULL;
    digest->md5 = EVP_MD_fetch(NULL, "MD5", NULL);
    digest->context = EVP_MD_CTX_new();
    if (!digest->md5 || !digest->context) {
        digest_free(digest);
        return NULL;
    }
    for (unsigned user = 0; user < DIGEST_USERS; user++) {
        char name[16];
        int n = snprintf(name, sizeof(name), "u%u", user);
        struct text of[] = { { name, (size_t)n }, LITERAL(DIGEST_REALM), LITERAL("bench") };
        hash(digest, of, 3, digest->ha1[user]);
    }
    return digest;
}

void
digest_free(struct digest *digest)
{
    if (!digest)
        return;
    EVP_MD_CTX_free(digest->context);
    EVP_MD_free(digest->md5);
    free(digest);
}

static struct text
count_text(char room[8], uint32_t nc)
{
    for (unsigned i = 8; i-- > 0; nc >>= 4)
        room[i] = "0123456789abcdef"[nc & 15];
    return (struct text){ room, 8 };
}

void
digest_credentials(struct digest *digest, struct out *out, uint32_t user, struct text nonce,
                   uint32_t nc, struct text method, struct text uri)
{
    char ha2[HEX], response[HEX], room[8];
    struct text count = count_text(room, nc);
    struct text request[] = { method, uri };
    struct text of[] = { { digest->ha1[user], HEX }, nonce,           count,
                         LITERAL("c0ffee"),          LITERAL("auth"), { ha2, HEX } };

    hash(digest, request, 2, ha2);
    hash(digest, of, 6, response);
    OUT(out, "\r\nAuthorization: Digest username=\"u");
    out_number(out, user);
    OUT(out, "\", realm=\"" DIGEST_REALM "\", nonce=\"");
    out_text(out, nonce);
    OUT(out, "\", uri=\"");
    out_text(out, uri);
    OUT(out, "\", response=\"");
    out_text(out, (struct text){ response, HEX });
    OUT(out, "\", algorithm=MD5, cnonce=\"c0ffee\", qop=auth, nc=");
    out_text(out, count);
}
