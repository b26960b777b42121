/* ask.c - requests that come by no SIP message: who asks for them is told, not answered in octets.
 *
 * Publications take the way of PUBLISH (publish.c) from the point on where a message has been read.
 * A subscription is one like any other: the same quotas, rules, filters, pace and watcher
 * information; its next hop is a flow of transport HD_HTTP, and a NOTIFY in flight there is what
 * ports.face was told and has not said to have arrived.  So a slow reader costs a flag here as
 * well. It is kept by nobody: it ends with the connection, or with whatever asked for it. */
#include "event/ask.h"

#include <stdlib.h>

#include "event/core.h"

/* --- answering ------------------------------------------------------------------------------- */

static void
ask_answer(struct evt_ask *ask, unsigned status)
{
    ask->status = status;
    ask->answered(ask);
}

void
evt_ask_refuse(struct evt_ask *ask, unsigned status, struct hd_slice phrase, uint32_t retry_after_s)
{
    size_t n = phrase.n < sizeof(ask->phrase) ? phrase.n : sizeof(ask->phrase) - 1;

    if (n)
        memcpy(ask->phrase, phrase.p, n);
    ask->phrase[n] = '\0';
    ask->retry_after_s = retry_after_s;
    ask_answer(ask, status);
}

void
evt_ask_subscribed(struct evt_head *head, const struct evt_sub *sub, uint32_t expires_s)
{
    struct evt_ask *ask = head->ask;

    head->ask = NULL;
    ask->sub = sub->id;
    ask->granted_s = expires_s;
    ask_answer(ask, 200);
}

void
evt_packet_drop(struct evt_packet *packet)
{
    if (packet->ask)
        evt_ask_refuse(packet->ask, 503, HD_LIT("Server Is Stopping"), 1);
    free(packet);
}

/* --- subscribing ----------------------------------------------------------------------------- */

struct wanted {
    const struct evt_package *package;
    uint32_t expires_s;
    uint8_t state, transform;
    uint32_t rule;
    struct evt_filter *filter; /* a reference, or NULL */
    struct sip_rates rates;
};

static struct evt_texts *
texts_new(const struct evt_ask *ask)
{
    const struct hd_slice watcher = hd_slice(ask->identity.key, ask->identity.key_len);
    char remote[2 * SIP_KEY_MAX], local[SIP_KEY_MAX + 2];
    struct sip_out out, out_local;
    size_t n, n_local;

    sip_out_init(&out, remote, sizeof(remote));
    sip_out_char(&out, '<');
    sip_out_slice(&out, watcher);
    sip_out_lit(&out, ">;tag=");
    sip_out_slice(&out, ask->tag);
    sip_out_init(&out_local, local, sizeof(local));
    sip_out_char(&out_local, '<');
    sip_out_slice(&out_local, ask->key);
    sip_out_char(&out_local, '>');
    if (sip_out_finish(&out, &n) || sip_out_finish(&out_local, &n_local))
        return NULL;
    const struct hd_slice pieces[EVT_TEXT_COUNT] = {
        [EVT_TEXT_CALL_ID] = ask->call_id, [EVT_TEXT_REMOTE] = hd_slice(remote, n),
        [EVT_TEXT_REMOTE_TAG] = ask->tag,  [EVT_TEXT_LOCAL] = hd_slice(local, n_local),
        [EVT_TEXT_TARGET] = ask->target,   [EVT_TEXT_WATCHER] = watcher,
    };
    return evt_texts_new(pieces, false, ask->identity.proof, ask->key);
}

/* The filter that was asked for; false: refused. */
static bool
read_filter(struct evt_shard *shard, struct evt_request *request, struct wanted *want)
{
    const struct evt_ask *ask = request->ask;
    struct evt_filter_request wish = {
        .resource = ask->key, .package = ask->package, .type = ask->filter_type, .body = ask->filter
    };
    char phrase[EVT_FILTER_PHRASE];

    if (!ask->filter.p && !ask->profile.p)
        return true;
    if (!shard->ports.filter ||
        (!ask->filter.p &&
         !evt_config_profile(shard->config, ask->package, ask->profile, &wish.profile))) {
        evt_refuse(shard, request, 488, HD_LIT("No Such Profile"));
        return false;
    }
    switch (shard->ports.filter->make(shard->ports.filter_context, &wish, &want->filter, phrase)) {
    case HD_OK:
        return true;
    case HD_ENOMEM:
        evt_refuse_later(shard, request, 500, HD_LIT("Out Of Memory"));
        return false;
    default:
        EVT_COUNT(shard, filters_refused);
        evt_refuse(shard, request, 400, hd_slice_str(phrase));
        return false;
    }
}

/* RFC 6446.  Where each event is told, a max-rate would be a promise to lose some. */
static bool
read_rates(struct evt_shard *shard, struct evt_request *request, struct wanted *want)
{
    want->rates = request->ask->rates;
    if (want->rates.max && want->package->delivery == EVT_DELIVER_EVERY) {
        evt_refuse(shard, request, 400, HD_LIT("Each Event Of This Package Is Told: No max-rate"));
        return false;
    }
    evt_rates_bound(&want->rates, want->expires_s);
    return true;
}

static bool
read_wanted(struct evt_shard *shard, struct evt_request *request, struct wanted *want)
{
    const struct evt_ask *ask = request->ask;

    want->package = evt_config_package(shard->config, ask->package);
    if (!want->package) {
        evt_refuse(shard, request, 404, HD_LIT("No Such Package"));
        return false;
    }
    struct evt_verdict verdict = shard->ports.policy->subscribe(
        shard->ports.policy_context, shard->config, &request->identity, ask->key, want->package);
    want->rule = verdict.rule;
    if (!evt_sub_verdict(&verdict, want->package, &want->state, &want->transform)) {
        evt_did(shard, evt_rec_request_call(shard, request), EVT_DID_DENY, verdict.rule);
        evt_refuse(shard, request, 403, HD_LIT("Not Allowed To Watch This Resource"));
        return false;
    }
    if (evt_grant_asked(shard, ask->expires_s, want->package->min_expires_s,
                        want->package->default_expires_s, want->package->max_expires_s, true,
                        &want->expires_s)) {
        evt_refuse_brief(shard, request, want->package->min_expires_s);
        return false;
    }
    if (!read_rates(shard, request, want))
        return false;
    if (shard->draining || shard->waiting >= evt_limits(shard)->waiting) {
        EVT_COUNT(shard, refused_busy);
        evt_refuse_later(shard, request, 503, HD_LIT("Server Busy Or Stopping"));
        return false;
    }
    return read_filter(shard, request, want);
}

/* HD_EDENIED: a quota; HD_EFULL, HD_ENOMEM.  sub is whole but for its change. */
static enum hd_err
sub_prepare(struct evt_shard *shard, const struct evt_ask *ask, const struct wanted *want,
            struct evt_sub **ret_sub)
{
    const struct hd_slice watcher = hd_slice(ask->identity.key, ask->identity.key_len);
    enum hd_err err = evt_watcher_take(shard, watcher);
    struct evt_texts *texts;
    struct evt_sub *sub = NULL;

    if (err)
        return err;
    uint64_t id = hd_id_new(&shard->rng, hd_shard_bucket(&shard->rng, shard->index, shard->count));
    texts = texts_new(ask);
    err = HD_ENOMEM;
    if (texts)
        sub = evt_sub_new(shard, id, texts, evt_sub_call_hash(shard, ask->call_id, ask->tag), &err);
    if (!sub) {
        free(texts);
        evt_watcher_give(shard, watcher);
        return err;
    }
    const struct evt_mirror *mirror =
        evt_mirror_join(shard, ask->key, want->package, evt_own_of(watcher, want->transform));
    if (!mirror) {
        evt_sub_free(shard, sub);
        return HD_EFULL;
    }
    sub->mirror = mirror->index;
    *ret_sub = sub;
    return HD_OK;
}

/* Takes the filter of want.  HD_ENOMEM. */
static enum hd_err
change_make(struct evt_shard *shard, struct evt_request *request, struct wanted *want,
            struct evt_sub *sub)
{
    struct evt_sub_change *change = calloc(1, sizeof(*change));
    struct evt_hop *hop = NULL, *came = NULL;

    const bool rated = want->rates.max || want->rates.min || want->rates.adaptive;

    if (!change || ((want->filter || rated) && !evt_sub_rare(sub)))
        goto fail;
    if (rated && !(change->rated = evt_rated_new(&want->rates)))
        goto fail;
    if (want->filter) {
        change->filtered = evt_filtered_new(want->filter);
        if (!change->filtered)
            goto fail;
        want->filter = NULL;
        change->refilters = true;
    }
    change->kind = EVT_CHANGE_CREATE;
    change->done.expires_s = want->expires_s;
    change->started_ms = shard->now_ms;
    change->trying_sent = true;
    change->state = want->state;
    change->transform = want->transform;
    change->types = request->ask->types;
    change->direct = true;
    change->judged = shard->configurations;
    change->rule = want->rule;
    change->ends = shard->ends;
    hop = evt_hop_get(shard, request->flow, NULL);
    came = hop ? evt_hop_came(shard, request->flow, hop) : NULL;
    change->head = came ? evt_head_new(shard, request, hd_slice(NULL, 0), false) : NULL;
    if (!change->head)
        goto fail;
    hop->authenticated = hop->proven = true;
    change->hop = hop->index;
    change->came = came->index;
    sub->change = change;
    shard->waiting++;
    evt_gauge(shard, &shard->counters.waiting, 1);
    return HD_OK;
fail:
    if (came)
        evt_hop_forget(shard, came->index);
    if (hop)
        evt_hop_put(shard, hop->index);
    if (change) {
        evt_filtered_free(shard, change->filtered);
        free(change->rated);
    }
    free(change);
    return HD_ENOMEM;
}

static void
ask_subscribe(struct evt_shard *shard, struct evt_request *request)
{
    struct wanted want;
    struct evt_sub *sub = NULL;
    enum hd_err err;

    memset(&want, 0, sizeof(want));
    if (!read_wanted(shard, request, &want))
        return;
    err = sub_prepare(shard, request->ask, &want, &sub);
    if (!err)
        err = change_make(shard, request, &want, sub);
    if (want.filter)
        shard->ports.filter->unref(shard->ports.filter_context, want.filter);
    if (err) {
        if (sub)
            evt_sub_free(shard, sub);
        EVT_COUNT(shard, caps_reached);
        if (err == HD_EDENIED)
            evt_refuse(shard, request, 403, HD_LIT("Too Many Subscriptions Of This Watcher"));
        else
            evt_refuse_later(shard, request, err == HD_EFULL ? 503 : 500,
                             HD_LIT("No Room For A Subscription"));
        return;
    }
    sub->fetch = want.expires_s == 0;
    evt_sub_stored(shard, sub, HD_OK); /* nothing of it is kept */
}

/* --- telling --------------------------------------------------------------------------------- */

/* The state that is seen has a name of its own, the same after a restart and wherever it is seen:
 * the version inside, which some formats count per subscription, is no part of it. */
static void
version_of(const struct evt_shard *shard, const struct evt_view *view, uint8_t ret[16])
{
    const struct hd_slice parts[] = { view->type, view->before, view->after };
    uint8_t sums[HD_ARRAY_LEN(parts)][16];

    for (size_t i = 0; i < HD_ARRAY_LEN(parts); i++)
        hd_hash128(&shard->keys.id, parts[i].p ? parts[i] : HD_LIT(""), sums[i]);
    hd_hash128(&shard->keys.id, hd_slice((const char *)sums, sizeof(sums)), ret);
}

/* "Herald-Fired: a, b" without its name and line end. */
static struct hd_slice
fired_of(const struct evt_shard *shard, const struct evt_sub *sub, char *room, size_t size)
{
    struct sip_out out;
    size_t n, colon;

    if (!evt_sub_filtered(sub))
        return hd_slice(NULL, 0);
    sip_out_init(&out, room, size);
    evt_cond_out(shard, evt_sub_filtered(sub), &out);
    if (sip_out_finish(&out, &n) || n < 2)
        return hd_slice(NULL, 0);
    const struct hd_slice line = hd_slice(room, n - 2);
    colon = hd_slice_find(line, ':');
    return colon + 2 <= line.n ? hd_slice_from(line, colon + 2) : hd_slice(NULL, 0);
}

bool
evt_ask_tell(struct evt_shard *shard, const struct evt_sub *sub)
{
    const struct evt_flight *flight = sub->flight;
    const struct evt_view *view = flight->view;
    const size_t size = evt_view_size(view, flight->version);
    char fired[1024], *buffer = shard->ports.net->reserve(shard->ports.net_context, size + 1);
    struct sip_out out;
    size_t n;

    if (!buffer)
        return false;
    evt_did(shard, sub->id, EVT_DID_TELL, flight->cseq);
    sip_out_init(&out, buffer, size + 1);
    evt_view_write(view, flight->version, &out);
    if (sip_out_finish(&out, &n))
        return false;
    struct evt_tidings tidings = {
        .sub = sub->id,
        .conn = evt_hop_at(shard, sub->hop)->flow.conn,
        .branch = flight->branch,
        .expires_s = flight->expires_s,
        .retry_after_s = flight->retry_after_s,
        /* A fetch is over at once: that it was shown nothing says that nobody has decided. */
        .pending =
            flight->state == EVT_SUB_PENDING || (sub->fetch && sub->transform == EVT_SEE_NOTHING),
        .terminated = flight->state == EVT_SUB_TERMINATED,
        .type = view->type,
        .body = hd_slice(buffer, n),
        .fired = fired_of(shard, sub, fired, sizeof(fired)),
    };
    if (sub->rare && sub->rare->rated)
        tidings.rates = sub->rare->rated->told;
    if (tidings.terminated)
        tidings.reason = evt_reason_name((enum evt_reason)flight->reason);
    version_of(shard, view, tidings.version);
    return shard->ports.face->tell(shard->ports.face_context, shard->index, &tidings);
}

/* --- all of them ----------------------------------------------------------------------------- */

static void
ask_of_sub(struct evt_shard *shard, struct evt_ask *ask)
{
    struct evt_sub *sub = evt_sub_find(shard, ask->sub);
    const bool taken = ask->kind == EVT_ASK_TAKEN;
    const uint32_t branch = ask->branch;

    ask_answer(ask, sub ? 200 : 481); /* before what follows is told */
    if (sub && taken)
        evt_notify_taken(shard, sub, branch);
    else if (sub)
        evt_sub_terminate(shard, sub, EVT_REASON_SILENT, 0);
}

void
evt_ask_handle(struct evt_shard *shard, struct evt_ask *ask)
{
    struct evt_request request = { .flow = &ask->flow,
                                   .octets = HD_LIT(""),
                                   .arrived_us = shard->now_us,
                                   .identity = ask->identity,
                                   .authenticated = true,
                                   .ask = ask };

    switch (ask->kind) {
    case EVT_ASK_PUBLISH:
    case EVT_ASK_REMOVE:
        evt_publish_asked(shard, &request);
        return;
    case EVT_ASK_SUBSCRIBE:
        ask_subscribe(shard, &request);
        return;
    case EVT_ASK_LEAVE:
    case EVT_ASK_TAKEN:
        ask_of_sub(shard, ask);
        return;
    }
}

void
evt_ask_post(struct evt_shard *any, struct evt_ask *ask)
{
    const bool of_sub = ask->kind == EVT_ASK_LEAVE || ask->kind == EVT_ASK_TAKEN;
    /* Keys and peers are set before there are threads, and never change. */
    unsigned to =
        of_sub ? hd_bucket_shard(hd_id_bucket(ask->sub), any->count) : evt_home(any, ask->key);

    HD_ASSERT_OBJ(any, EVT_SHARD_MAGIC);
    HD_ASSERT(ask->flow.transport == HD_HTTP && any->ports.face);
    ask->mail.kind = EVT_MAIL_ASK;
    hd_mailbox_post(&any->peers[to]->box, &ask->mail);
}
