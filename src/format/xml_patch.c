/* xml_patch.c - what makes one XML document into another, as patch operations (RFC 5261).
 *
 * A unit is an element with the blanks behind it, up to its next sibling: units can be taken away
 * and put in without anything else moving.  Operations are applied one after the other, so
 * positions count what stands there by then. Invariants: what is copied into an operation needs no
 * declaration but those of the root, whose tag both documents share; the work is bounded by
 * PAIRS_MOST for each element, and by the depth of the documents. */
#include "format/xml_patch.h"

#include <stdlib.h>

#define PAIRS_MOST                                                                                 \
    65536u /* units of the one times units of the other; more are replaced together */

/* How well two units fit. */
enum { FIT_NOT = 0, FIT_NAME = 1, FIT_ID = 2, FIT_SAME = 3 };

struct unit {
    const struct fmt_xml_node *node;
    struct hd_slice gap; /* behind it */
};

struct units {
    struct unit *units;
    uint32_t n;
    struct hd_slice lead; /* before the first; all of the content when there is none */
    bool blank;           /* there is nothing but blanks between them */
};

struct writer {
    const struct fmt_xml_tree *base, *now;
    struct hd_slice prefix;
    struct hd_str *out;
};

static bool
is_blank(struct hd_slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != ' ' && s.p[i] != '\t' && s.p[i] != '\r' && s.p[i] != '\n')
            return false;
    return true;
}

struct hd_slice
fmt_xml_content(const struct fmt_xml_node *node)
{
    struct hd_slice content = hd_slice_from(node->span, node->tag.n);

    while (content.n && content.p[content.n - 1] != '<')
        content.n--;
    if (content.n)
        content.n--; /* the '<' of the end tag */
    return content;
}

static struct hd_slice
between(const char *begin, const char *end)
{
    return hd_slice(begin, (size_t)(end - begin));
}

/* The units of an element; free units. */
static enum hd_err
units_read(const struct fmt_xml_tree *tree, const struct fmt_xml_node *node, struct units *ret)
{
    const struct hd_slice content = fmt_xml_content(node);
    struct units made = { .lead = content, .blank = true };

    for (const struct fmt_xml_node *c = fmt_xml_node_child(tree, node); c;
         c = fmt_xml_node_next(tree, c))
        made.n++;
    if (made.n) {
        made.units = malloc(made.n * sizeof(*made.units));
        if (!made.units)
            return HD_ENOMEM;
        const struct fmt_xml_node *c = fmt_xml_node_child(tree, node);
        made.lead = between(content.p, c->span.p);
        for (uint32_t i = 0; i < made.n; i++) {
            const struct fmt_xml_node *next = fmt_xml_node_next(tree, c);
            const char *end = next ? next->span.p : content.p + content.n;
            made.units[i] = (struct unit){ .node = c, .gap = between(c->span.p + c->span.n, end) };
            made.blank = made.blank && is_blank(made.units[i].gap);
            c = next;
        }
    }
    made.blank = made.blank && is_blank(made.lead);
    *ret = made;
    return HD_OK;
}

/* How well a unit of the base fits one of now; FIT_NOT: the one cannot become the other. */
static unsigned
fit(const struct writer *w, const struct unit *a, const struct unit *b)
{
    struct hd_slice id_a, id_b;

    if (!fmt_xml_is(&a->node->name, b->node->name.ns, b->node->name.local) ||
        !hd_slice_eq(a->gap, b->gap))
        return FIT_NOT;
    if (hd_slice_eq(a->node->span, b->node->span))
        return FIT_SAME;
    const bool has_a = fmt_xml_node_value(w->base, a->node, HD_LIT("id"), &id_a);
    const bool has_b = fmt_xml_node_value(w->now, b->node, HD_LIT("id"), &id_b);
    if (has_a != has_b || (has_a && !hd_slice_eq(id_a, id_b)))
        return FIT_NOT;
    return has_a ? FIT_ID : FIT_NAME;
}

/* --- operations ------------------------------------------------------------------------------ */

/* The way to an element, as the end of a list of positions; depth 0: the root. */
struct way {
    const struct way *up;
    uint32_t at; /* from 1 */
};

static void
write_way(struct hd_str *out, const struct way *way)
{
    if (!way) {
        hd_str_add_char(out, '*');
        return;
    }
    write_way(out, way->up);
    hd_str_addf(out, "/*[%u]", way->at);
}

static void
begin_operation(const struct writer *w, const char *name, const struct way *way, const char *more)
{
    hd_str_add_char(w->out, '<');
    hd_str_add(w->out, w->prefix);
    hd_str_add_char(w->out, ':');
    hd_str_add_str(w->out, name);
    hd_str_add_str(w->out, " sel=\"");
    write_way(w->out, way);
    hd_str_add_str(w->out, more);
}

static void
end_operation(const struct writer *w, const char *name)
{
    hd_str_add_str(w->out, "</");
    hd_str_add(w->out, w->prefix);
    hd_str_add_char(w->out, ':');
    hd_str_add_str(w->out, name);
    hd_str_add_str(w->out, ">\n");
}

static void
write_remove(const struct writer *w, const struct way *way, const struct unit *unit)
{
    begin_operation(w, "remove", way, unit->gap.n ? "\" ws=\"after\"/>\n" : "\"/>\n");
}

/* n units, before the element at a place, or behind the last one. */
static void
write_add(const struct writer *w, const struct way *parent, uint32_t before,
          const struct unit *units, uint32_t n)
{
    const struct way way = { .up = parent, .at = before };

    begin_operation(w, "add", before ? &way : parent, before ? "\" pos=\"before\">" : "\">");
    for (uint32_t i = 0; i < n; i++) {
        hd_str_add(w->out, units[i].node->span);
        hd_str_add(w->out, units[i].gap);
    }
    end_operation(w, "add");
}

static void
write_replace(const struct writer *w, const struct way *way, const char *more, struct hd_slice by)
{
    begin_operation(w, "replace", way, more);
    hd_str_add(w->out, by);
    end_operation(w, "replace");
}

/* --- comparing ------------------------------------------------------------------------------- */

static enum hd_err children_patch(const struct writer *w, const struct units *a,
                                  const struct units *b, const struct way *way);

static bool
declares(struct hd_slice tag)
{
    return memmem(tag.p, tag.n, "xmlns", 5) != NULL;
}

/* One element into another of the same name.  What declares namespaces is replaced as a whole, so
 * that nothing is taken out of where its names mean something. */
static enum hd_err
element_patch(const struct writer *w, const struct fmt_xml_node *a, const struct fmt_xml_node *b,
              const struct way *way)
{
    const struct hd_slice old = fmt_xml_content(a), new = fmt_xml_content(b);
    const size_t before = w->out->n;
    struct units from = { 0 }, to = { 0 };
    enum hd_err err = HD_OK;

    const bool same_tag = hd_slice_eq(a->tag, b->tag) && !declares(a->tag);
    const bool leaf = a->child == FMT_XML_NONE && b->child == FMT_XML_NONE;
    if (same_tag && leaf && !is_blank(old) && !is_blank(new) && hd_slice_find(old, '<') == old.n &&
        hd_slice_find(new, '<') == new.n) {
        write_replace(w, way, "/text()\">", new);
        return HD_OK;
    }
    if (same_tag && !leaf) {
        err = units_read(w->base, a, &from);
        if (!err)
            err = units_read(w->now, b, &to);
        if (!err)
            err = children_patch(w, &from, &to, way);
        free(from.units);
        free(to.units);
        if (err == HD_ENOMEM)
            return err;
    }
    if (!same_tag || leaf || err || w->out->n - before > b->span.n + 30) {
        if (w->out->p) {
            w->out->n = before;
            w->out->p[before] = '\0';
        }
        write_replace(w, way, "\">", b->span);
    }
    return HD_OK;
}

/* What is worth keeping of the units from i and k on: row by row from the end. */
static uint32_t *
fits_weigh(const struct writer *w, const struct unit *a, uint32_t n, const struct unit *b,
           uint32_t m)
{
    const size_t width = (size_t)m + 1;
    uint32_t *best = calloc((n + 1) * width, sizeof(*best));

    for (uint32_t i = n; best && i-- > 0;) {
        for (uint32_t k = m; k-- > 0;) {
            uint32_t most = best[(i + 1) * width + k];
            if (best[i * width + k + 1] > most)
                most = best[i * width + k + 1];
            const unsigned f = fit(w, &a[i], &b[k]);
            if (f && best[(i + 1) * width + k + 1] + f > most)
                most = best[(i + 1) * width + k + 1] + f;
            best[i * width + k] = most;
        }
    }
    return best;
}

/* Where the walk through the units of an element stands. */
struct progress {
    const struct way *way;
    uint32_t at, count; /* elements passed, elements there are by now */
};

static void
flush_added(const struct writer *w, struct progress *p, const struct unit *units, uint32_t *n)
{
    if (*n == 0)
        return;
    write_add(w, p->way, p->at < p->count ? p->at + 1 : 0, units - *n, *n);
    p->at += *n;
    p->count += *n;
    *n = 0;
}

static enum hd_err
walk(const struct writer *w, struct progress *p, const uint32_t *best, const struct unit *a,
     uint32_t n, const struct unit *b, uint32_t m)
{
    const size_t width = (size_t)m + 1;
    uint32_t i = 0, k = 0, added = 0;
    enum hd_err err = HD_OK;

    while (!err && (i < n || k < m)) {
        const unsigned f = i < n && k < m ? fit(w, &a[i], &b[k]) : FIT_NOT;
        const uint32_t here = best[i * width + k];
        struct way way = { .up = p->way };
        if (f && here == best[(i + 1) * width + k + 1] + f) {
            flush_added(w, p, &b[k], &added);
            way.at = ++p->at;
            if (f != FIT_SAME)
                err = element_patch(w, a[i].node, b[k].node, &way);
            i++;
            k++;
        } else if (i < n && (k == m || here == best[(i + 1) * width + k])) {
            flush_added(w, p, &b[k], &added);
            way.at = p->at + 1;
            write_remove(w, &way, &a[i++]);
            p->count--;
        } else {
            added++;
            k++;
        }
    }
    flush_added(w, p, &b[m], &added);
    return err;
}

static enum hd_err
children_patch(const struct writer *w, const struct units *a, const struct units *b,
               const struct way *way)
{
    uint32_t front = 0, n = a->n, m = b->n;
    struct progress p = { .way = way, .count = a->n };

    if (!a->blank || !b->blank || !hd_slice_eq(a->lead, b->lead))
        return HD_ENOTSUP;
    while (front < n && front < m && fit(w, &a->units[front], &b->units[front]) == FIT_SAME)
        front++;
    while (n > front && m > front && fit(w, &a->units[n - 1], &b->units[m - 1]) == FIT_SAME)
        n--, m--;
    p.at = front;
    if ((uint64_t)(n - front) * (m - front) > PAIRS_MOST)
        return HD_ENOTSUP;
    if (n == front && m == front)
        return HD_OK;
    uint32_t *best = fits_weigh(w, a->units + front, n - front, b->units + front, m - front);
    if (!best)
        return HD_ENOMEM;
    enum hd_err err = walk(w, &p, best, a->units + front, n - front, b->units + front, m - front);
    free(best);
    return err;
}

enum hd_err
fmt_xml_patch(const struct fmt_xml_tree *base, const struct fmt_xml_tree *now,
              struct hd_slice prefix, struct hd_str *out)
{
    const struct writer w = { .base = base, .now = now, .prefix = prefix, .out = out };
    struct units a = { 0 }, b = { 0 };

    if (!hd_slice_eq(base->nodes[0].tag, now->nodes[0].tag))
        return HD_ENOTSUP;
    enum hd_err err = units_read(base, base->nodes, &a);
    if (!err)
        err = units_read(now, now->nodes, &b);
    if (!err)
        err = children_patch(&w, &a, &b, NULL);
    free(a.units);
    free(b.units);
    return err ? err : out->err;
}
