/* position_test.c - degrees, and circles that hide a position. */
#include "format/position.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void
decimals_are_read_whole_or_not_at_all(void **state)
{
    (void)state;
    static const struct {
        struct hd_slice text;
        enum hd_err err;
        double value;
    } row[] = {
        { { "0", 1 }, HD_OK, 0 },          { { "-105.25", 7 }, HD_OK, -105.25 },
        { { "+.5", 3 }, HD_OK, .5 },       { { "7.", 2 }, HD_OK, 7 },
        { { "1e3", 3 }, HD_OK, 1000 },     { { "25E-1", 5 }, HD_OK, 2.5 },
        { { "", 0 }, HD_ESYNTAX, 0 },      { { ".", 1 }, HD_ESYNTAX, 0 },
        { { "-", 1 }, HD_ESYNTAX, 0 },     { { "1e", 2 }, HD_ESYNTAX, 0 },
        { { "1 ", 2 }, HD_ESYNTAX, 0 },    { { "0x10", 4 }, HD_ESYNTAX, 0 },
        { { "nan", 3 }, HD_ESYNTAX, 0 },   { { "1,5", 3 }, HD_ESYNTAX, 0 },
        { { "1e999", 5 }, HD_ESYNTAX, 0 }, { { "1e9999", 6 }, HD_ESYNTAX, 0 },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        double value = 0;
        if (fmt_decimal_read(row[i].text, &value) != row[i].err ||
            fabs(value - row[i].value) > 1e-9)
            fail_msg("row %zu: %f", i, value);
    }
    char many[41];
    double value;
    memset(many, '1', sizeof(many));
    assert_int_equal(fmt_decimal_read(hd_slice(many, 41), &value), HD_ESYNTAX);
}

static void
degrees_are_written_short_and_exact(void **state)
{
    (void)state;
    static const struct {
        double degrees;
        const char *text;
    } row[] = { { 0, "0" },
                { -105.25, "-105.25" },
                { 39.467452, "39.467452" },
                { 0.000001, "0.000001" },
                { -0.0000001, "0" },
                { 179.9999999, "180" } };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct hd_str out = { 0 };
        fmt_degrees_write(&out, row[i].degrees);
        assert_string_equal(hd_str_text(&out), row[i].text);
        hd_str_done(&out);
    }
}

/* RFC 6772 section 7.5: a point just north of Denver, 100 km. */
static void
the_example_of_the_rfc_gives_one_of_its_two_circles(void **state)
{
    (void)state;
    const struct fmt_position denver = { 40, -105, 0 };
    struct fmt_position circle;
    assert_int_equal(fmt_position_hide(&denver, 100000, &circle), HD_OK);
    assert_true(fabs(circle.longitude + 105.243) < 0.06);
    assert_true(fabs(circle.latitude - 39.467) < 0.01);
    assert_true(fabs(circle.uncertainty_m - 100000) < 1e-9);
}

static double
distance_m(const struct fmt_position *a, const struct fmt_position *b)
{
    const double r = 3.14159265358979 / 180, f = sin((a->latitude - b->latitude) * r / 2),
                 l = sin((a->longitude - b->longitude) * r / 2);
    return 2 * 6371000 * asin(sqrt(f * f + cos(a->latitude * r) * cos(b->latitude * r) * l * l));
}

/* The truth is in the circle, everywhere and for every radius. */
static void
a_circle_holds_the_position_that_it_hides(void **state)
{
    (void)state;
    static const uint32_t radii[] = { 10, 100, 1000, 20000, 200000 };
    for (size_t k = 0; k < HD_ARRAY_LEN(radii); k++)
        for (double latitude = -85.9; latitude < 86; latitude += 1.37)
            for (double longitude = -179.9; longitude < 180; longitude += 7.31) {
                const struct fmt_position here = { latitude, longitude, 0 };
                struct fmt_position circle;
                assert_int_equal(fmt_position_hide(&here, radii[k], &circle), HD_OK);
                if (distance_m(&here, &circle) > circle.uncertainty_m)
                    fail_msg("%f %f %u: %f m", latitude, longitude, radii[k],
                             distance_m(&here, &circle));
            }
}

/* RFC 6772 section 13.2: who waits learns nothing. */
static void
small_moves_do_not_move_the_circle(void **state)
{
    (void)state;
    struct fmt_position first, circle;
    unsigned changes = 0;
    assert_int_equal(fmt_position_hide(&(struct fmt_position){ 48.2, 16.37, 0 }, 1000, &first),
                     HD_OK);
    for (unsigned i = 0; i < 1000; i++) { /* a hundred metres to and fro */
        const struct fmt_position here = { 48.2 + 0.0009 * sin(i), 16.37 + 0.0009 * cos(i), 0 };
        assert_int_equal(fmt_position_hide(&here, 1000, &circle), HD_OK);
        changes += distance_m(&first, &circle) > 1;
    }
    assert_int_equal(changes, 0);
}

static void
an_uncertain_position_gets_a_circle_that_holds_all_of_it(void **state)
{
    (void)state;
    struct fmt_position circle;
    assert_int_equal(fmt_position_hide(&(struct fmt_position){ 48.2, 16.37, 30 }, 1000, &circle),
                     HD_OK);
    assert_true(circle.uncertainty_m == 2000);
    assert_int_equal(fmt_position_hide(&(struct fmt_position){ 48.2, 16.37, 2500 }, 1000, &circle),
                     HD_OK);
    assert_true(circle.uncertainty_m == 4000);
}

static void
what_is_no_position_is_not_shown(void **state)
{
    (void)state;
    static const struct fmt_position row[] = {
        { 86.1, 0, 0 },     { -90, 0, 0 }, { 91, 0, 0 },  { 0, 180.1, 0 }, { NAN, 0, 0 },
        { 0, INFINITY, 0 }, { 0, 0, -1 },  { 0, 0, NAN }, { 0, 0, 1e9 },
    };
    struct fmt_position circle;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        if (fmt_position_hide(&row[i], 1000, &circle) != HD_ERANGE)
            fail_msg("row %zu", i);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decimals_are_read_whole_or_not_at_all),
        cmocka_unit_test(degrees_are_written_short_and_exact),
        cmocka_unit_test(the_example_of_the_rfc_gives_one_of_its_two_circles),
        cmocka_unit_test(a_circle_holds_the_position_that_it_hides),
        cmocka_unit_test(small_moves_do_not_move_the_circle),
        cmocka_unit_test(an_uncertain_position_gets_a_circle_that_holds_all_of_it),
        cmocka_unit_test(what_is_no_position_is_not_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
