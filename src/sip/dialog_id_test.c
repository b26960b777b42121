/* dialog_id_test.c - which dialog an Event header names (RFC 4235 section 3.2). */
#include "sip/dialog_id.h"

#include "sip/sip_test.h"

static char memory[SIP_MAX_TOKEN];

static enum hd_err
read_id(const char *params, struct sip_dialog_id *ret_id)
{
    *ret_id = (struct sip_dialog_id){ 0 };
    return sip_dialog_id_parse(hd_slice_str(params), memory, ret_id);
}

static void
a_dialog_is_named_by_three_parameters_and_an_invite_by_two(void **state)
{
    static const struct {
        const char *in, *call_id, *to_tag, *from_tag;
    } row[] = {
        { ";call-id=a84b4c76e66710;to-tag=8321234356;from-tag=1928301774", "a84b4c76e66710",
          "8321234356", "1928301774" },
        { ";from-tag=f;id=7;to-tag=t;x;Call-ID=c", "c", "t", "f" },
        { ";call-id=\"12345600@atlanta.example.com\";to-tag=t", "12345600@atlanta.example.com", "t",
          NULL },
        { " ; call-id = \"c[1]:2\" ; to-tag = t ", "c[1]:2", "t", NULL },
        { ";call-id=a@b;to-tag=t", "a@b", "t", NULL }, /* quotes are missing */
        { ";call-id=\"a\\\"b\\\"@c\\\\d\";to-tag=t", "a\"b\"@c\\d", "t", NULL },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct sip_dialog_id id;
        assert_int_equal(read_id(row[i].in, &id), HD_OK);
        assert_slice(id.call_id, row[i].call_id);
        assert_slice(id.to_tag, row[i].to_tag);
        assert_true((id.from_tag.p == NULL) == (row[i].from_tag == NULL));
        if (row[i].from_tag)
            assert_slice(id.from_tag, row[i].from_tag);
    }
}

static void
without_them_no_dialog_is_named(void **state)
{
    static const char *const row[] = { "", ";id=7", ";include-session-description", ";max-rate=1",
                                       ";x-call-id=c;totag=t" };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct sip_dialog_id id;
        assert_int_equal(read_id(row[i], &id), HD_ENOMATCH);
        assert_null(id.call_id.p);
    }
}

static void
half_a_name_and_a_malformed_one_are_refused(void **state)
{
    static const char *const row[] = {
        ";call-id=c",
        ";to-tag=t",
        ";from-tag=f",
        ";call-id=c;from-tag=f",
        ";to-tag=t;from-tag=f",
        ";call-id;to-tag=t",
        ";call-id=;to-tag=t",
        ";call-id=\"\";to-tag=t",
        ";call-id=\"a b\";to-tag=t",
        ";call-id=\"a&amp;b\";to-tag=t",
        ";call-id=\"a;to-tag=t",
        ";call-id=c;to-tag=\"t\"",
        ";call-id=c;to-tag",
        ";call-id=c;to-tag=t;from-tag",
        ";call-id=c;to-tag=t;from-tag=a@b",
        ";call-id=c;to-tag=t;to-tag=t",
        ";call-id=c;call-id=c;to-tag=t",
        ";call-id=c;to-tag=t;;",
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct sip_dialog_id id;
        if (read_id(row[i], &id) != HD_ESYNTAX)
            fail_msg("taken: %s", row[i]);
    }
}

static void
a_call_id_has_255_octets_and_no_more(void **state)
{
    char text[64 + SIP_MAX_TOKEN + 1];
    struct sip_dialog_id id;

    (void)state;
    for (unsigned more = 0; more <= 1; more++) {
        char digits[SIP_MAX_TOKEN + 2];
        memset(digits, '7', sizeof(digits));
        digits[SIP_MAX_TOKEN + more] = '\0';
        (void)snprintf(text, sizeof(text), ";call-id=\"%s\";to-tag=t", digits);
        assert_int_equal(read_id(text, &id), more ? HD_ESYNTAX : HD_OK);
        (void)snprintf(text, sizeof(text), ";call-id=c;to-tag=%s", digits);
        assert_int_equal(read_id(text, &id), more ? HD_ESYNTAX : HD_OK);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dialog_is_named_by_three_parameters_and_an_invite_by_two),
        cmocka_unit_test(without_them_no_dialog_is_named),
        cmocka_unit_test(half_a_name_and_a_malformed_one_are_refused),
        cmocka_unit_test(a_call_id_has_255_octets_and_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
