/* device.c - a new subscription of a device ends its former one; see device.h.
 *
 * The problem: the two may live on different shards, and two new ones may begin at once, each on a
 * shard of its own; one has to be left, and neither both nor none.  So the home of the resource
 * puts them in order: each asks it, and what it says reaches every shard in that order.  Invariant:
 * one that has not been put in order ends by nobody's word, for it is younger than all that were;
 * once it has been, it is older than all that come. */
#include "event/device.h"

#include <stdlib.h>

#include "event/core.h"

#define NAME_MOST 256 /* octets of an instance or a host that are looked at */

static uint64_t
hash_lower(const struct evt_shard *shard, struct hd_slice text)
{
    char lower[NAME_MOST];
    const size_t n = text.n < sizeof(lower) ? text.n : sizeof(lower);

    for (size_t i = 0; i < n; i++)
        lower[i] = (char)(text.p[i] >= 'A' && text.p[i] <= 'Z' ? text.p[i] + 32 : text.p[i]);
    return hd_hash(&shard->keys.table, hd_slice(lower, n));
}

/* Where a Contact points to; its GRUU, when it is one. */
static uint64_t
hash_target(const struct evt_shard *shard, struct hd_slice text)
{
    struct hd_slice gruu;
    struct sip_uri uri;

    if (sip_uri_parse(text, &uri))
        return hd_hash(&shard->keys.table, text);
    uint64_t hash = hd_hash_mix(hd_hash(&shard->keys.table, uri.user), hash_lower(shard, uri.host));
    hash = hd_hash_mix(hash, uri.port);
    if (sip_param_find(uri.params, HD_LIT("gr"), &gruu))
        hash = hd_hash_mix(hash, hash_lower(shard, gruu));
    return hash;
}

uint64_t
evt_device_hash(const struct evt_shard *shard, uint64_t resource, struct hd_slice event_id,
                struct hd_slice watcher, const struct sip_addr *contact)
{
    const struct hd_slice instance = evt_binding_instance(contact->params);
    uint64_t hash = hd_hash_mix(resource, hd_hash(&shard->keys.table, watcher));

    hash = hd_hash_mix(hash, hd_hash(&shard->keys.table, event_id));
    hash = hd_hash_mix(hash,
                       instance.n ? hash_lower(shard, instance) : hash_target(shard, contact->uri));
    return hash | 1;
}

/* Into the map; false: memory is short, and it is as one of a package without. */
static bool
device_note(struct evt_shard *shard, struct evt_sub *sub)
{
    if (hd_map_put(&shard->sub_by_device, sub->rare->device, sub->index)) {
        sub->rare->device = 0;
        return false;
    }
    sub->rare->device_noted = true;
    return true;
}

void
evt_device_begins(struct evt_shard *shard, struct evt_sub *sub)
{
    if (!sub->rare || !sub->rare->device || !device_note(shard, sub))
        return;
    struct evt_mail_device *mail = malloc(sizeof(*mail));
    if (!mail) { /* its former one stays until it expires */
        sub->rare->device_ordered = true;
        return;
    }
    *mail = (struct evt_mail_device){ .device = sub->rare->device,
                                      .sub = sub->id,
                                      .from = shard->index };
    evt_post(shard, evt_home(shard, evt_mirror_at(shard, sub->mirror)->key), EVT_MAIL_DEVICE,
             &mail->mail);
}

void
evt_device_restored(struct evt_shard *shard, struct evt_sub *sub, uint64_t device)
{
    if (!device || !evt_mirror_at(shard, sub->mirror)->package->supersede || !evt_sub_rare(sub))
        return;
    sub->rare->device = device;
    if (device_note(shard, sub))
        sub->rare->device_ordered = true;
}

void
evt_device_leaves(struct evt_shard *shard, struct evt_sub *sub)
{
    if (!sub->rare || !sub->rare->device)
        return;
    if (sub->rare->device_noted)
        hd_map_remove(&shard->sub_by_device, sub->rare->device, sub->index);
    sub->rare->device = 0;
    sub->rare->device_noted = sub->rare->device_ordered = false;
}

/* One of the former ones, or NULL. */
static struct evt_sub *
former_find(struct evt_shard *shard, uint64_t device, uint64_t id)
{
    struct hd_map_walk walk;

    for (uint32_t i = hd_map_first(&walk, &shard->sub_by_device, device); i != HD_MAP_NONE;
         i = hd_map_more(&walk)) {
        struct evt_sub *sub = evt_sub_at(shard, i);
        if (sub->rare->device == device && sub->rare->device_ordered && sub->id != id)
            return sub;
    }
    return NULL;
}

static void
device_ordered(struct evt_shard *shard, const struct evt_mail_device *mail)
{
    struct evt_sub *sub = evt_sub_find(shard, mail->sub), *former;

    while ((former = former_find(shard, mail->device, mail->sub))) {
        EVT_COUNT(shard, subscriptions_superseded);
        evt_sub_terminate(shard, former, EVT_REASON_SUPERSEDED, 0);
    }
    if (sub && sub->rare && sub->rare->device == mail->device)
        sub->rare->device_ordered = true;
}

/* Every shard is told; that of the subscription in any case, for it waits for the word. */
static void
device_order(struct evt_shard *shard, struct evt_mail_device *mail)
{
    for (unsigned i = 0; i < shard->count; i++) {
        struct evt_mail_device *copy = i == mail->from ? NULL : malloc(sizeof(*copy));
        if (!copy)
            continue;
        *copy = *mail;
        copy->ordered = true;
        evt_post(shard, i, EVT_MAIL_DEVICE, &copy->mail);
    }
    mail->ordered = true;
    evt_post(shard, mail->from, EVT_MAIL_DEVICE, &mail->mail);
}

void
evt_device_mail(struct evt_shard *shard, struct evt_mail_device *mail)
{
    if (!mail->ordered) {
        device_order(shard, mail);
        return;
    }
    device_ordered(shard, mail);
    free(mail);
}
