/* watch.c - who watches a resource: told by the shards that hold the subscriptions, put together by
 * the home of the resource (RFC 3857).
 *
 * The problem: subscriptions of one resource live on all shards, and its owner wants one list that
 * is complete and in order.  Invariants: the home shows nothing before every shard has answered; a
 * watcher keeps its id while it is there, over a restart too; the order of a document depends on
 * the ids alone.  A document is made at most once a second, and those that have ended stand in it
 * for some seconds, so that who is told what changed is told how they ended.
 *
 * A watcher who is shown his own entry has all this for himself (event/topic.h): questions of his
 * own, and documents when something of his own changed.  He is told what the Subscription-State of
 * his own NOTIFYs says (section 4.7.2): that what ended undecided waits, and what becomes of it, is
 * for the owner. */
#include "event/watch.h"

#include <stdlib.h>

#include "event/core.h"

#define WATCH_MAGIC 0x45575443u
#define LISTED_MAX 4096u /* watchers of one resource in a document */
#define COMPOSE_SPACING_MS 1000u
#define ENDED_SHOWN_MS 16000u /* longer than the pace of the package and a NOTIFY or two */
#define SHARD_WAITING 0xffu   /* whose subscription it was: nobody's any more */

/* --- what is told ---------------------------------------------------------------------------- */

struct evt_told *
evt_told_new(uint64_t id, struct hd_slice watcher, struct hd_slice name)
{
    struct evt_told *told = malloc(sizeof(*told) + watcher.n + name.n);

    if (!told)
        return NULL;
    HD_ASSERT(watcher.n <= UINT8_MAX && name.n <= EVT_WATCHER_NAME_MAX);
    *told =
        (struct evt_told){ .id = id, .watcher_n = (uint8_t)watcher.n, .name_n = (uint8_t)name.n };
    if (watcher.n)
        memcpy(told->text, watcher.p, watcher.n);
    if (name.n)
        memcpy(told->text + watcher.n, name.p, name.n);
    return told;
}

void
evt_told_free(struct evt_told *list)
{
    while (list) {
        struct evt_told *next = list->next;
        free(list);
        list = next;
    }
}

/* The display name of the From of the SUBSCRIBE, without quotes and escapes; one that is too long
 * is none. */
static struct hd_slice
display_name(const struct evt_sub *sub, char buffer[EVT_WATCHER_NAME_MAX])
{
    struct sip_addr addr;
    size_t n = 0;

    if (sip_addr_parse(evt_texts_get(sub->texts, EVT_TEXT_REMOTE), &addr))
        return hd_slice(NULL, 0);
    const struct hd_slice name = sip_unquote(addr.display);
    const bool quoted = name.p != addr.display.p;
    for (size_t i = 0; i < name.n; i++) {
        if (quoted && name.p[i] == '\\' && i + 1 < name.n)
            i++;
        if (n == EVT_WATCHER_NAME_MAX)
            return hd_slice(NULL, 0);
        buffer[n++] = name.p[i];
    }
    return hd_slice(buffer, n);
}

static struct evt_told *
told_of(const struct evt_sub *sub, enum evt_watcher_event event)
{
    char buffer[EVT_WATCHER_NAME_MAX];
    struct evt_told *told = evt_told_new(sub->id, evt_texts_get(sub->texts, EVT_TEXT_WATCHER),
                                         display_name(sub, buffer));

    if (!told)
        return NULL;
    told->event = (uint8_t)event;
    told->proof = sub->texts->proof;
    told->status = sub->state == EVT_SUB_ACTIVE    ? EVT_WATCHER_ACTIVE
                   : sub->state == EVT_SUB_PENDING ? EVT_WATCHER_PENDING
                                                   : EVT_WATCHER_TERMINATED;
    return told;
}

/* --- telling (the shard that holds the subscription) ----------------------------------------- */

static struct evt_topic
asked_topic(const struct evt_asked *asked)
{
    return evt_topic_read(asked->topic, asked->text);
}

static struct evt_asked *
asked_find(const struct evt_shard *shard, const struct evt_topic *topic)
{
    const uint64_t hash = evt_topic_hash(shard, topic);
    struct hd_map_walk walk;

    for (uint32_t i = hd_map_first(&walk, &shard->asked_by_key, hash); i != HD_MAP_NONE;
         i = hd_map_more(&walk)) {
        struct evt_asked *asked = hd_table_at(&shard->asked, i);
        const struct evt_topic its = asked_topic(asked);
        if (evt_topic_eq(&its, topic))
            return asked;
    }
    return NULL;
}

bool
evt_watch_asked(const struct evt_shard *shard, struct hd_slice key, struct hd_slice package)
{
    return asked_find(shard, &(struct evt_topic){ .key = key, .package = package }) != NULL;
}

/* Takes the list, also when it fails: false. */
static bool
tell(struct evt_shard *shard, const struct evt_topic *topic, struct evt_told *list, bool all)
{
    struct evt_mail_told *mail = malloc(sizeof(*mail) + evt_topic_size(topic));

    if (!mail) {
        evt_told_free(list);
        return false;
    }
    mail->from = shard->index;
    mail->all = all;
    mail->list = list;
    mail->topic = evt_topic_write(topic, mail->text);
    evt_post(shard, evt_home(shard, topic->key), EVT_MAIL_TOLD, &mail->mail);
    return true;
}

/* Adds what is told of a mirror's subscriptions at *end, of one watcher's where watcher says so;
 * NULL: memory is short. */
static struct evt_told **
tell_mirror(struct evt_shard *shard, struct evt_mirror *mirror, struct hd_slice watcher,
            struct evt_told **end)
{
    struct evt_by_watcher walk;

    for (const struct evt_sub *sub = evt_by_watcher_first(shard, mirror, watcher, &walk); sub;
         sub = evt_by_watcher_next(shard, &walk)) {
        if (sub->fetch || (sub->state != EVT_SUB_ACTIVE && sub->state != EVT_SUB_PENDING))
            continue;
        *end = told_of(sub, sub->approved ? EVT_WATCHER_APPROVED : EVT_WATCHER_SUBSCRIBE);
        if (!*end)
            return NULL;
        end = &(*end)->next;
    }
    return end;
}

/* The same of the mirrors in which watchers see their own entries: in those of all, or of one. */
static struct evt_told **
tell_own_mirrors(struct evt_shard *shard, const struct evt_topic *topic, struct evt_told **end)
{
    struct evt_mirror *mirror;
    uint32_t at = 0;

    if (topic->watcher.n) {
        mirror = evt_mirror_of(shard, topic);
        return mirror ? tell_mirror(shard, mirror, topic->watcher, end) : end;
    }
    while (end && (mirror = evt_mirror_next_own(shard, &at, topic->key, topic->package)))
        end = tell_mirror(shard, mirror, topic->watcher, end);
    return end;
}

static void
tell_all(struct evt_shard *shard, struct evt_asked *asked)
{
    const struct evt_topic topic = asked_topic(asked);
    const struct evt_package *package = evt_config_package(shard->config, topic.package);
    struct evt_mirror *mirror = evt_mirror_find(shard, topic.key, topic.package);
    struct evt_told *list = NULL, **end = &list;

    if (mirror)
        end = tell_mirror(shard, mirror, topic.watcher, end);
    if (end && package && package->watched) /* others have none of these */
        end = tell_own_mirrors(shard, &topic, end);
    asked->missed = !end;
    if (!end)
        evt_told_free(list);
    else if (!tell(shard, &topic, list, true))
        asked->missed = true;
    if (asked->missed)
        evt_catch_up_later(shard);
}

/* NULL: full, or memory is short. */
static struct evt_asked *
asked_new(struct evt_shard *shard, const struct evt_topic *topic)
{
    const uint64_t hash = evt_topic_hash(shard, topic);
    struct evt_asked *asked;
    uint32_t index;
    void *object;
    char *text = malloc(evt_topic_size(topic));

    if (!text || hd_table_add_keyed(&shard->asked, &shard->asked_by_key, hash, &index, &object)) {
        free(text);
        return NULL;
    }
    asked = object;
    asked->hash = hash;
    asked->index = index;
    asked->text = text;
    asked->topic = evt_topic_write(topic, text);
    shard->n_asked_own += topic->watcher.n > 0;
    return asked;
}

static void
asked_free(struct evt_shard *shard, struct evt_asked *asked)
{
    shard->n_asked_own -= asked_topic(asked).watcher.n > 0;
    hd_map_remove(&shard->asked_by_key, asked->hash, asked->index);
    free(asked->text);
    hd_table_remove(&shard->asked, asked->index);
}

/* Whether the home of a resource wants to know who watches all that is in its mirror.  (Those that
 * show watchers their own entries do not note it.) */
static void
mirror_note(struct evt_shard *shard, const struct evt_topic *topic, bool watched)
{
    struct evt_mirror *mirror = evt_mirror_find(shard, topic->key, topic->package);

    if (mirror && !topic->watcher.n)
        mirror->watched = watched;
}

static bool
question_take(struct evt_shard *shard, const struct evt_mail_watch *mail)
{
    const struct evt_topic topic = evt_topic_read(mail->topic, mail->text);
    struct evt_asked *asked = asked_find(shard, &topic);

    if (!asked)
        asked = asked_new(shard, &topic);
    if (!asked)
        return false;
    mirror_note(shard, &topic, true);
    tell_all(shard, asked);
    return true;
}

static void
question_drop(struct evt_shard *shard, const struct evt_mail_watch *mail)
{
    const struct evt_topic topic = evt_topic_read(mail->topic, mail->text);
    struct evt_asked *asked = asked_find(shard, &topic);

    mirror_note(shard, &topic, false);
    if (asked)
        asked_free(shard, asked);
    for (struct evt_mail_watch **link = &shard->questions; *link;) {
        struct evt_mail_watch *old = *link;
        const struct evt_topic its = evt_topic_read(old->topic, old->text);
        if (!evt_topic_eq(&its, &topic)) {
            link = &old->next;
            continue;
        }
        *link = old->next;
        free(old);
    }
}

/* Takes the mail. */
void
evt_watch_question(struct evt_shard *shard, struct evt_mail_watch *mail)
{
    if (!mail->on) {
        question_drop(shard, mail);
    } else if (!question_take(shard, mail)) {
        mail->next = shard->questions;
        shard->questions = mail;
        evt_catch_up_later(shard);
        return;
    }
    free(mail);
}

/* Takes told, which may be NULL: memory was short. */
static void
tell_one(struct evt_shard *shard, const struct evt_topic *topic, struct evt_told *told)
{
    if (told && tell(shard, topic, told, false))
        return;
    struct evt_asked *asked = asked_find(shard, topic);
    if (!asked)
        return; /* it is not noted that he asked: he may do so again */
    asked->missed = true;
    evt_catch_up_later(shard);
}

/* Tells the home what it has to know, or asked for, about all watchers. */
static void
tell_watched(struct evt_shard *shard, const struct evt_sub *sub, struct evt_told *told)
{
    const struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);

    tell_one(shard, &(struct evt_topic){ .key = mirror->key, .package = mirror->package->name },
             told);
}

static bool
is_watched(const struct evt_shard *shard, const struct evt_mirror *mirror)
{
    return mirror->watched ||
           (mirror->watcher_n && evt_watch_asked(shard, mirror->key, mirror->package->name));
}

/* The watcher himself, when he asked. */
static void
tell_own(struct evt_shard *shard, const struct evt_sub *sub, enum evt_watcher_event event)
{
    if (!shard->n_asked_own || sub->fetch)
        return;
    const struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);
    const struct evt_topic topic = { .key = mirror->key,
                                     .package = mirror->package->name,
                                     .watcher = evt_texts_get(sub->texts, EVT_TEXT_WATCHER) };
    if (asked_find(shard, &topic))
        tell_one(shard, &topic, told_of(sub, event));
}

/* A subscription begins, or goes on in another state.  One that nobody decided about is told in any
 * case: it takes the place of an older one that waits. */
void
evt_watch_changed(struct evt_shard *shard, const struct evt_sub *sub, enum evt_watcher_event event)
{
    const struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);

    tell_own(shard, sub, event);
    if (sub->fetch || !(is_watched(shard, mirror) || sub->state == EVT_SUB_PENDING))
        return;
    tell_watched(shard, sub, told_of(sub, event));
}

static enum evt_watcher_event
event_of(enum evt_reason reason)
{
    switch (reason) {
    case EVT_REASON_DEACTIVATED:
        return EVT_WATCHER_DEACTIVATED;
    case EVT_REASON_PROBATION:
        return EVT_WATCHER_PROBATION;
    case EVT_REASON_REJECTED:
        return EVT_WATCHER_REJECTED;
    case EVT_REASON_GIVEUP:
        return EVT_WATCHER_GIVEUP;
    case EVT_REASON_NORESOURCE:
    case EVT_REASON_INVARIANT:
        return EVT_WATCHER_NORESOURCE;
    case EVT_REASON_SUPERSEDED: /* he goes on in another one (RFC 3857 section 4.7.1) */
        return EVT_WATCHER_DEACTIVATED;
    case EVT_REASON_TIMEOUT:
    case EVT_REASON_NONE:
    case EVT_REASON_SILENT: /* he does not answer any more, or said that he is gone */
        break;
    }
    return EVT_WATCHER_TIMEOUT;
}

/* It ended; was_pending: undecided, so that it waits for a decision from now on when time alone
 * ended it, a fetch too (RFC 3857 section 4.7.1). */
void
evt_watch_ended(struct evt_shard *shard, const struct evt_sub *sub, bool was_pending)
{
    const struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);
    const enum evt_watcher_event event = event_of((enum evt_reason)sub->reason);
    const bool waits = was_pending && event == EVT_WATCHER_TIMEOUT;
    struct evt_told *told;

    tell_own(shard, sub, event);
    if (!waits && (sub->fetch || !is_watched(shard, mirror)))
        return;
    told = told_of(sub, event);
    if (told && waits)
        told->status = EVT_WATCHER_WAITING;
    tell_watched(shard, sub, told);
}

/* --- putting together (the home of the resource) --------------------------------------------- */

struct fact {
    uint64_t id, ended_ms;
    char *text; /* heap: identity, display name */
    uint8_t shard, status, event, watcher_n, name_n;
};

struct evt_watch {
    unsigned magic;
    uint32_t resource;
    struct hd_timer timer;
    uint64_t missing; /* shards that have not answered, a bit each */
    uint64_t composed_ms;
    bool dirty, shown, lost;
    uint32_t n, cap;
    struct fact *facts;
    struct evt_mail_watch *off; /* for the end, which must not fail */
};

static struct evt_watch *
watch_of(const struct evt_resource *resource)
{
    struct evt_watch *watch = resource->kept->facts;

    HD_ASSERT_OBJ(watch, WATCH_MAGIC);
    return watch;
}

static void
fact_remove(struct evt_watch *watch, uint32_t at)
{
    free(watch->facts[at].text);
    watch->facts[at] = watch->facts[--watch->n];
}

static struct fact *
fact_find(struct evt_watch *watch, uint64_t id)
{
    for (uint32_t i = 0; i < watch->n; i++)
        if (watch->facts[i].id == id)
            return &watch->facts[i];
    return NULL;
}

static struct fact *
fact_add(struct evt_shard *shard, struct evt_watch *watch, const struct evt_told *told)
{
    const size_t n = (size_t)told->watcher_n + told->name_n;

    if (watch->n >= LISTED_MAX) {
        EVT_COUNT(shard, watchers_unlisted);
        return NULL;
    }

    if (watch->n == watch->cap) {
        uint32_t cap = watch->cap ? 2 * watch->cap : 8;
        struct fact *facts = realloc(watch->facts, cap * sizeof(*facts));
        if (!facts)
            goto no_memory;
        watch->facts = facts;
        watch->cap = cap;
    }
    char *text = malloc(n + 1);
    if (!text)
        goto no_memory;
    memcpy(text, told->text, n);
    struct fact *fact = &watch->facts[watch->n++];
    *fact = (struct fact){
        .id = told->id, .text = text, .watcher_n = told->watcher_n, .name_n = told->name_n
    };
    return fact;
no_memory:
    watch->lost = true;
    evt_catch_up_later(shard);
    return NULL;
}

static void
fact_take(struct evt_shard *shard, struct evt_watch *watch, unsigned from,
          const struct evt_told *told)
{
    struct fact *fact = fact_find(watch, told->id);

    if (!fact && told->status != EVT_WATCHER_TERMINATED)
        fact = fact_add(shard, watch, told);
    if (!fact)
        return;
    fact->shard = told->status == EVT_WATCHER_WAITING ? SHARD_WAITING : (uint8_t)from;
    fact->status = told->status;
    fact->event = told->event;
    fact->ended_ms = told->status == EVT_WATCHER_TERMINATED ? shard->now_ms : 0;
}

/* Those that ended long enough ago; whether there were any. */
static bool
facts_tidy(struct evt_shard *shard, struct evt_watch *watch)
{
    bool any = false;

    for (uint32_t i = watch->n; i-- > 0;) {
        const struct fact *fact = &watch->facts[i];
        if (fact->status != EVT_WATCHER_TERMINATED ||
            shard->now_ms < fact->ended_ms + ENDED_SHOWN_MS)
            continue;
        fact_remove(watch, i);
        any = true;
    }
    return any;
}

static int
by_id(const void *a, const void *b)
{
    const struct evt_watcher *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static enum hd_err
watch_document(struct evt_shard *shard, const struct evt_watch *watch,
               const struct evt_resource *resource, struct evt_doc **ret_doc)
{
    struct evt_watcher *rows = calloc(watch->n + 1, sizeof(*rows));

    if (!rows)
        return HD_ENOMEM;
    for (uint32_t i = 0; i < watch->n; i++) {
        const struct fact *fact = &watch->facts[i];
        /* A tag is made of the subscription's id: it is not shown. */
        rows[i] = (struct evt_watcher){
            .id = hd_hash(&shard->keys.id, hd_slice((const char *)&fact->id, sizeof(fact->id))),
            .status = (enum evt_watcher_status)fact->status,
            .event = (enum evt_watcher_event)fact->event,
            .uri = hd_slice(fact->text, fact->watcher_n),
            .name = hd_slice(fact->text + fact->watcher_n, fact->name_n),
        };
    }
    qsort(rows, watch->n, sizeof(*rows), by_id);
    enum hd_err err =
        resource->package->ops->watchers(resource->package, resource->key, rows, watch->n, ret_doc);
    free(rows);
    return err;
}

static void
watch_rearm(struct evt_shard *shard, struct evt_watch *watch)
{
    uint64_t due = watch->dirty ? watch->composed_ms + COMPOSE_SPACING_MS : UINT64_MAX;

    for (uint32_t i = 0; i < watch->n; i++)
        if (watch->facts[i].status == EVT_WATCHER_TERMINATED &&
            watch->facts[i].ended_ms + ENDED_SHOWN_MS < due)
            due = watch->facts[i].ended_ms + ENDED_SHOWN_MS;
    if (due != UINT64_MAX)
        hd_wheel_start(&shard->wheel, &watch->timer, due > shard->now_ms ? due : shard->now_ms + 1);
}

/* tidy: nobody is told. */
static void
watch_show(struct evt_shard *shard, struct evt_watch *watch, bool tidy)
{
    struct evt_resource *resource = evt_resource_at(shard, watch->resource);
    struct evt_doc *doc = NULL;

    watch->composed_ms = shard->now_ms;
    watch->dirty = watch_document(shard, watch, resource, &doc) != HD_OK;
    if (watch->dirty)
        return; /* memory is short: again in a second */
    watch->shown = true;
    evt_kept_show(shard, resource, doc, tidy);
    evt_doc_unref(doc);
}

static void
watch_touch(struct evt_shard *shard, struct evt_watch *watch)
{
    watch->dirty = true;
    if (watch->missing)
        return;
    if (!watch->shown || shard->now_ms >= watch->composed_ms + COMPOSE_SPACING_MS) {
        (void)facts_tidy(shard, watch);
        watch_show(shard, watch, false);
    }
    watch_rearm(shard, watch);
}

void
evt_watch_fired(struct evt_shard *shard, struct hd_timer *timer)
{
    struct evt_watch *watch = HD_CONTAINER(timer, struct evt_watch, timer);

    HD_ASSERT_OBJ(watch, WATCH_MAGIC);
    if (watch->missing)
        return;
    bool any = facts_tidy(shard, watch);
    if (watch->dirty && shard->now_ms >= watch->composed_ms + COMPOSE_SPACING_MS)
        watch_show(shard, watch, false);
    else if (any && !watch->dirty)
        watch_show(shard, watch, true);
    watch_rearm(shard, watch);
}

static void
questions_free(struct evt_mail_watch *mails)
{
    while (mails) {
        struct evt_mail_watch *next = mails->next;
        free(mails);
        mails = next;
    }
}

/* What its facts are about: the same in the package whose watchers it shows. */
static struct evt_topic
watched_topic(const struct evt_resource *resource)
{
    struct evt_topic topic = evt_resource_topic(resource);

    topic.package = resource->package->watched->name;
    return topic;
}

/* A question for every shard; NULL: memory is short. */
static struct evt_mail_watch *
questions_new(const struct evt_shard *shard, const struct evt_resource *resource, bool on)
{
    const struct evt_topic topic = watched_topic(resource);
    struct evt_mail_watch *mails = NULL;

    for (unsigned i = 0; i < shard->count; i++) {
        struct evt_mail_watch *mail = malloc(sizeof(*mail) + evt_topic_size(&topic));
        if (!mail) {
            questions_free(mails);
            return NULL;
        }
        mail->on = on;
        mail->topic = evt_topic_write(&topic, mail->text);
        mail->next = mails;
        mails = mail;
    }
    return mails;
}

static void
questions_post(struct evt_shard *shard, struct evt_mail_watch *mails)
{
    for (unsigned i = 0; i < shard->count; i++) {
        struct evt_mail_watch *mail = mails;
        mails = mail->next;
        mail->next = NULL;
        evt_post(shard, i, EVT_MAIL_WATCH, &mail->mail);
    }
}

/* Those that wait are facts for the owner. */
static void
list_waiting(struct evt_shard *shard, const struct evt_resource *resource)
{
    if (!resource->watcher_n)
        evt_waiting_list(shard, resource->key, resource->package->watched->name);
}

static bool
watch_begin(struct evt_shard *shard, struct evt_resource *resource)
{
    struct evt_watch *watch = calloc(1, sizeof(*watch));
    struct evt_mail_watch *on = questions_new(shard, resource, true);
    struct evt_mail_watch *off = questions_new(shard, resource, false);

    if (!watch || !on || !off) {
        free(watch);
        questions_free(on);
        questions_free(off);
        return false;
    }
    questions_post(shard, on);
    watch->off = off;
    watch->magic = WATCH_MAGIC;
    watch->resource = resource->index;
    watch->timer.kind = EVT_TIMER_WATCH;
    watch->missing = shard->count == 64 ? UINT64_MAX : (UINT64_C(1) << shard->count) - 1;
    resource->kept->facts = watch;
    shard->n_watches++;
    list_waiting(shard, resource);
    return true;
}

static void
watch_end(struct evt_shard *shard, struct evt_resource *resource)
{
    struct evt_watch *watch = watch_of(resource);

    if (shard->going)
        questions_free(watch->off);
    else
        questions_post(shard, watch->off);
    hd_wheel_stop(&shard->wheel, &watch->timer);
    while (watch->n > 0)
        fact_remove(watch, watch->n - 1);
    free(watch->facts);
    watch->magic = 0;
    free(watch);
    shard->n_watches--;
}

const struct evt_keeper evt_watch_keeper = { .begin = watch_begin, .end = watch_end };

/* The facts about who watches, or one watcher alone; NULL: nobody is interested. */
static struct evt_watch *
watch_of_topic(struct evt_shard *shard, const struct evt_topic *watched)
{
    struct evt_topic topic = *watched;
    char name[EVT_PACKAGE_NAME_MAX + 16];
    struct sip_out out;

    sip_out_init(&out, name, sizeof(name));
    sip_out_slice(&out, watched->package);
    sip_out_lit(&out, ".winfo");
    topic.package = hd_slice(name, out.n);
    const struct evt_resource *resource = out.full ? NULL : evt_resource_of(shard, &topic);
    return resource && resource->kept && resource->kept->keeper == &evt_watch_keeper
               ? watch_of(resource)
               : NULL;
}

static struct evt_watch *
watch_find(struct evt_shard *shard, struct hd_slice key, struct hd_slice package)
{
    return watch_of_topic(shard, &(struct evt_topic){ .key = key, .package = package });
}

void
evt_watch_lost(struct evt_shard *shard, struct hd_slice key, struct hd_slice package)
{
    struct evt_watch *watch = watch_find(shard, key, package);

    if (!watch)
        return;
    watch->lost = true;
    evt_catch_up_later(shard);
}

void
evt_watch_fact(struct evt_shard *shard, struct hd_slice key, struct hd_slice package,
               const struct evt_told *told)
{
    struct evt_watch *watch = watch_find(shard, key, package);

    if (!watch)
        return;
    fact_take(shard, watch, SHARD_WAITING, told);
    watch_touch(shard, watch);
}

/* What one told may say of those that wait; it is told as what became of it. */
static void
told_waits(struct evt_shard *shard, struct hd_slice key, struct hd_slice package,
           struct evt_told *told)
{
    if (told->status == EVT_WATCHER_PENDING && told->event == EVT_WATCHER_SUBSCRIBE)
        evt_waiting_again(shard, key, package, told);
    else if (told->status == EVT_WATCHER_WAITING && !evt_waiting_add(shard, key, package, told)) {
        told->status = EVT_WATCHER_TERMINATED;
        told->event = EVT_WATCHER_GIVEUP;
    }
}

/* Takes the mail. */
void
evt_watch_answer(struct evt_shard *shard, struct evt_mail_told *mail)
{
    const struct evt_topic topic = evt_topic_read(mail->topic, mail->text);

    if (!mail->all && !topic.watcher.n)
        told_waits(shard, topic.key, topic.package, mail->list);
    struct evt_watch *watch = watch_of_topic(shard, &topic);
    if (watch) {
        for (uint32_t i = watch->n; mail->all && i-- > 0;)
            if (watch->facts[i].shard == mail->from &&
                watch->facts[i].status != EVT_WATCHER_TERMINATED)
                fact_remove(watch, i);
        for (const struct evt_told *told = mail->list; told; told = told->next)
            fact_take(shard, watch, mail->from, told);
        if (mail->all)
            watch->missing &= ~(UINT64_C(1) << mail->from);
        watch_touch(shard, watch);
    }
    evt_told_free(mail->list);
    free(mail);
}

/* Something was lost: everything is asked for once more. */
static void
watch_again(struct evt_shard *shard, struct evt_resource *resource)
{
    struct evt_watch *watch = watch_of(resource);

    watch->lost = false;
    for (uint32_t i = watch->n; i-- > 0;)
        if (watch->facts[i].status == EVT_WATCHER_WAITING)
            fact_remove(watch, i);
    list_waiting(shard, resource);
    struct evt_mail_watch *on = questions_new(shard, resource, true);
    if (on) {
        questions_post(shard, on);
    } else {
        watch->lost = true;
        evt_catch_up_later(shard);
    }
    watch_touch(shard, watch);
}

void
evt_watch_catch_up(struct evt_shard *shard)
{
    struct evt_mail_watch *mails = shard->questions, *next;

    shard->questions = NULL;
    for (; mails; mails = next) {
        next = mails->next;
        evt_watch_question(shard, mails);
    }
    for (uint32_t i = 0; (i = hd_table_next(&shard->asked, i)) != HD_TABLE_NONE; i++) {
        struct evt_asked *asked = hd_table_at(&shard->asked, i);
        if (asked->missed)
            tell_all(shard, asked);
    }
    for (uint32_t i = 0;
         shard->n_watches && (i = hd_table_next(&shard->resources, i)) != HD_TABLE_NONE; i++) {
        struct evt_resource *resource = evt_resource_at(shard, i);
        if (resource->kept && resource->kept->keeper == &evt_watch_keeper &&
            watch_of(resource)->lost)
            watch_again(shard, resource);
    }
}

uint32_t
evt_watch_timers(struct evt_shard *shard)
{
    uint32_t n = 0;

    for (uint32_t i = 0; (i = hd_table_next(&shard->waits, i)) != HD_TABLE_NONE; i++) {
        const struct evt_waiting *waiting = hd_table_at(&shard->waits, i);
        n += hd_timer_running(&waiting->timer);
    }
    for (uint32_t i = 0;
         shard->n_watches && (i = hd_table_next(&shard->resources, i)) != HD_TABLE_NONE; i++) {
        const struct evt_resource *resource = evt_resource_at(shard, i);
        if (resource->kept && resource->kept->keeper == &evt_watch_keeper)
            n += hd_timer_running(&watch_of(resource)->timer);
    }
    return n;
}

void
evt_watch_done(struct evt_shard *shard)
{
    while (shard->questions) {
        struct evt_mail_watch *next = shard->questions->next;
        free(shard->questions);
        shard->questions = next;
    }
    for (uint32_t i = 0; (i = hd_table_next(&shard->asked, i)) != HD_TABLE_NONE; i++)
        asked_free(shard, hd_table_at(&shard->asked, i));
}
