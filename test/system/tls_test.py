#!/usr/bin/env python3
"""TLS from the door to the NOTIFY: certificates of the test's own authority, changed while they are used."""
import os
import signal
import socket
import ssl
import subprocess
import tempfile
import threading

from broker import COMPLAINT, HERALDD, PATIENCE_S, Broker, check, equal, run_tests, until
from ca import Authority
from sip import MWI, PIDF, Agent, pidf

LISTEN = 'listen "tls://127.0.0.1:{{tls}}" {{{{ certificate = "{0}"  key = "{1}"  {2} }}}}\n'


class Secure:
    """A broker with a listener for TLS, and its authority."""

    def __init__(self, listen="", conf="", **more):
        self.folder = tempfile.TemporaryDirectory(prefix="herald-ca-")
        self.authority = Authority(self.folder.name)
        self.pair = self.authority.make("server")
        self.broker = Broker(conf=LISTEN.format(*self.pair, listen.format(ca=self.authority.certificate)) + conf, ports=("tls",), **more)

    def net(self, name):
        return self.broker.admin("status")["net"][name]

    @property
    def server(self):
        return ("127.0.0.1", self.broker.ports["tls"])

    def agent(self, user, pair=None, context=None, **more):
        return Agent(self.broker, user, kind="tls", server=self.server, tls=context or self.authority.client(pair), **more)

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        self.broker.__exit__(*problem)
        self.folder.cleanup()


def test_subscribe_publish_and_notify():
    for shards in (1, 2):
        with Secure(shards=shards, users=("alice", "bob")) as secure:
            watchers = [secure.agent("bob") for _ in range(4)]
            alice = secure.agent("alice")
            subs = [w.subscribe(alice.aor) for w in watchers]
            for sub in subs:
                check(sub.response.get("contact").startswith(f"<sip:127.0.0.1:{secure.server[1]};transport=tls;gr="),
                      sub.response.get("contact"))
                check(sub.notification().get("via").startswith(f"SIP/2.0/TLS 127.0.0.1:{secure.server[1]};"), "Via of the NOTIFY")
            alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor, "t1"))
            for sub in subs:
                check(b"t1" in sub.notification().body, "the state")
                sub.send(600)  # in the dialog, to our Contact
                sub.notification()
            equal({s["transport"] for s in secure.broker.subs()}, {"TLS"})
            equal(secure.net("secured"), 5)


def test_sips_stays_secure():
    with Secure(users=("alice",)) as secure:
        alice = secure.agent("alice")
        sips = alice.aor.replace("sip:", "sips:")
        alice.own_contact = f"<sips:alice@{alice.line.at()}>"
        sub = alice.subscribe(sips)
        check(sub.target.startswith(f"sips:127.0.0.1:{secure.server[1]};gr="), sub.target)
        notify = sub.notification()
        check(notify.start.startswith("NOTIFY sips:alice@"), notify.start)
        check(notify.get("contact").startswith("<sips:"), notify.get("contact"))
        clear = Agent(secure.broker, "alice", kind="tcp")
        clear.own_contact = alice.own_contact
        clear.subscribe(clear.aor, expect=480)  # never in the clear
        clear.own_contact = None
        clear.subscribe(sips, expect=480)


def test_the_tool():
    with Secure(users=("alice", "bob")) as secure:
        at = f"127.0.0.1:{secure.server[1]}"
        login = ["--user", "bob", "--password", secure.broker.passwords["bob"]]
        watch = ["sub", f"sip:alice@{at}", "--package", "message-summary", *login, "--once"]
        out = secure.broker.tool(*watch, "--server", "tls:" + at, "--ca", secure.authority.certificate)
        check("Messages-Waiting: no" in out or "active" in out, out)
        secure.broker.tool(*watch, "--server", at, "--tls", "--insecure")
        secure.broker.tool(*watch, "--server", "tls:" + at, expect=4)  # an authority that the system does not know
        check("TLS failed" in secure.broker.last_error, secure.broker.last_error)
        secure.broker.tool(*watch, "--server", "tls:" + at, "--ca", "/nowhere/ca.pem", expect=1)
        check("/nowhere/ca.pem: No such file" in secure.broker.last_error, secure.broker.last_error)
        sub = secure.broker.tool_start(*watch[:-1], "--server", "tls:" + at, "--ca", secure.authority.certificate)
        pub = secure.broker.tool_start("pub", f"sips:alice@{at}", "--voice", "2/0", "--user", "alice", "--password",
                                       secure.broker.passwords["alice"], "--server", at, "--ca", secure.authority.certificate)
        sub.says("Voice-Message: 2/0")
        pub.end()
        sub.end()


def test_certificates_change_under_load():
    with Secure(shards=2, users=("alice",)) as secure:
        ending, failures, answered = threading.Event(), [], []

        def use(index):
            try:
                old = secure.agent("alice")
                n, etag = 0, None
                while not ending.is_set():
                    agent = secure.agent("alice") if n % 2 else old
                    response = agent.publish(agent.aor, "message-summary", MWI, f"Messages-Waiting: yes\r\nVoice-Message: {n}/{index}\r\n",
                                             etag=etag)
                    etag = response.get("sip-etag")
                    n += 1
                    if agent is not old:
                        agent.close()
                answered.append(n)
            except Exception as problem:  # pylint: disable=broad-except
                failures.append(problem)

        def shown():
            agent = secure.agent("alice")
            try:
                return dict(x[0] for x in agent.line.socket.getpeercert()["subject"])["commonName"]
            finally:
                agent.close()

        users = [threading.Thread(target=use, args=(i,)) for i in range(3)]
        for user in users:
            user.start()
        for i in range(3):
            secure.authority.make(f"server-{i}", to="server")
            version = secure.broker.admin("status")["config_version"]
            secure.broker.process.send_signal(signal.SIGHUP)
            until(lambda v=version: secure.broker.admin("status")["config_version"] > v, "the certificates were read")
            # A shard has them a moment after the main thread.
            until(lambda name=f"server-{i}": shown() == name, "new connections are shown the new certificate")
        ending.set()
        for user in users:
            user.join()
        equal(failures, [])
        check(all(n > 2 for n in answered) and len(answered) == 3, answered)
        equal(secure.net("unsecured"), 0)


def test_wrong_certificates_are_named_and_the_old_ones_stay():
    with Secure(users=("alice",)) as secure:
        alice = secure.agent("alice")
        with open(secure.pair[0], "w", encoding="ascii") as file:
            file.write("not a certificate\n")
        secure.broker.process.send_signal(signal.SIGHUP)
        until(lambda: "was not taken" in secure.broker.err(), "the reload is refused")
        check(f"certificate {secure.pair[0]}: it holds no certificate in PEM" in secure.broker.err(), secure.broker.err())
        secure.agent("alice").subscribe(alice.aor)  # with the certificate that it read before
        run = subprocess.run([HERALDD, "--check", "-c", secure.broker.conf_path], capture_output=True, text=True, timeout=PATIENCE_S,
                             check=False)
        equal(run.returncode, 1)
        check(secure.pair[0] in run.stderr and not COMPLAINT.search(run.stderr), run.stderr)


def test_an_edge_with_a_certificate_says_who_asks():
    with Secure("verify_clients = optional  ca = \"{ca}\"  trusted_names = {{{{ edge.example.test }}}}", shards=2, users=("alice",)) as secure:
        edge = secure.authority.make("edge", alts="URI:sip:edge.example.test")
        stranger = secure.authority.make("stranger", alts="DNS:stranger.example.test")
        for _ in range(4):  # on whatever shard
            agent = secure.agent("bob", pair=edge)
            equal(agent.publish(agent.aor, "message-summary", MWI, "Messages-Waiting: no\r\n").status, 200)
            agent.subscribe(agent.aor).notification()
        for pair in (stranger, None):
            secure.agent("bob", pair=pair).subscribe("sip:bob@127.0.0.1", expect=401)


def test_a_certificate_shows_whose_user_asks_and_a_rule_may_ask_for_it():
    with Secure("verify_clients = optional  ca = \"{ca}\"  certified = {{{{ fleet.example, \"127.0.0.1\" }}}}", shards=2, users=("alice", "bob"),
                allow=False) as secure:
        fleet = secure.authority.make("fleet", alts="URI:sip:fleet.example")
        bob = secure.authority.make("bob", alts="URI:sip:bob@127.0.0.1")
        for watcher in ("sip:*@fleet.example", "bob"):
            secure.broker.admin("policy-allow", resource="alice", watcher=watcher, proof=["tls"])
        for _ in range(4):  # on whatever shard
            secure.agent("truck7", pair=fleet, domain="fleet.example").subscribe("sip:alice@127.0.0.1").notification()
        secure.agent("bob", pair=bob).subscribe("sip:alice@127.0.0.1").notification()
        shown = secure.broker.admin("explain", watcher="bob", resource="alice")["subscriptions"]
        equal([s["proof"] for s in shown], ["tls"], "how he has shown who he is")
        secure.agent("bob").subscribe("sip:alice@127.0.0.1", expect=403)  # his password is not enough for this rule
        secure.agent("truck7", pair=bob, domain="fleet.example").subscribe("sip:alice@127.0.0.1", expect=401)


def test_a_certificate_that_is_required():
    with Secure("verify_clients = require  ca = \"{ca}\"", users=("alice",)) as secure:
        secure.agent("alice", pair=secure.authority.make("phone")).subscribe("sip:alice@127.0.0.1")
        try:
            agent = secure.agent("alice")
            agent.line.send(agent.build("OPTIONS", agent.aor))
            check(agent.line.wait_closed(), "an answer without a certificate")
        except (ssl.SSLError, ConnectionError):
            pass
        until(lambda: secure.net("unsecured") == 1, "it is counted")


def test_a_certificate_that_the_broker_makes():
    conf = 'listen "tls://127.0.0.1:{tls}" {{ certificate = self }}\n'
    with Broker(conf=conf, ports=("tls",), users=("alice",)) as broker:
        certificate = os.path.join(broker.run_dir, "tls.crt")
        equal(os.stat(os.path.join(broker.run_dir, "tls.key")).st_mode & 0o777, 0o600)
        context = ssl.create_default_context(cafile=certificate)
        server = ("127.0.0.1", broker.ports["tls"])
        Agent(broker, "alice", kind="tls", server=server, tls=context).subscribe("sip:alice@127.0.0.1")
        before = open(certificate, "rb").read()
        broker.stop(hurry=True)
        broker.start()
        equal(open(certificate, "rb").read(), before, "it is kept")


def test_who_does_not_speak_tls_disturbs_nobody():
    with Secure(users=("alice",), conf="limits {{ connection_handshake = 3s }}\n") as secure:
        alice = secure.agent("alice")
        sub = alice.subscribe(alice.aor)
        sub.notification()
        lines = [socket.create_connection(secure.server, PATIENCE_S) for _ in range(40)]
        for i, line in enumerate(lines):
            if i % 4 == 1:
                line.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            elif i % 4 == 2:
                line.sendall(b"\x16\x03\x01\x40\x00" + os.urandom(100))
            elif i % 4 == 3:
                line.sendall(os.urandom(300))
        alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor, "t1"))
        check(b"t1" in sub.notification().body, "the state")
        for line in lines:
            line.settimeout(PATIENCE_S)
            try:
                while line.recv(4096):
                    pass
            except ConnectionError:
                pass
        until(lambda: secure.net("unsecured") >= 40, "all are counted")
        check(secure.broker.err().count("TLS failed") < 20, "a line each")
        sub.send(600)


if __name__ == "__main__":
    run_tests(globals())
