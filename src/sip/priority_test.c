/* priority_test.c - Resource-Priority is read as RFC 4412 section 3 and RFC 7135 have it. */
#include "sip/priority.h"

#include "sip/sip_test.h"

static enum hd_err
read_fields(const char *fields, enum sip_hdr id, uint32_t *ret_values)
{
    static struct parsed p;
    char text[4096];

    (void)snprintf(text, sizeof(text), START("PUBLISH") COMMON("PUBLISH") "%s\r\n", fields);
    parse_good(&p, text);
    return sip_priorities_read(&p.msg, id, ret_values);
}

static uint32_t
set(const char *value)
{
    const uint8_t number = sip_priority_find(hd_slice_str(value));

    assert_int_not_equal(number, SIP_PRIORITY_NONE);
    return UINT32_C(1) << number;
}

static void
each_registered_value_has_a_number_of_its_own(void **state)
{
    (void)state;
    for (unsigned i = 1; i < SIP_PRIORITY_COUNT; i++) {
        assert_true(sip_priority_is_value(sip_priority_text(i)));
        assert_int_equal(sip_priority_find(sip_priority_text(i)), i);
    }
    assert_int_equal(sip_priority_text(SIP_PRIORITY_NONE).n, 0);
    assert_int_equal(sip_priority_text(SIP_PRIORITY_COUNT).n, 0);
    assert_int_equal(sip_priority_find(hd_slice_str("")), SIP_PRIORITY_NONE);
    assert_int_equal(sip_priority_find(hd_slice_str("esnet.5")), SIP_PRIORITY_NONE);
    assert_int_equal(sip_priority_find(hd_slice_str("DSN.Flash")),
                     sip_priority_find(hd_slice_str("dsn.flash")));
}

/* The order of RFC 4412 section 12.6 and RFC 7135 section 4.2, from the least to the greatest. */
static void
within_a_namespace_the_numbers_grow_as_it_is_registered(void **state)
{
    static const char *const row[][6] = {
        { "dsn.routine", "dsn.priority", "dsn.immediate", "dsn.flash", "dsn.flash-override" },
        { "drsn.routine", "drsn.priority", "drsn.immediate", "drsn.flash", "drsn.flash-override",
          "drsn.flash-override-override" },
        { "q735.4", "q735.3", "q735.2", "q735.1", "q735.0" },
        { "ets.4", "ets.3", "ets.2", "ets.1", "ets.0" },
        { "wps.4", "wps.3", "wps.2", "wps.1", "wps.0" },
        { "esnet.0", "esnet.1", "esnet.2", "esnet.3", "esnet.4" },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        uint32_t values = 0;
        for (size_t k = 0; k < 6 && row[i][k]; k++) {
            if (k > 0)
                assert_true(set(row[i][k]) > set(row[i][k - 1]));
            values |= set(row[i][k]);
            assert_true(sip_priority_highest(values) == sip_priority_find(hd_slice_str(row[i][k])));
        }
        const struct hd_slice first = hd_slice_str(row[i][0]);
        assert_int_equal(sip_priority_namespace(hd_slice(first.p, hd_slice_find(first, '.'))),
                         values);
    }
    assert_int_equal(sip_priority_namespace(hd_slice_str("emergency")), 0);
    assert_int_equal(sip_priority_namespace(hd_slice_str("")), 0);
    assert_int_equal(sip_priority_highest(0), SIP_PRIORITY_NONE);
}

static void
fields_are_read_together_and_what_is_not_registered_is_left_out(void **state)
{
    uint32_t values = 0;

    (void)state;
    assert_int_equal(read_fields("", SIP_HDR_RESOURCE_PRIORITY, &values), HD_ENOMATCH);
    assert_int_equal(
        read_fields("Resource-Priority: esnet.1\r\n", SIP_HDR_RESOURCE_PRIORITY, &values), HD_OK);
    assert_int_equal(values, set("esnet.1"));
    assert_int_equal(read_fields("Resource-Priority: WPS.3 ,\r\n DSN.flash\r\n",
                                 SIP_HDR_RESOURCE_PRIORITY, &values),
                     HD_OK);
    assert_int_equal(values, set("wps.3") | set("dsn.flash"));
    assert_int_equal(read_fields("Resource-Priority: wps.3\r\nresource-priority: dsn.flash\r\n",
                                 SIP_HDR_RESOURCE_PRIORITY, &values),
                     HD_OK);
    assert_int_equal(values, set("wps.3") | set("dsn.flash"));
    assert_int_equal(read_fields("Resource-Priority: foo.1, foo.2, esnet.9\r\n",
                                 SIP_HDR_RESOURCE_PRIORITY, &values),
                     HD_OK);
    assert_int_equal(values, 0);
    assert_int_equal(
        read_fields("Accept-Resource-Priority:\r\n", SIP_HDR_ACCEPT_RESOURCE_PRIORITY, &values),
        HD_OK);
    assert_int_equal(values, 0);
}

static void
what_is_no_value_is_refused(void **state)
{
    static const char *const row[] = {
        "",
        ",",
        "esnet",
        "esnet.",
        ".1",
        ".",
        "esnet.1.2",
        "esnet 1",
        "esnet.1;q=1",
        "\"esnet.1\"",
        "esnet .1",
        "<esnet.1>",
        "esnet.1, ets",
        "esnet.1, esnet.2",
        "esnet.1, ESNET.1",
        "esnet.9, esnet.1",
    };
    char fields[512];
    uint32_t values = 7;

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        (void)snprintf(fields, sizeof(fields), "Resource-Priority: %s\r\n", row[i]);
        if (read_fields(fields, SIP_HDR_RESOURCE_PRIORITY, &values) != HD_ESYNTAX)
            fail_msg("taken: %s", row[i]);
    }
    assert_int_equal(values, 7);
}

static void
a_message_has_no_more_values_than_can_be_told(void **state)
{
    char fields[2048] = "Resource-Priority: esnet.1";
    uint32_t values = 0;

    (void)state;
    for (unsigned i = 1; i <= SIP_PRIORITIES_MOST; i++) {
        const size_t n = strlen(fields);
        if (i == SIP_PRIORITIES_MOST) {
            (void)snprintf(fields + n, sizeof(fields) - n, "\r\n");
            assert_int_equal(read_fields(fields, SIP_HDR_RESOURCE_PRIORITY, &values), HD_OK);
            assert_int_equal(values, set("esnet.1"));
        }
        (void)snprintf(fields + n, sizeof(fields) - n, ", n%u.1", i);
    }
    (void)snprintf(fields + strlen(fields), sizeof(fields) - strlen(fields), "\r\n");
    assert_int_equal(read_fields(fields, SIP_HDR_RESOURCE_PRIORITY, &values), HD_ERANGE);
}

static void
a_set_is_written_as_a_list(void **state)
{
    char text[1024];
    struct sip_out out;
    size_t n = 0;

    (void)state;
    sip_out_init(&out, text, sizeof(text));
    sip_out_priorities(&out, set("esnet.4") | set("ets.0") | set("esnet.0"));
    assert_int_equal(sip_out_finish(&out, &n), HD_OK);
    assert_slice(hd_slice(text, n), "ets.0, esnet.0, esnet.4");
    sip_out_init(&out, text, sizeof(text));
    sip_out_priorities(&out, 0);
    assert_int_equal(sip_out_finish(&out, &n), HD_OK);
    assert_int_equal(n, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_registered_value_has_a_number_of_its_own),
        cmocka_unit_test(within_a_namespace_the_numbers_grow_as_it_is_registered),
        cmocka_unit_test(fields_are_read_together_and_what_is_not_registered_is_left_out),
        cmocka_unit_test(what_is_no_value_is_refused),
        cmocka_unit_test(a_message_has_no_more_values_than_can_be_told),
        cmocka_unit_test(a_set_is_written_as_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
