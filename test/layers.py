#!/usr/bin/env python3
"""Holds src/ to doc/layers.txt: the direction of includes, system headers, and calls that a layer must not make.

    layers.py ROOT                        the sources of a checkout
    layers.py ROOT --libraries LIB.a...   and the symbols that the compiled pure layers ask for, which no macro hides
    layers.py --self-test                 bad samples must be found
"""
import os
import re
import subprocess
import sys
import tempfile

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.M)


class Rules:
    """What doc/layers.txt says."""

    def __init__(self, text):
        self.layers, self.pure, self.strict = {}, [], []
        self.forbid = {"pure": set(), "all": set()}
        self.system, self.allow = {}, {}
        for number, line in enumerate(text.splitlines(), 1):
            line = line.split("#", 1)[0].strip() if not line.startswith("allow") else line.strip()
            if not line:
                continue
            word, _, rest = line.partition(" ")
            try:
                getattr(self, "_" + word)(rest.strip())
            except (AttributeError, ValueError, KeyError) as problem:
                raise SystemExit(f"doc/layers.txt:{number}: {line!r}: {problem}")
        self.closure = {}
        for name in self.layers:  # in order: a layer stands below those that use it
            below = {name}
            for other in self.layers[name]:
                if "/" in other:
                    continue
                if other not in self.closure:
                    raise SystemExit(f"doc/layers.txt: {name} stands on {other}, which is not below it")
                below |= self.closure[other]
            self.closure[name] = below

    def _layer(self, rest):
        name, _, others = rest.partition(":")
        self.layers[name] = others.split()

    def _pure(self, rest):
        self.pure = rest.split()

    def _strict(self, rest):
        self.strict = rest.split()

    def _forbid(self, rest):
        where, *calls = rest.split()
        self.forbid[where] |= set(calls)

    def _system(self, rest):
        header, _, layers = rest.partition(":")
        self.system[header] = set(layers.split())

    def _allow(self, rest):
        what, _, reason = rest.partition(":")
        path, call = what.split()
        if not reason.strip():
            raise ValueError("a reason is missing")
        self.allow[(path, call)] = False

    def forbidden(self, layer):
        return self.forbid["all"] | (self.forbid["pure"] if layer in self.pure else set())

    def may_system(self, layer, header):
        for prefix, layers in self.system.items():
            if header == prefix or (prefix.endswith("/") and header.startswith(prefix)):
                return layer in layers
        return True


def code_of(text):
    """The text without comments and without what strings and characters hold; lines stay where they are."""
    def blank(match):
        piece = match.group(0)
        if piece[0] in "\"'":
            return piece[0] * 2
        return "\n" * piece.count("\n") + " "
    return re.sub(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*.*?\*/|//[^\n]*', blank, text, flags=re.S)


class Tree:
    def __init__(self, root):
        self.root = os.path.join(root, "src")
        self.files = {}
        for folder, _, names in os.walk(self.root):
            for name in names:
                if name.endswith((".c", ".h")):
                    path = os.path.relpath(os.path.join(folder, name), self.root)
                    with open(os.path.join(folder, name), encoding="utf-8") as file:
                        self.files[path] = file.read()
        self.tests = {p for p in self.files if p.endswith("_test.c")}
        # A header or helper that tests alone include is a test's; it is named for it or stands in no library.
        self.tests |= {p for p in self.files if re.search(r"(^|/)(test_|fake|.*_test\.h$)", p)}

    def includes(self, path):
        text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group(0).count("\n"), self.files[path], flags=re.S)
        for match in INCLUDE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield line, match.group(1), match.group(2)

    def reach(self, path, seen=None):
        """The headers of src/ that a file sees, directly or by others."""
        seen = set() if seen is None else seen
        for _, kind, name in self.includes(path):
            if kind == '"' and name in self.files and name not in seen:
                seen.add(name)
                self.reach(name, seen)
        return seen


def check(root, rules):
    tree, problems = Tree(root), []
    lone = {}
    for name, others in rules.layers.items():
        lone[name] = set()
        for other in others:
            if "/" in other:
                lone[name] |= {other} | (tree.reach(other) if other in tree.files else set())
    for path in sorted(tree.files):
        layer = path.split("/", 1)[0]
        if layer not in rules.layers:
            problems.append(f"src/{path}: the folder {layer} is not in doc/layers.txt")
            continue
        if path in tree.tests:
            continue
        for line, kind, name in tree.includes(path):
            if kind == "<":
                if not rules.may_system(layer, name):
                    problems.append(f"src/{path}:{line}: {layer} may not include <{name}>")
            elif name not in tree.files:
                problems.append(f"src/{path}:{line}: \"{name}\" is not a path below src/")
            elif name in tree.tests:
                problems.append(f"src/{path}:{line}: \"{name}\" belongs to tests")
        for name in sorted(tree.reach(path)):
            if name.split("/", 1)[0] not in rules.closure[layer] and name not in lone[layer]:
                problems.append(f"src/{path}: {layer} may not see {name}")
        calls = rules.forbidden(layer)
        code = code_of(tree.files[path])
        for match in re.finditer(r"(?<![\w.>])([a-z_0-9]+)\s*\(", code):
            name = match.group(1)
            if name not in calls:
                continue
            if ("src/" + path, name) in rules.allow:
                rules.allow[("src/" + path, name)] = True
                continue
            line = code.count("\n", 0, match.start()) + 1
            problems.append(f"src/{path}:{line}: {layer} may not call {name}()")
    for (path, call), used in rules.allow.items():
        if not used:
            problems.append(f"doc/layers.txt: {path} does not call {call} any more: the exception can go")
    return problems


def check_libraries(libraries, rules):
    """Symbols that the objects of pure layers leave open, in the words of nm."""
    problems = []
    for library in libraries:
        layer = re.sub(r"^lib|\.a$", "", os.path.basename(library))
        out = subprocess.run(["nm", "-u", "-A", library], capture_output=True, text=True, check=True).stdout
        for line in out.splitlines():
            place, _, symbol = line.rpartition(" U ")
            name = re.sub(r"@.*|^__interceptor_", "", symbol.strip())
            name = re.sub(r"^__(\w+)_chk$", r"\1", name)
            source = re.search(r"([\w-]+\.c)\.o", place)
            source = f"src/{layer}/{source.group(1)}" if source else ""
            if name in rules.forbidden(layer) and (source, name) not in rules.allow:
                problems.append(f"{source or library}: {layer} may not ask for {name}")
        if " U " not in out:
            problems.append(f"{library}: nm finds nothing that it asks for: is it a library?")
    return problems


SAMPLE_RULES = """
layer low:
layer mid: low
layer side: low mid/door.h
layer top: mid
pure low mid
forbid pure time read
forbid all strcpy
system uv.h: top
allow src/mid/odd.c read: a name of its own
"""
SAMPLES = [  # files, what must be said (None: nothing)
    ({"low/a.h": "", "mid/b.c": '#include "low/a.h"\nint f(void) { return 1; }\n'}, None),
    ({"top/a.c": '#include "mid/b.h"\n#include "low/a.h"\n#include <uv.h>\n', "mid/b.h": "", "low/a.h": ""}, None),
    ({"low/a.c": '#include "mid/b.h"\n', "mid/b.h": ""}, "low may not see mid/b.h"),
    ({"low/a.c": '  #  include "top/b.h"\n', "top/b.h": ""}, "low may not see top/b.h"),
    ({"mid/a.c": '#include "low/l.h"\n', "low/l.h": '#include "top/t.h"\n', "top/t.h": ""}, "mid may not see top/t.h"),
    ({"side/a.c": '#include "mid/door.h"\n', "mid/door.h": '#include "mid/in.h"\n', "mid/in.h": ""}, None),
    ({"side/a.c": '#include "mid/other.h"\n', "mid/other.h": "", "mid/door.h": ""}, "side may not see mid/other.h"),
    ({"low/a.c": "#include <uv.h>\n"}, "low may not include <uv.h>"),
    ({"low/a.c": '#include "a.h"\n', "low/a.h": ""}, "not a path below src/"),
    ({"low/a.c": "long f(void) { return time(0); }\n"}, "low/a.c:1: low may not call time()"),
    ({"low/a.c": "long f(void)\n{\n    return time (0);\n}\n"}, "low/a.c:3: low may not call time()"),
    ({"low/a.c": "/* time(0) */ // time(0)\nconst char *s = \"time(0) \\\" time(0)\";\n"}, None),
    ({"low/a.c": "long f(struct s *s) { return s->read(s) + s->x.read(s) + runtime(0); }\n"}, None),
    ({"low/a.c": "char *s = \"/*\"; long t = time(0); /* */\n"}, "low may not call time()"),
    ({"low/a_test.c": "long f(void) { return time(0); }\n"}, None),
    ({"low/a.c": '#include "low/a_test.h"\n', "low/a_test.h": ""}, "belongs to tests"),
    ({"top/a.c": "long f(void) { return time(0); }\n"}, None),
    ({"top/a.c": "void f(char *a) { strcpy(a, a); }\n"}, "top may not call strcpy()"),
    ({"mid/odd.c": "long f(void) { return read(0); }\n"}, None),
    ({"mid/even.c": "long f(void) { return read(0); }\n"}, "mid may not call read()"),
    ({"other/a.c": ""}, "not in doc/layers.txt"),
]


def self_test():
    failed = 0
    for files, expected in SAMPLES:
        rules = Rules(SAMPLE_RULES)
        with tempfile.TemporaryDirectory() as root:
            for path, text in files.items():
                os.makedirs(os.path.dirname(os.path.join(root, "src", path)), exist_ok=True)
                with open(os.path.join(root, "src", path), "w", encoding="utf-8") as file:
                    file.write(text)
            said = [p for p in check(root, rules) if "exception can go" not in p]
        good = not said if expected is None else any(expected in p for p in said)
        if not good:
            failed += 1
            print(f"sample {files}: expected {expected!r}, said {said}")
    # An exception that nobody needs is found, and one without a reason is refused.
    with tempfile.TemporaryDirectory() as root:
        os.makedirs(os.path.join(root, "src", "low"))
        if not any("exception can go" in p for p in check(root, Rules(SAMPLE_RULES))):
            failed += 1
            print("an exception that is not used was not found")
    for bad in ("allow src/a.c read", "allow src/a.c read: ", "layer a: nowhere", "frobid all x"):
        try:
            Rules(bad)
            failed += 1
            print(f"{bad!r} was taken")
        except SystemExit:
            pass
    # The symbols of a library: a call that a macro hides from the text.
    with tempfile.TemporaryDirectory() as root:
        source = os.path.join(root, "m.c")
        with open(source, "w", encoding="utf-8") as file:
            file.write("#define NOW(x) ti##me(x)\nlong time(long *);\nlong f(void);\nlong f(void) { return NOW(0); }\n")
        subprocess.run(["cc", "-c", "-o", os.path.join(root, "m.c.o"), source], check=True)
        library = os.path.join(root, "liblow.a")
        subprocess.run(["ar", "rcs", library, os.path.join(root, "m.c.o")], check=True)
        if not any("may not ask for time" in p for p in check_libraries([library], Rules(SAMPLE_RULES))):
            failed += 1
            print("a hidden call was not found in the library")
    print(f"{len(SAMPLES) + 6} samples, {failed} failed")
    return 1 if failed else 0


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    root, libraries = arguments[0], []
    if len(arguments) > 1:
        if arguments[1] != "--libraries":
            raise SystemExit(__doc__)
        libraries = arguments[2:]
    with open(os.path.join(root, "doc", "layers.txt"), encoding="utf-8") as file:
        rules = Rules(file.read())
    problems = check(root, rules) + check_libraries(libraries, rules)
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problems in {len(Tree(root).files)} files")
    return 1 if problems else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    sys.exit(main(sys.argv[1:]))
