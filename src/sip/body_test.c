#include "sip/body.h"

#include "sip/sip_test.h"

#define PUBLISH(type, more, body) REQUEST("PUBLISH", "Content-Type: " type "\r\n" more) body
#define PIDF "application/pidf+xml"
#define MIXED "multipart/mixed;boundary=b"
#define ALTERNATIVE "multipart/alternative;boundary=b"
#define PART(headers, body) "--b\r\n" headers "\r\n" body "\r\n"
#define END "--b--\r\n"
#define OPTIONAL "Content-Disposition: render;handling=optional\r\n"

static const struct hd_slice types[] = { L(PIDF), L("text/plain") };

static void
each_body_is_found_or_refused(void **state)
{
    static const struct {
        const char *text, *type, *octets; /* octets NULL: err */
        enum hd_err err;
    } row[] = {
        /* alone */
        { PUBLISH(PIDF ";charset=utf-8", "", "<p/>"), PIDF ";charset=utf-8", "<p/>", HD_OK },
        { PUBLISH("image/png", "", "x"), NULL, NULL, HD_ENOTSUP },
        { PUBLISH("image/png", OPTIONAL, "x"), NULL, NULL, HD_ENOMATCH },
        { PUBLISH(PIDF, "Content-Disposition: render\r\n", "x"), PIDF, "x", HD_OK },
        { PUBLISH(PIDF, "Content-Disposition: session\r\n", "x"), NULL, NULL, HD_ENOTSUP },
        { PUBLISH(PIDF, "Content-Disposition: by-reference;handling=optional\r\n", "x"), NULL, NULL,
          HD_ENOMATCH },
        { PUBLISH(PIDF, "", ""), NULL, NULL, HD_ENOMATCH },
        { REQUEST("PUBLISH", "") "x", NULL, NULL, HD_ESYNTAX },
        { PUBLISH("no type", "", "x"), NULL, NULL, HD_ESYNTAX },
        /* mixed: the one that is understood, others only when they are optional */
        { PUBLISH(MIXED, "", PART("Content-Type: " PIDF "\r\n", "<p/>") END), PIDF, "<p/>", HD_OK },
        { PUBLISH(MIXED, "",
                  PART("Content-Type: image/png\r\n" OPTIONAL, "png")
                      PART("Content-Type: " PIDF "\r\n", "<p/>") END),
          PIDF, "<p/>", HD_OK },
        { PUBLISH(MIXED, "",
                  PART("Content-Type: image/png\r\n", "png")
                      PART("Content-Type: " PIDF "\r\n", "<p/>") END),
          NULL, NULL, HD_ENOTSUP },
        { PUBLISH(MIXED, "", PART("Content-Type: image/png\r\n" OPTIONAL, "png") END), NULL, NULL,
          HD_ENOMATCH },
        { PUBLISH(MIXED, "", PART("", "one") PART("Content-Type: " PIDF "\r\n", "<p/>") END), NULL,
          NULL, HD_EEXIST },
        { PUBLISH(MIXED, "", PART("", "one") END), "text/plain", "one", HD_OK },
        { PUBLISH(MIXED, "", PART("", "cut")), NULL, NULL, HD_ESYNTAX },
        { PUBLISH("multipart/mixed", "", PART("", "x") END), NULL, NULL, HD_ESYNTAX },
        /* an unknown subtype is as mixed */
        { PUBLISH("multipart/x-new;boundary=b", "", PART("", "one") END), "text/plain", "one",
          HD_OK },
        /* alternative: the last that is understood, whatever they say of their handling */
        { PUBLISH(ALTERNATIVE, "",
                  PART("", "plain") PART("Content-Type: " PIDF "\r\n", "<p/>")
                      PART("Content-Type: image/png\r\n", "png") END),
          PIDF, "<p/>", HD_OK },
        { PUBLISH(ALTERNATIVE, "", PART("Content-Type: image/png\r\n", "png") END), NULL, NULL,
          HD_ENOTSUP },
        { PUBLISH(ALTERNATIVE, "", PART("", "cut") "--b\r\n\r\nno end"), NULL, NULL, HD_ESYNTAX },
        /* encodings */
        { PUBLISH(MIXED, "", PART("Content-Transfer-Encoding: Binary\r\n", "one") END),
          "text/plain", "one", HD_OK },
        { PUBLISH(MIXED, "", PART("Content-Transfer-Encoding: base64\r\n", "b25l") END), NULL, NULL,
          HD_ENOTSUP },
        /* nested */
        { PUBLISH("multipart/mixed;boundary=o", "",
                  "--o\r\nContent-Type: " ALTERNATIVE "\r\n\r\n" PART("", "in") END
                  "\r\n--o--\r\n"),
          "text/plain", "in", HD_OK },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct sip_body body = { .type = HD_LIT("") };
        struct parsed p;
        parse_good(&p, row[i].text);
        const enum hd_err err = sip_body_find(&p.msg, types, HD_ARRAY_LEN(types), &body);
        if (err != row[i].err)
            fail_msg("row %zu: %s\n%s", i, hd_err_text(err), row[i].text);
        if (row[i].octets) {
            assert_slice(body.type, row[i].type);
            assert_slice(body.octets, row[i].octets);
        }
    }
}

static void
who_takes_every_type_gets_a_multipart_body_whole(void **state)
{
    static const char text[] = PUBLISH(MIXED, "", PART("", "one") PART("", "two") END);
    struct sip_body body;
    struct parsed p;

    (void)state;
    parse_good(&p, text);
    assert_int_equal(sip_body_find(&p.msg, NULL, 0, &body), HD_OK);
    assert_slice(body.type, MIXED);
    assert_int_equal(body.octets.n, p.msg.body.n);
}

/* A document inside of so many multipart bodies, one in the other. */
static enum hd_err
find_below(int depth)
{
    char text[4096];
    size_t n =
        (size_t)snprintf(text, sizeof(text), "%s",
                         REQUEST("PUBLISH", "Content-Type: multipart/mixed;boundary=n0\r\n"));
    struct sip_body body;
    struct parsed p;

    for (int i = 0; i < depth - 1; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n,
                              "--n%d\r\nContent-Type: multipart/mixed;boundary=n%d\r\n\r\n", i,
                              i + 1);
    n += (size_t)snprintf(text + n, sizeof(text) - n, "--n%d\r\nContent-Type: %.*s\r\n\r\ndeep",
                          depth - 1, HD_FMT(types[0]));
    for (int i = depth - 1; i >= 0; i--)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "\r\n--n%d--", i);
    parse_good(&p, text);
    const enum hd_err err = sip_body_find(&p.msg, types, HD_ARRAY_LEN(types), &body);
    if (!err)
        assert_true(hd_slice_eq(body.octets, HD_LIT("deep")));
    return err;
}

static void
nesting_is_limited(void **state)
{
    (void)state;
    for (int depth = 1; depth <= 4; depth++)
        assert_int_equal(find_below(depth), HD_OK);
    assert_int_equal(find_below(5), HD_ENOTSUP);
    assert_int_equal(find_below(9), HD_ENOTSUP);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_body_is_found_or_refused),
        cmocka_unit_test(who_takes_every_type_gets_a_multipart_body_whole),
        cmocka_unit_test(nesting_is_limited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
