#!/usr/bin/env python3
"""tools/console.py: what it writes with and without npm, and when it builds again.  npm and vite are stood in for by two scripts."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SCRIPTS = {"npm": "mkdir -p node_modules; echo npm >> ../ran", "node": 'mkdir -p dist; echo vite >> ../ran; echo "<p>" > dist/index.html; echo "1;" > dist/console.js'}


class Build(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="herald-console-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.source, self.bin = os.path.join(self.folder, "console"), os.path.join(self.folder, "bin")
        shutil.copytree(os.path.join(ROOT, "console"), self.source, ignore=shutil.ignore_patterns("node_modules", "dist", ".lock"))
        os.mkdir(self.bin)

    def tools_are_there(self):
        for name, words in SCRIPTS.items():
            path = os.path.join(self.bin, name)
            with open(path, "w", encoding="ascii") as file:
                file.write("#!/bin/sh\nPATH=/usr/bin:/bin\n" + words + "\n")
            os.chmod(path, 0o755)

    def build(self, wanted="auto", expect=0):
        """The C that it writes, and whether it says that the console is missing."""
        output = os.path.join(self.folder, "out.c")
        run = subprocess.run([sys.executable, os.path.join(ROOT, "tools", "console.py"), self.source, output, wanted], env={"PATH": self.bin},
                             capture_output=True, text=True, check=False)
        self.assertEqual(run.returncode, expect, run.stdout + run.stderr)
        self.said = run.stdout + run.stderr
        if expect:
            return None
        with open(output, encoding="ascii") as file:
            return file.read(), os.path.exists(os.path.join(self.folder, "missing"))

    def ran(self):
        path = os.path.join(self.folder, "ran")
        if not os.path.exists(path):
            return []
        with open(path, encoding="ascii") as file:
            return file.read().split()

    def test_without_npm_there_is_a_page_that_says_so(self):
        text, missing = self.build()
        self.assertTrue(missing)
        self.assertEqual(text.count(".path = \"/"), 1)
        self.assertIn('.path = "/", .type = "text/html; charset=utf-8"', text)
        self.assertIn("make console", self.said)
        self.build("enabled", expect=1)
        self.assertIn("npm", self.said)

    def test_it_is_built_once_until_something_changes(self):
        self.tools_are_there()
        self.assertTrue(self.build("disabled")[1])
        self.assertEqual(self.ran(), [])
        text, missing = self.build("enabled")
        self.assertFalse(missing)
        self.assertIn('.path = "/console.js", .type = "text/javascript; charset=utf-8"', text)
        self.assertEqual(text.count(".gzip = true"), 1)
        self.assertEqual(self.build()[0], text)
        self.assertEqual(self.ran(), ["npm", "vite"])
        with open(os.path.join(self.source, "src", "text.js"), "a", encoding="utf-8") as file:
            file.write("// changed\n")
        self.build()
        self.assertEqual(self.ran(), ["npm", "vite", "vite"])
        with open(os.path.join(self.source, "package-lock.json"), "a", encoding="utf-8") as file:
            file.write("\n")
        self.build()
        self.assertEqual(self.ran(), ["npm", "vite", "vite", "npm", "vite"])


if __name__ == "__main__":
    unittest.main()
