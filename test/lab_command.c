/* lab_command.c - the steps of a scenario that only the laboratory knows: configuration, users and
 * rules, what the store and the shards do, and what must be counted. */
#include "lab_core.h"
#include "lab_dns.h"

#include <stdio.h>

static enum hd_err
bad(char *problem, const char *expected)
{
    (void)snprintf(problem, LAB_PROBLEM, "expected: %s", expected);
    return HD_ESYNTAX;
}

static enum hd_err
do_config(struct lab *lab, const struct play_step *step, char *problem)
{
    if (lab->started)
        hd_str_clear(&lab->conf_text);
    for (size_t i = 0; i < step->n_lines; i++) {
        hd_str_add(&lab->conf_text, step->lines[i].text);
        hd_str_add_char(&lab->conf_text, '\n');
    }
    if (lab->conf_text.err)
        return lab->conf_text.err;
    if (!lab->started)
        return HD_OK;
    return lab_conf_read(lab, problem) && lab_publish(lab, hd_slice(NULL, 0), problem) ? HD_OK
                                                                                       : HD_ESYNTAX;
}

static enum hd_err
book_take(struct lab *lab, enum hd_err err, struct pol_book *book, struct hd_slice changed,
          char *problem)
{
    if (err) {
        (void)snprintf(problem, LAB_PROBLEM, "the book refuses this: %s", hd_err_text(err));
        return err;
    }
    pol_book_unref(lab->book);
    lab->book = book;
    if (lab->started && !lab_publish(lab, changed, problem))
        return HD_ENOMEM;
    return HD_OK;
}

static enum hd_err
do_user(struct lab *lab, const struct hd_slice *words, unsigned n, char *problem)
{
    struct pol_book *book = NULL;
    struct pol_made made;
    enum hd_err err;

    if (n == 3 && hd_slice_eq(words[1], HD_LIT("remove"))) {
        err = pol_book_without_user(lab->book, words[2], &book);
        return book_take(lab, err, book, hd_slice(NULL, 0), problem);
    }
    if (n != 3)
        return bad(problem, "user NAME PASSWORD, or user remove NAME");
    if (!lab->conf && !lab_conf_read(lab, problem))
        return HD_ESYNTAX;
    pol_login_make(words[1], hd_conf_realm(lab->conf), words[2], &made);
    const struct pol_user user = pol_user_of(words[1], &made, 1);
    err = pol_book_with_user(lab->book, &user, &book);
    return book_take(lab, err, book, hd_slice(NULL, 0), problem);
}

/* What may stand behind a rule: from TIME, until TIME (of the scenario), except WATCHER, shadow,
 * through TRANSFORMATION. */
static bool
rule_options(const struct hd_slice *words, unsigned n, struct pol_rule *rule,
             struct hd_slice excepts[POL_EXCEPT_MAX])
{
    for (unsigned i = 0; i < n; i++) {
        uint64_t ms;
        if (hd_slice_eq(words[i], HD_LIT("shadow"))) {
            rule->shadow = true;
            continue;
        }
        if (++i >= n)
            return false;
        if (hd_slice_eq(words[i - 1], HD_LIT("through"))) {
            rule->transform = words[i];
        } else if (hd_slice_eq(words[i - 1], HD_LIT("except")) && rule->n_except < POL_EXCEPT_MAX) {
            excepts[rule->n_except++] = words[i];
        } else if (play_duration(words[i], &ms)) {
            return false;
        } else if (hd_slice_eq(words[i - 1], HD_LIT("from"))) {
            rule->from_s = LAB_WALL_S + ms / 1000;
        } else if (hd_slice_eq(words[i - 1], HD_LIT("until"))) {
            rule->until_s = LAB_WALL_S + ms / 1000;
        } else {
            return false;
        }
    }
    rule->except = excepts;
    return true;
}

static enum hd_err
do_rule(struct lab *lab, const struct hd_slice *words, unsigned n, char *problem)
{
    static const char usage[] =
        "rule allow|confirm|polite-block|block|publish|remove WATCHER RESOURCE PACKAGE "
        "[from TIME] [until TIME] [except WATCHER]... [shadow] [through NAME]";
    struct hd_slice excepts[POL_EXCEPT_MAX];
    struct pol_rule rule = { .action = POL_ALLOW };
    struct pol_book *book = NULL;
    const bool remove = n > 1 && hd_slice_eq(words[1], HD_LIT("remove"));
    enum hd_err err;

    if (n < 5 || (!remove && pol_action_read(words[1], &rule.action)) ||
        !rule_options(words + 5, n - 5, &rule, excepts))
        return bad(problem, usage);
    rule.watcher = words[2];
    rule.resource = words[3];
    rule.package = words[4];
    if (remove) {
        const struct pol_rule *there = pol_book_rule(lab->book, rule.resource, rule.watcher,
                                                     rule.package, pol_rule_kind(&rule));
        err =
            there ? pol_book_without_rule(lab->book, rule.resource, there->id, &book) : HD_ENOMATCH;
    } else {
        err = pol_book_with_rule(lab->book, &rule, NULL, &book);
    }
    /* A resource's own rule changes what is seen of it alone. */
    const bool one =
        !hd_slice_eq(words[3], HD_LIT("*")) && !hd_slice_starts(words[3], HD_LIT("sip:*@"));
    return book_take(lab, err, book, one ? words[3] : hd_slice(NULL, 0), problem);
}

/* transform NAME [hide PATH]... [only PATH]... [provide PERMISSION]... [circle METRES], transform
 * remove NAME */
static enum hd_err
do_transform(struct lab *lab, const struct hd_slice *words, unsigned n, char *problem)
{
    static const char usage[] = "transform NAME [hide PATH]... [only PATH]... [provide "
                                "PERMISSION]... [circle METRES], or transform remove NAME";
    struct hd_slice hide[FMT_PATHS_MAX], only[FMT_PATHS_MAX], provide[FMT_PROVIDES_MAX];
    struct pol_transform transform = { .reduction = {
                                           .hide = hide, .only = only, .provide = provide } };
    struct fmt_reduction *r = &transform.reduction;
    struct pol_book *book = NULL;
    enum hd_err err;

    if (n == 3 && hd_slice_eq(words[1], HD_LIT("remove"))) {
        err = pol_book_without_transform(lab->book, words[2], &book);
        return book_take(lab, err, book, hd_slice(NULL, 0), problem);
    }
    if (n < 4 || n % 2)
        return bad(problem, usage);
    transform.name = words[1];
    for (unsigned i = 2; i < n; i += 2) {
        if (hd_slice_eq(words[i], HD_LIT("hide")) && r->n_hide < FMT_PATHS_MAX)
            hide[r->n_hide++] = words[i + 1];
        else if (hd_slice_eq(words[i], HD_LIT("only")) && r->n_only < FMT_PATHS_MAX)
            only[r->n_only++] = words[i + 1];
        else if (hd_slice_eq(words[i], HD_LIT("provide")) && r->n_provide < FMT_PROVIDES_MAX)
            provide[r->n_provide++] = words[i + 1];
        else if (!hd_slice_eq(words[i], HD_LIT("circle")) ||
                 hd_slice_to_u32(words[i + 1], &r->circle_m))
            return bad(problem, usage);
    }
    err = pol_book_with_transform(lab->book, &transform, &book);
    return book_take(lab, err, book, hd_slice(NULL, 0), problem);
}

/* list NAME MEMBER..., list remove NAME */
static enum hd_err
do_list(struct lab *lab, const struct hd_slice *words, unsigned n, char *problem)
{
    struct pol_book *book = NULL;
    enum hd_err err;

    if (n < 2)
        return bad(problem, "list NAME [MEMBER]..., or list remove NAME");
    if (n == 3 && hd_slice_eq(words[1], HD_LIT("remove")))
        err = pol_book_without_list(lab->book, words[2], &book);
    else
        err = pol_book_with_list(
            lab->book, &(struct pol_list){ .name = words[1], .members = words + 2, .n = n - 2 },
            &book);
    return book_take(lab, err, book, hd_slice(NULL, 0), problem);
}

/* Releases n records, whichever shards they wait in; SIZE_MAX: all. */
static size_t
release(struct lab *lab, size_t n, bool newest)
{
    size_t done = 0;

    for (unsigned i = 0; i < lab->params.shards && done < n; i++)
        done += newest ? sto_memory_release_newest(lab->store, i, n - done)
                       : sto_memory_release(lab->store, i, n - done);
    return done;
}

static uint64_t
store_sum(const struct lab *lab, size_t (*of)(const struct sto_memory *store, unsigned shard))
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < lab->params.shards; i++)
        sum += of(lab->store, i);
    return sum;
}

static enum hd_err
expect_number(const char *what, uint64_t got, uint32_t want, char *problem)
{
    if (got == want)
        return HD_OK;
    (void)snprintf(problem, LAB_PROBLEM, "%s: %llu, not %u", what, (unsigned long long)got, want);
    return HD_ESYNTAX;
}

static enum hd_err
do_store(struct lab *lab, const struct hd_slice *words, unsigned n, char *problem)
{
    static const char usage[] =
        "store hold|go|release N|release all|newest N|fail N|refuse N|keeps N|waiting N";
    bool all = n == 3 && hd_slice_eq(words[2], HD_LIT("all"));
    uint32_t number = 0;

    if (!lab_start(lab, problem))
        return HD_ESYNTAX;
    if (n < 2 || n > 3 || (n == 3 && !all && hd_slice_to_u32(words[2], &number)))
        return bad(problem, usage);
    if (hd_slice_eq(words[1], HD_LIT("hold")) || hd_slice_eq(words[1], HD_LIT("go"))) {
        for (unsigned i = 0; i < lab->params.shards; i++)
            sto_memory_hold(lab->store, i, words[1].p[0] == 'h');
        return HD_OK;
    }
    if (hd_slice_eq(words[1], HD_LIT("keeps")))
        return expect_number("records kept", store_sum(lab, sto_memory_count), number, problem);
    if (hd_slice_eq(words[1], HD_LIT("waiting")))
        return expect_number("records waiting", store_sum(lab, sto_memory_waiting), number,
                             problem);
    if (hd_slice_eq(words[1], HD_LIT("release")) || hd_slice_eq(words[1], HD_LIT("newest"))) {
        size_t done = release(lab, all ? SIZE_MAX : number, words[1].p[0] == 'n');

        return all ? HD_OK : expect_number("records released", done, number, problem);
    }
    for (unsigned i = 0; i < lab->params.shards; i++) {
        if (hd_slice_eq(words[1], HD_LIT("fail")))
            sto_memory_fail(lab->store, i, number);
        else if (hd_slice_eq(words[1], HD_LIT("refuse")))
            sto_memory_refuse(lab->store, i, number);
        else
            return bad(problem, usage);
    }
    return HD_OK;
}

/* "shard stop|go N", "mail hold|go N" */
static enum hd_err
do_shard(struct lab *lab, const struct hd_slice *words, unsigned n, char *problem)
{
    bool stop = n == 3 && !hd_slice_eq(words[1], HD_LIT("go"));
    struct lab_seat *seat;
    uint32_t number;

    if (n != 3 || hd_slice_to_u32(words[2], &number))
        return bad(problem, "shard stop|go N, or mail hold|go N");
    seat = &lab->seats[number % lab->params.shards];
    if (words[0].p[0] == 's')
        seat->stopped = stop;
    else
        seat->mail_held = stop;
    return HD_OK;
}

/* "order 2 0 1": in which order shards take their turns. */
static enum hd_err
do_order(struct lab *lab, const struct hd_slice *words, unsigned n, char *problem)
{
    bool seen[EVT_MAX_SHARDS] = { false };
    uint32_t number;

    if (n != lab->params.shards + 1)
        return bad(problem, "order, and each shard once");
    for (unsigned i = 1; i < n; i++) {
        if (hd_slice_to_u32(words[i], &number) || number >= lab->params.shards || seen[number])
            return bad(problem, "order, and each shard once");
        seen[number] = true;
        lab->order[i - 1] = number;
    }
    return HD_OK;
}

/* "count NAME N": a counter or gauge, summed over the shards. */
static enum hd_err
do_count(struct lab *lab, const struct hd_slice *words, unsigned n, char *problem)
{
    static const struct {
        const char *name;
        size_t offset;
    } row[] = {
#define ROW(name, words) { #name, offsetof(struct evt_counters, name) },
        EVT_COUNTERS(ROW) EVT_GAUGES(ROW)
#undef ROW
    };
    uint32_t want;
    uint64_t sum = 0;

    if (n != 3 || hd_slice_to_u32(words[2], &want))
        return bad(problem, "count NAME NUMBER");
    for (size_t i = 0; i < HD_ARRAY_LEN(row); i++) {
        if (!hd_slice_eq(words[1], hd_slice_str(row[i].name)))
            continue;
        for (unsigned k = 0; k < lab->params.shards; k++) {
            const char *counters = (const char *)evt_shard_counters(lab->seats[k].evt);

            sum += atomic_load_explicit(
                (const _Atomic uint64_t *)(const void *)(counters + row[i].offset),
                memory_order_relaxed);
        }
        return expect_number(row[i].name, sum, want, problem);
    }
    return bad(problem, "a counter of src/event/counters.h");
}

struct sub_wanted {
    const struct hd_slice *words; /* "state=active" */
    unsigned n;
    unsigned found, seen;
    struct hd_str rows;
};

static bool
sub_has(const struct evt_sub_row *row, struct hd_slice word)
{
    struct hd_slice value = word, name = hd_slice_cut(&value, '=');
    char number[16];
    const struct {
        struct hd_slice name, value;
    } field[] = {
        { HD_LIT("state"), hd_slice_str(row->state) },
        { HD_LIT("health"), hd_slice_str(row->health) },
        { HD_LIT("package"), row->package },
        { HD_LIT("watcher"), row->watcher },
        { HD_LIT("target"), row->target },
        { HD_LIT("id"), row->event_id },
    };

    for (size_t i = 0; i < HD_ARRAY_LEN(field); i++)
        if (hd_slice_eq(name, field[i].name))
            return hd_slice_eq(value, field[i].value);
    (void)snprintf(number, sizeof(number), "%u", row->expires_s);
    return hd_slice_eq(name, HD_LIT("expires")) && hd_slice_eq(value, hd_slice_str(number));
}

static void
sub_visit(void *context, const struct evt_sub_row *row)
{
    struct sub_wanted *wanted = context;
    bool fits = true;

    wanted->seen++;
    for (unsigned i = 0; i < wanted->n; i++)
        fits = fits && sub_has(row, wanted->words[i]);
    wanted->found += fits;
    hd_str_addf(&wanted->rows, "; %s %s watcher=%.*s target=%.*s expires=%u", row->state,
                row->health, HD_FMT(row->watcher), HD_FMT(row->target), row->expires_s);
}

/* "settled": nothing is in flight or waits, and every subscription has seen the newest state. */
static enum hd_err
do_settled(struct lab *lab, char *problem)
{
    struct hd_slice word = HD_LIT("health=in-sync");
    struct sub_wanted wanted = { .words = &word, .n = 1 };
    enum hd_err err = HD_OK;

    for (unsigned i = 0; i < lab->params.shards && !err; i++) {
        if (!evt_shard_quiet(lab->seats[i].evt)) {
            (void)snprintf(problem, LAB_PROBLEM, "shard %u is not quiet", i);
            err = HD_ESYNTAX;
        }
        evt_shard_list_subs(lab->seats[i].evt, hd_slice(NULL, 0), UINT32_MAX, lab->now_us,
                            sub_visit, &wanted);
    }
    if (!err && wanted.found != wanted.seen) {
        (void)snprintf(problem, LAB_PROBLEM, "%u of %u subscriptions are in sync%s", wanted.found,
                       wanted.seen, hd_str_text(&wanted.rows));
        err = HD_ESYNTAX;
    }
    hd_str_done(&wanted.rows);
    return err;
}

/* "subs RESOURCE N [FIELD=VALUE...]": so many subscriptions of a resource look like this. */
static enum hd_err
do_subs(struct lab *lab, const struct hd_slice *words, unsigned n, char *problem)
{
    struct sub_wanted wanted = { .words = words + 3 };
    enum hd_err err = HD_OK;
    uint32_t want;

    if (n < 3 || hd_slice_to_u32(words[2], &want))
        return bad(problem, "subs RESOURCE NUMBER [state=S] [health=H] [watcher=W] ...");
    wanted.n = n - 3;
    for (unsigned i = 0; i < lab->params.shards; i++)
        evt_shard_list_subs(lab->seats[i].evt, words[1], UINT32_MAX, lab->now_us, sub_visit,
                            &wanted);
    if (wanted.found != want) {
        (void)snprintf(problem, LAB_PROBLEM, "%u subscriptions look like this, not %u%s",
                       wanted.found, want, hd_str_text(&wanted.rows));
        err = HD_ESYNTAX;
    }
    hd_str_done(&wanted.rows);
    return err;
}

static enum hd_err
close_connections(struct lab *lab, struct play_actor *actor)
{
    struct lab_peer *peer = actor->host;

    for (size_t i = 0; i < lab->n_wires; i++) {
        struct lab_wire *wire = &lab->wires[i];

        if (wire->actor != actor || !wire->open)
            continue;
        wire->open = false;
        evt_shard_closed(lab->seats[hd_conn_shard(wire->conn)].evt, wire->conn, lab->now_us);
    }
    peer->conn = 0;
    return HD_OK;
}

/* "alice closes", "alice accepts|refuses|ignores tcp", "alice unreachable|reachable" */
static enum hd_err
do_actor(struct lab *lab, struct play_actor *actor, const struct hd_slice *words, unsigned n,
         char *problem)
{
    static const struct hd_slice tcp[] = { { "refuses", 7 }, { "accepts", 7 }, { "ignores", 7 } };
    struct lab_peer *peer = actor->host;

    if (n == 2 && hd_slice_eq(words[1], HD_LIT("closes")))
        return close_connections(lab, actor);
    if (n == 2 && (hd_slice_eq(words[1], HD_LIT("unreachable")) ||
                   hd_slice_eq(words[1], HD_LIT("reachable")))) {
        peer->unreachable = words[1].p[0] == 'u';
        return HD_OK;
    }
    for (size_t i = 0; i < HD_ARRAY_LEN(tcp) && n == 3; i++) {
        if (hd_slice_eq(words[1], tcp[i]) && hd_slice_eq(words[2], HD_LIT("tcp"))) {
            peer->tcp = (enum lab_tcp)i;
            return HD_OK;
        }
    }
    return bad(problem, "closes, accepts tcp, refuses tcp, ignores tcp, unreachable or reachable");
}

static enum hd_err
do_end(struct lab *lab, const struct hd_slice *words, unsigned n, char *problem)
{
    uint32_t retry = 0;

    if (n > 2 || (n == 2 && hd_slice_to_u32(words[1], &retry)))
        return bad(problem, "terminate [RETRY-AFTER], or drain");
    for (unsigned i = 0; i < lab->params.shards; i++) {
        if (words[0].p[0] == 'd')
            evt_shard_drain_begin(lab->seats[i].evt);
        else
            evt_shard_terminate_all(lab->seats[i].evt, retry, lab->now_us);
    }
    return HD_OK;
}

enum hd_err
lab_command(void *context, struct play *play, const struct play_step *step,
            const struct hd_slice *words, unsigned n, char *problem)
{
    struct lab *lab = context;
    struct play_actor *actor = play_actor_find(play, words[0]);

    if (hd_slice_eq(words[0], HD_LIT("shards")))
        return HD_OK; /* read before the play began */
    if (hd_slice_eq(words[0], HD_LIT("config")))
        return do_config(lab, step, problem);
    if (hd_slice_eq(words[0], HD_LIT("user")))
        return do_user(lab, words, n, problem);
    if (hd_slice_eq(words[0], HD_LIT("rule")))
        return do_rule(lab, words, n, problem);
    if (hd_slice_eq(words[0], HD_LIT("transform")))
        return do_transform(lab, words, n, problem);
    if (hd_slice_eq(words[0], HD_LIT("list")))
        return do_list(lab, words, n, problem);
    if (hd_slice_eq(words[0], HD_LIT("dns")))
        return lab_dns_command(lab, words, n, problem);
    if (!lab_start(lab, problem))
        return HD_ESYNTAX;
    if (actor)
        return do_actor(lab, actor, words, n, problem);
    if (hd_slice_eq(words[0], HD_LIT("store")))
        return do_store(lab, words, n, problem);
    if (hd_slice_eq(words[0], HD_LIT("shard")) || hd_slice_eq(words[0], HD_LIT("mail")))
        return do_shard(lab, words, n, problem);
    if (hd_slice_eq(words[0], HD_LIT("order")))
        return do_order(lab, words, n, problem);
    if (hd_slice_eq(words[0], HD_LIT("count")))
        return do_count(lab, words, n, problem);
    if (hd_slice_eq(words[0], HD_LIT("subs")))
        return do_subs(lab, words, n, problem);
    if (hd_slice_eq(words[0], HD_LIT("settled")))
        return do_settled(lab, problem);
    if (hd_slice_eq(words[0], HD_LIT("drain")) || hd_slice_eq(words[0], HD_LIT("terminate")))
        return do_end(lab, words, n, problem);
    if (hd_slice_eq(words[0], HD_LIT("restart")))
        return lab_restart(lab, words, n, problem);
    if (hd_slice_eq(words[0], HD_LIT("check")))
        return lab_check(lab, problem) ? HD_OK : HD_ESYNTAX;
    return HD_ENOMATCH;
}
