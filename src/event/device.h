/* device.h - a new subscription of a device ends its former one (evt_package.supersede), so that a
 * phone that reboots, or a client that is opened ten times, leaves no trail.  Private to event/.
 *
 * Thread: the shard's.  What a device is told apart by hangs off evt_sub.rare, in such packages
 * alone. */
#ifndef HD_EVENT_DEVICE_H
#define HD_EVENT_DEVICE_H

#include "base/mailbox.h"
#include "base/slice.h"

struct evt_shard;
struct evt_sub;
struct sip_addr;

/* Sent to the home of the resource, which puts such subscriptions in order, and from there to every
 * shard. */
struct evt_mail_device {
    struct hd_mail mail;
    uint64_t device, sub;
    unsigned from;
    bool ordered; /* by the home */
};

/**
 * What tells a subscription of one device from others: resource, package, Event id, watcher, and
 * the device: +sip.instance of the Contact (RFC 5626 section 4.1), else where it points to (a GRUU
 * names the device as well, RFC 5627).
 * @return a keyed hash, never 0
 */
uint64_t evt_device_hash(const struct evt_shard *shard, uint64_t resource, struct hd_slice event_id,
                         struct hd_slice watcher, const struct sip_addr *contact);
/** The subscription is applied: the former ones of its device end. */
void evt_device_begins(struct evt_shard *shard, struct evt_sub *sub);
/** It was there before this start, and is one of the former ones to whatever begins. */
void evt_device_restored(struct evt_shard *shard, struct evt_sub *sub, uint64_t device);
/** It ends. */
void evt_device_leaves(struct evt_shard *shard, struct evt_sub *sub);
/** Takes the mail. */
void evt_device_mail(struct evt_shard *shard, struct evt_mail_device *mail);

#endif
