/* Credentials and challenges: what is read is hashed, verified, answered, and the answer is read
 * again. */
#include <stdlib.h>

#include "base/hash.h"
#include "sip/digest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
answer_and_verify(const struct sip_digest *challenge)
{
    const struct hd_slice user = HD_LIT("u\"ser"), password = HD_LIT("secret"),
                          method = HD_LIT("PUBLISH");
    char buffer[4096], response[SIP_DIGEST_HEX];
    struct sip_out out;
    size_t n;

    sip_out_init(&out, buffer, sizeof(buffer));
    sip_digest_authorization(&out, challenge, user, password, method, HD_LIT("sip:a@example.test"),
                             HD_LIT("c0"), 1, false);
    if (out.full || !challenge->realm.p || !challenge->nonce.p)
        return;
    struct hd_slice line = hd_slice(out.p, out.n - 2);
    hd_slice_cut(&line, ':');
    struct sip_digest answer;
    HD_ASSERT(sip_digest_parse(line, &answer) == HD_OK);
    HD_ASSERT(answer.alg == challenge->alg);
    HD_ASSERT(sip_digest_is(answer.username, user));
    HD_ASSERT(hd_slice_eq(answer.nonce, challenge->nonce));
    sip_digest_response(&answer, HD_LIT("0"), method, response, &n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct hd_hash_key key = { 1, 2 };
    struct sip_digest digest;
    struct sip_nonce nonce;
    char *copy = malloc(size ? size : 1), text[SIP_NONCE_TEXT];

    if (!copy)
        return 0;
    if (size)
        memcpy(copy, data, size);
    const struct hd_slice input = hd_slice(copy, size);
    if (sip_nonce_read(&key, input, &nonce) == HD_OK) {
        sip_nonce_write(&key, &nonce, text);
        HD_ASSERT(hd_slice_eq(hd_slice(text, sizeof(text)), input));
    }
    if (sip_digest_parse(input, &digest) == HD_OK) {
        (void)sip_digest_verify(&digest, HD_LIT("8ca523f5e9506fed4657c9700eebdbec"),
                                HD_LIT("PUBLISH"));
        (void)sip_digest_is(digest.username, digest.realm);
        answer_and_verify(&digest);
    }
    free(copy);
    return 0;
}
