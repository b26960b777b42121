/* from_json.c - application/vnd.herald.filter+json.
 *
 *     { "any": [ { "above": { "path": "hr", "value": 140, "clear": 120, "for": "5s" } }, ... ] }
 *     { "above": { ... }, "name": "hr-high", "clear-notify": true }
 *     { "when": "hr above 140 clear 120 for 5s" }
 *
 * "any" at the top lists triggers, each of which fires by itself; below, "any" and "all" join
 * conditions into one.  A member that is not known is refused with its place. */
#include "filter/set.h"

#include <stdlib.h>

#include "format/json.h"

#define TEXT_MOST 1024 /* octets of a value */

struct reader {
    struct flt_set *set;
    struct fmt_json_tree tree;
    const char *begin;
    struct flt_fault *fault;
    char memory[8 * TEXT_MOST]; /* values with escapes, of one condition */
    size_t used;
};

static enum hd_err
fault(struct reader *r, enum hd_err err, const char *reason, struct hd_slice where)
{
    r->fault->reason = reason;
    r->fault->at = where.p ? (size_t)(where.p - r->begin) : 0;
    return err;
}

/* What a value says, as text. */
static enum hd_err
value_text(struct reader *r, const struct fmt_json_node *node, struct hd_slice *ret_text)
{
    if (node->kind == FMT_JSON_ARRAY || node->kind == FMT_JSON_OBJECT ||
        node->kind == FMT_JSON_NULL)
        return fault(r, HD_ESYNTAX, "a text, a number, true or false is missing", node->text);
    if (node->text.n > TEXT_MOST || sizeof(r->memory) - r->used < TEXT_MOST ||
        fmt_json_text(node->text, node->escaped, r->memory + r->used, TEXT_MOST, ret_text))
        return fault(r, HD_EDENIED, "a value that is too long", node->text);
    if (node->escaped)
        r->used += ret_text->n;
    return HD_OK;
}

static bool
is_named(const struct fmt_json_node *node, struct hd_slice name)
{
    return fmt_json_text_eq(node->key, node->key_escaped, name);
}

/* [[lat, lon], ...] */
static enum hd_err
read_polygon(struct reader *r, const struct fmt_json_node *array, struct flt_spec *spec)
{
    struct flt_point corners[FLT_CORNERS_MOST + 1];
    struct flt_value value;
    unsigned n = 0;

    for (const struct fmt_json_node *pair = fmt_json_first(&r->tree, array); pair;
         pair = fmt_json_next(&r->tree, pair)) {
        const struct fmt_json_node *lat = fmt_json_element(&r->tree, pair, 0);
        const struct fmt_json_node *lon = fmt_json_element(&r->tree, pair, 1);
        if (n > FLT_CORNERS_MOST)
            return fault(r, HD_EDENIED, "a polygon has 3 to 128 corners and an area", pair->text);
        if (!lat || !lon || lat->kind != FMT_JSON_NUMBER || lon->kind != FMT_JSON_NUMBER)
            return fault(r, HD_ESYNTAX, "a corner is [latitude, longitude]", pair->text);
        flt_value_text(lat->text, true, &value);
        corners[n].lat = value.is_number ? value.number : 1000;
        flt_value_text(lon->text, true, &value);
        corners[n++].lon = value.is_number ? value.number : 1000;
    }
    if (spec->region)
        return fault(r, HD_EDENIED, "two regions in one condition", array->text);
    enum hd_err err = flt_region_polygon(corners, n, &spec->region);
    return err == HD_ERANGE
               ? fault(r, HD_EDENIED, "a polygon has 3 to 128 corners and an area", array->text)
               : err;
}

static enum hd_err
read_parameters(struct reader *r, const struct fmt_json_node *node, struct flt_spec *spec)
{
    struct hd_slice text;

    if (node->kind != FMT_JSON_OBJECT) { /* "stale-for": "10s" */
        enum hd_err err = value_text(r, node, &text);
        if (!err)
            flt_spec_add(spec, HD_LIT("value"), text, (size_t)(node->text.p - r->begin));
        return err;
    }
    for (const struct fmt_json_node *p = fmt_json_first(&r->tree, node); p;
         p = fmt_json_next(&r->tree, p)) {
        if (spec->n == FLT_PARAMETERS_MOST)
            return fault(r, HD_EDENIED, "too many parameters", p->key);
        if (p->kind == FMT_JSON_ARRAY && is_named(p, HD_LIT("polygon"))) {
            enum hd_err err = read_polygon(r, p, spec);
            if (err)
                return err;
            continue;
        }
        enum hd_err err = value_text(r, p, &text);
        if (err)
            return err;
        flt_spec_add(spec, p->key, text, (size_t)(p->text.p - r->begin));
    }
    return HD_OK;
}

static bool
is_option(const struct fmt_json_node *member)
{
    return is_named(member, HD_LIT("name")) || is_named(member, HD_LIT("clear-notify"));
}

/* The one member of a condition that says what it is. */
static enum hd_err
only_member(struct reader *r, const struct fmt_json_node *object,
            const struct fmt_json_node **ret_member)
{
    const struct fmt_json_node *found = NULL;

    if (object->kind != FMT_JSON_OBJECT)
        return fault(r, HD_ESYNTAX, "a condition is an object", object->text);
    for (const struct fmt_json_node *m = fmt_json_first(&r->tree, object); m;
         m = fmt_json_next(&r->tree, m)) {
        if (is_option(m))
            continue;
        if (found)
            return fault(r, HD_EDENIED, "two conditions in one object", m->key);
        found = m;
    }
    if (!found)
        return fault(r, HD_ESYNTAX, "a condition is missing", object->text);
    *ret_member = found;
    return HD_OK;
}

static enum hd_err
read_node(struct reader *r, const struct fmt_json_node *object, uint16_t *ret_node)
{
    const struct fmt_json_node *member;
    uint16_t inner;
    enum hd_err err = only_member(r, object, &member);

    if (err)
        return err;
    bool any = is_named(member, HD_LIT("any")), all = is_named(member, HD_LIT("all"));
    if (!any && !all) {
        struct flt_spec spec = { .op = member->key, .at = (size_t)(member->key.p - r->begin) };
        r->used = 0;
        if (!flt_condition_known(member->key))
            return fault(r, HD_EDENIED, "there is no such condition", member->key);
        err = read_parameters(r, member, &spec);
        if (!err)
            err = flt_condition_add(r->set, &spec, ret_node, r->fault);
        free(spec.region);
        return err;
    }
    if (member->kind != FMT_JSON_ARRAY || !member->child)
        return fault(r, HD_ESYNTAX, "\"any\" and \"all\" list conditions", member->text);
    err = flt_set_add_node(r->set, any ? FLT_ANY : FLT_ALL, 0, ret_node);
    for (const struct fmt_json_node *m = fmt_json_first(&r->tree, member); m && !err;
         m = fmt_json_next(&r->tree, m)) {
        err = read_node(r, m, &inner);
        if (!err)
            flt_set_hang(r->set, *ret_node, inner);
    }
    return err == HD_EDENIED && !r->fault->reason
               ? fault(r, err, "too many conditions", member->text)
               : err;
}

static enum hd_err
read_options(struct reader *r, const struct fmt_json_node *object, struct flt_trigger *trigger)
{
    struct flt_spec spec = { 0 };
    struct hd_slice text;

    r->used = 0;
    for (const struct fmt_json_node *m = fmt_json_first(&r->tree, object); m;
         m = fmt_json_next(&r->tree, m)) {
        if (!is_option(m))
            continue;
        enum hd_err err = value_text(r, m, &text);
        if (err)
            return err;
        flt_spec_add(&spec, m->key, text, (size_t)(m->text.p - r->begin));
    }
    return flt_condition_name(r->set, trigger, &spec, r->fault);
}

static enum hd_err
read_trigger(struct reader *r, const struct fmt_json_node *object)
{
    struct flt_trigger *trigger;
    char name[8] = { 0 };
    uint32_t number = r->set->n_triggers + 1;
    uint16_t root;
    enum hd_err err = read_node(r, object, &root);

    if (err)
        return err;
    size_t n = 0;
    if (number >= 10)
        name[n++] = (char)('0' + number / 10 % 10);
    name[n++] = (char)('0' + number % 10);
    err = flt_set_add_trigger(r->set, root, hd_slice(name, n), true, &trigger);
    if (err == HD_EDENIED)
        return fault(r, err, "too many triggers", object->text);
    return err ? err : read_options(r, object, trigger);
}

/* The place of a fault in words is one in the text of the member. */
static enum hd_err
read_when(struct reader *r, const struct fmt_json_node *node)
{
    struct hd_slice text;

    r->used = 0;
    enum hd_err err = value_text(r, node, &text);
    if (err)
        return err;
    err = flt_read_when(r->set, text, r->fault);
    if (err)
        r->fault->at += (size_t)(node->text.p - r->begin);
    return err;
}

static enum hd_err
read_whens(struct reader *r, const struct fmt_json_node *node)
{
    enum hd_err err = HD_OK;

    if (node->kind != FMT_JSON_ARRAY)
        return read_when(r, node);
    for (const struct fmt_json_node *m = fmt_json_first(&r->tree, node); m && !err;
         m = fmt_json_next(&r->tree, m))
        err = read_when(r, m);
    return err;
}

static enum hd_err
read_top(struct reader *r)
{
    const struct fmt_json_node *top = &r->tree.nodes[0], *member;

    if (top->kind == FMT_JSON_OBJECT && !top->child)
        return HD_OK; /* {}: no filter any more */
    enum hd_err err = only_member(r, top, &member);
    if (err)
        return err;
    if (is_named(member, HD_LIT("when")))
        return read_whens(r, member);
    if (!is_named(member, HD_LIT("any")) || member->kind != FMT_JSON_ARRAY)
        return read_trigger(r, top);
    for (const struct fmt_json_node *m = fmt_json_first(&r->tree, member); m && !err;
         m = fmt_json_next(&r->tree, m))
        err = read_trigger(r, m);
    return err;
}

enum hd_err
flt_read_json(struct flt_set *set, struct hd_slice text, struct flt_fault *ret_fault)
{
    struct reader *r = calloc(1, sizeof(*r));
    const char *reason = NULL;

    if (!r)
        return HD_ENOMEM;
    *ret_fault = (struct flt_fault){ 0 };
    r->set = set;
    r->begin = text.p;
    r->fault = ret_fault;
    enum hd_err err = fmt_json_tree_read(&r->tree, text);
    if (err == HD_ESYNTAX)
        *ret_fault = (struct flt_fault){ r->tree.reason, r->tree.at };
    if (err == HD_EFULL) {
        *ret_fault = (struct flt_fault){ "too many values", 0 };
        err = HD_EDENIED;
    }
    if (!err) {
        err = fmt_json_check(text, text.n, &reason);
        if (err == HD_ESYNTAX)
            *ret_fault = (struct flt_fault){ reason, 0 };
    }
    if (!err)
        err = read_top(r);
    fmt_json_tree_done(&r->tree);
    free(r);
    return err;
}
