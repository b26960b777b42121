/* alias_test.c - connections by which their peers can be reached: known to every shard, for the
 * names and the address that were proved, as long as they are there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "event/test_setup.h"

static const struct hd_addr at = { .ip = { 192, 0, 2, 50 }, .port = 5061, .family = 4 };

static uint64_t
find(unsigned shard, const struct hd_addr *addr, const char *name)
{
    return evt_alias_find(host_shard(&host, shard), addr, hd_slice_str(name), 0);
}

static uint64_t
note(unsigned shard, uint32_t place, const char *names)
{
    const uint64_t conn = hd_conn_make(shard, 1, place);

    evt_alias_note(host_shard(&host, shard), conn, &at, hd_slice_str(names));
    host_settle(&host);
    return conn;
}

static void
every_shard_knows_a_connection_by_the_names_and_the_address_that_were_proved(void **state)
{
    const uint64_t conn = note(1, 7, "edge.example.net also.example.net");
    struct hd_addr other = at;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(find(i, &at, "EDGE.example.net"), conn);
        assert_int_equal(find(i, &at, "also.example.net."), conn);
        assert_int_equal(find(i, &at, "example.net"), 0);
        assert_int_equal(find(i, &at, "edge.example.net also.example.net"), 0);
        other.port = 5060;
        assert_int_equal(find(i, &other, "edge.example.net"), 0);
        other = at;
        other.ip[3]++;
        assert_int_equal(find(i, &other, "edge.example.net"), 0);
        other = at;
        assert_true(evt_alias_has(host_shard(&host, i), conn));
    }
    evt_shard_closed(host_shard(&host, 1), conn, host.now_ms * 1000);
    host_settle(&host);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(find(i, &at, "edge.example.net"), 0);
}

static void
what_a_peer_says_first_counts(void **state)
{
    struct hd_addr later = at;
    const uint64_t conn = note(0, 7, "edge.example.net");

    (void)state;
    later.port = 6000;
    evt_alias_note(host_shard(&host, 0), conn, &later, HD_LIT("edge.example.net"));
    host_settle(&host);
    assert_int_equal(find(2, &later, "edge.example.net"), 0);
    assert_int_equal(find(2, &at, "edge.example.net"), conn);
}

static void
the_connection_in_use_stays_while_there_are_others(void **state)
{
    uint64_t conn[4];

    (void)state;
    for (uint32_t i = 0; i < 4; i++)
        conn[i] = note(i % 3, i, "edge.example.net");
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(
            evt_alias_find(host_shard(&host, 1), &at, HD_LIT("edge.example.net"), conn[i]),
            conn[i]);
    evt_shard_closed(host_shard(&host, 1), conn[1], host.now_ms * 1000);
    host_settle(&host);
    const uint64_t found =
        evt_alias_find(host_shard(&host, 2), &at, HD_LIT("edge.example.net"), conn[1]);
    assert_true(found != 0 && found != conn[1]);
}

static void
there_is_room_for_so_many_and_no_more(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < EVT_ALIASES_MAX; i++)
        assert_true(evt_alias_has(host_shard(&host, 0), note(0, i, "edge.example.net")));
    assert_false(evt_alias_has(host_shard(&host, 0), note(0, EVT_ALIASES_MAX, "edge.example.net")));
    assert_int_equal(HOST_COUNT(&host, 0, caps_reached), 1);
    assert_int_equal(HOST_COUNT(&host, 1, caps_reached), 0);
    /* A copy that finds no room is as if nothing had been said to that shard. */
    const uint64_t conn = note(1, 0, "other.example.net");
    assert_int_equal(find(0, &at, "other.example.net"), 0);
    assert_int_equal(HOST_COUNT(&host, 1, caps_reached), 1);
    evt_shard_closed(host_shard(&host, 1), conn, host.now_ms * 1000);
    host_settle(&host);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        HOST_TEST(every_shard_knows_a_connection_by_the_names_and_the_address_that_were_proved, 3),
        HOST_TEST(what_a_peer_says_first_counts, 3),
        HOST_TEST(the_connection_in_use_stays_while_there_are_others, 3),
        HOST_TEST(there_is_room_for_so_many_and_no_more, 3),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
