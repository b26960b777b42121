/* binding.h - what is registered under an address of record: contacts with all that their REGISTER
 * said of them (RFC 3261 section 10, RFC 3327, RFC 5626, RFC 5627), and how each came and went
 * (RFC 3680).  Private to event/. */
#ifndef HD_EVENT_BINDING_H
#define HD_EVENT_BINDING_H

#include <stdbool.h>

#include "base/slice.h"
#include "event/ports.h"
#include "sip/header.h"
#include "sip/uri.h"

struct evt_shard;
struct evt_config;

#define EVT_PATH_MAX 2048u   /* octets of a Path */
#define EVT_PARAMS_MAX 1024u /* octets of a contact's parameters */
#define EVT_REG_ID_MOST 0x7fffffffu
#define EVT_GONE_MAX 16u /* contacts that are over and still shown */

/* What happened to a contact last: the event attribute of RFC 3680 section 5.3, in its words. */
enum evt_reg_event {
    EVT_REG_REGISTERED = 0,
    EVT_REG_CREATED,
    EVT_REG_REFRESHED,
    EVT_REG_SHORTENED,
    EVT_REG_EXPIRED, /* this and what follows: it is over */
    EVT_REG_DEACTIVATED,
    EVT_REG_PROBATION,
    EVT_REG_UNREGISTERED,
    EVT_REG_REJECTED,
    EVT_REG_COUNT
};

struct evt_binding {
    struct hd_slice contact; /* URI; heap: it and the next three in one block */
    struct hd_slice call_id;
    struct hd_slice params; /* of the Contact, with the leading ';', without expires, q and GRUUs */
    struct hd_slice path;   /* RFC 3327: a list of name-addr, as it is to be a Route */
    struct hd_slice instance; /* RFC 5626: inside of params, without quotes and brackets */
    uint64_t id;              /* as RFC 3680 shows it */
    uint64_t txn;             /* of the REGISTER that made or refreshed it */
    uint64_t expires_at_ms;
    int64_t since_ms;         /* when it was made; before the clock began: below 0 */
    uint64_t gruu_nonce;      /* of the newest temporary GRUU, 0: none */
    uint32_t gruu_order;      /* which contact of its instance was registered last */
    uint32_t gruu_generation; /* those of another one are void (RFC 5627 section 5.1) */
    uint32_t cseq;
    uint32_t reg_id;        /* 0: none */
    uint32_t retry_after_s; /* with EVT_REG_PROBATION */
    uint16_t q;             /* 0 to 1000 */
    uint8_t event;          /* enum evt_reg_event */
};

/* --- the answer to a REGISTER (register_answer.c) --------------------------------------------- */

struct evt_account;
struct evt_reply;
struct evt_request;

/* What of a REGISTER its answer depends on. */
struct evt_wishes {
    bool gruu;            /* it understands GRUUs */
    bool outbound;        /* it understands outbound */
    bool flow;            /* and registered a flow */
    struct hd_slice path; /* heap, when kept */
};
/** path: room for it.  False: answered with 400. */
bool evt_wishes_read(struct evt_shard *shard, struct evt_request *request, char path[EVT_PATH_MAX],
                     struct evt_wishes *wishes);
/** Ends and sends a 200 that was begun.  account may be NULL: nothing is registered. */
void evt_answer_register(struct evt_shard *shard, struct evt_reply *reply,
                         const struct evt_account *account, const struct evt_wishes *wishes);
/** The 200 of a repetition, or of a question without Contact. */
void evt_answer_again(struct evt_shard *shard, struct evt_request *request,
                      const struct evt_account *account);

/** Its word in RFC 3680; static. */
struct hd_slice evt_reg_event_name(enum evt_reg_event event);
/** A copy with strings of its own; false: memory is short. */
bool evt_binding_copy(struct evt_binding *to, const struct evt_binding *from);
void evt_bindings_free(struct evt_binding *bindings, uint32_t n);
/** Octets that it needs in an answer, at most. */
size_t evt_binding_room(const struct evt_binding *binding, struct hd_slice key);
/**
 * The parameters of a Contact that stay with it.
 * HD_ENOSPC: they are too long
 */
HD_NODISCARD enum hd_err evt_binding_params(struct hd_slice params, char ret[EVT_PARAMS_MAX],
                                            size_t *ret_n);
/** The instance of a contact's parameters, without quotes and brackets; p NULL: none. */
struct hd_slice evt_binding_instance(struct hd_slice params);
/** Path of a request as one list.  HD_ESYNTAX: a value that is no SIP URI in brackets; HD_ENOSPC.
 */
HD_NODISCARD enum hd_err evt_path_read(const struct sip_msg *msg, char ret[EVT_PATH_MAX],
                                       size_t *ret_n);
/** Whether the first or the last URI of a Path has the ob parameter (RFC 5626 section 6). */
bool evt_path_has_ob(struct hd_slice path);
/** Whether all URIs of a Path are SIPS ones. */
bool evt_path_is_sips(struct hd_slice path);
/** Whether text can be a Path. */
bool evt_path_fits(struct hd_slice path);
/** The binding that a contact is for: by instance and reg-id when it has both (RFC 5626 section 6),
 * else by its URI (RFC 3261 19.1.4), where sip and sips are the same (RFC 5630 section 5.1.1.1).
 * NULL: none. */
struct evt_binding *evt_binding_find(struct evt_binding *bindings, uint32_t n,
                                     const struct evt_binding *wanted);
bool evt_binding_same_uri(const struct evt_binding *a, const struct evt_binding *b);

/* --- GRUUs (gruu.c) -------------------------------------------------------------------------- */

/** Writes the public GRUU of an address of record and the binding's instance (RFC 5627 section
 * 5.4): a SIPS one where its contact is one (RFC 5630 section 5.2.1). */
void evt_gruu_public(struct sip_out *out, struct hd_slice key, const struct evt_binding *binding);
/** Writes a temporary one of the binding's generation and nonce; nobody can tell from two whether
 * they are of the same address. */
void evt_gruu_temporary(const struct evt_shard *shard, struct sip_out *out, struct hd_slice key,
                        const struct evt_binding *binding);
/**
 * Reads a resource key that was made of a temporary GRUU.
 * @param key  *n octets "sip:tgruu.TOKEN@domain"; becomes the key of the address of record
 * @return HD_OK; HD_ENOMATCH: it is none; HD_ESYNTAX: it looks like one that we never made
 */
HD_NODISCARD enum hd_err evt_gruu_read(const struct evt_shard *shard, char key[SIP_KEY_MAX],
                                       size_t *n, uint32_t *ret_generation);
/** Whether an instance of this address is registered whose temporary GRUUs are of this generation;
 * on its home shard. */
bool evt_gruu_is_current(struct evt_shard *shard, struct hd_slice key, uint32_t generation);
/** Whether a temporary one with this nonce would fit a resource key. */
bool evt_gruu_fits(struct hd_slice key);

#endif
