/* condition_test.c - thresholds in their three spellings: when they fire, and what is refused. */
#include "filter/test_filter.h"

#include <stdio.h>

/* --- levels ---------------------------------------------------------------------------------- */

static void
above_fires_once_per_crossing(void **state)
{
    struct bench b;

    (void)state;
    bench_begin(&b, NULL, "hr above 140 clear 120");
    assert_int_equal(bench_json(&b, "{\"hr\":100}"), 0);
    assert_int_equal(bench_json(&b, "{\"hr\":140}"), 0);
    assert_int_equal(bench_json(&b, "{\"hr\":141}"), 1);
    assert_int_equal(bench_json(&b, "{\"hr\":160}"), 0);
    assert_int_equal(bench_json(&b, "{\"hr\":130}"), 0); /* between: still the same alarm */
    assert_int_equal(bench_json(&b, "{\"hr\":150}"), 0);
    assert_int_equal(b.step.on, 1);
    assert_int_equal(bench_json(&b, "{\"hr\":120}"), 0); /* armed again */
    assert_int_equal(b.step.on, 0);
    assert_int_equal(bench_json(&b, "{\"hr\":141}"), 1);
    bench_end(&b);
}

static void
below_is_the_mirror_image(void **state)
{
    struct bench b;

    (void)state;
    bench_begin(&b, NULL, "stock below 20 clear 40");
    assert_int_equal(bench_json(&b, "{\"stock\":20}"), 0);
    assert_int_equal(bench_json(&b, "{\"stock\":19}"), 1);
    assert_int_equal(bench_json(&b, "{\"stock\":39}"), 0);
    assert_int_equal(bench_json(&b, "{\"stock\":3}"), 0);
    assert_int_equal(bench_json(&b, "{\"stock\":40}"), 0);
    assert_int_equal(bench_json(&b, "{\"stock\":19.5}"), 1);
    bench_end(&b);
}

static void
a_dwell_has_to_last(void **state)
{
    struct bench b;

    (void)state;
    bench_begin(&b, NULL, "hr above 140 clear 120 for 5s");
    (void)bench_json(&b, "{\"hr\":100}");
    assert_int_equal(bench_json(&b, "{\"hr\":150}"), 0);
    assert_int_equal(b.step.due_ms, b.now_ms + 5000);
    assert_int_equal(bench_wait(&b, 4999), 0);
    assert_int_equal(bench_json(&b, "{\"hr\":139}"), 0); /* not long enough */
    assert_int_equal(b.step.due_ms, UINT64_MAX);
    assert_int_equal(bench_wait(&b, 10000), 0);
    assert_int_equal(bench_json(&b, "{\"hr\":150}"), 0);
    assert_int_equal(bench_wait(&b, 3000), 0);
    assert_int_equal(bench_json(&b, "{\"hr\":155}"), 0); /* the time runs from the first one on */
    assert_int_equal(bench_wait(&b, 2000), 1);
    assert_int_equal(bench_wait(&b, 2000), 0);
    bench_end(&b);
}

static void
is_compares_numbers_words_and_truth(void **state)
{
    struct bench b;

    (void)state;
    bench_begin(&b, NULL, "lead_off is true or door is open or n is 5");
    (void)bench_json(&b, "{\"lead_off\":false,\"door\":\"shut\",\"n\":4}");
    assert_int_equal(bench_json(&b, "{\"lead_off\":true,\"door\":\"shut\",\"n\":4}"), 1);
    assert_int_equal(bench_json(&b, "{\"lead_off\":true,\"door\":\"open\",\"n\":4}"), 2);
    assert_int_equal(bench_json(&b, "{\"lead_off\":true,\"door\":\"open\",\"n\":5.0}"), 4);
    assert_int_equal(bench_json(&b, "{\"lead_off\":false,\"door\":\"open\",\"n\":5}"), 0);
    assert_int_equal(bench_json(&b, "{\"lead_off\":true,\"door\":\"open\",\"n\":5}"), 1);
    bench_end(&b);
}

static void
a_band_is_entered_and_left(void **state)
{
    struct bench b;

    (void)state;
    bench_begin(&b, NULL, "t enters 2 to 8 or t leaves 2 8");
    (void)bench_json(&b, "{\"t\":5}");
    assert_int_equal(b.step.on, 1);
    assert_int_equal(bench_json(&b, "{\"t\":9}"), 2);
    assert_int_equal(bench_json(&b, "{\"t\":8}"), 1);
    bench_end(&b);
}

static void
all_fire_together_and_any_by_themselves(void **state)
{
    struct bench b;

    (void)state;
    bench_begin(&b, JSON_TYPE,
                "{\"any\":[{\"all\":[{\"above\":{\"path\":\"/a\",\"value\":1}},"
                "{\"any\":[{\"above\":{\"path\":\"/b\",\"value\":1}},"
                "{\"is\":{\"path\":\"c\",\"value\":true}}]}],\"name\":\"both\"},"
                "{\"below\":{\"path\":\"/a\",\"value\":-1}}]}");
    (void)bench_json(&b, "{\"a\":0,\"b\":0,\"c\":false}");
    assert_int_equal(bench_json(&b, "{\"a\":2,\"b\":0,\"c\":false}"), 0);
    assert_int_equal(bench_json(&b, "{\"a\":2,\"b\":0,\"c\":true}"), 1);
    assert_int_equal(bench_json(&b, "{\"a\":2,\"b\":2,\"c\":false}"),
                     0); /* was true all the time */
    assert_int_equal(bench_json(&b, "{\"a\":0,\"b\":2,\"c\":false}"), 0);
    assert_int_equal(bench_json(&b, "{\"a\":2,\"b\":2,\"c\":false}"), 1);
    assert_int_equal(bench_json(&b, "{\"a\":-2,\"b\":2,\"c\":false}"), 2);
    assert_true(hd_slice_eq(flt_filter_ops()->name(b.filter, 0), HD_LIT("both")));
    assert_true(hd_slice_eq(flt_filter_ops()->name(b.filter, 1), HD_LIT("2")));
    bench_end(&b);
}

static void
silence_fires_and_a_sign_of_life_arms_again(void **state)
{
    struct bench b;

    (void)state;
    bench_begin(&b, NULL, "stale-for 10s");
    (void)bench_json(&b, "{}");
    assert_int_equal(bench_wait(&b, 9999), 0);
    assert_int_equal(bench_wait(&b, 1), 1);
    assert_int_equal(bench_wait(&b, 100000), 0);
    (void)bench_json(&b, "{}");
    assert_int_equal(b.step.on, 0);
    assert_int_equal(bench_wait(&b, 10000), 1);
    bench_end(&b);
}

static void
the_re_arm_is_told_when_asked_for(void **state)
{
    struct bench b;

    (void)state;
    bench_begin(&b, NULL, "hr above 140 clear 120 as high clear-notify or hr below 40");
    (void)bench_json(&b, "{\"hr\":150}");
    (void)bench_json(&b, "{\"hr\":100}");
    assert_int_equal(b.step.cleared, 1);
    (void)bench_json(&b, "{\"hr\":30}");
    (void)bench_json(&b, "{\"hr\":100}");
    assert_int_equal(b.step.cleared, 0);
    bench_end(&b);
}

static void
a_body_that_lacks_the_path_changes_nothing_and_is_counted(void **state)
{
    struct bench b;

    (void)state;
    bench_begin(&b, NULL, "hr above 140");
    (void)bench_json(&b, "{\"hr\":150}");
    assert_int_equal(bench_json(&b, "{\"other\":1}"), 0);
    assert_int_equal(b.step.missing, 1);
    assert_int_equal(b.step.on, 1);
    (void)bench_doc(&b, "text/plain", "hr 100");
    assert_int_equal(b.step.missing, 1);
    (void)bench_json(&b, "{\"hr\":\"high\"}");
    assert_int_equal(b.step.missing, 1);
    assert_int_equal(bench_json(&b, "{\"hr\":141}"), 0);
    bench_end(&b);
}

/* --- where values are ------------------------------------------------------------------------- */

static void
senml_names_units_and_times_are_understood(void **state)
{
    struct bench b;

    (void)state;
    bench_begin(&b, JSON_TYPE,
                "{\"any\":[{\"above\":{\"path\":\"hr\",\"value\":140,\"unit\":\"beat/min\"}},"
                "{\"is\":{\"path\":\"lead_off\",\"value\":true}},"
                "{\"above\":{\"path\":\"urn:dev:mac:0024befffe804ff1:hr\",\"value\":170}}]}");
    (void)bench_doc(&b, "application/senml+json",
                    "[{\"bn\":\"urn:dev:mac:0024befffe804ff1:\",\"bt\":1.7684592e9,\"n\":\"hr\","
                    "\"u\":\"beat/min\",\"v\":100},{\"n\":\"lead_off\",\"vb\":false}]");
    assert_int_equal(b.step.missing, 0);
    assert_int_equal(bench_doc(&b, "application/senml+json",
                               "[{\"bn\":\"urn:dev:mac:0024befffe804ff1:\",\"bt\":1.7684593e9,"
                               "\"n\":\"hr\",\"u\":\"beat/min\",\"v\":168},"
                               "{\"n\":\"lead_off\",\"vb\":true}]"),
                     3);
    /* of two readings the later one counts, wherever it stands */
    assert_int_equal(bench_doc(&b, "application/senml+json",
                               "[{\"bn\":\"urn:dev:mac:0024befffe804ff1:\",\"n\":\"hr\",\"bt\":10,"
                               "\"bu\":\"beat/min\",\"v\":180},{\"n\":\"hr\",\"t\":-5,\"v\":90}]"),
                     4);
    (void)bench_doc(&b, "application/senml+json", "[{\"n\":\"hr\",\"u\":\"Hz\",\"v\":1}]");
    assert_int_equal(b.step.on & 1, 1); /* a unit that does not match: as if it were not there */
    bench_end(&b);
}

static void
pointers_go_through_objects_and_arrays(void **state)
{
    struct bench b;

    (void)state;
    bench_begin(&b, NULL, "/a~1b/1/m~0n above 1 or valueQuantity/value above 1");
    (void)bench_json(&b, "{\"a/b\":[0,{\"m~n\":1}],\"valueQuantity\":{\"value\":1}}");
    assert_int_equal(b.step.missing, 0);
    assert_int_equal(
        bench_json(&b, "{\"a\\/b\":[0,{\"m\\u007en\":2}],\"valueQuantity\":{\"value\":2}}"), 3);
    bench_end(&b);
}

static void
elements_and_attributes_are_values_too(void **state)
{
    struct bench b;

    (void)state;
    bench_begin(&b, NULL, "//reading/@bpm above 140 or battery below 10");
    (void)bench_doc(&b, "application/xml",
                    "<m xmlns='urn:x'><reading bpm='100'/><battery>50</battery></m>");
    assert_int_equal(b.step.missing, 0);
    assert_int_equal(bench_doc(&b, "application/xml",
                               "<m xmlns='urn:x'><reading bpm='150'/><battery> 5 </battery></m>"),
                     3);
    bench_end(&b);
}

static void
changed_by_compares_with_what_was_sent(void **state)
{
    struct bench b;
    const char *json = "application/json";

    (void)state;
    bench_begin(&b, NULL, "stock changed-by 10 or door changed or door changed to open");
    assert_true(b.filter->differs && b.filter->own);
    assert_int_equal(bench_compare(&b, json, "{\"stock\":17}", "{\"stock\":26.5}"), 0);
    assert_int_equal(bench_compare(&b, json, "{\"stock\":17}", "{\"stock\":27}"), 1);
    assert_int_equal(bench_compare(&b, json, "{\"stock\":17}", "{\"stock\":7}"), 1);
    assert_int_equal(bench_compare(&b, json, NULL, "{\"stock\":7}"), 1);
    assert_int_equal(bench_compare(&b, json, "{\"door\":\"a\"}", "{\"door\":\"a\"}"), 0);
    assert_int_equal(bench_compare(&b, json, "{\"door\":\"a\"}", "{\"door\":\"b\"}"), 2);
    assert_int_equal(bench_compare(&b, json, "{\"door\":\"a\"}", "{\"door\":\"open\"}"), 6);
    assert_int_equal(bench_compare(&b, json, "{\"door\":1}", "{\"door\":1.0}"), 0);
    bench_end(&b);
}

/* --- the three spellings ---------------------------------------------------------------------- */

/* FIELD: the monitor's filter inside a standard filter-set. */
static void
our_conditions_stand_in_a_filter_set(void **state)
{
    static const char text[] =
        "<filter-set xmlns=\"urn:ietf:params:xml:ns:simple-filter\" xmlns:t=\"urn:herald:filter\">"
        "<filter id=\"ekg1\" uri=\"sip:presentity@example.com\">"
        "<trigger><t:above path=\"hr\" value=\"140\" clear=\"120\" for=\"5s\"/></trigger>"
        "<trigger><t:below path=\"hr\" value=\"40\" clear=\"50\" for=\"3s\" "
        "name=\"low\"/></trigger>"
        "<trigger><t:is path=\"lead_off\" value=\"true\"/></trigger>"
        "<trigger><t:stale-for value=\"10s\"/></trigger>"
        "</filter></filter-set>";
    struct bench b;

    (void)state;
    bench_begin(&b, XML_TYPE, text);
    assert_true(b.filter->own && b.filter->levels && b.filter->signs && !b.filter->cuts);
    assert_true(hd_slice_eq(flt_filter_ops()->name(b.filter, 0), HD_LIT("ekg1.1")));
    assert_true(hd_slice_eq(flt_filter_ops()->name(b.filter, 1), HD_LIT("low")));
    (void)bench_json(&b, "{\"hr\":100,\"lead_off\":false}");
    assert_int_equal(bench_json(&b, "{\"hr\":30,\"lead_off\":true}"), 4);
    assert_int_equal(bench_wait(&b, 3000), 2);
    assert_int_equal(bench_wait(&b, 7000), 8);
    bench_end(&b);
}

static void
json_takes_words_as_well(void **state)
{
    struct bench b;

    (void)state;
    bench_begin(&b, JSON_TYPE,
                "{\"when\":[\"hr above 140 clear 120\",\"\\\"a b\\\" is \\\"x y\\\"\"]}");
    (void)bench_json(&b, "{\"hr\":1,\"a b\":\"z\"}");
    assert_int_equal(bench_json(&b, "{\"hr\":150,\"a b\":\"x y\"}"), 3);
    bench_end(&b);
}

static void
the_same_text_is_the_same_filter(void **state)
{
    struct evt_filter *a = filter_make(NULL, "hr above 140", NULL, HD_OK);
    struct evt_filter *b = filter_make(NULL, "hr above 140", NULL, HD_OK);
    struct evt_filter *c = filter_make(NULL, "hr above 141", NULL, HD_OK);

    (void)state;
    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, c);
    assert_int_not_equal(a->id, c->id);
    filter_drop(a);
    filter_drop(b);
    filter_drop(c);
}

static void
an_empty_object_takes_the_filter_off(void **state)
{
    struct evt_filter *a = filter_make(NULL, "hr above 140", NULL, HD_OK);

    (void)state;
    assert_null(filter_make(JSON_TYPE, "{}", a, HD_OK));
    filter_drop(a);
}

/* --- what is refused -------------------------------------------------------------------------- */

static const struct {
    const char *type, *text;
    enum hd_err err;
    const char *place; /* at the end of the phrase */
} bad[] = {
    { NULL, "", HD_ESYNTAX, "column 1" },
    { NULL, "hr", HD_ESYNTAX, "column 3" },
    { NULL, "hr over 140", HD_ESYNTAX, "column 4" },
    { NULL, "hr above", HD_ESYNTAX, "column 9" },
    { NULL, "hr above high", HD_ESYNTAX, "column 10" },
    { NULL, "hr above nan", HD_ESYNTAX, "column 10" },
    { NULL, "hr above inf", HD_ESYNTAX, "column 10" },
    { NULL, "hr above 1e999", HD_EDENIED, "column 10" },
    { NULL, "hr above 140 clear 150", HD_EDENIED, "column 1" },
    { NULL, "hr below 140 clear 130", HD_EDENIED, "column 1" },
    { NULL, "hr above 140 for 0s", HD_EDENIED, "column 18" },
    { NULL, "hr above 140 for 400d", HD_EDENIED, "column 18" },
    { NULL, "hr above 140 for soon", HD_ESYNTAX, "column 18" },
    { NULL, "hr changed-by 5 for 5s", HD_EDENIED, "column 21" },
    { NULL, "hr above 140 hr below 3", HD_ESYNTAX, "column 14" },
    { NULL, "hr above 140 or", HD_ESYNTAX, "column 16" },
    { NULL, "\"hr above 140", HD_ESYNTAX, "column 1" },
    { NULL, "hr enters 8 to 2", HD_EDENIED, "column 1" },
    { NULL, "within 10mi of 91,0", HD_EDENIED, "column 1" },
    { NULL, "within 10parsec of 1,0", HD_ESYNTAX, "column 8" },
    { NULL, "within -1m of 1,0", HD_EDENIED, "column 8" },
    { NULL, "//a[b above 1", HD_ESYNTAX, "column 6" },
    { JSON_TYPE, "{\"above\":", HD_ESYNTAX, "column 10" },
    { JSON_TYPE, "[]", HD_ESYNTAX, "column 1" },
    { JSON_TYPE, "{\"any\":[\n{\"over\":{}}]}", HD_EDENIED, "line 2 column 3" },
    { JSON_TYPE, "{\"above\":{\"path\":\"a\",\"value\":1,\"colour\":2}}", HD_EDENIED, "column 41" },
    { JSON_TYPE, "{\"above\":{\"path\":\"a\"}}", HD_ESYNTAX, "column 3" },
    { JSON_TYPE, "{\"above\":{\"path\":\"a\",\"value\":[1]}}", HD_ESYNTAX, "column 30" },
    { JSON_TYPE, "{\"above\":{\"path\":\"a\",\"value\":1},\"below\":{}}", HD_EDENIED, "column 34" },
    { JSON_TYPE, "{\"above\":{\"path\":\"a\",\"value\":1},\"name\":\"a b\"}", HD_EDENIED,
      "column 41" },
    { JSON_TYPE, "{\"enters\":{\"polygon\":[[0,0],[0,1]]}}", HD_EDENIED, "column 22" },
    { JSON_TYPE, "{\"above\":{\"path\":\"a\",\"value\":NaN}}", HD_ESYNTAX, "column 30" },
    { JSON_TYPE, "{\"above\":{\"path\":\"a\",\"value\":-Infinity}}", HD_ESYNTAX, "column 31" },
    { JSON_TYPE, "{\"above\":{\"path\":\"a\",\"value\":1e400}}", HD_ESYNTAX,
      "too large, line 1 column 1" },
    { JSON_TYPE, "{\"when\":\"hr over 3\"}", HD_ESYNTAX, "column 13" },
    { XML_TYPE, "<filter-set", HD_ESYNTAX, "" },
    { XML_TYPE, "<filter-set xmlns='urn:x'/>", HD_ESYNTAX, "column 1" },
};

static void
what_cannot_be_kept_is_refused_with_its_place(void **state)
{
    bool wrong = false;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_null(filter_make(bad[i].type, bad[i].text, NULL, bad[i].err));
        struct hd_slice said = hd_slice_str(phrase), place = hd_slice_str(bad[i].place);
        if (said.n < place.n || !hd_slice_eq(hd_slice_from(said, said.n - place.n), place))
            wrong = true, print_message("%s: %s\n", bad[i].text, phrase);
    }
    assert_false(wrong);
    assert_null(filter_make("text/plain", "hr", NULL, HD_ENOTSUP));
}

static void
too_many_conditions_are_refused(void **state)
{
    char text[4000] = "";
    size_t n = 0;

    (void)state;
    for (unsigned i = 0; i < 33; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%sa%u above %u", i ? " or " : "", i, i);
    assert_null(filter_make(NULL, text, NULL, HD_EDENIED));
    n = 0;
    for (unsigned i = 0; i < 65; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%sa%u above %u", i ? " and " : "", i, i);
    assert_null(filter_make(NULL, text, NULL, HD_EDENIED));
}

/* --- over a restart --------------------------------------------------------------------------- */

static void
the_state_is_the_same_after_it_was_kept(void **state)
{
    struct bench b;
    char memory[256];
    struct hd_bytes_out out;
    struct hd_slice saved;

    (void)state;
    bench_begin(&b, NULL, "hr above 140 clear 120 or hr below 40 for 10s");
    (void)bench_json(&b, "{\"hr\":150}");
    (void)bench_json(&b, "{\"hr\":30}");
    (void)bench_json(&b, "{\"hr\":150}");
    (void)bench_json(&b, "{\"hr\":30}"); /* armed again above, pending below */
    b.now_ms += 4000;
    hd_bytes_out_init(&out, memory, sizeof(memory));
    flt_save(b.filter, b.state, b.now_ms, &out);
    assert_int_equal(hd_bytes_out_finish(&out, &saved), HD_OK);
    flt_begin(b.filter, b.state, 5000000);
    b.now_ms = 5000000;
    assert_int_equal(flt_load(b.filter, b.state, b.now_ms, saved), HD_OK);
    assert_int_equal(bench_wait(&b, 5999), 0);
    assert_int_equal(bench_wait(&b, 1), 2);
    assert_int_equal(bench_json(&b, "{\"hr\":141}"), 1);
    for (size_t n = 0; n < saved.n; n++)
        assert_int_equal(flt_load(b.filter, b.state, b.now_ms, hd_slice(memory, n)), HD_ESYNTAX);
    memory[12] = 9;
    assert_int_equal(flt_load(b.filter, b.state, b.now_ms, saved), HD_ESYNTAX);
    assert_int_equal(b.step.on, 1);
    bench_end(&b);
}

/* A week at ten readings a second, with jitter and two problems in it. */
static void
a_week_of_readings_with_two_problems_fires_twice(void **state)
{
    struct bench b;
    char body[64];
    unsigned fired = 0, dice = 1;

    (void)state;
    bench_begin(&b, NULL, "hr above 140 clear 120 for 5s");
    for (unsigned i = 0; i < 7u * 24 * 3600 * 10 / 100; i++) { /* a hundredth of it, as dense */
        dice = dice * 1103515245u + 12345u;
        unsigned hr = 70 + (dice >> 16) % 60;
        if ((i > 10000 && i < 11000) || (i > 40000 && i < 40200))
            hr += 75;
        if (i % 1000 == 0)
            hr = 150; /* an artefact of one reading is no problem */
        (void)snprintf(body, sizeof(body), "{\"hr\":%u}", hr);
        fired += bench_json(&b, body);
        fired += bench_wait(&b, 100);
    }
    assert_int_equal(fired, 2);
    bench_end(&b);
}

#define FILTER_TEST(name) cmocka_unit_test_setup_teardown(name, filters_setup, filters_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FILTER_TEST(above_fires_once_per_crossing),
        FILTER_TEST(below_is_the_mirror_image),
        FILTER_TEST(a_dwell_has_to_last),
        FILTER_TEST(is_compares_numbers_words_and_truth),
        FILTER_TEST(a_band_is_entered_and_left),
        FILTER_TEST(all_fire_together_and_any_by_themselves),
        FILTER_TEST(silence_fires_and_a_sign_of_life_arms_again),
        FILTER_TEST(the_re_arm_is_told_when_asked_for),
        FILTER_TEST(a_body_that_lacks_the_path_changes_nothing_and_is_counted),
        FILTER_TEST(senml_names_units_and_times_are_understood),
        FILTER_TEST(pointers_go_through_objects_and_arrays),
        FILTER_TEST(elements_and_attributes_are_values_too),
        FILTER_TEST(changed_by_compares_with_what_was_sent),
        FILTER_TEST(our_conditions_stand_in_a_filter_set),
        FILTER_TEST(json_takes_words_as_well),
        FILTER_TEST(the_same_text_is_the_same_filter),
        FILTER_TEST(an_empty_object_takes_the_filter_off),
        FILTER_TEST(what_cannot_be_kept_is_refused_with_its_place),
        FILTER_TEST(too_many_conditions_are_refused),
        FILTER_TEST(the_state_is_the_same_after_it_was_kept),
        FILTER_TEST(a_week_of_readings_with_two_problems_fires_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
