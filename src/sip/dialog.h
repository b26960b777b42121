/* dialog.h - dialog rules as pure functions (RFC 3261 section 12): route set, target, where a
 * request goes. */
#ifndef HD_SIP_DIALOG_H
#define HD_SIP_DIALOG_H

#include "sip/msg.h"
#include "sip/out.h"
#include "sip/uri.h"

/**
 * The route set of a UAS from a request's Record-Route, in order, as one comma-joined list of
 * name-addr without folds (12.1.1), written to out.  Nothing is written when there is none.
 * @param secure  for requests to a SIPS URI: each SIP URI becomes a SIPS one (RFC 5630 5.1.1)
 * @return HD_OK; HD_ESYNTAX a value that is no SIP URI in brackets
 */
HD_NODISCARD enum hd_err sip_route_set(const struct sip_msg *request, bool secure,
                                       struct sip_out *out);
/** Writes the Record-Route fields of a request as they stand into its response. */
void sip_route_echo(const struct sip_msg *request, struct sip_out *out);

/* How to send a request inside a dialog (12.2.1.1): loose and strict routing. */
struct sip_hop {
    struct hd_slice request_uri; /* remote target, or the first route without ;lr */
    struct hd_slice route;       /* list for the Route header, empty: none */
    struct hd_slice
        route_last; /* strict routing: the remote target to append as last Route, empty: none */
    struct sip_uri next; /* the URI that names the next hop */
};
/**
 * @param route_set  as sip_route_set wrote it, may be empty
 * @param target     remote target URI
 * @return HD_OK; HD_ESYNTAX a URI cannot be read
 */
HD_NODISCARD enum hd_err sip_dialog_hop(struct hd_slice route_set, struct hd_slice target,
                                        struct sip_hop *ret_hop);
/** Literal next-hop address of a URI (maddr is not followed): transport, address with default port.
 * HD_ENOMATCH a name. */
HD_NODISCARD enum hd_err sip_uri_addr(const struct sip_uri *uri, enum hd_transport *ret_transport,
                                      struct hd_addr *ret_addr);
/** The single Contact of a message, its URI without headers, as it may be a Request-URI: HD_OK;
 * HD_ENOMATCH none; HD_EEXIST more than one; HD_ESYNTAX. */
HD_NODISCARD enum hd_err sip_contact_one(const struct sip_msg *msg, struct sip_addr *ret_contact);

#endif
