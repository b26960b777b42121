/* mailbox.h - messages between shards: many senders, one receiver, one FIFO per receiver.
 * Thread: post from any; take and sleep from the receiver's.  No lock; a sender never waits.
 * Memory: a posted mail belongs to the receiver. */
#ifndef HD_BASE_MAILBOX_H
#define HD_BASE_MAILBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Embedded as the first member of a message. */
struct hd_mail {
    _Atomic(struct hd_mail *) next;
    uint32_t kind; /* of the receiver's own enumeration */
};

/** Wakes the receiver's thread (heraldd writes an eventfd); called by a sender when the receiver
 * sleeps. */
typedef void (*hd_wake_f)(void *context);

struct hd_mailbox {
    _Alignas(64) _Atomic(struct hd_mail *) tail; /* senders */
    _Alignas(64) struct hd_mail *head;           /* receiver */
    struct hd_mail stub;
    _Atomic uint64_t
        state; /* lowest bit: the receiver sleeps; above it: mails posted and not yet taken */
    hd_wake_f wake;
    void *wake_context;
};

/** An empty mailbox whose receiver is awake.  wake_context is borrowed for its life. */
void hd_mailbox_init(struct hd_mailbox *box, hd_wake_f wake, void *wake_context);
/** Hands mail over, which cannot fail; wakes the receiver when it sleeps.  Any thread. */
void hd_mailbox_post(struct hd_mailbox *box, struct hd_mail *mail);
/** The oldest mail, or NULL when there is none (or a sender is half-way, who will wake the
 * receiver). */
struct hd_mail *hd_mailbox_take(struct hd_mailbox *box);
/** Says that the receiver goes to sleep: true when it may, false when a mail is there (it stays
 * awake). */
bool hd_mailbox_sleep(struct hd_mailbox *box);
/** Says that the receiver is up again. */
void hd_mailbox_awake(struct hd_mailbox *box);
/** Mails posted and not yet taken; any thread. */
uint32_t hd_mailbox_depth(const struct hd_mailbox *box);

#endif
