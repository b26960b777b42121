/* calls_policy.c - the calls of the admin socket about who may see what: rules and named lists.
 * What the rules say of somebody is asked in calls_judge.c, what a rule shows of a document is said
 * in calls_transform.c. */
#include "heraldd/calls_policy.h"

#include <stdlib.h>
#include <time.h>

#include "policy/policy.h"

/* --- arguments ------------------------------------------------------------------------- */

enum hd_err
hd_policy_watcher_key(const struct hd_call *call, struct hd_slice text, struct hd_key *ret_key)
{
    const struct sip_served *served = &call->daemon->config->served;
    struct sip_uri uri;

    if (hd_slice_find(text, ':') == text.n)
        return pol_user_key(hd_call_book(call), text, served, ret_key->text, &ret_key->n);
    const enum hd_err err = sip_uri_parse(text, &uri);
    return err ? err : sip_identity_key(&uri, served, ret_key->text, &ret_key->n);
}

/* Words that mean many, and lists: as they are. */
bool
hd_policy_is_word(struct hd_slice text)
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

    if (hd_policy_is_word(text) && text.n <= sizeof(ret_key->text)) {
        memcpy(ret_key->text, text.p, text.n);
        ret_key->n = text.n;
    } else {
        err = hd_policy_watcher_key(call, text, ret_key);
    }
    if (!err)
        return true;
    hd_reply_error(call->reply,
                   "%s \"%.*s\" %s; expected a user name, sip:USER@DOMAIN, sip:*@DOMAIN, @LIST, "
                   "authenticated, anonymous or *",
                   name, hd_call_shown(text), text.p ? text.p : "", hd_err_text(err));
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

bool
hd_policy_package_ok(const struct hd_call *call, struct hd_slice package)
{
    if (hd_slice_eq(package, HD_LIT("*")) || evt_config_package(call->daemon->config, package))
        return true;
    hd_reply_error(call->reply, "there is no package %.*s", hd_call_shown(package), package.p);
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
bool
hd_policy_proofs_ok(const struct hd_call *call, uint8_t *ret_proofs)
{
    const json_t *array = json_object_get(call->args, "proof");

    *ret_proofs = 0;
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *value = json_array_get(array, i);
        const struct hd_slice text = hd_slice(json_string_value(value), json_string_length(value));
        if (!json_is_string(value) || pol_proof_read(text, ret_proofs)) {
            hd_reply_error(call->reply,
                           "proof holds \"%.*s\"; expected digest, tls, token, asserted or from",
                           hd_call_shown(text), text.p ? text.p : "");
            return false;
        }
    }
    return true;
}

json_t *
hd_policy_rule_json(const struct pol_rule *rule)
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

json_t *
hd_policy_rule_or_null(const struct pol_rule *rule)
{
    return rule ? hd_policy_rule_json(rule) : json_null();
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
        json = hd_policy_rule_json(rule);
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
        !hd_policy_package_ok(call, rule.package) || !time_ok(call, "from_s", &rule.from_s) ||
        !time_ok(call, "until_s", &rule.until_s) || !hd_policy_proofs_ok(call, &rule.proofs) ||
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

    hd_rows_add(rows, hd_policy_rule_json(rule));
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
        if (!hd_policy_is_word(hd_key_slice(&(*ret_keys)[i])))
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
        hd_reply_error(call->reply, "there is no list %.*s", hd_call_shown(list.name), list.name.p);
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
        hd_reply_error(call->reply, "there is no list %.*s", hd_call_shown(name), name.p);
    else if (err == HD_EBUSY)
        hd_reply_error(call->reply, "rules use the list %.*s; policy-list shows them",
                       hd_call_shown(name), name.p);
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
        hd_reply_error(call->reply, "there is no list %.*s", hd_call_shown(rows.only), rows.only.p);
        return;
    }
    rows.rows = json_array();
    if (rows.rows)
        pol_book_each_list(hd_call_book(call), show_list, &rows);
    hd_rows_answer(call, &rows, "lists");
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
    { "policy-list-add",
      call_list_add,
      { { "name", JSON_STRING, true }, { "members", JSON_ARRAY, false } } },
    { "policy-list-remove",
      call_list_remove,
      { { "name", JSON_STRING, true }, { "members", JSON_ARRAY, false } } },
    { "policy-list-show", call_list_show, { { "name", JSON_STRING, false } } },
};

const struct hd_call_row *
hd_calls_policy(size_t *ret_n)
{
    *ret_n = HD_ARRAY_LEN(table);
    return table;
}
