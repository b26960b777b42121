#!/usr/bin/env python3
"""Counts the tests of Meson's logs (testlog.json, an object per line) and ends with their outcome.

    count.py STATUS LOG...

A program written with cmocka counts with the number of its test functions, anything else as one.  The last line is
"N passed, N failed, N skipped".  The exit status is 0 only if STATUS is 0, every log is there, something passed and
nothing failed.
"""
import json
import re
import sys

CMOCKA = re.compile(r"^\[\s*(PASSED|FAILED|SKIPPED)\s*\] (\d+) test\(s\)", re.M)
GOOD = {"OK", "EXPECTEDFAIL"}


def functions(entry):
    """Test functions that a cmocka program says have passed, failed and were skipped; None: it is not one."""
    counts = {"PASSED": 0, "FAILED": 0, "SKIPPED": 0}
    found = CMOCKA.findall(entry.get("stdout", "") + "\n" + entry.get("stderr", ""))
    for word, number in found:
        counts[word] += int(number)
    return counts if found else None


def count(entry):
    """(passed, failed, skipped) of one entry; what its exit status says cannot be talked away by its output."""
    result = entry.get("result", "")
    if result == "SKIP":
        return 0, 0, 1
    inner = functions(entry)
    if result in GOOD:
        if inner and not inner["FAILED"]:
            return inner["PASSED"], 0, inner["SKIPPED"]
        return 1, 0, 0
    if inner:
        return inner["PASSED"], max(1, inner["FAILED"]), inner["SKIPPED"]
    return 0, 1, 0


def main(status, logs):
    total, bad = [0, 0, 0], status != "0"
    for log in logs:
        try:
            with open(log, encoding="utf-8", errors="replace") as lines:
                entries = [json.loads(line) for line in lines if line.strip()]
        except (OSError, ValueError) as problem:
            print(f"count.py: {log}: {problem}")
            entries, bad = [], True
        for entry in entries:
            outcome = count(entry)
            if outcome[1]:
                print(f"failed: {entry.get('name')} ({entry.get('result')})")
            total = [a + b for a, b in zip(total, outcome)]
    if bad and not total[1]:
        total[1] = 1  # what did not build or did not run has failed
    print("%d passed, %d failed, %d skipped" % tuple(total))
    return 0 if not bad and total[0] and not total[1] else 1


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
