/* policy_test.c - who is it, and may he: digest with every way it can be wrong, and the order of
 * the rules. */
#include <stdbool.h>
#include <stdlib.h>

static bool calloc_fails;

static void *
test_calloc_(size_t n, size_t size)
{
    return calloc_fails ? NULL : calloc(n, size);
}

#define calloc test_calloc_
#include "policy/policy.c"
#undef calloc

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define REALM "herald \"test\""
#define LIFETIME_S 300
#define NOW_US (UINT64_C(5000) * US_PER_S)

enum { LISTENER_DIGEST = 0, LISTENER_OPEN, LISTENER_COUNT };

static const enum sip_digest_alg both[] = { SIP_DIGEST_SHA256, SIP_DIGEST_MD5 };

/* A server with alice and bob, a digest listener and an open one. */
struct world {
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
    char hex[SIP_DIGEST_COUNT][SIP_DIGEST_HEX];
    struct pol_user user;
    struct pol_book *book;
    pol_user_make(hd_slice_str(name), HD_LIT(REALM), hd_slice_str(password), 1, hex, &user);
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
    w->domains[0] = HD_LIT("example.test");
    w->domains[1] = HD_LIT("other.test");
    w->own[0] = address("192.0.2.1", 5060);
    assert_int_equal(hd_prefix_parse(HD_LIT("127.0.0.0/8"), &w->trusted[0]), HD_OK);
    w->listeners[LISTENER_DIGEST] =
        (struct evt_listener){ .transport = HD_UDP, .authenticate = true };
    w->listeners[LISTENER_OPEN] =
        (struct evt_listener){ .transport = HD_UDP, .trusted = w->trusted, .n_trusted = 1 };
    w->settings = (struct pol_settings){ .book = pol_book_new(&key),
                                         .realm = HD_LIT(REALM),
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

/* The request with extra header lines, handed to authenticate. */
static enum evt_auth
authenticate_from(struct world *w, const char *from, const char *method, struct hd_slice lines,
                  uint64_t now_us, struct evt_auth_result *ret)
{
    struct hd_arena arena;
    struct sip_msg msg;
    struct sip_fault fault;
    const int n = snprintf(
        w->text, sizeof(w->text),
        "%s sip:alice@example.test SIP/2.0\r\n"
        "Via: SIP/2.0/UDP 198.51.100.9:5062;branch=z9hG4bKx;rport\r\n"
        "From: %s;tag=a\r\nTo: <sip:alice@example.test>\r\nCall-ID: c1\r\n"
        "CSeq: 1 %s\r\nContact: <sip:u@198.51.100.9:5062>\r\n%.*sContent-Length: 0\r\n\r\n",
        method, from, method, HD_FMT(lines));
    assert_true(n > 0 && (size_t)n < sizeof(w->text));
    hd_arena_init(&arena, w->arena_memory, sizeof(w->arena_memory));
    assert_int_equal(sip_msg_parse(hd_slice(w->text, (size_t)n), false, &arena, &msg, &fault),
                     HD_OK);
    return pol_ops.authenticate(w->shard, &w->config, &msg, &w->flow, w->peer, now_us, ret);
}

static enum evt_auth
authenticate(struct world *w, struct hd_slice lines, uint64_t now_us, struct evt_auth_result *ret)
{
    return authenticate_from(w, "<sip:alice@example.test>", "SUBSCRIBE", lines, now_us, ret);
}

/* How a client answers a challenge; what is not set is right. */
struct answer {
    const char *username, *password, *uri, *method;
    uint32_t nc;
    bool no_qop;
    enum sip_digest_alg alg;
};

/* A nonce from the shard, as the challenge that a client reads for one algorithm. */
static struct sip_digest
challenge_of(struct world *w, struct pol_shard *shard, enum sip_digest_alg alg, uint64_t now_us)
{
    static char text[2048];
    struct sip_out out;
    struct sip_digest digest;
    struct hd_slice rest;
    sip_out_init(&out, text, sizeof(text));
    pol_ops.challenge(shard, &w->config, &w->flow, now_us, false, &out);
    assert_false(out.full);
    for (rest = hd_slice(text, out.n); rest.n;) {
        struct hd_slice line = hd_slice_cut(&rest, '\n');
        (void)hd_slice_cut(&line, ':');
        if (sip_digest_parse(hd_slice_trim(line), &digest) == HD_OK && digest.alg == alg)
            return digest;
    }
    fail_msg("no challenge for the algorithm");
    return digest;
}

static struct hd_slice
answer_line(struct world *w, struct sip_digest challenge, struct answer a)
{
    struct sip_out out;
    const char *uri = a.uri ? a.uri : "sip:alice@example.test",
               *method = a.method ? a.method : "SUBSCRIBE";
    if (a.no_qop)
        challenge.qop = (struct hd_slice){ 0 };
    sip_out_init(&out, w->line, sizeof(w->line));
    sip_digest_authorization(&out, &challenge, hd_slice_str(a.username ? a.username : "alice"),
                             hd_slice_str(a.password ? a.password : "wonder land"),
                             hd_slice_str(method), hd_slice_str(uri), HD_LIT("cn0nce"),
                             a.nc ? a.nc : 1, false);
    assert_false(out.full);
    return hd_slice(w->line, out.n);
}

static enum evt_auth
answer(struct world *w, struct answer a, uint64_t now_us, struct evt_auth_result *ret)
{
    const struct sip_digest challenge =
        challenge_of(w, w->shard, a.alg ? a.alg : SIP_DIGEST_SHA256, NOW_US);
    return authenticate(w, answer_line(w, challenge, a), now_us, ret);
}

static struct hd_slice
key_of(const struct evt_auth_result *result)
{
    return hd_slice(result->identity.key, result->identity.key_len);
}

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

    user.ha1[SIP_DIGEST_MD5] = HD_LIT("");
    assert_int_equal(pol_book_with_user(old, &user, &book), HD_OK);
    w->settings.book = book;
    assert_int_equal(answer(w, (struct answer){ .alg = SIP_DIGEST_MD5 }, NOW_US, &result),
                     EVT_AUTH_WRONG);
    assert_int_equal(answer(w, (struct answer){ 0 }, NOW_US, &result), EVT_AUTH_OK);
    pol_book_unref(book);

    user.realm = HD_LIT("old realm");
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

    alice.ha1[SIP_DIGEST_MD5] = HD_LIT("");
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
    pol_ops.challenge(w->shard, &w->config, &w->flow, NOW_US, true, &out);
    const struct hd_slice start =
        HD_LIT("WWW-Authenticate: Digest realm=\"herald \\\"test\\\"\", nonce=\"");
    struct hd_slice rest = hd_slice(text, out.n);
    const struct hd_slice first = hd_slice_cut(&rest, '\n'), second = hd_slice_cut(&rest, '\n');
    assert_true(hd_slice_starts(first, start));
    assert_true(hd_slice_starts(second, start));
    assert_true(hd_slice_eq(hd_slice_from(first, start.n + SIP_NONCE_TEXT),
                            HD_LIT("\", algorithm=SHA-256, qop=\"auth\", stale=true\r")));
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

/* ---- authorisation ---- */

#define ALICE "sip:alice@example.test"

static struct evt_identity
identity(const char *key, bool authenticated)
{
    struct evt_identity id = { .authenticated = authenticated };
    identity_set(&id, key, strlen(key));
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

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(connection_of_a_trusted_name_is_believed_what_from_says),
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
        CASE(an_open_listener_takes_the_identity_from_from),
        CASE(an_open_listener_believes_the_address_of_whom_it_trusts),
        CASE(without_rules_the_package_decides_and_the_owner_always_may),
        CASE(block_comes_before_allow_and_the_most_specific_is_named),
        CASE(a_block_of_everyone_holds_where_the_package_allows),
        CASE(watcher_information_is_opened_by_name_alone),
        CASE(the_longest_identity_is_judged),
        CASE(a_resource_is_published_by_its_owner_and_the_services_of_the_package),
        CASE(a_user_registers_himself_and_nobody_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
