#!/usr/bin/env python3
"""The HTTP face: publishing, reading and event streams, beside phones on SIP; what hostile clients get."""
import http.client
import os
import re
import signal
import socket
import subprocess
import tempfile

from broker import HERALDD, PATIENCE_S, Broker, check, equal, free_port, run_tests, until
from ca import Authority
from rest import SECTION, Web, curl, drip, raw
from sip import Agent, pidf

SUMMARY = "Messages-Waiting: yes\r\nVoice-Message: 2/0\r\n"
STATE = 'package "x-state" {{ types = "text/plain"  authorisation = allow  min_expires = 1  pace = 0s }}\n'


def server(section="", conf="", **more):
    return Broker(conf=STATE + conf + SECTION % section, ports=("web",), **more)


def url(broker, path):
    return f"http://127.0.0.1:{broker.ports['web']}{path}"


def test_a_curl_command_publishes_and_the_lamp_of_a_phone_lights():
    with server(users=("alice",)) as broker:
        phone = Agent(broker, "alice")
        lamp = phone.subscribe(phone.aor, package="message-summary")
        check(b"Messages-Waiting: no" in lamp.notification().body, "it is dark at first")
        said = curl("--digest", "-u", "alice:" + broker.passwords["alice"], "-X", "PUT", "-H",
                    "Content-Type: application/simple-message-summary", "--data-binary", SUMMARY,
                    url(broker, "/v1/events/message-summary/alice"))
        check('"etag"' in said, said)
        check(b"Messages-Waiting: yes" in lamp.notification().body, "it is lit")
        pub = broker.pubs()[0]
        equal((pub["publisher"], pub["package"]), ("sip:alice@127.0.0.1", "message-summary"))


def test_a_phone_publishes_and_an_event_stream_shows_it():
    with server(shards=3, users=("alice", "bob")) as broker:
        phone, page = Agent(broker, "alice"), Web(broker, "bob")
        stream = page.stream("/v1/events/presence/alice")
        name, data, _ = stream.event()
        check(name == "state" and "closed" in data, name, data)
        phone.publish(phone.aor, "presence", "application/pidf+xml", pidf(phone.aor, "open"))
        name, data, _ = stream.event()
        check(name == "state" and "open" in data, name, data)
        row = broker.subs()[0]
        equal((row["watcher"], row["transport"], row["state"]), ("sip:bob@127.0.0.1", "HTTP", "active"))
        stream.close()
        until(lambda: not broker.subs() or Web(broker).get("/healthz") and not broker.subs(), "it is gone with its reader")


def test_entity_tags_are_those_of_sip_on_both_sides():
    with server(users=("alice",)) as broker:
        phone, web = Agent(broker, "alice"), Web(broker, "alice")
        target = "/v1/events/x-state/alice"
        first = web.put(target, "one", "text/plain", expect=201)
        second = web.put(target, "two", "text/plain", expect=200)
        check(first.etag != second.etag and len(broker.pubs()) == 1, "it is one publication")
        equal(web.put(target, "no", "text/plain", expect=412, If_Match=first.etag).status, 412)
        web.put(target, "three", "text/plain", expect=200, If_Match=second.etag)
        web.put(target, "no", "text/plain", expect=412, If_None_Match="*")
        answer = phone.publish(phone.aor, "x-state", "text/plain", b"by phone")
        tag = answer.get("sip-etag") if hasattr(answer, "get") else answer
        web.put(target, "by curl", "text/plain", expect=200, If_Match=f'"{tag}"')
        equal(len(broker.pubs()), 2)
        equal(web.get(target).body, b"by curl", "the newest counts")
        web.ask("DELETE", target, expect=204)
        web.ask("DELETE", target, expect=404)
        equal(web.get(target).body, b"by curl")
        web.ask("DELETE", target, headers={"If-Match": '"never"'}, expect=412)


def test_a_patch_changes_a_part():
    conf = 'package "x-json" {{ types = "application/json"  authorisation = allow  min_expires = 1  pace = 0s }}\n'
    with server(users=("alice",), conf=conf) as broker:
        web, target = Web(broker, "alice"), "/v1/events/x-json/alice"
        kind = {"Content-Type": "application/merge-patch+json"}
        web.ask("PATCH", target, '{"stock": 1}', kind, expect=404)
        first = web.put(target, '{"stock": 5, "name": "bolt"}', "application/json", expect=201)
        patched = web.ask("PATCH", target, '{"stock": 4}', kind, expect=200)
        equal(web.get(target).json(), {"stock": 4, "name": "bolt"})
        web.ask("PATCH", target, '{"stock": 3}', {**kind, "If-Match": first.etag}, expect=412)
        web.ask("PATCH", target, '{"name": null}', {**kind, "If-Match": patched.etag}, expect=200)
        equal(web.get(target).json(), {"stock": 4})
        web.put(target, '{"stock": 1}', "application/merge-patch+json", expect=415)
        web.ask("PATCH", target, '{"stock": 1}', {"Content-Type": "application/json"}, expect=415)
        web.ask("PATCH", target, "", kind, expect=400)
        web.ask("PATCH", "/v1/events/x-state/alice", "x", kind, expect=415)


def test_what_was_answered_is_there_after_a_kill():
    with server(users=("alice",)) as broker:
        web, target = Web(broker, "alice"), "/v1/events/x-state/alice"
        kept = web.put(target, "kept", "text/plain", expect=201)
        seen = web.get(target)
        broker.process.kill()
        broker.process.wait()
        broker.start()
        web = Web(broker, "alice")
        equal(web.get(target).body, b"kept")
        web.get(target, expect=304, If_None_Match=seen.etag)
        web.put(target, "after", "text/plain", expect=200, If_Match=kept.etag)
        web.put(target, "again", "text/plain", expect=200)
        equal(len(broker.pubs()), 1, "the publication without a name is found again")


def test_refusals_say_why():
    with server(users=("alice", "bob"), conf='limits {{ max_body = 2KiB }}\n') as broker:
        web, mine = Web(broker, "alice"), "/v1/events/x-state/alice"
        for method, target, body, headers, status in (
                ("PUT", mine, "x", {"Content-Type": "image/png"}, 415),
                ("PUT", mine, "x", {}, 415),
                ("PUT", mine, "x", {"Content-Type": "text/plain", "Content-Encoding": "gzip"}, 415),
                ("PUT", mine, "", {"Content-Type": "text/plain"}, 400),
                ("PUT", mine, "x" * 3000, {"Content-Type": "text/plain"}, 413),
                ("PUT", mine, "x", {"Content-Type": "text/plain", "Expires": "soon"}, 400),
                ("PUT", mine, "x", {"Content-Type": "text/plain", "If-Match": '"a" "b"'}, 400),
                ("PUT", mine, "x", {"Content-Type": "text/plain", "Content-Range": "bytes 0-0/2"}, 400),
                ("GET", mine + "?max-rate=0.1", None, {}, 400),
                ("PUT", mine, "x", {"Content-Type": "text/plain", "If-Match": 'W/"a"'}, 412),
                ("PUT", "/v1/events/x-state/bob", "x", {"Content-Type": "text/plain"}, 403),
                ("PUT", "/v1/events/x-none/alice", "x", {"Content-Type": "text/plain"}, 404),
                ("PUT", "/v1/events/x-state/sip:a@elsewhere.test", "x", {"Content-Type": "text/plain"}, 404),
                ("PUT", mine + "?expire=5", "x", {"Content-Type": "text/plain"}, 400),
                ("GET", mine, None, {"Accept": "image/png"}, 406),
                ("GET", mine + "?when=nonsense", None, {}, 400),
                ("GET", mine + "?a=%00", None, {}, 400),
                ("POST", mine, "x", {"Content-Type": "text/plain"}, 405),
                ("BREW", mine, None, {}, 501),
                ("GET", "/v1/events/x-state", None, {}, 404),
                ("GET", "/etc/passwd", None, {}, 404),
                ("GET", "/metrics", None, {}, 403),
                ("GET", mine, None, {"Origin": "https://evil.test"}, 403)):
            answer = web.ask(method, target, body, headers)
            equal(answer.status, status, f"{method} {target} {headers}: {answer.body!r}")
        equal(broker.pubs(), [])
        nobody = Web(broker)
        equal(nobody.get(mine, expect=401).headers["Content-Type"], "application/problem+json")
        equal(nobody.get("/healthz").json(), {"status": "ok"})


def test_what_cannot_be_meant_is_told_in_words():
    conf = 'package "x-slow" {{ types = "text/plain"  authorisation = confirm  min_expires = 60  pace = 0s }}\n' \
           'package "x-json" {{ types = "application/json"  authorisation = allow  pace = 0s }}\n'
    with server(users=("alice", "bob"), conf=conf) as broker:
        web, mine, text, problems = Web(broker, "alice"), "/v1/events/x-state/alice", {"Content-Type": "text/plain"}, []
        for method, target, body, headers, status, words in (
                ("GET", mine + "?" + "&".join(f"a{i}=1" for i in range(60)), None, {}, 400, "too many parameters"),
                ("GET", mine + "?type=%zz", None, {}, 400, "cannot be read"),
                ("GET", "/v1/admin/../events", None, {}, 404, "nothing of this name"),
                ("GET", "/healthz?deep=1", None, {}, 400, "no parameters"),
                ("GET", "/v1/events/x-state/sip:@", None, {}, 400, "neither a user's name nor a URI"),
                ("GET", "/v1/events/x-state/sip:" + "a" * 400 + "@127.0.0.1", None, {}, 400, "too long"),
                ("GET", "/v1/events/x-state/http:a@b", None, {}, 404, "not served here"),
                ("PUT", mine, "x", {**text, "If-Match": '"a"', "If-None-Match": "*"}, 400, "exclude each other"),
                ("PUT", mine, "x", {**text, "If-None-Match": '"a"'}, 400, "takes * here"),
                ("PUT", mine, "x", {**text, "If-Match": "a"}, 400, "entity-tags"),
                ("PUT", mine, "x", {**text, "If-Match": ", ".join(['"a"'] * 100)}, 400, "at most"),
                ("PUT", mine + "?expires=0", "x", text, 400, "removed with DELETE"),
                ("PUT", mine + "?expires=-1", "x", text, 400, "number of seconds"),
                ("PUT", mine, "x", {**text, "Cache-Control": "no-store, max-age=soon"}, 400, "number of seconds"),
                ("PUT", "/v1/events/x-slow/alice?expires=5", "x", text, 400, "at least 60 seconds"),
                ("PUT", "/v1/events/x-json/alice", "{", {"Content-Type": "application/json"}, 400, ""),
                ("PATCH", "/v1/events/x-json/alice", "{}", {"Content-Type": "application/merge-patch+json", "If-None-Match": "*"}, 400, "cannot be patched"),
                ("GET", mine + "?when=a%20above%201&profile=p", None, {}, 400, "exclude each other"),
                ("GET", mine + "?filter=%7B", None, {}, 400, ""),
                ("GET", mine + "?profile=nobody-made-this", None, {}, 400, ""),
                ("GET", mine + "?format=json", None, {}, 400, "of an event stream"),
                ("GET", mine + "?format=xml", None, {"Accept": "text/event-stream"}, 400, "of an event stream")):
            answer = web.ask(method, target, body, headers)
            if answer.status != status or words not in answer.json()["detail"]:
                problems.append(f"{method} {target[:80]} {headers}: {answer.status}, not {status} {words!r}: {answer.body!r}")
        check(not problems, "\n  ".join(problems))
        equal(broker.pubs(), [], "nothing of it was taken")
        # A duration may be said in three ways; which counts is the parameter, then Expires, then Cache-Control.
        for target, headers, least, most in ((mine + "?expires=50", {"Expires": "500"}, 1, 50), (mine, {"Expires": "500", "Cache-Control": "max-age=5000"}, 51, 500),
                                             (mine, {"Cache-Control": "no-cache, max-age=5000"}, 501, 5000)):
            web.ask("PUT", target, "x", {**text, **headers}, expect=None)
            left = broker.pubs()[0]["expires_s"]
            check(least <= left <= most, target, headers, left)
        # Who waits for the owner's word is told so, and gets the state once it is given.
        other = "/v1/events/x-slow/alice"
        web.put(other, "later", "text/plain", expect=201)
        bob = Web(broker, "bob")
        check("nobody has decided" in bob.get(other, expect=403).json()["detail"], "pending")
        broker.admin("policy-allow", resource="alice", watcher="bob")
        equal(bob.get(other).body, b"later", "allowed")
        writes = Web(broker, token=token(broker, "alice", "publish")["token"])
        writes.get(mine, expect=403, Accept="text/event-stream")


def test_conditions_of_a_request_are_those_of_rfc_9110():
    with server(users=("alice",)) as broker:
        web, target = Web(broker, "alice"), "/v1/events/x-state/alice"
        web.get(target, expect=404, If_Match='"a"')
        first = web.put(target, "one", "text/plain", expect=201)
        seen = web.get(target)
        for value, status in ((seen.etag, 200), ('"a"', 412), ("*", 200), (f'"a", {seen.etag}', 200), ("W/" + seen.etag, 412)):
            equal(web.ask("GET", target, headers={"If-Match": value}).status, status, f"If-Match: {value}")
            equal(web.ask("HEAD", target, headers={"If-Match": value}).status, status, f"HEAD, If-Match: {value}")
        for value, status in ((seen.etag, 304), ('"a"', 200), ("*", 304), (f'"a", W/{seen.etag},', 304)):
            equal(web.ask("GET", target, headers={"If-None-Match": value}).status, status, f"If-None-Match: {value}")
        web.ask("GET", target, headers={"If-Match": '"a"', "If-None-Match": seen.etag}, expect=412)
        unchanged = web.get(target, expect=304, If_None_Match=seen.etag)
        equal((unchanged.etag, unchanged.body, unchanged.headers.get("Content-Length")), (seen.etag, b"", str(len(seen.body))))
        equal((unchanged.headers["Vary"], unchanged.headers["Cache-Control"]), (seen.headers["Vary"], seen.headers["Cache-Control"]))
        equal(seen.headers["Vary"], "Accept, Authorization, Origin")
        check("Date" in unchanged.headers and "Date" in seen.headers, unchanged.headers)
        head = web.ask("HEAD", target, expect=200)
        equal((head.body, sorted(head.headers.keys())), (b"", sorted(seen.headers.keys())))
        equal(head.headers["Content-Length"], str(len(seen.body)))
        second = web.put(target, "two", "text/plain", expect=200, If_Match=f'"never", W/{first.etag}, {first.etag}')
        web.put(target, "no", "text/plain", expect=412, If_Match=f'"never", {first.etag}')
        web.ask("DELETE", target, headers={"If-Match": f'{first.etag}, {second.etag}'}, expect=204)
        equal(broker.pubs(), [])


def test_refusals_say_what_would_be_taken():
    with server(users=("alice",)) as broker:
        web, mine = Web(broker, "alice"), "/v1/events/presence/alice"
        equal(web.put(mine, "x", "image/png", expect=415).headers["Accept"], "application/pidf+xml")
        coded = web.ask("PUT", mine, "x", {"Content-Type": "application/pidf+xml", "Content-Encoding": "gzip"}, expect=415)
        equal(coded.headers["Accept-Encoding"], "identity")
        there = "GET, HEAD, PUT, PATCH, DELETE, OPTIONS"
        equal(web.ask("POST", mine, "x", expect=405).headers["Allow"], there, "405 says what there is")
        equal(web.ask("OPTIONS", mine, expect=204).headers["Allow"], there)
        equal(web.ask("OPTIONS", "/metrics", expect=204).headers["Allow"], "GET, HEAD, OPTIONS")
        reads = Web(broker, token=token(broker, "alice", "read")["token"])
        refused = reads.put(mine, "x", expect=403)
        equal(refused.headers["WWW-Authenticate"], 'Bearer realm="herald", error="insufficient_scope", scope="publish"')
        check('scope="metrics"' in reads.get("/metrics", expect=403).headers["WWW-Authenticate"], "of metrics")
        check('scope="admin"' in reads.get("/v1/admin/status", expect=403).headers["WWW-Authenticate"], "of calls")
        check("WWW-Authenticate" not in web.get("/metrics", expect=403).headers, "who has no token is not told of its rights")
        equal(Web(broker).get(mine, expect=401).headers.get_all("WWW-Authenticate")[-1], 'Bearer realm="herald"')
        equal(Web(broker, token="hrld_x").get(mine, expect=401).headers.get_all("WWW-Authenticate")[-1],
              'Bearer realm="herald", error="invalid_token"')


def test_a_stream_is_told_as_often_as_it_asks():
    conf = 'package "x-event" {{ types = "text/plain"  authorisation = allow  min_expires = 1  pace = 0s  delivery = every }}\n' \
           'package "x-paced" {{ types = "text/plain"  authorisation = allow  min_expires = 1  pace = 10s }}\n'
    with server(users=("alice",), conf=conf) as broker:
        web, target = Web(broker, "alice"), "/v1/events/x-state/alice"
        web.put(target, "0", "text/plain")
        often = web.stream(target + "?min-rate=1")
        equal([often.event()[1] for _ in range(3)], ["0", "0", "0"], "the state is said again")
        equal(often.comments[0], "subscribed for 3600 s;min-rate=1")
        often.close()
        rare = web.stream(target + "?max-rate=0.5")
        equal(rare.event()[1], "0")
        equal(rare.comments[0], "subscribed for 3600 s;max-rate=0.5")
        for n in range(1, 6):
            web.put(target, f"{n}", "text/plain")
        told = []
        while "5" not in told:  # one of these would be enough, if we were always quick
            told.append(rare.event()[1])
        check(broker.counters()["held_by_rate"] > 0 and told == sorted(told), told, broker.counters())
        rare.close()
        paced = web.stream("/v1/events/x-paced/alice?max-rate=5")
        paced.event()
        equal(paced.comments[0], "subscribed for 3600 s;max-rate=0.1", "the package's pace is the most")
        paced.close()
        refused = web.ask("GET", "/v1/events/x-event/alice?max-rate=1", headers={"Accept": "text/event-stream"}, expect=400)
        check("Each Event" in refused.json()["detail"], refused.body)
        for wrong in ("max-rate=0", "max-rate=often", "min-rate=123", "adaptive-min-rate=-1"):
            refused = web.ask("GET", f"{target}?{wrong}", headers={"Accept": "text/event-stream"}, expect=400)
            check(wrong.split("=", 1)[0] in refused.json()["detail"], refused.body)


def everything_of(web, target, tag):
    """What somebody is answered who tries what there is: status, fields and body, without what is new each time."""
    tries = (("GET", {}), ("HEAD", {}), ("GET", {"If-None-Match": tag}), ("GET", {"If-Match": '"a"'}), ("GET", {"If-Match": tag}),
             ("GET", {"Accept": "image/png"}), ("GET", {"Accept": "application/pidf+xml"}), ("OPTIONS", {}), ("POST", {}), ("BREW", {}),
             ("PUT", {"Content-Type": "application/pidf+xml"}), ("PATCH", {"Content-Type": "application/merge-patch+json"}), ("DELETE", {}))
    said = []
    for method, headers in tries:
        body = pidf("sip:alice@127.0.0.1", "closed") if method == "PUT" else "{}" if method == "PATCH" else None
        answer = web.ask(method, target, body, headers)
        said.append((method, headers, answer.status, sorted((k, v) for k, v in answer.headers.items() if k != "Date"), answer.body))
    for more in ("?type=image/png", "?when=nonsense", "?no=1", "?max-rate=1", "?type=application%2Fpidf%2Bxml"):
        answer = web.get(target + more, expect=None)
        said.append((more, answer.status, sorted((k, v) for k, v in answer.headers.items() if k != "Date"), answer.body))
    stream = web.stream(target)
    said.append((sorted((k, v) for k, v in stream.response.headers.items() if k != "Date"), stream.event(), stream.comments))
    stream.close()
    return said


def test_a_polite_view_differs_in_nothing_from_an_idle_resource():
    with server(users=("alice", "bob", "carol")) as broker:
        bob, carol, target = Web(broker, "bob"), Web(broker, "carol"), "/v1/events/presence/alice"
        tag = carol.get(target).etag
        idle = everything_of(carol, target, tag)
        broker.admin("policy-polite", resource="alice", watcher="bob")
        Web(broker, "alice").put(target, pidf("sip:alice@127.0.0.1", "open"))
        check(b"open" in carol.get(target).body, "it is not idle")
        for one, other in zip(everything_of(bob, target, tag), idle):
            equal(one, other)


def test_a_politely_blocked_reader_sees_what_an_idle_resource_shows():
    with server(users=("alice", "bob", "carol")) as broker:
        bob, carol = Web(broker, "bob"), Web(broker, "carol")
        target = "/v1/events/presence/alice"
        broker.admin("policy-polite", resource="alice", watcher="bob")
        idle = carol.get(target)
        stream = bob.stream(target)
        first = stream.event()
        Web(broker, "alice").put(target, pidf("sip:alice@127.0.0.1", "open"))
        open_, polite = carol.get(target), bob.get(target)
        check(b"open" in open_.body, open_.body)
        equal((polite.body, polite.etag), (idle.body, idle.etag))
        equal(sorted(polite.headers.keys()), sorted(open_.headers.keys()))
        equal(first[1], idle.body.decode().replace("\r\n", "\n").rstrip("\n"))
        broker.admin("policy-block", resource="alice", watcher="bob")
        name, data, _ = stream.event()
        equal(name, "end", data)
        check("rejected" in data, data)
        equal(stream.event(), None, "and it is closed")
        bob.get(target, expect=403)


def entries(document):
    return sorted(re.findall(r'<watcher id="\w{16}" status="(\w+)" event="(\w+)">([^<]*)</watcher>', document))


def test_who_watches_is_shown_his_own_entry_and_nobody_else():
    """RFC 3857 section 4.6: over HTTP as by phone, to a password and to a token, and alike to the allowed and to the politely blocked."""
    own_entry = STATE.replace("authorisation = allow", "authorisation = owner  own_entry = yes")
    with Broker(conf=own_entry + SECTION % "", ports=("web",), shards=2, users=("alice", "bob", "carol", "dave"), allow=False) as broker:
        broker.admin("policy-allow", resource="alice", watcher="bob", package="x-state")
        broker.admin("policy-polite", resource="alice", watcher="carol", package="x-state")
        target = "/v1/events/x-state.winfo/alice"
        bob, carol = Web(broker, "bob"), Web(broker, "carol", token=token(broker, "carol", "read")["token"])
        Web(broker, "dave").get(target, expect=403)
        bob.get("/v1/events/x-state.winfo.winfo/alice", expect=403)
        nobody = bob.get(target)
        equal((nobody.headers["Content-Type"], entries(nobody.body.decode())), ("application/watcherinfo+xml", []))
        blocked = carol.get(target)
        equal((blocked.body, blocked.etag, sorted(blocked.headers.keys())), (nobody.body, nobody.etag, sorted(nobody.headers.keys())))
        watching = [web.stream("/v1/events/x-state/alice") for web in (bob, carol)]
        lists = [web.stream(target) for web in (bob, carol)]
        for stream, name in zip(lists, ("bob", "carol")):
            equal(entries(stream.event()[1]), [("active", "subscribe", f"sip:{name}@127.0.0.1")], name)
        dialog = Agent(broker, "bob").subscribe("sip:alice@127.0.0.1", package="x-state")  # his phone is his as well, and nothing to her
        dialog.notification()
        until(lambda: len(entries(bob.get(target).body.decode())) == 2, "a list is made once in a second")
        equal(entries(carol.get(target).body.decode()), [("active", "subscribe", "sip:carol@127.0.0.1")])
        watching[1].close()
        equal(entries(lists[0].event()[1])[0], ("active", "subscribe", "sip:bob@127.0.0.1"), "of the phone")
        equal(entries(lists[1].event()[1]), [("terminated", "timeout", "sip:carol@127.0.0.1")])
        broker.admin("policy-block", resource="alice", watcher="carol", package="x-state")
        equal(lists[1].event()[0], "end")
        carol.get(target, expect=403)


def test_a_stream_goes_on_where_it_was():
    with server(shards=2, users=("alice",)) as broker:
        web, target = Web(broker, "alice"), "/v1/events/x-state/alice"
        web.put(target, "one", "text/plain")
        stream = web.stream(target)
        _, data, last = stream.event()
        equal(data, "one")
        stream.close()
        again = web.stream(target, last)
        web.put(target, "two\nlines", "text/plain")
        name, data, newer = again.event()
        equal((name, data), ("state", "two\nlines"), "what he has is not repeated")
        again.close()
        web.put(target, "three", "text/plain")
        third = web.stream(target, newer)
        equal(third.event()[1], "three", "what he missed is told at once")
        third.close()


def test_conditions_and_envelopes_of_a_stream():
    conf = 'package "x-json" {{ types = "application/json"  authorisation = allow  min_expires = 1  pace = 0s }}\n'
    with server(users=("alice",), conf=conf) as broker:
        web, target = Web(broker, "alice"), "/v1/events/x-json/alice"
        web.put(target, '{"stock": 50}', "application/json")
        stream = web.stream(target + "?when=stock%20below%2020%20clear%2040&format=json")
        equal(stream.event()[0], "nothing", "no condition is true")
        web.put(target, '{"stock": 30}', "application/json")
        web.put(target, '{"stock": 10}', "application/json")
        name, data, _ = stream.event()
        check(name == "state" and '"stock\\": 10' in data and "seq=1" in data, name, data)
        stream.close()


def test_a_reader_that_does_not_read_costs_one_event_and_is_shut_down():
    with server('stall = "500ms"  ping = "500ms"', users=("alice",), conf='limits {{ max_body = 1MiB }}\n') as broker:
        web, target = Web(broker, "alice"), "/v1/events/x-state/alice"
        lazy = web.stream(target)
        lazy.line.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for n in range(12):
            web.put(target, str(n % 10) * 900000, "text/plain")
        until(lambda: not broker.subs(), "who does not read is shut down")
        web.put(target, "last", "text/plain")
        lazy.close()


def test_slow_and_large_requests_are_bounded():
    with server('request = "500ms"  idle = "1s"', users=("alice",)) as broker:
        port = broker.ports["web"]
        check(drip(port, b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 2000, 0.05, 20), "a head that never ends")
        check(drip(port, b"GET /hea" + b"l" * 2000, 0.05, 20), "a line that never ends")
        check(drip(port, b"PUT /v1/events/x-state/alice HTTP/1.1\r\nHost: a\r\nContent-Length: 999\r\n\r\n" + b"x" * 900, 0.05, 20),
              "a body that never ends")
        large = raw(port, b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"X: " + b"a" * 40000 + b"\r\n\r\n")
        check(b" 200 " not in large.split(b"\r\n")[0], large[:100])
        for bad in (b"GET\r\n\r\n", b"\x00" * 100, b"GET / HTTP/9.9\r\n\r\n", b"GET /healthz HTTP/1.1\r\n\r\n",
                    b"PUT /v1/events/x-state/alice HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(200)):
            said = raw(port, bad)
            check(b" 200 " not in said.split(b"\r\n")[0], bad, said[:100])
        def healthy():  # unless this program stands still for half a second in the middle of it
            try:
                return Web(broker).get("/healthz").status == 200
            except (OSError, http.client.HTTPException):
                return False

        until(healthy, "it serves on")


def test_connections_and_requests_of_one_source_are_bounded():
    with server('connections = 8  connections_per_source = 4  requests_burst = 30  requests_per_second = 1', users=("alice",)) as broker:
        lines = []
        for _ in range(8):
            line = http.client.HTTPConnection("127.0.0.1", broker.ports["web"], timeout=PATIENCE_S)
            try:
                line.request("GET", "/healthz")
                line.getresponse().read()
                lines.append(line)
            except (OSError, http.client.HTTPException):
                pass
        equal(len(lines), 4, "connections that are answered")
        said = set()
        for _ in range(60):
            lines[0].request("GET", "/healthz")
            response = lines[0].getresponse()
            response.read()
            said.add(response.status)
        check(429 in said, said)
        for line in lines:
            line.close()


def test_a_nonce_is_good_once_for_each_count_and_guessing_is_bounded():
    with server(users=("alice",), conf='limits {{ failures_burst = 20  failures_per_second = 1 }}\n') as broker:
        web, target = Web(broker, "alice"), "/v1/events/x-state/alice"
        web.put(target, "one", "text/plain")
        web.nc -= 1
        answer, _ = web.once("GET", target)
        equal(answer.status, 401, "the same count again")
        check("stale=true" in answer.headers["WWW-Authenticate"], answer.headers)
        web.get(target)
        broker.passwords["alice"] = "wrong"
        statuses = []
        for _ in range(30):
            try:
                statuses.append(web.ask("GET", target).status)
            except (OSError, http.client.HTTPException):
                statuses.append("closed")
        check("closed" in statuses and set(statuses) <= {401, 429, "closed"}, statuses)


def token(broker, user, *scopes):
    return broker.admin("token-add", user=user, **({"scopes": list(scopes)} if scopes else {}))


def test_tokens_are_good_for_what_they_say_and_as_long_as_they_are_there():
    with server(users=("alice", "bob")) as broker:
        made = token(broker, "alice")
        check(made["token"].startswith("hrld_") and len(made["token"]) == 48, made)
        both, target = Web(broker, token=made["token"]), "/v1/events/x-state/alice"
        both.put(target, "one", "text/plain", expect=201)
        equal(broker.pubs()[0]["publisher"], "sip:alice@127.0.0.1")
        equal(both.get(target).body, b"one")
        reads = Web(broker, token=token(broker, "alice", "read")["token"])
        reads.put(target, "two", "text/plain", expect=403)
        equal(reads.get(target).body, b"one")
        Web(broker, token=token(broker, "alice", "publish")["token"]).get(target, expect=403)
        both.get("/v1/admin/status", expect=403)
        both.get("/metrics", expect=403)
        Web(broker, token=made["token"][:-1]).get(target, expect=401)
        with open(os.path.join(broker.run_dir, "herald.db"), "rb") as file:
            check(made["token"].encode() not in file.read(), "what is kept is its hash")
        broker.process.kill()
        broker.process.wait()
        broker.start()
        both = Web(broker, token=made["token"])
        stream = both.stream(target)
        equal(stream.event()[1], "one")
        equal(broker.subs()[0]["proof"] if "proof" in broker.subs()[0] else "token", "token")
        broker.tool("token", "remove", made["id"], "--socket", broker.socket_path)
        name, data, _ = stream.event()
        check(name == "end" and "rejected" in data, name, data)
        both.get(target, expect=401)
        bob = Web(broker, token=token(broker, "bob")["token"])
        bob.get(target)
        broker.admin("user-remove", name="bob")
        until(lambda: bob.ask("GET", target).status == 401, "a token goes with its user")


def test_the_operator_calls_with_a_token():
    with server(users=("alice",)) as broker:
        root = Web(broker, token=token(broker, "alice", "admin")["token"])
        Web(broker, "alice").get("/v1/admin/status", expect=403)
        equal(root.get("/v1/admin/status").json()["version"], broker.admin("status")["version"])
        web = Web(broker, token=token(broker, "alice")["token"])
        web.put("/v1/events/x-state/alice", "one", "text/plain")
        rows = root.get("/v1/admin/pubs?resource=alice&limit=10").json()["pubs"]
        equal([row["package"] for row in rows], ["x-state"])
        root.get("/v1/admin/pubs?limit=many", expect=400)
        root.get("/v1/admin/nonsense", expect=405)
        root.get("/v1/admin/user-remove?name=alice", expect=405)
        equal(root.ask("POST", "/v1/admin/user-add", '{"name": "carol"}', {"Content-Type": "application/json"}, expect=200).json()["name"], "carol")
        root.ask("POST", "/v1/admin/user-add", '{"name": "dave"}', {"Content-Type": "text/plain"}, expect=415)
        root.ask("POST", "/v1/admin/user-add", '{"name": ', {"Content-Type": "application/json"}, expect=400)
        root.ask("POST", "/v1/admin/backup", '{"folder": "/tmp/x"}', {"Content-Type": "application/json"}, expect=403)
        figures = Web(broker, token=token(broker, "alice", "metrics")["token"])
        text = figures.get("/metrics").body.decode()
        check("herald_http_requests_total" in text and text.endswith("# EOF\n"), text[-200:])
        figures.get("/v1/admin/status", expect=403)


def test_the_openapi_page_says_what_is_there():
    with server(users=("alice",)) as broker:
        root = Web(broker, token=token(broker, "alice", "admin", "publish", "read")["token"])
        page = root.get("/openapi.json").json()
        for path, operations in page["paths"].items():
            target = path.format(package="x-state", resource="alice", call="status")
            for method in ("GET", "PUT", "PATCH", "DELETE", "POST"):
                answer = root.ask(method, target, "{}" if method == "POST" else "x" if method in ("PUT", "PATCH") else None,
                                  {"Content-Type": "application/json" if method == "POST" else "text/plain"})
                if method.lower() in operations:
                    check(str(answer.status) in operations[method.lower()]["responses"], method, target, answer.status, answer.body)
                else:
                    equal(answer.status, 405, f"{method} {target}")


def test_pages_of_others_call_when_they_are_named():
    with server('origins = {{ "https://page.test" }}', users=("alice",)) as broker:
        web = Web(broker, token=token(broker, "alice")["token"])
        target = "/v1/events/x-state/alice"
        answer = web.ask("OPTIONS", target, headers={"Origin": "https://page.test", "Access-Control-Request-Method": "PUT"}, expect=204)
        equal(answer.headers["Access-Control-Allow-Methods"], answer.headers["Allow"])
        answer = web.ask("GET", target, headers={"Origin": "https://page.test"})
        equal(answer.headers["Access-Control-Allow-Origin"], "https://page.test")
        web.ask("GET", target, headers={"Origin": "https://page.test.evil"}, expect=403)
        own = web.ask("GET", target, headers={"Origin": f"http://127.0.0.1:{broker.ports['web']}"})
        check(own.status == 404 and "Access-Control-Allow-Origin" not in own.headers, own.status, own.headers)


def shown(line):
    """The serial number of the certificate that a connection was shown."""
    return line.sock.getpeercert()["serialNumber"]


def check_reload(broker, authority, pair, made):
    """A new certificate counts from the next handshake on; what runs goes on, and one that is no pair changes nothing."""
    def connect():
        line = http.client.HTTPSConnection("localhost", broker.ports["web"], timeout=PATIENCE_S, context=authority.client())
        line.connect()
        return line

    def get(line, **headers):
        line.request("GET", "/v1/events/x-state/alice", headers={"Authorization": "Bearer " + made, **headers})
        return line.getresponse()

    before, stream = connect(), connect()
    listening = get(stream, Accept="text/event-stream")
    equal(listening.status, 200)
    authority.make("server")
    broker.process.send_signal(signal.SIGHUP)

    def is_new():
        line = connect()
        serial = shown(line)
        line.close()
        return serial != shown(before)

    until(is_new, "the new certificate is shown")
    equal(get(before).read(), b"one", "a connection goes on")
    web = Web(broker, token=made)
    web.connect = connect
    web.put("/v1/events/x-state/alice", "two", "text/plain")
    text = b""
    while b"data: two" not in text:
        text += listening.readline()
    after = connect()
    with open(pair[1], "w", encoding="ascii") as key:
        key.write("no key\n")
    broker.process.send_signal(signal.SIGHUP)
    until(lambda: "http: certificate" in broker.err(), "it is refused")
    again = connect()
    equal(shown(again), shown(after), "and the one that was goes on")
    for line in (before, stream, after, again):
        line.close()
    authority.make("server")


def test_https_serves_the_same():
    with tempfile.TemporaryDirectory(prefix="herald-") as folder:
        authority = Authority(folder)
        pair = authority.make("server")
        with server('certificate = "%s"  key = "%s"' % pair, users=("alice",)) as broker:
            made = token(broker, "alice")["token"]
            for method, body, status in (("PUT", "one", 201), ("GET", None, 200)):
                line = http.client.HTTPSConnection("localhost", broker.ports["web"], timeout=PATIENCE_S, context=authority.client())
                line.request(method, "/v1/events/x-state/alice", body, {"Authorization": "Bearer " + made, "Content-Type": "text/plain"})
                response = line.getresponse()
                equal((response.status, response.read() if method == "GET" else b""), (status, b"one" if method == "GET" else b""))
                line.close()
            check(b"200" not in raw(broker.ports["web"], b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")[:20], "nothing in the clear")
            check_reload(broker, authority, pair, made)
        other = Broker(conf=SECTION % ('certificate = "%s"  key = "%s"' % (pair[0], authority.key)), ports=("web",), start=False)
        other.port, other.ports = free_port(), {"web": free_port()}
        other.write(other.text())
        run = subprocess.run([HERALDD, "-c", other.conf_path, "--run-dir", other.run_dir], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        check(run.returncode == 1 and "certificate" in run.stderr, run.stderr)
        other.folder.cleanup()


if __name__ == "__main__":
    run_tests(globals())
