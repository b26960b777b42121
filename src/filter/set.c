/* set.c - the parts of a compiled filter, put together and taken apart. */
#include "filter/set.h"

#include <stdlib.h>

struct flt_set *
flt_set_new(void)
{
    struct flt_set *set = calloc(1, sizeof(*set));
    uint16_t none;

    if (!set)
        return NULL;
    set->head.magic = EVT_FILTER_MAGIC;
    set->head.refs = 1;
    if (flt_set_add_node(set, FLT_ANY, 0, &none)) { /* node 0: nobody's child */
        flt_set_free(set);
        return NULL;
    }
    return set;
}

void
flt_set_free(struct flt_set *set)
{
    if (!set)
        return;
    for (uint32_t i = 0; i < set->n_leaves; i++) {
        flt_xpath_free(set->leaves[i].path.xpath);
        free(set->leaves[i].region);
        free(set->leaves[i].clear_region);
    }
    for (uint32_t i = 0; i < set->n_whats; i++)
        flt_xpath_free(set->whats[i].xpath);
    while (set->strings) {
        struct flt_string *next = set->strings->next;
        free(set->strings);
        set->strings = next;
    }
    free(set->leaves);
    free(set->nodes);
    free(set->triggers);
    free(set->whats);
    set->head.magic = 0;
    free(set);
}

struct hd_slice
flt_set_string(struct flt_set *set, struct hd_slice text)
{
    struct flt_string *string = malloc(sizeof(*string) + text.n + 1);

    if (!string)
        return hd_slice(NULL, 0);
    string->next = set->strings;
    set->strings = string;
    if (text.n)
        memcpy(string->octets, text.p, text.n);
    return hd_slice(string->octets, text.n);
}

/* One more of an array that grows by powers of two. */
static enum hd_err
grow(void **array, uint32_t *n, uint32_t most, size_t size)
{
    if (*n == most)
        return HD_EDENIED;
    if ((*n & (*n - 1)) == 0) {
        void *more = realloc(*array, (*n ? *n * 2 : 1) * size);
        if (!more)
            return HD_ENOMEM;
        *array = more;
    }
    memset((char *)*array + *n * size, 0, size);
    ++*n;
    return HD_OK;
}

enum hd_err
flt_set_add_leaf(struct flt_set *set, uint16_t *ret_leaf)
{
    void *array = set->leaves;
    enum hd_err err = grow(&array, &set->n_leaves, FLT_LEAVES_MOST, sizeof(*set->leaves));

    set->leaves = array;
    if (!err)
        *ret_leaf = (uint16_t)(set->n_leaves - 1);
    return err;
}

enum hd_err
flt_set_add_node(struct flt_set *set, enum flt_join join, uint16_t leaf, uint16_t *ret_node)
{
    void *array = set->nodes;
    enum hd_err err = grow(&array, &set->n_nodes, FLT_NODES_MOST, sizeof(*set->nodes));

    set->nodes = array;
    if (err)
        return err;
    set->nodes[set->n_nodes - 1] = (struct flt_node){ .join = join, .leaf = leaf };
    *ret_node = (uint16_t)(set->n_nodes - 1);
    return HD_OK;
}

void
flt_set_hang(struct flt_set *set, uint16_t parent, uint16_t node)
{
    uint16_t *link = &set->nodes[parent].child;

    while (*link)
        link = &set->nodes[*link].next;
    *link = node;
}

/* Whether a node or one below it is of some kinds: from first to last. */
static bool
has_kind(const struct flt_set *set, uint16_t node, enum flt_kind first, enum flt_kind last)
{
    const struct flt_node *n = &set->nodes[node];

    if (n->join == FLT_LEAF)
        return set->leaves[n->leaf].kind >= first && set->leaves[n->leaf].kind <= last;
    for (uint16_t i = n->child; i; i = set->nodes[i].next)
        if (has_kind(set, i, first, last))
            return true;
    return false;
}

enum hd_err
flt_set_add_trigger(struct flt_set *set, uint16_t root, struct hd_slice name, bool own,
                    struct flt_trigger **ret_trigger)
{
    void *array = set->triggers;
    enum hd_err err =
        grow(&array, &set->n_triggers, EVT_FILTER_TRIGGERS_MOST, sizeof(*set->triggers));

    set->triggers = array;
    if (err)
        return err;
    struct flt_trigger *trigger = &set->triggers[set->n_triggers - 1];
    trigger->root = root;
    trigger->own = own;
    trigger->moment = has_kind(set, root, FLT_CROSSES, FLT_MOVED);
    trigger->compares = has_kind(set, root, FLT_CHANGED, FLT_MOVED);
    trigger->name = flt_set_string(set, name);
    if (!trigger->name.p)
        return HD_ENOMEM;
    *ret_trigger = trigger;
    return HD_OK;
}

enum hd_err
flt_set_add_what(struct flt_set *set, struct flt_what **ret_what)
{
    void *array = set->whats;
    enum hd_err err = grow(&array, &set->n_whats, FLT_WHATS_MOST, sizeof(*set->whats));

    set->whats = array;
    if (!err)
        *ret_what = &set->whats[set->n_whats - 1];
    return err;
}

void
flt_set_finish(struct flt_set *set)
{
    struct evt_filter *head = &set->head;

    head->triggers = set->n_triggers > 0;
    head->cuts = set->n_whats > 0 || set->geodetic_only || set->civic_only;
    head->chooses = set->dialog.call_id.p != NULL;
    head->partial = head->chooses && !head->cuts && !head->triggers;
    for (uint32_t i = 0; i < set->n_triggers; i++) {
        head->own = head->own || set->triggers[i].own;
        head->differs = head->differs || set->triggers[i].compares;
    }
    for (uint32_t i = 0; i < set->n_leaves; i++) {
        head->signs = head->signs || set->leaves[i].kind == FLT_STALE;
        head->levels = head->levels || set->leaves[i].kind <= FLT_CROSSES;
    }
    head->state_size = sizeof(struct flt_state) + set->n_leaves * sizeof(struct flt_leaf_state);
}
