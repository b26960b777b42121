/* ask.h - requests for event state that come by no SIP message: from HTTP.
 *
 * They meet the same resources, publications, rules, quotas and store as PUBLISH and SUBSCRIBE do;
 * only who asked was made sure of elsewhere, and the answer is told instead of written.  What a
 * subscription made so is told goes out by ports.face, one at a time, and is owed until it was
 * taken.  Memory: an ask belongs to who posts it; the shard has it until answered() is called, once
 * for each, also when the shard goes. */
#ifndef HD_EVENT_ASK_H
#define HD_EVENT_ASK_H

#include "base/id.h"
#include "event/ports.h"
#include "event/shard.h"

#define EVT_ASK_NO_LISTENER UINT8_MAX /* flow.listener: no listener of SIP */

/* How the current state of a resource is to be changed, or heard of. */
enum evt_ask_kind {
    EVT_ASK_PUBLISH =
        1,             /* RFC 3903: makes or modifies a publication; without body it is refreshed */
    EVT_ASK_REMOVE,    /* ends one */
    EVT_ASK_SUBSCRIBE, /* RFC 6665; expires_s 0: the state is shown once */
    EVT_ASK_LEAVE,     /* ends the subscription; nothing more is told */
    EVT_ASK_TAKEN      /* what it was told has arrived */
};

/* Which publication is meant. */
enum evt_ask_match {
    EVT_MATCH_OWN = 0, /* the publisher's own one of this face: made when it is not there */
    EVT_MATCH_ANY,     /* the same, and it must be there ("*") */
    EVT_MATCH_NONE,    /* the same, and it must not be there */
    EVT_MATCH_ETAG     /* the one with this entity-tag, however it was published */
};

struct evt_ask {
    struct hd_mail mail; /* between threads */
    enum evt_ask_kind kind;
    enum evt_ask_match match;
    struct evt_identity identity;
    struct hd_flow flow; /* transport HD_HTTP, conn not 0 and unlike those of others */
    /* borrowed until it is answered */
    struct hd_slice key, package;
    struct hd_slice type, body; /* of the document; body p NULL: none */
    struct hd_slice etag;
    struct hd_slice filter_type, filter;  /* p NULL: none */
    struct hd_slice profile;              /* a filter that the configuration names; p NULL: none */
    struct sip_rates rates;               /* SUBSCRIBE: how often it is told (RFC 6446) */
    struct hd_slice call_id, tag, target; /* names of the subscription, for those who list them */
    uint32_t expires_s;                   /* UINT32_MAX: not said */
    uint8_t types;   /* SUBSCRIBE: of the package's types those that are taken, a bit each */
    uint64_t sub;    /* LEAVE, TAKEN: which, as told; SUBSCRIBE: the answer */
    uint32_t branch; /* TAKEN */
    /* the answer */
    unsigned status; /* in SIP's words */
    char phrase[EVT_FILTER_PHRASE];
    char etag_text[HD_ID_TEXT]; /* of the publication now */
    uint32_t granted_s, retry_after_s, min_expires_s;
    bool created;
    /** Called once, on the shard's thread or when it goes; the last use. */
    void (*answered)(struct evt_ask *ask);
    void *context;
};

/** Hands it to the shard that has to do with it.  Any thread.  any: some shard of the core. */
void evt_ask_post(struct evt_shard *any, struct evt_ask *ask);

#endif
