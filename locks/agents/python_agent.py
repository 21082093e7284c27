"""Serves Python's own locks to hobbs: one JSON object a line over a Unix socket.

usage: python_agent.py SOCKET_PATH | fd:N

A request names a thread; each thread of the agent is made at its first request and stays, and a
thread of its own reads the channel, so that no call that blocks keeps others from being made.
"main" is the real main thread: signal handlers run there. Every forked child opens a connection of
its own and says hello.

request   {"id": 1, "th": "t1", "op": "call", "obj": "L", "m": "acquire", "a": [false], "k": {}}
reply     {"id": 1, "pid": 7, "tid": 9, "t0": ns, "t1": ns, "r": true}
      or  {"id": 1, "pid": 7, "tid": 9, "t0": ns, "t1": ns, "e": "ValueError", "msg": "..."}
t0 and t1 are CLOCK_MONOTONIC around the call; tid is the kernel's id of the thread that made it.

Nothing that a fork must not meet half-way (imports, thread pools) is done behind a request's back.
"""

import gc
import json
import os
import queue
import signal
import socket
import sys
import threading
import time

MESSAGE_CHARS_MAX = 200

objects = {}   # Name -> lock or whatever else was made.
entered = {}   # (thread, name) -> stack of context managers that were entered.
records = {}   # "sleeps" and "log": what '@rec:N' and '@log' arguments wrote down.


def recording_sleep(limit):
    """A sleep function that never sleeps: it notes each duration, and ends the limit-th by raising."""
    sleeps = records["sleeps"] = []

    def sleep(duration):
        sleeps.append(round(duration, 6))
        if len(sleeps) >= limit:
            raise InterruptedError("rec")

    return sleep


def recording_logger():
    """A logger whose lines, up to where they name a path, are noted with their level."""
    import logging

    lines = records["log"] = []

    class Handler(logging.Handler):
        def emit(self, record):
            text = record.getMessage().split(" `")[0].split("%")[0]
            lines.append([record.levelno, text[:40]])

    logger = logging.Logger("hobbs", 1)
    logger.addHandler(Handler())
    return logger


def resolve_keywords(keywords):
    """Replaces '@rec:N' by a recording sleep function and '@log' by a recording logger."""

    def resolve(value):
        if isinstance(value, str) and value.startswith("@rec:"):
            return recording_sleep(int(value[len("@rec:"):]))
        return recording_logger() if value == "@log" else value

    return {name: resolve(value) for name, value in keywords.items()}


def decorated(decorator, path, body):
    """A function under one of fasteners' decorators; body is ret:JSON, raise:Error, sleep:S, recurse."""
    import builtins

    import fasteners

    what, _, argument = body.partition(":")

    def function(*arguments):
        if what == "ret":
            return json.loads(argument)
        if what == "raise":
            raise getattr(builtins, argument)("deco")
        if what == "sleep":
            return time.sleep(float(argument))
        if what == "recurse":
            return 0 if arguments and arguments[0] == 0 else wrapped(0)
        raise ValueError("unknown body " + body)

    wrapped = getattr(fasteners, decorator)(path)(function)
    return wrapped


def attach_semaphore(name, kind, max_value):
    """A multiprocessing lock on a POSIX semaphore that another program made."""
    from multiprocessing import synchronize

    if kind == 0:
        cls = synchronize.RLock
    else:
        cls = synchronize.Lock if max_value == 1 else synchronize.Semaphore
    lock = cls.__new__(cls)
    lock.__setstate__((0, kind, max_value, name))
    return lock


def make(kind, arguments, keywords):
    """Makes mp.[CONTEXT.]X, mp.attach, th.X, fa.X, fa.deco or mpu.X."""
    keywords = resolve_keywords(keywords)
    family, _, name = kind.partition(".")
    if kind == "fa.deco":
        return decorated(*arguments)
    if kind == "mp.attach":
        return attach_semaphore(*arguments)
    if family == "mp":
        import multiprocessing

        if scratch := os.environ.get("HOBBS_SCRATCH"):  # The caller removes what has it in its name.
            multiprocessing.current_process()._config["semprefix"] = "/mp-" + scratch
        context, _, name = name.rpartition(".")
        return getattr(multiprocessing.get_context(context or None), name)(*arguments, **keywords)
    if family == "th":
        return getattr(threading, name)(*arguments, **keywords)
    if family == "fa":
        import fasteners

        return getattr(fasteners, name)(*arguments, **keywords)
    if family == "mpu":
        import multiprocessing_utils

        return getattr(multiprocessing_utils, name)(*arguments, **keywords)
    raise KeyError(kind)


def follow(thing, path):
    for name in filter(None, path.split(".")):
        thing = getattr(thing, name)
    return thing


def jsonable(value):
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    return repr(value)


class Channel:
    """One connection; lines are sent whole, by any thread."""

    def __init__(self, where, **hello):
        if where.startswith("fd:"):
            self.socket = socket.socket(fileno=int(where[len("fd:"):]))
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(where)
        self.lines = self.socket.makefile("rb")
        self.lock = threading.Lock()
        self.send({"hello": 1, "pid": os.getpid(), "py": sys.version.split()[0], **hello})

    def send(self, message):
        data = (json.dumps(message) + "\n").encode()
        with self.lock:
            self.socket.sendall(data)


class Agent:
    def __init__(self, where, **hello):
        self.where = where
        self.channel = Channel(where, **hello)
        self.queues = {"main": queue.SimpleQueue()}  # Of each thread; None ends the thread.

    def serve(self):
        """Answers requests, as the thread "main", until it is told to quit."""
        threading.Thread(target=self.read, daemon=True).start()
        self.work(self.queues["main"])

    def read(self):
        for line in self.channel.lines:
            request = json.loads(line)
            thread = request.get("th", "main")
            if request["op"] == "quit":
                self.queues["main"].put(None)
            elif request["op"] == "join":
                self.queues.pop(request["name"]).put(None)
            else:
                if thread not in self.queues:
                    self.queues[thread] = queue.SimpleQueue()
                    threading.Thread(target=self.work, args=(self.queues[thread],), daemon=True).start()
                self.queues[thread].put(request)
        os._exit(0)  # The other side is gone; the main thread may be blocked for ever.

    def work(self, requests):
        for request in iter(requests.get, None):
            self.answer(request)

    def answer(self, request):
        reply = {"id": request.get("id"), "pid": os.getpid(), "tid": threading.get_native_id()}
        reply["t0"] = time.monotonic_ns()
        try:
            result = self.perform(request)
            reply["t1"] = time.monotonic_ns()
            reply["r"] = jsonable(result)
        except BaseException as error:  # pylint: disable=broad-except  (whatever a lock raises)
            reply["t1"] = time.monotonic_ns()
            reply["e"] = type(error).__name__
            reply["msg"] = str(error)[:MESSAGE_CHARS_MAX]
        self.channel.send(reply)

    def perform(self, request):
        op, name, member = request["op"], request.get("obj"), request.get("m", "")
        arguments, keywords = request.get("a", []), request.get("k", {})
        if op == "ping":
            return None
        if op == "new":
            objects[name] = make(request["kind"], arguments, keywords)
        elif op == "del":
            del objects[name]
            gc.collect()
        elif op == "call":
            return follow(objects[name], member)(*arguments, **resolve_keywords(keywords))
        elif op == "get":
            return follow(objects[name], member)
        elif op == "set":
            setattr(objects[name], member, arguments[0])
        elif op == "delattr":
            delattr(objects[name], member)
        elif op == "rec":
            return list(records.get(member, []))
        elif op == "enter":
            manager = objects[name]
            if member:
                manager = getattr(manager, member)(*arguments, **keywords)
            result = manager.__enter__()
            entered.setdefault((request.get("th"), name), []).append(manager)
            return result
        elif op == "exit":
            return entered[(request.get("th"), name)].pop().__exit__(None, None, None)
        elif op == "alarm":
            self.alarm(*arguments)
        elif op in ("fork", "mpfork"):
            return self.fork(op == "mpfork", request.get("name"))
        elif op in ("locks", "bench"):
            import python_bench

            if op == "locks":
                return python_bench.locks()
            return python_bench.bench(request, make, self.leave_channel)
        else:
            raise KeyError(op)
        return None

    def leave_channel(self):
        """In a forked child: the parent's end must be seen as its end."""
        os.close(self.channel.socket.detach())

    @staticmethod
    def alarm(seconds, raises):
        def handler(*_):
            if raises:
                raise InterruptedError("alarm")

        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def fork(self, hooked, name):
        """Forks with multiprocessing's hooks or bare; the child serves until it is told to quit.

        It is waited for, so that it leaves no zombie when it ends: kill(pid, 0) finds that alive.
        """

        def child():
            self.leave_channel()
            Agent(self.where, name=name, ppid=os.getppid()).serve()
            os._exit(0)

        if hooked:
            import multiprocessing

            process = multiprocessing.get_context("fork").Process(target=child)
            process.start()
            objects["process:%s" % name] = process
            threading.Thread(target=process.join, daemon=True).start()
            return process.pid
        pid = os.fork()
        if pid == 0:
            child()
        threading.Thread(target=os.waitpid, args=(pid, 0), daemon=True).start()
        return pid


if __name__ == "__main__":
    Agent(sys.argv[1], name="root").serve()
