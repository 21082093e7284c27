"""The Python agent with locks that misbehave while they are measured, for the tests.

usage: planted_agent.py SOCKET_PATH
"""

import os
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "..", "locks", "agents"))
sys.dont_write_bytecode = True

import python_agent  # noqa: E402
import python_bench  # noqa: E402


class Planted:
    """A lock whose calls do what its kind says."""

    def __init__(self, kind):
        self.kind = kind
        if kind == "planted.ends_the_agent":
            os._exit(3)

    def acquire(self):
        if self.kind == "planted.dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.kind == "planted.leaves":
            os._exit(3)
        if self.kind == "planted.hangs":
            signal.pause()
        if self.kind == "planted.raises":
            raise ValueError("no such luck")
        return self.kind != "planted.fails"

    def release(self):
        pass


def make(kind, arguments, keywords):
    return Planted(kind) if kind.startswith("planted.") else original(kind, arguments, keywords)


original = python_agent.make
python_agent.make = make
locks = python_bench.locks
python_bench.locks = lambda: locks() + [{"kind": "planted.dies"}]
python_agent.Agent(sys.argv[1], name="root").serve()
