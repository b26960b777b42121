/* filters_alloc_test.c - every allocation that conditions and conditional requests need is refused
 * once, in turn: nothing leaks, no crossing is told twice, and once memory is there again whoever
 * asks again comes to what he wanted (RFC 4660, RFC 5839). */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "event/test_host.h"
#include "event/test_refuse.h"
#include "filter/filters.h"
#include "package/pkg.h"

#define FILTER "application/vnd.herald.filter+json"

static struct host host;
static struct flt_filters *filters;
static char tag[HD_ID_TEXT + 1], published[HD_ID_TEXT + 1];
static char shown[64], view[64]; /* body and SIP-ETag of the newest NOTIFY */
static unsigned answered, notified, bodies;
static unsigned fired; /* the greatest seq of Herald-Fired */
static bool over;

static const struct hd_slice types[] = { { "application/json", 16 } };
static struct evt_package package;
static const struct evt_package *const packages[] = { &package };

static void
begin(void)
{
    package = (struct evt_package){ .magic = EVT_PACKAGE_MAGIC,
                                    .name = HD_LIT("x-ekg"),
                                    .ops = pkg_generic_ops(),
                                    .types = types,
                                    .n_types = 1,
                                    .min_expires_s = 60,
                                    .default_expires_s = 3600,
                                    .max_expires_s = 1000000,
                                    .max_body = 65536,
                                    .authorisation = EVT_AUTHORISE_ALLOW };
    host_init(&host, 1);
    filters = flt_filters_new();
    assert_non_null(filters);
    host_shard(&host, 0)->ports.filter = flt_filter_ops();
    host_shard(&host, 0)->ports.filter_context = filters;
    struct evt_config *config = host_config_copy(&host);
    config->packages = packages;
    config->n_packages = 1;
    host_configure(&host, config, hd_slice(NULL, 0));
    tag[0] = published[0] = shown[0] = view[0] = '\0';
    notified = bodies = fired = 0;
    over = false;
}

/* --- a client that repeats until it is answered ---------------------------------------------- */

static void
copy(char *to, size_t cap, struct hd_slice from)
{
    (void)snprintf(to, cap, "%.*s", HD_FMT(from));
}

/* The seq in Herald-Fired of the alarm "high"; 0: none. */
static unsigned
seq_of(const struct host_sent *sent)
{
    static const char name[] = "Herald-Fired: high;seq=";
    const char *at = memmem(sent->text.p, sent->text.n, name, strlen(name));
    uint32_t seq = 0;

    if (at) {
        const char *digits = at + strlen(name), *end = digits;
        while (end < sent->text.p + sent->text.n && isdigit((unsigned char)*end))
            end++;
        assert_int_equal(hd_slice_to_u32(hd_slice(digits, (size_t)(end - digits)), &seq), HD_OK);
    }
    return seq;
}

static void
note_notify(const struct host_sent *sent)
{
    const unsigned seq = seq_of(sent);

    notified++;
    if (sent->msg.body.n) {
        bodies++;
        copy(shown, sizeof(shown), sent->msg.body);
    }
    if (seq) {
        assert_in_range(seq, fired, fired + 1); /* in order, and the same one again at most */
        fired = seq;
    }
    copy(view, sizeof(view), sip_msg_value(&sent->msg, SIP_HDR_SIP_ETAG));
    over = over || host_has(sent, "Subscription-State: terminated");
}

static void
pump(void)
{
    struct host_sent *sent;

    while ((sent = host_take(&host))) {
        if (sent->msg.request) {
            note_notify(sent);
            host_answer(&host, sent, 200, NULL);
        } else if (sent->msg.status >= 200) {
            answered = sent->msg.status;
            if (sent->msg.cseq.method == SIP_SUBSCRIBE)
                copy(tag, sizeof(tag), sent->msg.to_tag);
            else if (answered == 200)
                copy(published, sizeof(published), sip_msg_value(&sent->msg, SIP_HDR_SIP_ETAG));
        }
    }
}

static void
pass(unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++) {
        host_wait(&host, 1000);
        pump();
    }
}

/* What failed for want of memory is asked again as a new request. */
static void
ask(struct host_request *request, unsigned expected)
{
    static uint32_t cseq;

    for (unsigned tries = 0; tries < 6; tries++) {
        request->cseq = ++cseq;
        request->event = "x-ekg";
        answered = 0;
        for (unsigned repeats = 0; repeats < 10 && !answered; repeats++) {
            host_request(&host, request);
            pump();
            if (!answered)
                pass(1);
        }
        if (answered == expected)
            return;
        assert_true(answered == 500 || answered == 503);
        pass(5);
    }
    fail();
}

static void
beats(unsigned hr)
{
    char headers[64] = "", body[32];

    if (published[0])
        (void)snprintf(headers, sizeof(headers), "SIP-If-Match: %s\r\n", published);
    (void)snprintf(body, sizeof(body), "{\"hr\":%u}", hr);
    ask(&(struct host_request){ .method = "PUBLISH",
                                .headers = headers,
                                .call_id = "p",
                                .type = "application/json",
                                .body = body,
                                .expires = 6000 },
        200);
    pass(2);
}

static void
subscribe(int64_t expires, const char *filter, const char *match, unsigned expected)
{
    char headers[128] = "", to_tag[HD_ID_TEXT + 1];

    if (match)
        (void)snprintf(headers, sizeof(headers), "Suppress-If-Match: %s\r\n", match);
    copy(to_tag, sizeof(to_tag), hd_slice_str(tag));
    ask(&(struct host_request){ .to_tag = to_tag[0] ? to_tag : NULL,
                                .headers = headers,
                                .expires = expires,
                                .type = FILTER,
                                .body = filter },
        expected);
    pass(2);
}

/* Who could not be given his conditions is told every change, until he refreshes. */
static void
watch(const char *filter)
{
    subscribe(6000, filter, NULL, 200);
    if (HOST_COUNT(&host, 0, conditions) == 0)
        subscribe(6000, NULL, NULL, 200);
    assert_int_equal(HOST_COUNT(&host, 0, conditions), 1);
}

static void
end(void)
{
    pass(40);
    host_wait(&host, 7000000);
    pump();
    host_wait(&host, 40000);
    const struct evt_shard *shard = host_shard(&host, 0);
    assert_int_equal(shard->subs.count + shard->pubs.count + shard->mirrors.count, 0);
    assert_int_equal(shard->resources.count + shard->hops.count + shard->wheel.count, 0);
    assert_int_equal(HOST_COUNT(&host, 0, conditions), 0);
    host_done(&host);
    flt_filters_free(filters);
}

/* --- exchanges ------------------------------------------------------------------------------- */

/* Two crossings with a dwell, the re-arm told in between, another filter at a refresh. */
static void
alarms(void)
{
    static const char high[] =
        "{\"above\":{\"path\":\"hr\",\"value\":140,\"clear\":120,\"for\":\"3s\"},"
        "\"name\":\"high\",\"clear-notify\":true}";

    beats(80);
    watch(high);
    assert_int_equal(fired, 0);
    beats(150);
    pass(20);
    assert_int_equal(fired, 1);
    assert_string_equal(shown, "{\"hr\":150}");
    beats(100);
    pass(20);
    beats(160);
    pass(20);
    assert_int_equal(fired, 3); /* the re-arm has a number of its own */
    assert_string_equal(shown, "{\"hr\":160}");
    watch("{\"below\":{\"path\":\"hr\",\"value\":50},\"name\":\"low\"}");
    const unsigned before = notified;
    beats(150);
    pass(10);
    assert_int_equal(notified, before);
    beats(40);
    pass(10);
    assert_string_equal(shown, "{\"hr\":40}");
    subscribe(0, NULL, NULL, 200);
    assert_true(over);
}

/* A refresh of what he has is a 204 and no NOTIFY; a change after it is told, with its body. */
static void
conditional_requests(void)
{
    char had[64];

    beats(80);
    subscribe(6000, NULL, NULL, 200);
    assert_string_equal(shown, "{\"hr\":80}");
    copy(had, sizeof(had), hd_slice_str(view));
    const unsigned before = notified;
    subscribe(6000, NULL, had, 204);
    assert_int_equal(notified, before);
    beats(90);
    pass(10);
    assert_string_equal(shown, "{\"hr\":90}");
    assert_string_not_equal(view, had);
    const unsigned with_body = bodies;
    subscribe(6000, NULL, "*", 204);
    beats(100);
    pass(10);
    assert_int_equal(bodies, with_body); /* "*" is true of every state (RFC 5839 section 6.2) */
    subscribe(6000, NULL, had, 200);
    pass(10);
    assert_string_equal(shown, "{\"hr\":100}");
    subscribe(0, NULL, NULL, 200);
    assert_true(over);
}

static unsigned
each_refused(void (*exchange)(void))
{
    unsigned n = 0;

    for (bool more = true; more; n++) {
        begin();
        print_message("refused: %u\n", n);
        refuse_begin(n);
        exchange();
        more = refuse_end();
        end();
    }
    return n;
}

static void
conditions_survive_each_refused_allocation(void **state)
{
    (void)state;
    assert_true(each_refused(alarms) > 60);
}

static void
conditional_requests_survive_each_refused_allocation(void **state)
{
    (void)state;
    assert_true(each_refused(conditional_requests) > 40);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions_survive_each_refused_allocation),
        cmocka_unit_test(conditional_requests_survive_each_refused_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
