#!/usr/bin/env python3
"""kill -9 of the command, of its group, or of something that it started, at random moments: nothing
is left.

    killed_test.py HOBBS [KILLS [SEED]]

What is left means processes, files below TMPDIR and beside the report, objects in /dev/shm and
System V semaphores.
"""

import json
import os
import random
import signal
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "testing"))
from process_family import Family, become_subreaper, children_of  # noqa: E402

# By kinds of what could be left: memory, files, semaphores, semaphore sets, named objects, recovery.
LOCKS = ["futex_mutex", "robust_mutex", "flock,ofd", "posix.*", "sysv.*", "boost.*",
         "process_lock_mapped", "rw_phase_fair"]
COMMANDS = ["verify", "stress", "crash", "bench", "conform", "traced", "agent's bench"]
BUDGET_S = 4
FIRST_WORKER_S = 1
LONGEST_S = 4  # From the start to the kill: setting up, running, between drivers, reporting.


def command_words(chance, hobbs):
    command = chance.choice(COMMANDS)
    if command == "traced":
        return ["step", "--lock", f"exec:{hobbs} agent", "--budget", f"{BUDGET_S}s", "--locks",
                chance.choice(["mp.*", "fa.*", "mpu.*"]), "--format", "json", "--output", "report.json"]
    if command == "agent's bench":
        return ["bench", "--budget", f"{BUDGET_S}s", "--format", "json", "--output", "report.json",
                "--locks", chance.choice(["python:mp.*", "python:fa.*", "python:th.*"])]
    words = [command, "--budget", f"{BUDGET_S}s", "--format", "json", "--output", "report.json"]
    if command == "conform":
        kind = chance.choice([[], ["--random"]])
        return words + ["--agent", chance.choice(["cpp", "python"]), "--locks", "mp.*", *kind]
    return words + ["--locks", chance.choice(LOCKS)]


def descendants_of(pid):
    return [pid for child in children_of(pid) for pid in (child, *descendants_of(child))]


def workers_of(pid):
    """All descendants but the first child, which is the janitor."""
    return [pid for child in children_of(pid)[1:] for pid in (child, *descendants_of(child))]


def strike(family, whom, chance):
    """Kills and says whom; the victim may be gone by the time it is struck."""
    if whom in ("coordinator", "group"):
        victim = family.pid
    else:
        patience_s = time.monotonic() + FIRST_WORKER_S
        while not (workers := workers_of(family.pid)):
            if time.monotonic() > patience_s or not children_of(family.pid):
                return "nobody"
            time.sleep(0.002)  # tidy: until there is somebody to strike.
        victim = chance.choice(workers)
    try:
        if whom == "group":
            os.killpg(family.pid, signal.SIGKILL)
        else:
            os.kill(victim, signal.SIGKILL)
    except ProcessLookupError:
        return "nobody"
    return whom


def accusations(path):
    with open(path, encoding="utf-8") as file:
        return "; ".join(f"{one['lock']} {one['driver']} {one['scenario']} {one['rule']}: "
                         f"{one['finding']['summary']}"
                         for one in json.load(file)["results"] if one["verdict"] == "fail")


def one_round(hobbs, number, chance):
    """Starts, strikes, waits; whether it struck, what is left, and what happened in words."""
    words = command_words(chance, hobbs)
    whom = chance.choice(["coordinator", "group", "worker"])
    if words[0] != "bench" and words[0] != "conform":
        words += ["--seed", str(number)]
    family = Family([hobbs, *words], start_new_session=True)
    # The beginning and what follows it are alike short and full of events.
    delay_s = chance.choice([chance.uniform(0, 0.05), chance.uniform(0, LONGEST_S)])
    time.sleep(delay_s)  # tidy: the moment is what is tested.
    struck = strike(family, whom, chance)
    code, _, err = family.result()
    if code == 1:
        err += accusations(os.path.join(family.directory, "report.json"))
    ends_all = struck in ("coordinator", "group")
    if ends_all and code != -signal.SIGKILL:
        struck = "nobody"  # It had ended by itself.
    # A killed worker accuses nobody; but Boost's named mutex does break when a signal strikes.
    fine = ends_all or code in (0, 3, 4) or (code == 1 and "boost.*" in words)
    fine = fine or (code == 64 and "is no agent" in err)  # It was struck when it was first tried.
    left = family.left_behind()
    if not fine:
        left.append(f"exit code {code}: {err[-500:]}")
    return struck != "nobody", left, f"{' '.join(words)}: {struck} killed after {delay_s:.3f} s"


def main():
    hobbs = os.path.abspath(sys.argv[1])
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 8
    chance = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    become_subreaper()
    tempfile.tempdir = os.environ.get("TEST_TMPDIR")
    failed = struck = number = 0
    while struck < kills:
        number += 1
        hit, left, words = one_round(hobbs, number, chance)
        struck += hit
        failed += bool(left)
        print(f"{number}. {words}: {'left: ' + '; '.join(left) if left else 'nothing left'}",
              flush=True)
    print(f"{number} rounds, {struck} kills, {failed} left something")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
