#!/usr/bin/env python3
"""The daemon is killed, stopped and started again: what it acknowledged is there, and nothing that was removed is.

KILLS in the environment is how often (50 when it is not said)."""
import os
import random
import time

from broker import Broker, check, equal, run_tests
from restart_driver import CONF, World

KILLS = int(os.environ.get("KILLS", "50"))


def test_what_was_acknowledged_is_there_after_each_of_many_kills():
    seed = int(os.environ.get("SEED", str(random.randrange(1 << 30))))
    print(f"SEED={seed}", flush=True)
    random.seed(seed)
    with Broker(shards=2, lab=True, conf=CONF) as broker:
        world = World(broker)
        for _ in range(KILLS):
            world.load(random.choice((0.02, 0.1, 0.3, 0.6)) * random.random() + 0.01)
            world.kill()
            broker.shards = random.choice((1, 2, 3))
            world.start()
            world.check_all()
        print(f"{KILLS} kills, {world.answered} requests, {world.notices} NOTIFYs", flush=True)
        world.close()


if __name__ == "__main__":
    run_tests(globals())
