/* calls_policy.c - the calls of the admin socket about who may see what: rules, named lists, and
 * what the rules say. */
#include <stdlib.h>
#include <time.h>

#include "format/position.h"
#include "heraldd/calls_core.h"
#include "heraldd/calls_explain.h"
#include "policy/judge.h"
#include "policy/policy.h"

/* --- arguments ------------------------------------------------------------------------- */

static int
shown(struct hd_slice text)
{
    return (int)(text.n < 300 ? text.n : 300);
}

static enum hd_err
watcher_key(const struct hd_call *call, struct hd_slice text, struct hd_key *ret_key)
{
    const struct sip_served *served = &call->daemon->config->served;
    struct sip_uri uri;

    if (hd_slice_find(text, ':') == text.n)
        return pol_user_key(hd_call_book(call), text, served, ret_key->text, &ret_key->n);
    const enum hd_err err = sip_uri_parse(text, &uri);
    return err ? err : sip_identity_key(&uri, served, ret_key->text, &ret_key->n);
}

/* Words that mean many, and lists: as they are. */
static bool
is_word(struct hd_slice text)
{
    return hd_slice_eq(text, HD_LIT("*")) || hd_slice_eq(text, HD_LIT("authenticated")) ||
           hd_slice_eq(text, HD_LIT("anonymous")) || (text.n > 1 && text.p[0] == '@');
}

/* A watcher of a rule: a word, "@list", "sip:*@domain", or somebody, here or elsewhere. */
static bool
pattern_ok(const struct hd_call *call, const char *name, struct hd_slice text,
           struct hd_key *ret_key)
{
    enum hd_err err = HD_OK;

    if (is_word(text) && text.n <= sizeof(ret_key->text)) {
        memcpy(ret_key->text, text.p, text.n);
        ret_key->n = text.n;
    } else {
        err = watcher_key(call, text, ret_key);
    }
    if (!err)
        return true;
    hd_reply_error(call->reply,
                   "%s \"%.*s\" %s; expected a user name, sip:USER@DOMAIN, sip:*@DOMAIN, @LIST, "
                   "authenticated, anonymous or *",
                   name, shown(text), text.p ? text.p : "", hd_err_text(err));
    return false;
}

/* The resource of a rule: one, "sip:*@domain" or "*". */
static bool
place_ok(const struct hd_call *call, struct hd_key *ret_key)
{
    if (!hd_slice_eq(hd_call_arg(call, "resource"), HD_LIT("*")))
        return hd_call_resource(call, "resource", ret_key);
    ret_key->text[0] = '*';
    ret_key->n = 1;
    return true;
}

/* Whose subscriptions a rule of this place may change: one resource's, or empty: anybody's. */
static struct hd_slice
changed_by(struct hd_slice place)
{
    const bool one = !hd_slice_eq(place, HD_LIT("*")) && !hd_slice_starts(place, HD_LIT("sip:*@"));
    return one ? place : (struct hd_slice){ 0 };
}

static struct hd_slice
package_arg(const struct hd_call *call)
{
    struct hd_slice package = hd_call_arg(call, "package");

    return package.p ? package : HD_LIT("*");
}

static bool
package_ok(const struct hd_call *call, struct hd_slice package)
{
    if (hd_slice_eq(package, HD_LIT("*")) || evt_config_package(call->daemon->config, package))
        return true;
    hd_reply_error(call->reply, "there is no package %.*s", shown(package), package.p);
    return false;
}

/* Patterns of an array, in one block that the caller frees; false: answered. */
static bool
patterns_ok(const struct hd_call *call, const char *name, struct hd_key **ret_keys, size_t *ret_n)
{
    const json_t *array = json_object_get(call->args, name);
    const size_t n = json_array_size(array);
    struct hd_key *keys = calloc(n + 1, sizeof(*keys));

    if (!keys) {
        hd_reply_result(call->reply, NULL);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_array_get(array, i);
        const struct hd_slice text = hd_slice(json_string_value(value), json_string_length(value));
        if (!json_is_string(value))
            hd_reply_error(call->reply, "%s must be an array of strings", name);
        if (!json_is_string(value) || !pattern_ok(call, name, text, &keys[i])) {
            free(keys);
            return false;
        }
    }
    *ret_keys = keys;
    *ret_n = n;
    return true;
}

static struct hd_slice *
slices_of(const struct hd_key *keys, size_t n)
{
    struct hd_slice *slices = calloc(n + 1, sizeof(*slices));
    for (size_t i = 0; slices && i < n; i++)
        slices[i] = hd_key_slice(&keys[i]);
    return slices;
}

static bool
time_ok(const struct hd_call *call, const char *name, uint64_t *ret_s)
{
    const json_int_t s = json_integer_value(json_object_get(call->args, name));

    if (s < 0) {
        hd_reply_error(call->reply, "%s is out of range; expected seconds since 1970", name);
        return false;
    }
    *ret_s = (uint64_t)s;
    return true;
}

/* --- rules ----------------------------------------------------------------------------- */

static json_t *
proofs_json(uint8_t proofs)
{
    struct hd_slice words[EVT_PROOF_TOKEN + 1];
    size_t n = 0;

    for (unsigned proof = EVT_PROOF_FROM; proof <= EVT_PROOF_TOKEN; proof++)
        if (proofs & POL_PROOF(proof))
            words[n++] = evt_proof_word((enum evt_proof)proof);
    return hd_json_slices(words, n);
}

/* Ways of showing who one is, of an array; false: answered. */
static bool
proofs_ok(const struct hd_call *call, uint8_t *ret_proofs)
{
    const json_t *array = json_object_get(call->args, "proof");

    *ret_proofs = 0;
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *value = json_array_get(array, i);
        const struct hd_slice text = hd_slice(json_string_value(value), json_string_length(value));
        if (!json_is_string(value) || pol_proof_read(text, ret_proofs)) {
            hd_reply_error(call->reply,
                           "proof holds \"%.*s\"; expected digest, tls, token, asserted or from",
                           shown(text), text.p ? text.p : "");
            return false;
        }
    }
    return true;
}

static json_t *
rule_json(const struct pol_rule *rule)
{
    json_t *json = json_pack("{s:I, s:o, s:o, s:o, s:o}", "id", (json_int_t)rule->id, "resource",
                             hd_json_slice(rule->resource), "watcher", hd_json_slice(rule->watcher),
                             "package", hd_json_slice(rule->package), "action",
                             hd_json_slice(pol_action_word(rule->action)));
    bool ok = json != NULL;

    if (ok && rule->since_s)
        ok = json_object_set_new(json, "since_s", json_integer((json_int_t)rule->since_s)) == 0;
    if (ok && rule->from_s)
        ok = json_object_set_new(json, "from_s", json_integer((json_int_t)rule->from_s)) == 0;
    if (ok && rule->until_s)
        ok = json_object_set_new(json, "until_s", json_integer((json_int_t)rule->until_s)) == 0;
    if (ok && rule->n_except)
        ok = json_object_set_new(json, "except", hd_json_slices(rule->except, rule->n_except)) == 0;
    if (ok && rule->transform.n)
        ok = json_object_set_new(json, "transform", hd_json_slice(rule->transform)) == 0;
    if (ok && rule->proofs)
        ok = json_object_set_new(json, "proof", proofs_json(rule->proofs)) == 0;
    if (ok && rule->shadow)
        ok = json_object_set_new(json, "shadow", json_true()) == 0;
    if (ok && rule->hits)
        ok = json_object_set_new(json, "hits",
                                 json_integer((json_int_t)atomic_load_explicit(
                                     &rule->hits->n, memory_order_relaxed))) == 0;
    if (ok)
        return json;
    json_decref(json);
    return NULL;
}

static json_t *
rule_or_null(const struct pol_rule *rule)
{
    return rule ? rule_json(rule) : json_null();
}

/* Makes the book with the rule and answers. */
static void
rule_set(const struct hd_call *call, struct pol_rule *rule)
{
    struct pol_book *after = NULL;
    json_t *result = NULL, *json;
    const enum hd_err err = pol_book_with_rule(hd_call_book(call), rule, &rule->id, &after);

    if (err == HD_ENOMATCH) {
        hd_reply_error(call->reply, "there is no such list or transformation; policy-list-add and "
                                    "policy-transform-set make them");
        return;
    }
    if (err == HD_ESYNTAX) {
        hd_reply_error(call->reply,
                       "that rule cannot be: exceptions need a watcher that means many, a "
                       "transformation needs allow, and it has to begin before it ends");
        return;
    }
    if (!err) {
        json = rule_json(rule);
        result = json ? json_pack("{s:o}", "rule", json) : NULL;
    }
    hd_call_edit(call, err, after, changed_by(rule->resource), result);
}

static void
policy_set(const struct hd_call *call, enum pol_action action)
{
    struct hd_key resource, watcher, *excepts = NULL;
    struct hd_slice *except = NULL;
    struct pol_rule rule = { .package = package_arg(call),
                             .action = action,
                             .shadow = json_is_true(json_object_get(call->args, "shadow")),
                             .since_s = (uint64_t)time(NULL) };

    if (!place_ok(call, &resource) ||
        !pattern_ok(call, "watcher", hd_call_arg(call, "watcher"), &watcher) ||
        !package_ok(call, rule.package) || !time_ok(call, "from_s", &rule.from_s) ||
        !time_ok(call, "until_s", &rule.until_s) || !proofs_ok(call, &rule.proofs) ||
        !patterns_ok(call, "except", &excepts, &rule.n_except))
        return;
    except = slices_of(excepts, rule.n_except);
    rule.except = except;
    rule.resource = hd_key_slice(&resource);
    rule.watcher = hd_key_slice(&watcher);
    rule.transform = hd_call_arg(call, "transform");
    if (except)
        rule_set(call, &rule);
    else
        hd_reply_result(call->reply, NULL);
    free(except);
    free(excepts);
}

static void
call_policy_allow(const struct hd_call *call)
{
    policy_set(call, POL_ALLOW);
}

static void
call_policy_confirm(const struct hd_call *call)
{
    policy_set(call, POL_CONFIRM);
}

static void
call_policy_polite(const struct hd_call *call)
{
    policy_set(call, POL_POLITE);
}

static void
call_policy_block(const struct hd_call *call)
{
    policy_set(call, POL_BLOCK);
}

static void
call_policy_publish(const struct hd_call *call)
{
    policy_set(call, POL_PUBLISH);
}

static void
call_policy_remove(const struct hd_call *call)
{
    struct hd_key resource, watcher;
    struct pol_book *after = NULL;
    enum pol_kind kind = POL_KIND_ACTS;

    if (!place_ok(call, &resource) ||
        !pattern_ok(call, "watcher", hd_call_arg(call, "watcher"), &watcher))
        return;
    if (json_is_true(json_object_get(call->args, "publish")))
        kind = POL_KIND_PUBLISH;
    else if (json_is_true(json_object_get(call->args, "shadow")))
        kind = POL_KIND_SHADOW;
    const struct pol_rule *rule = pol_book_rule(hd_call_book(call), hd_key_slice(&resource),
                                                hd_key_slice(&watcher), package_arg(call), kind);
    if (!rule) {
        hd_reply_error(call->reply, "there is no such rule; policy-list shows those that are");
        return;
    }
    const enum hd_err err =
        pol_book_without_rule(hd_call_book(call), rule->resource, rule->id, &after);
    hd_call_edit(call, err, after, changed_by(hd_key_slice(&resource)), json_object());
}

static bool
show_rule(void *context, const struct pol_rule *rule)
{
    struct hd_rows *rows = context;

    hd_rows_add(rows, rule_json(rule));
    return !rows->failed;
}

static void
show_rules_at(struct hd_rows *rows, struct hd_slice place)
{
    size_t n;
    const struct pol_rule *rules = pol_book_rules(hd_call_book(rows->call), place, &n);

    for (size_t i = 0; i < n && show_rule(rows, &rules[i]); i++)
        continue;
}

/* Rules that speak of a resource: those of each address of whoever has it, those of its domain, and
 * those for all. */
static void
show_rules_of(struct hd_rows *rows, struct hd_slice resource)
{
    const struct pol_user *holder = pol_book_holder(hd_call_book(rows->call), resource);
    const struct hd_slice *addresses = holder ? holder->addresses : &resource;
    const size_t n = holder ? holder->n_addresses : 1, at = hd_slice_find(resource, '@');
    char domain[SIP_KEY_MAX + 8];

    for (size_t i = 0; i < n; i++)
        show_rules_at(rows, addresses[i]);
    const int len =
        snprintf(domain, sizeof(domain), "sip:*%.*s", (int)(resource.n - at), resource.p + at);
    const struct hd_slice pattern = hd_slice(domain, (size_t)len);
    if (at < resource.n && !hd_slice_eq(pattern, resource))
        show_rules_at(rows, pattern);
    if (!hd_slice_eq(resource, HD_LIT("*")))
        show_rules_at(rows, HD_LIT("*"));
}

static void
call_policy_list(const struct hd_call *call)
{
    struct hd_rows rows = { .call = call };
    const bool all = hd_call_arg(call, "resource").p == NULL;
    struct hd_key only;

    if (!all && !place_ok(call, &only))
        return;
    rows.rows = json_array();
    if (rows.rows && all)
        pol_book_each_rule(hd_call_book(call), show_rule, &rows);
    else if (rows.rows)
        show_rules_of(&rows, hd_key_slice(&only));
    hd_rows_answer(call, &rows, "rules");
}

/* --- named lists ----------------------------------------------------------------------- */

/* The members of a list with, or without, others; the caller frees the array. */
static struct hd_slice *
members_change(const struct pol_list *before, const struct hd_key *keys, size_t n, bool add,
               size_t *ret_n)
{
    const size_t n_before = before ? before->n : 0;
    struct hd_slice *members = calloc(n_before + n + 1, sizeof(*members));
    size_t k = 0;

    for (size_t i = 0; members && i < n_before; i++) {
        bool among = false;
        for (size_t j = 0; j < n && !among; j++)
            among = hd_slice_eq(before->members[i], hd_key_slice(&keys[j]));
        if (!among)
            members[k++] = before->members[i];
    }
    for (size_t j = 0; members && add && j < n; j++)
        members[k++] = hd_key_slice(&keys[j]);
    *ret_n = k;
    return members;
}

static bool
members_ok(const struct hd_call *call, struct hd_key **ret_keys, size_t *ret_n)
{
    if (!patterns_ok(call, "members", ret_keys, ret_n))
        return false;
    for (size_t i = 0; i < *ret_n; i++) {
        if (!is_word(hd_key_slice(&(*ret_keys)[i])))
            continue;
        hd_reply_error(call->reply,
                       "a list has people in it; expected user names, sip:USER@DOMAIN or "
                       "sip:*@DOMAIN");
        free(*ret_keys);
        return false;
    }
    return true;
}

static void
list_change(const struct hd_call *call, bool add)
{
    struct pol_list list = { .name = hd_call_arg(call, "name") };
    const struct pol_list *before = pol_book_list(hd_call_book(call), list.name);
    struct pol_book *after = NULL;
    struct hd_key *keys;
    size_t n;

    if (!before && !add) {
        hd_reply_error(call->reply, "there is no list %.*s", shown(list.name), list.name.p);
        return;
    }
    if (!pol_word_ok(list.name)) {
        hd_reply_error(call->reply,
                       "that name cannot be; expected 1 to %d letters, digits, '-', '_' and '.'",
                       POL_WORD_MAX);
        return;
    }
    if (!members_ok(call, &keys, &n))
        return;
    struct hd_slice *members = members_change(before, keys, n, add, &list.n);
    list.members = members;
    const enum hd_err err =
        members ? pol_book_with_list(hd_call_book(call), &list, &after) : HD_ENOMEM;
    const struct pol_list *now = after ? pol_book_list(after, list.name) : NULL;
    hd_call_edit(call, err, after, (struct hd_slice){ 0 },
                 json_pack("{s:o, s:I}", "name", hd_json_slice(list.name), "members",
                           (json_int_t)(now ? now->n : 0)));
    free(members);
    free(keys);
}

static void
call_list_add(const struct hd_call *call)
{
    list_change(call, true);
}

static void
list_remove(const struct hd_call *call, struct hd_slice name)
{
    struct pol_book *after = NULL;
    const enum hd_err err = pol_book_without_list(hd_call_book(call), name, &after);

    if (err == HD_ENOMATCH)
        hd_reply_error(call->reply, "there is no list %.*s", shown(name), name.p);
    else if (err == HD_EBUSY)
        hd_reply_error(call->reply, "rules use the list %.*s; policy-list shows them", shown(name),
                       name.p);
    else
        hd_call_edit(
            call, err, after, (struct hd_slice){ 0 },
            json_pack("{s:o, s:I}", "name", hd_json_slice(name), "members", (json_int_t)0));
}

static void
call_list_remove(const struct hd_call *call)
{
    if (json_array_size(json_object_get(call->args, "members")) > 0)
        list_change(call, false);
    else
        list_remove(call, hd_call_arg(call, "name"));
}

static bool
show_list(void *context, const struct pol_list *list)
{
    struct hd_rows *rows = context;

    if (rows->only.n == 0 || hd_slice_eq(rows->only, list->name))
        hd_rows_add(rows, json_pack("{s:o, s:I, s:o}", "name", hd_json_slice(list->name), "size",
                                    (json_int_t)list->n, "members",
                                    hd_json_slices(list->members, list->n)));
    return !rows->failed;
}

static void
call_list_show(const struct hd_call *call)
{
    struct hd_rows rows = { .call = call, .only = hd_call_arg(call, "name") };

    if (rows.only.n > 0 && !pol_book_list(hd_call_book(call), rows.only)) {
        hd_reply_error(call->reply, "there is no list %.*s", shown(rows.only), rows.only.p);
        return;
    }
    rows.rows = json_array();
    if (rows.rows)
        pol_book_each_list(hd_call_book(call), show_list, &rows);
    hd_rows_answer(call, &rows, "lists");
}

/* --- transformations ------------------------------------------------------------------- */

/* An array of strings, borrowed from the call; false: answered. */
static bool
strings_ok(const struct hd_call *call, const char *name, struct hd_slice *slices, size_t most,
           size_t *ret_n)
{
    const json_t *array = json_object_get(call->args, name), *value;
    size_t i;

    *ret_n = 0;
    json_array_foreach(array, i, value)
    {
        if (!json_is_string(value) || *ret_n == most) {
            hd_reply_error(call->reply, "%s must be an array of at most %zu strings", name, most);
            return false;
        }
        slices[(*ret_n)++] = hd_slice(json_string_value(value), json_string_length(value));
    }
    return true;
}

static json_t *
transform_json(const struct pol_transform *transform)
{
    const struct fmt_reduction *r = &transform->reduction;
    json_t *json =
        json_pack("{s:o, s:o, s:o, s:o}", "name", hd_json_slice(transform->name), "hide",
                  hd_json_slices(r->hide, r->n_hide), "only", hd_json_slices(r->only, r->n_only),
                  "provide", hd_json_slices(r->provide, r->n_provide));
    bool ok = json != NULL;

    if (ok && r->circle_m)
        ok = json_object_set_new(json, "circle_m", json_integer(r->circle_m)) == 0 &&
             json_object_set_new(json, "civic", hd_json_slice(fmt_civic_word(r->civic))) == 0;
    if (ok)
        return json;
    json_decref(json);
    return NULL;
}

static void
transform_set(const struct hd_call *call, const struct pol_transform *transform)
{
    struct pol_book *after = NULL;
    const enum hd_err err = pol_book_with_transform(hd_call_book(call), transform, &after);

    if (err == HD_ESYNTAX)
        hd_reply_error(
            call->reply,
            "that transformation cannot be: a path is /a/b, //a or /a/*/@b, a permission "
            "one of RFC 5025, a circle has %u to %u metres, and something has to be said",
            FMT_CIRCLE_LEAST_M, FMT_CIRCLE_MOST_M);
    else
        hd_call_edit(call, err, after, (struct hd_slice){ 0 }, transform_json(transform));
}

static void
call_transform_set(const struct hd_call *call)
{
    struct hd_slice hide[FMT_PATHS_MAX], only[FMT_PATHS_MAX], provide[FMT_PROVIDES_MAX];
    const struct hd_slice civic = hd_call_arg(call, "civic");
    const json_int_t circle_m = json_integer_value(json_object_get(call->args, "circle_m"));
    struct pol_transform transform = { .name = hd_call_arg(call, "name") };
    struct fmt_reduction *r = &transform.reduction;

    if (!strings_ok(call, "hide", hide, HD_ARRAY_LEN(hide), &r->n_hide) ||
        !strings_ok(call, "only", only, HD_ARRAY_LEN(only), &r->n_only) ||
        !strings_ok(call, "provide", provide, HD_ARRAY_LEN(provide), &r->n_provide))
        return;
    if (civic.p && fmt_civic_read(civic, &r->civic)) {
        hd_reply_error(call->reply,
                       "civic: expected none, country, region, city, building or full");
        return;
    }
    r->hide = hide;
    r->only = only;
    r->provide = provide;
    /* What does not fit is no radius either. */
    r->circle_m = circle_m >= 0 && circle_m <= FMT_CIRCLE_MOST_M ? (uint32_t)circle_m : 1;
    transform_set(call, &transform);
}

static void
call_transform_remove(const struct hd_call *call)
{
    const struct hd_slice name = hd_call_arg(call, "name");
    struct pol_book *after = NULL;
    const enum hd_err err = pol_book_without_transform(hd_call_book(call), name, &after);

    if (err == HD_ENOMATCH)
        hd_reply_error(call->reply, "there is no transformation %.*s", shown(name), name.p);
    else if (err == HD_EBUSY)
        hd_reply_error(call->reply, "rules use the transformation %.*s; policy-list shows them",
                       shown(name), name.p);
    else
        hd_call_edit(call, err, after, (struct hd_slice){ 0 },
                     json_pack("{s:o}", "name", hd_json_slice(name)));
}

static bool
show_transform(void *context, const struct pol_transform *transform)
{
    struct hd_rows *rows = context;

    hd_rows_add(rows, transform_json(transform));
    return !rows->failed;
}

static void
call_transform_show(const struct hd_call *call)
{
    struct hd_rows rows = { .call = call, .rows = json_array() };

    if (rows.rows)
        pol_book_each_transform(hd_call_book(call), show_transform, &rows);
    hd_rows_answer(call, &rows, "transforms");
}

/* --- what the rules say ---------------------------------------------------------------- */

static const char *
decision_word(enum evt_decision decision)
{
    switch (decision) {
    case EVT_ALLOW:
        return "allow";
    case EVT_CONFIRM:
        return "confirm";
    case EVT_POLITE:
        return "polite-block";
    case EVT_OWN:
        return "own-entry";
    case EVT_DENY:
        break;
    }
    return "block";
}

/* What else grants in the same place. */
static json_t *
others_json(const struct pol_judgement *j)
{
    json_t *others = json_array();

    for (size_t i = 0; others && i < j->n_others; i++)
        if (json_array_append_new(others, rule_json(j->others[i])) != 0) {
            json_decref(others);
            others = NULL;
        }
    return others;
}

static json_t *
judgement_json(const struct pol_question *q, const struct pol_judgement *j)
{
    static const char *const by[] = { "", "owner", "deny-list", "rules", "package" };
    json_t *json =
        json_pack("{s:o, s:s, s:s, s:o, s:o, s:s, s:o, s:o}", "package",
                  hd_json_slice(q->package->name), "decision", decision_word(j->verdict.decision),
                  "by", by[j->by], "rule", rule_or_null(j->rule), "deny", rule_or_null(j->deny),
                  "granted", decision_word(j->granted.decision), "grant", rule_or_null(j->grant),
                  "others", others_json(j));
    if (json && j->shadow &&
        json_object_set_new(json, "shadow",
                            json_pack("{s:s, s:o}", "decision",
                                      decision_word(j->with_shadow.decision), "rule",
                                      rule_or_null(j->shadow))) != 0) {
        json_decref(json);
        return NULL;
    }
    return json;
}

struct asked {
    struct hd_key watcher, resource;
    struct hd_slice package; /* empty: all */
    enum evt_proof proof;
};

/* Who, what, and in which package; false: answered. */
static bool
asked_ok(const struct hd_call *call, struct asked *ret_asked)
{
    const struct hd_slice watcher = hd_call_arg(call, "watcher");
    const json_t *authenticated = json_object_get(call->args, "authenticated");
    enum hd_err err = is_word(watcher) ? HD_ESYNTAX /* many are nobody */
                                       : watcher_key(call, watcher, &ret_asked->watcher);

    if (!err && hd_slice_starts(hd_key_slice(&ret_asked->watcher), HD_LIT("sip:*@")))
        err = HD_ESYNTAX;
    if (err) {
        hd_reply_error(call->reply, "watcher \"%.*s\" %s; expected a user name or sip:USER@DOMAIN",
                       shown(watcher), watcher.p, hd_err_text(err));
        return false;
    }
    ret_asked->package = hd_call_arg(call, "package");
    ret_asked->proof =
        !authenticated || json_is_true(authenticated) ? EVT_PROOF_DIGEST : EVT_PROOF_FROM;
    if (json_object_get(call->args, "proof")) {
        uint8_t proofs;
        if (!proofs_ok(call, &proofs))
            return false;
        for (unsigned proof = EVT_PROOF_FROM; proof <= EVT_PROOF_TOKEN; proof++)
            if (proofs & POL_PROOF(proof))
                ret_asked->proof = (enum evt_proof)proof;
    }
    /* Whoever has the address is himself by all of his. */
    const struct hd_slice primary =
        pol_book_primary(hd_call_book(call), hd_key_slice(&ret_asked->watcher));
    memmove(ret_asked->watcher.text, primary.p, primary.n);
    ret_asked->watcher.n = primary.n;
    return hd_call_resource(call, "resource", &ret_asked->resource) &&
           (ret_asked->package.n == 0 || package_ok(call, ret_asked->package));
}

/* What the rules say in each of the packages that were asked for; NULL: memory is short. */
static json_t *
judge_all(const struct hd_call *call, const struct asked *asked)
{
    const struct evt_config *config = call->daemon->config;
    const struct pol_settings *settings = config->policy;
    json_t *rows = json_array();

    for (size_t i = 0; rows && i < config->n_packages; i++) {
        const struct pol_question q = { .book = settings->book,
                                        .watcher = hd_key_slice(&asked->watcher),
                                        .resource = hd_key_slice(&asked->resource),
                                        .package = config->packages[i],
                                        .now_s = settings->now_s,
                                        .proof = asked->proof };
        if (asked->package.n && !hd_slice_eq(asked->package, q.package->name))
            continue;
        const struct pol_judgement judgement = pol_judge(&q);
        json_t *row = judgement_json(&q, &judgement);
        if (!row || json_array_append_new(rows, row) != 0) {
            json_decref(rows);
            rows = NULL;
        }
    }
    return rows;
}

static void
call_policy_test(const struct hd_call *call)
{
    struct asked asked;
    json_t *rows;

    if (!asked_ok(call, &asked))
        return;
    rows = judge_all(call, &asked);
    hd_reply_result(call->reply,
                    rows ? json_pack("{s:o, s:o, s:b, s:o}", "watcher",
                                     hd_json_slice(hd_key_slice(&asked.watcher)), "resource",
                                     hd_json_slice(hd_key_slice(&asked.resource)), "authenticated",
                                     asked.proof > EVT_PROOF_FROM, "answers", rows)
                         : NULL);
}

/* --- explaining ------------------------------------------------------------------------ */

#define EXPLAINED_MOST 100000u /* subscriptions of one resource that are looked through */

struct explained {
    struct hd_reply *reply;
    json_t *result;
    struct hd_key watcher, resource;
    char package[EVT_PACKAGE_NAME_MAX]; /* empty: all */
    size_t package_n;
    int64_t wall_us; /* to be added to the shards' clock */
    bool looks;      /* see struct hd_call */
    unsigned shards;
    struct {
        json_t *rows;         /* the subscriptions of a shard; NULL: memory was short */
        struct hd_str absent; /* it has none: why, as far as it knows */
        uint64_t absent_us;   /* and since when */
    } parts[];
};

struct explained_part {
    const struct explained *explained;
    json_t **rows;
    struct evt_shard *evt;
    uint64_t now_us;
};

static void
visit_explained(void *context, const struct evt_sub_row *row)
{
    const struct explained_part *part = context;
    const struct explained *e = part->explained;
    json_t *json;

    if (!*part->rows || !hd_slice_eq(row->watcher, hd_key_slice(&e->watcher)) ||
        (e->package_n && !hd_slice_eq(row->package, hd_slice(e->package, e->package_n))))
        return;
    json = json_pack("{s:o, s:s, s:s, s:I, s:o, s:o, s:i}", "package", hd_json_slice(row->package),
                     "state", row->state, "health", row->health, "expires_s",
                     (json_int_t)row->expires_s, "proof", hd_json_slice(row->proof), "remote",
                     hd_json_addr(&row->flow.remote), "shard", (int)row->shard);
    if (json && !hd_explain_sub(part->evt, row, part->now_us, e->wall_us, e->looks, json)) {
        json_decref(json);
        json = NULL;
    }
    if (json && json_array_append_new(*part->rows, json) == 0)
        return;
    json_decref(*part->rows);
    *part->rows = NULL;
}

static void
run_explained(void *context, unsigned shard, struct evt_shard *evt, struct net_shard *net,
              uint64_t now_us)
{
    struct explained *e = context;
    struct explained_part part = { e, &e->parts[shard].rows, evt, now_us };

    (void)net;
    e->parts[shard].rows = json_array();
    evt_shard_list_subs(evt, hd_key_slice(&e->resource), EXPLAINED_MOST, now_us, visit_explained,
                        &part);
    if (json_array_size(*part.rows) == 0)
        e->parts[shard].absent_us =
            hd_explain_absent(evt, hd_key_slice(&e->watcher), hd_key_slice(&e->resource),
                              hd_slice(e->package, e->package_n), now_us, &e->parts[shard].absent);
}

/* Of who has no subscription anywhere: what is known of it, the newest. */
static bool
set_absent(struct explained *e)
{
    const struct hd_str *newest = NULL;
    uint64_t at_us = 0;

    for (unsigned i = 0; i < e->shards; i++)
        if (e->parts[i].absent_us > at_us) {
            at_us = e->parts[i].absent_us;
            newest = &e->parts[i].absent;
        }
    if (!newest)
        return true;
    return !newest->err &&
           json_object_set_new(e->result, "sentence", hd_json_slice(hd_str_slice(newest))) == 0;
}

static void
finish_explained(void *context)
{
    struct explained *e = context;
    json_t *subs = json_array();
    bool ok = subs != NULL;

    for (unsigned i = 0; i < e->shards; i++) {
        ok = ok && e->parts[i].rows && json_array_extend(subs, e->parts[i].rows) == 0;
        json_decref(e->parts[i].rows);
    }
    if (ok && json_array_size(subs) == 0)
        ok = set_absent(e);
    for (unsigned i = 0; i < e->shards; i++)
        hd_str_done(&e->parts[i].absent);
    ok = ok && json_object_set(e->result, "subscriptions", subs) == 0;
    json_decref(subs);
    if (!ok) {
        json_decref(e->result);
        e->result = NULL;
    }
    hd_reply_result(e->reply, e->result);
    free(e);
}

static const struct hd_sweep_ops explained_ops = { run_explained, finish_explained };

/* What the rules say, and what he has. */
static void
call_explain(const struct hd_call *call)
{
    const unsigned shards = hd_host_shards(call->daemon->host);
    struct explained *e;
    struct asked asked;
    json_t *rows;

    if (!asked_ok(call, &asked))
        return;
    e = calloc(1, sizeof(*e) + shards * sizeof(e->parts[0]));
    rows = e ? judge_all(call, &asked) : NULL;
    if (rows)
        e->result =
            json_pack("{s:o, s:o, s:o}", "watcher", hd_json_slice(hd_key_slice(&asked.watcher)),
                      "resource", hd_json_slice(hd_key_slice(&asked.resource)), "answers", rows);
    if (!e || !e->result) {
        free(e);
        hd_reply_result(call->reply, NULL);
        return;
    }
    e->reply = call->reply;
    e->shards = shards;
    e->wall_us = hd_wall_offset_us();
    e->looks = call->looks;
    e->watcher = asked.watcher;
    e->resource = asked.resource;
    e->package_n = asked.package.n;
    if (e->package_n) /* one that is there, so that it fits */
        memcpy(e->package, asked.package.p, asked.package.n);
    if (call->daemon->phase == HD_PHASE_ENDED ||
        hd_host_sweep(call->daemon->host, &explained_ops, e)) {
        hd_reply_error(call->reply, "the daemon is about to end");
        json_decref(e->result);
        free(e);
    }
}

/* --- the table ------------------------------------------------------------------------- */

#define RULE_ARGS                                                                                  \
    {                                                                                              \
        { "resource", JSON_STRING, true }, { "watcher", JSON_STRING, true },                       \
            { "package", JSON_STRING, false }, { "from_s", JSON_INTEGER, false },                  \
            { "until_s", JSON_INTEGER, false }, { "except", JSON_ARRAY, false },                   \
            { "transform", JSON_STRING, false }, { "proof", JSON_ARRAY, false },                   \
        {                                                                                          \
            "shadow", JSON_TRUE, false                                                             \
        }                                                                                          \
    }

static const struct hd_call_row table[] = {
    { "policy-allow", call_policy_allow, RULE_ARGS },
    { "policy-confirm", call_policy_confirm, RULE_ARGS },
    { "policy-polite", call_policy_polite, RULE_ARGS },
    { "policy-block", call_policy_block, RULE_ARGS },
    { "policy-publish", call_policy_publish, RULE_ARGS },
    { "policy-remove",
      call_policy_remove,
      { { "resource", JSON_STRING, true },
        { "watcher", JSON_STRING, true },
        { "package", JSON_STRING, false },
        { "shadow", JSON_TRUE, false },
        { "publish", JSON_TRUE, false } } },
    { "policy-list", call_policy_list, { { "resource", JSON_STRING, false } } },
    { "policy-test",
      call_policy_test,
      { { "watcher", JSON_STRING, true },
        { "resource", JSON_STRING, true },
        { "package", JSON_STRING, false },
        { "authenticated", JSON_TRUE, false },
        { "proof", JSON_ARRAY, false } } },
    { "explain",
      call_explain,
      { { "watcher", JSON_STRING, true },
        { "resource", JSON_STRING, true },
        { "package", JSON_STRING, false },
        { "authenticated", JSON_TRUE, false },
        { "proof", JSON_ARRAY, false } } },
    { "policy-list-add",
      call_list_add,
      { { "name", JSON_STRING, true }, { "members", JSON_ARRAY, false } } },
    { "policy-list-remove",
      call_list_remove,
      { { "name", JSON_STRING, true }, { "members", JSON_ARRAY, false } } },
    { "policy-transform-set",
      call_transform_set,
      { { "name", JSON_STRING, true },
        { "hide", JSON_ARRAY, false },
        { "only", JSON_ARRAY, false },
        { "provide", JSON_ARRAY, false },
        { "circle_m", JSON_INTEGER, false },
        { "civic", JSON_STRING, false } } },
    { "policy-transform-remove", call_transform_remove, { { "name", JSON_STRING, true } } },
    { "policy-transform-show", call_transform_show, { { NULL, JSON_NULL, false } } },
    { "policy-list-show", call_list_show, { { "name", JSON_STRING, false } } },
};

const struct hd_call_row *
hd_calls_policy(size_t *ret_n)
{
    *ret_n = HD_ARRAY_LEN(table);
    return table;
}
