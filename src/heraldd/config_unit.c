/* config_unit.c - the numbers of a configuration file in their units, both ways: as the file writes
 * them, and as a refusal shows the bounds that they were held to. */
#include "heraldd/config_unit.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/unit.h"

const char *
hd_conf_unit_show(enum hd_conf_unit unit, uint64_t v, char ret[32])
{
    static const struct {
        uint64_t factor;
        const char *name;
    } times[] = { { 24 * 3600 * 1000, "d" },
                  { 3600 * 1000, "h" },
                  { 60000, "m" },
                  { 1000, "s" },
                  { 1, "ms" } },
      sizes[] = { { 1 << 30, "GiB" }, { 1 << 20, "MiB" }, { 1024, "KiB" }, { 1, "B" } };

    switch (unit) {
    case HD_CONF_COUNT:
        (void)snprintf(ret, 32, "%" PRIu64, v);
        break;
    case HD_CONF_PERCENT:
        (void)snprintf(ret, 32, "%" PRIu64 "%%", v);
        break;
    case HD_CONF_SECONDS:
        return hd_conf_unit_show(HD_CONF_MS, v * 1000, ret);
    case HD_CONF_MS:
        if (v == 0)
            return "0s";
        for (size_t i = 0; i < HD_ARRAY_LEN(times); i++)
            if (v % times[i].factor == 0) {
                (void)snprintf(ret, 32, "%" PRIu64 "%s", v / times[i].factor, times[i].name);
                break;
            }
        break;
    case HD_CONF_US:
        if (v % 1000 == 0)
            return hd_conf_unit_show(HD_CONF_MS, v / 1000, ret);
        (void)snprintf(ret, 32, "%" PRIu64 "us", v);
        break;
    case HD_CONF_SIZE:
        if (v == 0)
            return "0";
        for (size_t i = 0; i < HD_ARRAY_LEN(sizes); i++)
            if (v % sizes[i].factor == 0) {
                (void)snprintf(ret, 32, "%" PRIu64 "%s", v / sizes[i].factor, sizes[i].name);
                break;
            }
        break;
    }
    return ret;
}

enum hd_err
hd_conf_unit_read(enum hd_conf_unit unit, struct hd_slice text, uint64_t *ret_value)
{
    uint64_t v = 0;
    enum hd_err err = HD_ESYNTAX;

    switch (unit) {
    case HD_CONF_COUNT:
        err = hd_slice_to_u64(text, &v);
        break;
    case HD_CONF_PERCENT:
        if (text.n > 0 && text.p[text.n - 1] == '%')
            text.n--;
        err = hd_slice_to_u64(text, &v);
        break;
    case HD_CONF_SECONDS:
        err = hd_unit_ms(text, &v);
        if (!err && v % 1000 != 0)
            err = HD_ESYNTAX; /* whole seconds go into Expires */
        v /= 1000;
        break;
    case HD_CONF_MS:
        err = hd_unit_ms(text, &v);
        break;
    case HD_CONF_US:
        if (text.n > 2 && text.p[text.n - 2] == 'u' && text.p[text.n - 1] == 's') {
            err = hd_slice_to_u64(hd_slice(text.p, text.n - 2), &v);
            break;
        }
        err = hd_unit_ms(text, &v);
        if (!err && v > UINT32_MAX)
            err = HD_ERANGE;
        v *= 1000;
        break;
    case HD_CONF_SIZE:
        err = hd_unit_octets(text, &v);
        break;
    }
    if (!err)
        *ret_value = v;
    return err;
}

const char *
hd_conf_unit_words(enum hd_conf_unit unit)
{
    switch (unit) {
    case HD_CONF_COUNT:
        return "a whole number";
    case HD_CONF_SECONDS:
        return "a duration in whole seconds such as 90s, 5m or 1h,";
    case HD_CONF_MS:
        return "a duration such as 250ms, 90s or 5m,";
    case HD_CONF_US:
        return "a duration such as 500us or 2ms,";
    case HD_CONF_SIZE:
        return "a size such as 1300B, 64KiB or 2MiB,";
    case HD_CONF_PERCENT:
        return "a percentage such as 10%";
    }
    return "";
}
