/* hook.c - webhooks: subscriptions whose events are posted to an address on the web.
 *
 * Each webhook of the book has a run: a subscription of the core as its user, a short queue, and at
 * most one transfer (hook_send.c).  What was told is kept on the disk (hook_keep.c), and only then
 * taken; of a package whose state counts, a newer state takes the place of one that waits, of the
 * others each waits its turn.  So an event comes at least once, in order, under one id, whatever
 * ends in between.  What cannot be delivered lies among the dead (hook_dead.c).  Invariants:
 * queues, transfers and the dead are bounded; an event is in one of them. */
#include "http/hook.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <jansson.h>

#define AGAIN_MS 30000u /* until a refused subscription is asked for again */

/* --- the queue -------------------------------------------------------------------------------- */

struct api_event
api_run_event(const struct api_run *run, const struct api_delivery *delivery)
{
    struct api_event event = delivery->event;

    event.resource = hd_slice_str(run->hook->resource);
    event.package = hd_slice_str(run->hook->package);
    return event;
}

static struct api_delivery *
delivery_new(struct api_run *run, const struct evt_tidings *t)
{
    char id[API_EVENT_ID], version[API_VERSION_TEXT];
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)snprintf(id, sizeof(id), "%s-%08x-%llu", run->hook->id, (unsigned)run->api->epoch,
                   (unsigned long long)run->told.serial + 1);
    api_version_text(t->version, version);
    struct api_delivery *delivery = api_delivery_new(&(struct api_event){
        .id = hd_slice_str(id),
        .type = t->type,
        .body = t->body,
        .fired = t->fired,
        .version = hd_slice(version, sizeof(version)),
        .at_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 });
    if (delivery)
        delivery->serial = ++run->told.serial;
    return delivery;
}

void
api_run_drop(struct api_run *run, struct api_delivery *delivery)
{
    api_keep_not(run->api, run->hook->id, delivery->serial);
    api_delivery_free(delivery);
}

struct api_delivery *
api_queue_take(struct api_run *run)
{
    struct api_delivery *delivery = run->queue;

    if (!delivery)
        return NULL;
    run->queue = delivery->next;
    if (!run->queue)
        run->queue_end = &run->queue;
    delivery->next = NULL;
    run->n_queue--;
    run->queue_octets -= delivery->size;
    API_ADD(run->api, hooks_waiting, -1);
    return delivery;
}

static void
count_in(struct api_run *run, const struct api_delivery *delivery)
{
    run->n_queue++;
    run->queue_octets += delivery->size;
    API_ADD(run->api, hooks_waiting, 1);
}

bool
api_queue_has_room(const struct api_run *run, const struct api_delivery *delivery)
{
    return run->n_queue == 0 || (run->n_queue < API_QUEUE_MOST &&
                                 run->queue_octets + delivery->size <= API_QUEUE_OCTETS);
}

bool
api_queue_has_newer(const struct api_run *run, const struct api_delivery *delivery)
{
    for (const struct api_delivery *one = run->queue; one; one = one->next)
        if (one->newest_wins && one->serial > delivery->serial)
            return true;
    return false;
}

/* The state that waits, if there is one: it is over. */
static void
supersede(struct api_run *run)
{
    struct api_delivery **link = &run->queue, *old;

    while (*link && !(*link)->newest_wins)
        link = &(*link)->next;
    old = *link;
    if (!old)
        return;
    *link = old->next;
    if (!*link)
        run->queue_end = link;
    run->n_queue--;
    run->queue_octets -= old->size;
    API_ADD(run->api, hooks_waiting, -1);
    run->superseded++;
    API_COUNT(run->api, hooks_superseded);
    api_run_drop(run, old);
}

void
api_queue_add(struct api_run *run, struct api_delivery *delivery)
{
    if (delivery->newest_wins)
        supersede(run);
    if (!api_queue_has_room(run, delivery)) {
        api_bury(run, delivery, "too many wait");
        return;
    }
    *run->queue_end = delivery;
    run->queue_end = &delivery->next;
    count_in(run, delivery);
}

void
api_queue_put_back(struct api_run *run, struct api_delivery *delivery)
{
    delivery->next = run->queue;
    if (!run->queue)
        run->queue_end = &delivery->next;
    run->queue = delivery;
    count_in(run, delivery);
}

/* --- the subscription ------------------------------------------------------------------------- */

static void
subscribe_later(struct api_run *run, uint64_t wait_ms)
{
    run->sub = NULL;
    run->owed = false;
    run->subscribe_ms = run->api->now_ms + wait_ms;
}

static void
run_refused(void *owner, const struct evt_ask *ask)
{
    struct api_run *run = owner;

    (void)snprintf(run->state, sizeof(run->state), "refused: %u %.90s", ask->status, ask->phrase);
    subscribe_later(run, AGAIN_MS);
}

static void
run_gone(void *owner)
{
    struct api_run *run = owner;

    (void)snprintf(run->state, sizeof(run->state), "gone");
    subscribe_later(run, 1000);
}

/* Whether an event is to be sent of it.  What a subscription is told first answers it: when that is
 * what was told last, by the one before or before a restart, it is no news, nor has it fired. */
static bool
is_news(const struct api_run *run, const struct evt_tidings *t, bool every)
{
    const struct api_told *told = &run->told;
    const bool same = told->has_seen && memcmp(told->seen, t->version, 16) == 0;

    if (t->pending || (t->terminated && t->reason.n && !t->type.n))
        return false;
    if (!t->type.n && !t->fired.n && !told->has_seen)
        return false;
    return !same || (!run->first && (every || t->fired.n));
}

static void
run_event(struct api_run *run, const struct evt_tidings *t)
{
    const struct evt_package *package =
        evt_config_package(run->api->config, hd_slice_str(run->hook->package));
    const bool every = package && package->delivery == EVT_DELIVER_EVERY;
    struct api_delivery *delivery = is_news(run, t, every) ? delivery_new(run, t) : NULL;

    run->first = false;
    if (!delivery)
        return;
    run->told.has_seen = true;
    memcpy(run->told.seen, t->version, sizeof(run->told.seen));
    delivery->newest_wins = !every && !t->fired.n;
    api_keep_new(run, delivery);
}

static void
run_told(void *owner, struct api_tidings *tidings)
{
    struct api_run *run = owner;
    const struct evt_tidings *t = &tidings->t;

    (void)snprintf(run->state, sizeof(run->state), "%s",
                   t->terminated ? "ended"
                   : t->pending  ? "pending"
                                 : "active");
    run->owed = true;
    run_event(run, t);
    if (t->terminated) {
        (void)snprintf(run->state, sizeof(run->state), "ended: %.*s",
                       (int)(t->reason.n < 60 ? t->reason.n : 60), t->reason.p);
        const bool timeout = hd_slice_eq(t->reason, HD_LIT("timeout"));
        api_sub_taken(run->sub);
        api_sub_close(run->sub);
        subscribe_later(run, timeout ? 0 : AGAIN_MS);
    } else {
        api_run_settle(run);
    }
    free(tidings);
    run->api->hooks->look_ms = 0;
}

void
api_run_settle(struct api_run *run)
{
    if (!run->owed || run->keeping > 0)
        return;
    run->owed = false;
    api_sub_taken(run->sub);
}

static const struct api_sub_ops run_ops = { .refused = run_refused,
                                            .told = run_told,
                                            .gone = run_gone };

/* As its user, who must be there. */
static void
run_subscribe(struct api_run *run)
{
    struct api *api = run->api;
    const struct pol_settings *settings = api->config->policy;
    const struct hd_slice user = hd_slice_str(run->hook->user);
    const char *when = run->hook->when;
    char key[SIP_KEY_MAX];
    size_t n;

    run->subscribe_ms = api->now_ms + AGAIN_MS;
    if (!pol_book_user(settings->book, user) ||
        pol_user_key(settings->book, user, &api->config->served, key, &n)) {
        (void)snprintf(run->state, sizeof(run->state), "refused: its user is not there");
        return;
    }
    struct api_wish wish = { .identity = { .key_len = (uint8_t)n,
                                           .proof = EVT_PROOF_TOKEN,
                                           .authenticated = true,
                                           .proven = true },
                             .key = hd_slice_str(run->hook->resource),
                             .package = hd_slice_str(run->hook->package),
                             .target = hd_slice_str(run->hook->url),
                             .expires_s = UINT32_MAX,
                             .types = 0xff };
    memcpy(wish.identity.key, key, n);
    char *filter = when ? api_filter_of(hd_slice_str(when)) : NULL;
    if (filter) {
        wish.filter = hd_slice_str(filter);
        wish.filter_type = HD_LIT("application/vnd.herald.filter+json");
    }
    run->first = true;
    if (!when || filter)
        run->sub = api_sub_new(api, &wish, &run_ops, run);
    free(filter);
}

/* --- runs ------------------------------------------------------------------------------------- */

/* What is kept of it stays on the disk. */
static void
run_free(struct api_run *run)
{
    if (run->sub)
        api_sub_close(run->sub);
    api_send_stop(run);
    api_delivery_free(run->sent);
    while (run->queue)
        api_delivery_free(api_queue_take(run));
    if (run->easy)
        curl_easy_cleanup(run->easy);
    curl_slist_free_all(run->headers);
    hd_str_done(&run->body);
    api_hook_unref(run->hook);
    free(run);
}

struct api_run *
api_run_find(struct api *api, const char *id)
{
    for (struct api_run *run = api->hooks->runs; run; run = run->next)
        if (strcmp(run->hook->id, id) == 0)
            return run;
    return NULL;
}

/* Those that are in the book no more, with all that is kept of them. */
static void
end_others(struct api *api)
{
    for (struct api_run **link = &api->hooks->runs; *link;) {
        struct api_run *run = *link;
        if (api_book_hook(api->book, hd_slice_str(run->hook->id))) {
            link = &run->next;
            continue;
        }
        *link = run->next;
        api_dead_forget(api, run->hook->id);
        api_keep_nothing(api, run->hook->id);
        run_free(run);
    }
}

void
api_hooks_book(struct api *api)
{
    end_others(api);
    for (size_t i = 0; i < api->book->n_hooks; i++) {
        struct api_run *run =
            api_run_find(api, api->book->hooks[i]->id) ? NULL : calloc(1, sizeof(*run));
        if (!run)
            continue; /* it is there; or memory is short, until the next change of the book */
        run->api = api;
        run->hook = api_hook_ref(api->book->hooks[i]);
        run->queue_end = &run->queue;
        (void)snprintf(run->state, sizeof(run->state), "new");
        run->next = api->hooks->runs;
        api->hooks->runs = run;
    }
    api->hooks->look_ms = 0;
}

static void
look(struct api *api)
{
    struct api_hooks *hooks = api->hooks;

    if (api->now_ms < hooks->look_ms || api->stopping)
        return;
    hooks->look_ms = api->now_ms + 100;
    for (struct api_run *run = hooks->runs; run; run = run->next)
        if (!run->sub && api->now_ms >= run->subscribe_ms)
            run_subscribe(run);
    api_send_due(api);
}

void
api_hooks_run(struct api *api)
{
    look(api);
    if (api->hooks->transfers == 0)
        return;
    api_send_run(api);
    look(api);
}

int
api_hooks_wait_ms(const struct api *api)
{
    uint64_t due = api->now_ms + 10000;

    for (const struct api_run *run = api->hooks->runs; run; run = run->next) {
        if (!run->sub && run->subscribe_ms < due)
            due = run->subscribe_ms;
        if (run->queue && !run->sent && run->retry_ms < due)
            due = run->retry_ms;
    }
    /* What is due and cannot be begun is looked at again in a moment. */
    return due > api->now_ms + 100 ? (int)(due - api->now_ms) : 100;
}

void
api_hooks_wait(struct api *api, struct curl_waitfd *fds, unsigned n, int ms)
{
    int ready;

    (void)curl_multi_poll(api->hooks->multi, fds, n, ms, &ready);
}

enum hd_err
api_hooks_new(struct api *api, const struct sto_outbox_params *keep, char problem[256])
{
    enum hd_err err = HD_OK;

    api->hooks = calloc(1, sizeof(*api->hooks));
    if (!api->hooks)
        return HD_ENOMEM;
    api->hooks->multi = curl_multi_init();
    if (!api->hooks->multi)
        return HD_ENOMEM;
    api_hooks_book(api);
    if (!keep)
        return HD_OK;
    err = sto_outbox_open(keep, problem, &api->hooks->outbox);
    return err ? err : api_keep_load(api, problem);
}

enum hd_err
api_hooks_start(struct api *api)
{
    return api->hooks->outbox ? sto_outbox_start(api->hooks->outbox) : HD_OK;
}

void
api_hooks_stop(struct api *api)
{
    while (api->hooks && api->hooks->runs) {
        struct api_run *run = api->hooks->runs;
        api->hooks->runs = run->next;
        run_free(run);
    }
}

void
api_hooks_settle(struct api *api)
{
    if (api->hooks)
        sto_outbox_stop(api->hooks->outbox);
}

void
api_hooks_free(struct api *api)
{
    if (!api->hooks)
        return;
    api_hooks_stop(api);
    for (unsigned i = 0; i < api->hooks->n_dead; i++)
        api_delivery_free(api->hooks->dead[i].delivery);
    sto_outbox_close(api->hooks->outbox);
    if (api->hooks->multi)
        (void)curl_multi_cleanup(api->hooks->multi);
    free(api->hooks);
    api->hooks = NULL;
}
