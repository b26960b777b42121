/* counters.h - what a shard counts.  Written by the shard alone, read by any thread without order
 * (relaxed). */
#ifndef HD_EVENT_COUNTERS_H
#define HD_EVENT_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

#include "event/package.h"
#include "sip/msg.h"

/* One row per counter: field, and its words for people. */
#define EVT_COUNTERS(X)                                                                            \
    X(requests, "requests received")                                                               \
    X(asks, "requests received by no SIP message: from HTTP and for webhooks")                     \
    X(responses, "responses received")                                                             \
    X(malformed, "messages that could not be parsed")                                              \
    X(forwarded, "messages passed to the shard that owns them")                                    \
    X(retransmitted, "requests that were answered again from the record")                          \
    X(absorbed, "repeated requests while the first is being worked on")                            \
    X(unanswered, "requests dropped because the source's budget of failures is spent")             \
    X(strays, "responses that match nothing of ours")                                              \
    X(challenges, "requests challenged")                                                           \
    X(guesses_slowed, "credentials not looked at because too many from there were wrong before")   \
    X(subscriptions_made, "subscriptions created")                                                 \
    X(subscriptions_ended, "subscriptions ended")                                                  \
    X(subscriptions_superseded, "subscriptions ended because their device has a newer one")        \
    X(subscriptions_timed_out, "subscriptions ended because a NOTIFY was never answered")          \
    X(publications_made, "publications created")                                                   \
    X(publications_ended, "publications removed or expired")                                       \
    X(publications_patched, "publications changed by a patch to what they said")                   \
    X(publications_unfit, "documents with a value that their package's composition cannot use")    \
    X(snapshots, "states composed")                                                                \
    X(views, "bodies rendered")                                                                    \
    X(transformed, "documents of which a rule leaves a part")                                      \
    X(notifies, "NOTIFY requests sent")                                                            \
    X(notifies_resent, "NOTIFY retransmissions")                                                   \
    X(notifies_answered, "NOTIFY requests answered 2xx")                                           \
    X(notifies_failed, "NOTIFY requests answered otherwise or never")                              \
    X(events_dropped, "events dropped from full queues of packages with delivery every")           \
    X(held_by_pace, "notifications held back by the package's pace")                               \
    X(held_by_rate, "notifications held back by a subscriber's max-rate")                          \
    X(repeated, "states sent again for a subscriber's min-rate or adaptive-min-rate")              \
    X(suppressed, "SUBSCRIBEs answered 204: the subscriber has the state (RFC 5839)")              \
    X(rates_ignored, "rates in answers to NOTIFY that could not be taken")                         \
    X(held_by_window, "notifications held back by a next hop's window")                            \
    X(held_unproven, "notifications held back because the address has not proven itself")          \
    X(held_by_name, "notifications held back until their next hop's name is resolved")             \
    X(names_nowhere, "names of next hops that led to no address")                                  \
    X(targets_failed, "addresses of named next hops that failed, so that the next one was taken")  \
    X(firings, "conditions that fired")                                                            \
    X(conditions_looked_at, "times that conditions were looked at")                                \
    X(conditions_missing, "conditions whose value a document lacked")                              \
    X(filters_refused, "filters refused")                                                          \
    X(store_failures, "changes that the store could not keep")                                     \
    X(refused_busy, "requests refused because too many wait")                                      \
    X(requests_from_reserve, "requests with Resource-Priority taken while others are refused")     \
    X(priorities_refused, "requests refused because their Resource-Priority is not allowed")       \
    X(notifies_first, "NOTIFY requests sent with Resource-Priority")                               \
    X(caps_reached, "requests refused because a table or a quota is full")                         \
    X(watchers_looked_at, "subscriptions looked at for watcher information")                       \
    X(watchers_unlisted, "watchers left out of watcher information that is too long")              \
    X(recorded, "messages and decisions recorded")                                                 \
    X(recorded_cut, "messages too large for the recorder, of which it has the beginning")          \
    X(watchers_given_up, "undecided subscriptions that were not kept because too many wait")

/* Gauges. */
#define EVT_GAUGES(X)                                                                              \
    X(subscriptions, "subscriptions")                                                              \
    X(publications, "publications")                                                                \
    X(resources, "resources with state or subscribers")                                            \
    X(mirrors, "resources that this shard mirrors")                                                \
    X(bindings, "registered contacts")                                                             \
    X(in_flight, "NOTIFY requests in flight")                                                      \
    X(waiting, "requests waiting for the store")                                                   \
    X(parked, "subscriptions whose subscriber does not answer")                                    \
    X(conditions, "sets of conditions that are watched")                                           \
    X(hops, "next hops known")                                                                     \
    X(watchers_waiting, "subscriptions that ended before anybody decided about them")

/* What is counted by event package: for the first ones that are used by name, then together. */
#define EVT_PACKAGES_COUNTED 32
struct evt_package_counters {
    char name[EVT_PACKAGE_NAME_MAX + 1]; /* "other": all those for which there was no row */
    _Atomic uint64_t subscriptions, publications; /* gauges; those that are about to end too */
};

#define EVT_FIELD(name, words) _Atomic uint64_t name;
struct evt_counters {
    EVT_COUNTERS(EVT_FIELD)
    EVT_GAUGES(EVT_FIELD)
    _Atomic uint64_t by_method[SIP_METHOD_COUNT]; /* requests received */
    _Atomic uint64_t by_status[700];              /* final answers that we gave */
    _Atomic uint32_t n_packages;                  /* rows that are there; to be read with acquire */
    struct evt_package_counters by_package[EVT_PACKAGES_COUNTED];
};
#undef EVT_FIELD

/* Only the owner writes, so no read-modify-write is needed. */
#define EVT_COUNT(shard, name) EVT_COUNT_ADD(shard, name, 1)
#define EVT_COUNT_ADD(shard, name, n)                                                              \
    atomic_store_explicit(&(shard)->counters.name,                                                 \
                          atomic_load_explicit(&(shard)->counters.name, memory_order_relaxed) +    \
                              (uint64_t)(n),                                                       \
                          memory_order_relaxed)

#endif
