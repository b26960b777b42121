#!/usr/bin/env python3
"""Kamailio (Debian: kamailio, kamailio-tls-modules) as an edge proxy with a double Record-Route in front of herald: a watcher and a
publisher behind it, and phones that come to it by TLS while it speaks UDP or TCP inside."""
import os
import re
import socket
import tempfile

from broker import Background, Broker, check, equal, free_port, run_tests, until
from ca import Authority
from sip import PIDF, Agent, pidf

# Its processes that speak TLS may hang at the end: exit_timeout.
# Phones come to the outer sockets, herald is reached from the inner one: two Record-Routes with r2=on.
CONFIG = """
debug=1
log_stderror=yes
children=1
tcp_children=1
{tls}
auto_aliases=no
exit_timeout=2
listen=udp:127.0.0.1:{outer}
listen=tcp:127.0.0.1:{outer}
listen=udp:127.0.0.1:{inner}
listen=tcp:127.0.0.1:{inner}
mpath="{modules}"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "siputils.so"
loadmodule "textops.so"
loadmodule "path.so"
{more}
modparam("rr", "enable_double_rr", 1)
modparam("rr", "append_fromtag", 1)
request_route {{
    if (!mf_process_maxfwd_header("10")) {{
        sl_send_reply("483", "Too Many Hops");
        exit;
    }}
    if (has_totag()) {{
        if (!loose_route()) {{
            sl_send_reply("404", "No Route");
            exit;
        }}
        if (is_method("SUBSCRIBE|NOTIFY"))
            record_route();
        t_relay();
        exit;
    }}
    if (is_method("SUBSCRIBE"))
        record_route();
    if (is_method("REGISTER"))
        add_path();
    $fs = "{inside}:127.0.0.1:{inner}";
    $du = "sip:127.0.0.1:{herald};transport={inside}";
    t_relay();
}}
"""
MODULES = [f"/usr/lib/{a}-linux-gnu/kamailio/modules" for a in ("x86_64", "aarch64")]


# Phones' door with TLS; the rest of the configuration goes on between.
TLS = 'loadmodule "tls.so"\nmodparam("tls", "private_key", "{1}")\nmodparam("tls", "certificate", "{0}")\n' \
      'modparam("tls", "tls_method", "TLSv1.2+")\nmodparam("tls", "low_mem_threshold1", 0)\nmodparam("tls", "low_mem_threshold2", 0)\n'


class Edge:
    """A Kamailio; with Edge(broker) as edge.  pair: phones may come by TLS to its port `secure`; inside: what it speaks to herald."""

    def __init__(self, broker, pair=None, inside="udp"):
        self.outer, self.inner, self.secure = free_port(), free_port(), free_port()
        self.server = f"127.0.0.1:{self.outer}"
        path = os.path.join(broker.folder.name, "kamailio.cfg")
        modules = [m for m in MODULES if os.path.isdir(m)]
        check(modules, "kamailio has no modules")
        with open(path, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(outer=self.outer, inner=self.inner, herald=broker.port, modules=modules[0], inside=inside,
                                     tls=f"enable_tls=yes\nlisten=tls:127.0.0.1:{self.secure}" if pair else "disable_tls=yes",
                                     more=TLS.format(*pair) if pair else ""))
        self.run = Background(["kamailio", "-f", path, "-DD", "-E", "-m", "32", "-M", "4", "-Y", broker.folder.name],
                              broker.folder.name)

    def __enter__(self):
        until(self.listens, "the edge listens")
        return self

    def listens(self):
        check(self.run.process.poll() is None, "the edge has ended", self.run.err())
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
            return s.connect_ex(("127.0.0.1", self.outer)) == 0

    def __exit__(self, kind, value, trace):
        # Its main process ends its children.
        self.run.process.terminate()
        self.run.process.wait(30)
        if kind is not None:
            print("--- the edge's log:\n" + self.run.err()[-3000:])


def published(broker, edge, *arguments):
    """`herald pub` through the edge, to its end."""
    return broker.tool("pub", "sip:bob@127.0.0.1", *arguments, "--server", edge.server, "--user", "bob",
                       "--password", broker.passwords["bob"])


def life(kind):
    with Broker(shards=2, users=("alice", "bob")) as broker, Edge(broker) as edge:
        watch = broker.tool_start("sub", "sip:bob@127.0.0.1", "--server", edge.server, "--user", "alice",
                                  "--password", broker.passwords["alice"], "--expires", "3s", "--full",
                                  *(["--tcp"] if kind == "tcp" else []))
        until(lambda: "closed" in watch.out() or watch.process.poll() is not None or edge.run.process.poll() is not None,
              "the neutral document comes through the edge")
        check(edge.run.process.poll() is None and "closed" in watch.out(), "it does not:", edge.run.err(), watch.err())
        sub = broker.subs()[0]
        equal(sub["remote"], f"127.0.0.1:{edge.inner}", "NOTIFYs go to the first of two Record-Routes")
        # Both Record-Routes are in the 200, and the edge adds its own to NOTIFY.
        full = watch.err()
        for wanted in (rf"Record-Route: <sip:127\.0\.0\.1:{edge.inner};r2=on[^>]*ftag=",
                       rf"Record-Route: <sip:127\.0\.0\.1:{edge.outer};(transport=tcp;)?r2=on[^>]*ftag="):
            check(re.search(wanted, full), wanted, "is not in\n", full)
        # Refreshes go through the edge along the route set; what is known already is not sent again.
        until(lambda: watch.err().count("SIP/2.0 204 ") >= 2, "it is refreshed through the edge")
        published(broker, edge, "--open", "--note", "edge-one", "--expires", "600s", "--once")
        until(lambda: "edge-one" in watch.out(), "a change comes through the edge")
        watch.end()
        until(lambda: not broker.subs(), "it is ended through the edge")
        equal(broker.counters()["subscriptions_made"], 1, "subscriptions")


def test_a_watcher_behind_an_edge_over_udp():
    life("udp")


def test_a_watcher_behind_an_edge_over_tcp():
    life("tcp")


def phones(inside):
    """Two phones by TLS outside: registered with the edge's Path, subscribed, notified; the edge speaks something else inside."""
    with tempfile.TemporaryDirectory(prefix="herald-ca-") as folder:
        authority = Authority(folder)
        conf = 'package "presence" {{ authorisation = allow  pace = 0s  registered = all }}\n'
        with Broker(shards=2, users=("alice", "bob"), conf=conf) as broker, Edge(broker, authority.make("edge"), inside) as edge:
            alice, bob = (Agent(broker, user, kind="tls", server=("127.0.0.1", edge.secure), tls=authority.client())
                          for user in ("alice", "bob"))
            sub = alice.subscribe(bob.aor)
            check("closed" in sub.notification().body.decode(), "nobody is registered")
            answer = bob.ask("REGISTER", "sip:127.0.0.1", [("Expires", "600"), ("Supported", "path")], to=f"<{bob.aor}>")
            equal((answer.status, bob.line.at() in answer.get("contact")), (200, True), "the phone is registered as it came")
            check(f"127.0.0.1:{edge.inner}" in answer.get("path") or f"127.0.0.1:{edge.outer}" in answer.get("path") or
                  f"127.0.0.1:{edge.secure}" in answer.get("path"), "the edge's Path", answer.get("path"))
            check("<basic>open</basic>" in sub.notification().body.decode(), "registered is present")
            row = broker.subs()[0]
            equal((row["transport"].lower(), row["remote"]), (inside, f"127.0.0.1:{edge.inner}"), "inside")
            bob.publish(bob.aor, "presence", PIDF, pidf(bob.aor, note="behind the edge"))
            notify = sub.notification()
            check("behind the edge" in notify.body.decode(), notify.body)
            check(f"127.0.0.1:{edge.secure}" in notify.get("via"), "NOTIFY came by TLS", notify.get("via"))
            sub.send(600)
            sub.notification()
            sub.send(0)
            check("terminated" in sub.notification().get("subscription-state"), "the last one")
            until(lambda: not broker.subs(), "it has ended")
            alice.close()
            bob.close()


def test_phones_by_tls_outside_and_udp_inside():
    phones("udp")


def test_phones_by_tls_outside_and_tcp_inside():
    phones("tcp")


if __name__ == "__main__":
    run_tests(globals())
