/* fuzz_flt_filter.c - filters as subscribers send them: JSON, XML and words; what is taken is
 * looked at with a document, kept, and made again from what was kept.
 *
 * The first octet says the form: 'J', 'X' or 'W', or one of these in lower case with a dialog that
 * the Event header names beside; the text goes up to a NUL, behind it stands a document whose first
 * octet says its form the same way. */
#include <stdlib.h>

#include "filter/filters.h"
#include "fuzz.h"

static const char *
type_of(char form, bool document)
{
    if (document)
        return form == 'J'   ? "application/json"
               : form == 'S' ? "application/senml+json"
               : form == 'D' ? "application/dialog-info+xml"
                             : "application/pidf+xml";
    return form == 'J' ? "application/vnd.herald.filter+json" : "application/simple-filter+xml";
}

static void
look(struct flt_filters *filters, struct evt_filter *filter, struct hd_slice rest)
{
    const struct evt_filter_ops *ops = flt_filter_ops();
    struct evt_doc *doc =
        rest.n ? evt_doc_new(hd_slice_str(type_of(*rest.p, true)), hd_slice_from(rest, 1)) : NULL;
    struct evt_reading *reading = ops->read(filters, filter, doc);
    void *state = malloc(filter->state_size), *again = malloc(filter->state_size);
    char *memory = malloc(filter->state_size * 2 + 64);
    struct evt_doc *cut = NULL;
    enum evt_chosen chosen;
    struct hd_bytes_out out;
    struct hd_slice saved;
    struct evt_step step;

    if (reading && state && again && memory) {
        ops->begin(filter, state, 1000);
        ops->step(filter, state, reading, true, 2000, &step);
        ops->step(filter, state, NULL, false, 1000000, &step);
        HD_ASSERT(!(step.fired & step.cleared));
        (void)ops->compare(filter, state, NULL, reading);
        (void)ops->compare(filter, state, reading, reading);
        hd_bytes_out_init(&out, memory, filter->state_size * 2 + 64);
        ops->save(filter, state, 1000000, &out);
        HD_ASSERT(hd_bytes_out_finish(&out, &saved) == HD_OK);
        ops->begin(filter, again, 1000000);
        HD_ASSERT(ops->load(filter, again, 1000000, saved) == HD_OK);
        if (doc && ops->cut(filters, filter, doc, &cut, &chosen) == HD_OK)
            evt_doc_unref(cut);
    }
    free(memory);
    free(again);
    free(state);
    ops->unread(filters, reading);
    evt_doc_unref(doc);
}

static void
fuzz_text(struct flt_filters *filters, struct hd_slice text)
{
    const struct evt_filter_ops *ops = flt_filter_ops();
    static const struct sip_dialog_id dialog = { { "c", 1 }, { "l", 1 }, { "r", 1 } };
    const bool chooses = *text.p >= 'a';
    char form = (char)(chooses ? *text.p - 'a' + 'A' : *text.p), phrase[EVT_FILTER_PHRASE];
    size_t end = hd_slice_find(text, '\0');
    struct hd_slice words = hd_slice(text.p + 1, end - 1);
    struct evt_filter_request request = { .resource = HD_LIT("sip:bob@example.test"),
                                          .package = HD_LIT("presence") };
    struct evt_filter *filter = NULL, *again = NULL;

    if (chooses)
        request.dialog = &dialog;
    if (form == 'W') {
        request.profile = words;
    } else {
        request.type = hd_slice_str(type_of(form, false));
        request.body = words;
    }
    if (ops->make(filters, &request, &filter, phrase)) {
        HD_ASSERT(phrase[0] != '\0' || words.n == 0);
        return;
    }
    HD_ASSERT(!chooses || (filter && filter->chooses));
    if (!filter)
        return;
    look(filters, filter, hd_slice_from(text, end + 1));
    /* What the store kept makes the same filter. */
    request = (struct evt_filter_request){ .resource = HD_LIT("sip:bob@example.test"),
                                           .package = HD_LIT("presence"),
                                           .before = filter->source };
    HD_ASSERT(ops->make(filters, &request, &again, phrase) == HD_OK && again == filter);
    ops->unref(filters, again);
    ops->unref(filters, filter);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct flt_filters *filters = flt_filters_new();
    char *copy = size > 1 ? malloc(size) : NULL;

    if (filters && copy && data[0] != 0) {
        memcpy(copy, data, size);
        fuzz_text(filters, hd_slice(copy, size));
    }
    free(copy);
    flt_filters_free(filters);
    return 0;
}
