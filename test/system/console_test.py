#!/usr/bin/env python3
"""The console on GET /, in a headless Chromium (Debian: chromium), with traffic behind it: what it shows, to whom, and what hostile peers can
do to it.  With SCREENSHOTS=FOLDER the pages are drawn into it (`make screenshots`: doc/console)."""
import gzip
import os
import random
import re
import sys
import threading
import urllib.parse

import chromium
from broker import Broker, check, equal, run_tests, until
from rest import SECTION, Web
from sip import MWI, PIDF, Agent, pidf

CONF = 'package "x-state" {{ types = "text/plain"  authorisation = allow  min_expires = 1  pace = 0s }}\n'
PEOPLE = ("alice", "bob", "carol", "dave", "erin")


def server(section='look = {{ "127.0.0.1" }}', conf="", **more):
    return Broker(conf=CONF + conf + SECTION % section, ports=("web",), **more)


def address(broker, place=""):
    return f"http://127.0.0.1:{broker.ports['web']}/{place}"


class Traffic:
    """Phones that watch each other and publish, until it is left."""

    def __init__(self, broker, pause_s=0.05):
        self.broker, self.pause_s, self.stop = broker, pause_s, threading.Event()
        self.phones = [Agent(broker, name) for name in PEOPLE]
        for phone in self.phones:
            for other in PEOPLE:
                if other != phone.user:
                    phone.subscribe(f"sip:{other}@127.0.0.1")
            phone.subscribe(phone.aor, package="message-summary")
        self.threads = [threading.Thread(target=self.live, args=(phone,), daemon=True) for phone in self.phones]

    def live(self, phone):
        etag, mail = None, None
        while not self.stop.is_set():
            phone.take(random.uniform(self.pause_s, 6 * self.pause_s))
            phone.inbox.clear()
            if random.random() < 0.3:
                etag = phone.publish(phone.aor, "presence", PIDF, pidf(phone.aor, random.choice(("open", "closed"))), etag).get("sip-etag")
            elif random.random() < 0.1:
                n = random.randrange(9)
                mail = phone.publish(phone.aor, "message-summary", MWI, f"Messages-Waiting: {'yes' if n else 'no'}\r\nVoice-Message: {n}/0\r\n",
                                     mail).get("sip-etag")

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def picture(page, name):
    if os.environ.get("SCREENSHOTS"):
        page.screenshot(os.path.join(os.environ["SCREENSHOTS"], name + ".png"))


def is_clean(page, broker):
    """No script failed, nothing was stopped by the policy, and nobody else was asked for anything."""
    equal(page.complaints, [])
    check(all(r["url"].startswith((address(broker), "data:", "about:")) for r in page.requests), [r["url"] for r in page.requests])


def is_live(page):
    return page.run("!!document.querySelector('.lamp.good')")


def rows(page):
    return page.run("document.querySelectorAll('tbody tr').length")


def test_the_files_are_served_with_a_policy_that_lets_nothing_in():
    with server() as broker:
        web = Web(broker)
        page = web.get("/")
        equal(page.headers["Content-Type"], "text/html; charset=utf-8")
        policy = page.headers["Content-Security-Policy"]
        check("default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy, policy)
        check(re.search(rb'<script type="module" crossorigin src="/console.js"></script>', page.body), page.body)
        check(not re.search(rb"<script[^>]*>[^<]|<style|style=| on[a-z]+=", page.body), "nothing stands in the page that the policy forbids")
        web.get("/", expect=304, If_None_Match=page.etag)
        for path, kind in (("/console.js", "text/javascript; charset=utf-8"), ("/console.css", "text/css; charset=utf-8"), ("/icon.svg", "image/svg+xml")):
            answer = web.get(path, Accept_Encoding="gzip, br")
            equal(answer.headers["Content-Type"], kind)
            equal(answer.headers["X-Content-Type-Options"], "nosniff")
            text = gzip.decompress(answer.body) if answer.headers["Content-Encoding"] == "gzip" else answer.body
            check(not re.search(rb"https?://(?!127\.0\.0\.1|localhost|www\.w3\.org)", text), path, "names another host")
        web.get("/console.js", expect=406, Accept_Encoding="identity")
        web.get("/console.js.map", expect=404)
        web.get("/../etc/passwd", expect=404)


def test_it_shows_what_goes_on_and_draws_it():
    with server(shards=2, users=PEOPLE, conf="on_timeout = park\n") as broker, chromium.Chromium() as browser, Traffic(broker):
        silent = Agent(broker, "erin")
        silent.answer = lambda message: None
        silent.subscribe("sip:alice@127.0.0.1")
        page = browser.page(address(broker))
        text = page.until("subscriptions")
        until(lambda: is_live(page), "it is connected")
        until(lambda: page.run("document.querySelectorAll('.tile-value')[0].textContent") not in ("–", "0 /s"), "a rate is shown")
        check("p99" in page.text() and "read only" in text, text)
        page.rest(float(os.environ.get("SETTLE_S", "1")))
        picture(page, "overview-light")
        page.view(dark=True)
        picture(page, "overview-dark")
        page.view(width=390, height=844)
        picture(page, "overview-narrow")
        page.view()

        page.run("location.hash = '#/subs'")
        page.until("bob@127.0.0.1")
        equal(rows(page), len(broker.subs()))
        page.type("input[type=search]", "BOB package:presence")
        until(lambda: rows(page) ==
              len([s for s in broker.subs() if "bob" in s["watcher"] + s["resource"] + s["target"] and s["package"] == "presence"]), "the search narrows it")
        picture(page, "subscriptions-light")
        page.click("td[data-name=watcher] a", "bob@127.0.0.1")
        page.until("Why he was told")
        text = page.until("NOTIFY")
        check("digest" in text and "package’s default" in text, text)
        before = page.run("document.querySelectorAll('.step').length")
        until(lambda: page.run("document.querySelectorAll('.step').length") > before, "the ladder grows")
        page.click(".step-line:not(:disabled)", "NOTIFY")
        page.until("event state is shown to the administrator")
        page.view(height=1200)
        picture(page, "ladder-light")
        page.view(height=1200, dark=True)
        picture(page, "ladder-dark")
        page.view(width=390, height=844, dark=True)
        page.run("document.querySelector('.ladder').scrollIntoView()")
        picture(page, "ladder-narrow-dark")
        page.view()
        for view, words in (("pubs", MWI), ("resources", "presence"), ("decisions", "the package or its owner"), ("sick", "1 subscription")):
            page.run(f"location.hash = '#/{view}'")
            page.until(words)
            picture(page, view + "-light")
        equal(page.run("document.querySelector('.hop td').textContent"), "erin@127.0.0.1")
        is_clean(page, broker)


HOSTILE = '<img src=x onerror="window.hurt=1">'


def test_what_hostile_peers_say_is_text():
    with server(users=("alice", "bob")) as broker, chromium.Chromium() as browser:
        bob, alice = Agent(broker, "bob"), Agent(broker, "alice")

        def answer(message):
            rows = "".join(f"{name}: {message.get(name)}\r\n" for name in ("via", "from", "to", "call-id", "cseq"))
            bob.line.send(f"SIP/2.0 200 {HOSTILE}\u202e{'y' * 2000}\r\n{rows}Contact: <sip:x@{bob.line.at()}>\r\nX: {HOSTILE}\r\nContent-Length: 0\r\n\r\n".encode())
        bob.answer = answer
        bob.own_contact = f"<sip:%3Cscript%3E@{bob.line.at()};x=%22%3E%3Cimg>"
        bob.ask("SUBSCRIBE", alice.aor, [("Event", "presence;id=%3Cb%3E'+`"), ("Expires", "600")], call_id="<script>hurt(1)</script>\"'@x")
        body = pidf(alice.aor, "open", note="&lt;script&gt;window.hurt=1&lt;/script&gt;<![CDATA[" + HOSTILE + "\u202e" + "z" * 10000 + "]]>")
        alice.publish(alice.aor, "presence", PIDF, body)
        until(lambda: bob.take(0.2) is None, "all is told")
        Web(broker, "alice").put("/v1/events/x-state/alice", HOSTILE, "text/plain; x=\"<script>\"", expect=(200, 201, 415))
        broker.admin("policy-allow", resource="alice", watcher="sip:%3Cscript%3E@evil.test")
        token = broker.admin("token-add", user="alice", scopes=["admin"])["token"]
        page = browser.page(address(broker, "#/sub/" + broker.subs()[0]["id"]))
        page.until("Why he was told")
        text = page.until("<script>hurt(1)</script>\"'@x")
        check(HOSTILE in page.until("200 <img"), "a reason phrase is text")
        check("U+202E" in page.text() and "\u202e" not in page.text(), "what turns the direction is shown")
        page.click("button.role")
        page.until("Token")
        page.type("input[type=password]", token)
        page.click("form.token button")
        page.until("administrator")
        page.until("Block politely")
        page.run("[...document.querySelectorAll('.step-line:not(:disabled)')].filter((e) => e.textContent.includes('NOTIFY')).pop().click()")
        text = page.until("characters)")
        check("&lt;script&gt;window.hurt" in text and "<![CDATA[" + HOSTILE in text, "a body is text, as it came")
        page.run("[...document.querySelectorAll('.step-line:not(:disabled)')].filter((e) => e.textContent.includes('200 <img')).pop().click()")
        page.until("X: " + HOSTILE)
        page.click("button", "Block")
        page.click("button", "Yes")
        page.until("done, rule")
        equal(broker.admin("policy-list", resource="alice")["rules"][-1]["action"] in ("polite-block", "block"), True)
        for view in ("subs", "pubs", "resources", "decisions", "resource/%3Cscript%3Ewindow.hurt%3D1%3C%2Fscript%3E", "trace/" + urllib.parse.quote(HOSTILE)):
            page.run(f"location.hash = '#/{view}'")
            page.rest(0.4)
        equal(page.run("window.hurt === undefined && document.querySelectorAll('img').length === 1 && document.scripts.length === 1"), True)
        is_clean(page, broker)


def test_it_asks_for_a_token_and_lives_through_a_restart():
    with server(section="", users=("alice",)) as broker, chromium.Chromium() as browser:
        token = broker.admin("token-add", user="alice", scopes=["look"])["token"]
        page = browser.page(address(broker))
        page.until("Who may look?")
        page.type("input[type=password]", "hrld_wrong")
        page.click("form.token button")
        page.until("credentials are needed")
        page.type("input[type=password]", token)
        page.click("form.token button")
        page.until("subscriptions")
        check("read only" in page.text(), "who may look is no administrator")
        check(token not in page.run("document.documentElement.outerHTML + JSON.stringify(localStorage) + JSON.stringify(sessionStorage) + document.cookie"),
              "the token is kept nowhere")
        until(lambda: is_live(page), "it is connected")
        broker.stop()
        page.until("The broker does not answer; trying again.")
        broker.start()
        until(lambda: is_live(page), "it is connected")
        check("does not answer" not in page.text(), page.text())
        equal([c for c in page.complaints if "401" not in c and "ERR_CONNECTION" not in c], [])


if __name__ == "__main__":
    if not chromium.is_there():
        print("chromium is not installed")
        sys.exit(77)
    run_tests(globals())
