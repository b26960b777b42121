#!/usr/bin/env python3
"""Every rule with every package, by scenarios that this program writes and the laboratory plays (doc/scenarios.md).

    rights_test.py SCENARIO_RUNNER

The first part plays each (action, kind of package, number of shards): a subscription, its refresh, a fetch, a change of the rule to each
other action while he watches, and one back.  What must come is in EXPECTED, which is the issue's words and nothing that the code says.
The second part plays the same watcher twice: politely blocked from a resource whose state lives, and allowed to see an idle one; all that
he gets is compared octet by octet, but for what is random in both (RFC 3856 section 6.6.2, RFC 5025 section 3.2.1)."""
import re
import subprocess
import sys
import tempfile

RUNNER = sys.argv[1]

PIDF = ('<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:bob@example.test"><tuple id="t"><status><basic>open</basic></status>'
        '<note>SECRET</note></tuple></presence>')
DIALOG = ('<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="0" state="full" entity="sip:bob@example.test">'
          '<dialog id="MARK"><state>confirmed</state><remote><identity>sip:SECRET@x.test</identity></remote></dialog></dialog-info>')


def published(kind, more=""):
    def publish(n):
        body = more.replace("{n}", str(n))
        return f"bob > PUBLISH sip:bob@example.test\n    Event: {kind[0]}\n    Content-Type: {kind[1]}\n" + "".join(
            f"    |{line}\n" for line in body.split("\n")) + "bob < 200\n"
    return publish


def registered(n):
    return f"bob > REGISTER sip:example.test\n    Contact: <sip:MARK@192.0.2.20:5060>;expires={600 + n}\nbob < 200\n"


def watched(_):
    return ("carol > SUBSCRIBE sip:bob@example.test\n    Event: x-state\n    From: <sip:MARK@example.test>;tag=c\ncarol < 200\ncarol < NOTIFY\n"
            "carol > 200\n")


# package: what makes its state, what an allowed watcher sees of it, what the transformation hides ("" where nothing can be read behind it)
PACKAGES = {
    "presence": (published(("presence", "application/pidf+xml"), PIDF), "open", "SECRET", "t"),
    "dialog": (published(("dialog", "application/dialog-info+xml"), DIALOG), "MARK", "SECRET", "t"),
    "message-summary": (published(("message-summary", "application/simple-message-summary"),
                                  "Messages-Waiting: yes\nVoice-Message: 7/{n}\n"), "7/", "7/", ""),
    "x-json": (published(("x-json", "application/json"), '{"mark":"MARK","note":"SECRET"}'), "MARK", "SECRET", "t"),
    "x-state": (published(("x-state", "text/plain"), "MARK SECRET"), "MARK", "MARK", ""),
    "reg": (registered, "MARK", "MARK", "t"),
    "x-state.winfo": (watched, "MARK", "MARK", "t"),
}
ACTIONS = ("allow", "block", "polite-block", "confirm", "transform")
HEAD = """config
    domains = { "example.test" }
    listen "udp://192.0.2.1:5060" { authentication = none  trusted = { "192.0.2.0/24" } }
    package "presence" { authorisation = owner  pace = 0s }
    package "dialog" { authorisation = owner  pace = 0s }
    package "message-summary" { authorisation = owner }
    package "reg" { authorisation = owner  pace = 0s }
    package "x-json" { types = { "application/json" }  authorisation = owner }
    package "x-state" { types = { "text/plain" }  authorisation = owner }
transform part hide //note hide //remote hide //contact hide //watcher hide /note
actor bob udp 192.0.2.20:5060
actor carol udp 192.0.2.30:5060
actor alice udp 192.0.2.10:5060
rule allow sip:MARK@example.test sip:bob@example.test x-state
"""


def rule(action, package, watcher="alice"):
    if action == "transform":
        return f"rule allow sip:{watcher}@example.test sip:bob@example.test {package} through part\n"
    return f"rule {action} sip:{watcher}@example.test sip:bob@example.test {package}\n"


def seen(action, package):
    """What a NOTIFY under this action shows."""
    _, mark, hidden, readable = PACKAGES[package]
    lines = {
        "allow": [f"~{mark}", f"~{hidden}"],
        "polite-block": [f"!~{mark}", f"!~{hidden}"],
        "confirm": ["-body"],
        "transform": [f"!~{hidden}"] + ([f"~{mark}"] if readable and mark != hidden else []),
    }[action]
    return "".join(f"    {line}\n" for line in lines)


def state(action):
    return "pending" if action == "confirm" else "active"


def subscribe(action, package, how, label):
    """A SUBSCRIBE and what must come of it."""
    text = f"alice > SUBSCRIBE {how} as {label}\n    Event: {package}\n" if ":" in how else f"alice > SUBSCRIBE {how}\n"
    fetch = label.startswith("f")
    text += f"    Expires: {0 if fetch else 3600}\n"
    if action == "block":
        return text + "alice < 403\nalice silent\n"
    said = "terminated;reason=timeout*" if fetch else f"{state(action)};expires=*"
    return text + f"alice < 200\nalice < NOTIFY\n    Subscription-State: {said}\n" + seen(action, package) + "alice > 200\n"


def change(before, after, package):
    """The rule changes while he watches: one NOTIFY, at once, when he sees another thing by it."""
    text = rule(after, package)
    if after == "block":
        return text + "alice < NOTIFY\n    Subscription-State: terminated;reason=rejected*\n    !~SECRET\n    !~MARK\nalice > 200\n"
    return text + f"alice < NOTIFY\n    Subscription-State: {state(after)};expires=*\n" + seen(after, package) + "alice > 200\n"


def matrix(action, package):
    make = PACKAGES[package][0]
    at = "sip:bob@example.test"
    text = HEAD + make(1) + "wait 6s\n" + rule(action, package)
    text += subscribe(action, package, at, "w1") + subscribe(action, package, at, "f1")
    if action == "block":
        for other in ACTIONS:
            if other != "block":  # a rule that is gone gives him what he asks for then
                text += rule(other, package) + subscribe(other, package, at, f"w{other}") + change(other, "block", package)
        return text
    text += subscribe(action, package, "in w1", "w1")
    for i, other in enumerate(ACTIONS):
        if other == action:
            continue
        text += change(action, other, package)
        if other == "block":
            text += f"alice > SUBSCRIBE in w1\n    Expires: 3600\nalice < 481\n" + rule(action, package) + subscribe(action, package, at, "w1")
        else:
            text += subscribe(other, package, "in w1", "w1") + subscribe(other, package, at, f"f{i}") + change(other, action, package)
    return text


def play(text, *options):
    with tempfile.NamedTemporaryFile("w", suffix=".play") as file:
        file.write(text)
        file.flush()
        done = subprocess.run([RUNNER, *options, file.name], capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            numbered = "\n".join(f"{n:4} {line}" for n, line in enumerate(text.splitlines(), 1))
            print(numbered, done.stdout[-3000:], done.stderr[-3000:], sep="\n")
            raise SystemExit(1)
        return done.stdout


# --- whatever he calls himself, and whatever he calls her ---------------------------------------------------------------------------------

HERS = ("sip:bob@example.test", "sip:bob@EXAMPLE.test", "sip:b%6Fb@example.test:5060;transport=udp?x=y", "sip:bob@example.test.",
        "sip:bob:secret@192.0.2.1", "pres:bob@example.test")
HIS = ("<sip:alice@example.test>", '"X" <sip:al%69ce@Example.TEST:5060;user=phone>', "<sip:alice@example.test.>", "<sips:alice@example.test>",
       "<pres:alice@example.test>", "<sip:alice:x@192.0.2.1;a=b>")


def aliases(action, pattern):
    """Each of his names at each of hers, under a rule that means him by its pattern."""
    text = HEAD + "list friends sip:alice@example.test\n" + PACKAGES["x-json"][0](1)
    text += rule(action, "x-json").replace("sip:alice@example.test", pattern)
    for i, hers in enumerate(HERS):
        for k, his in enumerate(HIS):
            asked = subscribe(action, "x-json", hers, f"w{i}{k}")
            text += asked.replace("    Event:", f"    From: {his};tag=t{i}{k}\n    Event:", 1)
            if "Event:" not in asked:
                raise SystemExit("no From in it")
    # Somebody else is not meant by what names him.
    if pattern != "sip:*@example.test":
        text += "alice > SUBSCRIBE sip:bob@example.test\n    Event: x-json\n    From: <sip:Alice@example.test>;tag=z\nalice < 403\n"
    return text + "alice > SUBSCRIBE sip:bob@example.test\n    Event: x-json\n    From: <sip:alice@sub.example.test>;tag=y\nalice < 403\n"


# --- politely blocked, and an idle resource --------------------------------------------------------------------------------------------

def life(package, polite):
    """All that eve does; bob's state lives when she is politely blocked, else there is none and she may see all."""
    make = PACKAGES[package][0]
    news = make(2) if polite else ""
    text = HEAD + "actor eve udp 192.0.2.66:5060\neve answers 200\n"
    text += (make(1) + "wait 6s\n" if polite else "wait 6s\n") + rule("polite-block" if polite else "allow", package, "eve")

    def ask(how, expires, label):
        event = f"    Event: {package}\n" if how.startswith("sip:") else ""
        return f"eve > SUBSCRIBE {how}{' as ' + label if event else ''}\n{event}    Expires: {expires}\neve < 200\n"

    clock = [10]

    def step(part):
        clock[0] += 10
        return part + f"at {clock[0]}s\n"

    text += step(ask("sip:bob@example.test", 3600, "w") + news)
    text += step(ask("in w", 600, "w") + news)
    text += step(ask("sip:bob@example.test", 0, "f"))
    text += step(ask("sip:bob@example.test;x=y", 3600, "v"))
    for other in ("x-state.winfo", "presence.winfo"):  # the side door: as shut in both
        if other != package:
            text += f"eve > SUBSCRIBE sip:bob@example.test\n    Event: {other}\neve < 403\n"
    text += step("eve > SUBSCRIBE sip:bob@example.test as b\n    Event: " + package + "\n    Expires: 1\neve < 423\n")
    text += step(ask("in w", 0, "w")) + "wait 2h\n"  # v runs out
    return text


def shown_to(who, trace):
    """What he gets, with what is random in both in the place of it, and when."""
    out = []
    for part in re.split(r"^--- ", trace, flags=re.M)[1:]:
        head, _, message = part.partition("\n")
        when, name, what = head.split()[:3]
        if name != who or what != "gets":
            continue
        message = re.sub(r"(branch=z9hG4bK|tag=)[A-Za-z0-9_-]{32,}", lambda m: m.group(1) + "R" * (len(m.group(0)) - len(m.group(1))), message)
        message = re.sub(r"^CSeq: \d+ NOTIFY", "CSeq: N NOTIFY", message, flags=re.M)
        out.append((when, message))
    return out


def compare(package):
    polite = shown_to("eve", play(life(package, True), "-t", "-s", "1"))
    idle = shown_to("eve", play(life(package, False), "-t", "-s", "1"))
    for one, other in zip(polite, idle):
        if one != other:
            raise SystemExit(f"{package}: a politely blocked watcher gets\n{one[0]} {one[1]}\nand of an idle resource\n{other[0]} {other[1]}")
    if len(polite) != len(idle) or len(polite) < 10:
        raise SystemExit(f"{package}: {len(polite)} messages, and of an idle resource {len(idle)}")
    return len(polite)


def main():
    played = 0
    for package in PACKAGES:
        for action in ACTIONS:
            for shards in ("1", "2"):
                play(matrix(action, package), "-s", shards)
                played += 1
    print(f"{played} of the matrix")
    for action in ACTIONS:
        for pattern in ("sip:alice@example.test", "sip:*@example.test", "@friends"):
            play(aliases(action, pattern))
    print(f"{len(ACTIONS) * 3 * len(HERS) * len(HIS)} pairs of names")
    for package in PACKAGES:
        if package != "x-state.winfo":  # who watches is never polite: it is the owner's
            print(f"{package}: {compare(package)} messages are the same")


main()
