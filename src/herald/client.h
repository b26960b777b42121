/* client.h - a SIP user agent without sockets: client transactions, answers to digest challenges,
 * and the server side of NOTIFY (RFC 3261 sections 8, 12, 17.1.2 and 22).
 *
 * Time comes in as milliseconds of a monotonic clock, messages come in by ua_client_packet and
 * leave by a callback, so a 32-second timer is tested in microseconds. Thread: one.  Memory: the
 * client owns its transactions and its list of answers. */
#ifndef HERALD_CLIENT_H
#define HERALD_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/rng.h"
#include "base/slice.h"
#include "base/wheel.h"
#include "sip/header.h"
#include "sip/msg.h"
#include "sip/out.h"

struct ua_client;

/** Octets of a bounded text that is kept in a struct. */
struct ua_uri {
    char p[SIP_MAX_URI];
    size_t n;
};
static inline struct hd_slice
ua_uri_slice(const struct ua_uri *uri)
{
    return hd_slice(uri->p, uri->n);
}
/** HD_ERANGE: longer than SIP_MAX_URI, nothing is written then. */
HD_NODISCARD enum hd_err ua_uri_set(struct ua_uri *uri, struct hd_slice text);

/* What the requests of one Call-ID share, and what is known of the peer once there is a dialog
 * (RFC 3261 section 12).  A PUBLISH has no dialog: peer stays empty. */
#define UA_ROUTE_MAX 4096
struct ua_dialog {
    char call_id[40];
    size_t call_id_n;
    char local_tag[16];
    size_t local_tag_n;
    uint32_t cseq; /* the last one used by us */
    struct ua_uri from, to;
    char remote_tag[SIP_MAX_TOKEN];
    size_t remote_tag_n;      /* 0: no dialog yet */
    struct ua_uri target;     /* remote target */
    char route[UA_ROUTE_MAX]; /* route set in order */
    size_t route_n;
};
/** A new Call-ID and From tag, nothing known of the peer.  HD_ERANGE: a URI is too long. */
HD_NODISCARD enum hd_err ua_dialog_init(struct ua_dialog *dialog, struct hd_rng *rng,
                                        struct hd_slice from, struct hd_slice to);
/** The peer's tag, route set and target from a NOTIFY that creates the dialog (RFC 6665 4.4.1).
 * HD_ESYNTAX, HD_ERANGE, HD_ENOSPC: something in it cannot be kept; the dialog is unchanged. */
HD_NODISCARD enum hd_err ua_dialog_create(struct ua_dialog *dialog, const struct sip_msg *notify);
/** A target refresh: the Contact of a request or of a 2xx, when it has one that can be read. */
void ua_dialog_retarget(struct ua_dialog *dialog, const struct sip_msg *msg);
static inline struct hd_slice
ua_dialog_call_id(const struct ua_dialog *dialog)
{
    return hd_slice(dialog->call_id, dialog->call_id_n);
}
static inline struct hd_slice
ua_dialog_local_tag(const struct ua_dialog *dialog)
{
    return hd_slice(dialog->local_tag, dialog->local_tag_n);
}
static inline struct hd_slice
ua_dialog_remote_tag(const struct ua_dialog *dialog)
{
    return hd_slice(dialog->remote_tag, dialog->remote_tag_n);
}

/* How a request ended.  In every case but UA_ANSWERED the request has no meaning for the server's
 * state that we know of. */
enum ua_outcome {
    UA_ANSWERED = 0,  /* a final response that is not a challenge we could answer: status, msg */
    UA_TIMEOUT,       /* Timer F: no final response in 64*T1 */
    UA_UNREACHABLE,   /* the transport said no: refused, reset, no route */
    UA_NO_PASSWORD,   /* challenged, and there are no credentials: msg is the challenge */
    UA_BAD_PASSWORD,  /* challenged again after the credentials were given: msg is the challenge */
    UA_ODD_CHALLENGE, /* no challenge in the response that we can answer: msg */
    UA_BROKEN,        /* the challenge could not be answered: memory was short, or too long: msg */
};
struct ua_answer {
    enum ua_outcome outcome;
    unsigned status;           /* of msg; 0 without */
    const struct sip_msg *msg; /* borrowed for the call; NULL for the first two failures */
};
typedef void (*ua_answer_f)(void *context, const struct ua_answer *answer);

struct ua_request {
    enum sip_method method;
    struct ua_dialog *dialog; /* outlives the transaction; its cseq is counted up */
    struct hd_slice uri;     /* Request-URI outside of a dialog; with a dialog its target is used */
    struct hd_slice headers; /* further header fields, each with CRLF; copied */
    struct hd_slice type;    /* Content-Type, used with a body */
    struct hd_slice body;    /* copied */
    bool contact;            /* whether a Contact is written */
    ua_answer_f answer;      /* called once, unless ua_request_forget comes before */
    void *context;
};

/** Sends octets; again is the number of the retransmission, 0 for the first time.  owner is given
 * back by ua_client_failed. */
typedef void (*ua_send_f)(void *context, const struct hd_flow *flow, struct hd_slice octets,
                          unsigned again, uint64_t owner);

/* Somebody who takes NOTIFYs: a subscription.  The first that knows the dialog answers. */
struct ua_reply {
    unsigned status;
    struct hd_slice reason;  /* empty: the registered phrase */
    struct hd_slice headers; /* static text, each line with CRLF */
};
struct ua_listener {
    struct ua_listener *next;
    void *context;
    /** False: not mine.  True: ret_reply says how to answer. */
    bool (*notify)(void *context, const struct sip_msg *msg, const struct hd_flow *flow,
                   struct ua_reply *ret_reply);
};

struct ua_params {
    void *context;
    ua_send_f send;
    struct hd_rng *rng; /* outlives the client */
    uint64_t now_ms;
    enum hd_transport transport;  /* HD_UDP, HD_TCP or HD_TLS: for requests outside of a dialog */
    struct hd_addr local;         /* what Via and Contact say; never a wildcard */
    struct hd_addr server;        /* next hop of requests outside of a dialog */
    struct hd_slice contact_user; /* user part of our Contact, may be empty; copied */
    struct hd_slice username, password; /* for digest; username empty: none; copied */
};
/** HD_ENOMEM; HD_ERANGE: a text is longer than 255 octets. */
HD_NODISCARD enum hd_err ua_client_new(const struct ua_params *params,
                                       struct ua_client **ret_client);
/** Transactions are forgotten, nothing is sent, nobody is called. */
void ua_client_free(struct ua_client *client);

/** A message that arrived whole. */
void ua_client_packet(struct ua_client *client, uint64_t now_ms, const struct hd_flow *flow,
                      struct hd_slice octets);
/** Fires what is due.  Returns milliseconds until it wants to be called again, UINT64_MAX: never.
 */
uint64_t ua_client_advance(struct ua_client *client, uint64_t now_ms);
/** The transport could not deliver what had this owner. */
void ua_client_failed(struct ua_client *client, uint64_t now_ms, uint64_t owner);
/** A connection is gone: what waits for an answer on a stream to remote will get none on it
 * (RFC 3261 17.1.4). */
void ua_client_lost(struct ua_client *client, uint64_t now_ms, const struct hd_addr *remote);

/**
 * Sends a request.  Over UDP it is repeated by Timer E; above 1300 octets TCP is tried first
 * (RFC 3261 18.1.1) and UDP again when the peer does not take it.
 * @return HD_OK with a name for ua_request_forget; HD_ENOMEM, HD_ENOSPC (too long), HD_ESYNTAX (the
 *         dialog's target or route cannot be used)
 */
HD_NODISCARD enum hd_err ua_request_send(struct ua_client *client, const struct ua_request *request,
                                         uint64_t *ret_txn);
/** No answer is wanted any more; nothing happens when it was given.  The request is not repeated.
 */
void ua_request_forget(struct ua_client *client, uint64_t txn);

/** Requests that fit the listener come to it, until it is taken away; borrowed meanwhile. */
void ua_client_listen(struct ua_client *client, struct ua_listener *listener);
void ua_client_unlisten(struct ua_client *client, struct ua_listener *listener);

/* For what is built on the client: the clock of the last call in, a timer, random octets. */
uint64_t ua_client_now(const struct ua_client *client);
struct hd_rng *ua_client_rng(struct ua_client *client);
struct ua_timer {
    struct hd_timer timer;
    void (*fire)(void *context);
    void *context;
};
/** Starts it anew; it fires once, after_ms after the clock of the last call in / never. */
void ua_timer_start(struct ua_client *client, struct ua_timer *timer, uint64_t after_ms);
void ua_timer_stop(struct ua_client *client, struct ua_timer *timer);

/* Seconds before the end of a subscription or publication at which it is refreshed: time for a
 * whole Timer F, or half of a short duration. */
#define UA_REFRESH_MARGIN_S 40u
static inline uint64_t
ua_refresh_after_ms(uint32_t expires_s)
{
    uint64_t ms = (uint64_t)expires_s * 1000;
    return expires_s >= 2 * UA_REFRESH_MARGIN_S ? ms - UA_REFRESH_MARGIN_S * 1000 : ms / 2;
}

#endif
