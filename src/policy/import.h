/* import.h - users from a text that somebody exported elsewhere: one line a login.
 *
 *     # a comment
 *     NAME [password=TEXT | md5=HEX sha256=HEX] [realm=TEXT] [username=NAME] [address=ADDRESS]...
 *
 * Blanks stand between words; what holds blanks stands in quotes, with \" and \\.  The lines of one
 * name make one user, with a login for each line that has a password or an HA1, and all their
 * addresses.  Pure; any thread. */
#ifndef HD_POLICY_IMPORT_H
#define HD_POLICY_IMPORT_H

#include "policy/policy.h"

#define POL_IMPORT_PROBLEM 160

struct pol_import_params {
    struct hd_slice realm; /* where a line names none */
    const struct sip_served *served;
    uint64_t created_s;
};

struct pol_import {
    struct pol_user *users; /* by name, none twice */
    size_t n;
    const unsigned *lines; /* the first line of each */
    struct pol_import_parts *parts;
};

/**
 * Reads all of it, or nothing.
 * @param text         borrowed for the call
 * @param ret_problem  what is wrong there, without any octet of a password; and *ret_line, from 1
 * @return HD_OK: pol_import_done() gives it back; HD_ESYNTAX, HD_ENOMEM
 */
HD_NODISCARD enum hd_err pol_import_read(struct hd_slice text,
                                         const struct pol_import_params *params,
                                         char ret_problem[POL_IMPORT_PROBLEM], unsigned *ret_line,
                                         struct pol_import *ret_import);
void pol_import_done(struct pol_import *import);

#endif
