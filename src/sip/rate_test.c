/* rate_test.c - rates of notifications are read and written to the last digit (RFC 6446
 * section 9.2). */
#include "sip/rate.h"

#include <inttypes.h>

#include "sip/sip_test.h"

static void
a_rate_has_two_digits_and_ten_behind_the_point(void **state)
{
    static const struct {
        const char *in;
        enum hd_err err;
        uint64_t out;
    } row[] = {
        { "1", HD_OK, SIP_RATE_ONE },
        { "99", HD_OK, 99 * SIP_RATE_ONE },
        { "0.2", HD_OK, SIP_RATE_ONE / 5 },
        { "00.05", HD_OK, SIP_RATE_ONE / 20 },
        { "0.0000000001", HD_OK, 1 },
        { "99.9999999999", HD_OK, SIP_RATE_MOST },
        { "0", HD_ESYNTAX, 0 },
        { "0.0", HD_ESYNTAX, 0 },
        { "00.0000000000", HD_ESYNTAX, 0 },
        { "100", HD_ESYNTAX, 0 },
        { "001", HD_ESYNTAX, 0 },
        { "0.00000000001", HD_ESYNTAX, 0 },
        { "18446744073709551617", HD_ESYNTAX, 0 },
        { "1.", HD_ESYNTAX, 0 },
        { ".5", HD_ESYNTAX, 0 },
        { "", HD_ESYNTAX, 0 },
        { "-1", HD_ESYNTAX, 0 },
        { "+1", HD_ESYNTAX, 0 },
        { "1e1", HD_ESYNTAX, 0 },
        { "1,5", HD_ESYNTAX, 0 },
        { "1.5.0", HD_ESYNTAX, 0 },
        { "\"1\"", HD_ESYNTAX, 0 },
        { "nan", HD_ESYNTAX, 0 },
        { "inf", HD_ESYNTAX, 0 },
        { "1 ", HD_ESYNTAX, 0 },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        uint64_t rate = 0;
        enum hd_err err = sip_rate_parse(hd_slice_str(row[i].in), &rate);
        if (err != row[i].err || rate != row[i].out)
            print_error("\"%s\": %d, %" PRIu64 "\n", row[i].in, err, rate);
        assert_int_equal(err, row[i].err);
        assert_true(rate == row[i].out);
    }
}

static void
rates_stand_among_other_parameters_once_each(void **state)
{
    struct sip_rates rates = { 0 };

    (void)state;
    assert_int_equal(
        sip_rates_parse(HD_LIT(";id=7 ; MAX-RATE = 0.2;min-rate=0.05;x;adaptive-min-rate=1"),
                        &rates),
        HD_OK);
    assert_true(rates.max == SIP_RATE_ONE / 5 && rates.min == SIP_RATE_ONE / 20 &&
                rates.adaptive == SIP_RATE_ONE);
    assert_int_equal(sip_rates_parse(HD_LIT(""), &rates), HD_OK);
    assert_true(!rates.max && !rates.min && !rates.adaptive);
    assert_int_equal(sip_rates_parse(HD_LIT(";max-rate=1;Max-Rate=1"), &rates), HD_ESYNTAX);
    assert_int_equal(sip_rates_parse(HD_LIT(";max-rate"), &rates), HD_ESYNTAX);
    assert_int_equal(sip_rates_parse(HD_LIT(";min-rate="), &rates), HD_ESYNTAX);
    assert_int_equal(sip_rates_parse(HD_LIT(";adaptive-min-rate=0"), &rates), HD_ESYNTAX);
}

static void
a_rate_is_written_as_it_was_said(void **state)
{
    static const char *const row[] = { ";max-rate=0.2", ";max-rate=1;min-rate=0.0000000001",
                                       ";adaptive-min-rate=99.9999999999",
                                       ";max-rate=10;min-rate=0.05;adaptive-min-rate=2.5", "" };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct sip_rates rates;
        struct sip_out out;
        char text[128];
        size_t n;

        assert_int_equal(sip_rates_parse(hd_slice_str(row[i]), &rates), HD_OK);
        sip_out_init(&out, text, sizeof(text));
        sip_out_rates(&out, &rates);
        assert_int_equal(sip_out_finish(&out, &n), HD_OK);
        assert_int_equal(n, strlen(row[i]));
        assert_memory_equal(text, row[i], n);
    }
}

static void
an_interval_is_never_shorter_than_the_reciprocal(void **state)
{
    (void)state;
    assert_int_equal(sip_rate_interval_ms(SIP_RATE_ONE / 5), 5000);
    assert_int_equal(sip_rate_interval_ms(SIP_RATE_MOST), 11); /* a hair above 10 */
    assert_int_equal(sip_rate_interval_ms(1), UINT64_C(10000000000000));
    assert_int_equal(sip_rate_interval_ms(3 * SIP_RATE_ONE), 334);
    assert_int_equal(sip_rate_of_interval(5000), SIP_RATE_ONE / 5);
    assert_int_equal(sip_rate_of_interval(1), SIP_RATE_MOST);
    assert_int_equal(sip_rate_of_interval(UINT64_MAX), 1);
    for (uint64_t ms = 1; ms < 4000000000u; ms = ms * 3 + 7)
        assert_true(sip_rate_interval_ms(sip_rate_of_interval(ms)) >= ms);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rate_has_two_digits_and_ten_behind_the_point),
        cmocka_unit_test(rates_stand_among_other_parameters_once_each),
        cmocka_unit_test(a_rate_is_written_as_it_was_said),
        cmocka_unit_test(an_interval_is_never_shorter_than_the_reciprocal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
