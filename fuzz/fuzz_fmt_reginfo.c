/* fuzz_fmt_reginfo.c - documents, one after the other with a line of '%' between them: what is
 * valid composes; what was composed is valid and twice the same; what changed between two is
 * well-formed. */
#include "fuzz.h"

#include "format/reginfo.h"
#include "format/xml_keyed.h"

#define MAX 65536
#define PARTS 4
#define AOR HD_LIT("sip:alice@example.test")

static void
check_composed(struct hd_slice text)
{
    const char *reason = NULL;
    struct hd_slice version;
    const enum hd_err err = fmt_reginfo_validate(text, 8 * MAX, &reason);

    FUZZ_CHECK(fmt_xml_root_version(text, &version) && fuzz_inside(version, text));
    FUZZ_CHECK(fmt_reginfo_is_for(text, AOR));
    /* only limits may be passed by putting things together */
    FUZZ_CHECK(!err || hd_slice_istarts(hd_slice_str(reason), HD_LIT("reginfo: too many")) ||
               hd_slice_find(hd_slice_str(reason), ':') < hd_slice_str(reason).n);
}

static void
check_partial(struct hd_slice base, struct hd_slice now)
{
    struct hd_str out = { 0 };
    const char *reason;

    if (fmt_reginfo_partial(base, now, &out) == HD_OK)
        FUZZ_CHECK(fmt_xml_check(hd_str_slice(&out), 8 * MAX, &reason) == HD_OK);
    hd_str_done(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hd_slice pieces[PARTS];
    struct fmt_reginfo_part parts[PARTS];
    struct hd_str out = { 0 }, again = { 0 };
    const char *reason;
    char *memory;
    struct hd_slice text = fuzz_copy(data, size, &memory);
    const size_t n = fuzz_split(text, pieces, PARTS);
    bool valid[PARTS] = { false };

    for (size_t i = 0; i < n; i++) {
        parts[i] = (struct fmt_reginfo_part){ pieces[i], (uint32_t)(i * 7919 % 5) };
        valid[i] = fmt_reginfo_validate(pieces[i], MAX, &reason) == HD_OK;
    }
    if (n > 1 && valid[0] && valid[1])
        check_partial(pieces[0], pieces[1]);
    if (n > 0 && fmt_reginfo_compose(AOR, parts, n, MAX, &out) == HD_OK) {
        check_composed(hd_str_slice(&out));
        FUZZ_CHECK(fmt_reginfo_compose(AOR, parts, n, MAX, &again) == HD_OK);
        FUZZ_CHECK(hd_slice_eq(hd_str_slice(&out), hd_str_slice(&again)));
    }
    hd_str_done(&out);
    hd_str_done(&again);
    free(memory);
    return 0;
}
