/* priority.c - Resource-Priority (RFC 4412 section 3, RFC 7135). */
#include "sip/priority.h"

#include "sip/chars.h"
#include "sip/header.h"

#define TEXT(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

/* Section 12.6 and RFC 7135 section 4.2, from the least to the greatest; the namespaces in an order
 * of our own. */
static const struct hd_slice value_texts[SIP_PRIORITY_COUNT] = {
    TEXT(""),
    TEXT("wps.4"),
    TEXT("wps.3"),
    TEXT("wps.2"),
    TEXT("wps.1"),
    TEXT("wps.0"),
    TEXT("ets.4"),
    TEXT("ets.3"),
    TEXT("ets.2"),
    TEXT("ets.1"),
    TEXT("ets.0"),
    TEXT("q735.4"),
    TEXT("q735.3"),
    TEXT("q735.2"),
    TEXT("q735.1"),
    TEXT("q735.0"),
    TEXT("dsn.routine"),
    TEXT("dsn.priority"),
    TEXT("dsn.immediate"),
    TEXT("dsn.flash"),
    TEXT("dsn.flash-override"),
    TEXT("drsn.routine"),
    TEXT("drsn.priority"),
    TEXT("drsn.immediate"),
    TEXT("drsn.flash"),
    TEXT("drsn.flash-override"),
    TEXT("drsn.flash-override-override"),
    TEXT("esnet.0"),
    TEXT("esnet.1"),
    TEXT("esnet.2"),
    TEXT("esnet.3"),
    TEXT("esnet.4"),
};

static struct hd_slice
namespace_of(struct hd_slice value)
{
    return hd_slice(value.p, hd_slice_find(value, '.'));
}

/* r-value = namespace "." r-priority; both token-nodot: a token without a dot */
bool
sip_priority_is_value(struct hd_slice text)
{
    const size_t dot = hd_slice_find(text, '.');

    if (dot == 0 || dot + 1 >= text.n || sip_span(text.p, sip_end(text), SIP_C_TOKEN) != text.n)
        return false;
    return hd_slice_find(hd_slice_from(text, dot + 1), '.') == text.n - dot - 1;
}

uint8_t
sip_priority_find(struct hd_slice text)
{
    for (uint8_t i = 1; i < SIP_PRIORITY_COUNT; i++)
        if (hd_slice_ieq(value_texts[i], text))
            return i;
    return SIP_PRIORITY_NONE;
}

uint32_t
sip_priority_namespace(struct hd_slice name)
{
    uint32_t values = 0;

    for (unsigned i = 1; i < SIP_PRIORITY_COUNT; i++)
        if (hd_slice_ieq(namespace_of(value_texts[i]), name))
            values |= UINT32_C(1) << i;
    return values;
}

struct hd_slice
sip_priority_text(unsigned number)
{
    return value_texts[number < SIP_PRIORITY_COUNT ? number : SIP_PRIORITY_NONE];
}

uint8_t
sip_priority_highest(uint32_t values)
{
    return values ? (uint8_t)(31 - __builtin_clz(values)) : SIP_PRIORITY_NONE;
}

/* Resource-Priority = "Resource-Priority" HCOLON r-value *(COMMA r-value) */
enum hd_err
sip_priorities_read(const struct sip_msg *msg, enum sip_hdr id, uint32_t *ret_values)
{
    struct sip_walk walk = { 0 };
    uint32_t values = 0, seen = 0;
    struct hd_slice item;
    unsigned n = 0;

    if (!sip_msg_has(msg, id))
        return HD_ENOMATCH;
    for (; sip_msg_walk(msg, id, &walk, &item); n++) {
        if (!sip_priority_is_value(item))
            return HD_ESYNTAX;
        if (n == SIP_PRIORITIES_MOST)
            return HD_ERANGE;
        const uint32_t space = sip_priority_namespace(namespace_of(item));
        if (seen & space)
            return HD_ESYNTAX;
        seen |= space;
        values |= UINT32_C(1) << sip_priority_find(item);
    }
    if (n == 0 && id == SIP_HDR_RESOURCE_PRIORITY)
        return HD_ESYNTAX;
    *ret_values = values & ~UINT32_C(1);
    return HD_OK;
}

void
sip_out_priorities(struct sip_out *out, uint32_t values)
{
    bool more = false;

    for (unsigned i = 1; i < SIP_PRIORITY_COUNT; i++) {
        if (!(values >> i & 1))
            continue;
        if (more)
            sip_out_lit(out, ", ");
        sip_out_slice(out, value_texts[i]);
        more = true;
    }
}
