/* inbox.h - a mailbox whose receiver is a thread of the store's own, which sleeps on an eventfd.
 * Thread: post and wake from any; all else from the receiver's.  The mailbox is used directly. */
#ifndef HD_STORE_INBOX_H
#define HD_STORE_INBOX_H

#include "base/err.h"
#include "base/mailbox.h"

struct sto_inbox {
    struct hd_mailbox box;
    int fd; /* -1: there is none */
};

/** Empty, its receiver awake.  It must not move.  HD_EIO: no eventfd can be had; then done is
 * called all the same. */
HD_NODISCARD enum hd_err sto_inbox_init(struct sto_inbox *inbox);
void sto_inbox_done(struct sto_inbox *inbox);
/** Until a mail is there, somebody wakes it, or most_ms are over; -1: however long that is. */
void sto_inbox_sleep(struct sto_inbox *inbox, int most_ms);
/** The same, but a mail does not end it: what comes gathers. */
void sto_inbox_pause(struct sto_inbox *inbox, int most_ms);
/** Ends a sleep or a pause, or the next one. */
void sto_inbox_wake(struct sto_inbox *inbox);

/** What the calling thread does may wait: it gives way to the threads that requests wait for, where
 * they share a core. */
void sto_give_way(void);

#endif
