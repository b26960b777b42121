/* json_merge.c - MergePatch of RFC 7396 section 2, written out as it is worked out. */
#include "format/json_merge.h"

#include "format/json_group.h"

enum { TARGET, PATCH };

static enum hd_err value_merge(const struct fmt_json_tree *trees,
                               const struct fmt_json_node *target,
                               const struct fmt_json_node *patch, struct hd_str *out);

/* A member of either object, or of both; *any: one was written before. */
static enum hd_err
member_merge(const struct fmt_json_tree *trees, const struct fmt_json_same *same, uint32_t n,
             bool *any, struct hd_str *out)
{
    const struct fmt_json_node *target = same[0].source == TARGET ? same[0].node : NULL;
    const struct fmt_json_node *patch = same[n - 1].source == PATCH ? same[n - 1].node : NULL;

    if (patch && patch->kind == FMT_JSON_NULL) /* null takes it away */
        return HD_OK;
    if (*any)
        hd_str_add_char(out, ',');
    *any = true;
    fmt_json_add_name(out, target ? target : patch);
    if (patch)
        return value_merge(trees, target, patch, out);
    fmt_json_add_value(out, target);
    return HD_OK;
}

/* What is no object replaces what was there; an object is merged into one, and into an empty one
 * where there is none. */
static enum hd_err
value_merge(const struct fmt_json_tree *trees, const struct fmt_json_node *target,
            const struct fmt_json_node *patch, struct hd_str *out)
{
    const struct fmt_json_source sources[] = { { &trees[TARGET], target },
                                               { &trees[PATCH], patch } };
    struct fmt_json_groups groups;
    bool any = false;

    if (patch->kind != FMT_JSON_OBJECT) {
        fmt_json_add_value(out, patch);
        return HD_OK;
    }
    enum hd_err err = fmt_json_group(sources, 2, &groups);
    hd_str_add_char(out, '{');
    for (uint32_t i = 0; !err && i < groups.n; i++)
        err = member_merge(trees, groups.same + groups.groups[i].first, groups.groups[i].n, &any,
                           out);
    hd_str_add_char(out, '}');
    fmt_json_groups_done(&groups);
    return err;
}

enum hd_err
fmt_json_merge(struct hd_slice target, struct hd_slice patch, struct hd_str *out)
{
    struct fmt_json_tree trees[2] = { 0 };

    enum hd_err err = fmt_json_tree_read(&trees[TARGET], target);
    if (!err)
        err = fmt_json_tree_read(&trees[PATCH], patch);
    if (!err)
        err = value_merge(trees, trees[TARGET].nodes, trees[PATCH].nodes, out);
    fmt_json_tree_done(&trees[TARGET]);
    fmt_json_tree_done(&trees[PATCH]);
    return err ? err : out->err;
}
