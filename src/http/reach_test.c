/* reach_test.c - which addresses webhooks reach. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http/reach.h"

static void
private_addresses_are_not_reached(void **state)
{
    static const struct {
        const char *text;
        bool is_public;
    } rows[] = {
        { "8.8.8.8", true },
        { "1.1.1.1", true },
        { "172.32.0.1", true },
        { "100.128.0.1", true },
        { "2606:4700::1111", true },
        { "2a00:1450::1", true },
        { "0.0.0.0", false },
        { "10.0.0.1", false },
        { "100.64.0.1", false },
        { "127.0.0.1", false },
        { "127.9.9.9", false },
        { "169.254.169.254", false },
        { "172.16.0.1", false },
        { "172.31.255.255", false },
        { "192.168.1.1", false },
        { "192.0.0.1", false },
        { "198.18.0.1", false },
        { "198.19.255.1", false },
        { "224.0.0.1", false },
        { "255.255.255.255", false },
        { "::", false },
        { "::1", false },
        { "::ffff:127.0.0.1", false },
        { "::ffff:8.8.8.8", false },
        { "64:ff9b::7f00:1", false },
        { "fc00::1", false },
        { "fd12::1", false },
        { "fe80::1", false },
        { "ff02::1", false },
        { "2001:db8::1", false },
        { "2001::1", false },
        { "2002:7f00:1::", false },
        { "fec0::1", false },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(rows); i++) {
        struct hd_addr addr;
        assert_int_equal(hd_addr_parse(hd_slice_str(rows[i].text), 80, &addr), HD_OK);
        assert_int_equal(api_addr_is_public(&addr), rows[i].is_public);
    }
    assert_false(api_addr_is_public(&(struct hd_addr){ .family = 0 }));
}

static void
the_operator_may_allow_some(void **state)
{
    struct hd_prefix allowed;
    struct hd_addr inside, outside;

    (void)state;
    assert_int_equal(hd_prefix_parse(HD_LIT("10.1.0.0/16"), &allowed), HD_OK);
    assert_int_equal(hd_addr_parse(HD_LIT("10.1.2.3"), 80, &inside), HD_OK);
    assert_int_equal(hd_addr_parse(HD_LIT("10.2.2.3"), 80, &outside), HD_OK);
    assert_true(api_reaches(&inside, &allowed, 1));
    assert_false(api_reaches(&outside, &allowed, 1));
    assert_false(api_reaches(&inside, NULL, 0));
}

int
main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(private_addresses_are_not_reached),
                                        cmocka_unit_test(the_operator_may_allow_some) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
