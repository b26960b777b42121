/* calls_transform.c - the calls about transformations: what a rule that shows a part of a document
 * shows of it (RFC 5025 and paths of herald's own). */
#include "format/position.h"
#include "heraldd/calls_core.h"
#include "policy/policy.h"

/* An array of strings, borrowed from the call; false: answered. */
static bool
strings_ok(const struct hd_call *call, const char *name, struct hd_slice *slices, size_t most,
           size_t *ret_n)
{
    const json_t *array = json_object_get(call->args, name), *value;
    size_t i;

    *ret_n = 0;
    json_array_foreach(array, i, value)
    {
        if (!json_is_string(value) || *ret_n == most) {
            hd_reply_error(call->reply, "%s must be an array of at most %zu strings", name, most);
            return false;
        }
        slices[(*ret_n)++] = hd_slice(json_string_value(value), json_string_length(value));
    }
    return true;
}

static json_t *
transform_json(const struct pol_transform *transform)
{
    const struct fmt_reduction *r = &transform->reduction;
    json_t *json =
        json_pack("{s:o, s:o, s:o, s:o}", "name", hd_json_slice(transform->name), "hide",
                  hd_json_slices(r->hide, r->n_hide), "only", hd_json_slices(r->only, r->n_only),
                  "provide", hd_json_slices(r->provide, r->n_provide));
    bool ok = json != NULL;

    if (ok && r->circle_m)
        ok = json_object_set_new(json, "circle_m", json_integer(r->circle_m)) == 0 &&
             json_object_set_new(json, "civic", hd_json_slice(fmt_civic_word(r->civic))) == 0;
    if (ok)
        return json;
    json_decref(json);
    return NULL;
}

static void
transform_set(const struct hd_call *call, const struct pol_transform *transform)
{
    struct pol_book *after = NULL;
    const enum hd_err err = pol_book_with_transform(hd_call_book(call), transform, &after);

    if (err == HD_ESYNTAX)
        hd_reply_error(
            call->reply,
            "that transformation cannot be: a path is /a/b, //a or /a/*/@b, a permission "
            "one of RFC 5025, a circle has %u to %u metres, and something has to be said",
            FMT_CIRCLE_LEAST_M, FMT_CIRCLE_MOST_M);
    else
        hd_call_edit(call, err, after, (struct hd_slice){ 0 }, transform_json(transform));
}

static void
call_transform_set(const struct hd_call *call)
{
    struct hd_slice hide[FMT_PATHS_MAX], only[FMT_PATHS_MAX], provide[FMT_PROVIDES_MAX];
    const struct hd_slice civic = hd_call_arg(call, "civic");
    const json_int_t circle_m = json_integer_value(json_object_get(call->args, "circle_m"));
    struct pol_transform transform = { .name = hd_call_arg(call, "name") };
    struct fmt_reduction *r = &transform.reduction;

    if (!strings_ok(call, "hide", hide, HD_ARRAY_LEN(hide), &r->n_hide) ||
        !strings_ok(call, "only", only, HD_ARRAY_LEN(only), &r->n_only) ||
        !strings_ok(call, "provide", provide, HD_ARRAY_LEN(provide), &r->n_provide))
        return;
    if (civic.p && fmt_civic_read(civic, &r->civic)) {
        hd_reply_error(call->reply,
                       "civic: expected none, country, region, city, building or full");
        return;
    }
    r->hide = hide;
    r->only = only;
    r->provide = provide;
    /* What does not fit is no radius either. */
    r->circle_m = circle_m >= 0 && circle_m <= FMT_CIRCLE_MOST_M ? (uint32_t)circle_m : 1;
    transform_set(call, &transform);
}

static void
call_transform_remove(const struct hd_call *call)
{
    const struct hd_slice name = hd_call_arg(call, "name");
    struct pol_book *after = NULL;
    const enum hd_err err = pol_book_without_transform(hd_call_book(call), name, &after);

    if (err == HD_ENOMATCH)
        hd_reply_error(call->reply, "there is no transformation %.*s", hd_call_shown(name), name.p);
    else if (err == HD_EBUSY)
        hd_reply_error(call->reply, "rules use the transformation %.*s; policy-list shows them",
                       hd_call_shown(name), name.p);
    else
        hd_call_edit(call, err, after, (struct hd_slice){ 0 },
                     json_pack("{s:o}", "name", hd_json_slice(name)));
}

static bool
show_transform(void *context, const struct pol_transform *transform)
{
    struct hd_rows *rows = context;

    hd_rows_add(rows, transform_json(transform));
    return !rows->failed;
}

static void
call_transform_show(const struct hd_call *call)
{
    struct hd_rows rows = { .call = call, .rows = json_array() };

    if (rows.rows)
        pol_book_each_transform(hd_call_book(call), show_transform, &rows);
    hd_rows_answer(call, &rows, "transforms");
}

/* --- the table ------------------------------------------------------------------------- */

static const struct hd_call_row table[] = {
    { "policy-transform-set",
      call_transform_set,
      { { "name", JSON_STRING, true },
        { "hide", JSON_ARRAY, false },
        { "only", JSON_ARRAY, false },
        { "provide", JSON_ARRAY, false },
        { "circle_m", JSON_INTEGER, false },
        { "civic", JSON_STRING, false } } },
    { "policy-transform-remove", call_transform_remove, { { "name", JSON_STRING, true } } },
    { "policy-transform-show", call_transform_show, { { NULL, JSON_NULL, false } } },
};

const struct hd_call_row *
hd_calls_transform(size_t *ret_n)
{
    *ret_n = HD_ARRAY_LEN(table);
    return table;
}
