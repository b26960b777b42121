/* pub.h - the event publication agent of RFC 3903 sections 4 and 5: one publication, kept alive.
 * Thread: the client's.  Memory: the client outlives the publication. */
#ifndef HERALD_PUB_H
#define HERALD_PUB_H

#include "herald/client.h"

struct ua_pub;

/* State of the publication as we know it.
 *   EMPTY     -> PUBLISHED  2xx to an initial PUBLISH
 *   PUBLISHED -> PUBLISHED  2xx to a modify or a refresh: a new entity-tag each time
 *   PUBLISHED -> EMPTY      412, expired, or removed */
enum ua_pub_op { UA_PUB_NONE = 0, UA_PUB_INITIAL, UA_PUB_MODIFY, UA_PUB_REFRESH, UA_PUB_REMOVE };

struct ua_pub_result {
    enum ua_pub_op op;
    bool ok;
    bool final;                     /* not ok: nothing is tried again by itself */
    uint32_t expires_s;             /* granted */
    uint32_t wait_s;                /* a failed refresh: tried again in */
    struct hd_slice etag;           /* the new one; empty after a removal */
    const struct ua_answer *answer; /* NULL: an answer was missing something, see problem */
    const char *problem;            /* static text, or NULL */
};

enum ua_pub_news {
    UA_PUB_TOO_BRIEF = 1, /* 423: tried again with expires_s */
    UA_PUB_ANEW           /* 412 or expired: published from the start */
};

struct ua_pub_params {
    struct ua_client *client;
    struct hd_slice uri;      /* the resource */
    struct hd_slice from;     /* who publishes */
    struct hd_slice event;    /* value of the Event header */
    struct hd_slice priority; /* value of Resource-Priority; empty: none is sent */
    uint32_t expires_s;       /* asked for; 0: the server chooses, no Expires is sent */
    void *context;
    /** Once for each ua_pub_set and ua_pub_remove, and for each refresh. */
    void (*done)(void *context, const struct ua_pub_result *result);
    void (*reported)(void *context, enum ua_pub_news news, uint32_t expires_s);
};

/** HD_ENOMEM, HD_ERANGE. */
HD_NODISCARD enum hd_err ua_pub_new(const struct ua_pub_params *params, struct ua_pub **ret_pub);
/** Forgets it; what is published stays until it expires.  Accepts NULL. */
void ua_pub_free(struct ua_pub *pub);
/** Publishes a state: initial, or a modification of the last one.  The body is copied.
 * HD_EBUSY: a PUBLISH is under way (RFC 3903 section 4: one at a time), come again after done;
 * HD_ENOMEM, HD_ENOSPC, HD_ESYNTAX: not sent. */
HD_NODISCARD enum hd_err ua_pub_set(struct ua_pub *pub, struct hd_slice type, struct hd_slice body);
/** Removes what is published.  HD_ENOMATCH: nothing is; HD_EBUSY; HD_ENOMEM, HD_ENOSPC, HD_ESYNTAX.
 */
HD_NODISCARD enum hd_err ua_pub_remove(struct ua_pub *pub);
/** Whether a PUBLISH waits for its answer. */
bool ua_pub_busy(const struct ua_pub *pub);
/** Whether something is published, as far as we know. */
bool ua_pub_live(const struct ua_pub *pub);

#endif
