/* kept.h - event state that the broker makes itself, from facts of its own: who watches a resource
 * (RFC 3857), which phones are registered (RFC 3680), whether a user can be reached.
 *
 * To all else such a resource is like any other: it has a home shard, snapshots, mirrors, and
 * subscribers.  Its kept document behaves like one more publication, older than all others, that
 * never expires and is stored nowhere: the facts are kept by whoever owns them.  A package says in
 * evt_package.keeper who keeps its documents; what may be published besides is the package's affair
 * (evt_package.closed: nothing, 403).
 *
 * A document is made only while somebody is interested.  The keeper's begin is called on the home
 * shard when the first shard asks for the resource; nothing is shown before evt_kept_set() was
 * called once.  From then on the keeper says what is new, until end.
 *
 * Thread: the home shard of the resource.  Memory: what a keeper hangs into
 * evt_resource.kept->facts is its own until end, which frees it. */
#ifndef HD_EVENT_KEPT_H
#define HD_EVENT_KEPT_H

#include <stdbool.h>

#include "base/slice.h"

struct evt_doc;
struct evt_package;
struct evt_resource;
struct evt_shard;

struct evt_keeper {
    /** May be NULL: always.  Whether it makes a document for this resource. */
    bool (*wants)(const struct evt_package *package, struct hd_slice key);
    /** Somebody is interested: evt_kept_set() is to be called, from inside or soon.  False: memory
     * is short, it is called again in a moment; kept->facts is not looked at. */
    bool (*begin)(struct evt_shard *shard, struct evt_resource *resource);
    /** Nobody is any more. */
    void (*end)(struct evt_shard *shard, struct evt_resource *resource);
    /** May be NULL.  The registrations of its address changed (event/reg.h); news false: what was
     * over is left out by now. */
    void (*registered)(struct evt_shard *shard, struct evt_resource *resource, bool news);
    /** May be NULL.  What is published of its address in a package that feeds its own
     * (evt_package.feeds) changed, or its own settings did. */
    void (*fed)(struct evt_shard *shard, struct evt_resource *resource);
};

/* Of a resource of a package with a keeper, while somebody is interested. */
struct evt_kept {
    const struct evt_keeper *keeper;
    struct evt_doc *doc;    /* while nothing is published; NULL: none */
    struct evt_doc *beside; /* beside what is published; NULL: none */
    bool ready;             /* it was set once */
    void *facts;            /* the keeper's own */
};

/* Who watches (watch.c): of template packages, evt_package.watched says of which. */
extern const struct evt_keeper evt_watch_keeper;

/** Whose state it is, and of which package; borrowed. */
struct hd_slice evt_kept_key(const struct evt_resource *resource);
struct hd_slice evt_kept_package(const struct evt_resource *resource);
const struct evt_package *evt_kept_definition(const struct evt_resource *resource);
/** Whether anybody wants to see this resource's kept document: spares making it. */
bool evt_kept_wanted(struct evt_shard *shard, struct hd_slice key, struct hd_slice package);
/**
 * The kept document from now on; it is composed with what is published and posted to the
 * interested shards, unless nothing changed.  Without effect when nobody is interested.
 * @param doc  a reference is taken; NULL: none
 */
void evt_kept_set(struct evt_shard *shard, struct hd_slice key, struct hd_slice package,
                  struct evt_doc *doc);
/** The same with another document for the time while something is published; either may be NULL. */
void evt_kept_set_both(struct evt_shard *shard, struct hd_slice key, struct hd_slice package,
                       struct evt_doc *doc, struct evt_doc *beside);
/** The same for a document that says nothing new (what was over is left out by now): who is shown
 * the state from now on is shown this one, but nobody is told. */
void evt_kept_tidy(struct evt_shard *shard, struct hd_slice key, struct hd_slice package,
                   struct evt_doc *doc);

typedef void (*evt_kept_visit_f)(void *context, const struct evt_doc *doc);
/** Visits what is published of an address in another package; on the home shard of both. */
void evt_kept_published(struct evt_shard *shard, struct hd_slice key, struct hd_slice package,
                        evt_kept_visit_f visit, void *context);

#endif
