/* import.c - users from a text; see import.h.
 *
 * The problem: a hundred thousand lines, of which one is wrong, and an operator who wants to know
 * which.  Each line becomes an entry, entries are sorted by name, and the entries of one name
 * become a user.  Invariant: a password is hashed where it is read and kept nowhere. */
#include "policy/import.h"

#include <stdio.h>
#include <stdlib.h>

#define LINE_LONGEST 4096

struct entry {
    struct hd_slice name;
    unsigned line;
    bool logs_in;
    uint8_t n_addresses;
    struct pol_made made; /* when it logs in; its texts are the entry's */
    struct hd_slice addresses[POL_ADDRESSES_MAX];
    char text[]; /* name, realm, user name, addresses */
};

struct pol_import_parts {
    struct entry **entries;
    size_t n, cap;
    struct pol_login *logins;
    struct hd_slice *addresses;
    struct pol_user *users;
    unsigned *lines;
};

struct reader {
    const struct pol_import_params *params;
    struct pol_import_parts *parts;
    char *problem;
    unsigned line;
};

static enum hd_err
wrong(struct reader *r, const char *what)
{
    (void)snprintf(r->problem, POL_IMPORT_PROBLEM, "%s", what);
    return HD_ESYNTAX;
}

/* ---- words ---- */

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The next word of a line, quotes undone, into *at, which moves on; *rest too.  false: a quote
 * without its end. */
static bool
take_word(struct hd_slice *rest, char **at, struct hd_slice *ret_word)
{
    char *const begin = *at;
    bool quoted = false;
    size_t i = 0;

    while (i < rest->n && is_blank(rest->p[i]))
        i++;
    for (; i < rest->n && (quoted || !is_blank(rest->p[i])); i++) {
        if (rest->p[i] == '"') {
            quoted = !quoted;
            continue;
        }
        if (quoted && rest->p[i] == '\\' && i + 1 < rest->n)
            i++;
        *(*at)++ = rest->p[i];
    }
    *rest = hd_slice_from(*rest, i);
    *ret_word = hd_slice(begin, (size_t)(*at - begin));
    return !quoted;
}

/* ---- one line ---- */

/* What its words say. */
struct fields {
    struct hd_slice name, password, realm, username, md5, sha256;
    struct hd_slice addresses[POL_ADDRESSES_MAX];
    size_t n_addresses;
};

static enum hd_err
take_field(struct reader *r, struct hd_slice word, struct fields *fields)
{
    const struct {
        const char *key;
        struct hd_slice *value;
    } known[] = { { "password", &fields->password },
                  { "realm", &fields->realm },
                  { "username", &fields->username },
                  { "md5", &fields->md5 },
                  { "sha256", &fields->sha256 } };
    const size_t end = hd_slice_find(word, '=');
    const struct hd_slice key = hd_slice(word.p, end);

    if (end == word.n)
        return wrong(r,
                     "a word without '='; expected password=, md5=, sha256=, realm=, username= or "
                     "address= after the name");
    const struct hd_slice value = hd_slice_from(word, end + 1);
    if (value.n == 0)
        return wrong(r, "a value is empty");
    if (hd_slice_eq(key, HD_LIT("address"))) {
        if (fields->n_addresses == POL_ADDRESSES_MAX)
            return wrong(r, "too many addresses; expected at most 8");
        fields->addresses[fields->n_addresses++] = value;
        return HD_OK;
    }
    for (size_t i = 0; i < HD_ARRAY_LEN(known); i++) {
        if (!hd_slice_eq(key, hd_slice_str(known[i].key)))
            continue;
        if (known[i].value->n)
            return wrong(r, "a key stands twice");
        *known[i].value = value;
        return HD_OK;
    }
    return wrong(r, "an unknown key; expected password=, md5=, sha256=, realm=, username= or "
                    "address=");
}

static enum hd_err
take_fields(struct reader *r, struct hd_slice line, char memory[LINE_LONGEST],
            struct fields *fields)
{
    struct hd_slice word;
    enum hd_err err = HD_OK;
    char *at = memory;

    if (!take_word(&line, &at, &fields->name))
        return wrong(r, "a quote without its end");
    while (!err && line.n > 0) {
        if (!take_word(&line, &at, &word))
            return wrong(r, "a quote without its end");
        if (word.n > 0)
            err = take_field(r, word, fields);
    }
    if (err)
        return err;
    if (!pol_name_ok(fields->name) || (fields->username.n && !pol_name_ok(fields->username)))
        return wrong(r, "a name that cannot be; expected 1 to 128 characters of UTF-8 without "
                        "blanks at the ends, ':', '\"' and control characters");
    if (fields->password.n && (fields->md5.n || fields->sha256.n))
        return wrong(r, "a password and an HA1; expected one of them");
    if (!fields->password.n && !fields->md5.n && !fields->sha256.n &&
        (fields->realm.n || fields->username.n))
        return wrong(r, "a realm or user name without password or HA1");
    return HD_OK;
}

/* An address of record as a key: a user name or a URI at a domain that is served. */
static enum hd_err
address_key(struct reader *r, struct hd_slice text, char key[SIP_KEY_MAX], size_t *ret_n)
{
    struct sip_uri uri;
    enum hd_err err;

    if (hd_slice_find(text, ':') == text.n)
        err = pol_name_key(text, r->params->served, key, ret_n);
    else if (!(err = sip_uri_parse(text, &uri)))
        err = sip_resource_key(&uri, r->params->served, key, ret_n);
    if (!err && !hd_slice_starts(hd_slice(key, *ret_n), HD_LIT("sip:*@")))
        return HD_OK;
    return wrong(r, err == HD_ENOMATCH ? "an address at a domain that is not served here"
                                       : "an address that cannot be; expected USER or "
                                         "sip:USER@DOMAIN");
}

static struct hd_slice
put(char **at, struct hd_slice s)
{
    const struct hd_slice copy = hd_slice(*at, s.n);

    if (s.n)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return copy;
}

/* An HA1 in lower case, since it is hashed as text (RFC 7616 section 3.4.2). */
static enum hd_err
put_ha1(struct reader *r, struct hd_slice text, enum sip_digest_alg alg, size_t digits,
        struct entry *e)
{
    char *to = e->made.hex[alg];

    if (text.n == 0)
        return HD_OK;
    if (text.n != digits)
        return wrong(r, "an HA1 of the wrong length; expected 32 digits for md5, 64 for sha256");
    for (size_t i = 0; i < text.n; i++) {
        const char c = text.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
            return wrong(r, "an HA1 that holds something else than hexadecimal digits");
        to[i] = (char)(c >= 'A' && c <= 'F' ? c + 32 : c);
    }
    e->made.login.ha1[alg] = hd_slice(to, digits);
    return HD_OK;
}

static enum hd_err
put_login(struct reader *r, struct entry *e, const struct fields *fields, char **at)
{
    const struct hd_slice realm = put(at, fields->realm.n ? fields->realm : r->params->realm);
    const struct hd_slice username = put(at, fields->username.n ? fields->username : e->name);

    e->logs_in = true;
    if (fields->password.n) {
        pol_login_make(username, realm, fields->password, &e->made);
        return HD_OK;
    }
    e->made.login = (struct pol_login){ .realm = realm, .username = username };
    return put_ha1(r, fields->md5, SIP_DIGEST_MD5, 32, e) ||
                   put_ha1(r, fields->sha256, SIP_DIGEST_SHA256, 64, e)
               ? HD_ESYNTAX
               : HD_OK;
}

static enum hd_err
add_entry(struct reader *r, const struct fields *fields)
{
    struct pol_import_parts *parts = r->parts;
    char keys[POL_ADDRESSES_MAX][SIP_KEY_MAX];
    size_t lengths[POL_ADDRESSES_MAX],
        n = 2 * fields->name.n + fields->username.n + fields->realm.n + r->params->realm.n;

    for (size_t i = 0; i < fields->n_addresses; i++) {
        const enum hd_err err = address_key(r, fields->addresses[i], keys[i], &lengths[i]);
        if (err)
            return err;
        n += lengths[i];
    }
    if (parts->n == parts->cap) {
        const size_t cap = parts->cap ? 2 * parts->cap : 64;
        struct entry **entries = realloc(parts->entries, cap * sizeof(struct entry *));
        if (!entries)
            return HD_ENOMEM;
        parts->entries = entries;
        parts->cap = cap;
    }
    struct entry *e = calloc(1, sizeof(*e) + n);
    if (!e)
        return HD_ENOMEM;
    parts->entries[parts->n++] = e;
    char *at = e->text;
    e->line = r->line;
    e->name = put(&at, fields->name);
    e->n_addresses = (uint8_t)fields->n_addresses;
    for (size_t i = 0; i < fields->n_addresses; i++)
        e->addresses[i] = put(&at, hd_slice(keys[i], lengths[i]));
    if (fields->password.n || fields->md5.n || fields->sha256.n)
        return put_login(r, e, fields, &at);
    return HD_OK;
}

static enum hd_err
read_line(struct reader *r, struct hd_slice line)
{
    char memory[LINE_LONGEST];
    struct fields fields = { 0 };

    while (line.n > 0 && (is_blank(line.p[line.n - 1]) || line.p[line.n - 1] == '\r'))
        line.n--;
    while (line.n > 0 && is_blank(line.p[0]))
        line = hd_slice_from(line, 1);
    if (line.n == 0 || line.p[0] == '#')
        return HD_OK;
    if (line.n > LINE_LONGEST)
        return wrong(r, "the line is too long; expected at most 4096 octets");
    enum hd_err err = take_fields(r, line, memory, &fields);
    if (!err)
        err = add_entry(r, &fields);
    explicit_bzero(memory, sizeof(memory));
    return err;
}

/* ---- users of entries ---- */

static int
compare_entries(const void *left, const void *right)
{
    const struct entry *a = *(const struct entry *const *)left;
    const struct entry *b = *(const struct entry *const *)right;
    const int order = hd_slice_cmp(a->name, b->name);

    return order ? order : (a->line > b->line) - (a->line < b->line);
}

/* The entries of one name, n of them, become a user. */
static enum hd_err
add_user(struct reader *r, struct pol_import *import, struct entry *const *entries, size_t n,
         struct pol_login **logins, struct hd_slice **addresses)
{
    struct pol_user user = { .name = entries[0]->name,
                             .logins = *logins,
                             .addresses = *addresses,
                             .created_s = r->params->created_s };
    char key[SIP_KEY_MAX];
    size_t n_key, n_logins = 0, n_addresses = 0;

    for (size_t i = 0; i < n; i++) {
        r->line = entries[i]->line;
        n_logins += entries[i]->logs_in;
        n_addresses += entries[i]->n_addresses;
        if (n_logins > POL_LOGINS_MAX || n_addresses > POL_ADDRESSES_MAX)
            return wrong(r, "too many logins or addresses of this name; expected at most 8");
        if (entries[i]->logs_in)
            *(*logins)++ = entries[i]->made.login;
        for (size_t k = 0; k < entries[i]->n_addresses; k++)
            *(*addresses)++ = entries[i]->addresses[k];
    }
    if (n_addresses == 0 && pol_name_key(user.name, r->params->served, key, &n_key))
        return wrong(r, "a name at a domain that is not served here, and no address");
    user.n_logins = (uint8_t)n_logins;
    user.n_addresses = (uint8_t)n_addresses;
    r->parts->lines[import->n] = entries[0]->line;
    import->users[import->n++] = user;
    return HD_OK;
}

static enum hd_err
make_users(struct reader *r, struct pol_import *import)
{
    struct pol_import_parts *parts = r->parts;
    enum hd_err err = HD_OK;

    parts->logins = calloc(parts->n + 1, sizeof(*parts->logins));
    parts->addresses = calloc(parts->n * POL_ADDRESSES_MAX + 1, sizeof(*parts->addresses));
    parts->users = calloc(parts->n + 1, sizeof(*parts->users));
    parts->lines = calloc(parts->n + 1, sizeof(*parts->lines));
    if (!parts->logins || !parts->addresses || !parts->users || !parts->lines)
        return HD_ENOMEM;
    import->users = parts->users;
    import->lines = parts->lines;
    if (parts->n > 0)
        qsort(parts->entries, parts->n, sizeof(struct entry *), compare_entries);
    struct pol_login *logins = parts->logins;
    struct hd_slice *addresses = parts->addresses;
    for (size_t i = 0, end; i < parts->n && !err; i = end) {
        for (end = i + 1; end < parts->n; end++)
            if (!hd_slice_eq(parts->entries[i]->name, parts->entries[end]->name))
                break;
        err = add_user(r, import, &parts->entries[i], end - i, &logins, &addresses);
    }
    return err;
}

enum hd_err
pol_import_read(struct hd_slice text, const struct pol_import_params *params,
                char ret_problem[POL_IMPORT_PROBLEM], unsigned *ret_line,
                struct pol_import *ret_import)
{
    struct pol_import import = { .parts = calloc(1, sizeof(*import.parts)) };
    struct reader r = { .params = params, .parts = import.parts, .problem = ret_problem };
    enum hd_err err = import.parts ? HD_OK : HD_ENOMEM;

    while (!err && text.n > 0) {
        r.line++;
        err = read_line(&r, hd_slice_cut(&text, '\n'));
    }
    if (!err)
        err = make_users(&r, &import);
    if (!err) {
        *ret_import = import;
        return HD_OK;
    }
    *ret_line = r.line;
    if (err == HD_ENOMEM)
        (void)wrong(&r, hd_err_text(err));
    pol_import_done(&import);
    return err;
}

void
pol_import_done(struct pol_import *import)
{
    struct pol_import_parts *parts = import->parts;

    if (!parts)
        return;
    for (size_t i = 0; i < parts->n; i++) {
        explicit_bzero(&parts->entries[i]->made, sizeof(parts->entries[i]->made));
        free(parts->entries[i]);
    }
    free(parts->entries);
    free(parts->logins);
    free(parts->addresses);
    free(parts->users);
    free(parts->lines);
    free(parts);
    *import = (struct pol_import){ 0 };
}
