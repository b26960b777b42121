/* peer_test.c - from the words of the command line to addresses and identities. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "herald/peer.h"
#include "herald/tool.h"

static void
environment_clear(void)
{
    unsetenv("HERALD_SERVER");
    unsetenv("HERALD_PASSWORD");
}

static void
uri_server_and_identity_are_completed(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *server, *user, *from;      /* given */
        const char *ret_uri, *ret_from, *ret_server; /* wanted */
    } row[] = {
        { "sip:2001@example.test", NULL, NULL, NULL, "sip:2001@example.test",
          "sip:2001@example.test", "127.0.0.1:5060" },
        { "2001@example.test", "192.0.2.1", "2002", NULL, "sip:2001@example.test",
          "sip:2002@example.test", "192.0.2.1:5060" },
        { "2001", NULL, NULL, NULL, "sip:2001@127.0.0.1", "sip:2001@127.0.0.1", "127.0.0.1:5060" },
        { "2001", "192.0.2.1:5070", "2002", NULL, "sip:2001@192.0.2.1:5070",
          "sip:2002@192.0.2.1:5070", "192.0.2.1:5070" },
        { "2001", "[2001:db8::1]:5070", "2002", NULL, "sip:2001@[2001:db8::1]:5070",
          "sip:2002@[2001:db8::1]:5070", "[2001:db8::1]:5070" },
        { "2001", "2001:db8::1", NULL, NULL, "sip:2001@[2001:db8::1]", "sip:2001@[2001:db8::1]",
          "[2001:db8::1]:5060" },
        { "sip:2001@192.0.2.7:5080;transport=udp", NULL, "2002", NULL,
          "sip:2001@192.0.2.7:5080;transport=udp", "sip:2002@192.0.2.7:5080", "192.0.2.7:5080" },
        { "sip:2001@192.0.2.7:5080?a=b", NULL, "2002", NULL, "sip:2001@192.0.2.7:5080?a=b",
          "sip:2002@192.0.2.7:5080", "192.0.2.7:5080" },
        { "sip:2001@example.test", "192.0.2.1", "sip:vm@other.test", NULL, "sip:2001@example.test",
          "sip:vm@other.test", "192.0.2.1:5060" },
        { "sip:2001@example.test", "192.0.2.1", "2002", "sip:x@y.test", "sip:2001@example.test",
          "sip:x@y.test", "192.0.2.1:5060" },
        { "tel:+358-555-1234567", "192.0.2.1", NULL, NULL, "tel:+358-555-1234567",
          "tel:+358-555-1234567", "192.0.2.1:5060" },
    };
    environment_clear();
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct peer_options o = { .server = row[i].server,
                                  .user = row[i].user,
                                  .from = row[i].from };
        char addr[HD_ADDR_TEXT + 1];
        struct peer peer;
        assert_int_equal(peer_resolve(&o, row[i].uri, &peer), TOOL_OK);
        assert_string_equal(peer.uri, row[i].ret_uri);
        assert_string_equal(peer.from, row[i].ret_from);
        addr[hd_addr_text(&peer.server, addr)] = '\0';
        assert_string_equal(addr, row[i].ret_server);
        peer_done(&peer);
    }
}

static void
what_cannot_be_meant_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *server, *user;
    } row[] = {
        { "sip:2001@example.test", "192.0.2.1:0", NULL },
        { "sip:2001@example.test", "192.0.2.1:70596", NULL },
        { "sip:2001@example.test", "192.0.2.1:", NULL },
        { "sip:2001@example.test", "192.0.2.1:x", NULL },
        { "sip:2001@example.test", "[2001:db8::1", NULL },
        { "sip:2001@example.test", "[2001:db8::1]x", NULL },
        { "sip:2001@example.test", "[2001:db8::1]:", NULL },
        { "sip:2001@example.test", "", NULL },
        { "sip:2001@exa mple.test", "192.0.2.1", NULL },
        { "sip:2001@example.test\r\nX: y", "192.0.2.1", NULL },
        { "sip:2001@example.test>", "192.0.2.1", NULL },
        { "sip:@", "192.0.2.1", NULL },
        { "sip:2001@example.test", "192.0.2.1", "a b" },
        { "sip:2001@example.test", "192.0.2.1", "a\r\nb" },
    };
    environment_clear();
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct peer_options o = { .server = row[i].server, .user = row[i].user };
        struct peer peer;
        assert_int_equal(peer_resolve(&o, row[i].uri, &peer), TOOL_USAGE);
    }
}

static void
the_environment_gives_defaults(void **state)
{
    (void)state;
    struct peer_options o = { 0 };
    struct peer peer;
    setenv("HERALD_SERVER", "192.0.2.3:5099", 1);
    setenv("HERALD_PASSWORD", "secret", 1);
    assert_int_equal(peer_resolve(&o, "sip:2001@192.0.2.1", &peer), TOOL_OK);
    assert_int_equal(peer.server.port, 5099);
    assert_string_equal(peer.password, "secret");
    peer_done(&peer);
    o.server = "192.0.2.4";
    o.password = "other";
    assert_int_equal(peer_resolve(&o, "sip:2001@192.0.2.1", &peer), TOOL_OK);
    assert_int_equal(peer.server.port, 5060);
    assert_string_equal(peer.password, "other");
    peer_done(&peer);
    environment_clear();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uri_server_and_identity_are_completed),
        cmocka_unit_test(what_cannot_be_meant_is_refused),
        cmocka_unit_test(the_environment_gives_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
