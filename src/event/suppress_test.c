/* suppress_test.c - entity-tags and Suppress-If-Match (RFC 5839): tags to the last bit, and what a
 * restart makes of both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "event/test_setup.h"

static char tag[HD_ID_TEXT + 1], etag[HD_ID_TEXT + 1], seen[32], other[32];

static int
setup(void **state)
{
    (void)host_setup(state);
    etag[0] = '\0';
    return 0;
}

static enum hd_err
read_condition(const char *lines, uint64_t *ret_match)
{
    static char memory[8192], text[1024];
    struct hd_arena arena;
    struct sip_fault fault;
    struct sip_msg msg;

    hd_arena_init(&arena, memory, sizeof(memory));
    int n = snprintf(text, sizeof(text),
                     "SUBSCRIBE sip:b@example.test SIP/2.0\r\n"
                     "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n"
                     "From: <sip:a@example.test>;tag=1\r\nTo: <sip:b@example.test>\r\n"
                     "Call-ID: 1\r\nCSeq: 1 SUBSCRIBE\r\n%s\r\n",
                     lines);
    assert_int_equal(sip_msg_parse(hd_slice(text, (size_t)n), false, &arena, &msg, &fault), HD_OK);
    return evt_match_read(&msg, ret_match);
}

static void
tags_are_written_and_read_to_the_last_bit(void **state)
{
    uint64_t some = UINT64_C(0x9e3779b97f4a7c15), match;
    char line[64], text[EVT_TAG_TEXT];

    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        const uint64_t is = (some ^ UINT64_C(1) << bit) | 2;
        evt_tag_text(is, text);
        (void)snprintf(line, sizeof(line), "Suppress-If-Match: %.11s\r\n", text);
        assert_int_equal(read_condition(line, &match), HD_OK);
        assert_true(match == is);
    }
}

static void
what_is_no_tag_of_ours_matches_nothing(void **state)
{
    static const struct {
        const char *lines;
        enum hd_err err;
        uint64_t match;
    } row[] = {
        { "", HD_OK, EVT_SUPPRESS_NONE },
        { "Suppress-If-Match: *\r\n", HD_OK, EVT_SUPPRESS_ANY },
        { "Suppress-If-Match: **\r\n", HD_OK, EVT_SUPPRESS_NONE },
        { "Suppress-If-Match: AAAAAAAAAAA\r\n", HD_OK, EVT_SUPPRESS_NONE },
        { "Suppress-If-Match: AAAAAAAAAAB\r\n", HD_OK, EVT_SUPPRESS_NONE }, /* is "*" inside */
        { "Suppress-If-Match: AAAAAAAAAAQ\r\n", HD_OK, EVT_SUPPRESS_NONE }, /* beyond 64 bits */
        { "Suppress-If-Match: AAAAAAAAAA!\r\n", HD_OK, EVT_SUPPRESS_NONE },
        { "Suppress-If-Match: AAAAAAAAAAAA\r\n", HD_OK, EVT_SUPPRESS_NONE },
        { "Suppress-If-Match: b4cf7\r\n", HD_OK, EVT_SUPPRESS_NONE },
        { "Suppress-If-Match:\r\n", HD_ESYNTAX, 0 },
        { "Suppress-If-Match: a b\r\n", HD_ESYNTAX, 0 },
        { "Suppress-If-Match: \"a\"\r\n", HD_ESYNTAX, 0 },
        { "Suppress-If-Match: a, b\r\n", HD_ESYNTAX, 0 },
        { "Suppress-If-Match: a\r\nSuppress-If-Match: b\r\n", HD_ESYNTAX, 0 },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        uint64_t match = 99;
        enum hd_err err = read_condition(row[i].lines, &match);
        if (err != row[i].err || (!err && match != row[i].match))
            print_error("%s\n", row[i].lines);
        assert_int_equal(err, row[i].err);
        assert_true(err || match == row[i].match);
    }
}

static void
keep_tag(const struct host_sent *notify, char ret[32])
{
    struct hd_slice value = host_value(notify, SIP_HDR_SIP_ETAG);

    assert_int_equal(value.n, EVT_TAG_TEXT);
    (void)snprintf(ret, 32, "%.*s", HD_FMT(value));
}

/* A SUBSCRIBE in the dialog, with a tag or without; the answer's status. */
static unsigned
refresh(uint32_t cseq, const char *with)
{
    char line[64] = "";

    if (with)
        (void)snprintf(line, sizeof(line), "Suppress-If-Match: %s\r\n", with);
    host_request(&host, &(struct host_request){
                            .to_tag = tag, .cseq = cseq, .expires = 3600, .headers = line });
    struct host_sent *answer = host_take(&host);
    assert_non_null(answer);
    return answer->msg.status;
}

/* Watches "one", and has acknowledged it. */
static void
begin(void)
{
    host_publish(&host, NULL, NULL, NULL, "one", etag);
    host_subscribe(&host, &(struct host_request){ .expires = 3600 }, tag);
    assert_int_equal(refresh(2, NULL), 200);
    struct host_sent *notify = host_take_notify(&host);
    keep_tag(notify, seen);
    host_answer(&host, notify, 200, NULL);
    host_wait(&host, 2000); /* that is written down */
}

static void
crash(void)
{
    host_restart(&host, 1, &(struct host_ending){ .kept = UINT32_MAX, .down_ms = 1000 });
    host_settle(&host);
}

static void
a_tag_is_the_same_after_a_restart(void **state)
{
    (void)state;
    begin();
    crash();
    host_take_nothing(&host);
    assert_int_equal(refresh(3, seen), 204);
    host_take_nothing(&host);
    assert_int_equal(refresh(4, NULL), 200);
    struct host_sent *notify = host_take_notify(&host);
    keep_tag(notify, other);
    assert_string_equal(seen, other);
    host_answer(&host, notify, 200, NULL);
}

static void
a_repetition_hears_204_after_a_restart(void **state)
{
    (void)state;
    begin();
    assert_int_equal(refresh(3, seen), 204);
    crash();
    assert_int_equal(refresh(3, seen), 204);
    assert_int_equal(HOST_COUNT(&host, 0, retransmitted), 1);
    host_take_nothing(&host);
}

static void
a_condition_outlives_a_restart_when_its_state_was_acknowledged(void **state)
{
    (void)state;
    begin();
    assert_int_equal(refresh(3, seen), 204);
    host_wait(&host, 2000);
    crash();
    struct evt_sub *sub = host_sub(&host, 0);
    assert_non_null(sub->rare);
    assert_true(sub->rare->match > EVT_SUPPRESS_ANY);
    host_publish(&host, NULL, NULL, etag, "two", etag);
    host_answer(&host, host_take_notify(&host), 200, NULL);
    assert_true(!sub->rare || sub->rare->match == EVT_SUPPRESS_NONE);
}

/* He said that he has "one", was told "two" since, and the store knows nothing of that: "one" is
 * news to him. */
static void
a_condition_that_may_be_old_suppresses_nothing(void **state)
{
    (void)state;
    begin();
    assert_int_equal(refresh(3, seen), 204);
    host_publish(&host, NULL, NULL, etag, "two", etag);
    host_answer(&host, host_take_notify(&host), 200, NULL);
    host_wait(&host, 2000);
    host_publish(&host, NULL, NULL, etag, "one", etag);
    (void)host_take_notify(&host); /* is lost */
    crash();
    struct host_sent *notify = host_take_notify(&host);
    assert_true(host_has(notify, "\r\n\r\none"));
    host_answer(&host, notify, 200, NULL);
}

static void
dormant_stays_dormant_over_a_restart(void **state)
{
    (void)state;
    begin();
    assert_int_equal(refresh(3, "*"), 204);
    host_publish(&host, NULL, NULL, etag, "two", etag);
    host_wait(&host, 2000);
    crash();
    host_wait(&host, 2000);
    host_publish(&host, NULL, NULL, etag, "three", etag);
    host_wait(&host, 60000);
    host_take_nothing(&host);
    assert_int_equal(refresh(4, NULL), 200);
    struct host_sent *notify = host_take_notify(&host);
    assert_true(host_has(notify, "\r\n\r\nthree"));
    host_answer(&host, notify, 200, NULL);
}

static void
who_says_no_condition_has_nothing_of_it(void **state)
{
    (void)state;
    begin();
    assert_null(host_sub(&host, 0)->rare);
    assert_int_equal(refresh(3, "nobody-gave-this"), 200);
    host_answer(&host, host_take_notify(&host), 200, NULL);
    assert_null(host_sub(&host, 0)->rare);
}

int
main(void)
{
#define TEST(name) HOST_TEST_WITH(name, 1, setup)
    const struct CMUnitTest tests[] = {
        TEST(tags_are_written_and_read_to_the_last_bit),
        TEST(what_is_no_tag_of_ours_matches_nothing),
        TEST(a_tag_is_the_same_after_a_restart),
        TEST(a_repetition_hears_204_after_a_restart),
        TEST(a_condition_outlives_a_restart_when_its_state_was_acknowledged),
        TEST(a_condition_that_may_be_old_suppresses_nothing),
        TEST(dormant_stays_dormant_over_a_restart),
        TEST(who_says_no_condition_has_nothing_of_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
