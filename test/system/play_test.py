#!/usr/bin/env python3
"""The same scenario files against a live server: `herald play`."""
import os

from broker import ROOT, Broker, check, run_tests

CONF = ('domains = {{ "example.test" }}\n'
        'package "x-state" {{ types = {{ "text/plain" }}  authorisation = allow }}\n'
        'package "x-every" {{ types = {{ "text/plain" }}  authorisation = allow  delivery = every }}\n')


def scenario(name):
    return os.path.join(ROOT, "test", "scenario", name + ".play")


def lab(shards=1):
    return Broker(shards=shards, lab=True, conf=CONF)


def play_all(shards, names):
    for name in names:
        with lab(shards) as broker:
            out = broker.tool("play", "--server", f"127.0.0.1:{broker.lab}", scenario(name))
            check(out.startswith("ok "), out)


QUICK = ["subscribe-event-id", "publish-every", "message-summary", "presence-composed", "retransmit-refresh",
         "subscribe-several", "subscribe-too-brief", "route-names-us", "register-star"]


def test_scenarios_hold_against_a_live_server_with_one_shard():
    play_all(1, QUICK)


def test_scenarios_hold_against_a_live_server_with_three_shards():
    play_all(3, QUICK)


def test_a_scenario_over_tcp_holds_against_a_live_server():
    with lab() as broker:
        path = os.path.join(broker.folder.name, "tcp.play")
        with open(path, "w", encoding="utf-8") as file:
            file.write("actor alice tcp 0.0.0.0:0\n"
                       "alice > SUBSCRIBE sip:bob@example.test\n    Event: x-state\n"
                       "alice < 200\nalice < NOTIFY\nalice > 200\n"
                       "alice > SUBSCRIBE in dialog\n    Expires: 0\n"
                       "alice < 200\nalice < NOTIFY\n    Subscription-State: terminated;*\nalice > 200\nalice silent\n")
        check(broker.tool("play", "--server", f"127.0.0.1:{broker.lab}", path).startswith("ok "))


def test_a_scenario_that_does_not_hold_says_where():
    with lab() as broker:
        path = os.path.join(broker.folder.name, "wrong.play")
        with open(path, "w", encoding="utf-8") as file:
            file.write("# comment\nactor alice udp 0.0.0.0:0\nalice > OPTIONS sip:example.test\nalice < 404\n")
        out = broker.tool("play", "--server", f"127.0.0.1:{broker.lab}", path, expect=1)
        check("wrong.play:4: another message came for alice" in out, out)
        out = broker.tool("play", "--timeout", "1", "--server", f"127.0.0.1:{broker.lab}", path.replace("wrong", "none"),
                          expect=1)


def test_the_domain_of_a_file_can_be_another():
    with Broker(lab=True, conf=CONF.replace("example.test", "herald.invalid")) as broker:
        out = broker.tool("play", "--server", f"127.0.0.1:{broker.lab}", "--domain", "herald.invalid",
                          scenario("subscribe-too-brief"))
        check(out.startswith("ok "), out)


if __name__ == "__main__":
    run_tests(globals())
