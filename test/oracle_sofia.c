/* oracle_sofia.c - reads messages with libsofia-sip-ua, see oracle.h. */
#include "oracle.h"

#include <stdlib.h>

#include <sofia-sip/msg.h>
#include <sofia-sip/sip.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_protos.h>

static void
sofia_fill(const sip_t *sip, struct view *view)
{
    if (sip->sip_request) {
        view->request = true;
        text_string(&view->method, sip->sip_request->rq_method_name);
        text_string(&view->user, sip->sip_request->rq_url->url_user);
        text_string(&view->host, sip->sip_request->rq_url->url_host);
        if (sip->sip_request->rq_url->url_port)
            view->port = (unsigned)strtoul(sip->sip_request->rq_url->url_port, NULL, 10);
    } else {
        view->status = (unsigned)sip->sip_status->st_status;
    }
    text_string(&view->call_id, sip->sip_call_id->i_id);
    view->cseq = sip->sip_cseq->cs_seq;
    text_string(&view->cseq_method, sip->sip_cseq->cs_method_name);
    text_string(&view->from_tag, sip->sip_from->a_tag);
    text_string(&view->to_tag, sip->sip_to->a_tag);
    text_string(&view->via_host, sip->sip_via->v_host);
    if (sip->sip_via->v_port)
        view->via_port = (unsigned)strtoul(sip->sip_via->v_port, NULL, 10);
    text_string(&view->branch, sip->sip_via->v_branch);
    if (sip->sip_content_length) {
        view->has_length = true;
        view->length = sip->sip_content_length->l_length;
    }
    view->body_n = sip->sip_payload ? sip->sip_payload->pl_len : 0;
    if (sip->sip_expires) {
        view->has_expires = true;
        view->expires = sip->sip_expires->ex_delta;
    }
    if (sip->sip_event) {
        text_string(&view->package, sip->sip_event->o_type);
        text_string(&view->event_id, sip->sip_event->o_id);
    }
}

static void
read_sofia(const struct message *in, struct view *view)
{
    msg_t *msg = msg_make(sip_default_mclass(), 0, in->text, (ssize_t)in->n);
    if (!msg)
        return;
    const sip_t *sip = sip_object(msg);
    view->ok = sip && !sip->sip_error && (sip->sip_request || sip->sip_status) && sip->sip_from &&
               sip->sip_to && sip->sip_call_id && sip->sip_cseq && sip->sip_via &&
               !msg_has_error(msg);
    if (view->ok)
        sofia_fill(sip, view);
    msg_destroy(msg);
}

int
main(void)
{
    /* Without clean-up at exit: what the library keeps is not our business. */
    _exit(oracle_main(read_sofia));
}
