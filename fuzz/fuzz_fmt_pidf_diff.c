/* fuzz_fmt_pidf_diff.c - what is shown to who keeps a copy of presence is well-formed, and says its
 * version where it is looked for.  Two documents, cut by a line of '%'. */
#include "fuzz.h"

#include "base/str.h"
#include "format/pidf_diff.h"
#include "format/xml_keyed.h"

#define MAX 65536

static void
check(enum hd_err err, struct hd_str *out)
{
    const char *reason;
    struct hd_slice version;

    if (!err) {
        FUZZ_CHECK(fmt_xml_check(hd_str_slice(out), 4 * MAX, &reason) == HD_OK ||
                   strstr(reason, "too "));
        FUZZ_CHECK(fmt_xml_root_version(hd_str_slice(out), &version));
        FUZZ_CHECK(hd_slice_eq(version, HD_LIT("1")));
    }
    hd_str_done(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy;
    struct hd_slice pieces[2];
    const size_t n = fuzz_split(fuzz_copy(data, size, &copy), pieces, 2);
    struct hd_str out = { 0 };

    check(fmt_pidf_full(pieces[0], &out), &out);
    if (n > 1)
        check(fmt_pidf_diff(pieces[0], pieces[1], &out), &out);
    free(copy);
    return 0;
}
