/* cloudevent_test.c - events as receivers read them, and their signature. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_has_what_every_event_has), cmocka_unit_test(documents_lose_nothing),
        cmocka_unit_test(the_signature_is_that_of_standard_webhooks)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
