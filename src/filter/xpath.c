/* xpath.c - compiling and evaluating RFC 4661's subset of XPath.
 *
 * Deliberately wider than its ABNF where its own examples are: a condition may follow any step
 * ("/presence/tuple[...]/status").  A name without prefix stands for no namespace as XPath 1.0
 * says, and for the default namespace of the document's root too: the one reading under which a
 * filter that binds nothing selects anything.  RFC 6447's figure 2 names the schema of RFC 5962 in
 * place of its namespace; both mean the same here. */
#include "filter/xpath.h"

#include <stdlib.h>

#include "base/lit.h"
#include "filter/number.h"

struct test {
    struct hd_slice ns, local; /* local empty: "*" */
    bool any_ns;               /* names without prefix where nothing is bound */
    bool prefixed;
};

enum term_place { TERM_CHILD, TERM_SELF, TERM_PARENT };

struct term {
    enum term_place place;
    unsigned n_steps;
    struct test steps[4];
    bool attribute;
    struct test attribute_name;
    char compare; /* '=', '<', '>' */
    struct hd_slice value;
    bool is_number;
    double number;
    bool or_before; /* joined to the one before with "or" */
};

struct step {
    bool descendant; /* "//" before it */
    struct test test;
    unsigned first_term, n_terms;
};

struct flt_xpath {
    unsigned n_steps, n_terms;
    bool ends_in_attribute, attribute_anywhere;
    struct test attribute;
    struct step steps[FLT_XPATH_STEPS];
    struct term *terms;
    char octets[];
};

/* --- compiling ------------------------------------------------------------------------------- */

struct compiler {
    struct flt_xpath *path;
    const struct flt_bindings *bindings;
    const char *begin, *at, *end;
    const char *reason;
};

static enum hd_err
fail(struct compiler *c, enum hd_err err, const char *reason)
{
    c->reason = reason;
    return err;
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void
blanks(struct compiler *c)
{
    while (c->at < c->end && is_blank(*c->at))
        c->at++;
}

static bool
is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || (unsigned char)c >= 0x80;
}

static bool
take(struct compiler *c, char what)
{
    if (c->at == c->end || *c->at != what)
        return false;
    c->at++;
    return true;
}

static struct hd_slice
take_name(struct compiler *c)
{
    const char *begin = c->at;

    if (c->at < c->end && is_name_char(*c->at) && *c->at != '-' && *c->at != '.' &&
        !(*c->at >= '0' && *c->at <= '9'))
        while (c->at < c->end && is_name_char(*c->at))
            c->at++;
    return hd_slice(begin, (size_t)(c->at - begin));
}

/* What RFCs use without saying so; a filter that leaves them unbound means these. */
static struct hd_slice
well_known(struct hd_slice prefix)
{
    static const struct flt_binding known[] = {
        { HD_LIT_INIT("pidf"), HD_LIT_INIT("urn:ietf:params:xml:ns:pidf") },
        { HD_LIT_INIT("dm"), HD_LIT_INIT("urn:ietf:params:xml:ns:pidf:data-model") },
        { HD_LIT_INIT("rpid"), HD_LIT_INIT("urn:ietf:params:xml:ns:pidf:rpid") },
        { HD_LIT_INIT("gp"), HD_LIT_INIT("urn:ietf:params:xml:ns:pidf:geopriv10") },
        { HD_LIT_INIT("ca"), HD_LIT_INIT("urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr") },
        { HD_LIT_INIT("dyn"), HD_LIT_INIT("urn:ietf:params:xml:ns:pidf:geopriv10:dynamic") },
        { HD_LIT_INIT("di"), HD_LIT_INIT("urn:ietf:params:xml:ns:dialog-info") },
        { HD_LIT_INIT("wi"), HD_LIT_INIT("urn:ietf:params:xml:ns:watcherinfo") },
        { HD_LIT_INIT("xml"), HD_LIT_INIT("http://www.w3.org/XML/1998/namespace") },
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (hd_slice_eq(known[i].prefix, prefix))
            return known[i].uri;
    return hd_slice(NULL, 0);
}

static enum hd_err
resolve(struct compiler *c, struct hd_slice prefix, struct test *test)
{
    test->prefixed = true;
    for (unsigned i = 0; c->bindings && i < c->bindings->n; i++) {
        if (hd_slice_eq(c->bindings->binding[i].prefix, prefix)) {
            test->ns = c->bindings->binding[i].uri;
            return HD_OK;
        }
    }
    test->ns = well_known(prefix);
    return test->ns.n ? HD_OK : fail(c, HD_ENOTSUP, "a prefix that is bound to nothing");
}

/* element = [ns] string / "*" */
static enum hd_err
take_test(struct compiler *c, struct test *test)
{
    const char *begin = c->at;

    *test = (struct test){ .any_ns = !c->bindings };
    if (take(c, '*'))
        return HD_OK;
    test->local = take_name(c);
    if (!test->local.n)
        return fail(c, HD_ESYNTAX, "a name is missing");
    if (!take(c, ':'))
        return HD_OK;
    struct hd_slice prefix = test->local;
    test->local = take_name(c);
    if (!test->local.n)
        return fail(c, HD_ESYNTAX, "a name is missing");
    const char *behind = c->at;
    enum hd_err err = resolve(c, prefix, test);
    c->at = err ? begin : behind;
    return err;
}

static enum hd_err
take_value(struct compiler *c, struct term *term)
{
    blanks(c);
    char quote = c->at < c->end ? *c->at : '\0';
    const char *begin = c->at;

    if (quote == '"' || quote == '\'') {
        begin = ++c->at;
        while (c->at < c->end && *c->at != quote)
            c->at++;
        term->value = hd_slice(begin, (size_t)(c->at - begin));
        if (!take(c, quote))
            return fail(c, HD_ESYNTAX, "a quotation mark is missing");
    } else {
        while (c->at < c->end && !is_blank(*c->at) && *c->at != ']')
            c->at++;
        term->value = hd_slice(begin, (size_t)(c->at - begin));
        if (!term->value.n)
            return fail(c, HD_ESYNTAX, "a value is missing");
    }
    term->is_number = flt_number(hd_slice_trim(term->value), &term->number) == HD_OK;
    if (term->compare != '=' && !term->is_number) {
        c->at = begin;
        return fail(c, HD_ENOTSUP, "'<' and '>' compare numbers");
    }
    return HD_OK;
}

/* (elem-path / "." / "..") / attr-expr, as far as the comparison */
static enum hd_err
take_term_path(struct compiler *c, struct term *term)
{
    enum hd_err err;

    if (take(c, '.')) {
        term->place = take(c, '.') ? TERM_PARENT : TERM_SELF;
        return HD_OK;
    }
    for (;;) {
        if (take(c, '@')) {
            term->attribute = true;
            return take_test(c, &term->attribute_name);
        }
        if (term->n_steps == sizeof(term->steps) / sizeof(term->steps[0]))
            return fail(c, HD_ENOTSUP, "a path with too many steps in a condition");
        err = take_test(c, &term->steps[term->n_steps]);
        if (err)
            return err;
        term->n_steps++;
        if (!take(c, '/'))
            return HD_OK;
    }
}

static enum hd_err
take_term(struct compiler *c, struct term *term)
{
    blanks(c);
    enum hd_err err = take_term_path(c, term);
    if (err)
        return err;
    blanks(c);
    if (c->at == c->end || !memchr("=<>", *c->at, 3))
        return fail(c, HD_ESYNTAX, "a comparison is missing");
    term->compare = *c->at++;
    return take_value(c, term);
}

/* expression = "[" term 1*[oper term] "]" */
static enum hd_err
take_condition(struct compiler *c, struct step *step)
{
    step->first_term = c->path->n_terms;
    bool or_before = false;
    for (;;) {
        if (c->path->n_terms == FLT_XPATH_TERMS)
            return fail(c, HD_ENOTSUP, "too many comparisons");
        struct term *term = &c->path->terms[c->path->n_terms];
        *term = (struct term){ .or_before = or_before };
        enum hd_err err = take_term(c, term);
        if (err)
            return err;
        c->path->n_terms++;
        step->n_terms++;
        blanks(c);
        if (take(c, ']'))
            return HD_OK;
        struct hd_slice word = take_name(c);
        or_before = hd_slice_eq(word, HD_LIT("or"));
        if (!or_before && !hd_slice_eq(word, HD_LIT("and")))
            return fail(c, HD_ESYNTAX, "\"and\", \"or\" or a bracket is missing");
    }
}

static enum hd_err
take_step(struct compiler *c, bool descendant)
{
    struct flt_xpath *path = c->path;

    if (path->n_steps == FLT_XPATH_STEPS)
        return fail(c, HD_ENOTSUP, "a path with too many steps");
    struct step *step = &path->steps[path->n_steps];
    *step = (struct step){ .descendant = descendant };
    enum hd_err err = take_test(c, &step->test);
    if (err)
        return err;
    path->n_steps++;
    blanks(c);
    return take(c, '[') ? take_condition(c, step) : HD_OK;
}

static enum hd_err
take_path(struct compiler *c)
{
    blanks(c);
    do {
        blanks(c);
        if (!take(c, '/'))
            return fail(c, HD_ESYNTAX, c->at == c->end ? "a step is missing" : "'/' is missing");
        bool descendant = take(c, '/');
        blanks(c);
        if (take(c, '@')) {
            enum hd_err err = take_test(c, &c->path->attribute);
            if (err)
                return err;
            c->path->ends_in_attribute = true;
            c->path->attribute_anywhere = descendant;
            blanks(c);
            break;
        }
        enum hd_err err = take_step(c, descendant);
        if (err)
            return err;
        blanks(c);
    } while (c->at < c->end);
    return c->at == c->end ? HD_OK : fail(c, HD_ESYNTAX, "something behind the path");
}

/* Names of namespaces into the path's own memory: they must outlive the bindings. */
static struct flt_bindings *
copy_bindings(const struct flt_bindings *bindings, char **memory)
{
    struct flt_bindings *copy = malloc(sizeof(*copy));

    if (!copy)
        return NULL;
    *copy = *bindings;
    for (unsigned i = 0; i < copy->n; i++) {
        memcpy(*memory, copy->binding[i].uri.p, copy->binding[i].uri.n);
        copy->binding[i].uri.p = *memory;
        *memory += copy->binding[i].uri.n;
    }
    return copy;
}

enum hd_err
flt_xpath_compile(struct hd_slice text, const struct flt_bindings *bindings,
                  struct flt_xpath **ret_path, const char **ret_reason, size_t *ret_at)
{
    size_t room = text.n;
    enum hd_err err = HD_ENOMEM;
    struct flt_bindings *copy = NULL;

    *ret_at = 0;
    if (text.n > FLT_XPATH_OCTETS) {
        *ret_reason = "a path that is too long";
        return HD_ENOTSUP;
    }
    for (unsigned i = 0; bindings && i < bindings->n; i++)
        room += bindings->binding[i].uri.n;
    struct flt_xpath *path = calloc(1, sizeof(*path) + room);
    struct term *terms = calloc(FLT_XPATH_TERMS, sizeof(*terms));
    if (!path || !terms)
        goto out;
    path->terms = terms;
    terms = NULL;
    char *memory = path->octets;
    if (text.n)
        memcpy(memory, text.p, text.n);
    memory += text.n;
    if (bindings) {
        copy = copy_bindings(bindings, &memory);
        if (!copy)
            goto out;
    }
    struct compiler c = { .path = path,
                          .bindings = copy,
                          .begin = path->octets,
                          .at = path->octets,
                          .end = path->octets + text.n };
    err = take_path(&c);
    if (err) {
        *ret_reason = c.reason;
        *ret_at = (size_t)(c.at - c.begin);
        goto out;
    }
    if (path->n_terms) {
        struct term *fit = realloc(path->terms, path->n_terms * sizeof(*fit));
        path->terms = fit ? fit : path->terms;
    } else {
        free(path->terms);
        path->terms = NULL;
    }
    *ret_path = path;
    path = NULL;
out:
    free(copy);
    free(terms);
    flt_xpath_free(path);
    return err;
}

void
flt_xpath_free(struct flt_xpath *path)
{
    if (!path)
        return;
    free(path->terms);
    free(path);
}

const struct hd_slice *
flt_xpath_attribute(const struct flt_xpath *path)
{
    return path->ends_in_attribute ? &path->attribute.local : NULL;
}

/* --- evaluating ------------------------------------------------------------------------------ */

static bool
same_namespace(struct hd_slice a, struct hd_slice b)
{
    static const struct hd_slice dynamic =
        HD_LIT_INIT("urn:ietf:params:xml:ns:pidf:geopriv10:dynamic");
    static const struct hd_slice schema = HD_LIT_INIT("urn:ietf:params:xml:schema:pidf:dynamic");

    if (hd_slice_eq(a, b))
        return true;
    return (hd_slice_eq(a, dynamic) && hd_slice_eq(b, schema)) ||
           (hd_slice_eq(b, dynamic) && hd_slice_eq(a, schema));
}

static bool
test_fits(const struct test *test, const struct fmt_xml_tree *tree, const struct fmt_xml_name *name)
{
    if (!test->local.n)
        return true;
    if (!hd_slice_eq(test->local, name->local))
        return false;
    if (test->any_ns && !test->prefixed)
        return true;
    if (!test->prefixed)
        return !name->ns.n || hd_slice_eq(name->ns, tree->nodes[0].name.ns);
    return same_namespace(test->ns, name->ns);
}

static const struct fmt_xml_attribute *
attribute_find(const struct test *test, const struct fmt_xml_tree *tree,
               const struct fmt_xml_node *node)
{
    for (uint32_t i = 0; i < node->n_attributes; i++) {
        const struct fmt_xml_attribute *a = &tree->attributes[node->first_attribute + i];
        if (!test->local.n ||
            (hd_slice_eq(a->name.local, test->local) &&
             (test->prefixed ? same_namespace(a->name.ns, test->ns) : !a->name.ns.n)))
            return a;
    }
    return NULL;
}

static bool
compare(const struct term *term, struct hd_slice written, bool cdata)
{
    char memory[256];
    struct hd_slice text;
    double number;

    if (fmt_xml_text(written, cdata, memory, sizeof(memory), &text))
        return false;
    bool numeric = term->is_number && flt_number(text, &number) == HD_OK;
    switch (term->compare) {
    case '<':
        return numeric && number < term->number;
    case '>':
        return numeric && number > term->number;
    default:
        return numeric ? number == term->number : hd_slice_eq(text, term->value);
    }
}

/* XPath 1.0 section 3.4: a comparison holds when it holds for any of the nodes. */
static bool
term_below(const struct term *term, const struct fmt_xml_tree *tree,
           const struct fmt_xml_node *node, unsigned step)
{
    if (step == term->n_steps) {
        if (!term->attribute)
            return compare(term, node->text, node->cdata);
        const struct fmt_xml_attribute *a = attribute_find(&term->attribute_name, tree, node);
        return a && compare(term, a->value, false);
    }
    for (const struct fmt_xml_node *child = fmt_xml_node_child(tree, node); child;
         child = fmt_xml_node_next(tree, child))
        if (test_fits(&term->steps[step], tree, &child->name) &&
            term_below(term, tree, child, step + 1))
            return true;
    return false;
}

static bool
term_holds(const struct term *term, const struct fmt_xml_tree *tree,
           const struct fmt_xml_node *node)
{
    switch (term->place) {
    case TERM_PARENT:
        return node->parent != FMT_XML_NONE &&
               compare(term, tree->nodes[node->parent].text, tree->nodes[node->parent].cdata);
    case TERM_SELF:
        return compare(term, node->text, node->cdata);
    case TERM_CHILD:
        break;
    }
    return term_below(term, tree, node, 0);
}

/* "and" binds tighter than "or". */
static bool
condition_holds(const struct flt_xpath *path, const struct step *step,
                const struct fmt_xml_tree *tree, const struct fmt_xml_node *node)
{
    bool all = true;

    for (unsigned i = 0; i < step->n_terms; i++) {
        const struct term *term = &path->terms[step->first_term + i];
        if (term->or_before) {
            if (all)
                return true;
            all = true;
        }
        all = all && term_holds(term, tree, node);
    }
    return all;
}

/* From the elements marked to those that the step leads to.  before: bit 1 marked, bit 2 below one.
 */
static void
step_apply(const struct flt_xpath *path, const struct step *step, const struct fmt_xml_tree *tree,
           bool first, uint8_t *before, uint8_t *after)
{
    for (uint32_t i = 0; i < tree->n; i++) {
        const struct fmt_xml_node *node = &tree->nodes[i];
        uint8_t above = node->parent == FMT_XML_NONE ? (first ? 3 : 0) : before[node->parent];
        if (above)
            before[i] |= 2;
        bool here = step->descendant ? above != 0 : (above & 1) != 0;
        if (first && !step->descendant)
            here = node->parent == FMT_XML_NONE;
        after[i] = here && test_fits(&step->test, tree, &node->name) &&
                   condition_holds(path, step, tree, node);
    }
}

uint32_t
flt_xpath_select(const struct flt_xpath *path, const struct fmt_xml_tree *tree, uint8_t *marks,
                 uint8_t *spare)
{
    uint8_t *now = spare, *then = marks;
    uint32_t n = 0;

    memset(now, 0, tree->n);
    for (unsigned i = 0; i < path->n_steps; i++) {
        step_apply(path, &path->steps[i], tree, i == 0, now, then);
        uint8_t *swap = now;
        now = then;
        then = swap;
    }
    if (path->attribute_anywhere) /* "a//@b": of the elements and of all below them */
        for (uint32_t i = 0; i < tree->n; i++)
            now[i] |= path->n_steps == 0 ||
                      (tree->nodes[i].parent != FMT_XML_NONE && (now[tree->nodes[i].parent] & 1));
    for (uint32_t i = 0; i < tree->n; i++) {
        marks[i] = now[i] & 1;
        if (marks[i] && path->ends_in_attribute)
            marks[i] = attribute_find(&path->attribute, tree, &tree->nodes[i]) != NULL;
        n += marks[i];
    }
    return n;
}

const struct fmt_xml_attribute *
flt_xpath_attribute_of(const struct flt_xpath *path, const struct fmt_xml_tree *tree,
                       const struct fmt_xml_node *node)
{
    return path->ends_in_attribute ? attribute_find(&path->attribute, tree, node) : NULL;
}
