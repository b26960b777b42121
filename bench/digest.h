/* digest.h - the phones' side of digest authentication with MD5 (RFC 7616 section 3.4): credentials
 * for a nonce that one has, and nothing of what a cautious client checks. */
#ifndef BENCH_DIGEST_H
#define BENCH_DIGEST_H

#include <stdint.h>

#include "msg.h"

#define DIGEST_USERS 100 /* u0 to u99, each with the password "bench" */
#define DIGEST_NONCE 128 /* octets of a nonce at most */
#define DIGEST_REALM "bench.test"

struct digest;

/** NULL when libcrypto has no MD5, or memory is short. */
struct digest *digest_new(void);
void digest_free(struct digest *digest);
/** Appends CRLF and an Authorization line without its end; uri is the Request-URI. */
void digest_credentials(struct digest *digest, struct out *out, uint32_t user, struct text nonce,
                        uint32_t nc, struct text method, struct text uri);

#endif
