/* delivery_test.c - events as they lie on the disk: what was written is read, what is damaged is
 * not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/delivery.h"

static struct api_delivery *
delivery_of(const char *type)
{
    struct api_delivery *delivery =
        api_delivery_new(&(struct api_event){ .id = HD_LIT("0badcafe-1-7"),
                                              .type = hd_slice_str(type),
                                              .body = hd_slice("a\0b", 3),
                                              .fired = HD_LIT("1;seq=2"),
                                              .version = HD_LIT("0123456789abcdef0123456789abcdef"),
                                              .at_ms = 1700000000123 });

    assert_non_null(delivery);
    delivery->attempts = 10;
    return delivery;
}

static struct hd_str
record_of(struct api_delivery *delivery)
{
    struct hd_str record = { 0 };

    api_delivery_write(delivery, &record);
    assert_int_equal(record.err, HD_OK);
    return record;
}

static void
what_was_written_is_read(void **state)
{
    struct api_delivery *one = delivery_of("text/plain"), *two = NULL;

    (void)state;
    one->dead = one->newest_wins = true;
    one->dead_s = 99;
    (void)snprintf(one->why, sizeof(one->why), "answered 500");
    struct hd_str record = record_of(one);
    assert_int_equal(api_delivery_read(hd_str_slice(&record), &two), HD_OK);
    assert_string_equal(two->id, one->id);
    assert_string_equal(two->why, "answered 500");
    assert_true(two->dead && two->newest_wins);
    assert_int_equal(two->dead_s, 99);
    assert_int_equal(two->attempts, 10);
    assert_int_equal(two->event.at_ms, 1700000000123);
    assert_true(hd_slice_eq(two->event.body, one->event.body));
    assert_true(hd_slice_eq(two->event.type, HD_LIT("text/plain")));
    assert_true(hd_slice_eq(two->event.fired, one->event.fired));
    assert_true(hd_slice_eq(two->event.version, one->event.version));
    hd_str_done(&record);
    api_delivery_free(one);
    api_delivery_free(two);
}

static void
what_is_cut_or_longer_is_refused(void **state)
{
    struct api_delivery *delivery = delivery_of("text/plain"), *none = NULL;
    struct hd_str record = record_of(delivery);

    (void)state;
    for (size_t n = 0; n < record.n; n++)
        assert_int_equal(api_delivery_read(hd_slice(record.p, n), &none), HD_ESYNTAX);
    hd_str_add_char(&record, 'x');
    assert_int_equal(api_delivery_read(hd_str_slice(&record), &none), HD_ESYNTAX);
    assert_null(none);
    hd_str_done(&record);
    api_delivery_free(delivery);
}

/* A media type with a line end in it would be another header field of the binary mode. */
static void
what_would_end_a_header_field_is_refused(void **state)
{
    struct api_delivery *delivery = delivery_of("text/plain\r\nX: y"), *none = NULL;
    struct hd_str record = record_of(delivery);

    (void)state;
    assert_int_equal(api_delivery_read(hd_str_slice(&record), &none), HD_ESYNTAX);
    record.p[0]++; /* the format's version */
    assert_int_equal(api_delivery_read(hd_str_slice(&record), &none), HD_ESYNTAX);
    assert_null(none);
    hd_str_done(&record);
    api_delivery_free(delivery);
    assert_null(api_delivery_new(&(struct api_event){
        .id = HD_LIT("an-id-that-is-longer-than-all-that-are-ever-made-here") }));
}

static void
what_was_told_last_is_read(void **state)
{
    struct api_told told = { .serial = 7, .has_seen = true, .seen = { 1, 2, 3 } }, again = { 0 };
    char record[API_TOLD_SIZE];

    (void)state;
    api_told_write(&told, record);
    assert_int_equal(api_told_read(hd_slice(record, sizeof(record)), &again), HD_OK);
    assert_int_equal(again.serial, 7);
    assert_true(again.has_seen);
    assert_memory_equal(again.seen, told.seen, sizeof(told.seen));
    assert_int_equal(api_told_read(hd_slice(record, sizeof(record) - 1), &again), HD_ESYNTAX);
    record[9] = 2;
    assert_int_equal(api_told_read(hd_slice(record, sizeof(record)), &again), HD_ESYNTAX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(what_is_cut_or_longer_is_refused),
        cmocka_unit_test(what_would_end_a_header_field_is_refused),
        cmocka_unit_test(what_was_told_last_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
