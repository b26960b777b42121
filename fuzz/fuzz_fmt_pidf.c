/* fuzz_fmt_pidf.c - documents, one after the other with a line of '%' between them: what is valid
 * composes, and what was composed is valid, twice the same, and composes again. */
#include "fuzz.h"

#include "format/pidf.h"

#define MAX 65536
#define PARTS 4
#define ENTITY HD_LIT("sip:alice@example.test")

static size_t
split(struct hd_slice text, struct fmt_pidf_part parts[PARTS])
{
    struct hd_slice pieces[PARTS];
    const size_t n = fuzz_split(text, pieces, PARTS);

    for (size_t i = 0; i < n; i++) {
        parts[i].body = pieces[i];
        parts[i].number = (uint32_t)(i * 7919 % 5);
    }
    return n;
}

static void
compose_again(struct fmt_xml *xml, struct hd_slice once, const struct fmt_pidf_part *part)
{
    const struct fmt_pidf_part parts[] = { { once, 1, false }, { part->body, 2, false } };
    const char *reason = NULL;
    struct hd_str out = { 0 };
    const enum hd_err err = fmt_pidf_compose(xml, ENTITY, parts, 2, 4 * MAX, &out);
    FUZZ_CHECK(err == HD_OK || err == HD_EFULL);
    if (!err && out.n < MAX) {
        const enum hd_err valid = fmt_pidf_validate(hd_str_slice(&out), MAX, &reason);
        /* only the limits of the guard may be passed by putting things together */
        FUZZ_CHECK(!valid || strstr(reason, "too "));
    }
    hd_str_done(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy;
    const struct hd_slice text = fuzz_copy(data, size, &copy);
    struct fmt_xml *xml = fmt_xml_new();
    struct fmt_pidf_part parts[PARTS];
    const size_t n = split(text, parts);
    struct hd_str one = { 0 }, two = { 0 };
    const char *reason = NULL;
    size_t valid = 0;

    for (size_t i = 0; i < n; i++)
        valid += fmt_pidf_validate(parts[i].body, MAX, &reason) == HD_OK;
    const enum hd_err err = fmt_pidf_compose(xml, ENTITY, parts, n, MAX, &one);
    if (n > 1)
        FUZZ_CHECK(valid ? !err || err == HD_EFULL : err == HD_ESYNTAX);
    if (!err && valid) {
        FUZZ_CHECK(fmt_pidf_compose(xml, ENTITY, parts, n, MAX, &two) == HD_OK);
        FUZZ_CHECK(hd_slice_eq(hd_str_slice(&one), hd_str_slice(&two)));
        FUZZ_CHECK(fmt_pidf_is_for(hd_str_slice(&one), ENTITY));
        const enum hd_err again = fmt_pidf_validate(hd_str_slice(&one), 4 * MAX, &reason);
        FUZZ_CHECK(!again || strstr(reason, "too "));
        if (!again && one.n < MAX)
            compose_again(xml, hd_str_slice(&one), &parts[0]);
    }
    hd_str_done(&one);
    hd_str_done(&two);
    fmt_xml_free(xml);
    free(copy);
    return 0;
}
