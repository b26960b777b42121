/* wanted.c - reading a SUBSCRIBE: what it asks for, in the order of RFC 3261 section 8.2, each
 * mistake with its answer (RFC 6665 section 4.2.1). */
#include "event/wanted.h"

#include "event/core.h"
#include "sip/dialog.h"

bool
evt_wanted_contact(struct evt_shard *shard, struct evt_request *request, struct evt_wanted *want)
{
    switch (sip_contact_one(request->msg, &want->contact)) {
    case HD_OK:
        break;
    case HD_ENOMATCH:
        evt_refuse(shard, request, 400, HD_LIT("Missing Contact Header"));
        return false;
    case HD_EEXIST:
        evt_refuse(shard, request, 400, HD_LIT("More Than One Contact"));
        return false;
    default:
        evt_refuse(shard, request, 400, HD_LIT("Malformed Contact"));
        return false;
    }
    if (!evt_notify_reaches(want->contact.uri)) {
        evt_refuse(shard, request, 400, HD_LIT("Contact Is No SIP URI"));
        return false;
    }
    /* RFC 3261 section 8.1.1.8, RFC 5630 section 5.1.2 */
    if (evt_uri_is_sips(request->msg->uri) && !evt_uri_is_sips(want->contact.uri)) {
        evt_refuse(shard, request, 400, HD_LIT("SIPS Request-URI Needs A SIPS Contact"));
        return false;
    }
    return true;
}

static enum hd_err
named_dialogs(const struct evt_wanted *want, char memory[SIP_MAX_TOKEN],
              struct sip_dialog_id *ret_dialog)
{
    if (!want->package->dialogs || !want->event.params.n)
        return HD_ENOMATCH;
    return sip_dialog_id_parse(want->event.params, memory, ret_dialog);
}

bool
evt_wanted_dialogs(struct evt_shard *shard, struct evt_request *request, struct evt_wanted *want)
{
    char memory[SIP_MAX_TOKEN];
    struct sip_dialog_id dialog;

    switch (named_dialogs(want, memory, &dialog)) {
    case HD_OK:
        want->chooses = true;
        return true;
    case HD_ENOMATCH:
        return true;
    default:
        evt_refuse(shard, request, 400, HD_LIT("Malformed Or Incomplete Dialog In Event"));
        return false;
    }
}

/* RFC 4235 section 3.4: two hours for a dialog, where one is for all of a user's. */
static uint32_t
default_expires_s(const struct evt_wanted *want)
{
    const struct evt_package *package = want->package;

    if (!want->chooses)
        return package->default_expires_s;
    return package->default_expires_s > package->max_expires_s / 2 ? package->max_expires_s
                                                                   : package->default_expires_s * 2;
}

bool
evt_wanted_expires(struct evt_shard *shard, struct evt_request *request, struct evt_wanted *want)
{
    return evt_request_granted(shard, request, want->package, default_expires_s(want), true,
                               &want->expires_s);
}

/* RFC 5263 section 4.3: a form is shown to who names it and likes it no less than what is
 * published; who does not know of it may well take everything. */
static uint8_t
accepted_types(const struct sip_msg *msg, const struct evt_package *package)
{
    const size_t published = evt_package_published(package);
    unsigned best = 0;
    uint8_t types = 0;

    for (size_t i = 0; i < package->n_types && i < EVT_PACKAGE_TYPES_MAX; i++) {
        const unsigned quality = i < published
                                     ? sip_accept_quality(msg, package->types[i], package->types[0])
                                     : sip_accept_named(msg, package->types[i]);
        if (i < published && quality > best)
            best = quality;
        if (quality > 0 && (i < published || quality >= best))
            types = (uint8_t)(types | 1u << i);
    }
    return types;
}

/* RFC 6446 section 9.2; after the duration, which bounds them. */
bool
evt_wanted_rates(struct evt_shard *shard, struct evt_request *request, struct evt_wanted *want)
{
    if (!want->event.params.n)
        return true;
    if (sip_rates_parse(want->event.params, &want->rates)) {
        evt_refuse(shard, request, 400, HD_LIT("Malformed Rate Of Notifications"));
        return false;
    }
    evt_rates_bound(&want->rates, want->expires_s);
    return true;
}

bool
evt_wanted_match(struct evt_shard *shard, struct evt_request *request, struct evt_wanted *want)
{
    if (evt_match_read(request->msg, &want->match) == HD_OK)
        return true;
    evt_refuse(shard, request, 400, HD_LIT("Malformed Suppress-If-Match"));
    return false;
}

bool
evt_wanted_has_rates(const struct evt_wanted *want)
{
    return want->rates.max || want->rates.min || want->rates.adaptive;
}

/* RFC 6665 4.2.1.1 with RFC 3261 21.4.7: none of our types is acceptable. */
bool
evt_wanted_accept(struct evt_shard *shard, struct evt_request *request, struct evt_wanted *want)
{
    const struct evt_package *package = want->package;
    struct evt_reply reply;

    want->types = package->n_types ? accepted_types(request->msg, package) : 0xff;
    if (want->types)
        return true;
    evt_refused(shard, request, 406);
    if (!evt_reply_begin(shard, request, 406, HD_LIT("Not Acceptable"), hd_slice(NULL, 0), &reply))
        return false;
    evt_out_accept(package, package->n_types, hd_slice(NULL, 0), &reply.out);
    evt_reply_send(shard, &reply);
    return false;
}

static void
refuse_type(struct evt_shard *shard, struct evt_request *request)
{
    struct evt_reply reply;

    evt_refused(shard, request, 415);
    if (!evt_reply_begin(shard, request, 415, HD_LIT("Unsupported Media Type"), hd_slice(NULL, 0),
                         &reply))
        return;
    if (shard->ports.filter)
        sip_out_lit(&reply.out, "Accept: application/simple-filter+xml, "
                                "application/vnd.herald.filter+json\r\n");
    else /* No type at all is taken in a SUBSCRIBE (RFC 3261 20.1: an empty Accept). */
        sip_out_lit(&reply.out, "Accept:\r\n");
    evt_reply_send(shard, &reply);
}

static const struct hd_slice filter_types[] = {
    { "application/simple-filter+xml", 29 },
    { "application/vnd.herald.filter+json", 34 },
};

static bool
is_filter_type(struct hd_slice type)
{
    for (size_t i = 0; i < HD_ARRAY_LEN(filter_types); i++)
        if (sip_media_same(type, filter_types[i]))
            return true;
    return false;
}

/* A body is a filter (RFC 4660 section 3.3), alone or among others (RFC 5621): what is not
 * understood and not optional is refused (RFC 3261 8.2.3). */
static bool
find_filter(struct evt_shard *shard, struct evt_request *request, struct evt_wanted *want)
{
    const struct hd_slice type = sip_msg_value(request->msg, SIP_HDR_CONTENT_TYPE);
    const size_t n = shard->ports.filter ? HD_ARRAY_LEN(filter_types) : 0;
    static const struct hd_slice none = { "", 0 };

    /* One that is there alone is one whatever its disposition is called. */
    if (n > 0 && is_filter_type(type)) {
        want->filter_body = (struct sip_body){ .type = type, .octets = request->msg->body };
        return true;
    }
    switch (type.n ? sip_body_find(request->msg, n ? filter_types : &none, n ? n : 1,
                                   &want->filter_body)
                   : HD_ENOTSUP) {
    case HD_OK:
    case HD_ENOMATCH:
        return true;
    case HD_ENOTSUP:
        refuse_type(shard, request);
        return false;
    case HD_EEXIST:
        evt_refuse(shard, request, 400, HD_LIT("More Than One Filter"));
        return false;
    default:
        evt_refuse(shard, request, 400, HD_LIT("Malformed Content-Type Or Multipart Body"));
        return false;
    }
}

bool
evt_wanted_body(struct evt_shard *shard, struct evt_request *request, struct evt_wanted *want)
{
    if (!sip_param_find(want->event.params, HD_LIT("herald-profile"), &want->profile))
        want->profile = hd_slice(NULL, 0);
    want->filters = want->profile.p != NULL;
    if (request->msg->body.n == 0)
        return true;
    if (request->msg->body.n > evt_limits(shard)->max_body) {
        evt_refuse(shard, request, 413, HD_LIT("Request Entity Too Large"));
        return false;
    }
    if (!find_filter(shard, request, want))
        return false;
    want->filters = want->filters || want->filter_body.type.n > 0;
    return true;
}

static bool
refuse_filter(struct evt_shard *shard, struct evt_request *request, unsigned status,
              const char *phrase)
{
    EVT_COUNT(shard, filters_refused);
    evt_refuse(shard, request, status, hd_slice_str(phrase));
    return false;
}

/* The filter that the subscription has from now on; it is looked at last, since it is the dearest.
 */
bool
evt_wanted_filter(struct evt_shard *shard, struct evt_request *request, struct evt_wanted *want,
                  const struct evt_sub *sub)
{
    struct evt_filter *before = sub && evt_sub_filtered(sub) ? evt_sub_filtered(sub)->filter : NULL;
    char phrase[EVT_FILTER_PHRASE], memory[SIP_MAX_TOKEN];
    struct sip_dialog_id dialog = { 0 };

    if (!want->filters && !want->chooses && !(before && before->chooses))
        return true;
    if (!shard->ports.filter)
        return refuse_filter(shard, request, 488, "No Filters");
    /* A refresh without body leaves the filter as it was (RFC 4660 section 3.3.3); what the Event
     * header says of dialogs is said by each SUBSCRIBE anew, as rates are. */
    struct evt_filter_request wish = { .resource = hd_slice(want->key, want->key_n),
                                       .package = want->package->name,
                                       .dialog = &dialog };
    if (want->chooses)
        HD_ASSERT(named_dialogs(want, memory, &dialog) == HD_OK);
    if (before)
        wish.before = before->source;
    if (want->filter_body.type.n) {
        wish.type = want->filter_body.type;
        wish.body = want->filter_body.octets;
    } else if (want->filters && !evt_config_profile(shard->config, want->package->name,
                                                    want->profile, &wish.profile)) {
        return refuse_filter(shard, request, 488, "No Such Profile");
    }
    switch (shard->ports.filter->make(shard->ports.filter_context, &wish, &want->filter, phrase)) {
    case HD_OK:
        break;
    case HD_ENOMEM:
        evt_refuse_later(shard, request, 500, HD_LIT("Out Of Memory"));
        return false;
    case HD_ENOTSUP:
        refuse_type(shard, request);
        return false;
    case HD_EDENIED:
        return refuse_filter(shard, request, 488, phrase);
    default:
        return refuse_filter(shard, request, 400, phrase);
    }
    want->refilters = want->filter != before;
    if (want->refilters || !want->filter)
        return true;
    shard->ports.filter->unref(shard->ports.filter_context, want->filter);
    want->filter = NULL;
    return true;
}

/* A filter that was read, and is not taken after all. */
void
evt_wanted_drop(struct evt_shard *shard, struct evt_wanted *want)
{
    if (want->filter)
        shard->ports.filter->unref(shard->ports.filter_context, want->filter);
    want->filter = NULL;
}

/* Who may: fills state and transform.  False: refused with 403, and a subscription that exists ends
 * (RFC 6665 4.2.1.4). */
bool
evt_wanted_verdict(struct evt_shard *shard, struct evt_request *request, struct evt_wanted *want,
                   struct evt_sub *sub)
{
    struct evt_verdict verdict = shard->ports.policy->subscribe(
        shard->ports.policy_context, shard->config, &request->identity,
        hd_slice(want->key, want->key_n), want->package);

    want->rule = verdict.rule;
    if (evt_sub_verdict(&verdict, want->package, &want->state, &want->transform))
        return true;
    evt_did(shard, evt_rec_request_call(shard, request), EVT_DID_DENY, verdict.rule);
    evt_refuse(shard, request, 403, HD_LIT("Not Allowed To Watch This Resource"));
    if (sub)
        evt_sub_terminate(shard, sub, EVT_REASON_REJECTED, 0);
    return false;
}
