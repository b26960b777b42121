/* lab_dns.c - name servers that say what a scenario says: records, nothing, failures, rubbish, or
 * nothing at all. */
#include "lab_dns.h"

#include <stdio.h>
#include <stdlib.h>

#define SILENT_US UINT64_C(5000000) /* when the questions of a silent name are given up */
#define TYPE_CNAME 5
#define ANSWER_MAX 65000

enum mode { MODE_WORKS = 0, MODE_FAILS, MODE_SILENT, MODE_GARBAGE, MODE_LIES };

struct lab_record {
    struct lab_record *next;
    char *name;
    unsigned type; /* enum nam_type, TYPE_CNAME; 0: how the name behaves */
    uint32_t ttl_s, numbers[3];
    enum mode mode;
    char *text, *service; /* target; NAPTR: service */
    struct hd_addr addr;
    uint32_t asked; /* with type: how often it was asked for */
};

struct lab_query {
    struct lab_query *next;
    struct lab_seat *seat;
    char *name;
    enum nam_type type;
    uint64_t ticket, due_us;
    bool silent;
};

static struct lab_record *
record_find(const struct lab *lab, struct lab_record *after, struct hd_slice name, unsigned type)
{
    for (struct lab_record *r = after ? after->next : lab->dns; r; r = r->next)
        if (r->type == type && hd_slice_eq(hd_slice_str(r->name), name))
            return r;
    return NULL;
}

static struct lab_record *
record_new(struct lab *lab, struct hd_slice name, unsigned type)
{
    struct lab_record *record = calloc(1, sizeof(*record)), **end = &lab->dns;

    if (!record)
        return NULL;
    record->name = hd_slice_strdup(name);
    record->type = type;
    record->ttl_s = 3600;
    while (*end)
        end = &(*end)->next;
    *end = record;
    return record->name ? record : NULL;
}

static void
record_free(struct lab_record *record)
{
    free(record->name);
    free(record->text);
    free(record->service);
    free(record);
}

/* --- octets ---------------------------------------------------------------------------------- */

struct octets {
    size_t n;
    uint8_t p[ANSWER_MAX];
};

static void
put(struct octets *out, unsigned value, unsigned octets)
{
    while (octets-- > 0 && out->n < sizeof(out->p))
        out->p[out->n++] = (uint8_t)(octets < 4 ? value >> (8 * octets) : 0);
}

static void
put_text(struct octets *out, struct hd_slice text)
{
    put(out, (unsigned)text.n, 1);
    for (size_t i = 0; i < text.n; i++)
        put(out, (uint8_t)text.p[i], 1);
}

static void
put_name(struct octets *out, struct hd_slice name)
{
    while (name.n && !hd_slice_eq(name, HD_LIT(".")))
        put_text(out, hd_slice_cut(&name, '.'));
    put(out, 0, 1);
}

static void
put_record(struct octets *out, const struct lab_record *record, bool first)
{
    size_t length;

    if (first)
        put(out, 0xc00c, 2); /* the question's name */
    else
        put_name(out, hd_slice_str(record->name));
    put(out, record->type, 2);
    put(out, 1, 2);
    put(out, record->ttl_s, 4);
    length = out->n;
    put(out, 0, 2);
    for (unsigned i = 0; i < 3; i++)
        if (record->type == NAM_SRV || (record->type == NAM_NAPTR && i < 2))
            put(out, record->numbers[i], 2);
    if (record->type == NAM_NAPTR) {
        put_text(out, HD_LIT("s"));
        put_text(out, hd_slice_str(record->service));
        put_text(out, HD_LIT(""));
    }
    if (record->text)
        put_name(out, hd_slice_str(record->text));
    else
        for (unsigned i = 0; i < (record->type == NAM_A ? 4u : 16u); i++)
            put(out, record->addr.ip[i], 1);
    if (out->n + 2 > sizeof(out->p))
        return;
    out->p[length] = (uint8_t)((out->n - length - 2) >> 8);
    out->p[length + 1] = (uint8_t)(out->n - length - 2);
}

/* The chain of aliases from the name on, then what was asked for. */
static unsigned
put_answers(struct octets *out, const struct lab *lab, struct hd_slice name, unsigned type)
{
    unsigned n = 0;

    for (unsigned i = 0; i < 20; i++) {
        const struct lab_record *alias = record_find(lab, NULL, name, TYPE_CNAME);
        if (!alias)
            break;
        put_record(out, alias, n++ == 0);
        name = hd_slice_str(alias->text);
    }
    for (struct lab_record *r = NULL; (r = record_find(lab, r, name, type));)
        put_record(out, r, n++ == 0);
    return n;
}

static void
answer(struct octets *out, const struct lab *lab, const struct lab_query *query)
{
    struct hd_slice name = hd_slice_str(query->name);
    const struct lab_record *mode = record_find(lab, NULL, name, 0);
    bool known = false;
    size_t question;

    for (const struct lab_record *r = lab->dns; r; r = r->next)
        known = known || (r->type && hd_slice_eq(hd_slice_str(r->name), name));
    out->n = 0;
    put(out, 0, 2);
    put(out, 0x8180u | (mode && mode->mode == MODE_FAILS ? 2 : known ? 0 : 3), 2);
    put(out, 1, 2);
    put(out, 0, 6);
    question = out->n;
    put_name(out, name);
    put(out, query->type, 2);
    put(out, 1, 2);
    unsigned n = put_answers(out, lab, name, query->type);
    out->p[6] = (uint8_t)(n >> 8);
    out->p[7] = (uint8_t)n;
    if (mode && mode->mode == MODE_GARBAGE)
        memset(out->p + question, 0xc0, out->n - question);
    if (mode && mode->mode == MODE_LIES) /* the answer to another question */
        out->p[question + 1] = 'z';
}

/* --- questions ------------------------------------------------------------------------------- */

enum hd_err
lab_dns_query(void *context, const char *name, enum nam_type type, uint64_t ticket)
{
    struct lab_seat *seat = context;
    struct lab *lab = seat->lab;
    struct lab_query *query = calloc(1, sizeof(*query)), **end = &lab->queries;
    const struct lab_record *mode = record_find(lab, NULL, hd_slice_str(name), 0);
    struct lab_record *count;

    if (query)
        query->name = hd_slice_strdup(hd_slice_str(name));
    if (!query || !query->name) {
        free(query);
        return HD_ENOMEM;
    }
    query->seat = seat;
    query->type = type;
    query->ticket = ticket;
    query->silent = mode && mode->mode == MODE_SILENT;
    query->due_us = lab->now_us + (query->silent ? SILENT_US : 0);
    while (*end && (*end)->due_us <= query->due_us)
        end = &(*end)->next;
    query->next = *end;
    *end = query;
    count = record_find(lab, NULL, hd_slice_str(name), 1000u + (unsigned)type);
    if (!count)
        count = record_new(lab, hd_slice_str(name), 1000u + (unsigned)type);
    if (count)
        count->asked++;
    return HD_OK;
}

const struct nam_dns_ops lab_dns_ops = { .query = lab_dns_query };

bool
lab_dns_deliver(struct lab_seat *seat)
{
    static struct octets out;
    struct lab *lab = seat->lab;
    struct lab_query **next = &lab->queries;
    bool any = false;

    while (*next) {
        struct lab_query *query = *next;
        if (query->seat != seat || query->due_us > lab->now_us) {
            next = &query->next;
            continue;
        }
        *next = query->next;
        any = true;
        answer(&out, lab, query);
        nam_answered(seat->names, query->ticket,
                     query->silent ? hd_slice(NULL, 0) : hd_slice((char *)out.p, out.n),
                     lab->now_us / 1000);
        free(query->name);
        free(query);
        next = &lab->queries; /* it may have led to others */
    }
    return any;
}

uint64_t
lab_dns_due_us(const struct lab *lab)
{
    return lab->queries ? lab->queries->due_us : UINT64_MAX;
}

void
lab_dns_forget(struct lab *lab)
{
    while (lab->queries) {
        struct lab_query *query = lab->queries;
        lab->queries = query->next;
        free(query->name);
        free(query);
    }
}

void
lab_dns_done(struct lab *lab)
{
    lab_dns_forget(lab);
    while (lab->dns) {
        struct lab_record *record = lab->dns;
        lab->dns = record->next;
        record_free(record);
    }
}

/* --- steps ----------------------------------------------------------------------------------- */

static enum hd_err
bad(char *problem)
{
    (void)snprintf(problem, LAB_PROBLEM,
                   "expected: dns NAME A|AAAA ADDRESS, CNAME TARGET, SRV PRIORITY WEIGHT PORT "
                   "TARGET, NAPTR ORDER PREFERENCE SERVICE REPLACEMENT, each with [ttl SECONDS]; "
                   "many N; works|fails|silent|garbage|lies|gone; asked TYPE N");
    return HD_ESYNTAX;
}

static unsigned
type_of(struct hd_slice word)
{
    static const struct {
        struct hd_slice name;
        unsigned type;
    } row[] = { { { "A", 1 }, NAM_A },
                { { "AAAA", 4 }, NAM_AAAA },
                { { "SRV", 3 }, NAM_SRV },
                { { "NAPTR", 5 }, NAM_NAPTR },
                { { "CNAME", 5 }, TYPE_CNAME } };

    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++)
        if (hd_slice_eq(word, row[i].name))
            return row[i].type;
    return 0;
}

static bool
read_record(struct lab_record *record, const struct hd_slice *words, unsigned n)
{
    unsigned numbers = record->type == NAM_SRV ? 3 : record->type == NAM_NAPTR ? 2 : 0;

    if (n < numbers + 1 + (record->type == NAM_NAPTR))
        return false;
    for (unsigned i = 0; i < numbers; i++)
        if (hd_slice_to_u32(*words++, &record->numbers[i]))
            return false;
    if (record->type == NAM_NAPTR)
        record->service = hd_slice_strdup(*words++);
    if (record->type == NAM_A || record->type == NAM_AAAA)
        return hd_addr_parse(*words, 0, &record->addr) == HD_OK;
    record->text = hd_slice_strdup(*words);
    return record->text && (record->type != NAM_NAPTR || record->service);
}

static void
forget(struct lab *lab, struct hd_slice name)
{
    struct lab_record **next = &lab->dns;

    while (*next) {
        struct lab_record *record = *next;
        if (record->type >= 1000 || !hd_slice_eq(hd_slice_str(record->name), name)) {
            next = &record->next;
            continue;
        }
        *next = record->next;
        record_free(record);
    }
}

static enum hd_err
set_mode(struct lab *lab, struct hd_slice name, struct hd_slice word, char *problem)
{
    static const struct hd_slice mode[] = {
        { "works", 5 }, { "fails", 5 }, { "silent", 6 }, { "garbage", 7 }, { "lies", 4 }
    };
    struct lab_record *record = record_find(lab, NULL, name, 0);

    if (hd_slice_eq(word, HD_LIT("gone"))) {
        forget(lab, name);
        return HD_OK;
    }
    for (unsigned i = 0; i < HD_ARRAY_LEN(mode); i++) {
        if (!hd_slice_eq(word, mode[i]))
            continue;
        if (!record)
            record = record_new(lab, name, 0);
        if (!record)
            return HD_ENOMEM;
        record->mode = (enum mode)i;
        return HD_OK;
    }
    return bad(problem);
}

static enum hd_err
add_many(struct lab *lab, struct hd_slice name, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct lab_record *record = record_new(lab, name, NAM_A);
        if (!record)
            return HD_ENOMEM;
        record->addr =
            (struct hd_addr){ .ip = { 10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i },
                              .family = 4 };
    }
    return HD_OK;
}

static enum hd_err
expect_asked(struct lab *lab, const struct hd_slice *words, char *problem)
{
    const struct lab_record *record = record_find(lab, NULL, words[1], 1000u + type_of(words[3]));
    uint32_t want, asked = record ? record->asked : 0;

    if (hd_slice_to_u32(words[4], &want))
        return bad(problem);
    if (asked == want)
        return HD_OK;
    (void)snprintf(problem, LAB_PROBLEM, "asked %u times, not %u", asked, want);
    return HD_ESYNTAX;
}

enum hd_err
lab_dns_command(struct lab *lab, const struct hd_slice *words, unsigned n, char *problem)
{
    struct lab_record *record;
    uint32_t number;

    if (n == 3)
        return set_mode(lab, words[1], words[2], problem);
    if (n == 4 && hd_slice_eq(words[2], HD_LIT("many")) && hd_slice_to_u32(words[3], &number) == 0)
        return add_many(lab, words[1], number);
    if (n == 5 && hd_slice_eq(words[2], HD_LIT("asked")))
        return expect_asked(lab, words, problem);
    if (n < 4 || !type_of(words[2]))
        return bad(problem);
    record = record_new(lab, words[1], type_of(words[2]));
    if (!record)
        return HD_ENOMEM;
    if (n > 5 && hd_slice_eq(words[n - 2], HD_LIT("ttl"))) {
        if (hd_slice_to_u32(words[n - 1], &record->ttl_s))
            return bad(problem);
        n -= 2;
    }
    return read_record(record, words + 3, n - 3) ? HD_OK : bad(problem);
}
