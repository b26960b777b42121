/* self_signed.c - a key and a certificate for whoever has none yet.
 *
 * Nobody believes such a certificate until it was handed to him; it encrypts at once, and it is
 * made so that phones and browsers accept it when they are told to: names and addresses in
 * subjectAltName, an elliptic key that every stack of today has.  Each file is written under
 * another name, flushed and moved, the key before the certificate. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/tls.h"

#define PATH_TEXT 4200
#define DAYS 3650
#define DAY_S 86400L
#define EARLIER_S 3600L /* clocks that are a little behind */

/* --- the certificate ----------------------------------------------------------------------------
 */

static bool
add_alt(GENERAL_NAMES *alts, int type, const void *octets, size_t n)
{
    GENERAL_NAME *alt = GENERAL_NAME_new();
    ASN1_STRING *value = type == GEN_IPADD ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();

    if (!alt || !value || ASN1_STRING_set(value, octets, (int)n) != 1) {
        GENERAL_NAME_free(alt);
        ASN1_STRING_free(value);
        return false;
    }
    GENERAL_NAME_set0_value(alt, type, value);
    if (sk_GENERAL_NAME_push(alts, alt) > 0)
        return true;
    GENERAL_NAME_free(alt);
    return false;
}

static bool
add_alts(X509 *cert, const struct hd_slice *names, size_t n_names, const struct hd_addr *addrs,
         size_t n_addrs)
{
    GENERAL_NAMES *alts = sk_GENERAL_NAME_new_null();
    bool good = alts != NULL;
    struct hd_addr addr;

    for (size_t i = 0; i < n_names && good; i++)
        if (hd_addr_parse(names[i], 0, &addr) != HD_OK)
            good = add_alt(alts, GEN_DNS, names[i].p, names[i].n);
    for (size_t i = 0; i < n_addrs && good; i++)
        good = add_alt(alts, GEN_IPADD, addrs[i].ip, addrs[i].family == 4 ? 4 : 16);
    if (good && sk_GENERAL_NAME_num(alts) > 0)
        good = X509_add1_ext_i2d(cert, NID_subject_alt_name, alts, 0, X509V3_ADD_DEFAULT) == 1;
    GENERAL_NAMES_free(alts);
    return good;
}

static bool
add_text(X509 *cert, int nid, const char *text)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, text);
    bool good = extension && X509_add_ext(cert, extension, -1) == 1;

    X509_EXTENSION_free(extension);
    return good;
}

/* A serial of 63 random bits (RFC 5280 section 4.1.2.2: positive). */
static bool
set_serial(X509 *cert)
{
    uint64_t serial = 0;

    return RAND_bytes((unsigned char *)&serial, sizeof(serial)) == 1 &&
           ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1 | 1) == 1;
}

static X509 *
make_cert(EVP_PKEY *key, const struct hd_slice *names, size_t n_names, const struct hd_addr *addrs,
          size_t n_addrs)
{
    static const char subject[] = "herald";
    X509 *cert = X509_new();
    X509_NAME *name = cert ? X509_get_subject_name(cert) : NULL;

    if (cert && X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
        X509_gmtime_adj(X509_getm_notBefore(cert), -EARLIER_S) &&
        X509_gmtime_adj(X509_getm_notAfter(cert), DAYS * DAY_S) &&
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)subject, -1, -1,
                                   0) == 1 &&
        X509_set_issuer_name(cert, name) == 1 && X509_set_pubkey(cert, key) == 1 &&
        add_alts(cert, names, n_names, addrs, n_addrs) &&
        add_text(cert, NID_basic_constraints, "critical,CA:TRUE") &&
        X509_sign(cert, key, EVP_sha256()) > 0)
        return cert;
    X509_free(cert);
    return NULL;
}

/* --- the files ----------------------------------------------------------------------------------
 */

static enum hd_err
problem_of(char problem[256], const char *path)
{
    const char *why = strerrordesc_np(errno);

    (void)snprintf(problem, 256, "%.180s: %.64s", path, why ? why : "cannot be written");
    return HD_EIO;
}

/* Writes one of the two in PEM, whole or not at all. */
static enum hd_err
write_pem(const char *path, mode_t mode, EVP_PKEY *key, X509 *cert, char problem[256])
{
    char before[PATH_TEXT];
    FILE *file = NULL;
    bool good;
    int fd;

    (void)snprintf(before, sizeof(before), "%s.new", path);
    fd = open(before, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd >= 0)
        file = fdopen(fd, "w");
    if (!file) {
        enum hd_err err = problem_of(problem, before);
        if (fd >= 0)
            close(fd);
        return err;
    }
    good = key ? PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1
               : PEM_write_X509(file, cert) == 1;
    good = good && fflush(file) == 0 && fsync(fd) == 0;
    good = fclose(file) == 0 && good;
    if (good && rename(before, path) == 0)
        return HD_OK;
    problem_of(problem, path);
    (void)unlink(before);
    return HD_EIO;
}

enum hd_err
net_tls_self_signed(const struct net_tls_pair *pair, const struct hd_slice *names, size_t n_names,
                    const struct hd_addr *addrs, size_t n_addrs, char ret_problem[256])
{
    enum hd_err err = HD_ENOMEM;
    EVP_PKEY *key = NULL;
    X509 *cert = NULL;

    if (access(pair->certificate, F_OK) == 0 && access(pair->key, F_OK) == 0)
        return HD_EEXIST;
    key = EVP_EC_gen("P-256");
    if (key)
        cert = make_cert(key, names, n_names, addrs, n_addrs);
    if (cert)
        err = write_pem(pair->key, 0600, key, NULL, ret_problem);
    else
        (void)snprintf(ret_problem, 256, "%s: it cannot be made", pair->certificate);
    if (!err)
        err = write_pem(pair->certificate, 0644, NULL, cert, ret_problem);
    X509_free(cert);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return err;
}
