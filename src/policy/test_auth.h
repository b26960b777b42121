/* test_auth.h - requests that are handed to authenticate, and a client's answers to its challenges,
 * for the tests of policy/ that ask who somebody is. */
#ifndef HD_POLICY_TEST_AUTH_H
#define HD_POLICY_TEST_AUTH_H

#include "policy/test_world.h"

/* The request with extra header lines, read. */
static inline void
parse(struct world *w, const char *from, const char *method, struct hd_slice lines,
      struct sip_msg *ret_msg)
{
    struct hd_arena arena;
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
    assert_int_equal(sip_msg_parse(hd_slice(w->text, (size_t)n), false, &arena, ret_msg, &fault),
                     HD_OK);
}

/* And handed to authenticate. */
static inline enum evt_auth
authenticate_from(struct world *w, const char *from, const char *method, struct hd_slice lines,
                  uint64_t now_us, struct evt_auth_result *ret)
{
    struct sip_msg msg;

    parse(w, from, method, lines, &msg);
    return pol_ops.authenticate(w->shard, &w->config, &msg, &w->flow, w->peer, now_us, ret);
}

static inline enum evt_auth
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
static inline struct sip_digest
challenge_of(struct world *w, struct pol_shard *shard, enum sip_digest_alg alg, uint64_t now_us)
{
    static char text[2048];
    struct sip_out out;
    struct sip_digest digest;
    struct hd_slice rest;
    sip_out_init(&out, text, sizeof(text));
    struct sip_msg msg;
    parse(w, "<sip:alice@example.test>", "SUBSCRIBE", HD_LIT(""), &msg);
    pol_ops.challenge(shard, &w->config, &msg, &w->flow, now_us, false, &out);
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

static inline struct hd_slice
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

static inline enum evt_auth
answer(struct world *w, struct answer a, uint64_t now_us, struct evt_auth_result *ret)
{
    const struct sip_digest challenge =
        challenge_of(w, w->shard, a.alg ? a.alg : SIP_DIGEST_SHA256, NOW_US);
    return authenticate(w, answer_line(w, challenge, a), now_us, ret);
}

static inline struct hd_slice
key_of(const struct evt_auth_result *result)
{
    return hd_slice(result->identity.key, result->identity.key_len);
}

#endif
