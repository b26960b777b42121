#include "sip/multipart.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void
assert_slice(struct hd_slice got, struct hd_slice want)
{
    assert_int_equal(got.n, want.n);
    if (want.n)
        assert_memory_equal(got.p, want.p, want.n);
}

#define L(literal)                                                                                 \
    {                                                                                              \
        "" literal, sizeof(literal) - 1                                                            \
    }

static const struct hd_slice mixed = L("multipart/mixed;boundary=b1");

static void
parts_come_with_their_headers_and_bodies(void **state)
{
    (void)state;
    struct sip_multipart walk;
    struct sip_part part;
    const struct hd_slice good = HD_LIT("preamble\r\n--b1  \r\n"
                                        "content-type:\r\n application/pidf+xml\r\n"
                                        "CONTENT-ID: <a@example.test>\r\n"
                                        "Content-Disposition: session\r\n"
                                        "Content-Transfer-Encoding: binary\r\n"
                                        "X-Other: x\r\n"
                                        "\r\n"
                                        "<p/>\r\n"
                                        "\r\n--b1\r\n"
                                        "\r\n"
                                        "--b2 -- --b1\r\n"
                                        "\r\n--b1--\r\nepilogue\r\n--b1\r\n");
    assert_int_equal(sip_multipart_begin(mixed, good, &walk), HD_OK);
    assert_int_equal(sip_multipart_next(&walk, &part), HD_OK);
    assert_slice(part.type, HD_LIT("application/pidf+xml"));
    assert_slice(part.id, HD_LIT("a@example.test"));
    assert_slice(part.disposition, HD_LIT("session"));
    assert_slice(part.encoding, HD_LIT("binary"));
    assert_slice(part.body, HD_LIT("<p/>\r\n"));
    assert_int_equal(sip_multipart_next(&walk, &part), HD_OK);
    assert_int_equal(part.type.n, 0);
    assert_null(part.id.p);
    assert_slice(part.body, HD_LIT("--b2 -- --b1\r\n"));
    assert_int_equal(sip_multipart_next(&walk, &part), HD_ENOMATCH);
    assert_int_equal(sip_multipart_next(&walk, &part), HD_ENOMATCH);
}

static void
the_boundary_is_read_from_the_content_type(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        enum hd_err err;
    } row[] = {
        { "multipart/mixed;boundary=b1", HD_OK },
        { "Multipart/Related ; type=\"a/b\" ; BOUNDARY=\"b1\"", HD_OK },
        { "multipart/mixed", HD_ESYNTAX },
        { "multipart/mixed;boundary", HD_ESYNTAX },
        { "multipart/mixed;boundary=\"\"", HD_ESYNTAX },
        { "multipart/mixed;boundary=\"b1 \"", HD_ESYNTAX },
        { "multipart/mixed;boundary=\"b\\1\"", HD_ESYNTAX },
        { "multipart/mixed;boundary=b2", HD_ESYNTAX },
        { "application/json;boundary=b1", HD_ENOTSUP },
        { "", HD_ENOTSUP },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct sip_multipart walk;
        const enum hd_err err = sip_multipart_begin(hd_slice_str(row[i].type),
                                                    HD_LIT("--b1\r\n\r\nx\r\n--b1--\r\n"), &walk);
        if (err != row[i].err)
            fail_msg("'%s' gave %s", row[i].type, hd_err_text(err));
    }
}

static void
a_boundary_has_at_most_seventy_characters(void **state)
{
    (void)state;
    char type[200] = "multipart/mixed;boundary=", body[200] = "--";
    struct sip_multipart walk;
    memset(type + 25, 'x', 71);
    memset(body + 2, 'x', 71);
    assert_int_equal(sip_multipart_begin(hd_slice(type, 25 + 71), hd_slice(body, 73), &walk),
                     HD_ESYNTAX);
    assert_int_equal(sip_multipart_begin(hd_slice(type, 25 + 70), hd_slice(body, 73), &walk),
                     HD_OK);
}

/* What the first two calls of next say for a body. */
static void
malformed_bodies_are_refused(void **state)
{
    (void)state;
    static const struct {
        struct hd_slice body;
        enum hd_err first, second;
    } row[] = {
        { L("--b1\r\n\r\nx\r\n--b1--"), HD_OK, HD_ENOMATCH },
        { L("--b1\r\n\r\n\r\n--b1--"), HD_OK, HD_ENOMATCH },
        { L("--b1\r\n\r\n--b1--"), HD_OK, HD_ENOMATCH },     /* neither headers nor body */
        { L("--b1\r\nA: b\r\n--b1--"), HD_OK, HD_ENOMATCH }, /* headers only */
        { L("--b1\r\nA: b\r\n c\r\n--b1--"), HD_OK, HD_ENOMATCH },
        { L("--b1--"), HD_ESYNTAX, HD_ESYNTAX },         /* no part */
        { L("--b1\r\n--b1--"), HD_ESYNTAX, HD_ESYNTAX }, /* one CRLF cannot serve two delimiters */
        { L("--b1\r\n\r\nx"), HD_ESYNTAX, HD_ESYNTAX },  /* cut */
        { L("--b1\r\n\r\nx\r\n--b1"), HD_OK, HD_ESYNTAX },
        { L("--b1\r\n\r\nx\r\n--b1-"), HD_OK, HD_ESYNTAX },
        { L("--b1"), HD_ESYNTAX, HD_ESYNTAX },
        { L("--b1\n\nx\n--b1--\n"), HD_ESYNTAX, HD_ESYNTAX },         /* bare LF */
        { L("--b12\r\n\r\nx\r\n--b1--"), HD_ESYNTAX, HD_ESYNTAX },    /* longer than the boundary */
        { L("--b1\r\n\r\nx\r\n--b12\r\n--b1--"), HD_OK, HD_ESYNTAX }, /* the same inside */
        { L("--b1\r\nA\r\n\r\nx\r\n--b1--"), HD_ESYNTAX, HD_ESYNTAX },
        { L("--b1\r\nA : x\r\n\r\nx\r\n--b1--"), HD_ESYNTAX,
          HD_ESYNTAX }, /* blank before the colon */
        { L("--b1\r\n: x\r\n\r\nx\r\n--b1--"), HD_ESYNTAX, HD_ESYNTAX },
        { L("--b1\r\nA: \rb\r\n\r\nx\r\n--b1--"), HD_ESYNTAX, HD_ESYNTAX },
        { L("--b1\r\nA: \nb\r\n\r\nx\r\n--b1--"), HD_ESYNTAX, HD_ESYNTAX },
        { L("--b1\r\nA: \0"
            "b\r\n\r\nx\r\n--b1--"),
          HD_ESYNTAX, HD_ESYNTAX },
        { L("--b1\r\nContent-ID: a\r\ncontent-id: b\r\n\r\nx\r\n--b1--"), HD_ESYNTAX, HD_ESYNTAX },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct sip_multipart walk;
        struct sip_part part;
        assert_int_equal(sip_multipart_begin(mixed, row[i].body, &walk), HD_OK);
        const enum hd_err first = sip_multipart_next(&walk, &part);
        const enum hd_err second = sip_multipart_next(&walk, &part);
        if (first != row[i].first || second != row[i].second)
            fail_msg("row %zu gave %s, %s", i, hd_err_text(first), hd_err_text(second));
    }
}

static void
a_body_without_the_boundary_is_refused(void **state)
{
    (void)state;
    struct sip_multipart walk;
    assert_int_equal(sip_multipart_begin(mixed, HD_LIT(""), &walk), HD_ESYNTAX);
    assert_int_equal(sip_multipart_begin(mixed, HD_LIT("x--b1\r\n\r\n"), &walk), HD_ESYNTAX);
    assert_int_equal(sip_multipart_begin(mixed, HD_LIT("--b"), &walk), HD_ESYNTAX);
}

static void
more_parts_than_the_cap_are_refused(void **state)
{
    (void)state;
    char body[2048];
    size_t n = 0;
    struct sip_multipart walk;
    struct sip_part part;
    for (unsigned i = 0; i < SIP_MULTIPART_PARTS + 1; i++) {
        memcpy(body + n, "--b1\r\n\r\nx\r\n", 11);
        n += 11;
    }
    memcpy(body + n, "--b1--", 6);
    assert_int_equal(sip_multipart_begin(mixed, hd_slice(body, n + 6), &walk), HD_OK);
    for (unsigned i = 0; i < SIP_MULTIPART_PARTS; i++)
        assert_int_equal(sip_multipart_next(&walk, &part), HD_OK);
    assert_int_equal(sip_multipart_next(&walk, &part), HD_EFULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_come_with_their_headers_and_bodies),
        cmocka_unit_test(the_boundary_is_read_from_the_content_type),
        cmocka_unit_test(a_boundary_has_at_most_seventy_characters),
        cmocka_unit_test(malformed_bodies_are_refused),
        cmocka_unit_test(a_body_without_the_boundary_is_refused),
        cmocka_unit_test(more_parts_than_the_cap_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
