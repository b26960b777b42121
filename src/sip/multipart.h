/* multipart.h - bodies of several parts (RFC 2046 5.1, RFC 5621).  Pure; any thread; zero copy. */
#ifndef HD_SIP_MULTIPART_H
#define HD_SIP_MULTIPART_H

#include "base/slice.h"
#include "sip/header.h"

struct sip_part {
    struct hd_slice type;        /* Content-Type value; empty: text/plain */
    struct hd_slice disposition; /* Content-Disposition value; empty: none */
    struct hd_slice id;          /* Content-ID without brackets; empty: none */
    struct hd_slice encoding;    /* Content-Transfer-Encoding; empty: none */
    struct hd_slice body;
};
struct sip_multipart {
    struct hd_slice rest;
    struct hd_slice boundary;
    unsigned depth, parts;
};
#define SIP_MULTIPART_PARTS 64
/** Starts a walk: the boundary from a multipart Content-Type value (quoted or token).  HD_ENOTSUP
 * not multipart; HD_ESYNTAX no boundary. */
HD_NODISCARD enum hd_err sip_multipart_begin(struct hd_slice content_type, struct hd_slice body,
                                             struct sip_multipart *ret_walk);
/** HD_OK with the next part; HD_ENOMATCH after the closing boundary; HD_ESYNTAX; HD_EFULL too many
 * parts. */
HD_NODISCARD enum hd_err sip_multipart_next(struct sip_multipart *walk, struct sip_part *ret_part);

#endif
