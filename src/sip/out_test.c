#include "sip_test.h"

static void
numbers_are_written_in_decimal(void **state)
{
    (void)state;
    static const struct {
        uint64_t in;
        const char *out;
    } row[] = {
        { 0, "0" },
        { 9, "9" },
        { 10, "10" },
        { 4294967295, "4294967295" },
        { UINT64_MAX, "18446744073709551615" },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        char buffer[32];
        struct sip_out out;
        sip_out_init(&out, buffer, sizeof(buffer));
        sip_out_u64(&out, row[i].in);
        assert_slice(hd_slice(buffer, out.n), row[i].out);
    }
}

static void
a_write_that_does_not_fit_is_remembered_and_nothing_follows(void **state)
{
    (void)state;
    char buffer[8] = "........";
    struct sip_out out;
    size_t n = 99;
    sip_out_init(&out, buffer, 5);
    sip_out_lit(&out, "abc");
    sip_out_lit(&out, "def");
    sip_out_lit(&out, "g");
    assert_true(out.full);
    assert_int_equal(sip_out_finish(&out, &n), HD_ENOSPC);
    assert_int_equal(n, 99);
    assert_memory_equal(buffer, "abc.....", 8);
}

static void
a_buffer_can_be_filled_to_the_last_octet(void **state)
{
    (void)state;
    char buffer[5];
    struct sip_out out;
    size_t n;
    sip_out_init(&out, buffer, sizeof(buffer));
    sip_out_lit(&out, "a");
    sip_out_hex(&out, (const uint8_t *)"\x0f\xa0", 2);
    assert_int_equal(sip_out_finish(&out, &n), HD_OK);
    assert_slice(hd_slice(buffer, n), "a0fa0");
    sip_out_hex(&out, (const uint8_t *)"", 1);
    assert_int_equal(sip_out_finish(&out, &n), HD_ENOSPC);
}

static void
folds_become_one_blank(void **state)
{
    (void)state;
    static const struct {
        struct hd_slice in;
        const char *out;
    } row[] = {
        { L(""), "" },
        { L("a  b"), "a  b" },
        { L("a\r\n b"), "a b" },
        { L("a \t\r\n \t b"), "a b" },
        { L("a\r\n \r\n b"), "a b" },
        { L("a\rb\nc"), "a b c" },
        { L("\r\n a"), " a" },
        { L("a\r\n "), "a " },
        { L("x\r\nInjected: y\r\n\r\n"), "x Injected: y " },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        char buffer[64];
        struct sip_out out;
        sip_out_init(&out, buffer, sizeof(buffer));
        sip_out_unfolded(&out, row[i].in);
        assert_slice(hd_slice(buffer, out.n), row[i].out);
    }
}

static void
headers_and_addresses_are_written_as_they_stand_on_the_wire(void **state)
{
    (void)state;
    char buffer[128];
    struct sip_out out;
    struct hd_addr v4, v6;
    assert_int_equal(hd_addr_parse(HD_LIT("192.0.2.1"), 5060, &v4), HD_OK);
    assert_int_equal(hd_addr_parse(HD_LIT("2001:db8::1"), 5061, &v6), HD_OK);
    sip_out_init(&out, buffer, sizeof(buffer));
    sip_out_header(&out, HD_LIT("Event"), HD_LIT("presence"));
    sip_out_header_u32(&out, HD_LIT("Expires"), 3600);
    sip_out_addr(&out, &v4);
    sip_out_char(&out, ' ');
    sip_out_host(&out, &v4);
    sip_out_char(&out, ' ');
    sip_out_addr(&out, &v6);
    sip_out_char(&out, ' ');
    sip_out_host(&out, &v6);
    assert_slice(hd_slice(buffer, out.n),
                 "Event: presence\r\nExpires: 3600\r\n192.0.2.1:5060 192.0.2.1 "
                 "[2001:db8::1]:5061 [2001:db8::1]");
}

static void
a_date_is_written_as_rfc_1123_has_it(void **state)
{
    static const struct {
        uint64_t seconds;
        const char *text;
    } row[] = {
        { 0, "Thu, 01 Jan 1970 00:00:00 GMT" },
        { 68255999, "Tue, 29 Feb 1972 23:59:59 GMT" },
        { 951782400, "Tue, 29 Feb 2000 00:00:00 GMT" },
        { 1289690940, "Sat, 13 Nov 2010 23:29:00 GMT" }, /* RFC 3261 section 20.17 */
        { 1798761599, "Thu, 31 Dec 2026 23:59:59 GMT" },
        { 1798761600, "Fri, 01 Jan 2027 00:00:00 GMT" },
        { 4107542400, "Mon, 01 Mar 2100 00:00:00 GMT" }, /* no leap year */
        { 4294967296, "Sun, 07 Feb 2106 06:28:16 GMT" },
        { 253402300799, "Fri, 31 Dec 9999 23:59:59 GMT" },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct sip_out out;
        char text[64];
        sip_out_init(&out, text, sizeof(text));
        sip_out_date(&out, row[i].seconds);
        assert_slice(hd_slice(text, out.n), row[i].text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_written_in_decimal),
        cmocka_unit_test(a_write_that_does_not_fit_is_remembered_and_nothing_follows),
        cmocka_unit_test(a_buffer_can_be_filled_to_the_last_octet),
        cmocka_unit_test(folds_become_one_blank),
        cmocka_unit_test(a_date_is_written_as_rfc_1123_has_it),
        cmocka_unit_test(headers_and_addresses_are_written_as_they_stand_on_the_wire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
