/* err.h - the one error type of herald, and the assertions.
 * Thread: any.  errno is turned into an hd_err right after a system call and never crosses a
 * module. */
#ifndef HD_BASE_ERR_H
#define HD_BASE_ERR_H

#define HD_NODISCARD __attribute__((warn_unused_result))
#define HD_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

enum hd_err {
    HD_OK = 0,
    HD_ESYNTAX,  /* octets that the grammar does not allow */
    HD_ERANGE,   /* a number that does not fit where it is kept */
    HD_ENOSPC,   /* the output buffer or the arena is full */
    HD_ENOMEM,   /* the allocator refused */
    HD_ENOMATCH, /* nothing has that name, tag or handle */
    HD_EBUSY,    /* a change of it is under way: queue */
    HD_EFULL,    /* a configured cap is reached */
    HD_ESTORE,   /* the store could not keep it */
    HD_EIO,      /* a system call failed; logged where it did */
    HD_EAGAIN,   /* not complete yet: come again with more */
    HD_ENOTSUP,  /* understood, but not supported */
    HD_EDENIED,  /* not allowed */
    HD_EEXIST,   /* it is there already */
    HD_EVERSION, /* a format newer than this program */
    HD_ERR_COUNT
};

/** Lower-case words for an error, for logs and tests.  Static storage; never NULL. */
const char *hd_err_text(enum hd_err err);

/** Prints the place and the condition to standard error and aborts.  Never returns. */
_Noreturn void hd_assert_failed(const char *condition, const char *file, int line);

/* Assertions say what must hold inside herald; they stay on in release builds.  Input is never
 * asserted. */
#define HD_ASSERT(condition)                                                                       \
    ((condition) ? (void)0 : hd_assert_failed(#condition, __FILE__, __LINE__))
#define HD_ASSERT_OBJ(object, magic_value)                                                         \
    HD_ASSERT((object) != NULL && (object)->magic == (magic_value))

#define HD_ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))
#define HD_CONTAINER(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
