/* Tests of the configuration file: each mistake is refused with its line. */
#include "heraldd/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "format/json_compose.h"
#include "format/reduce.h"
#include "heraldd/config_file.h"
#include "policy/policy.h"
#include "sip/priority.h"

static const struct evt_package_ops own_ops, generic_ops;

static const struct evt_package_ops *
ops_of(struct hd_slice name)
{
    return hd_slice_eq(name, HD_LIT("presence")) || hd_slice_eq(name, HD_LIT("dialog")) ||
                   hd_slice_eq(name, HD_LIT("message-summary"))
               ? &own_ops
               : &generic_ops;
}

struct told {
    char text[4096];
    size_t n;
};

static void
tell(void *context, const char *line)
{
    struct told *told = context;
    int n = snprintf(told->text + told->n, sizeof(told->text) - told->n, "%s\n", line);

    assert_true(n > 0 && (size_t)n < sizeof(told->text) - told->n);
    told->n += (size_t)n;
}

static enum hd_err
parse(const char *text, struct told *told, struct hd_conf **ret_conf)
{
    struct hd_problems problems = { .file = "x.conf", .tell = tell, .context = told };

    *told = (struct told){ 0 };
    return hd_conf_parse(hd_slice_str(text), ops_of, &problems, ret_conf);
}

static struct hd_conf *
good(const char *text)
{
    struct hd_conf *conf = NULL;
    struct told told;
    enum hd_err err = parse(text, &told, &conf);

    if (err)
        print_error("%s", told.text);
    assert_int_equal(err, HD_OK);
    assert_int_equal(told.n, 0);
    return conf;
}

static void
bind_loopback(struct hd_conf *conf)
{
    struct hd_addr bound[HD_CONF_LISTENERS];

    for (size_t i = 0; i < conf->n_listeners; i++)
        bound[i] = conf->listeners[i].addr;
    assert_int_equal(hd_conf_bind(conf, bound, NULL, 0), HD_OK);
}

static const struct evt_package *
package(const struct hd_conf *conf, const char *name)
{
    for (size_t i = 0; i < conf->n_packages; i++)
        if (hd_slice_eq(conf->packages[i]->name, hd_slice_str(name)))
            return conf->packages[i];
    return NULL;
}

/* --- refused --------------------------------------------------------------------------- */

/* A text and what must stand in what is told, "line: words". */
static const struct {
    const char *text;
    const char *line;  /* the place that must be named */
    const char *words; /* and a part of what is said */
} refused[] = {
    /* the outer form */
    { "log {\n level = info\n", "x.conf:1: ", "not closed" },
    { "log {\n level = info\n}\n}\n", "x.conf:4: ", "closes nothing" },
    { "domains = {\n \"a.test\"\n", "x.conf:1: ", "not closed" },
    { "log { level = \"}\"\n", "x.conf:1: ", "not closed" },
    { "log { # }\n", "x.conf:1: ", "not closed" },
    { "log { // }\n", "x.conf:1: ", "not closed" },
    { "log { /* } */\n\n", "x.conf:1: ", "not closed" },
    { "shards = 1\n/* no end\n", "x.conf:2: ", "expected '*/'" },
    { "shards = 1\nserver = \"no end\n", "x.conf:2: ", "no end" },
    { "shards = 1\nserver = 'no end\n", "x.conf:2: ", "no end" },
    { "shards = 1;\n", "x.conf:1: ", "';' cannot stand here" },
    { "shards = 1\n\x01\n", "x.conf:2: ", "0x01" },
    { "shards = 1\nshards = 2\n", "x.conf:2: ", "already, in line 1" },
    { "log { level = info\n level = info }\n", "x.conf:2: ", "already, in line 1" },
    { "log { }\nstore { }\nlog { }\n", "x.conf:3: ", "already, in line 1" },
    { "package \"x\" { types = \"a/b\" }\npackage \"x\" { types = \"a/b\" }\n",
      "x.conf:2: ", "package \"x\" is there already, in line 1" },
    { "listen \"udp://127.0.0.1:5060\" { }\nlisten \"udp://127.0.0.1:5060\" { }\n",
      "x.conf:2: ", "already, in line 1" },
    { "package \"x\" { types = \"a/b\" }\npackage \"${NO_SUCH_VARIABLE:-x}\" { }\n",
      "x.conf:2: ", "x" },
    /* keys and types */
    { "\n\nsharts = 1\n", "x.conf:3: ", "sharts" },
    { "/* one\n two\n three */ sharts = 1\n", "x.conf:3: ", "sharts" },
    { "log {\n\n colour = red\n}\n", "x.conf:3: ", "colour" },
    { "logs { }\n", "x.conf:1: ", "logs" },
    { "log = 5\n", "x.conf:1: ", "log" },
    { "shards { }\n", "x.conf:1: ", "shards" },
    { "shards = { 1 }\n", "x.conf:1: ", "'{'" },
    { "log \"x\" { }\n", "x.conf:1: ", "log" },
    { "listen { }\n", "x.conf:1: ", "title" },
    { "shards 4\n", "x.conf:1: ", "equal sign" },
    { "shards += 4\n", "x.conf:1: ", "'+' cannot stand here" },
    { "log { log { } }\n", "x.conf:1: ", "log" },
    { "shards = { { { { { { { { { 1 } } } } } } } } }\n", "x.conf:1: ", "" },
    { "log {{{{{{{{{{{{{{{{{{{{ level = info\n", "x.conf:1: ", "more than 8 braces" },
    /* numbers */
    { "shards = 0\n", "x.conf:1: ", "auto or a number from 1 to 64" },
    { "shards = 65\n", "x.conf:1: ", "auto or a number from 1 to 64" },
    { "shards = many\n", "x.conf:1: ", "auto or a number from 1 to 64" },
    { "limits {\n max_body = 64kb\n}\n", "x.conf:2: ", "expected a size" },
    { "limits {\n max_body = 1\n}\n", "x.conf:2: ", "out of range; expected a size" },
    { "limits {\n max_body = 99999999999999999999\n}\n", "x.conf:2: ", "out of range" },
    { "limits {\n max_body = 99999999999GiB\n}\n", "x.conf:2: ", "out of range" },
    { "limits {\n subscriptions = -1\n}\n",
      "x.conf:2: ", "cannot be read; expected a whole number" },
    { "limits {\n subscriptions = 0\n}\n", "x.conf:2: ", "out of range" },
    { "limits {\n subscriptions = \"\"\n}\n", "x.conf:2: ", "cannot be read" },
    { "limits {\n expires_jitter = 51\n}\n", "x.conf:2: ", "from 0% to 50%" },
    { "limits {\n retry_after = 1500ms\n}\n", "x.conf:2: ", "whole seconds" },
    { "limits {\n retry_after = 2h\n}\n", "x.conf:2: ", "from 1s to 1h" },
    { "limits {\n tcp_try = 3 weeks\n}\n", "x.conf:2: ", "" },
    { "limits {\n tcp_try = \"3 weeks\"\n}\n", "x.conf:2: ", "expected a duration such as" },
    { "\nlimits {\n park_first = 2h\n park_most = 1h\n}\n", "x.conf:2: ", "park_first" },
    /* addresses */
    { "listen \"127.0.0.1:5060\" { }\n", "x.conf:1: ", "udp://ADDRESS:PORT" },
    { "\nlisten \"sctp://127.0.0.1:5061\" { }\n", "x.conf:2: ", "transport" },
    { "listen \"tcp:127.0.0.1\" { }\n", "x.conf:1: ", "transport" },
    { "\nlisten \"tls://127.0.0.1:5061\" { }\n", "x.conf:2: ", "certificate = self" },
    { "listen \"tls://127.0.0.1\" {\n certificate = { a, b }\n key = a\n}\n",
      "x.conf:1: ", "2 files of certificates and 1 of keys" },
    { "listen \"tls://127.0.0.1\" {\n certificate = \"\"\n key = a\n}\n",
      "x.conf:2: ", "path of a file" },
    { "listen \"tls://127.0.0.1\" {\n certificate = a\n key = a\n verify_clients = sure\n}\n",
      "x.conf:4: ", "no, optional or require" },
    { "listen \"tls://127.0.0.1\" {\n certificate = a\n key = a\n ca = b\n}\n",
      "x.conf:1: ", "looks at no certificates" },
    { "listen \"tls://127.0.0.1\" {\n certificate = self\n trusted_names = { a.test }\n}\n",
      "x.conf:1: ", "looks at no certificates" },
    { "listen \"tcp://127.0.0.1\" {\n certificate = self\n}\n", "x.conf:2: ", "has no TLS" },
    { "listen \"tcp://127.0.0.1\" {\n verify_clients = require\n}\n", "x.conf:2: ", "has no TLS" },
    { "listen \"tcp://127.0.0.1:5061\" { }\nlisten \"tls://127.0.0.1\" { certificate = self }\n",
      "x.conf:2: ", "address of another section" },
    { "\ntls {\n key = a\n}\n", "x.conf:2: ", "both or none" },
    { "listen \"udp://127.0.0.1\" {\n next_hop = \"sip:bob@a.test\"\n}\n",
      "x.conf:2: ", "without user" },
    { "listen \"udp://127.0.0.1\" {\n next_hop = \"tel:1\"\n}\n", "x.conf:2: ", "SIP or SIPS" },
    { "\nnext_hop \"a.test\" { }\n", "x.conf:2: ", "has no proxy" },
    { "listen \"udp://127.0.0.1\" {\n next_hop = \"sip:b.test\"\n}\nnext_hop \"A.test\" { proxy = "
      "\"sip:b.test\" }\n",
      "x.conf:4: ", "lower case" },
    { "next_hop \"\" { proxy = \"sip:b.test\" }\n", "x.conf:1: ", "host name" },
    { "next_hop \"a.test\" {\n proxy = \"mailto:b@c\"\n}\n", "x.conf:2: ", "SIP or SIPS" },
    { "next_hop \"a.test\" { proxy = \"sip:b.test\" }\nnext_hop \"a.test\" { proxy = "
      "\"sip:c.test\" }\n",
      "x.conf:2: ", "a.test" },
    { "next_hop \"a.test\" { port = 5 }\n", "x.conf:1: ", "port" },
    { "listen \"udp://127.0.0.1\" {\n nat = perhaps\n}\n", "x.conf:2: ", "asked, private" },
    { "http \"127.0.0.1:8080\" {\n look = \"here\"\n}\n", "x.conf:2: ", "look holds \"here\"" },
    { "http \"127.0.0.1:8080\" {\n look = { \"127.0.0.1\", \"10.0.0.0/33\" }\n}\n",
      "x.conf:2: ", "look holds \"10.0.0.0/33\"" },
    { "listen \"tcp://127.0.0.1\" {\n nat = always\n}\n", "x.conf:2: ", "udp://" },
    { "listen \"wss://127.0.0.1\" { }\n", "x.conf:1: ", "certificate = self" },
    { "listen \"ws://127.0.0.1\" {\n certificate = self\n}\n", "x.conf:2: ", "has no TLS" },
    { "listen \"tcp://127.0.0.1\" {\n origins = \"https://a.test\"\n}\n",
      "x.conf:2: ", "has no WebSocket" },
    { "listen \"ws://127.0.0.1\" {\n origins = \"a.test\"\n}\n", "x.conf:2: ", "origin" },
    { "listen \"ws://127.0.0.1\" {\n origins = \"https://\"\n}\n", "x.conf:2: ", "origin" },
    { "listen \"ws://127.0.0.1\" {\n origins = \"https://a.test/\"\n}\n", "x.conf:2: ", "origin" },
    { "listen \"ws://127.0.0.1\" {\n origins = \"https://a. test\"\n}\n", "x.conf:2: ", "origin" },
    { "tls {\n ca = \"\"\n}\n", "x.conf:2: ", "path of a file" },
    { "tls {\n verify_servers = perhaps\n}\n", "x.conf:2: ", "expected" },
    { "listen \"udp://host.test:5060\" { }\n", "x.conf:1: ", "names are not looked up" },
    { "listen \"udp://127.0.0.1:70596\" { }\n", "x.conf:1: ", "not a port" },
    { "listen \"udp://127.0.0.1:\" { }\n", "x.conf:1: ", "not a port" },
    { "listen \"udp://127.0.0.1:5060x\" { }\n", "x.conf:1: ", "not a port" },
    { "listen \"udp://::1\" { }\n", "x.conf:1: ", "udp://ADDRESS:PORT" },
    { "listen \"udp://[::1\" { }\n", "x.conf:1: ", "udp://ADDRESS:PORT" },
    { "listen \"udp\" { }\n", "x.conf:1: ", "udp://ADDRESS:PORT" },
    { "listen \"udp://:x\" { }\n", "x.conf:1: ", "not a port" },
    { "listen \"udp://127.0.0.1:5060\" { }\nlisten \"udp://127.0.0.1\" { }\n",
      "x.conf:2: ", "address of another section" },
    { "listen \"udp://127.0.0.1:5060\" {\n authentication = basic\n}\n",
      "x.conf:2: ", "expected digest or none" },
    { "listen \"udp://127.0.0.1:5060\" {\n trusted = { \"127.0.0.0/8\",\n \"127.0.0.0/33\" }\n}\n",
      "x.conf:3: ", "expected an address or a prefix" },
    { "listen \"udp://127.0.0.1:5060\" {\n contact = \"http://x\"\n}\n",
      "x.conf:2: ", "expected a SIP URI" },
    /* words and texts */
    { "domains = { \"a.test\",\n \"B.test\" }\n", "x.conf:2: ", "lower case" },
    { "domains = { \"a..test\" }\n", "x.conf:1: ", "host name" },
    { "domains = { \"\" }\n", "x.conf:1: ", "host name" },
    { "domains = { \"a.test\", \"a.test\" }\n", "x.conf:1: ", "twice" },
    { "domains = { \"a.test\" \"b.test\" }\n", "x.conf:1: ", "b.test" },
    { "first_users = { \"a:b\" }\n", "x.conf:1: ", "user name" },
    { "on_timeout = wait\n", "x.conf:1: ", "expected end or park" },
    { "log {\n level = loud\n}\n", "x.conf:2: ", "expected error, warn, info or debug" },
    { "log {\n format = xml\n}\n", "x.conf:2: ", "expected text or json" },
    { "store {\n durability = disk\n}\n", "x.conf:2: ", "expected commit, async or memory" },
    { "store {\n commit_spacing = 2s\n}\n", "x.conf:2: ", "500us or 2ms, from 0s to 1s" },
    { "store {\n commit_spacing = us\n}\n", "x.conf:2: ", "cannot be read" },
    { "authentication {\n algorithms = { \"SHA-1\" }\n}\n", "x.conf:2: ", "SHA-256 and MD5" },
    { "authentication {\n algorithms = { \"MD5\", \"MD5\" }\n}\n", "x.conf:2: ", "twice" },
    { "authentication {\n algorithms = { \"\" }\n}\n", "x.conf:2: ", "SHA-256 and MD5" },
    { "authentication {\n realm = 'a\"b'\n}\n", "x.conf:2: ", "expected a text" },
    { "authentication {\n realm = \"\"\n}\n", "x.conf:2: ", "expected a text" },
    { "authentication {\n realms = { \"a\",\n \"\" }\n}\n", "x.conf:3: ", "expected a text" },
    { "authentication {\n realms = { \"a\", \"a\" }\n}\n", "x.conf:2: ", "twice" },
    { "authentication {\n realm = a\n realms = { \"a\" }\n}\n",
      "x.conf:2: ", "which is the realm" },
    { "authentication {\n realms = { 1,2,3,4,5,6,7,8,9,a,b,c,d,e,f,g }\n}\n",
      "x.conf: ", "at most 15" },
    { "listen \"tls://127.0.0.1\" {\n certificate = self\n certified = { a.test }\n}\n",
      "x.conf:1: ", "certified and looks at no certificates" },
    { "listen \"tls://127.0.0.1\" {\n certificate = self\n certified = { \"*.test\" }\n}\n",
      "x.conf:3: ", "host name" },
    /* rights to publish */
    { "\npublish \"fleet.example\" { publishers = { fleet } }\n", "x.conf:2: ", "sip:*@DOMAIN" },
    { "publish \"sip:fleet.example\" { publishers = { fleet } }\n", "x.conf:1: ", "sip:*@DOMAIN" },
    { "publish \"mailto:a@b\" { publishers = { fleet } }\n", "x.conf:1: ", "sip:*@DOMAIN" },
    { "\npublish \"sip:*@a.test\" { }\n", "x.conf:2: ", "has no publishers" },
    { "publish \"sip:*@a.test\" {\n publishers = { \"a:b\" }\n}\n", "x.conf:2: ", "user name" },
    { "publish \"sip:*@a.test\" {\n publishers = a\n packages = { nothing }\n}\n",
      "x.conf:3: ", "package that is enabled" },
    { "publish \"sip:*@a.test\" { publishers = a }\npublish \"sip:*@a.test\" { publishers = a }\n",
      "x.conf:2: ", "" },
    { "publish \"sip:*@a.test\" { authors = a }\n", "x.conf:1: ", "authors" },
    /* Resource-Priority */
    { "\npriority \"emergency\" { }\n", "x.conf:2: ", "expected a namespace" },
    { "priority \"esnet.1\" { }\n", "x.conf:1: ", "expected a namespace" },
    { "priority \"esnet\" { }\npriority \"ESNET\" { }\n", "x.conf:2: ", "expected once" },
    { "priority \"esnet\" {\n users = { \"a:b\" }\n}\n", "x.conf:2: ", "user name" },
    { "priority \"esnet\" {\n trusted = perhaps\n}\n", "x.conf:2: ", "expected no, yes" },
    { "priority \"esnet\" {\n level = 3\n}\n", "x.conf:2: ", "level" },
    { "limits {\n priority_reserve = 1000001\n}\n", "x.conf:2: ", "priority_reserve" },
    /* the audit trail */
    { "audit {\n enabled = sometimes\n}\n", "x.conf:2: ", "expected no, yes" },
    { "audit {\n keep = 59s\n}\n", "x.conf:2: ", "keep" },
    { "audit {\n keep = 90s\n most = 999\n}\n", "x.conf:3: ", "most" },
    { "audit {\n file = a\n}\n", "x.conf:2: ", "file" },
    { "authentication {\n nonce_lifetime = 0\n}\n", "x.conf:2: ", "from 1s to 1d" },
    { "server = \"a\\nb\"\n", "x.conf:1: ", "control character" },
    { "admin {\n socket = \"\"\n}\n", "x.conf:2: ", "empty" },
    { "registrar {\n enabled = perhaps\n}\n", "x.conf:2: ", "expected no, yes" },
    { "\nregistrar {\n min_expires = 2h\n default_expires = 1h\n}\n",
      "x.conf:2: ", "registrar has" },
    { "registrar {\n default_expires = 9000s\n}\n", "x.conf:1: ", "max_expires 7200s" },
    /* packages */
    { "\npackage \"x\" { }\n", "x.conf:2: ", "no types" },
    { "package \"x.winfo\" { types = \"a/b\" }\n", "x.conf:1: ", "without a dot" },
    { "package \"x y\" { types = \"a/b\" }\n", "x.conf:1: ", "without a dot" },
    { "package \"\" { types = \"a/b\" }\n", "x.conf:1: ", "without a dot" },
    { "package \"x\" {\n types = { \"a\" }\n}\n", "x.conf:2: ", "media type" },
    { "package \"x\" {\n types = { \"a/b\",\n \"c/d;q=1\" }\n}\n", "x.conf:3: ", "media type" },
    { "package \"x\" {\n types = { \"a/b\" }\n compose = own\n}\n",
      "x.conf:3: ", "latest or list" },
    { "package \"x\" {\n types = { \"a/b\" }\n delivery = some\n}\n",
      "x.conf:3: ", "state or every" },
    { "package \"x\" {\n types = { \"a/b\" }\n authorisation = ask\n}\n",
      "x.conf:3: ", "owner, allow, block or confirm" },
    { "package \"x\" {\n types = { \"a/b\" }\n neutral_type = \"c/d\"\n}\n",
      "x.conf:3: ", "one of types" },
    { "package \"x\" {\n types = { \"a/b\" }\n neutral = \"c\"\n}\n",
      "x.conf:3: ", "expected both" },
    { "package \"x\" {\n types = { \"a/json\" }\n sum = { \"stock\" }\n}\n",
      "x.conf:3: ", "the path of a member" },
    { "package \"x\" {\n types = { \"a/json\" }\n min = {\n\"//stock\" }\n}\n",
      "x.conf:4: ", "the path of a member" },
    { "package \"x\" {\n types = { \"a/json\" }\n sum = { \"/a\" }\n max = { \"/a/b\" }\n}\n",
      "x.conf:4: ", "one rule for a path" },
    { "package \"x\" {\n types = { \"a/json\", \"a/b\" }\n sum = { \"/a\" }\n}\n",
      "x.conf:1: ", "a type that is not JSON" },
    { "package \"x\" {\n types = { \"a/json\" }\n compose = list\n sum = { \"/a\" }\n}\n",
      "x.conf:1: ", "expected compose = latest" },
    { "package \"dialog\" {\n sum = { \"/a\" }\n}\n", "x.conf:2: ", "built in" },
    { "package \"x\" { types = { \"a/0\", \"a/1\", \"a/2\", \"a/3\", \"a/4\", \"a/5\", \"a/6\", "
      "\"a/7\", \"a/8\" } }\n",
      "x.conf:1: ", "at most 8" },
    { "package \"x\" {\n types = { \"a/b\" }\n partial = yes\n}\n",
      "x.conf:3: ", "whole documents only" },
    { "package \"x\" {\n types = { \"a/b\" }\n max_body = 1GiB\n}\n", "x.conf:3: ", "max_body" },
    { "package \"x\" {\n types = { \"a/b\" }\n min_expires = 2d\n}\n",
      "x.conf:1: ", "each at most the next" },
    { "package \"presence\" {\n types = { \"a/b\" }\n}\n", "x.conf:2: ", "built in" },
    { "package \"message-summary\" {\n neutral = \"x\"\n}\n", "x.conf:2: ", "built in" },
};

static void
each_mistake_is_refused_with_its_line_and_what_is_expected(void **state)
{
    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(refused); i++) {
        struct hd_conf *conf = NULL;
        struct told told;
        enum hd_err err = parse(refused[i].text, &told, &conf);

        if (err != HD_ESYNTAX || !strstr(told.text, refused[i].line) ||
            !strstr(told.text, refused[i].words) || conf)
            fail_msg("row %zu: err %d for\n%s\ntold:\n%s", i, err, refused[i].text, told.text);
    }
}

static void
all_wrong_values_are_told_in_one_run(void **state)
{
    struct hd_conf *conf = NULL;
    struct told told;

    (void)state;
    assert_int_equal(parse("shards = x\non_timeout = y\nlog { level = z }\n", &told, &conf),
                     HD_ESYNTAX);
    assert_non_null(strstr(told.text, "x.conf:1: shards"));
    assert_non_null(strstr(told.text, "x.conf:2: on_timeout"));
    assert_non_null(strstr(told.text, "x.conf:3: level"));
}

static void
control_octets_of_the_file_never_reach_the_terminal(void **state)
{
    struct hd_conf *conf = NULL;
    struct told told;

    (void)state;
    assert_int_equal(parse("on_timeout = \"a\033[31mb\"\n", &told, &conf), HD_ESYNTAX);
    assert_null(strchr(told.text, '\033'));
}

static void
a_file_with_a_zero_octet_is_refused(void **state)
{
    static const char text[] = "shards = 1\n\0sharts = 2\n";
    struct hd_conf *conf = NULL;
    struct told told = { 0 };
    struct hd_problems problems = { .file = "x.conf", .tell = tell, .context = &told };

    (void)state;
    assert_int_equal(hd_conf_parse(hd_slice(text, sizeof(text) - 1), ops_of, &problems, &conf),
                     HD_ESYNTAX);
    assert_non_null(strstr(told.text, "zero octet"));
}

static void
a_file_that_is_not_there_is_named(void **state)
{
    struct hd_conf *conf = NULL;
    struct told told = { 0 };
    struct hd_problems problems = { .file = "/no/such.conf", .tell = tell, .context = &told };

    (void)state;
    assert_int_equal(hd_conf_load("/no/such.conf", ops_of, &problems, &conf), HD_EIO);
    assert_non_null(strstr(told.text, "/no/such.conf: cannot be read (No such file"));
}

/* --- accepted -------------------------------------------------------------------------- */

static void
without_a_configuration_it_is_loopback_with_digest_and_two_packages(void **state)
{
    struct hd_conf *conf = good("");

    (void)state;
    assert_int_equal(conf->n_listeners, 2);
    assert_int_equal(conf->listeners[0].transport, HD_UDP);
    assert_int_equal(conf->listeners[1].transport, HD_TCP);
    for (size_t i = 0; i < 2; i++) {
        char text[HD_ADDR_TEXT];
        size_t n = hd_addr_text(&conf->listeners[i].addr, text);

        assert_true(hd_slice_eq(hd_slice(text, n), HD_LIT("127.0.0.1:5060")));
        assert_true(conf->listeners[i].authenticate);
    }
    assert_int_equal(conf->n_packages, 4);
    assert_true(
        hd_slice_eq(package(conf, "dialog")->types[0], HD_LIT("application/dialog-info+xml")));
    assert_int_equal(package(conf, "dialog")->pace_ms, 1000);
    assert_int_equal(package(conf, "reg")->pace_ms, 5000);
    assert_int_equal(package(conf, "reg")->default_expires_s, 3761);
    assert_ptr_equal(package(conf, "presence")->ops, &own_ops);
    assert_int_equal(package(conf, "presence")->authorisation, EVT_AUTHORISE_OWNER);
    assert_true(hd_slice_eq(package(conf, "message-summary")->types[0],
                            HD_LIT("application/simple-message-summary")));
    assert_true(conf->registrar.enabled);
    assert_int_equal(conf->limits.max_body, evt_limits_default().max_body);
    hd_conf_unref(conf);
}

static void
the_default_domain_is_the_address_of_the_first_listener(void **state)
{
    static const struct {
        const char *text, *domain;
    } row[] = {
        { "", "127.0.0.1" },
        { "listen \"udp://0.0.0.0:5060\" { }", "127.0.0.1" },
        { "listen \"udp://:5060\" { }", "127.0.0.1" },
        { "listen \"udp://${NO_SUCH_VARIABLE}:5060\" { }", "127.0.0.1" },
        { "listen \"tcp://[::]\" { }", "[::1]" },
        { "listen \"tcp://192.0.2.7:5070\" { }\nlisten \"udp://127.0.0.1\" { }", "192.0.2.7" },
        { "listen \"udp://[2001:db8::1]\" { }", "[2001:db8::1]" },
        { "domains = { \"example.test\", \"b.test\" }", "example.test" },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct hd_conf *conf = good(row[i].text);

        bind_loopback(conf);
        assert_true(hd_slice_eq(conf->domains[0], hd_slice_str(row[i].domain)));
        assert_true(hd_slice_eq(hd_conf_realm(conf), hd_slice_str(row[i].domain)));
        hd_conf_unref(conf);
    }
}

static void
a_wildcard_stands_for_every_local_address_with_its_port(void **state)
{
    struct hd_conf *conf = good("listen \"udp://0.0.0.0:5080\" { }\nlisten \"tcp://[::]:0\" { }");
    struct hd_addr bound[2] = { conf->listeners[0].addr, conf->listeners[1].addr };
    struct hd_addr locals[3] = { 0 };
    size_t with_port = 0;

    (void)state;
    assert_int_equal(hd_addr_parse(HD_LIT("127.0.0.1"), 0, &locals[0]), HD_OK);
    assert_int_equal(hd_addr_parse(HD_LIT("192.0.2.5"), 0, &locals[1]), HD_OK);
    assert_int_equal(hd_addr_parse(HD_LIT("fe80::5"), 0, &locals[2]), HD_OK);
    locals[2].scope = 3;
    bound[1].port = 40000; /* what the kernel chose */
    assert_int_equal(hd_conf_bind(conf, bound, locals, 3), HD_OK);
    assert_int_equal(conf->n_own, 4);
    for (size_t i = 0; i < conf->n_own; i++) {
        assert_int_equal(conf->own[i].port, conf->own[i].family == 4 ? 5080 : 40000);
        assert_int_equal(conf->own[i].scope, 0);
        assert_false(hd_addr_is_any(&conf->own[i]));
        with_port++;
    }
    assert_int_equal(with_port, 4);
    assert_int_equal(conf->listeners[1].addr.port, 40000);
    assert_int_equal(conf->written[1].port, 0);
    hd_conf_unref(conf);
}

static void
a_whole_configuration_is_read_into_its_fields(void **state)
{
    struct hd_conf *conf = good(
        "# a laboratory\n"
        "domains = { \"example.test\" }\n"
        "shards = 2\n"
        "on_timeout = park\n"
        "server = \"\"\n"
        "first_users = { \"2001\", 2002 }\n"
        "listen \"udp://127.0.0.1:5060\" { }\n"
        "listen \"udp://127.0.0.1:5070\" { authentication = none  trusted = { \"127.0.0.0/8\", "
        "\"::1\" }\n"
        "  contact = \"sip:192.0.2.1:5070\" }\n"
        "audit { enabled = no  keep = 30d  most = 5000 }\n"
        "publish \"sip:*@FLEET.example\" { publishers = { fleet, \"f2@fleet.example\" }  packages "
        "= {"
        " x-inventory } }\n"
        "publish \"sips:%61@fleet.example:5070;x=y\" { publishers = f3 }\n"
        "priority \"ESNET\" { users = { psap, dispatch }  trusted = no }\n"
        "priority \"ets\" { }\n"
        "authentication { realm = \"lab\"  realms = { fleet.example }  algorithms = { \"md5\" }  "
        "nonce_lifetime = \"5s\" }\n"
        "store { path = \"/tmp/x\"  durability = async  commit_spacing = 750us }\n"
        "limits { max_body = \"128KiB\" subscriptions_per_watcher = 10 tcp_try = 250ms "
        "priority_reserve = 77\n"
        "  failures_burst = 0  expires_jitter = 10%  connections = 5  receive_buffer = 1MiB }\n"
        "registrar { enabled = no  min_expires = 1  default_expires = 1m  max_expires = 1h }\n"
        "package \"presence\" { authorisation = allow  publishers = { \"voicemail\" }  pace = 0 }\n"
        "package \"message-summary\" { enabled = no }\n"
        "package \"x-inventory\" { types = { \"application/json\", \"text/plain\" }  min_expires = "
        "1s\n"
        "  supersede = yes  own_entry = yes  delivery = every  queue = 5  compose = list  max_body "
        "= 2KiB  pace = "
        "500ms\n"
        "  neutral_type = \"application/json\"  neutral = '{}' }\n"
        "log { level = debug  format = json }\n"
        "admin { socket = \"/tmp/x.sock\" }\n");
    const struct evt_package *p;

    (void)state;
    assert_int_equal(conf->shards, 2);
    assert_int_equal(conf->on_timeout, EVT_TIMEOUT_PARK);
    assert_int_equal(conf->server.n, 0);
    assert_int_equal(conf->durability, HD_KEEP_ASYNC);
    assert_int_equal(conf->commit_spacing_us, 750);
    assert_int_equal(conf->n_first_users, 2);
    assert_true(hd_slice_eq(conf->first_users[1], HD_LIT("2002")));
    assert_false(conf->listeners[1].authenticate);
    assert_int_equal(conf->listeners[1].n_trusted, 2);
    assert_int_equal(conf->listeners[1].trusted[0].bits, 8);
    assert_true(hd_slice_eq(conf->listeners[1].contact, HD_LIT("sip:192.0.2.1:5070")));
    assert_true(hd_slice_eq(conf->realm, HD_LIT("lab")));
    struct hd_slice realms[HD_CONF_REALMS];
    assert_int_equal(hd_conf_realms(conf, realms), 2);
    assert_true(hd_slice_eq(realms[0], HD_LIT("lab")));
    assert_true(hd_slice_eq(realms[1], HD_LIT("fleet.example")));
    assert_false(conf->audit);
    assert_int_equal(conf->audit_keep_s, 30 * 86400);
    assert_int_equal(conf->audit_most, 5000);
    assert_int_equal(conf->n_rights, 2);
    assert_true(hd_slice_eq(conf->rights[0].resource, HD_LIT("sip:*@fleet.example")));
    assert_int_equal(conf->rights[0].n_publishers, 2);
    assert_int_equal(conf->rights[0].n_packages, 1);
    assert_true(hd_slice_eq(conf->rights[1].resource, HD_LIT("sip:a@fleet.example:5070")));
    assert_int_equal(conf->n_priorities, 2);
    assert_int_equal(conf->priorities[0].values, sip_priority_namespace(HD_LIT("esnet")));
    assert_false(conf->priorities[0].trusted);
    assert_int_equal(conf->priorities[0].n_users, 2);
    assert_true(hd_slice_eq(conf->priorities[0].users[1], HD_LIT("dispatch")));
    assert_int_equal(conf->priorities[1].values, sip_priority_namespace(HD_LIT("ets")));
    assert_true(conf->priorities[1].trusted);
    assert_int_equal(conf->limits.priority_reserve, 77);
    assert_int_equal(conf->n_algorithms, 1);
    assert_int_equal(conf->algorithms[0], SIP_DIGEST_MD5);
    assert_int_equal(conf->nonce_lifetime_s, 5);
    assert_int_equal(conf->limits.max_body, 131072);
    assert_int_equal(conf->limits.subscriptions_per_watcher, 10);
    assert_int_equal(conf->limits.tcp_try_ms, 250);
    assert_int_equal(conf->limits.failures_burst, 0);
    assert_int_equal(conf->limits.expires_jitter, 10);
    assert_int_equal(conf->net.connections, 5);
    assert_int_equal(conf->net.receive_buffer, 1 << 20);
    assert_false(conf->registrar.enabled);
    assert_int_equal(conf->registrar.default_expires_s, 60);
    assert_int_equal(conf->n_packages, 4);
    p = package(conf, "presence");
    assert_int_equal(p->authorisation, EVT_AUTHORISE_ALLOW);
    assert_int_equal(p->compose, EVT_COMPOSE_OWN);
    assert_int_equal(p->n_publishers, 1);
    p = package(conf, "x-inventory");
    assert_ptr_equal(p->ops, &generic_ops);
    assert_int_equal(p->n_types, 2);
    assert_int_equal(p->min_expires_s, 1);
    assert_int_equal(p->delivery, EVT_DELIVER_EVERY);
    assert_int_equal(p->queue_max, 5);
    assert_true(p->supersede);
    assert_false(package(conf, "presence")->supersede);
    assert_true(p->own_entry && p->winfo->watched == p);
    assert_false(p->winfo->own_entry); /* who watches the watchers is for the owner */
    assert_false(package(conf, "presence")->own_entry);
    assert_int_equal(p->compose, EVT_COMPOSE_LIST);
    assert_int_equal(p->max_body, 2048);
    assert_int_equal(p->pace_ms, 500);
    assert_true(hd_slice_eq(p->neutral_body, HD_LIT("{}")));
    assert_int_equal(conf->log_level, HD_DEBUG);
    assert_int_equal(conf->log_format, HD_LOG_JSON);
    assert_true(hd_slice_eq(conf->admin_socket, HD_LIT("/tmp/x.sock")));
    hd_conf_unref(conf);
}

static void
rules_for_paths_and_patches_are_for_json(void **state)
{
    struct hd_conf *conf = good(
        "package \"stock\" { types = { \"application/json\", \"application/x+json\" }\n"
        "  sum = { \"/stock\", \"/reserved/*\" }  max = { \"/hr\" }  list = { \"/who\" }\n"
        "  latest = { \"/at\" }  min = { \"/price\" } }\n"
        "package \"text\" { types = \"text/plain\" }\n"
        "package \"own\" { types = { \"application/json\", \"application/merge-patch+json\" } }\n");
    static const struct {
        const char *path;
        enum fmt_rule rule;
    } row[] = { { "/at", FMT_RULE_LATEST }, { "/who", FMT_RULE_LIST },
                { "/stock", FMT_RULE_SUM }, { "/reserved/*", FMT_RULE_SUM },
                { "/hr", FMT_RULE_MAX },    { "/price", FMT_RULE_MIN } };

    (void)state;
    const struct evt_package *p = package(conf, "stock");
    assert_int_equal(p->n_rules, HD_ARRAY_LEN(row));
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        assert_true(hd_slice_eq(p->rules[i].path, hd_slice_str(row[i].path)));
        assert_int_equal(p->rules[i].rule, row[i].rule);
    }
    assert_true(hd_slice_eq(p->patch_type, HD_LIT("application/merge-patch+json")));
    assert_int_equal(package(conf, "text")->patch_type.n, 0);
    assert_int_equal(package(conf, "own")->patch_type.n, 0);
    assert_int_equal(package(conf, "text")->n_rules, 0);
    hd_conf_unref(conf);
}

static void
paths_with_rules_are_bounded(void **state)
{
    char text[2048] = "package \"x\" { types = \"a/json\"\n sum = { \"/a0\"";
    size_t n = strlen(text);

    (void)state;
    for (int i = 1; i <= FMT_PATHS_MAX; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, ", \"/a%d\"", i);
    (void)snprintf(text + n, sizeof(text) - n, " } }\n");
    struct hd_conf *conf = NULL;
    struct told told;
    assert_int_equal(parse(text, &told, &conf), HD_ESYNTAX);
    assert_true(hd_slice_starts(hd_slice_str(told.text), HD_LIT("x.conf:2: ")));
    assert_non_null(strstr(told.text, "at most so many"));
}

static void
braces_in_texts_and_comments_do_not_count(void **state)
{
    struct hd_conf *conf = good("/* } { */ log { level = info } # }\n"
                                "// {\nserver = \"a}{\\\"}\"\n"
                                "package \"x\" { types = \"a/b\" neutral_type = \"a/b\"\n"
                                " neutral = '{ \"n\": \\'}\\' // no comment }' }\n");

    (void)state;
    assert_true(hd_slice_eq(conf->server, HD_LIT("a}{\"}")));
    assert_true(
        hd_slice_eq(package(conf, "x")->neutral_body, HD_LIT("{ \"n\": '}' // no comment }")));
    hd_conf_unref(conf);
}

static void
the_environment_can_stand_in_a_text(void **state)
{
    struct hd_conf *conf;
    char text[HD_ADDR_TEXT];

    (void)state;
    assert_int_equal(setenv("HD_TEST_LISTEN", "127.0.0.9", 1), 0);
    conf = good("listen \"udp://${HD_TEST_LISTEN}:5099\" { }\n"
                "listen \"udp://${HD_TEST_NOT_SET:-127.0.0.8}:5099\" { }\n");
    assert_true(hd_slice_eq(hd_slice(text, hd_addr_text(&conf->listeners[0].addr, text)),
                            HD_LIT("127.0.0.9:5099")));
    assert_true(hd_slice_eq(hd_slice(text, hd_addr_text(&conf->listeners[1].addr, text)),
                            HD_LIT("127.0.0.8:5099")));
    assert_int_equal(unsetenv("HD_TEST_LISTEN"), 0);
    hd_conf_unref(conf);
}

/* --- the core's view ------------------------------------------------------------------- */

static void
what_is_published_keeps_the_configuration_and_the_book_alive(void **state)
{
    static const struct hd_hash_key key = { 1, 2 };
    struct hd_conf *conf = good("domains = { \"example.test\" }");
    struct pol_book *book = pol_book_new(&key);
    const struct pol_settings *settings;
    struct evt_config *config;

    (void)state;
    assert_non_null(book);
    bind_loopback(conf);
    config = hd_conf_publish(conf, book, 1700000000, 7, HD_LIT("urn:uuid:1"));
    assert_non_null(config);
    conf = hd_conf_unref(conf);
    book = pol_book_unref(book);
    assert_int_equal(config->magic, EVT_CONFIG_MAGIC);
    assert_int_equal(config->version, 7);
    assert_true(hd_slice_eq(config->instance, HD_LIT("urn:uuid:1")));
    assert_int_equal(config->served.n_own, 1); /* UDP and TCP share it */
    assert_true(hd_slice_eq(config->served.domains[0], HD_LIT("example.test")));
    assert_int_equal(config->n_packages, 4);
    settings = config->policy;
    assert_int_equal(settings->n_realms, 1);
    assert_true(hd_slice_eq(settings->realms[0], HD_LIT("example.test")));
    assert_int_equal(settings->n_algorithms, 2);
    assert_int_equal(pol_book_user_count(settings->book), 0);
    config->free(config);
}

static void
what_cannot_change_while_running_is_named(void **state)
{
    static const struct {
        const char *before, *after, *what;
    } row[] = {
        { "", "on_timeout = park\nlog { level = debug }", NULL },
        { "",
          "listen \"udp://127.0.0.1\" { authentication = none }\nlisten \"tcp://127.0.0.1\" { }",
          NULL },
        { "", "listen \"udp://127.0.0.1\" { }", "the listen sections" },
        { "", "listen \"udp://127.0.0.1\" { }\nlisten \"tcp://127.0.0.1:5061\" { }",
          "the addresses of the listen sections" },
        { "listen \"ws://127.0.0.1\" { }", "listen \"ws://127.0.0.1\" { origins = \"http://a\" }",
          NULL },
        { "",
          "listen \"udp://127.0.0.1\" { next_hop = \"sip:a.test\" }\nlisten \"tcp://127.0.0.1\" { "
          "}",
          NULL },
        { "", "next_hop \"a.test\" { proxy = \"sip:b.test\" }", NULL },
        { "listen \"tls://127.0.0.1\" { certificate = self }",
          "listen \"tls://127.0.0.1\" { certificate = a  key = b }", NULL },
        { "", "shards = 3", "shards" },
        { "", "store { path = \"/x\" }", "store path" },
        { "", "store { durability = memory }", "store durability" },
        { "", "store { commit_spacing = 2ms }", "store commit_spacing" },
        { "", "admin { socket = \"/x\" }", "admin socket" },
        { "", "limits { connections = 1 }", "a limit on connections" },
        { "", "limits { max_body = 1KiB }",
          "a limit on subscriptions, resources, publications, bindings or max_body" },
        { "", "log { format = json }", "log format" },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct hd_conf *a = good(row[i].before), *b = good(row[i].after);
        const char *what = hd_conf_fixed_change(a, b);

        if (row[i].what)
            assert_string_equal(what, row[i].what);
        else
            assert_null(what);
        hd_conf_unref(a);
        hd_conf_unref(b);
    }
}

static void
listeners_with_tls_hold_their_files(void **state)
{
    struct hd_conf *conf =
        good("listen \"tls://127.0.0.1\" {\n"
             " certificate = { \"/a b/one.pem\", two.pem }\n"
             " key = { one.key, two.key }\n"
             " verify_clients = optional\n ca = clients.pem\n"
             " trusted_names = { edge.example.test, \"[2001:db8::1]\" }\n certified = "
             "fleet.example\n}\n"
             "listen \"tls://127.0.0.1:5062\" { certificate = self }\n"
             "tls { ca = ca.pem  certificate = c  key = k  verify_servers = no "
             "}\n");
    const struct hd_conf_secure *secure = conf->secure;

    (void)state;
    assert_int_equal(conf->listeners[0].transport, HD_TLS);
    assert_int_equal(conf->listeners[0].addr.port, 5061);
    assert_int_equal(secure[0].n_pairs, 2);
    assert_string_equal(secure[0].pairs[0].certificate, "/a b/one.pem");
    assert_string_equal(secure[0].pairs[1].key, "two.key");
    assert_int_equal(secure[0].verify, NET_TLS_VERIFY_OPTIONAL);
    assert_string_equal(secure[0].ca, "clients.pem");
    assert_false(secure[0].self_signed);
    assert_int_equal(conf->listeners[0].n_trusted_names, 2);
    assert_int_equal(conf->listeners[0].n_certified, 1);
    assert_true(hd_slice_eq(conf->listeners[0].trusted_names[0], HD_LIT("edge.example.test")));
    assert_true(secure[1].self_signed);
    assert_int_equal(secure[1].verify, NET_TLS_VERIFY_NO);
    assert_string_equal(conf->client.ca, "ca.pem");
    assert_string_equal(conf->client.pair.key, "k");
    assert_true(conf->client.trusts_all && conf->client.said);
    hd_conf_unref(conf);
}

static void
listeners_of_websockets_have_their_ports_and_origins(void **state)
{
    struct hd_conf *conf = good("listen \"ws://127.0.0.1\" { origins = { \"https://a.test\", "
                                "\"http://b.test:8080\" } }\n"
                                "listen \"wss://127.0.0.1\" { certificate = self }\n");

    (void)state;
    assert_int_equal(conf->listeners[0].transport, HD_WS);
    assert_int_equal(conf->listeners[0].addr.port, 80);
    assert_int_equal(conf->secure[0].n_origins, 2);
    assert_true(hd_slice_eq(conf->secure[0].origins[1], HD_LIT("http://b.test:8080")));
    assert_int_equal(conf->listeners[1].transport, HD_WSS);
    assert_int_equal(conf->listeners[1].addr.port, 443);
    hd_conf_unref(conf);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listeners_with_tls_hold_their_files),
        cmocka_unit_test(listeners_of_websockets_have_their_ports_and_origins),
        cmocka_unit_test(each_mistake_is_refused_with_its_line_and_what_is_expected),
        cmocka_unit_test(all_wrong_values_are_told_in_one_run),
        cmocka_unit_test(control_octets_of_the_file_never_reach_the_terminal),
        cmocka_unit_test(a_file_with_a_zero_octet_is_refused),
        cmocka_unit_test(a_file_that_is_not_there_is_named),
        cmocka_unit_test(without_a_configuration_it_is_loopback_with_digest_and_two_packages),
        cmocka_unit_test(the_default_domain_is_the_address_of_the_first_listener),
        cmocka_unit_test(a_wildcard_stands_for_every_local_address_with_its_port),
        cmocka_unit_test(a_whole_configuration_is_read_into_its_fields),
        cmocka_unit_test(rules_for_paths_and_patches_are_for_json),
        cmocka_unit_test(paths_with_rules_are_bounded),
        cmocka_unit_test(braces_in_texts_and_comments_do_not_count),
        cmocka_unit_test(the_environment_can_stand_in_a_text),
        cmocka_unit_test(what_is_published_keeps_the_configuration_and_the_book_alive),
        cmocka_unit_test(what_cannot_change_while_running_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
