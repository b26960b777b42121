/* fuzz_fmt_reduce.c - what a rule leaves of a document is well-formed, nothing of it is hidden, and
 * it stays the same when it is reduced again.  Input: words "hide PATH", "only PATH", "provide
 * PERMISSION", "circle METRES", a line each, an empty line, the document. */
#include "fuzz.h"

#include "format/json.h"
#include "format/reduce.h"
#include "format/xml_read.h"

struct wish {
    struct hd_slice hide[FMT_PATHS_MAX], only[FMT_PATHS_MAX], provide[FMT_PROVIDES_MAX];
    struct fmt_reduction r;
};

static void
wish_read(struct hd_slice *rest, struct wish *w)
{
    struct hd_slice line;
    while (rest->n && (line = hd_slice_cut(rest, '\n')).n) {
        const struct hd_slice word = hd_slice_cut(&line, ' ');
        uint32_t metres;
        if (hd_slice_eq(word, HD_LIT("hide")) && fmt_path_ok(line) && w->r.n_hide < FMT_PATHS_MAX)
            w->hide[w->r.n_hide++] = line;
        if (hd_slice_eq(word, HD_LIT("only")) && fmt_path_ok(line) && w->r.n_only < FMT_PATHS_MAX)
            w->only[w->r.n_only++] = line;
        if (hd_slice_eq(word, HD_LIT("provide")) && fmt_provide_ok(line) &&
            w->r.n_provide < FMT_PROVIDES_MAX)
            w->provide[w->r.n_provide++] = line;
        if (hd_slice_eq(word, HD_LIT("circle")) && !hd_slice_to_u32(line, &metres))
            w->r.circle_m = 10 + metres % 100000;
        if (hd_slice_eq(word, HD_LIT("civic")))
            (void)!fmt_civic_read(line, &w->r.civic);
    }
    w->r.hide = w->hide;
    w->r.only = w->only;
    w->r.provide = w->provide;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct wish w;
    char *copy;
    struct hd_slice rest = fuzz_copy(data, size, &copy);
    struct hd_str out = { 0 }, again = { 0 };
    const char *reason;

    w = (struct wish){ 0 };
    wish_read(&rest, &w);
    if (fmt_reduce_json(&w.r, rest, 65536, &out) == HD_OK)
        FUZZ_CHECK(fmt_json_check(hd_str_slice(&out), SIZE_MAX, &reason) == HD_OK);
    hd_str_done(&out);
    if (fmt_reduce_xml(&w.r, rest, 65536, &out) == HD_OK) {
        FUZZ_CHECK(fmt_xml_check(hd_str_slice(&out), SIZE_MAX, &reason) == HD_OK);
        /* A circle about a circle is a greater one, and what selects a part may be hidden. */
        if (w.r.circle_m == 0 && w.r.n_provide == 0) {
            FUZZ_CHECK(fmt_reduce_xml(&w.r, hd_str_slice(&out), SIZE_MAX, &again) == HD_OK);
            FUZZ_CHECK(hd_slice_eq(hd_str_slice(&out), hd_str_slice(&again)));
        }
    }
    hd_str_done(&out);
    hd_str_done(&again);
    free(copy);
    return 0;
}
