/* banner.c - the first thing that a newcomer reads: it has to work as printed, from a second
 * terminal. */
#include "heraldd/banner.h"

#include <stdbool.h>

#include "heraldd/daemon.h"

static bool
local_host(const struct hd_addr *addr)
{
    return addr->family == 4 ? addr->ip[0] == 127 : addr->ip[15] == 1 && addr->ip[0] == 0;
}

static void
print_listeners(const struct evt_config *config, FILE *to)
{
    char text[HD_ADDR_TEXT];

    (void)fprintf(to, "It listens on\n");
    for (size_t i = 0; i < config->n_listeners; i++) {
        const struct evt_listener *l = &config->listeners[i];
        struct hd_slice transport = hd_transport_name(l->transport);

        (void)fprintf(to, "  %.*s %.*s%s\n", HD_FMT(transport), (int)hd_addr_text(&l->addr, text),
                      text, l->authenticate ? "" : "  (without authentication)");
        if (!hd_addr_is_any(&l->addr))
            continue;
        for (size_t k = 0; k < config->served.n_own; k++) {
            const struct hd_addr *own = &config->served.own[k];

            if (own->port == l->addr.port && own->family == l->addr.family && !local_host(own) &&
                !(own->family == 6 && own->ip[0] == 0xfe))
                (void)fprintf(to, "      phones reach it at %.*s\n", (int)hd_addr_text(own, text),
                              text);
        }
    }
}

static void
print_http(const struct api_settings *http, FILE *to)
{
    char text[HD_ADDR_TEXT];

    if (http->enabled)
        (void)fprintf(to, "  %s://%.*s/  (a page to look at, and HTTP for programs)\n",
                      http->certificate ? "https" : "http", (int)hd_addr_text(&http->addr, text),
                      text);
}

static void
print_domains(const struct evt_config *config, FILE *to)
{
    (void)fprintf(to, "It serves sip:USER@");
    for (size_t i = 0; i < config->served.n_domains; i++)
        (void)fprintf(to, "%s%.*s", i ? ", @" : "", HD_FMT(config->served.domains[i]));
    (void)fprintf(to, "; any address that it listens on means the %s\n",
                  config->served.n_domains > 1 ? "first" : "same");
}

/* A listener that the tool reaches from this machine, with digest when there is one. */
static const struct evt_listener *
nearest_listener(const struct evt_config *config)
{
    const struct evt_listener *best = &config->listeners[0];

    for (size_t i = 0; i < config->n_listeners; i++) {
        const struct evt_listener *l = &config->listeners[i];

        if (l->transport == HD_UDP && l->authenticate &&
            (best->transport != HD_UDP || !best->authenticate))
            best = l;
    }
    return best;
}

/* Whom the commands log in as: a user made at this start, else one of the configuration, whose
 * password only its owner knows. */
static void
pick_user(const struct hd_daemon *daemon, size_t i, struct hd_slice *name, const char **password)
{
    static const struct hd_slice usual[] = { { "2001", 4 }, { "2002", 4 } };

    *password = "PASSWORD";
    *name = i < daemon->conf->n_first_users ? daemon->conf->first_users[i] : usual[i];
    if (i < daemon->n_made) {
        *name = hd_slice_str(daemon->made[i].name);
        *password = daemon->made[i].password;
    }
}

static void
print_commands(const struct hd_daemon *daemon, FILE *to)
{
    const struct evt_config *config = daemon->config;
    const struct evt_listener *listener = nearest_listener(config);
    const char *tool = daemon->options.tool ? daemon->options.tool : "herald";
    struct hd_slice domain = config->served.domains[0], owner, watcher;
    char server[HD_ADDR_TEXT + 8], text[HD_ADDR_TEXT];
    const char *owner_password, *watcher_password;
    struct hd_addr at = listener->addr;

    if (hd_addr_is_any(&at)) {
        at.ip[0] = at.family == 4 ? 127 : 0;
        at.ip[at.family == 4 ? 3 : 15] = 1;
    }
    (void)snprintf(server, sizeof(server), "%.*s%s", (int)hd_addr_text(&at, text), text,
                   listener->transport == HD_TCP ? " --tcp" : "");
    pick_user(daemon, 0, &owner, &owner_password);
    pick_user(daemon, 1, &watcher, &watcher_password);
    (void)fprintf(to,
                  "\nTry next, each from another terminal in this folder%s:\n\n"
                  "  # %.*s watches the message lamp of %.*s\n"
                  "  %s sub sip:%.*s@%.*s --package message-summary --server %s --user %.*s "
                  "--password %s\n\n",
                  daemon->n_made ? "" : " (PASSWORD was printed when the user was made)",
                  HD_FMT(watcher), HD_FMT(owner), tool, HD_FMT(owner), HD_FMT(domain), server,
                  HD_FMT(watcher), watcher_password);
    (void)fprintf(
        to,
        "  # two new messages for %.*s, until Ctrl-C: the lamp of the first command goes on\n"
        "  %s pub sip:%.*s@%.*s --voice 2/0 --server %s --user %.*s --password %s\n\n",
        HD_FMT(owner), tool, HD_FMT(owner), HD_FMT(domain), server, HD_FMT(owner), owner_password);
    (void)fprintf(to,
                  "  # which subscriptions the broker holds\n"
                  "  %s subs --socket %s\n\n",
                  tool, daemon->socket_path);
}

void
hd_banner_print(const struct hd_daemon *daemon, FILE *to)
{
    (void)fprintf(to, "herald " HERALD_VERSION " is running, with %u shard%s.\n",
                  hd_host_shards(daemon->host), hd_host_shards(daemon->host) == 1 ? "" : "s");
    print_listeners(daemon->config, to);
    print_http(&daemon->conf->http, to);
    print_domains(daemon->config, to);
    if (daemon->n_made > 0) {
        (void)fprintf(to, "It made these users (the passwords are shown this once):\n");
        for (size_t i = 0; i < daemon->n_made; i++)
            (void)fprintf(to, "  %-12s password %s\n", daemon->made[i].name,
                          daemon->made[i].password);
    }
    print_commands(daemon, to);
    (void)fflush(to);
}
