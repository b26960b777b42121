/* config_file.c - what a configuration file says, checked value by value.
 *
 * libconfuse does the grammar (sections, lists, quoting, ${variables}); every value reaches us as
 * text with its line, and is read and bounded here, so that each refusal can say what was expected.
 * Syntax errors end the reading, wrong values do not: all of them are told at once. Invariant: a
 * reader whose problems counted up ends with HD_ESYNTAX, so half-filled fields are never used. */
#include "heraldd/config_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "filter/filters.h"
#include "heraldd/config_read.h"
#include "policy/book.h"
#include "sip/priority.h"
#include "sip/uri.h"

#define DAY_S ((uint64_t)24 * 3600)
#define SOCKET_PATH_MAX 107 /* octets in a struct sockaddr_un */

/* A number of the file and the uint32_t that it sets. */
struct number {
    const char *key;
    enum hd_conf_unit unit;
    size_t offset;
    uint64_t min, max;
};

#define LIMIT(name, field, unit, min, max)                                                         \
    {                                                                                              \
        name, unit, offsetof(struct hd_conf, field), min, max                                      \
    }

static const struct number limit_rows[] = {
    LIMIT("max_body", limits.max_body, HD_CONF_SIZE, 1024, 64 << 20),
    LIMIT("subscriptions", limits.subscriptions, HD_CONF_COUNT, 1, 100000000),
    LIMIT("subscriptions_per_watcher", limits.subscriptions_per_watcher, HD_CONF_COUNT, 1,
          100000000),
    LIMIT("resources", limits.resources, HD_CONF_COUNT, 1, 100000000),
    LIMIT("publications", limits.publications, HD_CONF_COUNT, 1, 100000000),
    LIMIT("publications_per_resource", limits.publications_per_resource, HD_CONF_COUNT, 1, 10000),
    LIMIT("bindings", limits.bindings, HD_CONF_COUNT, 1, 100000000),
    LIMIT("bindings_per_user", limits.bindings_per_user, HD_CONF_COUNT, 1, 1000),
    LIMIT("waiting_per_record", limits.waiting_per_record, HD_CONF_COUNT, 1, 1000),
    LIMIT("waiting", limits.waiting, HD_CONF_COUNT, 16, 1000000),
    LIMIT("priority_reserve", limits.priority_reserve, HD_CONF_COUNT, 0, 1000000),
    LIMIT("retry_after", limits.retry_after_s, HD_CONF_SECONDS, 1, 3600),
    LIMIT("failures_burst", limits.failures_burst, HD_CONF_COUNT, 0, 1000000),
    LIMIT("failures_per_second", limits.failures_per_s, HD_CONF_COUNT, 1, 1000000),
    LIMIT("sends_per_turn", limits.sends_per_turn, HD_CONF_COUNT, 1, 4096),
    LIMIT("window_start", limits.window_start, HD_CONF_COUNT, 1, 65536),
    LIMIT("window_from", limits.window_from, HD_CONF_COUNT, 1, 65536),
    LIMIT("udp_size", limits.udp_size, HD_CONF_SIZE, 512, 65000),
    LIMIT("tcp_try", limits.tcp_try_ms, HD_CONF_MS, 100, 30000),
    LIMIT("expires_jitter", limits.expires_jitter, HD_CONF_PERCENT, 0, 50),
    LIMIT("park_first", limits.park_first_s, HD_CONF_SECONDS, 1, DAY_S),
    LIMIT("park_most", limits.park_most_s, HD_CONF_SECONDS, 1, DAY_S),
    LIMIT("waiting_watchers", limits.waiting_watchers, HD_CONF_COUNT, 0, 100000000),
    LIMIT("waiting_per_watcher", limits.waiting_per_watcher, HD_CONF_COUNT, 0, 100000),
    LIMIT("waiting_keep", limits.waiting_keep_s, HD_CONF_SECONDS, 60, 365 * DAY_S),
    LIMIT("route_delay", limits.route_delay_ms, HD_CONF_MS, 0, 1000),
    LIMIT("connections", net.connections, HD_CONF_COUNT, 1, 1000000),
    LIMIT("connection_idle", net.idle_ms, HD_CONF_MS, 1000, DAY_S * 1000),
    LIMIT("connection_message", net.message_ms, HD_CONF_MS, 100, 3600000),
    LIMIT("connection_open", net.connect_ms, HD_CONF_MS, 100, 60000),
    LIMIT("connection_handshake", net.handshake_ms, HD_CONF_MS, 100, 3600000),
    LIMIT("connection_queue", net.queue, HD_CONF_SIZE, 65536, 1 << 30),
    LIMIT("receive_buffer", net.receive_buffer, HD_CONF_SIZE, 0, 1 << 30),
};

static const struct number names_rows[] = {
    LIMIT("timeout", names.timeout_ms, HD_CONF_MS, 100, 30000),
    LIMIT("attempts", names.attempts, HD_CONF_COUNT, 1, 10),
    LIMIT("cache", names.cache, HD_CONF_COUNT, 64, 1000000),
    LIMIT("questions", names.questions, HD_CONF_COUNT, 16, 100000),
};

static const char *const names_keys[] = { "timeout", "attempts", "cache", "questions" };
static const char *const authentication_keys[] = { "realm", "nonce_lifetime" };
static const char *const store_keys[] = { "path", "durability", "commit_spacing" };
static const char *const registrar_keys[] = { "enabled", "min_expires", "default_expires",
                                              "max_expires", "flow_timer" };
static const char *const profile_keys[] = { "package", "when" };
static const char *const next_hop_keys[] = { "proxy" };
static const char *const priority_keys[] = { "trusted" };
static const char *const log_keys[] = { "level", "format" };
static const char *const audit_keys[] = { "enabled", "keep", "most" };
static const char *const recorder_keys[] = { "memory" };
static const char *const admin_keys[] = { "socket" };

/* --- libconfuse ------------------------------------------------------------------------ */

static int
take_value(cfg_t *cfg, cfg_opt_t *opt, const char *text, void *result)
{
    size_t n = strlen(text); /* libconfuse's own string, not wire data */
    struct hd_value *value = malloc(sizeof(*value) + n + 1);

    (void)opt;
    if (!value)
        return -1;
    value->line = (unsigned)cfg->line;
    value->n = n;
    memcpy(value->text, text, n + 1);
    *(void **)result = value;
    return 0;
}

/* libconfuse's error callback gets no context and the section that it gets does not lead to its
 * root: the one place where a pointer is kept beside the stack, set for the time of one call on one
 * thread. */
struct confuse_error {
    int line;
    char text[HD_PROBLEM_TEXT];
};

static _Thread_local struct confuse_error *confuse_error_now;

static void HD_PRINTF(2, 0) take_error(cfg_t *cfg, const char *format, va_list args)
{
    struct confuse_error *e = confuse_error_now;

    if (!e || e->text[0] != '\0')
        return; /* the first says what is wrong */
    e->line = cfg ? cfg->line : 0;
    (void)vsnprintf(e->text, sizeof(e->text), format, args);
}

static cfg_opt_t
one(const char *key)
{
    return (cfg_opt_t){ .name = key,
                        .type = CFGT_PTR,
                        .flags = CFGF_NODEFAULT,
                        .parsecb = take_value,
                        .freecb = free };
}

static cfg_opt_t
many(const char *key)
{
    cfg_opt_t opt = one(key);

    opt.flags |= CFGF_LIST;
    return opt;
}

static cfg_opt_t
section(const char *key, cfg_opt_t *keys, int flags)
{
    return (cfg_opt_t){ .name = key, .type = CFGT_SEC, .flags = flags, .subopts = keys };
}

#define ROW_MAX 40

/* keys, then the list keys, then the end mark; into an array of ROW_MAX. */
static void
fill_keys(cfg_opt_t *row, const char *const *keys, size_t n, const char *const *lists,
          size_t n_lists)
{
    HD_ASSERT(n + n_lists < ROW_MAX);
    for (size_t i = 0; i < n; i++)
        *row++ = one(keys[i]);
    for (size_t i = 0; i < n_lists; i++)
        *row++ = many(lists[i]);
    *row = (cfg_opt_t){ .type = CFGT_NONE };
}

static enum hd_err
confuse_read(struct hd_reader *r)
{
    static const char *const authentication_lists[] = { "algorithms", "realms" },
                             *const publish_lists[] = { "publishers", "packages" },
                             *const priority_lists[] = { "users" },
                             *const names_lists[] = { "servers" },
                             *const registrar_lists[] = { "agents" };
    const int single = CFGF_NODEFAULT, titled = CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES;
    cfg_opt_t listen[ROW_MAX], authentication[ROW_MAX], store[ROW_MAX], limits[ROW_MAX],
        registrar[ROW_MAX], package[ROW_MAX], profile[ROW_MAX], log[ROW_MAX], admin[ROW_MAX],
        tls[ROW_MAX], names[ROW_MAX], audit[ROW_MAX], http[ROW_MAX], recorder[ROW_MAX],
        publish[ROW_MAX], priority[ROW_MAX], next_hop[ROW_MAX];
    struct confuse_error error = { 0 };
    int rc;

    fill_keys(listen, hd_listen_keys, hd_n_listen_keys, hd_listen_lists, hd_n_listen_lists);
    fill_keys(http, hd_http_keys, hd_n_http_keys, hd_http_lists, hd_n_http_lists);
    fill_keys(tls, hd_tls_keys, hd_n_tls_keys, NULL, 0);
    fill_keys(authentication, authentication_keys, HD_ARRAY_LEN(authentication_keys),
              authentication_lists, 2);
    fill_keys(publish, NULL, 0, publish_lists, 2);
    fill_keys(priority, priority_keys, HD_ARRAY_LEN(priority_keys), priority_lists, 1);
    fill_keys(next_hop, next_hop_keys, HD_ARRAY_LEN(next_hop_keys), NULL, 0);
    fill_keys(store, store_keys, HD_ARRAY_LEN(store_keys), NULL, 0);
    fill_keys(registrar, registrar_keys, HD_ARRAY_LEN(registrar_keys), registrar_lists, 1);
    fill_keys(names, names_keys, HD_ARRAY_LEN(names_keys), names_lists, 1);
    fill_keys(package, hd_package_keys, hd_n_package_keys, hd_package_lists, hd_n_package_lists);
    fill_keys(profile, profile_keys, HD_ARRAY_LEN(profile_keys), NULL, 0);
    fill_keys(log, log_keys, HD_ARRAY_LEN(log_keys), NULL, 0);
    fill_keys(audit, audit_keys, HD_ARRAY_LEN(audit_keys), NULL, 0);
    fill_keys(recorder, recorder_keys, HD_ARRAY_LEN(recorder_keys), NULL, 0);
    fill_keys(admin, admin_keys, HD_ARRAY_LEN(admin_keys), NULL, 0);
    for (size_t i = 0; i < HD_ARRAY_LEN(limit_rows); i++)
        limits[i] = one(limit_rows[i].key);
    limits[HD_ARRAY_LEN(limit_rows)] = (cfg_opt_t){ .type = CFGT_NONE };

    cfg_opt_t root[] = { many("domains"),
                         many("first_users"),
                         one("shards"),
                         one("on_timeout"),
                         one("server"),
                         section("listen", listen, titled),
                         section("package", package, titled),
                         section("profile", profile, titled),
                         section("publish", publish, titled),
                         section("priority", priority, titled),
                         section("next_hop", next_hop, titled),
                         section("authentication", authentication, single),
                         section("store", store, single),
                         section("limits", limits, single),
                         section("registrar", registrar, single),
                         section("tls", tls, single),
                         section("names", names, single),
                         section("http", http, titled),
                         section("log", log, single),
                         section("admin", admin, single),
                         section("audit", audit, single),
                         section("recorder", recorder, single),
                         { .type = CFGT_NONE } };

    r->root = cfg_init(root, CFGF_NONE);
    if (!r->root)
        return HD_ENOMEM;
    if (r->scan.n == 0)
        return HD_OK;
    (void)cfg_set_error_function(r->root, take_error);
    confuse_error_now = &error;
    rc = cfg_parse_buf(r->root, r->scan.text);
    confuse_error_now = NULL;
    if (rc == CFG_SUCCESS)
        return HD_OK;
    if (error.text[0] == '\0')
        return HD_ENOMEM;
    hd_problem(r->problems, error.line > 0 ? (unsigned)error.line : 0,
               "%s; expected is what herald.conf(5) lists", error.text);
    return HD_ESYNTAX;
}

/* --- sections -------------------------------------------------------------------------- */

static bool
check_realm(struct hd_reader *r, const char *key, const struct hd_value *value)
{
    if (value->n > 0 && value->n <= POL_REALM_MAX && !memchr(value->text, '"', value->n) &&
        !memchr(value->text, '\\', value->n))
        return true;
    hd_problem(r->problems, value->line,
               "%s = \"%s\"; expected a text of at most %d octets without '\"' and '\\'", key,
               value->text, POL_REALM_MAX);
    return false;
}

static void
read_realms(struct hd_reader *r, cfg_t *sec)
{
    const struct hd_value *realm = hd_read_value(sec, "realm");
    struct hd_conf *conf = r->conf;

    if (realm && check_realm(r, "realm", realm))
        conf->realm = hd_read_keep(r, hd_value_slice(realm));
    hd_read_list(r, sec, "realms", check_realm, &conf->realms, &conf->n_realms);
    if (conf->n_realms >= HD_CONF_REALMS)
        hd_problem(r->problems, 0, "realms names %zu; expected at most %d", conf->n_realms,
                   HD_CONF_REALMS - 1);
    for (size_t i = 0; i < conf->n_realms; i++)
        if (hd_slice_eq(conf->realms[i], conf->realm))
            hd_problem(r->problems, realm->line,
                       "realms names \"%s\", which is the realm; expected once", realm->text);
}

static void
read_authentication(struct hd_reader *r)
{
    cfg_t *sec = cfg_size(r->root, "authentication") ? cfg_getsec(r->root, "authentication") : NULL;
    unsigned n = sec ? cfg_size(sec, "algorithms") : 0;
    struct hd_conf *conf = r->conf;

    read_realms(r, sec);
    hd_read_number(r, sec, "nonce_lifetime", HD_CONF_SECONDS, 1, DAY_S, &conf->nonce_lifetime_s);
    if (n > 0)
        conf->n_algorithms = 0;
    for (unsigned i = 0; i < n; i++) {
        const struct hd_value *value = cfg_getnptr(sec, "algorithms", i);
        enum sip_digest_alg alg =
            value->n ? sip_digest_find(hd_value_slice(value)) : SIP_DIGEST_NONE;
        bool twice = false;

        for (size_t k = 0; k < conf->n_algorithms; k++)
            twice = twice || conf->algorithms[k] == alg;
        if (alg == SIP_DIGEST_NONE || twice)
            hd_problem(r->problems, value->line,
                       "algorithms holds \"%s\"%s; expected SHA-256 and MD5, the preferred first",
                       value->text, twice ? " twice" : "");
        else
            conf->algorithms[conf->n_algorithms++] = alg;
    }
}

static void
read_store(struct hd_reader *r)
{
    static const char *const words[] = { "commit", "async", "memory" };
    cfg_t *sec = cfg_size(r->root, "store") ? cfg_getsec(r->root, "store") : NULL;
    struct hd_conf *conf = r->conf;

    hd_read_text(r, sec, "path", 4000, &conf->store_path);
    conf->durability =
        (enum hd_durability)hd_read_word(r, sec, "durability", words, 3, (int)conf->durability);
    hd_read_number(r, sec, "commit_spacing", HD_CONF_US, 0, 1000000, &conf->commit_spacing_us);
}

static void
read_audit(struct hd_reader *r)
{
    cfg_t *sec = cfg_size(r->root, "audit") ? cfg_getsec(r->root, "audit") : NULL;
    struct hd_conf *conf = r->conf;

    conf->audit = hd_read_bool(r, sec, "enabled", conf->audit);
    hd_read_number(r, sec, "keep", HD_CONF_SECONDS, 60, 3660 * DAY_S, &conf->audit_keep_s);
    hd_read_number(r, sec, "most", HD_CONF_COUNT, 1000, UINT32_MAX, &conf->audit_most);
}

/* What is too small to hold a message is none. */
static void
read_recorder(struct hd_reader *r)
{
    cfg_t *sec = cfg_size(r->root, "recorder") ? cfg_getsec(r->root, "recorder") : NULL;

    hd_read_number(r, sec, "memory", HD_CONF_SIZE, 0, 1 << 30, &r->conf->limits.recorder);
}

static void
read_registrar(struct hd_reader *r)
{
    cfg_t *sec = cfg_size(r->root, "registrar") ? cfg_getsec(r->root, "registrar") : NULL;
    struct evt_registrar *registrar = &r->conf->registrar;

    registrar->enabled = hd_read_bool(r, sec, "enabled", registrar->enabled);
    hd_read_expires(r, sec, "registrar", hd_scan_line(&r->scan, "registrar", 0),
                    &registrar->min_expires_s, &registrar->default_expires_s,
                    &registrar->max_expires_s);
    hd_read_number(r, sec, "flow_timer", HD_CONF_SECONDS, 0, 3600, &registrar->flow_timer_s);
    hd_read_list(r, sec, "agents", hd_check_name, &registrar->agents, &registrar->n_agents);
}

/* An address with or without a port: "192.0.2.53", "[2001:db8::53]:5353". */
static bool
read_server(struct hd_slice text, struct hd_addr *ret_addr)
{
    size_t end =
        text.n > 0 && text.p[0] == '[' ? hd_slice_find(text, ']') + 1 : hd_slice_find(text, ':');
    struct hd_slice host = text, port = { 0 };
    uint32_t number = 53;

    if (end < text.n) {
        host.n = end;
        port = hd_slice_from(text, end + 1);
        if (text.p[end] != ':' || hd_slice_to_u32(port, &number) || number == 0 ||
            number > UINT16_MAX)
            return false;
    }
    return hd_addr_parse(host, (uint16_t)number, ret_addr) == HD_OK;
}

static void
read_names(struct hd_reader *r)
{
    cfg_t *sec = cfg_size(r->root, "names") ? cfg_getsec(r->root, "names") : NULL;
    struct hd_conf_names *names = &r->conf->names;

    for (size_t i = 0; i < HD_ARRAY_LEN(names_rows); i++) {
        const struct number *row = &names_rows[i];

        hd_read_number(r, sec, row->key, row->unit, row->min, row->max,
                       (uint32_t *)(void *)((char *)r->conf + row->offset));
    }
    for (unsigned i = 0; sec && i < cfg_size(sec, "servers"); i++) {
        const struct hd_value *value = cfg_getnptr(sec, "servers", i);

        if (names->n_servers == HD_CONF_NAME_SERVERS ||
            !read_server(hd_value_slice(value), &names->servers[names->n_servers]))
            hd_problem(r->problems, value->line,
                       "servers holds \"%s\"; expected at most %d addresses such as 192.0.2.53 or "
                       "[2001:db8::53]:5353",
                       value->text, HD_CONF_NAME_SERVERS);
        else
            names->n_servers++;
    }
}

static void
read_limits(struct hd_reader *r)
{
    cfg_t *sec = cfg_size(r->root, "limits") ? cfg_getsec(r->root, "limits") : NULL;
    unsigned before = r->problems->count;

    for (size_t i = 0; i < HD_ARRAY_LEN(limit_rows); i++) {
        const struct number *row = &limit_rows[i];

        hd_read_number(r, sec, row->key, row->unit, row->min, row->max,
                       (uint32_t *)(void *)((char *)r->conf + row->offset));
    }
    if (r->problems->count == before && r->conf->limits.park_first_s > r->conf->limits.park_most_s)
        hd_problem(r->problems, hd_scan_line(&r->scan, "limits", 0),
                   "park_first is longer than park_most; expected at most as long");
}

/* --- profiles -------------------------------------------------------------------------- */

/* What a subscriber that can send no filter names in its Event header: token (RFC 3261 25.1). */
static void
read_profile(struct hd_reader *r, cfg_t *sec, unsigned line, struct evt_profile *profile)
{
    const struct hd_value *when = hd_read_value(sec, "when"),
                          *package = hd_read_value(sec, "package");
    const char *reason = NULL;
    size_t at = 0;

    profile->name = hd_read_keep(r, hd_slice_str(cfg_title(sec)));
    if (!hd_package_name_ok(profile->name))
        hd_problem(r->problems, line, "profile \"%s\"; expected a token of at most %d octets",
                   cfg_title(sec), EVT_PACKAGE_NAME_MAX);
    if (package) {
        profile->package = hd_read_keep(r, hd_value_slice(package));
        bool known = false;
        for (size_t i = 0; i < r->conf->n_packages; i++)
            known = known || hd_slice_eq(r->conf->packages[i]->name, profile->package);
        if (!known)
            hd_problem(r->problems, package->line,
                       "package = \"%s\"; expected the name of a package that is enabled",
                       package->text);
    }
    if (!when) {
        hd_problem(r->problems, line,
                   "profile \"%s\" has no when; expected a condition, such as when = \"hr above "
                   "140 clear 120\"",
                   cfg_title(sec));
        return;
    }
    profile->when = hd_read_keep(r, hd_value_slice(when));
    switch (flt_check_when(hd_value_slice(when), &reason, &at)) {
    case HD_OK:
        break;
    case HD_ENOMEM:
        r->no_space = true;
        break;
    default:
        hd_problem(r->problems, when->line,
                   "when = \"%s\": %s at character %zu; expected a "
                   "condition as herald.conf(5) says",
                   when->text, reason ? reason : "it cannot be kept", at + 1);
    }
}

static void
read_profiles(struct hd_reader *r)
{
    unsigned n = cfg_size(r->root, "profile");
    struct hd_conf *conf = r->conf;

    if (n == 0)
        return;
    conf->profiles = hd_read_room(r, n, sizeof(*conf->profiles));
    if (!conf->profiles)
        return;
    for (unsigned i = 0; i < n; i++)
        read_profile(r, cfg_getnsec(r->root, "profile", i), hd_scan_line(&r->scan, "profile", i),
                     &conf->profiles[conf->n_profiles++]);
}

/* --- rights to publish ------------------------------------------------------------------ */

static bool
check_package(struct hd_reader *r, const char *key, const struct hd_value *value)
{
    for (size_t i = 0; i < r->conf->n_packages; i++)
        if (hd_slice_eq(r->conf->packages[i]->name, hd_value_slice(value)))
            return true;
    hd_problem(r->problems, value->line,
               "%s holds \"%s\"; expected the name of a package that is enabled", key, value->text);
    return false;
}

/* publish "sip:*@fleet.example" { publishers = { "fleet" } packages = { "x-position" } } */
static void
read_right(struct hd_reader *r, cfg_t *sec, unsigned line, struct evt_right *right)
{
    const struct sip_served served = { .domains = r->conf->domains,
                                       .n_domains = r->conf->n_domains };
    char key[SIP_KEY_MAX];
    struct sip_uri uri;
    size_t n;

    if (sip_uri_parse(hd_slice_str(cfg_title(sec)), &uri) ||
        sip_identity_key(&uri, &served, key, &n) || !pol_key_ok(hd_slice(key, n)))
        hd_problem(r->problems, line, "publish \"%s\"; expected sip:*@DOMAIN or sip:USER@DOMAIN",
                   cfg_title(sec));
    else
        right->resource = hd_read_keep(r, hd_slice(key, n));
    hd_read_list(r, sec, "publishers", hd_check_name, &right->publishers, &right->n_publishers);
    hd_read_list(r, sec, "packages", check_package, &right->packages, &right->n_packages);
    if (cfg_size(sec, "publishers") == 0)
        hd_problem(r->problems, line,
                   "publish \"%s\" has no publishers; expected names of users, such as "
                   "publishers = { \"fleet\" }",
                   cfg_title(sec));
}

static void
read_rights(struct hd_reader *r)
{
    const unsigned n = cfg_size(r->root, "publish");
    struct evt_right *rights = n ? hd_read_room(r, n, sizeof(*rights)) : NULL;

    for (unsigned i = 0; rights && i < n; i++)
        read_right(r, cfg_getnsec(r->root, "publish", i), hd_scan_line(&r->scan, "publish", i),
                   &rights[i]);
    r->conf->rights = rights;
    r->conf->n_rights = rights ? n : 0;
}

/* --- Resource-Priority ------------------------------------------------------------------- */

/* priority "esnet" { users = { "psap" } } */
static void
read_priority(struct hd_reader *r, cfg_t *sec, unsigned line, struct evt_priority *priority)
{
    priority->values = sip_priority_namespace(hd_slice_str(cfg_title(sec)));
    for (size_t i = 0; i < r->conf->n_priorities; i++)
        if (r->conf->priorities[i].values == priority->values)
            hd_problem(r->problems, line, "priority \"%s\" is there twice; expected once",
                       cfg_title(sec));
    if (!priority->values)
        hd_problem(r->problems, line,
                   "priority \"%s\"; expected a namespace of Resource-Priority: esnet, ets, wps, "
                   "q735, dsn or drsn",
                   cfg_title(sec));
    priority->trusted = hd_read_bool(r, sec, "trusted", true);
    hd_read_list(r, sec, "users", hd_check_name, &priority->users, &priority->n_users);
}

static void
read_priorities(struct hd_reader *r)
{
    const unsigned n = cfg_size(r->root, "priority");
    struct evt_priority *priorities = n ? hd_read_room(r, n, sizeof(*priorities)) : NULL;

    r->conf->priorities = priorities;
    for (unsigned i = 0; priorities && i < n; i++) {
        read_priority(r, cfg_getnsec(r->root, "priority", i), hd_scan_line(&r->scan, "priority", i),
                      &priorities[i]);
        r->conf->n_priorities = i + 1;
    }
}

/* --- the rest -------------------------------------------------------------------------- */

static void
read_shards(struct hd_reader *r)
{
    const struct hd_value *value = hd_read_value(r->root, "shards");
    uint32_t n = 0;

    if (!value || hd_slice_eq(hd_value_slice(value), HD_LIT("auto")))
        return;
    if (hd_slice_to_u32(hd_value_slice(value), &n) || n < 1 || n > 64)
        hd_problem(r->problems, value->line,
                   "shards = \"%s\"; expected auto or a number from 1 to 64", value->text);
    else
        r->conf->shards = n;
}

static void
read_admin(struct hd_reader *r)
{
    cfg_t *sec = cfg_size(r->root, "admin") ? cfg_getsec(r->root, "admin") : NULL;
    const struct hd_value *value = hd_read_value(sec, "socket");

    hd_read_text(r, sec, "socket", SOCKET_PATH_MAX, &r->conf->admin_socket);
    if (value && value->n == 0)
        hd_problem(r->problems, value->line, "socket is empty; expected the path of a socket");
}

static void
read_all(struct hd_reader *r)
{
    static const char *const timeouts[] = { "end", "park" };
    static const char *const levels[] = { "error", "warn", "info", "debug" };
    static const char *const formats[] = { "text", "json" };
    cfg_t *log = cfg_size(r->root, "log") ? cfg_getsec(r->root, "log") : NULL;
    struct hd_conf *conf = r->conf;

    hd_read_list(r, r->root, "domains", hd_check_domain, &conf->domains, &conf->n_domains);
    hd_read_list(r, r->root, "first_users", hd_check_name, &conf->first_users,
                 &conf->n_first_users);
    read_shards(r);
    hd_read_text(r, r->root, "server", 100, &conf->server);
    conf->on_timeout = (enum evt_on_timeout)hd_read_word(r, r->root, "on_timeout", timeouts, 2,
                                                         (int)conf->on_timeout);
    hd_read_listeners(r);
    hd_read_next_hops(r);
    hd_read_tls(r);
    read_authentication(r);
    read_store(r);
    read_limits(r);
    read_registrar(r);
    read_audit(r);
    read_recorder(r);
    read_names(r);
    hd_read_packages(r);
    read_profiles(r);
    hd_read_http(r);
    read_rights(r);
    read_priorities(r);
    conf->log_level = (enum hd_level)hd_read_word(r, log, "level", levels, 4, (int)conf->log_level);
    conf->log_format =
        (enum hd_log_format)hd_read_word(r, log, "format", formats, 2, (int)conf->log_format);
    read_admin(r);
}

enum hd_err
hd_conf_file_read(struct hd_slice text, hd_conf_ops_f ops_of, struct hd_arena *arena,
                  struct hd_problems *problems, struct hd_conf *conf)
{
    struct hd_reader r = { .conf = conf, .arena = arena, .problems = problems, .ops_of = ops_of };
    unsigned before = problems->count;
    enum hd_err err;

    err = hd_scan_run(text, problems, &r.scan);
    if (err)
        goto out;
    err = confuse_read(&r);
    if (err)
        goto out;
    read_all(&r);
    if (problems->count > before)
        err = HD_ESYNTAX;
    else if (r.no_space)
        err = HD_ENOSPC;
out:
    if (r.root)
        (void)cfg_free(r.root);
    hd_scan_done(&r.scan);
    return err;
}
