#!/usr/bin/env python3
"""Partial presence against an applier that knows nothing of herald: pidf_diff_test.py PROGRAM DATA [SEED]

The applier works on the tree of the standard library and follows RFC 5261 section 4: selectors, namespaces of the
document and of the patch apart, blanks. It is shown first to make of the RFCs' examples what they print; then whole
documents and what herald says of changes to them have to lead to the same canonical form, blanks included."""
import random
import subprocess
import sys
import xml.dom.minidom
from xml.etree.ElementTree import canonicalize

PIDF, DIFF = "urn:ietf:params:xml:ns:pidf", "urn:ietf:params:xml:ns:pidf-diff"
ELEMENT, TEXT = xml.dom.Node.ELEMENT_NODE, (xml.dom.Node.TEXT_NODE, xml.dom.Node.CDATA_SECTION_NODE)


# --- an applier -------------------------------------------------------------------------------------------------------

def bound(node, prefix):
    """What a prefix means where node stands."""
    name = "xmlns:" + prefix if prefix else "xmlns"
    while node is not None and node.nodeType == ELEMENT:
        if node.hasAttribute(name):
            return node.getAttribute(name) or None
        node = node.parentNode
    return None


def steps_of(selector):
    steps, quote, last = [], None, ""
    for c in selector.strip():
        if c == "/" and not quote:
            steps.append(last)
            last = ""
            continue
        if c in "'\"":
            quote = None if quote == c else quote or c
        last += c
    return steps + [last]


def predicates_of(step):
    test, *rest = step.strip().replace("]", "").split("[")
    return test.strip(), rest


def fits(node, test, operation):
    if test == "*":
        return True
    prefix, _, local = test.rpartition(":")
    return node.localName == local and node.namespaceURI == bound(operation, prefix)


def select(document, operation):
    """The one node that sel names: an element, a run of text, or (element, attribute)."""
    nodes = [document]
    for i, step in enumerate(steps_of(operation.getAttribute("sel"))):
        test, predicates = predicates_of(step)
        if test.startswith("@"):
            assert len(nodes) == 1 and nodes[0].hasAttribute(test[1:]), step
            return nodes[0], test[1:]
        if test == "text()":
            found = [c for n in nodes for c in n.childNodes if c.nodeType in TEXT]
        else:
            found = [c for n in nodes for c in n.childNodes if c.nodeType == ELEMENT
                     and (fits(c, test, operation) or (i == 0 and test == "presence"))]
        for p in predicates:
            if p.isdigit():
                found = found[int(p) - 1:int(p)]
            else:
                name, value = p.split("=", 1)
                assert name.startswith("@"), p
                found = [f for f in found if f.getAttribute(name[1:]) == value.strip()[1:-1]]
        nodes = found
    assert len(nodes) == 1, f"{operation.getAttribute('sel')} names {len(nodes)} nodes"
    return nodes[0]


def adopt(node, document, context, operation):
    """A copy of a node of the patch whose names mean the same where it comes to stand."""
    copy = document.importNode(node, True)
    scope = {}

    def settle(element, local):
        local = dict(local)
        for name, value in element.attributes.items():
            if name == "xmlns" or name.startswith("xmlns:"):
                local[name.partition(":")[2]] = value
        prefix = element.prefix or ""
        if prefix not in local and bound(context, prefix) != element.namespaceURI:
            names = [p for p in ("", "p", "r", "c", "d", "dm", "x", "y", "ci", "cp") if bound(context, p) == element.namespaceURI]
            assert names, f"nobody declares {element.namespaceURI} for {element.tagName}"
            element.tagName = element.nodeName = (names[0] + ":" if names[0] else "") + element.localName
        for child in element.childNodes:
            if child.nodeType == ELEMENT:
                settle(child, local)

    if copy.nodeType == ELEMENT:
        settle(copy, scope)
    return copy


def blank(node):
    return node is not None and node.nodeType in TEXT and not node.data.strip()


def apply(document, operation):
    target = select(document, operation)
    name, content = operation.localName, list(operation.childNodes)
    if isinstance(target, tuple):
        element, attribute = target
        if name == "remove":
            element.removeAttribute(attribute)
        else:
            assert name == "replace"
            element.setAttribute(attribute, "".join(c.data for c in content))
    elif name == "remove":
        ws = operation.getAttribute("ws")
        for side in ((ws in ("before", "both")) * [target.previousSibling] + (ws in ("after", "both")) * [target.nextSibling]):
            assert blank(side), "there are no blanks to take away"
            side.parentNode.removeChild(side)
        target.parentNode.removeChild(target)
    elif name == "replace" and target.nodeType in TEXT:
        target.data = "".join(c.data for c in content)
    elif name == "replace":
        assert [c.nodeType for c in content] == [ELEMENT]
        target.parentNode.replaceChild(adopt(content[0], document, target.parentNode, operation), target)
    else:
        assert name == "add"
        pos = operation.getAttribute("pos")
        parent = target if pos in ("", "prepend") else target.parentNode
        before = {"": None, "prepend": target.firstChild, "before": target, "after": target.nextSibling}[pos]
        for c in content:
            parent.insertBefore(adopt(c, document, parent, operation), before)
    document.normalize()


def parse(text):
    document = xml.dom.minidom.parseString(text)
    for node in list(document.childNodes):
        if node.nodeType != ELEMENT:
            document.removeChild(node)
    return document


def patched(full, diff):
    document, root = parse(full), parse(diff).documentElement
    assert (root.namespaceURI, root.localName) == (DIFF, "pidf-diff")
    for operation in root.childNodes:
        if operation.nodeType == ELEMENT:
            assert operation.namespaceURI == DIFF
            apply(document, operation)
    document.documentElement.setAttribute("version", root.getAttribute("version"))
    return document.documentElement.toxml()


def same(a, b, blanks=True):
    return canonicalize(a, strip_text=not blanks) == canonicalize(b, strip_text=not blanks)


# --- what herald makes ------------------------------------------------------------------------------------------------

class Herald:
    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, base, now):
        base, now = base.encode(), now.encode()
        self.process.stdin.write(b"%d %d\n" % (len(base), len(now)) + base + now)
        self.process.stdin.flush()
        return [self.take() for _ in range(3)]

    def take(self):
        n = int(self.process.stdout.readline())
        return None if n < 0 else self.process.stdout.read(n).decode()

    def done(self):
        self.process.stdin.close()
        assert self.process.wait() == 0


def as_presence(full):
    """The PIDF document of a pidf-full one."""
    return (full.replace("p:pidf-full", "presence").replace(' xmlns:p="urn:ietf:params:xml:ns:pidf-diff"', "")
            .replace(' version="567"', "").replace(' version="568"', "").replace(' version="1"', "")
            .replace('xmlns:p="urn:ietf:params:xml:ns:pidf-diff"', "").replace('version="567"', "").replace('version="568"', "")
            .replace('version="1"\n', "\n").replace('version="1">', ">"))


def check_examples(data, herald):
    read = lambda name: open(f"{data}/{name}.xml").read()
    # What the RFC prints is laid out by hand, so blanks count for nothing; and its outcome has another word than its patch.
    diff = read("rfc5262-diff").replace("          between the last tuple and person", "         between the last tuple and note")
    assert same(patched(read("rfc5262-full"), diff), read("rfc5262-patched"), blanks=False)
    text = patched(read("rfc5263-full"), read("rfc5263-diff"))
    assert 'id="ert4773"' in text and "r:busy" not in text and 'priority="0.7"' in text and 'version="2"' in text
    # herald finds the same changes, and says them shorter than the whole.
    for base, now in ((read("rfc5262-full"), read("rfc5262-patched")), (read("rfc5263-full"), text)):
        base, now = (parse(as_presence(t)).documentElement for t in (base, now.replace('version="2"', "")))
        assert dict(base.attributes.items()) == dict(now.attributes.items())
        full, whole, diff = herald.ask(base.toxml(), now.toxml())
        assert parse(full).documentElement.namespaceURI == DIFF and 'version="1"' in full
        assert diff, "herald says nothing of the changes of an example"
        assert same(patched(full, diff), whole) and not same(full, whole)
        assert len(diff) < len(whole), f"{len(diff)} octets of changes, {len(whole)} in all"


# --- random documents -------------------------------------------------------------------------------------------------

class Maker:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def text(self):
        return self.r.choice(["open", "closed", "a &amp; b", "x", "&#233;t&#xe9;", "\u00fc", "1 &lt; 2", "in  between"])

    def leaf(self, gap):
        r = self.r
        return r.choice([
            lambda: f"<status><basic>{self.text()}</basic></status>",
            lambda: f'<contact priority="0.{r.randrange(10)}">sip:u{r.randrange(4)}@example.test</contact>',
            lambda: f"<note>{self.text()}</note>",
            lambda: f"<note>{self.text()}<!-- {r.randrange(3)} --></note>",
            lambda: f"<note><![CDATA[{r.randrange(5)} < 7]]></note>",
            lambda: "<note/>", lambda: "<note></note>", lambda: "<note> </note>",
            lambda: f"<r:activities>{gap}<r:{r.choice(['away', 'busy', 'meal'])}/>{gap}</r:activities>",
            lambda: f'<x:own xmlns:x="urn:test:{r.randrange(2)}"><x:a>{self.text()}</x:a><x:b/></x:own>',
            lambda: f'<y xmlns="urn:test:y"><z>{self.text()}</z></y>',
            lambda: f"<note>mixed <b>{self.text()}</b> text</note>",
        ])()

    def item(self, gap):
        r = self.r
        inside = gap.join(self.leaf(gap) for _ in range(r.randrange(5)))
        kind = r.choice(["tuple", "tuple", "tuple", "dm:person", "note"])
        if kind == "note":
            return f"<note xml:lang='{r.choice(['en', 'de'])}'>{self.text()}</note>"
        return f'<{kind} id="t{r.randrange(10000)}">{gap}{inside}{gap}</{kind}>'

    def document(self):
        gap = self.r.choice(["", "\n", "\r\n ", "\n  "])
        items = [self.item(gap) for _ in range(self.r.randrange(8))]
        return gap, items

    def change(self, gap, items):
        items = list(items)
        for _ in range(self.r.randrange(1, 4)):
            what = self.r.randrange(6)
            at = self.r.randrange(len(items) + 1)
            if what == 0 or not items:
                items.insert(at, self.item(gap))
            elif what == 1:
                items.pop(at - 1)
            elif what == 2:
                items.append(items.pop(at - 1))
            else:  # something inside one of them: a leaf more, or one of its values
                item = items[at - 1]
                end = item.rfind("</")
                items[at - 1] = self.r.choice([
                    item[:end] + self.leaf(gap) + gap + item[end:],
                    item.replace("open", "closed", 1), item.replace("priority=\"0.", "priority=\"0.1", 1),
                    item.replace(">x<", ">longer than it was<", 1), item.replace("<note></note>", "<note>n</note>", 1)])
        return items

    def wrap(self, gap, items, prefixed):
        body = gap + "".join(i + gap for i in items)
        text = (f'<?xml version="1.0"?>\n<presence xmlns="{PIDF}" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" '
                f'xmlns:r="urn:ietf:params:xml:ns:pidf:rpid" entity="sip:a@example.test">{body}</presence>\n')
        if prefixed:  # no default namespace, and a prefix that herald would have taken
            for name in ("presence", "tuple", "status", "basic", "contact", "note", "b"):
                text = text.replace(f"<{name}>", f"<p:{name}>").replace(f"<{name} ", f"<p:{name} ")
                text = text.replace(f"</{name}>", f"</p:{name}>").replace(f"<{name}/>", f"<p:{name}/>")
            text = text.replace("<p:presence xmlns=", "<p:presence xmlns:p=")
        return text


def check_random(herald, seed, n=1500):
    maker, said, shorter = Maker(seed), 0, 0
    for i in range(n):
        gap, items = maker.document()
        prefixed = i % 5 == 0
        base = maker.wrap(gap, items, prefixed)
        now = maker.wrap(gap, maker.change(gap, items) if i % 3 else maker.document()[1], prefixed)
        full, whole, diff = herald.ask(base, now)
        try:
            assert full and whole
            pidf = parse(base).documentElement
            assert [c.toxml() for c in pidf.childNodes] == [c.toxml() for c in parse(full).documentElement.childNodes]
            if diff is None:
                continue
            said += 1
            shorter += len(diff) < len(whole)
            assert same(patched(full, diff), whole)
        except Exception:
            print(f"seed {seed}, pair {i}\n--- base\n{base}--- now\n{now}--- diff\n{diff}", file=sys.stderr)
            raise
    print(f"{n} pairs, {said} with changes that can be said, {shorter} of them shorter than the whole")
    assert said > n * 0.8 and shorter > n * 0.3


def main():
    herald = Herald(sys.argv[1])
    check_examples(sys.argv[2], herald)
    check_random(herald, int(sys.argv[3]) if len(sys.argv) > 3 else 5262)
    herald.done()


main()
