/* client_test.c - transactions, challenges and the server side of the user agent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "herald/fake.h"
#include "sip/digest.h"

struct got {
    unsigned calls;
    enum ua_outcome outcome;
    unsigned status;
};

static void
take_answer(void *context, const struct ua_answer *answer)
{
    struct got *got = context;
    got->calls++;
    got->outcome = answer->outcome;
    got->status = answer->status;
}

struct bench {
    struct fake fake;
    struct ua_dialog dialog;
    struct got got;
    uint64_t txn;
};

static void
bench_init(struct bench *bench, enum hd_transport transport, const char *user)
{
    memset(bench, 0, sizeof *bench);
    fake_init(&bench->fake, transport, user, "secret");
    assert_int_equal(ua_dialog_init(&bench->dialog, &bench->fake.rng,
                                    HD_LIT("sip:bob@example.test"),
                                    HD_LIT("sip:alice@example.test")),
                     HD_OK);
}

static void
bench_send_body(struct bench *bench, struct hd_slice body)
{
    assert_int_equal(ua_request_send(bench->fake.client,
                                     &(struct ua_request){ .method = SIP_PUBLISH,
                                                           .dialog = &bench->dialog,
                                                           .uri = HD_LIT("sip:alice@example.test"),
                                                           .headers = HD_LIT("Event: presence\r\n"),
                                                           .type = HD_LIT("text/plain"),
                                                           .body = body,
                                                           .answer = take_answer,
                                                           .context = &bench->got },
                                     &bench->txn),
                     HD_OK);
}

static void
bench_send(struct bench *bench)
{
    bench_send_body(bench, HD_LIT("x"));
}

#define CHALLENGE(nonce, more)                                                                     \
    "WWW-Authenticate: Digest realm=\"example.test\", nonce=\"" nonce                              \
    "\", algorithm=MD5, qop=\"auth\"" more "\r\n"

/* --- Timer E and F ---------------------------------------------------------------------------- */

static void
a_request_over_udp_is_repeated_by_timer_e_until_timer_f(void **state)
{
    (void)state;
    static const uint64_t at_ms[] = { 0,     500,   1500,  3500,  7500, 11500,
                                      15500, 19500, 23500, 27500, 31500 };
    struct bench b;
    bench_init(&b, HD_UDP, NULL);
    bench_send(&b);
    for (size_t i = 0; i < HD_ARRAY_LEN(at_ms); i++) {
        uint64_t since = b.fake.now_ms - 1000000;
        fake_pass(&b.fake, at_ms[i] - since);
        assert_int_equal(b.fake.n_sent, i + 1);
        assert_int_equal(b.fake.sent[i].again, i);
        assert_int_equal(b.fake.sent[i].n, b.fake.sent[0].n);
        assert_memory_equal(b.fake.sent[i].octets, b.fake.sent[0].octets, b.fake.sent[0].n);
    }
    fake_pass(&b.fake, 499);
    assert_int_equal(b.got.calls, 0);
    fake_pass(&b.fake, 1);
    assert_int_equal(b.got.calls, 1);
    assert_int_equal(b.got.outcome, UA_TIMEOUT);
    fake_pass(&b.fake, 100000);
    assert_int_equal(b.fake.n_sent, HD_ARRAY_LEN(at_ms));
    fake_done(&b.fake);
}

static void
a_provisional_response_slows_the_repetition_to_t2(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, HD_UDP, NULL);
    bench_send(&b);
    fake_answer(&b.fake, 0, 100, NULL);
    fake_pass(&b.fake, 500); /* the interval that ran goes on, then T2 */
    assert_int_equal(b.fake.n_sent, 2);
    fake_pass(&b.fake, 3999);
    assert_int_equal(b.fake.n_sent, 2);
    fake_pass(&b.fake, 1);
    assert_int_equal(b.fake.n_sent, 3);
    assert_int_equal(b.got.calls, 0);
    fake_done(&b.fake);
}

static void
a_request_over_tcp_is_not_repeated_but_timer_f_runs(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, HD_TCP, NULL);
    bench_send(&b);
    fake_pass(&b.fake, 31999);
    assert_int_equal(b.fake.n_sent, 1);
    assert_int_equal(b.got.calls, 0);
    fake_pass(&b.fake, 1);
    assert_int_equal(b.got.outcome, UA_TIMEOUT);
    fake_done(&b.fake);
}

static void
a_final_response_ends_the_transaction_once(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, HD_UDP, NULL);
    bench_send(&b);
    fake_answer(&b.fake, 0, 403, NULL);
    fake_answer(&b.fake, 0, 403, NULL);
    fake_pass(&b.fake, 40000);
    assert_int_equal(b.got.calls, 1);
    assert_int_equal(b.got.outcome, UA_ANSWERED);
    assert_int_equal(b.got.status, 403);
    assert_int_equal(b.fake.n_sent, 1);
    fake_done(&b.fake);
}

static void
a_response_with_another_branch_or_a_second_via_is_dropped(void **state)
{
    (void)state;
    struct bench b;
    char text[1024];
    bench_init(&b, HD_UDP, NULL);
    bench_send(&b);
    const struct sip_msg *msg = fake_sent(&b.fake, 0);
    snprintf(text, sizeof text,
             "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bK0000000000000000\r\n"
             "From: %.*s\r\nTo: %.*s;tag=a\r\nCall-ID: %.*s\r\nCSeq: %u PUBLISH\r\n"
             "Content-Length: 0\r\n\r\n",
             HD_FMT(msg->from.value), HD_FMT(msg->to.value), HD_FMT(msg->call_id),
             (unsigned)msg->cseq.number);
    fake_deliver(&b.fake, text);
    snprintf(text, sizeof text,
             "SIP/2.0 200 OK\r\nVia: %.*s\r\nVia: SIP/2.0/UDP 192.0.2.77;branch=z9hG4bKx\r\n"
             "From: %.*s\r\nTo: %.*s;tag=a\r\nCall-ID: %.*s\r\nCSeq: %u PUBLISH\r\n"
             "Content-Length: 0\r\n\r\n",
             HD_FMT(msg->via.value), HD_FMT(msg->from.value), HD_FMT(msg->to.value),
             HD_FMT(msg->call_id), (unsigned)msg->cseq.number);
    fake_deliver(&b.fake, text);
    assert_int_equal(b.got.calls, 0);
    fake_done(&b.fake);
}

static void
a_forgotten_request_is_neither_repeated_nor_answered(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, HD_UDP, NULL);
    bench_send(&b);
    ua_request_forget(b.fake.client, b.txn);
    fake_answer(&b.fake, 0, 200, NULL);
    fake_pass(&b.fake, 40000);
    assert_int_equal(b.got.calls, 0);
    assert_int_equal(b.fake.n_sent, 1);
    fake_done(&b.fake);
}

static void
a_transport_failure_ends_the_request(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, HD_TCP, NULL);
    bench_send(&b);
    ua_client_failed(b.fake.client, b.fake.now_ms, b.fake.sent[0].owner);
    assert_int_equal(b.got.calls, 1);
    assert_int_equal(b.got.outcome, UA_UNREACHABLE);
    fake_done(&b.fake);
}

static void
a_lost_connection_ends_what_waits_on_it(void **state)
{
    (void)state;
    struct bench b;
    struct hd_addr other;
    bench_init(&b, HD_TCP, NULL);
    bench_send(&b);
    assert_int_equal(hd_addr_parse(HD_LIT("192.0.2.1"), 40000, &other), HD_OK);
    ua_client_lost(b.fake.client, b.fake.now_ms, &other);
    assert_int_equal(b.got.calls, 0);
    ua_client_lost(b.fake.client, b.fake.now_ms, &b.fake.server);
    assert_int_equal(b.got.calls, 1);
    assert_int_equal(b.got.outcome, UA_UNREACHABLE);
    fake_done(&b.fake);
    bench_init(&b, HD_UDP, NULL); /* a datagram does not care */
    bench_send(&b);
    ua_client_lost(b.fake.client, b.fake.now_ms, &b.fake.server);
    assert_int_equal(b.got.calls, 0);
    fake_done(&b.fake);
}

/* --- above 1300 octets ------------------------------------------------------------------------ */

static void
a_large_request_goes_over_tcp_and_falls_back_to_udp(void **state)
{
    (void)state;
    static char body[1400];
    struct bench b;
    memset(body, 'x', sizeof body);
    bench_init(&b, HD_UDP, NULL);
    bench_send_body(&b, hd_slice(body, sizeof body));
    assert_int_equal(b.fake.sent[0].flow.transport, HD_TCP);
    assert_true(hd_slice_eq(fake_sent(&b.fake, 0)->via.transport, HD_LIT("TCP")));
    char branch[64];
    snprintf(branch, sizeof branch, "%.*s", HD_FMT(fake_sent(&b.fake, 0)->via.branch));
    ua_client_failed(b.fake.client, b.fake.now_ms, b.fake.sent[0].owner);
    assert_int_equal(b.got.calls, 0);
    assert_int_equal(b.fake.sent[1].flow.transport, HD_UDP);
    const struct sip_msg *msg = fake_sent(&b.fake, 1);
    assert_true(hd_slice_eq(msg->via.transport, HD_LIT("UDP")));
    assert_false(hd_slice_eq(msg->via.branch, hd_slice_str(branch)));
    assert_int_equal(msg->body.n, sizeof body);
    fake_answer(&b.fake, 1, 200, NULL);
    assert_int_equal(b.got.status, 200);
    fake_done(&b.fake);
}

/* --- digest ----------------------------------------------------------------------------------- */

static bool
credentials_right(const struct sip_msg *msg, enum sip_digest_alg alg, const char *nonce,
                  uint32_t nc)
{
    struct sip_digest digest;
    char ha1[SIP_DIGEST_HEX];
    size_t n;
    if (sip_digest_parse(sip_msg_value(msg, SIP_HDR_AUTHORIZATION), &digest) != HD_OK)
        return false;
    sip_digest_ha1(alg, HD_LIT("bob"), HD_LIT("example.test"), HD_LIT("secret"), ha1, &n);
    return digest.alg == alg && digest.nc == nc && hd_slice_eq(digest.nonce, hd_slice_str(nonce)) &&
           hd_slice_eq(digest.uri, msg->uri) &&
           sip_digest_verify(&digest, hd_slice(ha1, n), msg->method_name);
}

static void
a_challenge_is_answered_with_a_new_branch_and_the_next_cseq(void **state)
{
    (void)state;
    struct bench b;
    char branch[64];
    bench_init(&b, HD_UDP, "bob");
    bench_send(&b);
    const struct sip_msg *msg = fake_sent(&b.fake, 0);
    uint32_t cseq = msg->cseq.number;
    snprintf(branch, sizeof branch, "%.*s", HD_FMT(msg->via.branch));
    assert_false(sip_msg_has(msg, SIP_HDR_AUTHORIZATION));
    fake_answer(&b.fake, 0, 401, CHALLENGE("n1", ""));
    msg = fake_sent(&b.fake, 1);
    assert_int_equal(msg->cseq.number, cseq + 1);
    assert_false(hd_slice_eq(msg->via.branch, hd_slice_str(branch)));
    assert_true(credentials_right(msg, SIP_DIGEST_MD5, "n1", 1));
    assert_true(hd_slice_eq(msg->body, HD_LIT("x")));
    fake_answer(&b.fake, 1, 200, NULL);
    assert_int_equal(b.got.calls, 1);
    assert_int_equal(b.got.status, 200);
    fake_done(&b.fake);
}

static void
the_nonce_is_used_again_and_the_count_goes_up(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, HD_UDP, "bob");
    bench_send(&b);
    fake_answer(&b.fake, 0, 401, CHALLENGE("n1", ""));
    fake_answer(&b.fake, 1, 200, NULL);
    bench_send(&b);
    assert_true(credentials_right(fake_sent(&b.fake, 2), SIP_DIGEST_MD5, "n1", 2));
    fake_answer(&b.fake, 2, 200, NULL);
    assert_int_equal(b.got.calls, 2);
    fake_done(&b.fake);
}

static void
an_old_nonce_that_is_challenged_is_replaced(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, HD_UDP, "bob");
    bench_send(&b);
    fake_answer(&b.fake, 0, 401, CHALLENGE("n1", ""));
    fake_answer(&b.fake, 1, 200, NULL);
    bench_send(&b); /* with n1; this server forgot to say stale */
    fake_answer(&b.fake, 2, 401, CHALLENGE("n2", ""));
    assert_true(credentials_right(fake_sent(&b.fake, 3), SIP_DIGEST_MD5, "n2", 1));
    fake_answer(&b.fake, 3, 200, NULL);
    assert_int_equal(b.got.outcome, UA_ANSWERED);
    fake_done(&b.fake);
}

static void
a_stale_challenge_is_answered_but_not_for_ever(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, HD_UDP, "bob");
    bench_send(&b);
    fake_answer(&b.fake, 0, 401, CHALLENGE("n1", ""));
    for (size_t i = 1; i <= 3; i++)
        fake_answer(&b.fake, i, 401, CHALLENGE("n2", ", stale=true"));
    assert_int_equal(b.got.calls, 0);
    assert_int_equal(b.fake.n_sent, 5);
    fake_answer(&b.fake, 4, 401, CHALLENGE("n3", ", stale=true"));
    assert_int_equal(b.got.calls, 1);
    assert_int_equal(b.got.outcome, UA_BAD_PASSWORD);
    assert_int_equal(b.fake.n_sent, 5);
    fake_done(&b.fake);
}

static void
a_second_challenge_after_the_credentials_says_that_they_are_wrong(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, HD_UDP, "bob");
    bench_send(&b);
    fake_answer(&b.fake, 0, 401, CHALLENGE("n1", ""));
    fake_answer(&b.fake, 1, 401, CHALLENGE("n2", ""));
    assert_int_equal(b.got.calls, 1);
    assert_int_equal(b.got.outcome, UA_BAD_PASSWORD);
    assert_int_equal(b.fake.n_sent, 2);
    fake_done(&b.fake);
}

static void
a_challenge_without_a_user_is_told_to_the_caller(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, HD_UDP, NULL);
    bench_send(&b);
    fake_answer(&b.fake, 0, 401, CHALLENGE("n1", ""));
    assert_int_equal(b.got.outcome, UA_NO_PASSWORD);
    assert_int_equal(b.fake.n_sent, 1);
    fake_done(&b.fake);
}

static void
of_several_challenges_the_first_that_we_know_is_answered(void **state)
{
    (void)state;
    static const struct {
        const char *headers;
        enum sip_digest_alg alg;
    } row[] = {
        { "WWW-Authenticate: Digest realm=\"example.test\", nonce=\"n\", algorithm=SHA-512-256, "
          "qop=\"auth\"\r\n"
          "WWW-Authenticate: Digest realm=\"example.test\", nonce=\"n\", algorithm=SHA-256, "
          "qop=\"auth\"\r\n"
          "WWW-Authenticate: Digest realm=\"example.test\", nonce=\"n\", algorithm=MD5, "
          "qop=\"auth\"\r\n",
          SIP_DIGEST_SHA256 },
        { "WWW-Authenticate: Digest realm=\"example.test\", nonce=\"n\", algorithm=MD5, "
          "qop=\"auth\"\r\n"
          "WWW-Authenticate: Digest realm=\"example.test\", nonce=\"n\", algorithm=SHA-256, "
          "qop=\"auth\"\r\n",
          SIP_DIGEST_MD5 },
        { "WWW-Authenticate: Digest realm=\"example.test\", nonce=\"n\", algorithm=SHA-256, "
          "qop=\"auth-int\"\r\n"
          "WWW-Authenticate: Digest realm=\"example.test\", nonce=\"n\", "
          "qop=\"auth,auth-int\"\r\n",
          SIP_DIGEST_MD5 },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct bench b;
        bench_init(&b, HD_UDP, "bob");
        bench_send(&b);
        fake_answer(&b.fake, 0, 401, row[i].headers);
        assert_true(credentials_right(fake_sent(&b.fake, 1), row[i].alg, "n", 1));
        fake_done(&b.fake);
    }
}

static void
a_challenge_of_another_scheme_cannot_be_answered(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, HD_UDP, "bob");
    bench_send(&b);
    fake_answer(&b.fake, 0, 401, "WWW-Authenticate: Bearer authz_server=\"https://x\"\r\n");
    assert_int_equal(b.got.outcome, UA_ODD_CHALLENGE);
    fake_done(&b.fake);
}

static void
a_proxy_challenge_is_answered_beside_that_of_the_server(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, HD_UDP, "bob");
    bench_send(&b);
    fake_answer(&b.fake, 0, 407,
                "Proxy-Authenticate: Digest realm=\"edge\", nonce=\"p1\", qop=\"auth\"\r\n");
    assert_non_null(fake_value(fake_sent(&b.fake, 1), "Proxy-Authorization"));
    fake_answer(&b.fake, 1, 401, CHALLENGE("n1", ""));
    const struct sip_msg *msg = fake_sent(&b.fake, 2);
    assert_true(credentials_right(msg, SIP_DIGEST_MD5, "n1", 1));
    assert_non_null(strstr(fake_value(msg, "Proxy-Authorization"), "nc=00000002"));
    fake_answer(&b.fake, 2, 200, NULL);
    assert_int_equal(b.got.status, 200);
    fake_done(&b.fake);
}

/* --- the server side -------------------------------------------------------------------------- */

static void
deliver_request(struct fake *fake, const char *method, const char *branch)
{
    char text[1024];
    snprintf(text, sizeof text,
             "%s sip:bob@192.0.2.9:5062 SIP/2.0\r\nVia: SIP/2.0/UDP "
             "192.0.2.1:5060;branch=z9hG4bK%s\r\nMax-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\n"
             "To: <sip:bob@192.0.2.9>\r\nCall-ID: cc\r\nCSeq: 1 %s\r\nContent-Length: 0\r\n\r\n",
             method, branch, method);
    fake_deliver(fake, text);
}

static void
requests_that_are_not_for_us_are_answered(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        unsigned status;
    } row[] = {
        { "OPTIONS", 200 }, { "MESSAGE", 405 }, { "INVITE", 405 },
        { "NOTIFY", 481 },  { "CANCEL", 481 },  { "FOO", 501 },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct fake fake;
        fake_init(&fake, HD_UDP, NULL, NULL);
        deliver_request(&fake, row[i].method, "1");
        const struct sip_msg *msg = fake_next(&fake);
        assert_int_equal(msg->status, row[i].status);
        assert_true(msg->to_tag.n > 0);
        fake_done(&fake);
    }
}

static void
an_ack_is_never_answered(void **state)
{
    (void)state;
    struct fake fake;
    fake_init(&fake, HD_UDP, NULL, NULL);
    deliver_request(&fake, "ACK", "1");
    fake_quiet(&fake);
    fake_done(&fake);
}

static void
a_request_that_comes_again_gets_the_same_octets_for_64_t1(void **state)
{
    (void)state;
    struct fake fake;
    fake_init(&fake, HD_UDP, NULL, NULL);
    deliver_request(&fake, "OPTIONS", "1");
    fake_pass(&fake, 31999);
    deliver_request(&fake, "OPTIONS", "1");
    assert_int_equal(fake.n_sent, 2);
    assert_int_equal(fake.sent[0].n, fake.sent[1].n);
    assert_memory_equal(fake.sent[0].octets, fake.sent[1].octets, fake.sent[0].n);
    fake_pass(&fake, 1);
    deliver_request(&fake, "OPTIONS", "1"); /* forgotten: a new answer with another tag */
    assert_memory_not_equal(fake.sent[0].octets, fake.sent[2].octets, fake.sent[0].n);
    fake_done(&fake);
}

static void
a_malformed_request_that_can_be_answered_gets_400(void **state)
{
    (void)state;
    struct fake fake;
    fake_init(&fake, HD_UDP, NULL, NULL);
    fake_deliver(&fake, "OPTIONS sip:bob@192.0.2.9 SIP/2.0\r\n"
                        "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\r\nMax-Forwards: 700\r\n"
                        "From: <sip:a@b>;tag=1\r\nTo: <sip:bob@192.0.2.9>\r\nCall-ID: cc\r\n"
                        "CSeq: 1 OPTIONS\r\nContent-Length: 99\r\n\r\n");
    assert_int_equal(fake_next(&fake)->status, 400);
    fake_deliver(&fake, "garbage\r\n\r\n");
    fake_quiet(&fake);
    fake_done(&fake);
}

/* --- dialogs ---------------------------------------------------------------------------------- */

static void
a_request_in_a_dialog_takes_its_route_and_target(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, HD_UDP, NULL);
    memcpy(b.dialog.remote_tag, "srv", 3);
    b.dialog.remote_tag_n = 3;
    assert_int_equal(ua_uri_set(&b.dialog.target, HD_LIT("sip:herald@192.0.2.50:5099")), HD_OK);
    bench_send(&b); /* no route: straight to the target */
    const struct sip_msg *msg = fake_sent(&b.fake, 0);
    assert_true(hd_slice_eq(msg->uri, HD_LIT("sip:herald@192.0.2.50:5099")));
    assert_true(hd_slice_eq(msg->to_tag, HD_LIT("srv")));
    assert_int_equal(b.fake.sent[0].flow.remote.port, 5099);
    b.dialog.route_n = (size_t)snprintf(b.dialog.route, sizeof b.dialog.route,
                                        "<sip:192.0.2.60:5070;lr;transport=tcp>, "
                                        "<sip:192.0.2.61;lr>");
    bench_send(&b); /* loose routing: to the first route, by its transport */
    msg = fake_sent(&b.fake, 1);
    assert_true(hd_slice_eq(msg->uri, HD_LIT("sip:herald@192.0.2.50:5099")));
    assert_string_equal(fake_value(msg, "Route"),
                        "<sip:192.0.2.60:5070;lr;transport=tcp>, <sip:192.0.2.61;lr>");
    assert_int_equal(b.fake.sent[1].flow.remote.port, 5070);
    assert_int_equal(b.fake.sent[1].flow.transport, HD_TCP);
    fake_done(&b.fake);
}

/* RFC 3261 section 8.1.1: what is in every request, and what tells one from another. */
static void
a_request_has_what_every_request_has(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, HD_UDP, NULL);
    bench_send(&b);
    const struct sip_msg *msg = fake_sent(&b.fake, 0);
    assert_true(hd_slice_eq(msg->uri, HD_LIT("sip:alice@example.test")));
    assert_string_equal(fake_value(msg, "To"), "<sip:alice@example.test>");
    assert_string_equal(fake_value(msg, "Max-Forwards"), "70");
    assert_int_equal(strncmp(fake_value(msg, "From"), "<sip:bob@example.test>;tag=", 27), 0);
    assert_string_equal(fake_value(msg, "User-Agent"), "herald/" HERALD_VERSION);
    assert_string_equal(fake_value(msg, "Content-Type"), "text/plain");
    assert_true(hd_slice_starts(msg->via.branch, HD_LIT("z9hG4bK")));
    uint32_t cseq = msg->cseq.number;
    char branch[64], tag[64], call_id[128];
    snprintf(branch, sizeof branch, "%.*s", HD_FMT(msg->via.branch));
    snprintf(tag, sizeof tag, "%.*s", HD_FMT(msg->from_tag));
    snprintf(call_id, sizeof call_id, "%.*s", HD_FMT(msg->call_id));
    assert_true(strlen(tag) >= 8 && strlen(call_id) >= 16);
    bench_send(&b); /* the next one of the same dialog */
    msg = fake_sent(&b.fake, 1);
    assert_int_equal(msg->cseq.number, cseq + 1);
    assert_false(hd_slice_eq(msg->via.branch, hd_slice_str(branch)));
    assert_true(hd_slice_eq(msg->from_tag, hd_slice_str(tag)));
    assert_true(hd_slice_eq(msg->call_id, hd_slice_str(call_id)));
    fake_done(&b.fake);
}

static void
a_target_that_is_a_name_is_reached_through_the_server(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, HD_UDP, NULL);
    memcpy(b.dialog.remote_tag, "srv", 3);
    b.dialog.remote_tag_n = 3;
    assert_int_equal(ua_uri_set(&b.dialog.target, HD_LIT("sip:herald@broker.invalid;gr=1")), HD_OK);
    bench_send(&b);
    assert_true(hd_addr_eq(&b.fake.sent[0].flow.remote, &b.fake.server));
    assert_true(hd_slice_eq(fake_sent(&b.fake, 0)->uri, HD_LIT("sip:herald@broker.invalid;gr=1")));
    fake_done(&b.fake);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_over_udp_is_repeated_by_timer_e_until_timer_f),
        cmocka_unit_test(a_provisional_response_slows_the_repetition_to_t2),
        cmocka_unit_test(a_request_over_tcp_is_not_repeated_but_timer_f_runs),
        cmocka_unit_test(a_final_response_ends_the_transaction_once),
        cmocka_unit_test(a_response_with_another_branch_or_a_second_via_is_dropped),
        cmocka_unit_test(a_forgotten_request_is_neither_repeated_nor_answered),
        cmocka_unit_test(a_transport_failure_ends_the_request),
        cmocka_unit_test(a_lost_connection_ends_what_waits_on_it),
        cmocka_unit_test(a_large_request_goes_over_tcp_and_falls_back_to_udp),
        cmocka_unit_test(a_challenge_is_answered_with_a_new_branch_and_the_next_cseq),
        cmocka_unit_test(the_nonce_is_used_again_and_the_count_goes_up),
        cmocka_unit_test(an_old_nonce_that_is_challenged_is_replaced),
        cmocka_unit_test(a_stale_challenge_is_answered_but_not_for_ever),
        cmocka_unit_test(a_second_challenge_after_the_credentials_says_that_they_are_wrong),
        cmocka_unit_test(a_challenge_without_a_user_is_told_to_the_caller),
        cmocka_unit_test(of_several_challenges_the_first_that_we_know_is_answered),
        cmocka_unit_test(a_challenge_of_another_scheme_cannot_be_answered),
        cmocka_unit_test(a_proxy_challenge_is_answered_beside_that_of_the_server),
        cmocka_unit_test(requests_that_are_not_for_us_are_answered),
        cmocka_unit_test(an_ack_is_never_answered),
        cmocka_unit_test(a_request_that_comes_again_gets_the_same_octets_for_64_t1),
        cmocka_unit_test(a_malformed_request_that_can_be_answered_gets_400),
        cmocka_unit_test(a_request_in_a_dialog_takes_its_route_and_target),
        cmocka_unit_test(a_request_has_what_every_request_has),
        cmocka_unit_test(a_target_that_is_a_name_is_reached_through_the_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
