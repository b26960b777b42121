/* digest.h - digest authentication (RFC 7616, RFC 8760, RFC 3261 22): parsing, computing, writing.
 * Pure; any thread.  Secrets are HA1 values, never passwords, on the server's side. */
#ifndef HD_SIP_DIGEST_H
#define HD_SIP_DIGEST_H

#include "base/slice.h"
#include "sip/msg.h"
#include "sip/out.h"

enum sip_digest_alg { SIP_DIGEST_NONE = 0, SIP_DIGEST_MD5, SIP_DIGEST_SHA256, SIP_DIGEST_COUNT };
#define SIP_DIGEST_HEX 64 /* characters of the longest, no NUL */

struct hd_slice sip_digest_name(enum sip_digest_alg alg); /* "MD5", "SHA-256" */
enum sip_digest_alg
sip_digest_find(struct hd_slice name); /* any case; empty is MD5; NONE for others */

/* The credentials of an Authorization value or the parameters of a challenge. */
struct sip_digest {
    struct hd_slice username, realm, nonce, uri, response, cnonce, opaque,
        domain;              /* inside of the quotes */
    struct hd_slice qop;     /* "auth", or the offered list in a challenge; p NULL: none */
    enum sip_digest_alg alg; /* NONE: named but not ours */
    uint32_t nc;
    struct hd_slice
        nc_text; /* the count as it came, which is what is hashed; p NULL: eight digits of nc */
    bool has_nc, stale;
};
/** Reads "Digest ..." (any blanks, any order).  HD_ENOTSUP another scheme; HD_ESYNTAX; a repeated
 * parameter is HD_ESYNTAX. Parameters that are not read (userhash, username*) are skipped. */
HD_NODISCARD enum hd_err sip_digest_parse(struct hd_slice value, struct sip_digest *ret_digest);

/** Whether the inside of a quoted string, its escapes undone, is this plain text. */
bool sip_digest_is(struct hd_slice inside, struct hd_slice plain);

/** HA1 = H(username:realm:password) in lower-case hex; ret gets SIP_DIGEST_HEX octets, *ret_len is
 * 32 or 64. */
void sip_digest_ha1(enum sip_digest_alg alg, struct hd_slice username, struct hd_slice realm,
                    struct hd_slice password, char ret[SIP_DIGEST_HEX], size_t *ret_len);
/** The response over the uri parameter as it came (qop auth or none).  digest->alg must be one of
 * ours (asserted). */
void sip_digest_response(const struct sip_digest *digest, struct hd_slice ha1,
                         struct hd_slice method, char ret[SIP_DIGEST_HEX], size_t *ret_len);
/** Whether the response is right, compared in constant time.  False as well when a parameter that
 * is needed is missing, the algorithm is not ours, qop is not auth, or ha1 has another algorithm's
 * length. */
bool sip_digest_verify(const struct sip_digest *digest, struct hd_slice ha1,
                       struct hd_slice method);
/** One WWW-Authenticate line with qop="auth". */
void sip_digest_challenge(struct sip_out *out, struct hd_slice realm, struct hd_slice nonce,
                          enum sip_digest_alg alg, bool stale);
/** For clients: one Authorization line answering a challenge; cnonce (token characters) and nc as
 * given; proxy: Proxy-Authorization.  username and password are plain text.  An algorithm that is
 * not ours marks out as full. */
void sip_digest_authorization(struct sip_out *out, const struct sip_digest *challenge,
                              struct hd_slice username, struct hd_slice password,
                              struct hd_slice method, struct hd_slice uri, struct hd_slice cnonce,
                              uint32_t nc, bool proxy);

/* The nonce authenticates itself: start-up id, time, id of the count window (its bucket says the
 * shard), the source it is bound to, and a check.  Nothing is stored when it is given out. */
struct sip_nonce {
    uint64_t id;       /* names the count window */
    uint32_t issued_s; /* seconds of the monotonic clock of this start */
    uint32_t source;   /* 32 bits of the keyed hash of the source address with port */
    uint32_t epoch;    /* which start of the server gave it out */
};
#define SIP_NONCE_TEXT 48 /* characters, no NUL */
struct hd_hash_key;
void sip_nonce_write(const struct hd_hash_key *key, const struct sip_nonce *nonce,
                     char ret[SIP_NONCE_TEXT]);
/** HD_ENOMATCH: not one of ours. */
HD_NODISCARD enum hd_err sip_nonce_read(const struct hd_hash_key *key, struct hd_slice text,
                                        struct sip_nonce *ret_nonce);

/* Which counts of a nonce were seen: a window that tolerates reordering (RFC 7616 3.4, RFC 3261
 * 22). */
struct sip_nc_window {
    uint32_t top;  /* highest seen, 0: none */
    uint64_t seen; /* bit i: top - i was seen */
};
/** True when nc is new (and is now marked); false when seen, 0, or more than 63 below the highest.
 */
bool sip_nc_take(struct sip_nc_window *window, uint32_t nc);

#endif
