#!/usr/bin/env python3
"""A program on Sofia-SIP (Debian: libsofia-sip-ua-dev), FreeSWITCH's stack, subscribes, publishes, modifies, removes, refreshes and ends."""
import os

from broker import Background, Broker, check, equal, run_tests, until


def life(kind, algorithms):
    with Broker(shards=2, users=("alice",), authentication=f"algorithms = {{{{ {algorithms} }}}}") as broker:
        peer = Background([os.environ["SOFIA_PEER"], kind, str(broker.port), "alice", broker.passwords["alice"]],
                          broker.folder.name)
        out = peer.end(None, patience_s=90)
        for words in ("NOTIFY: neutral", "NOTIFY: sofia-one", "NOTIFY: sofia-two", "refreshed", "done"):
            check(words in out, words, "is not in\n", out)
        until(lambda: not broker.subs(), "no subscription is left")
        equal(broker.pubs(), [], "publications")
        counters = broker.counters()
        equal((counters["subscriptions_made"], counters["publications_made"]), (1, 1), out)


def test_sofia_over_udp():
    life("udp", '"MD5"')


def test_sofia_over_tcp():
    life("tcp", '"MD5"')


if __name__ == "__main__":
    run_tests(globals())
