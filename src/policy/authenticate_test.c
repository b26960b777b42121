/* authenticate_test.c - digest, with every way it can be wrong, and guessing. */
#include <stdbool.h>
#include <stdlib.h>

static bool calloc_fails;

static void *
test_calloc_(size_t n, size_t size)
{
    return calloc_fails ? NULL : calloc(n, size);
}

#define calloc test_calloc_
#include "policy/authenticate.c"
#undef calloc

#include "policy/test_auth.h"

/* ---- digest ---- */

static void
without_credentials_there_is_a_challenge(void **state)
{
    struct evt_auth_result result;
    assert_int_equal(authenticate(*state, HD_LIT(""), NOW_US, &result), EVT_AUTH_CHALLENGE);
    assert_int_equal(result.identity.key_len, 0);
    assert_false(result.has_count);
}

static void
right_credentials_give_the_identity_and_the_count_to_take(void **state)
{
    struct world *w = *state;
    static const enum sip_digest_alg algs[] = { SIP_DIGEST_SHA256, SIP_DIGEST_MD5 };
    for (size_t i = 0; i < HD_ARRAY_LEN(algs); i++) {
        struct evt_auth_result result;
        assert_int_equal(answer(w, (struct answer){ .alg = algs[i], .nc = 0x2a }, NOW_US, &result),
                         EVT_AUTH_OK);
        assert_true(hd_slice_eq(key_of(&result), HD_LIT("sip:alice@example.test")));
        assert_true(result.identity.authenticated);
        assert_true(result.identity.proven);
        assert_true(result.has_count);
        assert_int_equal(result.nc, 0x2a);
        assert_int_equal(hd_bucket_shard(hd_id_bucket(result.nonce_id), 1), 0);
        assert_int_equal(pol_nonce_issued_s(result.nonce_id), NOW_US / US_PER_S);
    }
}

static void
credentials_that_are_not_right_are_told_apart(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *what;
        struct answer answer;
        enum evt_auth auth;
    } row[] = {
        { "wrong password", { .password = "wonderland" }, EVT_AUTH_WRONG },
        { "empty password", { .password = "" }, EVT_AUTH_WRONG },
        { "wrong password, MD5", { .password = "x", .alg = SIP_DIGEST_MD5 }, EVT_AUTH_WRONG },
        { "unknown user", { .username = "carol" }, EVT_AUTH_WRONG },
        { "name of another case", { .username = "Alice" }, EVT_AUTH_WRONG },
        { "empty user name", { .username = "" }, EVT_AUTH_WRONG },
        { "password of another", { .username = "bob" }, EVT_AUTH_WRONG },
        { "another method", { .method = "PUBLISH" }, EVT_AUTH_WRONG },
        { "a method in lower case", { .method = "subscribe" }, EVT_AUTH_WRONG },
        { "uri of another host", { .uri = "sip:alice@example.org" }, EVT_AUTH_BAD },
        { "uri of our address, another port", { .uri = "sip:192.0.2.1:5061" }, EVT_AUTH_BAD },
        { "uri that is none", { .uri = "alice" }, EVT_AUTH_BAD },
        { "uri of a foreign scheme", { .uri = "mailto:alice@example.test" }, EVT_AUTH_BAD },
        { "empty uri", { .uri = "" }, EVT_AUTH_BAD },
        { "uri of our address", { .uri = "sip:192.0.2.1:5060" }, EVT_AUTH_OK },
        { "uri of a domain alone", { .uri = "sip:other.test" }, EVT_AUTH_OK },
        { "uri of another user", { .uri = "sip:bob@EXAMPLE.test;transport=tcp" }, EVT_AUTH_OK },
        { "tel uri", { .uri = "tel:+15551234" }, EVT_AUTH_OK },
        { "count 1, no qop", { .no_qop = true }, EVT_AUTH_OK },
        { "wrong password, no qop", { .no_qop = true, .password = "x" }, EVT_AUTH_WRONG },
        { "highest count", { .nc = UINT32_MAX }, EVT_AUTH_OK },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct evt_auth_result result;
        const enum evt_auth auth = answer(w, row[i].answer, NOW_US, &result);
        if (auth != row[i].auth)
            fail_msg("%s: %d", row[i].what, (int)auth);
        assert_true((auth == EVT_AUTH_BAD) == (result.reason != NULL));
        assert_true((auth == EVT_AUTH_OK) == (result.identity.key_len > 0));
        assert_true((auth == EVT_AUTH_OK) == result.has_count);
    }
}

static void
a_count_of_zero_is_never_new(void **state)
{
    struct world *w = *state;
    assert_false(pol_ops.count(w->shard, pol_nonce_id(0, 5000, 1), 0, NOW_US));
}

static void
a_replayed_count_is_refused_and_a_reordered_one_is_not(void **state)
{
    struct world *w = *state;
    const struct sip_digest challenge = challenge_of(w, w->shard, SIP_DIGEST_SHA256, NOW_US);
    static const struct {
        uint32_t nc;
        bool fresh;
    } row[] = { { 1, true }, { 1, false }, { 4, true }, { 3, true }, { 2, true }, { 3, false } };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct evt_auth_result result;
        const struct hd_slice line = answer_line(w, challenge, (struct answer){ .nc = row[i].nc });
        assert_int_equal(authenticate(w, line, NOW_US, &result), EVT_AUTH_OK);
        if (pol_ops.count(w->shard, result.nonce_id, result.nc, NOW_US) != row[i].fresh)
            fail_msg("row %zu", i);
    }
}

static void
without_qop_a_nonce_is_good_once(void **state)
{
    struct world *w = *state;
    const struct sip_digest challenge = challenge_of(w, w->shard, SIP_DIGEST_MD5, NOW_US);
    struct evt_auth_result result;
    const struct hd_slice line =
        answer_line(w, challenge, (struct answer){ .no_qop = true, .alg = SIP_DIGEST_MD5 });
    assert_int_equal(authenticate(w, line, NOW_US, &result), EVT_AUTH_OK);
    assert_int_equal(result.nc, 1);
    assert_true(pol_ops.count(w->shard, result.nonce_id, result.nc, NOW_US));
    assert_int_equal(authenticate(w, line, NOW_US, &result), EVT_AUTH_OK);
    assert_false(pol_ops.count(w->shard, result.nonce_id, result.nc, NOW_US));
}

static void
a_nonce_is_good_for_its_lifetime_and_stale_after(void **state)
{
    struct world *w = *state;
    struct evt_auth_result result;
    const uint64_t last = NOW_US + LIFETIME_S * US_PER_S;
    assert_int_equal(answer(w, (struct answer){ 0 }, last, &result), EVT_AUTH_OK);
    assert_int_equal(answer(w, (struct answer){ 0 }, last + US_PER_S, &result), EVT_AUTH_STALE);
    assert_false(result.has_count);
    assert_int_equal(result.identity.key_len, 0);
    assert_int_equal(answer(w, (struct answer){ .password = "x" }, last + US_PER_S, &result),
                     EVT_AUTH_WRONG);
    /* Given out by a shard whose clock was read a little later. */
    assert_int_equal(answer(w, (struct answer){ 0 }, NOW_US - US_PER_S, &result), EVT_AUTH_OK);
}

static void
a_shorter_lifetime_after_a_reload_holds_at_once(void **state)
{
    struct world *w = *state;
    struct evt_auth_result result;
    w->settings.nonce_lifetime_s = 10;
    assert_int_equal(answer(w, (struct answer){ 0 }, NOW_US + 11 * US_PER_S, &result),
                     EVT_AUTH_STALE);
}

static void
a_nonce_of_an_earlier_start_is_stale_when_the_password_is_right(void **state)
{
    struct world *w = *state;
    struct evt_auth_result result;
    struct pol_shard *earlier = new_shard(w, 0, 1, 6);
    const struct sip_digest challenge = challenge_of(w, earlier, SIP_DIGEST_SHA256, NOW_US);
    assert_int_equal(
        authenticate(w, answer_line(w, challenge, (struct answer){ 0 }), NOW_US, &result),
        EVT_AUTH_STALE);
    assert_int_equal(authenticate(w, answer_line(w, challenge, (struct answer){ .password = "x" }),
                                  NOW_US, &result),
                     EVT_AUTH_WRONG);
    pol_shard_free(earlier);
}

static void
a_nonce_that_we_never_wrote_is_never_good(void **state)
{
    struct world *w = *state;
    struct evt_auth_result result;
    struct sip_digest challenge = challenge_of(w, w->shard, SIP_DIGEST_SHA256, NOW_US);
    char changed[SIP_NONCE_TEXT];
    for (size_t i = 0; i < SIP_NONCE_TEXT; i++) {
        memcpy(changed, challenge.nonce.p, sizeof(changed));
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        struct sip_digest forged = challenge;
        forged.nonce = hd_slice(changed, sizeof(changed));
        assert_int_equal(
            authenticate(w, answer_line(w, forged, (struct answer){ 0 }), NOW_US, &result),
            EVT_AUTH_STALE);
    }
    challenge.nonce = HD_LIT("dcd98b7102dd2f0e8b11d0f600bfb0c093");
    assert_int_equal(authenticate(w, answer_line(w, challenge, (struct answer){ .password = "x" }),
                                  NOW_US, &result),
                     EVT_AUTH_WRONG);
}

static void
credentials_for_others_are_as_if_there_were_none(void **state)
{
    struct world *w = *state;
    static const char *const row[] = {
        "Authorization: Digest username=\"alice\", realm=\"other\", nonce=\"n\", uri=\"sip:a@b\", "
        "response=\"00\"\r\n",
        "Authorization: Digest username=\"alice\", nonce=\"n\", uri=\"sip:a@b\", "
        "response=\"00\"\r\n",
        "Authorization: Basic YWxpY2U6c2VjcmV0\r\n",
        "Authorization: Digest username=\"alice\", realm=\"herald \\\"test\\\"\", nonce=\"n\", "
        "uri=\"sip:a@b\", "
        "response=\"00\", algorithm=SHA-512-256\r\n",
        "Authorization: Digest username=\"alice\", realm=\"herald \\\"test\\\"\", nonce=\"n\", "
        "uri=\"sip:a@b\", "
        "response=\"00\", algorithm=MD5-sess\r\n",
        /* Sent before the first challenge by some clients. */
        "Authorization: Digest username=\"alice\", realm=\"herald \\\"test\\\"\", nonce=\"\", "
        "uri=\"sip:example.test\", "
        "response=\"\"\r\n",
        "Proxy-Authorization: Digest username=\"alice\", realm=\"herald \\\"test\\\"\", "
        "nonce=\"n\", "
        "uri=\"sip:example.test\", response=\"00000000000000000000000000000000\"\r\n",
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct evt_auth_result result;
        if (authenticate(w, hd_slice_str(row[i]), NOW_US, &result) != EVT_AUTH_CHALLENGE)
            fail_msg("row %zu", i);
    }
}

static void
improper_parameters_are_refused_with_a_phrase(void **state)
{
    struct world *w = *state;
#define OURS "Authorization: Digest realm=\"herald \\\"test\\\"\", "
    static const struct {
        const char *line, *reason;
    } row[] = {
        { "Authorization: Digest username=\"alice\r\n", "Malformed Authorization" },
        { "Authorization: Digest\r\n", "Malformed Authorization" },
        { OURS "realm=\"x\"\r\n", "Malformed Authorization" },
        { OURS "username=\"alice\"\r\n", "Incomplete Credentials" },
        { OURS "nonce=\"n\", uri=\"sip:example.test\", response=\"0\"\r\n",
          "Incomplete Credentials" },
        { OURS "username=\"alice\", uri=\"sip:example.test\", response=\"0\"\r\n",
          "Incomplete Credentials" },
        { OURS "username=\"alice\", nonce=\"n\", response=\"0\"\r\n", "Incomplete Credentials" },
        { OURS "username=\"alice\", nonce=\"n\", uri=\"sip:example.test\"\r\n",
          "Incomplete Credentials" },
        { OURS "username=\"alice\", nonce=\"n\", uri=\"sip:example.test\", response=\"0\", "
               "qop=auth-int, nc=00000001, "
               "cnonce=\"c\"\r\n",
          "Digest qop Not Offered" },
        { OURS "username=\"alice\", nonce=\"n\", uri=\"sip:example.test\", response=\"0\", "
               "qop=auth, cnonce=\"c\"\r\n",
          "Digest Without nc Or cnonce" },
        { OURS "username=\"alice\", nonce=\"n\", uri=\"sip:example.test\", response=\"0\", "
               "qop=auth, nc=00000001\r\n",
          "Digest Without nc Or cnonce" },
        { OURS "username=\"alice\", nonce=\"n\", uri=\"sip:example.test\", response=\"0\", "
               "qop=auth, nc=1, "
               "cnonce=\"c\"\r\n",
          "Malformed Authorization" },
        { OURS "username=\"alice\", nonce=\"n\", uri=\"sip:example.org\", response=\"0\"\r\n",
          "Digest URI Not Served Here" },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct evt_auth_result result;
        if (authenticate(w, hd_slice_str(row[i].line), NOW_US, &result) != EVT_AUTH_BAD ||
            strcmp(result.reason, row[i].reason) != 0)
            fail_msg("row %zu: %s", i, result.reason ? result.reason : "");
    }
}

static void
a_response_of_a_wrong_length_is_wrong(void **state)
{
    struct world *w = *state;
    struct evt_auth_result result;
    assert_int_equal(
        authenticate(w,
                     HD_LIT(OURS "username=\"alice\", nonce=\"n\", uri=\"sip:example.test\", "
                                 "response=\"00\"\r\n"),
                     NOW_US, &result),
        EVT_AUTH_WRONG);
}

static void
a_uri_of_the_address_that_the_request_came_to_is_served(void **state)
{
    struct world *w = *state;
    struct evt_auth_result result;
    w->flow.local = address("192.0.2.77", 5060); /* which the machine has only had since a while */
    const struct sip_digest challenge = challenge_of(w, w->shard, SIP_DIGEST_SHA256, NOW_US);
    const struct hd_slice line =
        answer_line(w, challenge, (struct answer){ .uri = "sip:192.0.2.77:5060" });
    assert_int_equal(authenticate(w, line, NOW_US, &result), EVT_AUTH_OK);
    w->flow.local = w->own[0];
    assert_int_equal(authenticate(w, line, NOW_US, &result), EVT_AUTH_BAD);
}

static void
ours_is_found_among_credentials_for_others(void **state)
{
    struct world *w = *state;
    char lines[3072];
    struct evt_auth_result result;
    const struct sip_digest challenge = challenge_of(w, w->shard, SIP_DIGEST_SHA256, NOW_US);
    const struct hd_slice ours = answer_line(w, challenge, (struct answer){ 0 });
    const int n = snprintf(
        lines, sizeof(lines),
        "Authorization: Digest username=\"x\", realm=\"other\", nonce=\"n\", uri=\"sip:a@b\", "
        "response=\"00\"\r\nAuthorization: AKA \"\r\nAuthorization: Digest broken\r\n%.*s",
        HD_FMT(ours));
    assert_int_equal(authenticate(w, hd_slice(lines, (size_t)n), NOW_US, &result), EVT_AUTH_OK);
}

static void
an_algorithm_that_is_no_longer_offered_is_challenged_anew(void **state)
{
    struct world *w = *state;
    struct evt_auth_result result;
    const struct sip_digest challenge = challenge_of(w, w->shard, SIP_DIGEST_MD5, NOW_US);
    const struct hd_slice line =
        answer_line(w, challenge, (struct answer){ .alg = SIP_DIGEST_MD5 });
    w->settings.n_algorithms = 1; /* SHA-256 alone */
    assert_int_equal(authenticate(w, line, NOW_US, &result), EVT_AUTH_CHALLENGE);
}

static void
an_ha1_that_is_missing_or_of_another_realm_is_as_a_wrong_password(void **state)
{
    struct world *w = *state;
    struct evt_auth_result result;
    struct pol_user user = *pol_book_user(w->settings.book, HD_LIT("alice"));
    struct pol_book *old = w->settings.book, *book;

    struct pol_login login = user.logins[0];
    user.logins = &login;
    login.ha1[SIP_DIGEST_MD5] = HD_LIT("");
    assert_int_equal(pol_book_with_user(old, &user, &book), HD_OK);
    w->settings.book = book;
    assert_int_equal(answer(w, (struct answer){ .alg = SIP_DIGEST_MD5 }, NOW_US, &result),
                     EVT_AUTH_WRONG);
    assert_int_equal(answer(w, (struct answer){ 0 }, NOW_US, &result), EVT_AUTH_OK);
    pol_book_unref(book);

    login.realm = HD_LIT("old realm");
    assert_int_equal(pol_book_with_user(old, &user, &book), HD_OK);
    w->settings.book = book;
    assert_int_equal(answer(w, (struct answer){ 0 }, NOW_US, &result), EVT_AUTH_WRONG);
    pol_book_unref(book);
    w->settings.book = old;
}

/* The HA1 that stands in for users that do not exist is known to everybody who reads the source. */
static void
knowing_the_stand_in_for_a_missing_ha1_opens_nothing(void **state)
{
    struct world *w = *state;
    static const char *const names[] = { "nobody", "alice" };
    char line[1024], response[SIP_DIGEST_HEX];
    size_t n;
    struct evt_auth_result result;
    struct pol_user alice = *pol_book_user(w->settings.book, HD_LIT("alice"));
    struct pol_book *old = w->settings.book, *book;
    struct sip_digest digest = challenge_of(w, w->shard, SIP_DIGEST_MD5, NOW_US);

    struct pol_login login = alice.logins[0];
    alice.logins = &login;
    login.ha1[SIP_DIGEST_MD5] = HD_LIT("");
    assert_int_equal(pol_book_with_user(old, &alice, &book), HD_OK);
    w->settings.book = book;
    digest.uri = HD_LIT("sip:example.test");
    digest.qop = (struct hd_slice){ 0 };
    sip_digest_response(&digest, HD_LIT("00000000000000000000000000000000"), HD_LIT("SUBSCRIBE"),
                        response, &n);
    for (size_t i = 0; i < HD_ARRAY_LEN(names); i++) {
        const int k = snprintf(
            line, sizeof(line),
            OURS "username=\"%s\", nonce=\"%.*s\", uri=\"sip:example.test\", response=\"%.*s\"\r\n",
            names[i], HD_FMT(digest.nonce), (int)n, response);
        assert_int_equal(authenticate(w, hd_slice(line, (size_t)k), NOW_US, &result),
                         EVT_AUTH_WRONG);
    }
    pol_book_unref(old);
}

static void
a_user_name_with_its_domain_is_an_identity_of_that_domain(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *name;
        enum evt_auth auth;
        const char *key;
    } row[] = {
        { "carol@example.test", EVT_AUTH_OK, "sip:carol@example.test" },
        { "carol@OTHER.test", EVT_AUTH_OK, "sip:carol@other.test" },
        { "carol@192.0.2.1", EVT_AUTH_OK, "sip:carol@example.test" },
        { "alice@example.org", EVT_AUTH_WRONG, NULL },
        { "carol d", EVT_AUTH_OK, "sip:carol%20d@example.test" },
        { "\xc3\xa4", EVT_AUTH_OK, "sip:%C3%A4@example.test" },
        { "back\\slash", EVT_AUTH_OK, "sip:back%5Cslash@example.test" },
        { "a@b@example.test", EVT_AUTH_OK, "sip:a%40b@example.test" },
        { "@example.test", EVT_AUTH_WRONG, NULL },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct evt_auth_result result;
        add_user(w, row[i].name, "pw");
        const enum evt_auth auth = answer(
            w, (struct answer){ .username = row[i].name, .password = "pw" }, NOW_US, &result);
        if (auth != row[i].auth ||
            (row[i].key && !hd_slice_eq(key_of(&result), hd_slice_str(row[i].key))))
            fail_msg("row %zu: %d %.*s", i, (int)auth, HD_FMT(key_of(&result)));
    }
}

static void
a_source_is_proven_by_its_nonce_a_connection_or_the_operator(void **state)
{
    struct world *w = *state;
    struct evt_auth_result result;
    const struct sip_digest challenge = challenge_of(w, w->shard, SIP_DIGEST_SHA256, NOW_US);
    const struct hd_slice line = answer_line(w, challenge, (struct answer){ 0 });

    w->flow.remote.port++;
    assert_int_equal(authenticate(w, line, NOW_US, &result), EVT_AUTH_OK);
    assert_false(result.identity.proven);
    w->flow.transport = HD_TCP;
    assert_int_equal(authenticate(w, line, NOW_US, &result), EVT_AUTH_OK);
    assert_true(result.identity.proven);
    w->flow.transport = HD_UDP;
    w->listeners[LISTENER_DIGEST].trusted = w->trusted;
    w->listeners[LISTENER_DIGEST].n_trusted = 1;
    w->flow.remote = address("127.3.2.1", 1);
    assert_int_equal(authenticate(w, line, NOW_US, &result), EVT_AUTH_OK);
    assert_true(result.identity.proven);
}

static void
the_uri_may_name_the_configured_contact(void **state)
{
    struct world *w = *state;
    struct evt_auth_result result;
    const struct answer a = { .uri = "sip:herald@203.0.113.5:5080" };
    assert_int_equal(answer(w, a, NOW_US, &result), EVT_AUTH_BAD);
    w->listeners[LISTENER_DIGEST].contact = HD_LIT("sip:herald@203.0.113.5:5080");
    assert_int_equal(answer(w, a, NOW_US, &result), EVT_AUTH_OK);
    assert_int_equal(answer(w, (struct answer){ .uri = "sip:herald@203.0.113.5" }, NOW_US, &result),
                     EVT_AUTH_BAD);
}

static void
a_challenge_offers_each_algorithm_in_order_and_escapes_the_realm(void **state)
{
    struct world *w = *state;
    char text[1024];
    struct sip_out out;
    sip_out_init(&out, text, sizeof(text));
    struct sip_msg msg;
    parse(w, "<sip:alice@example.test>", "SUBSCRIBE", HD_LIT(""), &msg);
    pol_ops.challenge(w->shard, &w->config, &msg, &w->flow, NOW_US, true, &out);
    const struct hd_slice start =
        HD_LIT("WWW-Authenticate: Digest realm=\"herald \\\"test\\\"\", nonce=\"");
    struct hd_slice rest = hd_slice(text, out.n);
    const struct hd_slice first = hd_slice_cut(&rest, '\n'), second = hd_slice_cut(&rest, '\n');
    assert_true(hd_slice_starts(first, start));
    assert_true(hd_slice_starts(second, start));
    assert_true(
        hd_slice_eq(hd_slice_from(first, start.n + SIP_NONCE_TEXT),
                    HD_LIT("\", algorithm=SHA-256, qop=\"auth\", charset=UTF-8, stale=true\r")));
    assert_true(hd_slice_eq(hd_slice_from(second, start.n + SIP_NONCE_TEXT),
                            HD_LIT("\", algorithm=MD5, qop=\"auth\", stale=true\r")));
    assert_int_equal(rest.n, 0);
}

static void
a_nonce_has_its_window_on_the_shard_that_gave_it_out(void **state)
{
    struct world *w = *state;
    enum { SHARDS = 3 };
    for (unsigned i = 0; i < SHARDS; i++) {
        struct pol_shard *shard = new_shard(w, i, SHARDS, 7);
        for (int k = 0; k < 50; k++) {
            const struct sip_digest challenge = challenge_of(w, shard, SIP_DIGEST_MD5, NOW_US);
            struct sip_nonce nonce;
            assert_int_equal(sip_nonce_read(&shard->id_key, challenge.nonce, &nonce), HD_OK);
            assert_int_equal(hd_bucket_shard(hd_id_bucket(nonce.id), SHARDS), i);
        }
        pol_shard_free(shard);
    }
}

static void
a_shard_that_finds_no_memory_is_not_made(void **state)
{
    struct world *w = *state;
    calloc_fails = true;
    assert_null(new_shard(w, 0, 1, 7));
    calloc_fails = false;
    pol_shard_free(NULL);
}

/* ---- guessing ---- */

static unsigned
guess(struct world *w, const char *username, unsigned times, uint64_t now_us)
{
    unsigned looked_at = 0;

    for (unsigned i = 0; i < times; i++) {
        struct evt_auth_result result;
        const struct answer a = { .username = username, .password = "guess" };
        looked_at += answer(w, a, now_us, &result) == EVT_AUTH_WRONG;
    }
    return looked_at;
}

static void
guessing_is_slowed_for_whoever_guesses_and_for_nobody_else(void **state)
{
    struct world *w = *state;
    struct evt_auth_result result;

    assert_int_equal(guess(w, "alice", 100, NOW_US), POL_GUESSES_BURST);
    /* Nor does he learn that he is right now; and another port is the same source. */
    assert_int_equal(answer(w, (struct answer){ 0 }, NOW_US, &result), EVT_AUTH_SLOWED);
    assert_int_equal(result.identity.key_len, 0);
    w->flow.remote.port++;
    assert_int_equal(answer(w, (struct answer){ 0 }, NOW_US, &result), EVT_AUTH_SLOWED);
    char line[2048]; /* nor another way of writing the name */
    const struct hd_slice plain =
        answer_line(w, challenge_of(w, w->shard, SIP_DIGEST_SHA256, NOW_US), (struct answer){ 0 });
    const char *name = memmem(plain.p, plain.n, "alice", 5);
    assert_non_null(name);
    const int n = snprintf(line, sizeof(line), "%.*s\\%.*s", (int)(name - plain.p), plain.p,
                           (int)(plain.n - (size_t)(name - plain.p)), name);
    assert_int_equal(authenticate(w, hd_slice(line, (size_t)n), NOW_US, &result), EVT_AUTH_SLOWED);
    /* Somebody who does not exist is slowed alike. */
    assert_int_equal(guess(w, "nobody", 100, NOW_US), POL_GUESSES_BURST);
    /* Others there, and alice from elsewhere, notice nothing. */
    const struct answer bob = { .username = "bob", .password = "builder" };
    assert_int_equal(answer(w, bob, NOW_US, &result), EVT_AUTH_OK);
    const struct hd_flow there = w->flow;
    w->flow.remote = address("198.51.100.10", 5062);
    assert_int_equal(answer(w, (struct answer){ 0 }, NOW_US, &result), EVT_AUTH_OK);
    w->flow = there;
    assert_int_equal(
        answer(w, (struct answer){ 0 }, NOW_US + (POL_GUESSES_EVERY_S + 1) * US_PER_S, &result),
        EVT_AUTH_OK);
}

/* Datagrams that bear another's address: he who has it gets the challenge, and answers it. */
static void
who_lies_about_his_address_slows_nobody(void **state)
{
    struct world *w = *state;
    struct evt_auth_result result;

    /* The liar's nonce is bound to his own address. */
    const struct hd_flow victim = w->flow;
    w->flow.remote = address("203.0.113.66", 5060);
    const struct sip_digest challenge = challenge_of(w, w->shard, SIP_DIGEST_SHA256, NOW_US);
    w->flow = victim;
    for (int i = 0; i < 1000; i++) {
        const struct answer a = { .password = "guess", .nc = (uint32_t)i + 1 };
        (void)authenticate(w, answer_line(w, challenge, a), NOW_US, &result);
    }
    assert_int_equal(answer(w, (struct answer){ 0 }, NOW_US, &result), EVT_AUTH_OK);
}

/* Behind a proxy that the operator trusts everybody has one source: what the proxy saw counts. */
static void
behind_a_trusted_hop_nobody_slows_his_neighbours(void **state)
{
    static const char *const seen[] = { "203.0.113.1", "203.0.113.2" };
    struct world *w = *state;
    unsigned looked_at[2] = { 0 };

    w->listeners[LISTENER_DIGEST].trusted = w->trusted;
    w->listeners[LISTENER_DIGEST].n_trusted = 1;
    w->flow.remote = address("127.0.0.9", 5060);
    for (unsigned i = 0; i < 100; i++) {
        const unsigned who = i >= 90;
        char lines[2400];
        struct evt_auth_result result;
        const struct hd_slice digest =
            answer_line(w, challenge_of(w, w->shard, SIP_DIGEST_MD5, NOW_US),
                        (struct answer){ .password = "guess", .alg = SIP_DIGEST_MD5 });
        const int n = snprintf(lines, sizeof(lines),
                               "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKy;received=%s\r\n%.*s",
                               seen[who], HD_FMT(digest));
        looked_at[who] +=
            authenticate(w, hd_slice(lines, (size_t)n), NOW_US, &result) == EVT_AUTH_WRONG;
    }
    assert_int_equal(looked_at[0], POL_GUESSES_BURST);
    assert_int_equal(looked_at[1], 10);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(without_credentials_there_is_a_challenge),
        CASE(right_credentials_give_the_identity_and_the_count_to_take),
        CASE(credentials_that_are_not_right_are_told_apart),
        CASE(a_count_of_zero_is_never_new),
        CASE(a_replayed_count_is_refused_and_a_reordered_one_is_not),
        CASE(without_qop_a_nonce_is_good_once),
        CASE(a_nonce_is_good_for_its_lifetime_and_stale_after),
        CASE(a_shorter_lifetime_after_a_reload_holds_at_once),
        CASE(a_nonce_of_an_earlier_start_is_stale_when_the_password_is_right),
        CASE(a_nonce_that_we_never_wrote_is_never_good),
        CASE(credentials_for_others_are_as_if_there_were_none),
        CASE(improper_parameters_are_refused_with_a_phrase),
        CASE(a_response_of_a_wrong_length_is_wrong),
        CASE(a_uri_of_the_address_that_the_request_came_to_is_served),
        CASE(ours_is_found_among_credentials_for_others),
        CASE(an_algorithm_that_is_no_longer_offered_is_challenged_anew),
        CASE(an_ha1_that_is_missing_or_of_another_realm_is_as_a_wrong_password),
        CASE(knowing_the_stand_in_for_a_missing_ha1_opens_nothing),
        CASE(a_user_name_with_its_domain_is_an_identity_of_that_domain),
        CASE(a_source_is_proven_by_its_nonce_a_connection_or_the_operator),
        CASE(the_uri_may_name_the_configured_contact),
        CASE(a_challenge_offers_each_algorithm_in_order_and_escapes_the_realm),
        CASE(a_nonce_has_its_window_on_the_shard_that_gave_it_out),
        CASE(a_shard_that_finds_no_memory_is_not_made),
        CASE(guessing_is_slowed_for_whoever_guesses_and_for_nobody_else),
        CASE(who_lies_about_his_address_slows_nobody),
        CASE(behind_a_trusted_hop_nobody_slows_his_neighbours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
