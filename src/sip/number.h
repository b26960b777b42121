/* number.h - telephone numbers as names (RFC 3966): what a tel URI, or a SIP URI with user=phone,
 * says of whom it names, and its one spelling.  Pure; any thread.  Slices point into what was read.
 */
#ifndef HD_SIP_NUMBER_H
#define HD_SIP_NUMBER_H

#include "base/slice.h"
#include "sip/out.h"

/* telephone-subscriber, as far as it tells one subscriber from another (RFC 3966 section 4): other
 * parameters say how to reach him.  As written, escapes and separators in place. */
struct sip_number {
    struct hd_slice digits;
    struct hd_slice isub, ext; /* sub-address and extension, or empty */
    struct hd_slice context;   /* of a local number: in which it is one; of a global one: empty */
};

/** Reads "digits;parameters" of a tel URI or of the user part of a SIP URI.  False: it is none, or
 * says something twice. */
bool sip_number_read(struct hd_slice subscriber, struct sip_number *ret_number);
/** The domain in whose numbering plan a local number is (RFC 3966 section 5.1.5), or empty. */
struct hd_slice sip_number_domain(const struct sip_number *number);
/** Writes it as the user part of a URI at host: no separators, lower case, the parameters in the
 * order of RFC 3261 section 19.1.6; without a context that the host says. */
void sip_number_write(struct sip_out *out, const struct sip_number *number, struct hd_slice host);

#endif
