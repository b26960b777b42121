#!/usr/bin/env python3
"""WebSocket and secure WebSocket from the door to the NOTIFY (RFC 7118)."""
import os
import tempfile

from broker import PATIENCE_S, Broker, Failed, check, equal, run_tests, until
from ca import Authority
from sip import PIDF, Agent, pidf
from web import WebSocket

LISTEN = 'listen "ws://127.0.0.1:{ws}" {{ origins = "https://phone.example.test" }}\nlisten "wss://127.0.0.1:{wss}" {{ certificate = "%s"  key = "%s" }}\n'


class Web:
    """A broker with listeners for both kinds, and its authority."""

    def __init__(self, conf="", **more):
        self.folder = tempfile.TemporaryDirectory(prefix="herald-ca-")
        self.authority = Authority(self.folder.name)
        self.broker = Broker(conf=LISTEN % self.authority.make("server") + conf, ports=("ws", "wss"), **more)

    def server(self, kind):
        return ("127.0.0.1", self.broker.ports[kind])

    def agent(self, user, kind):
        return Agent(self.broker, user, kind=kind, server=self.server(kind), tls=self.authority.client() if kind == "wss" else None)

    def net(self, name):
        return self.broker.admin("status")["net"][name]

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        self.broker.__exit__(*problem)
        self.folder.cleanup()


def test_subscribe_publish_and_notify():
    for shards in (1, 2):
        with Web(shards=shards, users=("alice", "bob")) as web:
            for kind in ("ws", "wss"):
                watchers, alice = [web.agent("bob", kind) for _ in range(3)], web.agent("alice", kind)
                response = alice.ask("REGISTER", "sip:127.0.0.1", to=f"<{alice.aor}>")
                equal(response.status, 200)
                subs = [w.subscribe(alice.aor) for w in watchers]
                for sub in subs:
                    at = "%s:%d" % web.server(kind)
                    check(sub.response.get("contact").startswith(f"<sip:{at};transport=ws;gr="), sub.response.get("contact"))
                    notify = sub.notification()
                    check(notify.get("via").startswith(f"SIP/2.0/{kind.upper()} {at};"), notify.get("via"))
                    check(".invalid" in notify.start, notify.start)
                # Without Content-Length, which RFC 7118 section 5 says is not needed.
                etag = alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor, tuple_id=kind)).get("sip-etag")
                for sub in subs:
                    check(kind.encode() in sub.notification().body, "the state")
                    sub.send(600)
                    sub.notification()
                alice.publish(alice.aor, "presence", PIDF, b"", etag=etag, expires=0)
                for agent in watchers:
                    agent.close()
            equal(web.net("upgraded"), 8)


def test_content_length_may_be_missing_but_not_lie():
    with Web(users=("alice",)) as web:
        alice = web.agent("alice", "ws")
        equal(alice.ask("OPTIONS", drop=("Content-Length",)).status, 200)
        for octets in (b"x", b"OPTIONS sip:127.0.0.1 SIP/2.0\r\n\r\n"):
            alice.cseq += 1
            equal(alice.exchange(alice.build("OPTIONS", alice.aor) + octets).status, 400)


def test_who_comes_back_is_notified_on_his_new_connection():
    with Web(shards=2, users=("alice", "bob")) as web:
        alice, bob = Agent(web.broker, "alice"), web.agent("bob", "wss")
        sub = bob.subscribe(alice.aor)
        sub.notification()
        bob.line.close()
        until(lambda: web.net("streams_open") == 0, "the connection is gone")
        alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor, tuple_id="meanwhile"))
        until(lambda: web.broker.subs()[0]["health"] == "parked", "nobody is looked for at a name that leads nowhere")
        again = web.agent("bob", "wss")
        bob.line = again.line
        sub.send(600)
        check(b"meanwhile" in sub.notification().body, "what he missed")
        until(lambda: web.broker.subs()[0]["health"] == "in-sync", "it is well again")


def test_origins_and_what_is_no_upgrade():
    with Web(users=("alice",)) as web:
        WebSocket(web.server("ws"), origin="https://phone.example.test").close()
        for origin, protocol, words in (("https://evil.test", "sip", b"403 Forbidden"), (None, "xmpp", b"400 Bad Request")):
            try:
                WebSocket(web.server("ws"), origin=origin, protocol=protocol)
                raise AssertionError("it was taken")
            except Failed as problem:
                check(words.decode() in str(problem), problem)
        page = WebSocket(web.server("ws"), upgrade=False)
        page.socket.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        check(page.http_head().startswith(b"HTTP/1.1 426 Upgrade Required"), "a browser's page")
        equal(web.net("not_upgraded"), 3)
        # Others from the next reload on; who is connected stays.
        alice = web.agent("alice", "ws")
        sub = alice.subscribe(alice.aor)
        sub.notification()
        web.broker.write(web.broker.text().replace("https://phone.example.test", "https://other.example.test"))
        web.broker.admin("reload")
        WebSocket(web.server("ws"), origin="https://other.example.test").close()
        try:
            WebSocket(web.server("ws"), origin="https://phone.example.test")
            raise AssertionError("it was taken")
        except Failed as problem:
            check("403 Forbidden" in str(problem), problem)
        sub.send(600)
        sub.notification()


def test_bad_frames_disturb_nobody():
    with Web(users=("alice",), conf="limits {{ connection_handshake = 3s  connection_message = 3s }}\n") as web:
        alice = web.agent("alice", "ws")
        sub = alice.subscribe(alice.aor)
        sub.notification()
        bad = [(b"\x81\x05hello", 1002), (b"\x81\xff" + b"\xff" * 8, 1002), (b"\x81\xff\x7f" + b"\xff" * 7, 1009),
               (b"\x81\x81\0\0\0\0\xff", 1007), (os.urandom(300)[:0] + b"\xf1\xff" + os.urandom(300), 1002), (b"\x88\x81\0\0\0\0\x01", 1002)]
        for octets, code in bad:
            line = WebSocket(web.server("ws"))
            line.socket.sendall(octets)
            equal(line.read_frame(), (0x88, code.to_bytes(2, "big")))
        stalled = [WebSocket(web.server("ws")) for _ in range(5)]
        for line in stalled:
            line.socket.sendall(b"\x81\xfe\x10\x00mask and a part")
        silent = [WebSocket(web.server("ws"), upgrade=False) for _ in range(5)]
        silent[0].socket.sendall(b"GET / HTTP/1.1\r\nA: ")
        alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor, tuple_id="t9"))
        check(b"t9" in sub.notification().body, "the state")
        for line in stalled + silent:
            line.socket.settimeout(PATIENCE_S)
            try:
                while line.socket.recv(4096):
                    pass
            except ConnectionError:
                pass
        equal(web.net("frames_bad"), len(bad))
        until(lambda: web.net("not_upgraded") == 5, "the silent are counted")
        sub.send(600)


if __name__ == "__main__":
    run_tests(globals())
