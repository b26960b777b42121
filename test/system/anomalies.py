"""Requests that are not as they should be, by chance and from a seed: lengths, integers at their ends, encodings, headers that
are repeated or contradict each other, nested structures, a Content-Length that lies.

cases(seed, n) gives n Case objects; what a case is may be told from its name, and the same seed gives the same cases."""
import random

INTEGERS = ["0", "-1", "1", "+1", "00", "007", "255", "256", "65535", "65536", "2147483647", "2147483648", "4294967295",
            "4294967296", "18446744073709551615", "18446744073709551616", "9" * 40, "9" * 300, "0x10", "1e3", "1.5", "1,5",
            " 1", "1 ", "", "one", "\u0661", "1;", "1=2"]
LENGTHS = [0, 1, 31, 32, 33, 63, 64, 127, 128, 254, 255, 256, 257, 511, 512, 1023, 1024, 1025, 2047, 2048, 4096, 8191, 8192, 20000]
OCTETS = [b"\0", b"\1", b"\7", b"\b", b"\t", b"\x0b", b"\x1b[2J", b"\x1b]0;x\7", b"\x7f", b"\x80", b"\xa0", b"\xff", b"\xc0\x80",
          b"\xc3\x28", b"\xe2\x82\xac", b"\xf0\x9f\x93\x9e", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf", b"\xe2\x80\xae",
          b"%00", b"%", b"%2", b"%zz", b"%0d%0aX: y", b"%25%30%30", b"\"", b"\\", b"\\\"", b"<", b">", b"<<>>", b"()", b"((((", b",", b";",
          b";;", b"=", b"&", b"'", b"`", b"$(id)", b"{}", b"%n%s%x", b"../../etc", b"<script>", b"]]>", b"&amp;", b"\r\n ", b"\r\n\t\t",
          b"\n", b"\r", b"\r\r\n"]
COMPACT = {b"Via": b"v", b"From": b"f", b"To": b"t", b"Call-ID": b"i", b"Contact": b"m", b"Event": b"o", b"Content-Length": b"l",
           b"Content-Type": b"c", b"Content-Encoding": b"e", b"Supported": b"k", b"Subject": b"s", b"Allow-Events": b"u"}
NESTED = [b"(", b"\"", b"<", b"[", b"{", b"\\", b"%25", b"<a>", b"<a b='c'>", b"[[", b"{\"a\":", b";a=b", b",a", b"?h=v", b"--b\r\n"]
TYPES = {b"presence": b"application/pidf+xml", b"dialog": b"application/dialog-info+xml",
         b"message-summary": b"application/simple-message-summary", b"x-text": b"text/plain", b"x-json": b"application/json"}


class Case:
    """What is sent, and whether it has to be answered: a request whose Via and CSeq are untouched does."""

    def __init__(self, number, name, start, headers, body, branch):
        self.number, self.name, self.start, self.headers, self.body, self.branch = number, name, start, headers, body, branch
        self.answered = True  # must be
        self.sound = False    # nothing is wrong with it

    def data(self):
        return self.start + b"\r\n" + b"".join(n + b": " + v + b"\r\n" for n, v in self.headers) + b"\r\n" + self.body


def document(r, package, entity, note):
    if package == b"presence":
        return b'<?xml version="1.0" encoding="UTF-8"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="%s"><tuple id="t%d"><status>' \
               b'<basic>%s</basic></status><note>%s</note></tuple></presence>' % (entity, r.randrange(9), r.choice([b"open", b"closed"]), note)
    if package == b"dialog":
        return b'<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="%d" state="full" entity="%s"><dialog id="d%d">' \
               b'<state>%s</state></dialog></dialog-info>' % (r.randrange(99), entity, r.randrange(9), r.choice([b"trying", b"confirmed"]))
    if package == b"message-summary":
        return b"Messages-Waiting: %s\r\nVoice-Message: %d/%d\r\n" % (r.choice([b"yes", b"no"]), r.randrange(9), r.randrange(9))
    if package == b"x-json":
        return b'{"note": "%s", "n": %d}' % (note.replace(b"\\", b"").replace(b'"', b""), r.randrange(99))
    return b"text " + note


def sound(r, number, via, contact):
    """A request with nothing wrong, of a kind that chance takes."""
    method = r.choice([b"SUBSCRIBE"] * 4 + [b"PUBLISH"] * 4 + [b"REGISTER"] * 2 + [b"OPTIONS", b"MESSAGE", b"INVITE"])
    package = r.choice(list(TYPES))
    user = b"u%d" % r.randrange(40)
    aor = b"sip:" + user + b"@127.0.0.1"
    branch = b"z9hG4bKa%d" % number
    body, headers = b"", [
        (b"Via", via % branch), (b"Max-Forwards", b"70"), (b"From", b"\"A\" <" + aor + b">;tag=f%d" % number), (b"To", b"<" + aor + b">"),
        (b"Call-ID", b"c%d@anomaly" % number), (b"CSeq", b"%d %s" % (r.randrange(1, 1000), method))]
    uri = aor
    if method in (b"SUBSCRIBE", b"PUBLISH"):
        headers += [(b"Event", package), (b"Expires", b"%d" % r.choice([0, 60, 600, 3600]))]
    if method in (b"SUBSCRIBE", b"REGISTER", b"INVITE"):
        headers.append((b"Contact", contact))
    if method == b"SUBSCRIBE" and r.random() < .3:
        headers.append((b"Accept", TYPES[package]))
    if method == b"REGISTER":
        uri = b"sip:127.0.0.1"
        headers.append((b"Expires", b"%d" % r.choice([60, 600])))
    if method in (b"PUBLISH", b"MESSAGE"):
        body = document(r, package, aor, b"note %d" % number)
        headers.append((b"Content-Type", TYPES[package] if method == b"PUBLISH" else b"text/plain"))
    if r.random() < .2:
        headers.append((r.choice([b"Subject", b"X-Unknown", b"User-Agent", b"Allow", b"Supported"]), b"something"))
    headers.append((b"Content-Length", b"%d" % len(body)))
    return Case(number, method.decode(), method + b" " + uri + b" SIP/2.0", headers, body, branch)


def fit(case):
    """Makes Content-Length true again after the body was changed."""
    case.headers = [(n, b"%d" % len(case.body) if n == b"Content-Length" else v) for n, v in case.headers]


def touched(case, name):
    """Without Via or CSeq there may be nothing to answer; what ends the head early hides them."""
    if name in (b"Via", b"CSeq"):
        case.answered = False


def pick(r, case, but=()):
    return r.choice([i for i, (n, _) in enumerate(case.headers) if n not in but])


def length(r, case):
    i, n = pick(r, case, (b"Content-Length",)), r.choice(LENGTHS)
    name, value = case.headers[i]
    touched(case, name)
    filler = r.choice([b"a", b"%41", b"\xc3\xa4", b".", b" ", b"1"]) * n
    at = r.randrange(len(value) + 1)
    case.headers[i] = (name, (value[:at] + filler + value[at:])[:r.choice([60000, 9000, n or 1])])
    return name.decode() + f" of {n}"


def integer(r, case):
    value = r.choice(INTEGERS).encode()
    where = r.choice(["Expires", "Max-Forwards", "Content-Length", "CSeq", "port", "Min-Expires", "Retry-After", "q", "expires", "version"])
    if where == "CSeq":
        case.headers = [(n, value + v[v.find(b" "):] if n == b"CSeq" else v) for n, v in case.headers]
        case.answered = False
    elif where == "port":
        case.headers = [(n, v.replace(b">", b":" + value + b">", 1) if n in (b"To", b"Contact") else v) for n, v in case.headers]
    elif where in ("q", "expires"):
        case.headers = [(n, v + b";" + where.encode() + b"=" + value if n == b"Contact" else v) for n, v in case.headers]
    elif where == "version":
        case.start = case.start.replace(b"SIP/2.0", b"SIP/" + value)
    else:
        name = where.encode()
        case.headers = [(n, v) for n, v in case.headers if n != name] + [(name, value)]
    return f"{where} {value[:20].decode(errors='replace')}"


def encoding(r, case):
    i, octets = pick(r, case, (b"Content-Length",)), r.choice(OCTETS)
    name, value = case.headers[i]
    if octets.strip(b" \t") != octets or b"\n" in octets or b"\r" in octets or b"\0" in octets:
        case.answered = False  # another line, or no line
    touched(case, name)
    if name == b"Call-ID":
        value = value.split(b"@")[0]
    at = r.choice([0, len(value), r.randrange(len(value) + 1)])
    case.headers[i] = (name, value[:at] + octets * r.choice([1, 1, 2, 40]) + value[at:])
    return f"{octets!r} in {name.decode()}"


def address(r, case):
    """Odd, and as a rule allowed: it is stored and shown."""
    octets = r.choice(OCTETS[19:])
    quoted = octets.replace(b"\\", b"\\\\").replace(b"\"", b"\\\"")
    kind = r.randrange(5)
    for i, (name, value) in enumerate(case.headers):
        if name == b"From" and kind == 0:
            case.headers[i] = (name, b"\"" + quoted + b"\" " + value[value.find(b"<"):])
        elif name == b"From" and kind == 1:
            case.headers[i] = (name, value + b";x=\"" + quoted + b"\"")
        elif name == b"Contact" and kind == 2:
            case.headers[i] = (name, value.replace(b"<sip:", b"<sip:" + b"".join(b"%%%02x" % c for c in octets)))
        elif name == b"Contact" and kind == 3:
            case.headers[i] = (name, b"\"" + quoted + b"\" " + value)
        elif name == b"Event" and kind == 4:
            case.headers[i] = (name, value + b";id=" + r.choice([b"x'`~", b"%1b", b"a.b-c", b"1" * 200, b"!*_+"]))
    if b"\r" in octets or b"\n" in octets or b"\0" in octets:
        case.answered = False
    return f"odd address {kind}"


def repeated(r, case):
    i = pick(r, case)
    name, value = case.headers[i]
    touched(case, name)
    other = r.choice([value, value + b"x", b"", b"7", value + b", " + value])
    spelled = r.choice([name, COMPACT.get(name, name), name.upper(), name + b" ", name.lower()])
    times = r.choice([1, 1, 2, 30, 200])
    at = r.randrange(len(case.headers) + 1)
    case.headers[at:at] = [(spelled, other)] * times
    if times > 100:
        case.answered = False  # more than a message may have, perhaps before the CSeq
    return f"{name.decode()} {times + 1} times"


def missing(r, case):
    i = pick(r, case)
    name = case.headers.pop(i)[0]
    touched(case, name)
    if name in (b"From", b"To", b"Call-ID"):
        case.answered = False
    return f"no {name.decode()}"


def lies(r, case):
    n = max(0, len(case.body) + r.choice([-200, -10, -2, -1, 1, 2, 100, 65000, 10 ** 9]))
    case.headers = [(a, b"%d" % n if a == b"Content-Length" else v) for a, v in case.headers]
    return f"Content-Length {n} of {len(case.body)}"


def nested(r, case):
    piece, n = r.choice(NESTED), r.choice([2, 10, 33, 65, 300, 2000])
    if case.body and r.random() < .6:
        at = r.randrange(len(case.body) + 1)
        case.body = case.body[:at] + piece * n + case.body[at:]
        fit(case)
        return f"body with {piece!r} {n} times"
    i = pick(r, case, (b"Content-Length",))
    name, value = case.headers[i]
    touched(case, name)
    if b"\r" in piece:
        case.answered = False
    case.headers[i] = (name, value + piece * n)
    return f"{name.decode()} with {piece!r} {n} times"


def body(r, case):
    kind = r.randrange(6)
    if kind == 0:
        case.body = r.randbytes(r.choice([1, 100, 1400, 8000]))
    elif kind == 1 and case.body:
        at = r.randrange(len(case.body))
        case.body = case.body[:at] + r.choice(OCTETS) + case.body[at:]
    elif kind == 2:
        case.body = case.body[:r.randrange(len(case.body) + 1)]
    elif kind == 3:
        case.body = case.body.replace(b"<note>", b"<note xml:lang=\"" + r.choice([b"en", b"x" * 300]) + b"\">&#%d;" % r.choice([1, 9, 65, 0x202e, 0x1f4de]))
    elif kind == 4:
        case.body = b"--b\r\nContent-Type: text/plain\r\n\r\n" * r.choice([1, 2, 70]) + case.body + b"\r\n--b--"
        case.headers = [(n, b"multipart/mixed;boundary=b" if n == b"Content-Type" else v) for n, v in case.headers]
    else:
        case.body += b"\r\n" * r.choice([1, 1000])
    fit(case)
    return f"body {kind}"


def line(r, case):
    """The start line and the shape of lines."""
    kind = r.randrange(8)
    if kind == 0:
        case.start = case.start.replace(b" ", r.choice([b"  ", b"\t", b"", b" \t "]), r.choice([1, 2]))
    elif kind == 1:
        words = case.start.split(b" ")
        words[1] = r.choice([b"sip:", b"sip:@", b"sip:a@", b"sip:a@[::1", b"sip:a@[::1]:99999", b"sips:a@127.0.0.1", b"tel:+1-2(3)", b"http://x/",
                             b"*", b"sip:%00@127.0.0.1", b"sip:a@127.0.0.1;" + b"p;" * 50, b"sip:" + b"a" * 2000 + b"@127.0.0.1",
                             b"<sip:a@127.0.0.1>", b"sip:a@127.0.0.1?a=b", b"SIP:U1@127.0.0.1:5060", b"sip:u%31@127.0.0.1", b"pres:u1@127.0.0.1",
                             b"sip:a b@127.0.0.1", b"sip:u1@127.0.0.1.", b"sip:u1@2130706433", b"sip:\xff@127.0.0.1"])
        case.start = b" ".join(words)
    elif kind == 2:
        case.start = case.start.replace(b"SIP/2.0", r.choice([b"sip/2.0", b"SIP/2.00", b"SIP/3.0", b"SIP/2", b"HTTP/1.1", b""]))
    elif kind == 3:
        case.start = case.start.lower()
    elif kind == 4:
        i = pick(r, case, (b"Via", b"CSeq", b"Content-Length"))
        case.headers[i] = (case.headers[i][0] + r.choice([b" ", b"\t ", b" \r\n", b"\0", b"\xc3\xa4"]), case.headers[i][1])
    elif kind == 5:
        case.headers.insert(r.randrange(len(case.headers)), (r.choice([b"", b" ", b"X" * 300, b"\"x\"", b"a b"]), b"y"))
    elif kind == 6:
        case.headers = [(n, b"\r\n " + v.replace(b" ", b"\r\n\t ")) for n, v in case.headers]
    else:
        case.start = b"\r\n" * r.choice([1, 3]) + case.start
    case.answered = case.answered and kind == 6
    return f"line {kind}"


KINDS = [length, integer, encoding, address, repeated, missing, lies, nested, body, line]


def cases(seed, n, via, contact, first=0):
    """via has %s for the branch; both as octets."""
    r = random.Random(seed)
    for number in range(first, first + n):
        case = sound(r, number, via, contact)
        if number % 25 == 0:
            case.sound = True
        else:
            for _ in range(r.choice([1, 1, 1, 2, 3])):
                case.name += ", " + r.choice(KINDS)(r, case)
        yield case
