#!/usr/bin/env python3
"""Bad input over the wire: every request gets its answer, with a phrase that helps, and the broker goes on."""
import time

from broker import PATIENCE_S, Broker, Failed, check, equal, run_tests, until
from sip import MWI, PIDF, Agent, Message, Transport, digest, pidf, token

SUBSCRIBE = [("Event", "presence"), ("Expires", "600")]
PUBLISH = [("Event", "presence"), ("Content-Type", PIDF)]
FOREIGN = "sip:alice@elsewhere.test"


def row(method, status, phrase="", headers=None, body=b"", uri="sip:alice@127.0.0.1", says=(), change=None, **more):
    return method, status, phrase, headers, body, uri, says, change, more


def swap(old, new):
    return lambda data: data.replace(old, new, 1)


def add(line):
    return lambda data: data.replace(b"\r\nMax-Forwards", b"\r\n" + line + b"\r\nMax-Forwards", 1)


ROWS = {
    # malformed: 400
    "a To without closing bracket": row("SUBSCRIBE", 400, headers=SUBSCRIBE, to="<sip:alice@127.0.0.1"),
    "CSeq of another method": row("SUBSCRIBE", 400, headers=SUBSCRIBE + [("CSeq", "7 PUBLISH")]),
    "CSeq above 2^31": row("SUBSCRIBE", 400, headers=SUBSCRIBE + [("CSeq", "2147483648 SUBSCRIBE")]),
    "CSeq that is no number": row("SUBSCRIBE", 400, headers=SUBSCRIBE + [("CSeq", "x SUBSCRIBE")]),
    "no Call-ID": row("SUBSCRIBE", 400, headers=SUBSCRIBE, drop=("Call-ID",)),
    "no From": row("SUBSCRIBE", 400, headers=SUBSCRIBE, drop=("From",)),
    "no To": row("SUBSCRIBE", 400, headers=SUBSCRIBE, drop=("To",)),
    "two Call-IDs": row("SUBSCRIBE", 400, headers=SUBSCRIBE, change=add(b"Call-ID: another")),
    "two Froms": row("SUBSCRIBE", 400, headers=SUBSCRIBE, change=add(b"f: <sip:eve@127.0.0.1>;tag=x")),
    "two Events": row("SUBSCRIBE", 400, headers=SUBSCRIBE, change=add(b"Event: presence")),
    "two Expires": row("SUBSCRIBE", 400, headers=SUBSCRIBE, change=add(b"Expires: 7")),
    "a Content-Length that lies": row("SUBSCRIBE", 400, headers=SUBSCRIBE + [("Content-Length", "5")], drop=("Content-Length",)),
    "a bare LF": row("SUBSCRIBE", 400, headers=SUBSCRIBE, change=swap(b"\r\nEvent", b"\nEvent")),
    "a NUL": row("SUBSCRIBE", 400, headers=SUBSCRIBE, change=swap(b"presence", b"pres\0nce")),
    "Expires that is no number": row("SUBSCRIBE", 400, headers=[("Event", "presence"), ("Expires", "soon")]),
    "an Event with a comma": row("SUBSCRIBE", 400, headers=[("Event", "presence, dialog")]),
    "no Contact": row("SUBSCRIBE", 400, "Contact", headers=SUBSCRIBE, drop=("Contact",)),
    "two Contacts": row("SUBSCRIBE", 400, "Contact", headers=SUBSCRIBE, change=add(b"Contact: <sip:x@127.0.0.1:9>")),
    "Contact: *": row("SUBSCRIBE", 400, headers=SUBSCRIBE + [("Contact", "*")]),
    "a Contact with a broken URI": row("SUBSCRIBE", 400, headers=SUBSCRIBE + [("Contact", "<sip:@@:::>")]),
    "a Contact with a port above 65535": row("SUBSCRIBE", 400, headers=SUBSCRIBE + [("Contact", "<sip:a@127.0.0.1:70596>")]),
    "a first PUBLISH without a body": row("PUBLISH", 400, headers=[("Event", "presence")]),
    "a PUBLISH with two entity-tags": row("PUBLISH", 400, headers=PUBLISH + [("SIP-If-Match", "a"), ("SIP-If-Match", "b")],
                                          body=pidf("sip:alice@127.0.0.1")),
    "a document that is not XML": row("PUBLISH", 400, headers=PUBLISH, body="<presence><tuple></presence>"),
    "a document with a DOCTYPE": row("PUBLISH", 400, headers=PUBLISH,
                                     body='<!DOCTYPE x [<!ENTITY a "b">]>' + pidf("sip:alice@127.0.0.1")),
    "XML that is not a presence document": row("PUBLISH", 400, headers=PUBLISH, body="<a/>"),
    "a message summary without its first line": row("PUBLISH", 400, body="Voice-Message: 2/0\r\n",
                                                    headers=[("Event", "message-summary"), ("Content-Type", MWI)]),
    # what is not ours
    "a domain that is not ours": row("SUBSCRIBE", 404, headers=SUBSCRIBE, uri=FOREIGN),
    "a scheme that is not ours": row("SUBSCRIBE", 416, headers=SUBSCRIBE, uri="http://127.0.0.1/"),
    "a Request-URI of 1,100 octets": row("SUBSCRIBE", 414, headers=SUBSCRIBE, uri="sip:" + "a" * 1100 + "@127.0.0.1", to="<sip:a@b>"),
    "a user part of 300 octets": row("SUBSCRIBE", 414, headers=SUBSCRIBE, uri="sip:" + "a" * 300 + "@127.0.0.1"),
    "sips over a plain transport": row("SUBSCRIBE", 480, headers=SUBSCRIBE, uri="sips:alice@127.0.0.1"),
    "SIP/3.0": row("OPTIONS", 505, change=swap(b" SIP/2.0\r\n", b" SIP/3.0\r\n")),
    # methods
    "a method that nobody knows": row("FROBNICATE", 501),
    "INVITE": row("INVITE", 405, says=("allow",)),
    "BYE": row("BYE", 405, says=("allow",)),
    "MESSAGE": row("MESSAGE", 405, says=("allow",)),
    "REFER": row("REFER", 405, says=("allow",)),
    "NOTIFY to us": row("NOTIFY", 405, says=("allow",), headers=[("Event", "presence"), ("Subscription-State", "active")]),
    "CANCEL of nothing": row("CANCEL", 481),
    # packages and extensions
    "no Event": row("SUBSCRIBE", 489, says=("allow-events",)),
    "an unknown package": row("SUBSCRIBE", 489, headers=[("Event", "weather")], says=("allow-events",)),
    "a package in other letters": row("SUBSCRIBE", 489, headers=[("Event", "Presence")], says=("allow-events",)),
    "watcher information of a third depth": row("SUBSCRIBE", 489, headers=[("Event", "presence.winfo.winfo.winfo")], says=("allow-events",)),
    "PUBLISH without Event": row("PUBLISH", 489, headers=[("Content-Type", PIDF)], body=pidf("sip:a@b"), says=("allow-events",)),
    "PUBLISH of an unknown package": row("PUBLISH", 489, headers=[("Event", "weather")], body="x", says=("allow-events",)),
    "Require": row("SUBSCRIBE", 420, headers=SUBSCRIBE + [("Require", "recipient-list-subscribe")], says=("unsupported",)),
    "Require in PUBLISH": row("PUBLISH", 420, headers=PUBLISH + [("Require", "a, b")], body=pidf("sip:a@b"), says=("unsupported",)),
    "Require in OPTIONS": row("OPTIONS", 420, headers=[("Require", "x")], says=("unsupported",)),
    "Accept of nothing that we have": row("SUBSCRIBE", 406, headers=SUBSCRIBE + [("Accept", "application/xpidf+xml")]),
    "Accept with q=0": row("SUBSCRIBE", 406, headers=SUBSCRIBE + [("Accept", PIDF + ";q=0")]),
    # bodies
    "a body of another type": row("PUBLISH", 415, headers=[("Event", "presence"), ("Content-Type", "text/plain")], body="here",
                                  says=("accept",)),
    "a body without a type": row("PUBLISH", 400, "Content-Type", headers=[("Event", "presence")], body=pidf("sip:a@b")),
    "a body that is deflated": row("PUBLISH", 415, headers=PUBLISH + [("Content-Encoding", "deflate")], body=b"\x78\x9c",
                                   says=("accept-encoding",)),
    "a filter that is none": row("SUBSCRIBE", 400, "line 1 column 1", headers=SUBSCRIBE + [("Content-Type", "application/simple-filter+xml")],
                                 body="<filter-set/>"),
    "a body in SUBSCRIBE that is no filter": row("SUBSCRIBE", 415, headers=SUBSCRIBE + [("Content-Type", "application/x-other")],
                                                 body="anything", says=("accept",)),
    "a body that is too large": row("PUBLISH", 413, headers=[("Event", "presence"), ("Content-Type", PIDF)], body="x" * 3000),
    # durations
    "too brief": row("SUBSCRIBE", 423, headers=[("Event", "presence"), ("Expires", "59")], says=("min-expires",)),
    "a PUBLISH that is too brief": row("PUBLISH", 423, headers=PUBLISH + [("Expires", "1")], body=pidf("sip:alice@127.0.0.1"),
                                       says=("min-expires",)),
    "a REGISTER that is too brief": row("REGISTER", 423, headers=[("Expires", "1")], uri="sip:127.0.0.1",
                                        to="<sip:alice@127.0.0.1>", says=("min-expires",)),
    # what is not there
    "an entity-tag that nobody gave": row("PUBLISH", 412, headers=PUBLISH + [("SIP-If-Match", "abc")], body=pidf("sip:alice@127.0.0.1")),
    "an entity-tag of our form": row("PUBLISH", 412, headers=PUBLISH + [("SIP-If-Match", "A" * 32)], body=pidf("sip:alice@127.0.0.1")),
    "a dialog that is not there": row("SUBSCRIBE", 481, headers=SUBSCRIBE, to="<sip:alice@127.0.0.1>;tag=abc"),
    "a dialog tag of our form": row("SUBSCRIBE", 481, headers=SUBSCRIBE, to="<sip:alice@127.0.0.1>;tag=" + "A" * 32),
    # who may not
    "a resource of somebody else": row("PUBLISH", 403, headers=PUBLISH, body=pidf("sip:bob@127.0.0.1"), uri="sip:bob@127.0.0.1"),
    "a subscription that nobody allowed": row("SUBSCRIBE", 403, headers=SUBSCRIBE, uri="sip:bob@127.0.0.1"),
}
CONF = 'limits {{ max_body = 2KiB  failures_burst = 0 }}\n'


STREAM_ENDS = ("a bare LF",)  # nobody can say where the next message begins


def ask(agent, name, entry):
    method, status, phrase, headers, body, uri, says, change, more = entry
    more = dict(more)
    agent.cseq += 1
    more.setdefault("call_id", token(16))
    data = agent.build(method, uri, headers or [], body, **more)
    if change:
        data = change(data)
    agent.line.send(data)
    response = None
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        response = agent.take(end - time.monotonic())
        if agent.line.closed or (response and response.is_response):
            break
    if agent.line.closed and name in STREAM_ENDS:
        return
    check(response, "no answer")
    equal(response.status, status, f"status, said {response.reason!r}")
    check(len(response.reason) > 3, "a phrase that helps, not", response.reason)
    check(phrase.lower() in response.reason.lower(), f"phrase {response.reason!r} without {phrase!r}")
    for name in says:
        check(response.get(name), f"no {name} in\n{response}")


def all_rows(kind):
    problems = []
    with Broker(shards=2, conf=CONF, lab=True, allow=False) as broker:
        alice = Agent(broker, "alice", kind=kind, lab=True)
        for name, entry in ROWS.items():
            if kind == "tcp" and name == "a Content-Length that lies":
                continue  # on a stream it is waited for
            try:
                ask(alice, name, entry)
            except Failed as problem:
                problems.append(f"{name}: {problem}")
            if alice.line.closed or kind == "tcp":  # what cannot be framed closes a stream
                alice.close()
                alice = Agent(broker, "alice", kind=kind, lab=True)
        equal(Agent(broker, "alice", kind=kind, lab=True).ask("OPTIONS", "sip:127.0.0.1").status, 200, "OPTIONS at the end")
        if broker.subs() or broker.pubs():
            problems.append(f"left: {broker.subs()} {broker.pubs()}")
        statuses = broker.admin("status")["statuses"]
        for status in ("400", "403", "404", "412", "423", "481", "489"):
            check(statuses.get(status), "not counted:", status, statuses)
    check(not problems, f"{len(problems)} of {len(ROWS)}:\n  " + "\n  ".join(problems))


def test_each_bad_request_gets_its_answer_over_udp():
    all_rows("udp")


def test_each_bad_request_gets_its_answer_over_tcp():
    all_rows("tcp")


def test_what_cannot_be_answered_is_counted_and_dropped():
    with Broker(shards=2, lab=True) as broker:
        alice = Agent(broker, "alice", lab=True)
        for data in (b"x", b"\0" * 100, b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)) * 20, b"SIP/2.0 200 OK\r\n\r\n",
                     b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKabc\r\nFrom: <sip:a@b>;tag=1\r\n"
                     b"To: <sip:b@c>;tag=2\r\nCall-ID: x\r\nCSeq: 1 NOTIFY\r\n\r\n",
                     alice.build("OPTIONS", alice.aor, drop=("CSeq",)),  # no response could be told from another
                     alice.build("OPTIONS", alice.aor, drop=("Via",)),
                     alice.build("ACK", alice.aor)):
            alice.line.send(data)
        alice.quiet(0.7)
        equal(alice.ask("OPTIONS", "sip:127.0.0.1").status, 200, "OPTIONS")


def test_a_stream_that_cannot_be_framed_is_closed():
    with Broker(lab=True) as broker:
        for name, data in {
                "no SIP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
                "Content-Length that is no number": b"OPTIONS sip:127.0.0.1 SIP/2.0\r\nContent-Length: x\r\n\r\n",
                "two Content-Lengths": b"OPTIONS sip:127.0.0.1 SIP/2.0\r\nContent-Length: 0\r\nl: 5\r\n\r\n12345",
                "a bare LF": b"OPTIONS sip:127.0.0.1 SIP/2.0\nContent-Length: 0\n\n",
                "a head without end": b"OPTIONS sip:127.0.0.1 SIP/2.0\r\n" + b"X: " + b"y" * 200000,
                "a huge Content-Length": b"OPTIONS sip:127.0.0.1 SIP/2.0\r\nContent-Length: 99999999999999999999\r\n\r\n"}.items():
            line = Transport("tcp", ("127.0.0.1", broker.lab))
            try:
                line.send(data)
            except OSError:
                pass  # it is closed already
            check(line.wait_closed(20), name, ": the stream is still open")
        equal(Agent(broker, "alice", lab=True).ask("OPTIONS", "sip:127.0.0.1").status, 200, "OPTIONS")


def test_a_wrong_password_and_an_unknown_user_get_the_same_answer():
    with Broker(users=("alice",)) as broker:
        alice = Agent(broker, "alice")
        answers = []
        for user, password in (("alice", "wrong"), ("nobody", "wrong")):
            challenge = alice.exchange(alice.build("SUBSCRIBE", alice.aor, SUBSCRIBE)).get("www-authenticate")
            alice.cseq += 1
            data = alice.build("SUBSCRIBE", alice.aor,
                               SUBSCRIBE + [("Authorization", digest(challenge, "SUBSCRIBE", alice.aor, user, password))])
            response = alice.exchange(data)
            answers.append((response.status, response.reason, sorted(n for n, _ in response.headers)))
            alice.cseq += 1
        equal(answers[0], answers[1], "answers")
        equal(answers[0][0], 401, "status")


def test_a_nonce_count_is_good_once():
    with Broker(shards=2, users=("alice",)) as broker:
        alice = Agent(broker, "alice")
        challenge = alice.exchange(alice.build("SUBSCRIBE", alice.aor, SUBSCRIBE)).get("www-authenticate")
        credentials = [("Authorization", digest(challenge, "SUBSCRIBE", alice.aor, "alice", alice.password, 1))]
        for expected in (200, 401):
            alice.cseq += 1
            response = alice.exchange(alice.build("SUBSCRIBE", alice.aor, SUBSCRIBE + credentials, call_id=token(16)))
            equal(response.status, expected, "a replay")
        check("stale=true" in response.get("www-authenticate").lower(), response)


def test_a_challenge_names_every_algorithm_and_each_works():
    with Broker(users=("alice",)) as broker:
        alice = Agent(broker, "alice")
        challenges = alice.exchange(alice.build("SUBSCRIBE", alice.aor, SUBSCRIBE)).all("www-authenticate")
        equal(["SHA-256" in c for c in challenges], [True, False], "the preferred first")
        check(all("qop=" in c for c in challenges), challenges)
        for count, challenge in enumerate(challenges, 1):  # they share their nonce
            alice.cseq += 1
            response = alice.exchange(alice.build(
                "SUBSCRIBE", alice.aor, SUBSCRIBE + [("Authorization", digest(challenge, "SUBSCRIBE", alice.aor, "alice",
                                                                              alice.password, count))], call_id=token(16)))
            equal(response.status, 200, challenge)


def test_a_digest_for_another_server_is_refused():
    with Broker(users=("alice",)) as broker:
        alice = Agent(broker, "alice")
        challenge = alice.exchange(alice.build("SUBSCRIBE", alice.aor, SUBSCRIBE)).get("www-authenticate")
        alice.cseq += 1
        credentials = digest(challenge, "SUBSCRIBE", FOREIGN, "alice", alice.password, 1)
        equal(alice.exchange(alice.build("SUBSCRIBE", alice.aor, SUBSCRIBE + [("Authorization", credentials)])).status, 400)


def test_another_event_in_a_dialog_is_refused_and_the_first_lives_on():
    with Broker(users=("alice",)) as broker:
        alice = Agent(broker, "alice")
        watch = alice.subscribe(alice.aor)
        watch.notification()
        watch.package = "message-summary"
        response = watch.send(600, expect=403)
        check(len(response.reason) > 9, response.reason)
        watch.package = "presence"
        watch.send(600)
        watch.notification()


def test_a_source_without_proof_gets_three_times_what_it_sent_at_most():
    # The listener believes From of everybody, but nobody is trusted: an answer might go to somebody who asked for nothing.
    from broker import free_port
    port = free_port()
    conf = f'listen "udp://127.0.0.1:{port}" {{{{ authentication = none }}}}\n'
    with Broker(conf=conf) as broker:
        alice = Agent(broker, "alice", password="x", server=("127.0.0.1", port))
        alice.password = None
        alice.answer = lambda message: None  # a victim does not answer
        body = pidf(alice.aor, note="n" * 1000)
        sent = got = 0
        for _ in range(3):
            data = alice.build("PUBLISH", alice.aor, PUBLISH, body, call_id=token())
            sent += len(data)
            got += len(alice.exchange(data).data)
            alice.cseq += 1
        data = alice.build("SUBSCRIBE", alice.aor, SUBSCRIBE)
        sent += len(data)
        alice.line.send(data)
        end = time.monotonic() + 6
        while time.monotonic() < end:
            message = alice.line.receive(end - time.monotonic())
            got += len(message.data) if message else 0
        check(got <= 3 * sent, f"{got} octets came for {sent}")


def test_a_source_that_only_fails_is_not_answered_for_ever():
    with Broker(conf='limits {{ failures_burst = 20  failures_per_second = 1 }}\n', lab=True) as broker:
        alice = Agent(broker, "alice")
        for _ in range(100):
            alice.line.send(alice.build("SUBSCRIBE", FOREIGN, SUBSCRIBE, call_id=token()))
        until(lambda: broker.counters()["unanswered"] >= 50, "most are dropped")
        answers = 0
        while alice.take(0.5):
            answers += 1
        check(15 <= answers <= 40, f"{answers} answers to 100 bad requests")
        other = Agent(broker, "bob", lab=True, source="127.0.0.9")
        equal(other.ask("OPTIONS", "sip:127.0.0.1").status, 200, "somebody else is answered")


if __name__ == "__main__":
    run_tests(globals())
