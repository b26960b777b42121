#!/usr/bin/env python3
"""A record of an EKG with two problems, and a daemon that is killed in the middle of it: the doctor is called twice.  A call whose
NOTIFY was not answered may come again, as the same request."""
import random
import signal
import time

from broker import PATIENCE_S, Broker, check, equal, run_tests, until
from sip import Agent

JSON = "application/json"
CONF = """
package "x-ekg" {{ types = {{ "application/json" }}  authorisation = allow }}
profile "oncall" {{ package = "x-ekg"  when = "hr above 140 clear 120 as serious" }}
"""


def restart(broker):
    broker.process.send_signal(signal.SIGKILL)
    broker.process.wait(PATIENCE_S)
    broker.write(broker.text())
    broker.spawn()
    until(lambda: broker.process.poll() is not None or broker.answers(), "the daemon answers again")
    check(broker.process.poll() is None, "the daemon does not start\n" + broker.err()[-3000:])


def record():
    """Heart rates: noise, a problem that trembles around its limit, and one that lasts."""
    calm = lambda n: [random.randrange(70, 100) for _ in range(n)]
    return calm(60) + [150] + [random.randrange(125, 170) for _ in range(60)] + calm(60) + [170] * 60 + calm(20)


class Bedside:
    def __init__(self, broker):
        self.agent, self.etag = Agent(broker, "bob", lab=True), None

    def reads(self, rate):
        answer = self.agent.publish(self.agent.aor, "x-ekg", JSON, f'{{"hr":{rate}}}', etag=self.etag)
        self.etag = answer.get("sip-etag")


def calls(doctor):
    return [m for m in doctor.inbox if m.get("herald-fired").startswith("serious;seq=")]


def hears(doctor, n):
    until(lambda: doctor.take(0.05) or len(calls(doctor)) >= n, f"call {n}", pause_s=0)


def test_two_problems_and_three_kills_are_two_calls():
    seed = random.randrange(1 << 30)
    print(f"SEED={seed}", flush=True)
    random.seed(seed)
    with Broker(shards=2, lab=True, conf=CONF) as broker:
        bedside, doctor = Bedside(broker), Agent(broker, "doctor", lab=True)
        bedside.reads(80)
        doctor.subscribe(bedside.agent.aor, "x-ekg;herald-profile=oncall", expires=3600).notification()
        rates = record()
        first = rates.index(150)
        second = rates.index(170, first + 61)
        anywhere = first + 1 + random.randrange(60)
        for i, rate in enumerate(rates):
            if i == second:  # the phone is off when the second call is made, and the server dies
                doctor.answer = lambda message: None
            bedside.reads(rate)
            if i == first:
                hears(doctor, 1)
            if i == anywhere:
                restart(broker)
            if i == second:
                hears(doctor, 2)
                lost = doctor.duplicates
                restart(broker)
                until(lambda: doctor.take(0.05) or doctor.duplicates > lost, "the same call again", pause_s=0)
                doctor.answer = lambda message: 200
                until(lambda: doctor.take(0.05) or broker.subs()[0]["health"] == "in-sync", "it is answered", pause_s=0)
            if i == second + 1:
                restart(broker)
        end = time.monotonic() + 1
        while time.monotonic() < end:
            doctor.take(0.1)
        made = calls(doctor)
        equal([m.get("herald-fired") for m in made], ["serious;seq=1", "serious;seq=2"], "two problems, two calls")
        check(made[0].cseq != made[1].cseq, "of two requests")


run_tests(globals())
