/* pidf_alloc_test.c - every allocation of ours in composing presence documents is refused once, in
 * turn: it is told and nothing leaks. (Not the XML library's own: it tells some of its failures as
 * syntax errors, so that a document may be left out.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/test_alloc.h"

#include "base/str.c"
#include "pidf.c"

#define MAX 65536
#define ROOT                                                                                       \
    "<presence xmlns='urn:ietf:params:xml:ns:pidf' "                                               \
    "xmlns:dm='urn:ietf:params:xml:ns:pidf:data-model' xmlns:x='urn:"
#define REST                                                                                       \
    "' x:a='1' entity='sip:a@b'><tuple id='t'><status/></tuple><dm:person id='p'/>"                \
    "<dm:device id='d'><dm:deviceID>urn:d:1</dm:deviceID></dm:device><x:e/>"                       \
    "<note>n</note></presence>"

#define KEPT                                                                                       \
    "<presence xmlns='urn:ietf:params:xml:ns:pidf' "                                               \
    "xmlns:dm='urn:ietf:params:xml:ns:pidf:data-model' "                                           \
    "xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' entity='sip:a@b'>"                                 \
    "<dm:person id='k'><r:activities><r:on-the-phone/></r:activities></dm:person></presence>"

static const struct fmt_pidf_part parts[] = {
    { { ROOT "one" REST, sizeof(ROOT "one" REST) - 1 }, 1, false },
    { { ROOT "two" REST, sizeof(ROOT "two" REST) - 1 }, 2, false },
    { { KEPT, sizeof(KEPT) - 1 }, 0, true },
};

static void
composing_tells_every_refused_allocation(void **state)
{
    (void)state;
    struct fmt_xml *xml = fmt_xml_new();
    struct hd_str whole = { 0 };
    assert_int_equal(
        fmt_pidf_compose(xml, HD_LIT("sip:a@b"), parts, HD_ARRAY_LEN(parts), MAX, &whole), HD_OK);
    for (unsigned n = 0;; n++) {
        struct hd_str out = { 0 };
        alloc_refuse(n);
        const enum hd_err err =
            fmt_pidf_compose(xml, HD_LIT("sip:a@b"), parts, HD_ARRAY_LEN(parts), MAX, &out);
        const bool refused = alloc_allow();
        if (err != (refused ? HD_ENOMEM : HD_OK))
            fail_msg("allocation %u: %s", n, hd_err_text(err));
        hd_str_done(&out);
        if (!refused) {
            assert_true(n > 3);
            break;
        }
    }
    hd_str_done(&whole);
    fmt_xml_free(xml);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(composing_tells_every_refused_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
