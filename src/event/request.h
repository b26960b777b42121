/* request.h - requests on their way through a shard, and their answers: copies that wait or travel,
 * whose they are, what all methods check alike, and what is known of those that were answered.
 * Private to event/; see core.h.
 *
 * Thread: the shard's.  A request lives on the stack while it is handled; a packet is on the heap
 * and belongs to whoever holds it. */
#ifndef HD_EVENT_REQUEST_H
#define HD_EVENT_REQUEST_H

#include "base/mailbox.h"
#include "event/mail.h"
#include "event/shard.h"
#include "sip/header.h"
#include "sip/msg.h"
#include "sip/out.h"
#include "sip/uri.h"

struct evt_ask;
struct evt_package;
struct evt_sub;

/* --- requests on their way ------------------------------------------------------------------- */

/* A message that has to wait or to travel: a copy on the heap, owned by whoever holds it. */
struct evt_packet {
    struct hd_mail mail;
    struct hd_flow flow;
    uint64_t arrived_us;
    uint64_t txn;                 /* transaction hash of a request */
    struct evt_packet *next;      /* behind a change under way */
    struct evt_identity identity; /* valid when authenticated */
    bool authenticated;           /* the digest and its count were accepted */
    bool stale;                   /* the count was seen before */
    bool rerouted;                /* a CANCEL on its second shard */
    bool trying_sent;             /* while it waits behind a change */
    struct evt_ask *ask;          /* it came by no message, and nothing else is set */
    unsigned from_shard;          /* EVT_MAIL_COUNT: who asks */
    uint64_t nonce_id;
    uint32_t nc;
    uint16_t n_peer; /* octets of evt_request.peer, behind the message's */
    size_t n;
    char octets[];
};

/* A request while it is handled; lives on the stack. */
struct evt_request {
    const struct hd_flow *flow;
    struct hd_slice octets;
    const struct sip_msg *msg;
    uint64_t txn;
    uint64_t arrived_us;
    struct evt_packet *packet; /* the copy that carries it, or NULL: octets are borrowed */
    bool keep_packet;          /* someone took the packet over */
    bool rerouted;
    bool known;           /* it was answered before, by a record that has moved on or gone since */
    struct hd_slice peer; /* see evt_policy_ops.authenticate */
    struct evt_identity identity;
    bool authenticated;
    bool stale;
    bool counted;        /* the same octets took their nonce's count before */
    uint8_t priority;    /* its Resource-Priority, which it may have: see sip/priority.h */
    struct evt_ask *ask; /* it came by no message: msg is NULL, octets are empty, txn is 0 */
};

/* The part of an answer that is copied from a request, kept while the store works. */
struct evt_head {
    struct hd_flow flow; /* where the answer goes */
    uint64_t arrived_us;
    struct evt_ask *ask; /* not NULL: that is answered, once, and there are no octets */
    uint64_t call;       /* of its Call-ID, for the recorder */
    size_t n;
    size_t n_stamp; /* behind them: the request's Timestamp, for a 100 */
    char octets[];  /* Via to CSeq, To with its tag */
};

/* A request that was answered 200, for its retransmissions. */
struct evt_done {
    uint64_t txn; /* 0: none */
    uint32_t expires_s;
    union {
        uint32_t etag;  /* publications: sequence of the entity-tag given */
        uint32_t quiet; /* subscriptions: 1: by 204, and no NOTIFY followed (RFC 5839) */
    };
};

/* --- retransmissions and merged requests -------------------------------------------------------
 */

/* Answers of requests that left no record, for their retransmissions: a capped ring. */
struct evt_ring_entry {
    uint64_t txn;
    uint64_t octets;   /* with EVT_RING_COUNTED: their hash; with EVT_RING_IDENTITY: txn */
    uint32_t until_ms; /* lower bits of the clock */
    uint16_t status;   /* or one of those below */
};
#define EVT_RING_WORKING 0u /* it waits for the store, a change, or its nonce's count */
#define EVT_RING_RECORD 1u  /* the record that it made or changed answers its repetitions */
#define EVT_RING_COUNTED                                                                           \
    2u                     /* the count was taken; what its octets alone decide is answered anew   \
                            */
#define EVT_RING_TRYING 4u /* as EVT_RING_WORKING, and a 100 was sent */
#define EVT_RING_IDENTITY                                                                          \
    3u /* not a transaction: what merged requests have in common; octets is the first's txn */
#define EVT_RING_SETS 4096u
#define EVT_RING_WAYS 4u

void evt_ring_put(struct evt_shard *shard, uint64_t txn, unsigned status);
/** The nonce's count of a request was taken: the same octets again are no second use of it. */
void evt_ring_counted(struct evt_shard *shard, uint64_t txn, struct hd_slice octets);
bool evt_ring_is_counted(struct evt_shard *shard, uint64_t txn, struct hd_slice octets);
bool evt_ring_find(struct evt_shard *shard, uint64_t txn, unsigned *ret_status);
void evt_ring_drop(struct evt_shard *shard, uint64_t txn);
/** Notes who was the first with an identity; false: another transaction was. */
bool evt_ring_first(struct evt_shard *shard, uint64_t identity, uint64_t txn);

/** Whether another transaction with the same From tag, Call-ID and CSeq was accepted on this shard
 * within 64*T1; true: answered with 482.  Asked once for each request, before its change is made.
 */
bool evt_merged(struct evt_shard *shard, struct evt_request *request);
/** Whether this shard is the one to ask: the Call-ID's bucket is here. */
bool evt_merged_here(const struct evt_shard *shard, const struct sip_msg *msg);
/** Asks the shard that is, for a creation under way: it is applied when the answer is here too. */
void evt_merged_ask(struct evt_shard *shard, struct evt_sub *sub, const struct sip_msg *msg);
/** The question at the Call-ID's shard; the mail goes back. */
void evt_merged_judge(struct evt_shard *shard, struct evt_mail_merged *mail);
/** And its answer; takes the mail. */
void evt_merged_judged(struct evt_shard *shard, struct evt_mail_merged *mail);

/* --- whose it is (receive.c) ------------------------------------------------------------------ */

/** As sip_resource_key, for a URI in a message that came on flow. */
HD_NODISCARD enum hd_err evt_resource_key(const struct evt_shard *shard, const struct hd_flow *flow,
                                          const struct sip_uri *uri, char key[SIP_KEY_MAX],
                                          size_t *ret_n);
/** The same for what a request is addressed to.  HD_EDENIED: a temporary GRUU that is void (RFC
 * 5627 section 5.1); only the home of its address knows that, so requests for one go there. */
HD_NODISCARD enum hd_err evt_resource_asked(struct evt_shard *shard, const struct hd_flow *flow,
                                            const struct sip_uri *uri, char key[SIP_KEY_MAX],
                                            size_t *ret_n);
bool evt_route_home(struct evt_shard *shard, const struct hd_flow *flow, struct hd_slice uri,
                    unsigned *ret_shard);
/** The bucket of a subscription that a SUBSCRIBE outside of a dialog makes. */
unsigned evt_route_bucket(struct evt_shard *shard, const struct hd_flow *flow,
                          const struct sip_msg *msg);
bool evt_direct(const struct evt_shard *shard, const struct hd_flow *flow,
                const struct sip_msg *msg);
/** Passes a request on to another shard, once; false when memory is short. */
bool evt_forward(struct evt_shard *shard, struct evt_request *request, unsigned to);

/* --- handling (request.c) ----------------------------------------------------------------------
 */

void evt_request_handle(struct evt_shard *shard, struct evt_request *request);
/** Handles a packet from the front; takes it over. */
void evt_packet_handle(struct evt_shard *shard, struct evt_packet *packet);
/** True: it is among those that wait; it is dropped. */
bool evt_request_waits(struct evt_shard *shard, const struct evt_request *request,
                       const struct evt_packet *head);
/** Puts an authenticated request behind a change under way; answers 500 or 503 when too many wait.
 */
void evt_request_wait(struct evt_shard *shard, struct evt_request *request,
                      struct evt_packet ***end, struct evt_packet **head, uint32_t *count);
/** True: it was answered before, and no record knows its answer any more; it is dropped. */
bool evt_request_outdated(struct evt_shard *shard, const struct evt_request *request);
/** Handles what waited behind a change that is over, until one waits again. */
struct evt_packet *evt_waiting_take(struct evt_shard *shard, struct evt_packet **head,
                                    struct evt_packet ***end, uint32_t *count);
enum evt_authed { EVT_AUTHED = 1, EVT_ANSWERED /* or sent for its count */ };
/** Makes sure who asks.  EVT_ANSWERED: the request is dealt with. */
enum evt_authed evt_request_authenticate(struct evt_shard *shard, struct evt_request *request);
/** Header checks that all requests with event state share: 420 for Require, 415 for
 * Content-Encoding.  True: answered. */
bool evt_request_unsupported(struct evt_shard *shard, struct evt_request *request);
/** The package of the Event header, or NULL: answered with 489 or 400. */
const struct evt_package *evt_request_package(struct evt_shard *shard, struct evt_request *request,
                                              struct sip_event *ret_event);
/** The resource key of a URI in the request, or false: answered with 404, 414, 416, 400. */
bool evt_request_address(struct evt_shard *shard, struct evt_request *request, struct hd_slice uri,
                         char key[SIP_KEY_MAX], size_t *ret_n);
/** The resource key of the Request-URI, or false: answered as well, with 480 when it is a sips one
 * and came in the clear. */
bool evt_request_resource(struct evt_shard *shard, struct evt_request *request,
                          char key[SIP_KEY_MAX], size_t *ret_n);

void evt_subscribe(struct evt_shard *shard, struct evt_request *request);
void evt_publish(struct evt_shard *shard, struct evt_request *request);
void evt_register(struct evt_shard *shard, struct evt_request *request);

/* --- answers (answer.c) ------------------------------------------------------------------------
 */

/* An answer being written. */
struct evt_reply {
    struct sip_out out;
    struct hd_flow flow;
    uint64_t call; /* of the Call-ID, for the recorder */
    unsigned status;
};
/** Begins an answer to a request; false when memory is short. */
bool evt_reply_begin(struct evt_shard *shard, struct evt_request *request, unsigned status,
                     struct hd_slice phrase, struct hd_slice to_tag, struct evt_reply *reply);
/** Begins an answer from a kept head. */
bool evt_reply_begin_head(struct evt_shard *shard, const struct evt_head *head, unsigned status,
                          struct evt_reply *reply);
/** Accepts NULL; an ask that was not answered is told that the server stops. */
void evt_head_free(struct evt_head *head);
void evt_reply_send(struct evt_shard *shard, struct evt_reply *reply);
/** A refusal without further headers; codes that depend on state leave their trace in the ring. */
void evt_refuse(struct evt_shard *shard, struct evt_request *request, unsigned status,
                struct hd_slice phrase);
/** What every refusal does besides its answer: counters, ring, the source's budget. */
void evt_refused(struct evt_shard *shard, struct evt_request *request, unsigned status);
/** 500 or 503 with Retry-After. */
void evt_refuse_later(struct evt_shard *shard, struct evt_request *request, unsigned status,
                      struct hd_slice phrase);
void evt_refuse_head(struct evt_shard *shard, struct evt_head *head, unsigned status);
/** A 100 to a request that waits for the store, and what marks it in the ring. */
void evt_trying(struct evt_shard *shard, const struct evt_head *head, uint64_t txn);
/** The same to one that is at hand. */
void evt_request_trying(struct evt_shard *shard, struct evt_request *request);
/** Marks a request as under way in the ring. */
void evt_request_working(struct evt_shard *shard, const struct evt_request *request);
/** A 100 to each that has waited long enough behind a change. */
void evt_waiting_trying(struct evt_shard *shard, struct evt_packet *head);
/** When the next of them has, in milliseconds; UINT64_MAX: none. */
uint64_t evt_waiting_due(const struct evt_packet *head);
/** route: with the request's Record-Route, as a dialog's answer has it. */
struct evt_head *evt_head_new(struct evt_shard *shard, struct evt_request *request,
                              struct hd_slice to_tag, bool route);
/** Our address with its port, as text. */
void evt_out_local(struct evt_shard *shard, struct sip_out *out, const struct hd_addr *addr);
void evt_out_contact(struct evt_shard *shard, struct sip_out *out, const struct hd_flow *flow,
                     bool secure);
void evt_out_allow_events(struct evt_shard *shard, struct sip_out *out);
/** Accept with the first n types of a package, and one more, which may be empty. */
void evt_out_accept(const struct evt_package *package, size_t n, struct hd_slice more,
                    struct sip_out *out);
void evt_out_allow(const struct evt_shard *shard, struct sip_out *out);
void evt_send(struct evt_shard *shard, const struct hd_flow *flow, size_t n, char *octets,
              uint64_t owner);
/** The duration granted for one asked (UINT32_MAX: none asked); 0 stays 0.  HD_ERANGE: too brief,
 * 423. */
HD_NODISCARD enum hd_err evt_grant_asked(struct evt_shard *shard, uint32_t asked_s, uint32_t min_s,
                                         uint32_t default_s, uint32_t max_s, bool hour_is_enough,
                                         uint32_t *ret_s);
/** The same for the Expires of a request; false: it was answered 423 or 400. */
bool evt_request_granted(struct evt_shard *shard, struct evt_request *request,
                         const struct evt_package *package, uint32_t default_s, bool hour_is_enough,
                         uint32_t *ret_s);
void evt_refuse_brief(struct evt_shard *shard, struct evt_request *request, uint32_t min_s);
/** Answers 480 with the Warning "SIPS Not Allowed" (RFC 5630 section 5.1.2). */
void evt_refuse_sips(struct evt_shard *shard, struct evt_request *request, struct hd_slice phrase);

/* --- requests that came by no message (ask.c) ------------------------------------------------- */

/** Handles one from the front. */
void evt_ask_handle(struct evt_shard *shard, struct evt_ask *ask);
/** Refuses one; phrase is copied. */
void evt_ask_refuse(struct evt_ask *ask, unsigned status, struct hd_slice phrase,
                    uint32_t retry_after_s);
/** A waiting packet that will not be handled: an ask in it is told. */
void evt_packet_drop(struct evt_packet *packet);
/** Writes what is in flight, and tells it; false: memory is short. */
bool evt_ask_tell(struct evt_shard *shard, const struct evt_sub *sub);
/** It is subscribed. */
void evt_ask_subscribed(struct evt_head *head, const struct evt_sub *sub, uint32_t expires_s);
/** A publication of theirs (publish.c). */
void evt_publish_asked(struct evt_shard *shard, struct evt_request *request);

#endif
