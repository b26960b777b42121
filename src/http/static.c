/* static.c - pages that are embedded in the program, answered by their path to everybody.
 *
 * They hold no secrets and no state; what they show they ask for as anybody else would.  Nothing of
 * another origin is loaded by them, no script stands in them, and they stand in no frame. */
#include "http/core.h"

#define CONTENT_POLICY                                                                             \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "              \
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "                   \
    "frame-ancestors 'none'"

static const struct api_static *
find(struct hd_slice path)
{
    for (const struct api_static *row = api_static_table; row->path; row++)
        if (hd_slice_eq(path, hd_slice_str(row->path)))
            return row;
    return NULL;
}

bool
api_static_answer(struct api_request *request)
{
    const struct api_static *row = find(hd_slice(request->raw.p, hd_slice_find(request->raw, '?')));
    struct hd_slice encodings = api_field(request, "Accept-Encoding"), tag;

    if (!row || !(request->method & (API_GET | API_HEAD)))
        return false;
    tag = hd_slice_str(row->etag);
    if (row->gzip && encodings.p && !api_accepts_coding(encodings, HD_LIT("gzip"))) {
        api_problem(request, 406, "this is there as gzip alone");
        return true;
    }
    if (tag.n && api_etag_listed(api_field(request, "If-None-Match"), tag))
        api_answer(request, 304, NULL, hd_slice(row->octets, row->n));
    else
        api_answer(request, 200, row->type, hd_slice(row->octets, row->n));
    if (row->gzip && request->status == 200)
        api_header(request, "Content-Encoding", HD_LIT("gzip"));
    if (tag.n)
        api_header_etag(request, tag);
    api_header(request, "Content-Security-Policy", HD_LIT(CONTENT_POLICY));
    api_header(request, "Referrer-Policy", HD_LIT("no-referrer"));
    api_header(request, "Cross-Origin-Opener-Policy", HD_LIT("same-origin"));
    return true;
}
