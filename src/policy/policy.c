/* policy.c - the first questions about a request: who is it, and may he?
 *
 * The problem: a request is believed when its digest is right for a nonce of ours that was not used
 * with that count before, and nothing may be kept for those who cannot show that.  Nonces
 * authenticate themselves; what is kept is a window of counts per nonce that came back in right
 * credentials, on the shard that the nonce's id names (windows.h). Invariants: an unknown user and
 * a wrong password cost and look the same; stale=true is said to right credentials only; identities
 * and resources are compared in their canonical form and in no other. */
#include "policy/policy.h"

#include <stdlib.h>

#include "base/id.h"
#include "policy/judge.h"
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

/* ---- names and identities ---- */

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

static void
identity_set(struct evt_identity *identity, const char *key, size_t n)
{
    HD_ASSERT(n <= SIP_KEY_MAX);
    memcpy(identity->key, key, n);
    identity->key_len = (uint8_t)n;
}

static struct hd_slice
identity_key(const struct evt_identity *identity)
{
    return hd_slice(identity->key, identity->key_len);
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

/* ---- authentication ---- */

static enum evt_auth
bad(struct evt_auth_result *result, const char *reason)
{
    result->reason = reason;
    return EVT_AUTH_BAD;
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
    char key[SIP_KEY_MAX];
    bool malformed = false;
    size_t n;

    const bool asserted = asserts && asserted_uri(request, &text, &malformed);
    if (malformed)
        return bad(result, "Malformed P-Asserted-Identity");
    if (sip_uri_parse(text, &uri) || sip_identity_key(&uri, &config->served, key, &n))
        return bad(result, asserted ? "Unreadable P-Asserted-Identity" : "Unreadable From URI");
    identity_set(&result->identity, key, n);
    result->identity.proof = asserted ? EVT_PROOF_ASSERTED : EVT_PROOF_FROM;
    result->identity.authenticated = asserted;
    result->identity.proven = source_proven(listener_of(config, flow), flow);
    return EVT_AUTH_OK;
}

static bool
is_offered(const struct pol_settings *settings, enum sip_digest_alg alg)
{
    for (size_t i = 0; i < settings->n_algorithms; i++)
        if (settings->algorithms[i] == alg)
            return true;
    return false;
}

/* The credentials for our realm, of several fields (RFC 3261 section 22.3 and RFC 8760 section 2.4)
 * the first that we can use. Other schemes, realms and algorithms are not ours to judge: they are
 * as if nothing were there. */
static enum evt_auth
find_credentials(const struct pol_settings *settings, const struct sip_msg *request,
                 struct sip_digest *ret_digest, struct evt_auth_result *result)
{
    bool malformed = false;
    const struct sip_header *header = sip_msg_header(request, SIP_HDR_AUTHORIZATION);

    for (; header; header = sip_msg_next(request, header)) {
        const enum hd_err err = sip_digest_parse(header->value, ret_digest);
        if (err == HD_OK && sip_digest_is(ret_digest->realm, settings->realm) &&
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

/* The user of a username parameter, whose escapes are undone here; NULL: none. */
static const struct pol_user *
find_user(const struct pol_book *book, struct hd_slice inside)
{
    char name[POL_NAME_MAX];
    size_t n = 0;

    for (size_t i = 0; i < inside.n; i++) {
        if (inside.p[i] == '\\' && i + 1 < inside.n)
            i++;
        if (n == sizeof(name))
            return NULL;
        name[n++] = inside.p[i];
    }
    return pol_book_user(book, hd_slice(name, n));
}

/* Whether a user that we have made these credentials; the time that it takes does not tell whether
 * there is one. */
static const struct pol_user *
verify(const struct pol_settings *settings, struct hd_slice method, const struct sip_digest *digest)
{
    static const char nobody[SIP_DIGEST_HEX + 1] = "00000000000000000000000000000000"
                                                   "00000000000000000000000000000000";
    const struct pol_user *user = find_user(settings->book, digest->username);
    struct hd_slice ha1 = user ? user->ha1[digest->alg] : HD_LIT("");

    if (ha1.n == 0 || !hd_slice_eq(user->realm, settings->realm)) {
        user = NULL;
        ha1 = hd_slice(nobody, digest->alg == SIP_DIGEST_MD5 ? 32 : 64);
    }
    return sip_digest_verify(digest, ha1, method) ? user : NULL;
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

static enum evt_auth
digest_identity(struct pol_shard *shard, const struct evt_config *config,
                const struct sip_msg *request, const struct hd_flow *flow, uint64_t now_us,
                struct evt_auth_result *result)
{
    const struct pol_settings *settings = settings_of(config);
    const struct evt_listener *listener = listener_of(config, flow);
    struct sip_digest digest;
    struct sip_nonce nonce;
    char key[SIP_KEY_MAX];
    size_t n;

    enum evt_auth auth = find_credentials(settings, request, &digest, result);
    if (auth == EVT_AUTH_OK)
        auth = check_parameters(config, flow, &digest, result);
    if (auth != EVT_AUTH_OK)
        return auth;

    const struct pol_user *user = verify(settings, request->method_name, &digest);
    if (!user)
        return EVT_AUTH_WRONG;
    /* Also for a nonce that we never gave out: who knows the password need not be asked for it
     * again (RFC 7616 section 3.3). */
    if (!nonce_is_fresh(shard, settings, digest.nonce, now_us, &nonce))
        return EVT_AUTH_STALE;
    if (pol_name_key(user->name, &config->served, key, &n))
        return EVT_AUTH_WRONG; /* a user of a domain that is no longer served */

    identity_set(&result->identity, key, n);
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
    struct sip_digest digest;
    struct sip_nonce nonce;
    char key[SIP_KEY_MAX];
    size_t n;

    HD_ASSERT_OBJ(shard, SHARD_MAGIC);
    *ret_result = (struct evt_auth_result){ 0 };
    shard->lifetime_s = settings->nonce_lifetime_s;
    const enum hd_err err = sip_digest_parse(request->authorization, &digest);
    if (err && err != HD_ENOTSUP)
        return bad(ret_result, "Malformed Authorization");
    if (err || !sip_digest_is(digest.realm, settings->realm) || !is_offered(settings, digest.alg))
        return EVT_AUTH_CHALLENGE;
    if (!digest.username.p || !digest.nonce.n || !digest.response.n || !digest.qop.p ||
        !hd_slice_ieq(digest.qop, HD_LIT("auth")) || !digest.has_nc || !digest.cnonce.p)
        return bad(ret_result, "Incomplete Credentials");
    if (!sip_digest_is(digest.uri, request->target)) /* RFC 7616 section 3.4.6 */
        return bad(ret_result, "Digest URI Is Not The Request's");

    const struct pol_user *user = verify(settings, request->method, &digest);
    if (!user)
        return EVT_AUTH_WRONG;
    if (!nonce_is_fresh(shard, settings, digest.nonce, now_us, &nonce) ||
        !pol_windows_take(&shard->windows, nonce.id, digest.nc, (uint32_t)(now_us / US_PER_S),
                          shard->lifetime_s))
        return EVT_AUTH_STALE;
    if (pol_name_key(user->name, &config->served, key, &n))
        return EVT_AUTH_WRONG;
    identity_set(&ret_result->identity, key, n);
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

static enum evt_auth
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
    if (!listener->authenticate || peer_trusted) {
        const bool asserts = sip_msg_has(request, SIP_HDR_P_ASSERTED_IDENTITY) &&
                             (peer_trusted || hop_is_trusted(listener, flow));
        return from_identity(config, request, flow, asserts, ret_result);
    }
    return digest_identity(shard, config, request, flow, now_us, ret_result);
}

static bool
pol_count(void *policy, uint64_t nonce_id, uint32_t nc, uint64_t now_us)
{
    struct pol_shard *shard = policy;
    HD_ASSERT_OBJ(shard, SHARD_MAGIC);
    return pol_windows_take(&shard->windows, nonce_id, nc, (uint32_t)(now_us / US_PER_S),
                            shard->lifetime_s);
}

static void
pol_challenge(void *policy, const struct evt_config *config, const struct hd_flow *flow,
              uint64_t now_us, bool stale, struct sip_out *out)
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
        sip_digest_challenge(out, settings->realm, hd_slice(text, sizeof(text)),
                             settings->algorithms[i], stale);
}

/* ---- authorisation ---- */

static struct evt_verdict
verdict(enum evt_decision decision, uint32_t rule)
{
    return (struct evt_verdict){ .decision = decision, .rule = rule };
}

static struct pol_question
question_of(const struct evt_config *config, const struct evt_identity *who,
            struct hd_slice resource, const struct evt_package *package)
{
    const struct pol_settings *settings = settings_of(config);
    return (struct pol_question){ .book = settings->book,
                                  .watcher = identity_key(who),
                                  .resource = resource,
                                  .package = package,
                                  .now_s = settings->now_s,
                                  .authenticated = who->authenticated };
}

static struct evt_verdict
pol_subscribe(void *policy, const struct evt_config *config, const struct evt_identity *watcher,
              struct hd_slice resource, const struct evt_package *package)
{
    (void)policy;
    const struct pol_question question = question_of(config, watcher, resource, package);
    const struct pol_judgement judgement = pol_judge(&question);
    /* What is judged again was counted when it was asked for. */
    if (judgement.shadow && !watcher->again)
        atomic_fetch_add_explicit(&judgement.shadow->hits->n, 1, memory_order_relaxed);
    return judgement.verdict;
}

static struct hd_slice
user_part(struct hd_slice key)
{
    const size_t at = hd_slice_find(key, '@');
    return at == key.n ? HD_LIT("") : hd_slice(key.p + 4, at - 4);
}

/* Whether a service may publish for all resources of the package.  Who was not authenticated may as
 * well claim another domain, so that his user part is enough. */
static bool
is_among(const struct evt_config *config, const struct evt_identity *publisher,
         const struct hd_slice *names, size_t n_names)
{
    const struct hd_slice key = identity_key(publisher);
    char name_key[SIP_KEY_MAX];
    size_t n;

    for (size_t i = 0; i < n_names; i++) {
        if (pol_name_key(names[i], &config->served, name_key, &n))
            continue;
        const struct hd_slice named = hd_slice(name_key, n);
        if (hd_slice_eq(key, named) ||
            (!publisher->authenticated && hd_slice_eq(user_part(key), user_part(named))))
            return true;
    }
    return false;
}

static struct evt_verdict
pol_publish(void *policy, const struct evt_config *config, const struct evt_identity *publisher,
            struct hd_slice resource, const struct evt_package *package)
{
    (void)policy;
    if (publisher->key_len == 0)
        return verdict(EVT_DENY, 0);
    if (hd_slice_eq(identity_key(publisher), resource) ||
        is_among(config, publisher, package->publishers, package->n_publishers))
        return verdict(EVT_ALLOW, 0);
    const struct pol_question question = question_of(config, publisher, resource, package);
    const struct pol_rule *rule = pol_judge_publisher(&question);
    return rule ? verdict(EVT_ALLOW, rule->id) : verdict(EVT_DENY, 0);
}

static struct evt_verdict
pol_registration(void *policy, const struct evt_config *config, const struct evt_identity *user,
                 struct hd_slice resource)
{
    const struct evt_registrar *registrar = &config->registrar;

    (void)policy;
    /* RFC 3261 section 10.3 step 3: his own address, or an agent's any (third-party registration).
     */
    const bool may =
        user->key_len > 0 && (hd_slice_eq(identity_key(user), resource) ||
                              is_among(config, user, registrar->agents, registrar->n_agents));
    return verdict(may ? EVT_ALLOW : EVT_DENY, 0);
}

/* ---- transformations ---- */

static bool
ends_with(struct hd_slice s, struct hd_slice end)
{
    return s.n >= end.n && hd_slice_ieq(hd_slice_from(s, s.n - end.n), end);
}

/* What is left of a document; HD_ESYNTAX also for one whose type nobody can look into. */
static enum hd_err
reduce(const struct fmt_reduction *reduction, const struct evt_doc *doc, struct hd_str *out)
{
    struct sip_media media;

    if (sip_media_parse(doc->type, &media))
        return HD_ESYNTAX;
    if (hd_slice_ieq(media.subtype, HD_LIT("json")) || ends_with(media.subtype, HD_LIT("+json")))
        return fmt_reduce_json(reduction, doc->body, doc->body.n, out);
    if (hd_slice_ieq(media.subtype, HD_LIT("xml")) || ends_with(media.subtype, HD_LIT("+xml")))
        return fmt_reduce_xml(reduction, doc->body, doc->body.n, out);
    return HD_ESYNTAX;
}

static enum hd_err
pol_transform(void *policy, const struct evt_config *config, const struct evt_package *package,
              uint8_t number, struct evt_doc *doc, struct evt_doc **ret_doc)
{
    const struct pol_transform *transform =
        pol_book_transform_at(settings_of(config)->book, number);
    struct hd_str out = { 0 };
    enum hd_err err;

    (void)policy;
    (void)package;
    *ret_doc = NULL;
    if (!transform)
        return HD_OK; /* one that is gone: its watchers are judged anew */
    err = reduce(&transform->reduction, doc, &out);
    if (!err) {
        *ret_doc = evt_doc_new(doc->type, hd_str_slice(&out));
        err = *ret_doc ? HD_OK : HD_ENOMEM;
    }
    hd_str_done(&out);
    return err == HD_ENOMEM ? err : HD_OK;
}

const struct evt_policy_ops pol_ops = {
    .authenticate = pol_authenticate,
    .count = pol_count,
    .challenge = pol_challenge,
    .subscribe = pol_subscribe,
    .publish = pol_publish,
    .registration = pol_registration,
    .transform = pol_transform,
};

void
pol_user_make(struct hd_slice name, struct hd_slice realm, struct hd_slice password,
              uint64_t created_s, char ret_hex[SIP_DIGEST_COUNT][SIP_DIGEST_HEX],
              struct pol_user *ret_user)
{
    *ret_user = (struct pol_user){ .name = name, .realm = realm, .created_s = created_s };
    for (unsigned a = SIP_DIGEST_MD5; a < SIP_DIGEST_COUNT; a++) {
        size_t n;
        sip_digest_ha1((enum sip_digest_alg)a, name, realm, password, ret_hex[a], &n);
        ret_user->ha1[a] = hd_slice(ret_hex[a], n);
    }
}
