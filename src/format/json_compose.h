/* json_compose.h - one JSON document of several, each path by a rule.  Pure; any thread.
 *
 * The newest document is shown; in it, what stands at a path that has a rule is made of all of
 * them.  A path is that of reduce.h through objects alone: "/stock", "/stock/bolts"; a
 * step "*" is every member. */
#ifndef HD_FORMAT_JSON_COMPOSE_H
#define HD_FORMAT_JSON_COMPOSE_H

#include "base/slice.h"
#include "base/str.h"

/* A value that is missing or null in a document does not count.  Numbers are exact (exact.h). */
enum fmt_rule {
    FMT_RULE_LATEST = 0, /* the newest */
    FMT_RULE_LIST,       /* an array of all, the newest first */
    FMT_RULE_SUM,
    FMT_RULE_MAX,
    FMT_RULE_MIN
};
struct fmt_rule_path {
    struct hd_slice path;
    enum fmt_rule rule;
};

/** Whether a path may have a rule: fmt_path_ok(), not at any depth, no "@". */
bool fmt_rule_path_ok(struct hd_slice path);
/** Whether one path is the other, or leads to it. */
bool fmt_rule_paths_collide(struct hd_slice a, struct hd_slice b);
/**
 * One document of n > 0, the newest first.
 * @param rules      at most FMT_PATHS_MAX; of several that fit, the one with fewer "*" counts
 * @param out        empty; holds nothing of use on failure
 * @param ret_unfit  how many values their rule cannot use: no number, one too long to be exact, no
 *                   object where a path leads on.  They are left out; where nothing else is, the
 *                   newest is shown as it is
 * @return HD_OK; HD_ESYNTAX: one of them is not JSON, or a path; HD_EFULL: too many values;
 *         HD_ENOMEM
 */
HD_NODISCARD enum hd_err fmt_json_compose(const struct fmt_rule_path *rules, size_t n_rules,
                                          const struct hd_slice *documents, size_t n,
                                          struct hd_str *out, uint32_t *ret_unfit);

#endif
