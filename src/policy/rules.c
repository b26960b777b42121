/* rules.c - the rules of the book: by resource, by domain, and for all.
 *
 * The problem: a resource may have a thousand rules and the book a hundred thousand, and a
 * SUBSCRIBE asks for the few that speak of its sender.  The rules of one resource are one item, an
 * array that is sorted by watcher, package and kind, so that a watcher's are found by halving.
 * Invariants: of (resource, watcher, package, kind) there is one rule at most; a list that a rule
 * names is there. */
#include <stdlib.h>

#include "event/ports.h"
#include "policy/book_core.h"

/* ---- words ---- */

static const struct hd_slice action_words[] = {
    { NULL, 0 },    { "allow", 5 },   { "confirm", 7 }, { "polite-block", 12 },
    { "block", 5 }, { "publish", 7 },
};

struct hd_slice
pol_action_word(enum pol_action action)
{
    HD_ASSERT(action >= POL_ALLOW && action <= POL_PUBLISH);
    return action_words[action];
}

enum hd_err
pol_action_read(struct hd_slice word, enum pol_action *ret_action)
{
    for (size_t i = POL_ALLOW; i < HD_ARRAY_LEN(action_words); i++)
        if (hd_slice_eq(word, action_words[i])) {
            *ret_action = (enum pol_action)i;
            return HD_OK;
        }
    return HD_ENOMATCH;
}

enum hd_err
pol_proof_read(struct hd_slice word, uint8_t *proofs)
{
    for (unsigned proof = EVT_PROOF_FROM; proof <= EVT_PROOF_TOKEN; proof++)
        if (hd_slice_eq(word, evt_proof_word((enum evt_proof)proof))) {
            *proofs |= POL_PROOF(proof);
            return HD_OK;
        }
    return HD_ENOMATCH;
}

enum pol_kind
pol_rule_kind(const struct pol_rule *rule)
{
    if (rule->action == POL_PUBLISH)
        return POL_KIND_PUBLISH;
    return rule->shadow ? POL_KIND_SHADOW : POL_KIND_ACTS;
}

bool
pol_rule_holds(const struct pol_rule *rule, uint64_t now_s)
{
    return now_s >= rule->from_s && (rule->until_s == 0 || now_s < rule->until_s);
}

/* ---- what may stand in a book ---- */

#define POL_PROOFS                                                                                 \
    (POL_PROOF(EVT_PROOF_FROM) | POL_PROOF(EVT_PROOF_DIGEST) | POL_PROOF(EVT_PROOF_ASSERTED) |     \
     POL_PROOF(EVT_PROOF_TLS) | POL_PROOF(EVT_PROOF_TOKEN))

static bool
package_ok(struct hd_slice package)
{
    if (package.n == 0 || package.n > POL_PACKAGE_MAX)
        return false;
    for (size_t i = 0; i < package.n; i++)
        if (package.p[i] <= ' ' || package.p[i] >= 0x7f)
            return false;
    return true;
}

static bool
is_list(struct hd_slice watcher)
{
    return watcher.n > 1 && watcher.p[0] == '@' && pol_word_ok(hd_slice_from(watcher, 1));
}

static bool
is_domain(struct hd_slice pattern)
{
    return hd_slice_starts(pattern, HD_LIT("sip:*@")) && pol_key_ok(pattern);
}

/* Whether it means many, so that some of them can be left out (RFC 4745 section 7.1.3). */
static bool
is_many(struct hd_slice watcher)
{
    return hd_slice_eq(watcher, HD_LIT("*")) || hd_slice_eq(watcher, HD_LIT("authenticated")) ||
           is_list(watcher) || is_domain(watcher);
}

static bool
except_ok(const struct pol_rule *rule)
{
    if (rule->n_except > POL_EXCEPT_MAX || (rule->n_except > 0 && !is_many(rule->watcher)))
        return false;
    for (size_t i = 0; i < rule->n_except; i++)
        if (!pol_key_ok(rule->except[i]) && !is_list(rule->except[i]))
            return false;
    return true;
}

static bool
rule_ok(const struct pol_rule *rule)
{
    const struct hd_slice resource = rule->resource, watcher = rule->watcher;
    return (hd_slice_eq(resource, HD_LIT("*")) || pol_key_ok(resource)) &&
           (is_many(watcher) || hd_slice_eq(watcher, HD_LIT("anonymous")) || pol_key_ok(watcher)) &&
           package_ok(rule->package) && rule->action >= POL_ALLOW && rule->action <= POL_PUBLISH &&
           !(rule->shadow && rule->action == POL_PUBLISH) && except_ok(rule) &&
           (rule->transform.n == 0 || rule->action == POL_ALLOW) &&
           (rule->proofs & ~POL_PROOFS) == 0 &&
           (rule->until_s == 0 || rule->until_s > rule->from_s);
}

/* Whether the lists and the transformation that a rule names are there. */
static bool
names_there(const struct pol_book *book, const struct pol_rule *rule)
{
    if (rule->transform.n && !pol_book_transform(book, rule->transform))
        return false;
    if (is_list(rule->watcher) && !pol_book_list(book, hd_slice_from(rule->watcher, 1)))
        return false;
    for (size_t i = 0; i < rule->n_except; i++)
        if (is_list(rule->except[i]) && !pol_book_list(book, hd_slice_from(rule->except[i], 1)))
            return false;
    return true;
}

/* ---- making items ---- */

static struct pol_hits *
hits_ref(struct pol_hits *hits)
{
    if (hits) {
        atomic_fetch_add_explicit(&hits->refs, 1, memory_order_relaxed);
        return hits;
    }
    hits = malloc(sizeof(*hits));
    if (!hits)
        return NULL;
    atomic_init(&hits->refs, 1);
    atomic_init(&hits->n, 0);
    return hits;
}

static void
rules_release(struct pol_item *item)
{
    struct pol_rule_list *list = HD_CONTAINER(item, struct pol_rule_list, item);
    for (size_t i = 0; i < list->n; i++) {
        struct pol_hits *hits = list->rules[i].hits;
        if (hits && atomic_fetch_sub_explicit(&hits->refs, 1, memory_order_acq_rel) == 1)
            free(hits);
    }
}

static void
rule_put(struct pol_rule *to, const struct pol_rule *from, struct hd_slice resource,
         struct hd_slice **excepts, char **at)
{
    *to = *from;
    to->hits = NULL;
    to->resource = resource;
    to->watcher = pol_text_put(at, from->watcher);
    to->package = pol_text_put(at, from->package);
    to->transform = pol_text_put(at, from->transform);
    struct hd_slice *except = *excepts;
    for (size_t i = 0; i < from->n_except; i++)
        except[i] = pol_text_put(at, from->except[i]);
    pol_slices_sort(except, from->n_except);
    to->except = from->n_except ? except : NULL;
    *excepts += from->n_except;
}

/* Rules of one resource, in order, copied into one block. */
static struct pol_rule_list *
rule_list_new(const struct pol_rule *const *rules, size_t n)
{
    size_t text = rules[0]->resource.n, n_except = 0;
    for (size_t i = 0; i < n; i++) {
        text += rules[i]->watcher.n + rules[i]->package.n + rules[i]->transform.n;
        n_except += rules[i]->n_except;
        for (size_t k = 0; k < rules[i]->n_except; k++)
            text += rules[i]->except[k].n;
    }
    struct pol_rule_list *list = malloc(sizeof(*list) + n * sizeof(list->rules[0]) +
                                        n_except * sizeof(struct hd_slice) + text);
    if (!list)
        return NULL;
    struct hd_slice *excepts = (struct hd_slice *)(void *)&list->rules[n];
    char *at = (char *)(excepts + n_except);
    pol_item_init(&list->item, pol_text_put(&at, rules[0]->resource));
    list->item.release = rules_release;
    list->n = n;
    for (size_t i = 0; i < n; i++)
        rule_put(&list->rules[i], rules[i], list->item.key, &excepts, &at);
    for (size_t i = 0; i < n; i++) {
        if (!rules[i]->shadow)
            continue;
        list->rules[i].hits = hits_ref(rules[i]->hits);
        if (!list->rules[i].hits) {
            pol_item_unref(&list->item);
            return NULL;
        }
    }
    return list;
}

int
pol_rule_order(const struct pol_rule *a, const struct pol_rule *b)
{
    int order = hd_slice_cmp(a->watcher, b->watcher);
    if (order == 0)
        order = hd_slice_cmp(a->package, b->package);
    return order ? order : (int)pol_rule_kind(a) - (int)pol_rule_kind(b);
}

/* Where a rule like this stands or belongs among sorted ones; true when it is there. */
static bool
rules_find(const struct pol_rule *rules, size_t n, const struct pol_rule *like, size_t *ret_at)
{
    size_t low = 0, high = n;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        const int order = pol_rule_order(&rules[mid], like);
        if (order == 0) {
            *ret_at = mid;
            return true;
        }
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    *ret_at = low;
    return false;
}

/* Notes whether the rules of a resource, NULL: it has none, depend on the clock; so that nobody has
 * to look at all rules to know when the next one begins or ends. */
static enum hd_err
book_note_times(struct pol_book *book, struct hd_slice resource, struct pol_rule_list *list)
{
    const uint64_t hash = pol_book_hash(book, resource);
    bool timed = false;

    for (size_t i = 0; list && i < list->n && !timed; i++)
        timed = list->rules[i].from_s || list->rules[i].until_s;
    if (!timed) {
        const enum hd_err err = pol_index_remove(&book->timed, hash, resource);
        return err == HD_ENOMATCH ? HD_OK : err;
    }
    const enum hd_err err =
        pol_index_put(&book->timed, hash, pol_item_ref(&list->item), POL_BOOK_MAX);
    if (err)
        pol_item_unref(&list->item);
    return err;
}

/* Puts the rules of one resource, n > 0, in place of those that it had. */
static enum hd_err
book_put_rules(struct pol_book *book, const struct pol_rule *const *rules, size_t n, size_t before)
{
    struct pol_rule_list *list = rule_list_new(rules, n);
    if (!list)
        return HD_ENOMEM;
    const enum hd_err err =
        pol_index_put(&book->rules, pol_book_hash(book, list->item.key), &list->item, POL_BOOK_MAX);
    if (err) {
        pol_item_unref(&list->item);
        return err;
    }
    book->n_rules += n - before;
    return book_note_times(book, list->item.key, list);
}

/* ---- loading ---- */

static bool
rule_same(const struct pol_rule *a, const struct pol_rule *b)
{
    return hd_slice_eq(a->resource, b->resource) && pol_rule_order(a, b) == 0;
}

/* For qsort: by resource, watcher, package, kind, and then as they came. */
static int
rule_compare(const void *left, const void *right)
{
    const struct pol_rule *a = *(const struct pol_rule *const *)left;
    const struct pol_rule *b = *(const struct pol_rule *const *)right;
    int order = hd_slice_cmp(a->resource, b->resource);
    if (order == 0)
        order = pol_rule_order(a, b);
    return order ? order : (a > b) - (a < b);
}

/* Sorted rules, of several that are the same the last: *n of them. */
static void
rules_unique(const struct pol_rule **rules, size_t *n)
{
    size_t kept = 0;
    for (size_t i = 0; i < *n; i++) {
        if (kept > 0 && rule_same(rules[kept - 1], rules[i]))
            kept--;
        rules[kept++] = rules[i];
    }
    *n = kept;
}

/* Sorted and unique rules become one item for each resource. */
static enum hd_err
load_sorted(struct pol_book *book, const struct pol_rule **rules, size_t n)
{
    for (size_t from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && hd_slice_eq(rules[from]->resource, rules[to]->resource);)
            to++;
        if (to - from > POL_RULES_MAX)
            return HD_EFULL;
        const enum hd_err err = book_put_rules(book, rules + from, to - from, 0);
        if (err)
            return err;
    }
    return HD_OK;
}

/* next_rule above every id that is given; ids of 0 are numbered from there, in copy. */
static enum hd_err
number_rules(struct pol_book *book, struct pol_rule *copy, size_t n, uint32_t next_rule)
{
    uint64_t next = next_rule ? next_rule : 1;
    for (size_t i = 0; i < n; i++)
        if (copy[i].id >= next)
            next = (uint64_t)copy[i].id + 1;
    for (size_t i = 0; i < n; i++)
        if (copy[i].id == 0 && next < UINT32_MAX)
            copy[i].id = (uint32_t)next++;
        else if (copy[i].id == 0)
            return HD_EFULL;
    /* UINT32_MAX is never given out: it says that the ids are used up. */
    book->next_rule = next > UINT32_MAX ? UINT32_MAX : (uint32_t)next;
    return HD_OK;
}

enum hd_err
pol_rules_load(struct pol_book *book, const struct pol_rule *rules, size_t n, uint32_t next_rule,
               size_t *ret_at)
{
    const struct pol_rule **sorted = malloc((n + 1) * sizeof(struct pol_rule *));
    struct pol_rule *copy = malloc((n + 1) * sizeof(*copy));
    enum hd_err err = HD_ENOMEM;

    if (!sorted || !copy)
        goto out;
    err = HD_OK;
    for (size_t i = 0; i < n && !err; i++) {
        *ret_at = i;
        copy[i] = rules[i];
        copy[i].hits = NULL;
        sorted[i] = &copy[i];
        err = !rule_ok(&rules[i])             ? HD_ESYNTAX
              : !names_there(book, &rules[i]) ? HD_ENOMATCH
                                              : HD_OK;
    }
    if (!err)
        err = number_rules(book, copy, n, next_rule);
    if (err)
        goto out;
    qsort(sorted, n, sizeof(struct pol_rule *), rule_compare);
    rules_unique(sorted, &n);
    err = load_sorted(book, sorted, n);
out:
    free(copy);
    free(sorted);
    return err;
}

/* ---- edits ---- */

static const struct pol_rule_list *
book_rule_list(const struct pol_book *book, struct hd_slice resource)
{
    struct pol_item *item = pol_index_find(&book->rules, pol_book_hash(book, resource), resource);
    return item ? HD_CONTAINER(item, struct pol_rule_list, item) : NULL;
}

/* A copy of the book in which the resource has these rules, n of them in order, instead of before
 * others. */
static enum hd_err
book_with_rules(const struct pol_book *book, struct hd_slice resource,
                const struct pol_rule *const *rules, size_t n, size_t before,
                struct pol_book **ret_book)
{
    struct pol_book *copy = pol_book_copy(book);
    enum hd_err err;

    if (!copy)
        return HD_ENOMEM;
    if (n > 0) {
        err = book_put_rules(copy, rules, n, before);
    } else {
        err = pol_index_remove(&copy->rules, pol_book_hash(copy, resource), resource);
        copy->n_rules -= before;
        if (!err)
            err = book_note_times(copy, resource, NULL);
    }
    if (err) {
        pol_book_unref(copy);
        return err;
    }
    *ret_book = copy;
    return HD_OK;
}

enum hd_err
pol_book_with_rule(const struct pol_book *book, const struct pol_rule *rule, uint32_t *ret_id,
                   struct pol_book **ret_book)
{
    HD_ASSERT_OBJ(book, POL_BOOK_MAGIC);
    if (!rule_ok(rule))
        return HD_ESYNTAX;
    if (!names_there(book, rule))
        return HD_ENOMATCH;
    const struct pol_rule_list *list = book_rule_list(book, rule->resource);
    const size_t n = list ? list->n : 0;
    size_t at = 0;
    const bool there = list && rules_find(list->rules, n, rule, &at);
    struct pol_rule added = *rule;

    if (!there && (n >= POL_RULES_MAX || book->next_rule == UINT32_MAX))
        return HD_EFULL;
    added.id = there ? list->rules[at].id : book->next_rule;
    added.hits = NULL; /* counted anew when it is set anew */
    const struct pol_rule **rules = malloc((n + 1) * sizeof(struct pol_rule *));
    if (!rules)
        return HD_ENOMEM;
    size_t k = 0;
    for (size_t i = 0; i < at; i++)
        rules[k++] = &list->rules[i];
    rules[k++] = &added;
    for (size_t i = there ? at + 1 : at; i < n; i++)
        rules[k++] = &list->rules[i];

    struct pol_book *copy = NULL;
    const enum hd_err err = book_with_rules(book, rule->resource, rules, k, n, &copy);
    free(rules);
    if (err)
        return err;
    if (!there)
        copy->next_rule++;
    if (ret_id)
        *ret_id = added.id;
    *ret_book = copy;
    return HD_OK;
}

enum hd_err
pol_book_without_rule(const struct pol_book *book, struct hd_slice resource, uint32_t id,
                      struct pol_book **ret_book)
{
    HD_ASSERT_OBJ(book, POL_BOOK_MAGIC);
    const struct pol_rule_list *list = book_rule_list(book, resource);
    size_t k = 0;

    if (!list)
        return HD_ENOMATCH;
    const struct pol_rule **rules = malloc(list->n * sizeof(struct pol_rule *));
    if (!rules)
        return HD_ENOMEM;
    for (size_t i = 0; i < list->n; i++)
        if (list->rules[i].id != id)
            rules[k++] = &list->rules[i];
    const enum hd_err err =
        k == list->n ? HD_ENOMATCH : book_with_rules(book, resource, rules, k, list->n, ret_book);
    free(rules);
    return err;
}

/* ---- reading ---- */

const struct pol_rule *
pol_book_rules(const struct pol_book *book, struct hd_slice resource, size_t *ret_n)
{
    HD_ASSERT_OBJ(book, POL_BOOK_MAGIC);
    const struct pol_rule_list *list = book_rule_list(book, resource);
    *ret_n = list ? list->n : 0;
    return list ? list->rules : NULL;
}

const struct pol_rule *
pol_book_rule(const struct pol_book *book, struct hd_slice resource, struct hd_slice watcher,
              struct hd_slice package, enum pol_kind kind)
{
    const struct pol_rule like = {
        .watcher = watcher,
        .package = package,
        .action = kind == POL_KIND_PUBLISH ? POL_PUBLISH : POL_ALLOW,
        .shadow = kind == POL_KIND_SHADOW,
    };
    size_t n, at;
    const struct pol_rule *rules = pol_book_rules(book, resource, &n);
    return rules_find(rules, n, &like, &at) ? &rules[at] : NULL;
}

size_t
pol_book_rule_count(const struct pol_book *book)
{
    HD_ASSERT_OBJ(book, POL_BOOK_MAGIC);
    return book->n_rules;
}

uint32_t
pol_book_next_rule(const struct pol_book *book)
{
    HD_ASSERT_OBJ(book, POL_BOOK_MAGIC);
    return book->next_rule;
}

struct rule_walk {
    pol_rule_visit_f visit;
    void *context;
};

static bool
visit_rules(void *context, struct pol_item *item)
{
    const struct rule_walk *walk = context;
    const struct pol_rule_list *list = HD_CONTAINER(item, struct pol_rule_list, item);
    for (size_t i = 0; i < list->n; i++)
        if (!walk->visit(walk->context, &list->rules[i]))
            return false;
    return true;
}

void
pol_book_each_rule(const struct pol_book *book, pol_rule_visit_f visit, void *context)
{
    HD_ASSERT_OBJ(book, POL_BOOK_MAGIC);
    pol_index_each(&book->rules, visit_rules, &(struct rule_walk){ visit, context });
}

struct next_change {
    uint64_t after_s, next_s;
};

static bool
visit_change(void *context, const struct pol_rule *rule)
{
    struct next_change *change = context;
    if (rule->from_s > change->after_s && rule->from_s < change->next_s)
        change->next_s = rule->from_s;
    if (rule->until_s > change->after_s && rule->until_s < change->next_s)
        change->next_s = rule->until_s;
    return true;
}

uint64_t
pol_book_next_change(const struct pol_book *book, uint64_t after_s)
{
    struct next_change change = { after_s, UINT64_MAX };
    HD_ASSERT_OBJ(book, POL_BOOK_MAGIC);
    pol_index_each(&book->timed, visit_rules, &(struct rule_walk){ visit_change, &change });
    return change.next_s;
}
