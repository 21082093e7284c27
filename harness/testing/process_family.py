"""Runs a command so that whatever it leaves behind is seen: processes, files, shared memory."""

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

PR_SET_CHILD_SUBREAPER = 36
RESULTS = ("hobbs-out", "report.json")  # What a command is meant to leave.
PATIENCE_S = 60  # For the last process of a killed command to go; then it counts as left behind.


def become_subreaper():
    """From now on orphans of our descendants become our children, so that we can wait for them."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_CHILD_SUBREAPER")


def children_of(pid):
    """The pids of a process's living children."""
    pids = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                pids += [int(word) for word in file.read().split()]
    return pids


def name_of(pid):
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
            return file.read().strip()
    return ""


def reap_all():
    """Waits until no descendant is left; returns the names of those that do not go."""

    def too_late(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, too_late)
    signal.alarm(PATIENCE_S)
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        return []
    except TimeoutError:
        left = children_of(os.getpid())
        names = [f"{pid} {name_of(pid)}" for pid in left]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        return names
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def is_json(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        try:
            json.load(file)
        except ValueError:
            return False
    return True


def semaphore_sets():
    """The ids of all System V semaphore sets of this machine (or namespace)."""
    with open("/proc/sysvipc/sem", encoding="ascii") as file:
        return {line.split()[1] for line in file.readlines()[1:]}


class Family:
    """A command, everything it starts, and a scratch directory that is all its own."""

    def __init__(self, command, environment=None, **popen):
        self.directory = tempfile.mkdtemp(prefix="family-")
        self._sets = semaphore_sets()
        sanitizers = {name: value for name, value in os.environ.items()
                      if name.endswith("SAN_OPTIONS")}
        self.environment = {"PATH": os.environ["PATH"], "TMPDIR": self.directory, **sanitizers,
                            **(environment or {})}
        self.process = subprocess.Popen(
            command, env=self.environment, cwd=self.directory, stdin=subprocess.DEVNULL,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **popen})
        self.pid = self.process.pid

    def result(self):
        """Waits for the end; (exit code or minus the signal, standard output, standard error)."""
        out, err = self.process.communicate(timeout=PATIENCE_S * 2)
        return self.process.returncode, (out or b"").decode(), (err or b"").decode()

    def left_behind(self):
        """What is left, in words, once everything that still goes by itself has gone."""
        left = [f"process {name}" for name in reap_all()]
        left += [f"file {name}" for name in os.listdir(self.directory) if name not in RESULTS]
        for folder, _, names in os.walk(self.directory):
            left += [f"torn file {name}" for name in names
                     if os.path.basename(folder) == "hobbs-out" and not is_json(folder, name)]
        left += [f"/dev/shm/{name}" for name in os.listdir("/dev/shm")
                 if f"hobbs-{self.pid}-" in name]
        left += [f"semaphore set {identity}" for identity in self._lasting_sets()]
        shutil.rmtree(self.directory, ignore_errors=True)
        return left

    def _lasting_sets(self):
        """New semaphore sets, but for those of other programs, which go in their time."""
        until = time.monotonic() + PATIENCE_S
        new = semaphore_sets() - self._sets
        while new and time.monotonic() < until:
            time.sleep(0.05)  # tidy: between two looks at what others have.
            new &= semaphore_sets()
        return new
