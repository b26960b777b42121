/* hook_send.c - the transfers of webhooks: one of each at most, signed, and tried again.
 *
 * A transfer that failed is tried again with the same id, after a time that doubles, and some of it
 * by chance; a receiver that says himself how long (Retry-After) is believed.  Who waits longest is
 * next, and those that failed last share half of the places: however many do not answer, the others
 * are served.  Invariants: transfers are bounded; a connection is opened to an address that may be
 * reached, and to no other, whatever its name leads to at that moment; no redirect is followed. */
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "http/hook.h"
#include "http/reach.h"

#define TRANSFERS_MOST 16u
#define DOUBTFUL_MOST 8u /* of them those of webhooks whose last one failed */
#define CONNECT_MS 5000L
#define ANSWER_MOST 65536u /* octets of an answer that are read, and thrown away */
#define BACKOFF_MOST_MS 300000u

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

/* An empty value takes the field away that libcurl would write. */
static bool
add_header(void *context, const char *name, const char *value)
{
    struct api_run *run = context;
    struct hd_str line = { 0 };
    struct curl_slist *more = NULL;

    hd_str_addf(&line, *value ? "%s: %s" : "%s:", name, value);
    if (!line.err)
        more = curl_slist_append(run->headers, hd_str_text(&line));
    hd_str_done(&line);
    if (more)
        run->headers = more;
    return more != NULL;
}

/* The body, and the header fields that say what it is: those of the event, when they are not in the
 * body. */
static bool
write_event(struct api_run *run)
{
    const struct api_event event = api_run_event(run, run->sent);

    hd_str_clear(&run->body);
    if (run->hook->binary) {
        hd_str_add(&run->body, event.body);
        return api_event_fields(&event, add_header, run) && !run->body.err;
    }
    api_event_write(&event, &run->body);
    return !run->body.err &&
           add_header(run, "Content-Type", "application/cloudevents+json; charset=utf-8");
}

static bool
write_message(struct api_run *run)
{
    const uint64_t now_s = (uint64_t)time(NULL);
    char signature[API_SIGNATURE_TEXT], stamp[24];

    curl_slist_free_all(run->headers);
    run->headers = NULL;
    if (!write_event(run))
        return false;
    (void)snprintf(stamp, sizeof(stamp), "%llu", (unsigned long long)now_s);
    api_event_sign(hd_slice_str(run->hook->secret), hd_slice_str(run->sent->id), now_s,
                   hd_str_slice(&run->body), signature);
    return signature[0] && add_header(run, "webhook-id", run->sent->id) &&
           add_header(run, "webhook-timestamp", stamp) &&
           add_header(run, "webhook-signature", signature) && add_header(run, "Expect", "");
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
    SET(CURLOPT_POSTFIELDSIZE, (long)run->body.n);
    SET(CURLOPT_POSTFIELDS, hd_str_text(&run->body));
    return good;
}
#undef SET

/* One that is under way is over, in whatever way. */
static void
transfer_end(struct api_run *run)
{
    struct api_hooks *hooks = run->api->hooks;

    hooks->transfers--;
    if (run->in_row > 0)
        hooks->doubtful--;
}

void
api_send_stop(struct api_run *run)
{
    if (!run->sent)
        return;
    (void)curl_multi_remove_handle(run->api->hooks->multi, run->easy);
    transfer_end(run);
}

/* Until the next try: twice as long after each failure, a quarter of it by chance, so that many
 * that failed together do not come back together.  later_ms: what the receiver said. */
static void
back_off(struct api_run *run, uint64_t later_ms)
{
    struct api *api = run->api;
    uint64_t wait_ms = api->settings->hook_retry_ms;

    for (unsigned i = 1; i < run->in_row && wait_ms < BACKOFF_MOST_MS; i++)
        wait_ms *= 2;
    if (wait_ms < later_ms)
        wait_ms = later_ms;
    if (wait_ms > BACKOFF_MOST_MS)
        wait_ms = BACKOFF_MOST_MS;
    run->retry_ms = api->now_ms + wait_ms + hd_rng_below(&api->rng, (uint32_t)wait_ms / 4 + 1);
}

/* Tried again later, given up, or overtaken by a newer state. */
static void
run_failed(struct api_run *run, const char *why, uint64_t later_ms)
{
    struct api *api = run->api;
    struct api_delivery *delivery = run->sent;

    run->sent = NULL;
    run->failed++;
    run->in_row++;
    API_COUNT(api, hooks_failed);
    if (delivery->newest_wins && api_queue_has_newer(run, delivery)) {
        run->superseded++;
        API_COUNT(api, hooks_superseded);
        api_run_drop(run, delivery);
    } else if (delivery->attempts >= api->settings->hook_attempts) {
        api_bury(run, delivery, why);
    } else {
        api_queue_put_back(run, delivery);
    }
    back_off(run, later_ms);
}

static void
run_send(struct api_run *run)
{
    struct api_hooks *hooks = run->api->hooks;

    run->sent = api_queue_take(run);
    run->sent->attempts++;
    run->answer_n = 0;
    run->denied = false;
    run->trouble[0] = '\0';
    if (!run->easy)
        run->easy = curl_easy_init();
    else
        curl_easy_reset(run->easy);
    if (!run->easy || !write_message(run) || !set_up(run) ||
        curl_multi_add_handle(hooks->multi, run->easy) != CURLM_OK) {
        run_failed(run, "memory is short", 0);
        return;
    }
    hooks->transfers++;
    if (run->in_row > 0)
        hooks->doubtful++;
}

static void
run_delivered(struct api_run *run)
{
    api_run_drop(run, run->sent);
    run->sent = NULL;
    run->delivered++;
    run->in_row = 0;
    run->retry_ms = 0;
    run->trouble[0] = '\0';
    API_COUNT(run->api, hooks_delivered);
}

static void
run_sent(struct api_run *run, CURLcode result)
{
    curl_off_t later_s = 0;
    long status = 0;
    char why[API_WHY];

    (void)curl_easy_getinfo(run->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(run->easy, CURLINFO_RETRY_AFTER, &later_s);
    (void)curl_multi_remove_handle(run->api->hooks->multi, run->easy);
    transfer_end(run);
    run->api->hooks->look_ms = 0;
    if (result == CURLE_OK && status >= 200 && status < 300) {
        run_delivered(run);
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
    run_failed(run, why, later_s > 0 ? (uint64_t)later_s * 1000 : 0);
}

/* --- whose turn it is ------------------------------------------------------------------------- */

/* The one that has waited longest since it may be sent to; NULL: none may now. */
static struct api_run *
find_due(struct api *api)
{
    const struct api_hooks *hooks = api->hooks;
    struct api_run *best = NULL;

    if (hooks->transfers >= TRANSFERS_MOST)
        return NULL;
    for (struct api_run *run = hooks->runs; run; run = run->next) {
        if (!run->queue || run->sent || api->now_ms < run->retry_ms ||
            (run->in_row > 0 && hooks->doubtful >= DOUBTFUL_MOST))
            continue;
        if (!best || run->retry_ms < best->retry_ms)
            best = run;
    }
    return best;
}

void
api_send_due(struct api *api)
{
    struct api_run *run;

    while ((run = find_due(api)))
        run_send(run);
}

void
api_send_run(struct api *api)
{
    struct CURLMsg *message;
    int running, left;

    (void)curl_multi_perform(api->hooks->multi, &running);
    while ((message = curl_multi_info_read(api->hooks->multi, &left))) {
        struct api_run *run = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&run);
        run_sent(run, message->data.result);
    }
}
