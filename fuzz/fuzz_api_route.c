/* fuzz_api_route.c - targets and fields of requests over HTTP: what is read lies where it should, a
 * part that was decoded and is escaped again reads the same, and no two routes take one path.
 * Pieces: the target, Accept, an entity-tag, a list of them, durations, Authorization. */
#include "fuzz.h"

#include "http/route.h"

static void
escape(struct hd_slice part, char *out, size_t *n)
{
    static const char hex[] = "0123456789ABCDEF";

    for (size_t i = 0; i < part.n; i++) {
        out[(*n)++] = '%';
        out[(*n)++] = hex[(unsigned char)part.p[i] >> 4];
        out[(*n)++] = hex[(unsigned char)part.p[i] & 15];
    }
}

static void
check_again(const struct api_target *target)
{
    static struct api_target again;
    static char text[64 + 6 * API_TARGET_MAX];
    size_t n = 0;

    if (target->route->what != API_EVENTS || target->part[0].n + target->part[1].n > 1000)
        return;
    memcpy(text, "/v1/events/", 11);
    n = 11;
    escape(target->part[0], text, &n);
    text[n++] = '/';
    escape(target->part[1], text, &n);
    FUZZ_CHECK(api_target_read(hd_slice(text, n), &again) == HD_OK);
    FUZZ_CHECK(again.route == target->route && hd_slice_eq(again.part[0], target->part[0]) &&
               hd_slice_eq(again.part[1], target->part[1]) && again.n_params == 0);
}

static void
check_target(struct hd_slice text)
{
    static struct api_target target;
    enum hd_err err = api_target_read(text, &target);

    FUZZ_CHECK((err == HD_OK) == (target.route != NULL));
    if (err)
        return;
    const struct hd_slice room = hd_slice(target.room, sizeof(target.room));
    FUZZ_CHECK(target.room_n <= sizeof(target.room) && target.n_params <= API_PARAMS_MAX);
    for (size_t i = 0; i < 2; i++)
        FUZZ_CHECK(fuzz_inside(target.part[i], room));
    for (size_t i = 0; i < target.n_params; i++) {
        const struct api_param *param = &target.params[i];
        FUZZ_CHECK(fuzz_inside(param->name, room) && fuzz_inside(param->value, room));
        for (size_t k = 0; k < param->value.n; k++)
            FUZZ_CHECK((unsigned char)param->value.p[k] >= ' ' && param->value.p[k] != 0x7f);
    }
    check_again(&target);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct hd_slice pidf = HD_LIT("application/pidf+xml");
    struct hd_slice pieces[6] = { { 0 } }, tag = { 0 }, rest = { 0 };
    enum api_match match;
    uint32_t seconds = 0;
    char *p;
    struct hd_slice text = fuzz_copy(data, size, &p);
    size_t n = fuzz_split(text, pieces, 6);

    check_target(pieces[0]);
    if (n > 1)
        FUZZ_CHECK(api_accepts(pieces[1], pidf) <= 3);
    if (n > 2 && api_etag_read(pieces[2], &match, &tag, &rest) == HD_OK && match == API_MATCH_TAG)
        do {
            FUZZ_CHECK(fuzz_inside(tag, text) && api_etag_listed_strong(pieces[2], tag));
        } while (api_etag_next(&rest, &tag) == HD_OK);
    if (n > 3)
        (void)api_etag_listed(pieces[3], tag);
    if (n > 4 && api_max_age(pieces[4], &seconds) == HD_OK)
        FUZZ_CHECK(seconds < UINT32_MAX);
    if (n > 4)
        (void)!api_seconds(pieces[4], &seconds);
    if (n > 5)
        FUZZ_CHECK(fuzz_inside(api_bearer(pieces[5]), text));
    (void)api_accepts_coding(pieces[n - 1], HD_LIT("gzip"));
    free(p);
    return 0;
}
