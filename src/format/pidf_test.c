#include "format/pidf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <libxml/parser.h>

#define MAX 65536
#define ENTITY HD_LIT("sip:alice@example.test")
#define PIDF "urn:ietf:params:xml:ns:pidf"
#define DM "urn:ietf:params:xml:ns:pidf:data-model"
#define ROOT "<presence xmlns=\"" PIDF "\" xmlns:dm=\"" DM "\" entity=\"sip:alice@example.test\">"
#define TUPLE(id, basic) "<tuple id=\"" id "\"><status><basic>" basic "</basic></status></tuple>"

/* As pjsua writes it: person with activities and a note, a note in the tuple. */
static const char pjsua[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    "<presence entity=\"sip:alice@example.test\" xmlns=\"" PIDF "\""
    " xmlns:dm=\"" DM "\" xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\">\n"
    " <tuple id=\"pj1a2b\"><status><basic>open</basic></status>"
    "<timestamp>2026-01-15T12:00:00.000Z</timestamp><note>On the phone</note></tuple>\n"
    " <dm:person id=\"pj3c4d\"><rpid:activities><rpid:busy/></rpid:activities>"
    "<dm:note>On the phone</dm:note></dm:person>\n"
    "</presence>\n";
/* As liblinphone writes it: prefixes for all but the root's namespace, an extension inside status,
 * a contact with priority. */
static const char linphone[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\" ?>\r\n"
    "<p1:presence xmlns:p1=\"" PIDF "\" xmlns:p2=\"" DM "\" xmlns:rpid=\"urn:x-other-rpid\""
    " xmlns:pidfonline=\"http://www.linphone.org/xsds/pidfonline.xsd\" "
    "entity=\"sip:alice@example.test\">\r\n"
    "  <p1:tuple id=\"qyupdo\"><p1:status><p1:basic>open</p1:basic><pidfonline:online/></p1:status>"
    "<p1:contact priority=\"0.8\">sip:alice@192.0.2.1</p1:contact></p1:tuple>\r\n"
    "  <p2:person id=\"xyz\"><rpid:activities><rpid:away/></rpid:activities></p2:person>\r\n"
    "</p1:presence>\r\n";
/* As baresip writes it: the person first, and it is empty. */
static const char baresip[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n"
    "<presence xmlns=\"" PIDF "\"\r\n    xmlns:dm=\"" DM "\"\r\n"
    "    xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\"\r\n    "
    "entity=\"sip:alice@example.test\">\r\n"
    "  <dm:person id=\"p4159\"><rpid:activities/></dm:person>\r\n"
    "  <tuple id=\"t4109\">\r\n    <status>\r\n      <basic>closed</basic>\r\n    </status>\r\n"
    "    <contact>sip:alice@example.test</contact>\r\n  </tuple>\r\n</presence>\r\n";

static enum hd_err
validate(struct hd_slice body)
{
    const char *reason = NULL;
    const enum hd_err err = fmt_pidf_validate(body, MAX, &reason);
    assert_true((err == HD_OK) == (reason == NULL));
    return err;
}

/* A NUL-terminated copy of the composed document, checked to be valid itself. */
static char *
composed(const struct fmt_pidf_part *parts, size_t n)
{
    struct fmt_xml *xml = fmt_xml_new();
    struct hd_str out;
    hd_str_init(&out);
    const enum hd_err err = fmt_pidf_compose(xml, ENTITY, parts, n, MAX, &out);
    if (err)
        fail_msg("compose: %s", hd_err_text(err));
    char *text = hd_slice_strdup(hd_str_slice(&out));
    if (validate(hd_str_slice(&out)) != HD_OK)
        fail_msg("not valid: %s", text);
    hd_str_done(&out);
    fmt_xml_free(xml);
    return text;
}

static char *
composed_of(const char *newest, const char *older)
{
    const struct fmt_pidf_part parts[] = {
        { hd_slice_str(newest), 2, false },
        { hd_slice_str(older), 1, false },
    };
    return composed(parts, older ? 2 : 1);
}

static unsigned
count(const char *text, const char *what)
{
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
        n++;
    return n;
}

static void
assert_count(const char *text, const char *what, unsigned n)
{
    if (count(text, what) != n)
        fail_msg("%u times '%s' in: %s", count(text, what), what, text);
}

static void
documents_are_accepted_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        enum hd_err err;
    } row[] = {
        { pjsua, HD_OK },
        { linphone, HD_OK },
        { baresip, HD_OK },
        { "", HD_ESYNTAX },
        { ROOT "</presence>", HD_OK },
        { ROOT "<!-- c --><?pi?>" TUPLE("a", "open") "</presence>", HD_OK },
        { "<p:presence xmlns:p='" PIDF "' entity='pres:a@b'/>", HD_OK },
        { "<presence xmlns='" PIDF "' entity=''/>", HD_ESYNTAX },
        { "<presence xmlns='" PIDF "' entity='&amp;&#65;'/>", HD_OK },
        { "<presence xmlns='" PIDF "'/>", HD_ESYNTAX },
        { "<p:presence xmlns:p='" PIDF "' p:entity='pres:a@b'/>", HD_ESYNTAX },
        { "<presence entity='sip:a@b'/>", HD_ESYNTAX },
        { "<presence xmlns='urn:other' entity='sip:a@b'/>", HD_ESYNTAX },
        { "<tuple xmlns='" PIDF "' entity='sip:a@b'/>", HD_ESYNTAX },
        { "<presence xmlns='" PIDF "' entity='sip:a@b'>", HD_ESYNTAX },
        { ROOT "<tuple><status/></tuple></presence>", HD_ESYNTAX },
        { ROOT "<tuple id=''><status/></tuple></presence>", HD_ESYNTAX },
        { ROOT "<tuple id='a'></tuple></presence>", HD_ESYNTAX },
        { ROOT "<tuple id='a'><status/><status/></tuple></presence>", HD_ESYNTAX },
        { ROOT "<tuple id='a'><status/></tuple><tuple id='a'><status/></tuple></presence>",
          HD_ESYNTAX },
        { ROOT "<tuple id='a'><status/></tuple><tuple id='b'><status/></tuple></presence>", HD_OK },
        { ROOT "<x:tuple xmlns:x='urn:x'/></presence>", HD_OK },
        { ROOT "<dm:person id='p'/><dm:person id='p'/></presence>", HD_ESYNTAX },
        { ROOT "<dm:device id='p'/><dm:person id='p'/></presence>", HD_OK },
        { ROOT "<dm:device id='d'/><dm:device id='d'/></presence>", HD_ESYNTAX },
        { ROOT "<dm:device/></presence>", HD_OK },
        { "<!DOCTYPE presence>" ROOT "</presence>", HD_ESYNTAX },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        const enum hd_err err = validate(hd_slice_str(row[i].in));
        if (err != row[i].err)
            fail_msg("row %zu gave %s: %s", i, hd_err_text(err), row[i].in);
    }
}

static void
a_single_document_about_the_entity_goes_through_unchanged(void **state)
{
    (void)state;
    static const char *const docs[] = { pjsua, linphone, baresip };
    for (size_t i = 0; i < HD_ARRAY_LEN(docs); i++) {
        char *text = composed_of(docs[i], NULL);
        assert_string_equal(text, docs[i]);
        free(text);
    }
}

static void
the_entity_is_compared_without_its_scheme(void **state)
{
    (void)state;
    assert_true(fmt_pidf_is_for(hd_slice_str(pjsua), HD_LIT("pres:alice@example.test")));
    assert_true(fmt_pidf_is_for(HD_LIT("<p entity='PRES:a@b'/>"), HD_LIT("sip:a@b")));
    assert_false(fmt_pidf_is_for(HD_LIT("<p entity='tel:a@b'/>"), HD_LIT("sip:a@b")));
    assert_false(fmt_pidf_is_for(HD_LIT("<p entity='sip:a@c'/>"), HD_LIT("sip:a@b")));
    assert_false(fmt_pidf_is_for(HD_LIT("<p/>"), HD_LIT("sip:a@b")));
}

static void
a_single_document_about_another_entity_gets_ours(void **state)
{
    (void)state;
    char *text =
        composed_of("<presence xmlns='" PIDF "' entity='sip:alice@192.0.2.9'>" TUPLE(
                        "a", "open") "<note xml:lang='de'>\xc3\xa4&amp;&lt;</note></presence>",
                    NULL);
    assert_count(text, "entity=\"sip:alice@example.test\"", 1);
    assert_count(text, "192.0.2.9", 0);
    assert_count(text, "<note xml:lang=\"de\">\xc3\xa4&amp;&lt;</note>", 1);
    free(text);
}

static void
tuples_of_all_publications_are_kept_newest_first(void **state)
{
    (void)state;
    const struct fmt_pidf_part parts[] = {
        { hd_slice_str(pjsua), 30, false },
        { hd_slice_str(linphone), 10, false },
        { hd_slice_str(baresip), 20, false },
    };
    char *text = composed(parts, 3);
    assert_count(text, "tuple>", 3);
    assert_true(strstr(text, "pj1a2b") < strstr(text, "qyupdo"));
    assert_true(strstr(text, "qyupdo") < strstr(text, "t4109"));
    assert_count(text, "<pidfonline:online/>", 1);
    assert_count(text, "contact priority=\"0.8\"", 1);
    assert_count(text, "<note>On the phone</note>", 1);
    assert_count(text, "<timestamp>2026-01-15T12:00:00.000Z</timestamp>", 1);
    /* the schema's order: tuples before persons */
    assert_true(strstr(text, "t4109") < strstr(text, "person"));
    free(text);
}

static void
the_person_is_the_newest_publications_that_has_one(void **state)
{
    (void)state;
    char *text = composed_of(pjsua, baresip);
    assert_count(text, "<dm:person", 1);
    assert_count(text, "rpid:busy", 1);
    assert_count(text, "p4159", 0);
    free(text);
    text = composed_of(ROOT TUPLE("a", "open") "</presence>", pjsua);
    assert_count(text, "rpid:busy", 1);
    free(text);
    text = composed_of(ROOT "<dm:person id='a'/><dm:person id='b'/></presence>", pjsua);
    assert_count(text, "<dm:person", 2);
    assert_count(text, "rpid:busy", 0);
    free(text);
}

static void
an_id_that_occurs_again_is_renamed_where_the_number_is_higher(void **state)
{
    (void)state;
    static const char a[] = ROOT TUPLE("t1", "open") "</presence>";
    static const char b[] = ROOT TUPLE("t1", "closed") "</presence>";
    /* whichever is newer, the same tuple keeps its id */
    const struct fmt_pidf_part ab[] = { { hd_slice_str(a), 7, false },
                                        { hd_slice_str(b), 0xab, false } };
    const struct fmt_pidf_part ba[] = { { hd_slice_str(b), 0xab, false },
                                        { hd_slice_str(a), 7, false } };
    for (unsigned i = 0; i < 2; i++) {
        char *text = composed(i ? ba : ab, 2);
        assert_count(text, "<tuple id=\"t1\"><status><basic>open", 1);
        assert_count(text, "<tuple id=\"t1-000000ab\"><status><basic>closed", 1);
        free(text);
    }
}

static void
a_renamed_id_that_is_taken_too_is_renamed_on(void **state)
{
    (void)state;
    const struct fmt_pidf_part parts[] = {
        { HD_LIT(ROOT TUPLE("t", "open") TUPLE("t-00000002", "open") "</presence>"), 1, false },
        { HD_LIT(ROOT TUPLE("t", "closed") "</presence>"), 2, false },
        { HD_LIT(ROOT TUPLE("t", "closed") "</presence>"), 2, false },
    };
    char *text = composed(parts, 3);
    assert_count(text, "id=\"t\"", 1);
    assert_count(text, "id=\"t-00000002\"", 1);
    assert_count(text, "id=\"t-00000002-2\"", 1);
    assert_count(text, "id=\"t-00000002-3\"", 1);
    free(text);
}

static void
ids_are_unique_over_tuples_persons_and_devices(void **state)
{
    (void)state;
    char *text = composed_of(ROOT "<dm:device id='x'/><dm:person id='x'/></presence>",
                             ROOT TUPLE("x", "open") "</presence>");
    assert_count(text, "id=\"x\"", 1);
    assert_count(text, "<tuple id=\"x\"", 1);
    assert_count(text, "id=\"x-00000002\"", 1);
    assert_count(text, "id=\"x-00000002-2\"", 1);
    free(text);
}

#define DEVICE(id, device, extra)                                                                  \
    "<dm:device id='" id "'>" extra "<dm:deviceID>" device "</dm:deviceID></dm:device>"

static void
only_devices_with_equal_ids_are_merged_the_newest_wins(void **state)
{
    (void)state;
    char *text = composed_of(ROOT DEVICE("d1", "\n urn:device:1 ", "<e xmlns='urn:e'>new</e>")
                                 DEVICE("d2", "urn:device:2", "") "</presence>",
                             ROOT DEVICE("d1", "urn:device:1", "<e xmlns='urn:e'>old</e>")
                                 DEVICE("d3", "urn:device:3", "")
                                     DEVICE("d4", "", "") "<dm:device id='d5'/></presence>");
    assert_count(text, "<dm:device ", 5);
    assert_count(text, ">new<", 1);
    assert_count(text, ">old<", 0);
    assert_count(text, "id=\"d1\"", 1);
    free(text);
}

static void
notes_and_unknown_elements_of_all_publications_are_kept(void **state)
{
    (void)state;
    char *text = composed_of(ROOT "<note>one</note><u xmlns='urn:u'>1</u></presence>",
                             ROOT "<note>two</note><v:v xmlns:v='urn:v' v:w='2'/></presence>");
    assert_count(text, "<note>one</note>", 1);
    assert_count(text, "<note>two</note>", 1);
    assert_count(text, "<u xmlns=\"urn:u\">1</u>", 1);
    assert_count(text, "<v:v xmlns:v=\"urn:v\" v:w=\"2\"/>", 1);
    assert_true(strstr(text, "two") < strstr(text, "urn:u"));
    free(text);
}

/* The namespace and text of the first element with a local name, looked up in the parsed result. */
static void
assert_in_namespace(const char *text, const char *name, const char *ns)
{
    xmlDoc *doc = xmlReadMemory(text, (int)strlen(text), NULL, NULL, XML_PARSE_NONET);
    assert_non_null(doc);
    const xmlNode *found = NULL;
    for (xmlNode *n = xmlDocGetRootElement(doc); n;) {
        if (n->type == XML_ELEMENT_NODE && strcmp((const char *)n->name, name) == 0) {
            found = n;
            break;
        }
        if (n->children) {
            n = n->children;
            continue;
        }
        while (n && !n->next)
            n = n->parent;
        n = n ? n->next : NULL;
    }
    assert_non_null(found);
    if (ns)
        assert_string_equal(found->ns ? (const char *)found->ns->href : "", ns);
    else
        assert_null(found->ns);
    xmlFreeDoc(doc);
}

static void
a_prefix_with_two_meanings_keeps_both(void **state)
{
    (void)state;
    char *text = composed_of(
        "<presence xmlns='" PIDF "' xmlns:x='urn:one' entity='sip:a@b'><x:a/></presence>",
        "<presence xmlns='" PIDF "' xmlns:x='urn:two' entity='sip:a@b'><x:b t='x:q'/></presence>");
    assert_in_namespace(text, "a", "urn:one");
    assert_in_namespace(text, "b", "urn:two");
    assert_count(text, "<x:b xmlns:x=\"urn:two\" t=\"x:q\"/>", 1);
    free(text);
}

static void
other_default_namespaces_keep_their_meaning(void **state)
{
    (void)state;
    /* a default namespace that is not PIDF's; none at all; one taken back inside */
    char *text = composed_of(
        "<p:presence xmlns:p='" PIDF "' xmlns='urn:d' entity='sip:a@b'><one><two/></one>"
        "<p:tuple id='t'><p:status><four/></p:status></p:tuple></p:presence>",
        "<p:presence xmlns:p='" PIDF "' entity='sip:a@b'><five/>"
        "<p:tuple id='u'><p:status/><six/></p:tuple><p:note>n</p:note></p:presence>");
    assert_in_namespace(text, "one", "urn:d");
    assert_in_namespace(text, "two", "urn:d");
    assert_in_namespace(text, "four", "urn:d");
    assert_in_namespace(text, "five", NULL);
    assert_in_namespace(text, "six", NULL);
    assert_in_namespace(text, "tuple", PIDF);
    assert_count(text, "<p:note>n</p:note>", 1);
    free(text);
    text = composed_of(ROOT "<e xmlns=''><f/></e></presence>", ROOT "</presence>");
    assert_in_namespace(text, "f", NULL);
    free(text);
}

static void
prefixes_of_three_clients_live_side_by_side(void **state)
{
    (void)state;
    char *text = composed_of(linphone, pjsua);
    assert_in_namespace(text, "online", "http://www.linphone.org/xsds/pidfonline.xsd");
    assert_in_namespace(text, "away", "urn:x-other-rpid");
    assert_in_namespace(text, "person", DM);
    free(text);
    text = composed_of(pjsua, linphone);
    assert_in_namespace(text, "busy", "urn:ietf:params:xml:ns:pidf:rpid");
    free(text);
}

static void
root_attributes_are_kept_the_newest_first(void **state)
{
    (void)state;
    char *text = composed_of(
        "<presence xmlns='" PIDF "' xmlns:x='urn:x' x:v='1' w='a&amp;&#10;b' entity='sip:a@b'/>",
        "<presence xmlns='" PIDF
        "' xmlns:x='urn:x' x:v='2' x:u='3' xmlns:y='urn:y' y:v='4' entity='sip:a@b'/>");
    assert_count(text, "x:v=\"1\"", 1);
    assert_count(text, "x:v=\"2\"", 0);
    assert_count(text, "x:u=\"3\"", 1);
    assert_count(text, "y:v=\"4\"", 1);
    assert_count(text, "w=\"a&amp;&#10;b\"", 1);
    free(text);
}

static void
the_language_of_a_root_goes_with_its_children(void **state)
{
    (void)state;
    char *text = composed_of("<presence xmlns='" PIDF
                             "' xml:lang='fr' entity='sip:a@b'><note>oui</note><note "
                             "xml:lang='en'>yes</note></presence>",
                             ROOT "<note>ja</note></presence>");
    assert_count(text, "<note xml:lang=\"fr\">oui</note>", 1);
    assert_count(text, "<note xml:lang=\"en\">yes</note>", 1);
    assert_count(text, "<note>ja</note>", 1);
    free(text);
}

static void
what_is_not_valid_is_left_out(void **state)
{
    (void)state;
    char *text = composed_of("<presence", ROOT TUPLE("a", "open") "</presence>");
    assert_count(text, "<tuple", 1);
    free(text);
    struct fmt_xml *xml = fmt_xml_new();
    struct hd_str out;
    hd_str_init(&out);
    const struct fmt_pidf_part parts[] = { { HD_LIT("<presence"), 1, false },
                                           { HD_LIT(""), 2, false } };
    assert_int_equal(fmt_pidf_compose(xml, ENTITY, parts, 2, MAX, &out), HD_ESYNTAX);
    hd_str_done(&out);
    fmt_xml_free(xml);
}

/* Each of many elements would need the same long declaration again. */
static void
namespaces_do_not_multiply_a_document_without_bound(void **state)
{
    (void)state;
    static const char head[] = "<presence xmlns='" PIDF "' xmlns:x='urn:";
    struct hd_str big = { 0 }, out = { 0 };
    struct fmt_xml *xml = fmt_xml_new();
    hd_str_add_str(&big, head);
    for (unsigned i = 0; i < 10000; i++)
        hd_str_add_char(&big, 'y');
    hd_str_add_str(&big, "' entity='sip:a@b'>");
    for (unsigned i = 0; i < 1000; i++)
        hd_str_add_str(&big, "<x:y/>");
    hd_str_add_str(&big, "</presence>");
    const struct fmt_pidf_part parts[] = {
        { HD_LIT("<presence xmlns='" PIDF "' xmlns:x='urn:x' entity='sip:a@b'/>"), 1, false },
        { hd_str_slice(&big), 2, false },
    };
    assert_int_equal(fmt_pidf_compose(xml, ENTITY, parts, 2, MAX, &out), HD_EFULL);
    assert_true(out.n < 6 * MAX);
    hd_str_done(&out);
    hd_str_done(&big);
    fmt_xml_free(xml);
}

static void
a_composed_document_composes_again(void **state)
{
    (void)state;
    char *once = composed_of(pjsua, linphone);
    char *twice = composed_of(once, baresip);
    assert_count(twice, "tuple>", 3);
    free(once);
    free(twice);
}

static void
nothing_published_is_one_closed_tuple(void **state)
{
    (void)state;
    struct hd_str out;
    hd_str_init(&out);
    fmt_pidf_neutral(HD_LIT("sip:a\"&<\x01\xff@example.test"), &out);
    char *text = hd_slice_strdup(hd_str_slice(&out));
    assert_int_equal(validate(hd_str_slice(&out)), HD_OK);
    assert_count(text, "entity=\"sip:a&quot;&amp;&lt;%01%FF@example.test\"", 1);
    assert_count(text, "<basic>closed</basic>", 1);
    free(text);
    hd_str_done(&out);
}

static struct hd_slice
reachable(bool tuple, bool open, bool on_phone, struct hd_str *out)
{
    hd_str_init(out);
    fmt_pidf_reachable(HD_LIT("sip:bob@example.test"),
                       &(struct fmt_pidf_reach){ tuple, open, on_phone }, out);
    assert_int_equal(validate(hd_str_slice(out)), HD_OK);
    return hd_str_slice(out);
}

static void
what_the_broker_knows_is_a_document_of_its_own(void **state)
{
    (void)state;
    struct hd_str out;
    char *text = hd_slice_strdup(reachable(true, true, false, &out));
    assert_count(text, "<basic>open</basic>", 1);
    assert_count(text, "<contact>sip:bob@example.test</contact>", 1);
    assert_count(text, "person", 0);
    free(text);
    hd_str_done(&out);
    text = hd_slice_strdup(reachable(true, false, true, &out));
    assert_count(text, "<basic>closed</basic>", 1);
    assert_count(text, "<rpid:on-the-phone/>", 1);
    free(text);
    hd_str_done(&out);
    text = hd_slice_strdup(reachable(false, false, true, &out));
    assert_count(text, "tuple", 0);
    free(text);
    hd_str_done(&out);
}

static char *
on_phone_beside(const char *published)
{
    struct hd_str kept;
    const struct fmt_pidf_part parts[] = {
        { hd_slice_str(published), 7, false },
        { reachable(false, false, true, &kept), 0, true },
    };
    char *text = composed(parts, 2);
    hd_str_done(&kept);
    return text;
}

#define PUBLISHED(declarations, persons)                                                           \
    "<presence xmlns='urn:ietf:params:xml:ns:pidf' "                                               \
    "xmlns:p='urn:ietf:params:xml:ns:pidf:data-model' " declarations                               \
    " entity='sip:bob@example.test'><tuple id='t'><status/></tuple>" persons "</presence>"

static void
activities_that_the_broker_knows_go_into_the_published_person(void **state)
{
    (void)state;
    /* none is published: the broker's stays */
    char *text = on_phone_beside(PUBLISHED("", ""));
    assert_count(text, "<rpid:activities><rpid:on-the-phone/></rpid:activities>", 1);
    assert_count(text, "id=\"phone\"", 1);
    free(text);
    /* one without activities: they come first, as the schema of RFC 4480 wants it */
    text = on_phone_beside(PUBLISHED("", "<p:person id='me'><p:note>n</p:note></p:person>"));
    assert_count(text, "activities><p:note>n</p:note>", 1);
    assert_count(text, "on-the-phone", 1);
    assert_count(text, "id=\"phone\"", 0);
    free(text);
    /* an empty one */
    text = on_phone_beside(PUBLISHED("", "<p:person id='me'/>"));
    assert_count(text, "on-the-phone", 1);
    assert_count(text, "id=\"me\"", 1);
    free(text);
    /* one that says so already */
    text = on_phone_beside(PUBLISHED("xmlns:r='urn:ietf:params:xml:ns:pidf:rpid'",
                                     "<p:person id='me'><r:activities><r:on-the-phone/>"
                                     "</r:activities></p:person>"));
    assert_count(text, "on-the-phone", 1);
    free(text);
    /* a prefix of ours that means something else there */
    text =
        on_phone_beside(PUBLISHED("xmlns:rpid='urn:x' xmlns:rpid0='urn:y'",
                                  "<p:person id='me'><rpid:on-the-phone/><rpid0:z/></p:person>"));
    assert_count(text, "<rpid1:on-the-phone/>", 1);
    assert_count(text, "<rpid:on-the-phone/>", 1);
    free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_are_accepted_or_refused),
        cmocka_unit_test(a_single_document_about_the_entity_goes_through_unchanged),
        cmocka_unit_test(the_entity_is_compared_without_its_scheme),
        cmocka_unit_test(a_single_document_about_another_entity_gets_ours),
        cmocka_unit_test(tuples_of_all_publications_are_kept_newest_first),
        cmocka_unit_test(the_person_is_the_newest_publications_that_has_one),
        cmocka_unit_test(an_id_that_occurs_again_is_renamed_where_the_number_is_higher),
        cmocka_unit_test(a_renamed_id_that_is_taken_too_is_renamed_on),
        cmocka_unit_test(ids_are_unique_over_tuples_persons_and_devices),
        cmocka_unit_test(only_devices_with_equal_ids_are_merged_the_newest_wins),
        cmocka_unit_test(notes_and_unknown_elements_of_all_publications_are_kept),
        cmocka_unit_test(a_prefix_with_two_meanings_keeps_both),
        cmocka_unit_test(other_default_namespaces_keep_their_meaning),
        cmocka_unit_test(prefixes_of_three_clients_live_side_by_side),
        cmocka_unit_test(root_attributes_are_kept_the_newest_first),
        cmocka_unit_test(the_language_of_a_root_goes_with_its_children),
        cmocka_unit_test(what_is_not_valid_is_left_out),
        cmocka_unit_test(namespaces_do_not_multiply_a_document_without_bound),
        cmocka_unit_test(a_composed_document_composes_again),
        cmocka_unit_test(nothing_published_is_one_closed_tuple),
        cmocka_unit_test(what_the_broker_knows_is_a_document_of_its_own),
        cmocka_unit_test(activities_that_the_broker_knows_go_into_the_published_person),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
