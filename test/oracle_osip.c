/* oracle_osip.c - reads messages with libosip2, see oracle.h.  It may die of a broken one. */
#include "oracle.h"

#include <stdlib.h>

#include <osipparser2/osip_parser.h>

static void
osip_tag(osip_from_t *from, struct text *ret_tag)
{
    osip_generic_param_t *tag = NULL;
    char name[] = "tag";
    if (osip_generic_param_get_byname(&from->gen_params, name, &tag) == OSIP_SUCCESS && tag)
        text_string(ret_tag, tag->gvalue);
}

static void
osip_fill(osip_message_t *sip, struct view *view)
{
    if (MSG_IS_REQUEST(sip)) {
        view->request = true;
        text_string(&view->method, sip->sip_method);
        text_string(&view->user, sip->req_uri->username);
        text_string(&view->host, sip->req_uri->host);
        if (sip->req_uri->port)
            view->port = (unsigned)strtoul(sip->req_uri->port, NULL, 10);
    } else {
        view->status = (unsigned)sip->status_code;
    }
    char call_id[2 * TEXT_MAX];
    snprintf(call_id, sizeof(call_id), "%s%s%s", sip->call_id->number,
             sip->call_id->host ? "@" : "", sip->call_id->host ? sip->call_id->host : "");
    text_string(&view->call_id, call_id);
    view->cseq = strtoul(sip->cseq->number, NULL, 10);
    text_string(&view->cseq_method, sip->cseq->method);
    osip_tag(sip->from, &view->from_tag);
    osip_tag(sip->to, &view->to_tag);
    osip_via_t *via = osip_list_get(&sip->vias, 0);
    osip_generic_param_t *branch = NULL;
    char name[] = "branch";
    text_string(&view->via_host, via->host);
    if (via->port)
        view->via_port = (unsigned)strtoul(via->port, NULL, 10);
    if (osip_via_param_get_byname(via, name, &branch) == OSIP_SUCCESS && branch)
        text_string(&view->branch, branch->gvalue);
    if (sip->content_length && sip->content_length->value) {
        view->has_length = true;
        view->length = strtoul(sip->content_length->value, NULL, 10);
    }
    osip_header_t *header = NULL;
    if (osip_message_get_expires(sip, 0, &header) >= 0 && header && header->hvalue) {
        view->has_expires = true;
        view->expires = strtoul(header->hvalue, NULL, 10);
    }
}

static void
read_osip(const struct message *in, struct view *view)
{
    osip_message_t *sip = NULL;
    if (osip_message_init(&sip) != OSIP_SUCCESS)
        return;
    view->ok = osip_message_parse(sip, in->text, in->n) == OSIP_SUCCESS && sip->call_id &&
               sip->call_id->number && sip->cseq && sip->cseq->number && sip->cseq->method &&
               sip->from && sip->to && osip_list_size(&sip->vias) > 0 &&
               (MSG_IS_RESPONSE(sip) || (sip->req_uri && sip->sip_method));
    if (view->ok)
        osip_fill(sip, view);
    osip_message_free(sip);
}

int
main(void)
{
    parser_init();
    /* Without clean-up at exit: what the library loses is not our business. */
    _exit(oracle_main(read_osip));
}
