/* body.c - the body that a request brings for its method, alone or among others (RFC 5621).
 *
 * A part that must be handled and is not understood refuses the request; one that is optional is
 * passed over.  Dispositions other than render are of no use to a method that takes a document.
 * Nothing is decoded: a part in base64 is not understood. */
#include "sip/body.h"

#include "sip/header.h"
#include "sip/multipart.h"

#define DEPTH_MAX 4u

struct search {
    const struct hd_slice *types;
    size_t n_types;
};

static enum hd_err part_find(const struct search *search, const struct sip_part *part,
                             unsigned depth, struct sip_body *ret_body);

/* handling-param: what is not said to be optional is required (RFC 3261 20.11, erratum 4567). */
static bool
is_optional(struct hd_slice disposition)
{
    struct hd_slice params = hd_slice_from(disposition, hd_slice_find(disposition, ';'));
    struct hd_slice handling;

    return disposition.p && sip_param_find(params, HD_LIT("handling"), &handling) &&
           hd_slice_ieq(handling, HD_LIT("optional"));
}

static bool
is_rendered(struct hd_slice disposition)
{
    struct hd_slice kind = hd_slice_trim(hd_slice(disposition.p, hd_slice_find(disposition, ';')));

    return !disposition.p || hd_slice_ieq(kind, HD_LIT("render"));
}

static bool
is_plain(struct hd_slice encoding)
{
    return !encoding.n || hd_slice_ieq(encoding, HD_LIT("binary")) ||
           hd_slice_ieq(encoding, HD_LIT("8bit")) || hd_slice_ieq(encoding, HD_LIT("7bit"));
}

/* RFC 2046 5.1.4: the last that is understood; what the others say of their handling does not count
 * (RFC 5621 8.3). */
static enum hd_err
alternative_find(const struct search *search, struct sip_multipart *walk, unsigned depth,
                 struct sip_body *ret_body)
{
    enum hd_err err, found = HD_ENOTSUP;
    struct sip_part part;

    while ((err = sip_multipart_next(walk, &part)) == HD_OK) {
        err = part_find(search, &part, depth, ret_body);
        if (err == HD_OK)
            found = HD_OK;
        else if (err == HD_ESYNTAX)
            return err;
    }
    return err == HD_ENOMATCH ? found : HD_ESYNTAX;
}

/* multipart/mixed, and subtypes that nobody knows (RFC 5621 4.2). */
static enum hd_err
mixed_find(const struct search *search, struct sip_multipart *walk, unsigned depth,
           struct sip_body *ret_body)
{
    enum hd_err err, found = HD_ENOMATCH;
    struct sip_part part;

    while ((err = sip_multipart_next(walk, &part)) == HD_OK) {
        struct sip_body body;
        err = part_find(search, &part, depth, &body);
        if (err == HD_ENOMATCH || (err == HD_ENOTSUP && is_optional(part.disposition)))
            continue;
        if (err)
            return err;
        if (found == HD_OK)
            return HD_EEXIST;
        found = HD_OK;
        *ret_body = body;
    }
    return err == HD_ENOMATCH ? found : HD_ESYNTAX;
}

static enum hd_err
part_find(const struct search *search, const struct sip_part *part, unsigned depth,
          struct sip_body *ret_body)
{
    struct hd_slice type = part->type.n ? part->type : HD_LIT("text/plain");
    bool known = search->n_types == 0;
    struct sip_multipart walk;
    struct sip_media media;

    if (sip_media_parse(type, &media))
        return HD_ESYNTAX;
    for (size_t i = 0; i < search->n_types; i++)
        known = known || sip_media_same(search->types[i], type);
    if (known && is_rendered(part->disposition) && is_plain(part->encoding)) {
        *ret_body = (struct sip_body){ .type = type, .octets = part->body };
        return HD_OK;
    }
    if (known || depth == DEPTH_MAX || !hd_slice_ieq(media.type, HD_LIT("multipart")))
        return HD_ENOTSUP;
    if (sip_multipart_begin(type, part->body, &walk))
        return HD_ESYNTAX;
    if (hd_slice_ieq(media.subtype, HD_LIT("alternative")))
        return alternative_find(search, &walk, depth + 1, ret_body);
    return mixed_find(search, &walk, depth + 1, ret_body);
}

enum hd_err
sip_body_find(const struct sip_msg *msg, const struct hd_slice *types, size_t n_types,
              struct sip_body *ret_body)
{
    const struct search search = { .types = types, .n_types = n_types };
    const struct sip_part whole = {
        .type = sip_msg_value(msg, SIP_HDR_CONTENT_TYPE),
        .disposition = sip_msg_value(msg, SIP_HDR_CONTENT_DISPOSITION),
        .body = msg->body,
    };

    if (msg->body.n == 0)
        return HD_ENOMATCH;
    if (!whole.type.n)
        return HD_ESYNTAX;
    const enum hd_err err = part_find(&search, &whole, 0, ret_body);
    return err == HD_ENOTSUP && is_optional(whole.disposition) ? HD_ENOMATCH : err;
}
