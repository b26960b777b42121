/* sub.h - the subscriber of RFC 6665 section 4.1: one subscription over its whole life, with its
 * refreshes, and with a new one after it where the server asks for that.
 * Thread: the client's.  Memory: the caller's client outlives the subscription. */
#ifndef HERALD_SUB_H
#define HERALD_SUB_H

#include "herald/client.h"

struct ua_sub;

/* State of the subscription (RFC 6665 section 4.1.2).
 *   INIT        -> NOTIFY_WAIT  ua_sub_start        SUBSCRIBE sent
 *   NOTIFY_WAIT -> PENDING      NOTIFY pending
 *   NOTIFY_WAIT -> ACTIVE       NOTIFY active
 *   PENDING    <-> ACTIVE       NOTIFY
 *   any         -> RETRY_WAIT   terminated, and a new SUBSCRIBE follows later
 *   RETRY_WAIT  -> NOTIFY_WAIT  retry timer         SUBSCRIBE with a new Call-ID
 *   any         -> ENDED        nothing follows     ended callback */
enum ua_sub_state {
    UA_SUB_INIT = 0,
    UA_SUB_NOTIFY_WAIT,
    UA_SUB_PENDING,
    UA_SUB_ACTIVE,
    UA_SUB_RETRY_WAIT,
    UA_SUB_ENDED
};

struct ua_notification {
    struct sip_substate state;
    struct hd_slice type; /* Content-Type, empty without body */
    struct hd_slice body;
    uint32_t cseq;
    const struct sip_msg *msg;
};

enum ua_sub_end {
    UA_SUB_DONE = 0,    /* unsubscribed, or the fetch is complete */
    UA_SUB_REFUSED,     /* a SUBSCRIBE got a final refusal, or credentials are missing: answer */
    UA_SUB_TERMINATED,  /* the server ended it for good: reason */
    UA_SUB_NO_ANSWER,   /* Timer F */
    UA_SUB_NO_NOTIFY,   /* Timer N: 64*T1 without a NOTIFY */
    UA_SUB_UNREACHABLE, /* the transport said no */
    UA_SUB_BROKEN       /* a message could not be built: memory, or a peer's URI */
};
struct ua_sub_ending {
    enum ua_sub_end why;
    const struct ua_answer *answer; /* UA_SUB_REFUSED */
    struct hd_slice reason;         /* UA_SUB_TERMINATED */
};

enum ua_sub_news {
    UA_SUB_ACCEPTED = 1,   /* 2xx to the initial SUBSCRIBE; expires_s granted */
    UA_SUB_REFRESHED,      /* 2xx to a refresh; expires_s granted */
    UA_SUB_TOO_BRIEF,      /* 423: tried again with expires_s */
    UA_SUB_REFRESH_FAILED, /* answer; tried again in wait_s while the subscription lasts */
    UA_SUB_RETRY,          /* ended for reason; a new one is asked for in wait_s */
};
struct ua_sub_report {
    enum ua_sub_news news;
    uint32_t expires_s, wait_s;
    struct hd_slice reason;         /* may be empty */
    const struct ua_answer *answer; /* may be NULL */
};

struct ua_sub_params {
    struct ua_client *client;
    struct hd_slice uri;        /* the resource */
    struct hd_slice from;       /* who asks */
    struct hd_slice event;      /* value of the Event header: package, perhaps with ;id= */
    struct hd_slice priority;   /* value of Resource-Priority; empty: none is sent */
    struct hd_slice accept;     /* value of Accept; empty: none is sent */
    uint32_t expires_s;         /* asked for; 0: a fetch (RFC 6665 section 4.4.3) */
    struct hd_slice type, body; /* a filter document, or empty; copied */
    void *context;
    void (*notified)(void *context, const struct ua_notification *notification);
    void (*reported)(void *context, const struct ua_sub_report *report);
    void (*ended)(void *context, const struct ua_sub_ending *ending); /* once, the last call */
};

/** HD_ENOMEM; HD_ERANGE a URI or a header value is too long; HD_ESYNTAX event. */
HD_NODISCARD enum hd_err ua_sub_new(const struct ua_sub_params *params, struct ua_sub **ret_sub);
/** Forgets it without a message; not from within a callback.  NULL is fine. */
void ua_sub_free(struct ua_sub *sub);
/** Sends the first SUBSCRIBE. */
void ua_sub_start(struct ua_sub *sub);
/** Asks for the end (Expires: 0); ended is called when the last NOTIFY came, or Timer N fired.
 * Before the first NOTIFY it waits for the dialog.  Twice is as once. */
void ua_sub_leave(struct ua_sub *sub);
enum ua_sub_state ua_sub_state(const struct ua_sub *sub);

#endif
