/* unit.c - a number and one unit.
 * The unit decides first: an unknown one is an error of syntax however large the number is. */
#include "base/unit.h"

struct unit {
    struct hd_slice name;
    uint64_t factor;
};

static const struct unit durations[] = {
    { { "", 0 }, 1000 },   { { "ms", 2 }, 1 },      { { "s", 1 }, 1000 },
    { { "m", 1 }, 60000 }, { { "h", 1 }, 3600000 }, { { "d", 1 }, 86400000 },
};

static const struct unit sizes[] = {
    { { "", 0 }, 1 },
    { { "B", 1 }, 1 },
    { { "KiB", 3 }, UINT64_C(1) << 10 },
    { { "MiB", 3 }, UINT64_C(1) << 20 },
    { { "GiB", 3 }, UINT64_C(1) << 30 },
    { { "TiB", 3 }, UINT64_C(1) << 40 },
};

static enum hd_err
parse(struct hd_slice text, const struct unit *units, size_t n_units, uint64_t *ret_value)
{
    size_t digits = 0;
    struct hd_slice name;

    while (digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9')
        digits++;
    name = hd_slice_from(text, digits);
    for (size_t i = 0; i < n_units; i++) {
        uint64_t number;
        enum hd_err err;

        if (!hd_slice_eq(name, units[i].name))
            continue;
        err = hd_slice_to_u64(hd_slice(text.p, digits), &number);
        if (err)
            return err;
        if (number > UINT64_MAX / units[i].factor)
            return HD_ERANGE;
        *ret_value = number * units[i].factor;
        return HD_OK;
    }
    return HD_ESYNTAX;
}

enum hd_err
hd_unit_ms(struct hd_slice text, uint64_t *ret_ms)
{
    return parse(text, durations, HD_ARRAY_LEN(durations), ret_ms);
}

enum hd_err
hd_unit_octets(struct hd_slice text, uint64_t *ret_octets)
{
    return parse(text, sizes, HD_ARRAY_LEN(sizes), ret_octets);
}
