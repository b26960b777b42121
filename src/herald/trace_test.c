/* trace_test.c - the ladder of one process and the picture of several. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "herald/trace.h"

#define HEAD                                                                                       \
    "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\n"     \
    "Call-ID: x\r\nMax-Forwards: 70\r\n"

static void
a_message_is_summed_up_in_one_line(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } row[] = {
        { "SUBSCRIBE sip:2001@example.test SIP/2.0\r\n" HEAD "CSeq: 7 SUBSCRIBE\r\n"
          "Expires: 3600\r\nContent-Length: 0\r\n\r\n",
          "SUBSCRIBE sip:2001@example.test (CSeq 7, Expires 3600)" },
        { "NOTIFY sip:c@d SIP/2.0\r\n" HEAD "CSeq: 8 NOTIFY\r\n"
          "Subscription-State: active;expires=60\r\nContent-Length: 0\r\n\r\n",
          "NOTIFY active;expires=60 (CSeq 8)" },
        { "PUBLISH sip:c@d SIP/2.0\r\n" HEAD "CSeq: 9 PUBLISH\r\nSIP-If-Match: e\r\n"
          "Authorization: Digest x=\"y\"\r\nContent-Length: 0\r\n\r\n",
          "PUBLISH sip:c@d (CSeq 9, SIP-If-Match, credentials)" },
        { "SIP/2.0 401 Unauthorized\r\n" HEAD "CSeq: 7 SUBSCRIBE\r\nContent-Length: 0\r\n\r\n",
          "401 Unauthorized (CSeq 7 SUBSCRIBE)" },
        { "SIP/2.0 200 \033[31mred\r\n" HEAD "CSeq: 7 SUBSCRIBE\r\nContent-Length: 0\r\n\r\n",
          "200 \\x1b[31mred (CSeq 7 SUBSCRIBE)" },
        { "nonsense\r\nmore", "malformed: nonsense" },
        { "", "malformed: " },
    };
    char out[TRACE_LINE];
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        size_t n = trace_summary(hd_slice_str(row[i].in), out);
        assert_int_equal(n, strlen(out));
        assert_string_equal(out, row[i].out);
    }
}

static void
a_long_line_is_cut_and_says_so(void **state)
{
    (void)state;
    char in[2000], out[TRACE_LINE];
    memset(in, '\001', sizeof in);
    size_t n = trace_summary(hd_slice(in, sizeof in), out);
    assert_true(n < TRACE_LINE);
    assert_string_equal(out + n - 3, "...");
}

static FILE *
print(const struct trace *trace, const struct trace_step *step)
{
    trace_print(trace, step);
    rewind(trace->to);
    return trace->to;
}

static void
a_trace_file_has_the_time_the_peer_and_the_message(void **state)
{
    (void)state;
    char line[512];
    struct trace trace = { .mode = TRACE_FULL, .to = tmpfile(), .file = true };
    struct trace_step step = {
        .wall_us = 1700000000123456u,
        .out = true,
        .again = 2,
        .transport = HD_TCP,
        .octets = HD_LIT("OPTIONS sip:c@d SIP/2.0\r\n" HEAD
                         "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"),
    };
    assert_non_null(trace.to);
    assert_int_equal(hd_addr_parse(HD_LIT("2001:db8::1"), 5060, &step.peer), HD_OK);
    FILE *in = print(&trace, &step);
    assert_non_null(fgets(line, sizeof line, in));
    assert_string_equal(line, "2023-11-14T22:13:20.123456 -> [2001:db8::1]:5060 TCP 2 OPTIONS "
                              "sip:c@d (CSeq 1)\n");
    assert_non_null(fgets(line, sizeof line, in));
    assert_string_equal(line, "| OPTIONS sip:c@d SIP/2.0\n");
    fclose(in);
}

static void
nothing_is_printed_when_tracing_is_off(void **state)
{
    (void)state;
    struct trace trace = { .mode = TRACE_OFF, .to = tmpfile() };
    struct trace_step step = { .octets = HD_LIT("x") };
    FILE *in = print(&trace, &step);
    assert_int_equal(fgetc(in), EOF);
    fclose(in);
}

/* --- merging ---------------------------------------------------------------------------------- */

static void
file_make(char path[32], const char *text)
{
    strcpy(path, "/tmp/trace_testXXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static enum hd_err
merge(const char *left, const char *right, bool full, char *ret, size_t cap)
{
    char a[32], b[32];
    const char *bad = NULL;
    FILE *to = tmpfile();
    assert_non_null(to);
    file_make(a, left);
    file_make(b, right);
    struct trace_part parts[] = { { "pub", a }, { "sub", b } };
    enum hd_err err = trace_merge(parts, 2, "herald", full, to, &bad);
    rewind(to);
    ret[fread(ret, 1, cap - 1, to)] = '\0';
    fclose(to);
    unlink(a);
    unlink(b);
    return err;
}

static void
traces_are_merged_by_time_into_columns(void **state)
{
    (void)state;
    static const char left[] = "2023-11-14T22:13:20.000002 -> 192.0.2.1:5060 UDP 0 PUBLISH sip:c@d "
                               "(CSeq 1)\n"
                               "| PUBLISH sip:c@d SIP/2.0\n| Event: presence\n"
                               "2023-11-14T22:13:20.000005 <- 192.0.2.1:5060 UDP 0 200 OK (CSeq 1 "
                               "PUBLISH)\n";
    static const char right[] = "2023-11-14T22:13:20.000003 <- 192.0.2.1:5060 UDP 1 NOTIFY active "
                                "(CSeq 4)\n";
    char out[4096];
    assert_int_equal(merge(left, right, true, out, sizeof out), HD_OK);
    const char *publish = strstr(out, "|-- PUBLISH -"), *notify = strstr(out, "|-- NOTIFY -");
    const char *answer = strstr(out, "|<- 200 OK -"), *body = strstr(out, "| Event: presence\n");
    assert_non_null(publish);
    assert_non_null(notify);
    assert_non_null(answer);
    assert_non_null(body);
    assert_true(publish < body && body < notify && notify < answer);
    assert_non_null(strstr(out, "active (CSeq 4)  (again)\n"));
    assert_int_equal(merge(left, right, false, out, sizeof out), HD_OK);
    assert_null(strstr(out, "Event: presence"));
}

static void
what_is_no_trace_is_refused(void **state)
{
    (void)state;
    static const char *const row[] = {
        "hello\n",
        "| a message before any line\n",
        "2023-11-14T22:13:20.000002 -> 192.0.2.1:5060 UDP 0\n",
        "2023-11-14T22:13:20.000002 >> 192.0.2.1:5060 UDP 0 x\n",
        "22:13:20.000002 -> 192.0.2.1:5060 UDP 0 x\n",
        "\n",
    };
    char out[4096];
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        assert_int_equal(merge(row[i], "", false, out, sizeof out), HD_ESYNTAX);
    assert_int_equal(merge("", "", false, out, sizeof out), HD_OK);
}

static void
a_file_that_is_not_there_is_named(void **state)
{
    (void)state;
    const char *bad = NULL;
    struct trace_part part = { "x", "/nonexistent/trace" };
    FILE *to = tmpfile();
    assert_int_equal(trace_merge(&part, 1, "herald", false, to, &bad), HD_EIO);
    assert_string_equal(bad, "/nonexistent/trace");
    fclose(to);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_summed_up_in_one_line),
        cmocka_unit_test(a_long_line_is_cut_and_says_so),
        cmocka_unit_test(a_trace_file_has_the_time_the_peer_and_the_message),
        cmocka_unit_test(nothing_is_printed_when_tracing_is_off),
        cmocka_unit_test(traces_are_merged_by_time_into_columns),
        cmocka_unit_test(what_is_no_trace_is_refused),
        cmocka_unit_test(a_file_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
