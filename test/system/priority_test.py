#!/usr/bin/env python3
"""Resource-Priority (RFC 4412, RFC 7135): an emergency goes first, by the real daemon and the tool."""
import json
import os
import signal

from broker import Broker, check, equal, run_tests
from sip import Agent, token

SUBS = 150
CONF = """
package "x-load" {{ types = {{ "text/plain" }}  authorisation = allow  pace = 0s  publishers = {{ "psap", "bob" }} }}
limits {{ sends_per_turn = 1  window_from = 65536 }}
"""
ESNET = 'priority "esnet" {{ users = {{ "psap" }} }}\n'


def publish(agent, resource, body, headers=()):
    """The octets of a PUBLISH; nothing is sent."""
    agent.cseq += 1
    return agent.build("PUBLISH", resource, [("Event", "x-load"), ("Expires", "600"), ("Content-Type", "text/plain"), *headers], body,
                       call_id=token(16), tag=token())


def place_of_urgent(headers):
    """How many of the NOTIFYs about one thing come before that about another, which was published behind it."""
    with Broker(lab=True, conf=CONF + ESNET) as broker:
        watcher, bob = Agent(broker, "alice", lab=True), Agent(broker, "bob", lab=True)
        for i in range(SUBS + 1):
            watcher.subscribe("sip:busy@127.0.0.1" if i < SUBS else "sip:calm@127.0.0.1", "x-load").notification()
        watcher.answer = lambda message: None
        # Both are there before the daemon reads the first.
        os.kill(broker.process.pid, signal.SIGSTOP)
        bob.line.send(publish(bob, "sip:busy@127.0.0.1", "busy"))
        bob.line.send(publish(bob, "sip:calm@127.0.0.1", "urgent", headers))
        os.kill(broker.process.pid, signal.SIGCONT)
        bodies = [watcher.notification() for _ in range(SUBS + 1)]
        urgent = [m for m in bodies if m.body == b"urgent"]
        equal(len(urgent), 1, "NOTIFYs about the urgent thing")
        equal(urgent[0].get("resource-priority"), dict(headers).get("Resource-Priority", ""), "Resource-Priority of the NOTIFY")
        return bodies.index(urgent[0])


def test_what_is_urgent_overtakes_what_waits():
    place = place_of_urgent([("Resource-Priority", "esnet.1")])
    check(place < SUBS, "the urgent NOTIFY came behind all others:", place)


def test_without_a_priority_it_is_the_last():
    equal(place_of_urgent([]), SUBS, "place of the second thing")


def test_the_tool_says_it_and_shows_it():
    with Broker(conf=CONF + ESNET, users=("psap", "bob", "alice")) as broker:
        resource = "sip:incident@127.0.0.1"
        watch = broker.tool_start("sub", resource, *broker.login("alice"), "--package", "x-load", "--count", "2", "--json")
        watch.says('"active"')
        state = ["--package", "x-load", "--type", "text/plain", "--body", "fire", "--once"]
        broker.tool("pub", resource, *broker.login("bob"), *state, "--priority", "esnet.1", expect=1)
        check("403" in broker.last_error, broker.last_error)
        broker.tool("pub", resource, *broker.login("psap"), *state, "--priority", "esnet", expect=2)
        broker.tool("pub", resource, *broker.login("psap"), *state, "--priority", "esnet.1")
        told = [json.loads(line) for line in watch.end(None).splitlines() if '"body":"fire"' in line]
        equal([line.get("priority") for line in told], ["esnet.1"], "what herald sub shows")
        watch = broker.tool_start("sub", resource, *broker.login("psap"), "--package", "x-load", "--priority", "esnet.3")
        watch.says("priority esnet.3")
        broker.tool("pub", resource, *broker.login("bob"), *state[:-2], "smoke", "--once")
        watch.says("smoke")
        trace = broker.tool("trace", resource, "--socket", broker.socket_path)
        check("* its Resource-Priority esnet.1 is allowed: its NOTIFYs go before those of others" in trace, trace)
        check("* its Resource-Priority esnet.3 is allowed" in trace, trace)
        why = broker.tool("explain", "psap", "incident", "--socket", broker.socket_path)
        check("was sent a NOTIFY before those of others (Resource-Priority esnet.3)" in why, why)
        watch.end()
        equal(broker.counters()["priorities_refused"], 1, "refused")


if __name__ == "__main__":
    run_tests(globals())
