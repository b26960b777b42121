/* hook_keep.c - what waits for webhooks, kept over a restart.
 *
 * The queues in memory are the truth; the outbox (store/outbox.h) is told each change of them, in
 * order, and the next start makes the same queues of it.  A new event is queued when it is on the
 * disk; what is over is taken off when there is time, since who has seen an id twice ignores it.
 * When the disk fails, events go their way all the same, and are counted: then a crash loses them,
 * and nothing else does.  In the file a webhook is a group, its events have their serial for a
 * number, and number 0 is what it was told last. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "http/hook.h"

/* A job on its way. */
struct keeping {
    struct sto_outbox_job job;
    struct api *api;
    struct api_delivery *delivery; /* to be queued then; NULL: none */
    char told[API_TOLD_SIZE];
    struct hd_str record;
};

static void
keeping_free(struct keeping *keeping)
{
    hd_str_done(&keeping->record);
    free(keeping);
}

/* On the outbox's thread. */
static void
done(struct sto_outbox_job *job)
{
    struct keeping *keeping = HD_CONTAINER(job, struct keeping, job);

    job->mail.kind = API_MAIL_KEPT;
    hd_mailbox_post(&keeping->api->box, &job->mail);
}

static struct keeping *
keeping_new(struct api *api, const char *hook)
{
    struct keeping *keeping = api->hooks->outbox ? calloc(1, sizeof(*keeping)) : NULL;

    if (!keeping)
        return NULL;
    keeping->api = api;
    keeping->job.done = done;
    for (unsigned i = 0; i < STO_OUTBOX_ROWS; i++)
        (void)snprintf(keeping->job.rows[i].group, sizeof(keeping->job.rows[i].group), "%s", hook);
    return keeping;
}

static void
post(struct keeping *keeping)
{
    keeping->api->out++;
    sto_outbox_post(keeping->api->hooks->outbox, &keeping->job);
}

static void
put_row(struct keeping *keeping, uint64_t number, struct hd_slice record)
{
    struct sto_outbox_row *row = &keeping->job.rows[keeping->job.n++];

    row->number = number;
    row->record = record;
}

/* False: memory is short. */
static bool
put_delivery(struct keeping *keeping, const struct api_delivery *delivery)
{
    api_delivery_write(delivery, &keeping->record);
    if (keeping->record.err)
        return false;
    put_row(keeping, delivery->serial, hd_str_slice(&keeping->record));
    return true;
}

void
api_keep_new(struct api_run *run, struct api_delivery *delivery)
{
    struct keeping *keeping = keeping_new(run->api, run->hook->id);

    if (!keeping || !put_delivery(keeping, delivery)) {
        if (keeping)
            keeping_free(keeping);
        if (run->api->hooks->outbox)
            API_COUNT(run->api, hooks_unkept);
        api_queue_add(run, delivery);
        return;
    }
    api_told_write(&run->told, keeping->told);
    put_row(keeping, 0, hd_slice(keeping->told, sizeof(keeping->told)));
    keeping->delivery = delivery;
    run->keeping++;
    post(keeping);
}

void
api_keep_again(struct api *api, const char *hook, const struct api_delivery *delivery, uint64_t was)
{
    struct keeping *keeping = keeping_new(api, hook);

    if (keeping && put_delivery(keeping, delivery)) {
        if (was)
            put_row(keeping, was, hd_slice(NULL, 0));
        post(keeping);
    } else if (keeping) {
        keeping_free(keeping);
    }
}

void
api_keep_not(struct api *api, const char *hook, uint64_t serial)
{
    struct keeping *keeping = keeping_new(api, hook);

    if (!keeping)
        return; /* then it comes again after a restart */
    put_row(keeping, serial, hd_slice(NULL, 0));
    post(keeping);
}

void
api_keep_nothing(struct api *api, const char *hook)
{
    struct keeping *keeping = keeping_new(api, hook);

    if (!keeping)
        return; /* the next start finds that there is no such webhook */
    keeping->job.forgets = true;
    post(keeping);
}

/* --- a copy ----------------------------------------------------------------------------------- */

struct copying {
    struct sto_outbox_copy copy;
    struct api_query *query;
};

/* On the outbox's thread. */
static void
copied(struct sto_outbox_copy *copy)
{
    struct copying *copying = HD_CONTAINER(copy, struct copying, copy);
    struct api_query *query = copying->query;

    query->err = copy->err;
    free(copying);
    query->done(query);
}

void
api_keep_copy(struct api *api, struct api_query *query)
{
    struct copying *copying = api->hooks->outbox ? calloc(1, sizeof(*copying)) : NULL;

    if (!copying) {
        query->err = api->hooks->outbox ? HD_ENOMEM : HD_ENOMATCH;
        query->done(query);
        return;
    }
    copying->query = query;
    copying->copy.path = query->path;
    copying->copy.done = copied;
    sto_outbox_copy(api->hooks->outbox, &copying->copy);
}

/* --- kept ------------------------------------------------------------------------------------- */

/* A new event is kept, or could not be: it goes its way. */
static void
queue_kept(struct api_run *run, const struct keeping *keeping)
{
    if (keeping->job.err) {
        API_COUNT(run->api, hooks_unkept);
        (void)snprintf(run->trouble, sizeof(run->trouble), "what waits cannot be kept on the disk");
    }
    run->keeping--;
    api_queue_add(run, keeping->delivery);
    api_run_settle(run);
    run->api->hooks->look_ms = 0;
}

void
api_hooks_kept(struct api *api, struct hd_mail *mail)
{
    struct sto_outbox_job *job = HD_CONTAINER(mail, struct sto_outbox_job, mail);
    struct keeping *keeping = HD_CONTAINER(job, struct keeping, job);
    struct api_run *run = keeping->delivery ? api_run_find(api, job->rows[0].group) : NULL;

    api->out--;
    if (run)
        queue_kept(run, keeping);
    else
        api_delivery_free(keeping->delivery); /* it was removed meanwhile */
    keeping_free(keeping);
}

/* --- the way back ----------------------------------------------------------------------------- */

struct loading {
    struct api *api;
    uint64_t events, dead, damaged;
    char strange[STO_OUTBOX_GROUP + 1]; /* the last webhook that is in the book no more */
};

static void
take_delivery(struct loading *loading, struct api_run *run, struct api_delivery *delivery)
{
    if (delivery->serial > run->told.serial)
        run->told.serial = delivery->serial;
    if (delivery->dead) {
        loading->dead++;
        api_dead_add(loading->api, run->hook->id, delivery);
        run->given_up++;
        return;
    }
    loading->events++;
    delivery->attempts = 0;
    api_queue_add(run, delivery);
}

static void
visit(void *context, const char *group, uint64_t number, struct hd_slice record)
{
    struct loading *loading = context;
    struct api *api = loading->api;
    struct api_run *run = api_run_find(api, group);
    struct api_delivery *delivery = NULL;

    if (!run) {
        if (strcmp(loading->strange, group) != 0)
            api_keep_nothing(api, group);
        (void)snprintf(loading->strange, sizeof(loading->strange), "%s", group);
        return;
    }
    if (number > INT64_MAX ||
        (number ? api_delivery_read(record, &delivery) : api_told_read(record, &run->told))) {
        loading->damaged++;
        api_keep_not(api, group, number);
        return;
    }
    if (!number)
        return;
    delivery->serial = number;
    take_delivery(loading, run, delivery);
}

enum hd_err
api_keep_load(struct api *api, char problem[256])
{
    struct loading loading = { .api = api };
    enum hd_err err = sto_outbox_load(api->hooks->outbox, visit, &loading, problem);

    if (!err && (loading.events || loading.dead || loading.damaged))
        HD_LOG(loading.damaged ? HD_WARN : HD_INFO, "what waits for webhooks is back",
               hd_f_u64("events", loading.events), hd_f_u64("dead", loading.dead),
               hd_f_u64("damaged", loading.damaged));
    return err;
}
