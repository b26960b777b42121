/* when.c - conditions in words, for people, profiles and the tool.
 *
 *     when    = all *("or" all)                  each "all" is a trigger
 *     all     = test *("and" test) ["as" NAME] ["clear-notify"]
 *     test    = PATH ("above" / "below") NUMBER *("clear" NUMBER / "for" TIME / "unit" UNIT)
 *             / PATH "is" VALUE *("for" TIME / "unit" UNIT)
 *             / PATH ("enters" / "leaves") NUMBER ["to"] NUMBER *("for" TIME / "unit" UNIT)
 *             / PATH "changed-by" NUMBER / PATH "changed" ["from" VALUE] ["to" VALUE]
 *             / ("within" / "outside" / "crosses") LENGTH "of" LAT "," LON ["for" TIME]
 *             / "stale-for" TIME / "moved" LENGTH
 *
 * Words stand between blanks; one with blanks in it stands in quotation marks. */
#include "base/lit.h"
#include "filter/set.h"

struct words {
    const char *begin, *at, *end;
    struct hd_slice word; /* the next one; n 0 at the end */
    size_t word_at;
    bool quoted, broken;
};

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void
advance(struct words *w)
{
    while (w->at < w->end && is_blank(*w->at))
        w->at++;
    const char *begin = w->at;
    w->word_at = (size_t)(begin - w->begin);
    w->quoted = begin < w->end && (*begin == '"' || *begin == '\'');
    if (w->quoted) {
        const char *close = memchr(begin + 1, *begin, (size_t)(w->end - begin - 1));
        w->broken = !close || close == begin + 1;
        w->at = close ? close + 1 : w->end;
        w->word = hd_slice(begin + 1, (size_t)((close ? close : w->end) - begin - 1));
        return;
    }
    while (w->at < w->end && !is_blank(*w->at))
        w->at++;
    w->word = hd_slice(begin, (size_t)(w->at - begin));
}

static bool
is_word(const struct words *w, struct hd_slice word)
{
    return !w->quoted && hd_slice_eq(w->word, word);
}

static enum hd_err
fault(const struct words *w, const char *reason, struct flt_fault *f)
{
    f->reason = w->broken ? "a quotation mark is missing" : reason;
    f->at = w->word_at;
    return HD_ESYNTAX;
}

/* The next word as a parameter. */
static enum hd_err
take_as(struct words *w, struct flt_spec *spec, struct hd_slice name, struct flt_fault *f)
{
    if (!w->word.n || w->broken)
        return fault(w, "a value is missing", f);
    flt_spec_add(spec, name, w->word, w->word_at);
    advance(w);
    return HD_OK;
}

/* "clear 120 for 5s unit /min", in any order. */
static enum hd_err
take_options(struct words *w, struct flt_spec *spec, struct flt_fault *f)
{
    static const struct hd_slice options[] = { HD_LIT_INIT("clear"), HD_LIT_INIT("for"),
                                               HD_LIT_INIT("unit"), HD_LIT_INIT("from"),
                                               HD_LIT_INIT("to") };
    bool more = true;

    while (more) {
        more = false;
        for (size_t i = 0; i < sizeof(options) / sizeof(options[0]) && !more; i++) {
            if (!is_word(w, options[i]))
                continue;
            more = true;
            advance(w);
            enum hd_err err = take_as(w, spec, options[i], f);
            if (err)
                return err;
        }
    }
    return HD_OK;
}

/* LENGTH "of" LAT "," LON: with or without a blank behind the comma. */
static enum hd_err
take_circle(struct words *w, struct flt_spec *spec, struct flt_fault *f)
{
    enum hd_err err = take_as(w, spec, HD_LIT("within"), f);

    if (err)
        return err;
    if (!is_word(w, HD_LIT("of")))
        return fault(w, "\"of\" is missing", f);
    advance(w);
    size_t comma = hd_slice_find(w->word, ',');
    if (!w->word.n || comma == w->word.n)
        return fault(w, "LATITUDE,LONGITUDE is missing", f);
    flt_spec_add(spec, HD_LIT("lat"), hd_slice(w->word.p, comma), w->word_at);
    struct hd_slice lon = hd_slice_from(w->word, comma + 1);
    size_t at = w->word_at + comma + 1;
    advance(w);
    if (lon.n) {
        flt_spec_add(spec, HD_LIT("lon"), lon, at);
        return HD_OK;
    }
    return take_as(w, spec, HD_LIT("lon"), f);
}

static enum hd_err
take_band(struct words *w, struct flt_spec *spec, struct flt_fault *f)
{
    enum hd_err err = take_as(w, spec, HD_LIT("low"), f);

    if (!err && is_word(w, HD_LIT("to")))
        advance(w);
    return err ? err : take_as(w, spec, HD_LIT("high"), f);
}

static enum hd_err
take_operands(struct words *w, struct flt_spec *spec, struct flt_fault *f)
{
    if (hd_slice_eq(spec->op, HD_LIT("changed")))
        return HD_OK;
    if (hd_slice_eq(spec->op, HD_LIT("enters")) || hd_slice_eq(spec->op, HD_LIT("leaves")))
        return take_band(w, spec, f);
    if (hd_slice_eq(spec->op, HD_LIT("within")) || hd_slice_eq(spec->op, HD_LIT("outside")) ||
        hd_slice_eq(spec->op, HD_LIT("crosses")))
        return take_circle(w, spec, f);
    return take_as(w, spec, HD_LIT("value"), f);
}

static bool
has_no_path(const struct words *w)
{
    return is_word(w, HD_LIT("within")) || is_word(w, HD_LIT("outside")) ||
           is_word(w, HD_LIT("crosses")) || is_word(w, HD_LIT("stale-for")) ||
           is_word(w, HD_LIT("moved"));
}

static enum hd_err
take_test(struct words *w, struct flt_set *set, struct flt_spec *spec, uint16_t *ret_node,
          struct flt_fault *f)
{
    *spec = (struct flt_spec){ .at = w->word_at };
    if (!w->word.n || w->broken)
        return fault(w, "a condition is missing", f);
    if (!has_no_path(w)) {
        enum hd_err err = take_as(w, spec, HD_LIT("path"), f);
        if (err)
            return err;
    }
    if (!flt_condition_known(w->word) || w->quoted)
        return fault(w, "\"above\", \"below\", \"is\" or the like is missing", f);
    spec->op = w->word;
    advance(w);
    enum hd_err err = take_operands(w, spec, f);
    if (!err)
        err = take_options(w, spec, f);
    return err ? err : flt_condition_add(set, spec, ret_node, f);
}

/* "as NAME" and "clear-notify" */
static enum hd_err
take_trigger_options(struct words *w, struct flt_set *set, struct flt_trigger *trigger,
                     struct flt_fault *f)
{
    struct flt_spec spec = { .at = w->word_at };
    enum hd_err err = HD_OK;

    for (;;) {
        if (is_word(w, HD_LIT("as"))) {
            advance(w);
            err = take_as(w, &spec, HD_LIT("name"), f);
        } else if (is_word(w, HD_LIT("clear-notify"))) {
            flt_spec_add(&spec, HD_LIT("clear-notify"), HD_LIT("true"), w->word_at);
            advance(w);
        } else {
            break;
        }
        if (err)
            return err;
    }
    return flt_condition_name(set, trigger, &spec, f);
}

/* A trigger without a name is called by its number. */
static struct hd_slice
numbered(uint32_t number, char memory[8])
{
    size_t n = 0;

    if (number >= 10)
        memory[n++] = (char)('0' + number / 10 % 10);
    memory[n++] = (char)('0' + number % 10);
    return hd_slice(memory, n);
}

static enum hd_err
take_trigger(struct words *w, struct flt_set *set, struct flt_fault *f)
{
    struct flt_trigger *trigger;
    struct flt_spec spec;
    char memory[8];
    uint16_t node, root;
    size_t at = w->word_at;
    enum hd_err err = take_test(w, set, &spec, &node, f);

    if (!err && is_word(w, HD_LIT("and"))) {
        err = flt_set_add_node(set, FLT_ALL, 0, &root);
        if (!err)
            flt_set_hang(set, root, node);
        while (!err && is_word(w, HD_LIT("and"))) {
            advance(w);
            err = take_test(w, set, &spec, &node, f);
            if (!err)
                flt_set_hang(set, root, node);
        }
        node = root;
    }
    if (err)
        return err;
    err = flt_set_add_trigger(set, node, numbered(set->n_triggers + 1, memory), true, &trigger);
    if (err == HD_EDENIED)
        *f = (struct flt_fault){ "too many triggers", at };
    return err ? err : take_trigger_options(w, set, trigger, f);
}

enum hd_err
flt_read_when(struct flt_set *set, struct hd_slice text, struct flt_fault *ret_fault)
{
    struct words w = { .begin = text.p, .at = text.p, .end = text.n ? text.p + text.n : text.p };

    *ret_fault = (struct flt_fault){ 0 };
    advance(&w);
    for (;;) {
        enum hd_err err = take_trigger(&w, set, ret_fault);
        if (err == HD_EDENIED && !ret_fault->reason)
            *ret_fault = (struct flt_fault){ "too many conditions", w.word_at };
        if (err)
            return err;
        if (!w.word.n && !w.quoted)
            return HD_OK;
        if (!is_word(&w, HD_LIT("or")))
            return fault(&w, "\"and\" or \"or\" is missing", ret_fault);
        advance(&w);
    }
}
