/* first.h - the users of a first start, and passwords that people can read out.
 * Thread: any. */
#ifndef HD_HERALDD_FIRST_H
#define HD_HERALDD_FIRST_H

#include <stddef.h>

#include "heraldd/config.h"
#include "policy/book.h"

#define HD_PASSWORD_TEXT 24 /* with the NUL */

/* A user made at this start: the password is known here alone, the state holds hashes. */
struct hd_made_user {
    char name[POL_NAME_MAX + 1];
    char password[HD_PASSWORD_TEXT];
};

/** A password of four groups of two syllables and a number, "bafe-kori-tupa-lizo-27": 57 bits of
 * the kernel's entropy. */
void hd_password_make(char ret[HD_PASSWORD_TEXT]);

/**
 * A book with the first users added, each with a password of its own.
 * @param names  "2001,2002"; NULL: those of the configuration
 * @param ret_problem  one line on HD_ESYNTAX
 * @param ret_made  the caller's, free(); NULL when there are none
 * @return HD_OK with one reference of ret_book; HD_ESYNTAX a name that cannot be; HD_ENOMEM;
 * HD_EFULL
 */
HD_NODISCARD enum hd_err hd_first_users(struct pol_book *book, const struct hd_conf *conf,
                                        const char *names, char ret_problem[HD_PROBLEM_TEXT],
                                        struct hd_made_user **ret_made, size_t *ret_n,
                                        struct pol_book **ret_book);

#endif
