/* json_group.h - the members of several JSON objects, brought together by name.  Pure; any thread.
 * What is made of several documents costs as much as they are long, whatever order their members
 * stand in. */
#ifndef HD_FORMAT_JSON_GROUP_H
#define HD_FORMAT_JSON_GROUP_H

#include "base/str.h"
#include "format/json_tree.h"

/* An object of one of several documents; node NULL, or no object: without members. */
struct fmt_json_source {
    const struct fmt_json_tree *tree;
    const struct fmt_json_node *node;
};

struct fmt_json_same {
    const struct fmt_json_node *node;
    uint32_t source; /* whose it is */
    uint32_t order;  /* counted through all sources */
};

/* Members of one name, n of them from same[first] on, by source. */
struct fmt_json_group {
    uint32_t first, n;
};

struct fmt_json_groups {
    struct fmt_json_same *same;
    struct fmt_json_group *groups; /* as their names first stand in the sources */
    uint32_t n;
};

/** Of members that stand twice in one object the first counts.  HD_ENOMEM; HD_EFULL: too many. */
HD_NODISCARD enum hd_err fmt_json_group(const struct fmt_json_source *sources, size_t n,
                                        struct fmt_json_groups *ret_groups);
void fmt_json_groups_done(struct fmt_json_groups *groups);

/** A value, or the name of a member and its ':', as they were written. */
void fmt_json_add_value(struct hd_str *out, const struct fmt_json_node *node);
void fmt_json_add_name(struct hd_str *out, const struct fmt_json_node *node);

#endif
