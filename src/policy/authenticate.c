/* authenticate.c - who is it?
 *
 * The problem: a request is believed when its digest is right for a nonce of ours that was not used
 * with that count before, or when somebody whom the operator trusts says so, and nothing may be
 * kept for those who cannot show that.  Nonces authenticate themselves; what is kept is a window of
 * counts per nonce that came back in right credentials, on the shard that the nonce's id names
 * (windows.h), and who was wrong lately (guesses.h).  Invariants: an unknown user and a wrong
 * password cost and look the same; stale=true is said to right credentials only. */
#include "policy/authenticate.h"

#include <stdlib.h>

#include "base/id.h"
#include "policy/guesses.h"
#include "policy/windows.h"
#include "sip/header.h"

#define SHARD_MAGIC 0x504f4c53u
#define US_PER_S UINT64_C(1000000)

struct pol_shard {
    unsigned magic;
    unsigned index, shards;
    struct hd_hash_key id_key, table_key;
    uint32_t epoch;
    uint32_t count;      /* of nonces, for their ids */
    uint32_t lifetime_s; /* of the settings seen last, 0: none yet */
    struct hd_rng rng;
    struct pol_windows windows;
    struct pol_guesses guesses;
};

struct pol_shard *
pol_shard_new(const struct pol_shard_params *params)
{
    HD_ASSERT(params->shards > 0 && params->index < params->shards);
    struct pol_shard *shard = calloc(1, sizeof(*shard));
    if (!shard)
        return NULL;
    if (pol_windows_init(&shard->windows,
                         params->max_windows ? params->max_windows : POL_WINDOWS_MAX,
                         &params->table_key)) {
        free(shard);
        return NULL;
    }
    shard->magic = SHARD_MAGIC;
    shard->index = params->index;
    shard->shards = params->shards;
    shard->id_key = params->id_key;
    shard->table_key = params->table_key;
    shard->epoch = params->epoch;
    hd_rng_init(&shard->rng, params->entropy, params->entropy_context);
    return shard;
}

void
pol_shard_free(struct pol_shard *shard)
{
    if (!shard)
        return;
    HD_ASSERT_OBJ(shard, SHARD_MAGIC);
    shard->magic = 0;
    pol_windows_done(&shard->windows);
    free(shard);
}

static const struct pol_settings *
settings_of(const struct evt_config *config)
{
    HD_ASSERT_OBJ(config, EVT_CONFIG_MAGIC);
    HD_ASSERT(config->policy);
    return config->policy;
}

static const struct evt_listener *
listener_of(const struct evt_config *config, const struct hd_flow *flow)
{
    HD_ASSERT(flow->listener < config->n_listeners);
    return &config->listeners[flow->listener];
}

static void
identity_set(struct evt_identity *identity, struct hd_slice key)
{
    HD_ASSERT(key.n <= SIP_KEY_MAX);
    memcpy(identity->key, key.p, key.n);
    identity->key_len = (uint8_t)key.n;
}

/* Whether the operator says that who sends from there has made sure of the sender. */
static bool
hop_is_trusted(const struct evt_listener *listener, const struct hd_flow *flow)
{
    for (size_t i = 0; i < listener->n_trusted; i++)
        if (hd_prefix_holds(&listener->trusted[i], &flow->remote))
            return true;
    return false;
}

/* A connection shows that its peer reads what we send; and the operator may say so of an address.
 */
static bool
source_proven(const struct evt_listener *listener, const struct hd_flow *flow)
{
    if (hd_transport_reliable((enum hd_transport)flow->transport))
        return true;
    return hop_is_trusted(listener, flow);
}

static uint32_t
source_hash(const struct pol_shard *shard, const struct hd_flow *flow)
{
    return (uint32_t)hd_addr_hash(&shard->table_key, &flow->remote, true);
}

static enum evt_auth
bad(struct evt_auth_result *result, const char *reason)
{
    result->reason = reason;
    return EVT_AUTH_BAD;
}

/* Somebody is known by a URI; whoever has it among his addresses is himself by all of them. */
static enum evt_auth
uri_identity(const struct evt_config *config, const struct sip_uri *uri, enum evt_proof proof,
             const struct hd_flow *flow, struct evt_auth_result *result)
{
    char key[SIP_KEY_MAX];
    size_t n;

    if (sip_identity_key(uri, &config->served, key, &n))
        return bad(result, proof == EVT_PROOF_ASSERTED ? "Unreadable P-Asserted-Identity"
                                                       : "Unreadable From URI");
    identity_set(&result->identity, pol_book_primary(settings_of(config)->book, hd_slice(key, n)));
    result->identity.proof = (uint8_t)proof;
    result->identity.authenticated = proof > EVT_PROOF_FROM;
    result->identity.proven = source_proven(listener_of(config, flow), flow);
    return EVT_AUTH_OK;
}

/* Whom a trusted hop has made sure of (RFC 3325 section 9.1): of two values the SIP one.  false:
 * nobody. */
static bool
asserted_uri(const struct sip_msg *request, struct hd_slice *ret_uri, bool *ret_bad)
{
    struct sip_walk walk = { 0 };
    struct hd_slice item;
    bool found = false;

    *ret_bad = false;
    while (sip_msg_walk(request, SIP_HDR_P_ASSERTED_IDENTITY, &walk, &item)) {
        struct sip_addr addr;
        struct sip_uri uri;
        if (sip_addr_parse(item, &addr) || sip_uri_parse(addr.uri, &uri)) {
            *ret_bad = true;
            return false;
        }
        const bool sip = uri.scheme == SIP_SCHEME_SIP || uri.scheme == SIP_SCHEME_SIPS;
        if (uri.scheme == SIP_SCHEME_OTHER || (found && !sip))
            continue;
        *ret_uri = addr.uri;
        found = true;
        if (sip)
            break;
    }
    return found;
}

/* On a listener without authentication, and behind a trusted hop, a sender is who that hop asserts,
 * else who From says.  What others assert is as if it were not there. */
static enum evt_auth
from_identity(const struct evt_config *config, const struct sip_msg *request,
              const struct hd_flow *flow, bool asserts, struct evt_auth_result *result)
{
    struct hd_slice text = request->from.uri;
    struct sip_uri uri;
    bool malformed = false;

    const bool asserted = asserts && asserted_uri(request, &text, &malformed);
    if (malformed)
        return bad(result, "Malformed P-Asserted-Identity");
    if (sip_uri_parse(text, &uri))
        return bad(result, "Unreadable From URI");
    return uri_identity(config, &uri, asserted ? EVT_PROOF_ASSERTED : EVT_PROOF_FROM, flow, result);
}

/* Whether a verified certificate speaks for a URI: it names the domain (RFC 5922 section 7.2: whole
 * names, no wildcards), or that very address. */
static bool
name_speaks_for(const struct evt_config *config, struct hd_slice name, const struct sip_uri *uri)
{
    char key[SIP_KEY_MAX], named[SIP_KEY_MAX], text[SIP_KEY_MAX + 8];
    struct sip_uri user;
    struct sip_out out;
    size_t n, n_named, n_text;

    if (hd_slice_find(name, '@') == name.n)
        return hd_slice_ieq(uri->host, name);
    sip_out_init(&out, text, sizeof(text));
    sip_out_lit(&out, "sip:");
    sip_out_slice(&out, name);
    return !sip_out_finish(&out, &n_text) && !sip_uri_parse(hd_slice(text, n_text), &user) &&
           !sip_identity_key(&user, &config->served, named, &n_named) &&
           !sip_identity_key(uri, &config->served, key, &n) &&
           hd_slice_eq(hd_slice(key, n), hd_slice(named, n_named));
}

/* Whether the certificate of the connection's peer shows that From is right: it speaks for it, and
 * the listener believes certificates about that domain. */
static bool
peer_certifies(const struct evt_config *config, const struct hd_flow *flow, struct hd_slice peer,
               const struct sip_msg *request, struct sip_uri *ret_from)
{
    const struct evt_listener *listener = listener_of(config, flow);
    bool believed = false, speaks = false;

    if (peer.n == 0 || listener->n_certified == 0 || sip_uri_parse(request->from.uri, ret_from) ||
        (ret_from->scheme != SIP_SCHEME_SIP && ret_from->scheme != SIP_SCHEME_SIPS))
        return false;
    for (size_t i = 0; i < listener->n_certified && !believed; i++)
        believed = hd_slice_ieq(listener->certified[i], ret_from->host);
    while (believed && !speaks && peer.n > 0)
        speaks = name_speaks_for(config, hd_slice_cut(&peer, ' '), ret_from);
    return speaks;
}

static bool
is_offered(const struct pol_settings *settings, enum sip_digest_alg alg)
{
    for (size_t i = 0; i < settings->n_algorithms; i++)
        if (settings->algorithms[i] == alg)
            return true;
    return false;
}

static bool
is_realm(const struct pol_settings *settings, struct hd_slice quoted)
{
    for (size_t i = 0; i < settings->n_realms; i++)
        if (sip_digest_is(quoted, settings->realms[i]))
            return true;
    return false;
}

/* The credentials for a realm of ours, of several fields (RFC 3261 section 22.3 and RFC 8760
 * section 2.4) the first that we can use. Other schemes, realms and algorithms are not ours to
 * judge: they are as if nothing were there. */
static enum evt_auth
find_credentials(const struct pol_settings *settings, const struct sip_msg *request,
                 struct sip_digest *ret_digest, struct evt_auth_result *result)
{
    bool malformed = false;
    const struct sip_header *header = sip_msg_header(request, SIP_HDR_AUTHORIZATION);

    for (; header; header = sip_msg_next(request, header)) {
        const enum hd_err err = sip_digest_parse(header->value, ret_digest);
        if (err == HD_OK && is_realm(settings, ret_digest->realm) &&
            is_offered(settings, ret_digest->alg))
            return EVT_AUTH_OK;
        if (err != HD_OK && err != HD_ENOTSUP)
            malformed = true;
    }
    return malformed ? bad(result, "Malformed Authorization") : EVT_AUTH_CHALLENGE;
}

/* Whether the uri parameter is one that we accept requests for (RFC 8760 section 2.6 item 6); it
 * need not equal the Request-URI. */
static bool
uri_is_served(const struct evt_config *config, const struct hd_flow *flow, struct hd_slice text)
{
    const struct evt_listener *listener = listener_of(config, flow);
    /* The address to which the request came is ours, whatever was known of it at the start. */
    const struct sip_served here = { .own = &flow->local, .n_own = 1 };
    struct sip_uri uri, contact;

    if (sip_uri_parse(text, &uri))
        return false;
    switch (uri.scheme) {
    case SIP_SCHEME_OTHER:
        return false;
    case SIP_SCHEME_TEL:
        return true; /* maps to the default domain */
    case SIP_SCHEME_SIP:
    case SIP_SCHEME_SIPS:
    case SIP_SCHEME_PRES:
        break;
    }
    if (sip_served_host(&config->served, uri.host, uri.port) != SIP_OURS_NO ||
        sip_served_host(&here, uri.host, uri.port) != SIP_OURS_NO)
        return true;
    /* Within a dialog the Request-URI is our Contact, which may name the outside of a NAT. */
    return listener->contact.n > 0 && sip_uri_parse(listener->contact, &contact) == HD_OK &&
           contact.scheme != SIP_SCHEME_OTHER && hd_slice_ieq(uri.host, contact.host) &&
           uri.port == contact.port;
}

/* What must be there before anything is computed (RFC 7616 section 3.4: improper or missing
 * parameters are a 4xx). */
static enum evt_auth
check_parameters(const struct evt_config *config, const struct hd_flow *flow,
                 const struct sip_digest *digest, struct evt_auth_result *result)
{
    if (!digest->username.p || !digest->nonce.p || !digest->uri.p || !digest->response.p)
        return bad(result, "Incomplete Credentials");
    /* Sent empty by clients that tell their name before they were challenged (RFC 8760
     * section 2.7). */
    if (digest->nonce.n == 0 || digest->response.n == 0)
        return EVT_AUTH_CHALLENGE;
    if (digest->qop.p) {
        if (!hd_slice_ieq(digest->qop, HD_LIT("auth")))
            return bad(result, "Digest qop Not Offered");
        if (!digest->has_nc || !digest->cnonce.p)
            return bad(result, "Digest Without nc Or cnonce");
    }
    if (!uri_is_served(config, flow, digest->uri))
        return bad(result, "Digest URI Not Served Here");
    return EVT_AUTH_OK;
}

/* The realm of credentials; one that is ours, as find_credentials has made sure. */
static struct hd_slice
realm_of(const struct pol_settings *settings, const struct sip_digest *digest)
{
    size_t i = 0;

    while (i + 1 < settings->n_realms && !sip_digest_is(digest->realm, settings->realms[i]))
        i++;
    return settings->realms[i];
}

/* The username parameter with its escapes undone; empty: longer than any user's. */
static struct hd_slice
read_username(const struct sip_digest *digest, char buffer[POL_NAME_MAX])
{
    const struct hd_slice inside = digest->username;
    size_t n = 0;

    for (size_t i = 0; i < inside.n; i++) {
        if (inside.p[i] == '\\' && i + 1 < inside.n)
            i++;
        if (n == POL_NAME_MAX)
            return HD_LIT("");
        buffer[n++] = inside.p[i];
    }
    return hd_slice(buffer, n);
}

/* Whether a user that we have made these credentials; the time that it takes does not tell whether
 * there is one. */
static const struct pol_user *
verify(const struct pol_settings *settings, struct hd_slice method, const struct sip_digest *digest,
       struct hd_slice name)
{
    static const char nobody[SIP_DIGEST_HEX + 1] = "00000000000000000000000000000000"
                                                   "00000000000000000000000000000000";
    const struct pol_login *login = NULL;
    const struct pol_user *user =
        pol_book_login(settings->book, realm_of(settings, digest), name, &login);
    struct hd_slice ha1 = { 0 };

    if (user)
        ha1 = login->ha1[digest->alg];
    if (ha1.n == 0) {
        user = NULL;
        ha1 = hd_slice(nobody, digest->alg == SIP_DIGEST_MD5 ? 32 : 64);
    }
    return sip_digest_verify(digest, ha1, method) ? user : NULL;
}

/* Who a user is to others; false: a user of a domain that is not served any more, or whose address
 * another user has by now. */
static bool
user_identity(const struct evt_config *config, const struct pol_user *user,
              struct evt_identity *identity)
{
    const struct pol_book *book = settings_of(config)->book;
    char key[SIP_KEY_MAX];
    size_t n;

    if (user->n_addresses > 0) {
        identity_set(identity, user->addresses[0]);
        return true;
    }
    if (pol_name_key(user->name, &config->served, key, &n) ||
        pol_book_holder(book, hd_slice(key, n)))
        return false;
    identity_set(identity, hd_slice(key, n));
    return true;
}

/* Where somebody tries passwords from: the address of the packet; behind a trusted hop the one that
 * this hop has seen (RFC 3261 section 18.2.1), so that nobody behind it slows the others. */
static uint64_t
guesser_hash(const struct pol_shard *shard, const struct evt_listener *listener,
             const struct sip_msg *request, const struct hd_flow *flow)
{
    uint64_t hash = hd_addr_hash(&shard->table_key, &flow->remote, false);
    struct sip_walk walk = { 0 };
    struct hd_slice item, seen;
    struct sip_via via;

    if (!hop_is_trusted(listener, flow) || !sip_msg_walk(request, SIP_HDR_VIA, &walk, &item) ||
        !sip_msg_walk(request, SIP_HDR_VIA, &walk, &item) || sip_via_parse(item, &via))
        return hash;
    if (!sip_param_find(via.params, HD_LIT("received"), &seen))
        seen = via.host;
    return hd_hash_mix(hash, hd_hash(&shard->table_key, seen));
}

/* Whether the nonce is of this start and young enough. */
static bool
nonce_is_fresh(const struct pol_shard *shard, const struct pol_settings *settings,
               struct hd_slice text, uint64_t now_us, struct sip_nonce *ret_nonce)
{
    const uint64_t now_s = now_us / US_PER_S;

    if (sip_nonce_read(&shard->id_key, text, ret_nonce) || ret_nonce->epoch != shard->epoch)
        return false;
    /* Another shard's clock may have been read a little later. */
    return ret_nonce->issued_s >= now_s ||
           now_s - ret_nonce->issued_s <= settings->nonce_lifetime_s;
}

/* Whose credentials these are; at who was wrong too often from there nobody looks (guesses.h). */
static enum evt_auth
verify_slowly(struct pol_shard *shard, const struct evt_config *config, struct hd_slice method,
              const struct sip_digest *digest, uint64_t source, bool bound, uint64_t now_us,
              struct evt_identity *ret_identity)
{
    char buffer[POL_NAME_MAX];
    const struct hd_slice name = read_username(digest, buffer);
    const uint64_t guess = pol_guess_key(&shard->table_key, name, source, bound);
    const bool may = pol_guess_may(&shard->guesses, guess, now_us);
    const struct pol_user *user = verify(settings_of(config), method, digest, name);

    if (!may)
        return EVT_AUTH_SLOWED;
    if (!user || !user_identity(config, user, ret_identity)) {
        pol_guess_wrong(&shard->guesses, guess, now_us);
        return EVT_AUTH_WRONG;
    }
    pol_guess_right(&shard->guesses, guess);
    return EVT_AUTH_OK;
}

/* How the credentials of a request are judged, when they are there. */
static enum evt_auth
digest_identity(struct pol_shard *shard, const struct evt_config *config,
                const struct sip_msg *request, const struct hd_flow *flow, uint64_t now_us,
                struct evt_auth_result *result)
{
    const struct pol_settings *settings = settings_of(config);
    const struct evt_listener *listener = listener_of(config, flow);
    struct sip_digest digest;
    struct sip_nonce nonce;

    enum evt_auth auth = find_credentials(settings, request, &digest, result);
    if (auth == EVT_AUTH_OK)
        auth = check_parameters(config, flow, &digest, result);
    if (auth != EVT_AUTH_OK)
        return auth;

    /* Who can lie about his address gets no nonce that is bound to it: his guesses are counted
     * apart, so that they slow nobody who answers a challenge (pol_guess_key). */
    const bool fresh = nonce_is_fresh(shard, settings, digest.nonce, now_us, &nonce);
    const bool bound = hd_transport_reliable((enum hd_transport)flow->transport) ||
                       (fresh && nonce.source == source_hash(shard, flow));
    struct evt_identity identity = { 0 };
    auth = verify_slowly(shard, config, request->method_name, &digest,
                         guesser_hash(shard, listener, request, flow), bound, now_us, &identity);
    if (auth != EVT_AUTH_OK)
        return auth;
    /* Also for a nonce that we never gave out: who knows the password need not be asked for it
     * again (RFC 7616 section 3.3). */
    if (!fresh)
        return EVT_AUTH_STALE;

    result->identity = identity;
    result->identity.proof = EVT_PROOF_DIGEST;
    result->identity.authenticated = true;
    result->identity.proven =
        nonce.source == source_hash(shard, flow) || source_proven(listener, flow);
    result->has_count = true;
    result->nonce_id = nonce.id;
    result->nc = digest.qop.p ? digest.nc : 1; /* without a count the nonce is good once */
    return EVT_AUTH_OK;
}

enum evt_auth
pol_http_authenticate(struct pol_shard *shard, const struct evt_config *config,
                      const struct pol_http_request *request, uint64_t now_us,
                      struct evt_auth_result *ret_result)
{
    const struct pol_settings *settings = settings_of(config);
    struct evt_identity identity = { 0 };
    struct sip_digest digest;
    struct sip_nonce nonce;

    HD_ASSERT_OBJ(shard, SHARD_MAGIC);
    *ret_result = (struct evt_auth_result){ 0 };
    shard->lifetime_s = settings->nonce_lifetime_s;
    const enum hd_err err = sip_digest_parse(request->authorization, &digest);
    if (err && err != HD_ENOTSUP)
        return bad(ret_result, "Malformed Authorization");
    if (err || !is_realm(settings, digest.realm) || !is_offered(settings, digest.alg))
        return EVT_AUTH_CHALLENGE;
    if (!digest.username.p || !digest.nonce.n || !digest.response.n || !digest.qop.p ||
        !hd_slice_ieq(digest.qop, HD_LIT("auth")) || !digest.has_nc || !digest.cnonce.p)
        return bad(ret_result, "Incomplete Credentials");
    if (!sip_digest_is(digest.uri, request->target)) /* RFC 7616 section 3.4.6 */
        return bad(ret_result, "Digest URI Is Not The Request's");

    const enum evt_auth auth = verify_slowly(
        shard, config, request->method, &digest,
        hd_addr_hash(&shard->table_key, request->remote, false), true, now_us, &identity);
    if (auth != EVT_AUTH_OK)
        return auth;
    if (!nonce_is_fresh(shard, settings, digest.nonce, now_us, &nonce) ||
        !pol_windows_take(&shard->windows, nonce.id, digest.nc, (uint32_t)(now_us / US_PER_S),
                          shard->lifetime_s))
        return EVT_AUTH_STALE;
    ret_result->identity = identity;
    ret_result->identity.proof = EVT_PROOF_DIGEST;
    ret_result->identity.authenticated = ret_result->identity.proven = true;
    return EVT_AUTH_OK;
}

/* Whether the connection is that of a hop which the listener trusts to say who asks: one of its
 * verified SIP domains is configured (RFC 5922 sections 7.2 and 7.4: whole names, no wildcards). */
static bool
peer_is_trusted(const struct evt_listener *listener, struct hd_slice peer)
{
    while (peer.n > 0) {
        const struct hd_slice name = hd_slice_cut(&peer, ' ');
        for (size_t i = 0; i < listener->n_trusted_names; i++)
            if (hd_slice_ieq(listener->trusted_names[i], name))
                return true;
    }
    return false;
}

bool
pol_hop_is_trusted(const struct evt_config *config, const struct hd_flow *flow,
                   struct hd_slice peer)
{
    const struct evt_listener *listener = listener_of(config, flow);

    return hop_is_trusted(listener, flow) || peer_is_trusted(listener, peer);
}

enum evt_auth
pol_authenticate(void *policy, const struct evt_config *config, const struct sip_msg *request,
                 const struct hd_flow *flow, struct hd_slice peer, uint64_t now_us,
                 struct evt_auth_result *ret_result)
{
    struct pol_shard *shard = policy;
    HD_ASSERT_OBJ(shard, SHARD_MAGIC);
    *ret_result = (struct evt_auth_result){ 0 };
    shard->lifetime_s = settings_of(config)->nonce_lifetime_s;
    const struct evt_listener *listener = listener_of(config, flow);
    const bool peer_trusted = peer_is_trusted(listener, peer);
    struct sip_uri from;
    if (!peer_trusted && peer_certifies(config, flow, peer, request, &from))
        return uri_identity(config, &from, EVT_PROOF_TLS, flow, ret_result);
    if (!listener->authenticate || peer_trusted) {
        const bool asserts = sip_msg_has(request, SIP_HDR_P_ASSERTED_IDENTITY) &&
                             (peer_trusted || hop_is_trusted(listener, flow));
        return from_identity(config, request, flow, asserts, ret_result);
    }
    return digest_identity(shard, config, request, flow, now_us, ret_result);
}

bool
pol_count(void *policy, uint64_t nonce_id, uint32_t nc, uint64_t now_us)
{
    struct pol_shard *shard = policy;
    HD_ASSERT_OBJ(shard, SHARD_MAGIC);
    return pol_windows_take(&shard->windows, nonce_id, nc, (uint32_t)(now_us / US_PER_S),
                            shard->lifetime_s);
}

/* The realm that a sender is asked for: that of the name of his domain, else the first. */
static struct hd_slice
realm_for(const struct pol_settings *settings, const struct sip_msg *request)
{
    struct sip_uri from;

    if (request && settings->n_realms > 1 && sip_uri_parse(request->from.uri, &from) == HD_OK)
        for (size_t i = 0; i < settings->n_realms; i++)
            if (hd_slice_ieq(settings->realms[i], from.host))
                return settings->realms[i];
    return settings->realms[0];
}

void
pol_challenge(void *policy, const struct evt_config *config, const struct sip_msg *request,
              const struct hd_flow *flow, uint64_t now_us, bool stale, struct sip_out *out)
{
    struct pol_shard *shard = policy;
    HD_ASSERT_OBJ(shard, SHARD_MAGIC);
    const struct pol_settings *settings = settings_of(config);
    const uint32_t now_s = (uint32_t)(now_us / US_PER_S);
    const unsigned bucket = hd_shard_bucket(&shard->rng, shard->index, shard->shards);
    char text[SIP_NONCE_TEXT];

    shard->lifetime_s = settings->nonce_lifetime_s;
    sip_nonce_write(&shard->id_key,
                    &(struct sip_nonce){ .id = pol_nonce_id(bucket, now_s, shard->count++),
                                         .issued_s = now_s,
                                         .source = source_hash(shard, flow),
                                         .epoch = shard->epoch },
                    text);
    /* One line for each algorithm, the preferred first (RFC 8760 section 2.3); a client answers one
     * of them. */
    for (size_t i = 0; i < settings->n_algorithms; i++)
        sip_digest_challenge(out, realm_for(settings, request), hd_slice(text, sizeof(text)),
                             settings->algorithms[i], stale);
}
