/* dialoginfo_alloc_test.c - every allocation in composing dialog documents is refused once, in
 * turn: it is told and nothing leaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/test_alloc.h"

#include "base/str.c"
#include "dialoginfo.c"

#define MAX 65536
#define DOC                                                                                        \
    "<dialog-info xmlns='" NS "' version='0' state='full' entity='sip:a@b'>"                       \
    "<dialog id='a'><state/></dialog><note/></dialog-info>"

static const struct fmt_dialoginfo_part parts[] = {
    { { DOC, sizeof(DOC) - 1 }, 1 },
    { { DOC, sizeof(DOC) - 1 }, 2 },
};

static void
composing_tells_every_refused_allocation(void **state)
{
    (void)state;
    for (unsigned n = 0;; n++) {
        struct hd_str out = { 0 };
        alloc_refuse(n);
        const enum hd_err err = fmt_dialoginfo_compose(HD_LIT("sip:a@b"), parts, 2, MAX, &out);
        const bool refused = alloc_allow();
        if (err != (refused ? HD_ENOMEM : HD_OK))
            fail_msg("allocation %u: %s", n, hd_err_text(err));
        hd_str_done(&out);
        if (!refused) {
            assert_true(n > 3);
            break;
        }
    }
}

static void
leaving_something_out_tells_every_refused_allocation(void **state)
{
    static const char doc[] =
        "<dialog-info xmlns='" NS "' version='0' state='full' entity='sip:a@b'>"
        "<dialog id='a' call-id='c' local-tag='l'><state/><local>"
        "<session-description/></local></dialog></dialog-info>";
    const struct fmt_dialoginfo_choice choice = { HD_LIT("c"), HD_LIT("l"), { NULL, 0 } };

    (void)state;
    for (unsigned sessions = 0; sessions <= 1; sessions++) {
        bool refused = true;
        for (unsigned n = 0; refused; n++) {
            struct hd_str out = { 0 };
            enum fmt_dialoginfo_chosen chosen;
            alloc_refuse(n);
            const enum hd_err err =
                sessions ? fmt_dialoginfo_without_sessions(hd_slice_str(doc), &out)
                         : fmt_dialoginfo_choose(hd_slice_str(doc), &choice, &out, &chosen);
            refused = alloc_allow();
            assert_true(n > 0 || refused);
            assert_int_equal(err, refused ? HD_ENOMEM : HD_OK);
            hd_str_done(&out);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(composing_tells_every_refused_allocation),
        cmocka_unit_test(leaving_something_out_tells_every_refused_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
