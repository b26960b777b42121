#!/usr/bin/env python3
"""Every rule with every package, by scenarios that this program writes and the laboratory plays (doc/scenarios.md).

    rights_test.py SCENARIO_RUNNER

The first part plays each (action, kind of package, number of shards): a subscription, its refresh, a fetch, the end of the broker and its next
start (clean, and killed), a change of the rule to each other action while he watches, and one back, in the midst of which the broker is killed.  What must come is in EXPECTED, which is the issue's words and nothing that the code says.
The second part plays the same watcher twice: politely blocked from a resource whose state lives, and allowed to see an idle one; all that
he gets is compared octet by octet, but for what is random in both (RFC 3856 section 6.6.2, RFC 5025 section 3.2.1); with what a subscription
may wish for as well, and when the block begins and ends while she watches: beside a state that goes and comes back, and beside no change
where both show the same; also when what had left is not answered, and when the broker is down at that moment."""
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


# package: what makes its state, what an allowed watcher sees of it, what the transformation hides, what it leaves (None: nothing, since it
# cannot read it), and what is seen while there is nothing (None: no body)
PACKAGES = {
    "presence": (published(("presence", "application/pidf+xml"), PIDF), "open", "SECRET", "open", "<basic>closed</basic>"),
    "dialog": (published(("dialog", "application/dialog-info+xml"), DIALOG), "MARK", "SECRET", "MARK", "<dialog-info"),
    "message-summary": (published(("message-summary", "application/simple-message-summary"),
                                  "Messages-Waiting: yes\nVoice-Message: 7/{n}\n"), "7/", "7/", None, "Messages-Waiting: no"),
    "x-json": (published(("x-json", "application/json"), '{"mark":"MARK","note":"SECRET"}'), "MARK", "SECRET", "MARK", None),
    "x-state": (published(("x-state", "text/plain"), "MARK SECRET"), "MARK", "SECRET", None, None),
    "x-every": (published(("x-every", "text/plain"), "MARK SECRET {n}"), "MARK", "SECRET", None, None),
    "reg": (registered, "MARK", "MARK", "<registration", "<registration"),
    "x-state.winfo": (watched, "MARK", "MARK", "<watcher-list", "<watcher-list"),
}
TYPES = {"presence": "application/pidf+xml", "dialog": "application/dialog-info+xml"}
ACTIONS = ("allow", "block", "polite-block", "confirm", "transform")
HEAD = """config
    domains = { "example.test" }
    listen "udp://192.0.2.1:5060" { authentication = none  trusted = { "192.0.2.0/24" } }
    package "presence" { authorisation = owner  pace = 0s }
    package "dialog" { authorisation = owner  pace = 0s }
    package "message-summary" { authorisation = owner  pace = 0s }
    package "reg" { authorisation = owner  pace = 0s }
    package "x-json" { types = { "application/json" }  authorisation = owner }
    package "x-state" { types = { "text/plain" }  authorisation = owner }
    package "x-every" { types = { "text/plain" }  authorisation = owner  delivery = every }
transform part hide //note hide //remote hide //contact hide //watcher hide /note
actor bob udp 192.0.2.20:5060
actor carol udp 192.0.2.30:5060
actor alice udp 192.0.2.10:5060
rule allow sip:MARK@example.test sip:bob@example.test x-state
"""


def head(action):
    """Whom nothing speaks of is refused, and where he would be anyhow the rule has to do it."""
    if action != "block":
        return HEAD
    return HEAD.replace("authorisation = owner", "authorisation = allow  own_entry = yes")


def rule(action, package, watcher="alice"):
    if action == "transform":
        return f"rule allow sip:{watcher}@example.test sip:bob@example.test {package} through part\n"
    return f"rule {action} sip:{watcher}@example.test sip:bob@example.test {package}\n"


def seen(action, package):
    """What a NOTIFY under this action shows."""
    _, mark, hidden, left, neutral = PACKAGES[package]
    lines = {
        "allow": [f"~{mark}", f"~{hidden}"],
        "polite-block": [f"!~{mark}", f"!~{hidden}", f"~{neutral}"] if neutral else ["-body"],
        "confirm": ["-body"],
        "transform": [f"!~{hidden}", f"~{left}"] if left else ["-body"],
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


REJECTED = "    Subscription-State: terminated;reason=rejected*\n    !~SECRET\n    !~MARK\n"


def looks_alike(one, other, package):
    """What the transformation leaves of the state looks as if there were none."""
    return {one, other} == {"transform", "polite-block"} and PACKAGES[package][3:] == (None, None)


def change(before, after, package):
    """The rule changes while he watches: one NOTIFY when he sees another thing by it, at once, or, when that is to look like the state's own
    change, as soon as the package's pace lets one go."""
    text = rule(after, package)
    if looks_alike(before, after, package):
        return text + "wait 6s\nalice silent\n"
    if package.endswith(".winfo"):
        text = "wait 6s\n" + text
    if after == "block":
        return text + "alice < NOTIFY\n" + REJECTED + "alice > 200\n"
    return text + f"alice < NOTIFY\n    Subscription-State: {state(after)};expires=*\n" + seen(after, package) + "alice > 200\n"


ENDS = ("clean", "crash")


def restarts(action, package, w="w1"):
    """The broker ends and starts again while he watches: he hears nothing of it, and what he asks for then is what he was shown before."""
    at = "sip:bob@example.test"
    text = ""
    for end in ENDS:
        text += f"wait 2s\nrestart {end} 3s\nwait 1s\nalice silent\n"
        if action == "block":
            text += f"subs {at} 0 watcher=sip:alice@example.test\n" + subscribe(action, package, at, f"w{end}")
            continue
        text += f"subs {at} 1 watcher=sip:alice@example.test package={package} state={state(action)}\n"
        text += subscribe(action, package, f"in {w}", w) + subscribe(action, package, at, f"f{end}")
    return text


def lost(before, after, package):
    """The broker is killed while the rule changes, when nothing of it is in the store but the rule: it counts from the start on.  What he
    has answered to nobody remembers: he is told again, an end within the seconds over which a start spreads them."""
    text = "wait 2s\nstore hold\n" + change(before, after, package) + "restart crash 3s\n"
    if after == "block":
        return text + "alice answers 200\nwait 12s\nalice notified 1\n" + REJECTED + "alice answers nothing\n"
    if looks_alike(before, after, package):
        return text + "wait 6s\nalice silent\n"
    return text + f"alice < NOTIFY\n    Subscription-State: {state(after)};expires=*\n" + seen(after, package) + "alice > 200\n"


def matrix(action, package):
    make = PACKAGES[package][0]
    at = "sip:bob@example.test"
    text = head(action) + make(1) + "wait 6s\n" + rule(action, package)
    text += subscribe(action, package, at, "w1") + subscribe(action, package, at, "f1") + restarts(action, package)
    if action == "block":
        for other in ACTIONS:
            if other != "block":  # a rule that is gone gives him what he asks for then
                text += rule(other, package) + subscribe(other, package, at, f"w{other}") + lost(other, "block", package)
        return text
    text += subscribe(action, package, "in w1", "w1")
    for i, other in enumerate(ACTIONS):
        if other == action:
            continue
        if action in ("polite-block", "confirm"):  # what happens meanwhile is nothing to him, later neither
            text += make(2) + make(3) + "wait 6s\nalice silent\n"
        text += change(action, other, package)
        if other == "block":
            text += f"alice > SUBSCRIBE in w1\n    Expires: 3600\nalice < 481\n" + rule(action, package) + subscribe(action, package, at, "w1")
        else:
            text += subscribe(other, package, "in w1", "w1") + subscribe(other, package, at, f"f{i}") + lost(other, action, package)
    return text


def play(texts, *options):
    """All of them in one run, which begins faster than many; what it prints."""
    with tempfile.TemporaryDirectory() as folder:
        files = {f"{folder}/{n}.play": text for n, text in enumerate(texts)}
        for name, text in files.items():
            with open(name, "w", encoding="utf-8") as file:
                file.write(text)
        done = subprocess.run([RUNNER, *options, *files], capture_output=True, text=True, check=False, timeout=250)
        if done.returncode:
            for name, text in files.items():
                if f"FAILED {name} " in done.stdout + done.stderr:
                    print("\n".join(f"{n:4} {line}" for n, line in enumerate(text.splitlines(), 1)))
                    break
            print(done.stdout[-3000:], done.stderr[-3000:], sep="\n")
            raise SystemExit(1)
        return done.stdout


# --- whatever he calls himself, and whatever he calls her ---------------------------------------------------------------------------------

# Who is meant by one name, and all that he is called by; the same of whose state it is (RFC 3261 sections 10.3 and 19.1, RFC 3966).
HERS = ("sip:bob@example.test", "sip:bob@EXAMPLE.test", "sip:b%6Fb@example.test:5060;transport=udp?x=y", "sip:bob@example.test.",
        "sip:bob:secret@192.0.2.1", "pres:bob@example.test")
HIS = ("<sip:alice@example.test>", '"X" <sip:al%69ce@Example.TEST:5060;user=phone>', "<sip:alice@example.test.>", "<sips:alice@example.test>",
       "<pres:alice@example.test>", "<sip:alice:x@192.0.2.1;a=b>")
HER_NUMBER = ("sip:+15550200@example.test", "tel:+1-555-0200", "tel:+1(555)02.00;tsp=a.test;phone-context=elsewhere.test",
              "sip:+1-555-0200@EXAMPLE.test.;user=phone", "sip:%2B1%2d5550200@192.0.2.1:5060;user=PHONE")
HIS_NUMBER = ("<sip:70b;ext=2@example.test>", "<tel:70-B;ext=2;phone-context=example.test>", "<tel:7(0)b;PHONE-CONTEXT=Example.test;EXT=2>",
              "<sip:70B;ext=2@Example.test.;user=phone>", "<sips:7%30.b;ext=-2@192.0.2.1;user=phone>", "<tel:70B;ext=2>")
# Who is somebody else, however like him he looks.
OTHERS = ("<sip:Alice@example.test>", "<sip:alice@sub.example.test>", "<sip:alice@example.test.x>", "<sip:alice.@example.test>",
          "<sip:alice@192.0.2.1:5999>", "<sip:alice%00@example.test>", "<tel:70b>", "<tel:70b;ext=3>", "<tel:+70b;ext=2>",
          "<tel:70b;ext=2;phone-context=elsewhere.test>", "<tel:70b;ext=2;phone-context=+1>", "<tel:70b;ext=2;isub=1>",
          "<sip:70-b;ext=2@example.test>", "<sip:70b@example.test;ext=2;user=phone>")


def asks_as(his, hers, action, label):
    text = subscribe(action, "x-json", hers, label)
    if "Event:" not in text:
        raise SystemExit("no From in it")
    return text.replace("    Event:", f"    From: {his};tag=t{label}\n    Event:", 1)


LISTS = "list friends sip:alice@example.test sip:70b;ext=2@example.test\n"


def publish_as(whom, hers):
    return PACKAGES["x-json"][0](1).replace("sip:bob@example.test", hers).replace("    Event:", f"    From: {whom}\n    Event:")


def rule_as(action, pattern, place):
    return rule(action, "x-json").replace("sip:alice@example.test", pattern).replace("sip:bob@example.test", place)


def aliases(action, pattern, hers, his, place=None):
    """Each of his names at each of hers, under a rule that means him by its pattern, and her by her name or a place that she is in."""
    text = head(action) + LISTS + publish_as(f"<{hers[0]}>;tag=o", hers[0])
    text += rule_as(action, pattern, place or hers[0])
    for i, her in enumerate(hers):
        for k, name in enumerate(his):
            text += asks_as(name, her, action, f"w{i}{k}")
    for i, name in enumerate(OTHERS):
        if "*" not in pattern or re.search(r"@sub|elsewhere|test\.x|5999", name):
            text += asks_as(name, hers[0], "allow" if action == "block" else "block", f"o{i}")
    return text


def excepted(action, hers, his):
    """A rule for everybody but him, whichever of his names he uses: he gets what nobody speaks of, and everybody else what it says."""
    text = head(action) + publish_as(f"<{hers[0]}>;tag=o", hers[0])
    text += rule_as(action, "*", hers[0])[:-1] + " except sip:alice@example.test except sip:70b;ext=2@example.test\n"
    for i, name in enumerate(his):
        text += asks_as(name, hers[i % len(hers)], "allow" if action == "block" else "block", f"w{i}")
    for i, name in enumerate(OTHERS):
        text += asks_as(name, hers[i % len(hers)], action, f"o{i}")
    return text


def publishes(pattern, hers, his):
    """The right to publish, under each of his names for each of hers; nobody else has it."""
    text = HEAD.replace("transform part", "    limits { publications_per_resource = 256 }\ntransform part", 1)
    text += LISTS + rule_as("publish", pattern, hers[0])
    for i, her in enumerate(hers):
        for k, name in enumerate(his):
            text += publish_as(f"{name};tag=w{i}{k}", her).replace("bob >", "alice >").replace("bob <", "alice <")
    for i, name in enumerate(OTHERS):
        if "*" not in pattern or re.search(r"@sub|elsewhere|test\.x|5999", name):
            text += publish_as(f"{name};tag=o{i}", hers[0]).replace("bob >", "alice >").replace("bob < 200", "alice < 403")
    return text


# --- politely blocked, and an idle resource --------------------------------------------------------------------------------------------

def life(package, polite, scope, own, proven):
    """All that eve does; bob's state lives when she is politely blocked, else there is none and she may see all.  The rule is for the package
    or for all; own: she may see her own entry in watcher information, when she is proven: a trusted hop says that it is she."""
    make = PACKAGES[package][0]
    news = make(2) if polite else ""
    text = HEAD.replace("authorisation = owner", "authorisation = owner  own_entry = yes") if own else HEAD
    text += "actor eve udp 192.0.2.66:5060\neve answers 200\n"
    text += (make(1) + "wait 6s\n" if polite else "wait 6s\n") + rule("polite-block" if polite else "allow", scope, "eve")

    asserted = "    P-Asserted-Identity: <sip:eve@example.test>\n" if proven else ""

    def ask(how, expires, label):
        event = (f"    Event: {package}\n" if how.startswith("sip:") else "") + asserted
        return f"eve > SUBSCRIBE {how}{' as ' + label if how.startswith('sip:') else ''}\n{event}    Expires: {expires}\neve < 200\n"

    clock = [10]

    def step(part):
        clock[0] += 10
        return part + f"at {clock[0]}s\n"

    if package == "x-state.winfo":  # she is among the watchers
        text += rule("allow", "x-state", "eve") + "eve > SUBSCRIBE sip:bob@example.test as me\n    Event: x-state\neve < 200\n"
    text += step(ask("sip:bob@example.test", 3600, "w") + news)
    text += step(ask("in w", 600, "w") + news)
    text += step(ask("sip:bob@example.test", 0, "f"))
    text += step(ask("sip:bob@example.test;x=y", 3600, "v"))
    for other in (f"{package}.winfo", "x-state.winfo", "presence.winfo", f"{package}.winfo.winfo"):  # the side door: as far open in both
        if other == package or other.count(".winfo") > 2:
            continue
        opened = own and proven and other.count(".winfo") == 1 and (scope == "*" or other == f"{package}.winfo")
        text += f"eve > SUBSCRIBE sip:bob@example.test\n    Event: {other}\n{asserted}eve < {200 if opened else 403}\n"
    text += step("eve > SUBSCRIBE sip:bob@example.test as b\n    Event: " + package + "\n    Expires: 1\neve < 423\n")
    for word, status in (("Supported", 200), ("Require", 420)):  # a list (RFC 4662), which herald does not make: one resource, or a refusal
        text += step(f"eve > SUBSCRIBE sip:bob@example.test as l{status}\n    Event: {package}\n    {word}: eventlist\n"
                     f"    Accept: application/rlmi+xml, multipart/related, {TYPES.get(package, '*/*')}\n{asserted}    Expires: 0\neve < {status}\n")
    text += step(ask("in w", 0, "w")) + "carol answers 200\nwait 2h\n"  # v runs out
    return text


def shown_to(who, trace):
    """What he gets, with what is random in both in the place of it, and when; CSeq counted from the first NOTIFY of each dialog."""
    out, begin = [], {}
    for part in re.split(r"^--- ", re.sub(r"^ok .*\n", "", trace, flags=re.M), flags=re.M)[1:]:
        head, _, message = part.partition("\n")
        when, name, what = head.split()[:3]
        if name != who or what != "gets":
            continue
        message = re.sub(r"(branch=z9hG4bK|tag=)[A-Za-z0-9_-]{32,}", lambda m: m.group(1) + "R" * (len(m.group(0)) - len(m.group(1))), message)
        dialog = re.search(r"^Call-ID: .*$", message, re.M)[0]
        message = re.sub(r"^CSeq: (\d+) NOTIFY", lambda m: f"CSeq: {int(m[1]) - begin.setdefault(dialog, int(m[1]))} NOTIFY", message, flags=re.M)
        if '<watcher id="' in message:  # the id of a subscription, and the entity-tag that is made of it
            message = re.sub(r'(?<=<watcher id=")[0-9a-f]{16}|(?<=^SIP-ETag: )\S{11}$', "R", message, flags=re.M)
        out.append((when, message))
    return out


def same(what, one, other, least):
    """Of two plays all that eve gets is the same; how many messages that is.  what: the package and more, and what the plays are."""
    name, first, second = what
    one, other = (shown_to("eve", play([text], "-t", "-s", "1")) for text in (one, other))
    for a, b in zip(one, other):
        if a != b:
            raise SystemExit(f"{name}: {first} gets\n{a[0]} {a[1]}\nand {second}\n{b[0]} {b[1]}")
    if len(one) != len(other) or len(one) < least:
        raise SystemExit(f"{name}: {first} gets {len(one)} messages, and {second} {len(other)}")
    return len(one)


def compare(package, scope, *how):
    plays = (life(package, blocked, scope, *how) for blocked in (True, False))
    return same((package, "a politely blocked watcher", "of an idle resource"), *plays, 10)


# What a subscription may ask for beside the state: rates (RFC 6446), a condition, a filter (RFC 4661) and that the resource falls silent.
STALE = ('{"when":"stale-for 10s"}', '{"when":"stale-for 25s clear-notify"}')
WISHES = {"": "", ";min-rate=0.05": "", ";adaptive-min-rate=0.05": "", ";max-rate=0.05": ""}


def wishes(package, polite, wish, body):
    """The same with one subscription that asks for more; the state changes, or lives on, before and after a refresh, a start and a kill."""
    make = PACKAGES[package][0]
    text = HEAD + "actor eve udp 192.0.2.66:5060\neve answers 200\n" + (make(1) if polite else "") + "wait 6s\n"
    text += rule("polite-block" if polite else "allow", package, "eve")
    if body:
        body = f"    Content-Type: application/vnd.herald.filter+json\n    |{body}\n"
    text += f"eve > SUBSCRIBE sip:bob@example.test as w\n    Event: {package}{wish}\n    Expires: 3600\n{body}eve < 200\n"
    for n, (step, at) in enumerate((("", 20), ("", 30), ("eve > SUBSCRIBE in w\neve < 200\n", 90), ("", 100), ("restart clean 3s\n", 130), ("", 140),
                                    ("restart crash 3s\n", 170), ("", 200), ("eve > SUBSCRIBE in w\n    Expires: 0\neve < 200\n", 230))):
        text += f"at {at}s\n" + (step or (make(n + 2) if polite else ""))
    return text + "at 300s\n"


def compare_wishes(package):
    """How many messages were the same."""
    n = 0
    asked = list(WISHES.items()) + ([("", body) for body in STALE] if package.startswith("x-") else [])
    for wish, body in asked:
        plays = (wishes(package, blocked, wish, body) for blocked in (True, False))
        n += same((f"{package}{wish} {body}", "a politely blocked watcher", "of an idle resource"), *plays, 6)
    return n


TRIGGER = """    Content-Type: application/simple-filter+xml
    |<?xml version="1.0"?>
    |<filter-set xmlns="urn:ietf:params:xml:ns:simple-filter" package="presence">
    |<ns-bindings><ns-binding prefix="p" urn="urn:ietf:params:xml:ns:pidf"/></ns-bindings>
    |<filter id="f"><trigger><changed>/p:presence/p:tuple/p:status/p:basic</changed></trigger></filter>
    |</filter-set>
"""
CONDITION = "    Content-Type: application/vnd.herald.filter+json\n    |{}\n"
CONDITIONS = ('{"when":"mark is \\"MARK\\""}', '{"when":"mark changed"}') + STALE
# What she asks for in each turn, and whether the NOTIFY with the state reaches her at once, after some seconds, or never.
TURNS = [(package, wish, "", arrives) for arrives in (0, 10, None) for package, wish in (
    ("presence", ""), ("presence", ";max-rate=0.1"), ("presence", ";min-rate=0.05"), ("presence", ";adaptive-min-rate=0.05"), ("dialog", ""), ("message-summary", ""), ("x-state", ""), ("x-every", ""))] + [
    ("presence", "", TRIGGER, arrives) for arrives in (0, 10)] + [
    ("x-json", "", CONDITION.format(when), arrives) for when in CONDITIONS for arrives in (0, 10)] + [
    ("dialog", f";call-id={call};to-tag=l", "", arrives) for call in ("c", "d") for arrives in (0, 10)] + [
    (package, "", "    Suppress-If-Match: *\n", 0) for package in ("presence", "x-state", "x-every")] + [
    ("presence", "", "    Accept: application/pidf-diff+xml\n", arrives) for arrives in (0, 10)] + [
    ("presence", wish, "", arrives, "esnet.2") for arrives in (0, 10) for wish in ("", ";max-rate=0.1")]


def turned(package, polite, wish, body, arrives, priority=None):
    """She may see all, is blocked politely two seconds after a NOTIFY, and may see all again; or the state really goes, and comes back."""
    publish = PACKAGES[package][0](1).replace("< 200\n", "< 200\n    SIP-ETag: {etag}\n").replace('id="MARK"', 'id="MARK" call-id="c" local-tag="l"')
    if priority:  # RFC 4412
        publish = publish.replace("    Event:", f"    Resource-Priority: {priority}\n    Event:", 1)
    remove = f"bob > PUBLISH sip:bob@example.test\n    Event: {package}\n    SIP-If-Match: {{etag}}\n    Expires: 0\nbob < 200\nunset etag\n"
    text = HEAD if body else re.sub(rf'^(    package "{package}" \{{.*?)(  pace = 0s)? \}}$', r"\1  pace = 5s }", HEAD, flags=re.M)
    text = text.replace("config\n", 'config\n    priority "esnet" { }\n', 1)
    text += "actor eve udp 192.0.2.66:5060\neve answers 200\n" + rule("allow", package, "eve") + ("" if arrives != 0 else publish)
    if polite:  # somebody is blocked all the time, and waits for the same: what his conditions have seen is not hers
        text += "actor mallory udp 192.0.2.67:5060\nmallory answers 200\n" + rule("polite-block", package, "mallory")
        text += f"mallory > SUBSCRIBE sip:bob@example.test\n    Event: {package}{wish}\n    Expires: 3600\n{body}mallory < 200\n"
    text += "at 10s\n"
    again = f"eve > SUBSCRIBE in w\n    Event: {package}{wish}\neve < 200\n"
    text += f"eve > SUBSCRIBE sip:bob@example.test as w\n    Event: {package}{wish}\n    Expires: 3600\n{body}eve < 200\n"
    text += ("at 20s\neve deaf\n" + publish + "at 22s\n" if arrives != 0 else "at 12s\n") + (rule("polite-block", package, "eve") if polite else remove)
    if "vnd.herald.filter" in body and arrives == 0:
        text += "at 15s\nrestart clean 1s\n"
    if arrives:
        text += f"at {20 + arrives}s\neve hears\n"
    elif arrives is None:
        return text + "at 25s\n" + (rule("allow", package, "eve") if polite else publish) + "at 120s\n"
    if "call-id=c" in wish:  # it ends with the call
        return text + "at 60s\n"
    text += "at 60s\n" + again + "at 62s\n" + (rule("allow", package, "eve") if polite else publish) + "at 100s\n" + again
    return text + "at 110s\neve > SUBSCRIBE in w\n    Expires: 0\neve < 200\nat 120s\n"


def compare_turns(package, wish, body, arrives, priority=None):
    plays = (turned(package, blocked, wish, body, arrives, priority) for blocked in (True, False))
    return same((f"{package}{wish} {body}, which arrives after {arrives}", "who is blocked politely", "when the state goes"), *plays, 4)


def flipped(package, flips, before="allow", lives=False, also=""):
    """She may see what nobody publishes, or what is left of what lives, and the rule changes meanwhile, or not; also: a request of hers."""
    text = HEAD + "actor eve udp 192.0.2.66:5060\neve answers 200\n" + (PACKAGES[package][0](1) + "wait 6s\n" if lives else "")
    text += rule(before, package, "eve") + also
    text += f"eve > SUBSCRIBE sip:bob@example.test as w\n    Event: {package}\n    Expires: 3600\neve < 200\n"
    for at, step in ((20, ""), (40, "restart crash 3s\n"), (60, ""), (80, "eve > SUBSCRIBE in w\neve < 200\n"), (100, ""), (120, ""),
                     (140, "restart clean 3s\n"), (160, "eve > SUBSCRIBE in w\n    Expires: 0\neve < 200\n")):
        text += f"at {at}s\n" + step
        if at in flips:
            text += rule(flips[at], package, "eve")
    return text + "at 200s\n"


def lapsed(package, flips):
    """The same with polite blocks that begin and end while the broker is down: when is in flips."""
    text = HEAD + "actor eve udp 192.0.2.66:5060\neve answers 200\n" + rule("allow", package, "eve")
    text += "".join(f"rule polite-block sip:eve@example.test {place} {package} from {x}s until {y}s\n" for place, (x, y) in zip(("sip:*@example.test", "*"), flips))
    text += f"at 10s\neve > SUBSCRIBE sip:bob@example.test as w\n    Event: {package}\n    Expires: 3600\neve < 200\n"
    for at, step in ((40, "restart crash 10s\n"), (60, ""), (80, "restart clean 10s\n"), (100, "eve > SUBSCRIBE in w\n    Expires: 0\neve < 200\n")):
        text += f"at {at}s\n" + step
    return text + "at 120s\n"


def unlike_starts(got):
    """After a crash CSeq and versions go on far ahead of what was kept, and what was kept depends on more than this."""
    return [(when, re.sub(r'(?<=^CSeq: )[0-9]+(?= NOTIFY)|(?<= version=")[0-9]+', "n", what, flags=re.M)) for when, what in got]


def unnoticed(package, some, none):
    """Of two plays she gets the same; how many messages that is."""
    some, none = (unlike_starts(shown_to("eve", play([text], "-t", "-s", "1"))) for text in (some, none))
    if some != none or len(some) < 4:
        raise SystemExit(f"{package}: a rule that shows nothing else is noticed:\n{some}\nand without it\n{none}")
    return len(some)


def compare_flips(package, other="allow", **how):
    flips = {20: "polite-block", 60: other, 100: "polite-block", 120: other}
    return unnoticed(package, *(flipped(package, f, other, **how) for f in (flips, {})))


def compare_lapses(package, flips):
    return unnoticed(package, *(lapsed(package, f) for f in (flips, [])))


def all_aliases():
    """Scenarios, and how many pairs of names are in each."""
    for pattern in ("sip:alice@example.test", "sip:70b;ext=2@example.test", "sip:*@example.test", "@friends"):
        names = () if pattern.startswith("sip:70b") else HIS
        names += () if pattern.startswith("sip:alice") else HIS_NUMBER
        for hers in (HERS, HER_NUMBER):
            for action in ACTIONS:
                yield aliases(action, pattern, hers, names), len(names) * len(hers)
            yield publishes(pattern, hers, names), len(names) * len(hers)
    for hers in (HERS, HER_NUMBER):
        for action in ACTIONS:
            for place in ("sip:*@example.test", "*"):
                yield aliases(action, "sip:alice@example.test", hers, HIS, place), len(HIS) * len(hers)
            yield excepted(action, hers, HIS + HIS_NUMBER), len(HIS + HIS_NUMBER)


def main():
    rows = [matrix(action, package) for package in PACKAGES for action in ACTIONS]
    for shards in ("1", "2"):
        play(rows, "-s", shards)
    print(f"{2 * len(rows)} of the matrix")
    scenarios, pairs = zip(*all_aliases())
    play(scenarios, "-s", "1")
    print(f"{sum(pairs)} pairs of names")
    for package in PACKAGES:
        for scope in (package,) if package.endswith(".winfo") else (package, "*"):
            for own, proven in ((False, False), (True, False), (True, True)):
                print(f"{package} by a rule for {scope}: {compare(package, scope, own, proven)} messages are the same")
        if package in ("presence", "x-json", "x-every"):
            print(f"{package} with wishes: {compare_wishes(package)} messages are the same")
    print(f"{sum(compare_turns(*turn) for turn in TURNS)} messages are the same when a polite block begins and ends")
    n = sum(compare_flips(package) for package in PACKAGES)
    n += compare_flips("x-state.winfo", also=rule("allow", "x-state", "eve") +
                       "eve > SUBSCRIBE sip:bob@example.test as me\n    Event: x-state\n    Expires: 3600\neve < 200\n")
    print(f"{n} messages are the same when it does at an idle resource")
    n = sum(compare_flips(package, "transform", lives=True) for package in PACKAGES if PACKAGES[package][3:] == (None, None))
    print(f"{n} messages are the same when it does beside a rule that hides all there is")
    n = sum(compare_lapses(package, flips) for package in PACKAGES for flips in ([(45, 85)], [(20, 45), (85, 1000)]))
    print(f"{n} messages are the same when it does while the broker is down")


main()
