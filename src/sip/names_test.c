#include "sip_test.h"

static void
every_header_name_finds_its_id_in_any_case(void **state)
{
    (void)state;
    for (unsigned i = SIP_HDR_OTHER + 1; i < SIP_HDR_COUNT; i++) {
        const struct hd_slice name = sip_hdr_name((enum sip_hdr)i);
        char upper[64], lower[64];
        assert_true(name.n > 1 && name.n < sizeof(upper));
        for (size_t k = 0; k < name.n; k++) {
            const char c = name.p[k];
            upper[k] = (char)(c >= 'a' && c <= 'z' ? c - 32 : c);
            lower[k] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
        }
        assert_int_equal(sip_hdr_find(name), i);
        assert_int_equal(sip_hdr_find(hd_slice(upper, name.n)), i);
        assert_int_equal(sip_hdr_find(hd_slice(lower, name.n)), i);
    }
}

static void
a_name_that_differs_in_one_octet_is_another_header(void **state)
{
    (void)state;
    for (unsigned i = SIP_HDR_OTHER + 1; i < SIP_HDR_COUNT; i++) {
        const struct hd_slice name = sip_hdr_name((enum sip_hdr)i);
        char other[64];
        memcpy(other, name.p, name.n);
        for (size_t k = 0; k < name.n; k++) {
            other[k] = '_';
            assert_int_equal(sip_hdr_find(hd_slice(other, name.n)), SIP_HDR_OTHER);
            other[k] = name.p[k];
        }
        other[name.n] = 'x';
        assert_int_equal(sip_hdr_find(hd_slice(other, name.n + 1)), SIP_HDR_OTHER);
    }
}

static void
compact_names_find_the_same_ids(void **state)
{
    (void)state;
    static const struct {
        char letter;
        enum sip_hdr id;
    } row[] = {
        { 'c', SIP_HDR_CONTENT_TYPE }, { 'e', SIP_HDR_CONTENT_ENCODING },
        { 'f', SIP_HDR_FROM },         { 'i', SIP_HDR_CALL_ID },
        { 'k', SIP_HDR_SUPPORTED },    { 'l', SIP_HDR_CONTENT_LENGTH },
        { 'm', SIP_HDR_CONTACT },      { 'o', SIP_HDR_EVENT },
        { 't', SIP_HDR_TO },           { 'u', SIP_HDR_ALLOW_EVENTS },
        { 'v', SIP_HDR_VIA },          { 's', SIP_HDR_OTHER },
        { 'r', SIP_HDR_OTHER },        { '1', SIP_HDR_OTHER },
        { '[', SIP_HDR_OTHER },        { '`', SIP_HDR_OTHER },
        { '\xff', SIP_HDR_OTHER },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        assert_int_equal(sip_hdr_find(hd_slice(&row[i].letter, 1)), row[i].id);
        if (row[i].id) {
            const char upper = (char)(row[i].letter - 32);
            assert_int_equal(sip_hdr_find(hd_slice(&upper, 1)), row[i].id);
        }
    }
    assert_int_equal(sip_hdr_find(hd_slice(NULL, 0)), SIP_HDR_OTHER);
}

static void
methods_are_found_by_their_exact_name(void **state)
{
    (void)state;
    for (unsigned i = SIP_METHOD_UNKNOWN + 1; i < SIP_METHOD_COUNT; i++)
        assert_int_equal(sip_method_find(sip_method_name((enum sip_method)i)), i);
    static const struct hd_slice other[] = { L(""),     L("AC"),         L("subscribe"),
                                             L("ACKX"), L("SUBSCRIBED"), L("Notify") };
    for (size_t i = 0; i < HD_ARRAY_LEN(other); i++)
        assert_int_equal(sip_method_find(other[i]), SIP_METHOD_UNKNOWN);
}

static void
status_codes_have_their_registered_phrases(void **state)
{
    (void)state;
    assert_slice(sip_status_phrase(100), "Trying");
    assert_slice(sip_status_phrase(200), "OK");
    assert_slice(sip_status_phrase(412), "Conditional Request Failed");
    assert_slice(sip_status_phrase(423), "Interval Too Brief");
    assert_slice(sip_status_phrase(481), "Call/Transaction Does Not Exist");
    assert_slice(sip_status_phrase(489), "Bad Event");
    assert_slice(sip_status_phrase(606), "Not Acceptable");
    assert_slice(sip_status_phrase(299), "");
    assert_slice(sip_status_phrase(0), "");
    assert_slice(sip_status_phrase(700), "");
    unsigned named = 0;
    for (unsigned status = 100; status < 700; status++)
        named += sip_status_phrase(status).n > 0;
    assert_int_equal(named, 71); /* as many as the table has rows: each is reached */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_header_name_finds_its_id_in_any_case),
        cmocka_unit_test(a_name_that_differs_in_one_octet_is_another_header),
        cmocka_unit_test(compact_names_find_the_same_ids),
        cmocka_unit_test(methods_are_found_by_their_exact_name),
        cmocka_unit_test(status_codes_have_their_registered_phrases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
