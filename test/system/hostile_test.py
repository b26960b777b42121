#!/usr/bin/env python3
"""Who calls himself by what breaks a terminal, a page, a table or a document is shown everywhere, and breaks nothing."""
import json
import re
import subprocess
import unicodedata
import xml.etree.ElementTree as ET

from broker import HERALD, Broker, check, equal, run_tests, until
from openmetrics import parse
from rest import SECTION, Web
from sip import PIDF, Agent, pidf, token

ESC, RLO, ISOLATE, NEL = "\x1b", "\u202e", "\u2066", "\u0085"
# What he calls himself in From: display name and URI, as a peer may write them (RFC 3261 section 25.1).
NAMES = {
    "control characters": ('"C"', "sip:%00%01%07%1b%5b31m%0d%0a%7f@127.0.0.1"),
    "quotes and brackets": ('"\\"><b>\\""', "sip:%22'%3e%3c!%5bCDATA%5b%5d%5d%3e@127.0.0.1"),
    "a script": ('"<script>alert(1)</script>"', "sip:%3cscript%3ealert('1')%3c/script%3e@127.0.0.1"),
    "a shell": ('"$(id)`id`"', "sip:$(id);&,=+?/'!@127.0.0.1"),
    "a formula": ('"=cmd"', "sip:=1+1*cmd@127.0.0.1"),
    "a terminal": ('"' + ESC + '[2J"', "sip:%1b%5d0;owned%07@127.0.0.1"),
    "the other direction": ('"' + RLO + "txt" + ISOLATE + '"', "sip:%e2%80%ae%e2%81%a6evil%c2%85@127.0.0.1"),
    "octets that are no UTF-8": ('"N"', "sip:%ff%fe%c0%af%ed%a0%80@127.0.0.1"),
    "240 letters": ('"' + "L" * 900 + '"', "sip:" + "l" * 240 + "@127.0.0.1"),
    "a JSON": ('"\\\\"', 'sip:%22,%22admin%22%3atrue%7d@127.0.0.1'),
}
FORMAT = {"Cf", "Cc", "Cs", "Zl", "Zp"}


def clean(text, what):
    """Nothing in it that a terminal or an editor would do instead of show."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "strict")
    for line in text.split("\n"):
        for c in line:
            check(unicodedata.category(c) not in FORMAT, f"{what}: U+{ord(c):04X} in {line[:200]!r}")
    return text


def key(uri):
    """The canonical form: what needs no escape has none, others in upper case (doc/architecture.md)."""
    def fold(match):
        c = chr(int(match.group(1), 16))
        return c if re.match(r"[A-Za-z0-9\-_.!~*'()&=+$,;?/]", c) else "%" + match.group(1).upper()
    return re.sub(r"%([0-9a-fA-F]{2})", fold, uri)


def clean_json(value, what):
    """Decoded, its texts hold what was said, escaped as in a URI: nothing is lost and nothing is live."""
    if isinstance(value, dict):
        for k, v in value.items():
            clean(k, what)
            clean_json(v, what)
    elif isinstance(value, list):
        for v in value:
            clean_json(v, what)


def subscribe(agent, display, uri):
    headers = [("From", f"{display} <{uri}>;tag={token()}"), ("Call-ID", token(8) + '<script>"[]{}?' + "'@x"), ("Event", "presence"),
               ("Expires", "600"), ("User-Agent", "<img src=x> " + ESC + "[31m " + RLO), ("Subject", "\udcff\udcfe")]
    equal(agent.ask("SUBSCRIBE", "sip:alice@127.0.0.1", headers).status, 200, uri)


def tool(broker, *words):
    run = subprocess.run([HERALD, *words, "--socket", broker.socket_path], capture_output=True, check=False)
    check(run.returncode == 0, words, run)
    clean(run.stderr, words)
    return run.stdout


class Hostile:
    """with Hostile() as h: ...   all of them watch alice, and one publishes."""

    def __init__(self):
        self.broker = Broker(lab=True, users=("alice", "root"), conf=SECTION % "", ports=("web",))
        self.keys = sorted(key(uri) for _, uri in NAMES.values())

    def __enter__(self):
        self.alice, eve = Agent(self.broker, "alice"), Agent(self.broker, "eve", lab=True)
        for display, uri in NAMES.values():
            subscribe(eve, display, uri)
        publisher = Agent(self.broker, "%22%3cb%3e%1b", lab=True)
        publisher.publish(publisher.aor, "presence", PIDF, pidf(publisher.aor, note="&lt;script&gt;" + RLO))
        return self

    def __exit__(self, *what):
        return self.broker.__exit__(*what)


def test_watcher_information_names_each_of_them():
    with Hostile() as h:
        def watchers():
            body = h.alice.subscribe(h.alice.aor, package="presence.winfo", expires=0).notification().body
            clean(body.replace(b"\r\n", b"\n"), "watcher information")
            return sorted(w.text.strip() for w in ET.fromstring(body).iter("{urn:ietf:params:xml:ns:watcherinfo}watcher"))
        until(lambda: watchers() == h.keys, "all of them")


def test_calls_name_each_of_them_over_the_socket_and_over_http():
    with Hostile() as h:
        root = Web(h.broker, token=h.broker.admin("token-add", user="root", scopes=["admin"])["token"])
        until(lambda: {r["watcher"] for r in h.broker.admin("audit", resource="alice")["audit"]} == set(h.keys), "the audit trail")
        for call, query in (("subs", {}), ("watchers", {"resource": "alice"}), ("audit", {"resource": "alice"})):
            answer = root.get(f"/v1/admin/{call}?" + "&".join(f"{k}={v}" for k, v in query.items()))
            clean(answer.body, call)
            check(answer.headers["Content-Type"].startswith("application/json"), answer.headers)
            equal(answer.headers["X-Content-Type-Options"], "nosniff", call)
            for result in (answer.json(), h.broker.admin(call, **query)):
                equal(sorted(r["watcher"] for r in result[call]), h.keys, call)


def test_the_tool_shows_each_of_them_to_people_and_to_programs():
    with Hostile() as h:
        listings = [("subs",), ("pubs",), ("watchers", "alice"), ("audit", "alice"), ("policy", "show", "alice"), ("trace", "alice")]
        for watcher in h.keys:
            h.broker.admin("policy-allow", resource="alice", watcher=watcher)
        until(lambda: {r["watcher"] for r in h.broker.admin("audit", resource="alice")["audit"]} == set(h.keys), "the audit trail")
        for words in listings:
            said = clean(tool(h.broker, *words, "--json"), (*words, "--json"))
            clean_json(json.loads(said), words)
            check(words == ("pubs",) or all(watcher in said for watcher in h.keys), "not all of them in", words, said)
        listings += [("user", "list"), ("status",), ("trace", "alice", "--full")]
        for watcher in h.keys:
            listings += [("explain", watcher, "alice"), ("policy", "test", watcher, "alice"), ("trace", watcher)]
        for words in listings:
            clean(tool(h.broker, *words), words)
        rows = json.loads(tool(h.broker, "policy", "show", "alice", "--json"))
        equal(sorted(r["watcher"] for r in rows["rules"]), h.keys, "the rules")


def test_figures_and_the_log_have_a_line_for_a_line():
    with Hostile() as h:
        parse(clean(tool(h.broker, "status", "--metrics"), "metrics"))
        eve = Agent(h.broker, "eve", lab=True)
        for display, uri in NAMES.values():  # refused and malformed: those are told in the log
            eve.ask("PUBLISH", "sip:alice@127.0.0.1", [("From", f"{display} <{uri}>;tag=x"), ("Event", "presence"), ("Content-Type", PIDF)], "<x")
        h.broker.stop(hurry=True)
        for line in clean(h.broker.err(), "the log").splitlines():
            check(re.match(r"(ts|time|level|\d{4}-)", line), "a line of its own", line)


run_tests(globals())
