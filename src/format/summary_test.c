#include "format/summary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define ACCOUNT HD_LIT("sip:2001@pbx.example")

static struct fmt_summary
parsed(struct hd_slice body)
{
    struct fmt_summary summary = { 0 };
    const char *reason = "none";
    const enum hd_err err = fmt_summary_parse(body, &summary, &reason);
    if (err)
        fail_msg("refused: %s", reason);
    return summary;
}

static void
assert_written(struct hd_slice body, struct hd_slice account, const char *want)
{
    const struct fmt_summary summary = parsed(body);
    struct hd_str out;
    hd_str_init(&out);
    fmt_summary_write(&summary, account, &out);
    assert_int_equal(out.err, HD_OK);
    if (!hd_slice_eq(hd_str_slice(&out), hd_slice_str(want)))
        fail_msg("wrote: %.*s", HD_FMT(hd_str_slice(&out)));
    hd_str_done(&out);
}

static void
a_whole_summary_is_read(void **state)
{
    (void)state;
    const struct fmt_summary s =
        parsed(HD_LIT("Messages-Waiting: yes\r\nMessage-Account: sip:alice@vmail.example.com\r\n"
                      "Voice-Message: 2/8 (0/2)\r\nfax-message:1/0\r\n\r\n"
                      "To: <alice@atlanta.example.com>\r\nSubject: carpool tomorrow?\r\n"));
    assert_true(s.waiting);
    assert_true(hd_slice_eq(s.account, HD_LIT("sip:alice@vmail.example.com")));
    assert_int_equal(s.n_lines, 2);
    const struct fmt_summary_line *voice = fmt_summary_find(&s, HD_LIT("voice-message"));
    assert_non_null(voice);
    assert_int_equal(voice->unread, 2);
    assert_int_equal(voice->old, 8);
    assert_true(voice->has_urgent);
    assert_int_equal(voice->urgent_unread, 0);
    assert_int_equal(voice->urgent_old, 2);
    const struct fmt_summary_line *fax = fmt_summary_find(&s, HD_LIT("Fax-Message"));
    assert_non_null(fax);
    assert_false(fax->has_urgent);
    assert_null(fmt_summary_find(&s, HD_LIT("pager-message")));
}

static void
bodies_are_accepted_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        enum hd_err err;
    } row[] = {
        { "", HD_ESYNTAX },
        { "\r\n", HD_ESYNTAX },
        { "Messages-Waiting: yes", HD_OK },
        { "Messages-Waiting: no\n", HD_OK },
        { "MESSAGES-WAITING\t:YES\r\n\r\n", HD_OK },
        { "Messages-Waiting: maybe\r\n", HD_ESYNTAX },
        { "Messages-Waiting:\r\n", HD_ESYNTAX },
        { "Messages-Waiting yes\r\n", HD_ESYNTAX },
        { "Voice-Message: 1/0\r\nMessages-Waiting: yes\r\n", HD_ESYNTAX },
        { "Messages-Waiting: yes\r\nMessages-Waiting: no\r\n", HD_ESYNTAX },
        { "Messages-Waiting: yes\r\nMessage-Account: sip:a@b\r\nMessage-Account: sip:a@b\r\n",
          HD_ESYNTAX },
        { "Messages-Waiting: yes\r\nMessage-Account: <sip:a@b>\r\n", HD_OK },
        { "Messages-Waiting: yes\r\nMessage-Account: \r\n", HD_ESYNTAX },
        { "Messages-Waiting: yes\r\nMessage-Account: alice\r\n", HD_ESYNTAX },
        { "Messages-Waiting: yes\r\nMessage-Account: :a\r\n", HD_ESYNTAX },
        { "Messages-Waiting: yes\r\nMessage-Account: sip:a b\r\n", HD_ESYNTAX },
        { "Messages-Waiting: yes\r\nMessage-Account: sip:a\rb\r\n", HD_ESYNTAX },
        { "Messages-Waiting: yes\r\nMessage-Account: sip:a\xc3\xa9@b\r\n", HD_ESYNTAX },
        { "Messages-Waiting: yes\r\nVoice-Message: 1 / 2 ( 3 / 4 )\r\n", HD_OK },
        { "Messages-Waiting: yes\r\nVideo-Message: 1/2\r\n", HD_OK },
        { "Messages-Waiting: yes\r\nVoice-Message: 1/2\r\nVOICE-MESSAGE: 1/2\r\n", HD_ESYNTAX },
        { "Messages-Waiting: yes\r\nVoice-Message: 1\r\n", HD_ESYNTAX },
        { "Messages-Waiting: yes\r\nVoice-Message: /1\r\n", HD_ESYNTAX },
        { "Messages-Waiting: yes\r\nVoice-Message: 1/-1\r\n", HD_ESYNTAX },
        { "Messages-Waiting: yes\r\nVoice-Message: 1/2 (3)\r\n", HD_ESYNTAX },
        { "Messages-Waiting: yes\r\nVoice-Message: 1/2 (3/4\r\n", HD_ESYNTAX },
        { "Messages-Waiting: yes\r\nVoice-Message: 1/2 (3/4) x\r\n", HD_ESYNTAX },
        { "Messages-Waiting: yes\r\nVoice-Message: 1/2 x\r\n", HD_ESYNTAX },
        { "Messages-Waiting: yes\r\n folded: 1/2\r\n", HD_ESYNTAX },
        { "Messages-Waiting: yes\r\n: 1/2\r\n", HD_ESYNTAX },
        { "Messages-Waiting: yes\r\n\r\nanything \x01 at all", HD_OK },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct fmt_summary summary;
        const char *reason = NULL;
        const enum hd_err err = fmt_summary_parse(hd_slice_str(row[i].in), &summary, &reason);
        if (err != row[i].err || (err == HD_OK) != (reason == NULL))
            fail_msg("row %zu gave %s", i, hd_err_text(err));
    }
    struct fmt_summary summary;
    const char *reason;
    assert_int_equal(
        fmt_summary_parse(HD_LIT("Messages-Waiting: yes\r\nV\0: 1/2\r\n"), &summary, &reason),
        HD_ESYNTAX);
}

static void
counts_above_their_maximum_are_the_maximum(void **state)
{
    (void)state;
    const struct fmt_summary s =
        parsed(HD_LIT("Messages-Waiting: yes\r\nVoice-Message: "
                      "4294967295/4294967296 (0/99999999999999999999999)"));
    assert_int_equal(s.lines[0].unread, UINT32_MAX);
    assert_int_equal(s.lines[0].old, UINT32_MAX);
    assert_int_equal(s.lines[0].urgent_old, UINT32_MAX);
}

static void
more_classes_than_the_cap_are_refused(void **state)
{
    (void)state;
    char body[1024] = "Messages-Waiting: yes\r\n";
    size_t n = 23;
    for (unsigned i = 0; i <= FMT_SUMMARY_LINES; i++)
        n += (size_t)snprintf(body + n, sizeof(body) - n, "c%u: 1/2\r\n", i);
    struct fmt_summary summary;
    const char *reason;
    assert_int_equal(fmt_summary_parse(hd_slice(body, n), &summary, &reason), HD_EFULL);
}

static void
an_account_is_kept(void **state)
{
    (void)state;
    assert_written(HD_LIT("messages-waiting:YES\nMESSAGE-ACCOUNT:<sip:box@vm.example>\n"), ACCOUNT,
                   "Messages-Waiting: yes\r\nMessage-Account: sip:box@vm.example\r\n");
}

static void
a_missing_account_is_supplied(void **state)
{
    (void)state;
    assert_written(
        HD_LIT("Messages-Waiting: no\r\nVoice-Message: 0/3 ( 0 / 1 )\r\nVideo-Message: 1/0"),
        ACCOUNT,
        "Messages-Waiting: no\r\nMessage-Account: sip:2001@pbx.example\r\n"
        "Voice-Message: 0/3 (0/1)\r\nVideo-Message: 1/0\r\n");
}

static void
message_headers_are_dropped(void **state)
{
    (void)state;
    assert_written(HD_LIT("Messages-Waiting: yes\r\nVoice-Message: 1/0\r\n\r\nFrom: bob\r\n"),
                   HD_LIT(""), "Messages-Waiting: yes\r\nVoice-Message: 1/0\r\n");
}

static void
what_was_written_is_written_alike_again(void **state)
{
    (void)state;
    static const char whole[] = "Messages-Waiting: yes\r\nMessage-Account: sip:2001@pbx.example\r\n"
                                "Voice-Message: 1/2 (3/4)\r\nnone: 5/6\r\n";
    assert_written(hd_slice_str(whole), HD_LIT("sip:other@pbx.example"), whole);
}

static void
nothing_published_means_no_messages_waiting(void **state)
{
    (void)state;
    struct hd_str out;
    hd_str_init(&out);
    fmt_summary_neutral(ACCOUNT, &out);
    assert_true(
        hd_slice_eq(hd_str_slice(&out),
                    HD_LIT("Messages-Waiting: no\r\nMessage-Account: sip:2001@pbx.example\r\n")));
    assert_false(parsed(hd_str_slice(&out)).waiting);
    hd_str_done(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_summary_is_read),
        cmocka_unit_test(bodies_are_accepted_or_refused),
        cmocka_unit_test(counts_above_their_maximum_are_the_maximum),
        cmocka_unit_test(more_classes_than_the_cap_are_refused),
        cmocka_unit_test(an_account_is_kept),
        cmocka_unit_test(a_missing_account_is_supplied),
        cmocka_unit_test(message_headers_are_dropped),
        cmocka_unit_test(what_was_written_is_written_alike_again),
        cmocka_unit_test(nothing_published_means_no_messages_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
