/* text_test.c - what a terminal may have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "herald/text.h"

static void
what_steers_a_terminal_is_escaped(void **state)
{
    (void)state;
    static const struct {
        struct hd_slice in;
        bool lines;
        const char *out;
    } row[] = {
        { { "", 0 }, false, "" },
        { { "plain text", 10 }, false, "plain text" },
        { { "\0", 1 }, false, "\\x00" },
        { { "\033[31m", 5 }, true, "\\x1b[31m" },
        { { "\x7f", 1 }, true, "\\x7f" },
        { { "a\r\nb\tc", 6 }, true, "a\nb\tc" },
        { { "a\r\nb\tc", 6 }, false, "a\\x0d\\x0ab\\x09c" },
        { { "a\rb", 3 }, true, "a\\x0db" },
        { { "a\r", 2 }, true, "a\\x0d" },
        { { "caf\xc3\xa9", 5 }, false, "caf\xc3\xa9" },
        { { "\xe2\x82\xac", 3 }, false, "\xe2\x82\xac" },
        { { "\xf0\x9f\x98\x80", 4 }, false, "\xf0\x9f\x98\x80" },
        { { "\xc2\x9b", 2 }, true, "\\xc2\\x9b" }, /* CSI of the C1 set */
        { { "\xe2\x80\xae"
            "txt",
            6 },
          true,
          "\\xe2\\x80\\xaetxt" },                                     /* from right to left */
        { { "\xc3", 1 }, false, "\\xc3" },                            /* cut short */
        { { "\xc0\xaf", 2 }, false, "\\xc0\\xaf" },                   /* not the shortest form */
        { { "\xed\xa0\x80", 3 }, false, "\\xed\\xa0\\x80" },          /* a surrogate */
        { { "\xf4\x90\x80\x80", 4 }, false, "\\xf4\\x90\\x80\\x80" }, /* above U+10FFFF */
        { { "\x80", 1 }, false, "\\x80" },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        char *out = text_escaped(row[i].in, row[i].lines);
        assert_non_null(out);
        assert_string_equal(out, row[i].out);
        free(out);
    }
}

static void
utf8_is_told_from_what_is_not(void **state)
{
    (void)state;
    assert_true(text_is_utf8(HD_LIT("")));
    assert_true(text_is_utf8(HD_LIT("caf\xc3\xa9\n")));
    assert_false(text_is_utf8(HD_LIT("caf\xe9")));
    assert_false(text_is_utf8(HD_LIT("\xc3")));
}

static void
a_line_has_no_control_character(void **state)
{
    (void)state;
    assert_true(text_is_line(""));
    assert_true(text_is_line("text/plain;charset=\"utf-8\" caf\xc3\xa9"));
    assert_false(text_is_line("a\r\nX: y"));
    assert_false(text_is_line("\t"));
    assert_false(text_is_line("a\x1f"));
    assert_false(text_is_line("\x7f"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_steers_a_terminal_is_escaped),
        cmocka_unit_test(utf8_is_told_from_what_is_not),
        cmocka_unit_test(a_line_has_no_control_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
