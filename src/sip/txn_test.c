#include "sip/txn.h"

#include "sip_test.h"

static const struct hd_hash_key key = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };

static uint64_t
hash_of(const char *text)
{
    struct parsed p;
    parse_good(&p, text);
    return sip_txn_hash(&key, &p.msg);
}

static void
timer_e_doubles_up_to_t2(void **state)
{
    (void)state;
    uint32_t interval = SIP_T1_MS, sum = interval;
    static const uint32_t want[] = { 1000, 2000, 4000, 4000, 4000 };
    for (size_t i = 0; i < HD_ARRAY_LEN(want); i++) {
        interval = sip_timer_e_next(interval);
        assert_int_equal(interval, want[i]);
        sum += i < 2 ? interval : 0;
    }
    assert_int_equal(sum, SIP_TRYING_AFTER_MS);
    assert_int_equal(sip_timer_e_next(3000), 4000);
    assert_int_equal(sip_timer_e_next(UINT32_MAX), 4000);
}

#define BRANCH(via, uri, method, cseq)                                                             \
    method " " uri " SIP/2.0\r\nVia: " via "\r\n" FROM TO CALL_ID "CSeq: " cseq " " method         \
           "\r\n\r\n"

static void
with_the_cookie_branch_sent_by_and_method_name_the_transaction(void **state)
{
    (void)state;
    const uint64_t hash =
        hash_of(BRANCH("SIP/2.0/UDP h.test:5060;branch=z9hG4bKx", "sip:a@b", "NOTIFY", "1"));
    static const struct {
        const char *text;
        bool same;
    } row[] = {
        { BRANCH("SIP/2.0/UDP h.test:5060;branch=z9hG4bKx", "sip:a@b", "NOTIFY", "1"), true },
        { BRANCH("SIP/2.0/TCP H.TEST:5060;x;branch=z9hG4bKx;rport", "sip:c@d", "NOTIFY", "2"),
          true },
        { BRANCH("SIP/2.0/UDP h.test:5060;branch=z9hG4bKy", "sip:a@b", "NOTIFY", "1"), false },
        { BRANCH("SIP/2.0/UDP h.test:5060;branch=z9hG4bKX", "sip:a@b", "NOTIFY", "1"), false },
        { BRANCH("SIP/2.0/UDP g.test:5060;branch=z9hG4bKx", "sip:a@b", "NOTIFY", "1"), false },
        { BRANCH("SIP/2.0/UDP h.test:5061;branch=z9hG4bKx", "sip:a@b", "NOTIFY", "1"), false },
        { BRANCH("SIP/2.0/UDP h.test:5060;branch=z9hG4bKx", "sip:a@b", "PUBLISH", "1"), false },
        { BRANCH("SIP/2.0/UDP h.test:5060;branch=z9hG4bKx", "sip:a@b", "NOTIFYX", "1"), false },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        if ((hash_of(row[i].text) == hash) != row[i].same)
            fail_msg("%s", row[i].text);
}

static void
without_the_cookie_the_rules_of_rfc_2543_hold(void **state)
{
    (void)state;
#define OLD "SIP/2.0/UDP h.test:5060;branch=1"
    const uint64_t hash = hash_of(BRANCH(OLD, "sip:a@b", "NOTIFY", "1"));
    assert_true(hash == hash_of(BRANCH(OLD, "sip:a@b", "NOTIFY", "1")));
    assert_true(hash != hash_of(BRANCH(OLD, "sip:c@b", "NOTIFY", "1")));
    assert_true(hash != hash_of(BRANCH(OLD, "sip:a@b", "NOTIFY", "2")));
    assert_true(hash != hash_of(BRANCH(OLD, "sip:a@b", "PUBLISH", "1")));
    assert_true(hash != hash_of(BRANCH(OLD ";x", "sip:a@b", "NOTIFY", "1")));
    /* To and From tag and Call-ID count as well (RFC 3261 17.2.3). */
    static const char *const others[] = {
        FROM "To: <sip:b@h>;tag=other\r\n" CALL_ID,
        "From: <sip:a@h>;tag=other\r\n" TO CALL_ID,
        FROM TO "Call-ID: other\r\n",
    };
    uint64_t seen[HD_ARRAY_LEN(others)];
    for (size_t i = 0; i < HD_ARRAY_LEN(others); i++) {
        char text[512];
        snprintf(text, sizeof(text),
                 "NOTIFY sip:a@b SIP/2.0\r\nVia: " OLD "\r\n%sCSeq: 1 NOTIFY\r\n\r\n", others[i]);
        seen[i] = hash_of(text);
        assert_true(seen[i] != hash);
    }
    assert_true(seen[0] != seen[1] && seen[1] != seen[2] && seen[2] != seen[0]);
    /* The cookie alone identifies nothing (RFC 4475 section 3.2.1). */
    assert_true(hash_of(BRANCH("SIP/2.0/UDP h;branch=z9hG4bK", "sip:a@b", "NOTIFY", "1")) !=
                hash_of(BRANCH("SIP/2.0/UDP h;branch=z9hG4bK", "sip:a@b", "NOTIFY", "2")));
}

static void
ack_and_cancel_find_the_transaction_they_name(void **state)
{
    (void)state;
#define NEW "SIP/2.0/UDP h.test:5060;branch=z9hG4bKx"
    const uint64_t invite = hash_of(BRANCH(NEW, "sip:a@b", "INVITE", "1"));
    assert_true(hash_of(BRANCH(NEW, "sip:a@b", "ACK", "1")) == invite);
    struct parsed p;
    parse_good(&p, BRANCH(NEW, "sip:a@b", "CANCEL", "1"));
    assert_true(sip_txn_hash(&key, &p.msg) != invite);
    assert_true(sip_txn_hash_as(&key, &p.msg, HD_LIT("INVITE")) == invite);
}

static void
another_key_gives_another_hash(void **state)
{
    (void)state;
    static const struct hd_hash_key other = { 1, 2 };
    struct parsed p;
    parse_good(&p, REQUEST("NOTIFY", ""));
    assert_true(sip_txn_hash(&key, &p.msg) != sip_txn_hash(&other, &p.msg));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timer_e_doubles_up_to_t2),
        cmocka_unit_test(with_the_cookie_branch_sent_by_and_method_name_the_transaction),
        cmocka_unit_test(without_the_cookie_the_rules_of_rfc_2543_hold),
        cmocka_unit_test(ack_and_cancel_find_the_transaction_they_name),
        cmocka_unit_test(another_key_gives_another_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
