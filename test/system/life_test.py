#!/usr/bin/env python3
"""The life of subscriptions and publications on the wire: UDP, TCP, IPv6, digest."""
import re
import socket
import time

from broker import PATIENCE_S, Broker, check, equal, free_port, run_tests, until
from sip import MWI, PIDF, Agent, Message, Transport, pidf, token


def life(broker, kind, server=None, domain="127.0.0.1"):
    alice = Agent(broker, "alice", kind=kind, server=server, domain=domain)
    bob = Agent(broker, "bob", kind=kind, server=server, domain=domain)
    watch = bob.subscribe(alice.aor)
    equal(watch.response.expires, 600, "granted")
    first = watch.notification()
    state, params = first.substate()
    equal(state, "active", "state")
    check(500 <= int(params["expires"]) <= 600, "expires of the first NOTIFY", params)
    check(first.get("contact"), "a NOTIFY has a Contact")
    first_seq = first.cseq

    open_ = alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor, "open", note="here"))
    etag = open_.get("sip-etag")
    check(etag, "SIP-ETag")
    shown = watch.notification()
    check(b"here" in shown.body and b"open" in shown.body, shown)
    equal(shown.get("content-type"), PIDF, "Content-Type")
    check(shown.cseq > first_seq, "CSeq grows")

    closed = alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor, "closed", note="away"), etag)
    check(closed.get("sip-etag") and closed.get("sip-etag") != etag, "a modified publication has a new entity-tag")
    check(b"away" in watch.notification().body)
    alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor, "open"), etag, expect=412)

    refreshed = alice.publish(alice.aor, "presence", None, b"", closed.get("sip-etag"))
    check(refreshed.get("sip-etag") != closed.get("sip-etag"), "a refresh has a new entity-tag")

    again = watch.send(300)
    equal(again.expires, 300, "refreshed")
    owed = watch.notification()
    check(b"away" in owed.body, "a refresh is owed the state", owed)
    check(200 <= int(owed.substate()[1]["expires"]) <= 300, owed.substate())

    gone = alice.publish(alice.aor, "presence", None, b"", refreshed.get("sip-etag"), expires=0)
    equal(gone.expires, 0, "removed")
    check(b"away" not in watch.notification().body, "the neutral state is shown")
    equal(broker.pubs(), [], "publications")

    ended = watch.send(0)
    equal(ended.expires, 0, "ended")
    last = watch.notification()
    equal(last.substate()[0], "terminated", "the last NOTIFY")
    equal(last.substate()[1].get("reason"), "timeout", "its reason")
    watch.send(60, expect=481)
    until(lambda: not broker.subs(), "no subscription is left")
    if kind != "udp":  # there, what we were slow to answer is repeated
        equal(alice.duplicates + bob.duplicates, 0, "NOTIFYs that came twice")


def test_a_subscription_and_a_publication_live_over_udp():
    with Broker(users=("alice", "bob")) as broker:
        life(broker, "udp")


def test_a_subscription_and_a_publication_live_over_tcp():
    with Broker(users=("alice", "bob")) as broker:
        life(broker, "tcp")
        status = broker.admin("status")
        check(status["net"]["streams_accepted"] >= 2, status["net"])


def test_a_subscription_and_a_publication_live_on_two_shards():
    with Broker(shards=2, users=("alice", "bob")) as broker:
        for kind in ("udp", "tcp", "udp", "tcp"):
            life(broker, kind)


def test_a_subscription_and_a_publication_live_over_ipv6():
    port = free_port(socket.AF_INET6, "::1")
    conf = f'listen "udp://[::1]:{port}" {{{{ }}}}\nlisten "tcp://[::1]:{port}" {{{{ }}}}\n'
    with Broker(shards=2, conf=conf, users=("alice", "bob")) as broker:
        for kind in ("udp", "tcp"):
            life(broker, kind, server=("::1", port), domain="[::1]")


def test_the_response_leaves_before_the_first_notify():
    with Broker(users=("alice",)) as broker:
        for kind in ("udp", "tcp"):
            alice = Agent(broker, "alice", kind=kind)
            order = []
            take = alice.line.receive

            def record(timeout_s=1, take=take, order=order):
                message = take(timeout_s)
                if message:
                    order.append(message.status or message.method)
                return message
            alice.line.receive = record
            alice.subscribe(alice.aor).notification()
            equal(list(dict.fromkeys(order)), [401, 200, "NOTIFY"], kind)


def test_a_fetch_gets_the_state_and_leaves_nothing():
    with Broker(users=("alice",)) as broker:
        alice = Agent(broker, "alice")
        alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor, note="fetched"))
        fetch = alice.subscribe(alice.aor, expires=0)
        message = fetch.notification()
        equal(message.substate()[0], "terminated", "state")
        check(b"fetched" in message.body, message)
        until(lambda: not broker.subs(), "no subscription is left")


def test_a_fetch_after_the_200_sees_what_was_published():
    with Broker(shards=2, lab=True) as broker:
        for i in range(60):  # resources and sources at home on either shard
            name = f"r{i}"
            agent = Agent(broker, name, lab=True)
            agent.publish(agent.aor, "presence", PIDF, pidf(agent.aor, note=f"note-{i}"))
            other = Agent(broker, "reader", lab=True)
            check(f"note-{i}".encode() in other.subscribe(agent.aor, expires=0).notification().body, name)
            agent.close()
            other.close()


def test_a_subscription_expires_by_itself():
    with Broker(users=("alice",)) as broker:
        alice = Agent(broker, "alice")
        watch = alice.subscribe(alice.aor, expires=2)
        equal(watch.response.expires, 2, "granted")
        equal(watch.notification().substate()[0], "active", "state")
        last = watch.notification()
        equal(last.substate(), ("terminated", {"reason": "timeout"}), "the last NOTIFY")
        until(lambda: not broker.subs(), "no subscription is left")


def test_a_publication_expires_by_itself():
    with Broker(users=("alice",)) as broker:
        alice = Agent(broker, "alice")
        watch = alice.subscribe(alice.aor)
        watch.notification()
        alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor, note="short"), expires=2)
        check(b"short" in watch.notification().body)
        check(b"short" not in watch.notification().body, "the neutral state follows")
        equal(broker.pubs(), [], "publications")


def test_a_notify_that_is_not_answered_is_repeated_to_the_octet():
    with Broker(users=("alice",)) as broker:
        alice = Agent(broker, "alice")
        watch = alice.subscribe(alice.aor)
        watch.notification()
        copies = []

        def silent(message):
            copies.append(message.data)
            return 200 if len(copies) >= 3 else None
        alice.answer = silent
        alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor))
        until(lambda: alice.take(0.2) and False or len(copies) >= 3, "the NOTIFY came three times", pause_s=0)
        equal(len(set(copies)), 1, "different copies")
        until(lambda: broker.subs()[0]["health"] == "in-sync", "in sync")


def test_a_request_that_comes_twice_acts_once():
    with Broker(shards=2, lab=True) as broker:
        alice = Agent(broker, "alice", lab=True)
        data = alice.build("SUBSCRIBE", alice.aor, [("Event", "presence"), ("Expires", "600")])
        for _ in range(3):
            alice.line.send(data)
        tags = []
        while message := alice.take(0.5 if tags and alice.inbox else PATIENCE_S):
            if message.is_response:
                equal(message.status, 200, "answer")
                tags.append(message.to_tag)
        equal(len(set(tags)), 1, "dialogs that were made")
        equal(len(broker.subs()), 1, "subscriptions")
        equal(len(alice.inbox), 1, "NOTIFYs")
        body = pidf(alice.aor)
        data = alice.build("PUBLISH", alice.aor, [("Event", "presence"), ("Content-Type", PIDF)], body, cseq=5, call_id=token())
        etags = set()
        for _ in range(3):
            etags.add(alice.exchange(data).get("sip-etag"))
        equal(len(etags), 1, "entity-tags")
        equal(len(broker.pubs()), 1, "publications")


def test_a_481_to_a_notify_ends_the_subscription():
    with Broker(users=("alice",)) as broker:
        alice = Agent(broker, "alice")
        watch = alice.subscribe(alice.aor)
        watch.notification()
        alice.answer = lambda message: 481
        alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor))
        watch.notification()
        until(lambda: not broker.subs(), "the subscription has ended")


def test_a_message_summary_reaches_the_lamp():
    with Broker(users=("2001", "2002")) as broker:
        phone, service = Agent(broker, "2001"), Agent(broker, "2001", kind="tcp")
        lamp = phone.subscribe(phone.aor, "message-summary", headers=[("Accept", MWI)])
        check(b"Messages-Waiting: no" in lamp.notification().body, "the lamp is off")
        service.publish(phone.aor, "message-summary", MWI, "Messages-Waiting: yes\r\nVoice-Message: 2/8 (0/2)\r\n")
        body = lamp.notification().body
        check(b"Messages-Waiting: yes" in body and b"2/8" in body, body)


def test_a_package_of_the_configuration_carries_its_documents():
    conf = 'package "x-stock" {{ types = {{ "application/json", "text/plain" }} authorisation = allow }}\n'
    with Broker(conf=conf, users=("alice",)) as broker:
        alice = Agent(broker, "alice")
        watch = alice.subscribe(alice.aor, "x-stock", headers=[("Accept", "application/json")])
        equal(watch.notification().body, b"", "nothing is published: no body")
        alice.publish(alice.aor, "x-stock", "application/json", '{"count": 7}')
        message = watch.notification()
        equal((message.get("content-type"), message.body), ("application/json", b'{"count": 7}'))
        alice.publish(alice.aor, "x-stock", "application/json", '{"count": ', expect=400)


def test_several_publications_are_composed():
    with Broker(shards=2, users=("alice", "bob")) as broker:
        desk, mobile, bob = Agent(broker, "alice"), Agent(broker, "alice", kind="tcp"), Agent(broker, "bob")
        watch = bob.subscribe(desk.aor)
        watch.notification()
        one = desk.publish(desk.aor, "presence", PIDF, pidf(desk.aor, "open", "t1", "desk")).get("sip-etag")
        check(b"desk" in watch.notification().body)
        mobile.publish(desk.aor, "presence", PIDF, pidf(desk.aor, "closed", "t1", "mobile"))
        body = watch.notification().body
        check(b"desk" in body and b"mobile" in body, body)
        ids = re.findall(rb'<(?:\w+:)?tuple[^>]*\bid="([^"]+)"', body)
        equal(len(ids), 2, body)
        equal(len(set(ids)), 2, "colliding tuple ids are renamed")
        desk.publish(desk.aor, "presence", None, b"", one, expires=0)
        body = watch.notification().body
        check(b"desk" not in body and b"mobile" in body, body)


def test_a_phone_registers_and_unregisters():
    with Broker(users=("alice",)) as broker:
        for kind in ("udp", "tcp"):
            alice = Agent(broker, "alice", kind=kind)
            response = alice.ask("REGISTER", "sip:127.0.0.1", [("Expires", "600")], to=f"<{alice.aor}>")
            equal(response.status, 200, response.reason)
            check(f"{alice.line.port}" in response.get("contact") and "expires=600" in response.get("contact"), response)
            bindings = broker.admin("bindings")["bindings"]
            equal([b["resource"] for b in bindings], ["sip:alice@127.0.0.1"], "bindings")
            response = alice.ask("REGISTER", "sip:127.0.0.1", [("Expires", "0")], to=f"<{alice.aor}>")
            equal((response.status, response.get("contact")), (200, ""), "unregistered")
            equal(broker.admin("bindings")["bindings"], [], "bindings")


def test_a_listener_without_authentication_believes_from():
    with Broker(lab=True, allow=False) as broker:
        alice, bob = Agent(broker, "alice", lab=True), Agent(broker, "bob", lab=True)
        alice.subscribe(alice.aor).notification()
        bob.subscribe(alice.aor, expect=403)
        broker.admin("policy-allow", resource="alice", watcher="bob")
        bob.subscribe(alice.aor).notification()


def test_a_rule_that_blocks_ends_the_subscription():
    with Broker(shards=2, users=("alice", "bob")) as broker:
        alice, bob = Agent(broker, "alice"), Agent(broker, "bob")
        watch = bob.subscribe(alice.aor)
        watch.notification()
        broker.admin("policy-block", resource="alice", watcher="bob")
        last = watch.notification()
        equal(last.substate()[0], "terminated", last)
        equal(last.substate()[1].get("reason"), "rejected", last)
        alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor, note="private"))
        bob.subscribe(alice.aor, expect=403)
        bob.quiet(0.5)


def test_each_octet_of_a_stream_may_come_alone():
    with Broker(users=("alice",)) as broker:
        alice = Agent(broker, "alice", kind="tcp")
        request = alice.build("OPTIONS", "sip:127.0.0.1", cseq=1)
        for i in range(1, len(request)):  # cut at every place
            alice.line.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            alice.line.send(request[:i])
            if i % 8 == 0:
                time.sleep(0.001)  # so that the pieces do not come as one
            alice.line.send(request[i:])
            equal(alice.take().status, 200, f"cut at {i}")
        for octet in request:
            alice.line.send(bytes([octet]))
        equal(alice.take().status, 200, "octet by octet")
        body = pidf(alice.aor)
        alice.publish(alice.aor, "presence", PIDF, body)
        two = alice.build("OPTIONS", "sip:127.0.0.1", cseq=2)
        alice.line.send(two * 20)
        for _ in range(20):
            equal(alice.take().status, 200, "twenty in one piece")


def test_a_keep_alive_on_a_stream_gets_its_pong():
    with Broker(users=("alice",)) as broker:
        line = Transport("tcp", ("127.0.0.1", broker.port))
        line.send(b"\r\n\r\n")
        until(lambda: line.socket.recv(2) == b"\r\n", "RFC 5626 section 4.4.1: CRLF answers CRLF CRLF")
        udp = Transport("udp", ("127.0.0.1", broker.port))
        udp.send(b"\r\n\r\n")
        udp.send(b"")
        alice = Agent(broker, "alice")
        equal(alice.ask("OPTIONS", "sip:127.0.0.1").status, 200, "and the broker goes on")


def test_a_closed_connection_ends_no_subscription():
    with Broker(users=("alice", "bob")) as broker:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(4)
        alice, bob = Agent(broker, "alice"), Agent(broker, "bob", kind="tcp")
        host, port = listener.getsockname()
        bob.own_contact = f"<sip:bob@{host}:{port};transport=tcp>"
        watch = bob.subscribe(alice.aor)
        watch.notification()
        bob.close()
        until(lambda: broker.admin("status")["net"]["streams_open"] == 0, "the broker has seen the end of the connection")
        equal(len(broker.subs()), 1, "the subscription is still there")
        alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor, note="on a new connection"))
        listener.settimeout(PATIENCE_S)
        bob.line.socket, _ = listener.accept()
        bob.line.closed = False
        check(b"on a new connection" in watch.notification().body)


def test_a_large_notify_goes_over_tcp_and_comes_back_to_udp():
    with Broker(users=("alice", "bob")) as broker:
        alice, bob = Agent(broker, "alice", kind="tcp"), Agent(broker, "bob")
        bob.own_contact = f"<sip:bob@{bob.line.at()}>"  # says nothing of a transport
        watch = bob.subscribe(alice.aor)
        watch.notification()
        # Nobody listens for TCP at the watcher's port: refused, so it comes over UDP after all (RFC 3261 section 18.1.1).
        alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor, note="x" * 3000))
        check(b"x" * 3000 in watch.notification().body)
        # Somebody listens now, for a watcher of another address.
        carol = Agent(broker, "bob")
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", carol.line.port))
        listener.listen(4)
        listener.settimeout(PATIENCE_S)
        carol.own_contact = f"<sip:bob@{carol.line.at()}>"
        other = carol.subscribe(alice.aor)
        connection, _ = listener.accept()
        data = b""
        while b"</presence>" not in data:
            data += connection.recv(65536)
        notify = Message(data)
        equal(notify.method, "NOTIFY", "over TCP")
        check("SIP/2.0/TCP" in notify.get("via"), notify.get("via"))
        carol.line.socket, carol.line.kind = connection, "tcp"
        carol.reply(notify, 200)
        until(lambda: all(s["health"] == "in-sync" for s in broker.subs()), "both are in sync")
        check(other.call_id == notify.get("call-id"))


if __name__ == "__main__":
    run_tests(globals())
