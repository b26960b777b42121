/* test_world.h - a server with users, for tests of the policy layer.  Included once by each, which
 * has included what it needs to reach inside of before. */
#ifndef HD_POLICY_TEST_WORLD_H
#define HD_POLICY_TEST_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "policy/policy.h"

#define REALM "herald \"test\""
#define LIFETIME_S 300
#define NOW_US (UINT64_C(5000) * 1000000)

enum { LISTENER_DIGEST = 0, LISTENER_OPEN, LISTENER_COUNT };

static const enum sip_digest_alg both[] = { SIP_DIGEST_SHA256, SIP_DIGEST_MD5 };

/* A server with alice and bob, a digest listener and an open one. */
struct world {
    struct hd_slice realms[2];
    struct hd_slice domains[2];
    struct hd_addr own[1];
    struct hd_prefix trusted[1];
    struct evt_listener listeners[LISTENER_COUNT];
    struct pol_settings settings;
    struct evt_config config;
    struct pol_shard *shard;
    struct hd_flow flow;
    struct hd_slice peer;
    uint64_t seed;
    char arena_memory[8192];
    char text[4096];
    char line[2048];
};

static struct hd_addr
address(const char *text, uint16_t port)
{
    struct hd_addr addr = { 0 };
    assert_int_equal(hd_addr_parse(hd_slice_str(text), port, &addr), HD_OK);
    return addr;
}

static void
add_user(struct world *w, const char *name, const char *password)
{
    struct pol_made made;
    struct pol_book *book;
    pol_login_make(hd_slice_str(name), HD_LIT(REALM), hd_slice_str(password), &made);
    const struct pol_user user = pol_user_of(hd_slice_str(name), &made, 1);
    assert_int_equal(pol_book_with_user(w->settings.book, &user, &book), HD_OK);
    pol_book_unref(w->settings.book);
    w->settings.book = book;
}

static struct pol_shard *
new_shard(struct world *w, unsigned index, unsigned shards, uint32_t epoch)
{
    return pol_shard_new(&(struct pol_shard_params){ .index = index,
                                                     .shards = shards,
                                                     .id_key = { 1, 2 },
                                                     .table_key = { 3, 4 },
                                                     .epoch = epoch,
                                                     .max_windows = 8,
                                                     .entropy = hd_entropy_seeded,
                                                     .entropy_context = &w->seed });
}

static int
set_up(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    const struct hd_hash_key key = { 5, 6 };
    w->realms[0] = HD_LIT(REALM);
    w->domains[0] = HD_LIT("example.test");
    w->domains[1] = HD_LIT("other.test");
    w->own[0] = address("192.0.2.1", 5060);
    assert_int_equal(hd_prefix_parse(HD_LIT("127.0.0.0/8"), &w->trusted[0]), HD_OK);
    w->listeners[LISTENER_DIGEST] =
        (struct evt_listener){ .transport = HD_UDP, .authenticate = true };
    w->listeners[LISTENER_OPEN] =
        (struct evt_listener){ .transport = HD_UDP, .trusted = w->trusted, .n_trusted = 1 };
    w->settings = (struct pol_settings){ .book = pol_book_new(&key),
                                         .realms = w->realms,
                                         .n_realms = 1,
                                         .algorithms = both,
                                         .n_algorithms = 2,
                                         .nonce_lifetime_s = LIFETIME_S };
    w->config.magic = EVT_CONFIG_MAGIC;
    w->config.served = (struct sip_served){ w->domains, 2, w->own, 1 };
    w->config.listeners = w->listeners;
    w->config.n_listeners = LISTENER_COUNT;
    w->config.policy = &w->settings;
    w->shard = new_shard(w, 0, 1, 7);
    w->flow = (struct hd_flow){ .transport = HD_UDP,
                                .local = w->own[0],
                                .remote = address("198.51.100.9", 5062) };
    add_user(w, "alice", "wonder land");
    add_user(w, "bob", "builder");
    *state = w;
    return 0;
}

static int
tear_down(void **state)
{
    struct world *w = *state;
    pol_shard_free(w->shard);
    pol_book_unref(w->settings.book);
    free(w);
    return 0;
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

#endif
