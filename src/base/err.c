/* err.c - words for the one error type, and the end of a failed assertion.
 * An assertion that fails means that memory can no longer be trusted: nothing is cleaned up, the
 * process aborts and whoever supervises it starts it again from the store. */
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const err_texts[] = {
    [HD_OK] = "ok",
    [HD_ESYNTAX] = "syntax error",
    [HD_ERANGE] = "number out of range",
    [HD_ENOSPC] = "no space in the buffer",
    [HD_ENOMEM] = "out of memory",
    [HD_ENOMATCH] = "no match",
    [HD_EBUSY] = "busy with a change",
    [HD_EFULL] = "limit reached",
    [HD_ESTORE] = "store failed",
    [HD_EIO] = "input or output failed",
    [HD_EAGAIN] = "not complete yet",
    [HD_ENOTSUP] = "not supported",
    [HD_EDENIED] = "not allowed",
    [HD_EEXIST] = "exists already",
    [HD_EVERSION] = "format is newer than this program",
};

_Static_assert(HD_ARRAY_LEN(err_texts) == HD_ERR_COUNT, "every error has its words");

const char *
hd_err_text(enum hd_err err)
{
    if ((unsigned)err >= HD_ERR_COUNT)
        return "unknown error";
    return err_texts[err];
}

void
hd_assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "herald: assertion failed: %s at %s:%d\n", condition, file, line);
    abort();
}
