#!/usr/bin/env python3
"""Tests of tools/count.py: what CI says of a run must be true, above all when something is wrong."""
import json
import os
import subprocess
import sys
import tempfile

TOOL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools", "count.py")
CMOCKA_GOOD = "[==========] Running 3 test(s).\n[  PASSED  ] 2 test(s).\n[  SKIPPED ] 1 test(s), listed below:\n"
CMOCKA_BAD = "[  PASSED  ] 2 test(s).\n[  FAILED  ] 2 test(s), listed below:\n\n 2 FAILED TEST(S)\n"

ROWS = [  # name, STATUS, entries (None: no log), last line, exit status
    ("one", "0", [{"name": "a", "result": "OK"}], "1 passed, 0 failed, 0 skipped", 0),
    ("cmocka", "0", [{"name": "a", "result": "OK", "stderr": CMOCKA_GOOD}], "2 passed, 0 failed, 1 skipped", 0),
    ("cmocka failed", "1", [{"name": "a", "result": "FAIL", "stdout": CMOCKA_BAD}], "2 passed, 2 failed, 0 skipped", 1),
    ("sanitizer after the tests", "1", [{"name": "a", "result": "FAIL", "stderr": CMOCKA_GOOD}],
     "2 passed, 1 failed, 1 skipped", 1),
    ("timeout", "1", [{"name": "a", "result": "TIMEOUT"}, {"name": "b", "result": "OK"}], "1 passed, 1 failed, 0 skipped", 1),
    ("unexpected pass", "1", [{"name": "a", "result": "UNEXPECTEDPASS"}], "0 passed, 1 failed, 0 skipped", 1),
    ("a result that we do not know", "0", [{"name": "a", "result": "NEW"}], "0 passed, 1 failed, 0 skipped", 1),
    ("skipped alone", "0", [{"name": "a", "result": "SKIP"}], "0 passed, 0 failed, 1 skipped", 1),
    ("make failed, tests passed", "1", [{"name": "a", "result": "OK"}], "1 passed, 1 failed, 0 skipped", 1),
    ("no log", "0", None, "0 passed, 1 failed, 0 skipped", 1),
    ("empty log", "0", [], "0 passed, 0 failed, 0 skipped", 1),
]


def main():
    failed = 0
    for name, status, entries, line, code in ROWS:
        with tempfile.TemporaryDirectory() as folder:
            log = os.path.join(folder, "testlog.json")
            if entries is not None:
                with open(log, "w", encoding="utf-8") as file:
                    file.writelines(json.dumps(entry) + "\n" for entry in entries)
            run = subprocess.run([sys.executable, TOOL, status, log], capture_output=True, text=True, check=False)
        last = run.stdout.splitlines()[-1] if run.stdout else ""
        if (last, run.returncode) != (line, code):
            failed += 1
            print(f"{name}: said {last!r} and {run.returncode}, expected {line!r} and {code}")
    print(f"{len(ROWS)} rows, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
