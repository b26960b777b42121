/* libre_peer.c - a subscriber and publisher on libre, the SIP stack of baresip, through libre's own
 * interface.
 *
 *     libre_peer udp|tcp PORT USER PASSWORD
 *
 * Subscribes to its user's presence at 127.0.0.1:PORT, publishes, modifies and removes, and goes on
 * to the next step when the last was answered and it was notified of it, in whichever order (they
 * come from two shards); libre refreshes the short subscription by itself in between; then it
 * unsubscribes.  Says each step in a line; status 0 when all were
 * reached within a minute. */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <re/re.h>

#define PATIENCE_MS 60000
#define EXPIRES_S 5 /* libre refreshes after nine tenths */

enum step {
    STEP_SUBSCRIBED,
    STEP_PUBLISHED,
    STEP_MODIFIED,
    STEP_REMOVED,
    STEP_REFRESHED,
    STEP_ENDED
};

struct peer {
    struct sip *sip;
    struct sipevent_sock *sock;
    struct sipsub *sub;
    struct sip_auth *auth;
    struct sip_request *request;
    struct tmr timer;
    char uri[128], aor[128];
    const char *user, *password;
    char etag[128];
    enum step step; /* what is waited for */
    bool answered;  /* the PUBLISH of this step, 200 */
    bool notified;  /* of what it published */
    bool failed;
};

static void publish(struct peer *peer, const char *note, unsigned expires_s);
static void go_on(struct peer *peer);

static void
say_and_end(struct peer *peer, bool failed, const char *words)
{
    (void)re_printf("%s\n", words);
    peer->failed = failed;
    re_cancel();
}

static int
credentials(char **user, char **password, const char *realm, void *arg)
{
    const struct peer *peer = arg;
    int err = str_dup(user, peer->user);

    (void)realm;
    return err ? err : str_dup(password, peer->password);
}

/* --- publishing ------------------------------------------------------------------------------ */

static void
on_published(int err, const struct sip_msg *msg, void *arg)
{
    struct peer *peer = arg;
    const struct sip_hdr *etag;

    if (err || !msg)
        say_and_end(peer, true, "PUBLISH: no answer");
    else if (msg->scode == 200) {
        etag = sip_msg_xhdr(msg, "SIP-ETag");
        if (etag)
            (void)pl_strcpy(&etag->val, peer->etag, sizeof(peer->etag));
        (void)re_printf("PUBLISH: 200, entity-tag %s\n", peer->etag);
        peer->answered = true;
        go_on(peer);
    } else if (msg->scode == 401 && !sip_auth_authenticate(peer->auth, msg)) {
        static const struct {
            const char *note;
            unsigned expires_s;
        } of[] = { [STEP_PUBLISHED] = { "libre-one", 600 },
                   [STEP_MODIFIED] = { "libre-two", 600 },
                   [STEP_REMOVED] = { NULL, 0 } };
        publish(peer, of[peer->step].note, of[peer->step].expires_s);
    } else {
        (void)re_printf("PUBLISH: %u %r\n", msg->scode, &msg->reason);
        say_and_end(peer, true, "PUBLISH: refused");
    }
}

static void
publish(struct peer *peer, const char *note, unsigned expires_s)
{
    char body[512] = "", match[160] = "";
    struct sip_dialog *dialog = NULL;
    int err;

    if (note)
        (void)re_snprintf(
            body, sizeof(body),
            "<?xml version=\"1.0\"?>\r\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" "
            "entity=\"%s\"><tuple id=\"l\"><status><basic>open</basic></status>"
            "<note>%s</note></tuple></presence>\r\n",
            peer->aor, note);
    if (peer->etag[0] != '\0')
        (void)re_snprintf(match, sizeof(match), "SIP-If-Match: %s\r\n", peer->etag);
    err = sip_dialog_alloc(&dialog, peer->uri, peer->aor, NULL, peer->aor, NULL, 0);
    if (!err)
        err = sip_drequestf(
            &peer->request, peer->sip, true, "PUBLISH", dialog, 0, peer->auth, NULL, on_published,
            peer, "Event: presence\r\nExpires: %u\r\n%s%sContent-Length: %zu\r\n\r\n%s", expires_s,
            match, note ? "Content-Type: application/pidf+xml\r\n" : "", strlen(body), body);
    mem_deref(dialog);
    if (err)
        say_and_end(peer, true, "PUBLISH cannot be sent");
}

/* --- being notified -------------------------------------------------------------------------- */

static void
step_to(struct peer *peer, enum step step, const char *note, unsigned expires_s)
{
    peer->step = step;
    peer->answered = peer->notified = false;
    publish(peer, note, expires_s);
}

/* The next step, when the last is done. */
static void
go_on(struct peer *peer)
{
    if (!peer->answered || !peer->notified)
        return;
    if (peer->step == STEP_PUBLISHED)
        step_to(peer, STEP_MODIFIED, "libre-two", 600);
    else if (peer->step == STEP_MODIFIED)
        step_to(peer, STEP_REMOVED, NULL, 0);
    else if (peer->step == STEP_REMOVED)
        peer->step = STEP_REFRESHED;
}

static void
on_notify(struct sip *sip, const struct sip_msg *msg, void *arg)
{
    struct peer *peer = arg;
    struct pl body = { (const char *)mbuf_buf(msg->mb), mbuf_get_left(msg->mb) };
    bool one = !re_regex(body.p, body.l, "libre-one"), two = !re_regex(body.p, body.l, "libre-two");

    (void)sip_treply(NULL, sip, msg, 200, "OK");
    (void)re_printf("NOTIFY: %s\n", one ? "libre-one" : two ? "libre-two" : "neutral");
    if (peer->step == STEP_SUBSCRIBED && !one && !two) {
        step_to(peer, STEP_PUBLISHED, "libre-one", 600);
    } else if ((peer->step == STEP_PUBLISHED && one) || (peer->step == STEP_MODIFIED && two) ||
               (peer->step == STEP_REMOVED && !one && !two)) {
        peer->notified = true;
        go_on(peer);
    } else if ((peer->step == STEP_PUBLISHED && !one && !two) ||
               (peer->step == STEP_MODIFIED && one) || (peer->step == STEP_REMOVED && two)) {
        (void)re_printf("the former state: a refresh came early\n");
    } else if (peer->step == STEP_REFRESHED && !one && !two) {
        (void)re_printf("refreshed\n");
        peer->step = STEP_ENDED;
        peer->sub = mem_deref(peer->sub); /* libre unsubscribes */
        sip_close(peer->sip, false);      /* and tells when that is done */
    } else {
        say_and_end(peer, true, "NOTIFY: not what was waited for");
    }
}

static void
on_close(int err, const struct sip_msg *msg, const struct sipevent_substate *substate, void *arg)
{
    struct peer *peer = arg;

    (void)re_printf("subscription closed: %m %u %s\n", err, msg ? msg->scode : 0,
                    substate ? sipevent_reason_name(substate->reason) : "");
    say_and_end(peer, true, "SUBSCRIBE: ended early");
}

static void
on_exit_(void *arg)
{
    struct peer *peer = arg;

    say_and_end(peer, peer->step != STEP_ENDED, "done");
}

static void
on_timeout(void *arg)
{
    say_and_end(arg, true, "nothing happens any more");
}

/* --- start ----------------------------------------------------------------------------------- */

static int
start(struct peer *peer, const char *transport, const char *port)
{
    struct sa local;
    int err;

    (void)re_snprintf(peer->uri, sizeof(peer->uri), "sip:%s@127.0.0.1:%s;transport=%s", peer->user,
                      port, transport);
    (void)re_snprintf(peer->aor, sizeof(peer->aor), "sip:%s@127.0.0.1", peer->user);
    err = sa_set_str(&local, "127.0.0.1", 0);
    if (!err)
        err = sip_alloc(&peer->sip, NULL, 32, 32, 32, "libre", on_exit_, peer);
    if (!err)
        err = sip_transp_add(peer->sip, SIP_TRANSP_UDP, &local);
    if (!err)
        err = sip_transp_add(peer->sip, SIP_TRANSP_TCP, &local);
    if (!err)
        err = sipevent_listen(&peer->sock, peer->sip, 32, 32, NULL, NULL);
    if (!err)
        err = sip_auth_alloc(&peer->auth, credentials, peer, false);
    if (!err)
        err =
            sipevent_subscribe(&peer->sub, peer->sock, peer->uri, NULL, peer->aor, "presence", NULL,
                               EXPIRES_S, peer->user, NULL, 0, credentials, peer, false, NULL,
                               on_notify, on_close, peer, "Accept: application/pidf+xml\r\n");
    return err;
}

int
main(int argc, char **argv)
{
    struct peer peer = { .step = STEP_SUBSCRIBED };
    int err;

    if (argc != 5)
        return 2;
    peer.user = argv[3];
    peer.password = argv[4];
    err = libre_init();
    if (!err)
        err = start(&peer, argv[1], argv[2]);
    if (!err) {
        tmr_start(&peer.timer, PATIENCE_MS, on_timeout, &peer);
        err = re_main(NULL);
    }
    if (err)
        (void)re_printf("libre: %m\n", err);
    tmr_cancel(&peer.timer);
    mem_deref(peer.sub);
    mem_deref(peer.request);
    mem_deref(peer.auth);
    mem_deref(peer.sock);
    mem_deref(peer.sip);
    libre_close();
    return err || peer.failed ? 1 : 0;
}
