/* policy.c - may he: the core's questions about subscriptions, publications and registrations, and
 * what a transformation leaves of a document.
 *
 * Invariant: identities and resources are compared in their canonical form and in no other. */
#include "policy/policy.h"

#include <stdlib.h>

#include "policy/authenticate.h"
#include "policy/judge.h"
#include "sip/header.h"

static const struct pol_settings *
settings_of(const struct evt_config *config)
{
    HD_ASSERT_OBJ(config, EVT_CONFIG_MAGIC);
    HD_ASSERT(config->policy);
    return config->policy;
}

static struct hd_slice
identity_key(const struct evt_identity *identity)
{
    return hd_slice(identity->key, identity->key_len);
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
                                  .proof = (enum evt_proof)who->proof };
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
        if (pol_user_key(settings_of(config)->book, names[i], &config->served, name_key, &n))
            continue;
        const struct hd_slice named = hd_slice(name_key, n);
        if (hd_slice_eq(key, named) ||
            (!publisher->authenticated && hd_slice_eq(user_part(key), user_part(named))))
            return true;
    }
    return false;
}

static bool
slices_hold(const struct hd_slice *slices, size_t n, struct hd_slice one)
{
    for (size_t i = 0; i < n; i++)
        if (hd_slice_eq(slices[i], one))
            return true;
    return false;
}

/* "sip:*@domain" holds everyone of that domain. */
static bool
pattern_holds(struct hd_slice pattern, struct hd_slice key)
{
    const struct hd_slice everyone = HD_LIT("sip:*@");

    if (!hd_slice_starts(pattern, everyone))
        return hd_slice_eq(pattern, key);
    return hd_slice_eq(hd_slice_from(pattern, everyone.n - 1),
                       hd_slice_from(key, hd_slice_find(key, '@')));
}

/* Whether the configuration gives him the right. */
static bool
configured_may_publish(const struct evt_config *config, const struct evt_identity *publisher,
                       struct hd_slice resource, const struct evt_package *package)
{
    for (size_t i = 0; i < config->n_rights; i++) {
        const struct evt_right *right = &config->rights[i];
        if (pattern_holds(right->resource, resource) &&
            (right->n_packages == 0 ||
             slices_hold(right->packages, right->n_packages, package->name)) &&
            is_among(config, publisher, right->publishers, right->n_publishers))
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
    if (pol_same_user(settings_of(config)->book, identity_key(publisher), resource) ||
        is_among(config, publisher, package->publishers, package->n_publishers))
        return verdict(EVT_ALLOW, 0);
    if (configured_may_publish(config, publisher, resource, package))
        return verdict(EVT_ALLOW, 0);
    const struct pol_question question = question_of(config, publisher, resource, package);
    const struct pol_rule *rule = pol_judge_publisher(&question);
    return rule ? verdict(EVT_ALLOW, rule->id) : verdict(EVT_DENY, 0);
}

/* Who was not authenticated has nothing but his word, which is forged as easily as the header. */
static bool
pol_priority(void *policy, const struct evt_config *config, const struct evt_identity *user,
             const struct hd_flow *flow, struct hd_slice peer, const struct evt_priority *of)
{
    (void)policy;
    if (of->trusted && pol_hop_is_trusted(config, flow, peer))
        return true;
    return user->authenticated && is_among(config, user, of->users, of->n_users);
}

static struct evt_verdict
pol_registration(void *policy, const struct evt_config *config, const struct evt_identity *user,
                 struct hd_slice resource)
{
    const struct evt_registrar *registrar = &config->registrar;

    (void)policy;
    /* RFC 3261 section 10.3 step 3: his own address, or an agent's any (third-party registration).
     */
    const bool may = user->key_len > 0 &&
                     (pol_same_user(settings_of(config)->book, identity_key(user), resource) ||
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
    .priority = pol_priority,
    .registration = pol_registration,
    .transform = pol_transform,
};
