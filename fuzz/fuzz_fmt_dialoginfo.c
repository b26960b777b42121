/* fuzz_fmt_dialoginfo.c - documents, one after the other with a line of '%' between them: what is
 * valid composes; what was composed is valid, twice the same, has a version to count, and libxml2
 * reads it; every dialog that went in came out.  Of each valid one the dialogs of one call are
 * chosen, and session descriptions left out: what is left is valid, and what was chosen stands in
 * it. */
#include "fuzz.h"

#include <ctype.h>
#include <libxml/parser.h>
#include <libxml/tree.h>

#include "format/dialoginfo.h"
#include "format/xml_read.h"

#define MAX 65536
#define PARTS 4
#define ENTITY HD_LIT("sip:alice@example.test")

static size_t
split(struct hd_slice text, struct fmt_dialoginfo_part parts[PARTS])
{
    struct hd_slice pieces[PARTS];
    const size_t n = fuzz_split(text, pieces, PARTS);

    for (size_t i = 0; i < n; i++) {
        parts[i].body = pieces[i];
        parts[i].number = (uint32_t)(i * 7919 % 5);
    }
    return n;
}

/* Children of the root, and a sum of all names below them with their namespaces: what moves from
 * one root to another must be the same names. */
struct sum {
    size_t children;
    uint32_t names;
};

static void
add(struct sum *sum, struct hd_slice s)
{
    sum->names += (fmt_xml_value_hash(s) | 1) * 2654435761u;
}

static struct sum
sum_of(struct hd_slice text)
{
    struct fmt_xml_reader r;
    struct sum sum = { 0 };
    enum fmt_xml_event event = FMT_XML_TEXT;

    fmt_xml_open(&r, text, text.n);
    while (event != FMT_XML_DONE) {
        FUZZ_CHECK(fmt_xml_next(&r, &event) == HD_OK);
        FUZZ_CHECK(fuzz_inside(r.token, text));
        if (event != FMT_XML_START || r.depth == 1)
            continue;
        sum.children += r.depth == 2;
        add(&sum, r.element->name.local);
        add(&sum, r.element->name.ns);
        for (unsigned i = 0; i < r.n_attributes; i++) {
            /* inherited ones may be more than there were */
            if (hd_slice_eq(r.attributes[i].name.ns,
                            HD_LIT("http://www.w3.org/XML/1998/namespace")))
                continue;
            add(&sum, r.attributes[i].name.local);
            add(&sum, r.attributes[i].name.ns);
        }
    }
    return sum;
}

static void
check_composed(struct hd_slice text, struct sum before)
{
    const char *reason = NULL;
    struct hd_slice version;
    const enum hd_err err = fmt_dialoginfo_validate(text, 4 * MAX, &reason);

    FUZZ_CHECK(fmt_dialoginfo_version(text, &version));
    FUZZ_CHECK(fuzz_inside(version, text) && hd_slice_eq(version, HD_LIT("0")));
    FUZZ_CHECK(fmt_dialoginfo_is_for(text, ENTITY));
    /* only limits may be passed by putting things together */
    FUZZ_CHECK(!err || strstr(reason, "too "));
    if (err)
        return;
    const struct sum after = sum_of(text);
    FUZZ_CHECK(after.children == before.children && after.names == before.names);
    const xmlDocPtr doc = xmlReadMemory(text.p, (int)text.n, NULL, NULL,
                                        XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    FUZZ_CHECK(doc != NULL);
    xmlFreeDoc(doc);
}

/* Every octet of what is left stands in the document in that order, line ends of ours apart. */
static bool
is_part_of(struct hd_slice left, struct hd_slice whole)
{
    size_t at = 0;

    for (size_t i = 0; i < left.n; i++) {
        while (at < whole.n && whole.p[at] != left.p[i] && left.p[i] != '\n')
            at++;
        if (at < whole.n && whole.p[at] == left.p[i])
            at++;
        else if (left.p[i] != '\n')
            return false;
    }
    return true;
}

static const struct fmt_dialoginfo_choice choice = { { "c", 1 }, { "l", 1 }, { NULL, 0 } };

/* What is behind the root's start tag. */
static struct hd_slice
behind_root(struct hd_slice document)
{
    struct fmt_xml_reader r;
    enum fmt_xml_event event;

    fmt_xml_open(&r, document, document.n);
    FUZZ_CHECK(fmt_xml_next(&r, &event) == HD_OK && event == FMT_XML_START);
    return hd_slice(r.at, (size_t)(r.end - r.at));
}

/* Whether something stands in it, but not as the end of a longer word. */
static bool
has_word(struct hd_slice text, struct hd_slice word)
{
    for (size_t i = 0; i + word.n <= text.n; i++)
        if (!memcmp(text.p + i, word.p, word.n) &&
            (i == 0 || !(isalnum((unsigned char)text.p[i - 1]) || memchr("._-", text.p[i - 1], 3) ||
                         (unsigned char)text.p[i - 1] >= 0x80)))
            return true;
    return false;
}

/* Another phone's calls beside it do not change what is chosen. */
static void
check_beside_another(struct hd_slice text, struct hd_slice chosen_alone)
{
    static const char other[] =
        "<p:dialog-info xmlns:p='urn:ietf:params:xml:ns:dialog-info' xmlns:qq='urn:other' "
        "xmlns='urn:other' version='7' state='full' entity='x' xml:lang='de'>"
        "<p:dialog id='other' call-id='o' local-tag='l'><p:state/></p:dialog>"
        "<qq:y/></p:dialog-info>";
    const struct fmt_dialoginfo_part parts[] = { { text, 1 }, { hd_slice_str(other), 2 } };
    enum fmt_dialoginfo_chosen chosen;
    struct hd_str both = { 0 }, out = { 0 };
    enum hd_err err = fmt_dialoginfo_compose(ENTITY, parts, 2, MAX, &both);

    FUZZ_CHECK(!err || err == HD_EFULL);
    if (has_word(text, HD_LIT("p:")) || has_word(text, HD_LIT("qq:")))
        err = HD_EFULL; /* what looks like the other's prefix is declared with it */
    if (!err)
        err = fmt_dialoginfo_choose(hd_str_slice(&both), &choice, &out, &chosen);
    /* else limits were passed by putting things together */
    FUZZ_CHECK(err || hd_slice_eq(behind_root(hd_str_slice(&out)), behind_root(chosen_alone)));
    hd_str_done(&both);
    hd_str_done(&out);
}

static void
check_chosen(struct hd_slice text)
{
    enum fmt_dialoginfo_chosen chosen;
    const char *reason = NULL;
    struct hd_str out = { 0 };

    FUZZ_CHECK(fmt_dialoginfo_choose(text, &choice, &out, &chosen) == HD_OK);
    const struct hd_slice left = hd_str_slice(&out);
    const enum hd_err err = fmt_dialoginfo_validate(left, 4 * MAX, &reason);
    FUZZ_CHECK(!err || strstr(reason, "too "));
    FUZZ_CHECK(err || (sum_of(left).children > 0) == (chosen != FMT_DIALOGINFO_NONE));
    check_beside_another(text, left);
    hd_str_done(&out);
}

static void
check_sessions(struct hd_slice text)
{
    const char *reason = NULL;
    struct hd_str out = { 0 }, more = { 0 };

    if (fmt_dialoginfo_without_sessions(text, &out) == HD_OK) {
        const struct hd_slice left = hd_str_slice(&out);
        FUZZ_CHECK(left.n < text.n && is_part_of(left, text));
        FUZZ_CHECK(fmt_dialoginfo_validate(left, MAX, &reason) == HD_OK);
        FUZZ_CHECK(fmt_dialoginfo_without_sessions(left, &more) == HD_ENOMATCH);
    }
    hd_str_done(&out);
    hd_str_done(&more);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy;
    const struct hd_slice text = fuzz_copy(data, size, &copy);
    struct fmt_dialoginfo_part parts[PARTS];
    const size_t n = split(text, parts);
    struct hd_str one = { 0 }, two = { 0 };
    struct sum before = { 0 };
    size_t valid = 0;

    for (size_t i = 0; i < n; i++) {
        const char *reason = NULL;
        const bool ok = fmt_dialoginfo_validate(parts[i].body, MAX, &reason) == HD_OK;
        struct hd_slice version;
        FUZZ_CHECK(ok == (reason == NULL));
        FUZZ_CHECK(!ok || fmt_dialoginfo_version(parts[i].body, &version));
        if (!ok)
            continue;
        check_chosen(parts[i].body);
        check_sessions(parts[i].body);
        const struct sum sum = sum_of(parts[i].body);
        before.children += sum.children;
        before.names += sum.names;
        valid++;
    }
    const enum hd_err err = fmt_dialoginfo_compose(ENTITY, parts, n, MAX, &one);
    FUZZ_CHECK(valid ? !err || err == HD_EFULL : err == HD_ESYNTAX);
    if (!err) {
        FUZZ_CHECK(fmt_dialoginfo_compose(ENTITY, parts, n, MAX, &two) == HD_OK);
        FUZZ_CHECK(hd_slice_eq(hd_str_slice(&one), hd_str_slice(&two)));
        check_composed(hd_str_slice(&one), before);
    }
    hd_str_done(&one);
    hd_str_done(&two);
    free(copy);
    return 0;
}
