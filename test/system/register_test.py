#!/usr/bin/env python3
"""Registrations and what is made of them: presence from registration, and an operator who ends them."""
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

from broker import Broker, check, equal, run_tests, until
from sip import Agent, pidf

CONF = 'package "presence" {{ authorisation = allow  min_expires = 1  pace = 0s  registered = all }}\n' \
       'package "reg" {{ authorisation = allow  min_expires = 1  pace = 0s }}\n' \
       'package "dialog" {{ authorisation = allow  min_expires = 1  pace = 0s }}\n'
CALL = '<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="0" state="full" entity="{0}">' \
       '<dialog id="a"><state>confirmed</state></dialog></dialog-info>'


def register(agent, expires=600, headers=()):
    response = agent.ask("REGISTER", "sip:127.0.0.1", [("Expires", str(expires)), *headers], to=f"<{agent.aor}>")
    equal(response.status, 200, "REGISTER")
    date = parsedate_to_datetime(response.get("date"))
    check(abs(date - datetime.now(timezone.utc)) < timedelta(hours=1), f"Date is {date}")
    return response


def says(sub, *parts, without=()):
    """Waits for a NOTIFY whose body holds the parts; others may come before."""
    while True:
        body = sub.notification().body.decode()
        if all(p in body for p in parts) and not any(p in body for p in without):
            return body


def test_presence_follows_registrations_and_calls_over_a_restart():
    with Broker(shards=2, users=("alice", "bob"), conf=CONF) as broker:
        alice, bob = Agent(broker, "alice"), Agent(broker, "bob")
        sub = alice.subscribe(bob.aor)
        says(sub, "closed")
        register(bob)
        says(sub, "<basic>open</basic>", "<contact>sip:bob@127.0.0.1</contact>")
        etag = bob.publish(bob.aor, "dialog", "application/dialog-info+xml", CALL.format(bob.aor)).get("sip-etag")
        says(sub, "<rpid:on-the-phone/>", "open")
        broker.stop()
        broker.spawn()
        until(broker.answers, "the daemon is back")
        late = Agent(broker, "alice")
        says(late.subscribe(bob.aor), "<rpid:on-the-phone/>", "open")
        bob.publish(bob.aor, "dialog", None, b"", etag, expires=0)
        says(sub, "open", without=("on-the-phone",))
        own = bob.publish(bob.aor, "presence", "application/pidf+xml", pidf(bob.aor, "closed", note="gone fishing")).get("sip-etag")
        says(sub, "gone fishing", without=("registered",))
        bob.publish(bob.aor, "presence", None, b"", own, expires=0)
        says(sub, 'id="registered"')
        broker.tool("unregister", bob.aor, "--socket", broker.socket_path)
        says(sub, "closed")
        for agent in (alice, bob, late):
            agent.close()


def test_an_operator_ends_registrations_and_says_why():
    with Broker(shards=2, users=("alice", "bob"), conf=CONF) as broker:
        alice, bob, other = Agent(broker, "alice"), Agent(broker, "bob"), Agent(broker, "bob")
        at = ["--socket", broker.socket_path]
        instance = [("Supported", "gruu"), ("Contact", bob.contact + ';+sip.instance="<urn:uuid:1>"')]
        gruu = register(bob, headers=instance).get("contact").split('temp-gruu="')[1].split('"')[0]
        register(other, headers=[("Contact", other.contact), ("Path", "<sip:edge.example.net;lr>")])
        equal(sorted((row["contact"], row["path"]) for row in broker.admin("bindings")["bindings"]),
              sorted([(bob.contact.strip("<>"), ""), (other.contact.strip("<>"), "<sip:edge.example.net;lr>")]))
        check("<sip:edge.example.net;lr>" in broker.tool("bindings", "--wide", *at), "the tool shows the Path")
        sub = alice.subscribe(bob.aor, "reg")
        says(sub, 'event="registered"')
        for wrong in (["nobody"], ["bob", "sip:not@there"], ["bob", "--event", "expired"], ["bob", "--event", "unregistered"],
                      ["sip:bob@elsewhere.test"]):
            broker.tool("unregister", *wrong, *at, expect=1)
        check("probation" in broker.call("unregister", resource="bob", event="rejected", retry_after_s=5)["error"])
        equal(len(broker.admin("bindings")["bindings"]), 2, "nothing was ended")

        out = broker.tool("unregister", "bob", other.contact.strip("<>"), "--event", "probation", "--retry-after", "15m", *at)
        check("ended 1" in out, out)
        says(sub, 'event="probation"', 'retry-after="900"')
        equal(len(broker.admin("bindings")["bindings"]), 1, "one is left")
        equal(alice.subscribe(gruu).response.status, 200, "its temporary GRUU is good")
        equal(broker.admin("unregister", resource="bob", event="rejected"), {"resource": bob.aor, "ended": 1, "event": "rejected"})
        says(sub, 'event="rejected"', 'state="terminated"')
        alice.subscribe(gruu, expect=404)
        equal(broker.admin("bindings")["bindings"], [], "none is left")

        # The end outlives the daemon, and the phone may come again.
        broker.stop()
        broker.spawn()
        until(broker.answers, "the daemon is back")
        equal(broker.admin("bindings")["bindings"], [], "none came back")
        register(bob)
        says(sub, 'event="registered"')
        for agent in (alice, bob, other):
            agent.close()


if __name__ == "__main__":
    run_tests(globals())
