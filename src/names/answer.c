/* answer.c - reads the answer of a name server.
 *
 * Nothing in a message is believed but what it says of the question: additional records are not
 * looked at, names that hold anything but letters, digits, '-' and '_' are left out.  The work is
 * bounded: so many records are examined, so many aliases followed, and a name is at most 128
 * labels, each pointer before the one that led to it. */
#include "names/answer.h"

#include <string.h>

#define HEADER 12u
#define TYPE_CNAME 5u
#define TYPE_SOA 6u
#define CLASS_IN 1u
#define NOTHING_TTL_S 60u /* an answer without SOA: how long "nothing" holds */
#define TTL_MOST_S (7u * 24 * 3600)

struct reader {
    const uint8_t *p;
    size_t n;
};

/* One resource record: where its data lies. */
struct rr {
    char owner[NAM_NAME_MAX + 1];
    size_t owner_n;
    unsigned type, klass;
    uint32_t ttl_s;
    size_t data, data_n;
};

static unsigned
u16(const struct reader *r, size_t at)
{
    return (unsigned)r->p[at] << 8 | r->p[at + 1];
}

static uint32_t
u32(const struct reader *r, size_t at)
{
    return (uint32_t)u16(r, at) << 16 | u16(r, at + 2);
}

static bool
label_char(uint8_t c, char *ret)
{
    if (c >= 'A' && c <= 'Z')
        c = (uint8_t)(c + ('a' - 'A'));
    *ret = (char)c;
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* A name at *at, which moves behind it (RFC 1035 4.1.4).  ret_plain: it has only characters that a
 * host's name may have.  False: it cannot be read. */
static bool
read_name(const struct reader *r, size_t *at, char ret[NAM_NAME_MAX + 1], size_t *ret_n,
          bool *ret_plain)
{
    size_t i = *at, n = 0, before = *at;
    bool jumped = false, plain = true;

    for (;;) {
        if (i >= r->n)
            return false;
        uint8_t length = r->p[i];
        if (length >= 0xc0) { /* a pointer: strictly backwards, so that there is an end */
            if (i + 2 > r->n)
                return false;
            size_t to = u16(r, i) & 0x3fff;
            if (to >= before || to < HEADER)
                return false;
            if (!jumped)
                *at = i + 2;
            jumped = true;
            before = i = to;
            continue;
        }
        if (length > 63 || i + 1 + length > r->n)
            return false;
        i++;
        if (length == 0)
            break;
        if (n + length + (n > 0) > NAM_NAME_MAX)
            return false;
        if (n > 0)
            ret[n++] = '.';
        for (size_t k = 0; k < length; k++)
            plain = label_char(r->p[i + k], &ret[n++]) && plain;
        i += length;
    }
    if (!jumped)
        *at = i;
    *ret_n = n;
    *ret_plain = plain;
    return true;
}

/* A resource record at *at, which moves behind it. */
static bool
read_rr(const struct reader *r, size_t *at, struct rr *rr)
{
    bool plain;

    if (!read_name(r, at, rr->owner, &rr->owner_n, &plain) || *at + 10 > r->n)
        return false;
    rr->type = u16(r, *at);
    rr->klass = u16(r, *at + 2);
    rr->ttl_s = u32(r, *at + 4);
    /* RFC 2181 section 8: the upper bit says nothing, it counts as 0. */
    if (rr->ttl_s > INT32_MAX)
        rr->ttl_s = 0;
    if (rr->ttl_s > TTL_MOST_S)
        rr->ttl_s = TTL_MOST_S;
    rr->data_n = u16(r, *at + 8);
    rr->data = *at + 10;
    *at = rr->data + rr->data_n;
    if (!plain)
        rr->type = 0; /* nothing that we asked for */
    return *at <= r->n;
}

static bool
rr_is(const struct rr *rr, struct hd_slice owner, unsigned type)
{
    return rr->klass == CLASS_IN && rr->type == type &&
           hd_slice_eq(hd_slice(rr->owner, rr->owner_n), owner);
}

/* Keeps a name in the answer's text; false: there is no room. */
static bool
keep_name(struct nam_answer *answer, const char *name, size_t n, uint16_t *ret_at, uint16_t *ret_n)
{
    if (answer->text_n + n > sizeof(answer->text))
        return false;
    memcpy(answer->text + answer->text_n, name, n);
    *ret_at = (uint16_t)answer->text_n;
    *ret_n = (uint16_t)n;
    answer->text_n += n;
    return true;
}

/* A <character-string> at *at within end. */
static bool
read_string(const struct reader *r, size_t *at, size_t end, struct hd_slice *ret)
{
    if (*at >= end || *at + 1 + r->p[*at] > end)
        return false;
    *ret = hd_slice((const char *)r->p + *at + 1, r->p[*at]);
    *at += 1 + (size_t)ret->n;
    return true;
}

/* A name that fills a record's data up to its end and is a host's. */
static bool
read_target(const struct reader *r, size_t at, size_t end, struct nam_answer *answer,
            struct nam_record *record)
{
    char name[NAM_NAME_MAX + 1];
    size_t n;
    bool plain;

    return read_name(r, &at, name, &n, &plain) && plain && at == end &&
           keep_name(answer, name, n, &record->name, &record->name_n);
}

/* RFC 3263 section 4.1, RFC 7118 section 6: the services that are ours to know. */
static void
read_service(struct hd_slice service, struct nam_record *record)
{
    static const struct {
        struct hd_slice name;
        enum hd_transport transport;
        bool secure;
    } row[] = {
        { { "SIP+D2U", 7 }, HD_UDP, false }, { { "SIP+D2T", 7 }, HD_TCP, false },
        { { "SIPS+D2T", 8 }, HD_TLS, true }, { { "SIP+D2W", 7 }, HD_WS, false },
        { { "SIPS+D2W", 8 }, HD_WSS, true },
    };

    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        if (hd_slice_ieq(service, row[i].name)) {
            record->transport = (uint8_t)row[i].transport;
            record->secure = row[i].secure;
        }
    }
}

static bool
read_naptr(const struct reader *r, const struct rr *rr, struct nam_answer *answer,
           struct nam_record *record)
{
    size_t at = rr->data + 4, end = rr->data + rr->data_n;
    struct hd_slice flags, service, regexp;

    if (rr->data_n < 7)
        return false;
    record->order = (uint16_t)u16(r, rr->data);
    record->weight = (uint16_t)u16(r, rr->data + 2);
    if (!read_string(r, &at, end, &flags) || !read_string(r, &at, end, &service) ||
        !read_string(r, &at, end, &regexp))
        return false;
    /* RFC 3263 section 4.1: "s", so an SRV follows; a rule with an expression is for others. */
    if (hd_slice_ieq(flags, HD_LIT("s")) && regexp.n == 0)
        read_service(service, record);
    return read_target(r, at, end, answer, record);
}

/* Reads a record of the type that was asked for; false: it is left out. */
static bool
read_data(const struct reader *r, const struct rr *rr, enum nam_type type,
          struct nam_answer *answer, struct nam_record *record)
{
    memset(record, 0, sizeof(*record));
    switch (type) {
    case NAM_A:
        record->addr.family = 4;
        if (rr->data_n == 4)
            memcpy(record->addr.ip, r->p + rr->data, 4);
        return rr->data_n == 4 && !hd_addr_is_any(&record->addr);
    case NAM_AAAA:
        record->addr.family = 6;
        if (rr->data_n == 16)
            memcpy(record->addr.ip, r->p + rr->data, 16);
        return rr->data_n == 16 && !hd_addr_is_any(&record->addr);
    case NAM_SRV:
        if (rr->data_n < 7)
            return false;
        record->order = (uint16_t)u16(r, rr->data);
        record->weight = (uint16_t)u16(r, rr->data + 2);
        record->port = (uint16_t)u16(r, rr->data + 4);
        return read_target(r, rr->data + 6, rr->data + rr->data_n, answer, record);
    case NAM_NAPTR:
        return read_naptr(r, rr, answer, record);
    }
    return false;
}

static uint32_t
least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* RFC 2308 section 5: how long "nothing" may be kept, from the SOA of the authority section. */
static uint32_t
nothing_ttl(const struct reader *r, size_t at, unsigned n)
{
    struct rr rr;

    for (unsigned i = 0; i < n && i < NAM_EXAMINED_MAX && read_rr(r, &at, &rr); i++)
        if (rr.klass == CLASS_IN && rr.type == TYPE_SOA && rr.data_n >= 22)
            return least(rr.ttl_s, u32(r, rr.data + rr.data_n - 4) > TTL_MOST_S
                                       ? TTL_MOST_S
                                       : u32(r, rr.data + rr.data_n - 4));
    return NOTHING_TTL_S;
}

/* Follows the CNAMEs of the answer section from *name on, which is replaced by where they lead.
 * False: they lead too far or in a circle. */
static bool
follow_aliases(const struct reader *r, size_t begin, unsigned n, char name[NAM_NAME_MAX + 1],
               size_t *name_n, uint32_t *ttl_s, bool *ret_followed)
{
    unsigned followed = 0;
    bool found = true;

    while (found) {
        size_t at = begin;
        struct rr rr;

        found = false;
        for (unsigned i = 0; i < n && !found; i++) {
            bool plain;

            if (!read_rr(r, &at, &rr))
                return false;
            if (!rr_is(&rr, hd_slice(name, *name_n), TYPE_CNAME))
                continue;
            size_t data = rr.data;
            if (++followed > NAM_ALIASES_MAX || !read_name(r, &data, name, name_n, &plain) ||
                !plain || *name_n == 0)
                return false;
            *ttl_s = least(*ttl_s, rr.ttl_s);
            found = true;
        }
    }
    *ret_followed = followed > 0;
    return true;
}

/* Whether it answers the question: one, with this name, type and class. */
static bool
check_question(const struct reader *r, struct hd_slice name, enum nam_type type, size_t *ret_at)
{
    char text[NAM_NAME_MAX + 1];
    size_t n, at = HEADER;
    bool plain;

    if (u16(r, 4) != 1 || !read_name(r, &at, text, &n, &plain) || at + 4 > r->n)
        return false;
    *ret_at = at + 4;
    return hd_slice_eq(hd_slice(text, n), name) && u16(r, at) == (unsigned)type &&
           u16(r, at + 2) == CLASS_IN;
}

static enum hd_err
read_records(const struct reader *r, size_t at, unsigned n, struct hd_slice owner,
             enum nam_type type, struct nam_answer *answer, size_t *ret_end)
{
    struct rr rr;

    for (unsigned i = 0; i < n; i++) {
        if (!read_rr(r, &at, &rr))
            return HD_ESYNTAX;
        if (!rr_is(&rr, owner, (unsigned)type))
            continue;
        if (answer->n == NAM_RECORDS_MAX) {
            answer->more = true;
            continue;
        }
        if (!read_data(r, &rr, type, answer, &answer->record[answer->n]))
            continue;
        answer->ttl_s = least(answer->ttl_s, rr.ttl_s);
        answer->n++;
    }
    *ret_end = at;
    return HD_OK;
}

enum hd_err
nam_answer_read(struct hd_slice octets, struct hd_slice name, enum nam_type type,
                struct nam_answer *ret_answer)
{
    struct reader r = { (const uint8_t *)octets.p, octets.n };
    char owner[NAM_NAME_MAX + 1];
    size_t owner_n = name.n, at, end;
    bool followed;

    if (r.n < HEADER || name.n > NAM_NAME_MAX || !(r.p[2] & 0x80))
        return HD_ESYNTAX;
    if (!check_question(&r, name, type, &at))
        return HD_ESYNTAX;
    unsigned code = r.p[3] & 0x0f, n = u16(&r, 6), n_all = n;
    if (code != 0 && code != 3)
        return HD_EAGAIN;
    memset(ret_answer, 0, offsetof(struct nam_answer, record));
    ret_answer->text_n = 0;
    ret_answer->ttl_s = TTL_MOST_S;
    if (n > NAM_EXAMINED_MAX) {
        n = NAM_EXAMINED_MAX;
        ret_answer->more = true;
    }
    memcpy(owner, name.p, name.n);
    if (!follow_aliases(&r, at, n, owner, &owner_n, &ret_answer->ttl_s, &followed) ||
        read_records(&r, at, n, hd_slice(owner, owner_n), type, ret_answer, &end))
        return HD_ESYNTAX;
    if (ret_answer->n > 0)
        return HD_OK;
    if (followed && code == 0 &&
        !keep_name(ret_answer, owner, owner_n, &ret_answer->alias, &ret_answer->alias_n))
        return HD_ESYNTAX;
    if (n == n_all)
        ret_answer->ttl_s = least(ret_answer->ttl_s, nothing_ttl(&r, end, u16(&r, 8)));
    else
        ret_answer->ttl_s = NOTHING_TTL_S;
    return HD_OK;
}
