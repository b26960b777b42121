/* model_sub.h - what the RFCs say of a notifier's subscription (RFC 6665 section 4.2) and of its
 * transactions (RFC 3261 17.2.2, RFC 4320), as plainly as it can be said: one subscriber, one
 * resource, a clock.  It knows nothing of the core but its constants (granted durations, the first
 * back-off). */
#ifndef HD_TEST_MODEL_SUB_H
#define HD_TEST_MODEL_SUB_H

#include <stdbool.h>
#include <stdint.h>

#define SENT_MAX 64
#define LINE_MAX_ 3 /* requests that wait behind a change in this model */

#define T1 500u
#define TIMER_F 32000u
#define LINGER 32000u
#define BACKOFF_FIRST 4000u
#define RETRY_AFTER 7000u
#define GRANTED_S 600u

enum event {
    /* the subscriber */
    SUB = 0, /* SUBSCRIBE outside of a dialog */
    REFRESH,
    END,   /* Expires: 0 */
    AGAIN, /* the octets of the last SUBSCRIBE once more */
    OLD_CSEQ,
    OTHER_EVENT, /* in the dialog, another event package: RFC 6665 4.5.2 */
    ANSWER_200,
    ANSWER_481,
    ANSWER_500,
    LATE_200, /* to the NOTIFY before the one in flight */
    LATE_481,
    /* the store */
    STORE_FAILS, /* from now on / no more */
    STORE_HOLDS,
    STORE_SAYS_OK, /* for the oldest that waits */
    STORE_SAYS_NO,
    /* the publisher, the rules, the clock */
    NEW_STATE,
    ALLOW,
    DENY,
    CONFIRM,
    POLITE,
    TICK, /* 4 seconds */
    LONG, /* 33 seconds */
    EXPIRY,
    EVENTS
};
enum see { SEE_STATE = 0, SEE_NEUTRAL, SEE_NOTHING };
enum life { NONE = 0, BEING_KEPT, LIVES, OVER };
enum end { END_NOT = 0, END_TIMEOUT, END_REJECTED };
enum what { WHAT_ANSWER = 1, WHAT_NOTIFY };

/* Something that the broker is to send. */
struct expected {
    uint64_t at_ms;
    enum what what;
    unsigned status;  /* answers */
    uint32_t cseq;    /* answers: of the request */
    enum see see;     /* NOTIFYs */
    uint32_t version; /* of the state shown */
    bool pending, repeated;
    enum end end;
    uint32_t expires_s;
};

struct model_request {
    enum event kind;
    uint32_t cseq;
};

struct model {
    uint64_t now_ms;
    enum life life;
    enum event rule; /* ALLOW, DENY, CONFIRM, POLITE */
    enum see see;
    bool pending;
    uint64_t expires_at_ms, forget_at_ms;
    uint32_t cseq_seen, cseq_next, version, seen_version;
    /* the NOTIFY in flight */
    bool flying, abandoned; /* abandoned: there was one before it to the same target */
    bool before_open;       /* that one was given up without an answer */
    struct expected notify;
    uint64_t sent_ms, resend_ms;
    uint32_t interval_ms;
    bool again; /* failed: the whole state once more */
    uint64_t hold_until_ms;
    uint32_t backoff_ms;
    enum end end;
    /* the store, and what waits for it */
    bool store_fails, store_holds;
    bool changing;
    enum event change_rule; /* in force when it was handed in */
    struct model_request change, line[LINE_MAX_];
    unsigned n_line;
    /* the last request that was answered */
    struct model_request last;
    unsigned last_status;
    uint64_t last_ms;
    bool last_waits;
    /* what is to be sent in this step */
    struct expected out[SENT_MAX];
    unsigned n_out;
};

/** Nobody watches, and the state has this version. */
struct model model_begin(uint64_t now_ms, uint32_t version);
/** Whether an event can happen. */
bool model_can(const struct model *m, enum event event);
/** It happens: what the broker is to send is in m->out. */
void model_step(struct model *m, enum event event);
/** The model's state without what only counts; not 0. */
uint64_t model_hash(const struct model *m);

#endif
