#!/usr/bin/env python3
"""What the RFCs ask, what herald does, and the test that shows it: doc/rfc-coverage.tsv, and the page made from it.

    rfc-coverage.py write                 makes doc/rfc-coverage.md from the table
    rfc-coverage.py check [BUILD]         the table is sound, each test that it names exists, the page is current
    rfc-coverage.py --self-test           bad tables must be found

A row has six fields between tabs: RFC, section, kind, what the section asks, what herald does, tests.
Kind is "done", or "exception" where herald departs from the section: the fifth field then gives the reason.
Tests are separated by blanks; each is one of
    NAME.play                             a scenario of test/scenario
    FOLDER/FILE_test.c:FUNCTION           a cmocka test of src/ (or test/FILE_test.c:FUNCTION)
    FILE_test.py:FUNCTION                 a test of test/system, without its "test_"
    meson:NAME                            a test as meson knows it
Rows stand in the order of their RFCs and sections.

doc/rfc-sections.tsv holds the table to whole documents: for each RFC in it every section that its contents list has a row, or a
line there says why it has none. Four fields: RFC, kind, sections between blanks (N.* is N and all below it), what is said. Kind is
    contents                              all sections of the document; says -
    elsewhere                             what they ask is asked again in the rows of these sections (RFC/SECTION: of another document)
    nothing                               they ask nothing of herald, for this reason
"""
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TABLE, SECTIONS, PAGE = "doc/rfc-coverage.tsv", "doc/rfc-sections.tsv", "doc/rfc-coverage.md"
HEAD = "RFC\tsection\tkind\tasks\therald\ttests"
SECTIONS_HEAD = "RFC\tkind\tsections\tsays"

TITLES = {
    2976: "INFO", 3261: "SIP", 3262: "reliable provisional responses", 3263: "locating SIP servers", 3327: "Path",
    3325: "asserted identity", 3428: "MESSAGE", 3515: "REFER", 3581: "rport", 3680: "registration event package", 3840: "capabilities",
    3842: "message-summary", 3856: "presence event package", 3857: "watcher information", 3858: "watcher information format",
    3859: "CPP", 3863: "PIDF", 3903: "PUBLISH", 3966: "tel URIs", 4119: "geopriv", 4235: "dialog event package", 4320: "non-INVITE transactions", 4475: "torture tests",
    4321: "problems of non-INVITE transactions", 4479: "presence data model", 4480: "RPID", 4660: "event notification filtering",
    4661: "filter format", 4662: "resource lists", 4745: "common policy", 4825: "XCAP", 5025: "presence rules",
    5057: "multiple dialog usages", 5118: "IPv6 torture tests", 5261: "XML patch", 5262: "partial PIDF", 5263: "partial presence", 5264: "partial publication",
    5367: "request-contained lists", 5389: "STUN", 5393: "loop detection", 5491: "PIDF-LO", 5621: "message bodies",
    5626: "outbound", 5627: "GRUU", 5630: "SIPS", 5839: "conditional notification", 5922: "certificates", 5923: "connection reuse",
    5954: "IPv6 in URIs", 6026: "2xx to INVITE", 6223: "keep-alive", 6446: "rate control", 6447: "location filters",
    6665: "SIP events", 6761: "special names", 6750: "bearer tokens over HTTP", 7118: "WebSocket", 7135: "emergency namespace", 7396: "JSON merge patch", 7616: "digest", 7621: "GRUU in SIP events", 7984: "dual stack", 8217: "name-addr",
    8489: "STUN", 8760: "digest algorithms", 8898: "bearer tokens", 9110: "HTTP semantics", 9112: "HTTP/1.1", 9457: "problem details",
}


class Table:
    """The rows of the table and what is wrong with them."""

    def __init__(self, text):
        self.rows, self.problems = [], []
        lines = text.split("\n")
        if lines[0] != HEAD:
            self.problems.append(f"1: the head is not {HEAD!r}")
        if lines[-1] != "":
            self.problems.append("the last line does not end")
        for number, line in enumerate(lines[1:-1], 2):
            self._row(number, line)

    def _row(self, number, line):
        fields = line.split("\t")
        if len(fields) != 6 or any(f != f.strip() or not f for f in fields):
            self.problems.append(f"{number}: not six fields, each with a text and no blanks around it: {line[:60]!r}")
            return
        rfc, section, kind, asks, herald, tests = fields
        if not re.fullmatch(r"[1-9]\d{3}", rfc):
            self.problems.append(f"{number}: {rfc!r} is no RFC")
            return
        if not re.fullmatch(r"([A-Z]|\d+)(\.\d+)*( .*)?", section):
            self.problems.append(f"{number}: {section!r} is no section")
            return
        if kind not in ("done", "exception"):
            self.problems.append(f"{number}: kind {kind!r}")
        if any("|" in f for f in (asks, herald)):
            self.problems.append(f"{number}: a bar would break the page's table")
        row = (int(rfc), section, kind, asks, herald, tests.split())
        if self.rows and self.key(row) < self.key(self.rows[-1][1]):
            self.problems.append(f"{number}: RFC {rfc} section {section} does not stand in its place")
        self.rows.append((number, row))

    @staticmethod
    def key(row):
        """The order of rows: RFC, then section by its numbers; what stands behind a section's number does not count."""
        number = row[1].split(" ")[0]
        return row[0], [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in number.split(".")]

    def tests(self):
        """(line, name) of each test that is named."""
        for number, row in self.rows:
            for test in row[5]:
                yield number, test


class Sections:
    """The sections of whole documents, and why some of them have no row; with what is wrong with that."""

    def __init__(self, text, table):
        self.contents, self.lines, self.problems = {}, [], []
        self.rows = {(row[0], row[1].split(" ")[0]) for _, row in table.rows}
        lines = text.split("\n")
        if lines[0] != SECTIONS_HEAD or lines[-1] != "":
            self.problems.append(f"{SECTIONS}: the head is not {SECTIONS_HEAD!r}, or the last line does not end")
        for number, line in enumerate(lines[1:-1], 2):
            self._line(f"{SECTIONS}:{number}", line.split("\t"))
        self._check()

    def _line(self, where, fields):
        if len(fields) != 4 or any(f != f.strip() or not f for f in fields) or fields[1] not in ("contents", "elsewhere", "nothing"):
            self.problems.append(f"{where}: not an RFC, a kind, sections and what is said of them")
            return
        rfc, kind, names, says = int(fields[0]), fields[1], fields[2].split(" "), fields[3]
        if kind == "contents":
            self.contents[rfc] = names
        elif rfc not in self.contents:
            self.problems.append(f"{where}: RFC {rfc} has no contents before this line")
        else:
            self.lines.append((where, rfc, kind, names, says))

    def covered(self, rfc, name):
        """The sections that a name of a line stands for."""
        if not name.endswith(".*"):
            return [name] if name in self.contents[rfc] else []
        stem = name[:-2]
        return [s for s in self.contents[rfc] if s == stem or s.startswith(stem + ".")]

    def _check(self):
        told = {}
        for where, rfc, kind, names, says in self.lines:
            for name in names:
                sections = self.covered(rfc, name)
                if not sections:
                    self.problems.append(f"{where}: RFC {rfc} has no section {name}")
                if not name.endswith(".*") and (rfc, name) in self.rows:
                    self.problems.append(f"{where}: section {name} has a row")
                for section in sections:
                    if (rfc, section) in told:
                        self.problems.append(f"{where}: section {section} is in {told[rfc, section]} too")
                    told[rfc, section] = where
            for target in says.split(" ") if kind == "elsewhere" else []:
                other, _, section = target.rpartition("/")
                if (int(other or rfc), section) not in self.rows:
                    self.problems.append(f"{where}: {target} has no row")
        for rfc, section in sorted(self.rows):
            if section not in self.contents.get(rfc, [section]):
                self.problems.append(f"{TABLE}: RFC {rfc} has no section {section}")
        for rfc, names in self.contents.items():
            for section in names:
                if (rfc, section) not in self.rows and (rfc, section) not in told:
                    self.problems.append(f"{SECTIONS}: RFC {rfc} section {section} has neither a row nor a reason why it has none")


class Tests:
    """Which tests there are."""

    def __init__(self, root, build=None):
        self.root, self.sources, self.meson = root, {}, None
        if build:
            run = subprocess.run(["meson", "introspect", "--tests", build], capture_output=True, text=True, check=True)
            self.meson = {test["name"] for test in json.loads(run.stdout)}

    def _read(self, path):
        if path not in self.sources:
            try:
                with open(os.path.join(self.root, path), encoding="utf-8") as file:
                    self.sources[path] = file.read()
            except OSError:
                self.sources[path] = None
        return self.sources[path]

    def problem(self, name):
        """What is wrong with a test's name; None: it exists."""
        if name.startswith("meson:"):
            return None if self.meson is None or name[6:] in self.meson else "meson knows no such test"
        if name.endswith(".play"):
            return None if self._read("test/scenario/" + name) else "no such scenario"
        file, _, function = name.partition(":")
        if not re.fullmatch(r"\w+", function):
            return "is no test's name"
        if re.fullmatch(r"\w+_test\.py", file):
            text = self._read("test/system/" + file)
            return None if text and re.search(rf"^def test_{function}\(", text, re.M) else "no such test"
        if re.fullmatch(r"(\w+/)?\w+_test\.c", file):
            text = self._read(("src/" if not file.startswith("test/") else "") + file)
            # Defined as a function, and in the table of those that run: by cmocka's macro or one of the file's own.
            found = text and re.search(rf"^(static void\s+)?{function}\(void \*\*", text, re.M)
            return None if found and re.search(rf"\b\w+\({function}\b[),]", text) else "no such test"
        return "is no test's name"


def cell(text):
    """As it stands in the page: what a reader of Markdown would take for a tag or an emphasis is text."""
    return text.replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")


def remainder(sections, rfc):
    """What the page says of an RFC's sections without a row."""
    out = []
    if rfc in sections.contents:
        rows = sum(1 for s in sections.contents[rfc] if (rfc, s) in sections.rows)
        out += [f"Of {len(sections.contents[rfc])} sections {rows} have rows. The others:", ""]
        for _, number, kind, names, says in sections.lines:
            if number == rfc:
                shown = ", ".join(s.replace("/", " ") for s in says.split(" ")) if kind == "elsewhere" else says
                out.append(f"- {', '.join(names).replace('.*', ' and below')}: {'see ' if kind == 'elsewhere' else ''}{cell(shown)}.")
        out.append("")
    return out


def page(table, sections):
    """The page of a table."""
    rows = [row for _, row in table.rows]
    out = ["# What the RFCs ask, and what herald does", "",
           "Made from `doc/rfc-coverage.tsv` by `tools/rfc-coverage.py write`; edit the table, not this page. Each row names the tests that "
           "show it; a row in *italics* is an exception, with its reason. Sections were read with their errata.", "",
           f"{len(sections.contents)} documents are gone through section by section (`doc/rfc-sections.tsv`): below their rows stands for every "
           "section without one where it is shown, or why it asks nothing of a server like this. A test fails when a section has neither.", ""]
    done = sum(1 for row in rows if row[2] == "done")
    out += [f"{len(rows)} rows: {done} as asked, {len(rows) - done} exceptions.", ""]
    for rfc in sorted({row[0] for row in rows}):
        title = TITLES.get(rfc)
        out += [f"## RFC {rfc}" + (f": {title}" if title else ""), "",
                "| section | asks | herald | shown by |", "|---|---|---|---|"]
        for _, section, kind, asks, herald, tests in (row for row in rows if row[0] == rfc):
            said = cell(herald) if kind == "done" else f"*Exception: {cell(herald)}*"
            out.append(f"| {section} | {cell(asks)} | {said} | {', '.join('`' + t + '`' for t in tests)} |")
        out.append("")
        out += remainder(sections, rfc)
    return "\n".join(out)


def check(text, sections_text, tests, page_text):
    """All that is wrong, a line each."""
    table = Table(text)
    sections = Sections(sections_text, table)
    problems = [f"{TABLE}:{p}" for p in table.problems] + sections.problems
    for number, name in table.tests():
        problem = tests.problem(name)
        if problem:
            problems.append(f"{TABLE}:{number}: {name}: {problem}")
    if not problems and page(table, sections) != page_text:
        problems.append(f"{PAGE} is not what the table says: tools/rfc-coverage.py write")
    return problems


class OneTest:
    """For the self-test: a world with one scenario."""

    @staticmethod
    def problem(name):
        return None if name == "a.play" else "no such scenario"


def self_test():
    good = HEAD + "\n3261\t8.2\tdone\task\tdo\ta.play\n3261\t8.10 x\texception\task\twhy\ta.play a.play\n"
    whole = SECTIONS_HEAD + "\n3261\tcontents\t8 8.2 8.10 9 9.1 10\t-\n3261\tnothing\t8 9.*\tempty\n3261\telsewhere\t10\t8.2 3261/8.10\n"

    def made(text, sections):
        table = Table(text)
        return page(table, Sections(sections, table))

    assert not check(good, whole, OneTest, made(good, whole))
    bad = {
        "not six fields": good.replace("\tdo\t", "\tdo"),
        "each with a text": good.replace("\tdo\t", "\t\t"),
        "is no RFC": good.replace("\n3261\t8.2", "\nRFC 3261\t8.2"),
        "is no section": good.replace("8.2", "eight"),
        "kind": good.replace("done", "perhaps"),
        "no such scenario": good.replace("a.play\n", "b.play\n"),
        "in its place": good.replace("8.2", "8.11"),
        "a bar": good.replace("task", "a|sk").replace("\task", "\ta|sk"),
        "the head": good.replace("herald", "Herald", 1),
        "is not what the table says": good.replace("why", "because"),
    }
    for words, text in bad.items():
        found = check(text, whole, OneTest, made(good, whole))
        assert any(words in p for p in found), (words, found)
    bad_sections = {
        "the head is not": whole.replace("says", "Says", 1),
        "not an RFC, a kind": whole.replace("nothing", "perhaps"),
        "no contents before": whole.replace("contents", "nothing", 1),
        "has no section 11": whole.replace("8 9.*", "8 9.* 11"),
        "section 8.2 has a row": whole.replace("8 9.*", "8 9.* 8.2"),
        "section 9 is in": whole.replace("8 9.*", "8 9 9.*"),
        "9.2 has no row": whole.replace("3261/8.10", "3261/9.2"),
        "RFC 3261 has no section 8.10": whole.replace("8.2 8.10 9 9.1", "8.2 9 9.1"),
        "section 10 has neither": whole.replace("3261\telsewhere\t10\t8.2 3261/8.10\n", ""),
    }
    for words, text in bad_sections.items():
        found = check(good, text, OneTest, made(good, whole))
        assert any(words in p for p in found), (words, found)
    real = Tests(ROOT)
    assert real.problem("merged.play") is None and real.problem("no-such.play")
    assert real.problem("sip/uri_test.c:uris_are_split") is None and real.problem("sip/uri_test.c:nobody")
    assert real.problem("uri_test.c:uris_are_split") and real.problem("made up")
    assert real.problem("life_test.py:a_phone_registers_and_unregisters") is None and real.problem("life_test.py:nobody")


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def main(arguments):
    if arguments == ["--self-test"]:
        self_test()
        return 0
    if arguments == ["write"]:
        table = Table(read(TABLE))
        sections = Sections(read(SECTIONS), table)
        problems = [f"{TABLE}:{p}" for p in table.problems] + sections.problems
        if not problems:
            with open(os.path.join(ROOT, PAGE), "w", encoding="utf-8") as file:
                file.write(page(table, sections))
    elif arguments and arguments[0] == "check" and len(arguments) <= 2:
        problems = check(read(TABLE), read(SECTIONS), Tests(ROOT, arguments[1] if len(arguments) == 2 else None), read(PAGE))
    else:
        print(__doc__, file=sys.stderr)
        return 2
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
