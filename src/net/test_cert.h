/* test_cert.h - certificates and keys for tests, in files of a folder of the test's own. */
#ifndef HD_NET_TEST_CERT_H
#define HD_NET_TEST_CERT_H

#include <openssl/ssl.h>

#include "net/tls.h"

#define CERT_PATH 256

struct cert {
    EVP_PKEY *key;
    X509 *x509;
    char certificate[CERT_PATH], key_file[CERT_PATH];
};

struct cert_params {
    const char *name;          /* of its files, and its common name */
    const struct cert *issuer; /* NULL: it signs itself, as an authority */
    const char *alts;          /* subjectAltName as openssl(1) writes it, NULL: none */
    const char *usage;         /* extendedKeyUsage, NULL: none */
    int days;                  /* 0: 30; below 0: it has expired */
};

/** A folder under the temporary one; removed with all in it by cert_folder_remove. */
const char *cert_folder(void);
void cert_folder_remove(void);
struct cert cert_make(const struct cert_params *params);
void cert_free(struct cert *cert);
/** Writes octets to a file in the folder; returns its path (static). */
const char *cert_file(const char *name, const char *text);

/** A client that believes this authority; min and max are versions, 0: any. */
SSL_CTX *cert_client(const struct cert *authority, int min, int max);

#endif
