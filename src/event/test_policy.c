/* test_policy.c - the policy of the tests' host: identities that anybody may claim, and a table of
 * rules. */
#include "event/test_check.h"

static enum evt_auth
policy_authenticate(void *policy, const struct evt_config *config, const struct sip_msg *request,
                    const struct hd_flow *flow, struct hd_slice peer, uint64_t now_us,
                    struct evt_auth_result *ret)
{
    struct host *host = ((struct host_seat *)policy)->host;
    struct hd_slice value = sip_msg_value(request, SIP_HDR_AUTHORIZATION), uri = request->from.uri;

    (void)config;
    (void)flow;
    (void)peer;
    (void)now_us;
    if (host->needs_digest && !value.p)
        return EVT_AUTH_CHALLENGE;
    if (uri.n > 255) {
        ret->reason = "From Too Long";
        return EVT_AUTH_BAD;
    }
    if (uri.n)
        memcpy(ret->identity.key, uri.p, uri.n);
    ret->identity.key_len = (uint8_t)uri.n;
    ret->identity.authenticated = !host->anonymous;
    ret->identity.proven = !host->unproven;
    if (host->counts && value.p) {
        ret->has_count = true;
        ret->nonce_id = host->nonce_id;
        if (hd_slice_to_u32(value, &ret->nc))
            return EVT_AUTH_WRONG;
    }
    return EVT_AUTH_OK;
}

static bool
policy_count(void *policy, uint64_t nonce_id, uint32_t nc, uint64_t now_us)
{
    struct host_seat *seat = policy;
    struct host *host = seat->host;

    (void)now_us;
    CHECK(hd_bucket_shard(hd_id_bucket(nonce_id), host->n) == seat->index);
    for (unsigned i = 0; i < host->n_counts; i++)
        if (host->seen_counts[i] == nc)
            return false;
    if (host->n_counts < HD_ARRAY_LEN(host->seen_counts))
        host->seen_counts[host->n_counts++] = nc;
    return true;
}

static void
policy_challenge(void *policy, const struct evt_config *config, const struct sip_msg *request,
                 const struct hd_flow *flow, uint64_t now_us, bool stale, struct sip_out *out)
{
    (void)policy;
    (void)config;
    (void)request;
    (void)flow;
    (void)now_us;
    sip_out_lit(out, "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"");
    if (stale)
        sip_out_lit(out, ", stale=true");
    sip_out_crlf(out);
}

struct evt_verdict
host_judge(const struct host *host, const struct evt_identity *who, struct hd_slice resource,
           struct hd_slice package)
{
    struct hd_slice user = hd_slice(who->key, who->key_len);

    for (unsigned i = 0; i < host->n_rules; i++) {
        const struct host_rule *rule = &host->rules[i];
        if ((!rule->user || hd_slice_eq(user, hd_slice_str(rule->user))) &&
            (!rule->resource || hd_slice_eq(resource, hd_slice_str(rule->resource))) &&
            (!rule->package || hd_slice_eq(package, hd_slice_str(rule->package))))
            return (struct evt_verdict){ .decision = rule->decision, .rule = i + 1 };
    }
    return (struct evt_verdict){ .decision = EVT_ALLOW };
}

static struct evt_verdict
policy_subscribe(void *policy, const struct evt_config *config, const struct evt_identity *watcher,
                 struct hd_slice resource, const struct evt_package *package)
{
    struct host *host = ((struct host_seat *)policy)->host;

    (void)config;
    host->asked++;
    return host_judge(host, watcher, resource, package->name);
}

static struct evt_verdict
policy_publish(void *policy, const struct evt_config *config, const struct evt_identity *publisher,
               struct hd_slice resource, const struct evt_package *package)
{
    (void)config;
    return host_judge(((struct host_seat *)policy)->host, publisher, resource, package->name);
}

static bool
policy_priority(void *policy, const struct evt_config *config, const struct evt_identity *user,
                const struct hd_flow *flow, struct hd_slice peer, const struct evt_priority *of)
{
    (void)policy;
    (void)peer;
    if (of->trusted && evt_listener_trusts(config, flow))
        return true;
    for (size_t i = 0; i < of->n_users; i++)
        if (user->authenticated && hd_slice_eq(of->users[i], hd_slice(user->key, user->key_len)))
            return true;
    return false;
}

static struct evt_verdict
policy_registration(void *policy, const struct evt_config *config, const struct evt_identity *user,
                    struct hd_slice resource)
{
    (void)config;
    return host_judge(((struct host_seat *)policy)->host, user, resource, HD_LIT(""));
}

/* What stands behind the first blank of a document goes. */
static enum hd_err
policy_transform(void *policy, const struct evt_config *config, const struct evt_package *package,
                 uint8_t transform, struct evt_doc *doc, struct evt_doc **ret_doc)
{
    struct host *host = ((struct host_seat *)policy)->host;
    (void)config;
    (void)package;
    (void)transform;
    host->transforms++;
    *ret_doc = evt_doc_new(doc->type, hd_slice(doc->body.p, hd_slice_find(doc->body, ' ')));
    return *ret_doc ? HD_OK : HD_ENOMEM;
}

const struct evt_policy_ops host_policy_ops = {
    .authenticate = policy_authenticate,
    .count = policy_count,
    .challenge = policy_challenge,
    .subscribe = policy_subscribe,
    .publish = policy_publish,
    .priority = policy_priority,
    .registration = policy_registration,
    .transform = policy_transform,
};
