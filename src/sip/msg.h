/* msg.h - one SIP message, parsed in place (RFC 3261 sections 7 and 25).
 *
 * Zero copy: every slice points into the octets that were parsed, which must outlive the message.
 * The header array lives in the arena.  What every message needs (Via, From, To, Call-ID, CSeq,
 * Content-Length) is checked and split by the parse; other headers are split when they are asked
 * for (sip/header.h). Nothing is repaired that two readers could read differently: repeated
 * singletons, a bare LF, a Content-Length that lies are refused.  Generous where only one reading
 * exists: compact forms, any case, folding, extra blanks (before the colon as well, RFC 3261
 * section 7.3.1), a missing Content-Length on datagrams. Pure; any thread. */
#ifndef HD_SIP_MSG_H
#define HD_SIP_MSG_H

#include "base/addr.h"
#include "base/arena.h"
#include "base/slice.h"

enum sip_method {
    SIP_METHOD_UNKNOWN = 0,
    SIP_INVITE,
    SIP_ACK,
    SIP_BYE,
    SIP_CANCEL,
    SIP_REGISTER,
    SIP_OPTIONS,
    SIP_SUBSCRIBE,
    SIP_NOTIFY,
    SIP_PUBLISH,
    SIP_MESSAGE,
    SIP_INFO,
    SIP_PRACK,
    SIP_UPDATE,
    SIP_REFER,
    SIP_METHOD_COUNT
};

/* Headers that herald knows.  Compact and long names share the row. */
enum sip_hdr {
    SIP_HDR_OTHER = 0,
    SIP_HDR_ACCEPT,
    SIP_HDR_ACCEPT_ENCODING,
    SIP_HDR_ACCEPT_RESOURCE_PRIORITY,
    SIP_HDR_ALLOW,
    SIP_HDR_ALLOW_EVENTS,
    SIP_HDR_AUTHORIZATION,
    SIP_HDR_CALL_ID,
    SIP_HDR_CONTACT,
    SIP_HDR_CONTENT_DISPOSITION,
    SIP_HDR_CONTENT_ENCODING,
    SIP_HDR_CONTENT_LANGUAGE,
    SIP_HDR_CONTENT_LENGTH,
    SIP_HDR_CONTENT_TYPE,
    SIP_HDR_CSEQ,
    SIP_HDR_DATE,
    SIP_HDR_EVENT,
    SIP_HDR_EXPIRES,
    SIP_HDR_FROM,
    SIP_HDR_MAX_FORWARDS,
    SIP_HDR_MIME_VERSION,
    SIP_HDR_MIN_EXPIRES,
    SIP_HDR_P_ASSERTED_IDENTITY,
    SIP_HDR_PATH,
    SIP_HDR_PRIORITY,
    SIP_HDR_PROXY_AUTHORIZATION,
    SIP_HDR_PROXY_REQUIRE,
    SIP_HDR_RECORD_ROUTE,
    SIP_HDR_REQUIRE,
    SIP_HDR_RESOURCE_PRIORITY,
    SIP_HDR_RETRY_AFTER,
    SIP_HDR_ROUTE,
    SIP_HDR_SERVER,
    SIP_HDR_SIP_ETAG,
    SIP_HDR_SIP_IF_MATCH,
    SIP_HDR_SUBSCRIPTION_STATE,
    SIP_HDR_SUPPORTED,
    SIP_HDR_SUPPRESS_IF_MATCH,
    SIP_HDR_TIMESTAMP,
    SIP_HDR_TO,
    SIP_HDR_UNSUPPORTED,
    SIP_HDR_USER_AGENT,
    SIP_HDR_VIA,
    SIP_HDR_WARNING,
    SIP_HDR_WWW_AUTHENTICATE,
    SIP_HDR_COUNT
};

#define SIP_MAX_HEADERS 128 /* header fields in one message */
#define SIP_MAX_LINE 8192   /* octets of one header field, folding included */
#define SIP_MAX_URI 1024    /* octets of any URI as sent */
#define SIP_MAX_TOKEN 255   /* octets of Call-ID, tags and branch */
#define SIP_MAX_VIAS 64     /* Via values */
#define SIP_MAX_HEAD 32768  /* octets before the body */

struct sip_header {
    struct hd_slice name;
    struct hd_slice value; /* trimmed; folds are still inside (readers take CRLF SP as a blank) */
    uint8_t id;            /* enum sip_hdr */
    uint8_t next;          /* index of the next field of the same id, SIP_NO_HEADER at the end */
};
#define SIP_NO_HEADER 255

struct sip_via {
    struct hd_slice value;     /* the whole via-parm */
    struct hd_slice transport; /* "UDP" */
    struct hd_slice host;      /* with brackets for IPv6 */
    uint16_t port;             /* 0: not given */
    bool rport;                /* ";rport" without value was there (RFC 3581) */
    struct hd_slice branch;    /* empty: none */
    struct hd_slice maddr, received, params;
};

/* name-addr or addr-spec with its header parameters (From, To, Contact, Route, ...). */
struct sip_addr {
    struct hd_slice display; /* as written, quotes included */
    struct hd_slice uri;     /* without the angle brackets */
    struct hd_slice params;  /* after the address, with the leading ';', or empty */
    struct hd_slice value;   /* the whole value */
    bool brackets;
};

struct sip_cseq {
    uint32_t number; /* below 2^31 */
    enum sip_method method;
    struct hd_slice method_name;
};

struct sip_msg {
    struct hd_slice raw;
    bool request;
    enum sip_method method;      /* requests */
    struct hd_slice method_name; /* requests */
    struct hd_slice uri;         /* Request-URI */
    unsigned status;             /* responses: 100 to 699 */
    struct hd_slice reason;      /* responses */
    struct sip_header *headers;
    unsigned n_headers;
    bool folded;                  /* some value holds a fold, or a CR or LF that was refused */
    uint8_t first[SIP_HDR_COUNT]; /* index of the first field of an id, or SIP_NO_HEADER */
    struct sip_via via;           /* the topmost */
    unsigned n_vias;
    struct sip_addr from, to;
    struct hd_slice from_tag, to_tag; /* empty: none */
    struct hd_slice call_id;
    struct sip_cseq cseq;
    uint32_t max_forwards; /* 70 when not given or above 255 */
    struct hd_slice body;
};

/* Why a message was refused, and how to answer when it can be answered. */
struct sip_fault {
    unsigned status;    /* 400, 413, 414, 505; 0: cannot be answered */
    const char *reason; /* a phrase that helps, static */
    /* A request with a CSeq whose top Via could be read.  From, To and Call-ID may be missing or
     * bad: a response copies what is there (RFC 4475 section 3.3.1). */
    bool answerable;
};

/**
 * Parses one whole message: a datagram, or what sip_frame_find() cut from a stream.
 * @param arena   gets the header array and nothing else: sizeof(struct sip_header) for each field;
 *                6 KiB is enough for SIP_MAX_HEADERS
 * @param stream  true: Content-Length must be there and equal the body; false: a datagram, octets
 *                behind Content-Length are cut, without one the body goes to the end (18.3)
 * @return HD_OK; HD_ESYNTAX, with ret_fault, and ret_msg filled as far as it was understood, so
 *         that an answerable request can be answered; HD_ENOSPC the arena is too small.
 */
HD_NODISCARD enum hd_err sip_msg_parse(struct hd_slice octets, bool stream, struct hd_arena *arena,
                                       struct sip_msg *ret_msg, struct sip_fault *ret_fault);

/**
 * The same for who keeps its client transactions by branch and so needs no more of a response than
 * Via, CSeq and header fields: from, to, tags, call_id and max_forwards of a response are left
 * empty and unchecked.  A request is parsed in full.
 */
HD_NODISCARD enum hd_err sip_msg_parse_by_branch(struct hd_slice octets, bool stream,
                                                 struct hd_arena *arena, struct sip_msg *ret_msg,
                                                 struct sip_fault *ret_fault);

/** The first field of an id, or NULL; next of the same id by sip_msg_next. */
static inline const struct sip_header *
sip_msg_header(const struct sip_msg *msg, enum sip_hdr id)
{
    HD_ASSERT(id < SIP_HDR_COUNT);
    return msg->first[id] == SIP_NO_HEADER ? NULL : &msg->headers[msg->first[id]];
}
static inline const struct sip_header *
sip_msg_next(const struct sip_msg *msg, const struct sip_header *header)
{
    return header->next == SIP_NO_HEADER ? NULL : &msg->headers[header->next];
}
/** The value of the first field; empty slice with p NULL when there is none. */
static inline struct hd_slice
sip_msg_value(const struct sip_msg *msg, enum sip_hdr id)
{
    const struct sip_header *header = sip_msg_header(msg, id);

    return header ? header->value : hd_slice(NULL, 0);
}
static inline bool
sip_msg_has(const struct sip_msg *msg, enum sip_hdr id)
{
    return sip_msg_header(msg, id) != NULL;
}
/** How many fields (not values) of an id. */
unsigned sip_msg_count(const struct sip_msg *msg, enum sip_hdr id);

enum sip_method sip_method_find(struct hd_slice name); /* case-sensitive, RFC 3261 7.1 */
struct hd_slice sip_method_name(enum sip_method method);
enum sip_hdr sip_hdr_find(struct hd_slice name); /* long or compact, any case, compared in full */
struct hd_slice sip_hdr_name(enum sip_hdr id);   /* canonical long name */
/** The registered phrase of a status code ("OK", "Unauthorized"), or "" for unknown ones. */
struct hd_slice sip_status_phrase(unsigned status);

/* Framing on streams (RFC 3261 18.3): finds where a message ends without keeping state. */
enum sip_frame {
    SIP_FRAME_MORE = 0,  /* not whole yet */
    SIP_FRAME_MESSAGE,   /* ret_len octets are one message */
    SIP_FRAME_PING,      /* ret_len octets: CRLF CRLF keep-alive, to be answered with CRLF (RFC
                            5626 4.4.1) */
    SIP_FRAME_SKIP,      /* ret_len octets: stray CRLF before a message */
    SIP_FRAME_TOO_LARGE, /* the head or the body is above its limit; ret_len octets of head are
                            there, or 0 */
    SIP_FRAME_BAD /* cannot be framed: no Content-Length, two that differ, not SIP: close the stream
                   */
};
enum sip_frame sip_frame_find(struct hd_slice stream, size_t max_body, size_t *ret_len);

#endif
