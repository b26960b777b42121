/* cmd_pub.c - `herald pub`: publishes a state, keeps it alive, and removes it at the end. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/str.h"
#include "herald/link.h"
#include "herald/peer.h"
#include "herald/pub.h"
#include "herald/text.h"
#include "herald/tool.h"

#define BODY_MAX 60000u

enum {
    KEY_BODY = 0x200,
    KEY_TYPE,
    KEY_ONCE,
    KEY_KEEP,
    KEY_LEAVE,
    KEY_OPEN,
    KEY_CLOSED,
    KEY_NOTE,
    KEY_VOICE,
    KEY_PRIORITY
};

struct options {
    struct peer_options peer;
    const char *uri, *package, *type, *body, *file, *note, *voice, *priority;
    uint32_t expires_s, keep_s;
    bool lines, once, leave, open, closed;
};

struct job {
    struct options options;
    struct peer peer;
    struct link *link;
    struct ua_pub *pub;
    char *body;
    size_t body_n;
    struct ua_timer keep;
    bool ending;    /* what is under way is the last, or the removal follows it */
    bool removing;  /* the removal is under way */
    bool line_held; /* a line waits until the PUBLISH under way is answered */
    struct hd_str line;
    unsigned tuple; /* names our tuple in presence documents */
    int code;
};

static const struct {
    const char *package, *type;
} usual[] = {
    { "presence", "application/pidf+xml" },
    { "message-summary", "application/simple-message-summary" },
    { "dialog", "application/dialog-info+xml" },
};

/* --- bodies ----------------------------------------------------------------------------------- */

static void
xml_add(struct hd_str *str, struct hd_slice text)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '<')
            hd_str_add_str(str, "&lt;");
        else if (c == '>')
            hd_str_add_str(str, "&gt;");
        else if (c == '&')
            hd_str_add_str(str, "&amp;");
        else if (c == '"')
            hd_str_add_str(str, "&quot;");
        else if ((unsigned char)c >= ' ' || c == '\t')
            hd_str_add_char(str, c);
    }
}

/* RFC 3863 section 4: the shortest document that says open or closed. */
static void
pidf_make(const struct job *job, bool open, struct hd_slice note, struct hd_str *str)
{
    hd_str_add_str(str, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n"
                        "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"");
    xml_add(str, hd_slice_str(job->peer.uri));
    /* Another publisher for the same person has another tuple: two programs, two ids. */
    hd_str_addf(str, "\">\r\n  <tuple id=\"t%08x\">\r\n    <status><basic>", job->tuple);
    hd_str_add_str(str, open ? "open" : "closed");
    hd_str_add_str(str, "</basic></status>\r\n");
    if (note.n) {
        hd_str_add_str(str, "    <note>");
        xml_add(str, note);
        hd_str_add_str(str, "</note>\r\n");
    }
    hd_str_add_str(str, "  </tuple>\r\n</presence>\r\n");
}

/* RFC 3842 section 5.2, from "2/5".  False: it is something else. */
static bool
summary_make(const struct job *job, struct hd_slice counts, struct hd_str *str)
{
    struct hd_slice rest = counts;
    struct hd_slice first = hd_slice_cut(&rest, '/');
    uint32_t fresh, old = 0;
    if (hd_slice_to_u32(first, &fresh) != HD_OK ||
        (first.n < counts.n && hd_slice_to_u32(rest, &old) != HD_OK))
        return false;
    hd_str_addf(str, "Messages-Waiting: %s\r\nMessage-Account: ", fresh ? "yes" : "no");
    hd_str_add_str(str, job->peer.uri);
    hd_str_addf(str, "\r\nVoice-Message: %u/%u\r\n", (unsigned)fresh, (unsigned)old);
    return true;
}

/* What people may write on a line instead of a whole document: "open NOTE", "closed NOTE", "2/5".
 */
static void
line_make(const struct job *job, struct hd_slice line, struct hd_str *str)
{
    struct hd_slice rest = hd_slice_trim(line);
    struct hd_slice word = hd_slice_cut(&rest, ' ');
    struct hd_slice type = hd_slice_str(job->options.type);
    bool open = hd_slice_eq(word, HD_LIT("open"));

    if (hd_slice_eq(type, HD_LIT("application/pidf+xml")) &&
        (open || hd_slice_eq(word, HD_LIT("closed"))))
        pidf_make(job, open, hd_slice_trim(rest), str);
    else if (!hd_slice_eq(type, HD_LIT("application/simple-message-summary")) ||
             !summary_make(job, hd_slice_trim(line), str))
        hd_str_add(str, line);
}

/* TOOL_OK, with job->body when there is one to begin with. */
static int
body_make(struct job *job)
{
    const struct options *o = &job->options;
    struct hd_str str;
    hd_str_init(&str);
    if (o->file) {
        job->body = tool_file(o->file, BODY_MAX, &job->body_n);
        if (job->body && job->body_n == 0)
            tool_problem("%s: is empty, and a publication needs a body", o->file);
        return job->body && job->body_n ? TOOL_OK : TOOL_FAILED;
    }
    if (o->lines)
        return TOOL_OK;
    if (o->body)
        hd_str_add_str(&str, o->body);
    else if (o->open || o->closed)
        pidf_make(job, o->open, hd_slice_str(o->note), &str);
    else if (!summary_make(job, hd_slice_str(o->voice), &str)) {
        tool_problem("--voice: \"%s\" is not NEW/OLD, as in 2/5", o->voice);
        return TOOL_USAGE;
    }
    job->body_n = str.n;
    job->body = hd_str_take(&str);
    if (job->body && job->body_n)
        return TOOL_OK;
    tool_problem("a publication needs a body");
    return TOOL_USAGE;
}

/* --- the life of the publication -------------------------------------------------------------- */

static void
job_stop(struct job *job, int code)
{
    if (job->code == TOOL_OK || code != TOOL_OK)
        job->code = code;
    link_stop(job->link);
}

/* The end is wanted: after what is under way, the publication is removed unless it shall stay. */
static void
job_end(struct job *job)
{
    job->ending = true;
    if (ua_pub_busy(job->pub))
        return;
    if (job->options.leave || !ua_pub_live(job->pub)) {
        job_stop(job, TOOL_OK);
        return;
    }
    job->removing = true;
    enum hd_err err = ua_pub_remove(job->pub);
    if (err) {
        tool_problem("remove: %s", hd_err_text(err));
        job_stop(job, TOOL_FAILED);
    }
}

static void
job_publish(struct job *job, struct hd_slice body)
{
    enum hd_err err = ua_pub_set(job->pub, hd_slice_str(job->options.type), body);
    if (err) {
        tool_problem("publish: %s", hd_err_text(err));
        job_stop(job, TOOL_FAILED);
    }
}

/* What comes after an answer: a line that waited, the next one, the end, or nothing. */
static void
job_next(struct job *job)
{
    if (job->line_held) {
        job->line_held = false;
        job_publish(job, hd_str_slice(&job->line));
    } else if (job->ending) {
        job_end(job);
    } else if (job->options.once) {
        job_stop(job, TOOL_OK);
    } else if (job->options.lines) {
        link_want_line(job->link);
    } else if (job->options.keep_s && !hd_timer_running(&job->keep.timer)) {
        ua_timer_start(link_client(job->link), &job->keep, (uint64_t)job->options.keep_s * 1000);
    }
}

static const char *
op_text(enum ua_pub_op op)
{
    switch (op) {
    case UA_PUB_NONE:
        break;
    case UA_PUB_INITIAL:
        return "publish";
    case UA_PUB_MODIFY:
        return "modify";
    case UA_PUB_REFRESH:
        return "refresh";
    case UA_PUB_REMOVE:
        return "remove";
    }
    return "publish";
}

static void
result_print(const struct job *job, const struct ua_pub_result *result)
{
    char *etag = text_escaped(result->etag, false);
    if (job->options.peer.json) {
        json_t *line = result->op == UA_PUB_REMOVE
                           ? json_pack("{s:s}", "done", op_text(result->op))
                           : json_pack("{s:s, s:s, s:I}", "done", op_text(result->op), "etag",
                                       etag ? etag : "", "expires", (json_int_t)result->expires_s);
        char *text = line ? json_dumps(line, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
        puts(text ? text : "{}");
        fflush(stdout);
        free(text);
        json_decref(line);
    } else if (job->options.peer.verbose) {
        if (result->op == UA_PUB_REMOVE)
            tool_problem("removed");
        else
            tool_problem("%s: entity-tag %s, for %u s", op_text(result->op), etag ? etag : "",
                         (unsigned)result->expires_s);
    }
    free(etag);
}

static void
done(void *context, const struct ua_pub_result *result)
{
    struct job *job = context;
    if (result->ok) {
        result_print(job, result);
        if (job->removing)
            job_stop(job, TOOL_OK);
        else
            job_next(job);
        return;
    }
    int code = TOOL_FAILED;
    if (result->answer)
        code = peer_explain(op_text(result->op), result->answer);
    if (result->problem)
        tool_problem("%s: %s", op_text(result->op), result->problem);
    if (!result->final) {
        tool_problem("tried again in %u s", (unsigned)result->wait_s);
        job_next(job);
        return;
    }
    if (job->removing || !ua_pub_live(job->pub) || !job->options.lines || job->ending) {
        job_stop(job, code);
        return;
    }
    /* A line that the server refused: the state before it stays, and the next line may be better.
     */
    job->code = code;
    job_next(job);
}

static void
reported(void *context, enum ua_pub_news news, uint32_t expires_s)
{
    (void)context;
    switch (news) {
    case UA_PUB_TOO_BRIEF:
        tool_problem("the server wants at least %u s, which is asked for now", (unsigned)expires_s);
        return;
    case UA_PUB_ANEW:
        tool_problem("the server no longer has the publication; it is published anew");
        return;
    }
}

static void
keep_fire(void *context)
{
    job_end(context);
}

static void
interrupted(void *context, unsigned count)
{
    struct job *job = context;
    if (count > 1) {
        job_stop(job, TOOL_FAILED);
        return;
    }
    job_end(job);
}

static void
line_read(void *context, struct hd_slice line)
{
    struct job *job = context;
    if (!line.p) {
        job_end(job);
        return;
    }
    if (hd_slice_trim(line).n == 0) {
        link_want_line(job->link);
        return;
    }
    hd_str_clear(&job->line);
    line_make(job, line, &job->line);
    if (job->line.err) {
        tool_problem("out of memory");
        job_stop(job, TOOL_FAILED);
        return;
    }
    job->line_held = ua_pub_busy(job->pub); /* a refresh is under way */
    if (!job->line_held)
        job_publish(job, hd_str_slice(&job->line));
}

static void
begin(void *context)
{
    struct job *job = context;
    const char *priority = job->options.priority;
    enum hd_err err =
        ua_pub_new(&(struct ua_pub_params){ .client = link_client(job->link),
                                            .uri = hd_slice_str(job->peer.uri),
                                            .from = hd_slice_str(job->peer.from),
                                            .event = hd_slice_str(job->options.package),
                                            .priority = hd_slice_str(priority ? priority : ""),
                                            .expires_s = job->options.expires_s,
                                            .context = job,
                                            .done = done,
                                            .reported = reported },
                   &job->pub);
    if (err) {
        tool_problem("publish: %s", hd_err_text(err));
        job_stop(job, TOOL_FAILED);
        return;
    }
    if (job->body)
        job_publish(job, hd_slice(job->body, job->body_n));
    else
        link_want_line(job->link);
}

/* --- the command line ------------------------------------------------------------------------- */

static const struct argp_option options[] = {
    { "package", 'p', "PACKAGE", 0,
      "event package (default: presence, or message-summary with --voice)", 1 },
    { "type", KEY_TYPE, "TYPE", 0, "media type of the body (default: the package's)", 1 },
    { "expires", 'e', "TIME", 0, "duration to ask for (default 1h)", 1 },
    { "priority", KEY_PRIORITY, "VALUE", 0,
      "Resource-Priority of the requests, such as esnet.1 (RFC 4412)", 1 },
    { "body", 'b', "TEXT", 0, "what to publish", 2 },
    { "file", 'f', "FILE", 0, "publish what FILE holds", 2 },
    { "open", KEY_OPEN, NULL, 0, "publish that URI is available (presence)", 2 },
    { "closed", KEY_CLOSED, NULL, 0, "publish that URI is not available (presence)", 2 },
    { "note", KEY_NOTE, "TEXT", 0, "with --open or --closed: a note for people", 2 },
    { "voice", KEY_VOICE, "NEW/OLD", 0, "publish a count of voice messages (message-summary)", 2 },
    { "once", KEY_ONCE, NULL, 0, "end after the answer; the publication stays until it expires",
      3 },
    { "keep", KEY_KEEP, "TIME", 0, "keep it up for this time, then remove it", 3 },
    { "leave", KEY_LEAVE, NULL, 0, "do not remove it at the end", 3 },
    { 0 }
};

static void
options_check(struct options *o, struct argp_state *state)
{
    int bodies =
        (o->body != NULL) + (o->file != NULL) + o->lines + o->open + o->closed + (o->voice != NULL);
    if (!o->uri)
        argp_error(state, "whose state? Give a URI, as in: herald pub sip:2001@127.0.0.1 --open");
    if (bodies != 1)
        argp_error(state, "say what to publish with one of --body, --file, --open, --closed, "
                          "--voice, or - for lines from standard input");
    if (o->note && !o->open && !o->closed)
        argp_error(state, "--note goes with --open or --closed");
    if (o->once && (o->keep_s || o->lines))
        argp_error(state, "--once goes with neither --keep nor lines from standard input");
    if (!o->package)
        o->package = o->voice ? "message-summary" : "presence";
    for (size_t i = 0; !o->type && i < HD_ARRAY_LEN(usual); i++)
        if (strcmp(usual[i].package, o->package) == 0)
            o->type = usual[i].type;
    if (!o->type)
        argp_error(state, "--type: which media type has the body?");
    if (!text_is_line(o->type) || !text_is_line(o->package))
        argp_error(state, "a header field cannot hold control characters");
}

static error_t
parse(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &o->peer;
        return 0;
    case 'p':
        o->package = arg;
        return 0;
    case 'e':
        if (!tool_seconds("--expires", arg, 1, &o->expires_s))
            exit(TOOL_USAGE);
        return 0;
    case 'b':
        o->body = arg;
        return 0;
    case 'f':
        o->file = arg;
        return 0;
    case KEY_TYPE:
        o->type = arg;
        return 0;
    case KEY_OPEN:
        o->open = true;
        return 0;
    case KEY_CLOSED:
        o->closed = true;
        return 0;
    case KEY_NOTE:
        o->note = arg;
        return 0;
    case KEY_VOICE:
        o->voice = arg;
        return 0;
    case KEY_PRIORITY:
        if (!tool_priority(arg))
            exit(TOOL_USAGE);
        o->priority = arg;
        return 0;
    case KEY_ONCE:
        o->once = true;
        return 0;
    case KEY_KEEP:
        if (!tool_seconds("--keep", arg, 1, &o->keep_s))
            exit(TOOL_USAGE);
        return 0;
    case KEY_LEAVE:
        o->leave = true;
        return 0;
    case ARGP_KEY_ARG:
        if (strcmp(arg, "-") == 0)
            o->lines = true;
        else if (!o->uri)
            o->uri = arg;
        else
            argp_error(state, "one URI is enough");
        return 0;
    case ARGP_KEY_END:
        options_check(o, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child children[] = { { &peer_argp, 0, NULL, 0 }, { 0 } };
static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "URI [-]",
    .doc =
        "Publish event state of URI and keep it alive; remove it at Ctrl-C, or at the end of the "
        "input.\v"
        "With - each line of standard input is one publication that replaces the one before.\n"
        "Exit codes: 0 done, 1 refused by the server, 2 wrong command line, 3 no answer in time, "
        "4 the server cannot be reached.",
    .children = children
};

int
pub_main(int argc, char **argv)
{
    struct job job = { .options = { .expires_s = 3600 },
                       .keep = { .fire = keep_fire },
                       .code = TOOL_OK };
    job.keep.context = &job;
    hd_str_init(&job.line);
    argp_parse(&argp, argc, argv, 0, NULL, &job.options);
    if (getentropy(&job.tuple, sizeof job.tuple) != 0)
        job.tuple = (unsigned)getpid();
    int code = peer_resolve(&job.options.peer, job.options.uri, &job.peer);
    if (!code)
        code = body_make(&job);
    if (!code)
        code = link_open(&(struct link_params){ .options = &job.options.peer,
                                                .peer = &job.peer,
                                                .context = &job,
                                                .begin = begin,
                                                .interrupted = interrupted,
                                                .line = line_read,
                                                .lines = job.options.lines },
                         &job.link);
    if (!code) {
        link_run(job.link);
        code = job.code;
        ua_pub_free(job.pub);
        link_close(job.link);
    }
    hd_str_done(&job.line);
    free(job.body);
    peer_done(&job.peer);
    return code;
}
