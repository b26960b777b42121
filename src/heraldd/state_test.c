/* state_test.c - the state folder: nothing acknowledged is lost, nothing half-written is read,
 * nobody shares it. */
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "store/tables.h"

/* What fails on command: system calls; a row; a commit, before or after it is made. */
static bool fail_rename, fail_fsync, fail_put, fail_commit, lie_commit;
static int test_renameat_(int from_fd, const char *from, int to_fd, const char *to);
static int test_fsync_(int fd);
static enum hd_err test_put_(struct sto_tables *tables, unsigned table, struct hd_slice key,
                             struct hd_slice text);
static enum hd_err test_commit_(struct sto_tables *tables);

#define renameat test_renameat_
#define fsync test_fsync_
#define sto_tables_put test_put_
#define sto_tables_commit test_commit_
#include "heraldd/state.c"
#undef renameat
#undef fsync
#undef sto_tables_put
#undef sto_tables_commit

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "policy/policy.h"

static int
test_renameat_(int from_fd, const char *from, int to_fd, const char *to)
{
    if (fail_rename) {
        errno = EIO;
        return -1;
    }
    return renameat(from_fd, from, to_fd, to);
}

static int
test_fsync_(int fd)
{
    if (fail_fsync) {
        errno = ENOSPC;
        return -1;
    }
    return fsync(fd);
}

static enum hd_err
test_put_(struct sto_tables *tables, unsigned table, struct hd_slice key, struct hd_slice text)
{
    return fail_put ? HD_ESTORE : sto_tables_put(tables, table, key, text);
}

static enum hd_err
test_commit_(struct sto_tables *tables)
{
    const enum hd_err err = fail_commit ? HD_ESTORE : sto_tables_commit(tables);
    return lie_commit ? HD_ESTORE : err;
}

/* A folder of its own for each test. */
struct place {
    char parent[64], folder[96], file[128], problem[HD_PROBLEM_TEXT];
};

static int
set_up(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    const char *tmp = getenv("TMPDIR");
    snprintf(place->parent, sizeof(place->parent), "%.40s/herald_state_XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(place->parent));
    snprintf(place->folder, sizeof(place->folder), "%s/state", place->parent);
    snprintf(place->file, sizeof(place->file), "%s/herald.db", place->folder);
    fail_rename = fail_fsync = fail_put = fail_commit = lie_commit = false;
    *state = place;
    return 0;
}

static int
tear_down(void **state)
{
    struct place *place = *state;
    static const char *const names[] = { FILE_NAME, FILE_NAME "-journal", NEW_NAME, LOCK_NAME };
    char path[192];
    for (size_t i = 0; i < HD_ARRAY_LEN(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", place->folder, names[i]);
        (void)remove(path);
    }
    (void)rmdir(place->folder);
    assert_int_equal(rmdir(place->parent), 0);
    free(place);
    return 0;
}

static struct hd_state *
open_state(struct place *place)
{
    struct hd_state *state = NULL;
    const enum hd_err err = hd_state_open(place->folder, place->problem, &state);
    if (err)
        fail_msg("%s", place->problem);
    return state;
}

static void
write_file(const char *path, struct hd_slice text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text.p, 1, text.n, file), text.n);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

static size_t
read_file(const char *path, char *ret, size_t cap)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    const size_t n = fread(ret, 1, cap, file);
    assert_true(n < cap);
    fclose(file);
    return n;
}

static struct pol_book *
book_with(const struct pol_book *book, const char *name)
{
    struct pol_made made;
    struct pol_book *next;
    pol_login_make(hd_slice_str(name), HD_LIT("example.test"), HD_LIT("pw"), &made);
    const struct pol_user user = pol_user_of(hd_slice_str(name), &made, 1700000000);
    assert_int_equal(pol_book_with_user(book, &user, &next), HD_OK);
    return next;
}

static void
save_user(struct place *place, struct hd_state *state, const char *name)
{
    struct pol_book *book = book_with(hd_state_book(state), name);
    if (hd_state_save(state, book, place->problem))
        fail_msg("%s", place->problem);
    pol_book_unref(book);
}

static void
the_first_start_makes_a_folder_for_the_owner_alone(void **state)
{
    struct place *place = *state;
    struct stat st;
    struct hd_state *s = open_state(place);
    assert_true(hd_instance_ok(hd_state_instance(s)));
    assert_int_equal(hd_state_instance(s).p[9 + 14], '4');
    assert_int_equal(pol_book_user_count(hd_state_book(s)), 0);
    const struct evt_keys keys = hd_state_keys(s);
    assert_true(keys.id.k0 && keys.id.k1 && keys.table.k0 && keys.table.k1);
    assert_true(keys.id.k0 != keys.table.k0);
    assert_int_equal(stat(place->folder, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(stat(place->file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    hd_state_close(s);
}

static void
what_was_saved_is_there_after_a_restart(void **state)
{
    struct place *place = *state;
    struct hd_state *s = open_state(place);
    const struct evt_keys keys = hd_state_keys(s);
    const uint32_t epoch = hd_state_epoch(s);
    char instance[HD_INSTANCE_TEXT];
    struct pol_book *book, *next;
    uint32_t id;

    memcpy(instance, hd_state_instance(s).p, sizeof(instance));
    save_user(place, s, "alice");
    save_user(place, s,
              "b\xc3\xb6"
              "b\\ o");
    const struct hd_slice except[] = { HD_LIT("sip:eve@example.org"), HD_LIT("@staff") };
    const struct hd_slice members[] = { HD_LIT("sip:*@example.net"), HD_LIT("sip:carol@x.test") };
    const struct pol_rule rule = { .resource = HD_LIT("sip:alice@example.test"),
                                   .watcher = HD_LIT("sip:*@example.org"),
                                   .package = HD_LIT("presence"),
                                   .action = POL_BLOCK,
                                   .except = except,
                                   .n_except = 2,
                                   .from_s = 1700000000,
                                   .until_s = 1800000000,
                                   .since_s = 1600000000,
                                   .proofs = POL_PROOF(EVT_PROOF_TLS) | POL_PROOF(EVT_PROOF_FROM),
                                   .shadow = true };
    const struct pol_rule gone = { .resource = HD_LIT("*"),
                                   .watcher = HD_LIT("@staff"),
                                   .package = HD_LIT("*"),
                                   .action = POL_POLITE };
    uint32_t gone_id;
    assert_int_equal(pol_book_with_list(hd_state_book(s),
                                        &(struct pol_list){ HD_LIT("staff"), members, 2 }, &next),
                     HD_OK);
    assert_int_equal(pol_book_with_rule(next, &rule, &id, &book), HD_OK);
    pol_book_unref(next);
    assert_int_equal(pol_book_with_rule(book, &gone, &gone_id, &next), HD_OK);
    pol_book_unref(book);
    assert_int_equal(pol_book_without_rule(next, gone.resource, gone_id, &book), HD_OK);
    pol_book_unref(next);
    assert_int_equal(hd_state_save(s, book, place->problem), HD_OK);
    const uint32_t next_rule = pol_book_next_rule(book);
    pol_book_unref(book);
    hd_state_close(s);

    s = open_state(place);
    assert_memory_equal(hd_state_instance(s).p, instance, sizeof(instance));
    const struct evt_keys again = hd_state_keys(s);
    assert_memory_equal(&again, &keys, sizeof(keys));
    assert_int_not_equal(hd_state_epoch(s), epoch);
    assert_int_equal(pol_book_user_count(hd_state_book(s)), 2);
    assert_non_null(pol_book_user(hd_state_book(s), HD_LIT("b\xc3\xb6"
                                                           "b\\ o")));
    const struct pol_user *alice = pol_book_user(hd_state_book(s), HD_LIT("alice"));
    assert_non_null(alice);
    assert_int_equal(alice->created_s, 1700000000);
    assert_true(hd_slice_eq(alice->logins[0].realm, HD_LIT("example.test")));
    char ha1[SIP_DIGEST_HEX];
    size_t n;
    sip_digest_ha1(SIP_DIGEST_SHA256, HD_LIT("alice"), HD_LIT("example.test"), HD_LIT("pw"), ha1,
                   &n);
    assert_true(hd_slice_eq(alice->logins[0].ha1[SIP_DIGEST_SHA256], hd_slice(ha1, n)));
    sip_digest_ha1(SIP_DIGEST_MD5, HD_LIT("alice"), HD_LIT("example.test"), HD_LIT("pw"), ha1, &n);
    assert_true(hd_slice_eq(alice->logins[0].ha1[SIP_DIGEST_MD5], hd_slice(ha1, n)));
    const struct pol_rule *r =
        pol_book_rule(hd_state_book(s), rule.resource, rule.watcher, rule.package, POL_KIND_SHADOW);
    assert_non_null(r);
    assert_int_equal(r->id, id);
    assert_int_equal(r->action, POL_BLOCK);
    assert_int_equal(r->from_s, 1700000000);
    assert_int_equal(r->until_s, 1800000000);
    assert_int_equal(r->since_s, 1600000000);
    assert_int_equal(r->n_except, 2);
    assert_int_equal(r->proofs, POL_PROOF(EVT_PROOF_TLS) | POL_PROOF(EVT_PROOF_FROM));
    assert_true(hd_slice_eq(r->except[0], except[1]));
    assert_true(pol_book_is_member(hd_state_book(s), HD_LIT("staff"), members[1]));
    assert_int_equal(pol_book_list(hd_state_book(s), HD_LIT("staff"))->n, 2);
    assert_int_equal(pol_book_rule_count(hd_state_book(s)), 1);
    assert_int_equal(pol_book_next_rule(hd_state_book(s)),
                     next_rule); /* the id that is gone is not given again */
    hd_state_close(s);
}

static void
logins_and_addresses_of_a_user_come_back(void **state)
{
    static const struct hd_slice addresses[] = { { "sip:a@example.test", 18 },
                                                 { "sip:+4930@example.test", 22 } };
    struct place *place = *state;
    struct hd_state *s = open_state(place);
    struct pol_made made[2];
    struct pol_book *book, *next;

    pol_login_make(HD_LIT("anna"), HD_LIT("one"), HD_LIT("pw"), &made[0]);
    pol_login_make(HD_LIT("a\"1"), HD_LIT("two"), HD_LIT("pw"), &made[1]);
    made[1].login.username = HD_LIT("a1");
    const struct pol_login logins[] = { made[0].login, made[1].login };
    const struct pol_user users[] = {
        { HD_LIT("anna"), logins, addresses, 2, 2, 5 },
        { HD_LIT("bert"), logins + 1, NULL, 0, 0, 6 }, /* a certificate shows who he is */
    };
    assert_int_equal(pol_book_with_user(hd_state_book(s), &users[0], &book), HD_OK);
    assert_int_equal(pol_book_with_user(book, &users[1], &next), HD_OK);
    pol_book_unref(book);
    assert_int_equal(hd_state_save(s, next, place->problem), HD_OK);
    pol_book_unref(next);
    hd_state_close(s);

    s = open_state(place);
    const struct pol_login *login;
    const struct pol_user *anna =
        pol_book_login(hd_state_book(s), HD_LIT("two"), HD_LIT("a1"), &login);
    assert_non_null(anna);
    assert_true(hd_slice_eq(anna->name, HD_LIT("anna")));
    assert_int_equal(anna->n_logins, 2);
    assert_true(hd_slice_eq(login->ha1[SIP_DIGEST_SHA256], made[1].login.ha1[SIP_DIGEST_SHA256]));
    assert_ptr_equal(pol_book_holder(hd_state_book(s), addresses[1]), anna);
    const struct pol_user *bert = pol_book_user(hd_state_book(s), HD_LIT("bert"));
    assert_non_null(bert);
    assert_int_equal(bert->n_logins + bert->n_addresses, 0);
    hd_state_close(s);
}

static void
a_password_never_stands_in_the_file(void **state)
{
    struct place *place = *state;
    static char text[1 << 20];
    struct pol_made made;
    struct pol_book *book;
    struct hd_state *s = open_state(place);
    pol_login_make(HD_LIT("alice"), HD_LIT("example.test"), HD_LIT("correct horse"), &made);
    const struct pol_user user = pol_user_of(HD_LIT("alice"), &made, 1);
    assert_int_equal(pol_book_with_user(hd_state_book(s), &user, &book), HD_OK);
    assert_int_equal(hd_state_save(s, book, place->problem), HD_OK);
    pol_book_unref(book);
    hd_state_close(s);
    const size_t n = read_file(place->file, text, sizeof(text));
    assert_non_null(memmem(text, n, "alice", 5));
    assert_null(memmem(text, n, "horse", 5));
}

static void
a_crash_of_the_very_first_start_is_a_first_start_again(void **state)
{
    struct place *place = *state;
    char path[192];
    assert_int_equal(mkdir(place->folder, 0700), 0);
    snprintf(path, sizeof(path), "%s/" NEW_NAME, place->folder);
    write_file(path, HD_LIT("SQLite fo"));
    struct hd_state *s = open_state(place);
    assert_int_not_equal(access(path, F_OK), 0);
    hd_state_close(s);

    assert_int_equal(unlink(place->file), 0);
    fail_rename = true;
    assert_int_equal(hd_state_open(place->folder, place->problem, &s), HD_EIO);
    assert_non_null(strstr(place->problem, "herald.db: cannot give it its name: "));
    assert_int_not_equal(access(place->file, F_OK), 0);
    fail_rename = false;
    hd_state_close(open_state(place));
}

static void
the_file_of_an_earlier_build_is_not_passed_over(void **state)
{
    struct place *place = *state;
    struct hd_state *s = NULL;
    char path[192];
    assert_int_equal(mkdir(place->folder, 0700), 0);
    snprintf(path, sizeof(path), "%s/" OLD_NAME, place->folder);
    write_file(path, HD_LIT("{}"));
    assert_int_equal(hd_state_open(place->folder, place->problem, &s), HD_EVERSION);
    assert_non_null(strstr(place->problem, path));
    assert_int_not_equal(access(place->file, F_OK), 0);
    assert_int_equal(unlink(path), 0);
    hd_state_close(open_state(place));
}

static void
tokens_and_webhooks_come_back(void **state)
{
    struct place *place = *state;
    struct hd_state *s = open_state(place);
    const uint8_t hash[API_HASH_SIZE] = { 7 };
    struct api_book *book, *next;

    for (unsigned i = 0; i < 2; i++) {
        const char *id = (const char *[]){ "0000000a", "0000000b" }[i];
        assert_int_equal(
            api_book_add_token(hd_state_http(s),
                               api_token_new(id, HD_LIT("alice"), hash, API_SCOPE_READ, 5), &book),
            HD_OK);
        assert_int_equal(hd_state_save_http(s, book, place->problem), HD_OK);
        (void)api_book_unref(book);
    }
    const struct api_hook hook = { .id = "0000000c",
                                   .user = "alice",
                                   .resource = "sip:a@b",
                                   .package = "presence",
                                   .url = "https://h.test/",
                                   .secret = "s" };
    assert_int_equal(api_book_remove(hd_state_http(s), HD_LIT("0000000a"), &next), HD_OK);
    assert_int_equal(api_book_add_hook(next, api_hook_new(&hook), &book), HD_OK);
    (void)api_book_unref(next);
    assert_int_equal(hd_state_save_http(s, book, place->problem), HD_OK);
    (void)api_book_unref(book);
    hd_state_close(s);

    s = open_state(place);
    assert_int_equal(hd_state_http(s)->n_tokens, 1);
    assert_null(api_book_token_by_id(hd_state_http(s), "0000000a"));
    assert_non_null(api_book_token_by_id(hd_state_http(s), "0000000b"));
    assert_string_equal(api_book_hook(hd_state_http(s), HD_LIT("0000000c"))->secret, "s");
    hd_state_close(s);
}

/* The rows of a change that the disk refused are not there, and those of the next one are. */
static void
a_save_that_fails_says_why_and_keeps_the_old_book(void **state)
{
    struct place *place = *state;
    struct hd_state *s = open_state(place);
    save_user(place, s, "alice");
    struct pol_book *bob = book_with(hd_state_book(s), "bob");
    struct pol_book *carol = book_with(hd_state_book(s), "carol");

    for (unsigned i = 0; i < 2; i++) {
        fail_put = i == 0;
        fail_commit = i == 1;
        assert_int_equal(hd_state_save(s, bob, place->problem), HD_EIO);
        assert_non_null(strstr(place->problem, "herald.db: "));
        assert_ptr_not_equal(hd_state_book(s), bob);
        fail_put = fail_commit = false;
    }
    assert_int_equal(pol_book_user_count(hd_state_book(s)), 1);
    assert_int_equal(hd_state_save(s, carol, place->problem), HD_OK);
    hd_state_close(s);
    s = open_state(place);
    assert_int_equal(pol_book_user_count(hd_state_book(s)), 2);
    assert_non_null(pol_book_user(hd_state_book(s), HD_LIT("carol")));
    hd_state_close(s);
    pol_book_unref(bob);
    pol_book_unref(carol);
}

/* What the file holds after a commit that failed is not known: the next save leaves no row of it.
 */
static void
a_commit_that_was_refused_and_yet_made_is_undone_by_the_next(void **state)
{
    struct place *place = *state;
    struct hd_state *s = open_state(place);
    const struct evt_keys keys = hd_state_keys(s);
    save_user(place, s, "alice");
    struct pol_book *bob = book_with(hd_state_book(s), "bob");

    lie_commit = true;
    assert_int_equal(hd_state_save(s, bob, place->problem), HD_EIO);
    lie_commit = false;
    save_user(place, s, "carol");
    pol_book_unref(bob);
    hd_state_close(s);
    s = open_state(place);
    assert_null(pol_book_user(hd_state_book(s), HD_LIT("bob")));
    assert_int_equal(pol_book_user_count(hd_state_book(s)), 2);
    const struct evt_keys again = hd_state_keys(s);
    assert_memory_equal(&again, &keys, sizeof(keys));
    hd_state_close(s);
}

static void
a_copy_opens_as_the_folder_did(void **state)
{
    struct place *place = *state;
    struct place other = *place;
    struct hd_state *s = open_state(place);

    save_user(place, s, "alice");
    (void)snprintf(other.folder, sizeof(other.folder), "%s/copy", place->parent);
    assert_int_equal(hd_state_copy(s, other.folder, place->problem), HD_EIO); /* no folder */
    assert_int_equal(mkdir(other.folder, 0700), 0);
    assert_int_equal(hd_state_copy(s, other.folder, place->problem), HD_OK);
    assert_int_equal(hd_state_copy(s, other.folder, place->problem), HD_EIO); /* it is there */
    struct hd_state *copy = open_state(&other);
    const struct evt_keys keys = hd_state_keys(s), copied = hd_state_keys(copy);
    assert_memory_equal(&copied, &keys, sizeof(keys));
    assert_non_null(pol_book_user(hd_state_book(copy), HD_LIT("alice")));
    hd_state_close(copy);
    hd_state_close(s);
    static const char *const names[] = { "herald.db", "herald.db-journal", "herald.lock" };
    char path[192];
    for (size_t i = 0; i < HD_ARRAY_LEN(names); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", other.folder, names[i]);
        (void)remove(path);
    }
    assert_int_equal(rmdir(other.folder), 0);
}

static void
a_disk_that_keeps_nothing_is_told_at_the_first_start(void **state)
{
    struct place *place = *state;
    struct hd_state *s = NULL;
    fail_fsync = true;
    assert_int_equal(hd_state_open(place->folder, place->problem, &s), HD_EIO);
    assert_non_null(strstr(place->problem, "cannot keep the state folder"));
    assert_null(s);
}

static void
two_daemons_never_share_a_folder(void **state)
{
    struct place *place = *state;
    char pid[32];
    struct hd_state *first = open_state(place), *second = NULL;
    snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
    assert_int_equal(hd_state_open(place->folder, place->problem, &second), HD_EBUSY);
    assert_null(second);
    assert_non_null(strstr(place->problem, place->folder));
    assert_non_null(strstr(place->problem, pid));
    hd_state_close(first);
    hd_state_close(open_state(place));
}

#define RULE "{\"id\":1,\"resource\":\"*\",\"watcher\":\"*\",\"package\":\"*\",\"action\":\"block\""
#define RULE_OF(resource, watcher, action)                                                         \
    "{\"id\":1,\"resource\":\"" resource "\",\"watcher\":\"" watcher                               \
    "\",\"package\":\"*\",\"action\":\"" action "\"}"
#define MD5 "\"md5\":\"0123456789abcdef0123456789abcdef\""
#define HEX "0123456789abcdef0123456789abcdef"

/* Puts one row into the file, as a hand that knows the check sums would. */
static void
put_into_file(struct place *place, enum hd_state_table table, const char *key, const char *text)
{
    struct hd_state fake = { .folder = place->folder };
    assert_int_equal(tables_open(&fake, FILE_NAME, sto_tables_open, place->problem, &fake.tables),
                     HD_OK);
    assert_int_equal(put_row(&fake, table, hd_slice_str(key), hd_slice_str(text)), HD_OK);
    assert_int_equal(sto_tables_commit(fake.tables), HD_OK);
    sto_tables_close(fake.tables);
}

static void
a_damaged_row_is_refused_with_its_place(void **state)
{
    struct place *place = *state;
    static const struct {
        enum hd_state_table table;
        const char *key, *text, *says;
    } row[] = {
        { HD_STATE_USERS, "a", "x", "herald.db: damaged at users[1]: not JSON" },
        { HD_STATE_USERS, "a", "{\"name\":\"a\",", "damaged at users[1]: not JSON" },
        { HD_STATE_USERS, "a", "{\"name\":\"a\",\"name\":\"a\"}", "users[1]: not JSON" },
        { HD_STATE_USERS, "a", "1", "damaged at users[1]: it stands under another name" },
        { HD_STATE_USERS, "a", "{\"name\":\"b\",\"realm\":\"r\",\"created\":1}",
          "damaged at users[1]: it stands under another name" },
        { HD_STATE_RULES, "2", RULE "}", "damaged at rules[2]: it stands under another name" },
        { HD_STATE_ABOUT, "more", "1", "there is a key that is not of this version" },
        { HD_STATE_ABOUT, "instance", "1", "damaged at about.instance: " },
        { HD_STATE_ABOUT, "instance", "\"urn:uuid:0\"", "damaged at about.instance: " },
        { HD_STATE_ABOUT, "keys", "1", "damaged at about.keys.: an object is expected" },
        { HD_STATE_ABOUT, "keys", "{\"id\":\"" HEX "\"}", "damaged at about.keys.table: " },
        { HD_STATE_ABOUT, "keys", "{\"id\":\"0123456789abcdef0123456789abcde\",\"table\":\"\"}",
          "damaged at about.keys.id: " },
        { HD_STATE_ABOUT, "keys", "{\"id\":\"0123456789abcdef0123456789abcdeg\",\"table\":\"\"}",
          "damaged at about.keys.id: " },
        { HD_STATE_ABOUT, "keys", "{\"id\":\"" HEX "0\",\"table\":\"\"}",
          "damaged at about.keys.id: " },
        { HD_STATE_ABOUT, "next_rule", "4294967296", "damaged at about.next_rule: " },
        { HD_STATE_ABOUT, "next_rule", "-1", "damaged at about.next_rule: " },
        { HD_STATE_ABOUT, "next_transform", "256", "damaged at about.next_transform: " },
        { HD_STATE_USERS, "a", "{\"name\":\"a\",\"created\":1}", "damaged at users[1].realm: " },
        { HD_STATE_USERS, "a", "{\"name\":\"a\",\"realm\":\"r\"}",
          "damaged at users[1].created: " },
        { HD_STATE_USERS, "a", "{\"name\":\"a\",\"realm\":\"r\",\"created\":1,\"md5\":\"00\"}",
          "damaged at users[1].: a value that cannot be" },
        { HD_STATE_USERS, "a:b", "{\"name\":\"a:b\",\"realm\":\"r\",\"created\":1," MD5 "}",
          "damaged at users[1].: a value that cannot be" },
        { HD_STATE_USERS, "a", "{\"name\":\"a\",\"realm\":\"r\",\"created\":1,\"md5\":1}",
          "damaged at users[1].md5: a string" },
        { HD_STATE_USERS, "a", "{\"name\":\"a\",\"realm\":\"r\",\"created\":1,\"password\":\"x\"}",
          "users[1].: there is a key" },
        { HD_STATE_USERS, "a", "{\"name\":\"a\",\"created\":1,\"logins\":{}}",
          "damaged at users[1].logins: " },
        { HD_STATE_USERS, "a", "{\"name\":\"a\",\"created\":1,\"logins\":[1]}",
          "damaged at users[1].logins[0].: an object is expected" },
        { HD_STATE_USERS, "a", "{\"name\":\"a\",\"created\":1,\"logins\":[{\"username\":\"b\"}]}",
          "damaged at users[1].logins[0].realm: " },
        { HD_STATE_USERS, "a", "{\"name\":\"a\",\"created\":1,\"logins\":[1,2,3,4,5,6,7,8,9]}",
          "damaged at users[1].logins: " },
        { HD_STATE_USERS, "a", "{\"name\":\"a\",\"created\":1,\"logins\":[],\"addresses\":[1]}",
          "damaged at users[1].addresses: " },
        { HD_STATE_USERS, "a", "{\"name\":\"a\",\"created\":1,\"logins\":[],\"addresses\":[\"a\"]}",
          "damaged at users[1].: a value that cannot be" },
        { HD_STATE_RULES, "1", RULE ",\"proof\":[\"word\"]}", "damaged at rules[1].proof: " },
        { HD_STATE_RULES, "1", RULE ",\"proof\":\"tls\"}", "damaged at rules[1].proof: " },
        { HD_STATE_RULES, "1", RULE_OF("*", "*", "deny"), "damaged at rules[1].action: " },
        { HD_STATE_RULES, "1", RULE_OF("a", "*", "allow"), "damaged at rules[1].: a value that" },
        { HD_STATE_RULES, "1", RULE_OF("*", "@x", "allow"), "damaged at rules[1].: a value that" },
        { HD_STATE_RULES, "1", RULE ",\"shadow\":false}", "rules[1].shadow: true is expected" },
        { HD_STATE_RULES, "1", RULE ",\"from\":-1}", "damaged at rules[1].from: " },
        { HD_STATE_RULES, "1", RULE ",\"until\":\"x\"}", "damaged at rules[1].until: " },
        { HD_STATE_RULES, "1", RULE ",\"from\":5,\"until\":5}", "rules[1].: a value that cannot" },
        { HD_STATE_RULES, "1", RULE ",\"except\":\"*\"}", "damaged at rules[1].except: an array" },
        { HD_STATE_RULES, "1", RULE ",\"except\":[1]}", "damaged at rules[1].except: an array" },
        { HD_STATE_RULES, "1", RULE ",\"except\":[\"x\"]}", "rules[1].: a value that cannot be" },
        { HD_STATE_RULES, "1", RULE ",\"transform\":\"x\"}", "rules[1].: a value that cannot be" },
        { HD_STATE_TRANSFORMS, "a", "{\"name\":\"a\",\"number\":3}", "transforms[1].: a value" },
        { HD_STATE_TRANSFORMS, "a", "{\"name\":\"a\",\"number\":2,\"circle\":100}",
          "transforms[1].: a value" },
        { HD_STATE_TRANSFORMS, "a", "{\"name\":\"a\",\"number\":3,\"circle\":1}",
          "transforms[1].: a value" },
        { HD_STATE_TRANSFORMS, "a", "{\"name\":\"a\",\"number\":3,\"hide\":[\"a\"]}",
          "transforms[1].: a value" },
        { HD_STATE_TRANSFORMS, "a", "{\"name\":\"a\",\"number\":3,\"hide\":1}",
          "transforms[1].hide: an array" },
        { HD_STATE_TRANSFORMS, "a", "{\"name\":\"a\",\"number\":3,\"circle\":99,\"civic\":\"x\"}",
          "damaged at transforms[1].civic: " },
        { HD_STATE_TRANSFORMS, "a", "{\"name\":\"a\",\"number\":256}",
          "damaged at transforms[1].number: " },
        { HD_STATE_LISTS, "a", "{\"name\":\"a\"}", "damaged at lists[1].members: an array" },
        { HD_STATE_LISTS, "a b", "{\"name\":\"a b\",\"members\":[]}", "lists[1].: a value" },
        { HD_STATE_LISTS, "a", "{\"name\":\"a\",\"members\":[\"*\"]}", "lists[1].: a value" },
        { HD_STATE_LISTS, "a", "{\"name\":\"a\",\"members\":[],\"x\":1}",
          "lists[1].: there is a key" },
        { HD_STATE_TOKENS, "a", "{\"id\":\"a\"}", "damaged at tokens[1].user: " },
        { HD_STATE_WEBHOOKS, "a", "{\"id\":\"a\"}", "damaged at webhooks[1].created: " },
    };

    static char whole[1 << 18];
    hd_state_close(open_state(place));
    const size_t n = read_file(place->file, whole, sizeof(whole));
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        struct hd_state *s = NULL;
        write_file(place->file, hd_slice(whole, n));
        put_into_file(place, row[i].table, row[i].key, row[i].text);
        for (unsigned again = 0; again < 2; again++) /* it is left as it is */
            if (hd_state_open(place->folder, place->problem, &s) != HD_ESYNTAX ||
                !strstr(place->problem, row[i].says) || !strstr(place->problem, place->file))
                fail_msg("row %zu: %s", i, place->problem);
    }
}

static void
two_rows_that_cannot_be_together_are_refused(void **state)
{
    struct place *place = *state;
    struct hd_state *s = NULL;
    static const char *const texts[] = {
        "{\"name\":\"a\",\"created\":1,\"logins\":[],\"addresses\":[\"sip:a@b\"]}",
        "{\"name\":\"c\",\"created\":1,\"logins\":[],\"addresses\":[\"sip:a@b\"]}"
    };

    hd_state_close(open_state(place));
    put_into_file(place, HD_STATE_USERS, "a", texts[0]);
    hd_state_close(open_state(place));
    put_into_file(place, HD_STATE_USERS, "c", texts[1]);
    assert_int_equal(hd_state_open(place->folder, place->problem, &s), HD_ESYNTAX);
    assert_non_null(strstr(place->problem, "damaged at users[2].: a value that cannot be"));
}

static void
no_octet_of_a_damaged_row_is_told(void **state)
{
    struct place *place = *state;
    struct hd_state *s = NULL;
    hd_state_close(open_state(place));
    put_into_file(place, HD_STATE_ABOUT, "keys", "{\"id\":\"5ec2e75ec2e7\" 5ec2e7");
    assert_int_equal(hd_state_open(place->folder, place->problem, &s), HD_ESYNTAX);
    assert_null(strstr(place->problem, "5ec2e7"));
}

static void
a_file_that_is_none_of_ours_is_refused_and_left(void **state)
{
    struct place *place = *state;
    struct hd_state *s = NULL;
    static char text[1 << 18], again[1 << 18];
    hd_state_close(open_state(place));
    const size_t n = read_file(place->file, text, sizeof(text));
    const struct hd_slice files[] = { hd_slice(text, n / 2), hd_slice(text, 0), HD_LIT("herald"),
                                      hd_slice(text, n - 4096) };

    for (size_t i = 0; i < HD_ARRAY_LEN(files); i++) {
        write_file(place->file, files[i]);
        assert_int_equal(hd_state_open(place->folder, place->problem, &s), HD_ESYNTAX);
        assert_non_null(strstr(place->problem, place->file));
        assert_int_equal(read_file(place->file, again, sizeof(again)), files[i].n);
        assert_memory_equal(again, files[i].p, files[i].n);
    }
}

static void
a_file_that_others_can_read_is_closed_to_them(void **state)
{
    struct place *place = *state;
    struct stat st;
    hd_state_close(open_state(place));
    assert_int_equal(chmod(place->file, 0644), 0);
    hd_state_close(open_state(place));
    assert_int_equal(stat(place->file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void
a_folder_that_cannot_be_made_is_named(void **state)
{
    struct place *place = *state;
    struct hd_state *s = NULL;
    char deep[160];
    snprintf(deep, sizeof(deep), "%s/no/where", place->parent);
    assert_int_equal(hd_state_open(deep, place->problem, &s), HD_EIO);
    assert_non_null(strstr(place->problem, deep));
    assert_non_null(strstr(place->problem, "cannot make the state folder: "));
    write_file(place->folder, HD_LIT("x")); /* a file in its place */
    assert_int_equal(hd_state_open(place->folder, place->problem, &s), HD_EIO);
    assert_non_null(strstr(place->problem, "cannot open the state folder: "));
    assert_int_equal(unlink(place->folder), 0);
}

static void
what_is_no_file_in_its_place_is_refused(void **state)
{
    struct place *place = *state;
    struct hd_state *s = NULL;
    assert_int_equal(mkdir(place->folder, 0700), 0);
    assert_int_equal(mkfifo(place->file, 0600), 0);
    assert_int_equal(hd_state_open(place->folder, place->problem, &s), HD_EIO);
    assert_non_null(strstr(place->problem, "herald.db: not a file"));
}

static void
users_of_another_realm_are_told_with_their_names(void **state)
{
    struct place *place = *state;
    struct hd_state *s = open_state(place);
    char line[HD_PROBLEM_TEXT] = "";
    assert_int_equal(
        hd_state_other_realm(hd_state_book(s), &(struct hd_slice){ "new", 3 }, 1, line), 0);
    assert_string_equal(line, "");
    save_user(place, s, "alice");
    assert_int_equal(
        hd_state_other_realm(hd_state_book(s), &(struct hd_slice){ "example.test", 12 }, 1, line),
        0);
    assert_int_equal(
        hd_state_other_realm(hd_state_book(s), &(struct hd_slice){ "new", 3 }, 1, line), 1);
    assert_string_equal(
        line,
        "1 of 1 users (alice) cannot log in: their passwords were set for another realm; set them "
        "again with: herald user add NAME");
    for (int i = 0; i < 4; i++)
        save_user(place, s, (const char *[]){ "b", "c", "d", "e" }[i]);
    assert_int_equal(
        hd_state_other_realm(hd_state_book(s), &(struct hd_slice){ "new", 3 }, 1, line), 5);
    assert_non_null(strstr(line, ", ...) cannot log in"));
    hd_state_close(s);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_first_start_makes_a_folder_for_the_owner_alone),
        CASE(what_was_saved_is_there_after_a_restart),
        CASE(logins_and_addresses_of_a_user_come_back),
        CASE(a_password_never_stands_in_the_file),
        CASE(a_crash_of_the_very_first_start_is_a_first_start_again),
        CASE(a_save_that_fails_says_why_and_keeps_the_old_book),
        CASE(a_disk_that_keeps_nothing_is_told_at_the_first_start),
        CASE(two_daemons_never_share_a_folder),
        CASE(the_file_of_an_earlier_build_is_not_passed_over),
        CASE(tokens_and_webhooks_come_back),
        CASE(a_commit_that_was_refused_and_yet_made_is_undone_by_the_next),
        CASE(a_copy_opens_as_the_folder_did),
        CASE(a_damaged_row_is_refused_with_its_place),
        CASE(two_rows_that_cannot_be_together_are_refused),
        CASE(a_file_that_is_none_of_ours_is_refused_and_left),
        CASE(no_octet_of_a_damaged_row_is_told),
        CASE(a_file_that_others_can_read_is_closed_to_them),
        CASE(a_folder_that_cannot_be_made_is_named),
        CASE(what_is_no_file_in_its_place_is_refused),
        CASE(users_of_another_realm_are_told_with_their_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
