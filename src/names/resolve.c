/* resolve.c - from a next hop's name to its addresses (RFC 3263 section 4, RFC 7984).
 *
 * A question is worked on from its beginning each time, with what the cache holds by then: whatever
 * is missing is asked for, all of it at once, and when all of that has been answered the work
 * begins again.  So there are no states of a half-done question, and no more rounds than steps:
 * NAPTR, SRV, addresses.  An entry that was answered since a question began counts for it even when
 * its TTL is over, so that a TTL of 0 comes to an end. */
#include <stdlib.h>
#include <string.h>

#include "names/black.h"
#include "names/cache.h"
#include "names/names.h"
#include "sip/uri.h"

#define NAMES_MAGIC 0x4e616d65u
#define JITTER                                                                                     \
    10u /* percent that a TTL may be shortened by, so that names are not asked in step             \
         */
#define TTL_LEAST_MS 1000u
#define TICKETS_MAX (1u << 20)

struct question {
    uint32_t index;
    uint64_t hash;
    uint64_t started_ms, seed;
    uint32_t missing; /* entries that it waits for */
    uint32_t queries; /* that it has led to */
    uint64_t *tickets;
    uint32_t n_tickets, cap_tickets;
    uint16_t port;
    uint8_t transport, transports4, transports6;
    bool secure;
    size_t host_n;
    char host[NAM_NAME_MAX + 1];
};

struct nam_resolver {
    unsigned magic;
    struct nam_params params;
    struct hd_rng rng;
    struct nam_cache cache;
    struct hd_table questions;
    struct hd_map by_name;
    uint64_t run;
    uint64_t now_ms;
    struct nam_black black;
    struct nam_counters counters;
};

static void
count(_Atomic uint64_t *counter, int64_t by)
{
    atomic_store_explicit(counter,
                          atomic_load_explicit(counter, memory_order_relaxed) + (uint64_t)by,
                          memory_order_relaxed);
}

/* --- asking for names ------------------------------------------------------------------------ */

static uint64_t
jittered(struct nam_resolver *names, uint64_t ms)
{
    uint64_t most = ms * JITTER / 100;

    if (most > UINT32_MAX)
        most = UINT32_MAX;
    ms -= most ? hd_rng_below(&names->rng, (uint32_t)most) : 0;
    return ms < TTL_LEAST_MS ? TTL_LEAST_MS : ms;
}

static bool
wait_for(struct nam_entry *entry, struct question *q)
{
    if (entry->n_waiters == entry->cap_waiters) {
        uint32_t cap = entry->cap_waiters ? entry->cap_waiters * 2 : 4;
        uint32_t *waiters = realloc(entry->waiters, cap * sizeof(*waiters));
        if (!waiters)
            return false;
        entry->waiters = waiters;
        entry->cap_waiters = cap;
    }
    entry->waiters[entry->n_waiters++] = q->index;
    q->missing++;
    return true;
}

static void
entry_failed(struct nam_resolver *names, struct nam_entry *entry)
{
    nam_entry_clear(entry);
    entry->state = NAM_FAILED;
    entry->stored_ms = names->now_ms;
    entry->until_ms = names->now_ms + jittered(names, NAM_FAILED_MS);
    count(&names->counters.failed, 1);
}

/* Asks for a name that is not there, or is there no longer; NULL: it cannot be asked for. */
static struct nam_entry *
query(struct nam_resolver *names, struct question *q, struct nam_entry *entry, struct hd_slice name,
      enum nam_type type)
{
    if (q->queries >= NAM_QUERIES_MAX)
        return NULL;
    q->queries++;
    if (!entry) {
        entry = nam_cache_add(&names->cache, name, type, names->run);
        if (!entry)
            return NULL;
    }
    nam_entry_clear(entry);
    entry->state = NAM_PENDING;
    struct hd_handle handle = hd_table_handle(&names->cache.entries, entry->index);
    count(&names->counters.queries, 1);
    if (names->params.dns->query(names->params.dns_context, entry->name.p, type,
                                 (uint64_t)handle.generation << 32 | handle.index))
        entry_failed(names, entry);
    return entry;
}

/* What is known of a name: NULL while that is being asked for, and when there is nothing. */
static const struct nam_set *
need(struct nam_resolver *names, struct question *q, struct hd_slice name, enum nam_type type,
     uint64_t *until_ms)
{
    for (unsigned i = 0; i <= NAM_ALIASES_MAX; i++) {
        struct nam_entry *entry = nam_cache_find(&names->cache, name, type);
        bool there = entry && entry->state != NAM_PENDING &&
                     (names->now_ms < entry->until_ms || entry->stored_ms >= q->started_ms);

        if (!there && !(entry && entry->state == NAM_PENDING))
            entry = query(names, q, entry, name, type);
        if (!entry)
            return NULL;
        entry->run = names->run;
        if (entry->state == NAM_PENDING) {
            (void)!wait_for(entry, q);
            return NULL;
        }
        if (entry->until_ms < *until_ms)
            *until_ms = entry->until_ms;
        if (entry->state == NAM_FOUND)
            return entry->set;
        if (entry->state != NAM_ALIAS)
            return NULL;
        name = entry->set->alias;
    }
    return NULL;
}

/* --- addresses ------------------------------------------------------------------------------- */

static void
add_target(struct evt_targets *found, const struct hd_addr *addr, uint16_t port,
           enum hd_transport transport, uint8_t rank)
{
    struct evt_target *target;

    for (unsigned i = 0; i < found->n; i++)
        if (found->target[i].transport == transport && found->target[i].addr.port == port &&
            hd_addr_same_ip(&found->target[i].addr, addr))
            return;
    if (found->n == EVT_TARGETS_MAX)
        return;
    target = &found->target[found->n++];
    *target = (struct evt_target){ .addr = *addr, .transport = (uint8_t)transport, .rank = rank };
    target->addr.port = port;
}

static void
add_set(struct evt_targets *found, const struct nam_set *set, uint16_t port,
        enum hd_transport transport, uint8_t rank)
{
    for (unsigned i = 0; set && i < set->n; i++)
        add_target(found, &set->record[i].addr, port, transport, rank);
}

static bool
is_localhost(struct hd_slice name)
{
    return hd_slice_eq(name, HD_LIT("localhost")) ||
           (name.n > 10 && hd_slice_eq(hd_slice_from(name, name.n - 10), HD_LIT(".localhost")));
}

/* All addresses of a host, of the families that can be used for the transport (RFC 7984 section
 * 3.1), IPv6 first as the default policy of RFC 6724 has it. */
static void
add_host(struct nam_resolver *names, struct question *q, struct hd_slice host, uint16_t port,
         enum hd_transport transport, uint8_t rank, struct evt_targets *found)
{
    bool v4 = q->transports4 >> transport & 1, v6 = q->transports6 >> transport & 1;
    const struct hd_addr loop4 = { .ip = { 127, 0, 0, 1 }, .family = 4 };
    const struct hd_addr loop6 = { .ip = { [15] = 1 }, .family = 6 };

    if (is_localhost(host)) { /* RFC 6761 section 6.3 */
        if (v6)
            add_target(found, &loop6, port, transport, rank);
        if (v4)
            add_target(found, &loop4, port, transport, rank);
        return;
    }
    const struct nam_set *six = v6 ? need(names, q, host, NAM_AAAA, &found->until_ms) : NULL;
    const struct nam_set *four = v4 ? need(names, q, host, NAM_A, &found->until_ms) : NULL;
    add_set(found, six, port, transport, rank);
    add_set(found, four, port, transport, rank);
}

/* --- services -------------------------------------------------------------------------------- */

/* RFC 2782: by priority, and within one priority by chance as the weights say.  The chance is the
 * question's own, so that it falls the same way each time its work begins anew. */
static void
order_srv(const struct nam_set *set, uint64_t seed, uint8_t order[NAM_RECORDS_MAX])
{
    for (unsigned i = 0; i < set->n; i++)
        order[i] = (uint8_t)i;
    for (unsigned i = 0; i < set->n; i++) {
        unsigned least = i, sum = 0;

        for (unsigned k = i; k < set->n; k++)
            if (set->record[order[k]].order < set->record[order[least]].order)
                least = k;
        uint16_t priority = set->record[order[least]].order;
        for (unsigned k = i; k < set->n; k++)
            if (set->record[order[k]].order == priority)
                sum += set->record[order[k]].weight;
        uint64_t chance = hd_hash_mix(seed, i) % (sum + 1);
        unsigned chosen = least;
        sum = 0;
        for (unsigned k = i; k < set->n; k++) {
            if (set->record[order[k]].order != priority)
                continue;
            chosen = k;
            sum += set->record[order[k]].weight;
            if (sum >= chance)
                break;
        }
        uint8_t moved = order[i];
        order[i] = order[chosen];
        order[chosen] = moved;
    }
}

/* Adds the targets of a service; true: it has SRV records, so nothing else is to be tried for it.
 */
static bool
add_service(struct nam_resolver *names, struct question *q, struct hd_slice service,
            enum hd_transport transport, struct evt_targets *found, uint8_t *rank)
{
    const struct nam_set *set = need(names, q, service, NAM_SRV, &found->until_ms);
    uint8_t order[NAM_RECORDS_MAX];

    if (!set)
        return false;
    order_srv(set, q->seed, order);
    for (unsigned i = 0; i < set->n && i < EVT_TARGETS_MAX; i++) {
        const struct nam_record *record = &set->record[order[i]];

        if (i > 0 && record->order != set->record[order[i - 1]].order)
            ++*rank;
        if (record->name_n == 0 || record->port == 0)
            continue; /* RFC 2782: "." says that the service is not there */
        add_host(names, q, nam_set_name(set, record), record->port, transport, *rank, found);
    }
    ++*rank;
    return true;
}

static bool
usable(const struct question *q, enum hd_transport transport)
{
    return (q->transports4 | q->transports6) >> transport & 1;
}

/* RFC 3263 section 4.1: "_sip._udp.example.com" and its like. */
static bool
add_transport(struct nam_resolver *names, struct question *q, enum hd_transport transport,
              struct evt_targets *found, uint8_t *rank)
{
    static const struct hd_slice prefix[] = { [HD_UDP] = { "_sip._udp.", 10 },
                                              [HD_TCP] = { "_sip._tcp.", 10 },
                                              [HD_TLS] = { "_sips._tcp.", 11 } };
    char text[NAM_NAME_MAX + 1];
    struct hd_slice head = prefix[transport];

    if (!usable(q, transport) || head.n + q->host_n > NAM_NAME_MAX)
        return false;
    memcpy(text, head.p, head.n);
    memcpy(text + head.n, q->host, q->host_n);
    return add_service(names, q, hd_slice(text, head.n + q->host_n), transport, found, rank);
}

/* A service of a domain that we can use: known transport, and secure where that is asked for. */
static bool
naptr_fits(const struct question *q, const struct nam_record *record)
{
    return record->transport && record->transport <= HD_TLS && record->name_n > 0 &&
           usable(q, (enum hd_transport)record->transport) && (record->secure || !q->secure);
}

/* The domain says itself which transports it has, by order and preference (RFC 3263 section 4.1).
 * True: it does. */
static bool
add_domain(struct nam_resolver *names, struct question *q, struct evt_targets *found, uint8_t *rank)
{
    const struct nam_set *set =
        need(names, q, hd_slice(q->host, q->host_n), NAM_NAPTR, &found->until_ms);
    bool taken[NAM_RECORDS_MAX] = { false }, any = false;

    for (unsigned i = 0; set && i < NAM_NAPTR_MAX; i++) {
        const struct nam_record *best = NULL;

        for (unsigned k = 0; k < set->n; k++) {
            const struct nam_record *a = &set->record[k];
            if (!taken[k] && naptr_fits(q, a) &&
                (!best || a->order < best->order ||
                 (a->order == best->order && a->weight < best->weight)))
                best = a;
        }
        if (!best)
            break;
        taken[best - set->record] = true;
        any = true;
        (void)add_service(names, q, nam_set_name(set, best), (enum hd_transport)best->transport,
                          found, rank);
    }
    return any;
}

static uint16_t
default_port(enum hd_transport transport)
{
    return transport == HD_TLS ? 5061 : 5060;
}

/* Neither transport nor port is said: NAPTR, then SRV of every transport, then addresses.  While
 * one step waits for its answers the next is not taken. */
static void
find_all(struct nam_resolver *names, struct question *q, struct evt_targets *found)
{
    static const enum hd_transport all[] = { HD_UDP, HD_TCP, HD_TLS };
    uint8_t rank = 0;
    bool any = add_domain(names, q, found, &rank);

    if (any || q->missing)
        return;
    for (size_t i = 0; i < HD_ARRAY_LEN(all); i++)
        if (!q->secure || all[i] == HD_TLS)
            any = add_transport(names, q, all[i], found, &rank) || any;
    if (any || q->missing)
        return;
    enum hd_transport transport = q->secure ? HD_TLS : HD_UDP;
    add_host(names, q, hd_slice(q->host, q->host_n), default_port(transport), transport, 0, found);
}

static void
find(struct nam_resolver *names, struct question *q, struct evt_targets *found)
{
    enum hd_transport transport = q->transport ? (enum hd_transport)q->transport
                                  : q->secure  ? HD_TLS
                                               : HD_UDP;
    uint8_t rank = 0;

    if (!q->transport && !q->port) {
        find_all(names, q, found);
        return;
    }
    if (transport > HD_TLS || !usable(q, transport))
        return;
    if (!q->port && (add_transport(names, q, transport, found, &rank) || q->missing))
        return;
    add_host(names, q, hd_slice(q->host, q->host_n), q->port ? q->port : default_port(transport),
             transport, 0, found);
}

/* --- questions ------------------------------------------------------------------------------- */

/* Those that failed lately go behind the others. */
static void
put_failed_last(struct nam_resolver *names, struct evt_targets *found)
{
    struct evt_target last[EVT_TARGETS_MAX];
    uint8_t n = 0, n_last = 0;

    for (unsigned i = 0; i < found->n; i++) {
        if (nam_black_has(&names->black, &found->target[i], names->now_ms))
            last[n_last++] = found->target[i];
        else
            found->target[n++] = found->target[i];
    }
    found->n_good = n;
    memcpy(&found->target[n], last, n_last * sizeof(last[0]));
}

/* Works on a question as far as it gets; true: it is done. */
static bool
work(struct nam_resolver *names, struct question *q, struct evt_targets *found)
{
    names->run++;
    *found = (struct evt_targets){ .until_ms = UINT64_MAX };
    find(names, q, found);
    if (q->missing)
        return false;
    if (found->until_ms == UINT64_MAX)
        found->until_ms = names->now_ms + 3600 * 1000;
    if (found->until_ms < names->now_ms + TTL_LEAST_MS)
        found->until_ms = names->now_ms + TTL_LEAST_MS;
    put_failed_last(names, found);
    if (found->n == 0)
        count(&names->counters.nowhere, 1);
    return true;
}

/* A host's name in lower case without the root's dot; names that nobody serves are refused. */
static bool
read_host(struct hd_slice host, struct question *q)
{
    size_t label = 0;

    if (host.n > 1 && host.p[host.n - 1] == '.')
        host.n--;
    if (host.n == 0 || host.n > NAM_NAME_MAX)
        return false;
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c + ('a' - 'A'));
        label = c == '.' ? 0 : label + 1;
        if ((c == '.' && (i == 0 || host.p[i - 1] == '.')) || label > 63 ||
            !((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'))
            return false;
        q->host[i] = c;
    }
    q->host_n = host.n;
    q->host[host.n] = '\0';
    /* RFC 6761 section 6.4 */
    return !hd_slice_eq(hd_slice(q->host, q->host_n), HD_LIT("invalid")) &&
           !(host.n > 8 && hd_slice_eq(hd_slice(q->host + host.n - 8, 8), HD_LIT(".invalid")));
}

static bool
same_question(const struct question *a, const struct question *b)
{
    return a->port == b->port && a->transport == b->transport && a->secure == b->secure &&
           a->transports4 == b->transports4 && a->transports6 == b->transports6 &&
           hd_slice_eq(hd_slice(a->host, a->host_n), hd_slice(b->host, b->host_n));
}

static bool
add_ticket(struct question *q, uint64_t ticket)
{
    if (q->n_tickets == q->cap_tickets) {
        uint32_t cap = q->cap_tickets ? q->cap_tickets * 2 : 2;
        uint64_t *tickets = cap <= TICKETS_MAX ? realloc(q->tickets, cap * sizeof(*tickets)) : NULL;
        if (!tickets)
            return false;
        q->tickets = tickets;
        q->cap_tickets = cap;
    }
    q->tickets[q->n_tickets++] = ticket;
    return true;
}

static struct question *
question_find(struct nam_resolver *names, const struct question *wanted)
{
    struct hd_map_walk walk;

    for (uint32_t i = hd_map_first(&walk, &names->by_name, wanted->hash); i != HD_MAP_NONE;
         i = hd_map_more(&walk)) {
        struct question *q = hd_table_at(&names->questions, i);
        if (same_question(q, wanted))
            return q;
    }
    return NULL;
}

static void
question_free(struct nam_resolver *names, struct question *q)
{
    free(q->tickets);
    hd_map_remove(&names->by_name, q->hash, q->index);
    hd_table_remove(&names->questions, q->index);
    count(&names->counters.open, -1);
}

static enum hd_err
question_new(struct nam_resolver *names, const struct question *wanted, struct question **ret_q)
{
    uint32_t index;
    void *object;
    enum hd_err err =
        hd_table_add_keyed(&names->questions, &names->by_name, wanted->hash, &index, &object);

    if (err)
        return err;
    struct question *q = object;
    *q = *wanted;
    q->index = index;
    count(&names->counters.open, 1);
    *ret_q = q;
    return HD_OK;
}

static bool
question_read(struct nam_resolver *names, const struct evt_name *name, struct question *q)
{
    memset(q, 0, sizeof(*q));
    if (!read_host(name->host, q))
        return false;
    q->port = name->port;
    q->transport = name->transport;
    q->secure = name->secure;
    q->transports4 = name->transports4;
    q->transports6 = name->transports6;
    q->hash = hd_hash_mix(hd_hash(&names->params.key, hd_slice(q->host, q->host_n)),
                          (uint64_t)q->port << 16 | (uint64_t)q->transport << 8 | q->secure);
    q->started_ms = names->now_ms;
    q->seed = hd_rng_u64(&names->rng);
    return true;
}

static enum hd_err
names_ask(void *context, const struct evt_name *name, uint64_t ticket, uint64_t now_ms,
          struct evt_targets *ret_targets)
{
    struct nam_resolver *names = context;
    struct question wanted, *q;
    enum hd_err err;

    HD_ASSERT_OBJ(names, NAMES_MAGIC);
    names->now_ms = now_ms;
    count(&names->counters.asked, 1);
    if (!question_read(names, name, &wanted))
        return HD_ENOMATCH;
    q = question_find(names, &wanted);
    if (q)
        return add_ticket(q, ticket) ? HD_EAGAIN : HD_ENOMEM;
    err = question_new(names, &wanted, &q);
    if (!err && !add_ticket(q, ticket)) {
        question_free(names, q);
        err = HD_ENOMEM;
    }
    if (err) {
        count(&names->counters.refused, err == HD_EFULL);
        return err;
    }
    if (!work(names, q, ret_targets))
        return HD_EAGAIN;
    question_free(names, q);
    return ret_targets->n ? HD_OK : HD_ENOMATCH;
}

/* Tells those who asked; they may ask again meanwhile. */
static void
question_answer(struct nam_resolver *names, struct question *q, const struct evt_targets *found)
{
    uint64_t *tickets = q->tickets;
    uint32_t n = q->n_tickets;

    q->tickets = NULL;
    question_free(names, q);
    for (uint32_t i = 0; i < n; i++)
        names->params.answer(names->params.context, tickets[i], found->n ? found : NULL);
    free(tickets);
}

/* --- answers --------------------------------------------------------------------------------- */

static void
entry_answered(struct nam_resolver *names, struct nam_entry *entry, struct hd_slice octets)
{
    struct nam_answer answer;
    enum hd_err err = HD_EAGAIN;

    if (octets.p)
        err = nam_answer_read(octets, entry->name, entry->type, &answer);
    if (err == HD_ESYNTAX)
        count(&names->counters.bad, 1);
    if (err || nam_entry_fill(entry, &answer)) {
        entry_failed(names, entry);
        return;
    }
    count(&names->counters.cut, answer.more);
    if (entry->state == NAM_NOTHING && answer.ttl_s > NAM_NOTHING_MOST_S)
        answer.ttl_s = NAM_NOTHING_MOST_S;
    entry->stored_ms = names->now_ms;
    entry->until_ms = names->now_ms + jittered(names, (uint64_t)answer.ttl_s * 1000);
}

void
nam_answered(struct nam_resolver *names, uint64_t ticket, struct hd_slice octets, uint64_t now_ms)
{
    struct hd_handle handle = { .index = (uint32_t)ticket, .generation = (uint32_t)(ticket >> 32) };
    struct nam_entry *entry;
    struct evt_targets found;

    HD_ASSERT_OBJ(names, NAMES_MAGIC);
    names->now_ms = now_ms;
    entry = hd_table_find(&names->cache.entries, handle);
    if (!entry || entry->state != NAM_PENDING)
        return;
    uint32_t *waiters = entry->waiters, n = entry->n_waiters;
    entry->waiters = NULL;
    entry->n_waiters = entry->cap_waiters = 0;
    entry_answered(names, entry, octets);
    atomic_store_explicit(&names->counters.kept, names->cache.entries.count, memory_order_relaxed);
    for (uint32_t i = 0; i < n; i++) {
        struct question *q = hd_table_at(&names->questions, waiters[i]);
        HD_ASSERT(q && q->missing > 0);
        if (--q->missing == 0 && work(names, q, &found))
            question_answer(names, q, &found);
    }
    free(waiters);
}

/* --- what became of a target ----------------------------------------------------------------- */

static void
names_failed(void *context, const struct evt_target *target, uint32_t retry_after_s,
             uint64_t now_ms)
{
    struct nam_resolver *names = context;

    HD_ASSERT_OBJ(names, NAMES_MAGIC);
    count(&names->counters.avoided, 1);
    nam_black_add(&names->black, target, retry_after_s, now_ms);
}

static void
names_works(void *context, const struct evt_target *target, uint64_t now_ms)
{
    struct nam_resolver *names = context;

    (void)now_ms;
    HD_ASSERT_OBJ(names, NAMES_MAGIC);
    nam_black_drop(&names->black, target);
}

const struct evt_names_ops nam_ops = { .ask = names_ask,
                                       .failed = names_failed,
                                       .works = names_works };

/* --- life ------------------------------------------------------------------------------------ */

struct nam_resolver *
nam_new(const struct nam_params *params)
{
    struct nam_resolver *names = calloc(1, sizeof(*names));

    if (!names)
        return NULL;
    names->magic = NAMES_MAGIC;
    names->params = *params;
    hd_rng_init(&names->rng, params->entropy, params->entropy_context);
    nam_cache_init(&names->cache, &params->key, params->cache_max);
    hd_table_init(&names->questions, sizeof(struct question), params->questions_max);
    hd_map_init(&names->by_name);
    return names;
}

void
nam_free(struct nam_resolver *names)
{
    if (!names)
        return;
    HD_ASSERT_OBJ(names, NAMES_MAGIC);
    for (uint32_t i = 0; (i = hd_table_next(&names->questions, i)) != HD_TABLE_NONE; i++)
        free(((struct question *)hd_table_at(&names->questions, i))->tickets);
    hd_table_done(&names->questions);
    hd_map_done(&names->by_name);
    nam_cache_done(&names->cache);
    names->magic = 0;
    free(names);
}

const struct nam_counters *
nam_counters(const struct nam_resolver *names)
{
    return &names->counters;
}
