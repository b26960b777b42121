/* fuzz_sip_header.c - every reader of a header value on the same octets; what is accepted is
 * written from its parts, read again and compared. */
#include "fuzz.h"

#include "sip/dialog_id.h"
#include "sip/header.h"
#include "sip/out.h"
#include "sip/priority.h"
#include "sip/rate.h"

#define OUT_MAX (1 << 17)

static char buffer[OUT_MAX];

static struct hd_slice
finish(const struct sip_out *out)
{
    size_t n;
    FUZZ_CHECK(sip_out_finish(out, &n) == HD_OK);
    return hd_slice(out->p, n);
}

static void
check_via(struct hd_slice value)
{
    struct sip_via via, again;
    if (sip_via_parse(value, &via)) {
        if (sip_via_sent_by(value, &again) == HD_OK)
            FUZZ_CHECK(fuzz_inside(again.params, value));
        return;
    }
    struct sip_out out;
    sip_out_init(&out, buffer, OUT_MAX);
    sip_out_lit(&out, "SIP/2.0/");
    sip_out_slice(&out, via.transport);
    sip_out_char(&out, ' ');
    sip_out_slice(&out, via.host);
    if (via.port) {
        sip_out_char(&out, ':');
        sip_out_u32(&out, via.port);
    }
    sip_out_unfolded(&out, via.params);
    FUZZ_CHECK(sip_via_parse(finish(&out), &again) == HD_OK);
    FUZZ_CHECK(hd_slice_eq(via.host, again.host) && via.port == again.port);
    FUZZ_CHECK(hd_slice_eq(via.transport, again.transport) && via.rport == again.rport);
    FUZZ_CHECK(via.branch.n == again.branch.n && via.received.n == again.received.n);
}

static void
check_addr(struct hd_slice value)
{
    struct sip_addr addr, again;
    if (sip_addr_parse(value, &addr))
        return;
    FUZZ_CHECK(fuzz_inside(addr.uri, value) && fuzz_inside(addr.params, value));
    FUZZ_CHECK(addr.uri.n > 0);
    struct sip_out out;
    sip_out_init(&out, buffer, OUT_MAX);
    sip_out_slice(&out, addr.display);
    sip_out_lit(&out, "<");
    sip_out_slice(&out, addr.uri);
    sip_out_lit(&out, ">");
    sip_out_slice(&out, addr.params);
    FUZZ_CHECK(sip_addr_parse(finish(&out), &again) == HD_OK);
    FUZZ_CHECK(again.brackets && hd_slice_eq(addr.uri, again.uri));
    FUZZ_CHECK(hd_slice_eq(addr.display, again.display) && hd_slice_eq(addr.params, again.params));
}

static void
check_params(struct hd_slice value)
{
    struct hd_slice rest = value, name, text, found;
    while (sip_param_next(&rest, &name, &text) == HD_OK) {
        FUZZ_CHECK(name.n > 0 && fuzz_inside(name, value) && fuzz_inside(text, value));
        FUZZ_CHECK(fuzz_inside(sip_unquote(text), text));
        FUZZ_CHECK(sip_param_find(value, name, &found));
    }
}

static void
check_list(struct hd_slice value)
{
    struct hd_slice rest = value, item, inner, inner_rest;
    const char *last = value.p;
    while (sip_list_next(&rest, &item)) {
        FUZZ_CHECK(item.n > 0 && item.p >= last && fuzz_inside(item, value));
        last = item.p + item.n;
        inner_rest = item;
        /* An element is one element. */
        FUZZ_CHECK(sip_list_next(&inner_rest, &inner) && hd_slice_eq(inner, item));
        FUZZ_CHECK(!sip_list_next(&inner_rest, &inner));
    }
}

static void
check_single(struct hd_slice value)
{
    struct sip_cseq cseq;
    struct sip_event event;
    struct sip_substate state;
    struct sip_media media;
    uint32_t number;
    if (sip_cseq_parse(value, &cseq) == HD_OK)
        FUZZ_CHECK(cseq.number <= INT32_MAX && cseq.method_name.n > 0);
    if (sip_event_parse(value, &event) == HD_OK)
        FUZZ_CHECK(event.package.n > 0 && fuzz_inside(event.id, value));
    if (sip_substate_parse(value, &state) == HD_OK)
        FUZZ_CHECK(state.state.n > 0 && fuzz_inside(state.reason, value));
    if (sip_media_parse(value, &media) == HD_OK)
        FUZZ_CHECK(media.type.n > 0 && media.subtype.n > 0 && sip_media_same(value, value));
    if (sip_delta_parse(value, &number) == HD_OK)
        FUZZ_CHECK(sip_retry_after_parse(value, &number) == HD_OK);
}

static void
check_rates(struct hd_slice value)
{
    struct sip_rates rates, again;
    if (sip_rates_parse(value, &rates))
        return;
    FUZZ_CHECK(rates.max <= SIP_RATE_MOST && rates.min <= SIP_RATE_MOST &&
               rates.adaptive <= SIP_RATE_MOST);
    struct sip_out out;
    sip_out_init(&out, buffer, OUT_MAX);
    sip_out_rates(&out, &rates);
    FUZZ_CHECK(sip_rates_parse(finish(&out), &again) == HD_OK);
    FUZZ_CHECK(again.max == rates.max && again.min == rates.min &&
               again.adaptive == rates.adaptive);
}

/* Which dialog the parameters of an Event header name, and again from its parts in quotes. */
static void
check_dialog_id(struct hd_slice value)
{
    char memory[SIP_MAX_TOKEN], memory2[SIP_MAX_TOKEN];
    struct sip_dialog_id id, again;
    struct sip_out out;

    if (sip_dialog_id_parse(value, memory, &id))
        return;
    FUZZ_CHECK(id.call_id.n > 0 && id.to_tag.n > 0 && fuzz_inside(id.to_tag, value));
    sip_out_init(&out, buffer, OUT_MAX);
    sip_out_lit(&out, ";call-id=\"");
    for (size_t i = 0; i < id.call_id.n; i++) {
        sip_out_char(&out, '\\');
        sip_out_char(&out, id.call_id.p[i]);
    }
    sip_out_lit(&out, "\";to-tag=");
    sip_out_slice(&out, id.to_tag);
    if (id.from_tag.p) {
        sip_out_lit(&out, ";from-tag=");
        sip_out_slice(&out, id.from_tag);
    }
    FUZZ_CHECK(sip_dialog_id_parse(finish(&out), memory2, &again) == HD_OK);
    FUZZ_CHECK(hd_slice_eq(id.call_id, again.call_id) && hd_slice_eq(id.to_tag, again.to_tag));
    FUZZ_CHECK((id.from_tag.p != NULL) == (again.from_tag.p != NULL));
    FUZZ_CHECK(hd_slice_eq(id.from_tag, again.from_tag));
}

/* A value that is registered is written as it is read; both have the form of one. */
static void
check_priority(struct hd_slice value)
{
    const uint8_t number = sip_priority_find(value);
    if (number == SIP_PRIORITY_NONE)
        return;
    FUZZ_CHECK(sip_priority_is_value(value) && hd_slice_ieq(sip_priority_text(number), value));
    const struct hd_slice name = hd_slice(value.p, hd_slice_find(value, '.'));
    FUZZ_CHECK(sip_priority_namespace(name) >> number & 1);
}

static void
check_unfolded(struct hd_slice value)
{
    struct sip_out out;
    sip_out_init(&out, buffer, OUT_MAX);
    sip_out_unfolded(&out, value);
    const struct hd_slice text = finish(&out);
    FUZZ_CHECK(text.n <= value.n);
    FUZZ_CHECK(hd_slice_find(text, '\r') == text.n && hd_slice_find(text, '\n') == text.n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy;
    if (size > 65535)
        return 0;
    const struct hd_slice value = fuzz_copy(data, size, &copy);
    check_via(value);
    check_addr(value);
    check_params(value);
    check_list(value);
    check_single(value);
    check_rates(value);
    check_dialog_id(value);
    check_priority(value);
    check_unfolded(value);
    free(copy);
    return 0;
}
