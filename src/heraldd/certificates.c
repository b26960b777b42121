/* certificates.c - see certificates.h. */
#include "heraldd/certificates.h"

#include <stdio.h>
#include <stdlib.h>

#define PATH_TEXT 4200

struct own {
    char certificate[PATH_TEXT], key[PATH_TEXT];
    struct net_tls_pair pair;
};

bool
hd_certificates_wanted(const struct hd_conf *conf)
{
    for (size_t i = 0; i < conf->n_listeners; i++)
        if (conf->listeners[i].transport == HD_TLS || conf->listeners[i].transport == HD_WSS)
            return true;
    return conf->client.said;
}

/* The certificate that herald makes itself is for all names and addresses by which it is reached;
 * who adds an address later removes the files. */
static enum hd_err
make_own(const struct hd_conf *conf, const char *folder, struct own *own, char problem[256])
{
    struct hd_slice names[17] = { HD_LIT("localhost") };
    struct hd_addr *addrs = NULL;
    size_t n_addrs = 0, n_names = 1;
    enum hd_err err;

    (void)snprintf(own->certificate, sizeof(own->certificate), "%s/%s", folder,
                   HD_SELF_CERTIFICATE);
    (void)snprintf(own->key, sizeof(own->key), "%s/%s", folder, HD_SELF_KEY);
    own->pair = (struct net_tls_pair){ own->certificate, own->key };
    for (size_t i = 0; i < conf->n_domains && n_names < HD_ARRAY_LEN(names); i++)
        names[n_names++] = conf->domains[i];
    err = hd_conf_locals(&addrs, &n_addrs);
    if (!err)
        err = net_tls_self_signed(&own->pair, names, n_names, addrs, n_addrs, problem);
    free(addrs);
    if (!err)
        HD_LOG(HD_INFO, "made a certificate that herald signs itself",
               hd_f_str("file", own->certificate));
    return err == HD_EEXIST ? HD_OK : err;
}

static enum hd_err
fill_servers(const struct hd_conf *conf, const char *folder, struct own *own,
             struct net_tls_server *servers, char problem[256])
{
    enum hd_err err = HD_OK;
    bool made = false;

    for (size_t i = 0; i < conf->n_listeners && !err; i++) {
        const struct hd_conf_secure *secure = &conf->secure[i];

        servers[i] = (struct net_tls_server){ .pairs = secure->pairs,
                                              .n_pairs = secure->n_pairs,
                                              .verify = secure->verify,
                                              .ca = secure->ca };
        if (!secure->self_signed || !folder)
            continue;
        if (!made)
            err = make_own(conf, folder, own, problem);
        made = true;
        servers[i].pairs = &own->pair;
        servers[i].n_pairs = 1;
    }
    return err;
}

enum hd_err
hd_certificates_load(const struct hd_conf *conf, const char *folder,
                     void (*tell)(void *context, bool fatal, const char *line), void *context,
                     struct net_tls **ret_tls)
{
    struct net_tls_server servers[HD_CONF_LISTENERS];
    char problem[256] = "";
    struct own *own;
    enum hd_err err;

    if (!hd_certificates_wanted(conf)) {
        *ret_tls = NULL;
        return HD_OK;
    }
    own = malloc(sizeof(*own));
    if (!own)
        return HD_ENOMEM;
    err = fill_servers(conf, folder, own, servers, problem);
    if (err && problem[0])
        tell(context, true, problem);
    if (!err)
        err = net_tls_new(&(struct net_tls_params){ .servers = servers,
                                                    .n_servers = conf->n_listeners,
                                                    .client = conf->client.pair,
                                                    .client_ca = conf->client.ca,
                                                    .client_trusts_all = conf->client.trusts_all,
                                                    .tell = tell,
                                                    .context = context },
                          ret_tls);
    free(own);
    return err;
}
