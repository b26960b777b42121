/* header.c - typed reading of header values (RFC 3261 section 25.1).
 *
 * Values still hold their folds; every reader takes SP, HTAB, CR and LF between two elements as one
 * blank, which is right because the message parser refuses a CR or LF that is not part of a fold.
 * Each reader accepts the whole value or refuses it: nothing is skipped that another reader could
 * have taken. */
#include "sip/header.h"

#include "sip/chars.h"
#include "sip/uri.h"

/* ---- parameters ---- */

/* generic-param  =  token [ EQUAL gen-value ]
 * gen-value      =  token / host / quoted-string
 * Unquoted values may hold any octet that cannot end them: only one reading exists. */
enum hd_err
sip_param_next(struct hd_slice *rest, struct hd_slice *ret_name, struct hd_slice *ret_value)
{
    const char *end = sip_end(*rest);
    const char *p = sip_skip_lws(rest->p, end);
    if (p == end)
        return HD_ENOMATCH;
    if (*p != ';')
        return HD_ESYNTAX;
    p = sip_skip_lws(p + 1, end);
    const size_t n = sip_span(p, end, SIP_C_TOKEN);
    if (n == 0)
        return HD_ESYNTAX;
    const struct hd_slice name = hd_slice(p, n);
    struct hd_slice value = { NULL, 0 };
    p = sip_skip_lws(p + n, end);
    if (p < end && *p == '=') {
        p = sip_skip_lws(p + 1, end);
        const char *q;
        if (p < end && *p == '"') {
            q = sip_quoted_end(p, end);
            if (!q)
                return HD_ESYNTAX;
        } else {
            q = p + sip_span(p, end, SIP_C_VALUE);
        }
        value = hd_slice(p, (size_t)(q - p));
        p = sip_skip_lws(q, end);
    }
    if (p < end && *p != ';')
        return HD_ESYNTAX;
    *ret_name = name;
    *ret_value = value;
    *rest = hd_slice(p, (size_t)(end - p));
    return HD_OK;
}

bool
sip_param_find(struct hd_slice params, struct hd_slice name, struct hd_slice *ret_value)
{
    struct hd_slice found, value;
    while (sip_param_next(&params, &found, &value) == HD_OK) {
        if (hd_slice_ieq(found, name)) {
            if (ret_value)
                *ret_value = value;
            return true;
        }
    }
    return false;
}

struct hd_slice
sip_unquote(struct hd_slice value)
{
    if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
        return hd_slice(value.p + 1, value.n - 2);
    return value;
}

/* All of params is well formed. */
static bool
params_valid(struct hd_slice params)
{
    struct hd_slice name, value;
    enum hd_err err;
    do {
        err = sip_param_next(&params, &name, &value);
    } while (err == HD_OK);
    return err == HD_ENOMATCH;
}

/* ---- lists ---- */

/* The comma that ends the element at p, or end.  What is never closed takes all that is left. */
static const char *
list_item_end(const char *p, const char *end)
{
    while (p && p < end && *p != ',') {
        if (*p == '"')
            p = sip_quoted_end(p, end);
        else if (*p == '<')
            p = memchr(p, '>', (size_t)(end - p));
        else
            p++;
    }
    return p ? p : end;
}

bool
sip_list_next(struct hd_slice *rest, struct hd_slice *ret_item)
{
    const char *p = rest->p;
    const char *end = sip_end(*rest);
    while (p < end) {
        const char *q = list_item_end(p, end);
        const struct hd_slice item = sip_trim(p, q);
        p = q < end ? q + 1 : end;
        if (item.n) {
            *ret_item = item;
            *rest = hd_slice(p, (size_t)(end - p));
            return true;
        }
    }
    *rest = hd_slice(end, 0);
    return false;
}

bool
sip_msg_walk(const struct sip_msg *msg, enum sip_hdr id, struct sip_walk *walk,
             struct hd_slice *ret_item)
{
    if (!walk->begun) {
        walk->begun = true;
        walk->header = sip_msg_header(msg, id);
        if (walk->header)
            walk->rest = walk->header->value;
    }
    while (walk->header) {
        if (sip_list_next(&walk->rest, ret_item))
            return true;
        walk->header = sip_msg_next(msg, walk->header);
        if (walk->header)
            walk->rest = walk->header->value;
    }
    return false;
}

/* ---- addresses ---- */

/* scheme ":" and visible octets; the kinds of URI that we understand are split by sip/uri.h. */
static bool
uri_plausible(struct hd_slice uri)
{
    const char *end = sip_end(uri);
    const size_t scheme = sip_span(uri.p, end, SIP_C_SCHEME);
    if (scheme == 0 || scheme + 1 >= uri.n || uri.p[scheme] != ':' || sip_is(uri.p[0], SIP_C_DIGIT))
        return false;
    const char *p = uri.p + scheme + 1;
    return p + sip_span(p, end, SIP_C_URI) == end;
}

/* Where the display name ends: at '<' for a name-addr, otherwise where the addr-spec begins. */
static const char *
display_end(const char *p, const char *end)
{
    if (p < end && *p == '"') {
        p = sip_quoted_end(p, end);
        return p ? sip_skip_lws(p, end) : NULL;
    }
    return p + sip_span(p, end, SIP_C_DISPLAY);
}

/* name-addr  =  [ display-name ] LAQUOT addr-spec RAQUOT
 * display-name  =  *(token LWS) / quoted-string
 * An addr-spec that holds a comma, semicolon or question mark must be in brackets (RFC 3261 section
 * 20), so that without them all parameters are the header's (20.10). */
static enum hd_err
addr_split(struct hd_slice value, struct sip_addr *ret_addr)
{
    if (value.n == 0) /* it may be no text at all, from which nothing can be counted */
        return HD_ESYNTAX;
    const char *end = sip_end(value);
    const char *p = sip_skip_lws(value.p, end);
    struct sip_addr addr = { .value = sip_trim(p, end) };
    end = sip_end(addr.value);
    const char *open = display_end(p, end);
    if (!open || open == end)
        return HD_ESYNTAX;
    const char *rest;
    if (*open == '<') {
        const char *close = memchr(open, '>', (size_t)(end - open));
        if (!close)
            return HD_ESYNTAX;
        addr.brackets = true;
        addr.display = sip_trim(p, open);
        addr.uri = hd_slice(open + 1, (size_t)(close - open - 1));
        rest = close + 1;
    } else {
        if (*p == '"')
            return HD_ESYNTAX;
        rest = p;
        while (rest < end && *rest != ';' && !sip_is(*rest, SIP_C_LWS)) {
            if (*rest == ',' || *rest == '?')
                return HD_ESYNTAX;
            rest++;
        }
        addr.display = hd_slice(p, 0);
        addr.uri = hd_slice(p, (size_t)(rest - p));
    }
    if (!uri_plausible(addr.uri))
        return HD_ESYNTAX;
    rest = sip_skip_lws(rest, end);
    addr.params = hd_slice(rest, (size_t)(end - rest));
    *ret_addr = addr;
    return HD_OK;
}

enum hd_err
sip_addr_parse(struct hd_slice value, struct sip_addr *ret_addr)
{
    struct sip_addr addr;
    if (addr_split(value, &addr) || !params_valid(addr.params))
        return HD_ESYNTAX;
    *ret_addr = addr;
    return HD_OK;
}

/* tag-param  =  "tag" EQUAL token */
enum hd_err
sip_addr_tag_parse(struct hd_slice value, struct sip_addr *ret_addr, struct hd_slice *ret_tag)
{
    struct sip_addr addr;
    if (addr_split(value, &addr))
        return HD_ESYNTAX;
    struct hd_slice rest = addr.params, name, found, tag = { NULL, 0 };
    enum hd_err err;
    bool bad = false;
    while ((err = sip_param_next(&rest, &name, &found)) == HD_OK) {
        if (!sip_word(name, "tag"))
            continue;
        bad = bad || tag.n || found.n == 0 || found.n > SIP_MAX_TOKEN ||
              sip_span(found.p, sip_end(found), SIP_C_TOKEN) != found.n;
        tag = found;
    }
    if (err != HD_ENOMATCH)
        return HD_ESYNTAX;
    if (bad)
        return HD_EEXIST;
    *ret_addr = addr;
    *ret_tag = tag;
    return HD_OK;
}

/* ---- Via ---- */

/* A decimal port of at most five significant digits; *p is moved behind it. */
static enum hd_err
port_read(const char **p, const char *end, uint16_t *ret_port)
{
    const size_t n = sip_span(*p, end, SIP_C_DIGIT);
    uint32_t port;
    const enum hd_err err = hd_slice_to_u32(hd_slice(*p, n), &port);
    if (err)
        return err;
    if (port == 0 || port > UINT16_MAX)
        return HD_ERANGE;
    *p += n;
    *ret_port = (uint16_t)port;
    return HD_OK;
}

/* host [ COLON port ] with blanks where COLON has them. */
static enum hd_err
via_sent_by(const char **at, const char *end, struct sip_via *via)
{
    const char *p = *at;
    size_t n;
    if (p < end && *p == '[') {
        const char *close = memchr(p, ']', (size_t)(end - p));
        struct hd_addr ignored;
        if (!close)
            return HD_ESYNTAX;
        n = (size_t)(close + 1 - p);
        if (sip_host_addr(hd_slice(p, n), 0, &ignored))
            return HD_ESYNTAX;
    } else {
        n = sip_host_span(p, end);
    }
    if (n == 0)
        return HD_ESYNTAX;
    via->host = hd_slice(p, n);
    p = sip_skip_lws(p + n, end);
    if (p < end && *p == ':') {
        p = sip_skip_lws(p + 1, end);
        const enum hd_err err = port_read(&p, end, &via->port);
        if (err)
            return err;
        p = sip_skip_lws(p, end);
    }
    *at = p;
    return HD_OK;
}

static enum hd_err
via_params(struct sip_via *via)
{
    struct hd_slice rest = via->params, name, value;
    enum hd_err err;
    bool seen_branch = false, seen_received = false, seen_rport = false, seen_maddr = false;
    while ((err = sip_param_next(&rest, &name, &value)) == HD_OK) {
        bool *seen = NULL;
        switch (name.n) {
        case 5:
            if (sip_word(name, "rport")) {
                seen = &seen_rport;
                via->rport = value.n == 0;
            } else if (sip_word(name, "maddr")) {
                seen = &seen_maddr;
                via->maddr = value;
            }
            break;
        case 6:
            if (sip_word(name, "branch")) {
                seen = &seen_branch;
                via->branch = value;
            }
            break;
        case 8:
            if (sip_word(name, "received")) {
                seen = &seen_received;
                via->received = value;
            }
            break;
        }
        if (seen && *seen)
            return HD_ESYNTAX;
        if (seen)
            *seen = true;
    }
    return err == HD_ENOMATCH ? HD_OK : err;
}

/* via-parm       =  sent-protocol LWS sent-by *( SEMI via-params )
 * sent-protocol  =  protocol-name SLASH protocol-version SLASH transport
 * SLASH          =  SWS "/" SWS */
enum hd_err
sip_via_sent_by(struct hd_slice value, struct sip_via *ret_via)
{
    const char *end = sip_end(value);
    const char *p = sip_skip_lws(value.p, end);
    struct sip_via via = { .value = sip_trim(p, end) };
    end = sip_end(via.value);
    for (unsigned part = 0; part < 3; part++) {
        const size_t n = sip_span(p, end, SIP_C_TOKEN);
        if (n == 0)
            return HD_ESYNTAX;
        via.transport = hd_slice(p, n);
        if (part == 0 && !sip_word(via.transport, "SIP"))
            return HD_ESYNTAX;
        p += n;
        if (part < 2) {
            p = sip_skip_lws(p, end);
            if (p == end || *p != '/')
                return HD_ESYNTAX;
            p = sip_skip_lws(p + 1, end);
        }
    }
    if (p == end || !sip_is(*p, SIP_C_LWS))
        return HD_ESYNTAX;
    p = sip_skip_lws(p, end);
    const enum hd_err err = via_sent_by(&p, end, &via);
    if (err)
        return err;
    if (p < end && *p != ';')
        return HD_ESYNTAX;
    via.params = hd_slice(p, (size_t)(end - p));
    *ret_via = via;
    return HD_OK;
}

enum hd_err
sip_via_parse(struct hd_slice value, struct sip_via *ret_via)
{
    struct sip_via via;
    enum hd_err err = sip_via_sent_by(value, &via);
    if (!err)
        err = via_params(&via);
    if (err)
        return err;
    *ret_via = via;
    return HD_OK;
}

/* ---- single values ---- */

/* CSeq  =  "CSeq" HCOLON 1*DIGIT LWS Method; the number is below 2^31 (8.1.1.5). */
enum hd_err
sip_cseq_parse(struct hd_slice value, struct sip_cseq *ret_cseq)
{
    value = sip_trim(value.p, sip_end(value));
    const char *end = sip_end(value);
    const size_t digits = sip_span(value.p, end, SIP_C_DIGIT);
    uint32_t number;
    const enum hd_err err = hd_slice_to_u32(hd_slice(value.p, digits), &number);
    if (err)
        return err;
    if (number > INT32_MAX)
        return HD_ERANGE;
    const char *p = sip_skip_lws(value.p + digits, end);
    if (p == value.p + digits || p == end || p + sip_span(p, end, SIP_C_TOKEN) != end)
        return HD_ESYNTAX;
    const struct hd_slice method = hd_slice(p, (size_t)(end - p));
    *ret_cseq = (struct sip_cseq){ .number = number,
                                   .method = sip_method_find(method),
                                   .method_name = method };
    return HD_OK;
}

/* Event       =  ( "Event" / "o" ) HCOLON event-type *( SEMI event-param )
 * event-type  =  event-package *( "." event-template ) */
enum hd_err
sip_event_parse(struct hd_slice value, struct sip_event *ret_event)
{
    value = sip_trim(value.p, sip_end(value));
    const char *end = sip_end(value);
    const size_t n = sip_span(value.p, end, SIP_C_TOKEN);
    struct sip_event event = { .package = hd_slice(value.p, n) };
    if (n == 0 || value.p[0] == '.' || value.p[n - 1] == '.')
        return HD_ESYNTAX;
    const char *p = sip_skip_lws(value.p + n, end);
    event.params = hd_slice(p, (size_t)(end - p));
    struct hd_slice rest = event.params, name, found;
    enum hd_err err;
    bool seen = false;
    while ((err = sip_param_next(&rest, &name, &found)) == HD_OK) {
        if (!sip_word(name, "id"))
            continue;
        if (seen || found.n == 0)
            return HD_ESYNTAX;
        seen = true;
        event.id = found;
    }
    if (err != HD_ENOMATCH)
        return err;
    *ret_event = event;
    return HD_OK;
}

/* Subscription-State  =  substate-value *( SEMI subexp-params ) */
enum hd_err
sip_substate_parse(struct hd_slice value, struct sip_substate *ret_state)
{
    value = sip_trim(value.p, sip_end(value));
    const char *end = sip_end(value);
    const size_t n = sip_span(value.p, end, SIP_C_TOKEN);
    if (n == 0)
        return HD_ESYNTAX;
    struct sip_substate state = { .state = hd_slice(value.p, n) };
    struct hd_slice rest = hd_slice(value.p + n, value.n - n), name, found;
    enum hd_err err;
    while ((err = sip_param_next(&rest, &name, &found)) == HD_OK) {
        if (sip_word(name, "reason")) {
            if (state.reason.p || found.n == 0)
                return HD_ESYNTAX;
            state.reason = found;
        } else if (sip_word(name, "expires")) {
            if (state.has_expires || sip_delta_parse(found, &state.expires_s))
                return HD_ESYNTAX;
            state.has_expires = true;
        } else if (sip_word(name, "retry-after")) {
            if (state.has_retry_after || sip_delta_parse(found, &state.retry_after_s))
                return HD_ESYNTAX;
            state.has_retry_after = true;
        }
    }
    if (err != HD_ENOMATCH)
        return err;
    *ret_state = state;
    return HD_OK;
}

/* delta-seconds  =  1*DIGIT */
enum hd_err
sip_delta_parse(struct hd_slice value, uint32_t *ret_s)
{
    value = sip_trim(value.p, sip_end(value));
    const enum hd_err err = hd_slice_to_u32(value, ret_s);
    if (err == HD_ERANGE) {
        *ret_s = UINT32_MAX;
        return HD_OK;
    }
    return err;
}

/* A comment at p, "( ... )", may nest; its end or NULL. */
static const char *
comment_end(const char *p, const char *end)
{
    unsigned depth = 0;
    for (; p < end; p++) {
        if (*p == '\\') {
            p++;
        } else if (*p == '(') {
            depth++;
        } else if (*p == ')' && --depth == 0) {
            return p + 1;
        }
    }
    return NULL;
}

/* Retry-After  =  "Retry-After" HCOLON delta-seconds [ comment ] *( SEMI retry-param ) */
enum hd_err
sip_retry_after_parse(struct hd_slice value, uint32_t *ret_s)
{
    value = sip_trim(value.p, sip_end(value));
    const char *end = sip_end(value);
    const size_t n = sip_span(value.p, end, SIP_C_DIGIT);
    const char *p = sip_skip_lws(value.p + n, end);
    if (p < end && *p == '(') {
        p = comment_end(p, end);
        if (!p)
            return HD_ESYNTAX;
    }
    if (!params_valid(hd_slice(p, (size_t)(end - p))))
        return HD_ESYNTAX;
    return sip_delta_parse(hd_slice(value.p, n), ret_s);
}

/* ---- media types ---- */

/* media-type  =  m-type SLASH m-subtype *(SEMI m-parameter); a range has "*" for one or both. */
static enum hd_err
media_split(struct hd_slice value, struct sip_media *ret_media)
{
    value = sip_trim(value.p, sip_end(value));
    const char *end = sip_end(value);
    const size_t type = sip_span(value.p, end, SIP_C_TOKEN);
    const char *p = sip_skip_lws(value.p + type, end);
    if (type == 0 || p == end || *p != '/')
        return HD_ESYNTAX;
    p = sip_skip_lws(p + 1, end);
    const size_t subtype = sip_span(p, end, SIP_C_TOKEN);
    if (subtype == 0)
        return HD_ESYNTAX;
    const char *params = sip_skip_lws(p + subtype, end);
    *ret_media = (struct sip_media){ .type = hd_slice(value.p, type),
                                     .subtype = hd_slice(p, subtype),
                                     .params = hd_slice(params, (size_t)(end - params)) };
    return HD_OK;
}

enum hd_err
sip_media_parse(struct hd_slice value, struct sip_media *ret_media)
{
    struct sip_media media;
    const enum hd_err err = media_split(value, &media);
    if (err)
        return err;
    if (!params_valid(media.params))
        return HD_ESYNTAX;
    *ret_media = media;
    return HD_OK;
}

bool
sip_media_same(struct hd_slice a, struct hd_slice b)
{
    struct sip_media x, y;
    return media_split(a, &x) == HD_OK && media_split(b, &y) == HD_OK &&
           hd_slice_ieq(x.type, y.type) && hd_slice_ieq(x.subtype, y.subtype);
}

/* qvalue  =  ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] ); in thousandths. */
static bool
qvalue_read(struct hd_slice value, unsigned *ret_q)
{
    if (value.n == 0 || value.n > 5 || (value.p[0] != '0' && value.p[0] != '1') ||
        (value.n > 1 && value.p[1] != '.'))
        return false;
    unsigned q = value.p[0] == '1' ? 1000 : 0;
    unsigned weight = 100;
    for (size_t i = 2; i < value.n; i++, weight /= 10) {
        if (!sip_is(value.p[i], SIP_C_DIGIT))
            return false;
        q += (unsigned)(value.p[i] - '0') * weight;
    }
    if (q > 1000)
        return false;
    *ret_q = q;
    return true;
}

enum { RANGE_NONE = 0, RANGE_ALL, RANGE_TYPE, RANGE_NAMED };

/* RFC 3261 section 20.1, RFC 2616 section 14.1: the most specific range that fits gives the
 * quality. */
static unsigned
accept_quality(const struct sip_msg *msg, struct hd_slice type, unsigned *ret_rank)
{
    struct sip_media want;
    *ret_rank = RANGE_NONE;
    if (media_split(type, &want))
        return 0;
    struct sip_walk walk = { 0 };
    struct hd_slice item;
    unsigned best = 0, best_rank = 0;
    while (sip_msg_walk(msg, SIP_HDR_ACCEPT, &walk, &item)) {
        struct sip_media range;
        if (sip_media_parse(item, &range))
            continue;
        unsigned rank = RANGE_NONE;
        if (hd_slice_ieq(range.type, want.type))
            rank = hd_slice_ieq(range.subtype, want.subtype) ? RANGE_NAMED
                   : hd_slice_eq(range.subtype, HD_LIT("*")) ? RANGE_TYPE
                                                             : RANGE_NONE;
        else if (hd_slice_eq(range.type, HD_LIT("*")) && hd_slice_eq(range.subtype, HD_LIT("*")))
            rank = RANGE_ALL;
        unsigned q = 1000;
        struct hd_slice qvalue;
        if (sip_param_find(range.params, HD_LIT("q"), &qvalue) && !qvalue_read(qvalue, &q))
            continue;
        if (rank > best_rank || (rank == best_rank && rank && q > best)) {
            best = q;
            best_rank = rank;
        }
    }
    *ret_rank = best_rank;
    return best;
}

unsigned
sip_accept_quality(const struct sip_msg *msg, struct hd_slice type, struct hd_slice default_type)
{
    unsigned rank;

    if (!sip_msg_has(msg, SIP_HDR_ACCEPT))
        return sip_media_same(type, default_type) ? 1000 : 0;
    return accept_quality(msg, type, &rank);
}

unsigned
sip_accept_named(const struct sip_msg *msg, struct hd_slice type)
{
    unsigned rank;
    const unsigned quality = accept_quality(msg, type, &rank);

    return rank == RANGE_NAMED ? quality : 0;
}
