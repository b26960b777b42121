/* test_cert.c - see test_cert.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include "net/test_cert.h"

static char folder[64];
static long serial = 1;

const char *
cert_folder(void)
{
    if (folder[0])
        return folder;
    (void)snprintf(folder, sizeof(folder), "/tmp/herald-certs-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return folder;
}

void
cert_folder_remove(void)
{
    DIR *dir = folder[0] ? opendir(folder) : NULL;
    char path[CERT_PATH + 64];
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        if (entry->d_name[0] != '.')
            (void)unlink(path);
    }
    if (dir)
        (void)closedir(dir);
    if (folder[0])
        (void)rmdir(folder);
    folder[0] = '\0';
}

const char *
cert_file(const char *name, const char *text)
{
    static char path[CERT_PATH];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", cert_folder(), name);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    return path;
}

static void
add_text(X509 *cert, int nid, const char *text)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, text);

    assert_non_null(extension);
    assert_int_equal(X509_add_ext(cert, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static void
write_files(struct cert *cert, const char *name)
{
    FILE *file;

    (void)snprintf(cert->certificate, CERT_PATH, "%s/%s.crt", cert_folder(), name);
    (void)snprintf(cert->key_file, CERT_PATH, "%s/%s.key", cert_folder(), name);
    file = fopen(cert->certificate, "we");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, cert->x509), 1);
    assert_int_equal(fclose(file), 0);
    file = fopen(cert->key_file, "we");
    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, cert->key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(file), 0);
}

struct cert
cert_make(const struct cert_params *params)
{
    struct cert cert = { .key = EVP_EC_gen("P-256"), .x509 = X509_new() };
    const struct cert *issuer = params->issuer ? params->issuer : &cert;
    X509_NAME *name = X509_get_subject_name(cert.x509);
    long days = params->days ? params->days : 30;

    assert_non_null(cert.key);
    (void)X509_set_version(cert.x509, X509_VERSION_3);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(cert.x509), serial++);
    (void)X509_gmtime_adj(X509_getm_notBefore(cert.x509), -60 * 86400L);
    (void)X509_gmtime_adj(X509_getm_notAfter(cert.x509), days * 86400L);
    (void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)params->name,
                                     -1, -1, 0);
    (void)X509_set_issuer_name(cert.x509, X509_get_subject_name(issuer->x509));
    (void)X509_set_pubkey(cert.x509, cert.key);
    if (!params->issuer)
        add_text(cert.x509, NID_basic_constraints, "critical,CA:TRUE");
    if (params->alts)
        add_text(cert.x509, NID_subject_alt_name, params->alts);
    if (params->usage)
        add_text(cert.x509, NID_ext_key_usage, params->usage);
    assert_true(X509_sign(cert.x509, issuer->key, EVP_sha256()) > 0);
    write_files(&cert, params->name);
    return cert;
}

void
cert_free(struct cert *cert)
{
    EVP_PKEY_free(cert->key);
    X509_free(cert->x509);
}

SSL_CTX *
cert_client(const struct cert *authority, int min, int max)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    assert_non_null(ctx);
    (void)SSL_CTX_set_min_proto_version(ctx, min);
    (void)SSL_CTX_set_max_proto_version(ctx, max);
    if (authority) {
        assert_int_equal(SSL_CTX_load_verify_file(ctx, authority->certificate), 1);
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    }
    return ctx;
}
