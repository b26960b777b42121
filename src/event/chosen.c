/* chosen.c - subscriptions to dialogs that their Event header names (RFC 4235 section 3.2).
 *
 * Which they are is part of the subscription's filter, so that views, conditions and the store know
 * of it as of any other.  What is different: only a change of these dialogs is told (section 3.3),
 * and when they are over so is the subscription (section 3.4).  Dialogs that do not exist (yet) are
 * a document without any; one that was there and is gone is over. */
#include "event/core.h"

/* What the newest snapshot shows of them; NULL: memory is short. */
static struct evt_view *
newest_view(struct evt_shard *shard, const struct evt_sub *sub)
{
    struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);

    return evt_mirror_view(shard, mirror, mirror->snapshot, 0, sub->transform, sub->types,
                           evt_sub_filtered(sub)->filter);
}

/* Whether it says something else than what was sent last: also to who takes no type of it. */
static bool
is_other(const struct evt_filtered *f, const struct evt_view *view)
{
    return view->tag != f->tag || (view->chosen == EVT_CHOSEN_LIVING) != f->living ||
           (view->chosen == EVT_CHOSEN_OVER && !f->over);
}

bool
evt_chosen_has_news(struct evt_shard *shard, struct evt_sub *sub)
{
    const struct evt_mirror *mirror = evt_mirror_at(shard, sub->mirror);

    if (evt_sub_is_told(sub) || mirror->package->delivery == EVT_DELIVER_EVERY)
        return true; /* conditions say so, or each event matters */
    struct evt_view *view = newest_view(shard, sub);
    const bool news = !view || is_other(evt_sub_filtered(sub), view);
    evt_view_unref(view);
    if (news)
        return true;
    sub->seen = mirror->snapshot->number;
    if (shard->sends_left)
        shard->sends_left--; /* looking is work as well: thousands of them do not fill one turn */
    return false;
}

void
evt_chosen_sent(struct evt_filtered *f, const struct evt_view *view)
{
    f->tag = view->tag;
    f->living = view->chosen == EVT_CHOSEN_LIVING;
    /* Who is blocked politely meanwhile is shown none, and it ends as if they were gone. */
    f->over = view->key.transform != EVT_SEE_NOTHING &&
              (view->chosen == EVT_CHOSEN_OVER || (view->chosen == EVT_CHOSEN_NONE && f->met));
}

void
evt_chosen_answered(struct evt_shard *shard, struct evt_sub *sub)
{
    struct evt_filtered *f = evt_sub_filtered(sub);

    if (sub->change)
        return; /* the NOTIFY that it brings about is another occasion */
    if (f->over) {
        evt_sub_terminate(shard, sub, EVT_REASON_NORESOURCE, 0);
    } else if (f->living && !f->met) {
        f->met = true;
        if (sub->stored && !shard->going)
            (void)!evt_record_sub(shard, sub, NULL, 0);
    }
}

void
evt_chosen_restored(struct evt_shard *shard, struct evt_sub *sub)
{
    struct evt_view *view = newest_view(shard, sub);

    if (!view)
        return;
    evt_chosen_sent(evt_sub_filtered(sub), view);
    evt_view_unref(view);
    evt_chosen_answered(shard, sub); /* the store may have lost what came of it */
}
