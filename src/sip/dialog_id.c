/* dialog_id.c - reading which dialog a SUBSCRIBE is for (RFC 4235 section 3.2). */
#include "sip/dialog_id.h"

#include "sip/chars.h"
#include "sip/header.h"

/* call-id  =  "call-id" EQUAL ( token / DQUOTE callid DQUOTE )
 *             ;; NOTE: any DQUOTEs inside callid MUST be escaped!
 * One without quotes is read as well where it can be read in one way only ("a@b"). */
static enum hd_err
call_id_parse(struct hd_slice value, char memory[SIP_MAX_TOKEN], struct hd_slice *ret_call_id)
{
    const struct hd_slice inside = sip_unquote(value);
    const bool quoted = inside.n != value.n;
    size_t n = 0;

    if (inside.n == 0)
        return HD_ESYNTAX;
    for (size_t i = 0; i < inside.n; i++) {
        if (quoted && inside.p[i] == '\\')
            i++; /* the quoted string ends behind what it escapes */
        if (n == SIP_MAX_TOKEN || !sip_is(inside.p[i], SIP_C_CALL_ID))
            return HD_ESYNTAX;
        memory[n++] = inside.p[i];
    }
    *ret_call_id = hd_slice(memory, n);
    return HD_OK;
}

static enum hd_err
tag_parse(struct hd_slice value, struct hd_slice *ret_tag)
{
    if (value.n == 0 || value.n > SIP_MAX_TOKEN ||
        sip_span(value.p, sip_end(value), SIP_C_TOKEN) != value.n)
        return HD_ESYNTAX;
    *ret_tag = value;
    return HD_OK;
}

enum hd_err
sip_dialog_id_parse(struct hd_slice params, char memory[SIP_MAX_TOKEN],
                    struct sip_dialog_id *ret_id)
{
    struct sip_dialog_id id = { 0 };
    struct hd_slice name, value;
    enum hd_err err;

    while ((err = sip_param_next(&params, &name, &value)) == HD_OK) {
        struct hd_slice *part = sip_word(name, "call-id")    ? &id.call_id
                                : sip_word(name, "to-tag")   ? &id.to_tag
                                : sip_word(name, "from-tag") ? &id.from_tag
                                                             : NULL;
        if (part && (part->p || (part == &id.call_id ? call_id_parse(value, memory, part)
                                                     : tag_parse(value, part))))
            return HD_ESYNTAX;
    }
    if (err != HD_ENOMATCH)
        return err;
    if (!id.call_id.p && !id.to_tag.p && !id.from_tag.p)
        return HD_ENOMATCH;
    if (!id.call_id.p || !id.to_tag.p)
        return HD_ESYNTAX;
    *ret_id = id;
    return HD_OK;
}
