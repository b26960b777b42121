/* txn.c - what identifies a transaction, and the timers of non-INVITE transactions.
 *
 * A transaction is named by a keyed hash of 64 bits, so that nobody outside can make two requests
 * that share one. */
#include "sip/txn.h"

#include "sip/chars.h"

uint32_t
sip_timer_e_next(uint32_t interval_ms)
{
    return interval_ms >= SIP_T2_MS / 2 ? SIP_T2_MS : 2 * interval_ms;
}

/* Adds one part to a hash; an empty part counts, so that moving octets from one part to the next
 * differs. */
static uint64_t
part(const struct hd_hash_key *key, uint64_t hash, struct hd_slice text)
{
    return hd_hash_mix(hash, hd_hash(key, text));
}

/* sent-by is compared without regard to case (17.2.3); names are at most 255 octets (RFC 1035). */
static uint64_t
part_host(const struct hd_hash_key *key, uint64_t hash, const struct sip_via *via)
{
    char host[256];
    const size_t n = via->host.n < sizeof(host) ? via->host.n : sizeof(host);
    for (size_t i = 0; i < n; i++)
        host[i] = sip_lower(via->host.p[i]);
    return hd_hash_mix(part(key, hash, hd_slice(host, n)), via->port);
}

enum kind { KIND_BRANCH = 1, KIND_OLD };

uint64_t
sip_txn_hash_as(const struct hd_hash_key *key, const struct sip_msg *request,
                struct hd_slice method)
{
    const struct sip_via *via = &request->via;
    if (hd_slice_eq(method, HD_LIT("ACK")))
        method = HD_LIT("INVITE");
    /* The magic cookie says that the branch is unique (8.1.1.7). */
    if (via->branch.n > 7 && hd_slice_istarts(via->branch, HD_LIT("z9hG4bK"))) {
        uint64_t hash = part(key, KIND_BRANCH, via->branch);
        hash = part_host(key, hash, via);
        return part(key, hash, method);
    }
    uint64_t hash = part(key, KIND_OLD, request->uri);
    hash = part(key, hash, request->to_tag);
    hash = part(key, hash, request->from_tag);
    hash = part(key, hash, request->call_id);
    hash = hd_hash_mix(hash, request->cseq.number);
    hash = part(key, hash, via->value);
    return part(key, hash, method);
}

uint64_t
sip_txn_hash(const struct hd_hash_key *key, const struct sip_msg *request)
{
    return sip_txn_hash_as(key, request, request->method_name);
}
