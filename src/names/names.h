/* names.h - where a next hop is that has a name and no address: RFC 3263 with RFC 7984 on top of a
 * cache of what name servers said.
 *
 * The resolver makes no system call: it asks through nam_dns_ops and is told the answers as they
 * came.  It implements the core's port for names (event/ports.h).  Thread: its shard's.
 *
 * Bounds: so many names are kept and so many questions are open at once; a question asks for at
 * most NAM_QUERIES_MAX names, follows at most NAM_ALIASES_MAX aliases from message to message, and
 * answers with at most EVT_TARGETS_MAX targets. */
#ifndef HD_NAMES_NAMES_H
#define HD_NAMES_NAMES_H

#include <stdatomic.h>

#include "base/hash.h"
#include "base/rng.h"
#include "event/ports.h"
#include "names/answer.h"

#define NAM_QUERIES_MAX 64u       /* names that one question leads to */
#define NAM_NAPTR_MAX 8u          /* services of a domain that are looked at */
#define NAM_BLACK_MAX 256u        /* targets that failed lately */
#define NAM_BLACK_FIRST_MS 30000u /* how long one is avoided, doubling with every failure */
#define NAM_BLACK_MOST_MS 600000u
#define NAM_NOTHING_MOST_S 300u /* how long "there is no such name" is believed, at most */
#define NAM_FAILED_MS 10000u    /* how long a name whose server did not answer is not asked again */

struct nam_dns_ops {
    /** Asks the name servers for one name and type.  nam_answered() is called once for it, never
     * from inside.  name is a host's name in lower case.  Anything but HD_OK: it is not called. */
    enum hd_err (*query)(void *dns, const char *name, enum nam_type type, uint64_t ticket);
};

/* Read by other threads without order. */
struct nam_counters {
    _Atomic uint64_t asked;   /* questions of the core */
    _Atomic uint64_t queries; /* sent to name servers */
    _Atomic uint64_t failed;  /* queries without an answer, or with a failure */
    _Atomic uint64_t bad;     /* answers that could not be read or answered something else */
    _Atomic uint64_t cut;     /* answers with more records than are kept */
    _Atomic uint64_t refused; /* questions refused because too many are open */
    _Atomic uint64_t nowhere; /* questions that led to no address */
    _Atomic uint64_t avoided; /* targets that failed and go behind the others */
    _Atomic uint64_t kept;    /* gauge: names kept */
    _Atomic uint64_t open;    /* gauge: questions open */
};

struct nam_params {
    const struct nam_dns_ops *dns;
    void *dns_context;
    struct hd_hash_key key;
    hd_entropy_f entropy;
    void *entropy_context;
    uint32_t cache_max;     /* names kept */
    uint32_t questions_max; /* open at once */
    /** The answer to evt_names_ops.ask; targets NULL: none. */
    void (*answer)(void *context, uint64_t ticket, const struct evt_targets *targets);
    void *context;
};

struct nam_resolver;

/** NULL when memory is short. */
struct nam_resolver *nam_new(const struct nam_params *params);
/** Open questions are forgotten, their answers must not come any more. */
void nam_free(struct nam_resolver *names); /* accepts NULL */
/** A name server's answer to a query, octets p NULL: none came. */
void nam_answered(struct nam_resolver *names, uint64_t ticket, struct hd_slice octets,
                  uint64_t now_ms);
const struct nam_counters *nam_counters(const struct nam_resolver *names);

/* The core's port; its context is the resolver. */
extern const struct evt_names_ops nam_ops;

#endif
