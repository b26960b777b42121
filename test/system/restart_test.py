#!/usr/bin/env python3
"""The daemon is killed, stopped and started again: what it acknowledged is there, and nothing that was removed is.

KILLS in the environment is how often it is killed under load (50 when it is not said), SEED which run of chance that is."""
import ctypes
import os
import random
import signal
import subprocess
import time

from broker import PATIENCE_S, Broker, Failed, check, equal, run_tests, until
from restart_driver import CONF, World
from sip import MWI, PIDF, Agent, Message, Transport, pidf, token

KILLS = int(os.environ.get("KILLS", "50"))


def live_file(broker):
    return os.path.join(broker.run_dir, "live-0.log")


def restart(broker, number=signal.SIGKILL):
    """Ends the daemon and starts it again; for tests that have no World."""
    broker.process.send_signal(number)
    broker.process.wait(PATIENCE_S)
    start_again(broker)


def start_again(broker):
    broker.write(broker.text())
    broker.spawn()
    until(lambda: broker.process.poll() is not None or broker.answers(), "the daemon answers again")
    check(broker.process.poll() is None, "the daemon does not start\n" + broker.err()[-3000:])


def pumped(world):
    """Takes what comes in a moment, also when that is nothing."""
    world.pump(0.02)
    return True


def test_what_was_acknowledged_is_there_after_each_of_many_kills():
    seed = int(os.environ.get("SEED", str(random.randrange(1 << 30))))
    print(f"SEED={seed}", flush=True)
    random.seed(seed)
    with Broker(shards=2, lab=True, conf=CONF) as broker:
        world = World(broker)
        begun = time.monotonic()
        for _ in range(KILLS):
            world.load(random.choice((0.02, 0.1, 0.3, 0.6)) * random.random() + 0.01)
            world.kill()
            while random.random() < 0.1:
                world.kill_while_it_starts(0.3 * random.random())
            broker.shards = random.choice((1, 2, 3))
            world.start()
            world.check_all()
            if world.kills % 50 == 0:
                print(f"{world.kills} kills under load, {world.answered} requests, {time.monotonic() - begun:.0f} s", flush=True)
        print(f"{world.kills} kills under load and {world.starts_killed} at a start, {world.answered} requests, "
              f"{world.checked} acknowledgements compared, {world.notices} NOTIFYs", flush=True)
        world.close()


def test_a_clean_stop_loses_and_repeats_nothing_whatever_the_number_of_shards():
    with Broker(shards=1, lab=True, conf=CONF) as broker:
        world = World(broker)
        told = []
        for shards in (3, 2, 1, 2):
            world.load(0.4)
            world.settle()
            world.idle(0.3)
            world.on_notify = lambda watcher, message: told.append(message)
            world.stop()
            equal(told, [], "said at the end")
            broker.shards = shards
            world.start()
            world.idle(1.5)
            equal(told, [], "said by itself after a clean stop")
            world.on_notify = None
            last = {w: w.seen_cseq for w in world.watchers if w.alive}
            check(len(last) > 10, "there are subscriptions", len(last))
            for watcher in last:
                watcher.subscribe(600)
            world.settle()
            until(lambda: pumped(world) and all(w.seen_cseq > n for w, n in last.items()), "each is owed a NOTIFY", pause_s=0)
            world.idle(0.1)
            equal([w.seen_cseq - n for w, n in last.items() if w.seen_cseq - n != 1], [], "CSeq goes on exactly")
            world.check_all()
        world.close()


def test_after_a_kill_only_the_last_second_is_said_again():
    with Broker(shards=2, lab=True, conf=CONF) as broker:
        world = World(broker)
        world.load(0.5)
        world.settle()
        for publisher in world.publishers:
            if not publisher.doc:
                publisher.publish(doc=publisher.text())
        world.settle()
        world.idle(2.5)  # all is acknowledged, and longer ago than a second
        told = []
        world.on_notify = lambda watcher, message: told.append(watcher)
        world.kill()
        world.start()
        world.idle(2)
        equal(len(told), 0, "said again what had been acknowledged")
        fresh = next(w.resource for w in world.watchers if w.alive)
        concerned = {w for w in world.watchers if w.alive and w.resource is fresh}
        fresh.publish(doc="fresh", etag=fresh.etag)
        world.settle()
        until(lambda: pumped(world) and all(w.body == "fresh" for w in concerned), "the change is shown", pause_s=0)
        world.kill()
        told.clear()
        world.start()
        world.idle(2)
        check(set(told) <= concerned and len(told) <= len(concerned), "at most that change, once each", told)
        check(all(w.body == "fresh" for w in concerned), "and nothing older")
        world.close()


def test_a_change_that_was_not_acknowledged_is_said_after_a_kill():
    with Broker(lab=True, conf=CONF) as broker:
        watcher, publisher = Agent(broker, "w", lab=True), Agent(broker, "p", lab=True)
        watch = watcher.subscribe(publisher.aor, "x-state")
        watch.notification()
        time.sleep(1.3)  # that is written down
        watcher.answer = lambda message: None
        publisher.publish(publisher.aor, "x-state", "text/plain", "unheard")
        first = watch.notification()
        restart(broker)
        watcher.answer = lambda message: 200
        again = watch.notification()
        equal(again.body, b"unheard", "what had not been acknowledged")
        check(again.cseq > first.cseq, "CSeq leaps", first.cseq, again.cseq)
        watcher.quiet(1)


def test_a_change_that_nobody_was_shown_yet_is_said_after_a_kill():
    """The PUBLISH is answered; the NOTIFY is held back by the package's pace when the daemon dies."""
    conf = CONF.replace("compose = latest", "compose = latest  pace = 5s")
    with Broker(lab=True, conf=conf) as broker:
        watcher, publisher = Agent(broker, "w", lab=True), Agent(broker, "p", lab=True)
        watch = watcher.subscribe(publisher.aor, "x-state")
        watch.notification()
        etag = publisher.publish(publisher.aor, "x-state", "text/plain", "one").get("sip-etag")
        publisher.publish(publisher.aor, "x-state", "text/plain", "two", etag)
        restart(broker)
        until(lambda: watch.notification().body == b"two", "the newest is shown")


def test_who_expired_meanwhile_is_told_and_what_expired_is_gone():
    with Broker(lab=True, conf=CONF) as broker:
        watcher, publisher = Agent(broker, "w", lab=True), Agent(broker, "p", lab=True)
        publisher.publish(publisher.aor, "x-state", "text/plain", "short", expires=2)
        watch = watcher.subscribe(publisher.aor, "x-state", expires=2)
        watch.notification()
        broker.process.kill()
        broker.process.wait()
        time.sleep(2.5)
        start_again(broker)
        equal(broker.pubs(), [], "publications")
        state, params = watch.notification().substate()
        equal((state, params.get("reason")), ("terminated", "timeout"), "the last NOTIFY")
        until(lambda: not broker.subs(), "no subscription is left")
        watch.send(60, expect=481)


def test_digest_goes_on_over_a_kill():
    with Broker(shards=2, users=("alice", "bob")) as broker:
        alice, bob = Agent(broker, "alice"), Agent(broker, "bob")
        watch = bob.subscribe(alice.aor)
        watch.notification()
        published = alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor, "open", note="before"))
        watch.notification()
        last = {}
        for agent in (alice, bob):
            send = agent.line.send
            agent.line.send = lambda data, agent=agent, send=send: (last.__setitem__(agent, data), send(data))
        watch.send(500)
        watch.notification()
        modified = alice.publish(alice.aor, "presence", PIDF, pidf(alice.aor, "closed", note="after"), published.get("sip-etag"))
        publish, subscribe = last[alice], None
        watch.notification()
        restart(broker)
        again = alice.exchange(publish)
        equal((again.status, again.get("sip-etag")), (200, modified.get("sip-etag")), "a repetition is not challenged, and answered as before")
        bob.inbox.clear()
        watch.send(400)  # the nonce is of the former start: stale, then taken
        check(b"after" in watch.notification().body, "the state as it was")
        alice.publish(alice.aor, "presence", None, b"", modified.get("sip-etag"))
        alice.publish(alice.aor, "presence", None, b"", modified.get("sip-etag"), expect=412)


def test_a_subscription_over_tcp_waits_for_its_refresh():
    with Broker(lab=True, conf=CONF) as broker:
        watcher, publisher = Agent(broker, "w", kind="tcp", lab=True), Agent(broker, "p", lab=True)
        watch = watcher.subscribe(publisher.aor, "x-state")
        before = watch.notification()
        restart(broker)
        check(watcher.line.wait_closed(), "the connection is gone")
        publisher.publish(publisher.aor, "x-state", "text/plain", "meanwhile")
        watcher.line = Transport("tcp", ("127.0.0.1", broker.lab))
        watch.send(600)
        shown = watch.notification()
        equal(shown.body, b"meanwhile", "the newest state")
        check(shown.cseq > before.cseq, "CSeq grows")


def test_async_keeps_what_was_there_at_a_clean_end_and_soon_after_an_answer():
    with Broker(shards=2, lab=True, conf=CONF + "store {{ durability = async }}\n") as broker:
        world = World(broker)
        equal(broker.admin("status")["store"]["durability"], "async", "durability")
        for number in (signal.SIGTERM, signal.SIGKILL):
            world.load(0.4)
            world.settle()
            if number == signal.SIGTERM:
                world.stop()
            else:
                world.idle(0.5)  # soon is over
                world.kill()
            world.start()
            world.check_all()
        world.close()


def test_in_memory_nothing_is_kept_and_a_file_of_before_is_left_aside():
    with Broker(lab=True, conf=CONF) as broker:
        publisher = Agent(broker, "p", lab=True)
        publisher.publish(publisher.aor, "x-state", "text/plain", "kept")
        broker.extra += "store {{ durability = memory }}\n"
        restart(broker)
        equal(broker.pubs(), [], "publications")
        check("left aside" in broker.err(), broker.err())
        equal(broker.admin("status")["store"], {"durability": "memory"}, "status")
        Agent(broker, "p2", lab=True).publish("sip:p2@127.0.0.1", "x-state", "text/plain", "not kept")
        restart(broker)
        equal(broker.pubs(), [], "publications")


# --- a file that is not as it should be ----------------------------------------------------------


class LiveFile:
    """The live file of a daemon that was stopped, as long as it has one segment (store/segments.c, store/row.c)."""

    FIRST, HEAD, TABLES = 1024, 56, ("subscription", "publication", "registration", "seen")
    GOLDEN, MASK = 0x9e3779b97f4a7c15, (1 << 64) - 1

    def __init__(self, broker):
        self.path = live_file(broker)
        with open(self.path, "rb") as file:
            self.octets = bytearray(file.read())
        self.salt, self.number = self.word(16), self.word(24) * ((1 << 20) - self.FIRST) // 8

    def word(self, at):
        return int.from_bytes(self.octets[at:at + 8], "little")

    def put(self, at, word):
        self.octets[at:at + 8] = word.to_bytes(8, "little")

    def sum(self, at, n):
        sums, whole = [1, 2, 3, 4], n // 8
        words = [self.word(at + 8 * i) for i in range(whole)]
        rest = int.from_bytes(self.octets[at + 8 * whole:at + n], "little")

        def step(value, word):
            value = (value ^ word) * self.GOLDEN & self.MASK
            return (value >> 29 | value << 35) & self.MASK
        for i, word in enumerate(words):
            lane = i % 4 if i < whole // 4 * 4 else i - whole // 4 * 4
            sums[lane] = step(sums[lane], word)
        value = step(n, rest)
        for lane in sums:
            value = step(value, lane)
        return value

    def rows(self, table):
        """Where the rows of a table are in the file."""
        at = self.FIRST
        while at + self.HEAD <= len(self.octets):
            if self.word(at + 40) >> 60 == self.TABLES.index(table):
                yield at
            at += self.HEAD + (self.word(at + 48) + 7) // 8 * 8

    def seal(self, at):
        """Makes the check sum of a row's head right again."""
        a, b = self.sum(at + 8, self.HEAD - 8), self.salt
        x = ((a << 23 | a >> 41) + b) * self.GOLDEN & self.MASK
        x = (x ^ x >> 32) * self.GOLDEN & self.MASK
        self.put(at, (x ^ x >> 29) + self.number + (at - self.FIRST) // 8 & self.MASK)

    def save(self):
        with open(self.path, "r+b") as file:
            file.write(self.octets)


def test_a_damaged_record_is_put_aside_and_the_rest_serves():
    with Broker(lab=True, conf=CONF) as broker:
        agents = [Agent(broker, f"a{i}", lab=True) for i in range(6)]
        etags = [a.publish(a.aor, "x-state", "text/plain", f"state {i}").get("sip-etag") for i, a in enumerate(agents)]
        broker.stop()
        file = LiveFile(broker)
        file.octets[file.octets.index(b"state 2")] ^= 64
        file.save()
        start_again(broker)
        check("level=error msg=\"a damaged record was put aside\"" in broker.err() and "table=publication" in broker.err(), broker.err())
        with open(live_file(broker) + ".damaged", "rb") as aside:
            check(b"3tate 2" in aside.read(), "its octets are kept beside")
        equal(sorted(p["resource"] for p in broker.pubs()), [f"sip:a{i}@127.0.0.1" for i in range(6) if i != 2], "publications")
        for i, (agent, etag) in enumerate(zip(agents, etags)):
            agent.publish(agent.aor, "x-state", None, b"", etag, expect=412 if i == 2 else 200)
        restart(broker)
        equal(broker.err().count("a damaged record"), 1, "told once")


def test_a_file_that_lost_its_end_serves_what_is_left_and_keeps_again():
    with Broker(lab=True, conf=CONF) as broker:
        agents = [Agent(broker, f"a{i}", lab=True) for i in range(60)]
        etags = [a.publish(a.aor, "x-state", "text/plain", f"state {i} " + "x" * 3000).get("sip-etag") for i, a in enumerate(agents)]
        broker.stop()
        with open(live_file(broker), "rb") as file:
            used = len(file.read().rstrip(b"\0"))  # it is longer than what is in it
        os.truncate(live_file(broker), used * 3 // 4)
        start_again(broker)
        check("a damaged record was put aside" in broker.err(), broker.err())
        left = {p["resource"] for p in broker.pubs()}
        check(10 < len(left) < 60, "publications", len(left))
        for agent, etag in zip(agents, etags):
            agent.publish(agent.aor, "x-state", "text/plain", "more", etag, expect=200 if agent.aor in left else 412)
        restart(broker)
        equal({p["resource"] for p in broker.pubs()}, left, "publications")
        equal(broker.err().count("a damaged record"), 1, "told once")


def test_a_record_that_cannot_be_read_is_put_aside_too():
    """Its check sums are right, but what it says is not: what is there is no record of its kind."""
    with Broker(lab=True, conf=CONF) as broker:
        for name in ("a", "b"):
            agent = Agent(broker, name, lab=True)
            agent.publish(agent.aor, "x-state", "text/plain", "state")
        broker.stop()
        file = LiveFile(broker)
        at = list(file.rows("publication"))[-1]
        check(file.word(at + 8) == file.sum(at + file.HEAD, file.word(at + 48)), "the sum of a record is made as herald makes it")
        file.put(at + 40, file.word(at + 40) & (1 << 60) - 1 | 3 << 60)
        file.seal(at)
        file.save()
        start_again(broker)
        check("put aside" in broker.err() and "table=seen" in broker.err(), broker.err())
        equal(len(broker.pubs()), 1, "publications")


def test_damage_is_told_in_the_status():
    with Broker(lab=True, conf=CONF) as broker:
        agents = [Agent(broker, f"w{i}", lab=True) for i in range(12)]
        for agent in agents:
            agent.publish(agent.aor, "x-state", "text/plain", "kept")
        broker.stop(signal.SIGKILL, expect=-signal.SIGKILL)
        file = LiveFile(broker)
        file.octets[file.octets.index(b"kept")] ^= 64
        file.save()
        start_again(broker)
        equal((broker.admin("status")["store"]["lost"], len(broker.pubs())), (1, len(agents) - 1), "places lost, publications that are left")
        agents[0].publish(agents[0].aor, "x-state", "text/plain", "goes on")


def test_a_newer_format_a_foreign_file_and_a_file_that_is_none_are_refused():
    with Broker(lab=True, conf=CONF) as broker:
        broker.stop()
        newer = LiveFile(broker)
        newer.put(8, 77)
        newer.put(56, newer.sum(0, 56))
        for octets, words in ((newer.octets, "written by a newer herald (format 77"), (b"SQLite format 3\0" + bytes(4080), "no live file of herald"),
                              (b"a letter " * 1000, "no live file of herald")):
            with open(live_file(broker), "rb") as file:
                good = file.read()
            with open(live_file(broker), "wb") as file:
                file.write(octets)
            broker.spawn()
            check(broker.process.wait(PATIENCE_S) != 0, "it does not start")
            broker.process = None
            check("live-0.log: " + words in broker.err(), words, broker.err())
            with open(live_file(broker), "rb") as file:
                equal(file.read(), bytes(octets), "the file is left as it is")
            with open(live_file(broker), "wb") as file:
                file.write(good)
        start_again(broker)


# --- a disk that is full -------------------------------------------------------------------------


def own_mounts():
    """A place for mounts of our own; False where we may not."""
    libc = ctypes.CDLL(None, use_errno=True)
    return os.geteuid() == 0 and libc.unshare(0x00020000) == 0 and \
        subprocess.run(["mount", "--make-rprivate", "/"], check=False, stderr=subprocess.DEVNULL).returncode == 0


def fill(path):
    """Takes what is left of a disk."""
    try:
        with open(path, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    except OSError:
        pass


def test_a_full_disk_refuses_what_cannot_be_kept_and_goes_on_by_itself():
    if not own_mounts():
        print("skipped: no mounts without root", flush=True)
        return
    with Broker(lab=True, conf=CONF + 'limits {{ failures_burst = 0 }}\n' if "limits" not in CONF else CONF.replace(
            "limits {{ ", "limits {{ failures_burst = 0  "), start=False) as broker:
        os.mkdir(broker.run_dir, 0o700)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", broker.run_dir], check=True)
        try:
            broker.start()
            watcher = Agent(broker, "w", lab=True)
            watch = watcher.subscribe("sip:a0@127.0.0.1", "x-state")
            watch.notification()
            kept, n, refused = [], 0, None
            while not refused:
                agent = Agent(broker, f"a{n}", lab=True)
                agent.call_id = token(16)
                response = agent.ask("PUBLISH", agent.aor, [("Event", "x-state"), ("Expires", "600"), ("Content-Type", "text/plain")],
                                     f"{n} " + "x" * 30000)
                n += 1
                check(n < 500, "the disk is never full")
                if response.status == 200:
                    kept.append((agent, response.get("sip-etag")))
                else:
                    refused = response
            equal(refused.status, 503, refused)
            check(int(refused.get("retry-after").split()[0]) > 0, "Retry-After", refused)
            store = broker.admin("status")["store"]
            equal((store["healthy"], store["problem"]), (False, "database or disk is full"), "status")
            # What is held is served: it is shown to who fetches, and its NOTIFYs go on.
            fetch = watcher.subscribe("sip:a0@127.0.0.1", "x-state", expires=0)
            check(fetch.notification().body.startswith(b"0 x"), "a fetch")
            # What is small may still find room in what the store has taken before; then there is none.
            fill(os.path.join(broker.run_dir, "filler"))
            other = Agent(broker, "o", lab=True)
            for _ in range(500):
                refused = other.ask("SUBSCRIBE", "sip:a1@127.0.0.1", [("Event", "x-state"), ("Expires", "600")], call_id=token(16))
                if refused.status != 200:
                    break
            equal(refused.status, 503, "a subscription that cannot be kept")
            check(not broker.admin("status")["store"]["healthy"], "what small things found room does not make it well")
            subprocess.run(["mount", "-o", "remount,size=64m", broker.run_dir], check=True)
            watch.send(600)
            until(lambda: broker.admin("status")["store"]["healthy"], "the status says that all is well", pause_s=0.1)
            equal(broker.admin("status")["store"]["problem"], "", "problem")
            check("cannot keep" in broker.err() and "keeps again" in broker.err(), broker.err())
            restart(broker)
            equal(len(broker.pubs()), len(kept), "publications")
            for agent, etag in kept:
                agent.publish(agent.aor, "x-state", None, b"", etag)
            broker.stop()
        finally:
            if broker.process:
                broker.stop(signal.SIGKILL, expect=-signal.SIGKILL)
            subprocess.run(["umount", "-l", broker.run_dir], check=False)


if __name__ == "__main__":
    run_tests(globals())
