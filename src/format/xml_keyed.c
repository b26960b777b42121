/* xml_keyed.c - what changed between two documents that list elements by id.
 *
 * Both are read once; elements are compared octet by octet, so that one that only looks different
 * is sent for nothing and none that differs is left out.  Elements of the two documents stand in
 * nearly the same order, so each is looked for from where the last one was found. */
#include "format/xml_keyed.h"

#include <stdlib.h>

#define MOST 16384u /* elements of one document */

struct item {
    struct hd_slice id, text;
    uint32_t hash;
    char quote;
    bool over;
};

struct list {
    struct hd_slice head, tail; /* up to the first element's place, and from the end of the list */
    struct hd_slice state;      /* the root's, between its quotes */
    struct hd_slice prefix;     /* of the holder's name, with its colon */
    struct item *items;
    size_t n, cap;
};

static enum hd_err
list_add(struct list *list, const struct item *item)
{
    if (list->n == MOST)
        return HD_ENOTSUP;
    if (list->n == list->cap) {
        const size_t cap = list->cap ? 2 * list->cap : 16;
        struct item *const items = realloc(list->items, cap * sizeof(*items));
        if (!items)
            return HD_ENOMEM;
        list->items = items;
        list->cap = cap;
    }
    list->items[list->n++] = *item;
    return HD_OK;
}

/* One document while it is read. */
struct reading {
    struct fmt_xml_reader reader;
    struct hd_slice text;
    struct item item;
    bool in_item, in_child;
};

static enum hd_err
read_start(const struct fmt_xml_keyed *keyed, struct reading *in, struct list *list)
{
    const struct fmt_xml_reader *const r = &in->reader;

    if (r->depth == 1) {
        const struct fmt_xml_attribute *const state = fmt_xml_attribute(r, HD_LIT("state"));
        if (!state)
            return HD_ENOTSUP;
        list->state = state->value;
    }
    if (r->depth == keyed->depth - 1) {
        const struct hd_slice qname = r->element->name.qname;
        if (list->head.n)
            return HD_ENOTSUP; /* a second list */
        list->head = hd_slice(in->text.p, (size_t)(r->token.p + r->token.n - in->text.p));
        list->prefix = hd_slice(qname.p, qname.n - r->element->name.local.n);
        return HD_OK;
    }
    if (r->depth < keyed->depth)
        return HD_OK;
    if (r->depth == keyed->depth) {
        const struct fmt_xml_attribute *const id = fmt_xml_attribute(r, HD_LIT("id"));
        if (!fmt_xml_is(&r->element->name, keyed->ns, keyed->name) || !id)
            return HD_ENOTSUP; /* something else, of which nobody says how it changes */
        const struct fmt_xml_attribute *const over = fmt_xml_attribute(r, keyed->over_attribute);
        in->in_item = true;
        in->item = (struct item){ .id = id->value,
                                  .text = r->token,
                                  .hash = fmt_xml_value_hash(id->value),
                                  .quote = id->value.p[-1],
                                  .over = over && hd_slice_eq(over->value, keyed->over) };
        return HD_OK;
    }
    in->in_child = in->in_item && r->depth == keyed->depth + 1 && keyed->over_child.n &&
                   fmt_xml_is(&r->element->name, keyed->ns, keyed->over_child);
    return HD_OK;
}

static enum hd_err
read_end(const struct fmt_xml_keyed *keyed, struct reading *in, struct list *list)
{
    const struct fmt_xml_reader *const r = &in->reader;

    if (r->depth == keyed->depth + 1)
        in->in_child = false;
    if (r->depth == keyed->depth && in->in_item) {
        in->in_item = false;
        in->item.text.n = (size_t)(r->token.p + r->token.n - in->item.text.p);
        return list_add(list, &in->item);
    }
    if (r->depth == keyed->depth - 1) {
        if (!r->token.n)
            return HD_ENOTSUP; /* an empty-element tag: there is nowhere to put elements */
        list->tail = hd_slice(r->token.p, (size_t)(in->text.p + in->text.n - r->token.p));
    }
    return HD_OK;
}

static enum hd_err
list_read(const struct fmt_xml_keyed *keyed, struct hd_slice text, struct list *list)
{
    struct reading *const in = malloc(sizeof(*in));
    enum fmt_xml_event event = FMT_XML_TEXT;
    enum hd_err err = HD_OK;

    if (!in)
        return HD_ENOMEM;
    in->text = text;
    in->in_item = in->in_child = false;
    fmt_xml_open(&in->reader, text, text.n);
    while (!err && event != FMT_XML_DONE) {
        if (fmt_xml_next(&in->reader, &event)) {
            err = HD_ENOTSUP;
            break;
        }
        switch (event) {
        case FMT_XML_START:
            err = read_start(keyed, in, list);
            break;
        case FMT_XML_END:
            err = read_end(keyed, in, list);
            break;
        case FMT_XML_TEXT:
            if (in->in_child && hd_slice_eq(in->reader.token, keyed->over))
                in->item.over = true;
            break;
        case FMT_XML_DONE:
            break;
        }
    }
    free(in);
    return err || list->tail.n ? err : HD_ENOTSUP;
}

/* The element with this id, looked for from *at on, all around; *at is then behind it. */
static const struct item *
list_find(const struct list *list, const struct item *item, size_t *at)
{
    for (size_t i = 0; i < list->n; i++) {
        const size_t k = (*at + i) % list->n;
        if (list->items[k].hash == item->hash && fmt_xml_value_eq(list->items[k].id, item->id)) {
            *at = k + 1;
            return &list->items[k];
        }
    }
    return NULL;
}

static void
write_gone(const struct fmt_xml_keyed *keyed, const struct list *now, const struct item *gone,
           struct hd_str *out)
{
    hd_str_add_char(out, '<');
    hd_str_add(out, now->prefix);
    hd_str_add(out, keyed->name);
    hd_str_add_str(out, " id=");
    hd_str_add_char(out, gone->quote);
    hd_str_add(out, gone->id);
    hd_str_add_char(out, gone->quote);
    hd_str_add_str(out, "><");
    hd_str_add(out, now->prefix);
    hd_str_add(out, keyed->over_child);
    hd_str_add_char(out, '>');
    hd_str_add(out, keyed->over);
    hd_str_add_str(out, "</");
    hd_str_add(out, now->prefix);
    hd_str_add(out, keyed->over_child);
    hd_str_add_str(out, "></");
    hd_str_add(out, now->prefix);
    hd_str_add(out, keyed->name);
    hd_str_add_str(out, ">\n");
}

static void
write_head(const struct list *now, struct hd_str *out)
{
    const size_t at = (size_t)(now->state.p - now->head.p);

    hd_str_add(out, hd_slice(now->head.p, at));
    hd_str_add_str(out, "partial");
    hd_str_add(out, hd_slice_from(now->head, at + now->state.n));
    hd_str_add_char(out, '\n');
}

static enum hd_err
write_changes(const struct fmt_xml_keyed *keyed, const struct list *base, const struct list *now,
              struct hd_str *out)
{
    size_t at = 0;

    write_head(now, out);
    for (size_t i = 0; i < now->n; i++) {
        const struct item *const old = list_find(base, &now->items[i], &at);
        if (old && hd_slice_eq(old->text, now->items[i].text))
            continue;
        hd_str_add(out, now->items[i].text);
        hd_str_add_char(out, '\n');
    }
    at = 0;
    for (size_t i = 0; i < base->n; i++) {
        if (base->items[i].over || list_find(now, &base->items[i], &at))
            continue;
        if (!keyed->say_gone)
            return HD_ENOTSUP;
        write_gone(keyed, now, &base->items[i], out);
    }
    hd_str_add(out, now->tail);
    return out->err;
}

enum hd_err
fmt_xml_keyed_changes(const struct fmt_xml_keyed *keyed, struct hd_slice base, struct hd_slice now,
                      struct hd_str *out)
{
    struct list old = { 0 }, new = { 0 };
    enum hd_err err = list_read(keyed, base, &old);

    if (!err)
        err = list_read(keyed, now, &new);
    /* Names in an element mean what its holders' declarations say: those must be the same. */
    if (!err && (!hd_slice_eq(old.head, new.head) || !hd_slice_eq(old.tail, new.tail)))
        err = HD_ENOTSUP;
    if (!err)
        err = write_changes(keyed, &old, &new, out);
    free(old.items);
    free(new.items);
    return err;
}

bool
fmt_xml_root_version(struct hd_slice text, struct hd_slice *ret_digits)
{
    struct hd_slice value;
    uint32_t number;

    if (fmt_xml_root_attribute(text, HD_LIT("version"), &value) || hd_slice_to_u32(value, &number))
        return false;
    *ret_digits = value;
    return true;
}
