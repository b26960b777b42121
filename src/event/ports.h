/* ports.h - the interfaces that the core calls outward; the layers above implement them.
 * Thread: each is called on the shard that holds the context, but where it says otherwise. */
#ifndef HD_EVENT_PORTS_H
#define HD_EVENT_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/bytes.h"
#include "base/slice.h"
#include "event/config.h"
#include "sip/dialog_id.h"
#include "sip/msg.h"
#include "sip/out.h"
#include "sip/rate.h"

/* --- sending ------------------------------------------------------------------------------- */

struct evt_net_ops {
    /** Room for one message of up to size octets; NULL when memory is short.  Valid until the next
     * call. */
    char *(*reserve)(void *net, size_t size);
    /** Sends n octets of the last reserve.  TCP with flow->conn 0: any connection to flow->remote,
     * or a new one.
     *  @param owner  not 0: evt_shard_send_failed() is called with it when it could not be sent */
    void (*commit)(void *net, const struct hd_flow *flow, size_t n, uint64_t owner);
    /** The SIP domains that the verified certificate of a connection's peer names (RFC 5922), a
     * blank between two; empty: none.  Borrowed until the next call in.  May be NULL: nobody. */
    struct hd_slice (*peer)(void *net, uint64_t conn);
    /** A number for hd_flow.host: the name that a next hop was looked up by, which the certificate
     * of a connection with TLS to it must have (RFC 5922 section 7.3).  A reference; 0: memory is
     * short.  Both may be NULL. */
    uint32_t (*host)(void *net, struct hd_slice name);
    void (*host_done)(void *net, uint32_t host);
};

/* --- storing ------------------------------------------------------------------------------- */

enum evt_record_kind {
    EVT_RECORD_SUBSCRIPTION = 1,
    EVT_RECORD_PUBLICATION,
    EVT_RECORD_BINDINGS,
    EVT_RECORD_SEEN,
    EVT_RECORD_WAITING, /* a subscription that nobody has decided about */
    EVT_RECORD_CONDITION
};

struct evt_store_ops {
    /**
     * Queues one record: insert or replace by (kind, id); an empty record removes.  Partitioned by
     * bucket: records of one bucket are kept in the order given.  The outcome is always posted
     * later (evt_stored_post), never told from inside the call.
     * @param record  borrowed for the call
     * @return HD_OK: an outcome with this ticket will be posted to the shard; anything else: none
     * will
     */
    enum hd_err (*put)(void *store, unsigned shard, unsigned bucket, enum evt_record_kind kind,
                       uint64_t id, struct hd_slice record, uint64_t ticket);
};

/* --- who may do what ------------------------------------------------------------------------ */

/* How somebody has shown who he is. */
enum evt_proof {
    EVT_PROOF_NONE = 0,
    EVT_PROOF_FROM,     /* he says so, on a listener without authentication */
    EVT_PROOF_DIGEST,   /* RFC 3261 section 22 */
    EVT_PROOF_ASSERTED, /* a trusted hop says so (RFC 3325) */
    EVT_PROOF_TLS,      /* his certificate (RFC 5922) */
    EVT_PROOF_TOKEN     /* a token that was made for him (RFC 6750) */
};
struct hd_slice evt_proof_word(enum evt_proof proof);

struct evt_identity {
    char key[SIP_KEY_MAX]; /* canonical "sip:user@domain"; length key_len, 0: nobody */
    uint8_t key_len;
    uint8_t proof;      /* enum evt_proof */
    bool authenticated; /* by more than his word */
    bool proven;        /* the source returned a nonce bound to it, or is trusted */
    bool again;         /* no new request: the rules have changed for what he has */
};

enum evt_auth {
    EVT_AUTH_OK = 1,    /* identity is set */
    EVT_AUTH_CHALLENGE, /* 401; nothing or nothing usable was presented */
    EVT_AUTH_STALE,     /* 401 with stale=true: right but for an old or used nonce */
    EVT_AUTH_WRONG,     /* 401, and it counts against the source: user or response is wrong */
    EVT_AUTH_SLOWED,    /* the same, also when it is right: too many were wrong before */
    EVT_AUTH_BAD        /* 400 with reason */
};

struct evt_auth_result {
    struct evt_identity identity;
    bool has_count; /* the nonce's count must be taken on the nonce's shard before it is OK */
    uint64_t nonce_id;
    uint32_t nc;
    const char *reason; /* for EVT_AUTH_BAD, static */
};

enum evt_decision {
    EVT_DENY = 0,
    EVT_ALLOW,
    EVT_CONFIRM, /* pending */
    EVT_POLITE,
    EVT_OWN /* of watcher information: his own entry (RFC 3857 section 4.6) */
};

struct evt_verdict {
    enum evt_decision decision;
    uint32_t rule;     /* which rule decided; 0: the package's default */
    uint8_t transform; /* EVT_ALLOW: the transformation through which he sees it; 0: all of it */
};
#define EVT_TRANSFORM_FIRST 4 /* the least number of a transformation; at most 255 */

struct evt_policy_ops {
    /** @param peer  the SIP domains, and the addresses of users ("user@domain"), that the verified
     * certificate of its connection names (RFC 5922), domains in lower case, a blank between two;
     * empty: none */
    enum evt_auth (*authenticate)(void *policy, const struct evt_config *config,
                                  const struct sip_msg *request, const struct hd_flow *flow,
                                  struct hd_slice peer, uint64_t now_us,
                                  struct evt_auth_result *ret_result);
    /** Takes a count of a nonce whose window lives on this shard: true when it is new. */
    bool (*count)(void *policy, uint64_t nonce_id, uint32_t nc, uint64_t now_us);
    /** Writes the WWW-Authenticate lines for a request (NULL: one that is not SIP's); the nonce's
     * window will live on this shard. */
    void (*challenge)(void *policy, const struct evt_config *config, const struct sip_msg *request,
                      const struct hd_flow *flow, uint64_t now_us, bool stale, struct sip_out *out);
    struct evt_verdict (*subscribe)(void *policy, const struct evt_config *config,
                                    const struct evt_identity *watcher, struct hd_slice resource,
                                    const struct evt_package *package);
    struct evt_verdict (*publish)(void *policy, const struct evt_config *config,
                                  const struct evt_identity *publisher, struct hd_slice resource,
                                  const struct evt_package *package);
    /** Whether a request that came by flow, from a peer as above, may use the values of a
     * namespace: its user may, or it comes by a trusted hop (RFC 4412 section 11.2). */
    bool (*priority)(void *policy, const struct evt_config *config, const struct evt_identity *user,
                     const struct hd_flow *flow, struct hd_slice peer,
                     const struct evt_priority *of);
    struct evt_verdict (*registration)(void *policy, const struct evt_config *config,
                                       const struct evt_identity *user, struct hd_slice resource);
    /**
     * What a transformation leaves of a document; called once for a snapshot and a transformation.
     * The same number means the same transformation as long as a verdict gives it.
     * @param ret_doc  one reference, the caller's; NULL: nothing is shown, also when the document
     * cannot be read
     * @return HD_OK, HD_ENOMEM
     */
    enum hd_err (*transform)(void *policy, const struct evt_config *config,
                             const struct evt_package *package, uint8_t transform,
                             struct evt_doc *doc, struct evt_doc **ret_doc);
};

/* --- names (RFC 3263) ------------------------------------------------------------------------ */

#define EVT_TARGETS_MAX 16u

/* A next hop that a URI names and does not spell out as an address. */
struct evt_name {
    struct hd_slice host; /* as written */
    uint16_t port;        /* 0: not said */
    uint8_t transport;    /* enum hd_transport, 0: not said */
    bool secure;          /* sips */
    /* what can be used of what is found: a bit each by enum hd_transport */
    uint8_t transports4, transports6;
};

struct evt_target {
    struct hd_addr addr;
    uint8_t transport;
    uint8_t rank; /* targets of one rank are as good as each other */
};

/* Where a next hop is, the preferred first. */
struct evt_targets {
    uint64_t until_ms; /* it is to be asked for again then */
    uint8_t n;
    uint8_t n_good; /* the rest failed lately */
    struct evt_target target[EVT_TARGETS_MAX];
};

struct evt_names_ops {
    /**
     * Where is it?  name is borrowed for the call.
     * @return HD_OK with ret_targets (n > 0); HD_EAGAIN: evt_shard_named() will be called with the
     * ticket, never from inside the call; HD_ENOMATCH: nowhere; HD_EFULL, HD_ENOMEM: cannot be
     * asked
     */
    enum hd_err (*ask)(void *names, const struct evt_name *name, uint64_t ticket, uint64_t now_ms,
                       struct evt_targets *ret_targets);
    /** A target did not answer or said that it cannot: it goes behind the others for a while.
     * retry_after_s: how long it says so itself, 0: not said. */
    void (*failed)(void *names, const struct evt_target *target, uint32_t retry_after_s,
                   uint64_t now_ms);
    /** A target answered. */
    void (*works)(void *names, const struct evt_target *target, uint64_t now_ms);
};

/* --- what a subscriber wants to be told (RFC 4660) ---------------------------------------------
 */

#define EVT_FILTER_MAGIC 0x45464c54u
#define EVT_FILTER_TRIGGERS_MOST 32u
#define EVT_FILTER_SOURCE_MOST 32768u /* octets of all that a subscription's filter is made of */
#define EVT_FILTER_PHRASE 160

/* A filter, compiled: the part that the core looks at.  Immutable; of one shard.  The same text is
 * the same object. */
struct evt_filter {
    unsigned magic;
    uint32_t refs;
    uint32_t id;   /* unlike all others of its shard, and not 0: a part of the view's key */
    bool triggers; /* not every change is told */
    bool own; /* by conditions of ours: an owed NOTIFY has a body only while one of them is true */
    bool levels;            /* some conditions have a state of their own: armed, pending or fired */
    bool differs;           /* some compare with the document that was sent last */
    bool signs;             /* some wait for a sign of life */
    bool cuts;              /* the document is cut to what is wanted */
    bool chooses;           /* to the dialogs that the Event header names (RFC 4235 section 3.2) */
    bool partial;           /* to nothing but these: what changed of them can be told alone */
    size_t state_size;      /* octets of the state of its conditions */
    struct hd_slice source; /* what it was made of; kept by the store */
};

/* What a SUBSCRIBE says of filters. */
struct evt_filter_request {
    struct hd_slice resource, package;
    struct hd_slice before;     /* the source of the filter in force; empty: none */
    struct hd_slice type, body; /* of the request; no body: as before */
    struct hd_slice profile;    /* named in the Event header; p NULL: none */
    /* The dialogs that the Event header names, call_id.p NULL: none; NULL: those of before. */
    const struct sip_dialog_id *dialog;
};

/* What there is of the dialogs that a filter chooses. */
enum evt_chosen { EVT_CHOSEN_NONE = 0, EVT_CHOSEN_LIVING, EVT_CHOSEN_OVER };

/* What came of looking at conditions with a state; a bit for each trigger. */
struct evt_step {
    uint32_t fired;   /* became true */
    uint32_t cleared; /* is armed again, and that is to be told */
    uint32_t on;      /* is true */
    uint64_t due_ms;  /* when time alone may change it; UINT64_MAX: never */
    bool changed;     /* the state is another than before: it is to be kept */
    uint32_t missing; /* conditions whose value the document lacks */
};

struct evt_reading; /* a document as conditions look at it */

struct evt_filter_ops {
    /**
     * The filter that a subscription has after a request, with a reference for the caller.
     * *ret_filter NULL: none.
     * @param ret_phrase  for the answer, on the errors with a status
     * @return HD_OK; HD_ENOTSUP (415) not a filter; HD_ESYNTAX (400); HD_EDENIED (488) one that
     * cannot be kept; HD_ENOMEM
     */
    enum hd_err (*make)(void *filters, const struct evt_filter_request *request,
                        struct evt_filter **ret_filter, char ret_phrase[EVT_FILTER_PHRASE]);
    void (*unref)(void *filters, struct evt_filter *filter);
    /** Reads a document for the conditions of a filter, and of all others that choose no dialogs
     * when it chooses none; doc NULL is an empty one.  NULL: memory is short. */
    struct evt_reading *(*read)(void *filters, const struct evt_filter *filter,
                                struct evt_doc *doc);
    void (*unread)(void *filters, struct evt_reading *reading);
    /** The state of conditions that have seen nothing yet: state_size octets. */
    void (*begin)(const struct evt_filter *filter, void *state, uint64_t now_ms);
    /**
     * Looks at the conditions.
     * @param reading  the document; NULL: only time has passed
     * @param sign     the resource gave a sign of life
     */
    void (*step)(const struct evt_filter *filter, void *state, struct evt_reading *reading,
                 bool sign, uint64_t now_ms, struct evt_step *ret_step);
    /** Which triggers the way from one document to another fires; before NULL: there was none. */
    uint32_t (*compare)(const struct evt_filter *filter, const void *state,
                        struct evt_reading *before, struct evt_reading *now);
    /** The part of a document that is wanted, NULL: none; and what there is of the dialogs that
     * the filter chooses.  HD_OK, HD_ENOMEM. */
    enum hd_err (*cut)(void *filters, const struct evt_filter *filter, struct evt_doc *doc,
                       struct evt_doc **ret_doc, enum evt_chosen *ret_chosen);
    void (*save)(const struct evt_filter *filter, const void *state, uint64_t now_ms,
                 struct hd_bytes_out *out);
    /** HD_OK; HD_ESYNTAX: not a state of this filter, which is as it was. */
    enum hd_err (*load)(const struct evt_filter *filter, void *state, uint64_t now_ms,
                        struct hd_slice saved);
    /** The name of a trigger, a token. */
    struct hd_slice (*name)(const struct evt_filter *filter, unsigned trigger);
    /** The conditions in words, with what they were compared with (reading NULL: nothing): at most
     * cap octets, NUL included; returns the length. */
    size_t (*say)(const struct evt_filter *filter, const void *state, struct evt_reading *reading,
                  char *text, size_t cap);
};

/* --- subscribers without SIP ----------------------------------------------------------------- */

/* What a NOTIFY would say. */
struct evt_tidings {
    uint64_t sub, conn; /* of the subscription, and of the flow that it came by */
    uint32_t branch;    /* to be given back when it was taken */
    uint32_t expires_s, retry_after_s;
    bool pending, terminated;
    struct hd_slice reason;     /* of the end, else empty */
    struct hd_slice type, body; /* no type: there is nothing to see */
    struct hd_slice fired;      /* conditions, as in Herald-Fired; empty: none */
    uint8_t version[16]; /* of what is seen: the same for the same type and body, unlike others */
    struct sip_rates rates; /* that are granted, to who asked for any (RFC 6446) */
};
struct evt_face_ops {
    /** Tells a subscription that was made by an evt_ask; copies what it keeps.  EVT_ASK_TAKEN says
     * later that it has arrived.  False: memory is short, it is tried again. */
    bool (*tell)(void *face, unsigned shard, const struct evt_tidings *tidings);
};

/* --- the record of decisions ------------------------------------------------------------------ */

enum evt_did {
    EVT_DID_ACCEPT = 1, /* a SUBSCRIBE was accepted; detail: rule */
    EVT_DID_REFUSE,     /* a request was refused; detail: status */
    EVT_DID_SEND,       /* a NOTIFY left; detail: CSeq */
    EVT_DID_RESEND,     /* the same again */
    EVT_DID_ANSWERED,   /* a final response; detail: status */
    EVT_DID_TIMEOUT,    /* Timer F */
    EVT_DID_HOLD,       /* held back; detail: enum evt_held */
    EVT_DID_DROP,       /* an event was dropped from a full queue */
    EVT_DID_END,        /* the subscription ended; detail: enum evt_reason */
    EVT_DID_PUBLISH,    /* a publication was applied; detail: snapshot number */
    EVT_DID_EXPIRE,     /* a publication expired */
    EVT_DID_TELL,       /* a subscriber without SIP was told; detail: CSeq */
    EVT_DID_FILTER,     /* conditions were looked at; id: theirs, or the subscription's when they
                           compare with what it was sent; detail: 0 nothing, 1 fired, 2 cleared */
    EVT_DID_DENY,       /* policy refused; id: the request's call, detail: the rule */
    EVT_DID_UNKEPT,     /* the store could not keep what a request asked for; id: its call */
    EVT_DID_PRIORITY,   /* it goes first; detail: its Resource-Priority, see sip/priority.h */
};
enum evt_held {
    EVT_HELD_IN_FLIGHT = 1,
    EVT_HELD_PACE,
    EVT_HELD_WINDOW,
    EVT_HELD_BACKOFF,
    EVT_HELD_PARKED,
    EVT_HELD_UNPROVEN,
    EVT_HELD_ROUTE,
    EVT_HELD_NAME, /* its next hop is being looked up */
    EVT_HELD_RATE  /* the subscriber's max-rate (RFC 6446 section 5) */
};

/* --- the audit trail -------------------------------------------------------------------------- */

enum evt_audited {
    EVT_AUDIT_BEGAN = 1, /* a subscription was accepted */
    EVT_AUDIT_FETCHED,   /* a state was shown once */
    EVT_AUDIT_CHANGED,   /* the rules changed what a subscriber sees */
    EVT_AUDIT_ENDED
};
struct evt_audit {
    enum evt_audited what;
    uint8_t state, transform, proof, reason; /* enum evt_sub_state, evt_transform, evt_proof,
                                                evt_reason */
    uint32_t rule;                           /* that decided, 0: the package's default */
    uint64_t id;                             /* of the subscription */
    struct hd_slice resource, package, watcher;
    struct hd_addr address; /* from where the last SUBSCRIBE came */
};
struct evt_audit_ops {
    /** Notes a line; never waits.  What cannot be noted is counted there. */
    void (*note)(void *audit, unsigned shard, const struct evt_audit *row);
};

/* --- the time of day ---------------------------------------------------------------------------
 */

/** Seconds since the beginning of 1970 (UTC), for who is told a date; nothing else is measured by
 * it.  0: this machine does not know. */
typedef uint64_t (*evt_wall_f)(void *context);

/* --- all of them, for one shard -------------------------------------------------------------- */

struct evt_ports {
    const struct evt_net_ops *net;
    void *net_context;
    const struct evt_store_ops *store;
    void *store_context;
    const struct evt_policy_ops *policy;
    void *policy_context;
    const struct evt_names_ops *names; /* NULL: names are not looked up */
    void *names_context;
    const struct evt_audit_ops *audit; /* may be NULL */
    void *audit_context;
    const struct evt_filter_ops *filter; /* may be NULL: bodies of SUBSCRIBEs are refused */
    void *filter_context;
    const struct evt_face_ops *face; /* may be NULL: nobody posts an evt_ask */
    void *face_context;
    evt_wall_f wall_s; /* may be NULL: nobody knows */
    void *wall_context;
};

#endif
