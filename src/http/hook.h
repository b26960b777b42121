/* hook.h - what the files of webhooks share.  Private to http/.
 * Thread: the face's own, but for the end of keeping, which comes by its mailbox. */
#ifndef HD_HTTP_HOOK_H
#define HD_HTTP_HOOK_H

#include "http/core.h"
#include "http/delivery.h"
#include "store/outbox.h"

#define API_QUEUE_MOST 64u                 /* events that wait, of one webhook */
#define API_QUEUE_OCTETS ((size_t)1 << 20) /* of them together; one may always wait */
#define API_DEAD_MOST 128u

/* A webhook at work. */
struct api_run {
    struct api_run *next;
    struct api *api;
    struct api_hook *hook;
    /* its subscription */
    struct api_sub *sub;
    uint64_t subscribe_ms; /* when to subscribe, while there is no sub */
    char state[128];       /* of the subscription, for people */
    bool first;            /* it was told nothing yet */
    bool owed;             /* what it was told is to be taken when it is kept */
    unsigned keeping;      /* events that are on their way to the disk */
    struct api_told told;
    /* events */
    struct api_delivery *queue, **queue_end; /* the oldest first */
    unsigned n_queue;
    size_t queue_octets;
    struct api_delivery *sent; /* under way */
    /* its transfer */
    CURL *easy;
    struct curl_slist *headers;
    struct hd_str body;
    size_t answer_n;
    bool denied;     /* its address may not be reached */
    unsigned in_row; /* transfers that failed since the last good one */
    uint64_t retry_ms;
    uint64_t delivered, failed, superseded, given_up;
    char trouble[CURL_ERROR_SIZE];
};

struct api_dead {
    char hook[API_ENTRY_ID + 1];
    struct api_delivery *delivery;
};

struct api_hooks {
    CURLM *multi;
    struct api_run *runs;
    unsigned transfers, doubtful; /* under way; of them those of runs that failed last */
    struct api_dead dead[API_DEAD_MOST];
    unsigned n_dead;
    uint64_t look_ms;
    struct sto_outbox *outbox; /* NULL: nothing is kept over a restart */
};

/* --- hook.c ----------------------------------------------------------------------------------- */

struct api_run *api_run_find(struct api *api, const char *id);
/** What it was told is taken, once all of it is kept. */
void api_run_settle(struct api_run *run);
/** The event, with what the webhook knows of it; borrowed from both. */
struct api_event api_run_event(const struct api_run *run, const struct api_delivery *delivery);
/** Whether one more may wait. */
bool api_queue_has_room(const struct api_run *run, const struct api_delivery *delivery);
/** At the end, or back to the front; a state that waits gives way to a newer one. */
void api_queue_add(struct api_run *run, struct api_delivery *delivery);
void api_queue_put_back(struct api_run *run, struct api_delivery *delivery);
/** The oldest, or NULL. */
struct api_delivery *api_queue_take(struct api_run *run);
/** Whether a newer state than this one waits. */
bool api_queue_has_newer(const struct api_run *run, const struct api_delivery *delivery);
/** It is over, delivered or not: here and on the disk. */
void api_run_drop(struct api_run *run, struct api_delivery *delivery);

/* --- hook_keep.c ------------------------------------------------------------------------------ */

/** Keeps a new event, and with it what was told last; then it is queued. */
void api_keep_new(struct api_run *run, struct api_delivery *delivery);
/** Keeps an event as it is now; was: the number under which it was kept, 0: the same. */
void api_keep_again(struct api *api, const char *hook, const struct api_delivery *delivery,
                    uint64_t was);
void api_keep_not(struct api *api, const char *hook, uint64_t serial);
void api_keep_nothing(struct api *api, const char *hook);
/** Has it copied; answers the query, perhaps later on the outbox's thread. */
void api_keep_copy(struct api *api, struct api_query *query);
/** What an earlier start has left; before the thread.  HD_EIO (problem). */
HD_NODISCARD enum hd_err api_keep_load(struct api *api, char problem[256]);

/* --- hook_send.c ------------------------------------------------------------------------------ */

/** Begins with what waits longest, as far as transfers are free. */
void api_send_due(struct api *api);
/** Goes on with what is under way. */
void api_send_run(struct api *api);
/** Gives up what is under way; the event is still its owner's. */
void api_send_stop(struct api_run *run);

/* --- hook_dead.c ------------------------------------------------------------------------------ */

/** Gives an event up; the oldest dead one makes room. */
void api_bury(struct api_run *run, struct api_delivery *delivery, const char *why);
/** One that was given up by an earlier start. */
void api_dead_add(struct api *api, const char *hook, struct api_delivery *delivery);
/** Those of a webhook that is gone. */
void api_dead_forget(struct api *api, const char *hook);

#endif
