/* fuzz_fmt_summary.c - a summary that is read and written reads as the same and is written alike.
 */
#include "fuzz.h"

#include "format/summary.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy;
    const struct hd_slice text = fuzz_copy(data, size, &copy);
    struct fmt_summary summary, again;
    const char *reason;

    if (fmt_summary_parse(text, &summary, &reason) == HD_OK) {
        struct hd_str one = { 0 }, two = { 0 };
        fmt_summary_write(&summary, HD_LIT("sip:a@example.test"), &one);
        FUZZ_CHECK(fmt_summary_parse(hd_str_slice(&one), &again, &reason) == HD_OK);
        FUZZ_CHECK(again.waiting == summary.waiting && again.n_lines == summary.n_lines);
        FUZZ_CHECK(again.account.n > 0);
        fmt_summary_write(&again, HD_LIT(""), &two);
        FUZZ_CHECK(hd_slice_eq(hd_str_slice(&one), hd_str_slice(&two)));
        hd_str_done(&one);
        hd_str_done(&two);
    }
    free(copy);
    return 0;
}
