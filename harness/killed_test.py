#!/usr/bin/env python3
"""kill -9 of the command, or of something that it started, at random moments: nothing is left.

    killed_test.py HOBBS [KILLS [SEED]]

What is left means processes, files below TMPDIR, objects in /dev/shm and System V semaphores.
"""

import os
import random
import signal
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "testing"))
from process_family import Family, become_subreaper, children_of, name_of  # noqa: E402

# By kinds of what could be left: memory, files, semaphores, recovery. System V sets are left out:
# one made in the instant before the kill has no name yet by which it could be removed.
LOCKS = ["futex_mutex", "robust_mutex", "flock,ofd", "posix.*", "rw_phase_fair"]
LONGEST_S = 2.5  # From the start to the kill: setting up, running, and between drivers.


def descendants_of(pid):
    found = []
    for child in children_of(pid):
        if name_of(child) != "hobbs-janitor":
            found += [child, *descendants_of(child)]
    return found


def strike(family, whom, chance):
    """Kills and says whom; the victim may be gone by the time it is struck."""
    if whom == "coordinator":
        victim = family.pid
    else:
        workers = descendants_of(family.pid)
        if not workers:
            return "nobody"
        victim = chance.choice(workers)
    try:
        os.kill(victim, signal.SIGKILL)
    except ProcessLookupError:
        return "nobody"
    return whom


def one_round(hobbs, number, chance):
    """Starts, strikes, waits; what is left, and what happened in words."""
    locks = chance.choice(LOCKS)
    whom = chance.choice(["coordinator", "worker"])
    command = [hobbs, "verify", "--locks", locks, "--budget", "4s", "--seed", str(number),
               "--format", "json"]
    family = Family(command)
    # Before its janitor lives the command has made an empty directory at most, which may stay.
    while not children_of(family.pid) and family.process.poll() is None:
        os.sched_yield()
    time.sleep(chance.uniform(0, LONGEST_S))  # tidy: the moment is what is tested.
    struck = strike(family, whom, chance)
    code, _, err = family.result()
    if struck == "coordinator" and code != -signal.SIGKILL:
        struck = "nobody"  # It had ended by itself.
    fine = struck == "coordinator" or code in (0, 3, 4)  # A killed worker accuses nobody.
    left = family.left_behind()
    if not fine:
        left.append(f"exit code {code}: {err[-500:]}")
    return left, f"{locks}: {struck} killed"


def main():
    hobbs = os.path.abspath(sys.argv[1])
    kills = int(sys.argv[2]) if len(sys.argv) > 2 else 8
    chance = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    become_subreaper()
    tempfile.tempdir = os.environ.get("TEST_TMPDIR")
    failed = 0
    for number in range(1, kills + 1):
        left, words = one_round(hobbs, number, chance)
        failed += bool(left)
        print(f"{number}. {words}: {'left: ' + '; '.join(left) if left else 'nothing left'}",
              flush=True)
    print(f"{kills} kills, {failed} left something")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
