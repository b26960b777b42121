/* answer.h - what a name server said, octet by octet (RFC 1035 section 4, RFC 2782, RFC 3403, RFC
 * 3596, RFC 2308).
 *
 * The message is read as strictly as one from a phone: it must answer the very question, its
 * pointers only go backwards, and what it holds beyond our bounds is left out and told.  Pure; any
 * thread. */
#ifndef HD_NAMES_ANSWER_H
#define HD_NAMES_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/slice.h"

#define NAM_NAME_MAX 253u     /* octets of a name as text */
#define NAM_RECORDS_MAX 32u   /* records of one answer that are kept */
#define NAM_EXAMINED_MAX 256u /* records of a message that are looked at */
#define NAM_ALIASES_MAX 8u    /* CNAMEs in a row that are followed */
#define NAM_TEXT_MAX 4096u    /* octets of all names of an answer */

/* What is asked for; the numbers are those of the wire. */
enum nam_type { NAM_A = 1, NAM_AAAA = 28, NAM_SRV = 33, NAM_NAPTR = 35 };

/* One record; which members count depends on what was asked. */
struct nam_record {
    struct hd_addr addr; /* A, AAAA; port 0 */
    /* SRV: priority, weight; NAPTR: order, preference */
    uint16_t order, weight;
    uint16_t port;         /* SRV */
    uint8_t transport;     /* NAPTR: enum hd_transport of its service, 0: none of SIP's */
    bool secure;           /* NAPTR: a SIPS service */
    uint16_t name, name_n; /* SRV target, NAPTR replacement: place in text; n 0: the root */
};

struct nam_answer {
    unsigned n;     /* 0: there is nothing of that kind, or alias_n */
    bool more;      /* there was more than is kept */
    uint32_t ttl_s; /* the least of what was used; for nothing: how long that may be kept */
    uint16_t alias,
        alias_n; /* n 0: the chain of CNAMEs ends in this name, to be asked for; n 0: none */
    struct nam_record record[NAM_RECORDS_MAX];
    size_t text_n;
    char text[NAM_TEXT_MAX];
};

static inline struct hd_slice
nam_record_name(const struct nam_answer *answer, const struct nam_record *record)
{
    return hd_slice(answer->text + record->name, record->name_n);
}

/**
 * Reads an answer.
 * @param name  what was asked for, in lower case, without the root's dot
 * @return HD_OK, also when the name or type does not exist; HD_EAGAIN: the server could not say
 * (SERVFAIL, REFUSED and their like); HD_ESYNTAX: it cannot be read, or answers something else
 */
HD_NODISCARD enum hd_err nam_answer_read(struct hd_slice octets, struct hd_slice name,
                                         enum nam_type type, struct nam_answer *ret_answer);

#endif
