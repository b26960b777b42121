#!/usr/bin/env python3
"""A program on libre (Debian: libre-dev) subscribes, publishes, modifies, removes, refreshes and unsubscribes, with digest."""
import os

from broker import Background, Broker, check, equal, run_tests, until


MD5 = 'algorithms = {{ "MD5" }}'  # libre 1.1 gives up when any challenge has another algorithm


def life(kind):
    with Broker(shards=2, users=("alice",), authentication=MD5) as broker:
        peer = Background([os.environ["LIBRE_PEER"], kind, str(broker.port), "alice", broker.passwords["alice"]],
                          broker.folder.name)
        out = peer.end(None, patience_s=90)
        for words in ("NOTIFY: neutral", "NOTIFY: libre-one", "NOTIFY: libre-two", "refreshed", "done"):
            check(words in out, words, "is not in\n", out)
        until(lambda: not broker.subs(), "no subscription is left")
        equal(broker.pubs(), [], "publications")
        counters = broker.counters()
        equal((counters["subscriptions_made"], counters["publications_made"]), (1, 1), out)


def test_libre_over_udp():
    life("udp")


def test_libre_over_tcp():
    life("tcp")


if __name__ == "__main__":
    run_tests(globals())
