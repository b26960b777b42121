/* suppress.c - conditional notification (RFC 5839): whoever has what he would be sent is not sent
 * it again.
 *
 * Each NOTIFY has the entity-tag of what its subscriber sees, made once for all who see the same.
 * A SUBSCRIBE with Suppress-If-Match is compared with the tag of his own view, so that nobody
 * learns of another's: a politely blocked watcher has the tags of the neutral document.  In a
 * dialog the answer is then 204 and no NOTIFY follows; outside of one the NOTIFY has no body.  The
 * condition stands until something else is sent; "*" stands until the next SUBSCRIBE. */
#include "event/suppress.h"

#include "event/core.h"
#include "sip/chars.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* --- entity-tags ----------------------------------------------------------------------------- */

uint64_t
evt_tag_of(const struct evt_shard *shard, const struct evt_mirror *mirror,
           const struct evt_doc *doc)
{
    const struct evt_package *package = mirror->package;
    const struct hd_hash_key *key = &shard->keys.id;
    /* Tags of two resources say nothing of each other; what is shown of one has the same tag to
     * whomever it is shown. */
    uint64_t tag =
        mirror->watcher_n ? evt_key_hash(shard, mirror->key, package->name) : mirror->hash;
    struct hd_slice hole;

    if (!doc)
        return hd_hash_mix(tag, 0) | 2;
    if (package->ops->hole && package->ops->hole(package, doc, &hole)) {
        const size_t at = (size_t)(hole.p - doc->body.p);
        tag = hd_hash_mix(tag, hd_hash(key, hd_slice(doc->body.p, at)));
        tag = hd_hash_mix(tag, hd_hash(key, hd_slice_from(doc->body, at + hole.n)));
        return hd_hash_mix(tag, hd_hash(key, doc->type)) | 2;
    }
    tag = hd_hash_mix(tag, hd_hash(key, doc->body));
    return hd_hash_mix(tag, hd_hash(key, doc->type)) | 2; /* unlike EVT_SUPPRESS_NONE and ANY */
}

void
evt_tag_text(uint64_t tag, char ret[EVT_TAG_TEXT])
{
    for (unsigned i = 0; i < EVT_TAG_TEXT - 1; i++, tag <<= 6)
        ret[i] = digits[tag >> 58];
    ret[EVT_TAG_TEXT - 1] = digits[tag >> 60];
}

/* False: it is none of ours. */
static bool
tag_read(struct hd_slice text, uint64_t *ret_tag)
{
    uint64_t tag = 0;

    if (text.n != EVT_TAG_TEXT)
        return false;
    for (unsigned i = 0; i < EVT_TAG_TEXT; i++) {
        const char *at = memchr(digits, text.p[i], sizeof(digits) - 1);
        const uint64_t digit = at ? (uint64_t)(at - digits) : 64;
        if (digit > (i < EVT_TAG_TEXT - 1 ? 63 : 15))
            return false;
        tag = i < EVT_TAG_TEXT - 1 ? tag << 6 | digit : tag << 4 | digit;
    }
    *ret_tag = tag;
    return tag > EVT_SUPPRESS_ANY;
}

/* --- conditions ------------------------------------------------------------------------------ */

/* Suppress-If-Match  =  "Suppress-If-Match" HCOLON ( entity-tag / "*" ) */
enum hd_err
evt_match_read(const struct sip_msg *msg, uint64_t *ret_match)
{
    const struct hd_slice value = sip_msg_value(msg, SIP_HDR_SUPPRESS_IF_MATCH);

    *ret_match = EVT_SUPPRESS_NONE;
    if (!value.p)
        return HD_OK;
    if (sip_msg_count(msg, SIP_HDR_SUPPRESS_IF_MATCH) != 1 || value.n == 0 ||
        sip_span(value.p, sip_end(value), SIP_C_TOKEN) != value.n)
        return HD_ESYNTAX;
    if (hd_slice_eq(value, HD_LIT("*")))
        *ret_match = EVT_SUPPRESS_ANY;
    else if (!tag_read(value, ret_match))
        *ret_match = EVT_SUPPRESS_NONE;
    return HD_OK;
}

bool
evt_match_is_true(struct evt_shard *shard, const struct evt_sub *sub, uint64_t match)
{
    struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);
    const struct evt_filtered *f = evt_sub_filtered(sub);

    if (match == EVT_SUPPRESS_NONE || !mirror->snapshot)
        return false;
    if (match == EVT_SUPPRESS_ANY)
        return true;
    struct evt_view *view =
        evt_mirror_view(shard, mirror, mirror->snapshot, 0, evt_notify_sees(shard, sub), sub->types,
                        f ? f->filter : NULL);
    const bool is = view && view->tag == match;
    evt_view_unref(view);
    return is;
}

static uint64_t
match_of(const struct evt_sub *sub)
{
    return sub->rare ? sub->rare->match : EVT_SUPPRESS_NONE;
}

bool
evt_sub_is_suppressed(struct evt_shard *shard, const struct evt_sub *sub)
{
    return evt_match_is_true(shard, sub, match_of(sub));
}

bool
evt_sub_has_it(struct evt_shard *shard, struct evt_sub *sub)
{
    struct evt_filtered *f = evt_sub_filtered(sub);

    if (evt_sub_alarms(sub) || (f && f->keep != EVT_KEEP_NOT) || !evt_sub_is_suppressed(shard, sub))
        return false;
    if (f)
        f->fired = f->cleared = 0;
    sub->seen = evt_mirror_at(shard, sub->mirror)->snapshot->number;
    return true;
}

bool
evt_match_sent(struct evt_sub *sub, const struct evt_view *view)
{
    const uint64_t match = match_of(sub);

    if (match == EVT_SUPPRESS_ANY || (match && match == view->tag))
        return true;
    evt_match_set(sub, EVT_SUPPRESS_NONE);
    return false;
}

void
evt_match_set(struct evt_sub *sub, uint64_t match)
{
    HD_ASSERT(sub->rare || match == EVT_SUPPRESS_NONE);
    if (sub->rare)
        sub->rare->match = match;
}

/* A tag was matched by a state that he may not have been the last to see: only when he is in sync
 * is it sure that he has it. */
void
evt_match_restored(struct evt_sub *sub, bool in_sync)
{
    if (match_of(sub) != EVT_SUPPRESS_ANY && !in_sync)
        evt_match_set(sub, EVT_SUPPRESS_NONE);
}
