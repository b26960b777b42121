#!/usr/bin/env python3
"""A program on Sofia-SIP (Debian: libsofia-sip-ua-dev), FreeSWITCH's stack, subscribes, publishes, modifies, removes, refreshes and ends."""
import os
import shutil
import tempfile

from broker import Background, Broker, check, equal, run_tests, until
from ca import Authority


def life(kind, algorithms, folder=None, **more):
    with Broker(shards=2, users=("alice",), authentication=f"algorithms = {{{{ {algorithms} }}}}", **more) as broker:
        port = broker.ports.get(kind, broker.port)
        peer = Background([os.environ["SOFIA_PEER"], kind, str(port), "alice", broker.passwords["alice"], *([folder] if folder else [])],
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


def test_sofia_over_tls():
    with tempfile.TemporaryDirectory(prefix="herald-ca-") as folder:
        authority = Authority(folder)
        shutil.copy(authority.certificate, os.path.join(folder, "cafile.pem"))
        with open(os.path.join(folder, "agent.pem"), "wb") as agent:
            for path in authority.make("agent"):
                with open(path, "rb") as part:
                    agent.write(part.read())
        life("tls", '"MD5"', folder, conf=authority.listen(), ports=("tls",))


if __name__ == "__main__":
    run_tests(globals())
