// The interpreter: one worker's steps, as calls of the lock under test.
//
// A template over its host, which owns the lock's memory and watches (Explorer's execution, or the
// execution graphs'). The host supplies:
//   const Program& program();  const LockOps& ops();  void* lock_at(unsigned lock);
//   std::int64_t now();
//   void begins(int w, const Step&, std::int64_t deadline);   a call of the lock begins
//   void ends(int w, const Step&, Outcome);                    ... and has returned
//   void work(int w, unsigned lock, Mode mode);                touches the data it guards
//   void breathe(int w);                                       a point where others may go first
//   void meet(int w, int count);  void rest(int w, std::int64_t ns);
//   bool await_hold(int w, unsigned lock);                     until somebody holds it (for post)
//   void fork(int w);  void die(int w);  void destroy(int w, unsigned lock);
//   void begin_block(int w);  void end_block(int w);           nobody else moves in between
// Every one of them may switch to other fibres and come back later or never.
#pragma once

#include <array>
#include <cstdint>

#include "scenarios/program.h"

namespace hobbs::explore {

/// Where a worker is in its steps, and what it holds. Plain data: a fork copies it.
struct Progress {
  struct Hold {
    std::uint8_t lock;
    Mode mode;
    bool held;
    std::uint32_t times;
  };
  static constexpr std::size_t kMaxHolds = 1024;  // Nested acquiring steps of one worker.

  std::uint32_t round = 0;
  std::uint32_t step = 0;
  std::uint32_t holds = 0;
  std::array<Hold, kMaxHolds> hold;

  void begin() { round = step = holds = 0; }
  /// A forked child goes on behind the fork and holds nothing.
  void begin_as_child(const Progress& parent) {
    round = parent.round;
    step = parent.step + 1;
    holds = parent.holds;
    for (std::uint32_t i = 0; i < holds; ++i) {
      hold[i] = parent.hold[i];
      hold[i].held = false;
    }
  }
};

template <class Host>
class Interpreter {
 public:
  /// Runs worker `w` (index into the program's workers: `script`) to its end.
  [[gnu::always_inline]] static void run(Host& host, int w, int script, Progress& at) {
    const Program& program = host.program();
    const Step* const steps = program.workers[static_cast<std::size_t>(script)].data();
    const std::size_t n_steps = program.workers[static_cast<std::size_t>(script)].size();
    const std::uint32_t rounds = program.repeat;
    for (; at.round < rounds; ++at.round, at.step = 0) {
      for (; at.step < n_steps; ++at.step) perform(host, w, steps[at.step], at);
    }
  }

 private:
  // What nearly every step is made of is inlined into run(): a fibre that resumes deep in a chain
  // of calls returns where the processor does not expect it to, level by level.
  [[gnu::always_inline]] static void perform(Host& host, int w, const Step& step, Progress& at) {
    if (step.verb == Verb::kAcquire) {
      return acquire(host, w, {Verb::kAcquire, step.mode, step.lock, step.amount}, at);
    }
    if (step.verb == Verb::kRelease) return release(host, w, at);
    if (step.verb == Verb::kWork) return work(host, w, step, at);
    perform_rare(host, w, step, at);
  }

  [[gnu::noinline]] static void perform_rare(Host& host, int w, const Step& step, Progress& at) {
    switch (step.verb) {
      case Verb::kAcquire:
      case Verb::kRelease:
      case Verb::kWork: return;  // Dealt with.
      case Verb::kTry:
      case Verb::kTimed: return acquire(host, w, step, at);
      case Verb::kUpgrade:
      case Verb::kTryUpgrade:
      case Verb::kDowngrade: return convert(host, w, step, at);
      case Verb::kMeet: return host.meet(w, static_cast<int>(step.amount));
      case Verb::kPost:
        if (host.await_hold(w, step.lock)) give_back(host, w, step);
        return;
      case Verb::kMisuse: return give_back(host, w, step);
      case Verb::kFork: return host.fork(w);
      case Verb::kDie: return host.die(w);
      case Verb::kDestroy: return host.destroy(w, step.lock);
      case Verb::kRest: return host.rest(w, step.amount);
      case Verb::kExec:  // Another program inherits nothing but open files.
        if constexpr (requires { host.exec(w); }) host.exec(w);
        return;
    }
  }

  [[gnu::always_inline]] static void work(Host& host, int w, const Step& step, Progress& at) {
    for (std::uint32_t i = at.holds; i-- > 0;) {
      if (at.hold[i].lock != step.lock || !at.hold[i].held) continue;
      host.work(w, step.lock, at.hold[i].mode);
      if (step.amount > 0) host.rest(w, step.amount);
      return;
    }
  }

  [[gnu::always_inline]] static Outcome call(Host& host, Step step, std::int64_t deadline_ns) {
    const LockOps& ops = host.ops();
    void* const lock = host.lock_at(step.lock);
    if (step.mode == Mode::kExclusive) {
      if (step.verb == Verb::kAcquire) return ops.acquire(lock);
      if (step.verb == Verb::kRelease) return ops.release(lock);
    }
    return call_rare(host, step, deadline_ns, lock);
  }

  [[gnu::noinline]] static Outcome call_rare(Host& host, Step step, std::int64_t deadline_ns,
                                             void* lock) {
    const LockOps& ops = host.ops();
    const bool shared = step.mode == Mode::kShared;
    switch (step.verb) {
      case Verb::kAcquire: return shared ? ops.acquire_shared(lock) : ops.acquire(lock);
      case Verb::kTry: return shared ? ops.try_acquire_shared(lock) : ops.try_acquire(lock);
      case Verb::kTimed:
        return shared ? ops.acquire_shared_until(lock, deadline_ns)
                      : ops.acquire_until(lock, deadline_ns);
      case Verb::kUpgrade: return ops.upgrade(lock);
      case Verb::kTryUpgrade: return ops.try_upgrade(lock);
      case Verb::kDowngrade: return ops.downgrade(lock);
      default: return shared ? ops.release_shared(lock) : ops.release(lock);
    }
  }

  [[gnu::always_inline]] static Outcome observed(Host& host, int w, Step step) {
    // A call that may fail begins where the scheduler wants it to, so that what was over before it
    // began cannot excuse the failure. (Elsewhere the point would only cost time.)
    if (step.verb == Verb::kTry || step.verb == Verb::kTimed) host.breathe(w);
    const std::int64_t deadline_ns =
        step.verb == Verb::kTimed ? deadline_of(step, host.now()) : INT64_MAX;
    host.begins(w, step, deadline_ns);
    const Outcome outcome = call(host, step, deadline_ns);
    host.ends(w, step, outcome);
    return outcome;
  }

  [[gnu::noinline]] static Outcome observed_again(Host& host, int w, Step step) {
    return observed(host, w, step);
  }

  [[gnu::always_inline]] static void acquire(Host& host, int w, Step step, Progress& at) {
    const bool held = holds(observed(host, w, step));
    std::uint32_t times = 1;
    if (step.verb == Verb::kAcquire && step.amount > 1 && held) [[unlikely]] {
      times += nest(host, w, step);
    }
    if (at.holds >= Progress::kMaxHolds) [[unlikely]]
      return;
    Progress::Hold& hold = at.hold[at.holds++];
    hold.lock = step.lock;
    hold.mode = step.mode;
    hold.held = held;
    hold.times = times;
  }

  /// Deep nesting: only the first and the last of many acquires are worth interleaving.
  [[gnu::noinline]] static std::uint32_t nest(Host& host, int w, Step step) {
    std::uint32_t times = 0;
    host.begin_block(w);
    for (std::int64_t i = 1; i < step.amount; ++i) {
      if (holds(observed_again(host, w, step))) ++times;
    }
    host.end_block(w);
    return times;
  }

  [[gnu::always_inline]] static void release(Host& host, int w, Progress& at) {
    if (at.holds == 0) return;
    const Progress::Hold& hold = at.hold[--at.holds];
    if (!hold.held) return;
    const std::uint32_t times = hold.times;
    const Step step{Verb::kRelease, hold.mode, hold.lock, 0};
    observed(host, w, step);
    if (times != 1) [[unlikely]]
      unnest(host, w, step, times);
  }

  [[gnu::noinline]] static void unnest(Host& host, int w, Step step, std::uint32_t times) {
    host.breathe(w);
    host.begin_block(w);
    for (std::uint32_t i = 2; i < times; ++i) give_back(host, w, step);
    host.end_block(w);
    host.breathe(w);
    give_back(host, w, step);
  }

  static void give_back(Host& host, int w, Step step) { observed_again(host, w, step); }

  static void convert(Host& host, int w, Step step, Progress& at) {
    for (std::uint32_t i = at.holds; i-- > 0;) {
      Progress::Hold& hold = at.hold[i];
      if (hold.lock != step.lock || !hold.held) continue;
      const bool down = step.verb == Verb::kDowngrade;
      if ((hold.mode == Mode::kExclusive) != down) return;
      const Outcome outcome = observed_again(host, w, step);
      if (down || holds(outcome)) hold.mode = down ? Mode::kShared : Mode::kExclusive;
      return;
    }
  }
};

}  // namespace hobbs::explore
