/* mailbox.c - the intrusive queue of D. Vyukov (many producers, one consumer), and going to sleep
 * beside it. The queue is a list from head (receiver) to tail (senders).  A sender swaps itself in
 * as the tail and then links its predecessor to itself; between the two steps it is half-way and
 * the list is torn there.  The stub keeps the list from becoming empty. Sleep: the receiver sets
 * the sleep bit of state and then looks at the list; a sender links its mail and then counts it in
 * state.  Both are read-modify-writes of one word, so one comes first.  When the sender's does, the
 * receiver has acquired its link and finds the mail; when the receiver's does, the sender sees the
 * bit, clears it and wakes. The same holds for mails behind a torn place: they are reached once the
 * half-way sender links, and it looks at the bit after that. */
#include "base/mailbox.h"

#include "base/err.h"

#define SLEEPS UINT64_C(1)
#define ONE_MAIL UINT64_C(2)

void
hd_mailbox_init(struct hd_mailbox *box, hd_wake_f wake, void *wake_context)
{
    HD_ASSERT(wake != NULL);
    box->head = &box->stub;
    box->wake = wake;
    box->wake_context = wake_context;
    box->stub.kind = 0;
    atomic_init(&box->stub.next, NULL);
    atomic_init(&box->tail, &box->stub);
    atomic_init(&box->state, 0);
}

static void
push(struct hd_mailbox *box, struct hd_mail *mail)
{
    struct hd_mail *before;

    atomic_store_explicit(&mail->next, NULL, memory_order_relaxed);
    /* acq_rel: the predecessor's own next = NULL must come before our link to it. */
    before = atomic_exchange_explicit(&box->tail, mail, memory_order_acq_rel);
    atomic_store_explicit(&before->next, mail, memory_order_release);
}

/* The second look of a sender, once its mail is linked: counts it, and wakes a receiver that
 * sleeps. */
static void
announce(struct hd_mailbox *box)
{
    uint64_t state = atomic_fetch_add_explicit(&box->state, ONE_MAIL, memory_order_acq_rel);

    if (!(state & SLEEPS))
        return;
    /* Of several senders that see the bit, the one that clears it wakes. */
    state = atomic_fetch_and_explicit(&box->state, ~SLEEPS, memory_order_acq_rel);
    if (state & SLEEPS)
        box->wake(box->wake_context);
}

void
hd_mailbox_post(struct hd_mailbox *box, struct hd_mail *mail)
{
    push(box, mail);
    announce(box);
}

static struct hd_mail *
next_of(struct hd_mail *mail)
{
    return atomic_load_explicit(&mail->next, memory_order_acquire);
}

static struct hd_mail *
unlink_oldest(struct hd_mailbox *box)
{
    struct hd_mail *mail = box->head, *next = next_of(mail);

    if (mail == &box->stub) {
        if (!next)
            return NULL;
        mail = box->head = next;
        next = next_of(mail);
    }
    if (!next) {
        /* The last one may only go when something follows it, and nobody else links to it any more.
         */
        if (atomic_load_explicit(&box->tail, memory_order_relaxed) != mail)
            return NULL;
        push(box, &box->stub);
        next = next_of(mail);
        if (!next)
            return NULL;
    }
    box->head = next;
    return mail;
}

struct hd_mail *
hd_mailbox_take(struct hd_mailbox *box)
{
    struct hd_mail *mail = unlink_oldest(box);

    if (mail)
        atomic_fetch_sub_explicit(&box->state, ONE_MAIL, memory_order_relaxed);
    return mail;
}

/* Would a take give something? */
static bool
has_mail(struct hd_mailbox *box)
{
    if (next_of(box->head))
        return true;
    return box->head != &box->stub &&
           atomic_load_explicit(&box->tail, memory_order_relaxed) == box->head;
}

bool
hd_mailbox_sleep(struct hd_mailbox *box)
{
    atomic_fetch_or_explicit(&box->state, SLEEPS, memory_order_acq_rel);
    if (!has_mail(box))
        return true;
    hd_mailbox_awake(box);
    return false;
}

void
hd_mailbox_awake(struct hd_mailbox *box)
{
    atomic_fetch_and_explicit(&box->state, ~SLEEPS, memory_order_acq_rel);
}

uint32_t
hd_mailbox_depth(const struct hd_mailbox *box)
{
    /* A mail may be taken before its sender has counted it: then the count is below 0 for a moment.
     */
    int64_t depth = (int64_t)atomic_load_explicit(&box->state, memory_order_relaxed) >> 1;

    if (depth < 0)
        return 0;
    return depth < (int64_t)UINT32_MAX ? (uint32_t)depth : UINT32_MAX;
}
