/* certificate.c - the certificate of the listener with TLS: read, checked, and replaced while it
 * serves.
 *
 * Each handshake is given copies of what counts then, which GnuTLS frees with the connection: so a
 * new certificate counts from the next handshake on, and a connection keeps the one that it began
 * with. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "http/core.h"

#define PEM_MAX 65536
#define CHAIN_MAX 16u /* certificates that are sent */

/* PEM texts, NUL-terminated. */
struct api_certificate {
    struct hd_mail mail; /* on its way to the face's thread */
    char *chain, *key;
};

void
api_certificate_free(struct api_certificate *certificate)
{
    if (!certificate)
        return;
    if (certificate->key)
        explicit_bzero(certificate->key, strlen(certificate->key)); /* our own string */
    free(certificate->key);
    free(certificate->chain);
    free(certificate);
}

/* NULL with a problem. */
static char *
read_pem(const char *path, char problem[256])
{
    char *text = calloc(1, PEM_MAX + 1);
    FILE *file = text ? fopen(path, "re") : NULL;
    size_t n = file ? fread(text, 1, PEM_MAX, file) : 0;

    if (!text || !file || ferror(file) || n == 0) {
        (void)snprintf(problem, 256, "http: %s cannot be read: %s", path,
                       n == 0 && file ? "it is empty" : strerror(errno));
        free(text);
        text = NULL;
    }
    if (file)
        (void)fclose(file);
    return text;
}

static gnutls_datum_t
datum_of(char *text)
{
    union {
        char *text;
        unsigned char *octets;
    } pem = { .text = text };

    return (gnutls_datum_t){ .data = pem.octets, .size = (unsigned)strlen(text) };
}

/* Whether both can be read, and belong together; GnuTLS's own word for it. */
static int
check_pair(const struct api_certificate *certificate)
{
    const gnutls_datum_t chain = datum_of(certificate->chain), key = datum_of(certificate->key);
    gnutls_certificate_credentials_t credentials;
    int result = gnutls_certificate_allocate_credentials(&credentials);

    if (result < 0)
        return result;
    result = gnutls_certificate_set_x509_key_mem(credentials, &chain, &key, GNUTLS_X509_FMT_PEM);
    gnutls_certificate_free_credentials(credentials);
    return result;
}

enum hd_err
api_certificate_read(const struct api_settings *settings, char ret_problem[256],
                     struct api_certificate **ret_certificate)
{
    struct api_certificate *certificate;
    int result;

    *ret_certificate = NULL;
    if (!settings->enabled || !settings->certificate)
        return HD_OK;
    certificate = calloc(1, sizeof(*certificate));
    if (!certificate)
        return HD_ENOMEM;
    certificate->chain = read_pem(settings->certificate, ret_problem);
    certificate->key = certificate->chain ? read_pem(settings->key, ret_problem) : NULL;
    if (!certificate->key)
        goto fail;
    result = check_pair(certificate);
    if (result >= 0) {
        *ret_certificate = certificate;
        return HD_OK;
    }
    (void)snprintf(ret_problem, 256, "http: certificate %.80s and key %.80s: %s",
                   settings->certificate, settings->key, gnutls_strerror(result));
fail:
    api_certificate_free(certificate);
    return HD_EIO;
}

void
api_certificate_post(struct api *api, struct api_certificate *certificate)
{
    certificate->mail.kind = API_MAIL_CERTIFICATE;
    hd_mailbox_post(&api->box, &certificate->mail);
}

void
api_certificate_take(struct api *api, struct hd_mail *mail)
{
    api_certificate_free(api->certificate);
    api->certificate = HD_CONTAINER(mail, struct api_certificate, mail);
}

/* --- a handshake ------------------------------------------------------------------------------ */

static int
copy_chain(const struct api_certificate *certificate, gnutls_pcert_st **ret_chain, unsigned *ret_n)
{
    const gnutls_datum_t pem = datum_of(certificate->chain);
    gnutls_pcert_st *chain = gnutls_calloc(CHAIN_MAX, sizeof(*chain));
    unsigned n = CHAIN_MAX;
    int result = GNUTLS_E_MEMORY_ERROR;

    if (chain)
        result = gnutls_pcert_list_import_x509_raw(chain, &n, &pem, GNUTLS_X509_FMT_PEM, 0);
    if (result < 0) {
        gnutls_free(chain);
        return result;
    }
    *ret_chain = chain;
    *ret_n = n;
    return 0;
}

static int
copy_key(const struct api_certificate *certificate, gnutls_privkey_t *ret_key)
{
    const gnutls_datum_t pem = datum_of(certificate->key);
    gnutls_privkey_t key;
    int result = gnutls_privkey_init(&key);

    if (result < 0)
        return result;
    result = gnutls_privkey_import_x509_raw(key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (result < 0) {
        gnutls_privkey_deinit(key);
        return result;
    }
    *ret_key = key;
    return 0;
}

static int
give(struct gnutls_session_int *session, const struct gnutls_cert_retr_st *info,
     gnutls_pcert_st **ret_chain, unsigned *ret_n, gnutls_ocsp_data_st **ret_ocsp,
     unsigned *ret_n_ocsp, gnutls_privkey_t *ret_key, unsigned *flags)
{
    /* MHD's own connection. */
    const struct api *api = api_of_connection(gnutls_session_get_ptr(session));
    gnutls_pcert_st *chain;
    unsigned n;

    (void)info;
    if (!api || !api->certificate || copy_chain(api->certificate, &chain, &n) < 0)
        return -1;
    if (copy_key(api->certificate, ret_key) < 0) {
        for (unsigned i = 0; i < n; i++)
            gnutls_pcert_deinit(&chain[i]);
        gnutls_free(chain);
        return -1;
    }
    *ret_chain = chain;
    *ret_n = n;
    *ret_ocsp = NULL;
    *ret_n_ocsp = 0;
    *flags |= GNUTLS_CERT_RETR_DEINIT_ALL;
    return 0;
}

gnutls_certificate_retrieve_function3 *
api_certificate_giver(void)
{
    return give;
}
