/* summary.c - message summaries are read into numbers and written anew.
 *
 * The problem: cheap phones read these bodies with string searches, so what leaves is always in one
 * plain spelling whatever the voicemail system wrote.  Invariants: lines of a class that we do not
 * know are kept; nothing behind the empty line is. */
#include "format/summary.h"

/* ABNF of RFC 3842 section 5.2:
 *   message-summary  = msg-status-line CRLF [msg-account CRLF] [*(msg-summary-line CRLF)]
 * [*opt-msg-headers] msg-status-line  = "Messages-Waiting" HCOLON ("yes" / "no") msg-account      =
 * "Message-Account" HCOLON Account-URI msg-summary-line = message-context-class HCOLON newmsgs
 * SLASH oldmsgs [LPAREN new-urgentmsgs SLASH old-urgentmsgs RPAREN] */

static enum hd_err
refuse(const char **ret_reason, const char *reason)
{
    *ret_reason = reason;
    return HD_ESYNTAX;
}

static bool
is_token_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr("-.!%*_+`'~", c) != NULL);
}

/* Cuts a line without its CRLF or LF. */
static struct hd_slice
take_line(struct hd_slice *rest)
{
    struct hd_slice line = hd_slice_cut(rest, '\n');
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

/* token HCOLON value; false when there is no token before the colon. */
static bool
split_line(struct hd_slice line, struct hd_slice *ret_name, struct hd_slice *ret_value)
{
    const size_t colon = hd_slice_find(line, ':');
    if (colon == line.n)
        return false;
    size_t n = colon;
    while (n && (line.p[n - 1] == ' ' || line.p[n - 1] == '\t'))
        n--;
    for (size_t i = 0; i < n; i++)
        if (!is_token_char(line.p[i]))
            return false;
    *ret_name = hd_slice(line.p, n);
    *ret_value = hd_slice_trim(hd_slice_from(line, colon + 1));
    return n > 0;
}

/* msgcount = 1*DIGIT, and the blanks around it; a larger value counts as 2^32-1. */
static bool
take_count(struct hd_slice *s, uint32_t *ret)
{
    *s = hd_slice_trim(*s);
    size_t n = 0;
    while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9')
        n++;
    const enum hd_err err = hd_slice_to_u32(hd_slice(s->p, n), ret);
    if (err == HD_ERANGE)
        *ret = UINT32_MAX;
    *s = hd_slice_trim(hd_slice_from(*s, n));
    return err == HD_OK || err == HD_ERANGE;
}

static bool
take_char(struct hd_slice *s, char c)
{
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = hd_slice_from(*s, 1);
    return true;
}

/* newmsgs SLASH oldmsgs [LPAREN new-urgentmsgs SLASH old-urgentmsgs RPAREN] */
static bool
read_counts(struct hd_slice value, struct fmt_summary_line *line)
{
    if (!take_count(&value, &line->unread) || !take_char(&value, '/') ||
        !take_count(&value, &line->old))
        return false;
    line->has_urgent = take_char(&value, '(');
    if (line->has_urgent && (!take_count(&value, &line->urgent_unread) || !take_char(&value, '/') ||
                             !take_count(&value, &line->urgent_old) || !take_char(&value, ')')))
        return false;
    return value.n == 0;
}

/* A URI as far as it matters here: a scheme, and nothing that could break out of its line.
 * Brackets, which RFC 3842 section 3.5 forbids, are taken off. */
static bool
read_account(struct hd_slice value, struct hd_slice *ret_account)
{
    if (value.n >= 2 && value.p[0] == '<' && value.p[value.n - 1] == '>')
        value = hd_slice(value.p + 1, value.n - 2);
    const size_t colon = hd_slice_find(value, ':');
    if (colon == 0 || colon == value.n)
        return false;
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] <= ' ' || value.p[i] == 0x7f || value.p[i] == '<' || value.p[i] == '>')
            return false;
    *ret_account = value;
    return true;
}

static enum hd_err
read_status(struct hd_slice line, bool *ret_waiting, const char **ret_reason)
{
    struct hd_slice name, value;
    if (!split_line(line, &name, &value) || !hd_slice_ieq(name, HD_LIT("Messages-Waiting")))
        return refuse(ret_reason, "the first line is not Messages-Waiting");
    *ret_waiting = hd_slice_ieq(value, HD_LIT("yes"));
    if (!*ret_waiting && !hd_slice_ieq(value, HD_LIT("no")))
        return refuse(ret_reason, "Messages-Waiting is neither yes nor no");
    return HD_OK;
}

/* A line behind the status line. */
static enum hd_err
read_line(struct hd_slice text, struct fmt_summary *summary, const char **ret_reason)
{
    struct hd_slice name, value;
    if (!split_line(text, &name, &value))
        return refuse(ret_reason, "a line without a name and a colon");
    if (hd_slice_ieq(name, HD_LIT("Message-Account"))) {
        if (summary->account.p)
            return refuse(ret_reason, "Message-Account stands twice");
        return read_account(value, &summary->account)
                   ? HD_OK
                   : refuse(ret_reason, "Message-Account is not a URI");
    }
    if (hd_slice_ieq(name, HD_LIT("Messages-Waiting")))
        return refuse(ret_reason, "Messages-Waiting stands twice");
    if (fmt_summary_find(summary, name))
        return refuse(ret_reason, "a message class stands twice");
    if (summary->n_lines == FMT_SUMMARY_LINES) {
        *ret_reason = "too many message classes";
        return HD_EFULL;
    }
    struct fmt_summary_line line = { .name = name };
    if (!read_counts(value, &line))
        return refuse(ret_reason, "the counts of a message class cannot be read");
    summary->lines[summary->n_lines++] = line;
    return HD_OK;
}

enum hd_err
fmt_summary_parse(struct hd_slice body, struct fmt_summary *ret_summary, const char **ret_reason)
{
    struct fmt_summary summary = { 0 };

    enum hd_err err = read_status(take_line(&body), &summary.waiting, ret_reason);
    while (!err && body.n) {
        const struct hd_slice line = take_line(&body);
        if (line.n == 0)
            break; /* message headers may follow */
        err = read_line(line, &summary, ret_reason);
    }
    if (!err)
        *ret_summary = summary;
    return err;
}

const struct fmt_summary_line *
fmt_summary_find(const struct fmt_summary *summary, struct hd_slice name)
{
    for (unsigned i = 0; i < summary->n_lines; i++)
        if (hd_slice_ieq(summary->lines[i].name, name))
            return &summary->lines[i];
    return NULL;
}

static void
write_counts(struct hd_str *out, uint32_t unread, uint32_t old)
{
    hd_str_add_u64(out, unread);
    hd_str_add_str(out, "/");
    hd_str_add_u64(out, old);
}

static void
write_head(struct hd_str *out, bool waiting, struct hd_slice account)
{
    hd_str_add_str(out, "Messages-Waiting: ");
    hd_str_add(out, waiting ? HD_LIT("yes") : HD_LIT("no"));
    hd_str_add_str(out, "\r\n");
    if (account.n == 0)
        return;
    hd_str_add_str(out, "Message-Account: ");
    hd_str_add(out, account);
    hd_str_add_str(out, "\r\n");
}

void
fmt_summary_write(const struct fmt_summary *summary, struct hd_slice account, struct hd_str *out)
{
    write_head(out, summary->waiting, summary->account.n ? summary->account : account);
    for (unsigned i = 0; i < summary->n_lines; i++) {
        const struct fmt_summary_line *line = &summary->lines[i];
        hd_str_add(out, line->name);
        hd_str_add_str(out, ": ");
        write_counts(out, line->unread, line->old);
        if (line->has_urgent) {
            hd_str_add_str(out, " (");
            write_counts(out, line->urgent_unread, line->urgent_old);
            hd_str_add_str(out, ")");
        }
        hd_str_add_str(out, "\r\n");
    }
}

void
fmt_summary_neutral(struct hd_slice account, struct hd_str *out)
{
    write_head(out, false, account);
}
