/* json_group.c - the members of several JSON objects, brought together by name.
 *
 * All members of all objects are sorted by what their names mean, and the groups then by where they
 * first stood.  Invariant: nothing is looked for one by one, so that no order of names is dear. */
#include "format/json_group.h"

#include <stdlib.h>

static uint32_t
members_count(const struct fmt_json_source *sources, size_t n)
{
    uint64_t members = 0;

    for (size_t i = 0; i < n; i++) {
        if (!sources[i].node || sources[i].node->kind != FMT_JSON_OBJECT)
            continue;
        for (const struct fmt_json_node *m = fmt_json_first(sources[i].tree, sources[i].node); m;
             m = fmt_json_next(sources[i].tree, m))
            members++;
    }
    return members < UINT32_MAX ? (uint32_t)members : UINT32_MAX;
}

static void
members_take(const struct fmt_json_source *sources, size_t n, struct fmt_json_same *same)
{
    uint32_t order = 0;

    for (size_t i = 0; i < n; i++) {
        if (!sources[i].node || sources[i].node->kind != FMT_JSON_OBJECT)
            continue;
        for (const struct fmt_json_node *m = fmt_json_first(sources[i].tree, sources[i].node); m;
             m = fmt_json_next(sources[i].tree, m), order++)
            same[order] =
                (struct fmt_json_same){ .node = m, .source = (uint32_t)i, .order = order };
    }
}

static int
name_cmp(const struct fmt_json_node *a, const struct fmt_json_node *b)
{
    return fmt_json_text_cmp(a->key, a->key_escaped, b->key, b->key_escaped);
}

static int
by_name(const void *x, const void *y)
{
    const struct fmt_json_same *a = x, *b = y;
    const int names = name_cmp(a->node, b->node);

    return names ? names : a->order < b->order ? -1 : a->order > b->order;
}

struct place {
    uint32_t order;
    struct fmt_json_group group;
};

static int
by_order(const void *x, const void *y)
{
    const struct place *a = x, *b = y;

    return a->order < b->order ? -1 : a->order > b->order;
}

/* Cuts what is sorted by name into groups; in each, a source stands once. */
static uint32_t
groups_cut(struct fmt_json_same *same, uint32_t n, struct place *places)
{
    uint32_t groups = 0;

    for (uint32_t i = 0; i < n;) {
        struct fmt_json_group group = { .first = i, .n = 1 };
        uint32_t last = i;
        for (i++; i < n && name_cmp(same[i].node, same[group.first].node) == 0; i++) {
            if (same[i].source == same[last].source)
                continue;
            last = group.first + group.n++;
            same[last] = same[i];
        }
        places[groups++] = (struct place){ .order = same[group.first].order, .group = group };
    }
    return groups;
}

enum hd_err
fmt_json_group(const struct fmt_json_source *sources, size_t n, struct fmt_json_groups *ret_groups)
{
    const uint32_t members = members_count(sources, n);
    struct fmt_json_groups made = { 0 };

    *ret_groups = made;
    if (members == 0)
        return HD_OK;
    if (members == UINT32_MAX)
        return HD_EFULL;
    made.same = malloc(members * sizeof(*made.same));
    made.groups = malloc(members * sizeof(*made.groups));
    struct place *places = malloc(members * sizeof(*places));
    if (!made.same || !made.groups || !places) {
        free(places);
        fmt_json_groups_done(&made);
        return HD_ENOMEM;
    }
    members_take(sources, n, made.same);
    qsort(made.same, members, sizeof(*made.same), by_name);
    made.n = groups_cut(made.same, members, places);
    qsort(places, made.n, sizeof(*places), by_order);
    for (uint32_t i = 0; i < made.n; i++)
        made.groups[i] = places[i].group;
    free(places);
    *ret_groups = made;
    return HD_OK;
}

void
fmt_json_groups_done(struct fmt_json_groups *groups)
{
    free(groups->same);
    free(groups->groups);
    *groups = (struct fmt_json_groups){ 0 };
}

/* --- writing what was read ------------------------------------------------------------------- */

void
fmt_json_add_value(struct hd_str *out, const struct fmt_json_node *node)
{
    if (node->kind != FMT_JSON_STRING) {
        hd_str_add(out, node->text);
        return;
    }
    hd_str_add_char(out, '"');
    hd_str_add(out, node->text);
    hd_str_add_char(out, '"');
}

void
fmt_json_add_name(struct hd_str *out, const struct fmt_json_node *node)
{
    hd_str_add_char(out, '"');
    hd_str_add(out, node->key);
    hd_str_add_str(out, "\":");
}
