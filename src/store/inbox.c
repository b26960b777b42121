/* inbox.c - who posts writes the eventfd when the receiver has said that it sleeps. */
#include "store/inbox.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#define WAY 10 /* nice: a tenth of what others get, and they are not kept waiting */

static void
wake(void *context)
{
    sto_inbox_wake(context);
}

enum hd_err
sto_inbox_init(struct sto_inbox *inbox)
{
    hd_mailbox_init(&inbox->box, wake, inbox);
    inbox->fd = eventfd(0, EFD_CLOEXEC);
    return inbox->fd < 0 ? HD_EIO : HD_OK;
}

void
sto_inbox_done(struct sto_inbox *inbox)
{
    if (inbox->fd >= 0)
        (void)close(inbox->fd);
    inbox->fd = -1;
}

void
sto_inbox_wake(struct sto_inbox *inbox)
{
    uint64_t one = 1;

    while (write(inbox->fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

void
sto_inbox_pause(struct sto_inbox *inbox, int most_ms)
{
    struct pollfd woken = { .fd = inbox->fd, .events = POLLIN };
    int ready = poll(&woken, 1, most_ms);
    uint64_t count;

    while (ready > 0 && read(inbox->fd, &count, sizeof(count)) < 0 && errno == EINTR)
        ;
}

void
sto_inbox_sleep(struct sto_inbox *inbox, int most_ms)
{
    if (!hd_mailbox_sleep(&inbox->box))
        return;
    sto_inbox_pause(inbox, most_ms);
    hd_mailbox_awake(&inbox->box);
}

void
sto_give_way(void)
{
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), getpriority(PRIO_PROCESS, 0) + WAY);
}
