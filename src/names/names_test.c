/* names_test.c - the resolver against name servers that a test plays by hand: what is asked, in
 * which order, how often, and what of it is kept. */
#include "names/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "names/black.h"

#define ALL ((1u << HD_UDP) | (1u << HD_TCP) | (1u << HD_TLS))

struct asked {
    char name[NAM_NAME_MAX + 1];
    enum nam_type type;
    uint64_t ticket;
};

static struct {
    struct nam_resolver *names;
    uint64_t seed, now_ms;
    struct asked asked[256];
    unsigned n, total;
    enum hd_err refuse;
    struct evt_targets found;
    unsigned answers, nothing;
    uint64_t last_ticket;
} t;

static enum hd_err
query(void *dns, const char *name, enum nam_type type, uint64_t ticket)
{
    (void)dns;
    if (t.refuse)
        return t.refuse;
    assert_true(t.n < HD_ARRAY_LEN(t.asked));
    (void)snprintf(t.asked[t.n].name, sizeof(t.asked[0].name), "%s", name);
    t.asked[t.n].type = type;
    t.asked[t.n++].ticket = ticket;
    t.total++;
    return HD_OK;
}
static const struct nam_dns_ops ops = { .query = query };

static void
answered(void *context, uint64_t ticket, const struct evt_targets *targets)
{
    (void)context;
    t.last_ticket = ticket;
    t.answers++;
    if (targets)
        t.found = *targets;
    else
        t.nothing++;
}

static void
start(uint32_t cache, uint32_t questions)
{
    memset(&t, 0, sizeof(t));
    t.now_ms = 1000;
    t.names = nam_new(&(struct nam_params){ .dns = &ops,
                                            .key = { 1, 2 },
                                            .entropy = hd_entropy_seeded,
                                            .entropy_context = &t.seed,
                                            .cache_max = cache,
                                            .questions_max = questions,
                                            .answer = answered });
    assert_non_null(t.names);
}

static int
setup(void **state)
{
    (void)state;
    start(64, 16);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    nam_free(t.names);
    return 0;
}

static enum hd_err
ask(const char *host, uint16_t port, uint8_t transport, uint64_t ticket)
{
    struct evt_name name = { .host = hd_slice_str(host),
                             .port = port,
                             .transport = transport,
                             .transports4 = ALL,
                             .transports6 = ALL };

    return nam_ops.ask(t.names, &name, ticket, t.now_ms, &t.found);
}

/* --- answers --------------------------------------------------------------------------------- */

struct octets {
    size_t n;
    char p[8192];
};

static void
put(struct octets *out, unsigned value, unsigned octets)
{
    while (octets-- > 0)
        out->p[out->n++] = (char)(value >> (8 * octets));
}

static void
put_name(struct octets *out, const char *name)
{
    struct hd_slice rest = hd_slice_str(name);

    while (rest.n) {
        struct hd_slice label = hd_slice_cut(&rest, '.');
        put(out, (unsigned)label.n, 1);
        memcpy(out->p + out->n, label.p, label.n);
        out->n += label.n;
    }
    put(out, 0, 1);
}

static void
begin(struct octets *out, const struct asked *asked, unsigned n)
{
    out->n = 0;
    put(out, 0x12348180, 4);
    put(out, 1, 2);
    put(out, n, 2);
    put(out, 0, 4);
    put_name(out, asked->name);
    put(out, asked->type, 2);
    put(out, 1, 2);
}

static void
put_head(struct octets *out, unsigned type, uint32_t ttl_s, unsigned length)
{
    put(out, 0xc00c, 2);
    put(out, type, 2);
    put(out, 1, 2);
    put(out, ttl_s, 4);
    put(out, length, 2);
}

/* Takes the oldest question that is open for a name and type. */
static struct asked
take(const char *name, enum nam_type type)
{
    for (unsigned i = 0; i < t.n; i++) {
        if (strcmp(t.asked[i].name, name) == 0 && t.asked[i].type == type) {
            struct asked found = t.asked[i];
            memmove(&t.asked[i], &t.asked[i + 1], (--t.n - i) * sizeof(t.asked[0]));
            return found;
        }
    }
    fail_msg("%s %d was not asked for", name, (int)type);
    return (struct asked){ .ticket = 0 };
}

static void
tell(const struct asked *asked, const struct octets *out)
{
    nam_answered(t.names, asked->ticket, out ? hd_slice(out->p, out->n) : hd_slice(NULL, 0),
                 t.now_ms);
}

static void
say_nothing(const char *name, enum nam_type type)
{
    struct asked asked = take(name, type);
    struct octets out;

    begin(&out, &asked, 0);
    tell(&asked, &out);
}

static void
say_no_answer(const char *name, enum nam_type type)
{
    struct asked asked = take(name, type);

    tell(&asked, NULL);
}

static void
say_a(const char *name, uint32_t ttl_s, unsigned last)
{
    struct asked asked = take(name, NAM_A);
    struct octets out;

    begin(&out, &asked, 1);
    put_head(&out, NAM_A, ttl_s, 4);
    put(&out, 0xc0000200u + last, 4);
    tell(&asked, &out);
}

static void
say_aaaa(const char *name, unsigned last)
{
    struct asked asked = take(name, NAM_AAAA);
    struct octets out;

    begin(&out, &asked, 1);
    put_head(&out, NAM_AAAA, 60, 16);
    put(&out, 0x20010db8, 4);
    put(&out, 0, 4);
    put(&out, 0, 4);
    put(&out, last, 4);
    tell(&asked, &out);
}

struct service {
    unsigned priority, weight, port;
    const char *target;
};

static void
say_srv(const char *name, const struct service *services, unsigned n)
{
    struct asked asked = take(name, NAM_SRV);
    struct octets out, target;

    begin(&out, &asked, n);
    for (unsigned i = 0; i < n; i++) {
        target.n = 0;
        put_name(&target, services[i].target);
        put_head(&out, NAM_SRV, 60, (unsigned)target.n + 6);
        put(&out, services[i].priority, 2);
        put(&out, services[i].weight, 2);
        put(&out, services[i].port, 2);
        memcpy(out.p + out.n, target.p, target.n);
        out.n += target.n;
    }
    tell(&asked, &out);
}

static void
expect_target(unsigned i, uint8_t family, unsigned last, uint16_t port, enum hd_transport transport)
{
    assert_true(i < t.found.n);
    assert_int_equal(t.found.target[i].addr.family, family);
    assert_int_equal(t.found.target[i].addr.ip[family == 4 ? 3 : 15], last);
    assert_int_equal(t.found.target[i].addr.port, port);
    assert_int_equal(t.found.target[i].transport, transport);
}

/* --- tests ----------------------------------------------------------------------------------- */

static void
with_a_port_only_addresses_of_both_families_are_asked_for(void **state)
{
    (void)state;
    assert_int_equal(ask("Host.Example.", 5070, 0, 7), HD_EAGAIN);
    assert_int_equal(t.n, 2);
    say_a("host.example", 60, 1);
    assert_int_equal(t.answers, 0);
    say_aaaa("host.example", 2);
    assert_int_equal(t.answers, 1);
    assert_int_equal(t.last_ticket, 7);
    assert_int_equal(t.found.n, 2);
    expect_target(0, 6, 2, 5070, HD_UDP);
    expect_target(1, 4, 1, 5070, HD_UDP);
}

static void
priorities_are_kept_and_weights_share(void **state)
{
    static const struct service services[] = { { 20, 0, 5060, "late.example" },
                                               { 10, 1, 5060, "light.example" },
                                               { 10, 9, 5060, "heavy.example" } };
    unsigned heavy = 0;

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        nam_free(t.names);
        uint64_t seed = t.seed;
        start(64, 16);
        t.seed = seed + 1;
        assert_int_equal(ask("d.example", 0, HD_TCP, 1), HD_EAGAIN);
        say_srv("_sip._tcp.d.example", services, 3);
        say_a("late.example", 60, 3);
        say_a("light.example", 60, 1);
        say_a("heavy.example", 60, 2);
        say_nothing("late.example", NAM_AAAA);
        say_nothing("light.example", NAM_AAAA);
        say_nothing("heavy.example", NAM_AAAA);
        assert_int_equal(t.found.n, 3);
        expect_target(2, 4, 3, 5060, HD_TCP);
        assert_int_equal(t.found.target[0].rank, t.found.target[1].rank);
        assert_true(t.found.target[2].rank > t.found.target[1].rank);
        heavy += t.found.target[0].addr.ip[3] == 2;
    }
    assert_in_range(heavy, 140, 199);
}

/* RFC 7984 section 4: each target's addresses, IPv6 first, before the next target's. */
static void
addresses_of_one_target_are_not_mixed_with_those_of_another(void **state)
{
    static const struct service services[] = { { 10, 0, 5071, "first.example" },
                                               { 20, 0, 5072, "second.example" } };

    (void)state;
    assert_int_equal(ask("d.example", 0, HD_UDP, 1), HD_EAGAIN);
    say_srv("_sip._udp.d.example", services, 2);
    say_a("second.example", 60, 2);
    say_aaaa("second.example", 22);
    say_a("first.example", 60, 1);
    say_aaaa("first.example", 11);
    assert_int_equal(t.found.n, 4);
    expect_target(0, 6, 11, 5071, HD_UDP);
    expect_target(1, 4, 1, 5071, HD_UDP);
    expect_target(2, 6, 22, 5072, HD_UDP);
    expect_target(3, 4, 2, 5072, HD_UDP);
}

static void
a_service_that_is_not_there_has_no_address_instead(void **state)
{
    static const struct service root = { 0, 0, 0, "" };

    (void)state;
    assert_int_equal(ask("d.example", 0, HD_UDP, 1), HD_EAGAIN);
    say_srv("_sip._udp.d.example", &root, 1);
    assert_int_equal(t.n, 0);
    assert_int_equal(t.nothing, 1);
}

static void
what_is_kept_is_answered_at_once_until_its_time_is_over(void **state)
{
    (void)state;
    assert_int_equal(ask("host.example", 5060, 0, 1), HD_EAGAIN);
    say_a("host.example", 100, 1);
    say_nothing("host.example", NAM_AAAA);
    assert_int_equal(ask("host.example", 5060, 0, 2), HD_OK);
    assert_int_equal(t.found.n, 1);
    /* at most a tenth is taken from a TTL, the shortest counts: 60 s of "nothing" */
    assert_in_range(t.found.until_ms, 1000 + 54000, 1000 + 60000);
    t.now_ms = 1000 + 60001;
    assert_int_equal(ask("host.example", 5060, 0, 3), HD_EAGAIN);
    assert_int_equal(t.n, 1); /* the address is still known */
    say_nothing("host.example", NAM_AAAA);
    assert_int_equal(t.found.n, 1);
}

static void
a_ttl_of_0_comes_to_an_end(void **state)
{
    static const struct service service = { 0, 0, 5060, "host.example" };

    (void)state;
    assert_int_equal(ask("d.example", 0, HD_UDP, 1), HD_EAGAIN);
    say_srv("_sip._udp.d.example", &service, 1);
    say_a("host.example", 0, 1);
    t.now_ms += 5000;
    say_nothing("host.example", NAM_AAAA);
    assert_int_equal(t.answers, 1);
    assert_int_equal(t.found.n, 1);
    assert_true(t.found.until_ms >= t.now_ms + 1000);
}

static void
one_question_is_asked_once_for_all(void **state)
{
    (void)state;
    assert_int_equal(ask("host.example", 5060, 0, 1), HD_EAGAIN);
    assert_int_equal(ask("HOST.example", 5060, 0, 2), HD_EAGAIN);
    assert_int_equal(ask("host.example", 5061, 0, 3), HD_EAGAIN); /* another, of the same names */
    assert_int_equal(t.total, 2);
    say_a("host.example", 60, 1);
    say_nothing("host.example", NAM_AAAA);
    assert_int_equal(t.answers, 3);
}

static void
a_server_that_does_not_answer_is_not_asked_again_at_once(void **state)
{
    (void)state;
    assert_int_equal(ask("host.example", 5060, 0, 1), HD_EAGAIN);
    say_no_answer("host.example", NAM_A);
    say_no_answer("host.example", NAM_AAAA);
    assert_int_equal(t.nothing, 1);
    assert_int_equal(ask("host.example", 5060, 0, 2), HD_ENOMATCH);
    t.now_ms += NAM_FAILED_MS;
    assert_int_equal(ask("host.example", 5060, 0, 3), HD_EAGAIN);
    t.refuse = HD_EIO;
    assert_int_equal(ask("other.example", 5060, 0, 4), HD_ENOMATCH);
}

static void
too_many_questions_are_refused(void **state)
{
    char name[32];

    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        (void)snprintf(name, sizeof(name), "h%u.example", i);
        assert_int_equal(ask(name, 5060, 0, i), HD_EAGAIN);
    }
    assert_int_equal(ask("one.more", 5060, 0, 99), HD_EFULL);
    assert_int_equal(nam_counters(t.names)->refused, 1);
    say_a("h0.example", 60, 1);
    say_nothing("h0.example", NAM_AAAA);
    assert_int_equal(ask("one.more", 5060, 0, 99), HD_EAGAIN);
}

static void
the_cache_gives_way_when_it_is_full(void **state)
{
    char name[32];

    (void)state;
    for (unsigned i = 0; i < 500; i++) {
        (void)snprintf(name, sizeof(name), "h%u.example", i);
        assert_int_equal(ask(name, 5060, 0, i), HD_EAGAIN);
        say_a(name, 3600, i % 200);
        say_nothing(name, NAM_AAAA);
    }
    assert_int_equal(t.answers, 500);
    assert_true(nam_counters(t.names)->kept <= 64);
}

static void
a_question_leads_to_so_many_names_only(void **state)
{
    struct service services[NAM_RECORDS_MAX];
    char names[NAM_RECORDS_MAX][16];

    (void)state;
    for (unsigned i = 0; i < NAM_RECORDS_MAX; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "h%u.example", i);
        services[i] = (struct service){ i, 0, 5060, names[i] };
    }
    assert_int_equal(ask("d.example", 0, HD_UDP, 1), HD_EAGAIN);
    say_srv("_sip._udp.d.example", services, NAM_RECORDS_MAX);
    assert_true(t.total <= NAM_QUERIES_MAX);
    while (t.n > 0)
        say_no_answer(t.asked[0].name, t.asked[0].type);
    assert_int_equal(t.nothing, 1);
}

static void
names_that_nobody_serves_are_not_asked_for(void **state)
{
    static const char *const names[] = { "x.invalid", "invalid", "X.INVALID.", "",    ".",
                                         "a..b",      "a b",     "-\r\n",      "\xff" };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(names); i++)
        assert_int_equal(ask(names[i], 0, 0, 1), HD_ENOMATCH);
    assert_int_equal(t.total, 0);
    assert_int_equal(ask("localhost", 5060, HD_TCP, 1), HD_OK);
    assert_int_equal(t.found.n, 2);
    assert_int_equal(t.total, 0);
}

static void
what_failed_goes_last_for_a_while(void **state)
{
    struct evt_target first;

    (void)state;
    assert_int_equal(ask("host.example", 5060, 0, 1), HD_EAGAIN);
    say_a("host.example", 3600, 1);
    say_aaaa("host.example", 2);
    first = t.found.target[0];
    nam_ops.failed(t.names, &first, 0, t.now_ms);
    assert_int_equal(ask("host.example", 5060, 0, 1), HD_OK);
    expect_target(0, 4, 1, 5060, HD_UDP);
    expect_target(1, 6, 2, 5060, HD_UDP);
    assert_int_equal(t.found.n_good, 1);
    t.now_ms += NAM_BLACK_FIRST_MS;
    assert_int_equal(ask("host.example", 5060, 0, 1), HD_OK);
    assert_int_equal(t.found.n_good, 2);
    expect_target(0, 6, 2, 5060, HD_UDP);
}

static void
what_fails_again_is_avoided_longer(void **state)
{
    static struct nam_black black;
    const struct evt_target target = {
        .addr = { .ip = { 192, 0, 2, 1 }, .port = 5060, .family = 4 }, .transport = HD_UDP
    };
    uint64_t now = 1000;

    (void)state;
    memset(&black, 0, sizeof(black));
    nam_black_add(&black, &target, 0, now);
    nam_black_add(&black, &target, 0, now + 1); /* another NOTIFY says the same */
    assert_true(nam_black_has(&black, &target, now + NAM_BLACK_FIRST_MS - 1));
    now += NAM_BLACK_FIRST_MS;
    assert_false(nam_black_has(&black, &target, now));
    nam_black_add(&black, &target, 0, now);
    assert_true(nam_black_has(&black, &target, now + 2 * NAM_BLACK_FIRST_MS - 1));
    nam_black_drop(&black, &target);
    assert_false(nam_black_has(&black, &target, now));
    nam_black_add(&black, &target, 7, now); /* its own word */
    assert_true(nam_black_has(&black, &target, now + 6999));
    assert_false(nam_black_has(&black, &target, now + 7000));
    nam_black_add(&black, &target, UINT32_MAX, now + 7000);
    assert_false(nam_black_has(&black, &target, now + 7000 + NAM_BLACK_MOST_MS));
}

static void
late_and_foreign_answers_find_nothing(void **state)
{
    struct asked asked;
    struct octets out;

    (void)state;
    assert_int_equal(ask("host.example", 5060, 0, 1), HD_EAGAIN);
    asked = t.asked[0];
    begin(&out, &asked, 0);
    tell(&asked, &out);
    tell(&asked, &out);
    nam_answered(t.names, UINT64_MAX, hd_slice(out.p, out.n), t.now_ms);
    nam_answered(t.names, 12345, hd_slice(NULL, 0), t.now_ms);
    assert_int_equal(t.answers, 0);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(with_a_port_only_addresses_of_both_families_are_asked_for),
        T(priorities_are_kept_and_weights_share),
        T(addresses_of_one_target_are_not_mixed_with_those_of_another),
        T(a_service_that_is_not_there_has_no_address_instead),
        T(what_is_kept_is_answered_at_once_until_its_time_is_over),
        T(a_ttl_of_0_comes_to_an_end),
        T(one_question_is_asked_once_for_all),
        T(a_server_that_does_not_answer_is_not_asked_again_at_once),
        T(too_many_questions_are_refused),
        T(the_cache_gives_way_when_it_is_full),
        T(a_question_leads_to_so_many_names_only),
        T(names_that_nobody_serves_are_not_asked_for),
        T(what_failed_goes_last_for_a_while),
        T(what_fails_again_is_avoided_longer),
        T(late_and_foreign_answers_find_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
