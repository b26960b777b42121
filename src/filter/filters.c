/* filters.c - the filter port: from what SUBSCRIBEs say to one compiled object per text.
 *
 * A filter's source is what the store keeps and what makes two filters the same: a list of
 * documents, each with a letter for its form, and behind them the dialogs that the Event header
 * names.  Documents that no longer matter are left out before it is looked up, so that a subscriber
 * who sends the same again has the same filter.  Those dialogs come first: all else is said of
 * what they leave. */
#include "filter/filters.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "filter/set.h"
#include "format/dialoginfo.h"

#define FORM_XML 'X'
#define FORM_JSON 'J'
#define FORM_WORDS 'W'
#define FORM_DIALOG 'D' /* call-id, to-tag and from-tag, which is empty when it is not said */

struct evt_reading {
    struct flt_reading reading;
    struct evt_doc *doc; /* what is left of it by the choice of dialogs */
    enum evt_chosen chosen;
};

struct flt_filters {
    struct flt_set **slots; /* by hash */
    uint32_t n, cap;
    uint32_t last_id;
    struct evt_reading *spare; /* with the memory of the last one */
    struct flt_reader reader;
};

static const struct hd_hash_key intern_key = { 0x66696c746572, 0x736f75726365 };

struct flt_filters *
flt_filters_new(void)
{
    return calloc(1, sizeof(struct flt_filters));
}

static void
reading_free(struct evt_reading *reading)
{
    if (!reading)
        return;
    flt_reading_done(&reading->reading);
    evt_doc_unref(reading->doc);
    free(reading);
}

void
flt_filters_free(struct flt_filters *filters)
{
    if (!filters)
        return;
    HD_ASSERT(filters->n == 0);
    reading_free(filters->spare);
    free(filters->slots);
    free(filters);
}

/* --- sources --------------------------------------------------------------------------------- */

struct source {
    unsigned n;
    char form[FLT_DOCUMENTS_MOST];
    struct hd_slice text[FLT_DOCUMENTS_MOST];
    struct sip_dialog_id dialog; /* call_id.p NULL: none */
};

static bool
source_is_empty(const struct source *source)
{
    return source->n == 0 && !source->dialog.call_id.p;
}

static void
dialog_read(struct hd_bytes_in *in, struct sip_dialog_id *dialog)
{
    dialog->call_id = hd_bytes_get_slice(in);
    dialog->to_tag = hd_bytes_get_slice(in);
    dialog->from_tag = hd_bytes_get_slice(in);
    if (dialog->call_id.n == 0 || dialog->to_tag.n == 0)
        hd_bytes_in_fail(in, HD_ESYNTAX);
    if (dialog->from_tag.n == 0)
        dialog->from_tag = hd_slice(NULL, 0);
}

static enum hd_err
source_read(struct hd_slice octets, struct source *source)
{
    struct hd_bytes_in in;

    source->n = 0;
    source->dialog = (struct sip_dialog_id){ 0 };
    hd_bytes_in_init(&in, octets);
    while (in.left && source->n < FLT_DOCUMENTS_MOST && !source->dialog.call_id.p) {
        const char form = (char)hd_bytes_get_u8(&in);
        if (form == FORM_DIALOG) {
            dialog_read(&in, &source->dialog);
            continue;
        }
        source->form[source->n] = form;
        source->text[source->n++] = hd_bytes_get_slice(&in);
    }
    return hd_bytes_in_end(&in);
}

static size_t
source_size(const struct source *source)
{
    const struct sip_dialog_id *dialog = &source->dialog;
    size_t n =
        dialog->call_id.p ? 13 + dialog->call_id.n + dialog->to_tag.n + dialog->from_tag.n : 0;

    for (unsigned i = 0; i < source->n; i++)
        n += 5 + source->text[i].n;
    return n;
}

static struct hd_slice
source_write(const struct source *source, char *memory, size_t cap)
{
    struct hd_slice octets = { 0 };
    struct hd_bytes_out out;

    hd_bytes_out_init(&out, memory, cap);
    for (unsigned i = 0; i < source->n; i++) {
        hd_bytes_put_u8(&out, (uint8_t)source->form[i]);
        hd_bytes_put_slice(&out, source->text[i]);
    }
    if (source->dialog.call_id.p) {
        hd_bytes_put_u8(&out, FORM_DIALOG);
        hd_bytes_put_slice(&out, source->dialog.call_id);
        hd_bytes_put_slice(&out, source->dialog.to_tag);
        hd_bytes_put_slice(&out, source->dialog.from_tag);
    }
    HD_ASSERT(hd_bytes_out_finish(&out, &octets) == HD_OK);
    return octets;
}

/* "Bad Filter: not a number, line 3 column 14" */
static void
phrase(char ret_phrase[EVT_FILTER_PHRASE], const char *reason, struct hd_slice text, size_t at)
{
    unsigned line = 1, column = 1;

    for (size_t i = 0; i < at && i < text.n; i++) {
        column++;
        if (text.p[i] == '\n') {
            line++;
            column = 1;
        }
    }
    (void)snprintf(ret_phrase, EVT_FILTER_PHRASE, "Bad Filter: %s, line %u column %u",
                   reason ? reason : "it cannot be kept", line, column);
}

static bool
media_is(struct hd_slice type, struct hd_slice media)
{
    return hd_slice_ieq(hd_slice_trim(hd_slice(type.p, hd_slice_find(type, ';'))), media);
}

/* Puts in what the body or a profile says.  XML adds to XML; all else takes the place of what was.
 */
static enum hd_err
source_add(const struct evt_filter_request *request, struct source *source)
{
    char form = FORM_WORDS;
    struct hd_slice text = request->profile;

    if (request->body.n) {
        text = request->body;
        if (media_is(request->type, HD_LIT("application/simple-filter+xml")))
            form = FORM_XML;
        else if (media_is(request->type, HD_LIT("application/vnd.herald.filter+json")))
            form = FORM_JSON;
        else
            return HD_ENOTSUP;
    } else if (!request->profile.p) {
        return HD_OK;
    }
    if (form != FORM_XML || (source->n && source->form[0] != FORM_XML))
        source->n = 0;
    if (source->n == FLT_DOCUMENTS_MOST)
        return HD_EDENIED;
    source->form[source->n] = form;
    source->text[source->n++] = text;
    return HD_OK;
}

/* What the filter is made of after a request. */
static enum hd_err
source_after(const struct evt_filter_request *request, struct source *source,
             char ret_phrase[EVT_FILTER_PHRASE])
{
    enum hd_err err = HD_ESYNTAX;

    if (source_read(request->before, source))
        return HD_ESYNTAX;
    if (request->dialog)
        source->dialog = *request->dialog;
    err = source_add(request, source);
    if (!err && source_size(source) > EVT_FILTER_SOURCE_MOST)
        err = HD_EDENIED;
    if (err == HD_EDENIED)
        (void)snprintf(ret_phrase, EVT_FILTER_PHRASE, "Bad Filter: too large");
    return err;
}

/* --- the same text is the same object --------------------------------------------------------- */

static uint64_t
set_hash(struct hd_slice source, struct hd_slice resource)
{
    uint64_t hash = hd_hash(&intern_key, source);

    return resource.n ? hd_hash_mix(hash, hd_hash(&intern_key, resource)) : hash;
}

static struct flt_set *
set_find(struct flt_filters *filters, struct hd_slice source, struct hd_slice resource)
{
    if (!filters->cap)
        return NULL;
    uint64_t hash = set_hash(source, resource);
    struct flt_set *set = filters->slots[hash & (filters->cap - 1)];
    while (set && !(set->hash == hash && hd_slice_eq(set->head.source, source) &&
                    hd_slice_eq(set->resource, resource)))
        set = set->next;
    return set;
}

static enum hd_err
slots_grow(struct flt_filters *filters)
{
    uint32_t cap = filters->cap ? filters->cap * 2 : 64;
    struct flt_set **slots = calloc(cap, sizeof(struct flt_set *));

    if (!slots)
        return HD_ENOMEM;
    for (uint32_t i = 0; i < filters->cap; i++) {
        struct flt_set *set = filters->slots[i];
        while (set) {
            struct flt_set *next = set->next;
            set->next = slots[set->hash & (cap - 1)];
            slots[set->hash & (cap - 1)] = set;
            set = next;
        }
    }
    free(filters->slots);
    filters->slots = slots;
    filters->cap = cap;
    return HD_OK;
}

static enum hd_err
set_intern(struct flt_filters *filters, struct flt_set *set)
{
    if (filters->n >= filters->cap && slots_grow(filters))
        return HD_ENOMEM;
    set->hash = set_hash(set->head.source, set->resource);
    set->head.id = ++filters->last_id ? filters->last_id : ++filters->last_id;
    set->next = filters->slots[set->hash & (filters->cap - 1)];
    filters->slots[set->hash & (filters->cap - 1)] = set;
    filters->n++;
    return HD_OK;
}

static void
unref(void *context, struct evt_filter *filter)
{
    struct flt_filters *filters = context;

    if (!filter)
        return;
    HD_ASSERT_OBJ(filter, EVT_FILTER_MAGIC);
    if (--filter->refs)
        return;
    struct flt_set *set = (struct flt_set *)(void *)filter;
    struct flt_set **link = &filters->slots[set->hash & (filters->cap - 1)];
    while (*link != set)
        link = &(*link)->next;
    *link = set->next;
    filters->n--;
    flt_set_free(set);
}

/* --- compiling ------------------------------------------------------------------------------- */

static enum hd_err
compile_xml(struct flt_filters *filters, const struct evt_filter_request *request,
            struct source *source, struct flt_set *set, struct flt_fault *fault)
{
    struct flt_xml_documents documents = { .n = source->n };
    unsigned n = 0;

    memcpy(documents.text, source->text, sizeof(documents.text));
    enum hd_err err =
        flt_read_xml(set, &filters->reader, &documents, request->resource, request->package, fault);
    if (err)
        return err;
    for (unsigned i = 0; i < documents.n; i++)
        if (documents.needed[i])
            source->text[n++] = documents.text[i];
    source->n = n;
    return HD_OK;
}

static enum hd_err
compile(struct flt_filters *filters, const struct evt_filter_request *request,
        struct source *source, struct flt_set *set, char ret_phrase[EVT_FILTER_PHRASE])
{
    struct flt_fault fault = { 0 };
    enum hd_err err = HD_ESYNTAX;

    if (source->n == 0)
        return HD_OK; /* dialogs alone */
    const struct hd_slice last = source->text[source->n - 1];
    switch (source->form[0]) {
    case FORM_XML:
        err = compile_xml(filters, request, source, set, &fault);
        break;
    case FORM_JSON:
        err = flt_read_json(set, last, &fault);
        if (!err && set->n_triggers == 0)
            source->n = 0;
        break;
    case FORM_WORDS:
        err = flt_read_when(set, last, &fault);
        break;
    default:
        break;
    }
    if (err == HD_ESYNTAX || err == HD_EDENIED)
        phrase(ret_phrase, fault.reason, last, fault.at);
    return err;
}

/* Keeps a set under the source that is left of what it was made of. */
static enum hd_err
set_keep(struct flt_filters *filters, const struct evt_filter_request *request,
         const struct source *source, struct flt_set *set)
{
    struct hd_slice octets = flt_set_string(set, hd_slice(NULL, 0));
    struct source own;
    size_t size = source_size(source);
    char *memory = malloc(size + 1);

    if (memory && octets.p) {
        octets = flt_set_string(set, source_write(source, memory, size));
        if (set->bound)
            set->resource = flt_set_string(set, request->resource);
    }
    bool short_of = !memory || !octets.p || (set->bound && !set->resource.p);
    free(memory);
    if (short_of)
        return HD_ENOMEM;
    set->head.source = octets;
    HD_ASSERT(source_read(octets, &own) == HD_OK);
    set->dialog = own.dialog;
    flt_set_finish(set);
    return set_intern(filters, set);
}

/* One that exists: of this resource, or of any. */
static struct evt_filter *
set_known(struct flt_filters *filters, const struct evt_filter_request *request,
          const struct source *source)
{
    size_t size = source_size(source);
    char *memory = malloc(size + 1);

    if (!memory)
        return NULL;
    struct hd_slice octets = source_write(source, memory, size);
    struct flt_set *set = set_find(filters, octets, hd_slice(NULL, 0));
    if (!set)
        set = set_find(filters, octets, request->resource);
    free(memory);
    if (!set)
        return NULL;
    set->head.refs++;
    return &set->head;
}

static enum hd_err
make(void *context, const struct evt_filter_request *request, struct evt_filter **ret_filter,
     char ret_phrase[EVT_FILTER_PHRASE])
{
    struct flt_filters *filters = context;
    struct source source;

    ret_phrase[0] = '\0';
    enum hd_err err = source_after(request, &source, ret_phrase);
    if (err)
        return err;
    *ret_filter = NULL;
    if (source_is_empty(&source))
        return HD_OK;
    *ret_filter = set_known(filters, request, &source);
    if (*ret_filter)
        return HD_OK;
    struct flt_set *set = flt_set_new();
    err = set ? compile(filters, request, &source, set, ret_phrase) : HD_ENOMEM;
    if (!err && !source_is_empty(&source))
        *ret_filter = set_known(filters, request, &source);
    if (err || source_is_empty(&source) || *ret_filter) {
        flt_set_free(set);
        return err;
    }
    err = set_keep(filters, request, &source, set);
    if (err)
        flt_set_free(set);
    else
        *ret_filter = &set->head;
    return err;
}

/* --- documents ------------------------------------------------------------------------------- */

/* What the dialogs that a filter chooses leave of a document: *ret_doc, one reference; NULL:
 * nothing, or it is none about dialogs.  HD_OK, HD_ENOMEM. */
static enum hd_err
choose(const struct flt_set *set, struct evt_doc *doc, struct evt_doc **ret_doc,
       enum evt_chosen *ret_chosen)
{
    const struct fmt_dialoginfo_choice choice = { .call_id = set->dialog.call_id,
                                                  .local_tag = set->dialog.to_tag,
                                                  .remote_tag = set->dialog.from_tag };
    enum fmt_dialoginfo_chosen chosen = FMT_DIALOGINFO_NONE;
    struct hd_str out = { 0 };

    *ret_chosen = EVT_CHOSEN_NONE;
    *ret_doc = NULL;
    if (!doc || !set->head.chooses) {
        *ret_doc = doc ? evt_doc_ref(doc) : NULL;
        return HD_OK;
    }
    enum hd_err err = fmt_dialoginfo_choose(doc->body, &choice, &out, &chosen);
    if (!err) {
        *ret_doc = evt_doc_new(doc->type, hd_str_slice(&out));
        err = *ret_doc ? HD_OK : HD_ENOMEM;
    }
    hd_str_done(&out);
    if (!err)
        *ret_chosen = chosen == FMT_DIALOGINFO_OVER     ? EVT_CHOSEN_OVER
                      : chosen == FMT_DIALOGINFO_LIVING ? EVT_CHOSEN_LIVING
                                                        : EVT_CHOSEN_NONE;
    return err == HD_ENOMEM ? err : HD_OK;
}

static struct evt_reading *
read_doc(void *context, const struct evt_filter *filter, struct evt_doc *doc)
{
    struct flt_filters *filters = context;
    struct evt_reading *reading = filters->spare;

    filters->spare = NULL;
    if (!reading)
        reading = calloc(1, sizeof(*reading));
    if (!reading)
        return NULL;
    if (choose(flt_set_of(filter), doc, &reading->doc, &reading->chosen)) {
        filters->spare = reading;
        return NULL;
    }
    doc = reading->doc;
    flt_reading_init(&reading->reading, &filters->reader, doc ? doc->type : HD_LIT(""),
                     doc ? doc->body : HD_LIT(""));
    return reading;
}

static void
unread(void *context, struct evt_reading *reading)
{
    struct flt_filters *filters = context;

    if (!reading)
        return;
    reading->doc = evt_doc_unref(reading->doc);
    if (filters->spare)
        reading_free(reading);
    else
        filters->spare = reading;
}

static void
step(const struct evt_filter *filter, void *state, struct evt_reading *reading, bool sign,
     uint64_t now_ms, struct evt_step *ret_step)
{
    flt_step(filter, state, reading ? &reading->reading : NULL, sign, now_ms, ret_step);
}

static uint32_t
compare(const struct evt_filter *filter, const void *state, struct evt_reading *before,
        struct evt_reading *now)
{
    return flt_compare(filter, state, before ? &before->reading : NULL, &now->reading);
}

static size_t
say(const struct evt_filter *filter, const void *state, struct evt_reading *reading, char *text,
    size_t cap)
{
    return flt_say(filter, state, reading ? &reading->reading : NULL, text, cap);
}

static enum hd_err
cut(void *context, const struct evt_filter *filter, struct evt_doc *doc, struct evt_doc **ret_doc,
    enum evt_chosen *ret_chosen)
{
    struct hd_str out = { 0 };

    if (!filter->cuts)
        return choose(flt_set_of(filter), doc, ret_doc, ret_chosen);
    struct evt_reading *reading = read_doc(context, filter, doc);
    *ret_doc = NULL;
    *ret_chosen = EVT_CHOSEN_NONE;
    if (!reading)
        return HD_ENOMEM;
    *ret_chosen = reading->chosen;
    doc = reading->doc;
    enum hd_err err =
        doc ? flt_cut(flt_set_of(filter), &reading->reading, doc->body, &out) : HD_ENOMATCH;
    if (err == HD_ENOTSUP) { /* not XML: there is nothing that could be left out */
        *ret_doc = evt_doc_ref(doc);
        err = HD_OK;
    } else if (!err) {
        *ret_doc = evt_doc_new(doc->type, hd_str_slice(&out));
        err = *ret_doc ? HD_OK : HD_ENOMEM;
    } else if (err == HD_ENOMATCH) {
        err = HD_OK;
    }
    hd_str_done(&out);
    unread(context, reading);
    return err;
}

static struct hd_slice
name(const struct evt_filter *filter, unsigned trigger)
{
    const struct flt_set *set = flt_set_of(filter);

    HD_ASSERT(trigger < set->n_triggers);
    return set->triggers[trigger].name;
}

const struct evt_filter_ops *
flt_filter_ops(void)
{
    static const struct evt_filter_ops ops = {
        .make = make,
        .unref = unref,
        .read = read_doc,
        .unread = unread,
        .begin = flt_begin,
        .step = step,
        .compare = compare,
        .cut = cut,
        .save = flt_save,
        .load = flt_load,
        .name = name,
        .say = say,
    };
    return &ops;
}

enum hd_err
flt_check_when(struct hd_slice text, const char **ret_reason, size_t *ret_at)
{
    struct flt_set *set = flt_set_new();
    struct flt_fault fault = { 0 };

    if (!set)
        return HD_ENOMEM;
    enum hd_err err = flt_read_when(set, text, &fault);
    flt_set_free(set);
    *ret_reason = fault.reason;
    *ret_at = fault.at;
    return err == HD_EDENIED ? HD_ESYNTAX : err;
}
