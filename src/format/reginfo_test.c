/* reginfo_test.c - registrations as documents: written, refused, composed, and what changed. */
#include "format/reginfo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "format/xml_read.h"

#define AOR "sip:bob@example.test"
#define HEAD "<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"0\" state=\"full\">"
#define REG "<registration aor=\"" AOR "\" id=\"a\" state=\"active\">"
#define CONTACT(id, at)                                                                            \
    "<contact id=\"" id "\" state=\"active\" event=\"registered\"><uri>" at "</uri></contact>"
#define TAIL "</registration></reginfo>"

static enum hd_err
validate(const char *text)
{
    const char *reason = NULL;
    char *copy = malloc(strlen(text) + 1);
    enum hd_err err;

    assert_non_null(copy);
    memcpy(copy, text, strlen(text));
    err = fmt_reginfo_validate(hd_slice(copy, strlen(text)), 100000, &reason);
    free(copy);
    assert_true(!err || reason);
    return err;
}

static bool
has(const struct hd_str *text, const char *part)
{
    return strstr(hd_str_text(text), part) != NULL;
}

static void
write_one(struct hd_str *out, enum fmt_reginfo_state state, const struct fmt_reginfo_contact *c)
{
    fmt_reginfo_begin(out, HD_LIT(AOR), state);
    if (c)
        fmt_reginfo_add(out, c);
    fmt_reginfo_end(out);
    assert_int_equal(out->err, HD_OK);
}

static void
what_is_written_is_valid_whatever_a_phone_said(void **state)
{
    static const char hostile[] = "<&\">\x01\xff;=\"\\\"";
    const struct hd_slice bad = hd_slice(hostile, sizeof(hostile) - 1);
    const struct fmt_reginfo_contact contact = { .id = 7,
                                                 .event = HD_LIT("registered"),
                                                 .uri = bad,
                                                 .call_id = bad,
                                                 .params = HD_LIT(";a=\"<;\\\"\xff>\";b;c=d"),
                                                 .pub_gruu = bad,
                                                 .temp_gruu = bad,
                                                 .q = 50 };
    struct hd_str out = { 0 };

    (void)state;
    write_one(&out, FMT_REGINFO_ACTIVE, &contact);
    assert_int_equal(validate(hd_str_text(&out)), HD_OK);
    assert_true(has(&out, "q=\"0.050\""));
    assert_true(has(&out, "name=\"a\">&quot;&lt;;\\&quot;?&gt;&quot;<"));
    assert_true(has(&out, "name=\"b\"><"));
    assert_true(has(&out, "name=\"c\">d<"));
    assert_true(fmt_reginfo_is_for(hd_str_slice(&out), HD_LIT(AOR)));
    assert_false(fmt_reginfo_is_for(hd_str_slice(&out), HD_LIT("sip:alice@example.test")));
    hd_str_done(&out);
}

static void
what_is_no_registration_is_refused(void **state)
{
    static const struct {
        const char *text;
        enum hd_err err;
    } row[] = {
        { HEAD REG CONTACT("1", "sip:a") TAIL, HD_OK },
        { HEAD "</reginfo>", HD_OK },
        { HEAD "<x xmlns=\"urn:x\"/></reginfo>", HD_OK },
        { "<reginfo version=\"0\" state=\"full\"/>", HD_ESYNTAX },
        { "<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" state=\"full\"/>", HD_ESYNTAX },
        { "<reginfo xmlns=\"urn:ietf:params:xml:ns:reginfo\" version=\"0\" state=\"partial\"/>",
          HD_ESYNTAX },
        { HEAD "<registration id=\"a\" state=\"active\"/></reginfo>", HD_ESYNTAX },
        { HEAD "<registration aor=\"x\" state=\"active\"/></reginfo>", HD_ESYNTAX },
        { HEAD "<registration aor=\"x\" id=\"a\" state=\"on\"/></reginfo>", HD_ESYNTAX },
        { HEAD "<registration xmlns:y=\"urn:y\" aor=\"x\" id=\"a\" state=\"init\"/></reginfo>",
          HD_ESYNTAX },
        { HEAD REG CONTACT("1", "sip:a") CONTACT("1", "sip:b") TAIL, HD_ESYNTAX },
        { HEAD REG "<contact id=\"1\" state=\"active\" event=\"registered\"/>" TAIL, HD_ESYNTAX },
        { HEAD REG
          "<contact id=\"1\" state=\"active\" event=\"expired\"><uri>a</uri></contact>" TAIL,
          HD_ESYNTAX },
        { HEAD REG "<contact id=\"1\" state=\"init\" event=\"expired\"><uri>a</uri></contact>" TAIL,
          HD_ESYNTAX },
        { HEAD REG
          "<contact id=\"1\" state=\"terminated\" event=\"rejected\"><uri>a</uri></contact>" TAIL,
          HD_OK },
        { HEAD REG "<contact state=\"active\" event=\"created\"><uri>a</uri></contact>" TAIL,
          HD_ESYNTAX },
        { HEAD REG, HD_ESYNTAX },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        assert_int_equal(validate(row[i].text), row[i].err);
}

/* RFC 3680 section 5.3.2: each event leads to one state, and to no other. */
static void
each_event_fits_its_state_alone(void **state)
{
    static const struct {
        const char *event;
        bool active;
    } row[] = { { "registered", true }, { "created", true },   { "refreshed", true },
                { "shortened", true },  { "expired", false },  { "deactivated", false },
                { "probation", false }, { "rejected", false }, { "unregistered", false } };
    char text[1024];

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        for (int active = 0; active < 2; active++) {
            (void)snprintf(text, sizeof(text),
                           HEAD REG "<contact id=\"1\" state=\"%s\" event=\"%s\"><uri>sip:a</uri>"
                                    "</contact>" TAIL,
                           active ? "active" : "terminated", row[i].event);
            if ((validate(text) == HD_OK) != (row[i].active == (active == 1)))
                fail_msg("%s", text);
        }
    }
}

static void
registrations_of_one_address_become_one(void **state)
{
    const struct fmt_reginfo_part parts[] = {
        { HD_LIT(HEAD "<registration aor=\"" AOR "\" id=\"b\" state=\"terminated\">"
                      "<contact id=\"1\" state=\"terminated\" event=\"expired\">"
                      "<uri>sip:two</uri></contact>" TAIL),
          2 },
        { HD_LIT("not a document"), 3 },
        { HD_LIT("<r:reginfo xmlns:r=\"urn:ietf:params:xml:ns:reginfo\" xmlns:x=\"urn:x\" "
                 "version=\"9\" state=\"full\"><r:registration aor=\"" AOR
                 "\" id=\"a\" state=\"active\"><r:contact id=\"1\" state=\"active\" "
                 "event=\"created\"><r:uri>sip:one</r:uri><x:more/></r:contact></r:registration>"
                 "<r:registration aor=\"sip:other@example.test\" id=\"z\" state=\"active\">"
                 "<r:contact id=\"2\" state=\"active\" event=\"created\"><r:uri>sip:three</r:uri>"
                 "</r:contact></r:registration></r:reginfo>"),
          1 },
    };
    struct hd_str out = { 0 }, again = { 0 };

    (void)state;
    assert_int_equal(fmt_reginfo_compose(HD_LIT(AOR), parts, 3, 10000, &out), HD_OK);
    assert_int_equal(validate(hd_str_text(&out)), HD_OK);
    assert_true(has(&out, "state=\"active\">\n"));
    assert_true(has(&out, "id=\"1-00000002\""));
    assert_true(strstr(hd_str_text(&out), "sip:one") < strstr(hd_str_text(&out), "sip:two"));
    assert_false(has(&out, "sip:three"));
    assert_true(fmt_reginfo_is_for(hd_str_slice(&out), HD_LIT(AOR)));
    /* whoever comes first in the list, the octets are the same */
    const struct fmt_reginfo_part turned[] = { parts[2], parts[0] };
    assert_int_equal(fmt_reginfo_compose(HD_LIT(AOR), turned, 2, 10000, &again), HD_OK);
    assert_string_equal(hd_str_text(&out), hd_str_text(&again));
    hd_str_done(&out);
    hd_str_done(&again);
    assert_int_equal(fmt_reginfo_compose(HD_LIT(AOR), &parts[1], 1, 10000, &out), HD_ESYNTAX);
    hd_str_done(&out);
}

static void
what_changed_is_told_alone(void **state)
{
    struct fmt_reginfo_contact
        one = { .id = 1, .event = HD_LIT("registered"), .uri = HD_LIT("sip:one"), .q = 1000 },
        two = { .id = 2, .event = HD_LIT("registered"), .uri = HD_LIT("sip:two"), .q = 1000 };
    struct hd_str before = { 0 }, after = { 0 }, out = { 0 };

    (void)state;
    fmt_reginfo_begin(&before, HD_LIT(AOR), FMT_REGINFO_ACTIVE);
    fmt_reginfo_add(&before, &one);
    fmt_reginfo_add(&before, &two);
    fmt_reginfo_end(&before);
    two.over = true;
    two.event = HD_LIT("expired");
    fmt_reginfo_begin(&after, HD_LIT(AOR), FMT_REGINFO_ACTIVE);
    fmt_reginfo_add(&after, &one);
    fmt_reginfo_add(&after, &two);
    fmt_reginfo_end(&after);
    assert_int_equal(fmt_reginfo_partial(hd_str_slice(&before), hd_str_slice(&after), &out), HD_OK);
    assert_true(has(&out, "state=\"partial\""));
    assert_true(has(&out, "event=\"expired\""));
    assert_false(has(&out, "sip:one"));
    hd_str_done(&out);
    hd_str_done(&after);
    /* one that is gone without a word cannot be told so */
    write_one(&after, FMT_REGINFO_ACTIVE, &one);
    assert_int_equal(fmt_reginfo_partial(hd_str_slice(&before), hd_str_slice(&after), &out),
                     HD_ENOTSUP);
    hd_str_done(&out);
    hd_str_done(&after);
    /* and a registration in another state is told whole */
    write_one(&after, FMT_REGINFO_TERMINATED, NULL);
    assert_int_equal(fmt_reginfo_partial(hd_str_slice(&before), hd_str_slice(&after), &out),
                     HD_ENOTSUP);
    hd_str_done(&out);
    hd_str_done(&after);
    hd_str_done(&before);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_valid_whatever_a_phone_said),
        cmocka_unit_test(what_is_no_registration_is_refused),
        cmocka_unit_test(each_event_fits_its_state_alone),
        cmocka_unit_test(registrations_of_one_address_become_one),
        cmocka_unit_test(what_changed_is_told_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
