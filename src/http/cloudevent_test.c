/* cloudevent_test.c - events as receivers read them, and their signature. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "http/cloudevent.h"

static json_t *
event_of(const char *type, struct hd_slice body)
{
    struct hd_str out = { 0 };

    api_event_write(&(struct api_event){ .id = HD_LIT("a-1"),
                                         .resource = HD_LIT("sip:alice@example.test"),
                                         .package = HD_LIT("presence"),
                                         .type = hd_slice_str(type),
                                         .body = body,
                                         .version = HD_LIT("00ff"),
                                         .at_ms = 1700000000123 },
                    &out);
    assert_int_equal(out.err, HD_OK);
    json_t *json = json_loadb(out.p, out.n, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    hd_str_done(&out);
    return json;
}

static const char *
text(const json_t *event, const char *key)
{
    return json_string_value(json_object_get(event, key));
}

static void
it_has_what_every_event_has(void **state)
{
    json_t *event = event_of("application/pidf+xml", HD_LIT("<p/>"));

    (void)state;
    assert_string_equal(text(event, "specversion"), "1.0");
    assert_string_equal(text(event, "id"), "a-1");
    assert_string_equal(text(event, "source"), "sip:alice@example.test");
    assert_string_equal(text(event, "type"), "herald.state");
    assert_string_equal(text(event, "subject"), "presence");
    assert_string_equal(text(event, "time"), "2023-11-14T22:13:20.123Z");
    assert_string_equal(text(event, "datacontenttype"), "application/pidf+xml");
    assert_string_equal(text(event, "data"), "<p/>");
    json_decref(event);
}

static void
documents_lose_nothing(void **state)
{
    json_t *event = event_of("application/json", HD_LIT("{\"a\": [1, 2]}"));

    (void)state;
    assert_int_equal(json_array_size(json_object_get(json_object_get(event, "data"), "a")), 2);
    json_decref(event);
    event = event_of("application/json", HD_LIT("{\"a\": "));
    assert_string_equal(text(event, "data"), "{\"a\": ");
    json_decref(event);
    event = event_of("application/x", HD_LIT("\xff\x00\x01"));
    assert_string_equal(text(event, "data_base64"), "/wAB");
    json_decref(event);
    event = event_of("", HD_LIT(""));
    assert_string_equal(text(event, "type"), "herald.nothing");
    assert_null(json_object_get(event, "data"));
    json_decref(event);
}

/* HMAC-SHA256("key", "id.1.body"), by another program. */
static void
the_signature_is_that_of_standard_webhooks(void **state)
{
    char have[API_SIGNATURE_TEXT];

    (void)state;
    api_event_sign(HD_LIT("key"), HD_LIT("id"), 1, HD_LIT("body"), have);
    assert_string_equal(have, "v1,sYA3/+8KvyXbe4KAKZy0QWKFoLKSHDq/QWu0xQZyY7s=");
}

static bool
add_line(void *context, const char *name, const char *value)
{
    struct hd_str *lines = context;

    hd_str_addf(lines, "%s: %s\n", name, value);
    return strcmp(value, "stop") != 0;
}

static void
the_binary_mode_says_all_of_it_in_header_fields(void **state)
{
    struct hd_str lines = { 0 };
    struct api_event event = { .id = HD_LIT("a-1"),
                               .resource = HD_LIT("sip:b%C3%BC \"x\"\xc3\xbc@example.test"),
                               .package = HD_LIT("presence"),
                               .type = HD_LIT("application/pidf+xml"),
                               .body = HD_LIT("<p/>"),
                               .version = HD_LIT("00ff"),
                               .at_ms = 1700000000123 };

    (void)state;
    assert_true(api_event_fields(&event, add_line, &lines));
    assert_string_equal(hd_str_text(&lines),
                        "ce-specversion: 1.0\nce-id: a-1\n"
                        "ce-source: sip:b%25C3%25BC%20%22x%22%C3%BC@example.test\n"
                        "ce-type: herald.state\nce-subject: presence\n"
                        "ce-time: 2023-11-14T22:13:20.123Z\nce-statehash: 00ff\n"
                        "Content-Type: application/pidf+xml\n");
    hd_str_clear(&lines);
    event.type = hd_slice(NULL, 0);
    event.fired = HD_LIT("1;seq=2");
    event.package = HD_LIT("stop");
    assert_false(api_event_fields(&event, add_line, &lines));
    event.package = HD_LIT("presence");
    assert_true(api_event_fields(&event, add_line, &lines));
    assert_non_null(strstr(hd_str_text(&lines), "ce-type: herald.nothing\n"));
    assert_non_null(strstr(hd_str_text(&lines), "ce-fired: 1;seq=2\nContent-Type: \n"));
    hd_str_done(&lines);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_binary_mode_says_all_of_it_in_header_fields),
        cmocka_unit_test(it_has_what_every_event_has), cmocka_unit_test(documents_lose_nothing),
        cmocka_unit_test(the_signature_is_that_of_standard_webhooks)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
