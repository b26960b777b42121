#!/usr/bin/env python3
"""The calls behind the console: who may look on without a token and what he is shown, lists that are searched and read piece by piece, and how
long things took."""
import json
import re
import urllib.parse

from broker import Broker, check, equal, run_tests, until
from rest import SECTION, Web
from sip import PIDF, Agent, pidf

CONF = 'package "x-state" {{ types = "text/plain"  authorisation = allow  min_expires = 1  pace = 0s }}\n'


def server(section='look = {{ "127.0.0.1" }}', conf="", **more):
    return Broker(conf=CONF + conf + SECTION % section, ports=("web",), **more)


def test_who_may_look_and_who_may_not():
    with server(users=("alice", "bob")) as broker:
        phone, target = Agent(broker, "bob"), "/v1/events/x-state/alice"
        watch = phone.subscribe("sip:alice@127.0.0.1", package="x-state")
        Web(broker, "alice").put(target, "secret-of-alice", "text/plain", expect=201)
        until(lambda: watch.notification().body == b"secret-of-alice", "he is told")
        web = Web(broker)
        equal(len(web.get("/v1/admin/subs").json()["subs"]), 1)
        seen = web.get("/v1/admin/trace?about=alice").body
        check(b"NOTIFY" in seen and b"secret-of-alice" not in seen and b'"body_octets":15' in seen, seen)
        for headers in ({"X-Forwarded-For": "192.0.2.1"}, {"Forwarded": "for=192.0.2.1"}, {"Host": "evil.test"}, {"Host": "127.0.0.1.evil.test"},
                        {"Authorization": "Bearer hrld_no"}, {"Host": "evil.test:80"}):
            web.ask("GET", "/v1/admin/subs", headers=headers, expect=401)
        for call in ("user-list", "token-list", "webhook-list", "webhook-dead"):
            web.get("/v1/admin/" + call, expect=403)
        web.ask("POST", "/v1/admin/subs", "{}", {"Content-Type": "application/json"}, expect=401)
        web.ask("POST", "/v1/admin/policy-block", '{"resource":"alice","watcher":"bob"}', {"Content-Type": "application/json"}, expect=401)
        looker = Web(broker, token=broker.admin("token-add", user="bob", scopes=["look"])["token"])
        equal(looker.get("/v1/admin/status?brief=true").json().get("words"), None)
        looker.get("/v1/admin/user-list", expect=403)
        looker.get("/metrics", expect=403)
        looker.ask("POST", "/v1/admin/subs", "{}", {"Content-Type": "application/json"}, expect=403)
        check(b"secret-of-alice" not in looker.get("/v1/admin/trace?about=alice").body, "a looker sees heads alone")
        admin = Web(broker, token=broker.admin("token-add", user="bob", scopes=["admin"])["token"])
        check(b"secret-of-alice" in admin.get("/v1/admin/trace?about=alice").body, "the administrator sees bodies")
        check(b"secret-of-alice" in broker.tool("trace", "alice", "--full", "--socket", broker.socket_path).encode(), "so does the tool")


def test_what_a_filter_compared_is_not_shown_to_who_looks():
    conf = 'package "x-json" {{ types = "application/json"  authorisation = allow  min_expires = 1  pace = 0s }}\n'
    with server(users=("alice", "bob"), conf=conf) as broker:
        stream = Web(broker, "bob").stream("/v1/events/x-json/alice?when=hr%20above%20140%20clear%20120")
        Web(broker, "alice").put("/v1/events/x-json/alice", '{"hr": 77}', "application/json", expect=201)
        admin = Web(broker, token=broker.admin("token-add", user="bob", scopes=["admin"])["token"])
        for call in ("explain?watcher=bob&resource=alice", "trace?about=alice"):
            until(lambda: b"hr is 77" in admin.get("/v1/admin/" + call).body, "the administrator is told the values")
            said = Web(broker).get("/v1/admin/" + call).body
            check(b"filter does not fire" in said and b"hr is" not in said and b"140" not in re.sub(rb'"(at_us|detail|flow|next)":[^,}]*', b"", said), said)
        stream.close()


def test_listings_are_read_piece_by_piece_and_searched():
    with server(shards=3, users=("alice",), lab=True) as broker:
        phones = [Agent(broker, f"user{n}", lab=True) for n in range(40)]
        for phone in phones:
            phone.subscribe("sip:alice@127.0.0.1")
        Agent(broker, "alice").publish("sip:alice@127.0.0.1", "presence", PIDF, pidf("sip:alice@127.0.0.1"))
        for how in (broker.admin, lambda call, **keys: Web(broker).get("/v1/admin/" + call + "?" + urllib.parse.urlencode(
                {k: ",".join(map(str, v)) if isinstance(v, list) else str(v).lower() for k, v in keys.items()})).json()):
            found, place, pieces = [], [], 0
            while place is not None:
                piece = how("subs", limit=7, **{"from": place})
                check(len(piece["subs"]) <= 9, "a piece is small")
                found, place, pieces = found + [s["id"] for s in piece["subs"]], piece.get("next"), pieces + 1
            equal(sorted(found), sorted(s["id"] for s in broker.subs()))
            check(pieces >= 4, pieces)
            equal([s["watcher"] for s in how("subs", find="USER17@")["subs"]], ["sip:user17@127.0.0.1"])
            equal(len(how("subs", find="user1", package="presence")["subs"]), 11)
            equal(how("subs", find="user1", package="nothing")["subs"], [])
            equal([s["id"] for s in how("subs", sub=found[3])["subs"]], [found[3]])
            equal(len(how("pubs", find="alice")["pubs"]), 1)
            row, = how("resources", find="ALICE")["resources"]
            equal((row["resource"], row["subscriptions"], row["publications"], row["package"]), ("sip:alice@127.0.0.1", 40, 1, "presence"))
        check(re.search(r"sip:alice@127\.0\.0\.1 +presence +40 +1 +application/pidf\+xml", broker.tool("resources", "--socket", broker.socket_path)), "the tool")
        check("none" in broker.tool("resources", "--find", "nobody", "--socket", broker.socket_path), "nothing is found")
        equal(len(json.loads(broker.tool("resources", "--json", "--limit", "1", "--socket", broker.socket_path))["resources"]), 1)
        for keys in ({"from": [1]}, {"from": ["x", 1, 2]}, {"from": [-1, 0, 0]}, {"limit": 1001, "from": []}, {"find": "x" * 129}, {"sub": "xyz"},
                     {"from": [2**32, 0, 0]}, {"from": [2**32 - 1] * 3}):
            check("error" in broker.call("subs", **keys), keys)
        equal(broker.admin("subs", **{"from": [2**32 - 2, 0, 2**32 - 1]})["truncated"], False)


def test_a_repeated_notify_is_no_latency_of_what_was_published_meanwhile():
    with server(users=("alice", "bob")) as broker:
        bob, alice = Agent(broker, "bob"), Agent(broker, "alice")
        watch = bob.subscribe("sip:alice@127.0.0.1")
        watch.notification()
        bob.answer = lambda message: None
        tag = alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor, "open")).get("sip-etag")
        watch.notification()
        alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor, "closed"), tag)
        until(lambda: bob.take(0.1) and bob.duplicates >= 2, "it is sent again")
        until(lambda: bob.take(0.1) and "bob@127.0.0.1" in broker.tool("sick", "--socket", broker.socket_path), "he is sick")
        bob.answer = lambda message: 200
        watch.notification()
        said = broker.admin("latency", last_s=300)
        equal((said["notify"]["n"], said["held"]["n"]), (1, 1))


def test_latency_is_what_the_recorder_saw():
    with server(shards=2, users=("alice", "bob")) as broker:
        bob, alice = Agent(broker, "bob", kind="tcp"), Agent(broker, "alice", kind="tcp")  # where nothing is repeated
        watch = bob.subscribe("sip:alice@127.0.0.1")
        watch.notification()
        equal(broker.admin("latency")["notify"], {"n": 0}, "a NOTIFY that is owed to a SUBSCRIBE is none of a PUBLISH")
        tag = None
        for n in range(5):
            tag = alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor, "open" if n % 2 else "closed"), tag).get("sip-etag")
            watch.notification()
            until(lambda n=n: broker.counters()["notifies_answered"] == n + 2, "his answer is there before the next is published")
        until(lambda: broker.admin("latency", last_s=300)["answer"]["n"] == 6, "answers were seen")
        said = broker.admin("latency", last_s=300)
        equal((said["notify"]["n"], said["request"]["n"], said["held"]["n"]), (5, 6, 0))
        check(re.search(r"a PUBLISH until its NOTIFYs leave( +\d+){4} +5\n", broker.tool("latency", "--last", "300", "--socket", broker.socket_path)), "the tool")
        broker.tool("latency", "x", "--socket", broker.socket_path, expect=2)
        for figures in (said["notify"], said["request"], said["answer"]):
            check(0 <= figures["p50_us"] <= figures["p90_us"] <= figures["p99_us"] <= figures["most_us"] < 300e6, figures)
        watch.send(0)
        watch.notification()
        alice.publish(alice.aor, "presence", "", "", tag, expires=0)
        equal(broker.admin("latency", last_s=300)["notify"]["n"], 0, "what is over is not looked at")
        check("error" in broker.call("latency", last_s=0) and "error" in broker.call("latency", last_s=3601), "spans have bounds")


if __name__ == "__main__":
    run_tests(globals())
