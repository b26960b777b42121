/* condition.c - a condition made from its name and parameters, whoever read them.
 *
 * What does not make sense is refused, with the place: a clear on the wrong side, a dwell for
 * something that is true for a moment only, a number that is none, a parameter that is not known.
 */
#include <math.h>
#include <stdlib.h>

#include "base/lit.h"
#include "filter/number.h"
#include "filter/set.h"

enum {
    P_PATH = 1 << 0,
    P_VALUE = 1 << 1,
    P_CLEAR = 1 << 2,
    P_FOR = 1 << 3,
    P_UNIT = 1 << 4,
    P_LOW = 1 << 5,
    P_HIGH = 1 << 6,
    P_LAT = 1 << 7,
    P_LON = 1 << 8,
    P_WITHIN = 1 << 9,
    P_FROM = 1 << 10,
    P_TO = 1 << 11,
    P_BY = 1 << 12,
    P_TRIGGER = 1 << 13 /* name and clear-notify */
};

static const struct {
    struct hd_slice name;
    unsigned bit;
} parameters[] = {
    { HD_LIT_INIT("path"), P_PATH },       { HD_LIT_INIT("value"), P_VALUE },
    { HD_LIT_INIT("clear"), P_CLEAR },     { HD_LIT_INIT("for"), P_FOR },
    { HD_LIT_INIT("unit"), P_UNIT },       { HD_LIT_INIT("low"), P_LOW },
    { HD_LIT_INIT("high"), P_HIGH },       { HD_LIT_INIT("lat"), P_LAT },
    { HD_LIT_INIT("lon"), P_LON },         { HD_LIT_INIT("within"), P_WITHIN },
    { HD_LIT_INIT("distance"), P_WITHIN }, { HD_LIT_INIT("from"), P_FROM },
    { HD_LIT_INIT("to"), P_TO },           { HD_LIT_INIT("by"), P_BY },
    { HD_LIT_INIT("name"), P_TRIGGER },    { HD_LIT_INIT("clear-notify"), P_TRIGGER },
};

static const struct {
    struct hd_slice name;
    enum flt_kind kind;
    unsigned may, must;
} conditions[] = {
    { HD_LIT_INIT("above"), FLT_ABOVE, P_PATH | P_VALUE | P_CLEAR | P_FOR | P_UNIT,
      P_PATH | P_VALUE },
    { HD_LIT_INIT("below"), FLT_BELOW, P_PATH | P_VALUE | P_CLEAR | P_FOR | P_UNIT,
      P_PATH | P_VALUE },
    { HD_LIT_INIT("is"), FLT_IS, P_PATH | P_VALUE | P_FOR | P_UNIT, P_PATH | P_VALUE },
    { HD_LIT_INIT("enters"), FLT_ENTERS,
      P_PATH | P_LOW | P_HIGH | P_LAT | P_LON | P_WITHIN | P_CLEAR | P_FOR | P_UNIT, 0 },
    { HD_LIT_INIT("within"), FLT_ENTERS, P_LAT | P_LON | P_WITHIN | P_CLEAR | P_FOR, 0 },
    { HD_LIT_INIT("leaves"), FLT_LEAVES,
      P_PATH | P_LOW | P_HIGH | P_LAT | P_LON | P_WITHIN | P_CLEAR | P_FOR | P_UNIT, 0 },
    { HD_LIT_INIT("outside"), FLT_LEAVES, P_LAT | P_LON | P_WITHIN | P_CLEAR | P_FOR, 0 },
    { HD_LIT_INIT("crosses"), FLT_CROSSES, P_LAT | P_LON | P_WITHIN, 0 },
    { HD_LIT_INIT("stale-for"), FLT_STALE, P_VALUE | P_FOR, 0 },
    { HD_LIT_INIT("changed"), FLT_CHANGED, P_PATH | P_FROM | P_TO | P_BY, P_PATH },
    { HD_LIT_INIT("changed-by"), FLT_CHANGED, P_PATH | P_VALUE | P_BY, P_PATH },
    { HD_LIT_INIT("added"), FLT_ADDED, P_PATH, P_PATH },
    { HD_LIT_INIT("removed"), FLT_REMOVED, P_PATH, P_PATH },
    { HD_LIT_INIT("moved"), FLT_MOVED, P_VALUE | P_BY, 0 },
};
#define N_CONDITIONS (sizeof(conditions) / sizeof(conditions[0]))

static size_t
condition_find(struct hd_slice op)
{
    size_t i = 0;

    while (i < N_CONDITIONS && !hd_slice_eq(conditions[i].name, op))
        i++;
    return i;
}

bool
flt_condition_known(struct hd_slice op)
{
    return condition_find(op) < N_CONDITIONS;
}

void
flt_spec_add(struct flt_spec *spec, struct hd_slice name, struct hd_slice value, size_t at)
{
    if (spec->n == FLT_PARAMETERS_MOST)
        return; /* more than there are names: one of them stands twice, which is found */
    spec->parameter[spec->n].name = name;
    spec->parameter[spec->n].value = value;
    spec->parameter[spec->n].at = at;
    spec->n++;
}

bool
flt_spec_get(const struct flt_spec *spec, struct hd_slice name, struct hd_slice *ret_value,
             size_t *ret_at)
{
    for (unsigned i = 0; i < spec->n; i++) {
        if (!hd_slice_eq(spec->parameter[i].name, name))
            continue;
        *ret_value = spec->parameter[i].value;
        *ret_at = spec->parameter[i].at;
        return true;
    }
    return false;
}

static enum hd_err
fault(struct flt_fault *ret_fault, enum hd_err err, const char *reason, size_t at)
{
    ret_fault->reason = reason;
    ret_fault->at = at;
    return err;
}

bool
flt_name_fits(struct hd_slice name)
{
    static const char more[] = "-.!%*_+`'~";

    if (name.n == 0 || name.n > FLT_NAME_MOST)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              memchr(more, c, sizeof(more) - 1)))
            return false;
    }
    return true;
}

/* --- parameters ------------------------------------------------------------------------------ */

static unsigned
parameter_bit(struct hd_slice name)
{
    for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++)
        if (hd_slice_eq(parameters[i].name, name))
            return parameters[i].bit;
    return 0;
}

/* Only what the condition knows, nothing twice, nothing missing. */
static enum hd_err
check_parameters(const struct flt_spec *spec, size_t condition, unsigned *ret_has,
                 struct flt_fault *f)
{
    unsigned has = 0;

    for (unsigned i = 0; i < spec->n; i++) {
        unsigned bit = parameter_bit(spec->parameter[i].name);
        if (!bit || !(bit & (conditions[condition].may | P_TRIGGER)))
            return fault(f, HD_EDENIED, "this condition knows no such parameter",
                         spec->parameter[i].at);
        if (has & bit & ~(unsigned)P_TRIGGER)
            return fault(f, HD_ESYNTAX, "a parameter stands twice", spec->parameter[i].at);
        has |= bit;
    }
    if (conditions[condition].must & ~has)
        return fault(f, HD_ESYNTAX,
                     conditions[condition].must & ~has & P_PATH ? "a path is missing"
                                                                : "a value is missing",
                     spec->at);
    *ret_has = has;
    return HD_OK;
}

static enum hd_err
get_number(const struct flt_spec *spec, struct hd_slice name, double *ret, struct flt_fault *f)
{
    struct hd_slice value;
    size_t at = spec->at;

    if (!flt_spec_get(spec, name, &value, &at))
        return fault(f, HD_ESYNTAX, "a number is missing", at);
    switch (flt_number(hd_slice_trim(value), ret)) {
    case HD_OK:
        return HD_OK;
    case HD_ERANGE:
        return fault(f, HD_EDENIED, "a number that is too large", at);
    default:
        return fault(f, HD_ESYNTAX, "not a number", at);
    }
}

static enum hd_err
get_duration(const struct flt_spec *spec, struct hd_slice name, uint32_t *ret_ms,
             struct flt_fault *f)
{
    struct hd_slice value;
    size_t at = spec->at;

    if (!flt_spec_get(spec, name, &value, &at))
        return HD_OK;
    switch (flt_duration(hd_slice_trim(value), ret_ms)) {
    case HD_OK:
        return HD_OK;
    case HD_ERANGE:
        return fault(f, HD_EDENIED, "a duration is from 1 ms to 31 days", at);
    default:
        return fault(f, HD_ESYNTAX, "not a duration", at);
    }
}

static enum hd_err
get_length(const struct flt_spec *spec, struct hd_slice name, double *ret_m, struct flt_fault *f)
{
    struct hd_slice value;
    size_t at = spec->at;

    if (!flt_spec_get(spec, name, &value, &at))
        return fault(f, HD_ESYNTAX, "a distance is missing", at);
    switch (flt_length(hd_slice_trim(value), ret_m)) {
    case HD_OK:
        return HD_OK;
    case HD_ERANGE:
        return fault(f, HD_EDENIED, "a distance is above 0 and on the Earth", at);
    default:
        return fault(f, HD_ESYNTAX, "not a distance in m, km, mi, nmi or ft", at);
    }
}

/* --- the parts of a condition ---------------------------------------------------------------- */

/* A path stands for a JSON Pointer, a SenML name and an element; what it is not, no body of that
 * form has. */
static enum hd_err
make_path(struct flt_set *set, const struct flt_spec *spec, struct flt_leaf *leaf,
          struct flt_fault *f)
{
    char memory[FLT_XPATH_OCTETS + 2] = "//";
    const char *reason = NULL;
    struct hd_slice text;
    size_t at = spec->at, inside;

    if (!flt_spec_get(spec, HD_LIT("path"), &text, &at))
        return HD_OK;
    text = hd_slice_trim(text);
    if (text.n == 0 || text.n > FLT_XPATH_OCTETS)
        return fault(f, text.n ? HD_EDENIED : HD_ESYNTAX, "not a path", at);
    leaf->path.text = flt_set_string(set, text);
    if (!leaf->path.text.p)
        return HD_ENOMEM;
    bool slash = *text.p == '/';
    leaf->path.is_pointer =
        slash && !hd_slice_starts(text, HD_LIT("//")) && fmt_json_pointer_fits(text);
    if (!slash) {
        memcpy(memory + 2, text.p, text.n);
        text = hd_slice(memory, text.n + 2);
    }
    enum hd_err err = flt_xpath_compile(text, spec->bindings, &leaf->path.xpath, &reason, &inside);
    if (err == HD_ENOMEM)
        return err;
    if (err && slash && (spec->strict || !leaf->path.is_pointer))
        return fault(f, err == HD_ENOTSUP ? HD_EDENIED : HD_ESYNTAX, reason, at + inside);
    if (!slash && spec->strict)
        return fault(f, HD_ESYNTAX, "a path begins with '/'", at);
    return HD_OK;
}

static enum hd_err
make_threshold(const struct flt_spec *spec, unsigned has, struct flt_leaf *leaf,
               struct flt_fault *f)
{
    enum hd_err err = get_number(spec, HD_LIT("value"), &leaf->value, f);

    leaf->clear = leaf->value;
    if (!err && (has & P_CLEAR))
        err = get_number(spec, HD_LIT("clear"), &leaf->clear, f);
    if (err)
        return err;
    if (leaf->kind == FLT_ABOVE ? leaf->clear > leaf->value : leaf->clear < leaf->value)
        return fault(f, HD_EDENIED, "clear is on the wrong side of the value", spec->at);
    return HD_OK;
}

/* The circle around the same place at which it is armed again: a wider one for who comes near, a
 * smaller one for who goes away. */
static enum hd_err
make_clear_region(const struct flt_spec *spec, struct flt_leaf *leaf, struct flt_fault *f)
{
    double m;
    enum hd_err err = get_length(spec, HD_LIT("clear"), &m, f);

    if (err)
        return err;
    if (leaf->kind == FLT_ENTERS ? m < leaf->region->reach_m : m > leaf->region->reach_m)
        return fault(f, HD_EDENIED, "clear is on the wrong side of the distance", spec->at);
    err = flt_region_circle(leaf->region->at, m, &leaf->clear_region);
    return err == HD_ERANGE ? fault(f, HD_EDENIED, "not a distance on the Earth", spec->at) : err;
}

static enum hd_err
make_region(struct flt_spec *spec, unsigned has, struct flt_leaf *leaf, struct flt_fault *f)
{
    struct flt_point at;
    double m;

    if (spec->region) {
        if (has & (P_LAT | P_LON | P_WITHIN | P_CLEAR))
            return fault(f, HD_EDENIED, "two regions in one condition", spec->at);
        leaf->region = spec->region;
        spec->region = NULL;
        return HD_OK;
    }
    struct hd_slice ignored;
    size_t place;
    struct hd_slice length = flt_spec_get(spec, HD_LIT("within"), &ignored, &place)
                                 ? HD_LIT("within")
                                 : HD_LIT("distance");
    enum hd_err err = get_number(spec, HD_LIT("lat"), &at.lat, f);
    if (!err)
        err = get_number(spec, HD_LIT("lon"), &at.lon, f);
    if (!err)
        err = get_length(spec, length, &m, f);
    if (err)
        return err;
    err = flt_region_circle(at, m, &leaf->region);
    if (err == HD_ERANGE)
        return fault(f, HD_EDENIED, "not a place on the Earth", spec->at);
    return err || !(has & P_CLEAR) ? err : make_clear_region(spec, leaf, f);
}

static enum hd_err
make_band(struct flt_spec *spec, unsigned has, struct flt_leaf *leaf, struct flt_fault *f)
{
    if (!(has & (P_LOW | P_HIGH)))
        return has & P_PATH ? fault(f, HD_ESYNTAX, "low and high are missing", spec->at)
                            : make_region(spec, has, leaf, f);
    if (!(has & P_PATH))
        return fault(f, HD_ESYNTAX, "a path is missing", spec->at);
    if (spec->region || (has & (P_LAT | P_LON | P_WITHIN | P_CLEAR)))
        return fault(f, HD_EDENIED, "a band of numbers and a region in one condition", spec->at);
    enum hd_err err = get_number(spec, HD_LIT("low"), &leaf->value, f);
    if (!err)
        err = get_number(spec, HD_LIT("high"), &leaf->clear, f);
    if (err)
        return err;
    return leaf->value <= leaf->clear ? HD_OK : fault(f, HD_EDENIED, "low is above high", spec->at);
}

static enum hd_err
keep_text(struct flt_set *set, const struct flt_spec *spec, struct hd_slice name, bool *ret_has,
          struct hd_slice *ret_text)
{
    struct hd_slice value;
    size_t at;

    if (!flt_spec_get(spec, name, &value, &at))
        return HD_OK;
    *ret_has = true;
    *ret_text = flt_set_string(set, hd_slice_trim(value));
    return ret_text->p ? HD_OK : HD_ENOMEM;
}

static enum hd_err
make_is(struct flt_set *set, const struct flt_spec *spec, struct flt_leaf *leaf)
{
    enum hd_err err = keep_text(set, spec, HD_LIT("value"), &leaf->has_to, &leaf->to);

    if (!err)
        leaf->to_is_number = flt_number(leaf->to, &leaf->to_number) == HD_OK;
    return err;
}

/* RFC 4661 section 3.6.1.4: with "by" the others are numbers. */
static enum hd_err
make_changed(struct flt_set *set, const struct flt_spec *spec, unsigned has, struct flt_leaf *leaf,
             struct flt_fault *f)
{
    enum hd_err err = keep_text(set, spec, HD_LIT("from"), &leaf->has_from, &leaf->from);
    double number;

    if (!err)
        err = keep_text(set, spec, HD_LIT("to"), &leaf->has_to, &leaf->to);
    if (err)
        return err;
    if (!(has & (P_BY | P_VALUE)))
        return hd_slice_eq(spec->op, HD_LIT("changed-by"))
                   ? fault(f, HD_ESYNTAX, "a value is missing", spec->at)
                   : HD_OK;
    leaf->has_by = true;
    err = get_number(spec, has & P_BY ? HD_LIT("by") : HD_LIT("value"), &leaf->by, f);
    if (err)
        return err;
    if (!(leaf->by > 0))
        return fault(f, HD_EDENIED, "\"by\" is above 0", spec->at);
    if ((leaf->has_from && flt_number(leaf->from, &number)) ||
        (leaf->has_to && flt_number(leaf->to, &number)))
        return fault(f, HD_EDENIED, "with \"by\" the other values are numbers", spec->at);
    return HD_OK;
}

static enum hd_err
make_leaf(struct flt_set *set, struct flt_spec *spec, unsigned has, struct flt_leaf *leaf,
          struct flt_fault *f)
{
    bool for_unit = (has & P_UNIT) != 0;
    enum hd_err err = keep_text(set, spec, HD_LIT("unit"), &for_unit, &leaf->unit);

    if (!err)
        err = make_path(set, spec, leaf, f);
    if (!err)
        err = get_duration(spec, HD_LIT("for"), &leaf->for_ms, f);
    if (err)
        return err;
    switch (leaf->kind) {
    case FLT_ABOVE:
    case FLT_BELOW:
        return make_threshold(spec, has, leaf, f);
    case FLT_IS:
        return make_is(set, spec, leaf);
    case FLT_ENTERS:
    case FLT_LEAVES:
        return make_band(spec, has, leaf, f);
    case FLT_CROSSES:
        return make_region(spec, has, leaf, f);
    case FLT_STALE:
        err = get_duration(spec, HD_LIT("value"), &leaf->for_ms, f);
        return err || leaf->for_ms ? err : fault(f, HD_ESYNTAX, "a duration is missing", spec->at);
    case FLT_CHANGED:
        return make_changed(set, spec, has, leaf, f);
    case FLT_ADDED:
    case FLT_REMOVED:
        return HD_OK;
    case FLT_MOVED:
        return get_length(spec, has & P_BY ? HD_LIT("by") : HD_LIT("value"), &leaf->value, f);
    }
    return HD_ESYNTAX;
}

enum hd_err
flt_condition_add(struct flt_set *set, struct flt_spec *spec, uint16_t *ret_node,
                  struct flt_fault *f)
{
    size_t condition = condition_find(spec->op);
    uint16_t leaf, node = 0;
    unsigned has;

    if (condition == N_CONDITIONS)
        return fault(f, HD_EDENIED, "there is no such condition", spec->at);
    enum hd_err err = check_parameters(spec, condition, &has, f);
    if (err)
        return err;
    err = flt_set_add_leaf(set, &leaf);
    if (!err) {
        set->leaves[leaf].kind = conditions[condition].kind;
        err = make_leaf(set, spec, has, &set->leaves[leaf], f);
        if (err)
            return err;
        err = flt_set_add_node(set, FLT_LEAF, leaf, &node);
    }
    if (err == HD_EDENIED)
        return fault(f, err, "too many conditions", spec->at);
    if (!err)
        *ret_node = node;
    return err;
}

enum hd_err
flt_condition_name(struct flt_set *set, struct flt_trigger *trigger, const struct flt_spec *spec,
                   struct flt_fault *f)
{
    struct hd_slice value;
    size_t at;

    if (flt_spec_get(spec, HD_LIT("name"), &value, &at)) {
        if (!flt_name_fits(value))
            return fault(f, HD_EDENIED, "a name is a token of at most 64 characters", at);
        trigger->name = flt_set_string(set, value);
        if (!trigger->name.p)
            return HD_ENOMEM;
    }
    if (flt_spec_get(spec, HD_LIT("clear-notify"), &value, &at)) {
        if (!hd_slice_eq(value, HD_LIT("true")) && !hd_slice_eq(value, HD_LIT("false")) &&
            !hd_slice_eq(value, HD_LIT("1")) && !hd_slice_eq(value, HD_LIT("0")))
            return fault(f, HD_ESYNTAX, "clear-notify is true or false", at);
        trigger->clear_notify =
            hd_slice_eq(value, HD_LIT("true")) || hd_slice_eq(value, HD_LIT("1"));
    }
    return HD_OK;
}
