#!/usr/bin/env python3
"""The flow recorder of a real daemon, and what `herald trace` makes of it."""
import json
import os
import re

from broker import Broker, check, equal, run_tests, until
from sip import PIDF, Agent, pidf


def story(broker, carol=False):
    """Bob watches alice, who says that she is there; carol may not."""
    alice, bob = Agent(broker, "alice"), Agent(broker, "bob")
    watch = bob.subscribe(alice.aor)
    watch.notification()
    alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor, note="At the desk"))
    watch.notification()
    if carol:
        refused = Agent(broker, "carol")
        refused.ask("SUBSCRIBE", alice.aor, [("Event", "presence"), ("Expires", "600"), ("Contact", refused.contact)])
    until(lambda: broker.counters()["notifies_answered"] >= 2, "both NOTIFYs are answered")
    return alice, bob, watch


def trace(broker, *words, **more):
    return broker.tool("trace", *words, "--socket", broker.socket_path, **more)


def kinds(result):
    return [(e["kind"], e.get("direction"), e["message"].split("\r\n")[0].split(" ")[0]) if e["kind"] == "message"
            else (e["kind"], e.get("what") or e.get("subject")) for e in result["events"]]


def test_the_ladder_shows_messages_and_decisions_in_their_order():
    with Broker(users=("alice", "bob")) as broker:
        alice, bob, _ = story(broker)
        text = trace(broker, alice.aor)
        order = [text.find(words) for words in (
            "- SUBSCRIBE ", "401 Unauthorized", "watches presence and sees all", "granted for", "NOTIFY", "PUBLISH",
            "may publish presence", "the state is composed anew")]
        check(-1 not in order and order == sorted(order), "what is missing, or where", order, "\n" + text)
        check("At the desk" not in text, "no bodies without --full", text)
        full = trace(broker, "--full", "bob")
        equal(full.count("At the desk"), 1, "bob sees the NOTIFY, not the PUBLISH")
        check("| Subscription-State: active" in full, full)
        equal(trace(broker, "nobody", expect=1), "")


def test_ids_and_call_ids_lead_to_the_same_flow():
    with Broker(shards=2, users=("alice", "bob")) as broker:
        _, bob, _ = story(broker)
        row = broker.subs()[0]
        by_id, by_call = broker.admin("trace", about=row["id"]), broker.admin("trace", about=row["call_id"])
        equal(kinds(by_id), kinds(by_call))
        check(("message", "out", "NOTIFY") in kinds(by_id), kinds(by_id))
        everything = broker.admin("trace", about="alice")
        check(("message", "in", "PUBLISH") in kinds(everything) and ("message", "out", "NOTIFY") in kinds(everything),
              "both shards' flows", kinds(everything))
        times = [e["at_us"] for e in everything["events"] if not e.get("now")]
        equal(times, sorted(times))
        again = broker.admin("trace", about="alice", since=everything["next"])
        equal(again["events"], [], "nothing is new")
        equal(broker.call("trace", about="alice", since=[1]).get("error"), 'since is what the last answer had in "next"')
        equal(broker.call("trace", about="alice", limit=0).get("error"), "limit is from 1 to 20000")


def test_a_refusal_says_which_rule():
    conf = 'package "presence" {{ authorisation = owner  pace = 0s }}\n'
    with Broker(users=("alice", "bob", "carol"), conf=conf) as broker:
        broker.tool("policy", "allow", "alice", "bob", "--socket", broker.socket_path)
        broker.tool("policy", "block", "alice", "carol", "--socket", broker.socket_path)
        story(broker, carol=True)
        text = trace(broker, "carol")
        check(re.search(r"not allowed: rule \d+ decides \(block sip:carol@127\.0\.0\.1\)", text), text)
        check("403" in text, text)


def test_no_password_and_no_digest_is_in_it():
    with Broker(users=("alice", "bob")) as broker:
        alice, _, _ = story(broker)
        result = json.dumps(broker.admin("trace", about=alice.aor))
        for words in ("response=\\\"", "secret-", "cnonce"):
            equal(re.findall(words + "(?!cut)", result), [], words)
        check("Digest response=\\\"cut out" in result, result[:2000])


def test_the_stable_text_of_two_runs_is_the_same():
    texts = []
    for _ in range(2):
        with Broker(users=("alice", "bob")) as broker:
            story(broker)
            texts.append(trace(broker, "--full", "--stable", "alice"))
    equal(texts[0], texts[1])
    check("call-1" in texts[0] and "tag-2" in texts[0] and "127.0.0.1:5060" in texts[0], texts[0])
    check(not re.search(r"\d\d:\d\d:\d\d\.\d", texts[0]), texts[0])


def test_it_follows_as_it_happens():
    with Broker(users=("alice", "bob")) as broker:
        alice, _, watch = story(broker)
        follower = broker.tool_start("trace", "--follow", "alice", "--socket", broker.socket_path)
        follower.says("composed anew")
        before = follower.out().count("PUBLISH -")
        alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor, note="Away", tuple_id="t2"))
        watch.notification()
        until(lambda: follower.out().count("PUBLISH -") > before, "it is shown")
        follower.end()


def test_it_can_be_off_and_another_size_after_a_reload():
    with Broker(users=("alice", "bob"), conf="recorder {{ memory = 0 }}\n") as broker:
        story(broker)
        equal(broker.admin("trace", about="alice")["events"], [])
        equal(broker.counters()["recorded"], 0)
        with open(broker.conf_path, encoding="utf-8") as file:
            text = file.read()
        broker.write(text.replace("memory = 0", "memory = 1MiB"))
        broker.admin("reload")
        story(broker)
        check(broker.admin("trace", about="alice")["events"], "recorded")


if __name__ == "__main__":
    run_tests(globals())
