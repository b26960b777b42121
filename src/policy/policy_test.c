/* policy_test.c - may he: the package, the owner, the rules, and rights to publish. */
#include "policy/policy.h"

#include "policy/test_world.h"

#define ALICE "sip:alice@example.test"

static struct evt_identity
identity(const char *key, bool authenticated)
{
    struct evt_identity id = { .authenticated = authenticated,
                               .proof = authenticated ? EVT_PROOF_DIGEST : EVT_PROOF_FROM };
    id.key_len = (uint8_t)strlen(key);
    memcpy(id.key, key, id.key_len);
    return id;
}

static uint32_t
set_rule(struct world *w, const char *watcher, const char *package, enum pol_action action)
{
    const struct pol_rule rule = { .resource = HD_LIT(ALICE),
                                   .watcher = hd_slice_str(watcher),
                                   .package = hd_slice_str(package),
                                   .action = action };
    struct pol_book *book;
    uint32_t id;
    assert_int_equal(pol_book_with_rule(w->settings.book, &rule, &id, &book), HD_OK);
    pol_book_unref(w->settings.book);
    w->settings.book = book;
    return id;
}

static struct evt_verdict
judge(struct world *w, const char *watcher, const char *package,
      enum evt_authorisation authorisation)
{
    const struct evt_package p = { .magic = EVT_PACKAGE_MAGIC,
                                   .name = hd_slice_str(package),
                                   .authorisation = authorisation };
    const struct evt_identity id = identity(watcher, true);
    return pol_ops.subscribe(w->shard, &w->config, &id, HD_LIT(ALICE), &p);
}

static void
without_rules_the_package_decides_and_the_owner_always_may(void **state)
{
    struct world *w = *state;
    static const struct {
        enum evt_authorisation authorisation;
        const char *watcher;
        enum evt_decision decision;
    } row[] = {
        { EVT_AUTHORISE_OWNER, ALICE, EVT_ALLOW },
        { EVT_AUTHORISE_OWNER, "sip:bob@example.test", EVT_DENY },
        { EVT_AUTHORISE_OWNER, "sip:Alice@example.test", EVT_DENY },
        { EVT_AUTHORISE_OWNER, "sip:alice@example.tes", EVT_DENY },
        { EVT_AUTHORISE_OWNER, "", EVT_DENY },
        { EVT_AUTHORISE_ALLOW, ALICE, EVT_ALLOW },
        { EVT_AUTHORISE_ALLOW, "sip:bob@example.test", EVT_ALLOW },
        { EVT_AUTHORISE_ALLOW, "sip:example.org", EVT_ALLOW },
        { EVT_AUTHORISE_ALLOW, "", EVT_DENY },
        { EVT_AUTHORISE_BLOCK, ALICE, EVT_ALLOW },
        { EVT_AUTHORISE_BLOCK, "sip:bob@example.test", EVT_DENY },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        const struct evt_verdict v = judge(w, row[i].watcher, "presence", row[i].authorisation);
        if (v.decision != row[i].decision || v.rule != 0)
            fail_msg("row %zu", i);
    }
}

static void
block_comes_before_allow_and_the_most_specific_is_named(void **state)
{
    struct world *w = *state;
    const uint32_t allow_bob = set_rule(w, "sip:bob@example.test", "presence", POL_ALLOW);
    const uint32_t allow_org = set_rule(w, "sip:*@example.org", "*", POL_ALLOW);
    const uint32_t block_eve = set_rule(w, "sip:eve@example.org", "*", POL_BLOCK);
    const uint32_t block_dialog = set_rule(w, "*", "dialog", POL_BLOCK);
    const uint32_t allow_dialog = set_rule(w, "sip:bob@example.test", "dialog", POL_ALLOW);
    const uint32_t block_me = set_rule(w, ALICE, "*", POL_BLOCK);
    const uint32_t allow_all = set_rule(w, "*", "message-summary", POL_ALLOW);
    const struct {
        const char *watcher, *package;
        enum evt_decision decision;
        uint32_t rule;
    } row[] = {
        { "sip:bob@example.test", "presence", EVT_ALLOW, allow_bob },
        { "sip:bob@example.test", "Presence", EVT_DENY, 0 },
        { "sip:carol@example.org", "presence", EVT_ALLOW, allow_org },
        { "sip:carol@sub.example.org", "presence", EVT_DENY, 0 },
        { "sip:carol@example.org:5070", "presence", EVT_DENY, 0 },
        { "sip:example.org", "presence", EVT_DENY, 0 },
        { "sip:eve@example.org", "presence", EVT_DENY, block_eve },
        { "sip:eve@example.org", "message-summary", EVT_DENY, block_eve },
        { "sip:bob@example.test", "dialog", EVT_DENY, block_dialog },
        { "sip:carol@example.org", "dialog", EVT_DENY, block_dialog },
        { "sip:zoe@nowhere.example", "message-summary", EVT_ALLOW, allow_all },
        { "sip:carol@example.org", "message-summary", EVT_ALLOW, allow_org },
        { ALICE, "presence", EVT_ALLOW, 0 },
        { ALICE, "dialog", EVT_ALLOW, 0 },
    };
    assert_int_not_equal(allow_dialog, block_me);
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        const struct evt_verdict v = judge(w, row[i].watcher, row[i].package, EVT_AUTHORISE_OWNER);
        if (v.decision != row[i].decision || v.rule != row[i].rule)
            fail_msg("row %zu: %d by %u", i, (int)v.decision, v.rule);
    }
}

static void
a_block_of_everyone_holds_where_the_package_allows(void **state)
{
    struct world *w = *state;
    const uint32_t block = set_rule(w, "*", "*", POL_BLOCK);
    const struct evt_verdict v = judge(w, "sip:bob@example.test", "presence", EVT_AUTHORISE_ALLOW);
    assert_int_equal(v.decision, EVT_DENY);
    assert_int_equal(v.rule, block);
}

static void
watcher_information_is_opened_by_name_alone(void **state)
{
    struct world *w = *state;
    set_rule(w, "sip:bob@example.test", "*", POL_ALLOW);
    assert_int_equal(judge(w, "sip:bob@example.test", "presence", EVT_AUTHORISE_OWNER).decision,
                     EVT_ALLOW);
    assert_int_equal(
        judge(w, "sip:bob@example.test", "presence.winfo", EVT_AUTHORISE_OWNER).decision, EVT_DENY);
    const uint32_t named = set_rule(w, "sip:bob@example.test", "presence.winfo", POL_ALLOW);
    const struct evt_verdict v =
        judge(w, "sip:bob@example.test", "presence.winfo", EVT_AUTHORISE_OWNER);
    assert_int_equal(v.decision, EVT_ALLOW);
    assert_int_equal(v.rule, named);
}

static void
the_longest_identity_is_judged(void **state)
{
    struct world *w = *state;
    char key[SIP_KEY_MAX + 1];
    memset(key, 'x', sizeof(key));
    memcpy(key, "sip:", 4);
    key[5] = '@'; /* "sip:x@xxx...": its domain pattern is as long */
    key[SIP_KEY_MAX] = '\0';
    assert_int_equal(judge(w, key, "presence", EVT_AUTHORISE_OWNER).decision, EVT_DENY);
    assert_int_equal(judge(w, key, "presence", EVT_AUTHORISE_ALLOW).decision, EVT_ALLOW);
    memcpy(key, "sip:@", 5);
    key[5] = 'x'; /* its pattern is longer than any key */
    assert_int_equal(judge(w, key, "presence", EVT_AUTHORISE_ALLOW).decision, EVT_ALLOW);
}

static void
a_resource_is_published_by_its_owner_and_the_services_of_the_package(void **state)
{
    struct world *w = *state;
    static const struct hd_slice services[] = { { "voice mail", 10 },
                                                { "mwi@other.test", 14 },
                                                { "bad@example.org", 15 } };
    const struct evt_package package = { .magic = EVT_PACKAGE_MAGIC,
                                         .name = HD_LIT("message-summary"),
                                         .authorisation = EVT_AUTHORISE_ALLOW,
                                         .publishers = services,
                                         .n_publishers = 3 };
    static const struct {
        const char *key;
        bool authenticated;
        enum evt_decision decision;
    } row[] = {
        { ALICE, true, EVT_ALLOW },
        { ALICE, false, EVT_ALLOW },
        { "sip:bob@example.test", true, EVT_DENY },
        { "sip:bob@example.test", false, EVT_DENY },
        { "sip:voice%20mail@example.test", true, EVT_ALLOW },
        { "sip:voice%20mail@other.test", true, EVT_DENY },
        { "sip:voice%20mail@elsewhere.example", false, EVT_ALLOW },
        { "sip:mwi@other.test", true, EVT_ALLOW },
        { "sip:mwi@example.test", true, EVT_DENY },
        { "sip:mwi@example.test", false, EVT_ALLOW },
        { "sip:bad@example.org", false, EVT_DENY },
        { "sip:example.test", false, EVT_DENY },
        { "", true, EVT_DENY },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        const struct evt_identity id = identity(row[i].key, row[i].authenticated);
        const struct evt_verdict v =
            pol_ops.publish(w->shard, &w->config, &id, HD_LIT(ALICE), &package);
        if (v.decision != row[i].decision || v.rule != 0)
            fail_msg("row %zu", i);
    }
}

static void
a_user_registers_himself_and_nobody_else(void **state)
{
    struct world *w = *state;
    struct evt_identity id = identity(ALICE, true);
    assert_int_equal(pol_ops.registration(w->shard, &w->config, &id, HD_LIT(ALICE)).decision,
                     EVT_ALLOW);
    id = identity("sip:bob@example.test", true);
    assert_int_equal(pol_ops.registration(w->shard, &w->config, &id, HD_LIT(ALICE)).decision,
                     EVT_DENY);
    id = identity("", true);
    assert_int_equal(pol_ops.registration(w->shard, &w->config, &id, HD_LIT("")).decision,
                     EVT_DENY);
}

static void
the_configuration_gives_rights_by_pattern(void **state)
{
    static const struct hd_slice fleet[] = { { "fleet", 5 } },
                                 packages[] = { { "x-position", 10 } };
    static const struct evt_right rights[] = {
        { { "sip:*@fleet.example", 19 }, fleet, 1, packages, 1 },
        { { "sip:depot@example.test", 22 }, fleet, 1, NULL, 0 },
    };
    static const struct {
        const char *publisher, *resource, *package;
        enum evt_decision decision;
    } row[] = {
        { "sip:fleet@example.test", "sip:truck7@fleet.example", "x-position", EVT_ALLOW },
        { "sip:fleet@example.test", "sip:truck7@fleet.example", "presence", EVT_DENY },
        { "sip:fleet@example.test", "sip:truck7@sub.fleet.example", "x-position", EVT_DENY },
        { "sip:fleet@example.test", "sip:truck7@fleet.example:5070", "x-position", EVT_DENY },
        { "sip:fleet@example.test", "sip:fleet.example", "x-position", EVT_DENY },
        { "sip:fleet@other.test", "sip:truck7@fleet.example", "x-position", EVT_DENY },
        { "sip:bob@example.test", "sip:truck7@fleet.example", "x-position", EVT_DENY },
        { "", "sip:truck7@fleet.example", "x-position", EVT_DENY },
        { "sip:fleet@example.test", "sip:depot@example.test", "presence", EVT_ALLOW },
        { "sip:fleet@example.test", "sip:depot2@example.test", "presence", EVT_DENY },
    };
    struct world *w = *state;

    w->config.rights = rights;
    w->config.n_rights = HD_ARRAY_LEN(rights);
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        const struct evt_package package = { .magic = EVT_PACKAGE_MAGIC,
                                             .name = hd_slice_str(row[i].package),
                                             .authorisation = EVT_AUTHORISE_OWNER };
        const struct evt_identity id = identity(row[i].publisher, true);
        if (pol_ops.publish(w->shard, &w->config, &id, hd_slice_str(row[i].resource), &package)
                .decision != row[i].decision)
            fail_msg("row %zu", i);
    }
}

static void
a_user_publishes_and_registers_each_of_his_addresses(void **state)
{
    static const struct hd_slice addresses[] = { { "sip:anna@example.test", 21 },
                                                 { ALICE, sizeof(ALICE) - 1 } };
    const struct evt_package package = { .magic = EVT_PACKAGE_MAGIC, .name = HD_LIT("presence") };
    struct world *w = *state;
    struct pol_book *book;
    const struct evt_identity anna = identity("sip:anna@example.test", true);

    assert_int_equal(pol_ops.publish(w->shard, &w->config, &anna, HD_LIT(ALICE), &package).decision,
                     EVT_DENY);
    assert_int_equal(
        pol_book_with_user(
            w->settings.book,
            &(struct pol_user){ .name = HD_LIT("anna"), .addresses = addresses, .n_addresses = 2 },
            &book),
        HD_OK);
    pol_book_unref(w->settings.book);
    w->settings.book = book;
    assert_int_equal(pol_ops.publish(w->shard, &w->config, &anna, HD_LIT(ALICE), &package).decision,
                     EVT_ALLOW);
    assert_int_equal(pol_ops.registration(w->shard, &w->config, &anna, HD_LIT(ALICE)).decision,
                     EVT_ALLOW);
    /* A service is named by its user, whatever its address is. */
    static const struct hd_slice services[] = { { "anna", 4 } };
    const struct evt_package served = { .magic = EVT_PACKAGE_MAGIC,
                                        .name = HD_LIT("presence"),
                                        .publishers = services,
                                        .n_publishers = 1 };
    assert_int_equal(
        pol_ops.publish(w->shard, &w->config, &anna, HD_LIT("sip:bob@example.test"), &served)
            .decision,
        EVT_ALLOW);
}

/* --- Resource-Priority (RFC 4412 section 11.2) --- */

static void
a_namespace_is_for_those_whom_it_names_and_who_have_shown_who_they_are(void **state)
{
    struct world *w = *state;
    static const struct hd_slice users[] = { { "psap", 4 }, { "desk@example.test", 17 } };
    const struct evt_priority of = { .values = 1u << 27, .users = users, .n_users = 2 };
    const struct evt_priority nobody = { .values = 1u << 27, .trusted = true };
    const struct evt_identity psap = identity("sip:psap@example.test", true),
                              desk = identity("sip:desk@example.test", true),
                              other = identity("sip:bob@example.test", true),
                              claims = identity("sip:psap@example.test", false);

    const struct hd_flow flow = { .transport = HD_UDP, .remote = { .family = 4 } };
    const struct hd_slice none = { 0 };

    assert_true(pol_ops.priority(w->shard, &w->config, &psap, &flow, none, &of));
    assert_true(pol_ops.priority(w->shard, &w->config, &desk, &flow, none, &of));
    assert_false(pol_ops.priority(w->shard, &w->config, &other, &flow, none, &of));
    assert_false(pol_ops.priority(w->shard, &w->config, &claims, &flow, none, &of));
    assert_false(pol_ops.priority(w->shard, &w->config, &psap, &flow, none, &nobody));
}

/* A hop is trusted by its address, or by a domain that its certificate names. */
static void
a_trusted_hop_speaks_for_anybody_where_the_namespace_lets_it(void **state)
{
    struct world *w = *state;
    static const struct hd_prefix here[] = { { .addr = { .ip = { 192, 0, 2 }, .family = 4 },
                                               .bits = 24 } };
    static const struct hd_slice names[] = { { "edge.example.test", 17 } };
    static struct evt_listener listener;
    const struct evt_priority open = { .values = 1u << 27, .trusted = true },
                              closed = { .values = 1u << 27 };
    const struct evt_identity bob = identity("sip:bob@example.test", false);
    const struct hd_flow near = { .remote = { .ip = { 192, 0, 2, 7 }, .family = 4 } },
                         far = { .remote = { .ip = { 198, 51, 100, 7 }, .family = 4 } };
    const struct hd_slice none = { 0 }, edge = HD_LIT("example.test EDGE.example.test");

    listener = w->config.listeners[0];
    listener.trusted = here;
    listener.n_trusted = 1;
    listener.trusted_names = names;
    listener.n_trusted_names = 1;
    w->config.listeners = &listener;
    assert_true(pol_ops.priority(w->shard, &w->config, &bob, &near, none, &open));
    assert_true(pol_ops.priority(w->shard, &w->config, &bob, &far, edge, &open));
    assert_false(pol_ops.priority(w->shard, &w->config, &bob, &far, HD_LIT("example.test"), &open));
    assert_false(pol_ops.priority(w->shard, &w->config, &bob, &far, none, &open));
    assert_false(pol_ops.priority(w->shard, &w->config, &bob, &near, edge, &closed));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(without_rules_the_package_decides_and_the_owner_always_may),
        CASE(block_comes_before_allow_and_the_most_specific_is_named),
        CASE(a_block_of_everyone_holds_where_the_package_allows),
        CASE(watcher_information_is_opened_by_name_alone),
        CASE(the_longest_identity_is_judged),
        CASE(a_resource_is_published_by_its_owner_and_the_services_of_the_package),
        CASE(a_user_registers_himself_and_nobody_else),
        CASE(the_configuration_gives_rights_by_pattern),
        CASE(a_user_publishes_and_registers_each_of_his_addresses),
        CASE(a_namespace_is_for_those_whom_it_names_and_who_have_shown_who_they_are),
        CASE(a_trusted_hop_speaks_for_anybody_where_the_namespace_lets_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
