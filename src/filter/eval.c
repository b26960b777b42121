/* eval.c - the state machine of conditions.
 *
 *     UNKNOWN -> ARMED     a value that does not meet it
 *     UNKNOWN -> FIRED     a value that does, with no dwell
 *     ARMED   -> PENDING   it is met, and has to stay so for its dwell
 *     ARMED, PENDING -> FIRED  it is met (for as long as it has to be)
 *     PENDING -> ARMED     it is no longer met
 *     FIRED   -> ARMED     its re-arm level is reached
 *
 * A trigger fires when its conditions become true together: once per crossing, since between the
 * level and the re-arm level nothing changes.  A document that lacks the value leaves a condition
 * as it was. */
#include "filter/set.h"

/* --- one condition --------------------------------------------------------------------------- */

enum verdict {
    LACKS = 0, /* the document does not say */
    MET,
    BETWEEN, /* not met, and not so far that it is armed again */
    CLEAR
};

static bool
unit_fits(const struct flt_leaf *leaf, const struct flt_value *value)
{
    return !leaf->unit.n || hd_slice_eq(leaf->unit, value->unit);
}

static bool
number_at(const struct flt_leaf *leaf, const struct flt_reading *reading, double *ret)
{
    struct flt_value value;

    if (!flt_reading_value(reading, &leaf->path, &value) || !value.is_number ||
        !unit_fits(leaf, &value))
        return false;
    *ret = value.number;
    return true;
}

/* The same as a number, or to the letter; true and false are words. */
static bool
value_is(const struct flt_value *value, struct hd_slice text, bool is_number, double number)
{
    if (value->type == FLT_TYPE_BOOL)
        return hd_slice_eq(text, value->truth ? HD_LIT("true") : HD_LIT("false")) ||
               hd_slice_eq(text, value->truth ? HD_LIT("1") : HD_LIT("0"));
    if (is_number && value->is_number)
        return value->number == number;
    return hd_slice_eq(value->text, text);
}

/* wanted: the side that meets it; the other one, of the region where it is armed again, clears it.
 */
static enum verdict
in_region(const struct flt_leaf *leaf, struct flt_reading *reading, enum flt_side wanted)
{
    const struct flt_place *place = flt_reading_place(reading);

    if (!place)
        return LACKS;
    enum flt_side side = flt_side(leaf->region, place);
    if (side == wanted)
        return MET;
    if (leaf->clear_region)
        side = flt_side(leaf->clear_region, place);
    return side == FLT_SIDE_UNSURE || side == wanted ? BETWEEN : CLEAR;
}

static enum verdict
in_band(const struct flt_leaf *leaf, struct flt_reading *reading)
{
    double number;

    if (leaf->region)
        return in_region(leaf, reading, leaf->kind == FLT_LEAVES ? FLT_SIDE_OUT : FLT_SIDE_IN);
    if (!number_at(leaf, reading, &number))
        return LACKS;
    bool inside = number >= leaf->value && number <= leaf->clear;
    return inside == (leaf->kind == FLT_ENTERS) ? MET : CLEAR;
}

static enum verdict
judge(const struct flt_leaf *leaf, struct flt_reading *reading)
{
    struct flt_value value;
    double number;

    switch (leaf->kind) {
    case FLT_ABOVE:
        if (!number_at(leaf, reading, &number))
            return LACKS;
        return number > leaf->value ? MET : number <= leaf->clear ? CLEAR : BETWEEN;
    case FLT_BELOW:
        if (!number_at(leaf, reading, &number))
            return LACKS;
        return number < leaf->value ? MET : number >= leaf->clear ? CLEAR : BETWEEN;
    case FLT_IS:
        if (!flt_reading_value(reading, &leaf->path, &value) || !unit_fits(leaf, &value))
            return LACKS;
        return value_is(&value, leaf->to, leaf->to_is_number, leaf->to_number) ? MET : CLEAR;
    case FLT_ENTERS:
    case FLT_LEAVES:
        return in_band(leaf, reading);
    case FLT_CROSSES:
        return in_region(leaf, reading, FLT_SIDE_IN);
    case FLT_STALE:
    case FLT_CHANGED:
    case FLT_ADDED:
    case FLT_REMOVED:
    case FLT_MOVED:
        break;
    }
    return BETWEEN;
}

/* What a verdict does to a condition that looks at the document. */
static void
settle(const struct flt_leaf *leaf, struct flt_leaf_state *state, enum verdict verdict,
       uint64_t now_ms)
{
    switch (verdict) {
    case LACKS:
        return;
    case CLEAR:
        state->moment = leaf->kind == FLT_CROSSES && state->phase == FLT_FIRED;
        state->phase = FLT_ARMED;
        return;
    case BETWEEN:
        if (state->phase != FLT_FIRED && state->phase != FLT_UNKNOWN)
            state->phase = FLT_ARMED;
        /* What is neither above nor at the re-arm level has not fired yet. */
        if (state->phase == FLT_UNKNOWN && leaf->kind != FLT_CROSSES && !leaf->region)
            state->phase = FLT_ARMED;
        return;
    case MET:
        break;
    }
    if (state->phase == FLT_FIRED || state->phase == FLT_PENDING)
        return;
    state->moment = leaf->kind == FLT_CROSSES;
    state->phase = leaf->for_ms ? FLT_PENDING : FLT_FIRED;
    state->since_ms = now_ms;
}

/* Whether the dwell, or the silence, has lasted long enough. */
static void
mature(const struct flt_leaf *leaf, struct flt_leaf_state *state, const struct flt_state *all,
       uint64_t now_ms, uint64_t *due_ms)
{
    uint64_t due = UINT64_MAX;

    if (leaf->kind == FLT_STALE && state->phase != FLT_FIRED)
        due = all->sign_ms + leaf->for_ms;
    else if (state->phase == FLT_PENDING)
        due = state->since_ms + leaf->for_ms;
    if (due <= now_ms)
        state->phase = FLT_FIRED;
    else if (due < *due_ms)
        *due_ms = due;
}

/* --- together -------------------------------------------------------------------------------- */

static bool
holds(const struct flt_set *set, const struct flt_state *state, uint16_t node, uint64_t moments)
{
    const struct flt_node *n = &set->nodes[node];

    if (n->join == FLT_LEAF) {
        const struct flt_leaf *leaf = &set->leaves[n->leaf];
        if (leaf->kind > FLT_CROSSES)
            return moments >> n->leaf & 1;
        return leaf->kind == FLT_CROSSES ? state->leaf[n->leaf].moment
                                         : state->leaf[n->leaf].phase == FLT_FIRED;
    }
    for (uint16_t i = n->child; i; i = set->nodes[i].next)
        if (holds(set, state, i, moments) != (n->join == FLT_ALL))
            return n->join == FLT_ANY;
    return n->join == FLT_ALL;
}

void
flt_begin(const struct evt_filter *filter, void *memory, uint64_t now_ms)
{
    struct flt_state *state = memory;

    memset(state, 0, filter->state_size);
    state->sign_ms = now_ms;
}

static void
look(const struct flt_set *set, struct flt_state *state, struct flt_reading *reading, bool sign,
     uint64_t now_ms, struct evt_step *step)
{
    for (uint32_t i = 0; i < set->n_leaves; i++) {
        const struct flt_leaf *leaf = &set->leaves[i];
        struct flt_leaf_state *s = &state->leaf[i];
        uint8_t before = s->phase;
        s->moment = false;
        if (leaf->kind > FLT_CROSSES)
            continue;
        if (leaf->kind == FLT_STALE) {
            if (sign)
                s->phase = FLT_ARMED;
        } else if (reading) {
            enum verdict verdict = judge(leaf, reading);
            step->missing += verdict == LACKS;
            settle(leaf, s, verdict, now_ms);
        }
        mature(leaf, s, state, now_ms, &step->due_ms);
        step->changed = step->changed || before != s->phase;
    }
}

void
flt_step(const struct evt_filter *filter, void *memory, struct flt_reading *reading, bool sign,
         uint64_t now_ms, struct evt_step *ret_step)
{
    const struct flt_set *set = flt_set_of(filter);
    struct flt_state *state = memory;
    uint32_t on = 0;

    *ret_step = (struct evt_step){ .due_ms = UINT64_MAX };
    if (sign)
        state->sign_ms = now_ms;
    look(set, state, reading, sign, now_ms, ret_step);
    for (uint32_t i = 0; i < set->n_triggers; i++) {
        const struct flt_trigger *trigger = &set->triggers[i];
        uint32_t bit = UINT32_C(1) << i;
        if (trigger->compares)
            continue; /* flt_compare()'s */
        bool now = holds(set, state, trigger->root, 0);
        if (trigger->moment) {
            ret_step->fired |= now ? bit : 0;
        } else if (now) {
            on |= bit;
            ret_step->fired |= bit & ~state->on;
        } else if (trigger->clear_notify) {
            ret_step->cleared |= bit & state->on;
        }
    }
    ret_step->changed = ret_step->changed || on != state->on;
    state->on = on;
    ret_step->on = on;
}

/* --- against what was sent ------------------------------------------------------------------- */

static bool
same_text(struct hd_slice a, struct hd_slice b)
{
    double x, y;

    if (hd_slice_eq(a, b))
        return true;
    struct flt_value v, w;
    flt_value_text(a, false, &v);
    flt_value_text(b, false, &w);
    x = v.number;
    y = w.number;
    return v.is_number && w.is_number ? x == y : hd_slice_eq(v.text, w.text);
}

/* RFC 4661 section 3.6.1: from, to and by all hold.  The texts of enumerations are compared without
 * their case: its own example 6.2 writes OPEN for PIDF's "open". */
static bool
change_fits(const struct flt_leaf *leaf, bool had, struct hd_slice before, struct hd_slice now)
{
    struct flt_value v, w;

    flt_value_text(now, false, &w);
    if (had) {
        if (same_text(before, now))
            return false;
        flt_value_text(before, false, &v);
        if (leaf->has_from && !hd_slice_ieq(v.text, leaf->from) && !same_text(v.text, leaf->from))
            return false;
    } else if (leaf->has_from) {
        return false;
    }
    if (leaf->has_to && !hd_slice_ieq(w.text, leaf->to) && !same_text(w.text, leaf->to))
        return false;
    if (!leaf->has_by)
        return true;
    if (!w.is_number)
        return false;
    double by = had && v.is_number ? w.number - v.number : leaf->by;
    return by >= leaf->by || -by >= leaf->by;
}

static bool
json_changed(const struct flt_leaf *leaf, const struct flt_reading *before,
             const struct flt_reading *now)
{
    struct flt_value v, w;
    bool has = flt_reading_value(now, &leaf->path, &w);
    bool had = before && flt_reading_value(before, &leaf->path, &v);

    if (leaf->kind == FLT_ADDED)
        return has && !had;
    if (leaf->kind == FLT_REMOVED)
        return had && !has;
    if (!has)
        return false;
    if (w.type == FLT_TYPE_BOOL)
        w.text = w.truth ? HD_LIT("true") : HD_LIT("false");
    if (had && v.type == FLT_TYPE_BOOL)
        v.text = v.truth ? HD_LIT("true") : HD_LIT("false");
    return change_fits(leaf, had, had ? v.text : hd_slice(NULL, 0), w.text);
}

/* Which element of the other document is this one: the same name, the same id or the same place
 * among its like, below the same parent. */
static uint32_t
counterpart(const struct fmt_xml_tree *from, uint32_t index, const struct fmt_xml_tree *to)
{
    const struct fmt_xml_node *node = &from->nodes[index];
    struct hd_slice id, other;
    uint32_t at, place = 0;

    if (node->parent == FMT_XML_NONE)
        return to->n && hd_slice_eq(to->nodes[0].name.local, node->name.local) ? 0 : FMT_XML_NONE;
    uint32_t parent = counterpart(from, node->parent, to);
    if (parent == FMT_XML_NONE)
        return FMT_XML_NONE;
    bool has_id = fmt_xml_node_value(from, node, HD_LIT("id"), &id);
    for (at = from->nodes[node->parent].child; at != index; at = from->nodes[at].next)
        place += fmt_xml_is(&from->nodes[at].name, node->name.ns, node->name.local);
    for (at = to->nodes[parent].child; at != FMT_XML_NONE; at = to->nodes[at].next) {
        if (!fmt_xml_is(&to->nodes[at].name, node->name.ns, node->name.local))
            continue;
        if (has_id) {
            if (fmt_xml_node_value(to, &to->nodes[at], HD_LIT("id"), &other) &&
                hd_slice_eq(id, other))
                return at;
        } else if (place-- == 0) {
            return at;
        }
    }
    return FMT_XML_NONE;
}

static struct hd_slice
selected_text(const struct flt_leaf *leaf, const struct fmt_xml_tree *tree, uint32_t index)
{
    const struct fmt_xml_node *node = &tree->nodes[index];
    const struct fmt_xml_attribute *a = flt_xpath_attribute_of(leaf->path.xpath, tree, node);

    if (a)
        return a->value;
    /* An element without text of its own is its children, as they are written. */
    return node->text.n || node->child == FMT_XML_NONE ? node->text : node->span;
}

/* Whether some element that is selected in one document is not in the other. */
static bool
xml_appeared(const struct flt_leaf *leaf, const struct flt_reading *in,
             const struct flt_reading *other)
{
    if (!in || in->form != FLT_FORM_XML ||
        !flt_xpath_select(leaf->path.xpath, &in->xml, in->marks, in->spare))
        return false;
    if (!other || other->form != FLT_FORM_XML)
        return true;
    flt_xpath_select(leaf->path.xpath, &other->xml, other->marks, other->spare);
    for (uint32_t i = 0; i < in->xml.n; i++) {
        if (!in->marks[i])
            continue;
        uint32_t j = counterpart(&in->xml, i, &other->xml);
        if (j == FMT_XML_NONE || !other->marks[j])
            return true;
    }
    return false;
}

static bool
xml_changed(const struct flt_leaf *leaf, const struct flt_reading *before,
            const struct flt_reading *now)
{
    bool had = before && before->form == FLT_FORM_XML;

    if (!leaf->path.xpath)
        return false;
    if (leaf->kind == FLT_ADDED)
        return xml_appeared(leaf, now, before);
    if (leaf->kind == FLT_REMOVED)
        return xml_appeared(leaf, before, now);
    if (!flt_xpath_select(leaf->path.xpath, &now->xml, now->marks, now->spare))
        return false;
    if (had)
        flt_xpath_select(leaf->path.xpath, &before->xml, before->marks, before->spare);
    for (uint32_t i = 0; i < now->xml.n; i++) {
        if (!now->marks[i])
            continue;
        uint32_t j = had ? counterpart(&now->xml, i, &before->xml) : FMT_XML_NONE;
        bool there = j != FMT_XML_NONE && before->marks[j];
        if (change_fits(leaf, there,
                        there ? selected_text(leaf, &before->xml, j) : hd_slice(NULL, 0),
                        selected_text(leaf, &now->xml, i)))
            return true;
    }
    return false;
}

static bool
moved(const struct flt_leaf *leaf, struct flt_reading *before, struct flt_reading *now)
{
    const struct flt_place *to = flt_reading_place(now);
    const struct flt_place *from = before ? flt_reading_place(before) : NULL;

    return to && (!from || flt_moved(from, to) >= leaf->value);
}

uint32_t
flt_compare(const struct evt_filter *filter, const void *memory, struct flt_reading *before,
            struct flt_reading *now)
{
    const struct flt_set *set = flt_set_of(filter);
    const struct flt_state *state = memory;
    uint64_t moments = 0;
    uint32_t fired = 0;

    for (uint32_t i = 0; i < set->n_leaves; i++) {
        const struct flt_leaf *leaf = &set->leaves[i];
        bool yes;
        if (leaf->kind < FLT_CHANGED)
            continue;
        if (leaf->kind == FLT_MOVED)
            yes = moved(leaf, before, now);
        else if (now->form == FLT_FORM_XML ||
                 (now->form == FLT_FORM_NONE && before && before->form == FLT_FORM_XML))
            yes = xml_changed(leaf, before, now);
        else
            yes = json_changed(leaf, before, now);
        moments |= (uint64_t)yes << i;
    }
    for (uint32_t i = 0; i < set->n_triggers; i++)
        if (set->triggers[i].compares && holds(set, state, set->triggers[i].root, moments))
            fired |= UINT32_C(1) << i;
    return fired;
}

/* --- over a restart -------------------------------------------------------------------------- */

void
flt_save(const struct evt_filter *filter, const void *memory, uint64_t now_ms,
         struct hd_bytes_out *out)
{
    const struct flt_set *set = flt_set_of(filter);
    const struct flt_state *state = memory;

    hd_bytes_put_u32(out, state->on);
    hd_bytes_put_u64(out, now_ms - state->sign_ms);
    for (uint32_t i = 0; i < set->n_leaves; i++) {
        hd_bytes_put_u8(out, state->leaf[i].phase);
        hd_bytes_put_u64(out, now_ms - state->leaf[i].since_ms);
    }
}

enum hd_err
flt_load(const struct evt_filter *filter, void *memory, uint64_t now_ms, struct hd_slice saved)
{
    const struct flt_set *set = flt_set_of(filter);
    struct flt_state *state = memory;
    struct hd_bytes_in in;

    hd_bytes_in_init(&in, saved);
    uint32_t on = hd_bytes_get_u32(&in);
    (void)hd_bytes_get_u64(&in); /* how long it was silent before says nothing of the time since */
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < set->n_leaves; i++) {
            uint8_t phase = hd_bytes_get_u8(&in);
            uint64_t age = hd_bytes_get_u64(&in);
            if (phase > FLT_FIRED)
                hd_bytes_in_fail(&in, HD_ESYNTAX);
            if (pass) {
                state->leaf[i].phase = phase;
                state->leaf[i].since_ms = age < now_ms ? now_ms - age : 0;
            }
        }
        if (pass == 0) {
            if (set->n_triggers < 32 && on >> set->n_triggers)
                return HD_ESYNTAX;
            enum hd_err err = hd_bytes_in_end(&in);
            if (err)
                return err;
            hd_bytes_in_init(&in, hd_slice_from(saved, 12));
        }
    }
    state->on = on;
    state->sign_ms = now_ms;
    return HD_OK;
}
