/* policy.h - the core's policy port: who is it (digest or From), and may he?
 *
 * Thread: one pol_shard per shard, used by that shard only; what is shared (the book, the settings)
 * is immutable. */
#ifndef HD_POLICY_POLICY_H
#define HD_POLICY_POLICY_H

#include "base/hash.h"
#include "base/rng.h"
#include "event/ports.h"
#include "policy/book.h"
#include "sip/digest.h"

/* What evt_config.policy points to: made anew with each configuration or edit of the book,
 * immutable from then on. */
struct pol_settings {
    struct pol_book *book; /* a reference, which the config's free gives back */
    uint64_t
        now_s; /* seconds since 1970: rules that are in force then are in force as long as these
                  settings are; whoever made them makes new ones at pol_book_next_change() */
    const struct hd_slice *realms; /* those whose users log in here, the first where nothing else
                                      is said */
    size_t n_realms;               /* > 0 */
    const enum sip_digest_alg *algorithms; /* offered, the preferred first; none twice */
    size_t n_algorithms;                   /* 1 or 2 */
    uint32_t nonce_lifetime_s;             /* > 0 */
};

struct pol_shard_params {
    unsigned index, shards;    /* as the core's: index below shards */
    struct hd_hash_key id_key; /* makes nonces unforgeable; the same on all shards (evt_keys.id) */
    struct hd_hash_key table_key; /* for the hash of the source and the tables; the same on all
                                     shards (evt_keys.table) */
    uint32_t epoch; /* this start of the server; the same on all shards, unlike earlier ones */
    uint32_t max_windows; /* nonce count windows kept; 0: 65,536 */
    hd_entropy_f entropy;
    void *entropy_context;
};

struct pol_shard;
/** NULL when memory is short. */
struct pol_shard *pol_shard_new(const struct pol_shard_params *params);
void pol_shard_free(struct pol_shard *shard); /* accepts NULL */

/* The port; its context is a struct pol_shard.  config->policy must point to a struct pol_settings.
 * Reason phrases are static. */
extern const struct evt_policy_ops pol_ops;

/* What a request over HTTP shows. */
struct pol_http_request {
    struct hd_slice method, target; /* as they came */
    struct hd_slice authorization;  /* value of the field; empty: none */
    const struct hd_addr *remote;   /* from where */
};
/**
 * Digest over HTTP (RFC 7616): the same users and realm.  The count is taken here: shard is one of
 * the face's own, with an epoch that no other has, so that no nonce is good on both.
 * @return as evt_policy_ops.authenticate; ret_result->has_count is false
 */
enum evt_auth pol_http_authenticate(struct pol_shard *shard, const struct evt_config *config,
                                    const struct pol_http_request *request, uint64_t now_us,
                                    struct evt_auth_result *ret_result);

/**
 * The identity key of a user name: "sip:name@default-domain"; a name "user@domain" gives
 * "sip:user@domain" when the domain is served.
 * @return HD_OK; HD_ENOMATCH: a domain that is not served; HD_ERANGE: too long; HD_ESYNTAX
 */
HD_NODISCARD enum hd_err pol_name_key(struct hd_slice name, const struct sip_served *served,
                                      char ret_key[SIP_KEY_MAX], size_t *ret_len);

/** The identity key of what people call a user: his first address of record, when the book knows
 * him and says one, else as pol_name_key. */
HD_NODISCARD enum hd_err pol_user_key(const struct pol_book *book, struct hd_slice name,
                                      const struct sip_served *served, char ret_key[SIP_KEY_MAX],
                                      size_t *ret_len);

/**
 * Whether an address of a user of this book is also what another user's name makes him: only by the
 * configuration is known which that is, so whoever edits users asks.
 *  @return the other one's name, or p NULL
 */
struct hd_slice pol_user_clash(const struct pol_book *book, const struct pol_user *user,
                               const struct sip_served *served);

/* A login with HA1 values made from a password for all algorithms, for those who set one. */
struct pol_made {
    struct pol_login login;
    char hex[SIP_DIGEST_COUNT][SIP_DIGEST_HEX];
};
void pol_login_make(struct hd_slice username, struct hd_slice realm, struct hd_slice password,
                    struct pol_made *ret_made);
/** The user who has that login and nothing else; he borrows made and its texts. */
struct pol_user pol_user_of(struct hd_slice name, const struct pol_made *made, uint64_t created_s);

#endif
