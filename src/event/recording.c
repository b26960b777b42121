/* recording.c - writes messages and decisions into the shard's ring.
 *
 * A NOTIFY is written as its own head and a reference to the body that it shares with others; the
 * body is an entry of its own, written again when it is about to be the oldest.  What proves who
 * somebody is does not come here: credentials in header fields and passwords in URIs are cut out of
 * the octets at once (bodies are the event state and stay as they are). */
#include "event/recording.h"

#include "event/core.h"

#define SMALL_BODY 256u /* octets that are not worth a reference */

uint64_t
evt_rec_call(const struct evt_shard *shard, struct hd_slice call_id)
{
    return shard->recorder && call_id.n ? hd_hash(&shard->keys.table, call_id) | 1 : 0;
}

uint64_t
evt_rec_request_call(const struct evt_shard *shard, const struct evt_request *request)
{
    return evt_rec_call(shard, request->ask ? request->ask->call_id : request->msg->call_id);
}

uint64_t
evt_rec_name(const struct evt_shard *shard, struct hd_slice name)
{
    return hd_hash_mix(hd_hash(&shard->keys.table, name), 0x6e616d65u);
}

/* --- cutting out ------------------------------------------------------------------------------ */

/* Of those that the parser has no name for. */
static bool
is_secret_other(const struct sip_header *header)
{
    switch (header->name.n) {
    case 6:
        return hd_slice_ieq(header->name, HD_LIT("Cookie"));
    case 10:
        return hd_slice_ieq(header->name, HD_LIT("Set-Cookie"));
    case 19:
        return hd_slice_ieq(header->name, HD_LIT("Authentication-Info"));
    case 25:
        return hd_slice_ieq(header->name, HD_LIT("Proxy-Authentication-Info"));
    default:
        return false;
    }
}

static bool
is_secret(const struct sip_header *header)
{
    switch ((enum sip_hdr)header->id) {
    case SIP_HDR_AUTHORIZATION:
    case SIP_HDR_PROXY_AUTHORIZATION:
        return true;
    case SIP_HDR_OTHER:
        return is_secret_other(header);
    default:
        return false;
    }
}

/* As nearly always, there is none. */
static bool
has_secret(const struct sip_msg *msg)
{
    if (sip_msg_has(msg, SIP_HDR_AUTHORIZATION) || sip_msg_has(msg, SIP_HDR_PROXY_AUTHORIZATION))
        return true;
    for (const struct sip_header *other = sip_msg_header(msg, SIP_HDR_OTHER); other;
         other = sip_msg_next(msg, other))
        if (is_secret_other(other))
            return true;
    return false;
}

/* What stands in its place; never longer. */
static struct hd_slice
instead_of(struct hd_slice value)
{
    const struct hd_slice digest = HD_LIT("Digest response=\"cut out\""), other = HD_LIT("cut out");

    if (value.n >= digest.n && hd_slice_istarts(value, HD_LIT("Digest ")))
        return digest;
    return value.n >= other.n ? other : hd_slice(NULL, 0);
}

/* Cuts the values of a message's secret header fields out of a copy of its head. */
static size_t
cut_headers(char *head, size_t n, const struct sip_msg *msg)
{
    for (unsigned i = msg->n_headers; i-- > 0;) {
        const struct sip_header *header = &msg->headers[i];

        if (!is_secret(header) || !header->value.n)
            continue;
        const size_t at = (size_t)(header->value.p - msg->raw.p);
        const struct hd_slice instead = instead_of(header->value);
        if (at + header->value.n > n) { /* the rest of the head is not kept: nor is this */
            n = at < n ? at : n;
            continue;
        }
        memcpy(head + at, instead.p ? instead.p : "", instead.n);
        memmove(head + at + instead.n, head + at + header->value.n, n - at - header->value.n);
        n -= header->value.n - instead.n;
    }
    return n;
}

static bool
ends_word(char c)
{
    return (unsigned char)c <= ' ' || c == '<' || c == '>' || c == '"';
}

/* Where the userinfo of the URI begins that has an @ at its end; NULL: no URI. */
static const char *
userinfo_of(const char *begin, const char *at)
{
    for (const char *p = at; p > begin && !ends_word(p[-1]); p--) {
        const size_t n = (size_t)(p - begin);

        if (p[-1] != ':' && p[-1] != '/')
            continue;
        if ((n >= 4 && hd_slice_ieq(hd_slice(p - 4, 4), HD_LIT("sip:"))) ||
            (n >= 5 && hd_slice_ieq(hd_slice(p - 5, 5), HD_LIT("sips:"))) ||
            (n >= 3 && hd_slice_eq(hd_slice(p - 3, 3), HD_LIT("://"))))
            return p;
    }
    return NULL;
}

/* RFC 3261 section 19.1.1: a userinfo may hold a password. */
static size_t
cut_passwords(char *text, size_t n)
{
    char *at = text;

    while ((at = memchr(at, '@', n - (size_t)(at - text)))) {
        const char *user = userinfo_of(text, at);
        char *colon = user ? memchr(text + (user - text), ':', (size_t)(at - user)) : NULL;
        if (colon) {
            memmove(colon, at, n - (size_t)(at - text));
            n -= (size_t)(at - colon);
            at = colon;
        }
        at++;
    }
    return n;
}

bool
evt_rec_has_password(struct hd_slice text)
{
    const char *at = text.p, *end = text.n ? text.p + text.n : text.p;

    while (at < end && (at = memchr(at, '@', (size_t)(end - at)))) {
        const char *user = userinfo_of(text.p, at);

        if (user && memchr(user, ':', (size_t)(at - user)))
            return true;
        at++;
    }
    return false;
}

/* --- messages --------------------------------------------------------------------------------- */

/* An entry for a message with room for n octets; ret_n: how many of them may be written. */
static inline struct evt_entry_message *
message_put(struct evt_shard *shard, uint64_t key, const struct hd_flow *flow, bool out, size_t n,
            size_t *ret_n)
{
    const size_t most = evt_recorder_most(shard->recorder) - sizeof(struct evt_entry_message);
    const bool cut = n > most;
    struct evt_entry_message *m;

    if (cut) {
        n = most;
        EVT_COUNT(shard, recorded_cut);
    }
    EVT_COUNT(shard, recorded);
    m = evt_recorder_put(shard->recorder, EVT_ENTRY_MESSAGE, key, shard->now_us, sizeof(*m) + n);
    m->local = flow->local;
    m->remote = flow->remote;
    m->body = 0;
    m->fill = 0;
    m->hole = 0;
    m->transport = flow->transport;
    m->out = out;
    m->of_sub = false;
    m->cut = cut;
    *ret_n = n;
    return m;
}

static char *
message_octets(struct evt_entry_message *m)
{
    return (char *)(m + 1);
}

/* What came: head and body without what stands behind them. */
static void
message_came(struct evt_shard *shard, uint64_t key, const struct hd_flow *flow,
             const struct sip_msg *msg, bool of_sub, bool uris)
{
    const struct hd_slice body = msg->body;
    const size_t head_n = body.p ? (size_t)(body.p - msg->raw.p) : msg->raw.n;
    size_t n, most;
    struct evt_entry_message *m = message_put(shard, key, flow, false, head_n + body.n, &most);

    m->of_sub = of_sub;
    if (!uris && !has_secret(msg)) { /* all of it as it is: the body stands behind the head */
        memcpy(message_octets(m), msg->raw.p, most);
        m->n = (uint32_t)most;
        return;
    }
    n = head_n < most ? head_n : most;
    memcpy(message_octets(m), msg->raw.p, n);
    n = cut_headers(message_octets(m), n, msg);
    if (uris)
        n = cut_passwords(message_octets(m), n);
    const size_t rest = body.n < most - n ? body.n : most - n;
    if (rest)
        memcpy(message_octets(m) + n, body.p, rest);
    m->n = (uint32_t)(n + rest);
}

void
evt_rec_request(struct evt_shard *shard, const struct evt_request *request)
{
    if (shard->recorder)
        message_came(shard, evt_rec_call(shard, request->msg->call_id), request->flow, request->msg,
                     false, true);
}

void
evt_rec_malformed(struct evt_shard *shard, const struct evt_request *request)
{
    const struct hd_slice line = hd_slice(request->octets.p, hd_slice_find(request->octets, '\n'));
    size_t n;

    if (!shard->recorder || !request->msg->call_id.n)
        return;
    struct evt_entry_message *m = message_put(shard, evt_rec_call(shard, request->msg->call_id),
                                              request->flow, false, line.n, &n);
    memcpy(message_octets(m), line.p, n);
    m->n = (uint32_t)cut_passwords(message_octets(m), n);
    m->cut = true;
}

void
evt_rec_reply(struct evt_shard *shard, uint64_t call, const struct hd_flow *flow,
              struct hd_slice octets)
{
    struct evt_entry_message *m;
    size_t n;

    if (!shard->recorder || !call)
        return;
    m = message_put(shard, call, flow, true, octets.n, &n);
    memcpy(message_octets(m), octets.p, n);
    m->n = (uint32_t)cut_passwords(message_octets(m), n);
}

/* The place of a body's entry: the one that is there, while enough is written before it goes. */
static uint64_t
body_place(struct evt_shard *shard, struct evt_view *view)
{
    struct evt_recorder *rec = shard->recorder;
    const size_t n = view->before.n + view->after.n;

    if (evt_recorder_has(rec, view->recorded) && rec->head - view->recorded < rec->cap / 2)
        return view->recorded;
    char *octets = evt_recorder_put(rec, EVT_ENTRY_BODY, 0, shard->now_us, sizeof(uint64_t) + n);
    memcpy(octets, &(uint64_t){ n }, sizeof(uint64_t));
    octets += sizeof(uint64_t);
    if (view->before.n)
        memcpy(octets, view->before.p, view->before.n);
    if (view->after.n)
        memcpy(octets + view->before.n, view->after.p, view->after.n);
    view->recorded = rec->last;
    return rec->last;
}

void
evt_rec_notify(struct evt_shard *shard, const struct evt_sub *sub, const struct hd_flow *flow,
               struct hd_slice octets)
{
    struct evt_entry_message *m;
    uint64_t body = 0;
    size_t n = octets.n;

    if (!shard->recorder)
        return;
    struct evt_view *view = sub->flight->view;
    const size_t shared = view->before.n + view->after.n;
    if (!sub->flight->bare && shared > SMALL_BODY &&
        sizeof(uint64_t) + shared <= evt_recorder_most(shard->recorder)) {
        body = body_place(shard, view);
        n -= shared;
    }
    m = message_put(shard, sub->id, flow, true, n, &n);
    m->of_sub = true;
    m->n = (uint32_t)n;
    if (!body) {
        memcpy(message_octets(m), octets.p, n);
    } else {
        const size_t body_n = view->has_hole ? evt_view_size(view, sub->flight->version) : shared;
        const size_t head_n = octets.n - body_n;
        m->body = body;
        m->fill = (uint32_t)(body_n - shared);
        m->hole = (uint32_t)view->before.n;
        if (m->cut) { /* a head that is larger than a quarter of the ring */
            m->fill = 0;
            memcpy(message_octets(m), octets.p, n < head_n ? n : head_n);
        } else {
            memcpy(message_octets(m), octets.p, head_n);
            if (m->fill)
                memcpy(message_octets(m) + head_n, octets.p + head_n + view->before.n, m->fill);
        }
    }
    if (sub->texts->has_password) {
        const size_t head_n = m->n - m->fill;
        const size_t left = cut_passwords(message_octets(m), head_n);
        memmove(message_octets(m) + left, message_octets(m) + head_n, m->fill);
        m->n -= (uint32_t)(head_n - left);
    }
}

void
evt_rec_response(struct evt_shard *shard, const struct evt_sub *sub, const struct sip_msg *msg,
                 const struct hd_flow *flow)
{
    if (!shard->recorder)
        return;
    message_came(shard, sub->id, flow, msg, true,
                 sub->texts->has_password ||
                     evt_rec_has_password(sip_msg_value(msg, SIP_HDR_CONTACT)));
}

/* --- decisions -------------------------------------------------------------------------------- */

void
evt_rec_note(struct evt_shard *shard, uint64_t id, enum evt_did what, uint64_t detail,
             struct hd_slice words)
{
    struct evt_entry_did *did;

    if (!shard->recorder || !id)
        return;
    if (words.n > evt_recorder_most(shard->recorder) - sizeof(*did))
        words.n = 0;
    EVT_COUNT(shard, recorded);
    did = evt_recorder_put(shard->recorder, words.n ? EVT_ENTRY_NOTE : EVT_ENTRY_DID, id,
                           shard->now_us, sizeof(*did) + words.n);
    did->detail = detail;
    did->n = (uint32_t)words.n;
    did->what = (uint8_t)what;
    if (words.n)
        memcpy(did + 1, words.p, words.n);
}

#define SAID_MOST 600 /* octets of what a filter says */

void
evt_rec_cond(struct evt_shard *shard, const struct evt_cond *cond, struct evt_reading *reading,
             unsigned verdict)
{
    char words[SAID_MOST];
    size_t n = 0;

    if (!shard->recorder)
        return;
    if (shard->ports.filter->say)
        n = shard->ports.filter->say(cond->filter, cond->state, reading, words, sizeof(words));
    evt_rec_note(shard, evt_cond_id(shard, cond), EVT_DID_FILTER, verdict, hd_slice(words, n));
}

uint64_t
evt_rec_cond_of(struct evt_shard *shard, const struct evt_sub *sub)
{
    const struct evt_filtered *f = evt_sub_filtered(sub);

    return f && f->cond != EVT_NONE ? evt_cond_id(shard, evt_cond_at(shard, f->cond)) : 0;
}

/* --- subjects --------------------------------------------------------------------------------- */

enum { PART_CALL_ID = 0, PART_RESOURCE, PART_WHO, PART_PACKAGE, PARTS };

static void
subject_put(struct evt_shard *shard, uint64_t id, uint64_t call,
            const struct evt_entry_subject *from, const struct hd_slice parts[PARTS])
{
    struct evt_entry_subject *subject;
    size_t n = 0;

    for (int i = 0; i < PARTS; i++)
        n += parts[i].n;
    if (sizeof(*subject) + n > evt_recorder_most(shard->recorder))
        return;
    EVT_COUNT(shard, recorded);
    subject = evt_recorder_put(shard->recorder, EVT_ENTRY_SUBJECT, id, shard->now_us,
                               sizeof(*subject) + n);
    *subject = *from;
    char *octets = (char *)(subject + 1);
    for (int i = 0; i < PARTS; i++) {
        subject->n[i] = (uint16_t)parts[i].n;
        if (parts[i].n)
            memcpy(octets, parts[i].p, parts[i].n);
        octets += parts[i].n;
    }
    subject->links[0].key = call;
    subject->links[1].key = evt_rec_name(shard, parts[PART_RESOURCE]);
    subject->links[2].key = evt_rec_name(shard, parts[PART_WHO]);
    evt_recorder_link(shard->recorder, subject);
}

void
evt_rec_sub(struct evt_shard *shard, const struct evt_sub *sub, uint32_t rule)
{
    if (!shard->recorder)
        return;
    const struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);
    const struct hd_slice parts[PARTS] = {
        [PART_CALL_ID] = evt_texts_get(sub->texts, EVT_TEXT_CALL_ID),
        [PART_RESOURCE] = mirror->key,
        [PART_WHO] = evt_texts_get(sub->texts, EVT_TEXT_WATCHER),
        [PART_PACKAGE] = mirror->package->name,
    };
    subject_put(shard, sub->id, evt_rec_call(shard, parts[PART_CALL_ID]),
                &(struct evt_entry_subject){ .kind = EVT_SUBJECT_SUB,
                                             .cond = evt_rec_cond_of(shard, sub),
                                             .rule = rule,
                                             .state = sub->state,
                                             .transform = sub->transform,
                                             .proof = sub->texts->proof },
                parts);
}

void
evt_rec_pub(struct evt_shard *shard, const struct evt_pub *pub, uint64_t call)
{
    if (!shard->recorder)
        return;
    const struct evt_resource *resource = evt_resource_at(shard, pub->resource);
    const struct hd_slice parts[PARTS] = {
        [PART_RESOURCE] = resource->key,
        [PART_WHO] = pub->publisher,
        [PART_PACKAGE] = resource->package->name,
    };
    subject_put(shard, pub->id, call, &(struct evt_entry_subject){ .kind = EVT_SUBJECT_PUB },
                parts);
}

/* What a SIP message asked for, as far as it can be read; the parts borrow from msg, key and who.
 */
static void
refused_parts(struct evt_shard *shard, const struct evt_request *request, char key[SIP_KEY_MAX],
              char who[SIP_KEY_MAX], struct hd_slice parts[PARTS])
{
    const struct sip_msg *msg = request->msg;
    struct sip_event event = { 0 };
    struct sip_uri uri;
    size_t n;

    parts[PART_CALL_ID] = msg->call_id;
    if (!sip_uri_parse(msg->method == SIP_REGISTER ? msg->to.uri : msg->uri, &uri) &&
        !evt_resource_key(shard, request->flow, &uri, key, &n))
        parts[PART_RESOURCE] = hd_slice(key, n);
    if (!request->authenticated && !sip_uri_parse(msg->from.uri, &uri) &&
        !sip_identity_key(&uri, &shard->config->served, who, &n))
        parts[PART_WHO] = hd_slice(who, n);
    if (sip_event_parse(sip_msg_value(msg, SIP_HDR_EVENT), &event) == HD_OK)
        parts[PART_PACKAGE] = event.package;
}

void
evt_rec_refused(struct evt_shard *shard, const struct evt_request *request, unsigned status)
{
    const uint64_t call = evt_rec_request_call(shard, request);
    char key[SIP_KEY_MAX], who[SIP_KEY_MAX];
    struct hd_slice parts[PARTS] = { 0 };

    if (!call)
        return;
    if (request->ask) {
        parts[PART_CALL_ID] = request->ask->call_id;
        parts[PART_RESOURCE] = request->ask->key;
        parts[PART_PACKAGE] = request->ask->package;
    } else {
        refused_parts(shard, request, key, who, parts);
    }
    if (request->authenticated)
        parts[PART_WHO] = hd_slice(request->identity.key, request->identity.key_len);
    subject_put(
        shard, call, call,
        &(struct evt_entry_subject){ .kind = EVT_SUBJECT_REFUSED, .status = (uint16_t)status },
        parts);
}

/* --- its size --------------------------------------------------------------------------------- */

/* Another size is another ring: what was recorded goes.  Places go on, so that none of the old ones
 * is taken for a new one. */
void
evt_rec_configure(struct evt_shard *shard)
{
    const size_t memory = evt_limits(shard)->recorder & ~63u;
    struct evt_recorder *old = shard->recorder, *rec;

    if (old ? old->cap == memory : memory < EVT_RECORDER_LEAST)
        return;
    if (memory < EVT_RECORDER_LEAST) {
        shard->recorder_from = old->head;
        evt_recorder_free(old);
        shard->recorder = NULL;
        return;
    }
    rec = evt_recorder_new(memory, old ? old->head : shard->recorder_from);
    if (!rec)
        return; /* memory is short: as it was */
    evt_recorder_free(old);
    shard->recorder = rec;
}
