/* config_package.c - what a configuration file says of event packages.
 *
 * Invariant: rules for paths are for packages whose documents are all JSON and become one. */
#include "heraldd/config_read.h"

#include <stdio.h>

#include "base/lit.h"
#include "format/json_compose.h"
#include "format/reduce.h"
#include "package/pkg.h"
#include "sip/header.h"

#define DAY_S ((uint64_t)24 * 3600)

const char *const hd_package_keys[] = {
    "enabled",  "min_expires",     "default_expires",  "max_expires",   "max_body",     "pace",
    "delivery", "queue",           "compose",          "authorisation", "neutral_type", "neutral",
    "partial",  "registered_rule", "registered_calls", "supersede",     "repeat",       "own_entry"
};
const char *const hd_package_lists[] = { "types", "publishers", "registered", "latest",
                                         "list",  "sum",        "max",        "min" };
const size_t hd_n_package_keys = HD_ARRAY_LEN(hd_package_keys),
             hd_n_package_lists = HD_ARRAY_LEN(hd_package_lists);

/* --- documents ------------------------------------------------------------------------- */

static bool
check_type(struct hd_reader *r, const char *key, const struct hd_value *value)
{
    struct sip_media media;

    if (value->n <= 200 && !sip_media_parse(hd_value_slice(value), &media) && media.params.n == 0)
        return true;
    hd_problem(r->problems, value->line,
               "%s holds \"%s\"; expected a media type without parameters such as "
               "application/json",
               key, value->text);
    return false;
}

struct builtin {
    struct hd_slice name;
    uint32_t pace_ms;
};

/* Pace as the packages' own texts have it: RFC 3856 section 6.10, RFC 4235 section 3.10, RFC 3842
 * section 3.11. */
static const struct builtin builtins[] = {
    { { "presence", 8 }, 5000 },
    { { "dialog", 6 }, 1000 },
    { { "message-summary", 15 }, 1000 },
    { { "reg", 3 }, 5000 },
};

static void
package_defaults(struct hd_reader *r, struct hd_slice name, const struct builtin *builtin,
                 struct evt_package *package)
{
    struct hd_slice *type;

    *package = (struct evt_package){ .magic = EVT_PACKAGE_MAGIC,
                                     .name = name,
                                     .ops = r->ops_of(name),
                                     .min_expires_s = 60,
                                     .default_expires_s = 3600,
                                     .max_expires_s = 86400,
                                     .repeat_ms = 1000,
                                     .delivery = EVT_DELIVER_STATE,
                                     .queue_max = 64,
                                     .compose = EVT_COMPOSE_LATEST,
                                     .authorisation = EVT_AUTHORISE_OWNER };
    HD_ASSERT(package->ops);
    if (!builtin)
        return;
    package->pace_ms = builtin->pace_ms;
    package->compose = EVT_COMPOSE_OWN;
    package->keeper = pkg_keeper(name);
    if (hd_slice_eq(name, HD_LIT("reg"))) {
        /* RFC 3680 section 4.3: a little more than the usual hour of a registration; section 5.1
         * has partial documents for those that follow the first. */
        package->default_expires_s = 3761;
        package->partial = true;
    }
    type = hd_read_room(r, 1, sizeof(*type));
    if (!type)
        return;
    *type = pkg_default_type(name);
    package->types = type;
    package->n_types = 1;
    package->dialogs = hd_slice_eq(name, HD_LIT("dialog"));
    if (hd_slice_eq(name, HD_LIT("presence"))) {
        package->partial = package->ops->render != NULL;
        package->first_version = 1; /* RFC 5263 section 4.4 */
        package->types = pkg_presence_types;
        package->n_types = 2;
        package->n_published = 1;
    }
}

static bool
is_json(struct hd_slice type)
{
    struct sip_media media;

    return !sip_media_parse(type, &media) &&
           (hd_slice_ieq(media.subtype, HD_LIT("json")) ||
            (media.subtype.n > 5 &&
             hd_slice_ieq(hd_slice_from(media.subtype, media.subtype.n - 5), HD_LIT("+json"))));
}

static const char *const rule_keys[] = { "latest", "list", "sum", "max",
                                         "min" }; /* enum fmt_rule */

const char *
hd_package_rule_word(unsigned rule)
{
    return rule < HD_ARRAY_LEN(rule_keys) ? rule_keys[rule] : "";
}

static bool
check_rule_path(struct hd_reader *r, const char *key, const struct hd_value *value)
{
    if (fmt_rule_path_ok(hd_value_slice(value)))
        return true;
    hd_problem(r->problems, value->line,
               "%s holds \"%s\"; expected the path of a member, such as \"/stock\" or "
               "\"/stock/*\": at most %d names without '@' in front",
               key, value->text, FMT_STEPS_MAX);
    return false;
}

/* One path of a rule; false: it meets another's. */
static bool
rule_add(struct hd_reader *r, const struct hd_value *value, enum fmt_rule rule,
         struct fmt_rule_path *rules, size_t n)
{
    const struct hd_slice path = hd_value_slice(value);

    for (size_t i = 0; i < n; i++) {
        if (!fmt_rule_paths_collide(rules[i].path, path))
            continue;
        hd_problem(r->problems, value->line,
                   "%s holds \"%s\", and %s holds \"%.*s\"; expected one rule for a path and what "
                   "is below it",
                   rule_keys[rule], value->text, rule_keys[rules[i].rule], HD_FMT(rules[i].path));
        return false;
    }
    rules[n] = (struct fmt_rule_path){ .path = hd_read_keep(r, path), .rule = rule };
    return true;
}

/* How several publications become one, path by path. */
static void
read_rules(struct hd_reader *r, cfg_t *sec, struct evt_package *package)
{
    size_t n = 0, most = 0;

    for (unsigned k = 0; k < HD_ARRAY_LEN(rule_keys); k++)
        most += cfg_size(sec, rule_keys[k]);
    most = most < FMT_PATHS_MAX ? most : FMT_PATHS_MAX;
    struct fmt_rule_path *rules = most ? hd_read_room(r, most, sizeof(*rules)) : NULL;
    if (!rules)
        return;
    for (unsigned k = 0; k < HD_ARRAY_LEN(rule_keys); k++) {
        for (unsigned i = 0; i < cfg_size(sec, rule_keys[k]); i++) {
            const struct hd_value *value = cfg_getnptr(sec, rule_keys[k], i);
            if (n == FMT_PATHS_MAX) {
                hd_problem(r->problems, value->line,
                           "package \"%s\" has rules for more than %d paths; expected at most so "
                           "many",
                           cfg_title(sec), FMT_PATHS_MAX);
                return;
            }
            if (check_rule_path(r, rule_keys[k], value))
                n += rule_add(r, value, (enum fmt_rule)k, rules, n);
        }
    }
    package->rules = rules;
    package->n_rules = n;
}

/* Rules are for JSON, and for packages that show one document. */
static void
check_rules(struct hd_reader *r, cfg_t *sec, unsigned line, const struct evt_package *package)
{
    bool json = true;

    for (size_t i = 0; i < package->n_types; i++)
        json = json && is_json(package->types[i]);
    if (package->n_rules && package->compose != EVT_COMPOSE_LATEST)
        hd_problem(
            r->problems, line,
            "package \"%s\" has rules for paths and compose = list; expected compose = latest",
            cfg_title(sec));
    if (package->n_rules && !json)
        hd_problem(r->problems, line,
                   "package \"%s\" has rules for paths and a type that is not JSON; expected types "
                   "such as application/json alone",
                   cfg_title(sec));
}

/* RFC 7396: a publisher of JSON may say what changes. */
static void
read_types(struct hd_reader *r, cfg_t *sec, unsigned line, struct evt_package *package)
{
    static const struct hd_slice patch = HD_LIT_INIT("application/merge-patch+json");
    bool json = false, taken = false;

    hd_read_list(r, sec, "types", check_type, &package->types, &package->n_types);
    if (cfg_size(sec, "types") == 0)
        hd_problem(r->problems, line,
                   "package \"%s\" has no types; expected the media types of its documents, such "
                   "as types = { \"application/json\" }",
                   cfg_title(sec));
    if (package->n_types > EVT_PACKAGE_TYPES_MAX)
        hd_problem(r->problems, line, "package \"%s\" has %zu types; expected at most %d",
                   cfg_title(sec), package->n_types, EVT_PACKAGE_TYPES_MAX);
    for (size_t i = 0; i < package->n_types; i++) {
        json = json || is_json(package->types[i]);
        taken = taken || sip_media_same(package->types[i], patch);
    }
    if (json && !taken)
        package->patch_type = patch;
}

/* What only a package without code of its own can have. */
static void
read_documents(struct hd_reader *r, cfg_t *sec, unsigned line, const struct builtin *builtin,
               struct evt_package *package)
{
    static const char *const composes[] = { "latest", "list" };
    static const char *const only[] = { "types", "compose", "neutral_type", "neutral", "latest",
                                        "list",  "sum",     "max",          "min" };
    const struct hd_value *type = hd_read_value(sec, "neutral_type"),
                          *neutral = hd_read_value(sec, "neutral");
    bool known = false;

    for (size_t i = 0; i < HD_ARRAY_LEN(only) && builtin; i++) {
        const struct hd_value *value = hd_read_value(sec, only[i]);

        if (value)
            hd_problem(r->problems, value->line,
                       "%s cannot be set for package \"%s\", which is built in; expected not to "
                       "be there",
                       only[i], cfg_title(sec));
    }
    if (builtin)
        return;
    package->compose =
        (enum evt_compose)hd_read_word(r, sec, "compose", composes, 2, (int)package->compose);
    read_types(r, sec, line, package);
    read_rules(r, sec, package);
    check_rules(r, sec, line, package);
    if (neutral && !type)
        hd_problem(r->problems, neutral->line, "neutral without neutral_type; expected both");
    if (!type || !check_type(r, "neutral_type", type))
        return;
    for (size_t i = 0; i < package->n_types; i++)
        known = known || sip_media_same(package->types[i], hd_value_slice(type));
    if (!known)
        hd_problem(r->problems, type->line, "neutral_type = \"%s\"; expected one of types",
                   type->text);
    package->neutral_type = hd_read_keep(r, hd_value_slice(type));
    if (neutral)
        package->neutral_body = hd_read_keep(r, hd_value_slice(neutral));
}

/* Presence from registration: of which domains, and by which rule. */
static void
read_derived(struct hd_reader *r, cfg_t *sec, struct evt_package *package)
{
    static const char *const keys[] = { "registered", "registered_rule", "registered_calls" };
    static const char *const rules[] = { "alone", "beside" };
    const struct hd_value *value = NULL;

    for (size_t i = 0; i < HD_ARRAY_LEN(keys) && !value; i++)
        value = i == 0 ? (cfg_size(sec, keys[i]) ? cfg_getnptr(sec, keys[i], 0) : NULL)
                       : hd_read_value(sec, keys[i]);
    if (!value)
        return;
    struct evt_derived *derived = hd_read_room(r, 1, sizeof(*derived));
    if (!hd_slice_eq(package->name, HD_LIT("presence")) || !cfg_size(sec, "registered"))
        hd_problem(r->problems, value->line,
                   "registered and what goes with it; expected in package \"presence\" alone, with "
                   "registered = { DOMAIN, ... } or all");
    if (!derived)
        return;
    if (cfg_size(sec, "registered") != 1 || !hd_slice_eq(hd_value_slice(value), HD_LIT("all")))
        hd_read_list(r, sec, "registered", hd_check_domain, &derived->domains, &derived->n_domains);
    derived->beside = hd_read_word(r, sec, "registered_rule", rules, 2, 0) == 1;
    derived->calls = hd_read_bool(r, sec, "registered_calls", true);
    package->derived = derived;
    package->keeper = pkg_presence_keeper();
}

static void
read_package(struct hd_reader *r, cfg_t *sec, unsigned line, const struct builtin *builtin,
             struct evt_package *package)
{
    static const char *const deliveries[] = { "state", "every" };
    static const char *const authorisations[] = { "owner", "allow", "block", "confirm" };
    char what[EVT_PACKAGE_NAME_MAX + 16];

    (void)snprintf(what, sizeof(what), "package \"%.*s\"", HD_FMT(package->name));
    hd_read_expires(r, sec, what, line, &package->min_expires_s, &package->default_expires_s,
                    &package->max_expires_s);
    hd_read_number(r, sec, "max_body", HD_CONF_SIZE, 1, r->conf->limits.max_body,
                   &package->max_body);
    hd_read_number(r, sec, "pace", HD_CONF_MS, 0, DAY_S * 1000, &package->pace_ms);
    hd_read_number(r, sec, "repeat", HD_CONF_MS, 100, DAY_S * 1000, &package->repeat_ms);
    hd_read_number(r, sec, "queue", HD_CONF_COUNT, 1, 65536, &package->queue_max);
    package->delivery =
        (enum evt_delivery)hd_read_word(r, sec, "delivery", deliveries, 2, (int)package->delivery);
    package->authorisation = (enum evt_authorisation)hd_read_word(
        r, sec, "authorisation", authorisations, 4, (int)package->authorisation);
    hd_read_list(r, sec, "publishers", hd_check_name, &package->publishers, &package->n_publishers);
    package->supersede = hd_read_bool(r, sec, "supersede", false);
    package->own_entry = hd_read_bool(r, sec, "own_entry", false);
    package->partial = hd_read_bool(r, sec, "partial", package->partial);
    if (!package->partial && package->n_published) { /* its forms are partial documents */
        package->n_types = package->n_published;
        package->n_published = 0;
    }
    if (package->partial && !package->ops->render)
        hd_problem(r->problems, hd_read_value(sec, "partial")->line,
                   "partial = yes for package \"%s\", which knows whole documents only; expected "
                   "no",
                   cfg_title(sec));
    read_documents(r, sec, line, builtin, package);
    read_derived(r, sec, package);
}

/* token-nodot of RFC 6665 section 8.4: a dot would name a template package. */
bool
hd_package_name_ok(struct hd_slice name)
{
    static const char others[] = "-!%*_+`'~";

    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              memchr(others, c, sizeof(others) - 1)))
            return false;
    }
    return name.n > 0 && name.n <= EVT_PACKAGE_NAME_MAX;
}

static cfg_t *
find_section(struct hd_reader *r, struct hd_slice name, unsigned *ret_line)
{
    for (unsigned i = 0; i < cfg_size(r->root, "package"); i++) {
        cfg_t *sec = cfg_getnsec(r->root, "package", i);

        if (hd_slice_eq(hd_slice_str(cfg_title(sec)), name)) {
            *ret_line = hd_scan_line(&r->scan, "package", i);
            return sec;
        }
    }
    return NULL;
}

/* What presence is derived from is looked at where it changes. */
static struct hd_slice
feeds_what(const struct hd_conf *conf, struct hd_slice name)
{
    for (size_t i = 0; hd_slice_eq(name, HD_LIT("dialog")) && i < conf->n_packages; i++)
        if (conf->packages[i]->derived && conf->packages[i]->derived->calls)
            return conf->packages[i]->name;
    return (struct hd_slice){ 0 };
}

static void
add_package(struct hd_reader *r, cfg_t *sec, unsigned line, struct hd_slice name,
            const struct builtin *builtin)
{
    struct hd_conf *conf = r->conf;
    struct evt_package *package = hd_read_room(r, 1, sizeof(*package));

    if (!package)
        return;
    package_defaults(r, name, builtin, package);
    package->feeds = feeds_what(conf, name);
    if (sec) {
        read_package(r, sec, line, builtin, package);
        if (!hd_read_bool(r, sec, "enabled", true))
            return;
    }
    struct pkg_winfo *winfo = hd_read_room(r, 1, sizeof(*winfo));
    if (!winfo)
        return;
    pkg_winfo_apply(package, winfo);
    conf->packages[conf->n_packages++] = package;
}

void
hd_read_packages(struct hd_reader *r)
{
    unsigned n = cfg_size(r->root, "package");
    struct hd_conf *conf = r->conf;

    conf->packages = hd_read_room(r, n + HD_ARRAY_LEN(builtins), sizeof(*conf->packages));
    if (!conf->packages)
        return;
    for (size_t i = 0; i < HD_ARRAY_LEN(builtins); i++) {
        unsigned line = 0;
        cfg_t *sec = find_section(r, builtins[i].name, &line);

        add_package(r, sec, line, builtins[i].name, &builtins[i]);
    }
    for (unsigned i = 0; i < n; i++) {
        cfg_t *sec = cfg_getnsec(r->root, "package", i);
        unsigned line = hd_scan_line(&r->scan, "package", i);
        struct hd_slice name = hd_slice_str(cfg_title(sec));
        bool own = false;

        for (size_t k = 0; k < HD_ARRAY_LEN(builtins); k++)
            own = own || hd_slice_eq(name, builtins[k].name);
        if (own)
            continue;
        if (!hd_package_name_ok(name))
            hd_problem(r->problems, line,
                       "package \"%s\"; expected the name of an event package: a token without a "
                       "dot, at most %d octets",
                       cfg_title(sec), EVT_PACKAGE_NAME_MAX);
        else
            add_package(r, sec, line, hd_read_keep(r, name), NULL);
    }
}
