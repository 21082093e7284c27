#include "harness/bench/worker.h"

#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <new>

namespace hobbs::bench {
namespace {

constexpr std::int64_t kSleepFromNs = 200'000;  // Shorter waits for the next call spin.
constexpr std::int64_t kSleepSlackNs = 100'000;
constexpr std::uint64_t kOverdueMax = 1'000'000;

/// Marsaglia's xorshift64: a nanosecond a number.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u | 1) {}
  std::uint64_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    return state_ ^= state_ << 17;
  }
  std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>((next() >> 32) * bound >> 32);
  }
  /// Exponentially distributed: the gaps of calls that know nothing of each other.
  std::uint64_t exponential(std::uint64_t mean) {
    const double uniform = (static_cast<double>(next() >> 11) + 1) * 0x1p-53;
    return static_cast<std::uint64_t>(-std::log(uniform) * static_cast<double>(mean));
  }

 private:
  std::uint64_t state_;
};

std::int64_t thread_cpu_ns() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

std::uint64_t context_switches() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return static_cast<std::uint64_t>(usage.ru_nvcsw + usage.ru_nivcsw);
}

void sleep_ns(std::int64_t ns) {
  const timespec time{.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
  nanosleep(&time, nullptr);
}

class Round {
 public:
  Round(Arena& arena, std::uint32_t id, const Tsc& tsc, unsigned char* locks)
      : arena_(arena),
        orders_(arena.orders),
        ops_(arena.orders.ops),
        slot_(arena.workers[id]),
        id_(id),
        tsc_(tsc),
        locks_(locks),
        stride_(lock_stride(arena.orders.ops)),
        random_(id) {}

  void run() {
    begin_count();
    count_up(arena_.called);
    dispatch();
    if (counts() && phase_ == Phase::kWarmUp) count_one_call();
    slot_.to_ticks = ticks();
    slot_.cpu_ns = thread_cpu_ns() - cpu_from_ns_;
    slot_.switches = context_switches() - switches_from_;
    slot_.operations = operations_;
    slot_.exclusive = exclusive_;
    slot_.failures = failures_;
    slot_.errors = errors_;
    slot_.handoffs = handoffs_;
  }

 private:
  void dispatch() {
    switch (orders_.shape) {
      case Shape::kLoop: return by_probe<Shape::kLoop>();
      case Shape::kTry: return by_probe<Shape::kTry>();
      case Shape::kTimed: return by_probe<Shape::kTimed>();
      case Shape::kManyLocks: return by_probe<Shape::kManyLocks>();
      case Shape::kPingPong:
        return orders_.probe == Probe::kNone ? ping_pong<Probe::kNone>()
                                             : ping_pong<Probe::kClosed>();
      case Shape::kCrash: return;  // Has processes of its own: crash_recovery.h.
    }
  }

  template <Shape shape>
  void by_probe() {
    switch (orders_.probe) {
      case Probe::kNone: return loop<shape, Probe::kNone>();
      case Probe::kClosed: return loop<shape, Probe::kClosed>();
      case Probe::kOpen: return loop<shape, Probe::kOpen>();
    }
  }

  /// Two that play ping-pong contend from the first call on: all of it is counted.
  bool counts() const { return orders_.shape != Shape::kPingPong; }

  bool stopped() {
    const Phase phase = arena_.phase.load(std::memory_order_relaxed);
    return phase != phase_ && turn(phase);
  }
  /// Whether the round is over.
  [[gnu::noinline]] bool turn(Phase phase) {
    if (phase == Phase::kOver) return true;
    if (counts()) begin_count();
    phase_ = phase;
    return false;
  }
  /// It was in one call all the while, or without a processor: that counts as one call, and its
  /// wait.
  void count_one_call() {
    const bool called = operations_ > 0, failed = failures_ > 0;
    if (operations_ > 1) begin_count();  // The others were the warm-up's.
    slot_.from_ticks = arena_.counted_from_ticks;
    if (!called || operations_ > 0) return;
    operations_ = 1;
    failures_ = failed ? 1 : 0;
    if (orders_.probe == Probe::kNone) return;
    const std::uint64_t wait_ns = tsc_.to_ns(slot_.from_ticks, ticks());
    slot_.acquire.record(wait_ns);
    if (orders_.probe == Probe::kOpen) slot_.response.record(wait_ns);
  }
  /// Forgets what was done so far, but for what tells whether the lock excludes.
  void begin_count() {
    operations_ = failures_ = 0;
    slot_.acquire.clear();
    slot_.response.clear();
    slot_.handoff.clear();
    slot_.bypass.clear();
    cpu_from_ns_ = thread_cpu_ns();
    switches_from_ = context_switches();
    slot_.from_ticks = ticks();
  }

  template <Shape shape, Probe probe>
  void loop() {
    const bool mixed = orders_.reads_per_mille != 0;
    const std::uint64_t think_ticks = orders_.think_ticks;
    std::uint64_t due = ticks();
    while (!stopped()) {
      if constexpr (probe == Probe::kOpen) {
        due += random_.exponential(orders_.gap_ticks);
        if (!wait_until(due)) break;
      }
      std::uint32_t which = 0;
      if constexpr (shape == Shape::kManyLocks) which = random_.below(orders_.locks);
      const bool shared = mixed && random_.below(1000) < orders_.reads_per_mille;
      once<shape, probe>(locks_ + which * stride_, arena_.guarded[which], shared, due);
      if constexpr (probe != Probe::kOpen) {
        // Between half and one and a half times as long, so that workers do not fall in step.
        if (think_ticks != 0) {
          busy_for(think_ticks / 2 + random_.below(static_cast<std::uint32_t>(think_ticks)));
        }
      }
    }
    if constexpr (probe == Probe::kOpen) count_overdue(due);
  }

  template <Shape shape, Probe probe>
  void once(void* lock, Guarded& guarded, bool shared, [[maybe_unused]] std::uint64_t due) {
    [[maybe_unused]] std::uint64_t entries = 0;
    [[maybe_unused]] std::uint64_t called = 0;
    if constexpr (probe != Probe::kNone) {
      entries = guarded.entries.load(std::memory_order_relaxed);
      called = ticks();
    }
    const Outcome outcome = acquire<shape>(lock, shared);
    ++operations_;
    if (!holds(outcome)) {
      ++(outcome == Outcome::kBusy || outcome == Outcome::kTimedOut ? failures_ : errors_);
      return;
    }
    if constexpr (probe != Probe::kNone) {
      const std::uint64_t now = ticks();
      slot_.acquire.record(tsc_.to_ns(called, now));
      if constexpr (probe == Probe::kOpen) slot_.response.record(tsc_.to_ns(due, now));
      slot_.bypass.record(guarded.entries.load(std::memory_order_relaxed) - entries);
      if (!shared) note_handoff(guarded, now);
    }
    enter(guarded, shared);
    busy_for(orders_.hold_ticks);
    if constexpr (probe != Probe::kNone) {
      if (!shared) note_release(guarded);
    }
    release(lock, shared);
  }

  template <Shape shape>
  Outcome acquire(void* lock, bool shared) {
    if constexpr (shape == Shape::kTry) {
      return shared ? ops_.try_acquire_shared(lock) : ops_.try_acquire(lock);
    } else if constexpr (shape == Shape::kTimed) {
      const auto deadline = RealPlatform::now().time_since_epoch().count() + orders_.timeout_ns;
      return ops_.acquire_until(lock, deadline);
    } else {
      return shared ? ops_.acquire_shared(lock) : ops_.acquire(lock);
    }
  }

  void release(void* lock, bool shared) {
    const Outcome outcome = shared ? ops_.release_shared(lock) : ops_.release(lock);
    if (outcome != Outcome::kReleased) ++errors_;
  }

  /// What the lock protects: a count that loses entries if two are inside at once.
  void enter(Guarded& guarded, bool shared) {
    const std::uint64_t entries = guarded.entries.load(std::memory_order_relaxed);
    if (shared) return;
    ++exclusive_;
    if (orders_.exclusive) {
      guarded.entries.store(entries + 1, std::memory_order_relaxed);
    } else {
      guarded.entries.fetch_add(1, std::memory_order_relaxed);
    }
  }

  void note_handoff(Guarded& guarded, std::uint64_t now) {
    if (!orders_.exclusive) return;
    const std::uint32_t last = guarded.last_worker.load(std::memory_order_relaxed);
    if (last == 0 || last == id_) return;
    ++handoffs_;
    slot_.handoff.record(tsc_.to_ns(guarded.released_ticks.load(std::memory_order_relaxed), now));
  }

  void note_release(Guarded& guarded) {
    guarded.last_worker.store(id_, std::memory_order_relaxed);
    guarded.released_ticks.store(ticks(), std::memory_order_relaxed);
  }

  /// False if the round ended first.
  bool wait_until(std::uint64_t due) {
    Spinner spinner;
    while (true) {
      const std::uint64_t now = ticks();
      if (now >= due) return true;
      if (stopped()) return false;
      const auto left_ns = static_cast<std::int64_t>(tsc_.to_ns(now, due));
      if (left_ns > kSleepFromNs) {
        sleep_ns(left_ns - kSleepSlackNs);
      } else {
        spinner.once();
      }
    }
  }

  /// Calls that were due before the end and not made count with the time they have waited so far:
  /// leaving them out would be the very omission that this probe is there to avoid.
  void count_overdue(std::uint64_t due) {
    const std::uint64_t end = ticks();
    for (std::uint64_t i = 0; i < kOverdueMax; ++i) {
      due += random_.exponential(orders_.gap_ticks);
      if (due >= end) return;
      slot_.response.record(tsc_.to_ns(due, end));
    }
  }

  /// Worker 1 enters first; each holds until the other has said that it is about to call, and
  /// calls again only after the other has entered: so every release is a hand-off.
  template <Probe probe>
  void ping_pong() {
    PingPong& mine = arena_.ping_pong[id_ - 1];
    PingPong& other = arena_.ping_pong[2 - id_];
    Guarded& guarded = arena_.guarded[0];
    for (std::uint64_t turn = 1;; ++turn) {
      // Worker 2's call number k answers worker 1's entry number k.
      if (!seen(other.entered, id_ == 1 ? turn - 1 : turn)) return;
      mine.announced.store(turn, std::memory_order_relaxed);
      [[maybe_unused]] std::uint64_t called = 0;
      if constexpr (probe != Probe::kNone) called = ticks();
      if (!holds(ops_.acquire(locks_))) {
        ++errors_;
        return;
      }
      if constexpr (probe != Probe::kNone) {
        const std::uint64_t now = ticks();
        slot_.acquire.record(tsc_.to_ns(called, now));
        note_handoff(guarded, now);
      }
      ++operations_;
      enter(guarded, false);
      mine.entered.store(turn, std::memory_order_relaxed);
      if (seen(other.announced, id_ == 1 ? turn : turn + 1)) busy_for(orders_.hold_ticks);
      if constexpr (probe != Probe::kNone) note_release(guarded);
      release(locks_, false);
    }
  }

  /// Waits until the word has reached the value; false if the round ended first.
  bool seen(const std::atomic<std::uint64_t>& word, std::uint64_t value) {
    Spinner spinner;
    while (word.load(std::memory_order_relaxed) < value) {
      if (stopped()) return false;
      spinner.once();
    }
    return true;
  }

  Arena& arena_;
  const Orders& orders_;
  const LockOps ops_;
  WorkerSlot& slot_;
  const std::uint32_t id_;
  const Tsc& tsc_;
  unsigned char* locks_;
  const std::size_t stride_;
  Random random_;
  Phase phase_ = Phase::kWarmUp;
  std::int64_t cpu_from_ns_ = 0;
  std::uint64_t switches_from_ = 0;
  std::uint64_t operations_ = 0;
  std::uint64_t exclusive_ = 0;
  std::uint64_t failures_ = 0;
  std::uint64_t errors_ = 0;
  std::uint64_t handoffs_ = 0;
};

/// A path lock's object belongs to one worker; a memory lock's to all, and worker 1 makes it.
class Homes {
 public:
  Homes(Arena& arena, std::uint32_t id)
      : orders_(arena.orders), stride_(lock_stride(arena.orders.ops)), owner_(true) {
    if (orders_.home == Home::kMemory) {
      at_ = arena.locks;
      owner_ = id == 1;
    } else {
      const auto align = static_cast<std::align_val_t>(std::max(kLine, orders_.ops.align));
      at_ = static_cast<unsigned char*>(::operator new(stride_, align));
      buffer_ = Buffer(at_, Free{align});
    }
    if (!owner_) return;
    std::memset(at_, 0, stride_ * orders_.locks);
    for (std::uint32_t i = 0; i < orders_.locks; ++i) {
      orders_.ops.construct(at_ + i * stride_, orders_.path);
    }
  }
  bool shared() const { return orders_.home == Home::kMemory; }
  bool owner() const { return owner_; }
  unsigned char* locks() const { return at_; }
  void destroy() {
    if (!owner_) return;
    for (std::uint32_t i = 0; i < orders_.locks; ++i) orders_.ops.destroy(at_ + i * stride_);
  }

 private:
  struct Free {
    std::align_val_t align;
    void operator()(unsigned char* at) const { ::operator delete(at, align); }
  };
  using Buffer = std::unique_ptr<unsigned char, Free>;

  const Orders& orders_;
  std::size_t stride_;
  bool owner_;
  unsigned char* at_ = nullptr;
  Buffer buffer_{nullptr, Free{}};
};

void place(std::uint32_t id, bool pinned) {
  static const cpu_set_t allowed = [] {
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof set, &set);
    return set;
  }();
  cpu_set_t chosen = allowed;
  if (pinned) {
    int skip = static_cast<int>(id - 1) % CPU_COUNT(&allowed);
    CPU_ZERO(&chosen);
    for (int core = 0; core < CPU_SETSIZE; ++core) {
      if (CPU_ISSET(core, &allowed) && skip-- == 0) CPU_SET(core, &chosen);
    }
  }
  sched_setaffinity(0, sizeof chosen, &chosen);
}

}  // namespace

void count_up(std::atomic<std::uint32_t>& word) {
  word.fetch_add(1);
  RealPlatform::futex_wake(word, INT32_MAX);
}

void await(std::atomic<std::uint32_t>& word, std::uint32_t value) {
  for (std::uint32_t now = word.load(); now != value; now = word.load()) {
    RealPlatform::futex_wait(word, now);
  }
}

void work(Arena& arena, std::uint32_t id, const Tsc& tsc) {
  const std::uint32_t workers = arena.orders.workers;
  RealPlatform::attach(id);
  place(id, arena.orders.pinned);
  Homes homes(arena, id);
  count_up(arena.arrived);
  await(arena.go, 1);
  // Those that wake first wait for the last, running: so all of them begin at once.
  count_up(arena.started);
  Spinner spinner;
  while (arena.started.load(std::memory_order_relaxed) < workers) spinner.once();
  Round(arena, id, tsc, homes.locks()).run();
  if (!homes.shared()) homes.destroy();
  count_up(arena.done);
  if (id != 1) return;
  await(arena.done, workers);
  if (homes.shared()) homes.destroy();
  count_up(arena.finished);
}

}  // namespace hobbs::bench
