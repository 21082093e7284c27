// A world of processes that run a lock's own machine code on modelled processors.
//
// Each worker is a process of one thread. A transition runs one worker from one shared access (or
// fence, or system call) to just before the next, makes one buffered store visible (TSO), ends a
// sleep by a deadline, a signal or for no reason, or kills a worker.
//
// A worker that executes `pause` or sched_yield() under memory that nobody has changed since it
// last did so spins: it waits until somebody changes memory, or it gives up, which runs the spin to
// its own end while all others stand still. So unbounded spinning is finite, and a bounded spin is
// left both ways; what could be met in the middle of a bounded spin is what can be met at its ends.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "harness/step/image.h"
#include "harness/step/runner.h"
#include "harness/step/state.h"
#include "harness/step/transition.h"
#include "locks/lock.h"
#include "scenarios/program.h"

namespace hobbs::step {

/// What a transition broke, or why it could not be followed.
struct Incident {
  enum class Kind : std::uint8_t { kNone, kViolation, kUnknown } kind = Kind::kNone;
  const char* rule = "";  // ME-1, TR-2, ...
  std::string summary;    // One sentence.

  bool none() const { return kind == Kind::kNone; }
  static Incident unknown(std::string summary) { return {Kind::kUnknown, "", std::move(summary)}; }
  static Incident violation(const char* rule, std::string summary) {
    return {Kind::kViolation, rule, std::move(summary)};
  }
};

/// What happened in a transition, for those who ask about more than rules.
struct Event {
  bool returned = false;  // A call ended with `outcome`.
  Outcome outcome = Outcome::kAcquired;
  std::uint32_t instructions = 0;
  bool faults = false;  // The last of them, as its process then does.
};

/// How a world reaches the parts of a state that are not in its head.
class Body {
 public:
  virtual ~Body() = default;
  virtual Pending pending(std::size_t w) = 0;
  /// Moves worker `w`; says in `changed` whether the shared bytes are others now. The reference is
  /// good until the next call.
  virtual const Move& move(std::size_t w, const Input& input, bool& changed) = 0;
  /// Worker `w`'s system call returns `result` to it.
  virtual void wake(std::size_t w, std::int64_t result) = 0;
};

struct WorldOptions {
  Memory memory = Memory::kSequential;
  unsigned kills = 0;
  unsigned signals = 0;   // Signals and spurious wakes together.
  int preemptions = -1;   // -1: any number.
  std::string path = {};  // For a lock on a path.
};

/// Not thread-safe; reads this process's memory while it runs.
class World {
 public:
  World(const LockSpec& lock, const Program& program, const WorldOptions& options);

  State initial() const;
  /// What may happen next, as the head and the pending instructions say.
  void enabled(const Head& head, Body& body, std::vector<Transition>& transitions) const;
  /// Moves `head` and `body`; after kUnknown they are meaningless.
  Incident step(Head& head, Body& body, const Transition& transition, Event& event) const;

  /// The same on a whole state.
  void enabled(State& state, std::vector<Transition>& transitions);
  Incident step(State& state, const Transition& transition);
  Incident step(State& state, const Transition& transition, Event& event);

  static bool is_final(const Head& head);
  /// A bit for each worker that was killed, or never was.
  static std::uint8_t dead(const Head& head);
  /// Whether a state from which the workers cannot finish is what the lock promises.
  bool may_be_stuck(const Head& head) const;

  Runner& runner() { return runner_; }
  const Image& image() const { return image_; }
  const Program& program() const { return program_; }
  const LockSpec& lock() const { return lock_; }
  const WorldOptions& options() const { return options_; }
  /// The lock's calls that acquire, without those that the program does not make.
  static LockOps calls_made(const LockOps& ops, const Program& program);
  /// Whether every verb of the program is one that step runs and the lock offers.
  static bool can_run(const LockSpec& lock, const Program& program);
  /// The next call of a worker that is between calls; false if it has none left. Skips releases of
  /// what was not acquired, in `worker`.
  bool next_call(WorkerHead& worker, std::size_t w, CallKind& call) const;

 private:
  Incident run(Head& head, Body& body, const Transition& transition, Event& event) const;
  Incident begin(Head& head, Body& body, std::size_t w, Event& event) const;
  Incident after_move(Head& head, Body& body, std::size_t w, const Move& move, bool changed,
                      Event& event) const;
  Incident finish_call(Head& head, std::size_t w, Outcome outcome) const;
  Incident after_acquire(Head& head, std::size_t w, const hobbs::Step& step, Outcome outcome) const;
  Incident refused(const Head& head, std::size_t w, const hobbs::Step& step, Outcome outcome) const;
  Incident conflict(const Head& head, std::size_t w) const;
  void kill(Head& head, Body& body, std::size_t w) const;
  /// Without a result the worker makes its system call again.
  void end_sleep(Head& head, Body& body, std::size_t w, std::optional<std::int64_t> result) const;
  unsigned wake(Head& head, Body& body, const Wake& wake) const;
  void count_preemption(Head& head, Body& body, std::size_t w) const;
  bool may_run(const Head& head, Body& body, std::size_t w) const;

  const LockSpec lock_;
  const Program program_;
  const WorldOptions options_;
  const Image image_;
  Runner runner_;
};

}  // namespace hobbs::step
