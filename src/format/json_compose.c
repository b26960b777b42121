/* json_compose.c - one JSON document of several, each path by a rule.
 *
 * All documents are walked at once, from the root to where the paths end; what no path leads to is
 * copied from the newest octet by octet.  Invariants: the cost is that of reading and sorting the
 * documents; what a rule cannot use is counted and hides nothing else. */
#include "format/json_compose.h"

#include <stdlib.h>

#include "format/exact.h"
#include "format/json_group.h"
#include "format/reduce_path.h"

#define NAME_ROOM 256   /* octets of a member's name that are compared with a path */
#define NONE UINT32_MAX /* no document */

bool
fmt_rule_path_ok(struct hd_slice path)
{
    if (!fmt_path_ok(path) || path.p[1] == '/')
        return false;
    for (size_t i = 1; i < path.n; i++)
        if (path.p[i] == '@' && path.p[i - 1] == '/')
            return false;
    return true;
}

bool
fmt_rule_paths_collide(struct hd_slice a, struct hd_slice b)
{
    const struct hd_slice less = a.n < b.n ? a : b, more = a.n < b.n ? b : a;

    return hd_slice_starts(more, less) && (more.n == less.n || more.p[less.n] == '/');
}

struct walk {
    const struct fmt_rule_path *rules;
    struct fmt_paths paths;
    const struct fmt_json_tree *trees;
    uint32_t n; /* documents */
    struct hd_str *out;
    uint32_t unfit;
};

/* What the documents have at one place, the newest first; node NULL: nothing. */
struct level {
    struct fmt_json_source *sources;
    struct fmt_places places;
    uint32_t base; /* of which document also that is shown to which no path leads */
};

/* --- where a path ends ----------------------------------------------------------------------- */

static bool
says_something(const struct fmt_json_node *node)
{
    return node && node->kind != FMT_JSON_NULL;
}

static const struct fmt_json_node *
newest(const struct walk *w, const struct level *at)
{
    for (uint32_t i = 0; i < w->n; i++)
        if (says_something(at->sources[i].node))
            return at->sources[i].node;
    return NULL;
}

static void
write_list(const struct walk *w, const struct level *at)
{
    char between = '[';

    for (uint32_t i = 0; i < w->n; i++) {
        if (!says_something(at->sources[i].node))
            continue;
        hd_str_add_char(w->out, between);
        fmt_json_add_value(w->out, at->sources[i].node);
        between = ',';
    }
    hd_str_add_char(w->out, ']');
}

/* The sum, or the greatest or least as it was written; one number stays as it was written. */
static void
write_number(struct walk *w, const struct level *at, enum fmt_rule rule)
{
    const struct fmt_json_node *chosen = NULL;
    struct fmt_exact sum = { 0 }, best = { 0 }, number;
    uint32_t used = 0;

    for (uint32_t i = 0; i < w->n; i++) {
        const struct fmt_json_node *node = at->sources[i].node;
        if (!says_something(node))
            continue;
        if (node->kind != FMT_JSON_NUMBER || fmt_exact_read(node->text, &number)) {
            w->unfit++;
            continue;
        }
        fmt_exact_add(&sum, &number);
        const int cmp = fmt_exact_cmp(&number, &best);
        if (used++ == 0 || (rule == FMT_RULE_MAX ? cmp > 0 : cmp < 0)) {
            best = number;
            chosen = node;
        }
    }
    if (used == 0)
        fmt_json_add_value(w->out, newest(w, at));
    else if (used == 1 || rule != FMT_RULE_SUM)
        fmt_json_add_value(w->out, chosen);
    else
        fmt_exact_write(w->out, &sum);
}

static void
write_ruled(struct walk *w, const struct level *at, enum fmt_rule rule)
{
    switch (rule) {
    case FMT_RULE_LATEST:
        fmt_json_add_value(w->out, newest(w, at));
        return;
    case FMT_RULE_LIST:
        write_list(w, at);
        return;
    case FMT_RULE_SUM:
    case FMT_RULE_MAX:
    case FMT_RULE_MIN:
        write_number(w, at, rule);
        return;
    }
}

/* --- the way there --------------------------------------------------------------------------- */

static unsigned
stars_of(const struct fmt_path *path)
{
    unsigned stars = 0;

    for (unsigned i = 0; i < path->n; i++)
        stars += hd_slice_eq(path->steps[i], HD_LIT("*"));
    return stars;
}

/* The rule whose path ends here, or -1. */
static int
rule_at(const struct walk *w, const struct fmt_places *places)
{
    int found = -1;

    for (unsigned i = 0; i < w->paths.n; i++) {
        const struct fmt_path *path = &w->paths.paths[i];
        if ((places->of[i] >> path->n & 1) &&
            (found < 0 || stars_of(path) < stars_of(&w->paths.paths[found])))
            found = (int)i;
    }
    return found;
}

static bool
leads_on(const struct walk *w, const struct fmt_places *places)
{
    for (unsigned i = 0; i < w->paths.n; i++)
        if (places->of[i])
            return true;
    return false;
}

/* The first document that has an object there, or NONE; what is neither that nor null is counted.
 */
static uint32_t
first_object(struct walk *w, const struct level *at)
{
    uint32_t first = NONE;

    for (uint32_t i = 0; i < w->n; i++) {
        const struct fmt_json_node *node = at->sources[i].node;
        if (!says_something(node))
            continue;
        if (node->kind != FMT_JSON_OBJECT)
            w->unfit++;
        else if (first == NONE)
            first = i;
    }
    return first;
}

static enum hd_err object_write(struct walk *w, const struct level *at, bool *ret_any);

/* The value of a member that has sources here; *ret_any false: nothing is shown, and what was
 * written of it goes. */
static enum hd_err
value_write(struct walk *w, struct level *at, bool *ret_any)
{
    const int rule = rule_at(w, &at->places);
    const struct fmt_json_node *own = at->base == NONE ? NULL : at->sources[at->base].node;
    const bool on = rule < 0 && leads_on(w, &at->places);

    *ret_any = true;
    if (rule >= 0 && newest(w, at)) {
        write_ruled(w, at, w->rules[rule].rule);
        return HD_OK;
    }
    if (on && first_object(w, at) != NONE) {
        if (own && own->kind != FMT_JSON_OBJECT)
            at->base = NONE;
        return object_write(w, at, ret_any);
    }
    *ret_any = own != NULL;
    if (own)
        fmt_json_add_value(w->out, own);
    return HD_OK;
}

/* One name and all that have it. */
static enum hd_err
member_write(struct walk *w, const struct level *at, const struct fmt_json_same *same, uint32_t n,
             struct fmt_json_source *room, bool *any)
{
    struct level below = { .sources = room, .base = NONE };
    const size_t before = w->out->n;
    char memory[NAME_ROOM];
    struct hd_slice name;
    bool shown;

    if (fmt_json_text(same[0].node->key, same[0].node->key_escaped, memory, sizeof(memory), &name))
        name = hd_slice(NULL, 0);
    (void)fmt_paths_step(&w->paths, &at->places, name, &below.places);
    for (uint32_t i = 0; i < w->n; i++)
        room[i] = (struct fmt_json_source){ .tree = &w->trees[i] };
    for (uint32_t i = 0; i < n; i++) {
        room[same[i].source].node = same[i].node;
        if (same[i].source == at->base)
            below.base = at->base;
    }
    if (*any)
        hd_str_add_char(w->out, ',');
    fmt_json_add_name(w->out, same[0].node);
    enum hd_err err = value_write(w, &below, &shown);
    *any = *any || shown;
    if (!shown && w->out->p) {
        w->out->n = before;
        w->out->p[before] = '\0';
    }
    return err;
}

static enum hd_err
object_write(struct walk *w, const struct level *at, bool *ret_any)
{
    struct fmt_json_groups groups;
    bool any = false;

    struct fmt_json_source *room = malloc(w->n * sizeof(*room));
    if (!room)
        return HD_ENOMEM;
    enum hd_err err = fmt_json_group(at->sources, w->n, &groups);
    hd_str_add_char(w->out, '{');
    for (uint32_t i = 0; !err && i < groups.n; i++)
        err = member_write(w, at, groups.same + groups.groups[i].first, groups.groups[i].n, room,
                           &any);
    hd_str_add_char(w->out, '}');
    fmt_json_groups_done(&groups);
    free(room);
    *ret_any = any || at->base != NONE;
    return err;
}

/* --- all of it ------------------------------------------------------------------------------- */

static enum hd_err
rules_read(struct walk *w, size_t n_rules)
{
    struct hd_slice texts[FMT_PATHS_MAX];

    if (n_rules > FMT_PATHS_MAX)
        return HD_ESYNTAX;
    for (size_t i = 0; i < n_rules; i++)
        texts[i] = w->rules[i].path;
    return fmt_paths_read(texts, n_rules, &w->paths) ? HD_OK : HD_ESYNTAX;
}

static enum hd_err
root_write(struct walk *w, struct fmt_json_source *sources)
{
    struct level root = { .sources = sources };
    bool any;

    for (uint32_t i = 0; i < w->n; i++)
        sources[i] = (struct fmt_json_source){ .tree = &w->trees[i], .node = w->trees[i].nodes };
    fmt_paths_begin(&w->paths, &root.places);
    root.base = first_object(w, &root);
    if (root.base == NONE) {
        fmt_json_add_value(w->out, sources[0].node);
        return HD_OK;
    }
    return object_write(w, &root, &any);
}

enum hd_err
fmt_json_compose(const struct fmt_rule_path *rules, size_t n_rules,
                 const struct hd_slice *documents, size_t n, struct hd_str *out,
                 uint32_t *ret_unfit)
{
    struct walk w = { .rules = rules, .n = (uint32_t)n, .out = out };

    enum hd_err err = rules_read(&w, n_rules);
    if (err)
        return err;
    struct fmt_json_tree *trees = calloc(n, sizeof(*trees));
    struct fmt_json_source *sources = calloc(n, sizeof(*sources));
    if (!trees || !sources)
        err = HD_ENOMEM;
    for (size_t i = 0; !err && i < n; i++)
        err = fmt_json_tree_read(&trees[i], documents[i]);
    w.trees = trees;
    if (!err)
        err = root_write(&w, sources);
    for (size_t i = 0; trees && i < n; i++)
        fmt_json_tree_done(&trees[i]);
    free(trees);
    free(sources);
    if (!err)
        err = out->err;
    if (!err)
        *ret_unfit = w.unfit;
    return err;
}
