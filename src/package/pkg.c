/* pkg.c - which packages are built in.
 *
 * Invariant: names are compared octet by octet (RFC 6665 section 8.2.1 makes them case-sensitive
 * tokens). */
#include "package/pkg.h"

static const struct builtin {
    struct hd_slice name;
    struct hd_slice type;
    const struct evt_package_ops *(*ops)(void);
} builtins[] = {
    /* RFC 3856 section 6.5: without Accept it is PIDF */
    { { "presence", 8 }, { "application/pidf+xml", 20 }, pkg_presence_ops },
    /* RFC 3842 section 3.5 */
    { { "message-summary", 15 },
      { "application/simple-message-summary", 34 },
      pkg_message_summary_ops },
    /* RFC 4235 section 3.5 */
    { { "dialog", 6 }, { "application/dialog-info+xml", 27 }, pkg_dialog_ops },
    /* RFC 3680 section 4.4 */
    { { "reg", 3 }, { "application/reginfo+xml", 23 }, pkg_reg_ops },
};

static const struct builtin *
builtin_find(struct hd_slice name)
{
    for (size_t i = 0; i < HD_ARRAY_LEN(builtins); i++)
        if (hd_slice_eq(builtins[i].name, name))
            return &builtins[i];
    return NULL;
}

const struct evt_package_ops *
pkg_find_builtin(struct hd_slice name)
{
    const struct builtin *builtin = builtin_find(name);
    return builtin ? builtin->ops() : NULL;
}

const struct evt_package_ops *
pkg_ops(struct hd_slice name)
{
    const struct evt_package_ops *ops = pkg_find_builtin(name);
    return ops ? ops : pkg_generic_ops();
}

const struct hd_slice pkg_presence_types[2] = { { "application/pidf+xml", 20 },
                                                { "application/pidf-diff+xml", 25 } };

struct hd_slice
pkg_default_type(struct hd_slice name)
{
    const struct builtin *builtin = builtin_find(name);
    return builtin ? builtin->type : (struct hd_slice){ 0 };
}

const struct evt_keeper *
pkg_keeper(struct hd_slice name)
{
    return hd_slice_eq(name, HD_LIT("reg")) ? pkg_reg_keeper() : NULL;
}
