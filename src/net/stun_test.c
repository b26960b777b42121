/* stun_test.c - binding requests and their answers, with the vectors of RFC 5769. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/stun.h"

#define HEAD                                                                                       \
    "\x00\x01\x00\x00\x21\x12\xa4\x42"                                                             \
    "abcdefghijkl"

static struct hd_addr
address(const char *ip, uint16_t port)
{
    struct hd_addr addr;

    assert_int_equal(hd_addr_parse(hd_slice_str(ip), port, &addr), HD_OK);
    return addr;
}

static size_t
answer(const char *octets, size_t n, const struct hd_addr *source, char ret[NET_STUN_ANSWER_MAX])
{
    char *copy = malloc(n ? n : 1);
    size_t ret_n;

    memcpy(copy, octets, n);
    ret_n = net_stun_answer(hd_slice(copy, n), source, ret);
    free(copy);
    assert_true(ret_n <= 3 * n);
    return ret_n;
}

/* RFC 5769 section 2.1: software, ICE attributes, user name, integrity and fingerprint. */
static const unsigned char sample[] = {
    0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86,
    0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x10, 0x53, 0x54, 0x55, 0x4e, 0x20, 0x74, 0x65, 0x73,
    0x74, 0x20, 0x63, 0x6c, 0x69, 0x65, 0x6e, 0x74, 0x00, 0x24, 0x00, 0x04, 0x6e, 0x00, 0x01, 0xff,
    0x80, 0x29, 0x00, 0x08, 0x93, 0x2f, 0xf9, 0xb1, 0x51, 0x26, 0x3b, 0x36, 0x00, 0x06, 0x00, 0x09,
    0x65, 0x76, 0x74, 0x6a, 0x3a, 0x68, 0x36, 0x76, 0x59, 0x20, 0x20, 0x20, 0x00, 0x08, 0x00, 0x14,
    0x9a, 0xea, 0xa7, 0x0c, 0xbf, 0xd8, 0xcb, 0x56, 0x78, 0x1e, 0xf2, 0xb5, 0xb2, 0xd3, 0xf2, 0x49,
    0xc1, 0xb5, 0x71, 0xa2, 0x80, 0x28, 0x00, 0x04, 0xe5, 0x7a, 0x3b, 0xcf
};

static void
request_is_answered_with_the_address_that_it_came_from(void **state)
{
    struct hd_addr four = address("192.0.2.1", 32853);
    struct hd_addr six = address("2001:db8:1234:5678:11:2233:4455:6677", 32853);
    char ret[NET_STUN_ANSWER_MAX];

    (void)state;
    assert_int_equal(answer(HEAD, 20, &four, ret), 32);
    /* The masked addresses of RFC 5769 sections 2.2 and 2.3 where the transaction id does not
     * count. */
    assert_memory_equal(ret,
                        "\x01\x01\x00\x0c\x21\x12\xa4\x42"
                        "abcdefghijkl",
                        20);
    assert_memory_equal(ret + 20, "\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43", 12);
    assert_int_equal(answer(HEAD, 20, &six, ret), 44);
    assert_memory_equal(ret + 20, "\x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa", 12);
}

/* PRIORITY (0x0024) is of ICE and has to be understood: 420, with its fingerprint. */
static void
attribute_that_has_to_be_understood_is_refused(void **state)
{
    static const char expected[] = "\x01\x11\x00\x2c";
    struct hd_addr source = address("192.0.2.1", 32853);
    char ret[NET_STUN_ANSWER_MAX];

    (void)state;
    assert_int_equal(answer((const char *)sample, sizeof(sample), &source, ret), 64);
    assert_memory_equal(ret, expected, 4);
    assert_memory_equal(ret + 4, sample + 4, 16);
    assert_memory_equal(ret + 20, "\x00\x09\x00\x15\x00\x00\x04\x14Unknown Attribute\0\0\0", 28);
    assert_memory_equal(ret + 48, "\x00\x0a\x00\x02\x00\x24\x00\x00\x80\x28\x00\x04", 12);
}

static void
everything_else_gets_no_answer(void **state)
{
    static const struct {
        const char *octets;
        size_t n;
    } rows[] = {
        { "", 0 },
        { HEAD, 19 },
        { "\x00\x01\x00\x00\x21\x12\xa4\x43"
          "abcdefghijkl",
          20 }, /* RFC 3489 */
        { "\x00\x11\x00\x00\x21\x12\xa4\x42"
          "abcdefghijkl",
          20 }, /* indication */
        { "\x01\x01\x00\x00\x21\x12\xa4\x42"
          "abcdefghijkl",
          20 }, /* an answer */
        { "\x00\x03\x00\x00\x21\x12\xa4\x42"
          "abcdefghijkl",
          20 }, /* another method */
        { "\x40\x01\x00\x00\x21\x12\xa4\x42"
          "abcdefghijkl",
          20 }, /* no STUN */
        { "\x00\x01\x00\x04\x21\x12\xa4\x42"
          "abcdefghijkl",
          20 }, /* shorter */
        { "\x00\x01\x00\x00\x21\x12\xa4\x42"
          "abcdefghijkl\x80\x22\x00\x00",
          24 }, /* longer */
        { "\x00\x01\x00\x02\x21\x12\xa4\x42"
          "abcdefghijkl\x80\x22",
          22 },
        { "\x00\x01\x00\x08\x21\x12\xa4\x42"
          "abcdefghijkl\x80\x22\x00\x05xxxx",
          28 },
        { "\x00\x01\x00\x08\x21\x12\xa4\x42"
          "abcdefghijkl\x80\x28\x00\x04xxxx",
          28 },
    };
    struct hd_addr source = address("192.0.2.1", 5060);
    char ret[NET_STUN_ANSWER_MAX];

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(rows); i++)
        if (answer(rows[i].octets, rows[i].n, &source, ret) != 0)
            fail_msg("row %zu was answered", i);
}

static void
wrong_fingerprint_is_no_stun(void **state)
{
    struct hd_addr source = address("192.0.2.1", 5060);
    char ret[NET_STUN_ANSWER_MAX], copy[sizeof(sample)];

    (void)state;
    for (size_t i = 0; i < sizeof(sample); i++) {
        if (i == sizeof(sample) - 8 || i == sizeof(sample) - 7)
            continue; /* another attribute, which need not be understood */
        memcpy(copy, sample, sizeof(sample));
        copy[i] ^= 1;
        assert_int_equal(answer(copy, sizeof(copy), &source, ret), 0);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_is_answered_with_the_address_that_it_came_from),
        cmocka_unit_test(attribute_that_has_to_be_understood_is_refused),
        cmocka_unit_test(everything_else_gets_no_answer),
        cmocka_unit_test(wrong_fingerprint_is_no_stun),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
