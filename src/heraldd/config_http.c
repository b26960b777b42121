/* config_http.c - what a configuration file says of the HTTP face. */
#include "heraldd/config_file.h"
#include "heraldd/config_read.h"

const char *const hd_http_keys[] = { "certificate",
                                     "key",
                                     "connections",
                                     "connections_per_source",
                                     "requests_per_second",
                                     "requests_burst",
                                     "head_size",
                                     "idle",
                                     "request",
                                     "stall",
                                     "ping",
                                     "clear_tokens",
                                     "webhook_retry",
                                     "webhook_attempts",
                                     "webhook_timeout" };
const char *const hd_http_lists[] = { "origins", "webhook_reach", "look" };
const size_t hd_n_http_keys = HD_ARRAY_LEN(hd_http_keys),
             hd_n_http_lists = HD_ARRAY_LEN(hd_http_lists);

/* "ADDRESS:PORT"; an IPv6 address is in brackets.  The port may be 0 (tests). */
static bool
read_address(struct hd_slice text, struct hd_addr *ret_addr)
{
    size_t colon = text.n;
    uint32_t port;

    while (colon > 0 && text.p[colon - 1] != ':')
        colon--;
    if (colon < 2 || hd_slice_to_u32(hd_slice_from(text, colon), &port) || port > UINT16_MAX)
        return false;
    struct hd_slice host = hd_slice(text.p, colon - 1);
    if (hd_slice_find(host, ':') < host.n && host.p[0] != '[')
        return false;
    return hd_addr_parse(host, (uint16_t)port, ret_addr) == HD_OK;
}

static void
read_prefixes(struct hd_reader *r, cfg_t *sec, const char *key, const struct hd_prefix **ret,
              size_t *ret_n)
{
    unsigned n = cfg_size(sec, key);
    struct hd_prefix *prefixes = n ? hd_read_room(r, n, sizeof(*prefixes)) : NULL;

    for (unsigned i = 0; i < n && prefixes; i++) {
        const struct hd_value *value = cfg_getnptr(sec, key, i);

        if (hd_prefix_parse(hd_value_slice(value), &prefixes[*ret_n]))
            hd_problem(r->problems, value->line,
                       "%s holds \"%s\"; expected an address or a prefix such as "
                       "10.1.0.0/16 or ::1",
                       key, value->text);
        else
            (*ret_n)++;
    }
    *ret = prefixes;
}

static void
read_section(struct hd_reader *r, cfg_t *sec, unsigned line)
{
    struct api_settings *http = &r->conf->http;

    http->enabled = true;
    if (!read_address(hd_slice_str(cfg_title(sec)), &http->addr))
        hd_problem(r->problems, line,
                   "http \"%s\"; expected ADDRESS:PORT, such as 127.0.0.1:8080 or [::1]:8080",
                   cfg_title(sec));
    hd_read_path(r, sec, "certificate", &http->certificate);
    hd_read_path(r, sec, "key", &http->key);
    if (!http->certificate != !http->key)
        hd_problem(r->problems, line, "http has one of certificate and key; expected both or none");
    hd_read_list(r, sec, "origins", hd_check_origin, &http->origins, &http->n_origins);
    hd_read_number(r, sec, "connections", HD_CONF_COUNT, 1, 10000, &http->connections);
    hd_read_number(r, sec, "connections_per_source", HD_CONF_COUNT, 1, 10000,
                   &http->connections_per_source);
    hd_read_number(r, sec, "requests_per_second", HD_CONF_COUNT, 1, 100000, &http->requests_per_s);
    hd_read_number(r, sec, "requests_burst", HD_CONF_COUNT, 1, 1000000, &http->requests_burst);
    hd_read_number(r, sec, "head_size", HD_CONF_SIZE, 4096, 1 << 20, &http->head_size);
    hd_read_number(r, sec, "idle", HD_CONF_MS, 1000, 3600000, &http->idle_ms);
    hd_read_number(r, sec, "request", HD_CONF_MS, 500, 600000, &http->request_ms);
    hd_read_number(r, sec, "stall", HD_CONF_MS, 500, 600000, &http->stall_ms);
    hd_read_number(r, sec, "ping", HD_CONF_MS, 500, 600000, &http->ping_ms);
    hd_read_number(r, sec, "webhook_retry", HD_CONF_MS, 50, 300000, &http->hook_retry_ms);
    hd_read_number(r, sec, "webhook_attempts", HD_CONF_COUNT, 1, 1000, &http->hook_attempts);
    hd_read_number(r, sec, "webhook_timeout", HD_CONF_MS, 500, 120000, &http->hook_timeout_ms);
    read_prefixes(r, sec, "webhook_reach", &http->reach, &http->n_reach);
    read_prefixes(r, sec, "look", &http->look, &http->n_look);
    http->clear_tokens = hd_read_bool(r, sec, "clear_tokens", false);
}

void
hd_read_http(struct hd_reader *r)
{
    unsigned n = cfg_size(r->root, "http");

    r->conf->http.max_body = r->conf->limits.max_body;
    if (n > 1)
        hd_problem(r->problems, hd_scan_line(&r->scan, "http", 1),
                   "%u http sections; expected one at most", n);
    else if (n == 1)
        read_section(r, cfg_getnsec(r->root, "http", 0), hd_scan_line(&r->scan, "http", 0));
}
