#!/usr/bin/env python3
"""Webhooks: what receivers are posted, that it comes at least once and in order, over a kill too, and what receivers that fail cost."""
import base64
import contextlib
import hashlib
import hmac
import json
import os
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess

from broker import HERALDD, Broker, check, equal, run_tests, until
from rest import SECTION, Receiver, Web, signature

STATE = 'package "x-state" {{ types = "text/plain"  authorisation = allow  min_expires = 1  pace = 0s }}\n'
JSON = 'package "x-json" {{ types = "application/json"  authorisation = allow  min_expires = 1  pace = 0s }}\n'
EVENTS = 'package "x-event" {{ types = "text/plain"  authorisation = allow  min_expires = 1  pace = 0s  delivery = every }}\n'


def server(section="", conf="", **more):
    return Broker(conf=STATE + conf + SECTION % section, ports=("web",), **more)


def kill(broker):
    broker.process.kill()
    broker.process.wait()
    broker.start()


def hook(broker, receiver, package="x-state", **more):
    return broker.admin("webhook-add", resource="alice", package=package, url=receiver.url, **more)


def once(receiver):
    """What it was told, as one who remembers ids hears it."""
    events = {}
    for _, event, _ in receiver.got:
        events.setdefault(event["id"], event.get("data"))
    return list(events.values())


def row_of(broker):
    return broker.admin("webhook-list")["webhooks"][0]


HOOKS = 'webhook_reach = {{ "127.0.0.1" }}  webhook_retry = "100ms"'
FEW = HOOKS + "  webhook_attempts = 3"


def test_a_webhook_is_told_signed_and_again_until_it_takes_it():
    with server(FEW, users=("alice",)) as broker:
        receiver = Receiver([500, 503, 204])
        web, target = Web(broker, "alice"), "/v1/events/x-state/alice"
        made = broker.admin("webhook-add", resource="alice", package="x-state", url=receiver.url, secret="0123456789abcdef")
        web.put(target, "one", "text/plain")
        until(lambda: len(receiver.got) == 3, "the third is taken")
        (first, event, body), (second, _, _), (third, again, _) = receiver.got
        equal((event["data"], event["source"], event["subject"]), ("one", "sip:alice@127.0.0.1", "x-state"))
        equal((event["id"], first["webhook-id"]), (again["id"], third["webhook-id"]), "the same event")
        equal(first["webhook-signature"], signature("0123456789abcdef", first, body))
        check(first["Content-Type"].startswith("application/cloudevents+json"), first)
        web.put(target, "two", "text/plain")
        until(lambda: receiver.data()[-1] == "two", "the next state")
        said = broker.tool("webhook", "list", "--socket", broker.socket_path)
        check(made["id"] in str(said) and receiver.url in str(said), said)
        row = broker.admin("webhook-list")["webhooks"][0]
        check(row["state"] == "active" and row["failed"] == 2 and row["user"] == "alice", row)
        check("secret" not in row, row)
        broker.process.kill()
        broker.process.wait()
        broker.start()
        web = Web(broker, "alice")
        web.put(target, "three", "text/plain")
        until(lambda: receiver.data()[-1] == "three", "it is kept over a restart")
        broker.tool("webhook", "remove", made["id"], "--socket", broker.socket_path)
        equal(broker.admin("webhook-list")["webhooks"], [])
        until(lambda: not broker.subs(), "and its subscription goes with it")
        check(second["webhook-id"] == first["webhook-id"], second)
        receiver.close()


def test_what_nobody_takes_is_kept_among_the_dead_and_sent_again():
    with server(FEW, users=("alice", "bob")) as broker:
        receiver = Receiver([302, 404, 500, 204])
        web, target = Web(broker, "alice"), "/v1/events/x-state/alice"
        broker.admin("webhook-add", resource="alice", package="x-state", url=receiver.url)
        web.put(target, "one", "text/plain")
        dead = until(lambda: broker.admin("webhook-dead")["dead"], "it is given up")
        equal((dead[0]["attempts"], dead[0]["why"], len(receiver.got)), (3, "answered 500", 3), "and no redirect was followed")
        broker.tool("webhook", "redeliver", dead[0]["event"], "--socket", broker.socket_path)
        until(lambda: len(receiver.got) == 4, "it is sent again")
        equal(receiver.got[3][1]["id"], dead[0]["event"])
        until(lambda: not broker.admin("webhook-dead")["dead"], "and is dead no more")
        receiver.close()


def test_a_webhook_reaches_no_inside_and_sees_what_its_user_sees():
    with server('webhook_retry = "100ms"  webhook_attempts = 2', users=("alice", "bob")) as broker:
        receiver = Receiver()
        web, target = Web(broker, "alice"), "/v1/events/x-state/alice"
        broker.admin("webhook-add", resource="alice", package="x-state", url=receiver.url)
        broker.admin("webhook-add", resource="alice", package="x-state", url=receiver.url.replace("127.0.0.1", "localhost"))
        broker.admin("policy-block", resource="alice", watcher="bob")
        broker.admin("webhook-add", resource="alice", package="x-state", url=receiver.url, user="bob")
        web.put(target, "one", "text/plain")
        dead = until(lambda: len(broker.admin("webhook-dead")["dead"]) == 2 and broker.admin("webhook-dead")["dead"], "both are given up")
        check(all("may not be reached" in row["why"] for row in dead), dead)
        states = {row["user"]: row["state"] for row in broker.admin("webhook-list")["webhooks"]}
        check(states["bob"].startswith("refused: 403"), states)
        equal(receiver.got, [])
        for wrong in ({"url": "ftp://a.test/"}, {"secret": "short"}, {"when": "nonsense"}, {"package": "x-none"}, {"user": "nobody"}):
            keys = {"resource": "alice", "package": "x-state", "url": "https://a.test/", **wrong}
            check("error" in broker.call("webhook-add", **keys), wrong)
        receiver.close()


def test_an_endpoint_that_does_not_answer_holds_up_nobody():
    with server(FEW + '  webhook_timeout = "500ms"', users=("alice",)) as broker:
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen(8)
            receiver = Receiver()
            web, target = Web(broker, "alice"), "/v1/events/x-state/alice"
            url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
            broker.admin("webhook-add", resource="alice", package="x-state", url=url)
            broker.admin("webhook-add", resource="alice", package="x-state", url=receiver.url)
            for n in range(20):
                web.put(target, f"{n}", "text/plain")
            until(lambda: receiver.data() and receiver.data()[-1] == "19", "the other one hears the newest")
            rows = {row["url"]: row for row in broker.admin("webhook-list")["webhooks"]}
            check(rows[url]["waiting"] <= 2, rows[url])
            receiver.close()


def test_what_waits_survives_a_kill_under_the_same_id_and_in_order():
    with server(HOOKS + '  webhook_attempts = 1000', conf=EVENTS, users=("alice",)) as broker:
        receiver = Receiver([503])
        web, target = Web(broker, "alice"), "/v1/events/x-event/alice"
        hook(broker, receiver, package="x-event")
        until(lambda: row_of(broker)["state"] == "active", "it is subscribed")
        for n in range(5):
            web.put(target, f"{n}", "text/plain")
        until(lambda: row_of(broker)["waiting"] == 5 and receiver.got, "all of them wait")
        first = receiver.got[0][1]["id"]
        kill(broker)
        receiver.answers = [204]
        until(lambda: once(receiver) == ["0", "1", "2", "3", "4"], "and come after the kill")
        equal({event["id"] for _, event, _ in receiver.got if event["data"] == "0"}, {first}, "under the id that was tried before")
        until(lambda: row_of(broker)["waiting"] == 0, "nothing waits")
        kill(broker)
        Web(broker, "alice").put(target, "5", "text/plain")
        until(lambda: receiver.data()[-1] == "5", "the next one")
        equal(once(receiver), ["0", "1", "2", "3", "4", "5"], "what was taken comes no more, but for what a kill undid")
        receiver.close()


def test_a_restart_tells_no_state_twice_and_misses_none():
    with server(HOOKS, users=("alice",)) as broker:
        receiver = Receiver()
        web, target = Web(broker, "alice"), "/v1/events/x-state/alice"
        hook(broker, receiver)
        web.put(target, "one", "text/plain")
        until(lambda: receiver.data() == ["one"], "it is told")
        until(lambda: row_of(broker)["waiting"] == 0, "and over")
        kill(broker)
        until(lambda: row_of(broker)["state"] == "active", "it is subscribed again")
        Web(broker, "alice").put(target, "two", "text/plain")
        until(lambda: receiver.data()[-1] == "two", "the next state")
        equal(once(receiver), ["one", "two"])
        receiver.close()


def test_an_alarm_that_lasts_over_a_restart_is_told_once():
    with server(HOOKS, conf=JSON, users=("alice",)) as broker:
        receiver = Receiver()
        web, target = Web(broker, "alice"), "/v1/events/x-json/alice"
        hook(broker, receiver, package="x-json", when="stock below 20 clear 40")
        until(lambda: row_of(broker)["state"] == "active", "it is subscribed")
        for stock in (50, 10):
            web.put(target, json.dumps({"stock": stock}), "application/json")
        until(lambda: receiver.data() == [{"stock": 10}], "the alarm")
        until(lambda: row_of(broker)["waiting"] == 0, "it is taken")
        kill(broker)
        until(lambda: row_of(broker)["state"] == "active", "it is subscribed again")
        web = Web(broker, "alice")
        for stock in (60, 5):
            web.put(target, json.dumps({"stock": stock}), "application/json")
        until(lambda: receiver.data()[-1] == {"stock": 5}, "the next one")
        equal(once(receiver), [{"stock": 10}, {"stock": 5}])
        receiver.close()


def test_the_dead_survive_a_restart_and_are_listed_sent_again_or_dropped():
    with server(HOOKS + '  webhook_attempts = 1', conf=EVENTS, users=("alice",)) as broker:
        receiver = Receiver([500])
        web, target = Web(broker, "alice"), "/v1/events/x-event/alice"
        made = hook(broker, receiver, package="x-event")
        until(lambda: row_of(broker)["state"] == "active", "it is subscribed")
        for n in range(3):
            web.put(target, f"{n}", "text/plain")
        until(lambda: len(broker.admin("webhook-dead")["dead"]) == 3, "all are given up")
        before = broker.admin("webhook-dead")["dead"]
        kill(broker)
        equal(broker.admin("webhook-dead")["dead"], before, "as they were")
        equal(row_of(broker)["dead"], 3)
        receiver.got.clear()
        receiver.answers = [204]
        broker.tool("webhook", "drop", before[1]["event"], "--socket", broker.socket_path)
        said = broker.tool("webhook", "redeliver", made["id"], "--socket", broker.socket_path)
        check("2" in str(said), said)
        until(lambda: receiver.data() == ["0", "2"], "the other two, in order")
        equal([event["id"] for _, event, _ in receiver.got], [before[0]["event"], before[2]["event"]])
        until(lambda: row_of(broker)["waiting"] == 0, "and taken")
        kill(broker)
        equal(broker.admin("webhook-dead")["dead"], [])
        figures = broker.tool("status", "--metrics", "--socket", broker.socket_path)
        check("herald_http_hooks_dropped_total" in str(figures) and "herald_http_hooks_waiting" in str(figures), figures)
        receiver.close()


def test_a_backup_has_what_waits():
    with server(HOOKS + '  webhook_attempts = 1000', conf=EVENTS, users=("alice",)) as broker:
        receiver = Receiver([503])
        web, target = Web(broker, "alice"), "/v1/events/x-event/alice"
        hook(broker, receiver, package="x-event")
        until(lambda: row_of(broker)["state"] == "active", "it is subscribed")
        for n in range(3):
            web.put(target, f"{n}", "text/plain")
        until(lambda: row_of(broker)["waiting"] == 3 and receiver.got, "all of them wait")
        first = receiver.got[0][1]["id"]
        folder = os.path.join(broker.folder.name, "copy")
        broker.tool("backup", folder, "--socket", broker.socket_path)
        equal(sorted(os.listdir(folder)), ["audit.db", "herald.db", "live-0.log", "webhooks.db"], "files of the copy")
        equal(stat.S_IMODE(os.stat(folder + "/webhooks.db").st_mode), 0o600, "for its owner alone")
        web.put(target, "later", "text/plain")
        until(lambda: row_of(broker)["waiting"] == 4, "what comes after the copy")
        broker.stop(hurry=True)
        os.rename(broker.run_dir, broker.run_dir + ".before")
        shutil.copytree(folder, broker.run_dir)
        broker.users = ()
        receiver.got.clear()
        receiver.answers = [204]
        broker.start()
        until(lambda: once(receiver) == ["0", "1", "2"], "what waited, and not what came after the copy")
        equal(receiver.got[0][1]["id"], first, "under the id that was tried before")
        until(lambda: row_of(broker)["waiting"] == 0, "nothing waits")
        receiver.close()


def begin_long_backup(broker, folder):
    """Begins one that copies what waits for webhooks for a while; the tool that waits for it."""
    broker.stop(hurry=True)
    with contextlib.closing(sqlite3.connect(os.path.join(broker.run_dir, "webhooks.db"), isolation_level=None)) as file:
        file.execute("PRAGMA journal_mode = OFF")
        file.execute("INSERT INTO outbox VALUES('gone', 1, zeroblob(40000000))")
        file.execute("DELETE FROM outbox")  # the file stays as large
    broker.users = ()
    broker.start()
    tool = broker.tool_start("backup", folder, "--socket", broker.socket_path)
    until(lambda: os.path.exists(os.path.join(folder, "webhooks.db")), "the last file but one", pause_s=0.001)
    return tool


def test_a_backup_at_the_end_is_broken_off_and_says_so():
    with server(HOOKS, users=("alice",)) as broker:
        folder = os.path.join(broker.folder.name, "copy")
        tool = begin_long_backup(broker, folder)
        broker.process.send_signal(signal.SIGTERM)  # the second of two does not wait
        broker.stop()
        tool.says("the daemon is about to end")
        check(not os.path.exists(folder), "nothing of it is left")


def test_one_backup_is_made_at_a_time_to_its_end():
    with server(HOOKS, users=("alice",)) as broker:
        folder, other = (os.path.join(broker.folder.name, name) for name in ("copy", "other"))
        tool = begin_long_backup(broker, folder)
        equal(broker.call("backup", folder=other).get("error"), "another backup is being made")
        check(not os.path.exists(other), "nothing is made of the other")
        tool.end(number=None)
        broker.admin("backup", folder=other)
        equal(sorted(os.listdir(other)), sorted(os.listdir(folder)), "there is nothing in the way any more")


def test_a_webhook_that_is_removed_takes_all_of_it_along():
    with server(FEW, conf=EVENTS, users=("alice",)) as broker:
        receiver = Receiver([500])
        made = hook(broker, receiver, package="x-event")
        until(lambda: row_of(broker)["state"] == "active", "it is subscribed")
        Web(broker, "alice").put("/v1/events/x-event/alice", "one", "text/plain")
        until(lambda: broker.admin("webhook-dead")["dead"], "it is given up")
        broker.admin("webhook-remove", name=made["id"])
        until(lambda: not broker.admin("webhook-dead")["dead"], "nobody has it any more")
        broker.stop()
        with sqlite3.connect(os.path.join(broker.run_dir, "webhooks.db")) as file:
            equal(file.execute("SELECT count(*) FROM outbox").fetchone()[0], 0, "nor has the disk")
        check(os.stat(os.path.join(broker.run_dir, "webhooks.db")).st_mode & 0o077 == 0, "others cannot read it")
        receiver.close()


def test_damaged_records_are_left_out_and_a_damaged_file_ends_the_start():
    with server(HOOKS + '  webhook_attempts = 1000', conf=EVENTS, users=("alice",)) as broker:
        receiver = Receiver([503])
        web = Web(broker, "alice")
        made = hook(broker, receiver, package="x-event")
        until(lambda: row_of(broker)["state"] == "active", "it is subscribed")
        for n in range(3):
            web.put("/v1/events/x-event/alice", f"{n}", "text/plain")
        until(lambda: row_of(broker)["waiting"] == 3, "all of them wait")
        broker.stop()
        path = os.path.join(broker.run_dir, "webhooks.db")
        with sqlite3.connect(path) as file:
            file.execute("UPDATE outbox SET record = substr(record, 1, 20) WHERE n = 2")
            file.execute("INSERT INTO outbox(name, n, record) VALUES('00000000', 1, 'x')")
        file.close()
        receiver.answers = [204]
        broker.start()
        until(lambda: receiver.data()[-1] == "2", "the others come")
        check("1" not in [event["data"] for _, event, _ in receiver.got if event["id"].endswith("-2")], receiver.data())
        check("damaged" in broker.err(), broker.err())
        until(lambda: row_of(broker)["waiting"] == 0, "nothing waits")
        check(made["id"], made)
        broker.stop()
        with open(path, "r+b") as file:
            file.write(b"this is no database" * 100)
        run = subprocess.run([HERALDD, "-c", broker.conf_path, "--run-dir", broker.run_dir], capture_output=True, text=True, timeout=90, check=False)
        check(run.returncode == 1 and "webhooks.db" in run.stderr, run.returncode, run.stderr)
        os.unlink(path)
        broker.start()
        receiver.close()


def test_binary_mode_carries_the_document_as_it_is():
    with server(HOOKS, conf=JSON, users=("alice",)) as broker:
        receiver = Receiver([500, 204])
        web = Web(broker, "alice")
        document = '{ "stock":  10.0 }'
        made = hook(broker, receiver, package="x-json", mode="binary", secret="0123456789abcdef")
        equal(row_of(broker)["mode"], "binary")
        web.put("/v1/events/x-json/alice", document, "application/json")
        until(lambda: len(receiver.got) == 2, "the second is taken")
        for headers, _, body in receiver.got:
            equal(body, document.encode(), "to the octet")
            equal((headers["Content-Type"], headers["ce-specversion"], headers["ce-type"], headers["ce-source"], headers["ce-subject"]),
                  ("application/json", "1.0", "herald.state", "sip:alice@127.0.0.1", "x-json"))
            equal(headers["ce-id"], headers["webhook-id"])
            equal(headers["webhook-signature"], signature("0123456789abcdef", headers, body))
        equal(receiver.got[0][0]["ce-id"], receiver.got[1][0]["ce-id"])
        web.ask("DELETE", "/v1/events/x-json/alice", expect=204)
        until(lambda: len(receiver.got) == 3, "that there is nothing")
        headers, _, body = receiver.got[2]
        equal((headers["ce-type"], body, headers.get("Content-Type")), ("herald.nothing", b"", None))
        kill(broker)
        equal(row_of(broker)["mode"], "binary", "it is kept")
        check("error" in broker.call("webhook-add", resource="alice", package="x-json", url=receiver.url, mode="batch"), "another mode")
        broker.tool("webhook", "add", "alice", "-p", "x-json", "--url", receiver.url, "--mode", "binary", "--socket", broker.socket_path)
        equal([row["mode"] for row in broker.admin("webhook-list")["webhooks"]], ["binary", "binary"])
        check(made["id"], made)
        receiver.close()


def test_the_signature_of_the_documentation_is_right():
    """doc/http.md shows a request; whoever computes its signature from what stands there finds what stands there."""
    page = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "doc", "http.md")
    with open(page, encoding="utf-8") as file:
        example = file.read().split("secret `", 1)[1]
    secret = example.split("`", 1)[0]
    fields = dict(line.split(": ", 1) for line in example.splitlines() if line.startswith("webhook-"))
    body = example.split("\n\n{", 1)[1].split("\n```", 1)[0]
    signed = f'{fields["webhook-id"]}.{fields["webhook-timestamp"]}.{{{body}'
    made = base64.b64encode(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()).decode()
    equal(fields["webhook-signature"], "v1," + made)


def test_a_receiver_says_when_to_come_again():
    with server(HOOKS, users=("alice",)) as broker:
        receiver = Receiver([503, 204], retry_after=1)
        hook(broker, receiver)
        Web(broker, "alice").put("/v1/events/x-state/alice", "one", "text/plain")
        until(lambda: len(receiver.got) == 2, "it comes again")
        check(receiver.at[1] - receiver.at[0] >= 0.99, "not before the time that was named", receiver.at)
        receiver.close()


def test_many_receivers_that_do_not_answer_hold_up_none_that_does():
    with server(HOOKS + '  webhook_timeout = "60s"', users=("alice",)) as broker:
        broken, receiver = Receiver([500]), Receiver()
        web, target = Web(broker, "alice"), "/v1/events/x-state/alice"
        for _ in range(20):
            hook(broker, broken)
        web.put(target, "0", "text/plain")
        until(lambda: all(row["failed"] for row in broker.admin("webhook-list")["webhooks"]), "all have failed")
        broken.answers = [None]
        hook(broker, receiver)
        for n in range(1, 5):
            web.put(target, f"{n}", "text/plain")
            until(lambda: receiver.data() and receiver.data()[-1] == f"{n}", "the one that answers is told at once", patience_s=50)
        broken.close()
        receiver.close()


def test_a_queue_is_bounded_in_events_and_octets():
    with server(HOOKS + '  webhook_attempts = 1000  requests_burst = 1000', conf=EVENTS + 'limits {{ max_body = 512KiB }}\n', users=("alice",)) as broker:
        receiver = Receiver([500])
        web, target = Web(broker, "alice"), "/v1/events/x-event/alice"
        hook(broker, receiver, package="x-event")
        until(lambda: row_of(broker)["state"] == "active", "it is subscribed")
        for n in range(5):
            web.put(target, f"{n}" * 300000, "text/plain")
        until(lambda: len(broker.admin("webhook-dead")["dead"]) >= 1, "more than a mebibyte does not wait")
        equal(broker.admin("webhook-dead")["dead"][0]["why"], "too many wait")
        for n in range(70):
            web.put(target, f"{n}", "text/plain")
        until(lambda: broker.admin("webhook-dead")["dead"][-1]["octets"] < 10, "nor do more than 64")
        check(row_of(broker)["waiting"] < 70, row_of(broker))
        receiver.close()


if __name__ == "__main__":
    run_tests(globals())
