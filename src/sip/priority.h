/* priority.h - Resource-Priority and Accept-Resource-Priority (RFC 4412 section 3): the values of
 * the registered namespaces, each by a number.
 *
 * The numbers are the local total ordering of RFC 4412 section 8.1: a greater one goes before a
 * lesser one, within each namespace in the order of its registration.  They are kept by the store,
 * so that new namespaces are added behind the last one.  Pure; any thread. */
#ifndef HD_SIP_PRIORITY_H
#define HD_SIP_PRIORITY_H

#include "sip/msg.h"
#include "sip/out.h"

#define SIP_PRIORITY_NONE 0u
#define SIP_PRIORITY_COUNT 32u  /* numbers, that of none among them */
#define SIP_PRIORITIES_MOST 32u /* values in one message; more are refused */

/**
 * The values of all fields of an id: a bit for each number.  What is of no registered namespace, or
 * no value of it, is left out.
 * @param id  SIP_HDR_RESOURCE_PRIORITY, or SIP_HDR_ACCEPT_RESOURCE_PRIORITY, which may be empty
 * @return HD_OK; HD_ENOMATCH: there is no such field; HD_ESYNTAX: also when a namespace appears
 * twice (section 3.1); HD_ERANGE: more than SIP_PRIORITIES_MOST
 */
HD_NODISCARD enum hd_err sip_priorities_read(const struct sip_msg *msg, enum sip_hdr id,
                                             uint32_t *ret_values);
/** The greatest number of a set, SIP_PRIORITY_NONE of an empty one. */
uint8_t sip_priority_highest(uint32_t values);
/** The number of one value in any case, "esnet.1"; SIP_PRIORITY_NONE: it is not registered. */
uint8_t sip_priority_find(struct hd_slice text);
/** The values of a namespace in any case; 0: it is not registered. */
uint32_t sip_priority_namespace(struct hd_slice name);
/** The value of a number, in lower case; empty for SIP_PRIORITY_NONE and what has no value. */
struct hd_slice sip_priority_text(unsigned number);
/** Whether a text has the form of a value, registered or not. */
bool sip_priority_is_value(struct hd_slice text);
/** A list of the values of a set, the lowest first. */
void sip_out_priorities(struct sip_out *out, uint32_t values);

#endif
