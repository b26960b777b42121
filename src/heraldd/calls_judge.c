/* calls_judge.c - the calls `policy-test`, what the rules say of somebody, and `explain`, which
 * adds what he has and what he was told. */
#include <stdlib.h>

#include "heraldd/calls_explain.h"
#include "heraldd/calls_policy.h"
#include "policy/judge.h"
#include "policy/policy.h"

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
        if (json_array_append_new(others, hd_policy_rule_json(j->others[i])) != 0) {
            json_decref(others);
            others = NULL;
        }
    return others;
}

static json_t *
judgement_json(const struct pol_question *q, const struct pol_judgement *j)
{
    static const char *const by[] = { "",      "owner",   "deny-list",
                                      "rules", "package", "watched-package" };
    json_t *json =
        json_pack("{s:o, s:s, s:s, s:o, s:o, s:s, s:o, s:o}", "package",
                  hd_json_slice(q->package->name), "decision", decision_word(j->verdict.decision),
                  "by", by[j->by], "rule", hd_policy_rule_or_null(j->rule), "deny",
                  hd_policy_rule_or_null(j->deny), "granted", decision_word(j->granted.decision),
                  "grant", hd_policy_rule_or_null(j->grant), "others", others_json(j));
    if (json && j->shadow &&
        json_object_set_new(json, "shadow",
                            json_pack("{s:s, s:o}", "decision",
                                      decision_word(j->with_shadow.decision), "rule",
                                      hd_policy_rule_or_null(j->shadow))) != 0) {
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
    enum hd_err err = hd_policy_is_word(watcher)
                          ? HD_ESYNTAX /* many are nobody */
                          : hd_policy_watcher_key(call, watcher, &ret_asked->watcher);

    if (!err && hd_slice_starts(hd_key_slice(&ret_asked->watcher), HD_LIT("sip:*@")))
        err = HD_ESYNTAX;
    if (err) {
        hd_reply_error(call->reply, "watcher \"%.*s\" %s; expected a user name or sip:USER@DOMAIN",
                       hd_call_shown(watcher), watcher.p, hd_err_text(err));
        return false;
    }
    ret_asked->package = hd_call_arg(call, "package");
    if (hd_slice_eq(ret_asked->package, HD_LIT("*")))
        ret_asked->package = HD_LIT("");
    ret_asked->proof =
        !authenticated || json_is_true(authenticated) ? EVT_PROOF_DIGEST : EVT_PROOF_FROM;
    if (json_object_get(call->args, "proof")) {
        uint8_t proofs;
        if (!hd_policy_proofs_ok(call, &proofs))
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
           (ret_asked->package.n == 0 || hd_policy_package_ok(call, ret_asked->package));
}

/* Watcher information that nobody asks for by name is told of where it is not, as usual, for the
 * owner of the resource alone, or would not be by a shadow rule. */
static bool
is_told(const struct asked *asked, const struct pol_question *q, const struct pol_judgement *j)
{
    if (asked->package.n)
        return hd_slice_eq(asked->package, q->package->name);
    return !q->package->watched || j->shadow ||
           (j->verdict.decision != EVT_DENY && j->by != POL_BY_OWNER);
}

/* Adds what the rules say in a package; false: memory is short. */
static bool
judge_one(const struct hd_call *call, const struct asked *asked, const struct evt_package *package,
          json_t *rows)
{
    const struct pol_settings *settings = call->daemon->config->policy;
    const struct pol_question q = { .book = settings->book,
                                    .watcher = hd_key_slice(&asked->watcher),
                                    .resource = hd_key_slice(&asked->resource),
                                    .package = package,
                                    .now_s = settings->now_s,
                                    .proof = asked->proof };
    const struct pol_judgement judgement = pol_judge(&q);

    return !is_told(asked, &q, &judgement) ||
           json_array_append_new(rows, judgement_json(&q, &judgement)) == 0;
}

/* What the rules say in each of the packages that were asked for, and of who may see who watches
 * there; NULL: memory is short. */
static json_t *
judge_all(const struct hd_call *call, const struct asked *asked)
{
    const struct evt_config *config = call->daemon->config;
    json_t *rows = json_array();
    bool ok = rows != NULL;

    for (size_t i = 0; ok && i < config->n_packages; i++)
        for (const struct evt_package *p = config->packages[i]; ok && p; p = p->winfo)
            ok = judge_one(call, asked, p, rows);
    if (ok)
        return rows;
    json_decref(rows);
    return NULL;
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

static const struct hd_call_row table[] = {
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
};

const struct hd_call_row *
hd_calls_judge(size_t *ret_n)
{
    *ret_n = HD_ARRAY_LEN(table);
    return table;
}
