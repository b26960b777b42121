/* certificates.h - from what the configuration says of TLS to what net/ uses.
 * Thread: the main thread's. */
#ifndef HD_HERALDD_CERTIFICATES_H
#define HD_HERALDD_CERTIFICATES_H

#include "heraldd/config.h"

/* Names of the files that herald makes itself, in the state folder. */
#define HD_SELF_CERTIFICATE "tls.crt"
#define HD_SELF_KEY "tls.key"

/**
 * Reads all files of certificates, keys and authorities.
 * @param folder  where those that herald makes itself are, or are made now; NULL: those are passed
 * over, to look at a configuration alone
 * @param tell  gets a line for each problem; fatal: HD_EIO follows
 * @return HD_OK; one reference in ret_tls, NULL there when nothing in the configuration wants TLS;
 * HD_EIO, HD_ENOMEM
 */
HD_NODISCARD enum hd_err hd_certificates_load(const struct hd_conf *conf, const char *folder,
                                              void (*tell)(void *context, bool fatal,
                                                           const char *line),
                                              void *context, struct net_tls **ret_tls);
/** Whether something in the configuration wants TLS. */
bool hd_certificates_wanted(const struct hd_conf *conf);

#endif
