#!/usr/bin/env python3
"""The style check finds each kind of breach in a made-up tree and none in a clean one; then it
reads this repository."""

import os
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.realpath(__file__))  # In the repository, behind Bazel's links.
sys.dont_write_bytecode = True  # Nothing is left in the repository.
sys.path.insert(0, HERE)
import tidy  # noqa: E402

CLEAN = {
    "locks/BUILD": 'cc_library(name = "a", srcs = glob(["*.cc"]), hdrs = ["a.h"])\n',
    "locks/a.h": "// What it promises.\n#pragma once\n",
    "locks/a.cc": '#include "locks/a.h"\n',
    "harness/BUILD": 'cc_test(name = "b", srcs = ["b.cc", "b_test.cc"])\n',
    "harness/b.cc": '#include "locks/a.h"\nvoid b() { fork(); }\n',
    "harness/b_test.cc": "// A test.\n",
    "scenarios/BUILD": 'cc_library(name = "c", srcs = ["c.cc"])\n',
    "scenarios/c.cc": "int rand_of(int a) { return a; }\nint d = generator.rand();\n",
}
LONG_FUNCTION = "int f(int a) {\n" + "  ++a;\n" * 100 + "  return a;\n}\n"
MANY_LINES = "// A line.\n" * 700

# Path, content, and the rule that it breaks; None: none.
CASES = [
    ("locks/a.cc", '#include "harness/b.h"\n', "direction"),
    ("locks/a.cc", '#include "scenarios/c.h"\n', "direction"),
    ("scenarios/c.cc", '#include "reports/r.h"\n', "direction"),
    ("scenarios/c.cc", '#include "locks/a.h"\n', None),
    ("harness/b.cc", 'int x = system("ls");\n', "shell"),
    ("harness/b.cc", "int x = file_system(1) + file.system(1);\n", None),
    ("harness/b.cc", "int x = std::rand();\n", "random"),
    ("harness/b.cc", "void f(char* a) { sprintf(a, 0); }\n", "string"),
    ("harness/b_test.cc", "void f() { std::this_thread::sleep_" "for(1ms); }\n", "sleep"),
    ("harness/b_test.cc", "  std::this_thread::sleep_" "for(d);  // tidy: the moment is the test.\n",
     None),
    ("harness/b_test.cc", "  sleep(1);\n", "sleep"),
    ("harness/b_test.cc", '  run("sleep(x,0)");\n', None),
    ("bazel/x_test.sh", "#!/bin/sh\n  sleep 1\n", "sleep"),
    ("scenarios/c.cc", "int x = fork();\n", "effects"),
    ("scenarios/c.cc", "  if (::kill(pid, 9) != 0) return;\n", "effects"),
    ("scenarios/c.cc", "void Judge::kill(int process) {\n}\n", None),
    ("scenarios/c.cc", "auto x = std::chrono::steady_clock::now();\n", "effects"),
    ("harness/b.cc", "auto x = std::chrono::steady_clock::now();\n", None),
    ("locks/reference/e.h", "// E.\n#pragma once\nvoid f() { std::this_thread::yield(); }\n",
     "platform"),
    ("harness/BUILD", 'cc_test(name = "b", srcs = ["b.cc", "b_test.cc"], flaky = True)\n', "flaky"),
    ("harness/b.cc", "// TO" "DO: later\n", "unfinished"),
    ("README.md", "See /wo" "rk/main.\n", "machine"),
    ("README.md", "See /dev/shm and https://example.org/wo" "rk/x.\n", None),
    ("harness/b.cc", "int x;  \n", "blanks"),
    ("harness/b.cc", "int x;\r\n", "blanks"),
    ("harness/b.cc", "int\tx;\n", "tabs"),
    ("harness/b.cc", "int x;\x07\n", "control"),
    ("harness/b.cc", "int x;  // " + "x" * 120 + "\n", "columns"),
    ("harness/b.cc", MANY_LINES, "size"),
    ("harness/b.cc", "// Long because it is a table.\n" + MANY_LINES, None),
    ("harness/b.cc", LONG_FUNCTION, "function"),
    ("harness/b.cc", "namespace a {\n" + "int x;\n" * 200 + "}\n", None),
    ("harness/b.cc", "int x;", "end"),
    ("harness/unused.cc", "int x;\n", "dead"),
    ("locks/a.h", "// A.\n", "guard"),
    ("locks/a.h", "#pragma once\n", "promise"),
]


def breaches_of(files: dict) -> list:
    with tempfile.TemporaryDirectory() as top:
        for path, text in files.items():
            whole = os.path.join(top, path)
            os.makedirs(os.path.dirname(whole), exist_ok=True)
            with open(whole, "w", encoding="utf-8", newline="") as file:
                file.write(text)
        return tidy.check_tree(top)


class TidyTest(unittest.TestCase):
    def test_accepts_a_clean_tree(self):
        self.assertEqual(breaches_of(CLEAN), [])

    def test_names_each_breach_and_only_that(self):
        for path, text, rule in CASES:
            with self.subTest(path=path, text=text[:60], rule=rule):
                rules = {line.split(": ")[1] for line in breaches_of({**CLEAN, path: text})}
                expected = {rule} if rule else set()
                self.assertEqual(rules - {"dead"} if rule != "dead" else rules, expected)

    def test_every_ban_has_a_case(self):
        known = {rule for _, _, rule in CASES}
        self.assertEqual({ban.rule for ban in tidy.BANS} - known, set())

    def test_this_repository(self):
        self.assertEqual(tidy.check_tree(os.path.dirname(HERE)), [])


if __name__ == "__main__":
    unittest.main(verbosity=1)
