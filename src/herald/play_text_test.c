#include "herald/play_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct hd_slice
s(const char *text)
{
    return hd_slice_str(text);
}

static void
templates_become_octets(void **state)
{
    static const struct {
        const char *in;
        enum hd_err err;
        const char *out;
    } row[] = {
        { "", HD_OK, "" },
        { "plain", HD_OK, "plain" },
        { "{a}", HD_OK, "one" },
        { "x{a}y{b}z", HD_OK, "xoneytwoz" },
        { "{none}", HD_ENOMATCH, "" },
        { "{\"json\":{\"n\":1}}", HD_OK, "{\"json\":{\"n\":1}}" },
        { "{", HD_OK, "{" },
        { "{a", HD_OK, "{a" },
        { "\\{a}", HD_OK, "{a}" },
        { "\\r\\n\\t\\\\", HD_OK, "\r\n\t\\" },
        { "\\x41\\x6a", HD_OK, "Aj" },
        { "\\x4", HD_ESYNTAX, "" },
        { "\\xzz", HD_ESYNTAX, "" },
        { "end\\", HD_ESYNTAX, "" },
        { "quoted \\\" stays", HD_OK, "quoted \\\" stays" },
    };
    struct play_vars vars = { 0 };

    (void)state;
    assert_int_equal(play_vars_set(&vars, s("a"), s("one")), HD_OK);
    assert_int_equal(play_vars_set(&vars, s("b"), s("first")), HD_OK);
    assert_int_equal(play_vars_set(&vars, s("b"), s("two")), HD_OK); /* replaces */
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct hd_str out = { 0 };
        struct hd_slice name = { NULL, 0 };

        print_message("%s\n", row[i].in);
        assert_int_equal(play_expand(&vars, s(row[i].in), &out, &name), row[i].err);
        if (row[i].err == HD_OK)
            assert_string_equal(hd_str_text(&out), row[i].out);
        if (row[i].err == HD_ENOMATCH)
            assert_true(hd_slice_eq(name, s("none")));
        hd_str_done(&out);
    }
    play_vars_done(&vars);
}

static void
patterns_fit_the_whole_text(void **state)
{
    static const struct {
        const char *pattern, *text;
        enum hd_err err;
    } row[] = {
        { "", "", HD_OK },
        { "", "x", HD_ENOMATCH },
        { "*", "", HD_OK },
        { "*", "anything", HD_OK },
        { "active;expires=*", "active;expires=60", HD_OK },
        { "active", "active;expires=60", HD_ENOMATCH },
        { "*b*b", "abcb", HD_OK },
        { "*b*b", "abc", HD_ENOMATCH },
        { "\\*", "*", HD_OK },
        { "\\*", "x", HD_ENOMATCH },
        { "{set}", "value*", HD_OK },
        { "{set}", "value", HD_ENOMATCH },
        { "{set}", "valueX", HD_ENOMATCH }, /* the star of a value is no wildcard */
        { "{new}", "", HD_ENOMATCH },       /* a capture takes at least one octet */
        { "\\", "x", HD_ESYNTAX },
    };
    struct play_vars vars = { 0 };

    (void)state;
    assert_int_equal(play_vars_set(&vars, s("set"), s("value*")), HD_OK);
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        print_message("%s\n", row[i].pattern);
        assert_int_equal(play_match(&vars, s(row[i].pattern), s(row[i].text)), row[i].err);
    }
    play_vars_done(&vars);
}

static void
captures_are_short_and_set_only_when_all_fits(void **state)
{
    struct play_vars vars = { 0 };
    struct hd_slice value;

    (void)state;
    assert_int_equal(play_match(&vars, s("<{uri}>;tag={tag};end"), s("<sip:a@b>;tag=1")),
                     HD_ENOMATCH);
    assert_false(play_vars_find(&vars, s("tag"), &value));
    assert_int_equal(play_match(&vars, s("<{uri}>;tag={tag}*"), s("<sip:a@b>;tag=17;x")), HD_OK);
    assert_true(play_vars_find(&vars, s("uri"), &value));
    assert_true(hd_slice_eq(value, s("sip:a@b")));
    assert_true(play_vars_find(&vars, s("tag"), &value));
    assert_true(hd_slice_eq(value, s("1"))); /* as few octets as possible */
    play_vars_unset(&vars, s("tag"));
    assert_false(play_vars_find(&vars, s("tag"), &value));
    play_vars_done(&vars);
}

static void
lines_are_split_at_blanks_and_quotes_hold_together(void **state)
{
    static const struct {
        const char *in;
        unsigned n;
        const char *last;
    } row[] = {
        { "", 0, NULL },
        { "   ", 0, NULL },
        { "one", 1, "one" },
        { " a\tb  c ", 3, "c" },
        { "a \"b c\" d", 3, "d" },
        { "a \"\"", 2, "" },
        { "a b # comment", 2, "b" },
        { "sip:a#b", 1, "sip:a#b" },
        { "a b c d e", 5, NULL }, /* more than there is room for */
        { "a \"b", 0, NULL },
    };
    struct hd_slice words[4];
    bool open;

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        print_message("%s\n", row[i].in);
        assert_int_equal(play_words(s(row[i].in), words, 4, &open), row[i].n);
        assert_int_equal(open, i == HD_ARRAY_LEN(row) - 1);
        if (row[i].last)
            assert_true(hd_slice_eq(words[row[i].n - 1], s(row[i].last)));
    }
}

static void
durations_carry_a_unit(void **state)
{
    static const struct {
        const char *in;
        enum hd_err err;
        uint64_t ms;
    } row[] = {
        { "0ms", HD_OK, 0 },
        { "500ms", HD_OK, 500 },
        { "32s", HD_OK, 32000 },
        { "5m", HD_OK, 300000 },
        { "4294967295h", HD_OK, 4294967295u * (uint64_t)3600000 },
        { "4294967296s", HD_ERANGE, 0 },
        { "5", HD_ESYNTAX, 0 },
        { "s", HD_ESYNTAX, 0 },
        { "", HD_ESYNTAX, 0 },
        { "5x", HD_ESYNTAX, 0 },
        { "-5s", HD_ESYNTAX, 0 },
    };
    uint64_t ms;

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        print_message("%s\n", row[i].in);
        assert_int_equal(play_duration(s(row[i].in), &ms), row[i].err);
        if (!row[i].err)
            assert_int_equal(ms, row[i].ms);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(templates_become_octets),
        cmocka_unit_test(patterns_fit_the_whole_text),
        cmocka_unit_test(captures_are_short_and_set_only_when_all_fits),
        cmocka_unit_test(lines_are_split_at_blanks_and_quotes_hold_together),
        cmocka_unit_test(durations_carry_a_unit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
