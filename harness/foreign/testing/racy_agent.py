"""The Python agent with one lock between processes that is broken in one way, or not, for the tests.

usage: racy_agent.py BUG SOCKET_PATH

BUG          mp.Lock is
  none       a byte of a shared file that is tested and set under the kernel's lock on the file
  byte       the same byte, tested, and then set: two processes may both have seen it free
  exists     a lock file that is looked for, and then made
  created    a lock file that is made by whoever finds none, in one step; whoever waits looks again
             a little later
  wake       a pipe with one token: the healthy form, for "lost"
  lost       the same, but whoever gives it back does so only if somebody has said that he waits,
             and whoever waits says so after he has looked
  futex      a word on which whoever finds it taken waits in the kernel: the healthy form, for "early"
  early      the same, but whoever gives it back looks for waiters before, and not after
  segv       a byte; whoever finds it taken dies of a bad address
fa.InterProcessLock is
  none, ...  the kernel's lock on a file, which ends with its holder
  created    the lock file: nobody removes that of a dead holder
  late       the lock file: whoever waits removes one that is older than a second
"""

import ctypes
import fcntl
import importlib.util
import mmap
import os
import sys
import tempfile
import time


def load_agent():
    here = os.path.dirname(os.path.abspath(__file__))
    path = os.path.join(here, "..", "..", "..", "locks", "agents", "python_agent.py")
    spec = importlib.util.spec_from_file_location("python_agent", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BUG, WHERE = sys.argv[1:3]
POLL_S = 0.001
agent = load_agent()


class Byte:
    """A shared byte: 1 means taken. `atomic`: tested and set while nobody else can."""

    def __init__(self, atomic):
        self.file = tempfile.TemporaryFile()
        self.file.write(b"\0" * mmap.PAGESIZE)
        self.file.flush()
        self.path = "/proc/%d/fd/%d" % (os.getpid(), self.file.fileno())
        self.memory = mmap.mmap(self.file.fileno(), mmap.PAGESIZE)
        self.atomic = atomic

    def try_once(self):
        if self.atomic:
            # A description of its own: what a fork shares does not exclude.
            with open(self.path, "rb") as mine:
                fcntl.flock(mine, fcntl.LOCK_EX)
                return self.test_and_set()
        return self.test_and_set()

    def test_and_set(self):
        if self.memory[0] != 0:
            if BUG == "segv":
                ctypes.string_at(8)
            return False
        self.memory[0] = 1
        return True

    def acquire(self, block=True, timeout=None):
        while not self.try_once():
            if not block:
                return False
            time.sleep(POLL_S)
        return True

    def release(self):
        self.memory[0] = 0


class LockFile:
    """A file that is there while somebody holds the lock."""

    def __init__(self, path=None, atomic=True):
        self.path = path or os.path.join(os.path.dirname(WHERE), "lock-file")
        self.atomic = atomic

    def try_once(self):
        if not self.atomic:
            if os.path.exists(self.path):
                return False
            open(self.path, "w").close()
            return True
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            return False
        return True

    def acquire(self, blocking=True, block=True, timeout=None):
        while not self.try_once():
            if not (blocking and block):
                return False
            time.sleep(POLL_S)
        return True

    def release(self):
        os.unlink(self.path)


class AgingLockFile(LockFile):
    """A lock file that whoever waits takes for a dead holder's after a while."""

    OLD_S = 1.0

    def try_once(self):
        try:
            if time.time() - os.stat(self.path).st_mtime > self.OLD_S:
                os.rename(self.path, self.path + "-old")
        except FileNotFoundError:
            pass
        return super().try_once()


class KernelLock:
    """A lock on a file that ends with its holder."""

    def __init__(self, path):
        self.file = open(path, "a")

    def acquire(self, blocking=True, timeout=None):
        try:
            fcntl.lockf(self.file, fcntl.LOCK_EX | (0 if blocking else fcntl.LOCK_NB))
        except OSError:
            return False
        return True

    def release(self):
        fcntl.lockf(self.file, fcntl.LOCK_UN)


class Pipe:
    """A byte that tells who holds it, and a pipe by which one who waits is woken."""

    def __init__(self, tells_first):
        self.byte = Byte(True)
        self.reader, self.writer = os.pipe()
        self.tells_first = tells_first

    def waiters(self, change):
        with open(self.byte.path, "rb") as mine:
            fcntl.flock(mine, fcntl.LOCK_EX)
            self.byte.memory[1] += change
            return self.byte.memory[1]

    def acquire(self, block=True, timeout=None):
        if self.tells_first:
            self.waiters(1)
        while not self.byte.try_once():
            if not block:
                return False
            if not self.tells_first:
                self.waiters(1)
            os.read(self.reader, 1)
            if not self.tells_first:
                self.waiters(-1)
        if self.tells_first:
            self.waiters(-1)
        return True

    def release(self):
        self.byte.release()
        if self.waiters(0) > 0:
            os.write(self.writer, b"x")


class Futex:
    """A byte that tells who holds it, which is a futex, and one that counts those who wait."""

    WAITERS = 4  # Where they are counted; the word is before it.
    SYSTEM_CALL, WAIT, WAKE = 202, 0, 1

    def __init__(self, looks_early):
        self.byte = Byte(True)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.byte.memory))
        self.looks_early = looks_early
        self.libc = ctypes.CDLL(None)

    def call(self, operation, value):
        self.libc.syscall(self.SYSTEM_CALL, ctypes.c_void_p(self.address), operation, value, None)

    def change_waiters(self, by):
        with open(self.byte.path, "rb") as mine:
            fcntl.flock(mine, fcntl.LOCK_EX)
            self.byte.memory[self.WAITERS] += by

    def acquire(self, block=True, timeout=None):
        while not self.byte.try_once():
            if not block:
                return False
            self.change_waiters(1)
            self.call(self.WAIT, 1)
            self.change_waiters(-1)
        return True

    def release(self):
        waiters = self.byte.memory[self.WAITERS]
        self.byte.release()
        if not self.looks_early:
            waiters = self.byte.memory[self.WAITERS]
        if waiters > 0:
            self.call(self.WAKE, 1)


KINDS = {"none": lambda: Byte(True), "byte": lambda: Byte(False), "segv": lambda: Byte(True),
         "futex": lambda: Futex(False), "early": lambda: Futex(True),
         "exists": lambda: LockFile(atomic=False), "created": LockFile,
         "wake": lambda: Pipe(True), "lost": lambda: Pipe(False)}


def make(kind, arguments, keywords):
    if kind == "mp.Lock":
        return KINDS[BUG]()
    if kind == "fa.InterProcessLock":
        return {"created": LockFile, "late": AgingLockFile}.get(BUG, KernelLock)(arguments[0])
    raise KeyError(kind)


agent.make = make

if __name__ == "__main__":
    agent.Agent(WHERE, name="root").serve()
