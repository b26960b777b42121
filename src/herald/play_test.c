#include "herald/play.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* A host whose server is a script of the test: it remembers what was sent, and answers when told.
 */
struct host {
    struct play *play;
    char sent[16][4096];
    size_t n_sent;
    uint64_t now_ms;
    const char *answer; /* sent back to whoever sends next, "%B" is the request's branch */
    char words[256];    /* of the last command */
};

static bool
host_actor(void *context, struct play_actor *actor, const struct hd_slice *words, unsigned n,
           char *problem)
{
    (void)context;
    (void)actor;
    if (n == 0)
        return true;
    (void)snprintf(problem, 512, "unknown word %.*s", HD_FMT(words[0]));
    return false;
}

static void
answer_now(struct host *host, struct play_actor *actor, struct hd_slice octets)
{
    struct hd_addr server = { .family = 4, .port = 5060 };
    char text[4096];
    size_t n = 0, branch = 0;

    while (memcmp(octets.p + branch, "branch=", 7) != 0)
        branch++;
    octets = hd_slice_from(octets, branch + 7);
    octets.n = hd_slice_find(octets, '\r');
    for (const char *c = host->answer; *c; c++) {
        if (c[0] == '%' && c[1] == 'B') {
            memcpy(text + n, octets.p, octets.n);
            n += octets.n;
            c++;
        } else {
            text[n++] = *c;
        }
    }
    host->answer = NULL;
    play_deliver(host->play, actor, HD_UDP, &server, 7, hd_slice(text, n));
}

static bool
host_send(void *context, struct play_actor *actor, const struct play_message *reply_to,
          struct hd_slice octets, const struct hd_slice *words, unsigned n, char *problem)
{
    struct host *host = context;

    (void)problem;
    (void)words;
    (void)n;
    assert_true(host->n_sent < HD_ARRAY_LEN(host->sent) && octets.n < 4096);
    memcpy(host->sent[host->n_sent], octets.p, octets.n);
    host->sent[host->n_sent++][octets.n] = '\0';
    if (reply_to)
        assert_int_equal(reply_to->path, 7);
    if (host->answer)
        answer_now(host, actor, octets);
    return true;
}

static void
host_await(void *context, struct play_actor *actor, bool silence)
{
    (void)context;
    (void)silence;
    (void)actor;
}

static bool
host_settle(void *context, char *problem)
{
    (void)context;
    (void)problem;
    return true;
}

static bool
host_pass(void *context, uint64_t ms, char *problem)
{
    (void)problem;
    ((struct host *)context)->now_ms += ms;
    return true;
}

static uint64_t
host_now(void *context)
{
    return ((struct host *)context)->now_ms;
}

#define NOTIFY(event)                                                                              \
    "NOTIFY sip:alice@192.0.2.10:5060 SIP/2.0\r\n"                                                 \
    "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\r\n"                                          \
    "From: <sip:b@example.test>;tag=server\r\n"                                                    \
    "To: <sip:alice@example.test>;tag=alice-t1\r\n"                                                \
    "Call-ID: alice-1@192.0.2.10\r\n"                                                              \
    "CSeq: 1 NOTIFY\r\n"                                                                           \
    "Event: " event "\r\n"                                                                         \
    "Contact: <sip:192.0.2.1:5062>\r\n"                                                            \
    "Subscription-State: active;expires=60\r\n"                                                    \
    "Content-Length: 0\r\n\r\n"
static const char notify[] = NOTIFY("x"), changed[] = NOTIFY("y");
static const char ok[] = "SIP/2.0 200 OK\r\n"
                         "Via: SIP/2.0/UDP 192.0.2.10:5060;branch=%B\r\n"
                         "From: <sip:alice@example.test>;tag=alice-t1\r\n"
                         "To: <sip:b@example.test>;tag=server\r\n"
                         "Call-ID: alice-1@192.0.2.10\r\n"
                         "CSeq: 1 SUBSCRIBE\r\n"
                         "Record-Route: <sip:r1;lr>, <sip:r2;lr>\r\n"
                         "Contact: <sip:192.0.2.1:5061>\r\n"
                         "Expires: 60\r\n"
                         "Content-Length: 0\r\n\r\n";
static const char unauthorized[] =
    "SIP/2.0 401 Unauthorized\r\n"
    "Via: SIP/2.0/UDP 192.0.2.10:5060;branch=%B\r\n"
    "From: <sip:alice@example.test>;tag=alice-t1\r\n"
    "To: <sip:b@example.test>;tag=server\r\n"
    "Call-ID: alice-1@192.0.2.10\r\n"
    "CSeq: 1 SUBSCRIBE\r\n"
    "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\"\r\n"
    "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=MD5, qop=\"auth\"\r\n"
    "Content-Length: 0\r\n\r\n";

/* The test's own command tells the host what to do. */
static enum hd_err
host_command(void *context, struct play *play, const struct play_step *step,
             const struct hd_slice *words, unsigned n, char *problem)
{
    struct host *host = context;
    struct hd_addr server = { .family = 4, .port = 5060 };

    (void)step;
    (void)problem;
    if (hd_slice_eq(words[0], HD_LIT("answer"))) {
        host->answer = hd_slice_eq(words[1], HD_LIT("401")) ? unauthorized : ok;
        return HD_OK;
    }
    if (hd_slice_eq(words[0], HD_LIT("notify"))) {
        play_deliver(play, play_actor_find(play, words[1]), HD_UDP, &server, 7,
                     n > 2 ? hd_slice_str(changed) : hd_slice_str(notify));
        return HD_OK;
    }
    if (!hd_slice_eq(words[0], HD_LIT("note")))
        return HD_ENOMATCH;
    (void)snprintf(host->words, sizeof(host->words), "%.*s", HD_FMT(words[n - 1]));
    return HD_OK;
}

static char *
read_text(void *context, const char *path, size_t *ret_len)
{
    (void)path;
    *ret_len = strlen(context);
    return hd_slice_strdup(hd_slice_str(context));
}

/* Plays a text and gives the failure ("" for none). */
static const char *
play(struct host *host, const char *text)
{
    static char failure[8192];
    char problem[512], *copy = hd_slice_strdup(hd_slice_str(text));
    struct play_params params = { .host = { .context = host,
                                            .actor = host_actor,
                                            .send = host_send,
                                            .await = host_await,
                                            .settle = host_settle,
                                            .pass = host_pass,
                                            .now_ms = host_now,
                                            .command = host_command } };
    struct play_file file;
    struct hd_slice said;
    enum hd_err err;

    memset(host, 0, sizeof(*host));
    assert_int_equal(play_file_read("t", read_text, copy, &file, problem), HD_OK);
    assert_int_equal(play_new(&params, &host->play), HD_OK);
    err = play_run(host->play, &file);
    said = play_failure(host->play);
    assert_int_equal(err == HD_OK, said.n == 0);
    (void)snprintf(failure, sizeof(failure), "%.*s", HD_FMT(said));
    play_free(host->play);
    play_file_done(&file);
    free(copy);
    return failure;
}

#define ALICE "actor alice udp 192.0.2.10:5060\n"
#define SUBSCRIBE "answer 200\nalice > SUBSCRIBE sip:b@example.test\n  Event: x\n  Expires: 60\n"

static struct host host;

static void
a_request_gets_the_headers_that_it_needs(void **state)
{
    (void)state;
    assert_string_equal(play(&host, ALICE SUBSCRIBE "alice < 200\n"), "");
    assert_string_equal(host.sent[0],
                        "SUBSCRIBE sip:b@example.test SIP/2.0\r\n"
                        "Via: SIP/2.0/UDP 192.0.2.10:5060;rport;branch=z9hG4bK-alice-2\r\n"
                        "Max-Forwards: 70\r\n"
                        "From: <sip:alice@example.test>;tag=alice-t1\r\n"
                        "To: <sip:b@example.test>\r\n"
                        "Call-ID: alice-1@192.0.2.10\r\n"
                        "CSeq: 1 SUBSCRIBE\r\n"
                        "Contact: <sip:alice@192.0.2.10:5060>\r\n"
                        "Event: x\r\n"
                        "Expires: 60\r\n"
                        "Content-Length: 0\r\n\r\n");
}

static void
given_headers_replace_are_added_or_take_away(void **state)
{
    (void)state;
    assert_string_equal(play(&host, ALICE "alice > OPTIONS sip:x\n"
                                          "  v: SIP/2.0/UDP h;branch=z9hG4bKx\n"
                                          "  -Max-Forwards\n  +From: twice\n  l: 99\n  |ab\n"
                                          "  |{alice.port}\n"),
                        "");
    assert_string_equal(host.sent[0], "OPTIONS sip:x SIP/2.0\r\n"
                                      "From: <sip:alice@example.test>;tag=alice-t1\r\n"
                                      "To: <sip:x>\r\n"
                                      "Call-ID: alice-1@192.0.2.10\r\n"
                                      "CSeq: 1 OPTIONS\r\n"
                                      "v: SIP/2.0/UDP h;branch=z9hG4bKx\r\n"
                                      "From: twice\r\n"
                                      "l: 99\r\n\r\nab\r\n5060");
}

static void
a_refresh_stays_in_the_dialog(void **state)
{
    (void)state;
    assert_string_equal(
        play(&host, ALICE SUBSCRIBE "alice < 200\nalice > SUBSCRIBE in dialog\n  Expires: 0\n"),
        "");
    assert_non_null(strstr(host.sent[1], "SUBSCRIBE sip:192.0.2.1:5061 SIP/2.0\r\n"));
    assert_non_null(strstr(host.sent[1], "To: <sip:b@example.test>;tag=server\r\n"));
    assert_non_null(strstr(host.sent[1], "Call-ID: alice-1@192.0.2.10\r\n"));
    assert_non_null(strstr(host.sent[1], "CSeq: 2 SUBSCRIBE\r\n"));
    assert_non_null(strstr(host.sent[1], "Route: <sip:r2;lr>, <sip:r1;lr>\r\n"));
    assert_non_null(strstr(host.sent[1], "Event: x\r\n"));
}

static void
a_request_is_answered_with_what_it_brought(void **state)
{
    (void)state;
    assert_string_equal(play(&host, ALICE "notify alice\nalice < NOTIFY as first\n"
                                          "  Event: x\n  Subscription-State: active;*\n"
                                          "  -Content-Type\n  -body\n"
                                          "alice > 200\nalice > 500 Busy to first\n"),
                        "");
    assert_string_equal(host.sent[0], "SIP/2.0 200 OK\r\n"
                                      "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1\r\n"
                                      "From: <sip:b@example.test>;tag=server\r\n"
                                      "To: <sip:alice@example.test>;tag=alice-t1\r\n"
                                      "Call-ID: alice-1@192.0.2.10\r\n"
                                      "CSeq: 1 NOTIFY\r\n"
                                      "Content-Length: 0\r\n\r\n");
    assert_non_null(strstr(host.sent[1], "SIP/2.0 500 Busy\r\n"));
}

static void
again_sends_and_expects_the_same_octets(void **state)
{
    (void)state;
    assert_string_equal(play(&host, ALICE "alice > OPTIONS sip:x\nalice > again\n"
                                          "notify alice\nnotify alice\n"
                                          "alice < NOTIFY\nalice < again\n"),
                        "");
    assert_string_equal(host.sent[0], host.sent[1]);
    assert_non_null(strstr(play(&host, ALICE "notify alice\nalice < again\n"),
                           "t:3: another message came for alice"));
}

static void
a_challenge_is_answered_by_retry(void **state)
{
    (void)state;
    assert_string_equal(play(&host, ALICE "alice login bob pw MD5\nanswer 401\n"
                                          "alice > SUBSCRIBE sip:b@example.test\n  Event: x\n"
                                          "alice < 401\n"
                                          "  WWW-Authenticate: Digest*algorithm=MD5*\n"
                                          "  WWW-Authenticate: Digest*algorithm=SHA-256*\n"
                                          "alice > retry\n  Expires: 5\n"
                                          "alice > retry nc 9\n"),
                        "");
    assert_null(strstr(host.sent[0], "Authorization"));
    assert_non_null(strstr(host.sent[1], "CSeq: 2 SUBSCRIBE\r\n"));
    assert_non_null(strstr(host.sent[1], "username=\"bob\""));
    assert_non_null(strstr(host.sent[1], "algorithm=MD5"));
    assert_non_null(strstr(host.sent[1], "nc=00000001"));
    assert_non_null(strstr(host.sent[1], "Expires: 5\r\n"));
    assert_null(strstr(host.sent[1], "To: <sip:b@example.test>;tag"));
    assert_non_null(strstr(host.sent[2], "nc=00000009"));
}

static void
an_actor_that_answers_by_itself_counts(void **state)
{
    (void)state;
    assert_string_equal(play(&host, ALICE "alice answers 200\nnotify alice\nnotify alice\n"
                                          "alice notified 2\n  Event: x\nalice notified 0\n"),
                        "");
    assert_int_equal(host.n_sent, 2);
    assert_non_null(strstr(play(&host, ALICE "alice answers 200\nalice notified 1\n"),
                           "alice was notified 0 times"));
}

static void
a_deaf_actor_hears_nothing_and_losses_are_counted(void **state)
{
    (void)state;
    assert_string_equal(play(&host, ALICE "alice deaf\nnotify alice\nalice hears\n"
                                          "alice loses 1\nnotify alice\nalice silent\n"
                                          "notify alice\nalice < NOTIFY\n"),
                        "");
}

static void
blocks_repeat_and_count_in_a_variable(void **state)
{
    (void)state;
    assert_string_equal(play(&host, "repeat 2\nactor a{i} udp 192.0.2.{i}:5060\nrepeat 2\n"
                                    "a{i} > OPTIONS sip:{j}\nend\nend\nrepeat 0\nbad\nend\n"
                                    "note {i}{j}\n"),
                        "");
    assert_int_equal(host.n_sent, 4);
    assert_non_null(strstr(host.sent[3], "OPTIONS sip:2 "));
    assert_non_null(strstr(host.sent[3], "192.0.2.2:5060"));
    assert_string_equal(host.words, "22");
}

static void
failures_name_line_expectation_and_message(void **state)
{
    static const struct {
        const char *text, *failure;
    } row[] = {
        { "bogus\n", "t:1: this is no step that is known here\n    in the step: bogus\n" },
        { ALICE "alice < 200\n", "t:2: nothing came for alice\n" },
        { ALICE "notify alice\nalice < 200\n",
          "t:3: another message came for alice\n    in the step: alice < 200\n    got:\n"
          "    | NOTIFY sip:alice@192.0.2.10:5060 SIP/2.0\n" },
        { ALICE "notify alice\nalice < NOTIFY\n  Event: y\n",
          "t:4: the value differs: Event: y\n" },
        { ALICE "notify alice\nalice < NOTIFY\n  Expires: 5\n",
          "t:4: the header is not there: Expires: 5\n" },
        { ALICE "notify alice\nalice < NOTIFY\n  -Event\n", "t:4: the header is there: -Event\n" },
        { ALICE "notify alice\nalice < NOTIFY\n  |body\n", "t:4: the body differs: |body\n" },
        { ALICE "notify alice\nalice < NOTIFY\n  ~body\n",
          "t:4: the body does not contain: ~body\n" },
        { ALICE "notify alice\nalice < NOTIFY sip:bob@*\n", "t:3: another message came" },
        { ALICE "notify alice\nalice < NOTIFY from 1.2.3.4:5\n", "t:3: it came from 0.0.0.0:5060" },
        { ALICE "notify alice\nalice < NOTIFY over tcp\n", "t:3: it came over UDP" },
        { ALICE "notify alice\nalice < NOTIFY at 1s\n", "t:3: it came at 0ms" },
        { ALICE "notify alice\nwait 1s\n",
          "t:3: alice holds a message that no step expected, since 0ms\n" },
        { ALICE "notify alice\n", "t:2: alice holds a message that no step expected" },
        { ALICE "alice > OPTIONS sip:{nobody}\n",
          "t:2: cannot use \"sip:{nobody}\": not set: nobody" },
        { ALICE "alice > OPTIONS sip:x\n  X: {y}\n", "t:3: cannot use \"{y}\": not set: y" },
        { ALICE "alice > OPTIONS sip:x\n  nonsense\n", "t:3: expected \"Name: value\"" },
        { ALICE "alice > 200\n", "t:2: alice has got no request to answer" },
        { ALICE "alice > SUBSCRIBE in dialog\n", "t:2: alice has no dialog \"dialog\"" },
        { ALICE ALICE, "t:2: there is an actor alice already" },
        { "actor a sctp 1.2.3.4:5\n", "t:1: the transport is udp, tcp or tls" },
        { "actor a udp 1.2.3:5\n", "t:1: \"1.2.3:5\" is no ADDRESS:PORT" },
        { "actor a udp 1.2.3.4:5 strange\n", "t:1: unknown word strange" },
        { "wait 5\n", "t:1: expected: wait DURATION" },
        { "wait 5s\nat 4s\n", "t:2: it is 5000ms already" },
        { "same a b\n", "t:1: \"a\" and \"b\"" },
        { "differ a a\n", "t:1: \"a\" and \"a\"" },
    };

    (void)state;
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        const char *failure = play(&host, row[i].text);

        print_message("%s", failure);
        assert_int_equal(strncmp(failure, row[i].failure, strlen(row[i].failure)), 0);
    }
}

static void
captured_values_are_used_later(void **state)
{
    (void)state;
    assert_string_equal(play(&host, ALICE "notify alice\nalice < NOTIFY as n\n"
                                          "  From: <{who}>;tag={tag}\n  CSeq: {n.cseq} NOTIFY\n"
                                          "note {who}/{tag}/{n.branch}\nset tag other\n"
                                          "differ {tag} server\nsame {tag} other\n"),
                        "");
    assert_string_equal(host.words, "sip:b@example.test/server/z9hG4bK1");
}

static void
a_notify_whose_cseq_does_not_grow_fails(void **state)
{
    (void)state;
    assert_string_equal(play(&host, ALICE SUBSCRIBE "alice < 200\nnotify alice\nnotify alice\n"
                                                    "alice < NOTIFY\nalice < again\n"),
                        "");
    assert_non_null(strstr(play(&host, ALICE SUBSCRIBE "alice < 200\nnotify alice\n"
                                                       "notify alice changed\n"),
                           "t:8: a NOTIFY for alice has a CSeq that is not new"));
}

static void
any_chooses_by_all_lines(void **state)
{
    (void)state;
    assert_string_equal(play(&host,
                             ALICE "notify alice\nnotify alice\nnotify alice changed\n"
                                   "alice < any NOTIFY\n  Event: y\n  CSeq: {n} NOTIFY\n"
                                   "alice < NOTIFY as first\n  Event: x\n  CSeq: {n} NOTIFY\n"
                                   "alice < any again first\n"),
                        "");
    assert_non_null(strstr(play(&host, ALICE "notify alice\nalice < any NOTIFY\n  Event: z\n"),
                           "t:3: another message came for alice"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_gets_the_headers_that_it_needs),
        cmocka_unit_test(given_headers_replace_are_added_or_take_away),
        cmocka_unit_test(a_refresh_stays_in_the_dialog),
        cmocka_unit_test(a_request_is_answered_with_what_it_brought),
        cmocka_unit_test(again_sends_and_expects_the_same_octets),
        cmocka_unit_test(a_challenge_is_answered_by_retry),
        cmocka_unit_test(an_actor_that_answers_by_itself_counts),
        cmocka_unit_test(a_deaf_actor_hears_nothing_and_losses_are_counted),
        cmocka_unit_test(blocks_repeat_and_count_in_a_variable),
        cmocka_unit_test(failures_name_line_expectation_and_message),
        cmocka_unit_test(any_chooses_by_all_lines),
        cmocka_unit_test(captured_values_are_used_later),
        cmocka_unit_test(a_notify_whose_cseq_does_not_grow_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
