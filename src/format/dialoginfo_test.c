#include "format/dialoginfo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "format/xml_read.h"

#define MAX 65536
#define ENTITY HD_LIT("sip:alice@example.test")
#define NS "urn:ietf:params:xml:ns:dialog-info"
#define ROOT                                                                                       \
    "<dialog-info xmlns=\"" NS "\" version=\"0\" state=\"full\" "                                  \
    "entity=\"sip:alice@example.test\">"
#define DIALOG(id, state) "<dialog id=\"" id "\"><state>" state "</state></dialog>"
#define END "</dialog-info>"

/* As a proxy's dialog module publishes a call: the Call-ID is the id. */
static const char proxy[] =
    "<?xml version=\"1.0\"?>\n"
    "<dialog-info xmlns=\"" NS
    "\" version=\"0\" state=\"full\" entity=\"sip:alice@example.test\">\n"
    "  <dialog id=\"8f2a-1@192.0.2.7\" call-id=\"8f2a-1@192.0.2.7\" local-tag=\"t1\" "
    "remote-tag=\"t2\""
    " direction=\"initiator\">\n"
    "    <state>confirmed</state>\n"
    "    <remote><identity display=\"Bob &amp; Co\">sip:bob@example.test</identity>"
    "<target uri=\"sip:bob@example.test\"/></remote>\n"
    "    <local><identity>sip:alice@example.test</identity>"
    "<target uri=\"sip:alice@192.0.2.7\"/></local>\n"
    "  </dialog>\n"
    "</dialog-info>\n";
/* A phone with prefixes for everything, two calls, and an element that we do not know. */
static const char phone[] =
    "<?xml version='1.0' encoding='UTF-8'?>\r\n"
    "<d:dialog-info xmlns:d='" NS "' xmlns:x='urn:x-phone' xml:lang='de'"
    " version='17' state='full' entity='sip:alice@example.test'>\r\n"
    "  <d:dialog id='1' x:line='2'><d:state>early</d:state></d:dialog>\r\n"
    "  <d:dialog id='2'><d:state event='rejected' code='486'>terminated</d:state></d:dialog>\r\n"
    "  <x:dnd type='x:soft'>on</x:dnd>\r\n"
    "</d:dialog-info>\r\n";

static enum hd_err
validate(struct hd_slice body)
{
    const char *reason = NULL;
    const enum hd_err err = fmt_dialoginfo_validate(body, MAX, &reason);
    assert_true((err == HD_OK) == (reason == NULL));
    return err;
}

static char *
composed(const struct fmt_dialoginfo_part *parts, size_t n)
{
    struct hd_str out = { 0 };
    const enum hd_err err = fmt_dialoginfo_compose(ENTITY, parts, n, MAX, &out);
    if (err)
        fail_msg("compose: %s", hd_err_text(err));
    if (validate(hd_str_slice(&out)) != HD_OK)
        fail_msg("not valid: %s", hd_str_text(&out));
    assert_true(fmt_dialoginfo_is_for(hd_str_slice(&out), ENTITY));
    return hd_str_take(&out);
}

static char *
composed_of(const char *newest, const char *older)
{
    const struct fmt_dialoginfo_part parts[] = {
        { hd_slice_str(newest), 2 },
        { hd_slice_str(older), 1 },
    };
    return composed(parts, older ? 2 : 1);
}

static void
assert_count(const char *text, const char *what, unsigned n)
{
    unsigned found = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
        found++;
    if (found != n)
        fail_msg("%u times '%s' in: %s", found, what, text);
}

static void
documents_are_accepted_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        enum hd_err err;
    } row[] = {
        { proxy, HD_OK },
        { phone, HD_OK },
        { "", HD_ESYNTAX },
        { ROOT END, HD_OK },
        { ROOT "<!-- c --><?pi?>" DIALOG("a", "trying") END, HD_OK },
        { ROOT DIALOG("a", "Confirmed") "<x:dialog xmlns:x='urn:x'/>" END, HD_OK },
        { ROOT DIALOG("a", "early") DIALOG("b", "early") END, HD_OK },
        { ROOT DIALOG("a", "early") DIALOG("a", "early") END, HD_ESYNTAX },
        { ROOT DIALOG("a", "early") DIALOG("&#97;", "early") END, HD_ESYNTAX },
        { ROOT DIALOG("", "early") END, HD_ESYNTAX },
        { ROOT "<dialog><state>early</state></dialog>" END, HD_ESYNTAX },
        { ROOT "<dialog id='a'/>" END, HD_ESYNTAX },
        { ROOT "<dialog id='a'><state/><state/></dialog>" END, HD_ESYNTAX },
        { ROOT "<dialog id='a'><state xmlns='urn:x'/></dialog>" END, HD_ESYNTAX },
        { ROOT "<dialog id='a'><state/><local><state/></local></dialog>" END, HD_OK },
        { ROOT, HD_ESYNTAX },
        { "<dialog-info version='0' state='full' entity='sip:a@b'/>", HD_ESYNTAX },
        { "<dialog xmlns='" NS "' version='0' state='full' entity='sip:a@b'/>", HD_ESYNTAX },
        { "<dialog-info xmlns='" NS "' state='full' entity='sip:a@b'/>", HD_ESYNTAX },
        { "<dialog-info xmlns='" NS "' version='' state='full' entity='sip:a@b'/>", HD_ESYNTAX },
        { "<dialog-info xmlns='" NS "' version='-1' state='full' entity='sip:a@b'/>", HD_ESYNTAX },
        { "<dialog-info xmlns='" NS "' version='4294967295' state='full' entity='sip:a@b'/>",
          HD_OK },
        { "<dialog-info xmlns='" NS "' version='4294967296' state='full' entity='sip:a@b'/>",
          HD_ESYNTAX },
        { "<dialog-info xmlns='" NS "' version='0' entity='sip:a@b'/>", HD_ESYNTAX },
        { "<dialog-info xmlns='" NS "' version='0' state='partial' entity='sip:a@b'/>",
          HD_ESYNTAX },
        { "<dialog-info xmlns='" NS "' version='0' state='FULL' entity='sip:a@b'/>", HD_ESYNTAX },
        { "<dialog-info xmlns='" NS "' version='0' state='full'/>", HD_ESYNTAX },
        { "<dialog-info xmlns='" NS "' version='0' state='full' entity=''/>", HD_ESYNTAX },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        if (validate(hd_slice_str(row[i].in)) != row[i].err)
            fail_msg("row %zu: %s", i, row[i].in);
}

static void
a_partial_document_is_told_why(void **state)
{
    (void)state;
    const char *reason = NULL;
    assert_int_equal(
        fmt_dialoginfo_validate(
            HD_LIT("<dialog-info xmlns='" NS "' version='0' state='partial' entity='sip:a@b'/>"),
            MAX, &reason),
        HD_ESYNTAX);
    assert_string_equal(reason,
                        "dialog-info: a PUBLISH replaces the earlier one, its state must be full");
}

static void
dialogs_are_limited(void **state)
{
    (void)state;
    struct hd_str text = { 0 };
    hd_str_add_str(&text, ROOT);
    for (unsigned i = 0; i < FMT_DIALOGINFO_MAX_DIALOGS; i++)
        hd_str_addf(&text, "<dialog id='%u'><state/></dialog>", i);
    const size_t n = text.n;
    hd_str_add_str(&text, END);
    assert_int_equal(validate(hd_str_slice(&text)), HD_OK);
    text.n = n;
    hd_str_add_str(&text, DIALOG("more", "early") END);
    assert_int_equal(validate(hd_str_slice(&text)), HD_ESYNTAX);
    hd_str_done(&text);
}

static void
the_version_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *text, *version;
    } row[] = {
        { proxy, "0" },
        { phone, "17" },
        { "<a version='4294967295'>", "4294967295" },
        { "<a version='4294967296'>", NULL },
        { "<a version=''>", NULL },
        { "<a/>", NULL },
        { "", NULL },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        const struct hd_slice text = hd_slice_str(row[i].text);
        struct hd_slice digits;
        assert_int_equal(fmt_dialoginfo_version(text, &digits), row[i].version != NULL);
        if (row[i].version) {
            assert_true(hd_slice_eq(digits, hd_slice_str(row[i].version)));
            assert_true(digits.p > text.p && digits.p < text.p + text.n);
        }
    }
}

static void
only_a_document_about_the_resource_with_version_0_is_shown_as_it_is(void **state)
{
    (void)state;
    assert_true(fmt_dialoginfo_is_for(hd_slice_str(proxy), ENTITY));
    assert_false(fmt_dialoginfo_is_for(hd_slice_str(phone), ENTITY));
    assert_false(fmt_dialoginfo_is_for(hd_slice_str(proxy), HD_LIT("sip:bob@example.test")));
    assert_false(fmt_dialoginfo_is_for(HD_LIT("<a version='0'/>"), ENTITY));
}

static void
a_document_of_prefixes_means_the_same_behind_our_root(void **state)
{
    (void)state;
    char *text = composed_of(phone, NULL);
    assert_string_equal(text,
                        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                        "<dialog-info xmlns=\"" NS "\" xmlns:d=\"" NS "\" xmlns:x=\"urn:x-phone\""
                        " version=\"0\" state=\"full\" entity=\"sip:alice@example.test\">\n"
                        " <d:dialog xmlns=\"\" xml:lang='de' id='1' "
                        "x:line='2'><d:state>early</d:state></d:dialog>\n"
                        " <d:dialog xmlns=\"\" xml:lang='de' id='2'>"
                        "<d:state event='rejected' code='486'>terminated</d:state></d:dialog>\n"
                        " <x:dnd xmlns=\"\" xml:lang='de' type='x:soft'>on</x:dnd>\n"
                        "</dialog-info>\n");
    free(text);
}

static void
dialogs_of_all_publications_stand_in_the_order_of_their_numbers(void **state)
{
    (void)state;
    const struct fmt_dialoginfo_part parts[] = {
        { HD_LIT(ROOT DIALOG("c", "early") END), 30 },
        { HD_LIT(ROOT DIALOG("a", "early") "<note>n</note>" END), 10 },
        { HD_LIT(ROOT DIALOG("b", "early") DIALOG("b2", "trying") END), 20 },
    };
    const struct fmt_dialoginfo_part turned[] = { parts[1], parts[2], parts[0] };
    char *text = composed(parts, 3), *again = composed(turned, 3);
    assert_string_equal(text, again);
    assert_true(strstr(text, "\"a\"") < strstr(text, "\"b\""));
    assert_true(strstr(text, "\"b\"") < strstr(text, "\"b2\""));
    assert_true(strstr(text, "\"b2\"") < strstr(text, "\"c\""));
    assert_true(strstr(text, "\"c\"") < strstr(text, "<note>"));
    free(text);
    free(again);
}

/* The same dialog, seen by two phones: whoever came later gives way, whoever was refreshed last. */
static void
an_id_that_stands_twice_is_renamed_stably(void **state)
{
    (void)state;
    static const char one[] = ROOT DIALOG("a", "early") END, two[] = ROOT DIALOG("a", "trying") END;
    const struct fmt_dialoginfo_part parts[] = { { hd_slice_str(one), 7 },
                                                 { hd_slice_str(two), 8 } };
    const struct fmt_dialoginfo_part turned[] = { parts[1], parts[0] };
    char *text = composed(parts, 2), *again = composed(turned, 2);
    assert_string_equal(text, again);
    assert_count(text, DIALOG("a", "early"), 1);
    assert_count(text, DIALOG("a-00000008", "trying"), 1);
    free(text);
    free(again);
}

static void
a_new_id_that_is_taken_too_gets_another(void **state)
{
    (void)state;
    const struct fmt_dialoginfo_part parts[] = {
        { HD_LIT(ROOT DIALOG("&#97;", "early") DIALOG("a-00000008", "early") END), 7 },
        { HD_LIT(ROOT "<dialog id = 'a' x='y'><state/></dialog>" END), 8 },
    };
    char *text = composed(parts, 2);
    assert_count(text, "<dialog id = 'a-00000008-2' x='y'><state/></dialog>", 1);
    free(text);
}

/* What one root says of a prefix does not change what another's elements mean. */
static void
prefixes_of_two_meanings_keep_both(void **state)
{
    (void)state;
    char *text =
        composed_of("<dialog-info xmlns='" NS "' xmlns:p='urn:2' xmlns:q='urn:q' version='0' "
                    "state='full' entity='sip:a@b'>"
                    "<dialog id='2' p:x=''><state/></dialog>"
                    "<dialog id='3' xmlns:p='urn:3' p:x=''><state/></dialog></dialog-info>",
                    "<dialog-info xmlns='" NS "' xmlns:p='urn:1' version='0' state='full' "
                    "entity='sip:a@b'><dialog id='1' p:x=''><state/></dialog></dialog-info>");
    assert_count(text, " xmlns:p=\"urn:1\" xmlns:q=\"urn:q\" version=", 1);
    assert_count(text, "<dialog id='1' p:x=''>", 1);
    assert_count(text, "<dialog xmlns:p=\"urn:2\" id='2' p:x=''>", 1);
    assert_count(text, "<dialog id='3' xmlns:p='urn:3' p:x=''>", 1);
    free(text);
}

/* Every element and attribute of the composed document has the namespace that it had. */
static void
names_keep_their_namespaces_when_there_are_more_prefixes_than_our_root_takes(void **state)
{
    (void)state;
    struct hd_str text = { 0 };
    struct fmt_xml_reader r;
    enum fmt_xml_event event = FMT_XML_TEXT;
    unsigned seen = 0;

    hd_str_add_str(&text, "<dialog-info xmlns='" NS "' version='0' state='full' entity='sip:a@b'");
    for (unsigned i = 0; i < 60; i++)
        hd_str_addf(&text, " xmlns:p%u='urn:%u'", i, i);
    hd_str_add_str(&text, ">");
    for (unsigned i = 20; i < 60; i++)
        hd_str_addf(&text, "<dialog id='%u' p%u:x='urn:%u'><state/></dialog>", i, i, i);
    hd_str_add_str(&text, END);
    char *whole = composed_of(hd_str_text(&text), NULL);
    fmt_xml_open(&r, hd_slice_str(whole), MAX);
    while (event != FMT_XML_DONE) {
        assert_int_equal(fmt_xml_next(&r, &event), HD_OK);
        if (event != FMT_XML_START || r.depth != 2)
            continue;
        assert_int_equal(r.n_attributes, 2);
        assert_true(hd_slice_eq(r.attributes[1].name.ns, r.attributes[1].value));
        seen++;
    }
    assert_int_equal(seen, 40);
    free(whole);
    hd_str_done(&text);
}

static void
inherited_attributes_go_with_the_children_that_have_none_of_their_own(void **state)
{
    (void)state;
    char *text = composed_of("<dialog-info xmlns='" NS "' xml:lang=\"d'e\" xml:id='i' version='0' "
                             "state='full' entity='sip:a@b'>"
                             "<dialog id='1'><state/></dialog>"
                             "<dialog id='2' xml:lang='fr'><state/></dialog></dialog-info>",
                             NULL);
    assert_count(text, "<dialog xml:lang=\"d'e\" id='1'>", 1);
    assert_count(text, "<dialog id='2' xml:lang='fr'>", 1);
    assert_count(text, "xml:id", 0);
    free(text);
}

static void
a_document_that_is_not_valid_is_left_out(void **state)
{
    (void)state;
    char *text = composed_of("<broken", ROOT DIALOG("a", "early") END);
    assert_count(text, "<dialog id=", 1);
    free(text);
    struct hd_str out = { 0 };
    const struct fmt_dialoginfo_part part = { HD_LIT("<broken"), 1 };
    assert_int_equal(fmt_dialoginfo_compose(ENTITY, &part, 1, MAX, &out), HD_ESYNTAX);
    hd_str_done(&out);
}

static void
what_grows_without_bound_is_refused(void **state)
{
    (void)state;
    /* each dialog would get the prefixes that mean something else behind our root */
    struct hd_str first = { 0 }, text = { 0 }, out = { 0 };
    hd_str_add_str(&first, "<dialog-info xmlns='" NS "' version='0' state='full' entity='sip:a@b'");
    hd_str_add_str(&text, hd_str_text(&first));
    for (unsigned i = 0; i < 60; i++)
        hd_str_addf(&first, " xmlns:p%u='urn:x'", i);
    hd_str_add_str(&first, "/>");
    for (unsigned i = 0; i < 60; i++)
        hd_str_addf(&text, " xmlns:p%u='urn:%080u'", i, i);
    hd_str_add_str(&text, ">");
    for (unsigned i = 0; i < FMT_DIALOGINFO_MAX_DIALOGS; i++)
        hd_str_addf(&text, "<dialog id='%u'><state/></dialog>", i);
    hd_str_add_str(&text, END);
    const struct fmt_dialoginfo_part parts[] = { { hd_str_slice(&first), 1 },
                                                 { hd_str_slice(&text), 2 } };
    assert_int_equal(fmt_dialoginfo_compose(ENTITY, parts, 2, MAX, &out), HD_EFULL);
    assert_true(out.n < 5 * (text.n + MAX));
    hd_str_done(&out);
    hd_str_done(&first);
    hd_str_done(&text);
}

static void
dialogs_of_a_composed_document_are_limited(void **state)
{
    (void)state;
    struct hd_str text = { 0 }, out = { 0 };
    struct fmt_dialoginfo_part parts[5];
    hd_str_add_str(&text, ROOT);
    for (unsigned i = 0; i < FMT_DIALOGINFO_MAX_DIALOGS; i++)
        hd_str_addf(&text, "<dialog id='%u'><state/></dialog>", i);
    hd_str_add_str(&text, END);
    for (uint32_t i = 0; i < HD_ARRAY_LEN(parts); i++)
        parts[i] = (struct fmt_dialoginfo_part){ hd_str_slice(&text), i };
    assert_int_equal(fmt_dialoginfo_compose(ENTITY, parts, 4, MAX, &out), HD_OK);
    hd_str_clear(&out);
    assert_int_equal(fmt_dialoginfo_compose(ENTITY, parts, 5, MAX, &out), HD_EFULL);
    hd_str_done(&out);
    hd_str_done(&text);
}

static void
the_neutral_document_is_full_and_has_no_dialogs(void **state)
{
    (void)state;
    struct hd_str out = { 0 };
    fmt_dialoginfo_neutral(HD_LIT("sip:a<b@example.test"), &out);
    assert_string_equal(hd_str_text(&out),
                        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                        "<dialog-info xmlns=\"" NS "\" version=\"0\" state=\"full\""
                        " entity=\"sip:a&lt;b@example.test\">\n</dialog-info>\n");
    assert_int_equal(validate(hd_str_slice(&out)), HD_OK);
    hd_str_done(&out);
}

static void
somebody_is_on_the_phone_when_a_dialog_is_confirmed(void **state)
{
    static const struct {
        const char *children;
        bool busy;
    } row[] = {
        { "", false },
        { "<dialog id=\"a\"><state>early</state></dialog>", false },
        { "<dialog id=\"a\"><state>terminated</state></dialog>", false },
        { "<dialog id=\"a\"><state>confirmed</state></dialog>", true },
        { "<dialog id=\"a\"><state event=\"replaced\"> confirmed\n</state></dialog>", true },
        { "<dialog id=\"a\"><state>early</state></dialog>"
          "<dialog id=\"b\"><state>confirmed</state></dialog>",
          true },
        { "<dialog id=\"a\"><state>trying</state><x><state>confirmed</state></x></dialog>", false },
        { "<dialog id=\"a\"><state>trying</state></dialog><x><state>confirmed</state></x>", false },
        { "<dialog id=\"a\"><state>confirmed", true }, /* whatever comes behind it */
        { "<dialog id=\"a\"><state>trying", false },
    };
    char text[512];

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        (void)snprintf(text, sizeof(text),
                       "<dialog-info xmlns=\"" NS "\" version=\"0\" state=\"full\" "
                       "entity=\"sip:a@b\">%s</dialog-info>",
                       row[i].children);
        if (fmt_dialoginfo_is_busy(hd_slice_str(text)) != row[i].busy)
            fail_msg("row %zu", i);
    }
}

/* --- dialogs that were chosen ---------------------------------------------------------------- */

static const char calls[] =
    "<?xml version='1.0'?>\n"
    "<d:dialog-info xmlns:d='" NS "' version='3' state='full' entity='sip:a@b'>"
    "<d:dialog id='1' call-id='one&quot;@h' local-tag='t1' remote-tag='f1'>"
    "<d:state>early</d:state></d:dialog>"
    "<d:dialog id='2' call-id='one&quot;@h' local-tag='t1' remote-tag='f2'>"
    "<d:state> terminated\n</d:state><d:remote/></d:dialog>"
    "<d:dialog id='3' call-id='one&quot;@h' local-tag='t1'><d:state>trying</d:state></d:dialog>"
    "<d:dialog id='4' call-id='two' local-tag='t1' remote-tag='f1'>"
    "<d:state>terminated</d:state></d:dialog>"
    "<d:note call-id='two' local-tag='t1'/>"
    "<d:dialog id='5'><d:state>confirmed</d:state></d:dialog>"
    "</d:dialog-info>\n";

/* How a document begins that has chosen dialogs. */
#define CHOSEN(entity)                                                                             \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<dialog-info xmlns=\"" NS                         \
    "\" version=\"0\" state=\"full\" entity=\"" entity "\">\n"

static void
dialogs_are_chosen_by_call_id_and_tags(void **state)
{
    static const struct {
        const char *call_id, *local, *remote;
        enum fmt_dialoginfo_chosen chosen;
        const char *ids;
    } row[] = {
        { "one\"@h", "t1", "f1", FMT_DIALOGINFO_LIVING, "1" },
        { "one\"@h", "t1", "f2", FMT_DIALOGINFO_OVER, "2" },
        { "one\"@h", "t1", NULL, FMT_DIALOGINFO_LIVING, "123" },
        { "two", "t1", NULL, FMT_DIALOGINFO_OVER, "4" },
        { "two", "t1", "f1", FMT_DIALOGINFO_OVER, "4" },
        { "two", "f1", "t1", FMT_DIALOGINFO_NONE, "" },
        { "two", "T1", "f1", FMT_DIALOGINFO_NONE, "" },
        { "one", "t1", NULL, FMT_DIALOGINFO_NONE, "" },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        const struct fmt_dialoginfo_choice choice = {
            .call_id = hd_slice_str(row[i].call_id),
            .local_tag = hd_slice_str(row[i].local),
            .remote_tag = row[i].remote ? hd_slice_str(row[i].remote) : hd_slice(NULL, 0)
        };
        struct hd_str out = { 0 };
        enum fmt_dialoginfo_chosen chosen;
        char ids[8] = "";
        assert_int_equal(fmt_dialoginfo_choose(hd_slice_str(calls), &choice, &out, &chosen), HD_OK);
        assert_int_equal(chosen, row[i].chosen);
        assert_int_equal(validate(hd_str_slice(&out)), HD_OK);
        char *text = hd_str_take(&out);
        assert_memory_equal(text, CHOSEN("sip:a@b"), sizeof(CHOSEN("sip:a@b")) - 1);
        assert_null(strstr(text, "note"));
        for (const char *id = text; (id = strstr(id, " id='")); id += 5)
            (void)snprintf(ids + strlen(ids), sizeof(ids) - strlen(ids), "%c", id[5]);
        assert_string_equal(ids, row[i].ids);
        free(text);
    }
}

static void
a_chosen_dialog_stands_as_it_stood(void **state)
{
    const struct fmt_dialoginfo_choice choice = { HD_LIT("c"), HD_LIT("l"), HD_LIT("r") };
    const char *const in = ROOT "<dialog id=\"x\" remote-tag=\"r\" call-id=\"c\" local-tag=\"l\" >"
                                "<!-- > --><state event=\"x\"><![CDATA[terminated]]></state> "
                                "<local/></dialog><dialog id=\"y\"><state/></dialog>" END;
    const char *const left = CHOSEN(
        "sip:alice@example.test") "<dialog id=\"x\" remote-tag=\"r\" call-id=\"c\" local-tag=\"l\">"
                                  "<!-- > --><state event=\"x\"><![CDATA[terminated]]></state> "
                                  "<local/></dialog>\n" END "\n";
    enum fmt_dialoginfo_chosen chosen;
    struct hd_str out = { 0 };

    (void)state;
    assert_int_equal(fmt_dialoginfo_choose(hd_slice_str(in), &choice, &out, &chosen), HD_OK);
    assert_int_equal(chosen, FMT_DIALOGINFO_OVER);
    char *text = hd_str_take(&out);
    assert_string_equal(text, left);
    free(text);
    memset(&out, 0, sizeof(out));
    const char *const empty = "<dialog-info xmlns='" NS "' version='0' state='full' entity='x'/>";
    assert_int_equal(fmt_dialoginfo_choose(hd_slice_str(empty), &choice, &out, &chosen), HD_OK);
    assert_int_equal(chosen, FMT_DIALOGINFO_NONE);
    assert_int_equal(validate(hd_str_slice(&out)), HD_OK);
    hd_str_done(&out);
    memset(&out, 0, sizeof(out));
    /* What a phone says in pieces it says once. */
    const char *const pieces =
        ROOT "<dialog id=\"x\" remote-tag=\"r\" call-id=\"c\" local-tag=\"l\"><state>terminated"
             "<![CDATA[terminated]]></state></dialog><dialog id=\"y\" remote-tag=\"r\" "
             "call-id=\"c\" local-tag=\"l\"><state>confirmed</state></dialog>" END;
    assert_int_equal(fmt_dialoginfo_choose(hd_slice_str(pieces), &choice, &out, &chosen), HD_OK);
    assert_int_equal(chosen, FMT_DIALOGINFO_LIVING);
    hd_str_done(&out);
    memset(&out, 0, sizeof(out));
    assert_int_equal(fmt_dialoginfo_choose(HD_LIT("{}"), &choice, &out, &chosen), HD_ESYNTAX);
    hd_str_done(&out);
}

/* Another phone's publication is no news to who follows a call of this one (RFC 4235 section 3.3).
 */
static void
a_chosen_dialog_is_the_same_whatever_else_is_published(void **state)
{
#define CALL " id=\"x\" call-id=\"c\" local-tag=\"l\" remote-tag=\"r\""
    static const char *const one[] = {
        ROOT "<dialog" CALL "><state>early</state></dialog>" END,
        ROOT "<dialog" CALL
             "><state>early</state><local><target uri=\"sip:a@b\"/></local></dialog>" END,
        "<dialog-info xmlns='" NS "' xmlns:a='urn:a' xmlns:b='urn:b' version='0' state='full' "
        "entity='sip:alice@example.test' xml:lang='fr'><dialog a:p='q'" CALL
        "><state>early</state><b:v/></dialog></dialog-info>",
        "<d:dialog-info xmlns:d='" NS "' xmlns='urn:a' xmlns:q='urn:a:b' version='0' state='full' "
        "entity='sip:alice@example.test'><d:dialog" CALL " q:t='d:y' xmlns:z='urn:z'>"
        "<d:state>early</d:state><own/></d:dialog></d:dialog-info>",
    };
    static const char *const other[] = {
        ROOT DIALOG("y", "confirmed") END,
        "<a:dialog-info xmlns:a='" NS "' xmlns:b='urn:other' xmlns:d='urn:d' xmlns:q='urn:q' "
        "xmlns:z='urn:other' version='3' state='full' entity='x' xml:lang='de'>"
        "<a:dialog id='y' d:m='n'><a:state/></a:dialog><b:c/></a:dialog-info>",
        "<p:dialog-info xmlns:p='" NS "' version='3' state='full' entity='x'>"
        "<p:dialog id='y'><p:state/></p:dialog></p:dialog-info>",
    };
    const struct fmt_dialoginfo_choice choice = { HD_LIT("c"), HD_LIT("l"), HD_LIT("r") };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(one) * HD_ARRAY_LEN(other) * 2; i++) {
        const char *const his = one[i / 2 / HD_ARRAY_LEN(other)];
        const struct fmt_dialoginfo_part parts[] = {
            { hd_slice_str(his), 2 },
            { hd_slice_str(other[i / 2 % HD_ARRAY_LEN(other)]), i & 1 ? 1 : 3 }
        };
        enum fmt_dialoginfo_chosen chosen;
        struct hd_str alone = { 0 }, beside = { 0 };
        char *both = composed(parts, 2);
        assert_int_equal(fmt_dialoginfo_choose(hd_slice_str(his), &choice, &alone, &chosen), HD_OK);
        assert_int_equal(fmt_dialoginfo_choose(hd_slice_str(both), &choice, &beside, &chosen),
                         HD_OK);
        assert_int_equal(chosen, FMT_DIALOGINFO_LIVING);
        assert_int_equal(validate(hd_str_slice(&alone)), HD_OK);
        char *x = hd_str_take(&alone), *y = hd_str_take(&beside);
        assert_string_equal(x, y);
        free(x);
        free(y);
        free(both);
    }
#undef CALL
}

static void
session_descriptions_go_and_nothing_else(void **state)
{
    static const struct {
        const char *in, *left; /* NULL: there are none */
    } row[] = {
        { ROOT "<dialog id=\"a\"><state>early</state><local><session-description type=\"a/sdp\">"
               "v=0</session-description><target uri=\"x\"/></local><remote>"
               "<session-description type=\"y\"/></remote></dialog>" END,
          ROOT "<dialog id=\"a\"><state>early</state><local><target uri=\"x\"/></local><remote>"
               "</remote></dialog>" END },
        { "<d:dialog-info xmlns:d='" NS "' version='0' state='full' entity='x'><d:dialog id='a'>"
          "<d:state/><d:local><d:session-description>k</d:session-description></d:local>"
          "</d:dialog></d:dialog-info>",
          "<d:dialog-info xmlns:d='" NS "' version='0' state='full' entity='x'><d:dialog id='a'>"
          "<d:state/><d:local></d:local></d:dialog></d:dialog-info>" },
        { ROOT DIALOG("a", "session-description") END, NULL },
        { ROOT "<dialog id=\"a\"><state/><local><x xmlns=\"urn:x\"><session-description/></x>"
               "</local></dialog><!-- <session-description> -->" END,
          NULL },
        { ROOT DIALOG("a", "early") END, NULL },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct hd_str out = { 0 };
        const enum hd_err err = fmt_dialoginfo_without_sessions(hd_slice_str(row[i].in), &out);
        assert_int_equal(err, row[i].left ? HD_OK : HD_ENOMATCH);
        if (row[i].left)
            assert_true(hd_slice_eq(hd_str_slice(&out), hd_slice_str(row[i].left)));
        else
            assert_int_equal(out.n, 0);
        hd_str_done(&out);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_are_accepted_or_refused),
        cmocka_unit_test(a_partial_document_is_told_why),
        cmocka_unit_test(dialogs_are_limited),
        cmocka_unit_test(the_version_is_found),
        cmocka_unit_test(only_a_document_about_the_resource_with_version_0_is_shown_as_it_is),
        cmocka_unit_test(a_document_of_prefixes_means_the_same_behind_our_root),
        cmocka_unit_test(dialogs_of_all_publications_stand_in_the_order_of_their_numbers),
        cmocka_unit_test(an_id_that_stands_twice_is_renamed_stably),
        cmocka_unit_test(a_new_id_that_is_taken_too_gets_another),
        cmocka_unit_test(prefixes_of_two_meanings_keep_both),
        cmocka_unit_test(
            names_keep_their_namespaces_when_there_are_more_prefixes_than_our_root_takes),
        cmocka_unit_test(inherited_attributes_go_with_the_children_that_have_none_of_their_own),
        cmocka_unit_test(a_document_that_is_not_valid_is_left_out),
        cmocka_unit_test(what_grows_without_bound_is_refused),
        cmocka_unit_test(dialogs_of_a_composed_document_are_limited),
        cmocka_unit_test(the_neutral_document_is_full_and_has_no_dialogs),
        cmocka_unit_test(somebody_is_on_the_phone_when_a_dialog_is_confirmed),
        cmocka_unit_test(dialogs_are_chosen_by_call_id_and_tags),
        cmocka_unit_test(a_chosen_dialog_stands_as_it_stood),
        cmocka_unit_test(a_chosen_dialog_is_the_same_whatever_else_is_published),
        cmocka_unit_test(session_descriptions_go_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
