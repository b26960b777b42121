/* torture_test.c - the torture messages of RFC 4475 and RFC 5118 (data/torture/), each with the
 * verdict that the RFC gives for an element that answers requests itself, as a datagram and as a
 * stream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sip/header.h"
#include "sip/msg.h"
#include "sip/uri.h"

#define STREAM_BODY_MAX 65536

struct message {
    char text[8192];
    size_t n;
    char memory[SIP_MAX_HEADERS * sizeof(struct sip_header) + 16];
    struct hd_arena arena;
    struct sip_msg msg;
    struct sip_fault fault;
    enum hd_err err;
};

static void
load(struct message *m, const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/torture/%s", TEST_DATA, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("cannot open %s", path);
    m->n = fread(m->text, 1, sizeof(m->text), file);
    fclose(file);
    assert_true(m->n > 0 && m->n < sizeof(m->text));
}

/* The archive of RFC 5118 was made with bare line feeds, without the empty line of two messages,
 * and with a body shorter than its Content-Length in one: what the RFC prints is put back. */
static void
load_v6(struct message *m, const char *name)
{
    static char raw[sizeof(m->text)];
    load(m, name);
    memcpy(raw, m->text, m->n);
    size_t out = 0, head = 0;
    for (size_t i = 0; i < m->n; i++) {
        assert_true(raw[i] != '\r' && out + 3 < sizeof(m->text));
        if (raw[i] == '\n')
            m->text[out++] = '\r';
        m->text[out++] = raw[i];
        if (!head && out >= 4 && memcmp(m->text + out - 4, "\r\n\r\n", 4) == 0)
            head = out;
    }
    if (!head) {
        memcpy(m->text + out, "\r\n", 2);
        head = out += 2;
    }
    const char *length = memmem(m->text, head, "Content-Length: ", 16);
    assert_non_null(length);
    const size_t body = strtoul(length + 16, NULL, 10);
    while (out - head < body)
        m->text[out++] = '\n';
    m->n = head + body;
}

static void
parse(struct message *m, bool stream, size_t n)
{
    hd_arena_init(&m->arena, m->memory, sizeof(m->memory));
    m->err = sip_msg_parse(hd_slice(m->text, n), stream, &m->arena, &m->msg, &m->fault);
}

/* What this layer decides: 200 stands for "well formed: the layers above answer", 0 for "dropped".
 */
static unsigned
verdict(const struct message *m)
{
    struct sip_uri uri;
    if (m->err)
        return m->fault.answerable ? m->fault.status : 0;
    if (!m->msg.request)
        return 200;
    if (!m->msg.method)
        return 501;
    if (sip_uri_parse(m->msg.uri, &uri))
        return 400;
    return uri.scheme == SIP_SCHEME_OTHER ? 416 : 200;
}

/* The stream gives the same answer as the datagram unless said otherwise: it waits, or it is
 * closed. */
enum stream_end { SAME = 0, WAITS, CLOSES };

struct row {
    const char *name;
    unsigned status;
    enum stream_end stream;
    const char *reason; /* of the fault; NULL: none */
};

static void
check(struct message *m, const struct row *row)
{
    parse(m, false, m->n);
    const unsigned datagram = verdict(m);
    if (datagram != row->status)
        fail_msg("%s: %u %s", row->name, datagram, m->err ? m->fault.reason : "taken");
    if (m->err && (!row->reason || strcmp(row->reason, m->fault.reason) != 0))
        fail_msg("%s: \"%s\"", row->name, m->fault.reason);
    size_t n;
    const enum sip_frame frame = sip_frame_find(hd_slice(m->text, m->n), STREAM_BODY_MAX, &n);
    switch (row->stream) {
    case SAME:
        if (frame != SIP_FRAME_MESSAGE)
            fail_msg("%s is no message on a stream: %d", row->name, frame);
        parse(m, true, n);
        assert_int_equal(verdict(m), row->status);
        break;
    case WAITS:
        assert_int_equal(frame, SIP_FRAME_MORE);
        break;
    case CLOSES:
        assert_int_equal(frame, SIP_FRAME_BAD);
        break;
    }
}

static void
rfc_4475_messages_get_the_verdicts_of_the_rfc(void **state)
{
    (void)state;
    static const struct row rows[] = {
        /* 3.1.1 valid messages */
        { "wsinv", 200, SAME, NULL },
        { "intmeth", 501, SAME, NULL },
        { "esc01", 200, SAME, NULL },
        { "escnull", 200, SAME, NULL },
        { "esc02", 501, SAME, NULL },
        { "lwsdisp", 200, SAME, NULL },
        { "longreq", 200, SAME, NULL },
        { "dblreq", 200, SAME, NULL },
        { "semiuri", 200, SAME, NULL },
        { "transports", 200, SAME, NULL },
        { "mpart01", 200, SAME, NULL },
        { "unreason", 200, SAME, NULL },
        { "noreason", 200, SAME, NULL },
        /* 3.1.2 invalid messages */
        { "badinv01", 400, SAME, "Bad Via Header" },
        { "clerr", 400, WAITS, "Content-Length Larger Than Message" },
        { "ncl", 400, CLOSES, "Bad Content-Length Header" },
        { "scalar02", 400, SAME, "CSeq Number Too Large" },
        { "scalarlg", 0, SAME, "CSeq Number Too Large" },
        { "quotbal", 400, SAME, "Bad To Header" },
        { "ltgtruri", 400, SAME, "Bad Request-URI" },
        { "lwsruri", 400, SAME, "Bad Request-URI" },
        { "lwsstart", 400, SAME, "Bad Request-URI" },
        { "trws", 400, SAME, "Bad SIP-Version In Request-Line" },
        /* The escaped headers may be ignored, and are: the key of the resource leaves them out. */
        { "escruri", 200, SAME, NULL },
        /* Date is not important to us, so it is no reason to refuse. */
        { "baddate", 200, SAME, NULL },
        /* The Contact is read when a registrar wants it, see below. */
        { "regbadct", 200, SAME, NULL },
        { "badaspec", 400, SAME, "Bad To Header" },
        /* The archived copy has no empty line behind its last header, which is found first. */
        { "baddn", 400, WAITS, "Missing Empty Line" },
        { "badvers", 505, SAME, "Version Not Supported" },
        { "mismatch01", 400, SAME, "CSeq Method Does Not Match" },
        { "mismatch02", 501, SAME, NULL },
        { "bigcode", 0, SAME, "Bad Status Code" },
        /* 3.2 transaction layer: the branch identifies nothing, which the transaction rules know.
         */
        { "badbranch", 200, SAME, NULL },
        /* 3.3 application layer: mostly for the layers above */
        { "insuf", 400, SAME, "Missing From Header" },
        { "unkscm", 416, SAME, NULL },
        { "novelsc", 416, SAME, NULL },
        { "unksm2", 200, SAME, NULL },
        { "bext01", 200, SAME, NULL },
        { "invut", 200, SAME, NULL },
        { "regaut01", 200, SAME, NULL },
        { "multi01", 400, SAME, "Repeated CSeq Header" },
        { "mcl01", 400, CLOSES, "Repeated Content-Length Header" },
        { "bcast", 200, SAME, NULL },
        { "zeromf", 200, SAME, NULL },
        { "cparam01", 200, SAME, NULL },
        { "cparam02", 200, SAME, NULL },
        { "regescrt", 200, SAME, NULL },
        { "sdp01", 200, SAME, NULL },
        /* 3.4 RFC 2543: no Content-Length, which a stream needs */
        { "inv2543", 200, CLOSES, NULL },
    };
    assert_int_equal(HD_ARRAY_LEN(rows), 49);
    for (size_t i = 0; i < HD_ARRAY_LEN(rows); i++) {
        static struct message m;
        char name[64];
        snprintf(name, sizeof(name), "rfc4475/%s.dat", rows[i].name);
        load(&m, name);
        check(&m, &rows[i]);
    }
}

static void
rfc_5118_messages_get_the_verdicts_of_the_rfc(void **state)
{
    (void)state;
    static const struct row rows[] = {
        { "ipv6-good", 200, SAME, NULL },
        { "ipv6-bad", 400, SAME, NULL },
        { "port-ambiguous", 200, SAME, NULL },
        { "port-unambiguous", 200, SAME, NULL },
        { "via-received-param-with-delim", 200, SAME, NULL },
        { "via-received-param-no-delim", 200, SAME, NULL },
        { "ipv6-in-sdp", 200, SAME, NULL },
        { "mult-ip-in-header", 200, SAME, NULL },
        { "mult-ip-in-sdp", 200, SAME, NULL },
        { "ipv4-mapped-ipv6", 200, SAME, NULL },
        { "ipv6-bug-abnf-3-colons", 200, SAME, NULL },
        { "ipv6-correct-abnf-2-colons", 200, SAME, NULL },
    };
    for (size_t i = 0; i < HD_ARRAY_LEN(rows); i++) {
        static struct message m;
        char name[64];
        snprintf(name, sizeof(name), "rfc5118/%s", rows[i].name);
        load_v6(&m, name);
        check(&m, &rows[i]);
    }
}

static void
bare_line_feeds_of_the_archive_are_refused(void **state)
{
    (void)state;
    static struct message m;
    load(&m, "rfc5118/ipv6-good");
    static const struct row row = { "ipv6-good", 400, CLOSES, "Bare LF In Header" };
    check(&m, &row);
}

#define assert_text(slice, text) assert_true(hd_slice_eq(slice, hd_slice_str(text)))

static void
the_short_tortuous_invite_is_read_as_meant(void **state)
{
    (void)state;
    static struct message m;
    load(&m, "rfc4475/wsinv.dat");
    parse(&m, false, m.n);
    assert_int_equal(m.err, HD_OK);
    assert_text(m.msg.to.uri, "sip:vivekg@chair-dnrc.example.com");
    assert_text(m.msg.to_tag, "1918181833n");
    assert_text(m.msg.from.display, "\"J Rosenberg \\\\\\\"\"");
    assert_text(m.msg.from_tag, "98asjd8");
    assert_int_equal(m.msg.max_forwards, 68);
    assert_int_equal(m.msg.cseq.number, 9);
    assert_int_equal(m.msg.cseq.method, SIP_INVITE);
    assert_int_equal(m.msg.n_vias, 3);
    assert_text(m.msg.via.host, "192.0.2.2");
    assert_text(m.msg.via.branch, "390skdjuw");
    struct sip_walk walk = { 0 };
    struct hd_slice item;
    struct sip_via via;
    assert_true(sip_msg_walk(&m.msg, SIP_HDR_VIA, &walk, &item));
    assert_true(sip_msg_walk(&m.msg, SIP_HDR_VIA, &walk, &item));
    assert_int_equal(sip_via_parse(item, &via), HD_OK);
    assert_text(via.transport, "TCP");
    assert_text(via.host, "spindle.example.com");
    assert_text(via.branch, "z9hG4bK9ikj8");
    assert_true(sip_msg_walk(&m.msg, SIP_HDR_VIA, &walk, &item));
    assert_int_equal(sip_via_parse(item, &via), HD_OK);
    assert_text(via.branch, "z9hG4bK30239");
    assert_false(sip_msg_walk(&m.msg, SIP_HDR_VIA, &walk, &item));
    struct sip_addr contact;
    walk = (struct sip_walk){ 0 };
    assert_true(sip_msg_walk(&m.msg, SIP_HDR_CONTACT, &walk, &item));
    assert_int_equal(sip_addr_parse(item, &contact), HD_OK);
    assert_text(contact.display, "\"Quoted string \\\"\\\"\"");
    assert_text(contact.uri, "sip:jdrosen@example.com");
    struct hd_slice q;
    assert_true(sip_param_find(contact.params, HD_LIT("q"), &q));
    assert_text(q, "0.33");
    assert_int_equal(m.msg.body.n, 150);
}

static void
escapes_are_undone_once_and_only_in_uris(void **state)
{
    (void)state;
    static struct message m;
    struct sip_uri uri;
    load(&m, "rfc4475/esc01.dat");
    parse(&m, false, m.n);
    assert_int_equal(sip_uri_parse(m.msg.uri, &uri), HD_OK);
    assert_text(uri.user, "sips%3Auser%40example.com");
    assert_text(uri.host, "example.net");
    load(&m, "rfc4475/esc02.dat");
    parse(&m, false, m.n);
    assert_text(m.msg.method_name, "RE%47IST%45R");
    assert_text(m.msg.to.display, "\"%Z%45\"");
    /* Two values: "C%6Fntact" is no Contact. */
    assert_int_equal(sip_msg_count(&m.msg, SIP_HDR_CONTACT), 2);
}

static void
escaped_nulls_keep_users_apart(void **state)
{
    (void)state;
    static struct message m;
    static const struct hd_slice domain = { "example.com", 11 };
    const struct sip_served served = { &domain, 1, NULL, 0 };
    char key[SIP_KEY_MAX];
    size_t n;
    struct sip_uri uri;
    load(&m, "rfc4475/escnull.dat");
    parse(&m, false, m.n);
    assert_int_equal(sip_uri_parse(m.msg.to.uri, &uri), HD_OK);
    assert_int_equal(sip_resource_key(&uri, &served, key, &n), HD_OK);
    assert_text(hd_slice(key, n), "sip:null-%00-null@example.com");
    struct sip_walk walk = { 0 };
    struct hd_slice first, second;
    struct sip_addr a, b;
    struct sip_uri x, y;
    assert_true(sip_msg_walk(&m.msg, SIP_HDR_CONTACT, &walk, &first));
    assert_true(sip_msg_walk(&m.msg, SIP_HDR_CONTACT, &walk, &second));
    assert_int_equal(sip_addr_parse(first, &a), HD_OK);
    assert_int_equal(sip_addr_parse(second, &b), HD_OK);
    assert_int_equal(sip_uri_parse(a.uri, &x), HD_OK);
    assert_int_equal(sip_uri_parse(b.uri, &y), HD_OK);
    assert_false(sip_uri_equal(&x, &y));
}

static void
octets_behind_the_body_of_a_datagram_are_ignored(void **state)
{
    (void)state;
    static struct message m;
    load(&m, "rfc4475/dblreq.dat");
    parse(&m, false, m.n);
    assert_int_equal(m.msg.method, SIP_REGISTER);
    assert_int_equal(m.msg.body.n, 0);
    size_t n;
    assert_int_equal(sip_frame_find(hd_slice(m.text, m.n), 1000, &n), SIP_FRAME_MESSAGE);
    assert_memory_equal(m.text + n, "\r\nINVITE ", 9);
}

static void
semicolons_and_colons_split_uris_where_the_rfc_does(void **state)
{
    (void)state;
    static struct message m;
    struct sip_uri uri;
    load(&m, "rfc4475/semiuri.dat");
    parse(&m, false, m.n);
    assert_int_equal(sip_uri_parse(m.msg.uri, &uri), HD_OK);
    assert_text(uri.user, "user;par=u%40example.net");
    load_v6(&m, "rfc5118/port-ambiguous");
    parse(&m, false, m.n);
    assert_int_equal(sip_uri_parse(m.msg.uri, &uri), HD_OK);
    assert_text(uri.host, "[2001:db8::10:5070]");
    assert_int_equal(uri.port, 0);
    load_v6(&m, "rfc5118/port-unambiguous");
    parse(&m, false, m.n);
    assert_int_equal(sip_uri_parse(m.msg.uri, &uri), HD_OK);
    assert_text(uri.host, "[2001:db8::10]");
    assert_int_equal(uri.port, 5070);
}

static void
a_contact_that_needs_brackets_and_has_none_is_refused_when_read(void **state)
{
    (void)state;
    static struct message m;
    struct sip_addr contact;
    load(&m, "rfc4475/regbadct.dat");
    parse(&m, false, m.n);
    assert_int_equal(sip_addr_parse(sip_msg_value(&m.msg, SIP_HDR_CONTACT), &contact), HD_ESYNTAX);
    load(&m, "rfc4475/regescrt.dat");
    parse(&m, false, m.n);
    assert_int_equal(sip_addr_parse(sip_msg_value(&m.msg, SIP_HDR_CONTACT), &contact), HD_OK);
    assert_text(contact.params, "");
}

static void
overlarge_scalars_are_clamped_or_ignored_where_the_rfc_lets_us(void **state)
{
    (void)state;
    static struct message m;
    load(&m, "rfc4475/scalar02.dat");
    parse(&m, false, m.n);
    assert_int_equal(m.msg.max_forwards, 70);
    uint32_t s;
    assert_int_equal(sip_delta_parse(sip_msg_value(&m.msg, SIP_HDR_EXPIRES), &s), HD_OK);
    assert_int_equal(s, UINT32_MAX);
    load(&m, "rfc4475/zeromf.dat");
    parse(&m, false, m.n);
    assert_int_equal(m.msg.max_forwards, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_4475_messages_get_the_verdicts_of_the_rfc),
        cmocka_unit_test(rfc_5118_messages_get_the_verdicts_of_the_rfc),
        cmocka_unit_test(bare_line_feeds_of_the_archive_are_refused),
        cmocka_unit_test(the_short_tortuous_invite_is_read_as_meant),
        cmocka_unit_test(escapes_are_undone_once_and_only_in_uris),
        cmocka_unit_test(escaped_nulls_keep_users_apart),
        cmocka_unit_test(octets_behind_the_body_of_a_datagram_are_ignored),
        cmocka_unit_test(semicolons_and_colons_split_uris_where_the_rfc_does),
        cmocka_unit_test(a_contact_that_needs_brackets_and_has_none_is_refused_when_read),
        cmocka_unit_test(overlarge_scalars_are_clamped_or_ignored_where_the_rfc_lets_us),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
