/* dialoginfo.c - the calls of a user's phones become one document for the lamps that watch him.
 *
 * The problem: each phone publishes its own calls and numbers them as it likes; a lamp wants all
 * calls of the user, under ids that stay the same while a call lasts.  Invariants: no id occurs
 * twice; which id is renamed, and the order of dialogs, depend on publication numbers only, never
 * on who was last; the same publications give the same octets. */
#include "format/dialoginfo.h"

#include <stdio.h>
#include <stdlib.h>

#include "format/xml.h"
#include "format/xml_join.h"
#include "format/xml_keyed.h"

#define NS "urn:ietf:params:xml:ns:dialog-info"

static bool
is_dialog(const struct fmt_xml_reader *r)
{
    return fmt_xml_is(&r->element->name, HD_LIT(NS), HD_LIT("dialog"));
}

/* ---- ids ---- */

/* An id as it stands between quotes.  The hash only spares comparing. */
struct id {
    struct hd_slice value;
    uint32_t hash;
    char *renamed; /* heap, what value points to then */
};

static struct id
id_of(struct hd_slice value)
{
    return (struct id){ .value = value, .hash = fmt_xml_value_hash(value) };
}

static bool
id_is_taken(const struct id *ids, size_t n, const struct id *id)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i].hash == id->hash && fmt_xml_value_eq(ids[i].value, id->value))
            return true;
    return false;
}

/* ---- validating ---- */

/* One document while it is read. */
struct check {
    struct fmt_xml_reader reader;
    struct id ids[FMT_DIALOGINFO_MAX_DIALOGS];
    size_t n_ids;
    bool in_dialog;
    unsigned states; /* of that dialog */
};

static enum hd_err
refuse(struct check *c, const char *reason)
{
    c->reader.reason = reason;
    return HD_ESYNTAX;
}

static bool
is_value(const struct fmt_xml_attribute *a, struct hd_slice value)
{
    return a && fmt_xml_value_eq(a->value, value);
}

static enum hd_err
check_root(struct check *c)
{
    const struct fmt_xml_reader *const r = &c->reader;
    const struct fmt_xml_attribute *const version = fmt_xml_attribute(r, HD_LIT("version"));
    const struct fmt_xml_attribute *const state = fmt_xml_attribute(r, HD_LIT("state"));
    const struct fmt_xml_attribute *const entity = fmt_xml_attribute(r, HD_LIT("entity"));
    uint32_t number;

    if (!fmt_xml_is(&r->element->name, HD_LIT(NS), HD_LIT("dialog-info")))
        return refuse(c, "dialog-info: the root is not dialog-info of " NS);
    if (!version || hd_slice_to_u32(version->value, &number))
        return refuse(c, "dialog-info: version is not a number of 32 bits");
    if (!entity || entity->value.n == 0)
        return refuse(c, "dialog-info: no entity");
    if (is_value(state, HD_LIT("partial")))
        return refuse(c, "dialog-info: a PUBLISH replaces the earlier one, its state must be full");
    if (!is_value(state, HD_LIT("full")))
        return refuse(c, "dialog-info: state is not full");
    return HD_OK;
}

static enum hd_err
check_dialog(struct check *c)
{
    const struct fmt_xml_attribute *const a = fmt_xml_attribute(&c->reader, HD_LIT("id"));
    if (!a || a->value.n == 0)
        return refuse(c, "dialog-info: a dialog without id");
    const struct id id = id_of(a->value);
    if (id_is_taken(c->ids, c->n_ids, &id))
        return refuse(c, "dialog-info: an id stands twice");
    if (c->n_ids == FMT_DIALOGINFO_MAX_DIALOGS)
        return refuse(c, "dialog-info: too many dialogs");
    c->ids[c->n_ids++] = id;
    c->states = 0;
    return HD_OK;
}

static enum hd_err
check_start(struct check *c)
{
    switch (c->reader.depth) {
    case 1:
        return check_root(c);
    case 2:
        c->in_dialog = is_dialog(&c->reader);
        return c->in_dialog ? check_dialog(c) : HD_OK;
    case 3:
        c->states += fmt_xml_is(&c->reader.element->name, HD_LIT(NS), HD_LIT("state"));
        return HD_OK;
    default:
        return HD_OK;
    }
}

static enum hd_err
check_event(struct check *c, enum fmt_xml_event event)
{
    switch (event) {
    case FMT_XML_START:
        return check_start(c);
    case FMT_XML_END:
        if (c->reader.depth == 2 && c->in_dialog && c->states != 1)
            return refuse(c, "dialog-info: a dialog without exactly one state");
        return HD_OK;
    case FMT_XML_TEXT:
    case FMT_XML_DONE:
        return HD_OK;
    }
    HD_ASSERT(false);
    return HD_ESYNTAX;
}

enum hd_err
fmt_dialoginfo_validate(struct hd_slice body, size_t max, const char **ret_reason)
{
    struct check c;
    enum fmt_xml_event event = FMT_XML_TEXT;
    enum hd_err err = HD_OK;

    c.n_ids = 0;
    c.in_dialog = false;
    c.states = 0;
    fmt_xml_open(&c.reader, body, max);
    while (!err && event != FMT_XML_DONE) {
        err = fmt_xml_next(&c.reader, &event);
        if (!err)
            err = check_event(&c, event);
    }
    if (err)
        *ret_reason = c.reader.reason;
    return err;
}

/* ---- looking at the root ---- */

bool
fmt_dialoginfo_version(struct hd_slice body, struct hd_slice *ret_digits)
{
    return fmt_xml_root_version(body, ret_digits);
}

bool
fmt_dialoginfo_is_for(struct hd_slice body, struct hd_slice entity)
{
    struct fmt_xml_reader r;
    enum fmt_xml_event event;

    fmt_xml_open(&r, body, body.n);
    if (fmt_xml_next(&r, &event) || event != FMT_XML_START)
        return false;
    const struct fmt_xml_attribute *const about = fmt_xml_attribute(&r, HD_LIT("entity"));
    const struct fmt_xml_attribute *const version = fmt_xml_attribute(&r, HD_LIT("version"));
    return about && version && hd_slice_eq(about->value, entity) &&
           hd_slice_eq(version->value, HD_LIT("0"));
}

/* ---- composing ---- */

struct compose {
    const struct fmt_dialoginfo_part **parts; /* the valid ones, by number */
    size_t n;
    struct id *ids;
    size_t n_ids, most_ids;
    size_t others; /* children of roots that are no dialogs */
    struct fmt_xml_join join;
    struct hd_str *out;
    size_t bound; /* octets of the result; an element may reach over it */
};

static int
by_number(const void *a, const void *b)
{
    const struct fmt_dialoginfo_part *const *x = a, *const *y = b;
    return ((*x)->number > (*y)->number) - ((*x)->number < (*y)->number);
}

/* A valid document's prefixes, and how many children it has. */
static void
survey(struct compose *c, struct hd_slice body)
{
    struct fmt_xml_reader r;
    enum fmt_xml_event event = FMT_XML_TEXT;

    fmt_xml_open(&r, body, body.n);
    while (event != FMT_XML_DONE) {
        const enum hd_err err = fmt_xml_next(&r, &event);
        HD_ASSERT(!err); /* it is valid */
        if (event == FMT_XML_START && r.depth == 1)
            fmt_xml_join_add(&c->join, &r);
        else if (event == FMT_XML_START && r.depth == 2 && is_dialog(&r))
            c->most_ids++;
        else if (event == FMT_XML_START && r.depth == 2)
            c->others++;
    }
}

/* "<id>-<number>", and if that is taken too "<id>-<number>-2" and so on. */
static enum hd_err
rename_id(struct compose *c, struct hd_slice old, uint32_t number, struct id *ret)
{
    for (unsigned again = 1;; again++) {
        struct hd_str text = { 0 };
        hd_str_add(&text, old);
        hd_str_addf(&text, "-%08x", number);
        if (again > 1)
            hd_str_addf(&text, "-%u", again);
        char *const renamed = hd_str_take(&text);
        if (!renamed)
            return HD_ENOMEM;
        *ret = id_of(hd_slice_str(renamed));
        ret->renamed = renamed;
        if (!id_is_taken(c->ids, c->n_ids, ret))
            return HD_OK;
        free(renamed);
    }
}

/* The start tag of a dialog, under an id that nobody has. */
static enum hd_err
write_dialog_tag(struct compose *c, const struct fmt_xml_root *root, const struct fmt_xml_reader *r,
                 uint32_t number)
{
    const struct fmt_xml_attribute *const a = fmt_xml_attribute(r, HD_LIT("id"));
    struct id id = id_of(a->value);

    HD_ASSERT(c->n_ids < c->most_ids);
    if (id_is_taken(c->ids, c->n_ids, &id)) {
        const enum hd_err err = rename_id(c, a->value, number, &id);
        if (err)
            return err;
    }
    c->ids[c->n_ids++] = id;
    fmt_xml_join_tag(&c->join, root, r, id.renamed ? a : NULL, id.value, c->out);
    return HD_OK;
}

/* The dialogs of a document, or its other children. */
static enum hd_err
write_children(struct compose *c, const struct fmt_dialoginfo_part *part, bool dialogs)
{
    struct fmt_xml_reader r;
    struct fmt_xml_root root = { 0 };
    enum fmt_xml_event event = FMT_XML_TEXT;
    const char *content = NULL; /* what is behind the start tag of a child that is written */
    enum hd_err err = HD_OK;

    fmt_xml_open(&r, part->body, part->body.n);
    while (!err && event != FMT_XML_DONE) {
        err = fmt_xml_next(&r, &event);
        HD_ASSERT(!err); /* it is valid */
        if (event == FMT_XML_START && r.depth == 1) {
            fmt_xml_root_take(&root, &r);
        } else if (event == FMT_XML_START && r.depth == 2 && is_dialog(&r) == dialogs) {
            hd_str_add_str(c->out, " ");
            if (dialogs)
                err = write_dialog_tag(c, &root, &r, part->number);
            else
                fmt_xml_join_tag(&c->join, &root, &r, NULL, hd_slice(NULL, 0), c->out);
            content = r.token.p + r.token.n;
        } else if (event == FMT_XML_END && r.depth == 2 && content) {
            const char *const end = r.token.p + r.token.n;
            hd_str_add(c->out, hd_slice(content, (size_t)(end - content)));
            hd_str_add_str(c->out, "\n");
            content = NULL;
            err = c->out->n > c->bound ? HD_EFULL : c->out->err;
        }
    }
    return err;
}

/* Up to the value of its entity. */
static void
write_root_start(const struct fmt_xml_join *join, struct hd_str *out)
{
    hd_str_add_str(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<dialog-info");
    fmt_xml_join_declare(join, out);
    hd_str_add_str(out, " version=\"0\" state=\"full\" entity=");
}

static void
write_root(struct hd_slice entity, const struct fmt_xml_join *join, struct hd_str *out)
{
    write_root_start(join, out);
    hd_str_add_str(out, "\"");
    fmt_xml_write_uri(out, entity);
    hd_str_add_str(out, "\">\n");
}

static enum hd_err
compose_documents(struct compose *c, struct hd_slice entity)
{
    enum hd_err err = HD_OK;

    for (size_t i = 0; i < c->n; i++)
        survey(c, c->parts[i]->body);
    if (c->most_ids > FMT_DIALOGINFO_MAX_COMPOSED)
        return HD_EFULL;
    c->ids = calloc(c->most_ids + 1, sizeof(*c->ids));
    if (!c->ids)
        return HD_ENOMEM;
    write_root(entity, &c->join, c->out);
    for (size_t i = 0; i < c->n && !err; i++)
        err = write_children(c, c->parts[i], true);
    for (size_t i = 0; i < c->n && c->others && !err; i++)
        err = write_children(c, c->parts[i], false);
    hd_str_add_str(c->out, "</dialog-info>\n");
    for (size_t i = 0; i < c->n_ids; i++)
        free(c->ids[i].renamed);
    free(c->ids);
    return err ? err : c->out->err;
}

enum hd_err
fmt_dialoginfo_compose(struct hd_slice entity, const struct fmt_dialoginfo_part *parts, size_t n,
                       size_t max, struct hd_str *out)
{
    struct compose c = { .join = { .ns = HD_LIT(NS) }, .out = out };
    size_t input = 0;

    HD_ASSERT(n > 0);
    c.parts = calloc(n, sizeof(const struct fmt_dialoginfo_part *));
    if (!c.parts)
        return HD_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const char *reason;
        input += parts[i].body.n;
        if (!fmt_dialoginfo_validate(parts[i].body, max, &reason))
            c.parts[c.n++] = &parts[i];
    }
    c.bound = 4 * (input + max);
    qsort(c.parts, c.n, sizeof(const struct fmt_dialoginfo_part *), by_number);
    const enum hd_err err = c.n ? compose_documents(&c, entity) : HD_ESYNTAX;
    free(c.parts);
    return err;
}

/* A line end around the word is none of it. */
static bool
is_word(struct hd_slice text, struct hd_slice word)
{
    static const char blanks[] = " \t\r\n";

    while (text.n && memchr(blanks, text.p[0], sizeof(blanks) - 1))
        text = hd_slice_from(text, 1);
    while (text.n && memchr(blanks, text.p[text.n - 1], sizeof(blanks) - 1))
        text.n--;
    return hd_slice_eq(text, word);
}

bool
fmt_dialoginfo_is_busy(struct hd_slice body)
{
    struct fmt_xml_reader r;
    enum fmt_xml_event event = FMT_XML_TEXT;

    fmt_xml_open(&r, body, body.n);
    while (event != FMT_XML_DONE && !fmt_xml_next(&r, &event)) {
        if (event == FMT_XML_TEXT && r.depth == 3 &&
            fmt_xml_is(&r.element->name, HD_LIT(NS), HD_LIT("state")) &&
            fmt_xml_is(&r.open[1].name, HD_LIT(NS), HD_LIT("dialog")) &&
            is_word(r.token, HD_LIT("confirmed")))
            return true;
    }
    return false;
}

void
fmt_dialoginfo_neutral(struct hd_slice entity, struct hd_str *out)
{
    const struct fmt_xml_join join = { .ns = HD_LIT(NS) };
    write_root(entity, &join, out);
    hd_str_add_str(out, "</dialog-info>\n");
}

/* ---- session descriptions ---- */

/* local and remote of a dialog have one each (RFC 4235 section 4.1.6.3). */
static bool
is_session(const struct fmt_xml_reader *r)
{
    return r->depth == 4 &&
           fmt_xml_is(&r->element->name, HD_LIT(NS), HD_LIT("session-description")) &&
           fmt_xml_is(&r->open[1].name, HD_LIT(NS), HD_LIT("dialog"));
}

enum hd_err
fmt_dialoginfo_without_sessions(struct hd_slice body, struct hd_str *out)
{
    struct fmt_xml_reader r;
    enum fmt_xml_event event = FMT_XML_TEXT;
    const char *rest = body.p; /* what is not written yet */

    if (!memmem(body.p, body.n, "session-description", 19))
        return HD_ENOMATCH; /* almost all of them */
    fmt_xml_open(&r, body, body.n);
    while (event != FMT_XML_DONE) {
        const enum hd_err err = fmt_xml_next(&r, &event);
        if (err)
            return err;
        if (event == FMT_XML_START && is_session(&r))
            hd_str_add(out, hd_slice(rest, (size_t)(r.token.p - rest)));
        else if (event == FMT_XML_END && is_session(&r))
            rest = r.token.p + r.token.n;
    }
    if (rest == body.p)
        return HD_ENOMATCH;
    hd_str_add(out, hd_slice(rest, (size_t)(body.p + body.n - rest)));
    return out->err;
}

/* ---- choosing ----
 *
 * Whoever follows some dialogs compares documents, and is told when they differ.  So the same
 * dialogs are the same octets, whether they stand in the document of the one phone that there is or
 * in one that was composed, whose root has the declarations of other phones as well. */

/* One document while dialogs are taken out of it. */
struct choosing {
    const struct fmt_dialoginfo_choice *choice;
    struct fmt_xml_reader reader;
    struct hd_str *out;
    struct fmt_xml_root root;
    struct fmt_xml_tag tag; /* of the dialog that is being taken */
    bool taking;
    bool over; /* that one */
    unsigned n, n_over;
};

static bool
is_chosen(const struct choosing *c)
{
    const struct fmt_xml_reader *const r = &c->reader;
    const struct fmt_dialoginfo_choice *const choice = c->choice;

    return is_dialog(r) && is_value(fmt_xml_attribute(r, HD_LIT("call-id")), choice->call_id) &&
           is_value(fmt_xml_attribute(r, HD_LIT("local-tag")), choice->local_tag) &&
           (!choice->remote_tag.p ||
            is_value(fmt_xml_attribute(r, HD_LIT("remote-tag")), choice->remote_tag));
}

/* As that of a composed document, which has the entity as it was written by write_root(). */
static void
choose_root(struct choosing *c)
{
    const struct fmt_xml_join join = { .ns = HD_LIT(NS) };
    const struct fmt_xml_attribute *const entity = fmt_xml_attribute(&c->reader, HD_LIT("entity"));
    const struct hd_slice value = entity ? entity->value : hd_slice(NULL, 0);
    const char *const quote = hd_slice_find(value, '"') < value.n ? "'" : "\"";

    fmt_xml_root_take(&c->root, &c->reader);
    write_root_start(&join, c->out);
    hd_str_add_str(c->out, quote);
    hd_str_add(c->out, value);
    hd_str_add_str(c->out, quote);
    hd_str_add_str(c->out, ">\n");
}

static void
choose_start(struct choosing *c)
{
    if (c->reader.depth == 1) {
        choose_root(c);
    } else if (c->reader.depth == 2 && is_chosen(c)) {
        fmt_xml_tag_take(&c->tag, &c->reader);
        c->taking = true;
        c->over = false;
        c->n++;
    }
}

static void
choose_end(struct choosing *c)
{
    if (c->reader.depth == 1) {
        hd_str_add_str(c->out, "</dialog-info>\n");
    } else if (c->reader.depth == 2 && c->taking) {
        fmt_xml_join_alone(HD_LIT(NS), &c->root, &c->tag, &c->reader, c->out);
        hd_str_add_str(c->out, "\n");
        c->taking = false;
        c->n_over += c->over;
    }
}

static bool
says_terminated(const struct fmt_xml_reader *r)
{
    return r->depth == 3 && fmt_xml_is(&r->element->name, HD_LIT(NS), HD_LIT("state")) &&
           is_word(r->token, HD_LIT("terminated"));
}

enum hd_err
fmt_dialoginfo_choose(struct hd_slice body, const struct fmt_dialoginfo_choice *choice,
                      struct hd_str *out, enum fmt_dialoginfo_chosen *ret_chosen)
{
    struct choosing c;
    enum fmt_xml_event event = FMT_XML_TEXT;

    c.choice = choice;
    c.out = out;
    c.taking = c.over = false;
    c.n = c.n_over = 0;
    fmt_xml_open(&c.reader, body, body.n);
    while (event != FMT_XML_DONE) {
        const enum hd_err err = fmt_xml_next(&c.reader, &event);
        if (err)
            return err;
        if (event == FMT_XML_START)
            choose_start(&c);
        else if (event == FMT_XML_END)
            choose_end(&c);
        else if (event == FMT_XML_TEXT && c.taking)
            c.over = c.over || says_terminated(&c.reader);
    }
    *ret_chosen = c.n == 0          ? FMT_DIALOGINFO_NONE
                  : c.n_over == c.n ? FMT_DIALOGINFO_OVER
                                    : FMT_DIALOGINFO_LIVING;
    return out->err;
}

/* ---- what changed ---- */

enum hd_err
fmt_dialoginfo_partial(struct hd_slice base, struct hd_slice now, struct hd_str *out)
{
    static const struct fmt_xml_keyed dialogs = { .ns = { NS, sizeof(NS) - 1 },
                                                  .name = { "dialog", 6 },
                                                  .depth = 2,
                                                  .over_child = { "state", 5 },
                                                  .over = { "terminated", 10 },
                                                  .say_gone = true };
    return fmt_xml_keyed_changes(&dialogs, base, now, out);
}
