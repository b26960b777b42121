/* fill.c - a state folder with many users and rules, for bench/book.py: bench/fill FOLDER USERS
 * RULES
 *
 * The users have a login each, the rules are spread over their addresses. */
#include <stdio.h>
#include <stdlib.h>

#include "heraldd/state.h"

#define MD5 "00000000000000000000000000000000"

static enum hd_err
book_make(const struct hd_hash_key *key, unsigned users, unsigned rules, struct pol_book **ret_book)
{
    struct pol_contents contents = { .n_users = users, .n_rules = rules };
    const struct pol_login login = {
        .realm = HD_LIT("bench"),
        .ha1 = { [SIP_DIGEST_MD5] = HD_LIT(MD5), [SIP_DIGEST_SHA256] = HD_LIT(MD5 MD5) }
    };
    struct pol_user *u = calloc(users + 1, sizeof(*u));
    struct pol_rule *r = calloc(rules + 1, sizeof(*r));
    char(*names)[16] = calloc(users + 1, sizeof(*names));
    char(*texts)[2][40] = calloc(rules + 1, sizeof(*texts));
    enum hd_err err = HD_ENOMEM;

    if (!u || !r || !names || !texts)
        goto out;
    for (unsigned i = 0; i < users; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "user%06u", i);
        u[i] = (struct pol_user){
            .name = hd_slice_str(names[i]), .logins = &login, .n_logins = 1, .created_s = 1
        };
    }
    for (unsigned i = 0; i < rules; i++) {
        (void)snprintf(texts[i][0], sizeof(texts[i][0]), "sip:user%06u@bench.test",
                       users ? i % users : i);
        (void)snprintf(texts[i][1], sizeof(texts[i][1]), "sip:watcher%06u@bench.test", i);
        r[i] = (struct pol_rule){ .resource = hd_slice_str(texts[i][0]),
                                  .watcher = hd_slice_str(texts[i][1]),
                                  .package = HD_LIT("*"),
                                  .action = i % 3 ? POL_ALLOW : POL_POLITE };
    }
    contents.users = u;
    contents.rules = r;
    err = pol_book_load(key, &contents, NULL, ret_book);
out:
    free(u);
    free(r);
    free(names);
    free(texts);
    return err;
}

int
main(int argc, char **argv)
{
    char problem[HD_PROBLEM_TEXT] = "expected FOLDER USERS RULES";
    struct hd_state *state = NULL;
    struct pol_book *book = NULL;
    uint32_t users, rules;
    enum hd_err err = HD_ESYNTAX;

    if (argc == 4 && hd_slice_to_u32(hd_slice_str(argv[2]), &users) == HD_OK &&
        hd_slice_to_u32(hd_slice_str(argv[3]), &rules) == HD_OK && users < 10000000 &&
        rules < 10000000)
        err = hd_state_open(argv[1], problem, &state);
    if (!err) {
        const struct evt_keys keys = hd_state_keys(state);
        err = book_make(&keys.table, users, rules, &book);
    }
    if (!err)
        err = hd_state_save(state, book, problem);
    pol_book_unref(book);
    hd_state_close(state);
    if (err)
        fprintf(stderr, "fill: %s\n", problem);
    return err ? 1 : 0;
}
