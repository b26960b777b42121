"""Reads OpenMetrics text as strictly as its specification (version 1.0) is written, for the parts that herald uses."""
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r"[a-zA-Z_][a-zA-Z0-9_]*"
META = re.compile(rf"# (TYPE|UNIT|HELP) ({NAME}) (.*)")
SAMPLE = re.compile(rf"({NAME})(?:\{{([^}}]*)\}})? (\S+)")
PAIR = re.compile(rf'({LABEL})="((?:[^"\\\n]|\\["\\n])*)"')
VALUE = re.compile(r"[+-]?(\d+(\.\d+)?([eE][+-]?\d+)?|Inf)|NaN")
SUFFIXES = {"counter": ["_total"], "gauge": [""], "info": ["_info"], "summary": ["_count", "_sum", ""],
            "stateset": [""], "unknown": [""]}


class Wrong(Exception):
    """What does not agree with the specification, with its line."""


class Family:
    def __init__(self, name):
        self.name, self.type, self.unit, self.help = name, None, None, None
        self.samples = {}  # (sample's name, labels as a sorted tuple) -> number

    def value(self, **labels):
        """The sum of all samples with these labels."""
        wanted = set(labels.items())
        return sum(v for (_, have), v in self.samples.items() if wanted <= set(have))


def _labels(text, line):
    if text is None:
        return ()
    pairs, at = [], 0
    while at < len(text):
        match = PAIR.match(text, at)
        if not match:
            raise Wrong(f"labels: {line!r}")
        pairs.append(match.groups())
        at = match.end()
        if at < len(text):
            if text[at] != "," or at + 1 == len(text):
                raise Wrong(f"between labels: {line!r}")
            at += 1
    if len({name for name, _ in pairs}) != len(pairs):
        raise Wrong(f"a label twice: {line!r}")
    return tuple(sorted(pairs))


def _meta(family, key, text, line):
    if family.samples:
        raise Wrong(f"after samples of its family: {line!r}")
    field = key.lower()
    if getattr(family, field) is not None:
        raise Wrong(f"twice: {line!r}")
    if key == "TYPE" and text not in SUFFIXES:
        raise Wrong(f"no such type: {line!r}")
    if key == "UNIT" and not family.name.endswith("_" + text):
        raise Wrong(f"the name does not end with the unit: {line!r}")
    if key == "HELP" and re.search(r'\\[^\\n"]', text):
        raise Wrong(f"escape: {line!r}")
    setattr(family, field, text)


def _sample(family, match, line):
    name, value = match.group(1), match.group(3)
    labels = _labels(match.group(2), line)
    suffix = name[len(family.name):]
    if not name.startswith(family.name) or suffix not in SUFFIXES[family.type or "unknown"]:
        raise Wrong(f"not a sample of {family.name} ({family.type}): {line!r}")
    if not VALUE.fullmatch(value):
        raise Wrong(f"no number: {line!r}")
    number = float(value)
    if family.type == "counter" and not 0 <= number < float("inf"):
        raise Wrong(f"no counter's number: {line!r}")
    if family.type == "info" and number != 1:
        raise Wrong(f"an info is 1: {line!r}")
    if (name, labels) in family.samples:
        raise Wrong(f"twice: {line!r}")
    family.samples[(name, labels)] = number


def parse(text):
    """{name: Family}, or raises Wrong."""
    if not text.endswith("# EOF\n"):
        raise Wrong("the last line is not # EOF")
    families, now = {}, None
    for line in text.split("\n")[:-2]:
        meta = META.fullmatch(line)
        sample = SAMPLE.fullmatch(line)
        if not meta and not sample:
            raise Wrong(f"not a line of OpenMetrics: {line!r}")
        if meta and (not now or now.name != meta.group(2)):
            if meta.group(2) in families:
                raise Wrong(f"the family was there before: {line!r}")
            now = families[meta.group(2)] = Family(meta.group(2))
        if meta:
            _meta(now, meta.group(1), meta.group(3), line)
        elif not now:
            raise Wrong(f"a sample without its family: {line!r}")
        else:
            _sample(now, sample, line)
    taken = {}
    for family in families.values():
        for suffix in SUFFIXES[family.type or "unknown"] + ["_created", "_bucket"] * (family.type == "summary"):
            other = taken.setdefault(family.name + suffix, family.name)
            if other != family.name:
                raise Wrong(f"{family.name} and {other} have samples of one name")
    return families


# Texts that are wrong, so that this reader is known to say so.
WRONG = [
    "# TYPE a counter\na_total 1\n",                              # no end
    "# TYPE a counter\na_total 1\n# EOF\n\n",                     # something behind it
    "# TYPE a counter\na_total 1\n\n# EOF\n",                     # an empty line
    "# TYPE a counter\na 1\n# EOF\n",                             # a counter without _total
    "# TYPE a counter\na_total -1\n# EOF\n",
    "# TYPE a counter\na_total NaN\n# EOF\n",
    "# TYPE a counter\na_total 1\na_total 2\n# EOF\n",
    "# TYPE a counter\na_total 1\n# HELP a late\n# EOF\n",
    "# TYPE a counter\n# TYPE a counter\na_total 1\n# EOF\n",
    "# TYPE a counter\na_total 1\n# TYPE b gauge\nb 1\n# TYPE a counter\n# EOF\n",
    "# TYPE a counter\na_total 1\n# TYPE a_total gauge\na_total 1\n# EOF\n",
    "# TYPE a bar\na 1\n# EOF\n",
    "# TYPE a gauge\n# UNIT a seconds\na 1\n# EOF\n",
    "# TYPE a gauge\nb 1\n# EOF\n",
    "a 1\n# EOF\n",
    "# TYPE a gauge\na  1\n# EOF\n",
    "# TYPE a gauge\na{x=\"1\",} 1\n# EOF\n",
    "# TYPE a gauge\na{x=\"1\",x=\"2\"} 1\n# EOF\n",
    "# TYPE a gauge\na{x=1} 1\n# EOF\n",
    "# TYPE a gauge\na{x=\"\\q\"} 1\n# EOF\n",
    "# TYPE a gauge\na 0x10\n# EOF\n",
    "# TYPE a gauge\na one\n# EOF\n",
    "# TYPE a info\na_info 2\n# EOF\n",
    "#TYPE a gauge\na 1\n# EOF\n",
]
