/* device_test.c - what one device is told from another by. */
#include "event/core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "event/test_host.h"

static uint64_t
hash_of(const struct evt_shard *shard, const char *contact)
{
    struct sip_addr addr;

    assert_int_equal(sip_addr_parse(hd_slice_str(contact), &addr), HD_OK);
    return evt_device_hash(shard, 7, hd_slice(NULL, 0), HD_LIT("sip:alice@example.test"), &addr);
}

#define UUID "\"<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>\""

static void
a_device_is_told_by_its_instance_else_by_where_it_is(void **state)
{
    static const struct {
        const char *one, *other;
        bool same;
    } row[] = {
        { "<sip:a@192.0.2.1>;+sip.instance=" UUID, "<sip:b@192.0.2.2:5070>;+sip.instance=" UUID,
          true },
        { "<sip:a@192.0.2.1>;+sip.instance=" UUID,
          "<sip:a@192.0.2.1>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-aabbccddeeff>\"",
          true },
        { "<sip:a@192.0.2.1>;+sip.instance=" UUID,
          "<sip:a@192.0.2.1>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEF0>\"",
          false },
        { "<sip:a@192.0.2.1>;+sip.instance=" UUID, "<sip:a@192.0.2.1>", false },
        { "<sip:a@192.0.2.1>", "\"A\" <sip:a@192.0.2.1;transport=udp>;expires=5", true },
        { "<sip:a@Host.test>", "<sip:a@host.test;ob>", true },
        { "<sip:a@192.0.2.1>", "<sip:a@192.0.2.1:5070>", false },
        { "<sip:a@192.0.2.1>", "<sip:b@192.0.2.1>", false },
        { "<sip:a@192.0.2.1>", "<sip:A@192.0.2.1>", false },
        { "<sip:a@192.0.2.1>", "<sip:a@192.0.2.2>", false },
        { "<sip:a@example.test;gr=x>", "<sip:a@example.test;gr=y>", false },
        { "<sip:a@example.test;gr=x>", "<sip:a@example.test;gr=X>", true },
    };
    struct host host;

    (void)state;
    host_init(&host, 1);
    const struct evt_shard *shard = host_shard(&host, 0);
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        if ((hash_of(shard, row[i].one) == hash_of(shard, row[i].other)) != row[i].same)
            fail_msg("row %zu", i);
    host_done(&host);
}

static void
resource_event_id_and_watcher_tell_subscriptions_apart(void **state)
{
    struct sip_addr addr;
    struct host host;

    (void)state;
    host_init(&host, 1);
    const struct evt_shard *shard = host_shard(&host, 0);
    assert_int_equal(sip_addr_parse(HD_LIT("<sip:a@b>"), &addr), HD_OK);
    const uint64_t hash = evt_device_hash(shard, 7, HD_LIT("1"), HD_LIT("w"), &addr);
    assert_true(hash != 0);
    assert_true(hash == evt_device_hash(shard, 7, HD_LIT("1"), HD_LIT("w"), &addr));
    assert_true(hash != evt_device_hash(shard, 8, HD_LIT("1"), HD_LIT("w"), &addr));
    assert_true(hash != evt_device_hash(shard, 7, HD_LIT("2"), HD_LIT("w"), &addr));
    assert_true(hash != evt_device_hash(shard, 7, HD_LIT("1"), HD_LIT("v"), &addr));
    host_done(&host);
}

static void
configure(struct host *host)
{
    static struct evt_package package;
    static const struct evt_package *packages[16];
    struct evt_config *config = host_config_copy(host);

    for (size_t i = 0; i < config->n_packages; i++) {
        packages[i] = config->packages[i];
        if (!hd_slice_eq(packages[i]->name, HD_LIT("x-state")))
            continue;
        package = *packages[i];
        package.supersede = true;
        packages[i] = &package;
    }
    config->packages = packages;
    host_configure(host, config, hd_slice(NULL, 0));
    host_settle(host);
}

static void
subscribe(struct host *host, const char *call_id, unsigned shard)
{
    const uint16_t port = host_port_of(host, shard);
    char tag[HD_ID_TEXT + 1], contact[128];

    (void)snprintf(contact, sizeof(contact), "<sip:x@198.51.100.9:%u>;+sip.instance=" UUID, port);
    host_subscribe(host,
                   &(struct host_request){
                       .call_id = call_id, .expires = 3600, .contact = contact, .port = port },
                   tag);
    host_settle(host);
}

static unsigned
subscriptions(struct host *host)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < host->n; i++)
        n += host_shard(host, i)->counters.subscriptions;
    return (unsigned)n;
}

/* Over a crash and a clean end, with another number of shards, and with the former one elsewhere.
 */
static void
a_former_one_from_before_the_start_ends(void **state)
{
    (void)state;
    for (int clean = 0; clean < 2; clean++)
        for (unsigned shards = 1; shards <= 3; shards++)
            for (unsigned where = 0; where < shards; where++) {
                struct host host;

                host_init(&host, 2);
                configure(&host);
                subscribe(&host, "before", 1);
                host_restart(&host, shards, &(struct host_ending){ .clean = clean != 0 });
                assert_int_equal(subscriptions(&host), 1);
                host_settle(&host);
                while (host_count(&host)) /* after a crash it is told once more */
                    host_answer(&host, host_take_notify(&host), 200, NULL);
                subscribe(&host, "after", where);
                assert_int_equal(subscriptions(&host), 1);
                assert_int_equal(host_count(&host), 0);
                host_done(&host);
            }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_is_told_by_its_instance_else_by_where_it_is),
        cmocka_unit_test(a_former_one_from_before_the_start_ends),
        cmocka_unit_test(resource_event_id_and_watcher_tell_subscriptions_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
