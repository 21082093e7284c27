"""Measures Python's locks: the optional operations "locks" and "bench" of the agents' protocol.

A round forks its processes, each of which starts its threads; they call as fast as they can until
told to stop, and what they do before all have called counts for nothing: the first ones work alone
until the others get their turn. Workers share the words of one page of memory; each process sends
what its workers did as one JSON object through a pipe of its own.
"""

import array
import collections
import contextlib
import functools
import importlib.util
import itertools
import json
import mmap
import operator
import os
import random
import resource
import select
import signal
import threading
import time

# The words that all workers share, each on a cache line of its own.
PHASE, COUNTED_FROM_NS, ENTRIES, LAST_WORKER, RELEASED_NS = range(0, 5 * 8, 8)
PING_PONG = 5 * 8  # Announced and entered, of each of the two.
WARM_UP, COUNTED, OVER = range(3)

SLEEP_FROM_NS = 200_000  # Shorter waits for the next call spin.
SLEEP_SLACK_NS = 100_000
SIGNIFICANT_BITS = 8  # Of the durations that are told: the buckets of hobbs's histogram.
OVERDUE_MAX = 1_000_000
GAPS = 4096  # Between the calls of one worker of an open loop; then they come again.
HISTOGRAMS = ("acquire", "response", "handoff", "bypass")
PR_SET_PDEATHSIG = 1

ONE_PROCESS = "it is for threads of one process: a forked process has a copy of its own"
ONE_THREAD = "fasteners gives several threads of one process no guarantees"
NO_SHARED, NO_TRY, NO_TIMED = "it has no shared mode", "it has no try", "it has no timed acquire"

clock_ns = time.monotonic_ns  # One clock for all processes.


def locks():
    """The kinds that can be measured, and what of a workload each refuses, why."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # The terminal's: hobbs ends what it began.
    threads = {"processes": ONE_PROCESS, "shared": NO_SHARED}
    file = {"threads": ONE_THREAD}
    contexts_only = {"processes": ONE_PROCESS, "try": NO_TRY, "timed": NO_TIMED}
    kinds = {"nothing": {}}
    kinds.update((kind, threads) for kind in ("th.Lock", "th.RLock", "th.Semaphore"))
    kinds.update((kind, {"shared": NO_SHARED})
                 for kind in ("mp.Lock", "mp.RLock", "mp.Semaphore", "mp.BoundedSemaphore"))
    kinds["fa.InterProcessLock"] = {**file, "shared": NO_SHARED}
    kinds["fa.InterProcessReaderWriterLock"] = file
    kinds["fa.ReaderWriterLock"] = contexts_only
    if importlib.util.find_spec("fasteners") is None:
        kinds.update((kind, {"all": "this Python has no fasteners"})
                     for kind in kinds if kind.startswith("fa."))
    return [{"kind": kind, "refuses": refuses} for kind, refuses in kinds.items()]


class Nothing:
    """A lock that does nothing, called as mp.Lock is, a function of C: what is left is the loop."""

    acquire = release = staticmethod("a".isalpha)


def by_context(manager):
    """The calls of a lock that is only offered as a context manager, for one worker."""
    held = []

    def acquire():
        entered = manager()
        entered.__enter__()
        held.append(entered)
        return True

    return acquire, lambda: held.pop().__exit__(None, None, None)


def calls_of(kind, lock, shape, timeout_s):
    """(acquire, release, acquire_shared, release_shared) as a worker is to call them."""
    if kind == "fa.ReaderWriterLock":
        return by_context(lock.write_lock) + by_context(lock.read_lock)
    how = {}
    if shape == "try":
        how = {"blocking": False} if kind.startswith(("fa.", "th.")) else {"block": False}
    elif shape == "timed":
        how = {"timeout": timeout_s}
    of = functools.partial if how else lambda call: call
    if kind == "fa.InterProcessReaderWriterLock":
        return (of(lock.acquire_write_lock, **how), lock.release_write_lock,
                of(lock.acquire_read_lock, **how), lock.release_read_lock)
    return of(lock.acquire, **how), lock.release, None, None


class Worker:
    """One worker's loop. Its own words are written when the round is over."""

    def __init__(self, order, words, lock, number):
        self.order, self.words, self.number = order, words, number
        self.random = random.Random(number)
        self.acquire, self.release, self.acquire_shared, self.release_shared = calls_of(
            order["kind"], lock, order["shape"], order["timeout_ns"] * 1e-9)
        self.open = order["probe"] == "open"
        self.operations = self.exclusive = self.failures = self.handoffs = 0
        self.awaits_due = False
        # Drawn beforehand: drawing takes longer than many a call.
        self.gaps_ns = itertools.cycle(
            [int(self.random.expovariate(1 / order["gap_ns"])) for _ in range(GAPS)]
            if self.open else [])
        self.times = {name: array.array("q") for name in HISTOGRAMS}

    def run(self, called):
        self.place()
        self.begin_count()
        self.due_ns = self.from_ns
        os.write(called, b".")
        loop = self.loop()
        loop(WARM_UP)
        if self.words[PHASE] == OVER:
            self.count_one_call()
        elif self.order["shape"] != "ping_pong":  # Those two contend from the first call on.
            self.begin_count()
            loop(COUNTED)
        if self.open:
            self.count_overdue()
        if self.failures and self.order["shape"] in ("loop", "ping_pong"):
            raise RuntimeError("acquire() returned without the lock")
        return {"operations": self.operations, "failures": self.failures,
                "handoffs": self.handoffs, "exclusive": self.exclusive,
                "from_ns": self.from_ns, "to_ns": clock_ns(),
                "cpu_ns": time.thread_time_ns() - self.cpu_from_ns,
                "switches": switches() - self.switches_from}

    def loop(self):
        order = self.order
        if order["shape"] == "ping_pong":
            return self.ping_pong
        if order["probe"] != "none":
            return self.probed
        more = order["reads_per_mille"] or order["hold_ns"] or order["think_ns"]
        return self.general if more else self.plain

    def place(self):
        if self.order["pinned"]:
            cores = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(0, {cores[(self.number - 1) % len(cores)]})

    def begin_count(self):
        """Forgets what was done so far, but for what tells whether the lock excludes."""
        self.operations = self.failures = 0
        for times in self.times.values():
            del times[:]
        self.cpu_from_ns, self.switches_from = time.thread_time_ns(), switches()
        self.from_ns = clock_ns()

    def count_one_call(self):
        """It was in one call all the while, or without a core: that is one call, and its wait."""
        if self.order["shape"] == "ping_pong":
            return
        called, failed = self.operations > 0 and not self.awaits_due, self.failures > 0
        self.begin_count()
        if not called:
            return
        self.operations, self.failures = 1, int(failed)
        wait_ns, self.from_ns = self.from_ns - self.words[COUNTED_FROM_NS], self.words[COUNTED_FROM_NS]
        self.times["acquire"].append(wait_ns)
        if self.open:
            self.times["response"].append(wait_ns)

    def plain(self, phase):
        """Nothing but the calls. The guarded count is read before a call and written after it, so
        that a lock that lets two threads in has a moment at which the interpreter may switch."""
        words, acquire, release, add = self.words, self.acquire, self.release, operator.add
        operations = failures = 0
        while words[PHASE] == phase:
            operations += 1
            if acquire():
                words[ENTRIES] = add(words[ENTRIES], 1)
                release()
            else:
                failures += 1
        self.operations += operations
        self.failures += failures
        self.exclusive += operations - failures

    def general(self, phase):
        """With holding, thinking and readers."""
        words, hold_ns, think_ns = self.words, self.order["hold_ns"], self.order["think_ns"]
        reads, chance = self.order["reads_per_mille"] / 1000, self.random.random
        while words[PHASE] == phase:
            self.operations += 1
            shared = reads and chance() < reads
            if not (self.acquire_shared() if shared else self.acquire()):
                self.failures += 1
                continue
            entries = words[ENTRIES]
            busy_for(hold_ns)
            if shared:
                self.release_shared()
            else:
                self.exclusive += 1
                words[ENTRIES] = entries + 1
                self.release()
            if think_ns:  # Of ever other length, so that workers do not fall in step.
                busy_for(think_ns * (0.5 + chance()))

    def probed(self, phase):
        """With two clock reads around each call; in an open loop also from when it was due."""
        words, order, clock, number = self.words, self.order, clock_ns, self.number
        hold_ns, think_ns = order["hold_ns"], order["think_ns"]
        reads, chance = order["reads_per_mille"] / 1000, self.random.random
        waits, bypasses, handoffs, responses = (
            self.times[name].append for name in ("acquire", "bypass", "handoff", "response"))
        is_open, shared, acquire, release = self.open, False, self.acquire, self.release
        while words[PHASE] == phase:
            if is_open and not self.wait_until_due(phase):
                return
            if reads:
                shared = chance() < reads
                acquire = self.acquire_shared if shared else self.acquire
                release = self.release_shared if shared else self.release
            before, called_ns = words[ENTRIES], clock()
            held = acquire()
            now_ns = clock()
            self.operations += 1
            if not held:
                self.failures += 1
                continue
            entries = words[ENTRIES]
            waits(now_ns - called_ns)
            bypasses(max(0, entries - before))
            if is_open:
                responses(now_ns - self.due_ns)
            if not shared and words[LAST_WORKER] not in (0, number):
                self.handoffs += 1
                handoffs(max(0, now_ns - words[RELEASED_NS]))
            busy_for(hold_ns)
            if not shared:
                self.exclusive += 1
                words[ENTRIES] = entries + 1
                words[LAST_WORKER], words[RELEASED_NS] = number, clock()
            release()
            if think_ns and not is_open:
                busy_for(think_ns * (0.5 + chance()))

    def wait_until_due(self, phase):
        """Calls come at random times, whatever still waits. False if the phase ended first."""
        self.due_ns += next(self.gaps_ns)
        while (left_ns := self.due_ns - clock_ns()) > 0:
            self.awaits_due = self.words[PHASE] != phase
            if self.awaits_due:
                return False
            if left_ns > SLEEP_FROM_NS:
                time.sleep((left_ns - SLEEP_SLACK_NS) * 1e-9)
            elif self.order["threads"] > 1:
                time.sleep(0)  # Lets the other threads have the interpreter.
        return True

    def count_overdue(self):
        """Calls that were due before the end and not made count with their waits so far."""
        end_ns, due_ns = clock_ns(), self.due_ns
        for _ in range(OVERDUE_MAX):
            due_ns += next(self.gaps_ns)
            if due_ns >= end_ns:
                return
            self.times["response"].append(end_ns - due_ns)

    def ping_pong(self, _):
        """Worker 1 enters first; each holds until the other is about to call, and calls again only
        after the other has entered: so every release is a hand-off."""
        words, first, probed = self.words, self.number == 1, self.order["probe"] != "none"
        mine, other = PING_PONG + 16 * (self.number - 1), PING_PONG + 16 * (2 - self.number)
        turn = 0
        while True:
            turn += 1
            if not self.seen(other + 8, turn - 1 if first else turn):
                return
            if turn == 2:
                self.begin_count()  # The first waited for the second to start.
            words[mine] = turn
            called_ns = clock_ns() if probed else 0
            if not self.acquire():
                self.failures += 1
                return
            if probed:
                now_ns = clock_ns()
                self.times["acquire"].append(now_ns - called_ns)
                if words[LAST_WORKER] == 3 - self.number:
                    self.handoffs += 1
                    self.times["handoff"].append(max(0, now_ns - words[RELEASED_NS]))
            self.operations += 1
            self.exclusive += 1
            entries = words[ENTRIES]
            words[mine + 8] = turn
            if self.seen(other, turn if first else turn + 1):
                busy_for(self.order["hold_ns"])
            words[ENTRIES] = entries + 1
            if probed:
                words[LAST_WORKER], words[RELEASED_NS] = self.number, clock_ns()
            self.release()

    def seen(self, word, value):
        """Waits until the word has reached the value; false if the round ended first."""
        while self.words[word] < value:
            if self.words[PHASE] == OVER:
                return False
            time.sleep(0)
        return True


def busy_for(duration_ns):
    if not duration_ns:
        return
    until_ns = clock_ns() + duration_ns
    while clock_ns() < until_ns:
        pass


def switches():
    usage = resource.getrusage(resource.RUSAGE_THREAD)
    return usage.ru_nvcsw + usage.ru_nivcsw


def cut(value):
    shift = value.bit_length() - SIGNIFICANT_BITS
    return value if shift <= 0 else value >> shift << shift


def histogram(values):
    """How often each value was met, cut to its first bits; the largest is whole."""
    counts = collections.Counter()
    for value, times in collections.Counter(values).items():
        counts[cut(value)] += times
    if values:
        largest = max(values)
        counts[cut(largest)] -= 1
        counts[largest] += 1
    return [(value, times) for value, times in counts.items() if times]


def die_with(parent):
    """Ends this process when the one that forked it ends."""
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def work(order, words, lock, called, process):
    """What the workers of one process did: one object, or the error of one of them."""
    workers = [Worker(order, words, lock, process * order["threads"] + thread + 1)
               for thread in range(order["threads"])]
    results, errors = [], []

    def run(worker):
        try:
            results.append(worker.run(called))
        except BaseException as error:  # pylint: disable=broad-except  (whatever a lock raises)
            errors.append(f"{type(error).__name__}: {error}")
            words[PHASE] = OVER  # Nothing more can be said of this round.

    threads = [threading.Thread(target=run, args=(worker,)) for worker in workers]
    for thread in threads if len(threads) > 1 else []:
        thread.start()
    if len(workers) == 1:
        run(workers[0])
    for thread in threads if len(threads) > 1 else []:
        thread.join()
    if errors:
        return {"error": errors[0]}
    return {"workers": results,
            **{name: [pair for worker in workers for pair in histogram(worker.times[name])]
               for name in HISTOGRAMS}}


class Child:
    """One forked process of a round and the pipe on which it tells what it did."""

    def __init__(self, body):
        self.text, self.status = b"", None
        self.pipe, write = os.pipe()
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                die_with(parent)
                os.close(self.pipe)
                try:
                    result = body()
                except BaseException as error:  # pylint: disable=broad-except  (told, not raised)
                    result = {"error": f"{type(error).__name__}: {error}"}
                text = json.dumps(result).encode()
                while text:
                    text = text[os.write(write, text):]
            finally:
                os._exit(0)
        os.close(write)

    def read(self):
        """Takes what came; false at the end."""
        data = os.read(self.pipe, 1 << 16)
        self.text += data
        return bool(data)

    def end(self):
        """Kills it, if it is still there."""
        if self.status is not None:
            return
        os.close(self.pipe)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        _, self.status = os.waitpid(self.pid, 0)

    def result(self):
        """What it sent, once the pipe has ended. Raises if that is no result."""
        if not self.text:
            _, self.status = os.waitpid(self.pid, 0)
            os.close(self.pipe)
            if os.WIFSIGNALED(self.status):
                number = os.WTERMSIG(self.status)
                raise RuntimeError(
                    f"a worker was ended by signal {number} ({signal.strsignal(number)})")
            raise RuntimeError(
                f"a worker ended by itself, with code {os.WEXITSTATUS(self.status)}")
        result = json.loads(self.text)
        if "error" in result:
            raise RuntimeError(result["error"])
        return result


class Round:
    """The parent's side: starts the processes, tells the phases, collects, leaves nobody behind."""

    def __init__(self, order, words):
        self.order, self.words = order, words
        self.count = order["processes"] * order["threads"]
        self.children = []
        self.running = set()  # Whose pipe has not ended.

    def start(self, body):
        for process in range(self.order["processes"]):
            self.children.append(Child(functools.partial(body, process)))
        self.running = set(self.children)

    def wait(self, seconds, until=lambda: False, other=()):
        """Takes what the children send, for so long, or until nobody is left or `until` holds."""
        end_s = time.monotonic() + seconds
        while self.running and not until() and (left_s := end_s - time.monotonic()) > 0:
            ready, _, _ = select.select([child.pipe for child in self.running] + list(other), [], [],
                                        left_s)
            for child in [child for child in self.running if child.pipe in ready]:
                if not child.read():
                    self.running.discard(child)
                    child.result()  # Raises if it has none: the others wait in vain.

    def run(self, called):
        patience_s = self.order["patience_ns"] * 1e-9
        begun = 0

        def all_called():
            nonlocal begun
            with contextlib.suppress(BlockingIOError):
                begun += len(os.read(called, self.count))
            return begun == self.count

        self.wait(patience_s, all_called, [called])
        if begun < self.count:
            raise TimeoutError(f"{self.count - begun} of {self.count} workers did not begin "
                               f"within {patience_s:g} s")
        self.words[COUNTED_FROM_NS] = clock_ns()
        self.words[PHASE] = COUNTED
        self.wait(self.order["duration_ns"] * 1e-9)
        self.words[PHASE] = OVER
        self.wait(patience_s)
        if self.running:
            raise TimeoutError(f"{len(self.running)} of {len(self.children)} processes did not come "
                               f"back from the lock within {patience_s:g} s")
        return [child.result() for child in self.children]

    def end(self):
        for child in self.children:
            child.end()


def bench(order, make, in_child):
    """Measures one round. `make` makes a lock of a kind; `in_child` is called in each fork."""
    kind = order["kind"]
    page = mmap.mmap(-1, mmap.PAGESIZE)
    words = memoryview(page).cast("q")
    if kind == "nothing":
        lock = Nothing()
    elif kind.startswith("fa.InterProcess"):
        lock = None  # Each process opens the file itself.
    else:
        lock = make(kind, [], {})
    called, call = os.pipe2(os.O_NONBLOCK)

    def body(process):
        in_child()
        os.close(called)
        own = make(kind, [order["path"]], {}) if lock is None else lock
        return work(order, words, own, call, process)

    the_round = Round(order, words)
    try:
        the_round.start(body)
        results = the_round.run(called)
    finally:
        the_round.end()
        os.close(called)
        os.close(call)
    merged = {name: collections.Counter() for name in HISTOGRAMS}
    for result in results:
        for name, counts in merged.items():
            for value, times in result[name]:
                counts[value] += times
    return {"workers": [worker for result in results for worker in result["workers"]],
            "entries": words[ENTRIES],
            **{name: sorted(counts.items()) for name, counts in merged.items()}}
