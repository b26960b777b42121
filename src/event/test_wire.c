/* test_wire.c - the peers of the tests' host: where they are, what they say, and what they hear. */
#include <stdarg.h>

#include "event/test_check.h"

/* --- sources --------------------------------------------------------------------------------- */

struct hd_flow
host_flow(uint16_t port)
{
    return (struct hd_flow){ .transport = HD_UDP,
                             .local = { .ip = { 192, 0, 2, 1 }, .port = 5060, .family = 4 },
                             .remote = { .ip = { 198, 51, 100, 9 }, .port = port, .family = 4 } };
}

static unsigned
steered(const struct host *host, const struct hd_flow *flow)
{
    if (flow->conn)
        return hd_conn_shard(flow->conn);
    return hd_bucket_shard(hd_addr_bucket(&flow->remote), host->n);
}

uint16_t
host_port_of(const struct host *host, unsigned shard)
{
    for (uint16_t port = 6000;; port++) {
        const struct hd_flow flow = host_flow(port);
        if (steered(host, &flow) == shard)
            return port;
    }
}

unsigned
host_home(struct host *host, const char *key)
{
    return evt_home(host->seats[0].shard, hd_slice_str(key));
}

void
host_receive_on(struct host *host, unsigned shard, const struct hd_flow *flow, struct hd_slice text)
{
    /* An exact copy on the heap: a read behind its end, or after the call, is seen. */
    char *copy;

    pause_refusals(1);
    copy = malloc(text.n ? text.n : 1);
    pause_refusals(-1);
    CHECK(copy);
    if (text.n)
        memcpy(copy, text.p, text.n);
    evt_shard_receive(host->seats[shard].shard, flow, hd_slice(copy, text.n), host->now_ms * 1000);
    free(copy);
}

void
host_receive(struct host *host, const struct hd_flow *flow, struct hd_slice text)
{
    host_receive_on(host, steered(host, flow), flow, text);
}

/* --- requests -------------------------------------------------------------------------------- */

struct text {
    char *p;
    size_t n, cap;
};

static void HD_PRINTF(2, 3) add(struct text *text, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    const int n = vsnprintf(text->p + text->n, text->cap - text->n, format, args);
    va_end(args);
    CHECK(n >= 0 && (size_t)n < text->cap - text->n);
    text->n += (size_t)n;
}

static const char *
or_else(const char *value, const char *otherwise)
{
    return value ? value : otherwise;
}

size_t
host_write(const struct host_request *r, char *p, size_t cap)
{
    struct text text = { p, 0, cap };
    const char *method = or_else(r->method, "SUBSCRIBE");
    const char *uri = or_else(r->uri, "sip:bob@example.test"), *call_id = or_else(r->call_id, "c1");
    const char *transport = r->transport == HD_TCP ? "TCP" : "UDP";
    const uint16_t port = r->port ? r->port : 5062;
    const uint32_t cseq = r->cseq ? r->cseq : 1;
    const bool has_event = strcmp(method, "SUBSCRIBE") == 0 || strcmp(method, "PUBLISH") == 0;

    add(&text, "%s %s SIP/2.0\r\n", method, uri);
    add(&text, "Via: SIP/2.0/%s 198.51.100.9:%u;rport;branch=z9hG4bK", transport, port);
    if (r->branch)
        add(&text, "%s\r\n", r->branch);
    else
        add(&text, "%s-%s-%u\r\n", method, call_id, cseq);
    add(&text, "Max-Forwards: 70\r\nFrom: <sip:%s@example.test>;tag=f1\r\n",
        or_else(r->from, "alice"));
    add(&text, "To: <%s>", or_else(r->to_uri, uri));
    if (r->to_tag)
        add(&text, ";tag=%s", r->to_tag);
    add(&text, "\r\nCall-ID: %s\r\nCSeq: %u %s\r\n", call_id, cseq, method);
    if (has_event && (!r->event || *r->event))
        add(&text, "Event: %s\r\n", or_else(r->event, "x-state"));
    if (r->expires >= 0)
        add(&text, "Expires: %llu\r\n", (unsigned long long)r->expires);
    if (r->contact ? *r->contact : strcmp(method, "PUBLISH") != 0)
        add(&text, "Contact: %s\r\n", r->contact ? r->contact : "");
    if (!r->contact && strcmp(method, "PUBLISH") != 0) {
        text.n -= 2;
        add(&text, "<sip:%s@198.51.100.9:%u%s>\r\n", or_else(r->from, "alice"), port,
            r->transport == HD_TCP ? ";transport=tcp" : "");
    }
    add(&text, "%s", or_else(r->headers, ""));
    if (r->body)
        add(&text, "Content-Type: %s\r\n", or_else(r->type, "text/plain"));
    add(&text, "Content-Length: %zu\r\n\r\n%s", r->body ? strlen(r->body) : 0,
        or_else(r->body, ""));
    return text.n;
}

void
host_request(struct host *host, const struct host_request *request)
{
    pause_refusals(1);
    char *text = malloc(HOST_TEXT);
    pause_refusals(-1);
    struct hd_flow flow = host_flow(request->port ? request->port : 5062);

    CHECK(text);
    if (request->transport == HD_TCP) {
        flow.transport = HD_TCP;
        flow.listener = 1;
        flow.conn = request->conn;
    }
    host_receive(host, &flow, hd_slice(text, host_write(request, text, HOST_TEXT)));
    free(text);
    host_settle(host);
}

void
host_answer_only(struct host *host, const struct host_sent *notify, unsigned status,
                 const char *extra)
{
    char text[HOST_TEXT / 4];
    struct sip_out out;
    size_t n;

    CHECK(notify && notify->msg.request);
    sip_out_init(&out, text, sizeof(text));
    sip_reply_begin(&out, &notify->msg, status, HD_LIT("Whatever"), HD_LIT("f1"),
                    &notify->flow.local);
    sip_out_slice(&out, hd_slice_str(or_else(extra, "")));
    sip_reply_end(&out);
    CHECK(sip_out_finish(&out, &n) == HD_OK);
    host_receive(host, &notify->flow, hd_slice(text, n));
}

void
host_answer(struct host *host, const struct host_sent *notify, unsigned status, const char *extra)
{
    host_answer_only(host, notify, status, extra);
    host_settle(host);
}

/* --- what was sent --------------------------------------------------------------------------- */

struct host_sent *
host_take(struct host *host)
{
    static struct host_sent *last; /* kept until the next take */
    struct host_sent *sent = host->sent;

    free(last);
    last = sent;
    if (!sent)
        return NULL;
    host->sent = sent->next;
    if (!host->sent)
        host->sent_end = &host->sent;
    return sent;
}

static void
show(const char *wanted, const struct host_sent *sent)
{
    fprintf(stderr, "wanted %s, sent was: %.*s\n", wanted, sent ? (int)sent->text.n : 7,
            sent ? sent->text.p : "nothing");
}

struct host_sent *
host_take_status(struct host *host, unsigned status)
{
    struct host_sent *sent = host_take(host);

    if (!sent || sent->msg.request || sent->msg.status != status)
        show("a response", sent);
    CHECK(sent && !sent->msg.request && sent->msg.status == status);
    return sent;
}

struct host_sent *
host_take_notify(struct host *host)
{
    struct host_sent *sent = host_take(host);

    if (!sent || !sent->msg.request)
        show("a NOTIFY", sent);
    CHECK(sent && sent->msg.request && sent->msg.method == SIP_NOTIFY);
    return sent;
}

void
host_take_nothing(struct host *host)
{
    if (host->sent)
        show("nothing", host->sent);
    CHECK(!host->sent);
}

unsigned
host_count(const struct host *host)
{
    unsigned n = 0;

    for (const struct host_sent *sent = host->sent; sent; sent = sent->next)
        n++;
    return n;
}

void
host_drop(struct host *host)
{
    while (host_take(host))
        ;
}

struct hd_slice
host_value(const struct host_sent *sent, enum sip_hdr id)
{
    return sip_msg_value(&sent->msg, id);
}

bool
host_has(const struct host_sent *sent, const char *text)
{
    const size_t n = strlen(text);

    for (size_t i = 0; i + n <= sent->text.n; i++)
        if (memcmp(sent->text.p + i, text, n) == 0)
            return true;
    return false;
}

/* --- whole exchanges ------------------------------------------------------------------------- */

void
host_subscribe(struct host *host, const struct host_request *request, char ret_tag[HD_ID_TEXT + 1])
{
    struct host_sent *sent;

    host_request(host, request);
    sent = host_take_status(host, 200);
    CHECK(sent->msg.to_tag.n == HD_ID_TEXT);
    memcpy(ret_tag, sent->msg.to_tag.p, HD_ID_TEXT);
    ret_tag[HD_ID_TEXT] = '\0';
    host_answer(host, host_take_notify(host), 200, NULL);
}

void
host_publish(struct host *host, const char *uri, const char *event, const char *etag,
             const char *body, char ret_etag[HD_ID_TEXT + 1])
{
    static unsigned serial;
    char headers[128], call_id[32];
    struct host_sent *sent;

    (void)snprintf(call_id, sizeof(call_id), "p%u", ++serial);
    (void)snprintf(headers, sizeof(headers), etag ? "SIP-If-Match: %s\r\n" : "%s",
                   etag ? etag : "");
    host_request(host, &(struct host_request){ .method = "PUBLISH",
                                               .uri = uri,
                                               .event = event,
                                               .expires = 600,
                                               .headers = headers,
                                               .body = body,
                                               .call_id = call_id });
    /* NOTIFYs of the new state may be before it or behind it; the answer is searched. */
    struct host_sent **link = &host->sent;
    while (*link && ((*link)->msg.request || (*link)->msg.cseq.method != SIP_PUBLISH))
        link = &(*link)->next;
    sent = *link;
    if (!sent || sent->msg.status != 200)
        show("200 to PUBLISH", sent);
    CHECK(sent && sent->msg.status == 200);
    *link = sent->next;
    if (!*link)
        host->sent_end = link;
    if (ret_etag) {
        struct hd_slice tag = host_value(sent, SIP_HDR_SIP_ETAG);
        CHECK(tag.n == HD_ID_TEXT);
        memcpy(ret_etag, tag.p, HD_ID_TEXT);
        ret_etag[HD_ID_TEXT] = '\0';
    }
    free(sent);
}
