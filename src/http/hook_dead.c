/* hook_dead.c - events that were given up, and what the operator asks of webhooks.
 *
 * The dead wait for him: to be sent again, under the id that they have, or to be dropped. */
#include <stdio.h>
#include <time.h>

#include "http/hook.h"

void
api_dead_add(struct api *api, const char *hook, struct api_delivery *delivery)
{
    struct api_hooks *hooks = api->hooks;
    struct api_dead *dead;

    if (hooks->n_dead == API_DEAD_MOST) { /* the oldest makes room */
        dead = &hooks->dead[0];
        api_keep_not(api, dead->hook, dead->delivery->serial);
        api_delivery_free(dead->delivery);
        memmove(hooks->dead, hooks->dead + 1, (API_DEAD_MOST - 1) * sizeof(hooks->dead[0]));
        hooks->n_dead--;
        API_COUNT(api, hooks_dropped);
    }
    dead = &hooks->dead[hooks->n_dead++];
    dead->delivery = delivery;
    (void)snprintf(dead->hook, sizeof(dead->hook), "%s", hook);
}

void
api_bury(struct api_run *run, struct api_delivery *delivery, const char *why)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    delivery->dead = true;
    delivery->dead_s = (uint64_t)now.tv_sec;
    (void)snprintf(delivery->why, sizeof(delivery->why), "%s", why);
    api_keep_again(run->api, run->hook->id, delivery, 0);
    api_dead_add(run->api, run->hook->id, delivery);
    run->given_up++;
    API_COUNT(run->api, hooks_dead);
}

void
api_dead_forget(struct api *api, const char *hook)
{
    struct api_hooks *hooks = api->hooks;
    unsigned left = 0;

    for (unsigned i = 0; i < hooks->n_dead; i++) {
        if (strcmp(hooks->dead[i].hook, hook) == 0)
            api_delivery_free(hooks->dead[i].delivery);
        else
            hooks->dead[left++] = hooks->dead[i];
    }
    hooks->n_dead = left;
}

/* --- what the operator asks ------------------------------------------------------------------- */

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
                            (int)run->n_queue + (run->sent != NULL) + (int)run->keeping, "trouble",
                            run->trouble));
    return rows;
}

static json_t *
list_dead(struct api *api)
{
    json_t *rows = json_array();

    for (unsigned i = 0; i < api->hooks->n_dead && rows; i++) {
        const struct api_dead *dead = &api->hooks->dead[i];
        const struct api_delivery *delivery = dead->delivery;
        (void)json_array_append_new(rows, json_pack("{s:s, s:s, s:I, s:i, s:s, s:i}", "event",
                                                    delivery->id, "webhook", dead->hook, "at_s",
                                                    (json_int_t)delivery->dead_s, "attempts",
                                                    (int)delivery->attempts, "why", delivery->why,
                                                    "octets", (int)delivery->event.body.n));
    }
    return rows;
}

/* Takes one off the list: to be sent again, at the end of those that wait.  False: it stays. */
static bool
redeliver(struct api *api, struct api_dead *dead)
{
    struct api_run *run = api_run_find(api, dead->hook);
    struct api_delivery *delivery = dead->delivery;
    const uint64_t was = delivery->serial;

    if (!run || !api_queue_has_room(run, delivery))
        return false;
    delivery->attempts = 0;
    delivery->newest_wins = delivery->dead = false;
    delivery->serial = ++run->told.serial;
    delivery->why[0] = '\0';
    run->retry_ms = 0;
    api_keep_again(api, dead->hook, delivery, was);
    api_queue_add(run, delivery);
    return true;
}

static bool
drop(struct api *api, struct api_dead *dead)
{
    api_keep_not(api, dead->hook, dead->delivery->serial);
    api_delivery_free(dead->delivery);
    API_COUNT(api, hooks_dropped);
    return true;
}

/* Does something with the dead of this name, one or all of a webhook; with how many. */
static unsigned
each_dead(struct api *api, const char *id, bool (*take)(struct api *api, struct api_dead *dead))
{
    struct api_hooks *hooks = api->hooks;
    unsigned n = 0, left = 0;

    for (unsigned i = 0; i < hooks->n_dead; i++) {
        struct api_dead *dead = &hooks->dead[i];
        if ((strcmp(id, dead->hook) == 0 || strcmp(id, dead->delivery->id) == 0) && take(api, dead))
            n++;
        else
            hooks->dead[left++] = *dead;
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
        query->result = json_integer((json_int_t)each_dead(api, query->id, redeliver));
        break;
    case API_QUERY_DROP:
        query->result = json_integer((json_int_t)each_dead(api, query->id, drop));
        break;
    case API_QUERY_COPY:
        api_keep_copy(api, query);
        return;
    }
    query->done(query);
}
