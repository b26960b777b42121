/* diff.c - what differs between two books: what has to be kept when one takes the other's place.
 *
 * The problem: a book of a hundred thousand entries changes in one of them, and keeping the change
 * may not cost what keeping all would.  A book shares with the one it was made from all pages of
 * its indexes but those that changed, so that only these are looked at. */
#include "policy/book_core.h"

struct diff {
    const struct pol_book *from; /* whose entries are visited */
    const struct pol_book *than;
    bool gone; /* the visit says what is not there any more */
    pol_change_f visit;
    void *context;
};

static void
say(const struct diff *diff, struct pol_change change)
{
    change.gone = diff->gone;
    diff->visit(diff->context, &change);
}

/* An entry that only one of the books has, or that differs in them.  One that is still there in
 * another form is no entry that goes. */
static bool
is_told(const struct diff *diff, const struct pol_item *other)
{
    return !diff->gone || !other;
}

static void
visit_user(void *context, struct pol_item *item, struct pol_item *other)
{
    const struct diff *diff = context;

    if (is_told(diff, other))
        say(diff, (struct pol_change){ .part = POL_PART_USER,
                                       .user = pol_book_user(diff->from, item->key) });
}

static void
visit_list(void *context, struct pol_item *item, struct pol_item *other)
{
    const struct diff *diff = context;

    if (is_told(diff, other))
        say(diff, (struct pol_change){ .part = POL_PART_LIST,
                                       .list = pol_book_list(diff->from, item->key) });
}

static void
visit_transform(void *context, struct pol_item *item, struct pol_item *other)
{
    const struct diff *diff = context;

    if (is_told(diff, other))
        say(diff, (struct pol_change){ .part = POL_PART_TRANSFORM,
                                       .transform = pol_book_transform(diff->from, item->key) });
}

static bool
same_excepts(const struct pol_rule *a, const struct pol_rule *b)
{
    if (a->n_except != b->n_except)
        return false;
    for (size_t i = 0; i < a->n_except; i++)
        if (!hd_slice_eq(a->except[i], b->except[i]))
            return false;
    return true;
}

/* Of one resource, watcher, package and kind. */
static bool
same_rule(const struct pol_rule *a, const struct pol_rule *b)
{
    return a->id == b->id && a->action == b->action && a->shadow == b->shadow &&
           a->proofs == b->proofs && a->from_s == b->from_s && a->until_s == b->until_s &&
           a->since_s == b->since_s && hd_slice_eq(a->transform, b->transform) &&
           same_excepts(a, b);
}

/* Both lists are sorted in one order. */
static void
visit_rules(void *context, struct pol_item *item, struct pol_item *other)
{
    const struct diff *diff = context;
    const struct pol_rule_list *list = HD_CONTAINER(item, struct pol_rule_list, item);
    const struct pol_rule_list *than =
        other ? HD_CONTAINER(other, struct pol_rule_list, item) : NULL;
    size_t k = 0;

    for (size_t i = 0; i < list->n; i++) {
        const struct pol_rule *rule = &list->rules[i];
        int order = 1;
        while (than && k < than->n && (order = pol_rule_order(&than->rules[k], rule)) < 0)
            k++;
        const bool there = than && k < than->n && order == 0;
        if (!there || (!diff->gone && !same_rule(rule, &than->rules[k])))
            say(diff, (struct pol_change){ .part = POL_PART_RULE, .rule = rule });
    }
}

static void
walk(struct diff *diff)
{
    const struct pol_book *from = diff->from, *than = diff->than;

    pol_index_diff(&from->users, &than->users, visit_user, diff);
    pol_index_diff(&from->lists, &than->lists, visit_list, diff);
    pol_index_diff(&from->transforms, &than->transforms, visit_transform, diff);
    pol_index_diff(&from->rules, &than->rules, visit_rules, diff);
}

void
pol_book_diff(const struct pol_book *before, const struct pol_book *after, pol_change_f visit,
              void *context)
{
    HD_ASSERT_OBJ(before, POL_BOOK_MAGIC);
    HD_ASSERT_OBJ(after, POL_BOOK_MAGIC);
    HD_ASSERT(before->key.k0 == after->key.k0 && before->key.k1 == after->key.k1);
    walk(&(struct diff){ before, after, true, visit, context });
    walk(&(struct diff){ after, before, false, visit, context });
}
