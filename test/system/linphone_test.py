#!/usr/bin/env python3
"""linphone (Debian: linphone-cli), two phones: they register, publish their presence and watch each other's.

liblinphone opens no socket on a machine that has no route out: there the test runs in a network namespace of its own whose loopback
has one, and needs root for it."""
import os
import shutil
import subprocess
import sys

from broker import Background, Broker, equal, free_port, run_tests, until
from sip import Agent

CONFIG = """[sip]
sip_port={udp}
sip_tcp_port={tcp}
sip_tls_port={tls}
verify_server_certs=0
verify_server_cn=0
default_proxy=0
guess_hostname=0
use_ipv6=0
contact="{user}" <sip:{user}@127.0.0.1>
[proxy_0]
reg_proxy=<sip:127.0.0.1:{herald};transport={kind}>
reg_identity=sip:{user}@127.0.0.1:{herald}
reg_expires=60
reg_sendregister=1
publish=1
publish_expires=60
[auth_info_0]
username={user}
passwd={password}
realm=herald
[friend_0]
url="{friend}" <sip:{friend}@127.0.0.1:{herald};transport={kind}>
pol=accept
subscribe=1
"""

TLS = 'listen "tls://127.0.0.1:{tls}" {{ certificate = self }}\n'


class Phone:
    """One linphonec with one account and one friend; it says when the friend's presence changes."""

    def __init__(self, broker, user, friend, kind):
        home = os.path.join(broker.folder.name, user)
        os.makedirs(os.path.join(home, ".local", "share", "linphone"))
        path = os.path.join(home, "linphonerc")
        with open(path, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(user=user, friend=friend, password=broker.passwords[user], kind=kind,
                                     herald=broker.ports["tls"] if kind == "tls" else broker.port,
                                     **{k: free_port() if kind == k else 0 for k in ("udp", "tcp", "tls")}))
        self.run = Background(["linphonec", "-c", path], broker.folder.name, stdin=subprocess.PIPE,
                              env=dict(os.environ, HOME=home), cwd=home)

    def command(self, line):
        self.run.process.stdin.write(line.encode() + b"\n")
        self.run.process.stdin.flush()


def two_phones(kind):
    with Broker(shards=2, users=("alice", "bob"), authentication='algorithms = {{ "MD5" }}', conf=TLS, ports=("tls",)) as broker:
        alice, bob = Phone(broker, "alice", "bob", kind), Phone(broker, "bob", "alice", kind)
        until(lambda: len(broker.admin("bindings")["bindings"]) == 2, "both register")
        until(lambda: len(broker.pubs()) == 2, "both publish")
        alice.run.says('Friend "bob" <sip:bob@', 90)
        until(lambda: "is Online" in alice.run.out() and "is Online" in bob.run.out(), "each sees the other online")
        # What a service says of bob's telephone as well reaches alice's.
        desk = Agent(broker, "bob")
        desk.publish(desk.aor, "presence", "application/pidf+xml",
                     '<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="' + desk.aor + '">'
                     '<tuple id="desk"><status><basic>open</basic></status></tuple></presence>')
        until(lambda: all(s["health"] == "in-sync" for s in broker.subs()), "both take it")
        equal({(s["watcher"], s["resource"]) for s in broker.subs()},
              {("sip:alice@127.0.0.1", "sip:bob@127.0.0.1"), ("sip:bob@127.0.0.1", "sip:alice@127.0.0.1")}, "subscriptions")
        for phone in (alice, bob):
            phone.command("quit")  # it unsubscribes, takes back what it published and unregisters
        until(lambda: not broker.admin("bindings")["bindings"], "nobody is registered")
        until(lambda: not [s for s in broker.subs() if s["state"] != "terminated"], "no subscription is left")
        equal(len(broker.pubs()), 1, "what the service published is there still")


def test_two_linphones_over_udp():
    two_phones("udp")


def test_two_linphones_over_tcp():
    two_phones("tcp")


def test_two_linphones_over_tls():
    two_phones("tls")


def routed():
    """Whether this machine has a default route."""
    with open("/proc/net/route", encoding="ascii") as file:
        return any(line.split()[1:2] == ["00000000"] for line in file)


ROUTE = 'ip link set lo up && ip address add 192.0.2.1/32 dev lo && ip route add default dev lo src 192.0.2.1 && exec "$@"'


def run_with_a_route():
    """This test again where there is a route; never returns."""
    if os.environ.get("HERALD_ROUTED") or os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"):
        print("no default route, and none can be made: liblinphone opens no socket")
        sys.exit(77)
    os.environ["HERALD_ROUTED"] = "1"
    os.execvp("unshare", ["unshare", "-n", "sh", "-c", ROUTE, "sh", sys.executable, *sys.argv])


if __name__ == "__main__":
    if not routed():
        run_with_a_route()
    run_tests(globals())
