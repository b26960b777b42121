#!/usr/bin/env python3
"""tools/stories.py write|check [STORY...]: runs the stories of examples/, and puts what the broker recorded of each run into its page
in doc/stories/, or compares the two.  HERALD and HERALDD: the programs (default: those of build/).

A run is the same each time but for chance: two messages to different programs may change places, and a slow machine sends some again."""
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STORIES = ("voicemail", "e911", "ekg", "inventory", "truck", "presence")
BEGIN, END = "<!-- made by tools/stories.py -->\n```\n", "```\n<!-- until here -->\n"
CHANCE = re.compile(r"sent again|comes again|again after|retransm|held back")


def run(story):
    """What the broker recorded; None when the run failed, which it has explained itself."""
    done = subprocess.run(["sh", f"{TOP}/examples/{story}/run.sh", "--stable"], stdout=subprocess.PIPE, check=False, text=True)
    if done.returncode or not done.stdout:
        print(f"{story}: its run failed", file=sys.stderr)
        return None
    return "".join(line.rstrip() + "\n" for line in done.stdout.splitlines())


def facts(trace):
    """Its lines without their numbers and what is chance."""
    return {re.sub(r"^ *\d+ +", "", re.sub(r"expires=\d+", "expires=N", line)) for line in trace.splitlines() if not CHANCE.search(line)}


def check(story, before, trace):
    gone, new = facts(before) - facts(trace), facts(trace) - facts(before)
    for mark, lines in (("-", gone), ("+", new)):
        for line in sorted(lines):
            print(f"{story}: {mark} {line}", file=sys.stderr)
    return not gone and not new


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in ("write", "check") or not set(sys.argv[2:]) <= set(STORIES):
        print(f"usage: {sys.argv[0]} write|check [STORY...]: {' '.join(STORIES)}", file=sys.stderr)
        return 2
    good = True
    for story in sys.argv[2:] or STORIES:
        path = f"{TOP}/doc/stories/{story}.md"
        with open(path, encoding="utf-8") as file:
            page = file.read()
        head, found, rest = page.partition(BEGIN)
        before, ended, tail = rest.partition(END)
        if not found or not ended:
            print(f"{path}: expected a place for the trace, between the two comments", file=sys.stderr)
            good = False
            continue
        trace = run(story)
        if trace is None:
            good = False
        elif sys.argv[1] == "write":
            with open(path, "w", encoding="utf-8") as file:
                file.write(head + BEGIN + trace + END + tail)
        elif not check(story, before, trace):
            print(f"{path}: differs from this run; tools/stories.py write {story}", file=sys.stderr)
            good = False
    return 0 if good else 1


sys.exit(main())
