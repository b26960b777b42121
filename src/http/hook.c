/* hook.c - webhooks: subscriptions whose events are posted to an address on the web.
 *
 * Each webhook of the book has a run: a subscription of the core as its user, a short queue, and at
 * most one transfer.  What was told is taken at once; of a package whose state counts, a newer
 * state takes the place of one that waits, of the others each waits its turn.  A transfer that
 * failed is tried again with the same id, after a time that doubles; in the end it lies in the list
 * of the dead, from where the operator may send it again.  Invariants: queues, transfers and the
 * dead are bounded; a connection is opened to an address that may be reached, and to no other,
 * whatever its name leads to at that moment; no redirect is followed. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "http/cloudevent.h"
#include "http/core.h"
#include "http/reach.h"

#define QUEUE_MOST 64u
#define DEAD_MOST 128u
#define TRANSFERS_MOST 16u
#define CONNECT_MS 5000L
#define ANSWER_MOST 65536u /* octets of an answer that are read, and thrown away */
#define BACKOFF_MOST_MS 300000u
#define AGAIN_MS 30000u /* until a refused subscription is asked for again */

/* One event on its way. */
struct delivery {
    struct delivery *next;
    char id[48];
    struct hd_str body;
    unsigned attempts;
    bool newest_wins;
};

struct dead {
    char hook[API_ENTRY_ID + 1];
    char why[128];
    uint64_t at_s;
    struct delivery *delivery;
};

struct api_run {
    struct api_run *next;
    struct api *api;
    struct api_hook *hook;
    struct api_sub *sub;
    uint64_t subscribe_ms; /* when to subscribe, while there is no sub */
    char state[128];       /* of the subscription, for people */
    struct delivery *queue, **queue_end;
    unsigned n_queue;
    struct delivery *sent; /* under way */
    CURL *easy;
    struct curl_slist *headers;
    size_t answer_n;
    bool denied;     /* its address may not be reached */
    unsigned in_row; /* transfers that failed since the last good one */
    uint64_t retry_ms;
    bool has_seen;
    uint8_t seen[16];
    uint64_t serial, delivered, failed, superseded, given_up;
    char trouble[CURL_ERROR_SIZE];
};

struct api_hooks {
    CURLM *multi;
    struct api_run *runs;
    unsigned transfers;
    struct dead dead[DEAD_MOST];
    unsigned n_dead;
    uint64_t look_ms;
};

/* --- events ---------------------------------------------------------------------------------- */

static void
delivery_free(struct delivery *delivery)
{
    if (!delivery)
        return;
    hd_str_done(&delivery->body);
    free(delivery);
}

static struct delivery *
delivery_new(struct api_run *run, const struct evt_tidings *t)
{
    struct delivery *delivery = calloc(1, sizeof(*delivery));
    struct timespec now;
    char version[32];

    if (!delivery)
        return NULL;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)snprintf(delivery->id, sizeof(delivery->id), "%s-%08x-%llu", run->hook->id,
                   (unsigned)run->api->epoch, (unsigned long long)++run->serial);
    api_version_text(t->version, version);
    api_event_write(&(struct api_event){ .id = hd_slice_str(delivery->id),
                                         .resource = hd_slice_str(run->hook->resource),
                                         .package = hd_slice_str(run->hook->package),
                                         .type = t->type,
                                         .body = t->body,
                                         .fired = t->fired,
                                         .version = hd_slice(version, sizeof(version)),
                                         .at_ms = (uint64_t)now.tv_sec * 1000 +
                                                  (uint64_t)now.tv_nsec / 1000000 },
                    &delivery->body);
    if (!delivery->body.err)
        return delivery;
    delivery_free(delivery);
    return NULL;
}

/* The oldest dead one makes room. */
static void
bury(struct api_run *run, struct delivery *delivery, const char *why)
{
    struct api_hooks *hooks = run->api->hooks;
    struct dead *dead;
    struct timespec now;

    if (hooks->n_dead == DEAD_MOST) {
        delivery_free(hooks->dead[0].delivery);
        memmove(hooks->dead, hooks->dead + 1, (DEAD_MOST - 1) * sizeof(hooks->dead[0]));
        hooks->n_dead--;
    }
    (void)clock_gettime(CLOCK_REALTIME, &now);
    dead = &hooks->dead[hooks->n_dead++];
    *dead = (struct dead){ .at_s = (uint64_t)now.tv_sec, .delivery = delivery };
    memcpy(dead->hook, run->hook->id, sizeof(dead->hook));
    (void)snprintf(dead->why, sizeof(dead->why), "%s", why);
    run->given_up++;
    API_COUNT(run->api, hooks_dead);
}

static struct delivery *
queue_take(struct api_run *run)
{
    struct delivery *delivery = run->queue;

    if (!delivery)
        return NULL;
    run->queue = delivery->next;
    if (!run->queue)
        run->queue_end = &run->queue;
    delivery->next = NULL;
    run->n_queue--;
    return delivery;
}

static void
queue_add(struct api_run *run, struct delivery *delivery)
{
    if (delivery->newest_wins && run->queue && run->queue->newest_wins) {
        delivery_free(queue_take(run));
        run->superseded++;
    }
    if (run->n_queue == QUEUE_MOST) {
        bury(run, delivery, "too many wait");
        return;
    }
    *run->queue_end = delivery;
    run->queue_end = &delivery->next;
    run->n_queue++;
}

/* --- the subscription ------------------------------------------------------------------------ */

static void
subscribe_later(struct api_run *run, uint64_t wait_ms)
{
    run->sub = NULL;
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

/* Whether an event is to be sent of it: a state that was sent is not sent again. */
static bool
is_news(struct api_run *run, const struct evt_tidings *t, bool every)
{
    if (t->pending)
        return false;
    if (!t->type.n && !t->fired.n && !run->has_seen)
        return false;
    return every || t->fired.n || !run->has_seen || memcmp(run->seen, t->version, 16) != 0;
}

static void
run_told(void *owner, struct api_tidings *tidings)
{
    struct api_run *run = owner;
    const struct evt_tidings *t = &tidings->t;
    const struct evt_package *package =
        evt_config_package(run->api->config, hd_slice_str(run->hook->package));
    const bool every = package && package->delivery == EVT_DELIVER_EVERY;
    struct delivery *delivery = NULL;

    (void)snprintf(run->state, sizeof(run->state), "%s",
                   t->terminated ? "ended"
                   : t->pending  ? "pending"
                                 : "active");
    if (is_news(run, t, every) && !(t->terminated && t->reason.n && !t->type.n)) {
        delivery = delivery_new(run, t);
    }
    if (delivery) {
        run->has_seen = true;
        memcpy(run->seen, t->version, 16);
        delivery->newest_wins = !every && !t->fired.n;
        queue_add(run, delivery);
    }
    api_sub_taken(run->sub);
    if (t->terminated) {
        (void)snprintf(run->state, sizeof(run->state), "ended: %.*s",
                       (int)(t->reason.n < 60 ? t->reason.n : 60), t->reason.p);
        const bool timeout = hd_slice_eq(t->reason, HD_LIT("timeout"));
        api_sub_close(run->sub);
        subscribe_later(run, timeout ? 0 : AGAIN_MS);
    }
    free(tidings);
    run->api->hooks->look_ms = 0;
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
    if (!when || filter)
        run->sub = api_sub_new(api, &wish, &run_ops, run);
    free(filter);
}

/* --- transfers ------------------------------------------------------------------------------- */

/* The one place where a connection is opened: the address is known by now. */
static curl_socket_t
open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *at)
{
    struct api_run *run = context;
    const struct api_settings *settings = run->api->settings;
    struct hd_addr addr = api_addr_of(&at->addr);

    (void)purpose;
    run->denied = !api_reaches(&addr, settings->reach, settings->n_reach);
    if (run->denied)
        return CURL_SOCKET_BAD;
    return socket(at->family, at->socktype | SOCK_CLOEXEC, at->protocol);
}

static size_t
drop_answer(char *octets, size_t size, size_t n, void *context)
{
    struct api_run *run = context;

    (void)octets;
    run->answer_n += size * n;
    return run->answer_n > ANSWER_MOST ? 0 : size * n;
}

static bool
add_header(struct api_run *run, const char *name, const char *value)
{
    char line[256];
    struct curl_slist *more;

    (void)snprintf(line, sizeof(line), "%s: %s", name, value);
    more = curl_slist_append(run->headers, line);
    if (more)
        run->headers = more;
    return more != NULL;
}

static bool
write_headers(struct api_run *run)
{
    struct delivery *delivery = run->sent;
    const uint64_t now_s = (uint64_t)time(NULL);
    char signature[API_SIGNATURE_TEXT], stamp[24];

    curl_slist_free_all(run->headers);
    run->headers = NULL;
    (void)snprintf(stamp, sizeof(stamp), "%llu", (unsigned long long)now_s);
    api_event_sign(hd_slice_str(run->hook->secret), hd_slice_str(delivery->id), now_s,
                   hd_str_slice(&delivery->body), signature);
    return signature[0] &&
           add_header(run, "Content-Type", "application/cloudevents+json; charset=utf-8") &&
           add_header(run, "webhook-id", delivery->id) &&
           add_header(run, "webhook-timestamp", stamp) &&
           add_header(run, "webhook-signature", signature) &&
           curl_slist_append(run->headers, "Expect:") != NULL;
}

#define SET(option, value) good = good && curl_easy_setopt(run->easy, option, value) == CURLE_OK
static bool
set_up(struct api_run *run)
{
    struct api *api = run->api;
    bool good = true;

    SET(CURLOPT_URL, run->hook->url);
    SET(CURLOPT_PRIVATE, run);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    SET(CURLOPT_TIMEOUT_MS, (long)api->settings->hook_timeout_ms);
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(CURLOPT_OPENSOCKETDATA, run);
    SET(CURLOPT_WRITEFUNCTION, drop_answer);
    SET(CURLOPT_WRITEDATA, run);
    SET(CURLOPT_HEADERFUNCTION, drop_answer);
    SET(CURLOPT_HEADERDATA, run);
    SET(CURLOPT_ERRORBUFFER, run->trouble);
    SET(CURLOPT_USERAGENT, "herald/" HERALD_VERSION);
    SET(CURLOPT_HTTPHEADER, run->headers);
    SET(CURLOPT_POSTFIELDSIZE, (long)run->sent->body.n);
    SET(CURLOPT_POSTFIELDS, hd_str_text(&run->sent->body));
    return good;
}
#undef SET

/* Tried again later, given up, or overtaken by a newer state. */
static void
run_failed(struct api_run *run, const char *why)
{
    struct api *api = run->api;
    struct delivery *delivery = run->sent;
    uint64_t wait_ms = api->settings->hook_retry_ms;

    run->sent = NULL;
    run->failed++;
    run->in_row++;
    API_COUNT(api, hooks_failed);
    if (delivery->newest_wins && run->queue) {
        delivery_free(delivery);
        run->superseded++;
    } else if (delivery->attempts >= api->settings->hook_attempts) {
        bury(run, delivery, why);
    } else {
        delivery->next = run->queue;
        if (!run->queue)
            run->queue_end = &delivery->next;
        run->queue = delivery;
        run->n_queue++;
    }
    for (unsigned i = 1; i < run->in_row && wait_ms < BACKOFF_MOST_MS; i++)
        wait_ms *= 2;
    if (wait_ms > BACKOFF_MOST_MS)
        wait_ms = BACKOFF_MOST_MS;
    run->retry_ms = api->now_ms + wait_ms + hd_rng_below(&api->rng, (uint32_t)wait_ms / 4 + 1);
}

static void
run_send(struct api_run *run)
{
    struct api_hooks *hooks = run->api->hooks;

    run->sent = queue_take(run);
    run->sent->attempts++;
    run->answer_n = 0;
    run->denied = false;
    run->trouble[0] = '\0';
    if (!run->easy)
        run->easy = curl_easy_init();
    else
        curl_easy_reset(run->easy);
    if (!run->easy || !write_headers(run) || !set_up(run) ||
        curl_multi_add_handle(hooks->multi, run->easy) != CURLM_OK) {
        run_failed(run, "memory is short");
        return;
    }
    hooks->transfers++;
}

static void
run_sent(struct api_run *run, CURLcode result)
{
    struct api_hooks *hooks = run->api->hooks;
    long status = 0;
    char why[128];

    (void)curl_easy_getinfo(run->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_multi_remove_handle(hooks->multi, run->easy);
    hooks->transfers--;
    hooks->look_ms = 0;
    if (result == CURLE_OK && status >= 200 && status < 300) {
        delivery_free(run->sent);
        run->sent = NULL;
        run->delivered++;
        run->in_row = 0;
        run->retry_ms = 0;
        run->trouble[0] = '\0';
        API_COUNT(run->api, hooks_delivered);
        return;
    }
    if (run->denied)
        (void)snprintf(why, sizeof(why), "its address may not be reached (webhook_reach)");
    else if (result == CURLE_OK)
        (void)snprintf(why, sizeof(why), "answered %ld", status);
    else
        (void)snprintf(why, sizeof(why), "%.120s",
                       run->trouble[0] ? run->trouble : curl_easy_strerror(result));
    (void)snprintf(run->trouble, sizeof(run->trouble), "%s", why);
    run_failed(run, why);
}

/* --- runs ------------------------------------------------------------------------------------ */

static void
run_free(struct api_run *run)
{
    if (run->sub)
        api_sub_close(run->sub);
    if (run->sent) {
        (void)curl_multi_remove_handle(run->api->hooks->multi, run->easy);
        run->api->hooks->transfers--;
        delivery_free(run->sent);
    }
    while (run->queue)
        delivery_free(queue_take(run));
    if (run->easy)
        curl_easy_cleanup(run->easy);
    curl_slist_free_all(run->headers);
    api_hook_unref(run->hook);
    free(run);
}

static struct api_run *
run_find(struct api *api, const char *id)
{
    for (struct api_run *run = api->hooks->runs; run; run = run->next)
        if (strcmp(run->hook->id, id) == 0)
            return run;
    return NULL;
}

void
api_hooks_book(struct api *api)
{
    for (struct api_run **link = &api->hooks->runs; *link;) {
        struct api_run *run = *link;
        if (api_book_hook(api->book, hd_slice_str(run->hook->id))) {
            link = &run->next;
            continue;
        }
        *link = run->next;
        run_free(run);
    }
    for (size_t i = 0; i < api->book->n_hooks; i++) {
        struct api_run *run =
            run_find(api, api->book->hooks[i]->id) ? NULL : calloc(1, sizeof(*run));
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
    for (struct api_run *run = hooks->runs; run; run = run->next) {
        if (!run->sub && api->now_ms >= run->subscribe_ms)
            run_subscribe(run);
        if (run->queue && !run->sent && api->now_ms >= run->retry_ms &&
            hooks->transfers < TRANSFERS_MOST)
            run_send(run);
    }
}

void
api_hooks_run(struct api *api)
{
    struct api_hooks *hooks = api->hooks;
    struct CURLMsg *message;
    int running, left;

    look(api);
    if (hooks->transfers == 0)
        return;
    (void)curl_multi_perform(hooks->multi, &running);
    while ((message = curl_multi_info_read(hooks->multi, &left))) {
        struct api_run *run = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&run);
        run_sent(run, message->data.result);
    }
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
api_hooks_new(struct api *api)
{
    api->hooks = calloc(1, sizeof(*api->hooks));
    if (!api->hooks)
        return HD_ENOMEM;
    api->hooks->multi = curl_multi_init();
    return api->hooks->multi ? HD_OK : HD_ENOMEM;
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
api_hooks_free(struct api *api)
{
    if (!api->hooks)
        return;
    api_hooks_stop(api);
    for (unsigned i = 0; i < api->hooks->n_dead; i++)
        delivery_free(api->hooks->dead[i].delivery);
    if (api->hooks->multi)
        (void)curl_multi_cleanup(api->hooks->multi);
    free(api->hooks);
    api->hooks = NULL;
}

/* --- what the operator asks ------------------------------------------------------------------ */

static json_t *
list_runs(struct api *api)
{
    json_t *rows = json_array();

    for (const struct api_run *run = api->hooks->runs; run && rows; run = run->next)
        (void)json_array_append_new(
            rows, json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:i, s:s}", "id", run->hook->id,
                            "state", run->state, "delivered", (json_int_t)run->delivered, "failed",
                            (json_int_t)run->failed, "superseded", (json_int_t)run->superseded,
                            "dead", (json_int_t)run->given_up, "waiting",
                            (int)run->n_queue + (run->sent != NULL), "trouble", run->trouble));
    return rows;
}

static json_t *
list_dead(struct api *api)
{
    json_t *rows = json_array();

    for (unsigned i = 0; i < api->hooks->n_dead && rows; i++) {
        const struct dead *dead = &api->hooks->dead[i];
        (void)json_array_append_new(
            rows, json_pack("{s:s, s:s, s:I, s:i, s:s}", "event", dead->delivery->id, "webhook",
                            dead->hook, "at_s", (json_int_t)dead->at_s, "attempts",
                            (int)dead->delivery->attempts, "why", dead->why));
    }
    return rows;
}

/* Sends the dead again, one or all of a webhook; how many. */
static unsigned
redeliver(struct api *api, const char *id)
{
    struct api_hooks *hooks = api->hooks;
    unsigned n = 0, left = 0;

    for (unsigned i = 0; i < hooks->n_dead; i++) {
        struct dead *dead = &hooks->dead[i];
        struct api_run *run = run_find(api, dead->hook);
        if ((strcmp(id, dead->hook) != 0 && strcmp(id, dead->delivery->id) != 0) || !run ||
            run->n_queue == QUEUE_MOST) {
            hooks->dead[left++] = *dead;
            continue;
        }
        dead->delivery->attempts = 0;
        dead->delivery->newest_wins = false;
        run->retry_ms = 0;
        queue_add(run, dead->delivery);
        n++;
    }
    hooks->n_dead = left;
    hooks->look_ms = 0;
    return n;
}

void
api_hooks_query(struct api *api, struct api_query *query)
{
    switch (query->kind) {
    case API_QUERY_HOOKS:
        query->result = list_runs(api);
        break;
    case API_QUERY_DEAD:
        query->result = list_dead(api);
        break;
    case API_QUERY_REDELIVER:
        query->result = json_integer((json_int_t)redeliver(api, query->id));
        break;
    }
    query->done(query);
}
