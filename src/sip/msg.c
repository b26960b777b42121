/* msg.c - parses one message in place (RFC 3261 sections 7, 18.3 and 25).
 *
 * One pass over the head cuts it into header fields and looks each name up; what every message
 * needs is then split from the fields found.  The first fault is kept, but the parse goes on after
 * it, because a request that is refused must still be answered: with its Via, its CSeq, and what
 * there is of From, To and Call-ID.
 *
 * Invariants: every slice points into the octets given; a CR or LF inside a value is part of a
 * fold, or there is a fault; fields of one id are chained in the order in which they came. */
#include "sip/msg.h"

#include "sip/chars.h"
#include "sip/header.h"
#include "sip/scan.h"

struct parse {
    struct sip_msg *msg;
    struct sip_fault *fault;
    struct sip_header *headers;
    unsigned cap;
    bool arena_full;
    bool via_read;
    uint8_t last[SIP_HDR_COUNT];
    bool by_branch; /* a response is known by its branch: its dialog is not looked at */
};

/* Fields that may be there once; two would let two readers see two messages (7.3.1). */
static const char *const repeated[SIP_HDR_COUNT] = {
    [SIP_HDR_CALL_ID] = "Repeated Call-ID Header",
    [SIP_HDR_CONTENT_DISPOSITION] = "Repeated Content-Disposition Header",
    [SIP_HDR_CONTENT_LENGTH] = "Repeated Content-Length Header",
    [SIP_HDR_CONTENT_TYPE] = "Repeated Content-Type Header",
    [SIP_HDR_CSEQ] = "Repeated CSeq Header",
    [SIP_HDR_EVENT] = "Repeated Event Header",
    [SIP_HDR_EXPIRES] = "Repeated Expires Header",
    [SIP_HDR_FROM] = "Repeated From Header",
    [SIP_HDR_MAX_FORWARDS] = "Repeated Max-Forwards Header",
    [SIP_HDR_SUBSCRIPTION_STATE] = "Repeated Subscription-State Header",
    [SIP_HDR_TO] = "Repeated To Header",
};

static void
fault_set(struct parse *s, unsigned status, const char *reason)
{
    if (s->fault->reason)
        return;
    s->fault->status = status;
    s->fault->reason = reason;
}

/* ---- start line ---- */

/* Status-Line  =  SIP-Version SP Status-Code SP Reason-Phrase */
static void
status_line(struct parse *s, struct hd_slice line)
{
    struct sip_msg *msg = s->msg;
    struct hd_slice rest = line;
    const struct hd_slice version = hd_slice_cut(&rest, ' ');
    const struct hd_slice code = hd_slice_cut(&rest, ' ');
    uint32_t status;
    if (!sip_word(version, "SIP/2.0"))
        fault_set(s, 505, "Version Not Supported");
    else if (code.n != 3 || hd_slice_to_u32(code, &status) || status < 100 || status > 699)
        fault_set(s, 400, "Bad Status Code");
    else
        msg->status = status;
    msg->reason = rest;
}

/* "SIP" "/" 1*DIGIT "." 1*DIGIT */
static bool
version_shaped(struct hd_slice text)
{
    if (!hd_slice_istarts(text, HD_LIT("SIP/")))
        return false;
    const char *end = sip_end(text);
    const char *p = text.p + 4;
    const size_t major = sip_span(p, end, SIP_C_DIGIT);
    p += major;
    if (major == 0 || p == end || *p != '.')
        return false;
    p++;
    return p < end && p + sip_span(p, end, SIP_C_DIGIT) == end;
}

/* Request-Line  =  Method SP Request-URI SP SIP-Version; one SP each, nothing behind. */
static void
request_line(struct parse *s, struct hd_slice line)
{
    struct sip_msg *msg = s->msg;
    const char *end = sip_end(line);
    const size_t method = sip_span(line.p, end, SIP_C_TOKEN);
    msg->request = true;
    msg->method_name = hd_slice(line.p, method);
    msg->method = sip_method_find(msg->method_name);
    if (method == 0 || method == line.n || line.p[method] != ' ') {
        fault_set(s, 400, "Bad Request-Line");
        return;
    }
    const char *uri = line.p + method + 1;
    const char *space = uri < end ? memrchr(uri, ' ', (size_t)(end - uri)) : NULL;
    if (!space || space == uri) {
        fault_set(s, 400, "Bad Request-Line");
        return;
    }
    const struct hd_slice version = hd_slice(space + 1, (size_t)(end - space - 1));
    msg->uri = hd_slice(uri, (size_t)(space - uri));
    if (!version_shaped(version))
        fault_set(s, 400, "Bad SIP-Version In Request-Line");
    else if (!sip_word(version, "SIP/2.0"))
        fault_set(s, 505, "Version Not Supported");
    else if (msg->uri.n > SIP_MAX_URI)
        fault_set(s, 414, "Request-URI Too Long");
    else if (uri + sip_span(uri, space, SIP_C_URI) != space)
        fault_set(s, 400, "Bad Request-URI");
}

/* ---- header fields ---- */

static void
header_add(struct parse *s, const char *line, const char *colon, const char *end)
{
    struct sip_msg *msg = s->msg;
    if ((size_t)(end - line) > SIP_MAX_LINE) {
        fault_set(s, 400, "Header Field Too Long");
        return;
    }
    if (!colon) {
        fault_set(s, 400, "Header Field Without Colon");
        return;
    }
    /* HCOLON  =  *( SP / HTAB ) ":" SWS */
    const char *name_end = colon;
    while (name_end > line && (name_end[-1] == ' ' || name_end[-1] == '\t'))
        name_end--;
    const struct hd_slice name = hd_slice(line, (size_t)(name_end - line));
    const enum sip_hdr id = sip_hdr_find(name);
    if (id == SIP_HDR_OTHER &&
        (name.n == 0 || line + sip_span(line, name_end, SIP_C_TOKEN) != name_end)) {
        fault_set(s, 400, "Bad Header Field Name");
        return;
    }
    const unsigned at = msg->n_headers;
    if (at == s->cap) {
        if (s->cap < SIP_MAX_HEADERS)
            s->arena_full = true;
        fault_set(s, 400, "Too Many Header Fields");
        return;
    }
    struct sip_header *header = &s->headers[at];
    header->name = name;
    header->value = sip_trim(colon + 1, end);
    header->id = (uint8_t)id;
    header->next = SIP_NO_HEADER;
    msg->n_headers++;
    if (msg->first[id] == SIP_NO_HEADER) {
        msg->first[id] = (uint8_t)at;
    } else {
        s->headers[s->last[id]].next = (uint8_t)at;
        if (repeated[id])
            fault_set(s, 400, repeated[id]);
    }
    s->last[id] = (uint8_t)at;
}

/* Whether the NUL at p, in the line that begins at line, is the second octet of a quoted-pair: only
 * there it is allowed (25.1). */
static bool
nul_quoted(const char *line, const char *p)
{
    const char *slash = p;
    while (slash > line && slash[-1] == '\\')
        slash--;
    return (p - slash) % 2 != 0;
}

struct line {
    const char *text_end; /* without its CRLF */
    const char *next;     /* where the next line begins */
    const char *colon;    /* the first, NULL: none */
};

/* Finds the end of the line that begins at p.  False: it does not end. */
static inline bool
line_find(struct parse *s, const char *p, const char *end, struct line *line)
{
    const char *const begin = p;
    while ((p = sip_scan(p, end, &line->colon)) < end) {
        if (*p == '\r' && p + 1 < end && p[1] == '\n') {
            line->text_end = p;
            line->next = p + 2;
            return true;
        }
        s->msg->folded = true;
        if (*p == '\n') {
            fault_set(s, 400, "Bare LF In Header");
            line->text_end = p;
            line->next = p + 1;
            return true;
        }
        if (*p == '\r')
            fault_set(s, 400, "Bare CR In Header");
        else if (!nul_quoted(begin, p))
            fault_set(s, 400, "NUL In Header");
        p++;
    }
    return false;
}

/* Cuts the header fields out of the head; where the body begins, or NULL when there is no empty
 * line. */
static const char *
headers_read(struct parse *s, const char *p, const char *end)
{
    while (p < end) {
        struct line line = { .colon = NULL };
        bool whole = line_find(s, p, end, &line);
        if (whole && line.text_end == p)
            return line.next;
        /* A line that begins with a blank continues the one before (7.3.1). */
        while (whole && line.next < end && (*line.next == ' ' || *line.next == '\t')) {
            s->msg->folded = true;
            whole = line_find(s, line.next, end, &line);
        }
        header_add(s, p, line.colon, whole ? line.text_end : end);
        if (!whole)
            return NULL;
        p = line.next;
    }
    return NULL;
}

/* ---- what every message needs ---- */

/* How many values the Via fields have.  A comma inside quotes is rare, so most fields need one look
 * only. */
static unsigned
vias_count(const struct sip_msg *msg)
{
    unsigned n = 0;
    for (const struct sip_header *h = sip_msg_header(msg, SIP_HDR_VIA); h;
         h = sip_msg_next(msg, h)) {
        if (h->value.n && !memchr(h->value.p, ',', h->value.n)) {
            n++;
            continue;
        }
        struct hd_slice rest = h->value, item;
        while (sip_list_next(&rest, &item))
            n++;
    }
    return n;
}

static void
via_check(struct parse *s)
{
    struct sip_msg *msg = s->msg;
    const struct hd_slice field = sip_msg_value(msg, SIP_HDR_VIA);
    if (!field.p) {
        fault_set(s, 400, "Missing Via Header");
        return;
    }
    struct hd_slice rest = field, item;
    if (!memchr(field.p, ',', field.n))
        item = field;
    else if (!sip_list_next(&rest, &item))
        item = hd_slice(field.p, 0);
    s->via_read = true;
    if (sip_via_parse(item, &msg->via)) {
        fault_set(s, 400, "Bad Via Header");
        s->via_read = sip_via_sent_by(item, &msg->via) == HD_OK;
    } else if (msg->via.branch.n > SIP_MAX_TOKEN) {
        fault_set(s, 400, "Via Branch Too Long");
    }
    msg->n_vias = vias_count(msg);
    if (msg->n_vias > SIP_MAX_VIAS)
        fault_set(s, 400, "Too Many Via Values");
}

struct address_words {
    enum sip_hdr id;
    const char *missing, *bad, *bad_tag, *too_long;
};

static void
address_check(struct parse *s, const struct address_words *words, struct sip_addr *ret_addr,
              struct hd_slice *ret_tag)
{
    const struct hd_slice value = sip_msg_value(s->msg, words->id);
    if (!value.p) {
        fault_set(s, 400, words->missing);
        return;
    }
    const enum hd_err err = sip_addr_tag_parse(value, ret_addr, ret_tag);
    if (err) {
        /* A refusal repeats the value as it came. */
        *ret_addr = (struct sip_addr){ .value = value };
        fault_set(s, 400, err == HD_EEXIST ? words->bad_tag : words->bad);
    } else if (ret_addr->uri.n > SIP_MAX_URI) {
        fault_set(s, 400, words->too_long);
    }
}

static void
call_id_check(struct parse *s)
{
    struct sip_msg *msg = s->msg;
    const struct hd_slice value = sip_msg_value(msg, SIP_HDR_CALL_ID);
    msg->call_id = value;
    if (!value.p)
        fault_set(s, 400, "Missing Call-ID Header");
    else if (value.n > SIP_MAX_TOKEN)
        fault_set(s, 400, "Call-ID Too Long");
    else if (value.n == 0 || sip_span(value.p, sip_end(value), SIP_C_CALL_ID) != value.n)
        fault_set(s, 400, "Bad Call-ID Header");
}

static void
cseq_check(struct parse *s)
{
    struct sip_msg *msg = s->msg;
    const struct hd_slice value = sip_msg_value(msg, SIP_HDR_CSEQ);
    if (!value.p) {
        fault_set(s, 400, "Missing CSeq Header");
        return;
    }
    const enum hd_err err = sip_cseq_parse(value, &msg->cseq);
    if (err == HD_ERANGE)
        fault_set(s, 400, "CSeq Number Too Large");
    else if (err)
        fault_set(s, 400, "Bad CSeq Header");
    /* A method that is not known is refused as such (501), whatever the CSeq says (RFC 4475
     * section 3.1.2.18). */
    else if (msg->request && msg->method && msg->cseq.method != msg->method)
        fault_set(s, 400, "CSeq Method Does Not Match");
}

static void
max_forwards_check(struct parse *s)
{
    s->msg->max_forwards = 70;
    const struct hd_slice value = sip_msg_value(s->msg, SIP_HDR_MAX_FORWARDS);
    uint32_t hops = 70;
    if (value.p && sip_delta_parse(value, &hops))
        fault_set(s, 400, "Bad Max-Forwards Header");
    /* Above 255 it counts as absent (RFC 4475 section 3.1.2.4). */
    if (hops <= 255)
        s->msg->max_forwards = hops;
}

/* RFC 3261 18.3: a datagram may be longer than its Content-Length, never shorter; on a stream it is
 * exact. */
static void
body_check(struct parse *s, struct hd_slice rest, bool stream)
{
    struct sip_msg *msg = s->msg;
    const struct hd_slice value = sip_msg_value(msg, SIP_HDR_CONTENT_LENGTH);
    msg->body = rest;
    if (!value.p) {
        if (stream)
            fault_set(s, 400, "Missing Content-Length Header");
        return;
    }
    uint32_t length;
    const enum hd_err err = hd_slice_to_u32(value, &length);
    if (err == HD_ESYNTAX)
        fault_set(s, 400, "Bad Content-Length Header");
    else if (err || length > rest.n)
        fault_set(s, 400, "Content-Length Larger Than Message");
    else if (stream && length != rest.n)
        fault_set(s, 400, "Content-Length Smaller Than Message");
    else
        msg->body.n = length;
}

/* What leads a response back to its request is there: Via and CSeq (17.1.3). */
static bool
answerable(const struct parse *s)
{
    const struct sip_msg *msg = s->msg;
    return msg->request && s->via_read && sip_msg_value(msg, SIP_HDR_CSEQ).n;
}

static void
message_check(struct parse *s)
{
    static const struct address_words from = {
        SIP_HDR_FROM, "Missing From Header", "Bad From Header", "Bad From Tag", "From URI Too Long",
    };
    static const struct address_words to = {
        SIP_HDR_TO, "Missing To Header", "Bad To Header", "Bad To Tag", "To URI Too Long",
    };
    struct sip_msg *msg = s->msg;
    via_check(s);
    if (s->by_branch && !msg->request) {
        cseq_check(s);
        return;
    }
    address_check(s, &from, &msg->from, &msg->from_tag);
    address_check(s, &to, &msg->to, &msg->to_tag);
    call_id_check(s);
    cseq_check(s);
    max_forwards_check(s);
}

/* ---- the parse ---- */

/* Takes what is free of the arena for the header array, at most SIP_MAX_HEADERS of them. */
static bool
headers_take(struct parse *s, struct hd_arena *arena)
{
    const size_t align = 16; /* the arena may round up by as much */
    const size_t left = arena->cap - arena->used;
    size_t cap = left < align ? 0 : (left - align) / sizeof(struct sip_header);
    if (cap > SIP_MAX_HEADERS)
        cap = SIP_MAX_HEADERS;
    s->headers = cap ? hd_arena_take(arena, cap * sizeof(struct sip_header)) : NULL;
    s->cap = (unsigned)cap;
    return s->headers != NULL;
}

static void
head_read(struct parse *s, struct hd_slice octets, bool stream)
{
    const char *end = sip_end(octets);
    const char *p = octets.p;
    /* Empty lines before the start line are ignored (7.5). */
    while (end - p >= 2 && p[0] == '\r' && p[1] == '\n')
        p += 2;
    const char *const start = p;
    struct line line = { .colon = NULL };
    if (p == end || !line_find(s, p, end, &line)) {
        fault_set(s, 400, "Incomplete Message");
        return;
    }
    const struct hd_slice text = hd_slice(p, (size_t)(line.text_end - p));
    if (hd_slice_istarts(text, HD_LIT("SIP/")))
        status_line(s, text);
    else
        request_line(s, text);
    const char *body = headers_read(s, line.next, end);
    if (!body) {
        fault_set(s, 400, "Missing Empty Line");
        body = end;
    }
    const size_t head = (size_t)(body - start);
    if (head > SIP_MAX_HEAD)
        fault_set(s, 413, "Message Head Too Large");
    message_check(s);
    body_check(s, hd_slice(body, (size_t)(end - body)), stream);
}

static enum hd_err
parse(struct hd_slice octets, bool stream, bool by_branch, struct hd_arena *arena,
      struct sip_msg *ret_msg, struct sip_fault *ret_fault)
{
    struct parse s = { .msg = ret_msg, .fault = ret_fault, .by_branch = by_branch };
    memset(ret_msg, 0, sizeof(*ret_msg));
    memset(ret_msg->first, SIP_NO_HEADER, sizeof(ret_msg->first));
    *ret_fault = (struct sip_fault){ 0 };
    ret_msg->raw = octets;
    if (!headers_take(&s, arena))
        return HD_ENOSPC;
    ret_msg->headers = s.headers;
    head_read(&s, octets, stream);
    /* Give back what was not needed. */
    arena->used -= (s.cap - ret_msg->n_headers) * sizeof(struct sip_header);
    if (s.arena_full)
        return HD_ENOSPC;
    if (!ret_fault->reason)
        return HD_OK;
    ret_fault->answerable = answerable(&s);
    if (!ret_fault->answerable)
        ret_fault->status = 0;
    return HD_ESYNTAX;
}

enum hd_err
sip_msg_parse(struct hd_slice octets, bool stream, struct hd_arena *arena, struct sip_msg *ret_msg,
              struct sip_fault *ret_fault)
{
    return parse(octets, stream, false, arena, ret_msg, ret_fault);
}

enum hd_err
sip_msg_parse_by_branch(struct hd_slice octets, bool stream, struct hd_arena *arena,
                        struct sip_msg *ret_msg, struct sip_fault *ret_fault)
{
    return parse(octets, stream, true, arena, ret_msg, ret_fault);
}

/* ---- access ---- */

unsigned
sip_msg_count(const struct sip_msg *msg, enum sip_hdr id)
{
    unsigned n = 0;
    for (const struct sip_header *h = sip_msg_header(msg, id); h; h = sip_msg_next(msg, h))
        n++;
    return n;
}
