/* import_test.c - users from a text: what is taken, and that what is wrong is named. */
#include "policy/import.h"

#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MD5 "0123456789abcdef0123456789ABCDEF"
#define SHA MD5 MD5

static const struct hd_slice domains[] = { { "example.test", 12 }, { "fleet.example", 13 } };
static const struct sip_served served = { .domains = domains, .n_domains = 2 };

static enum hd_err
read_text(const char *text, char *problem, unsigned *line, struct pol_import *import)
{
    const struct pol_import_params params = { .realm = HD_LIT("example.test"),
                                              .served = &served,
                                              .created_s = 7 };
    return pol_import_read(hd_slice_str(text), &params, problem, line, import);
}

static void
lines_of_one_name_are_one_user(void **state)
{
    struct pol_import import;
    char problem[POL_IMPORT_PROBLEM], hex[SIP_DIGEST_HEX];
    unsigned line;
    size_t n;

    (void)state;
    assert_int_equal(read_text("# exported\r\n"
                               "\n"
                               "bob md5=" MD5 " sha256=" SHA "\r\n"
                               "  alice\tpassword=\"wonder \\\"land\\\\\"  address=alice \n"
                               "alice realm=fleet.example username=a1 md5=" MD5
                               " address=sip:Alice@FLEET.example;x=1 address=tel:+4930123\n"
                               "\"two words\" password=x",
                               problem, &line, &import),
                     HD_OK);
    assert_int_equal(import.n, 3);
    const struct pol_user *alice = &import.users[0], *bob = &import.users[1];
    assert_true(hd_slice_eq(alice->name, HD_LIT("alice")));
    assert_int_equal(import.lines[0], 4);
    assert_int_equal(alice->created_s, 7);
    assert_int_equal(alice->n_logins, 2);
    sip_digest_ha1(SIP_DIGEST_SHA256, HD_LIT("alice"), HD_LIT("example.test"),
                   HD_LIT("wonder \"land\\"), hex, &n);
    assert_true(hd_slice_eq(alice->logins[0].ha1[SIP_DIGEST_SHA256], hd_slice(hex, n)));
    assert_true(hd_slice_eq(alice->logins[1].realm, HD_LIT("fleet.example")));
    assert_true(hd_slice_eq(alice->logins[1].username, HD_LIT("a1")));
    assert_true(hd_slice_eq(alice->logins[1].ha1[SIP_DIGEST_MD5],
                            HD_LIT("0123456789abcdef0123456789abcdef")));
    assert_int_equal(alice->logins[1].ha1[SIP_DIGEST_SHA256].n, 0);
    assert_int_equal(alice->n_addresses, 3);
    assert_true(hd_slice_eq(alice->addresses[0], HD_LIT("sip:alice@example.test")));
    assert_true(hd_slice_eq(alice->addresses[1], HD_LIT("sip:Alice@fleet.example")));
    assert_true(hd_slice_eq(alice->addresses[2], HD_LIT("sip:+4930123@example.test")));
    assert_int_equal(bob->n_logins, 1);
    assert_true(hd_slice_eq(bob->logins[0].realm, HD_LIT("example.test")));
    assert_int_equal(bob->n_addresses, 0);
    assert_true(hd_slice_eq(import.users[2].name, HD_LIT("two words")));
    pol_import_done(&import);
}

static void
an_empty_text_is_nobody(void **state)
{
    struct pol_import import;
    char problem[POL_IMPORT_PROBLEM];
    unsigned line;

    (void)state;
    assert_int_equal(read_text("", problem, &line, &import), HD_OK);
    assert_int_equal(import.n, 0);
    pol_import_done(&import);
}

static void
what_is_wrong_is_named_by_its_line_and_nothing_is_taken(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
        const char *problem;
    } row[] = {
        { "a password=x\nb password=secret extra\n", 2, "without '='" },
        { "a password=\"open\n", 1, "quote without its end" },
        { "a \"b", 1, "quote without its end" },
        { "a password=\n", 1, "a value is empty" },
        { "a pasword=x\n", 1, "an unknown key" },
        { "a password=x password=y\n", 1, "a key stands twice" },
        { "a password=x md5=" MD5 "\n", 1, "one of them" },
        { "a md5=0123\n", 1, "wrong length" },
        { "a md5=0123456789abcdef0123456789abcdeg\n", 1, "hexadecimal" },
        { "a realm=x\n", 1, "without password or HA1" },
        { "a:b password=x\n", 1, "a name that cannot be" },
        { "* password=x\n", 1, "a name that cannot be" },
        { "a\xff password=x\n", 1, "a name that cannot be" },
        { "a username=\"b:c\" password=x\n", 1, "a name that cannot be" },
        { "a password=x address=sip:a@elsewhere.example\n", 1, "not served" },
        { "a password=x address=sip:*@example.test\n", 1, "cannot be" },
        { "a password=x address=http://a\n", 1, "cannot be" },
        { "a@elsewhere.example password=x\n", 1, "not served" },
        { "a address=a1 address=a2 address=a3 address=a4 address=a5 address=a6 address=a7 "
          "address=a8 address=a9\n",
          1, "too many addresses" },
        { "a address=a1 address=a2 address=a3 address=a4 address=a5\nb password=x\n"
          "a address=a6 address=a7 address=a8 address=a9\n",
          3, "too many logins or addresses" },
    };
    struct pol_import import;
    char problem[POL_IMPORT_PROBLEM];

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        unsigned line = 0;
        assert_int_equal(read_text(row[i].text, problem, &line, &import), HD_ESYNTAX);
        if (line != row[i].line || !strstr(problem, row[i].problem))
            fail_msg("row %zu: %u: %s", i, line, problem);
        assert_null(strstr(problem, "secret"));
    }
}

static void
a_line_that_is_too_long_is_refused(void **state)
{
    struct pol_import import;
    char problem[POL_IMPORT_PROBLEM], *text = malloc(6000);
    unsigned line;

    (void)state;
    assert_non_null(text);
    memset(text, 'x', 5999);
    text[5999] = '\0';
    assert_int_equal(read_text(text, problem, &line, &import), HD_ESYNTAX);
    assert_non_null(strstr(problem, "too long"));
    free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_one_name_are_one_user),
        cmocka_unit_test(an_empty_text_is_nobody),
        cmocka_unit_test(what_is_wrong_is_named_by_its_line_and_nothing_is_taken),
        cmocka_unit_test(a_line_that_is_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
