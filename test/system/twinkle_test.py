#!/usr/bin/env python3
"""Twinkle (Debian: twinkle-console), two phones: they register, publish their presence, watch each other's and their own lamps.

Both are started in the same second, so that they draw the same random numbers: Call-IDs, tags and CSeqs of the two are equal. Once
they stand behind a Kamailio with a double Record-Route."""
import os
import subprocess
import time

from broker import Background, Broker, check, equal, free_port, run_tests, until
from edge_test import Edge
from sip import MWI, Agent

USER = """user_name={user}
user_domain=127.0.0.1:{herald}
user_display={user}
auth_name={user}
auth_pass={password}
outbound_proxy=127.0.0.1:{proxy}
registrar=127.0.0.1:{herald}
register_at_startup=yes
registration_time=60
pres_subscription_time=60
pres_publication_time=60
pres_publish_startup=yes
mwi_sollicited=yes
mwi_user={user}
mwi_server=127.0.0.1:{herald}
mwi_via_proxy=yes
mwi_subscription_time=60
sip_transport={kind}
"""
SYSTEM = """sip_port={port}
rtp_port={rtp}
dev_ringtone=oss:/dev/null
dev_speaker=oss:/dev/null
dev_mic=oss:/dev/null
log_show_sip=yes
log_show_debug=no
validate_audio_dev=no
start_user_profile={user}
"""


class Phone:
    """One Twinkle with one account and one buddy; its log has every SIP message."""

    def __init__(self, broker, user, buddy, kind, proxy=None):
        self.home = os.path.join(broker.folder.name, user)
        folder = os.path.join(self.home, ".twinkle")
        os.makedirs(folder)
        self.log = os.path.join(folder, "twinkle.log")
        for name, text in ((f"{user}.cfg", USER.format(user=user, herald=broker.port, proxy=proxy or broker.port,
                                                         password=broker.passwords[user], kind=kind)),
                           (f"{user}.bud", f"{buddy}|sip:{buddy}@127.0.0.1:{broker.port}|y\n"),
                           ("twinkle.sys", SYSTEM.format(port=free_port(), rtp=free_port(), user=user))):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        self.run = Background(["twinkle-console"], broker.folder.name, stdin=subprocess.PIPE,
                              env=dict(os.environ, HOME=self.home, TERM="dumb"), cwd=self.home)

    def command(self, line):
        self.run.process.stdin.write(line.encode() + b"\n")
        self.run.process.stdin.flush()

    def got(self, *words):
        """Whether a NOTIFY with all the words has come."""
        try:
            with open(self.log, encoding="utf-8", errors="replace") as file:
                parts = file.read().split("Received from: ")
        except OSError:
            return False
        return any("\nNOTIFY " in p and all(w in p.split("\n---\n")[0] for w in words) for p in parts[1:])


def two_phones(kind):
    with Broker(shards=2, users=("alice", "bob"), authentication='algorithms = {{ "MD5" }}') as broker:
        watch_each_other(broker, Phone(broker, "alice", "bob", kind), Phone(broker, "bob", "alice", kind))


def watch_each_other(broker, alice, bob):
    wanted = {(f"sip:{w}@127.0.0.1", f"sip:{r}@127.0.0.1", p) for w, r, p in (
        ("alice", "bob", "presence"), ("bob", "alice", "presence"),
        ("alice", "alice", "message-summary"), ("bob", "bob", "message-summary"))}
    until(lambda: len(broker.admin("bindings")["bindings"]) == 2, "both register")
    until(lambda: {(s["watcher"], s["resource"], s["package"]) for s in broker.subs() if s["health"] == "in-sync"} == wanted,
          "both subscribe to both")
    until(lambda: len(broker.pubs()) == 2, "both publish")
    until(lambda: bob.got("Event: presence", "<sip:alice@", "<basic>open"), "bob sees alice")
    until(lambda: alice.got("Event: presence", "<sip:bob@", "<basic>open"), "alice sees bob")
    alice.command("presence -b offline")
    until(lambda: bob.got("Event: presence", "<sip:alice@", "<basic>closed", "active"), "bob sees that alice is away")
    service = Agent(broker, "alice")
    service.publish(service.aor, "message-summary", MWI, "Messages-Waiting: yes\r\nVoice-Message: 3/0\r\n")
    until(lambda: alice.got("Event: message-summary", "Voice-Message: 3/0"), "alice's lamp goes on")
    check(not bob.got("Voice-Message: 3/0"), "bob's lamp")
    equal(broker.counters()["subscriptions_made"], 4, "subscriptions that were made")
    for phone in (alice, bob):
        phone.command("quit")  # it unsubscribes, takes back what it published and unregisters
    until(lambda: not broker.subs(), "no subscription is left")
    until(lambda: not broker.admin("bindings")["bindings"], "nobody is registered")


def test_two_twinkles_behind_an_edge():
    with Broker(shards=2, users=("alice", "bob"), authentication='algorithms = {{ "MD5" }}') as broker, Edge(broker) as edge:
        alice = Phone(broker, "alice", "bob", "udp", edge.outer)
        time.sleep(1.2)  # equal branches of two phones are repetitions for Kamailio, which looks at nothing else
        watch_each_other(broker, alice, Phone(broker, "bob", "alice", "udp", edge.outer))


def test_two_twinkles_over_udp():
    two_phones("udp")


def test_two_twinkles_over_tcp():
    two_phones("tcp")


if __name__ == "__main__":
    run_tests(globals())
