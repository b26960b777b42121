#!/usr/bin/env python3
"""baresip (Debian: baresip-core), a real softphone: registers, publishes its presence, watches a contact's and its own lamp."""
import json
import os
import re
import socket
import tempfile

from broker import PATIENCE_S, Background, Broker, Failed, check, end_leftovers, equal, free_port, run_tests
from broker import until as broker_until
from ca import Authority
from sip import MWI, Agent

MD5 = 'algorithms = {{ "MD5" }}'  # baresip 1.0 gives up when any challenge has another algorithm
CONFIG = """sip_listen 127.0.0.1:0
net_interface 127.0.0.1
module_path {modules}
module_app account.so
module_app contact.so
module_app menu.so
module_app mwi.so
module_app presence.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
{more}
"""
MODULES = "/usr/lib/baresip/modules"


class Phone:
    """One baresip with one account and one contact; it prints every SIP message."""

    all = []

    def __init__(self, broker, user, contact, kind, more=""):
        self.folder = os.path.join(broker.folder.name, user)
        os.mkdir(self.folder)
        self.control = free_port()
        at = f"127.0.0.1:{broker.ports.get(kind, broker.port)}"
        # What is not a REGISTER goes where the account's address says, which has no transport: over UDP.
        proxy = f';outbound="sip:{at};transport=tls"' if kind == "tls" else ""
        for name, text in (("config", CONFIG.format(modules=MODULES, control=self.control, more=more)),
                           ("accounts", f"<sip:{user}@{at};transport={kind}>;auth_user={user};"
                                        f"auth_pass={broker.passwords[user]};regint=60;pubint=60;mwi=yes;answermode=manual{proxy}\n"),
                           ("contacts", f'"{contact}" <sip:{contact}@{at};transport={kind}>;presence=p2p\n')):
            with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        self.run = Background(["baresip", "-f", self.folder, "-v", "-s"], self.folder)
        Phone.all.append(self)

    def command(self, name):
        """A command as JSON in a netstring, over baresip's control socket."""
        def reach():
            try:
                return socket.create_connection(("127.0.0.1", self.control), PATIENCE_S)
            except OSError:
                return None
        with broker_until(reach, "the control socket of baresip") as s:
            text = json.dumps({"command": name}).encode()
            s.sendall(str(len(text)).encode() + b":" + text + b",")
            s.recv(4096)

    def messages(self):
        """What went over the wire, a message each, as baresip prints it."""
        return re.split(r"\n(?:UDP|TCP|TLS) 127\.0\.0\.1:\d+ -> ", re.sub(r"\x1b\[[0-9;]*m", "", self.run.out()).replace("\r", ""))

    def got(self, *words):
        """Whether a NOTIFY with all the words has come."""
        return any("\nNOTIFY " in m and all(w in m for w in words) for m in self.messages())


class Loops(Failed):
    """baresip 1.0 may fall into an endless loop of SUBSCRIBEs at its start, when it is answered within a millisecond."""


def until(condition, what):
    """broker.until, that looks out for a baresip in its loop: one that has written far more than its part needs."""
    def look():
        if any(os.path.getsize(phone.run.out_file.name) > 400000 for phone in Phone.all):
            raise Loops(f"a baresip sends SUBSCRIBEs without end, while: {what}")
        return condition()
    return broker_until(look, what)


def two_phones(kind, more="", **broker):
    for attempt in range(5):
        try:
            return two_phones_once(kind, more, **broker)
        except Loops as problem:
            print(problem, "- once more")
            end_leftovers()
            if attempt == 4:
                raise


def two_phones_once(kind, more="", **options):
    Phone.all.clear()
    with Broker(shards=2, users=("alice", "bob"), authentication=MD5, **options) as broker:
        alice, bob = Phone(broker, "alice", "bob", kind, more), Phone(broker, "bob", "alice", kind, more)
        for user, contact in (("alice", "bob"), ("bob", "alice")):
            key = f"sip:{user}@127.0.0.1"
            until(lambda k=key: [b for b in broker.admin("bindings")["bindings"] if b["resource"] == k], f"{user} registers")
            until(lambda k=key: [p for p in broker.pubs() if p["resource"] == k and p["package"] == "presence"],
                  f"{user} publishes")
            until(lambda k=key, c=contact: {(s["resource"], s["package"]) for s in broker.subs() if s["watcher"] == k} ==
                  {(k, "message-summary"), (f"sip:{c}@127.0.0.1", "presence")}, f"{user} subscribes to both")
        until(lambda: bob.got("Event: presence", "<sip:alice@", "open"), "bob sees alice")
        until(lambda: alice.got("Event: presence", "<sip:bob@", "open"), "alice sees bob")
        alice.command("presence_offline")
        until(lambda: bob.got("Event: presence", "<sip:alice@", "closed", "pidf"), "bob sees that alice is away")
        service = Agent(broker, "alice")
        service.publish(service.aor, "message-summary", MWI, "Messages-Waiting: yes\r\nVoice-Message: 3/0\r\n")
        until(lambda: alice.got("Event: message-summary", "Voice-Message: 3/0"), "alice's lamp goes on")
        check(not bob.got("Voice-Message: 3/0"), "bob's lamp")
        made = broker.counters()["subscriptions_made"]
        equal(made, 4, "subscriptions that were made")
        for phone in (alice, bob):
            phone.run.end(expect=None)  # SIGINT: it unsubscribes, takes back what it published and unregisters
        until(lambda: not broker.subs(), "no subscription is left")
        until(lambda: not broker.admin("bindings")["bindings"], "nobody is registered")
        # It takes back what it published last; of two first PUBLISHes, which it may send, the other is left to expire.
        check(broker.counters()["publications_ended"] >= 2, broker.counters())


def test_two_baresips_over_udp():
    two_phones("udp")


def test_two_baresips_over_tcp():
    two_phones("tcp")


def test_two_baresips_over_tls():
    with tempfile.TemporaryDirectory(prefix="herald-ca-") as folder:
        authority = Authority(folder)
        two_phones("tls", "sip_cafile " + authority.certificate, conf=authority.listen(), ports=("tls",))


if __name__ == "__main__":
    run_tests(globals())
