/* first.c - a broker that starts for the first time has users that somebody can log in as.
 *
 * Passwords are made of syllables so that they survive a telephone; each letter is drawn evenly,
 * since 256 is a multiple of 16 and bytes above the last multiple of 5 and 100 are drawn again. */
#include "heraldd/first.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "policy/policy.h"

/* Evenly below bound, which is at most 256. */
static unsigned
draw(unsigned bound)
{
    unsigned char octet;
    ssize_t got;

    do {
        got = getrandom(&octet, 1, 0);
        HD_ASSERT(got == 1 || errno == EINTR);
    } while (got != 1 || octet >= 256 / bound * bound);
    return octet % bound;
}

void
hd_password_make(char ret[HD_PASSWORD_TEXT])
{
    static const char consonants[16] = "bdfghjklmnprstvz";
    static const char vowels[5] = "aeiou";
    char *p = ret;

    for (unsigned group = 0; group < 4; group++) {
        for (unsigned i = 0; i < 2; i++) {
            *p++ = consonants[draw(16)];
            *p++ = vowels[draw(5)];
        }
        *p++ = '-';
    }
    *p++ = (char)('0' + draw(10));
    *p++ = (char)('0' + draw(10));
    *p = '\0';
}

static enum hd_err
make_user(struct pol_book **book, struct hd_slice name, struct hd_slice realm,
          struct hd_made_user *made)
{
    struct pol_book *after = NULL;
    struct pol_made login;
    enum hd_err err;

    hd_password_make(made->password);
    pol_login_make(name, realm, hd_slice_str(made->password), &login);
    const struct pol_user user = pol_user_of(name, &login, (uint64_t)time(NULL));
    err = pol_book_with_user(*book, &user, &after);
    explicit_bzero(&login, sizeof(login));
    if (err)
        return err;
    pol_book_unref(*book);
    *book = after;
    memcpy(made->name, name.p, name.n);
    made->name[name.n] = '\0';
    return HD_OK;
}

enum hd_err
hd_first_users(struct pol_book *book, const struct hd_conf *conf, const char *names,
               char ret_problem[HD_PROBLEM_TEXT], struct hd_made_user **ret_made, size_t *ret_n,
               struct pol_book **ret_book)
{
    struct hd_slice rest = hd_slice_str(names), name;
    struct hd_made_user *made;
    struct pol_book *after = pol_book_ref(book);
    enum hd_err err = HD_OK;
    size_t n = 0, most = names ? rest.n + 1 : conf->n_first_users;

    made = calloc(most + 1, sizeof(*made));
    if (!made)
        err = HD_ENOMEM;
    while (!err && (names ? rest.n > 0 : n < most)) {
        name = names ? hd_slice_trim(hd_slice_cut(&rest, ',')) : conf->first_users[n];
        if (!pol_name_ok(name)) {
            (void)snprintf(ret_problem, HD_PROBLEM_TEXT, "\"%.*s\" cannot be a user name",
                           (int)(name.n < 100 ? name.n : 100), name.p);
            err = HD_ESYNTAX;
        } else {
            err = make_user(&after, name, hd_conf_realm(conf), &made[n++]);
        }
    }
    if (err) {
        pol_book_unref(after);
        free(made);
        return err;
    }
    *ret_made = made;
    *ret_n = n;
    *ret_book = after;
    return HD_OK;
}
