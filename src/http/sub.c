/* sub.c - subscriptions of the core that the HTTP face holds: for event streams and for webhooks.
 *
 * The owner may close one at any time, also while an ask of it is out: then it stays in its place,
 * without an owner, until that is back.  A place has a serial number in the flow's conn, so that
 * what was told to one that is gone finds nobody.  Invariant: at most one ask of each of the two
 * kinds is out, and TAKEN is answered before what follows it is told. */
#include <stdio.h>
#include <stdlib.h>

#include "http/core.h"

#define PLACE_BITS 20u
#define SUBS_MAX (1u << PLACE_BITS)

enum sub_state { SUB_ASKED = 0, SUB_JOINED, SUB_LEAVING, SUB_OVER };

struct api_sub {
    struct api *api;
    uint32_t place;
    enum sub_state state;
    const struct api_sub_ops *ops; /* NULL: it has no owner any more */
    void *owner;
    struct evt_ask ask, taken;
    bool asking, taking; /* they are out */
    char call_id[32], tag[17];
    char octets[];
};

/* --- places ---------------------------------------------------------------------------------- */

static bool
place_take(struct api *api, struct api_sub *sub)
{
    uint32_t i = 0;

    while (i < api->n_subs && api->subs[i])
        i++;
    if (i == api->n_subs) {
        uint32_t n = api->n_subs ? api->n_subs * 2 : 64;
        if (n > SUBS_MAX)
            return false;
        struct api_sub **subs = realloc(api->subs, n * sizeof(struct api_sub *));
        if (!subs)
            return false;
        memset(subs + api->n_subs, 0, (n - api->n_subs) * sizeof(struct api_sub *));
        api->subs = subs;
        api->n_subs = n;
    }
    api->subs[i] = sub;
    sub->place = i;
    return true;
}

static void
sub_free(struct api_sub *sub)
{
    if (sub->asking || sub->taking)
        return;
    sub->api->subs[sub->place] = NULL;
    free(sub);
}

static void
answered(struct evt_ask *ask)
{
    struct api_sub *sub = ask->context;

    ask->mail.kind = API_MAIL_SUB;
    hd_mailbox_post(&sub->api->box, &ask->mail);
}

static void
post(struct api_sub *sub, struct evt_ask *ask)
{
    ask->answered = answered;
    ask->context = sub;
    sub->api->out++;
    evt_ask_post(sub->api->shard, ask);
}

/* --- beginning ------------------------------------------------------------------------------- */

static struct hd_slice
keep(char **at, struct hd_slice s)
{
    char *copy = *at;

    if (!s.p)
        return s;
    memcpy(copy, s.p, s.n);
    *at += s.n;
    return hd_slice(copy, s.n);
}

struct api_sub *
api_sub_new(struct api *api, const struct api_wish *wish, const struct api_sub_ops *ops,
            void *owner)
{
    size_t n = wish->key.n + wish->package.n + wish->filter.n + wish->filter_type.n +
               wish->profile.n + wish->target.n;
    struct api_sub *sub = calloc(1, sizeof(*sub) + n);
    char *at;

    if (!sub)
        return NULL;
    sub->api = api;
    if (api->stopping || !place_take(api, sub)) {
        free(sub);
        return NULL;
    }
    at = sub->octets;
    sub->ops = ops;
    sub->owner = owner;
    (void)snprintf(sub->call_id, sizeof(sub->call_id), "http-%016llx",
                   (unsigned long long)hd_rng_u64(&api->rng));
    (void)snprintf(sub->tag, sizeof(sub->tag), "%016llx",
                   (unsigned long long)hd_rng_u64(&api->rng));
    sub->ask = (struct evt_ask){
        .kind = EVT_ASK_SUBSCRIBE,
        .identity = wish->identity,
        .flow = { .transport = HD_HTTP,
                  .listener = EVT_ASK_NO_LISTENER,
                  .conn = (uint64_t)++api->sub_serial << PLACE_BITS | sub->place,
                  .local = api->bound,
                  .remote = wish->remote },
        .key = keep(&at, wish->key),
        .package = keep(&at, wish->package),
        .filter = keep(&at, wish->filter),
        .filter_type = keep(&at, wish->filter_type),
        .profile = keep(&at, wish->profile),
        .target = keep(&at, wish->target),
        .call_id = hd_slice_str(sub->call_id),
        .tag = hd_slice_str(sub->tag),
        .rates = wish->rates,
        .expires_s = wish->expires_s,
        .types = wish->types,
    };
    sub->asking = true;
    post(sub, &sub->ask);
    return sub;
}

/* --- ending ---------------------------------------------------------------------------------- */

/* Nobody hears of it any more; the core forgets it too. */
static void
sub_leave(struct api_sub *sub)
{
    if (sub->state != SUB_JOINED || sub->asking) {
        if (sub->state != SUB_ASKED)
            sub_free(sub);
        return;
    }
    sub->state = SUB_LEAVING;
    sub->ask.kind = EVT_ASK_LEAVE;
    sub->asking = true;
    post(sub, &sub->ask);
}

void
api_sub_close(struct api_sub *sub)
{
    if (!sub)
        return;
    HD_ASSERT(sub->ops);
    sub->ops = NULL;
    sub->owner = NULL;
    sub_leave(sub);
}

void
api_sub_taken(struct api_sub *sub)
{
    HD_ASSERT(!sub->taking);
    sub->taking = true;
    post(sub, &sub->taken);
}

/* --- the core's word ------------------------------------------------------------------------- */

static void
sub_gone(struct api_sub *sub)
{
    const struct api_sub_ops *ops = sub->ops;
    void *owner = sub->owner;

    sub->state = SUB_OVER;
    sub->ops = NULL;
    sub->owner = NULL;
    sub_free(sub);
    if (ops)
        ops->gone(owner);
}

void
api_sub_answered(struct api *api, struct evt_ask *ask)
{
    struct api_sub *sub = ask->context;

    api->out--;
    if (ask == &sub->taken) {
        sub->taking = false;
        if (!sub->ops || sub->state == SUB_OVER)
            sub_free(sub);
        else if (ask->status != 200)
            sub_gone(sub);
        return;
    }
    sub->asking = false;
    if (ask->kind == EVT_ASK_LEAVE) {
        sub_free(sub);
        return;
    }
    if (ask->status == 200) {
        sub->state = SUB_JOINED;
        if (!sub->ops)
            sub_leave(sub);
        return;
    }
    const struct api_sub_ops *ops = sub->ops;
    sub->state = SUB_OVER;
    sub->ops = NULL;
    if (ops)
        ops->refused(sub->owner, ask);
    sub_free(sub);
}

void
api_sub_told(struct api *api, struct api_tidings *tidings)
{
    const uint32_t place = (uint32_t)(tidings->t.conn & (SUBS_MAX - 1));
    struct api_sub *sub = place < api->n_subs ? api->subs[place] : NULL;

    if (!sub || sub->ask.flow.conn != tidings->t.conn || !sub->ops || sub->taking) {
        free(tidings); /* it is left, and the core will hear of it */
        return;
    }
    sub->taken = (struct evt_ask){ .kind = EVT_ASK_TAKEN,
                                   .flow = sub->ask.flow,
                                   .key = sub->ask.key,
                                   .sub = tidings->t.sub,
                                   .branch = tidings->t.branch };
    sub->ops->told(sub->owner, tidings);
}

void
api_subs_done(struct api *api)
{
    for (uint32_t i = 0; i < api->n_subs; i++)
        free(api->subs[i]);
    free(api->subs);
    api->subs = NULL;
    api->n_subs = 0;
}

/* --- the core's port ------------------------------------------------------------------------- */

static struct hd_slice
take(char **at, struct hd_slice s)
{
    return s.n ? keep(at, s) : hd_slice(*at, 0);
}

/* On a shard's thread. */
static bool
tell(void *face, unsigned shard, const struct evt_tidings *t)
{
    struct api *api = face;
    struct api_tidings *copy =
        malloc(sizeof(*copy) + t->reason.n + t->type.n + t->body.n + t->fired.n);
    char *at;

    (void)shard;
    if (!copy)
        return false;
    at = copy->octets;
    copy->t = *t;
    copy->t.reason = take(&at, t->reason);
    copy->t.type = take(&at, t->type);
    copy->t.body = take(&at, t->body);
    copy->t.fired = take(&at, t->fired);
    copy->mail.kind = API_MAIL_TIDINGS;
    hd_mailbox_post(&api->box, &copy->mail);
    return true;
}

const struct evt_face_ops api_face_ops = { .tell = tell };
