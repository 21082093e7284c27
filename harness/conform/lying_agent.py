"""The Python agent with one lie, for the tests: each lie must be caught by the runner.

usage: lying_agent.py LIE SOCKET_PATH

LIE "none" is the honest agent. Lies about locks replace th.Lock by a class; lies about the
protocol replace how the agent talks.
"""

import importlib.util
import os
import socket
import sys
import threading
import time


def load_agent():
    here = os.path.dirname(os.path.abspath(__file__))
    path = os.path.join(here, "..", "..", "locks", "agents", "python_agent.py")
    spec = importlib.util.spec_from_file_location("python_agent", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LIE, WHERE = sys.argv[1:3]
DIED = os.path.join(os.environ.get("TEST_TMPDIR", "/tmp"), "lying_agent_died")
agent = load_agent()


class Lock:
    """threading.Lock, but for the lie."""

    def __init__(self):
        self.lock = threading.Lock()

    def acquire(self, blocking=True, timeout=-1):
        if LIE == "wrong result":
            self.lock.acquire(blocking, timeout)
            return None
        if LIE == "wrong type":
            return 1 if self.lock.acquire(blocking, timeout) else 0
        if LIE == "returns though held":
            return True
        if LIE == "returns late though held":
            return self.lock.acquire(blocking, 0.1 if blocking and timeout < 0 else timeout)
        if LIE == "times out early":
            return self.lock.acquire(blocking, timeout / 2 if timeout > 0 else timeout)
        if LIE == "times out late":
            return self.lock.acquire(blocking, timeout + 2 if timeout > 0 else timeout)
        if LIE == "computes" and self.lock.locked():
            while True:
                pass
        if LIE == "dies" and self.lock.locked():
            print("cannot go on", file=sys.stderr, flush=True)
            os._exit(3)
        if LIE == "dies once" and self.lock.locked() and not os.path.exists(DIED):
            open(DIED, "x").close()
            os._exit(3)
        return self.lock.acquire(blocking, timeout)

    def release(self):
        if LIE == "never wakes":
            return
        if LIE == "wrong error" and not self.lock.locked():
            raise ValueError("release unlocked lock")
        if LIE == "no error" and not self.lock.locked():
            return
        if LIE == "blocks in release":
            threading.Event().wait()
        self.lock.release()


class LyingChannel(agent.Channel):
    def send(self, message):
        if "hello" in message:
            if LIE == "says no hello":
                return
            if LIE == "false process":
                message["pid"] = 1
        elif LIE == "garbage":
            self.socket.sendall(b"neither {JSON nor sense\n")
            return
        elif LIE == "nests deeply":
            self.socket.sendall(b"[" * 450_000 + b"]" * 450_000 + b"\n")
            return
        elif LIE == "no text":
            self.socket.sendall(b'{"id": \xff\xfe\n')
            return
        elif LIE == "no result":
            message.pop("r", None)
        elif LIE == "false times":
            message["t0"] -= 10**9
        elif LIE == "future times":
            message["t1"] += 10**9
        elif LIE == "answers twice":
            super().send(message)
        elif LIE == "no end of line":
            self.socket.sendall(b"x" * (2 << 20))
            return
        super().send(message)


agent.Channel = LyingChannel
original_make = agent.make
agent.make = lambda kind, *rest: Lock() if kind == "th.Lock" else original_make(kind, *rest)
if LIE == "never connects":
    time.sleep(1000)
elif LIE == "ends at once":
    sys.exit("no way to start")
elif LIE == "hangs up":
    socket.socket(socket.AF_UNIX).connect(WHERE)
else:
    agent.Agent(WHERE, name="root").serve()
