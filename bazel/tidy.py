#!/usr/bin/env python3
"""The style check: what a reader of this repository may rely on, as rules over its files.

    bazel/tidy.py [DIRECTORY]

Prints one line a breach, "file:line: rule: what is wrong", and ends with 1 if there is any. A line
that must break a rule says why in a comment on it, `tidy: reason`; a long file says it in its first
twenty lines, `Long because reason`.
"""

import fnmatch
import os
import re
import sys
from typing import Iterator, NamedTuple

LINES_MAX = 600  # Of a file.
COLUMNS_MAX = 120  # clang-format holds code to 100; this is for what it may not break.
FUNCTION_LINES_MAX = 80
HEAD_LINES = 20

FOLDERS = ["locks", "scenarios", "reports", "harness"]  # Each may include itself and those before.
CPP = (".cc", ".h", ".c")
CODE = CPP + (".py", ".sh", ".bzl", ".js", ".mjs")
SKIPPED_FOLDERS = {".git", "hobbs-out", "golden", "third_party", "__pycache__"}


class Ban(NamedTuple):
    """A pattern that no line of some files may match."""

    rule: str
    files: str  # A regular expression over the path.
    pattern: str
    why: str


NOT_A_TEST = r"(?!.*(_test|testing)\b)"
BANS = [
    Ban("shell", r".*\.(cc|h|c)$", r"(?<![\w.>])(system|popen)\(", "runs a shell: use posix_spawn"),
    Ban("random", r".*\.(cc|h|c)$", r"(?<![\w.>])s?rand\(",
        "not repeatable: take a seeded generator"),
    Ban("string", r".*\.(cc|h|c)$", r"(?<![\w.>])(gets|strcpy|strcat|sprintf)\(",
        "writes without a bound"),
    Ban("sleep", r".*_test\.(cc|py|mjs)$",
        r"\b(sleep_for|sleep_until|usleep|nanosleep|waitForTimeout)\(|^\s*(::|time\.)?sleep\(",
        "a sleep in a test hides a race: wait for the event"),
    Ban("sleep", r".*_test\.sh$", r"^\s*sleep\b",
        "a sleep in a test hides a race: wait for the event"),
    Ban("effects", NOT_A_TEST + r"(scenarios|reports)/.*\.(cc|h)$",
        r"(^\s*|[=(!,;&|]\s*|\breturn |\W::)(fork|kill|mmap|shm_open|clock_gettime|ptrace)\("
        r"|\b(steady|system)_clock::now\(|\bint main\(",
        "has an effect: those are for harness/ only"),
    Ban("platform", NOT_A_TEST + r"locks/reference/.*\.h$", r"std::(this_thread|thread|jthread)\b",
        "goes round the Platform seam"),
    Ban("flaky", r".*(BUILD|\.bzl)$", r"\bflaky\s*=", "a test that fails now and then is broken"),
    Ban("unfinished", r".*", r"\b(TO[D]O|FIX[M]E|XX[X]|NOLIN[T])\b|\bDISABLED[_]",
        "finish it or take it out"),
    Ban("machine", r".*",
        r"(?<![\w$}.])/(work|root|home)/\w|\.\./shared\b|\.\./\.library",
        "a path of one machine"),
    Ban("blanks", r".*", r"[ \t]+$|\r", "blanks at the end of a line"),
    Ban("control", r".*", r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "a control character"),
    Ban("tabs", r".*\.(cc|h|c|py|bzl|md)$", r"\t", "a tab"),
]


def files_below(top: str) -> Iterator[str]:
    for folder, names, files in os.walk(top):
        names[:] = sorted(
            n for n in names if n not in SKIPPED_FOLDERS and not n.startswith("bazel-"))
        for name in sorted(files):
            yield os.path.relpath(os.path.join(folder, name), top)


def is_text(path: str) -> bool:
    base = os.path.basename(path)
    return path.endswith(CODE + (".md", ".txt", ".css")) or base in ("BUILD", "WORKSPACE", "run")


def excused(line: str) -> bool:
    return re.search(r"(//|#|<!--) .*\btidy: \w", line) is not None


def check_lines(path: str, lines: list) -> Iterator[str]:
    bans = [ban for ban in BANS if re.match(ban.files, path)]
    for number, line in enumerate(lines, 1):
        if excused(line):
            continue
        for ban in bans:
            if re.search(ban.pattern, line):
                yield f"{path}:{number}: {ban.rule}: {ban.why}"
        if path.endswith(CPP + (".py", ".sh")) and len(line) > COLUMNS_MAX:
            yield f"{path}:{number}: columns: {len(line)}, more than {COLUMNS_MAX}"


def check_size(path: str, lines: list) -> Iterator[str]:
    reason = any("Long because " in line for line in lines[:HEAD_LINES])
    if path.endswith(CODE) and len(lines) > LINES_MAX and not reason:
        yield f"{path}:1: size: {len(lines)} lines, more than {LINES_MAX}, and no reason is stated"


def check_functions(path: str, lines: list) -> Iterator[str]:
    """Functions at the outermost level, as clang-format leaves them: `}` in the first column."""
    if not path.endswith(CPP):
        return
    start = None
    for number, line in enumerate(lines, 1):
        if start is None and re.match(r"[A-Za-z\[]", line) and "(" in line:
            start = number
        elif line.startswith("}") or (start and line.rstrip().endswith(";") and line[0] != " "):
            if start and number - start >= FUNCTION_LINES_MAX:
                yield (f"{path}:{start}: function: {number - start + 1} lines, "
                       f"more than {FUNCTION_LINES_MAX}")
            start = None
        elif re.match(r"(namespace|class|struct|enum|template|using|#)\b", line):
            start = None


def check_includes(path: str, lines: list) -> Iterator[str]:
    folder = path.split("/")[0]
    if folder not in FOLDERS or not path.endswith(CPP):
        return
    above = FOLDERS[FOLDERS.index(folder) + 1:]
    for number, line in enumerate(lines, 1):
        found = re.match(r'#include "(\w+)/', line)
        if found and found.group(1) in above:
            yield f"{path}:{number}: direction: {folder}/ includes {found.group(1)}/"


def check_header(path: str, lines: list) -> Iterator[str]:
    if not path.endswith(".h"):
        return
    guarded = any(re.match(r"#ifndef \w+_H_$", line) for line in lines)  # C has no other.
    if "#pragma once" not in lines and not guarded:
        yield f"{path}:1: guard: no #pragma once"
    if not lines or not lines[0].startswith(("//", "/*")):
        yield f"{path}:1: promise: a header starts with what it promises"


def check_end(path: str, text: str) -> Iterator[str]:
    if text and not text.endswith("\n"):
        yield f"{path}: end: the last line has no end"


class Builds:
    """What the BUILD files name, to find sources that no target has."""

    def __init__(self, top: str):
        self._words = {}
        for path in files_below(top):
            if os.path.basename(path) == "BUILD":
                with open(os.path.join(top, path), encoding="utf-8") as file:
                    self._words[os.path.dirname(path)] = re.findall(r'"([^"\n]+)"', file.read())

    def has(self, path: str) -> bool:
        package = os.path.dirname(path)
        while package not in self._words:
            if not package:
                return False
            package = os.path.dirname(package)
        name = os.path.relpath(path, package or ".")
        return any(fnmatch.fnmatch(name, word.split(":")[-1]) for word in self._words[package])


def check_tree(top: str) -> list:
    """All breaches below a directory, as lines."""
    builds = Builds(top)
    breaches = []
    for path in files_below(top):
        if not is_text(path):
            continue
        with open(os.path.join(top, path), encoding="utf-8", newline="") as file:
            text = file.read()
        lines = text.split("\n")[:-1] if text.endswith("\n") else text.split("\n")
        for check in (check_lines, check_size, check_functions, check_includes, check_header):
            breaches += check(path, lines)
        breaches += check_end(path, text)
        if path.endswith(CPP) and not builds.has(path):
            breaches.append(f"{path}:1: dead: no BUILD file names it")
    return breaches


def main() -> int:
    breaches = check_tree(sys.argv[1] if len(sys.argv) > 1 else ".")
    print("\n".join(breaches + [f"{len(breaches)} breaches of the style"]))
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
