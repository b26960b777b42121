/* addr_test.c - literals are read as the grammar has them and written in one way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>

#include "base/addr.h"

#include "base/id.h"
#include "base/rng.h"

static struct hd_addr
addr(const char *text, uint16_t port)
{
    struct hd_addr a;

    assert_int_equal(hd_addr_parse(hd_slice_str(text), port, &a), HD_OK);
    return a;
}

static void
literals_are_read_and_written_in_the_canonical_form(void **state)
{
    static const struct {
        const char *in, *out; /* NULL: not an address */
    } row[] = {
        { "0.0.0.0", "0.0.0.0" },
        { "255.255.255.255", "255.255.255.255" },
        { "192.0.2.1", "192.0.2.1" },
        { "256.0.0.1", NULL },
        { "1.2.3", NULL },
        { "1.2.3.4.5", NULL },
        { "1.2.3.", NULL },
        { ".1.2.3", NULL },
        { "1..2.3", NULL },
        { "01.2.3.4", NULL },
        { "1.2.3.00", NULL },
        { "1.2.3.1000", NULL },
        { " 1.2.3.4", NULL },
        { "1.2.3.4 ", NULL },
        { "[1.2.3.4]", NULL },
        { "", NULL },
        { "[]", NULL },
        { "[", NULL },
        { ":", NULL },
        { ":::", NULL },
        { "::", "[::]" },
        { "[::]", "[::]" },
        { "::1", "[::1]" },
        { "1::", "[1::]" },
        { "[::1", NULL },
        { "::1]", NULL },
        { "[[::1]]", NULL },
        { "1:2:3:4:5:6:7:8", "[1:2:3:4:5:6:7:8]" },
        { "1:2:3:4:5:6:7", NULL },
        { "1:2:3:4:5:6:7:8:9", NULL },
        { "1:2:3:4:5:6:7:8:", NULL },
        { ":1:2:3:4:5:6:7:8", NULL },
        { "1:2:3:4:5:6:7::", "[1:2:3:4:5:6:7:0]" },
        { "::2:3:4:5:6:7:8", "[0:2:3:4:5:6:7:8]" },
        { "1::3:4:5:6:7:8", "[1:0:3:4:5:6:7:8]" },
        { "1:2:3:4::5:6:7:8", NULL },
        { "::1:2:3:4:5:6:7:8", NULL },
        { "1::2::3", NULL },
        { "1:::2", NULL },
        { "12345::", NULL },
        { "g::", NULL },
        { "2001:0DB8::00aB", "[2001:db8::ab]" },
        /* RFC 5952 section 4.2.3: the longest run, the first of equal ones. */
        { "2001:0:0:1:0:0:0:1", "[2001:0:0:1::1]" },
        { "2001:db8:0:0:1:0:0:1", "[2001:db8::1:0:0:1]" },
        { "0:0:1::", "[0:0:1::]" },
        { "fe80::1%1", NULL },
        { "::ffff:192.0.2.1", "[::ffff:192.0.2.1]" },
        { "::FFFF:c000:0201", "[::ffff:192.0.2.1]" },
        { "64:ff9b::192.0.2.33", "[64:ff9b::c000:221]" },
        { "1:2:3:4:5:6:1.2.3.4", "[1:2:3:4:5:6:102:304]" },
        { "1:2:3:4:5:6:7:1.2.3.4", NULL },
        { "1:2:3:4:5:1.2.3.4", NULL },
        { "::1.2.3.4:5", NULL },
        { "1.2.3.4::", NULL },
        { "::1.2.3", NULL },
        { "::1.2.3.256", NULL },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct hd_addr a;
        char text[HD_ADDR_TEXT];
        enum hd_err err = hd_addr_parse(hd_slice_str(row[i].in), 5060, &a);

        if (err != (row[i].out ? HD_OK : HD_ESYNTAX))
            print_message("row: %s\n", row[i].in);
        assert_int_equal(err, row[i].out ? HD_OK : HD_ESYNTAX);
        if (err)
            continue;
        assert_int_equal(a.port, 5060);
        assert_int_equal(hd_addr_host_text(&a, text), strlen(row[i].out));
        assert_string_equal(text, row[i].out);
    }
}

static void
an_octet_of_nul_ends_no_literal(void **state)
{
    struct hd_addr a;

    (void)state;
    assert_int_equal(hd_addr_parse(hd_slice("1.2.3.4\0", 8), 0, &a), HD_ESYNTAX);
    assert_int_equal(hd_addr_parse(hd_slice("::1\0", 4), 0, &a), HD_ESYNTAX);
    assert_int_equal(hd_addr_parse(hd_slice(NULL, 0), 0, &a), HD_ESYNTAX);
}

/* Random texts of the letters that matter, most of them nearly right. */
static void
reading_agrees_with_the_system_on_random_texts(void **state)
{
    static const char letters[] = "::::....0123456789abfF";
    uint64_t seed = 5;
    struct hd_rng rng;
    unsigned good = 0;

    (void)state;
    hd_rng_init(&rng, hd_entropy_seeded, &seed);
    for (unsigned i = 0; i < 200000; i++) {
        char text[48];
        size_t n = 0;
        uint8_t want4[4], want16[16];
        struct hd_addr a;
        int is4, is6;

        if (i % 2) {
            uint8_t ip[16];
            hd_rng_octets(&rng, ip, sizeof(ip));
            for (unsigned j = 0; j < 16; j++)
                ip[j] &= (uint8_t) - (ip[j] & 1); /* runs of zeros */
            assert_non_null(inet_ntop(AF_INET6, ip, text, sizeof(text)));
            n = strlen(text);
            text[hd_rng_below(&rng, (uint32_t)n)] =
                letters[hd_rng_below(&rng, sizeof(letters) - 1)];
        } else {
            n = 1 + hd_rng_below(&rng, 14);
            for (size_t j = 0; j < n; j++)
                text[j] = letters[hd_rng_below(&rng, sizeof(letters) - 1)];
        }
        text[n] = '\0';
        is4 = inet_pton(AF_INET, text, want4);
        is6 = inet_pton(AF_INET6, text, want16);
        if ((hd_addr_parse(hd_slice(text, n), 0, &a) == HD_OK) != (is4 || is6))
            print_message("text: %s\n", text);
        assert_int_equal(hd_addr_parse(hd_slice(text, n), 0, &a) == HD_OK, is4 || is6);
        if (is4 || is6) {
            good++;
            assert_int_equal(a.family, is4 ? 4 : 6);
            if (is4)
                assert_memory_equal(a.ip, want4, 4);
            else
                assert_memory_equal(a.ip, want16, 16);
        }
    }
    assert_true(good > 20000);
}

static void
every_address_reads_back_from_its_text(void **state)
{
    uint64_t seed = 6;
    struct hd_rng rng;

    (void)state;
    hd_rng_init(&rng, hd_entropy_seeded, &seed);
    for (unsigned i = 0; i < 65536; i++) {
        struct hd_addr a = { .family = i % 3 ? 6 : 4 }, b;
        char text[HD_ADDR_TEXT];

        for (unsigned j = 0; j < (a.family == 6 ? 16u : 4u); j++) /* every pattern of zero groups */
            a.ip[j] = i >> (j / 2) & 1 ? (uint8_t)hd_rng_below(&rng, 256) : 0;
        assert_int_equal(hd_addr_parse(hd_slice(text, hd_addr_host_text(&a, text)), 0, &b), HD_OK);
        assert_true(hd_addr_eq(&a, &b));
    }
}

static void
the_text_with_port_follows_the_host(void **state)
{
    struct hd_addr a = addr("192.0.2.1", 65535), b = addr("2001:db8::1", 0), none = { 0 };
    struct hd_addr longest = addr("1111:2222:3333:4444:5555:6666:7777:8888", 65535);
    char text[HD_ADDR_TEXT];

    (void)state;
    hd_addr_text(&a, text);
    assert_string_equal(text, "192.0.2.1:65535");
    hd_addr_text(&b, text);
    assert_string_equal(text, "[2001:db8::1]:0");
    assert_int_equal(hd_addr_text(&longest, text), 47);
    assert_int_equal(hd_addr_text(&none, text), 3);
    assert_string_equal(text, "-:0");
}

static void
equality_looks_at_family_address_port_and_zone(void **state)
{
    struct hd_addr a = addr("192.0.2.1", 5060), b = a;

    (void)state;
    assert_true(hd_addr_eq(&a, &b));
    b.port = 5061;
    assert_false(hd_addr_eq(&a, &b));
    assert_true(hd_addr_same_ip(&a, &b));
    b = addr("192.0.2.2", 5060);
    assert_false(hd_addr_same_ip(&a, &b));
    b = a;
    b.family = 6;
    assert_false(hd_addr_same_ip(&a, &b));
    a = b = addr("fe80::1", 5060);
    b.scope = 2;
    assert_false(hd_addr_same_ip(&a, &b));
}

static void
the_wildcards_are_any(void **state)
{
    struct hd_addr none = { 0 }, a = addr("0.0.0.0", 5060), b = addr("::", 0), c = addr("::1", 0);

    (void)state;
    assert_true(hd_addr_is_any(&a));
    assert_true(hd_addr_is_any(&b));
    assert_false(hd_addr_is_any(&c));
    assert_false(hd_addr_is_any(&none));
}

static void
the_hash_leaves_the_port_out_when_told(void **state)
{
    static const struct hd_hash_key key = { 1, 2 }, other = { 1, 3 };
    struct hd_addr a = addr("192.0.2.1", 5060), b = addr("192.0.2.1", 5061), c = a;

    (void)state;
    assert_true(hd_addr_hash(&key, &a, true) == hd_addr_hash(&key, &c, true));
    assert_true(hd_addr_hash(&key, &a, true) != hd_addr_hash(&key, &b, true));
    assert_true(hd_addr_hash(&key, &a, false) == hd_addr_hash(&key, &b, false));
    assert_true(hd_addr_hash(&key, &a, true) != hd_addr_hash(&key, &a, false));
    assert_true(hd_addr_hash(&key, &a, true) != hd_addr_hash(&other, &a, true));
    c.family = 6;
    assert_true(hd_addr_hash(&key, &a, true) != hd_addr_hash(&key, &c, true));
}

/* Worked out apart from the code; the kernel's steering program must come to the same. */
static void
the_bucket_is_the_documented_fold(void **state)
{
    struct hd_addr v4 = addr("192.0.2.1", 5060), v6 = addr("2001:db8:1:2:3:4:5:6", 5060);
    uint64_t fold4 = UINT64_C(0xc0000201) ^ 5060;
    uint64_t fold6 = UINT64_C(0x20010db8) ^ UINT64_C(0x00010002) ^ UINT64_C(0x00030004) ^
                     UINT64_C(0x00050006) ^ 5060;

    (void)state;
    assert_int_equal(hd_addr_bucket(&v4), (fold4 * 0x9E3779B1 & 0xffffffff) >> 20);
    assert_int_equal(hd_addr_bucket(&v6), (fold6 * 0x9E3779B1 & 0xffffffff) >> 20);
}

static void
neighbours_spread_over_the_shards(void **state)
{
    unsigned hits[8] = { 0 };

    (void)state;
    for (unsigned host = 0; host < 4096; host++) {
        struct hd_addr a = { .ip = { 10, 0, (uint8_t)(host >> 8), (uint8_t)host },
                             .port = 5060,
                             .family = 4 };
        assert_true(hd_addr_bucket(&a) < HD_BUCKETS);
        hits[hd_bucket_shard(hd_addr_bucket(&a), 8)]++;
    }
    for (unsigned i = 0; i < 8; i++)
        assert_in_range(hits[i], 350, 680);
}

static void
prefixes_hold_what_shares_their_bits(void **state)
{
    static const struct {
        const char *prefix, *addr;
        enum hd_err err;
        bool holds;
    } row[] = {
        { "127.0.0.0/8", "127.255.0.1", HD_OK, true },
        { "127.0.0.0/8", "128.0.0.1", HD_OK, false },
        { "127.0.0.0/8", "::1", HD_OK, false },
        { "0.0.0.0/0", "203.0.113.9", HD_OK, true },
        { "0.0.0.0/0", "::", HD_OK, false },
        { "10.1.2.3/8", "10.200.0.0", HD_OK, true },
        { "192.0.2.128/25", "192.0.2.127", HD_OK, false },
        { "192.0.2.128/25", "192.0.2.128", HD_OK, true },
        { "192.0.2.1", "192.0.2.1", HD_OK, true },
        { "192.0.2.1", "192.0.2.0", HD_OK, false },
        { "192.0.2.1/32", "192.0.2.1", HD_OK, true },
        { "::1", "::1", HD_OK, true },
        { "::1/128", "::2", HD_OK, false },
        { "2001:db8::/33", "2001:db8:7fff::1", HD_OK, true },
        { "2001:db8::/33", "2001:db8:8000::1", HD_OK, false },
        { "::/0", "2001:db8::", HD_OK, true },
        { "192.0.2.1/33", NULL, HD_ERANGE, false },
        { "::/129", NULL, HD_ERANGE, false },
        { "::/99999999999", NULL, HD_ERANGE, false },
        { "192.0.2.1/", NULL, HD_ESYNTAX, false },
        { "192.0.2.1/-1", NULL, HD_ESYNTAX, false },
        { "192.0.2.1/8/8", NULL, HD_ESYNTAX, false },
        { "192.0.2/24", NULL, HD_ESYNTAX, false },
        { "/8", NULL, HD_ESYNTAX, false },
        { "", NULL, HD_ESYNTAX, false },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct hd_prefix prefix;

        assert_int_equal(hd_prefix_parse(hd_slice_str(row[i].prefix), &prefix), row[i].err);
        if (!row[i].err) {
            struct hd_addr a = addr(row[i].addr, 1);
            assert_int_equal(hd_prefix_holds(&prefix, &a), row[i].holds);
        }
    }
}

static void
a_connection_name_gives_its_shard_back(void **state)
{
    static const unsigned shards[] = { 0, 1, 77, 254 };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(shards); i++) {
        assert_true(hd_conn_make(shards[i], 0, 0) != 0);
        assert_int_equal(hd_conn_shard(hd_conn_make(shards[i], UINT32_MAX, UINT32_MAX)), shards[i]);
    }
}

static void
transports_have_the_names_of_via(void **state)
{
    (void)state;
    assert_true(hd_slice_eq(hd_transport_name(HD_UDP), HD_LIT("UDP")));
    assert_true(hd_slice_eq(hd_transport_name(HD_WSS), HD_LIT("WSS")));
    assert_false(hd_transport_reliable(HD_UDP));
    assert_true(hd_transport_reliable(HD_TCP));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals_are_read_and_written_in_the_canonical_form),
        cmocka_unit_test(an_octet_of_nul_ends_no_literal),
        cmocka_unit_test(reading_agrees_with_the_system_on_random_texts),
        cmocka_unit_test(every_address_reads_back_from_its_text),
        cmocka_unit_test(the_text_with_port_follows_the_host),
        cmocka_unit_test(equality_looks_at_family_address_port_and_zone),
        cmocka_unit_test(the_wildcards_are_any),
        cmocka_unit_test(the_hash_leaves_the_port_out_when_told),
        cmocka_unit_test(the_bucket_is_the_documented_fold),
        cmocka_unit_test(neighbours_spread_over_the_shards),
        cmocka_unit_test(prefixes_hold_what_shares_their_bits),
        cmocka_unit_test(a_connection_name_gives_its_shard_back),
        cmocka_unit_test(transports_have_the_names_of_via),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
