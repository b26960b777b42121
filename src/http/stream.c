/* stream.c - event streams (the HTML standard's server-sent events): a subscription that a browser,
 * or curl, reads as it goes on.
 *
 * One event at a time is in memory: the core is told that it was taken when the connection has
 * taken all of it, and then tells the newest state.  Who does not read for a while is shut down. An
 * event's id names what is seen, the same for the same state wherever and whenever it is seen: who
 * comes back with it (Last-Event-ID) is not told what he has, and is told at once what he has not.
 * A number would tell somebody who sees a polite view how often the real state changes. */
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "http/core.h"

struct api_stream {
    struct api *api;
    struct api_request *request;
    struct api_sub *sub; /* NULL: it is over */
    struct hd_str out;   /* what is to be written, from at on */
    size_t at;
    bool json;      /* documents in an envelope */
    bool begun;     /* the answer's head is on its way */
    bool suspended; /* the connection waits for us */
    bool owed;      /* the event in out is to be told as taken */
    bool ends;      /* nothing follows what is in out */
    bool first;     /* no state was told yet */
    bool counted;
    uint64_t said_ms, stuck_ms; /* when something was queued; since when nothing is taken, 0: not */
    char seen[32];              /* Last-Event-ID; all zero: none */
};

/* --- writing --------------------------------------------------------------------------------- */

/* A line end in the text begins another data line. */
static void
out_data(struct hd_str *out, struct hd_slice text)
{
    do {
        size_t end = 0;
        while (end < text.n && text.p[end] != '\n' && text.p[end] != '\r')
            end++;
        hd_str_add(out, HD_LIT("data: "));
        hd_str_add(out, hd_slice(text.p, end));
        hd_str_add_char(out, '\n');
        if (end + 1 < text.n && text.p[end] == '\r' && text.p[end + 1] == '\n')
            end++;
        text = hd_slice_from(text, end + 1);
    } while (text.n > 0);
}

static void
out_json(struct hd_str *out, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    if (text)
        out_data(out, hd_slice_str(text));
    else
        out->err = HD_ENOMEM;
    free(text);
    json_decref(json);
}

/* A body that is no UTF-8 is null in it: it is read without the envelope. */
static json_t *
envelope(const struct evt_tidings *t)
{
    json_t *body = json_stringn(t->body.p, t->body.n);
    json_t *json = json_pack("{s:s%, s:o, s:s%}", "type", t->type.p, t->type.n, "body",
                             body ? body : json_null(), "fired", t->fired.p, t->fired.n);
    return json;
}

static void
out_state(struct api_stream *stream, const struct evt_tidings *t)
{
    struct hd_str *out = &stream->out;
    char id[32];

    api_version_text(t->version, id);
    hd_str_add(out, HD_LIT("id: "));
    hd_str_add(out, hd_slice(id, sizeof(id)));
    hd_str_add_char(out, '\n');
    if (!t->type.n) {
        hd_str_add_str(out, t->pending ? "event: pending\n" : "event: nothing\n");
        out_data(out, HD_LIT("{}"));
    } else {
        hd_str_add(out, HD_LIT("event: state\n"));
        if (t->fired.n) {
            hd_str_add(out, HD_LIT(": fired "));
            hd_str_add(out, t->fired);
            hd_str_add_char(out, '\n');
        }
        if (stream->json)
            out_json(out, envelope(t));
        else
            out_data(out, t->body);
    }
    hd_str_add_char(out, '\n');
    API_COUNT(stream->api, events);
}

static void
out_end(struct api_stream *stream, struct hd_slice reason, uint32_t retry_after_s)
{
    hd_str_add(&stream->out, HD_LIT("event: end\n"));
    out_json(&stream->out, json_pack("{s:s%, s:i}", "reason", reason.n ? reason.p : "", reason.n,
                                     "retry_after_s", (int)retry_after_s));
    hd_str_add_char(&stream->out, '\n');
    stream->ends = true;
}

/* --- the connection -------------------------------------------------------------------------- */

/* There is something to write: the connection goes on. */
static void
go_on(struct api_stream *stream)
{
    struct api_request *request = stream->request;

    stream->said_ms = stream->api->now_ms;
    if (stream->out.err) { /* memory is short: it ends in the middle, and is asked for again */
        stream->ends = true;
        stream->out.n = stream->at;
    }
    if (!stream->begun) {
        if (request->state == API_WAITING) {
            request->state = API_STREAMING;
            api_resume(request);
        }
        return;
    }
    if (!stream->stuck_ms)
        stream->stuck_ms = stream->api->now_ms;
    if (stream->suspended) {
        stream->suspended = false;
        MHD_resume_connection(request->connection);
    }
}

/* Called when the connection has room.  What was handed over before has been taken. */
static ssize_t
on_room(void *context, uint64_t at, char *buffer, size_t size)
{
    struct api_stream *stream = context;
    size_t n = stream->out.n - stream->at;

    (void)at;
    stream->stuck_ms = 0;
    if (n == 0) {
        hd_str_clear(&stream->out);
        stream->at = 0;
        if (stream->owed && stream->sub) {
            stream->owed = false;
            api_sub_taken(stream->sub);
        }
        if (stream->ends)
            return MHD_CONTENT_READER_END_OF_STREAM;
        stream->suspended = true;
        MHD_suspend_connection(stream->request->connection);
        return 0;
    }
    n = n < size ? n : size;
    memcpy(buffer, stream->out.p + stream->at, n);
    stream->at += n;
    stream->stuck_ms = stream->api->now_ms;
    return (ssize_t)n;
}

/* --- the subscription ------------------------------------------------------------------------ */

static void
stream_refused(void *owner, const struct evt_ask *ask)
{
    struct api_stream *stream = owner;
    struct api_request *request = stream->request;

    stream->sub = NULL;
    if (stream->begun) {
        out_end(stream, hd_slice_str(ask->phrase), ask->retry_after_s);
        go_on(stream);
        return;
    }
    request->stream = NULL;
    api_refused(request, ask);
    api_resume(request);
    hd_str_done(&stream->out);
    free(stream);
}

/* For how long, and how often at the most and least (RFC 6446). */
static void
out_begin(struct api_stream *stream, const struct evt_tidings *t)
{
    char rates[128];
    struct sip_out out;
    size_t n;

    sip_out_init(&out, rates, sizeof(rates));
    sip_out_rates(&out, &t->rates);
    if (sip_out_finish(&out, &n))
        n = 0;
    hd_str_addf(&stream->out, "retry: 3000\n: %s for %u s%.*s\n\n",
                t->pending ? "pending" : "subscribed", (unsigned)t->expires_s, (int)n, rates);
}

static void
stream_told(void *owner, struct api_tidings *tidings)
{
    struct api_stream *stream = owner;
    const struct evt_tidings *t = &tidings->t;
    char id[32];

    api_version_text(t->version, id);
    /* What he has is not repeated; but a beginning is, else he would not know that he is heard. */
    const bool has = stream->first && memcmp(id, stream->seen, sizeof(id)) == 0;
    if (stream->first)
        out_begin(stream, t);
    stream->first = false;
    if (!has && (!t->terminated || t->type.n))
        out_state(stream, t);
    stream->owed = true;
    if (t->terminated) {
        out_end(stream, t->reason, t->retry_after_s);
        api_sub_taken(stream->sub);
        api_sub_close(stream->sub);
        stream->sub = NULL;
    }
    free(tidings);
    go_on(stream);
}

static void
stream_gone(void *owner)
{
    struct api_stream *stream = owner;

    stream->sub = NULL;
    out_end(stream, HD_LIT("gone"), 1);
    go_on(stream);
}

static const struct api_sub_ops stream_ops = { .refused = stream_refused,
                                               .told = stream_told,
                                               .gone = stream_gone };

void
api_stream_open(struct api_request *request, const struct api_wish *wish, bool json)
{
    struct api_stream *stream = calloc(1, sizeof(*stream));

    if (stream) {
        stream->api = request->api;
        stream->request = request;
        stream->json = json;
        stream->first = true;
        if (request->seen.n == sizeof(stream->seen))
            memcpy(stream->seen, request->seen.p, sizeof(stream->seen));
        stream->sub = api_sub_new(request->api, wish, &stream_ops, stream);
    }
    if (!stream || !stream->sub) {
        free(stream);
        api_problem(request, 503, "too many are served now");
        return;
    }
    request->stream = stream;
    api_wait(request);
}

enum MHD_Result
api_stream_begin(struct api_request *request)
{
    struct api_stream *stream = request->stream;
    struct MHD_Response *response;
    enum MHD_Result result;

    if (!stream)
        return MHD_NO;
    response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, on_room, stream, NULL);
    if (!response)
        return MHD_NO;
    stream->begun = true;
    stream->counted = true;
    API_ADD(stream->api, streams, 1);
    request->conn->deadline_ms = UINT64_MAX; /* the tick looks at it */
    request->response = response;
    api_header(request, "Content-Type", HD_LIT("text/event-stream"));
    api_header(request, "Cache-Control", HD_LIT("no-store"));
    api_header(request, "X-Accel-Buffering", HD_LIT("no"));
    api_common_headers(request);
    result = MHD_queue_response(request->connection, 200, response);
    MHD_destroy_response(response);
    request->response = NULL;
    return result;
}

/* Says that it is there, and finds out who is gone or does not read. */
void
api_stream_tick(struct api_request *request)
{
    struct api_stream *stream = request->stream;
    const struct api_settings *s = stream->api->settings;

    if (!stream->begun)
        return;
    if (stream->stuck_ms && stream->api->now_ms - stream->stuck_ms >= s->stall_ms) {
        request->conn->deadline_ms = 0;
        return;
    }
    if (stream->suspended && stream->api->now_ms - stream->said_ms >= s->ping_ms) {
        hd_str_add(&stream->out, HD_LIT(": here\n\n"));
        go_on(stream);
    }
}

void
api_stream_end(struct api_request *request, struct hd_slice reason)
{
    struct api_stream *stream = request->stream;

    if (stream->ends)
        return;
    if (stream->sub) {
        api_sub_close(stream->sub);
        stream->sub = NULL;
    }
    out_end(stream, reason, 1);
    go_on(stream);
}

void
api_stream_close(struct api_stream *stream)
{
    if (stream->sub)
        api_sub_close(stream->sub);
    if (stream->counted)
        API_ADD(stream->api, streams, -1);
    hd_str_done(&stream->out);
    free(stream);
}
