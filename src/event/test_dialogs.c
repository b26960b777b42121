/* test_dialogs.c - a package of dialogs for the tests' host, and the filter port by which a
 * SUBSCRIBE names one of them (RFC 4235 section 3.2).
 *
 * A document has a line for each dialog: "#MARK#CALL-ID" and '+' while it lives, '-' when it is
 * over.  A dialog is named by its Call-ID alone, the tags are read and left.  What the port cuts
 * has the lines that are named as they stand, or "(none)". */
#include "event/test_dialogs.h"

#include "event/test_check.h"
#include "sip/dialog_id.h"

#define CALL_ID_MOST 64

struct named {
    struct evt_filter head;
    struct named *next, **place;
    char call_id[CALL_ID_MOST];
};

/* Those of a shard: what is named twice is one filter. */
struct pool {
    struct named *first;
    uint32_t ids;
};
static struct pool pools[HOST_SHARDS];

static struct named *
named_find(const struct pool *pool, struct hd_slice call_id)
{
    struct named *named = pool->first;

    while (named && !hd_slice_eq(named->head.source, call_id))
        named = named->next;
    return named;
}

static struct named *
named_new(struct pool *pool, struct hd_slice call_id)
{
    struct named *named = calloc(1, sizeof(*named));

    if (!named)
        return NULL;
    memcpy(named->call_id, call_id.p, call_id.n);
    named->head = (struct evt_filter){ .id = ++pool->ids,
                                       .chooses = true,
                                       .partial = true,
                                       .source = hd_slice(named->call_id, call_id.n) };
    named->place = &pool->first;
    named->next = pool->first;
    if (named->next)
        named->next->place = &named->next;
    pool->first = named;
    return named;
}

static enum hd_err
dialogs_make(void *filters, const struct evt_filter_request *request,
             struct evt_filter **ret_filter, char ret_phrase[EVT_FILTER_PHRASE])
{
    const struct hd_slice call_id = request->dialog ? request->dialog->call_id : request->before;
    struct named *named;

    *ret_filter = NULL;
    if (request->type.n || request->profile.p || call_id.n > CALL_ID_MOST) {
        (void)snprintf(ret_phrase, EVT_FILTER_PHRASE, "Dialogs Alone");
        return HD_EDENIED;
    }
    if (!call_id.p)
        return HD_OK;
    named = named_find(filters, call_id);
    if (!named && !(named = named_new(filters, call_id)))
        return HD_ENOMEM;
    named->head.refs++;
    *ret_filter = &named->head;
    return HD_OK;
}

static void
dialogs_unref(void *filters, struct evt_filter *filter)
{
    struct named *named = (struct named *)filter;

    (void)filters;
    if (!filter || --filter->refs)
        return;
    *named->place = named->next;
    if (named->next)
        named->next->place = named->place;
    free(named);
}

bool
host_dialog_next(struct hd_slice *lines, struct host_dialog *ret_dialog)
{
    while (lines->n > 0) {
        const size_t end = hd_slice_find(*lines, '\n');
        const struct hd_slice line = hd_slice(lines->p, end);
        *lines = hd_slice_from(*lines, end < lines->n ? end + 1 : end);
        const struct hd_slice mark = hd_slice_from(line, line.n > 0);
        const size_t at = hd_slice_find(mark, '#') + 2;
        if (line.n == 0 || line.p[0] != '#' || at + 1 >= line.n)
            continue;
        *ret_dialog = (struct host_dialog){ .line = line,
                                            .call_id = hd_slice(line.p + at, line.n - 1 - at),
                                            .lives = line.p[line.n - 1] == '+' };
        return true;
    }
    return false;
}

/* The lines of a dialog that is named; text NULL: they are not wanted. */
static enum evt_chosen
choose(struct hd_slice call_id, struct hd_slice lines, char *text, size_t *ret_n)
{
    enum evt_chosen chosen = EVT_CHOSEN_NONE;
    struct host_dialog dialog;

    while (host_dialog_next(&lines, &dialog)) {
        if (!hd_slice_eq(dialog.call_id, call_id))
            continue;
        if (chosen != EVT_CHOSEN_LIVING)
            chosen = dialog.lives ? EVT_CHOSEN_LIVING : EVT_CHOSEN_OVER;
        if (!text)
            continue;
        memcpy(text + *ret_n, dialog.line.p, dialog.line.n);
        *ret_n += dialog.line.n;
        text[(*ret_n)++] = '\n';
    }
    return chosen;
}

static enum hd_err
dialogs_cut(void *filters, const struct evt_filter *filter, struct evt_doc *doc,
            struct evt_doc **ret_doc, enum evt_chosen *ret_chosen)
{
    char *text = malloc(doc->body.n + 2);
    size_t n = 0;

    (void)filters;
    *ret_doc = NULL;
    if (!text)
        return HD_ENOMEM;
    *ret_chosen = choose(filter->source, doc->body, text, &n);
    *ret_doc = evt_doc_new(doc->type, n ? hd_slice(text, n) : HD_LIT("(none)"));
    free(text);
    return *ret_doc ? HD_OK : HD_ENOMEM;
}

const struct evt_package host_dialog_package = {
    .magic = EVT_PACKAGE_MAGIC,
    .name = { "x-dialogs", 9 },
    .ops = &host_text_ops,
    .types = host_text_types,
    .n_types = 2,
    .min_expires_s = 60,
    .default_expires_s = 1800,
    .max_expires_s = 3600,
    .authorisation = EVT_AUTHORISE_ALLOW,
    .neutral_body = { "(none)", 6 },
    .dialogs = true,
};

static const struct evt_filter_ops dialog_ops = { .make = dialogs_make,
                                                  .unref = dialogs_unref,
                                                  .cut = dialogs_cut };

static void
dialogs_begin(struct host *host)
{
    for (unsigned i = 0; i < host->n; i++) {
        CHECK(!pools[i].first); /* shards that ended gave all back */
        host_shard(host, i)->ports.filter = &dialog_ops;
        host_shard(host, i)->ports.filter_context = &pools[i];
    }
}

void
host_dialogs(struct host *host)
{
    host->begun = dialogs_begin;
    dialogs_begin(host);
}

unsigned
host_dialogs_named(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < HOST_SHARDS; i++)
        for (const struct named *named = pools[i].first; named; named = named->next)
            n++;
    return n;
}

/* Whether nothing is on its way to a subscription or from it. */
static bool
at_rest(const struct evt_sub *sub, const struct evt_mirror *mirror)
{
    return sub->state == EVT_SUB_ACTIVE && sub->transform == EVT_SEE_ALL && mirror->snapshot &&
           mirror->snapshot->number == sub->seen && !sub->flight && !sub->change && !sub->owed &&
           !sub->again && sub->queued == EVT_QUEUED_NOT;
}

const char *
host_dialogs_check(struct evt_shard *shard)
{
    for (uint32_t k = 0; (k = hd_table_next(&shard->subs, k)) != HD_TABLE_NONE; k++) {
        const struct evt_sub *sub = evt_sub_at(shard, k);
        if (sub->lingering || sub->mirror == EVT_NONE || !evt_sub_chooses(sub))
            continue;
        const struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);
        const struct evt_filtered *filtered = evt_sub_filtered(sub);
        if (!at_rest(sub, mirror))
            continue;
        const struct evt_doc *doc = mirror->snapshot->doc;
        const enum evt_chosen chosen =
            choose(filtered->filter->source, doc ? doc->body : HD_LIT(""), NULL, NULL);
        if (chosen == EVT_CHOSEN_OVER || (chosen == EVT_CHOSEN_NONE && filtered->met))
            return "a subscription outlives the dialogs that it named";
        if (chosen == EVT_CHOSEN_LIVING && !filtered->met)
            return "a subscription does not know that its dialog was there";
    }
    return NULL;
}
