#!/usr/bin/env python3
"""sipp (Debian: sip-tester) subscribes, is notified, refreshes and unsubscribes; publishes, modifies and removes."""
import os
import re
import subprocess

from broker import COMPLAINT, PATIENCE_S, Background, Broker, check, equal, run_tests, until

MD5 = 'algorithms = {{ "MD5" }}'  # sipp 3.6 gives up at a first challenge with another algorithm
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sipp")


def sipp(broker, scenario, user, kind, calls=1, rate=10):
    """Starts sipp with a scenario; -m and -r as given, each call on the one socket."""
    return Background(["sipp", "-sf", os.path.join(FOLDER, scenario), "-t", {"udp": "u1", "tcp": "t1"}[kind], "-i", "127.0.0.1",
                       "-m", str(calls), "-r", str(rate), "-nostdin", "-au", user, "-ap", broker.passwords[user],
                       "-timeout", "100s", "-timeout_error", "-trace_err", "-error_file",
                       os.path.join(broker.folder.name, f"{scenario}-{kind}.errors"), broker.server],
                      broker.folder.name, cwd=broker.folder.name)


def errors(broker):
    text = ""
    for name in sorted(os.listdir(broker.folder.name)):
        if name.endswith(".errors"):
            with open(os.path.join(broker.folder.name, name), encoding="utf-8", errors="replace") as file:
                text += file.read()[:3000]
    return text


def finish(broker, run):
    status = run.process.wait(PATIENCE_S * 2)
    check(status == 0, "sipp ended with", status, "\n", errors(broker), run.out()[-3000:])


def lamp(kind):
    with Broker(shards=2, users=("2001", "2002"), authentication=MD5) as broker:
        phone = sipp(broker, "subscribe.xml", "2002", kind)
        until(lambda: phone.process.poll() is not None or [s for s in broker.subs() if s["health"] == "in-sync"],
              "the phone has subscribed")
        check(phone.process.poll() is None, "sipp has ended", errors(broker))
        finish(broker, sipp(broker, "publish.xml", "2001", kind))
        finish(broker, phone)
        until(lambda: not broker.subs(), "no subscription is left")
        equal(broker.pubs(), [], "publications")
        counters = broker.counters()
        equal(counters["subscriptions_made"], 1)
        equal(counters["publications_made"], 1)


def test_sipp_over_udp():
    lamp("udp")


def test_sipp_over_tcp():
    lamp("tcp")


def test_sipp_publishes_fifty_at_a_time():
    with Broker(shards=2, users=("2001",), authentication=MD5) as broker:
        finish(broker, sipp(broker, "publish.xml", "2001", "udp", calls=50, rate=50))
        equal(broker.counters()["publications_made"], 50)
        equal(broker.pubs(), [], "publications")


if __name__ == "__main__":
    run_tests(globals())
