#include "sip/digest.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/hash.h"

static struct sip_digest
parsed(struct hd_slice value)
{
    struct sip_digest d = { 0 };
    assert_int_equal(sip_digest_parse(value, &d), HD_OK);
    return d;
}

static void
assert_slice(struct hd_slice got, struct hd_slice want)
{
    assert_int_equal(got.n, want.n);
    if (want.n)
        assert_memory_equal(got.p, want.p, want.n);
}

static bool
verifies(struct hd_slice value, struct hd_slice user, struct hd_slice realm,
         struct hd_slice password, struct hd_slice method)
{
    struct sip_digest d = parsed(value);
    char ha1[SIP_DIGEST_HEX];
    size_t n;
    sip_digest_ha1(d.alg, user, realm, password, ha1, &n);
    return sip_digest_verify(&d, hd_slice(ha1, n), method);
}

#define RFC7616(alg, response)                                                                     \
    HD_LIT(                                                                                        \
        "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", "   \
        "algorithm=" alg ", nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", "              \
        "nc=00000001, cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, "         \
        "response=\"" response "\", "                                                              \
        "opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"")

static void
the_example_of_rfc_7616_verifies_with_md5(void **state)
{
    (void)state;
    assert_true(verifies(RFC7616("MD5", "8ca523f5e9506fed4657c9700eebdbec"), HD_LIT("Mufasa"),
                         HD_LIT("http-auth@example.org"), HD_LIT("Circle of Life"), HD_LIT("GET")));
}

static void
the_example_of_rfc_7616_verifies_with_sha_256(void **state)
{
    (void)state;
    assert_true(verifies(
        RFC7616("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        HD_LIT("Mufasa"), HD_LIT("http-auth@example.org"), HD_LIT("Circle of Life"),
        HD_LIT("GET")));
}

static void
the_example_of_rfc_2617_verifies(void **state)
{
    (void)state;
    assert_true(verifies(HD_LIT("Digest username=\"Mufasa\",\r\n realm=\"testrealm@host.com\",\r\n "
                                "nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\",\r\n "
                                "uri=\"/dir/index.html\",\r\n qop=auth,\r\n nc=00000001,\r\n "
                                "cnonce=\"0a4f113b\",\r\n "
                                "response=\"6629fae49393a05397450978507c4ef1\",\r\n "
                                "opaque=\"5ccc069c403ebaf9f0171e9517f40e41\""),
                         HD_LIT("Mufasa"), HD_LIT("testrealm@host.com"), HD_LIT("Circle Of Life"),
                         HD_LIT("GET")));
}

static void
another_method_password_or_user_does_not_verify(void **state)
{
    (void)state;
    const struct hd_slice v = RFC7616("MD5", "8ca523f5e9506fed4657c9700eebdbec");
    const struct hd_slice realm = HD_LIT("http-auth@example.org");
    const struct hd_slice pw = HD_LIT("Circle of Life");
    assert_false(verifies(v, HD_LIT("Mufasa"), realm, pw, HD_LIT("PUT")));
    assert_false(verifies(v, HD_LIT("Mufasa"), realm, HD_LIT("circle of life"), HD_LIT("GET")));
    assert_false(verifies(v, HD_LIT("mufasa"), realm, pw, HD_LIT("GET")));
    assert_false(verifies(v, HD_LIT("Mufasa"), HD_LIT("other"), pw, HD_LIT("GET")));
}

static void
a_wrong_last_digit_does_not_verify(void **state)
{
    (void)state;
    assert_false(verifies(RFC7616("MD5", "8ca523f5e9506fed4657c9700eebdbed"), HD_LIT("Mufasa"),
                          HD_LIT("http-auth@example.org"), HD_LIT("Circle of Life"),
                          HD_LIT("GET")));
}

static void
upper_case_digits_in_the_response_verify(void **state)
{
    (void)state;
    assert_true(verifies(RFC7616("MD5", "8CA523F5E9506FED4657C9700EEBDBEC"), HD_LIT("Mufasa"),
                         HD_LIT("http-auth@example.org"), HD_LIT("Circle of Life"), HD_LIT("GET")));
}

static void
a_client_without_qop_verifies(void **state)
{
    (void)state;
    /* H(H(bob:example.test:secret):n1:H(SUBSCRIBE:sip:alice@example.test)), by md5sum */
    assert_true(verifies(HD_LIT("Digest username=\"bob\", realm=\"example.test\", nonce=\"n1\", "
                                "uri=\"sip:alice@example.test\", "
                                "response=\"c061d06c0c11eed001de223de163d1d2\""),
                         HD_LIT("bob"), HD_LIT("example.test"), HD_LIT("secret"),
                         HD_LIT("SUBSCRIBE")));
}

static void
escapes_in_user_name_and_nonce_are_undone_before_they_are_hashed(void **state)
{
    (void)state;
    /* H(H(b"o\b:example.test:secret):n1:H(SUBSCRIBE:sip:a@example.test)), by md5sum */
    const struct hd_slice v = HD_LIT("Digest username=\"b\\\"o\\\\b\", realm=\"example.test\", "
                                     "nonce=\"\\n1\", uri=\"sip:a@example.test\", "
                                     "response=\"19a827ea953daf8d39c74aa15eb292f1\"");
    assert_true(verifies(v, HD_LIT("b\"o\\b"), HD_LIT("example.test"), HD_LIT("secret"),
                         HD_LIT("SUBSCRIBE")));
    assert_slice(parsed(v).username, HD_LIT("b\\\"o\\\\b"));
}

static void
text_inside_quotes_is_compared_with_its_escapes_undone(void **state)
{
    (void)state;
    assert_true(sip_digest_is(HD_LIT("b\\\"ob"), HD_LIT("b\"ob")));
    assert_true(sip_digest_is(HD_LIT("\\b\\o\\b"), HD_LIT("bob")));
    assert_true(sip_digest_is(HD_LIT(""), HD_LIT("")));
    assert_false(sip_digest_is(HD_LIT("bob"), HD_LIT("bobby")));
    assert_false(sip_digest_is(HD_LIT("bobby"), HD_LIT("bob")));
    assert_false(sip_digest_is(HD_LIT("bo\\"), HD_LIT("bo")));
    assert_false(sip_digest_is(HD_LIT("b\\\\ob"), HD_LIT("bob")));
}

static void
all_parameters_are_read_in_any_order_and_spelling(void **state)
{
    (void)state;
    static const char *const forms[] = {
        /* liblinphone: two blanks */
        "Digest  realm=\"example.test\", nonce=\"abc+/=\", algorithm=MD5,  opaque=\"\", "
        "username=\"bob\",  uri=\"sip:example.test\", response=\"00\", cnonce=\"c\", nc=0000000a, "
        "qop=auth",
        /* Twinkle: no blanks */
        "Digest username=\"bob\",realm=\"example.test\",nonce=\"abc+/=\",uri=\"sip:example.test\","
        "response=\"00\",algorithm=MD5,cnonce=\"c\",opaque=\"\",qop=auth,nc=0000000a",
        /* quoted where a token belongs, bare where a string belongs, any case, folds, empty
           elements */
        "DIGEST\r\n USERNAME = bob,, Realm\t=\t\"example.test\" ,nonce=abc+/=,\r\n "
        "uri=sip:example.test,"
        "response=00,algorithm=\"md5\",cnonce=c,opaque=\"\",qop=\"auth\",nc=\"0000000A\",userhash="
        "false,",
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(forms); i++) {
        const struct sip_digest d = parsed(hd_slice_str(forms[i]));
        assert_slice(d.username, HD_LIT("bob"));
        assert_slice(d.realm, HD_LIT("example.test"));
        assert_slice(d.nonce, HD_LIT("abc+/="));
        assert_slice(d.uri, HD_LIT("sip:example.test"));
        assert_slice(d.response, HD_LIT("00"));
        assert_slice(d.cnonce, HD_LIT("c"));
        assert_slice(d.qop, HD_LIT("auth"));
        assert_non_null(d.opaque.p);
        assert_int_equal(d.opaque.n, 0);
        assert_int_equal(d.alg, SIP_DIGEST_MD5);
        assert_true(d.has_nc);
        assert_int_equal(d.nc, 10);
    }
}

static void
malformed_credentials_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        enum hd_err err;
    } row[] = {
        { "", HD_ENOTSUP },
        { "Basic Zm9v", HD_ENOTSUP },
        { "Digestive a=b", HD_ENOTSUP },
        { "Digest", HD_ESYNTAX },
        { "Digest,a=b", HD_ESYNTAX },
        { "Digest ", HD_OK },
        { "Digest ,", HD_OK },
        { "Digest a", HD_ESYNTAX },
        { "Digest a=", HD_ESYNTAX },
        { "Digest =b", HD_ESYNTAX },
        { "Digest a=,b=c", HD_ESYNTAX },
        { "Digest a=b c=d", HD_ESYNTAX },
        { "Digest a=b", HD_OK },
        { "Digest a=\"b", HD_ESYNTAX },
        { "Digest a=\"b\\", HD_ESYNTAX },
        { "Digest a=\"b\\\"", HD_ESYNTAX },
        { "Digest a=\"b\"c", HD_ESYNTAX },
        { "Digest a=\"b\r\n c\"", HD_ESYNTAX },
        { "Digest a=\"b\\\r\n c\"", HD_ESYNTAX },
        { "Digest a=b\"c\"", HD_ESYNTAX },
        { "Digest nonce=b\\", HD_ESYNTAX },
        { "Digest nonce=b\\c, realm=\"d\"", HD_ESYNTAX },
        { "Digest username=\"a\", username=\"b\"", HD_ESYNTAX },
        { "Digest username=\"\", USERNAME=\"\"", HD_ESYNTAX },
        { "Digest algorithm=MD5, algorithm=MD5", HD_ESYNTAX },
        { "Digest stale=true, stale=false", HD_ESYNTAX },
        { "Digest x=1, x=2", HD_OK },
        { "Digest nc=1", HD_ESYNTAX },
        { "Digest nc=000000001", HD_ESYNTAX },
        { "Digest nc=0000000g", HD_ESYNTAX },
        { "Digest nc=ffffffff", HD_OK },
        { "Digest nc=-0000001", HD_ESYNTAX },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct sip_digest d;
        const enum hd_err err = sip_digest_parse(hd_slice_str(row[i].in), &d);
        if (err != row[i].err)
            fail_msg("'%s' gave %s", row[i].in, hd_err_text(err));
    }
    struct sip_digest d;
    assert_int_equal(sip_digest_parse(HD_LIT("Digest a=\"b\0c\""), &d), HD_ESYNTAX);
    assert_int_equal(sip_digest_parse(HD_LIT("Digest a\0=b"), &d), HD_ESYNTAX);
}

static void
incomplete_credentials_never_verify(void **state)
{
    (void)state;
    static const char right[] = "8ca523f5e9506fed4657c9700eebdbec";
    struct sip_digest d = parsed(RFC7616("MD5", "8ca523f5e9506fed4657c9700eebdbec")), cut;
    char ha1[SIP_DIGEST_HEX];
    size_t n;
    sip_digest_ha1(SIP_DIGEST_MD5, HD_LIT("Mufasa"), HD_LIT("http-auth@example.org"),
                   HD_LIT("Circle of Life"), ha1, &n);
    const struct hd_slice key = hd_slice(ha1, n), get = HD_LIT("GET");
    assert_true(sip_digest_verify(&d, key, get));
    struct hd_slice *const needed[] = { &cut.username, &cut.realm,    &cut.nonce,
                                        &cut.uri,      &cut.response, &cut.cnonce };
    for (size_t i = 0; i < HD_ARRAY_LEN(needed); i++) {
        cut = d;
        *needed[i] = hd_slice(NULL, 0);
        assert_false(sip_digest_verify(&cut, key, get));
    }
    cut = d;
    cut.has_nc = false;
    assert_false(sip_digest_verify(&cut, key, get));
    cut = d;
    cut.qop = HD_LIT("auth-int");
    assert_false(sip_digest_verify(&cut, key, get));
    cut = d;
    cut.alg = SIP_DIGEST_NONE;
    assert_false(sip_digest_verify(&cut, key, get));
    cut = d;
    cut.response = hd_slice(right, 31);
    assert_false(sip_digest_verify(&cut, key, get));
    assert_false(sip_digest_verify(&d, hd_slice(ha1, 31), get));
    assert_false(sip_digest_verify(&d, hd_slice(NULL, 0), get));
}

static void
algorithms_are_found_in_any_case(void **state)
{
    (void)state;
    assert_int_equal(sip_digest_find(HD_LIT("")), SIP_DIGEST_MD5);
    assert_int_equal(sip_digest_find(HD_LIT("md5")), SIP_DIGEST_MD5);
    assert_int_equal(sip_digest_find(HD_LIT("sha-256")), SIP_DIGEST_SHA256);
    assert_int_equal(sip_digest_find(HD_LIT("MD5-sess")), SIP_DIGEST_NONE);
    assert_int_equal(sip_digest_find(HD_LIT("SHA-512-256")), SIP_DIGEST_NONE);
    assert_int_equal(parsed(HD_LIT("Digest algorithm=AKAv1-MD5")).alg, SIP_DIGEST_NONE);
    assert_slice(sip_digest_name(SIP_DIGEST_SHA256), HD_LIT("SHA-256"));
}

static void
a_challenge_is_one_line_that_reads_back(void **state)
{
    (void)state;
    char buffer[256];
    struct sip_out out;
    size_t n;
    sip_out_init(&out, buffer, sizeof(buffer));
    sip_digest_challenge(&out, HD_LIT("example.test"), HD_LIT("n0"), SIP_DIGEST_SHA256, true);
    assert_false(out.full);
    n = out.n;
    assert_slice(hd_slice(buffer, n),
                 HD_LIT("WWW-Authenticate: Digest realm=\"example.test\", nonce=\"n0\", "
                        "algorithm=SHA-256, qop=\"auth\", charset=UTF-8, stale=true\r\n"));
    const struct sip_digest d = parsed(hd_slice_trim(hd_slice(buffer + 17, n - 19)));
    assert_int_equal(d.alg, SIP_DIGEST_SHA256);
    assert_true(d.stale);
    assert_false(parsed(HD_LIT("Digest stale=FALSE")).stale);
}

static void
only_who_may_know_of_a_charset_is_told_one(void **state)
{
    (void)state;
    for (enum sip_digest_alg alg = SIP_DIGEST_MD5; alg < SIP_DIGEST_COUNT; alg++) {
        char buffer[256];
        struct sip_out out;
        sip_out_init(&out, buffer, sizeof(buffer));
        sip_digest_challenge(&out, HD_LIT("r"), HD_LIT("n"), alg, false);
        const bool told = memmem(buffer, out.n, ", charset=UTF-8\r\n", 17) != NULL;
        assert_int_equal(told, alg != SIP_DIGEST_MD5);
    }
}

static void
a_challenge_that_does_not_fit_marks_the_writer(void **state)
{
    (void)state;
    char buffer[40];
    struct sip_out out;
    sip_out_init(&out, buffer, sizeof(buffer));
    sip_digest_challenge(&out, HD_LIT("example.test"), HD_LIT("n0"), SIP_DIGEST_MD5, false);
    assert_true(out.full);
}

/* What the client's side writes for a challenge must verify on the server's side. */
static void
round_trip(struct hd_slice challenge_value, struct hd_slice realm, bool proxy)
{
    const struct sip_digest challenge = parsed(challenge_value);
    const struct hd_slice user = HD_LIT("b\"o\\b"), password = HD_LIT("p:w\"\\"),
                          method = HD_LIT("PUBLISH"), uri = HD_LIT("sip:alice@example.test");
    char buffer[1024], ha1[SIP_DIGEST_HEX];
    struct sip_out out;
    size_t ha1_len;

    sip_out_init(&out, buffer, sizeof(buffer));
    sip_digest_authorization(&out, &challenge, user, password, method, uri, HD_LIT("c0ffee"), 0xab,
                             proxy);
    assert_false(out.full);
    struct hd_slice line = hd_slice(out.p, out.n);
    assert_slice(hd_slice_from(line, line.n - 2), HD_LIT("\r\n"));
    line.n -= 2;
    assert_slice(hd_slice_cut(&line, ':'),
                 proxy ? HD_LIT("Proxy-Authorization") : HD_LIT("Authorization"));
    const struct sip_digest answer = parsed(line);
    sip_digest_ha1(challenge.alg, user, realm, password, ha1, &ha1_len);
    assert_true(sip_digest_verify(&answer, hd_slice(ha1, ha1_len), method));
    assert_true(sip_digest_is(answer.realm, realm));
    assert_true(sip_digest_is(answer.username, user));
    assert_slice(answer.opaque, challenge.opaque);
    assert_int_equal(answer.has_nc, challenge.qop.p != NULL);
    assert_int_equal(answer.nc, challenge.qop.p ? 0xab : 0);
}

static void
what_a_client_answers_verifies(void **state)
{
    (void)state;
    round_trip(HD_LIT("Digest realm=\"example.test\", nonce=\"n\\\\0\", qop=\"auth-int, auth\""),
               HD_LIT("example.test"), false);
    round_trip(
        HD_LIT("Digest realm=\"a \\\"b\\\"\", nonce=\"n0\", algorithm=SHA-256, qop=\"auth\", "
               "opaque=\"o\""),
        HD_LIT("a \"b\""), true);
    round_trip(HD_LIT("Digest realm=\"r\", nonce=\"n0\""), HD_LIT("r"), false);
}

static void
a_client_does_not_answer_an_algorithm_that_is_not_ours(void **state)
{
    (void)state;
    char buffer[1024];
    struct sip_out out;
    const struct sip_digest challenge =
        parsed(HD_LIT("Digest realm=\"r\", nonce=\"n\", algorithm=MD5-sess, qop=\"auth\""));
    sip_out_init(&out, buffer, sizeof(buffer));
    sip_digest_authorization(&out, &challenge, HD_LIT("u"), HD_LIT("p"), HD_LIT("PUBLISH"),
                             HD_LIT("sip:a"), HD_LIT("c"), 1, false);
    assert_true(out.full);
    assert_int_equal(out.n, 0);
}

static const struct hd_hash_key key = { 1, 2 };
static const struct sip_nonce sample = {
    .id = 0xfedcba9876543210, .issued_s = 0xfffffffe, .source = 0x80000001, .epoch = 7
};

static void
a_nonce_reads_back_whole(void **state)
{
    (void)state;
    char text[SIP_NONCE_TEXT];
    struct sip_nonce back;
    sip_nonce_write(&key, &sample, text);
    for (size_t i = 0; i < sizeof(text); i++)
        assert_non_null(memchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
                               text[i], 64));
    assert_int_equal(sip_nonce_read(&key, hd_slice(text, sizeof(text)), &back), HD_OK);
    assert_true(back.id == sample.id);
    assert_int_equal(back.issued_s, sample.issued_s);
    assert_int_equal(back.source, sample.source);
    assert_int_equal(back.epoch, sample.epoch);
}

static void
a_nonce_with_any_character_changed_is_not_ours(void **state)
{
    (void)state;
    char text[SIP_NONCE_TEXT + 1];
    struct sip_nonce back;
    sip_nonce_write(&key, &sample, text);
    for (size_t i = 0; i < SIP_NONCE_TEXT; i++) {
        const char was = text[i];
        text[i] = was == 'A' ? 'B' : 'A';
        assert_int_equal(sip_nonce_read(&key, hd_slice(text, SIP_NONCE_TEXT), &back), HD_ENOMATCH);
        text[i] = '=';
        assert_int_equal(sip_nonce_read(&key, hd_slice(text, SIP_NONCE_TEXT), &back), HD_ENOMATCH);
        text[i] = was;
    }
    assert_int_equal(sip_nonce_read(&key, hd_slice(text, SIP_NONCE_TEXT - 1), &back), HD_ENOMATCH);
    text[SIP_NONCE_TEXT] = 'A';
    assert_int_equal(sip_nonce_read(&key, hd_slice(text, SIP_NONCE_TEXT + 1), &back), HD_ENOMATCH);
    assert_int_equal(sip_nonce_read(&key, HD_LIT(""), &back), HD_ENOMATCH);
}

static void
a_nonce_of_another_key_is_not_ours(void **state)
{
    (void)state;
    const struct hd_hash_key other = { 1, 3 };
    char text[SIP_NONCE_TEXT];
    struct sip_nonce back;
    sip_nonce_write(&other, &sample, text);
    assert_int_equal(sip_nonce_read(&key, hd_slice(text, sizeof(text)), &back), HD_ENOMATCH);
}

static void
a_count_is_taken_once_in_any_order_within_the_window(void **state)
{
    (void)state;
    static const struct {
        uint32_t nc;
        bool taken;
    } row[] = {
        { 0, false },
        { 1, true },
        { 1, false },
        { 3, true },
        { 2, true },
        { 2, false },
        { 65, true },
        { 1, false },
        { 2, false },
        { 3, false },
        { 4, true },
        { 66, true },
        { 3, false },
        { 4, false },
        { 5, true },
        { 64, true },
        { 200, true },
        { 66, false },
        { 137, true },
        { 136, false },
        { UINT32_MAX, true },
        { 0, false },
        { 200, false },
        { UINT32_MAX, false },
        { UINT32_MAX - 63, true },
    };
    struct sip_nc_window window = { 0 };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        if (sip_nc_take(&window, row[i].nc) != row[i].taken)
            fail_msg("row %zu: count %u", i, row[i].nc);
}

static void
a_first_count_may_be_any(void **state)
{
    (void)state;
    struct sip_nc_window window = { 0 };
    assert_true(sip_nc_take(&window, 64));
    assert_true(sip_nc_take(&window, 1));
    assert_false(sip_nc_take(&window, 1));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_rfc_7616_verifies_with_md5),
        cmocka_unit_test(the_example_of_rfc_7616_verifies_with_sha_256),
        cmocka_unit_test(the_example_of_rfc_2617_verifies),
        cmocka_unit_test(another_method_password_or_user_does_not_verify),
        cmocka_unit_test(a_wrong_last_digit_does_not_verify),
        cmocka_unit_test(upper_case_digits_in_the_response_verify),
        cmocka_unit_test(a_client_without_qop_verifies),
        cmocka_unit_test(escapes_in_user_name_and_nonce_are_undone_before_they_are_hashed),
        cmocka_unit_test(text_inside_quotes_is_compared_with_its_escapes_undone),
        cmocka_unit_test(all_parameters_are_read_in_any_order_and_spelling),
        cmocka_unit_test(malformed_credentials_are_refused),
        cmocka_unit_test(incomplete_credentials_never_verify),
        cmocka_unit_test(algorithms_are_found_in_any_case),
        cmocka_unit_test(a_challenge_is_one_line_that_reads_back),
        cmocka_unit_test(only_who_may_know_of_a_charset_is_told_one),
        cmocka_unit_test(a_challenge_that_does_not_fit_marks_the_writer),
        cmocka_unit_test(what_a_client_answers_verifies),
        cmocka_unit_test(a_client_does_not_answer_an_algorithm_that_is_not_ours),
        cmocka_unit_test(a_nonce_reads_back_whole),
        cmocka_unit_test(a_nonce_with_any_character_changed_is_not_ours),
        cmocka_unit_test(a_nonce_of_another_key_is_not_ours),
        cmocka_unit_test(a_count_is_taken_once_in_any_order_within_the_window),
        cmocka_unit_test(a_first_count_may_be_any),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
