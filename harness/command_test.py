#!/usr/bin/env python3
"""The command line as its users meet it: what it says, how it ends, what it leaves behind.

    command_test.py FAKE_HOBBS [TEST...]

FAKE_HOBBS is the command over drivers that misbehave as the locks' names say.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "testing"))
from process_family import Family, become_subreaper, children_of  # noqa: E402

HOBBS = ""
PASS, FINDING, INCONCLUSIVE, NOTHING_RAN, USAGE, INTERNAL = 0, 1, 3, 4, 64, 70
COMMANDS = ["verify", "conform", "stress", "explore", "step", "crash", "bench", "compare",
            "report", "replay", "agent", "list", "doctor"]
FULL = "/dev/full"


def descendants_of(pid, generation):
    """The children, or grandchildren and so on, of a process, without the janitor's."""
    pids = children_of(pid)[1:]
    for _ in range(generation - 1):
        pids = [child for pid in pids for child in children_of(pid)]
    return pids


def wait_until(condition):
    """Looks until it holds; the test's own time limit ends a wait that is in vain."""
    while not condition():
        os.sched_yield()


class CommandTest(unittest.TestCase):
    def run_hobbs(self, *words, environment=None, **popen):
        family = Family([HOBBS, *words], environment, **popen)
        code, out, err = family.result()
        self.assertEqual(family.left_behind(), [], words)
        return code, out, err

    def expect_sentence(self, code, pattern, *words, **options):
        """The call ends with this code and one sentence on standard error."""
        with self.subTest(words=words):
            ended, out, err = self.run_hobbs(*words, **options)
            self.assertEqual(ended, code, err)
            self.assertRegex(err, pattern)
            self.assertTrue(err.startswith("hobbs: "), err)
            self.assertEqual(err.count("\n"), 1, err)
            self.assertNotRegex(err, r"terminate called|what\(\)|std::|\b0x[0-9a-f]+|\bat line \d+ of")
            if code == USAGE:
                self.assertEqual(out, "")
            return out

    def file(self, text):
        file = tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8", delete=False)
        self.addCleanup(os.unlink, file.name)
        with file:
            file.write(text)
        return file.name

    def replay_file(self):
        with tempfile.TemporaryDirectory() as directory:
            self.run_hobbs("verify", "--locks", "bad", "--artifacts", directory)
            (name,) = os.listdir(directory)
            with open(os.path.join(directory, name), encoding="utf-8") as file:
                return file.read()


class Words(CommandTest):
    def test_help_of_every_command(self):
        for command in COMMANDS:
            with self.subTest(command=command):
                code, out, err = self.run_hobbs(command, "--help")
                self.assertEqual((code, err), (PASS, ""))
                self.assertIn("Usage: hobbs " + command, out)
                self.assertIn("Example", out)
        code, out, _ = self.run_hobbs("--help")
        self.assertEqual(code, PASS)
        for command in COMMANDS:
            self.assertIn(command, out)
        self.assertIn("Exit", out)

    def test_bad_flags_are_usage_errors(self):
        self.expect_sentence(USAGE, "--lokcs", "verify", "--lokcs", "x")
        self.expect_sentence(USAGE, "explore has the driver explore only", "explore",
                             "--drivers", "free")
        self.expect_sentence(USAGE, "frobnicate", "frobnicate")
        self.expect_sentence(USAGE, "near: verify", "verfiy")
        self.expect_sentence(USAGE, "subcommand|command")
        self.expect_sentence(USAGE, "12parsecs.*duration", "verify", "--budget", "12parsecs")
        self.expect_sentence(USAGE, "format.*yaml", "verify", "--format", "yaml")
        self.expect_sentence(USAGE, "--workers", "verify", "--workers", "1000")
        for seed in ("-1x", "-1", "99999999999999999999"):
            self.expect_sentence(USAGE, "--seed", "verify", "--seed", seed)
        self.expect_sentence(USAGE, "--strategy", "explore", "--strategy", "luck")
        self.expect_sentence(USAGE, "fd:77.*Bad file descriptor", "agent", "fd:77")
        self.expect_sentence(USAGE, "--memory", "explore", "--memory", "imaginary")
        for command in ("step", "explore"):
            self.expect_sentence(USAGE, "--preemptions bounds --strategy bounded only, not random",
                                 command, "--preemptions", "1", "--strategy", "random")
        self.expect_sentence(USAGE, "--delays bounds --strategy delay only, not pos",
                             "explore", "--delays", "1", "--strategy", "pos")
        self.expect_sentence(USAGE, "name one of them",
                             "explore", "--delays", "1", "--preemptions", "1")
        for strategy in ("pos", "delay"):  # Which need to know what only explore knows.
            self.expect_sentence(USAGE, "--strategy.*" + strategy, "step", "--strategy", strategy)
        for command in ("explore", "stress", "crash", "bench"):
            self.expect_sentence(USAGE, "verify --lock", command, "--lock", "exec:true")
        self.expect_sentence(USAGE, "--agent|agent", "conform", "--cases", "x", "--agent", "cobol")
        self.expect_sentence(USAGE, "agent 'cobol'", "bench", "--agent", "cobol")
        self.expect_sentence(USAGE, "file|FILE", "replay")

    def test_what_serves_no_locks_is_no_agent(self):
        for command in ("/bin/false", "cat", "surely-no-command"):
            for words in (("conform", "--agent"), ("conform", "--random", "--agent"),
                          ("verify", "--lock"), ("step", "--lock"), ("bench", "--agent")):
                self.expect_sentence(USAGE, "is no agent: ", *words, "exec:" + command)

    def test_what_selects_nothing_names_what_is_near(self):
        self.expect_sentence(NOTHING_RAN, "near: good", "verify", "--locks", "goood")
        self.expect_sentence(NOTHING_RAN, "no driver matches 'fre'", "verify", "--drivers", "fre")
        self.expect_sentence(NOTHING_RAN, "near: good", "verify", "--locks", "good,goood")
        self.expect_sentence(NOTHING_RAN, "no driver matches 'x'", "verify", "--drivers", "*,x")
        self.expect_sentence(NOTHING_RAN, "no rule matches 'NOPE-9'", "verify", "--rules", "NOPE-9")
        self.expect_sentence(NOTHING_RAN, "no scenario", "verify", "--locks", "good",
                             "--scenarios", "zzz")
        self.expect_sentence(NOTHING_RAN, "near: python:mp.Lock", "bench", "--locks", "python:mp.Lok")
        code, out, _ = self.run_hobbs("verify", "--locks", "unfit")
        self.assertEqual(code, NOTHING_RAN)
        self.assertIn("it is not for this driver", out)

    def test_exit_codes_follow_the_verdicts(self):
        for lock, code in {"good": PASS, "bad": FINDING, "unsure": INCONCLUSIVE,
                           "bad,unsure": FINDING, "good,unsure": INCONCLUSIVE,
                           "segv": FINDING, "abort": INCONCLUSIVE, "orphan": PASS}.items():
            with self.subTest(lock=lock):
                self.assertEqual(self.run_hobbs("verify", "--locks", lock)[0], code)


class Files(CommandTest):
    def test_bad_case_files(self):
        self.expect_sentence(USAGE, "cannot read .*No such file", "conform", "--cases", "/none")
        self.expect_sentence(USAGE, "cannot read .*directory", "conform", "--cases", "/")
        broken = self.file("[X-1] th.Lock | broken\nA L.acquire( -> true\n")
        self.expect_sentence(USAGE, r"\b2\b", "conform", "--cases", broken)
        self.expect_sentence(USAGE, "line 1", "conform", "--cases", self.file("\1\2 nonsense\n"))

    def test_compare_of_neither_results_nor_programs(self):
        for text in ("{}", "[]", ""):
            self.expect_sentence(USAGE, "neither a result .* nor a program", "compare",
                                 self.file(text), self.file(text))

    def test_corrupt_replay_files(self):
        good = self.replay_file()
        self.assertEqual(self.run_hobbs("replay", self.file(good))[0], FINDING)
        self.expect_sentence(USAGE, "cannot read", "replay", "/none")
        self.expect_sentence(USAGE, "cannot read .*directory", "replay", "/")
        for text in ("", "{", "[]", "null", "\0\xff", good[:len(good) // 2], "not json at all"):
            self.expect_sentence(USAGE, r"\.txt: ", "replay", self.file(text))
        for key, value, words in (("lock", "nobody", "no lock 'nobody'"),
                                  ("driver", "nobody", "no driver 'nobody'"),
                                  ("program", "lock lock(", "program|lock"),
                                  ("seed", "soon", "seed"), ("colour", "red", "colour")):
            self.expect_sentence(USAGE, words, "replay",
                                 self.file(json.dumps({**json.loads(good), key: value})))
        for key in ("lock", "driver", "program"):
            less = json.loads(good)
            del less[key]
            self.expect_sentence(USAGE, key, "replay", self.file(json.dumps(less)))

    def test_corrupt_saved_results(self):
        self.expect_sentence(USAGE, "cannot read", "report", "/none")
        for text in ("", "{}", '{"schema": 99}', "[1"):
            self.expect_sentence(USAGE, r"\.txt: ", "report", self.file(text))

    def test_outputs_that_cannot_be_written(self):
        for path in ("/none/report", "/", "/proc/report"):
            self.expect_sentence(USAGE, "cannot write " + path, "verify", "--locks", "good",
                                 "--output", path)
        out = self.expect_sentence(INTERNAL, "No space left", "verify", "--locks", "good",
                                   "--output", FULL)
        self.assertIn("good", out)  # Not lost.
        with open(FULL, "wb") as full:
            for words in (("verify", "--locks", "good"), ("list",), ("doctor",),
                          ("verify", "--list")):
                self.expect_sentence(INTERNAL, "standard output: No space left", *words,
                                     stdout=full)
        self.expect_sentence(INTERNAL, "cannot write", "verify", "--locks", "good",
                             environment={"XML_OUTPUT_FILE": "/none/test.xml"})
        for store in ("/none/runs.db", self.file("no database")):
            self.expect_sentence(USAGE, "store " + store, "verify", "--locks", "good",
                                 "--store", store)

    def test_a_finding_is_told_without_a_place_for_its_replay_file(self):
        code, out, _ = self.run_hobbs("verify", "--locks", "bad", "--artifacts", "/proc/none")
        self.assertEqual(code, FINDING)
        self.assertIn("no replay file", out)

    def test_no_scratch_directory(self):
        self.expect_sentence(INTERNAL, "scratch directory in /none: No such file", "verify",
                             "--locks", "good", environment={"TMPDIR": "/none"})

    def test_a_reader_that_goes_away_changes_nothing(self):
        read, write = os.pipe()
        os.close(read)
        with os.fdopen(write, "wb") as gone:
            self.assertEqual(self.run_hobbs("verify", "--locks", "bad", stdout=gone)[0], FINDING)

    def test_saved_results_read_back(self):
        _, saved, _ = self.run_hobbs("verify", "--locks", "bad,good", "--format", "json")
        code, out, _ = self.run_hobbs("report", self.file(saved))
        self.assertEqual(code, FINDING)
        self.assertIn("replay", out)


class Endings(CommandTest):
    """Signals to the command while a lock hangs, and to its pieces."""

    def start(self, *words, **options):
        family = Family([HOBBS, *(words or ("verify", "--locks", "hang,good"))], **options)
        wait_until(lambda: self.slices(family))
        return family

    @staticmethod
    def slices(family):
        """The children that run drivers: the first child of all is the janitor."""
        return children_of(family.pid)[1:]

    def finish(self, family):
        code, out, err = family.result()
        self.assertEqual(family.left_behind(), [])
        return code, out, err

    def test_interrupts_end_it_with_what_was_found(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number=number):
                family = self.start()
                os.kill(family.pid, number)
                code, out, _ = self.finish(family)
                self.assertEqual(code, INCONCLUSIVE)
                self.assertIn(f"Interrupted by {number.name}", out)

    def test_ctrl_c_reaches_the_whole_group(self):
        family = self.start(start_new_session=True)
        os.killpg(family.pid, signal.SIGINT)
        code, out, _ = self.finish(family)
        self.assertEqual(code, INCONCLUSIVE)
        self.assertIn("Interrupted by SIGINT", out)

    def test_a_second_interrupt_changes_nothing(self):
        family = self.start()
        os.kill(family.pid, signal.SIGINT)
        os.kill(family.pid, signal.SIGINT)
        self.assertEqual(self.finish(family)[0], INCONCLUSIVE)

    def test_a_killed_slice_is_inconclusive(self):
        family = self.start("verify", "--locks", "hang", "--drivers", "explore")
        os.kill(self.slices(family)[0], signal.SIGKILL)
        code, out, _ = self.finish(family)
        self.assertEqual(code, INCONCLUSIVE)
        self.assertIn("SIGKILL", out)

    def test_a_killed_command_leaves_nothing(self):
        for words in (("verify", "--locks", "hang"), ("verify", "--locks", "orphan,hang")):
            with self.subTest(words=words):
                family = self.start(*words)
                os.kill(family.pid, signal.SIGKILL)
                self.assertEqual(self.finish(family)[0], -signal.SIGKILL)

    def start_python_bench(self, budget):
        """A benchmark of Python's mp.Lock, once its first workers run: grandchildren of an agent."""
        family = Family([HOBBS, "bench", "--locks", "python:mp.Lock", "--scenarios", "contended*",
                         "--budget", budget])
        wait_until(lambda: len(descendants_of(family.pid, 3)) >= 2)
        return family

    def test_a_killed_bench_takes_the_agents_workers_with_it(self):
        family = self.start_python_bench("60s")
        os.kill(family.pid, signal.SIGKILL)
        self.assertEqual(self.finish(family)[0], -signal.SIGKILL)

    def test_an_interrupted_bench_tells_what_it_has(self):
        family = self.start_python_bench("60s")
        os.kill(family.pid, signal.SIGINT)
        code, out, _ = self.finish(family)
        self.assertEqual(code, INCONCLUSIVE)
        self.assertIn("interrupted by SIGINT", out)

    def test_a_bench_whose_agent_is_killed_goes_on(self):
        family = self.start_python_bench("4s")
        for pid in descendants_of(family.pid, 2):
            os.kill(pid, signal.SIGKILL)
        code, out, _ = self.finish(family)
        self.assertEqual(code, INCONCLUSIVE)
        self.assertIn("the agent A ended during the call", out)

    def test_an_interrupted_replay_is_inconclusive(self):
        text = json.dumps({**json.loads(self.replay_file()), "lock": "hang"})
        family = self.start("replay", self.file(text))
        os.kill(family.pid, signal.SIGTERM)
        code, out, _ = self.finish(family)
        self.assertEqual(code, INCONCLUSIVE)
        self.assertIn("interrupted by SIGTERM", out)

    def test_usr1_tells_the_state(self):
        family = self.start("verify", "--locks", "hang", "--drivers", "explore")
        os.kill(family.pid, signal.SIGUSR1)
        line = family.process.stderr.readline()
        self.assertRegex(line, rb"hobbs: .* of .* done")
        os.kill(family.pid, signal.SIGTERM)
        self.assertEqual(self.finish(family)[0], INCONCLUSIVE)


def main():
    global HOBBS
    HOBBS = os.path.abspath(sys.argv.pop(1))
    become_subreaper()
    # Bazel's variables are for this test, not for the commands that it runs.
    tempfile.tempdir = os.environ.get("TEST_TMPDIR")
    unittest.main(verbosity=2)


if __name__ == "__main__":
    main()
