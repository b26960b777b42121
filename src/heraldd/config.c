/* config.c - the life of a configuration: defaults, reading, binding, and the core's view of it.
 *
 * A hd_conf is one block of memory: the struct, and behind it an arena for strings, lists and
 * package definitions, sized by the file. Only the list of our own addresses is a second block,
 * since it is known after the sockets are open. Invariant: nothing of a hd_conf changes after its
 * first hd_conf_publish. */
#include "heraldd/config.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "heraldd/certificates.h"
#include "heraldd/config_file.h"
#include "policy/policy.h"

/* One list element of the file, two octets at the least, becomes at most 40 octets of ours. */
#define ARENA_BASE ((size_t)64 * 1024)
#define ARENA_PER_OCTET 40

/* The core's configuration with what its pointers need. */
struct published {
    struct evt_config config;
    struct pol_settings settings;
    struct hd_slice realms[HD_CONF_REALMS];
    struct hd_conf *conf;
    size_t instance_len;
    char instance[];
};

static void
set_defaults(struct hd_conf *conf)
{
    conf->magic = HD_CONF_MAGIC;
    atomic_init(&conf->refs, 1);
    conf->algorithms[0] = SIP_DIGEST_SHA256;
    conf->algorithms[1] = SIP_DIGEST_MD5;
    conf->n_algorithms = 2;
    conf->nonce_lifetime_s = 300;
    conf->commit_spacing_us = 500;
    conf->audit = true;
    conf->audit_keep_s = 90 * 86400;
    conf->audit_most = 10000000;
    conf->limits = evt_limits_default();
    conf->limits.recorder = 8 << 20;
    conf->net = (struct hd_conf_net){
        .connections = 10000,
        .idle_ms = 10 * 60 * 1000,
        .message_ms = 30 * 1000,
        .connect_ms = 4 * 1000,
        .handshake_ms = 10 * 1000,
        .queue = 1024 * 1024,
        .receive_buffer = 4 * 1024 * 1024,
    };
    conf->names = (struct hd_conf_names){
        .timeout_ms = 2000, .attempts = 2, .cache = 4096, .questions = 1024
    };
    conf->registrar = (struct evt_registrar){ .enabled = true,
                                              .min_expires_s = 60,
                                              .default_expires_s = 3600,
                                              .max_expires_s = 7200,
                                              .flow_timer_s = 120 };
    conf->on_timeout = EVT_TIMEOUT_END;
    conf->http = api_settings_default();
    conf->log_level = HD_INFO;
    conf->log_format = HD_LOG_TEXT;
    conf->server = HD_LIT("herald/" HERALD_VERSION);
}

enum hd_err
hd_conf_parse(struct hd_slice text, hd_conf_ops_f ops_of, struct hd_problems *problems,
              struct hd_conf **ret_conf)
{
    size_t room = ARENA_BASE + ARENA_PER_OCTET * text.n;
    struct hd_conf *conf = NULL;
    struct hd_arena arena;
    enum hd_err err;

    if (text.n > HD_CONF_FILE_MAX) {
        hd_problem(problems, 0, "the file has %zu octets, at most %d are expected", text.n,
                   HD_CONF_FILE_MAX);
        return HD_ESYNTAX;
    }
    conf = calloc(1, sizeof(*conf) + room);
    if (!conf)
        return HD_ENOMEM;
    hd_arena_init(&arena, conf + 1, room);
    set_defaults(conf);
    err = hd_conf_file_read(text, ops_of, &arena, problems, conf);
    if (err == HD_ENOSPC) {
        hd_problem(problems, 0, "the values are too long; expected less use of ${variables}");
        err = HD_ESYNTAX;
    }
    if (err)
        goto out;
    *ret_conf = conf;
    conf = NULL;
out:
    hd_conf_unref(conf);
    return err;
}

/* Reads at most one octet more than is allowed, so that the parser refuses what is too long. */
static enum hd_err
read_file(const char *file, struct hd_problems *problems, char **ret_text, size_t *ret_n)
{
    size_t cap = HD_CONF_FILE_MAX + 1;
    char *text = malloc(cap);
    enum hd_err err = HD_OK;
    size_t n = 0;
    FILE *stream = NULL;

    if (!text)
        return HD_ENOMEM;
    errno = 0;
    stream = fopen(file, "re");
    if (stream)
        n = fread(text, 1, cap, stream);
    if (!stream || ferror(stream)) {
        hd_problem(problems, 0, "cannot be read (%s); expected a configuration file",
                   strerror(errno));
        err = HD_EIO;
        goto out;
    }
    *ret_text = text;
    *ret_n = n;
    text = NULL;
out:
    if (stream)
        (void)fclose(stream);
    free(text);
    return err;
}

enum hd_err
hd_conf_load(const char *file, hd_conf_ops_f ops_of, struct hd_problems *problems,
             struct hd_conf **ret_conf)
{
    char *text = NULL;
    size_t n = 0;
    enum hd_err err = HD_OK;

    if (file)
        err = read_file(file, problems, &text, &n);
    if (!err)
        err = hd_conf_parse(hd_slice(text, n), ops_of, problems, ret_conf);
    free(text);
    return err;
}

struct hd_conf *
hd_conf_ref(struct hd_conf *conf)
{
    HD_ASSERT_OBJ(conf, HD_CONF_MAGIC);
    (void)atomic_fetch_add_explicit(&conf->refs, 1, memory_order_relaxed);
    return conf;
}

struct hd_conf *
hd_conf_unref(struct hd_conf *conf)
{
    if (!conf)
        return NULL;
    HD_ASSERT_OBJ(conf, HD_CONF_MAGIC);
    /* acq_rel: what other threads read happens before the free. */
    if (atomic_fetch_sub_explicit(&conf->refs, 1, memory_order_acq_rel) == 1) {
        conf->magic = 0;
        free(conf->own);
        free(conf);
    }
    return NULL;
}

enum hd_err
hd_conf_locals(struct hd_addr **ret_locals, size_t *ret_n)
{
    struct ifaddrs *list = NULL;
    struct hd_addr *locals;
    size_t n = 0, count = 0;

    if (getifaddrs(&list) != 0)
        return HD_EIO;
    for (struct ifaddrs *i = list; i; i = i->ifa_next)
        n++;
    locals = calloc(n + 1, sizeof(*locals));
    if (!locals) {
        freeifaddrs(list);
        return HD_ENOMEM;
    }
    for (struct ifaddrs *i = list; i; i = i->ifa_next) {
        struct hd_addr *addr = &locals[count];

        if (!i->ifa_addr || !(i->ifa_flags & IFF_UP))
            continue;
        if (i->ifa_addr->sa_family == AF_INET) {
            struct sockaddr_in in;

            memcpy(&in, i->ifa_addr, sizeof(in));
            memcpy(addr->ip, &in.sin_addr, 4);
            addr->family = 4;
            count++;
        } else if (i->ifa_addr->sa_family == AF_INET6) {
            struct sockaddr_in6 in6;

            memcpy(&in6, i->ifa_addr, sizeof(in6));
            memcpy(addr->ip, &in6.sin6_addr, 16);
            addr->family = 6;
            count++;
        }
    }
    freeifaddrs(list);
    *ret_locals = locals;
    *ret_n = count;
    return HD_OK;
}

static void
add_own(struct hd_conf *conf, const struct hd_addr *addr, uint16_t port)
{
    struct hd_addr own = *addr;

    own.port = port;
    own.scope = 0;
    for (size_t i = 0; i < conf->n_own; i++)
        if (hd_addr_eq(&conf->own[i], &own))
            return;
    conf->own[conf->n_own++] = own;
}

static struct hd_addr
loopback(uint8_t family)
{
    struct hd_addr addr = { .family = family };

    if (family == 4) {
        addr.ip[0] = 127;
        addr.ip[3] = 1;
    } else {
        addr.ip[15] = 1;
    }
    return addr;
}

enum hd_err
hd_conf_bind(struct hd_conf *conf, const struct hd_addr *bound, const struct hd_addr *locals,
             size_t n_locals)
{
    struct hd_addr first;

    HD_ASSERT_OBJ(conf, HD_CONF_MAGIC);
    HD_ASSERT(conf->n_listeners > 0 && !conf->own);
    conf->own = calloc(conf->n_listeners * (n_locals + 1), sizeof(*conf->own));
    if (!conf->own)
        return HD_ENOMEM;
    for (size_t i = 0; i < conf->n_listeners; i++) {
        struct hd_addr here = loopback(bound[i].family);

        conf->listeners[i].addr = bound[i];
        if (!hd_addr_is_any(&bound[i])) {
            add_own(conf, &bound[i], bound[i].port);
            continue;
        }
        add_own(conf, &here, bound[i].port);
        for (size_t k = 0; k < n_locals; k++)
            if (locals[k].family == bound[i].family)
                add_own(conf, &locals[k], bound[i].port);
    }
    if (conf->n_domains == 0) {
        first = hd_addr_is_any(&bound[0]) ? loopback(bound[0].family) : bound[0];
        conf->bound_domain =
            hd_slice(conf->bound_domain_text, hd_addr_host_text(&first, conf->bound_domain_text));
        conf->domains = &conf->bound_domain;
        conf->n_domains = 1;
    }
    return HD_OK;
}

static bool
same_text(const char *a, const char *b)
{
    return hd_slice_eq(hd_slice_str(a), hd_slice_str(b));
}

/* Its thread reads them without a lock. */
static bool
same_http(const struct api_settings *a, const struct api_settings *b)
{
    struct api_settings one = *a, other = *b;
    bool same = a->n_origins == b->n_origins && same_text(a->certificate, b->certificate) &&
                same_text(a->key, b->key);

    for (size_t i = 0; i < a->n_origins && same; i++)
        same = hd_slice_eq(a->origins[i], b->origins[i]);
    same = same && a->n_reach == b->n_reach;
    for (size_t i = 0; i < a->n_reach && same; i++)
        same = a->reach[i].bits == b->reach[i].bits &&
               hd_addr_eq(&a->reach[i].addr, &b->reach[i].addr);
    one.origins = other.origins = NULL;
    one.certificate = one.key = other.certificate = other.key = NULL;
    return same && one.enabled == other.enabled && hd_addr_eq(&one.addr, &other.addr) &&
           one.connections == other.connections &&
           one.connections_per_source == other.connections_per_source &&
           one.requests_per_s == other.requests_per_s &&
           one.requests_burst == other.requests_burst && one.head_size == other.head_size &&
           one.max_body == other.max_body && one.idle_ms == other.idle_ms &&
           one.request_ms == other.request_ms && one.stall_ms == other.stall_ms &&
           one.ping_ms == other.ping_ms && one.hook_retry_ms == other.hook_retry_ms &&
           one.hook_attempts == other.hook_attempts &&
           one.hook_timeout_ms == other.hook_timeout_ms && one.clear_tokens == other.clear_tokens;
}

const char *
hd_conf_fixed_change(const struct hd_conf *running, const struct hd_conf *wanted)
{
    if (running->n_listeners != wanted->n_listeners)
        return "the listen sections";
    for (size_t i = 0; i < running->n_listeners; i++)
        if (running->listeners[i].transport != wanted->listeners[i].transport ||
            !hd_addr_eq(&running->written[i], &wanted->written[i]))
            return "the addresses of the listen sections";
    if (running->shards != wanted->shards)
        return "shards";
    if (!hd_slice_eq(running->store_path, wanted->store_path))
        return "store path";
    if (running->durability != wanted->durability)
        return "store durability";
    if (running->commit_spacing_us != wanted->commit_spacing_us)
        return "store commit_spacing";
    if (!hd_slice_eq(running->admin_socket, wanted->admin_socket))
        return "admin socket";
    if (memcmp(&running->net, &wanted->net, sizeof(running->net)) != 0)
        return "a limit on connections";
    if (memcmp(&running->names, &wanted->names, sizeof(running->names)) != 0)
        return "the names section";
    /* Tables are made for their limits at the start. */
    if (running->limits.subscriptions != wanted->limits.subscriptions ||
        running->limits.resources != wanted->limits.resources ||
        running->limits.publications != wanted->limits.publications ||
        running->limits.bindings != wanted->limits.bindings ||
        running->limits.max_body != wanted->limits.max_body)
        return "a limit on subscriptions, resources, publications, bindings or max_body";
    if (!same_http(&running->http, &wanted->http))
        return "the http section";
    if (running->log_format != wanted->log_format)
        return "log format";
    return NULL;
}

struct hd_slice
hd_conf_realm(const struct hd_conf *conf)
{
    HD_ASSERT(conf->n_domains > 0);
    return conf->realm.n > 0 ? conf->realm : conf->domains[0];
}

size_t
hd_conf_realms(const struct hd_conf *conf, struct hd_slice ret_realms[HD_CONF_REALMS])
{
    ret_realms[0] = hd_conf_realm(conf);
    for (size_t i = 0; i < conf->n_realms; i++)
        ret_realms[i + 1] = conf->realms[i];
    return conf->n_realms + 1;
}

static void
published_free(struct evt_config *config)
{
    struct published *p = HD_CONTAINER(config, struct published, config);

    p->settings.book = pol_book_unref(p->settings.book);
    p->conf = hd_conf_unref(p->conf);
    p->config.magic = 0;
    free(p);
}

struct evt_config *
hd_conf_publish(struct hd_conf *conf, struct pol_book *book, uint64_t now_s, uint32_t version,
                struct hd_slice instance)
{
    struct published *p = calloc(1, sizeof(*p) + instance.n);

    HD_ASSERT_OBJ(conf, HD_CONF_MAGIC);
    if (!p)
        return NULL;
    HD_ASSERT(conf->own);
    if (instance.n > 0)
        memcpy(p->instance, instance.p, instance.n);
    p->instance_len = instance.n;
    p->conf = hd_conf_ref(conf);
    p->settings = (struct pol_settings){ .book = pol_book_ref(book),
                                         .now_s = now_s,
                                         .realms = p->realms,
                                         .n_realms = hd_conf_realms(conf, p->realms),
                                         .algorithms = conf->algorithms,
                                         .n_algorithms = conf->n_algorithms,
                                         .nonce_lifetime_s = conf->nonce_lifetime_s };
    p->config.magic = EVT_CONFIG_MAGIC;
    atomic_init(&p->config.refs, 1);
    p->config.version = version;
    p->config.served = (struct sip_served){ .domains = conf->domains,
                                            .n_domains = conf->n_domains,
                                            .own = conf->own,
                                            .n_own = conf->n_own };
    p->config.listeners = conf->listeners;
    p->config.n_listeners = conf->n_listeners;
    p->config.next_hops = conf->next_hops;
    p->config.n_next_hops = conf->n_next_hops;
    p->config.packages = conf->packages;
    p->config.n_packages = conf->n_packages;
    p->config.profiles = conf->profiles;
    p->config.n_profiles = conf->n_profiles;
    p->config.priorities = conf->priorities;
    p->config.n_priorities = conf->n_priorities;
    p->config.rights = conf->rights;
    p->config.n_rights = conf->n_rights;
    p->config.limits = conf->limits;
    p->config.registrar = conf->registrar;
    p->config.on_timeout = conf->on_timeout;
    p->config.has_tls = hd_certificates_wanted(conf);
    p->config.server = conf->server;
    p->config.instance = hd_slice(p->instance, p->instance_len);
    p->config.policy = &p->settings;
    p->config.free = published_free;
    return &p->config;
}
