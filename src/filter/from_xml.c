/* from_xml.c - application/simple-filter+xml (RFC 4661), with the triggers of RFC 6447 and our own.
 *
 * A subscription's filters are what the filter-sets of its SUBSCRIBEs make together: each is looked
 * up by its id, so that a later one replaces, switches or removes it (RFC 4660 section 3.3.3). They
 * are kept as the documents that were sent, without those of which nothing is left.  Of all filters
 * at most one counts for a resource: one for itself before one for its domain. */
#include <stdlib.h>

#include "filter/set.h"
#include "sip/uri.h"

#define SF HD_LIT("urn:ietf:params:xml:ns:simple-filter")
#define LF HD_LIT("urn:ietf:params:xml:ns:location-filter")
#define OWN HD_LIT("urn:herald:filter")
#define GML HD_LIT("http://www.opengis.net/gml")
#define GS HD_LIT("http://www.opengis.net/pidflo/1.0")

#define FILTERS_MOST 32u /* alive at the same time */

enum rank { RANK_NONE = 0, RANK_DOMAIN, RANK_RESOURCE };

/* A filter that is alive, after the documents read so far. */
struct live {
    struct hd_slice id;
    enum rank rank;
    bool enabled;
    unsigned content, switched; /* documents that say what it is, and whether it is on */
    uint32_t node;              /* of its content; FMT_XML_NONE: none */
};

struct reader {
    struct flt_set *set;
    struct hd_slice resource, package;
    struct flt_fault *fault;
    struct flt_xml_documents *documents;
    struct fmt_xml_tree *trees; /* one each */
    struct flt_bindings bindings;
    struct live live[FILTERS_MOST];
    unsigned n_live;
    /* Filters that were taken away, and where: while a document that has one is needed, so is that.
     */
    struct {
        unsigned content, switched, at;
    } removed[FILTERS_MOST];
    unsigned n_removed;
    /* the document being read */
    unsigned at;
    const struct fmt_xml_tree *tree;
};

static enum hd_err
fault(struct reader *r, enum hd_err err, const char *reason, struct hd_slice where)
{
    const struct hd_slice text = r->documents->text[r->at];

    r->fault->reason = reason;
    r->fault->at = where.p >= text.p && where.p <= text.p + text.n ? (size_t)(where.p - text.p) : 0;
    return err;
}

/* What an attribute means, kept with the set. */
static enum hd_err
kept(struct reader *r, struct hd_slice written, bool cdata, struct hd_slice *ret_text)
{
    char memory[FLT_XPATH_OCTETS * 2];
    struct hd_slice text;

    if (fmt_xml_text(written, cdata, memory, sizeof(memory), &text))
        return fault(r, HD_EDENIED, "a value that is too long", written);
    *ret_text = flt_set_string(r->set, text);
    return ret_text->p ? HD_OK : HD_ENOMEM;
}

static enum hd_err
read_bool(struct reader *r, const struct fmt_xml_node *node, struct hd_slice name, bool *value)
{
    struct hd_slice text;

    if (!fmt_xml_node_value(r->tree, node, name, &text))
        return HD_OK;
    *value = hd_slice_eq(text, HD_LIT("true")) || hd_slice_eq(text, HD_LIT("1"));
    if (*value || hd_slice_eq(text, HD_LIT("false")) || hd_slice_eq(text, HD_LIT("0")))
        return HD_OK;
    return fault(r, HD_ESYNTAX, "neither true nor false", text);
}

/* --- whom a filter is for -------------------------------------------------------------------- */

/* Whether a URI names the resource: user and host, as keys are written. */
static bool
is_resource(struct hd_slice resource, struct hd_slice text)
{
    char memory[512];
    struct hd_slice key = hd_slice_from(resource, hd_slice_find(resource, ':') + 1);
    size_t colon = hd_slice_find(text, ':');
    struct sip_uri uri;

    if (text.n + 4 > sizeof(memory) || colon == text.n)
        return false;
    struct hd_slice rest = hd_slice_from(text, colon);
    memcpy(memory, "sip", 3);
    memcpy(memory + 3, rest.p, rest.n);
    if (sip_uri_parse(hd_slice(memory, rest.n + 3), &uri))
        return false;
    size_t at = hd_slice_find(key, '@');
    if (at == key.n)
        return !uri.user.n && hd_slice_ieq(uri.host, key);
    return hd_slice_eq(uri.user, hd_slice(key.p, at)) &&
           hd_slice_ieq(uri.host, hd_slice_from(key, at + 1));
}

static enum hd_err
read_rank(struct reader *r, const struct fmt_xml_node *node, bool removes, enum rank *ret_rank)
{
    struct hd_slice uri, domain;
    bool has_uri = fmt_xml_node_value(r->tree, node, HD_LIT("uri"), &uri);
    bool has_domain = fmt_xml_node_value(r->tree, node, HD_LIT("domain"), &domain);

    if (has_uri && has_domain)
        return fault(r, HD_ESYNTAX, "uri and domain in one filter", uri);
    r->set->bound = r->set->bound || has_uri || has_domain;
    *ret_rank = RANK_RESOURCE;
    if (has_domain) { /* RFC 4660 section 5.2.1: another domain's is ignored */
        struct hd_slice own = hd_slice_from(r->resource, hd_slice_find(r->resource, '@') + 1);
        *ret_rank = hd_slice_ieq(own, domain) ? RANK_DOMAIN : RANK_NONE;
    }
    if (has_uri && !removes && !is_resource(r->resource, uri))
        return fault(r, HD_EDENIED, "a filter for another resource", uri);
    return HD_OK;
}

/* --- conditions ------------------------------------------------------------------------------ */

static bool
is_shape(const struct fmt_xml_node *node)
{
    return hd_slice_eq(node->name.ns, GML) || hd_slice_eq(node->name.ns, GS);
}

static enum hd_err
read_region(struct reader *r, const struct fmt_xml_node *node, struct flt_spec *spec)
{
    const char *reason;

    for (const struct fmt_xml_node *c = fmt_xml_node_child(r->tree, node); c;
         c = fmt_xml_node_next(r->tree, c)) {
        if (!is_shape(c))
            return fault(r, HD_EDENIED, "neither a circle nor a polygon", c->tag);
        if (spec->region)
            return fault(r, HD_EDENIED, "more than one region", c->tag);
        enum hd_err err = flt_region_read(r->tree, c, &spec->region, &reason);
        if (err && err != HD_ENOMEM)
            return fault(r, HD_EDENIED, reason, c->tag);
        if (err)
            return err;
    }
    return HD_OK;
}

static enum hd_err
read_attributes(struct reader *r, const struct fmt_xml_node *node, struct flt_spec *spec)
{
    struct hd_slice value;

    for (uint32_t i = 0; i < node->n_attributes; i++) {
        const struct fmt_xml_attribute *a = &r->tree->attributes[node->first_attribute + i];
        if (a->name.ns.n) /* RFC 4661 section 4: of an extension */
            continue;
        if (spec->n == FLT_PARAMETERS_MOST)
            return fault(r, HD_EDENIED, "too many parameters", node->tag);
        enum hd_err err = kept(r, a->value, false, &value);
        if (err)
            return err;
        flt_spec_add(spec, a->name.local, value,
                     (size_t)(a->value.p - r->documents->text[r->at].p));
    }
    return HD_OK;
}

/* The text of an element as a parameter. */
static enum hd_err
read_text(struct reader *r, const struct fmt_xml_node *node, struct hd_slice name,
          struct flt_spec *spec)
{
    struct hd_slice value;
    enum hd_err err = kept(r, node->text, node->cdata, &value);

    if (!err)
        flt_spec_add(
            spec, name, value,
            (size_t)((node->text.n ? node->text.p : node->tag.p) - r->documents->text[r->at].p));
    return err;
}

static enum hd_err
read_spec(struct reader *r, const struct fmt_xml_node *node, struct flt_spec *spec)
{
    enum hd_err err;

    *spec = (struct flt_spec){ .op = node->name.local,
                               .at = (size_t)(node->tag.p - r->documents->text[r->at].p),
                               .bindings = &r->bindings };
    err = read_attributes(r, node, spec);
    if (err)
        return err;
    if (hd_slice_eq(node->name.ns, SF)) {
        spec->strict = true;
        if (!hd_slice_eq(spec->op, HD_LIT("changed")) && !hd_slice_eq(spec->op, HD_LIT("added")) &&
            !hd_slice_eq(spec->op, HD_LIT("removed")))
            return fault(r, HD_ESYNTAX, "not a trigger's element", node->tag);
        return read_text(r, node, HD_LIT("path"), spec);
    }
    if (fmt_xml_is(&node->name, LF, HD_LIT("moved"))) {
        spec->n = 0; /* its attributes are extensions */
        return read_text(r, node, HD_LIT("value"), spec);
    }
    if (fmt_xml_is(&node->name, LF, HD_LIT("enterOrExit"))) {
        spec->n = 0;
        spec->op = HD_LIT("crosses");
        err = read_region(r, node, spec);
        return err || spec->region
                   ? err
                   : fault(r, HD_ESYNTAX, "a circle or a polygon is missing", node->tag);
    }
    if (!hd_slice_eq(node->name.ns, OWN))
        return fault(r, HD_EDENIED, "a condition that is not known", node->tag);
    return read_region(r, node, spec);
}

static bool
is_group(const struct fmt_xml_node *node)
{
    return fmt_xml_is(&node->name, OWN, HD_LIT("any")) ||
           fmt_xml_is(&node->name, OWN, HD_LIT("all"));
}

static enum hd_err read_group(struct reader *r, const struct fmt_xml_node *node, enum flt_join join,
                              struct flt_spec *first, uint16_t *ret_node);

static enum hd_err
read_node(struct reader *r, const struct fmt_xml_node *node, struct flt_spec *spec,
          uint16_t *ret_node)
{
    if (is_group(node))
        return read_group(r, node, hd_slice_eq(node->name.local, HD_LIT("any")) ? FLT_ANY : FLT_ALL,
                          spec, ret_node);
    enum hd_err err = read_spec(r, node, spec);
    if (!err)
        err = flt_condition_add(r->set, spec, ret_node, r->fault);
    free(spec->region);
    spec->region = NULL;
    return err;
}

/* first: what its first condition says, for the trigger's name. */
static enum hd_err
read_group(struct reader *r, const struct fmt_xml_node *group, enum flt_join join,
           struct flt_spec *first, uint16_t *ret_node)
{
    struct flt_spec spec;
    unsigned n = 0;
    uint16_t inner;
    enum hd_err err = flt_set_add_node(r->set, join, 0, ret_node);

    for (const struct fmt_xml_node *c = fmt_xml_node_child(r->tree, group); c && !err;
         c = fmt_xml_node_next(r->tree, c)) {
        err = read_node(r, c, n++ ? &spec : first, &inner);
        if (!err)
            flt_set_hang(r->set, *ret_node, inner);
    }
    if (err == HD_EDENIED && !r->fault->reason)
        return fault(r, err, "too many conditions", group->tag);
    if (!err && n == 0)
        return fault(r, HD_ESYNTAX, "a condition is missing", group->tag);
    return err;
}

static bool
has_own(const struct fmt_xml_tree *tree, const struct fmt_xml_node *trigger)
{
    for (const struct fmt_xml_node *c = fmt_xml_node_child(tree, trigger); c;
         c = fmt_xml_node_next(tree, c))
        if (hd_slice_eq(c->name.ns, OWN))
            return true;
    return false;
}

/* "ekg1.2": the filter's id and the trigger's number. */
static struct hd_slice
trigger_name(struct hd_slice id, uint32_t number, char memory[FLT_NAME_MOST])
{
    size_t n = 0;

    if (flt_name_fits(id) && id.n + 4 < FLT_NAME_MOST) {
        memcpy(memory, id.p, id.n);
        n = id.n;
        memory[n++] = '.';
    }
    if (number >= 10)
        memory[n++] = (char)('0' + number / 10 % 10);
    memory[n++] = (char)('0' + number % 10);
    return hd_slice(memory, n);
}

static enum hd_err
read_trigger(struct reader *r, const struct fmt_xml_node *node, struct hd_slice id)
{
    struct flt_trigger *trigger;
    struct flt_spec first = { 0 };
    char name[FLT_NAME_MOST];
    uint16_t root;
    enum hd_err err = read_group(r, node, FLT_ALL, &first, &root);

    if (err)
        return err;
    err = flt_set_add_trigger(r->set, root, trigger_name(id, r->set->n_triggers + 1, name),
                              has_own(r->tree, node), &trigger);
    if (err == HD_EDENIED)
        return fault(r, err, "too many triggers", node->tag);
    return err ? err : flt_condition_name(r->set, trigger, &first, r->fault);
}

/* --- what is shown --------------------------------------------------------------------------- */

static enum hd_err
read_what_item(struct reader *r, const struct fmt_xml_node *node, bool exclude)
{
    struct hd_slice type, text;
    const char *reason = NULL;
    struct flt_what *what;
    size_t at;
    enum hd_err err = kept(r, node->text, node->cdata, &text);

    if (!err)
        err = flt_set_add_what(r->set, &what);
    if (err == HD_EDENIED && !r->fault->reason)
        return fault(r, err, "too many includes and excludes", node->tag);
    if (err)
        return err;
    what->exclude = exclude;
    if (fmt_xml_node_value(r->tree, node, HD_LIT("type"), &type) &&
        !hd_slice_eq(type, HD_LIT("xpath"))) {
        what->ns = text;
        return hd_slice_eq(type, HD_LIT("namespace"))
                   ? HD_OK
                   : fault(r, HD_EDENIED, "a type is xpath or namespace", type);
    }
    err = flt_xpath_compile(text, &r->bindings, &what->xpath, &reason, &at);
    if (err && err != HD_ENOMEM)
        return fault(r, err == HD_ENOTSUP ? HD_EDENIED : HD_ESYNTAX, reason,
                     hd_slice_from(node->text, at));
    return err;
}

/* RFC 6447 section 3.5: without exact there is no duty to leave anything out. */
static enum hd_err
read_location_type(struct reader *r, const struct fmt_xml_node *node)
{
    bool exact = false, geodetic = false, civic = false;
    enum hd_err err = read_bool(r, node, HD_LIT("exact"), &exact);
    struct hd_slice rest = node->text;

    while (!err && rest.n) {
        size_t n = 0;
        while (n < rest.n && rest.p[n] != ' ' && rest.p[n] != '\n' && rest.p[n] != '\t' &&
               rest.p[n] != '\r')
            n++;
        struct hd_slice word = hd_slice(rest.p, n);
        rest = hd_slice_from(rest, n ? n : 1);
        if (hd_slice_eq(word, HD_LIT("geodetic")))
            geodetic = true;
        else if (hd_slice_eq(word, HD_LIT("civic")))
            civic = true;
        else if (hd_slice_eq(word, HD_LIT("any")))
            geodetic = civic = true;
        else if (word.n)
            return fault(r, HD_EDENIED, "a location type that is not known", word);
    }
    r->set->geodetic_only = exact && geodetic && !civic;
    r->set->civic_only = exact && civic && !geodetic;
    return err;
}

static enum hd_err
read_what(struct reader *r, const struct fmt_xml_node *node)
{
    enum hd_err err = HD_OK;

    for (const struct fmt_xml_node *c = fmt_xml_node_child(r->tree, node); c && !err;
         c = fmt_xml_node_next(r->tree, c)) {
        if (fmt_xml_is(&c->name, SF, HD_LIT("include")))
            err = read_what_item(r, c, false);
        else if (fmt_xml_is(&c->name, SF, HD_LIT("exclude")))
            err = read_what_item(r, c, true);
        else if (fmt_xml_is(&c->name, LF, HD_LIT("locationType")))
            err = read_location_type(r, c);
        else if (hd_slice_eq(c->name.ns, SF))
            err = fault(r, HD_ESYNTAX, "not an element of \"what\"", c->tag);
    }
    return err;
}

/* RFC 6447 section 3.1: moved stands once in a filter. */
static enum hd_err
check_moved(struct reader *r, const struct fmt_xml_node *filter)
{
    unsigned n = 0;

    for (uint32_t i = 0; i < r->tree->n; i++)
        if (r->tree->nodes[i].tag.p > filter->tag.p &&
            r->tree->nodes[i].tag.p < filter->span.p + filter->span.n &&
            fmt_xml_is(&r->tree->nodes[i].name, LF, HD_LIT("moved")) && ++n > 1)
            return fault(r, HD_EDENIED, "more than one \"moved\"", r->tree->nodes[i].tag);
    return HD_OK;
}

static enum hd_err
read_content(struct reader *r, const struct fmt_xml_node *filter, struct hd_slice id)
{
    enum hd_err err = check_moved(r, filter);

    for (const struct fmt_xml_node *c = fmt_xml_node_child(r->tree, filter); c && !err;
         c = fmt_xml_node_next(r->tree, c)) {
        if (fmt_xml_is(&c->name, SF, HD_LIT("what")))
            err = read_what(r, c);
        else if (fmt_xml_is(&c->name, SF, HD_LIT("trigger")))
            err = read_trigger(r, c, id);
        else if (hd_slice_eq(c->name.ns, SF))
            err = fault(r, HD_ESYNTAX, "not an element of a filter", c->tag);
    }
    return err;
}

/* --- documents ------------------------------------------------------------------------------- */

static enum hd_err
read_bindings(struct reader *r, const struct fmt_xml_node *root)
{
    const struct fmt_xml_node *all = fmt_xml_node_find(r->tree, root, SF, HD_LIT("ns-bindings"));

    r->bindings.n = 0;
    for (const struct fmt_xml_node *c = fmt_xml_node_child(r->tree, all); c;
         c = fmt_xml_node_next(r->tree, c)) {
        struct flt_binding *binding = &r->bindings.binding[r->bindings.n];
        if (!fmt_xml_is(&c->name, SF, HD_LIT("ns-binding")))
            continue;
        if (r->bindings.n == FLT_BINDINGS_MOST)
            return fault(r, HD_EDENIED, "too many bindings", c->tag);
        if (!fmt_xml_node_value(r->tree, c, HD_LIT("prefix"), &binding->prefix) ||
            !fmt_xml_node_value(r->tree, c, HD_LIT("urn"), &binding->uri))
            return fault(r, HD_ESYNTAX, "a binding has prefix and urn", c->tag);
        r->bindings.n++;
    }
    return HD_OK;
}

static struct live *
live_find(struct reader *r, struct hd_slice id)
{
    for (unsigned i = 0; i < r->n_live; i++)
        if (hd_slice_eq(r->live[i].id, id))
            return &r->live[i];
    return NULL;
}

static bool
has_content(const struct reader *r, const struct fmt_xml_node *filter)
{
    return fmt_xml_node_find(r->tree, filter, SF, HD_LIT("what")) ||
           fmt_xml_node_find(r->tree, filter, SF, HD_LIT("trigger"));
}

/* RFC 4660 section 5.2.2: another id for the same resource is an error. */
static enum hd_err
check_only_one(struct reader *r, const struct fmt_xml_node *filter, const struct live *live)
{
    for (unsigned i = 0; i < r->n_live; i++)
        if (&r->live[i] != live && live->rank != RANK_NONE && r->live[i].rank == live->rank)
            return fault(r, HD_EDENIED, "two filters for one resource", filter->tag);
    return HD_OK;
}

static enum hd_err
read_filter(struct reader *r, uint32_t node)
{
    const struct fmt_xml_node *filter = &r->tree->nodes[node];
    bool removes = false, enabled = true, content = has_content(r, filter);
    enum rank rank;
    struct hd_slice id;
    enum hd_err err;

    if (!fmt_xml_node_value(r->tree, filter, HD_LIT("id"), &id) || !id.n)
        return fault(r, HD_ESYNTAX, "a filter without id", filter->tag);
    err = read_bool(r, filter, HD_LIT("remove"), &removes);
    if (!err)
        err = read_bool(r, filter, HD_LIT("enabled"), &enabled);
    if (!err)
        err = read_rank(r, filter, removes, &rank);
    if (err)
        return err;
    struct live *live = live_find(r, id);
    if (live && (live->content == r->at || live->switched == r->at))
        return fault(r, HD_ESYNTAX, "an id stands twice", id);
    if (removes) {
        if (!live)
            return fault(r, HD_EDENIED, "there is no filter of this id", id);
        if (r->n_removed == FILTERS_MOST)
            return fault(r, HD_EDENIED, "too many filters were removed", filter->tag);
        r->removed[r->n_removed].content = live->content;
        r->removed[r->n_removed].switched = live->switched;
        r->removed[r->n_removed++].at = r->at;
        *live = r->live[--r->n_live];
        return HD_OK;
    }
    if (!live && enabled && !content)
        return fault(r, HD_ESYNTAX, "a filter without what and trigger", filter->tag);
    if (!live) {
        if (r->n_live == FILTERS_MOST)
            return fault(r, HD_EDENIED, "too many filters", filter->tag);
        live = &r->live[r->n_live++];
        *live = (struct live){ .id = id, .content = UINT32_MAX, .node = FMT_XML_NONE };
    }
    live->rank = rank;
    live->enabled = enabled;
    live->switched = r->at;
    if (content) {
        live->content = r->at;
        live->node = node;
    }
    return check_only_one(r, filter, live);
}

static enum hd_err
read_document(struct reader *r)
{
    const struct fmt_xml_node *root = &r->tree->nodes[0];
    struct hd_slice package;
    bool any = false;

    if (!fmt_xml_is(&root->name, SF, HD_LIT("filter-set")))
        return fault(r, HD_ESYNTAX, "not a filter-set", root->tag);
    if (fmt_xml_node_value(r->tree, root, HD_LIT("package"), &package) &&
        !hd_slice_eq(package, r->package))
        return fault(r, HD_EDENIED, "a filter-set for another package", package);
    for (uint32_t i = root->child; i != FMT_XML_NONE; i = r->tree->nodes[i].next) {
        const struct fmt_xml_node *c = &r->tree->nodes[i];
        enum hd_err err = HD_OK;
        if (fmt_xml_is(&c->name, SF, HD_LIT("filter"))) {
            any = true;
            err = read_filter(r, i);
        } else if (!fmt_xml_is(&c->name, SF, HD_LIT("ns-bindings"))) {
            err = fault(r, HD_ESYNTAX, "not an element of a filter-set", c->tag);
        }
        if (err)
            return err;
    }
    return any ? HD_OK : fault(r, HD_ESYNTAX, "a filter-set without filter", root->tag);
}

/* The one that counts; what a filter that is off says is read as well, so that it can be kept. */
static enum hd_err
read_chosen(struct reader *r)
{
    const struct live *chosen = NULL;

    for (unsigned i = 0; i < r->n_live; i++) {
        const struct live *live = &r->live[i];
        if (live->content < r->documents->n)
            r->documents->needed[live->content] = true;
        r->documents->needed[live->switched] = true;
        if (live->enabled && live->rank != RANK_NONE && live->node != FMT_XML_NONE &&
            (!chosen || live->rank > chosen->rank))
            chosen = live;
    }
    for (unsigned i = 0; i < r->n_removed; i++) {
        unsigned content = r->removed[i].content;
        if ((content < r->documents->n && r->documents->needed[content]) ||
            r->documents->needed[r->removed[i].switched])
            r->documents->needed[r->removed[i].at] = true;
    }
    if (!chosen)
        return HD_OK;
    r->at = chosen->content;
    r->tree = &r->trees[r->at];
    enum hd_err err = read_bindings(r, &r->tree->nodes[0]);
    return err ? err : read_content(r, &r->tree->nodes[chosen->node], chosen->id);
}

enum hd_err
flt_read_xml(struct flt_set *set, struct flt_reader *reader, struct flt_xml_documents *documents,
             struct hd_slice resource, struct hd_slice package, struct flt_fault *ret_fault)
{
    struct reader *r = calloc(1, sizeof(*r));
    struct fmt_xml_tree *trees = calloc(documents->n ? documents->n : 1, sizeof(*trees));
    enum hd_err err = r && trees ? HD_OK : HD_ENOMEM;

    *ret_fault = (struct flt_fault){ 0 };
    memset(documents->needed, 0, sizeof(documents->needed));
    if (!err) {
        r->set = set;
        r->resource = resource;
        r->package = package;
        r->fault = ret_fault;
        r->documents = documents;
        r->trees = trees;
    }
    for (unsigned i = 0; i < documents->n && !err; i++) {
        r->at = i;
        r->tree = &trees[i];
        err = fmt_xml_tree_read(&trees[i], &reader->xml, documents->text[i]);
        if (err == HD_ESYNTAX)
            *ret_fault = (struct flt_fault){ trees[i].reason, trees[i].at };
        if (err == HD_EFULL)
            err = fault(r, HD_EDENIED, "too many elements", documents->text[i]);
        if (!err)
            err = read_document(r);
    }
    if (!err)
        err = read_chosen(r);
    for (unsigned i = 0; trees && i < documents->n; i++)
        fmt_xml_tree_done(&trees[i]);
    free(trees);
    free(r);
    return err;
}
