/* say.c - the conditions of a filter in words, with the values that were compared: for those who
 * ask why a NOTIFY came, or did not. */
#include <stdarg.h>
#include <stdio.h>

#include "filter/set.h"

#define SHOWN 60 /* octets of a text value */

struct words {
    char *p;
    size_t n, cap;
};

static void HD_PRINTF(2, 3) add(struct words *out, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    const int n = vsnprintf(out->p + out->n, out->cap - out->n, format, args);
    va_end(args);
    if (n > 0)
        out->n += (size_t)n < out->cap - out->n ? (size_t)n : out->cap - out->n - 1;
}

static void
add_text(struct words *out, struct hd_slice text)
{
    add(out, "%.*s%s", (int)(text.n < SHOWN ? text.n : SHOWN), text.p ? text.p : "",
        text.n > SHOWN ? "..." : "");
}

/* "hr is 128" */
static void
add_value(struct words *out, const struct flt_leaf *leaf, const struct flt_reading *reading)
{
    struct flt_value value;

    add_text(out, leaf->path.text);
    if (!reading)
        return;
    if (!flt_reading_value(reading, &leaf->path, &value)) {
        add(out, " is not in the document");
        return;
    }
    add(out, " is ");
    if (value.type == FLT_TYPE_BOOL)
        add(out, "%s", value.truth ? "true" : "false");
    else if (value.is_number)
        add(out, "%.10g", value.number);
    else
        add_text(out, value.text);
}

static void
add_place(struct words *out, const struct flt_leaf *leaf, struct flt_reading *reading)
{
    static const char *const sides[] = { [FLT_SIDE_OUT] = "outside",
                                         [FLT_SIDE_IN] = "inside",
                                         [FLT_SIDE_UNSURE] = "not surely inside" };
    const struct flt_place *place = reading ? flt_reading_place(reading) : NULL;

    if (place)
        add(out, "the position is %s the region", sides[flt_side(leaf->region, place)]);
    else
        add(out, reading ? "the document has no position" : "the position was not looked at");
}

static void
add_levels(struct words *out, const struct flt_leaf *leaf, struct flt_reading *reading)
{
    add_value(out, leaf, reading);
    add(out, ", wanted %s %.10g", leaf->kind == FLT_ABOVE ? "above" : "below", leaf->value);
    if (leaf->clear != leaf->value)
        add(out, " (armed again at %.10g)", leaf->clear);
}

static void
add_compared(struct words *out, const struct flt_leaf *leaf)
{
    if (leaf->kind == FLT_MOVED)
        add(out, "the way since the last NOTIFY, wanted %.10g m", leaf->value);
    else {
        add_text(out, leaf->path.text);
        add(out, " against the last NOTIFY, wanted %s",
            leaf->kind == FLT_ADDED     ? "added"
            : leaf->kind == FLT_REMOVED ? "removed"
                                        : "changed");
    }
}

static void
add_leaf(struct words *out, const struct flt_leaf *leaf, struct flt_reading *reading)
{
    switch (leaf->kind) {
    case FLT_ABOVE:
    case FLT_BELOW:
        add_levels(out, leaf, reading);
        return;
    case FLT_IS:
        add_value(out, leaf, reading);
        add(out, ", wanted ");
        add_text(out, leaf->to);
        return;
    case FLT_ENTERS:
    case FLT_LEAVES:
        if (leaf->region) {
            add_place(out, leaf, reading);
            add(out, ", wanted %s", leaf->kind == FLT_ENTERS ? "inside" : "outside");
            return;
        }
        add_value(out, leaf, reading);
        add(out, ", wanted %s %.10g to %.10g", leaf->kind == FLT_ENTERS ? "in" : "out of",
            leaf->value, leaf->clear);
        return;
    case FLT_CROSSES:
        add_place(out, leaf, reading);
        add(out, ", wanted a crossing");
        return;
    case FLT_STALE:
        add(out, "wanted silence for %u ms", (unsigned)leaf->for_ms);
        return;
    case FLT_CHANGED:
    case FLT_ADDED:
    case FLT_REMOVED:
    case FLT_MOVED:
        add_compared(out, leaf);
        return;
    }
}

static void
add_phase(struct words *out, const struct flt_leaf *leaf, const struct flt_leaf_state *state)
{
    if (leaf->kind > FLT_CROSSES)
        return;
    switch ((enum flt_phase)state->phase) {
    case FLT_UNKNOWN:
        add(out, ": not known yet");
        return;
    case FLT_ARMED:
        add(out, ": no");
        return;
    case FLT_PENDING:
        add(out, ": yes, for less than %u ms", (unsigned)leaf->for_ms);
        return;
    case FLT_FIRED:
        add(out, ": yes");
        return;
    }
}

size_t
flt_say(const struct evt_filter *filter, const void *state, struct flt_reading *reading, char *text,
        size_t cap)
{
    const struct flt_set *set = flt_set_of(filter);
    const struct flt_state *all = state;
    struct words out = { .p = text, .cap = cap };

    HD_ASSERT(cap > 0);
    text[0] = '\0';
    for (uint32_t i = 0; i < set->n_leaves; i++) {
        if (i)
            add(&out, "; ");
        add_leaf(&out, &set->leaves[i], reading);
        add_phase(&out, &set->leaves[i], &all->leaf[i]);
    }
    return out.n;
}
