#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void
sequences_are_read_as_the_rfc_has_them(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        uint32_t code;
    } row[] = {
        { "A", 1, 'A' },
        { "\x7f", 1, 0x7f },
        { "\xc2\x80", 2, 0x80 },
        { "\xdf\xbf", 2, 0x7ff },
        { "\xe0\xa0\x80", 3, 0x800 },
        { "\xed\x9f\xbf", 3, 0xd7ff },
        { "\xee\x80\x80", 3, 0xe000 },
        { "\xef\xbf\xbf", 3, 0xffff },
        { "\xf0\x90\x80\x80", 4, 0x10000 },
        { "\xf4\x8f\xbf\xbf", 4, 0x10ffff },
        { "\x80", 0, 0 },     /* a continuation */
        { "\xc0\xaf", 0, 0 }, /* longer than it need be */
        { "\xc1\xbf", 0, 0 },
        { "\xe0\x9f\xbf", 0, 0 },
        { "\xf0\x8f\xbf\xbf", 0, 0 },
        { "\xed\xa0\x80", 0, 0 },     /* a surrogate */
        { "\xf4\x90\x80\x80", 0, 0 }, /* above the last one */
        { "\xf5\x80\x80\x80", 0, 0 },
        { "\xff", 0, 0 },
        { "\xc3", 0, 0 }, /* cut off */
        { "\xe2\x82", 0, 0 },
        { "\xe2\x28\xa1", 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        uint32_t code = 0;
        assert_int_equal(hd_utf8_take(hd_slice_str(row[i].text), &code), row[i].len);
        assert_int_equal(code, row[i].code);
    }
}

static void
what_steers_the_reader_is_not_shown(void **state)
{
    static const uint32_t shown[] = { ' ',    '~',    0xa0,   0xe9,   0x5d0,   0x200d,  0x2027,
                                      0x202f, 0x2065, 0x206a, 0x20ac, 0x1f600, 0x10ffff };
    static const uint32_t hidden[] = { 0,      '\t',   '\n',   0x1b,   0x1f,   0x7f,
                                       0x80,   0x9b,   0x9f,   0x61c,  0x200e, 0x200f,
                                       0x2028, 0x2029, 0x202a, 0x202e, 0x2066, 0x2069 };

    (void)state;
    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
        assert_true(hd_utf8_is_shown(shown[i]));
    for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
        assert_false(hd_utf8_is_shown(hidden[i]));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequences_are_read_as_the_rfc_has_them),
        cmocka_unit_test(what_steers_the_reader_is_not_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
