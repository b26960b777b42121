/* header.h - typed reading of header values (RFC 3261 section 25.1 and the RFC named at each).
 * All readers take folds (CRLF and blank) as a blank.  Pure; any thread. */
#ifndef HD_SIP_HEADER_H
#define HD_SIP_HEADER_H

#include "base/slice.h"
#include "sip/msg.h"

/** One parameter of ";a=b;c" or ";a=\"q\"": cuts it from *rest.  HD_ENOMATCH at the end,
 * HD_ESYNTAX. ret_value has p NULL for a flag; a quoted value is given with its quotes. */
HD_NODISCARD enum hd_err sip_param_next(struct hd_slice *rest, struct hd_slice *ret_name,
                                        struct hd_slice *ret_value);
/** Finds a parameter by name (any case).  ret_value may be NULL. */
bool sip_param_find(struct hd_slice params, struct hd_slice name, struct hd_slice *ret_value);
/** The inside of a quoted string, escapes kept; another value unchanged. */
struct hd_slice sip_unquote(struct hd_slice value);

/** Next element of a comma list, commas in quotes and angle brackets respected; trimmed; empty
 * elements are skipped. False at the end. */
bool sip_list_next(struct hd_slice *rest, struct hd_slice *ret_item);
/** Walks the elements of all fields of one id in a message.  Start with a zeroed walk. */
struct sip_walk {
    const struct sip_header *header;
    struct hd_slice rest;
    bool begun;
};
bool sip_msg_walk(const struct sip_msg *msg, enum sip_hdr id, struct sip_walk *walk,
                  struct hd_slice *ret_item);

/** One name-addr or addr-spec with parameters; a URI without brackets ends at ';' (RFC 3261 20.10).
 * HD_ESYNTAX. */
HD_NODISCARD enum hd_err sip_addr_parse(struct hd_slice value, struct sip_addr *ret_addr);
/** The same with the tag parameter; p NULL: none.  HD_EEXIST: a tag that is no token of at most
 * SIP_MAX_TOKEN octets, or two. */
HD_NODISCARD enum hd_err sip_addr_tag_parse(struct hd_slice value, struct sip_addr *ret_addr,
                                            struct hd_slice *ret_tag);
/** One via-parm.  HD_ESYNTAX, HD_ERANGE (port). */
HD_NODISCARD enum hd_err sip_via_parse(struct hd_slice value, struct sip_via *ret_via);
/** Only sent-protocol and sent-by; params is what follows, unread, and what comes from them is
 * empty.  Enough to answer a request whose Via parameters are bad.  HD_ESYNTAX, HD_ERANGE (port).
 */
HD_NODISCARD enum hd_err sip_via_sent_by(struct hd_slice value, struct sip_via *ret_via);
HD_NODISCARD enum hd_err sip_cseq_parse(struct hd_slice value, struct sip_cseq *ret_cseq);

/* Event (RFC 6665 8.2.1): event-type with parameters. */
struct sip_event {
    struct hd_slice package; /* "presence", template included: "presence.winfo" */
    struct hd_slice id;      /* octet by octet; p NULL: none */
    struct hd_slice params;
};
HD_NODISCARD enum hd_err sip_event_parse(struct hd_slice value, struct sip_event *ret_event);

/* Subscription-State (RFC 6665 8.2.3), for clients. */
struct sip_substate {
    struct hd_slice state;  /* "active", "pending", "terminated" or an extension */
    struct hd_slice reason; /* p NULL: none */
    bool has_expires, has_retry_after;
    uint32_t expires_s, retry_after_s;
};
HD_NODISCARD enum hd_err sip_substate_parse(struct hd_slice value, struct sip_substate *ret_state);

/** delta-seconds; above 2^32-1 is clamped (RFC 3261 20.19).  HD_ESYNTAX. */
HD_NODISCARD enum hd_err sip_delta_parse(struct hd_slice value, uint32_t *ret_s);
/** Retry-After: seconds, comment and parameters ignored. */
HD_NODISCARD enum hd_err sip_retry_after_parse(struct hd_slice value, uint32_t *ret_s);

/* Media type: "application/pidf+xml;charset=utf-8". */
struct sip_media {
    struct hd_slice type, subtype, params;
};
HD_NODISCARD enum hd_err sip_media_parse(struct hd_slice value, struct sip_media *ret_media);
/** Same type and subtype, any case, parameters ignored; a and b as text. */
bool sip_media_same(struct hd_slice a, struct hd_slice b);
/**
 * How well the Accept fields of a message like a media type: 0 not at all, otherwise 1 to 1000 (q *
 * 1000); the most specific range decides ("a/b" over any subtype of a, over all).  No Accept field:
 * 1000 when type is default_type, else 0. An empty Accept accepts nothing.
 */
unsigned sip_accept_quality(const struct sip_msg *msg, struct hd_slice type,
                            struct hd_slice default_type);
/** The same where a range names the type itself; 0: none does. */
unsigned sip_accept_named(const struct sip_msg *msg, struct hd_slice type);

#endif
