/* pidf.c - what several phones say about one person becomes one document.
 *
 * The problem: each phone publishes a whole document with ids, prefixes and namespaces of its own.
 * Parsed trees are not merged; each child of a root is written out again behind a root tag of ours,
 * in the order of the schema (tuples, notes, others). Invariants: every name keeps its namespace (a
 * binding that differs from our root's is declared on the child again, for names inside content
 * too); no id occurs twice; which id is renamed depends on publication numbers only, never on who
 * was last. */
#include "format/pidf.h"

#include <stdio.h>
#include <stdlib.h>

#include <libxml/hash.h>
#include <libxml/tree.h>
#include <libxml/xmlIO.h>

#define NS_PIDF "urn:ietf:params:xml:ns:pidf"
#define NS_MODEL "urn:ietf:params:xml:ns:pidf:data-model"
#define NS_RPID "urn:ietf:params:xml:ns:pidf:rpid"
#define X(text) ((const xmlChar *)(text))

/* What a child of the root is to us; the order is that in which the schema of RFC 3863 section 4.4
 * wants them. */
enum kind { KIND_TUPLE = 0, KIND_NOTE, KIND_PERSON, KIND_DEVICE, KIND_OTHER, KIND_COUNT };

/* ---- validating ---- */

/* An id seen so far, of one kind. */
struct id {
    struct hd_slice value;
    bool plain;
    enum kind kind;
};

/* One document while it is read. */
struct check {
    struct fmt_xml_reader reader;
    struct id ids[FMT_PIDF_MAX_IDS];
    size_t n_ids;
    enum kind kind;  /* of the child of the root that is open */
    unsigned status; /* how many that child has */
};

static enum hd_err
refuse(struct check *c, const char *reason)
{
    c->reader.reason = reason;
    return HD_ESYNTAX;
}

static enum kind
kind_of_name(const struct fmt_xml_name *name)
{
    if (hd_slice_eq(name->ns, HD_LIT(NS_PIDF))) {
        if (hd_slice_eq(name->local, HD_LIT("tuple")))
            return KIND_TUPLE;
        if (hd_slice_eq(name->local, HD_LIT("note")))
            return KIND_NOTE;
    } else if (hd_slice_eq(name->ns, HD_LIT(NS_MODEL))) {
        if (hd_slice_eq(name->local, HD_LIT("person")))
            return KIND_PERSON;
        if (hd_slice_eq(name->local, HD_LIT("device")))
            return KIND_DEVICE;
    }
    return KIND_OTHER;
}

static bool
same_id(const struct id *a, const struct id *b)
{
    return a->kind == b->kind && (a->plain && b->plain ? hd_slice_eq(a->value, b->value)
                                                       : fmt_xml_value_eq(a->value, b->value));
}

/* The ids are few, so that comparing each with all is cheap. */
static enum hd_err
take_id(struct check *c)
{
    const struct fmt_xml_attribute *const a = fmt_xml_attribute(&c->reader, HD_LIT("id"));
    if (!a || a->value.n == 0)
        return c->kind == KIND_TUPLE ? refuse(c, "PIDF: a tuple without id") : HD_OK;
    const struct id id = { a->value, a->plain, c->kind };
    for (size_t i = 0; i < c->n_ids; i++)
        if (same_id(&c->ids[i], &id))
            return refuse(c, "PIDF: an id stands twice");
    if (c->n_ids == FMT_PIDF_MAX_IDS)
        return refuse(c, "PIDF: too many tuples, persons and devices");
    c->ids[c->n_ids++] = id;
    return HD_OK;
}

static enum hd_err
check_start(struct check *c)
{
    const struct fmt_xml_name *const name = &c->reader.element->name;

    switch (c->reader.depth) {
    case 1: {
        if (!fmt_xml_is(name, HD_LIT(NS_PIDF), HD_LIT("presence")))
            return refuse(c, "PIDF: the root is not presence of " NS_PIDF);
        const struct fmt_xml_attribute *const entity =
            fmt_xml_attribute(&c->reader, HD_LIT("entity"));
        if (!entity || entity->value.n == 0)
            return refuse(c, "PIDF: presence without entity");
        return HD_OK;
    }
    case 2:
        c->kind = kind_of_name(name);
        c->status = 0;
        if (c->kind == KIND_TUPLE || c->kind == KIND_PERSON || c->kind == KIND_DEVICE)
            return take_id(c);
        return HD_OK;
    case 3:
        if (c->kind == KIND_TUPLE)
            c->status += fmt_xml_is(name, HD_LIT(NS_PIDF), HD_LIT("status"));
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
        if (c->reader.depth == 2 && c->kind == KIND_TUPLE && c->status != 1)
            return refuse(c, "PIDF: a tuple without exactly one status");
        return HD_OK;
    case FMT_XML_TEXT:
    case FMT_XML_DONE:
        return HD_OK;
    }
    HD_ASSERT(false);
    return HD_ESYNTAX;
}

enum hd_err
fmt_pidf_validate(struct hd_slice body, size_t max, const char **ret_reason)
{
    struct check c;
    enum fmt_xml_event event = FMT_XML_TEXT;
    enum hd_err err = HD_OK;

    c.n_ids = 0;
    c.kind = KIND_OTHER;
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

/* ---- whom a document is about ---- */

static struct hd_slice
without_scheme(struct hd_slice uri)
{
    static const struct hd_slice schemes[] = { { "pres:", 5 }, { "sip:", 4 }, { "sips:", 5 } };
    for (size_t i = 0; i < HD_ARRAY_LEN(schemes); i++)
        if (hd_slice_istarts(uri, schemes[i]))
            return hd_slice_from(uri, schemes[i].n);
    return uri;
}

bool
fmt_pidf_is_for(struct hd_slice body, struct hd_slice entity)
{
    struct hd_slice value;
    return fmt_xml_root_attribute(body, HD_LIT("entity"), &value) == HD_OK &&
           hd_slice_eq(without_scheme(value), without_scheme(entity));
}

/* ---- composing ---- */

static bool
is_element(const xmlNode *node, const char *ns, const char *name)
{
    return node->type == XML_ELEMENT_NODE && node->ns && xmlStrEqual(node->ns->href, X(ns)) &&
           xmlStrEqual(node->name, X(name));
}

static enum kind
kind_of(const xmlNode *node)
{
    if (is_element(node, NS_PIDF, "tuple"))
        return KIND_TUPLE;
    if (is_element(node, NS_PIDF, "note"))
        return KIND_NOTE;
    if (is_element(node, NS_MODEL, "person"))
        return KIND_PERSON;
    if (is_element(node, NS_MODEL, "device"))
        return KIND_DEVICE;
    return KIND_OTHER;
}

/* An attribute without prefix, NULL when there is none. */
static xmlAttr *
attribute(const xmlNode *node, const char *name)
{
    for (xmlAttr *a = node->properties; a; a = a->next)
        if (!a->ns && xmlStrEqual(a->name, X(name)))
            return a;
    return NULL;
}

struct binding {
    const xmlChar *prefix; /* never NULL: the default namespace of our root is PIDF's */
    const xmlChar *href;
};

struct compose {
    xmlDoc **docs; /* newest first, NULL: left out */
    const struct fmt_pidf_part *parts;
    size_t n;
    struct binding *bindings; /* what our root tag declares */
    size_t n_bindings;
    struct hd_str *out;
    size_t bound; /* octets of the result; an element may reach over it */
};

static xmlNode *
doc_children(const xmlDoc *doc)
{
    return doc ? xmlDocGetRootElement(doc)->children : NULL;
}

static void
remove_node(xmlNode *node)
{
    xmlUnlinkNode(node);
    xmlFreeNode(node);
}

/* Several publications may describe the person; the newest one's view counts (RFC 4479 section 3.2
 * leaves it to the composer). */
static void
choose_person(struct compose *c)
{
    bool found = false;
    for (size_t i = 0; i < c->n; i++) {
        bool here = false;
        for (xmlNode *node = doc_children(c->docs[i]), *next; node; node = next) {
            next = node->next;
            if (kind_of(node) != KIND_PERSON)
                continue;
            here = true;
            if (found)
                remove_node(node);
        }
        found = found || here;
    }
}

static xmlNode *
child_of(const xmlNode *node, const char *ns, const char *name)
{
    for (xmlNode *child = node->children; child; child = child->next)
        if (is_element(child, ns, name))
            return child;
    return NULL;
}

static xmlNode *
person_of(const xmlDoc *doc)
{
    for (xmlNode *node = doc_children(doc); node; node = node->next)
        if (kind_of(node) == KIND_PERSON)
            return node;
    return NULL;
}

/* The namespace of RPID where it can be used in this subtree; declared when it is not. */
static xmlNs *
rpid_of(xmlNode *node)
{
    xmlNs *ns = xmlSearchNsByHref(node->doc, node, X(NS_RPID));
    char prefix[16];

    for (unsigned i = 0; !ns && i < 100; i++) { /* a prefix may be taken for something else */
        (void)snprintf(prefix, sizeof(prefix), "rpid%u", i);
        if (!xmlSearchNs(node->doc, node, X(prefix)))
            ns = xmlNewNs(node, X(NS_RPID), X(prefix));
    }
    return ns;
}

/* Puts the activities of one person among those of another (RFC 4480 section 3.2: there may be
 * several). */
static enum hd_err
add_activities(xmlNode *to, const xmlNode *from)
{
    const xmlNode *activities = child_of(from, NS_RPID, "activities");
    xmlNs *ns = activities ? rpid_of(to) : NULL;
    xmlNode *into = child_of(to, NS_RPID, "activities");

    if (!activities)
        return HD_OK;
    if (ns && !into) {
        xmlNode *first = xmlNewDocNode(to->doc, ns, X("activities"), NULL);
        into = first && to->children ? xmlAddPrevSibling(to->children, first)
               : first               ? xmlAddChild(to, first)
                                     : NULL;
    }
    if (!ns || !into)
        return HD_ENOMEM;
    for (const xmlNode *one = activities->children; one; one = one->next) {
        if (one->type != XML_ELEMENT_NODE || child_of(into, NS_RPID, (const char *)one->name))
            continue;
        xmlNode *copy = xmlNewDocNode(to->doc, ns, one->name, NULL);
        if (!copy || !xmlAddChild(into, copy)) {
            xmlFreeNode(copy);
            return HD_ENOMEM;
        }
    }
    return HD_OK;
}

/* The broker knows what the person does, the person says all else of himself: before the persons
 * are chosen, what the broker knows goes into the newest that is published. */
static enum hd_err
merge_kept(struct compose *c)
{
    xmlNode *kept = NULL, *published = NULL;

    for (size_t i = 0; i < c->n; i++) {
        xmlNode *person = c->docs[i] ? person_of(c->docs[i]) : NULL;
        if (c->parts[i].kept)
            kept = person;
        else if (!published)
            published = person;
    }
    return kept && published ? add_activities(published, kept) : HD_OK;
}

/* The deviceID of a device without blanks around it, NULL: none.  To be freed. */
static xmlChar *
device_id(const xmlNode *device)
{
    for (xmlNode *c = device->children; c; c = c->next) {
        if (!is_element(c, NS_MODEL, "deviceID"))
            continue;
        xmlChar *text = xmlNodeGetContent(c);
        if (!text)
            return NULL;
        struct hd_slice s = hd_slice_str((const char *)text);
        while (s.n && memchr(" \t\r\n", s.p[0], 4))
            s = hd_slice_from(s, 1);
        while (s.n && memchr(" \t\r\n", s.p[s.n - 1], 4))
            s.n--;
        memmove(text, s.p, s.n);
        text[s.n] = '\0';
        return text;
    }
    return NULL;
}

/* Of devices that are the same (RFC 4479 section 3.4: the deviceID says so) the newest
 * publication's stays. */
static enum hd_err
merge_devices(struct compose *c)
{
    xmlHashTable *seen = xmlHashCreate(16);
    enum hd_err err = seen ? HD_OK : HD_ENOMEM;

    for (size_t i = 0; i < c->n && !err; i++) {
        for (xmlNode *node = doc_children(c->docs[i]), *next; node && !err; node = next) {
            next = node->next;
            if (kind_of(node) != KIND_DEVICE)
                continue;
            xmlChar *id = device_id(node);
            const void *owner = id && *id ? xmlHashLookup(seen, id) : c->docs[i];
            if (!owner && xmlHashAddEntry(seen, id, c->docs[i]) != 0)
                err = HD_ENOMEM;
            else if (owner && owner != c->docs[i])
                remove_node(node);
            xmlFree(id);
        }
    }
    xmlHashFree(seen, NULL);
    return err;
}

/* Puts the id of a node among those seen.  HD_EEXIST: it is there already; HD_ENOMATCH: none. */
static enum hd_err
id_take(xmlHashTable *seen, const xmlNode *node)
{
    const xmlAttr *id = attribute(node, "id");
    xmlChar *text = id ? xmlNodeListGetString(node->doc, id->children, 1) : NULL;
    enum hd_err err = HD_ENOMATCH;

    if (text && *text) {
        err = HD_OK;
        if (xmlHashLookup(seen, text))
            err = HD_EEXIST;
        else if (xmlHashAddEntry(seen, text, seen) != 0)
            err = HD_ENOMEM;
    }
    xmlFree(text);
    return err;
}

/* Gives a node whose id is taken another one: "<id>-<number>", and if that is taken too
 * "<id>-<number>-2" and so on. */
static enum hd_err
rename_node(xmlHashTable *seen, xmlNode *node, uint32_t number)
{
    xmlAttr *id = attribute(node, "id");
    xmlChar *old = xmlNodeListGetString(node->doc, id->children, 1);
    enum hd_err err = old ? HD_EEXIST : HD_ENOMEM;

    for (unsigned again = 1; err == HD_EEXIST; again++) {
        char suffix[32];
        if (again == 1)
            snprintf(suffix, sizeof(suffix), "-%08x", number);
        else
            snprintf(suffix, sizeof(suffix), "-%08x-%u", number, again);
        xmlChar *fresh = xmlStrncatNew(old, X(suffix), -1);
        err = fresh && xmlSetProp(node, X("id"), fresh) ? id_take(seen, node) : HD_ENOMEM;
        xmlFree(fresh);
    }
    xmlFree(old);
    return err;
}

static enum hd_err
make_ids_unique_in(xmlHashTable *seen, const xmlDoc *doc, uint32_t number)
{
    enum hd_err err = HD_OK;
    for (xmlNode *node = doc_children(doc); node && !err; node = node->next) {
        const enum kind kind = kind_of(node);
        if (kind != KIND_TUPLE && kind != KIND_PERSON && kind != KIND_DEVICE)
            continue;
        err = id_take(seen, node);
        if (err == HD_EEXIST)
            err = rename_node(seen, node, number);
        else if (err == HD_ENOMATCH)
            err = HD_OK;
    }
    return err;
}

/* In the order of publication numbers, so that who keeps an id does not change when one is
 * refreshed. */
static enum hd_err
make_ids_unique(struct compose *c)
{
    xmlHashTable *seen = xmlHashCreate(64);
    bool *done = calloc(c->n, sizeof(*done));
    enum hd_err err = seen && done ? HD_OK : HD_ENOMEM;

    for (size_t turn = 0; turn < c->n && !err; turn++) {
        size_t lowest = c->n;
        for (size_t i = 0; i < c->n; i++)
            if (!done[i] && (lowest == c->n || c->parts[i].number < c->parts[lowest].number))
                lowest = i;
        done[lowest] = true;
        err = make_ids_unique_in(seen, c->docs[lowest], c->parts[lowest].number);
    }
    free(done);
    xmlHashFree(seen, NULL);
    return err;
}

static const xmlChar *
bound_to(const struct compose *c, const xmlChar *prefix)
{
    if (!prefix)
        return X(NS_PIDF);
    for (size_t i = 0; i < c->n_bindings; i++)
        if (xmlStrEqual(c->bindings[i].prefix, prefix))
            return c->bindings[i].href;
    return NULL;
}

/* Our root tag declares the prefixes of all roots; of two meanings of a prefix the newer
 * publication's. */
static enum hd_err
collect_bindings(struct compose *c)
{
    size_t most = 0;
    for (size_t i = 0; i < c->n; i++)
        if (c->docs[i])
            for (const xmlNs *ns = xmlDocGetRootElement(c->docs[i])->nsDef; ns; ns = ns->next)
                most++;
    c->bindings = calloc(most + 1, sizeof(*c->bindings));
    if (!c->bindings)
        return HD_ENOMEM;
    for (size_t i = 0; i < c->n; i++) {
        if (!c->docs[i])
            continue;
        for (const xmlNs *ns = xmlDocGetRootElement(c->docs[i])->nsDef; ns; ns = ns->next)
            if (ns->prefix && !bound_to(c, ns->prefix))
                c->bindings[c->n_bindings++] = (struct binding){ ns->prefix, ns->href };
    }
    return HD_OK;
}

/* xmlNewNs() gives NULL both when the node declares that prefix itself, which is what we want, and
 * when memory is short. */
static enum hd_err
declare(xmlNode *node, const xmlChar *href, const xmlChar *prefix)
{
    for (const xmlNs *ns = node->nsDef; ns; ns = ns->next)
        if (xmlStrEqual(ns->prefix, prefix))
            return HD_OK;
    return xmlNewNs(node, href, prefix) ? HD_OK : HD_ENOMEM;
}

/* Whether an element of the subtree is in no namespace; the depth is bounded by the guard. */
static bool
has_plain_element(const xmlNode *node)
{
    if (node->type != XML_ELEMENT_NODE)
        return false;
    if (!node->ns)
        return true;
    for (const xmlNode *c = node->children; c; c = c->next)
        if (has_plain_element(c))
            return true;
    return false;
}

/* Declares on a child what its own root declared otherwise than ours does, and the language that it
 * inherited. */
static enum hd_err
carry_context(const struct compose *c, const xmlNode *root, xmlNode *child)
{
    bool has_default = false;
    enum hd_err err = HD_OK;
    for (const xmlNs *ns = root->nsDef; ns && !err; ns = ns->next) {
        has_default = has_default || !ns->prefix;
        const xmlChar *bound = bound_to(c, ns->prefix);
        if (!xmlStrEqual(bound, ns->href))
            err = declare(child, ns->href ? ns->href : X(""), ns->prefix);
    }
    if (!err && !has_default && has_plain_element(child))
        err = declare(child, X(""), NULL);
    if (err)
        return err;
    for (const xmlAttr *a = root->properties; a; a = a->next) {
        if (!a->ns || !xmlStrEqual(a->ns->href, XML_XML_NAMESPACE) ||
            xmlHasNsProp(child, a->name, XML_XML_NAMESPACE))
            continue;
        xmlChar *value = xmlNodeListGetString(root->doc, a->children, 1);
        const bool set = xmlSetNsProp(child, a->ns, a->name, value ? value : X("")) != NULL;
        xmlFree(value);
        if (!set)
            return HD_ENOMEM;
    }
    return HD_OK;
}

static void
write_attribute(struct hd_str *out, const xmlChar *prefix, const xmlChar *name,
                struct hd_slice value)
{
    hd_str_add_str(out, " ");
    if (prefix) {
        hd_str_add(out, hd_slice_str((const char *)prefix));
        hd_str_add_str(out, ":");
    }
    hd_str_add(out, hd_slice_str((const char *)name));
    hd_str_add_str(out, "=\"");
    fmt_xml_escape(out, value);
    hd_str_add_str(out, "\"");
}

/* The attributes of a root that are not written yet by a newer one.  One whose prefix means
 * something else here is left out. */
static enum hd_err
write_root_attributes(const struct compose *c, const xmlNode *root, xmlHashTable *written)
{
    for (const xmlAttr *a = root->properties; a; a = a->next) {
        const bool foreign = a->ns && !xmlStrEqual(bound_to(c, a->ns->prefix), a->ns->href);
        if (foreign || (!a->ns && xmlStrEqual(a->name, X("entity"))))
            continue;
        const xmlChar *prefix = a->ns ? a->ns->prefix : NULL;
        if (xmlHashLookup2(written, a->name, prefix))
            continue;
        if (xmlHashAddEntry2(written, a->name, prefix, written) != 0)
            return HD_ENOMEM;
        xmlChar *value = xmlNodeListGetString(root->doc, a->children, 1);
        write_attribute(c->out, prefix, a->name, hd_slice_str((const char *)value));
        xmlFree(value);
    }
    return HD_OK;
}

static enum hd_err
write_root_tag(const struct compose *c, struct hd_slice entity)
{
    xmlHashTable *written = xmlHashCreate(16);
    enum hd_err err = written ? HD_OK : HD_ENOMEM;

    hd_str_add_str(c->out,
                   "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<presence xmlns=\"" NS_PIDF "\"");
    for (size_t i = 0; i < c->n_bindings; i++)
        write_attribute(c->out, X("xmlns"), c->bindings[i].prefix,
                        hd_slice_str((const char *)c->bindings[i].href));
    hd_str_add_str(c->out, " entity=\"");
    fmt_xml_write_uri(c->out, entity);
    hd_str_add_str(c->out, "\"");
    for (size_t i = 0; i < c->n && !err; i++)
        if (c->docs[i])
            err = write_root_attributes(c, xmlDocGetRootElement(c->docs[i]), written);
    hd_str_add_str(c->out, ">\n");
    xmlHashFree(written, NULL);
    return err;
}

/* libxml2 writes a subtree through here.  A text that is full says so itself; libxml2 would print
 * it. */
static int
write_more(void *context, const char *octets, int n)
{
    struct hd_str *out = context;
    hd_str_add(out, hd_slice(octets, (size_t)n));
    return n;
}

static enum hd_err
write_child(const struct compose *c, const xmlNode *root, xmlNode *child)
{
    const enum hd_err err = carry_context(c, root, child);
    if (err)
        return err;
    xmlOutputBuffer *buffer = xmlOutputBufferCreateIO(write_more, NULL, c->out, NULL);
    if (!buffer)
        return HD_ENOMEM;
    hd_str_add_str(c->out, " ");
    xmlNodeDumpOutput(buffer, child->doc, child, 0, 0, "UTF-8");
    const bool written = xmlOutputBufferClose(buffer) >= 0;
    hd_str_add_str(c->out, "\n");
    if (c->out->n > c->bound)
        return HD_EFULL;
    return c->out->err || written ? c->out->err : HD_ENOMEM;
}

static enum hd_err
write_children(const struct compose *c)
{
    enum hd_err err = HD_OK;
    for (unsigned kind = 0; kind < KIND_COUNT; kind++)
        for (size_t i = 0; i < c->n; i++)
            for (xmlNode *node = doc_children(c->docs[i]); node && !err; node = node->next)
                if (node->type == XML_ELEMENT_NODE && (unsigned)kind_of(node) == kind)
                    err = write_child(c, xmlDocGetRootElement(c->docs[i]), node);
    return err;
}

static enum hd_err
compose_documents(struct compose *c, struct hd_slice entity)
{
    enum hd_err err = merge_kept(c);
    choose_person(c);
    if (!err)
        err = merge_devices(c);
    if (!err)
        err = make_ids_unique(c);
    if (!err)
        err = collect_bindings(c);
    if (!err)
        err = write_root_tag(c, entity);
    if (!err)
        err = write_children(c);
    hd_str_add_str(c->out, "</presence>\n");
    free(c->bindings);
    return err ? err : c->out->err;
}

/* The tree of a document that is valid. */
static enum hd_err
read_document(struct fmt_xml *xml, struct hd_slice body, size_t max, xmlDoc **ret_doc)
{
    const char *reason;
    const enum hd_err err = fmt_pidf_validate(body, max, &reason);
    return err ? err : fmt_xml_parse(xml, body, max, ret_doc, &reason);
}

enum hd_err
fmt_pidf_compose(struct fmt_xml *xml, struct hd_slice entity, const struct fmt_pidf_part *parts,
                 size_t n, size_t max, struct hd_str *out)
{
    struct compose c = { .parts = parts, .n = n, .out = out };
    size_t valid = 0, input = 0;
    enum hd_err err = HD_OK;

    HD_ASSERT(n > 0);
    if (n == 1 && fmt_pidf_is_for(parts[0].body, entity)) {
        hd_str_add(out, parts[0].body);
        return out->err;
    }
    c.docs = calloc(n, sizeof(*c.docs));
    if (!c.docs)
        return HD_ENOMEM;
    for (size_t i = 0; i < n && err != HD_ENOMEM; i++) {
        err = read_document(xml, parts[i].body, max, &c.docs[i]);
        valid += c.docs[i] != NULL;
        input += parts[i].body.n;
    }
    if (err != HD_ENOMEM) {
        c.bound = 4 * (input + max);
        err = valid ? compose_documents(&c, entity) : HD_ESYNTAX;
    }
    for (size_t i = 0; i < n; i++)
        xmlFreeDoc(c.docs[i]);
    free(c.docs);
    return err;
}

void
fmt_pidf_reachable(struct hd_slice entity, const struct fmt_pidf_reach *reach, struct hd_str *out)
{
    hd_str_add_str(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                        "<presence xmlns=\"" NS_PIDF "\"");
    if (reach->on_phone)
        hd_str_add_str(out, " xmlns:dm=\"" NS_MODEL "\" xmlns:rpid=\"" NS_RPID "\"");
    hd_str_add_str(out, " entity=\"");
    fmt_xml_write_uri(out, entity);
    hd_str_add_str(out, "\">\n");
    if (reach->tuple) {
        hd_str_add_str(out, " <tuple id=\"registered\"><status><basic>");
        hd_str_add_str(out, reach->open ? "open" : "closed");
        hd_str_add_str(out, "</basic></status><contact>");
        fmt_xml_write_uri(out, entity);
        hd_str_add_str(out, "</contact></tuple>\n");
    }
    if (reach->on_phone)
        hd_str_add_str(out, " <dm:person id=\"phone\"><rpid:activities><rpid:on-the-phone/>"
                            "</rpid:activities></dm:person>\n");
    hd_str_add_str(out, "</presence>\n");
}

void
fmt_pidf_neutral(struct hd_slice entity, struct hd_str *out)
{
    hd_str_add_str(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                        "<presence xmlns=\"" NS_PIDF "\" entity=\"");
    fmt_xml_write_uri(out, entity);
    hd_str_add_str(out,
                   "\">\n <tuple id=\"offline\"><status><basic>closed</basic></status></tuple>\n"
                   "</presence>\n");
}
