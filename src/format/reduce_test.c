/* reduce_test.c - what a rule leaves of a document. */
#include "format/reduce.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX 65536

/* Words separated by blanks, as a reduction's list. */
static size_t
words(const char *text, struct hd_slice slices[64])
{
    struct hd_slice rest = hd_slice_str(text ? text : "");
    size_t n = 0;
    while (rest.n)
        slices[n++] = hd_slice_cut(&rest, ' ');
    return n;
}

struct wish {
    const char *hide, *only, *provide;
    uint32_t circle_m;
    enum fmt_civic civic;
};

typedef enum hd_err (*reduce_f)(const struct fmt_reduction *reduction, struct hd_slice body,
                                size_t max, struct hd_str *out);

static enum hd_err
reduce(reduce_f f, struct wish wish, const char *body, struct hd_str *out)
{
    struct hd_slice hide[64], only[64], provide[64];
    const struct fmt_reduction reduction = { .hide = hide,
                                             .only = only,
                                             .provide = provide,
                                             .n_hide = words(wish.hide, hide),
                                             .n_only = words(wish.only, only),
                                             .n_provide = words(wish.provide, provide),
                                             .circle_m = wish.circle_m,
                                             .civic = wish.civic };
    *out = (struct hd_str){ 0 };
    /* Of exact size, so that the sanitizer sees a step too far. */
    const size_t n = strlen(body);
    char *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, body, n);
    const enum hd_err err = f(&reduction, hd_slice(copy, n), MAX, out);
    free(copy);
    return err;
}

static void
expect(reduce_f f, struct wish wish, const char *body, const char *left)
{
    struct hd_str out;
    const enum hd_err err = reduce(f, wish, body, &out);
    if (err || strcmp(hd_str_text(&out), left) != 0)
        fail_msg("%d\n%s\nnot\n%s", (int)err, hd_str_text(&out), left);
    hd_str_done(&out);
}

static void
expect_nothing(reduce_f f, struct wish wish, const char *body)
{
    struct hd_str out;
    if (reduce(f, wish, body, &out) != HD_ESYNTAX)
        fail_msg("%s\nis shown as\n%s", body, hd_str_text(&out));
    hd_str_done(&out);
}

/* ---- paths ---- */

static void
paths_that_cannot_be_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        bool ok;
    } row[] = {
        { "/a", true },
        { "/a/b/*/c", true },
        { "//a", true },
        { "/a/@b", true },
        { "//@b", true },
        { "/a~1b", true },
        { "", false },
        { "/", false },
        { "//", false },
        { "a", false },
        { "/a/", false },
        { "/a//b", false },
        { "///a", false },
        { "/@a/b", false },
        { "/a\nb", false },
        { "/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6", true },
        { "/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7", false },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        if (fmt_path_ok(hd_slice_str(row[i].path)) != row[i].ok)
            fail_msg("%s", row[i].path);
}

static void
parts_of_json_are_hidden_by_path_and_the_rest_stays_to_the_octet(void **state)
{
    (void)state;
    static const struct {
        struct wish wish;
        const char *body, *left;
    } row[] = {
        { { 0 }, "{\"a\": 1.50, \"b\":[ ]}", "{\"a\": 1.50,\"b\":[]}" },
        { { .hide = "/a" }, "{\"a\":1,\"b\":0.1}", "{\"b\":0.1}" },
        { { .hide = "/b" }, "{\"a\":1e2,\"b\":{\"a\":[1,2]}}", "{\"a\":1e2}" },
        { { .hide = "/a/b" }, "{\"a\":{\"b\":1,\"c\":2},\"b\":3}", "{\"a\":{\"c\":2},\"b\":3}" },
        { { .hide = "/a/*/x" },
          "{\"a\":[{\"x\":1,\"y\":2},{\"x\":3}],\"x\":4}",
          "{\"a\":[{\"y\":2},{}],\"x\":4}" },
        { { .hide = "/a/1" }, "{\"a\":[1,2,3]}", "{\"a\":[1,3]}" },
        { { .hide = "//x" },
          "{\"x\":1,\"a\":[{\"x\":2},{\"b\":{\"x\":3}}]}",
          "{\"a\":[{},{\"b\":{}}]}" },
        { { .hide = "//b/x" },
          "{\"x\":1,\"b\":{\"x\":2,\"b\":{\"x\":3}}}",
          "{\"x\":1,\"b\":{\"b\":{}}}" },
        { { .hide = "/*" }, "{\"a\":1,\"b\":2}", "{}" },
        { { .hide = "/*" }, "[1,2]", "[]" },
        { { .hide = "/a~1b /c~0" }, "{\"a/b\":1,\"c~\":2,\"c\":3}", "{\"c\":3}" },
        { { .hide = "/ab" }, "{\"a\\u0062\":1,\"\\u0061c\":2}", "{\"\\u0061c\":2}" },
        { { .hide = "/\xc3\xa4 /\xf0\x9f\x98\x80" },
          "{\"\\u00e4\":1,\"\\ud83d\\ude00\":2,\"x\":3}",
          "{\"x\":3}" },
        { { .hide = "/A" }, "{\"a\":1}", "{\"a\":1}" }, /* names are exact */
        { { .only = "/a" }, "{\"a\":{\"b\":[1]},\"c\":2}", "{\"a\":{\"b\":[1]}}" },
        { { .only = "/a/b /d" },
          "{\"a\":{\"b\":1,\"c\":2},\"d\":\"x\",\"e\":[{}]}",
          "{\"a\":{\"b\":1},\"d\":\"x\"}" },
        { { .only = "/a/*/n" },
          "{\"a\":[{\"n\":1,\"m\":2},{\"m\":3},{\"n\":4}]}",
          "{\"a\":[{\"n\":1},{\"n\":4}]}" },
        { { .only = "//n" },
          "{\"a\":{\"b\":{\"n\":1}},\"c\":{\"m\":1}}",
          "{\"a\":{\"b\":{\"n\":1}}}" },
        { { .only = "/z" }, "{\"a\":{\"b\":1}}", "{}" },
        { { .only = "/a", .hide = "/a/b" },
          "{\"a\":{\"b\":1,\"c\":2},\"d\":3}",
          "{\"a\":{\"c\":2}}" },
        { { .hide = "/a" }, "7", "7" },
        { { .hide = "/a" }, " \"a,}]\" ", "\"a,}]\"" },
        { { .hide = "/b" }, "{\"a\":\"\\\"},\",\"b\":1}", "{\"a\":\"\\\"},\"}" },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        expect(fmt_reduce_json, row[i].wish, row[i].body, row[i].left);
    expect_nothing(fmt_reduce_json, (struct wish){ .only = "/a" }, "7");
}

static void
a_name_too_long_to_compare_goes_where_anything_is_hidden(void **state)
{
    (void)state;
    char body[2048], name[1900] = "";
    for (unsigned i = 0; i < 300; i++)
        strcat(name, "\\u0061");
    snprintf(body, sizeof(body), "{\"%s\":1,\"b\":2}", name);
    expect(fmt_reduce_json, (struct wish){ .hide = "/b" }, body, "{}");
}

static void
parts_of_xml_are_hidden_by_path_whatever_their_prefix(void **state)
{
    (void)state;
#define X "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    static const struct {
        struct wish wish;
        const char *body, *left;
    } row[] = {
        { { 0 }, "<a  x='1'><b/></a>", X "<a  x='1'><b/></a>" },
        { { 0 }, "<a><!-- secret --><?pi secret?>t<![CDATA[<]]></a>", X "<a>t<![CDATA[<]]></a>" },
        { { .hide = "/a/b" }, "<a><b>1</b><c/></a>", X "<a><c/></a>" },
        { { .hide = "/a/b" }, "<a><c><b/></c></a>", X "<a><c><b/></c></a>" },
        { { .hide = "//b" }, "<a><c><b/></c><b>x<d/></b></a>", X "<a><c></c></a>" },
        { { .hide = "/a/b" },
          "<n:a xmlns:n='urn:n'><n:b/><n:c/></n:a>",
          X "<n:a xmlns:n='urn:n'><n:c/></n:a>" },
        { { .hide = "/a/@x /a/b/@*" },
          "<a x='1' y=\"2\"><b p='1' q='2'/></a>",
          X "<a  y=\"2\"><b  /></a>" },
        { { .hide = "//@x" }, "<a><b x='1'><c x='2'/></b></a>", X "<a><b ><c /></b></a>" },
        { { .hide = "/*" }, "<a>t</a>", X "<a>t</a>" }, /* the root stays */
        { { .only = "/a/b" }, "<a x='1'>t<b>u</b><c>v</c></a>", X "<a x='1'><b>u</b></a>" },
        { { .only = "/a/b/c" }, "<a><b>t<c/></b><b><d/></b></a>", X "<a><b><c/></b></a>" },
        { { .only = "//c" }, "<a><b><c>x</c></b><d/></a>", X "<a><b><c>x</c></b></a>" },
        { { .only = "/a/b", .hide = "/a/b/c" }, "<a><b>1<c>2</c></b></a>", X "<a><b>1</b></a>" },
        { { .only = "/x" }, "<a><b/>t</a>", X "<a></a>" },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        expect(fmt_reduce_xml, row[i].wish, row[i].body, row[i].left);
}

static void
what_cannot_be_read_shows_nothing(void **state)
{
    (void)state;
    static const char *const json[] = { "",    "{",    "{\"a\":1", "{\"a\":1,\"a\":2}",
                                        "nul", "[1,]", "\xff" };
    static const char *const xml[] = { "", "<a>", "<a></b>", "<!DOCTYPE a><a/>", "<a x=1/>", "t" };
    for (size_t i = 0; i < HD_ARRAY_LEN(json); i++)
        expect_nothing(fmt_reduce_json, (struct wish){ .hide = "/a" }, json[i]);
    for (size_t i = 0; i < HD_ARRAY_LEN(xml); i++) {
        expect_nothing(fmt_reduce_xml, (struct wish){ .hide = "/a" }, xml[i]);
        expect_nothing(fmt_reduce_xml, (struct wish){ .provide = "services" }, xml[i]);
    }
    /* Permissions are for presence. */
    expect_nothing(fmt_reduce_json, (struct wish){ .provide = "services" }, "{}");
    expect_nothing(fmt_reduce_xml, (struct wish){ .provide = "services" }, "<presence/>");
}

/* ---- permissions ---- */

#define P                                                                                          \
    "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" "                                             \
    "xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" "                                         \
    "xmlns:r=\"urn:ietf:params:xml:ns:pidf:rpid\" xmlns:x=\"urn:x\" entity=\"sip:a@b\">"
static void
presence_shows_what_is_permitted_and_nothing_else(void **state)
{
    (void)state;
    static const char body[] =
        P "<tuple id=\"t1\"><status><basic>open</basic><x:s>1</x:s></status><r:class>biz</r:class>"
          "<r:privacy/><r:relationship/><r:user-input idle-threshold=\"600\" since=\"x\">idle"
          "</r:user-input><dm:deviceID>urn:d</dm:deviceID><contact>sip:a@phone</contact>"
          "<note>TUPLE</note></tuple>"
          "<tuple id=\"t2\"><status><basic>closed</basic></status><contact>im:a@b</contact></tuple>"
          "<note>TOP</note>"
          "<dm:person "
          "id=\"p1\"><r:activities><r:busy/></r:activities><r:mood/><dm:note>PERSON</dm:note>"
          "<dm:timestamp>t</dm:timestamp></dm:person>"
          "<dm:device id=\"d1\"><dm:deviceID>urn:d</dm:deviceID><r:status-icon>i</r:status-icon>"
          "</dm:device><x:more/></presence>";
    static const struct {
        const char *provide, *left;
    } row[] = {
        { "note", X P "<note>TOP</note></presence>" },
        { "services",
          X P "<tuple id=\"t1\"><status><basic>open</basic></status><contact>sip:a@phone</contact>"
              "</tuple><tuple id=\"t2\"><status><basic>closed</basic></status>"
              "<contact>im:a@b</contact></tuple></presence>" },
        { "services:occurrence-id=t2",
          X P "<tuple id=\"t2\"><status><basic>closed</basic></status><contact>im:a@b</contact>"
              "</tuple></presence>" },
        { "services:service-uri-scheme=im class",
          X P "<tuple id=\"t2\"><status><basic>closed</basic></status><contact>im:a@b</contact>"
              "</tuple></presence>" },
        { "services:class=biz class",
          X P "<tuple id=\"t1\"><status><basic>open</basic></status><r:class>biz</r:class>"
              "<contact>sip:a@phone</contact></tuple></presence>" },
        { "services:service-uri=sip:a@phone user-input=thresholds",
          X P "<tuple id=\"t1\"><status><basic>open</basic></status>"
              "<r:user-input idle-threshold=\"600\" >idle</r:user-input>"
              "<contact>sip:a@phone</contact></tuple></presence>" },
        { "services:occurrence-id=t1 user-input=bare deviceID unknown=urn:x#s privacy",
          X P "<tuple id=\"t1\"><status><basic>open</basic><x:s>1</x:s></status><r:privacy/>"
              "<r:user-input  >idle</r:user-input><dm:deviceID>urn:d</dm:deviceID>"
              "<contact>sip:a@phone</contact></tuple></presence>" },
        { "persons activities", X P "<dm:person id=\"p1\"><r:activities><r:busy/></r:activities>"
                                    "<dm:timestamp>t</dm:timestamp></dm:person></presence>" },
        { "persons:occurrence-id=p1 mood note",
          X P "<note>TOP</note><dm:person id=\"p1\"><r:mood/><dm:note>PERSON</dm:note>"
              "<dm:timestamp>t</dm:timestamp></dm:person></presence>" },
        { "persons:class=none", X P "</presence>" },
        { "devices:deviceID=urn:d",
          X P "<dm:device id=\"d1\"><dm:deviceID>urn:d</dm:deviceID></dm:device></presence>" },
        { "devices status-icon unknown=urn:x#more",
          X P "<dm:device id=\"d1\"><dm:deviceID>urn:d</dm:deviceID>"
              "<r:status-icon>i</r:status-icon></dm:device><x:more/></presence>" },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        expect(fmt_reduce_xml, (struct wish){ .provide = row[i].provide }, body, row[i].left);
    /* All of it, but what stands beside tuples, persons and devices unknown. */
    struct hd_str out;
    assert_int_equal(
        reduce(fmt_reduce_xml,
               (struct wish){ .provide = "services persons devices note all-attributes" }, body,
               &out),
        HD_OK);
    assert_null(strstr(hd_str_text(&out), "x:more/"));
    assert_non_null(strstr(hd_str_text(&out), "since=\"x\""));
    assert_non_null(strstr(hd_str_text(&out), "<x:s>1</x:s>"));
    hd_str_done(&out);
}

static void
permissions_that_nobody_knows_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *permission;
        bool ok;
    } row[] = {
        { "services", true },
        { "activities", true },
        { "user-input=bare", true },
        { "devices:class=x", true },
        { "unknown=urn:x#n", true },
        { "location", true },
        { "", false },
        { "tuples", false },
        { "devices:", false },
        { "devices:class=", false },
        { "unknown=#n", true },
        { "unknown=urn:x", false },
        { "unknown=urn:x#", false },
        { "Activities", false },
        { "user-input=no", false },
        { "persons:deviceID=x", false },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        if (fmt_provide_ok(hd_slice_str(row[i].permission)) != row[i].ok)
            fail_msg("%s", row[i].permission);
}

/* ---- positions ---- */

#define LO(s)                                                                                      \
    "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" xmlns:gp=\"urn:ietf:params:xml:ns:pidf:"      \
    "geopriv10\" xmlns:gml=\"http://www.opengis.net/gml\" xmlns:gs=\"http://www.opengis.net/"      \
    "pidflo/1.0\" xmlns:ca=\"urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr\" "                   \
    "entity=\"sip:a@b\">"                                                                          \
    "<tuple id=\"t\"><status><gp:geopriv>" s "<gp:method>GPS</gp:method></gp:geopriv></status>"    \
    "</tuple></presence>"
#define INFO(s) "<gp:location-info>" s "</gp:location-info>"
static void
a_position_in_a_pidf_becomes_a_circle(void **state)
{
    (void)state;
    struct hd_str out;
    static const char *const shapes[] = {
        "<gml:Point srsName=\"urn:ogc:def:crs:EPSG::4326\"><gml:pos>48.20001 "
        "16.37001</gml:pos></gml:Point>",
        "<gml:Point srsName=\"urn:ogc:def:crs:EPSG::4979\"><gml:pos>48.20001 16.37001 "
        "170</gml:pos></gml:Point>",
        "<gs:Circle srsName=\"urn:ogc:def:crs:EPSG::4326\"><gml:pos>48.20001 "
        "16.37001</gml:pos><gs:radius "
        "uom=\"urn:ogc:def:uom:EPSG::9001\">20.5</gs:radius></gs:Circle>",
        "<gml:Polygon "
        "srsName=\"urn:ogc:def:crs:EPSG::4326\"><gml:exterior><gml:LinearRing><gml:pos>48.20001 "
        "16.37001"
        "</gml:pos><gml:pos>48.20002 16.37001</gml:pos><gml:pos>48.20001 16.37002</gml:pos>"
        "</gml:LinearRing></gml:exterior></gml:Polygon>",
        "<gml:Polygon><gml:posList>48.20001 16.37001 48.20002 16.37001 48.20001 "
        "16.37002</gml:posList>"
        "</gml:Polygon>",
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(shapes); i++) {
        char body[2048];
        snprintf(body, sizeof(body), LO(INFO("%s")), shapes[i]);
        assert_int_equal(reduce(fmt_reduce_xml, (struct wish){ .circle_m = 1000 }, body, &out),
                         HD_OK);
        if (!strstr(hd_str_text(&out), "<gs:Circle ") || strstr(hd_str_text(&out), "48.2000") ||
            strstr(hd_str_text(&out), "16.3700") || strstr(hd_str_text(&out), "170<") ||
            !strstr(hd_str_text(&out), "<gp:method>GPS</gp:method>"))
            fail_msg("%s", hd_str_text(&out));
        assert_non_null(
            strstr(hd_str_text(&out), i < 2 ? ">1000</gs:radius>" : ">2000</gs:radius>"));
        struct hd_str again;
        assert_int_equal(reduce(fmt_reduce_xml, (struct wish){ 0 }, hd_str_text(&out), &again),
                         HD_OK); /* it is well-formed */
        hd_str_done(&again);
        hd_str_done(&out);
    }
}

static void
a_position_that_cannot_be_hidden_is_not_shown(void **state)
{
    (void)state;
    static const char *const infos[] = {
        ("<gml:Point srsName=\"urn:ogc:def:crs:EPSG::31256\"><gml:pos>48.2 "
         "16.37</gml:pos></gml:Point>"),
        "<gml:Point><gml:pos>48.2</gml:pos></gml:Point>",
        "<gml:Point><gml:pos>48.2 north</gml:pos></gml:Point>",
        "<gml:Point><gml:pos>89 16.37</gml:pos></gml:Point>",
        "<gs:Circle><gml:pos>48.2 16.37</gml:pos><gs:radius>?</gs:radius></gs:Circle>",
        "<unknown>48.2 16.37</unknown>",
        "<ca:civicAddress><ca:country>AT</ca:country><ca:A6>48.2</ca:A6></ca:civicAddress>",
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(infos); i++) {
        char body[2048];
        snprintf(body, sizeof(body), LO(INFO("%s")), infos[i]);
        expect(fmt_reduce_xml, (struct wish){ .circle_m = 1000 }, body, X LO(INFO("")));
    }
    expect(fmt_reduce_xml, (struct wish){ .circle_m = 1000 }, LO("<gp:location-info/>"),
           X LO("<gp:location-info/>"));
    expect(fmt_reduce_xml, (struct wish){ .circle_m = 1000 },
           "<truck lat='48.2' LON='16.37' id='7'><Latitude>48.2</Latitude><speed>3</speed></truck>",
           X "<truck   id='7'><speed>3</speed></truck>");
}

static void
a_civic_address_is_shown_as_far_as_its_level(void **state)
{
    (void)state;
#define CIVIC(s) "<ca:civicAddress xml:lang=\"de\">" s "</ca:civicAddress>"
    static const char body[] = LO(INFO(
        CIVIC("<ca:country>AT</ca:country><ca:A1>Wien</ca:A1><ca:A3>Wien</ca:A3><ca:RD>Ring</ca:RD>"
              "<ca:HNO>1</ca:HNO><ca:FLR>3</ca:FLR>")));
    static const struct {
        enum fmt_civic civic;
        const char *left;
    } row[] = {
        { FMT_CIVIC_NONE, X LO(INFO("")) },
        { FMT_CIVIC_COUNTRY, X LO(INFO(CIVIC("<ca:country>AT</ca:country>"))) },
        { FMT_CIVIC_REGION, X LO(INFO(CIVIC("<ca:country>AT</ca:country><ca:A1>Wien</ca:A1>"))) },
        { FMT_CIVIC_CITY, X LO(INFO(CIVIC("<ca:country>AT</ca:country><ca:A1>Wien</ca:A1>"
                                          "<ca:A3>Wien</ca:A3>"))) },
        { FMT_CIVIC_BUILDING,
          X LO(INFO(CIVIC("<ca:country>AT</ca:country><ca:A1>Wien</ca:A1><ca:A3>Wien</ca:A3>"
                          "<ca:RD>Ring</ca:RD><ca:HNO>1</ca:HNO>"))) },
        { FMT_CIVIC_FULL,
          X LO(INFO(CIVIC("<ca:country>AT</ca:country><ca:A1>Wien</ca:A1><ca:A3>Wien</ca:A3>"
                          "<ca:RD>Ring</ca:RD><ca:HNO>1</ca:HNO><ca:FLR>3</ca:FLR>"))) },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        expect(fmt_reduce_xml, (struct wish){ .circle_m = 1000, .civic = row[i].civic }, body,
               row[i].left);
}

static void
positions_in_json_become_circles_wherever_they_stand(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"truck\":7,\"lat\":48.20001,\"lon\":16.37001}",
        "{\"pos\":{\"Latitude\":48.20001,\"Longitude\":16.37001,\"altitude\":170.2}}",
        "{\"lat\":\"48.20001\",\"lng\":\"16.37001\",\"speed\":170.2}",
        "{\"type\":\"Feature\",\"geometry\":{\"type\":\"Point\",\"coordinates\":[16.37001,48.20001,"
        "170.2]}}",
        "[{\"bn\":\"truck7\",\"n\":\"a\",\"u\":\"lat\",\"v\":48.20001},{\"u\":\"lon\",\"v\":16."
        "37001}]",
        "{\"l\\u0061t\":48.20001,\"lon\":16.37001}",
    };
    static const char *const lost[] = {
        "{\"a\":1,\"lat\":48.20001}",
        "{\"a\":1,\"lat\":48.20001,\"lon\":null}",
        "{\"a\":1,\"lat\":48.20001,\"latitude\":48.20001,\"lon\":16.37001}",
        "{\"a\":1,\"lat\":89.20001,\"lon\":16.37001}",
        "{\"a\":1,\"lat\":[48.20001],\"lon\":16.37001}",
        "{\"a\":1,\"lat\":48.20001,\"lon\":16.37001e1000}",
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(bodies); i++) {
        struct hd_str out;
        assert_int_equal(
            reduce(fmt_reduce_json, (struct wish){ .circle_m = 1000 }, bodies[i], &out), HD_OK);
        const char *text = hd_str_text(&out);
        if (strstr(text, "48.2000") || strstr(text, "16.3700") || strstr(text, "170.2") ||
            !strstr(text, "48.") || !strstr(text, "16.3"))
            fail_msg("%s", text);
        hd_str_done(&out);
    }
    for (size_t i = 0; i < HD_ARRAY_LEN(lost) - 1; i++)
        expect(fmt_reduce_json, (struct wish){ .circle_m = 1000 }, lost[i], "{\"a\":1}");
    expect(fmt_reduce_json, (struct wish){ .circle_m = 1000 },
           "{\"geometry\":{\"type\":\"LineString\",\"coordinates\":[[16.3,48.2],[16.4,48.2]]},"
           "\"a\":1}",
           "{\"geometry\":null,\"a\":1}");
    expect(fmt_reduce_json, (struct wish){ .circle_m = 1000 }, "{\"type\":\"Point\",\"b\":[1,2]}",
           "{\"type\":\"Point\",\"b\":[1,2]}");
}

static bool
contains(struct wish more, struct wish less)
{
    struct hd_slice hide[2][64], only[2][64], provide[2][64];
    struct fmt_reduction r[2];
    const struct wish wish[2] = { more, less };
    for (unsigned i = 0; i < 2; i++)
        r[i] = (struct fmt_reduction){ .hide = hide[i],
                                       .only = only[i],
                                       .provide = provide[i],
                                       .n_hide = words(wish[i].hide, hide[i]),
                                       .n_only = words(wish[i].only, only[i]),
                                       .n_provide = words(wish[i].provide, provide[i]),
                                       .circle_m = wish[i].circle_m,
                                       .civic = wish[i].civic };
    return fmt_reduction_contains(&r[0], &r[1]);
}

static void
one_reduction_contains_another(void **state)
{
    static const struct {
        struct wish more, less;
        bool back; /* less contains more, too */
    } row[] = {
        { { .hide = "/a" }, { .hide = "/a /b" }, false },
        { { .hide = "/a /b" }, { .hide = "/b /a" }, true },
        { { .only = "/a /b" }, { .only = "/b" }, false },
        { { .hide = "/c" }, { .only = "/b", .hide = "/c" }, false },
        { { .provide = "services note" }, { .provide = "services" }, false },
        { { .provide = "services" },
          { .provide = "services:class=a services:service-uri=b" },
          false },
        { { .circle_m = 100 }, { .provide = "persons", .circle_m = 100 }, false },
        { { .provide = "all-attributes" }, { .provide = "mood user-input=bare deviceID" }, false },
        { { .provide = "user-input" }, { .provide = "user-input=thresholds" }, false },
        { { .provide = "user-input=thresholds" }, { .provide = "user-input=bare" }, false },
        { { .circle_m = 100 }, { .circle_m = 200 }, false },
        { { .circle_m = 100, .civic = FMT_CIVIC_CITY }, { .circle_m = 100 }, false },
        { { .hide = "/a" }, { .hide = "/a", .circle_m = 100 }, false },
    };
    static const struct {
        struct wish one, other;
    } apart[] = {
        { { .hide = "/a" }, { .hide = "/b" } },
        { { .only = "/a" }, { .only = "/b" } },
        { { .only = "/a" }, { .hide = "/b" } },
        { { .provide = "services" }, { .provide = "persons" } },
        { { .provide = "services:class=a" }, { .provide = "services:class=b" } },
        { { .provide = "all-attributes" }, { .provide = "note" } },
        { { .provide = "all-attributes" }, { .provide = "location" } },
        { { .provide = "all-attributes" }, { .provide = "unknown=urn:x#y" } },
        { { .provide = "class" }, { .provide = "services:class=a" } },
        { { .circle_m = 100 }, { .circle_m = 200, .civic = FMT_CIVIC_CITY } },
        { { .circle_m = 100 }, { .provide = "persons" } },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        if (!contains(row[i].more, row[i].less) ||
            contains(row[i].less, row[i].more) != row[i].back)
            fail_msg("row %zu", i);
    for (size_t i = 0; i < HD_ARRAY_LEN(apart); i++)
        if (contains(apart[i].one, apart[i].other) || contains(apart[i].other, apart[i].one))
            fail_msg("apart %zu", i);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_that_cannot_be_are_refused),
        cmocka_unit_test(parts_of_json_are_hidden_by_path_and_the_rest_stays_to_the_octet),
        cmocka_unit_test(a_name_too_long_to_compare_goes_where_anything_is_hidden),
        cmocka_unit_test(parts_of_xml_are_hidden_by_path_whatever_their_prefix),
        cmocka_unit_test(what_cannot_be_read_shows_nothing),
        cmocka_unit_test(presence_shows_what_is_permitted_and_nothing_else),
        cmocka_unit_test(permissions_that_nobody_knows_are_refused),
        cmocka_unit_test(a_position_in_a_pidf_becomes_a_circle),
        cmocka_unit_test(a_position_that_cannot_be_hidden_is_not_shown),
        cmocka_unit_test(a_civic_address_is_shown_as_far_as_its_level),
        cmocka_unit_test(positions_in_json_become_circles_wherever_they_stand),
        cmocka_unit_test(one_reduction_contains_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
