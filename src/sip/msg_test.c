#include "sip_test.h"

static void
a_request_is_split_into_its_parts(void **state)
{
    (void)state;
    struct parsed p;
    parse_good(&p, "\r\n\r\nSUBSCRIBE sip:alice@example.test;x=y sip/2.0\r\n"
                   "Via: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKedge, SIP/2.0/TCP 192.0.2.9:5062\r\n"
                   "v: SIP/2.0/UDP h3;branch=z9hG4bK3\r\n"
                   "Max-Forwards: 0069\r\n"
                   "f: \"Bob, the \\\"B\\\"\" <sip:bob@example.test;p>;x=y;tag=f1\r\n"
                   "t:sip:alice@example.test;tag=t1\r\n"
                   "i : c1@192.0.2.9\r\n"
                   "CSEQ:\t7\r\n\tSUBSCRIBE \r\n"
                   "X-Empty:\r\n"
                   "Content-Length: 4\r\n\r\nbodyextra");
    const struct sip_msg *m = &p.msg;
    assert_true(m->request);
    assert_int_equal(m->method, SIP_SUBSCRIBE);
    assert_slice(m->method_name, "SUBSCRIBE");
    assert_slice(m->uri, "sip:alice@example.test;x=y");
    assert_int_equal(m->n_headers, 9);
    assert_int_equal(m->n_vias, 3);
    assert_slice(m->via.value, "SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKedge");
    assert_slice(m->via.branch, "z9hG4bKedge");
    assert_int_equal(m->max_forwards, 69);
    assert_slice(m->from.display, "\"Bob, the \\\"B\\\"\"");
    assert_slice(m->from.uri, "sip:bob@example.test;p");
    assert_slice(m->from_tag, "f1");
    assert_slice(m->to.uri, "sip:alice@example.test");
    assert_slice(m->to_tag, "t1");
    assert_slice(m->call_id, "c1@192.0.2.9");
    assert_int_equal(m->cseq.number, 7);
    assert_int_equal(m->cseq.method, SIP_SUBSCRIBE);
    assert_slice(m->body, "body");
    assert_slice(m->headers[7].name, "X-Empty");
    assert_slice(m->headers[7].value, "");
    assert_null(p.fault.reason);
}

static void
a_response_is_split_into_its_parts(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        unsigned status;
        const char *reason;
    } row[] = {
        { "SIP/2.0 200 OK", 200, "OK" },
        { "sip/2.0 100 ", 100, "" },
        { "SIP/2.0 699", 699, "" },
        { "SIP/2.0 481 Call/Transaction  Does Not\tExist ", 481,
          "Call/Transaction  Does Not\tExist " },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        char text[1024];
        struct parsed p;
        snprintf(text, sizeof(text), "%s\r\n" COMMON("NOTIFY") "\r\n", row[i].line);
        parse_good(&p, text);
        assert_false(p.msg.request);
        assert_int_equal(p.msg.status, row[i].status);
        assert_slice(p.msg.reason, row[i].reason);
        assert_int_equal(p.msg.cseq.method, SIP_NOTIFY);
    }
}

struct refused {
    const char *name; /* what is wrong */
    struct hd_slice in;
    unsigned status; /* 0: cannot be answered */
    const char *reason;
};

static void
a_response_known_by_its_branch_needs_no_more_than_via_and_cseq(void **state)
{
    (void)state;
    struct parsed p;
    hd_arena_init(&p.arena, p.memory, sizeof(p.memory));
    p.err = sip_msg_parse_by_branch(hd_slice_str("SIP/2.0 200 OK\r\n" VIA "From: <broken\r\n" CSEQ(
                                        "NOTIFY") "Retry-After: 9\r\n\r\n"),
                                    false, &p.arena, &p.msg, &p.fault);
    assert_int_equal(p.err, HD_OK);
    assert_slice(p.msg.via.branch, "z9hG4bKb1");
    assert_int_equal(p.msg.cseq.method, SIP_NOTIFY);
    assert_slice(sip_msg_value(&p.msg, SIP_HDR_RETRY_AFTER), "9");
    assert_int_equal(p.msg.from.uri.n + p.msg.call_id.n, 0);
    /* A request is parsed in full all the same. */
    hd_arena_init(&p.arena, p.memory, sizeof(p.memory));
    p.err = sip_msg_parse_by_branch(
        hd_slice_str(START("NOTIFY") VIA FROM CALL_ID CSEQ("NOTIFY") "\r\n"), false, &p.arena,
        &p.msg, &p.fault);
    assert_int_equal(p.err, HD_ESYNTAX);
    assert_string_equal(p.fault.reason, "Missing To Header");
}

static void
check_refused(const struct refused *row, size_t n, bool stream)
{
    for (size_t i = 0; i < n; i++) {
        struct parsed p;
        parse(&p, row[i].in, stream);
        if (p.err != HD_ESYNTAX)
            fail_msg("%s: %s", row[i].name, hd_err_text(p.err));
        if (p.fault.status != row[i].status || strcmp(p.fault.reason, row[i].reason) != 0)
            fail_msg("%s: %u %s", row[i].name, p.fault.status, p.fault.reason);
        assert_int_equal(p.fault.answerable, row[i].status != 0);
    }
}

static void
bad_start_lines_are_refused(void **state)
{
    (void)state;
#define WITH(line) L(line "\r\n" COMMON("NOTIFY") "\r\n")
    static const struct refused row[] = {
        { "nothing", L(""), 0, "Incomplete Message" },
        { "only empty lines", L("\r\n\r\n\r\n"), 0, "Incomplete Message" },
        { "no line end", L("NOTIFY sip:a@b SIP/2.0"), 0, "Incomplete Message" },
        { "another protocol", L("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), 0,
          "Bad SIP-Version In Request-Line" },
        { "two blanks", WITH("NOTIFY  sip:a@b SIP/2.0"), 400, "Bad Request-URI" },
        { "tab", WITH("NOTIFY\tsip:a@b SIP/2.0"), 400, "Bad Request-Line" },
        { "blank in URI", WITH("NOTIFY sip:a@b; lr SIP/2.0"), 400, "Bad Request-URI" },
        { "brackets", WITH("NOTIFY <sip:a@b> SIP/2.0"), 400, "Bad Request-URI" },
        { "quotes", WITH("NOTIFY sip:\"a\"@b SIP/2.0"), 400, "Bad Request-URI" },
        { "control octet", WITH("NOTIFY sip:a\x01@b SIP/2.0"), 400, "Bad Request-URI" },
        { "no URI", WITH("NOTIFY  SIP/2.0"), 400, "Bad Request-Line" },
        { "only a method", WITH("NOTIFY"), 400, "Bad Request-Line" },
        { "no version", WITH("NOTIFY sip:a@b"), 400, "Bad Request-Line" },
        { "blank behind", WITH("NOTIFY sip:a@b SIP/2.0 "), 400, "Bad SIP-Version In Request-Line" },
        { "bad method", WITH("NO;TIFY sip:a@b SIP/2.0"), 400, "Bad Request-Line" },
        { "blank before", WITH(" NOTIFY sip:a@b SIP/2.0"), 400, "Bad Request-Line" },
        { "version 7", WITH("NOTIFY sip:a@b SIP/7.0"), 505, "Version Not Supported" },
        { "version 2.00", WITH("NOTIFY sip:a@b SIP/2.00"), 505, "Version Not Supported" },
        { "version without minor", WITH("NOTIFY sip:a@b SIP/2."), 400,
          "Bad SIP-Version In Request-Line" },
        { "version x", WITH("NOTIFY sip:a@b SIP/x.0"), 400, "Bad SIP-Version In Request-Line" },
        { "response of another version", WITH("SIP/3.0 200 OK"), 0, "Version Not Supported" },
        { "status 99", WITH("SIP/2.0 099 Low"), 0, "Bad Status Code" },
        { "status 700", WITH("SIP/2.0 700 High"), 0, "Bad Status Code" },
        { "status of four digits", WITH("SIP/2.0 2000 OK"), 0, "Bad Status Code" },
        { "status x", WITH("SIP/2.0 2x0 OK"), 0, "Bad Status Code" },
        { "huge status", WITH("SIP/2.0 4294967301 better not"), 0, "Bad Status Code" },
        { "no status", WITH("SIP/2.0 "), 0, "Bad Status Code" },
    };
    check_refused(row, HD_ARRAY_LEN(row), false);
}

static void
heads_that_two_readers_could_read_differently_are_refused(void **state)
{
    (void)state;
#define ADD(lines) L(START("NOTIFY") COMMON("NOTIFY") lines "\r\n")
    static const struct refused row[] = {
        { "bare LF", ADD("X: a\nY: b\r\n"), 400, "Bare LF In Header" },
        { "bare LF all over", L("NOTIFY sip:a@b SIP/2.0\nVia: SIP/2.0/UDP h\nCSeq: 1 NOTIFY\n\n"),
          400, "Bare LF In Header" },
        { "bare CR", ADD("X: a\rY: b\r\n"), 400, "Bare CR In Header" },
        { "CR before CRLF", ADD("X: a\r\r\n"), 400, "Bare CR In Header" },
        { "NUL", ADD("X: a\0b\r\n"), 400, "NUL In Header" },
        { "NUL behind an escaped backslash", ADD("X: \"a\\\\\0b\"\r\n"), 400, "NUL In Header" },
        { "no colon", ADD("X a\r\n"), 400, "Header Field Without Colon" },
        { "no name", ADD(": a\r\n"), 400, "Bad Header Field Name" },
        { "blank in the name", ADD("X Y: a\r\n"), 400, "Bad Header Field Name" },
        { "fold before the colon", ADD("X\r\n : a\r\n"), 400, "Bad Header Field Name" },
        { "first line folded", L("NOTIFY sip:a@b SIP/2.0\r\n X: y\r\n" COMMON("NOTIFY") "\r\n"),
          400, "Bad Header Field Name" },
        { "no empty line", L(START("NOTIFY") COMMON("NOTIFY")), 400, "Missing Empty Line" },
        { "no line end at the end", L(START("NOTIFY") COMMON("NOTIFY") "X: y"), 400,
          "Missing Empty Line" },
        { "folded to the end", L(START("NOTIFY") COMMON("NOTIFY") "X: y\r\n z"), 400,
          "Missing Empty Line" },
        { "two Call-ID", ADD("Call-ID: c2\r\n"), 400, "Repeated Call-ID Header" },
        { "two Call-ID, compact", ADD("i: c1@192.0.2.9\r\n"), 400, "Repeated Call-ID Header" },
        { "two CSeq", ADD("cseq: 7 NOTIFY\r\n"), 400, "Repeated CSeq Header" },
        { "two From", ADD(FROM), 400, "Repeated From Header" },
        { "two To", ADD("t: sip:a@b\r\n"), 400, "Repeated To Header" },
        { "two Max-Forwards", ADD("Max-Forwards: 1\r\nMax-Forwards: 1\r\n"), 400,
          "Repeated Max-Forwards Header" },
        { "two Content-Length", ADD("l: 0\r\nContent-Length: 0\r\n"), 400,
          "Repeated Content-Length Header" },
        { "two Content-Type", ADD("c: a/b\r\nc: a/b\r\n"), 400, "Repeated Content-Type Header" },
        { "two Event", ADD("o: a\r\nEvent: b\r\n"), 400, "Repeated Event Header" },
        { "two Expires", ADD("Expires: 1\r\nExpires: 2\r\n"), 400, "Repeated Expires Header" },
        { "two Subscription-State",
          ADD("Subscription-State: active\r\nSubscription-State: pending\r\n"), 400,
          "Repeated Subscription-State Header" },
        { "bad Max-Forwards", ADD("Max-Forwards: -1\r\n"), 400, "Bad Max-Forwards Header" },
        { "empty Max-Forwards", ADD("Max-Forwards:\r\n"), 400, "Bad Max-Forwards Header" },
        { "bad Content-Length", ADD("Content-Length: -1\r\n"), 400, "Bad Content-Length Header" },
        { "empty Content-Length", ADD("Content-Length:\r\n"), 400, "Bad Content-Length Header" },
        { "two values of Content-Length", ADD("Content-Length: 0, 0\r\n"), 400,
          "Bad Content-Length Header" },
        { "large Content-Length", ADD("Content-Length: 1\r\n"), 400,
          "Content-Length Larger Than Message" },
        { "huge Content-Length", ADD("Content-Length: 99999999999999999999\r\n"), 400,
          "Content-Length Larger Than Message" },
    };
    check_refused(row, HD_ARRAY_LEN(row), false);
}

static void
what_every_message_needs_must_be_there_and_readable(void **state)
{
    (void)state;
#define N START("NOTIFY")
#define C CSEQ("NOTIFY")
    static const struct refused row[] = {
        { "no Via", L(N FROM TO CALL_ID C "\r\n"), 0, "Missing Via Header" },
        { "no From", L(N VIA TO CALL_ID C "\r\n"), 400, "Missing From Header" },
        { "no To", L(N VIA FROM CALL_ID C "\r\n"), 400, "Missing To Header" },
        { "no Call-ID", L(N VIA FROM TO C "\r\n"), 400, "Missing Call-ID Header" },
        { "no CSeq", L(N VIA FROM TO CALL_ID "\r\n"), 0, "Missing CSeq Header" },
        { "nothing", L(N "\r\n"), 0, "Missing Via Header" },
        { "response without To", L("SIP/2.0 200 OK\r\n" VIA FROM CALL_ID C "\r\n"), 0,
          "Missing To Header" },
        { "empty Via", L(N "Via:\r\n" FROM TO CALL_ID C "\r\n"), 0, "Bad Via Header" },
        { "Via of commas", L(N "Via: , ,\r\n" FROM TO CALL_ID C "\r\n"), 0, "Bad Via Header" },
        { "bad sent-by", L(N "Via: SIP/2.0/UDP h:99999\r\n" FROM TO CALL_ID C "\r\n"), 0,
          "Bad Via Header" },
        { "bad Via parameters", L(N "Via: SIP/2.0/UDP h;;,;,,\r\n" FROM TO CALL_ID C "\r\n"), 400,
          "Bad Via Header" },
        { "bad From", L(N VIA "From: Bell, A <sip:a@b>;tag=1\r\n" TO CALL_ID C "\r\n"), 400,
          "Bad From Header" },
        { "empty From", L(N VIA "From:\r\n" TO CALL_ID C "\r\n"), 400, "Bad From Header" },
        { "bad To", L(N VIA FROM "To: \"open <sip:a@b>\r\n" CALL_ID C "\r\n"), 400,
          "Bad To Header" },
        { "two To", L(N VIA FROM "To: sip:a@b, sip:c@d\r\n" CALL_ID C "\r\n"), 400,
          "Bad To Header" },
        { "two tags", L(N VIA "From: <sip:a@b>;tag=1;TAG=1\r\n" TO CALL_ID C "\r\n"), 400,
          "Bad From Tag" },
        { "empty tag", L(N VIA "From: <sip:a@b>;tag=\r\n" TO CALL_ID C "\r\n"), 400,
          "Bad From Tag" },
        { "quoted tag", L(N VIA FROM "To: <sip:a@b>;tag=\"x\"\r\n" CALL_ID C "\r\n"), 400,
          "Bad To Tag" },
        { "empty Call-ID", L(N VIA FROM TO "Call-ID:\r\n" C "\r\n"), 400, "Bad Call-ID Header" },
        { "blank in Call-ID", L(N VIA FROM TO "Call-ID: a b\r\n" C "\r\n"), 400,
          "Bad Call-ID Header" },
        { "comma in Call-ID", L(N VIA FROM TO "Call-ID: a,b\r\n" C "\r\n"), 400,
          "Bad Call-ID Header" },
        { "bad CSeq", L(N VIA FROM TO CALL_ID "CSeq: x\r\n\r\n"), 400, "Bad CSeq Header" },
        { "large CSeq", L(N VIA FROM TO CALL_ID "CSeq: 2147483648 NOTIFY\r\n\r\n"), 400,
          "CSeq Number Too Large" },
        { "CSeq of another method", L(N VIA FROM TO CALL_ID "CSeq: 1 INVITE\r\n\r\n"), 400,
          "CSeq Method Does Not Match" },
        { "CSeq of an unknown method", L(N VIA FROM TO CALL_ID "CSeq: 1 notify\r\n\r\n"), 400,
          "CSeq Method Does Not Match" },
    };
    check_refused(row, HD_ARRAY_LEN(row), false);
}

static void
a_refused_request_keeps_what_its_answer_needs(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, HD_LIT("NOTIFY <sip:a@b> SIP/2.0\r\nBroken\r\n" COMMON("NOTIFY") "\r\n"), false);
    assert_int_equal(p.err, HD_ESYNTAX);
    assert_true(p.fault.answerable);
    assert_slice(p.msg.via.branch, "z9hG4bKb1");
    assert_slice(p.msg.from_tag, "f1");
    assert_slice(p.msg.call_id, "c1@192.0.2.9");
    assert_int_equal(p.msg.cseq.number, 7);
    assert_int_equal(p.msg.method, SIP_NOTIFY);
}

static void
an_unknown_method_is_no_fault_whatever_its_cseq_says(void **state)
{
    (void)state;
    struct parsed p;
    parse_good(&p, START("NEWMETHOD") VIA FROM TO CALL_ID "CSeq: 1 INVITE\r\n\r\n");
    assert_int_equal(p.msg.method, SIP_METHOD_UNKNOWN);
    assert_slice(p.msg.method_name, "NEWMETHOD");
}

static void
a_quoted_nul_is_taken(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p,
          HD_LIT(START("NOTIFY") VIA
                 "From: \"a\\\0b\" <sip:a@b>\r\n" TO CALL_ID CSEQ("NOTIFY") "\r\n"),
          false);
    assert_int_equal(p.err, HD_OK);
    assert_int_equal(p.msg.from.display.n, 6);
}

static void
a_body_may_hold_anything(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, HD_LIT(REQUEST("NOTIFY", "") "\0\r\n\r\n\n:"), false);
    assert_int_equal(p.err, HD_OK);
    assert_int_equal(p.msg.body.n, 7);
}

static void
max_forwards_above_255_counts_as_absent(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        uint32_t hops;
    } row[] = {
        { "", 70 },
        { "Max-Forwards: 0\r\n", 0 },
        { "Max-Forwards: 255\r\n", 255 },
        { "Max-Forwards: 256\r\n", 70 },
        { "Max-Forwards: 99999999999\r\n", 70 },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        char text[1024];
        struct parsed p;
        snprintf(text, sizeof(text), START("NOTIFY") COMMON("NOTIFY") "%s\r\n", row[i].line);
        parse_good(&p, text);
        assert_int_equal(p.msg.max_forwards, row[i].hops);
    }
}

static void
content_length_ends_a_datagram_and_is_exact_on_a_stream(void **state)
{
    (void)state;
    static const struct {
        const char *line, *rest;
        enum hd_err datagram, stream;
        const char *body; /* of the datagram */
    } row[] = {
        { "", "", HD_OK, HD_ESYNTAX, "" },
        { "", "rest", HD_OK, HD_ESYNTAX, "rest" },
        { "Content-Length: 0\r\n", "", HD_OK, HD_OK, "" },
        { "Content-Length: 0\r\n", "rest", HD_OK, HD_ESYNTAX, "" },
        { "l:   04\r\n", "rest", HD_OK, HD_OK, "rest" },
        { "l: 3\r\n", "rest", HD_OK, HD_ESYNTAX, "res" },
        { "l: 5\r\n", "rest", HD_ESYNTAX, HD_ESYNTAX, "" },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        char text[1024];
        struct parsed p;
        snprintf(text, sizeof(text), START("NOTIFY") COMMON("NOTIFY") "%s\r\n%s", row[i].line,
                 row[i].rest);
        parse(&p, hd_slice_str(text), true);
        assert_int_equal(p.err, row[i].stream);
        parse(&p, hd_slice_str(text), false);
        assert_int_equal(p.err, row[i].datagram);
        if (!p.err)
            assert_slice(p.msg.body, row[i].body);
    }
}

static void
streams_say_what_is_wrong_with_content_length(void **state)
{
    (void)state;
    static const struct refused row[] = {
        { "missing", L(REQUEST("NOTIFY", "")), 400, "Missing Content-Length Header" },
        { "smaller", L(REQUEST("NOTIFY", "l: 1\r\n") "ab"), 400,
          "Content-Length Smaller Than Message" },
        { "larger", L(REQUEST("NOTIFY", "l: 3\r\n") "ab"), 400,
          "Content-Length Larger Than Message" },
    };
    check_refused(row, HD_ARRAY_LEN(row), true);
}

/* ---- limits ---- */

/* A request with one line more: head, then n times c, then tail. */
static void
parse_grown(struct parsed *p, const char *head, size_t n, char c, const char *tail)
{
    static char text[40000];
    size_t at = (size_t)snprintf(text, sizeof(text), "%s", head);
    assert_true(at + n + strlen(tail) < sizeof(text));
    memset(text + at, c, n);
    at += n;
    at += (size_t)snprintf(text + at, sizeof(text) - at, "%s", tail);
    parse(p, hd_slice(text, at), false);
}

static void
each_length_limit_holds_at_its_edge(void **state)
{
    (void)state;
    static const struct {
        const char *head, *tail;
        size_t most; /* repetitions of c that are taken */
        char c;
        unsigned status;
        const char *reason;
    } row[] = {
        { "NOTIFY sip:", " SIP/2.0\r\n" COMMON("NOTIFY") "\r\n", SIP_MAX_URI - 4, 'a', 414,
          "Request-URI Too Long" },
        { START("NOTIFY") VIA "From: <sip:", ">\r\n" TO CALL_ID CSEQ("NOTIFY") "\r\n",
          SIP_MAX_URI - 4, 'a', 400, "From URI Too Long" },
        { START("NOTIFY") VIA FROM "To: <sip:", ">\r\n" CALL_ID CSEQ("NOTIFY") "\r\n",
          SIP_MAX_URI - 4, 'a', 400, "To URI Too Long" },
        { START("NOTIFY") VIA FROM TO "Call-ID: ", "\r\n" CSEQ("NOTIFY") "\r\n", SIP_MAX_TOKEN, 'a',
          400, "Call-ID Too Long" },
        { START("NOTIFY") VIA "From: <sip:a@b>;tag=", "\r\n" TO CALL_ID CSEQ("NOTIFY") "\r\n",
          SIP_MAX_TOKEN, 'a', 400, "Bad From Tag" },
        { START("NOTIFY") "Via: SIP/2.0/UDP h;branch=",
          "\r\n" FROM TO CALL_ID CSEQ("NOTIFY") "\r\n", SIP_MAX_TOKEN, 'a', 400,
          "Via Branch Too Long" },
        { START("NOTIFY") COMMON("NOTIFY") "X: ", "\r\n\r\n", SIP_MAX_LINE - 3, 'a', 400,
          "Header Field Too Long" },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct parsed p;
        parse_grown(&p, row[i].head, row[i].most, row[i].c, row[i].tail);
        if (p.err)
            fail_msg("at the edge: %s", p.fault.reason);
        parse_grown(&p, row[i].head, row[i].most + 1, row[i].c, row[i].tail);
        assert_int_equal(p.err, HD_ESYNTAX);
        assert_string_equal(p.fault.reason, row[i].reason);
        assert_int_equal(p.fault.status, row[i].status);
    }
}

/* A request with n fields more. */
static struct hd_slice
request_of_fields(const char *field, unsigned n, const char *last)
{
    static char text[70000];
    size_t at = (size_t)snprintf(text, sizeof(text), "%s", START("NOTIFY") COMMON("NOTIFY"));
    for (unsigned i = 0; i < n; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s", field);
    at += (size_t)snprintf(text + at, sizeof(text) - at, "%s\r\n", last);
    assert_true(at < sizeof(text));
    return hd_slice(text, at);
}

static void
there_are_at_most_so_many_fields(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p, request_of_fields("X: y\r\n", SIP_MAX_HEADERS - 5, ""), false);
    assert_int_equal(p.err, HD_OK);
    assert_int_equal(p.msg.n_headers, SIP_MAX_HEADERS);
    assert_int_equal(sip_msg_count(&p.msg, SIP_HDR_OTHER), SIP_MAX_HEADERS - 5);
    parse(&p, request_of_fields("X: y\r\n", SIP_MAX_HEADERS - 4, ""), false);
    assert_int_equal(p.err, HD_ESYNTAX);
    assert_string_equal(p.fault.reason, "Too Many Header Fields");
    assert_true(p.fault.answerable);
}

static void
there_are_at_most_so_many_vias(void **state)
{
    (void)state;
    struct parsed p;
    parse(&p,
          request_of_fields("v: SIP/2.0/UDP a, SIP/2.0/UDP b;x=\",\"\r\n", (SIP_MAX_VIAS - 2) / 2,
                            "v: SIP/2.0/UDP c\r\n"),
          false);
    assert_int_equal(p.err, HD_OK);
    assert_int_equal(p.msg.n_vias, SIP_MAX_VIAS);
    parse(&p, request_of_fields("v: SIP/2.0/UDP a, SIP/2.0/UDP b\r\n", SIP_MAX_VIAS / 2, ""),
          false);
    assert_string_equal(p.fault.reason, "Too Many Via Values");
}

static void
the_head_has_a_limit(void **state)
{
    (void)state;
    char field[1024];
    struct parsed p;
    memset(field, 'x', sizeof(field));
    field[1] = ':';
    memcpy(field + sizeof(field) - 3, "\r\n", 3);
    parse(&p, request_of_fields(field, 31, ""), false);
    assert_int_equal(p.err, HD_OK);
    parse(&p, request_of_fields(field, 33, ""), false);
    assert_int_equal(p.err, HD_ESYNTAX);
    assert_int_equal(p.fault.status, 413);
}

static void
the_arena_needs_room_for_the_fields_only(void **state)
{
    (void)state;
    const struct hd_slice text = HD_LIT(REQUEST("NOTIFY", "X: y\r\n"));
    char memory[1024];
    struct hd_arena arena;
    struct sip_msg msg;
    struct sip_fault fault;
    for (size_t cap = 0; cap < 6 * sizeof(struct sip_header); cap++) {
        hd_arena_init(&arena, memory, cap);
        assert_int_equal(sip_msg_parse(text, false, &arena, &msg, &fault), HD_ENOSPC);
    }
    hd_arena_init(&arena, memory, sizeof(memory));
    assert_int_equal(sip_msg_parse(text, false, &arena, &msg, &fault), HD_OK);
    assert_int_equal(arena.used, 6 * sizeof(struct sip_header));
}

/* ---- access ---- */

static void
fields_of_one_header_are_chained_in_their_order(void **state)
{
    (void)state;
    struct parsed p;
    parse_good(
        &p, REQUEST("SUBSCRIBE", "Accept: a/b\r\nX: 1\r\naccept : c/d\r\nX: 2\r\nACCEPT:e/f\r\n"));
    const struct sip_header *h = sip_msg_header(&p.msg, SIP_HDR_ACCEPT);
    static const char *const want[] = { "a/b", "c/d", "e/f" };
    for (size_t i = 0; i < HD_ARRAY_LEN(want); i++, h = sip_msg_next(&p.msg, h)) {
        assert_non_null(h);
        assert_slice(h->value, want[i]);
    }
    assert_null(h);
    assert_int_equal(sip_msg_count(&p.msg, SIP_HDR_ACCEPT), 3);
    assert_slice(sip_msg_value(&p.msg, SIP_HDR_ACCEPT), "a/b");
    assert_true(sip_msg_has(&p.msg, SIP_HDR_OTHER));
    assert_false(sip_msg_has(&p.msg, SIP_HDR_EVENT));
    assert_null(sip_msg_value(&p.msg, SIP_HDR_EVENT).p);
    assert_int_equal(sip_msg_count(&p.msg, SIP_HDR_EVENT), 0);
}

static void
values_are_trimmed_and_keep_their_inner_folds(void **state)
{
    (void)state;
    struct parsed p;
    parse_good(&p,
               REQUEST("SUBSCRIBE", "Subject:\r\n\t a\r\n  b \t\r\n \r\nEvent:presence\t \r\n"));
    assert_slice(p.msg.headers[5].value, "a\r\n  b");
    assert_slice(sip_msg_value(&p.msg, SIP_HDR_EVENT), "presence");
}

static void
entity_tags_may_be_repeated_for_the_publish_code_to_refuse(void **state)
{
    (void)state;
    struct parsed p;
    parse_good(&p, REQUEST("PUBLISH", "SIP-If-Match: a\r\nSIP-If-Match: b\r\n"));
    assert_int_equal(sip_msg_count(&p.msg, SIP_HDR_SIP_IF_MATCH), 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_split_into_its_parts),
        cmocka_unit_test(a_response_is_split_into_its_parts),
        cmocka_unit_test(bad_start_lines_are_refused),
        cmocka_unit_test(heads_that_two_readers_could_read_differently_are_refused),
        cmocka_unit_test(what_every_message_needs_must_be_there_and_readable),
        cmocka_unit_test(a_refused_request_keeps_what_its_answer_needs),
        cmocka_unit_test(an_unknown_method_is_no_fault_whatever_its_cseq_says),
        cmocka_unit_test(a_quoted_nul_is_taken),
        cmocka_unit_test(a_body_may_hold_anything),
        cmocka_unit_test(max_forwards_above_255_counts_as_absent),
        cmocka_unit_test(content_length_ends_a_datagram_and_is_exact_on_a_stream),
        cmocka_unit_test(streams_say_what_is_wrong_with_content_length),
        cmocka_unit_test(each_length_limit_holds_at_its_edge),
        cmocka_unit_test(there_are_at_most_so_many_fields),
        cmocka_unit_test(there_are_at_most_so_many_vias),
        cmocka_unit_test(a_response_known_by_its_branch_needs_no_more_than_via_and_cseq),
        cmocka_unit_test(the_head_has_a_limit),
        cmocka_unit_test(the_arena_needs_room_for_the_fields_only),
        cmocka_unit_test(fields_of_one_header_are_chained_in_their_order),
        cmocka_unit_test(values_are_trimmed_and_keep_their_inner_folds),
        cmocka_unit_test(entity_tags_may_be_repeated_for_the_publish_code_to_refuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
