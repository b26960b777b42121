/* body.h - which body, or part of one, a request brings for its method (RFC 5621, RFC 3261 8.2.3).
 * Pure; any thread; zero copy. */
#ifndef HD_SIP_BODY_H
#define HD_SIP_BODY_H

#include "sip/msg.h"

struct sip_body {
    struct hd_slice type; /* Content-Type value */
    struct hd_slice octets;
};
/**
 * The one body of a message that is understood: the whole, or a part of a multipart body, of which
 * mixed may hold others that are optional, and alternative several of which the last counts.
 * @param types    media types that are understood, n_types of them; none: every type, taken whole
 * @return HD_OK; HD_ENOMATCH no body, or none that has to be processed; HD_ENOTSUP one that has to
 *         be processed is not understood: its type, its disposition or its encoding (415);
 * HD_EEXIST more than one is understood; HD_ESYNTAX a multipart body that cannot be read, or no
 *         Content-Type
 */
HD_NODISCARD enum hd_err sip_body_find(const struct sip_msg *msg, const struct hd_slice *types,
                                       size_t n_types, struct sip_body *ret_body);

#endif
