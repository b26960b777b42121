#!/usr/bin/env python3
"""Six thousand requests that are not as they should be, against the daemon under the sanitizers: over UDP many at once, over TCP, and streams that
are cut at every octet.  What was stored by it is then shown by everything that shows something, and has to be well-formed there; and
the daemon serves on."""
import json
import os
import re
import select
import socket
import time
import xml.etree.ElementTree

from anomalies import TYPES, cases
from broker import Broker, check, equal, run_tests, until
from openmetrics import parse
from sip import PIDF, Agent, Message, Transport, pidf, token

SEED = int(os.environ.get("SEED", "4475"))
OVER_UDP, OVER_TCP, BATCH = 5400, 600, 40
WATCHED = 12  # of the 40 users whom the cases name
CONF = ('limits {{ failures_burst = 0  subscriptions_per_watcher = 100000 }}\nregistrar {{ min_expires = 1 }}\n'
        'package "reg" {{ authorisation = allow  min_expires = 1  pace = 0s }}\n'
        'package "dialog" {{ authorisation = allow  min_expires = 1  pace = 0s }}\n'
        'package "x-text" {{ types = {{ "text/plain" }} authorisation = allow  min_expires = 1 }}\n'
        'package "x-json" {{ types = {{ "application/json" }} authorisation = allow  min_expires = 1 }}\n')
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")
LOG_LINE = re.compile(r'time=\S+ level=\w+ msg=("(\\.|[^"\\])*"|\S+)( \w+=("(\\.|[^"\\])*"|[^\s"]*))*')


def well_formed(data):
    """What the daemon sends can be read by anybody, and nobody put a line of his own into it."""
    head, found, body = data.partition(b"\r\n\r\n")
    check(found, "no end of the head:", data)
    lines = head.split(b"\r\n")
    names = [line.split(b":", 1)[0].strip().lower() for line in lines[1:] if line[:1] not in b" \t"]
    echo = lines[0].startswith(b"SIP/2.0 400 ")  # shows its sender, and nobody else, what he wrote (RFC 4475 3.3.1)
    for line in lines if not echo else []:
        check(not re.search(rb"[\r\n\0]", line), "an octet that no line may have:", line)
    for name in (b"call-id", b"cseq", b"from", b"to", b"content-length"):
        check(names.count(name) <= 1 and (name != b"content-length" or names.count(name) == 1), name, names.count(name), "times:", data)
    equal(int(re.search(rb"(?im)^content-length: *(\d+)", head).group(1)), len(body), "Content-Length")
    return Message(data)


def body_is_sound(message):
    """Of a NOTIFY: its body is of the type that it says."""
    kind, body = message.get("content-type"), message.data.split(b"\r\n\r\n", 1)[1]
    if not body:
        return
    if kind.endswith("xml"):
        xml.etree.ElementTree.fromstring(body)
    elif kind == "application/json":
        json.loads(body)
    elif kind == TYPES[b"message-summary"].decode():
        check(re.match(rb"(?i)messages-waiting[ \t]*:[ \t]*(yes|no)[ \t]*\r?\n", body), body)


class Sender:
    """Sends cases as datagrams and notes who was answered."""

    def __init__(self, broker):
        self.agent = Agent(broker, "anomaly", lab=True)
        self.line, self.answers, self.probes = self.agent.line, {}, 0
        self.line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)

    def hear(self, message):
        if message.is_response:
            self.answers.setdefault(message.branch, message.status)
        elif message.method == "NOTIFY":
            self.agent.reply(message, 200)

    def batch(self, batch):
        for case in batch:
            data = case.data()
            if len(data) < 65000:
                self.line.send(data)
            else:
                case.answered = False
        self.probe()

    def probe(self):
        """Whatever was sent before has been taken in when this is answered: by both shards, since they work in the order of arrival."""
        self.probes += 1
        branch, end = f"z9hG4bKprobe{self.probes}", time.monotonic() + 60
        self.line.send(self.agent.build("OPTIONS", "sip:127.0.0.1", branch=branch))
        while branch not in self.answers:
            check(time.monotonic() < end, "the daemon does not answer any more")
            for _ in iter(lambda: select.select([self.line.socket], [], [], 0.02)[0], []):
                self.hear(well_formed(self.line.socket.recv(65536)))

    def silence(self, for_s):
        while select.select([self.line.socket], [], [], for_s)[0]:
            self.hear(well_formed(self.line.socket.recv(65536)))


class Watcher(Agent):
    """A client that does nothing wrong and checks what it is shown."""

    def __init__(self, broker):
        super().__init__(broker, "watcher", lab=True)
        self.line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.shown = 0

    def look(self):
        while select.select([self.line.socket], [], [], 0)[0]:
            data = self.line.socket.recv(65536)
            message = well_formed(data)
            if message.method == "NOTIFY":
                body_is_sound(message)
                self.shown += 1
                self.reply(message, 200)

    def watch_all(self, users, expires):
        for i in range(users):
            for package in TYPES:
                self.cseq += 1
                uri = f"sip:u{i}@127.0.0.1"
                self.line.send(self.build("SUBSCRIBE", uri, [("Event", package.decode()), ("Expires", str(expires))], call_id=token(12)))
            self.look()


def over_udp(broker, watcher):
    sender = Sender(broker)
    via, contact = f"SIP/2.0/UDP {sender.line.at()};branch=%s".encode(), f"<sip:anomaly@{sender.line.at()}>".encode()
    everything = list(cases(SEED, OVER_UDP, via, contact))
    for i in range(0, len(everything), BATCH):
        sender.batch(everything[i:i + BATCH])
        watcher.look()
    missing = [c for c in everything if c.answered and c.branch.decode() not in sender.answers]
    for _ in range(60):  # those that wait for the store
        if not missing:
            break
        sender.silence(0.5)
        missing = [c for c in missing if c.branch.decode() not in sender.answers]
    check(not missing, len(missing), "requests were not answered:", *[f"\n{c.name}: {c.data()[:600]!r}" for c in missing[:5]])
    bad = [c for c in everything if c.sound and sender.answers[c.branch.decode()] not in (200, 405)]
    check(not bad, "sound requests were refused:", *[f"\n{sender.answers[c.branch.decode()]}: {c.data()!r}" for c in bad[:5]])
    kinds = set(sender.answers.values())
    check({200, 400, 404, 405, 416, 420, 423, 489} & kinds >= {200, 400, 405, 489}, "statuses that came:", kinds)


def over_tcp(broker):
    """Each on a connection of its own, twenty at once."""
    server = ("127.0.0.1", broker.lab)
    everything = list(cases(SEED + 1, OVER_TCP, b"SIP/2.0/TCP 127.0.0.1:9;branch=%s", b"<sip:anomaly@127.0.0.1:9;transport=tcp>", first=100000))
    for i in range(0, len(everything), 20):
        lines = []
        for case in everything[i:i + 20]:
            lines.append(Transport("tcp", server))
            try:
                lines[-1].send(case.data())
            except OSError:
                lines[-1].closed = True  # it was no message at some place, and is closed
        for case, line in zip(everything[i:i + 20], lines):
            if case.sound:
                message = line.receive(60)
                check(message and message.status in (200, 405), case.data(), message)
            line.close()


def all_requests(broker):
    """How many there were, when no more come: what was sent on connections that are closed by now may still be read."""
    before, now = None, broker.counters()["requests"]
    while now != before:
        time.sleep(0.5)
        before, now = now, broker.counters()["requests"]
    return now


def cut_everywhere(broker):
    """A stream that pauses at some octet is the same stream; one that ends there was no request."""
    server, notes = ("127.0.0.1", broker.lab), all_requests(broker)
    probe = Agent(broker, "cut", lab=True, kind="tcp")
    body = pidf("sip:cut@127.0.0.1")

    def request(i):
        data = probe.build("PUBLISH", "sip:cut@127.0.0.1", [("Event", "presence"), ("Expires", "60"), ("Content-Type", PIDF),
                           ("SIP-If-Match", "none")], body, call_id=f"cut{i}", branch=f"z9hG4bKcut{i:04}")
        return data

    n = len(request(0))
    for first in range(1, n, 60):
        at = range(first, min(first + 60, n))
        lines = [Transport("tcp", server) for _ in at]
        ended = [Transport("tcp", server) for _ in at]
        for i, line, end in zip(at, lines, ended):
            line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line.send(request(i)[:i])
            end.send(request(i + 5000)[:i])
            end.close()
        for i, line in zip(at, lines):
            line.send(request(i)[i:])
        for i, line in zip(at, lines):
            message = line.receive(60)
            check(message, "no answer to a request that was cut at", i)
            equal((message.status, message.get("call-id")), (412, f"cut{i}"), f"cut at {i}")
            line.close()
    equal(all_requests(broker) - notes, n - 1, "requests: of the streams that ended none was taken")


def documents_of_the_broker(broker):
    """What the broker writes itself of what others said of themselves: who watches (to the owner), and which contacts there are."""
    shown = {"watcher-list": 0, "registration": 0}
    for i in range(40):
        owner = Agent(broker, f"u{i}", lab=True)
        for package in ("presence.winfo", "dialog.winfo", "reg"):
            watch = owner.subscribe(owner.aor, package, expires=0)
            equal(watch.response.status, 200, package)
            notify = watch.notification()
            well_formed(notify.data)
            body_is_sound(notify)
            for name in shown:
                shown[name] += notify.data.count(b"<watcher " if name == "watcher-list" else b"<contact ")
        owner.close()
    check(all(n > 20 for n in shown.values()), "watchers and contacts that were shown:", shown)


def json_of(text):
    """One value, or one in each line."""
    try:
        return json.loads(text)
    except ValueError:
        return [json.loads(line) for line in text.splitlines()]


def shown_everywhere(broker):
    at = ["--socket", broker.socket_path]
    for words in (["subs"], ["pubs"], ["bindings"], ["status"], ["status", "--all"], ["package", "list"], ["policy", "list"], ["resources"],
                  ["watchers", "sip:u1@127.0.0.1"], ["audit", "sip:u1@127.0.0.1"], ["trace", "sip:u1@127.0.0.1"]):
        text = broker.tool(*words, *at)  # its octets are UTF-8, or this fails
        check(text.strip(), words, "shows nothing")
        check(not CONTROL.search(text), words, "shows control characters:", repr(CONTROL.search(text)))
        json_of(broker.tool(*words, "--json", *at))
    check("herald_requests" in parse(broker.tool("status", "--metrics", *at)), "metrics")
    for line in broker.err().splitlines():
        check(LOG_LINE.fullmatch(line) and not CONTROL.search(line), "a line of the log:", repr(line))
    rows = broker.subs(limit=100000)
    check(len(rows) > WATCHED * len(TYPES), len(rows), "subscriptions")
    for row in rows + broker.pubs(limit=100000):
        check(row["resource"].startswith(("sip:", "tel:")), row)


def serves_on(broker):
    alice = Agent(broker, "alice", lab=True)
    watch = alice.subscribe("sip:alice@127.0.0.1")
    watch.notification()
    alice.publish("sip:alice@127.0.0.1", "presence", PIDF, pidf("sip:alice@127.0.0.1", note="still here"))
    check("still here" in repr(watch.notification()), "the state")
    watch.send(0)


def test_what_is_wrong_in_every_way_harms_nobody():
    with Broker(shards=2, conf=CONF, lab=True) as broker:
        watcher = Watcher(broker)
        watcher.watch_all(WATCHED, 3600)
        over_udp(broker, watcher)
        over_tcp(broker)
        cut_everywhere(broker)
        until(lambda: watcher.look() or watcher.shown > 2 * WATCHED * len(TYPES), "the watcher is shown what was published")
        fetcher = Watcher(broker)
        fetcher.watch_all(40, 0)
        until(lambda: watcher.look() or fetcher.look() or fetcher.shown >= 40 * len(TYPES), "everything is shown to a fetch")
        documents_of_the_broker(broker)
        shown_everywhere(broker)
        serves_on(broker)


if __name__ == "__main__":
    run_tests(globals())
