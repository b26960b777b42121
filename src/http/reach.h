/* reach.h - which addresses a webhook may be delivered to.
 * Pure; any thread. */
#ifndef HD_HTTP_REACH_H
#define HD_HTTP_REACH_H

#include "base/addr.h"

/** Whether an address is one of the Internet: not private, not of this machine or link, not of a
 * group, not reserved; what stands for an IPv4 address inside of IPv6 is looked into. */
bool api_addr_is_public(const struct hd_addr *addr);
/** The same, or in one of the prefixes that the operator allows. */
bool api_reaches(const struct hd_addr *addr, const struct hd_prefix *allowed, size_t n);

#endif
