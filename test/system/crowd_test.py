#!/usr/bin/env python3
"""One publisher and 10,000 subscribers of one resource on two shards: all are notified, none twice, both shards work."""
import json
import os
import subprocess

from broker import COMPLAINT, Broker, check, equal, run_tests

CROWD = os.environ["CROWD"]
SUBSCRIBERS = int(os.environ.get("CROWD_SUBSCRIBERS", "10000"))
SOURCES = 1000
ROUNDS = 3


def test_ten_thousand_subscribers_on_two_shards_are_notified_once_each():
    with Broker(shards=2, lab=True) as broker:
        run = subprocess.run([CROWD, "127.0.0.1", str(broker.lab), "sip:hot@127.0.0.1", str(SUBSCRIBERS), str(SOURCES),
                              str(ROUNDS), str(broker.process.pid)], capture_output=True, text=True, timeout=500, check=False)
        print(run.stdout, run.stderr[:4000])
        check(not COMPLAINT.search(run.stderr), "the crowd's sanitizer")
        equal(run.returncode, 0, "the crowd")
        told = json.loads(run.stdout)
        equal(told["notifies"], SUBSCRIBERS * (ROUNDS + 1), "NOTIFYs")
        status = broker.admin("status")
        for shard in status["per_shard"]:
            share = shard["counters"]["notifies"] / (SUBSCRIBERS * (ROUNDS + 1))
            check(0.3 < share < 0.7, f"shard {shard['shard']} has sent {share:.0%} of the NOTIFYs")
        equal(status["counters"]["notifies_answered"], SUBSCRIBERS * (ROUNDS + 1), "answered")
        equal(status["gauges"]["subscriptions"], SUBSCRIBERS, "subscriptions")


if __name__ == "__main__":
    run_tests(globals())
