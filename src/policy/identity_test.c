/* identity_test.c - who somebody is: by From where that is believed, by the realm of his domain, by
 * an address of his, by his certificate. */
#include "policy/test_auth.h"

/* ---- identity from From ---- */

static void
an_open_listener_takes_the_identity_from_from(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *from, *key;
    } row[] = {
        { "<sip:alice@example.test>", "sip:alice@example.test" },
        { "\"A\" <sip:Bob@EXAMPLE.test;user=phone>", "sip:Bob@example.test" },
        { "<sip:carol@elsewhere.example>", "sip:carol@elsewhere.example" },
        { "<sips:dave@192.0.2.1>", "sip:dave@example.test" },
        { "<tel:+1-555>", "sip:+1555@example.test" },
        { "<mailto:eve@example.test>", NULL },
    };
    w->flow.listener = LISTENER_OPEN;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct evt_auth_result result;
        const enum evt_auth auth =
            authenticate_from(w, row[i].from, "SUBSCRIBE", HD_LIT(""), NOW_US, &result);
        if (auth != (row[i].key ? EVT_AUTH_OK : EVT_AUTH_BAD) ||
            (row[i].key && !hd_slice_eq(key_of(&result), hd_slice_str(row[i].key))))
            fail_msg("row %zu: %d %.*s", i, (int)auth, HD_FMT(key_of(&result)));
        assert_false(result.identity.authenticated);
        assert_false(result.identity.proven);
        assert_false(result.has_count);
    }
}

static void
an_open_listener_believes_the_address_of_whom_it_trusts(void **state)
{
    struct world *w = *state;
    struct evt_auth_result result;
    w->flow.listener = LISTENER_OPEN;
    w->flow.remote = address("127.0.0.9", 5060);
    assert_int_equal(authenticate(w, HD_LIT(""), NOW_US, &result), EVT_AUTH_OK);
    assert_true(result.identity.proven);
    w->flow.remote = address("128.0.0.9", 5060);
    assert_int_equal(authenticate(w, HD_LIT(""), NOW_US, &result), EVT_AUTH_OK);
    assert_false(result.identity.proven);
    w->flow.transport = HD_TCP;
    assert_int_equal(authenticate(w, HD_LIT(""), NOW_US, &result), EVT_AUTH_OK);
    assert_true(result.identity.proven);
}

static void
connection_of_a_trusted_name_is_believed_what_from_says(void **state)
{
    static const struct hd_slice names[] = { { "edge.example.test", 17 }, { "other.test", 10 } };
    static const struct {
        const char *peer;
        enum evt_auth expected;
    } rows[] = {
        { "edge.example.test", EVT_AUTH_OK },    { "a.test EDGE.example.test", EVT_AUTH_OK },
        { "other.test x.test", EVT_AUTH_OK },    { "", EVT_AUTH_CHALLENGE },
        { "example.test", EVT_AUTH_CHALLENGE },  { "a.edge.example.test", EVT_AUTH_CHALLENGE },
        { "*.example.test", EVT_AUTH_CHALLENGE }
    };
    struct world *w = *state;

    w->flow.transport = HD_TLS;
    w->flow.listener = LISTENER_DIGEST;
    w->listeners[LISTENER_DIGEST].trusted_names = names;
    w->listeners[LISTENER_DIGEST].n_trusted_names = 2;
    for (size_t i = 0; i < HD_ARRAY_LEN(rows); i++) {
        struct evt_auth_result result;

        w->peer = hd_slice_str(rows[i].peer);
        assert_int_equal(authenticate(w, HD_LIT(""), NOW_US, &result), rows[i].expected);
        assert_false(result.identity.authenticated);
        if (rows[i].expected == EVT_AUTH_OK)
            assert_true(hd_slice_eq(key_of(&result), HD_LIT("sip:alice@example.test")));
    }
}

/* ---- realms, addresses, certificates ---- */

/* The user with these logins and addresses, beside the others. */
static void
set_user(struct world *w, const char *name, const struct pol_made *made, size_t n_made,
         const struct hd_slice *addresses, size_t n_addresses)
{
    struct pol_login logins[POL_LOGINS_MAX];
    struct pol_book *book;

    for (size_t i = 0; i < n_made; i++)
        logins[i] = made[i].login;
    assert_int_equal(pol_book_with_user(w->settings.book,
                                        &(struct pol_user){ .name = hd_slice_str(name),
                                                            .logins = logins,
                                                            .n_logins = (uint8_t)n_made,
                                                            .addresses = addresses,
                                                            .n_addresses = (uint8_t)n_addresses },
                                        &book),
                     HD_OK);
    pol_book_unref(w->settings.book);
    w->settings.book = book;
}

static const struct hd_slice anna_addresses[] = { { "sip:anna@other.test", 19 },
                                                  { "sip:+4930@example.test", 22 } };

static void
set_anna(struct world *w)
{
    struct pol_made made[2];

    w->realms[1] = HD_LIT("other.test");
    w->settings.n_realms = 2;
    pol_login_make(HD_LIT("anna"), w->realms[0], HD_LIT("one"), &made[0]);
    pol_login_make(HD_LIT("a1"), w->realms[1], HD_LIT("two"), &made[1]);
    set_user(w, "anna", made, 2, anna_addresses, 2);
}

static void
a_sender_is_asked_for_the_realm_of_his_domain(void **state)
{
    static const struct {
        const char *from, *realm;
    } row[] = {
        { "<sip:anna@other.test>", "realm=\"other.test\"" },
        { "<sip:anna@OTHER.test:5070;x=1>", "realm=\"other.test\"" },
        { "<sip:anna@example.test>", "realm=\"herald " },
        { "<sip:anna@elsewhere.example>", "realm=\"herald " },
        { "<tel:+4930>", "realm=\"herald " },
    };
    struct world *w = *state;

    set_anna(w);
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        char text[1024];
        struct sip_out out;
        struct sip_msg msg;

        parse(w, row[i].from, "SUBSCRIBE", HD_LIT(""), &msg);
        sip_out_init(&out, text, sizeof(text) - 1);
        pol_ops.challenge(w->shard, &w->config, &msg, &w->flow, NOW_US, false, &out);
        text[out.n] = '\0';
        assert_non_null(strstr(text, row[i].realm));
    }
}

static void
a_user_is_himself_in_each_realm_by_the_name_that_he_has_there(void **state)
{
    static const struct {
        unsigned realm;
        const char *username, *password;
        enum evt_auth auth;
    } row[] = {
        { 0, "anna", "one", EVT_AUTH_OK },    { 1, "a1", "two", EVT_AUTH_OK },
        { 0, "a1", "two", EVT_AUTH_WRONG },   { 1, "anna", "one", EVT_AUTH_WRONG },
        { 0, "anna", "two", EVT_AUTH_WRONG }, { 1, "alice", "wonder land", EVT_AUTH_WRONG },
    };
    struct world *w = *state;

    set_anna(w);
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct sip_digest challenge = challenge_of(w, w->shard, SIP_DIGEST_SHA256, NOW_US);
        struct evt_auth_result result;

        if (row[i].realm)
            challenge.realm = w->realms[1];
        const enum evt_auth auth =
            authenticate(w,
                         answer_line(w, challenge,
                                     (struct answer){ .username = row[i].username,
                                                      .password = row[i].password }),
                         NOW_US, &result);
        if (auth != row[i].auth)
            fail_msg("row %zu: %d", i, (int)auth);
        if (auth == EVT_AUTH_OK)
            assert_true(hd_slice_eq(key_of(&result), anna_addresses[0]));
    }
    /* A realm that is not ours any more: as if nothing were there. */
    w->settings.n_realms = 1;
    struct evt_auth_result result;
    struct sip_digest challenge = challenge_of(w, w->shard, SIP_DIGEST_SHA256, NOW_US);
    challenge.realm = HD_LIT("other.test");
    const struct answer right = { .username = "a1", .password = "two" };
    assert_int_equal(authenticate(w, answer_line(w, challenge, right), NOW_US, &result),
                     EVT_AUTH_CHALLENGE);
}

static void
who_is_named_by_one_of_his_addresses_is_himself(void **state)
{
    struct world *w = *state;
    struct evt_auth_result result;

    set_anna(w);
    w->flow.listener = LISTENER_OPEN;
    assert_int_equal(authenticate_from(w, "<tel:+49-30>", "SUBSCRIBE", HD_LIT(""), NOW_US, &result),
                     EVT_AUTH_OK);
    assert_true(hd_slice_eq(key_of(&result), anna_addresses[0]));
    assert_int_equal(result.identity.proof, EVT_PROOF_FROM);
    w->flow.remote = address("127.0.0.9", 5060);
    assert_int_equal(authenticate_from(w, "<sip:x@y.test>", "SUBSCRIBE",
                                       HD_LIT("P-Asserted-Identity: <sip:+4930@example.test>\r\n"),
                                       NOW_US, &result),
                     EVT_AUTH_OK);
    assert_true(hd_slice_eq(key_of(&result), anna_addresses[0]));
    assert_int_equal(result.identity.proof, EVT_PROOF_ASSERTED);
}

/* The configuration made two users of one address: nobody becomes somebody else by that. */
static void
whose_name_is_the_address_of_another_cannot_log_in(void **state)
{
    static const struct hd_slice bobs[] = { { "sip:bob@example.test", 20 } };
    struct world *w = *state;
    struct evt_auth_result result;
    const struct answer bob = { .username = "bob", .password = "builder" };

    assert_int_equal(answer(w, bob, NOW_US, &result), EVT_AUTH_OK);
    set_user(w, "eve", NULL, 0, bobs, 1);
    assert_int_equal(answer(w, bob, NOW_US, &result), EVT_AUTH_WRONG);
    const struct pol_user *eve = pol_book_user(w->settings.book, HD_LIT("eve"));
    const struct pol_user *user = pol_book_user(w->settings.book, HD_LIT("bob"));
    assert_true(
        hd_slice_eq(pol_user_clash(w->settings.book, eve, &w->config.served), HD_LIT("bob")));
    assert_true(
        hd_slice_eq(pol_user_clash(w->settings.book, user, &w->config.served), HD_LIT("eve")));
    user = pol_book_user(w->settings.book, HD_LIT("alice"));
    assert_null(pol_user_clash(w->settings.book, user, &w->config.served).p);
}

static void
a_certificate_speaks_for_the_users_of_its_domain_where_that_is_believed(void **state)
{
    static const struct hd_slice certified[] = { { "fleet.example", 13 }, { "example.test", 12 } };
    static const struct {
        const char *peer, *from;
        enum evt_auth auth;
        const char *key;
    } row[] = {
        { "fleet.example", "<sip:truck7@fleet.example>", EVT_AUTH_OK, "sip:truck7@fleet.example" },
        { "x.test fleet.example", "<sip:truck7@FLEET.example;a=b>", EVT_AUTH_OK,
          "sip:truck7@fleet.example" },
        { "Alice@example.test", "<sip:Alice@example.test>", EVT_AUTH_OK, "sip:Alice@example.test" },
        { "alice@example.test", "<sip:%61lice@example.test>", EVT_AUTH_OK,
          "sip:alice@example.test" },
        { "alice@example.test", "<sip:bob@example.test>", EVT_AUTH_CHALLENGE, NULL },
        { "alice@example.test", "<sip:Alice@example.test>", EVT_AUTH_CHALLENGE, NULL },
        { "fleet.example", "<sip:alice@example.test>", EVT_AUTH_CHALLENGE, NULL },
        { "fleet.example", "<sip:truck7@sub.fleet.example>", EVT_AUTH_CHALLENGE, NULL },
        { "*.example", "<sip:truck7@fleet.example>", EVT_AUTH_CHALLENGE, NULL },
        { "press.example", "<sip:anna@press.example>", EVT_AUTH_CHALLENGE, NULL },
        { "fleet.example", "<tel:+1>", EVT_AUTH_CHALLENGE, NULL },
        { "", "<sip:truck7@fleet.example>", EVT_AUTH_CHALLENGE, NULL },
    };
    struct world *w = *state;

    w->flow.transport = HD_TLS;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct evt_auth_result result;

        w->peer = hd_slice_str(row[i].peer);
        w->listeners[LISTENER_DIGEST].certified = NULL;
        w->listeners[LISTENER_DIGEST].n_certified = 0;
        assert_int_equal(
            authenticate_from(w, row[i].from, "SUBSCRIBE", HD_LIT(""), NOW_US, &result),
            EVT_AUTH_CHALLENGE);
        w->listeners[LISTENER_DIGEST].certified = certified;
        w->listeners[LISTENER_DIGEST].n_certified = 2;
        const enum evt_auth auth =
            authenticate_from(w, row[i].from, "SUBSCRIBE", HD_LIT(""), NOW_US, &result);
        if (auth != row[i].auth)
            fail_msg("row %zu: %d", i, (int)auth);
        if (!row[i].key)
            continue;
        assert_true(hd_slice_eq(key_of(&result), hd_slice_str(row[i].key)));
        assert_int_equal(result.identity.proof, EVT_PROOF_TLS);
        assert_true(result.identity.authenticated);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(connection_of_a_trusted_name_is_believed_what_from_says),
        CASE(an_open_listener_takes_the_identity_from_from),
        CASE(an_open_listener_believes_the_address_of_whom_it_trusts),
        CASE(a_sender_is_asked_for_the_realm_of_his_domain),
        CASE(a_user_is_himself_in_each_realm_by_the_name_that_he_has_there),
        CASE(who_is_named_by_one_of_his_addresses_is_himself),
        CASE(whose_name_is_the_address_of_another_cannot_log_in),
        CASE(a_certificate_speaks_for_the_users_of_its_domain_where_that_is_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
