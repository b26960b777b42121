#!/usr/bin/env python3
"""The flow recorder of a real daemon, and what `herald trace` makes of it."""
import json
import os
import re
import signal
import socket
import struct
import subprocess

from broker import PATIENCE_S, Background, Broker, check, equal, free_port, run_tests, until
from sip import PIDF, Agent, pidf


def answered(broker, n):
    until(lambda: broker.counters()["notifies_answered"] >= n, f"{n} NOTIFYs are answered")


def story(broker, carol=False, kind="udp"):
    """Bob watches alice, who says that she is there; carol may not."""
    alice, bob = Agent(broker, "alice", kind=kind), Agent(broker, "bob", kind=kind)
    watch = bob.subscribe(alice.aor)
    watch.notification()
    alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor, note="At the desk"))
    watch.notification()
    if carol:
        refused = Agent(broker, "carol")
        refused.ask("SUBSCRIBE", alice.aor, [("Event", "presence"), ("Expires", "600"), ("Contact", refused.contact)])
    answered(broker, 2)
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
            story(broker, kind="tcp")  # where nothing is repeated
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


# --- why ---------------------------------------------------------------------------------------


def explain(broker, watcher, resource, *words):
    text = broker.tool("explain", watcher, resource, *words, "--socket", broker.socket_path)
    return re.search(r"in short +(.*)", text).group(1), text


def test_explain_says_in_one_sentence_why():
    conf = 'package "presence" {{ authorisation = owner  pace = 0s }}\n'
    with Broker(users=("alice", "bob", "carol", "dave"), conf=conf) as broker:
        for rule in ("allow", "bob"), ("block", "carol"), ("polite", "dave"):
            broker.tool("policy", rule[0], "alice", rule[1], "--socket", broker.socket_path)
        alice, bob, watch = story(broker, carol=True)
        dave = Agent(broker, "dave")
        dave.subscribe(alice.aor).notification()
        sentence, text = explain(broker, "bob", "alice", "--package", "presence")
        check(re.search(r"was sent a NOTIFY \d+ s ago and answered 200: he knows the newest state", sentence), text)
        check("sent: NOTIFY" in text and "received: SIP/2.0 200" in text, text)
        sentence, text = explain(broker, "carol", "alice", "--package", "presence")
        check(re.search(r"no subscription: he was refused with 403 \d+ s ago, by rule \d+", sentence), text)
        sentence, text = explain(broker, "dave", "alice", "--package", "presence")
        check("blocked politely by rule" in sentence, text)
        watch.send(0)
        watch.notification()
        until(lambda: not [s for s in broker.subs() if "bob" in s["watcher"] and s["state"] != "terminated"], "it is over")
        sentence, text = explain(broker, "bob", "alice", "--package", "presence")
        check("no subscription any more: it ended" in sentence, text)


def held(broker, watcher, resource):
    """What explain says of a subscription that is behind, once it is."""
    until(lambda: [row for row in broker.subs() if watcher in row["watcher"] and row["health"] in ("behind", "parked")], f"{watcher} is behind")
    return explain(broker, watcher, resource)


def test_explain_says_that_the_pace_of_the_package_holds():
    with Broker(users=("alice", "bob"), conf='package "presence" {{ authorisation = allow  pace = 600s }}\n') as broker:
        alice, bob = Agent(broker, "alice"), Agent(broker, "bob")
        bob.subscribe(alice.aor).notification()
        alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor))
        sentence, text = held(broker, "bob", "alice")
        equal(sentence, "sip:bob@127.0.0.1 is not told yet: held back: the package's pace; the newest state follows when it allows", text)
        equal(broker.counters()["held_by_pace"], 1, "held by the pace")


def test_explain_says_that_a_window_is_full():
    with Broker(lab=True, conf="limits {{ window_from = 1  window_start = 1 }}\n") as broker:
        def in_flight(agent, n):
            agent.take(0.05)
            return broker.admin("status")["gauges"]["in_flight"] == n

        alice, first = Agent(broker, "alice", lab=True), Agent(broker, "bob", lab=True)
        behind_it = Agent(broker, "carol", lab=True)
        behind_it.close()
        behind_it.line = first.line  # as if both were behind one proxy
        for agent in first, behind_it:
            agent.subscribe(alice.aor)
        until(lambda: in_flight(first, 0), "both were told")
        # Nobody answers: what has to be sent again halves the window, and is let go itself; so there is one who is held for half a second
        # when nothing else was sent before, and a slow machine may come too late to see it.
        full, etag, said = "is not told yet: held back: the window of its next hop is full", None, []
        for n in range(6):
            before = broker.counters()["notifies_resent"]
            first.answer = lambda message: None
            etag = alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor, ("open", "closed")[n % 2]), etag).get("sip-etag")
            said += [explain(broker, name, "alice")[0] for name in ("bob", "carol")]
            if any(s.endswith(full) for s in said):
                break
            until(lambda: broker.counters()["notifies_resent"] >= before + 2, "both were sent again")
            first.answer = lambda message: 200
            until(lambda: in_flight(first, 0), "both are told")
        check(any(s.endswith(full) for s in said), said)


def test_explain_says_that_a_subscription_is_parked():
    with Broker(users=("alice", "bob")) as broker:
        alice, bob = Agent(broker, "alice"), Agent(broker, "bob", kind="tcp")
        bob.subscribe(alice.aor).notification()
        bob.close()  # and nobody listens where he was
        alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor))
        sentence, text = held(broker, "bob", "alice")
        equal(sentence, "sip:bob@127.0.0.1 is not told: his NOTIFYs were not answered, and his subscription is parked", text)
        check("* parked: its next hop does not answer; tried again later" in trace(broker, "alice"), text)


def test_explain_shows_the_values_that_a_filter_compared():
    conf = 'package "x-stock" {{ types = {{ "application/json" }}  authorisation = allow  pace = 0s }}\n' \
           'profile "low" {{ package = "x-stock"  when = "/count below 5 clear 8" }}\n'
    with Broker(users=("shop", "buyer"), conf=conf) as broker:
        shop, buyer = Agent(broker, "shop"), Agent(broker, "buyer")
        watch = buyer.subscribe(shop.aor, package="x-stock;herald-profile=low")
        watch.notification()
        shop.publish(shop.aor, "x-stock", "application/json", '{"count": 7}')
        sentence, text = until(lambda: (lambda a: a if "filter" in a[0] else None)(explain(broker, "buyer", "shop")), "the filter")
        check("his filter does not fire: /count is 7, wanted below 5 (armed again at 8): no" in sentence, text)
        shop.publish(shop.aor, "x-stock", "application/json", '{"count": 3}')
        watch.notification()
        check("the filter fires: /count is 3" in trace(broker, "buyer"), trace(broker, "buyer"))


# --- exports -----------------------------------------------------------------------------------


def same_times(pairs):
    """Two answers about the same messages of one shard: its clock and that of the day are read a moment apart, the same for all."""
    apart = [shown - told for shown, told in pairs]
    check(max(apart) - min(apart) <= 2 and abs(apart[0]) < 60e6, "times", pairs)


def tshark(path, *fields):
    """One tuple of fields for each packet."""
    arguments = ["tshark", "-n", "-r", path, "-T", "fields", "-E", "separator=\t", "-o", "ip.check_checksum:TRUE",
                 "-o", "udp.check_checksum:TRUE"]
    for field in fields:
        arguments += ["-e", field]
    run = subprocess.run(arguments, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    return [tuple(line.split("\t")) for line in run.stdout.split("\n")[:-1]]


def test_wireshark_reads_every_message_as_sip_and_none_is_malformed():
    with Broker(users=("alice", "bob")) as broker:
        alice, bob, _ = story(broker)
        carol = Agent(broker, "bob", kind="tcp")
        carol.subscribe(alice.aor).notification()
        answered(broker, 3)
        path = os.path.join(broker.folder.name, "flow.pcapng")
        trace(broker, "alice", "--pcapng", path)
        messages = [e for e in broker.admin("trace", about="alice")["events"] if e["kind"] == "message"]
        packets = tshark(path, "sip.Request-Line", "sip.Status-Line", "_ws.malformed", "udp.checksum.status",
                         "ip.checksum.status", "udp.srcport", "frame.comment", "frame.time_epoch")
        equal(len(packets), len(messages))
        times = []
        for packet, message in zip(packets, messages):
            equal(packet[0] or packet[1], message["message"].split("\r\n")[0])
            equal(packet[2], "", "malformed")
            equal(packet[3:5], ("1", "1"), "checksums")
            source = message["local"] if message["direction"] == "out" else message["remote"]
            equal(packet[5], source.rsplit(":", 1)[1])
            times.append((int(packet[7].replace(".", "")) // 1000, message["at_us"]))
        same_times(times)
        comments = "\n".join(p[6] for p in packets)
        check("kept by the store" in comments and "over TCP" in comments, comments)


def test_wireshark_sees_that_a_cut_message_is_cut():
    conf = 'recorder {{ memory = 64KiB }}\n'
    with Broker(users=("alice",), conf=conf) as broker:
        alice = Agent(broker, "alice")
        alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor, note="x" * 30000))
        path = os.path.join(broker.folder.name, "flow.pcapng")
        trace(broker, "alice", "--pcapng", path)
        packets = tshark(path, "sip.Method", "sip.Status-Code", "_ws.malformed")
        check(packets and all((p[0] or p[1]) and not p[2] for p in packets), packets)


def chunks(packet):
    """A packet of HEP version 3: {type: value}."""
    equal(packet[:4], b"HEP3")
    equal(struct.unpack(">H", packet[4:6])[0], len(packet))
    values, at = {}, 6
    while at < len(packet):
        vendor, kind, size = struct.unpack(">HHH", packet[at:at + 6])
        equal(vendor, 0)
        check(6 <= size <= len(packet) - at and kind not in values, "a chunk", kind, size)
        values[kind] = packet[at + 6:at + size]
        at += size
    return values


def test_a_capture_server_is_sent_what_happens():
    with Broker(users=("alice", "bob")) as broker, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        alice, _, watch = story(broker)
        server.bind(("127.0.0.1", 0))
        server.settimeout(PATIENCE_S)
        sender = broker.tool_start("trace", "alice", "--hep", f"127.0.0.1:{server.getsockname()[1]}", "--follow",
                                   "--socket", broker.socket_path)
        before = [e for e in broker.admin("trace", about="alice")["events"] if e["kind"] == "message"]
        alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor, note="Away", tuple_id="t2"))
        watch.notification()
        got, times = [chunks(server.recv(70000)) for _ in range(len(before) + 4)], []
        for values, event in zip(got, before):
            equal(values[15].decode(), event["message"])
            equal((values[1], values[2], values[11]), (b"\x02", b"\x11", b"\x01"))
            local, remote = [event[k].rsplit(":", 1) for k in ("local", "remote")]
            source, target = (local, remote) if event["direction"] == "out" else (remote, local)
            equal([socket.inet_ntoa(values[3]), str(struct.unpack(">H", values[7])[0])], source)
            equal([socket.inet_ntoa(values[4]), str(struct.unpack(">H", values[8])[0])], target)
            at_us = struct.unpack(">I", values[9])[0] * 1000000 + struct.unpack(">I", values[10])[0]
            times.append((at_us, event["at_us"]))
        same_times(times)
        check(b"Away" in b"".join(v[15] for v in got[len(before):]), "what happened later")
        sender.end()


def test_sngrep_takes_the_stream():
    with Broker(users=("alice", "bob")) as broker:
        story(broker)
        port, path = free_port(), os.path.join(broker.folder.name, "sngrep.pcap")
        sngrep = Background(["sngrep", "-N", "-q", "-L", f"udp:127.0.0.1:{port}", "-O", path], broker.folder.name)
        until(lambda: f":{port:04X} " in open("/proc/net/udp", encoding="ascii").read(), "sngrep listens")
        trace(broker, "alice", "--hep", f"127.0.0.1:{port}")
        n = len([e for e in broker.admin("trace", about="alice")["events"] if e["kind"] == "message"])
        until(lambda: os.path.exists(path) and os.path.getsize(path) > 200 * n, "it has them")
        sngrep.end(signal.SIGINT, expect=None)
        packets = tshark(path, "sip.Method", "sip.Status-Code")
        equal(len(packets), n)
        check(all(p[0] or p[1] for p in packets), packets)
        check("NOTIFY" in [p[0] for p in packets], packets)


def test_what_was_recorded_plays_again():
    with Broker(users=("alice", "bob")) as broker:
        alice, _, watch = story(broker)
        watch.send(0)
        watch.notification()
        answered(broker, 3)
        path = os.path.join(broker.folder.name, "again.play")
        trace(broker, "alice", "--play", path)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        check("At the desk" in text and "secret" not in text and "Authorization" not in text, text)
        run = plays(path)
        check(run.returncode == 0, run.stdout, run.stderr, text)
        with Broker(lab=True) as fresh:
            fresh.tool("play", path, "--server", f"127.0.0.1:{fresh.lab}")
        # Something else was said: it does not pass.
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace("At the desk", "Away", 1))
        run = plays(path)
        check(run.returncode != 0, "what differs was not seen", text)


def plays(path):
    return subprocess.run([os.environ["SCENARIO_RUNNER"], path], capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def test_watcher_information_that_was_recorded_plays_again():
    """Of the owner, of who may see all of it, and of who is shown his own entry: with the rules that make them so in the laboratory."""
    conf = 'package "presence" {{ authorisation = allow  own_entry = yes  pace = 0s }}\n'
    with Broker(users=("alice", "bob", "carol"), conf=conf) as broker:
        broker.admin("policy-allow", resource="alice", watcher="carol", package="presence.winfo")
        alice, bob, carol = (Agent(broker, name) for name in ("alice", "bob", "carol"))
        for agent in bob, carol:
            agent.subscribe(alice.aor).notification()
        for agent in bob, carol, alice:
            agent.subscribe(alice.aor, package="presence.winfo").notification()
        answered(broker, 5)
        path = os.path.join(broker.folder.name, "again.play")
        trace(broker, "alice", "--play", path)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        equal(re.findall("rule .*", text), ["rule polite-block sip:bob@127.0.0.1 sip:alice@127.0.0.1 presence.winfo",
                                            "rule allow sip:carol@127.0.0.1 sip:alice@127.0.0.1 presence.winfo"], text)
        run = plays(path)
        check(run.returncode == 0, run.stdout, run.stderr, text)
        # Without one of the rules, or with another watcher, it does not pass.
        for less in ("rule polite-block", "rule allow", "carol@127.0.0.1</watcher>"):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text.replace(less, less.replace("rule", "#").replace("carol", "dave"), 1))
            check(plays(path).returncode != 0, "what differs was not seen", less, text)
        # One watcher less in a list of two: there are more than were recorded.
        with open(path, "w", encoding="utf-8") as file:
            file.write(re.sub(r'    ~" status.*carol@.*\n(    ~.*\n)?    !~<watcher id=\*<watcher id=\*<watcher id=', r"\1    !~<watcher id=*<watcher id=", text))
        check(plays(path).returncode != 0, "a watcher more was not seen", text)


if __name__ == "__main__":
    run_tests(globals())
