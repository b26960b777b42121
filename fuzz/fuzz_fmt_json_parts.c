/* fuzz_fmt_json_parts.c - JSON that passed the check, merged as RFC 7396 says and composed by
 * rules: what comes out passes the check as well, and a merge is what a second implementation over
 * jansson makes of it.  Documents, the newest first, are cut by lines of '%'. */
#include <jansson.h>

#include "fuzz.h"

#include "base/str.h"
#include "format/json.h"
#include "format/json_compose.h"
#include "format/json_merge.h"

#define MAX 65536
#define DOCUMENTS 4

/* MergePatch of RFC 7396 section 2, word for word; takes the reference to target. */
static json_t *
merge(json_t *target, json_t *patch)
{
    const char *name;
    json_t *value;

    if (!json_is_object(patch)) {
        json_decref(target);
        return json_incref(patch);
    }
    if (!json_is_object(target)) {
        json_decref(target);
        target = json_object();
    }
    json_object_foreach(patch, name, value)
    {
        if (json_is_null(value)) {
            (void)json_object_del(target, name);
        } else {
            json_t *merged = merge(json_incref(json_object_get(target, name)), value);
            (void)json_object_set_new(target, name, merged);
        }
    }
    return target;
}

static json_t *
load(struct hd_slice text)
{
    json_t *value = json_loadb(text.p, text.n, JSON_DECODE_ANY, NULL);
    FUZZ_CHECK(value);
    return value;
}

static void
check_merge(struct hd_slice target, struct hd_slice patch)
{
    struct hd_str out = { 0 };
    const enum hd_err err = fmt_json_merge(target, patch, &out);

    FUZZ_CHECK(err == HD_OK || err == HD_EFULL);
    if (!err) {
        json_t *p = load(patch), *expected = merge(load(target), p);
        json_t *made = load(hd_str_slice(&out));
        FUZZ_CHECK(json_equal(made, expected));
        json_decref(made);
        json_decref(expected);
        json_decref(p);
    }
    hd_str_done(&out);
}

static void
check_compose(const struct hd_slice *documents, size_t n)
{
    static const struct fmt_rule_path rules[] = {
        { { "/s", 2 }, FMT_RULE_SUM },   { { "/a/*", 4 }, FMT_RULE_SUM },
        { { "/a/m", 4 }, FMT_RULE_MAX }, { { "/l", 2 }, FMT_RULE_LIST },
        { { "/n/o", 4 }, FMT_RULE_MIN }, { { "/*/x", 4 }, FMT_RULE_LATEST },
    };
    struct hd_str out = { 0 }, again = { 0 };
    uint32_t unfit = 0, unfit_again = 0;
    const char *reason = NULL;
    const enum hd_err err =
        fmt_json_compose(rules, HD_ARRAY_LEN(rules), documents, n, &out, &unfit);

    FUZZ_CHECK(err == HD_OK || err == HD_EFULL);
    if (!err) {
        FUZZ_CHECK(fmt_json_check(hd_str_slice(&out), 16 * MAX, &reason) == HD_OK ||
                   strstr(reason, "too deep"));
        FUZZ_CHECK(fmt_json_compose(rules, HD_ARRAY_LEN(rules), documents, n, &again,
                                    &unfit_again) == HD_OK);
        FUZZ_CHECK(hd_slice_eq(hd_str_slice(&out), hd_str_slice(&again)));
        FUZZ_CHECK(unfit == unfit_again);
    }
    hd_str_done(&out);
    hd_str_done(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy;
    struct hd_slice pieces[DOCUMENTS];
    const size_t n = fuzz_split(fuzz_copy(data, size, &copy), pieces, DOCUMENTS);
    bool good = true;

    for (size_t i = 0; i < n; i++) {
        const char *reason;
        good = good && fmt_json_check(pieces[i], MAX, &reason) == HD_OK;
    }
    if (good) {
        check_compose(pieces, n);
        if (n > 1)
            check_merge(pieces[0], pieces[1]);
    }
    free(copy);
    return 0;
}
